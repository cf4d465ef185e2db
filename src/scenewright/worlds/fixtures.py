"""What is fixed to a building: radiators, lights, bathroom fittings, screens, pictures, sockets, pipes, fireplaces."""

from __future__ import annotations

import math

import numpy as np

from scenewright.worlds.parts import Part, Surface, any_bright, any_picture, bar_handle, chance, jitter, part
from scenewright.worlds.solids import Finish, MeshBuilder, plain
from scenewright.worlds.style import Style, linear


def radiator(rng: np.random.Generator, style: Style, w: float, h: float) -> Part:
    """A radiator of columns or a ribbed panel with valve and pipes; stands 0.1 m above the floor."""
    b, y, z = MeshBuilder(), 0.0, 0.1
    white = style["radiator"]
    if chance(rng, 0.55):
        step = 0.06
        x = np.arange(-w / 2 + step / 2, w / 2, step)
        lo = np.stack([x - 0.021, np.full_like(x, -0.06), np.full_like(x, z)], 1)
        b.boxes(lo, lo + [0.042, 0.12, h - z], white)
        for height in (z + 0.05, h - 0.05):
            b.box((-w / 2, -0.025, height - 0.02), (w / 2, 0.025, height + 0.02), white)
    else:
        b.box((-w / 2, -0.04, z), (w / 2, 0.05, h), white)
        x = np.arange(-w / 2 + 0.03, w / 2 - 0.02, 0.035)
        lo = np.stack([x - 0.008, np.full_like(x, -0.05), np.full_like(x, z + 0.03)], 1)
        b.boxes(lo, lo + [0.016, 0.01, h - z - 0.06], white)
        grille = np.arange(-w / 2 + 0.02, w / 2 - 0.02, 0.025)
        lo = np.stack([grille - 0.004, np.full_like(grille, -0.035), np.full_like(grille, h)], 1)
        b.boxes(lo, lo + [0.008, 0.08, 0.003], style["black"])
    b.tube([(w / 2 + 0.04, y, 0), (w / 2 + 0.04, y, z + 0.06), (w / 2, y, z + 0.06)], 0.01, white, 6)
    b.cylinder((w / 2 + 0.04, y, z + 0.05), 0.02, 0.06, style["white"], 8)
    return part(b, "radiator", "objects")


def pendant(rng: np.random.Generator, style: Style, drop: float) -> Part:
    """A hanging lamp; its frame's origin is at the ceiling, `drop` metres down to its lower rim."""
    b, r = MeshBuilder(), float(rng.uniform(0.12, 0.26))
    h = r * float(rng.uniform(0.6, 1.2))
    shade = style["lamp"] if chance(rng, 0.4) else (style["black"] if chance(rng, 0.5) else any_bright(rng, style))
    b.tube([(0, 0, -0.02), (0, 0, -drop + h)], 0.004, style["black"], 5)
    b.cylinder((0, 0, -0.025), 0.05, 0.025, style["white"], 12)
    outline = [(r, -drop), (r * 0.85, -drop + h * 0.5), (0.03, -drop + h), (0.0, -drop + h)]
    b.revolve(outline, (0, 0, 0), shade, 18)
    b.revolve([(r * 0.99, -drop + 0.002), (0.02, -drop + h * 0.98)][::-1], (0, 0, 0), style["white"], 18)
    b.disc((0, 0, -drop + 0.03), r * 0.6, style["lamp"], 16, -1.0)
    return part(b, "pendant lamp", "objects")


