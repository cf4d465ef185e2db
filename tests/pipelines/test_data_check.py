"""`scenewright data check`: every kind by its miniature, the exit codes, and problems by item."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import feature_sets as sets
import kitti_world as world
from scenewright.cli.main import main
from scenewright.data.images import write_depth_png
from scenewright.data.pfm import write_pfm
from scenewright.errors import FormatError, InputError
from scenewright.pipelines.data_check import check_data
from scenewright.worlds.dataset import render_shard, shard_path


def check(path: Path | str, capsys: pytest.CaptureFixture, *options: str) -> tuple[int, dict]:
    code = main(["data", "check", str(path), "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_kitti_raw(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, found = check(world.raw(tmp_path, 3), capsys)
    assert code == 0
    assert found["kind"] == "KITTI raw"
    assert (found["items"], found["read"], found["with_truth"], found["with_right"]) == (3, 3, 3, 3)
    assert found["range"] == {"m": [10, 11, 12]}
    assert found["sizes"] == {f"{world.WIDTH}x{world.HEIGHT}": 3}
    assert found["known_percent"] == pytest.approx(100 / (world.WIDTH * world.HEIGHT), abs=0.01)


def test_damaged_items_are_listed_and_the_code_is_one(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    world.raw(tmp_path, 3)
    next(tmp_path.glob("*/*/velodyne_points/data/*01.bin")).write_bytes(b"123")
    code, found = check(tmp_path, capsys)
    assert code == 1
    assert found["read"] == 2
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("item 1: ")
    assert "16 for every point" in found["problems"][0]


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    world.raw(tmp_path, 25)
    for scan in tmp_path.glob("*/*/velodyne_points/data/*.bin"):
        scan.write_bytes(b"1")
    problems = check_data(tmp_path).problems
    assert len(problems) == 21
    assert problems[-1] == "and 5 more"


def test_the_limit_spreads_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, found = check(world.raw(tmp_path, 5), capsys, "--limit", "2")
    assert (code, found["items"], found["read"]) == (0, 5, 2)
    assert found["range"]["m"] == [10, 12, 14]  # the first and the last
    with pytest.raises(InputError, match="1 or more"):
        check_data(tmp_path, 0)


def test_named_kind_and_text(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "check", f"kitti-raw:{world.raw(tmp_path)}"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("KITTI raw\n")
    assert "10 to 11 m" in text


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"rubbish")])
def test_nothing_recognised_is_two(tmp_path: Path, make, capsys: pytest.CaptureFixture) -> None:
    make(tmp_path / "x")
    assert main(["data", "check", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "found" in error


def test_rooms(tmp_path: Path) -> None:
    render_shard(shard_path(tmp_path, "train", 5), [5], "train", 2, (64, 48))
    found = check_data(tmp_path)
    assert found.kind == "rendered rooms: 2 views of 1 rooms for train"
    assert (found.items, found.with_truth, found.with_camera) == (2, 2, 2)
    assert not found.problems


def test_single_maps(tmp_path: Path) -> None:
    write_pfm(tmp_path / "a.pfm", np.full((4, 5), 7.0, np.float32))
    assert check_data(tmp_path / "a.pfm").range == {"px": (7, 7, 7)}
    write_depth_png(tmp_path / "a.png", np.full((4, 5), 2.5))
    assert check_data(tmp_path / "a.png").range == {"m": (2.5, 2.5, 2.5)}
    (tmp_path / "a.pfm").write_bytes(b"Pf 4 5 -1\n")
    assert "0 bytes of pixels" in check_data(tmp_path / "a.pfm").problems[0]


def test_photographs_and_a_wrong_unit(tmp_path: Path) -> None:
    world.save(tmp_path / "photos" / "1.png", world.picture(3))
    found = check_data(tmp_path / "photos")
    assert (found.kind, found.with_truth, found.with_camera) == ("photographs", 0, 0)
    assert "is guessed" in found.notes[0]
    clip = tmp_path / "clip"
    world.save(clip / "color" / "1.png", world.picture(3))
    world.save(clip / "depth" / "1.png", np.full((world.HEIGHT, world.WIDTH), 3, np.uint16))  # metres as millimetres
    world.save(clip / "color" / "2.png", world.picture(3))
    world.save(clip / "depth" / "2.png", np.zeros((world.HEIGHT, world.WIDTH), np.uint16))
    problems = check_data(clip).problems
    assert "0.003 m; is the unit right?" in problems[0]
    assert "without any known pixel" in problems[1]


def test_pairs_of_points_and_a_film(tmp_path: Path) -> None:
    world.save(tmp_path / "1.png", world.picture(4, 30, 20))
    (tmp_path / "DIW_test.csv").write_text("1.png\n20,30,1,1,>,30,20\n")
    found = check_data(tmp_path / "DIW_test.csv")
    assert (found.kind, found.with_truth, found.range) == ("Depth in the Wild pairs", 1, {})
    (tmp_path / "points.csv").write_text("1.png,,2\n20,30,1,1,>\n1,1,2,2,=\n1.png,,1\n1,31,1,1,<\n")
    found = check_data(tmp_path / "points.csv")
    assert (found.kind, found.items, found.with_truth) == ("NYU Depth v2, pairs of points", 2, 1)
    assert "outside the 30x20" in found.problems[0]
    film = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for level in range(5):
        film.write(world.picture(level * 20, 64, 48))
    film.release()
    found = check_data(tmp_path / "a.avi", 3)
    assert (found.kind, found.items, found.read) == ("a video", 5, 3)


def test_sets_of_local_features(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, found = check(sets.photo_tour(tmp_path / "liberty"), capsys)
    assert (code, found["kind"]) == (0, "patches of Brown et al. (PhotoTour)")
    assert (found["items"], found["read"], found["with_truth"], found["sizes"]) == (12, 12, 12, {"64x64": 12})
    code, found = check(sets.hpatches(tmp_path / "planes"), capsys)
    assert (code, found["kind"]) == (0, "planes with homographies (HPatches, Oxford affine)")
    assert (found["items"], found["with_truth"], found["sizes"]) == (4, 4, {"160x120": 4})
    (tmp_path / "planes" / "v_abstract" / "H_1_2").write_text("1 0 0\n" * 3)
    (tmp_path / "planes" / "v_abstract" / "H_1_3").unlink()
    code, found = check(tmp_path / "planes", capsys)
    assert code == 1
    assert found["problems"][0] == "1 files without their partner"
    assert "H_1_2" in found["problems"][1]
    code, found = check(f"rgbd-pairs:{sets.sliding_clip(tmp_path / 'clip')}", capsys)
    assert (code, found["items"], found["with_truth"], found["with_camera"]) == (0, 7, 7, 7)
    assert found["range"] == {"m": [2, 2, 2]}
    assert check(tmp_path / "clip", capsys)[1]["kind"] == "clip"


def test_depth_methods_refuse_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sets.photo_tour(tmp_path)
    assert main(["eval", "variance-of-laplacian", "--data", str(tmp_path)]) == 2
    assert "data with depth" in capsys.readouterr().err


def test_a_path_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="absent"):
        check_data(tmp_path / "absent")


def test_real_sets(real_data) -> None:
    stereo = check_data(real_data("stereo_middlebury"))
    assert set(stereo.range) == {"m", "px"}
    assert not stereo.problems
    highway = check_data(real_data("mono_kitti_highway"), 3)
    assert (highway.kind, highway.with_truth) == ("KITTI clip with laser depth", 3)
