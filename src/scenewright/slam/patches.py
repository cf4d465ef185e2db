"""How corners looked where they were first seen, and where that lies in a later view (pure functions).

A corner followed from view to view slides, for every step adds its error, and where one surface hides another there is
no such point in space at all. Shi and Tomasi (Good Features to Track, CVPR 1994, section 5) therefore compare it with
its first look, warped, and forget what looks otherwise; the alignment is that of Lucas and Kanade in its inverse
compositional form (Baker and Matthews, IJCV 2004, section 3.2), free of contrast and brightness.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.slam.image import Intrinsics

Array = NDArray[np.float64]
Grey8 = NDArray[np.uint8]
RADIUS = 5
SIDE = 2 * RADIUS + 1
_OFFSETS = np.stack(np.meshgrid(*[np.arange(-RADIUS, RADIUS + 1.0)] * 2), -1).reshape(-1, 2)
_FAR_M = 1e6


class Sights(NamedTuple):
    """Where and how every point was first seen.

    Args:
        view: (P,) int64. pixel: (P, 2) float64. patch: (P, SIDE, SIDE) uint8 around it.
    """

    view: NDArray[np.int64]
    pixel: Array
    patch: Grey8

    @classmethod
    def none(cls) -> Sights:
        """Of no points."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, SIDE, SIDE), np.uint8))

    def more(self, view: int, image: Grey8, pixels: Array) -> Sights:
        """With new points at pixels (N, 2) of a view's (H, W) image."""
        return Sights(
            np.concatenate([self.view, np.full(len(pixels), view)]),
            np.concatenate([self.pixel, pixels]),
            np.concatenate([self.patch, cut(image, pixels)]),
        )


def cut(image: Grey8, pixels: Array) -> Grey8:
    """(N, SIDE, SIDE) uint8 patches around pixels (N, 2)."""
    values = _sample(image, pixels[:, None] + _OFFSETS)
    return np.rint(values).astype(np.uint8).reshape(-1, SIDE, SIDE)


def warps(T_first: Array, T_now: Array, pixels: Array, depths_m: Array, intrinsics: Intrinsics) -> Array:
    """(N, 2, 2) derivative of where a point lies now by where it lay in its first view, if its surface faced that view.

    Args:
        T_first: (N, 3, 4) world to camera. T_now: (3, 4) alike.
        pixels: (N, 2) in the first views. depths_m: (N,) there; not positive = unknown, taken as far away.
    """
    fx, fy, cx, cy = intrinsics
    z = np.where(depths_m > 0.05, depths_m, _FAR_M)
    X = np.stack([(pixels[:, 0] - cx) / fx * z, (pixels[:, 1] - cy) / fy * z, z], 1)
    R = np.einsum("ij,nkj->nik", T_now[:, :3], T_first[:, :, :3])
    Y = np.einsum("nij,nj->ni", R, X - T_first[:, :, 3]) + T_now[:, 3]
    Z = np.maximum(Y[:, 2], 0.05)
    zero = np.zeros(len(Z))
    project = np.stack([fx / Z, zero, -fx * Y[:, 0] / Z**2, zero, fy / Z, -fy * Y[:, 1] / Z**2], 1).reshape(-1, 2, 3)
    return np.asarray(project @ (R[:, :, :2] * (z[:, None] / np.array([fx, fy]))[:, None]), np.float64)


def find(patches: Grey8, image: Grey8, guess: Array, warp: Array, iterations: int = 5) -> tuple[Array, Array]:
    """Where patches lie in an image.

    Args:
        patches: (N, SIDE, SIDE) uint8. image: (H, W) uint8.
        guess: (N, 2) pixels of their middles. warp: (N, 2, 2), see `warps`.

    Returns:
        pixels (N, 2), and (N,) how alike it looks there: normalised cross-correlation, 1 = but for brightness the same.
    """
    look = patches.astype(np.float64)
    gradient = np.stack([np.gradient(look, axis=2), np.gradient(look, axis=1)], -1).reshape(len(look), -1, 2)
    look = _centred(look.reshape(len(look), -1))
    inverse = np.linalg.inv(np.swapaxes(gradient, 1, 2) @ gradient + np.eye(2))
    offsets, norm = _OFFSETS @ np.swapaxes(warp, 1, 2), _norms(look)
    pixels = np.array(guess, np.float64)
    for left in range(iterations, -1, -1):
        seen = _centred(_sample(image, pixels[:, None] + offsets))
        size = _norms(seen)
        if left:
            wrong = seen * (norm / size) - look
            step = np.einsum("nij,nmj,nm->ni", inverse, gradient, wrong, optimize=True)
            pixels = pixels - np.einsum("nij,nj->ni", warp, np.clip(step, -1, 1))
    return pixels, (seen * look).sum(1) / (size * norm)[:, 0]


def _sample(image: Grey8, pixels: Array) -> Array:
    if not pixels.size:
        return np.zeros(pixels.shape[:-1])
    x, y = np.moveaxis(pixels.astype(np.float32), -1, 0)
    found = cv2.remap(
        image, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(found, np.float64)


def _centred(values: Array) -> Array:
    return np.asarray(values - values.mean(1, keepdims=True), np.float64)


def _norms(values: Array) -> Array:
    return np.asarray(np.linalg.norm(values, axis=1, keepdims=True) + 1e-6, np.float64)
