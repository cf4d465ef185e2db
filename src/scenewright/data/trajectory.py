"""Camera trajectories in the TUM text form: `t tx ty tz qx qy qz qw`, camera-to-world, metres, one pose a line.

The quaternion is x, y, z, w in the file and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from scenewright.data.tables import Table, read_table
from scenewright.errors import FormatError, InputError
from scenewright.files import write_text

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Trajectory:
    """Timed camera poses.

    Args:
        times_s: (N,) float64, strictly increasing.
        T_world_cam: (N, 4, 4) float64.
    """

    times_s: NDArray[np.float64]
    T_world_cam: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times_s)

    def at(self, time_s: float, tolerance_s: float) -> NDArray[np.float64] | None:
        """The pose at a time, (4, 4): linear in translation, spherical in rotation between two neighbours.

        Returns:
            None where a neighbour that is needed lies farther away than `tolerance_s`.
        """
        times = self.times_s
        after = int(np.searchsorted(times, time_s))
        if after < len(times) and times[after] == time_s:
            return self.T_world_cam[after]
        near = [i for i in (after - 1, after) if 0 <= i < len(times) and abs(times[i] - time_s) <= tolerance_s]
        if len(near) == 2:
            return _between(self.T_world_cam[near], (time_s - times[near[0]]) / (times[near[1]] - times[near[0]]))
        return self.T_world_cam[near[0]] if near else None


def _between(pair: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    T_world_cam = np.eye(4)
    T_world_cam[:3, :3] = Slerp([0, 1], Rotation.from_matrix(pair[:, :3, :3]))(share).as_matrix()
    T_world_cam[:3, 3] = (1 - share) * pair[0, :3, 3] + share * pair[1, :3, 3]
    return T_world_cam


def poses_from_table(table: Table, translation: int = 1) -> NDArray[np.float64]:
    """Turn the columns `tx ty tz qx qy qz qw` of a table, which start at column `translation`, into (N, 4, 4) poses.

    Quaternions within 1e-3 of unit length are normalised.

    Raises:
        FormatError: a quaternion that is farther from unit length, with its line.
    """
    moved, quaternions_xyzw = np.split(table.values[:, translation : translation + 7], [3], axis=1)
    lengths = np.linalg.norm(quaternions_xyzw, axis=1)
    for row in np.flatnonzero(np.abs(lengths - 1) > UNIT_TOLERANCE)[:1]:
        raise FormatError(table.where(row), f"a quaternion of length {lengths[row]:.6g}", "length 1 within 0.001")
    poses = np.tile(np.eye(4), (len(moved), 1, 1))
    if len(moved):
        poses[:, :3, :3] = Rotation.from_quat(quaternions_xyzw).as_matrix()
    poses[:, :3, 3] = moved
    return poses


def read_trajectory(path: str | Path) -> Trajectory:
    """Read a TUM trajectory.

    Raises:
        FormatError: no text file, no pose, wrong columns, a non-finite number, a time that does not increase, or a
            quaternion more than 1e-3 from unit length; each with its line.
    """
    table = read_table(path, 8)
    times = table.values[:, 0]
    if not len(times):
        raise FormatError(path, "no pose", "lines of t tx ty tz qx qy qz qw")
    for row in np.flatnonzero(np.diff(times) <= 0)[:1] + 1:
        found = f"time {times[row]} after {times[row - 1]}"
        raise FormatError(table.where(row), found, "strictly increasing times")
    return Trajectory(times, poses_from_table(table))


def write_trajectory(
    path: str | Path, times_s: NDArray[np.float64], T_world_cam: NDArray[np.float64], comment: str = ""
) -> None:
    """Write a TUM trajectory in one atomic step.

    Args:
        path: the file.
        times_s: (N,) seconds, strictly increasing; written exactly.
        T_world_cam: (N, 4, 4) rigid transforms, metres; written to 1e-9.
        comment: one more line at the head, for what the times or the scale mean.

    Raises:
        InputError: other shapes, times that do not increase, or a matrix that is no rigid transform.
    """
    times, poses = np.asarray(times_s, np.float64), np.asarray(T_world_cam, np.float64)
    _check(path, times, poses)
    head = ["# t tx ty tz qx qy qz qw (camera-to-world, metres, camera axes x right, y down, z forward)"]
    head += [f"# {line}" for line in comment.splitlines()]
    quaternions_xyzw = Rotation.from_matrix(poses[:, :3, :3]).as_quat() if len(poses) else np.zeros((0, 4))
    rows = np.concatenate([poses[:, :3, 3], quaternions_xyzw], axis=1)
    lines = [" ".join([repr(float(t)), *(f"{x:.9f}" for x in row)]) for t, row in zip(times, rows)]
    write_text(path, "\n".join(head + lines) + "\n")


def _check(subject: object, times: NDArray[np.float64], poses: NDArray[np.float64]) -> None:
    if times.ndim != 1 or poses.shape != (len(times), 4, 4):
        raise InputError(subject, f"{times.shape} times and {poses.shape} poses", "(N,) and (N, 4, 4)")
    if not (np.isfinite(times).all() and np.isfinite(poses).all()) or (np.diff(times) <= 0).any():
        raise InputError(subject, "non-finite values or times that do not increase", "finite, strictly increasing")
    R = poses[:, :3, :3]
    rigid = np.allclose(R @ R.transpose(0, 2, 1), np.eye(3), atol=1e-5) and bool((np.linalg.det(R) > 0).all())
    if not rigid or not np.array_equal(poses[:, 3], np.tile([0.0, 0, 0, 1], (len(poses), 1))):
        raise InputError(subject, "a matrix that is no rigid transform", "rotation, translation and 0 0 0 1")
