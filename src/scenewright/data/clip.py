"""The clip layout: color/NNN.jpg, depth/NNN.png (millimetres), poses.txt, intrinsics.txt. Only color/ is required."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.layout import NOMINAL_RATE_HZ, Entry, Layout, images_in, read_intrinsics
from scenewright.data.tables import Table, number, read_rows
from scenewright.data.trajectory import poses_from_table
from scenewright.errors import FormatError


def is_clip(folder: Path) -> bool:
    """Whether a folder follows the clip layout."""
    return (folder / "color").is_dir()


def read_clip(folder: Path) -> Layout:
    """Read a clip's lists; images stay on disk.

    Nothing says when a frame was taken: times are frame number / 30 Hz, the number being the image's name where that is
    one, else its position.

    Raises:
        FormatError: no image, a damaged list, or a name that is listed twice.
    """
    images = images_in(folder / "color")
    if not images:
        raise FormatError(folder / "color", "no image", "JPEG, PNG, TIFF or WebP files")
    poses = _read_poses(folder / "poses.txt") if (folder / "poses.txt").exists() else {}
    intrinsics = folder / "intrinsics.txt"
    camera = read_intrinsics(intrinsics) if intrinsics.exists() else None
    times = _times(images)
    entries = (
        Entry(time, image, _depth_of(folder, image), poses.get(image.stem)) for time, image in zip(times, images)
    )
    return Layout(tuple(entries), camera, camera_file=str(intrinsics), timed=False)


def _times(images: list[Path]) -> list[float]:
    numbers = [int(image.stem) if image.stem.isdecimal() and len(image.stem) < 16 else -1 for image in images]
    increasing = min(numbers) >= 0 and all(a < b for a, b in pairwise(numbers))
    return [n / NOMINAL_RATE_HZ for n in (numbers if increasing else range(len(images)))]


def _depth_of(folder: Path, image: Path) -> Path | None:
    depth = folder / "depth" / f"{image.stem}.png"
    return depth if depth.exists() else None


def _read_poses(path: Path) -> dict[str, NDArray[np.float64]]:
    names: dict[str, int] = {}
    values = []
    for where, tokens in read_rows(path, 8):
        if tokens[0] in names:
            raise FormatError(where, f"frame {tokens[0]!r} again", "every frame once")
        names[tokens[0]] = int(where.rsplit(" ", 1)[1])
        values.append([number(token, where) for token in tokens[1:]])
    table = Table(path, np.array(values, np.float64).reshape(-1, 7), np.array(list(names.values()), np.int64))
    return dict(zip(names, poses_from_table(table, translation=0)))
