"""Training and test items of the depth methods, from rendered rooms and from real sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenewright.data.items import FocalStack, Item, OrdinalView, Reader, View
from scenewright.data.sample import Sample, image_tensor
from scenewright.data.sequences import guessed_camera, open_sequence
from scenewright.depth.augment import Augmentation, augment
from scenewright.depth.task import DepthSample, FocalStackSample, OrdinalSample, StereoSample
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds.credits import WORLD_LICENCES
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
            "licences": list(WORLD_LICENCES),
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
        yield DepthSample(
            image_tensor(frame.image), torch.from_numpy(frame.depth_m)[None, None], _camera(frame), labels
        )


def sequence_samples(path: str | Path, every: int = 1) -> Iterator[DepthSample]:
    """Frames of a real sequence that have true depth, for measuring; batches of one."""
    sequence = open_sequence(path, every=every)
    for frame in sequence:
        if frame.depth_m is not None and (frame.depth_m > 0).any():
            yield DepthSample(image_tensor(frame.image), torch.from_numpy(frame.depth_m)[None, None], sequence.camera)


def reader_samples(reader: Reader[Any], every: int = 1) -> Iterator[Sample]:
    """Items of a data set as samples for measuring, each of the type that the item asks for; batches of one."""
    for index in range(0, len(reader), every):
        yield sample_of(reader[index])


def sample_of(item: Item) -> Sample:
    """A data set's item as a sample, a batch of one; a camera that is not known is guessed.

    A pair of pictures with its baseline becomes a StereoSample; one without camera a DepthSample without truth.

    Raises:
        InputError: an item that is not about depth.
    """
    if not isinstance(item, View | OrdinalView | FocalStack):
        raise InputError("data", type(item).__name__, "views, pairs of points or focal stacks: data with depth")
    height, width = item.image.shape[:2]
    image = image_tensor(item.image)
    if isinstance(item, OrdinalView):
        points, relation = (torch.from_numpy(x)[None] for x in (item.points, item.relation))
        return OrdinalSample(image, guessed_camera(width, height), points, relation)
    depth_m = torch.zeros(1, 1, height, width) if item.depth_m is None else torch.from_numpy(item.depth_m)[None, None]
    if isinstance(item, FocalStack):
        stack = torch.cat([image_tensor(picture) for picture in item.stack])[None]
        return FocalStackSample(stack, torch.from_numpy(item.focus_m)[None], item.camera, depth_m)
    camera = item.camera or guessed_camera(width, height)
    if item.right is None or item.baseline_m is None:
        return DepthSample(image, depth_m, camera)
    return StereoSample(image, image_tensor(item.right), camera, torch.tensor([item.baseline_m]), depth_m)


def disparity_order(view: View, count: int, seed: int) -> OrdinalView:
    """Random pairs of points of a stereo truth, half of them on one row, whose disparities differ by 5 % or more.

    Raises:
        InputError: no disparity, or one that has not so many pairs.
    """
    if view.disp_px is None or not (view.disp_px > 0).any():
        raise InputError(view.name, "no disparity", "a picture whose disparity is known")
    generator, disp = np.random.default_rng(seed), view.disp_px
    kinds = [_pairs(disp, count // 2, generator, same_row) for same_row in (True, False)]
    points = np.concatenate(kinds)
    first, second = (disp[points[:, k, 0], points[:, k, 1]] for k in (0, 1))
    return OrdinalView(view.name, view.image, points, np.sign(first - second).astype(np.int64))


def _pairs(disp: np.ndarray, count: int, generator: np.random.Generator, same_row: bool) -> np.ndarray:
    height, width = disp.shape
    points = np.stack([generator.integers(0, (height, width), (40 * count, 2)) for _ in range(2)], 1)
    if same_row:
        points[:, 1, 0] = points[:, 0, 0]
    first, second = (disp[points[:, k, 0], points[:, k, 1]] for k in (0, 1))
    clear = (first > 0) & (second > 0) & (np.maximum(first, second) >= 1.05 * np.minimum(first, second))
    if clear.sum() < count:
        raise InputError("disparity", f"{clear.sum()} pairs that differ by 5 %", f"{count} among {40 * count}")
    return points[clear][:count]


def _camera(frame: RoomFrame) -> Camera:
    height, width = frame.depth_m.shape
    return Camera(width, height, torch.from_numpy(frame.K))
