"""Group laws, singular points, and agreement with kornia, SciPy and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.geometry.liegroup import Se3
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck, gradgradcheck

from geometry_cases import F64, rand
from scenewright.errors import InputError
from scenewright.geometry import lie
from tolerances import close

ANGLES = [0.0, 1e-12, 1e-8, 1e-4, 0.1, 1.0, 3.0, 3.1415, math.pi - 1e-7]
DTYPES = st.sampled_from([torch.float32, F64])


def twists(batch, size, seed, dtype=F64):
    """Random twists whose rotation is shorter than pi."""
    twist = rand(*batch, size, seed=seed)
    twist[..., 3:6] *= 1.7
    return twist.to(dtype)


def twist_of_angle(angle, size=6):
    axis = torch.tensor([1.0, -2.0, 3.0], dtype=F64) / math.sqrt(14)
    return torch.cat([torch.tensor([0.3, -1.0, 2.0], dtype=F64), axis * angle, torch.full((size - 6,), 0.4, dtype=F64)])


@given(st.lists(st.integers(1, 3), max_size=3), st.integers(0, 999), DTYPES)
@settings(max_examples=40, deadline=None)
def test_group_laws(batch, seed, dtype):
    for exp, log, inverse, size in (
        (lie.se3_exp, lie.se3_log, lie.se3_inverse, 6),
        (lie.sim3_exp, lie.sim3_log, lie.sim3_inverse, 7),
    ):
        twist = twists(batch, size, seed, dtype)
        T_ab, T_bc, T_cd = (
            exp(twist),
            exp(twists(batch, size, seed + 1, dtype)),
            exp(twists(batch, size, seed + 2, dtype)),
        )
        identity = torch.eye(4, dtype=dtype).expand(*batch, 4, 4)
        close(log(T_ab), twist)
        close(lie.compose(T_ab, inverse(T_ab)), identity)
        close(lie.compose(inverse(T_ab), T_ab), identity)
        close(lie.compose(lie.compose(T_ab, T_bc), T_cd), lie.compose(T_ab, lie.compose(T_bc, T_cd)))
        close(inverse(lie.compose(T_ab, T_bc)), lie.compose(inverse(T_bc), inverse(T_ab)))
        close(exp(-twist), inverse(T_ab))
        whole = lie.compose(exp(0.3 * twist), exp(0.7 * twist))
        # in float32 the rounding of the two arguments alone turns the product by up to a few 1e-5
        torch.testing.assert_close(whole, T_ab, rtol=1e-4, atol=5e-5) if dtype == torch.float32 else close(whole, T_ab)


@given(st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_adjoint_moves_a_twist_to_the_other_side(seed):
    for exp, adjoint, size in ((lie.se3_exp, lie.se3_adjoint, 6), (lie.sim3_exp, lie.sim3_adjoint, 7)):
        T, twist = exp(twists((2,), size, seed)), twists((2,), size, seed + 1)
        moved = (adjoint(T) @ twist[..., None])[..., 0]
        close(T @ exp(twist), exp(moved) @ T)


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_agrees_with_kornia_and_scipy_and_log_returns_at_every_angle(angle):
    twist = twist_of_angle(angle)
    T = lie.se3_exp(twist)
    close(T, Se3.exp(twist[None]).matrix()[0])
    close(T, torch.from_numpy(expm(lie.se3_hat(twist).numpy())))
    close(lie.se3_log(T), twist)
    close(lie.so3_exp(twist[3:]), torch.from_numpy(Rotation.from_rotvec(twist[3:].numpy()).as_matrix()))
    similar = twist_of_angle(angle, 7)
    close(lie.sim3_exp(similar), torch.from_numpy(expm(lie.sim3_hat(similar).numpy())))
    close(lie.sim3_log(lie.sim3_exp(similar)), similar)
    close(lie.rotation_angle(T[:3, :3]), torch.tensor(angle, dtype=F64))


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, -1, 0], [0, 0, 1], [1, 1, 0], [1, -2, 3]])
def test_half_a_turn_comes_back_up_to_its_sign(axis):
    axis = torch.tensor(axis, dtype=F64)
    omega = axis / torch.linalg.vector_norm(axis) * math.pi
    found = lie.so3_log(lie.so3_exp(omega))
    close(torch.minimum((found - omega).abs().max(), (found + omega).abs().max()), torch.zeros((), dtype=F64))
    close(lie.rotation_angle(lie.so3_exp(omega)), torch.tensor(math.pi, dtype=F64))


def test_translation_comes_first_and_is_not_the_translation_of_the_motion():
    quarter = torch.tensor([1.0, 0, 0, 0, 0, math.pi / 2], dtype=F64)
    T = lie.se3_exp(quarter)
    close(T[:3, :3], torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=F64))
    close(T[:3, 3], torch.tensor([2 / math.pi, 2 / math.pi, 0], dtype=F64))  # V rho, a quarter of a circle
    close(
        lie.sim3_scale(lie.sim3_exp(torch.tensor([0, 0, 0, 0, 0, 0, math.log(2)], dtype=F64))),
        torch.tensor(2.0).double(),
    )


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1.0, 3.1])
def test_gradients_of_exp_and_log(angle):
    """Also at zero, where the closed forms divide 0 by 0; log's input is kept on the group by exp."""
    six, seven = (twist_of_angle(angle, n).requires_grad_() for n in (6, 7))
    assert gradcheck(lie.se3_exp, (six,))
    assert gradcheck(lie.sim3_exp, (seven,))
    assert gradcheck(lambda x: lie.se3_log(lie.se3_exp(x)), (six,))
    assert gradcheck(lambda x: lie.sim3_log(lie.sim3_exp(x)), (seven,))
    assert gradgradcheck(lie.se3_exp, (six,))


