"""The look of one street: its finishes by role, its weather and the light that comes with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scenewright.worlds.looks import print_finish, surface
from scenewright.worlds.model import Lamp, Sky
from scenewright.worlds.road_textures import cloud_cover, road_texture
from scenewright.worlds.sky import ambient_of, sun_lamp
from scenewright.worlds.solids import Finish, plain
from scenewright.worlds.style import linear
from scenewright.worlds.textures import Colour

_PAINTS: tuple[Colour, ...] = (
    (0.93, 0.93, 0.93), (0.75, 0.76, 0.78), (0.45, 0.46, 0.48), (0.10, 0.10, 0.11), (0.06, 0.07, 0.10),
    (0.60, 0.08, 0.08), (0.12, 0.22, 0.48), (0.20, 0.30, 0.26), (0.72, 0.66, 0.55), (0.80, 0.62, 0.15),
)  # fmt: skip
_FACADES: tuple[Colour, ...] = (
    (0.90, 0.87, 0.80), (0.93, 0.92, 0.90), (0.85, 0.76, 0.60), (0.80, 0.68, 0.58), (0.70, 0.72, 0.72),
    (0.88, 0.80, 0.62), (0.75, 0.80, 0.78), (0.82, 0.62, 0.52), (0.62, 0.60, 0.56),
)  # fmt: skip
_BRICKS: tuple[Colour, ...] = ((0.55, 0.30, 0.22), (0.62, 0.42, 0.32), (0.45, 0.26, 0.22), (0.72, 0.62, 0.48))
_LEAVES: tuple[Colour, ...] = ((0.30, 0.42, 0.16), (0.24, 0.36, 0.14), (0.38, 0.46, 0.20), (0.20, 0.32, 0.16))
_AUTUMN: tuple[Colour, ...] = ((0.62, 0.45, 0.15), (0.55, 0.30, 0.12), (0.50, 0.48, 0.18))


@dataclass(frozen=True, eq=False)
class RoadStyle:
    """Finishes of one street by role; `leaves`, `facades`, `roofs`, `paints` and `prints` are there to choose from."""

    finishes: dict[str, Finish]
    leaves: tuple[Finish, ...]
    facades: tuple[Finish, ...]
    roofs: tuple[Finish, ...]
    paints: tuple[Finish, ...]
    prints: tuple[Finish, ...]

    def __getitem__(self, role: str) -> Finish:
        return self.finishes[role]


def make_road_style(rng: np.random.Generator, split: str) -> RoadStyle:
    """A set of finishes, a pure function of the generator's state and the split."""

    def cover(kind: str, colours: Sequence[Colour], variants: int = 3) -> Finish:
        return surface(rng, split, kind, colours, variants, make=road_texture)

    greens = (*_LEAVES, *_AUTUMN) if rng.random() < 0.25 else _LEAVES
    facades = [surface(rng, split, kind, _FACADES, 2) for kind in ("plaster", "woodchip", "plaster", "concrete")]
    facades += [surface(rng, split, "brick", _BRICKS, 2) for _ in range(2)] + [cover("boards", _FACADES)]
    roofs = tuple(cover("roof", ((0.50, 0.26, 0.18), (0.36, 0.22, 0.18), (0.26, 0.27, 0.30))) for _ in range(3))
    paints = tuple(
        plain(linear(np.asarray(_PAINTS[int(i)]) + rng.normal(0, 0.04)), 0.75)
        for i in rng.integers(len(_PAINTS), size=9)
    )
    prints = tuple(print_finish(rng, split, "poster" if i % 2 else "picture", wide=i % 2) for i in range(6))
    leaves = tuple(cover("foliage", greens) for _ in range(4))
    return RoadStyle(_ground(rng, cover) | _things(rng, split), leaves, tuple(facades), roofs, paints, prints)


