"""Blobs over place and scale, and how often changes of view let them be found again: what keypoint detectors learn."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.features.data import Picture, random_homography

Doubles = NDArray[np.float64]
DEVIATIONS = 12.0
"""Side of a keypoint's patch over the standard deviation of its scale, as of SIFT's."""
_APART_PX = 4
_FAINT = 1e-5
_AREA_PX = 100
_TRIALS, _NEAR_PX, _ALIKE = 8, 3.0, 1.41
_ZOOM = 2.0


def blobs(grey: Picture, sides: Sequence[int]) -> Doubles:
    """Peaks of the determinant of the Hessian over place and scale (Lindeberg, IJCV 1998), strongest first.

    R = s^4 (Lxx Lyy - Lxy^2) of the picture blurred by s = side / 12. What is smaller than the first scale, or larger
    than the last, peaks there.

    Args:
        grey: (H, W) picture.
        sides: of the patches of the scales, pixels, ascending.

    Returns:
        (N, 3) x, y, side in pixels; x and y refined by parabolas. At most one per 100 pixels, 4 pixels
        apart within a scale.
    """
    image = np.asarray(grey, np.float32) / np.float32(255)
    volume = np.stack([_hessian(image, side / DEVIATIONS) for side in sides])
    widest = np.stack([cv2.dilate(layer, np.ones((2 * _APART_PX + 1,) * 2)) for layer in volume])
    above, below = np.roll(widest, 1, 0), np.roll(widest, -1, 0)
    above[0], below[-1] = 0, 0
    peak = (volume == widest) & (volume > above) & (volume > below) & (volume > _FAINT)
    peak[:, [0, -1]] = peak[:, :, [0, -1]] = False
    k, y, x = np.nonzero(peak)
    order = np.argsort(-volume[k, y, x], kind="stable")[: grey.size // _AREA_PX]
    k, y, x = k[order], y[order], x[order]
    dx, dy = (_parabola(volume[k, y - b, x - a], volume[k, y, x], volume[k, y + b, x + a]) for a, b in ((1, 0), (0, 1)))
    return np.column_stack([x + dx, y + dy, np.asarray(sides, np.float64)[k]])


def _hessian(image: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """(H, W): the determinant, times deviation^4."""
    L = np.pad(cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REFLECT), 1, "reflect")
    xx = L[1:-1, 2:] + L[1:-1, :-2] - 2 * L[1:-1, 1:-1]
    yy = L[2:, 1:-1] + L[:-2, 1:-1] - 2 * L[1:-1, 1:-1]
    xy = (L[2:, 2:] + L[:-2, :-2] - L[2:, :-2] - L[:-2, 2:]) / 4
    return np.asarray(deviation**4 * (xx * yy - xy * xy), np.float32)


def _parabola(before: NDArray[np.float32], here: NDArray[np.float32], after: NDArray[np.float32]) -> Doubles:
    """Where between -1/2 and 1/2 a parabola through three values has its peak."""
    bend = np.maximum(2.0 * here - before - after, 1e-12)
    return np.clip((after - before) / (2 * bend), -0.5, 0.5).astype(np.float64)


def survival(grey: Picture, found: Doubles, sides: Sequence[int], rng: np.random.Generator) -> Doubles:
    """(N,) in [0, 1]: in which share of the views that show it each blob is found again.

    A view is turned by any angle, half to twice as large, bent a little and noisy; found again is a blob
    within 3 pixels and a factor 1.41 in scale, both held to the scales there are. A blob that fewer than a third of 8
    views show has no answer: NaN.
    """
    size, hits, shown = (grey.shape[1], grey.shape[0]), np.zeros(len(found)), np.zeros(len(found))
    for _ in range(_TRIALS):
        H, zoom = _another_view(rng, size)
        view = cv2.warpPerspective(_averaged(grey, zoom), H, size, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
        view = rng.uniform(0.6, 1.3) * view + rng.uniform(0, 6) * rng.standard_normal(view.shape, np.float32)
        there = cv2.perspectiveTransform(found[None, :, :2], H)[0] if len(found) else found[:, :2]
        shown += ((there >= 2) & (there <= np.array(size) - 3.0)).all(1)
        again = blobs(np.clip(view, 0, 255).astype(np.uint8), sides)
        hits += _near(there, np.clip(found[:, 2] * zoom, sides[0], sides[-1]), again)
    enough = shown >= _TRIALS / 3
    return np.where(enough, np.minimum(hits / np.maximum(shown, 1), 1), np.nan)


def _averaged(grey: Picture, zoom: float) -> Picture:
    """Blurred as much as pixels that grow smaller by `zoom` average."""
    if zoom >= 1:
        return grey
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.5 * float(np.sqrt(zoom**-2 - 1))), np.uint8)


def _another_view(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Doubles, float]:
    """A homography of pictures of this (width, height), and by how much it enlarges their middle."""
    zoom, turn, middle = _ZOOM ** rng.uniform(-1, 1), rng.uniform(-np.pi, np.pi), np.array(size) / 2 - 0.5
    A = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    M = np.eye(3)
    M[:2, :2], M[:2, 2] = A, middle - A @ middle
    return M @ random_homography(rng, size, 0.25), float(zoom)


def _near(there: Doubles, side: Doubles, again: Doubles) -> NDArray[np.bool_]:
    """Which of the places has a blob of about this side nearby."""
    hit = np.zeros(len(there), bool)
    if len(there) and len(again):
        pairs = cKDTree(there).sparse_distance_matrix(cKDTree(again[:, :2]), _NEAR_PX, output_type="ndarray")
        alike = np.abs(np.log(again[pairs["j"], 2] / side[pairs["i"]])) <= np.log(_ALIKE)
        hit[pairs["i"][alike]] = True
    return hit
