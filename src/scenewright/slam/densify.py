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


def correction(
    depth_m: FloatImage, anchors_m: FloatImage, weight: FloatImage, config: DensifyConfig
) -> tuple[FloatImage, FloatImage]:
    """The factor (H, W) that bends `depth_m` towards anchors, and the weight of the anchors behind it.

    Args:
        depth_m: (H, W) metres, 0 = unknown. anchors_m: (H, W) metres, 0 = none. weight: (H, W) >= 0 of the anchors.
    """
    known = (depth_m > 0) & (anchors_m > 0) & (weight > 0)
    if known.sum() < config.minimum_anchors:
        return np.ones_like(depth_m), np.zeros_like(depth_m)
    log_ratio = np.log(np.where(known, anchors_m, 1) / np.where(known, depth_m, 1))
    base = float(np.median(log_ratio[known]))
    residual = np.clip(log_ratio - base, -config.clip, config.clip)
    w = np.where(known, weight, 0).astype(np.float32)
    total, near = np.zeros_like(depth_m), np.zeros_like(depth_m)
    for sigma in config.sigmas_px:  # a narrow kernel where anchors are dense, wide ones to bridge gaps
        gain = np.float32(2 * np.pi * sigma * sigma)
        blurred = cv2.GaussianBlur(w, (0, 0), sigma) * gain
        mean = cv2.GaussianBlur((w * residual).astype(np.float32), (0, 0), sigma) * gain
        share = (1 - near) * blurred / (blurred + np.float32(config.prior_weight))
        total += share * mean / np.maximum(blurred, 1e-6)
        near += share
    return np.exp(base + total).astype(np.float32), near.astype(np.float32)
