"""Synthetic worlds for the eye and for training: contact sheets, and folders of rendered shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import depth_preview, write_image
from scenewright.data.safe import read_text
from scenewright.errors import FormatError, InputError
from scenewright.files import write_json
from scenewright.geometry.covisible import agrees, pixels, transfer
from scenewright.labels import COLOURS
from scenewright.worlds import shards, stereo, wide
from scenewright.worlds.dataset import SUFFIX, render_shard
from scenewright.worlds.drive import Lidar, sample_drive, scan, sparse_depth
from scenewright.worlds.library import Library
from scenewright.worlds.model import Rendered
from scenewright.worlds.render import BEST, Renderer
from scenewright.worlds.road import build_road
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.walks import sample_view

Progress = Callable[[int, int, str], None]
Pixels = NDArray[np.uint8]
Job = tuple[str, Path, list[int], str, int, tuple[int, int], bool]
Row = Callable[[int, str, tuple[int, int], bool], Pixels]
WORLDS_PER_SHARD = 16
_CAPTION = 22


@dataclass(frozen=True)
class Kind:
    """A kind of world: who renders a shard of it, the shard's suffix, the usual size, who draws a row of a sheet."""

    render: Callable[..., int]
    suffix: str
    size: tuple[int, int]
    row: Row


def check_kind(kind: str, split: str) -> None:
    """Refuse a kind of world or a split that does not exist.

    Raises:
        InputError: as said.
    """
    if kind not in KINDS:
        raise InputError("kind of world", repr(kind), f"one of {', '.join(KINDS)}")
    if split not in SPLITS:
        raise InputError("--split", repr(split), f"one of {', '.join(SPLITS)}")


def _size(kind: str, text: str | None) -> tuple[int, int]:
    return KINDS[kind].size if text is None else parse_size(text)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "WxH".

    Raises:
        InputError: anything else, or a side outside 32 to 2048.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and len(p) < 6 and 32 <= int(p) <= 2048 for p in parts):
        raise InputError("--size", repr(text), "WIDTHxHEIGHT of 32 to 2048 pixels, such as 240x180")
    return int(parts[0]), int(parts[1])


def preview(
    kind: str, out: str | Path, *, seed: int = 0, count: int = 4, split: str = "train",
    size: str | None = None, library: bool = True, progress: Progress = lambda done, total, what: None,
) -> Path:  # fmt: skip
    """Write a contact sheet: one row per world with what is known of one view or pair.

    Args:
        kind: a key of `KINDS`.
        out: the picture; .png, .jpg or .webp.
        seed: of the first world; the rows are seed, seed + 1, ...
        count: rows.
        split: "train", "validation" or "test".
        size: WxH of one view; None = the kind's usual size.
        library: mix in the furniture models that are installed.

    Raises:
        InputError: an argument that cannot be used, or a world without a view worth seeing.
    """
    check_kind(kind, split)
    if not 1 <= count <= 64 or seed < 0:
        raise InputError("--count, --seed", f"{count}, {seed}", "1 to 64 rows and a seed from 0 on")
    shape = _size(kind, size)
    if Path(out).suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError("--out", str(out), "a name that ends in .png, .jpg or .webp")
    rows = []
    for number in range(count):
        rows.append(KINDS[kind].row(seed + number, split, shape, library))
        progress(number + 1, count, f"rendering {kind}")
    write_image(out, np.concatenate(rows))
    return Path(out)


def _room_row(seed: int, split: str, size: tuple[int, int], library: bool) -> Pixels:
    """Colour, depth, normals, labels."""
    room = build_room(seed, split, library=_library() if library else None)
    renderer = Renderer(room)
    rng = np.random.default_rng([seed, SPLITS.index(split), 41])
    view = sample_view(renderer, rng, size)
    shot = renderer.render(view.camera, view.T_world_cam, seed=int(rng.integers(1 << 30)), quality=BEST)
    captions = (f"{room.kind} {seed} ({split})", _range(shot.depth_m), "normals", "labels")
    return _strip(pictures(shot), captions)


