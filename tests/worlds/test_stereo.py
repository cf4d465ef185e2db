"""Pairs: depth predicts where the right camera sees a point; lidar agrees with depth; shards hold all of it."""

from pathlib import Path

import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds import stereo
from scenewright.worlds.drive import Lidar, sample_drive, scan, sparse_depth
from scenewright.worlds.render import Renderer
from scenewright.worlds.road import Road, build_road
from scenewright.worlds.rooms import build_room
from scenewright.worlds.sensor import Sensor
from scenewright.worlds.shards import shard_path
from scenewright.worlds.stereo import PairFrames, render_pair, render_road_pairs, render_room_pairs, right_pose

BASELINE = 0.54


@pytest.fixture(scope="module")
def road() -> Road:
    return build_road(2, "train", "city")


@pytest.fixture(scope="module")
def renderer(road: Road) -> Renderer:
    return Renderer(road.world)


def _visible_errors(
    left: np.ndarray, right: np.ndarray, image: np.ndarray, other: np.ndarray, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and colour differences at the points of the left view that the right one sees; shift = f B."""
    w = left.shape[1]
    y, x = np.nonzero((left > 0) & (left < 60))
    u = np.rint(x - shift / left[y, x]).astype(int)
    inside = (u >= 0) & (u < w)
    y, x, u = y[inside], x[inside], u[inside]
    depth = np.abs(right[y, u] - left[y, x]) / left[y, x]
    seen = depth < 0.03
    return depth, np.abs(image[y, x].astype(int) - other[y, u])[seen].mean(1)


def test_a_point_is_seen_at_its_disparity_with_the_same_depth_and_colour(road: Road, renderer: Renderer) -> None:
    view = sample_drive(road, renderer, np.random.default_rng(4), (208, 64))
    left, right = render_pair(renderer, view.camera, view.T_world_cam, BASELINE, seed=3)
    shift = view.camera.numbers[0] * BASELINE
    depth, colour = _visible_errors(left.depth_m, right.depth_m, left.image, right.image, shift)
    assert (depth < 0.03).mean() > 0.8
    assert np.median(colour) < 12
    _, wrong = _visible_errors(left.depth_m, right.depth_m, left.image, right.image, -shift)
    assert np.median(wrong) > 1.5 * np.median(colour), "the other way round does not fit"


def test_both_cameras_have_one_exposure_and_their_own_noise() -> None:
    room = build_room(1, "train", "office")
    renderer = Renderer(room)
    view, baseline = stereo.sample_room_pair(renderer, np.random.default_rng(0), (64, 48))
    assert 0.1 <= baseline <= 0.2
    noisy = Sensor(read_noise=0.05)
    left, right = render_pair(renderer, view.camera, view.T_world_cam, 1e-6, sensor=noisy)
    clean, same = render_pair(renderer, view.camera, view.T_world_cam, 1e-6)
    assert np.abs(clean.image.astype(int) - same.image).mean() < 0.5
    assert np.abs(left.image.astype(int) - right.image).mean() > 4
    step = right_pose(view.T_world_cam, baseline)
    np.testing.assert_allclose(np.linalg.inv(view.T_world_cam) @ step @ [0, 0, 0, 1], [baseline, 0, 0, 1], atol=1e-9)
    for bad in (0.0, -0.1, np.inf, np.nan):
        with pytest.raises(InputError, match="baseline"):
            render_pair(renderer, view.camera, view.T_world_cam, bad)


def test_lidar_is_sparse_and_right_where_it_hits(road: Road, renderer: Renderer) -> None:
    view = sample_drive(road, renderer, np.random.default_rng(5), (208, 64))
    exact = Lidar(noise_m=0.0, dropout=0.0, mount=(0.0, 0.0, 0.0))
    points = scan(renderer, view.T_world_cam, exact, np.random.default_rng(0))
    truth = renderer.truth(view.camera, view.T_world_cam).depth_m
    sparse = sparse_depth(points, view.camera)
    hit = sparse > 0
    assert 0.03 < hit.mean() < 0.2
    error = np.abs(sparse - truth)[hit] / truth[hit].clip(0.1)
    assert np.median(error) < 0.01, "up to half a pixel beside the centre ray"
    assert (error < 0.15).mean() > 0.9
    assert sparse.max() < exact.reach_m
    noisy = scan(renderer, view.T_world_cam, Lidar(dropout=0.5), np.random.default_rng(0))
    assert 0.4 < len(noisy) / len(points) < 0.6


def test_the_nearest_return_wins_and_the_right_view_is_shifted() -> None:
    camera = Camera.from_parameters(40, 20, 30.0, 30.0, 20.0, 9.0)
    points = np.array(
        [[0.0, 0.0, 8.0], [0.0, 0.0, 4.0], [0.0, 0.0, 6.0], [0.0, 0.0, -3.0], [9.0, 0.0, 3.0]], np.float32
    )
    depth = sparse_depth(points, camera)
    assert np.argwhere(depth > 0).tolist() == [[9, 20]]
    assert depth[9, 20] == 4.0
    right = sparse_depth(points[1:2], camera, 0.4)
    assert np.argwhere(right > 0).tolist() == [[9, 17]], "30 px * 0.4 m / 4 m"


def test_road_shards_hold_pairs_with_lidar(tmp_path: Path) -> None:
    path = shard_path(tmp_path, "test", 7, stereo.SUFFIX)
    assert render_road_pairs(path, [7], "test", 2, (104, 32)) == 2
    frames = PairFrames(tmp_path, "test")
    again = tmp_path / "again.pairs"
    render_road_pairs(again, [7], "test", 2, (104, 32))
    assert again.read_bytes() == path.read_bytes()
    frame = frames[1]
    assert frame.image.shape == frame.right.shape == (32, 104, 3)
    assert frame.baseline_m == 0.54
    assert frame.sparse_m is not None
    assert frame.right_sparse_m is not None
    both = (frame.sparse_m > 0) & (frame.depth_m > 0)
    assert 0.02 < both.mean() < 0.5
    assert np.median(np.abs(frame.sparse_m - frame.depth_m)[both] / frame.depth_m[both]) < 0.05
    assert (frame.right_sparse_m > 0).any()
    assert frame.depth_m.max() > 30


def test_room_shards_hold_pairs_without_lidar(tmp_path: Path) -> None:
    path = shard_path(tmp_path, "train", 1, stereo.SUFFIX)
    assert render_room_pairs(path, [1], "train", 2, (96, 72)) == 2
    frame = PairFrames(tmp_path)[0]
    assert frame.sparse_m is None
    assert frame.right_sparse_m is None
    shift = float(frame.K[0, 0]) * frame.baseline_m
    depth, _ = _visible_errors(frame.depth_m, frame.right_depth_m, frame.image, frame.right, shift)
    assert (depth < 0.03).mean() > 0.8
    assert frame.labels.max() < 12
    with pytest.raises(InputError, match="positive"):
        render_room_pairs(tmp_path / "x.pairs", [0], "train", 0)
    assert len(list(tmp_path.iterdir())) == 1
