"""Depth from focus: what its methods have in common, their figures, and the classical way that they must beat."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenewright.depth.metrics import within
from scenewright.depth.task import DepthPrediction
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera

Floats = NDArray[np.float32]
METRE_PIXELS = 0.14125
"""DDFF 12-Scene's focal length times baseline: disparity in its pixels = 0.14125 / depth in metres."""
BAD_PX = 0.07
"""A disparity that is wrong by more than this is bad (DDFF 12-Scene)."""


@runtime_checkable
class FocusMethod(Protocol):
    """Any method whose task is depth from focus."""

    def predict(self, stack: Tensor, camera: Camera, focus_m: Tensor | None = None) -> DepthPrediction:
        """stack (B, S, 3, H, W) RGB in [0, 1], near to far; focus_m (B, S) metres -> prediction of that size."""


def variance_of_laplacian(
    stack: NDArray[np.uint8] | Floats, focus_m: Floats, window: int = 9, refine: bool = True
) -> Floats:
    """Depth of the slice in which each pixel is sharpest (Pech-Pacheco et al., ICPR 2000, LAP4).

    Args:
        stack: (S, H, W, 3) RGB, uint8 or float in [0, 1].
        focus_m: (S,) metres, ascending.
        window: side of the square over which the Laplacian's variance is taken, pixels, odd.
        refine: fit a parabola to the log variance of the best slice and its neighbours, over inverse depth.

    Returns:
        (H, W) metres, between the first and the last focus distance.

    Raises:
        InputError: fewer than two slices, distances that do not ascend, or an even window.
    """
    if stack.ndim != 4 or stack.shape[-1] != 3 or len(stack) < 2:
        raise InputError("stack", f"shape {stack.shape}", "(S, H, W, 3), two slices or more")
    if len(focus_m) != len(stack) or not (np.diff(focus_m) > 0).all() or focus_m[0] <= 0:
        raise InputError("focus distances", np.asarray(focus_m).tolist(), f"{len(stack)} that ascend from above 0")
    if window < 1 or window % 2 == 0:
        raise InputError("window", window, "an odd number of pixels")
    sharpness = np.stack([_sharpness(picture, window) for picture in stack])
    best = sharpness.argmax(0)
    place = best.astype(np.float64)
    if refine and len(stack) > 2:
        place = place + _peak(np.log(sharpness + 1e-12), best)
    inverse = np.interp(place, np.arange(len(stack)), 1 / np.asarray(focus_m, np.float64))
    return (1 / inverse).astype(np.float32)


class VarianceOfLaplacian:
    """`variance_of_laplacian` as a method of the task: what can be had without any network."""

    name = "variance-of-laplacian"

    def predict(self, stack: Tensor, camera: Camera, focus_m: Tensor | None = None) -> DepthPrediction:
        """As `FocusMethod.predict`; without distances depth lies between 1 and 4 in an unknown scale.

        Raises:
            InputError: as `variance_of_laplacian`, or a camera of another size.
        """
        if stack.ndim != 5 or camera.size != tuple(stack.shape[-2:]):
            raise InputError("stack", f"shape {tuple(stack.shape)}", f"(B, S, 3, {camera.height}, {camera.width})")
        given = focus_m if focus_m is not None else 1 / torch.linspace(1, 0.25, stack.shape[1])
        distances = given.expand(stack.shape[:2]).float().cpu().numpy()
        window = max(9, 2 * (camera.width // 60) + 1)
        pictures = stack.float().cpu().permute(0, 1, 3, 4, 2).numpy()
        depth = [variance_of_laplacian(p, d, window) for p, d in zip(pictures, distances, strict=True)]
        return DepthPrediction(torch.from_numpy(np.stack(depth))[:, None], metric=focus_m is not None)


def _sharpness(picture: NDArray[np.uint8] | Floats, window: int) -> NDArray[np.float64]:
    scale = 255.0 if picture.dtype == np.uint8 else 1.0
    grey = cv2.cvtColor(picture.astype(np.float32) / np.float32(scale), cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(grey.astype(np.float64), cv2.CV_64F, borderType=cv2.BORDER_REFLECT)
    mean, square = (cv2.boxFilter(e, -1, (window, window), borderType=cv2.BORDER_REFLECT) for e in (edges, edges**2))
    return np.asarray(np.maximum(square - mean**2, 0), np.float64)


def _peak(values: NDArray[np.float64], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where between its neighbours the parabola through the best slice and both of them peaks, in [-1/2, 1/2]."""
    middle = np.clip(best, 1, len(values) - 2)
    below, at, above = (np.take_along_axis(values, (middle + step)[None], 0)[0] for step in (-1, 0, 1))
    bend = below - 2 * at + above
    shift = np.where(bend < 0, 0.5 * (below - above) / np.minimum(bend, -1e-12), 0)
    return np.where(middle == best, np.clip(shift, -0.5, 0.5), 0)


def focus_figures(prediction_m: Floats, truth_m: Floats, near_m: float = 0.5, far_m: float = 7.0) -> dict[str, float]:
    """DDFF 12-Scene's figures of one image, on disparity in its pixels, where the truth lies from near to far.

    Args:
        prediction_m, truth_m: (H, W) metres; 0 in the truth = unknown.
        near_m, far_m: range of depth that counts.

    Returns:
        MSE, RMS, logRMS, AbsRel, SqRel, delta1..3, badpix (shares, not percent), bumpiness.

    Raises:
        InputError: shapes differ, no truth in the range, or a prediction that is not positive there.
    """
    if prediction_m.shape != truth_m.shape:
        raise InputError("prediction", f"shape {prediction_m.shape}", f"the truth's {truth_m.shape}")
    valid = (truth_m >= near_m * (1 - 1e-4)) & (truth_m <= far_m * (1 + 1e-4))
    if not valid.any():
        raise InputError("truth", "no depth in the range", f"some between {near_m} and {far_m} m")
    if not (np.isfinite(prediction_m[valid]).all() and (prediction_m[valid] > 0).all()):
        raise InputError("prediction", "depths that are not finite and positive", "metres > 0 where the truth is known")
    disparity = METRE_PIXELS / np.where(valid, prediction_m, 1).astype(np.float64)
    truth = METRE_PIXELS / np.where(valid, truth_m, 1).astype(np.float64)
    p, g, error = disparity[valid], truth[valid], (disparity - truth)[valid]
    mse = float(np.mean(error**2))
    return {
        "MSE": mse,
        "RMS": mse**0.5,
        "logRMS": float(np.sqrt(np.mean(np.log(p / g) ** 2))),
        "AbsRel": float(np.mean(np.abs(error) / g)),
        "SqRel": float(np.mean(error**2 / g)),
        **{f"delta{k}": within(p, g, 1.25**k) for k in (1, 2, 3)},
        "badpix": float(np.mean(np.abs(error) > BAD_PX)),
        "bumpiness": bumpiness(np.where(valid, disparity - truth, 0), valid),
    }


def bumpiness(error: NDArray[np.float64], valid: NDArray[np.bool_]) -> float:
    """100 times the mean over valid pixels of min(0.05, |Hessian of the error|_F); derivatives by Scharr twice."""
    from skimage.filters import scharr_h, scharr_v

    rows, columns = scharr_h(error), scharr_v(error)
    parts = scharr_h(rows), scharr_v(rows), scharr_h(columns), scharr_v(columns)
    norm = np.sqrt(sum(part**2 for part in parts))
    return float(100 * np.minimum(norm, 0.05)[valid].mean())
