"""Electronics, kitchen machines, lamps and plants that stand about, in true size."""

from __future__ import annotations

import math

import numpy as np

from scenewright.worlds.kitchen import microwave_body
from scenewright.worlds.parts import Part, any_bright, chance, jitter, part
from scenewright.worlds.solids import MeshBuilder, plain
from scenewright.worlds.style import Style, linear


def laptop(rng: np.random.Generator, style: Style) -> Part:
    """An open laptop computer."""
    b, w, d = MeshBuilder(), jitter(rng, 0.33), jitter(rng, 0.225)
    case = style["steel"] if chance(rng, 0.6) else style["black"]
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.017), case)
    b.box((-w / 2 + 0.02, -0.03, 0.017), (w / 2 - 0.02, d / 2 - 0.02, 0.0185), style["black"])
    with b.at((0, d / 2, 0.015), pitch=-float(rng.uniform(0.1, 0.45))):
        b.box((-w / 2, -0.004, 0), (w / 2, 0.004, d), case)
        screen = style.screens[int(rng.integers(len(style.screens)))]
        b.panel(
            [
                (-w / 2 + 0.01, -0.005, 0.012),
                (w / 2 - 0.01, -0.005, 0.012),
                (w / 2 - 0.01, -0.005, d - 0.01),
                (-w / 2 + 0.01, -0.005, d - 0.01),
            ],
            screen,
        )
    return part(b, "laptop", "objects")


def monitor(rng: np.random.Generator, style: Style) -> Part:
    """A computer screen on its foot."""
    b = MeshBuilder()
    w = float(rng.choice([0.49, 0.54, 0.61, 0.7]))
    h, lift = w * 0.6, float(rng.uniform(0.1, 0.18))
    b.box((-0.12, -0.1, 0), (0.12, 0.1, 0.012), style["black"])
    b.box((-0.025, 0.03, 0.01), (0.025, 0.055, lift + h / 2), style["black"])
    b.box((-w / 2, 0.0, lift), (w / 2, 0.03, lift + h), style["black"])
    e = 0.012
    screen = style.screens[int(rng.integers(len(style.screens)))]
    b.panel(
        [
            (-w / 2 + e, -0.001, lift + e),
            (w / 2 - e, -0.001, lift + e),
            (w / 2 - e, -0.001, lift + h - e),
            (-w / 2 + e, -0.001, lift + h - e),
        ],
        screen,
    )
    return part(b, "monitor", "tv")


def keyboard(rng: np.random.Generator, style: Style) -> Part:
    """A keyboard with rows of keys, a mouse beside it."""
    b = MeshBuilder()
    dark = chance(rng, 0.7)
    body, key = (style["black"], plain(linear((0.16, 0.16, 0.17)), 0.2)) if dark else (style["steel"], style["white"])
    b.box((-0.22, -0.065, 0), (0.22, 0.065, 0.016), body)
    x, y = np.meshgrid(np.linspace(-0.208, 0.19, 20), np.linspace(-0.055, 0.04, 5))
    lo = np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.016)], 1)
    b.boxes(lo, lo + [0.016, 0.015, 0.005], key)
    b.cushion((0.26, -0.055, 0), (0.32, 0.055, 0.034), body, 0.016)
    b.box((-0.32, -0.064, 0), (-0.3199, -0.063, 0.001), body)
    return part(b, "keyboard and mouse", "objects")


def telephone(rng: np.random.Generator, style: Style) -> Part:
    """A desk telephone."""
    b = MeshBuilder()
    with b.at((0, 0, 0), pitch=0.12):
        b.box((-0.1, -0.1, 0.012), (0.1, 0.1, 0.04), style["black"])
        b.cushion((-0.095, -0.1, 0.04), (-0.045, 0.1, 0.075), style["black"], 0.02)
        b.box((-0.03, 0.04, 0.04), (0.085, 0.085, 0.043), style["glass"])
    b.box((-0.09, -0.09, 0), (0.09, 0.09, 0.02), style["black"])
    return part(b, "telephone", "objects")


def pen_cup(rng: np.random.Generator, style: Style) -> Part:
    """A cup full of pens, brushes or kitchen tools."""
    b, tall = MeshBuilder(), float(rng.choice([0.1, 0.15]))
    b.revolve(
        [(0, 0), (0.042, 0), (0.045, tall), (0.041, tall), (0.038, 0.01), (0, 0.01)],
        (0, 0, 0),
        any_bright(rng, style),
        12,
    )
    for _ in range(int(rng.integers(3, 8))):
        a = float(rng.uniform(0, 6.28))
        tip = (0.07 * math.cos(a), 0.07 * math.sin(a), tall * float(rng.uniform(1.3, 1.9)))
        b.tube([(-0.02 * math.cos(a), -0.02 * math.sin(a), 0.012), tip], 0.0045, any_bright(rng, style), 5)
    return part(b, "pens", "objects")


