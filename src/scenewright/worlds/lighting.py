"""Kernels of light: shadow rays to lamps and glowing faces, rays over the hemisphere, highlights.

Colours are linear RGB. A matt surface of reflectance a under irradiance E sends out a / pi * E; ambient light L from
everywhere adds a * L. Random numbers are hashes of (row, sample, seed), so a picture is a function of its seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.worlds.flatten import Lights

Array = NDArray[Any]

GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
OFF_SURFACE = np.float32(1e-3)  # metres: where a ray that leaves a surface starts


@njit(cache=True, nogil=True, inline="always")
def random_unit(a: int, b: int, seed: int) -> float:
    """A uniform number in [0, 1) that depends on nothing but its three arguments (32-bit integer hash)."""
    x = np.uint32(a) * np.uint32(0x9E3779B1) ^ np.uint32(b) * np.uint32(0x85EBCA77) ^ np.uint32(seed)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return float(np.uint32(x ^ (x >> np.uint32(16))) >> np.uint32(8)) / 16777216.0


@njit(cache=True, nogil=True, inline="always")
def cone(edge: float, along: float, dist: float) -> float:
    """Share of a spot's light at a vector of length `dist` whose part along the axis is `along`; edge = -1: no spot."""
    if edge <= -1:
        return 1.0
    s = min(max((along / dist - edge) / (0.25 * (1.0 - edge) + 1e-6), 0.0), 1.0)
    return s * s * (3.0 - 2.0 * s)


@njit(cache=True, nogil=True)
def lamp_places(lights: Lights, count: int, seed: int) -> Array:
    """(L, count, 3) points spread evenly over each lamp's sphere, relative to its centre (Fibonacci lattice)."""
    out = np.empty((lights.position.shape[0], count, 3), np.float32)
    for l in range(out.shape[0]):
        turn = 2.0 * math.pi * random_unit(l, 0, seed)
        for i in range(count):
            up = 2.0 * (i + 0.5) / count - 1.0
            ring, phi = math.sqrt(1.0 - up * up) * lights.radius[l], i * GOLDEN_ANGLE + turn
            out[l, i, 0], out[l, i, 1], out[l, i, 2] = ring * math.cos(phi), ring * math.sin(phi), up * lights.radius[l]
    return out


@njit(cache=True, nogil=True)
def lamp_rays(
    index: Array,
    phase: Array,
    strata: int,
    pos: Array,
    nrm: Array,
    geo: Array,
    lights: Lights,
    rays: int,
    seed: int,
    weak: float,
    o: Array,
    d: Array,
    reach: Array,
    target: Array,
    value: Array,
) -> int:
    """Shadow rays from points to places spread over the lamps' spheres; returns how many rays were written.

    The irradiance is that of a point lamp, power / d^2 * cos, exactly; only visibility looks at the lamp's extent.
    Points of unlike phase look at unlike places: a window of `strata` phases together sees the whole lamp.

    Args:
        index: (P,) rows of pos, nrm, geo to light. phase: (N,) below `strata`, by row of pos.
        weak: irradiance below which no ray is spent.
        o, d, reach, target, value: ray origin, direction, range (in units of d), row to add to, irradiance carried.
    """
    n, places = 0, lamp_places(lights, strata * rays, seed)
    # arrays of a tuple are taken out once: numba counts references at every access
    at, power, axis, cone_cos, clear = lights.position, lights.power, lights.axis, lights.cone_cos, lights.clear
    for i in index:
        for l in range(at.shape[0]):
            x, y, z = at[l, 0] - pos[i, 0], at[l, 1] - pos[i, 1], at[l, 2] - pos[i, 2]
            cosine = nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z
            if cosine <= 0 or geo[i, 0] * x + geo[i, 1] * y + geo[i, 2] * z <= 0:
                continue
            d2 = max(x * x + y * y + z * z, 1e-4)
            dist = math.sqrt(d2)
            along = -(axis[l, 0] * x + axis[l, 1] * y + axis[l, 2] * z)
            scale = cosine / (dist * d2) * cone(cone_cos[l], along, dist)
            if max(power[l, 0], power[l, 1], power[l, 2]) * scale <= weak:
                continue
            for r in range(rays):
                place = phase[i] * rays + r
                d[n, 0], d[n, 1], d[n, 2] = x + places[l, place, 0], y + places[l, place, 1], z + places[l, place, 2]
                for k in range(3):
                    o[n, k] = pos[i, k] + OFF_SURFACE * geo[i, k]
                    d[n, k] -= OFF_SURFACE * geo[i, k]
                    value[n, k] = power[l, k] * scale / rays
                reach[n] = max(1.0 - clear[l] / dist, 1e-3)
                target[n] = i
                n += 1
    return n


@njit(cache=True, nogil=True, inline="always")
def face_point(lights: Lights, g: int, place: int, places: int, seed: int, out: Array) -> int:
    """The `place`-th of `places` points spread over the faces of area light g, into `out`; returns its face."""
    pick = ((place + 0.5) / places + random_unit(g, 1, seed)) % 1.0
    a = (place * 0.7548777 + random_unit(g, 2, seed)) % 1.0
    b = (place * 0.5698403 + random_unit(g, 3, seed)) % 1.0
    s = lights.first[g]
    while s < lights.first[g + 1] - 1 and lights.cumulative[s] < pick:
        s += 1
    if a + b > 1:
        a, b = 1 - a, 1 - b
    c = lights.corners[s]
    for k in range(3):
        out[k] = c[0, k] + a * (c[1, k] - c[0, k]) + b * (c[2, k] - c[0, k])
    return s


