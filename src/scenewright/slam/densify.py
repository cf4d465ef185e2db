"""The network's depth bent to what the map knows: a smooth correction of log depth (an addition to the paper).

A network errs mostly in scale and at low frequency (Tateno 2017, fig. 3). Where points of the map or accepted stereo
matches say what the depth is, the log ratio to the network is known; between them it is interpolated by normalised
convolution (Knutsson 1993) and fades to the image's median ratio where nothing is near.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.slam.config import DensifyConfig
from scenewright.slam.types import FloatImage


def robust_log_ratio(measured_m: NDArray[np.floating], depth_m: NDArray[np.floating]) -> float:
    """The median of log(measured / depth) over positive pairs, 0 for none."""
    known = (measured_m > 0) & (depth_m > 0)
    return float(np.median(np.log(measured_m[known] / depth_m[known]))) if known.any() else 0.0


def believed(log_ratio: float, sigma_log: FloatImage | None, config: DensifyConfig) -> float:
    """How much of a log ratio of scales, map over source, is the source's error: the precision-weighted share.

    A source that does not know its error gives way to the map; one that does, by sigma^2 / (sigma^2 + map_scale_sd^2):
    in the worst case the error of its pixels is one and the same.
    """
    if sigma_log is None:
        return log_ratio
    own = float(np.median(sigma_log)) ** 2
    return log_ratio * own / (own + config.map_scale_sd**2)


def corner_sd(depth_m: FloatImage, sigma_log: FloatImage) -> NDArray[np.float64]:
    """(H, W) standard deviation of the log depth of a corner found at a pixel: the source's own and, since a corner is
    found within about a pixel, half the range of the depths beside it. At a depth edge that says: nothing is known."""
    cross = np.ones((3, 3), np.uint8)
    known = depth_m > 0
    log = np.log(np.where(known, depth_m, 1)).astype(np.float32)
    high = cv2.dilate(np.where(known, log, -99).astype(np.float32), cross)
    low = cv2.erode(np.where(known, log, 99).astype(np.float32), cross)
    spread = np.where(known, high - low, 0) / 2
    return np.hypot(np.maximum(sigma_log, 1e-3), spread).astype(np.float64)


def correction(
    depth_m: FloatImage, anchors_m: FloatImage, weight: FloatImage, config: DensifyConfig,
    sigma_log: FloatImage | None = None,
) -> tuple[FloatImage, FloatImage]:  # fmt: skip
    """The factor (H, W) that bends `depth_m` towards anchors, and the weight of the anchors behind it.

    Args:
        depth_m: (H, W) metres, 0 = unknown. anchors_m: (H, W) metres, 0 = none. weight: (H, W) >= 0 of the anchors.
        sigma_log: (H, W) what the source says of its error, or None.
    """
    known = (depth_m > 0) & (anchors_m > 0) & (weight > 0)
    if known.sum() < config.minimum_anchors:
        return np.ones_like(depth_m), np.zeros_like(depth_m)
    log_ratio = np.log(np.where(known, anchors_m, 1) / np.where(known, depth_m, 1))
    base = float(np.median(log_ratio[known]))
    residual = np.clip(log_ratio - base, -config.clip, config.clip)
    base = believed(base, sigma_log, config)
    prior: np.float32 | FloatImage = np.float32(config.prior_weight)
    if sigma_log is not None:
        prior = (prior * np.square(config.prior_sd / np.maximum(sigma_log, 1e-3))).astype(np.float32)
    w = np.where(known, weight, 0).astype(np.float32)
    total, near = np.zeros_like(depth_m), np.zeros_like(depth_m)
    for sigma in config.sigmas_px:  # a narrow kernel where anchors are dense, wide ones to bridge gaps
        gain = np.float32(2 * np.pi * sigma * sigma)
        blurred = cv2.GaussianBlur(w, (0, 0), sigma) * gain
        mean = cv2.GaussianBlur((w * residual).astype(np.float32), (0, 0), sigma) * gain
        share = (1 - near) * blurred / (blurred + prior)
        total += share * mean / np.maximum(blurred, 1e-6)
        near += share
    return np.exp(base + total).astype(np.float32), near.astype(np.float32)
