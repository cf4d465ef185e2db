"""The building: walls with openings, floors, ceilings, doors, windows, skirting boards, pillars, beams."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scenewright.labels import LABELS
from scenewright.worlds.fixtures import blind_strips
from scenewright.worlds.model import Placed
from scenewright.worlds.parts import Part, chance, part
from scenewright.worlds.solids import MeshBuilder, placement
from scenewright.worlds.style import Style


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Args:
        a, b: its sides, metres along the wall from its start.
        z0, z1: its lower and upper edge.
        kind: "door", "open door", "passage" (no leaf) or "window".
    """

    a: float
    b: float
    z0: float
    z1: float
    kind: str


@dataclass(frozen=True)
class Wall:
    """A straight wall. Standing at its start and looking along it, the room it belongs to is on the left.

    Args:
        start, end: (2,) on the face that looks into the room.
        thickness: it extends this far to the right of its direction.
        openings: doors and windows, not overlapping.
        both: a partition, with rooms on both sides.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    thickness: float
    openings: tuple[Opening, ...] = ()
    both: bool = False

    @property
    def length(self) -> float:
        """Metres."""
        return math.dist(self.start, self.end)

    @property
    def angle(self) -> float:
        """Direction of the wall, radians; things with their back to it are turned by angle + pi."""
        return math.atan2(self.end[1] - self.start[1], self.end[0] - self.start[0])

    def point(self, along: float, off: float = 0.0) -> tuple[float, float]:
        """World position `along` the wall, `off` metres into the room."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.start[0] + along * c - off * s, self.start[1] + along * s + off * c


def wall_parts(
    rng: np.random.Generator, style: Style, wall: Wall, height: float, role: str, skirting: bool
) -> list[Placed]:
    """The wall itself and its skirting, doors and windows."""
    T = placement((*wall.start, 0.0), wall.angle)
    b = MeshBuilder()
    cut = sorted(wall.openings, key=lambda o: o.a)
    x = 0.0 if wall.both else -wall.thickness
    stop = wall.length if wall.both else wall.length + wall.thickness
    for o in cut:
        if o.a > x:
            b.box((x, -wall.thickness, 0), (o.a, 0, height), style[role])
        if o.z0 > 0.01:
            b.box((o.a, -wall.thickness, 0), (o.b, 0, o.z0), style[role])
        if o.z1 < height - 0.01:
            b.box((o.a, -wall.thickness, o.z1), (o.b, 0, height), style[role])
        x = o.b
    b.box((x, -wall.thickness, 0), (stop, 0, height), style[role])
    out = [Placed(b.mesh(), T, LABELS.index("wall"), "wall")]
    if skirting:
        out += _skirting(style, wall, cut, T)
    for o in cut:
        made = window(rng, style, o, wall.thickness) if o.kind == "window" else door(rng, style, o, wall.thickness)
        where = placement((*wall.point((o.a + o.b) / 2), 0.0), wall.angle + math.pi)
        out += [Placed(p.mesh, where, p.label, p.name) for p in made]
    return out


def _skirting(style: Style, wall: Wall, cut: list[Opening], T: np.ndarray) -> list[Placed]:
    b, x, h, used = MeshBuilder(), 0.0, 0.07, False
    for a, e in [(o.a - 0.06, o.b + 0.06) for o in cut if o.z0 < 0.05] + [(wall.length, 0.0)]:
        if a - x > 0.02:
            b.box((x, 0, 0), (a, 0.012, h), style["skirting"])
            if wall.both:
                b.box((x, -wall.thickness - 0.012, 0), (a, -wall.thickness, h), style["skirting"])
            used = True
        x = e
    return [Placed(b.mesh(), T, LABELS.index("wall"), "skirting")] if used else []


def door(rng: np.random.Generator, style: Style, o: Opening, depth: float) -> list[Part]:
    """Frame and leaf of a door, in a frame whose y = 0 is the wall's face and whose +y goes into the wall."""
    w, h = o.b - o.a, o.z1
    b, trim, f = MeshBuilder(), 0.06, style["frame"] if chance(rng, 0.6) else style["door"]
    for sx in (-1, 1):
        x0, x1 = sorted((sx * (w / 2 - 0.03), sx * (w / 2 + trim)))
        for y0, y1 in ((-0.014, 0.0), (depth, depth + 0.014)):
            b.box((x0, y0, 0), (x1, y1, h + trim), f)
        x0, x1 = sorted((sx * (w / 2 - 0.03), sx * w / 2))
        b.box((x0, 0, 0), (x1, depth, h), f)
    b.box((-w / 2, 0, h - 0.03), (w / 2, depth, h), f)
    for y0, y1 in ((-0.014, 0.0), (depth, depth + 0.014)):
        b.box((-w / 2, y0, h - 0.03), (w / 2, y1, h + trim), f)
    parts = [part(b, "door frame", "wall")]
    if o.kind == "passage":
        return parts
    leaves = 2 if w > 1.3 else 1
    for i in range(leaves):
        parts.append(_leaf(rng, style, (w - 0.06) / leaves, h - 0.035, depth, w, i, leaves, o.kind == "open door"))
    return parts


