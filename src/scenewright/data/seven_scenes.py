"""The 7-Scenes layout (Shotton et al., CVPR 2013): frame-XXXXXX.color.png, .depth.png, .pose.txt at 30 Hz.

Depth is in millimetres, 65535 = missing. Poses are camera-to-world 4x4 matrices of the depth camera. The set publishes
no colour calibration and no registration of depth to colour; as is customary, one pinhole camera of 585 pixels stands
for both, which leaves misalignments of a few pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.layout import NOMINAL_RATE_HZ, Entry, Layout, natural_key
from scenewright.data.tables import read_table
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

_INVALID = (0, 65535)
_FOCAL_PX = 585.0


def is_seven_scenes(folder: Path) -> bool:
    """Whether a folder holds the frames of one 7-Scenes sequence."""
    return next(folder.glob("frame-*.color.png"), None) is not None


def read_seven_scenes(folder: Path) -> Layout:
    """Read the poses of one sequence (`seq-01` ...); images stay on disk.

    Raises:
        FormatError: a pose that is no rigid 4x4 matrix.
    """
    images = sorted(folder.glob("frame-*.color.png"), key=natural_key)
    entries = tuple(_entry(position, image) for position, image in enumerate(images))
    camera = Camera.from_parameters(640, 480, _FOCAL_PX, _FOCAL_PX, 320, 240)
    return Layout(entries, camera, "file", "the customary calibration of 7-Scenes", invalid=_INVALID)


def _entry(position: int, image: Path) -> Entry:
    stem = image.name.removesuffix(".color.png")
    digits = stem.removeprefix("frame-")
    time = (int(digits) if digits.isdecimal() and len(digits) < 16 else position) / NOMINAL_RATE_HZ
    depth, pose = (image.with_name(stem + suffix) for suffix in (".depth.png", ".pose.txt"))
    return Entry(time, image, depth if depth.exists() else None, read_matrix_pose(pose) if pose.exists() else None)


def read_matrix_pose(path: Path) -> NDArray[np.float64]:
    """Read a (4, 4) rigid transform, with its rotation projected onto the nearest one.

    Raises:
        FormatError: not four rows of four finite numbers, or farther than 1e-3 from a rigid transform.
    """
    matrix = read_table(path, 4, max_rows=4).values
    if matrix.shape != (4, 4):
        raise FormatError(path, f"{len(matrix)} rows", "4 rows of 4 numbers")
    U, _, Vt = np.linalg.svd(matrix[:3, :3])
    R = U @ Vt
    if np.abs(R - matrix[:3, :3]).max() > 1e-3 or np.linalg.det(R) < 0 or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise FormatError(path, "a matrix that is no rigid transform", "rotation, translation and 0 0 0 1")
    T_world_cam = np.eye(4)
    T_world_cam[:3, :3], T_world_cam[:3, 3] = R, matrix[:3, 3]
    return T_world_cam
