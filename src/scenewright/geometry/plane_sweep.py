"""Plane-sweep volumes: a source picture seen from the target camera on many parallel planes at once (DeepStereo)."""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_fits
from scenewright.geometry.homography import homography_from_plane, warp_homography


def inverse_depth_planes(nearest: float, farthest: float, count: int, like: Tensor) -> Tensor:
    """Depths (count,) from nearest to farthest, evenly spaced in 1 / depth: equal steps of disparity.

    Raises:
        InputError: not 0 < nearest < farthest, or fewer than two planes.
    """
    if not 0 < nearest < farthest or count < 2:
        raise InputError("planes", f"{count} from {nearest} to {farthest}", "at least 2, 0 < nearest < farthest")
    return 1 / torch.linspace(1 / nearest, 1 / farthest, count, dtype=like.dtype, device=like.device)


def plane_sweep_volume(
    source: Tensor, camera_source: Camera, camera_target: Camera, T_source_target: Tensor, depths: Tensor
) -> tuple[Tensor, Tensor]:
    """The source picture on fronto-parallel planes of the target camera, by one batched homography warp.

    Plane d equals `inverse_warp` with that constant depth. Outside the source picture colour and coverage fade to 0
    together within one pixel, so coverage is the alpha of premultiplied colour.

    Args:
        source: (B, C, H_s, W_s) of the source camera's size.
        camera_source, camera_target: undistorted, single or of B.
        T_source_target: (4, 4) or (B, 4, 4).
        depths: (D,) or (B, D) z-depths in the target camera.

    Returns:
        volume: (B, D, C, H, W) of the target camera's size.
        coverage: (B, D, 1, H, W) in [0, 1].
    """
    check_fits("source", source, camera_source)
    normal = depths.new_tensor([0.0, 0.0, 1.0])
    depths = depths.expand(len(source), -1)
    H = homography_from_plane(camera_target, camera_source, T_source_target, normal, depths)
    rgba = torch.cat([source, torch.ones_like(source[:, :1])], dim=1)
    every = rgba[:, None].expand(-1, depths.shape[1], -1, -1, -1).flatten(0, 1)
    volume, _ = warp_homography(every, H.flatten(0, 1), camera_target.size)
    volume = volume.unflatten(0, depths.shape)
    return volume[:, :, :-1], volume[:, :, -1:]