def _room_pair_row(seed: int, split: str, size: tuple[int, int], library: bool) -> Pixels:
    """Left, right, depth, labels."""
    renderer = Renderer(build_room(seed, split, library=_library() if library else None))
    rng = np.random.default_rng([seed, SPLITS.index(split), 41])
    view, baseline = stereo.sample_room_pair(renderer, rng, size)
    left, right = stereo.render_pair(renderer, view.camera, view.T_world_cam, baseline)
    _, depth, _, labels = pictures(left)
    captions = (f"{renderer.room.kind} {seed} ({split})", f"{100 * baseline:.0f} cm to the right", _range(left.depth_m))
    return _strip((left.image, right.image, depth, labels), (*captions, "labels"))


def _wide_row(seed: int, split: str, size: tuple[int, int], library: bool) -> Pixels:
    """First, second, the first's depth, and the first with what the second does not see darkened."""
    renderer = Renderer(build_room(seed, split, library=_library() if library else None))
    rng = np.random.default_rng([seed, SPLITS.index(split), 41])
    view, T_world_second = wide.sample_wide_pair(renderer, rng, size)
    first, second = wide.render_wide_pair(renderer, view, T_world_second, rng, BEST)
    T, K = np.linalg.inv(T_world_second) @ view.T_world_cam, np.asarray(view.camera.K)
    there, z = transfer(pixels(view.camera.size), first.depth_m, K, K, T)
    seen = agrees(there, z, second.depth_m, wide.SAME_DEPTH).reshape(view.camera.size)
    apart = f"{100 * np.linalg.norm(T[:3, 3]):.0f} cm and {wide.turn_deg(T):.0f} degrees away"
    dimmed = np.where(seen[..., None], first.image, first.image // 4)
    captions = (
        f"{renderer.room.kind} {seed} ({split})",
        apart,
        _range(first.depth_m),
        f"{seen.mean():.0%} seen in both",
    )
    return _strip((first.image, second.image, depth_preview(first.depth_m), dimmed), captions)


def _road_row(seed: int, split: str, size: tuple[int, int], library: bool) -> Pixels:
    """Left, right, depth, lidar; streets use no furniture."""
    road = build_road(seed, split)
    renderer = Renderer(road.world)
    rng = np.random.default_rng([seed, SPLITS.index(split), 41])
    view = sample_drive(road, renderer, rng, size)
    baseline = stereo.ROAD_BASELINE_M
    left, right = stereo.render_pair(renderer, view.camera, view.T_world_cam, baseline)
    lidar = sparse_depth(scan(renderer, view.T_world_cam, Lidar(), rng), view.camera)
    near = np.minimum(left.depth_m, Lidar().reach_m)
    captions = (f"{road.world.kind} {seed} ({split})", f"{100 * baseline:.0f} cm to the right", _range(left.depth_m))
    return _strip((left.image, right.image, depth_preview(near), depth_preview(lidar)), (*captions, "lidar"))


def _strip(row: Sequence[Pixels], captions: Sequence[str]) -> Pixels:
    return np.concatenate([_tile(p, text) for p, text in zip(row, captions, strict=True)], 1)


def _range(depth_m: NDArray[np.float32]) -> str:
    known = depth_m[depth_m > 0]
    return f"depth {known.min():.1f} to {known.max():.1f} m" if known.size else "depth: none"


def pictures(shot: Rendered) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """Colour, depth (near red, far blue), normals (red right, green up, blue to the camera), labels; (H, W, 3)."""
    towards = shot.normal_cam * np.array([1.0, -1.0, -1.0], np.float32)  # y and z of the camera point down and away
    known = np.abs(shot.normal_cam).sum(-1, keepdims=True) > 0
    normals = np.where(known, np.clip(127.5 * (towards + 1), 0, 255), 0).astype(np.uint8)
    labels = np.array(COLOURS, np.uint8)[shot.labels]
    return shot.image, depth_preview(shot.depth_m), normals, labels


def _tile(picture: Pixels, caption: str) -> Pixels:
    tile = np.full((picture.shape[0] + _CAPTION, picture.shape[1], 3), 24, np.uint8)
    tile[_CAPTION:] = picture
    scale = min(0.42, 0.42 * picture.shape[1] / 200)
    cv2.putText(tile, caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, scale, (235, 235, 235), 1, cv2.LINE_AA)
    return tile


KINDS: dict[str, Kind] = {
    "rooms": Kind(render_shard, SUFFIX, (240, 180), _room_row),
    "stereo-rooms": Kind(stereo.render_room_pairs, stereo.SUFFIX, (192, 144), _room_pair_row),
    "wide-rooms": Kind(wide.render_wide_rooms, wide.SUFFIX, (240, 180), _wide_row),
    "roads": Kind(stereo.render_road_pairs, stereo.SUFFIX, (256, 96), _road_row),
}
"""Every kind of world that can be looked at and rendered for training."""


def generate(
    kind: str, folder: str | Path, *, count: int, views: int = 4, split: str = "train", workers: int = 1,
    size: str | None = None, library: bool = True, progress: Progress = lambda done, total, what: None,
) -> Path:  # fmt: skip
    """Render worlds into a folder of shards; what is there already is kept, so a stopped run goes on.

    Args:
        kind: a key of `KINDS`.
        folder: of the shards; `generate-SPLIT.json` in it keeps what they were made with.
        count: how many worlds, in all; a later call may ask for more.
        views: of each world.
        split: "train", "validation" or "test".
        workers: processes.
        size: WxH of one view; None = the kind's usual size.
        library: mix in the furniture models that are installed.

    Raises:
        InputError: an argument that cannot be used, or that differs from what the folder was begun with.
    """
    check_kind(kind, split)
    if not (count >= 1 and 1 <= views <= 1000 and 1 <= workers <= 256):
        raise InputError("--count, --views, --workers", f"{count}, {views}, {workers}", "numbers from 1 on")
    shape, folder = _size(kind, size), Path(folder)
    options = {"kind": kind, "split": split, "views": views, "size": list(shape), "library": library}
    record = folder / f"generate-{split}.json"
    before = _count_before(record, options)
    if before is None:
        write_json(record, options | {"count": count})
    _render(_jobs(kind, folder, (count, before or count), split, views, shape, library), workers, progress)
    write_json(record, options | {"count": max(count, before or 0)})
    return folder


def _count_before(record: Path, options: dict[str, Any]) -> int | None:
    """How many worlds an earlier call asked for; None where there was none."""
    if not record.exists():
        return None
    try:
        found = json.loads(read_text(record, 1 << 16))
        count = int(found.pop("count"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(record, repr(error), "the record that `worlds generate` wrote") from None
    if found != options:
        raise InputError(record, found, f"{options}, or another folder")
    return count


def _jobs(
    kind: str, folder: Path, counts: tuple[int, int], split: str, views: int, size: tuple[int, int], library: bool
) -> list[Job]:
    """Shards that are missing, and the one that an earlier, smaller call could not fill; counts = now, before."""
    jobs, (count, before) = [], counts
    for first in range(0, count, WORLDS_PER_SHARD):
        path, end = shards.shard_path(folder, split, first, KINDS[kind].suffix), min(first + WORLDS_PER_SHARD, count)
        short = first < before < end
        if short or not path.exists():
            jobs.append((kind, path, list(range(first, end)), split, views, size, library))
    return jobs


def _render(jobs: list[Job], workers: int, progress: Progress) -> None:
    if workers == 1 or len(jobs) < 2:
        for done, job in enumerate(jobs, 1):
            _work(job)
            progress(done, len(jobs), "rendering shards")
        return
    with ProcessPoolExecutor(min(workers, len(jobs))) as pool:
        for done, _ in enumerate(pool.map(_work, jobs), 1):
            progress(done, len(jobs), "rendering shards")


def _work(job: Job) -> int:
    kind, path, seeds, split, views, size, library = job
    return KINDS[kind].render(path, seeds, split, views, size, _library() if library else None)


@cache
def _library() -> Library | None:
    return Library.installed()
