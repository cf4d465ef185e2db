"""From what the user names to what the SLAM is driven by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.sequence import Sequence
from scenewright.depth.focus import VarianceOfLaplacian
from scenewright.depth.onnx_depth import OnnxDepth
from scenewright.engine.weights import digest, load
from scenewright.errors import InputError
from scenewright.features.extract import CLASSICAL, extractor
from scenewright.nn.inference import prepare
from scenewright.slam.features import FeatureSource, NoFeatures
from scenewright.slam.sources import MethodDepth, SensorDepth
from scenewright.slam.types import DepthSource


@dataclass(frozen=True)
class ChosenDepth:
    """A depth source, with the hash of its weights where it has any."""

    source: DepthSource
    name: str
    weights: dict[str, str]
    labels: bool


@dataclass(frozen=True)
class ChosenFeatures:
    """Features by which places are found again (None: those the map has itself), with the hashes of their weights."""

    source: FeatureSource | None
    weights: dict[str, str]


OWN_FEATURES = "orb"
"""The features that a map uses unless told otherwise: ORB with the settings of small pictures."""
ONNX = "onnx:"
"""What the name of a foreign network begins with; its file follows."""
NO_WEIGHTS = "none"
"""Stands for the hash of weights where there are none."""


@dataclass(frozen=True)
class NamedMethod:
    """A depth method as the user named it.

    Args:
        method: on its device, in eval mode.
        name, scale: as its card says.
        sha256: of its weights.
        labels: whether it predicts labels.
        task: "depth", or "focus" for a method of focal stacks.
    """

    method: Any
    name: str
    scale: str
    sha256: str
    labels: bool
    task: str = "depth"


def depth_method(option: str, name: str, device: str = "cpu", tasks: tuple[str, ...] = ("depth",)) -> NamedMethod:
    """Resolve the name of a depth method.

    Args:
        option: which option named it, for errors.
        name: a method's name with shipped weights, a folder of weights, or onnx:FILE, a foreign network.
        device: where networks of ours run.
        tasks: that the method may be for; "focus" takes focal stacks and knows the name variance-of-laplacian, too.

    Raises:
        InputError: a method of another task, no weights, or a file that is no usable network.
    """
    if name.startswith(ONNX):
        foreign = OnnxDepth(name.removeprefix(ONNX))
        card = foreign.card
        return NamedMethod(foreign, card.name, card.scale, foreign.sha256, "label_probabilities" in foreign.outputs)
    if name == VarianceOfLaplacian.name and "focus" in tasks:
        return NamedMethod(VarianceOfLaplacian(), name, "metric", NO_WEIGHTS, False, "focus")
    method: Any = load(name)
    if method.card.task not in tasks:
        raise InputError(option, f"{method.card.name}, a method for {method.card.task}", "a depth method")
    prepare(method.eval().to(device), lambda: method(_blank(method)))
    labelled = bool(getattr(method.config, "classes", 0))
    return NamedMethod(method, method.card.name, method.card.scale, digest(name), labelled, method.card.task)


def _blank(method: Any) -> torch.Tensor:
    """A black picture, or a stack of them, of the size of the network's input and on its device."""
    width, height = method.config.input_size
    stack = (method.config.slices,) if method.card.task == "focus" else ()
    return torch.zeros(1, *stack, 3, height, width, device=next(method.parameters()).device)


def choose_depth(name: str, sequence: Sequence, device: str = "cpu") -> ChosenDepth:
    """Resolve `--depth`: "sensor", a method's name with shipped weights, a folder of weights, or onnx:FILE.

    Raises:
        InputError: sensor depth of a source that has none, a method of another task, no weights, or no such device.
    """
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise InputError("--device", repr(device), "cpu, or cuda where there is such a device")
    if name == "sensor":
        return ChosenDepth(SensorDepth(_sensor_reader(sequence)), name, {}, labels=False)
    named = depth_method("--depth", name, device)
    source = MethodDepth(named.method, named.scale)
    return ChosenDepth(source, named.name, {named.name: named.sha256}, named.labels)


def choose_features(name: str) -> ChosenFeatures:
    """Resolve `--features`: "orb", "none", another classical name, a method with weights, or DETECTOR+DESCRIBER.

    Raises:
        InputError: an unknown name, no weights, or a part that cannot play its role.
    """
    if name == OWN_FEATURES:
        return ChosenFeatures(None, {})
    if name == "none":
        return ChosenFeatures(NoFeatures(), {})
    return ChosenFeatures(extractor(name), features_weights(name))


def features_weights(name: str) -> dict[str, str]:
    """The hashes of the weights of learned features, by the name of the part; none for classical ones."""
    return {part: digest(part) for part in name.split("+") if part not in CLASSICAL}


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
