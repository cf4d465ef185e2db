"""Label fusion: closed forms, order independence, and the gain over single views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.slam.labels import BayesFusion, CounterFusion, LabelFusion, MeanFusion, normalise_log, soften


def two(p: float) -> np.ndarray:
    return np.array([[p], [1 - p]], np.float32)


def fused(fusion: LabelFusion, *views: np.ndarray) -> np.ndarray:
    for view in views:
        fusion.add(view)
    return fusion.probabilities()


def test_two_views_of_sixty_percent() -> None:
    """.6^2 / (.6^2 + .4^2) = .36 / .52 = .692; the mean stays at .6; the counter counts two."""
    assert fused(BayesFusion(2, (1,)), two(0.6), two(0.6))[0, 0] == pytest.approx(0.36 / 0.52, abs=1e-6)
    assert fused(MeanFusion(2, (1,)), two(0.6), two(0.6))[0, 0] == pytest.approx(0.6, abs=1e-6)
    counter = CounterFusion(2, (1,))
    counter.add(two(0.6))
    counter.add(two(0.6))
    assert (counter.label[0], counter.confidence[0]) == (0, 2)


def test_counter_steps_down_and_replaces_at_zero() -> None:
    counter = CounterFusion(2, (1,), cap=3)
    for p in (0.9, 0.9, 0.9, 0.9, 0.9):
        counter.add(two(p))
    assert counter.confidence[0] == 3  # capped
    for k in range(3):
        assert counter.label[0] == 0, k
        counter.add(two(0.1))
    assert counter.confidence[0] == 0
    counter.add(two(0.1))
    assert (counter.label[0], counter.confidence[0]) == (1, 1)


@given(st.lists(st.floats(0.05, 0.95), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_bayes_and_mean_do_not_depend_on_the_order(values: list[float], shuffle: object) -> None:
    views = [two(p) for p in values]
    for kind in (BayesFusion, MeanFusion):
        first = fused(kind(2, (1,)), *views)
        second = fused(kind(2, (1,)), *views[::-1])
        odds = np.log(np.array(values) / (1 - np.array(values)))
        if (kind is BayesFusion and np.abs(np.cumsum(odds)).max() > 9) or np.abs(np.cumsum(odds[::-1])).max() > 9:
            continue  # the clip forgets, by design
        np.testing.assert_allclose(first, second, atol=1e-4)
        np.testing.assert_allclose(first.sum(0), 1, atol=1e-5)


def test_weights() -> None:
    whole, twice = BayesFusion(2, (1,)), BayesFusion(2, (1,))
    whole.add(two(0.7), 2.0)
    twice.add(two(0.7))
    twice.add(two(0.7))
    np.testing.assert_allclose(whole.probabilities(), twice.probabilities(), atol=1e-6)
    for fusion in (BayesFusion(2, (2,)), MeanFusion(2, (2,)), CounterFusion(2, (2,))):
        view = np.array([[0.9, 0.9], [0.1, 0.1]], np.float32)
        fusion.add(view, np.array([1.0, 0.0], np.float32))
        p = fusion.probabilities()
        assert p[0, 0] > p[1, 0]
        np.testing.assert_allclose(p[:, 1], 0.5, atol=1e-6)  # unseen stays uniform


def test_five_noisy_views_beat_one() -> None:
    """Twelve classes, a fifth of the pixels wrong per view: every fusion lowers the error, Bayes nearly to nothing."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 12, 4000)
    fusions: dict[str, LabelFusion] = {
        "bayes": BayesFusion(12, (4000,)), "mean": MeanFusion(12, (4000,)), "counter": CounterFusion(12, (4000,))
    }  # fmt: skip
    single = []
    for _ in range(5):
        seen = np.where(generator.random(4000) < 0.2, generator.integers(0, 12, 4000), truth)
        view = np.full((12, 4000), 0.4 / 11, np.float32)
        view[seen, np.arange(4000)] = 0.6
        single.append((seen != truth).mean())
        for fusion in fusions.values():
            fusion.add(soften(view))
    error = {name: float((f.probabilities().argmax(0) != truth).mean()) for name, f in fusions.items()}
    assert error["bayes"] < 0.02 < 0.15 < min(single)
    assert error["mean"] < 0.02
    assert error["counter"] < 0.6 * min(single)


def test_clip_lets_a_map_change_its_mind() -> None:
    fusion = BayesFusion(2, (1,))
    for _ in range(50):
        fusion.add(two(0.99))
    for _ in range(5):
        fusion.add(two(0.01))
    assert fusion.probabilities()[1, 0] > 0.5


def test_soften() -> None:
    p = np.array([1.0, 0.0, 0.0, 0.0], np.float32)
    np.testing.assert_allclose(soften(p, 1.0, 1e-3), [0.997, 0.001, 0.001, 0.001], atol=1e-6)
    np.testing.assert_allclose(soften(two(0.8)[:, 0], 2.0, 0.0), [2 / 3, 1 / 3], atol=1e-6)  # odds 4 -> 2
    np.testing.assert_allclose(np.exp(normalise_log(np.log(two(0.8)) + 3.0)), two(0.8), atol=1e-6)


@pytest.mark.parametrize(
    "bad", [np.ones((1, 3)), np.full((2, 3), 0.7), np.full((2, 3), np.nan), np.float32([[-0.5], [1.5]])]
)
def test_what_is_no_distribution_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="label probabilities"):
        soften(bad)


def test_other_bad_arguments() -> None:
    fusion = BayesFusion(2, (1,))
    with pytest.raises(InputError, match="weight"):
        fusion.add(two(0.5), -1.0)
    with pytest.raises(InputError, match="label probabilities"):
        fusion.add(np.full((3, 1), 1 / 3, np.float32))
    with pytest.raises(InputError, match="temperature"):
        soften(two(0.5), 0.5)
    with pytest.raises(InputError, match="floor"):
        soften(two(0.5), 2.0, 0.6)
