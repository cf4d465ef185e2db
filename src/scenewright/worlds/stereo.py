"""Rectified pairs in any world: two cameras side by side, exposed alike, with exact depth for both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds.dataset import TRAINING
from scenewright.worlds.drive import Lidar, sample_drive, scan, sparse_depth
from scenewright.worlds.library import Library
from scenewright.worlds.model import Rendered
from scenewright.worlds.render import BEST, Quality, Renderer
from scenewright.worlds.road import build_road
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.sensor import Sensor, auto_gain, develop, sample_sensor
from scenewright.worlds.shards import Channel, CodedView, Views, code_view, intrinsics, write_shard
from scenewright.worlds.walks import View, in_free_space, sample_view

SUFFIX = ".pairs"
ROAD_BASELINE_M = 0.54
"""Of KITTI's rig."""
ROOM_BASELINES_M = (0.10, 0.20)
"""A room's rig has one of these."""
_ROAD_STEP_M = 1 / 256
_LEFT_OUT_AFTER = 12


def _channels(step_m: float, *sparse: str) -> tuple[Channel, ...]:
    pictures = [Channel("colour", "colour"), Channel("right", "colour")]
    depths = [Channel(name, "depth", step_m) for name in ("depth", "right_depth")]
    return (*pictures, *depths, Channel("labels", "labels"), *(Channel(name, "depth", step_m) for name in sparse))


ROOM_PAIR = _channels(0.001)
ROAD_PAIR = _channels(_ROAD_STEP_M, "sparse", "right_sparse")


@dataclass(frozen=True)
class PairFrame:
    """A rectified pair of a synthetic world.

    Args:
        image, right: (H, W, 3) uint8 sRGB; the right camera stands `baseline_m` along +x of the left.
        depth_m, right_depth_m: (H, W) float32 z-depth of either view, 0 where there is none.
        labels: (H, W) uint8 class indices of the left view.
        sparse_m, right_sparse_m: (H, W) float32 depth by a lidar in either view, mostly 0; None without a lidar.
        K: (3, 3) float32 intrinsics of both, in pixels of this size.
        baseline_m, seed, kind: of the rig and of the world.
    """

    image: NDArray[np.uint8]
    right: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    right_depth_m: NDArray[np.float32]
    labels: NDArray[np.uint8]
    sparse_m: NDArray[np.float32] | None
    right_sparse_m: NDArray[np.float32] | None
    K: NDArray[np.float32]
    baseline_m: float
    seed: int
    kind: str


class PairFrames(Views):
    """Random access to all pairs of one split in a folder of shards; see `Views`."""

    suffix = SUFFIX

    def __getitem__(self, index: int) -> PairFrame:
        shard, row = self.locate(index)
        entry = shard.frames[row]
        image, right, depth, right_depth, labels = (shard.picture(row, c.name) for c in ROOM_PAIR)
        sparse, right_sparse = (shard.picture(row, n) if shard.has(n) else None for n in ("sparse", "right_sparse"))
        K, baseline = intrinsics(entry), float(entry["baseline_m"])
        return PairFrame(
            image, right, depth, right_depth, labels, sparse, right_sparse, K, baseline, entry["seed"], entry["kind"]
        )


def right_pose(T_world_left: NDArray[np.float64], baseline_m: float) -> NDArray[np.float64]:
    """(4, 4) T_world_right: the same attitude, `baseline_m` to the right."""
    T = T_world_left.copy()
    T[:3, 3] += baseline_m * T_world_left[:3, 0]
    return T


def render_pair(
    renderer: Renderer, camera: Camera, T_world_left: NDArray[np.float64], baseline_m: float, *, seed: int = 0,
    sensor: Sensor | None = None, quality: Quality = BEST,
) -> tuple[Rendered, Rendered]:  # fmt: skip
    """Left and right view of a rig. Both cameras have the left one's exposure, each its own noise.

    Args:
        baseline_m: metres, > 0. The rest as in `Renderer.render`.

    Raises:
        InputError: a baseline that is not positive, or what `Renderer.render` refuses.
    """
    if not 0 < baseline_m < np.inf:
        raise InputError("baseline", f"{baseline_m} m", "a positive length")
    poses = (T_world_left, right_pose(T_world_left, baseline_m))
    seen = [renderer.seen(camera, T, seed=seed, quality=quality) for T in poses]
    sensor = sensor or Sensor()
    fixed = sensor if sensor.gain is not None else replace(sensor, gain=auto_gain(seen[0][0]))
    left, right = (
        replace(truth, image=develop(light, fixed, seed=seed + side)) for side, (light, truth) in enumerate(seen)
    )
    return left, right


