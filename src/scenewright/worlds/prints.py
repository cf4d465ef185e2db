"""Flat things with a picture on them: paper, magazines, posters, screens, keyboards, book spines, labels, photographs.

Unlike surface textures they do not repeat: one picture covers its face (uv 0 to 1), in the size it has in the world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.worlds.textures import Colour, Texture, hsv

Bytes = NDArray[np.uint8]
Generator = np.random.Generator

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)
_SYLLABLES = ("ka", "lo", "mi", "ter", "son", "der", "va", "re", "pol", "an", "is", "tu", "gra", "ne", "os", "el")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_LONG_SIDE_PX = 1600


class Photos:
    """Crops of the photographs in some folders.

    Args:
        folders: searched for JPEG, PNG and WebP files, not below; the order of names decides what a seed gives.

    Raises:
        InputError: a folder that does not exist, or no picture in any of them.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not Path(folder).is_dir():
                raise InputError("photo folder", folder, "an existing folder")
        found = (p for f in folders for p in sorted(Path(f).iterdir()) if p.suffix.lower() in _SUFFIXES)
        self._pictures = [x for x in map(self._read, found) if x is not None]
        if not self._pictures:
            raise InputError("photo folders", [str(f) for f in folders], "at least one readable picture")

    @staticmethod
    def _read(path: Path) -> Bytes | None:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None or min(image.shape[:2]) < 64:
            return None
        scale = min(1.0, _LONG_SIDE_PX / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(np.asarray(small, np.uint8)[..., ::-1])

    def __len__(self) -> int:
        return len(self._pictures)

    def crop(self, generator: Generator, width: int, height: int) -> Bytes:
        """(height, width, 3) uint8: a window of 40 to 100 % of one picture, at times mirrored."""
        image = self._pictures[int(generator.integers(len(self._pictures)))]
        h, w = image.shape[:2]
        fit = min(w / width, h / height) * generator.uniform(0.4, 1.0)
        cw, ch = max(int(width * fit), 1), max(int(height * fit), 1)
        x, y = int(generator.integers(0, w - cw + 1)), int(generator.integers(0, h - ch + 1))
        crop = image[y : y + ch, x : x + cw]
        crop = crop[:, ::-1] if generator.random() < 0.5 else crop
        mode = cv2.INTER_AREA if fit > 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=mode), np.uint8)


class _Sheet:
    """A canvas in pixels whose coordinates are metres from its upper left corner."""

    def __init__(self, size_m: tuple[float, float], px_per_m: float, colour: Colour) -> None:
        self.size_m, self.ppm = size_m, px_per_m
        w, h = (max(round(s * px_per_m), 2) for s in size_m)
        self.image = np.full((h, w, 3), np.asarray(colour) * 255, np.uint8)

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.ppm), round(y * self.ppm)

    def fill(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """A rectangle."""
        (x0, y0), (x1, y1) = self._at(x, y), self._at(x + w, y + h)
        self.image[max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)] = np.asarray(colour) * 255

    def paste(self, x: float, y: float, picture: Bytes) -> None:
        """A picture at its own pixels."""
        x0, y0 = self._at(x, y)
        target = self.image[max(y0, 0) : y0 + picture.shape[0], max(x0, 0) : x0 + picture.shape[1]]
        target[:] = picture[: target.shape[0], : target.shape[1]]

    def word(self, x: float, y: float, height: float, text: str, colour: Colour, font: int, limit: float) -> None:
        """Text whose capitals are `height` tall, standing on y, made narrower where it would pass `limit` metres."""
        scale = height * self.ppm / 21
        thick = max(1, round(scale * 2.2))
        width = cv2.getTextSize(text, font, scale, thick)[0][0]
        scale *= min(1.0, limit * self.ppm / max(width, 1))
        bgr = [float(c) * 255 for c in colour]
        cv2.putText(self.image, text, self._at(x, y), font, scale, bgr, max(1, round(scale * 2.2)), cv2.LINE_AA)

    def lines(self, g: Generator, box: tuple[float, float, float, float], height: float, colour: Colour) -> None:
        """A paragraph of unreadable words: bars of ink with gaps, capitals `height` tall."""
        x0, y0, w, h = box
        y = y0
        while y + height <= y0 + h:
            x, end = x0, x0 + w * (g.uniform(0.3, 0.9) if g.random() < 0.15 else 1.0)
            while x < end:
                step = min(height * g.uniform(1.5, 6.0), x0 + w - x)
                self.fill(x, y, step, height * 0.62, colour)
                x += step + 0.6 * height
            y += height * 1.7

    def texture(self, gloss: float) -> Texture:
        """The finished sheet."""
        return Texture(np.ascontiguousarray(self.image), self.size_m, gloss)


