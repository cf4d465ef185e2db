"""Kitchen units in 0.3 to 0.9 m modules: base units, worktops with sink and hob, wall cupboards, tall units, hoods."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from scenewright.worlds.parts import Part, Surface, bar_handle, chance, jitter, part
from scenewright.worlds.solids import MeshBuilder
from scenewright.worlds.storage import doors
from scenewright.worlds.style import Style

DEPTH = 0.6
PLINTH = 0.12


def base_unit(rng: np.random.Generator, style: Style, w: float, h: float, use: str) -> Part:
    """A base unit below a worktop at h: use "doors", "drawers", "oven", "dishwasher" or "washer"."""
    b, y = MeshBuilder(), -DEPTH / 2
    b.box((-w / 2, y + 0.06, 0), (w / 2, DEPTH / 2, PLINTH), style["steel"] if chance(rng, 0.3) else style["front"])
    b.box((-w / 2, y + 0.02, PLINTH), (w / 2, DEPTH / 2, h), style["front"])
    if use == "oven":
        oven_front(b, style, w, y, h - 0.6, h - 0.005)
        b.box((-w / 2 + 0.002, y, PLINTH), (w / 2 - 0.002, y + 0.018, h - 0.603), style["front"])
    elif use in ("dishwasher", "washer"):
        white = style["white"] if use == "washer" or chance(rng, 0.3) else style["front"]
        b.box((-w / 2 + 0.002, y, PLINTH), (w / 2 - 0.002, y + 0.018, h - 0.003), white)
        if use == "washer":
            with b.at((0, y, (PLINTH + h) / 2), pitch=np.pi / 2):
                b.cylinder((0, 0, 0), 0.18, 0.02, style["steel"], 20)
                b.cylinder((0, 0, 0), 0.14, 0.025, style["glass"], 20)
        else:
            bar_handle(b, 0, y, h - 0.06, 0.7 * w, style["handle"])
    elif use == "drawers":
        edges = np.array([PLINTH, PLINTH + 0.29, PLINTH + 0.58, h - 0.003])
        for z0, z1 in pairwise(edges):
            b.box((-w / 2 + 0.002, y, z0 + 0.002), (w / 2 - 0.002, y + 0.018, z1 - 0.002), style["front"])
            bar_handle(b, 0, y, z1 - 0.05, min(0.32, 0.55 * w), style["handle"])
    else:
        _base_doors(b, style, w, y, h)
    return part(b, f"base unit {use}", "furniture")


def _base_doors(b: MeshBuilder, style: Style, w: float, y: float, h: float) -> None:
    """One or two doors whose handles sit near the top."""
    count = 2 if w > 0.65 else 1
    step = w / count
    for i in range(count):
        x0 = -w / 2 + i * step
        b.box((x0 + 0.002, y, PLINTH), (x0 + step - 0.002, y + 0.018, h - 0.003), style["front"])
        bar_handle(b, x0 + step / 2, y, h - 0.06, min(0.18, 0.5 * step), style["handle"])


def oven_front(b: MeshBuilder, style: Style, w: float, y: float, z0: float, z1: float) -> None:
    """A built-in oven: steel or black panel with knobs, glass door, bar handle."""
    b.box((-w / 2 + 0.003, y, z1 - 0.1), (w / 2 - 0.003, y + 0.018, z1), style["steel"])
    b.box((-w / 2 + 0.003, y, z0), (w / 2 - 0.003, y + 0.018, z1 - 0.104), style["glass"])
    bar_handle(b, 0, y, z1 - 0.15, 0.75 * w, style["steel"])
    b.box((-0.06, y - 0.002, z1 - 0.07), (0.06, y, z1 - 0.03), style["glass"])
    for x in (-0.2, -0.13, 0.13, 0.2):
        b.block((x, y - 0.012, z1 - 0.065), (0.03, 0.024, 0.03), style["black"])


def worktop(
    rng: np.random.Generator, style: Style, w: float, h: float, sink_x: float | None, hob_x: float | None,
    depth: float = DEPTH + 0.02,
) -> Part:  # fmt: skip
    """A worktop whose top is at h, with a sink and a hob let in at these x; the rest is free for things."""
    b, t = MeshBuilder(), 0.035
    y0, y1 = -depth / 2 - 0.01, depth / 2 - 0.01
    taken = []
    if sink_x is not None:
        _sink(b, rng, style, sink_x, w, h, t, y0, y1)
        taken.append((sink_x - 0.42, sink_x + 0.42))
    else:
        b.box((-w / 2, y0, h - t), (w / 2, y1, h), style["worktop"])
    if hob_x is not None:
        b.box((hob_x - 0.29, -0.27, h), (hob_x + 0.29, 0.24, h + 0.006), style["glass"])
        for x, y, r in ((-0.15, -0.13, 0.09), (0.15, -0.13, 0.075), (-0.15, 0.11, 0.075), (0.15, 0.11, 0.1)):
            b.disc((hob_x + x, y, h + 0.0065), r, style["black"], 16)
        taken.append((hob_x - 0.31, hob_x + 0.31))
    edges = [-w / 2, *(e for pair in sorted(taken) for e in pair), w / 2]
    free = tuple(
        Surface(a + 0.02, y0 + 0.03, c - 0.02, y1 - 0.02, h, 0.5, "worktop")
        for a, c in zip(edges[::2], edges[1::2], strict=True)
        if c - a > 0.12
    )
    if hob_x is not None:
        free += (Surface(hob_x - 0.27, -0.25, hob_x + 0.27, 0.22, h + 0.007, 0.4, "hob"),)
    return part(b, "worktop", "furniture", free)


def _sink(
    b: MeshBuilder, rng: np.random.Generator, style: Style, x: float, w: float, h: float, t: float, y0: float, y1: float
) -> None:
    """A worktop around a steel bowl with drainer and tap."""
    bx0, bx1, by0, by1 = x - 0.22, x + 0.22, -0.19, 0.19
    for lo, hi in (
        ((-w / 2, y0), (bx0, y1)), ((bx1, y0), (w / 2, y1)), ((bx0, y0), (bx1, by0)), ((bx0, by1), (bx1, y1)),
    ):  # fmt: skip
        b.box((*lo, h - t), (*hi, h), style["worktop"])
    steel = style["steel"]
    b.box((bx0, by0, h - 0.17), (bx1, by1, h - 0.165), steel)
    for lo, hi in (
        ((bx0, by0), (bx0 + 0.004, by1)),
        ((bx1 - 0.004, by0), (bx1, by1)),
        ((bx0, by0), (bx1, by0 + 0.004)),
        ((bx0, by1 - 0.004), (bx1, by1)),
    ):
        b.box((*lo, h - 0.17), (*hi, h + 0.003), steel)
    side = 1 if x < 0 else -1
    d0, d1 = sorted((x + side * 0.23, x + side * 0.42))
    b.box((d0, by0, h), (d1, by1, h + 0.002), steel)
    for gx in np.linspace(d0 + 0.03, d1 - 0.03, 5):
        b.box((gx - 0.004, by0 + 0.03, h + 0.002), (gx + 0.004, by1 - 0.03, h + 0.006), steel)
    reach, rise = float(rng.uniform(0.14, 0.2)), float(rng.uniform(0.2, 0.32))
    b.tube(
        [
            (x, 0.23, h),
            (x, 0.23, h + rise),
            (x, 0.21, h + rise + 0.03),
            (x, 0.23 - reach, h + rise + 0.02),
            (x, 0.23 - reach, h + rise - 0.04),
        ],
        0.012,
        steel,
        8,
    )
    b.tube([(x + 0.01, 0.23, h + 0.05), (x + 0.07, 0.22, h + 0.09)], 0.008, steel, 6)


def wall_unit(rng: np.random.Generator, style: Style, w: float, h: float, role: str) -> Part:
    """A wall cupboard, 0.35 m deep; its frame's origin is at its under side."""
    b, d = MeshBuilder(), 0.36
    b.box((-w / 2, -d / 2 + 0.02, 0), (w / 2, d / 2, h), style[role])
    if chance(rng, 0.15):
        b.box((-w / 2 + 0.02, -d / 2 + 0.018, 0.02), (w / 2 - 0.02, -d / 2 + 0.022, h - 0.02), style["glass"])
        doors(b, style, w, -d / 2, 0.0, 0.06, 1, role)
    else:
        count = 2 if w > 0.65 else 1
        for i in range(count):
            x0 = -w / 2 + i * w / count
            b.box((x0 + 0.002, -d / 2, 0), (x0 + w / count - 0.002, -d / 2 + 0.018, h), style[role])
            bar_handle(b, x0 + w / count / 2, -d / 2, 0.05, min(0.16, 0.4 * w), style["handle"])
    return part(b, "wall cupboard", "furniture")


