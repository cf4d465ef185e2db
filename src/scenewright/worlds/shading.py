"""Kernels that look up the surface at each hit: position, normals, and texture with anisotropic filtering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.worlds.flatten import Surfaces, Triangles

Array = NDArray[Any]

_MAX_TAPS = 6


@njit(cache=True, nogil=True, inline="always")
def bilinear(
    texels: Array, offset: int, height: int, width: int, u: float, v: float, linear: Array, out: Array
) -> None:
    """Add the bilinear sample of a repeating texture at uv (v runs up the picture) to `out` (3,)."""
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    fx, fy = math.floor(x), math.floor(y)
    ax, ay = x - fx, y - fy
    x0, y0 = int(fx) % width, int(fy) % height
    x1, y1 = (x0 + 1) % width, (y0 + 1) % height
    a, b = offset + y0 * width + x0, offset + y0 * width + x1
    c, d = offset + y1 * width + x0, offset + y1 * width + x1
    wa, wb, wc, wd = (1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay
    for k in range(3):
        out[k] += (
            wa * linear[texels[a, k]]
            + wb * linear[texels[b, k]]
            + wc * linear[texels[c, k]]
            + wd * linear[texels[d, k]]
        )


@njit(cache=True, nogil=True, inline="always")
def filtered(
    texels: Array,
    levels: Array,
    u: float,
    v: float,
    dux: float,
    dvx: float,
    duy: float,
    dvy: float,
    linear: Array,
    out: Array,
) -> None:
    """Texture averaged over the pixel's footprint (du/dx ... in repeats per pixel): bilinear taps of one mip level
    along the longer axis of the footprint, the level chosen by the shorter (Williams 1983; Feline, McCormack 1999)."""
    height, width = levels[0, 1], levels[0, 2]
    across = math.sqrt((dux * width) ** 2 + (dvx * height) ** 2)
    down = math.sqrt((duy * width) ** 2 + (dvy * height) ** 2)
    if across >= down:
        longer, shorter, su, sv = across, down, dux, dvx
    else:
        longer, shorter, su, sv = down, across, duy, dvy
    shorter = max(shorter, longer / _MAX_TAPS, 1e-6)
    taps = min(math.ceil(longer / shorter), _MAX_TAPS) if longer > 1.0 else 1
    level = min(max(int(math.log2(max(shorter, 1.0)) + 0.4), 0), levels.shape[0] - 1)
    out[0] = out[1] = out[2] = 0.0
    for i in range(taps):
        s = (i + 0.5) / taps - 0.5
        bilinear(texels, levels[level, 0], levels[level, 1], levels[level, 2], u + s * su, v + s * sv, linear, out)
    for k in range(3):
        out[k] /= taps


@njit(cache=True, nogil=True, inline="always")
def dot(a: Array, b: Array) -> float:
    """Scalar product of two 3-vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, nogil=True, inline="always")
def cross(a: Array, b: Array, out: Array) -> None:
    """Vector product of two 3-vectors."""
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@njit(cache=True, nogil=True, inline="always")
def set_normals(face: Array, corner: Array, a: float, b: float, d: Array, shaded: Array, geo: Array) -> None:
    """Interpolated and geometric unit normal, both facing the ray d; `face` (3,) is the unit normal of the triangle.

    The geometric one stands in where the interpolated one would look away from the viewer or is degenerate.
    """
    w, sign = 1.0 - a - b, -1.0 if dot(face, d) > 0 else 1.0
    for k in range(3):
        shaded[k] = w * corner[0, k] + a * corner[1, k] + b * corner[2, k]
        geo[k] = sign * face[k]
    length = math.sqrt(dot(shaded, shaded))
    length = math.copysign(length, dot(shaded, geo))
    if abs(length) < 0.1 or dot(shaded, d) * length >= 0:
        shaded[:] = geo
        return
    for k in range(3):
        shaded[k] /= length


@njit(cache=True, nogil=True, inline="always")
def set_footprint(face: Array, d: Array, t: float, dd: Array, out: Array) -> None:
    """How the hit moves on its plane when the ray d moves by dd (Igehy 1999, ray differentials)."""
    facing = dot(face, d)
    facing = facing if abs(facing) > 1e-4 else 1e-4
    slide = dot(face, dd) / facing
    for k in range(3):
        out[k] = t * (dd[k] - d[k] * slide)


@njit(cache=True, nogil=True)
def hit_surface(
    prim: Array,
    hit_u: Array,
    hit_v: Array,
    t: Array,
    origin: Array,
    ray: Array,
    ddx: Array,
    ddy: Array,
    tri: Triangles,
    mat: Surfaces,
    linear: Array,
    pos: Array,
    nrm: Array,
    geo: Array,
    alb: Array,
) -> None:
    """Position, shading and geometric normal (both facing the ray) and reflectance of every hit.

    Args:
        prim, hit_u, hit_v, t: (N,) of the ray caster; prim -1 = no hit.
        origin, ray: (1 or N, 3), (N, 3). ddx, ddy: (1 or N, 3) change of `ray` from pixel to pixel.
        tri, mat: `Triangles`, `Surfaces`. linear: (256,) sRGB to linear light.
        pos, nrm, geo, alb: (N, 3) float32, filled; 0 where there is no hit.
    """
    colour, e1, e2, face, b1, b2, px, py = np.zeros((8, 3), np.float32)
    for i in range(prim.shape[0]):
        f = prim[i]
        if f < 0:
            pos[i], nrm[i], geo[i], alb[i] = 0.0, 0.0, 0.0, 0.0
            continue
        o, d, c, uv = origin[i % origin.shape[0]], ray[i], tri.corners[f], tri.uv[f]
        for k in range(3):
            e1[k], e2[k] = c[1, k] - c[0, k], c[2, k] - c[0, k]
            pos[i, k] = o[k] + t[i] * d[k]
        cross(e1, e2, face)
        area = max(math.sqrt(dot(face, face)), 1e-12)
        for k in range(3):
            face[k] /= area
        set_normals(face, tri.normals[f], hit_u[i], hit_v[i], d, nrm[i], geo[i])
        m = tri.material[f]
        colour[:] = 1.0
        if mat.texture[m] >= 0:
            # barycentric gradients: the dual basis of the two edges in the triangle's plane, times its doubled area
            cross(e2, face, b1)
            cross(face, e1, b2)
            set_footprint(face, d, t[i], ddx[i % ddx.shape[0]], px)
            set_footprint(face, d, t[i], ddy[i % ddy.shape[0]], py)
            ax, bx, ay, by = dot(b1, px) / area, dot(b2, px) / area, dot(b1, py) / area, dot(b2, py) / area
            u1, v1, u2, v2 = uv[1, 0] - uv[0, 0], uv[1, 1] - uv[0, 1], uv[2, 0] - uv[0, 0], uv[2, 1] - uv[0, 1]
            u, v = uv[0, 0] + hit_u[i] * u1 + hit_v[i] * u2, uv[0, 1] + hit_u[i] * v1 + hit_v[i] * v2
            dux, dvx, duy, dvy = ax * u1 + bx * u2, ax * v1 + bx * v2, ay * u1 + by * u2, ay * v1 + by * v2
            filtered(mat.texels, mat.levels[mat.texture[m]], u, v, dux, dvx, duy, dvy, linear, colour)
        for k in range(3):
            alb[i, k] = mat.albedo[m, k] * colour[k]
