"""Measuring a depth method by a protocol: figures, trivial rows beside them, stored results, a sheet of pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.fingerprint import fingerprint
from scenewright.depth.baselines import HeightPrior, MeanMap, constant_depth, lower_is_nearer, sgbm_depth
from scenewright.depth.crops import restricted
from scenewright.depth.depth_in_the_wild import DepthInTheWildConfig
from scenewright.depth.evaluate import (
    Predictor,
    Scores,
    label_iou,
    method_predictor,
    ordinal_predictor,
    score,
    score_borders,
    score_confidence,
    score_focus,
    score_order,
    score_relations,
)
from scenewright.depth.focus import variance_of_laplacian
from scenewright.depth.protocols import MEASURES, Measure, unnamed
from scenewright.depth.task import FocalStackSample, OrdinalSample, StereoSample
from scenewright.engine.config import from_text
from scenewright.engine.scoreboard import measured, read_all, store
from scenewright.errors import InputError
from scenewright.pipelines.data_sources import check_apart, samples_of, source_fingerprint, training_maps
from scenewright.pipelines.sheet import write_sheet
from scenewright.pipelines.sources import NO_WEIGHTS, NamedMethod, depth_method

__all__ = ["Evaluation", "evaluate", "samples_of", "source_fingerprint"]

Figures = dict[str, float]
_LABEL = re.compile(r"([a-z0-9][a-z0-9._-]*)=(.+)")
_OF_DEPTH = ("depth", "borders", "confidence")
"""Kinds of measures whose items are depth maps."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        figures: by predictor, the method first, then what it must beat; "NAME scaled" after median scaling.
        scores: of depth maps in full; empty for pairs of points and focal stacks.
        labels: IoU by class and their mean, where both sides have labels.
        items: how many items counted.
    """

    figures: dict[str, Figures]
    scores: dict[str, Scores] = field(default_factory=dict)
    labels: Figures = field(default_factory=dict)
    items: int = 0


def evaluate(
    name: str,
    source: str,
    *,
    protocol: str | None = None,
    every: int = 1,
    mean_from: str | Path | None = None,
    results: Path | None = None,
    sheet: Path | None = None,
    files: Path | None = None,
    split: str | None = None,
    changes: Sequence[str] = (),
    threshold_from: str | None = None,
) -> Evaluation:
    """Score weights on a source with truth.

    Args:
        name: method with shipped weights, a folder of weights, onnx:FILE, or variance-of-laplacian. LABEL=NAME gives
            the row a name of its own: "garg.one-level=FOLDER" is an ablation of garg.
        source: as `samples_of` reads it.
        protocol: name of a protocol; it then sets `every`, crop, cap and scaling, and results can be stored under it.
        every: use each n-th item.
        mean_from: folder of rooms, or a data set, whose training depth makes the mean map and the image-height prior.
        results: root folder to store results under; needs a protocol. Trivial rows that lie there, measured by the
            same protocol on the same data, are kept as they are and not measured again.
        sheet: picture to write with the four best and the four worst items.
        files: the list of frames of a KITTI split.
        split: of a data set that has several; a protocol sets its own.
        changes: fields of the Config that predict otherwise with the same weights, as `name=value`; needs a label.
        threshold_from: validation data that a protocol of relations chooses its threshold on, as `source`.

    Raises:
        InputError: no such protocol, results without one or of another number of items, a method that cannot use
            the data, or validation data that are missing, not asked for, or measured on.
    """
    if protocol is not None and protocol not in MEASURES:
        raise InputError("--protocol", repr(protocol), f"one of {', '.join(MEASURES)}")
    if results is not None and protocol is None:
        raise InputError("--results", "no protocol", "--protocol NAME: figures without one cannot be stored")
    how = MEASURES[protocol] if protocol else None
    options = {"files": files, "split": split, **(how.options if how else {})}
    how = how or unnamed(_kind_of(next(samples_of(source, 1, "depth", options), None)), every)
    data = _Data(source, how.every, how.kind, options, threshold_from)
    data.check_threshold()
    first = data.first()
    name, named = _named(name, changes)
    kept = _kept(how, data, results)
    trivial = _trivial(first, how, None if {"mean-map", "image-height"} <= kept.keys() else mean_from)
    beside = {row: predict for row, predict in trivial.items() if row != name and row not in kept}
    predictor = ordinal_predictor if how.kind == "relations" else method_predictor
    predictors = {name: predictor(named.method, named.task == "focus"), **beside}
    found = _measured(name, named, data, how, predictors)
    if results is not None:
        _store(name, named, how, found, data.fingerprint(), results)
    found.figures.update({row: figures for row, figures in kept.items() if row not in found.figures})
    if sheet is not None and found.scores:
        _draw(sheet, named.name, predictors[name], data, how, found.scores[name])
    return found


def _kept(how: Measure, data: _Data, results: Path | None) -> dict[str, Figures]:
    """Trivial rows that are stored already for the same protocol and data."""
    if results is None:
        return {}
    rows = read_all(results / how.protocol.task / how.protocol.name)
    same = [r for r in rows if r.baseline and r.protocol_hash == how.protocol.hash]
    sha256 = data.fingerprint() if same else ""
    return {r.method: dict(r.figures) for r in same if r.data_sha256 == sha256}


def _named(text: str, changes: Sequence[str]) -> tuple[str, NamedMethod]:
    """The name of the row that is printed, and the method under the name of the row that is stored."""
    label = _LABEL.fullmatch(text)
    name = label[2] if label else text
    named = depth_method("method", name, tasks=("depth", "focus"))
    if changes and label is None:
        raise InputError("--option", ", ".join(changes), f"LABEL={name}: other predictions need a name of their own")
    if changes:
        config = named.method.config
        named.method.config = replace(config, **from_text(type(config), changes, "--option"))
    return (label[1], replace(named, name=label[1])) if label else (name, named)


@dataclass(frozen=True)
class _Data:
    """A source that can be gone through again and again."""

    source: str
    every: int
    kind: str
    options: Mapping[str, Any]
    threshold_from: str | None = None

    def check_threshold(self) -> None:
        """Raise InputError unless there is validation data where a threshold is chosen, and they are other data."""
        if (self.kind == "relations") != (self.threshold_from is not None):
            expected = "nothing: no threshold is chosen" if self.threshold_from else "validation pairs to choose it on"
            raise InputError("--threshold-from", self.threshold_from or "nothing", expected)
        if self.threshold_from is not None:
            check_apart(self.source, self.threshold_from, self.options)

    def validation(self) -> Iterator[Any]:
        """The items that the threshold is chosen on."""
        return samples_of(self.threshold_from or self.source, 1, self.kind)

    def __iter__(self) -> Iterator[Any]:
        return samples_of(self.source, self.every, self.kind, self.options)

    def first(self) -> Any:
        """The first item, of depth maps the first that has truth."""
        items = restricted(self, "none", np.inf) if self.kind in _OF_DEPTH else iter(self)
        found = next(items, None)
        if found is None:
            raise InputError(self.source, "no item with truth", "at least one")
        return found

    def fingerprint(self) -> str:
        """Of all that figures depend on: what chose the threshold, too."""
        own = source_fingerprint(self.source, self.every, self.options)
        if self.threshold_from is None:
            return own
        return fingerprint([own, source_fingerprint(self.threshold_from, 1)])


def _kind_of(sample: Any) -> str:
    if isinstance(sample, OrdinalSample):
        return "ordinal"
    return "focus" if isinstance(sample, FocalStackSample) else "depth"


class _Counted:
    """Items that are gone through once, and how many they were."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items, self.count = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            self.count += 1
            yield item


