"""Rectified stereo: signs, widths and consistency."""

import kornia.geometry.depth as kornia_depth
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, rand, render_pair
from scenewright.errors import InputError
from scenewright.geometry import stereo
from scenewright.geometry.warp import inverse_warp
from tolerances import close

BASELINE = 0.2
T_RIGHT_LEFT = torch.eye(4, dtype=F64)
T_RIGHT_LEFT[0, 3] = -BASELINE  # the right camera stands to the right, so points move left


def test_disparity_and_depth_undo_each_other_and_keep_unknown_unknown():
    camera, depth = make_camera(batch=2), rand(2, 1, 30, 40, low=1, high=9)
    depth[..., :3] = 0
    disp = stereo.depth_to_disparity(depth, camera, BASELINE)
    close(stereo.disparity_to_depth(disp, camera, BASELINE), depth)
    assert bool((disp[..., :3] == 0).all())
    close(disp[:, 0, 5, 9], camera.K[:, 0, 0] * BASELINE / depth[:, 0, 5, 9])
    known = kornia_depth.depth_from_disparity(disp[:1, :, :, 3:], BASELINE, float(camera.K[0, 0, 0]))
    assert float((known - depth[:1, :, :, 3:]).abs().max()) < 1e-6  # kornia adds 1e-8 to the disparity
    close(stereo.depth_to_disparity(depth, camera, torch.tensor([0.2, 0.4], dtype=F64))[1], 2 * disp[1])


def test_a_disparity_of_another_width_is_refused():
    with pytest.raises(InputError, match="disp_px"):
        stereo.disparity_to_depth(rand(1, 1, 15, 20), make_camera(), BASELINE)
    with pytest.raises(InputError, match="undistorted"):
        stereo.depth_to_disparity(rand(1, 1, 30, 40), make_camera(lens=(0.1, 0, 0, 0)), BASELINE)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_resizing_the_pair_scales_disparity_and_leaves_depth(mode):
    camera = make_camera()
    disp = stereo.depth_to_disparity(torch.full((1, 1, 30, 40), 2.5, dtype=F64), camera, BASELINE)
    small = stereo.resize_disparity(disp, 20, 10, mode)
    assert small.shape == (1, 1, 10, 20)
    depth = stereo.disparity_to_depth(small, camera.resize(20, 10), BASELINE)
    close(depth, torch.full((1, 1, 10, 20), 2.5, dtype=F64))


def test_true_disparity_rebuilds_either_picture_and_equals_the_inverse_warp():
    camera = make_camera(80, 60)
    left, depth_l, right, depth_r = render_pair(camera, T_RIGHT_LEFT)
    disp_l, disp_r = (stereo.depth_to_disparity(d, camera, BASELINE) for d in (depth_l, depth_r))
    made, valid = stereo.left_from_right(right, disp_l)
    by_depth, expected = inverse_warp(right, depth_l, camera, T_RIGHT_LEFT)
    close(made, by_depth)
    assert torch.equal(valid, expected)
    assert float((made - left).abs()[valid.expand_as(made)].max()) < 5e-3
    made, valid = stereo.right_from_left(left, disp_r)
    assert float((made - right).abs()[valid.expand_as(made)].max()) < 5e-3
    wrong, valid = stereo.left_from_right(right, -disp_l)
    assert float((wrong - left).abs()[valid.expand_as(made)].mean()) > 0.05
    for difference, inside in (
        stereo.left_right_difference(disp_l, disp_r),
        stereo.right_left_difference(disp_r, disp_l),
    ):
        assert float(difference[inside].max()) < 1e-2
        assert 0.7 < float(inside.double().mean()) < 1


def test_whole_disparities_are_shifts():
    image = rand(1, 2, 4, 9)
    three = torch.full((1, 1, 4, 9), 3.0, dtype=F64)
    close(stereo.left_from_right(image, three)[0], F.pad(image, (3, 0))[..., :9])
    close(stereo.right_from_left(image, three)[0], F.pad(image, (0, 3))[..., 3:])
    edge = stereo.left_from_right(image, three, padding="border")[0]
    close(edge[..., :3], image[..., :1].expand(1, 2, 4, 3))


def test_constant_maps_agree_and_the_difference_is_that_of_the_maps():
    a, b = torch.full((1, 1, 4, 20), 3.0, dtype=F64), torch.full((1, 1, 4, 20), 4.5, dtype=F64)
    difference, valid = stereo.left_right_difference(a, b)
    close(difference[valid], torch.full((4 * 17,), 1.5, dtype=F64))
    difference, valid = stereo.right_left_difference(a, a)
    close(difference[valid], torch.zeros(4 * 17, dtype=F64))


