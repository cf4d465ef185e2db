"""Moving pictures between views by depth and motion: inverse warp, rigid flow, occlusion, forward splat.

A target pixel with depth sees the point X_t; the source camera sees it at pi(K_s T_source_target X_t). Sampling the
source there shows the source picture as the target camera would see it (SfMLearner, eq. 2; DeMoN's depth_to_flow).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_fits, check_shape, check_undistorted
from scenewright.geometry.lie import transform
from scenewright.geometry.projection import MIN_DEPTH, backproject, project, project_points, rays
from scenewright.geometry.sampling import Mode, Padding, pixel_grid, sample_at, sample_nearest


def reproject(
    depth_target: Tensor, camera: Camera, T_source_target: Tensor, camera_source: Camera | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the source camera sees what the target camera sees.

    Args:
        depth_target: (B, 1, H, W) z-depth, 0 = unknown.
        camera: of the target view, of size (H, W).
        T_source_target: (4, 4) or (B, 4, 4), target points -> source points, in the unit of the depth.
        camera_source: of the source view; the target's if None.

    Returns:
        uv: (B, H, W, 2) source pixels, finite everywhere.
        z: (B, 1, H, W) depth in the source view.
        valid: (B, 1, H, W) bool: depth known and point in front of the source camera (it may leave the picture).

    Raises:
        InputError: sizes that do not fit.
    """
    points = transform(T_source_target, backproject(depth_target, camera).movedim(1, -1))
    uv, z = project_points(points, camera_source or camera)
    return uv, z[:, None], (depth_target > 0) & (z[:, None] > MIN_DEPTH)


def inverse_warp(
    source: Tensor,
    depth_target: Tensor,
    camera: Camera,
    T_source_target: Tensor,
    camera_source: Camera | None = None,
    mode: Mode = "bilinear",
    padding: Padding = "zeros",
) -> tuple[Tensor, Tensor]:
    """The source picture as seen from the target camera; differentiable in picture, depth, motion and intrinsics.

    Args:
        source: (B, C, H_s, W_s), the size of `camera_source`.
        depth_target, camera, T_source_target, camera_source: as in `reproject`.

    Returns:
        image: (B, C, H, W).
        valid: (B, 1, H, W) bool: depth known, in front of the source camera, inside the source picture. Occlusion
            is not tested; see `co_visible`.
    """
    check_fits("source", source, camera_source or camera)
    uv, _, valid = reproject(depth_target, camera, T_source_target, camera_source)
    image, inside = sample_at(source, uv, mode, padding)
    return image, valid & inside


def rigid_flow(
    depth_target: Tensor, camera: Camera, T_source_target: Tensor, camera_source: Camera | None = None
) -> tuple[Tensor, Tensor]:
    """Optical flow from target to source that a still world causes: pi(K T X) - (u, v).

    Returns:
        flow: (B, 2, H, W) pixels, x first.
        valid: (B, 1, H, W) bool, as in `reproject`.
    """
    uv, _, valid = reproject(depth_target, camera, T_source_target, camera_source)
    return (uv - pixel_grid(camera.size, like=uv)).movedim(-1, 1), valid


def flow_warp(
    source: Tensor, flow: Tensor, mode: Mode = "bilinear", padding: Padding = "zeros"
) -> tuple[Tensor, Tensor]:
    """Read the source at p + flow(p): out (B, C, H, W) and valid (B, 1, H, W), flow (B, 2, H, W) in source pixels."""
    check_shape("flow", flow, None, 2, None, None)
    uv = flow.movedim(1, -1) + pixel_grid((flow.shape[-2], flow.shape[-1]), like=flow)
    return sample_at(source, uv, mode, padding)