def test_gradients_of_the_rest():
    T, points = lie.se3_exp(twists((2,), 6, 1)).requires_grad_(), rand(2, 3, 3).requires_grad_()
    S = lie.sim3_exp(twists((2,), 7, 2)).requires_grad_()
    for function in (lie.se3_inverse, lie.se3_adjoint, lie.accumulate, lie.mirror):
        assert gradcheck(function, (T,))
    for function in (lie.sim3_inverse, lie.sim3_adjoint, lie.sim3_scale):
        assert gradcheck(function, (S,))
    assert gradcheck(lie.transform, (T, points))
    assert gradcheck(lie.relative, (T, lie.se3_exp(twists((2,), 6, 3)).requires_grad_()))
    assert gradcheck(lie.nearest_rotation, (rand(2, 3, 3, seed=4).requires_grad_(),))
    assert gradcheck(lie.euler_xyz_to_rotation, (rand(2, 3).requires_grad_(),))
    assert gradcheck(lambda w: lie.rotation_angle(lie.so3_exp(w)), (rand(4, 3).requires_grad_(),))
    assert gradcheck(lambda w: lie.rotation_to_quaternion_wxyz(lie.so3_exp(w)), (rand(4, 3).requires_grad_(),))
    assert gradcheck(lie.quaternion_wxyz_to_rotation, (rand(4, 4).requires_grad_(),))
    eye, target = rand(2, 3).requires_grad_(), (rand(2, 3, seed=5) + 3).requires_grad_()
    assert gradcheck(lambda e, t: lie.look_at(e, t, e.new_tensor([0.0, 0, 1])), (eye, target))
    fraction = torch.tensor([0.3, 0.8], dtype=F64, requires_grad=True)
    assert gradcheck(lambda f: lie.se3_interpolate(T.detach(), T.detach().flip(0), f), (fraction,))


def test_the_angle_has_a_finite_gradient_without_rotation():
    R = torch.eye(3, dtype=F64, requires_grad=True)
    lie.rotation_angle(R).backward()
    assert bool(torch.isfinite(R.grad).all())


def test_transform_by_one_and_by_many_motions():
    T, points = lie.se3_exp(twists((4,), 6, 1)), rand(4, 5, 2, 3)
    moved = lie.transform(T, points)
    for b in range(4):
        close(moved[b], lie.transform(T[b], points[b]))
        close(moved[b, 1, 1], T[b, :3, :3] @ points[b, 1, 1] + T[b, :3, 3])
    close(lie.transform(T, points[:1]), lie.transform(T, points[:1].expand(4, 5, 2, 3)))
    close(lie.transform(T[:1], points), lie.transform(T[0], points))
    for T_bad, p_bad in ((T, points[:3]), (T, points[0, 0, 0]), (T[None], points), (T[:, :3], points)):
        with pytest.raises(InputError):
            lie.transform(T_bad, p_bad)


def test_relative_and_accumulated_poses_name_their_frames():
    poses = lie.se3_exp(twists((6,), 6, 8))
    steps = lie.relative(poses[:-1], poses[1:])
    close(lie.transform(poses[0], lie.transform(steps[0], rand(5, 3))), lie.transform(poses[1], rand(5, 3)))
    close(poses[0] @ lie.accumulate(steps), poses)
    hundred = lie.se3_exp(twists((100,), 6, 9) * 0.1)
    product = np.linalg.multi_dot([expm(lie.se3_hat(x).numpy()) for x in twists((100,), 6, 9) * 0.1])
    close(lie.accumulate(hundred)[-1], torch.from_numpy(product))


