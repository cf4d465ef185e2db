"""Procedural surface textures in true size: timber, floors, tiles, carpet, brick, plaster, stone, fabric, metal.

Every texture repeats without a seam and knows how many metres it spans, so that planks, tiles, bricks and weaves are
scale cues a network can trust. A texture is a pure function of (kind, variant, colour).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Colour = tuple[float, float, float]
Floats = NDArray[np.float32]
Generator = np.random.Generator


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture of a surface.

    Args:
        image: (h, w, 3) uint8 sRGB; repeats in both directions.
        size_m: metres that the picture spans along u (width) and v (height).
        gloss: of `worlds.model.Material`.
        grained: u runs along the fibre; lay it along the longer side of a part.
    """

    image: NDArray[np.uint8]
    size_m: tuple[float, float]
    gloss: float = 0.0
    grained: bool = False

    @property
    def px_per_m(self) -> float:
        """Pixels in a metre along u."""
        return self.image.shape[1] / self.size_m[0]


def texture(kind: str, variant: int, colour: Colour) -> Texture:
    """The texture of one kind (a key of `KINDS`), number `variant`, about this sRGB colour in [0, 1]; kept in a cache.

    Raises:
        InputError: an unknown kind, or a colour outside [0, 1].
    """
    if kind not in KINDS:
        raise InputError("texture kind", repr(kind), f"one of {', '.join(sorted(KINDS))}")
    if len(colour) != 3 or not all(0 <= c <= 1 for c in colour):
        raise InputError("texture colour", colour, "three sRGB numbers in [0, 1]")
    return _made(kind, int(variant), (float(colour[0]), float(colour[1]), float(colour[2])))


@lru_cache(maxsize=160)
def _made(kind: str, variant: int, colour: Colour) -> Texture:
    generator = np.random.default_rng([variant, *kind.encode()])
    return KINDS[kind](generator, colour)


