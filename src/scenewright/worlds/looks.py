"""Pools of textures, prints and views from windows, made once per process and shared by all its rooms.

The number of pictures is limited so that a room costs little; a room's own shade comes from the albedo that multiplies
the texture. Train, validation and test rooms draw on disjoint variants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.worlds.model import Material
from scenewright.worlds.prints import Photos, printed
from scenewright.worlds.solids import Finish
from scenewright.worlds.textures import Colour, Texture, texture

_OFFSETS = {"train": 0, "validation": 100, "test": 200}
_PRINT_SIZES: dict[str, tuple[float, float]] = {
    "page": (0.21, 0.297), "magazine": (0.21, 0.297), "poster": (0.42, 0.594), "picture": (0.6, 0.45),
    "screen": (0.53, 0.3), "label": (0.15, 0.2), "spines": (0.5, 0.28),
}  # fmt: skip
_POOL = 28


def surface(
    rng: np.random.Generator, split: str, kind: str, colours: Sequence[Sequence[float]], variants: int = 2,
    gloss: float | None = None, spread: float = 0.12, make: Callable[[str, int, Colour], Texture] | None = None,
) -> Finish:  # fmt: skip
    """A textured finish: one of `variants` pictures of a kind in one of some sRGB colours, its shade the room's own.

    `make` gives the picture of (kind, number, colour); None = `textures.texture`.
    """
    colour = colours[int(rng.integers(len(colours)))]
    number = _OFFSETS[split] + int(rng.integers(variants))
    made = (make or _kept)(kind, number, (float(colour[0]), float(colour[1]), float(colour[2])))
    shade = np.exp(rng.normal(0.0, spread) + rng.normal(0.0, spread / 3, 3) - spread)
    r, g, b = (float(min(1.0, s)) for s in shade)
    material = Material((r, g, b), made.image, made.gloss if gloss is None else gloss)
    return Finish(material, made.size_m, made.grained)


@lru_cache(maxsize=420)
def _kept(kind: str, number: int, colour: Colour) -> Texture:
    """Textures of a process's rooms; the pool is small enough to be kept whole."""
    return texture(kind, number, colour)


@cache
def photos() -> Photos | None:
    """The photographs that ship with the package; None where there are none."""
    folder = Path(str(files("scenewright"))) / "assets" / "photos"
    if not folder.is_dir() or not any(p.suffix.lower() in (".jpg", ".jpeg", ".png") for p in folder.iterdir()):
        return None
    return Photos([folder])


@lru_cache(maxsize=1024)
def _print_image(kind: str, index: int) -> tuple[NDArray[np.uint8], float]:
    rng = np.random.default_rng([index, *kind.encode()])
    w, h = _PRINT_SIZES[kind]
    if kind == "picture" and index % 2:
        w, h = h, w
    made = printed(kind, rng, (w, h), photos(), px_per_m=760.0, max_px=360)
    return made.image, made.gloss


def print_finish(
    rng: np.random.Generator, split: str, kind: str, emission: float = 0.0, wide: int | None = None
) -> Finish:
    """A printed thing out of the split's pool; `wide` 0 asks for landscape pictures, 1 for portrait ones."""
    index = int(rng.integers(_POOL)) * 2 + (int(rng.integers(2)) if wide is None else wide)
    image, gloss = _print_image(kind, _OFFSETS[split] + index)
    return Finish(Material((0.95, 0.95, 0.95), image, gloss, emission))


@lru_cache(maxsize=64)
def _view(index: int) -> NDArray[np.uint8]:
    """What a window shows, out of focus: sky, then trees or houses, then ground."""
    rng, (h, w) = np.random.default_rng([index, 9]), (96, 96)
    image = np.empty((h, w, 3), np.float32)
    sky = np.array([[0.75, 0.85, 1.0], [0.95, 0.96, 1.0], [1.0, 0.95, 0.9]])[int(rng.integers(3))]
    image[:] = np.linspace(0.85, 1.0, h)[:, None, None] * sky
    horizon = int(rng.uniform(0.35, 0.75) * h)
    image[horizon:] = rng.uniform(0.15, 0.5) * np.array([0.9, 1.0, 0.8])
    for _ in range(int(rng.integers(3, 12))):
        x, bw, bh = int(rng.integers(-10, w)), int(rng.integers(8, 40)), int(rng.integers(10, 55))
        green = rng.random() < 0.5
        colour = rng.uniform(0.1, 0.45) * (np.array([0.75, 1.0, 0.6]) if green else rng.uniform(0.85, 1.15, 3))
        image[max(horizon - bh, 0) : horizon + 4, max(x, 0) : max(x + bw, 0)] = colour
    noise = cv2.resize(rng.normal(0, 0.12, (24, 24)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    image *= 1 + noise[..., None]
    return (cv2.GaussianBlur(image, (0, 0), 1.6).clip(0, 1) * 255).astype(np.uint8)


def outside(rng: np.random.Generator, split: str) -> Finish:
    """The bright view behind a window: from overcast to glaring, now and then night."""
    level = float(rng.choice([0.03, rng.uniform(0.8, 2.5), rng.uniform(2.5, 8.0)], p=[0.1, 0.5, 0.4]))
    return Finish(Material((1.0, 1.0, 1.0), _view(_OFFSETS[split] + int(rng.integers(20))), 0.0, level))