def test_interpolation_starts_ends_and_turns_evenly():
    a, b = lie.se3_exp(twists((2, 3), 6, 10))
    close(lie.se3_interpolate(a, b, torch.zeros(3, dtype=F64)), a)
    close(lie.se3_interpolate(a, b, torch.ones(3, dtype=F64)), b)
    third = lie.se3_interpolate(a, b, torch.full((3,), 1 / 3, dtype=F64))
    close(third[:, :3, 3], a[:, :3, 3] + (b - a)[:, :3, 3] / 3)
    total = lie.rotation_angle(lie.relative(a, b)[:, :3, :3])
    close(lie.rotation_angle(lie.relative(a, third)[:, :3, :3]), total / 3)


def test_mirrored_cameras_see_the_mirrored_world():
    T, points = lie.se3_exp(twists((), 6, 11)), rand(5, 3)
    m = torch.tensor([-1.0, 1, 1], dtype=F64)
    close(lie.transform(lie.mirror(T), points * m), lie.transform(T, points) * m)
    assert float(torch.linalg.det(lie.mirror(T)[:3, :3])) == pytest.approx(1)


@given(st.integers(0, 999), DTYPES)
@settings(max_examples=30, deadline=None)
def test_quaternions_and_rotations_are_the_same_thing(seed, dtype):
    q = torch.nn.functional.normalize(rand(8, 4, seed=seed), dim=-1).to(dtype)
    q = torch.where(q[:, :1] < 0, -q, q)
    R = lie.quaternion_wxyz_to_rotation(q)
    close(lie.rotation_to_quaternion_wxyz(R), q)
    close(lie.quaternion_wxyz_to_rotation(-3 * q), R)
    close(
        R.double().float(),
        torch.from_numpy(Rotation.from_quat(q.double().numpy(), scalar_first=True).as_matrix()).float(),
    )
    xyzw = lie.quaternion_wxyz_to_xyzw(q)
    close(xyzw, torch.cat([q[:, 1:], q[:, :1]], -1))
    close(lie.quaternion_xyzw_to_wxyz(xyzw), q)


def test_quaternions_that_are_no_rotation_are_refused():
    for bad in ([0.0, 0, 0, 0], [math.nan, 0, 0, 0], [math.inf, 0, 0, 1]):
        with pytest.raises(InputError, match="q_wxyz"):
            lie.quaternion_wxyz_to_rotation(torch.tensor(bad))


def test_euler_angles_turn_z_first():
    angles = torch.tensor([0.2, -0.4, 0.7], dtype=F64)
    close(lie.euler_xyz_to_rotation(angles), torch.from_numpy(Rotation.from_euler("XYZ", angles.numpy()).as_matrix()))
    only_z = lie.euler_xyz_to_rotation(torch.tensor([0.0, 0, math.pi / 2], dtype=F64))
    close(only_z @ torch.tensor([1.0, 0, 0], dtype=F64), torch.tensor([0.0, 1, 0], dtype=F64))


def test_the_nearest_rotation_is_a_rotation_and_beats_its_neighbours():
    M = rand(20, 3, 3, seed=12)
    R = lie.nearest_rotation(M)
    close(R @ R.mT, torch.eye(3, dtype=F64).expand(20, 3, 3))
    close(torch.linalg.det(R), torch.ones(20, dtype=F64))
    best = torch.linalg.matrix_norm(M - R)
    for seed in range(10):
        other = R @ lie.so3_exp(0.05 * rand(20, 3, seed=seed))
        assert bool((torch.linalg.matrix_norm(M - other) >= best - 1e-12).all())


def test_a_camera_that_looks_at_a_point_sees_it_in_its_middle_with_up_upwards():
    eye, target, up = (torch.tensor(x, dtype=F64) for x in ([1.0, 2, 3], [4.0, -1, 2], [0.0, 0, 1]))
    T_world_cam = lie.look_at(eye, target, up)
    close(torch.linalg.det(T_world_cam[:3, :3]), torch.tensor(1.0, dtype=F64))
    seen = lie.transform(lie.se3_inverse(T_world_cam), torch.stack([eye, target, target + up]))
    close(seen[0], torch.zeros(3, dtype=F64))
    close(seen[1, :2], torch.zeros(2, dtype=F64))
    assert seen[1, 2] > 0
    assert seen[2, 1] < 0
    assert abs(float(seen[2, 0])) < 1e-12
    for same in (eye, eye + 5 * up):
        with pytest.raises(InputError, match="look_at"):
            lie.look_at(eye, same, up)


@pytest.mark.parametrize(
    ("function", "shape"),
    [(lie.so3_exp, (2,)), (lie.se3_exp, (7,)), (lie.sim3_exp, (6,)), (lie.so3_log, (4, 4)), (lie.se3_log, (3, 4))],
)
def test_wrong_shapes_are_named(function, shape):
    with pytest.raises(InputError, match=r"\(\.\.\., "):
        function(torch.zeros(shape))
