"""Per-pixel kernels of the renderer: surface look-up with anisotropic texture filtering, light rays, light filtering.

Colours are linear RGB. A matt surface of reflectance a under irradiance E sends out a / pi * E; ambient light L from
everywhere adds a * L. Every random number is a hash of (pixel, sample, seed), so a picture is a function of its seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.worlds.flatten import Lights, Surfaces, Triangles

Array = NDArray[Any]

_MAX_TAPS = 6


@njit(cache=True, nogil=True, inline="always")
def random_unit(a: int, b: int, seed: int) -> float:
    """A uniform number in [0, 1) that depends on nothing but its three arguments (32-bit integer hash)."""
    x = np.uint32(a) * np.uint32(0x9E3779B1) ^ np.uint32(b) * np.uint32(0x85EBCA77) ^ np.uint32(seed)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return float(np.uint32(x ^ (x >> np.uint32(16))) >> np.uint32(8)) / 16777216.0


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
    spread: Array,
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
        origin, ray: (1 or N, 3), (N, 3); ddx, ddy: (3,) change of `ray` per pixel; where they are 0, `spread` (N,) is
            the width of an isotropic footprint in metres.
        tri, mat: `Triangles`, `Surfaces`. linear: (256,) sRGB to linear light.
        pos, nrm, geo, alb: (N, 3) float32, filled.
    """
    colour = np.zeros(3, np.float32)
    same = origin.shape[0] == 1
    use_spread = ddx[0] == 0.0 and ddx[1] == 0.0 and ddx[2] == 0.0
    for i in range(prim.shape[0]):
        f = prim[i]
        if f < 0:
            pos[i] = 0.0
            nrm[i] = 0.0
            geo[i] = 0.0
            alb[i] = 0.0
            continue
        o = origin[0 if same else i]
        d = ray[i]
        c, n, uv = tri.corners[f], tri.normals[f], tri.uv[f]
        e1x, e1y, e1z = c[1, 0] - c[0, 0], c[1, 1] - c[0, 1], c[1, 2] - c[0, 2]
        e2x, e2y, e2z = c[2, 0] - c[0, 0], c[2, 1] - c[0, 1], c[2, 2] - c[0, 2]
        gx, gy, gz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
        g2 = max(gx * gx + gy * gy + gz * gz, 1e-24)
        inv = 1.0 / math.sqrt(g2)
        ux, uy, uz = gx * inv, gy * inv, gz * inv
        facing = ux * d[0] + uy * d[1] + uz * d[2]
        sign = -1.0 if facing > 0 else 1.0
        a, b = hit_u[i], hit_v[i]
        w = 1.0 - a - b
        sx = w * n[0, 0] + a * n[1, 0] + b * n[2, 0]
        sy = w * n[0, 1] + a * n[1, 1] + b * n[2, 1]
        sz = w * n[0, 2] + a * n[1, 2] + b * n[2, 2]
        if sx * ux + sy * uy + sz * uz < 0:
            sx, sy, sz = -sx, -sy, -sz
        length = math.sqrt(sx * sx + sy * sy + sz * sz)
        if length < 0.1 or (sx * d[0] + sy * d[1] + sz * d[2]) * sign >= 0:
            sx, sy, sz, length = ux, uy, uz, 1.0
        length *= sign
        nrm[i, 0], nrm[i, 1], nrm[i, 2] = sx / length, sy / length, sz / length
        geo[i, 0], geo[i, 1], geo[i, 2] = ux * sign, uy * sign, uz * sign
        for k in range(3):
            pos[i, k] = o[k] + t[i] * d[k]
        m = tri.material[f]
        row = mat.texture[m]
        if row < 0:
            for k in range(3):
                alb[i, k] = mat.albedo[m, k]
            continue
        # barycentric gradients: the dual basis of the two edges in the triangle's plane
        b1x, b1y, b1z = (e2y * gz - e2z * gy) / g2, (e2z * gx - e2x * gz) / g2, (e2x * gy - e2y * gx) / g2
        b2x, b2y, b2z = (gy * e1z - gz * e1y) / g2, (gz * e1x - gx * e1z) / g2, (gx * e1y - gy * e1x) / g2
        if use_spread:
            s1, s2 = spread[i] / math.sqrt(e1x * e1x + e1y * e1y + e1z * e1z + 1e-20), spread[i] * inv
            s2 *= math.sqrt(e1x * e1x + e1y * e1y + e1z * e1z)
            ax, bx, ay, by = s1, 0.0, 0.0, s2
        else:
            facing = facing if abs(facing) > 1e-4 else 1e-4
            cx = (ux * ddx[0] + uy * ddx[1] + uz * ddx[2]) / facing
            cy = (ux * ddy[0] + uy * ddy[1] + uz * ddy[2]) / facing
            px, py, pz = ddx[0] - d[0] * cx, ddx[1] - d[1] * cx, ddx[2] - d[2] * cx
            qx, qy, qz = ddy[0] - d[0] * cy, ddy[1] - d[1] * cy, ddy[2] - d[2] * cy
            ax, bx = t[i] * (b1x * px + b1y * py + b1z * pz), t[i] * (b2x * px + b2y * py + b2z * pz)
            ay, by = t[i] * (b1x * qx + b1y * qy + b1z * qz), t[i] * (b2x * qx + b2y * qy + b2z * qz)
        u1, v1, u2, v2 = uv[1, 0] - uv[0, 0], uv[1, 1] - uv[0, 1], uv[2, 0] - uv[0, 0], uv[2, 1] - uv[0, 1]
        u, v = uv[0, 0] + a * u1 + b * u2, uv[0, 1] + a * v1 + b * v2
        dux, dvx, duy, dvy = ax * u1 + bx * u2, ax * v1 + bx * v2, ay * u1 + by * u2, ay * v1 + by * v2
        filtered(mat.texels, mat.levels[row], u, v, dux, dvx, duy, dvy, linear, colour)
        for k in range(3):
            alb[i, k] = mat.albedo[m, k] * colour[k]


