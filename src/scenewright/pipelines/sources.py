"""From what the user names to what the SLAM is driven by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.sequence import Sequence
from scenewright.engine.weights import digest, load
from scenewright.errors import InputError
from scenewright.slam.sources import MethodDepth, SensorDepth
from scenewright.slam.types import DepthSource


@dataclass(frozen=True)
class ChosenDepth:
    """A depth source, with the hash of its weights where it has any."""

    source: DepthSource
    name: str
    weights: dict[str, str]
    labels: bool


def choose_depth(name: str, sequence: Sequence, device: str = "cpu") -> ChosenDepth:
    """Resolve `--depth`: "sensor", a method's name with shipped weights, or a folder of weights.

    Raises:
        InputError: sensor depth of a source that has none, a method of another task, no weights, or no such device.
    """
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise InputError("--device", repr(device), "cpu, or cuda where there is such a device")
    if name == "sensor":
        return ChosenDepth(SensorDepth(_sensor_reader(sequence)), name, {}, labels=False)
    method = load(name)
    if method.card.task != "depth":
        raise InputError("--depth", f"{method.card.name}, a method for {method.card.task}", "a depth method")
    method.eval().to(device)
    labelled = bool(getattr(method.config, "classes", 0))
    source: Any = MethodDepth(method, method.card.scale)  # type: ignore[arg-type]
    return ChosenDepth(source, method.card.name, {method.card.name: digest(name)}, labelled)


def _sensor_reader(sequence: Sequence) -> Any:
    first = next(iter(sequence))
    if first.depth_m is None:
        raise InputError("--depth sensor", f"{sequence.name} without depth", "a source with depth images")
    position = {frame_index: at for at, frame_index in enumerate(frame_indices(sequence))}

    def read(index: int) -> NDArray[np.float32]:
        depth = next(sequence.frames_from(position[index])).depth_m
        return np.zeros(sequence.camera.size, np.float32) if depth is None else depth

    return read


def frame_indices(sequence: Sequence) -> list[int]:
    """The index of every frame that the sequence yields, from its first and its stride."""
    frames = iter(sequence)
    first = next(frames).index
    second = next(frames, None)
    stride = 1 if second is None else second.index - first
    return [first + stride * at for at in range(len(sequence))]
