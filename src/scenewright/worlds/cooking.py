"""Fitting a kitchen: runs of units along one, two or three walls, an island, wall cupboards, hood, fridge."""

from __future__ import annotations

import math

import numpy as np

from scenewright.worlds import kitchen
from scenewright.worlds.layout import Area, Layout
from scenewright.worlds.parts import Part, chance, part, stool
from scenewright.worlds.shell import Wall
from scenewright.worlds.solids import MeshBuilder

_CORNER = kitchen.DEPTH + 0.02
Run = tuple[Wall, float, float]


def fit_kitchen(lay: Layout, area: Area) -> None:
    """Counter runs in I, L, U or galley shape and perhaps an island; true sizes: worktop at about 0.9 m."""
    h = float(lay.rng.uniform(0.88, 0.94))
    runs = _runs(lay, area)
    if not runs:
        return
    longest = max(range(len(runs)), key=lambda i: runs[i][2] - runs[i][1])
    uppers = chance(lay.rng, 0.8)
    roles = ("front", "front2") if chance(lay.rng, 0.6) else ("front", "front")
    top = float(lay.rng.uniform(2.05, 2.25))
    for i, (wall, a, b) in enumerate(runs):
        fit_run(
            lay,
            wall,
            a,
            b,
            h,
            main=i == longest,
            uppers=uppers and not (i != longest and chance(lay.rng, 0.3)),
            role=roles[1],
            top=top,
        )
    w, d = area.size
    if min(w, d) > 3.4 and chance(lay.rng, 0.35):
        _island(lay, area, h)


def _runs(lay: Layout, area: Area) -> list[Run]:
    """Stretches of wall for counters: a best wall, and its neighbours round the corner."""
    stretches = [_longest_stretch(wall) for wall in area.walls]
    order = sorted(
        range(len(area.walls)), key=lambda i: -(stretches[i][1] - stretches[i][0]) * float(lay.rng.uniform(0.5, 1.0))
    )
    best = order[0]
    wall, (a, b) = area.walls[best], stretches[best]
    length = min(b - a, float(lay.rng.uniform(2.2, 5.0)))
    if length < 1.2:
        return []
    at_end = chance(lay.rng, 0.5)
    a, b = (b - length, b) if at_end else (a, a + length)
    runs: list[Run] = [(wall, a, b)]
    wish = float(lay.rng.random())
    for i, (other, stretch) in enumerate(zip(area.walls, stretches, strict=True)):
        if i == best or wish < 0.3 or (len(runs) > 1 and wish < 0.75):
            continue
        if math.dist(other.start, wall.end) < 0.02 and b > wall.length - 0.05 and stretch[0] < 0.05:
            far = min(stretch[1], float(lay.rng.uniform(1.6, 3.4)))
            if far - _CORNER > 0.9:
                runs.append((other, _CORNER, far))
        elif math.dist(other.end, wall.start) < 0.02 and a < 0.05 and stretch[1] > other.length - 0.05:
            near = max(stretch[0], other.length - float(lay.rng.uniform(1.6, 3.4)))
            if other.length - _CORNER - near > 0.9:
                runs.append((other, near, other.length - _CORNER))
    return runs


def _longest_stretch(wall: Wall) -> tuple[float, float]:
    """The longest part of a wall without doors, passages or low windows."""
    edges, best = 0.0, (0.0, 0.0)
    blocks = [(o.a - 0.1, o.b + 0.1) for o in wall.openings if o.z0 < 0.97] + [(wall.length, wall.length)]
    for a, b in sorted(blocks):
        if a - edges > best[1] - best[0]:
            best = (edges, a)
        edges = max(edges, b)
    return best


