"""Measuring a depth method by a protocol: figures, trivial rows beside them, stored results, a sheet of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.images import depth_preview, write_image
from scenewright.depth.baselines import MeanMap
from scenewright.depth.data import room_samples, sequence_samples
from scenewright.depth.evaluate import Scores, label_iou, method_predictor, score
from scenewright.depth.protocols import CAP_M, PROTOCOLS, STRIDE
from scenewright.depth.task import DepthSample
from scenewright.engine.scoreboard import measured, store
from scenewright.engine.weights import digest, load
from scenewright.errors import InputError
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
        sheet: picture to write with the best and the worst items.

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
        _store(name, protocol, scores, results)
    if sheet is not None:
        write_sheet(sheet, method, source, every, scores[name])
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
        folder, _, split = source[6:].partition(":")
        return islice(room_samples(RoomFrames(folder, split or "test")), 0, None, every)
    return sequence_samples(source, every)


def _store(name: str, protocol: str, scores: dict[str, Scores], root: Path) -> None:
    for row, s in scores.items():
        figures = {**s.raw, **{f"{key} scaled": value for key, value in s.scaled.items()}}
        method = load(name).card.name if row == name else row
        data = {"items": len(s.per_image)}
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


def write_sheet(path: Path, method: Any, source: str, every: int, scores: Scores, rows: int = 6) -> None:
    """Colour, true depth, predicted depth (median-scaled) side by side: the best items left, the worst right."""
    errors = np.array([scaled["AbsRel"] for _, scaled in scores.per_image])
    order = np.argsort(errors)
    chosen = [*order[:rows], *order[::-1][:rows]]
    wanted: dict[int, NDArray[np.uint8]] = {}
    for index, sample in enumerate(s for s in samples_of(source, every) if bool((s.depth_m > 0).any())):
        if index in chosen:
            wanted[index] = _strip(method, sample, float(errors[index]))
    columns = [np.vstack([wanted[i] for i in part]) for part in (chosen[:rows], chosen[rows:]) if part]
    write_image(path, np.hstack(columns))


def _strip(method: Any, sample: DepthSample, error: float) -> NDArray[np.uint8]:
    truth = sample.depth_m[0, 0].numpy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predicted = method.predict(sample.image, sample.camera).depth_m[0, 0].float().numpy()
    valid = (truth > 0) & (truth < CAP_M)
    predicted = predicted * np.float32(np.median(truth[valid]) / np.median(predicted[valid]))
    near, far = (float(np.percentile(truth[valid], p)) for p in (2, 98))
    image = (255 * sample.image[0].permute(1, 2, 0).numpy()).astype(np.uint8)
    strip = np.hstack([image, depth_preview(truth, near, far), depth_preview(predicted, near, far)])
    strip = np.asarray(cv2.resize(strip, (3 * 200, 150), interpolation=cv2.INTER_AREA), np.uint8)
    cv2.putText(strip, f"AbsRel {error:.3f}", (405, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return strip
