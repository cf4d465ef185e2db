"""Rectified stereo: x_right = x_left - disp_px, disp_px = fx * baseline / depth > 0, in pixels of a stated width.

The left picture is the right one sampled at x - disp_left, the right the left one at x + disp_right (monodepth 3.2).
Mirroring a pair left to right must also swap the two pictures.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_fits, check_shape, check_undistorted
from scenewright.geometry.projection import inverse_or_zero
from scenewright.geometry.sampling import Padding
from scenewright.geometry.warp import flow_warp


def left_from_right(right: Tensor, disp_left: Tensor, padding: Padding = "zeros") -> tuple[Tensor, Tensor]:
    """The left picture, built from the right one: right(x - disp_left).

    Args:
        right: (B, C, H, W).
        disp_left: (B, 1, H, W) pixels of that width, on the left picture's grid.

    Returns:
        left: (B, C, H, W).
        valid: (B, 1, H, W) bool, inside the right picture.
    """
    return _shift(right, -disp_left, padding)


def right_from_left(left: Tensor, disp_right: Tensor, padding: Padding = "zeros") -> tuple[Tensor, Tensor]:
    """The right picture, built from the left one: left(x + disp_right); shapes as in `left_from_right`."""
    return _shift(left, disp_right, padding)


def linearised_left_from_right(right: Tensor, disp_left: Tensor) -> tuple[Tensor, Tensor]:
    """`left_from_right` with the gradient of Garg et al.'s linearised warp (ECCV 2016, section 3).

    Around the present estimate the rebuilt picture is taken to be linear in the disparity; its slope is the central
    difference of the rebuilt picture, 0 in the two border columns. That smooths over two pixels where the derivative of
    bilinear sampling sees one. No gradient reaches the right picture.

    Args:
        right: (B, C, H, W).
        disp_left: (B, 1, H, W) pixels.

    Returns:
        left: (B, C, H, W), 0 where a neighbour of the sample lies outside.
        valid: (B, 1, H, W) bool, inside the right picture.
    """
    left, valid = left_from_right(right.detach(), disp_left.detach())
    rebuilt: Tensor = _Linearised.apply(torch.where(valid, left, 0), disp_left)
    return rebuilt, valid


class _Linearised(torch.autograd.Function):
    """The identity on the rebuilt picture; backwards, its slope along x becomes the disparity's gradient."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, disp_left: Tensor) -> Tensor:
        ctx.save_for_backward(left)
        return left.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (left,) = ctx.saved_tensors
        slope = torch.zeros_like(left)
        slope[..., 1:-1] = (left[..., 2:] - left[..., :-2]) / 2
        return None, -(gradient * slope).sum(1, keepdim=True)  # the left samples at x - disparity


def depth_to_disparity(depth_m: Tensor, camera: Camera, baseline_m: float | Tensor) -> Tensor:
    """disp_px (B, 1, H, W) = fx * baseline / depth at the camera's width; 0 (unknown) stays 0.

    Args:
        baseline_m: metres between the two cameras, a number or (B,).

    Raises:
        InputError: the map's size is not the camera's: a disparity means nothing at another width.
    """
    check_fits("depth_m", depth_m, camera)
    return _focal_times_baseline(camera, baseline_m) * inverse_or_zero(depth_m)


def disparity_to_depth(disp_px: Tensor, camera: Camera, baseline_m: float | Tensor) -> Tensor:
    """depth_m (B, 1, H, W) = fx * baseline / disp_px; a disparity <= 0 gives 0, unknown. Errors as above."""
    check_fits("disp_px", disp_px, camera)
    return _focal_times_baseline(camera, baseline_m) * inverse_or_zero(disp_px)


def resize_disparity(disp_px: Tensor, width: int, height: int, mode: str = "bilinear") -> Tensor:
    """The disparity map of the resized pair: resampled, and multiplied by the ratio of widths.

    `mode` is "bilinear", or "nearest" where 0 means unknown or edges must not be mixed.
    """
    check_shape("disp_px", disp_px, None, 1, None, None)
    align = None if mode == "nearest" else False
    return F.interpolate(disp_px, (height, width), mode=mode, align_corners=align) * (width / disp_px.shape[-1])


def left_right_difference(disp_left: Tensor, disp_right: Tensor, padding: Padding = "zeros") -> tuple[Tensor, Tensor]:
    """How far the two disparity maps disagree: |disp_left(x) - disp_right(x - disp_left)| (monodepth eq. 4).

    Both maps receive gradients.

    Returns:
        difference: (B, 1, H, W) pixels; where the right picture ends, that to the padding.
        valid: (B, 1, H, W) bool, inside the right picture.
    """
    other, valid = left_from_right(disp_right, disp_left, padding)
    return (disp_left - other).abs(), valid


def right_left_difference(disp_right: Tensor, disp_left: Tensor, padding: Padding = "zeros") -> tuple[Tensor, Tensor]:
    """The same on the right picture's grid: |disp_right(x) - disp_left(x + disp_right)|."""
    other, valid = right_from_left(disp_left, disp_right, padding)
    return (disp_right - other).abs(), valid


def _shift(image: Tensor, dx: Tensor, padding: Padding) -> tuple[Tensor, Tensor]:
    check_shape("disparity", dx, None, 1, *image.shape[-2:])
    return flow_warp(image, torch.cat([dx, torch.zeros_like(dx)], dim=1), padding=padding)


def _focal_times_baseline(camera: Camera, baseline_m: float | Tensor) -> Tensor:
    check_undistorted("camera", camera)
    return (camera.parameters[0] * baseline_m).reshape(-1, 1, 1, 1)
