"""Corners of pictures that changes of view let be found again, as a second lesson for corner detectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.data.colours import vary_colours
from scenewright.features.data import SIZE, Picture, Pictures, ShapePoints, random_homography
from scenewright.features.task import PointSample

Doubles = NDArray[np.float64]
_LONGEST = (240, 320, 420)
"""A picture is looked at so large."""
_SMOOTH, _WINDOW, _TRACE = 1.0, 1.5, 0.04  # standard deviations in pixels; Harris' k
_APART_PX, _BORDER_PX = 4, 4
_AREA_PX = 256
"""One corner per so many pixels of a view is found: 300 in a picture of 320x240."""
_TRIALS, _NEAR_PX = 12, 2.0
_SPREAD = 1.0
"""Standard deviation, pixels, of where a corner is found."""


class SurvivingCorners:
    """Synthetic shapes, and twice as many views of pictures whose corners are as probable as they survive.

    Cross-entropy makes the heat the probability that a corner is found again, and so the strongest peaks those that are
    surest to come back.

    Args:
        pictures: what is looked at; corners are found once per picture and size and kept.
        length: how many an epoch has.
        most: use only so many pictures, for they take a while.
    """

    def __init__(self, pictures: Pictures, length: int = 200_000, most: int = 160) -> None:
        self.pictures, self.length, self.most = pictures, length, min(most, pictures.count)
        self.shapes = ShapePoints(length)
        self._known: dict[tuple[int, ...], tuple[Picture, Doubles]] = {}

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        words = f"a third synthetic shapes, the rest surviving corners of {self.pictures.description}"
        licences = list(self.pictures.licences)
        return {**self.shapes.record, "description": words, "pictures": self.most, "licences": licences}

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> PointSample:
        """One picture by the generator alone; every third is of shapes."""
        if index % 3 == 0:
            shapes = self.shapes.draw(index // 3, generator)
            return replace(shapes, points=shapes.points.float())
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        image, corners = self._with_corners(int(rng.integers(self.most)), int(rng.integers(len(_LONGEST))))
        return corner_view(image, corners, rng)

    def _with_corners(self, index: int, size: int) -> tuple[Picture, Doubles]:
        key = (*self.pictures.key(index), size)
        if key not in self._known:
            image = self.pictures.get(index)
            zoom = _LONGEST[size] / max(image.shape[:2])
            how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
            resized = np.asarray(cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=how), np.uint8)
            self._known[key] = resized, surviving_corners(resized, np.random.default_rng([*key, 29]))
        return self._known[key]


def corner_view(image: Picture, corners: Doubles, rng: np.random.Generator) -> PointSample:
    """A window of a picture through a random homography, black beyond the picture, where nothing is a corner.

    Args:
        image: (H, W, 3).
        corners: rows x, y, probability of being found again.
        rng: the only source of randomness.
    """
    extent, size = np.array(image.shape[1::-1], np.float64), np.array(SIZE, np.float64)
    corner = rng.uniform(np.minimum(0, extent - size) - size / 4, np.maximum(0, extent - size) + size / 4)
    H = random_homography(rng, SIZE) @ np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1]])
    view = vary_colours(np.asarray(cv2.warpPerspective(image, H, SIZE), np.uint8), 0.6, rng)
    inside = cv2.warpPerspective(np.ones(image.shape[:2], np.uint8), H, SIZE)
    inside = cv2.erode(inside, np.ones((2 * _BORDER_PX + 1,) * 2), borderValue=0)
    points = spread(corners, H) * (inside > 0)
    rgb = torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))
    return PointSample(rgb, torch.from_numpy(points)[None], torch.ones(1, *points.shape, dtype=torch.bool))


def spread(corners: Doubles, H: Doubles) -> NDArray[np.float32]:
    """(120, 160): each corner's probability as a bell around where H takes it."""
    sure = np.zeros(SIZE[::-1], np.float32)
    xy = cv2.perspectiveTransform(corners[None, :, :2], H)[0] if len(corners) else corners[:, :2]
    at = np.rint(xy).astype(np.int64)
    seen = ((at >= 0) & (at < np.array(SIZE))).all(1)
    np.maximum.at(sure, (at[seen, 1], at[seen, 0]), corners[seen, 2].astype(np.float32))
    return np.asarray(cv2.GaussianBlur(sure, (0, 0), _SPREAD, borderType=cv2.BORDER_CONSTANT), np.float32)


def surviving_corners(image: Picture, rng: np.random.Generator) -> Doubles:
    """(N, 3) x, y, and in which share of the views that show it each corner is among the strongest again.

    A view is a random homography with varied colours; found again is a corner within 2 pixels. The place is the mean of
    those where it was found.
    """
    size = (image.shape[1], image.shape[0])
    found = strongest_corners(image, 1.3)
    hits, shown, place = np.zeros(len(found)), np.zeros(len(found)), np.zeros_like(found)
    for _ in range(_TRIALS):
        H = random_homography(rng, size)
        view = np.asarray(cv2.warpPerspective(image, H, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
        again = strongest_corners(np.rint(255 * vary_colours(view, 0.6, rng)).astype(np.uint8), 1.0)
        if len(found) == 0 or len(again) == 0:
            continue
        there = cv2.perspectiveTransform(found[None], H)[0]
        seen = ((there >= _BORDER_PX) & (there <= np.array(size) - 1.0 - _BORDER_PX)).all(1)
        far, nearest = cKDTree(again).query(there)
        hit = seen & (far <= _NEAR_PX)
        shown, hits = shown + seen, hits + hit
        place[hit] += cv2.perspectiveTransform(again[nearest[hit]][None], np.linalg.inv(H))[0] if hit.any() else 0
    known = (shown >= _TRIALS / 4) & (hits > 0)
    return np.column_stack([place / np.maximum(hits, 1)[:, None], hits / np.maximum(shown, 1)])[known]


def strongest_corners(image: Picture, share: float) -> Doubles:
    """(N, 2) x, y of peaks of Harris & Stephens' response (1988), smoothed more than usual; at most `share` times 300
    in a picture of 320x240."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), _SMOOTH)
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    a, b, c = (cv2.GaussianBlur(product, (0, 0), _WINDOW) for product in (x * x, x * y, y * y))
    response = a * c - b * b - _TRACE * (a + c) ** 2
    peak = (response == cv2.dilate(response, np.ones((2 * _APART_PX + 1,) * 2))) & (response > 0)
    rows, columns = np.nonzero(peak)
    best = np.argsort(-response[rows, columns], kind="stable")[: int(share * grey.size / _AREA_PX)]
    return np.column_stack([columns, rows])[best].astype(np.float64)
