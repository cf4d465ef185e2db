"""Bringing a depth map from the camera that measured it into the camera that took the photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera


def register_depth(
    depth_m: NDArray[np.float32], depth_camera: Camera, camera: Camera, T_cam_depth: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Project every measured point into another camera; of several in one pixel the nearest stays.

    Args:
        depth_m: (H, W) metres, 0 = unknown, of `depth_camera`.
        depth_camera: the undistorted camera of the measurements.
        camera: the undistorted camera wanted, of any size.
        T_cam_depth: (4, 4), maps points of the depth camera to points of `camera`.

    Returns:
        (H', W') float32 z-depth in metres of `camera`, 0 where no point falls.
    """
    v, u = np.nonzero(depth_m > 0)
    z = depth_m[v, u].astype(np.float64)
    fx, fy, cx, cy = depth_camera.numbers
    points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z]).T @ T_cam_depth[:3, :3].T + T_cam_depth[:3, 3]
    points = points[points[:, 2] > 1e-6]
    fx, fy, cx, cy = camera.numbers
    column = np.rint(points[:, 0] / points[:, 2] * fx + cx)
    row = np.rint(points[:, 1] / points[:, 2] * fy + cy)
    seen = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    pixel = row[seen].astype(np.int64) * camera.width + column[seen].astype(np.int64)
    nearest_last = np.argsort(-points[seen, 2], kind="stable")  # a later assignment overwrites an earlier one
    registered = np.zeros(camera.height * camera.width, np.float32)
    registered[pixel[nearest_last]] = points[seen, 2][nearest_last]
    return registered.reshape(camera.size)
