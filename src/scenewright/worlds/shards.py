"""Views rendered beforehand, on disk: a shard holds some views, each with the same named pictures.

A shard is one file: 8 bytes of magic, 4 bytes of header length (little endian), a JSON header, then the coded pictures
one after the other. Colour is JPEG, depth a 16-bit PNG of even steps, labels an 8-bit PNG; the header names the
pictures (its first version: colour, depth and labels of a room), where each begins and ends, the camera, and the world
that a view comes from. Readers map the file, so nothing is held in memory.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright import __version__
from scenewright.data.fingerprint import fingerprint
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes
from scenewright.worlds.rooms import SPLITS

MAGIC = b"SWROOMS1"
_MAX_HEADER = 16 << 20
_KINDS = ("colour", "depth", "labels")


@dataclass(frozen=True)
class Channel:
    """One of the pictures that every view of a shard has.

    Args:
        name: unique in the shard.
        kind: "colour" (H, W, 3) uint8 sRGB, "depth" (H, W) float32 metres with 0 = unknown, "labels" (H, W) uint8.
        step_m: metres between two neighbouring values of a depth; what lies beyond 65535 steps is unknown.
    """

    name: str
    kind: str
    step_m: float = 0.001


ROOM_CHANNELS = (Channel("colour", "colour"), Channel("depth", "depth"), Channel("labels", "labels"))
"""What a room's view holds, and a header of the first version means."""


