"""Views and walks: properties that every seed must have."""

from __future__ import annotations

import collections
import dataclasses
import math

import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds import walks
from scenewright.worlds.render import Renderer
from worlds import handmade


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(handmade.room())


@pytest.fixture(scope="module")
def views(renderer):
    generator = np.random.default_rng(3)
    return [walks.sample_view(renderer, generator, (160, 120)) for _ in range(150)]


def test_look_at_is_rigid_upright_and_looks():
    T = walks.look_at(np.array([1.0, 2.0, 1.5]), np.array([3.0, 1.0, 0.4]))
    R = T[:3, :3]
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    local = R.T @ (np.array([3.0, 1.0, 0.4]) - T[:3, 3])
    np.testing.assert_allclose(local[:2], 0, atol=1e-12)
    assert local[2] > 0
    assert R[2, 1] < 0  # the picture's y axis points down
    assert R[2, 0] == pytest.approx(0)


def test_roll_turns_the_picture_about_its_axis():
    eye, target = np.array([0.0, 0, 1]), np.array([1.0, 0, 1])
    turned = walks.look_at(eye, target, 0.3)
    relative = walks.look_at(eye, target)[:3, :3].T @ turned[:3, :3]
    np.testing.assert_allclose(relative[2], [0, 0, 1], atol=1e-12)
    assert math.atan2(relative[1, 0], relative[0, 0]) == pytest.approx(0.3)


def test_straight_down_is_still_rigid():
    T = walks.look_at(np.array([0.0, 0, 2]), np.array([0.0, 0, 0]))
    np.testing.assert_allclose(T[:3, :3].T @ T[:3, :3], np.eye(3), atol=1e-12)


def test_focal_lengths_cover_the_range_and_centre_on_sixty_degrees():
    generator = np.random.default_rng(0)
    cameras = [walks.random_camera(generator, 320, 240) for _ in range(400)]
    fov = np.array([2 * math.degrees(math.atan(160 / c.numbers[0])) for c in cameras])
    assert fov.min() >= 45 - 1e-3
    assert fov.max() <= 85 + 1e-3
    assert 58 < np.median(fov) < 65
    assert (fov < 52).any()
    assert (fov > 75).any()


def test_views_hold_the_camera_like_a_person(renderer, views):
    height = np.array([v.T_world_cam[2, 3] for v in views])
    assert height.min() >= walks.MIN_HEIGHT_M - 1e-6
    assert height.max() <= walks.MAX_HEIGHT_M + 1e-6
    assert 1.0 < np.median(height) < 1.7
    for v in views:
        assert walks.in_free_space(renderer, v.T_world_cam[:3, 3])
        np.testing.assert_allclose(v.T_world_cam[:3, :3].T @ v.T_world_cam[:3, :3], np.eye(3), atol=1e-9)


def test_views_mix_close_ups_steep_and_long_ones(views):
    share = {k: n / len(views) for k, n in collections.Counter(v.mode for v in views).items()}
    assert set(share) == {"focus", "close", "steep", "long", "free"}
    assert share["focus"] + share["close"] > 0.45
    steep = [v for v in views if v.mode == "steep"]
    assert all(v.T_world_cam[2, 2] < -math.sin(math.radians(28)) for v in steep)


def test_views_show_things(renderer, views):
    for v in views[:60]:
        got = renderer.truth(v.camera.resize(32, 24), v.T_world_cam)
        assert len(np.unique(got.instances)) >= 2
        assert (got.depth_m[got.depth_m > 0] < 0.25).mean() < 0.05


def test_views_are_functions_of_the_generator(renderer):
    a, b = (walks.sample_view(renderer, np.random.default_rng(9), (64, 48)) for _ in range(2))
    np.testing.assert_array_equal(a.T_world_cam, b.T_world_cam)
    assert a.camera.numbers == b.camera.numbers
    fixed = Camera.from_fov(64, 48, 60)
    assert walks.sample_view(renderer, np.random.default_rng(9), fixed).camera is fixed


