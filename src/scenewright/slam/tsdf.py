"""The map as a truncated signed distance (Curless and Levoy 1996) on sparse blocks of 8^3 voxels (Niessner 2013).

Distances are metres along the viewing ray, positive in front of the surface. A voxel's position is its centre:
index * voxel. The whole map is a function of the keyframes, so it is rebuilt whenever the pose graph moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.slam.types import Keyframe

BLOCK = 8
_VOXELS = BLOCK**3
_BIAS, _BITS = 1 << 20, 21  # block coordinates are packed as three 21-bit numbers


@dataclass(frozen=True)
class TsdfOptions:
    """What enters the map, and how finely.

    Args:
        voxel_m: edge of a voxel. truncation_voxels: least and most truncation; between them it is 3 sd of the depth.
        max_relative_sd: pixels whose sd exceeds this share of their depth are left out.
        edge: so are those whose depth differs by more than this share from a neighbour's.
        border_px: and the rim of the image. max_depth_m: and what is farther.
        floor_sd: share of the depth added (in quadrature) to every sd, since fused variances are over-confident.
        max_blocks: refuse maps that would need more memory than this (one block is 4 kB).
    """

    voxel_m: float = 0.025
    truncation_voxels: tuple[float, float] = (4.0, 8.0)
    max_relative_sd: float = 0.15
    edge: float = 0.05
    border_px: int = 8
    max_depth_m: float = 10.0
    floor_sd: float = 0.02
    max_blocks: int = 200_000

    def __post_init__(self) -> None:
        if not 0.001 <= self.voxel_m <= 1.0:
            raise InputError("voxel size", f"{self.voxel_m} m", "between 0.001 and 1 m")
        low, high = self.truncation_voxels
        if not 1.0 <= low <= high:
            raise InputError("truncation", self.truncation_voxels, "1 <= least <= most, in voxels")


@dataclass(frozen=True)
class View:
    """One depth map ready to be fused; see `view_of`.

    Args:
        depth_m: (H, W) float32, 0 where nothing may be fused.
        weight, truncation_m: (H, W) float32. camera, T_world_cam: of the view.
    """

    depth_m: NDArray[np.float32]
    weight: NDArray[np.float32]
    truncation_m: NDArray[np.float32]
    camera: Camera
    T_world_cam: NDArray[np.float64]


def view_of(keyframe: Keyframe, options: TsdfOptions) -> View:
    """Drop the pixels that sheet rules exclude and turn variances into weights (1 = a sd of one voxel)."""
    depth, variance = keyframe.depth_m, keyframe.variance
    good = np.isfinite(depth) & np.isfinite(variance) & (depth > 0) & (depth <= options.max_depth_m)
    good &= variance <= (options.max_relative_sd * np.maximum(depth, 1e-6)) ** 2
    good &= ~depth_edges(depth, options.edge)
    inside = np.zeros_like(good)
    b = options.border_px
    inside[b : good.shape[0] - b, b : good.shape[1] - b] = True
    kept = np.where(good & inside, depth, 0.0).astype(np.float32)
    sd2 = np.where(kept > 0, variance, 1.0) + (options.floor_sd * kept) ** 2
    low, high = (n * options.voxel_m for n in options.truncation_voxels)
    return View(
        depth_m=kept,
        weight=(options.voxel_m**2 / sd2).astype(np.float32),
        truncation_m=np.clip(3 * np.sqrt(sd2), low, high).astype(np.float32),
        camera=keyframe.camera,
        T_world_cam=keyframe.T_world_cam,
    )


def depth_edges(depth_m: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """(H, W) where a known depth and one of its eight neighbours differ by more than `share` of it."""
    cross = np.ones((3, 3), np.uint8)
    known = depth_m > 0
    high = cv2.dilate(np.where(known, depth_m, 0).astype(np.float32), cross)
    low = cv2.erode(np.where(known, depth_m, np.inf).astype(np.float32), cross)
    return np.asarray(known & ((high - depth_m > share * depth_m) | (depth_m - low > share * depth_m)))


@dataclass
class Volume:
    """Sparse blocks; `slots` maps a packed block coordinate to a row of the arrays (512 voxels, x slowest).

    Args:
        voxel_m: edge of a voxel. coordinates: (N, 3) int32 block coordinates.
        distance, weight: (N, 512) float32.
    """

    voxel_m: float
    slots: dict[int, int] = field(default_factory=dict)
    coordinates: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    distance: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, _VOXELS), np.float32))
    weight: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, _VOXELS), np.float32))

    @property
    def nbytes(self) -> int:
        """Memory of the voxel arrays in bytes."""
        return self.distance.nbytes + self.weight.nbytes

    def grow(self, keys: NDArray[np.int64]) -> None:
        """Add empty blocks for the packed coordinates that are new."""
        new = np.array([k for k in keys.tolist() if k not in self.slots], np.int64)
        if not len(new):
            return
        self.slots.update(zip(new.tolist(), range(len(self.slots), len(self.slots) + len(new))))
        unpacked = np.stack([(new >> (_BITS * k)) & ((1 << _BITS) - 1) for k in (2, 1, 0)], 1) - _BIAS
        self.coordinates = np.concatenate([self.coordinates, unpacked.astype(np.int32)])
        empty = np.zeros((len(new), _VOXELS), np.float32)
        self.distance, self.weight = np.concatenate([self.distance, empty]), np.concatenate([self.weight, empty])


def integrate(volume: Volume, view: View, options: TsdfOptions) -> None:
    """Fuse one view into a live map. Blocks that later views open are not carved by it: see `fuse` for the final map.

    Raises:
        InputError: the map would outgrow `options.max_blocks`.
    """
    _open(volume, [touched_blocks(view, volume.voxel_m)], options)
    update(volume, view)


def fuse(
    keyframes: Iterable[Keyframe], options: TsdfOptions | None = None, stop: Callable[[], bool] | None = None
) -> Volume:
    """The map of all keyframes: first every block that any of them touches, then every view into all it sees.

    The result does not depend on the order (up to rounding), and every view carves every block: a wall that one
    keyframe saw where others look through vanishes. `stop` is asked between views and ends the work early.

    Raises:
        InputError: no keyframe, or a map that would outgrow `options.max_blocks`.
    """
    options = options or TsdfOptions()
    keyframes = list(keyframes)
    if not keyframes:
        raise InputError("keyframes", "none", "at least one")
    volume = Volume(options.voxel_m)
    touched = [touched_blocks(view_of(k, options), options.voxel_m) for k in keyframes]
    _open(volume, touched, options)
    for keyframe in keyframes:
        if stop is not None and stop():
            break
        update(volume, view_of(keyframe, options))
    return volume


def _open(volume: Volume, touched: list[NDArray[np.int64]], options: TsdfOptions) -> None:
    keys = np.unique(np.concatenate(touched))
    if len(volume.slots) + len(keys) > options.max_blocks:
        raise InputError(
            "map", f"{len(keys)} blocks of {BLOCK * options.voxel_m} m", f"at most {options.max_blocks}: a larger voxel"
        )
    volume.grow(keys)


def touched_blocks(view: View, voxel_m: float) -> NDArray[np.int64]:
    """Packed coordinates of the blocks within a truncation of the view's surface, sorted."""
    keys = _touched(view.depth_m, view.truncation_m, _K(view), view.T_world_cam, voxel_m * BLOCK, voxel_m / 2)
    return np.unique(keys)


