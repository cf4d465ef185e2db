"""How far a depth is believed before it goes into the map, by its neighbours in the picture and by other keyframes.

A wrong depth that two views share is rare; a wrong depth of one view makes a ghost surface. Votes are as in multi-view
stereo (Merrell et al., ICCV 2007; Schoenberger et al., ECCV 2016): a view agrees, looks through, or is in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.slam import rigid
from scenewright.slam.types import FloatImage, Keyframe

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ConsistencyOptions:
    """When a depth is believed.

    Args:
        views: nearest keyframes that are asked. tolerance: largest difference in log depth that still agrees.
        agreeing: so many of those that see a pixel's point must agree, all where fewer see it.
        cosine: smallest cosine between ray and surface normal.
        bend: largest rms distance from the local plane, as a share of the depth: more is smeared over an edge.
    """

    views: int = 8
    tolerance: float = 0.12
    agreeing: int = 2
    cosine: float = 0.15
    bend: float = 0.04

    def __post_init__(self) -> None:
        if self.views < 0 or self.agreeing < 0 or not self.tolerance > 0 or not 0 <= self.cosine < 1:
            raise InputError("consistency", self, "no negative number, a positive tolerance, a cosine below 1")


def consistent(keyframes: Sequence[Keyframe], options: ConsistencyOptions | None = None) -> list[Keyframe]:
    """Copies of the keyframes without depths that are smeared, glancing, not confirmed, or in the way of more views
    than agree; variances become no smaller than the mean square difference from the views that do.
    """
    options = options or ConsistencyOptions()
    out = []
    for keyframe, near in zip(keyframes, nearest(keyframes, options.views)):
        agree, through, seen, square = votes(keyframe, [keyframes[j] for j in near], options.tolerance)
        kept = (agree >= np.minimum(seen, options.agreeing)) & (through <= agree)
        kept &= planar(keyframe.depth_m, keyframe.camera, options)
        spread = np.square(keyframe.depth_m) * square / np.maximum(agree, 1)
        depth = np.where(kept, keyframe.depth_m, 0).astype(np.float32)
        out.append(replace(keyframe, depth_m=depth, variance=np.maximum(keyframe.variance, spread).astype(np.float32)))
    return out


def nearest(keyframes: Sequence[Keyframe], count: int) -> list[list[int]]:
    """For each keyframe the `count` others whose position and viewing direction differ least (1 m weighs as 48 deg)."""
    at = np.array([k.T_world_cam[:3, 3] for k in keyframes]).reshape(-1, 3)
    axis = np.array([k.T_world_cam[:3, 2] for k in keyframes]).reshape(-1, 3)
    out = []
    for i in range(len(keyframes)):
        far = np.linalg.norm(at - at[i], axis=1) + 3 * (1 - axis @ axis[i])
        out.append([int(j) for j in np.argsort(far, kind="stable") if j != i][:count])
    return out


def votes(
    keyframe: Keyframe, others: Sequence[Keyframe], tolerance: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], FloatImage]:
    """(H, W) each: how many others agree with a pixel's depth, look through its point, see its place at all; and the
    summed squared difference in log depth of those that agree.
    """
    shape = keyframe.depth_m.shape
    agree, through, seen = (np.zeros(shape, np.int32) for _ in range(3))
    square = np.zeros(shape, np.float32)
    for other in others:
        T = rigid.inverse(other.T_world_cam) @ keyframe.T_world_cam
        K, K_other = (np.array(k.camera.numbers, np.float64) for k in (keyframe, other))
        _vote(keyframe.depth_m, other.depth_m, K, K_other, T, tolerance, agree, through, seen, square)
    return agree, through, seen, square


@numba.njit(cache=True, nogil=True)
def _vote(
    depth: Any, other: Any, K: Any, L: Any, T: Any, tolerance: float, agree: Any, through: Any, seen: Any, square: Any
) -> None:
    h, w = other.shape
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            d = depth[v, u]
            if not d > 0:
                continue
            x, y = d * (u - K[2]) / K[0], d * (v - K[3]) / K[1]
            z = T[2, 0] * x + T[2, 1] * y + T[2, 2] * d + T[2, 3]
            if z < 0.05:
                continue
            i = int(np.floor(L[0] * (T[0, 0] * x + T[0, 1] * y + T[0, 2] * d + T[0, 3]) / z + L[2] + 0.5))
            j = int(np.floor(L[1] * (T[1, 0] * x + T[1, 1] * y + T[1, 2] * d + T[1, 3]) / z + L[3] + 0.5))
            if i < 0 or j < 0 or i >= w or j >= h or not other[j, i] > 0:
                continue
            difference = np.log(other[j, i] / z)
            seen[v, u] += 1
            if abs(difference) < tolerance:
                agree[v, u] += 1
                square[v, u] += difference * difference
            elif difference > 0:
                through[v, u] += 1


def planar(depth_m: FloatImage, camera: Camera, options: ConsistencyOptions) -> NDArray[np.bool_]:
    """(H, W) where a known depth lies on its local plane and the plane does not turn its edge to the camera."""
    wide, narrow = local_plane(depth_m, 4), local_plane(depth_m, 2)
    return np.asarray((depth_m > 0) & (wide[2] <= options.bend) & (cosine(narrow, camera) >= options.cosine))


Plane = tuple[Array, Array, Array]


def local_plane(depth_m: FloatImage, radius: int) -> Plane:
    """The least-squares plane of the inverse depth, which is affine in the pixel on any plane, in windows (H, W).

    Returns:
        its slopes along x and y, per pixel, and the rms distance from it, all as shares of the mean inverse depth.
    """
    known = depth_m > 0
    inverse = np.where(known, 1 / np.where(known, depth_m, 1), 0).astype(np.float64)
    offset = np.arange(-radius, radius + 1.0)
    mean_of, slope_of = np.full(len(offset), 1 / len(offset)), offset / len(offset)
    spread = float((offset**2).mean())

    def window(image: Array, along_x: Array, along_y: Array) -> Array:
        border = cv2.BORDER_REFLECT_101
        return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, along_x, along_y, borderType=border), np.float64)

    mean, square = window(inverse, mean_of, mean_of), window(inverse * inverse, mean_of, mean_of)
    x, y = window(inverse, slope_of, mean_of) / spread, window(inverse, mean_of, slope_of) / spread
    rest = np.maximum(square - mean * mean - (x * x + y * y) * spread, 0)
    safe = np.maximum(mean, 1e-6)
    return x / safe, y / safe, np.sqrt(rest) / safe


def cosine(plane: Plane, camera: Camera) -> Array:
    """(H, W) cosine between the ray of a pixel and the normal of its plane, 1 = seen straight on.

    With rays r = (X, Y, 1) and 1/z = a X + b Y + c the plane's normal is (a, b, c); here a, b, c are over 1/z, so
    that the normal times r is 1.
    """
    fx, fy, cx, cy = camera.numbers
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    X, Y = (x - cx) / fx, (y - cy) / fy
    a, b = plane[0] * fx, plane[1] * fy
    c = 1 - a * X - b * Y
    return 1 / np.sqrt((a * a + b * b + c * c) * (X * X + Y * Y + 1))
