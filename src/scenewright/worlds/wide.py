"""Two views of one room from places well apart: different exposure, exact depth of both and the pose between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.posed_pairs import PosedPair
from scenewright.errors import FormatError, InputError
from scenewright.geometry.covisible import seen_share
from scenewright.worlds.dataset import TRAINING
from scenewright.worlds.library import Library
from scenewright.worlds.model import Rendered
from scenewright.worlds.render import Quality, Renderer
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.sensor import sample_sensor
from scenewright.worlds.shards import Channel, CodedView, Views, code_view, intrinsics, write_shard
from scenewright.worlds.walks import MAX_HEIGHT_M, MIN_HEIGHT_M, View, in_free_space, look_at, sample_view

Doubles = NDArray[np.float64]
SUFFIX = ".wide"
BASELINES_M = (0.3, 1.5)
TURNS_DEG = (5.0, 35.0)
"""Smallest and largest angle between the attitudes of both views."""
LEAST_SHARED = 0.3
"""Share of either view's pixels whose surfaces the other one sees."""
SAME_DEPTH = 0.02
"""Relative difference of depth up to which two views see the same surface."""
WIDE_PAIR = (
    Channel("colour", "colour"), Channel("second", "colour"), Channel("depth", "depth"),
    Channel("second_depth", "depth"),
)  # fmt: skip
_FIRST_VIEWS, _SECOND_VIEWS = 8, 24


@dataclass(frozen=True)
class WideFrame(PosedPair):
    """Two views of a synthetic room, each with an exposure, colours and noise of its own; depth in steps of 1 mm.

    Args:
        seed, kind: of the room. The rest as in `PosedPair`.
    """

    seed: int
    kind: str


class WideFrames(Views):
    """Random access to all wide pairs of one split in a folder of shards; see `shards.Views`."""

    suffix = SUFFIX

    def __getitem__(self, index: int) -> WideFrame:
        shard, row = self.locate(index)
        entry = shard.frames[row]
        image, second, depth, second_depth = (shard.picture(row, c.name) for c in WIDE_PAIR)
        T = _pose_of(f"{shard.path} frame {row}", entry.get("T_second_first"))
        return WideFrame(image, second, depth, second_depth, intrinsics(entry), T, entry["seed"], entry["kind"])


def _pose_of(where: str, value: Any) -> Doubles:
    """(4, 4) of the header's three rows of four numbers."""
    T = np.eye(4)
    try:
        T[:3] = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise FormatError(where, f"the pose {value!r:.60}", "three rows of four numbers") from None
    if not np.isfinite(T).all() or not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-5):
        raise FormatError(where, "a pose that is not rigid", "a rotation and a translation")
    return T


def turn_deg(T: Doubles) -> float:
    """The angle of a rigid transform's rotation, degrees."""
    return math.degrees(math.acos(float(np.clip((np.trace(T[:3, :3]) - 1) / 2, -1, 1))))


def sample_wide_pair(renderer: Renderer, generator: np.random.Generator, size: tuple[int, int]) -> tuple[View, Doubles]:
    """A view of a room, and T_world_second of another that sees much of the same from elsewhere.

    The step lies within `BASELINES_M`, the turn within `TURNS_DEG`, and either view sees `LEAST_SHARED` of the other.

    Raises:
        InputError: no such pair was found.
    """
    for _ in range(_FIRST_VIEWS):
        view = sample_view(renderer, generator, size)
        depth = renderer.truth(view.camera, view.T_world_cam).depth_m
        for _ in range(_SECOND_VIEWS):
            T_world_second = _elsewhere(renderer, view, depth, generator)
            if _usable(renderer, view, depth, T_world_second):
                return view, T_world_second
    raise InputError(f"room {renderer.room.seed}", "no two views that share enough", "free space to step aside in")


