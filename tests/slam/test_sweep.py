"""The sweep: wrong depths come right where pictures say so, and stay where they say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenewright.slam.config import SweepConfig
from scenewright.slam.sweep import best_factor, neighbours, offsets, sweep
from scenewright.slam.types import Keyframe
from slam_room import BoxRoom, look

CONFIG = SweepConfig()
POSES = [look(2.0 + 0.12 * k, 1.3, 0.6 + 0.02 * k, 2.0 * k, -8.0) for k in range(5)]


def views(factor: np.ndarray | float) -> tuple[list[Keyframe], list[np.ndarray]]:
    """Keyframes whose depth is wrong by a factor, and the true depths."""
    room = BoxRoom(1)
    keyframes = [room.keyframe(k, T) for k, T in enumerate(POSES)]
    truths = [k.depth_m for k in keyframes]
    return [replace(k, depth_m=(k.depth_m * factor).astype(np.float32)) for k in keyframes], truths


def errors(keyframes: list[Keyframe], truths: list[np.ndarray], factors: list[np.ndarray]) -> np.ndarray:
    inner = (slice(10, -10), slice(15, -15))
    return np.stack([np.abs(np.log(k.depth_m / t) + f)[inner] for k, t, f in zip(keyframes, truths, factors)])


def test_smooth_errors_are_taken_back() -> None:
    y, x = np.mgrid[:120, :160]
    wrong = np.exp(0.12 * np.sin(x / 25.0) * np.cos(y / 30.0))
    keyframes, truths = views(wrong)
    before = errors(keyframes, truths, [np.zeros((120, 160))] * 5)
    after = errors(keyframes, truths, sweep(keyframes, CONFIG))
    assert np.median(before) > 0.05
    assert np.median(after) < 0.4 * np.median(before)
    assert (after < 0.05).mean() > 0.85


def test_right_depths_stay() -> None:
    keyframes, truths = views(1.0)
    assert np.median(errors(keyframes, truths, sweep(keyframes, CONFIG))) < 0.006


def test_order_does_not_matter() -> None:
    keyframes, _ = views(1.1)
    for a, b in zip(sweep(keyframes, CONFIG), sweep(keyframes[::-1], CONFIG)[::-1]):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_blank_pictures_say_nothing() -> None:
    keyframes, _ = views(1.1)
    blank = [replace(k, image=np.full_like(k.image, 90)) for k in keyframes]
    for factor in sweep(blank, CONFIG):
        np.testing.assert_allclose(factor, 0.0, atol=1e-6)


def test_without_neighbours_nothing_changes() -> None:
    keyframes, _ = views(1.2)
    apart = [replace(k, segment=n) for n, k in enumerate(keyframes)]
    assert neighbours(apart, CONFIG) == [[]] * 5
    assert not np.any(sweep(apart, CONFIG))
    assert sweep([], CONFIG) == []


def test_neighbours_have_a_baseline_and_look_alike() -> None:
    room = BoxRoom(0)
    poses = [look(2, 1.3, 1, 0), look(2.001, 1.3, 1, 0), look(2.3, 1.3, 1, 0), look(2.3, 1.3, 1, 150)]
    keyframes = [room.keyframe(k, T) for k, T in enumerate(poses)]
    assert neighbours(keyframes, CONFIG)[0] == [2]


def test_best_factor_finds_the_bottom_of_a_parabola() -> None:
    steps = offsets(CONFIG)
    assert len(steps) == 2 * CONFIG.steps + 1
    assert steps[CONFIG.steps] == 0
    true = 0.061
    cost = np.broadcast_to(20 * (steps - true) ** 2, (12, 16, len(steps))).astype(np.float32)
    np.testing.assert_allclose(best_factor(cost, np.zeros((12, 16), np.float32), CONFIG), true, atol=0.004)


def test_one_pixel_is_overruled_and_an_edge_is_kept() -> None:
    steps = offsets(CONFIG)
    where = np.zeros((20, 30))
    where[:, 15:] = 0.2
    where[10, 5] = -0.2
    cost = np.minimum(40 * (steps - where[..., None]) ** 2, 0.5).astype(np.float32)
    grey = np.where(np.arange(30) < 15, 20, 200).astype(np.float32) * np.ones((20, 1), np.float32)
    found = best_factor(cost, grey, CONFIG)
    assert found[10, 5] == pytest.approx(0.0, abs=0.01)
    np.testing.assert_allclose(found[:, :14], 0.0, atol=0.01)
    np.testing.assert_allclose(found[:, 16:], 0.2, atol=0.01)
