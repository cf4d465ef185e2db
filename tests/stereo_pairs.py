"""A rendered rectified pair with exact depth, and small helpers for the methods that learn from pairs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from geometry_cases import F64, make_camera, render_pair
from scenewright.depth.task import StereoSample
from scenewright.geometry.camera import Camera

BASELINE = 0.3


def rendered(width: int = 96, height: int = 64, dtype: torch.dtype = torch.float32) -> StereoSample:
    """A slanted, textured plane seen by a rig: a batch of one."""
    camera = make_camera(width, height)
    T_right_left = torch.eye(4, dtype=F64)
    T_right_left[0, 3] = -BASELINE
    left, depth_left, right, depth_right = render_pair(camera, T_right_left)
    K = camera.K[None].to(dtype)
    baseline = torch.tensor([BASELINE], dtype=dtype)
    pictures = [t.to(dtype) for t in (left, right, depth_left, depth_right)]
    return StereoSample(
        pictures[0], pictures[1], Camera(width, height, K), baseline, depth_m=pictures[2], right_depth_m=pictures[3]
    )


def mirrored(sample: StereoSample) -> StereoSample:
    """The pair seen in a mirror: both pictures flipped, and swapped."""

    def flip(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.flip(-1)

    return replace(
        sample,
        image=sample.right.flip(-1),
        right=sample.image.flip(-1),
        camera=sample.camera.hflip(),
        depth_m=flip(sample.right_depth_m),
        right_depth_m=flip(sample.depth_m),
    )
