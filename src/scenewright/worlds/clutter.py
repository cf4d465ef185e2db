"""Small things that lie about in true size: crockery, bottles, papers, books, food, boxes, bags."""

from __future__ import annotations

import math

import numpy as np

from scenewright.worlds.gadgets import (
    coffee_machine,
    controller,
    desk_lamp,
    flowers,
    kettle,
    laptop,
    microwave,
    pen_cup,
    potted_plant,
    speaker,
    telephone,
    toaster,
)
from scenewright.worlds.parts import Maker, Part, any_bright, any_picture, chance, jitter, part
from scenewright.worlds.solids import Finish, MeshBuilder, plain
from scenewright.worlds.style import Style, linear


def mug(rng: np.random.Generator, style: Style) -> Part:
    """A mug with its handle."""
    b, r, h = MeshBuilder(), jitter(rng, 0.041), jitter(rng, 0.095)
    finish = style["ceramic"] if chance(rng, 0.5) else any_bright(rng, style)
    b.revolve(
        [(0, 0), (r * 0.9, 0), (r, 0.01), (r, h), (r - 0.004, h), (r - 0.004, 0.006), (0, 0.006)], (0, 0, 0), finish, 14
    )
    a = np.linspace(-1.3, 1.3, 6)
    with b.at((0, 0, 0), yaw=float(rng.uniform(0, 6.28))):
        b.tube(np.stack([r - 0.004 + 0.028 * np.cos(a), 0 * a, h / 2 + 0.03 * np.sin(a)], 1), 0.005, finish, 5)
    return part(b, "mug", "objects")


def _turned(name: str, profile: list[tuple[float, float]], sides: int, finish_of: str | None) -> Maker:
    """A maker of a turned vessel: profile in metres, scaled +-5 %; finish by role or any bright colour."""

    def make(rng: np.random.Generator, style: Style) -> Part:
        b, scale = MeshBuilder(), jitter(rng, 1.0)
        finish = any_bright(rng, style) if finish_of is None else style[finish_of]
        b.revolve(np.asarray(profile) * scale, (0, 0, 0), finish, sides)
        return part(b, name, "objects")

    make.__name__ = name.replace(" ", "_")
    return make


glass = _turned("glass", [(0, 0), (0.03, 0), (0.036, 0.12), (0.034, 0.12), (0.029, 0.01), (0, 0.01)], 14, "ceramic")
vase = _turned(
    "vase", [(0, 0), (0.05, 0), (0.075, 0.09), (0.045, 0.2), (0.055, 0.24), (0.05, 0.24), (0.04, 0.2)], 16, None
)
bowl = _turned(
    "bowl", [(0, 0), (0.04, 0), (0.045, 0.01), (0.11, 0.07), (0.107, 0.07), (0.04, 0.015), (0, 0.015)], 18, None
)
jar = _turned(
    "jar",
    [(0, 0), (0.04, 0), (0.045, 0.01), (0.045, 0.11), (0.035, 0.12), (0.04, 0.122), (0.04, 0.14), (0, 0.14)],
    14,
    None,
)
tin = _turned("tin", [(0, 0), (0.037, 0), (0.037, 0.11), (0, 0.11)], 14, None)
cup_paper = _turned("paper cup", [(0, 0), (0.028, 0), (0.04, 0.1), (0.041, 0.105), (0.0, 0.105)], 12, "paper")
pan = _turned("pan", [(0, 0), (0.1, 0), (0.105, 0.1), (0.1, 0.1), (0.096, 0.01), (0, 0.01)], 18, "steel")
thermos = _turned(
    "thermos", [(0, 0), (0.05, 0), (0.055, 0.02), (0.055, 0.2), (0.035, 0.24), (0.035, 0.28), (0, 0.28)], 14, "steel"
)
dispenser = _turned("dispenser", [(0, 0), (0.04, 0), (0.04, 0.17), (0.042, 0.17), (0.042, 0.2), (0, 0.2)], 14, "white")
paper_roll = _turned(
    "kitchen roll", [(0, 0), (0.06, 0), (0.06, 0.23), (0.02, 0.23), (0.02, 0.26), (0, 0.26)], 16, "paper"
)


