"""Measuring a depth method on items with truth, beside what never looks at the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.depth.focus import focus_figures
from scenewright.depth.metrics import (
    Moments,
    border_error,
    calibration_error,
    depth_figures,
    mean_figures,
    moments,
    pooled,
)
from scenewright.depth.ordinal import Pairs, choose_threshold, differences, mean_wkdr, whdr
from scenewright.depth.task import DepthMethod, DepthSample, FocalStackSample, OrdinalSample
from scenewright.errors import InputError
from scenewright.labels import LABELS

FloatImage = NDArray[np.float32]
Predictor = Callable[[Any], FloatImage]
WHITE_BORDER = 9, 10
"""Pixels of NYU's pictures that are cut off at the top and left, and at the bottom and right: the official code keeps
rows and columns 10 to size - 10, counted from 1."""


@dataclass(frozen=True)
class Scores:
    """One predictor's figures on a set.

    Args:
        raw, scaled: over the set, as predicted and after per-image median scaling.
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


def method_predictor(method: Any, needs_stack: bool | None = None) -> Predictor:
    """A predictor from any depth method.

    The predictor raises InputError for a sample that the method cannot use.

    Args:
        method: shown the picture, or the whole stack if that is what it takes.
        needs_stack: whether it takes stacks; None: its own example says so.
    """
    if needs_stack is None:
        needs_stack = hasattr(method, "example") and isinstance(method.example(1, 0), FocalStackSample)

    def predict(sample: Any) -> FloatImage:
        if needs_stack != isinstance(sample, FocalStackSample):
            found, expected = ("a picture", "focal stacks") if needs_stack else ("a focal stack", "pictures")
            raise InputError("data", found, f"{expected}, which this method takes")
        with torch.autocast(sample.camera.K.device.type, dtype=torch.bfloat16):
            if needs_stack:
                found_m = method.predict(sample.stack, sample.camera, sample.focus_m).depth_m
            else:
                found_m = method.predict(sample.image, sample.camera).depth_m
            return found_m[0, 0].float().numpy()

    return predict


def ordinal_predictor(method: Any, needs_stack: bool | None = None) -> Predictor:
    """As `method_predictor`; of a method with an `ordinal_map` that map, in float32: thresholds are 0.01 apart."""
    if not hasattr(method, "ordinal_map"):
        return method_predictor(method, needs_stack)
    return lambda sample: np.asarray(method.ordinal_map(sample.image)[0, 0].float().numpy())


def within_border(predict: Predictor) -> Predictor:
    """A predictor that is shown a picture without its white border; what its map says there is repeated outwards.

    The predictor raises InputError for a picture that is all border.
    """
    before, after = WHITE_BORDER

    def bordered(sample: OrdinalSample) -> FloatImage:
        height, width = (n - before - after for n in sample.camera.size)
        if min(height, width) < 1:
            raise InputError("picture", f"sides {sample.camera.size}", f"more than the {before + after} of its border")
        inside = sample.image[..., before:-after, before:-after]
        camera = sample.camera.crop(before, before, width, height)
        return np.pad(predict(replace(sample, image=inside, camera=camera)), (before, after), mode="edge")

    return bordered


def score(
    predictors: dict[str, Predictor], samples: Iterable[Any], cap_m: float, *, pool: bool = False
) -> dict[str, Scores]:
    """Run every predictor over every item once; items are batches of one, with depth.

    Args:
        predictors: by name.
        samples: `DepthSample` or `StereoSample`; `crops.restricted` has taken out what does not count.
        cap_m: truth from there on does not count either; predictions are clamped to it.
        pool: the figures of the set are over all pixels of all images, not means over images.
    """
    rows: dict[str, list[tuple[Moments, Moments]]] = {name: [] for name in predictors}
    medians: dict[str, list[tuple[float, float]]] = {name: [] for name in predictors}
    for sample in measurable(samples, cap_m):
        truth = sample.depth_m[0, 0].numpy()
        valid = (truth > 1e-3) & (truth < cap_m)
        for name, predict in predictors.items():
            predicted = predict(sample)
            raw, scaled = (
                moments(prediction_m=predicted, truth_m=truth, cap_m=cap_m, median_scaled=s) for s in (False, True)
            )
            rows[name].append((raw, scaled))
            medians[name].append((float(np.median(truth[valid])), float(np.median(predicted[valid]))))
    return {name: _summary(rows[name], medians[name], pool) for name in predictors}


