"""Training a method on a world: render what is missing, then fit its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from scenewright.depth.augment import Augmentation
from scenewright.depth.baselines import MeanMap
from scenewright.depth.data import RoomDepths, room_samples, sequence_samples
from scenewright.depth.evaluate import Scores, method_predictor, score
from scenewright.depth.task import DepthSample
from scenewright.engine.table import create
from scenewright.engine.weights import load
from scenewright.errors import InputError
from scenewright.worlds.dataset import RoomFrames

CAP_M = 10.0


def train(
    method: str,
    rooms: Path,
    run_dir: Path,
    *,
    preset: str = "small",
    seed: int = 0,
    steps: int | None = None,
    trunk: Path | None = None,
    start: str | None = None,
    threads: int | None = None,
    precision: str = "bf16",
    resume: bool = True,
    quiet: bool = False,
) -> Path:
    """Train a depth method on rendered rooms; returns the folder of its weights.

    Args:
        method: name in the table.
        rooms: folder of shards with a "train" split, and a "validation" split to watch where there is one.
        run_dir: holds the log, the resumable state and, in the end, `weights/`.
        preset, seed: of the method; of order and augmentation.
        steps: shorten every stage to at most so many steps.
        trunk: safetensors of an ImageNet trunk, as `scenewright convert` writes them.
        start: begin from these weights (a name or folder) instead of fresh ones.
        threads: of torch; None leaves its choice.

    Raises:
        InputError: a method of another task, or rooms that are not there.
    """
    from scenewright.engine.fit import fit

    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model: Any = load(start) if start else create(method, preset)
    if model.card.task != "depth":
        raise InputError("method", f"{method}, a method for {model.card.task}", "a depth method")
    if trunk is not None:
        model.load_trunk(_tensors(trunk))
    data = RoomDepths(RoomFrames(rooms, "train"), Augmentation(model.config.input_size))
    return fit(
        model, {"rooms": data}, run_dir, preset=preset, seed=seed, precision=precision, max_steps=steps, resume=resume,
        validate=_validation(rooms), validate_every=500, quiet=quiet,
    )  # fmt: skip


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"no readable tensors ({error})", "a safetensors file") from None


def _validation(rooms: Path) -> Callable[[Any], Mapping[str, float]] | None:
    try:
        frames = RoomFrames(rooms, "validation")
    except InputError:
        return None
    samples = list(room_samples(frames))[:96]

    def validate(model: Any) -> Mapping[str, float]:
        scores = score({"": method_predictor(model)}, samples, CAP_M)[""]
        return {
            "AbsRel": scores.raw["AbsRel"],
            "AbsRel_scaled": scores.scaled["AbsRel"],
            "delta1_scaled": scores.scaled["delta1"],
            "scale_spread": scores.scale_spread,
        }

    return validate


def evaluate(name: str, source: str, every: int = 1, mean_from: Path | None = None) -> dict[str, Scores]:
    """Score shipped weights or a folder of them on a source, the mean map and a constant beside them.

    Args:
        name: method or folder of weights.
        source: `rooms:FOLDER[:SPLIT]`, or a sequence with depth (clip, TUM, 7-Scenes).
        every: use each n-th frame of a sequence.
        mean_from: folder of rooms whose training split makes the mean map.

    Returns:
        Scores by predictor.
    """
    model: Any = load(name)
    predictors = {name: method_predictor(model), "constant 2.2 m": _constant}
    if mean_from is not None:
        frames = RoomFrames(mean_from, "train")
        step = max(1, len(frames) // 2000)
        mean = MeanMap().fit(frames[i].depth_m for i in range(0, len(frames), step))
        predictors["mean map"] = lambda sample: mean.predict((sample.depth_m.shape[-2], sample.depth_m.shape[-1]))
    samples = _samples(source, every)
    return score(predictors, samples, CAP_M)


def _constant(sample: DepthSample) -> Any:
    return torch.full_like(sample.depth_m[0, 0], 2.2).numpy()


def _samples(source: str, every: int) -> Any:
    if source.startswith("rooms:"):
        folder, _, split = source[6:].partition(":")
        return room_samples(RoomFrames(folder, split or "test"))
    return sequence_samples(source, every)
