"""Textures and prints: true size, no seams, plain walls, determinism."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.worlds import prints, textures

COLOUR = (0.6, 0.45, 0.3)


@pytest.mark.parametrize("kind", sorted(textures.KINDS))
def test_surface_textures_say_their_size_and_repeat_without_a_seam(kind):
    for variant in range(2):
        got = textures.texture(kind, variant, COLOUR)
        h, w = got.image.shape[:2]
        assert got.image.dtype == np.uint8
        assert got.px_per_m >= 400
        assert h / got.size_m[1] == pytest.approx(w / got.size_m[0], rel=0.02)
        assert 0 <= got.gloss <= 1
        x = got.image.astype(float).mean(-1)
        for axis in (0, 1):
            inner = np.abs(np.diff(x, axis=axis)).mean(1 - axis)
            seam = np.abs(np.take(x, 0, axis) - np.take(x, -1, axis)).mean()
            assert seam <= inner.max() * 1.5 + 1  # joints may lie on the border, steps between noise fields may not


@pytest.mark.parametrize("kind", sorted(set(textures.KINDS) - {"cloth"}))
def test_surface_textures_have_about_the_colour_asked_for(kind):
    mean = textures.texture(kind, 1, COLOUR).image.mean((0, 1)) / 255
    np.testing.assert_allclose(mean, COLOUR, atol=0.12)


def test_walls_are_plain_and_floors_are_detailed():
    assert textures.texture("plaster", 0, (0.9, 0.9, 0.88)).image.astype(float).std((0, 1)).max() < 3
    for kind in ("planks", "parquet", "carpet", "brick"):
        image = textures.texture(kind, 0, COLOUR).image.mean(-1)
        assert image.std() > 8
        assert np.abs(cv2.Laplacian(image, cv2.CV_64F)).mean() > 4


def test_brick_courses_are_75_mm():
    got = textures.texture("brick", 0, (0.6, 0.3, 0.2))
    rows = got.image.astype(float).mean(-1).mean(1)
    spectrum = np.abs(np.fft.rfft(rows - rows.mean()))
    period = got.size_m[1] / int(spectrum[1:].argmax() + 1)
    assert min(abs(period - 0.075), abs(period - 0.0375)) < 1e-3


def test_mosaic_stones_are_25_mm():
    got = textures.texture("mosaic", 0, (0.5, 0.5, 0.5))
    rows = got.image.astype(float).mean(-1).mean(1)
    spectrum = np.abs(np.fft.rfft(rows - rows.mean()))
    harmonic = int(spectrum[20:].argmax()) + 20
    multiple = round(got.size_m[1] / 0.025)
    assert harmonic % multiple == 0


def test_textures_are_functions_of_their_arguments_and_cached():
    a = textures.texture("wood", 3, COLOUR)
    assert textures.texture("wood", 3, COLOUR) is a
    textures._made.cache_clear()
    assert textures.texture("wood", 3, COLOUR).image.tobytes() == a.image.tobytes()
    assert textures.texture("wood", 4, COLOUR).image.tobytes() != a.image.tobytes()


@pytest.mark.parametrize("bad", [("velvet", 0, COLOUR), ("wood", 0, (0.5, 0.5, 1.5)), ("wood", 0, (0.5, 0.5))])
def test_unknown_textures_are_refused(bad):
    with pytest.raises(InputError, match="texture"):
        textures.texture(*bad)


def test_noise_has_unit_deviation_and_wraps():
    field = textures.noise(np.random.default_rng(0), (128, 96), (8, 12))
    assert field.std() == pytest.approx(1, rel=1e-3)
    assert np.abs(field[0] - field[-1]).mean() < 2 * np.abs(np.diff(field, axis=0)).mean()


def test_hsv_agrees_with_the_standard_library():
    import colorsys

    for h, s, v in np.random.default_rng(0).random((20, 3)):
        np.testing.assert_allclose(textures.hsv(h, s, v), colorsys.hsv_to_rgb(h, s, v), atol=1e-12)


def test_palettes_have_pale_walls_and_some_dark_or_saturated_fronts():
    palettes = [textures.palette(np.random.default_rng(i)) for i in range(80)]
    for p in palettes:
        assert min(p.wall) > 0.6
        assert max(p.wall) - min(p.wall) < 0.35
        for colour in (p.floor, p.front, p.worktop, p.metal, *p.accents, *p.fabrics):
            assert all(0 <= c <= 1 for c in colour)
        assert all(max(c) - min(c) > 0.15 for c in p.accents)
    fronts = np.array([p.front for p in palettes])
    assert (fronts.max(1) < 0.3).mean() > 0.08
    assert ((fronts.max(1) - fronts.min(1)) > 0.25).mean() > 0.2
    assert textures.palette(np.random.default_rng(5)) == palettes[5]


@pytest.mark.parametrize("kind", sorted(prints.PRINTS))
def test_prints_fill_their_size_with_detail(kind):
    size = {"keyboard": (0.44, 0.13), "spines": (0.8, 0.25)}.get(kind, (0.21, 0.297))
    got = prints.printed(kind, np.random.default_rng(2), size)
    h, w = got.image.shape[:2]
    assert max(h, w) <= 642
    assert w / h == pytest.approx(size[0] / size[1], rel=0.03)
    assert got.size_m == size
    assert got.image.std() > 10
    again = prints.printed(kind, np.random.default_rng(2), size)
    assert again.image.tobytes() == got.image.tobytes()


def test_prints_use_photographs(tmp_path):
    marked = np.zeros((200, 300, 3), np.uint8)
    marked[..., 2] = 255  # pure red in OpenCV's order
    assert cv2.imwrite(str(tmp_path / "red.png"), marked)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8broken")
    photos = prints.Photos([tmp_path])
    assert len(photos) == 1
    crop = photos.crop(np.random.default_rng(0), 40, 30)
    assert crop.shape == (30, 40, 3)
    assert (crop == [255, 0, 0]).all()
    red = [
        (prints.printed("picture", np.random.default_rng(i), (0.3, 0.2), photos).image == [255, 0, 0]).all(-1).mean()
        for i in range(12)
    ]
    assert max(red) > 0.4


def test_what_is_no_print_is_refused(tmp_path):
    with pytest.raises(InputError, match="print kind"):
        prints.printed("hologram", np.random.default_rng(0), (0.2, 0.2))
    with pytest.raises(InputError, match="print size"):
        prints.printed("page", np.random.default_rng(0), (0.0, 0.2))
    with pytest.raises(InputError, match="photo folder"):
        prints.Photos([tmp_path / "missing"])
    with pytest.raises(InputError, match="readable picture"):
        prints.Photos([tmp_path])


def correlation(image: np.ndarray, dy: int, dx: int) -> float:
    """Of a grey picture with itself shifted."""
    x = image.astype(float).mean(-1)
    x = x - x.mean()
    return float((x * np.roll(x, (dy, dx), (0, 1))).mean() / (x * x).mean())


@pytest.mark.parametrize("kind", ["wood", "brushed"])
def test_grain_runs_along_u(kind):
    got = textures.texture(kind, 2, COLOUR)
    assert got.grained
    assert correlation(got.image, 0, 12) > correlation(got.image, 12, 0) + 0.15


def test_parquet_turns_from_square_to_square():
    got = textures.texture("parquet", 0, COLOUR)
    side = round(0.16 * got.px_per_m)
    x = got.image.astype(float).mean(-1)
    along = (
        np.abs(np.diff(x, axis=1))[: side - 1, : side - 1].mean(),
        np.abs(np.diff(x, axis=0))[: side - 1, : side - 1].mean(),
    )
    turned = np.abs(np.diff(x, axis=1))[: side - 1, side : 2 * side - 1].mean()
    assert along[0] < along[1]  # strips of the first square run along u
    assert turned > along[0]


def test_boards_have_the_width_they_say():
    """Dark joints of planks repeat every 0.1, 0.125 or 0.2 m."""
    for variant in range(4):
        got = textures.texture("planks", variant, (0.7, 0.5, 0.35))
        rows = got.image.astype(float).mean(-1).mean(1)
        joints = np.flatnonzero(rows < np.percentile(rows, 50) * 0.85)
        starts = joints[np.diff(joints, prepend=-10) > 3]
        pitch = np.median(np.diff(starts)) / got.px_per_m
        assert min(abs(pitch - w) for w in (0.1, 0.125, 0.2)) < 0.006


def test_carpets_can_be_saturated():
    blue = textures.texture("carpet", 0, (0.1, 0.2, 0.6)).image.astype(float).mean((0, 1))
    assert blue[2] > 2 * blue[0]


def test_running_bond_shifts_every_second_course():
    got = textures.texture("brick", 1, (0.6, 0.3, 0.2))
    course = got.image.shape[0] * 0.075 / got.size_m[1]
    grey = got.image.astype(float).mean(-1)
    middle = [grey[int((i + 0.5) * course)] for i in range(4)]
    near = lambda a, b: float(np.corrcoef(a > a.mean() * 1.15, b > b.mean() * 1.15)[0, 1])  # noqa: E731
    assert near(middle[0], middle[2]) > near(middle[0], middle[1]) + 0.3


def test_light_and_dark_bodies_get_fitting_joints():
    light = textures.texture("tiles", 0, (0.9, 0.9, 0.88))
    dark = textures.texture("tiles", 0, (0.15, 0.15, 0.17))
    assert light.image.mean() > 200
    assert dark.image.mean() < 80


def test_keyboard_keys_are_19_mm():
    got = prints.printed("keyboard", np.random.default_rng(1), (0.44, 0.13), max_px=1200)
    row = got.image[int(got.image.shape[0] * 0.25)].astype(float).mean(-1)
    centred = row - row.mean()
    scores = {mm: float((centred * np.roll(centred, round(mm / 1000 * got.px_per_m))).mean()) for mm in range(12, 30)}
    assert max(scores, key=lambda k: scores[k]) == 19


def test_book_backs_are_12_to_60_mm_wide():
    got = prints.printed("spines", np.random.default_rng(3), (0.8, 0.24), max_px=1600)
    foot = got.image[-3].astype(int)
    edges = np.flatnonzero(np.abs(np.diff(foot, axis=0)).sum(1) > 12) / got.px_per_m
    assert 12 < (np.diff(edges) > 0.008).sum() < 60


def test_prints_of_unlike_seeds_are_unlike():
    for kind in prints.PRINTS:
        shapes = [prints.printed(kind, np.random.default_rng(i), (0.3, 0.2)).image for i in range(4)]
        assert len({x.tobytes() for x in shapes}) == 4


def test_tiny_and_huge_prints():
    for kind in prints.PRINTS:
        for size in ((0.01, 0.01), (3.0, 2.0), (0.02, 0.9)):
            got = prints.printed(kind, np.random.default_rng(0), size)
            assert min(got.image.shape[:2]) >= 2
            assert max(got.image.shape[:2]) <= 642


def test_photo_crops_stay_inside_their_picture(tmp_path):
    frame = np.full((120, 90, 3), 128, np.uint8)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = 0, 0, 0, 0
    assert cv2.imwrite(str(tmp_path / "frame.png"), frame)
    photos = prints.Photos([tmp_path])
    for i in range(20):
        g = np.random.default_rng(i)
        crop = photos.crop(g, int(g.integers(2, 200)), int(g.integers(2, 200)))
        assert crop.min() >= 0
        assert np.median(crop) == 128
