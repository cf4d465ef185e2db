"""What relocalisation and loop closing know of an image: ORB features (Rublee 2011), their depth, a small blurry copy
(Klein and Murray 2008), and how two such views are matched and posed against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.slam.types import Keyframe

Matrix = NDArray[np.float64]
FEATURES, VOTERS = 800, 200  # ORB features per image; how many of the strongest vote for appearance
THUMBNAIL = (40, 30)
HAMMING_MAX, RATIO = 64, 0.85
EDGE = 0.1  # a 3x3 neighbourhood whose depths differ by more than this share is a depth edge


@dataclass(frozen=True)
class Features:
    """An image's ORB features, strongest first, and its thumbnail.

    Args:
        pixels: (N, 2) float32 x, y. descriptors: (N, 32) uint8.
        thumbnail: (1200,) float32 of zero mean and unit length (all zero for a blank image).
    """

    pixels: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    thumbnail: NDArray[np.float32]


@dataclass(frozen=True)
class RelativePose:
    """A view posed against points of another.

    Args:
        T_query_keyframe: (4, 4) maps the keyframe's points into the query's camera.
        keyframe_pixels, query_pixels: (N, 2) inliers. points: (N, 3) of the keyframe's camera, metres.
        matches: how many matches with depth RANSAC saw. rms_px: reprojection error over the inliers.
    """

    T_query_keyframe: Matrix
    keyframe_pixels: NDArray[np.float32]
    query_pixels: NDArray[np.float32]
    points: Matrix
    matches: int
    rms_px: float

    @property
    def inliers(self) -> int:
        """How many matches agree with the pose."""
        return len(self.points)


def inverse(T: Matrix) -> Matrix:
    """The inverse of a rigid (4, 4) transform."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = T[:3, :3].T, -T[:3, :3].T @ T[:3, 3]
    return out


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) uint8 from (H, W, 3) RGB or grey.

    Raises:
        InputError: another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError("image", f"{image.shape} of {image.dtype}", "(H, W) or (H, W, 3) uint8")
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def describe(image: NDArray[np.uint8], count: int = FEATURES) -> Features:
    """Find and describe the features of an (H, W) grey or (H, W, 3) RGB uint8 image; about 5 ms at 320x240."""
    grey = to_grey(image)
    orb = cv2.ORB.create(nfeatures=count, nlevels=6, edgeThreshold=19, patchSize=31, fastThreshold=8)
    points, descriptors = orb.detectAndCompute(grey, None)
    if descriptors is None:
        points, descriptors = (), np.zeros((0, 32), np.uint8)
    order = np.argsort([-p.response for p in points], kind="stable").astype(np.intp)
    pixels = np.array([p.pt for p in points], np.float32).reshape(-1, 2)
    return Features(pixels[order], descriptors[order], _thumbnail(grey))


def _thumbnail(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.GaussianBlur(cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA), (0, 0), 1.5)
    values = small.astype(np.float32).ravel()
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1.0 else np.zeros_like(values)


