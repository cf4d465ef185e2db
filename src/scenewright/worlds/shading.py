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
    x1, y1 = x0 + 1 if x0 + 1 < width else 0, y0 + 1 if y0 + 1 < height else 0
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
    texels: Array, levels: Array, row: int, u: float, v: float, across: Array, down: Array, linear: Array, out: Array
) -> None:
    """Texture `row` averaged over the pixel's footprint: bilinear taps of one mip level along the longer axis of the
    footprint, the level chosen by the shorter (Williams 1983; Feline, McCormack et al. 1999).

    across, down: (2,) change of u and v from pixel to pixel.
    """
    height, width = levels[row, 0, 1], levels[row, 0, 2]
    a = math.sqrt((across[0] * width) ** 2 + (across[1] * height) ** 2)
    b = math.sqrt((down[0] * width) ** 2 + (down[1] * height) ** 2)
    longer, shorter, su, sv = (a, b, across[0], across[1]) if a >= b else (b, a, down[0], down[1])
    shorter = max(shorter, longer / _MAX_TAPS, 1e-6)
    taps = min(math.ceil(longer / shorter), _MAX_TAPS) if longer > 1.0 else 1
    level = min(max(int(math.log2(max(shorter, 1.0)) + 0.4), 0), levels.shape[1] - 1)
    offset, height, width = levels[row, level, 0], levels[row, level, 1], levels[row, level, 2]
    out[0] = out[1] = out[2] = 0.0
    for i in range(taps):
        s = (i + 0.5) / taps - 0.5
        bilinear(texels, offset, height, width, u + s * su, v + s * sv, linear, out)
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
def set_normals(
    face: Array, corner: Array, f: int, a: float, b: float, ray: Array, i: int, shaded: Array, geo: Array
) -> None:
    """Row i of the interpolated and of the geometric unit normals, both facing the ray.

    `face` (3,) is the unit normal of triangle f, `corner` (F, 3, 3) the normals at its corners. The geometric one
    stands in where the interpolated one would look away from the viewer or is degenerate.
    """
    w, facing = 1.0 - a - b, face[0] * ray[i, 0] + face[1] * ray[i, 1] + face[2] * ray[i, 2]
    sign, along, toward, square = -1.0 if facing > 0 else 1.0, 0.0, 0.0, 0.0
    for k in range(3):
        geo[i, k] = sign * face[k]
        shaded[i, k] = w * corner[f, 0, k] + a * corner[f, 1, k] + b * corner[f, 2, k]
        along += shaded[i, k] * geo[i, k]
        toward += shaded[i, k] * ray[i, k]
        square += shaded[i, k] * shaded[i, k]
    length = math.copysign(math.sqrt(square), along)
    usable = abs(length) > 0.1 and toward * length < 0
    for k in range(3):
        shaded[i, k] = shaded[i, k] / length if usable else geo[i, k]


@njit(cache=True, nogil=True, inline="always")
def set_footprint(face: Array, ray: Array, i: int, t: float, change: Array, out: Array) -> None:
    """How the hit of ray i moves on its plane when the ray moves by `change` (Igehy 1999, ray differentials)."""
    row = i if change.shape[0] > 1 else 0
    facing = face[0] * ray[i, 0] + face[1] * ray[i, 1] + face[2] * ray[i, 2]
    facing = facing if abs(facing) > 1e-4 else 1e-4
    slide = (face[0] * change[row, 0] + face[1] * change[row, 1] + face[2] * change[row, 2]) / facing
    for k in range(3):
        out[k] = t * (change[row, k] - ray[i, k] * slide)


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
    across, down = np.zeros((2, 2), np.float32)
    # arrays of a tuple are taken out once, and rows never sliced in the loop: numba counts references each time
    corners, normals, uv, material = tri.corners, tri.normals, tri.uv, tri.material
    albedo, texture, levels, texels = mat.albedo, mat.texture, mat.levels, mat.texels
    pos[:], nrm[:], geo[:], alb[:] = 0.0, 0.0, 0.0, 0.0
    for i in range(prim.shape[0]):
        f, a, b, o = prim[i], hit_u[i], hit_v[i], i if origin.shape[0] > 1 else 0
        if f < 0:
            continue
        for k in range(3):
            e1[k], e2[k] = corners[f, 1, k] - corners[f, 0, k], corners[f, 2, k] - corners[f, 0, k]
            pos[i, k] = origin[o, k] + t[i] * ray[i, k]
        cross(e1, e2, face)
        area = max(math.sqrt(dot(face, face)), 1e-12)
        for k in range(3):
            face[k] /= area
        set_normals(face, normals, f, a, b, ray, i, nrm, geo)
        m = material[f]
        colour[:] = 1.0
        if texture[m] >= 0:
            # barycentric gradients: the dual basis of the two edges in the triangle's plane, times its doubled area
            cross(e2, face, b1)
            cross(face, e1, b2)
            set_footprint(face, ray, i, t[i], ddx, px)
            set_footprint(face, ray, i, t[i], ddy, py)
            for k in range(2):
                g1, g2 = (uv[f, 1, k] - uv[f, 0, k]) / area, (uv[f, 2, k] - uv[f, 0, k]) / area
                across[k] = dot(b1, px) * g1 + dot(b2, px) * g2
                down[k] = dot(b1, py) * g1 + dot(b2, py) * g2
            u = uv[f, 0, 0] + a * (uv[f, 1, 0] - uv[f, 0, 0]) + b * (uv[f, 2, 0] - uv[f, 0, 0])
            v = uv[f, 0, 1] + a * (uv[f, 1, 1] - uv[f, 0, 1]) + b * (uv[f, 2, 1] - uv[f, 0, 1])
            filtered(texels, levels, texture[m], u, v, across, down, linear, colour)
        for k in range(3):
            alb[i, k] = albedo[m, k] * colour[k]
