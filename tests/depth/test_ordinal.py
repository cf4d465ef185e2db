"""Ordinal loss and figures by hand, against brute force, and by their symmetries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenewright.depth.ordinal import (
    THRESHOLDS,
    choose_threshold,
    differences,
    mean_wkdr,
    ordinal_figures,
    ranking_loss,
    read_pairs,
    whdr,
    wkdr,
)
from scenewright.errors import InputError
from tolerances import close


def pair(first: float, second: float) -> torch.Tensor:
    return torch.tensor([first, second], dtype=torch.float64)


@pytest.mark.parametrize(
    ("pair_of", "relation", "expected"),
    [
        ((0, 0), -1, 0.693147),
        ((2, 0), -1, 0.126928),  # the first is farther, and said to be
        ((2, 0), 1, 2.126928),
        ((2, 0), 0, 4.0),
        ((-2, 0), 1, 0.126928),
        ((500, 0), 1, 500.0),  # exp(500) would overflow float32
    ],
)
def test_ranking_loss_by_hand(pair_of: tuple[float, float], relation: int, expected: float) -> None:
    for dtype in (torch.float32, torch.float64):
        loss = ranking_loss(pair(*pair_of).to(dtype), torch.tensor(relation))
        assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_the_slope_at_a_tie_is_a_half() -> None:
    values = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    ranking_loss(values, torch.tensor([-1])).sum().backward()
    close(values.grad, torch.tensor([[-0.5, 0.5]]))  # "the first is farther" pushes the first up


def test_ranking_loss_gradcheck() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    relation = torch.randint(-1, 2, (3, 4))
    assert torch.autograd.gradcheck(lambda v: ranking_loss(v, relation), values)


@given(st.floats(-20, 20), st.floats(-20, 20), st.sampled_from([-1, 0, 1]))
def test_swapping_the_points_and_the_relation_changes_nothing(a: float, b: float, relation: int) -> None:
    close(ranking_loss(pair(a, b), torch.tensor(relation)), ranking_loss(pair(b, a), torch.tensor(-relation)))


def test_pairs_are_read_row_first_and_repeated_points_add_their_gradients() -> None:
    values = torch.arange(12.0).view(1, 1, 3, 4).requires_grad_()
    points = torch.tensor([[[[0, 3], [2, 1]], [[0, 3], [1, 0]]]])
    read = read_pairs(values, points)
    close(read, torch.tensor([[[3.0, 9.0], [3.0, 4.0]]]))
    read.sum().backward()
    assert values.grad is not None
    assert float(values.grad[0, 0, 0, 3]) == 2


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.tensor([[[[0, 4], [0, 0]]]]), "outside the image"),
        (torch.tensor([[[[3, 0], [0, 0]]]]), "outside the image"),
        (torch.tensor([[[[-1, 0], [0, 0]]]]), "outside the image"),
        (torch.zeros(1, 5, 2, dtype=torch.int64), "shape"),
        (torch.zeros(2, 5, 2, 2, dtype=torch.int64), "shape"),
    ],
)
def test_points_must_lie_in_the_map(points: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(torch.zeros(1, 1, 3, 4), points)


def test_wkdr_by_hand() -> None:
    difference, relation = np.array([1.0, -1.0, 0.2, 0.6]), np.array([-1, 1, 0, 0])
    assert wkdr(difference, relation, 0.5) == {"WKDR": 0.25, "WKDR_eq": 0.5, "WKDR_neq": 0.0}
    assert wkdr(difference[:2], relation[:2], 0.5) == {"WKDR": 0.0, "WKDR_neq": 0.0}


def test_wkdr_is_that_of_each_image_first() -> None:
    """An image with four pairs (the known check) and one with a single, wrong pair count alike."""
    four = np.array([1.0, -1.0, 0.2, 0.6]), np.array([-1, 1, 0, 0])
    one = np.array([3.0]), np.array([1])
    assert mean_wkdr([four], 0.5) == {"WKDR": 0.25, "WKDR_eq": 0.5, "WKDR_neq": 0.0}
    assert mean_wkdr([four, one, one], 0.5) == {"WKDR": 0.75, "WKDR_eq": 0.5, "WKDR_neq": pytest.approx(2 / 3)}
    assert mean_wkdr([one], 0.5) == {"WKDR": 1.0, "WKDR_neq": 1.0}


def test_a_difference_at_the_threshold_is_none() -> None:
    at, beyond = (wkdr(np.array([d, -d]), np.array([0, 0]), 0.5)["WKDR"] for d in (0.5, 0.5001))
    assert (at, beyond) == (0, 1)


def test_thresholds_are_those_of_the_official_code() -> None:
    np.testing.assert_allclose(THRESHOLDS, [0.1 + i * 0.01 for i in range(1, 141)], atol=1e-12)


def test_whdr_counts_ties_as_wrong_and_leaves_equal_pairs_out() -> None:
    assert whdr(np.array([1.0, 0.0, -1.0, 5.0]), np.array([-1, 1, 1, 0])) == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="no ordered pair"):
        whdr(np.array([1.0]), np.array([0]))


@given(st.integers(0, 10_000))
def test_whdr_knows_only_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 9, (6, 7))
    points = np.stack([rng.integers(0, 6, (40, 2)), rng.integers(0, 7, (40, 2))], 2)
    values = depth[points[..., 0], points[..., 1]]
    relation = -np.sign(values[:, 0] - values[:, 1]).astype(int)
    if not relation.any():
        return
    assert whdr(differences(depth, points), relation) == 0
    assert whdr(differences(np.log(depth), points), relation) == 0
    assert whdr(differences(1 / depth, points), relation) == 1


def test_threshold_balances_the_two_kinds() -> None:
    rng = np.random.default_rng(0)
    equal, far = rng.uniform(-0.6, 0.6, 500), np.concatenate([rng.uniform(0.6, 3, 250), -rng.uniform(0.6, 3, 250)])
    difference, relation = np.concatenate([equal, far]), np.concatenate([np.zeros(500, int), -np.sign(far).astype(int)])
    chosen = choose_threshold([(difference, relation)])
    assert chosen == pytest.approx(0.6, abs=0.02)
    brute = {t: wkdr(difference, relation, t) for t in np.arange(0.11, 1.505, 0.01)}
    best = min(max(s["WKDR_eq"], s["WKDR_neq"]) for s in brute.values())
    found = wkdr(difference, relation, chosen)
    assert max(found["WKDR_eq"], found["WKDR_neq"]) == best
    with pytest.raises(InputError, match="no equal pair"):
        choose_threshold([(far, relation[500:])])


def test_lower_is_nearer_is_chance_on_one_row() -> None:
    """The prior of the image's height, on a floor: right between rows, a tie (wrong) on one row."""
    depth = np.repeat(np.linspace(5, 1, 8)[:, None], 8, 1)
    points = np.array([[[7, 0], [1, 5]], [[2, 2], [6, 1]], [[3, 0], [3, 7]]])
    figures = ordinal_figures(depth, points, np.array([1, -1, 1]))
    assert figures == {"WHDR": pytest.approx(1 / 3), "WHDR same row": 1.0, "WHDR other rows": 0.0}
    assert math.isclose(ordinal_figures(depth, points[:2], np.array([1, -1]))["WHDR"], 0)
