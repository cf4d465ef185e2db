"""The corner odometry on exact views, and the second starts of the tracker."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from scenewright.geometry.camera import Camera
from scenewright.slam import hypotheses, image, rigid
from scenewright.slam.adjusting import adjust_all, adjust_window, free_scales, problem_of
from scenewright.slam.config import HypothesesConfig, OdometryConfig
from scenewright.slam.corner_map import View
from scenewright.slam.lens import Lens
from scenewright.slam.odometry import Odometry, steadied
from scenewright.slam.state import Motion
from scenewright.slam.types import NetworkDepth
from slam_room import BoxRoom, look

K = image.Intrinsics(260.0, 260.0, 159.5, 119.5)
CAMERA = Camera.from_parameters(320, 240, *K)


def path(n: float) -> np.ndarray:
    return look(1.8 + 0.05 * n, 1.3, 1.2, -5 + 1.0 * n)


@pytest.fixture(scope="module")
def views() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """T_cam_world (relative to the first), grey uint8, depth."""
    room = BoxRoom(0)
    out = []
    for n in range(12):
        picture, depth, _ = room.render(path(n), CAMERA)
        T = rigid.inverse(path(n)) @ path(0)
        out.append((T, image.grey(picture).astype(np.uint8), depth))
    return out


def walk(views: list, config: OdometryConfig, factor: float = 1.0, frames: int = 12) -> Odometry:
    odometry = Odometry(K, config)
    T = np.eye(4)[:3]
    odometry.add_view(0, views[0][1], T, None)
    odometry.add_depth(0, NetworkDepth(views[0][2] * np.float32(factor)))
    for n in range(1, frames):
        posed = odometry.pose(views[n][1], T)
        assert posed is not None
        T = posed.T_cam_world
        if odometry.wants_view(posed):
            odometry.add_view(n, views[n][1], T, posed)
            adjust_window(odometry.map, odometry.config)
            T = odometry.map.views[-1].T_cam_world
    return odometry


def _error(T: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    d = rigid.log(np.vstack([T[:3], [0, 0, 0, 1]]) @ rigid.inverse(truth))
    return float(np.linalg.norm(d[:3])), float(np.linalg.norm(d[3:]))


def test_true_depth_gives_true_poses(views: list) -> None:
    odometry = walk(views, OdometryConfig())
    assert len(odometry.map.views) >= 4
    for view in odometry.map.views[1:]:
        moved, turned = _error(view.T_cam_world, views[view.index][0])
        assert moved < 0.012
        assert turned < 0.005
    z = odometry.map.points[odometry.map.views[0].ids][:, 2]
    x, y = np.rint(odometry.map.views[0].pixels).astype(int).T
    known = odometry.map.known[odometry.map.views[0].ids]
    assert np.median(np.abs(z[known] / views[0][2][y, x][known] - 1)) < 0.02


def test_scale_comes_from_the_network(views: list) -> None:
    """All depths half as large: everything half as large."""
    odometry = walk(views, OdometryConfig(), factor=0.5)
    last = odometry.map.views[-1]
    true = views[last.index][0]
    assert np.linalg.norm(last.T_cam_world[:, 3]) / np.linalg.norm(true[:3, 3]) == pytest.approx(0.5, rel=0.05)


def test_later_depth_is_aligned_with_the_map(views: list) -> None:
    odometry = walk(views, OdometryConfig())
    number = len(odometry.map.views) - 1
    shift = odometry.add_depth(number, NetworkDepth(1.3 * views[odometry.map.views[number].index][2]))
    assert shift == pytest.approx(-np.log(1.3), abs=0.03)
    assert odometry.map.known[odometry.map.views[number].ids].all()


def test_a_depth_camera_gives_way_to_the_map_by_its_own_error(views: list) -> None:
    odometry = walk(views, OdometryConfig())
    number = len(odometry.map.views) - 1
    depth = (1.3 * views[odometry.map.views[number].index][2]).astype(np.float32)
    certain = NetworkDepth(depth, np.full_like(depth, 1e-3), independent=True)
    assert odometry.add_depth(number, certain) == pytest.approx(0, abs=1e-3)
    equal = NetworkDepth(depth, np.full_like(depth, odometry.densify.map_scale_sd), independent=True)
    assert odometry.add_depth(number, equal) == pytest.approx(-np.log(1.3) / 2, abs=0.02)


def test_only_independent_depth_keeps_its_weight_in_the_end(views: list) -> None:
    """A network's pixels are wrong together: many of them count for little over the whole map."""
    for independent, expected in ((True, 1.0), (False, 0.2)):
        odometry = walk(views, OdometryConfig())
        depth = views[0][2]
        odometry.add_depth(0, NetworkDepth(depth, np.full_like(depth, 0.02), independent=independent))
        every = np.arange(len(odometry.map.views))
        ids = np.unique(np.concatenate([view.ids for view in odometry.map.views]))
        local, _ = problem_of(odometry.map, every, 1, ids, 1.0)
        whole, _ = problem_of(odometry.map, every, 1, ids, 0.2)
        weighted = local.observations.depth_weight > 0
        assert weighted.sum() > 50
        ratio = whole.observations.depth_weight[weighted] / local.observations.depth_weight[weighted]
        np.testing.assert_allclose(ratio, expected)


