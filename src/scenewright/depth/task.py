"""The depth task: what a sample holds, what a prediction is, and the picture of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from scenewright.data.sample import Sample
from scenewright.geometry.camera import Camera


@dataclass(frozen=True)
class DepthSample(Sample):
    """One image with its true depth; a batch has B in front of every shape.

    Args:
        image: (3, H, W) float32 RGB in [0, 1].
        depth_m: (1, H, W) float32 z-depth in metres, 0 = unknown.
        camera: the camera of both, bound to (H, W).
        labels: (H, W) int64 classes of `scenewright.labels.LABELS`, 0 = unknown; None where there are none.
    """

    image: Tensor
    depth_m: Tensor
    camera: Camera
    labels: Tensor | None = None


@dataclass(frozen=True)
class DepthPrediction:
    """What a depth method says about an image of the same size.

    Args:
        depth_m: (B, 1, H, W) z-depth in metres (or in an unknown scale, as the method's card says), > 0.
        sigma_log: (B, 1, H, W) standard deviation of log depth; None where the method has no idea of it.
        label_probabilities: (B, C, H, W) softmax over the classes of `LABELS`; None without a semantic head.
    """

    depth_m: Tensor
    sigma_log: Tensor | None = None
    label_probabilities: Tensor | None = None


@runtime_checkable
class DepthMethod(Protocol):
    """Any method whose task is depth."""

    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """image (B, 3, H, W) float32 RGB in [0, 1], camera of that size -> prediction of that size."""
