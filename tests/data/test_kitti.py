"""KITTI's layouts: the projection against closed forms, lists of frames, and every damage as one error."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import kitti_world as world
from kitti_world import BASELINE, CX, CY, FOCAL, HEIGHT, WIDTH
from scenewright.data.kitti import KittiDepth, KittiRaw, read_frame_list
from scenewright.data.kitti_calibration import project_scan, read_calibration, read_day, read_scan
from scenewright.data.readers import open_reader, recognise
from scenewright.data.sequences import layout_name, open_sequence
from scenewright.errors import FormatError, InputError

DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"


class TestRaw:
    def test_a_point_straight_ahead_falls_on_the_principal_point_less_one(self, tmp_path: Path) -> None:
        """The laser stands 0.25 m behind: x = 10 is z = 9.75; pixel (CX, CY) counts from 1, so it is one less."""
        forward, z = (KittiRaw(world.raw(tmp_path), depth=d)[0].depth_m for d in ("lidar-x", "z"))
        assert forward is not None
        assert z is not None
        row, column = int(CY) - 1, int(CX) - 1
        assert (forward[row, column], z[row, column]) == (10, 9.75)
        assert np.count_nonzero(forward) == np.count_nonzero(z) == 1

    def test_an_item_holds_the_pair_and_its_calibration(self, tmp_path: Path) -> None:
        view = KittiRaw(world.raw(tmp_path))[1]
        assert view.camera is not None
        assert view.camera.numbers == (FOCAL, FOCAL, CX, CY)
        assert view.baseline_m == pytest.approx(BASELINE)
        assert view.right is not None
        assert (view.image[0, 0, 0], view.right[0, 0, 0]) == (51, 91)

    def test_the_right_picture_sees_its_own_depth(self, tmp_path: Path) -> None:
        """Camera 3 stands BASELINE to the right: the point at z = 9.75 moves left by f B / z = 4 pixels."""
        root = world.raw(tmp_path)
        (tmp_path / "list.txt").write_text(f"{DRIVE} 0 r\n")
        view = KittiRaw(root, tmp_path / "list.txt")[0]
        assert view.right is None
        assert view.depth_m is not None
        assert view.depth_m[int(CY) - 1, int(CX) - 1 - round(FOCAL * BASELINE / 9.75)] == 10

    def test_of_two_points_in_one_pixel_the_nearer_stays(self) -> None:
        P = np.array([[FOCAL, 0, CX, 0], [0, FOCAL, CY, 0], [0, 0, 1, 0]])
        T = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
        ahead = np.array([[7, 0, 0, 0], [5, 0, 0, 0], [9, 0, 0, 0]], np.float32)
        for points in (ahead, ahead[::-1]):
            depth = project_scan(points, P, T, (WIDTH, HEIGHT))
            assert depth[int(CY) - 1, int(CX) - 1] == 5

    def test_a_wall_of_points_against_brute_force(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        points = np.concatenate([rng.uniform((2, -8, -2), (30, 8, 2), (500, 3)), np.zeros((500, 1))], 1).astype("f4")
        day_folder = world.raw(tmp_path) / "2011_09_26"
        day = read_day(day_folder)
        expected = np.zeros((HEIGHT, WIDTH))
        for x, y, z, _ in points.astype(np.float64):
            u, v = (round(FOCAL * a / (x - 0.25) + c) - 1 for a, c in ((-y, CX), (-z, CY)))
            if 0 <= u < WIDTH and 0 <= v < HEIGHT and not 0 < expected[v, u] < x:
                expected[v, u] = x
        found = project_scan(points, day.P[2], day.T_cam_velo, day.size)
        np.testing.assert_allclose(found, expected.astype(np.float32))
        assert np.count_nonzero(found) > 100

    @pytest.mark.parametrize("line", [f"{DRIVE}/image_02/data/0000000001.jpg {DRIVE}/image_03/data/0000000001.jpg",
                                      f"{DRIVE} 0000000001 l", f"{DRIVE} 1 l"])  # fmt: skip
    def test_lists_of_both_forms_name_the_same_frame(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "list.txt").write_text(f"\n{line}\n")
        reader = KittiRaw(world.raw(tmp_path), tmp_path / "list.txt")
        assert [view.name for view in (reader[i] for i in range(len(reader)))] == [f"{DRIVE[11:]}_0000000001"]

    @pytest.mark.parametrize("line", ["/etc/passwd", f"../{DRIVE}/image_02/data/1.png", "a b c d", "x/image_02/1.png"])
    def test_lists_that_name_no_frame_are_refused_by_line(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "list.txt").write_text(f"{line}\n")
        with pytest.raises(FormatError, match=r"list\.txt line 1"):
            read_frame_list(tmp_path, tmp_path / "list.txt")

    def test_one_day_is_a_set_too_and_is_recognised(self, tmp_path: Path) -> None:
        root = world.raw(tmp_path)
        assert recognise(root) == recognise(root / "2011_09_26") == "kitti-raw"
        assert len(KittiRaw(root / "2011_09_26")) == len(KittiRaw(root)) == 2
        assert len(KittiRaw(root).files(0)) == 4

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda d: (d / "calib_cam_to_cam.txt").write_text("P_rect_02 1 2 3\n"), "`key: numbers`"),
            (lambda d: (d / "calib_cam_to_cam.txt").write_text("P_rect_02: 1 2 3\n"), "3 numbers"),
            (lambda d: (d / "calib_velo_to_cam.txt").write_text("R: 1 1 0 0 1 0 0 0 1\nT: 0 0 0\n"), "no rotation"),
            (lambda d: (d / "calib_velo_to_cam.txt").write_text("R: 1 0 0 0 1 0 0 0 nan\nT: 0 0 0\n"), "finite"),
            (lambda d: (d / "calib_velo_to_cam.txt").unlink(), "no such file"),
            (lambda d: scan_of(d).write_bytes(b"123"), "16 for every point"),
            (lambda d: scan_of(d).write_bytes(np.full(4, np.nan, "<f4").tobytes()), "not finite"),
            (lambda d: scan_of(d).unlink(), "no such file"),
            (lambda d: world.save(image_of(d), world.picture(1, 10, 10)), "10x10"),
            (lambda d: image_of(d).write_bytes(b"\xff\xd8\xff"), "damaged"),
        ],
    )
    def test_damage_is_one_error(self, tmp_path: Path, damage, match: str) -> None:
        reader = KittiRaw(world.raw(tmp_path, 1))
        damage(tmp_path / "2011_09_26")
        from scenewright.data import kitti

        kitti._day.cache_clear()
        with pytest.raises(FormatError, match=match):
            reader[0]

    def test_bad_options(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="lidar-x, z"):
            KittiRaw(world.raw(tmp_path), depth="range")
        with pytest.raises(FormatError, match="no day"):
            KittiRaw(tmp_path / "2011_09_26" / "2011_09_26_drive_0001_sync")
        with pytest.raises(InputError, match="options that"):
            open_reader(f"kitti-raw:{tmp_path}", colour="red")
        with pytest.raises(InputError, match="lidar-x, z"):
            project_scan(np.zeros((1, 4), np.float32), np.eye(4)[:3], np.eye(4), (4, 4), "range")


def scan_of(day: Path) -> Path:
    return next(day.glob("*/velodyne_points/data/*.bin"))


def image_of(day: Path) -> Path:
    return next(day.glob("*/image_02/data/*.png"))


def test_scans_and_calibrations_read_back(tmp_path: Path) -> None:
    world.scan(tmp_path / "a.bin", np.array([[1, 2, 3], [4, 5, 6.5]]))
    np.testing.assert_array_equal(read_scan(tmp_path / "a.bin"), [[1, 2, 3, 0.5], [4, 5, 6.5, 0.5]])
    world.calibration(tmp_path)
    assert "calib_time" not in read_calibration(tmp_path / "calib_cam_to_cam.txt")


def test_a_camera_pair_in_the_wrong_order_is_refused(tmp_path: Path) -> None:
    world.calibration(tmp_path)
    file = tmp_path / "calib_cam_to_cam.txt"
    file.write_text(
        file.read_text().replace("P_rect_02", "x").replace("P_rect_03", "P_rect_02").replace("x", "P_rect_03")
    )
    with pytest.raises(FormatError, match="baseline"):
        read_day(tmp_path)


class TestDepth:
    def selection(self, root: Path) -> Path:
        drive = "2011_09_26_drive_0002_sync"
        world.save(root / "image" / f"{drive}_image_0000000005_image_02.png", world.picture(9, 20, 10))
        depth = np.zeros((10, 20), np.uint16)
        depth[4, 5] = 256 * 7 + 128
        world.save(root / "groundtruth_depth" / f"{drive}_groundtruth_depth_0000000005_image_02.png", depth)
        (root / "intrinsics").mkdir()
        (root / "intrinsics" / f"{drive}_image_0000000005_image_02.txt").write_text("15 0 9.5 0 15 4.5 0 0 1\n")
        return root

    def test_selection(self, tmp_path: Path) -> None:
        root = self.selection(tmp_path)
        assert recognise(root) == "kitti-depth"
        view = KittiDepth(root)[0]
        assert view.depth_m is not None
        assert view.depth_m[4, 5] == 7.5
        assert view.camera is not None
        assert view.camera.numbers == (15, 15, 9.5, 4.5)

    def test_annotated_tree_with_raw_pictures(self, tmp_path: Path) -> None:
        raw = world.raw(tmp_path / "raw")
        drive = DRIVE.split("/")[1]
        folder = tmp_path / "annotated" / "train" / drive / "proj_depth" / "groundtruth"
        for camera in ("image_02", "image_03"):
            world.save(folder / camera / "0000000001.png", np.full((HEIGHT, WIDTH), 512, np.uint16))
        assert recognise(tmp_path / "annotated") == "kitti-depth"
        reader = KittiDepth(tmp_path / "annotated", raw)
        assert len(reader) == 2
        assert [int(reader[i].image[0, 0, 0]) for i in (0, 1)] == [51, 91]
        assert reader[0].depth_m is not None
        assert (reader[0].depth_m == 2).all()
        assert reader[0].camera is not None
        assert len(reader.files(0)) == 2
        with pytest.raises(FormatError, match="no such image"):
            KittiDepth(tmp_path / "annotated")[0]

    def test_sizes_and_intrinsics_are_checked(self, tmp_path: Path) -> None:
        root = self.selection(tmp_path)
        next((root / "intrinsics").iterdir()).write_text("15 0 95 0 15 4.5 0 0 1\n")
        with pytest.raises(FormatError, match="principal point"):
            KittiDepth(root)[0]
        world.save(next((root / "image").iterdir()), world.picture(9, 21, 10))
        with pytest.raises(FormatError, match="20x10"):
            KittiDepth(root)[0]
        shutil.rmtree(root / "groundtruth_depth")
        with pytest.raises(FormatError, match="no map"):
            KittiDepth(root)


class TestFilms:
    def odometry(self, root: Path) -> Path:
        folder = root / "sequences" / "07"
        for i in range(3):
            world.save(folder / "image_2" / f"{i:06d}.png", world.picture(i))
        (folder / "times.txt").write_text("0.0e+00\n1.0e-01\n2.1e-01\n")
        P = f"{FOCAL} 0 {CX} {FOCAL * 0.06} 0 {FOCAL} {CY} 0 0 0 1 0"
        (folder / "calib.txt").write_text(f"P0: {P}\nP2: {P}\n")
        (root / "poses").mkdir()
        (root / "poses" / "07.txt").write_text("".join(f"1 0 0 {i} 0 1 0 0 0 0 1 0\n" for i in range(3)))
        return folder

    def test_odometry_gives_the_pose_of_the_colour_camera(self, tmp_path: Path) -> None:
        """P2 holds +f 0.06: the colour camera stands 0.06 m to the left of camera 0, whose pose the file gives."""
        folder = self.odometry(tmp_path)
        assert layout_name(folder) == "KITTI odometry"
        frames = list(open_sequence(folder))
        assert [f.time_s for f in frames] == [0, 0.1, 0.21]
        positions = [f.T_world_cam[:3, 3] for f in frames if f.T_world_cam is not None]
        np.testing.assert_allclose(positions, [[i - 0.06, 0, 0] for i in range(3)], atol=1e-12)

    @pytest.mark.parametrize(
        ("file", "text", "match"),
        [
            ("times.txt", "0\n1\n", "2 lines"),
            ("times.txt", "0\n1\n1\n", "increasing"),
            ("calib.txt", "P0: 1 2\n", "P2"),
            ("../../poses/07.txt", "2 0 0 0 0 1 0 0 0 0 1 0\n" * 3, "no rotation"),
        ],
    )
    def test_damaged_lists(self, tmp_path: Path, file: str, text: str, match: str) -> None:
        folder = self.odometry(tmp_path)
        (folder / file).write_text(text)
        with pytest.raises(FormatError, match=match):
            open_sequence(folder)

    def test_clip_with_laser_depth(self, tmp_path: Path) -> None:
        world.save(tmp_path / "image_02" / "000000.png", world.picture(3))
        world.save(tmp_path / "image_02" / "000001.png", world.picture(4))
        world.save(tmp_path / "depth_velodyne" / "000001.png", np.full((HEIGHT, WIDTH), 256 * 20, np.uint16))
        (tmp_path / "calib.txt").write_text(f"{WIDTH} {HEIGHT} 72 72 61 17\n")
        first, second = open_sequence(tmp_path)
        assert first.depth_m is None
        assert second.depth_m is not None
        assert (second.depth_m == 20).all()
        assert second.time_s == 0.1

    def test_real_highway(self, real_data) -> None:
        sequence = open_sequence(real_data("mono_kitti_highway"), every=10)
        assert len(sequence) == 5
        depth_m = next(iter(sequence)).depth_m
        assert depth_m is not None
        known = depth_m[depth_m > 0]
        assert 0.08 < known.size / depth_m.size < 0.2
        assert 3 < np.median(known) < 30
        assert known.max() < 130
