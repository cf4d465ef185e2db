"""Bundle adjustment and corners against exact synthetic geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares

from scenewright.slam import bundle, corners, rigid
from scenewright.slam.image import Intrinsics

K = Intrinsics(300.0, 290.0, 160.0, 120.0)


def problem(
    noise_px: float = 0.0, seed: int = 0, views: int = 5, points: int = 60, draw: int | None = None
) -> tuple[bundle.Problem, ...]:
    """A problem at the truth, and the same disturbed."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-2, 2, points), rng.uniform(-1.5, 1.5, points), rng.uniform(2, 6, points)])
    twists = np.column_stack([rng.normal(0, 0.2, (views, 3)), rng.normal(0, 0.05, (views, 3))])
    T = np.array([rigid.exp(t * (n > 0))[:3] for n, t in enumerate(twists)])
    point, view = (a.ravel() for a in np.mgrid[:points, :views])
    camera = np.einsum("nij,nj->ni", T[view, :, :3], X[point]) + T[view, :, 3]
    noise = rng if draw is None else np.random.default_rng(draw)
    pixel = camera[:, :2] / camera[:, 2:] * [K.fx, K.fy] + [K.cx, K.cy] + noise_px * noise.normal(size=(len(view), 2))
    weight = np.where(view == 0, 2.0, 0.0)
    observations = bundle.Observations(view, point, pixel, np.log(camera[:, 2]), weight)
    free = np.arange(views) > 0
    T_off = np.array(
        [(rigid.exp(rng.normal(0, 0.03, 6) * f) @ np.vstack([t, [0, 0, 0, 1]]))[:3] for t, f in zip(T, free)]
    )
    X_off = X * np.exp(rng.normal(0, 0.1, (points, 1)))
    return bundle.Problem(T, free, X, observations, K), bundle.Problem(T_off, free, X_off, observations, K)


def test_disturbed_problem_returns_to_the_truth() -> None:
    truth, start = problem()
    found = bundle.solve(start, 30)
    assert found.cost_before > 1000
    assert found.cost_after < 1e-12
    np.testing.assert_allclose(found.T_cam_world, truth.T_cam_world, atol=1e-8)
    np.testing.assert_allclose(found.points, truth.points, atol=1e-7)
    assert found.focal_factor == 1.0


def test_focal_length_is_found() -> None:
    truth, start = problem()
    wrong = bundle.Problem(
        start.T_cam_world, start.free, start.points, start.observations, K._replace(fx=1.1 * K.fx, fy=1.1 * K.fy)
    )
    found = bundle.solve(wrong, 40, lens=True)
    assert found.focal_factor == pytest.approx(1 / 1.1, rel=1e-6)
    np.testing.assert_allclose(found.T_cam_world, truth.T_cam_world, atol=1e-6)


@pytest.mark.parametrize("k1", [-0.08, 0.05])
def test_a_lens_that_bends_lines_is_found(k1: float) -> None:
    truth, start = problem(views=10, points=200)
    K_wrong, o = K._replace(fx=1.1 * K.fx, fy=1.1 * K.fy), start.observations
    ray = (o.pixel - [K.cx, K.cy]) / [K.fx, K.fy]
    bent = ray * (1 + k1 * (ray**2).sum(1, keepdims=True)) * [K.fx, K.fy] + [K.cx, K.cy]
    seen = bundle.Problem(start.T_cam_world, start.free, start.points, o._replace(pixel=bent), K_wrong)
    found = bundle.solve(seen, 60, lens=True, tolerance=1e-12)
    assert found.distortion == pytest.approx(k1, rel=0.01)  # it is drawn a little towards 0
    assert found.focal_factor == pytest.approx(1 / 1.1, rel=1e-3)
    np.testing.assert_allclose(found.T_cam_world, truth.T_cam_world, atol=2e-3)
    at = found.T_cam_world[o.view], found.points[o.point], bent, K
    assert bundle.reprojection_errors(*at, found.distortion).max() < 0.3
    assert bundle.reprojection_errors(*at).max() > 1


