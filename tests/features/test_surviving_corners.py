"""Corners that survive changes of view, and the views that MagicPoint learns them from."""

import cv2
import numpy as np
import pytest
import torch

from scenewright.features import surviving_corners as sc
from scenewright.features.data import SIZE, Pictures


def _board(noise: float = 0.0) -> np.ndarray:
    """Squares of 40 pixels; the lower half is noise that no other view shows again, where asked for."""
    rows, columns = np.mgrid[:240, :320] // 40
    grey = np.where((rows + columns) % 2, 200, 60).astype(np.float64)
    grey[120:] += noise * np.random.default_rng(0).standard_normal((120, 320))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


def test_the_strongest_corners_of_a_board_are_its_junctions() -> None:
    found = sc.strongest_corners(_board(), 35 / 300)
    junctions = np.stack(np.meshgrid(np.arange(1, 8), np.arange(1, 6)), -1).reshape(-1, 2) * 40 - 0.5
    assert len(found) == 35
    assert np.linalg.norm(found[:, None] - junctions, axis=2).min(1).max() <= 1
    assert len(sc.strongest_corners(np.full((240, 320, 3), 90, np.uint8), 1.0)) == 0


def test_junctions_survive_where_faint_noise_does_not() -> None:
    corners = sc.surviving_corners(_board(1.5), np.random.default_rng(1))
    assert ((corners[:, 2] > 0) & (corners[:, 2] <= 1)).all()
    off = np.abs((corners[:, :2] + 0.5 + 20) % 40 - 20).max(1)
    junction, noise = corners[off <= 1.5, 2], corners[(off > 6) & (corners[:, 1] > 126), 2]
    assert len(junction) >= 24
    assert junction.mean() > 0.7
    assert len(noise) > 50
    assert noise.mean() < junction.mean() - 0.3


def test_a_corner_is_spread_around_where_the_view_shows_it() -> None:
    shift = np.array([[1, 0, 10], [0, 1, -20], [0, 0, 1.0]])
    sure = sc.spread(np.array([[60.0, 60, 0.8], [5, 10, 1.0]]), shift)  # the second lies outside
    assert sure.sum() == pytest.approx(0.8, abs=1e-3)
    assert np.unravel_index(sure.argmax(), sure.shape) == (40, 70)
    assert sc.spread(np.zeros((0, 3)), shift).max() == 0


def test_marks_stay_on_what_they_mark_and_off_the_border() -> None:
    image = np.zeros((200, 260, 3), np.uint8)
    xy = np.stack(np.meshgrid(np.arange(10, 260, 24), np.arange(10, 200, 24)), -1).reshape(-1, 2)
    for x, y in xy:
        cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
    corners = np.column_stack([xy, np.ones(len(xy))]).astype(np.float64)
    for seed in range(5):
        view = sc.corner_view(image, corners, np.random.default_rng(seed))
        bright = cv2.GaussianBlur(view.image.mean(0).numpy(), (0, 0), 1)
        marked = view.points[0].numpy() > 0.1
        assert marked.sum() > 5
        assert np.mean(bright[marked] > np.median(bright) + 0.2) > 0.9
        assert not view.points[0, :4].any()
        assert not view.points[0, :, -4:].any()
        assert view.valid.all()


def test_shapes_and_pictures_are_drawn_by_the_generator_alone() -> None:
    seen: list[int] = []

    def get(index: int) -> np.ndarray:
        seen.append(index)
        return _board()

    data = sc.SurvivingCorners(Pictures(3, get, "boards"), most=2)
    for index in range(7):
        first, again = (data.draw(index, torch.Generator().manual_seed(9)) for _ in range(2))
        assert torch.equal(first.image, again.image)
        assert torch.equal(first.points, again.points)
        assert first.image.shape == (3, *SIZE[::-1])
    assert set(seen) <= {0, 1}
    assert len(seen) <= 6  # each picture and size once
    assert "boards" in data.record["description"]
