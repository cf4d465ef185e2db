"""Points from two views of known motion."""

from __future__ import annotations

import torch
from kornia.geometry import epipolar as kornia_epipolar
from torch import Tensor

from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_last, check_shape
from scenewright.geometry.lie import transform
from scenewright.geometry.projection import MIN_DEPTH, point_rays
from scenewright.geometry.sampling import pixel_grid

MIN_PARALLAX = 1e-6
"""Sine of the angle between two rays below which they meet nowhere in particular."""


def triangulate(uv_a: Tensor, uv_b: Tensor, camera_a: Camera, camera_b: Camera, T_b_a: Tensor) -> tuple[Tensor, Tensor]:
    """The points seen at uv_a by camera a and at uv_b by camera b, by the linear method on normalised rays.

    (Hartley & Zisserman 12.2.) Cameras may be distorted.

    Args:
        uv_a, uv_b: (B, N, 2) pixels.
        T_b_a: (4, 4) or (B, 4, 4).

    Returns:
        points_a: (B, N, 3) in camera a's axes, 0 where not valid.
        valid: (B, N) bool: in front of both cameras, and rays not parallel.
    """
    check_shape("uv_a", uv_a, None, None, 2)
    check_shape("uv_b", uv_b, *uv_a.shape)
    check_last("T_b_a", T_b_a, 4, 4)
    T_b_a = T_b_a.expand(len(uv_a), 4, 4)
    ray_a, ray_b = point_rays(uv_a, camera_a), point_rays(uv_b, camera_b)
    turned = ray_a.detach() @ T_b_a[:, :3, :3].detach().mT
    parallax = torch.linalg.vector_norm(torch.linalg.cross(*(_unit(r) for r in (turned, ray_b.detach()))), dim=-1)
    P_a = torch.eye(3, 4, dtype=uv_a.dtype, device=uv_a.device).expand(len(uv_a), 3, 4)
    points = kornia_epipolar.triangulate_points(P_a, T_b_a[:, :3], ray_a[..., :2], ray_b[..., :2], solver="eigh")
    points = torch.where(torch.isfinite(points), points, 0.0)
    z_b = transform(T_b_a, points)[..., 2]
    valid = (parallax > MIN_PARALLAX) & (points[..., 2] > MIN_DEPTH) & (z_b > MIN_DEPTH)
    return torch.where(valid[..., None], points, 0.0), valid


def depth_from_flow(
    flow: Tensor, camera: Camera, T_source_target: Tensor, camera_source: Camera | None = None
) -> tuple[Tensor, Tensor]:
    """The depth that explains an optical flow under a known motion (DeMoN's flow_to_depth).

    Args:
        flow: (B, 2, H, W) pixels from target to source.
        T_source_target: (4, 4) or (B, 4, 4).

    Returns:
        depth: (B, 1, H, W) in the unit of the translation, 0 where not valid (no parallax, behind a camera).
        valid: (B, 1, H, W) bool.
    """
    check_shape("flow", flow, None, 2, *camera.size)
    uv = pixel_grid(camera.size, like=flow).expand(len(flow), -1, -1, -1).flatten(1, 2)
    points, valid = triangulate(uv, uv + flow.flatten(2).mT, camera, camera_source or camera, T_source_target)
    return points[..., 2].unflatten(1, (1, *camera.size)), valid.unflatten(1, (1, *camera.size))


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)
