"""Pinhole projection with radial-tangential distortion, both ways, and what follows from a depth map alone.

X = z * ray(u, v), ray = ((u - cx) / fx, (v - cy) / fy, 1) after undistortion; (u, v) = K distort(X / z).
Functions on points take (..., 3) with the coordinates last; functions on maps take (B, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_fits, check_last, check_shape
from scenewright.geometry.sampling import pixel_grid

MIN_DEPTH = 1e-3
"""Points nearer than this, or behind the camera, cannot be seen; they project as if they were this far away."""

NEWTON_STEPS = 20


# ---- points -------------------------------------------------------------------------------------------------------
def project_points(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Project points in camera axes onto the picture.

    Args:
        points: (B, ..., 3), or any (..., 3) for a single camera.
        camera: single, or a batch of B.

    Returns:
        uv: (B, ..., 2) pixels; finite even for points behind the camera, see `MIN_DEPTH`.
        z: (B, ...) depth; the point is in front of the camera where z > MIN_DEPTH.
    """
    check_last("points", points, 3)
    z = points[..., 2]
    xy = points[..., :2] / z.clamp(min=MIN_DEPTH)[..., None]
    if camera.distortion is not None:
        xy = distort(xy, camera.distortion)
    focal, centre = _intrinsics(camera, xy)
    return xy * focal + centre, z


def unproject_points(uv: Tensor, z: Tensor, camera: Camera) -> Tensor:
    """The points (B, ..., 3) in camera axes seen at pixels uv (B, ..., 2) at depth z (B, ...)."""
    return point_rays(uv, camera) * z[..., None]


def point_rays(uv: Tensor, camera: Camera) -> Tensor:
    """Viewing rays (B, ..., 3) with z = 1 of pixels uv (B, ..., 2)."""
    check_last("uv", uv, 2)
    focal, centre = _intrinsics(camera, uv)
    xy = (uv - centre) / focal
    if camera.distortion is not None:
        xy = undistort(xy, camera.distortion)
    return torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)


def _intrinsics(camera: Camera, uv: Tensor) -> tuple[Tensor, Tensor]:
    """(fx, fy) and (cx, cy), shaped to meet uv (B, ..., 2)."""
    fx, fy, cx, cy = camera.parameters
    if fx.ndim > 1 or fx.ndim >= uv.ndim:
        raise InputError("Camera.K", f"{tuple(camera.K.shape)} for points {tuple(uv.shape)}", "(3, 3) or (B, 3, 3)")
    shape = (*fx.shape, *[1] * (uv.ndim - 1 - fx.ndim), 2)
    return torch.stack([fx, fy], dim=-1).reshape(shape), torch.stack([cx, cy], dim=-1).reshape(shape)


# ---- lens distortion ----------------------------------------------------------------------------------------------
def distort(xy: Tensor, distortion: Tensor) -> Tensor:
    """Radial-tangential distortion of normalised image coordinates, as OpenCV defines it (Brown-Conrady).

    x_d = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2), y_d likewise with p1 and p2 swapped.

    Args:
        xy: (B, ..., 2) normalised coordinates X / Z, Y / Z.
        distortion: k1 k2 p1 p2 [k3], (4,), (5,), (B, 4) or (B, 5).

    Returns:
        (B, ..., 2).
    """
    x, y, r2, (k1, k2, p1, p2, k3) = _distortion_terms(xy, distortion)
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    x_d = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    y_d = y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
    return torch.stack([x_d, y_d], dim=-1)


def undistort(xy_distorted: Tensor, distortion: Tensor) -> Tensor:
    """The inverse of `distort`, by Newton's method; shapes as there.

    The last step carries the gradient: x = x* - J^-1 (distort(x*) - x_d) with x*, J held fixed has the value of the
    solution and, by the implicit function theorem, its derivative. Right wherever the lens model is one-to-one
    between the axis and the point; elsewhere no answer exists and the value is meaningless.
    """
    with torch.no_grad():
        xy = xy_distorted.clone()
        for _ in range(NEWTON_STEPS):
            step = _solve_distortion(xy, distortion, distort(xy, distortion) - xy_distorted)
            xy = xy - step
            if bool((step.abs() <= 4 * torch.finfo(xy.dtype).eps).all()):
                break
    return xy - _solve_distortion(xy, distortion.detach(), distort(xy, distortion) - xy_distorted)


