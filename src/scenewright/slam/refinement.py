"""Frame-wise depth refinement by small-baseline stereo (Tateno 2017, eq. 10-11, in the manner of Engel 2013).

Every sufficiently textured pixel of the active keyframe is searched along its epipolar line in the newest frame,
within a range that its variance allows; matches update the inverse depth as a Kalman filter does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.slam.config import StereoConfig
from scenewright.slam.exposure import Exposure
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import FloatImage

MATCHED, SKIPPED, FAILED = 1, 0, -1
BORDER = 7
LONGEST = 64
_UNCHANGED, _DEFAULTS = Exposure(), StereoConfig()


@dataclass
class DepthMap:
    """The depth hypothesis of every pixel of a keyframe; `refine` writes it.

    Args:
        inverse_depth: (H, W) float32, 1/m, 0 = unknown.
        variance: (H, W) float32 of the inverse depth.
        observed: (H, W) uint16, accepted matches. failures: (H, W) uint8, failed ones in a row.
        wait: (H, W) uint8, frames for which a pixel is left alone since its search was too short to tell anything.
        prior, prior_variance: (H, W) float32, where a pixel starts again after too many failures.
    """

    inverse_depth: FloatImage
    variance: FloatImage
    observed: NDArray[np.uint16]
    failures: NDArray[np.uint8]
    wait: NDArray[np.uint8]
    prior: FloatImage
    prior_variance: FloatImage

    @classmethod
    def from_depth(cls, depth_m: FloatImage, variance_m2: FloatImage) -> DepthMap:
        """From (H, W) depth in metres and its variance in m^2: var(1/D) = U / D^4."""
        known = depth_m > 0
        safe = np.where(known, depth_m, 1)
        inverse = np.where(known, 1 / safe, 0).astype(np.float32)
        variance = np.where(known, variance_m2 / safe**4, 0).astype(np.float32)
        small = np.zeros(depth_m.shape, np.uint8)
        observed = np.zeros(depth_m.shape, np.uint16)
        return cls(inverse, variance, observed, small, small.copy(), inverse.copy(), variance.copy())

    def depth(self) -> tuple[FloatImage, FloatImage]:
        """(H, W) depth in metres, 0 = unknown, and its variance in m^2."""
        known = self.inverse_depth > 0
        depth = np.where(known, 1 / np.where(known, self.inverse_depth, 1), 0).astype(np.float32)
        return depth, (self.variance * depth**4).astype(np.float32)


class Match(NamedTuple):
    """One epipolar search: outcome (`MATCHED`, `SKIPPED`, `FAILED`), inverse depth, its variance, searched pixels."""

    outcome: int
    inverse_depth: float
    variance: float
    length: float


@njit(cache=True, nogil=True)
def _bilinear(image, u, v):  # type: ignore[no-untyped-def]
    iu, iv = int(u), int(v)
    a, b = u - iu, v - iv
    top = (1 - a) * image[iv, iu] + a * image[iv, iu + 1]
    return (1 - b) * top + b * ((1 - a) * image[iv + 1, iu] + a * image[iv + 1, iu + 1])


@njit(cache=True, nogil=True)
def _subpixel(e, best):  # type: ignore[no-untyped-def]
    """Shift in steps, SSD there, and whether it was interpolated.

    e: (n, 5) differences. Intensities are linear between steps, hence so is the gradient of the SSD; exactly one side
    must hold its zero.
    """
    E0, Em, Ep, Cm, Cp = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(5):
        E0 += e[best, k] * e[best, k]
        Em += e[best - 1, k] * e[best - 1, k]
        Ep += e[best + 1, k] * e[best + 1, k]
        Cm += e[best, k] * e[best - 1, k]
        Cp += e[best, k] * e[best + 1, k]
    Gpp, Gpt = -(Em - Cm), E0 - Cm
    Gqt, Gqq = -(E0 - Cp), Ep - Cp
    before, after = Gpp * Gpt < 0, Gqt * Gqq < 0
    if before == after:
        return 0.0, E0, False
    if before:
        s = Gpt / (Gpt - Gpp)
        return -s, E0 + 2 * s * (Cm - E0) + s * s * (Em - 2 * Cm + E0), True
    s = Gqt / (Gqt - Gqq)
    return s, E0 + 2 * s * (Cp - E0) + s * s * (Ep - 2 * Cp + E0), True


@njit(cache=True, nogil=True)
def _epipolar(key, x, y, fx, fy, cx, cy, R, t):  # type: ignore[no-untyped-def]
    """Unit epipolar direction in the keyframe and the gradient along it; 0 gradient where the search is hopeless."""
    c0 = -(R[0, 0] * t[0] + R[1, 0] * t[1] + R[2, 0] * t[2])
    c1 = -(R[0, 1] * t[0] + R[1, 1] * t[1] + R[2, 1] * t[2])
    c2 = -(R[0, 2] * t[0] + R[1, 2] * t[1] + R[2, 2] * t[2])
    ex, ey = -fx * c0 + c2 * (x - cx), -fy * c1 + c2 * (y - cy)
    length = np.sqrt(ex * ex + ey * ey)
    if length < 1:
        return 0.0, 0.0, 0.0, 0.0
    ex, ey = ex / length, ey / length
    gx, gy = key[y, x + 1] - key[y, x - 1], key[y + 1, x] - key[y - 1, x]
    along, squared = gx * ex + gy * ey, gx * gx + gy * gy
    if along * along < 4 or along * along < 0.09 * squared:
        return ex, ey, 0.0, squared
    return ex, ey, along, squared


@njit(cache=True, nogil=True)
def _segment(q, prior, sd, fx, fy, cx, cy, t, reach, max_px, max_inverse):  # type: ignore[no-untyped-def]
    """Where to search: start (u, v), unit step, steps (0 = nowhere), length of the segment before padding.

    q: (3,) the pixel's ray turned into the frame; a point is q + id t up to scale.
    """
    near, far = min(prior + reach * sd, max_inverse), max(prior - reach * sd, 0.0)
    zn, zf, zm = q[2] + near * t[2], q[2] + far * t[2], q[2] + prior * t[2]
    if zn < 1e-3 or zf < 1e-3:
        return 0.0, 0.0, 0.0, 0.0, 0, 0.0
    uf, vf = fx * (q[0] + far * t[0]) / zf + cx, fy * (q[1] + far * t[1]) / zf + cy
    dx = fx * (q[0] + near * t[0]) / zn + cx - uf
    dy = fy * (q[1] + near * t[1]) / zn + cy - vf
    length = np.sqrt(dx * dx + dy * dy)
    if length < 1e-4 or not np.isfinite(length):
        return 0.0, 0.0, 0.0, 0.0, 0, length
    dx, dy = dx / length, dy / length
    span = length
    if length > max_px or length < 3:  # centre what is too long or too short on the prior
        span = min(max(length, 3.0), max_px)
        uf = fx * (q[0] + prior * t[0]) / zm + cx - span / 2 * dx
        vf = fy * (q[1] + prior * t[1]) / zm + cy - span / 2 * dy
    return uf - dx, vf - dy, dx, dy, int(np.ceil(span)) + 3, length  # one extra step each side


@njit(cache=True, nogil=True)
def _scan(frame, u0, v0, dx, dy, steps, gain, offset, samples):  # type: ignore[no-untyped-def]
    """Exposure-corrected samples from two steps before the start on; how many steps have all five of theirs."""
    height, width = frame.shape
    for i in range(steps + 4):
        u, v = u0 + (i - 2) * dx, v0 + (i - 2) * dy
        if not (u >= BORDER and v >= BORDER and u < width - BORDER and v < height - BORDER):
            return i - 4
        samples[i] = (_bilinear(frame, u, v) - offset) / gain
    return steps


@njit(cache=True, nogil=True)
def _describe(key, x, y, s, ex, ey, template):  # type: ignore[no-untyped-def]
    """Five keyframe samples along the epipolar line, s pixels apart; False at the border."""
    height, width = key.shape
    for k in range(5):
        u, v = x + (k - 2) * s * ex, y + (k - 2) * s * ey
        if not (u >= 1 and v >= 1 and u < width - 2 and v < height - 2):
            return False
        template[k] = _bilinear(key, u, v)
    return True


@njit(cache=True, nogil=True)
def _best_step(template, samples, steps, ssd_first, ratio):  # type: ignore[no-untyped-def]
    """The step of the least SSD (-1: too large, or not distinct), the sub-pixel shift, the SSD there, interpolated."""
    e, ssd, best = np.empty((steps, 5)), np.zeros(steps), 0
    for i in range(steps):
        for k in range(5):
            e[i, k] = template[k] - samples[i + k]
            ssd[i] += e[i, k] * e[i, k]
        if ssd[i] < ssd[best]:
            best = i
    if ssd[best] > ssd_first:
        return -1, 0.0, 0.0, False
    for i in range(steps):
        if abs(i - best) > 1 and ssd[i] < ratio * ssd[best]:
            return -1, 0.0, 0.0, False
    if best == 0 or best == steps - 1:  # the end of the segment is no minimum
        return best, 0.0, ssd[best], False
    shift, refined, interpolated = _subpixel(e, best)
    return best, shift, refined, interpolated


@njit(cache=True, nogil=True)
def _intersect(u, v, dx, dy, q, t, fx, fy, cx, cy):  # type: ignore[no-untyped-def]
    """Inverse depth of a match and its derivative per pixel, from the axis with the larger step; 0 if degenerate."""
    if abs(dx) > abs(dy):
        o, r, b, step = (u - cx) / fx, q[0], t[0], dx / fx
    else:
        o, r, b, step = (v - cy) / fy, q[1], t[1], dy / fy
    denominator = o * t[2] - b
    if abs(denominator) < 1e-9:
        return 0.0, 0.0
    return (r - o * q[2]) / denominator, step * (r * t[2] - q[2] * b) / (denominator * denominator)


@njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    key, frame, x, y, prior, sd, fx, fy, cx, cy, R, t, gain, offset, residual, reach, max_px, max_inverse,
    ssd_refined, ssd_first, ratio, scale_min, scale_max, noise,
):  # fmt: skip
    """One epipolar search; see `search`. Returns outcome, inverse depth, variance, length."""
    ex, ey, along, squared = _epipolar(key, x, y, fx, fy, cx, cy, R, t)
    if along == 0.0:
        return SKIPPED, 0.0, 0.0, 0.0
    qx, qy = (x - cx) / fx, (y - cy) / fy
    q = (
        R[0, 0] * qx + R[0, 1] * qy + R[0, 2],
        R[1, 0] * qx + R[1, 1] * qy + R[1, 2],
        R[2, 0] * qx + R[2, 1] * qy + R[2, 2],
    )
    s = q[2] + prior * t[2]
    if not (scale_min <= s <= scale_max):
        return SKIPPED, 0.0, 0.0, 0.0
    u0, v0, dx, dy, steps, length = _segment(q, prior, sd, fx, fy, cx, cy, t, reach, max_px, max_inverse)
    samples, template = np.empty(LONGEST), np.empty(5)
    if steps:
        steps = _scan(frame, u0, v0, dx, dy, steps, gain, offset, samples)
    if steps < 3 or not _describe(key, x, y, s, ex, ey, template):
        return SKIPPED, 0.0, 0.0, length
    best, shift, ssd, interpolated = _best_step(template, samples, steps, ssd_first, ratio)
    gradline = 0.0
    for k in range(4):
        gradline += (template[k + 1] - template[k]) ** 2
    gradline /= s * s
    if best < 0 or ssd > ssd_refined + 20 * np.sqrt(gradline):
        return FAILED, 0.0, 0.0, length
    u, v = u0 + (best + shift) * dx, v0 + (best + shift) * dy
    inverse, alpha = _intersect(u, v, dx, dy, q, t, fx, fy, cx, cy)
    if not (0 < inverse < max_inverse):
        return FAILED, 0.0, 0.0, length
    geometric = (0.25 * (1 + residual)) ** 2 * squared / (along * along)
    photometric = 4 * noise / max(gradline, 1e-6)
    discretisation = (0.05 if interpolated else 0.5) * s * s
    return MATCHED, inverse, alpha * alpha * (discretisation + geometric + photometric), length


@njit(cache=True, nogil=True)
def _refine(  # type: ignore[no-untyped-def]
    key, frame, mask, inverse_depth, variance, observed, failures, wait, prior, prior_variance, fx, fy, cx, cy, R, t,
    gain, offset, residual, reach, max_px, max_inverse, ssd_refined, ssd_first, ratio, scale_min, scale_max, noise,
    growth, growth_failed, max_failures, floor,
):  # fmt: skip
    height, width = key.shape
    accepted = 0
    for y in range(BORDER, height - BORDER):
        for x in range(BORDER, width - BORDER):
            if not mask[y, x] or inverse_depth[y, x] <= 0:
                continue
            if wait[y, x] > 0:
                wait[y, x] -= 1
                continue
            id0, var0 = float(inverse_depth[y, x]), float(variance[y, x])
            outcome, id1, var1, length = _search(
                key, frame, x, y, id0, np.sqrt(var0), fx, fy, cx, cy, R, t, gain, offset, residual, reach, max_px,
                max_inverse, ssd_refined, ssd_first, ratio, scale_min, scale_max, noise,
            )  # fmt: skip
            if outcome == 0:
                continue
            difference = id1 - id0
            if outcome < 0 or difference * difference > var1 + var0:
                variance[y, x] = var0 * growth_failed
                failures[y, x] = min(failures[y, x] + 1, 255)
                if failures[y, x] >= max_failures:
                    inverse_depth[y, x], variance[y, x] = prior[y, x], prior_variance[y, x]
                    failures[y, x], observed[y, x] = 0, 0
                continue
            grown = var0 * growth
            total = grown + var1
            inverse_depth[y, x] = (var1 * id0 + grown * id1) / total
            smallest = (floor * id0) ** 2
            variance[y, x] = min(max(var1 * grown / total, smallest), max(var0, smallest))
            failures[y, x] = 0
            observed[y, x] = min(observed[y, x] + 1, 65535)
            accepted += 1
            if length < 3:
                wait[y, x] = 3 if length >= 1.5 else 9
    return accepted


def _settings(config: StereoConfig) -> tuple[float, ...]:
    c = config
    return (
        c.reach, c.max_px, c.max_inverse_depth, c.ssd_refined, c.ssd_first, c.ratio, c.scale_min, c.scale_max,
        c.noise_variance,
    )  # fmt: skip


def search(
    keyframe: FloatImage, frame: FloatImage, pixel: tuple[int, int], inverse_depth: float, variance: float,
    intrinsics: Intrinsics, T_frame_keyframe: NDArray[np.float64], exposure: Exposure = _UNCHANGED,
    residual: float = 0.0, config: StereoConfig = _DEFAULTS,
) -> Match:  # fmt: skip
    """Search one keyframe pixel (x, y) along its epipolar line in a frame, both (H, W) float32 grey.

    Args:
        inverse_depth, variance: the hypothesis; 2 standard deviations either side are searched, in steps of 1 pixel.
        residual: the tracker's energy; a badly aligned frame gives a larger geometric variance.
    """
    R, t = np.ascontiguousarray(T_frame_keyframe[:3, :3]), np.ascontiguousarray(T_frame_keyframe[:3, 3])
    return Match(
        *_search(
            keyframe, frame, *pixel, inverse_depth, variance**0.5, *intrinsics, R, t, *exposure, residual,
            *_settings(config),
        )
    )  # fmt: skip


def refine(
    depth: DepthMap, keyframe: FloatImage, mask: NDArray[np.bool_], frame: FloatImage, intrinsics: Intrinsics,
    T_frame_keyframe: NDArray[np.float64], exposure: Exposure, residual: float, config: StereoConfig,
) -> int:  # fmt: skip
    """Update a keyframe's depth map, in place, from one frame.

    Args:
        keyframe, frame: (H, W) float32 grey. mask: (H, W), pixels with enough gradient.
        exposure: the frame's relative to the keyframe; the frame is brought to the keyframe's exposure.

    Returns:
        The number of pixels updated.
    """
    R, t = np.ascontiguousarray(T_frame_keyframe[:3, :3]), np.ascontiguousarray(T_frame_keyframe[:3, 3])
    return int(
        _refine(
            keyframe, frame, mask, depth.inverse_depth, depth.variance, depth.observed, depth.failures, depth.wait,
            depth.prior, depth.prior_variance, *intrinsics, R, t, *exposure, residual, *_settings(config),
            config.growth, config.growth_failed, config.failures, config.floor,
        )
    )  # fmt: skip
