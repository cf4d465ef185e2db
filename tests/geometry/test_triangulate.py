"""Two rays and a motion give the point back."""

import pytest
import torch
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, make_motion, rand, render_pair
from scenewright.errors import InputError
from scenewright.geometry.lie import transform
from scenewright.geometry.projection import project_points
from scenewright.geometry.triangulate import depth_from_flow, triangulate
from scenewright.geometry.warp import rigid_flow

POINTS = rand(2, 30, 3) + torch.tensor([0.0, 0, 4], dtype=F64)
T_B_A = make_motion(2, translation=0.5, rotation=0.2)


@pytest.mark.parametrize("lens", [(), (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)])
def test_projected_points_come_back(lens):
    a, b = make_camera(lens=lens), make_camera(64, 48, batch=2, lens=lens)
    uv_a, uv_b = project_points(POINTS, a)[0], project_points(transform(T_B_A, POINTS), b)[0]
    points, valid = triangulate(uv_a, uv_b, a, b, T_B_A)
    assert bool(valid.all())
    assert float((points - POINTS).abs().max()) < 1e-7  # the linear system squares its condition number


def test_flow_and_depth_undo_each_other():
    camera, T = make_camera(), make_motion(2, translation=0.5)
    _, depth, _, _ = render_pair(camera, T)
    flow, _ = rigid_flow(depth, camera, T)
    found, valid = depth_from_flow(flow, camera, T)
    assert bool(valid.all())
    assert float((found - depth).abs().max()) < 1e-6
    found, valid = depth_from_flow(flow.float(), camera.to(torch.float32), T.float())
    assert float((found / depth - 1).abs()[valid].quantile(0.99)) < 1e-3


def test_without_parallax_or_behind_the_camera_nothing_is_claimed():
    camera, turn = make_camera(), make_motion(translation=0.0)
    depth = torch.full((1, 1, 30, 40), 2.0, dtype=F64)
    flow, _ = rigid_flow(depth, camera, turn)
    found, valid = depth_from_flow(flow, camera, turn)
    assert not bool(valid.any())
    assert bool((found == 0).all())
    side = torch.eye(4, dtype=F64)
    side[0, 3] = 0.3
    flow, _ = rigid_flow(depth, camera, side)
    assert not bool(depth_from_flow(-flow, camera, side)[1].any())  # such rays meet behind the cameras


def test_gradients_and_wrong_shapes():
    camera = make_camera()
    uv_a = project_points(POINTS[:, :3], camera)[0].requires_grad_()
    uv_b = (project_points(transform(T_B_A, POINTS[:, :3]), camera)[0] + 0.1).requires_grad_()
    T = T_B_A.clone().requires_grad_()
    assert gradcheck(lambda a, b, t: triangulate(a, b, camera, camera, t)[0], (uv_a, uv_b, T))
    small, still = make_camera(3, 2), make_motion(translation=0.5)
    flow = rigid_flow(torch.full((1, 1, 2, 3), 2.0, dtype=F64), small, still)[0].requires_grad_()
    assert gradcheck(lambda f: depth_from_flow(f, small, still)[0], (flow,))
    with pytest.raises(InputError, match="uv_b"):
        triangulate(uv_a, uv_b[:, :2], camera, camera, T)
