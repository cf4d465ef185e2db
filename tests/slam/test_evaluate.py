"""Figures against closed forms, brute force and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from scenewright.errors import InputError
from scenewright.slam.evaluate import (
    Alignment,
    MeasuredDepth,
    align_poses,
    depth_figures,
    measured_there,
    mesh_figures,
    path_length,
    refined,
    revisit_error,
    sample_surface,
    surface_figures,
    surface_points,
    trajectory_figures,
    umeyama,
)


def poses(positions: np.ndarray) -> np.ndarray:
    T = np.tile(np.eye(4), (len(positions), 1, 1))
    T[:, :3, 3] = positions
    return T


@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_umeyama_recovers_a_similarity(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(12, 3))
    R, t = Rotation.random(random_state=seed).as_matrix(), generator.normal(size=3)
    found = umeyama(points, scale * points @ R.T + t, with_scale=True)
    np.testing.assert_allclose(found.rotation, R, atol=1e-9)
    np.testing.assert_allclose(found.translation, t, atol=1e-8)
    assert found.scale == pytest.approx(scale, rel=1e-9)


def test_umeyama_rigid_equals_scipy_and_never_mirrors() -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=(30, 3))
    b = a @ np.diag([1.0, 1.0, -1.0]) + generator.normal(0, 0.1, (30, 3))  # a mirrored cloud: the trap of plain SVD
    found = umeyama(a, b, with_scale=False)
    expected = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))[0].as_matrix()
    np.testing.assert_allclose(found.rotation, expected, atol=1e-9)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_similarity_is_the_least_squares_one() -> None:
    """An optimiser that knows no Umeyama finds the same minimum."""
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 15, 3))
    found = umeyama(a, b, with_scale=True)

    def cost(x: np.ndarray) -> float:
        return float(((np.exp(x[6]) * a @ Rotation.from_rotvec(x[:3]).as_matrix().T + x[3:6] - b) ** 2).sum())

    starts = [np.zeros(7), np.array([2.0, 0, 0, 0, 0, 0, -1]), np.array([0, 2.0, 0, 0, 0, 0, -1])]
    best = min(minimize(cost, x, tol=1e-12).fun for x in starts)
    assert ((found(a) - b) ** 2).sum() == pytest.approx(best, rel=1e-5)


def test_trajectory_of_pure_scale() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(size=(50, 3))
    figures = trajectory_figures(poses(1.2 * truth), poses(truth))
    assert figures.scale_ratio == pytest.approx(1.2)
    assert figures.ate_sim3 == pytest.approx(0.0, abs=1e-9)
    centred = truth - truth.mean(0)
    assert figures.ate_se3 == pytest.approx(0.2 * np.sqrt((centred**2).sum(1).mean()))
    assert figures.ate_first == pytest.approx(0.2 * np.sqrt(((truth - truth[0]) ** 2).sum(1).mean()))
    assert figures.frames == 50


def test_ate_of_a_known_offset() -> None:
    """A square of side 2 whose corners are each moved 0.1 outwards and inwards alternately."""
    square = np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
    moved = square + np.array([[0, 0, 0.1], [0, 0, -0.1], [0, 0, 0.1], [0, 0, -0.1]])
    figures = trajectory_figures(poses(moved), poses(square))
    assert figures.ate_se3 == pytest.approx(0.1)
    assert figures.path_m == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("estimated", "truth"),
    [
        (np.zeros((5, 4, 4)), np.zeros((4, 4, 4))),
        (poses(np.zeros((5, 3))), poses(np.zeros((5, 3)))),
        (poses(np.eye(3)[:2]), poses(np.eye(3)[:2])),
        (poses(np.full((5, 3), np.nan)), poses(np.zeros((5, 3)))),
    ],
)
def test_degenerate_trajectories_are_errors(estimated: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(InputError):
        trajectory_figures(estimated, truth)


def _random_poses(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.tile(np.eye(4), (count, 1, 1))
    out[:, :3, :3] = Rotation.random(count, random_state=rng).as_matrix()
    out[:, :3, 3] = rng.normal(size=(count, 3))
    return out


def test_poses_are_aligned_on_a_straight_path_too() -> None:
    """Positions on a line leave a turn about it open; the cameras' own turns do not."""
    estimated = _random_poses(8, 1)
    estimated[:, :3, 3] = np.arange(8)[:, None] * [1.0, 0, 0]
    R, s, t = Rotation.from_euler("xyz", [0.3, -1.0, 2.0]).as_matrix(), 1.7, np.array([1.0, 2, 3])
    truth = estimated.copy()
    truth[:, :3, :3] = R @ estimated[:, :3, :3]
    truth[:, :3, 3] = s * estimated[:, :3, 3] @ R.T + t
    found = align_poses(estimated, truth, with_scale=True)
    np.testing.assert_allclose(found.rotation, R, atol=1e-9)
    assert found.scale == pytest.approx(s)
    np.testing.assert_allclose(found(estimated[:, :3, 3]), truth[:, :3, 3], atol=1e-9)
    rigid = align_poses(estimated, truth, with_scale=False)
    assert rigid.scale == 1
    np.testing.assert_allclose(rigid(estimated[:, :3, 3]).mean(0), truth[:, :3, 3].mean(0), atol=1e-9)


