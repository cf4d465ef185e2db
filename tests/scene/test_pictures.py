from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_scene import CAMERA, make_keyframe
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.scene.pictures import intrinsics_of, keyframe_files, read_keyframe, units_per_metre, write_keyframe
from scenewright.scene.records import SceneFrame

JSON = "keyframes/000001.json"


def allowed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / "keyframes").iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    keyframe = make_keyframe(1)
    written = write_keyframe(tmp_path, keyframe)
    assert sorted(written) == sorted(allowed(tmp_path)) == sorted(keyframe_files(keyframe).values())
    back = read_keyframe(tmp_path, JSON, allowed(tmp_path))
    np.testing.assert_array_equal(back.image, keyframe.image)
    np.testing.assert_array_equal(back.labels, keyframe.labels)
    np.testing.assert_array_equal(back.T_world_cam, keyframe.T_world_cam)
    assert (back.id, back.index, back.time_s) == (1, 10, keyframe.time_s)
    assert back.camera.numbers == CAMERA.numbers
    # 6 m at the finest 1-2-5 step of 16 bits is 10000 codes per metre: half a code is 0.05 mm
    np.testing.assert_allclose(back.depth_m, keyframe.depth_m, rtol=0, atol=0.51e-4)
    np.testing.assert_array_equal(back.depth_m == 0, keyframe.depth_m == 0)
    np.testing.assert_allclose(back.sigma_m, keyframe.sigma_m, rtol=0, atol=0.51e-5)


def test_parts_that_are_not_there(tmp_path: Path) -> None:
    write_keyframe(tmp_path, make_keyframe(1, sigma_m=None, labels=None))
    back = read_keyframe(tmp_path, JSON, allowed(tmp_path))
    assert back.sigma_m is None
    assert back.labels is None


def test_colour_file_is_an_ordinary_picture(tmp_path: Path) -> None:
    image = np.zeros((*CAMERA.size, 3), np.uint8)
    image[..., 0] = 200  # red
    write_keyframe(tmp_path, make_keyframe(1, image=image))
    assert cv2.imread(str(tmp_path / "keyframes/000001.colour.png"))[0, 0].tolist() == [0, 0, 200]


@given(st.floats(1e-6, 1e6))
def test_units_are_the_finest_that_fit(largest: float) -> None:
    units = units_per_metre(largest)
    assert units * largest <= 65535 * (1 + 1e-9)
    assert units == 1e5 or units * 2.5 * largest > 65535 * (1 - 1e-9)
    assert float(f"{units:.0e}") == pytest.approx(units, rel=1e-12)  # 1, 2 or 5 times a power of ten


@pytest.mark.parametrize("largest", [1e-3, 0.5, 12.0, 900.0, 5e4])
def test_known_depth_stays_known_at_any_scale(tmp_path: Path, largest: float) -> None:
    depth_m = np.full(CAMERA.size, largest, np.float32)
    depth_m[0, 0], depth_m[0, 1] = largest * 1e-6, 0
    write_keyframe(tmp_path, make_keyframe(1, depth_m=depth_m))
    back = read_keyframe(tmp_path, JSON, allowed(tmp_path)).depth_m
    assert back[0, 0] > 0
    assert back[0, 1] == 0
    np.testing.assert_allclose(back[1:], largest, rtol=1e-4)


def test_infinite_uncertainty_is_unknown_but_depth_must_be_a_length(tmp_path: Path) -> None:
    sigma_m = np.full(CAMERA.size, 0.1, np.float32)
    sigma_m[3, 3] = np.inf
    write_keyframe(tmp_path, make_keyframe(1, sigma_m=sigma_m))
    back = read_keyframe(tmp_path, JSON, allowed(tmp_path)).sigma_m
    assert back is not None
    assert back[3, 3] == 0
    for bad in (np.nan, -1.0):
        with pytest.raises(InputError, match="lengths >= 0"):
            write_keyframe(tmp_path, make_keyframe(2, depth_m=np.full(CAMERA.size, bad, np.float32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((4, 4, 3), np.uint8)}, "image"),
        ({"depth_m": np.zeros(CAMERA.size, np.float64)}, "float64"),
        ({"labels": np.zeros(CAMERA.size, np.int64)}, "labels"),
        ({"sigma_m": np.zeros((1, 2), np.float32)}, "sigma_m"),
        ({"T_world_cam": np.eye(3)}, "T_world_cam"),
        ({"T_world_cam": np.diag([1.0, 1, -1, 1])}, "rigid"),
        ({"T_world_cam": 2 * np.eye(4)}, "rigid"),
        ({"T_world_cam": np.full((4, 4), np.nan)}, "finite"),
    ],
)
def test_records_refuse_what_they_are_not(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_keyframe(0, **change)


def test_frames_refuse_what_they_are_not() -> None:
    with pytest.raises(InputError, match="lost"):
        SceneFrame(0, 0.0, "dizzy", None, 0, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="finite"):
        SceneFrame(0, 0.0, "ok", None, 0, float("nan"), 0.0, 0.0)


def test_a_distorted_camera_is_no_scene_camera() -> None:
    K = CAMERA.K
    with pytest.raises(InputError, match="undistorted"):
        intrinsics_of(Camera(24, 16, K, K.new_zeros(4)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"id": 2}, "number in the file's name"),
        ({"colour": "../../secret.png"}, "manifest lists"),
        ({"colour": "/etc/passwd"}, "manifest lists"),
        ({"labels": "000002.labels.png"}, "manifest lists"),
        ({"labels": 5}, "a string or null"),
        ({"colour": "000001.depth.png"}, "PNG colour type 0"),
        ({"labels": "000001.depth.png"}, "16 bits"),
        ({"depth": None}, "an object"),
        ({"depth": {"file": "000001.depth.png", "units_per_metre": 0}}, "positive"),
        ({"depth": {"file": "000001.depth.png", "units_per_metre": 1, "offset": 3}}, "offset"),
        ({"camera": {"width": 12, "height": 16, "fx": 9, "fy": 9, "cx": 6, "cy": 8}}, "24x16"),
        ({"T_world_cam": [0] * 16}, "rigid"),
        ({"T_world_cam": [1] * 15}, "15 numbers"),
        ({"comment": "hi"}, "comment"),
    ],
)
def test_damaged_keyframe_json(tmp_path: Path, edit: dict, message: str) -> None:
    write_keyframe(tmp_path, make_keyframe(1))
    path = tmp_path / JSON
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(InputError, match=message):
        read_keyframe(tmp_path, JSON, allowed(tmp_path))


def test_damaged_pictures(tmp_path: Path) -> None:
    write_keyframe(tmp_path, make_keyframe(1))
    path = tmp_path / "keyframes/000001.depth.png"
    whole = path.read_bytes()
    for data, message in ((b"", "no PNG"), (b"GIF89a" + whole, "no PNG"), (whole[:40], "damaged")):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=message):
            read_keyframe(tmp_path, JSON, allowed(tmp_path))


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path: Path) -> None:
    write_keyframe(tmp_path, make_keyframe(1))
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 16, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "keyframes/000001.depth.png").write_bytes(data)
    with pytest.raises(FormatError, match="60000x60000"):
        read_keyframe(tmp_path, JSON, allowed(tmp_path))
