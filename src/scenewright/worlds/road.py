"""Streets from a seed: carriageway, kerbs, pavements, houses or fields, parked and driving cars, trees, poles, weather.

A street runs along s, 0 to `LENGTH_M`, with a constant bend; lateral is metres to the right of its middle. Traffic
keeps to the right. World axes as in `worlds.model`: z up; the street begins at the origin and runs towards +y.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenewright.errors import InputError
from scenewright.labels import LABELS
from scenewright.worlds import road_parts as parts
from scenewright.worlds.model import Mesh, Placed, Room
from scenewright.worlds.parts import chance
from scenewright.worlds.road_houses import house
from scenewright.worlds.road_style import RoadStyle, make_road_style, make_weather
from scenewright.worlds.rooms import SPLITS
from scenewright.worlds.solids import Finish, MeshBuilder, placement

Generator = np.random.Generator
Doubles = NDArray[np.float64]

KINDS = ("city", "residential", "suburb", "rural")
WEIGHTS = (0.3, 0.3, 0.22, 0.18)
LENGTH_M = 190.0
_STEP_M = 3.0
_HORIZON_M = 400.0
RIGHT, LEFT = -math.pi / 2, math.pi / 2
"""Turns of things whose front (-y) faces the street from its right and from its left."""


@dataclass(frozen=True)
class Street:
    """Course and cross section.

    Args:
        curvature: 1 / radius in 1/m, positive = to the right.
        lane: width of each of the two lanes; parking: of the strip beside each, 0 = none.
        kerb: height of the pavement, 0 = no kerb; pavement: its width; garden: from its back to the house fronts.
    """

    curvature: float
    lane: float
    parking: float
    kerb: float
    pavement: float
    garden: float

    @property
    def edge(self) -> float:
        """Half of the carriageway's width."""
        return self.lane + self.parking

    @property
    def back(self) -> float:
        """Lateral of the back of the pavement."""
        return self.edge + 0.15 + self.pavement

    def point(self, s: ArrayLike, lateral: ArrayLike) -> Doubles:
        """(..., 2) world x and y of places along the street."""
        k = self.curvature if abs(self.curvature) > 1e-9 else 1e-9
        angle, out = np.asarray(s, np.float64) * k, np.asarray(lateral, np.float64)
        x = (1 - np.cos(angle)) / k + out * np.cos(angle)
        return np.stack(np.broadcast_arrays(x, np.sin(angle) / k - out * np.sin(angle)), -1)

    def frame(self, s: float, lateral: float, turn: float = 0.0, z: float = 0.0) -> Doubles:
        """(4, 4): y along the street, x to its right, turned about z by `turn`."""
        x, y = self.point(s, lateral)
        return placement((float(x), float(y), z), turn - self.curvature * s)


@dataclass(frozen=True)
class Road:
    """A street world: what the renderer reads, and the course that a camera drives along."""

    world: Room
    street: Street


def build_road(seed: int, split: str, kind: str | None = None) -> Road:
    """A street; the same arguments give the same street.

    Args:
        seed: any non-negative number.
        split: "train", "validation" or "test": seeds, textures and printed pictures differ between them.
        kind: one of `KINDS`; None draws one.

    Raises:
        InputError: an unknown split or kind, or a negative seed.
    """
    if split not in SPLITS:
        raise InputError("split", repr(split), f"one of {', '.join(SPLITS)}")
    if seed < 0:
        raise InputError("seed", seed, "a non-negative number")
    if kind is not None and kind not in KINDS:
        raise InputError("kind of road", repr(kind), f"one of {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, SPLITS.index(split), 30])
    kind = str(rng.choice(KINDS, p=WEIGHTS)) if kind is None else kind
    site = _Site(rng, make_road_style(rng, split), _street(rng, kind), kind)
    site.ground()
    site.surroundings()
    site.roadside()
    site.traffic()
    sky, lamps, ambient = make_weather(rng)
    empty = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)
    extent = (2 * site.street.back + 20, LENGTH_M, 15.0)
    return Road(Room(kind, seed, split, extent, tuple(site.placed), lamps, ambient, *empty, sky=sky), site.street)