def fit_run(
    lay: Layout, wall: Wall, a: float, b: float, h: float, *, main: bool, uppers: bool, role: str, top: float
) -> None:
    """Units from a to b along a wall: tall ones at one end, base units under one worktop, wall cupboards above."""
    rng = lay.rng
    if main and b - a > 2.6:
        for use in ("fridge", "oven", "larder")[: 1 + int(chance(rng, 0.4))]:
            wide = 0.6
            middle = b - wide / 2 if a < 0.05 or chance(rng, 0.5) else a + wide / 2
            if use == "fridge" and chance(rng, 0.5):
                unit = lay.make("fridge", lambda: kitchen.fridge(rng, lay.style), 0.4)
                wide = unit.size[0] + 0.02
                middle = b - wide / 2 if middle > (a + b) / 2 else a + wide / 2
            else:
                unit = kitchen.tall_unit(rng, lay.style, wide, min(top, lay.height - 0.05), use)
            if _stand(lay, unit, wall, middle):
                a, b = (a, middle - wide / 2) if middle > (a + b) / 2 else (middle + wide / 2, b)
    hob = _base(lay, wall, a, b, h, main)
    _splash(lay, wall, a, b, h)
    if uppers:
        _uppers(lay, wall, a, b, hob, role, top)
    elif hob is not None:
        _hood(lay, wall, hob)


def _stand(lay: Layout, unit: Part, wall: Wall, along: float, dress: bool = True) -> bool:
    return lay.at_wall(unit, wall, along, gap=0.005, dress=dress)


def _base(lay: Layout, wall: Wall, a: float, b: float, h: float, main: bool) -> float | None:
    """Base units and the worktop; returns where the hob is."""
    rng, uses = lay.rng, []
    widths = _modules(rng, b - a)
    for w in widths:
        if 0.55 < w < 0.65 and chance(rng, 0.35):
            uses.append(str(rng.choice(["oven", "dishwasher", "washer", "dishwasher"])))
        else:
            uses.append("drawers" if chance(rng, 0.35) else "doors")
    x = a
    for w, use in zip(widths, uses, strict=True):
        _stand(lay, kitchen.base_unit(rng, lay.style, w, h - 0.036, use), wall, x + w / 2)
        x += w
    length = b - a
    sink = float(rng.uniform(0.45, length - 0.45)) if length > 1.2 and (main or chance(rng, 0.4)) else None
    hob = None
    if length > 1.9 and (main or chance(rng, 0.4)):
        for _ in range(8):
            guess = float(rng.uniform(0.35, length - 0.35))
            if sink is None or abs(guess - sink) > 0.8:
                hob = guess
                break
    middle = length / 2
    top = kitchen.worktop(rng, lay.style, length, h, _local(sink, middle), _local(hob, middle))
    lay.at_wall(top, wall, (a + b) / 2, gap=0.0, check=False)
    return None if hob is None else a + hob


def _local(x: float | None, middle: float) -> float | None:
    """Position in the frame of a thing whose back is at the wall: its x runs against the wall's direction."""
    return None if x is None else middle - x


def _modules(rng: np.random.Generator, length: float) -> list[float]:
    """Widths of units that fill a length exactly: 0.4 to 0.9 m, the last one stretched."""
    out: list[float] = []
    rest = length
    while rest > 1.2:
        w = float(rng.choice([0.4, 0.5, 0.6, 0.6, 0.6, 0.8, 0.9]))
        out.append(w)
        rest -= w
    return [*out, rest] if rest < 0.95 else [*out, rest / 2, rest / 2]


def _splash(lay: Layout, wall: Wall, a: float, b: float, h: float) -> None:
    """The splashback: tiles or a panel from the worktop up, cut around windows."""
    builder, top = MeshBuilder(), 1.44 if chance(lay.rng, 0.8) else h + 0.12
    x, done = a, False
    holes = [(max(o.a - 0.05, a), min(o.b + 0.05, b), o.z0 - 0.03) for o in wall.openings if o.b > a and o.a < b]
    for c, d, z in [*sorted(holes), (b, b, 0.0)]:
        for x0, x1, z1 in ((x, c, top), (c, d, min(z, top))):
            if x1 - x0 > 0.02 and z1 - h > 0.02:
                middle = (a + b) / 2
                builder.box((middle - x1, -0.012, h + 0.001), (middle - x0, 0.0, z1), lay.style["splash"])
                done = True
        x = d
    if done:
        lay.at_wall(
            part(builder, "splashback", "wall"), wall, (a + b) / 2, flush=True, gap=0.0, check=False, dress=False
        )
        lay.forget()