def bottle(rng: np.random.Generator, style: Style) -> Part:
    """A bottle of wine, water, oil or cleaner, with label and cap."""
    b, r, h = MeshBuilder(), float(rng.uniform(0.032, 0.042)), float(rng.uniform(0.2, 0.32))
    colour = [linear((0.05, 0.15, 0.06)), linear((0.25, 0.12, 0.04)), linear((0.75, 0.85, 0.9))][int(rng.integers(3))]
    body = plain(colour, 0.8) if chance(rng, 0.65) else any_bright(rng, style)
    s = h * float(rng.uniform(0.55, 0.72))
    b.revolve([(0, 0), (r, 0), (r, s), (r * 0.4, s + (h - s) * 0.45), (r * 0.38, h - 0.02)], (0, 0, 0), body, 14)
    b.cylinder((0, 0, h - 0.025), r * 0.42, 0.025, any_bright(rng, style), 10)
    b.tube([(0, 0, s * 0.25), (0, 0, s * 0.8)], r * 1.01, any_bright(rng, style), 14, caps=False)
    return part(b, "bottle", "objects")


def plates(rng: np.random.Generator, style: Style) -> Part:
    """One plate, or a stack."""
    b, r = MeshBuilder(), float(rng.choice([0.1, 0.135]))
    finish = style["ceramic"] if chance(rng, 0.75) else any_bright(rng, style)
    for i in range(1 if chance(rng, 0.6) else int(rng.integers(3, 9))):
        z = i * 0.011
        b.revolve(
            [(0, z), (r * 0.6, z), (r, z + 0.018), (r * 0.97, z + 0.02), (r * 0.6, z + 0.005), (0, z + 0.005)],
            (0, 0, 0),
            finish,
            18,
        )
    return part(b, "plate", "objects")


def _balls(b: MeshBuilder, rng: np.random.Generator, count: int, w: float, d: float, z: float, r: float) -> None:
    """Fruit heaped in two layers over a w x d rectangle."""
    hues = (
        (0.75, 0.15, 0.08),
        (0.85, 0.75, 0.15),
        (0.9, 0.5, 0.1),
        (0.35, 0.55, 0.12),
        (0.3, 0.1, 0.2),
        (0.2, 0.25, 0.1),
    )
    kinds = [plain(linear(hues[int(i)]), 0.25) for i in rng.choice(len(hues), 3, replace=False)]
    t = np.linspace(-math.pi / 2, math.pi / 2, 6)
    for i in range(count):
        x, y = rng.uniform(-w / 2 + r, w / 2 - r), rng.uniform(-d / 2 + r, d / 2 - r)
        layer = 0 if i < count * 0.6 else 1
        size = r * float(rng.uniform(0.8, 1.05))
        profile = np.stack([size * np.cos(t), size * np.sin(t)], 1)
        b.revolve(profile, (x, y, z + size + layer * r * 1.2), kinds[int(rng.integers(3))], 9)


def fruit_bowl(rng: np.random.Generator, style: Style) -> Part:
    """A bowl of fruit."""
    b = MeshBuilder()
    r = jitter(rng, 0.14)
    outline = [(0, 0), (0.05, 0), (0.06, 0.01), (r, 0.08), (r - 0.004, 0.08), (0.055, 0.015), (0, 0.015)]
    b.revolve(outline, (0, 0, 0), style["ceramic"] if chance(rng, 0.5) else style["wood"], 18)
    _balls(b, rng, int(rng.integers(5, 10)), 0.22, 0.22, 0.025, 0.037)
    return part(b, "fruit bowl", "objects")


def basket(rng: np.random.Generator, style: Style) -> Part:
    """A wicker basket of fruit, or a plastic crate with a crumpled bag on it."""
    b = MeshBuilder()
    crate = chance(rng, 0.4)
    w, d, h = (0.4, 0.3, 0.18) if crate else (jitter(rng, 0.36), jitter(rng, 0.27), 0.11)
    side = any_bright(rng, style) if crate else plain(linear((0.5, 0.33, 0.17)))
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.01), side)
    rows = 5 if crate else 6
    for i in range(rows):
        z0, z1 = 0.01 + i * (h - 0.01) / rows, 0.01 + (i + 0.82) * (h - 0.01) / rows
        e = 0.012 * i / rows
        for sx in (-1, 1):
            b.box((sx * (w / 2 + e) - 0.006, -d / 2 - e, z0), (sx * (w / 2 + e) + 0.006, d / 2 + e, z1), side)
            b.box((-w / 2 - e, sx * (d / 2 + e) - 0.006, z0), (w / 2 + e, sx * (d / 2 + e) + 0.006, z1), side)
    if crate:
        crumple(b, rng, (0, 0, h * 0.45), (w * 0.48, d * 0.48, 0.14), plain(linear((0.9, 0.9, 0.92)), 0.6))
    else:
        _balls(b, rng, int(rng.integers(14, 26)), w * 0.9, d * 0.9, 0.03, 0.037)
    return part(b, "crate" if crate else "fruit basket", "objects")


