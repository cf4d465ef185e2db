"""Depth figures by hand, and the properties that catch swapped arguments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.depth.metrics import (
    border_error,
    calibration_error,
    depth_borders,
    depth_figures,
    mean_figures,
    moments,
    pooled,
)
from scenewright.errors import InputError

TRUTH = np.array([[1.0, 2.0, 4.0, 0.0]])
PREDICTION = np.array([[1.1, 1.0, 4.0, 9.0]])


def figures(prediction: np.ndarray, truth: np.ndarray, scaled: bool = False, cap: float = 10.0) -> dict[str, float]:
    return depth_figures(prediction_m=prediction, truth_m=truth, cap_m=cap, median_scaled=scaled)


def test_by_hand() -> None:
    f = figures(PREDICTION, TRUTH)
    assert f["AbsRel"] == pytest.approx((0.1 + 0.5 + 0) / 3)
    assert f["SqRel"] == pytest.approx((0.01 + 0.5 + 0) / 3)
    assert f["RMSE"] == pytest.approx(np.sqrt((0.01 + 1) / 3))
    assert f["RMSElog"] == pytest.approx(np.sqrt((np.log(1.1) ** 2 + np.log(2) ** 2) / 3))
    assert f["log10"] == pytest.approx((np.log10(1.1) + np.log10(2)) / 3)
    assert f["delta1"] == pytest.approx(2 / 3)
    assert f["delta3"] == pytest.approx(2 / 3)
    assert f["within10"] == pytest.approx(1 / 3, abs=0.34)


def test_perfect() -> None:
    f = figures(TRUTH, TRUTH)
    assert f["AbsRel"] == f["RMSE"] == f["RMSElog"] == f["SILog"] == 0
    assert f["delta1"] == f["within10"] == 1


@given(st.floats(0.2, 5.0))
@settings(max_examples=30, deadline=None)
def test_median_scaling_removes_any_factor(factor: float) -> None:
    truth = np.linspace(1, 5, 50).reshape(5, 10)
    rough = truth * (1 + 0.1 * np.sin(np.arange(50)).reshape(5, 10))
    a, b = figures(rough, truth, scaled=True, cap=100), figures(factor * rough, truth, scaled=True, cap=100)
    assert a == pytest.approx(b)
    assert figures(factor * truth, truth, cap=100)["SILog"] == pytest.approx(0, abs=1e-9)


def test_the_cap_masks_the_truth_and_clamps_the_prediction() -> None:
    f = figures(np.array([[20.0, 5.0]]), np.array([[9.0, 12.0]]))
    assert f["AbsRel"] == pytest.approx(1 / 9)


def test_arguments_are_not_interchangeable() -> None:
    a, b = np.array([[2.0]]), np.array([[1.0]])
    assert figures(a, b)["AbsRel"] == 1
    assert figures(b, a)["AbsRel"] == 0.5


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), "shape"),
        (np.ones((2, 2)), np.zeros((2, 2)), "no valid depth"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "not finite"),
    ],
)
def test_bad_input(prediction: np.ndarray, truth: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        figures(prediction, truth)


def test_mean_over_images() -> None:
    assert mean_figures([{"a": 1.0}, {"a": 3.0}]) == {"a": 2.0}
    with pytest.raises(InputError):
        mean_figures([])


def test_pooled_is_over_all_pixels_of_all_images() -> None:
    """Brute force: the figures of both images laid side by side."""
    rng = np.random.default_rng(0)
    images = [(rng.uniform(1, 9, (k, 5)), rng.uniform(1, 9, (k, 5))) for k in (2, 7)]
    found = pooled([moments(prediction_m=p, truth_m=g, cap_m=10.0, median_scaled=False) for p, g in images])
    expected = figures(np.concatenate([p for p, _ in images]), np.concatenate([g for _, g in images]))
    assert found == pytest.approx(expected)


def test_pooled_differs_from_the_mean_over_images_where_it_should() -> None:
    """Errors of 0 and 2 m on one pixel each: RMSE pooled sqrt(2), mean of images 1."""
    rows = [moments(prediction_m=np.array([[p]]), truth_m=np.array([[4.0]]), cap_m=10.0, median_scaled=False)
            for p in (4.0, 6.0)]  # fmt: skip
    assert pooled(rows)["RMSE"] == pytest.approx(np.sqrt(2))
    assert mean_figures([m.figures() for m in rows])["RMSE"] == pytest.approx(1)
    assert pooled(rows)["AbsRel"] == pytest.approx(0.25)
    assert pooled(rows[1:])["SILog"] == 0
    with pytest.raises(InputError, match="no image"):
        pooled([])


def test_no_cap_at_all() -> None:
    assert figures(np.array([[500.0]]), np.array([[400.0]]), cap=np.inf)["AbsRel"] == 0.25


def step_map() -> np.ndarray:
    truth = np.full((20, 30), 2.0)
    truth[:, 15:] = 3.0
    return truth


def test_borders_lie_within_three_pixels_of_a_jump() -> None:
    columns = np.flatnonzero(depth_borders(step_map())[10])
    assert columns.tolist() == list(range(11, 19))  # the pixels 14 and 15 make the jump
    corner = np.full((20, 20), 2.0)
    corner[:10, :10] = 4.0
    border = depth_borders(corner, radius_px=3.0)
    assert border[11, 11]  # sqrt(1 + 4) from the nearest pixel of a jump, (10, 9)
    assert not border[12, 12]  # sqrt(4 + 9), though two and three steps along the axes


def test_slopes_and_holes_are_no_borders() -> None:
    ramp = np.tile(np.linspace(1, 4, 40), (10, 1))
    assert not depth_borders(ramp).any()
    hole = np.full((10, 10), 2.0)
    hole[4:6, 4:6] = 0
    assert not depth_borders(hole).any()
    assert border_error(prediction_m=ramp, truth_m=ramp, cap_m=10, median_scaled=False) is None


def test_border_error_counts_borders_alone() -> None:
    truth = step_map()
    far_off = truth.copy()
    far_off[:, :5] = 9
    assert border_error(prediction_m=far_off, truth_m=truth, cap_m=10, median_scaled=False) == 0
    late = np.roll(truth, 1, 1)
    late[:, 0] = 2
    error = border_error(prediction_m=late, truth_m=truth, cap_m=10, median_scaled=False)
    assert error == pytest.approx(1 / 3 / 8)  # one column of eight says 2 for 3
    assert border_error(prediction_m=5 * truth, truth_m=truth, cap_m=99, median_scaled=True) == pytest.approx(0)
    assert border_error(prediction_m=1.5 * truth, truth_m=truth, cap_m=99, median_scaled=False) == pytest.approx(0.5)


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.1, 0.1, 0.9, 0.9])
    right = np.array([False, True, True, True])
    assert calibration_error(confidence, right, 10) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
    assert calibration_error(np.array([1.0, 0.0]), np.array([False, True])) == 1


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_honest_confidence_is_calibrated_and_boasting_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.random(20_000)
    right = rng.random(20_000) < confidence
    assert calibration_error(confidence, right) < 0.02
    assert calibration_error(np.sqrt(confidence), right) > 0.1


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        (np.zeros(0), np.zeros(0, bool), "shapes"),
        (np.zeros(3), np.zeros(2, bool), "shapes"),
        (np.array([1.2]), np.array([True]), "values to 1.2"),
        (np.array([np.nan]), np.array([True]), "values to nan"),
    ],
)
def test_no_confidence(confidence: np.ndarray, right: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_error(confidence, right)
