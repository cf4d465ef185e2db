"""What never looks at the picture, and what matches two of them: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from scenewright.depth.baselines import (
    HeightPrior,
    MeanMap,
    constant_depth,
    fill_background,
    lower_is_nearer,
    sgbm_depth,
    sgbm_disparity,
)
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera


def test_mean_map_and_constant() -> None:
    mean = MeanMap((4, 4)).fit([np.full((8, 8), 1, np.float32), np.full((8, 8), 3, np.float32)])
    np.testing.assert_array_equal(mean.predict((5, 6)), np.full((5, 6), 2))
    np.testing.assert_array_equal(constant_depth((2, 3), 7), np.full((2, 3), 7))
    with pytest.raises(InputError, match="no training depth"):
        MeanMap().predict((3, 3))


def test_mean_map_of_a_sparse_map_misses_no_point() -> None:
    sparse = np.zeros((8, 8), np.float32)
    sparse[3, 1], sparse[2, 1], sparse[5, 7] = 4, 6, 9
    found = MeanMap((2, 2)).fit([sparse]).predict((2, 2))
    np.testing.assert_allclose(found, [[5, 7], [7, 9]], rtol=1e-5)  # cells never seen take the mean of the others


class TestHeightPrior:
    def test_one_map_of_rows_comes_back(self) -> None:
        rows = np.broadcast_to(np.arange(48, 0, -1, dtype=np.float32)[:, None], (48, 30))
        found = HeightPrior(48).fit([rows]).predict((48, 7))
        np.testing.assert_allclose(found, rows[:, :7])

    def test_unknown_pixels_do_not_count_and_unseen_rows_are_interpolated(self) -> None:
        depth = np.zeros((4, 3), np.float32)
        depth[0, 1], depth[2] = 6, (2, 0, 4)
        found = HeightPrior(4).fit([depth]).predict((4, 2))
        np.testing.assert_allclose(found[:, 0], [6, 4.5, 3, 3])

    def test_another_height_is_interpolated_between_centres(self) -> None:
        """Two bins of 1 and 3 m: centres at a quarter and three quarters of the picture."""
        found = HeightPrior(2).fit([np.array([[1.0], [3.0]], np.float32)]).predict((4, 1))
        np.testing.assert_allclose(found[:, 0], [1, 1.5, 2.5, 3])

    def test_nothing_learnt(self) -> None:
        with pytest.raises(InputError, match="no training depth"):
            HeightPrior().predict((3, 3))


def test_lower_is_nearer_and_no_row_has_ties() -> None:
    found = lower_is_nearer((30, 200))
    assert (np.diff(found, axis=0) < 0).all()
    assert (found[1:].max(1) < found[:-1].min(1)).all()
    assert (np.diff(found, axis=1) > 0).all()


class TestSgbm:
    def pair(self, shift: int) -> tuple[np.ndarray, np.ndarray]:
        noise = np.random.default_rng(0).integers(0, 255, (60, 200, 3)).astype(np.uint8)
        return noise[:, :160], noise[:, shift : 160 + shift]

    def test_a_shifted_texture_has_that_disparity_everywhere(self) -> None:
        left, right = self.pair(12)
        disparity = sgbm_disparity(left, right)
        assert disparity.shape == (60, 160)
        assert (np.abs(disparity[:, 20:] - 12) <= 0.5).mean() > 0.98
        assert disparity.min() > 0

    def test_depth_is_focal_times_baseline_over_disparity(self) -> None:
        left, right = self.pair(12)
        camera = Camera.from_parameters(160, 60, 120, 120, 80, 30)
        depth = sgbm_depth(left, right, camera, 0.5)
        assert np.median(depth) == pytest.approx(120 * 0.5 / 12, rel=0.02)

    def test_holes_take_the_background(self) -> None:
        disparity = np.array([[0, 5, 0, 0, 2, 0], [0, 0, 0, 0, 0, 0], [0, 0, 7, 0, 0, 9]], np.float32)
        expected = [[5, 5, 2, 2, 2, 2], [5, 5, 2, 2, 2, 2], [7, 7, 7, 7, 7, 9]]
        np.testing.assert_array_equal(fill_background(disparity), expected)
        np.testing.assert_array_equal(fill_background(np.zeros((2, 2), np.float32)), np.full((2, 2), 1 / 16))

    def test_real_pairs(self, real_data) -> None:
        from scenewright.data.stereo import StereoPairs

        reader = StereoPairs(real_data("stereo_middlebury"))
        for view in (reader[i] for i in range(2)):
            assert view.right is not None
            assert view.disp_px is not None
            found = sgbm_disparity(view.image, view.right)
            error = np.abs(found - view.disp_px)[view.disp_px > 0]
            assert np.median(error) < 0.5
            assert (error > 2).mean() < 0.2
