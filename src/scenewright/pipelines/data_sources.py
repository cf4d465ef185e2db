"""From what the user names as data to samples that a depth method can be measured on, and their fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from scenewright.data.items import Reader, View
from scenewright.data.readers import KINDS, open_reader, reader_fingerprint, recognise
from scenewright.data.sequences import layout_name, open_sequence
from scenewright.depth.data import disparity_order, reader_samples, room_samples, sample_of, sequence_samples
from scenewright.worlds.dataset import RoomFrames

ORDER_PAIRS, ORDER_SEED = 2000, 0
MOST_TRAINING_MAPS = 2000


def samples_of(source: str, every: int, kind: str = "depth", options: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Every n-th item of a source, batches of one.

    Args:
        source: `rooms:FOLDER[:SPLIT]`; a data set, by path, KIND:PATH or reader:PATH; or a sequence with depth.
        kind: "ordinal" makes pairs of points of a truth that is a disparity.
        options: of the data set's reader.
    """
    if source.startswith("rooms:"):
        return islice(room_samples(_rooms(source)), 0, None, every)
    reader = reader_of(source, options)
    if reader is None:
        return sequence_samples(source, every)
    return _pairs(reader, every) if kind == "ordinal" else reader_samples(reader, every)


def _pairs(reader: Reader[Any], every: int) -> Iterator[Any]:
    for index in range(0, len(reader), every):
        item = reader[index]
        yield sample_of(disparity_order(item, ORDER_PAIRS, ORDER_SEED) if isinstance(item, View) else item)


def reader_of(source: str | Path, options: Mapping[str, Any] | None = None) -> Reader[Any] | None:
    """The reader of a source that is a data set; None where it can only be a sequence."""
    prefix, colon, _ = str(source).partition(":")
    named = bool(colon) and (prefix in KINDS or prefix == "reader")
    path = Path(source)
    if not named and (not path.exists() or layout_name(path) is not None or recognise(path) is None):
        return None
    return open_reader(source, **(options or {}))[1]


def source_fingerprint(source: str, every: int, options: Mapping[str, Any] | None = None) -> str:
    """SHA-256 of what `samples_of` is made of."""
    if source.startswith("rooms:"):
        return _rooms(source).fingerprint(every)
    reader = reader_of(source, options)
    return open_sequence(source, every=every).fingerprint() if reader is None else reader_fingerprint(reader, every)


def training_maps(source: str | Path) -> Iterator[Any]:
    """Depth maps (H, W) of a folder of rooms' training split, or of any source; about 2000 at most, evenly spaced."""
    name = str(source)
    reader = None if name.startswith("rooms:") else reader_of(source)
    if reader is not None:
        step = max(1, len(reader) // MOST_TRAINING_MAPS)
        maps = (reader[i].depth_m for i in range(0, len(reader), step))
        return (depth_m for depth_m in maps if depth_m is not None)
    if not name.startswith("rooms:") and layout_name(Path(source)) is not None:
        return (frame.depth_m for frame in open_sequence(source) if frame.depth_m is not None)
    frames = _rooms(name, "train") if name.startswith("rooms:") else RoomFrames(source, "train")
    return (frames[i].depth_m for i in range(0, len(frames), max(1, len(frames) // MOST_TRAINING_MAPS)))


def _rooms(source: str, default: str = "test") -> RoomFrames:
    folder, _, split = source[6:].partition(":")
    return RoomFrames(folder, split or default)
