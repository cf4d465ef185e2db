"""The text files of a Scene folder: trajectory.txt (TUM), frames.csv and metrics.json."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scenewright.errors import FormatError, InputError
from scenewright.files import write_json, write_text
from scenewright.scene.records import SceneFigure, SceneFrame
from scenewright.scene.strict import Fields, read_json

_COLUMNS = ("index", "time_s", "status", "keyframe", "residual", "usage", "milliseconds")
_MAX_TEXT = 256 << 20


def write_trajectory(path: Path, time_s: Sequence[float], T_world_cam: Sequence[NDArray[np.float64]]) -> None:
    """Write poses in TUM's format, camera to world: `t tx ty tz qx qy qz qw`, seconds and scene units.

    Raises:
        InputError: as many times as poses are needed, in increasing order.
    """
    if len(time_s) != len(T_world_cam):
        raise InputError(path, f"{len(time_s)} times and {len(T_world_cam)} poses", "one time per pose")
    if any(later <= earlier for earlier, later in itertools.pairwise(time_s)):
        raise InputError(path, "times that do not increase", "frames in order of time")
    lines = ["# t tx ty tz qx qy qz qw: camera to world, seconds, x right y down z forward"]
    for t, T in zip(time_s, T_world_cam):
        quaternion_xyzw = Rotation.from_matrix(T[:3, :3]).as_quat(canonical=True)
        lines.append(f"{t:.6f} " + " ".join(f"{x:.9g}" for x in (*T[:3, 3], *quaternion_xyzw)))
    write_text(path, "\n".join(lines) + "\n")


def read_trajectory(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a TUM trajectory.

    Returns:
        Times (N,) in seconds and T_world_cam (N, 4, 4), both float64.

    Raises:
        FormatError: a line without eight finite numbers, a quaternion off unit length by more than 1 %, times that do
            not increase.
    """
    rows = [
        _row(f"{path} line {number}", line.split())
        for number, line in enumerate(_text(path).splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    table = np.array(rows, np.float64).reshape(-1, 8)
    if (np.diff(table[:, 0]) <= 0).any():
        raise FormatError(path, "times that do not increase", "frames in order of time")
    T = np.tile(np.eye(4), (len(table), 1, 1))
    T[:, :3, 3] = table[:, 1:4]
    if len(table):
        T[:, :3, :3] = Rotation.from_quat(table[:, 4:]).as_matrix()
    return table[:, 0], T


def _row(where: str, words: list[str]) -> list[float]:
    try:
        row = [float(word) for word in words]
    except ValueError:
        row = []
    if len(row) != 8 or not all(map(math.isfinite, row)):
        raise FormatError(where, " ".join(words)[:80], "eight numbers: t tx ty tz qx qy qz qw")
    if abs(math.hypot(*row[4:]) - 1) > 0.01:
        raise FormatError(where, f"a quaternion of length {math.hypot(*row[4:]):.4g}", "length 1")
    return row


def write_frames(folder: Path, frames: Sequence[SceneFrame]) -> list[str]:
    """Write trajectory.txt (frames with a pose) and frames.csv (all frames); returns the two names."""
    posed = [frame for frame in frames if frame.T_world_cam is not None]
    poses = [frame.T_world_cam for frame in posed if frame.T_world_cam is not None]
    write_trajectory(folder / "trajectory.txt", [frame.time_s for frame in posed], poses)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for f in frames:
        numbers = (f"{x:.6g}" for x in (f.residual, f.usage, f.milliseconds))
        writer.writerow((f.index, f"{f.time_s:.6f}", f.status, f.keyframe, *numbers))
    write_text(folder / "frames.csv", text.getvalue())
    return ["trajectory.txt", "frames.csv"]


def read_frames(folder: Path) -> list[SceneFrame]:
    """Read frames.csv, each frame with its pose from trajectory.txt where it has one.

    Raises:
        FormatError: a damaged table, or a pose at a time of no frame.
    """
    path = folder / "frames.csv"
    times, poses = read_trajectory(folder / "trajectory.txt")
    pose_at = {f"{t:.6f}": T for t, T in zip(times, poses)}
    rows = list(csv.reader(io.StringIO(_text(path))))
    if not rows or tuple(rows[0]) != _COLUMNS:
        raise FormatError(path, f"columns {rows[0][:8] if rows else []}", f"columns {','.join(_COLUMNS)}")
    frames = [_frame(f"{path} line {number}", row, pose_at) for number, row in enumerate(rows[1:], 2)]
    if pose_at:
        raise FormatError(path, f"no frame at {next(iter(pose_at))} s", "a frame for every pose of trajectory.txt")
    return frames


def _frame(where: str, row: list[str], pose_at: dict[str, NDArray[np.float64]]) -> SceneFrame:
    try:
        index, time_s, status, keyframe, residual, usage, milliseconds = row
        numbers = [float(x) for x in (residual, usage, milliseconds)]
        return SceneFrame(
            int(index), float(time_s), status, pose_at.pop(f"{float(time_s):.6f}", None), int(keyframe), *numbers
        )
    except ValueError as error:
        raise FormatError(where, f"{','.join(row)[:80]} ({error})", f"values of {','.join(_COLUMNS)}") from error


def write_figures(path: Path, figures: Sequence[SceneFigure]) -> None:
    """Write metrics.json."""
    write_json(path, {"figures": [vars(figure) for figure in figures]})


def read_figures(path: Path) -> list[SceneFigure]:
    """Read metrics.json; raises FormatError where it is damaged."""
    fields = Fields(str(path), read_json(path))
    values = fields.items("figures")
    fields.done()
    return [_figure(f"{path} figures[{i}]", value) for i, value in enumerate(values)]


def _figure(where: str, value: Any) -> SceneFigure:
    fields = Fields(where, value)
    number = fields.optional_number("value")
    figure = SceneFigure(value=number, **{key: fields.text(key) for key in ("name", "unit", "protocol", "group")})
    fields.done()
    return figure


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TEXT:
            raise FormatError(path, f"{path.stat().st_size} bytes", f"at most {_MAX_TEXT} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, error, "a readable text file in UTF-8") from error