def lift(pixels: NDArray[np.float32], depth_m: NDArray[np.float32], camera: Camera) -> Matrix:
    """(N, 3) points in metres of the camera, read from the nearest depth; NaN where unknown or on a depth edge."""
    fx, fy, cx, cy = camera.numbers
    h, w = depth_m.shape
    x = np.clip(np.rint(pixels[:, 0]).astype(np.intp), 1, w - 2)
    y = np.clip(np.rint(pixels[:, 1]).astype(np.intp), 1, h - 2)
    around = np.stack([depth_m[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    z = depth_m[y, x].astype(np.float64)
    known = np.where(around > 0, around, z)
    z[(z <= 0) | ~np.isfinite(z) | (known.max(0) - known.min(0) > EDGE * z)] = np.nan
    return np.stack([(pixels[:, 0] - cx) / fx * z, (pixels[:, 1] - cy) / fy * z, z], 1)


def match(a: Features, b: Features) -> NDArray[np.intp]:
    """(M, 2) index pairs that are each other's nearest, near enough, and clearly nearer than the second (Lowe)."""
    if len(a.pixels) < 2 or len(b.pixels) < 2:
        return np.zeros((0, 2), np.intp)
    two, there = cv2.batchDistance(a.descriptors, b.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
    good = np.flatnonzero((two[:, 0] <= HAMMING_MAX) & (two[:, 0] < RATIO * two[:, 1]))
    if not len(good):
        return np.zeros((0, 2), np.intp)
    best = there[good, 0]
    _, back = cv2.batchDistance(b.descriptors[best], a.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
    mutual = back[:, 0] == good
    return np.stack([good[mutual], best[mutual]], 1).astype(np.intp)


def pose_against(
    query: Features, query_camera: Camera, keyframe: Features, points: Matrix, threshold_px: float = 4.0
) -> RelativePose | None:
    """The query's pose from the keyframe's points (N, 3) (PnP-RANSAC, then Levenberg-Marquardt on the inliers).

    None where fewer than eight matches agree.
    """
    pairs = match(keyframe, query)
    pairs = pairs[np.isfinite(points[pairs[:, 0]]).all(1)]
    if len(pairs) < 8:
        return None
    X, u = points[pairs[:, 0]], query.pixels[pairs[:, 1]].astype(np.float64)
    K = query_camera.K.double().numpy()
    found, rotation, t, inliers = cv2.solvePnPRansac(
        X, u, K, None, iterationsCount=300, reprojectionError=threshold_px, confidence=0.999, flags=cv2.SOLVEPNP_AP3P
    )
    if not found or inliers is None or len(inliers) < 8:
        return None
    for _ in range(2):  # refine, and take the inliers of the refined pose
        kept = inliers.ravel()
        rotation, t = cv2.solvePnPRefineLM(X[kept], u[kept], K, None, rotation, t)
        error = np.linalg.norm(cv2.projectPoints(X, rotation, t, K, None)[0][:, 0] - u, axis=1)
        ahead = (X @ cv2.Rodrigues(rotation)[0].T + t.ravel())[:, 2] > 0
        inliers = np.flatnonzero((error < threshold_px) & ahead)
        if len(inliers) < 8:
            return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotation)[0], t.ravel()
    if not np.isfinite(T).all():
        return None
    chosen = pairs[inliers]
    rms = float(np.sqrt((error[inliers] ** 2).mean()))
    return RelativePose(T, keyframe.pixels[chosen[:, 0]], query.pixels[chosen[:, 1]], X[inliers], len(pairs), rms)


def spread(pixels: NDArray[np.float32], camera: Camera) -> int:
    """How many cells of a 4 x 3 grid over the image hold a pixel: 12 = everywhere, 1 or 2 = one poster."""
    column = np.clip(pixels[:, 0] * 4 / camera.width, 0, 3).astype(int)
    row = np.clip(pixels[:, 1] * 3 / camera.height, 0, 2).astype(int)
    return len(np.unique(row * 4 + column))


def agreement(
    keyframe: Keyframe, query_grey: NDArray[np.uint8], query_camera: Camera, T_query_keyframe: Matrix, step: int = 4
) -> float:
    """Correlation (-1..1) of the keyframe's grey values with the query's where its depth says they are seen.

    Invariant to gain and offset. 0 where less than a tenth of the keyframe's samples fall into the query.
    """
    h, w = keyframe.depth_m.shape
    y, x = (g.ravel() for g in np.mgrid[step : h - step : step, step : w - step : step])
    pixels = np.stack([x, y], 1).astype(np.float32)
    points = lift(pixels, keyframe.depth_m, keyframe.camera)
    known = np.isfinite(points).all(1)
    X = points[known] @ T_query_keyframe[:3, :3].T + T_query_keyframe[:3, 3]
    fx, fy, cx, cy = query_camera.numbers
    z = np.maximum(X[:, 2], 1e-6)
    u, v = fx * X[:, 0] / z + cx, fy * X[:, 1] / z + cy
    seen = (X[:, 2] > 0.05) & (u > 0) & (v > 0) & (u < query_camera.width - 1) & (v < query_camera.height - 1)
    if seen.sum() < max(0.1 * len(points), 30):
        return 0.0
    a = cv2.GaussianBlur(to_grey(keyframe.image), (0, 0), 2.0)[y, x][known][seen].astype(np.float64)
    blurred = cv2.GaussianBlur(query_grey, (0, 0), 2.0)
    b = blurred[np.rint(v[seen]).astype(int), np.rint(u[seen]).astype(int)].astype(np.float64)
    spread_a, spread_b = a.std(), b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / (spread_a * spread_b)) if spread_a * spread_b > 1 else 0.0


class KeyframeIndex:
    """The features of all keyframes and the order in which they resemble an image. A pure function of the keyframes."""

    def __init__(self) -> None:
        self.keyframes: dict[int, Keyframe] = {}
        self.features: dict[int, Features] = {}

    def add(self, keyframe: Keyframe) -> Features:
        """Describe a keyframe and remember it; adding the same id again replaces it. Depth is read when needed."""
        if keyframe.id not in self.features or self.keyframes[keyframe.id] is not keyframe:
            self.features[keyframe.id] = describe(keyframe.image)
        self.keyframes[keyframe.id] = keyframe
        return self.features[keyframe.id]

    def points(self, id: int) -> Matrix:
        """The (N, 3) points of a keyframe's features from its present depth."""
        keyframe = self.keyframes[id]
        return lift(self.features[id].pixels, keyframe.depth_m, keyframe.camera)

    def similar(self, query: Features, count: int, among: list[int] | None = None) -> list[int]:
        """At most `count` keyframe ids, likeliest first: alternately by ORB votes and by thumbnail correlation."""
        ids = sorted(self.features if among is None else among)
        if not ids:
            return []
        thumbnails = np.stack([self.features[id].thumbnail for id in ids]) @ query.thumbnail
        by_thumbnail = np.argsort(-thumbnails, kind="stable")
        by_votes = np.argsort(-self._votes(query, ids), kind="stable")
        ranked = dict.fromkeys(int(i) for pair in zip(by_votes, by_thumbnail) for i in pair)
        return [ids[i] for i in ranked][:count]

    def _votes(self, query: Features, ids: list[int]) -> NDArray[np.int64]:
        """How many of the query's strongest features find their nearest descriptor of all keyframes in each."""
        parts = [self.features[id].descriptors[:VOTERS] for id in ids]
        owner = np.repeat(np.arange(len(ids)), [len(p) for p in parts])
        if not len(owner) or not len(query.descriptors):
            return np.zeros(len(ids), np.int64)
        matches = cv2.BFMatcher(cv2.NORM_HAMMING).match(query.descriptors[:VOTERS], np.concatenate(parts))
        winners = [owner[m.trainIdx] for m in matches if m.distance <= HAMMING_MAX]
        return np.bincount(np.array(winners, np.int64), minlength=len(ids))
