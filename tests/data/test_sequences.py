"""`open_sequence` on a miniature of every layout, on damaged ones, and on real sets."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from scenewright.data import demo_clip_path, photos_path
from scenewright.data.images import read_image
from scenewright.data.registration import register_depth
from scenewright.data.resample import Resampler
from scenewright.data.sequences import open_sequence
from scenewright.data.tum import associate
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

ALL = ("clip", "tum", "seven_scenes", "folder", "video")


@pytest.fixture(scope="module")
def made(make, tmp_path_factory) -> dict[str, Path]:
    """One miniature of every layout; tests must not change them."""
    return {name: build(tmp_path_factory.mktemp(name)) for name, build in make.layouts.items()}


def _same(a, b) -> None:
    assert (a.index, a.time_s) == (b.index, b.time_s)
    assert np.array_equal(a.image, b.image)
    for x, y in ((a.depth_m, b.depth_m), (a.T_world_cam, b.T_world_cam)):
        assert (x is None) == (y is None)
        assert x is None or np.array_equal(x, y)


# ---- what every layout owes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("every", "max_frames"), [(1, None), (2, None), (3, 2), (1, 1)])
def test_length_order_repetition_and_resuming(made, kind, every, max_frames):
    whole = list(open_sequence(made[kind]))
    sequence = open_sequence(made[kind], every=every, max_frames=max_frames)
    frames = list(sequence)
    assert len(sequence) == len(frames) > 0
    for frame, expected in zip(frames, whole[::every][:max_frames], strict=True):
        _same(frame, expected)
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    for position in range(len(frames) + 2):
        resumed = list(sequence.frames_from(position))
        assert len(resumed) == max(0, len(frames) - position)
        for a, b in zip(resumed, frames[position:]):
            _same(a, b)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [None, 40])
def test_frames_fit_their_camera_and_their_types(made, kind, size):
    sequence = open_sequence(made[kind], size=size)
    for frame in sequence:
        assert frame.image.shape == (*sequence.camera.size, 3)
        assert frame.image.dtype == np.uint8
        if frame.depth_m is not None:
            assert frame.depth_m.shape == sequence.camera.size
            assert frame.depth_m.dtype == np.float32
        if frame.T_world_cam is not None:
            assert frame.T_world_cam.shape == (4, 4)
            assert frame.T_world_cam.dtype == np.float64
    assert sequence.camera.distortion is None
    assert size is None or max(sequence.camera.size) == size


@pytest.mark.parametrize("kind", ALL)
def test_intrinsics_precedence(made, kind):
    plain = open_sequence(made[kind])
    assert plain.intrinsics_source == ("file" if kind in ("clip", "seven_scenes") else "guess")
    width, height = plain.camera.width, plain.camera.height
    option = open_sequence(made[kind], intrinsics=(50, 51, 20, 21))
    assert option.intrinsics_source == "option"
    assert option.camera.numbers == (50, 51, 20, 21)
    fov = open_sequence(made[kind], fov_deg=90)
    assert (fov.intrinsics_source, fov.camera.numbers[0]) == ("option", pytest.approx(width / 2))
    camera = Camera.from_fov(width + 1, height, 60)
    with pytest.raises(FormatError, match="intrinsics"):
        open_sequence(made[kind], intrinsics=camera)


def test_exif_stands_between_file_and_guess(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    exif.get_ifd(34665)[41989] = 30
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    sequence = open_sequence(tmp_path)
    assert sequence.intrinsics_source == "exif"
    assert (sequence.camera.width, sequence.camera.height) == (48, 64)
    assert next(iter(sequence)).image.shape == (64, 48, 3)
    (tmp_path / "intrinsics.txt").write_text("48 64 50 50 24 32\n")
    assert open_sequence(tmp_path).intrinsics_source == "file"
    assert open_sequence(tmp_path, fov_deg=70).intrinsics_source == "option"
    assert open_sequence(tmp_path / "a.jpg", intrinsics=tmp_path / "intrinsics.txt").camera.numbers[0] == 50


def test_the_guess_is_60_degrees_along_the_longest_side(tmp_path, make):
    make.save(tmp_path / "a.png", make.picture(0, 48, 64))
    sequence = open_sequence(tmp_path)
    assert sequence.camera.numbers[0] == pytest.approx(32 / np.tan(np.pi / 6), rel=1e-6)
    assert sequence.camera.numbers[2:] == (23.5, 31.5)


@pytest.mark.parametrize(
    "options",
    [{"every": 0}, {"max_frames": 0}, {"size": 2}, {"fov_deg": 0}, {"fov_deg": 200}, {"intrinsics": (1, 2, 3)}]
    + [
        {"intrinsics": (50, 50, 900, 20)},
        {"intrinsics": (50, 50, 20, 20), "fov_deg": 60},
        {"intrinsics": "absent.txt"},
    ],
)
def test_options_out_of_range(made, options):
    with pytest.raises(InputError):
        open_sequence(made["clip"], **options)
    with pytest.raises(InputError):
        list(open_sequence(made["clip"]).frames_from(-1))


# ---- one layout each ------------------------------------------------------------------------------------------------


def test_clip(made, make):
    sequence = open_sequence(made["clip"])
    frames = list(sequence)
    assert sequence.camera.numbers == (60, 61, 31, 23)
    assert [f.index for f in frames] == [0, 1, 2, 3]
    assert frames[2].time_s == pytest.approx(9 / 30)
    assert np.array_equal(frames[2].image, make.picture(2))
    assert np.allclose(frames[2].depth_m, 1.002)
    assert frames[2].T_world_cam is not None
    assert frames[2].T_world_cam[:3, 3].tolist() == [2, 0, 0]


def test_clip_without_depth_poses_and_intrinsics(tmp_path, make):
    make.save(tmp_path / "color" / "a.png", make.picture(0))
    (frame,) = open_sequence(tmp_path)
    assert frame.depth_m is None
    assert frame.T_world_cam is None
    assert open_sequence(tmp_path).intrinsics_source == "guess"


def test_tum_units_association_and_absent_files(made, caplog):
    with caplog.at_level(logging.WARNING):
        frames = list(open_sequence(made["tum"]))
    assert "1 of 5 listed images are absent" in caplog.text
    assert len(frames) == 4
    assert np.allclose(frames[3].depth_m, 1.003)
    assert frames[3].time_s == 0.3
    assert frames[3].T_world_cam is not None
    assert frames[3].T_world_cam[0, 3] == pytest.approx(0.3)  # between the truth at 0.295 and at 0.305


def test_tum_depth_farther_than_20_ms_is_no_partner(tmp_path, make):
    folder = make.tum(tmp_path)
    (folder / "depth.txt").write_text("0.019 depth/0.png\n0.121 depth/1.png\n")
    assert [f.depth_m is not None for f in open_sequence(folder)] == [True, False, False, False]


def test_associate_is_one_to_one_best_first_like_brute_force():
    rng = np.random.default_rng(3)
    for _ in range(50):
        first, second = (sorted(rng.uniform(0, 1, 12).tolist()) for _ in range(2))
        pairs = sorted(
            (abs(a - b), i, j) for i, a in enumerate(first) for j, b in enumerate(second) if abs(a - b) <= 0.05
        )
        expected: dict[int, int] = {}
        for _, i, j in pairs:
            if i not in expected and j not in expected.values():
                expected[i] = j
        assert associate(first, second, 0.05) == expected


@pytest.mark.parametrize(("series", "focal"), [("1", 517.3), ("2", 520.9), ("3", 535.4), ("", 525.0)])
def test_tum_calibration_by_name_and_undistorted_frames(tmp_path, make, series, focal):
    folder = make.tum(tmp_path / (f"rgbd_dataset_freiburg{series}_desk" if series else "mine"), 1)
    sequence = open_sequence(folder)
    assert sequence.intrinsics_source == ("file" if series else "guess")
    (frame,) = sequence
    if series in ("", "3"):
        assert sequence.camera.numbers[0] == pytest.approx(focal)
        assert np.array_equal(frame.image, make.picture(0, 640, 480))
    else:
        assert 0.9 < sequence.camera.numbers[0] / focal < 1.2
        assert not np.array_equal(frame.image, make.picture(0, 640, 480))
        assert (frame.depth_m > 0).all()  # zoomed so that no pixel lacks a source


def test_undistortion_agrees_with_the_distortion_model():
    """A picture that holds its own coordinates must, undistorted, show at a pixel where OpenCV's model projects it."""
    K = torch.tensor([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    distortion = torch.tensor([0.2, -0.5, -0.004, 0.003, 0.6])
    resampler = Resampler(Camera(320, 240, K, distortion))
    u, v = np.meshgrid(np.arange(320, dtype=np.float32), np.arange(240, dtype=np.float32))
    columns, rows = (resampler.image(np.repeat(x[..., None], 3, axis=2))[..., 0] for x in (u, v))
    fx, fy, cx, cy = resampler.camera.numbers
    for x, y in ((10, 10), (160, 120), (300, 200), (40, 220)):
        ray = np.array([[(x - cx) / fx, (y - cy) / fy, 1.0]])
        (place,), _ = cv2.projectPoints(ray, np.zeros(3), np.zeros(3), K.double().numpy(), distortion.double().numpy())
        assert np.abs(place[0] - (columns[y, x], rows[y, x])).max() < 0.05


def test_resizing_keeps_the_rays_and_invents_no_depth():
    camera = Camera.from_parameters(64, 48, 60, 60, 31.5, 23.5)
    resampler = Resampler(camera, 32)
    fx, _, cx, _ = resampler.camera.numbers
    depth = np.where(np.arange(64) < 32, 1, 3)[None].repeat(48, 0).astype(np.float32)
    assert set(np.unique(resampler.depth(depth))) == {1, 3}
    columns = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None].repeat(48, 0), 3, 2) * 2
    assert resampler.image(columns)[0, 5, 0] == 21  # the mean of the columns 10 and 11, doubled
    assert (5 - cx) / fx == pytest.approx((10.5 - 31.5) / 60)
    assert Resampler(camera, 999).camera.size == (48, 64)