def ceiling_light(rng: np.random.Generator, style: Style) -> Part:
    """A flat fitting: round, square panel or a long tube; origin at the ceiling."""
    b = MeshBuilder()
    kind = int(rng.integers(3))
    if kind == 0:
        r = float(rng.uniform(0.12, 0.22))
        b.tube([(0, 0, -0.07), (0, 0, 0)], [r, r], style["white"], 20, caps=False)
        b.disc((0, 0, -0.07), r, style["lamp"], 20, -1.0)
    else:
        w, d = (0.6, 0.6) if kind == 1 else (1.25, 0.16)
        b.box((-w / 2, -d / 2, -0.06), (w / 2, d / 2, 0), style["white"])
        e = 0.02
        b.panel(
            [
                (-w / 2 + e, d / 2 - e, -0.061),
                (w / 2 - e, d / 2 - e, -0.061),
                (w / 2 - e, -d / 2 + e, -0.061),
                (-w / 2 + e, -d / 2 + e, -0.061),
            ],
            style["lamp"],
        )
    return part(b, "ceiling light", "objects")


def track_lights(rng: np.random.Generator, style: Style, w: float) -> Part:
    """A ceiling track with spotlights; origin at the ceiling."""
    b = MeshBuilder()
    metal = style["black"] if chance(rng, 0.6) else style["white"]
    b.box((-w / 2, -0.018, -0.04), (w / 2, 0.018, 0), metal)
    for x in np.linspace(-w / 2 + 0.2, w / 2 - 0.2, max(2, int(w / 0.7))):
        with b.at((float(x), 0, -0.05), pitch=float(rng.uniform(-0.7, 0.7)), yaw=float(rng.uniform(0, 6))):
            b.cylinder((0, 0, -0.16), 0.04, 0.13, metal, 10)
            b.tube([(0, 0, -0.04), (0, 0, 0.02)], 0.01, metal, 5)
            b.disc((0, 0, -0.161), 0.034, style["lamp"], 10, -1.0)
    return part(b, "track lights", "objects")


def floor_lamp(rng: np.random.Generator, style: Style) -> Part:
    """A standard lamp."""
    b, h = MeshBuilder(), jitter(rng, 1.55, 0.1)
    metal = style["metal"]
    b.cylinder((0, 0, 0), 0.14, 0.025, metal, 16)
    b.tube([(0, 0, 0.02), (0, 0, h - 0.1)], 0.011, metal, 7)
    r = float(rng.uniform(0.15, 0.22))
    b.revolve([(r, h - 0.3), (r * 0.75, h), (r * 0.74, h), (r * 0.99, h - 0.3)], (0, 0, 0), style["lamp"], 18)
    return part(b, "floor lamp", "objects")


def toilet(rng: np.random.Generator, style: Style) -> Part:
    """A toilet with cistern and lid."""
    b, w = MeshBuilder(), 0.37
    c = style["ceramic"]
    b.cushion((-0.11, -0.2, 0), (0.11, 0.3, 0.36), c, 0.06)
    b.cushion((-w / 2, -0.34, 0.24), (w / 2, 0.16, 0.4), c, 0.09)
    b.cushion((-w / 2 + 0.005, -0.335, 0.4), (w / 2 - 0.005, 0.13, 0.43), style["white"], 0.02)
    b.cushion((-0.19, 0.13, 0.4), (0.19, 0.33, 0.78), c, 0.03)
    b.cylinder((0, 0.22, 0.775), 0.025, 0.012, style["steel"], 10)
    return part(b, "toilet", "objects")


