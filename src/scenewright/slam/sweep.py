"""Every keyframe's depth swept against its neighbours' pictures at the end, an addition to the paper.

The poses are final then, so several views can judge each depth (Collins, CVPR 1996), not one short baseline at a time.
The hypotheses are factors on the depth as it stands: windows follow its slant, and smoothness in the factor
(semi-global matching, Hirschmueller 2008) keeps its shape where the pictures say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from scenewright.slam import rigid
from scenewright.slam.config import SweepConfig
from scenewright.slam.types import FloatImage, Keyframe

Array = NDArray[np.float64]
_PATHS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))


def sweep(keyframes: Sequence[Keyframe], config: SweepConfig) -> list[FloatImage]:
    """The log factor (H, W) by which each keyframe's depth should be multiplied; 0 where no neighbour can judge.

    All factors are found from the depths as they stand, so the result does not depend on the order.
    """
    greys = [_grey(k, config.width) for k in keyframes]
    factors = []
    for keyframe, grey, near in zip(keyframes, greys, neighbours(keyframes, config)):
        size = (keyframe.camera.width, keyframe.camera.height)
        if not near:
            factors.append(np.zeros(size[::-1], np.float32))
            continue
        costs = [_costs(keyframe, grey, keyframes[j], greys[j], config) for j in near]
        small = best_factor(_robust(costs, config), grey, config)
        factors.append(np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32))
    return factors


def neighbours(keyframes: Sequence[Keyframe], config: SweepConfig) -> list[list[int]]:
    """For each keyframe the keyframes of its map piece with the best baseline over depth and a like direction."""
    at = np.array([k.T_world_cam[:3, 3] for k in keyframes]).reshape(-1, 3)
    axis = np.array([k.T_world_cam[:3, 2] for k in keyframes]).reshape(-1, 3)
    out = []
    for i, keyframe in enumerate(keyframes):
        known = keyframe.depth_m[keyframe.depth_m > 0]
        depth = float(np.median(known)) if len(known) else 1.0
        baseline = np.linalg.norm(at - at[i], axis=1) / depth
        angle = np.degrees(np.arccos(np.clip(axis @ axis[i], -1, 1)))
        spread = np.log(np.maximum(baseline, 1e-6) / config.baseline) / 0.6
        score = np.exp(-0.5 * (spread**2 + (angle / config.angle_deg) ** 2))
        score[[k.segment != keyframe.segment for k in keyframes]] = 0
        order = np.argsort(-score, kind="stable")[: config.views]
        out.append([int(j) for j in order if score[j] > 0.02])
    return out


def offsets(config: SweepConfig) -> NDArray[np.float32]:
    """The log factors that are tried, (2 steps + 1,), zero in the middle."""
    return np.linspace(-config.reach, config.reach, 2 * config.steps + 1, dtype=np.float32)


def best_factor(cost: NDArray[np.float32], grey: FloatImage, config: SweepConfig) -> FloatImage:
    """The log factor (h, w) of least cost (h, w, 2 steps + 1) after smoothing, to a fraction of a step."""
    aggregated = np.zeros_like(cost)
    for dy, dx in _PATHS:
        _aggregate(cost, grey, dy, dx, config.small_jump, config.large_jump, config.edge, aggregated)
    best = np.clip(aggregated.argmin(2), 1, cost.shape[2] - 2)
    low, here, high = (np.take_along_axis(aggregated, (best + d)[..., None], 2)[..., 0] for d in (-1, 0, 1))
    bow = low - 2 * here + high
    part = np.where(bow > 1e-6, np.clip(0.5 * (low - high) / np.maximum(bow, 1e-6), -0.5, 0.5), 0)
    return np.asarray((best + part - config.steps) * (config.reach / config.steps), np.float32)


def _grey(keyframe: Keyframe, width: int) -> FloatImage:
    height = round(width * keyframe.camera.height / keyframe.camera.width)
    grey = cv2.cvtColor(keyframe.image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _robust(costs: list[NDArray[np.float32]], config: SweepConfig) -> NDArray[np.float32]:
    """The mean over the views that like a hypothesis best (the others may not see it), and a little for every step."""
    stack = np.sort(np.stack(costs), axis=0)[: config.best]
    steps = np.abs(np.arange(-config.steps, config.steps + 1, dtype=np.float32))
    return np.asarray(stack.mean(0) + np.float32(config.prior) * steps, np.float32)


def _costs(
    keyframe: Keyframe, grey: FloatImage, other: Keyframe, other_grey: FloatImage, config: SweepConfig
) -> NDArray[np.float32]:
    """1 - ZNCC (h, w, K) of windows of the keyframe with what each hypothesis finds in the other, 1 out of sight."""
    height, width = grey.shape
    depth = np.asarray(cv2.resize(keyframe.depth_m, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
    s = width / keyframe.camera.width
    fx, fy, cx, cy = keyframe.camera.numbers
    K = np.array([fx * s, fy * s, (cx + 0.5) * s - 0.5, (cy + 0.5) * s - 0.5])
    T = rigid.inverse(other.T_world_cam) @ keyframe.T_world_cam
    found, seen = _warp(depth, other_grey, K, T, np.exp(offsets(config)))
    mean, variance = _window(grey, config.window), _window(grey * grey, config.window)
    variance = variance - mean * mean
    found_mean = _window(found, config.window)
    found_variance = _window(found * found, config.window) - found_mean * found_mean
    covariance = _window(found * grey[..., None], config.window) - found_mean * mean[..., None]
    noise = np.float32(config.noise)  # grey levels squared: what is smooth says nothing instead of anything
    scale = np.sqrt((np.maximum(variance, 0) + noise)[..., None] * (np.maximum(found_variance, 0) + noise))
    return np.where(seen, 1 - covariance / scale, np.float32(1))


def _window(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.boxFilter(image, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


@numba.njit(cache=True, nogil=True)
def _warp(depth: Any, other: Any, K: Any, T: Any, factors: Any) -> Any:
    """(h, w, K) grey values of `other` where each factor puts a pixel, and whether it is in sight."""
    h, w = depth.shape
    found = np.zeros((h, w, len(factors)), np.float32)
    seen = np.zeros((h, w, len(factors)), np.bool_)
    for v in range(h):
        for u in range(w):
            d = depth[v, u]
            if d <= 0:
                continue
            x, y = (u - K[2]) / K[0], (v - K[3]) / K[1]
            px = d * (T[0, 0] * x + T[0, 1] * y + T[0, 2])
            py = d * (T[1, 0] * x + T[1, 1] * y + T[1, 2])
            pz = d * (T[2, 0] * x + T[2, 1] * y + T[2, 2])
            for k in range(len(factors)):
                f = factors[k]
                z = pz * f + T[2, 3]
                if z < 0.05:
                    continue
                a, b = K[0] * (px * f + T[0, 3]) / z + K[2], K[1] * (py * f + T[1, 3]) / z + K[3]
                if a < 0 or b < 0 or a >= w - 1 or b >= h - 1:
                    continue
                i, j = int(a), int(b)
                p, q = a - i, b - j
                found[v, u, k] = (1 - q) * ((1 - p) * other[j, i] + p * other[j, i + 1]) + q * (
                    (1 - p) * other[j + 1, i] + p * other[j + 1, i + 1]
                )
                seen[v, u, k] = True
    return found, seen


@numba.njit(cache=True, nogil=True)
def _aggregate(cost: Any, grey: Any, dy: int, dx: int, small: float, large: float, edge: float, total: Any) -> None:
    """Add one path of semi-global matching (Hirschmueller 2008, eq. 13): a large jump costs less at a grey edge."""
    h, w, n = cost.shape
    path = np.empty((h, w, n), np.float32)
    for r in range(h):
        y = r if dy >= 0 else h - 1 - r
        for c in range(w):
            x = c if dx >= 0 else w - 1 - c
            j, i = y - dy, x - dx
            if j < 0 or i < 0 or j >= h or i >= w:
                for k in range(n):
                    path[y, x, k] = cost[y, x, k]
                    total[y, x, k] += cost[y, x, k]
                continue
            low = path[j, i, 0]
            for k in range(1, n):
                low = min(low, path[j, i, k])
            jump = low + max(small, large / (1 + abs(grey[y, x] - grey[j, i]) / edge))
            for k in range(n):
                best = min(path[j, i, k], jump)
                if k > 0:
                    best = min(best, path[j, i, k - 1] + small)
                if k < n - 1:
                    best = min(best, path[j, i, k + 1] + small)
                path[y, x, k] = cost[y, x, k] + best - low
                total[y, x, k] += path[y, x, k]
