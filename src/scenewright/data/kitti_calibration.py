"""KITTI's calibration files and laser scans (Geiger et al., IJRR 2013), and the projection of one into the camera.

x = P_rect_0i R_rect_00 T_cam_velo X; the set's pixels count from 1 (its tools are MATLAB's), so 1 is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.safe import file_size, read_text
from scenewright.data.tables import number
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

Matrix = NDArray[np.float64]
MAX_SCAN_BYTES = 1 << 26
DEPTH_KINDS = ("lidar-x", "z")


def read_calibration(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Read lines `key: numbers`; lines whose value is a date are left out.

    Raises:
        FormatError: no such file, a line without a colon, a key twice, or a value that is neither numbers nor a date.
    """
    values: dict[str, NDArray[np.float64]] = {}
    for at, line in enumerate(read_text(path, 1 << 20).splitlines(), 1):
        if not line.strip():
            continue
        key, colon, rest = line.partition(":")
        where = f"{path} line {at}"
        if not colon or key in values:
            raise FormatError(where, repr(line[:40]), "`key: numbers`, every key once")
        if key != "calib_time":
            values[key] = np.array([number(token, where) for token in rest.split()], np.float64)
    return values


def matrix_of(values: dict[str, NDArray[np.float64]], key: str, shape: tuple[int, ...], path: object) -> Matrix:
    """One calibration value as a matrix.

    Raises:
        FormatError: absent, or of another number of entries.
    """
    found = values.get(key)
    if found is None or found.size != int(np.prod(shape)):
        raise FormatError(f"{path} {key}", "nothing" if found is None else f"{found.size} numbers", f"{shape} numbers")
    return found.reshape(shape)


def camera_of(P: Matrix, width: int, height: int, subject: object) -> Camera:
    """The pinhole camera of a (3, 4) rectified projection matrix.

    Raises:
        FormatError: no pinhole matrix, or a principal point outside the image.
    """
    try:
        camera = Camera.from_parameters(width, height, P[0, 0], P[1, 1], P[0, 2], P[1, 2])
    except InputError as error:
        raise FormatError(subject, error.found, error.expected) from None
    return camera


@dataclass(frozen=True)
class DayCalibration:
    """The calibration of one day of KITTI raw.

    Args:
        P: (3, 4) rectified projection by camera number.
        T_cam_velo: (4, 4), laser points to the rectified camera 0.
        size: (width, height) of the rectified colour images.
    """

    P: dict[int, Matrix]
    T_cam_velo: Matrix
    size: tuple[int, int]

    def camera(self, index: int) -> Camera:
        """The camera `index`, bound to the rectified size."""
        return camera_of(self.P[index], *self.size, f"P_rect_0{index}")

    @property
    def baseline_m(self) -> float:
        """Metres between the colour cameras 2 and 3: P[0, 3] is fx times the camera's offset."""
        left, right = (self.P[i][0, 3] / self.P[i][0, 0] for i in (2, 3))
        return float(left - right)


def read_day(folder: str | Path) -> DayCalibration:
    """Read calib_cam_to_cam.txt and calib_velo_to_cam.txt of one day.

    Raises:
        FormatError: a damaged or incomplete file, or colour cameras in the wrong order.
    """
    folder = Path(folder)
    cams, velo = folder / "calib_cam_to_cam.txt", folder / "calib_velo_to_cam.txt"
    camera_values, velo_values = read_calibration(cams), read_calibration(velo)
    P = {i: matrix_of(camera_values, f"P_rect_0{i}", (3, 4), cams) for i in (2, 3)}
    rectify, T = np.eye(4), np.eye(4)
    rectify[:3, :3] = matrix_of(camera_values, "R_rect_00", (3, 3), cams)
    T[:3, :3], T[:3, 3] = matrix_of(velo_values, "R", (3, 3), velo), matrix_of(velo_values, "T", (3,), velo)
    for what, R in ((f"{cams} R_rect_00", rectify), (f"{velo} R", T)):
        if np.abs(R[:3, :3] @ R[:3, :3].T - np.eye(3)).max() > 1e-3:
            raise FormatError(what, "no rotation", "an orthonormal matrix")
    width, height = matrix_of(camera_values, "S_rect_02", (2,), cams)
    day = DayCalibration(P, rectify @ T, (int(width), int(height)))
    day.camera(2)
    if not 0 < day.baseline_m < 10:
        raise FormatError(cams, f"a baseline of {day.baseline_m:g} m", "camera 3 to the right of camera 2")
    return day


def read_scan(path: str | Path) -> NDArray[np.float32]:
    """Read a velodyne scan.

    Returns:
        (N, 4) float32: x forward, y left, z up in metres, and reflectance.

    Raises:
        FormatError: not whole points, more than 64 MB, or coordinates that are not finite.
    """
    size = file_size(path, MAX_SCAN_BYTES)
    if size % 16:
        raise FormatError(path, f"{size} bytes", "16 for every point")
    points = np.fromfile(path, "<f4").reshape(-1, 4)
    if not np.isfinite(points).all() or np.abs(points[:, :3]).max() > 1e4:
        raise FormatError(path, "coordinates that are not finite or beyond 10 km", "metres")
    return points.astype(np.float32)


def project_scan(
    points: NDArray[np.float32], P: Matrix, T_cam_velo: Matrix, size: tuple[int, int], depth: str = "lidar-x"
) -> NDArray[np.float32]:
    """A scan as a sparse depth map; of several points in one pixel the nearest stays.

    Args:
        points: (N, 4) of `read_scan`.
        P: (3, 4) projection of the camera wanted.
        T_cam_velo: (4, 4).
        size: (width, height) of the image.
        depth: "lidar-x" takes the laser's forward coordinate, as Monodepth's published figures do; "z" the camera's.

    Returns:
        (H, W) float32 metres, 0 = no return.

    Raises:
        InputError: another kind of depth.
    """
    if depth not in DEPTH_KINDS:
        raise InputError("depth", repr(depth), f"one of {', '.join(DEPTH_KINDS)}")
    ahead = points[points[:, 0] >= 0].astype(np.float64)
    homogeneous = np.concatenate([ahead[:, :3], np.ones((len(ahead), 1))], 1)
    x = homogeneous @ (P @ T_cam_velo).T
    front = x[:, 2] > 1e-6
    x, ahead = x[front], ahead[front]
    column, row = (np.rint(x[:, i] / x[:, 2]) - 1 for i in (0, 1))
    metres = ahead[:, 0] if depth == "lidar-x" else x[:, 2]
    width, height = size
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    pixel = row[seen].astype(np.int64) * width + column[seen].astype(np.int64)
    nearest_last = np.argsort(-metres[seen], kind="stable")  # a later assignment overwrites an earlier one
    image = np.zeros(width * height, np.float32)
    image[pixel[nearest_last]] = metres[seen][nearest_last]
    return image.reshape(height, width)
