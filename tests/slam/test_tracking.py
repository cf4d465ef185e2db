"""Direct tracking: Jacobians by finite differences, known motions, exposure, and a plain reference of the kernel."""

from __future__ import annotations

import numpy as np
import pytest

from scenewright.slam import image, rigid, tracking
from scenewright.slam.config import SlamConfig, TrackingConfig
from scenewright.slam.exposure import Exposure
from slam_room import BoxRoom, look

K = image.Intrinsics(260.0, 260.0, 159.5, 119.5)
CONFIG = TrackingConfig()


@pytest.fixture(scope="module")
def scene() -> dict:
    from scenewright.geometry.camera import Camera

    camera = Camera.from_parameters(320, 240, *K)
    room = BoxRoom(0)
    out = {}
    for name, T in {"a": look(2.2, 1.3, 1.2, 0), "b": look(2.24, 1.28, 1.22, 1.0)}.items():
        picture, depth = room.render(T, camera)[:2]
        grey = image.grey(picture)
        out[name] = (T, grey, depth.astype(np.float32), image.pyramid(grey, K, 4))
    return out


def _points(scene: dict, name: str, config: TrackingConfig = CONFIG) -> tuple[list, list[int]]:
    _, _, depth, levels = scene[name]
    used = tracking.usable_levels(levels, config)
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0).astype(np.float32)
    points = tracking.select_points(levels, config, 0)
    return tracking.set_depth(points, used, inverse, (0.01 * inverse) ** 2), used


def _true(scene: dict, frame: str, key: str) -> np.ndarray:
    return rigid.inverse(scene[frame][0]) @ scene[key][0]


def _pixel_error(scene: dict, T: np.ndarray, frame: str, key: str) -> float:
    depth = scene[key][2]
    y, x = np.mgrid[20:220:20, 20:300:20]
    rays = np.stack([(x - K.cx) / K.fx, (y - K.cy) / K.fy, np.ones_like(x, float)], -1) * depth[y, x][..., None]

    def project(T: np.ndarray) -> np.ndarray:
        p = rays @ T[:3, :3].T + T[:3, 3]
        return p[..., :2] / p[..., 2:] * 260

    return float(np.abs(project(T) - project(_true(scene, frame, key))).mean())


def test_identity_has_no_residual(scene: dict) -> None:
    points, used = _points(scene, "a")
    for p, level in zip(points, used):
        found = tracking.align(p, scene["a"][3][level], np.eye(4), Exposure(), CONFIG)
        assert found.residual < 1e-3
        assert found.usage == pytest.approx(found.visible / len(p.pixels))


def test_sums_equal_a_plain_reference(scene: dict) -> None:
    """The kernel against numpy: energy, normal equations, usage; and the depth's share of the variance."""
    points, used = _points(scene, "a")
    p, level = points[-1], scene["b"][3][used[-1]]
    T, exposure = _true(scene, "b", "a"), Exposure(1.1, -3.0)
    found = tracking.align(p, level, T, exposure, CONFIG)
    A, g, energy, usage = _reference(p, level, T, exposure)
    np.testing.assert_allclose(found.hessian, A, rtol=1e-4)
    np.testing.assert_allclose(found.gradient, g, rtol=1e-4, atol=1e-4 * np.abs(g).max())
    assert found.energy == pytest.approx(energy, rel=1e-4)
    assert found.usage == pytest.approx(usage, rel=1e-4)


