"""What a path holds, as far as the readers know it: the format, counts, sizes, units, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenewright.data.images import read_depth_png
from scenewright.data.items import HomographyPair, OrdinalView, PatchPair, View
from scenewright.data.pfm import read_pfm
from scenewright.data.readers import KINDS, open_reader
from scenewright.data.sequences import layout_name, open_sequence
from scenewright.data.video import is_video
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds.dataset import RoomFrames

MOST_PROBLEMS = 20
NEAREST_M, FARTHEST_M = 0.05, 200.0
"""A median depth outside of this is most likely in another unit than the format says."""
SPLITS = ("train", "validation", "test")


@dataclass
class Finding:
    """What was found.

    Args:
        kind: the format, in words.
        unit: of the truth.
        items: how many, counted.
        read: how many of them were read to find out the rest, evenly spaced.
        sizes: pictures read by "WIDTHxHEIGHT".
        with_truth, with_camera, with_right: of the items read.
        known_percent: share of pixels whose depth (or disparity) is known, mean over items with truth.
        range: smallest, median and largest truth by unit: "m", and "px" where only a disparity is known.
        notes: what is worth knowing and not wrong.
        problems: one line each; the first twenty, and how many more.
    """

    kind: str
    unit: str
    items: int
    read: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    with_truth: int = 0
    with_camera: int = 0
    with_right: int = 0
    known_percent: float | None = None
    range: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    """A source behind one door: how many items, and how each is read as an `Item`."""

    kind: str
    unit: str
    count: int
    read: Callable[[int], Any]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_data(source: str | Path, limit: int = 100) -> Finding:
    """Recognise a path and read up to `limit` of its items, evenly spaced.

    Raises:
        FormatError: nothing there, nothing that is known, or lists too damaged to count the items.
        InputError: a limit below 1.
    """
    if limit < 1:
        raise InputError("limit", limit, "1 or more")
    opened = _open(source)
    chosen = np.unique(np.linspace(0, opened.count - 1, min(limit, opened.count)).astype(int)).tolist()
    finding = Finding(opened.kind, opened.unit, opened.count, notes=list(opened.notes), problems=list(opened.problems))
    _fill(finding, opened.read, chosen)
    return finding


def _open(source: str | Path) -> _Opened:
    path = Path(source)
    kind = next((n for n in KINDS if str(source).startswith(f"{n}:")), None)
    if kind is None and not path.exists():
        raise FormatError(path, "nothing", "a data set, a sequence, or a depth map")
    single = _single(path) if kind is None and path.is_file() else None
    if single is not None:
        return single
    if kind is not None or (layout_name(path) is None and any(k.recognises(path) for k in KINDS.values())):
        name, reader = open_reader(source)
        left = int(getattr(reader, "unpaired", 0))
        problems = (f"{left} files without their partner",) if left else ()
        return _Opened(KINDS[name].title, reader.unit, len(reader), reader.__getitem__, problems)
    return _rooms(path) or _sequence(path)


def _single(path: Path) -> _Opened | None:
    if path.suffix.lower() == ".pfm":
        return _Opened(
            "a PFM", "as its set says; disparity in pixels for Middlebury", 1, lambda _: _map(read_pfm(path))
        )
    if path.suffix.lower() == ".png" and path.with_suffix(".json").is_file():
        return _Opened(
            "a 16-bit PNG depth map", "metres, by the JSON beside it", 1, lambda _: _map(read_depth_png(path), True)
        )
    return None


def _map(values: Any, metres: bool = False) -> View:
    blank = np.zeros((*values.shape[:2], 3), np.uint8)
    known = values if values.ndim == 2 else values[..., 0]
    return View("map", blank, None, known if metres else None, None, None, None if metres else known)


def _rooms(path: Path) -> _Opened | None:
    found: list[tuple[str, RoomFrames]] = []
    for split in SPLITS if path.is_dir() else ():
        try:
            found.append((split, RoomFrames(path, split)))
        except InputError as error:
            if isinstance(error, FormatError):
                raise
    if not found:
        return None
    views = [(frames, i) for _, frames in found for i in range(len(frames))]
    title = ", ".join(f"{len(frames)} views of {len(set(frames.seeds()))} rooms for {split}" for split, frames in found)

    def read(index: int) -> View:
        frames, number = views[index]
        frame = frames[number]
        height, width = frame.depth_m.shape
        return View(str(index), frame.image, Camera(width, height, torch.from_numpy(frame.K)), frame.depth_m)

    return _Opened(f"rendered rooms: {title}", "millimetres, z-depth", len(views), read)


def _sequence(path: Path) -> _Opened:
    sequence = open_sequence(path)
    name = layout_name(path)
    if name is None:
        name = "a video" if path.is_file() and is_video(path) else "photographs"
    source = sequence.intrinsics_source
    known = source in ("file", "exif")
    notes = () if known else (f"no intrinsics; a focal length of {sequence.camera.numbers[0]:.0f} px is guessed",)
    frames = iter(sequence) if name == "a video" else None  # a video is read forwards: only its first frames

    def read(index: int) -> View:
        frame = next(sequence.frames_from(index) if frames is None else frames)
        return View(str(frame.index), frame.image, sequence.camera if known else None, frame.depth_m)

    return _Opened(name, "metres, z-depth" if name != "a video" else "none", len(sequence), read, (), notes)


def _fill(finding: Finding, read: Callable[[int], Any], chosen: list[int]) -> None:
    sizes: Counter[str] = Counter()
    known: list[float] = []
    values: dict[str, list[np.ndarray]] = {}
    problems = finding.problems
    for index, item in _items(read, chosen, problems):
        finding.read += 1
        height, width = item.image.shape[:2]
        sizes[f"{width}x{height}"] += 1
        if isinstance(item, OrdinalView | PatchPair | HomographyPair):
            finding.with_truth += 1
            continue
        finding.with_camera += item.camera is not None
        finding.with_right += getattr(item, "right", None) is not None
        truth = item.depth_m if item.depth_m is not None else getattr(item, "disp_px", None)
        if truth is None:
            continue
        finding.with_truth += 1
        some = truth[truth > 0]
        known.append(some.size / truth.size)
        if not some.size:
            problems.append(f"item {index}: truth without any known pixel")
            continue
        spread = np.percentile(some, (0, 50, 100))
        values.setdefault("px" if item.depth_m is None else "m", []).append(spread)
        if item.depth_m is not None and not NEAREST_M <= spread[1] <= FARTHEST_M:
            problems.append(f"item {index}: median depth {spread[1]:.3g} m; is the unit right?")
    finding.sizes = dict(sizes.most_common())
    if known:
        finding.known_percent = round(100 * float(np.mean(known)), 2)
    for unit, found in values.items():
        low, middle, high = np.array(found).T
        finding.range[unit] = (float(low.min()), float(np.median(middle)), float(high.max()))
    if len(problems) > MOST_PROBLEMS:
        problems[MOST_PROBLEMS:] = [f"and {len(problems) - MOST_PROBLEMS} more"]


def _items(read: Callable[[int], Any], chosen: list[int], problems: list[str]) -> Iterator[tuple[int, Any]]:
    for index in chosen:
        try:
            yield index, read(index)
        except FormatError as error:
            problems.append(f"item {index}: {error}")
