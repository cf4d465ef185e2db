"""PhotoTour's patches, planes with homographies, pairs of RGB-D frames: what is stored comes back, damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import feature_sets as sets
from scenewright.data.homography_pairs import HomographyPairs, read_homography
from scenewright.data.images import read_header, read_image
from scenewright.data.items import HomographyPair, PatchPair
from scenewright.data.photo_tour import PhotoTour
from scenewright.data.readers import open_reader, reader_fingerprint
from scenewright.data.rgbd_pairs import RgbdPairs
from scenewright.errors import FormatError, InputError


class TestBitmaps:
    """BMP and Netpbm are known by content and refused before a decoder sees them."""

    @pytest.mark.parametrize("name", ["a.bmp", "a.ppm"])
    def test_colour_comes_back(self, tmp_path: Path, name: str) -> None:
        picture = sets.squares(1, 31, 17)
        path = sets.save(tmp_path / name, picture)
        np.testing.assert_array_equal(read_image(path), picture)
        header = read_header(path)
        assert (header.width, header.height, header.channels, header.bits) == (31, 17, 3, 8)

    @pytest.mark.parametrize("name", ["a.bmp", "a.pgm"])
    def test_grey_is_repeated(self, tmp_path: Path, name: str) -> None:
        grey = sets.squares(1, 30, 17)[..., 0]
        image = read_image(sets.save(tmp_path / name, grey))
        assert all(np.array_equal(image[..., k], grey) for k in range(3))
        assert read_header(tmp_path / name).channels == 1

    def test_comments_and_any_blanks(self, tmp_path: Path) -> None:
        (tmp_path / "a.ppm").write_bytes(b"P6 # made by hand\n# and more\n2\t1\n255\n" + bytes(range(6)))
        assert read_image(tmp_path / "a.ppm").tolist() == [[[0, 1, 2], [3, 4, 5]]]

    @pytest.mark.parametrize(
        ("data", "match"),
        [(b"P6 2 1 255\n" + bytes(5), "5 bytes of pixels, 6 promised"), (b"P6 2 1 65535\n" + bytes(12), "255"),
         (b"P6 0 1 255\n", "1 to 64 million"), (b"P3 1 1 255\n1 2 3\n", "begins with"), (b"P6 2 x 255\n", "width"),
         (b"P5 99999 99999 255\n", "promised"), (b"P6 2", "width"), (b"P6 2 1 255", "width"),
         (b"P6 " + b"# " * 50_000, "width"), (b"P6 " + b" " * 200_000, "width")],
    )  # fmt: skip
    def test_bad_netpbm(self, tmp_path: Path, data: bytes, match: str) -> None:
        (tmp_path / "a.ppm").write_bytes(data)
        with pytest.raises(FormatError, match=match):
            read_image(tmp_path / "a.ppm")

    @pytest.mark.parametrize(
        ("place", "value", "match"),
        [(18, 2**30, "promised"), (22, -(2**30), "promised"), (18, -7, "1 to 64"), (18, 0, "1 to 64"),
         (30, 1, "compression 1"), (10, 2**31, "promised"), (14, 12, "not a plain"), (26, 7, "not a plain")],
    )  # fmt: skip
    def test_bad_bitmaps(self, tmp_path: Path, place: int, value: int, match: str) -> None:
        path = sets.save(tmp_path / "a.bmp", sets.squares(0, 8, 8))
        data = bytearray(path.read_bytes())
        data[place : place + 4] = int(value).to_bytes(4, "little", signed=value < 0)
        path.write_bytes(data)
        with pytest.raises(FormatError, match=match):
            read_image(path)


class TestPhotoTour:
    def test_pairs_are_the_patches_of_the_list(self, tmp_path: Path) -> None:
        reader = PhotoTour(sets.photo_tour(tmp_path, 300, 40))
        assert len(reader) == 40
        assert [reader[k].same for k in range(4)] == [True, False, True, False]
        for k in (0, 1, 39):
            numbers = [int(t) for t in (tmp_path / "m50_40_40_0.txt").read_text().splitlines()[k].split()]
            pair = reader[k]
            assert isinstance(pair, PatchPair)
            np.testing.assert_array_equal(pair.image, sets.patch(numbers[0]))
            np.testing.assert_array_equal(pair.second, sets.patch(numbers[3]))
        np.testing.assert_array_equal(reader.patch(299), sets.patch(299))  # on the second sheet
        assert len(reader.points) == 300

    def test_the_usual_list_is_preferred_and_any_can_be_named(self, tmp_path: Path) -> None:
        sets.photo_tour(tmp_path)
        (tmp_path / "m50_100000_100000_0.txt").write_text("0 100 0 1 100 0\n")
        assert len(PhotoTour(tmp_path)) == 1
        assert len(PhotoTour(tmp_path, "m50_12_12_0.txt")) == 12
        assert len(open_reader(tmp_path, matches="m50_12_12_0.txt")[1]) == 12
        with pytest.raises(FormatError, match="below the list"):
            PhotoTour(tmp_path, "../m50_12_12_0.txt")

    def test_files_are_those_behind_a_pair(self, tmp_path: Path) -> None:
        reader = PhotoTour(sets.photo_tour(tmp_path, 300, 40))
        assert {f.name for f in reader.files(0)} == {"info.txt", "m50_40_40_0.txt", "patches0000.bmp"}
        before = reader_fingerprint(reader)
        assert before == reader_fingerprint(PhotoTour(tmp_path))
        (tmp_path / "patches0000.bmp").write_bytes((tmp_path / "patches0001.bmp").read_bytes())
        assert reader_fingerprint(reader) != before

    @pytest.mark.parametrize(
        ("name", "text", "match"),
        [
            ("info.txt", "100 0\n" * 300, "300 patches and 1 sheets"),
            ("info.txt", "100 0\n\n101 0\n", "line 2"),
            ("info.txt", "-1 0\n", "line 1"),
            ("info.txt", "1.5 0\n", "line 1"),
            ("info.txt", "1e3 0\n", "line 1"),
            ("info.txt", "99999999999999999999 0\n", "line 1"),
            ("info.txt", "100 0\n" * 20, "point 100, expected|point 100"),
            ("info.txt", "\n\n", "0 lines"),
            ("m50_12_12_0.txt", "0 100 0 1 100\n", "5 columns"),
            ("m50_12_12_0.txt", "0 100 0 1 100 0 0\n", "7 columns"),
            ("m50_12_12_0.txt", "0 100 0 20 110 0\n", "no such patch"),
            ("m50_12_12_0.txt", "0 100 0 1 101 0\n", "info.txt has point 100"),
            ("m50_12_12_0.txt", "0 100 0 -1 100 0\n", "whole numbers"),
            ("m50_12_12_0.txt", "0 100 0 nan 100 0\n", "whole numbers"),
            ("m50_12_12_0.txt", "0 100 0 ١ 100 0\n", "whole numbers"),
            ("m50_12_12_0.txt", "0 100 0 1 100 0\n\n0 100 0 1 100 0\n", "line 2"),
        ],
    )
    def test_lists_that_are_wrong(self, tmp_path: Path, name: str, text: str, match: str) -> None:
        (sets.photo_tour(tmp_path) / name).write_text(text)
        with pytest.raises(FormatError, match=match):
            PhotoTour(tmp_path)

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda f: (f / "patches0000.bmp").unlink(), "0 sheets"),
            (lambda f: sets.save(f / "patches0000.bmp", np.zeros((512, 1024), np.uint8)), "1024x512"),
            (lambda f: sets.save(f / "patches0001.bmp", np.zeros((1024, 1024), np.uint8)), "2 sheets"),
            (lambda f: (f / "m50_12_12_0.txt").unlink(), "no list"),
            (lambda f: (f / "info.txt").unlink(), "no such file"),
            (lambda f: (f / "patches0000.bmp").rename(f / "patches0007.bmp"), "no such file"),
        ],
    )
    def test_sets_that_are_not_whole(self, tmp_path: Path, damage: Callable[[Path], object], match: str) -> None:
        damage(sets.photo_tour(tmp_path))
        with pytest.raises(FormatError, match=match):
            PhotoTour(tmp_path)[0]


NUMBERED = {1: "img1.ppm", 2: "img2.ppm", 6: "img6.ppm"}


class TestHomographies:
    def test_hpatches(self, tmp_path: Path) -> None:
        name, reader = open_reader(sets.hpatches(tmp_path))
        assert name == "homographies"
        assert len(reader) == 4
        pairs = [reader[k] for k in range(4)]
        assert [p.name for p in pairs] == [
            "i_ajuntament 1-2", "i_ajuntament 1-3", "v_abstract 1-2", "v_abstract 1-3"
        ]  # fmt: skip
        for pair, seed in zip(pairs, (0, 0, 1, 1)):
            assert isinstance(pair, HomographyPair)
            np.testing.assert_array_equal(pair.image, sets.squares(seed))
            np.testing.assert_allclose(pair.H_second_first, sets.PLANE)
            again = cv2.warpPerspective(pair.image, pair.H_second_first, (160, 120))
            assert np.abs(again.astype(int) - pair.second).max() <= 1
        assert [f.name for f in reader.files(1)] == ["H_1_3", "1.ppm", "3.ppm"]

    @pytest.mark.parametrize(
        ("pictures", "homography"),
        [(NUMBERED, "H1to{}p"), ({1: "img1.jpg", 3: "img3.jpg"}, "H_1_{}.txt"), ({1: "1.png", 2: "2.PPM"}, "h1to{}p")],
    )
    def test_other_names(self, tmp_path: Path, pictures: dict[int, str], homography: str) -> None:
        reader = HomographyPairs(sets.plane(tmp_path / "graf", pictures, homography))
        assert len(reader) == len(pictures) - 1
        assert reader[0].name.startswith("graf 1-")
        np.testing.assert_allclose(reader[0].H_second_first, sets.PLANE)

    def test_pictures_that_nothing_names_are_counted(self, tmp_path: Path) -> None:
        sets.plane(tmp_path, NUMBERED, "H1to{}p")
        (tmp_path / "H1to6p").unlink()
        reader = HomographyPairs(tmp_path)
        assert (len(reader), reader.unpaired) == (1, 1)
        assert HomographyPairs(sets.hpatches(tmp_path / "whole")).unpaired == 0

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("1 0 0\n0 1 0\n", "2 lines"),
            ("1 0 0\n0 1 0\n0 0 1\n0 0 1\n", "more than 3"),
            ("1 0\n0 1\n0 0\n", "2 columns"),
            ("1 0 0\n0 nan 0\n0 0 1\n", "'nan'"),
            ("1 0 0\n0 1e999 0\n0 0 1\n", "1e999"),
            ("1 0 0\n0 x 0\n0 0 1\n", "'x'"),
            ("1 2 3\n2 4 6\n0 0 1\n", "inverted"),
            ("0 0 0\n0 0 0\n0 0 0\n", "inverted"),
            ("1 0 9000\n0 1 0\n0 0 1\n", "share nothing"),
            ("1 0 0\n0 1 0\n0 0 1e-9\n", "share nothing"),
        ],
    )
    def test_homographies_that_are_none(self, tmp_path: Path, text: str, match: str) -> None:
        (sets.plane(tmp_path, NUMBERED, "H1to{}p") / "H1to2p").write_text(text)
        with pytest.raises(FormatError, match=match) as caught:
            HomographyPairs(tmp_path)[0]
        assert "H1to2p" in str(caught.value)

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda f: (f / "img2.ppm").unlink(), "pictures 1 and 2"),
            (lambda f: (f / "img1.ppm").unlink(), "pictures 1 and 2"),
            (lambda f: sets.save(f / "2.png", sets.squares(0)), "another picture 2"),
            (lambda f: np.savetxt(f / "H1to1p", np.eye(3)), "pictures 1 and 1"),
            (lambda f: [h.unlink() for h in f.glob("H*")], "no homographies"),
            (lambda f: (f / "img2.ppm").write_bytes(b"P6 160 120 255\n"), "promised"),
        ],
    )
    def test_sequences_that_are_not_whole(self, tmp_path: Path, damage: Callable[[Path], object], match: str) -> None:
        damage(sets.plane(tmp_path, NUMBERED, "H1to{}p"))
        with pytest.raises(FormatError, match=match):
            HomographyPairs(tmp_path)[0]

    def test_a_scale_does_not_matter(self, tmp_path: Path) -> None:
        path = sets.plane(tmp_path, NUMBERED, "H1to{}p") / "H1to2p"
        np.savetxt(path, -250 * sets.PLANE)
        np.testing.assert_allclose(read_homography(path), -250 * sets.PLANE)
        HomographyPairs(tmp_path)[0]

    def test_the_real_wall(self, real_data: Callable[[str], Path]) -> None:
        name, reader = open_reader(real_data("homography_graf"))
        assert name == "homographies"
        assert [reader[k].name for k in range(len(reader))] == ["homography_graf 1-3"]
        pair = reader[0]
        warped = cv2.warpPerspective(pair.image, pair.H_second_first, (800, 640))
        seen = cv2.erode((warped.sum(2) > 0).astype(np.uint8), np.ones((9, 9))) > 0
        assert np.corrcoef(warped[seen].mean(1), pair.second[seen].mean(1))[0, 1] > 0.8


class TestRgbdPairs:
    def test_pairs_of_a_clip_correspond(self, tmp_path: Path) -> None:
        reader = RgbdPairs(sets.sliding_clip(tmp_path), gap=3)
        assert len(reader) == 5
        pair = reader[2]
        np.testing.assert_allclose(pair.T_second_first[:3, 3], [-3 * 8 * 2 / 100, 0, 0], atol=1e-12)
        uv = np.array([[100, 60], [30, 20], [10, 50]])
        kept, there = pair.seen(uv, 0.02)
        np.testing.assert_array_equal(kept, uv[:2])  # the third leaves the picture
        np.testing.assert_allclose(there, uv[:2] - [24, 0], atol=1e-4)
        at = there.round().astype(int)
        np.testing.assert_array_equal(pair.image[kept[:, 1], kept[:, 0]], pair.second[at[:, 1], at[:, 0]])
        assert pair.camera.numbers == pytest.approx((100, 100, 79.5, 59.5))
        assert [f.name for f in reader.files(2)] == ["00002.png"] * 2 + ["00005.png"] * 2
        with pytest.raises(IndexError):
            reader[5]

    def test_frames_without_pose_or_depth_are_passed_over(self, tmp_path: Path) -> None:
        sets.sliding_clip(tmp_path)
        lines = (tmp_path / "poses.txt").read_text().splitlines()
        (tmp_path / "poses.txt").write_text("\n".join([*lines[:2], *lines[4:]]) + "\n")
        (tmp_path / "depth" / "00005.png").unlink()
        reader = RgbdPairs(tmp_path, 1)
        assert len(reader) == 4
        np.testing.assert_allclose(reader[1].T_second_first[0, 3], -3 * 8 * 2 / 100, atol=1e-12)

    def test_by_name_only(self, tmp_path: Path) -> None:
        sets.sliding_clip(tmp_path)
        name, reader = open_reader(f"rgbd-pairs:{tmp_path}", gap=2)
        assert (name, len(reader)) == ("rgbd-pairs", 6)
        with pytest.raises(InputError, match="1 or more"):
            RgbdPairs(tmp_path, 0)
        with pytest.raises(FormatError, match="more than 8"):
            RgbdPairs(tmp_path, 8)
        (tmp_path / "poses.txt").unlink()
        with pytest.raises(FormatError):
            RgbdPairs(tmp_path)
