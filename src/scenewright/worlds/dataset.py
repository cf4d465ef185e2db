"""Rooms rendered beforehand: a writer of shards that can be resumed, a random-access reader.

python -m scenewright.worlds.dataset OUT --rooms 1000 --split train
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.worlds import shards
from scenewright.worlds.library import Library
from scenewright.worlds.render import FAST, Quality, Renderer
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.sensor import sample_sensor
from scenewright.worlds.shards import ROOM_CHANNELS, CodedView, Views, code_view, intrinsics, write_shard
from scenewright.worlds.walks import sample_view

SUFFIX = ".rooms"
TRAINING = replace(FAST, reflections=True)
"""What training pictures may cost: about a tenth of a second."""
shard_path = partial(shards.shard_path, suffix=SUFFIX)


@dataclass(frozen=True)
class RoomFrame:
    """One view of a synthetic room.

    Args:
        image: (H, W, 3) uint8 sRGB.
        depth_m: (H, W) float32 z-depth, 0 where there is none; steps of 1 mm.
        labels: (H, W) uint8 class indices of `scenewright.labels.LABELS`.
        K: (3, 3) float32 intrinsics in pixels of this size.
        seed, kind: of the room.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    labels: NDArray[np.uint8]
    K: NDArray[np.float32]
    seed: int
    kind: str


def render_shard(
    path: str | Path,
    seeds: Iterable[int],
    split: str,
    views_per_room: int = 4,
    size: tuple[int, int] = (240, 180),
    library: Library | None = None,
    quality: Quality = TRAINING,
) -> int:
    """Render views of rooms into one shard, written in one step; returns how many views it holds.

    Rooms and views are pure functions of (seed, split). A room without a view worth seeing is left out.

    Args:
        path: the shard to write.
        seeds: of the rooms.
        split: "train", "validation" or "test".
        views_per_room: views of each room.
        size: width and height in pixels.
        library: furniture models to mix in, None for parametric furniture alone.
        quality: what a picture may cost.

    Raises:
        InputError: an unknown split, a size or a number of views below 1.
    """
    if min(size) < 1 or views_per_room < 1:
        raise InputError("render_shard", f"size {size}, {views_per_room} views", "positive numbers")
    coded = [v for seed in seeds for v in _render_room(int(seed), split, views_per_room, size, library, quality)]
    return write_shard(path, split, size, coded)


def _render_room(
    seed: int, split: str, views: int, size: tuple[int, int], library: Library | None, quality: Quality
) -> Iterator[CodedView]:
    """The coded views of one room."""
    room = build_room(seed, split, library=library)
    renderer = Renderer(room)
    rng = np.random.default_rng([seed, SPLITS.index(split), 40])
    for _ in range(views):
        try:
            view = sample_view(renderer, rng, size)
        except InputError:
            return
        sensor = sample_sensor(rng, size[0])
        shot = renderer.render(
            view.camera, view.T_world_cam, seed=int(rng.integers(1 << 30)), sensor=sensor, quality=quality
        )
        numbers = [round(float(x), 4) for x in view.camera.numbers]
        entry = {"seed": seed, "kind": room.kind, "mode": view.mode, "camera": numbers}
        yield code_view(ROOM_CHANNELS, {"colour": shot.image, "depth": shot.depth_m, "labels": shot.labels}, entry)


class RoomFrames(Views):
    """Random access to all views of rooms of one split in a folder of shards; see `Views`."""

    suffix = SUFFIX

    def __getitem__(self, index: int) -> RoomFrame:
        shard, row = self.locate(index)
        entry = shard.frames[row]
        image, depth, labels = (shard.picture(row, channel.name) for channel in ROOM_CHANNELS)
        return RoomFrame(image, depth, labels, intrinsics(entry), entry["seed"], entry["kind"])


@cache
def _library() -> Library | None:
    """The installed furniture, opened once in each process: its models are slow to read and quick to keep."""
    return Library.installed()


def _job(arguments: tuple[Path, list[int], str, int, tuple[int, int], bool]) -> int:
    path, seeds, split, views, size, use_library = arguments
    return render_shard(path, seeds, split, views, size, _library() if use_library else None)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m scenewright.worlds.dataset`: renders what is missing; safe to stop and resume."""
    parser = argparse.ArgumentParser(prog="python -m scenewright.worlds.dataset", description="Render synthetic rooms.")
    parser.add_argument("out", type=Path, help="folder of shards")
    parser.add_argument("--rooms", type=int, default=1000, help="how many rooms")
    parser.add_argument("--start", type=int, default=0, help="seed of the first room")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--views", type=int, default=4, help="views of each room")
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--height", type=int, default=180)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--shard", type=int, default=16, help="rooms in one file")
    parser.add_argument("--no-library", action="store_true", help="parametric furniture alone")
    a = parser.parse_args(argv)
    jobs = []
    for first in range(a.start, a.start + a.rooms, a.shard):
        seeds = list(range(first, min(first + a.shard, a.start + a.rooms)))
        path = shard_path(a.out, a.split, first)
        if not path.exists():
            jobs.append((path, seeds, a.split, a.views, (a.width, a.height), not a.no_library))
    _run(jobs, a.workers)
    return 0


def _run(jobs: list[tuple[Path, list[int], str, int, tuple[int, int], bool]], workers: int) -> None:
    """Render jobs in this process or in several, telling how far it is."""
    begun, frames = time.monotonic(), 0
    pool = ProcessPoolExecutor(workers) if workers > 1 else None
    results = map(_job, jobs) if pool is None else pool.map(_job, jobs)
    for done, count in enumerate(results, 1):
        frames += count
        spent = time.monotonic() - begun
        left = spent / done * (len(jobs) - done) / 60
        print(
            f"{done}/{len(jobs)} shards, {frames} views, {frames / spent:.1f} views/s, {left:.0f} min left", flush=True
        )
    if pool is not None:
        pool.shutdown()


if __name__ == "__main__":
    sys.exit(main())
