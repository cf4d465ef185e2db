"""Sofas, armchairs, beds, mattresses, cushions, curtains."""

from __future__ import annotations

import math

import numpy as np

from scenewright.worlds.parts import Part, Surface, chance, jitter, legs, part
from scenewright.worlds.solids import MeshBuilder
from scenewright.worlds.style import Style


def sofa(rng: np.random.Generator, style: Style, seats: int | None = None) -> Part:
    """A sofa of 1 (armchair) to 4 seats: base, seat and back cushions, arms, feet, loose cushions."""
    b = MeshBuilder()
    seats = int(rng.integers(2, 4)) if seats is None else seats
    cloth = style["leather"] if chance(rng, 0.25) else style["fabric"]
    each, arm = jitter(rng, 0.66), float(rng.uniform(0.1, 0.25))
    w, d, seat, back = each * seats + 2 * arm, jitter(rng, 0.88), jitter(rng, 0.43), jitter(rng, 0.82)
    arm_h = float(rng.uniform(0.55, 0.66))
    foot = float(rng.uniform(0.02, 0.14))
    legs(b, w - 0.1, d - 0.1, foot, 0.05, style["wood2"] if chance(rng, 0.5) else style["metal"])
    b.cushion((-w / 2 + arm / 2, -d / 2 + 0.02, foot), (w / 2 - arm / 2, d / 2 - 0.05, seat - 0.14), cloth, 0.03)
    for sx in (-1, 1):
        x = sx * (w / 2 - arm / 2)
        b.cushion((x - arm / 2, -d / 2, foot), (x + arm / 2, d / 2, arm_h), cloth, min(0.09, arm / 2))
    b.cushion((-w / 2 + arm, d / 2 - 0.2, foot), (w / 2 - arm, d / 2, back - 0.06), cloth, 0.06)
    for i in range(seats):
        x = -w / 2 + arm + i * each
        b.cushion((x + 0.004, -d / 2 - 0.01, seat - 0.15), (x + each - 0.004, d / 2 - 0.18, seat), cloth, 0.045)
        with b.at((x + each / 2, d / 2 - 0.22, seat - 0.01), pitch=-0.16):
            b.cushion((-each / 2 + 0.01, -0.08, 0), (each / 2 - 0.01, 0.08, back - seat + 0.02), cloth, 0.07)
    _pillows(b, rng, style, w - 2 * arm, seat, d / 2 - 0.38, int(rng.integers(0, seats + 2)))
    free = Surface(-w / 2 + arm + 0.1, -d / 2 + 0.05, w / 2 - arm - 0.1, d / 2 - 0.4, seat, 0.5, "seat")
    return part(b, "sofa" if seats > 1 else "armchair", "sofa" if seats > 1 else "chair", (free,))


def _pillows(
    b: MeshBuilder, rng: np.random.Generator, style: Style, width: float, z: float, y: float, count: int
) -> None:
    for x in np.linspace(-width / 2 + 0.2, width / 2 - 0.2, max(count, 1))[:count]:
        with b.at((float(x), y, z), pitch=-0.35, yaw=float(rng.normal(0, 0.15))):
            s = float(rng.uniform(0.38, 0.48))
            finish = style["fabric2"] if chance(rng, 0.5) else style.bright[int(rng.integers(len(style.bright)))]
            b.cushion((-s / 2, -0.06, 0.0), (s / 2, 0.06, s), finish, 0.055)


def bed(rng: np.random.Generator, style: Style) -> Part:
    """A bed of 0.9 to 1.8 m: frame, mattress, blanket, pillows, headboard."""
    b = MeshBuilder()
    w = float(rng.choice([0.9, 1.4, 1.6, 1.8])) + 0.06
    d, top = jitter(rng, 2.08, 0.02), jitter(rng, 0.5, 0.12)
    frame = style["wood"] if chance(rng, 0.6) else style["fabric"]
    legs(b, w - 0.08, d - 0.1, top - 0.25, 0.06, style["wood"])
    b.cushion((-w / 2, -d / 2, top - 0.34), (w / 2, d / 2, top - 0.16), frame, 0.02)
    b.cushion((-w / 2 + 0.03, -d / 2 + 0.03, top - 0.2), (w / 2 - 0.03, d / 2 - 0.06, top), style["white"], 0.05)
    b.box((-w / 2, d / 2 - 0.06, 0), (w / 2, d / 2, float(rng.uniform(0.8, 1.15))), frame)
    pulled = float(rng.uniform(0.45, 0.7))
    b.cushion(
        (-w / 2 - 0.015, -d / 2 + 0.02, top - 0.24),
        (w / 2 + 0.015, d / 2 - pulled, top + 0.045),
        style["bedding"],
        0.05,
    )
    if chance(rng, 0.5):
        b.cushion(
            (-w / 2 - 0.025, -d / 2, top - 0.2), (w / 2 + 0.025, -d / 2 + 0.6, top + 0.07), style["fabric2"], 0.04
        )
    for x in [0.0] if w < 1.2 else [-w / 4, w / 4]:
        with b.at(
            (x, d / 2 - 0.27, top - 0.01), pitch=0.35 - float(rng.uniform(0, 0.3)), yaw=float(rng.normal(0, 0.06))
        ):
            finish = style["white"] if chance(rng, 0.6) else style["bedding"]
            b.cushion((-0.33, -0.2, 0), (0.33, 0.2, 0.14), finish, 0.065)
    rest = Surface(-w / 2 + 0.15, -d / 2 + 0.1, w / 2 - 0.15, d / 2 - 0.8, top + 0.045, 1.0, "seat")
    return part(b, "bed", "bed", () if chance(rng, 0.6) else (rest,))


def curtain(rng: np.random.Generator, style: Style, w: float, h: float) -> Part:
    """A hanging curtain of width w with folds, from its rail at height h down; its origin is at the floor."""
    b = MeshBuilder()
    n = max(8, int(w / 0.025))
    x = np.linspace(-w / 2, w / 2, n)
    y = 0.03 * np.sin(x * 2 * math.pi / float(rng.uniform(0.09, 0.16)) + float(rng.uniform(0, 6)))
    bottom = 0.03
    v = np.concatenate([np.stack([x, y * 1.3, np.full(n, bottom)], 1), np.stack([x, y * 0.8, np.full(n, h)], 1)])
    i = np.arange(n - 1)
    faces = np.concatenate([np.stack([i, i + 1, n + i + 1], 1), np.stack([i, n + i + 1, n + i], 1)]).astype(np.int32)
    slope = np.gradient(y, x)
    normal = np.stack([slope, -np.ones(n), np.zeros(n)], 1)
    normal = np.tile(normal / np.linalg.norm(normal, axis=1, keepdims=True), (2, 1))
    uv = v[:, [0, 2]][faces]
    b.add(v, faces, uv.astype(np.float32), normal[faces].astype(np.float32), style["curtain"])
    b.add(
        v + [0, 0.004, 0],
        faces[:, ::-1],
        uv[:, ::-1].astype(np.float32),
        -normal[faces[:, ::-1]].astype(np.float32),
        style["curtain"],
    )
    return part(b, "curtain", "window")


def rug(rng: np.random.Generator, style: Style, w: float, d: float, role: str = "rug") -> Part:
    """A rug (or carpet strip with role "carpet"), a few millimetres thick."""
    b = MeshBuilder()
    t = 0.012 if role == "rug" else 0.006
    b.box((-w / 2, -d / 2, 0.0005), (w / 2, d / 2, t), style[role])
    return part(b, role, "floor")
