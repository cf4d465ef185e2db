"""Floor plans: one box, a box with a room beyond a doorway, an open plan, a corridor; walls, doors and windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from scenewright.worlds.layout import Area
from scenewright.worlds.parts import chance
from scenewright.worlds.shell import Opening, Wall

KINDS = ("kitchen", "office", "living room", "bedroom", "bathroom", "corridor", "hall")
WEIGHTS = (0.27, 0.22, 0.19, 0.1, 0.06, 0.06, 0.1)
_SIZES = {
    "kitchen": ((2.4, 5.5), (2.8, 6.5)), "office": ((3.0, 7.5), (3.5, 8.0)), "living room": ((3.4, 6.0), (3.8, 7.5)),
    "bedroom": ((2.8, 4.5), (3.2, 5.0)), "bathroom": ((1.8, 3.2), (2.0, 3.8)), "corridor": ((1.5, 2.6), (5.0, 12.0)),
    "hall": ((6.0, 10.0), (7.0, 13.0)),
}  # fmt: skip
_NEIGHBOURS = {
    "kitchen": ("living room", "kitchen", "corridor", "office", "hall"), "office": ("office", "corridor", "kitchen"),
    "living room": ("kitchen", "corridor", "living room", "bedroom"),
    "bedroom": ("corridor", "bathroom", "living room"),
    "bathroom": ("corridor", "bedroom"), "corridor": ("office", "kitchen", "living room", "bedroom"),
    "hall": ("kitchen", "corridor", "office"),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A building of one or two areas within [0, extent]."""

    extent: tuple[float, float, float]
    walls: tuple[Wall, ...]
    areas: tuple[Area, ...]


def make_plan(rng: np.random.Generator, kind: str) -> Plan:
    """A plan for a room of this kind: its first area has that kind, a second one may lie beyond."""
    (w0, w1), (d0, d1) = _SIZES[kind]
    w, d = float(rng.uniform(w0, w1)), float(rng.uniform(d0, d1))
    height = float(rng.uniform(3.2, 4.5)) if kind == "hall" and chance(rng, 0.5) else float(rng.uniform(2.35, 3.2))
    if kind == "bathroom":
        height = min(height, 2.7)
    share = {"bathroom": 0.3, "bedroom": 0.4, "corridor": 0.8, "hall": 0.35}.get(kind, 0.55)
    if not chance(rng, share):
        return _single(rng, kind, w, d, height)
    return _double(rng, kind, w, d, height)


def _single(rng: np.random.Generator, kind: str, w: float, d: float, height: float) -> Plan:
    outer = _outer(w, d)
    sides = [int(s) for s in rng.permutation(4)]
    doors = 1 + int(chance(rng, 0.3)) + (2 if kind == "corridor" else 0)
    walls = []
    windows = set(sides[1 : 1 + (0 if kind == "corridor" else 2 if chance(rng, 0.45) else 1)])
    for side, wall in enumerate(outer):
        n = doors if side == sides[0] else 1 if kind == "corridor" else 0
        walls.append(replace(wall, openings=_openings(rng, wall, kind, n, side in windows, height)))
    return Plan((w, d, height), tuple(walls), (Area((0, 0, w, d), tuple(walls), kind),))


def _double(rng: np.random.Generator, kind: str, w: float, d: float, height: float) -> Plan:
    """Two areas one behind the other along y: a doorway, a wide opening, or no wall at all between them."""
    other = _NEIGHBOURS[kind][int(rng.integers(len(_NEIGHBOURS[kind])))]
    (_, (e0, e1)) = _SIZES[other]
    depth = float(np.clip(rng.uniform(e0, e1), 2.2, 6.0))
    cut, total = d, d + depth
    thick = float(rng.uniform(0.09, 0.2))
    open_plan = chance(rng, 0.5) and kind not in ("bathroom", "bedroom") and other not in ("bathroom", "bedroom")
    if open_plan:
        a, b = sorted(rng.uniform(0, w, 2)) if chance(rng, 0.5) else (0.0, w)
        if b - a < min(1.6, 0.7 * w):
            a, b = 0.0, w
        full = a < 0.15 and b > w - 0.15
        gap = Opening(
            max(float(a), 0.1),
            min(float(b), w - 0.1),
            0.0,
            height if full or chance(rng, 0.6) else min(2.5, height - 0.1),
            "passage",
        )
        between = () if full else (_open_wall(w, cut, thick, gap),)
    else:
        width = float(rng.choice([0.85, 0.95, 1.2, 1.7], p=[0.4, 0.3, 0.15, 0.15]))
        width = min(width, w - 0.4)
        at = float(rng.uniform(0.15, w - width - 0.15))
        top = float(rng.uniform(2.0, 2.1))
        sort = "open door" if chance(rng, 0.55) else "passage"
        between = (Wall((0.0, cut), (w, cut), thick, (Opening(at, at + width, 0.0, top, sort),), both=True),)
    outer = list(_outer(w, total))
    for side in range(4):
        lit = chance(rng, 0.5) or side == 1
        doors = int(chance(rng, 0.35)) + (1 if kind == "corridor" and side in (1, 3) else 0)
        ban = (cut - thick - 0.3, cut + 0.3) if side == 1 else (total - cut - 0.3, total - cut + thick + 0.3)
        wanted = kind if side != 2 else other
        found = _openings(
            rng, outer[side], wanted, doors, lit and kind != "corridor", height, ban if side in (1, 3) else None
        )
        outer[side] = replace(outer[side], openings=found)
    return Plan((w, total, height), (*outer, *between), _split(outer, between, w, cut, total, thick, kind, other))


