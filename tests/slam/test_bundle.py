"""Bundle adjustment on synthetic points: the truth is recovered, outliers do not matter, depth anchors the scale."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from scenewright.slam import bundle
from scenewright.slam.image import Intrinsics
from slam_room import SIZE, walk

K = Intrinsics(260.0, 255.0, 159.5, 119.5)


def cameras(count: int) -> np.ndarray:
    return np.stack([np.linalg.inv(T)[:3] for T in walk(max(60, count))[:count]])


def project(T: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,)."""
    x = X @ T[:, :3].T + T[:, 3]
    return np.stack([K.fx * x[:, 0] / x[:, 2] + K.cx, K.fy * x[:, 1] / x[:, 2] + K.cy], 1), x[:, 2]


def room_points(count: int, generator: np.random.Generator) -> np.ndarray:
    points = generator.random((count, 3)) * SIZE
    axis = generator.integers(0, 3, count)
    points[np.arange(count), axis] = SIZE[axis] * generator.integers(0, 2, count)
    return points


def scene(
    views: int, points: int, generator: np.random.Generator, noise_px: float = 0.0, depth_sd: float = 0.0
) -> tuple[np.ndarray, np.ndarray, bundle.Observations]:
    """True poses, true points that at least two views see, and what the views see of them (`depth_sd` 0 = no depth)."""
    T, X = cameras(views), room_points(points, generator)
    rows = []
    for v in range(views):
        pixel, z = project(T[v], X)
        seen = np.flatnonzero((z > 0.2) & (pixel >= 0).all(1) & (pixel[:, 0] < 320) & (pixel[:, 1] < 240))
        rows += [(p, v, *pixel[p], np.log(z[p])) for p in seen]
    table = np.array(sorted(rows))
    number, count = np.unique(table[:, 0], return_counts=True)
    table = table[np.isin(table[:, 0], number[count >= 2])]
    kept, point = np.unique(table[:, 0].astype(int), return_inverse=True)
    weight = np.full(len(table), 1 / depth_sd if depth_sd else 0.0)
    o = bundle.Observations(
        table[:, 1].astype(np.int64), point.astype(np.int64),
        np.ascontiguousarray(table[:, 2:4] + generator.normal(0, noise_px, (len(table), 2))),
        table[:, 4] + generator.normal(0, 1, len(table)) * depth_sd, weight,
    )  # fmt: skip
    return T, X[kept], o