def co_visible(
    depth_target: Tensor,
    depth_source: Tensor,
    camera: Camera,
    T_source_target: Tensor,
    camera_source: Camera | None = None,
    tolerance: float = 0.05,
) -> Tensor:
    """Which target pixels the source sees too: the transformed depth agrees with the source's own within `tolerance`.

    Args:
        depth_target, depth_source: (B, 1, H, W) of either view, 0 = unknown (counts as not seen). The source's is
            read at the nearest pixel, never mixed across depth edges.
        tolerance: relative to the source's depth.

    Returns:
        (B, 1, H, W) bool.
    """
    check_fits("depth_source", depth_source, camera_source or camera)
    uv, z, valid = reproject(depth_target, camera, T_source_target, camera_source)
    seen = sample_nearest(depth_source, uv)
    return valid & (seen > 0) & ((z - seen).abs() <= tolerance * seen)


def forward_splat(image: Tensor, uv: Tensor, z: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Throw pixels to where they land, nearest pixel, the nearest surface winning (z-buffer); holes stay 0.

    Deterministic; of two pixels at the same depth the earlier in reading order wins. Differentiable in `image` and
    in z, not in uv.

    Args:
        image: (B, C, H, W) float.
        uv: (B, H, W, 2), where each pixel lands.
        z: (B, 1, H, W) its depth there; pixels with z <= 0 are not thrown.
        size: (H', W') of the result.

    Returns:
        splat: (B, C, H', W').
        z_splat: (B, 1, H', W') depth of what landed, 0 where nothing did.
    """
    batch, height, width = len(image), *size
    check_shape("image", image, batch, None, *z.shape[-2:])
    check_shape("uv", uv, batch, *z.shape[-2:], 2)
    column, row = torch.nan_to_num(uv.detach(), nan=-2.0).clamp(-2, 2**24).round().long().flatten(1, 2).unbind(-1)
    lands = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z.flatten(1) > 0)
    bin_ = torch.where(lands, row * width + column, height * width)  # one more bin takes what is lost
    depth = torch.where(lands, z.detach().flatten(1), torch.inf)
    bins = (batch, height * width + 1)
    nearest = depth.new_full(bins, torch.inf).scatter_reduce(1, bin_, depth, "amin")
    order = torch.arange(depth.shape[1], device=depth.device).expand_as(bin_)
    wins = lands & (depth == nearest.gather(1, bin_))
    winner = torch.full(bins, depth.shape[1], device=depth.device).scatter_reduce(
        1, bin_, torch.where(wins, order, depth.shape[1]), "amin"
    )[:, :-1]
    values = torch.cat([image, z.to(image.dtype)], dim=1).flatten(2)
    values = torch.nn.functional.pad(values, (0, 1))  # index H W reads the 0 of an empty bin
    splat = values.gather(2, winner[:, None].expand(-1, values.shape[1], -1)).unflatten(2, size)
    return splat[:, :-1], splat[:, -1:]


def undistort_image(image: Tensor, camera: Camera, mode: Mode = "bilinear") -> tuple[Tensor, Tensor, Camera]:
    """Remove lens distortion, keeping size and K.

    Returns:
        image: (B, C, H, W).
        valid: (B, 1, H, W) bool, False where the lens saw nothing.
        camera: the same K without distortion.
    """
    check_fits("image", image, camera)
    pinhole = replace(camera, distortion=None)
    uv, _ = project(rays(pinhole), camera)
    values, valid = sample_at(image, uv, mode)
    return values, valid, pinhole


def change_camera(image: Tensor, camera: Camera, wanted: Camera, mode: Mode = "bilinear") -> tuple[Tensor, Tensor]:
    """The picture another undistorted camera at the same place and attitude would take (e.g. DeMoN's fixed K).

    Returns:
        image: (B, C, H', W') of the wanted camera's size.
        valid: (B, 1, H', W') bool.
    """
    check_fits("image", image, camera)
    check_undistorted("wanted camera", wanted)
    uv, _ = project(rays(wanted), camera)
    if image.shape[0] != uv.shape[0] and 1 not in (image.shape[0], uv.shape[0]):
        raise InputError("image", f"a batch of {image.shape[0]}", f"a batch of {uv.shape[0]}, as the cameras")
    return sample_at(image, uv, mode)