def measurable(samples: Iterable[Any], cap_m: float) -> Iterator[Any]:
    """The items of which any pixel has true depth within the cap: those that `score` counts, in its order."""
    return (s for s in samples if bool(((s.depth_m > 1e-3) & (s.depth_m < cap_m)).any()))


def _summary(rows: list[tuple[Moments, Moments]], medians: list[tuple[float, float]], pool: bool) -> Scores:
    pairs = np.array(medians, np.float64).reshape(-1, 2)
    per_image = [(raw.figures(), scaled.figures()) for raw, scaled in rows]
    if pool:
        raw, scaled = pooled([r for r, _ in rows]), pooled([s for _, s in rows])
    else:
        raw, scaled = mean_figures([r for r, _ in per_image]), mean_figures([s for _, s in per_image])
    return Scores(raw, scaled, per_image, pairs[:, 0], pairs[:, 1])


def score_order(predictors: dict[str, Predictor], samples: Iterable[OrdinalSample]) -> dict[str, dict[str, float]]:
    """Share of all ordered pairs of all images in the wrong order: "WHDR", "WHDR same row", "WHDR other rows".

    Raises:
        InputError: no item; in a kind without pairs, the figure is left out.
    """
    rows: dict[str, list[NDArray[np.float64]]] = {name: [] for name in predictors}
    for sample in samples:
        points, relation = sample.points[0].numpy(), sample.relation[0].numpy()
        for name, predict in predictors.items():
            difference = differences(predict(sample), points)
            rows[name].append(np.stack([difference, relation, points[:, 0, 0] == points[:, 1, 0]], 1))
    return {name: _order_figures(np.concatenate([np.zeros((0, 3)), *found])) for name, found in rows.items()}


def _order_figures(rows: NDArray[np.float64]) -> dict[str, float]:
    """Figures of (difference, relation, whether on one row) of each pair."""
    rows = rows[rows[:, 1] != 0]
    if not len(rows):
        raise InputError("pairs", "none that are ordered", "at least one")
    same = rows[:, 2] == 1
    kinds = {"WHDR": np.ones(len(rows), bool), "WHDR same row": same, "WHDR other rows": ~same}
    return {name: whdr(rows[k, 0], rows[k, 1].astype(np.int64)) for name, k in kinds.items() if k.any()}


def score_relations(
    predictors: dict[str, Predictor], validation: Iterable[OrdinalSample], samples: Iterable[OrdinalSample]
) -> dict[str, dict[str, float]]:
    """Disagreement on pairs that may be equally far, as Chen et al. measure on NYU (2016, section 5.1).

    Args:
        predictors: by name.
        validation: choose each predictor's threshold (`ordinal.choose_threshold`); pictures without a border.
        samples: measured at that threshold, `within_border`.

    Returns:
        "WKDR", "WKDR_eq" and "WKDR_neq" (`ordinal.mean_wkdr`), and the "threshold".

    Raises:
        InputError: items that are no pairs of points, or validation without equal or without ordered ones.
    """
    chosen = {name: choose_threshold(found) for name, found in _pair_differences(predictors, validation).items()}
    bordered = {name: within_border(predict) for name, predict in predictors.items()}
    measured = _pair_differences(bordered, samples)
    return {name: {**mean_wkdr(measured[name], t), "threshold": t} for name, t in chosen.items()}


def _pair_differences(predictors: dict[str, Predictor], samples: Iterable[OrdinalSample]) -> dict[str, list[Pairs]]:
    found: dict[str, list[Pairs]] = {name: [] for name in predictors}
    for sample in samples:
        if not isinstance(sample, OrdinalSample):
            raise InputError("data", type(sample).__name__, "pairs of points whose order is known")
        points, relation = sample.points[0].numpy(), sample.relation[0].numpy()
        for name, predict in predictors.items():
            found[name].append((differences(predict(sample), points), relation))
    return found