def test_a_view_without_depth_of_field_invents_no_lens() -> None:
    """Two views that hardly move say nothing of the lens: its distortion stays near 0, and it says how unsure it is."""
    start = problem(noise_px=0.3, views=2, points=12)[0]
    T = start.T_cam_world.copy()
    T[1] = T[0]
    still = bundle.Problem(T, start.free, start.points, start.observations, K)
    found = bundle.solve(still, 30, lens=True)
    assert abs(found.distortion) < 3 * bundle.DISTORTION_SD
    assert found.distortion_sd > 0.003


def test_focal_length_is_as_sure_as_it_says() -> None:
    """Over 30 draws of noise the scatter of log focal lengths is their stated deviation's, which grows with noise."""
    found = [bundle.solve(problem(noise_px=0.5, seed=5, draw=n)[0], 20, huber_px=1e6, lens=True) for n in range(30)]
    scatter = np.std([np.log(f.focal_factor) for f in found])
    stated = np.mean([f.focal_sd for f in found])
    assert 0.7 < scatter / stated < 1.4
    assert bundle.solve(problem(noise_px=0.5)[0], 20).focal_sd == 0


def test_optimum_equals_scipys() -> None:
    """Noisy observations, quadratic cost: our minimum against a dense least-squares solver's."""
    truth, start = problem(noise_px=0.5, views=3, points=12)
    ours = bundle.solve(start, 50, huber_px=1e6)
    o = start.observations

    def residuals(x: np.ndarray) -> np.ndarray:
        T = np.array(
            [
                truth.T_cam_world[0],
                *((rigid.exp(x[6 * v : 6 * v + 6]) @ _square(start.T_cam_world[v + 1]))[:3] for v in range(2)),
            ]
        )
        X = x[12:].reshape(-1, 3)
        c = np.einsum("nij,nj->ni", T[o.view, :, :3], X[o.point]) + T[o.view, :, 3]
        pixel = c[:, :2] / c[:, 2:] * [K.fx, K.fy] + [K.cx, K.cy]
        return np.concatenate([(pixel - o.pixel).ravel(), o.depth_weight * (np.log(c[:, 2]) - o.log_depth)])

    theirs = least_squares(residuals, np.concatenate([np.zeros(12), start.points.ravel()]), xtol=1e-14, ftol=1e-14)
    assert ours.cost_after == pytest.approx(2 * theirs.cost, rel=1e-5)


def _square(T: np.ndarray) -> np.ndarray:
    return np.vstack([T, [0, 0, 0, 1]])


def test_fixed_views_do_not_move_and_cost_never_rises() -> None:
    _, start = problem(noise_px=1.0)
    previous = np.inf
    for iterations in range(5):
        found = bundle.solve(start, iterations)
        assert found.cost_after <= previous
        assert (found.T_cam_world[0] == start.T_cam_world[0]).all()
        previous = found.cost_after
    R = found.T_cam_world[:, :, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)


def test_outliers_do_not_pull() -> None:
    truth, start = problem()
    pixel = start.observations.pixel.copy()
    bad = np.random.default_rng(3).choice(len(pixel), 20, replace=False)
    pixel[bad] += 40
    found = bundle.solve(
        bundle.Problem(start.T_cam_world, start.free, start.points, start.observations._replace(pixel=pixel), K), 40
    )
    assert np.abs(found.T_cam_world - truth.T_cam_world).max() < 0.01


def test_depth_prior_sets_the_scale_of_points_without_parallax() -> None:
    """One view: pixels say nothing about depth, the prior everything."""
    pixel = np.array([[100.0, 80.0], [200.0, 150.0]])
    o = bundle.Observations(np.zeros(2, int), np.arange(2), pixel, np.log([2.0, 3.0]), np.full(2, 2.0))
    rays = np.column_stack([(pixel - [K.cx, K.cy]) / [K.fx, K.fy], np.ones(2)])
    start = bundle.Problem(np.eye(4)[None, :3], np.zeros(1, bool), rays * 2.4, o, K)
    found = bundle.solve(start, 40)
    np.testing.assert_allclose(found.points[:, 2], [2.0, 3.0], rtol=1e-4)


