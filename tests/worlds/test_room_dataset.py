"""Shards: what is written comes back, runs resume, damaged files are named."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from scenewright.errors import FormatError, InputError
from scenewright.worlds.dataset import RoomFrames, main, render_shard, shard_path
from scenewright.worlds.render import Renderer
from scenewright.worlds.rooms import build_room
from scenewright.worlds.shards import MAGIC
from scenewright.worlds.walks import sample_view

SIZE = (96, 72)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    assert render_shard(shard_path(out, "train", 3), [3, 4], "train", 2, SIZE) == 4
    assert render_shard(shard_path(out, "train", 5), [5], "train", 2, SIZE) == 2
    render_shard(shard_path(out, "test", 0), [0], "test", 1, SIZE)
    return out


def test_views_come_back(folder: Path) -> None:
    frames = RoomFrames(folder)
    assert len(frames) == 6
    assert frames.seeds() == [3, 3, 4, 4, 5, 5]
    for i in range(len(frames)):
        f = frames[i]
        assert f.image.shape == (72, 96, 3)
        assert f.image.dtype == np.uint8
        assert f.image.std() > 3
        assert f.depth_m.dtype == np.float32
        assert 0.2 < np.median(f.depth_m) < 12
        assert f.labels.max() < 12
        assert f.K[0, 0] > 30
        assert f.seed == frames.seeds()[i]
    with pytest.raises(IndexError):
        frames[6]
    assert len(RoomFrames(folder, "test")) == 1


def test_depth_is_the_renderers_to_the_millimetre(folder: Path) -> None:
    frame = RoomFrames(folder)[0]
    renderer = Renderer(build_room(3, "train"))
    view = sample_view(renderer, np.random.default_rng([3, 0, 40]), SIZE)
    truth = renderer.truth(view.camera, view.T_world_cam)
    np.testing.assert_allclose(frame.depth_m, truth.depth_m, atol=6e-4)
    np.testing.assert_array_equal(frame.labels, truth.labels)
    np.testing.assert_allclose(frame.K, view.camera.K.numpy(), atol=1e-3)


def test_shards_are_functions_of_their_seeds(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.rooms"
    render_shard(again, [5], "train", 2, SIZE)
    assert again.read_bytes() == shard_path(folder, "train", 5).read_bytes()


def test_the_command_skips_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path), "--rooms", "2", "--shard", "1", "--views", "1", "--width", "48", "--height", "36"]
    arguments += ["--split", "validation", "--no-library"]
    assert main(arguments) == 0
    first = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert sorted(first) == ["validation-00000000.rooms", "validation-00000001.rooms"]
    (tmp_path / "validation-00000001.rooms").unlink()
    capsys.readouterr()
    assert main(arguments) == 0
    assert "1/1 shards" in capsys.readouterr().out
    assert (tmp_path / "validation-00000000.rooms").stat().st_mtime_ns == first["validation-00000000.rooms"]


def _broken(data: bytes, how: str) -> bytes:
    length = struct.unpack("<I", data[8:12])[0]
    header = json.loads(data[12 : 12 + length])
    if how == "magic":
        return b"SOMETHING" + data[9:]
    if how == "short":
        return data[:7]
    if how == "torn":
        return data[:-20]
    if how == "long header":
        return data[:8] + struct.pack("<I", 1 << 30) + data[12:]
    if how == "no json":
        return data[:12] + b"x" * length + data[12 + length :]
    header[{"version": "version", "split": "split"}.get(how, "frames")] = {"version": 9, "split": "all"}.get(how, [{}])
    coded = json.dumps(header).encode()
    return MAGIC + struct.pack("<I", len(coded)) + coded + data[12 + length :]


@pytest.mark.parametrize("how", ["magic", "short", "torn", "long header", "no json", "version", "split", "frames"])
def test_damaged_shards_are_named(folder: Path, tmp_path: Path, how: str) -> None:
    data = shard_path(folder, "train", 5).read_bytes()
    (tmp_path / "bad.rooms").write_bytes(_broken(data, how))
    with pytest.raises(FormatError, match=r"bad\.rooms"):
        RoomFrames(tmp_path)


def test_a_damaged_picture_is_named(folder: Path, tmp_path: Path) -> None:
    data = bytearray(shard_path(folder, "train", 5).read_bytes())
    start = 12 + struct.unpack("<I", data[8:12])[0]
    data[start : start + 400] = bytes(400)
    (tmp_path / "bad.rooms").write_bytes(bytes(data))
    frames = RoomFrames(tmp_path)
    with pytest.raises(FormatError, match="frame 0"):
        frames[0]
    assert frames[1].image.shape == (72, 96, 3)


def test_empty_folders_and_bad_sizes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no views"):
        RoomFrames(tmp_path)
    with pytest.raises(InputError, match="positive"):
        render_shard(tmp_path / "x.rooms", [0], "train", 0)
    assert not list(tmp_path.iterdir())
