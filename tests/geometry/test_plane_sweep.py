"""A plane-sweep volume holds, plane by plane, what the inverse warp makes of that constant depth."""

import pytest
import torch
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, make_motion, rand, render_pair
from scenewright.errors import InputError
from scenewright.geometry.lie import se3_exp
from scenewright.geometry.plane_sweep import inverse_depth_planes, plane_sweep_volume
from scenewright.geometry.warp import inverse_warp
from tolerances import close

EYE = torch.eye(4, dtype=F64)


def test_planes_are_even_in_inverse_depth():
    depths = inverse_depth_planes(2.0, 50.0, 7, rand(1))
    assert depths[[0, -1]].tolist() == pytest.approx([2, 50])
    steps = (1 / depths).diff()
    close(steps, steps[:1].expand(6))
    for bad in ((0.0, 5.0, 4), (5.0, 2.0, 4), (1.0, 2.0, 1)):
        with pytest.raises(InputError, match="planes"):
            inverse_depth_planes(*bad, rand(1))


@pytest.mark.parametrize("batched", [False, True])
def test_every_plane_equals_the_inverse_warp_with_constant_depth(batched):
    source, target = make_camera(48, 36, 2 if batched else None), make_camera(40, 30, 2 if batched else None)
    image, T = rand(2, 3, 36, 48), make_motion(2 if batched else None)
    depths = inverse_depth_planes(1.0, 9.0, 4, image)
    volume, coverage = plane_sweep_volume(image, source, target, T, depths)
    assert volume.shape == (2, 4, 3, 30, 40)
    for k, depth in enumerate(depths):
        constant = depth.expand(2, 1, 30, 40)
        warped, valid = inverse_warp(image, constant, target, T, source)
        close(volume[:, k], warped)
        close(coverage[:, k], inverse_warp(torch.ones_like(image[:, :1]), constant, target, T, source)[0])
        assert bool((coverage[:, k][valid] > 0.99).all())


def test_without_motion_every_plane_is_the_source():
    image = rand(1, 3, 30, 40)
    volume, coverage = plane_sweep_volume(image, make_camera(), make_camera(), EYE, torch.tensor([1.0, 4], dtype=F64))
    close(volume, image[:, None].expand(1, 2, 3, 30, 40))
    close(coverage, torch.ones(1, 2, 1, 30, 40, dtype=F64))


def test_the_true_plane_shows_the_target_best():
    camera, T = make_camera(60, 45), make_motion(translation=0.2)
    target, depth_t, source, _ = render_pair(camera, T)
    depths = inverse_depth_planes(1.5, 8.0, 12, source)
    volume, coverage = plane_sweep_volume(source, camera, camera, T, depths)
    error = (volume - target[:, None]).abs().sum(2) + 10 * (1 - coverage[:, :, 0])
    found = depths[error.argmin(1)]
    seen = (coverage[:, :, 0] > 0.99).all(1)
    middle = seen & (depth_t[:, 0] > 1.5)
    step = float((1 / depths).diff().abs()[0])
    wrong = (1 / found - 1 / depth_t[:, 0]).abs()[middle] > step
    assert float(wrong.double().mean()) < 0.05


def test_a_source_that_looks_away_covers_nothing():
    half_turn = se3_exp(torch.tensor([0, 0, 0, 0, torch.pi, 0], dtype=F64))
    volume, coverage = plane_sweep_volume(
        rand(1, 3, 30, 40), make_camera(), make_camera(), half_turn, torch.tensor([1.0, 4], dtype=F64)
    )
    assert bool((volume == 0).all())
    assert bool((coverage == 0).all())


def test_gradients_reach_picture_motion_and_planes():
    camera, T = make_camera(6, 5), make_motion().requires_grad_()
    inputs = (rand(1, 1, 5, 6).requires_grad_(), T, torch.tensor([1.5, 3], dtype=F64, requires_grad=True))
    assert gradcheck(lambda i, t, d: plane_sweep_volume(i, camera, camera, t, d), inputs)