def _sample(picture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    iu, iv = u.astype(int), v.astype(int)
    a, b = (u - iu)[:, None], (v - iv)[:, None]
    top = (1 - a) * picture[iv, iu] + a * picture[iv, iu + 1]
    return (1 - b) * top + b * ((1 - a) * picture[iv + 1, iu] + a * picture[iv + 1, iu + 1])


def _reference(p, level, T, exposure):
    d = p.inverse_depth.astype(float)
    q = np.column_stack([p.rays, np.ones(len(d))]).astype(float)
    X = (q / d[:, None]) @ T[:3, :3].T + T[:3, 3]
    x, y, z = X.T
    fx, fy, cx, cy = level.intrinsics
    u, v = fx * x / z + cx, fy * y / z + cy
    h, w = level.image.shape[:2]
    seen = (d > 0) & (z > 0) & (u >= 1) & (v >= 1) & (u < w - 2) & (v < h - 2)
    x, y, z, u, v, d = (array[seen] for array in (x, y, z, u, v, d))
    I, gx, gy = _sample(level.image.astype(float), u, v).T
    GX, GY = gx * fx, gy * fy
    r = exposure.gain * p.intensity[seen] + exposure.offset - I
    slope = (GX * (T[0, 3] * z - T[2, 3] * x) + GY * (T[1, 3] * z - T[2, 3] * y)) / (z * z * d)
    sigma2 = CONFIG.noise_variance + p.variance[seen] * slope**2
    k = np.abs(r) / np.sqrt(sigma2)
    weight = np.where(k < CONFIG.huber, 1, CONFIG.huber / np.maximum(k, 1e-12)) / sigma2
    J = np.column_stack(
        [GX / z, GY / z, -(x * GX + y * GY) / z**2, -(x * y / z**2 * GX + (1 + y**2 / z**2) * GY),
         (1 + x**2 / z**2) * GX + x * y / z**2 * GY, (x * GY - y * GX) / z]
    )  # fmt: skip
    energy = np.where(k < CONFIG.huber, k**2, 2 * CONFIG.huber * k - CONFIG.huber**2).mean()
    usage = np.minimum(1 / (d * z), 1).sum() / len(p.pixels)
    return J.T @ (weight[:, None] * J), J.T @ (weight * r), energy, usage


def test_jacobian_by_finite_differences() -> None:
    """On a picture whose bilinear interpolation is smooth (a plane), J' W r is half the energy's slope."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    level = image.pyramid(2 * x + 3 * y, image.Intrinsics(70, 72, 40, 30), 1)[0]
    rng = np.random.default_rng(0)
    n = 50
    rays = np.column_stack([rng.uniform(-0.3, 0.3, n), rng.uniform(-0.2, 0.2, n)]).astype(np.float32)
    inverse = rng.uniform(0.3, 0.8, n).astype(np.float32)
    zero = np.zeros(n, np.float32)
    points = tracking.TrackingPoints(np.arange(n), rays, rng.uniform(140, 200, n).astype(np.float32), inverse, zero)
    config = TrackingConfig(noise_variance=1e6)  # everything inside Huber's square
    T = rigid.exp(np.array([0.02, -0.01, 0.03, 0.01, 0.02, -0.03]))
    now = tracking.align(points, level, T, Exposure(), config)
    for i in range(6):
        step = np.eye(6)[i] * 1e-5
        up, down = (tracking.align(points, level, rigid.exp(s) @ T, Exposure(), config) for s in (step, -step))
        slope = (up.energy * up.visible - down.energy * down.visible) / 2e-5
        assert slope == pytest.approx(-2 * now.gradient[i], rel=1e-5, abs=1e-6)


def test_slope_of_the_residual_in_inverse_depth() -> None:
    """dr/did as it enters sigma: recovered from the weights of a single point, against finite differences."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    level = image.pyramid(2 * x + 3 * y, image.Intrinsics(70, 72, 40, 30), 1)[0]
    T = rigid.exp(np.array([0.05, -0.02, 0.04, 0.01, 0.02, -0.03]))
    config = TrackingConfig(noise_variance=1.0, huber=1e9)

    def point(d: float, variance: float) -> tracking.TrackingPoints:
        row = np.array([[0.1, -0.05]], np.float32)
        one = np.ones(1, np.float32)
        return tracking.TrackingPoints(
            np.zeros(1, int), row, 160 * one, np.float32(d) * one, np.float32(variance) * one
        )

    def residual(d: float) -> float:
        return tracking.align(point(d, 0), level, T, Exposure(), config).residual

    slope = (residual(0.505) - residual(0.495)) / 0.01
    plain = tracking.align(point(0.5, 0), level, T, Exposure(), config).energy
    doubtful = tracking.align(point(0.5, 4.0), level, T, Exposure(), config).energy
    assert plain / doubtful == pytest.approx(1 + 4.0 * slope**2, rel=1e-3)


@pytest.mark.parametrize(("frame", "key"), [("b", "a"), ("a", "b")])
def test_tracking_returns_from_two_pixels_off(scene: dict, frame: str, key: str) -> None:
    points, used = _points(scene, key)
    start = rigid.exp(np.array([0.0, 0, 0, 0.004, -0.007, 0])) @ _true(scene, frame, key)
    assert _pixel_error(scene, start, frame, key) > 0.7
    found = tracking.track(points, scene[frame][3], used, start, Exposure(), CONFIG)
    assert found.ok
    assert found.good_ratio > 0.9
    assert _pixel_error(scene, found.T_frame_keyframe, frame, key) < 0.15  # nearest-pixel depth at the room's edges


def test_exposure_is_found_and_leaves_the_pose(scene: dict) -> None:
    points, used = _points(scene, "a")
    T = _true(scene, "b", "a")
    plain = tracking.track(points, scene["b"][3], used, T, Exposure(), CONFIG)
    brighter = image.pyramid(np.float32(1.3) * scene["b"][1] + 12, K, 4)
    found = tracking.track(points, brighter, used, T, Exposure(), CONFIG)
    assert found.exposure.gain / plain.exposure.gain == pytest.approx(1.3, rel=0.01)
    assert _pixel_error(scene, found.T_frame_keyframe, "b", "a") < 0.15
    off = tracking.track(points, brighter, used, T, Exposure(), TrackingConfig(affine=False))
    assert off.exposure == Exposure()


def test_nothing_in_sight_is_not_ok(scene: dict) -> None:
    points, used = _points(scene, "a")
    away = rigid.exp(np.array([0, 0, 0, 0, 3.1, 0]))
    found = tracking.track(points, scene["b"][3], used, away, Exposure(), CONFIG)
    assert not found.ok
    blank = image.pyramid(np.zeros((240, 320), np.float32), K, 4)
    assert not tracking.track(points, blank, used, np.eye(4), Exposure(), TrackingConfig(affine=False)).ok
    none = tracking.select_points(blank, CONFIG, 0)
    assert all(len(p.pixels) == 0 for p in none)
    assert not tracking.track(none, scene["b"][3], used, np.eye(4), Exposure(), CONFIG).ok


def test_points_are_drawn_by_the_seed(scene: dict) -> None:
    config = TrackingConfig(max_points=200)
    first, again = (tracking.select_points(scene["a"][3], config, 3) for _ in range(2))
    other = tracking.select_points(scene["a"][3], config, 4)
    assert all((a.pixels == b.pixels).all() for a, b in zip(first, again))
    assert any((a.pixels != b.pixels).any() for a, b in zip(first, other))
    assert max(len(p.pixels) for p in first) == 200


def test_depth_pyramid_weighs_by_precision_and_skips_holes() -> None:
    inverse = np.array([[1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.5]], np.float32)
    variance = np.array([[1.0, 3.0, 1.0, 1.0], [1.0, 3.0, 1.0, 0.2]], np.float32)
    mean, coarse = tracking.depth_pyramid(inverse, variance, 2)[1]
    np.testing.assert_allclose(mean, [[(1 + 2 / 3) / (1 + 1 / 3), 0.5]], rtol=1e-6)
    np.testing.assert_allclose(coarse, [[1 / ((1 + 1 / 3) / 2), 0.2]], rtol=1e-6)


def test_as_printed_switches_the_additions_off() -> None:
    config = SlamConfig.as_printed()
    assert not config.odometry.enabled
    assert not config.densify.enabled
