"""The TUM RGB-D benchmark's layout (Sturm et al., IROS 2012): rgb.txt, depth.txt, groundtruth.txt, associate.txt.

Depth maps hold 5000 units per metre; poses are camera-to-world with x, y, z, w quaternions.
"""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from pathlib import Path

import torch

from scenewright.data.layout import Entry, Layout
from scenewright.data.safe import inside, read_text
from scenewright.data.tables import number, read_rows
from scenewright.data.trajectory import read_trajectory
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

UNIT_M = 1 / 5000
ASSOCIATION_S = 0.02
# "Intrinsic camera calibration" of the benchmark's file-format page; freiburg3 was published undistorted.
_CALIBRATION: dict[str, tuple[tuple[float, float, float, float], tuple[float, ...] | None]] = {
    "1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "3": ((535.4, 539.2, 320.1, 247.6), None),
}
_ROS_DEFAULT = (525.0, 525.0, 319.5, 239.5)
_log = logging.getLogger(__name__)
Listed = list[tuple[float, Path]]


def is_tum(folder: Path) -> bool:
    """Whether a folder follows the TUM layout."""
    return (folder / "rgb.txt").exists() or (folder / "associate.txt").exists()


def read_tum(folder: Path) -> Layout:
    """Read the lists of a TUM folder; frames that are listed but absent are left out, and counted in the log.

    The pose of a frame is interpolated between ground-truth poses at most 0.02 s away.

    Raises:
        FormatError: a damaged list, a name that leaves the folder, or no listed image that exists.
    """
    listed = _pairs(folder)
    entries = [(time, image, depth) for time, image, depth in listed if image.is_file()]
    if not entries:
        raise FormatError(folder, f"none of the {len(listed)} listed images", "the images that rgb.txt names")
    if len(entries) < len(listed):
        _log.warning("%s: %d of %d listed images are absent", folder, len(listed) - len(entries), len(listed))
    truth = folder / "groundtruth.txt"
    trajectory = read_trajectory(truth) if truth.exists() else None
    made = tuple(
        Entry(time, image, depth, None if trajectory is None else trajectory.at(time, ASSOCIATION_S))
        for time, image, depth in entries
    )
    camera, source = _camera(folder)
    return Layout(made, camera, source, f"the calibration of {folder.name}", UNIT_M)


def _pairs(folder: Path) -> list[tuple[float, Path, Path | None]]:
    """(time, image, depth) of every listed frame: from associate.txt, else by nearest times."""
    if (folder / "associate.txt").exists():
        pairs: list[tuple[float, Path, Path | None]] = []
        for where, (time, image, depth_time, depth) in read_rows(folder / "associate.txt", 4):
            number(depth_time, where)
            depth_path = inside(folder, depth, where)
            pairs.append((number(time, where), inside(folder, image, where), depth_path))
        _check_times(folder / "associate.txt", [time for time, _, _ in pairs])
        return [(time, image, depth if depth and depth.is_file() else None) for time, image, depth in pairs]
    images = _read_list(folder, "rgb.txt")
    depths = _read_list(folder, "depth.txt") if (folder / "depth.txt").exists() else []
    partner = associate([t for t, _ in images], [t for t, _ in depths], ASSOCIATION_S)
    return [(time, image, depths[partner[i]][1] if i in partner else None) for i, (time, image) in enumerate(images)]


def _read_list(folder: Path, name: str) -> Listed:
    """The (time, file) rows of a list whose file is there, and of absent images, so that they can be counted."""
    rows = [(number(t, where), inside(folder, file, where)) for where, (t, file) in read_rows(folder / name, 2)]
    _check_times(folder / name, [time for time, _ in rows])
    return [row for row in rows if name == "rgb.txt" or row[1].is_file()]


def _check_times(path: Path, times: list[float]) -> None:
    for before, after in pairwise(times):
        if after <= before:
            raise FormatError(path, f"time {after} after {before}", "strictly increasing times")


def associate(first: list[float], second: list[float], tolerance: float) -> dict[int, int]:
    """Match two increasing lists of times, best pairs first, each time used once.

    Returns:
        index in `first` -> index in `second`, for pairs less than or exactly `tolerance` seconds apart.
    """
    close, start = [], 0
    for i, time in enumerate(first):
        while start < len(second) and second[start] < time - tolerance:
            start += 1
        j = start
        while j < len(second) and second[j] <= time + tolerance:
            close.append((abs(second[j] - time), i, j))
            j += 1
    matched: dict[int, int] = {}
    used: set[int] = set()
    for _, i, j in sorted(close):
        if i not in matched and j not in used:
            matched[i] = j
            used.add(j)
    return matched


def _camera(folder: Path) -> tuple[Camera, str]:
    lists = [folder / name for name in ("rgb.txt", "depth.txt") if (folder / name).is_file()]
    names = [folder.name, *(line for f in lists for line in read_text(f).splitlines()[:5] if line.startswith("#"))]
    found = (re.search(r"(?:freiburg|(?:^|[^a-z])fr)([123])(?![0-9])", name) for name in names)
    series = next((match[1] for match in found if match), None)
    if series is None:
        return Camera.from_parameters(640, 480, *_ROS_DEFAULT), "guess"
    parameters, distortion = _CALIBRATION[series]
    camera = Camera.from_parameters(640, 480, *parameters)
    coefficients = None if distortion is None else torch.tensor(distortion)
    return Camera(640, 480, camera.K, coefficients), "file"
