"""Rigid motions and similarities as matrices and twists: SO(3), SE(3), Sim(3).

`T_a_b` (..., 4, 4) maps points of frame b into frame a: X_a = R X_b + t. A similarity has s R in place of R.
Twists put the translation first: SE(3) (rho, omega), Sim(3) (rho, omega, log s); radians, and the unit of t.
Every map is its definition, exp(hat(xi)) by the matrix exponential, so there is no small-angle branch to go wrong.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.geometry import conversions
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.checks import check_last


# ---- exponential and logarithm ------------------------------------------------------------------------------------
def so3_hat(omega: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3), the matrix of the cross product omega x (.)."""
    check_last("omega", omega, 3)
    axes = torch.eye(3, dtype=omega.dtype, device=omega.device).expand(*omega.shape[:-1], 3, 3)
    return torch.linalg.cross(axes, omega[..., None, :])  # row i of [omega]x is e_i x omega


def se3_hat(twist: Tensor) -> Tensor:
    """(..., 6) -> (..., 4, 4), [[omega]x, rho; 0, 0]."""
    check_last("twist", twist, 6)
    return F.pad(torch.cat([so3_hat(twist[..., 3:]), twist[..., :3, None]], dim=-1), (0, 0, 0, 1))


def sim3_hat(twist: Tensor) -> Tensor:
    """(..., 7) -> (..., 4, 4), [[omega]x + log s I, rho; 0, 0]."""
    check_last("twist", twist, 7)
    diagonal = F.pad(twist[..., 6:].expand(*twist.shape[:-1], 3), (0, 1))
    return se3_hat(twist[..., :6]) + torch.diag_embed(diagonal)


def so3_exp(omega: Tensor) -> Tensor:
    """Rotation vector (..., 3) in radians -> rotation (..., 3, 3)."""
    return torch.linalg.matrix_exp(so3_hat(omega))


def se3_exp(twist: Tensor) -> Tensor:
    """Twist (..., 6), translation first -> motion (..., 4, 4)."""
    return torch.linalg.matrix_exp(se3_hat(twist))


def sim3_exp(twist: Tensor) -> Tensor:
    """Twist (..., 7), (translation, rotation, log scale) -> similarity (..., 4, 4)."""
    return torch.linalg.matrix_exp(sim3_hat(twist))


def so3_log(R: Tensor) -> Tensor:
    """Rotation (..., 3, 3) -> rotation vector (..., 3) of length at most pi; at exactly pi either sign may come."""
    check_last("R", R, 3, 3)
    return conversions.rotation_matrix_to_axis_angle(R)


def se3_log(T: Tensor) -> Tensor:
    """Motion (..., 4, 4) -> twist (..., 6), translation first; |rotation| <= pi."""
    check_last("T", T, 4, 4)
    omega = so3_log(T[..., :3, :3])
    return torch.cat([_solve_translation(so3_hat(omega), T[..., :3, 3]), omega], dim=-1)


def sim3_log(S: Tensor) -> Tensor:
    """Similarity (..., 4, 4) -> twist (..., 7), (translation, rotation, log scale)."""
    scale = sim3_scale(S)[..., None]
    omega, log_scale = so3_log(S[..., :3, :3] / scale[..., None]), torch.log(scale)
    generator = so3_hat(omega) + torch.diag_embed(log_scale.expand_as(omega))
    return torch.cat([_solve_translation(generator, S[..., :3, 3]), omega, log_scale], dim=-1)


def _solve_translation(A: Tensor, t: Tensor) -> Tensor:
    """rho of t = V rho, where V = integral of exp(tau A) over tau in [0, 1] = top right of exp([A I; 0 0])."""
    identity = torch.eye(3, dtype=A.dtype, device=A.device).expand_as(A)
    V = torch.linalg.matrix_exp(F.pad(torch.cat([A, identity], dim=-1), (0, 0, 0, 3)))[..., :3, 3:]
    return torch.linalg.solve(V, t)


