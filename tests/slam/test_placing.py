"""Placing a camera against points of uncertain depth: exact without noise, better than unweighted with it, honest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenewright.features.robust import absolute_pose
from scenewright.geometry.camera import Camera
from scenewright.slam import placing
from scenewright.slam.placing import RayPoints, place

CAMERA = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)


def truth() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_rotvec([0.05, -0.2, 0.1]).as_matrix(), [0.4, -0.1, 0.3]
    return T


def project(T: np.ndarray, X: np.ndarray) -> np.ndarray:
    fx, fy, cx, cy = CAMERA.numbers
    x, y, z = (X @ T[:3, :3].T + T[:3, 3]).T
    return np.stack([fx * x / z + cx, fy * y / z + cy], 1)


def world(
    rng: np.random.Generator, sd_log: float, sd_group: float = 0.0, count: int = 120
) -> tuple[RayPoints, np.ndarray]:
    """Points measured from three cameras with errors along their rays, and the true points."""
    count = 120
    X = rng.uniform([-1.5, -1, 2], [1.5, 1, 5], (count, 3))
    group = np.arange(count) % 3
    origin = np.array([[0, 0, 0], [-0.8, 0.1, 0.2], [0.3, -0.4, 0.5]])[group]
    error = rng.normal(0, sd_log, count) + rng.normal(0, sd_group, 3)[group]
    return RayPoints(
        origin + np.exp(error)[:, None] * (X - origin), origin, np.full(count, max(sd_log, 1e-3)), group
    ), X


def moved(T: np.ndarray) -> np.ndarray:
    step = np.eye(4)
    step[:3, :3], step[:3, 3] = Rotation.from_rotvec([0.03, 0.02, -0.03]).as_matrix(), [0.05, -0.04, 0.06]
    return step @ T


def test_exact_measurements_give_the_exact_pose() -> None:
    points, X = world(np.random.default_rng(0), 0.0)
    found = place(moved(truth()), points, project(truth(), X), CAMERA, iterations=30)
    np.testing.assert_allclose(found.T_cam_world, truth(), atol=1e-6)
    assert found.fits.all()


def test_derivatives_are_those_of_differences() -> None:
    points, X = world(np.random.default_rng(1), 0.1)
    xy, T, scale = project(truth(), X), truth(), np.array([0.02, -0.03, 0.01])
    r, J, g = placing._linearised(T, points, scale, xy, CAMERA)
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-6
        shifted = placing._linearised(placing._moved(T, step), points, scale, xy, CAMERA)[0]
        np.testing.assert_allclose((shifted - r) / 1e-6, J[:, :, k], rtol=1e-3, atol=1e-2)
    shifted = placing._linearised(T, points, scale + 1e-6, xy, CAMERA)[0]
    np.testing.assert_allclose((shifted - r) / 1e-6, g, rtol=1e-3, atol=1e-2)


def errors(T: np.ndarray) -> np.ndarray:
    """The left twist from the true pose to an estimate, to first order."""
    delta = T @ np.linalg.inv(truth())
    return np.concatenate([delta[:3, 3], Rotation.from_matrix(delta[:3, :3]).as_rotvec()])


def test_it_beats_pnp_and_its_covariance_is_honest() -> None:
    """Depths 10 % wrong, a fifth of the matches false: the scatter over repetitions is what the covariance says."""
    rng, found, plain, said = np.random.default_rng(2), [], [], []
    for _ in range(40):
        points, X = world(rng, 0.1, 0.04)
        xy = project(truth(), X) + rng.normal(0, 0.7, (len(X), 2))
        xy[:24] = rng.uniform([0, 0], [319, 239], (24, 2))
        placed = place(moved(truth()), points, xy, CAMERA, 0.7, 0.05, iterations=20)
        pnp = absolute_pose(points.xyz, xy, CAMERA)
        assert pnp is not None
        found.append(errors(placed.T_cam_world))
        plain.append(errors(pnp.T_cam_world))
        said.append(np.diag(placed.covariance))
        assert placed.fits[24:].mean() > 0.8
        assert placed.fits[:24].mean() < 0.3
    measured, predicted = np.mean(np.square(found), 0), np.mean(said, 0)
    assert np.sqrt(measured[:3].sum()) < 0.8 * np.sqrt(np.mean(np.square(plain), 0)[:3].sum())
    assert (measured / predicted < 2.5).all()
    assert (measured / predicted > 0.4).all()


@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_a_coarser_picture_is_less_certain(sd: float) -> None:
    points, X = world(np.random.default_rng(3), 0.02)
    xy = project(truth(), X)
    fine, coarse = (place(truth(), points, xy, CAMERA, s).covariance for s in (sd, 2 * sd))
    assert (np.diag(coarse) > 1.2 * np.diag(fine)).all()
