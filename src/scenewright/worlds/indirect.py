"""Light that has bounced: a coarse grid of the irradiance on a room's surfaces, looked up by rays over the hemisphere.

The grid is filled once per room from random surface points, by direct light and one bounce of it; a view then needs
only short work per pixel (after the irradiance volume of Greger et al., 1998, and final gathering).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from scenewright.worlds.flatten import FlatRoom, Floats, Surfaces, Triangles
from scenewright.worlds.lighting import random_unit
from scenewright.worlds.shading import cross
from scenewright.worlds.tracing import Hits, Sampling, Tracer

Array = NDArray[Any]

_CELL_M = 0.3
_POINTS = 12000
_BOUNCE_RAYS = 4


class LightGrid(NamedTuple):
    """Irradiance over pi by place and by the side that a surface faces: radiance (nx, ny, nz, 6, 3), low (3,) metres.

    The six sides are -x, +x, -y, +y, -z, +z.
    """

    radiance: Floats
    low: Floats


@njit(cache=True, nogil=True, inline="always")
def side(n: Array) -> int:
    """Which of the six sides a normal is closest to."""
    ax, ay, az = abs(n[0]), abs(n[1]), abs(n[2])
    if ax >= ay and ax >= az:
        return 1 if n[0] > 0 else 0
    if ay >= az:
        return 3 if n[1] > 0 else 2
    return 5 if n[2] > 0 else 4


@njit(cache=True, nogil=True, inline="always")
def cell(shape: tuple[int, int, int], low: Array, x: float, y: float, z: float) -> tuple[int, int, int]:
    """The grid cell of a point, the nearest one if it lies outside."""
    return (
        min(max(int((x - low[0]) / _CELL_M), 0), shape[0] - 1),
        min(max(int((y - low[1]) / _CELL_M), 0), shape[1] - 1),
        min(max(int((z - low[2]) / _CELL_M), 0), shape[2] - 1),
    )


@njit(cache=True, nogil=True)
def collect(pos: Array, geo: Array, prim: Array, light: Array, low: Array, total: Array, count: Array) -> None:
    """Sum light (N, 3) and number of points in each cell and side."""
    shape = (total.shape[0], total.shape[1], total.shape[2])
    for i in range(prim.shape[0]):
        if prim[i] < 0:
            continue
        x, y, z = cell(shape, low, pos[i, 0], pos[i, 1], pos[i, 2])
        s = side(geo[i])
        count[x, y, z, s] += 1.0
        for k in range(3):
            total[x, y, z, s, k] += light[i, k]


@njit(cache=True, nogil=True)
def gather_indirect(
    index: Array,
    phase: Array,
    rays: int,
    o: Array,
    d: Array,
    prim: Array,
    t: Array,
    tri: Triangles,
    mat: Surfaces,
    radiance: Array,
    low: Array,
    ambient: Array,
    seed: int,
    out: Array,
) -> None:
    """Mean radiance over the hemisphere of each point: what the surfaces that its rays meet send back, or `ambient`.

    Grid positions are jittered by half a cell, which interpolates in the mean, and alike for equal phases (N,), which
    leaves no noise between windows that hold each phase once. out: (N, 3), rows `index` are set.
    """
    shape = (radiance.shape[0], radiance.shape[1], radiance.shape[2])
    e1, e2, n = np.zeros((3, 3), np.float32)
    corners, material, mean = tri.corners, tri.material, mat.mean
    for p in range(index.shape[0]):
        i = index[p]
        out[i] = 0.0
        for r in range(p * rays, (p + 1) * rays):
            f = prim[r]
            if f < 0:
                for k in range(3):
                    out[i, k] += ambient[k] / rays
                continue
            for k in range(3):
                e1[k], e2[k] = corners[f, 1, k] - corners[f, 0, k], corners[f, 2, k] - corners[f, 0, k]
            cross(e1, e2, n)
            if n[0] * d[r, 0] + n[1] * d[r, 1] + n[2] * d[r, 2] > 0:
                for k in range(3):
                    n[k] = -n[k]
            place = phase[i] * rays + r - p * rays
            x = o[r, 0] + t[r] * d[r, 0] + (random_unit(place, 1, seed) - 0.5) * _CELL_M
            y = o[r, 1] + t[r] * d[r, 1] + (random_unit(place, 2, seed) - 0.5) * _CELL_M
            z = o[r, 2] + t[r] * d[r, 2] + (random_unit(place, 3, seed) - 0.5) * _CELL_M
            x0, y0, z0 = cell(shape, low, x, y, z)
            s, m = side(n), material[f]
            for k in range(3):
                out[i, k] += mean[m, k] * (ambient[k] + radiance[x0, y0, z0, s, k]) / rays


def incoming(tracer: Tracer, grid: LightGrid, hits: Hits, sampling: Sampling, ambient: Floats) -> Floats:
    """(N, 3) mean radiance of the hemisphere over each hit: bounced light and ambient light (3,) from everywhere."""
    out, flat = np.zeros_like(hits.pos), tracer.flat
    index = np.flatnonzero(hits.prim >= 0).astype(np.int32)
    if len(index):
        o, d, found = tracer.hemisphere(hits, index, sampling)
        gather_indirect(
            index, sampling.phase, sampling.rays, o, d, found["primID"], found["tfar"], flat.triangles, flat.surfaces,
            grid.radiance, grid.low, ambient, sampling.seed, out,
        )  # fmt: skip
    return out


def _fill(total: Floats, count: Floats) -> Floats:
    """Mean light per cell and its neighbours; cells without points take it from wider surroundings of their side."""
    for width, weight in ((3, 4.0), (7, 1e-3)):
        size = (width, width, width, 1)
        total = total + weight * uniform_filter(total, (*size, 1), mode="constant")
        count = count + weight * uniform_filter(count, size, mode="constant")
    mean = total.sum((0, 1, 2, 3)) / max(float(count.sum()), 1e-12)
    return ((total + 1e-8 * mean) / (count[..., None] + 1e-8)).astype(np.float32)


def _surface_points(tracer: Tracer, low: Floats, high: Floats, generator: np.random.Generator) -> Hits:
    """Points on surfaces, met by rays from random places in the air."""
    origins = generator.uniform(low, high, (_POINTS, 3)).astype(np.float32)
    rays = generator.standard_normal((_POINTS, 3)).astype(np.float32)
    wide = np.full((1, 3), 0.05, np.float32)
    return tracer.surfaces(origins, rays, wide, wide)


def _bounds(flat: FlatRoom, extent: tuple[float, float, float]) -> tuple[Floats, Floats]:
    corners = flat.triangles.corners.reshape(-1, 3)
    return np.maximum(corners.min(0), -0.1), np.minimum(corners.max(0), np.add(extent, 0.1)).astype(np.float32)


def _without_fireflies(light: Floats) -> Floats:
    """Irradiance held below thrice its 90th percentile: spots beside a lamp are too small to be found by few rays."""
    strongest = light.max(1)
    limit = 3 * float(np.percentile(strongest, 90)) if len(light) else 0.0
    return light * np.minimum(1, limit / np.maximum(strongest, 1e-9))[:, None].astype(np.float32)


def build_grid(tracer: Tracer, extent: tuple[float, float, float], seed: int) -> LightGrid:
    """The grid of a room whose interior is [0, extent]: direct light and one bounce."""
    low, high = _bounds(tracer.flat, extent)
    shape = tuple(max(math.ceil(s / _CELL_M), 1) for s in np.maximum(high - low, 1e-3))
    generator = np.random.default_rng([seed, 1998])
    hits = _surface_points(tracer, low, np.maximum(high, low + 1e-3), generator)
    phase = generator.integers(0, 64, len(hits.prim)).astype(np.int32)
    light = tracer.lamplight(hits, Sampling(phase, 64, 1, seed)) + tracer.facelight(hits, Sampling(phase, 64, 1, seed))

    light = _without_fireflies(light)

    def gridded(irradiance: Floats) -> LightGrid:
        total, count = np.zeros((*shape, 6, 3), np.float32), np.zeros((*shape, 6), np.float32)
        collect(hits.pos, hits.geo, hits.prim, irradiance, low, total, count)
        return LightGrid(_fill(total, count) / np.float32(np.pi), low.astype(np.float32))

    direct = gridded(light)
    bounced = incoming(tracer, direct, hits, Sampling(phase, 64, _BOUNCE_RAYS, seed), np.zeros(3, np.float32))
    return gridded(light + np.float32(np.pi) * bounced)
