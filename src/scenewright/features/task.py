"""The features task: what an image's features are, what a match is, and the roles a method can play."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from scenewright.data.sample import Sample
from scenewright.errors import InputError


@dataclass(frozen=True)
class Features:
    """The keypoints of one image, strongest first. A method fills what it has.

    Args:
        size: (height, width) of the image they were found in.
        xy: (N, 2) float32 pixels, x to the right, y down, pixel centres at integers.
        score: (N,) float32, higher = stronger; comparable within one image.
        radius_px: (N,) half the side of the square region that describes a keypoint, 6 standard deviations of the scale
            at which it was found; None without a scale.
        angle_deg: (N,) direction of the region, from +x towards +y, degrees; None for upright keypoints.
        descriptors: (N, D) float32 compared by Euclidean distance, or (N, D) uint8 bit strings compared by Hamming
            distance; None where the points are only detected.
    """

    size: tuple[int, int]
    xy: Tensor
    score: Tensor
    radius_px: Tensor | None = None
    angle_deg: Tensor | None = None
    descriptors: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.xy)
        for name in ("score", "radius_px", "angle_deg", "descriptors"):
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise InputError(f"Features.{name}", f"{len(value)} rows", f"{count}, as many as points")

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        """The features of some rows: indices, a mask or a slice."""
        kept: dict[str, Any] = {name: value[rows] for name, value in self._columns().items()}
        return replace(self, **kept)

    def strongest(self, count: int) -> Self:
        """At most `count` features of the highest scores; equal scores keep their order."""
        return self[torch.sort(self.score, descending=True, stable=True).indices[:count]]

    def _columns(self) -> dict[str, Tensor]:
        names = ("xy", "score", "radius_px", "angle_deg", "descriptors")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class FeatureMaps:
    """What a network says at every place of a batch of images.

    Args:
        heat: (B, 1, H, W) in [0, 1], how much each pixel is a keypoint; None where the method detects nothing.
        descriptors: (B, D, h, w) of unit length; None where it describes nothing.
    """

    heat: Tensor | None = None
    descriptors: Tensor | None = None


@dataclass(frozen=True)
class Matches:
    """Which feature of one image is which of another.

    Args:
        pairs: (M, 2) int64 rows of the first and of the second image's features.
        score: (M,) float32, higher = surer; for ranking within one pair of images.
    """

    pairs: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.pairs)


@runtime_checkable
class Detector(Protocol):
    """Finds keypoints."""

    def detect(self, image: Tensor, count: int) -> Features:
        """image (1, 3, H, W) RGB in [0, 1] -> at most `count` keypoints; descriptors may be None."""


@runtime_checkable
class Describer(Protocol):
    """Describes keypoints that anything has found."""

    def describe(self, image: Tensor, features: Features) -> Features:
        """The same rows with descriptors; points that cannot be described (at the border) are left out."""


@runtime_checkable
class Matcher(Protocol):
    """Compares descriptors in its own way (a metric network)."""

    def match(self, first: Features, second: Features) -> Matches:
        """Matches between two images' described features."""


@dataclass(frozen=True)
class HomographySample(Sample):
    """Two views of one plane; a batch has B in front of every shape.

    Args:
        first, second: (3, H, W) float32 RGB in [0, 1].
        H_second_first: (3, 3) maps homogeneous pixels of the first into the second.
        seen: (1, H, W) bool, pixels of the second that show something of the first.
    """

    first: Tensor
    second: Tensor
    H_second_first: Tensor
    seen: Tensor


@dataclass(frozen=True)
class PointSample(Sample):
    """One picture whose keypoints are known; a batch has B in front of every shape.

    Args:
        image: (3, H, W) float32 RGB in [0, 1].
        points: (1, H, W) bool, true at the pixel nearest each keypoint; or float32, how probable it is that one is
            found there.
        valid: (1, H, W) bool, false where nothing is known (outside a warped picture).
    """

    image: Tensor
    points: Tensor
    valid: Tensor


