"""Synthetic worlds for the eye and for training: contact sheets, and folders of rendered shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
from scenewright.labels import COLOURS
from scenewright.worlds.dataset import render_shard, shard_path
from scenewright.worlds.library import Library
from scenewright.worlds.model import Rendered
from scenewright.worlds.render import BEST, Renderer
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.walks import sample_view

Progress = Callable[[int, int, str], None]
Pixels = NDArray[np.uint8]
Job = tuple[Path, list[int], str, int, tuple[int, int], bool]
KINDS = ("rooms",)
ROOMS_PER_SHARD = 16
_CAPTION = 22


def check_kind(kind: str, split: str) -> None:
    """Refuse a kind of world or a split that does not exist.

    Raises:
        InputError: as said.
    """
    if kind not in KINDS:
        raise InputError("kind of world", repr(kind), f"one of {', '.join(KINDS)}")
    if split not in SPLITS:
        raise InputError("--split", repr(split), f"one of {', '.join(SPLITS)}")


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
    kind: str, out: str | Path, *, seed: int = 0, count: int = 4, split: str = "train", size: str = "240x180",
    library: bool = True, progress: Progress = lambda done, total, what: None,
) -> Path:  # fmt: skip
    """Write a contact sheet: one row per world with colour, depth, normals and labels of one view.

    Args:
        kind: "rooms".
        out: the picture; .png, .jpg or .webp.
        seed: of the first world; the rows are seed, seed + 1, ...
        count: rows.
        split: "train", "validation" or "test".
        size: WxH of one view.
        library: mix in the furniture models that are installed.

    Raises:
        InputError: an argument that cannot be used, or a world without a view worth seeing.
    """
    check_kind(kind, split)
    if not 1 <= count <= 64 or seed < 0:
        raise InputError("--count, --seed", f"{count}, {seed}", "1 to 64 rows and a seed from 0 on")
    shape = parse_size(size)
    if Path(out).suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError("--out", str(out), "a name that ends in .png, .jpg or .webp")
    rows = []
    for number in range(count):
        rows.append(_row(seed + number, split, shape, library))
        progress(number + 1, count, f"rendering {kind}")
    write_image(out, np.concatenate(rows))
    return Path(out)


def _row(seed: int, split: str, size: tuple[int, int], library: bool) -> Pixels:
    room = build_room(seed, split, library=_library() if library else None)
    renderer = Renderer(room)
    rng = np.random.default_rng([seed, SPLITS.index(split), 41])
    view = sample_view(renderer, rng, size)
    shot = renderer.render(view.camera, view.T_world_cam, seed=int(rng.integers(1 << 30)), quality=BEST)
    captions = (f"{room.kind} {seed} ({split})", _range(shot.depth_m), "normals", "labels")
    return np.concatenate([_tile(p, text) for p, text in zip(pictures(shot), captions)], 1)


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


def generate(
    kind: str, folder: str | Path, *, rooms: int, views: int = 4, split: str = "train", workers: int = 1,
    size: str = "240x180", library: bool = True, progress: Progress = lambda done, total, what: None,
) -> Path:  # fmt: skip
    """Render worlds into a folder of shards; what is there already is kept, so a stopped run goes on.

    Args:
        kind: "rooms".
        folder: of the shards; `generate-SPLIT.json` in it keeps what they were made with.
        rooms: how many, in all; a later call may ask for more.
        views: of each room.
        split: "train", "validation" or "test".
        workers: processes.
        size: WxH of one view.
        library: mix in the furniture models that are installed.

    Raises:
        InputError: an argument that cannot be used, or that differs from what the folder was begun with.
    """
    check_kind(kind, split)
    if not (rooms >= 1 and 1 <= views <= 1000 and 1 <= workers <= 256):
        raise InputError("--rooms, --views, --workers", f"{rooms}, {views}, {workers}", "numbers from 1 on")
    shape, folder = parse_size(size), Path(folder)
    options = {"kind": kind, "split": split, "views": views, "size": list(shape), "library": library}
    record = folder / f"generate-{split}.json"
    before = _rooms_before(record, options)
    if before is None:
        write_json(record, options | {"rooms": rooms})
    _render(_jobs(folder, rooms, before or rooms, split, views, shape, library), workers, progress)
    write_json(record, options | {"rooms": max(rooms, before or 0)})
    return folder


def _rooms_before(record: Path, options: dict[str, Any]) -> int | None:
    """How many rooms an earlier call asked for; None where there was none."""
    if not record.exists():
        return None
    try:
        found = json.loads(read_text(record, 1 << 16))
        rooms = int(found.pop("rooms"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(record, repr(error), "the record that `worlds generate` wrote") from None
    if found != options:
        raise InputError(record, found, f"{options}, or another folder")
    return rooms


def _jobs(
    folder: Path, rooms: int, before: int, split: str, views: int, size: tuple[int, int], library: bool
) -> list[Job]:
    """Shards that are missing, and the one that an earlier, smaller call could not fill."""
    jobs = []
    for first in range(0, rooms, ROOMS_PER_SHARD):
        path, end = shard_path(folder, split, first), min(first + ROOMS_PER_SHARD, rooms)
        short = first < before < end
        if short or not path.exists():
            jobs.append((path, list(range(first, end)), split, views, size, library))
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
    path, seeds, split, views, size, library = job
    return render_shard(path, seeds, split, views, size, _library() if library else None)


@cache
def _library() -> Library | None:
    return Library.installed()