def drifted_chain(views: int, growth: float) -> tuple[bundle.Problem, np.ndarray]:
    """A camera that walks along a wall and sees each of its points from four places; the map so far grew on the way.

    Returns:
        the problem with exact pixels, and the true x of the cameras.
    """
    rng = np.random.default_rng(2)
    at = np.arange(views) * 0.25
    X = np.column_stack(
        [rng.uniform(-1, at[-1] + 1, 12 * views), rng.uniform(-1, 1, 12 * views), np.full(12 * views, 2)]
    )
    X[:, 2] += rng.uniform(-0.5, 0.5, len(X))
    first = np.clip(np.rint(X[:, 0] / 0.25).astype(int) - 2, 0, views - 4)
    point, view = np.repeat(np.arange(len(X)), 4), (first[:, None] + np.arange(4)).ravel()
    camera = X[point] - np.column_stack([at[view], np.zeros((len(view), 2))])
    pixel = camera[:, :2] / camera[:, 2:] * [K.fx, K.fy] + [K.cx, K.cy]
    none = np.zeros(len(view))
    grown = np.concatenate([[0], np.cumsum(0.25 * growth ** (np.arange(1, views) / views))])
    T = np.tile(np.eye(4)[:3], (views, 1, 1))
    T[:, 0, 3] = -grown
    own = growth ** (first / views)[:, None]
    moved = np.column_stack([grown[first], np.zeros((len(X), 2))])
    started = moved + own * (X - np.column_stack([at[first], np.zeros((len(X), 2))]))
    observations = bundle.Observations(view, point, pixel, none, none.copy())
    return bundle.Problem(T, np.arange(views) > 1, started, observations, K), at


def test_a_map_whose_scale_drifted_shrinks_back() -> None:
    """Two fixed views hold the scale; each step of the chain alone would hardly tell its own."""
    start, at = drifted_chain(24, 1.3)
    found = bundle.solve(start, 40, tolerance=1e-9)
    assert abs(start.T_cam_world[-1, 0, 3]) > 1.1 * at[-1]
    assert found.cost_after < 1e-3 * found.cost_before
    held = -start.T_cam_world[1, 0, 3] / at[1]
    np.testing.assert_allclose(-found.T_cam_world[:, 0, 3], held * at, atol=1e-3)


def test_pose_only_with_outliers() -> None:
    truth, start = problem()
    o = truth.observations
    mine = o.view == 3
    pixel = o.pixel[mine].copy()
    pixel[:15] += np.random.default_rng(0).uniform(20, 60, (15, 2))
    T, errors, information = bundle.pose_only(start.T_cam_world[3], truth.points[o.point[mine]], pixel, K)
    np.testing.assert_allclose(T, truth.T_cam_world[3], atol=1e-3)
    assert (errors[:15] > 10).all()
    assert errors[15:].max() < 0.5
    assert np.linalg.eigvalsh(information)[0] > 0


def test_reprojection_error_behind_the_camera_is_infinite() -> None:
    errors = bundle.reprojection_errors(np.eye(4)[:3], np.array([[0, 0, -1.0], [0, 0, 2.0]]), np.full((2, 2), 120.0), K)
    assert errors[0] == np.inf
    assert errors[1] == pytest.approx(40.0)


