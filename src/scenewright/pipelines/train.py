"""Training a method on a world: render what is missing, then fit its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from scenewright.depth.augment import Augmentation
from scenewright.depth.data import RoomDepths, room_samples
from scenewright.depth.evaluate import method_predictor, score
from scenewright.depth.protocols import CAP_M
from scenewright.engine.table import create
from scenewright.engine.weights import load
from scenewright.errors import InputError
from scenewright.worlds.dataset import RoomFrames


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