@njit(cache=True, nogil=True)
def lamp_rays(
    index: Array,
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
    """Shadow rays from points to jittered points on the lamps; returns how many rays were written.

    The irradiance is that of a point lamp, power / d^2 * cos, exactly; only visibility looks at the lamp's extent.
    index: (P,) rows of pos, nrm, geo to light; weak: irradiance below which no ray is spent.
    o, d, reach, target, value: ray origin, direction, range (in units of d), row to add to, irradiance carried.
    """
    n = 0
    for i in index:
        for l in range(lights.position.shape[0]):
            x = lights.position[l, 0] - pos[i, 0]
            y = lights.position[l, 1] - pos[i, 1]
            z = lights.position[l, 2] - pos[i, 2]
            d2 = x * x + y * y + z * z
            dist = math.sqrt(d2)
            cosine = (nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z) / max(dist, 1e-6)
            if cosine <= 0 or geo[i, 0] * x + geo[i, 1] * y + geo[i, 2] * z <= 0:
                continue
            scale = cosine / max(d2, 1e-4)
            edge = lights.cone_cos[l]
            if edge > -1:
                c = -(lights.axis[l, 0] * x + lights.axis[l, 1] * y + lights.axis[l, 2] * z) / dist
                s = min(max((c - edge) / (0.25 * (1.0 - edge) + 1e-6), 0.0), 1.0)
                scale *= s * s * (3.0 - 2.0 * s)
            power = max(lights.power[l, 0], lights.power[l, 1], lights.power[l, 2])
            if power * scale <= weak:
                continue
            for r in range(rays):
                z1 = 2.0 * random_unit(i, 3 * (l * rays + r), seed) - 1.0
                phi = 2.0 * math.pi * random_unit(i, 3 * (l * rays + r) + 1, seed)
                ring = math.sqrt(max(1.0 - z1 * z1, 0.0)) * lights.radius[l]
                d[n, 0] = x + ring * math.cos(phi)
                d[n, 1] = y + ring * math.sin(phi)
                d[n, 2] = z + z1 * lights.radius[l]
                for k in range(3):
                    o[n, k] = pos[i, k] + 1e-3 * geo[i, k]
                    d[n, k] -= 1e-3 * geo[i, k]
                    value[n, k] = lights.power[l, k] * scale / rays
                reach[n] = max(1.0 - lights.clear[l] / dist, 1e-3)
                target[n] = i
                n += 1
    return n


@njit(cache=True, nogil=True)
def area_rays(
    index: Array,
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
    """As `lamp_rays`, to random points of the emitting faces: E = L A cos cos' / (pi-free) d^2, both sides emit."""
    n = 0
    for i in index:
        for g in range(lights.area.shape[0]):
            lo, hi = lights.first[g], lights.first[g + 1]
            for r in range(rays):
                pick = random_unit(i, 7919 + 4 * (g * rays + r), seed)
                a = random_unit(i, 7920 + 4 * (g * rays + r), seed)
                b = random_unit(i, 7921 + 4 * (g * rays + r), seed)
                s = lo
                while s < hi - 1 and lights.cumulative[s] < pick:
                    s += 1
                if a + b > 1:
                    a, b = 1 - a, 1 - b
                c = lights.corners[s]
                e1x, e1y, e1z = c[1, 0] - c[0, 0], c[1, 1] - c[0, 1], c[1, 2] - c[0, 2]
                e2x, e2y, e2z = c[2, 0] - c[0, 0], c[2, 1] - c[0, 1], c[2, 2] - c[0, 2]
                x = c[0, 0] + a * e1x + b * e2x - pos[i, 0]
                y = c[0, 1] + a * e1y + b * e2y - pos[i, 1]
                z = c[0, 2] + a * e1z + b * e2z - pos[i, 2]
                gx, gy, gz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
                d2 = max(x * x + y * y + z * z, 0.02)
                cosine = nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z
                if cosine <= 0 or geo[i, 0] * x + geo[i, 1] * y + geo[i, 2] * z <= 0:
                    continue
                there = abs(gx * x + gy * y + gz * z) / math.sqrt(gx * gx + gy * gy + gz * gz + 1e-20)
                scale = cosine * there / (d2 * d2)
                if max(lights.area[g, 0], lights.area[g, 1], lights.area[g, 2]) * scale <= weak:
                    continue
                d[n, 0], d[n, 1], d[n, 2] = x, y, z
                for k in range(3):
                    o[n, k] = pos[i, k] + 1e-3 * geo[i, k]
                    value[n, k] = lights.area[g, k] * scale / rays
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
def hemisphere_rays(index: Array, pos: Array, nrm: Array, geo: Array, rays: int, seed: int, o: Array, d: Array) -> None:
    """Cosine-distributed rays over the hemisphere of each point, stratified in azimuth; (P * rays, 3) each."""
    n = 0
    for i in index:
        nx, ny, nz = nrm[i, 0], nrm[i, 1], nrm[i, 2]
        s = 1.0 if nz >= 0 else -1.0
        a = -1.0 / (s + nz)
        b = nx * ny * a
        turn = random_unit(i, 104729, seed)
        for r in range(rays):
            phi = 2.0 * math.pi * (turn + r) / rays
            height2 = (r * 0.618034 + random_unit(i, 104730 + r // 8, seed)) % 1.0
            ring, up = math.sqrt(height2), math.sqrt(1.0 - height2)
            cx, cy = ring * math.cos(phi), ring * math.sin(phi)
            d[n, 0] = cx * (1.0 + s * nx * nx * a) + cy * b + up * nx
            d[n, 1] = cx * s * b + cy * (s + ny * ny * a) + up * ny
            d[n, 2] = -cx * s * nx - cy * ny + up * nz
            for k in range(3):
                o[n, k] = pos[i, k] + 1e-3 * geo[i, k]
            n += 1


@njit(cache=True, nogil=True)
def gather_ambient(
    index: Array,
    rays: int,
    prim: Array,
    t: Array,
    material: Array,
    mean: Array,
    ambient: Array,
    fade: float,
    bounce: float,
    out: Array,
) -> None:
    """Ambient light at each point: open directions bring `ambient`, near surfaces bring `bounce` of it in their colour.

    How much a surface at distance t counts as near is exp(-t / fade).
    """
    n = 0
    for i in index:
        for k in range(3):
            out[i, k] = 0.0
        for _ in range(rays):
            near = math.exp(-t[n] / fade) if prim[n] >= 0 else 0.0
            m = material[max(prim[n], 0)]
            for k in range(3):
                out[i, k] += ambient[k] * (1.0 - near + near * bounce * mean[m, k]) / rays
            n += 1


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


@njit(cache=True, nogil=True)
def highlights(index: Array, pos: Array, nrm: Array, ray: Array, gloss: Array, lights: Lights, out: Array) -> None:
    """Mirror images of the lamps, widened by roughness (normalised Blinn-Phong); shadows are left to the caller."""
    for i in index:
        exponent = 8.0 * 2.0 ** (9.0 * gloss[i])
        dx, dy, dz = ray[i, 0], ray[i, 1], ray[i, 2]
        inv = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
        for l in range(lights.position.shape[0]):
            x = lights.position[l, 0] - pos[i, 0]
            y = lights.position[l, 1] - pos[i, 1]
            z = lights.position[l, 2] - pos[i, 2]
            d2 = max(x * x + y * y + z * z, 1e-4)
            dist = math.sqrt(d2)
            cosine = (nrm[i, 0] * x + nrm[i, 1] * y + nrm[i, 2] * z) / dist
            if cosine <= 0:
                continue
            hx, hy, hz = x / dist - dx * inv, y / dist - dy * inv, z / dist - dz * inv
            hn = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            align = max((nrm[i, 0] * hx + nrm[i, 1] * hy + nrm[i, 2] * hz) / hn, 0.0)
            lobe = (exponent + 8.0) / (8.0 * math.pi) * align**exponent * 0.05 * gloss[i] * cosine / d2
            for k in range(3):
                out[i, k] += lobe * lights.power[l, k]
