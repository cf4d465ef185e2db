"""Bundle adjustment over views and points with a learned depth as a weak prior (an addition to the paper).

The classical problem (Triggs 2000): minimise the Huber-weighted reprojection error, in pixels, over camera poses and
points, by Levenberg-Marquardt on the Schur complement of the points. Two terms are ours: an observation may also carry
the network's depth, as a residual of log depth, which gives points without parallax a place and the whole its scale;
and the lens, its focal length and radial distortion (Brown 1971), may be a common unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenewright.slam import rigid
from scenewright.slam.image import Intrinsics
from scenewright.slam.levenberg import search_along, solve_lower

Array = NDArray[np.float64]


LEAST_SD_PX = 0.15
"""No pixel counts as surer in what is said about the result: what is left of the errors of corners that fit better than
that (interpolation, lens) is common to many, which does not average out.
"""
DISTORTION_SD = 0.1
"""Of the distortion k1 before anything is seen: it keeps a film that says nothing of its lens from inventing one."""


class Observations(NamedTuple):
    """M observations of points in views, sorted by point.

    Args:
        view, point: (M,) int64. pixel: (M, 2) float64.
        log_depth: (M,) float64, log of the depth in metres a network gives there.
        depth_weight: (M,) float64, 1 / (standard deviation of log depth), 0 = none.
    """

    view: NDArray[np.int64]
    point: NDArray[np.int64]
    pixel: Array
    log_depth: Array
    depth_weight: Array


@dataclass(frozen=True)
class Problem:
    """A bundle adjustment.

    Args:
        T_cam_world: (V, 3, 4) float64. free: (V,) bool, views that may move.
        points: (P, 3) float64, world.
        observations: see `Observations`.
        intrinsics: of all views.
        distortion: of their lens: a ray (a, b, 1) is seen at f (1 + k1 (a^2 + b^2)) (a, b) from the principal point.
    """

    T_cam_world: Array
    free: NDArray[np.bool_]
    points: Array
    observations: Observations
    intrinsics: Intrinsics
    distortion: float = 0.0


class Solution(NamedTuple):
    """What came out: poses (V, 3, 4), points (P, 3), factor on the focal lengths and distortion k1, the standard
    deviations of that factor's log and of k1 (0 where the lens was held), cost before and after.
    """

    T_cam_world: Array
    points: Array
    focal_factor: float
    distortion: float
    focal_sd: float
    distortion_sd: float
    cost_before: float
    cost_after: float


@njit(cache=True, nogil=True)
def _residual(T, X, u, v, fx, fy, cx, cy, k1):  # type: ignore[no-untyped-def]
    x = T[0, 0] * X[0] + T[0, 1] * X[1] + T[0, 2] * X[2] + T[0, 3]
    y = T[1, 0] * X[0] + T[1, 1] * X[1] + T[1, 2] * X[2] + T[1, 3]
    z = T[2, 0] * X[0] + T[2, 1] * X[1] + T[2, 2] * X[2] + T[2, 3]
    if z < 1e-3:
        return x, y, z, 0.0, 0.0
    d = 1 + k1 * (x * x + y * y) / (z * z)
    return x, y, z, fx * x / z * d + cx - u, fy * y / z * d + cy - v


@njit(cache=True, nogil=True)
def _huber(norm, delta):  # type: ignore[no-untyped-def]
    """Cost and weight."""
    if norm <= delta:
        return norm * norm, 1.0
    return 2 * delta * norm - delta * delta, delta / norm


@njit(cache=True, nogil=True)
def _cost(T, X, view, point, pixel, log_depth, depth_weight, fx, fy, cx, cy, k1, delta):  # type: ignore[no-untyped-def]
    total = 0.0
    for m in range(view.shape[0]):
        _, _, z, ru, rv = _residual(T[view[m]], X[point[m]], pixel[m, 0], pixel[m, 1], fx, fy, cx, cy, k1)
        if z < 1e-3:
            total += 2 * delta * 100.0
            continue
        total += _huber(np.sqrt(ru * ru + rv * rv), delta)[0]
        if depth_weight[m] > 0:
            total += _huber(abs(depth_weight[m] * (np.log(z) - log_depth[m])), 2.0)[0]
    return total


@njit(cache=True, nogil=True)
def _jacobians(T, x, y, z, fx, fy, k1, Jc, Jp):  # type: ignore[no-untyped-def]
    """Rows u, v, log z: Jc (3, 6) for the left twist of T, Jp (3, 3) for the point."""
    iz = 1 / z
    a, b = x * iz, y * iz
    d = 1 + k1 * (a * a + b * b)
    ua, ub, va, vb = fx * (d + 2 * k1 * a * a), fx * 2 * k1 * a * b, fy * 2 * k1 * a * b, fy * (d + 2 * k1 * b * b)
    for k, p, q in ((0, ua, ub), (1, va, vb)):  # by a and b, which move by (1, 0, -a) / z and (0, 1, -b) / z
        Jc[k, 0], Jc[k, 1], Jc[k, 2] = p * iz, q * iz, -(p * a + q * b) * iz
        Jc[k, 3], Jc[k, 4], Jc[k, 5] = -p * a * b - q * (1 + b * b), p * (1 + a * a) + q * a * b, q * a - p * b
    Jc[2, 0], Jc[2, 1], Jc[2, 2] = 0.0, 0.0, iz
    Jc[2, 3], Jc[2, 4], Jc[2, 5] = b, -a, 0.0
    for k in range(3):
        Jp[0, k] = Jc[0, 0] * T[0, k] + Jc[0, 1] * T[1, k] + Jc[0, 2] * T[2, k]
        Jp[1, k] = Jc[1, 0] * T[0, k] + Jc[1, 1] * T[1, k] + Jc[1, 2] * T[2, k]
        Jp[2, k] = iz * T[2, k]


# The kernels below name every element: numba takes seconds to compile `@`, solve and slices, once on every machine.


@njit(cache=True, nogil=True)
def _invert3(A, B):  # type: ignore[no-untyped-def]
    """B becomes the inverse of a symmetric (3, 3), by cofactors."""
    c00 = A[1, 1] * A[2, 2] - A[1, 2] * A[2, 1]
    c01 = A[0, 2] * A[2, 1] - A[0, 1] * A[2, 2]
    c02 = A[0, 1] * A[1, 2] - A[0, 2] * A[1, 1]
    det = A[0, 0] * c00 + A[1, 0] * c01 + A[2, 0] * c02
    B[0, 0], B[0, 1], B[0, 2] = c00 / det, c01 / det, c02 / det
    B[1, 1] = (A[0, 0] * A[2, 2] - A[0, 2] * A[2, 0]) / det
    B[1, 2] = (A[0, 2] * A[1, 0] - A[0, 0] * A[1, 2]) / det
    B[2, 2] = (A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0]) / det
    B[1, 0], B[2, 0], B[2, 1] = B[0, 1], B[0, 2], B[1, 2]


@njit(cache=True, nogil=True)
def _whiten(  # type: ignore[no-untyped-def]
    T, X, u, v, log_depth, depth_weight, fx, fy, cx, cy, k1, delta, Jc, Jp, Jl, r, w
):
    """Residuals r (u, v, log z), their weights w and Jacobians of one observation; False behind the camera."""
    x, y, z, r[0], r[1] = _residual(T, X, u, v, fx, fy, cx, cy, k1)
    if z < 1e-3:
        return False
    w[0] = w[1] = _huber(np.sqrt(r[0] * r[0] + r[1] * r[1]), delta)[1]
    w[2], r[2] = 0.0, 0.0
    if depth_weight > 0:
        r[2] = np.log(z) - log_depth
        w[2] = _huber(abs(depth_weight * r[2]), 2.0)[1] * depth_weight * depth_weight
    _jacobians(T, x, y, z, fx, fy, k1, Jc, Jp)
    square = (x * x + y * y) / (z * z)
    for k, fa in ((0, fx * x / z), (1, fy * y / z)):
        Jl[k, 0], Jl[k, 1] = fa * (1 + k1 * square), fa * square
    return True


@njit(cache=True, nogil=True)
def _add_view(s, wk, Jc, Jp, jl, rk, lens, S, b, W):  # type: ignore[no-untyped-def]
    """One residual row's share of a free view's blocks."""
    n = S.shape[0] - 2
    for i in range(6):
        wJ = wk * Jc[i]
        b[6 * s + i] -= wJ * rk
        for j in range(6):
            S[6 * s + i, 6 * s + j] += wJ * Jc[j]
        for j in range(3):
            W[i, j] += wJ * Jp[j]
        if lens:
            for g in range(2):
                S[n + g, 6 * s + i] += wJ * jl[g]


@njit(cache=True, nogil=True)
def _add_point(wk, Jp, jl, rk, lens, S, b, H, F, bp):  # type: ignore[no-untyped-def]
    """One residual row's share of its point's blocks and of the lens's."""
    n = S.shape[0] - 2
    for i in range(3):
        bp[i] -= wk * Jp[i] * rk
        for j in range(3):
            H[i, j] += wk * Jp[i] * Jp[j]
    if lens:
        for g in range(2):
            b[n + g] -= wk * jl[g] * rk
            for h in range(g + 1):
                S[n + g, n + h] += wk * jl[g] * jl[h]
            for i in range(3):
                F[g, i] += wk * jl[g] * Jp[i]