def _entry(seed: int, kind: str, view: View, baseline_m: float) -> dict[str, Any]:
    numbers = [round(float(x), 4) for x in view.camera.numbers]
    return {"seed": seed, "kind": kind, "mode": view.mode, "camera": numbers, "baseline_m": round(baseline_m, 4)}


def _pictures(left: Rendered, right: Rendered) -> dict[str, NDArray[Any]]:
    return {
        "colour": left.image, "right": right.image, "depth": left.depth_m, "right_depth": right.depth_m,
        "labels": left.labels,
    }  # fmt: skip


def sample_room_pair(renderer: Renderer, generator: np.random.Generator, size: tuple[int, int]) -> tuple[View, float]:
    """A view of a room in which a right camera fits beside the left, and the rig's baseline.

    Raises:
        InputError: no such view was found.
    """
    baseline = float(generator.uniform(*ROOM_BASELINES_M))
    for _ in range(_LEFT_OUT_AFTER):
        view = sample_view(renderer, generator, size)
        if in_free_space(renderer, right_pose(view.T_world_cam, baseline)[:3, 3], clearance=0.1):
            return view, baseline
    raise InputError(f"room {renderer.room.seed}", "no place for a rig", "free space beside the camera")


def render_room_pairs(
    path: str | Path, seeds: Iterable[int], split: str, views: int = 4, size: tuple[int, int] = (192, 144),
    library: Library | None = None, quality: Quality = TRAINING,
) -> int:  # fmt: skip
    """Render pairs of rooms into one shard; as `dataset.render_shard`."""
    _check(views, size)
    coded = [v for seed in seeds for v in _room_pairs(int(seed), split, views, size, library, quality)]
    return write_shard(path, split, size, coded, ROOM_PAIR)


def _check(views: int, size: tuple[int, int]) -> None:
    if min(size) < 1 or views < 1:
        raise InputError("pairs", f"size {size}, {views} views", "positive numbers")


def _room_pairs(
    seed: int, split: str, views: int, size: tuple[int, int], library: Library | None, quality: Quality
) -> Iterator[CodedView]:
    room = build_room(seed, split, library=library)
    renderer = Renderer(room)
    rng = np.random.default_rng([seed, SPLITS.index(split), 42])
    for _ in range(views):
        try:
            view, baseline = sample_room_pair(renderer, rng, size)
        except InputError:
            return
        sensor, number = sample_sensor(rng, size[0]), int(rng.integers(1 << 30))
        pair = render_pair(
            renderer, view.camera, view.T_world_cam, baseline, seed=number, sensor=sensor, quality=quality
        )
        yield code_view(ROOM_PAIR, _pictures(*pair), _entry(seed, room.kind, view, baseline))


def render_road_pairs(
    path: str | Path, seeds: Iterable[int], split: str, views: int = 8, size: tuple[int, int] = (256, 96),
    library: Library | None = None, quality: Quality = TRAINING,
) -> int:  # fmt: skip
    """Render pairs of streets, with lidar, into one shard; as `dataset.render_shard`. Streets use no furniture."""
    _check(views, size)
    coded = [v for seed in seeds for v in _road_pairs(int(seed), split, views, size, quality)]
    return write_shard(path, split, size, coded, ROAD_PAIR)


def _road_pairs(seed: int, split: str, views: int, size: tuple[int, int], quality: Quality) -> Iterator[CodedView]:
    road = build_road(seed, split)
    renderer = Renderer(road.world)
    rng = np.random.default_rng([seed, SPLITS.index(split), 43])
    for _ in range(views):
        try:
            view = sample_drive(road, renderer, rng, size)
        except InputError:
            return
        sensor, number = sample_sensor(rng, size[0]), int(rng.integers(1 << 30))
        pair = render_pair(
            renderer, view.camera, view.T_world_cam, ROAD_BASELINE_M, seed=number, sensor=sensor, quality=quality
        )
        points = scan(renderer, view.T_world_cam, Lidar(), rng)
        lidar = {
            "sparse": sparse_depth(points, view.camera),
            "right_sparse": sparse_depth(points, view.camera, ROAD_BASELINE_M),
        }
        yield code_view(ROAD_PAIR, _pictures(*pair) | lidar, _entry(seed, road.world.kind, view, ROAD_BASELINE_M))