def washbasin(rng: np.random.Generator, style: Style) -> Part:
    """A basin on a cupboard or a pedestal, with its tap."""
    b, w, d, h = MeshBuilder(), float(rng.uniform(0.5, 0.9)), 0.46, 0.85
    c = style["ceramic"]
    if chance(rng, 0.6):
        b.box((-w / 2 + 0.02, -d / 2 + 0.04, 0.12), (w / 2 - 0.02, d / 2, h - 0.13), style["front"])
        for sx in (-1, 1):
            b.box(
                (min(0, sx * w / 2) + 0.022, -d / 2 + 0.022, 0.125),
                (max(0, sx * w / 2) - 0.022, -d / 2 + 0.04, h - 0.14),
                style["front"],
            )
            bar_handle(b, sx * 0.05, -d / 2 + 0.022, h - 0.25, 0.14, style["handle"], upright=True)
        b.box((-w / 2 + 0.04, -d / 2 + 0.1, 0), (w / 2 - 0.04, d / 2, 0.12), style["black"])
    else:
        b.revolve([(0.1, 0), (0.075, 0.2), (0.1, h - 0.13)], (0, 0.08, 0), c, 14)
    b.box((-w / 2, -d / 2, h - 0.14), (w / 2, d / 2, h - 0.12), c)
    for lo, hi in (
        ((-w / 2, -d / 2), (-w / 2 + 0.05, d / 2)),
        ((w / 2 - 0.05, -d / 2), (w / 2, d / 2)),
        ((-w / 2, -d / 2), (w / 2, -d / 2 + 0.05)),
        ((-w / 2, d / 2 - 0.12), (w / 2, d / 2)),
    ):
        b.box((*lo, h - 0.13), (*hi, h), c)
    tap = [(0, d / 2 - 0.07, h), (0, d / 2 - 0.07, h + 0.12), (0, d / 2 - 0.2, h + 0.11), (0, d / 2 - 0.2, h + 0.09)]
    b.tube(tap, 0.012, style["steel"], 7)
    free = (
        Surface(-w / 2 + 0.02, d / 2 - 0.11, -0.05, d / 2 - 0.01, h, 0.25, "bath"),
        Surface(0.05, d / 2 - 0.11, w / 2 - 0.02, d / 2 - 0.01, h, 0.25, "bath"),
    )
    return part(b, "washbasin", "objects", free)


def bathtub(rng: np.random.Generator, style: Style) -> Part:
    """A bathtub along the wall with tiled or white apron."""
    b, w, d, h = MeshBuilder(), jitter(rng, 1.68, 0.04), 0.74, 0.57
    c, apron = style["ceramic"], style["tile"] if chance(rng, 0.5) else style["white"]
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.16), apron)
    rim = 0.07
    for lo, hi in (
        ((-w / 2, -d / 2), (-w / 2 + rim, d / 2)),
        ((w / 2 - rim, -d / 2), (w / 2, d / 2)),
        ((-w / 2 + rim, -d / 2), (w / 2 - rim, -d / 2 + rim)),
        ((-w / 2 + rim, d / 2 - rim), (w / 2 - rim, d / 2)),
    ):
        b.box((*lo, 0.16), (*hi, h - 0.03), apron)
        b.box((*lo, h - 0.03), (*hi, h), c)
    b.box((-w / 2 + rim, -d / 2 + rim, 0.16), (w / 2 - rim, d / 2 - rim, 0.17), c)
    b.tube([(w / 2 - 0.03, 0, h), (w / 2 - 0.03, 0, h + 0.12), (w / 2 - 0.18, 0, h + 0.1)], 0.014, style["steel"], 7)
    free = (Surface(-w / 2 + 0.05, d / 2 - rim, w / 2 - 0.05, d / 2, h, 0.3, "bath"),)
    return part(b, "bathtub", "objects", free)


def shower(rng: np.random.Generator, style: Style) -> Part:
    """A shower tray with steel frame, riser and head; its panes are left out, clear glass shows nothing."""
    b, w, h = MeshBuilder(), float(rng.choice([0.8, 0.9, 1.0])), 1.95
    b.box((-w / 2, -w / 2, 0), (w / 2, w / 2, 0.08), style["ceramic"])
    for x in (-w / 2 + 0.012, w / 2 - 0.012):
        b.block((x, -w / 2 + 0.012, 0.08), (0.024, 0.024, h - 0.08), style["steel"])
    b.box((-w / 2, -w / 2, h - 0.03), (w / 2, -w / 2 + 0.024, h), style["steel"])
    b.tube([(0, w / 2 - 0.04, 1.0), (0, w / 2 - 0.04, 2.0), (0, w / 2 - 0.3, 2.05)], 0.011, style["steel"], 7)
    b.cylinder((0, w / 2 - 0.3, 2.02), 0.1, 0.02, style["steel"], 16)
    return part(b, "shower", "objects")


