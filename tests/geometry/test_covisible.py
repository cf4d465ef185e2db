"""Places seen from two cameras: closed forms of walls, agreement with the camera model, who hides whom."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scenewright.geometry.camera import Camera
from scenewright.geometry.covisible import agrees, pixels, seen_share, transfer
from scenewright.geometry.projection import project_points, unproject_points

CAMERA = Camera.from_parameters(40, 30, 35.0, 36.0, 19.0, 15.5)
K = CAMERA.K.numpy()


def aside(metres: float) -> np.ndarray:
    """T_second_first of a camera `metres` to the right."""
    T = np.eye(4)
    T[0, 3] = -metres
    return T


def test_pixels_run_row_by_row_within_the_margin() -> None:
    assert pixels((3, 4)).tolist()[:5] == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1]]
    assert pixels((9, 12), 4, 2).tolist() == [[2, 2], [6, 2], [2, 6], [6, 6]]


def test_a_wall_moves_by_its_disparity() -> None:
    wall = np.full((30, 40), 2.0, np.float32)
    uv = pixels((30, 40))
    there, z = transfer(uv, wall, K, K, aside(0.4))
    np.testing.assert_allclose(there, uv - [35.0 * 0.4 / 2.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(z, 2.0)
    assert seen_share(wall, wall, K, aside(0.4), 0.02) == pytest.approx(33 / 40)  # 7 columns leave the picture


@given(st.integers(0, 2**31))
def test_the_camera_model_says_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rng.uniform(-0.4, 0.4, 3)).as_matrix()
    T[:3, 3] = rng.uniform(-0.5, 0.5, 3)
    depth = rng.uniform(1, 4, (30, 40)).astype(np.float32)
    uv = pixels((30, 40), 5)
    there, z = transfer(uv, depth, K, K, T)
    double = CAMERA.to(torch.float64)
    at = torch.from_numpy(uv.astype(np.float64))[None]
    points = unproject_points(at, torch.from_numpy(depth[uv[:, 1], uv[:, 0]].astype(np.float64))[None], double)[0]
    moved = points @ torch.from_numpy(T[:3, :3]).T + torch.from_numpy(T[:3, 3])
    expected, ahead = project_points(moved[None], double)
    good = z > 0.1
    np.testing.assert_allclose(there[good], expected[0].numpy()[good], atol=1e-6)
    np.testing.assert_allclose(z, ahead[0].numpy().ravel(), atol=1e-9)


def test_what_is_unknown_or_behind_lies_nowhere() -> None:
    depth = np.full((30, 40), 2.0, np.float32)
    depth[4, 7] = 0
    there, z = transfer(np.array([[7, 4], [8, 4]]), depth, K, K, np.eye(4))
    assert np.isnan(there).all(1).tolist() == [True, False]
    back = np.diag([-1.0, 1.0, -1.0, 1.0])
    there, z = transfer(np.array([[8, 4]]), depth, K, K, back)
    assert np.isnan(there).all()
    assert not agrees(there, z, depth, 0.02).any()


def test_what_something_nearer_hides_is_not_seen() -> None:
    wall = np.full((30, 40), 2.0, np.float32)
    box = wall.copy()
    box[10:20, 10:20] = 1.0
    there, z = transfer(pixels((30, 40)), wall, K, K, np.eye(4))
    seen = agrees(there, z, box, 0.02).reshape(30, 40)
    assert (~seen).sum() == 100
    assert not seen[10:20, 10:20].any()
    assert agrees(there, z, box, 0.6).all(), "as wide a tolerance sees through it"
    assert agrees(there, z, wall, 0.02, margin=3).sum() == 24 * 34
    assert not agrees(there, z, np.zeros_like(wall), 0.02).any()
    assert agrees(there, z, wall * 1.019, 0.02).all()
    assert not agrees(there, z, wall * 1.021, 0.02).any()