def test_seven_scenes_depth_is_registered_to_colour(made):
    sequence = open_sequence(made["seven_scenes"])
    first = next(iter(sequence))
    assert sequence.camera.numbers == (525, 525, 320, 240)
    assert first.depth_m is not None
    assert first.T_world_cam is not None
    assert set(np.unique(first.depth_m)) == {0, 2}
    # 40 missing rows of a camera of 585 pixels end at row 240 - 200 * 525 / 585; its image is 10 % smaller
    known = np.flatnonzero((first.depth_m > 0).any(axis=1))
    assert known[0] == round(240 - 200 * 525 / 585)
    assert known[-1] == round(240 + 239 * 525 / 585)
    assert first.T_world_cam[:3, 3] == pytest.approx([0.025, 0, 0])


def test_registration_moves_points_and_keeps_the_nearest():
    camera = Camera.from_parameters(20, 10, 10, 10, 10, 5)
    depth = np.zeros((10, 20), np.float32)
    depth[5, 12], depth[5, 11] = 2, 1
    T = np.eye(4)
    T[0, 3] = -0.2  # two pixels at 1 m, one at 2 m
    moved = register_depth(depth, camera, camera, T)
    assert moved[5, 9] == 1
    assert moved[5, 11] == 2
    assert (moved > 0).sum() == 2
    T[0, 3] = 0.2  # the far point lands at column 13, the near one as well
    depth[5, 12], depth[5, 11] = 2, 1
    moved = register_depth(depth, camera, camera, T)
    assert moved[5, 13] == 1
    assert (moved > 0).sum() == 1
    T[0, 3], T[2, 3] = 0, -1.5  # the near point lies behind the camera now
    assert (register_depth(depth, camera, camera, T) > 0).sum() == 1


