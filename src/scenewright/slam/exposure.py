"""Gain and offset between two exposures, in closed form (Engel 2014, released code): I_t = a I_k + b."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HUBER_GREY = 5.0
"""Residuals above this many grey levels count less."""


class Exposure(NamedTuple):
    """I_frame = gain * I_keyframe + offset, grey levels."""

    gain: float = 1.0
    offset: float = 0.0


def from_moments(moments: NDArray[np.float64]) -> Exposure | None:
    """The exposure from the weighted sums (w, w Ik, w It, w Ik^2, w It^2).

    a = sqrt(var It / var Ik), b = mean It - a mean Ik. None where the points show no contrast.
    """
    w, k, t, kk, tt = moments
    if w <= 0:
        return None
    mean_k, mean_t = k / w, t / w
    var_k, var_t = kk / w - mean_k**2, tt / w - mean_t**2
    if var_k < 1.0 or var_t < 1.0:
        return None
    gain = float(np.sqrt(var_t / var_k))
    if not 0.2 < gain < 5.0:
        return None
    return Exposure(gain, float(mean_t - gain * mean_k))