def open_wall_unit(rng: np.random.Generator, style: Style, w: float, h: float, microwave: bool) -> Part:
    """An open wall shelf unit: boards with a microwave or room for things."""
    b, d, t = MeshBuilder(), 0.36, 0.02
    finish = style["front2"]
    for x in (-w / 2, w / 2 - t):
        b.box((x, -d / 2, 0), (x + t, d / 2, h), finish)
    b.box((-w / 2, d / 2 - 0.01, 0), (w / 2, d / 2, h), finish)
    free = []
    levels = [0.0, h / 2, h - t]
    for z, above in zip(levels, [*levels[1:], None], strict=True):
        b.box((-w / 2, -d / 2, z), (w / 2, d / 2, z + t), finish)
        if above is not None:
            free.append(Surface(-w / 2 + t, -d / 2 + 0.02, w / 2 - t, d / 2 - 0.02, z + t, above - z - t, "shelf"))
    if microwave and w > 0.5 and h / 2 > 0.3:
        free.pop(0)
        microwave_body(b, style, 0, 0, t, min(w - 0.06, 0.5), 0.3, 0.27)
    return part(b, "open wall unit", "furniture", tuple(free))


def microwave_body(b: MeshBuilder, style: Style, x: float, y: float, z: float, w: float, d: float, h: float) -> None:
    """A microwave oven's box with glass door and control strip."""
    body = style["steel"]
    b.box((x - w / 2, y - d / 2, z), (x + w / 2, y + d / 2, z + h), body)
    b.box((x - w / 2 + 0.01, y - d / 2 - 0.008, z + 0.015), (x + w * 0.22, y - d / 2, z + h - 0.015), style["glass"])
    b.box((x + w * 0.25, y - d / 2 - 0.006, z + 0.015), (x + w / 2 - 0.01, y - d / 2, z + h - 0.015), style["black"])
    b.box(
        (x + w * 0.28, y - d / 2 - 0.008, z + h - 0.07),
        (x + w / 2 - 0.03, y - d / 2 - 0.006, z + h - 0.035),
        style["lamp"],
    )


