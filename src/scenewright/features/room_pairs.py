"""Wide-baseline pairs of rooms as training items: what corresponds is known from depth and pose."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.colours import vary_colours
from scenewright.data.posed_pairs import PosedPair
from scenewright.errors import InputError
from scenewright.features.task import CorrespondenceSample
from scenewright.geometry.covisible import pixels
from scenewright.worlds.credits import WORLD_LICENCES
from scenewright.worlds.wide import SAME_DEPTH, WideFrames

_BORDER = 2  # points stay this far from the edges of their windows
_FEWEST = 20
_ATTEMPTS = 50


class RoomPairs:
    """Windows of two views of a room with points that correspond; no two draws are alike.

    Args:
        frames: the pairs of one split.
        length: how many an epoch has.
        side: of both square windows, pixels.
        points: correspondences of each pair.
    """

    def __init__(self, frames: WideFrames, length: int = 100_000, side: int = 128, points: int = 200) -> None:
        self.frames, self.length, self.side, self.points = frames, length, side, points

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": "windows of wide-baseline pairs of synthetic rooms",
            "views": len(self.frames),
            "worlds": len(set(self.frames.seeds())),
            "sha256": self.frames.fingerprint(),
            "side": self.side,
            "licences": list(WORLD_LICENCES),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> CorrespondenceSample:
        """One pair, by the generator alone.

        Raises:
            InputError: pictures smaller than the windows, or pairs that share next to nothing.
        """
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        for _ in range(_ATTEMPTS):
            sample = room_pair(self.frames[int(rng.integers(len(self.frames)))], rng, self.side, self.points)
            if sample is not None:
                return sample
        raise InputError(
            "wide-rooms", f"{_ATTEMPTS} windows without {_FEWEST} places seen in both", "pairs that overlap"
        )


def room_pair(frame: PosedPair, rng: np.random.Generator, side: int, points: int) -> CorrespondenceSample | None:
    """Windows around one place seen in both views, which lies somewhere else in each; either view may come first.

    Half of the points are Shi-Tomasi corners of the first window, half are places by chance, drawn with replacement;
    all are whole pixels in the first. None where too few places are seen in both windows.
    """
    height, width = frame.depth_m.shape
    if min(height, width) < side:
        raise InputError("wide-rooms", f"views of {width}x{height}", f"{side} pixels a side or more")
    pair = frame if rng.random() < 0.5 else frame.swapped()
    uv, there = pair.seen(pixels((height, width), 4), SAME_DEPTH)
    if len(uv) == 0:
        return None
    anchor = int(rng.integers(len(uv)))
    corners = [_corner(xy[anchor], (width, height), side, rng) for xy in (uv, there)]
    uv, there = pair.seen(pixels((side, side), 1, _BORDER) + corners[0], SAME_DEPTH)
    xy = [uv - corners[0], there - corners[1]]
    inside = np.flatnonzero(((xy[1] >= _BORDER) & (xy[1] <= side - 1 - _BORDER)).all(1))
    if len(inside) < _FEWEST:
        return None
    windows = [image[y : y + side, x : x + side] for image, (x, y) in zip((pair.image, pair.second), corners)]
    rows = _chosen(windows[0], xy[0], inside, points, rng)
    first, second = (
        torch.from_numpy(np.ascontiguousarray(vary_colours(w, 0.7, rng).transpose(2, 0, 1))) for w in windows
    )
    return CorrespondenceSample(first, second, *(torch.from_numpy(p[rows].astype(np.float32)) for p in xy))


def _corner(place: NDArray[Any], size: tuple[int, int], side: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(2,) upper left pixel (x, y) of a window in which the place lies anywhere but near the edge."""
    wanted = place - side * rng.uniform(0.2, 0.8, 2)
    return np.clip(np.rint(wanted), 0, np.array(size) - side).astype(np.int64)


def _chosen(
    window: NDArray[np.uint8], xy: NDArray[Any], rows: NDArray[np.intp], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`count` of the rows of the pixels xy (N, 2): corners, and places by chance."""
    which = np.full(window.shape[:2], -1, np.int64)
    at = xy[rows]
    which[at[:, 1], at[:, 0]] = rows
    mask = (which >= 0).astype(np.uint8)
    found = cv2.goodFeaturesToTrack(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY), count, 0.01, 4, mask=mask)
    anywhere = rng.choice(rows, count, replace=True)
    if found is None:
        return anywhere
    corner = np.rint(found[:, 0]).astype(np.int64)
    anywhere[: count // 2] = rng.choice(which[corner[:, 1], corner[:, 0]], count // 2, replace=True)
    return anywhere
