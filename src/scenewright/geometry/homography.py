"""Plane-to-plane maps. `H_source_target` (..., 3, 3) maps target pixels to source pixels, as `T_source_target` does
points; warping a source picture into the target samples it at H_source_target (u, v, 1)."""

from __future__ import annotations

import torch
from kornia.geometry import transform as kornia_transform
from kornia.geometry.homography import find_homography_dlt
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_last, check_shape, check_undistorted
from scenewright.geometry.lie import affine
from scenewright.geometry.sampling import Mode, Padding, pixel_grid, sample_at

MIN_W = 1e-6
"""Points whose homogeneous coordinate is not above this lie at or beyond the horizon of the map."""


def homography_from_plane(
    camera_target: Camera, camera_source: Camera, T_source_target: Tensor, normal: Tensor, distance: Tensor
) -> Tensor:
    """H = K_s (R + t n' / d) K_t^-1 of the plane n . X_t = d in target axes (Hartley & Zisserman 13.1).

    Args:
        camera_target, camera_source: undistorted, single or batches of B.
        T_source_target: (4, 4) or (B, 4, 4).
        normal: (3,) or (B, 3); (0, 0, 1) for planes parallel to the target's picture.
        distance: (...) or (B, ...) > 0, any number of planes; its shape leads the result's.

    Returns:
        (*distance.shape, 3, 3), where the last coordinate of H (u, v, 1) is z_source / z_target.
    """
    check_undistorted("camera_target", camera_target)
    check_undistorted("camera_source", camera_source)
    check_last("T_source_target", T_source_target, 4, 4)
    check_last("normal", normal, 3)
    R, t = T_source_target[..., :3, :3], T_source_target[..., :3, 3]
    K_s, K_t_inverse = camera_source.K, torch.linalg.inv(camera_target.K)
    at_infinity, towards = K_s @ R @ K_t_inverse, K_s @ (t[..., :, None] * normal[..., None, :]) @ K_t_inverse

    def meet_planes(M: Tensor) -> Tensor:
        if M.ndim == 2:
            return M
        if distance.ndim and 1 not in (len(M), len(distance)) and len(M) != len(distance):
            raise InputError(
                "distance", f"shape {tuple(distance.shape)}", f"({len(M)}, ...) as the cameras and motions"
            )
        return M.reshape(-1, *[1] * (distance.ndim - 1), 3, 3)

    return meet_planes(at_infinity) + meet_planes(towards) / distance[..., None, None]


def apply_homography(H: Tensor, uv: Tensor) -> tuple[Tensor, Tensor]:
    """Map points (B, ..., 2) by (3, 3) or (B, 3, 3).

    Returns:
        uv: (B, ..., 2), finite everywhere.
        ahead: (B, ...) bool, False at and beyond the horizon (homogeneous coordinate <= `MIN_W`), where the map is
            meaningless.
    """
    check_last("H", H, 3, 3)
    check_last("uv", uv, 2)
    x = affine(H[..., :2], H[..., 2], uv)
    w = x[..., 2]
    ahead = w > MIN_W
    return x[..., :2] / torch.where(ahead, w, 1)[..., None], ahead


def warp_homography(
    source: Tensor,
    H_source_target: Tensor,
    size: tuple[int, int] | None = None,
    mode: Mode = "bilinear",
    padding: Padding = "zeros",
) -> tuple[Tensor, Tensor]:
    """The source picture in target pixels.

    Args:
        source: (B, C, H, W).
        H_source_target: (3, 3) or (B, 3, 3).
        size: (H', W') of the result; the source's if None.

    Returns:
        image: (B, C, H', W'), 0 beyond the horizon.
        valid: (B, 1, H', W') bool.
    """
    check_shape("source", source, None, None, None, None)
    grid = pixel_grid(size or (source.shape[-2], source.shape[-1]), like=H_source_target)[None]
    uv, ahead = apply_homography(H_source_target, grid)
    image, inside = sample_at(source, uv, mode, padding)
    ahead = ahead[:, None]
    return torch.where(ahead, image, 0), inside & ahead


def homography_from_points(points_target: Tensor, points_source: Tensor, weights: Tensor | None = None) -> Tensor:
    """H_source_target (B, 3, 3), last entry 1, from four point pairs exactly, from more by least squares (DLT).

    Args:
        points_target, points_source: (B, N, 2) pixels, N >= 4.
        weights: (B, N) >= 0, of each pair's squared algebraic error; only with N > 4.

    Raises:
        InputError: fewer than four pairs, or points that fix no homography (three of four on a line).
    """
    check_shape("points_target", points_target, None, None, 2)
    check_shape("points_source", points_source, *points_target.shape)
    count = points_target.shape[1]
    if count < 4 or (count == 4 and weights is not None):
        raise InputError("points", f"{count} pairs, weights {weights is not None}", "4 pairs, or more with weights")
    _refuse_degenerate(points_target.detach(), weights)
    _refuse_degenerate(points_source.detach(), weights)
    if count == 4:
        return kornia_transform.get_perspective_transform(points_target, points_source)
    return find_homography_dlt(points_target, points_source, weights)


def _refuse_degenerate(points: Tensor, weights: Tensor | None) -> None:
    """Refuse points (B, N, 2) that other maps than the identity keep in place: their linear system lacks rank 8."""
    xy = apply_homography(_unit_frame(points), points)[0]
    x = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)
    zero = torch.zeros_like(x)
    rows = [torch.cat([x, zero, -xy[..., :1] * x], dim=-1), torch.cat([zero, x, -xy[..., 1:] * x], dim=-1)]
    system = torch.nan_to_num(torch.cat(rows, dim=1))
    if weights is not None:
        system = system * weights.detach().sqrt().repeat(1, 2)[..., None]
    spread = torch.linalg.svdvals(system)
    if not bool((spread[:, 7] > 100 * torch.finfo(points.dtype).eps * spread[:, 0]).all()):
        raise InputError("points", "a degenerate set (on one line, or repeated)", "four points in general position")


def normalising_transform(height: int, width: int, like: Tensor) -> Tensor:
    """N (3, 3) that maps pixels to [-1, 1] at the outermost pixel centres; a map on those is N H N^-1."""
    sx, sy = 2 / max(width - 1, 1), 2 / max(height - 1, 1)
    return like.new_tensor([[sx, 0, -1], [0, sy, -1], [0, 0, 1]])


def _unit_frame(points: Tensor) -> Tensor:
    centre = points.mean(1)
    scale = 1 / (points - centre[:, None]).square().sum(-1).mean(1).sqrt().clamp(min=torch.finfo(points.dtype).tiny)
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    rows = [scale, zero, -scale * centre[:, 0], zero, scale, -scale * centre[:, 1], zero, zero, one]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
