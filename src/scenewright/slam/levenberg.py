"""Parts of Levenberg-Marquardt that do not depend on what is minimised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]
State = TypeVar("State")


def solve_lower(S: Array, b: Array) -> Array:
    """x (N,) of S x = b by Cholesky from the lower triangle of S (N, N), which is overwritten; zeros, which ask for
    more damping, where rounding has left S indefinite.
    """
    try:
        factor = cho_factor(S, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return np.zeros_like(b)
    return np.asarray(cho_solve(factor, b, check_finite=False), np.float64)


def search_along(
    along: Callable[[float], State], cost_of: Callable[[State], float], cost: float
) -> tuple[State, float]:
    """The best of a step, and its cost: the whole, twice and more of it while that pays, or else a half or a quarter.

    Args:
        along: the state after a share of the step. cost_of: of a state. cost: before the step.
    """
    new = along(1.0)
    best = cost_of(new)
    for share in (2.0, 4.0, 8.0) if best < cost else (0.5, 0.25):
        other = along(share)
        reached = cost_of(other)
        if reached < best:
            new, best = other, reached
        elif best < cost:
            break
    return new, best
