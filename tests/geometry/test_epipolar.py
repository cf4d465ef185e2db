"""Essential and fundamental matrices under our names."""

import cv2
import pytest
import torch
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, make_motion, rand
from scenewright.errors import InputError
from scenewright.geometry import epipolar as ep
from scenewright.geometry.lie import transform
from scenewright.geometry.projection import point_rays, project_points
from tolerances import close

POINTS = rand(2, 30, 3) + torch.tensor([0.0, 0, 4], dtype=F64)
T_B_A = make_motion(2, translation=0.5, rotation=0.2)
CAM_A, CAM_B = make_camera(), make_camera(64, 48, batch=2)
UV_A, UV_B = project_points(POINTS, CAM_A)[0], project_points(transform(T_B_A, POINTS), CAM_B)[0]


def test_rays_and_pixels_of_one_point_satisfy_the_constraint():
    a, b = point_rays(UV_A, CAM_A), point_rays(UV_B, CAM_B)
    E = ep.essential_from_motion(T_B_A)
    zero = torch.zeros(2, 30, dtype=F64)
    close(torch.einsum("bni,bij,bnj->bn", b, E, a), zero)
    close(torch.linalg.matrix_norm(E), 2**0.5 * torch.linalg.vector_norm(T_B_A[:, :3, 3], dim=-1))
    F = ep.fundamental_from_motion(T_B_A, CAM_A, CAM_B)
    close(ep.sampson_distance(F, UV_A, UV_B), zero)
    line = ep.epipolar_lines(F, UV_A)
    close((line[..., :2] * UV_B).sum(-1) + line[..., 2], zero)


def test_distances_are_pixels():
    F = ep.fundamental_from_motion(T_B_A, CAM_A, CAM_B)
    line = ep.epipolar_lines(F, UV_A)
    off = UV_B + 3 * line[..., :2]
    close((line[..., :2] * off).sum(-1) + line[..., 2], torch.full((2, 30), 3.0, dtype=F64))
    sampson = ep.sampson_distance(F, UV_A, off, squared=False)
    assert bool((sampson <= 3 + 1e-9).all())  # shared between both pictures, so never more than in one
    for n in range(3):
        x, y = (torch.cat([p[0, n], torch.ones(1, dtype=F64)]).numpy() for p in (UV_A, off))
        assert float(sampson[0, n] ** 2) == pytest.approx(cv2.sampsonDistance(x, y, F[0].numpy()), rel=1e-9)
    close(ep.sampson_distance(F, UV_A, off), sampson**2)


def test_the_motion_comes_back_out_of_its_essential_matrix():
    T, in_front = ep.motion_from_essential(-2 * ep.essential_from_motion(T_B_A), UV_A, UV_B, CAM_A, CAM_B)
    close(T[:, :3, :3], T_B_A[:, :3, :3])
    close(T[:, :3, 3], torch.nn.functional.normalize(T_B_A[:, :3, 3], dim=-1))
    assert in_front.tolist() == [30, 30]


def test_gradients_and_wrong_arguments():
    T = T_B_A.clone().requires_grad_()
    off = (UV_B[:, :4] + rand(2, 4, 2)).requires_grad_()

    def distance(t, uv):
        return ep.sampson_distance(ep.fundamental_from_motion(t, CAM_A, CAM_B), UV_A[:, :4], uv)

    assert gradcheck(distance, (T, off))
    assert gradcheck(lambda t: ep.epipolar_lines(ep.essential_from_motion(t), UV_A[:, :3]), (T,))
    with pytest.raises(InputError, match="undistorted"):
        ep.fundamental_from_motion(T, make_camera(lens=(0.1, 0, 0, 0)), CAM_B)
    with pytest.raises(InputError, match="uv_b"):
        ep.sampson_distance(torch.eye(3, dtype=F64), UV_A, UV_B[:, :5])
