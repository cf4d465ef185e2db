"""A lens's distortion taken out of pixels, pictures and everything that a keyframe holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenewright.geometry.camera import Camera
from scenewright.slam.lens import Lens
from scenewright.slam.types import Keyframe

CAMERA = Camera.from_parameters(64, 48, 50.0, 52.0, 31.0, 24.5)


def seen_at(pixels: np.ndarray, k1: float) -> np.ndarray:
    fx, fy, cx, cy = CAMERA.numbers
    ray = (pixels - [cx, cy]) / [fx, fy]
    return ray * (1 + k1 * (ray**2).sum(1, keepdims=True)) * [fx, fy] + [cx, cy]


@pytest.mark.parametrize("k1", [-0.1, 0.2])
def test_pixels_go_back_to_where_a_pinhole_sees_them(k1: float) -> None:
    pixels = np.random.default_rng(0).uniform([0, 0], [63, 47], (50, 2))
    np.testing.assert_allclose(Lens(CAMERA, k1).pixels(seen_at(pixels, k1)), pixels, atol=1e-6)
    assert Lens(CAMERA, k1).pixels(np.zeros((0, 2))).shape == (0, 2)


def test_pictures_and_values_are_read_where_the_lens_shows_them() -> None:
    y, x = np.mgrid[:48, :64]
    picture = np.stack([2 * x, 3 * y, x + y], -1).astype(np.uint8)
    straight = Lens(CAMERA, -0.1).picture(picture)
    at = np.array([[5.0, 40.0], [31.0, 24.0], [60.0, 3.0]])
    expected = seen_at(at, -0.1)
    for (u, v), (a, b) in zip(at.astype(int), expected):
        np.testing.assert_allclose(straight[v, u], [2 * a, 3 * b, a + b], atol=1)
    values = Lens(CAMERA, -0.1).values((10 + x).astype(np.float32))
    assert values.dtype == np.float32
    assert values[40, 5] == 10 + np.rint(expected[0, 0])
    many = Lens(CAMERA, -0.1).values(np.stack([x, y]).astype(np.float16))
    assert many.dtype == np.float16
    assert many[1, 40, 5] == np.rint(expected[0, 1])


def test_what_the_lens_did_not_see_is_unknown() -> None:
    depth = Lens(CAMERA, 0.3).values(np.ones((48, 64), np.float32))
    assert depth[0, 0] == 0
    assert depth[24, 31] == 1


def test_a_keyframe_is_straightened_as_a_whole() -> None:
    depth = np.full((48, 64), 2, np.float32)
    seen = np.full((48, 64), 3, np.uint16)
    k = Keyframe(
        0, 0, 0.0, np.full((48, 64, 3), 9, np.uint8), CAMERA, depth, 0.1 * depth, 2 * depth, seen, np.eye(4),
        0, np.zeros((2, 48, 64), np.float16), 0.3 * depth,
    )  # fmt: skip
    lens = Lens(CAMERA, 0.3)
    out = lens.keyframe(k)
    for name in ("depth_m", "variance", "depth_network_m", "observed", "sigma_log"):
        before, after = getattr(k, name), getattr(out, name)
        assert after.dtype == before.dtype
        assert after[0, 0] == 0
        assert after[24, 31] == before[24, 31]
    assert out.image.shape == (48, 64, 3)
    assert out.label_log_probabilities is not None
    assert out.camera is CAMERA
    assert lens.keyframe(replace(k, label_log_probabilities=None, sigma_log=None)).sigma_log is None
