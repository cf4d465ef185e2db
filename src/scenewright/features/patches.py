"""Square patches around keypoints, turned upright, resampled without aliasing."""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.features.task import Features, luma

DEFAULT_RADIUS_PX = 16.0
"""Half the side of the region of a keypoint that has no scale."""


def cut(image: Tensor, features: Features, side: int, context: float = 1.0) -> Tensor:
    """Grey patches of one image's keypoints.

    Args:
        image: (1, 3, H, W) RGB in [0, 1].
        features: N keypoints; without a radius 16 pixels, without an angle upright.
        side: of the patches, pixels.
        context: widens each region by this factor.

    Returns:
        (N, 1, side, side) in [0, 1]. Beyond the border the image's edge is repeated.
    """
    import kornia.feature as kf

    count = len(features)
    if count == 0:
        return image.new_zeros(0, 1, side, side)
    radius = features.radius_px if features.radius_px is not None else torch.full((count,), DEFAULT_RADIUS_PX)
    angle = features.angle_deg if features.angle_deg is not None else torch.zeros(count)
    place = (context * radius.to(image))[None, :, None, None]
    # kornia turns against the clock of an image whose y points down
    laf = kf.laf_from_center_scale_ori(features.xy.to(image)[None], place, -angle.to(image)[None, :, None])
    return kf.extract_patches_from_pyramid(luma(image), laf, side)[0].clamp(0, 1)
