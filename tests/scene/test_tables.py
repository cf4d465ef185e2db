from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sample_scene import make_frames, make_pose
from scenewright.errors import FormatError, InputError
from scenewright.scene.records import SceneFigure
from scenewright.scene.tables import (
    read_figures,
    read_frames,
    read_trajectory,
    write_figures,
    write_frames,
    write_trajectory,
)


def test_trajectory_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "trajectory.txt"
    times = [1305031102.175304 + i / 30 for i in range(20)]
    poses = [make_pose(i) for i in range(20)]
    write_trajectory(path, times, poses)
    back_times, back = read_trajectory(path)
    np.testing.assert_allclose(back_times, times, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back, poses, rtol=0, atol=1e-8)


def test_trajectory_is_tum(tmp_path: Path) -> None:
    """A quarter turn about z is (0, 0, sin 45, cos 45): x, y, z, w in this order."""
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    T[:3, 3] = [1, 2, 3]
    write_trajectory(tmp_path / "t.txt", [0.5], [T])
    line = (tmp_path / "t.txt").read_text().splitlines()[1]
    np.testing.assert_allclose(np.array(line.split(), float), [0.5, 1, 2, 3, 0, 0, 0.5**0.5, 0.5**0.5], atol=1e-8)


def test_an_empty_trajectory(tmp_path: Path) -> None:
    write_trajectory(tmp_path / "t.txt", [], [])
    times, poses = read_trajectory(tmp_path / "t.txt")
    assert times.shape == (0,)
    assert poses.shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n", "line 1"),
        ("# head\n0 0 0 0 0 0 0 one\n", "line 2"),
        ("0 0 0 nan 0 0 0 1\n", "eight numbers"),
        ("0 0 0 0 0 0 0 0\n", "quaternion of length 0"),
        ("0 0 0 0 0 0 0 2\n", "quaternion of length 2"),
        ("1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "do not increase"),
        ("0 0 0 0 0 0 0 1 9\n", "eight numbers"),
    ],
)
def test_damaged_trajectories(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trajectory.txt"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_trajectory(path)


def test_only_sensible_trajectories_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one time per pose"):
        write_trajectory(tmp_path / "t", [0.0], [])
    with pytest.raises(InputError, match="increase"):
        write_trajectory(tmp_path / "t", [1.0, 1.0], [np.eye(4)] * 2)
    assert list(tmp_path.iterdir()) == []


def test_frames_round_trip(tmp_path: Path) -> None:
    frames = make_frames(6)
    assert write_frames(tmp_path, frames) == ["trajectory.txt", "frames.csv"]
    back = read_frames(tmp_path)
    assert [f.status for f in back] == [f.status for f in frames]
    assert [(f.index, f.keyframe, f.residual, f.usage, f.milliseconds) for f in back] == [
        (f.index, f.keyframe, f.residual, f.usage, f.milliseconds) for f in frames
    ]
    for mine, theirs in zip(frames, back):
        assert (mine.T_world_cam is None) == (theirs.T_world_cam is None)
        if mine.T_world_cam is not None:
            np.testing.assert_allclose(theirs.T_world_cam, mine.T_world_cam, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows[1:], "columns"),
        (lambda rows: [], "columns"),
        (lambda rows: [rows[0], "0,0.0,ok,0,1"], "line 2"),
        (lambda rows: [rows[0], "0,0.0,dizzy,0,1,1,1"], "line 2"),
        (lambda rows: [rows[0], "0,0.0,ok,0,inf,1,1"], "line 2"),
        (lambda rows: [rows[0], "zero,0.0,ok,0,1,1,1"], "line 2"),
        (lambda rows: rows[:-1], "a frame for every pose"),
    ],
)
def test_damaged_frame_tables(tmp_path: Path, edit, message: str) -> None:
    write_frames(tmp_path, make_frames(4))
    path = tmp_path / "frames.csv"
    path.write_text("\n".join(edit(path.read_text().splitlines())))
    with pytest.raises(FormatError, match=message):
        read_frames(tmp_path)


def test_figures_round_trip(tmp_path: Path) -> None:
    figures = [SceneFigure("ATE", 0.1, "m", "SE(3)", "trajectory"), SceneFigure("PCD", None)]
    write_figures(tmp_path / "metrics.json", figures)
    assert read_figures(tmp_path / "metrics.json") == figures
    with pytest.raises(InputError, match="finite"):
        SceneFigure("ATE", float("nan"))
    (tmp_path / "metrics.json").write_text('{"figures": [{"name": "x", "value": "high"}]}')
    with pytest.raises(FormatError, match="value"):
        read_figures(tmp_path / "metrics.json")


def test_text_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "trajectory.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FormatError, match="at most"):
        read_trajectory(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="UTF-8"):
        read_trajectory(path)
    with pytest.raises(FormatError, match="readable"):
        read_trajectory(tmp_path / "none.txt")
