"""Text formats: tables, trajectories, intrinsics, matrix poses. Round trips and files that must be refused by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scenewright.data.layout import read_intrinsics
from scenewright.data.safe import inside
from scenewright.data.seven_scenes import read_matrix_pose
from scenewright.data.tables import read_table
from scenewright.data.trajectory import Trajectory, read_trajectory, write_trajectory
from scenewright.errors import FormatError, InputError

POSE = "0 0 0 0 0 0 1"


def _file(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "list.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_tables_skip_comments_and_keep_line_numbers(tmp_path):
    table = read_table(_file(tmp_path, "\ufeff# head\n\n1 2\n 3\t-4e1 # tail\r\n"), 2)
    assert table.values.tolist() == [[1, 2], [3, -40]]
    assert table.lines.tolist() == [3, 4]
    assert table.where(1).endswith("list.txt line 4")
    assert read_table(_file(tmp_path, "# nothing\n"), 2).values.shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [("1 2\n1 2 3\n", 2), ("1\n", 1), ("1 nan\n", 1), ("1 2\n\n1 inf\n", 3), ("1 1e999\n", 1), ("1 1_0\n", 1)]
    + [("1 x\n", 1), ("1 ٣\n", 1), ("1 0x10\n", 1), ("1 2\n" * 4, 4), ("1 \0\n", 1)],
)
def test_malformed_tables_name_the_line(tmp_path, text, line):
    with pytest.raises(FormatError, match=rf"list\.txt line {line}:"):
        read_table(_file(tmp_path, text), 2, max_rows=3)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe1 2", b"1 2\n\x80\n"])
def test_what_is_no_text(tmp_path, data):
    with pytest.raises(FormatError, match=r"list\.txt"):
        read_table(_file(tmp_path, data), 2)


def test_oversized_text_is_refused_by_its_size_alone(tmp_path):
    path = _file(tmp_path, "1 2\n")
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no disk
    with pytest.raises(FormatError, match="bytes"):
        read_table(path, 2)


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "..\\a.png", "a\0b"])
def test_names_that_leave_the_folder(tmp_path, name):
    with pytest.raises(FormatError, match=r"rgb\.txt line 3"):
        inside(tmp_path, name, "rgb.txt line 3")
    assert inside(tmp_path, "rgb/a..png", "x") == tmp_path / "rgb" / "a..png"


# ---- trajectories ---------------------------------------------------------------------------------------------------


@st.composite
def trajectories(draw):
    count = draw(st.integers(1, 6))
    steps = draw(st.lists(st.floats(1e-3, 1e3), min_size=count, max_size=count))
    times = np.cumsum(steps) + draw(st.sampled_from([0.0, 1.3e9]))
    finite = st.floats(-1e4, 1e4)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        pose[:3, 3] = draw(st.lists(finite, min_size=3, max_size=3))
        pose[:3, :3] = Rotation.from_rotvec(draw(st.lists(st.floats(-4, 4), min_size=3, max_size=3))).as_matrix()
    return times, poses


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_trajectory_round_trip(tmp_path_factory, made):
    times, poses = made
    path = tmp_path_factory.mktemp("trajectory") / "t.txt"
    write_trajectory(path, times, poses, comment="scale: metric")
    back = read_trajectory(path)
    assert np.array_equal(back.times_s, times)
    assert np.abs(back.T_world_cam - poses).max() < 1e-8  # nine decimals are written
    assert "# scale: metric" in path.read_text()


def test_quaternions_are_xyzw_and_poses_camera_to_world(tmp_path):
    half = np.sqrt(0.5)
    path = _file(tmp_path, f"5 1 2 3 0 0 {half} {half}\n")  # a quarter turn about z
    pose = read_trajectory(path).T_world_cam[0]
    assert np.allclose(pose, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# only a comment\n", "no pose"),
        (f"1 {POSE} 0\n", "line 1: found 9 columns"),
        (f"1 {POSE}\n1 {POSE}\n", "line 2: found time 1.0 after 1.0"),
        (f"# a\n2 {POSE}\n1 {POSE}\n", "line 3: found time 1.0 after 2.0"),
        ("1 0 0 0 0 0 0 1.002\n", "line 1: found a quaternion of length 1.002"),
        ("1 0 0 0 0 0 0 0\n", "line 1: found a quaternion of length 0"),
        ("1 nan 0 0 0 0 0 1\n", "line 1: found 'nan'"),
        (f"inf {POSE}\n", "line 1: found 'inf'"),
    ],
)
def test_malformed_trajectories(tmp_path, text, what):
    with pytest.raises(FormatError, match=what):
        read_trajectory(_file(tmp_path, text))


def test_quaternions_within_a_thousandth_are_normalised(tmp_path):
    R = read_trajectory(_file(tmp_path, "1 0 0 0 0 0 0 1.0009\n")).T_world_cam[0, :3, :3]
    assert np.allclose(R, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("bad", ["times", "nan", "scaled", "mirrored", "row", "shape"])
def test_trajectories_that_cannot_be_written(tmp_path, bad):
    times, poses = np.arange(2.0), np.tile(np.eye(4), (2, 1, 1))
    if bad == "times":
        times[:] = 1
    if bad == "nan":
        poses[0, 0, 3] = np.nan
    if bad == "scaled":
        poses[1, :3, :3] *= 2
    if bad == "mirrored":
        poses[1, 0, 0] = -1
    if bad == "row":
        poses[1, 3, 0] = 1
    if bad == "shape":
        poses = poses[:1]
    with pytest.raises(InputError):
        write_trajectory(tmp_path / "t.txt", times, poses)
    assert not list(tmp_path.iterdir())


def test_interpolation_between_poses():
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = 1
    poses[1, :3, :3] = Rotation.from_rotvec([0, 0, 1.0]).as_matrix()
    trajectory = Trajectory(np.array([0.0, 0.02]), poses)
    middle = trajectory.at(0.005, 0.02)
    assert middle is not None
    assert middle[0, 3] == pytest.approx(0.25)
    assert np.allclose(Rotation.from_matrix(middle[:3, :3]).as_rotvec(), [0, 0, 0.25])
    assert trajectory.at(0.02, 0.02) is not None
    assert np.array_equal(trajectory.at(0.03, 0.02), poses[1])  # only one neighbour: the nearest stands
    assert trajectory.at(0.05, 0.02) is None
    assert trajectory.at(-0.05, 0.02) is None


# ---- intrinsics and matrices ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5000), st.integers(1, 5000), st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0, 1), st.floats(0, 1)
)
def test_intrinsics_round_trip(tmp_path_factory, width, height, fx, fy, u, v):
    path = tmp_path_factory.mktemp("intrinsics") / "intrinsics.txt"
    path.write_text(
        f"# width height fx fy cx cy\n{width} {height} {fx!r} {fy!r} {u * (width - 1)!r} {v * (height - 1)!r}\n"
    )
    camera = read_intrinsics(path)
    assert (camera.width, camera.height) == (width, height)
    assert np.allclose(camera.numbers, (fx, fy, u * (width - 1), v * (height - 1)), rtol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["# none\n", "1 2 3 4 5\n", "64 48 60 60 31 23\n" * 2, "64.5 48 60 60 31 23\n", "0 48 60 60 31 23\n"]
    + ["64 48 -60 60 31 23\n", "64 48 60 60 310 23\n", "64 48 nan 60 31 23\n", "1e300 48 60 60 31 23\n"],
)
def test_malformed_intrinsics(tmp_path, text):
    with pytest.raises(FormatError, match=r"list\.txt"):
        read_intrinsics(_file(tmp_path, text))


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        np.eye(5),
        2 * np.eye(4),
        np.diag([1, 1, -1, 1]),
        np.full((4, 4), np.nan),
        np.ones((4, 4)),
        np.eye(4)[:3],
    ],
)
def test_malformed_matrix_poses(tmp_path, matrix):
    np.savetxt(tmp_path / "list.txt", matrix)
    with pytest.raises(FormatError, match=r"list\.txt"):
        read_matrix_pose(tmp_path / "list.txt")


def test_matrix_pose_is_projected_onto_the_nearest_rotation(tmp_path):
    rows = np.eye(4)
    rows[:3, :3] = Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix()
    rows[:3, 3] = 1, 2, 3
    np.savetxt(tmp_path / "pose.txt", rows, fmt="%.5f")
    pose = read_matrix_pose(tmp_path / "pose.txt")
    assert np.abs(pose - rows).max() < 1e-5
    assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