@dataclass(frozen=True)
class PointSetPairSample(Sample):
    """Two point sets and the homography between them, no picture; a batch has B in front of every shape.

    Args:
        first, second: (1, H, W) float32 in [0, 1], point images: 1 at points.
        H_second_first: (3, 3) maps homogeneous pixels of the first into the second.
        xy: (P, 2) float32 pixels of true points of the first, on which the error is measured.
        weight: (P,) float32, 1 for each true point, 0 for filling.
    """

    first: Tensor
    second: Tensor
    H_second_first: Tensor
    xy: Tensor
    weight: Tensor


@dataclass(frozen=True)
class PatchPairSample(Sample):
    """Patches of two views of points; a batch has B in front of every shape.

    Args:
        first, second: (1, S, S) float32 grey in [0, 1].
        same: () float32, 1 where both show the same point, else 0.
    """

    first: Tensor
    second: Tensor
    same: Tensor


@dataclass(frozen=True)
class LiftSample(Sample):
    """Four patches as LIFT learns from; a batch has B in front of every shape.

    Args:
        patches: (4, 1, 128, 128) float32 grey in [0, 1], 24 deviations wide: two views of a keypoint, one of another
            keypoint, one of a place without any.
        xy: (3, 2) float32 where the keypoints lie, -1 and 1 at the centres of the outer pixels.
        angle: (3,) float32 radians by which each view is turned against a common one, from +x towards +y.
        zoom: (3,) float32 log2 of how much larger each view shows its keypoint than at its own scale.
        slip: (3, 3) float32 by how much a detector's x, y and an estimator's angle may miss these: what a descriptor
            has to forgive.
    """

    patches: Tensor
    xy: Tensor
    angle: Tensor
    zoom: Tensor
    slip: Tensor


@dataclass(frozen=True)
class KeypointPatchSample(Sample):
    """A window of a picture, where in it keypoints of which scale lie, and patches to tell apart; a batch has B in
    front of every shape.

    Args:
        patch: (1, S, S) float32 grey in [0, 1].
        keypoint: (K, h, h) float32, how much a keypoint of scale k lies in each cell of a grid of stride 4, that of the
            patches of the smallest scale.
        known: (1, h, h) bool, false where nothing is known (outside the picture).
        anchor, positive: (1, 32, 32) float32 grey, two views of one keypoint.
        others: (N, 1, 32, 32) float32 grey, views of other keypoints.
    """

    patch: Tensor
    keypoint: Tensor
    known: Tensor
    anchor: Tensor
    positive: Tensor
    others: Tensor


@dataclass(frozen=True)
class CorrespondenceSample(Sample):
    """Two views with points that correspond; a batch has B in front of every shape.

    Args:
        first, second: (3, H, W) float32 RGB in [0, 1].
        xy_first, xy_second: (P, 2) float32 pixels of the same P points of the scene.
    """

    first: Tensor
    second: Tensor
    xy_first: Tensor
    xy_second: Tensor


def check_image(image: Tensor) -> Tensor:
    """The image, if it is one picture that features can be found in.

    Raises:
        InputError: not (1, 3, H, W) floats of at least 32 pixels a side, or values outside [0, 1].
    """
    if image.ndim == 4 and image.shape[0] != 1:
        raise InputError("image", f"a batch of {image.shape[0]}", "one picture at a time")
    return check_images(image)


def check_images(image: Tensor) -> Tensor:
    """The images, if features can be found in them.

    Raises:
        InputError: not (B, 3, H, W) floats of at least 32 pixels a side, or values outside [0, 1].
    """
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[-2:]) < 32 or not image.is_floating_point():
        raise InputError("image", f"{tuple(image.shape)} of {image.dtype}", "(B, 3, H, W) float, 32 pixels or more")
    low, high = (float(v) for v in image.detach().aminmax())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise InputError("image", f"values from {low:.3g} to {high:.3g}", "RGB in [0, 1]")
    return image


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) RGB -> (B, 1, H, W) grey, ITU-R BT.601 as OpenCV weighs it."""
    weights = image.new_tensor([0.299, 0.587, 0.114])
    return (image * weights[:, None, None]).sum(1, keepdim=True)
