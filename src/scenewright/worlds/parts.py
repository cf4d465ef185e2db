"""What furniture is: a mesh with a label, its size and the surfaces that things can stand on.

A part's own frame: origin on the floor at the middle of its footprint, x along its width, its back towards +y (the
wall, if it stands at one), z up; metres.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scenewright.labels import LABELS
from scenewright.worlds.model import Mesh
from scenewright.worlds.solids import Finish, MeshBuilder
from scenewright.worlds.style import Style


@dataclass(frozen=True)
class Surface:
    """A horizontal rectangle that things can stand on, in the part's frame.

    Args:
        x0, y0, x1, y1: its sides, metres.
        z: its height.
        clear: free height above it.
        use: what stands there: "table", "desk", "worktop", "shelf", "books", "sideboard", "bath", "bedside", "seat".
    """

    x0: float
    y0: float
    x1: float
    y1: float
    z: float
    clear: float
    use: str


@dataclass(frozen=True)
class Part:
    """A thing that can be placed.

    Args:
        mesh: in the part's frame.
        label: class index of `scenewright.labels.LABELS`.
        name: what it is.
        size: (3,) width, depth, height of its bounding box, metres.
        surfaces: where things can stand on it.
        source: author and licence, "" for built-in parts.
    """

    mesh: Mesh
    label: int
    name: str
    size: tuple[float, float, float]
    surfaces: tuple[Surface, ...] = ()
    source: str = ""


Maker = Callable[[np.random.Generator, Style], Part]


def part(builder: MeshBuilder, name: str, label: str, surfaces: tuple[Surface, ...] = ()) -> Part:
    """A part of what the builder holds; its size is the mesh's extent, symmetric about its frame's origin."""
    mesh = builder.mesh()
    lo, hi = mesh.vertices.min(0), mesh.vertices.max(0)
    half = np.maximum(np.abs(lo), np.abs(hi))
    size = (2 * float(half[0]), 2 * float(half[1]), float(hi[2]))
    return Part(mesh, LABELS.index(label), name, size, surfaces)


def jitter(rng: np.random.Generator, value: float, spread: float = 0.05) -> float:
    """A length within +-`spread` of its usual value: furniture follows human size."""
    return value * float(rng.uniform(1 - spread, 1 + spread))


def chance(rng: np.random.Generator, p: float) -> bool:
    """True with probability `p`."""
    return bool(rng.random() < p)


def any_bright(rng: np.random.Generator, style: Style) -> Finish:
    """One of the room's bright clutter colours."""
    return style.bright[int(rng.integers(len(style.bright)))]


def any_picture(rng: np.random.Generator, style: Style) -> Finish:
    """One of the room's printed sheets, leaflets and covers."""
    return style.pages[int(rng.integers(len(style.pages)))]


def legs(
    b: MeshBuilder, w: float, d: float, h: float, thick: float, finish: Finish, round_: bool = False, splay: float = 0.0
) -> None:
    """Four legs at the corners of a w x d footprint, up to height h."""
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w - thick) / 2, sy * (d - thick) / 2
            if round_:
                top = (x * (1 - splay), y * (1 - splay), h)
                b.tube([(x, y, 0), top], [thick * 0.35, thick * 0.5], finish, 7, caps=False)
            else:
                b.block((x, y, 0), (thick, thick, h), finish)