def disturbed(
    T: np.ndarray, X: np.ndarray, generator: np.random.Generator, fixed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Poses off by 5 cm and 1 degree (the first `fixed` excepted), points by 5 cm."""
    out = T.copy()
    for v in range(fixed, len(T)):
        turn = Rotation.from_rotvec(generator.normal(0, 0.01, 3)).as_matrix()
        out[v] = np.hstack([turn @ T[v, :, :3], (turn @ T[v, :, 3] + generator.normal(0, 0.03, 3))[:, None]])
    return out, X + generator.normal(0, 0.03, X.shape)


def centres(T: np.ndarray) -> np.ndarray:
    return -np.einsum("vji,vj->vi", T[:, :, :3], T[:, :, 3])


def free(views: int, fixed: int) -> np.ndarray:
    return np.arange(views) >= fixed


def test_truth_is_recovered() -> None:
    generator = np.random.default_rng(0)
    T, X, o = scene(8, 400, generator)
    T0, X0 = disturbed(T, X, generator, fixed=2)
    found = bundle.solve(bundle.Problem(T0, free(8, 2), X0, o, K), iterations=40)
    np.testing.assert_allclose(found.T_cam_world, T, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found.points - X, axis=1).max(), 0, atol=1e-2)
    assert found.cost_after < 1e-4 * found.cost_before


def test_depth_anchors_the_scale() -> None:
    """With one fixed view the scale is free; depths put it back although everything starts 10 % too large."""
    generator = np.random.default_rng(1)
    T, X, o = scene(8, 4000, generator, noise_px=0.2, depth_sd=0.02)
    origin = centres(T)[0]
    T0, X0 = T.copy(), origin + 1.1 * (X - origin)
    for v in range(8):
        T0[v, :, 3] = -T[v, :, :3] @ (origin + 1.1 * (centres(T)[v] - origin))
    found = bundle.solve(bundle.Problem(T0, free(8, 1), X0, o, K), iterations=40)
    far = [np.linalg.norm(centres(t)[4] - centres(t)[0]) for t in (found.T_cam_world, T)]
    assert far[0] / far[1] == pytest.approx(1.0, abs=0.015)
    bare = o._replace(depth_weight=np.zeros(len(o.view)))
    loose = bundle.solve(bundle.Problem(T0, free(8, 1), X0, bare, K), iterations=40)
    assert np.linalg.norm(centres(loose.T_cam_world)[4] - centres(T)[0]) / far[1] > 1.05


def test_outliers_do_not_matter() -> None:
    generator = np.random.default_rng(2)
    T, X, o = scene(8, 4000, generator, noise_px=0.2)
    pixel = o.pixel.copy()
    wrong = generator.random(len(pixel)) < 0.05
    pixel[wrong] += generator.uniform(-40, 40, (wrong.sum(), 2))
    T0, X0 = disturbed(T, X, generator, fixed=2)
    found = bundle.solve(bundle.Problem(T0, free(8, 2), X0, o._replace(pixel=pixel), K), iterations=40)
    assert np.linalg.norm(centres(found.T_cam_world) - centres(T), axis=1).max() < 0.03


def test_focal_length_is_found() -> None:
    generator = np.random.default_rng(3)
    T, X, o = scene(8, 400, generator)
    wrong = K._replace(fx=K.fx * 0.95, fy=K.fy * 0.95)
    found = bundle.solve(bundle.Problem(T, free(8, 2), X, o, wrong), iterations=60, focal=True)
    assert found.focal_factor == pytest.approx(1 / 0.95, rel=1e-3)


def test_same_minimum_as_scipy() -> None:
    """Without outliers and depth, SciPy's dense solver with numerical derivatives ends at the same cost."""
    generator = np.random.default_rng(4)
    T, X, o = scene(4, 60, generator, noise_px=0.2)
    T0, X0 = disturbed(T, X, generator, fixed=2)

    def residuals(x: np.ndarray) -> np.ndarray:
        poses = T.copy()
        for k in range(2):
            turn = Rotation.from_rotvec(x[6 * k : 6 * k + 3]).as_matrix()
            poses[2 + k] = np.hstack([turn @ T[2 + k, :, :3], (T[2 + k, :, 3] + x[6 * k + 3 : 6 * k + 6])[:, None]])
        points = x[12:].reshape(-1, 3)[o.point]
        camera = np.einsum("mij,mj->mi", poses[o.view][:, :, :3], points) + poses[o.view][:, :, 3]
        pixel = np.stack([K.fx * camera[:, 0] / camera[:, 2] + K.cx, K.fy * camera[:, 1] / camera[:, 2] + K.cy], 1)
        return (pixel - o.pixel).ravel()

    oracle = 2 * least_squares(residuals, np.concatenate([np.zeros(12), X.ravel()]), x_scale="jac").cost
    found = bundle.solve(bundle.Problem(T0, free(4, 2), X0, o, K), iterations=60, huber_px=50.0)
    assert found.cost_after == pytest.approx(oracle, rel=1e-3)


def test_pose_only() -> None:
    generator = np.random.default_rng(5)
    T, X = cameras(1)[0], room_points(600, generator)
    pixel, z = project(T, X)
    seen = (z > 0.2) & (pixel >= 0).all(1) & (pixel[:, 0] < 320) & (pixel[:, 1] < 240)
    X, pixel = X[seen], pixel[seen]
    pixel[::5] += 30.0
    start, _ = disturbed(T[None], X, generator, fixed=0)
    found, errors, information = bundle.pose_only(start[0], X, pixel, K)
    np.testing.assert_allclose(found, T, atol=1e-4)  # Geman-McClure leaves an outlier of 42 px a pull of 1e-5
    np.testing.assert_allclose(errors[::5], 30 * np.sqrt(2), atol=0.05)
    assert np.linalg.eigvalsh(information)[0] > 0
    behind = bundle.reprojection_errors(T, -X @ np.eye(3) - 100, pixel, K)
    assert np.isinf(behind).any()


def test_sixty_views_and_two_thousand_points_in_time() -> None:
    generator = np.random.default_rng(6)
    T, X, o = scene(60, 2400, generator, noise_px=0.3, depth_sd=0.1)
    keep = generator.random(len(o.view)) < 6 * len(X) / len(o.view)  # about six views per point
    o = bundle.Observations(*(part[keep] for part in o))
    T0, X0 = disturbed(T, X, generator, fixed=1)
    few = bundle.Observations(*(part[o.point < 5] for part in o))
    bundle.solve(bundle.Problem(T0, free(60, 1), X0[:5], few, K), iterations=1)  # compile
    start = time.process_time()
    found = bundle.solve(bundle.Problem(T0, free(60, 1), X0, o, K), iterations=20)
    assert time.process_time() - start < 4.0  # under 2 s on a quiet core
    error = np.linalg.norm(centres(found.T_cam_world) - centres(T), axis=1)
    before = np.linalg.norm(centres(T0) - centres(T), axis=1)
    assert error.mean() < 0.3 * before.mean()
