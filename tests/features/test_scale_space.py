"""Blobs lie where Gaussians are, at their size, and survive views; noise does not."""

import numpy as np
import pytest

from scenewright.features.scale_space import blobs, survival

SIDES = tuple(12 + 8 * k for k in range(1, 8))


def spots(places: list[tuple[float, float, float]], noise: float = 0.0) -> np.ndarray:
    yy, xx = np.mgrid[:150, :200]
    grey = np.full((150, 200), 90.0) + noise * np.random.default_rng(0).standard_normal((150, 200))
    for x, y, deviation in places:
        grey += 110 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * deviation**2))
    return np.clip(grey, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [2.0, 3.0, 4.5])
def test_a_gaussian_peaks_in_its_middle_at_its_deviation(deviation: float) -> None:
    """R ~ (s / (s^2 + d^2))^4 is largest at s = d: a patch of 12 deviations."""
    found = blobs(spots([(100.3, 70.6, deviation)]), SIDES)
    np.testing.assert_allclose(found[0, :2], [100.3, 70.6], atol=0.15)
    assert abs(found[0, 2] - 12 * deviation) <= 8


def test_the_smallest_and_the_largest_scale_take_what_lies_beyond() -> None:
    found = blobs(spots([(60, 70, 1.0), (140, 70, 9.0)]), SIDES)
    by_place = {round(x / 10): side for x, _, side in found[::-1]}
    assert (by_place[6], by_place[14]) == (SIDES[0], SIDES[-1])


def test_a_plain_picture_has_none() -> None:
    assert len(blobs(np.full((120, 160), 90, np.uint8), SIDES)) == 0
    assert len(survival(np.full((120, 160), 90, np.uint8), np.zeros((0, 3)), SIDES, np.random.default_rng(0))) == 0


def test_spots_survive_and_noise_does_not() -> None:
    places = [(60.0, 50.0, 3.0), (100.0, 90.0, 4.0), (130.0, 60.0, 3.5)]
    grey = spots(places, 2.0)
    found = blobs(grey, SIDES)
    share = survival(grey, found, SIDES, np.random.default_rng(1))
    near = np.array([min(np.hypot(x - a, y - b) for a, b, _ in places) < 3 for x, y, _ in found])
    middle = np.isfinite(share)
    assert share[near & middle].max() > 0.9
    assert share[~near & middle].mean() < 0.6