def test_zero_padding_fades_as_monodepth_does():
    """grid_sample with zeros and align_corners=False at 2 (x + 1/2) / W - 1, as the depth sheet states it."""
    image, disp = rand(2, 1, 5, 12), rand(2, 1, 5, 12, low=0, high=6)
    x = torch.arange(12, dtype=F64) - disp[:, 0]
    y = torch.arange(5, dtype=F64)[:, None].expand_as(x)
    grid = torch.stack([2 * (x + 0.5) / 12 - 1, 2 * (y + 0.5) / 5 - 1], -1)
    close(stereo.left_from_right(image, disp)[0], F.grid_sample(image, grid, "bilinear", "zeros", align_corners=False))


def test_gradients():
    camera, depth = make_camera(6, 5), rand(1, 1, 5, 6, low=1, high=3).requires_grad_()
    baseline = torch.tensor([0.3], dtype=F64, requires_grad=True)
    assert gradcheck(lambda d, b: stereo.depth_to_disparity(d, camera, b), (depth, baseline))
    assert gradcheck(lambda d, b: stereo.disparity_to_depth(d, camera, b), (depth, baseline))
    image, other = rand(1, 2, 5, 6).requires_grad_(), rand(1, 1, 5, 6, seed=3, low=1, high=2).requires_grad_()
    assert gradcheck(lambda i, d: stereo.left_from_right(i, d)[0], (image, other))
    assert gradcheck(lambda i, d: stereo.right_from_left(i, d)[0], (image, other))
    assert gradcheck(lambda a, b: stereo.left_right_difference(a, b)[0], (depth, other))
    assert gradcheck(lambda d: stereo.resize_disparity(d, 4, 3), (other,))


def test_disparities_of_another_shape_are_refused():
    with pytest.raises(InputError, match="disparity"):
        stereo.left_from_right(rand(1, 3, 5, 6), rand(1, 1, 5, 7))


def test_the_linearised_warp_is_the_same_picture_with_a_central_difference_as_its_slope():
    right, disp = rand(2, 3, 6, 9, low=0), rand(2, 1, 6, 9, seed=1, low=-2, high=2).requires_grad_()
    made, valid = stereo.linearised_left_from_right(right, disp)
    expected, inside = stereo.left_from_right(right, disp)
    assert torch.equal(valid, inside)
    close(made.detach(), torch.where(inside, expected, 0).detach())
    gradient = rand(2, 3, 6, 9, seed=2)
    (made * gradient).sum().backward()
    by_hand = torch.zeros_like(disp)
    for x in range(1, 8):
        by_hand[:, 0, :, x] = -(gradient[..., x] * 0.5 * (made[..., x + 1] - made[..., x - 1])).sum(1)
    close(disp.grad, by_hand.detach())


def test_the_linearised_warp_without_disparity_is_the_identity_and_by_whole_pixels_a_shift():
    right = rand(1, 2, 5, 12, low=0)
    same, valid = stereo.linearised_left_from_right(right, torch.zeros(1, 1, 5, 12, dtype=F64))
    close(same, right)
    assert bool(valid.all())
    moved, valid = stereo.linearised_left_from_right(right, torch.full((1, 1, 5, 12), 3.0, dtype=F64))
    close(moved[..., 3:], right[..., :-3])
    assert not bool(valid[..., :3].any())
    assert bool((moved[..., :3] == 0).all())


def test_on_a_smooth_picture_both_slopes_agree():
    x = torch.arange(80, dtype=F64)
    right = torch.sin(x / 8).expand(1, 1, 4, 80)
    gradients = []
    for warp in (stereo.left_from_right, stereo.linearised_left_from_right):
        disp = torch.full((1, 1, 4, 80), 2.5, dtype=F64, requires_grad=True)
        warp(right, disp)[0][..., 6:-2].sum().backward()
        gradients.append(disp.grad[..., 8:-4])
    assert float((gradients[0] - gradients[1]).abs().max()) < 0.05 * float(gradients[0].abs().max())


def test_beyond_the_other_picture_lies_what_the_padding_says() -> None:
    disparity = torch.full((1, 1, 2, 8), 3.0)
    zeros, _ = stereo.left_right_difference(disparity, disparity)
    border, valid = stereo.left_right_difference(disparity, disparity, "border")
    assert zeros[0, 0, 0].tolist() == [3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert border.abs().max() == 0
    assert valid[0, 0, 0].tolist() == [False] * 3 + [True] * 5
    assert stereo.right_left_difference(disparity, disparity, "border")[0].abs().max() == 0