# ---- group operations ---------------------------------------------------------------------------------------------
def motion(R: Tensor, t: Tensor) -> Tensor:
    """(..., 3, 3) and (..., 3) -> (..., 4, 4) [R t; 0 1]; R may carry a scale."""
    check_last("R", R, 3, 3)
    check_last("t", t, 3)
    top = torch.cat([R, t[..., None]], dim=-1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=R.dtype, device=R.device).expand(*R.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def sim3_scale(S: Tensor) -> Tensor:
    """The scale (...) of a similarity (..., 4, 4): det(s R)^(1/3)."""
    check_last("S", S, 4, 4)
    return torch.linalg.det(S[..., :3, :3]) ** (1 / 3)


def se3_inverse(T_a_b: Tensor) -> Tensor:
    """T_b_a (..., 4, 4): [R' -R't; 0 1]."""
    check_last("T_a_b", T_a_b, 4, 4)
    R_b_a = T_a_b[..., :3, :3].mT
    return motion(R_b_a, -(R_b_a @ T_a_b[..., :3, 3:])[..., 0])


def sim3_inverse(S_a_b: Tensor) -> Tensor:
    """S_b_a (..., 4, 4): (s R)^-1 = (s R)' / s^2."""
    A = S_a_b[..., :3, :3].mT / sim3_scale(S_a_b)[..., None, None] ** 2
    return motion(A, -(A @ S_a_b[..., :3, 3:])[..., 0])


def compose(T_a_b: Tensor, T_b_c: Tensor) -> Tensor:
    """T_a_c (..., 4, 4), motions or similarities: the inner frames meet."""
    return T_a_b @ T_b_c


def relative(T_world_a: Tensor, T_world_b: Tensor) -> Tensor:
    """T_a_b (..., 4, 4) from two poses."""
    return se3_inverse(T_world_a) @ T_world_b


def accumulate(T_previous_next: Tensor) -> Tensor:
    """Poses (..., N + 1, 4, 4) in the first frame from N steps (..., N, 4, 4); differentiable (VINet's composition)."""
    check_last("T_previous_next", T_previous_next, 4, 4)
    pose = torch.eye(4, dtype=T_previous_next.dtype, device=T_previous_next.device)
    poses = [pose.expand(*T_previous_next.shape[:-3], 4, 4)]
    for step in T_previous_next.unbind(-3):
        poses.append(poses[-1] @ step)
    return torch.stack(poses, dim=-3)


def se3_adjoint(T: Tensor) -> Tensor:
    """(..., 6, 6) with T exp(xi) T^-1 = exp(Ad xi): [[R, [t]x R], [0, R]]."""
    check_last("T", T, 4, 4)
    R, t = T[..., :3, :3], T[..., :3, 3]
    top = torch.cat([R, so3_hat(t) @ R], dim=-1)
    return torch.cat([top, torch.cat([torch.zeros_like(R), R], dim=-1)], dim=-2)


def sim3_adjoint(S: Tensor) -> Tensor:
    """(..., 7, 7) with S exp(xi) S^-1 = exp(Ad xi): [[s R, [t]x R, -t], [0, R, 0], [0, 0, 1]]."""
    sR, t = S[..., :3, :3], S[..., :3, 3]
    R = sR / sim3_scale(S)[..., None, None]
    top = torch.cat([sR, so3_hat(t) @ R, -t[..., None]], dim=-1)
    lower = torch.cat([F.pad(R, (3, 1)), F.pad(torch.ones_like(R[..., :1, :1]), (6, 0))], dim=-2)
    return torch.cat([top, lower], dim=-2)


def transform(T_a_b: Tensor, points_b: Tensor) -> Tensor:
    """Move points into another frame.

    Args:
        T_a_b: (4, 4) or (B, 4, 4), a motion or a similarity.
        points_b: (..., 3), or (B, ..., 3) for a batch of motions; B may be 1 on either side.

    Returns:
        Points of the same shape (batch expanded) in frame a.
    """
    check_last("T_a_b", T_a_b, 4, 4)
    check_last("points", points_b, 3)
    return affine(T_a_b[..., :3, :3], T_a_b[..., :3, 3], points_b)


def affine(A: Tensor, t: Tensor, points: Tensor) -> Tensor:
    """A x + t for points (..., n) and one map (m, n), (m,); or (B, ..., n) and a batch (B, m, n), (B, m)."""
    if A.ndim == 2:
        return points @ A.mT + t
    if A.ndim != 3 or points.ndim < 2 or (1 not in (len(A), len(points)) and len(A) != len(points)):
        raise InputError("points", f"shape {tuple(points.shape)}", f"(B, ..., {A.shape[-1]}) for {len(A)} maps")
    return torch.einsum("bij,b...j->b...i", A, points) + t.reshape(-1, *[1] * (points.ndim - 2), t.shape[-1])


def se3_interpolate(T_world_a: Tensor, T_world_b: Tensor, fraction: Tensor) -> Tensor:
    """The pose a `fraction` (...) of the way from a to b: translation linear, rotation along the great circle."""
    s = fraction[..., None]
    R_a, R_b = T_world_a[..., :3, :3], T_world_b[..., :3, :3]
    t = torch.lerp(T_world_a[..., :3, 3], T_world_b[..., :3, 3], s)
    return motion(R_a @ so3_exp(s * so3_log(R_a.mT @ R_b)), t)


def mirror(T_a_b: Tensor) -> Tensor:
    """The motion between two cameras whose pictures are both mirrored left to right: M T M, M = diag(-1, 1, 1, 1)."""
    check_last("T_a_b", T_a_b, 4, 4)
    m = T_a_b.new_tensor([-1.0, 1.0, 1.0, 1.0])
    return m[:, None] * T_a_b * m


# ---- rotations in other clothes -----------------------------------------------------------------------------------
def rotation_angle(R: Tensor) -> Tensor:
    """Angle (...) in radians, [0, pi], of rotations (..., 3, 3): atan2(|vee(R - R')| / 2, (tr R - 1) / 2), not acos."""
    check_last("R", R, 3, 3)
    skew = R - R.mT
    vee = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1)
    trace = R.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.atan2(torch.linalg.vector_norm(vee, dim=-1) / 2, (trace - 1) / 2)


