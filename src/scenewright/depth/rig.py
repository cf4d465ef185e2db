"""What the methods that learn from rectified pairs share: the canonical rig, metres, and an example.

A network sees how many pixels a metre covers, not how far away it is, and that is what a disparity says: an object of
S metres that covers s pixels stands at Z = f S / s and has the disparity f B / Z = B s / S, whatever the focal length.
So a network predicts the disparity that a rig of one canonical baseline would have, pairs of another rig are warped by
that times the ratio of baselines, and metres come from the focal length of the camera that took the picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.depth.inputs import check_camera, check_image
from scenewright.depth.task import DepthPrediction, StereoSample
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera

LEAST_DISPARITY = 1e-3
"""Smallest disparity that is turned into depth, as a fraction of the image's width: some hundred metres."""


def check_pair(sample: StereoSample) -> None:
    """Refuse a pair whose pictures or camera do not fit.

    Raises:
        InputError: wrong shape, type or range, sizes that differ, or a baseline that is not positive.
    """
    check_image(sample.image)
    check_image(sample.right)
    check_camera(sample.camera, sample.image)
    if sample.right.shape != sample.image.shape:
        raise InputError("right", f"shape {tuple(sample.right.shape)}", f"the left's {tuple(sample.image.shape)}")
    if not bool((sample.baseline_m > 0).all()):
        raise InputError("baseline_m", sample.baseline_m.flatten().tolist(), "metres, positive")


def baseline_ratio(sample: StereoSample, baseline_m: float | None) -> Tensor:
    """The pair's baseline over the canonical one, (B, 1, 1, 1); 1 where no baseline is known."""
    ratio = torch.ones_like(sample.baseline_m) if baseline_m is None else sample.baseline_m / baseline_m
    return ratio.reshape(-1, 1, 1, 1)


def depth_from_fraction(fraction: Tensor, camera: Camera, baseline_m: float | None) -> Tensor:
    """z-depth = f B / disparity, both in pixels of the same width.

    Args:
        fraction: (B, 1, h, w) canonical disparity as a fraction of the picture's width, at any resolution.
        camera: of the picture.
        baseline_m: of the canonical rig; None gives depth in units of the unknown baseline.

    Returns:
        (B, 1, h, w), positive.
    """
    focal = (camera.parameters[0] / camera.width).reshape(-1, 1, 1, 1).to(fraction)
    return focal * (1.0 if baseline_m is None else baseline_m) / fraction.clamp(min=LEAST_DISPARITY)


def prediction(depth: Tensor, image: Tensor, baseline_m: float | None) -> DepthPrediction:
    """The task's prediction; metric where the training rig's baseline is known."""
    return DepthPrediction(depth.expand(len(image), *depth.shape[1:]), metric=baseline_m is not None)


def known_depths(sample: StereoSample) -> list[Tensor]:
    """The depth maps of the left and, where there is one, of the right view.

    Raises:
        InputError: the pair carries no depth.
    """
    depths = [depth for depth in (sample.depth_m, sample.right_depth_m) if depth is not None]
    if sample.depth_m is None:
        raise InputError("depth_m", "None", "depth in metres, if only of a few pixels: the objective is supervised")
    return depths


def example_pair(batch: int, seed: int, disparity_px: int = 8, baseline_m: float = 0.2) -> StereoSample:
    """Smooth random pictures of 64x64 on a wall that has one disparity: the example of the contract tests."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(batch, 3, 64, 64 + disparity_px, generator=generator)
    coarse = F.avg_pool2d(noise, 9, 9)
    wide = F.interpolate(coarse, noise.shape[-2:], mode="bicubic", align_corners=False)
    low, high = wide.amin((1, 2, 3), keepdim=True), wide.amax((1, 2, 3), keepdim=True)
    wide = (wide - low) / (high - low)
    camera = Camera.from_fov(64, 64, 60.0)
    camera = Camera(64, 64, camera.K.expand(batch, 3, 3).clone())
    depth = (camera.parameters[0] * baseline_m / disparity_px).reshape(-1, 1, 1, 1).expand(batch, 1, 64, 64).clone()
    left, right = wide[..., :64].contiguous(), wide[..., disparity_px:].contiguous()
    return StereoSample(left, right, camera, torch.full((batch,), baseline_m), depth, depth.clone())
