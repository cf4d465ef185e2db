"""Shelves full of books and binders, wardrobes, chests, sideboards, filing cabinets."""

from __future__ import annotations

import numpy as np

from scenewright.worlds.parts import Part, Surface, bar_handle, chance, jitter, legs, part, pedestal
from scenewright.worlds.solids import MeshBuilder
from scenewright.worlds.style import Style


def book_row(
    b: MeshBuilder, rng: np.random.Generator, style: Style, x0: float, x1: float, y: float, z: float, clear: float,
    binders: bool = False,
) -> None:  # fmt: skip
    """Upright books (or office binders) between x0 and x1 with their backs at front plane `y`, standing at z."""
    count = max(1, int((x1 - x0) / 0.015))
    thick = rng.uniform(0.05, 0.08, count) if binders else rng.gamma(3.0, 0.009, count) + 0.008
    right = x0 + np.cumsum(thick)
    keep = right <= x1
    if not keep.any():
        return
    thick, right = thick[keep], right[keep]
    height = np.full(len(thick), 0.32) if binders else rng.uniform(0.17, 0.31, len(thick))
    height = np.minimum(height, clear - 0.02)
    depth = np.full(len(thick), 0.26) if binders else 0.6 * height + 0.02
    recess = rng.uniform(0.0, 0.03, len(thick))
    lo = np.stack([right - thick + 0.001, y + recess, np.full(len(thick), z)], 1)
    hi = np.stack([right - 0.001, y + recess + depth, z + height], 1)
    shade = rng.integers(len(style.books), size=len(thick))
    if binders:
        shade = np.where(rng.random(len(thick)) < 0.8, shade[0], shade)
    for s in np.unique(shade):
        b.boxes(lo[shade == s], hi[shade == s], style.books[int(s)])


def shelf(
    rng: np.random.Generator, style: Style, w: float | None = None, h: float | None = None, office: bool = False
) -> Part:
    """An open bookcase, its boards holding rows of books or left free for things."""
    b = MeshBuilder()
    w = float(rng.uniform(0.6, 1.2)) if w is None else w
    h = float(rng.choice([0.8, 1.2, 1.8, 2.0, 2.1])) if h is None else h
    d, t, wood = jitter(rng, 0.3 if not office else 0.38), 0.02, style["wood"] if chance(rng, 0.6) else style["front2"]
    for sx in (-1, 1):
        b.box((sx * (w / 2 - t / 2) - t / 2, -d / 2, 0), (sx * (w / 2 - t / 2) + t / 2, d / 2, h), wood)
    if chance(rng, 0.75):
        b.box((-w / 2 + t, d / 2 - 0.008, 0.05), (w / 2 - t, d / 2, h), wood)
    levels = np.linspace(0.07, h - t, max(2, round(h / 0.36) + 1))
    free = []
    for z, above in zip(levels, [*levels[1:], None], strict=True):
        b.box((-w / 2 + t, -d / 2, z), (w / 2 - t, d / 2 - 0.008, z + t), wood)
        if above is None:
            free.append(Surface(-w / 2, -d / 2, w / 2, d / 2, z + t, 0.4, "shelf"))
            continue
        clear = above - z - t
        full = float(rng.choice([0.0, 0.45, 0.8, 1.0], p=[0.2, 0.2, 0.3, 0.3])) * (w - 2 * t)
        x0 = -w / 2 + t
        if full > 0.1:
            book_row(b, rng, style, x0, x0 + full, -d / 2 + 0.02, z + t, clear, office and chance(rng, 0.6))
        if w - 2 * t - full > 0.2:
            free.append(Surface(x0 + full + 0.02, -d / 2 + 0.02, w / 2 - t, d / 2 - 0.02, z + t, clear, "shelf"))
    return part(b, "bookcase", "furniture", tuple(free))


def wall_shelf(rng: np.random.Generator, style: Style, w: float) -> Part:
    """A board on brackets, its back at +y, partly filled with books; the origin is at the board's under side."""
    b, d, t = MeshBuilder(), jitter(rng, 0.24), 0.025
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, t), style["wood"] if chance(rng, 0.5) else style["fabric2"])
    for x in (-w / 2 + 0.12, w / 2 - 0.12):
        b.box((x - 0.012, -d / 2 + 0.04, -0.02), (x + 0.012, d / 2, 0), style["metal"])
        b.box((x - 0.012, d / 2 - 0.02, -0.16), (x + 0.012, d / 2, 0), style["metal"])
    full = float(rng.choice([0.0, 0.4, 0.7])) * w
    if full > 0.1:
        book_row(b, rng, style, -w / 2 + 0.02, -w / 2 + full, -d / 2 + 0.03, t, 0.5)
    free = Surface(-w / 2 + full + 0.02, -d / 2 + 0.01, w / 2, d / 2, t, 0.35, "shelf")
    return part(b, "wall shelf", "furniture", (free,))


