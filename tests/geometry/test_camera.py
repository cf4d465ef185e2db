"""Intrinsics follow the picture: resize, crop, pad and mirror compose, and a K that does not fit is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry_cases import F64, make_camera, rand
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.projection import project_points
from tolerances import close

LENS = (-0.2, 0.05, 0.003, -0.002, 0.01)
POINTS = rand(50, 3, seed=3) + torch.tensor([0.0, 0.0, 3.0], dtype=F64)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 12), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_resize_then_crop_moves_pixels_as_the_picture_moves(a, b, left, top):
    """Centres at integers: u' = (u + 1/2) s - 1/2 on resizing, u' = u - left on cropping."""
    camera = make_camera(40, 30, lens=LENS)
    uv, _ = project_points(POINTS, camera)
    resized = camera.resize(10 * a, 7 * b)
    scale = torch.tensor([10 * a / 40, 7 * b / 30], dtype=F64)
    close(project_points(POINTS, resized)[0], (uv + 0.5) * scale - 0.5)
    left, top = min(left, resized.width // 4), min(top, resized.height // 4)
    cropped = resized.crop(left, top, resized.width - left, resized.height - top)
    close(project_points(POINTS, cropped)[0], (uv + 0.5) * scale - 0.5 - torch.tensor([left, top], dtype=F64))


def test_resizing_composes_and_returns():
    camera = make_camera(40, 30)
    close(camera.resize(20, 15).resize(80, 60).K, camera.resize(80, 60).K)
    close(camera.resize(13, 7).resize(40, 30).K, camera.K)


def test_resize_agrees_with_the_resampled_picture():
    """A ramp that holds its own u coordinate, halved by area averaging, holds the centre the new camera assigns."""
    u = torch.arange(40, dtype=F64).expand(1, 1, 30, 40)
    half = torch.nn.functional.interpolate(u, (15, 20), mode="area")[0, 0, 0]
    camera, small = make_camera(40, 30), make_camera(40, 30).resize(20, 15)
    x = (half - camera.numbers[2]) / camera.numbers[0]
    close(x * small.numbers[0] + small.numbers[2], torch.arange(20, dtype=F64))


@pytest.mark.parametrize("flip", ["hflip", "vflip"])
def test_mirroring_mirrors_pixels_with_their_lens(flip):
    camera = make_camera(lens=LENS)
    axis = ["hflip", "vflip"].index(flip)
    mirror = torch.ones(3, dtype=F64)
    mirror[axis] = -1
    mirrored = getattr(camera, flip)()
    uv, _ = project_points(POINTS, camera)
    uv[:, axis] = (camera.width, camera.height)[axis] - 1 - uv[:, axis]
    close(project_points(POINTS * mirror, mirrored)[0], uv)
    close(getattr(mirrored, flip)().K, camera.K)
    close(getattr(mirrored, flip)().distortion, camera.distortion)


def test_padding_shifts_and_cropping_undoes_it():
    camera = make_camera()
    padded = camera.pad(3, 5, 7, 2)
    assert padded.size == (37, 50)
    close(project_points(POINTS, padded)[0], project_points(POINTS, camera)[0] + torch.tensor([3.0, 5.0], dtype=F64))
    close(padded.crop(3, 5, 40, 30).K, camera.K)
    with pytest.raises(InputError, match="none negative"):
        camera.pad(-1, 0, 0, 0)


def test_field_of_view():
    camera = Camera.from_fov(100, 60, 90)
    assert camera.numbers == pytest.approx((50, 50, 49.5, 29.5))
    with pytest.raises(InputError, match="between 1 and 175"):
        Camera.from_fov(100, 60, 180)


def test_batches_cast_and_refuse_to_be_numbers():
    camera = make_camera(batch=3, lens=LENS).to(torch.float32)
    assert camera.K.dtype == camera.distortion.dtype == torch.float32
    assert camera.crop(2, 1, 30, 25).K.shape == (3, 3, 3)
    with pytest.raises(InputError, match="a single camera"):
        _ = camera.numbers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda K: K.clone().fill_(float("nan")), "K"),
        (lambda K: K * torch.tensor([[-1.0], [1], [1]]), "positive focal"),
        (lambda K: K + torch.tensor([[0.0, 0, 60], [0, 0, 0], [0, 0, 0]]), "principal point inside"),
        (lambda K: K + torch.tensor([[0.0, 0.1, 0], [0, 0, 0], [0, 0, 0]]), "without skew"),
        (lambda K: K.mT, "without skew"),
        (lambda K: K[:2], "float type"),
        (lambda K: K.long(), "float type"),
    ],
)
def test_a_matrix_that_is_no_fitting_intrinsics_is_refused(change, message):
    camera = make_camera().to(torch.float32)
    with pytest.raises(InputError, match=message):
        Camera(camera.width, camera.height, change(camera.K))


def test_the_intrinsics_of_the_double_size_are_refused():
    with pytest.raises(InputError, match="40x30"):
        Camera(40, 30, make_camera(90, 60).K)


@pytest.mark.parametrize("window", [(-1, 0, 10, 10), (0, 0, 41, 10), (35, 0, 10, 10), (0, 25, 10, 10)])
def test_windows_outside_the_picture_are_refused(window):
    with pytest.raises(InputError, match="a window inside 40x30"):
        make_camera().crop(*window)


def test_sizes_and_lenses_that_cannot_be():
    camera = make_camera()
    with pytest.raises(InputError, match="positive size"):
        Camera(0, 30, camera.K)
    with pytest.raises(InputError, match="k1 k2 p1 p2"):
        Camera(40, 30, camera.K, torch.zeros(3, dtype=F64))


def test_zoom_is_the_same_picture_through_another_lens():
    camera = Camera.from_parameters(320, 240, 260.0, 261.0, 150.0, 118.0)
    assert camera.zoom(0.5).numbers == (130.0, 130.5, 150.0, 118.0)
    assert camera.zoom(0.5).size == camera.size
    assert camera.zoom(0.8).resize(160, 120).numbers == pytest.approx(camera.resize(160, 120).zoom(0.8).numbers)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="zoom"):
            camera.zoom(wrong)
