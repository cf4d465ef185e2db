"""Warps against an exactly rendered world, a library, closed forms and themselves."""

import kornia.geometry.depth as kornia_depth
import pytest
import torch
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, make_motion, rand, render_pair, texture
from scenewright.errors import InputError
from scenewright.geometry import warp
from scenewright.geometry.lie import se3_exp, se3_inverse
from scenewright.geometry.projection import rays
from scenewright.geometry.sampling import pixel_grid
from tolerances import close

EYE = torch.eye(4, dtype=F64)
EUROC = (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)


def shift(*t: float) -> torch.Tensor:
    T = EYE.clone()
    T[:3, 3] = torch.tensor(t, dtype=F64)
    return T


def test_without_motion_the_warp_is_the_identity_with_its_borders():
    image, depth = rand(2, 3, 30, 40), rand(2, 1, 30, 40, low=0.5, high=8)
    for camera in (make_camera(), make_camera(batch=2), make_camera(lens=EUROC)):
        warped, valid = warp.inverse_warp(image, depth, camera, EYE)
        close(warped, image)
        assert bool(valid.all())
        flow, _ = warp.rigid_flow(depth, camera, EYE)
        close(flow, torch.zeros_like(flow))


@pytest.mark.parametrize("lens", [(), EUROC])
def test_true_depth_and_motion_reproduce_the_target(lens):
    camera, T = make_camera(80, 60, lens=lens), make_motion(2)
    image_t, depth_t, image_s, depth_s = render_pair(camera, T)
    warped, valid = warp.inverse_warp(image_s, depth_t, camera, T)
    error = (warped - image_t).abs().amax(1, keepdim=True)[valid]
    assert float(valid.double().mean()) > 0.6
    assert float(error.max()) < 5e-3  # bilinear interpolation of a smooth texture
    assert float((image_s - image_t).abs().mean()) > 10 * float(error.mean())
    seen = warp.co_visible(depth_t, depth_s, camera, T)
    assert torch.equal(seen, valid)  # nothing hides anything on a plane


def test_the_photometric_error_is_least_at_the_truth():
    camera, T = make_camera(60, 45), make_motion(translation=0.1)
    image_t, depth_t, image_s, _ = render_pair(camera, T)

    def error(depth, T_source_target):
        warped, valid = warp.inverse_warp(image_s, depth, camera, T_source_target)
        return float(((warped - image_t).square() * valid).sum() / valid.sum())

    best = error(depth_t, T)
    for axis in range(6):
        for sign in (-1, 1):
            step = torch.zeros(6, dtype=F64)
            step[axis] = sign * 0.02
            assert error(depth_t, se3_exp(step) @ T) > 3 * best
    assert error(depth_t * 1.1, T) > 3 * best
    assert error(depth_t * 0.9, T) > 3 * best