@njit(cache=True, nogil=True)
def _eliminate(slots, first, W, F, Hinv, bp, lens, S, b):  # type: ignore[no-untyped-def]
    """Subtract one point from the reduced system. slots: of its observations, which begin at row `first` of W."""
    n = S.shape[0] - 2
    WH = np.empty((6, 3))
    if lens:
        for g in range(2):
            for i in range(3):
                FH = Hinv[i, 0] * F[g, 0] + Hinv[i, 1] * F[g, 1] + Hinv[i, 2] * F[g, 2]
                b[n + g] -= FH * bp[i]
                for h in range(g + 1):
                    S[n + g, n + h] -= FH * F[h, i]
    for m in range(len(slots)):
        s = slots[m]
        if s < 0:
            continue
        Wm = W[first + m]
        for i in range(6):
            for j in range(3):
                WH[i, j] = Wm[i, 0] * Hinv[0, j] + Wm[i, 1] * Hinv[1, j] + Wm[i, 2] * Hinv[2, j]
            b[6 * s + i] -= WH[i, 0] * bp[0] + WH[i, 1] * bp[1] + WH[i, 2] * bp[2]
            if lens:
                for g in range(2):
                    S[n + g, 6 * s + i] -= WH[i, 0] * F[g, 0] + WH[i, 1] * F[g, 1] + WH[i, 2] * F[g, 2]
        for o in range(len(slots)):
            q = slots[o]
            if q < 0 or q > s:
                continue
            Wo = W[first + o]
            for i in range(6):
                for j in range(6):
                    S[6 * s + i, 6 * q + j] -= WH[i, 0] * Wo[j, 0] + WH[i, 1] * Wo[j, 1] + WH[i, 2] * Wo[j, 2]