def test_revisit_error_is_of_the_last_pose_seen_from_the_first() -> None:
    truth = _random_poses(5, 2)
    assert revisit_error(truth, truth) == pytest.approx((0, 0), abs=1e-6)
    moved = np.linalg.inv(truth[3]) @ truth  # another world: nothing changes
    assert revisit_error(moved, truth) == pytest.approx((0, 0), abs=1e-6)
    wrong = truth.copy()
    wrong[-1] = truth[-1] @ np.vstack(
        [np.column_stack([Rotation.from_rotvec([0, 0.2, 0]).as_matrix(), [0, 0, 0.5]]), [0, 0, 0, 1]]
    )
    assert revisit_error(wrong, truth) == pytest.approx((0.5, 0.2))
    half = truth.copy()
    half[:, :3, 3] /= 2
    assert revisit_error(half, truth, 2.0) == pytest.approx((0, 0), abs=1e-6)


def test_path_length() -> None:
    assert path_length(np.array([[0.0, 0, 0], [3, 4, 0], [3, 4, 12]])) == pytest.approx(17.0)


def test_depth_figures_count_every_true_pixel() -> None:
    truth = np.array([[2.0, 2.0, 2.0, 0.0], [4.0, 4.0, 4.0, 4.0]], np.float32)
    estimate = np.array([[2.1, 2.3, 0.0, 9.0], [4.0, 4.39, 4.41, np.nan]], np.float32)
    figures = depth_figures([estimate], [truth])
    assert figures.pixels == 7
    assert figures.density == pytest.approx(5 / 7)
    assert figures.pcd10_raw == pytest.approx(3 / 7)
    assert figures.constant_raw == pytest.approx(3 / 7)  # 2 m everywhere
    assert figures.constant_scaled == pytest.approx(4 / 7)  # the median, 4 m


def test_one_scale_for_the_whole_clip() -> None:
    generator = np.random.default_rng(0)
    truth = [generator.uniform(1, 4, (20, 30)).astype(np.float32) for _ in range(3)]
    figures = depth_figures([1.2 * t for t in truth], truth)
    assert figures.pcd10_raw == 0.0
    assert figures.pcd10_scaled == 1.0
    assert figures.scale == pytest.approx(1 / 1.2, rel=1e-6)
    mixed = depth_figures([1.2 * truth[0], truth[1], truth[2] / 1.2], truth)  # a factor per keyframe does not help
    assert mixed.pcd10_scaled == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("maps", [([], []), ([np.ones((2, 2))], []), ([np.ones((2, 2))], [np.ones((2, 3))])])
def test_bad_depth_lists_are_errors(maps: tuple[list[np.ndarray], list[np.ndarray]]) -> None:
    with pytest.raises(InputError):
        depth_figures(*maps)


def test_depth_without_overlap_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one"):
        depth_figures([np.zeros((2, 2))], [np.ones((2, 2))])
    with pytest.raises(InputError, match="at least one"):
        depth_figures([np.ones((2, 2))], [np.zeros((2, 2))])


def test_surface_of_two_parallel_planes() -> None:
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0), [0.0]), -1).reshape(-1, 3) * 0.1
    figures = surface_figures(grid + [0, 0, 0.03], grid, threshold_m=0.05)
    assert figures.accuracy_m == pytest.approx(0.03)
    assert figures.completeness_m == pytest.approx(0.03)
    assert figures.f_score == 1.0
    half = surface_figures(grid[:200], grid, threshold_m=0.05)
    assert (half.precision, half.recall) == (1.0, 0.5)
    assert half.f_score == pytest.approx(2 / 3)
    assert surface_figures(grid + 5.0, grid).f_score == 0.0