def update(volume: Volume, view: View) -> None:
    """Fuse a view into the blocks that exist: distances within the truncation, and free space in front of it."""
    T_cam_world = np.linalg.inv(view.T_world_cam)
    seen = _in_view(volume.coordinates, T_cam_world, _K(view), view.depth_m.shape, volume.voxel_m, view.depth_m.max())
    _update(
        seen, volume.coordinates, volume.distance, volume.weight,
        view.depth_m, view.weight, view.truncation_m, _K(view), T_cam_world, volume.voxel_m,
    )  # fmt: skip


def _K(view: View) -> NDArray[np.float64]:
    return np.array(view.camera.numbers, np.float64)


@numba.njit(cache=True, nogil=True)
def _touched(depth: Any, truncation: Any, K: Any, T: Any, block_m: float, half_voxel: float) -> Any:
    """Walk +-(truncation + half a voxel) along every third ray in half-block steps."""
    h, w = depth.shape
    keys = np.empty(0, np.int64)
    room = 0
    for run in range(2):  # first count, then write
        n = 0
        for v in range(0, h, 3):
            for u in range(0, w, 3):
                d = depth[v, u]
                if d <= 0:
                    continue
                x, y = (u - K[2]) / K[0], (v - K[3]) / K[1]
                reach = (truncation[v, u] + half_voxel * 2) / np.sqrt(1 + x * x + y * y)
                steps = int(np.ceil(2 * reach / (0.5 * block_m))) + 1
                if run == 1:
                    for k in range(steps):
                        z = d - reach + 2 * reach * k / (steps - 1)
                        key = np.int64(0)
                        for a in range(3):
                            p = T[a, 0] * x * z + T[a, 1] * y * z + T[a, 2] * z + T[a, 3]
                            key = (key << _BITS) | (np.int64(np.floor((p + half_voxel) / block_m)) + _BIAS)
                        keys[n + k] = key
                n += steps
        if run == 0:
            room = n
            keys = np.empty(room, np.int64)
    return keys


