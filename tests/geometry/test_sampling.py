"""The sampling wrapper: centres at integers, honest borders, and the same numbers as a hand-written loop."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from geometry_cases import F64, rand
from scenewright.errors import InputError
from scenewright.geometry.sampling import patch_grid, pixel_grid, sample_at, sample_nearest, sample_volume
from tolerances import TOLERANCE, close


@given(st.integers(1, 17), st.integers(1, 17), st.integers(1, 3), st.sampled_from([torch.float32, F64]))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_reading_every_pixel_at_its_own_place_is_the_identity_with_its_borders(
    mode, padding, height, width, batch, dtype
):
    image = rand(batch, 2, height, width).to(dtype)
    values, valid = sample_at(image, pixel_grid((height, width), image)[None], mode, padding)
    close(values, image)
    assert valid.shape == (batch, 1, height, width)
    assert bool(valid.all())


def test_a_large_float32_picture_keeps_its_border():
    image = torch.ones(1, 1, 481, 641)
    values, valid = sample_at(image, pixel_grid((481, 641), image)[None])
    assert float(values.min()) > 1 - 1e-4
    assert bool(valid.all())


def _loop(image, uv, padding):
    """Bilinear interpolation as a textbook writes it, one pixel at a time; zeros outside, or the nearest edge."""
    _, _, height, width = image.shape
    out = torch.zeros(*image.shape[:2], *uv.shape[1:3], dtype=image.dtype)
    for b, i, j in torch.cartesian_prod(*(torch.arange(n) for n in out[:, 0].shape)).tolist():
        u, v = uv[b, i, j].tolist()
        u0, v0 = int(u // 1), int(v // 1)
        for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(u - u0 - du)) * (1 - abs(v - v0 - dv))
            x, y = u0 + du, v0 + dv
            if padding == "border":
                x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            if 0 <= x < width and 0 <= y < height:
                out[b, :, i, j] += weight * image[b, :, y, x]
    return out


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_bilinear_equals_a_loop_also_outside(padding):
    image, uv = rand(2, 3, 5, 7), rand(2, 6, 8, 2, seed=1, low=-3, high=9)
    values, valid = sample_at(image, uv, padding=padding)
    close(values, _loop(image, uv, padding))
    u, v = uv.unbind(-1)
    assert torch.equal(valid[:, 0], (u >= 0) & (u <= 6) & (v >= 0) & (v <= 4))


def test_both_ways_of_writing_grid_sample_agree_with_it():
    """2 x / (W - 1) - 1 with aligned corners, as SfMLearner's port and appearance flow have it."""
    image, uv = rand(2, 3, 5, 7), rand(2, 6, 8, 2, seed=1, low=-3, high=9)
    grid = 2 * uv / torch.tensor([6.0, 4.0], dtype=F64) - 1
    close(sample_at(image, uv)[0], F.grid_sample(image, grid, "bilinear", "zeros", align_corners=True))


def test_coordinates_without_meaning_read_as_outside():
    image = torch.ones(1, 1, 4, 5, dtype=F64)
    bad = [torch.nan, torch.inf, -torch.inf, 1e30, -1e30]
    uv = torch.tensor([[[[x, 1.0] for x in bad]]], dtype=F64, requires_grad=True)
    values, valid = sample_at(image, uv)
    assert not bool(valid.any())
    assert bool((values == 0).all())
    values.sum().backward()
    assert bool((uv.grad == 0).all())
    assert bool((sample_at(image, uv, padding="border")[0] == 1).all())


def test_gradients():
    image, uv = rand(1, 2, 4, 5).requires_grad_(), rand(2, 3, 3, 2, seed=2, low=-0.8, high=4.3).requires_grad_()
    assert gradcheck(lambda i, c: sample_at(i, c)[0], (image, uv))
    assert gradcheck(lambda i, c: sample_at(i, c, padding="border")[0], (image, uv))
    volume = rand(1, 1, 3, 4, 5).requires_grad_()
    index = rand(1, 2, 2, 2, 3, seed=3, low=-0.7, high=3.3).requires_grad_()
    assert gradcheck(lambda x, c: sample_volume(x, c)[0], (volume, index))
    inputs = (rand(2, 2).requires_grad_(), rand(2, low=1, high=2).requires_grad_(), rand(2, seed=4).requires_grad_())
    assert gradcheck(lambda c, r, a: patch_grid(c, r, a, 3), inputs)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float32])