def test_surface_distances_equal_brute_force() -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(50, 3)), generator.normal(size=(70, 3))
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    figures = surface_figures(a, b, 0.5)
    assert figures.accuracy_m == pytest.approx(distance.min(1).mean())
    assert figures.recall == pytest.approx((distance.min(0) <= 0.5).mean())


def test_bad_surfaces_are_errors() -> None:
    with pytest.raises(InputError):
        surface_figures(np.zeros((0, 3)), np.zeros((5, 3)))
    with pytest.raises(InputError):
        surface_figures(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(InputError):
        sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), 5, np.random.default_rng(0))


def test_samples_lie_evenly_on_the_mesh() -> None:
    vertices = np.array([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 5], [1, 0, 5], [0, 1, 5]])
    points = sample_surface(vertices, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 4000, np.random.default_rng(0))
    low = points[points[:, 2] == 0]
    assert len(low) / 4000 == pytest.approx(0.75, abs=0.03)  # areas 1.5 and 0.5
    np.testing.assert_allclose(low.mean(0), [1.0, 1 / 3, 0], atol=0.05)
    assert (low[:, 0] / 3 + low[:, 1] <= 1 + 1e-12).all()


def corner(generator: np.random.Generator, count: int = 3000) -> np.ndarray:
    """Points of three walls that meet, which hold an alignment in all directions."""
    points = generator.uniform(0, 2, (count, 3))
    points[np.arange(count), np.arange(count) % 3] = 0
    return points


def test_closest_points_refine_an_alignment() -> None:
    generator = np.random.default_rng(0)
    truth, points = corner(generator, 20_000), corner(generator)
    R = Rotation.from_euler("xyz", [2, -1, 1.5], degrees=True).as_matrix()
    moved = (points - [0.04, -0.03, 0.05]) @ R / 1.02  # what a slightly wrong alignment leaves
    start = Alignment(np.eye(3), np.zeros(3), 1.0)
    before, after = (np.linalg.norm(f(moved) - points, axis=1).mean() for f in (start, refined(start, moved, truth)))
    assert after < 0.6 * before  # point to point creeps along the walls
    far = refined(start, moved + 50, truth)
    assert far is start  # nothing near: left as it was


def measured(depth: np.ndarray, x: float = 0.0) -> MeasuredDepth:
    T = np.eye(4)
    T[0, 3] = x
    return MeasuredDepth(depth.astype(np.float32), (50.0, 50.0, 19.5, 14.5), T)


def test_points_of_depth_cameras_lie_on_what_they_saw_once_each() -> None:
    views = [measured(np.full((30, 40), 2.0)), measured(np.full((30, 40), 2.0), 0.1), measured(np.full((30, 40), 9.0))]
    points = surface_points(views, cell_m=0.1)
    np.testing.assert_allclose(points[:, 2], 2.0, atol=1e-6)  # 9 m is out of reach
    cells = np.floor(points / 0.1)
    assert len(np.unique(cells, axis=0)) == len(points)
    assert len(points) == pytest.approx(17 * 12, rel=0.15)
    assert surface_points([]).shape == (0, 3)


def test_only_rays_with_a_measurement_count() -> None:
    depth = np.full((30, 40), 2.0)
    depth[:, 20:] = 0
    points = np.array([[-0.2, 0, 2.0], [0.2, 0, 2.0], [-0.2, 0, 3.0], [-0.2, 0, -2.0], [-9.0, 0, 2.0]])
    np.testing.assert_array_equal(measured_there(points, [measured(depth)]), [True, False, True, False, False])


def test_mesh_figures_of_a_known_offset() -> None:
    y, x = np.mgrid[:30, :40]
    depth = np.where(x < 20, 2.0, 2.5) + 0.02 * y
    views = [measured(depth), measured(depth, 0.05)]
    points = surface_points(views)
    still = Alignment(np.eye(3), np.zeros(3), 1.0)
    assert mesh_figures(points, still, views).f_score == 1.0
    assert mesh_figures(points[: len(points) // 2], still, views).precision == 1.0
    half = mesh_figures(points[points[:, 0] < 0], still, views, 0.05)
    assert 0.4 < half.recall < 0.7
    with pytest.raises(InputError):
        mesh_figures(points - [0, 0, 50.0], still, views)