def test_descending_the_photometric_error_finds_the_motion():
    """The gradients point the right way, from no motion at all."""
    camera, T = make_camera(40, 30), make_motion(translation=0.08, rotation=0.03)
    image_t, depth_t, image_s, _ = render_pair(camera, T)
    twist = torch.zeros(6, dtype=F64, requires_grad=True)
    optimizer = torch.optim.LBFGS([twist], max_iter=60, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def error():
        optimizer.zero_grad()
        warped, valid = warp.inverse_warp(image_s, depth_t, camera, se3_exp(twist))
        loss = ((warped - image_t) * valid).square().sum()
        loss.backward()
        return loss

    optimizer.step(error)
    assert float((se3_exp(twist.detach()) - T).abs().max()) < 2e-3


def test_there_and_back_again():
    camera, T = make_camera(80, 60), make_motion()
    image_t, depth_t, _, depth_s = render_pair(camera, T)
    as_source, first = warp.inverse_warp(image_t, depth_s, camera, se3_inverse(T))
    again, second = warp.inverse_warp(as_source * first, depth_t, camera, T)
    whole, _ = warp.inverse_warp(first.double(), depth_t, camera, T)
    mask = (second & (whole > 0.999)).expand_as(again)
    assert float((again - image_t)[mask].abs().max()) < 1e-2


def test_agrees_with_kornia():
    camera, T = make_camera(batch=2), make_motion(2)
    _, depth_t, image_s, _ = render_pair(camera, T)
    warped, valid = warp.inverse_warp(image_s, depth_t, camera, T)
    expected = kornia_depth.warp_frame_depth(image_s, depth_t, T, camera.K)
    mask = valid.expand_as(warped)
    close(warped[mask], expected[mask])


def test_flow_of_a_wall_seen_in_a_sideways_step_is_focal_length_times_step_over_depth():
    camera, depth = make_camera(), torch.full((1, 1, 30, 40), 2.5, dtype=F64)
    flow, valid = warp.rigid_flow(depth, camera, shift(0.1, 0, 0))
    close(flow[:, 0], torch.full((1, 30, 40), camera.numbers[0] * 0.1 / 2.5, dtype=F64))
    close(flow[:, 1], torch.zeros(1, 30, 40, dtype=F64))
    assert bool(valid.all())


def test_flow_of_a_rotation_ignores_depth_and_is_a_homography():
    camera, T = make_camera(), se3_exp(torch.tensor([0, 0, 0, 0.02, -0.05, 0.03], dtype=F64))
    flow, _ = warp.rigid_flow(rand(1, 1, 30, 40, low=1, high=9), camera, T)
    uv = pixel_grid((30, 40), flow)
    H = camera.K @ T[:3, :3] @ torch.linalg.inv(camera.K)
    x = torch.cat([uv, torch.ones_like(uv[..., :1])], -1) @ H.T
    close(flow[0].movedim(0, -1), x[..., :2] / x[..., 2:] - uv)


def test_walking_forward_makes_flow_radial():
    camera = make_camera()
    flow, _ = warp.rigid_flow(rand(1, 1, 30, 40, low=1, high=9), camera, shift(0, 0, -0.2))
    _, _, cx, cy = camera.numbers
    out = pixel_grid((30, 40), flow) - torch.tensor([cx, cy], dtype=F64)
    across = flow[0, 0] * out[..., 1] - flow[0, 1] * out[..., 0]
    close(across, torch.zeros_like(across))
    assert bool(((flow[0].movedim(0, -1) * out).sum(-1) >= 0).all())


def test_flow_warp_by_rigid_flow_is_the_inverse_warp_and_whole_pixels_are_shifts():
    camera, T = make_camera(), make_motion()
    _, depth_t, image_s, _ = render_pair(camera, T)
    flow, ahead = warp.rigid_flow(depth_t, camera, T)
    by_flow, inside = warp.flow_warp(image_s, flow)
    by_depth, valid = warp.inverse_warp(image_s, depth_t, camera, T)
    close(by_flow, by_depth)
    assert torch.equal(inside & ahead, valid)
    image = rand(1, 1, 6, 8)
    moved, _ = warp.flow_warp(image, torch.tensor([2.0, -1], dtype=F64).reshape(1, 2, 1, 1).expand(1, 2, 6, 8))
    close(moved[..., 1:, :-2], image[..., :-1, 2:])
    assert bool((moved[..., 0, :] == 0).all() and (moved[..., -2:] == 0).all())


def test_unknown_depth_and_points_behind_the_source_are_not_valid():
    camera, image = make_camera(), torch.ones(1, 1, 30, 40, dtype=F64)
    depth = torch.full((1, 1, 30, 40), 1.0, dtype=F64)
    depth[..., :10] = 0
    _, valid = warp.inverse_warp(image, depth, camera, EYE)
    assert torch.equal(valid, depth > 0)
    depth = torch.full((1, 1, 30, 40), 1.0, dtype=F64, requires_grad=True)
    for back in (-1.0, -2.0):  # on the camera, and behind it
        warped, valid = warp.inverse_warp(image, depth, camera, shift(0, 0, back))
        assert not bool(valid.any())
        assert bool(torch.isfinite(torch.autograd.grad(warped.sum(), depth)[0]).all())


def test_cameras_of_different_size():
    target, source, T = make_camera(40, 30), make_camera(64, 50), make_motion()
    image_s = render_pair(source, T)[2]
    image_t, depth_t, _, _ = render_pair(target, T)
    warped, valid = warp.inverse_warp(image_s, depth_t, target, T, source)
    assert warped.shape == (1, 3, 30, 40)
    assert float((warped - image_t).abs()[valid.expand_as(warped)].max()) < 1e-2
    with pytest.raises(InputError, match="source"):
        warp.inverse_warp(image_s, depth_t, target, T)


def test_what_a_nearer_wall_hides_is_not_co_visible():
    """A near square before a far wall; the source stands to the right, so it loses a strip left of the square.

    The step is chosen so that the square moves by 8 pixels and the wall by 4.
    """
    camera, depth_t = make_camera(40, 30), torch.full((1, 1, 30, 40), 4.0, dtype=F64)
    depth_s = depth_t.clone()
    depth_t[..., 10:20, 15:25] = 2.0
    depth_s[..., 10:20, 7:17] = 2.0
    seen = warp.co_visible(depth_t, depth_s, camera, shift(-16 / camera.numbers[0], 0, 0))
    expected = torch.ones(1, 1, 30, 40, dtype=torch.bool)
    expected[..., :4] = False  # leaves the source's picture
    expected[..., 10:20, 11:15] = False  # hidden behind the square
    assert torch.equal(seen, expected)
    depth_s[..., 25, :] = 0
    assert not bool(warp.co_visible(depth_t, depth_s, camera, EYE)[..., 25, :].any())


def test_gradients():
    camera, T = make_camera(6, 5), make_motion().requires_grad_()
    image, depth = rand(1, 2, 5, 6).requires_grad_(), rand(1, 1, 5, 6, seed=2, low=1, high=3).requires_grad_()
    assert gradcheck(lambda i, d, t: warp.inverse_warp(i, d, camera, t)[0], (image, depth, T))
    assert gradcheck(lambda d, t: warp.rigid_flow(d, camera, t)[0], (depth, T))
    flow = rand(1, 2, 5, 6, seed=3, low=0.1, high=0.9).requires_grad_()
    assert gradcheck(lambda i, f: warp.flow_warp(i, f)[0], (image, flow))
    uv = warp.reproject(depth, camera, T)[0].detach()
    assert gradcheck(lambda i, z: warp.forward_splat(i, uv, z, (5, 6)), (image, depth))
    bent = make_camera(6, 5, lens=EUROC)
    assert gradcheck(lambda i: warp.undistort_image(i, bent)[0], (image,))


def test_splatting_in_place_is_the_identity_and_the_nearest_wins():
    image, z = rand(2, 3, 5, 6), rand(2, 1, 5, 6, low=1, high=2)
    grid = pixel_grid((5, 6), image).expand(2, 5, 6, 2)
    splat, depth = warp.forward_splat(image, grid, z, (5, 6))
    close(splat, image)
    close(depth, z)
    splat, depth = warp.forward_splat(image, torch.zeros_like(grid), z, (5, 6))
    for b in range(2):
        winner = z[b].flatten().argmin()
        close(splat[b, :, 0, 0], image[b].flatten(1)[:, winner])
        close(depth[b, 0, 0, 0], z[b].flatten()[winner])
    assert int((depth > 0).sum()) == 2


def test_splatting_equals_a_loop():
    image, z = rand(1, 2, 7, 8), (rand(1, 1, 7, 8, low=0, high=4)).round()  # ties, and zeros that must not land
    uv = rand(1, 7, 8, 2, seed=9, low=-2, high=9)
    splat, depth = warp.forward_splat(image, uv, z, (6, 5))
    expected, buffer = torch.zeros(2, 6, 5, dtype=F64), torch.full((6, 5), torch.inf, dtype=F64)
    for i in range(7):
        for j in range(8):
            u, v = (round(x) for x in uv[0, i, j].tolist())
            if 0 <= u < 5 and 0 <= v < 6 and 0 < z[0, 0, i, j] < buffer[v, u]:
                buffer[v, u], expected[:, v, u] = z[0, 0, i, j], image[0, :, i, j]
    close(splat[0], expected)
    close(depth[0, 0], torch.where(torch.isfinite(buffer), buffer, 0))


def test_splat_of_a_view_meets_the_inverse_warp():
    camera, T = make_camera(80, 60), make_motion(translation=0.05, rotation=0.01)
    image_t, depth_t, image_s, depth_s = render_pair(camera, T)
    uv, z, _ = warp.reproject(depth_t, camera, T)
    splat, z_splat = warp.forward_splat(image_t, uv, z, camera.size)
    filled = (z_splat > 0).expand_as(splat)
    assert float(filled.double().mean()) > 0.85
    assert float((splat - image_s)[filled].abs().mean()) < 0.02  # half a pixel of rounding
    assert float((z_splat - depth_s)[z_splat > 0].abs().max()) < 0.05


def test_a_straightened_lens_shows_the_world_a_pinhole_would():
    camera = make_camera(80, 60, lens=EUROC)
    bent = texture(rays(camera).movedim(1, -1)).movedim(-1, 1)
    straight, valid, pinhole = warp.undistort_image(bent, camera)
    assert pinhole.distortion is None
    expected = texture(rays(pinhole).movedim(1, -1)).movedim(-1, 1)
    assert float((straight - expected).abs()[valid.expand_as(straight)].max()) < 2e-3
    assert float(valid.double().mean()) > 0.9


def test_another_camera_at_the_same_place():
    """Resizing by a whole factor is a change of camera; so is a zoom, and a lens."""
    camera, wanted = make_camera(80, 60, lens=EUROC), make_camera(31, 24)
    image = texture(rays(camera).movedim(1, -1)).movedim(-1, 1)
    changed, valid = warp.change_camera(image, camera, wanted)
    expected = texture(rays(wanted).movedim(1, -1)).movedim(-1, 1)
    assert float((changed - expected).abs()[valid.expand_as(changed)].max()) < 3e-3
    with pytest.raises(InputError, match="wanted camera"):
        warp.change_camera(image, camera, make_camera(31, 24, lens=EUROC))
    with pytest.raises(InputError, match="batch"):
        warp.change_camera(image.expand(3, -1, -1, -1), camera, make_camera(31, 24, batch=2))
