"""The uncertainty of a new keyframe's network depth from its disagreement with a neighbour (Tateno 2017, eq. 5-6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenewright.slam.config import FusionConfig
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import FloatImage


class Correspondence(NamedTuple):
    """What a neighbouring keyframe j says about the pixels of keyframe i, looked up through i's own depth.

    Args:
        valid: (H, W), i's pixel is seen by j and j's depth there is known.
        depth_m: (H, W) float32, j's depth brought into i's frame along i's ray.
        variance: (H, W) float32, j's, in m^2 of j's depth.
        ratio: (H, W) float32, j's sampled depth over i's depth as it stands in eq. 7.
        sampled_m: (H, W) float32, D_j(v), in j's own frame.
    """

    valid: NDArray[np.bool_]
    depth_m: FloatImage
    variance: FloatImage
    ratio: FloatImage
    sampled_m: FloatImage


def adjust_focal(depth_m: FloatImage, focal_px: float, training_focal_px: float) -> FloatImage:
    """Eq. 5: a longer lens makes things look nearer to a network, so its depth is multiplied by the focals' ratio.

    Both focal lengths must be for the pixel grid that the network sees.
    """
    return (depth_m * np.float32(focal_px / training_focal_px)).astype(np.float32)


def look_up(
    depth_m: FloatImage, neighbour_m: FloatImage, neighbour_variance: FloatImage, intrinsics: Intrinsics,
    T_neighbour_cam: NDArray[np.float64],
) -> Correspondence:  # fmt: skip
    """Project (H, W) depth into a neighbour of its size and sample its depth, nearest pixel: never across edges."""
    height, width = depth_m.shape
    fx, fy, cx, cy = intrinsics
    y, x = np.mgrid[:height, :width]
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x, float)], -1)
    points = (rays * depth_m[..., None]) @ T_neighbour_cam[:3, :3].T + T_neighbour_cam[:3, 3]
    z = points[..., 2]
    safe = np.where(z > 1e-3, z, 1)
    u = np.rint(fx * points[..., 0] / safe + cx)
    v = np.rint(fy * points[..., 1] / safe + cy)
    valid = (depth_m > 0) & (z > 1e-3) & (u >= 0) & (v >= 0) & (u < width) & (v < height)
    iu, iv = np.where(valid, u, 0).astype(int), np.where(valid, v, 0).astype(int)
    sampled = neighbour_m[iv, iu]
    valid &= sampled > 0
    depth = np.where(valid, depth_m * sampled / safe, 0).astype(np.float32)
    ratio = np.where(valid, sampled / np.where(depth_m > 0, depth_m, 1), 1).astype(np.float32)
    return Correspondence(
        valid, depth, neighbour_variance[iv, iu], ratio, np.where(valid, sampled, 0).astype(np.float32)
    )


def source_variance(depth_m: FloatImage, sigma_log: FloatImage | None, config: FusionConfig) -> FloatImage:
    """Variance in m^2 of a source's depth before anything is compared: its own sigma, else `first_uncertainty`."""
    if sigma_log is None:
        return first_uncertainty(depth_m, config)
    return np.square(np.maximum(sigma_log, config.own_floor) * depth_m).astype(np.float32)


def consistent(
    depth_m: FloatImage, variance: FloatImage, seen: Correspondence, config: FusionConfig
) -> NDArray[np.bool_]:
    """(H, W) mask of pixels whose two depths differ by less than three standard deviations of their difference.

    For sources that know their own `variance` (m^2); it takes the place of eq. 6 and its fixed share for occlusions.
    """
    other = seen.depth_m if config.exact_frame else seen.sampled_m
    noise = np.square(config.process * depth_m)
    return np.asarray(seen.valid & (np.square(depth_m - other) < 9 * (variance + seen.variance + noise)))


def first_uncertainty(depth_m: FloatImage, config: FusionConfig) -> FloatImage:
    """Variance in m^2 of a network's depth that nothing can be compared with: (first * D)^2."""
    return np.square(config.first * depth_m).astype(np.float32)


def uncertainty(
    depth_m: FloatImage, seen: Correspondence, config: FusionConfig
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Eq. 6: U = (D_i - D_j)^2 in m^2, floored; (H, W), with the mask of pixels that may be fused.

    As printed, D_i and D_j are depths in two cameras, which differ by the camera's own motion along z; `exact_frame`
    compares both in i's frame. Pixels out of sight or further apart than `occlusion` keep `first_uncertainty`.
    """
    other = seen.depth_m if config.exact_frame else seen.sampled_m
    difference = depth_m - other
    comparable = seen.valid & (np.abs(difference) < config.occlusion * depth_m)
    floor = np.square(config.floor * depth_m)
    U = np.where(comparable, np.maximum(np.square(difference), floor), first_uncertainty(depth_m, config))
    return U.astype(np.float32), comparable