def doors(
    b: MeshBuilder, style: Style, w: float, y: float, z0: float, z1: float, count: int, role: str = "front"
) -> None:
    """A row of cupboard doors with upright handles, fronts at y."""
    step = w / count
    for i in range(count):
        x0 = -w / 2 + i * step
        b.box((x0 + 0.002, y, z0), (x0 + step - 0.002, y + 0.018, z1), style[role])
        left = i % 2 == 1
        x = x0 + (0.045 if left else step - 0.045)
        at = min(max(1.0, z0 + 0.12), z1 - 0.12) if z1 - z0 > 0.3 else (z0 + z1) / 2
        bar_handle(b, x, y, at, min(0.18, 0.5 * (z1 - z0)), style["handle"], upright=True)


def wardrobe(rng: np.random.Generator, style: Style, w: float | None = None) -> Part:
    """A tall cupboard with two to five doors."""
    b = MeshBuilder()
    w = float(rng.choice([0.8, 1.0, 1.5, 2.0])) if w is None else w
    d, h = jitter(rng, 0.6), float(rng.uniform(1.9, 2.3))
    b.box((-w / 2, -d / 2 + 0.02, 0.0), (w / 2, d / 2, h), style["front"])
    base = 0.06
    if chance(rng, 0.4):
        pedestal(b, 0, 0, 0.06, w, d, 0.34, style, 1)
        base = 0.42
    doors(b, style, w, -d / 2, base, h - 0.01, max(2, round(w / 0.48)))
    return part(b, "wardrobe", "furniture", (Surface(-w / 2, -d / 2, w / 2, d / 2, h, 0.35, "store"),))


def sideboard(rng: np.random.Generator, style: Style, w: float | None = None, h: float | None = None) -> Part:
    """A low cupboard of doors and drawers on feet or a plinth (also a television stand, a shoe cupboard, a chest)."""
    b = MeshBuilder()
    w = float(rng.uniform(0.9, 1.8)) if w is None else w
    h = float(rng.uniform(0.55, 0.95)) if h is None else h
    d = jitter(rng, 0.43)
    foot = float(rng.choice([0.03, 0.12, 0.18]))
    role = "front2" if chance(rng, 0.5) else "wood"
    legs(b, w - 0.05, d - 0.05, foot, 0.04, style["metal"] if chance(rng, 0.4) else style["wood"])
    b.box((-w / 2, -d / 2 + 0.02, foot), (w / 2, d / 2, h), style[role])
    columns = max(1, round(w / 0.5))
    for i in range(columns):
        x = -w / 2 + (i + 0.5) * w / columns
        if chance(rng, 0.45):
            with b.at((x, 0, 0)):
                doors(b, style, w / columns, -d / 2, foot + 0.01, h - 0.02, 1, role)
        else:
            _drawers(b, style, x, -d / 2, foot + 0.01, w / columns, h - 0.02, max(1, round((h - foot) / 0.2)), role)
    return part(b, "sideboard", "furniture", (Surface(-w / 2, -d / 2, w / 2, d / 2, h, 0.9, "sideboard"),))


def _drawers(
    b: MeshBuilder, style: Style, x: float, y: float, z0: float, w: float, z1: float, count: int, role: str
) -> None:
    step = (z1 - z0) / count
    for i in range(count):
        lo = (x - w / 2 + 0.002, y, z0 + i * step + 0.002)
        b.box(lo, (x + w / 2 - 0.002, y + 0.018, z0 + (i + 1) * step - 0.002), style[role])
        bar_handle(b, x, y, z0 + (i + 0.6) * step, min(0.16, 0.4 * w), style["handle"])


def filing_cabinet(rng: np.random.Generator, style: Style) -> Part:
    """A steel cabinet: a low drawer unit on castors, or a tall one with two doors."""
    b = MeshBuilder()
    if chance(rng, 0.6):
        w, d, h = 0.42, 0.56, float(rng.choice([0.58, 0.7, 1.32]))
        pedestal(b, 0, 0, 0.03, w, d, h - 0.03, style, round(h / 0.25))
        legs(b, w - 0.04, d - 0.04, 0.03, 0.04, style["black"])
    else:
        w, d, h = 0.92, 0.42, float(rng.choice([1.0, 1.95]))
        b.box((-w / 2, -d / 2 + 0.02, 0.0), (w / 2, d / 2, h), style["front2"])
        doors(b, style, w, -d / 2, 0.05, h - 0.02, 2, "front2")
    return part(b, "filing cabinet", "furniture", (Surface(-w / 2, -d / 2 + 0.02, w / 2, d / 2, h, 0.5, "sideboard"),))


def nightstand(rng: np.random.Generator, style: Style) -> Part:
    """A bedside table with a drawer or two."""
    b, w, d, h = MeshBuilder(), jitter(rng, 0.45), jitter(rng, 0.4), jitter(rng, 0.5)
    legs(b, w, d, 0.15, 0.035, style["wood"])
    pedestal(b, 0, 0, 0.15, w, d, h - 0.17, style, int(rng.integers(1, 3)))
    b.box((-w / 2 - 0.01, -d / 2 - 0.01, h - 0.02), (w / 2 + 0.01, d / 2, h), style["wood"])
    return part(b, "nightstand", "furniture", (Surface(-w / 2, -d / 2, w / 2, d / 2, h, 0.6, "bedside"),))
