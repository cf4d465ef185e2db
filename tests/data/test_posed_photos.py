"""Photographs with known cameras: COLMAP's text, our JSON, and damage of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenewright.data.images import write_image
from scenewright.data.posed_photos import open_posed_photos
from scenewright.errors import FormatError

CAMERAS = "# comment\n1 SIMPLE_RADIAL 64 48 50.0 32.0 24.0 -0.05\n2 PINHOLE 64 48 50 51 32 24\n"
Q = Rotation.from_euler("y", 30, degrees=True).as_quat()[[3, 0, 1, 2]]
IMAGES = f"# comment\n1 {' '.join(map(str, Q))} 0.5 -0.25 2 1 a.png\n10.5 3 -1 4 4 7\n2 1 0 0 0 1 2 3 2 b.png\n\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "images" / name, np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / "cameras.txt").write_text(CAMERAS)
    (tmp_path / "images.txt").write_text(IMAGES)
    return tmp_path


def test_colmap_s_text(model: Path) -> None:
    first, second = open_posed_photos(model)
    assert (first.name, second.name) == ("a.png", "b.png")
    assert first.camera.numbers == (50, 50, 31.5, 23.5)  # centres of pixels at integers
    assert second.camera.numbers == (50, 51, 31.5, 23.5)
    np.testing.assert_allclose(first.T_cam_world[:3, :3], Rotation.from_euler("y", 30, degrees=True).as_matrix())
    np.testing.assert_allclose(first.T_cam_world[:3, 3], [0.5, -0.25, 2])
    np.testing.assert_allclose(second.T_cam_world[:3, 3], [1, 2, 3])


def test_a_model_below_sparse_is_found(model: Path) -> None:
    for name in ("cameras.txt", "images.txt"):
        (model / "sparse/0").mkdir(parents=True, exist_ok=True)
        (model / name).rename(model / "sparse/0" / name)
    assert len(open_posed_photos(model)) == 2


def test_straight_lines_are_straight_after_reading(model: Path) -> None:
    """A picture bent by the stated distortion is unbent: its corners move towards where they belong."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 50] = 255
    write_image(model / "images/a.png", image)
    (model / "cameras.txt").write_text(CAMERAS.replace("-0.05", "-0.4"))
    seen = open_posed_photos(model)[0].image[..., 0].argmax(1)
    assert seen[24] != seen[2]  # the straight line of the bent picture is bent in the straight one


def own(**changes: object) -> dict[str, object]:
    entry: dict[str, object] = {
        "fx": 50.0, "fy": 51.0, "cx": 31.0, "cy": 24.0, "width": 64, "height": 48,
        "R_cam_to_world": [[0, -1, 0], [1, 0, 0], [0, 0, 1]], "centre": [1, 2, 3],
    }  # fmt: skip
    return entry | changes


def test_a_camera_for_each(model: Path) -> None:
    (model / "images.txt").unlink()
    (model / "cameras.json").write_text(json.dumps({"a.png": own(), "b.png": own(centre=[0, 0, 0])}))
    first, second = open_posed_photos(model)
    assert first.camera.numbers == (50, 51, 31, 24)
    np.testing.assert_allclose(first.T_cam_world @ [1, 2, 3, 1], [0, 0, 0, 1], atol=1e-12)  # the centre
    np.testing.assert_allclose(second.T_cam_world[:3, :3], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]])


def test_one_camera_for_all(model: Path) -> None:
    (model / "images.txt").unlink()
    pose = {"q_world_to_cam_wxyz": [1, 0, 0, 0], "t_world_to_cam": [1, 2, 3]}
    table = {"width": 64, "height": 48, "f": 50, "cx": 32, "cy": 24, "k1": 0.0, "images": {"a.png": pose}}
    (model / "cameras.json").write_text(json.dumps(table))
    (only,) = open_posed_photos(model)
    assert only.camera.numbers == (50, 50, 31.5, 23.5)


DAMAGE = {
    "no file": ("images.txt", None),
    "empty": ("images.txt", ""),
    "binary": ("images.txt", "\x00\x01\n\x02"),
    "short line": ("images.txt", "1 1 0 0 0 1 2 3\n"),
    "not a number": ("images.txt", "1 one 0 0 0 1 2 3 1 a.png\n"),
    "infinite": ("images.txt", "1 1 0 0 0 inf 2 3 1 a.png\n"),
    "no quaternion": ("images.txt", "1 0 0 0 0 1 2 3 1 a.png\n"),
    "unknown camera": ("images.txt", "1 1 0 0 0 1 2 3 9 a.png\n"),
    "path outside": ("images.txt", "1 1 0 0 0 1 2 3 1 ../../etc/passwd\n"),
    "no image": ("images.txt", "1 1 0 0 0 1 2 3 1 nothing.png\n"),
    "model": ("cameras.txt", "1 FISHEYE 64 48 50 32 24\n2 PINHOLE 64 48 50 51 32 24\n"),
    "parameters": ("cameras.txt", "1 SIMPLE_RADIAL 64 48 50 32\n2 PINHOLE 64 48 50 51 32 24\n"),
    "size": ("cameras.txt", "1 SIMPLE_RADIAL 64 99999999 50 32 24 0\n2 PINHOLE 64 48 50 51 32 24\n"),
    "other size": ("cameras.txt", "1 SIMPLE_RADIAL 64 50 50 32 24 0\n2 PINHOLE 64 48 50 51 32 24\n"),
    "focal": ("cameras.txt", "1 SIMPLE_RADIAL 64 48 -50 32 24 0\n2 PINHOLE 64 48 50 51 32 24\n"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_damaged_models_are_one_clear_error(model: Path, damage: str) -> None:
    name, text = DAMAGE[damage]
    (model / name).unlink()
    if text is not None:
        (model / name).write_text(text)
    with pytest.raises(FormatError, match=r"found .*expected"):
        open_posed_photos(model)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", "[" * 5000, '{"a.png": 1}', json.dumps({"a.png": own(fx="wide")}),
     json.dumps({"a.png": own(R_cam_to_world=[[2, 0, 0], [0, 1, 0], [0, 0, 1]])}),
     json.dumps({"a.png": own(R_cam_to_world=[[1, 0, 0], [0, 1, 0]])}),
     json.dumps({"a.png": own(centre=[1, 2])}), json.dumps({"images": {}})],
)  # fmt: skip
def test_damaged_json_is_one_clear_error(model: Path, text: str) -> None:
    (model / "images.txt").unlink()
    (model / "cameras.json").write_text(text)
    with pytest.raises(FormatError, match=r"found .*expected"):
        open_posed_photos(model)


@pytest.mark.parametrize("name", ["mvs_strecha_fountain", "sfm_lund_door"])
def test_real_sets(name: str, real_data: object) -> None:
    photos = open_posed_photos(real_data(name))  # type: ignore[operator]
    assert len(photos) >= 11
    assert all(p.image.shape[:2] == p.camera.size for p in photos)