@njit(cache=True, nogil=True)
def _reduce(  # type: ignore[no-untyped-def]
    T, slot, X, start, view, pixel, log_depth, depth_weight, fx, fy, cx, cy, k1, delta, damping, lens, S, b, W, F, Hinv,
    bp
):  # fmt: skip
    """Build the Schur complement S (lower triangle), b over free views (6 each, by `slot`), log focal length and k1.

    start: (P + 1,) first observation of every point. Kept for the points' own step: W (M, 6, 3), F (P, 2, 3), bp, which
    begin as zeros, and Hinv (P, 3, 3).
    """
    Jc, Jp, Jl = np.empty((3, 6)), np.empty((3, 3)), np.zeros((3, 2))
    r, w = np.empty(3), np.empty(3)
    for p in range(X.shape[0]):
        H = np.zeros((3, 3))
        for m in range(start[p], start[p + 1]):
            u, v = pixel[m, 0], pixel[m, 1]
            if not _whiten(
                T[view[m]], X[p], u, v, log_depth[m], depth_weight[m], fx, fy, cx, cy, k1, delta, Jc, Jp, Jl, r, w
            ):
                continue
            for k in range(3):
                if w[k] > 0:
                    _add_point(w[k], Jp[k], Jl[k], r[k], lens, S, b, H, F[p], bp[p])
                    if slot[view[m]] >= 0:
                        _add_view(slot[view[m]], w[k], Jc[k], Jp[k], Jl[k], r[k], lens, S, b, W[m])
        for i in range(3):
            H[i, i] = H[i, i] * (1 + damping) + 1e-9
        _invert3(H, Hinv[p])
    if lens:
        S[S.shape[0] - 1, S.shape[0] - 1] += DISTORTION_SD**-2
        b[S.shape[0] - 1] -= DISTORTION_SD**-2 * k1
    for i in range(S.shape[0]):
        S[i, i] += damping * S[i, i] + 1e-9
    for p in range(X.shape[0]):
        _eliminate(slot[view[start[p] : start[p + 1]]], start[p], W, F[p], Hinv[p], bp[p], lens, S, b)


