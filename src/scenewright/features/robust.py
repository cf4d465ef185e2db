"""The geometry behind matches that are partly wrong: between two views one estimator for all methods, USAC_MAGSAC, and
of a view against points in space, PnP.
"""

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


@dataclass(frozen=True)
class AbsolutePose:
    """T_cam_world (4, 4) maps the points' frame into the camera; inliers (N,) bool; rms_px over these."""

    T_cam_world: Doubles
    inliers: NDArray[np.bool_]
    rms_px: float


@dataclass(frozen=True)
class PnpOptions:
    """How hard a view is posed against points.

    Args:
        threshold_px: reprojection error of an inlier. iterations, confidence: of RANSAC over three points.
        rounds: refinements, each over the inliers of the pose before. least: fewest inliers of a pose.
    """

    threshold_px: float = 4.0
    iterations: int = 300
    confidence: float = 0.999
    rounds: int = 2
    least: int = 8


def absolute_pose(
    points: Doubles, xy: ArrayLike, camera: Camera, options: PnpOptions | None = None
) -> AbsolutePose | None:
    """The pose of a camera that sees points (N, 3) at pixels (N, 2), some of them wrong.

    RANSAC over three points (Ke & Roumeliotis, CVPR 2017), Levenberg-Marquardt on its inliers. The same input gives the
    same answer. None where too few agree.
    """
    o, u = options or PnpOptions(), _pixels(xy)
    if len(points) < o.least:
        return None
    K = camera.K.double().numpy()
    found, rotation, t, chosen = cv2.solvePnPRansac(
        points, u, K, None, iterationsCount=o.iterations, reprojectionError=o.threshold_px, confidence=o.confidence,
        flags=cv2.SOLVEPNP_AP3P,
    )  # fmt: skip
    if not found or chosen is None or len(chosen) < o.least:
        return None
    kept = chosen.ravel()
    for _ in range(o.rounds):
        rotation, t = cv2.solvePnPRefineLM(points[kept], u[kept], K, None, rotation, t)
        error = np.linalg.norm(cv2.projectPoints(points, rotation, t, K, None)[0][:, 0] - u, axis=1)
        ahead = (points @ cv2.Rodrigues(rotation)[0].T + t.ravel())[:, 2] > 0
        kept = np.flatnonzero((error < o.threshold_px) & ahead)
        if len(kept) < o.least:
            return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotation)[0], t.ravel()
    if not np.isfinite(T).all():
        return None
    inliers = np.zeros(len(points), bool)
    inliers[kept] = True
    return AbsolutePose(T, inliers, float(np.sqrt((error[kept] ** 2).mean())))


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


def epipolar_inliers(first: ArrayLike, second: ArrayLike, threshold_px: float = THRESHOLD_PX) -> NDArray[np.bool_]:
    """(M,) which matches (M, 2) one fundamental matrix explains, whatever the cameras; none of fewer than eight."""
    a, b = _pixels(first), _pixels(second)
    if len(a) < 8:
        return np.zeros(len(a), bool)
    cv2.setRNGSeed(0)
    F, mask = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, threshold_px, CONFIDENCE, MAX_ITERATIONS)
    return np.zeros(len(a), bool) if F is None or mask is None else np.asarray(mask.ravel() > 0, bool)


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
