"""Rooms rendered beforehand: shards of coded views on disk, a writer that can be resumed, a random-access reader.

A shard is one file: 8 bytes of magic, 4 bytes of header length (little endian), a JSON header, then the coded pictures
one after the other. Colour is JPEG, depth a 16-bit PNG of millimetres, labels an 8-bit PNG; the header names where
each begins and ends, the camera, and the room a view comes from. Readers map the file, so nothing is held in memory.

    python -m scenewright.worlds.dataset OUT --rooms 1000 --split train
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright import __version__
from scenewright.data.fingerprint import fingerprint
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes
from scenewright.worlds.library import Library
from scenewright.worlds.render import FAST, Quality, Renderer
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.sensor import sample_sensor
from scenewright.worlds.walks import sample_view

MAGIC = b"SWROOMS1"
SUFFIX = ".rooms"
TRAINING = replace(FAST, reflections=True)
"""What training pictures may cost: about a tenth of a second."""
_MAX_HEADER = 16 << 20
_MAX_DEPTH_MM = 65535


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
    blobs: list[bytes] = []
    frames: list[dict[str, Any]] = []
    for seed in seeds:
        _render_room(int(seed), split, views_per_room, size, library, quality, blobs, frames)
    header = {"version": 1, "split": split, "width": size[0], "height": size[1], "frames": frames}
    coded = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    write_bytes(path, b"".join([MAGIC, struct.pack("<I", len(coded)), coded, *blobs]))
    return len(frames)


def _render_room(
    seed: int, split: str, views: int, size: tuple[int, int], library: Library | None, quality: Quality,
    blobs: list[bytes], frames: list[dict[str, Any]],
) -> None:  # fmt: skip
    """Append the coded views of one room."""
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
        parts = [
            _coded(".jpg", shot.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92]),
            _coded(".png", _millimetres(shot.depth_m), [cv2.IMWRITE_PNG_COMPRESSION, 3]),
            _coded(".png", shot.labels, [cv2.IMWRITE_PNG_COMPRESSION, 3]),
        ]
        blobs.extend(parts)
        numbers = [round(float(x), 4) for x in view.camera.numbers]
        frames.append(
            {"seed": seed, "kind": room.kind, "mode": view.mode, "camera": numbers, "bytes": [len(p) for p in parts]}
        )


def _millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.clip(np.rint(depth_m * 1000.0), 0, _MAX_DEPTH_MM).astype(np.uint16)


def _coded(suffix: str, image: NDArray[Any], options: Sequence[int]) -> bytes:
    return bytes(cv2.imencode(suffix, image, options)[1])


class _Shard:
    """One shard, mapped; `frames` are its header's entries with where their pictures lie."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            start = file.read(12)
            if len(start) < 12 or start[:8] != MAGIC:
                raise FormatError(
                    path, f"it begins with {start[:8]!r}", f"a shard of rooms, which begins with {MAGIC!r}"
                )
            length = struct.unpack("<I", start[8:])[0]
            if length > _MAX_HEADER:
                raise FormatError(path, f"a header of {length} bytes", f"at most {_MAX_HEADER}")
            header = _parsed(path, file.read(length))
        self.split, self.frames = header["split"], header["frames"]
        self.size = [header["width"], header["height"]]
        lengths = np.array([f["bytes"] for f in self.frames], np.int64).reshape(-1, 3)
        ends = 12 + length + np.cumsum(lengths.ravel())
        self.ends = ends.reshape(-1, 3)
        self.starts = self.ends - lengths
        size = path.stat().st_size
        if len(ends) and int(ends[-1]) != size:
            raise FormatError(path, f"{size} bytes", f"{int(ends[-1])} as its header says: the file is torn")
        self.data = np.memmap(path, np.uint8, "r")

    def picture(self, row: int, which: int, mode: int) -> NDArray[Any]:
        """Decode picture `which` (0 colour, 1 depth, 2 labels) of a frame."""
        image = cv2.imdecode(self.data[self.starts[row, which] : self.ends[row, which]], mode)
        if image is None:
            raise FormatError(f"{self.path} frame {row}", "a damaged picture", "JPEG or PNG bytes")
        return np.asarray(image)


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    """The header, checked."""
    try:
        header: dict[str, Any] = json.loads(text)
        ok = header["version"] == 1 and header["split"] in SPLITS
        ok = ok and all(isinstance(header[side], int) for side in ("width", "height"))
        ok = ok and all(
            len(f["camera"]) == 4 and len(f["bytes"]) == 3 and min(f["bytes"]) > 0 and isinstance(f["seed"], int)
            for f in header["frames"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(path, f"a header that cannot be read ({error})", "the JSON header of a shard") from None
    if not ok:
        raise FormatError(path, "a header with wrong values", "version 1 of a shard of rooms")
    return header


class RoomFrames:
    """Random access to all views of one split in a folder of shards; needs no torch, decodes on access.

    Args:
        folder: holds `*.rooms` files.
        split: which of them to use.

    Raises:
        InputError: no shard of this split.
        FormatError: a shard that is damaged.
    """

    def __init__(self, folder: str | Path, split: str = "train") -> None:
        paths = sorted(Path(folder).glob(f"*{SUFFIX}"))
        self._shards = [s for s in map(_Shard, paths) if s.split == split]
        self._first = np.cumsum([0] + [len(s.frames) for s in self._shards])
        if self._first[-1] == 0:
            raise InputError("folder", f"no views of split {split!r} in {folder}", "shards that render_shard wrote")

    def __len__(self) -> int:
        return int(self._first[-1])

    def locate(self, index: int) -> tuple[int, int]:
        """Which shard, and which row of it, holds a view."""
        if not 0 <= index < len(self):
            raise IndexError(f"view {index} of {len(self)}")
        shard = int(np.searchsorted(self._first, index, "right")) - 1
        return shard, index - int(self._first[shard])

    def __getitem__(self, index: int) -> RoomFrame:
        number, row = self.locate(index)
        shard = self._shards[number]
        entry = shard.frames[row]
        image = np.ascontiguousarray(shard.picture(row, 0, cv2.IMREAD_COLOR)[..., ::-1])
        depth = shard.picture(row, 1, cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000.0
        labels = shard.picture(row, 2, cv2.IMREAD_UNCHANGED)
        fx, fy, cx, cy = entry["camera"]
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)
        return RoomFrame(image, depth, labels, K, entry["seed"], entry["kind"])

    def fingerprint(self, every: int = 1) -> str:
        """SHA-256 of what each `every`-th view is rendered from: generator's version, split, seeds, cameras and size.

        Not of the pictures: other machines' floating point rounds some of their pixels otherwise.
        """
        views = [[s.split, f["seed"], f["kind"], f["camera"], s.size] for s in self._shards for f in s.frames]
        return fingerprint([__version__, *views[::every]])

    def seeds(self) -> list[int]:
        """The room of every view, for splitting by room."""
        return [f["seed"] for s in self._shards for f in s.frames]


def shard_path(folder: str | Path, split: str, first_seed: int) -> Path:
    """Name of the shard whose first room has this seed."""
    return Path(folder) / f"{split}-{first_seed:08d}{SUFFIX}"


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
