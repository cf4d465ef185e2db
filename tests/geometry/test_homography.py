"""Homographies of planes, of points and of pictures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.geometry.transform import warp_perspective
from torch.autograd import gradcheck

from geometry_cases import DISTANCE, F64, NORMAL, make_camera, make_motion, rand, render_pair
from scenewright.errors import InputError
from scenewright.geometry import homography as hg
from scenewright.geometry.sampling import pixel_grid
from scenewright.geometry.warp import inverse_warp, reproject
from tolerances import close

SQUARE = torch.tensor([[[0.0, 0], [30, 0], [30, 20], [0, 20]]], dtype=F64)
AWAY = torch.tensor(DISTANCE, dtype=F64)


@given(st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_a_plane_maps_as_its_points_do(seed):
    camera, T = make_camera(batch=2), make_motion(2, seed=seed)
    _, depth, _, _ = render_pair(camera, T)
    H = hg.homography_from_plane(camera, camera, T, NORMAL, AWAY)
    uv, ahead = hg.apply_homography(H, pixel_grid(camera.size, depth).expand(2, 30, 40, 2))
    close(uv, reproject(depth, camera, T)[0])
    assert bool(ahead.all())


def test_an_infinitely_far_plane_only_turns():
    camera, T = make_camera(), make_motion()
    H = hg.homography_from_plane(camera, camera, T, NORMAL, torch.tensor(torch.inf, dtype=F64))
    close(H, camera.K @ T[:3, :3] @ torch.linalg.inv(camera.K))


@pytest.mark.parametrize(
    ("cameras", "motions", "normals", "distances", "shape"),
    [
        (None, None, (3,), (), ()),
        (None, None, (3,), (5,), (5,)),
        (2, None, (3,), (1, 5), (2, 5)),
        (2, 2, (2, 3), (2, 5), (2, 5)),
        (None, 2, (3,), (2,), (2,)),
        (None, None, (2, 3), (2, 4, 3), (2, 4, 3)),
    ],
)
def test_shapes_of_many_planes(cameras, motions, normals, distances, shape):
    camera, T = make_camera(batch=cameras), make_motion(motions)
    normal, d = NORMAL.expand(normals), rand(*distances, low=2, high=4)
    H = hg.homography_from_plane(camera, camera, T, normal, d)
    assert H.shape == (*shape, 3, 3)
    last = (-1,) * len(shape)
    K = camera.K[-1] if cameras else camera.K
    T, d = (T[-1] if motions else T), (d.flatten()[-1] if distances else d)
    close(H[last], K @ (T[:3, :3] + T[:3, 3:] * NORMAL / d) @ torch.linalg.inv(K))


def test_planes_of_another_batch_are_refused():
    with pytest.raises(InputError, match="distance"):
        hg.homography_from_plane(make_camera(), make_camera(), make_motion(2), NORMAL, torch.ones(3, dtype=F64))
    lens = make_camera(lens=(0.1, 0, 0, 0))
    with pytest.raises(InputError, match="undistorted"):
        hg.homography_from_plane(lens, make_camera(), make_motion(), NORMAL, AWAY)


def test_four_points_and_many_give_the_map_they_came_from():
    H = torch.tensor([[1.1, 0.1, 3], [-0.05, 0.9, 2], [1e-3, -2e-3, 1]], dtype=F64)
    many = rand(1, 40, 2, low=0, high=30)
    for points in (SQUARE, many):
        moved, _ = hg.apply_homography(H, points)
        close(hg.homography_from_points(points, moved)[0], H)
        close(hg.homography_from_points(moved, points)[0], torch.linalg.inv(H) / torch.linalg.inv(H)[2, 2])
    moved, _ = hg.apply_homography(H, many)
    spoilt = moved.clone()
    spoilt[:, :5] += 7
    weights = torch.ones(1, 40, dtype=F64)
    weights[:, :5] = 0
    close(hg.homography_from_points(many, spoilt, weights)[0], H)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    "points",
    [
        torch.tensor([[[0.0, 0], [10, 0], [20, 0], [0, 20]]]),
        torch.tensor([[[5.0, 5], [5, 5], [20, 0], [0, 20]]]),
        torch.tensor([[[float(i), 2.0 * i] for i in range(8)]]),
        torch.tensor([[[0.0, 5.0]] + [[float(i), 2.0 * i] for i in range(7)]]),
        torch.full((1, 6, 2), float("nan")),
    ],
)
def test_points_on_a_line_fix_no_homography(points, dtype):
    square = torch.cat([SQUARE, SQUARE + 1], 1)[:, : points.shape[1]].to(dtype)
    for pair in ((points.to(dtype), square), (square, points.to(dtype))):
        with pytest.raises(InputError, match="general position"):
            hg.homography_from_points(*pair)


def test_too_few_points():
    with pytest.raises(InputError, match="3 pairs"):
        hg.homography_from_points(SQUARE[:, :3], SQUARE[:, :3])
    with pytest.raises(InputError, match="weights True"):
        hg.homography_from_points(SQUARE, SQUARE, torch.ones(1, 4, dtype=F64))


def test_warping_by_the_plane_of_a_flat_world_is_warping_by_its_depth():
    camera, T = make_camera(), make_motion()
    _, depth_t, image_s, _ = render_pair(camera, T)
    H = hg.homography_from_plane(camera, camera, T, NORMAL, AWAY)
    by_plane, valid = hg.warp_homography(image_s, H)
    by_depth, expected = inverse_warp(image_s, depth_t, camera, T)
    close(by_plane, by_depth)
    assert torch.equal(valid, expected)


def test_warping_agrees_with_kornia_in_the_stated_direction():
    """warp_perspective wants source -> target; ours is target -> source."""
    image, H = rand(2, 3, 20, 30), torch.tensor([[1.1, 0.1, -3], [-0.05, 0.9, 2], [1e-3, -2e-3, 1]], dtype=F64)
    ours, _ = hg.warp_homography(image, H, (18, 25))
    close(ours, warp_perspective(image, torch.linalg.inv(H)[None].expand(2, 3, 3), (18, 25), align_corners=True))


def test_pixels_beyond_the_horizon_are_black_and_not_valid():
    H = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]], dtype=F64, requires_grad=True)  # horizon at u = 10
    image = torch.ones(1, 1, 400, 400, dtype=F64)
    warped, valid = hg.warp_homography(image, H, (5, 20))
    assert not bool(valid[..., 10:].any())
    assert bool((warped[..., 10:] == 0).all())
    assert bool(valid[..., :9].all())
    assert bool(torch.isfinite(torch.autograd.grad(warped.sum(), H)[0]).all())


def test_normalised_coordinates():
    N = hg.normalising_transform(20, 30, SQUARE)
    corners, _ = hg.apply_homography(N, torch.tensor([[0.0, 0], [29, 19], [14.5, 9.5]], dtype=F64))
    close(corners, torch.tensor([[-1.0, -1], [1, 1], [0, 0]], dtype=F64))


def test_gradients():
    H = torch.tensor([[[1.1, 0.1, 0.31], [-0.05, 0.9, 0.23], [1e-2, -2e-2, 1]]], dtype=F64, requires_grad=True)
    image, uv = rand(1, 2, 5, 6).requires_grad_(), rand(1, 4, 2, low=0, high=4).requires_grad_()
    assert gradcheck(lambda h, x: hg.apply_homography(h, x)[0], (H, uv))
    assert gradcheck(lambda i, h: hg.warp_homography(i, h)[0], (image, H))
    camera = make_camera()
    inputs = (
        make_motion(2).requires_grad_(),
        NORMAL.clone().requires_grad_(),
        rand(2, 3, low=2, high=3).requires_grad_(),
    )
    assert gradcheck(lambda t, n, d: hg.homography_from_plane(camera, camera, t, n, d), inputs)
    moved = (SQUARE / 10 + rand(1, 4, 2, seed=4, low=-0.3, high=0.3)).requires_grad_()
    assert gradcheck(hg.homography_from_points, ((SQUARE / 10).requires_grad_(), moved))
    many = rand(1, 7, 2, seed=5, low=0, high=3).requires_grad_()
    noisy = (many.detach() + rand(1, 7, 2, seed=6, low=-0.1, high=0.1)).requires_grad_()
    assert gradcheck(hg.homography_from_points, (many, noisy))
