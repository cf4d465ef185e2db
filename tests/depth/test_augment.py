"""Augmented views must stay geometrically true: the camera of the result explains its pixels."""

import numpy as np
import pytest
import torch

from scenewright.data.colours import vary_colours
from scenewright.depth.augment import Augmentation, augment
from scenewright.depth.baselines import MeanMap
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera


def directions_image(camera: Camera) -> np.ndarray:
    """A picture whose red and green are the tangents of each pixel's ray, so that any view of it reveals its camera."""
    fx, fy, cx, cy = camera.numbers
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    tangents = np.stack([(u - cx) / fx, (v - cy) / fy, np.zeros_like(u, float)], -1)
    return np.clip(127.5 + 127.5 * tangents, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_camera_of_a_window_explains_its_rays(seed: int) -> None:
    camera = Camera.from_fov(240, 180, 60.0)
    how = Augmentation((96, 72), zoom=(0.6, 0.9), roll_deg=0.0, photometric=0.0)
    depth = np.full((180, 240), 2.0, np.float32)
    sample = augment(directions_image(camera), depth, None, camera, how, np.random.default_rng(seed))
    fx, fy, cx, cy = sample.camera.numbers
    u, v = np.meshgrid(np.arange(96), np.arange(72))
    seen = (sample.image.numpy() * 255 - 127.5) / 127.5
    sign = np.sign(seen[0, 36, -1] - seen[0, 36, 0])  # a mirrored view sees the tangents mirrored, too
    np.testing.assert_allclose(sign * seen[0], (u - cx) / fx, atol=0.012)  # 8-bit colours: 1/127
    np.testing.assert_allclose(seen[1], (v - cy) / fy, atol=0.012)
    assert float(sample.depth_m.min()) == 2.0


def test_labels_and_depth_move_together() -> None:
    camera = Camera.from_fov(240, 180, 60.0)
    depth = np.ones((180, 240), np.float32)
    depth[:, 120:] = 3
    labels = (depth > 2).astype(np.uint8) + 1
    image = np.zeros((180, 240, 3), np.uint8)
    for seed in range(10):
        sample = augment(image, depth, labels, camera, Augmentation((96, 72)), np.random.default_rng(seed))
        known = sample.depth_m[0] > 0
        assert sample.labels is not None
        assert torch.equal(sample.labels[known], (sample.depth_m[0][known] > 2).long() + 1)


def test_same_seed_same_bytes_and_range() -> None:
    image = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    for seed in range(60):
        a = vary_colours(image, 1.0, np.random.default_rng(seed))
        b = vary_colours(image, 1.0, np.random.default_rng(seed))
        assert np.array_equal(a, b)
        assert a.dtype == np.float32
        assert a.min() >= 0
        assert a.max() <= 1


def test_strength_zero_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(vary_colours(image, 0.0, np.random.default_rng(0)), image.astype(np.float32) / 255)


def test_mean_map_ignores_holes() -> None:
    a, b = np.full((36, 48), 2.0, np.float32), np.full((36, 48), 4.0, np.float32)
    b[:18] = 0
    mean = MeanMap().fit([a, b]).predict((36, 48))
    assert mean[0, 0] == pytest.approx(2)
    assert mean[-1, 0] == pytest.approx(3)
    with pytest.raises(InputError):
        MeanMap().predict((4, 4))
