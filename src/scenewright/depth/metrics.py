"""The standard figures of a depth map, as pure functions of valid pixels.

Conventions: AbsRel, SqRel and the deltas as in Eigen et al. (2014) and Monodepth's code; SqRel divides by g, not g^2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Vector = NDArray[np.float64]
FIGURES: dict[str, Callable[[Vector, Vector], float]] = {
    "AbsRel": lambda p, g: float(np.mean(np.abs(p - g) / g)),
    "SqRel": lambda p, g: float(np.mean((p - g) ** 2 / g)),
    "RMSE": lambda p, g: float(np.sqrt(np.mean((p - g) ** 2))),
    "RMSElog": lambda p, g: float(np.sqrt(np.mean(np.log(p / g) ** 2))),
    "log10": lambda p, g: float(np.mean(np.abs(np.log10(p / g)))),
    "delta1": lambda p, g: within(p, g, 1.25),
    "delta2": lambda p, g: within(p, g, 1.25**2),
    "delta3": lambda p, g: within(p, g, 1.25**3),
    "SILog": lambda p, g: float(np.std(np.log(p / g))),
    "within10": lambda p, g: float(np.mean(np.abs(p - g) <= 0.1 * g)),
}


def within(prediction: Vector, truth: Vector, factor: float) -> float:
    """Share of pixels whose ratio to the truth, either way round, lies below `factor`."""
    return float(np.mean(np.maximum(prediction / truth, truth / prediction) < factor))


def depth_figures(
    *, prediction_m: NDArray[np.floating], truth_m: NDArray[np.floating], cap_m: float, median_scaled: bool
) -> dict[str, float]:
    """All figures of one image.

    Args:
        prediction_m, truth_m: same shape, metres. Pixels with 1e-3 < truth < cap count.
        cap_m: far limit; predictions are clamped to [1e-3, cap], the truth is only masked.
        median_scaled: multiply the prediction by median(truth) / median(prediction) first.

    Raises:
        InputError: shapes differ, nothing is valid, or the prediction is not finite.
    """
    if prediction_m.shape != truth_m.shape:
        raise InputError("prediction", f"shape {prediction_m.shape}", f"the truth's {truth_m.shape}")
    valid = (truth_m > 1e-3) & (truth_m < cap_m)
    if not valid.any():
        raise InputError("truth", "no valid depth", f"some depth between 0.001 and {cap_m} m")
    p, g = prediction_m[valid].astype(np.float64), truth_m[valid].astype(np.float64)
    if not np.isfinite(p).all():
        raise InputError("prediction", "values that are not finite", "finite depth where the truth is valid")
    if median_scaled:
        p = p * (np.median(g) / np.median(p))
    p = np.clip(p, 1e-3, cap_m)
    return {name: figure(p, g) for name, figure in FIGURES.items()}


def mean_figures(images: list[dict[str, float]]) -> dict[str, float]:
    """Mean over images of per-image figures."""
    if not images:
        raise InputError("figures", "no image", "at least one")
    return {name: float(np.mean([image[name] for image in images])) for name in images[0]}