def test_nearest_never_mixes_and_keeps_the_type(dtype):
    labels = (rand(2, 1, 6, 5, low=0, high=200)).to(dtype)
    uv = pixel_grid((6, 5), rand(1))[None] + rand(2, 6, 5, 2, seed=5, low=-0.45, high=0.45)
    read, (_, inside) = sample_nearest(labels, uv), sample_at(torch.ones(1, 1, 6, 5, dtype=F64), uv)
    assert read.dtype == dtype
    assert torch.equal(read[inside], labels[inside])
    assert bool((read[~inside] == 0).all())


def test_nearest_carries_large_integers_exactly():
    ids = torch.tensor([[[[2**31 - 1, 2**53 - 1]]]])
    assert torch.equal(sample_nearest(ids, pixel_grid((1, 2), rand(1))[None]), ids)


def test_a_volume_is_read_along_its_own_axes():
    """A trilinear function is reproduced exactly, so swapped axes would show."""
    i = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=F64) for n in (4, 5, 6)), indexing="ij"), -1)

    def field(x):
        return 2 + 3 * x[..., 0] - 5 * x[..., 1] + 7 * x[..., 2] + x[..., 0] * x[..., 1] * x[..., 2]

    index = rand(2, 3, 2, 4, 3, seed=6, low=0, high=3)
    values, valid = sample_volume(field(i)[None, None], index)
    close(values[:, 0], field(index))
    assert bool(valid.all())
    _, valid = sample_volume(field(i)[None, None], torch.tensor([3.0, 4.0, 5.1], dtype=F64).expand(1, 1, 1, 1, 3))
    assert not bool(valid.any())


def test_a_straight_patch_is_a_window_and_a_quarter_turn_is_rot90():
    image = rand(1, 1, 21, 21)
    centre, r = torch.tensor([[10.0, 9.0]], dtype=F64), torch.tensor([4.0], dtype=F64)
    straight, _ = sample_at(image, patch_grid(centre, r, torch.zeros(1, dtype=F64), 9))
    close(straight, image[:, :, 5:14, 6:15])
    turned, _ = sample_at(image, patch_grid(centre, r, torch.full((1,), torch.pi / 2, dtype=F64), 9))
    close(turned, torch.rot90(straight, 1, (2, 3)))


@pytest.mark.parametrize(
    ("image", "uv", "options", "message"),
    [
        (torch.ones(1, 1, 4), torch.ones(1, 2, 2, 2), {}, "image"),
        (torch.ones(1, 1, 4, 4), torch.ones(1, 2, 2, 3), {}, "uv"),
        (torch.ones(1, 1, 4, 4).long(), torch.ones(1, 2, 2, 2), {}, "sample_nearest"),
        (torch.ones(1, 1, 4, 4), torch.ones(1, 2, 2, 2), {"mode": "bicubic"}, "bicubic"),
        (torch.ones(1, 1, 4, 4), torch.ones(1, 2, 2, 2), {"padding": "wrap"}, "wrap"),
        (torch.ones(2, 1, 4, 4), torch.ones(3, 2, 2, 2), {}, "batch"),
    ],
)
def test_wrong_arguments_are_named(image, uv, options, message):
    with pytest.raises(InputError, match=message):
        sample_at(image, uv, **options)


def test_float32_reads_like_float64():
    image, uv = rand(1, 2, 30, 40), rand(1, 50, 50, 2, seed=7, low=-1, high=40)
    low, _ = sample_at(image.float(), uv.float())
    assert float((low - sample_at(image, uv)[0]).abs().max()) < 10 * TOLERANCE[torch.float32][1]
