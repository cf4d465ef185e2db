"""Direct tracking of a frame against a keyframe (Tateno 2017, eq. 1-2; Engel 2014, section 3.3).

E(T) = sum over high-gradient points of Huber(r / sigma_r), r = a I_k(u) + b - I_t(pi(K T V(u))), minimised by
Levenberg-Marquardt over the left increment T <- exp(d) T, T mapping keyframe points into the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.slam import rigid
from scenewright.slam.config import TrackingConfig
from scenewright.slam.exposure import HUBER_GREY, Exposure, from_moments
from scenewright.slam.image import Level, halve
from scenewright.slam.types import FloatImage

Array = NDArray[np.float64]


class TrackingPoints(NamedTuple):
    """The points of one pyramid level of a keyframe that frames are aligned with.

    Args:
        pixels: (N,) int64, indices into the raveled level.
        rays: (N, 2) float32, x/z and y/z.
        intensity: (N,) float32 grey.
        inverse_depth: (N,) float32, 1/m, 0 = unknown.
        variance: (N,) float32 of the inverse depth.
    """

    pixels: NDArray[np.int64]
    rays: FloatImage
    intensity: FloatImage
    inverse_depth: FloatImage
    variance: FloatImage


class Alignment(NamedTuple):
    """The residuals of one pose, summed.

    Args:
        hessian: (6, 6) J' W J. gradient: (6,) J' W r.
        energy: mean Huber cost of the visible points, in units of variance.
        visible, good: counts of points.
        usage: mean over all points of min(z_keyframe / z_frame, 1) where visible.
        residual: mean absolute residual of the visible points, grey levels.
        moments: see `exposure.from_moments`.
    """

    hessian: Array
    gradient: Array
    energy: float
    visible: int
    good: int
    usage: float
    residual: float
    moments: Array


class Tracked(NamedTuple):
    """A tracked frame.

    Args:
        T_frame_keyframe: (4, 4) float64.
        exposure: of the frame relative to the keyframe.
        ok: enough points were seen and fit.
        energy, usage, residual: see `Alignment`.
        good_ratio: share of the visible points that fit.
        information: (6, 6) over the left increment, (translation, rotation).
    """

    T_frame_keyframe: Array
    exposure: Exposure
    ok: bool
    energy: float
    usage: float
    residual: float
    good_ratio: float
    information: Array


def depth_pyramid(inverse_depth: FloatImage, variance: FloatImage, levels: int) -> list[tuple[FloatImage, FloatImage]]:
    """Inverse-variance means of (H, W) inverse depth over 2x2 pixels, finest first; unknown (0) pixels take no part."""
    out = [(inverse_depth, variance)]
    for _ in range(1, levels):
        d, v = out[-1]
        weight = np.where(d > 0, 1 / np.maximum(v, 1e-12), 0).astype(np.float32)
        total, count = halve(weight), halve((d > 0).astype(np.float32))
        mean = halve(weight * d) / np.maximum(total, 1e-12)
        coarse_variance = count / np.maximum(total, 1e-12)
        known = count > 0
        out.append(
            (np.where(known, mean, 0).astype(np.float32), np.where(known, coarse_variance, 0).astype(np.float32))
        )
    return out


def select_points(levels: list[Level], config: TrackingConfig, seed: int) -> list[TrackingPoints]:
    """The high-gradient pixels of every tracked level, at most `max_points` each, drawn by `seed`; depths unknown."""
    return [_select(levels[level], config, seed + level) for level in usable_levels(levels, config)]


def usable_levels(levels: list[Level], config: TrackingConfig) -> list[int]:
    """The configured levels that this pyramid has; level 0 if it has none of them."""
    return [level for level in config.levels if level < len(levels)] or [0]


def _select(level: Level, config: TrackingConfig, seed: int) -> TrackingPoints:
    image, intrinsics = level
    pixels = np.flatnonzero(np.hypot(image[..., 1], image[..., 2]) > config.gradient_min)
    if len(pixels) > config.max_points:
        pixels = np.sort(np.random.default_rng(seed).choice(pixels, config.max_points, replace=False))
    v, u = np.divmod(pixels, image.shape[1])
    rays = np.stack([(u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy], 1).astype(np.float32)
    unknown = np.zeros(len(pixels), np.float32)
    return TrackingPoints(pixels, rays, image[..., 0].ravel()[pixels], unknown, unknown)


def set_depth(
    points: list[TrackingPoints], levels: list[int], inverse_depth: FloatImage, variance: FloatImage
) -> list[TrackingPoints]:
    """The points with the depth of a keyframe, (H, W) inverse depth in 1/m and its variance, at full resolution."""
    maps = depth_pyramid(inverse_depth, variance, max(levels) + 1)
    return [
        p._replace(inverse_depth=maps[level][0].ravel()[p.pixels], variance=maps[level][1].ravel()[p.pixels])
        for p, level in zip(points, levels)
    ]


@njit(cache=True, nogil=True)
def _sample(image, u, v):  # type: ignore[no-untyped-def]
    """Bilinear intensity and gradients at (u, v) of an (H, W, 3) level."""
    iu, iv = int(u), int(v)
    a, b = u - iu, v - iv
    p00, p01, p10, p11 = image[iv, iu], image[iv, iu + 1], image[iv + 1, iu], image[iv + 1, iu + 1]
    w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    return (
        w00 * p00[0] + w01 * p01[0] + w10 * p10[0] + w11 * p11[0],
        w00 * p00[1] + w01 * p01[1] + w10 * p10[1] + w11 * p11[1],
        w00 * p00[2] + w01 * p01[2] + w10 * p10[2] + w11 * p11[2],
    )


@njit(cache=True, nogil=True)
def _huber(r, sigma2, huber):  # type: ignore[no-untyped-def]
    """Cost in units of variance, and the weight of the normal equations."""
    scaled = abs(r) / np.sqrt(sigma2)
    if scaled < huber:
        return scaled * scaled, 1.0 / sigma2
    return 2 * huber * scaled - huber * huber, huber / scaled / sigma2


@njit(cache=True, nogil=True)
def _normal_equations(x, y, inverse_z, GX, GY, w, r, J, A, g):  # type: ignore[no-untyped-def]
    """Add J' w J (upper triangle) and J' w r; J is that of I_t by the left twist."""
    J[0], J[1], J[2] = GX * inverse_z, GY * inverse_z, -(x * GX + y * GY) * inverse_z
    J[3] = -(x * y * GX + (1 + y * y) * GY)
    J[4] = (1 + x * x) * GX + x * y * GY
    J[5] = x * GY - y * GX
    for i in range(6):
        g[i] += w * J[i] * r
        for j in range(i, 6):
            A[i, j] += w * J[i] * J[j]


@njit(cache=True, nogil=True)
def _add_moments(moments, Ik, It, r):  # type: ignore[no-untyped-def]
    w = 1.0 if abs(r) < HUBER_GREY else HUBER_GREY / abs(r)
    moments[0] += w
    moments[1] += w * Ik
    moments[2] += w * It
    moments[3] += w * Ik * Ik
    moments[4] += w * It * It


@njit(cache=True, nogil=True)
def _sums(  # type: ignore[no-untyped-def]
    rays, inverse_depth, variance, intensity, image, fx, fy, cx, cy, T, gain, offset, noise, huber, A, g, moments
):
    """Adds the points up into A (6, 6), g (6,) and moments (5,); returns energy, visible, good, usage, |residual|."""
    height, width = image.shape[0], image.shape[1]
    R, t = T[:3, :3], T[:3, 3]
    energy, usage, absolute = 0.0, 0.0, 0.0
    visible, good = 0, 0
    J = np.empty(6)
    for n in range(rays.shape[0]):
        d = float(inverse_depth[n])
        if d <= 0:
            continue
        p, q = float(rays[n, 0]), float(rays[n, 1])
        pz = R[2, 0] * p + R[2, 1] * q + R[2, 2] + d * t[2]
        if pz < 1e-3:
            continue
        x = (R[0, 0] * p + R[0, 1] * q + R[0, 2] + d * t[0]) / pz
        y = (R[1, 0] * p + R[1, 1] * q + R[1, 2] + d * t[1]) / pz
        u, v = fx * x + cx, fy * y + cy
        if not (u >= 1 and v >= 1 and u < width - 2 and v < height - 2):
            continue
        I, gx, gy = _sample(image, u, v)
        r = gain * intensity[n] + offset - I
        GX, GY, inverse_z = gx * fx, gy * fy, d / pz
        # dr / d(inverse depth): the baseline as seen from the point (Engel 2014, eq. 14)
        slope = (GX * (t[0] - t[2] * x) + GY * (t[1] - t[2] * y)) * inverse_z / d
        cost, w = _huber(r, noise + variance[n] * slope * slope, huber)
        _normal_equations(x, y, inverse_z, GX, GY, w, r, J, A, g)
        _add_moments(moments, intensity[n], I, r)
        energy += cost
        visible += 1
        usage += min(1.0 / pz, 1.0)
        absolute += abs(r)
        good += int(r * r < 1600 + 0.25 * (gx * gx + gy * gy))
    for i in range(6):
        for j in range(i):
            A[i, j] = A[j, i]
    return energy, visible, good, usage, absolute


def align(points: TrackingPoints, level: Level, T: Array, exposure: Exposure, config: TrackingConfig) -> Alignment:
    """The residuals, their Jacobian sums and the statistics of one pose T_frame_keyframe on one level."""
    A, g, moments = np.zeros((6, 6)), np.zeros(6), np.zeros(5)
    energy, visible, good, usage, absolute = _sums(
        points.rays, points.inverse_depth, points.variance, points.intensity, level.image, *level.intrinsics,
        np.ascontiguousarray(T), *exposure, config.noise_variance, config.huber, A, g, moments,
    )  # fmt: skip
    seen, total = max(visible, 1), max(len(points.pixels), 1)
    mean = energy / seen if visible else np.inf
    return Alignment(A, g, mean, visible, good, usage / total, absolute / seen, moments)


def track_level(
    points: TrackingPoints, level: Level, T: Array, exposure: Exposure, config: TrackingConfig
) -> tuple[Array, Exposure, Alignment]:
    """Levenberg-Marquardt on one level (lambda 0; .2 then doubling on failure; halved on success)."""
    damping, tries = 0.0, 0
    now = align(points, level, T, exposure, config)
    for _ in range(config.iterations):
        if now.visible < 6:
            break
        damped = now.hessian + damping * np.diag(np.diag(now.hessian))
        step = np.asarray(np.linalg.lstsq(damped, now.gradient, rcond=None)[0], np.float64)
        T_new = rigid.orthonormalise(rigid.exp(step) @ T)
        new = align(points, level, T_new, exposure, config)
        if new.visible >= now.visible * 0.5 and new.energy < now.energy:
            converged = new.energy / now.energy > 0.999
            T, now, tries = T_new, new, 0
            damping = damping * 0.5 if damping > 0.2 else 0.0
            if config.affine and (found := from_moments(now.moments)):
                exposure = found
                now = align(points, level, T, exposure, config)
        else:
            damping, tries = (0.2 if damping == 0 else damping * 2.0 ** (tries + 1)), tries + 1
            converged = damping > 1e4
        if converged or float(step @ step) < 1e-8:
            break
    return T, exposure, now


def track(
    points: list[TrackingPoints], frame: list[Level], levels: list[int], T: Array, exposure: Exposure,
    config: TrackingConfig,
) -> Tracked:  # fmt: skip
    """Align a frame with a keyframe from coarse to fine, starting at T_frame_keyframe and an exposure.

    Args:
        points: the keyframe's, one entry per entry of `levels`.
        frame: the frame's pyramid.
    """
    for p, level in zip(points, levels):
        T, exposure, now = track_level(p, frame[level], T, exposure, config)
    ratio = now.good / max(now.visible, 1)
    share = now.good / max(len(points[-1].pixels), 1)
    ok = bool(share > config.good_share and ratio > config.good_ratio and np.isfinite(now.energy))
    return Tracked(T, exposure, ok, now.energy, now.usage, now.residual, ratio, now.hessian)
