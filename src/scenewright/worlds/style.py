"""The look of one room: a coherent palette of finishes by role, true-size textures, true-to-life proportions of dark,
saturated and plain surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from scenewright.worlds.looks import outside, print_finish, surface
from scenewright.worlds.solids import Finish, plain

Colour = tuple[float, float, float]

_WALLS: tuple[Colour, ...] = (
    (0.93, 0.92, 0.90), (0.88, 0.87, 0.85), (0.95, 0.95, 0.94), (0.80, 0.82, 0.84), (0.88, 0.84, 0.76),
    (0.70, 0.72, 0.74), (0.78, 0.80, 0.72), (0.66, 0.75, 0.80), (0.90, 0.86, 0.70), (0.60, 0.62, 0.65),
)  # fmt: skip
_ACCENTS: tuple[Colour, ...] = (
    (0.62, 0.10, 0.12), (0.10, 0.22, 0.50), (0.12, 0.36, 0.34), (0.85, 0.62, 0.12), (0.30, 0.42, 0.20),
    (0.40, 0.16, 0.36), (0.80, 0.36, 0.12), (0.16, 0.18, 0.22), (0.35, 0.55, 0.70), (0.72, 0.45, 0.42),
)  # fmt: skip
_FRONTS: tuple[tuple[float, Colour], ...] = (
    (3.0, (0.93, 0.93, 0.92)), (1.5, (0.82, 0.80, 0.75)), (2.0, (0.10, 0.10, 0.11)), (1.2, (0.22, 0.23, 0.25)),
    (1.5, (0.58, 0.05, 0.07)), (0.8, (0.15, 0.24, 0.36)), (0.7, (0.35, 0.44, 0.36)), (0.8, (0.55, 0.57, 0.58)),
    (0.4, (0.85, 0.65, 0.20)),
)  # fmt: skip
_WOODS: tuple[Colour, ...] = (
    (0.76, 0.60, 0.40), (0.66, 0.47, 0.28), (0.55, 0.36, 0.20), (0.82, 0.70, 0.52), (0.40, 0.24, 0.14),
    (0.28, 0.18, 0.12), (0.72, 0.50, 0.34), (0.60, 0.45, 0.32),
)  # fmt: skip
_FABRICS: tuple[Colour, ...] = (
    (0.72, 0.66, 0.56), (0.45, 0.45, 0.46), (0.20, 0.21, 0.23), (0.16, 0.24, 0.38), (0.50, 0.16, 0.14),
    (0.30, 0.38, 0.28), (0.82, 0.78, 0.70), (0.36, 0.25, 0.18), (0.62, 0.42, 0.20), (0.12, 0.30, 0.32),
)  # fmt: skip
_CARPETS: tuple[Colour, ...] = (
    (0.12, 0.22, 0.45), (0.35, 0.37, 0.40), (0.25, 0.26, 0.28), (0.45, 0.14, 0.14), (0.55, 0.50, 0.44),
    (0.20, 0.30, 0.24), (0.15, 0.18, 0.30), (0.42, 0.34, 0.26),
)  # fmt: skip
_BRIGHT: tuple[Colour, ...] = (
    (0.80, 0.12, 0.12), (0.10, 0.32, 0.70), (0.95, 0.80, 0.15), (0.15, 0.55, 0.25), (0.95, 0.95, 0.93),
    (0.08, 0.08, 0.09), (0.90, 0.45, 0.10), (0.50, 0.20, 0.55), (0.20, 0.60, 0.65), (0.60, 0.60, 0.60),
    (0.92, 0.88, 0.78), (0.35, 0.20, 0.12), (0.85, 0.55, 0.60),
)  # fmt: skip


_MUTED: tuple[Colour, ...] = (
    (0.85, 0.82, 0.76), (0.25, 0.22, 0.20), (0.40, 0.42, 0.45), (0.20, 0.26, 0.36), (0.45, 0.30, 0.22),
    (0.70, 0.66, 0.58),
    (0.93, 0.92, 0.9), (0.30, 0.36, 0.32), (0.12, 0.12, 0.13),
)  # fmt: skip
_TILES: tuple[Colour, ...] = (
    (0.90, 0.90, 0.88), (0.52, 0.60, 0.60), (0.25, 0.26, 0.28), (0.72, 0.64, 0.54), (0.60, 0.60, 0.60),
    (0.35, 0.48, 0.50),
    (0.82, 0.80, 0.72), (0.42, 0.30, 0.26),
)  # fmt: skip


def linear(colour: ArrayLike) -> Colour:
    """Linear RGB of an sRGB colour, both in [0, 1]."""
    c = np.clip(np.asarray(colour, np.float64), 0.0, 1.0)
    r, g, b = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


@dataclass(frozen=True, eq=False)
class Style:
    """Finishes of one room by role, and the seeded generator that made them.

    `finishes` holds at least the names in `ROLES`.
    """

    finishes: dict[str, Finish]
    bright: tuple[Finish, ...]
    books: tuple[Finish, ...]
    pages: tuple[Finish, ...]
    pictures: tuple[Finish, ...]
    labels: tuple[Finish, ...]
    screens: tuple[Finish, ...]
    outside: Finish

    def __getitem__(self, role: str) -> Finish:
        return self.finishes[role]


ROLES = (
    "wall", "wall2", "ceiling", "floor", "carpet", "rug", "skirting", "door", "frame", "front", "front2", "worktop",
    "splash", "handle", "wood", "wood2", "top", "seat", "metal", "fabric", "fabric2", "curtain", "white", "black",
    "ceramic", "leaf", "pot", "paper", "steel", "glass", "leather", "cardboard", "lamp", "tile", "radiator", "bedding",
)  # fmt: skip


def make_style(rng: np.random.Generator, kind: str, split: str) -> Style:
    """A coherent set of finishes for a room of this kind, a pure function of the generator's state."""
    pick = _Picker(rng, kind, split)
    finishes = {**pick.shell(), **pick.furniture(), **pick.small()}
    order = [int(i) for i in rng.permutation(len(_BRIGHT))]
    bright = tuple(plain(pick.near(_BRIGHT[i], 0.05), gloss) for i in order for gloss in (0.1, 0.4))
    covers = [
        _BRIGHT[int(i)] if rng.random() < 0.55 else _MUTED[int(i) % len(_MUTED)]
        for i in rng.integers(len(_BRIGHT), size=14)
    ]
    books = tuple(plain(pick.near(c, 0.08), 0.05) for c in covers)
    pages = tuple(
        print_finish(rng, split, str(rng.choice(["page", "magazine", "poster"], p=[0.4, 0.4, 0.2]))) for _ in range(9)
    )
    pictures = tuple(
        print_finish(rng, split, "picture" if rng.random() < 0.65 else "poster", wide=i % 2) for i in range(8)
    )
    labels = tuple(replace(print_finish(rng, split, "label"), repeat=(0.16, 0.22)) for _ in range(6))
    lit = tuple(print_finish(rng, split, "screen", float(rng.uniform(0.5, 1.5))) for _ in range(3))
    dark = plain(linear((0.03, 0.03, 0.035)), 0.8)
    return Style(finishes, bright, books, pages, pictures, labels, (*lit, dark), outside(rng, split))


