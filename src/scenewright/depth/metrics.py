"""The standard figures of a depth map, as pure functions of valid pixels.

Conventions: AbsRel, SqRel and the deltas as in Eigen et al. (2014) and Monodepth's code; SqRel divides by g, not g^2.
Every figure is a mean over pixels, or made of means, so that it can be taken over one image or over all pixels of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
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


def depth_borders(truth_m: NDArray[np.floating], radius_px: float = 3.0, ratio: float = 1.15) -> NDArray[np.bool_]:
    """Pixels within `radius_px` of an object's border: where true depth jumps by `ratio` or more between neighbours.

    A slanted surface does not jump: at 60 degrees of view, 240 pixels wide, a floor changes by 15 % from one row to the
    next only within seven rows of its horizon.

    Args:
        truth_m: (H, W) metres, 0 = unknown; a jump to an unknown pixel is none.

    Returns:
        (H, W); only pixels with known depth.
    """
    known = truth_m > 0
    log = np.log(np.where(known, truth_m, 1.0))
    jump = np.zeros(truth_m.shape, np.uint8)
    for near, far in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        steep = (np.abs(log[far] - log[near]) > np.log(ratio)) & known[near] & known[far]
        jump[near] |= steep
        jump[far] |= steep
    distance = cv2.distanceTransform(1 - jump, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) if jump.any() else np.inf
    return known & (distance <= radius_px)


def border_error(
    *, prediction_m: NDArray[np.floating], truth_m: NDArray[np.floating], cap_m: float, median_scaled: bool
) -> float | None:
    """AbsRel at object borders (`depth_borders`), None for an image without any: how sharply objects stand out.

    Scaling takes the medians of all valid pixels, as `depth_figures` does.
    """
    valid = (truth_m > 1e-3) & (truth_m < cap_m)
    border = depth_borders(truth_m) & valid
    if not border.any():
        return None
    scale = np.median(truth_m[valid]) / np.median(prediction_m[valid]) if median_scaled else 1.0
    p = np.clip(prediction_m[border].astype(np.float64) * scale, 1e-3, cap_m)
    return float(np.mean(TERMS["AbsRel"](p, truth_m[border].astype(np.float64))))


def calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from the share of what is right, over bins of confidence.

    (Guo et al., ICML 2017, eq. 3.) sum over bins of (share of the items in the bin) |mean confidence - share right|.

    Args:
        confidence: (N,) in [0, 1], the claimed probability of being right; right: (N,).
        bins: of equal width.

    Raises:
        InputError: no item, other lengths, or values outside [0, 1].
    """
    if confidence.shape != right.shape or confidence.size == 0:
        raise InputError(
            "confidence", f"shapes {confidence.shape} and {right.shape}", "one value and one truth per item"
        )
    if not (confidence.min() >= 0 and confidence.max() <= 1):
        raise InputError("confidence", f"values to {confidence.max():.3g}", "probabilities in [0, 1]")
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1).ravel()
    claimed = np.bincount(place, confidence.ravel().astype(np.float64), bins)
    held = np.bincount(place, right.ravel().astype(np.float64), bins)
    return float(np.abs(claimed - held).sum() / confidence.size)