def test_triangulation_is_exact_and_refuses_narrow_angles() -> None:
    truth, _ = problem()
    o, T = truth.observations, truth.T_cam_world
    a, b = (o.pixel[o.view == v] for v in (0, 3))
    X, good = corners.triangulate(T[0], T[3], a, b, K, 0.0)
    assert good.all()
    np.testing.assert_allclose(X, truth.points, atol=1e-9)
    _, good = corners.triangulate(T[0], T[3], a, b, K, 60.0)
    assert not good.any()
    _, good = corners.triangulate(T[0], T[0], a, a, K, 0.1)
    assert not good.any()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(140, 180))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(125 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_corners_keep_their_distance(picture: np.ndarray) -> None:
    found = corners.detect(picture, 60, 9)
    assert 20 < len(found.pixels) <= 60
    apart = np.linalg.norm(found.pixels[:, None] - found.pixels[None], axis=2) + 99 * np.eye(len(found.pixels))
    assert apart.min() > 6  # sub-pixel refinement moves them a little
    more = corners.detect(picture, 60, 9, found.pixels)
    assert np.linalg.norm(more.pixels[:, None] - found.pixels[None], axis=2).min() > 6
    assert len(corners.detect(np.zeros_like(picture), 60, 9).pixels) == 0
    assert len(corners.detect(picture, 0, 9).pixels) == 0


def test_a_narrow_window_keeps_the_parallax_of_a_small_thing() -> None:
    """A patch of 15 px moves by two pixels before a wall that stays: a wide window sees the wall's flow too."""
    rng = np.random.default_rng(5)
    wall, thing = (cv2.GaussianBlur(rng.uniform(0, 255, s), (0, 0), 1.2) for s in ((120, 160), (15, 15)))
    wall, thing = (125 + 60 * (p - p.mean()) / p.std() for p in (wall, thing))
    first, second = wall.copy(), wall.copy()
    first[50:65, 70:85], second[50:65, 72:87] = thing, thing
    first, second = (np.clip(p, 0, 255).astype(np.uint8) for p in (first, second))
    centre = np.array([[77, 57]], np.float32)
    narrow, _ = corners.follow(first, second, centre, centre, 21, 0, 9)
    wide, _ = corners.follow(first, second, centre, centre, 21, 0, 21)
    errors = [abs(float(found[0, 0]) - 79) for found in (narrow, wide)]
    assert errors[0] < 0.1
    assert errors[0] < 0.5 * errors[1]


def test_follow_finds_a_shift_and_distrusts_what_left(picture: np.ndarray) -> None:
    shift = np.array([6.3, -3.7], np.float32)
    warp = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(picture, warp, (180, 140), flags=cv2.INTER_CUBIC)
    found = corners.detect(picture, 80, 9)
    there, trusted = corners.follow(picture, moved, found.pixels, found.pixels, 21, 3, 9)
    assert trusted.mean() > 0.7
    error = np.linalg.norm(there - found.pixels - shift, axis=1)
    assert np.median(error[trusted]) < 0.1  # the warp itself rounds to 1/32 pixel and to 8 bits
    assert np.quantile(error[trusted], 0.95) < 0.5
    nothing, none = corners.follow(picture, moved, found.pixels[:0], found.pixels[:0], 21, 3, 9)
    assert len(nothing) == len(none) == 0


def test_descriptors_recognise_their_corner(picture: np.ndarray) -> None:
    found = corners.detect(picture, 40, 12)
    again = corners.describe(cv2.convertScaleAbs(picture, alpha=0.8, beta=20), found.pixels)
    same = corners.hamming(found.descriptors, again.descriptors)
    other = corners.hamming(found.descriptors, np.roll(again.descriptors, 1, 0))
    assert np.median(same) < 15
    assert np.median(other) > 60


def test_the_small_solver_equals_numpys() -> None:
    generator = np.random.default_rng(5)
    for size in (1, 2, 6, 9):
        J = generator.standard_normal((size + 3, size))
        A, b = J.T @ J, generator.standard_normal(size)
        expected = np.linalg.solve(A, b)
        bundle._solve_symmetric(A.copy(), b)
        np.testing.assert_allclose(b, expected, rtol=1e-9)


def test_the_small_solver_survives_a_blind_direction() -> None:
    J = np.full((4, 6), 1e4)
    A, b = J.T @ J + 1e-6 * np.eye(6), np.ones(6)
    bundle._solve_symmetric(A, b)
    assert np.isfinite(b).all()


@pytest.mark.parametrize("angle", [0.0, 1e-10, 1e-4, 0.3, 3.0])
def test_the_kernels_exponential_is_that_of_se3(angle: float) -> None:
    generator = np.random.default_rng(6)
    axis = generator.standard_normal(3)
    twist = np.concatenate([generator.standard_normal(3), angle * axis / np.linalg.norm(axis)])
    T, out = rigid.exp(generator.standard_normal(6)), np.empty((3, 4))
    bundle._exp_left(T[:3], twist, out)
    np.testing.assert_allclose(out, (rigid.exp(twist) @ T)[:3], atol=1e-9)


def test_a_pose_leaves_its_start_untouched() -> None:
    generator = np.random.default_rng(7)
    X = generator.uniform((-1, -1, 2), (1, 1, 4), (30, 3))
    pixels = 200 * X[:, :2] / X[:, 2:] + (160, 120)
    start = rigid.exp(np.full(6, 0.02))[:3]
    before = start.copy()
    T, errors, information = bundle.pose_only(start, X, pixels, Intrinsics(200.0, 200.0, 160.0, 120.0))
    np.testing.assert_array_equal(start, before)
    np.testing.assert_allclose(T, np.eye(4)[:3], atol=1e-9)
    assert errors.max() < 1e-6
    np.testing.assert_array_equal(information, information.T)
