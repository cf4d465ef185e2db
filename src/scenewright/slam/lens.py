"""A lens that bends straight lines, taken out of pictures, depth maps and pixels (Brown 1971: the radial term k1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera
from scenewright.geometry.projection import undistort
from scenewright.slam.types import Keyframe

Array = NDArray[np.float64]
Map = TypeVar("Map", bound=NDArray[np.generic])


@dataclass(frozen=True)
class Lens:
    """A lens of a pinhole `camera` with radial distortion `k1`; what it takes out keeps its size and the camera."""

    camera: Camera
    k1: float

    @property
    def _numbers(self) -> tuple[Array, Array]:
        fx, fy, cx, cy = self.camera.numbers
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), np.array([self.k1, 0, 0, 0])

    def picture(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as a pinhole would have taken it; beyond what the lens saw its border goes on."""
        return np.asarray(cv2.remap(image, *self._maps(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def values(self, values: Map) -> Map:
        """(H, W) or (C, H, W) alike: the nearest pixel's, never a mean across edges; 0 where the lens saw nothing."""
        x, y = (np.rint(m).astype(int) for m in self._maps())
        inside = (x >= 0) & (y >= 0) & (x < self.camera.width) & (y < self.camera.height)
        found = values[..., y.clip(0, self.camera.height - 1), x.clip(0, self.camera.width - 1)]
        return np.where(inside, found, 0).astype(values.dtype)  # type: ignore[return-value]

    def pixels(self, pixels: Array) -> Array:
        """(N, 2) where a pinhole would have seen what the lens shows at pixels (N, 2)."""
        K, k = self._numbers
        focal, middle = K.diagonal()[:2], K[:2, 2]
        straight = undistort(torch.from_numpy((pixels - middle) / focal), torch.from_numpy(k))
        return np.asarray(straight.numpy() * focal + middle, np.float64)

    def keyframe(self, k: Keyframe) -> Keyframe:
        """Everything that a keyframe holds, straightened."""
        labels = k.label_log_probabilities
        return replace(
            k, image=self.picture(k.image), depth_m=self.values(k.depth_m), variance=self.values(k.variance),
            depth_network_m=self.values(k.depth_network_m), observed=self.values(k.observed),
            label_log_probabilities=None if labels is None else self.values(labels),
            sigma_log=None if k.sigma_log is None else self.values(k.sigma_log),
        )  # fmt: skip

    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(H, W) x and y of the lens's picture for every pixel of the pinhole's."""
        K, k = self._numbers
        size = (self.camera.width, self.camera.height)
        x, y = cv2.initUndistortRectifyMap(K, k, None, K, size, cv2.CV_32FC1)
        return np.asarray(x, np.float32), np.asarray(y, np.float32)