def noise(generator: Generator, shape: tuple[int, int], cell: tuple[float, float]) -> Floats:
    """(h, w) seamless smooth noise, about normal with deviation 1; `cell` = size of its blobs in pixels (y, x)."""
    h, w = shape
    gy, gx = (max(2, round(n / max(c, 1.0))) for n, c in zip(shape, cell))
    grid = np.pad(generator.standard_normal((gy, gx), np.float32), 2, "wrap")
    sy, sx = h / gy, w / gx
    y, x = (np.arange(h, dtype=np.float32) + 0.5) / sy + 1.5, (np.arange(w, dtype=np.float32) + 0.5) / sx + 1.5
    map_x, map_y = np.meshgrid(x, y)
    field = cv2.remap(grid, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return field / max(float(field.std()), 1e-6)


def cloud(generator: Generator, shape: tuple[int, int], cell: float, octaves: int = 4) -> Floats:
    """(h, w) seamless fractal noise, deviation 1: each octave half the size and 0.6 of the strength."""
    total = np.zeros(shape, np.float32)
    for i in range(octaves):
        total += 0.6**i * noise(generator, shape, (cell / 2**i, cell / 2**i))
    return total / max(float(total.std()), 1e-6)


def _paint(colour: Colour, field: Floats, hue: Floats | None = None) -> Floats:
    """(h, w, 3) colour made lighter and darker by `field` (relative), warmer by `hue`."""
    image = np.asarray(colour, np.float32) * (1 + field[..., None])
    if hue is not None:
        image = image * (1 + hue[..., None] * np.array([1.0, 0.1, -1.2], np.float32))
    return image


def _byte(image: Floats) -> NDArray[np.uint8]:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _mix(a: Floats, b: Floats | Colour, share: Floats) -> Floats:
    return a + share[..., None] * (np.asarray(b, np.float32) - a)


def _grain(generator: Generator, shape: tuple[int, int], px_per_m: float) -> Floats:
    """(h, w) wood grain along x: growth rings bent by slow noise, fibres, pores."""
    h = shape[0]
    y = np.arange(h, dtype=np.float32)[:, None] / h
    bend = noise(generator, shape, (0.09 * px_per_m, 0.7 * px_per_m)) * generator.uniform(0.4, 1.2)
    rings = np.sin(2 * np.pi * (round(h / px_per_m * generator.uniform(14, 45)) * y + bend))
    fibre = noise(generator, shape, (0.0025 * px_per_m, 0.13 * px_per_m))
    slow = noise(generator, shape, (0.03 * px_per_m, 0.5 * px_per_m))
    pores = np.minimum(noise(generator, shape, (1.0, 0.02 * px_per_m)), 0)
    return (0.4 * rings * (0.5 + 0.3 * slow) + 0.55 * fibre + 0.5 * slow + 0.4 * pores).astype(np.float32)


def wood(generator: Generator, colour: Colour) -> Texture:
    """Timber or veneer in one piece, 1.2 x 0.6 m."""
    ppm, shape = 480.0, (288, 576)
    strength = generator.uniform(0.05, 0.13)
    image = _paint(colour, strength * _grain(generator, shape, ppm), 0.02 * cloud(generator, shape, 120))
    return Texture(_byte(image), (1.2, 0.6), float(generator.uniform(0.1, 0.4)), grained=True)


def butcher(generator: Generator, colour: Colour) -> Texture:
    """Glued laminated worktop: staves 40 mm wide, 0.3 to 0.8 m long."""
    return _boards(generator, colour, (1.2, 0.6), 480, 0.04, 0.55, 0.10, 0.0, 0.35)


def planks(generator: Generator, colour: Colour) -> Texture:
    """Floor boards 0.09 to 0.2 m wide with dark joints."""
    width = float(generator.choice([0.1, 0.125, 0.2]))
    return _boards(generator, colour, (2.0, 2.0), 420, width, 1.3, 0.10, 0.55, float(generator.uniform(0.2, 0.5)))


def laminate(generator: Generator, colour: Colour) -> Texture:
    """Three-strip parquet or laminate: narrow strips 65 mm wide, fine joints."""
    return _boards(generator, colour, (1.95, 1.95), 420, 0.065, 0.45, 0.10, 0.25, float(generator.uniform(0.25, 0.55)))


def _boards(
    generator: Generator,
    colour: Colour,
    size_m: tuple[float, float],
    ppm: float,
    width: float,
    length: float,
    spread: float,
    joint: float,
    gloss: float,
) -> Texture:
    """Boards along u with random end joints; `spread` = how unlike they are, `joint` = how dark the gaps are."""
    w, h = round(size_m[0] * ppm), round(size_m[1] * ppm)
    rows = max(round(size_m[1] / width), 1)
    per_row = max(round(size_m[0] / length), 1)
    y, x = np.arange(h) * rows / h, np.arange(w) / w
    row = np.minimum(y.astype(int), rows - 1)
    start = generator.random(rows)
    along = (x[None] + start[row][:, None]) % 1.0 * per_row
    board = row[:, None] * per_row + along.astype(int)
    n = rows * per_row
    grain = _grain(generator, (h, w), ppm)
    dy, dx = generator.integers(0, h, n), generator.integers(0, w, n)
    grain = grain[(np.arange(h)[:, None] + dy[board]) % h, (np.arange(w)[None] + dx[board]) % w]
    tone = generator.normal(0, spread, n).astype(np.float32)[board]
    warm = generator.normal(0, 0.02, n).astype(np.float32)[board]
    image = _paint(colour, generator.uniform(0.06, 0.12) * grain + tone, warm)
    gap_y = np.abs(y - np.rint(y)) * h / rows < 0.0012 * ppm
    gap_x = np.abs(along - np.rint(along)) * w / per_row < 0.0012 * ppm
    gap = (gap_y[:, None] | gap_x).astype(np.float32)
    return Texture(_byte(image * (1 - joint * gap[..., None])), size_m, gloss, grained=True)


def parquet(generator: Generator, colour: Colour) -> Texture:
    """Mosaic parquet: squares of strips that turn by 90 degrees from square to square."""
    ppm, cell, strips = 450.0, 0.16, int(generator.integers(5, 8))
    cells = 10
    px = round(cell * ppm)
    n = px * cells
    grain = _grain(generator, (n, n), ppm)
    y, x = np.mgrid[:n, :n]
    turned = ((y // px + x // px) % 2).astype(bool)
    across = np.where(turned, x % px, y % px) * strips / px
    strip = ((y // px) * cells + x // px) * strips + across.astype(int)
    tone = generator.normal(0, 0.09, cells * cells * strips).astype(np.float32)[strip]
    warm = generator.normal(0, 0.03, cells * cells * strips).astype(np.float32)[strip]
    image = _paint(colour, 0.09 * np.where(turned, grain.T, grain) + tone, warm)
    gap = (np.abs(across - np.rint(across)) * px / strips < 0.5) | (y % px == 0) | (x % px == 0)
    return Texture(_byte(image * (1 - 0.4 * gap[..., None])), (cells * cell, cells * cell), 0.35)


def tiles(generator: Generator, colour: Colour) -> Texture:
    """Ceramic tiles with joints: squares of 0.1, 0.15, 0.2 or 0.33 m, or 0.3 x 0.6, or metro tiles in running bond."""
    sizes = [(0.1, 0.1, 0), (0.15, 0.15, 0), (0.2, 0.2, 0), (1 / 3, 1 / 3, 0), (0.6, 0.3, 0), (0.15, 0.075, 1)]
    w, h, bond = sizes[int(generator.integers(len(sizes)))]
    return _laid(generator, colour, (w, h), bool(bond), 0.003, 0.02, float(generator.uniform(0.4, 0.8)))


def mosaic(generator: Generator, colour: Colour) -> Texture:
    """Mosaic of 25 mm squares in several shades."""
    return _laid(generator, colour, (0.025, 0.025), False, 0.002, 0.16, 0.6)


def brick(generator: Generator, colour: Colour) -> Texture:
    """Brickwork in running bond, 215 x 65 mm and 10 mm of mortar."""
    return _laid(generator, colour, (0.225, 0.075), True, 0.010, 0.13, 0.0)


def _laid(
    generator: Generator,
    colour: Colour,
    unit: tuple[float, float],
    bond: bool,
    joint: float,
    spread: float,
    gloss: float,
) -> Texture:
    """Units of w x h metres with joints between them."""
    ppm = 500.0 if max(unit) < 0.5 else 420.0
    nx, ny = max(round(1.2 / unit[0]), 1), max(round(1.2 / unit[1]) // 2 * 2, 2)
    size = (nx * unit[0], ny * unit[1])
    w, h = round(size[0] * ppm), round(size[1] * ppm)
    y = (np.arange(h) + 0.5) / h * ny
    shift = 0.5 * (y.astype(int) % 2) if bond else np.zeros(h)
    x = (np.arange(w) + 0.5)[None] / w * nx + shift[:, None]
    index = y.astype(int)[:, None] * nx + x.astype(int) % nx
    tone = generator.normal(0, spread, nx * ny).astype(np.float32)[index]
    rough = 0.09 if joint > 0.006 else 0.012
    body = rough * cloud(generator, (h, w), 30) + (0.03 * cloud(generator, (h, w), 90) if spread > 0.03 else 0)
    image = _paint(colour, body + tone, 0.3 * generator.normal(0, spread, nx * ny).astype(np.float32)[index])
    edge_x = np.abs(x - np.rint(x)) * unit[0]
    edge_y = np.abs(y - np.rint(y))[:, None] * unit[1]
    edge = np.minimum(edge_x, edge_y)
    image *= 1 + 0.07 * np.exp(-(((edge - joint) / 0.003) ** 2))[..., None].astype(np.float32)  # worn, bright rim
    dark = np.mean(colour) < 0.35
    grout = np.full(3, generator.uniform(0.35, 0.6) if dark else generator.uniform(0.45, 0.8), np.float32)
    grout_image = grout * (1 + 0.05 * noise(generator, (h, w), (2, 2))[..., None])
    return Texture(_byte(np.where((edge < joint / 2 + 0.4 / ppm)[..., None], grout_image, image)), size, gloss)


def carpet(generator: Generator, colour: Colour) -> Texture:
    """Fitted carpet: tufts, and sometimes stripes of several shades, flecks, or half-metre carpet tiles."""
    ppm, n = 500.0, 500
    shape = (n, n)
    tufts = 0.75 * noise(generator, shape, (1.6, 1.6)) + 0.45 * noise(generator, shape, (4, 4))
    field = generator.uniform(0.10, 0.22) * tufts + 0.03 * cloud(generator, shape, 160)
    image = _paint(colour, field)
    style = generator.choice(["plain", "stripes", "flecks", "tiles"], p=[0.4, 0.25, 0.2, 0.15])
    if style == "stripes":
        image = image * _stripes(generator, n)[None, :, None]
    elif style == "flecks":
        share = np.clip(noise(generator, shape, (3, 3)) - 1.3, 0, 1) * 0.8
        image = _mix(image, np.clip(np.asarray(colour, np.float32) + 0.3, 0, 1), share.astype(np.float32))
    elif style == "tiles":
        half = n // 2
        image[:half, half:] *= 1.10
        image[half:, :half] *= 1.07
    return Texture(_byte(image), (n / ppm, n / ppm))


def _stripes(generator: Generator, n: int) -> Floats:
    """(n,) brightness of irregular stripes 3 to 20 mm wide at 500 px a metre."""
    out, x = np.ones(n, np.float32), 0
    while x < n:
        width = int(generator.integers(2, 11))
        out[x : x + width] = generator.choice([0.45, 0.65, 0.85, 1.0, 1.25, 1.5])
        x += width
    return out


def plaster(generator: Generator, colour: Colour) -> Texture:
    """Painted wall: as plain as real ones, with the faint grain of a roller."""
    shape = (512, 512)
    field = generator.uniform(0.003, 0.009) * noise(generator, shape, (3, 3)) + 0.003 * cloud(generator, shape, 200)
    return Texture(_byte(_paint(colour, field)), (1.024, 1.024))


def woodchip(generator: Generator, colour: Colour) -> Texture:
    """Woodchip wallpaper or rough render: small lit and shaded bumps."""
    shape = (512, 512)
    bumps = np.clip(noise(generator, shape, (7, 7)), 0, 3)
    slope = bumps - np.roll(bumps, (2, 1), (0, 1))
    return Texture(_byte(_paint(colour, 0.05 * slope)), (1.024, 1.024))


def wallpaper(generator: Generator, colour: Colour) -> Texture:
    """Wallpaper: stripes or a small repeating figure, a shade lighter or darker than its ground."""
    n, repeat = 530, int(generator.choice([53, 106, 265]))
    y, x = np.mgrid[:n, :n] / repeat
    if generator.random() < 0.4:
        figure = np.sin(2 * np.pi * x) > generator.uniform(-0.5, 0.7)
    else:
        a, b = generator.integers(1, 4, 2)
        figure = np.sin(2 * np.pi * a * x) * np.cos(2 * np.pi * y) + np.cos(2 * np.pi * b * y) > 0.8
    strength = generator.uniform(0.04, 0.2) * generator.choice([-1, 1])
    field = strength * cv2.GaussianBlur(figure.astype(np.float32), (0, 0), 0.8)
    return Texture(_byte(_paint(colour, field + 0.006 * noise(generator, (n, n), (2, 2)))), (1.06, 1.06))


def marble(generator: Generator, colour: Colour) -> Texture:
    """Polished stone with veins."""
    shape = (560, 560)
    veins = np.exp(-np.abs(cloud(generator, shape, 280, 5)) * generator.uniform(5, 14))
    veins = veins * np.clip(0.6 + 0.5 * cloud(generator, shape, 200, 2), 0, 1)
    image = _paint(colour, 0.04 * cloud(generator, shape, 140), 0.015 * cloud(generator, shape, 200))
    base = np.asarray(colour, np.float32)
    vein = base * 0.5 if np.mean(colour) > 0.4 else base + 0.4
    return Texture(_byte(_mix(image, vein, 0.75 * veins)), (1.4, 1.4), 0.7)


def granite(generator: Generator, colour: Colour) -> Texture:
    """Speckled stone: grains of 2 to 6 mm, light and dark."""
    shape = (500, 500)
    image = _paint(colour, 0.10 * noise(generator, shape, (2, 2)) + 0.05 * cloud(generator, shape, 60))
    for cell, level, step in ((4, 1.1, 0.28), (6, 1.3, -0.3), (2.5, 1.6, 0.35), (3, 1.4, -0.4)):
        share = np.clip(4 * (noise(generator, shape, (cell, cell)) - level), 0, 1)
        image = image + share[..., None] * step * generator.uniform(0.3, 1.0)
    return Texture(_byte(image), (1.0, 1.0), 0.65)


def concrete(generator: Generator, colour: Colour) -> Texture:
    """Screed, concrete or linoleum: clouds and pores."""
    shape = (600, 600)
    field = 0.03 * cloud(generator, shape, 160, 5) + 0.02 * noise(generator, shape, (1.5, 1.5))
    pores = np.clip(noise(generator, shape, (3, 3)) - 2.2, 0, 1)
    return Texture(_byte(_paint(colour, field - 0.25 * pores)), (1.5, 1.5), float(generator.uniform(0.05, 0.4)))


def fabric(generator: Generator, colour: Colour) -> Texture:
    """Woven upholstery: threads of 1.5 to 4 mm, often two shades."""
    ppm, n = 1000.0, 400
    pitch = float(generator.choice([4, 5, 8]))
    y, x = np.mgrid[:n, :n]
    over = np.sin(np.pi * x / pitch) * np.sin(np.pi * y / pitch)
    field = generator.uniform(0.04, 0.12) * over + 0.05 * noise(generator, (n, n), (pitch / 2, pitch * 3))
    field = field + 0.05 * noise(generator, (n, n), (pitch * 3, pitch / 2)) + 0.025 * cloud(generator, (n, n), 120)
    return Texture(_byte(_paint(colour, field.astype(np.float32))), (n / ppm, n / ppm))


def cloth(generator: Generator, colour: Colour) -> Texture:
    """Printed or dyed cloth for curtains, bedding, table cloths, rugs: stripes, checks or dots in a second shade."""
    n, unit = 500, int(generator.choice([25, 50, 100]))
    y, x = np.mgrid[:n, :n] / unit
    figures: list[Callable[[], NDArray]] = [
        lambda: (x % 1 < generator.uniform(0.2, 0.6)).astype(float),
        lambda: 0.5 * (x % 1 < 0.5) + 0.5 * (y % 1 < 0.5),
        lambda: (np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.25).astype(float),
        lambda: (np.abs((x % 2) - 1) + np.abs((y % 2) - 1) < 0.7).astype(float),
    ]
    share = figures[int(generator.integers(len(figures)))]().astype(np.float32)
    other = np.clip(np.asarray(colour) + generator.choice([-1, 1]) * generator.uniform(0.15, 0.5, 3), 0.03, 0.97)
    image = _mix(_paint(colour, np.zeros((n, n), np.float32)), other.astype(np.float32), share)
    return Texture(_byte(image * (1 + 0.04 * noise(generator, (n, n), (2, 2))[..., None])), (1.0, 1.0))


def brushed(generator: Generator, colour: Colour) -> Texture:
    """Brushed steel or aluminium: fine lines along u."""
    shape = (256, 512)
    field = 0.035 * noise(generator, shape, (1, 120)) + 0.025 * cloud(generator, shape, 170, 2)
    return Texture(_byte(_paint(colour, field)), (0.64, 0.32), 0.85, grained=True)


KINDS: dict[str, Callable[[Generator, Colour], Texture]] = {
    f.__name__: f
    for f in (
        wood, butcher, planks, laminate, parquet, tiles, mosaic, brick, carpet, plaster, woodchip, wallpaper, marble,
        granite, concrete, fabric, cloth, brushed,
    )
}  # fmt: skip
"""Every kind of surface texture by name."""


@dataclass(frozen=True)
class Palette:
    """Colours that go together, sRGB in [0, 1].

    Args:
        wall, ceiling: light and plain. floor, wood: timber or ground tones of one family. front: cupboard fronts,
            often dark or saturated. worktop, metal. accents: two saturated colours. fabrics: three upholstery tones.
    """

    wall: Colour
    ceiling: Colour
    floor: Colour
    wood: Colour
    front: Colour
    worktop: Colour
    metal: Colour
    accents: tuple[Colour, Colour]
    fabrics: tuple[Colour, Colour, Colour]


_WOODS: Sequence[Colour] = (
    (0.80, 0.64, 0.44), (0.74, 0.53, 0.32), (0.62, 0.42, 0.25), (0.85, 0.74, 0.58), (0.45, 0.28, 0.17),
    (0.31, 0.20, 0.13), (0.72, 0.44, 0.24), (0.62, 0.52, 0.42),
)  # fmt: skip


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """sRGB of hue (turns), saturation and value."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    r, g, b = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return float(r), float(g), float(b)


def palette(generator: Generator) -> Palette:
    """A room's colours: white or pale walls, timber of one family, dark or saturated fronts, two accents of hues that
    are alike or opposite."""
    g = generator
    hue = float(g.random())
    second = (hue + float(g.choice([0.06, 0.5, 0.42, -0.08]))) % 1
    timber = _WOODS[int(g.integers(len(_WOODS)))]
    pale = hsv(float(g.choice([0.09, 0.12, 0.58, hue])), float(g.beta(1.2, 6) * 0.5), float(g.uniform(0.82, 0.97)))
    fronts = [
        hsv(0.1, 0.03, g.uniform(0.88, 0.97)), hsv(hue, g.uniform(0.7, 0.95), g.uniform(0.3, 0.7)),
        hsv(hue, 0.1, g.uniform(0.06, 0.22)), hsv(hue, g.uniform(0.15, 0.4), g.uniform(0.4, 0.75)), timber,
    ]  # fmt: skip
    worktops = [hsv(0.6, 0.05, g.uniform(0.05, 0.16)), timber, hsv(0.1, 0.05, g.uniform(0.5, 0.85))]
    floors = [timber, hsv(hue, g.uniform(0.4, 0.85), g.uniform(0.25, 0.6)), hsv(0.6, 0.08, g.uniform(0.2, 0.5))]
    first_accent = hsv(hue, g.uniform(0.65, 0.95), g.uniform(0.4, 0.9))
    accents = (first_accent, hsv(second, g.uniform(0.5, 0.9), g.uniform(0.4, 0.9)))
    fabrics = (
        hsv(0.1, g.uniform(0.05, 0.3), g.uniform(0.3, 0.8)), hsv(hue, g.uniform(0.3, 0.8), g.uniform(0.2, 0.6)),
        hsv(0.6, 0.1, g.uniform(0.1, 0.3)),
    )  # fmt: skip

    def pick(options: Sequence[Colour], p: Sequence[float]) -> Colour:
        return options[int(g.choice(len(options), p=p))]

    return Palette(
        pale, hsv(0.12, 0.02, float(g.uniform(0.9, 0.98))), pick(floors, [0.5, 0.25, 0.25]), timber,
        pick(fronts, [0.25, 0.25, 0.2, 0.15, 0.15]), pick(worktops, [0.5, 0.25, 0.25]),
        hsv(0.6, 0.02, float(g.choice([0.08, 0.6, 0.75]))), accents, fabrics,
    )  # fmt: skip
