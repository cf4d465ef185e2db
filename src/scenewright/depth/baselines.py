"""What a depth method must beat: predictions that never look at the picture."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera

FloatImage = NDArray[np.float32]


def constant_depth(size: tuple[int, int], metres: float) -> FloatImage:
    """The same depth everywhere; `size` is (height, width)."""
    return np.full(size, metres, np.float32)


class MeanMap:
    """The per-pixel mean of a training set's depth maps, at its own small size, stretched to any picture.

    Args:
        size: (height, width) of the map.
    """

    def __init__(self, size: tuple[int, int] = (36, 48)) -> None:
        self.size = size
        self.total = np.zeros(size, np.float64)
        self.count = np.zeros(size, np.float64)

    def add(self, depth_m: FloatImage) -> None:
        """Take in one training depth map (H, W) in metres, 0 = unknown."""
        small = cv2.resize(depth_m, self.size[::-1], interpolation=cv2.INTER_NEAREST)
        area, known = (
            cv2.resize(x.astype(np.float32), self.size[::-1], interpolation=cv2.INTER_AREA)
            for x in (depth_m, depth_m > 0)
        )
        # a sparse map may know nothing at the very pixel: then the mean of what is known around it
        small = np.where((small == 0) & (known > 0), area / np.maximum(known, 1e-9), small)
        self.total += small
        self.count += small > 0

    def fit(self, maps: Iterable[FloatImage]) -> MeanMap:
        """Take in many."""
        for depth_m in maps:
            self.add(depth_m)
        return self

    def predict(self, size: tuple[int, int]) -> FloatImage:
        """The mean map at (height, width).

        Raises:
            InputError: nothing was taken in yet.
        """
        if not self.count.any():
            raise InputError("mean map", "no training depth", "at least one depth map")
        mean = self.total / np.maximum(self.count, 1)
        mean[self.count == 0] = mean[self.count > 0].mean()
        return cv2.resize(mean.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


class HeightPrior:
    """The mean depth of each height in the picture, of a training set: what lies lower is nearer.

    Args:
        rows: number of heights that are told apart.
    """

    def __init__(self, rows: int = 48) -> None:
        self.total, self.count = np.zeros(rows, np.float64), np.zeros(rows, np.float64)

    def add(self, depth_m: FloatImage) -> None:
        """Take in one training depth map (H, W) in metres, 0 = unknown."""
        bins = (np.arange(len(depth_m)) * len(self.total)) // len(depth_m)
        np.add.at(self.total, bins, depth_m.sum(1, dtype=np.float64))
        np.add.at(self.count, bins, np.count_nonzero(depth_m, 1))

    def fit(self, maps: Iterable[FloatImage]) -> HeightPrior:
        """Take in many."""
        for depth_m in maps:
            self.add(depth_m)
        return self

    def predict(self, size: tuple[int, int]) -> FloatImage:
        """The map at (height, width); heights that were never seen are interpolated.

        Raises:
            InputError: nothing was taken in yet.
        """
        known = np.flatnonzero(self.count)
        if not len(known):
            raise InputError("image-height prior", "no training depth", "at least one depth map")
        height = (np.arange(size[0]) + 0.5) * len(self.total) / size[0] - 0.5
        column = np.interp(height, known, self.total[known] / self.count[known])
        return np.broadcast_to(column[:, None], size).astype(np.float32)


def lower_is_nearer(size: tuple[int, int]) -> FloatImage:
    """An order without training, in no unit: what lies lower is nearer; on one row, what lies farther left.

    The second rule knows nothing: it is there so that pairs on one row are guesses, right half the time, and no ties.
    """
    height, width = size
    rows, columns = np.arange(height, 0, -1, dtype=np.float32), np.arange(width, dtype=np.float32)
    return rows[:, None] + columns / np.float32(2 * width)


def sgbm_disparity(left: NDArray[np.uint8], right: NDArray[np.uint8], most_px: int | None = None) -> FloatImage:
    """Semi-global matching of a rectified pair (Hirschmueller 2008, as OpenCV has it), with its holes filled.

    Args:
        left, right: (H, W, 3) uint8.
        most_px: largest disparity looked for; None takes a fifth of the width.

    Returns:
        (H, W) float32 pixels, >= 1/16; where nothing matched, the smaller disparity of the next matches to both sides.
    """
    number = 16 * max(1, -(-(most_px or left.shape[1] // 5) // 16))
    matcher = cv2.StereoSGBM.create(
        minDisparity=0, numDisparities=number, blockSize=5, P1=8 * 3 * 25, P2=32 * 3 * 25, disp12MaxDiff=1,
        uniquenessRatio=10, speckleWindowSize=100, speckleRange=2,
    )  # fmt: skip
    # OpenCV matches nothing in the first columns, where the right picture might not reach: give it a border
    sides = (cv2.copyMakeBorder(image, 0, 0, number, 0, cv2.BORDER_REPLICATE) for image in (left, right))
    disparity = matcher.compute(*sides)[:, number:].astype(np.float32) / 16
    return fill_background(np.where(disparity > 0, disparity, 0))


def fill_background(disparity: FloatImage) -> FloatImage:
    """Fill zeros with the smaller of the next known values in their row; empty rows with the row next to them.

    What the right camera does not see lies behind: the smaller disparity is the likelier. All zeros become 1/16.
    """
    known = disparity > 0
    if not known.any():
        return np.full(disparity.shape, 1 / 16, np.float32)
    columns = np.arange(disparity.shape[1])
    before = np.maximum.accumulate(np.where(known, columns, -1), 1)
    after = np.minimum.accumulate(np.where(known, columns, len(columns))[:, ::-1], 1)[:, ::-1]
    sides = [
        np.where(
            (at >= 0) & (at < len(columns)), np.take_along_axis(disparity, np.clip(at, 0, len(columns) - 1), 1), np.inf
        )
        for at in (before, after)
    ]
    filled = np.minimum(*sides)
    rows = np.flatnonzero(known.any(1))
    nearest = rows[np.abs(np.arange(len(disparity))[:, None] - rows).argmin(1)]
    return filled[nearest].astype(np.float32)


def sgbm_depth(left: NDArray[np.uint8], right: NDArray[np.uint8], camera: Camera, baseline_m: float) -> FloatImage:
    """z-depth in metres (H, W) of the left picture by `sgbm_disparity`: f B / d."""
    return np.float32(camera.numbers[0] * baseline_m) / sgbm_disparity(left, right)
