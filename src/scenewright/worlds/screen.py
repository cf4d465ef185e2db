"""Kernels in the picture's plane: which pixels need more samples, and light shared between pixels of one surface."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, inline="always")
def likeness(
    px: float, py: float, pz: float, nx: float, ny: float, nz: float, q: Array, m: Array, tolerance: float
) -> float:
    """How well light at point q with normal m stands for that at p with normal n: 1 on the same smooth surface."""
    ndot = nx * m[0] + ny * m[1] + nz * m[2]
    if ndot <= 0.0:
        return 1e-7
    off = (nx * (px - q[0]) + ny * (py - q[1]) + nz * (pz - q[2])) / tolerance
    soft = 1.0 / (1.0 + off * off)
    n4 = ndot * ndot * ndot * ndot
    return n4 * n4 * soft * soft + 1e-7


@njit(cache=True, nogil=True)
def gather(
    px: Array,
    py: Array,
    pos: Array,
    nrm: Array,
    depth: Array,
    src_pos: Array,
    src_nrm: Array,
    src_light: Array,
    step: int,
    radius: int,
    out: Array,
) -> None:
    """Light of each point from the light of the pixels around it that see the same surface.

    px, py: (N,) pixel coordinates; src_*: (h, w, 3) computed at every `step`-th pixel; radius in source pixels.
    """
    h, w = src_light.shape[:2]
    for i in range(px.shape[0]):
        if depth[i] <= 0:
            continue
        cx, cy = int(px[i] / step + 0.5), int(py[i] / step + 0.5)
        x, y, z = pos[i, 0], pos[i, 1], pos[i, 2]
        nx, ny, nz = nrm[i, 0], nrm[i, 1], nrm[i, 2]
        tolerance = 0.004 * depth[i] + 0.002
        total, r, g, b = 1e-12, 0.0, 0.0, 0.0
        for yy in range(max(cy - radius, 0), min(cy + radius + 1, h)):
            for xx in range(max(cx - radius, 0), min(cx + radius + 1, w)):
                weight = likeness(x, y, z, nx, ny, nz, src_pos[yy, xx], src_nrm[yy, xx], tolerance)
                total += weight
                r += weight * src_light[yy, xx, 0]
                g += weight * src_light[yy, xx, 1]
                b += weight * src_light[yy, xx, 2]
        out[i, 0] += r / total
        out[i, 1] += g / total
        out[i, 2] += b / total


@njit(cache=True, nogil=True)
def find_edges(depth: Array, nrm: Array, key: Array, pos: Array, out: Array) -> None:
    """Pixels whose square covers more than one surface: a neighbour of another material or object, a crease, a step."""
    h, w = depth.shape
    for y in range(h):
        for x in range(w):
            edge = False
            for s in range(4):
                xx, yy = x + (s == 0) - (s == 1), y + (s == 2) - (s == 3)
                if xx < 0 or yy < 0 or xx >= w or yy >= h:
                    continue
                if key[y, x] != key[yy, xx]:
                    edge = True
                    break
                n, m = nrm[y, x], nrm[yy, xx]
                step = 0.0
                for k in range(3):
                    step += (pos[y, x, k] - pos[yy, xx, k]) * n[k]
                if n[0] * m[0] + n[1] * m[1] + n[2] * m[2] < 0.93 or abs(step) > 0.02 * depth[y, x]:
                    edge = True
                    break
            out[y, x] = edge