def kettle(rng: np.random.Generator, style: Style) -> Part:
    """An electric kettle with spout and handle."""
    b = MeshBuilder()
    body = style["steel"] if chance(rng, 0.5) else (style["black"] if chance(rng, 0.5) else style["white"])
    b.revolve(
        [(0, 0), (0.085, 0), (0.085, 0.02), (0.078, 0.03), (0.06, 0.21), (0.03, 0.235), (0, 0.235)], (0, 0, 0), body, 16
    )
    b.tube([(-0.06, 0, 0.2), (-0.12, 0, 0.2), (-0.13, 0, 0.1), (-0.08, 0, 0.05)], 0.012, style["black"], 6)
    b.tube([(0.05, 0, 0.17), (0.09, 0, 0.21)], [0.02, 0.012], body, 6)
    return part(b, "kettle", "objects")


def toaster(rng: np.random.Generator, style: Style) -> Part:
    """A toaster."""
    b = MeshBuilder()
    body = style["steel"] if chance(rng, 0.5) else any_bright(rng, style)
    b.cushion((-0.14, -0.085, 0.01), (0.14, 0.085, 0.19), body, 0.03)
    for y in (-0.03, 0.03):
        b.box((-0.11, y - 0.012, 0.185), (0.11, y + 0.012, 0.1915), style["black"])
    b.box((-0.13, -0.075, 0), (0.13, 0.075, 0.02), style["black"])
    return part(b, "toaster", "objects")


def coffee_machine(rng: np.random.Generator, style: Style) -> Part:
    """A coffee machine: back, tray and overhanging head."""
    b, w, d, h = MeshBuilder(), float(rng.uniform(0.2, 0.32)), jitter(rng, 0.36), jitter(rng, 0.36)
    body = style["black"] if chance(rng, 0.6) else style["steel"]
    b.box((-w / 2, 0.0, 0), (w / 2, d / 2, h), body)
    b.box((-w / 2, -d / 2, 0), (w / 2, 0, 0.05), body)
    b.cushion((-w / 2, -d / 2 + 0.03, h - 0.13), (w / 2, d / 2, h), body, 0.015)
    b.block((0, -0.09, h - 0.2), (0.06, 0.07, 0.08), style["steel"])
    b.box((-w / 3, -d / 2 + 0.028, h - 0.1), (w / 3, -d / 2 + 0.03, h - 0.03), style["glass"])
    b.box((-w / 2 + 0.01, -d / 2 + 0.01, 0.05), (w / 2 - 0.01, -0.01, 0.055), style["steel"])
    return part(b, "coffee machine", "objects")


def microwave(rng: np.random.Generator, style: Style) -> Part:
    """A microwave oven."""
    b = MeshBuilder()
    microwave_body(b, style, 0, 0, 0, jitter(rng, 0.48), jitter(rng, 0.36), jitter(rng, 0.28))
    return part(b, "microwave", "objects")


def desk_lamp(rng: np.random.Generator, style: Style) -> Part:
    """A table lamp with a shade, or a jointed desk lamp."""
    b = MeshBuilder()
    if chance(rng, 0.5):
        h = jitter(rng, 0.42, 0.15)
        b.revolve(
            [(0, 0), (0.07, 0), (0.07, 0.015), (0.015, 0.04), (0.03, h * 0.3), (0.012, h * 0.55)],
            (0, 0, 0),
            any_bright(rng, style),
            12,
        )
        b.revolve([(0.13, h * 0.5), (0.09, h), (0.088, h), (0.128, h * 0.5)], (0, 0, 0), style["lamp"], 16)
    else:
        metal = style["black"] if chance(rng, 0.5) else any_bright(rng, style)
        b.cylinder((0, 0, 0), 0.08, 0.02, metal, 14)
        b.tube([(0, 0, 0.02), (-0.12, 0.02, 0.28), (0.1, -0.02, 0.46)], 0.008, metal, 6)
        with b.at((0.1, -0.02, 0.46), roll=-0.5):
            b.revolve([(0.075, -0.1), (0.02, 0.02), (0, 0.02)], (0, 0, 0), metal, 12)
    return part(b, "desk lamp", "objects")


