"""House fronts: storeys of windows with frames, sills and shutters, doors, shops with their signs, roofs of four kinds.

A house stands on z = 0, the middle of its front at the origin, its front towards -y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenewright.worlds.model import Mesh
from scenewright.worlds.parts import chance
from scenewright.worlds.road_style import RoadStyle
from scenewright.worlds.solids import Finish, MeshBuilder

Generator = np.random.Generator


@dataclass(frozen=True)
class House:
    """The meshes of one house by label ("wall", "window"), and its width, depth and height to the eaves in metres."""

    meshes: dict[str, Mesh]
    size: tuple[float, float, float]


def house(rng: Generator, style: RoadStyle, width: float, depth: float, storeys: int, shop: bool) -> House:
    """A house of so many metres and storeys; with a shop on the ground floor or without."""
    walls, panes = MeshBuilder(), MeshBuilder()
    storey = float(rng.uniform(2.7, 3.2))
    ground = storey + (0.7 if shop else 0.3)
    height = ground + (storeys - 1) * storey
    facade = style.facades[int(rng.integers(len(style.facades)))]
    walls.box((-width / 2, 0, -0.1), (width / 2, depth, height), facade)
    if chance(rng, 0.5):
        walls.box(
            (-width / 2 - 0.03, -0.04, -0.1), (width / 2 + 0.03, 0.2, float(rng.uniform(0.4, 0.8))), style["kerb"]
        )
    centres, size = _columns(rng, width)
    floors = [ground + i * storey for i in range(storeys - 1)]
    _windows(walls, panes, rng, style, [(x, z + 0.85) for x in centres for z in floors], size)
    if shop:
        _shop(walls, panes, rng, style, width, ground)
    else:
        _ground_floor(walls, panes, rng, style, centres, size)
    _gable_windows(walls, panes, style, (width, depth), floors, size)
    _roof(walls, rng, style, facade, (width, depth, height))
    return House({"wall": walls.mesh(), "window": panes.mesh()}, (width, depth, height))


def _columns(rng: Generator, width: float) -> tuple[NDArray[np.floating], tuple[float, float]]:
    """Where the windows of every storey stand, and their width and height."""
    wide, tall = float(rng.uniform(0.8, 1.5)), float(rng.uniform(1.2, 1.65))
    count = max(int((width - 0.6) / (wide + float(rng.uniform(0.8, 1.6)))), 1)
    pitch = width / count
    return (np.arange(count) + 0.5) * pitch - width / 2, (min(wide, 0.75 * pitch), tall)


def _windows(
    walls: MeshBuilder, panes: MeshBuilder, rng: Generator, style: RoadStyle, places: list[tuple[float, float]],
    size: tuple[float, float],
) -> None:  # fmt: skip
    """Frames that stand out by 3 cm, panes in two wings, sills and shutters; places = middle and lower edge."""
    if not places:
        return
    at = np.asarray(places, np.float64)
    x, z = at.T
    w, h = size

    def boxes(b: MeshBuilder, x0: float, x1: float, z0: float, z1: float, front: float, finish: Finish) -> None:
        low = np.stack([x + x0, np.full_like(x, -front), z + z0], 1)
        b.boxes(low, np.stack([x + x1, np.full_like(x, 0.05), z + z1], 1), finish)

    boxes(walls, -w / 2 - 0.07, w / 2 + 0.07, -0.07, h + 0.07, 0.03, style["frame"])
    glass = style["glass"] if chance(rng, 0.6) else style["curtain"]
    boxes(panes, -w / 2, -0.03, 0, h, 0.04, glass)
    boxes(panes, 0.03, w / 2, 0, h, 0.04, glass)
    boxes(walls, -w / 2 - 0.12, w / 2 + 0.12, -0.14, -0.06, 0.13, style["kerb"])
    if chance(rng, 0.3):
        boxes(walls, -w - 0.1, -w / 2 - 0.08, -0.02, h + 0.02, 0.05, style["door"])
        boxes(walls, w / 2 + 0.08, w + 0.1, -0.02, h + 0.02, 0.05, style["door"])


def _ground_floor(
    walls: MeshBuilder,
    panes: MeshBuilder,
    rng: Generator,
    style: RoadStyle,
    centres: NDArray,
    size: tuple[float, float],
) -> None:
    """A door or a garage in one column, windows in the others."""
    entrance = int(rng.integers(len(centres)))
    _windows(walls, panes, rng, style, [(x, 1.1) for i, x in enumerate(centres) if i != entrance], size)
    x, half = float(centres[entrance]), 1.2 if chance(rng, 0.3) and size[0] > 1 else 0.5
    walls.box((x - half - 0.1, -0.05, 0), (x + half + 0.1, 0.1, 2.25), style["frame"])
    walls.box((x - half, -0.07, 0), (x + half, 0.1, 2.12), style["door"])
    walls.box((x - half - 0.1, -0.6, -0.1), (x + half + 0.1, 0, 0.15), style["kerb"])
    if half < 1:
        panes.box((x - 0.25, -0.08, 1.3), (x + 0.25, 0.1, 1.95), style["glass"])
    else:
        panes.box((x - 0.9, -0.08, 1.6), (x + 0.9, 0.1, 1.9), style["glass"])


def _shop(
    walls: MeshBuilder, panes: MeshBuilder, rng: Generator, style: RoadStyle, width: float, ground: float
) -> None:
    """Shop windows with pictures in them, a fascia board, an awning."""
    paint = style.paints[int(rng.integers(len(style.paints)))]
    count = max(int(width / 3), 1)
    pitch = width / count
    for i in range(count):
        x0, x1 = -width / 2 + i * pitch + 0.25, -width / 2 + (i + 1) * pitch - 0.25
        panes.box((x0, -0.03, 0.5), (x1, 0.1, ground - 0.9), style["glass"])
        if chance(rng, 0.5):
            finish = style.prints[int(rng.integers(len(style.prints)))]
            x, half = (x0 + x1) / 2 + float(rng.uniform(-0.4, 0.4)), 0.45
            walls.panel(
                [(x - half, -0.04, 0.8), (x + half, -0.04, 0.8), (x + half, -0.04, 2.0), (x - half, -0.04, 2.0)], finish
            )
    walls.box((-width / 2 + 0.1, -0.14, ground - 0.8), (width / 2 - 0.1, 0.1, ground - 0.15), paint)
    bars = np.sort(rng.uniform(-0.35 * width, 0.35 * width, 2))
    walls.box((bars[0], -0.16, ground - 0.62), (bars[1] + 0.3, 0.1, ground - 0.33), style["white"])
    if chance(rng, 0.4):
        cloth = style.paints[int(rng.integers(len(style.paints)))]
        top, low, out = ground - 0.85, ground - 1.25, -1.2
        a, c = -width / 2 + 0.2, width / 2 - 0.2
        walls.panel([(a, out, low), (c, out, low), (c, -0.05, top), (a, -0.05, top)], cloth)


def _gable_windows(
    walls: MeshBuilder, panes: MeshBuilder, style: RoadStyle, size: tuple[float, float], floors: list[float],
    window: tuple[float, float],
) -> None:  # fmt: skip
    """One window per storey in both side walls."""
    width, depth = size
    w, h = window
    for z in floors:
        for sx in (-1, 1):
            x, y = sx * width / 2, 0.4 * depth
            walls.box(
                (x - 0.03, y - w / 2 - 0.07, z + 0.78), (x + 0.03, y + w / 2 + 0.07, z + h + 0.92), style["frame"]
            )
            panes.box((x - 0.04, y - w / 2, z + 0.85), (x + 0.04, y + w / 2, z + h + 0.85), style["glass"])


def _roof(b: MeshBuilder, rng: Generator, style: RoadStyle, facade: Finish, size: tuple[float, float, float]) -> None:
    """Flat with a parapet, ridge along the street, ridge across it, or a mansard; chimneys."""
    w, d, h = size
    tiles = style.roofs[int(rng.integers(len(style.roofs)))]
    kind, half, o = int(rng.choice(3, p=[0.2, 0.5, 0.3])), w / 2, 0.35
    if kind == 0:
        b.box((-half - 0.1, -0.12, h), (half + 0.1, 0.2, h + 0.5), style["kerb"])
        b.box((-half, 0.2, h), (half, d, h + 0.1), style["patch"])
        return
    if kind == 1:
        rise = d / 2 * float(rng.uniform(0.55, 1.0))
        ridge = h + rise
        b.panel(
            [(-half - o, -o, h - 0.2), (half + o, -o, h - 0.2), (half + o, d / 2, ridge), (-half - o, d / 2, ridge)],
            tiles,
            False,
        )
        b.panel(
            [
                (half + o, d + o, h - 0.2),
                (-half - o, d + o, h - 0.2),
                (-half - o, d / 2, ridge),
                (half + o, d / 2, ridge),
            ],
            tiles,
            False,
        )
        for x in (-half, half):
            b.panel([(x, 0, h), (x, d, h), (x, d / 2, ridge), (x, d / 2, ridge)], facade, False)
    else:
        rise = half * float(rng.uniform(0.7, 1.2))
        ridge = h + rise
        for sx in (-1, 1):
            x = sx * (half + o)
            b.panel([(x, d, h - 0.25), (x, -o, h - 0.25), (0, -o, ridge), (0, d, ridge)], tiles, False)
        b.panel([(-half, 0, h), (half, 0, h), (0, 0, ridge), (0, 0, ridge)], facade, False)
    if chance(rng, 0.7):
        x = float(rng.uniform(-0.3, 0.3)) * w
        top = ridge + float(rng.uniform(0.3, 0.9))
        b.box((x - 0.3, d / 2 - 0.3, h), (x + 0.3, d / 2 + 0.3, top), style["wall"])
