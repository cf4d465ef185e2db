"""The 7-Scenes layout (Shotton et al., CVPR 2013): frame-XXXXXX.color.png, .depth.png, .pose.txt at 30 Hz.

Depth is in millimetres, 65535 = missing, and is NOT registered to colour; poses are camera-to-world 4x4 matrices of the
depth camera. The set publishes one focal length, 585 pixels, which is the depth camera's. The colour camera of the same
sensor has about 525 pixels and sits 25 mm beside it: on RedKitchen the edges of depth meet those of colour best at
524 pixels and 25 mm (mean gradient under the depth edges 82, against 50 without registration). The reader yields the
colour camera, its poses, and depth registered to it. The ground truth comes from depth fusion: differences of a few
centimetres are near its own noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.layout import NOMINAL_RATE_HZ, DepthRig, Entry, Layout, natural_key
from scenewright.data.tables import read_table
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

_INVALID = (0, 65535)
_DEPTH_FOCAL_PX, _COLOUR_FOCAL_PX, _BASELINE_M = 585.0, 525.0, 0.025
_T_COLOUR_DEPTH = np.eye(4)
_T_COLOUR_DEPTH[0, 3] = -_BASELINE_M


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
    camera, depth_camera = (
        Camera.from_parameters(640, 480, f, f, 320, 240) for f in (_COLOUR_FOCAL_PX, _DEPTH_FOCAL_PX)
    )
    depth = DepthRig(depth_camera, _T_COLOUR_DEPTH)
    return Layout(entries, camera, "file", "the calibration of 7-Scenes", invalid=_INVALID, depth_rig=depth)


def _entry(position: int, image: Path) -> Entry:
    stem = image.name.removesuffix(".color.png")
    digits = stem.removeprefix("frame-")
    time = (int(digits) if digits.isdecimal() and len(digits) < 16 else position) / NOMINAL_RATE_HZ
    depth, pose = (image.with_name(stem + suffix) for suffix in (".depth.png", ".pose.txt"))
    return Entry(
        time,
        image,
        depth if depth.exists() else None,
        read_matrix_pose(pose) @ np.linalg.inv(_T_COLOUR_DEPTH) if pose.exists() else None,
    )


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
