"""What relocalisation and loop closing know of an image: its features, their depth, a small blurry copy (Klein and
Murray 2008), and how two such views are matched and posed against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenewright.data.sample import image_tensor
from scenewright.errors import InputError
from scenewright.features.baselines import grey as grey_of
from scenewright.features.matching import match, nearest
from scenewright.features.robust import PnpOptions, absolute_pose
from scenewright.features.task import Features, Matches
from scenewright.geometry.camera import Camera
from scenewright.slam.types import Keyframe

Matrix = NDArray[np.float64]
FEATURES, VOTERS = 800, 200  # features per image; how many of the strongest vote for appearance
THUMBNAIL = (40, 30)
HAMMING_MAX, RATIO = 64, 0.85
EDGE = 0.1  # a 3x3 neighbourhood whose depths differ by more than this share is a depth edge


class FeatureSource(Protocol):
    """Any features by which places are found again; `scenewright.features.extract.Extractor` is one."""

    def features(self, image: Tensor, count: int) -> Features:
        """At most `count` described keypoints of an image (1, 3, H, W) RGB in [0, 1], strongest first."""

    def match(self, first: Features, second: Features) -> Matches:
        """Matches of two images' features."""


class SmallOrb:
    """ORB (Rublee 2011) with the settings of small pictures; about 5 ms at 320x240. What a map uses unless told."""

    def features(self, image: Tensor, count: int) -> Features:
        """Rotated BRIEF on FAST corners of six octaves, 32 bytes each."""
        grey = grey_of(image)
        orb = cv2.ORB.create(nfeatures=count, nlevels=6, edgeThreshold=19, patchSize=31, fastThreshold=8)
        points, values = orb.detectAndCompute(grey, None)
        rows = np.array([[*p.pt, p.response, p.size / 2, p.angle] for p in points], np.float32).reshape(-1, 5)
        order = np.argsort(-rows[:, 2], kind="stable")
        table, size = torch.from_numpy(rows[order]), (grey.shape[0], grey.shape[1])
        values = np.zeros((0, 32), np.uint8) if values is None else values[order]
        return Features(size, table[:, :2], table[:, 2], table[:, 3], table[:, 4], torch.from_numpy(values))

    def match(self, first: Features, second: Features) -> Matches:
        """Pairs that are each other's nearest, near enough, and clearly nearer than the second (Lowe)."""
        return match(first, second, RATIO, farthest=HAMMING_MAX)


class NoFeatures:
    """Finds nothing: a map whose loops stay open and whose lost cameras stay lost, to compare with."""

    def features(self, image: Tensor, count: int) -> Features:
        """None."""
        size = image.shape[-2], image.shape[-1]
        return Features(size, torch.zeros(0, 2), torch.zeros(0), descriptors=torch.zeros(0, 1))

    def match(self, first: Features, second: Features) -> Matches:
        """None."""
        return Matches(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0))


@dataclass(frozen=True)
class Look:
    """What is remembered of an image's looks.

    Args:
        features: strongest first.
        thumbnail: (1200,) float32 of zero mean and unit length (all zero for a blank image).
    """

    features: Features
    thumbnail: NDArray[np.float32]

    @property
    def xy(self) -> NDArray[np.float32]:
        """(N, 2) pixels of the features."""
        return self.features.xy.numpy()


@dataclass(frozen=True)
class Sighting:
    """A view posed against points of a keyframe.

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


def look_at(image: NDArray[np.uint8], source: FeatureSource, count: int = FEATURES) -> Look:
    """The looks of an (H, W) grey or (H, W, 3) RGB uint8 image."""
    grey = to_grey(image)
    rgb = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image
    return Look(source.features(image_tensor(rgb), count), _thumbnail(grey))


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


def pose_against(
    source: FeatureSource, query: Features, query_camera: Camera, keyframe: Features, points: Matrix,
    options: PnpOptions | None = None,
) -> Sighting | None:  # fmt: skip
    """The query's pose from the keyframe's points (N, 3), NaN where unknown; None where fewer than eight agree."""
    pairs = source.match(keyframe, query).pairs.numpy()
    pairs = pairs[np.isfinite(points[pairs[:, 0]]).all(1)]
    X, u = points[pairs[:, 0]], query.xy.numpy()[pairs[:, 1]]
    found = absolute_pose(X, u, query_camera, options)
    if found is None:
        return None
    seen = keyframe.xy.numpy()[pairs[found.inliers, 0]]
    return Sighting(found.T_cam_world, seen, u[found.inliers], X[found.inliers], len(pairs), found.rms_px)


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
    """The looks of all keyframes and the order in which they resemble an image. A pure function of the keyframes."""

    def __init__(self, source: FeatureSource | None = None, count: int = FEATURES) -> None:
        self.source, self.count = source or SmallOrb(), count
        self.keyframes: dict[int, Keyframe] = {}
        self.looks: dict[int, Look] = {}

    def look_at(self, image: NDArray[np.uint8]) -> Look:
        """The looks of an (H, W) grey or (H, W, 3) RGB uint8 image in this index's features."""
        return look_at(image, self.source, self.count)

    def add(self, keyframe: Keyframe) -> Look:
        """Describe a keyframe and remember it; adding the same id again replaces it. Depth is read when needed."""
        if keyframe.id not in self.looks or self.keyframes[keyframe.id] is not keyframe:
            self.looks[keyframe.id] = self.look_at(keyframe.image)
        self.keyframes[keyframe.id] = keyframe
        return self.looks[keyframe.id]

    def points(self, id: int) -> Matrix:
        """The (N, 3) points of a keyframe's features from its present depth."""
        keyframe = self.keyframes[id]
        return lift(self.looks[id].xy, keyframe.depth_m, keyframe.camera)

    def pose(self, query: Look, camera: Camera, id: int) -> Sighting | None:
        """A view posed against a keyframe; see `pose_against`."""
        return pose_against(self.source, query.features, camera, self.looks[id].features, self.points(id))

    def similar(self, query: Look, count: int, among: list[int] | None = None) -> list[int]:
        """At most `count` keyframe ids, likeliest first: by votes of features and by thumbnails in turn."""
        ids = sorted(self.looks if among is None else among)
        if not ids:
            return []
        thumbnails = np.stack([self.looks[id].thumbnail for id in ids]) @ query.thumbnail
        by_thumbnail = np.argsort(-thumbnails, kind="stable")
        by_votes = np.argsort(-self._votes(query, ids), kind="stable")
        ranked = dict.fromkeys(int(i) for pair in zip(by_votes, by_thumbnail) for i in pair)
        return [ids[i] for i in ranked][:count]

    def _votes(self, query: Look, ids: list[int]) -> NDArray[np.int64]:
        """How many of the query's strongest features find their nearest descriptor of all keyframes in each."""
        voters, *parts = (_descriptors(look)[:VOTERS] for look in (query, *(self.looks[id] for id in ids)))
        owner = np.repeat(np.arange(len(ids)), [len(p) for p in parts])
        if not len(owner) or not len(voters):
            return np.zeros(len(ids), np.int64)
        far, rows = (x[:, 0].numpy() for x in nearest(voters, torch.cat(parts)))
        believed = far <= HAMMING_MAX if voters.dtype == torch.uint8 else np.ones(len(far), bool)
        return np.bincount(owner[rows[believed]], minlength=len(ids))


def _descriptors(look: Look) -> Tensor:
    if look.features.descriptors is None:
        raise InputError("features", "no descriptors", "a source that describes")
    return look.features.descriptors
