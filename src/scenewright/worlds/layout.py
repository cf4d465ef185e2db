"""Placing things in a room without collisions: boxes of claimed space, walls to stand at, surfaces to stand on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scenewright.worlds.clutter import USES
from scenewright.worlds.model import Placed
from scenewright.worlds.parts import Maker, Part, Surface, chance
from scenewright.worlds.shell import Wall
from scenewright.worlds.solids import placement
from scenewright.worlds.style import Style

Rect = tuple[float, float, float, float]
Supply = Callable[[str, np.random.Generator], Part | None]
"""Asks the furniture library for a part in a role ("chair", "sofa", ...); None where it has none."""


@dataclass(frozen=True)
class Area:
    """A part of the building that is furnished for one purpose.

    Args:
        rect: x0, y0, x1, y1, metres.
        walls: what furniture can stand at, each with this area on its left.
        kind: a kind of room.
    """

    rect: Rect
    walls: tuple[Wall, ...]
    kind: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and depth, metres."""
        return self.rect[2] - self.rect[0], self.rect[3] - self.rect[1]


class Layout:
    """A room being furnished: what stands where, and which space is taken.

    Args:
        rng: the room's generator.
        style: its finishes.
        height: of the ceiling.
        supply: the furniture library, or a function that always returns None.
        density: how much lies about, about 0.3 (tidy) to 1.5.
    """

    def __init__(
        self, rng: np.random.Generator, style: Style, height: float, supply: Supply, density: float = 1.0
    ) -> None:
        self.rng, self.style, self.height, self.supply, self.density = rng, style, height, supply, density
        self.placed: list[Placed] = []
        self.focus: list[tuple[float, float, float]] = []
        self._taken: list[tuple[float, ...]] = []
        self._solid: list[bool] = []

    def reserve(self, rect: Rect, z0: float, z1: float) -> None:
        """Keep a box clear of furniture (doors, windows) though nothing stands in it."""
        self._taken.append((*rect, z0, z1))
        self._solid.append(False)

    def claim(self, rect: Rect, z0: float, z1: float) -> None:
        """Mark a box as filled."""
        self._taken.append((*rect, z0, z1))
        self._solid.append(True)

    def is_free(self, rect: Rect, z0: float, z1: float, ignore: int | None = None, tolerance: float = 0.004) -> bool:
        """Whether nothing claimed meets the box; `ignore` names one claim (by number) that may."""
        if not self._taken:
            return True
        t = np.asarray(self._taken)
        e = tolerance
        hit = (t[:, 0] < rect[2] - e) & (t[:, 2] > rect[0] + e) & (t[:, 1] < rect[3] - e) & (t[:, 3] > rect[1] + e)
        hit &= (t[:, 4] < z1 - e) & (t[:, 5] > z0 + e)
        if ignore is not None:
            hit[ignore] = False
        return not bool(hit.any())

    def solid(self) -> np.ndarray:
        """(N, 6) filled boxes x0 y0 x1 y1 z0 z1."""
        return np.asarray([t for t, s in zip(self._taken, self._solid, strict=True) if s]).reshape(-1, 6)

    def forget(self) -> None:
        """Take the newest claim back: the thing placed last is flat against a wall and hinders nothing."""
        self._taken.pop()
        self._solid.pop()

    @property
    def last(self) -> int:
        """Number of the newest claim."""
        return len(self._taken) - 1

    def make(self, role: str, maker: Callable[[], Part], share: float = 0.5) -> Part:
        """A part from the library with probability `share`, else the parametric one."""
        found = self.supply(role, self.rng) if chance(self.rng, share) else None
        return maker() if found is None else found

    def put(
        self, part: Part, x: float, y: float, yaw: float = 0.0, z: float = 0.0, *, area: Rect | None = None,
        check: bool = True, ignore: int | None = None, dress: bool = True, margin: float = 0.0,
    ) -> bool:  # fmt: skip
        """Place a part with its origin at (x, y, z) if the space is free (and inside `area`); True when placed."""
        rect = footprint(part, x, y, yaw)
        low = z + min(0.0, float(part.mesh.vertices[:, 2].min()))
        top = z + part.size[2]
        if check:
            wide = (rect[0] - margin, rect[1] - margin, rect[2] + margin, rect[3] + margin)
            if area is not None and not _inside(rect, area):
                return False
            if top > self.height + 1e-3 or not self.is_free(wide, low + 1e-3, top, ignore):
                return False
        self.placed.append(Placed(part.mesh, placement((x, y, z), yaw), part.label, part.name, part.source))
        if top - low > 0.03:
            self.claim(rect, low, top)
        if z < 1.6:
            self.focus.append((x, y, z + 0.6 * part.size[2]))
        if dress:
            for surface in part.surfaces:
                self.dress(surface, x, y, yaw, z)
        return True

    def at_wall(
        self, part: Part, wall: Wall, along: float, z: float = 0.0, gap: float = 0.005, *, check: bool = True,
        flush: bool = False, dress: bool = True, area: Rect | None = None,
    ) -> bool:  # fmt: skip
        """Place a part with its back to a wall, its middle `along` it; `flush` parts have their back at y = 0."""
        off = gap if flush else part.size[1] / 2 + gap
        half = part.size[0] / 2
        if check and (along - half < -1e-3 or along + half > wall.length + 1e-3):
            return False
        x, y = wall.point(along, off)
        return self.put(part, x, y, wall.angle + math.pi, z, check=check, dress=dress, area=area)

    def somewhere_at_wall(
        self, part: Part, area: Area, z: float = 0.0, *, flush: bool = False, gap: float = 0.01, tries: int = 12,
        corner: float = 0.0,
    ) -> Wall | None:  # fmt: skip
        """Try random places along the area's walls (into a corner with probability `corner`); the wall, or None."""
        for _ in range(tries):
            wall = area.walls[int(self.rng.integers(len(area.walls)))]
            half = part.size[0] / 2 + 0.02
            if wall.length < 2 * half:
                continue
            along = float(self.rng.uniform(half, wall.length - half))
            if chance(self.rng, corner):
                along = half if chance(self.rng, 0.5) else wall.length - half
            if self.at_wall(part, wall, along, z, gap, flush=flush, area=area.rect):
                return wall
        return None

    def somewhere(
        self, part: Part, area: Rect, z: float = 0.0, margin: float = 0.0, tries: int = 12, turn: bool = True
    ) -> bool:
        """Try random places on the floor of a rectangle."""
        for _ in range(tries):
            yaw = float(self.rng.uniform(0, 2 * math.pi)) if turn else 0.0
            w, d = (b / 2 for b in rotated(part.size, yaw))
            if area[2] - area[0] < 2 * w or area[3] - area[1] < 2 * d:
                continue
            x = float(self.rng.uniform(area[0] + w, area[2] - w))
            y = float(self.rng.uniform(area[1] + d, area[3] - d))
            if self.put(part, x, y, yaw, z, margin=margin):
                return True
        return False

    def dress(
        self, surface: Surface, x: float, y: float, yaw: float, z: float, taken: Sequence[Rect] = (), scale: float = 1.0
    ) -> None:
        """Strew things over a surface of a part placed at (x, y, z, yaw); `taken` are rectangles in its frame."""
        makers, weights = zip(*USES[surface.use], strict=True)
        w, d = surface.x1 - surface.x0, surface.y1 - surface.y0
        usual = {"shelf": 2.2, "worktop": 4.5, "table": 3.0, "desk": 3.2, "coffee": 3.0, "store": 0.8}.get(
            surface.use, 2.5
        )
        mean = usual * self.density * scale * w * min(1.0, d / 0.4)
        count = min(int(self.rng.poisson(mean)), 14)
        used = list(taken)
        p = np.asarray(weights) / np.sum(weights)
        for i in self.rng.choice(len(makers), size=count, p=p):
            self._strew(makers[int(i)], surface, x, y, yaw, z, used)

    def _strew(self, maker: Maker, s: Surface, x: float, y: float, yaw: float, z: float, used: list[Rect]) -> None:
        """Put one thing on a surface where it fits."""
        role = maker.__name__
        part = self.make(role, lambda: maker(self.rng, self.style), 0.35)
        if part.size[2] > s.clear:
            return
        for _ in range(4):
            turn = float(self.rng.normal(0, 0.35))
            w, d = (v / 2 for v in rotated(part.size, turn))
            if 2 * w > s.x1 - s.x0 or 2 * d > s.y1 - s.y0:
                continue
            px = float(self.rng.uniform(s.x0 + w, s.x1 - w))
            py = float(self.rng.uniform(s.y0 + d, s.y1 - d))
            rect = (px - w, py - d, px + w, py + d)
            if any(rect[0] < u[2] and rect[2] > u[0] and rect[1] < u[3] and rect[3] > u[1] for u in used):
                continue
            used.append(rect)
            self.on(part, x, y, yaw, z, px, py, s.z, turn)
            return

    def on(
        self, part: Part, x: float, y: float, yaw: float, z: float, px: float, py: float, pz: float, turn: float
    ) -> None:
        """Place a thing at (px, py, pz) of the frame of a part placed at (x, y, z, yaw)."""
        c, s = math.cos(yaw), math.sin(yaw)
        low = float(part.mesh.vertices[:, 2].min())
        where = (x + c * px - s * py, y + s * px + c * py, z + pz - low)
        self.placed.append(Placed(part.mesh, placement(where, yaw + turn), part.label, part.name, part.source))
        self.focus.append((where[0], where[1], where[2] + part.size[2] / 2))


def rotated(size: Sequence[float], yaw: float) -> tuple[float, float]:
    """Width and depth of the bounding rectangle of a turned footprint."""
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    return size[0] * c + size[1] * s, size[0] * s + size[1] * c


def footprint(part: Part, x: float, y: float, yaw: float) -> Rect:
    """Bounding rectangle of a part's own vertices on the floor."""
    v = part.mesh.vertices[:, :2]
    c, s = math.cos(yaw), math.sin(yaw)
    px, py = x + c * v[:, 0] - s * v[:, 1], y + s * v[:, 0] + c * v[:, 1]
    return float(px.min()), float(py.min()), float(px.max()), float(py.max())


def _inside(rect: Rect, area: Rect, tolerance: float = 0.02) -> bool:
    e = tolerance
    return rect[0] > area[0] - e and rect[1] > area[1] - e and rect[2] < area[2] + e and rect[3] < area[3] + e
