"""Two views of a still scene with depth and the pose between them: what corresponds can be computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera
from scenewright.geometry.covisible import agrees, transfer

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class PosedPair:
    """Two views by one lens.

    Args:
        image, second: (H, W, 3) uint8 sRGB.
        depth_m, second_depth_m: (H, W) float32 z-depth of either view, 0 = unknown.
        K: (3, 3) intrinsics of both, in pixels of this size.
        T_second_first: (4, 4) float64 maps camera points of the first view into the second.
    """

    image: NDArray[np.uint8]
    second: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    second_depth_m: NDArray[np.float32]
    K: NDArray[np.float32]
    T_second_first: Doubles

    @property
    def camera(self) -> Camera:
        """Of both views."""
        height, width = self.depth_m.shape
        return Camera(width, height, torch.from_numpy(self.K))

    def swapped(self) -> PosedPair:
        """The second view first."""
        back = np.asarray(np.linalg.inv(self.T_second_first), np.float64)
        return PosedPair(self.second, self.image, self.second_depth_m, self.depth_m, self.K, back)

    def seen(self, uv: NDArray[np.int64], tolerance: float, margin: int = 0) -> tuple[NDArray[np.int64], Doubles]:
        """Those pixels (N, 2) of the first view whose surfaces the second sees too, and where (N, 2).

        Args:
            uv: (M, 2) pixels (x, y).
            tolerance: relative difference of depth up to which it is the same surface.
            margin: distance from the second's edge, pixels.
        """
        there, z = transfer(uv, self.depth_m, self.K, self.K, self.T_second_first)
        both = agrees(there, z, self.second_depth_m, tolerance, margin)
        return uv[both], there[both]