def mirror(rng: np.random.Generator, style: Style, w: float, h: float) -> Part:
    """A mirror on the wall: origin at its lower edge, back at y = 0."""
    b = MeshBuilder()
    b.box((-w / 2, -0.025, 0), (w / 2, 0, h), style["wood"] if chance(rng, 0.5) else style["steel"])
    b.box((-w / 2 + 0.02, -0.026, 0.02), (w / 2 - 0.02, -0.025, h - 0.02), plain(linear((0.45, 0.48, 0.5)), 1.0))
    return part(b, "mirror", "objects")


def television(rng: np.random.Generator, style: Style, on_wall: bool) -> Part:
    """A television of 0.9 to 1.4 m width, on its foot or, with its back at y = 0, on the wall."""
    b, w = MeshBuilder(), float(rng.choice([0.9, 1.1, 1.25, 1.45]))
    h, e, z = w * 0.575, 0.012, 0.0 if on_wall else 0.07
    y = -0.07 if on_wall else -0.03
    b.box((-w / 2, y, z), (w / 2, y + 0.045, z + h), style["black"])
    screen = style.screens[-1] if chance(rng, 0.6) else style.screens[int(rng.integers(len(style.screens)))]
    b.panel(
        [
            (-w / 2 + e, y - 0.001, z + e),
            (w / 2 - e, y - 0.001, z + e),
            (w / 2 - e, y - 0.001, z + h - e),
            (-w / 2 + e, y - 0.001, z + h - e),
        ],
        screen,
    )
    if on_wall:
        b.box((-0.15, -0.03, h / 3), (0.15, 0, 2 * h / 3), style["black"])
    else:
        b.box((-0.2 * w, -0.12, 0), (0.2 * w, 0.12, 0.012), style["black"])
        b.box((-0.05, 0.0, 0.01), (0.05, 0.02, 0.2), style["black"])
    return part(b, "television", "tv")


def picture(rng: np.random.Generator, style: Style, w: float, h: float) -> Part:
    """A framed picture, canvas or poster: origin at its lower edge, back at y = 0."""
    b, framed = MeshBuilder(), chance(rng, 0.65)
    t, e = (0.025, 0.02) if framed else (0.004, 0.0)
    mount = float(rng.choice([0.0, 0.05])) if framed and min(w, h) > 0.25 else 0.0
    b.box(
        (-w / 2, -t, 0),
        (w / 2, 0, h),
        (style["black"] if chance(rng, 0.5) else style["wood"]) if framed else style["paper"],
    )
    if mount:
        b.box((-w / 2 + e, -t - 0.0005, e), (w / 2 - e, -t, h - e), style["paper"])
    e += mount
    y = -t - 0.001
    b.panel(
        [(-w / 2 + e, y, e), (w / 2 - e, y, e), (w / 2 - e, y, h - e), (-w / 2 + e, y, h - e)],
        style.pictures[int(rng.integers(4)) * 2 + int(h > w)],
    )
    return part(b, "picture", "objects")