def _title(g: Generator) -> str:
    words = ["".join(g.choice(_SYLLABLES, int(g.integers(1, 4)))) for _ in range(int(g.integers(1, 4)))]
    text = " ".join(words)
    return text.upper() if g.random() < 0.5 else text.title()


def _ink(g: Generator) -> Colour:
    return (0.08, 0.08, 0.1) if g.random() < 0.7 else hsv(float(g.random()), 0.8, 0.4)


def _font(g: Generator) -> int:
    return int(g.choice(_FONTS))


def _picture(g: Generator, w: int, h: int, photos: Photos | None) -> Bytes:
    """A photograph, or without any a drawn one: sky, hills, a few shapes."""
    if photos is not None and g.random() < 0.85:
        return photos.crop(g, w, h)
    hue, y = float(g.random()), np.linspace(0, 1, h)[:, None, None]
    image = (1 - y) * np.asarray(hsv(hue, 0.5, 0.9)) + y * np.asarray(hsv(hue + 0.1, 0.2, 0.95)) + np.zeros((h, w, 1))
    canvas = np.ascontiguousarray(image * 255).astype(np.uint8)
    for _ in range(int(g.integers(3, 9))):
        centre = (int(g.integers(0, w)), int(g.integers(h // 3, h + 1)))
        axes = (int(g.integers(w // 12 + 1, w // 2 + 2)), int(g.integers(h // 12 + 1, h // 2 + 2)))
        colour = [
            float(c) * 255 for c in hsv(float(g.random()), float(g.uniform(0.2, 0.9)), float(g.uniform(0.2, 0.9)))
        ]
        cv2.ellipse(canvas, centre, axes, float(g.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return canvas


def page(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A printed letter or article: title, paragraphs, sometimes a figure or a table."""
    w, h = size_m
    sheet, ink, margin = _Sheet(size_m, ppm, (0.95, 0.95, 0.94)), _ink(g), 0.1 * w
    y = margin
    if g.random() < 0.7:
        sheet.word(margin, y + 0.035 * h, 0.03 * h, _title(g), ink, _font(g), 0.8 * w)
        y += 0.07 * h
    while y < h - 1.6 * margin:
        part = min(float(g.uniform(0.08, 0.3)) * h, h - margin - y)
        if g.random() < 0.25:
            sheet.paste(margin, y, _picture(g, round(0.8 * w * ppm), max(round(part * ppm), 2), photos))
        else:
            sheet.lines(g, (margin, y, 0.8 * w, part), 0.011 * h, (0.25, 0.25, 0.27))
        y += part + 0.03 * h
    return sheet


def magazine(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A cover: a picture or a saturated ground, a big title, short lines."""
    w, h = size_m
    ground = hsv(float(g.random()), float(g.uniform(0.5, 0.95)), float(g.uniform(0.25, 0.95)))
    sheet = _Sheet(size_m, ppm, ground)
    if g.random() < 0.6:
        top = float(g.choice([0.0, 0.2, 0.3]))
        sheet.paste(0, top * h, _picture(g, round(w * ppm), round((1 - top) * h * ppm), photos))
    bright = (0.97, 0.97, 0.95) if np.mean(ground) < 0.6 else (0.08, 0.08, 0.1)
    sheet.word(0.06 * w, 0.15 * h, 0.09 * h, _title(g), bright, _font(g), 0.88 * w)
    for i in range(int(g.integers(1, 5))):
        sheet.word(0.06 * w, (0.3 + 0.15 * i) * h, 0.03 * h, _title(g), bright, _font(g), 0.7 * w)
    return sheet


def poster(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A poster: a picture with a margin, a text poster, or a scientific one with columns."""
    w, h = size_m
    style = g.random()
    if style < 0.5:
        sheet, margin = _Sheet(size_m, ppm, (0.96, 0.96, 0.94)), float(g.choice([0.0, 0.05, 0.12])) * w
        size = max(round((w - 2 * margin) * ppm), 2), max(round((h - 2 * margin) * ppm * 0.9), 2)
        sheet.paste(margin, margin, _picture(g, *size, photos))
        return sheet
    if style < 0.75:
        return magazine(g, size_m, ppm, photos)
    sheet, accent = _Sheet(size_m, ppm, (0.96, 0.96, 0.97)), hsv(float(g.random()), 0.75, 0.5)
    sheet.fill(0, 0, w, 0.13 * h, accent)
    sheet.word(0.05 * w, 0.09 * h, 0.05 * h, _title(g) + " " + _title(g), (0.97, 0.97, 0.97), _font(g), 0.9 * w)
    for column in range(3):
        for row in range(4):
            x, y = (0.03 + 0.325 * column) * w, (0.17 + 0.205 * row) * h
            sheet.fill(x, y, 0.29 * w, 0.015 * h, accent)
            if g.random() < 0.4:
                sheet.paste(x, y + 0.03 * h, _picture(g, round(0.29 * w * ppm), round(0.14 * h * ppm), photos))
            else:
                sheet.lines(g, (x, y + 0.03 * h, 0.29 * w, 0.14 * h), 0.009 * h, (0.2, 0.2, 0.22))
    return sheet


def picture(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A photograph or painting from edge to edge, at times in a passe-partout."""
    w, h = size_m
    sheet = _Sheet(size_m, ppm, (0.93, 0.92, 0.88))
    margin = float(g.choice([0.0, 0.15])) * min(w, h)
    size = max(round((w - 2 * margin) * ppm), 2), max(round((h - 2 * margin) * ppm), 2)
    sheet.paste(margin, margin, _picture(g, *size, photos))
    return sheet


def screen(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A display: a desktop with windows, code on black, a spreadsheet, or a film."""
    w, h = size_m
    style = g.random()
    if style < 0.3:
        return picture(g, size_m, ppm, photos)
    if style < 0.55:
        sheet = _Sheet(size_m, ppm, (0.08, 0.09, 0.11))
        for i in range(26):
            colour = hsv(float(g.random()), 0.4, 0.9)
            left = 0.05 + 0.05 * float(g.integers(0, 4))
            sheet.lines(g, (left * w, (0.03 + 0.036 * i) * h, g.uniform(0.1, 0.7) * w, 0.02 * h), 0.018 * h, colour)
        return sheet
    sheet = _Sheet(size_m, ppm, hsv(float(g.random()), 0.6, 0.5))
    sheet.paste(0, 0, _picture(g, round(w * ppm), round(h * ppm), photos))
    for _ in range(int(g.integers(1, 4))):
        x, y, ww, hh = g.uniform(0, 0.4), g.uniform(0, 0.35), g.uniform(0.35, 0.6), g.uniform(0.35, 0.6)
        sheet.fill(x * w, y * h, ww * w, hh * h, (0.96, 0.96, 0.97))
        sheet.fill(x * w, y * h, ww * w, 0.04 * h, hsv(0.6, 0.2, float(g.uniform(0.3, 0.8))))
        sheet.lines(g, ((x + 0.02) * w, (y + 0.08) * h, (ww - 0.05) * w, (hh - 0.1) * h), 0.016 * h, (0.2, 0.2, 0.25))
    sheet.fill(0, 0.96 * h, w, 0.04 * h, (0.1, 0.1, 0.13))
    return sheet


def keyboard(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """Keys of 19 mm in six rows; half of all are black."""
    w, h = size_m
    dark = g.random() < 0.6
    body, key = ((0.05, 0.05, 0.055), (0.13, 0.13, 0.14)) if dark else ((0.78, 0.78, 0.78), (0.93, 0.93, 0.92))
    ink = (0.85, 0.85, 0.85) if dark else (0.2, 0.2, 0.2)
    sheet = _Sheet(size_m, ppm, body)
    pitch = (h - 0.01) / 6
    for row in range(6):
        x, y = 0.006, 0.005 + row * pitch
        while x < w - 0.012:
            wide = float(g.choice([1.0, 1.5, 2.0], p=[0.85, 0.1, 0.05])) if row < 5 else float(g.choice([1.25, 5.5]))
            step = min(wide * 0.019, w - 0.006 - x)
            sheet.fill(x + 0.001, y + 0.001, step - 0.0025, pitch - 0.0025, key)
            sheet.fill(x + 0.004, y + 0.004, 0.003, 0.004, ink)
            x += step
    return sheet


def spines(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """A row of book backs 12 to 50 mm wide, titles along them, heights a little unlike."""
    w, h = size_m
    sheet, x = _Sheet(size_m, ppm, (0.03, 0.03, 0.03)), 0.0
    while x < w:
        wide = float(np.clip(g.lognormal(np.log(0.026), 0.4), 0.012, 0.06))
        tall = h * float(g.uniform(0.8, 1.0))
        saturation = float(g.choice([0.1, 0.6, 0.85], p=[0.35, 0.35, 0.3]))
        colour = hsv(float(g.random()), saturation, float(g.choice([0.15, 0.45, 0.7, 0.95])))
        ink = (0.06, 0.06, 0.06) if np.mean(colour) > 0.45 else (0.93, 0.9, 0.8)
        book = _Sheet((tall, wide), ppm, colour)
        if g.random() < 0.5:
            book.fill(0.05 * tall, 0, 0.012, wide, ink)
        book.word(0.12 * tall, 0.68 * wide, 0.4 * wide, _title(g), ink, _font(g), 0.7 * tall)
        sheet.paste(x, h - tall, np.rot90(book.image, -1 if g.random() < 0.9 else 1))
        x += wide + 0.0008
    return sheet


def label(g: Generator, size_m: tuple[float, float], ppm: float, photos: Photos | None) -> _Sheet:
    """Packaging: saturated ground, bands, a brand, small print, at times a picture and a bar code."""
    w, h = size_m
    hue = float(g.random())
    ground = hsv(hue, float(g.uniform(0.1, 0.95)), float(g.uniform(0.4, 0.95)))
    sheet = _Sheet(size_m, ppm, ground)
    sheet.fill(
        0, g.uniform(0.1, 0.6) * h, w, g.uniform(0.1, 0.35) * h, hsv(hue + 0.45, 0.8, float(g.uniform(0.3, 0.9)))
    )
    if g.random() < 0.5:
        size = max(round(0.5 * w * ppm), 2), max(round(0.35 * h * ppm), 2)
        sheet.paste(g.uniform(0, 0.5) * w, 0.55 * h, _picture(g, *size, photos))
    ink = (0.97, 0.97, 0.97) if np.mean(ground) < 0.65 else (0.1, 0.1, 0.12)
    sheet.word(0.08 * w, 0.35 * h, 0.16 * h, _title(g), ink, _font(g), 0.84 * w)
    sheet.lines(g, (0.08 * w, 0.8 * h, 0.4 * w, 0.15 * h), 0.03 * h, ink)
    sheet.fill(0.65 * w, 0.78 * h, 0.27 * w, 0.17 * h, (0.97, 0.97, 0.97))
    for i in range(12):
        sheet.fill((0.67 + 0.02 * i) * w, 0.8 * h, 0.01 * w * g.uniform(0.3, 1.4), 0.13 * h, (0.05, 0.05, 0.05))
    return sheet


PRINTS: dict[str, tuple[Callable[[Generator, tuple[float, float], float, Photos | None], _Sheet], float]] = {
    "page": (page, 0.05), "magazine": (magazine, 0.35), "poster": (poster, 0.15), "picture": (picture, 0.25),
    "screen": (screen, 0.5), "keyboard": (keyboard, 0.1), "spines": (spines, 0.15), "label": (label, 0.3),
}  # fmt: skip
"""Makers by name, and how glossy their things are."""


def printed(
    kind: str,
    generator: Generator,
    size_m: tuple[float, float],
    photos: Photos | None = None,
    px_per_m: float = 1200.0,
    max_px: int = 640,
) -> Texture:
    """One printed thing of width x height metres.

    Args:
        kind: a key of `PRINTS`.
        photos: source of photographs; without it they are drawn.
        px_per_m: detail, lowered where the longer side would pass `max_px` pixels.

    Raises:
        InputError: an unknown kind or a size that is not positive.
    """
    if kind not in PRINTS:
        raise InputError("print kind", repr(kind), f"one of {', '.join(sorted(PRINTS))}")
    if not (min(size_m) > 0 and np.isfinite(size_m).all()):
        raise InputError("print size", size_m, "two positive lengths in metres")
    make, gloss = PRINTS[kind]
    return make(generator, size_m, min(px_per_m, max_px / max(size_m)), photos).texture(gloss)
