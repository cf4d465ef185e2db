"""Measuring a depth method on items with truth, beside what never looks at the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.depth.metrics import depth_figures, mean_figures
from scenewright.depth.task import DepthMethod, DepthSample
from scenewright.errors import InputError
from scenewright.labels import LABELS

FloatImage = NDArray[np.float32]
Predictor = Callable[[DepthSample], FloatImage]


@dataclass(frozen=True)
class Scores:
    """One predictor's figures on a set.

    Args:
        raw, scaled: means over images, as predicted and after per-image median scaling.
        per_image: raw and scaled figures of each image.
        truth, predicted: (N,) medians over valid pixels, metres: their ratio is the scale error of each image.
    """

    raw: dict[str, float]
    scaled: dict[str, float]
    per_image: list[tuple[dict[str, float], dict[str, float]]]
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @property
    def scale_spread(self) -> float:
        """Standard deviation over images of the log of the scale error."""
        return float(np.std(np.log(self.predicted / self.truth)))


def method_predictor(method: DepthMethod) -> Predictor:
    """A predictor from any depth method."""

    def predict(sample: DepthSample) -> FloatImage:
        with torch.autocast(sample.image.device.type, dtype=torch.bfloat16):
            return method.predict(sample.image, sample.camera).depth_m[0, 0].float().numpy()

    return predict


def score(predictors: dict[str, Predictor], samples: Iterable[DepthSample], cap_m: float) -> dict[str, Scores]:
    """Run every predictor over every item once; items are batches of one."""
    rows: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {name: [] for name in predictors}
    medians: dict[str, list[tuple[float, float]]] = {name: [] for name in predictors}
    for sample in measurable(samples, cap_m):
        truth = sample.depth_m[0, 0].numpy()
        valid = (truth > 1e-3) & (truth < cap_m)
        for name, predict in predictors.items():
            predicted = predict(sample)
            raw, scaled = (
                depth_figures(prediction_m=predicted, truth_m=truth, cap_m=cap_m, median_scaled=s)
                for s in (False, True)
            )
            rows[name].append((raw, scaled))
            medians[name].append((float(np.median(truth[valid])), float(np.median(predicted[valid]))))
    return {name: _summary(rows[name], medians[name]) for name in predictors}


def measurable(samples: Iterable[DepthSample], cap_m: float) -> Iterator[DepthSample]:
    """The items of which any pixel has true depth within the cap: those that `score` counts, in its order."""
    return (s for s in samples if bool(((s.depth_m > 1e-3) & (s.depth_m < cap_m)).any()))


def _summary(rows: list[tuple[dict[str, float], dict[str, float]]], medians: list[tuple[float, float]]) -> Scores:
    pairs = np.array(medians, np.float64).reshape(-1, 2)
    raw, scaled = mean_figures([r for r, _ in rows]), mean_figures([s for _, s in rows])
    return Scores(raw, scaled, rows, pairs[:, 0], pairs[:, 1])


def label_iou(method: DepthMethod, samples: Iterable[DepthSample]) -> dict[str, float]:
    """Intersection over union of each class, counts pooled over all pixels with a known label, and "mIoU".

    The mean is over the classes that occur in the truth. Items are batches of one.

    Raises:
        InputError: no item with labels, or a method that predicts none.
    """
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    for sample in samples:
        found = method.predict(sample.image, sample.camera).label_probabilities
        if found is None or sample.labels is None:
            raise InputError("labels", "a method or an item without them", "label probabilities and true labels")
        known = sample.labels[0] > 0
        pairs = sample.labels[0][known] * len(LABELS) + found[0].argmax(0)[known]
        confusion += np.bincount(pairs.numpy(), minlength=len(LABELS) ** 2).reshape(confusion.shape)
    return iou_of(confusion)


def iou_of(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Per-class IoU tp / (tp + fp + fn) of a (true, predicted) count matrix, and their mean as "mIoU"."""
    hit, truth, guess = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    if not truth.any():
        raise InputError("labels", "no pixel with a known label", "at least one")
    iou = {LABELS[k]: float(hit[k] / (truth[k] + guess[k] - hit[k])) for k in range(len(LABELS)) if truth[k]}
    return {**iou, "mIoU": float(np.mean(list(iou.values())))}