def test_folder_is_in_natural_order_without_previews(made, make, tmp_path):
    frames = list(open_sequence(made["folder"]))
    assert [f.image[0, 0, 2] for f in frames] == [0, 10, 20, 30]
    make.images(tmp_path, 2)
    make.save(tmp_path / "depth.preview.png", make.picture(9))
    (tmp_path / "notes.txt").write_text("x")
    assert len(open_sequence(tmp_path)) == 2


# ---- damaged and hostile sources ------------------------------------------------------------------------------------


def _rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


DAMAGE = {
    # name: (layout, damage, what the error must name)
    "clip: no image": ("clip", lambda f, m: [p.unlink() for p in (f / "color").iterdir()], "color"),
    "clip: image truncated": ("clip", lambda f, m: _cut(f / "color" / "00009.png"), "00009.png"),
    "clip: image empty": ("clip", lambda f, m: (f / "color" / "00009.png").write_bytes(b""), "00009.png"),
    "clip: image of another size": (
        "clip",
        lambda f, m: m.save(f / "color" / "00009.png", m.picture(0, 32, 48)),
        "00009",
    ),
    "clip: depth of another size": (
        "clip",
        lambda f, m: m.save(f / "depth" / "00009.png", _depth(9, 9)),
        "depth/00009",
    ),
    "clip: depth of 8 bits": ("clip", lambda f, m: m.save(f / "depth" / "00009.png", m.picture(0)), "depth/00009"),
    "clip: depth truncated": ("clip", lambda f, m: _cut(f / "depth" / "00009.png"), "depth/00009"),
    "clip: intrinsics of another size": (
        "clip",
        lambda f, m: _rewrite(f / "intrinsics.txt", "64", "65"),
        "intrinsics.txt",
    ),
    "clip: intrinsics empty": ("clip", lambda f, m: (f / "intrinsics.txt").write_text(""), "intrinsics.txt"),
    "clip: intrinsics NaN": ("clip", lambda f, m: _rewrite(f / "intrinsics.txt", "60", "nan"), "intrinsics.txt line 1"),
    "clip: pose twice": ("clip", lambda f, m: _rewrite(f / "poses.txt", "00008", "00007"), "poses.txt line 3"),
    "clip: pose columns": ("clip", lambda f, m: _rewrite(f / "poses.txt", "00008 1", "00008"), "poses.txt line 3"),
    "clip: pose infinite": ("clip", lambda f, m: _rewrite(f / "poses.txt", "00008 1", "00008 inf"), "poses.txt line 3"),
    "clip: quaternion": ("clip", lambda f, m: _rewrite(f / "poses.txt", "0 0 0 0 1", "0 0 0 0 2"), "poses.txt line 2"),
    "tum: no image": ("tum", lambda f, m: [p.unlink() for p in (f / "rgb").iterdir()], "none of the 5"),
    "tum: name climbs out": ("tum", lambda f, m: _rewrite(f / "rgb.txt", "rgb/1", "../rgb/1"), "rgb.txt line 3"),
    "tum: absolute name": ("tum", lambda f, m: _rewrite(f / "depth.txt", "depth/1", "/etc/1"), "depth.txt line 3"),
    "tum: columns": ("tum", lambda f, m: _rewrite(f / "rgb.txt", " rgb/1.png", ""), "rgb.txt line 3"),
    "tum: time": ("tum", lambda f, m: _rewrite(f / "rgb.txt", "0.10", "soon"), "rgb.txt line 3"),
    "tum: unsorted": ("tum", lambda f, m: _rewrite(f / "rgb.txt", "0.10", "0.90"), "rgb.txt"),
    "tum: truth": ("tum", lambda f, m: (f / "groundtruth.txt").write_text("1 2 3\n"), "groundtruth.txt line 1"),
    "tum: truth empty": ("tum", lambda f, m: (f / "groundtruth.txt").write_text(""), "groundtruth.txt"),
    "tum: list is binary": ("tum", lambda f, m: (f / "rgb.txt").write_bytes(b"\xff\xfe\0\0"), "rgb.txt"),
    "tum: list is a folder": ("tum", lambda f, m: _folder_instead(f / "groundtruth.txt"), "groundtruth.txt"),
    "tum: other size": ("tum", lambda f, m: m.save(f / "rgb" / "0.png", m.picture(0)), "calibration"),
    "tum: associate": ("tum", lambda f, m: (f / "associate.txt").write_text("0 ../a 0 b\n"), "associate.txt line 1"),
    "7-scenes: pose": ("seven_scenes", lambda f, m: _pose(f).write_text("1 2 3\n"), "pose.txt line 1"),
    "7-scenes: scaled": ("seven_scenes", lambda f, m: np.savetxt(_pose(f), 2 * np.eye(4)), "pose.txt"),
    "7-scenes: depth size": ("seven_scenes", lambda f, m: m.save(_pose(f, "depth.png"), _depth(640, 481)), "depth.png"),
    "folder: image of another size": ("folder", lambda f, m: m.save(f / "frame9.png", m.picture(0, 63, 48)), "frame9"),
    "folder: not an image": ("folder", lambda f, m: (f / "frame8.png").write_text("hello, world"), "frame8.png"),
    "folder: no image": ("folder", lambda f, m: [p.unlink() for p in f.iterdir()], "no image"),
    "folder: images deeper": ("folder", lambda f, m: _into(f, "inner"), "inner"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _depth(width: int, height: int) -> np.ndarray:
    return np.ones((height, width), np.uint16)


def _pose(folder: Path, suffix: str = "pose.txt") -> Path:
    return folder / f"frame-000001.{suffix}"


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _into(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    for path in list(folder.glob("*.png")):
        path.rename(folder / name / path.name)


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_format_error_that_names_the_file(tmp_path, make, case):
    layout, damage, named = DAMAGE[case]
    folder = make.layouts[layout](tmp_path / "set")
    damage(folder, make)
    with pytest.raises(FormatError) as caught:
        list(open_sequence(folder))
    assert named in str(caught.value).replace("\\", "/")


def test_frames_before_the_damage_are_still_yielded(tmp_path, make):
    folder = make.clip(tmp_path)
    _cut(folder / "color" / "00009.png")
    stream = iter(open_sequence(folder))
    assert [next(stream).index, next(stream).index] == [0, 1]
    with pytest.raises(FormatError, match="00009"):
        next(stream)
    assert [f.index for f in open_sequence(folder).frames_from(3)] == [3]


@pytest.mark.parametrize(
    "content", [None, b"", b"#EXTM3U\nhttp://example.org/a.mp4\n", b"ffconcat version 1.0\nfile /etc/passwd\n"]
)
def test_sources_that_are_nothing(tmp_path, content):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=r"clip\.mp4"):
        open_sequence(path)


# ---- real sets ------------------------------------------------------------------------------------------------------


def _warp_error(a, b, camera: Camera) -> float:
    """Median relative difference between b's depth and a's depth carried into b by the poses."""
    T_b_a = np.linalg.inv(b.T_world_cam) @ a.T_world_cam
    carried = register_depth(a.depth_m, camera, camera, T_b_a)
    both = (carried > 0) & (b.depth_m > 0)
    assert both.mean() > 0.1
    return float(np.median(np.abs(carried[both] / b.depth_m[both] - 1)))


def test_the_demo_clip_is_complete_and_consistent():
    sequence = open_sequence(demo_clip_path())
    frames = list(sequence)
    assert len(frames) == len(sequence) == 130
    assert sequence.intrinsics_source == "file"
    assert all(f.depth_m is not None and f.T_world_cam is not None for f in frames)
    assert _warp_error(frames[40], frames[43], sequence.camera) < 0.01
    assert all((demo_clip_path() / name).is_file() for name in ("README.md", "LICENSE.txt"))


def test_the_photographs_carry_their_attribution():
    readme = (photos_path() / "README.md").read_text()
    photos = sorted(photos_path().glob("*.jpg"))
    assert len(photos) == 7
    for photo in photos:
        assert photo.name in readme
        assert min(read_image(photo).shape[:2]) >= 300


def test_real_tum(real_data):
    sequence = open_sequence(real_data("rgbd_tum_fr1_desk_9frames"))
    frames = list(sequence)
    assert len(frames) == 9
    assert sequence.intrinsics_source == "file"
    assert all(f.depth_m is not None and f.T_world_cam is not None for f in frames)
    assert all(0.03 < b.time_s - a.time_s < 0.04 for a, b in pairwise(frames))
    assert _warp_error(frames[0], frames[8], sequence.camera) < 0.02


def test_real_seven_scenes_as_a_clip(real_data):
    sequence = open_sequence(real_data("rgbd_7scenes_redkitchen"), every=20, max_frames=3)
    frames = list(sequence)
    assert [f.index for f in frames] == [0, 20, 40]
    assert frames[1].time_s == pytest.approx(20 / 30)
    assert _warp_error(frames[0], frames[1], sequence.camera) < 0.01


def test_real_video(real_data):
    sequence = open_sequence(real_data("video_walk") / "walk.mp4", size=212)
    assert len(sequence) == 315
    (frame,) = open_sequence(real_data("video_walk") / "walk.mp4", max_frames=1)
    assert frame.image.shape == (480, 848, 3)
    assert sequence.camera.size == (120, 212)


def test_real_photographs(real_data):
    sequence = open_sequence(real_data("nvs_fox") / "images", size=96, max_frames=2)
    assert [f.image.shape for f in sequence] == [(96, 54, 3)] * 2


@pytest.mark.parametrize("kind", ALL)
def test_only_sources_with_a_clock_are_timed(made, kind):
    assert open_sequence(made[kind]).timed == (kind in ("tum", "seven_scenes", "video"))