@njit(cache=True, nogil=True)
def _move_points(X, start, view, slot, W, F, Hinv, bp, step, out):  # type: ignore[no-untyped-def]
    rhs, lens = np.empty(3), step.shape[0] - 2
    for p in range(X.shape[0]):
        for j in range(3):
            rhs[j] = bp[p, j] - F[p, 0, j] * step[lens] - F[p, 1, j] * step[lens + 1]
        for m in range(start[p], start[p + 1]):
            s = slot[view[m]]
            if s >= 0:
                for j in range(3):
                    for i in range(6):
                        rhs[j] -= W[m, i, j] * step[6 * s + i]
        for i in range(3):
            out[p, i] = X[p, i] + Hinv[p, i, 0] * rhs[0] + Hinv[p, i, 1] * rhs[1] + Hinv[p, i, 2] * rhs[2]


@njit(cache=True, nogil=True)
def _turned(wx, wy, wz, x, y, z, a, b):  # type: ignore[no-untyped-def]
    """p + a w x p + b w x (w x p)."""
    u, v, t = wy * z - wz * y, wz * x - wx * z, wx * y - wy * x
    return x + a * u + b * (wy * t - wz * v), y + a * v + b * (wz * u - wx * t), z + a * t + b * (wx * v - wy * u)


@njit(cache=True, nogil=True)
def _exp_left(T, d, out):  # type: ignore[no-untyped-def]
    """out = exp(d) T for (3, 4) motions and a twist (translation, rotation): Rodrigues' formula, column by column."""
    angle = np.sqrt(d[3] * d[3] + d[4] * d[4] + d[5] * d[5])
    if angle < 1e-8:
        a, b, c = 1.0, 0.5, 1 / 6
    else:
        a, b = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
        c = (1 - a) / angle**2
    for k in range(4):
        out[0, k], out[1, k], out[2, k] = _turned(d[3], d[4], d[5], T[0, k], T[1, k], T[2, k], a, b)
    x, y, z = _turned(d[3], d[4], d[5], d[0], d[1], d[2], b, c)
    out[0, 3] += x
    out[1, 3] += y
    out[2, 3] += z


def _moved(T: Array, slot: NDArray[np.int64], step: Array) -> Array:
    out, free = T.copy(), np.flatnonzero(slot >= 0)
    for v in free:
        s = 6 * slot[v]
        _exp_left(T[v], step[s : s + 6], out[v])
    out[free, :, :3] = rigid.nearest_rotations(out[free, :, :3])
    return out


class _State(NamedTuple):
    """Where the iteration stands: poses, points, factor on the focal lengths, distortion."""

    T_cam_world: Array
    points: Array
    factor: float
    distortion: float


def _stepped(now: _State, slot: NDArray[np.int64], step: Array, points: Array, share: float) -> _State:
    """A share of the way along a step of the views and the lens, and towards the points' new places."""
    T = _moved(now.T_cam_world, slot, share * step)
    factor, distortion = now.factor * float(np.exp(share * step[-2])), now.distortion + share * float(step[-1])
    return _State(T, now.points + share * (points - now.points), factor, distortion)


