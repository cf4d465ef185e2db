"""What stands along a street: cars and vans, trees, lamps, signs, people. True size, each in its own frame.

A part stands on z = 0 about its origin; cars look along +y, signs and lamps face -y.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenewright.worlds.model import Mesh
from scenewright.worlds.parts import chance
from scenewright.worlds.road_style import RoadStyle
from scenewright.worlds.solids import Finish, MeshBuilder

Generator = np.random.Generator

_BODIES: dict[str, tuple[tuple[float, float, float], list[tuple[float, float]], tuple[float, float, float, float]]] = {
    "hatchback": (
        (4.0, 1.75, 1.48), [(0, 0.50), (0.02, 0.68), (0.24, 0.84), (0.3, 0.9), (0.96, 0.95), (1, 0.72)],
        (0.26, 0.98, 0.44, 0.88),
    ),
    "saloon": (
        (4.6, 1.8, 1.45), [(0, 0.50), (0.02, 0.66), (0.26, 0.82), (0.32, 0.88), (0.86, 0.92), (0.98, 0.88), (1, 0.66)],
        (0.27, 0.86, 0.43, 0.73),
    ),
    "estate": (
        (4.65, 1.82, 1.55), [(0, 0.52), (0.02, 0.72), (0.24, 0.9), (0.3, 0.95), (0.97, 1.0), (1, 0.75)],
        (0.25, 0.99, 0.40, 0.94),
    ),
    "van": (
        (5.2, 1.98, 2.25), [(0, 0.62), (0.02, 0.95), (0.12, 1.12), (0.16, 1.18), (0.98, 1.2), (1, 1.0)],
        (0.12, 0.995, 0.24, 0.985),
    ),
}  # fmt: skip
"""Length, width, height; height of the shoulder by share of the length from the nose; shares where the cabin begins
and ends at the shoulder and at the roof."""


def car(rng: Generator, style: RoadStyle, kind: str | None = None) -> Mesh:
    """A passenger car or van, its nose towards +y."""
    names = list(_BODIES)
    size, shoulder, cabin = _BODIES[kind or names[int(rng.choice(len(names), p=[0.35, 0.25, 0.25, 0.15]))]]
    paint = style.paints[int(rng.integers(len(style.paints)))]
    length, width, height = (s * float(rng.uniform(0.95, 1.05)) for s in size)
    b = MeshBuilder()
    _hull(b, length, width, np.asarray(shoulder), paint)
    base = float(np.interp(0.5, *np.asarray(shoulder).T))
    _cabin(b, rng, style, paint, (length, width, height), base - 0.04, cabin, closed=height > 2)
    _wheels(b, style, length, width, 0.31 if height < 2 else 0.34)
    _trim(b, style, length, width)
    return b.mesh()


def _hull(b: MeshBuilder, length: float, width: float, shoulder: NDArray, paint: Finish) -> None:
    """The lower body: cross sections from nose to tail, narrower and higher above ground at both ends."""
    shares = np.unique(np.concatenate([shoulder[:, 0], [0.05, 0.12, 0.6, 0.9]]))
    top = np.interp(shares, *shoulder.T)
    end = np.exp(-np.minimum(shares, 1 - shares) / 0.03)
    under, half = 0.2 + 0.12 * end, width / 2 * (1 - 0.12 * end)
    x = np.array([0.84, 0.97, 1.0, 0.95, 0.82])
    z = np.stack([under, under + 0.12, 0.55 * under + 0.45 * top, top - 0.06, top], 1)
    right = np.stack([half[:, None] * x, np.broadcast_to((length * (0.5 - shares))[:, None], z.shape), z], 2)
    left = right[:, ::-1] * np.array([-1.0, 1.0, 1.0])
    b.loft(np.concatenate([right, left], 1), paint)


def _cabin(
    b: MeshBuilder, rng: Generator, style: RoadStyle, paint: Finish, size: tuple[float, float, float], base: float,
    cabin: tuple[float, float, float, float], closed: bool,
) -> None:  # fmt: skip
    """Glass on four sides, roof and pillars; of a van only the front is glass, its sides may carry a picture."""
    length, width, height = size
    y0, y1, y2, y3 = (length * (0.5 - share) for share in cabin)
    low, high = 0.46 * width, (0.42 if closed else 0.37) * width
    bottom = [(low, y0, base), (-low, y0, base), (-low, y1, base), (low, y1, base)]
    top = [(high, y2, height), (-high, y2, height), (-high, y3, height), (high, y3, height)]
    picture = style.prints[int(rng.integers(len(style.prints)))] if chance(rng, 0.4) else paint
    sides = [style["glass"], picture, paint, picture] if closed else [style["glass"]] * 4
    for i, finish in enumerate(sides):
        j = (i + 1) % 4
        b.panel([bottom[i], bottom[j], top[j], top[i]], finish)
    b.panel([top[0], top[1], top[2], top[3]], paint)
    for i in range(4):
        b.tube([bottom[i], top[i]], 0.045, paint, 5, caps=False)
        b.tube([top[i], top[(i + 1) % 4]], 0.04, paint, 5, caps=False)
    for sx in (-1, 1):
        if closed:  # the window of the driver's door
            y = (y0 + y2) / 2 - 0.55
            at = sx * (low + high) / 2
            b.block((at, y, base + 0.15), (0.12, 0.8, 0.55), style["glass"])
        else:
            y = (y2 + y3) / 2 + 0.1
            b.tube([(sx * low, y, base), (sx * high, y, height)], 0.045, paint, 5, caps=False)
        b.block((sx * (0.5 * width + 0.07), y0 - 0.15, base + 0.02), (0.16, 0.08, 0.13), paint)


def _wheels(b: MeshBuilder, style: RoadStyle, length: float, width: float, radius: float) -> None:
    for sx in (-1, 1):
        for y in (0.31 * length, -0.29 * length):
            inner, outer = sx * (width / 2 - 0.2), sx * (width / 2 + 0.012)
            b.tube([(inner, y, radius), (outer, y, radius)], radius, style["rubber"], 14)
            b.tube([(outer, y, radius), (outer + sx * 0.01, y, radius)], 0.62 * radius, style["hub"], 10)


def _trim(b: MeshBuilder, style: RoadStyle, length: float, width: float) -> None:
    """Lamps, number plates, grille and bumpers."""
    front, back = 0.5 * length, -0.5 * length
    for sx in (-1, 1):
        b.block((sx * 0.34 * width, front - 0.04, 0.55), (0.36, 0.14, 0.13), style["white"])
        b.block((sx * 0.38 * width, back + 0.03, 0.66), (0.28, 0.12, 0.16), style["red"])
    b.block((0, front - 0.02, 0.42), (0.8, 0.1, 0.12), style["black"])
    for y in (front + 0.02, back - 0.02):
        b.block((0, y, 0.46), (0.52, 0.04, 0.11), style["white"])
        b.block((0, y - math.copysign(0.08, y), 0.22), (0.86 * width, 0.2, 0.16), style["black"])


def leaves(
    b: MeshBuilder, rng: Generator, centre: NDArray, radii: NDArray, count: int, size: float, finish: Finish
) -> None:
    """Clumps of leaves: `count` small squares near the surface of an ellipsoid, shaded as its surface would be."""
    way = rng.standard_normal((count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    middle = centre + way * radii * rng.uniform(0.78, 1.06, (count, 1))
    a = np.cross(way, rng.standard_normal((count, 3)))
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-6)
    c = np.cross(way, a) + 0.6 * rng.standard_normal((count, 1)) * way
    scale = size * rng.uniform(0.6, 1.4, (count, 1))
    v = np.stack([middle - scale * a, middle + scale * c, middle + scale * a, middle - scale * c], 1).reshape(-1, 3)
    faces = (np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(count)[:, None, None]).reshape(-1, 3)
    uv = np.tile(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * size, (count, 1)) + np.repeat(middle[:, :2], 4, 0)
    shade = np.repeat(way / radii, 4, 0)
    shade /= np.linalg.norm(shade, axis=1, keepdims=True)
    faces = faces.astype(np.int32)
    b.add(v, faces, uv[faces].astype(np.float32), shade[faces].astype(np.float32), finish)


def _blob(b: MeshBuilder, centre: NDArray, radii: NDArray, finish: Finish) -> None:
    """A smooth ellipsoid."""
    t = np.linspace(-math.pi / 2, math.pi / 2, 7)
    phi = np.arange(9) * (2 * math.pi / 9)
    ring = np.stack([np.cos(phi), np.sin(phi), np.zeros(9)], 1)[None] * np.cos(t).clip(0.05)[:, None, None]
    unit = ring + np.sin(t)[:, None, None] * np.array([0, 0, 1.0])
    b.loft(centre + unit * radii, finish)


def tree(rng: Generator, style: RoadStyle) -> Mesh:
    """A broad-leaved or coniferous tree of 5 to 12 m, or a slim one."""
    b, height = MeshBuilder(), float(rng.uniform(5, 12))
    finish = style.leaves[int(rng.integers(len(style.leaves)))]
    thick = 0.022 * height * float(rng.uniform(0.8, 1.3))
    if chance(rng, 0.2):
        b.tube([(0, 0, 0), (0, 0, 0.5 * height)], [thick, 0.5 * thick], style["trunk"], 7)
        for share in np.linspace(0.2, 0.92, 6):
            radius = 0.24 * height * (1.02 - share)
            centre, radii = np.array([0, 0, share * height]), np.array([radius, radius, 0.1 * height])
            _blob(b, centre, 0.8 * radii, finish.tinted(0.7))
            leaves(b, rng, centre, radii, 50, 0.045 * height, finish)
        return b.mesh()
    bare = height * float(rng.uniform(0.22, 0.38))
    lean = rng.normal(0, 0.03 * height, 2)
    b.tube([(0, 0, 0), (0, 0, bare), (*lean, 0.75 * height)], [thick, 0.8 * thick, 0.3 * thick], style["trunk"], 8)
    width = float(rng.uniform(0.22, 0.42)) * height if chance(rng, 0.8) else 0.12 * height
    middle, half = (height + bare) / 2, (height - bare) / 2
    dark = finish.tinted(0.6)
    for _ in range(6):
        way = rng.normal(0, 0.5, 3).clip(-0.8, 0.8)
        centre = np.array([*lean, middle]) + way * np.array([width, width, half]) * 0.75
        radii = np.array([width, width, half]) * float(rng.uniform(0.42, 0.62))
        _blob(b, centre, 0.75 * radii, dark)
        leaves(b, rng, centre, radii, 90, 0.035 * height, finish)
    return b.mesh()


def bush(rng: Generator, style: RoadStyle) -> Mesh:
    """A round bush of 0.7 to 2 m."""
    b, r = MeshBuilder(), float(rng.uniform(0.5, 1.2))
    finish = style.leaves[int(rng.integers(len(style.leaves)))]
    centre, radii = np.array([0, 0, 0.8 * r]), np.array([r, r, 0.85 * r])
    _blob(b, centre, 0.8 * radii, finish.tinted(0.7))
    leaves(b, rng, centre, radii, 90, 0.16 * r, finish)
    return b.mesh()


def hedge(rng: Generator, style: RoadStyle, length: float) -> Mesh:
    """A clipped hedge along x, 0.8 to 2 m high."""
    b, height, deep = MeshBuilder(), float(rng.uniform(0.8, 2.0)), float(rng.uniform(0.5, 0.9))
    finish = style.leaves[int(rng.integers(len(style.leaves)))]
    b.cushion((-length / 2, -deep / 2, -0.05), (length / 2, deep / 2, height), finish, 0.12)
    for x in np.arange(-length / 2 + 0.6, length / 2 - 0.5, 1.0):
        centre, radii = np.array([x, 0, 0.55 * height]), np.array([0.75, 0.56 * deep, 0.52 * height])
        leaves(b, rng, centre, radii, 26, 0.14, finish)
    return b.mesh()


def fence(rng: Generator, style: RoadStyle, length: float) -> Mesh:
    """A low garden wall, a picket fence or iron railings along x."""
    b, kind = MeshBuilder(), int(rng.choice(3, p=[0.45, 0.35, 0.2]))
    height = float(rng.uniform(0.6, 1.3))
    if kind == 0:
        b.box((-length / 2, -0.12, -0.05), (length / 2, 0.12, height), style["wall"])
        b.box((-length / 2, -0.16, height), (length / 2, 0.16, height + 0.07), style["kerb"])
        return b.mesh()
    wide, pitch, finish = (0.09, 0.14, style["fence"]) if kind == 1 else (0.025, 0.13, style["black"])
    x = np.arange(-length / 2, length / 2, pitch)
    low, high = np.full_like(x, 0.05), np.full_like(x, height)
    b.boxes(np.stack([x, 0 * x - 0.012, low], 1), np.stack([x + wide, 0 * x + 0.012, high], 1), finish)
    for z in (0.2, height - 0.15):
        b.box((-length / 2, 0.012, z), (length / 2, 0.04, z + 0.06), finish)
    return b.mesh()


def guard_rail(style: RoadStyle, length: float) -> Mesh:
    """A steel crash barrier along x, facing -y."""
    b = MeshBuilder()
    b.box((-length / 2, -0.06, 0.45), (length / 2, 0.0, 0.58), style["metal"])
    b.box((-length / 2, -0.06, 0.63), (length / 2, 0.0, 0.76), style["metal"])
    x = np.arange(-length / 2 + 0.5, length / 2, 4.0)
    b.boxes(np.stack([x, 0 * x, 0 * x], 1), np.stack([x + 0.1, 0 * x + 0.12, 0 * x + 0.72], 1), style["metal"])
    return b.mesh()


def lamp_post(rng: Generator, style: RoadStyle) -> Mesh:
    """A street lamp of 5 to 9 m whose arm reaches towards -y."""
    b, height = MeshBuilder(), float(rng.uniform(5, 9))
    arm = float(rng.uniform(0.6, 2.0))
    path = [(0, 0, 0), (0, 0, 0.93 * height), (0, -0.25 * arm, height), (0, -arm, height + 0.1)]
    b.tube(path, [0.09, 0.06, 0.05, 0.04], style["pole"], 8)
    b.block((0, -arm - 0.2, height + 0.04), (0.25, 0.6, 0.12), style["pole"])
    return b.mesh()


def utility_pole(rng: Generator, style: RoadStyle) -> Mesh:
    """A wooden pole with a cross arm along x."""
    b, height = MeshBuilder(), float(rng.uniform(7, 9))
    b.tube([(0, 0, 0), (0, 0, height)], [0.14, 0.1], style["trunk"], 8)
    b.block((0, 0, height - 0.7), (1.8, 0.1, 0.12), style["trunk"])
    for x in (-0.8, -0.4, 0.4, 0.8):
        b.block((x, 0, height - 0.58), (0.06, 0.06, 0.14), style["white"])
    return b.mesh()


def sign(rng: Generator, style: RoadStyle) -> Mesh:
    """A traffic sign on its post: a disc, a triangle, a square, or a direction board; its face towards -y."""
    b, z, kind = MeshBuilder(), float(rng.uniform(2.1, 2.6)), int(rng.integers(5))
    b.tube([(0, 0.04, 0), (0, 0.04, z + 0.3)], 0.03, style["pole"], 7)

    def plate(radius: float, finish: Finish, sides: int, y: float) -> None:
        b.tube([(0, y, z), (0, y - 0.012, z)], radius, finish, sides)

    if kind < 2:
        plate(0.32, style["red"], 24, 0.0)
        plate(0.25, style["white"], 24, -0.012)
        if kind:
            b.block((0, -0.03, z - 0.05), (0.34, 0.008, 0.1), style["black"])
    elif kind == 2:
        plate(0.46, style["red"], 3, 0.0)
        plate(0.31, style["white"], 3, -0.012)
    elif kind == 3:
        finish = style["blue"] if chance(rng, 0.6) else style["yellow"]
        b.block((0, -0.01, z - 0.3), (0.6, 0.02, 0.6), finish)
        b.block((0, -0.025, z - 0.18), (0.2, 0.012, 0.36), style["white"])
    else:
        finish = style["blue"] if chance(rng, 0.4) else style["yellow"] if chance(rng, 0.5) else style["white"]
        b.block((0, -0.01, z - 0.2), (1.3, 0.03, 0.4), finish)
        b.block((-0.05, -0.03, z - 0.05), (0.8, 0.012, 0.08), style["black"])
    return b.mesh()


def billboard(rng: Generator, style: RoadStyle) -> Mesh:
    """A poster on two posts or a column of advertisements, facing -y."""
    b, w = MeshBuilder(), float(rng.uniform(1.2, 3.2))
    h, z = 0.7 * w, float(rng.uniform(0.5, 1.6))
    for sx in (-1, 1):
        b.tube([(sx * 0.4 * w, 0.05, 0), (sx * 0.4 * w, 0.05, z + h)], 0.05, style["pole"], 6)
    b.box((-w / 2, -0.04, z), (w / 2, 0.04, z + h), style["frame"])
    finish = style.prints[int(rng.integers(len(style.prints)))]
    k = 0.47
    b.panel(
        [
            (-k * w, -0.05, z + 0.03),
            (k * w, -0.05, z + 0.03),
            (k * w, -0.05, z + h - 0.03),
            (-k * w, -0.05, z + h - 0.03),
        ],
        finish,
    )
    return b.mesh()


def bin_or_box(rng: Generator, style: RoadStyle) -> Mesh:
    """A wheeled bin, a cable cabinet or a post box."""
    b = MeshBuilder()
    w, d, h = ((0.6, 0.7, 1.1), (1.0, 0.4, 1.2), (0.45, 0.4, 1.4))[int(rng.integers(3))]
    finish = (style["black"], style["kerb"], style["yellow"], style["blue"])[int(rng.integers(4))]
    b.cushion((-w / 2, -d / 2, 0), (w / 2, d / 2, h), finish, 0.05)
    b.box((-w / 2 - 0.02, -d / 2 - 0.03, h - 0.08), (w / 2 + 0.02, d / 2 + 0.02, h), finish.tinted(0.7))
    return b.mesh()


def person(rng: Generator, style: RoadStyle) -> Mesh:
    """Somebody walking along +y, 1.55 to 1.9 m tall."""
    b, h = MeshBuilder(), float(rng.uniform(1.55, 1.9))
    coat = style.paints[int(rng.integers(len(style.paints)))].tinted(0.9)
    trousers = style["black"] if chance(rng, 0.5) else style["blue"].tinted(0.5)
    stride = float(rng.uniform(0.08, 0.3))
    for side, step in ((-1, stride), (1, -stride)):
        b.tube([(side * 0.1, step, 0.05), (side * 0.09, 0, 0.48 * h)], [0.06, 0.085], trousers, 7)
        b.tube([(side * 0.21, 0, 0.8 * h), (side * 0.26, -step, 0.5 * h)], [0.06, 0.045], coat, 6)
    _blob(b, np.array([0, 0, 0.65 * h]), np.array([0.21, 0.14, 0.21 * h]), coat)
    _blob(b, np.array([0, 0, 0.93 * h]), np.array([0.085, 0.1, 0.07 * h]), style["skin"])
    return b.mesh()
