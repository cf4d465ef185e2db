"""Photographs and depth maps: orientations against Pillow, round trips, and a table of files that must be refused."""

from __future__ import annotations

import json
import math
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from scenewright.data.headers import parse_header
from scenewright.data.images import (
    camera_from_exif,
    depth_preview,
    read_depth_png,
    read_header,
    read_image,
    upright,
    write_depth_png,
    write_depth_preview,
    write_image,
)
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

FORMATS = ("jpg", "png", "webp", "tif")


def _asymmetric() -> np.ndarray:
    image = np.zeros((40, 64, 3), np.uint8)
    image[:20, :32], image[:20, 32:], image[20:, :32] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return image


def _save(path: Path, image: np.ndarray, orientation: int = 1, focal: int | None = None) -> Path:
    exif = Image.Exif()
    exif[274] = orientation
    if focal is not None:
        exif.get_ifd(34665)[41989] = focal
    options: dict = {"exif": exif, "quality": 95, "lossless": True}
    if path.suffix == ".tif":
        options = {"tiffinfo": {274: orientation}}
    Image.fromarray(image).save(path, **options)
    return path


def _by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", FORMATS)
def test_orientation_is_baked_in_like_pillow(tmp_path, suffix, orientation):
    path = _save(tmp_path / f"photo.{suffix}", _asymmetric(), orientation)
    expected = _by_pillow(path)
    image = read_image(path)
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).mean() < 2
    assert read_header(path).upright_size == (image.shape[1], image.shape[0])


def test_the_eight_orientations_are_the_eight_symmetries():
    image = np.arange(6).reshape(2, 3)
    assert len({upright(image, o).tobytes() + bytes(upright(image, o).shape) for o in range(1, 9)}) == 8
    assert upright(image, 6).tolist() == [[3, 0], [4, 1], [5, 2]]  # stored lying on its left side: a quarter turn right


