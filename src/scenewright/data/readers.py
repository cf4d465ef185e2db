"""One door to the data sets: a path is recognised by its content, or named as KIND:PATH, and opened as items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenewright.data.ddff import Ddff, is_ddff
from scenewright.data.diw import Diw, is_diw
from scenewright.data.fingerprint import file_row, fingerprint
from scenewright.data.homography_pairs import HomographyPairs, is_homographies
from scenewright.data.items import Reader
from scenewright.data.kitti import KittiDepth, KittiRaw, is_kitti_depth, is_kitti_raw
from scenewright.data.make3d import Make3d, is_make3d
from scenewright.data.nyu import NyuLabelled, is_nyu_labelled
from scenewright.data.nyu_pairs import NyuPairs, is_nyu_pairs
from scenewright.data.photo_tour import PhotoTour, is_photo_tour
from scenewright.data.rgbd_pairs import RgbdPairs
from scenewright.data.stereo import StereoPairs, is_stereo
from scenewright.errors import FormatError, InputError


@dataclass(frozen=True)
class Kind:
    """One format.

    Args:
        title: for people.
        recognises: whether a path is of it.
        open: makes the reader; keyword arguments are the format's own options.
    """

    title: str
    recognises: Callable[[Path], bool]
    open: Callable[..., Reader[Any]]


KINDS: dict[str, Kind] = {
    "nyu": Kind("NYU Depth v2, labelled", is_nyu_labelled, NyuLabelled),
    "ddff": Kind("DDFF 12-Scene focal stacks", is_ddff, Ddff),
    "diw": Kind("Depth in the Wild pairs", is_diw, Diw),
    "nyu-pairs": Kind("NYU Depth v2, pairs of points", is_nyu_pairs, NyuPairs),
    "make3d": Kind("Make3D", is_make3d, Make3d),
    "kitti-depth": Kind("KITTI depth, annotated", is_kitti_depth, KittiDepth),
    "kitti-raw": Kind("KITTI raw", is_kitti_raw, KittiRaw),
    "stereo": Kind("rectified stereo pairs", is_stereo, StereoPairs),
    "phototour": Kind("patches of Brown et al. (PhotoTour)", is_photo_tour, PhotoTour),
    "homographies": Kind("planes with homographies (HPatches, Oxford affine)", is_homographies, HomographyPairs),
    "rgbd-pairs": Kind("pairs of an RGB-D sequence with poses", lambda path: False, RgbdPairs),
}
"""By name, in the order in which they are tried; "rgbd-pairs" only by name, for a sequence is known as one."""


def recognise(path: Path) -> str | None:
    """The name of the first kind that a path is of; None of none."""
    return next((name for name, kind in KINDS.items() if kind.recognises(path)), None)


def open_reader(source: str | Path, **options: Any) -> tuple[str, Reader[Any]]:
    """Open a data set.

    Args:
        source: a path, KIND:PATH, or reader:PATH.
        options: those of the format's reader (`split`, `files` ...); None values are left out.

    Returns:
        The name of the kind, and the reader.

    Raises:
        FormatError: nothing there, nothing recognised, or a damaged file.
        InputError: an option that the format does not have.
    """
    prefix, colon, rest = str(source).partition(":")
    named = bool(colon) and (prefix in KINDS or prefix == "reader")
    path = Path(rest) if named else Path(source)
    if not path.exists():
        raise FormatError(path, "nothing", "a data set")
    name = prefix if named and prefix != "reader" else recognise(path)
    if name is None:
        raise FormatError(path, "no data set that is known", f"one of {', '.join(k.title for k in KINDS.values())}")
    given = {key: value for key, value in options.items() if value is not None}
    try:
        return name, KINDS[name].open(path, **given)
    except TypeError:
        raise InputError(f"{name} options", ", ".join(sorted(given)), f"options that {KINDS[name].title} has") from None


def reader_fingerprint(reader: Reader[Any], every: int = 1) -> str:
    """SHA-256 of the files behind every n-th item: their names, sizes and contents, each hashed once."""
    rows: dict[Path, list[Any] | None] = {}

    def row(path: Path) -> list[Any] | None:
        if path not in rows:
            rows[path] = file_row(path)
        return rows[path]

    return fingerprint([index, *(row(path) for path in reader.files(index))] for index in range(0, len(reader), every))