@njit(cache=True, nogil=True)
def area_rays(
    index: Array,
    phase: Array,
    strata: int,
    pos: Array,
    nrm: Array,
    geo: Array,
    lights: Lights,
    rays: int,
    seed: int,
    weak: float,
    o: Array,
    d: Array,
    reach: Array,
    target: Array,
    value: Array,
) -> int:
    """As `lamp_rays`, to points of the emitting faces, which emit on both sides: E = L A cos cos' / d^2."""
    n, places, there = 0, strata * rays, np.zeros(3, np.float32)
    area, normal = lights.area, lights.normal
    for i in index:
        for g in range(area.shape[0]):
            strength = max(area[g, 0], area[g, 1], area[g, 2])
            for r in range(rays):
                s = face_point(lights, g, phase[i] * rays + r, places, seed, there)
                x, y, z = there[0] - pos[i, 0], there[1] - pos[i, 1], there[2] - pos[i, 2]
                cosine = nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z
                if cosine <= 0 or geo[i, 0] * x + geo[i, 1] * y + geo[i, 2] * z <= 0:
                    continue
                d2 = max(x * x + y * y + z * z, 0.02)
                scale = cosine * abs(normal[s, 0] * x + normal[s, 1] * y + normal[s, 2] * z) / (d2 * d2)
                if strength * scale <= weak:
                    continue
                d[n, 0], d[n, 1], d[n, 2] = x, y, z
                for k in range(3):
                    o[n, k] = pos[i, k] + OFF_SURFACE * geo[i, k]
                    value[n, k] = area[g, k] * scale / rays
                reach[n] = max(1.0 - 0.03 / math.sqrt(d2), 1e-3)
                target[n] = i
                n += 1
    return n


@njit(cache=True, nogil=True)
def add_visible(count: int, hidden: Array, target: Array, value: Array, out: Array) -> None:
    """out[target] += value for every ray that reached its light (`hidden` -1 = nothing in between)."""
    for n in range(count):
        if hidden[n] < 0:
            for k in range(3):
                out[target[n], k] += value[n, k]


@njit(cache=True, nogil=True)
def hemisphere_rays(
    index: Array,
    phase: Array,
    strata: int,
    pos: Array,
    nrm: Array,
    geo: Array,
    rays: int,
    seed: int,
    o: Array,
    d: Array,
) -> None:
    """Cosine-distributed rays over the hemisphere of each point, (P * rays, 3) each; together, `strata` phases cover
    it evenly."""
    n, places, turn = 0, strata * rays, 2.0 * math.pi * random_unit(7, 7, seed)
    for i in index:
        nx, ny, nz = nrm[i, 0], nrm[i, 1], nrm[i, 2]
        s = 1.0 if nz >= 0 else -1.0  # orthonormal basis without branches on near-parallel axes (Duff et al. 2017)
        a = -1.0 / (s + nz)
        b = nx * ny * a
        for r in range(rays):
            place = r * strata + phase[i]
            phi, spread = place * GOLDEN_ANGLE + turn, (place + 0.5) / places
            ring, up = math.sqrt(spread), math.sqrt(1.0 - spread)
            cx, cy = ring * math.cos(phi), ring * math.sin(phi)
            d[n, 0] = cx * (1.0 + s * nx * nx * a) + cy * b + up * nx
            d[n, 1] = cx * s * b + cy * (s + ny * ny * a) + up * ny
            d[n, 2] = -cx * s * nx - cy * ny + up * nz
            for k in range(3):
                o[n, k] = pos[i, k] + OFF_SURFACE * geo[i, k]
            n += 1


@njit(cache=True, nogil=True)
def highlights(index: Array, pos: Array, nrm: Array, ray: Array, gloss: Array, lights: Lights, out: Array) -> None:
    """Mirror images of the lamps, widened by roughness (normalised Blinn-Phong); shadows are left to the caller."""
    at, power, axis, cone_cos = lights.position, lights.power, lights.axis, lights.cone_cos
    for i in index:
        exponent = 8.0 * 2.0 ** (9.0 * gloss[i])
        dx, dy, dz = ray[i, 0], ray[i, 1], ray[i, 2]
        inv = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
        for l in range(at.shape[0]):
            x, y, z = at[l, 0] - pos[i, 0], at[l, 1] - pos[i, 1], at[l, 2] - pos[i, 2]
            cosine = nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z
            if cosine <= 0:
                continue
            d2 = max(x * x + y * y + z * z, 1e-4)
            dist = math.sqrt(d2)
            hx, hy, hz = x / dist - dx * inv, y / dist - dy * inv, z / dist - dz * inv
            hn = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            align = (nrm[i, 0] * hx + nrm[i, 1] * hy + nrm[i, 2] * hz) / hn
            if exponent * (1.0 - align) > 8.0:  # align ** exponent < exp(-8)
                continue
            along = -(axis[l, 0] * x + axis[l, 1] * y + axis[l, 2] * z)
            scale = cosine / (dist * d2) * cone(cone_cos[l], along, dist)
            lobe = (exponent + 8.0) / (8.0 * math.pi) * align**exponent * 0.05 * gloss[i] * scale
            for k in range(3):
                out[i, k] += lobe * power[l, k]
