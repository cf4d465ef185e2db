"""What a depth method must beat: predictions that never look at the picture."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

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