def _street(rng: Generator, kind: str) -> Street:
    bend = float(rng.choice([-1, 1])) / float(rng.uniform(140, 700)) if chance(rng, 0.55) else 0.0
    lane = float(rng.uniform(2.8, 3.6))
    if kind == "rural":
        return Street(bend, lane, float(rng.uniform(0.3, 0.8)), 0.0, 0.0, float(rng.uniform(4, 10)))
    parking = (
        float(rng.uniform(2.0, 2.3)) if chance(rng, {"city": 0.85, "residential": 0.8, "suburb": 0.4}[kind]) else 0.0
    )
    garden = {"city": (0.0, 0.01), "residential": (0.5, 4.0), "suburb": (4.0, 8.0)}[kind]
    pavement = float(rng.uniform(2.0, 4.0) if kind == "city" else rng.uniform(1.4, 2.4))
    return Street(bend, lane, parking, float(rng.uniform(0.08, 0.15)), pavement, float(rng.uniform(*garden)))


class _Site:
    """A street being built; one method per kind of thing."""

    def __init__(self, rng: Generator, style: RoadStyle, street: Street, kind: str) -> None:
        self.rng, self.style, self.street, self.kind = rng, style, street, kind
        self.placed: list[Placed] = []

    def put(
        self, mesh: Mesh, label: str, name: str, s: float, lateral: float, turn: float = 0.0, z: float = 0.0
    ) -> None:
        """Stand a mesh at a place along the street."""
        frame = self.street.frame(s, lateral, turn, z)
        self.placed.append(Placed(mesh, frame, LABELS.index(label), name))

    def ground(self) -> None:
        """Fields to the horizon, hills, carriageway with its markings, kerbs, pavements, gardens."""
        street, style, edge = self.street, self.style, self.street.edge
        land, road, paved = MeshBuilder(), MeshBuilder(), MeshBuilder()
        h = _HORIZON_M
        land.panel([(-h, -h, -0.06), (h, -h, -0.06), (h, h, -0.06), (-h, h, -0.06)], style["field"], False)
        _hills(land, self.rng, style["hill"])
        ribbon(road, street, (-edge, 0.0), (edge, 0.0), style["asphalt"], (-30, LENGTH_M + 60))
        self._markings(road)
        reach, rise = street.back + street.garden + 25, max(street.kerb, 0.0)
        for sx in (-1.0, 1.0):
            span = (-30.0, LENGTH_M + 60)
            if street.kerb:
                ribbon(paved, street, (sx * edge, 0.0), (sx * edge, rise), style["kerb"], span)
                ribbon(paved, street, (sx * edge, rise), (sx * (edge + 0.15), rise), style["kerb"], span)
                ribbon(paved, street, (sx * (edge + 0.15), rise), (sx * street.back, rise), style["paving"], span)
            start = street.back if street.kerb else edge
            ribbon(land, street, (sx * start, rise - 0.001), (sx * reach, rise), style["grass"], span)
        for mesh, name in ((land, "land"), (road, "road"), *(((paved, "pavement"),) if street.kerb else ())):
            self.placed.append(Placed(mesh.mesh(), np.eye(4), LABELS.index("floor"), name))

    def _markings(self, b: MeshBuilder) -> None:
        street, rng, paint, z = self.street, self.rng, self.style["marking"], 0.003
        dash, gap = (3.0, float(rng.choice([3.0, 6.0]))) if chance(rng, 0.75) else (LENGTH_M + 60, 0.0)
        if self.kind != "residential" or chance(rng, 0.5):
            for s in np.arange(-20, LENGTH_M + 40, dash + gap) if gap else [-30.0]:
                ribbon(b, street, (-0.06, z), (0.06, z), paint, (float(s), float(s) + dash))
        if self.kind == "rural" or (street.parking and chance(rng, 0.6)):
            for sx in (-1, 1):
                ribbon(
                    b, street, (sx * street.lane - 0.06, z), (sx * street.lane + 0.06, z), paint, (-30, LENGTH_M + 60)
                )
        if self.kind != "rural" and chance(rng, 0.4):
            start = float(rng.uniform(25, 120))
            for x in np.arange(-street.edge + 0.4, street.edge - 0.4, 1.0):
                ribbon(b, street, (x, z), (x + 0.5, z), paint, (start, start + 3.5))

    def surroundings(self) -> None:
        """Houses along both sides, or woods and fields."""
        for sx, turn in ((1.0, RIGHT), (-1.0, LEFT)):
            if self.kind == "rural":
                self._woods(sx)
            else:
                self._houses(sx, turn)

    def _houses(self, sx: float, turn: float) -> None:
        rng, street, city = self.rng, self.street, self.kind == "city"
        s, line = -12.0, street.back + street.garden
        storeys = int(rng.integers(3, 6)) if city else int(rng.integers(1, 4))
        while s < LENGTH_M + 30:
            width, depth = float(rng.uniform(7, 16) if city else rng.uniform(6, 13)), float(rng.uniform(8, 12))
            gap = 0.0 if city or (self.kind == "residential" and chance(rng, 0.6)) else float(rng.uniform(2, 7))
            if chance(rng, 0.07):
                gap += float(rng.uniform(6, 14))
                self._grove(sx, s + width, gap)
            floors = max(storeys + int(rng.integers(-1, 2)), 1)
            made = house(rng, self.style, width, depth, floors, city and chance(rng, 0.55))
            lateral = sx * (line + float(rng.uniform(0, 0.25 * street.garden)))
            for label, mesh in made.meshes.items():
                self.put(mesh, label, "house", s + width / 2, lateral, turn, street.kerb)
            if street.garden > 1.2:
                self._garden(sx, turn, s, width)
            s += width + gap

    def _garden(self, sx: float, turn: float, s: float, width: float) -> None:
        """A hedge, fence or nothing at the pavement, with a way in; bushes and trees behind it."""
        rng, street = self.rng, self.street
        kind = str(rng.choice(["hedge", "fence", "open"], p=[0.4, 0.35, 0.25]))
        make: Callable[..., Mesh] = parts.hedge if kind == "hedge" else parts.fence
        if kind != "open":
            length = width - float(rng.uniform(1.2, 3.5))
            if length > 1.5:
                self.put(
                    make(rng, self.style, length),
                    "objects",
                    kind,
                    s + length / 2,
                    sx * (street.back + 0.45),
                    turn,
                    street.kerb,
                )
        for _ in range(int(rng.integers(0, 3))):
            lateral = sx * (street.back + float(rng.uniform(0.3, 0.8)) * street.garden)
            if chance(rng, 0.75):
                self.put(
                    parts.bush(rng, self.style),
                    "objects",
                    "bush",
                    s + float(rng.uniform(0, width)),
                    lateral,
                    0,
                    street.kerb,
                )
            elif street.garden > 3:
                self.put(
                    parts.tree(rng, self.style),
                    "objects",
                    "tree",
                    s + float(rng.uniform(0, width)),
                    lateral,
                    0,
                    street.kerb,
                )

    def _grove(self, sx: float, s: float, length: float) -> None:
        for _ in range(max(int(length / 3), 1)):
            lateral = sx * (self.street.back + float(self.rng.uniform(2, 9)))
            self.put(
                parts.tree(self.rng, self.style), "objects", "tree", s + float(self.rng.uniform(0, length)), lateral
            )

    def _woods(self, sx: float) -> None:
        """Trees alone, in rows or dense; a hedge or a crash barrier; now and then a farm house."""
        rng, street = self.rng, self.street
        trees = [parts.tree(rng, self.style) for _ in range(6)]
        dense = float(rng.choice([4.0, 9.0, 25.0]))
        for s in np.arange(-10, LENGTH_M + 40, dense):
            lateral = sx * (street.back + street.garden * float(rng.uniform(0.4, 1.8)))
            turn = float(rng.uniform(0, 2 * math.pi))
            self.put(
                trees[int(rng.integers(6))], "objects", "tree", float(s) + float(rng.uniform(0, dense)), lateral, turn
            )
        if chance(rng, 0.35):
            for s in np.arange(0, LENGTH_M, 12.0):
                rail = parts.guard_rail(self.style, 12.0)
                self.put(rail, "objects", "guard rail", float(s), sx * (street.edge + 0.7), RIGHT if sx > 0 else LEFT)
        elif chance(rng, 0.4):
            for s in np.arange(0, LENGTH_M, 8.0):
                self.put(
                    parts.hedge(rng, self.style, 8.2), "objects", "hedge", float(s), sx * (street.edge + 2.5), RIGHT
                )
        if chance(rng, 0.5):
            made = house(rng, self.style, 11.0, 9.0, 2, False)
            s, lateral = float(rng.uniform(30, LENGTH_M)), sx * (street.back + float(rng.uniform(10, 25)))
            for label, mesh in made.meshes.items():
                self.put(mesh, label, "house", s, lateral, RIGHT if sx > 0 else LEFT)

    def roadside(self) -> None:
        """Lamps or poles, street trees, signs, bins, billboards, people."""
        rng, street, style = self.rng, self.street, self.style
        rural = self.kind == "rural"
        strip = street.edge + (1.6 if rural else 0.6)
        side, pitch, make = float(rng.choice([-1, 1])), float(rng.uniform(22, 38)), parts.lamp_post
        post, name = (
            (parts.utility_pole(rng, style), "pole") if rural or chance(rng, 0.25) else (make(rng, style), "lamp")
        )
        for i, s in enumerate(np.arange(float(rng.uniform(0, pitch)), LENGTH_M, pitch)):
            sx = side * (-1 if i % 2 and name == "lamp" else 1)
            self.put(post, "objects", name, float(s), sx * strip, RIGHT if sx > 0 else LEFT, street.kerb)
        if not rural and street.pavement > 1.8 and chance(rng, 0.55):
            pool, every = [parts.tree(rng, style) for _ in range(3)], float(rng.uniform(8, 18))
            for s in np.arange(float(rng.uniform(0, every)), LENGTH_M, every):
                for sx in (-1, 1):
                    turn = float(rng.uniform(0, 2 * math.pi))
                    self.put(
                        pool[int(rng.integers(3))],
                        "objects",
                        "tree",
                        float(s),
                        sx * (street.edge + 0.8),
                        turn,
                        street.kerb,
                    )
        self._scatter("sign", parts.sign, int(rng.integers(3, 8)), (strip, strip + 0.2), 0.0)
        self._scatter(
            "billboard", parts.billboard, int(rng.integers(0, 3)), (street.back + 0.2, street.back + 0.5), 0.5
        )
        if not rural:
            self._scatter(
                "bin", parts.bin_or_box, int(rng.integers(1, 6)), (street.back - 0.5, street.back - 0.3), None
            )
            self._scatter("person", parts.person, int(rng.poisson(4)), (street.edge + 0.7, street.back - 0.3), math.pi)

    def _scatter(
        self, name: str, make: Callable[[Generator, RoadStyle], Mesh], count: int, lateral: tuple[float, float],
        turn: float | None,
    ) -> None:  # fmt: skip
        """Things on the pavements. Turn 0 faces the traffic of the side; None faces the street; else by chance."""
        rng = self.rng
        for _ in range(count):
            sx = 1.0 if chance(rng, 0.6) else -1.0
            facing = 0.0 if sx > 0 else math.pi
            if turn is None:
                facing = RIGHT if sx > 0 else LEFT
            elif turn and chance(rng, 0.5):
                facing += turn
            out = sx * float(rng.uniform(*lateral))
            self.put(
                make(rng, self.style), "objects", name, float(rng.uniform(10, LENGTH_M)), out, facing, self.street.kerb
            )

    def traffic(self) -> None:
        """Cars parked along both sides and cars on both lanes."""
        rng, street = self.rng, self.street
        pool = [parts.car(rng, self.style) for _ in range(10)]
        density = float(rng.uniform(0.15, 0.95))
        if street.parking > 1.5:
            for sx in (-1.0, 1.0):
                for s in np.arange(float(rng.uniform(0, 6)), LENGTH_M, 6.0):
                    if chance(rng, density):
                        turn = (0.0 if sx > 0 or chance(rng, 0.3) else math.pi) + float(rng.normal(0, 0.02))
                        lateral = sx * (street.lane + street.parking / 2 + 0.05 * float(rng.normal()))
                        self._car(pool, "parked car", float(s) + float(rng.uniform(-0.4, 0.4)), lateral, turn)
        for sx, busy in ((1.0, float(rng.uniform(0.1, 0.5))), (-1.0, float(rng.uniform(0.1, 0.7)))):
            s = float(rng.uniform(8, 40))
            while s < LENGTH_M:
                if chance(rng, busy):
                    lateral = sx * street.lane / 2 + 0.15 * float(rng.normal())
                    self._car(pool, "car", s, lateral, (0.0 if sx > 0 else math.pi) + 0.015 * float(rng.normal()))
                s += float(rng.uniform(11, 28))

    def _car(self, pool: list[Mesh], name: str, s: float, lateral: float, turn: float) -> None:
        self.put(pool[int(self.rng.integers(len(pool)))], "objects", name, s, lateral, turn)


