"""What the CRF does at object borders, and whether confidence means what it says: weights on rooms never seen."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.depth.data import room_samples
from scenewright.depth.metrics import border_error, calibration_error
from scenewright.depth.protocols import CAP_M
from scenewright.depth.task import DepthSample
from scenewright.engine.weights import load
from scenewright.worlds.dataset import RoomFrames


def errors(method: Any, samples: list[DepthSample], crf: bool) -> tuple[float, float, float]:
    """Mean over images of AbsRel, of AbsRel at object borders (median-scaled both), and seconds of CPU per image."""
    everywhere, borders, begin = [], [], time.process_time()
    for sample in samples:
        predicted = method.predict(sample.image, sample.camera, crf=crf).depth_m[0, 0].numpy()
        truth = sample.depth_m[0, 0].numpy()
        valid = (truth > 1e-3) & (truth < CAP_M)
        scaled = predicted[valid] * np.median(truth[valid]) / np.median(predicted[valid])
        everywhere.append(float(np.mean(np.abs(scaled - truth[valid]) / truth[valid])))
        at_border = border_error(prediction_m=predicted, truth_m=truth, cap_m=CAP_M, median_scaled=True)
        borders.extend([] if at_border is None else [at_border])
    return float(np.mean(everywhere)), float(np.mean(borders)), (time.process_time() - begin) / len(samples)


def confidence(method: Any, samples: list[DepthSample]) -> tuple[float, float, float]:
    """Calibration error of the confidence, and AbsRel of the most and of the least confident quarter of all pixels."""
    claims = [method.claims(sample) for sample in samples]
    claimed, right = (np.concatenate([c[i].numpy() for c in claims]) for i in (0, 1))
    sure, wrong = zip(*(_pixels(method, sample) for sample in samples), strict=True)
    order = np.argsort(np.concatenate(sure))
    by_confidence = np.concatenate(wrong)[order]
    quarter = len(order) // 4
    return (
        calibration_error(claimed, right),
        float(by_confidence[-quarter:].mean()),
        float(by_confidence[:quarter].mean()),
    )


def _pixels(method: Any, sample: DepthSample) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    prediction = method.predict(sample.image, sample.camera, crf=False)
    truth = sample.depth_m[0, 0].numpy()
    valid = (truth > 1e-3) & (truth < CAP_M)
    predicted = prediction.depth_m[0, 0].numpy()[valid]
    return prediction.confidence[0, 0].numpy()[valid], np.abs(predicted - truth[valid]) / truth[valid]


def settings(text: list[str]) -> Iterator[dict[str, float]]:
    """`name=value,name=value` of each trial of the CRF's settings."""
    for trial in text:
        pairs = (part.split("=") for part in trial.split(",") if part)
        yield {name: int(value) if name in ("iterations", "rings") else float(value) for name, value in pairs}


def main() -> None:
    """Print one row without the CRF, one with it, one for each trial, and the confidence's figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="depth_classification", help="name, or folder of weights")
    parser.add_argument("--rooms", help="folder of rendered rooms", required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--trial", action="append", default=[], help="CRF settings, e.g. bilateral_px=8,cut=10")
    options = parser.parse_args()
    torch.set_num_threads(1)
    method: Any = load(options.weights)
    samples = list(islice(room_samples(RoomFrames(options.rooms, options.split)), 0, None, options.every))
    print(f"{len(samples)} images, median-scaled; borders: within 3 px of a jump of true depth by 15 %")
    print(f"{'':50}{'AbsRel':>9}{'borders':>9}{'CPU s':>8}")
    plain = method.config
    rows: list[tuple[str, Any, bool]] = [("without CRF", plain, False), ("CRF", plain, True)]
    rows += [(str(t), replace(plain, crf=replace(plain.crf, **t)), True) for t in settings(options.trial)]
    for title, method.config, crf in rows:
        print("{:50}{:9.4f}{:9.4f}{:8.3f}".format(title, *errors(method, samples, crf)), flush=True)
    method.config = plain
    ece, sure, unsure = confidence(method, samples)
    print(f"calibration error {ece:.4f}; AbsRel of the most confident quarter {sure:.4f}, of the least {unsure:.4f}")


if __name__ == "__main__":
    main()
