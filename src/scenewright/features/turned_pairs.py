"""Pictures seen again turned by any angle and half to twice as large: what scale and orientation are for."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.colours import vary_colours
from scenewright.features.data import Pictures
from scenewright.features.evaluate import homography_sample
from scenewright.features.task import HomographySample

Picture = NDArray[np.uint8]
Doubles = NDArray[np.float64]
SIZE = (320, 240)
ZOOM = 2.0
"""The second view shows things up to so many times larger, or smaller, evenly in the logarithm."""
_CORNERS = 0.04


def turned_pairs(pictures: Pictures, count: int, seed: int) -> list[HomographySample]:
    """`count` pairs by the seed alone, the pictures by turns."""
    return [turned_pair(pictures.get(k % pictures.count), np.random.default_rng([seed, 19, k])) for k in range(count)]


def turned_pair(image: Picture, rng: np.random.Generator) -> HomographySample:
    """A picture's middle, and the same turned by up to 180 degrees, 1/2 to 2 times as large, its corners moved by up to
    4 % and its colours varied; both 320x240."""
    width, height = SIZE
    shown = max(width / image.shape[1], height / image.shape[0])
    centre, source = np.array(SIZE) / 2 - 0.5, np.array(image.shape[1::-1]) / 2 - 0.5
    first = _similarity(shown, 0.0, source, centre)
    H = _bend(rng) @ _similarity(float(ZOOM ** rng.uniform(-1, 1)), rng.uniform(-np.pi, np.pi), centre, centre)
    views = [seen_through(image, M) for M in (first, H @ first)]
    varied = np.rint(255 * vary_colours(views[1], 0.6, rng)).astype(np.uint8)
    return homography_sample(views[0], varied, H)


def _similarity(zoom: float, turn: float, source: Doubles, target: Doubles) -> Doubles:
    """(3, 3) that turns and zooms about `source` and puts it to `target`."""
    A = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    M = np.eye(3)
    M[:2, :2], M[:2, 2] = A, target - A @ source
    return M


def _bend(rng: np.random.Generator) -> Doubles:
    """(3, 3) that moves each corner of the view a little."""
    extent = np.array(SIZE) - 1.0
    square = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * extent).astype(np.float32)
    moved = square + rng.uniform(-_CORNERS, _CORNERS, (4, 2)) * extent
    return np.asarray(cv2.getPerspectiveTransform(square, moved.astype(np.float32)), np.float64)


def seen_through(image: Picture, M: Doubles) -> Picture:
    """(240, 320, 3): the picture under M, without aliasing: every pixel is the mean of up to 4x4 samples.

    Pixel x of the view is the middle of the finer pixels f x ... f x + f - 1.
    """
    finer = int(np.clip(np.ceil(np.linalg.det(M[:2, :2]) ** -0.5), 1, 4))
    F = np.array([[finer, 0, (finer - 1) / 2], [0, finer, (finer - 1) / 2], [0, 0, 1]])
    size = (finer * SIZE[0], finer * SIZE[1])
    view = cv2.warpPerspective(image, F @ M, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(view if finer == 1 else cv2.resize(view, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
