"""From what the user names as data to samples that a depth method can be measured on, and their fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from scenewright.data.items import Reader, View
from scenewright.data.readers import KINDS, open_reader, reader_fingerprint, recognise
from scenewright.data.sequences import layout_name, open_sequence
from scenewright.depth.data import disparity_order, reader_samples, room_samples, sample_of, sequence_samples
from scenewright.depth.worlds_data import Lens, focal_samples, ordinal_samples, pair_samples
from scenewright.errors import InputError
from scenewright.files import sha256
from scenewright.worlds.dataset import RoomFrames
from scenewright.worlds.shards import Views
from scenewright.worlds.stereo import PairFrames

ORDER_PAIRS, ORDER_SEED = 2000, 0
MOST_TRAINING_MAPS = 2000
FOCUS_SIZE, FOCUS_LENS = (96, 72), Lens(10, 0.8, 8.0, 0.1)
"""Of the focal stacks that are made from rooms for measuring."""


@dataclass(frozen=True)
class _World:
    """Rendered worlds as a source: who reads the shards, and the samples made of them."""

    frames: Callable[[str, str], Views]
    samples: Callable[[Any], Iterator[Any]]


WORLDS: dict[str, _World] = {
    "rooms": _World(RoomFrames, room_samples),
    "stereo-rooms": _World(PairFrames, pair_samples),
    "roads": _World(PairFrames, pair_samples),
    "ordinal-rooms": _World(RoomFrames, ordinal_samples),
    "focal-rooms": _World(RoomFrames, lambda frames: focal_samples(frames, FOCUS_SIZE, FOCUS_LENS)),
}
"""Sources WORLD:FOLDER[:SPLIT], by the names that stages of training use."""


def samples_of(source: str, every: int, kind: str = "depth", options: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Every n-th item of a source, batches of one.

    Args:
        source: `WORLD:FOLDER[:SPLIT]` with a key of `WORLDS`; a data set, by path, KIND:PATH or reader:PATH; or a
            sequence with depth.
        kind: "ordinal" makes pairs of points of a truth that is a disparity.
        options: of the data set's reader.
    """
    world = world_of(source)
    if world is not None:
        return islice(world.samples(_frames(world, source)), 0, None, every)
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
    world = world_of(source)
    if world is not None:
        return _frames(world, source).fingerprint(every)
    reader = reader_of(source, options)
    return open_sequence(source, every=every).fingerprint() if reader is None else reader_fingerprint(reader, every)


def check_apart(source: str, other: str, options: Mapping[str, Any] | None = None) -> None:
    """Refuse two sources that hold one file, or are one rendered split: what chooses must not be what is measured on.

    Args:
        source, other: as in `samples_of`; `options` are those of the first.

    Raises:
        InputError: they share something.
    """
    readers = reader_of(source, options), reader_of(other)
    if None in readers:
        first, second = {source_fingerprint(source, 1, options)}, {source_fingerprint(other, 1)}
    else:
        first, second = (_contents(reader) for reader in readers if reader is not None)
    if shared := len(first & second):
        raise InputError(other, f"{shared} files that {source} holds, too", "pictures that are not measured on")


def _contents(reader: Reader[Any]) -> set[str]:
    paths = {path for index in range(len(reader)) for path in reader.files(index)}
    return {sha256(path) for path in paths if path.is_file()}  # an absent one is refused when it is read


def training_maps(source: str | Path) -> Iterator[Any]:
    """Depth maps (H, W) of a world's training split, or of any source; about 2000 at most, evenly spaced."""
    name = str(source)
    world = world_of(name)
    if world is not None:
        return _maps(_frames(world, name, "train"))
    reader = reader_of(source)
    if reader is not None:
        return (depth_m for depth_m in _maps(reader) if depth_m is not None)
    if layout_name(Path(source)) is not None:
        return (frame.depth_m for frame in open_sequence(source) if frame.depth_m is not None)
    return _maps(RoomFrames(source, "train"))


def _maps(items: Any) -> Iterator[Any]:
    return (items[i].depth_m for i in range(0, len(items), max(1, len(items) // MOST_TRAINING_MAPS)))


def world_of(source: str) -> _World | None:
    """The world whose name a source begins with; None where it begins with none."""
    name, colon, _ = source.partition(":")
    return WORLDS.get(name) if colon else None


def _frames(world: _World, source: str, default: str = "test") -> Views:
    folder, _, split = source.partition(":")[2].partition(":")
    return world.frames(folder, split or default)
