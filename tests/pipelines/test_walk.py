"""Walks as clip folders: what is read back is what was filmed, and a stopped run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenewright.cli import main as cli
from scenewright.data.sequences import open_sequence
from scenewright.errors import FormatError, InputError
from scenewright.pipelines.walk import WalkOptions, frame_names, walk

OPTIONS = WalkOptions("office", seed=3, frames=4, rate_hz=5, size="64x48", library=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walk(tmp_path_factory.mktemp("clips") / "office", OPTIONS)


def test_the_folder_reads_as_a_clip(clip: Path) -> None:
    sequence = open_sequence(clip)
    frames = list(sequence)
    assert sequence.intrinsics_source == "file"
    assert sequence.camera.size == (48, 64)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(4) / 5)
    for frame in frames:
        assert frame.depth_m is not None
        assert (frame.depth_m > 0).all()
        assert frame.T_world_cam is not None
    moved = np.linalg.norm(frames[0].T_world_cam[:3, 3] - frames[-1].T_world_cam[:3, 3])
    assert moved < 0.05, "a walk ends where it began"


def test_depth_and_poses_fit_each_other(clip: Path) -> None:
    """A frame's points, seen from the last frame (the same place but for the tremor), lie on its depth map."""
    sequence = open_sequence(clip)
    first, *_, last = list(sequence)
    fx, fy, cx, cy = sequence.camera.numbers
    y, x = np.mgrid[4:44:4, 4:60:4]
    z = first.depth_m[y, x].astype(float)
    points = np.stack([(x - cx) / fx * z, (y - cy) / fy * z, z], -1)
    T = np.linalg.inv(last.T_world_cam) @ first.T_world_cam
    moved = points @ T[:3, :3].T + T[:3, 3]
    u = (fx * moved[..., 0] / moved[..., 2] + cx).astype(np.float32)
    v = (fy * moved[..., 1] / moved[..., 2] + cy).astype(np.float32)
    seen = cv2.remap(last.depth_m, u, v, cv2.INTER_NEAREST)
    inside = (u > 1) & (v > 1) & (u < 62) & (v < 46)
    assert inside.mean() > 0.5
    assert np.median(np.abs(seen - moved[..., 2])[inside] / moved[..., 2][inside]) < 0.01


def test_a_stopped_run_goes_on_and_ends_alike(clip: Path, tmp_path: Path) -> None:
    other = walk(tmp_path / "again", OPTIONS)
    gone = other / "color" / f"{frame_names(4, 5)[2]}.jpg"
    before = gone.read_bytes()
    assert before == (clip / "color" / gone.name).read_bytes(), "the same options give the same bytes"
    gone.unlink()
    kept = other / "color" / "00000.jpg"
    stamp = kept.stat().st_mtime_ns
    walk(other, OPTIONS)
    assert gone.read_bytes() == before
    assert kept.stat().st_mtime_ns == stamp


def test_folders_of_something_else_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another folder"):
        walk(clip, WalkOptions("office", seed=4, frames=4, rate_hz=5, size="64x48", library=False))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        walk(tmp_path, OPTIONS)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "walk.json").write_text("{")
    with pytest.raises(FormatError, match="worlds walk"):
        walk(damaged, OPTIONS)


def test_names_are_times_of_the_layout() -> None:
    assert frame_names(3, 30) == ["00000", "00001", "00002"]
    assert frame_names(3, 10) == ["00000", "00003", "00006"]


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("garage", "'garage'"),
        ("office --split all", "--split"),
        ("office --frames 2", "--frames"),
        ("office --seed -1", "--seed"),
        ("office --rate 7", "--rate"),
        ("office --rate 0", "--rate"),
        ("office --size 8x8", "--size"),
    ],
)
def test_bad_options_are_one_line(line: str, culprit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["worlds", "walk", *line.split(), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert culprit in error
    assert list(tmp_path.iterdir()) == []


def test_the_command_films_a_walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "hall"
    line = f"worlds walk living-room -o {out} --seed 1 --frames 3 --rate 30 --size 32x32 --no-library --no-sensor"
    assert cli.main(line.split()) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert json.loads((out / "walk.json").read_text())["kind"] == "living-room"
    assert len(list((out / "color").iterdir())) == 3
