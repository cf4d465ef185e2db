"""What a folder of frames says about itself; every format's reader fills this record and knows nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import MILLIMETRE
from scenewright.data.safe import MAX_SIDE
from scenewright.data.tables import read_table
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
NOMINAL_RATE_HZ = 30.0


@dataclass(frozen=True)
class Entry:
    """One frame, not yet read.

    Args:
        time_s: timestamp in seconds.
        image: the photograph's file.
        depth: the depth map's file, or None.
        T_world_cam: (4, 4) float64, or None.
    """

    time_s: float
    image: Path
    depth: Path | None = None
    T_world_cam: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class DepthRig:
    """A depth camera beside the colour camera.

    Args:
        camera: of the depth maps, undistorted.
        T_cam_depth: (4, 4) float64, maps its points into the colour camera.
    """

    camera: Camera
    T_cam_depth: NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """A folder of frames.

    Args:
        entries: in time order; at least one.
        camera: of the images as stored (upright), with their distortion; None where the folder says nothing.
        camera_source: "file", "exif" or "guess": where `camera` comes from.
        camera_file: what a contradiction of sizes is blamed on.
        unit_m: metres per unit of the depth maps.
        invalid: depth values that mean "no measurement".
        depth_rig: where the depth maps come from, if they are not aligned to the images yet.
        timed: False where times are the frames' numbers at the nominal rate, because the folder knows no better.
    """

    entries: tuple[Entry, ...]
    camera: Camera | None = None
    camera_source: str = "file"
    camera_file: str = ""
    unit_m: float = MILLIMETRE
    invalid: tuple[int, ...] = (0,)
    depth_rig: DepthRig | None = None
    timed: bool = True


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which frame9 comes before frame10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(0, int(p), "") if p.isdecimal() and len(p) < 19 else (1, 0, p) for p in parts]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; hidden files and previews of depth maps are not frames."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith("."))
    return sorted((f for f in files if not f.name.endswith(".preview.png")), key=natural_key)


def read_intrinsics(path: str | Path) -> Camera:
    """Read an intrinsics file: one line `width height fx fy cx cy`, in pixels, pixel centres at integers.

    Raises:
        FormatError: not exactly one such line, or numbers that are no camera.
    """
    table = read_table(path, 6, max_rows=1)
    if len(table.values) != 1:
        raise FormatError(path, "no line", "one line: width height fx fy cx cy")
    width, height, fx, fy, cx, cy = (float(x) for x in table.values[0])
    if not (width.is_integer() and height.is_integer() and 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise FormatError(table.where(0), f"a size of {width:g}x{height:g}", "whole numbers of pixels")
    try:
        return Camera.from_parameters(int(width), int(height), fx, fy, cx, cy)
    except InputError as error:
        raise FormatError(table.where(0), error.found, error.expected) from error
