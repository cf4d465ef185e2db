"""Classical keypoints and descriptors from OpenCV, behind the same roles as the learned ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenewright.features.patches import DEFAULT_RADIUS_PX, cut
from scenewright.features.task import Features, check_image


def grey(image: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W) RGB in [0, 1] -> (H, W) uint8."""
    rgb = (255 * check_image(image)[0].clamp(0, 1)).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


_SIFT_REGION = 6.0
"""Side of the described region (4 bins of 3 deviations) over OpenCV's size of a SIFT keypoint (2 deviations)."""


def _from_cv(points: Sequence[cv2.KeyPoint], size: tuple[int, int], region: float) -> Features:
    rows = np.array([[*p.pt, p.response, region * p.size / 2, p.angle] for p in points], np.float32).reshape(-1, 5)
    columns = torch.from_numpy(rows)
    return Features(size, columns[:, :2], columns[:, 2], columns[:, 3], columns[:, 4])


def _to_cv(features: Features, region: float) -> list[cv2.KeyPoint]:
    radius = features.radius_px if features.radius_px is not None else torch.full((len(features),), DEFAULT_RADIUS_PX)
    angle = features.angle_deg if features.angle_deg is not None else torch.zeros(len(features))
    table = torch.cat([features.xy, 2 / region * radius[:, None], angle[:, None], features.score[:, None]], 1).tolist()
    return [cv2.KeyPoint(x, y, s, a % 360, r, 0, i) for i, (x, y, s, a, r) in enumerate(table)]


@dataclass(frozen=True)
class Sift:
    """SIFT (Lowe 2004); descriptors as RootSIFT (Arandjelovic & Zisserman, CVPR 2012, section 2) where `root`."""

    root: bool = True
    contrast: float = 0.02

    def detect(self, image: Tensor, count: int) -> Features:
        """Difference-of-Gaussian extrema with scale and orientation."""
        pixels = grey(image)
        found = cv2.SIFT.create(nfeatures=count, contrastThreshold=self.contrast).detect(pixels, None)
        return _from_cv(found, (pixels.shape[0], pixels.shape[1]), _SIFT_REGION).strongest(count)

    def describe(self, image: Tensor, features: Features) -> Features:
        """128 floats of unit length."""
        pixels = grey(image)
        kept, values = cv2.SIFT.create().compute(pixels, _to_cv(features, _SIFT_REGION))
        rows = torch.tensor([p.class_id for p in kept], dtype=torch.int64)
        values = np.zeros((0, 128), np.float32) if values is None else values
        if self.root:
            values = np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1e-9))
        else:
            values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
        return _with(features[rows], values.astype(np.float32))


@dataclass(frozen=True)
class Orb:
    """ORB (Rublee et al., ICCV 2011): oriented FAST on a pyramid and rotated BRIEF; 32 bytes."""

    def detect(self, image: Tensor, count: int) -> Features:
        """FAST corners on eight octaves, ranked by Harris response."""
        pixels = grey(image)
        found = cv2.ORB.create(nfeatures=count).detect(pixels, None)
        return _from_cv(found, (pixels.shape[0], pixels.shape[1]), 1.0).strongest(count)

    def describe(self, image: Tensor, features: Features) -> Features:
        """Rotated BRIEF of the original image's level, 32 uint8."""
        kept, values = cv2.ORB.create().compute(grey(image), _to_cv(features, 1.0))
        rows = torch.tensor([p.class_id for p in kept], dtype=torch.int64)
        return _with(features[rows], np.zeros((0, 32), np.uint8) if values is None else values)


@dataclass(frozen=True)
class Brief:
    """BRIEF (Calonder et al., ECCV 2010) with ORB's learned pairs, upright and at one scale; 32 bytes."""

    def describe(self, image: Tensor, features: Features) -> Features:
        """256 comparisons of smoothed pixels in a window of 31, 32 uint8."""
        return Orb().describe(image, replace(features, angle_deg=None, radius_px=None))


@dataclass(frozen=True)
class Corners:
    """Single-scale corners: "harris" (Harris & Stephens 1988), "shi-tomasi" or "fast" (Rosten & Drummond 2006).

    Args:
        kind: which.
        nms_px: a corner suppresses weaker ones within so many pixels.
    """

    kind: str
    nms_px: int = 4

    def detect(self, image: Tensor, count: int) -> Features:
        """Strict local maxima of the response, strongest first."""
        pixels = grey(image)
        response = self.response(pixels)
        side = 2 * self.nms_px + 1
        peak = (response == cv2.dilate(response, np.ones((side, side)))) & (response > 0)
        rows, columns = np.nonzero(peak)
        xy = torch.from_numpy(np.column_stack([columns, rows]).astype(np.float32))
        size = (pixels.shape[0], pixels.shape[1])
        return Features(size, xy, torch.from_numpy(response[rows, columns])).strongest(count)

    def response(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) cornerness."""
        if self.kind == "harris":
            return np.asarray(cv2.cornerHarris(pixels.astype(np.float32) / 255, 4, 3, 0.04), np.float32)
        if self.kind == "shi-tomasi":
            return np.asarray(cv2.cornerMinEigenVal(pixels.astype(np.float32) / 255, 4, 3), np.float32)
        response = np.zeros(pixels.shape, np.float32)
        for p in cv2.FastFeatureDetector.create(10).detect(pixels, None):
            response[round(p.pt[1]), round(p.pt[0])] = p.response
        return response


@dataclass(frozen=True)
class Patches:
    """Raw grey patches of zero mean and unit length: the least that a learned descriptor must beat."""

    side: int = 16

    def describe(self, image: Tensor, features: Features) -> Features:
        """side * side floats, cut along each keypoint's radius and angle."""
        patches = cut(check_image(image), features, self.side).flatten(1)
        patches = patches - patches.mean(1, keepdim=True)
        return _with(features, torch.nn.functional.normalize(patches, dim=1).numpy())


def _with(features: Features, descriptors: NDArray) -> Features:
    return replace(features, descriptors=torch.from_numpy(np.ascontiguousarray(descriptors)))