class _Picker:
    """Draws finishes; one method per group of roles."""

    def __init__(self, rng: np.random.Generator, kind: str, split: str) -> None:
        self.rng, self.kind, self.split = rng, kind, split
        self.wood_colour = _WOODS[int(rng.integers(len(_WOODS)))]
        self.accent = _ACCENTS[int(rng.integers(len(_ACCENTS)))]

    def near(self, colour: Sequence[float], spread: float = 0.03) -> Colour:
        """Linear RGB close to an sRGB colour: lightness moves more than hue."""
        shift = self.rng.normal(0.0, spread) + self.rng.normal(0.0, spread / 3, 3)
        return linear(np.asarray(colour) + shift)

    def one(self, colours: Sequence[Colour], spread: float = 0.03) -> Colour:
        """A colour near one of a list."""
        return self.near(colours[int(self.rng.integers(len(colours)))], spread)

    def chance(self, p: float) -> bool:
        """True with probability `p`."""
        return bool(self.rng.random() < p)

    def cover(self, kind: str, colours: Sequence[Colour], variants: int = 2, gloss: float | None = None) -> Finish:
        """A true-size texture of a kind in one of some colours."""
        return surface(self.rng, self.split, kind, colours, variants, gloss)

    def shell(self) -> dict[str, Finish]:
        """Walls, ceiling, floor, skirting, doors, window frames."""
        wall = self.wall()
        white = plain(self.near((0.93, 0.93, 0.92), 0.02), 0.15)
        wood = self.wood(self.wood_colour)
        accent = plain(self.near(self.accent))
        if self.chance(0.3):
            accent = self.cover("brick", ((0.55, 0.30, 0.22), (0.85, 0.83, 0.80)))
        door = [white, wood, plain(self.near((0.12, 0.12, 0.13)), 0.3), plain(self.near(self.accent), 0.2)]
        floor = self.floor()
        return {
            "wall": wall,
            "wall2": accent if self.chance(0.5) else wall,
            "ceiling": plain(self.near((0.94, 0.94, 0.93), 0.02)),
            "floor": floor,
            "carpet": self.carpet(),
            "rug": self.carpet() if self.chance(0.5) else self.textile((self.accent, *_FABRICS), 0.7),
            "skirting": white if self.chance(0.6) else wood,
            "door": door[int(self.rng.choice(4, p=[0.45, 0.25, 0.2, 0.1]))],
            "frame": [white, wood, plain(self.near((0.15, 0.15, 0.16)), 0.3)][
                int(self.rng.choice(3, p=[0.6, 0.25, 0.15]))
            ],
            "radiator": white,
        }

    def floor(self) -> Finish:
        """Wood, tiles, carpet or linoleum by kind of room."""
        wood, tile, carpet = {
            "kitchen": (0.45, 0.35, 0.1), "office": (0.35, 0.05, 0.45), "living room": (0.65, 0.05, 0.2),
            "bedroom": (0.6, 0.02, 0.33), "bathroom": (0.08, 0.85, 0.0), "corridor": (0.4, 0.25, 0.25),
            "hall": (0.4, 0.25, 0.25),
        }[self.kind]  # fmt: skip
        r = self.rng.random()
        if r < wood:
            kind = str(self.rng.choice(["planks", "laminate", "parquet"], p=[0.5, 0.35, 0.15]))
            return self.cover(kind, _WOODS)
        if r < wood + tile:
            return self.cover("tiles" if self.chance(0.8) else "marble", _TILES, 4)
        if r < wood + tile + carpet:
            return self.carpet()
        return self.cover("concrete", ((0.6, 0.6, 0.58), (0.45, 0.48, 0.5), (0.7, 0.66, 0.6), (0.35, 0.4, 0.38)))

    def wall(self) -> Finish:
        """Painted plaster, mostly plain and pale; now and then woodchip, wallpaper, concrete or brick."""
        kind = str(
            self.rng.choice(
                ["plain", "plaster", "woodchip", "wallpaper", "concrete", "brick"], p=[0.4, 0.38, 0.1, 0.07, 0.03, 0.02]
            )
        )
        colour = self.one(_WALLS)
        if kind == "plain":
            return plain(colour)
        if kind == "brick":
            return self.cover("brick", ((0.55, 0.30, 0.22), (0.85, 0.83, 0.80)))
        made = self.cover(kind, ((0.95, 0.95, 0.95),), 3)
        return replace(made, material=replace(made.material, albedo=colour))

    def wood(self, colour: Colour, gloss: float | None = None) -> Finish:
        """Timber of about this colour."""
        return self.cover("wood", (colour,), 3, gloss)

    def tile(self) -> Finish:
        """Ceramic tiles or mosaic."""
        return self.cover("tiles" if self.chance(0.8) else "mosaic", _TILES, 4)

    def carpet(self) -> Finish:
        """Fitted carpet, often saturated, striped or flecked."""
        return self.cover("carpet", _CARPETS, 4)

    def worktop(self, wood: Finish) -> Finish:
        """Dark stone, glued timber, grey or pale."""
        r = self.rng.random()
        if r < 0.25:
            return plain(self.near((0.08, 0.08, 0.09), 0.02), 0.6)
        if r < 0.5:
            return self.cover("granite", ((0.12, 0.12, 0.13), (0.35, 0.33, 0.32), (0.6, 0.58, 0.55)))
        if r < 0.75:
            return self.cover("butcher", (self.wood_colour,))
        return (
            wood if self.chance(0.3) else plain(self.one(((0.6, 0.6, 0.58), (0.85, 0.84, 0.8), (0.3, 0.3, 0.31))), 0.4)
        )

    def textile(self, colours: Sequence[Colour], printed: float = 0.15) -> Finish:
        """Woven upholstery, or now and then a printed cloth."""
        return self.cover("cloth" if self.chance(printed) else "fabric", colours, 2)

    def furniture(self) -> dict[str, Finish]:
        """Fronts, worktops, timber, upholstery, metal."""
        weights = np.array([w for w, _ in _FRONTS])
        front_colour = _FRONTS[int(self.rng.choice(len(_FRONTS), p=weights / weights.sum()))][1]
        gloss = float(self.rng.choice([0.1, 0.3, 0.7]))
        wood = self.wood(self.wood_colour)
        front = wood if self.chance(0.25) else plain(self.near(front_colour), gloss)
        metal = [
            plain(self.near((0.75, 0.75, 0.76)), 0.9),
            plain(self.near((0.06, 0.06, 0.06), 0.01), 0.4),
            plain(self.near((0.9, 0.9, 0.9)), 0.3),
        ]
        seat = [
            plain(self.near((0.05, 0.05, 0.05), 0.01), 0.3),
            wood,
            plain(self.one(_FABRICS)),
            plain(self.one(_BRIGHT), 0.3),
        ]
        return {
            "front": front,
            "front2": front if self.chance(0.6) else plain(self.near((0.92, 0.92, 0.91)), gloss),
            "worktop": self.worktop(wood),
            "splash": self.tile() if self.chance(0.6) else plain(self.near(self.accent), 0.7),
            "tile": self.tile(),
            "handle": metal[int(self.rng.choice(3, p=[0.7, 0.25, 0.05]))],
            "metal": metal[int(self.rng.choice(3, p=[0.45, 0.4, 0.15]))],
            "wood": wood,
            "wood2": self.wood(_WOODS[int(self.rng.integers(len(_WOODS)))]),
            "top": wood
            if self.chance(0.7)
            else plain(self.one(((0.92, 0.92, 0.91), (0.92, 0.92, 0.91), (0.12, 0.12, 0.13))), 0.3),
            "seat": seat[int(self.rng.choice(4, p=[0.35, 0.3, 0.25, 0.1]))],
            "fabric": self.textile(_FABRICS, 0.06),
            "fabric2": self.textile((self.accent,), 0.4),
            "leather": plain(self.one(((0.08, 0.07, 0.07), (0.30, 0.18, 0.12), (0.6, 0.5, 0.4))), 0.35),
            "curtain": self.textile(((0.9, 0.88, 0.84), (0.6, 0.58, 0.55), self.accent), 0.3),
            "bedding": self.textile(((0.92, 0.92, 0.92), (0.7, 0.75, 0.8), self.accent, (0.5, 0.5, 0.5)), 0.6),
        }

    def small(self) -> dict[str, Finish]:
        """Materials of appliances and clutter."""
        return {
            "white": plain(linear((0.93, 0.93, 0.93)), 0.3),
            "black": plain(linear((0.07, 0.07, 0.075)), 0.4),
            "ceramic": plain(linear((0.95, 0.95, 0.94)), 0.7),
            "steel": self.cover("brushed", ((0.72, 0.73, 0.74),), 2),
            "glass": plain(linear((0.10, 0.12, 0.12)), 0.95),
            "leaf": plain(self.one(((0.12, 0.28, 0.08), (0.20, 0.40, 0.12), (0.10, 0.22, 0.12)), 0.04), 0.15),
            "pot": plain(self.one(((0.55, 0.28, 0.18), (0.2, 0.2, 0.21), (0.9, 0.9, 0.88), self.accent)), 0.15),
            "paper": plain(linear((0.95, 0.95, 0.93))),
            "cardboard": plain(linear((0.62, 0.47, 0.32))),
            "lamp": plain(linear((1.0, 0.95, 0.85)), 0.0, 3.0),
        }
