"""From the frames of a source to the frames a sequence yields: undistorted, then reduced to the wanted size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera


class Resampler:
    """Undistorts and reduces the frames of one camera.

    Args:
        camera: of the source's frames, distortion included. Undistorted frames keep their size and are zoomed so that
            no pixel lacks a source.
        size: the longest side of the result in pixels, at most; None keeps the size. Frames are never enlarged.

    Attributes:
        source: the camera of the source's frames.
        camera: of the result.
    """

    def __init__(self, camera: Camera, size: int | None = None) -> None:
        if size is not None and size < 16:
            raise InputError("size", size, "at least 16 pixels for the longest side")
        self.source = camera
        self._maps: tuple[NDArray[Any], NDArray[Any]] | None = None
        if camera.distortion is not None:
            camera = self._undistort(camera)
        longest = max(camera.size)
        if size is not None and size < longest:
            sides = (max(1, round(side * size / longest)) for side in (camera.width, camera.height))
            camera = camera.resize(*sides)
        self.camera = camera

    def _undistort(self, camera: Camera) -> Camera:
        assert camera.distortion is not None
        K, size = camera.K.double().numpy(), (camera.width, camera.height)
        distortion = camera.distortion.double().numpy()
        K_new, _ = cv2.getOptimalNewCameraMatrix(K, distortion, size, 0)
        self._maps = cv2.initUndistortRectifyMap(K, distortion, None, K_new, size, cv2.CV_32FC1)
        return replace(camera, K=camera.K.new_tensor(K_new.tolist()), distortion=None)

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) of the source -> (H', W', 3): bilinear undistortion, area averaging."""
        if self._maps is not None:
            image = cv2.remap(image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if image.shape[:2] != self.camera.size:
            image = cv2.resize(image, (self.camera.width, self.camera.height), interpolation=cv2.INTER_AREA)
        return image

    def depth(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W) metres of the source -> (H', W'): the nearest sample, so that no depth is invented at an edge."""
        if self._maps is not None:
            depth_m = cv2.remap(depth_m, *self._maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        if depth_m.shape != self.camera.size:
            size = (self.camera.width, self.camera.height)
            depth_m = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return depth_m