def test_inside_furniture_is_not_free(renderer):
    assert not walks.in_free_space(renderer, np.array([3.0, 2.3, 0.25]))  # in the crate
    assert not walks.in_free_space(renderer, np.array([0.1, 1.0, 1.5]))  # in the wall's face
    assert not walks.in_free_space(renderer, np.array([-1.0, 1.0, 1.5]))
    assert walks.in_free_space(renderer, np.array([1.0, 1.5, 1.5]))


@pytest.mark.parametrize(("frames", "rate"), [(30, 30.0), (300, 30.0), (200, 10.0)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_walk_is_smooth_free_and_closed(renderer, frames, rate, seed):
    walk = walks.handheld_walk(renderer, np.random.default_rng(seed), frames, rate)
    T = walk.T_world_cam
    assert T.shape == (frames, 4, 4)
    np.testing.assert_allclose(np.diff(walk.time_s), 1 / rate)
    step = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1) * rate
    trace = np.einsum("nij,nij->n", T[1:, :3, :3], T[:-1, :3, :3])
    turn = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))) * rate
    assert step.max() < 1.2
    assert turn.max() < 90
    x0, y0, x1, y1 = renderer.room.free[0]
    assert (T[:, 0, 3] > x0 - 0.03).all()
    assert (T[:, 0, 3] < x1 + 0.03).all()
    assert (T[:, 1, 3] > y0 - 0.03).all()
    assert (T[:, 1, 3] < y1 + 0.03).all()
    assert np.linalg.norm(T[0, :3, 3] - T[-1, :3, 3]) < 0.06
    end = math.degrees(math.acos(np.clip((np.trace(T[0, :3, :3].T @ T[-1, :3, :3]) - 1) / 2, -1, 1)))
    assert end < 5


def test_walk_moves_and_trembles(renderer):
    T = walks.handheld_walk(renderer, np.random.default_rng(4), 300).T_world_cam
    path = T[:, :3, 3]
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() > 1.0
    assert np.ptp(path[:, :2], axis=0).max() > 0.3
    jitter = path[1:-1] - (path[2:] + path[:-2]) / 2
    assert 1e-5 < np.abs(jitter).mean() < 3e-3


def test_walk_keeps_to_an_l_shaped_floor():
    room = dataclasses.replace(handmade.room(), free=np.array([[0.3, 0.3, 1.0, 2.7], [0.3, 2.2, 2.4, 2.7]], np.float32))
    renderer = Renderer(room)
    for seed in range(4):
        p = walks.handheld_walk(renderer, np.random.default_rng(seed), 400).T_world_cam[:, :2, 3]
        in_a = (p[:, 0] < 1.03) & (p[:, 1] > 0.27)
        in_b = (p[:, 0] < 2.43) & (p[:, 1] > 2.17)
        assert (in_a | in_b).all()


def test_what_cannot_be_walked_is_refused(renderer):
    with pytest.raises(InputError, match="handheld_walk"):
        walks.handheld_walk(renderer, np.random.default_rng(0), 2)
    none = Renderer(dataclasses.replace(handmade.room(), free=np.zeros((0, 4), np.float32)))
    with pytest.raises(InputError, match="free"):
        walks.handheld_walk(none, np.random.default_rng(0), 30)
    with pytest.raises(InputError, match="free"):
        walks.sample_view(none, np.random.default_rng(0), (64, 48))


def test_a_bare_room_is_refused():
    from scenewright.worlds.model import Material

    grey = Material((0.5, 0.5, 0.5))
    wall = handmade.placed(handmade.box((0.1, 90, 90), grey), "wall", "wall", (2.0, 1.5, -40))
    renderer = Renderer(handmade.world(wall))
    with pytest.raises(InputError, match="worth seeing"):
        walks.sample_view(renderer, np.random.default_rng(0), (64, 48), attempts=10)


def test_close_ups_are_close_and_long_views_long(renderer, views):
    def middle(mode: str) -> float:
        small = [renderer.truth(v.camera.resize(24, 18), v.T_world_cam).depth_m for v in views if v.mode == mode]
        return float(np.median([np.median(d) for d in small]))

    assert middle("close") < 1.8
    assert middle("long") > middle("close")