def _ground(rng: np.random.Generator, cover: Callable[..., Finish]) -> dict[str, Finish]:
    grey = float(rng.uniform(0.30, 0.46))
    return {
        "asphalt": cover("asphalt", ((grey, grey, grey + 0.01), (grey, 0.98 * grey, 0.94 * grey))),
        "patch": cover("asphalt", ((0.34, 0.34, 0.35), (0.27, 0.27, 0.28))),
        "paving": cover("paving", ((0.58, 0.57, 0.55), (0.62, 0.56, 0.50), (0.50, 0.50, 0.51), (0.56, 0.42, 0.38))),
        "grass": cover("grass", ((0.34, 0.44, 0.18), (0.42, 0.46, 0.22), (0.28, 0.38, 0.16))),
        "field": cover("grass", ((0.40, 0.46, 0.20), (0.58, 0.52, 0.30), (0.42, 0.34, 0.24))),
        "kerb": plain(linear((0.66, 0.65, 0.63))),
        "marking": plain(linear((0.86, 0.86, 0.83) if rng.random() < 0.85 else (0.85, 0.70, 0.25))),
    }


def _things(rng: np.random.Generator, split: str) -> dict[str, Finish]:
    wood = surface(rng, split, "wood", ((0.50, 0.38, 0.26), (0.40, 0.34, 0.28)), 2, 0.0)
    frame = ((0.93, 0.93, 0.92), (0.30, 0.22, 0.16), (0.20, 0.21, 0.22))[int(rng.choice(3, p=[0.6, 0.2, 0.2]))]
    return {
        "trunk": surface(rng, split, "wood", ((0.34, 0.28, 0.22), (0.42, 0.38, 0.34)), 2, 0.0),
        "fence": wood if rng.random() < 0.6 else plain(linear((0.90, 0.90, 0.88))),
        "wall": surface(rng, split, "brick", _BRICKS, 2),
        "pole": plain(linear((0.55, 0.56, 0.56) if rng.random() < 0.7 else (0.14, 0.16, 0.15)), 0.3),
        "metal": plain(linear((0.70, 0.71, 0.72)), 0.5),
        "frame": plain(linear(frame)),
        "door": plain(linear(rng.uniform(0.1, 0.6, 3)), 0.2),
        "glass": plain((0.02, 0.025, 0.03), 0.95),
        "curtain": plain(linear((0.42, 0.44, 0.46)), 0.85),
        "rubber": plain((0.012, 0.012, 0.013), 0.1),
        "hub": plain(linear((0.42, 0.43, 0.45)), 0.6),
        "white": plain(linear((0.92, 0.92, 0.92)), 0.3),
        "black": plain((0.015, 0.015, 0.016), 0.3),
        "red": plain(linear((0.72, 0.05, 0.05)), 0.3),
        "blue": plain(linear((0.05, 0.22, 0.62)), 0.3),
        "yellow": plain(linear((0.93, 0.76, 0.10)), 0.3),
        "skin": plain(linear((0.78, 0.58, 0.46))),
        "hill": plain(linear((0.34, 0.42, 0.32))),
    }


def make_weather(rng: np.random.Generator) -> tuple[Sky, tuple[Lamp, ...], Colour]:
    """Sky, sun and the light from everywhere: clear, broken clouds or overcast; the sun low or high."""
    kind = str(rng.choice(["clear", "broken", "overcast"], p=[0.4, 0.3, 0.3]))
    height, turn = math.radians(float(rng.uniform(18, 68))), float(rng.uniform(0, 2 * math.pi))
    sun = (math.cos(height) * math.cos(turn), math.cos(height) * math.sin(turn), math.sin(height))
    warm = 0.35 * (1 - math.sin(height))
    grey = kind == "overcast"
    zenith = (0.72, 0.75, 0.80) if grey else (0.16, 0.32, 0.72)
    horizon = (0.92, 0.95, 1.0) if grey else (0.78, 0.88, 1.0)
    share = {"clear": float(rng.uniform(0, 0.2)), "broken": float(rng.uniform(0.3, 0.7)), "overcast": 1.0}[kind]
    bright = float(rng.uniform(0.75, 1.0) if grey else rng.uniform(1.1, 1.6))
    cloud = (bright, bright, 1.02 * bright)
    haze = float(np.exp(rng.uniform(math.log(250), math.log(1500))))
    sky = Sky(zenith, horizon, sun, 0.0 if grey else 1.0, cloud_cover(rng, share), cloud, haze)
    ambient = ambient_of(sky)
    ratio = {"clear": float(rng.uniform(3, 6)), "broken": float(rng.uniform(1.5, 4)), "overcast": 0.15}[kind]
    level = math.pi * ratio * sum(ambient) / 3
    return sky, (sun_lamp(sky, (level, level * (1 - 0.5 * warm), level * (1 - warm))),), ambient
