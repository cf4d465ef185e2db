"""Data sets of single files and folders, on miniatures that the tests write: values, units, and every damage."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from kitti_world import picture, save
from scenewright.data import h5, matlab
from scenewright.data.ddff import Ddff
from scenewright.data.diw import Diw, parse_pair
from scenewright.data.items import View
from scenewright.data.make3d import Make3d
from scenewright.data.matlab import read_mat
from scenewright.data.nyu import NyuLabelled
from scenewright.data.nyu_pairs import OFFICIAL_ROOT, NyuPairs
from scenewright.data.pfm import read_pfm, write_pfm
from scenewright.data.readers import open_reader, reader_fingerprint, recognise
from scenewright.data.stereo import StereoPairs
from scenewright.errors import FormatError, InputError


class TestPfm:
    def test_round_trip_and_row_order(self, tmp_path: Path) -> None:
        values = np.arange(12, dtype=np.float32).reshape(3, 4)
        write_pfm(tmp_path / "a.pfm", values)
        np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), values)
        assert (tmp_path / "a.pfm").read_bytes().endswith(values[0].astype("<f4").tobytes())

    def test_big_endian_colour_and_unknown(self, tmp_path: Path) -> None:
        values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
        values[0, 1, 2] = np.inf
        (tmp_path / "a.pfm").write_bytes(b"PF 2 1 1.0\n" + values.astype(">f4").tobytes())
        np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), [[[0, 1, 2], [3, 4, 0]]])

    @pytest.mark.parametrize(
        ("data", "match"),
        [
            (b"P6 2 2 255\n", "a PFM"),
            (b"Pf 2 2 -1.0\n" + bytes(15), "15 bytes"),
            (b"Pf 60000 60000 -1.0\n", "60000x60000"),
            (b"Pf 0 4 -1.0\n", "0x4"),
            (b"Pf 1 1 e\n1234", "a finite number"),
            (b"Pf 1 1 -1.0\n" + struct.pack("<f", float("nan")), "no numbers"),
        ],
    )
    def test_damage(self, tmp_path: Path, data: bytes, match: str) -> None:
        (tmp_path / "a.pfm").write_bytes(data)
        with pytest.raises(FormatError, match=match):
            read_pfm(tmp_path / "a.pfm")

    def test_only_maps_are_written(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="array"):
            write_pfm(tmp_path / "a.pfm", np.zeros(3, np.float32))


class TestMatlab:
    def test_values_come_through_compressed_or_not(self, tmp_path: Path) -> None:
        values = np.arange(6.0).reshape(2, 3)
        for name, packed in (("a", True), ("b", False)):
            scipy.io.savemat(tmp_path / f"{name}.mat", {"x": values, "s": {"f": 1}}, do_compression=packed)
            np.testing.assert_array_equal(read_mat(tmp_path / f"{name}.mat", ("x",))["x"], values)
            with pytest.raises(FormatError, match="nothing"):
                read_mat(tmp_path / f"{name}.mat", ("s",))  # a structure never reaches SciPy

    def test_a_bomb_is_not_inflated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros(1_000_000)}, do_compression=True)
        assert (tmp_path / "a.mat").stat().st_size < 20_000
        monkeypatch.setattr(matlab, "MAX_BYTES", 100_000)
        with pytest.raises(FormatError, match="above 100000"):
            read_mat(tmp_path / "a.mat", ("x",))

    def test_damage_anywhere_is_one_error_or_no_change(self, tmp_path: Path) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"x": np.arange(20.0)}, do_compression=False)
        whole = (tmp_path / "a.mat").read_bytes()
        rng = np.random.default_rng(1)
        for _ in range(200):
            data = bytearray(whole)
            data[int(rng.integers(124, len(data)))] ^= int(rng.integers(1, 256))
            (tmp_path / "b.mat").write_bytes(data[: int(rng.integers(100, len(data) + 1))])
            try:
                read_mat(tmp_path / "b.mat", ("x",))
            except FormatError:
                continue

    def test_what_is_refused(self, tmp_path: Path) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"x": np.array([1.0, np.nan]), "c": np.array([1j]), "t": "text"})
        for name, match in (("x", "NaN"), ("c", "no array"), ("t", "nothing"), ("y", "nothing")):
            with pytest.raises(FormatError, match=match):
                read_mat(tmp_path / "a.mat", (name,))
        (tmp_path / "b.mat").write_bytes(b"MATLAB 7.3" + bytes(200))
        with pytest.raises(FormatError, match=r"MATLAB 5\.0"):
            read_mat(tmp_path / "b.mat", ("x",))
        packed = zlib.compress(b"\0" * 64)
        header = (tmp_path / "a.mat").read_bytes()[:128]
        (tmp_path / "b.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
        with pytest.raises(FormatError, match="no whole matrix"):
            read_mat(tmp_path / "b.mat", ("x",))


def nyu(path: Path, count: int = 3) -> Path:
    """Pictures whose red tells the number and green the column, and depth = row / 10 + number."""
    images = np.zeros((count, 3, 8, 6), np.uint8)  # (N, 3, W, H) as h5py shows MATLAB's arrays
    images[:, 0] = np.arange(count)[:, None, None]
    images[:, 1] = np.arange(8)[None, :, None]
    depths = np.broadcast_to(np.arange(6) / 10, (count, 8, 6)) + np.arange(count)[:, None, None]
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("images", data=images, compression="gzip")
        file["depths"], file["rawDepths"] = depths.astype("f4"), 0 * depths.astype("f4")
    return path


class TestNyu:
    def test_items_are_upright(self, tmp_path: Path) -> None:
        reader = NyuLabelled(nyu(tmp_path / "a.mat"))
        view = reader[2]
        assert recognise(tmp_path / "a.mat") == "nyu"
        assert (len(reader), view.image.shape) == (3, (6, 8, 3))
        assert view.image[4, 7].tolist() == [2, 7, 0]
        assert view.depth_m is not None
        np.testing.assert_allclose(view.depth_m[:, 3], 2 + np.arange(6) / 10, rtol=1e-6)
        assert NyuLabelled(tmp_path / "a.mat", raw=True)[0].depth_m.max() == 0  # type: ignore[union-attr]
        assert NyuLabelled(tmp_path / "a.mat").files(0) == (tmp_path / "a.mat",)

    def test_splits_count_from_one(self, tmp_path: Path) -> None:
        nyu(tmp_path / "a.mat")
        scipy.io.savemat(tmp_path / "splits.mat", {"testNdxs": [[3], [1]], "trainNdxs": [[4]]})
        test = NyuLabelled(tmp_path / "a.mat", "test")
        assert [test[i].name for i in range(len(test))] == ["0003", "0001"]
        with pytest.raises(FormatError, match="from 4 to 4"):
            NyuLabelled(tmp_path / "a.mat", "train")
        with pytest.raises(InputError, match="all, train or test"):
            NyuLabelled(tmp_path / "a.mat", "val")
        with pytest.raises(InputError, match="no such file"):
            NyuLabelled(tmp_path / "a.mat", "test", tmp_path / "other.mat")

    def test_damage(self, tmp_path: Path) -> None:
        path = nyu(tmp_path / "a.mat")
        whole = path.read_bytes()
        path.write_bytes(whole[:1500])
        with pytest.raises(FormatError, match="damaged HDF5"):
            NyuLabelled(path)
        with h5py.File(path, "w") as file:
            file["images"], file["depths"] = np.zeros((2, 3, 8, 6), "u1"), np.zeros((2, 8, 7), "f4")
        with pytest.raises(FormatError, match="with depths"):
            NyuLabelled(path)
        with h5py.File(path, "w") as file:
            file["images"], file["depths"] = np.zeros((1, 3, 8, 6), "u1"), np.full((1, 8, 6), -1.0)
        with pytest.raises(FormatError, match="metres >= 0"):
            NyuLabelled(path)[0]
        with h5py.File(path, "w") as file:
            file["images"], file["depths"] = np.zeros((1, 3, 8, 6), "u1"), np.full((1, 8, 6), np.nan)
        with pytest.raises(FormatError, match="NaN"):
            NyuLabelled(path)[0]


class TestH5:
    """What could lead out of the file, or beyond memory, is refused before anything is read."""

    def write(self, path: Path, kind: str) -> Path:
        with h5py.File(path, "w") as file:
            if kind == "external link":
                file["x"] = h5py.ExternalLink("/etc/passwd", "/y")
            elif kind == "soft link":
                file["y"] = np.zeros((2, 2))
                file["x"] = h5py.SoftLink("/y")
            elif kind == "external storage":
                file.create_dataset("x", (2, 2), "f4", external=[("/etc/passwd", 0, 16)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((2, 2), "f4")
                layout[0] = h5py.VirtualSource("other.h5", "x", (2,))
                file.create_virtual_dataset("x", layout)
            elif kind == "group":
                file.create_group("x")
            elif kind == "text":
                file["x"] = np.array([[b"a", b"b"]])
            elif kind == "huge item":
                file.create_dataset("x", (1, 1 << 30), "f8", chunks=(1, 1024))
            elif kind == "huge chunk":
                file.create_dataset("x", (100_000, 4000), "f8", chunks=(20_000, 4000), compression="gzip")
            elif kind == "empty":
                file["x"] = np.zeros((0, 2))
        return path

    @pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual", "group", "text",
                                      "huge item", "huge chunk", "empty", "nothing"])  # fmt: skip
    def test_refused(self, tmp_path: Path, kind: str) -> None:
        path = self.write(tmp_path / "a.h5", kind)
        with pytest.raises(FormatError), h5.opened(path) as file:
            h5.array(file, "x", 2)

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        (tmp_path / "a.h5").write_bytes(b"no" * 999)
        assert not h5.is_h5(tmp_path / "a.h5")
        assert not h5.is_h5(tmp_path)
        with pytest.raises(FormatError, match="damaged HDF5"), h5.opened(tmp_path / "a.h5"):
            pass


class TestDdff:
    def write(self, path: Path, key: str = "stack_val") -> Path:
        stacks = np.arange(2 * 10 * 5 * 7 * 3).reshape(2, 10, 5, 7, 3).astype(np.uint8)
        disp = np.full((2, 5, 7), 0.1, np.float32)
        disp[0, 0, :4] = 0.2825, 0.0202, 0.0201, 0.3
        with h5py.File(path, "w") as file:
            file[key], file["disp_val"] = stacks, disp
        return path

    @pytest.mark.parametrize("key", ["stack_val", "stacks_val"])
    def test_depth_and_focus(self, tmp_path: Path, key: str) -> None:
        """0.2825 px is 0.5 m, 0.0202 px is 6.99 m; beyond is unknown. Slices are spaced by 0.029144 px of disparity."""
        reader = Ddff(self.write(tmp_path / "a.h5", key))
        stack = reader[0]
        assert recognise(tmp_path / "a.h5") == "ddff"
        assert stack.depth_m is not None
        np.testing.assert_allclose(stack.depth_m[0, :5], [0.5, 6.9926, 0, 0, 1.4125], rtol=1e-4)
        np.testing.assert_allclose(np.diff(0.14125 / stack.focus_m), -0.029144, atol=1e-6)
        assert stack.focus_m[0] == pytest.approx(0.5)
        assert stack.stack.shape == (10, 5, 7, 3)
        assert stack.image.shape == (5, 7, 3)
        with pytest.raises(IndexError):
            reader[2]

    def test_without_truth_and_damaged(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["stack_test"] = np.zeros((1, 3, 4, 4, 3), np.uint8)
        assert Ddff(tmp_path / "a.h5")[0].depth_m is None
        with pytest.raises(InputError, match="train, val, test"):
            Ddff(tmp_path / "a.h5", "other")
        with pytest.raises(FormatError, match="stack_val"):
            Ddff(tmp_path / "a.h5", "val")
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file["disp_test"] = np.zeros((1, 4, 5), np.float32)
        with pytest.raises(FormatError, match="disp_test"):
            Ddff(tmp_path / "a.h5")


class TestMake3d:
    def write(self, root: Path) -> Path:
        grid = np.zeros((55, 305, 4))
        grid[..., 3] = np.arange(55)[:, None] + 1.0
        for split, name in (("Train400", "a"), ("Test134", "b")):
            save(root / f"{split}Img" / f"img-{name}.jpg", picture(80, 170, 227))
            (root / f"{split}Depth").mkdir()
            scipy.io.savemat(root / f"{split}Depth" / f"depth_sph_corr-{name}.mat", {"Position3DGrid": grid})
        return root

    def test_grid_is_stretched_by_nearest(self, tmp_path: Path) -> None:
        reader = Make3d(self.write(tmp_path))
        view = reader[0]
        assert recognise(tmp_path) == "make3d"
        assert (len(reader), view.image.shape, view.camera) == (2, (460, 345, 3), None)
        assert view.depth_m is not None
        expected = np.floor(np.arange(460) * 55 / 460) + 1
        np.testing.assert_array_equal(view.depth_m[:, 7], expected.astype(np.float32))
        assert [Make3d(tmp_path, s)[0].name for s in ("train", "test")] == ["a", "b"]
        assert len(reader.files(0)) == 2

    def test_damage(self, tmp_path: Path) -> None:
        self.write(tmp_path)
        with pytest.raises(InputError, match="all, train or test"):
            Make3d(tmp_path, "val")
        (tmp_path / "Train400Img" / "img-a.jpg").unlink()
        assert Make3d(tmp_path).unpaired == 1
        with pytest.raises(FormatError, match="0 images and 1 depths"):
            Make3d(tmp_path, "train")
        file = tmp_path / "Test134Depth" / "depth_sph_corr-b.mat"
        scipy.io.savemat(file, {"Position3DGrid": np.ones((3, 3, 4))})
        with pytest.raises(FormatError, match=r"\(3, 3, 4\)"):
            Make3d(tmp_path)[0]
        assert recognise(tmp_path / "Test134Img") is None


class TestDiw:
    def test_pairs_count_from_zero_and_say_which_is_nearer(self, tmp_path: Path) -> None:
        save(tmp_path / "images" / "1.png", picture(4, 30, 20))
        (tmp_path / "images" / "1.png").rename(tmp_path / "images" / "1.thumb")
        (tmp_path / "DIW_test.csv").write_text(
            "./images/1.thumb\n20,30,1,1,'>',30,20\n./images/1.thumb\n2,3,4,5,<,30,20\n"
        )
        assert recognise(tmp_path / "DIW_test.csv") == "diw"
        reader = Diw(tmp_path / "DIW_test.csv")
        assert reader[0].points.tolist() == [[[19, 29], [0, 0]]]
        assert reader[0].relation.tolist() == [-1]  # A is farther
        assert reader[1].relation.tolist() == [1]
        assert len(reader.files(0)) == 2

    @given(st.lists(st.integers(1, 50), min_size=4, max_size=4), st.sampled_from("<>"))
    def test_every_legal_pair_is_read(self, points: list[int], relation: str) -> None:
        found = parse_pair(",".join(map(str, points)) + f",{relation},50,50", "x")
        assert [n + 1 for n in found[:4]] == points
        assert found[4:] == ({"<": 1, ">": -1}[relation], 50, 50)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "1,1,1,1,=,9,9",
            "0,1,1,1,<,9,9",
            "1,10,1,1,<,9,9",
            "1,1,10,1,<,9,9",
            "1,1,1,1,<,9",
            "1.5,1,1,1,<,9,9",
            "-1,1,1,1,<,9,9",
            "1,1,1,1,<,99999,0",
        ],
    )
    def test_bad_lines(self, line: str) -> None:
        with pytest.raises(FormatError, match="line 7"):
            parse_pair(line, "list line 7")

    def test_damage(self, tmp_path: Path) -> None:
        list_ = tmp_path / "a.csv"
        list_.write_text("x.png\n1,1,2,2,<,9,9\nrest\n")
        with pytest.raises(FormatError, match="3 lines"):
            Diw(list_)
        list_.write_text("../x.png\n1,1,2,2,<,9,9\n")
        with pytest.raises(FormatError, match="line 1"):
            Diw(list_)
        save(tmp_path / "x.png", picture(4, 30, 20))
        list_.write_text("x.png\n1,1,2,2,<,9,9\n")
        with pytest.raises(FormatError, match="30x20"):
            Diw(list_)[0]
        (tmp_path / "b.csv").write_text("a,b\nc,d\n")
        assert recognise(tmp_path / "b.csv") is None


class TestNyuPairs:
    TITLE, FIRST, SECOND = "name,,pairs", "1.png,a,2,,", "../../data/b/2.png,a,1,,"

    def write(self, folder: Path, *lines: str) -> Path:
        for name in ("1.png", "b/2.png"):
            save(folder / name, picture(4, 30, 20))
        (folder / "list.csv").write_text("\n".join(lines) + "\n")
        return folder / "list.csv"

    @pytest.mark.parametrize("title", [[TITLE], []])
    def test_pairs_of_every_image_count_from_zero(self, tmp_path: Path, title: list[str]) -> None:
        lines = [self.FIRST, "20,30,1,1,>", '2,3,4,5,"<"', self.SECOND, "6,7,8,9,=,,"]
        path = self.write(tmp_path, *title, *lines)
        assert recognise(path) == "nyu-pairs"
        reader = NyuPairs(path)
        assert [reader[i].name for i in range(len(reader))] == ["1.png", "2.png"]
        assert reader[0].points.tolist() == [[[19, 29], [0, 0]], [[1, 2], [3, 4]]]
        assert reader[0].relation.tolist() == [-1, 1]  # the first is farther, then nearer
        assert (reader[1].points.tolist(), reader[1].relation.tolist()) == ([[[5, 6], [7, 8]]], [0])
        assert reader.files(1) == (path, tmp_path / "b" / "2.png")  # as the official scripts would find it
        assert OFFICIAL_ROOT in path.read_text()

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([FIRST, "1,1,2,2,<"], "line 1: found 2 pairs announced, 1 lines left"),
            ([FIRST, "1,1,2,2,<", SECOND], "line 3: found"),  # a pair is missing
            ([SECOND, "1,1,2,2,<", "1,1,2,2,<"], "line 3: found"),  # one too many
            ([TITLE, TITLE, SECOND, "1,1,2,2,<"], "line 2: found 'name,,pairs'"),
            ([SECOND, "1,1,2,2,<,9,9"], "line 2: found"),
            ([SECOND, "1,1,2,2,!"], "line 2: found"),
            ([SECOND, "1.5,1,2,2,<"], "line 2: found"),
            ([SECOND, "0,1,2,2,<"], "line 2: found"),
            (["../2.png,a,1", "1,1,2,2,<"], "line 1: found the name"),
            ([TITLE], "found no image"),
        ],
    )
    def test_what_is_wrong_is_named_by_its_line(self, tmp_path: Path, lines: list[str], message: str) -> None:
        with pytest.raises(FormatError, match=message):
            NyuPairs(self.write(tmp_path, *lines))

    @pytest.mark.parametrize("pair", ["21,1,1,1,<", "1,31,1,1,<", "1,1,21,1,<", "1,1,1,31,<"])
    def test_points_lie_in_their_image(self, tmp_path: Path, pair: str) -> None:
        reader = NyuPairs(self.write(tmp_path, self.SECOND, pair))
        with pytest.raises(FormatError, match=r"a point outside the 30x20 of 2\.png"):
            reader[0]

    def test_other_lists_are_not_taken_for_one(self, tmp_path: Path) -> None:
        assert recognise(self.write(tmp_path, "1.png", "1,1,2,2,<,30,20")) == "diw"
        for lines in (["a,b", "c,d"], [self.FIRST, "1,1,2,2,!"], [self.FIRST], ["1,1,2,2,<"]):
            assert recognise(self.write(tmp_path, *lines)) is None


def middlebury(folder: Path) -> Path:
    for name, level in (("im0", 10), ("im1", 20)):
        save(folder / f"{name}.png", picture(level, 30, 20))
    disp = np.full((20, 30), 4.0, np.float32)
    disp[0, 0] = np.inf
    write_pfm(folder / "disp0.pfm", disp)
    cam = "[50 0 14; 0 50 9; 0 0 1]"
    (folder / "calib.txt").write_text(f"cam0={cam}\ncam1={cam}\ndoffs=6\nbaseline=200\nwidth=30\nheight=20\nndisp=9\n")
    return folder


class TestStereo:
    def test_middlebury_depth_counts_the_offset(self, tmp_path: Path) -> None:
        """z = f B / (d + doffs) = 50 x 0.2 / 10 = 1 m."""
        middlebury(tmp_path / "scene")
        assert recognise(tmp_path) == recognise(tmp_path / "scene") == "stereo"
        view = StereoPairs(tmp_path)[0]
        assert view.depth_m is not None
        assert view.depth_m[0].tolist()[:2] == [0, 1]
        assert (view.name, view.baseline_m) == ("scene", 0.2)
        assert view.right is not None
        assert view.right[0, 0, 0] == 20
        assert len(StereoPairs(tmp_path).files(0)) == 4

    def test_a_pair_without_calibration_has_disparity_only(self, tmp_path: Path) -> None:
        for name in ("left", "right"):
            save(tmp_path / f"{name}.jpg", picture(10, 30, 20))
        save(tmp_path / "disp.png", np.full((20, 30), 640, np.uint16))
        view = StereoPairs(tmp_path)[0]
        assert (view.depth_m, view.baseline_m, view.camera) == (None, None, None)
        assert view.disp_px is not None
        assert (view.disp_px == 2.5).all()

    def test_kitti_2015(self, tmp_path: Path) -> None:
        """z = f B / d = 72 x 0.54 / 4 = 9.72 m."""
        root = tmp_path / "training"
        for camera in (2, 3):
            for name in ("000000_10", "000000_11"):
                save(root / f"image_{camera}" / f"{name}.png", picture(camera, 30, 20))
        save(root / "disp_noc_0" / "000000_10.png", np.full((20, 30), 4 * 256, np.uint16))
        (root / "calib_cam_to_cam").mkdir()
        rows = (f"P_rect_0{c}: 72 0 14 {-72 * x} 0 72 9 0 0 0 1 0\n" for c, x in ((2, 0.0), (3, 0.54)))
        (root / "calib_cam_to_cam" / "000000.txt").write_text("".join(rows))
        assert recognise(tmp_path) == "stereo"
        reader = StereoPairs(tmp_path)
        assert len(reader) == 1
        assert reader[0].depth_m is not None
        np.testing.assert_allclose(reader[0].depth_m, 9.72, rtol=1e-6)
        assert len(reader.files(0)) == 3

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("cam0=[1 0 1; 0 1 1; 0 0 1]\n", "nothing usable"),
            ("cam0=[x]\ndoffs=1\nbaseline=1\nwidth=30\nheight=20\n", "finite number"),
            ("cam0=[50 0 14; 0 50 9; 0 0 1]\ndoffs=1\nbaseline=1\nwidth=31\nheight=20\n", "31x20"),
            ("cam0=[50 0 14; 0 50 9; 0 0 1]\ndoffs=1\nbaseline=0\nwidth=30\nheight=20\n", "baseline 0"),
            ("cam0=[50 0 99; 0 50 9; 0 0 1]\ndoffs=1\nbaseline=9\nwidth=30\nheight=20\n", "principal point"),
        ],
    )
    def test_damaged_calibration(self, tmp_path: Path, text: str, match: str) -> None:
        middlebury(tmp_path)
        (tmp_path / "calib.txt").write_text(text)
        with pytest.raises(FormatError, match=match):
            StereoPairs(tmp_path)[0]

    def test_maps_must_fit(self, tmp_path: Path) -> None:
        middlebury(tmp_path)
        write_pfm(tmp_path / "disp0.pfm", np.ones((20, 31), np.float32))
        with pytest.raises(FormatError, match="31x20"):
            StereoPairs(tmp_path)[0]
        write_pfm(tmp_path / "disp0.pfm", -np.ones((20, 30), np.float32))
        with pytest.raises(FormatError, match="disparities >= 0"):
            StereoPairs(tmp_path)[0]
        save(tmp_path / "im1.png", picture(20, 29, 20))
        with pytest.raises(FormatError, match="29x20"):
            StereoPairs(tmp_path)[0]
        (tmp_path / "im1.png").unlink()
        with pytest.raises(FormatError, match="no pair"):
            StereoPairs(tmp_path)

    def test_real_pairs_match_photometrically(self, real_data) -> None:
        reader = StereoPairs(real_data("stereo_middlebury"))
        views = {view.name: view for view in (reader[i] for i in range(len(reader)))}
        assert set(views) == {"aloe", "motorcycle"}
        assert views["aloe"].depth_m is None
        for view in views.values():
            assert photometric_error(view) < 0.5 * photometric_error(view, 7.0)
        depth_m = views["motorcycle"].depth_m
        assert depth_m is not None
        assert 1.5 < depth_m[depth_m > 0].min() < depth_m.max() < 6.0


def photometric_error(view: View, shift: float = 0.0) -> float:
    """Median difference between the left picture and the right one sampled at x - disparity - shift."""
    assert view.disp_px is not None
    assert view.right is not None
    v, u = np.mgrid[: view.image.shape[0], : view.image.shape[1]].astype(np.float32)
    warped = cv2.remap(view.right, u - view.disp_px - np.float32(shift), v, cv2.INTER_LINEAR)
    known = (view.disp_px > 0) & (u - view.disp_px - shift > 0)
    return float(np.median(np.abs(warped.astype(int) - view.image)[known]))


class TestDoor:
    def test_named_kinds_and_nothing(self, tmp_path: Path) -> None:
        middlebury(tmp_path / "scene")
        for source in (tmp_path, f"stereo:{tmp_path}", f"reader:{tmp_path}"):
            assert open_reader(source)[0] == "stereo"
        with pytest.raises(FormatError, match="nothing"):
            open_reader(tmp_path / "absent")
        (tmp_path / "empty").mkdir()
        with pytest.raises(FormatError, match="no data set"):
            open_reader(tmp_path / "empty")
        with pytest.raises(FormatError, match="no pair"):
            open_reader(f"stereo:{tmp_path / 'empty'}")

    def test_fingerprint_follows_contents_not_places(self, tmp_path: Path) -> None:
        first, second = (StereoPairs(middlebury(tmp_path / f / "scene")) for f in "ab")
        assert reader_fingerprint(first) == reader_fingerprint(second)
        save(tmp_path / "b" / "scene" / "im1.png", picture(21, 30, 20))
        assert reader_fingerprint(first) != reader_fingerprint(second)