def _uppers(lay: Layout, wall: Wall, a: float, b: float, hob: float | None, role: str, top: float) -> None:
    """Wall cupboards from 1.45 m up, a hood over the hob, gaps at windows."""
    rng, bottom = lay.rng, float(lay.rng.uniform(1.4, 1.5))
    edges = [(a, b)] if hob is None else [(a, hob - 0.46), (hob + 0.46, b)]
    if hob is not None:
        _hood(lay, wall, hob)
    for x, stop in edges:
        if stop - x < 0.35:
            continue
        for w in _modules(rng, stop - x):
            height = top - bottom
            if w < 0.36 or chance(rng, 0.08):
                x += w
                continue
            if chance(rng, 0.14):
                unit = kitchen.open_wall_unit(rng, lay.style, w, height, chance(rng, 0.6))
            else:
                unit = kitchen.wall_unit(rng, lay.style, w - 0.002, height, role)
            lay.at_wall(unit, wall, x + w / 2, bottom, gap=0.004)
            x += w


def _hood(lay: Layout, wall: Wall, along: float) -> None:
    bottom = float(lay.rng.uniform(1.52, 1.65))
    lay.at_wall(kitchen.hood(lay.rng, lay.style, lay.height - 0.01, bottom), wall, along, bottom, gap=0.004)


def _island(lay: Layout, area: Area, h: float) -> None:
    """A free block of base units under a deep worktop, with bar stools on one side."""
    rng = lay.rng
    length, depth = float(rng.uniform(1.3, 2.4)), 0.95
    x0, y0, x1, y1 = area.rect
    for _ in range(12):
        yaw = float(rng.choice([0.0, math.pi / 2]))
        rw, rd = (length / 2, depth / 2) if yaw == 0.0 else (depth / 2, length / 2)
        if x1 - x0 < 2 * rw + 1.6 or y1 - y0 < 2 * rd + 1.6:
            continue
        x, y = float(rng.uniform(x0 + rw + 0.8, x1 - rw - 0.8)), float(rng.uniform(y0 + rd + 0.8, y1 - rd - 0.8))
        if lay.is_free((x - rw - 0.7, y - rd - 0.7, x + rw + 0.7, y + rd + 0.7), 0.05, 2.0):
            _build_island(lay, area, x, y, yaw, length, depth, h)
            return


def _build_island(
    lay: Layout, area: Area, x: float, y: float, yaw: float, length: float, depth: float, h: float
) -> None:
    rng = lay.rng
    c, s = math.cos(yaw), math.sin(yaw)
    at = -length / 2
    for w in _modules(rng, length - 0.02):
        lx, ly = at + 0.01 + w / 2, -depth / 2 + 0.32
        unit = kitchen.base_unit(rng, lay.style, w, h - 0.036, "drawers" if chance(rng, 0.5) else "doors")
        lay.put(unit, x + c * lx - s * ly, y + s * lx + c * ly, yaw)
        at += w
    lay.put(kitchen.worktop(rng, lay.style, length, h, None, None, depth), x, y, yaw, check=False)
    seat = stool(rng, lay.style, float(rng.uniform(0.62, 0.7)))
    for lx in np.arange(-length / 2 + 0.35, length / 2 - 0.2, 0.6):
        ly = depth / 2 + 0.1
        lay.put(
            seat,
            x + c * lx - s * ly,
            y + s * lx + c * ly,
            yaw + float(rng.normal(0, 0.2)),
            area=area.rect,
            dress=False,
            ignore=lay.last,
        )