def whiteboard(rng: np.random.Generator, style: Style) -> Part:
    """A whiteboard or a pinboard full of papers: origin at its lower edge, back at y = 0."""
    b, w, h = MeshBuilder(), float(rng.choice([1.2, 1.8, 2.4])), float(rng.choice([0.9, 1.2]))
    b.box((-w / 2, -0.02, 0), (w / 2, 0, h), style["steel"])
    board = style["paper"] if chance(rng, 0.6) else style["cardboard"]
    b.box((-w / 2 + 0.015, -0.022, 0.015), (w / 2 - 0.015, -0.02, h - 0.015), board)
    b.box((-w / 4, -0.08, -0.01), (w / 4, 0, 0.005), style["steel"])
    for _ in range(int(rng.integers(0, 9))):
        x, z = float(rng.uniform(-w / 2 + 0.15, w / 2 - 0.15)), float(rng.uniform(0.05, h - 0.35))
        b.panel(
            [(x - 0.1, -0.0235, z), (x + 0.1, -0.0235, z), (x + 0.1, -0.0235, z + 0.29), (x - 0.1, -0.0235, z + 0.29)],
            any_picture(rng, style),
        )
    return part(b, "whiteboard", "objects")


def notices(rng: np.random.Generator, style: Style, w: float) -> Part:
    """Leaflets, notes and sheets pinned side by side on a wall: origin at their lower edge, back at y = 0."""
    b, x = MeshBuilder(), -w / 2
    while x < w / 2 - 0.1:
        pw, ph = ((0.21, 0.297), (0.148, 0.21), (0.105, 0.15), (0.297, 0.42))[
            int(rng.choice(4, p=[0.5, 0.25, 0.15, 0.1]))
        ]
        z = float(rng.uniform(0, 0.25))
        face = any_picture(rng, style) if chance(rng, 0.6) else style["paper"]
        with b.at((x + pw / 2, 0, z), roll=float(rng.normal(0, 0.02))):
            b.box((-pw / 2, -0.002, 0), (pw / 2, 0, ph), style["paper"])
            b.panel([(-pw / 2, -0.003, 0), (pw / 2, -0.003, 0), (pw / 2, -0.003, ph), (-pw / 2, -0.003, ph)], face)
        x += pw + float(rng.uniform(0.01, 0.2))
    return part(b, "notices", "objects")


def socket(rng: np.random.Generator, style: Style, count: int = 1, cable: bool = False) -> Part:
    """Sockets or switches of 81 mm side by side, perhaps with a plug and a cable; back at y = 0, centred at z = 0."""
    b = MeshBuilder()
    b.box((-0.04 * count, -0.009, -0.04), (0.04 * count, 0, 0.04), style["white"])
    for i in range(count):
        x = (i - (count - 1) / 2) * 0.08
        b.box((x - 0.03, -0.011, -0.03), (x + 0.03, -0.009, 0.03), style["paper"])
    if cable:
        b.cylinder((0, -0.03, -0.015), 0.018, 0.03, style["black"], 8)
        t = np.linspace(0, 1, 8)
        path = np.stack([0.25 * t**2 * rng.uniform(-1, 1), -0.03 - 0.05 * np.sin(3 * t), -0.28 * t], 1)
        b.tube(path, 0.005, style["black"], 5)
    return part(b, "socket", "objects")


def clock(rng: np.random.Generator, style: Style) -> Part:
    """A wall clock; back at y = 0, centred at z = 0."""
    b, r = MeshBuilder(), float(rng.uniform(0.12, 0.18))
    with b.at((0, 0, 0), pitch=math.pi / 2):
        b.cylinder((0, 0, 0), r, 0.03, any_bright(rng, style), 24)
        b.cylinder((0, 0, 0.03), r * 0.9, 0.001, style["paper"], 24)
    for angle, length in ((float(rng.uniform(0, 6.28)), 0.5 * r), (float(rng.uniform(0, 6.28)), 0.78 * r)):
        b.tube([(0, -0.034, 0), (length * math.sin(angle), -0.034, length * math.cos(angle))], 0.004, style["black"], 4)
    return part(b, "clock", "objects")