def _measured(name: str, named: NamedMethod, data: _Data, how: Measure, predictors: dict[str, Predictor]) -> Evaluation:
    if how.kind == "ordinal":
        return Evaluation(score_order(predictors, data), items=sum(1 for _ in data))
    if how.kind == "relations":
        pairs = _Counted(data)
        return Evaluation(score_relations(predictors, data.validation(), pairs), items=pairs.count)
    if how.kind == "focus":
        return Evaluation(score_focus(predictors, data), items=sum(1 for _ in data))
    items = _Counted(restricted(data, how.crop, how.cap_m))
    if how.kind == "borders":
        return Evaluation(score_borders(predictors, items, how.cap_m), items=items.count)
    if how.kind == "confidence":
        return Evaluation({name: score_confidence(named.method, items, how.cap_m)}, items=items.count)
    scores = score(predictors, items, how.cap_m, pool=how.pooled)
    labels = label_iou(named.method, data) if data.source.startswith("rooms:") and named.labels else {}
    count = len(next(iter(scores.values())).per_image)
    return Evaluation({name: _figures(s, how.scaling) for name, s in scores.items()}, scores, labels, count)


def _figures(scores: Scores, scaling: str) -> Figures:
    if scaling == "both":
        return {**scores.raw, **{f"{name} scaled": value for name, value in scores.scaled.items()}}
    return scores.scaled if scaling == "median" else scores.raw