def _leaf(
    rng: np.random.Generator,
    style: Style,
    w: float,
    h: float,
    depth: float,
    opening: float,
    i: int,
    leaves: int,
    is_open: bool,
) -> Part:
    """A door leaf: plain, panelled or glazed; open ones stand back against the far room."""
    b, left = MeshBuilder(), i == 0 and (leaves == 2 or chance(rng, 0.5))
    hinge = -opening / 2 + 0.03 if left else opening / 2 - 0.03
    sign = 1 if left else -1
    swing = sign * float(rng.uniform(1.2, 1.75)) if is_open else 0.0
    with b.at((hinge, depth if is_open else 0.01, 0.008), yaw=swing):
        x0, x1 = sorted((0.0, sign * w))
        b.box((x0, 0, 0), (x1, 0.04, h), style["door"])
        kind = int(rng.integers(3))
        inset = 0.13
        if kind == 1:
            for z0, z1 in ((0.12, 0.9), (1.02, h - 0.13)):
                for y in (-0.006, 0.04):
                    b.box((x0 + inset, y, z0), (x1 - inset, y + 0.006, z1), style["door"].tinted(0.85))
        elif kind == 2:
            for y in (-0.002, 0.04):
                b.box(
                    (x0 + inset, y, 1.0 if chance(rng, 0.5) else 0.25),
                    (x1 - inset, y + 0.002, h - 0.15),
                    style["glass"],
                )
        xh = sign * (w - 0.06)
        for y in (-0.045, 0.04 + 0.03):
            b.box(
                (xh - 0.055 * (sign > 0) * 2 - (0.01 if sign < 0 else 0), y, 1.03),
                (xh + 0.055 * (sign < 0) * 2 + (0.01 if sign > 0 else 0), y + 0.015, 1.05),
                style["steel"],
            )
        b.box((xh - 0.02, -0.045, 1.0), (xh + 0.02, 0.085, 1.075), style["steel"])
    return part(b, "door", "wall")


def window(rng: np.random.Generator, style: Style, o: Opening, depth: float) -> list[Part]:
    """Frame, panes, sill, blind of a window; y = 0 is the wall's face, +y goes into the wall. The bright outside is a
    glowing pane behind the frame."""
    w, b, f = o.b - o.a, MeshBuilder(), style["frame"]
    y0, y1 = depth - 0.1, depth - 0.04
    t = float(rng.uniform(0.045, 0.07))
    b.box((-w / 2, y0, o.z0), (w / 2, y1, o.z0 + t), f)
    b.box((-w / 2, y0, o.z1 - t), (w / 2, y1, o.z1), f)
    columns = max(1, round(w / float(rng.uniform(0.7, 1.3))))
    for i in range(columns + 1):
        x = -w / 2 + i * w / columns
        half = t if 0 < i < columns else t / 2
        x = min(max(x, -w / 2 + t / 2), w / 2 - t / 2)
        b.box((x - half, y0 - 0.001, o.z0), (x + half, y1, o.z1), f)
    if chance(rng, 0.4):
        z = o.z1 - 0.28 * (o.z1 - o.z0)
        b.box((-w / 2, y0 + 0.002, z - t / 2), (w / 2, y1, z + t / 2), f)
    for i in range(columns):
        b.box(
            (-w / 2 + (i + 0.5) * w / columns - 0.2 * w / columns, y0 - 0.035, (o.z0 + o.z1) / 2),
            (-w / 2 + (i + 0.5) * w / columns - 0.2 * w / columns + 0.02, y0, (o.z0 + o.z1) / 2 + 0.12),
            style["steel"],
        )
    if o.z0 > 0.2:
        b.box((-w / 2 - 0.04, -0.06, o.z0 - 0.025), (w / 2 + 0.04, y0, o.z0), style["white"])
    if chance(rng, 0.35):
        blind_strips(b, style, w - 0.04, 0.04, o.z1, float(rng.uniform(0.1, 1.0)) * (o.z1 - o.z0))
    pane, y = MeshBuilder(), depth - 0.06
    pane.panel([(-w / 2, y, o.z0), (w / 2, y, o.z0), (w / 2, y, o.z1), (-w / 2, y, o.z1)], style.outside)
    return [part(b, "window", "window"), part(pane, "window pane", "window")]


def floor_and_ceiling(
    style: Style, x0: float, y0: float, x1: float, y1: float, height: float, role: str = "floor"
) -> list[Placed]:
    """Slabs of a rectangle."""
    out = []
    for name, z0, z1 in ((role, -0.1, 0.0), ("ceiling", height, height + 0.1)):
        b = MeshBuilder()
        b.box((x0, y0, z0), (x1, y1, z1), style[name])
        out.append(
            Placed(
                b.mesh(),
                np.eye(4),
                LABELS.index("ceiling" if name == "ceiling" else "floor"),
                "ceiling" if name == "ceiling" else "floor",
            )
        )
    return out


def pillar(rng: np.random.Generator, style: Style, height: float) -> Part:
    """A free column, square or round."""
    b, s = MeshBuilder(), float(rng.uniform(0.28, 0.45))
    if chance(rng, 0.6):
        b.block((0, 0, 0), (s, s, height), style["wall"])
    else:
        b.tube([(0, 0, 0), (0, 0, height)], s / 2, style["wall"], 20, caps=False)
    return part(b, "pillar", "wall")
