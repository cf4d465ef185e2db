"""Corners: detection, description, tracking by Lucas-Kanade, triangulation (pure functions over OpenCV)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.slam.image import Intrinsics

Array = NDArray[np.float64]
Grey8 = NDArray[np.uint8]
BORDER = 16
"""Corners nearer to the border than this have no descriptor."""
NOISE = 5.0
"""A corner is at least so many times as strong (Shi and Tomasi's lesser eigenvalue) as a fifth of the picture are at
most: that is what noise makes of plain surfaces.
"""
QUALITY = 0.001, 0.01
"""Least and most share of the strongest corner's that this may come to: some pictures have no plain surface."""
ENOUGH = 0.6
"""Share of the corners found that, once placed by the narrow window, do without the others."""


class Corners(NamedTuple):
    """Corners of one image: pixels (N, 2) float32 (x, y), descriptors (N, 32) uint8 (upright ORB)."""

    pixels: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def describe(image: Grey8, pixels: NDArray[np.float32]) -> Corners:
    """Upright ORB descriptors of given corners; those too near to the border are left out."""
    keypoints = [cv2.KeyPoint(float(x), float(y), 24.0, 0.0) for x, y in pixels]
    orb = cv2.ORB.create(nlevels=1, edgeThreshold=BORDER, patchSize=24)
    kept, descriptors = orb.compute(cv2.GaussianBlur(image, (0, 0), 1.0), keypoints)
    if not kept:
        return Corners(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    return Corners(np.array([k.pt for k in kept], np.float32).reshape(-1, 2), descriptors)


def detect(image: Grey8, count: int, spacing_px: int, avoid: NDArray[np.float32] | None = None) -> Corners:
    """Up to `count` corners at least `spacing_px` apart from each other and from `avoid` (N, 2)."""
    mask = np.zeros(image.shape, np.uint8)
    mask[BORDER:-BORDER, BORDER:-BORDER] = 255
    for x, y in [] if avoid is None else avoid:
        cv2.circle(mask, (round(float(x)), round(float(y))), spacing_px, 0, -1)
    mask[weak(image)] = 0
    found = cv2.goodFeaturesToTrack(image, count, 1e-6, spacing_px, mask=mask, blockSize=5) if count > 0 else None
    if found is None:
        return Corners(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    pixels = found.reshape(-1, 2)
    pixels = cv2.cornerSubPix(image, pixels.copy(), (2, 2), (-1, -1), (cv2.TERM_CRITERIA_COUNT, 5, 0.01))
    return describe(image, pixels)


def weak(image: Grey8) -> NDArray[np.bool_]:
    """(H, W) where no corner is; see `NOISE`."""
    strength = cv2.cornerMinEigenVal(image, 5)
    least, most = (share * float(strength.max()) for share in QUALITY)
    return np.asarray(strength <= np.clip(NOISE * np.percentile(strength[::2, ::2], 20), least, most))


def follow(
    template: Grey8, image: Grey8, pixels: NDArray[np.float32], guess: NDArray[np.float32], window_px: int, levels: int,
    fine_px: int,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:  # fmt: skip
    """Lucas-Kanade from a template's pixels (N, 2) to an image, started at `guess`, checked by tracking back.

    A wide window over a pyramid finds the corner, a narrow one of `fine_px` at full resolution places it: the wide one
    averages the flow of surfaces at other depths, which takes parallax away and makes translation pass for rotation.
    Corners that only the wide one finds are left out, unless (large turns, blur) they are most of all. `fine_px` 0
    leaves it at the wide one: after large motions surfaces do not look alike that closely.

    Returns:
        pixels in the image (N, 2), and which are trusted: (N,) bool.
    """
    if not len(pixels):
        return pixels.copy(), np.zeros(0, bool)
    wide, trusted = _there_and_back(template, image, pixels, guess, window_px, levels)
    if fine_px == 0:
        return wide, trusted
    narrow, placed = _there_and_back(template, image, pixels, wide, fine_px, 0)
    placed &= trusted & (np.linalg.norm(narrow - wide, axis=1) < 2.0)
    enough = placed.sum() >= ENOUGH * trusted.sum()
    return np.where(placed[:, None], narrow, wide).astype(np.float32), placed if enough else trusted


def _there_and_back(
    template: Grey8, image: Grey8, pixels: NDArray[np.float32], guess: NDArray[np.float32], window_px: int, levels: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    there, found = _lucas_kanade(template, image, pixels, guess, window_px, levels)
    back, returned = _lucas_kanade(image, template, there, pixels, window_px, levels)
    height, width = image.shape
    inside = (there[:, 0] > 2) & (there[:, 1] > 2) & (there[:, 0] < width - 3) & (there[:, 1] < height - 3)
    return there, found & returned & inside & (np.linalg.norm(back - pixels, axis=1) < 0.7)


def _lucas_kanade(
    template: Grey8, image: Grey8, pixels: NDArray[np.float32], guess: NDArray[np.float32], window_px: int, levels: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        template, image, pixels, guess.astype(np.float32).copy(), winSize=(window_px, window_px), maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01), flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return np.asarray(there, np.float32), np.asarray(found)[:, 0] > 0


def hamming(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Differing bits between descriptors (..., 32)."""
    return np.bitwise_count(a ^ b).sum(-1, dtype=np.int64)


def triangulate(
    T_a: Array, T_b: Array, pixels_a: Array, pixels_b: Array, intrinsics: Intrinsics, parallax_deg: float
) -> tuple[Array, NDArray[np.bool_]]:
    """World points (N, 3) nearest to both rays, and which are in front with enough parallax (N,).

    T_a (N, 3, 4) or (3, 4), T_b alike: world to camera. pixels (N, 2).
    """
    origin_a, ray_a = _rays(T_a, pixels_a, intrinsics)
    origin_b, ray_b = _rays(T_b, pixels_b, intrinsics)
    cosine = np.clip((ray_a * ray_b).sum(1), -1, 1)
    baseline = origin_b - origin_a
    pa, pb = (baseline * ray_a).sum(1), (baseline * ray_b).sum(1)
    sine2 = np.maximum(1 - cosine**2, 1e-12)
    along_a, along_b = (pa - cosine * pb) / sine2, (cosine * pa - pb) / sine2
    points = 0.5 * (origin_a + along_a[:, None] * ray_a + origin_b + along_b[:, None] * ray_b)
    good = (along_a > 0) & (along_b > 0) & (sine2 > np.sin(np.radians(parallax_deg)) ** 2)
    return points, good


def _rays(T: Array, pixels: Array, intrinsics: Intrinsics) -> tuple[Array, Array]:
    fx, fy, cx, cy = intrinsics
    camera = np.stack([(pixels[:, 0] - cx) / fx, (pixels[:, 1] - cy) / fy, np.ones(len(pixels))], 1)
    camera /= np.linalg.norm(camera, axis=1, keepdims=True)
    R, t = np.broadcast_to(T[..., :3], (len(pixels), 3, 3)), np.broadcast_to(T[..., 3], (len(pixels), 3))
    return -np.einsum("nji,nj->ni", R, t), np.einsum("nji,nj->ni", R, camera)


def alike(
    pixels: NDArray[np.float64], descriptors: NDArray[np.uint8], found: Corners, reach_px: float, distance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which places (N, 2) with descriptors (N, 32) are which corners: the most alike pairs first, each taken once.

    Args:
        reach_px: a corner lies at most so far from its place. distance: and is at most so different (Hamming).

    Returns:
        rows of the places, and corners in rising order.
    """
    if not len(pixels) or not len(found.pixels):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = cKDTree(found.pixels).query_ball_point(pixels, reach_px)
    rows = np.repeat(np.arange(len(near)), [len(n) for n in near])
    columns = np.array([c for n in near for c in n], np.int64)
    apart = hamming(descriptors[rows], found.descriptors[columns])
    best: dict[int, int] = {}
    taken: set[int] = set()
    for k in np.lexsort((rows, columns, apart)):
        r, c = int(rows[k]), int(columns[k])
        if apart[k] <= distance and r not in taken and c not in best:
            best[c] = r
            taken.add(r)
    which = np.array(sorted(best), np.int64)
    return np.array([best[int(c)] for c in which], np.int64), which
