"""`scenewright worlds`: sheets that show what was rendered, and folders that survive a stop."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenewright.cli import main as cli
from scenewright.data.images import read_image
from scenewright.errors import InputError
from scenewright.labels import COLOURS
from scenewright.pipelines import worlds
from scenewright.worlds.dataset import RoomFrames, shard_path
from scenewright.worlds.model import Rendered

FAST = ["--size", "48x36", "--no-library"]


def test_a_sheet_has_four_columns_and_a_row_for_each_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    assert cli.main(["worlds", "preview", "rooms", "-o", str(out), "--count", "2", "--seed", "3", *FAST]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    sheet = read_image(out)
    assert sheet.shape == (2 * (36 + worlds._CAPTION), 4 * 48, 3)
    labels = sheet[worlds._CAPTION : worlds._CAPTION + 36, 144:].reshape(-1, 3)
    assert {tuple(map(int, colour)) for colour in np.unique(labels, axis=0)} <= set(COLOURS)
    again = worlds.preview("rooms", tmp_path / "again.png", count=2, seed=3, size="48x36", library=False)
    assert again.read_bytes() == out.read_bytes()


def test_normals_are_coloured_by_where_they_point() -> None:
    normals = np.array([[[0, 0, -1], [1, 0, 0], [0, -1, 0], [0, 0, 0]]], np.float32)  # to the camera, right, up, none
    shot = Rendered(
        np.zeros((1, 4, 3), np.uint8), np.array([[1, 2, 3, 0]], np.float32), normals,
        np.array([[1, 2, 3, 0]], np.uint8), np.zeros((1, 4), np.int32),
    )  # fmt: skip
    _, depth, coloured, labels = worlds.pictures(shot)
    assert coloured[0].tolist() == [[127, 127, 255], [255, 127, 127], [127, 255, 127], [0, 0, 0]]
    assert tuple(labels[0, 2]) == COLOURS[3]
    assert depth[0, 3].tolist() == [0, 0, 0]


def generate(folder: Path, *options: str) -> int:
    return cli.main(["worlds", "generate", "rooms", "-o", str(folder), "--views", "1", *FAST, *options])


def test_shards_are_resumed_and_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "WORLDS_PER_SHARD", 2)
    assert generate(tmp_path, "--count", "3") == 0
    first, second = (shard_path(tmp_path, "train", seed) for seed in (0, 2))
    frame = RoomFrames(tmp_path)[0]
    assert frame.image.shape == (36, 48, 3)
    assert frame.depth_m.max() > 0
    stamp, old = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    assert generate(tmp_path, "--count", "3") == 0
    assert (first.stat().st_mtime_ns, second.read_bytes()) == (stamp, old), "done ones stay, missing ones come alike"
    assert generate(tmp_path, "--count", "4") == 0
    assert first.stat().st_mtime_ns == stamp
    assert set(RoomFrames(tmp_path).seeds()) == {0, 1, 2, 3}, "the shard that was short is filled"
    assert json.loads((tmp_path / "generate-train.json").read_text())["count"] == 4
    assert generate(tmp_path, "--count", "1") == 0
    assert json.loads((tmp_path / "generate-train.json").read_text())["count"] == 4


def test_a_folder_of_other_views_is_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "generate-train.json").write_text('{"kind": "rooms", "count": 4, "views": 9}')
    assert generate(tmp_path, "--count", "1") == 2
    assert "another folder" in capsys.readouterr().err
    (tmp_path / "generate-train.json").write_text("no json")
    assert generate(tmp_path, "--count", "1") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["generate-train.json"]


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("preview seas -o x.png", "'seas'"),
        ("preview rooms -o x.png --split all", "--split"),
        ("preview rooms -o x.png --count 0", "--count"),
        ("preview rooms -o x.png --seed -1", "--seed"),
        ("preview rooms -o x.gif", "x.gif"),
        ("preview rooms -o x.png --size 48", "--size"),
        ("generate rooms -o f --size 4x4", "--size"),
        ("generate rooms -o f --count 0", "--count"),
        ("generate rooms -o f --workers 0", "--workers"),
        ("generate seas -o f", "'seas'"),
    ],
)
def test_bad_options_are_one_line(
    line: str, culprit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["worlds", *line.split()]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert culprit in error
    assert list(tmp_path.iterdir()) == []


def test_sizes() -> None:
    assert worlds.parse_size("240x180") == (240, 180)
    for text in ("", "240", "0x10", "9999x100", "1e3x100", "240x180x3", "-48x36"):
        with pytest.raises(InputError, match="--size"):
            worlds.parse_size(text)


def test_captions_are_drawn(tmp_path: Path) -> None:
    tile = worlds._tile(np.zeros((36, 200, 3), np.uint8), "kitchen 3 (train)")
    assert cv2.cvtColor(tile[: worlds._CAPTION], cv2.COLOR_RGB2GRAY).max() > 150
    assert tile[worlds._CAPTION :].max() == 0