def ribbon(
    b: MeshBuilder, street: Street, first: tuple[float, float], second: tuple[float, float], finish: Finish,
    span: tuple[float, float],
) -> None:  # fmt: skip
    """A strip along the street between two lines, each (lateral, height), from span[0] to span[1]."""
    count = max(math.ceil((span[1] - span[0]) / _STEP_M), 1) + 1
    s = np.linspace(*span, count)
    lines = [np.column_stack([street.point(s, lateral), np.full(count, z)]) for lateral, z in (first, second)]
    v = np.stack(lines, 1).reshape(-1, 3)
    i = 2 * np.arange(count - 1, dtype=np.int32)[:, None]
    faces = np.concatenate([i + np.array([0, 1, 3], np.int32), i + np.array([0, 3, 2], np.int32)])
    across = math.hypot(second[0] - first[0], second[1] - first[1])
    uv = np.stack([np.tile([first[0], first[0] + across], count), np.repeat(s, 2)], 1).astype(np.float32)
    edges = v[faces[:, 1]] - v[faces[:, 0]], v[faces[:, 2]] - v[faces[:, 0]]
    normal = np.cross(*edges)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    b.add(v, faces, uv[faces], np.repeat(normal[:, None], 3, 1).astype(np.float32), finish)


def _hills(b: MeshBuilder, rng: Generator, finish: Finish) -> None:
    """A ring of low hills or woods at the horizon."""
    count, radius = 96, 0.6 * _HORIZON_M
    angle = np.arange(count + 1) * (2 * math.pi / count)
    waves = [rng.uniform(0, 3) * np.sin(n * angle + rng.uniform(0, 7)) for n in (2, 5, 9, 17, 31)]
    top = np.maximum(float(rng.uniform(2, 9)) + sum(waves), 1.0)
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    v = np.concatenate([np.column_stack([ring, np.full(count + 1, -1.0)]), np.column_stack([1.05 * ring, top])])
    i = np.arange(count, dtype=np.int32)[:, None]
    step = count + 1
    faces = np.concatenate([i + np.array([0, 1, step + 1], np.int32), i + np.array([0, step + 1, step], np.int32)])
    inward = np.tile(np.column_stack([-ring / radius, np.full(count + 1, 0.5)]), (2, 1)).astype(np.float32)
    b.add(v, faces, np.zeros((2 * count, 3, 2), np.float32), inward[faces], finish)