def test_long_views_look_down_the_longest_way():
    from scenewright.worlds.model import Material

    grey = Material((0.5, 0.5, 0.5))
    things = [
        handmade.placed(handmade.quad((0, 0, 0), (20, 0, 0), (20, 2, 0), (0, 2, 0), grey), "floor", "floor"),
        handmade.placed(handmade.quad((0, 0, 0), (0, 0, 3), (20, 0, 3), (20, 0, 0), grey), "wall", "wall"),
        handmade.placed(handmade.quad((0, 2, 0), (20, 2, 0), (20, 2, 3), (0, 2, 3), grey), "wall", "wall"),
        handmade.placed(handmade.quad((0, 0, 0), (0, 2, 0), (0, 2, 3), (0, 0, 3), grey), "wall", "wall"),
        handmade.placed(handmade.quad((20, 0, 0), (20, 0, 3), (20, 2, 3), (20, 2, 0), grey), "wall", "wall"),
    ]
    room = dataclasses.replace(
        handmade.world(*things, extent=(20.0, 2.0, 3.0)), free=np.array([[0.5, 0.5, 3.0, 1.5]], np.float32)
    )
    renderer = Renderer(room)
    for seed in range(8):
        T = walks._propose(renderer, np.random.default_rng(seed), "long")
        assert T[0, 2] > 0.7  # along +x, where 17 m and more are open


def test_resting_people_still_look_about(renderer):
    """Even where there is hardly room to step, the walk is a valid, closed sequence."""
    room = dataclasses.replace(renderer.room, free=np.array([[0.8, 0.8, 1.05, 1.05]], np.float32))
    walk = walks.handheld_walk(Renderer(room), np.random.default_rng(0), 120)
    p = walk.T_world_cam[:, :3, 3]
    assert np.ptp(p[:, 0]) < 0.3
    assert np.ptp(p[:, 1]) < 0.3
    assert np.isfinite(walk.T_world_cam).all()


@pytest.mark.parametrize("frames", [3, 4, 7])
def test_shortest_walks(renderer, frames):
    walk = walks.handheld_walk(renderer, np.random.default_rng(1), frames)
    assert walk.T_world_cam.shape == (frames, 4, 4)
    R = walk.T_world_cam[:, :3, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-9)


def test_walks_are_functions_of_the_generator(renderer):
    a, b = (walks.handheld_walk(renderer, np.random.default_rng(6), 60).T_world_cam for _ in range(2))
    other = walks.handheld_walk(renderer, np.random.default_rng(7), 60).T_world_cam
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - other).max() > 0.1


def test_free_grid_is_the_largest_connected_part():
    free = np.array([[0.3, 0.3, 1.0, 2.7], [2.0, 0.3, 2.4, 0.7], [1.0, 1.0, 1.3, 1.4]], np.float32)
    grid = walks._free_grid(dataclasses.replace(handmade.room(), free=free))
    assert grid[int(0.6 / 0.05), int(2.0 / 0.05)]
    assert grid[int(1.2 / 0.05), int(1.2 / 0.05)]  # joined to the first
    assert not grid[int(2.2 / 0.05), int(0.5 / 0.05)]  # an island
    assert grid.sum() * 0.0025 == pytest.approx(0.7 * 2.4 + 0.3 * 0.4, rel=0.15)  # whole cells only


def test_routes_go_round_corners():
    grid = np.zeros((40, 40), bool)
    grid[2:6, 2:38] = grid[2:38, 33:38] = True
    way = walks._route(grid, np.array([3, 3]), np.array([36, 35]))
    cells = way.astype(int)
    assert grid[cells[:, 0], cells[:, 1]].all()
    assert (np.abs(np.diff(cells, axis=0)).max(1) == 1).all()
    assert (cells[0] == [3, 3]).all()
    assert (cells[-1] == [36, 35]).all()