@numba.njit(cache=True, nogil=True)
def _in_view(coordinates: Any, T: Any, K: Any, shape: Any, voxel: float, depth_max: float) -> Any:
    """Slots of the blocks whose bounding sphere may meet the view."""
    h, w = shape
    size = voxel * BLOCK
    radius = size * 0.8661
    out = np.empty(len(coordinates), np.int64)
    n = 0
    for i in range(len(coordinates)):
        cx = (coordinates[i, 0] + 0.5) * size - 0.5 * voxel
        cy = (coordinates[i, 1] + 0.5) * size - 0.5 * voxel
        cz = (coordinates[i, 2] + 0.5) * size - 0.5 * voxel
        z = T[2, 0] * cx + T[2, 1] * cy + T[2, 2] * cz + T[2, 3]
        if z < -radius or z > depth_max + 0.3 + radius:
            continue
        x = T[0, 0] * cx + T[0, 1] * cy + T[0, 2] * cz + T[0, 3]
        y = T[1, 0] * cx + T[1, 1] * cy + T[1, 2] * cz + T[1, 3]
        near = max(z - radius, 1e-3)
        reach_u, reach_v = K[0] * radius / near, K[1] * radius / near
        u, v = K[0] * x / max(z, near) + K[2], K[1] * y / max(z, near) + K[3]
        if z > radius * 2 and (
            u < -reach_u * 1.5 or v < -reach_v * 1.5 or u > w + reach_u * 1.5 or v > h + reach_v * 1.5
        ):
            continue
        out[n] = i
        n += 1
    return out[:n]


@numba.njit(cache=True, nogil=True)
def _depth_at(depth: Any, x: float, y: float, u: int, v: int) -> float:
    """Inverse depth is affine in the pixel on a plane, so it is interpolated; by edges and holes the nearest counts."""
    nearest = depth[v, u]
    i, j = int(np.floor(x)), int(np.floor(y))
    if nearest <= 0 or i < 0 or j < 0 or i + 1 >= depth.shape[1] or j + 1 >= depth.shape[0]:
        return 0.0
    a, b, c, d = depth[j, i], depth[j, i + 1], depth[j + 1, i], depth[j + 1, i + 1]
    low, high = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
    if low <= 0 or high > 1.05 * low:
        return nearest
    p, q = x - i, y - j
    return 1.0 / ((1 - q) * ((1 - p) / a + p / b) + q * ((1 - p) / c + p / d))


@numba.njit(cache=True, nogil=True)
def _update(
    seen: Any, coordinates: Any, distance: Any, weight: Any, depth: Any, pixel_weight: Any, truncation: Any, K: Any,
    T: Any, voxel: float,
) -> None:  # fmt: skip
    h, w = depth.shape
    for s in seen:
        for k in range(_VOXELS):
            px = (coordinates[s, 0] * BLOCK + k // (BLOCK * BLOCK)) * voxel
            py = (coordinates[s, 1] * BLOCK + (k // BLOCK) % BLOCK) * voxel
            pz = (coordinates[s, 2] * BLOCK + k % BLOCK) * voxel
            z = T[2, 0] * px + T[2, 1] * py + T[2, 2] * pz + T[2, 3]
            if z < 0.05:
                continue
            x = (T[0, 0] * px + T[0, 1] * py + T[0, 2] * pz + T[0, 3]) / z
            y = (T[1, 0] * px + T[1, 1] * py + T[1, 2] * pz + T[1, 3]) / z
            u, v = int(np.floor(K[0] * x + K[2] + 0.5)), int(np.floor(K[1] * y + K[3] + 0.5))
            if u < 0 or v < 0 or u >= w or v >= h:
                continue
            d = _depth_at(depth, K[0] * x + K[2], K[1] * y + K[3], u, v)
            if d <= 0:
                continue
            signed = (d - z) * np.sqrt(1 + x * x + y * y)
            cut = truncation[v, u]
            if signed < -cut:
                continue
            new = pixel_weight[v, u]
            total = weight[s, k] + new
            distance[s, k] += (min(signed, cut) - distance[s, k]) * new / total
            weight[s, k] = total
