"""Pictures as the tracker sees them: grey, in a pyramid, with gradients, and intrinsics that follow."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera
from scenewright.slam.types import FloatImage


class Intrinsics(NamedTuple):
    """Pinhole numbers in pixels of one pyramid level."""

    fx: float
    fy: float
    cx: float
    cy: float

    def level(self, level: int) -> Intrinsics:
        """Of the image halved `level` times: f / 2^l, (c + .5) / 2^l - .5."""
        s = 0.5**level
        return Intrinsics(self.fx * s, self.fy * s, (self.cx + 0.5) * s - 0.5, (self.cy + 0.5) * s - 0.5)

    def matrix(self) -> NDArray[np.float64]:
        """K, (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


class Level(NamedTuple):
    """One level of a pyramid: channels are grey 0..255 and its central-difference gradients along x and y.

    Args:
        image: (H, W, 3) float32; gradients are 0 on the border.
        intrinsics: of this level.
    """

    image: FloatImage
    intrinsics: Intrinsics


def working_camera(camera: Camera, longest: int) -> Camera:
    """The camera after shrinking so that the longer side has `longest` pixels; a smaller image is kept as it is."""
    factor = min(1.0, longest / max(camera.width, camera.height))
    return camera.resize(max(1, round(camera.width * factor)), max(1, round(camera.height * factor)))


def resize(image: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 area-averaged to the camera's size."""
    if image.shape[:2] == camera.size:
        return image
    return np.asarray(cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8)


def grey(image: NDArray[np.uint8]) -> FloatImage:
    """(H, W, 3) uint8 RGB -> (H, W) float32 luminance, 0..255."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def halve(image: FloatImage) -> FloatImage:
    """The 2x2 means of an (H, W) image; an odd last row or column is dropped."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    return np.asarray(cv2.resize(image[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA), np.float32)


def gradients(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Central differences (I[x+1] - I[x-1]) / 2 along x and y, 0 on the border; grey levels per pixel."""
    gx, gy = np.zeros_like(image), np.zeros_like(image)
    gx[1:-1, 1:-1] = (image[1:-1, 2:] - image[1:-1, :-2]) * np.float32(0.5)
    gy[1:-1, 1:-1] = (image[2:, 1:-1] - image[:-2, 1:-1]) * np.float32(0.5)
    return gx, gy


def pyramid(image: FloatImage, intrinsics: Intrinsics, levels: int) -> list[Level]:
    """The pyramid of an (H, W) grey image, finest level first; stops early rather than go below 16 pixels a side."""
    out = []
    for level in range(levels):
        if level and min(image.shape) < 32:
            break
        image = halve(image) if level else image
        out.append(Level(np.ascontiguousarray(np.dstack([image, *gradients(image)])), intrinsics.level(level)))
    return out


def max_gradient(level: Level) -> FloatImage:
    """The 3x3 maximum of the gradient's magnitude, (H, W): where a search along an epipolar line can succeed."""
    magnitude = np.hypot(level.image[..., 1], level.image[..., 2])
    return np.asarray(cv2.dilate(magnitude, np.ones((3, 3), np.uint8)), np.float32)


def sharpness(level: Level) -> float:
    """Mean squared gradient, grey levels squared per pixel squared: low for a blurred, blank or dark picture."""
    return float(np.mean(np.square(level.image[..., 1:]), dtype=np.float64) * 2)