def crumple(
    b: MeshBuilder,
    rng: np.random.Generator,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    finish: Finish,
) -> None:
    """A crumpled bag or cloth: an ellipsoid with noise, flat shaded."""
    n, m = 7, 12
    u, v = np.meshgrid(np.linspace(-0.2, 1.45, n), np.arange(m) * 2 * math.pi / m, indexing="ij")
    wobble = rng.uniform(0.72, 1.12, (n, m))
    grid = np.stack([np.cos(u) * np.cos(v), np.cos(u) * np.sin(v), np.sin(u)], -1) * wobble[..., None]
    grid = (grid * np.asarray(radii) + np.asarray(centre)).reshape(-1, 3).astype(np.float32)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(n - 1), np.arange(m), indexing="ij"))
    k = (j + 1) % m
    quad = np.stack([i * m + j, i * m + k, (i + 1) * m + k, (i + 1) * m + j], 1)
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]).astype(np.int32)
    p = grid[faces]
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    b.add(grid, faces, p[..., :2], np.repeat(normal[:, None], 3, 1).astype(np.float32), finish)


def papers(rng: np.random.Generator, style: Style) -> Part:
    """A few sheets, leaflets and magazines lying about, A4 or A5."""
    b = MeshBuilder()
    for i in range(int(rng.integers(1, 6))):
        big = chance(rng, 0.7)
        w, d = (0.21, 0.297) if big else (0.148, 0.21)
        thick = 0.004 if chance(rng, 0.3) else 0.0008
        face = any_picture(rng, style) if chance(rng, 0.6) else style["paper"]
        x, y, z = float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05)), 0.004 * i
        with b.at((x, y, z), yaw=float(rng.normal(0, 0.5))):
            b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, thick), style["paper"])
            top = thick + 0.0004
            b.panel([(-w / 2, -d / 2, top), (w / 2, -d / 2, top), (w / 2, d / 2, top), (-w / 2, d / 2, top)], face)
    return part(b, "papers", "objects")


def book_pile(rng: np.random.Generator, style: Style) -> Part:
    """Books or magazines lying on each other."""
    b, z = MeshBuilder(), 0.0
    for _ in range(int(rng.integers(1, 6))):
        w, d, t = float(rng.uniform(0.13, 0.24)), float(rng.uniform(0.19, 0.31)), float(rng.uniform(0.008, 0.045))
        cover = style.books[int(rng.integers(len(style.books)))]
        with b.at((float(rng.normal(0, 0.01)), float(rng.normal(0, 0.01)), z), yaw=float(rng.normal(0, 0.15))):
            b.box((-w / 2 + 0.003, -d / 2 + 0.003, 0.002), (w / 2, d / 2 - 0.003, t - 0.002), style["paper"])
            b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.002), cover)
            b.box(
                (-w / 2, -d / 2, t - 0.002), (w / 2, d / 2, t), any_picture(rng, style) if chance(rng, 0.4) else cover
            )
            b.box((-w / 2, -d / 2, 0), (-w / 2 + 0.003, d / 2, t), cover)
        z += t
    return part(b, "books", "objects")


def standing_leaflet(rng: np.random.Generator, style: Style) -> Part:
    """An open book, a tablet or a leaflet leaning back on a stand."""
    b = MeshBuilder()
    w, h = (0.21, 0.297) if chance(rng, 0.6) else (0.15, 0.21)
    with b.at((0, 0.02, 0), pitch=-0.25):
        b.box((-w / 2, 0, 0), (w / 2, 0.008, h), style["paper"])
        b.panel(
            [(-w / 2, -0.001, 0), (w / 2, -0.001, 0), (w / 2, -0.001, h), (-w / 2, -0.001, h)], any_picture(rng, style)
        )
    b.box((-w / 3, -0.03, 0), (w / 3, 0.1, 0.012), style["wood"] if chance(rng, 0.5) else style["glass"])
    return part(b, "leaflet", "objects")


def photo_frame(rng: np.random.Generator, style: Style) -> Part:
    """A small framed photograph standing up."""
    b, w, h = MeshBuilder(), jitter(rng, 0.16, 0.2), jitter(rng, 0.2, 0.2)
    with b.at((0, 0, 0), pitch=-0.2):
        b.box((-w / 2, 0, 0), (w / 2, 0.015, h), style["wood"] if chance(rng, 0.5) else style["black"])
        b.panel(
            [
                (-w / 2 + 0.015, -0.001, 0.015),
                (w / 2 - 0.015, -0.001, 0.015),
                (w / 2 - 0.015, -0.001, h - 0.015),
                (-w / 2 + 0.015, -0.001, h - 0.015),
            ],
            style.pictures[int(rng.integers(4)) * 2 + 1],
        )
    return part(b, "photograph", "objects")