def _slatted_chair(rng: np.random.Generator, style: Style) -> MeshBuilder:
    """Wooden chair: square legs, horizontal slats or vertical bars in its back, upholstered or wooden seat."""
    b, wood = MeshBuilder(), style["wood2"]
    w, d, seat, top = jitter(rng, 0.44), jitter(rng, 0.45), jitter(rng, 0.45, 0.03), jitter(rng, 0.92)
    t = float(rng.uniform(0.03, 0.045))
    for sx in (-1, 1):
        x = sx * (w - t) / 2
        b.block((x, -(d - t) / 2, 0), (t, t, seat - 0.02), wood)
        b.block((x, (d - t) / 2, 0), (t, t, seat), wood)
    b.cushion((-w / 2, -d / 2, seat - 0.04), (w / 2, d / 2, seat), style["seat"], 0.015)
    for y in (-(d - t) / 2, (d - t) / 2):
        b.box((-w / 2 + t, y - 0.01, seat - 0.1), (w / 2 - t, y + 0.01, seat - 0.04), wood)
    with b.at((0, (d - t) / 2, seat), pitch=-float(rng.uniform(0.05, 0.2))):
        height = top - seat
        for sx in (-1, 1):
            b.block((sx * (w - t) / 2, 0, 0), (t, t, height), wood)
        if chance(rng, 0.6):
            count = int(rng.integers(2, 6))
            slat = min(0.09, 0.6 * (height - 0.15) / count)
            for z in np.linspace(0.15, height - slat, count):
                b.box((-w / 2 + t, -0.008, z), (w / 2 - t, 0.008, z + slat), wood)
        else:
            b.box((-w / 2 + t, -0.01, height - 0.07), (w / 2 - t, 0.01, height), wood)
            for x in np.linspace(-w / 2 + t + 0.03, w / 2 - t - 0.03, int(rng.integers(3, 7))):
                b.block((x, 0, 0.0), (0.016, 0.016, height - 0.06), wood)
    return b


def _cantilever_chair(rng: np.random.Generator, style: Style) -> MeshBuilder:
    """Steel tube bent into one line, a seat and a back shell."""
    b, tube = MeshBuilder(), style["metal"]
    w, d, seat, top = jitter(rng, 0.46), jitter(rng, 0.5), jitter(rng, 0.45, 0.03), jitter(rng, 0.83)
    r = 0.012
    for sx in (-1, 1):
        x = sx * (w / 2 - r)
        side = [(x, d / 2, r), (x, -d / 2 + 0.06, r), (x, -d / 2 + 0.01, 0.06), (x, -d / 2 + 0.02, seat - 0.06)]
        side += [(x, -d / 2 + 0.07, seat - 0.02), (x, d / 2 - 0.1, seat - 0.03), (x, d / 2 - 0.05, seat + 0.03)]
        b.tube([*side, (x, d / 2, top)], r, tube, 7)
    b.tube([(-w / 2 + r, d / 2, r), (w / 2 - r, d / 2, r)], r, tube, 7)
    b.cushion(
        (-w / 2 + 0.02, -d / 2 + 0.03, seat - 0.02), (w / 2 - 0.02, d / 2 - 0.07, seat + 0.01), style["seat"], 0.012
    )
    height = float(rng.uniform(0.16, 0.26))
    with b.at((0, d / 2 - 0.015, top - height), pitch=-0.08):
        b.cushion((-w / 2 + 0.01, -0.012, 0), (w / 2 - 0.01, 0.012, height), style["seat"], 0.012)
    return b


def _shell_chair(rng: np.random.Generator, style: Style) -> MeshBuilder:
    """A curved shell on four thin legs (plastic or plywood)."""
    b, shell = MeshBuilder(), style.bright[0] if chance(rng, 0.4) else style["seat"]
    w, d, seat, height = jitter(rng, 0.46), jitter(rng, 0.48), jitter(rng, 0.45, 0.03), jitter(rng, 0.37)
    legs(b, w, d * 0.95, seat - 0.02, 0.03, style["metal"] if chance(rng, 0.6) else style["wood"], True, 0.25)
    b.cushion((-w / 2 + 0.02, -d / 2, seat - 0.025), (w / 2 - 0.02, d / 2 - 0.06, seat), shell, 0.02)
    with b.at((0, d / 2 - 0.07, seat - 0.02), pitch=-0.22):
        for x0, x1, yaw in ((-w / 2, -w / 6, 0.35), (-w / 6, w / 6, 0.0), (w / 6, w / 2, -0.35)):
            with b.at(((x0 + x1) / 2, -abs(yaw) * 0.1, 0), yaw=-yaw):
                half = (x1 - x0) / 2 + 0.008
                b.cushion((-half, -0.008, 0.04), (half, 0.008, height), shell, 0.008)
    return b


