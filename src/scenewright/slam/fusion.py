"""Fusion of depth maps weighted by their uncertainty (Tateno 2017, eq. 7-9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenewright.slam.config import FusionConfig
from scenewright.slam.types import FloatImage
from scenewright.slam.uncertainty import Correspondence


def propagate(depth_m: FloatImage, seen: Correspondence, config: FusionConfig) -> FloatImage:
    """Eq. 7: the neighbour's variance brought into this frame, plus the process noise, (H, W) in m^2.

    As printed the variance scales with the ratio of depths. The default propagates the variance of the inverse depth,
    var' = (id' / id)^4 var (Engel 2013), which for depth is a factor of (id / id')^4 (id' / id)^4 = 1: the absolute
    error of a depth does not change when the camera moves along the ray.
    """
    noise = np.square(config.process * depth_m)
    if config.inverse:
        return (seen.variance + noise).astype(np.float32)
    return (seen.ratio * seen.variance + noise).astype(np.float32)


def combine(
    depth_a: FloatImage, variance_a: FloatImage, depth_b: FloatImage, variance_b: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Eq. 8-9: the precision-weighted mean of two depths and its variance; symmetric in its two sources."""
    total = variance_a + variance_b
    depth = (variance_b * depth_a + variance_a * depth_b) / total
    return depth.astype(np.float32), (variance_a * variance_b / total).astype(np.float32)


def fuse(
    depth_m: FloatImage, variance: FloatImage, seen: Correspondence, comparable: NDArray[np.bool_], config: FusionConfig
) -> tuple[FloatImage, FloatImage]:
    """Fuse a keyframe's depth with its neighbour's where the two may be compared; elsewhere it stays as it is."""
    other = seen.depth_m if config.exact_frame else seen.sampled_m
    arriving = propagate(depth_m, seen, config)
    fused, fused_variance = depth_m.astype(np.float32), variance.astype(np.float32)  # copies
    c = comparable  # only there are both known: a sensor's holes have neither depth nor variance
    fused[c], fused_variance[c] = combine(depth_m[c], variance[c], other[c], arriving[c])
    return fused, fused_variance
