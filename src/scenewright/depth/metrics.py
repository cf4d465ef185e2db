"""The standard figures of a depth map, as pure functions of valid pixels.

Conventions: AbsRel, SqRel and the deltas as in Eigen et al. (2014) and Monodepth's code; SqRel divides by g, not g^2.
Every figure is a mean over pixels, or made of means, so that it can be taken over one image or over all pixels of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Vector = NDArray[np.float64]
TERMS: dict[str, Callable[[Vector, Vector], Vector]] = {
    "AbsRel": lambda p, g: np.abs(p - g) / g,
    "SqRel": lambda p, g: (p - g) ** 2 / g,
    "RMSE": lambda p, g: (p - g) ** 2,
    "RMSElog": lambda p, g: np.log(p / g) ** 2,
    "log10": lambda p, g: np.abs(np.log10(p / g)),
    "delta1": lambda p, g: _near(p, g, 1.25),
    "delta2": lambda p, g: _near(p, g, 1.25**2),
    "delta3": lambda p, g: _near(p, g, 1.25**3),
    "within10": lambda p, g: (np.abs(p - g) <= 0.1 * g).astype(np.float64),
}
"""What each figure averages over pixels, of prediction p and truth g."""
_ROOTS = ("RMSE", "RMSElog")


def _near(prediction: Vector, truth: Vector, factor: float) -> Vector:
    return (np.maximum(prediction / truth, truth / prediction) < factor).astype(np.float64)


def within(prediction: Vector, truth: Vector, factor: float) -> float:
    """Share of pixels whose ratio to the truth, either way round, lies below `factor`."""
    return float(_near(prediction, truth, factor).mean())


@dataclass(frozen=True)
class Moments:
    """What the figures are made of: means over the valid pixels of one image, or of many.

    Args:
        pixels: how many.
        means: of `TERMS`.
        log_mean, log_variance: of log p - log g.
    """

    pixels: int
    means: dict[str, float]
    log_mean: float
    log_variance: float

    def figures(self) -> dict[str, float]:
        """The figures by name; SILog is the standard deviation of the log error."""
        roots = {name: float(np.sqrt(self.means[name])) for name in _ROOTS}
        return {**self.means, **roots, "SILog": float(np.sqrt(self.log_variance))}


def moments(
    *, prediction_m: NDArray[np.floating], truth_m: NDArray[np.floating], cap_m: float, median_scaled: bool
) -> Moments:
    """The moments of one image.

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
    error = np.log(p / g)
    means = {name: float(np.mean(term(p, g))) for name, term in TERMS.items()}
    return Moments(len(g), means, float(error.mean()), float(error.var()))


def depth_figures(
    *, prediction_m: NDArray[np.floating], truth_m: NDArray[np.floating], cap_m: float, median_scaled: bool
) -> dict[str, float]:
    """All figures of one image; arguments and errors as in `moments`."""
    found = moments(prediction_m=prediction_m, truth_m=truth_m, cap_m=cap_m, median_scaled=median_scaled)
    return found.figures()


def mean_figures(images: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean over images of per-image figures."""
    if not images:
        raise InputError("figures", "no image", "at least one")
    return {name: float(np.mean([image[name] for image in images])) for name in images[0]}


def pooled(images: Sequence[Moments]) -> dict[str, float]:
    """Figures over all pixels of all images, with one root in the end, as FCRN's script takes them."""
    if not images:
        raise InputError("figures", "no image", "at least one")
    counts = np.array([m.pixels for m in images], np.float64)
    share = counts / counts.sum()
    means = {name: float(share @ [m.means[name] for m in images]) for name in TERMS}
    log_means = np.array([m.log_mean for m in images])
    centre = float(share @ log_means)
    spread = np.array([m.log_variance for m in images]) + (log_means - centre) ** 2
    return Moments(int(counts.sum()), means, centre, float(share @ spread)).figures()