def _padded_chair(rng: np.random.Generator, style: Style) -> MeshBuilder:
    """Upholstered dining or meeting chair."""
    b, cloth = MeshBuilder(), style["fabric"] if chance(rng, 0.6) else style["leather"]
    w, d, seat, top = jitter(rng, 0.48), jitter(rng, 0.5), jitter(rng, 0.46, 0.03), jitter(rng, 0.9)
    legs(b, w - 0.03, d - 0.03, seat - 0.07, 0.035, style["wood2"] if chance(rng, 0.6) else style["metal"], True, 0.1)
    b.cushion((-w / 2, -d / 2, seat - 0.08), (w / 2, d / 2 - 0.05, seat), cloth, 0.03)
    with b.at((0, d / 2 - 0.05, seat - 0.05), pitch=-0.12):
        b.cushion((-w / 2, -0.03, 0), (w / 2, 0.03, top - seat + 0.05), cloth, 0.03)
    if chance(rng, 0.3):
        for sx in (-1, 1):
            b.box(
                (sx * w / 2 - 0.02, -d / 2 + 0.08, seat + 0.17),
                (sx * w / 2 + 0.02, d / 2 - 0.05, seat + 0.2),
                style["wood2"],
            )
            b.block((sx * w / 2, -d / 2 + 0.1, seat - 0.05), (0.03, 0.03, 0.22), style["wood2"])
    return b


_CHAIRS = (_slatted_chair, _cantilever_chair, _shell_chair, _padded_chair)


def chair(rng: np.random.Generator, style: Style, variant: int | None = None) -> Part:
    """A chair for a table: one of four constructions; seat at 0.45 m."""
    kind = int(rng.integers(len(_CHAIRS))) if variant is None else variant % len(_CHAIRS)
    return part(_CHAIRS[kind](rng, style), "chair", "chair")


def office_chair(rng: np.random.Generator, style: Style) -> Part:
    """Swivel chair: five-star foot on castors, gas spring, padded seat and back, often arms."""
    b = MeshBuilder()
    frame = style["black"] if chance(rng, 0.7) else style["steel"]
    cloth = style["fabric2"] if chance(rng, 0.3) else (style["black"] if chance(rng, 0.7) else style["fabric"])
    seat, w, turn = jitter(rng, 0.48), jitter(rng, 0.48), float(rng.uniform(0, 1))
    for i in range(5):
        a = turn + i * 2 * math.pi / 5
        x, y = 0.3 * math.cos(a), 0.3 * math.sin(a)
        b.tube([(0, 0, 0.1), (x, y, 0.07)], [0.025, 0.015], frame, 6)
        b.block((x, y, 0.0), (0.05, 0.05, 0.055), style["black"])
    b.cylinder((0, 0, 0.08), 0.025, seat - 0.14, style["metal"], 8)
    b.cushion((-w / 2, -w / 2, seat - 0.08), (w / 2, w / 2 - 0.02, seat), cloth, 0.035)
    back = float(rng.uniform(0.42, 0.62))
    b.box((-0.04, w / 2 - 0.06, seat - 0.07), (0.04, w / 2 + 0.04, seat - 0.04), frame)
    b.tube([(0, w / 2 + 0.03, seat - 0.06), (0, w / 2 + 0.06, seat + 0.3)], 0.022, frame, 6)
    with b.at((0, w / 2, seat + 0.06), pitch=-0.15):
        b.cushion((-w / 2 + 0.02, -0.03, 0), (w / 2 - 0.02, 0.035, back), cloth, 0.035)
    if chance(rng, 0.65):
        for sx in (-1, 1):
            x = sx * (w / 2 + 0.04)
            b.tube([(sx * w / 3, 0.02, seat - 0.06), (x, 0.02, seat - 0.05), (x, 0.04, seat + 0.19)], 0.016, frame, 6)
            b.cushion((x - 0.04, -0.14, seat + 0.19), (x + 0.04, 0.12, seat + 0.22), style["black"], 0.012)
    return part(b, "office chair", "chair")


