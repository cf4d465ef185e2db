"""Projection and back-projection undo each other, with and without a lens; depth maps turn into what they should."""

import cv2
import kornia.geometry.depth as kornia_depth
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from geometry_cases import F64, NORMAL, make_camera, rand, render_plane
from scenewright.errors import InputError
from scenewright.geometry import projection as pr
from scenewright.geometry.camera import Camera
from scenewright.geometry.sampling import pixel_grid
from tolerances import close

TUM_FR1 = (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
EUROC = (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)
LENSES = [(), EUROC, TUM_FR1]
EYE = torch.eye(4, dtype=F64)


@given(st.integers(1, 3), st.booleans(), st.sampled_from(LENSES), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_projecting_what_was_back_projected_is_the_identity(batch, batched_camera, lens, seed):
    camera = make_camera(24, 18, batch if batched_camera else None, lens)
    depth = rand(batch, 1, 18, 24, seed=seed, low=0.3, high=9)
    uv, z = pr.project(pr.backproject(depth, camera), camera)
    close(uv, pixel_grid((18, 24), depth).expand_as(uv))
    close(z, depth)


@pytest.mark.parametrize("lens", LENSES)
def test_points_agree_with_opencv(lens):
    camera = make_camera(lens=lens)
    points = rand(60, 3, low=-0.5, high=0.5) + torch.tensor([0.0, 0, 1.2], dtype=F64)
    expected, _ = cv2.projectPoints(
        points.numpy(), (0.0, 0, 0), (0.0, 0, 0), camera.K.numpy(), torch.tensor(lens).numpy() if lens else None
    )
    uv, z = pr.project_points(points, camera)
    assert float((uv - torch.from_numpy(expected[:, 0])).abs().max()) < 1e-5  # the lens was rounded to float32
    close(pr.unproject_points(uv, z, camera), points)


def test_back_projection_agrees_with_kornia():
    camera, depth = make_camera(batch=2), rand(2, 1, 30, 40, low=1, high=4)
    close(pr.backproject(depth, camera), kornia_depth.depth_to_3d(depth, camera.K))
    close(
        pr.depth_to_ray_length(depth, camera),
        torch.linalg.vector_norm(pr.backproject(depth, camera), dim=1, keepdim=True),
    )
    close(pr.ray_length_to_depth(pr.depth_to_ray_length(depth, camera), camera), depth)


def test_points_at_and_behind_the_camera_project_to_finite_places_with_finite_gradients():
    points = torch.tensor([[0.1, 0.2, 0.0], [0.1, 0.2, -3.0], [0.0, 0.0, 0.0]], dtype=F64, requires_grad=True)
    uv, z = pr.project_points(points, make_camera())
    assert bool(torch.isfinite(uv).all())
    assert not bool((z > pr.MIN_DEPTH).any())
    uv.sum().backward()
    assert bool(torch.isfinite(points.grad).all())


def test_unknown_depth_back_projects_to_the_camera_itself():
    assert bool((pr.backproject(torch.zeros(1, 1, 30, 40, dtype=F64), make_camera()) == 0).all())


@pytest.mark.parametrize("lens", [EUROC, TUM_FR1])
def test_gradients_also_through_the_inverse_of_the_lens(lens):
    xy, k = rand(2, 5, 2, low=-0.4, high=0.4).requires_grad_(), torch.tensor(lens, dtype=F64, requires_grad=True)
    assert gradcheck(pr.distort, (xy, k))
    assert gradcheck(pr.undistort, (xy, k))
    close(pr.distort(pr.undistort(xy, k), k), xy)
    many = torch.stack([k.detach(), 0.5 * k.detach()]).requires_grad_()
    assert gradcheck(pr.undistort, (xy, many))
    close(pr.undistort(xy, many)[1], pr.undistort(xy[1], many[1]))


def test_undistortion_agrees_with_opencv_where_its_iteration_converges():
    xy, k = rand(40, 2, low=-0.3, high=0.3), torch.tensor(EUROC, dtype=F64)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-14)
    expected = cv2.undistortPoints(xy.numpy(), EYE[:3, :3].numpy(), k.numpy(), criteria=criteria)
    close(pr.undistort(xy, k), torch.from_numpy(expected[:, 0]))


def test_gradients_of_projection():
    lens = torch.tensor(EUROC, dtype=F64, requires_grad=True)
    numbers = torch.tensor([36.0, 44.0, 18.8, 16.5], dtype=F64, requires_grad=True)
    points = (rand(2, 4, 3) + torch.tensor([0.0, 0, 2], dtype=F64)).requires_grad_()
    uv, z = rand(2, 4, 2, low=0, high=20).requires_grad_(), rand(2, 4, low=1, high=2).requires_grad_()

    def camera(n, k):
        zero, one = torch.zeros((), dtype=F64), torch.ones((), dtype=F64)
        return Camera(40, 30, torch.stack([n[0], zero, n[2], zero, n[1], n[3], zero, zero, one]).reshape(3, 3), k)

    assert gradcheck(lambda p, n, k: pr.project_points(p, camera(n, k)), (points, numbers, lens))
    assert gradcheck(lambda x, d, n, k: pr.unproject_points(x, d, camera(n, k)), (uv, z, numbers, lens))


def test_gradients_of_maps():
    camera, depth = make_camera(5, 4), rand(1, 1, 4, 5, low=1, high=2).requires_grad_()
    for function in (pr.backproject, pr.depth_to_ray_length, pr.ray_length_to_depth):
        assert gradcheck(lambda d, f=function: f(d, camera), (depth,))
    assert gradcheck(lambda d: pr.normals_from_depth(d, camera)[0], (depth,))
    assert gradcheck(lambda d: pr.project(pr.backproject(d, camera) + 0.1, camera), (depth,))
    assert gradcheck(pr.inverse_or_zero, (depth,))


def test_inverse_depth_keeps_unknown_unknown_without_poisoning_gradients():
    depth = torch.tensor([0.0, 2.0, -1.0], dtype=F64, requires_grad=True)
    inverse = pr.inverse_or_zero(depth)
    close(inverse, torch.tensor([0.0, 0.5, 0.0], dtype=F64))
    inverse.sum().backward()
    close(depth.grad, torch.tensor([0.0, -0.25, 0.0], dtype=F64))


@pytest.mark.parametrize("lens", [(), EUROC])
def test_normals_of_a_plane_are_exact_face_the_camera_and_stop_at_the_border(lens):
    camera = make_camera(lens=lens)
    _, depth = render_plane(camera, EYE[None])
    normals, valid = pr.normals_from_depth(depth, camera)
    expected = -NORMAL / torch.linalg.vector_norm(NORMAL)
    close(normals[0, :, 1:-1, 1:-1], expected[:, None, None].expand(3, 28, 38))
    assert int(valid.sum()) == 28 * 38
    assert bool((normals[~valid.expand_as(normals)] == 0).all())
    if not lens:
        kornia = kornia_depth.depth_to_normals(depth, camera.K[None])
        close(kornia[..., 2:-2, 2:-2], -normals[..., 2:-2, 2:-2])  # kornia's point away from the camera


def test_a_hole_takes_its_neighbours_normals_with_it():
    camera, depth = make_camera(7, 7), torch.ones(1, 1, 7, 7, dtype=F64)
    depth[..., 3, 3] = 0
    depth.requires_grad_()
    normals, valid = pr.normals_from_depth(depth, camera)
    lost = {(i, j) for i, j in torch.nonzero(~valid[0, 0, 1:-1, 1:-1]).tolist()}
    assert lost == {(2, 2), (1, 2), (3, 2), (2, 1), (2, 3)}
    normals.sum().backward()
    assert bool(torch.isfinite(depth.grad).all())


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_types_are_kept(dtype):
    camera, depth = make_camera(lens=EUROC).to(dtype), torch.ones(2, 1, 30, 40, dtype=dtype)
    assert pr.backproject(depth, camera).dtype == dtype
    uv, _ = pr.project(pr.backproject(depth, camera), camera)
    assert float((uv - pixel_grid((30, 40), depth)).abs().max()) < 1e-4


def test_maps_of_another_size_and_cameras_of_another_batch_are_refused():
    with pytest.raises(InputError, match="30, 40"):
        pr.backproject(torch.ones(1, 1, 30, 41, dtype=F64), make_camera())
    with pytest.raises(InputError, match=r"\(3, 3\) or \(B, 3, 3\)"):
        pr.project_points(torch.ones(3, dtype=F64), make_camera(batch=2))
    with pytest.raises(InputError, match="points"):
        pr.project_points(torch.ones(3, 2, dtype=F64), make_camera())