@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_focal_length_becomes_pixels(tmp_path, orientation):
    path = _save(tmp_path / "photo.jpg", np.zeros((300, 400, 3), np.uint8), orientation, focal=26)
    camera = camera_from_exif(read_header(path))
    assert camera is not None
    assert (camera.width, camera.height) == ((400, 300) if orientation == 1 else (300, 400))
    assert camera.numbers[0] == pytest.approx(26 * 500 / math.hypot(36, 24), rel=1e-6)
    assert camera_from_exif(read_header(_save(tmp_path / "none.jpg", _asymmetric()))) is None


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_mode_becomes_three_channels(tmp_path, suffix, mode):
    if (suffix, mode) == ("jpg", "RGBA"):
        pytest.skip("JPEG has no transparency")
    with_pillow = Image.fromarray(_asymmetric()).convert(mode)
    with_pillow.save(tmp_path / f"photo.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(tmp_path / f"photo.{suffix}")
    assert np.abs(image.astype(int) - _by_pillow(tmp_path / f"photo.{suffix}")).mean() < 2
    header = read_header(tmp_path / f"photo.{suffix}")
    assert (header.width, header.height, header.bits) == (64, 40, 8)


@pytest.mark.parametrize(("lossless", "exif"), [(True, False), (False, False), (False, True)])
def test_webp_sizes_of_all_three_chunk_kinds(tmp_path, lossless, exif):
    options = {"exif": Image.Exif()} if exif else {}
    Image.fromarray(np.zeros((33, 57, 3), np.uint8)).save(tmp_path / "a.webp", lossless=lossless, **options)
    assert read_header(tmp_path / "a.webp").upright_size == (57, 33)


def test_progressive_jpeg_and_big_endian_tiff(tmp_path):
    Image.fromarray(_asymmetric()).save(tmp_path / "a.jpg", progressive=True, quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - _by_pillow(tmp_path / "a.jpg")).mean() < 2
    tiff = struct.pack(">2sHIH", b"MM", 42, 8, 9)
    entries = [(256, 4, 2), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    for tag, kind, value in [(254, 4, 0), *entries, (279, 4, 2)]:
        tiff += struct.pack(">HHI", tag, kind, 1) + (
            struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
        )
    (tmp_path / "a.tif").write_bytes(tiff.ljust(200, b"\0") + b"\x07\xc8")
    assert read_image(tmp_path / "a.tif").tolist() == [[[7] * 3, [200] * 3]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_written_images_come_back(tmp_path, suffix):
    v, u = np.mgrid[:30, :50]
    image = np.stack([u * 5, v * 8, u + v], axis=2).astype(np.uint8)
    write_image(tmp_path / f"a.{suffix}", image)
    error = np.abs(read_image(tmp_path / f"a.{suffix}").astype(int) - image).max()
    assert error == 0 if suffix == "png" else error < 24
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.gif", np.zeros((4, 4, 3), np.uint8)),
        ("a.png", np.zeros((4, 4, 3), np.float32)),
        ("a.png", np.zeros((4, 4, 2), np.uint8)),
        ("a.png", np.zeros((0, 4, 3), np.uint8)),
    ],
)
def test_images_that_cannot_be_written(tmp_path, name, image):
    with pytest.raises(InputError, match=name):
        write_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


# ---- what must be refused -------------------------------------------------------------------------------------------


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = _png_chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + body + _png_chunk(b"IEND", b"")


def _jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def _webp(width: int, height: int) -> bytes:
    canvas = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + canvas


def _tiff(*tags: tuple[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + b"\0" * 4


REFUSED = {
    "empty": b"",
    "text": b"this is not an image at all",
    "gif": b"GIF89a" + b"\0" * 40,
    "heic": b"\0\0\0\x18ftypheic" + b"\0" * 40,
    "pickle": b"\x80\x04\x95" + b"\0" * 40,
    "png_signature_only": b"\x89PNG\r\n\x1a\n",
    "png_of_zero_width": _png(0, 10),
    "png_bomb": _png(60_000, 60_000),
    "png_of_2_31_pixels": _png(1 << 31, 1),
    "png_of_205_bits": _png(4, 4, bits=205),
    "png_chunk_of_4_gigabytes": _png(64, 48)[:33] + b"\xff\xff\xff\x00IDAT" + _png(64, 48)[41:],
    "png_chunk_beyond_the_end": _png(64, 48)[:33] + b"\x00\xff\xff\xffIDAT" + _png(64, 48)[41:],
    "png_without_end": _png(4, 4)[:-12],
    "png_animation": _png(4, 4)[:33] + _png_chunk(b"acTL", struct.pack(">II", 1 << 30, 0)) + _png(4, 4)[33:],
    "png_of_unknown_colour": _png(4, 4, colour=5),
    "png_with_too_little_data": _png(300, 300),
    "jpeg_marker_only": b"\xff\xd8\xff",
    "jpeg_bomb": _jpeg(65_000, 65_000),
    "jpeg_without_frame": b"\xff\xd8\xff\xd9",
    "jpeg_without_scan": _jpeg(16, 16),
    "jpeg_with_segment_of_length_0": b"\xff\xd8\xff\xe0\0\0" + b"\0" * 20,
    "jpeg_of_zero_height": _jpeg(16, 0),
    "webp_bomb": _webp(1 << 24, 1 << 24),
    "webp_without_image": _webp(16, 16),
    "webp_without_chunks": b"RIFF\x04\0\0\0WEBP",
    "tiff_without_directory": b"II*\0\xff\xff\xff\x7f",
    "tiff_bomb": _tiff((256, 1 << 20), (257, 1 << 20)),
    "tiff_of_huge_tiles": _tiff((256, 16), (257, 16), (322, 1 << 20), (323, 1 << 20)),
    "tiff_without_size": _tiff((258, 8)),
    "big_tiff": b"II+\0" + b"\0" * 40,
}


@pytest.mark.parametrize("case", REFUSED)
def test_malformed_images_are_refused_by_name_without_memory(tmp_path, case):
    path = tmp_path / f"{case}.png"
    path.write_bytes(REFUSED[case])
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=case):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "case", [c for c in REFUSED if "bomb" in c or "gigabytes" in c or "tiles" in c or "animation" in c]
)
def test_bombs_never_reach_the_decoder(case):
    with pytest.raises(FormatError, match="bomb"):  # tracemalloc does not see what a decoder allocates
        parse_header(REFUSED[case], "bomb")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_images_are_refused(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    path = _save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FormatError, match="cut"):
        read_image(path)


def test_missing_files_folders_and_depth_maps_are_no_photographs(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(FormatError, match="a folder"):
        read_image(tmp_path)
    write_depth_png(tmp_path / "depth.png", np.ones((4, 4), np.float32))
    with pytest.raises(FormatError, match="read_depth_png"):
        read_image(tmp_path / "depth.png")


def test_damaged_exif_counts_as_none(tmp_path):
    path = _save(tmp_path / "a.jpg", _asymmetric(), 6)
    data = bytearray(path.read_bytes())
    at = data.index(b"Exif\0\0") + 6
    data[at + 4 : at + 8] = b"\xff\xff\xff\x7f"  # the directory lies beyond the block
    path.write_bytes(bytes(data))
    assert read_header(path).orientation == 1


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6), st.data()
)
def test_headers_of_damaged_files_parse_or_raise_format_error(suffix, changes, data):
    original = bytearray(_ORIGINALS[suffix])
    for place, value in changes:
        original[place % min(len(original), 300)] = value
    cut = data.draw(st.integers(0, len(original)))
    try:
        header = parse_header(bytes(original[:cut]), "damaged")
    except FormatError:
        return
    assert header.width * header.height <= 64_000_000
    assert 1 <= header.orientation <= 8