def score_focus(predictors: dict[str, Predictor], samples: Iterable[FocalStackSample]) -> dict[str, dict[str, float]]:
    """Means over stacks of `focus.focus_figures`; stacks without truth in its range are left out.

    Raises:
        InputError: no stack with truth.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    for sample in samples:
        truth = sample.depth_m[0, 0].numpy()
        if ((truth >= 0.5) & (truth <= 7.0)).any():
            for name, predict in predictors.items():
                rows[name].append(focus_figures(predict(sample), truth))
    return {name: mean_figures(found) for name, found in rows.items()}


def score_borders(
    predictors: dict[str, Predictor], samples: Iterable[Any], cap_m: float
) -> dict[str, dict[str, float]]:
    """AbsRel where objects end (`metrics.depth_borders`) and everywhere, raw and "... scaled", means over images.

    Args:
        predictors, samples, cap_m: as in `score`.

    Raises:
        InputError: no image with such a border.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    for sample in measurable(samples, cap_m):
        truth = sample.depth_m[0, 0].numpy()
        for name, predict in predictors.items():
            rows[name].append(_border_figures(predict(sample), truth, cap_m))
    return {name: _means_of_what_is_there(found) for name, found in rows.items()}


def _border_figures(predicted: FloatImage, truth: FloatImage, cap_m: float) -> dict[str, float]:
    found = {}
    for word, scaled in (("", False), (" scaled", True)):
        given: dict[str, Any] = {
            "prediction_m": predicted, "truth_m": truth, "cap_m": cap_m, "median_scaled": scaled
        }  # fmt: skip
        found["AbsRel" + word] = depth_figures(**given)["AbsRel"]
        at_border = border_error(**given)
        if at_border is not None:
            found["AbsRel at borders" + word] = at_border
    return found


def _means_of_what_is_there(rows: list[dict[str, float]]) -> dict[str, float]:
    found = {name: float(np.mean([r[name] for r in rows if name in r])) for row in rows for name in row}
    if "AbsRel at borders" not in found:
        raise InputError("borders", "no image with a jump of true depth", "at least one")
    return found


def score_confidence(method: Any, samples: Iterable[DepthSample], cap_m: float) -> dict[str, float]:
    """Whether a method knows where it is right.

    Args:
        method: with `claims`, whose probabilities "ECE" judges, and a prediction with confidence.
        samples: batches of one, with truth.
        cap_m: as in `score`; for the quarters of all pixels that it is surest and least sure of.

    Raises:
        InputError: a method without them.
    """
    if not hasattr(method, "claims"):
        raise InputError("confidence", "a method without", "one that says how sure it is")
    claimed, right, sure, wrong = (list[NDArray[Any]]() for _ in range(4))
    for sample in measurable(samples, cap_m):
        truth = sample.depth_m[0, 0].numpy()
        valid = (truth > 1e-3) & (truth < cap_m)
        with torch.autocast(sample.image.device.type, dtype=torch.bfloat16):
            claims, prediction = method.claims(sample), method.predict(sample.image, sample.camera)
        claimed.append(claims[0].float().numpy())
        right.append(claims[1].numpy())
        sure.append(prediction.confidence[0, 0].float().numpy()[valid])
        predicted = prediction.depth_m[0, 0].float().numpy()[valid]
        wrong.append(np.abs(predicted - truth[valid]) / truth[valid])
    by_confidence = np.concatenate(wrong)[np.argsort(np.concatenate(sure), kind="stable")]
    quarter = max(1, len(by_confidence) // 4)
    least, most = float(by_confidence[:quarter].mean()), float(by_confidence[-quarter:].mean())
    return {
        "ECE": calibration_error(np.concatenate(claimed), np.concatenate(right)),
        "AbsRel surest quarter": most,
        "AbsRel least sure quarter": least,
        "surest / least sure": most / least,
    }


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
