"""The geometry between two views from matches that are partly wrong. One estimator for all methods: USAC_MAGSAC."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenewright.geometry.camera import Camera

Doubles = NDArray[np.float64]
THRESHOLD_PX = 3.0
MAX_ITERATIONS = 10_000
CONFIDENCE = 0.9999


@dataclass(frozen=True)
class Homography:
    """H (3, 3) maps pixels of the first image to the second; inliers (M,) bool."""

    H: Doubles
    inliers: NDArray[np.bool_]


@dataclass(frozen=True)
class RelativePose:
    """R (3, 3) and t (3,) of unit length map the first camera's axes to the second's; inliers (M,) bool."""

    R: Doubles
    t: Doubles
    inliers: NDArray[np.bool_]


def _pixels(xy: ArrayLike) -> Doubles:
    return np.asarray(xy, np.float64).reshape(-1, 2)


def homography(first: ArrayLike, second: ArrayLike, threshold_px: float = THRESHOLD_PX) -> Homography | None:
    """From matches (M, 2); None where fewer than four agree. The same input gives the same answer."""
    a, b = _pixels(first), _pixels(second)
    if len(a) < 4:
        return None
    cv2.setRNGSeed(0)
    H, mask = cv2.findHomography(a, b, cv2.USAC_MAGSAC, threshold_px, None, MAX_ITERATIONS, CONFIDENCE)
    if H is None or not np.isfinite(H).all() or mask is None or mask.sum() < 4:
        return None
    return Homography(np.asarray(H, np.float64), np.asarray(mask.ravel() > 0, bool))


def relative_pose(
    first: ArrayLike, second: ArrayLike, cameras: tuple[Camera, Camera], threshold_px: float = 1.0
) -> RelativePose | None:
    """From matches (M, 2) and both cameras (Nister's five points); None where fewer than eight agree.

    The threshold is in pixels of the mean focal length.
    """
    a, b = (_rays(xy, camera) for xy, camera in zip((first, second), cameras))
    if len(a) < 8:
        return None
    focal = float(np.mean([f for camera in cameras for f in camera.numbers[:2]]))
    cv2.setRNGSeed(0)
    E, mask = cv2.findEssentialMat(a, b, np.eye(3), cv2.USAC_MAGSAC, CONFIDENCE, threshold_px / focal, MAX_ITERATIONS)
    if E is None or E.shape != (3, 3) or mask is None:
        return None
    count, R, t, ahead = cv2.recoverPose(E, a, b, np.eye(3), mask=mask.copy())
    if count < 8:
        return None
    return RelativePose(
        np.asarray(R, np.float64), np.asarray(t, np.float64).ravel(), np.asarray(ahead.ravel() > 0, bool)
    )


def _rays(xy: ArrayLike, camera: Camera) -> Doubles:
    """Pixels as coordinates on the plane at depth 1."""
    fx, fy, cx, cy = camera.numbers
    return np.ascontiguousarray((_pixels(xy) - [cx, cy]) / [fx, fy])