def _trivial(first: Any, how: Measure, mean_from: str | Path | None) -> dict[str, Predictor]:
    """What a method must beat on this kind of data, by name."""
    found: dict[str, Predictor] = {}
    if how.kind in ("depth", "borders"):
        found["constant"] = lambda sample: constant_depth(_size(sample), how.constant_m)
    if how.kind == "focus":
        found |= {"middle-of-focus": _middle_of_focus, "variance-of-laplacian": _sharpest}
    if how.kind == "ordinal":
        found["lower-is-nearer"] = lambda sample: lower_is_nearer(_size(sample))
    if how.kind == "relations":
        found["lower-is-nearer"] = lambda sample: _lower_is_nearer_m(_size(sample))
    if mean_from is not None:
        mean, height = MeanMap(), HeightPrior()
        for depth_m in training_maps(mean_from):
            mean.add(depth_m)
            height.add(depth_m)
        found["mean-map"] = lambda sample: mean.predict(_size(sample))
        found["image-height"] = lambda sample: height.predict(_size(sample))
    if isinstance(first, StereoSample):
        found["sgbm"] = _matched
    return found


def _lower_is_nearer_m(size: tuple[int, int]) -> NDArray[np.float32]:
    """The order by height with the deviation of NYU's depth, so that the thresholds that are tried mean something."""
    order = lower_is_nearer(size)
    return order * np.float32(DepthInTheWildConfig.paper().deviation_m / order.std())


def _size(sample: Any) -> tuple[int, int]:
    """(height, width) of a picture or of a stack's pictures."""
    size: tuple[int, int] = sample.camera.size
    return size


def _bytes(image: Any) -> NDArray[np.uint8]:
    return np.rint(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8)


def _matched(sample: StereoSample) -> NDArray[np.float32]:
    return sgbm_depth(_bytes(sample.image[0]), _bytes(sample.right[0]), sample.camera, float(sample.baseline_m[0]))


def _sharpest(sample: FocalStackSample) -> NDArray[np.float32]:
    return variance_of_laplacian(np.stack([_bytes(x) for x in sample.stack[0]]), sample.focus_m[0].numpy())


def _middle_of_focus(sample: FocalStackSample) -> NDArray[np.float32]:
    return constant_depth(_size(sample), float(1 / (1 / sample.focus_m[0]).mean()))


def _store(name: str, named: NamedMethod, how: Measure, found: Evaluation, fingerprint: str, root: Path) -> None:
    protocol = how.protocol
    if how.items is not None and found.items != how.items:
        raise InputError(f"--results of {protocol.name}", f"{found.items} items", f"the {how.items} of the protocol")
    data = {"items": found.items, "sha256": fingerprint}
    for row, figures in found.figures.items():
        own = row == name and named.sha256 != NO_WEIGHTS  # what has no weights is a baseline by whatever name it came
        chosen = {"threshold": figures["threshold"]} if "threshold" in figures else {}
        result = measured(
            protocol, named.name if own else row, figures, weights_sha256=named.sha256 if own else "",
            data={**data, **chosen}, baseline=not own,
        )  # fmt: skip
        store(result, root)


def _draw(path: Path, method: str, predict: Callable[[Any], Any], data: _Data, how: Measure, scores: Scores) -> None:
    means = ", ".join(f"{key} {scores.scaled[key]:.3f}" for key in ("AbsRel", "delta1", "within10"))
    name = data.source if how.protocol.name == "unnamed" else how.protocol.name
    title = f"{method}, {name}, items: {len(scores.per_image)}. {means} after one factor per item"
    write_sheet(path, title, predict, restricted(data, how.crop, how.cap_m), scores, how.cap_m)