def tall_unit(rng: np.random.Generator, style: Style, w: float, h: float, use: str) -> Part:
    """A full-height unit: "fridge" (built in), "oven" (oven and microwave at eye level) or "larder"."""
    b, y = MeshBuilder(), -DEPTH / 2
    b.box((-w / 2, y + 0.06, 0), (w / 2, DEPTH / 2, PLINTH), style["front"])
    b.box((-w / 2, y + 0.02, PLINTH), (w / 2, DEPTH / 2, h), style["front"])
    if use == "oven":
        oven_front(b, style, w, y, 0.72, 1.3)
        b.box((-w / 2 + 0.003, y, 1.305), (w / 2 - 0.003, y + 0.018, 1.69), style["glass"])
        edges = [(PLINTH, 0.715), (1.695, h)]
    elif use == "fridge":
        edges = [(PLINTH, 0.75), (0.755, h)]
    else:
        edges = [(PLINTH, 1.35), (1.355, h)] if chance(rng, 0.5) else [(PLINTH, h)]
    for z0, z1 in edges:
        b.box((-w / 2 + 0.002, y, z0), (w / 2 - 0.002, y + 0.018, z1), style["front"])
        if z1 - z0 > 0.3:
            at = min(max(1.05, z0 + 0.15), z1 - 0.15)
            bar_handle(b, w / 2 - 0.05, y, at, 0.22, style["handle"], upright=True)
    return part(b, f"tall unit {use}", "furniture")


def fridge(rng: np.random.Generator, style: Style) -> Part:
    """A free-standing fridge, white, steel, black or red, low or tall, with handles and magnets."""
    b, w, d = MeshBuilder(), jitter(rng, 0.6), jitter(rng, 0.62)
    h = float(rng.choice([0.85, 1.45, 1.75, 1.85]))
    finish = [style["white"], style["steel"], style["black"]][int(rng.choice(3, p=[0.5, 0.35, 0.15]))]
    b.box((-w / 2, -d / 2 + 0.05, 0.02), (w / 2, d / 2, h), finish)
    split = 0.6 if h > 1.0 else 0.02
    for z0, z1 in ((0.03, split), (split + 0.008, h)):
        if z1 - z0 > 0.1:
            b.box((-w / 2, -d / 2, z0), (w / 2, -d / 2 + 0.045, z1), finish)
            bar_handle(
                b, -w / 2 + 0.05, -d / 2, min(z1 - 0.2, 1.0) if z0 > 0.3 else z1 - 0.2, 0.3, style["steel"], True
            )
    for _ in range(int(rng.integers(0, 7))):
        x, z, s = float(rng.uniform(-0.2, 0.2)), float(rng.uniform(0.9, 1.6)), float(rng.uniform(0.02, 0.1))
        if z + s < h:
            paper = style["paper"] if s > 0.06 else style.bright[int(rng.integers(len(style.bright)))]
            b.box((x - s / 2, -d / 2 - 0.003, z), (x + s / 2, -d / 2, z + s * 1.3), paper)
    return part(b, "fridge", "furniture", (Surface(-w / 2, -d / 2, w / 2, d / 2, h, 0.4, "store"),))


def hood(rng: np.random.Generator, style: Style, ceiling: float, bottom: float) -> Part:
    """An extractor hood with its chimney up to the ceiling; its frame's origin is at its under side."""
    b = MeshBuilder()
    w, d = 0.6 if chance(rng, 0.6) else 0.9, 0.46
    b.box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.06), style["steel"])
    b.box((-0.14, d / 2 - 0.28, 0.06), (0.14, d / 2, max(0.1, ceiling - bottom)), style["steel"])
    return part(b, "hood", "furniture")