@pytest.mark.parametrize(("independent", "expected"), [(False, 1.0), (True, 1.4)])
def test_only_the_shape_of_a_networks_depth_holds_the_whole_map(
    views: list, independent: bool, expected: float
) -> None:
    """A network's scale of long ago gives way to the map's; a depth camera's stays."""
    odometry = walk(views, OdometryConfig())
    depth = views[0][2]
    odometry.add_depth(0, NetworkDepth(depth, np.full_like(depth, 0.02), independent=independent))
    view = odometry.map.views[0]
    weighted = view.depth_weight > 0
    shape = view.log_depth[weighted] - view.log_depth[weighted].mean()
    view.log_depth = view.log_depth + np.log(1.4)
    free_scales(odometry.map, odometry.config)
    z = np.exp(view.log_depth[weighted])
    assert np.median(z / odometry.map.depths_in(view)[weighted]) == pytest.approx(expected, rel=0.02)
    np.testing.assert_allclose(np.log(z) - np.log(z).mean(), shape, atol=1e-9)


def test_points_are_met_again(views: list) -> None:
    """There and back: the returning views see points that the first ones saw."""
    there_and_back = [*views, *views[::-1]]
    config = OdometryConfig(flow_px=8.0)
    odometry = walk(there_and_back, config, frames=len(there_and_back))
    assert np.isin(odometry.map.views[-1].ids, odometry.map.views[0].ids).sum() > 20
    without = walk(there_and_back, replace(config, reuse_distance=-1), frames=len(there_and_back))
    assert len(odometry.map.points) < len(without.map.points)


def test_recognition_after_a_jump(views: list) -> None:
    """A view half a metre on, predicted to be where the last was: descriptors find it."""
    odometry = walk(views, OdometryConfig(), frames=3)
    posed = odometry.pose(views[9][1], np.eye(4)[:3])
    assert posed is not None
    assert _error(posed.T_cam_world, views[9][0])[0] < 0.06


def test_a_strange_picture_has_no_pose(views: list) -> None:
    odometry = walk(views, OdometryConfig(), frames=3)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    assert odometry.pose(noise, np.eye(4)[:3]) is None
    assert odometry.pose(np.zeros((240, 320), np.uint8), np.eye(4)[:3]) is None


def test_carry_keeps_what_agrees_with_a_given_pose(views: list) -> None:
    odometry = walk(views, OdometryConfig(), frames=2)
    right = odometry.carry(views[2][1], views[2][0][:3])
    assert right is not None
    wrong = odometry.carry(views[2][1], (rigid.exp(np.array([0, 0, 0, 0, 0.3, 0])) @ views[2][0])[:3])
    assert wrong is None or wrong.inliers < 0.2 * right.inliers
    assert odometry.carry(np.zeros((240, 320), np.uint8), views[2][0][:3]) is None