def extinguisher(rng: np.random.Generator, style: Style) -> Part:
    """A fire extinguisher on the wall or the floor."""
    b, red = MeshBuilder(), plain(linear((0.75, 0.06, 0.06)), 0.5)
    b.revolve([(0, 0), (0.075, 0), (0.08, 0.02), (0.08, 0.36), (0.03, 0.44), (0.025, 0.47)], (0, 0, 0), red, 14)
    b.box((-0.03, -0.09, 0.46), (0.03, 0.04, 0.5), style["black"])
    b.tube([(0.03, 0, 0.47), (0.1, -0.02, 0.4), (0.09, -0.03, 0.15)], 0.01, style["black"], 6)
    return part(b, "fire extinguisher", "objects")


def bin_(rng: np.random.Generator, style: Style) -> Part:
    """A waste bin with a bag, or a pedal bin."""
    b = MeshBuilder()
    if chance(rng, 0.5):
        r, h = float(rng.uniform(0.11, 0.16)), float(rng.uniform(0.26, 0.42))
        finish = style["black"] if chance(rng, 0.5) else any_bright(rng, style)
        b.revolve([(0, 0), (r * 0.8, 0), (r, h), (r - 0.005, h), (r * 0.78, 0.01), (0, 0.01)], (0, 0, 0), finish, 16)
    else:
        r, h = float(rng.uniform(0.12, 0.19)), float(rng.uniform(0.3, 0.68))
        b.cylinder((0, 0, 0), r, h - 0.05, style["steel"], 18)
        b.revolve([(r, h - 0.05), (r * 0.9, h - 0.01), (0, h)], (0, 0, 0), style["black"], 18)
    return part(b, "bin", "objects")


def towel(rng: np.random.Generator, style: Style) -> Part:
    """A towel over a rail; back at y = 0, origin at its lower edge."""
    b, w, h = MeshBuilder(), float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.5, 0.8))
    b.cushion((-w / 2, -0.07, 0), (w / 2, -0.045, h), any_bright(rng, style), 0.012)
    b.tube([(-w / 2 - 0.06, -0.058, h), (w / 2 + 0.06, -0.058, h)], 0.009, style["steel"], 7)
    for sx in (-1, 1):
        b.box((sx * (w / 2 + 0.05) - 0.01, -0.058, h - 0.01), (sx * (w / 2 + 0.05) + 0.01, 0, h + 0.01), style["steel"])
    return part(b, "towel", "objects")


def coats(rng: np.random.Generator, style: Style, w: float) -> Part:
    """A row of hooks with coats; back at y = 0, origin at the hooks' board's height less 1.1 m."""
    b = MeshBuilder()
    b.box((-w / 2, -0.02, 1.05), (w / 2, 0, 1.15), style["wood"])
    for x in np.arange(-w / 2 + 0.1, w / 2 - 0.05, 0.17):
        b.tube([(x, 0, 1.12), (x, -0.07, 1.1), (x, -0.08, 1.14)], 0.007, style["metal"], 5)
        if chance(rng, 0.6):
            length, finish = float(rng.uniform(0.6, 1.05)), _dark_or_bright(rng, style)
            b.cushion((x - 0.17, -0.2, 1.1 - length), (x + 0.17, -0.02, 1.1 - 0.25), finish, 0.08)
            b.cushion((x - 0.1, -0.16, 0.8), (x + 0.1, -0.02, 1.11), finish, 0.07)
    return part(b, "coats", "objects")


def _dark_or_bright(rng: np.random.Generator, style: Style) -> Finish:
    return style["black"] if chance(rng, 0.4) else any_bright(rng, style)


def blind_strips(b: MeshBuilder, style: Style, w: float, y: float, top: float, drop: float) -> None:
    """Slats of a venetian blind over width w, its rail at `top`, let down by `drop`."""
    b.box((-w / 2, y - 0.03, top - 0.05), (w / 2, y + 0.02, top), style["white"])
    z = np.arange(top - 0.08, top - drop, -0.04)
    if len(z):
        lo = np.stack([np.full_like(z, -w / 2), np.full_like(z, y - 0.015), z], 1)
        b.boxes(lo, lo + [w, 0.022, 0.014], style["white"])