def carton(rng: np.random.Generator, style: Style) -> Part:
    """A packet, box or carton."""
    b = MeshBuilder()
    w, d, h = float(rng.uniform(0.06, 0.22)), float(rng.uniform(0.05, 0.14)), float(rng.uniform(0.06, 0.26))
    finish = style.labels[int(rng.integers(len(style.labels)))] if chance(rng, 0.7) else any_bright(rng, style)
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), finish)
    return part(b, "packet", "objects")


def storage_box(rng: np.random.Generator, style: Style) -> Part:
    """A clear or coloured plastic food box with its lid."""
    b, w, d, h = MeshBuilder(), jitter(rng, 0.26, 0.2), jitter(rng, 0.17, 0.2), jitter(rng, 0.09, 0.3)
    body = plain(linear((0.75, 0.78, 0.8)), 0.6) if chance(rng, 0.6) else any_bright(rng, style)
    b.cushion((-w / 2, -d / 2, 0), (w / 2, d / 2, h), body, 0.02)
    b.cushion(
        (-w / 2 - 0.006, -d / 2 - 0.006, h - 0.012),
        (w / 2 + 0.006, d / 2 + 0.006, h + 0.01),
        any_bright(rng, style),
        0.008,
    )
    return part(b, "storage box", "objects")


def cardboard_box(rng: np.random.Generator, style: Style) -> Part:
    """A cardboard box, closed or with open flaps."""
    b, w, d, h = (
        MeshBuilder(),
        float(rng.uniform(0.25, 0.6)),
        float(rng.uniform(0.2, 0.4)),
        float(rng.uniform(0.15, 0.4)),
    )
    board = style["cardboard"]
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), board)
    if chance(rng, 0.4):
        for sx in (-1, 1):
            with b.at((sx * w / 2, 0, h), roll=sx * 0.6):
                b.box((-0.002, -d / 2, 0), (0.002, d / 2, w / 3), board)
    else:
        b.box(
            (-w / 2 - 0.001, -0.025, h - 0.05), (w / 2 + 0.001, 0.025, h + 0.001), plain(linear((0.7, 0.55, 0.35)), 0.5)
        )
    return part(b, "cardboard box", "objects")


def cutting_board(rng: np.random.Generator, style: Style) -> Part:
    """A board with a loaf or a cloth on it."""
    b = MeshBuilder()
    b.box((-0.2, -0.13, 0), (0.2, 0.13, 0.02), style["wood2"])
    if chance(rng, 0.5):
        b.cushion((-0.13, -0.055, 0.02), (0.13, 0.055, 0.12), plain(linear((0.6, 0.38, 0.18))), 0.05)
    return part(b, "cutting board", "objects")


def dish_rack(rng: np.random.Generator, style: Style) -> Part:
    """A wire rack with plates on edge."""
    b = MeshBuilder()
    for z in (0.01, 0.1):
        ring = [(-0.2, -0.14, z), (0.2, -0.14, z), (0.2, 0.14, z), (-0.2, 0.14, z), (-0.2, -0.14, z)]
        b.tube(ring, 0.004, style["steel"], 5)
    for x in np.linspace(-0.17, 0.17, 8):
        b.tube([(x, -0.14, 0.1), (x, -0.14, 0.004), (x, 0.14, 0.004), (x, 0.14, 0.1)], 0.003, style["steel"], 4)
    for x in np.linspace(-0.15, 0.1, int(rng.integers(2, 7))):
        with b.at((x, 0, 0.12), roll=math.pi / 2 - 0.2):
            b.cylinder((0, 0, 0), 0.11, 0.008, style["ceramic"], 16)
    return part(b, "dish rack", "objects")


def cloth(rng: np.random.Generator, style: Style) -> Part:
    """A crumpled cloth, bag or jumper."""
    b, s = MeshBuilder(), float(rng.uniform(0.07, 0.16))
    crumple(b, rng, (0, 0, s * 0.1), (s, s * 0.8, s * 0.45), any_bright(rng, style))
    return _settled(b, "cloth")