def stool(rng: np.random.Generator, style: Style, seat: float | None = None) -> Part:
    """A low stool or, with `seat` about 0.75, a bar stool."""
    b = MeshBuilder()
    h = jitter(rng, 0.46) if seat is None else seat
    w = jitter(rng, 0.36)
    finish = style["metal"] if chance(rng, 0.5) else style["wood2"]
    legs(b, w, w, h - 0.03, 0.032, finish, True, 0.2)
    if h > 0.6:
        r = w * 0.43
        for p, q in (((-r, -r), (r, -r)), ((r, -r), (r, r)), ((r, r), (-r, r)), ((-r, r), (-r, -r))):
            b.tube([(*p, 0.25), (*q, 0.25)], 0.009, finish, 6)
    if chance(rng, 0.5):
        b.revolve(
            [(0, h - 0.035), (w / 2, h - 0.035), (w / 2, h - 0.005), (w / 2 - 0.01, h), (0, h)],
            (0, 0, 0),
            style["seat"],
        )
    else:
        b.cushion((-w / 2, -w / 2, h - 0.05), (w / 2, w / 2, h), style["seat"], 0.02)
    return part(b, "stool", "chair")


def table(rng: np.random.Generator, style: Style, w: float, d: float, height: float = 0.74, use: str = "table") -> Part:
    """A rectangular table: legs of timber or steel, frames, trestles or panels."""
    b = MeshBuilder()
    h, t = jitter(rng, height, 0.025), float(rng.uniform(0.022, 0.05))
    b.box((-w / 2, -d / 2, h - t), (w / 2, d / 2, h), style["top"])
    metal = style["metal"] if chance(rng, 0.5) else style["wood"]
    construction = int(rng.integers(4)) if height > 0.6 else int(rng.integers(2))
    if construction == 0:
        thick = float(rng.uniform(0.05, 0.11)) if w > 1.0 else 0.05
        legs(b, w - 0.02, d - 0.02, h - t, thick, style["wood"])
        for y in (-d / 2 + 0.05, d / 2 - 0.05):
            b.box((-w / 2 + 0.06, y - 0.011, h - t - 0.09), (w / 2 - 0.06, y + 0.011, h - t), style["wood"])
        for x in (-w / 2 + 0.05, w / 2 - 0.05):
            b.box((x - 0.011, -d / 2 + 0.06, h - t - 0.09), (x + 0.011, d / 2 - 0.06, h - t), style["wood"])
    elif construction == 1:
        legs(b, w - 0.1, d - 0.1, h - t, 0.04, metal, True, -0.02)
    elif construction == 2:
        for sx in (-1, 1):
            x = sx * (w / 2 - 0.12)
            for y in (-d / 2 + 0.06, d / 2 - 0.06):
                b.block((x, y, 0), (0.05, 0.025, h - t), metal)
            b.box((x - 0.025, -d / 2 + 0.05, 0), (x + 0.025, d / 2 - 0.05, 0.025), metal)
            b.box((x - 0.025, -d / 2 + 0.05, h - t - 0.03), (x + 0.025, d / 2 - 0.05, h - t), metal)
    else:
        for sx in (-1, 1):
            x = sx * (w / 2 - 0.25)
            for y in (-d / 2 + 0.1, d / 2 - 0.1):
                b.tube([(x - 0.12, y, 0), (x, y * 0.8, h - t)], 0.018, metal, 6)
                b.tube([(x + 0.12, y, 0), (x, y * 0.8, h - t)], 0.018, metal, 6)
            b.box((x - 0.02, -d / 2 + 0.08, h - t - 0.05), (x + 0.02, d / 2 - 0.08, h - t), metal)
    top = Surface(-w / 2 + 0.03, -d / 2 + 0.03, w / 2 - 0.03, d / 2 - 0.03, h, 1.0, use)
    return part(b, "table" if use != "coffee" else "coffee table", "table", (top,))


def round_table(rng: np.random.Generator, style: Style, diameter: float, height: float = 0.74) -> Part:
    """A round table on a pedestal or three or four legs."""
    b, h, r = MeshBuilder(), jitter(rng, height, 0.025), diameter / 2
    t = float(rng.uniform(0.02, 0.04))
    rim = [(0, h - t), (r, h - t), (r, h), (0, h)]
    b.revolve([rim[0], rim[1]], (0, 0, 0), style["top"], 28)
    b.tube([(0, 0, h - t), (0, 0, h)], r, style["top"], 28)
    if chance(rng, 0.5):
        b.revolve(
            [(r * 0.55, 0), (r * 0.55, 0.015), (0.06, 0.05), (0.04, 0.1), (0.04, h - t)], (0, 0, 0), style["metal"]
        )
    else:
        legs(b, r * 1.3, r * 1.3, h - t, 0.045, style["wood"], True, 0.1)
    s = r * 0.66
    return part(b, "round table", "table", (Surface(-s, -s, s, s, h, 1.0, "table"),))