def solve(
    problem: Problem, iterations: int = 10, huber_px: float = 1.5, lens: bool = False, tolerance: float = 1e-5
) -> Solution:
    """Levenberg-Marquardt with a search along each step; deterministic, about 5 ms an iteration for 10 free views and
    500 points.

    The search is for long chains of views, whose far end may grow or shrink at next to no cost (drift of scale): steps
    that one bad point makes fail lead there slowly.

    Args:
        lens: also estimate a common factor on fx and fy, and the distortion.
        tolerance: share of the cost that a step must take away for another one to follow.
    """
    o, K = problem.observations, problem.intrinsics
    slot = np.where(problem.free, np.cumsum(problem.free) - 1, -1)
    start = np.searchsorted(o.point, np.arange(len(problem.points) + 1))
    size, M, P = 6 * int(problem.free.sum()) + 2, len(o.view), len(problem.points)
    W, F, Hinv, bp = np.zeros((M, 6, 3)), np.zeros((P, 2, 3)), np.zeros((P, 3, 3)), np.zeros((P, 3))

    def cost_of(s: _State) -> float:
        fx, fy = K.fx * s.factor, K.fy * s.factor
        seen = float(_cost(s.T_cam_world, s.points, *o, fx, fy, K.cx, K.cy, s.distortion, huber_px))
        return seen + (s.distortion / DISTORTION_SD) ** 2

    now, damping = _State(problem.T_cam_world.copy(), problem.points.copy(), 1.0, problem.distortion), 1e-4
    before = cost = cost_of(now)

    def reduced(damping: float) -> tuple[Array, Array]:
        S, b = np.zeros((size, size)), np.zeros(size)
        for sums in (W, F, bp):
            sums.fill(0)
        fx, fy = K.fx * now.factor, K.fy * now.factor
        _reduce(
            now.T_cam_world, slot, now.points, start, o.view, o.pixel, o.log_depth, o.depth_weight, fx, fy, K.cx, K.cy,
            now.distortion, huber_px, damping, lens, S, b, W, F, Hinv, bp,
        )  # fmt: skip
        return S, b

    for _ in range(iterations):
        (S, b), X = reduced(damping), np.empty_like(now.points)
        step = solve_lower(S, b)
        _move_points(now.points, start, o.view, slot, W, F, Hinv, bp, step, X)
        new, reached = search_along(partial(_stepped, now, slot, step, X), cost_of, cost)
        if reached >= cost:
            damping *= 8
            if damping > 1e6:
                break
            continue
        converged = reached > cost * (1 - tolerance)
        now, cost, damping = new, reached, max(damping / 5, 1e-7)
        if converged:
            break
    sd = np.zeros(2)
    if lens:  # the last unknowns' variances are the last of the inverse, in units of the residuals' variance
        variance = max(cost / max(2 * M, 1), LEAST_SD_PX**2)
        last = np.diag(solve_lower(reduced(1e-9)[0], np.eye(size)[:, -2:])[-2:])
        sd = np.where(last > 0, np.sqrt(np.maximum(last, 0) * variance), np.inf)
    return Solution(
        now.T_cam_world, now.points, now.factor, now.distortion, float(sd[0]), float(sd[1]), before, cost
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _solve_symmetric(A, b):  # type: ignore[no-untyped-def]
    """b becomes the solution of A x = b, by L D L' of a positive definite A, of which L and D take the place."""
    n = b.shape[0]
    for i in range(n):
        for j in range(i):
            for k in range(j):
                A[i, j] -= A[i, k] * A[k, k] * A[j, k]
            A[i, j] /= A[j, j]
            b[i] -= A[i, j] * b[j]
        for k in range(i):
            A[i, i] -= A[i, k] * A[i, k] * A[k, k]
        A[i, i] = max(A[i, i], 1e-12)  # rounding may take a pivot below 0 where little is seen
    for i in range(n - 1, -1, -1):
        b[i] /= A[i, i]
        for k in range(i + 1, n):
            b[i] -= A[k, i] * b[k]


@njit(cache=True, nogil=True)
def _normal_equations(T, X, pixel, fx, fy, cx, cy, delta, Jc, Jp, H, b):  # type: ignore[no-untyped-def]
    """H (6, 6) and b (6,) of the reprojection errors, under the weight of Geman and McClure: outliers vanish."""
    for i in range(6):
        b[i] = 0.0
        for j in range(6):
            H[i, j] = 1e-6 if i == j else 0.0
    for m in range(X.shape[0]):
        x, y, z, ru, rv = _residual(T, X[m], pixel[m, 0], pixel[m, 1], fx, fy, cx, cy, 0.0)
        if z < 1e-3:
            continue
        w = 1.0 / (1.0 + (ru * ru + rv * rv) / (delta * delta)) ** 2
        _jacobians(T, x, y, z, fx, fy, 0.0, Jc, Jp)
        for i in range(6):
            b[i] -= w * (Jc[0, i] * ru + Jc[1, i] * rv)
            for j in range(6):
                H[i, j] += w * (Jc[0, i] * Jc[0, j] + Jc[1, i] * Jc[1, j])


@njit(cache=True, nogil=True)
def _pose_only(T, X, pixel, fx, fy, cx, cy, delta, iterations, H):  # type: ignore[no-untyped-def]
    """Gauss-Newton on T (3, 4), in place; H becomes the last information."""
    Jc, Jp = np.empty((3, 6)), np.empty((3, 3))
    A, step, moved = np.empty((6, 6)), np.empty(6), np.empty((3, 4))
    for _ in range(iterations):
        _normal_equations(T, X, pixel, fx, fy, cx, cy, delta, Jc, Jp, H, step)
        for i in range(6):
            for j in range(6):
                A[i, j] = H[i, j]
        _solve_symmetric(A, step)
        _exp_left(T, step, moved)
        length = 0.0
        for i in range(6):
            length += step[i] * step[i]
        for i in range(3):
            for j in range(4):
                T[i, j] = moved[i, j]
        if length < 1e-14:
            break


def pose_only(
    T_cam_world: Array, points: Array, pixels: Array, intrinsics: Intrinsics, scales_px: tuple[float, ...] = (8.0, 3.0)
) -> tuple[Array, Array, Array]:
    """The pose of one view over fixed points (N, 3) seen at pixels (N, 2), robust to outliers.

    Args:
        scales_px: Geman-McClure scales, one round of Gauss-Newton each.

    Returns:
        T_cam_world (3, 4), reprojection errors in pixels (N,), and the last (6, 6) information.
    """
    T, H = np.array(T_cam_world[:3], np.float64, order="C"), np.zeros((6, 6))
    for scale in scales_px:
        _pose_only(T, points, pixels, *intrinsics, scale, 10, H)
    T = rigid.orthonormalise(T)[:3]
    return T, reprojection_errors(T, points, pixels, intrinsics), H


def pose_information(T_cam_world: Array, points: Array, pixels: Array, intrinsics: Intrinsics) -> Array:
    """(6, 6) information on the left twist (translation, rotation) of T_cam_world (3, 4), from pixels (N, 2) of fixed
    points (N, 3), each with a standard deviation of one pixel.
    """
    H, Jc, Jp, b = np.zeros((6, 6)), np.empty((3, 6)), np.empty((3, 3)), np.empty(6)
    _normal_equations(np.ascontiguousarray(T_cam_world), points, pixels, *intrinsics, 3.0, Jc, Jp, H, b)
    return H


def reprojection_errors(
    T_cam_world: Array, points: Array, pixels: Array, intrinsics: Intrinsics, distortion: float = 0.0
) -> Array:
    """Distances in pixels (N,) of projected points (N, 3) from pixels (N, 2); infinite behind the camera.

    T_cam_world is (3, 4), or (N, 3, 4) with one view per point; for `distortion` see `Problem`.
    """
    R, t = T_cam_world[..., :3, :3], T_cam_world[..., :3, 3]
    camera = np.einsum("...ij,...j->...i", R, points) + t
    z = np.where(camera[..., 2] > 1e-3, camera[..., 2], np.nan)
    a, b = camera[..., 0] / z, camera[..., 1] / z
    d = 1 + distortion * (a * a + b * b)
    u = intrinsics.fx * a * d + intrinsics.cx - pixels[..., 0]
    v = intrinsics.fy * b * d + intrinsics.cy - pixels[..., 1]
    return np.nan_to_num(np.hypot(u, v), nan=np.inf)