def _elsewhere(renderer: Renderer, view: View, depth_m: NDArray[np.float32], g: np.random.Generator) -> Doubles:
    """A pose some way off, mostly to the side, that looks at about the same thing."""
    T, (h, w) = view.T_world_cam, view.camera.size
    x, y = int(g.uniform(0.2, 0.8) * w), int(g.uniform(0.2, 0.8) * h)
    fx, fy, cx, cy = view.camera.numbers
    pivot = T[:3, :3] @ (np.array([(x - cx) / fx, (y - cy) / fy, 1.0]) * float(depth_m[y, x])) + T[:3, 3]
    step = g.normal(0, 1, 3) * [1.0, 0.35, 0.6]
    eye = T[:3, 3] + T[:3, :3] @ (step * (g.uniform(*BASELINES_M) / np.linalg.norm(step)))
    eye[2] = np.clip(eye[2], MIN_HEIGHT_M, min(MAX_HEIGHT_M, renderer.room.extent[2] - 0.2))
    return look_at(eye, pivot + g.normal(0, 0.2, 3), math.radians(float(g.normal(0, 4))))


def _usable(renderer: Renderer, view: View, depth_m: NDArray[np.float32], T_world_second: Doubles) -> bool:
    T = np.linalg.inv(T_world_second) @ view.T_world_cam
    step = float(np.linalg.norm(T_world_second[:3, 3] - view.T_world_cam[:3, 3]))
    if not (BASELINES_M[0] <= step <= BASELINES_M[1] and TURNS_DEG[0] <= turn_deg(T) <= TURNS_DEG[1]):
        return False
    if not in_free_space(renderer, T_world_second[:3, 3]):
        return False
    other = renderer.truth(view.camera, T_world_second).depth_m
    if (other[other > 0] < 0.3).mean() > 0.02:  # something stands at the lens
        return False
    return min(shared(depth_m, other, np.asarray(view.camera.K), T)) >= LEAST_SHARED


def shared(
    depth_m: NDArray[np.float32], second_depth_m: NDArray[np.float32], K: NDArray[np.floating], T_second_first: Doubles
) -> tuple[float, float]:
    """Shares of the first view's and of the second view's pixels whose surfaces the other one sees."""
    back = np.asarray(np.linalg.inv(T_second_first), np.float64)
    return (
        seen_share(depth_m, second_depth_m, K, T_second_first, SAME_DEPTH),
        seen_share(second_depth_m, depth_m, K, back, SAME_DEPTH),
    )


def render_wide_pair(
    renderer: Renderer, view: View, T_world_second: Doubles, generator: np.random.Generator, quality: Quality = TRAINING
) -> tuple[Rendered, Rendered]:
    """Both views, each by a sensor of its own."""
    first, second = (
        renderer.render(
            view.camera, T, seed=int(generator.integers(1 << 30)),
            sensor=sample_sensor(generator, view.camera.width), quality=quality,
        )
        for T in (view.T_world_cam, T_world_second)
    )  # fmt: skip
    return first, second


def render_wide_rooms(
    path: str | Path, seeds: Iterable[int], split: str, views: int = 8, size: tuple[int, int] = (240, 180),
    library: Library | None = None, quality: Quality = TRAINING,
) -> int:  # fmt: skip
    """Render `views` pairs of each room into one shard; as `dataset.render_shard`."""
    if min(size) < 1 or views < 1:
        raise InputError("pairs", f"size {size}, {views} views", "positive numbers")
    coded = [v for seed in seeds for v in _pairs(int(seed), split, views, size, library, quality)]
    return write_shard(path, split, size, coded, WIDE_PAIR)


def _pairs(
    seed: int, split: str, views: int, size: tuple[int, int], library: Library | None, quality: Quality
) -> Iterator[CodedView]:
    room = build_room(seed, split, library=library)
    renderer = Renderer(room)
    rng = np.random.default_rng([seed, SPLITS.index(split), 44])
    for _ in range(views):
        try:
            view, T_world_second = sample_wide_pair(renderer, rng, size)
        except InputError:
            return
        first, second = render_wide_pair(renderer, view, T_world_second, rng, quality)
        pictures: dict[str, NDArray[Any]] = {
            "colour": first.image, "second": second.image, "depth": first.depth_m, "second_depth": second.depth_m,
        }  # fmt: skip
        T = (np.linalg.inv(T_world_second) @ view.T_world_cam)[:3].tolist()
        numbers = [round(float(x), 4) for x in view.camera.numbers]
        entry = {"seed": seed, "kind": room.kind, "mode": view.mode, "camera": numbers, "T_second_first": T}
        yield code_view(WIDE_PAIR, pictures, entry)