def desk(rng: np.random.Generator, style: Style, w: float | None = None) -> Part:
    """An office desk: steel frame or panel ends, perhaps a drawer unit under it and a modesty panel."""
    b = MeshBuilder()
    w = jitter(rng, 1.6, 0.12) if w is None else w
    d, h = jitter(rng, 0.78), jitter(rng, 0.735, 0.02)
    b.box((-w / 2, -d / 2, h - 0.025), (w / 2, d / 2, h), style["top"])
    frame = style["metal"]
    if chance(rng, 0.65):
        for sx in (-1, 1):
            x = sx * (w / 2 - 0.1)
            b.box((x - 0.03, -d / 2 + 0.04, 0), (x + 0.03, d / 2 - 0.04, 0.03), frame)
            b.block((x, 0.05, 0), (0.06, 0.08, h - 0.03), frame)
            b.box((x - 0.02, -d / 2 + 0.06, h - 0.06), (x + 0.02, d / 2 - 0.04, h - 0.025), frame)
        b.box((-w / 2 + 0.1, 0.03, h - 0.07), (w / 2 - 0.1, 0.07, h - 0.03), frame)
    else:
        for sx in (-1, 1):
            b.box(
                (sx * w / 2 - 0.0125 - 0.0125 * sx, -d / 2, 0),
                (sx * w / 2 + 0.0125 - 0.0125 * sx, d / 2, h - 0.025),
                style["top"],
            )
    if chance(rng, 0.5):
        b.box((-w / 2 + 0.04, d / 2 - 0.08, h - 0.4), (w / 2 - 0.04, d / 2 - 0.065, h - 0.025), style["top"])
    if chance(rng, 0.6):
        x = (w / 2 - 0.27) * (1 if chance(rng, 0.5) else -1)
        pedestal(b, x, -0.02, 0.0, 0.4, d * 0.75, 0.58, style, int(rng.integers(2, 5)))
    return part(
        b, "desk", "table", (Surface(-w / 2 + 0.03, -d / 2 + 0.03, w / 2 - 0.03, d / 2 - 0.03, h, 0.9, "desk"),)
    )


def pedestal(
    b: MeshBuilder, x: float, y: float, z: float, w: float, d: float, h: float, style: Style, drawers: int
) -> None:
    """A unit of drawers with handles, its front towards -y."""
    b.box((x - w / 2, y - d / 2 + 0.02, z), (x + w / 2, y + d / 2, z + h), style["front2"])
    step = h / drawers
    for i in range(drawers):
        b.box(
            (x - w / 2 + 0.002, y - d / 2, z + i * step + 0.003),
            (x + w / 2 - 0.002, y - d / 2 + 0.018, z + (i + 1) * step - 0.003),
            style["front2"],
        )
        bar_handle(b, x, y - d / 2, z + (i + 0.7) * step, min(0.16, 0.5 * w), style["handle"])


def bar_handle(
    b: MeshBuilder, x: float, y: float, z: float, length: float, finish: Finish, upright: bool = False
) -> None:
    """A bar handle 3 cm in front of a front at y, across or upright, centred at (x, z)."""
    half = length / 2
    if upright:
        b.box((x - 0.006, y - 0.032, z - half), (x + 0.006, y - 0.022, z + half), finish)
        ends = [(x, z - half + 0.01), (x, z + half - 0.01)]
    else:
        b.box((x - half, y - 0.032, z - 0.006), (x + half, y - 0.022, z + 0.006), finish)
        ends = [(x - half + 0.01, z), (x + half - 0.01, z)]
    for ex, ez in ends:
        b.box((ex - 0.005, y - 0.024, ez - 0.005), (ex + 0.005, y, ez + 0.005), finish)
