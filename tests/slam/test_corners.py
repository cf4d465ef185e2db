"""Where corners are, and where noise only looks like some."""

from __future__ import annotations

import numpy as np
import pytest

from scenewright.slam import corners


def picture(noise: float) -> np.ndarray:
    """A bright square on a plain wall, (240, 320) uint8."""
    wall = np.full((240, 320), 90.0)
    wall[100:140, 120:180] = 200
    return np.clip(wall + np.random.default_rng(0).normal(0, noise, wall.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.0, 2.0, 4.0])
def test_noise_on_a_plain_wall_is_hardly_ever_a_corner(noise: float) -> None:
    found = corners.detect(picture(noise), 300, 10).pixels
    true = np.array([[120, 100], [179, 100], [120, 139], [179, 139]])
    away = np.linalg.norm(found[:, None] - true, axis=2)
    assert (away.min(0) < 2.0).all()
    along = (np.abs(found[:, 0] - 149.5) < 32) & (np.abs(found[:, 1] - 119.5) < 22)  # noise may notch its sides
    assert (~along).sum() <= 3  # of 300 that were asked for


def test_a_picture_without_a_plain_surface_keeps_its_corners() -> None:
    texture = np.kron(np.random.default_rng(1).integers(0, 256, (30, 40)), np.ones((8, 8))).astype(np.uint8)
    assert len(corners.detect(texture, 200, 10).pixels) > 190


def test_a_blank_picture_has_none() -> None:
    assert len(corners.detect(np.full((240, 320), 128, np.uint8), 300, 10).pixels) == 0
    assert corners.weak(np.zeros((240, 320), np.uint8)).all()
