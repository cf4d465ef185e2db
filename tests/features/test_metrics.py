"""Figures of the features task against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.features import metrics as m

SIZE = (100, 120)


def test_fpr95_counts_the_false_pairs_that_pass_with_95_of_100_true_ones() -> None:
    true = np.arange(100, 0, -1.0)  # the 95th best true pair scores 6
    false = np.array([50.5, 6.5, 5.5, 0.5])
    score, same = np.concatenate([true, false]), np.concatenate([np.ones(100), np.zeros(4)])
    assert m.fpr95(score, same) == 0.5
    assert m.fdr95(score, same) == pytest.approx(2 / 97)


def test_pairs_of_equal_score_pass_together() -> None:
    assert m.fpr95([1.0, 1.0, 1.0, 0.0], [True, False, False, False]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("same", [[True, True], [False, False]])
def test_fpr95_asks_for_both_kinds(same: list[bool]) -> None:
    with pytest.raises(InputError, match="both kinds"):
        m.fpr95([0.1, 0.2], same)


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_fpr95_does_not_depend_on_the_scale_of_scores(rows: list[tuple[float, bool]]) -> None:
    score, same = np.round([r[0] for r in rows], 2), np.array([r[1] for r in rows])
    if same.all() or not same.any():
        return
    assert m.fpr95(score, same) == m.fpr95(3 * score + 7, same)
    assert 0 <= m.fdr95(score, same) <= 1


def test_average_precision_of_perfect_empty_and_known_detections() -> None:
    assert m.average_precision([0.9, 0.8], [True, True], 2) == 1
    assert m.average_precision([], [], 3) == 0
    # precision 1, 1/2, 2/3, interpolated 1, 2/3, 2/3; recall steps at the first and third
    assert m.average_precision([3, 2, 1], [True, False, True], 2) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_truth_is_claimed_once_by_the_stronger_detection() -> None:
    found = m.claims([[10, 10], [10.5, 10], [30, 30]], [0.5, 0.9, 0.1], [[10, 10], [31, 30]], 2)
    assert found.tolist() == [False, True, True]


def test_transform_against_a_similarity_and_a_point_at_infinity() -> None:
    H = np.array([[0, -2, 5], [2, 0, 1], [0, 0, 1.0]])
    np.testing.assert_allclose(m.transform(H, [[3, 4]]), [[-3, 7]])
    assert np.isinf(m.transform([[1, 0, 0], [0, 1, 0], [1, 0, 0]], [[0, 5]])).all()


def test_repeatability_of_shifted_points() -> None:
    H = np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1.0]])
    first = np.array([[20, 20], [50, 50], [115, 5]])  # the last leaves the view
    second = np.array([[30, 21], [90, 90]])
    # of 2 + 2 points in the shared view, one of each side has a partner
    assert m.repeatability(first, second, H, SIZE, 3) == pytest.approx(2 / 4)
    assert m.repeatability(first[:0], second[:0], H, SIZE, 3) == 0


@given(st.integers(0, 2**32 - 1))
def test_repeatability_of_the_same_points_is_one(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(20, 80, (15, 2))
    assert m.repeatability(points, points, np.eye(3), SIZE, 0.1) == 1


def test_matching_accuracy_and_score() -> None:
    H = np.diag([2.0, 2.0, 1.0])
    errors = m.match_errors([[1, 1], [2, 2], [5, 5]], [[2, 2], [4, 6], [10, 13]], H)
    np.testing.assert_allclose(errors, [0, 2, 3])
    np.testing.assert_allclose(m.matching_accuracy(errors, [1, 2, 3]), [1 / 3, 2 / 3, 1])
    assert m.matching_accuracy([], [1, 2]).tolist() == [0, 0]
    assert m.matching_score(5, 10, 20) == pytest.approx(0.375)
    assert m.matching_score(0, 0, 0) == 0


def test_corner_error_of_a_shift_and_of_a_failure() -> None:
    shift = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1.0]])
    assert m.corner_error(shift, np.eye(3), SIZE) == pytest.approx(5)
    assert m.corner_error(None, np.eye(3), SIZE) == np.inf


def test_pck() -> None:
    assert m.pck([0, 8, 8.01, 100], 8) == 0.5
    assert m.pck([], 8) == 0


def test_pose_error_is_the_larger_angle() -> None:
    c, s = np.cos(0.2), np.sin(0.2)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    assert m.pose_error_deg(R, [1, 0, 0], np.eye(3), [2, 0, 0]) == pytest.approx(np.degrees(0.2))
    assert m.pose_error_deg(np.eye(3), [1, 0, 0], np.eye(3), [0, 1, 0]) == pytest.approx(90)
    assert m.pose_error_deg(np.eye(3), [0, 0, 0], np.eye(3), [0, 1, 0]) == 180


def test_error_auc_of_one_pair_and_of_failures() -> None:
    # straight from (0, 0) to (2, 1), then flat to 10
    np.testing.assert_allclose(m.error_auc([2.0], [10]), [(1 + 8) / 10])
    assert m.error_auc([np.inf, np.inf], [5, 10]).tolist() == [0, 0]
    with pytest.raises(InputError):
        m.error_auc([], [5])


@given(st.lists(st.floats(0, 90), min_size=1, max_size=30))
def test_error_auc_grows_with_the_threshold_when_all_are_solved(errors: list[float]) -> None:
    low, high = m.error_auc(errors, [91, 500])
    assert 0 <= low <= high <= 1
