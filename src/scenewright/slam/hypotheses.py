"""Second starts for the tracker: ORB features with PnP, and a rotation found on thumbnails."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.slam import rigid
from scenewright.slam.config import HypothesesConfig
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import FloatImage


class Features(NamedTuple):
    """ORB corners: pixels (N, 2) float32 (x, y) and descriptors (N, 32) uint8."""

    pixels: FloatImage
    descriptors: NDArray[np.uint8]


def detect(image: FloatImage, config: HypothesesConfig) -> Features:
    """ORB corners of an (H, W) grey image, 0..255."""
    orb = cv2.ORB.create(config.features, scaleFactor=1.2, nlevels=6, edgeThreshold=12, patchSize=24, fastThreshold=8)
    points, descriptors = orb.detectAndCompute(image.astype(np.uint8), None)
    if descriptors is None:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    return Features(np.array([p.pt for p in points], np.float32).reshape(-1, 2), descriptors)


def match(a: Features, b: Features) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mutually best matches by Hamming distance, as index pairs."""
    if not len(a.pixels) or not len(b.pixels):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    found = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(a.descriptors, b.descriptors)
    found = sorted((m for m in found if m.distance < 64), key=lambda m: (m.queryIdx, m.trainIdx))
    return np.array([m.queryIdx for m in found], np.int64), np.array([m.trainIdx for m in found], np.int64)


def pnp_start(
    keyframe: Features, depth_m: FloatImage, frame: Features, intrinsics: Intrinsics, config: HypothesesConfig
) -> tuple[NDArray[np.float64], int] | None:
    """T_frame_keyframe (4, 4) from matched corners and the keyframe's own depth, with the number of inliers.

    None where too few corners agree. RANSAC draws from OpenCV's own fixed seed.
    """
    i, j = match(keyframe, frame)
    uv = keyframe.pixels[i]
    z = depth_m[np.rint(uv[:, 1]).astype(int), np.rint(uv[:, 0]).astype(int)] if len(uv) else np.zeros(0)
    known = z > 0
    if known.sum() < config.minimum_inliers:
        return None
    uv, z, seen = uv[known], z[known], frame.pixels[j][known]
    fx, fy, cx, cy = intrinsics
    points = np.stack([(uv[:, 0] - cx) / fx * z, (uv[:, 1] - cy) / fy * z, z], 1).astype(np.float64)
    ok, rotation, translation, inliers = cv2.solvePnPRansac(
        points, seen.astype(np.float64), intrinsics.matrix(), None, iterationsCount=200,
        reprojectionError=config.reprojection_px, flags=cv2.SOLVEPNP_EPNP,
    )  # fmt: skip
    if not ok or inliers is None or len(inliers) < config.minimum_inliers:
        return None
    chosen = inliers[:, 0]
    rotation, translation = cv2.solvePnPRefineLM(
        points[chosen], seen[chosen].astype(np.float64), intrinsics.matrix(), None, rotation, translation
    )
    if not np.isfinite(translation).all():
        return None
    return rigid.from_rotation(cv2.Rodrigues(rotation)[0], translation), len(chosen)


def thumbnail(image: FloatImage) -> FloatImage:
    """The 40-pixel-wide blurred picture of Klein and Murray's relocaliser."""
    width = 40
    height = max(8, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.GaussianBlur(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1.0))


def rotation_start(keyframe: FloatImage, frame: FloatImage, intrinsics: Intrinsics) -> NDArray[np.float64]:
    """T_frame_keyframe (4, 4) without translation, from the shift and roll that best align two thumbnails.

    Args:
        keyframe, frame: (H, W) grey, full resolution. intrinsics: of these.
    """
    a, b = thumbnail(keyframe), thumbnail(frame)
    warp = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    try:
        _, warp = cv2.findTransformECC(a, b, warp, cv2.MOTION_EUCLIDEAN, criteria, None, 3)
    except cv2.error:  # no convergence: the pictures do not overlap
        return np.eye(4)
    s = a.shape[1] / keyframe.shape[1]
    fx, fy, cx, cy = (
        intrinsics.fx * s,
        intrinsics.fy * s,
        (intrinsics.cx + 0.5) * s - 0.5,
        (intrinsics.cy + 0.5) * s - 0.5,
    )
    u, v = warp @ np.array([cx, cy, 1.0])
    yaw, pitch = np.arctan2(u - cx, fx), np.arctan2(cy - v, fy)
    roll = np.arctan2(warp[1, 0], warp[0, 0])
    R = cv2.Rodrigues(np.array([pitch, 0, 0.0]))[0] @ cv2.Rodrigues(np.array([0, yaw, 0.0]))[0]
    return rigid.from_rotation(R @ cv2.Rodrigues(np.array([0, 0, roll]))[0], np.zeros(3))
