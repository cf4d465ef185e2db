"""Where depth and poses come from, and the worker that keeps a network off the tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.sample import image_tensor
from scenewright.depth.task import DepthMethod
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.slam.types import DepthSource, FloatImage, NetworkDepth
from scenewright.slam.uncertainty import adjust_focal


class PoseSource(Protocol):
    """Poses from elsewhere (`--poses given`), which then take the tracker's place."""

    def __call__(self, index: int) -> NDArray[np.float64] | None:
        """T_world_cam (4, 4) of a frame, None where it is unknown."""


class GivenPoses:
    """Poses of a table, by frame index."""

    def __init__(self, T_world_cam: Mapping[int, NDArray[np.float64]]) -> None:
        self._poses = dict(T_world_cam)

    def __call__(self, index: int) -> NDArray[np.float64] | None:
        return self._poses.get(index)


class SensorDepth:
    """A depth camera: nearest samples of its picture at the SLAM's size, holes left unknown.

    Args:
        read: index of a frame -> its (H, W) depth in metres, 0 = unknown, aligned with its image.
        sigma_log: standard deviation of its log depth. A structured-light camera's noise is 0.5 % at 3 m (Nguyen et
            al., 3DIMPVT 2012); 2 % leaves room for its registration with the colours.
    """

    scale = "metric"

    def __init__(self, read: Callable[[int], FloatImage], sigma_log: float = 0.02) -> None:
        self._read, self._sigma_log = read, sigma_log

    def __call__(self, index: int, image: NDArray[np.uint8], camera: Camera) -> NetworkDepth:
        depth = np.asarray(self._read(index), np.float32)
        if depth.ndim != 2:
            raise InputError(f"sensor depth of frame {index}", f"an array of shape {depth.shape}", "(H, W)")
        size = (camera.width, camera.height)
        resized = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
        known = np.where(np.isfinite(resized) & (resized > 0), resized, 0).astype(np.float32)
        return NetworkDepth(known, np.full_like(known, self._sigma_log), independent=True)


class MethodDepth:
    """A depth method of the table.

    Args:
        method: anything with the depth task's `predict`.
        scale: "metric" or "unknown", as the method's card says.
        training_focal_px: the focal length of its training pictures as a share of the image width, times this image's
            width; None where the method adjusts for the camera itself (Tateno 2017, eq. 5).
    """

    def __init__(self, method: DepthMethod, scale: str = "metric", training_focal: float | None = None) -> None:
        self._method, self.scale, self._training_focal = method, scale, training_focal

    def __call__(self, index: int, image: NDArray[np.uint8], camera: Camera) -> NetworkDepth:
        tensor = image_tensor(image)
        device = _device(self._method)
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
            prediction = self._method.predict(tensor.to(device), camera.to(device))
        depth = _plane(prediction.depth_m)
        if self._training_focal is not None:
            fx, fy, _, _ = camera.numbers
            depth = adjust_focal(depth, (fx * fy) ** 0.5, self._training_focal * camera.width)
        sigma = None if prediction.sigma_log is None else _plane(prediction.sigma_log)
        labels = prediction.label_probabilities
        return NetworkDepth(depth, sigma, None if labels is None else labels[0].float().cpu().numpy())


def _device(method: DepthMethod) -> torch.device:
    """Where a method's weights lie; the processor for what has none."""
    if isinstance(method, torch.nn.Module):
        return next((p.device for p in method.parameters()), torch.device("cpu"))
    return torch.device("cpu")


def _plane(tensor: torch.Tensor) -> FloatImage:
    return np.ascontiguousarray(tensor[0, 0].float().cpu().numpy())


class Worker:
    """Runs a depth source on one thread of its own, so that the tracker need not wait.

    When an answer is used is decided by frame counts alone (`KeyframeConfig.latency`), never by how fast it came.
    """

    def __init__(self, source: DepthSource) -> None:
        self._source = source
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="depth", initializer=_one_thread)

    def submit(self, index: int, image: NDArray[np.uint8], camera: Camera) -> Future[NetworkDepth]:
        """Ask for the depth of a frame; the future's `result` waits for it and raises what the source raised."""
        return self._pool.submit(self._checked, index, image, camera)

    def _checked(self, index: int, image: NDArray[np.uint8], camera: Camera) -> NetworkDepth:
        answer = self._source(index, image, camera)
        if answer.depth_m.shape != camera.size:
            raise InputError(f"depth of frame {index}", f"shape {answer.depth_m.shape}", f"{camera.size}")
        return answer

    def close(self) -> None:
        """Wait for what runs and end the thread."""
        self._pool.shutdown()


def _one_thread() -> None:
    torch.set_num_threads(1)
