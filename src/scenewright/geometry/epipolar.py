"""Two-view geometry without depth: essential and fundamental matrices by our names, on kornia's algorithms.

For a motion T_b_a (points of camera a into camera b), x_b' E x_a = 0 on rays and p_b' F p_a = 0 on pixels.
"""

from __future__ import annotations

import torch
from kornia.geometry import epipolar as kornia_epipolar
from torch import Tensor

from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_last, check_shape, check_undistorted
from scenewright.geometry.lie import affine, motion, so3_hat


def essential_from_motion(T_b_a: Tensor) -> Tensor:
    """E = [t]x R (..., 3, 3), not normalised: |E| = sqrt(2) |t| (Hartley & Zisserman 9.12)."""
    check_last("T_b_a", T_b_a, 4, 4)
    return so3_hat(T_b_a[..., :3, 3]) @ T_b_a[..., :3, :3]


def fundamental_from_motion(T_b_a: Tensor, camera_a: Camera, camera_b: Camera) -> Tensor:
    """F = K_b^-T [t]x R K_a^-1 (..., 3, 3), for undistorted cameras."""
    check_undistorted("camera_a", camera_a)
    check_undistorted("camera_b", camera_b)
    return torch.linalg.inv(camera_b.K).mT @ essential_from_motion(T_b_a) @ torch.linalg.inv(camera_a.K)


def epipolar_lines(F: Tensor, uv_a: Tensor) -> Tensor:
    """Lines (a, b, c) in picture b, a^2 + b^2 = 1, of points in picture a: a u + b v + c = signed distance in pixels.

    Args:
        F: (3, 3) or (B, 3, 3).
        uv_a: (B, ..., 2).

    Returns:
        (B, ..., 3); at the epipole, which has no line, the result is not finite.
    """
    check_last("uv_a", uv_a, 2)
    line = affine(F[..., :2], F[..., 2], uv_a)
    return line / torch.linalg.vector_norm(line[..., :2], dim=-1, keepdim=True)


def sampson_distance(F: Tensor, uv_a: Tensor, uv_b: Tensor, squared: bool = True) -> Tensor:
    """First-order distance in pixels (squared by default) of pairs (B, N, 2) from the epipolar constraint: (B, N)."""
    check_shape("uv_a", uv_a, None, None, 2)
    check_shape("uv_b", uv_b, *uv_a.shape)
    return kornia_epipolar.sampson_epipolar_distance(uv_a, uv_b, F, squared=squared)


def motion_from_essential(
    E: Tensor, uv_a: Tensor, uv_b: Tensor, camera_a: Camera, camera_b: Camera
) -> tuple[Tensor, Tensor]:
    """The one of E's four motions that puts most points in front of both cameras.

    Args:
        E: (B, 3, 3).
        uv_a, uv_b: (B, N, 2) pixels.

    Returns:
        T_b_a: (B, 4, 4) with |t| = 1.
        in_front: (B,) number of points in front of both; 0 means that no motion fits.
    """
    check_shape("E", E, None, 3, 3)
    check_undistorted("camera_a", camera_a)
    check_undistorted("camera_b", camera_b)
    K_a, K_b = (camera.K.expand(len(E), 3, 3).to(E) for camera in (camera_a, camera_b))
    R, t, _, in_front = kornia_epipolar.motion_from_essential_choose_solution(E, K_a, K_b, uv_a, uv_b)
    return motion(R, t[..., 0]), in_front
