"""Training and test items of the depth methods, from rendered rooms and from real sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenewright.data.sequences import open_sequence
from scenewright.depth.augment import Augmentation, augment
from scenewright.depth.task import DepthSample
from scenewright.geometry.camera import Camera
from scenewright.worlds.dataset import RoomFrame, RoomFrames


class RoomDepths:
    """Rendered rooms as augmented training items.

    Args:
        frames: the rendered frames.
        how: size and strength of the augmentation.
    """

    def __init__(self, frames: RoomFrames, how: Augmentation) -> None:
        self.frames, self.how = frames, how

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        seeds = self.frames.seeds()
        digest = hashlib.sha256(repr(seeds).encode()).hexdigest()
        return {
            "description": "synthetic rooms",
            "views": len(seeds),
            "rooms": len(set(seeds)),
            "sha256_of_seeds": digest,
        }

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, index: int, generator: torch.Generator) -> DepthSample:
        """One item, augmented by the generator alone."""
        frame = self.frames[index]
        seed = int(torch.randint(2**62, (), generator=generator))
        rng = np.random.default_rng(seed)
        return augment(frame.image, frame.depth_m, frame.labels, _camera(frame), self.how, rng)


def room_samples(frames: RoomFrames) -> Iterator[DepthSample]:
    """Rendered frames as they are, for measuring; batches of one."""
    for index in range(len(frames)):
        frame = frames[index]
        labels = torch.from_numpy(frame.labels.astype(np.int64))[None]
        yield DepthSample(_image(frame.image), torch.from_numpy(frame.depth_m)[None, None], _camera(frame), labels)


def sequence_samples(path: str | Path, every: int = 1) -> Iterator[DepthSample]:
    """Frames of a real sequence that have true depth, for measuring; batches of one."""
    sequence = open_sequence(path, every=every)
    for frame in sequence:
        if frame.depth_m is not None and (frame.depth_m > 0).any():
            yield DepthSample(_image(frame.image), torch.from_numpy(frame.depth_m)[None, None], sequence.camera)


def _camera(frame: RoomFrame) -> Camera:
    height, width = frame.depth_m.shape
    return Camera(width, height, torch.from_numpy(frame.K))


def _image(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None] / 255
