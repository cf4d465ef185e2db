"""Measuring a depth method by a protocol: figures, trivial rows beside them, stored results, a sheet of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequences import open_sequence
from scenewright.depth.baselines import MeanMap
from scenewright.depth.data import room_samples, sequence_samples
from scenewright.depth.evaluate import Scores, label_iou, method_predictor, score
from scenewright.depth.protocols import CAP_M, PROTOCOLS, STRIDE
from scenewright.depth.task import DepthSample
from scenewright.engine.scoreboard import measured, store
from scenewright.engine.weights import digest, load
from scenewright.errors import InputError
from scenewright.pipelines.sheet import write_sheet
from scenewright.worlds.dataset import RoomFrames

CONSTANT_M = 2.2


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        scores: by predictor: the method, then the trivial ones.
        labels: IoU by class and their mean, where both sides have labels.
    """

    scores: dict[str, Scores]
    labels: dict[str, float]


def evaluate(
    name: str,
    source: str,
    *,
    protocol: str | None = None,
    every: int = 1,
    mean_from: Path | None = None,
    results: Path | None = None,
    sheet: Path | None = None,
) -> Evaluation:
    """Score weights on a source with truth.

    Args:
        name: method with shipped weights, or a folder of weights.
        source: `rooms:FOLDER[:SPLIT]`, or a sequence with depth (clip, TUM, 7-Scenes).
        protocol: name of a protocol; it then sets `every`, and results can be stored under it.
        every: use each n-th item.
        mean_from: folder of rooms whose training split makes the mean map.
        results: root folder to store results under; needs a protocol.
        sheet: picture to write with the four best and the four worst items.

    Raises:
        InputError: no such protocol, or results without one.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise InputError("--protocol", repr(protocol), f"one of {', '.join(PROTOCOLS)}")
    if results is not None and protocol is None:
        raise InputError("--results", "no protocol", "--protocol NAME: figures without one cannot be stored")
    every = STRIDE[protocol] if protocol else every
    method: Any = load(name)
    predictors = {name: method_predictor(method), "constant": _constant}
    if mean_from is not None:
        predictors["mean-map"] = _mean_map(mean_from)
    scores = score(predictors, samples_of(source, every), CAP_M)
    labels = label_iou(method, samples_of(source, every)) if source.startswith("rooms:") else {}
    if results is not None and protocol is not None:
        data = {"items": len(scores[name].per_image), "sha256": source_fingerprint(source, every)}
        _store(name, protocol, scores, data, results)
    if sheet is not None:
        means = ", ".join(f"{key} {scores[name].scaled[key]:.3f}" for key in ("AbsRel", "delta1", "within10"))
        title = f"{method.card.name}, {protocol or source}, items: {len(scores[name].per_image)}. {means}"
        write_sheet(
            sheet, f"{title} after one factor per item", predictors[name], samples_of(source, every), scores[name]
        )
    return Evaluation(scores, labels)


def _constant(sample: DepthSample) -> NDArray[np.float32]:
    return np.full(tuple(sample.depth_m.shape[-2:]), CONSTANT_M, np.float32)


def _mean_map(folder: Path) -> Any:
    frames = RoomFrames(folder, "train")
    step = max(1, len(frames) // 2000)
    mean = MeanMap().fit(frames[i].depth_m for i in range(0, len(frames), step))
    return lambda sample: mean.predict((sample.depth_m.shape[-2], sample.depth_m.shape[-1]))


def samples_of(source: str, every: int) -> Iterator[DepthSample]:
    """Items of a source, batches of one."""
    if source.startswith("rooms:"):
        return islice(room_samples(_rooms(source)), 0, None, every)
    return sequence_samples(source, every)


def source_fingerprint(source: str, every: int) -> str:
    """SHA-256 of what `samples_of` is made of."""
    if source.startswith("rooms:"):
        return _rooms(source).fingerprint(every)
    return open_sequence(source, every=every).fingerprint()


def _rooms(source: str) -> RoomFrames:
    folder, _, split = source[6:].partition(":")
    return RoomFrames(folder, split or "test")


def _store(name: str, protocol: str, scores: dict[str, Scores], data: dict[str, Any], root: Path) -> None:
    for row, s in scores.items():
        figures = {**s.raw, **{f"{key} scaled": value for key, value in s.scaled.items()}}
        method = load(name).card.name if row == name else row
        baseline = row != name
        store(
            measured(
                PROTOCOLS[protocol],
                method,
                figures,
                weights_sha256=digest(name) if row == name else "",
                data=data,
                baseline=baseline,
            ),
            root,
        )