def _encode(suffix: str) -> bytes:
    import io

    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    Image.fromarray(_asymmetric()).save(buffer, kind, exif=exif)
    return buffer.getvalue()


_ORIGINALS = {suffix: _encode(suffix) for suffix in FORMATS}


# ---- depth ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 65.5, width=32), min_size=6, max_size=6))
def test_depth_round_trip_is_exact_to_half_a_millimetre(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("depth") / "d.png"
    depth_m = np.array(values, np.float32).reshape(2, 3)
    write_depth_png(path, depth_m)
    back = read_depth_png(path)
    assert ((back > 0) == (depth_m > 0)).all()
    assert np.abs(back - depth_m)[depth_m > 0.001].max(initial=0) <= 0.0005 + 1e-5


def test_depth_sidecar_states_unit_camera_and_what_did_not_fit(tmp_path):
    depth_m = np.array([[0, 1.5, 0.0001], [65.535, 65.6, 100]])
    write_depth_png(tmp_path / "d.png", depth_m, Camera.from_parameters(3, 2, 5, 6, 1, 0.5))
    record = json.loads((tmp_path / "d.json").read_text())
    assert record["unit_m"] == 0.001
    assert record["invalid"] == 0
    assert record["beyond_range"] == 2
    assert record["camera"] == {"fx": 5, "fy": 6, "cx": 1, "cy": 0.5}
    assert np.allclose(read_depth_png(tmp_path / "d.png"), [[0, 1.5, 0.001], [65.535, 0, 0]])


def test_units_and_invalid_values(tmp_path, make):
    path = make.save(tmp_path / "d.png", np.array([[0, 5000, 65535]], np.uint16))
    assert np.allclose(read_depth_png(path, unit_m=1 / 5000), [[0, 1, 13.107]])
    assert np.allclose(read_depth_png(path, unit_m=0.001, invalid=(0, 65535)), [[0, 5, 0]])
    with pytest.raises(InputError, match="no unit"):
        read_depth_png(path)


@pytest.mark.parametrize(
    "sidecar",
    [
        "",
        "[]",
        "{}",
        '{"unit_m": "x", "invalid": 0, "width": 3, "height": 1}',
        '{"unit_m": -1, "invalid": 0, "width": 3, "height": 1}',
        '{"unit_m": NaN, "invalid": 0, "width": 3, "height": 1}',
        '{"unit_m": 0.001, "invalid": 0, "width": 4, "height": 1}',
        '{"unit_m": 0.001, "invalid": Infinity, "width": 3, "height": 1}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_malformed_sidecars(tmp_path, make, sidecar):
    path = make.save(tmp_path / "d.png", np.ones((1, 3), np.uint16))
    (tmp_path / "d.json").write_bytes(sidecar.encode("latin-1"))
    with pytest.raises(FormatError, match=r"d\.json"):
        read_depth_png(path)


def test_what_is_no_depth_map(tmp_path, make):
    make.save(tmp_path / "grey.png", np.zeros((4, 4), np.uint8))
    write_depth_preview(tmp_path / "d.preview.png", np.ones((4, 4)))
    (tmp_path / "bomb.png").write_bytes(_png(60_000, 60_000, 16, 0))
    (tmp_path / "cut.png").write_bytes(_png(300, 300, 16, 0))
    for name in ("grey.png", "d.preview.png", "bomb.png", "cut.png", "absent.png"):
        with pytest.raises(FormatError, match=name):
            read_depth_png(tmp_path / name, unit_m=0.001)


@pytest.mark.parametrize(
    "bad", [np.full((2, 2), np.nan), np.full((2, 2), -1.0), np.zeros((2, 2, 1)), np.full((2, 2), np.inf)]
)
def test_depth_that_cannot_be_written(tmp_path, bad):
    with pytest.raises(InputError):
        write_depth_png(tmp_path / "d.png", bad)
    with pytest.raises(InputError):
        write_depth_png(tmp_path / "d.jpg", np.ones((2, 2)))
    with pytest.raises(InputError):
        write_depth_png(tmp_path / "d.png", np.ones((2, 2)), Camera.from_fov(3, 2, 60))
    assert not list(tmp_path.iterdir())


def test_preview_colours_near_red_far_blue_unknown_black(tmp_path):
    depth_m = np.array([[1.0, 10.0, 0.0]])
    near, far, unknown = depth_preview(depth_m, 1, 10)[0].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]
    assert unknown.tolist() == [0, 0, 0]
    assert not depth_preview(np.zeros((2, 2))).any()
    assert depth_preview(np.full((2, 2), 3.0)).shape == (2, 2, 3)
    with pytest.raises(InputError, match="preview"):
        write_depth_preview(tmp_path / "depth.png", depth_m)
