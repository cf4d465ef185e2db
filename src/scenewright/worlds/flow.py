"""Exact correspondence between two views of one rigid world, from their depth maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds.model import Rendered

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

DEPTH_TOLERANCE = 0.01
"""Two depths of one surface, one of them interpolated, agree to this share."""

_EDGE = 1e-4  # pixels: rounding of a projection onto the border itself


def world_points(depth_m: Floats, camera: Camera, T_world_cam: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W, 3) world points of a depth map (H, W); pixels without depth give the camera's centre.

    Raises:
        InputError: the depth map has another size than the camera.
    """
    if depth_m.shape != camera.size:
        raise InputError("depth_m", f"shape {depth_m.shape}", f"the camera's size {camera.size}")
    fx, fy, cx, cy = camera.numbers
    y, x = np.mgrid[: camera.height, : camera.width]
    points = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(camera.size)], -1) * depth_m[..., None]
    return points @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]


def project(
    points: NDArray[np.float64], camera: Camera, T_world_cam: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel coordinates (..., 2) and z-depth (...) of world points (..., 3); NaN coordinates behind the camera."""
    fx, fy, cx, cy = camera.numbers
    local = (points - T_world_cam[:3, 3]) @ T_world_cam[:3, :3]
    z = local[..., 2]
    front = np.where(z > 1e-6, z, np.nan)
    return np.stack([fx * local[..., 0] / front + cx, fy * local[..., 1] / front + cy], -1), z


def rigid_flow(
    depth_m: Floats,
    camera_a: Camera,
    T_world_a: NDArray[np.float64],
    camera_b: Camera,
    T_world_b: NDArray[np.float64],
) -> tuple[Floats, Flags]:
    """Where each pixel of view a goes in view b.

    Returns:
        flow: (H, W, 2) float32, x and y in pixels (position in b minus position in a); 0 where not valid.
        valid: (H, W), the pixel has depth and its point lies in front of camera b (inside its picture or not).
    """
    target, z = project(world_points(depth_m, camera_a, T_world_a), camera_b, T_world_b)
    y, x = np.mgrid[: camera_a.height, : camera_a.width]
    valid = (depth_m > 0) & (z > 1e-6)
    flow = np.where(valid[..., None], target - np.stack([x, y], -1), 0)
    return flow.astype(np.float32), valid


def visible_in(
    depth_a: Floats,
    depth_b: Floats,
    camera_a: Camera,
    T_world_a: NDArray[np.float64],
    camera_b: Camera,
    T_world_b: NDArray[np.float64],
    tolerance: float = DEPTH_TOLERANCE,
) -> Flags:
    """(H, W): the point of each pixel of view a is inside view b and nothing lies in front of it there.

    The depth of b between its pixels is interpolated in inverse depth, which is exact on planes; beside a step, one of
    the four pixels around that agrees is enough.
    """
    target, z = project(world_points(depth_a, camera_a, T_world_a), camera_b, T_world_b)
    x, y = target[..., 0], target[..., 1]
    with np.errstate(invalid="ignore"):
        inside = (x > -_EDGE) & (y > -_EDGE) & (x < camera_b.width - 1 + _EDGE) & (y < camera_b.height - 1 + _EDGE)
    inside &= depth_a > 0
    x, y = (np.where(inside, c, 0.0).clip(0) for c in (x, y))
    x0 = np.minimum(x.astype(int), max(camera_b.width - 2, 0))
    y0 = np.minimum(y.astype(int), max(camera_b.height - 2, 0))
    ax, ay = x - x0, y - y0
    inverse = np.where(depth_b > 0, 1 / np.maximum(depth_b, 1e-6), 0.0)
    near_any, between = np.zeros(z.shape, bool), np.zeros(z.shape)
    for dx, dy, weight in ((0, 0, (1 - ax) * (1 - ay)), (1, 0, ax * (1 - ay)), (0, 1, (1 - ax) * ay), (1, 1, ax * ay)):
        there = inverse[np.minimum(y0 + dy, camera_b.height - 1), np.minimum(x0 + dx, camera_b.width - 1)]
        near_any |= np.abs(there * z - 1) < tolerance
        between += weight * there
    return inside & (near_any | (between * z <= 1 + tolerance))


def occluded(
    depth_a: Floats,
    depth_b: Floats,
    camera_a: Camera,
    T_world_a: NDArray[np.float64],
    camera_b: Camera,
    T_world_b: NDArray[np.float64],
    tolerance: float = DEPTH_TOLERANCE,
) -> Flags:
    """(H, W): the pixel of view a has depth, but view b does not see its point (hidden, behind it or outside)."""
    return (depth_a > 0) & ~visible_in(depth_a, depth_b, camera_a, T_world_a, camera_b, T_world_b, tolerance)


def same_surface(
    a: Rendered,
    b: Rendered,
    camera_a: Camera,
    T_world_a: NDArray[np.float64],
    camera_b: Camera,
    T_world_b: NDArray[np.float64],
) -> Flags:
    """(H, W): view b sees the point of each pixel of a, and its nearest pixel shows the same object, equally turned
    (normals within 25 degrees)."""
    seen = visible_in(a.depth_m, b.depth_m, camera_a, T_world_a, camera_b, T_world_b)
    target, _ = project(world_points(a.depth_m, camera_a, T_world_a), camera_b, T_world_b)
    near = np.rint(np.where(seen[..., None], target, 0)).astype(int)
    x, y = near[..., 0].clip(0, camera_b.width - 1), near[..., 1].clip(0, camera_b.height - 1)
    normal_a = a.normal_cam @ T_world_a[:3, :3].T
    normal_b = b.normal_cam @ T_world_b[:3, :3].T
    turned = (normal_a * normal_b[y, x]).sum(-1) > np.cos(np.deg2rad(25))
    return seen & (a.instances == b.instances[y, x]) & turned