def _open_wall(w: float, cut: float, thick: float, gap: Opening) -> Wall:
    return Wall((0.0, cut), (w, cut), thick, (gap,), both=True)


def _split(
    outer: list[Wall],
    between: tuple[Wall, ...],
    w: float,
    cut: float,
    total: float,
    thick: float,
    kind: str,
    other: str,
) -> tuple[Area, Area]:
    """The two areas and the walls each can use. The partition's face at y = cut looks to +y; it extends to -y."""
    near = cut - thick if between else cut
    south, east, north, west = outer
    first = [south, _piece(east, 0.0, near), _piece(west, total - near, total)]
    second = [north, _piece(east, cut, total), _piece(west, 0.0, total - cut)]
    for wall in between:
        second.append(wall)
        flipped = tuple(Opening(w - o.b, w - o.a, o.z0, o.z1, o.kind) for o in wall.openings)
        first.append(Wall((w, near), (0.0, near), thick, flipped))
    return Area((0, 0, w, near), tuple(first), kind), Area((0, cut, w, total), tuple(second), other)


def _piece(wall: Wall, a: float, b: float) -> Wall:
    """The stretch of a wall between a and b, with the openings that lie in it."""
    kept = tuple(replace(o, a=o.a - a, b=o.b - a) for o in wall.openings if o.a >= a - 1e-6 and o.b <= b + 1e-6)
    return Wall(wall.point(a), wall.point(b), wall.thickness, kept)


def _outer(w: float, d: float) -> tuple[Wall, Wall, Wall, Wall]:
    """The four outer walls, counter-clockwise from y = 0."""
    corners = [(0.0, 0.0), (w, 0.0), (w, d), (0.0, d)]
    south, east, north, west = (Wall(corners[i], corners[(i + 1) % 4], 0.25) for i in range(4))
    return south, east, north, west


def _openings(
    rng: np.random.Generator, wall: Wall, kind: str, doors: int, windows: bool, height: float,
    ban: tuple[float, float] | None = None,
) -> tuple[Opening, ...]:  # fmt: skip
    """Doors and windows of one wall that keep clear of each other, of corners and of `ban`."""
    out: list[Opening] = []

    def fits(a: float, b: float, gap: float) -> bool:
        clear = all(b + gap < o.a or a - gap > o.b for o in out)
        return a > 0.12 and b < wall.length - 0.12 and clear and (ban is None or b < ban[0] or a > ban[1])

    for _ in range(doors):
        width = 1.6 if kind in ("hall", "corridor") and chance(rng, 0.25) else float(rng.uniform(0.8, 0.98))
        at = float(rng.uniform(0.13, max(0.14, wall.length - width - 0.13)))
        if chance(rng, 0.5):
            at = 0.2 if chance(rng, 0.5) else wall.length - width - 0.2
        if fits(at, at + width, 0.15):
            out.append(Opening(at, at + width, 0.0, float(rng.uniform(2.0, 2.12)), "door"))
    if windows:
        tall = kind in ("living room", "hall", "office") and chance(rng, 0.25)
        sill = 0.02 if tall else float(rng.uniform(1.05, 1.15) if kind == "kitchen" else rng.uniform(0.75, 0.95))
        sill = 1.3 if kind == "bathroom" else sill
        head = min(height - 0.15, float(rng.uniform(2.05, 2.5)))
        width = float(rng.uniform(0.7, 1.1) if kind == "bathroom" else rng.uniform(0.9, 2.2))
        count = max(1, math.floor((wall.length - 0.4) / (width + 0.5)))
        count = min(count, int(rng.integers(1, 5)))
        for i in range(count):
            middle = wall.length * (i + 0.5) / count
            if fits(middle - width / 2, middle + width / 2, 0.2):
                out.append(Opening(middle - width / 2, middle + width / 2, sill, head, "window"))
    return tuple(sorted(out, key=lambda o: o.a))
