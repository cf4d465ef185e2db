"""Rigid motions as (4, 4) float64 arrays. Twists are (translation, rotation); see docs of `scenewright.geometry`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def _cross(v: Array) -> Array:
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


def exp(twist: Array) -> Array:
    """The motion of a twist (6,): T = exp([rho, omega]), with t = V rho."""
    rho, omega = np.asarray(twist[:3], float), np.asarray(twist[3:], float)
    angle = float(np.linalg.norm(omega))
    W = _cross(omega)
    if angle < 1e-5:
        b, c = 0.5 - angle**2 / 24, 1 / 6 - angle**2 / 120
    else:
        b, c = (1 - np.cos(angle)) / angle**2, (angle - np.sin(angle)) / angle**3
    T = np.eye(4)
    T[:3, :3] = np.eye(3) + (1 - c * angle**2) * W + b * W @ W
    T[:3, 3] = (np.eye(3) + b * W + c * W @ W) @ rho
    return T


def log(T: Array) -> Array:
    """The twist (6,) of a motion; the inverse of `exp` for angles below pi."""
    omega = Rotation.from_matrix(T[:3, :3]).as_rotvec()
    angle = float(np.linalg.norm(omega))
    W = _cross(omega)
    if angle < 1e-5:
        c = 1 / 12 + angle**2 / 720
    else:
        c = (1 - angle * np.sin(angle) / (2 * (1 - np.cos(angle)))) / angle**2
    return np.concatenate([(np.eye(3) - W / 2 + c * W @ W) @ T[:3, 3], omega])


def inverse(T: Array) -> Array:
    """The inverse motion."""
    out = np.eye(4)
    out[:3, :3] = T[:3, :3].T
    out[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return out


def from_rotation(R: Array, t: Array) -> Array:
    """The motion X -> R X + t."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, np.reshape(t, 3)
    return T


def orthonormalise(T: Array) -> Array:
    """The nearest motion to a nearly rigid (3, 4) or (4, 4) matrix.

    Products must pass through here: `inverse` transposes, so that a scale error of R would double at every turn.
    """
    return from_rotation(nearest_rotations(T[None, :3, :3])[0], T[:3, 3])


def nearest_rotations(R: Array) -> Array:
    """The rotations nearest to nearly rigid matrices, (N, 3, 3)."""
    U, _, Vt = np.linalg.svd(R)
    U[:, :, 2] *= np.linalg.det(U @ Vt)[:, None]
    return np.asarray(U @ Vt)
