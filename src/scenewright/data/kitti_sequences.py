"""KITTI's films as sequences: an odometry sequence (image_2, calib.txt, times.txt, poses), and a clip with laser depth.

Odometry (Geiger et al., CVPR 2012): `sequences/07/` with P0..P3 in calib.txt; `poses/07.txt` beside `sequences` holds
twelve numbers per frame, the pose of the left grey camera. The clip: image_02/N.jpg, depth_velodyne/N.png (metres =
value / 256), and calib.txt with the one line `width height fx fy cx cy`; 10 Hz.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_header
from scenewright.data.kitti_calibration import camera_of, matrix_of, read_calibration
from scenewright.data.layout import Entry, Layout, images_in, read_intrinsics
from scenewright.data.tables import read_table
from scenewright.errors import FormatError

UNIT_M = 1 / 256
RATE_HZ = 10.0


def is_kitti_odometry(folder: Path) -> bool:
    """Whether a folder is one odometry sequence."""
    return (folder / "image_2").is_dir() and (folder / "times.txt").is_file() and (folder / "calib.txt").is_file()


def read_kitti_odometry(folder: Path) -> Layout:
    """Read one sequence of the left colour camera; images stay on disk.

    Raises:
        FormatError: no image, damaged lists, or lists of other lengths than the images.
    """
    images = images_in(folder / "image_2")
    if not images:
        raise FormatError(folder / "image_2", "no image", "PNG files")
    times = read_table(folder / "times.txt", 1).values[:, 0]
    calibration = folder / "calib.txt"
    values = read_calibration(calibration)
    P = matrix_of(values, "P2", (3, 4), calibration)
    width, height = read_header(images[0]).upright_size
    camera = camera_of(P, width, height, calibration)
    truth = folder.parent.parent / "poses" / f"{folder.name}.txt"
    poses = _read_poses(truth, P) if truth.is_file() else None
    for what, count in ((folder / "times.txt", len(times)), (truth, len(images) if poses is None else len(poses))):
        if count != len(images):
            raise FormatError(what, f"{count} lines", f"{len(images)}, one per image")
    if (np.diff(times) <= 0).any():
        raise FormatError(folder / "times.txt", "a time that is not after the one before", "increasing times")
    entries = (
        Entry(float(time), image, None, None if poses is None else poses[i])
        for i, (time, image) in enumerate(zip(times, images))
    )
    return Layout(tuple(entries), camera, camera_file=str(calibration))


def _read_poses(path: Path, P: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """(4, 4) camera-to-world of the camera behind P; the file's are of camera 0, from which it stands t aside."""
    rows = read_table(path, 12).values.reshape(-1, 3, 4)
    R = rows[:, :, :3]
    if len(R) and np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max() > 1e-3:
        raise FormatError(path, "a matrix that is no rotation", "rigid transforms, 12 numbers a line")
    T_cam_cam0 = np.eye(4)
    T_cam_cam0[:3, 3] = np.linalg.solve(P[:, :3], P[:, 3])
    bottom = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (len(rows), 1, 4))
    return list(np.concatenate([rows, bottom], 1) @ np.linalg.inv(T_cam_cam0))


def is_kitti_clip(folder: Path) -> bool:
    """Whether a folder is a clip with laser depth."""
    return (folder / "image_02").is_dir() and (folder / "depth_velodyne").is_dir()


def read_kitti_clip(folder: Path) -> Layout:
    """Read a clip's lists; images stay on disk.

    Raises:
        FormatError: no image, or damaged intrinsics.
    """
    images = images_in(folder / "image_02")
    if not images:
        raise FormatError(folder / "image_02", "no image", "JPEG or PNG files")
    calibration = folder / "calib.txt"
    camera = read_intrinsics(calibration) if calibration.is_file() else None
    depths = (folder / "depth_velodyne" / f"{image.stem}.png" for image in images)
    entries = tuple(
        Entry(i / RATE_HZ, image, depth if depth.is_file() else None)
        for i, (image, depth) in enumerate(zip(images, depths))
    )
    return Layout(entries, camera, camera_file=str(calibration), unit_m=UNIT_M)