def _solve_distortion(xy: Tensor, distortion: Tensor, residual: Tensor) -> Tensor:
    """J^-1 residual, J = d distort / d xy, which is symmetric."""
    x, y, r2, (k1, k2, p1, p2, k3) = _distortion_terms(xy, distortion)
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
    a = radial + slope * x * x + 2 * p1 * y + 6 * p2 * x
    b = slope * x * y + 2 * p1 * x + 2 * p2 * y
    c = radial + slope * y * y + 6 * p1 * y + 2 * p2 * x
    rx, ry = residual.unbind(-1)
    return torch.stack([c * rx - b * ry, a * ry - b * rx], dim=-1) / (a * c - b * b)[..., None]


def _distortion_terms(xy: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    check_last("xy", xy, 2)
    x, y = xy.unbind(-1)
    shape = (*distortion.shape[:-1], *[1] * (x.ndim - distortion.ndim + 1))
    k = [c.reshape(shape) for c in distortion.unbind(-1)]
    return x, y, x * x + y * y, (*k[:4], k[4] if len(k) == 5 else torch.zeros_like(k[0]))


# ---- maps ---------------------------------------------------------------------------------------------------------
def rays(camera: Camera) -> Tensor:
    """Viewing rays of all pixels with z = 1, (B, 3, H, W); B = 1 for a single camera."""
    uv = pixel_grid(camera.size, like=camera.K).expand(*(camera.K.shape[:-2] or (1,)), *camera.size, 2)
    return point_rays(uv, camera).movedim(-1, 1)


def backproject(depth_m: Tensor, camera: Camera) -> Tensor:
    """The points (B, 3, H, W) in camera axes of a depth map (B, 1, H, W); unknown depth 0 gives the point 0.

    Raises:
        InputError: the map's size is not the camera's.
    """
    check_fits("depth_m", depth_m, camera)
    return rays(camera) * depth_m


def project(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """`project_points` of a map (B, 3, H, W) -> uv (B, H, W, 2) and z (B, 1, H, W); any H, W."""
    check_shape("points", points, None, 3, None, None)
    uv, z = project_points(points.movedim(1, -1), camera)
    return uv, z[:, None]


def depth_to_ray_length(depth_m: Tensor, camera: Camera) -> Tensor:
    """z-depth (B, 1, H, W) -> distance along the viewing ray, same shape and unit."""
    check_fits("depth_m", depth_m, camera)
    return depth_m * torch.linalg.vector_norm(rays(camera), dim=1, keepdim=True)


def ray_length_to_depth(length_m: Tensor, camera: Camera) -> Tensor:
    """Distance along the viewing ray (B, 1, H, W) -> z-depth."""
    check_fits("length_m", length_m, camera)
    return length_m / torch.linalg.vector_norm(rays(camera), dim=1, keepdim=True)


def inverse_or_zero(x: Tensor) -> Tensor:
    """1 / x where x > 0, else 0, with finite gradients: depth <-> inverse depth with 0 = unknown on both sides."""
    known = x > 0
    return torch.where(known, 1 / torch.where(known, x, 1), 0)


def normals_from_depth(depth_m: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Surface normals by central differences of the back-projected points: dX/dv x dX/du, facing the camera.

    Args:
        depth_m: (B, 1, H, W), 0 = unknown.

    Returns:
        normal_cam: (B, 3, H, W) unit normals in camera axes, 0 where not valid.
        valid: (B, 1, H, W) bool: not on the border, and depth known at the pixel and its four neighbours.
    """
    points = backproject(depth_m, camera)
    du = points[..., 1:-1, 2:] - points[..., 1:-1, :-2]
    dv = points[..., 2:, 1:-1] - points[..., :-2, 1:-1]
    known = depth_m > 0
    inner = known[..., 1:-1, 1:-1] & known[..., 1:-1, 2:] & known[..., 1:-1, :-2]
    inner = inner & known[..., 2:, 1:-1] & known[..., :-2, 1:-1]
    normal = torch.linalg.cross(torch.where(inner, dv, 1.0), torch.where(inner, du, 1.0), dim=1)
    length = torch.linalg.vector_norm(normal, dim=1, keepdim=True)
    inner = inner & (length > 0)
    normal = torch.where(inner, normal / torch.where(inner, length, 1.0), 0.0)
    pad = (1, 1, 1, 1)
    return torch.nn.functional.pad(normal, pad), torch.nn.functional.pad(inner, pad)