@pytest.mark.parametrize(("corners", "moves"), [(59, False), (60, True)])
def test_a_handful_of_corners_does_not_move_the_views(views: list, corners: int, moves: bool) -> None:
    odometry = walk(views, OdometryConfig(flow_px=6.0))
    odometry.map.known[odometry.map.views[-1].ids[corners:]] = False
    shift = np.array([0.01, 0.0, 0.0])
    odometry.map.views[-1].T_cam_world[:, 3] += shift
    before = odometry.map.views[-1].T_cam_world.copy()
    adjust_window(odometry.map, odometry.config)
    assert np.array_equal(odometry.map.views[-1].T_cam_world, before) != moves


def test_pieces_of_a_long_map_improve_like_the_whole(views: list) -> None:
    def disturbed(config: OdometryConfig) -> Odometry:
        odometry = walk(views, config)
        rng = np.random.default_rng(0)
        for view in odometry.map.views[1:]:
            T = rigid.exp(rng.normal(0, 0.01, 6)) @ np.vstack([view.T_cam_world, [0, 0, 0, 1]])
            view.T_cam_world = T[:3]
        return odometry

    def worst(odometry: Odometry) -> float:
        return max(_error(v.T_cam_world, views[v.index][0])[0] for v in odometry.map.views)

    whole, pieces = (disturbed(OdometryConfig(flow_px=6.0, global_views=n)) for n in (250, 4))
    assert worst(whole) > 0.012
    assert adjust_all(whole.map, whole.config) == adjust_all(pieces.map, pieces.config) == 1.0
    assert worst(whole) < 0.03
    assert worst(pieces) < 0.05


def around(stated: image.Intrinsics, turn_deg: float, config: OdometryConfig | None = None) -> Odometry:
    """Ten views that turn about 300 points, with what a camera K saw; the points and poses are the truth."""
    rng = np.random.default_rng(3)
    odometry = Odometry(stated, config or OdometryConfig())
    odometry.map.points = rng.uniform([-1, -0.8, 1.5], [1, 0.8, 3.0], (300, 3))
    odometry.map.known = np.ones(300, bool)
    middle = rigid.exp(np.array([0, 0, 2.2, 0, 0, 0]))
    for n in range(10):
        turn = rigid.exp(np.array([0, 0, 0, 0.3 * np.sin(n), 1.0, 0]) * np.radians(turn_deg) * n / 9)
        T = (middle @ turn @ rigid.inverse(middle))[:3]
        X = odometry.map.points @ T[:, :3].T + T[:, 3]
        pixels = X[:, :2] / X[:, 2:] * [K.fx, K.fy] + [K.cx, K.cy] + rng.normal(0, 0.3, (300, 2))
        depth = np.log(X[:, 2]) * (n == 0), np.full(300, 2.0 * (n == 0))
        odometry.map.views.append(View(n, T, np.arange(300), pixels, *depth))
    return odometry


def test_a_focal_length_that_the_map_contradicts_is_put_right() -> None:
    stated = K._replace(fx=1.08 * K.fx, fy=1.08 * K.fy)
    odometry = around(stated, 60)
    assert adjust_all(odometry.map, odometry.config) == pytest.approx(1 / 1.08, rel=0.005)
    assert odometry.map.intrinsics.fx == pytest.approx(K.fx, rel=0.005)
    assert (odometry.map.intrinsics.cx, odometry.map.stated) == (K.cx, stated)
    held = around(stated, 60, OdometryConfig(lens_tolerance=float("inf")))
    assert adjust_all(held.map, held.config) == 1.0
    assert held.map.intrinsics == stated


def bend(odometry: Odometry, k1: float) -> None:
    """Let the camera K that saw it have a lens with that distortion."""
    for view in odometry.map.views:
        ray = (view.pixels - [K.cx, K.cy]) / [K.fx, K.fy]
        view.pixels = ray * (1 + k1 * (ray**2).sum(1, keepdims=True)) * [K.fx, K.fy] + [K.cx, K.cy]


def test_a_lens_that_bends_the_picture_is_found_and_a_straight_one_kept() -> None:
    for k1, factor, expected in ((-0.05, 1.0, -0.05), (-0.06, 1.06, -0.06), (-0.005, 1.01, 0.0)):
        odometry = around(K._replace(fx=factor * K.fx, fy=factor * K.fy), 60)
        bend(odometry, k1)
        found = adjust_all(odometry.map, odometry.config)
        assert odometry.map.distortion == pytest.approx(expected, abs=0.01)
        assert found == pytest.approx(1 / factor if expected else 1.0, rel=0.01)
        held = around(K, 60, OdometryConfig(lens_tolerance=float("inf")))
        bend(held, k1)
        adjust_all(held.map, held.config)
        assert held.map.distortion == 0