def potted_plant(rng: np.random.Generator, style: Style, height: float | None = None) -> Part:
    """A plant in its pot: 0.15-0.4 m on tables, up to 2 m on floors."""
    b = MeshBuilder()
    h = float(rng.uniform(0.15, 0.4)) if height is None else height
    r, pot = min(0.19, 0.05 + 0.1 * h), min(0.36, 0.3 * h)
    b.revolve(
        [(0, 0), (r * 0.75, 0), (r, pot), (r - 0.01, pot), (r - 0.015, pot - 0.02), (0, pot - 0.02)],
        (0, 0, 0),
        style["pot"],
        16,
    )
    count = int(14 + 45 * min(h, 1.6))
    if h < 0.7:
        stem = np.tile([0.0, 0.0, pot - 0.02], (count, 1))
    else:
        trunks = rng.uniform(-0.3 * r, 0.3 * r, (int(rng.integers(1, 4)), 2))
        for x, y in trunks:
            b.tube([(x, y, pot - 0.03), (x * 2, y * 2, h * 0.8)], 0.012, style["wood2"], 6)
        at = trunks[rng.integers(len(trunks), size=count)]
        z = rng.uniform(max(pot + 0.1, h * 0.35), h * 0.85, count)
        stem = np.concatenate([at * (1 + z / h)[:, None], z[:, None]], 1)
    angle, out = rng.uniform(0, 2 * math.pi, count), rng.uniform(0.4, 1.0, count) * min(0.42, 0.16 + 0.25 * h)
    rise = rng.uniform(0.1, 0.9, count) * (h - pot) if h < 0.7 else rng.uniform(-0.1, 0.5, count) * out
    tip = stem + np.stack([np.cos(angle) * out, np.sin(angle) * out, rise + 0.03], 1)
    tip[:, 2] = np.clip(tip[:, 2], pot, h)
    width = float(rng.uniform(0.015, 0.03)) + 0.03 * min(h, 1.0) * float(rng.uniform(0.3, 1.5))
    half = count // 2
    b.blades(stem[:half], tip[:half], width, float(rng.uniform(0.0, 0.35)), style["leaf"])
    b.blades(stem[half:], tip[half:], width, float(rng.uniform(0.0, 0.35)), style["leaf"].tinted(0.7))
    return part(b, "plant", "objects")


def flowers(rng: np.random.Generator, style: Style) -> Part:
    """A vase of flowers."""
    b = MeshBuilder()
    b.revolve(
        [(0, 0), (0.045, 0), (0.06, 0.08), (0.035, 0.2), (0.04, 0.22), (0.03, 0.2)],
        (0, 0, 0),
        any_bright(rng, style),
        14,
    )
    count = int(rng.integers(5, 11))
    a, out = rng.uniform(0, 6.28, count), rng.uniform(0.03, 0.14, count)
    tips = np.stack([out * np.cos(a), out * np.sin(a), rng.uniform(0.3, 0.42, count)], 1)
    b.blades(np.tile([0, 0, 0.18], (count, 1)), tips * [1.2, 1.2, 0.85], 0.025, 0.1, style["leaf"])
    bloom = any_bright(rng, style)
    t = np.linspace(-1.5, 1.5, 5)
    for tip in tips:
        b.tube([(0, 0, 0.18), tuple(tip)], 0.003, style["leaf"], 4, caps=False)
        b.revolve(np.stack([0.028 * np.cos(t), 0.02 * np.sin(t)], 1), tuple(tip), bloom, 8)
    return part(b, "flowers", "objects")


def speaker(rng: np.random.Generator, style: Style) -> Part:
    """A loudspeaker box."""
    b, w, d, h = MeshBuilder(), jitter(rng, 0.17, 0.2), jitter(rng, 0.2, 0.2), jitter(rng, 0.28, 0.2)
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), style["black"] if chance(rng, 0.6) else style["wood"])
    for z, r in ((0.35 * h, 0.36 * w), (0.78 * h, 0.18 * w)):
        with b.at((0, -d / 2, z), pitch=math.pi / 2):
            b.cylinder((0, 0, 0), r, 0.006, plain(linear((0.15, 0.15, 0.16))), 16)
    return part(b, "speaker", "objects")


def controller(rng: np.random.Generator, style: Style) -> Part:
    """A game controller or remote control."""
    b = MeshBuilder()
    finish = any_bright(rng, style)
    if chance(rng, 0.5):
        b.cushion((-0.022, -0.09, 0), (0.022, 0.09, 0.018), style["black"], 0.008)
    else:
        b.cushion((-0.07, -0.03, 0.005), (0.07, 0.035, 0.045), finish, 0.02)
        for sx in (-1, 1):
            b.cushion((sx * 0.055 - 0.022, -0.08, 0), (sx * 0.055 + 0.022, 0.01, 0.04), finish, 0.02)
    return part(b, "controller", "objects")