def nearest_rotation(M: Tensor) -> Tensor:
    """The rotation closest to (..., 3, 3) in Frobenius norm: U diag(1, 1, det(U V')) V' of its SVD."""
    check_last("M", M, 3, 3)
    U, _, Vh = torch.linalg.svd(M)
    sign = torch.linalg.det(U @ Vh).sign()
    flip = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], dim=-1)
    return (U * flip[..., None, :]) @ Vh


def euler_xyz_to_rotation(angles: Tensor) -> Tensor:
    """R = Rx(a) Ry(b) Rz(c), so z turns first, of angles (..., 3) in radians (SfMLearner, SfM-Net)."""
    check_last("angles", angles, 3)
    axis = torch.diag_embed(angles)
    return so3_exp(axis[..., 0, :]) @ so3_exp(axis[..., 1, :]) @ so3_exp(axis[..., 2, :])


def rotation_to_quaternion_wxyz(R: Tensor) -> Tensor:
    """(..., 3, 3) -> unit quaternion (..., 4), scalar first and never negative."""
    check_last("R", R, 3, 3)
    q = conversions.rotation_matrix_to_quaternion(R)
    return torch.where(q[..., :1] < 0, -q, q)


def quaternion_wxyz_to_rotation(q_wxyz: Tensor) -> Tensor:
    """(..., 4), scalar first, of any length but 0 -> (..., 3, 3).

    Raises:
        InputError: a quaternion of length zero, or one that is not finite.
    """
    check_last("q_wxyz", q_wxyz, 4)
    norm = torch.linalg.vector_norm(q_wxyz, dim=-1, keepdim=True)
    if not bool(((norm > 0) & torch.isfinite(norm)).all()):
        raise InputError("q_wxyz", "a quaternion of length 0 or not finite", "four finite numbers, not all zero")
    return conversions.quaternion_to_rotation_matrix(q_wxyz / norm)


def quaternion_wxyz_to_xyzw(q_wxyz: Tensor) -> Tensor:
    """Scalar first -> scalar last, for writers of TUM trajectories and the like."""
    check_last("q_wxyz", q_wxyz, 4)
    return q_wxyz.roll(-1, dims=-1)


def quaternion_xyzw_to_wxyz(q_xyzw: Tensor) -> Tensor:
    """Scalar last -> scalar first, for readers."""
    check_last("q_xyzw", q_xyzw, 4)
    return q_xyzw.roll(1, dims=-1)


def look_at(eye: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """T_world_cam (..., 4, 4) of a camera at `eye` that looks at `target` with `up` upwards in its picture.

    Args:
        eye, target, up: (..., 3) in world coordinates.

    Raises:
        InputError: the view direction is zero or parallel to `up`.
    """
    eye, target, up = torch.broadcast_tensors(eye, target, up)
    forward = F.normalize(target - eye, dim=-1)
    right = torch.linalg.cross(forward, F.normalize(up, dim=-1))
    if bool((torch.linalg.vector_norm(right, dim=-1) < 1e-6).any()):
        raise InputError("look_at", "a view direction of zero length or along `up`", "two directions that differ")
    right = F.normalize(right, dim=-1)
    down = torch.linalg.cross(forward, right)
    return motion(torch.stack([right, down, forward], dim=-1), eye)
