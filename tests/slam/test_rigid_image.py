"""Rigid motions, pictures, gradients and exposure: closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.geometry.camera import Camera
from scenewright.slam import image, rigid
from scenewright.slam.exposure import Exposure, from_moments

numbers = st.floats(-1.5, 1.5)
twists = st.lists(numbers, min_size=6, max_size=6).map(np.array)


@given(twists)
@settings(max_examples=60, deadline=None)
def test_exp_is_the_matrix_exponential_and_log_its_inverse(twist: np.ndarray) -> None:
    rho, (a, b, c) = twist[:3], twist[3:]
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3] = torch.tensor([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    generator[:3, 3] = torch.tensor(rho)
    np.testing.assert_allclose(rigid.exp(twist), torch.matrix_exp(generator).numpy(), atol=1e-9)
    np.testing.assert_allclose(rigid.log(rigid.exp(twist)), twist, atol=1e-8)


@given(twists)
@settings(max_examples=30, deadline=None)
def test_inverse_and_orthonormalise(twist: np.ndarray) -> None:
    T = rigid.exp(twist)
    np.testing.assert_allclose(rigid.inverse(T) @ T, np.eye(4), atol=1e-12)
    worn = T.copy()
    worn[:3, :3] *= 1.01
    np.testing.assert_allclose(rigid.orthonormalise(worn), T, atol=1e-12)


def test_nearest_rotations_are_proper_and_each_its_own() -> None:
    rng = np.random.default_rng(1)
    R = np.array([rigid.exp(rng.normal(size=6))[:3, :3] for _ in range(5)])
    worn = R + rng.normal(0, 1e-9, R.shape)
    np.testing.assert_allclose(rigid.nearest_rotations(worn), R, atol=1e-8)
    mirrored = rigid.nearest_rotations(R * np.array([1, 1, -1.0]))
    np.testing.assert_allclose(np.linalg.det(mirrored), 1.0, atol=1e-12)
    assert rigid.nearest_rotations(R[:0]).shape == (0, 3, 3)


def test_long_products_stay_rigid_only_through_orthonormalise() -> None:
    T = rigid.exp(np.array([0.01, 0.02, 0.03, 0.1, 0.05, 0.02]))
    T[:3, :3] *= 1 + 1e-12
    plain = kept = T
    for _ in range(8):  # X^-1-by-transpose turns a scale error e into -(-e): it doubles
        plain = rigid.inverse(rigid.inverse(plain) @ rigid.inverse(plain)) @ rigid.inverse(plain)
        kept = rigid.orthonormalise(rigid.inverse(rigid.inverse(kept) @ rigid.inverse(kept)) @ rigid.inverse(kept))
    assert abs(np.linalg.det(kept[:3, :3]) - 1) < 1e-12
    assert abs(np.linalg.det(plain[:3, :3]) - 1) > 1e-9


def test_intrinsics_of_a_level_see_the_same_ray() -> None:
    K = image.Intrinsics(300.0, 310.0, 159.5, 119.5)
    half = K.level(1)
    u, v = 41.0, 33.0  # centre of a coarse pixel: between fine pixels 82 and 83
    assert (u - half.cx) / half.fx == pytest.approx((82.5 - K.cx) / K.fx)
    assert (v - half.cy) / half.fy == pytest.approx((66.5 - K.cy) / K.fy)
    np.testing.assert_allclose(half.matrix(), [[half.fx, 0, half.cx], [0, half.fy, half.cy], [0, 0, 1]])


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 480), (320, 240)), ((360, 240), (320, 213)), ((90, 160), (90, 160))]
)
def test_working_camera_and_resize(size: tuple[int, int], expected: tuple[int, int]) -> None:
    camera = Camera.from_fov(*size, 60.0)
    small = image.working_camera(camera, 320)
    assert (small.width, small.height) == expected
    picture = image.resize(np.full((size[1], size[0], 3), 77, np.uint8), small)
    assert picture.shape == (*small.size, 3)
    assert (picture == 77).all()


def test_halve_is_the_mean_of_four_and_drops_the_odd_row() -> None:
    picture = np.arange(35, dtype=np.float32).reshape(5, 7)
    expected = picture[:4, :6].reshape(2, 2, 3, 2).mean((1, 3))
    np.testing.assert_allclose(image.halve(picture), expected)


def test_gradients_of_a_ramp() -> None:
    y, x = np.mgrid[:8, :9].astype(np.float32)
    gx, gy = image.gradients(3 * x - 2 * y)
    assert (gx[1:-1, 1:-1] == 3).all()
    assert (gy[1:-1, 1:-1] == -2).all()
    assert gx[0].max() == gx[:, 0].max() == 0


def test_pyramid_stops_before_it_vanishes_and_max_gradient_spreads_by_one() -> None:
    picture = np.zeros((60, 60), np.float32)
    picture[:, 30:] = 100
    levels = image.pyramid(picture, image.Intrinsics(50, 50, 29.5, 29.5), 9)
    assert [level.image.shape[:2] for level in levels] == [(60, 60), (30, 30)]
    spread = image.max_gradient(levels[0])
    assert (spread[5, 28:32] == 50).all()
    assert spread[5, 27] == spread[5, 32] == 0  # two pixels see the step, their neighbours take it over
    assert image.sharpness(image.pyramid(picture * 0, levels[0].intrinsics, 1)[0]) == 0


def _moments(k: np.ndarray, t: np.ndarray) -> np.ndarray:
    return np.array([len(k), k.sum(), t.sum(), (k * k).sum(), (t * t).sum()], float)


def test_exposure_from_moments() -> None:
    k = np.random.default_rng(0).uniform(20, 180, 500)
    found = from_moments(_moments(k, 1.3 * k + 12))
    assert found is not None
    np.testing.assert_allclose(found, Exposure(1.3, 12), atol=1e-6)
    assert from_moments(_moments(np.full(9, 50.0), np.full(9, 50.0))) is None  # no contrast
    assert from_moments(np.zeros(5)) is None
