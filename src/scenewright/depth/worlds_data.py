"""Training items from rendered worlds for the methods that learn from pairs, from order, or from focus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scenewright.depth.augment import Augmentation, augment, random_window, window_camera
from scenewright.depth.inputs import shrink
from scenewright.depth.task import DepthSample, FocalStackSample, OrdinalSample, StereoSample
from scenewright.geometry.camera import Camera
from scenewright.worlds.credits import WORLD_LICENCES
from scenewright.worlds.dataset import RoomFrame, RoomFrames
from scenewright.worlds.focus import focal_stack, focus_distances
from scenewright.worlds.shards import Views
from scenewright.worlds.stereo import PairFrame, PairFrames

Floats = NDArray[np.float32]
Generator = np.random.Generator


def record_of(frames: Views, description: str) -> dict[str, Any]:
    """Where rendered data come from, for the card of the weights."""
    worlds = len(set(frames.seeds()))
    return {
        "description": description,
        "views": len(frames),
        "worlds": worlds,
        "sha256": frames.fingerprint(),
        "licences": list(WORLD_LICENCES),
    }


def _rng(generator: torch.Generator) -> Generator:
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))


def _camera(frame: RoomFrame | PairFrame) -> Camera:
    height, width = frame.depth_m.shape
    return Camera(width, height, torch.from_numpy(frame.K))


def _chw(image: NDArray[Any]) -> Tensor:
    """(H, W, 3) uint8 or float in [0, 1] -> (3, H, W) float32."""
    values = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(values).float() / 255 if values.dtype == np.uint8 else torch.from_numpy(values).float()


@dataclass(frozen=True)
class PairAugmentation:
    """How a pair is varied: always both views alike.

    Args:
        size: (width, height) of the result in pixels.
        zoom: (smallest, largest) window as a share of the largest window of the result's aspect.
        mirror, colour: chances to look in a mirror (which swaps the views) and to change gamma, brightness and tint.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.75, 1.0)
    mirror: float = 0.5
    colour: float = 0.5


class StereoPairs:
    """Rendered pairs as augmented training items.

    Args:
        frames: the rendered pairs.
        how: size and strength of the augmentation.
        depth: the depth that items carry: of every pixel, of the lidar's returns alone, or none.
    """

    def __init__(
        self, frames: PairFrames, how: PairAugmentation, depth: Literal["dense", "sparse", "none"] = "dense"
    ) -> None:
        self.frames, self.how, self.depth = frames, how, depth

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return record_of(self.frames, "synthetic stereo pairs") | {"depth": self.depth}

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, index: int, generator: torch.Generator) -> StereoSample:
        """One pair, augmented by the generator alone."""
        return augment_pair(self.frames[index], self.how, _rng(generator), self.depth)


def _depths(frame: PairFrame, depth: str) -> tuple[Floats | None, Floats | None]:
    if depth == "none":
        return None, None
    return (frame.sparse_m, frame.right_sparse_m) if depth == "sparse" else (frame.depth_m, frame.right_depth_m)


