"""What streets are covered with: asphalt, paving, grass, leaves, roof tiles, boards. True size, without seams."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.worlds.textures import Colour, Floats, Generator, Texture, cloud, noise


def _shaded(colour: Colour, field: Floats, size_m: float, hue: float = 0.0, gloss: float = 0.0) -> Texture:
    """A texture of one colour made lighter and darker by `field`; lighter parts turn warmer by `hue`."""
    tint = 1 + hue * field[..., None] * np.array([1.0, 0.2, -0.8], np.float32)
    image = np.asarray(colour, np.float32) * (1 + field[..., None]) * tint
    return Texture((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), (size_m, size_m), gloss)


def asphalt(g: Generator, colour: Colour) -> Texture:
    """Tarmac with grit, worn and patched places, cracks, now and then a manhole; 8 m."""
    n, ppm = 512, 64
    field = 0.07 * noise(g, (n, n), (1.3, 1.3)) + 0.05 * cloud(g, (n, n), 150) + 0.04 * noise(g, (n, n), (n / 2, 12))
    for _ in range(int(g.integers(0, 5))):
        (y, x), (h, w) = g.integers(20, 330, 2), g.integers(40, 150, 2)
        field[y : y + h, x : x + w] += g.uniform(-0.22, 0.15)
    for _ in range(int(g.integers(0, 7))):
        steps = np.cumsum(g.normal(0, 14, (9, 2)) + g.normal(0, 12, 2), 0) + g.uniform(160, 350, 2)
        crack = cv2.polylines(np.zeros((n, n), np.uint8), [steps.clip(2, n - 3).astype(np.int32)], False, 1, 1)
        field -= 0.3 * crack
    if g.random() < 0.5:
        lid = cv2.circle(np.zeros((n, n), np.uint8), tuple(map(int, g.integers(60, 450, 2))), int(0.32 * ppm), 1, -1)
        field -= lid * (0.3 + 0.1 * (np.indices((n, n)).sum(0) // 3 % 2)).astype(np.float32)
    return _shaded(colour, field, n / ppm, 0.1, float(g.uniform(0, 0.08)))


def grass(g: Generator, colour: Colour) -> Texture:
    """Mown grass or meadow; 6 m."""
    n = 384
    field = 0.22 * noise(g, (n, n), (1.5, 1.5)) + 0.12 * noise(g, (n, n), (6, 6)) + 0.12 * cloud(g, (n, n), 140)
    return _shaded(colour, field, 6.0, 0.35)


def foliage(g: Generator, colour: Colour) -> Texture:
    """Leaves seen from a few metres: clumps with dark gaps; 2 m."""
    n = 256
    clumps = 0.28 * noise(g, (n, n), (5, 5)) + 0.16 * noise(g, (n, n), (2, 2)) + 0.14 * cloud(g, (n, n), 90)
    gaps = np.clip(noise(g, (n, n), (9, 9)) - 0.9, 0, 1)
    return _shaded(colour, np.asarray(clumps - 0.6 * gaps, np.float32), 2.0, 0.25)


def _cells(g: Generator, n: int, across: int, down: int, bond: bool) -> tuple[Floats, Floats, Floats]:
    """(n, n) of a wall or floor of units: a unit's tone, distance to its nearest upright and level joint (0 to 0.5)."""
    y = (np.arange(n, dtype=np.float32) + 0.5)[:, None] / n * down
    x = (np.arange(n, dtype=np.float32) + 0.5)[None] / n * across + 0.5 * (y.astype(int) % 2) * bond
    index = y.astype(int) * across + x.astype(int) % across
    tone = g.standard_normal(across * down).astype(np.float32)[index]
    return tone, np.abs(x - np.rint(x)), np.broadcast_to(np.abs(y - np.rint(y)), (n, n))


def paving(g: Generator, colour: Colour) -> Texture:
    """Slabs of 0.3 to 0.5 m, or setts of 0.12 m; 3.6 m."""
    n, unit = 432, float(g.choice([0.12, 0.3, 0.4, 0.45]))
    count = round(3.6 / unit)
    tone, dx, dy = _cells(g, n, count, count // 2 * 2, unit < 0.35)
    joint = np.minimum(dx, dy) < 0.012 / unit
    field = 0.07 * tone + 0.04 * noise(g, (n, n), (1.5, 1.5)) + 0.05 * cloud(g, (n, n), 120) - 0.28 * joint
    return _shaded(colour, field.astype(np.float32), 3.6, 0.1)


def roof(g: Generator, colour: Colour) -> Texture:
    """Rows of tiles or slates, each row in the shadow of the one above; 3 m."""
    n, rows = 300, int(g.choice([10, 14]))
    tone, dx, dy = _cells(g, n, 12, rows, True)
    row = (np.arange(n, dtype=np.float32)[:, None] / n * rows) % 1
    field = 0.09 * tone + 0.18 * (0.5 - row) - 0.2 * (dx < 0.06) - 0.2 * (dy < 0.07) + 0.05 * cloud(g, (n, n), 100)
    return _shaded(colour, field.astype(np.float32), 3.0, 0.3)


def boards(g: Generator, colour: Colour) -> Texture:
    """Level weatherboards of 0.15 m with a shadow under each; 2.4 m."""
    n, rows = 240, 16
    row = (np.arange(n, dtype=np.float32)[:, None] / n * rows) % 1
    tone = g.standard_normal(rows).astype(np.float32)[np.arange(n) * rows // n][:, None]
    field = 0.03 * tone + 0.06 * (0.5 - row) - 0.35 * (row > 0.9) + 0.02 * noise(g, (n, n), (1.5, 60))
    return _shaded(colour, field.astype(np.float32), 2.4)


KINDS: dict[str, Callable[[Generator, Colour], Texture]] = {
    f.__name__: f for f in (asphalt, grass, foliage, paving, roof, boards)
}
"""Every kind of outdoor texture by name."""


@lru_cache(maxsize=256)
def road_texture(kind: str, variant: int, colour: Colour) -> Texture:
    """The outdoor texture of one kind (a key of `KINDS`), a pure function of its arguments.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in KINDS:
        raise InputError("texture kind", repr(kind), f"one of {', '.join(sorted(KINDS))}")
    return KINDS[kind](np.random.default_rng([variant, *kind.encode()]), colour)


def cloud_cover(g: Generator, share: float, size: int = 256) -> NDArray[np.float32]:
    """(size, size) seamless cover of the sky in [0, 1], about `share` of it clouded."""
    field = cloud(g, (size, size), size / 3, 6)
    level = float(np.quantile(field, 1 - min(max(share, 0.0), 1.0)))
    return np.clip((field - level) * 1.2 + 0.1, 0, 1).astype(np.float32) if share > 0 else np.zeros_like(field)
