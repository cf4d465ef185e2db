"""A camera placed against points whose depth is uncertain, and how certain that makes it.

A point measured in a keyframe lies on a ray that is known to a fraction of a pixel, at a distance that is known to some
percent only. Seen from elsewhere that is an ellipse along the epipolar line. Weighing the reprojection error by it lets
each match say what it knows: across the line a direction, along it as much as the depth deserves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scenewright.geometry.camera import Camera

Array = NDArray[np.float64]
CHI2_99 = 9.21
"""99 % of a two-dimensional error's squared Mahalanobis lengths are below."""


@dataclass(frozen=True)
class RayPoints:
    """Points measured from keyframes.

    Args:
        xyz: (N, 3) world. origin: (N, 3) centres of the cameras that measured them.
        sd_log: (N,) standard deviation of the log of their distances from there.
        group: (N,) int64 from 0: which keyframe measured it; the errors of one keyframe share a scale.
    """

    xyz: Array
    origin: Array
    sd_log: Array
    group: NDArray[np.int64]


@dataclass(frozen=True)
class Placed:
    """T_cam_world (4, 4); covariance (6, 6) of its left twist, translation first, in camera axes; which points fit."""

    T_cam_world: Array
    covariance: Array
    fits: NDArray[np.bool_]


def place(
    T_cam_world: Array, points: RayPoints, xy: Array, camera: Camera, sd_px: float = 1.0, sd_group: float = 0.05,
    iterations: int = 10,
) -> Placed:  # fmt: skip
    """Refine a pose by Gauss-Newton over the pose and one log scale per keyframe (standard deviation `sd_group`).

    Args:
        T_cam_world: (4, 4) start. xy: (N, 2) pixels where the points are seen. sd_px: of these.

    Residuals r with covariance sd_px^2 I + sd_log^2 g g^T, g the pixel's derivative by the log distance; weights
    1 / (1 + d^2 / 4)^2 of the squared Mahalanobis length d^2 (Geman & McClure 1987) take the power from wrong matches.
    """
    T, scale = T_cam_world.copy(), np.zeros(int(points.group.max(initial=-1)) + 1)
    for _ in range(iterations):
        residual, J, g = _linearised(T, points, scale, xy, camera)
        information = np.linalg.inv(
            sd_px**2 * np.eye(2) + points.sd_log[:, None, None] ** 2 * g[:, :, None] * g[:, None]
        )
        squared = np.einsum("ni,nij,nj->n", residual, information, residual)
        weighted = information / ((1 + squared / 4) ** 2)[:, None, None]
        H, b = _normal_equations(residual, J, g, weighted, points.group, scale, sd_group)
        step: Array = -np.asarray(np.linalg.solve(H, b), np.float64)
        T, scale = _moved(T, step[:6]), scale + step[6:]
        if np.abs(step).max() < 1e-6:
            break
    dof = max(2 * int((squared < CHI2_99).sum()) - 6, 1)
    spread = max(float((squared[squared < CHI2_99]).sum()) / dof, 1.0)  # errors beyond the model widen the answer
    return Placed(T, np.asarray(spread * np.linalg.inv(H)[:6, :6], np.float64), squared < CHI2_99)


def _linearised(T: Array, points: RayPoints, scale: Array, xy: Array, camera: Camera) -> tuple[Array, Array, Array]:
    """Residuals (N, 2), and their derivatives by the pose's left twist (N, 2, 6) and by the log distance (N, 2)."""
    fx, fy, cx, cy = camera.numbers
    ray = (points.xyz - points.origin) * np.exp(scale)[points.group, None]
    X = (points.origin + ray) @ T[:3, :3].T + T[:3, 3]
    x, y, z = X[:, 0], X[:, 1], np.maximum(X[:, 2], 1e-2)
    residual = np.stack([fx * x / z + cx, fy * y / z + cy], 1) - xy
    by_point = np.zeros((len(X), 2, 3))
    by_point[:, 0, 0], by_point[:, 0, 2] = fx / z, -fx * x / z**2
    by_point[:, 1, 1], by_point[:, 1, 2] = fy / z, -fy * y / z**2
    turn = np.cross(np.eye(3)[None], X[:, None])  # row k: e_k x X, how a turn about axis k moves the point
    J = np.concatenate([by_point, np.einsum("nij,nkj->nik", by_point, turn)], 2)
    return residual, J, np.einsum("nij,nj->ni", by_point, ray @ T[:3, :3].T)


def _normal_equations(
    residual: Array, J: Array, g: Array, weight: Array, group: NDArray[np.int64], scale: Array, sd_group: float
) -> tuple[Array, Array]:
    full = np.zeros((len(J), 2, 6 + len(scale)))
    full[:, :, :6] = J
    full[np.arange(len(J)), :, 6 + group] = g
    half = (weight @ full).reshape(2 * len(J), -1)
    H, b = full.reshape(2 * len(J), -1).T @ half, residual.ravel() @ half
    prior = np.diag([1e-9] * 6 + [sd_group**-2] * len(scale))
    b[6:] += scale / sd_group**2
    return H + prior, b


def _moved(T: Array, twist: Array) -> Array:
    out = np.eye(4)
    R = Rotation.from_rotvec(twist[3:]).as_matrix()
    out[:3, :3], out[:3, 3] = R @ T[:3, :3], R @ T[:3, 3] + twist[:3]
    return out