def augment_pair(frame: PairFrame, how: PairAugmentation, rng: Generator, depth: str = "dense") -> StereoSample:
    """One random view of a pair, a single item of `how.size`: the same window, mirror and colours for both views."""
    camera = _camera(frame)
    affine = random_window(camera, Augmentation(how.size, how.zoom, roll_deg=0.0), rng)
    seen = window_camera(affine, camera, how.size)
    views = [cv2.warpAffine(x, affine, how.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
             for x in (frame.image, frame.right)]  # fmt: skip
    move = move_points if depth == "sparse" else move_map
    depths = [None if d is None else move(d, affine, how.size) for d in _depths(frame, depth)]
    if rng.random() < how.mirror:
        views, depths = [x[:, ::-1] for x in views[::-1]], [None if d is None else d[:, ::-1] for d in depths[::-1]]
        seen = seen.hflip()
    colours = [x.astype(np.float32) / np.float32(255) for x in views]
    if rng.random() < how.colour:
        colours = same_colours(colours, rng)
    left_m, right_m = (None if d is None else torch.from_numpy(np.ascontiguousarray(d[None])) for d in depths)
    return StereoSample(
        _chw(colours[0]), _chw(colours[1]), seen, torch.tensor(frame.baseline_m, dtype=torch.float32), left_m, right_m
    )


def move_map(depth_m: Floats, affine: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """A depth map of every pixel seen through a window: the nearest pixel's value."""
    return np.asarray(cv2.warpAffine(depth_m, affine, size, flags=cv2.INTER_NEAREST, borderValue=0), np.float32)


def move_points(sparse_m: Floats, affine: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """A sparse map seen through a window: every return moves to its new pixel, the nearest one wins."""
    rows, columns = np.nonzero(sparse_m)
    values = sparse_m[rows, columns]
    x, y = np.rint(affine @ np.stack([columns, rows, np.ones(len(rows))])).astype(np.int64)
    inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
    order = np.argsort(-values[inside], kind="stable")
    out = np.zeros((size[1], size[0]), np.float32)
    out[y[inside][order], x[inside][order]] = values[inside][order]
    return out


def same_colours(views: Sequence[Floats], rng: Generator) -> list[Floats]:
    """Gamma, brightness and a tint, one draw for all views (Godard et al. 2017, section 4.1); values stay in [0, 1]."""
    gamma, bright, tint = rng.uniform(0.8, 1.2), rng.uniform(0.6, 1.6), rng.uniform(0.8, 1.2, 3)
    return [np.clip(x**gamma * (bright * tint), 0, 1).astype(np.float32) for x in views]


def pair_samples(frames: PairFrames, limit: int | None = None) -> Iterator[StereoSample]:
    """Rendered pairs as they are, with depth of every pixel, for measuring; batches of one."""
    for index in range(min(len(frames), limit or len(frames))):
        frame = frames[index]
        left_m, right_m = (torch.from_numpy(d)[None, None] for d in (frame.depth_m, frame.right_depth_m))
        baseline = torch.tensor([frame.baseline_m], dtype=torch.float32)
        left, right = _chw(frame.image)[None], _chw(frame.right)[None]
        yield StereoSample(left, right, _camera(frame), baseline, left_m, right_m)


class OrdinalPairs:
    """Views of rooms with pairs of points that know only which of them is nearer.

    Half of the pairs are random; half lie on one row, symmetric about the picture's middle, as half of Depth in the
    Wild's do: there no rule of thumb about the height in the picture helps.

    Args:
        frames: the rendered rooms.
        how: size and strength of the augmentation.
        pairs: of each item.
        equal: two depths whose ratio is at most 1 + equal count as equally far.
    """

    def __init__(self, frames: RoomFrames, how: Augmentation, pairs: int = 50, equal: float = 0.02) -> None:
        self.frames, self.how, self.pairs, self.equal = frames, how, pairs, equal

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return record_of(self.frames, "pairs of points in synthetic rooms") | {"pairs": self.pairs, "equal": self.equal}

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, index: int, generator: torch.Generator) -> OrdinalSample:
        """One view and its pairs, by the generator alone."""
        frame, rng = self.frames[index], _rng(generator)
        view = augment(frame.image, frame.depth_m, None, _camera(frame), self.how, rng)
        points, relation = ordinal_pairs(view.depth_m[0].numpy(), self.pairs, rng, self.equal)
        return OrdinalSample(view.image, view.camera, torch.from_numpy(points), torch.from_numpy(relation))


def ordinal_pairs(
    depth_m: Floats, count: int, rng: Generator, equal: float = 0.02
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of points of known depth, and their order.

    Args:
        depth_m: (H, W) metres, 0 = unknown.
        count: of pairs; the first half of them symmetric on one row, the others anywhere.
        equal: largest excess over 1 of the ratio of two depths that are taken for equal.

    Returns:
        points (count, 2, 2) int64 as (row, column), relation (count,) int64: +1 the first is nearer, -1 it is farther,
        0 equal. Where a picture has too few, they repeat; where it has none, points are 0 and the relation is 0.
    """
    height, width = depth_m.shape
    kinds = []
    for symmetric, wanted in ((True, count // 2), (False, count - count // 2)):
        points = rng.integers(0, (height, width), (20 * wanted + 20, 2, 2))
        if symmetric:
            points[:, 1, 0], points[:, 1, 1] = points[:, 0, 0], width - 1 - points[:, 0, 1]
        known = (depth_m[points[..., 0], points[..., 1]] > 0).all(1) & (points[:, 0] != points[:, 1]).any(1)
        found = points[known] if known.any() else np.zeros((1, 2, 2), np.int64)
        kinds.append(np.resize(found, (wanted, 2, 2)))
    points = np.concatenate(kinds).astype(np.int64)
    first, second = (depth_m[points[:, k, 0], points[:, k, 1]].astype(np.float64) for k in (0, 1))
    near, far = np.minimum(first, second), np.maximum(first, second)
    ordered = far > (1 + equal) * near
    return points, np.where(ordered, np.sign(second - first), 0).astype(np.int64)


def ordinal_samples(frames: RoomFrames, limit: int | None = None, pairs: int = 50) -> Iterator[OrdinalSample]:
    """Rendered rooms as they are with fixed pairs, for measuring; batches of one."""
    for index in range(min(len(frames), limit or len(frames))):
        frame = frames[index]
        points, relation = ordinal_pairs(frame.depth_m, pairs, np.random.default_rng([index, 51]))
        image, order = _chw(frame.image)[None], torch.from_numpy(relation)[None]
        yield OrdinalSample(image, _camera(frame), torch.from_numpy(points)[None], order)


@dataclass(frozen=True)
class Lens:
    """What a focal stack is taken with.

    Args:
        slices: pictures, focused evenly in inverse depth from near_m to far_m.
        aperture_m: diameter of the opening.
        noise: largest standard deviation of a slice's noise.
    """

    slices: int
    near_m: float
    far_m: float
    aperture_m: float
    noise: float = 0.01


RESOLUTIONS = (0.7, 1.4)
"""Focal lengths, as shares of that of the items, of the pictures whose blur is computed."""
SIZES = (0.6, 1.2)
"""A room and all that is in it may be so many times as large: its picture is the same, but what is near is rare."""
MOST_STACKS = 2048
"""Stacks that are kept, 0.2 MB each where items have 64x48 pixels; of more views, an even choice is taken."""


class FocalStacks:
    """Windows of rooms as focal stacks of one focal length, because one blur is then one step of inverse depth.

    To render a stack takes longer than to learn from it: each is rendered once, whole, and kept. Blur is computed at
    another resolution, so that items are enlarged or reduced as a user's pictures are.

    Args:
        frames: the rendered rooms.
        how: size of an item and strength of the augmentation of stacks.
        lens: what it is taken with.
        focal_px: of the items, pixels; a picture that is too narrow for it keeps a longer one.
    """

    def __init__(self, frames: RoomFrames, how: Augmentation, lens: Lens, focal_px: float) -> None:
        self.frames, self.how, self.lens, self.focal_px = frames, how, lens, focal_px
        self._kept: dict[int, FocalStackSample] = {}

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        lens = {"slices": self.lens.slices, "range_m": [self.lens.near_m, self.lens.far_m]}
        taken = lens | {"aperture_m": self.lens.aperture_m, "focal_px": self.focal_px, "sizes": list(SIZES)}
        return record_of(self.frames, "focal stacks of synthetic rooms") | taken

    def __len__(self) -> int:
        return min(len(self.frames), MOST_STACKS)

    def draw(self, index: int, generator: torch.Generator) -> FocalStackSample:
        """A window of one stack, mirrored or not, with noise of its own, by the generator alone."""
        if index not in self._kept:
            self._kept[index] = self._rendered(index)
        rng = _rng(generator)
        item = _window(self._kept[index], self.how.size, rng)
        return replace(item, stack=_noisy(item.stack.float() / 255, self.lens.noise, rng))

    def _rendered(self, index: int) -> FocalStackSample:
        """The whole view's stack, uint8 and without noise."""
        frame, rng = self.frames[index * len(self.frames) // len(self)], np.random.default_rng([index, 53])
        camera, metres = _camera(frame), np.float32(np.exp(rng.uniform(*np.log(SIZES))))
        least = max(n / m for n, m in zip(self.how.size, (camera.width, camera.height), strict=True))
        zoom = max(self.focal_px / camera.numbers[0], least)
        zooms = zoom, zoom * rng.uniform(*RESOLUTIONS)
        size, taken = ((round(camera.width * z), round(camera.height * z)) for z in zooms)
        how = replace(self.how, size=taken, zoom=(1.0, 1.0))
        view = augment(frame.image, metres * frame.depth_m, None, camera, how, rng)
        item = _resized(_stack(view, self.lens), size)
        return replace(item, stack=(255 * item.stack).round().clamp(0, 255).byte())


def _window(item: FocalStackSample, size: tuple[int, int], rng: Generator) -> FocalStackSample:
    """A window of a single item at a random place, mirrored half of the time."""
    (width, height), camera = size, item.camera
    left, top = (int(rng.integers(n - m + 1)) for n, m in zip((camera.width, camera.height), size, strict=True))
    seen = window_camera(np.array([[1.0, 0, -left], [0, 1, -top]]), camera, size)
    parts = [x[..., top : top + height, left : left + width] for x in (item.stack, item.depth_m)]
    if rng.random() < 0.5:
        parts, seen = [x.flip(-1) for x in parts], seen.hflip()
    return replace(item, stack=parts[0], depth_m=parts[1], camera=seen)


def _noisy(stack: Tensor, most: float, rng: Generator) -> Tensor:
    """A stack with normal noise; its deviation, one for all slices, is drawn from 0 to `most`."""
    count, _, height, width = stack.shape
    deviation = rng.uniform(0, most)
    noise = torch.from_numpy(rng.standard_normal((count, height, width, 3), np.float32)).permute(0, 3, 1, 2)
    return (stack + deviation * noise).clamp(0, 1).contiguous()


def _resized(item: FocalStackSample, size: tuple[int, int]) -> FocalStackSample:
    """A single item at another (width, height); depth is the nearest pixel's."""
    depth = F.interpolate(item.depth_m[None], size[::-1], mode="nearest-exact")[0]
    return replace(item, stack=shrink(item.stack, size[::-1]), depth_m=depth, camera=item.camera.resize(*size))


def _stack(view: DepthSample, lens: Lens) -> FocalStackSample:
    """The stack (a single item) of an all-in-focus picture; a view without any depth is taken for a far wall."""
    image, depth = view.image.permute(1, 2, 0).numpy(), view.depth_m[0].numpy()
    known = depth if (depth > 0).any() else np.full_like(depth, lens.far_m)
    focus = focus_distances(lens.near_m, lens.far_m, lens.slices)
    slices = focal_stack(image, known, view.camera.numbers[0], focus, lens.aperture_m)
    stack = torch.from_numpy(np.ascontiguousarray(slices.transpose(0, 3, 1, 2)))
    return FocalStackSample(stack, torch.from_numpy(focus), view.camera, view.depth_m)


def focal_samples(
    frames: RoomFrames, size: tuple[int, int], lens: Lens, limit: int | None = None
) -> Iterator[FocalStackSample]:
    """Rendered rooms as stacks of a size, without augmentation, for measuring; batches of one."""
    how = Augmentation(size, zoom=(1.0, 1.0), roll_deg=0.0, photometric=0.0)
    for index in range(min(len(frames), limit or len(frames))):
        frame, rng = frames[index], np.random.default_rng([index, 52])
        item = _stack(augment(frame.image, frame.depth_m, None, _camera(frame), how, rng), lens)
        stack = _noisy(item.stack, lens.noise, rng)
        yield replace(
            item, stack=stack[None], focus_m=item.focus_m[None], depth_m=item.depth_m[None],
            camera=Camera(*size, item.camera.K[None]),
        )  # fmt: skip