def test_straightened_pixels_fit_a_pinhole() -> None:
    odometry = around(K, 60)
    before = [view.pixels.copy() for view in odometry.map.views]
    bend(odometry, -0.1)
    odometry.map.distortion = -0.1
    odometry.map.straighten(Lens(CAMERA, -0.1))
    assert odometry.map.distortion == 0
    for view, pixels in zip(odometry.map.views, before):
        inside = ((pixels >= 0) & (pixels <= [319, 239])).all(1)
        assert len(view.ids) == inside.sum() == len(view.log_depth) == len(view.depth_weight)
        np.testing.assert_allclose(view.pixels, pixels[inside], atol=1e-6)


def test_a_focal_length_that_holds_is_kept_and_a_guess_is_refined() -> None:
    stated = K._replace(fx=1.02 * K.fx, fy=1.02 * K.fy)
    kept = around(stated, 60)
    assert adjust_all(kept.map, kept.config) == 1.0
    assert kept.map.intrinsics == stated
    guessed = around(stated, 60, OdometryConfig(lens_tolerance=0.0))
    assert adjust_all(guessed.map, guessed.config) == pytest.approx(1 / 1.02, rel=0.005)


def test_a_camera_that_hardly_moves_says_nothing_of_its_focal_length() -> None:
    stated = K._replace(fx=1.08 * K.fx, fy=1.08 * K.fy)
    odometry = around(stated, 2)
    assert adjust_all(odometry.map, odometry.config) == 1.0
    assert odometry.map.intrinsics == stated


def test_moving_the_map_changes_no_reprojection(views: list) -> None:
    from scenewright.slam.bundle import reprojection_errors

    odometry = walk(views, OdometryConfig(), frames=6)

    def errors() -> np.ndarray:
        parts = [
            reprojection_errors(v.T_cam_world, odometry.map.points[v.ids], v.pixels, K)[odometry.map.known[v.ids]]
            for v in odometry.map.views
        ]
        return np.concatenate(parts)

    before = errors()
    T = rigid.exp(np.array([0.3, -0.2, 0.5, 0.1, 0.4, -0.2]))
    odometry.map.move(np.full(len(odometry.map.views), 1.7), np.tile(T, (len(odometry.map.views), 1, 1)))
    np.testing.assert_allclose(errors(), before, atol=1e-8)


def test_rejoin_finds_old_points_in_an_old_view(views: list) -> None:
    odometry = walk(views, OdometryConfig(), frames=6)
    view = odometry.map.views[-1]
    keep = np.arange(len(view.ids)) % 3 == 0
    for name in ("ids", "pixels", "log_depth", "depth_weight"):
        setattr(view, name, getattr(view, name)[keep])
    few = len(view.ids)
    assert odometry.rejoin(len(odometry.map.views) - 1, views[view.index][1]) > 8
    assert len(view.ids) > few
    assert (np.diff(view.ids) > 0).all()


# ---- second starts --------------------------------------------------------------------------------------------------
def test_pnp_start_over_a_wide_baseline(views: list) -> None:
    config = HypothesesConfig()
    key, frame = (hypotheses.detect(views[n][1].astype(np.float32), config) for n in (0, 9))
    found = hypotheses.pnp_start(key, views[0][2], frame, K, config)
    assert found is not None
    assert _error(found[0], views[9][0])[0] < 0.06
    assert found[1] >= config.minimum_inliers
    blank = hypotheses.detect(np.zeros((240, 320), np.float32), config)
    assert len(blank.pixels) == 0
    assert hypotheses.pnp_start(key, views[0][2], blank, K, config) is None
    assert hypotheses.pnp_start(key, 0 * views[0][2], frame, K, config) is None


