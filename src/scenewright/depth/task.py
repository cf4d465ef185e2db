"""The depth task: what its samples hold, and what a prediction is."""

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
class StereoSample(Sample):
    """A rectified pair, for methods that learn from views; a batch has B in front of every shape.

    Args:
        image, right: (3, H, W) float32 RGB in [0, 1]; the right camera stands `baseline_m` along +x of the left.
        camera: of both, bound to (H, W).
        baseline_m: () metres, > 0.
        depth_m, right_depth_m: (1, H, W) z-depth in metres of either view, 0 = unknown, and so mostly 0 where a sparse
            sensor made it; None where there is none.
    """

    image: Tensor
    right: Tensor
    camera: Camera
    baseline_m: Tensor
    depth_m: Tensor | None = None
    right_depth_m: Tensor | None = None


@dataclass(frozen=True)
class OrdinalSample(Sample):
    """One image with pairs of points of which it is known which lies nearer; a batch has B in front of every shape.

    Args:
        image: (3, H, W) float32 RGB in [0, 1].
        camera: bound to (H, W).
        points: (P, 2, 2) int64, the (row, column) of both points of each pair.
        relation: (P,) int64: +1 the first point is nearer, -1 it is farther, 0 they are equally far.
    """

    image: Tensor
    camera: Camera
    points: Tensor
    relation: Tensor


@dataclass(frozen=True)
class FocalStackSample(Sample):
    """Pictures of one scene focused at different distances; a batch has B in front of every shape.

    Args:
        stack: (S, 3, H, W) float32 RGB in [0, 1], aligned, focused from near to far.
        focus_m: (S,) distance each is focused at, metres, ascending.
        camera: of all, bound to (H, W).
        depth_m: (1, H, W) z-depth in metres, 0 = unknown.
    """

    stack: Tensor
    focus_m: Tensor
    camera: Camera
    depth_m: Tensor


@dataclass(frozen=True)
class DepthPrediction:
    """What a depth method says about an image of the same size.

    Args:
        depth_m: (B, 1, H, W) z-depth in metres, > 0; in an unknown scale where `metric` is false.
        sigma_log: (B, 1, H, W) standard deviation of log depth; None where the method has no idea of it.
        label_probabilities: (B, C, H, W) softmax over the classes of `LABELS`; None without a semantic head.
        confidence: (B, 1, H, W) in [0, 1], how sure the method is, as its paper defines it; None where it does not.
        metric: whether the scale is known.
    """

    depth_m: Tensor
    sigma_log: Tensor | None = None
    label_probabilities: Tensor | None = None
    confidence: Tensor | None = None
    metric: bool = True


@runtime_checkable
class DepthMethod(Protocol):
    """Any method whose task is depth."""

    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """image (B, 3, H, W) float32 RGB in [0, 1], camera of that size -> prediction of that size."""
