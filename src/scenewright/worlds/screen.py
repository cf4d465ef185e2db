"""Kernels in the picture's plane: which pixels need more samples, and light shared between pixels of one surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
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
    """Add to `out` (N, 3) the light of each point, from the light of the pixels around it that see the same surface.

    A pixel counts by how alike its normal is (cosine to the eighth) and how near it lies to the point's tangent plane.

    px, py: (N,) pixel coordinates; src_*: (h, w, 3) computed at every `step`-th pixel; radius in source pixels.
    """
    h, w = src_light.shape[:2]
    one, least, half = np.float32(1), np.float32(1e-7), np.float32(0.5)
    scale, near, base = np.float32(1.0 / step), np.float32(0.004), np.float32(0.002)
    for i in range(px.shape[0]):
        if depth[i] <= 0:
            continue
        cx, cy = int(px[i] * scale + half), int(py[i] * scale + half)
        x, y, z, nx, ny, nz = pos[i, 0], pos[i, 1], pos[i, 2], nrm[i, 0], nrm[i, 1], nrm[i, 2]
        sharp = one / (near * depth[i] + base)
        total, r, g, b = np.float32(1e-12), np.float32(0), np.float32(0), np.float32(0)
        for yy in range(max(cy - radius, 0), min(cy + radius + 1, h)):
            for xx in range(max(cx - radius, 0), min(cx + radius + 1, w)):
                alike = nx * src_nrm[yy, xx, 0] + ny * src_nrm[yy, xx, 1] + nz * src_nrm[yy, xx, 2]
                alike = max(alike, np.float32(0))
                qx, qy, qz = src_pos[yy, xx, 0], src_pos[yy, xx, 1], src_pos[yy, xx, 2]
                off = (nx * (x - qx) + ny * (y - qy) + nz * (z - qz)) * sharp
                soft = one + off * off
                alike *= alike
                alike *= alike
                weight = alike * alike / (soft * soft) + least
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
                step, alike = 0.0, 0.0
                for k in range(3):
                    step += (pos[y, x, k] - pos[yy, xx, k]) * nrm[y, x, k]
                    alike += nrm[y, x, k] * nrm[yy, xx, k]
                if alike < 0.93 or abs(step) > 0.02 * depth[y, x]:
                    edge = True
                    break
            out[y, x] = edge