@pytest.mark.parametrize("turn", [(0.0, 0.06, 0.0), (0.05, 0.0, 0.0), (0.0, 0.0, 0.08), (0.03, -0.05, 0.04)])
def test_rotation_start_finds_the_turn(turn: tuple[float, float, float]) -> None:
    room = BoxRoom(0)
    first = look(2.2, 1.3, 1.2, 0)
    T_frame_key = rigid.exp(np.array([0, 0, 0, *turn]))
    a, b = (image.grey(room.render(T, CAMERA)[0]) for T in (first, first @ rigid.inverse(T_frame_key)))
    found = hypotheses.rotation_start(a, b, K)
    assert np.linalg.norm(rigid.log(found @ rigid.inverse(T_frame_key))[3:]) < 0.25 * np.linalg.norm(turn)
    assert (found[:3, 3] == 0).all()


def test_rotation_start_gives_up_quietly() -> None:
    blank = np.zeros((240, 320), np.float32)
    noise = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (240, 320)).astype(np.float32), (0, 0), 2.0)
    assert np.isfinite(hypotheses.rotation_start(blank, blank, K)).all()
    assert np.isfinite(hypotheses.rotation_start(noise, blank, K)).all()


def test_only_a_run_of_views_frame_by_frame_makes_a_camera_brisk(views: list) -> None:
    odometry = walk(views, OdometryConfig(), frames=3)
    assert not odometry._brisk()  # too few to say
    last = odometry.map.views[-1]
    for gap, brisk in ((1, True), (3, False)):
        odometry.map.views = [replace(last, index=gap * n) for n in range(6)]
        assert odometry._brisk() is brisk


def _away(T: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The left twist that takes one (3, 4) pose to another."""
    first, last = (np.vstack([pose, [0, 0, 0, 1]]) for pose in (T, goal))
    return rigid.log(last @ rigid.inverse(first))


def test_a_prediction_counts_where_corners_leave_the_pose_open() -> None:
    """The mean of two poses by their information: all, nothing, halfway, and each direction by itself."""
    T = rigid.exp(np.array([0.1, -0.2, 0.3, 0.1, 0.2, -0.1]))[:3]
    away = np.array([0.04, 0.02, 0.0, 0.0, 0.03, 0.01])
    prediction = (rigid.exp(away) @ np.vstack([T, [0, 0, 0, 1]]))[:3]
    sd = np.array([0.01, 0.01, 0.01, 0.03, 0.03, 0.03])
    information = np.diag(1 / sd**2)
    np.testing.assert_allclose(_away(T, steadied(T, 1e9 * information, prediction, sd)), 0, atol=1e-9)
    np.testing.assert_allclose(_away(T, steadied(T, 1e-9 * information, prediction, sd)), away, atol=1e-9)
    halfway = (rigid.exp(away / 2) @ np.vstack([T, [0, 0, 0, 1]]))[:3]
    np.testing.assert_allclose(steadied(T, information, prediction, sd), halfway, atol=1e-12)
    open_to_the_side = information * np.where(np.arange(6) == 0, 1e-9, 1e9)[:, None]
    found = _away(T, steadied(T, open_to_the_side, prediction, sd))
    np.testing.assert_allclose(found, [away[0], 0, 0, 0, 0, 0], atol=1e-9)


def test_fewer_corners_do_beside_a_prediction(views: list) -> None:
    odometry = walk(views, OdometryConfig(flow_px=6.0), frames=2)
    T = odometry.map.views[-1].T_cam_world
    odometry.map.known[:] = False
    odometry.map.known[odometry.map.views[-1].ids[:18]] = True
    alone = odometry._try(views[2][1], odometry.map.views[-1], odometry._guess(odometry.map.views[-1], T), T, None)
    sd = np.array([0.05, 0.05, 0.05, 0.03, 0.03, 0.03])
    beside = odometry._try(views[2][1], odometry.map.views[-1], odometry._guess(odometry.map.views[-1], T), T, sd)
    assert alone is None
    assert beside is not None
    assert _error(beside.T_cam_world, views[2][0])[0] < 0.06


def test_an_unknown_motion_has_no_say() -> None:
    """At the start and after a loss nothing is known of how the camera moves, not that it stands still."""
    motion = Motion()
    assert motion.prediction_sd() is None
    motion.velocity = rigid.exp(np.array([0.02, 0, 0, 0, 0.04, 0]))
    np.testing.assert_allclose(motion.prediction_sd(), [0.02, 0.02, 0.02, 0.05, 0.05, 0.05])
