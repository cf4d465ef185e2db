"""Solving from one triangle, and the search along a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scenewright.slam.levenberg import search_along, solve_lower


def test_only_the_lower_triangle_is_read() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    S, b = A @ A.T + np.eye(6), rng.normal(size=6)
    spoiled = np.tril(S) + np.triu(rng.normal(size=(6, 6)), 1)
    np.testing.assert_allclose(solve_lower(spoiled, b), np.linalg.solve(S, b), rtol=1e-10)


def test_an_indefinite_system_gives_no_step() -> None:
    assert (solve_lower(np.diag([1.0, -1.0]), np.ones(2)) == 0).all()


def parabola(bottom: float) -> Callable[[float], float]:
    return lambda x: (x - bottom) ** 2


@pytest.mark.parametrize(
    ("bottom", "expected"), [(1.0, 1.0), (2.2, 2.0), (4.5, 4.0), (50.0, 8.0), (0.45, 0.5), (0.2, 0.25)]
)
def test_the_search_stretches_and_shortens_a_step(bottom: float, expected: float) -> None:
    cost = parabola(bottom)
    assert search_along(float, cost, cost(0.0)) == (expected, cost(expected))


def test_a_step_uphill_is_told_by_its_cost() -> None:
    cost = parabola(-1.0)
    assert search_along(float, cost, cost(0.0))[1] > cost(0.0)