def handbag(rng: np.random.Generator, style: Style) -> Part:
    """A bag or rucksack left somewhere."""
    b, w, h = MeshBuilder(), float(rng.uniform(0.26, 0.4)), float(rng.uniform(0.25, 0.45))
    finish = style["leather"] if chance(rng, 0.4) else any_bright(rng, style)
    b.cushion((-w / 2, -0.09, 0), (w / 2, 0.09, h), finish, 0.06)
    b.cushion((-w / 2 + 0.05, -0.13, 0.03), (w / 2 - 0.05, -0.05, h * 0.55), finish, 0.03)
    a = np.linspace(0, math.pi, 7)
    b.tube(np.stack([0.09 * np.cos(a), 0 * a, h - 0.01 + 0.12 * np.sin(a)], 1), 0.008, style["black"], 5)
    return part(b, "bag", "objects")


def _settled(b: MeshBuilder, name: str) -> Part:
    """A part moved so that its lowest point is on the floor."""
    made = part(b, name, "objects")
    low = float(made.mesh.vertices[:, 2].min())
    made.mesh.vertices[:, 2] -= low
    return Part(made.mesh, made.label, name, (made.size[0], made.size[1], made.size[2] - low))


USES: dict[str, tuple[tuple[Maker, float], ...]] = {
    "table": (
        (mug, 3), (glass, 1.5), (bottle, 1.5), (plates, 2), (papers, 3), (book_pile, 2), (fruit_bowl, 1),
        (basket, 1.2), (flowers, 1), (laptop, 1.2), (storage_box, 1), (carton, 1), (bowl, 1), (potted_plant, 0.7),
        (controller, 0.7), (dispenser, 0.7), (cloth, 0.6), (cup_paper, 1), (handbag, 0.4), (vase, 0.5),
        (standing_leaflet, 0.5),
    ),
    "coffee": (
        (mug, 2), (papers, 2), (book_pile, 3), (controller, 2), (bowl, 1), (flowers, 1), (potted_plant, 1),
        (laptop, 0.6), (glass, 1), (fruit_bowl, 0.7), (plates, 0.6),
    ),
    "desk": (
        (papers, 4), (book_pile, 2), (mug, 2), (pen_cup, 2), (telephone, 1.2), (laptop, 1.5), (desk_lamp, 1),
        (carton, 0.6), (potted_plant, 0.8), (bottle, 1), (photo_frame, 0.6), (cup_paper, 0.8), (cloth, 0.3),
        (speaker, 0.5), (standing_leaflet, 0.5), (handbag, 0.3),
    ),
    "worktop": (
        (mug, 3), (bottle, 3), (kettle, 1.3), (toaster, 1.2), (coffee_machine, 1.5), (microwave, 1), (plates, 1.5),
        (jar, 2.5), (cutting_board, 1.2), (dish_rack, 1), (paper_roll, 1), (bowl, 1.2), (fruit_bowl, 1), (carton, 2),
        (pen_cup, 1), (storage_box, 1.2), (papers, 0.8), (standing_leaflet, 1), (glass, 1.5), (cloth, 1), (tin, 1),
        (potted_plant, 0.5), (thermos, 0.8), (dispenser, 1),
    ),
    "hob": (
        (pan, 3), (kettle, 1), (bowl, 0.3),
    ),
    "shelf": (
        (carton, 2), (book_pile, 2), (potted_plant, 1.2), (photo_frame, 1.5), (vase, 1), (jar, 1), (storage_box, 1),
        (bowl, 0.7), (speaker, 0.6), (tin, 0.7), (mug, 0.7), (standing_leaflet, 0.8), (plates, 0.5), (thermos, 0.4),
    ),
    "sideboard": (
        (photo_frame, 2), (potted_plant, 2), (vase, 1.5), (desk_lamp, 1.5), (book_pile, 1.5), (speaker, 1.2),
        (bowl, 1), (papers, 1), (flowers, 1), (carton, 0.8), (bottle, 0.6),
    ),
    "bedside": (
        (desk_lamp, 3), (book_pile, 2), (mug, 1), (glass, 1), (bottle, 0.6), (photo_frame, 0.7), (controller, 0.7),
    ),
    "bath": (
        (dispenser, 3), (bottle, 3), (cup_paper, 1), (jar, 1), (cloth, 1), (tin, 0.5), (potted_plant, 0.4),
    ),
    "store": (
        (cardboard_box, 2), (storage_box, 1), (carton, 1), (basket, 0.5),
    ),
    "seat": (
        (cloth, 2), (book_pile, 1), (papers, 1), (controller, 0.7), (handbag, 1),
    ),
}  # fmt: skip
"""What stands on a surface, by its use, with relative frequencies."""