def encode(channel: Channel, picture: NDArray[Any]) -> bytes:
    """The bytes of one picture."""
    if channel.kind == "colour":
        return _coded(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if channel.kind == "depth":
        picture = in_steps(picture, channel.step_m)
    return _coded(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def in_steps(depth_m: NDArray[np.floating], step_m: float) -> NDArray[np.uint16]:
    """Depth in whole steps, 0 where it is unknown or too far for 16 bits."""
    steps = np.rint(depth_m / step_m)
    return np.where((steps > 0) & (steps <= 65535), steps, 0).astype(np.uint16)


def _coded(suffix: str, image: NDArray[Any], options: Sequence[int]) -> bytes:
    return bytes(cv2.imencode(suffix, image, options)[1])


@dataclass(frozen=True)
class CodedView:
    """What the header says of a view (seed, kind, mode, camera, ...), and its coded pictures in the channels' order."""

    entry: dict[str, Any]
    parts: list[bytes]


def code_view(channels: Sequence[Channel], pictures: Mapping[str, NDArray[Any]], entry: dict[str, Any]) -> CodedView:
    """A view ready to be written."""
    parts = [encode(channel, pictures[channel.name]) for channel in channels]
    return CodedView(entry | {"bytes": [len(p) for p in parts]}, parts)


def write_shard(
    path: str | Path, split: str, size: tuple[int, int], views: Sequence[CodedView],
    channels: Sequence[Channel] = ROOM_CHANNELS,
) -> int:  # fmt: skip
    """Write views into one shard in one step; returns how many. Rooms keep the first version of the header.

    Args:
        size: width and height in pixels.
    """
    frames = [view.entry for view in views]
    header: dict[str, Any] = {"version": 1, "split": split, "width": size[0], "height": size[1], "frames": frames}
    if tuple(channels) != ROOM_CHANNELS:
        header |= {"version": 2, "channels": [[c.name, c.kind, c.step_m] for c in channels]}
    coded = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    parts = [part for view in views for part in view.parts]
    write_bytes(path, b"".join([MAGIC, struct.pack("<I", len(coded)), coded, *parts]))
    return len(frames)


class Shard:
    """One shard, mapped; `frames` are its header's entries.

    Raises:
        FormatError: no shard, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            start = file.read(12)
            if len(start) < 12 or start[:8] != MAGIC:
                raise FormatError(
                    path, f"it begins with {start[:8]!r}", f"a shard of views, which begins with {MAGIC!r}"
                )
            length = struct.unpack("<I", start[8:])[0]
            if length > _MAX_HEADER:
                raise FormatError(path, f"a header of {length} bytes", f"at most {_MAX_HEADER}")
            header, self.channels = _parsed(path, file.read(length))
        self.split, self.frames = header["split"], header["frames"]
        self.size = [header["width"], header["height"]]
        self._column = {channel.name: i for i, channel in enumerate(self.channels)}
        lengths = np.array([f["bytes"] for f in self.frames], np.int64).reshape(-1, len(self.channels))
        ends = 12 + length + np.cumsum(lengths.ravel())
        self._ends = ends.reshape(lengths.shape)
        self._starts = self._ends - lengths
        size = path.stat().st_size
        if len(ends) and int(ends[-1]) != size:
            raise FormatError(path, f"{size} bytes", f"{int(ends[-1])} as its header says: the file is torn")
        self._data = np.memmap(path, np.uint8, "r")

    def has(self, name: str) -> bool:
        """Whether its views have a picture of that name."""
        return name in self._column

    def picture(self, row: int, name: str) -> NDArray[Any]:
        """A picture of a view, as its channel says.

        Raises:
            InputError: no such picture.
            FormatError: damaged bytes.
        """
        if name not in self._column:
            raise InputError(self.path, f"pictures {', '.join(self._column)}", f"one named {name!r}")
        which = self._column[name]
        channel = self.channels[which]
        mode = cv2.IMREAD_COLOR if channel.kind == "colour" else cv2.IMREAD_UNCHANGED
        image = cv2.imdecode(self._data[self._starts[row, which] : self._ends[row, which]], mode)
        wanted = {"colour": (3, np.uint8), "depth": (2, np.uint16), "labels": (2, np.uint8)}[channel.kind]
        if image is None or (image.ndim, image.dtype) != wanted or list(image.shape[1::-1]) != self.size:
            raise FormatError(f"{self.path} frame {row}", "a damaged picture", "JPEG or PNG bytes")
        if channel.kind == "colour":
            return np.ascontiguousarray(image[..., ::-1])
        return image.astype(np.float32) * np.float32(channel.step_m) if channel.kind == "depth" else np.asarray(image)


def _parsed(path: Path, text: bytes) -> tuple[dict[str, Any], tuple[Channel, ...]]:
    """The header and its channels, checked."""
    try:
        header: dict[str, Any] = json.loads(text)
        channels = ROOM_CHANNELS if header["version"] == 1 else tuple(Channel(*row) for row in header["channels"])
        ok = header["version"] in (1, 2) and header["split"] in SPLITS and _usable(channels)
        ok = ok and all(isinstance(header[side], int) for side in ("width", "height"))
        ok = ok and all(_complete(frame, len(channels)) for frame in header["frames"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(path, f"a header that cannot be read ({error})", "the JSON header of a shard") from None
    if not ok:
        raise FormatError(path, "a header with wrong values", "version 1 or 2 of a shard of views")
    return header, channels


def _usable(channels: Sequence[Channel]) -> bool:
    names = {c.name for c in channels}
    return 0 < len(channels) == len(names) and all(c.kind in _KINDS and 0 < c.step_m < 1 for c in channels)


def _complete(frame: Mapping[str, Any], pictures: int) -> bool:
    return (
        len(frame["camera"]) == 4 and len(frame["bytes"]) == pictures and min(frame["bytes"]) > 0
        and isinstance(frame["seed"], int) and float(frame.get("baseline_m", 1.0)) > 0
    )  # fmt: skip


class Views:
    """Random access to all views of one split in a folder of shards; needs no torch, decodes on access.

    Args:
        folder: holds shards whose names end in `suffix`.
        split: which of them to use.

    Raises:
        InputError: no shard of this split.
        FormatError: a shard that is damaged.
    """

    suffix: str

    def __init__(self, folder: str | Path, split: str = "train") -> None:
        paths = sorted(Path(folder).glob(f"*{self.suffix}"))
        self._shards = [s for s in map(Shard, paths) if s.split == split]
        self._first = np.cumsum([0] + [len(s.frames) for s in self._shards])
        if self._first[-1] == 0:
            raise InputError(
                "folder", f"no views of split {split!r} in {folder}", f"shards {split}-*{self.suffix} that "
                "`scenewright worlds generate` wrote",
            )  # fmt: skip

    def __len__(self) -> int:
        return int(self._first[-1])

    def locate(self, index: int) -> tuple[Shard, int]:
        """The shard that holds a view, and its row there."""
        if not 0 <= index < len(self):
            raise IndexError(f"view {index} of {len(self)}")
        shard = int(np.searchsorted(self._first, index, "right")) - 1
        return self._shards[shard], index - int(self._first[shard])

    def fingerprint(self, every: int = 1) -> str:
        """SHA-256 of what each `every`-th view is rendered from: generator's version, split, seeds, cameras and size.

        Not of the pictures: other machines' floating point rounds some of their pixels otherwise.
        """
        views = [[s.split, f["seed"], f["kind"], f["camera"], s.size] for s in self._shards for f in s.frames]
        return fingerprint([__version__, *views[::every]])

    def seeds(self) -> list[int]:
        """The world of every view, for splitting by world."""
        return [f["seed"] for s in self._shards for f in s.frames]


def intrinsics(entry: Mapping[str, Any]) -> NDArray[np.float32]:
    """(3, 3) K in pixels of a view's entry."""
    fx, fy, cx, cy = entry["camera"]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)


def shard_path(folder: str | Path, split: str, first_seed: int, suffix: str) -> Path:
    """Name of the shard whose first world has this seed."""
    return Path(folder) / f"{split}-{first_seed:08d}{suffix}"
