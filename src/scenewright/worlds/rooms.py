"""Furnished rooms from a seed: plan, furniture, lights, and where a person can stand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.labels import LABELS
from scenewright.worlds import fixtures
from scenewright.worlds.furnish import furnish
from scenewright.worlds.layout import Layout
from scenewright.worlds.library import Library
from scenewright.worlds.model import Lamp, Placed, Room
from scenewright.worlds.parts import Part, chance
from scenewright.worlds.plan import KINDS, WEIGHTS, Plan, make_plan
from scenewright.worlds.shell import floor_and_ceiling, wall_parts
from scenewright.worlds.style import Style, make_style

SPLITS = ("train", "validation", "test")
_CELL = 0.12


def build_room(seed: int, split: str, kind: str | None = None, library: Library | None = None) -> Room:
    """A furnished room; the same arguments give the same room.

    Args:
        seed: any non-negative number.
        split: "train", "validation" or "test": rooms, furniture models and printed pictures differ between them.
        kind: one of `plan.KINDS`; None draws one.
        library: furniture models to mix in; None = parametric furniture alone.

    Raises:
        InputError: an unknown split or kind, or a negative seed.
    """
    if split not in SPLITS:
        raise InputError("split", repr(split), f"one of {', '.join(SPLITS)}")
    if seed < 0:
        raise InputError("seed", seed, "a non-negative number")
    if kind is not None and kind not in KINDS:
        raise InputError("kind", repr(kind), f"one of {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, SPLITS.index(split), 20])
    kind = str(rng.choice(KINDS, p=np.asarray(WEIGHTS) / sum(WEIGHTS))) if kind is None else kind
    plan = make_plan(rng, kind)
    style = make_style(rng, kind, split)
    supply = _no_supply if library is None else library.supply(split, rng)
    layout = Layout(rng, style, plan.extent[2], supply, float(rng.uniform(0.4, 1.5)))
    shell = _shell(rng, style, plan)
    for leaf in (p for p in shell if p.name == "door"):
        v = leaf.mesh.vertices @ leaf.T_world_object[:3, :3].T + leaf.T_world_object[:3, 3]
        (x0, y0, z0), (x1, y1, z1) = v.min(0).tolist(), v.max(0).tolist()
        layout.claim((x0, y0, x1, y1), z0, z1)
    _reserve(layout, plan)
    for area in plan.areas:
        furnish(layout, area)
    lamps, ambient = _lights(rng, layout, plan)
    free = standing_rectangles(layout.solid(), plan)
    focus = np.asarray(layout.focus, np.float32).reshape(-1, 3)
    placed = (*shell, *layout.placed)
    return Room(kind, seed, split, plan.extent, placed, lamps, ambient, free, focus)


def _no_supply(role: str, rng: np.random.Generator) -> Part | None:
    return None


def _shell(rng: np.random.Generator, style: Style, plan: Plan) -> list[Placed]:
    """Floors, ceiling and walls; the second area may have another floor."""
    w, d, height = plan.extent
    out: list[Placed] = []
    if len(plan.areas) > 1 and chance(rng, 0.4):
        cut = plan.areas[0].rect[3]
        out += floor_and_ceiling(style, 0, 0, w, cut, height)
        out += floor_and_ceiling(style, 0, cut, w, d, height, "carpet")
    else:
        out += floor_and_ceiling(style, 0, 0, w, d, height)
    accent = int(rng.integers(len(plan.walls))) if chance(rng, 0.35) else -1
    tiled = plan.areas[0].kind == "bathroom" and chance(rng, 0.75)
    skirting = chance(rng, 0.8) and not tiled
    for i, wall in enumerate(plan.walls):
        role = "tile" if tiled else "wall2" if i == accent else "wall"
        out += wall_parts(rng, style, wall, height, role, skirting)
    return out


def _reserve(layout: Layout, plan: Plan) -> None:
    """Keep doorways, windows and partitions clear."""
    for wall in plan.walls:
        for o in wall.openings:
            deep = 0.95 if o.kind != "window" else 0.22
            back = -wall.thickness - (deep if wall.both else 0.0)
            side = 0.3 if o.kind == "open door" else 0.05
            p, q = wall.point(o.a - side, back), wall.point(o.b + side, deep)
            rect = (min(p[0], q[0]), min(p[1], q[1]), max(p[0], q[0]), max(p[1], q[1]))
            layout.reserve(rect, o.z0 + 0.005, min(o.z1, 2.1) if o.kind != "window" else o.z1)
        if wall.both:
            x = 0.0
            gaps = [(o.a, o.b) for o in sorted(wall.openings, key=lambda o: o.a)]
            for stop, after in [*gaps, (wall.length, wall.length)]:
                if stop - x > 0.01:
                    p, q = wall.point(x, -wall.thickness), wall.point(stop, 0.0)
                    box = (min(p[0], q[0]), min(p[1], q[1]), max(p[0], q[0]), max(p[1], q[1]))
                    layout.claim(box, 0.0, layout.height)
                x = after


def _lights(rng: np.random.Generator, lay: Layout, plan: Plan) -> tuple[tuple[Lamp, ...], tuple[float, float, float]]:
    """Ceiling fittings with their lamps, daylight at windows, light from everywhere; from bright to dim and harsh."""
    mood = float(rng.choice([1.0, 0.5, 0.2], p=[0.55, 0.3, 0.15]))
    warm = rng.uniform(0.0, 1.0)
    tint = np.array([1.0, 0.97 - 0.13 * warm, 0.93 - 0.33 * warm])
    lamps: list[Lamp] = []
    for area in plan.areas:
        lamps += _ceiling_lamps(rng, lay, area.rect, tint, mood)
    level = 0.10 * mood * float(rng.uniform(0.4, 1.5))
    r, g, b = (level * (0.5 + 0.5 * tint) * np.array([1.0, 1.0, 1.02])).tolist()
    return tuple(lamps[:5]), (r, g, b)


def _ceiling_lamps(
    rng: np.random.Generator,
    lay: Layout,
    rect: tuple[float, float, float, float],
    tint: NDArray[np.float64],
    mood: float,
) -> list[Lamp]:
    """One to three fittings of one kind over an area."""
    x0, y0, x1, y1 = rect
    w, d = x1 - x0, y1 - y0
    out: list[Lamp] = []
    count = 1 if w * d < 14 else 2 if w * d < 30 else 3
    kind = str(rng.choice(["flat", "pendant", "track"], p=[0.5, 0.3, 0.2]))
    for i in range(count):
        t = (i + 0.5) / count
        x, y = (x0 + t * w, (y0 + y1) / 2) if w > d else ((x0 + x1) / 2, y0 + t * d)
        x, y = x + float(rng.normal(0, 0.15)), y + float(rng.normal(0, 0.15))
        drop = 0.12
        if kind == "pendant":
            drop = float(rng.uniform(0.35, max(0.4, lay.height - 1.75)))
            part = fixtures.pendant(rng, lay.style, drop)
            placed = lay.is_free((x - 0.3, y - 0.3, x + 0.3, y + 0.3), lay.height - drop, lay.height)
        elif kind == "track":
            part = fixtures.track_lights(rng, lay.style, min(2.4, max(w, d) / count * 0.6))
            drop, placed = 0.25, True
        else:
            part, placed = fixtures.ceiling_light(rng, lay.style), True
        yaw = 0.0 if kind == "pendant" or w > d else math.pi / 2
        if placed:
            lay.put(part, x, y, yaw, lay.height, check=False)
        power = mood * float(rng.uniform(4.0, 9.0)) * (w * d / count / 14) ** 0.5
        r, g, b = (power * tint).tolist()
        out.append(Lamp((x, y, lay.height - drop - 0.08), (r, g, b), float(rng.uniform(0.05, 0.25))))
    return out


def standing_rectangles(solid: NDArray[np.float64], plan: Plan, person: float = 2.0) -> NDArray[np.float32]:
    """(N, 4) float32 largest rectangles of floor that nothing solid enters between 0.03 m and `person` height.

    They overlap nothing and each other not at all; at least one is returned (the roomiest cell if all is crammed).
    """
    w, d, _ = plan.extent
    nx, ny = max(1, int(w / _CELL)), max(1, int(d / _CELL))
    free = np.ones((ny, nx), bool)
    for x0, y0, x1, y1, z0, z1 in solid:
        if z0 < person and z1 > 0.03:
            i0, i1 = math.floor((x0 - 0.12) / _CELL + 1e-6), math.ceil((x1 + 0.12) / _CELL - 1e-6)
            j0, j1 = math.floor((y0 - 0.12) / _CELL + 1e-6), math.ceil((y1 + 0.12) / _CELL - 1e-6)
            free[max(j0, 0) : max(j1, 0), max(i0, 0) : max(i1, 0)] = False
    free[[0, 1, -1], :], free[:, [0, 1, -1]] = False, False
    out: list[tuple[float, float, float, float]] = []
    for _ in range(9):
        i0, j0, i1, j1 = _largest_rectangle(free)
        if (i1 - i0) * (j1 - j0) < (12 if not out else 25) or min(i1 - i0, j1 - j0) < 2:
            break
        out.append((i0 * _CELL, j0 * _CELL, i1 * _CELL, j1 * _CELL))
        free[j0:j1, i0:i1] = False
    return np.asarray(out, np.float32).reshape(-1, 4)


def _largest_rectangle(free: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """i0, j0, i1, j1 of the largest all-true rectangle (histogram and stack, row by row)."""
    best, area = (0, 0, 0, 0), 0
    height = np.zeros(free.shape[1], int)
    for j in range(free.shape[0]):
        height = np.where(free[j], height + 1, 0)
        stack: list[tuple[int, int]] = []
        for i, h in enumerate([*height.tolist(), 0]):
            start = i
            while stack and stack[-1][1] >= h:
                start, tall = stack.pop()
                if tall * (i - start) > area:
                    area, best = tall * (i - start), (start, j + 1 - tall, i, j + 1)
            if h:
                stack.append((start, h))
    return best


def furnished(room: Room) -> int:
    """How many placed things are not part of the shell."""
    shell = {"wall", "floor", "ceiling", "skirting"}
    return sum(p.name not in shell and LABELS[p.label] not in ("ceiling", "floor") for p in room.placed)
