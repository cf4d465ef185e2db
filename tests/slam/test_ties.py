"""Keyframes far apart tied together: tracks of matched features, their points, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenewright.features.task import Features, Matches
from scenewright.geometry.camera import Camera
from scenewright.slam import rigid
from scenewright.slam.bundle import reprojection_errors
from scenewright.slam.config import OdometryConfig
from scenewright.slam.corner_map import CornerMap, Tracks, View
from scenewright.slam.features import KeyframeIndex, Look
from scenewright.slam.image import Intrinsics
from scenewright.slam.ties import intersections, tie, tracks_of
from scenewright.slam.types import Keyframe
from slam_room import BoxRoom, look

K = Intrinsics(260.0, 260.0, 159.5, 119.5)
CAMERA = Camera.from_parameters(320, 240, *K)
COUNT = 40


class ById:
    """Features whose descriptor is a number: equal numbers match."""

    def features(self, image: torch.Tensor, count: int) -> Features:
        raise NotImplementedError

    def match(self, first: Features, second: Features) -> Matches:
        assert first.descriptors is not None
        assert second.descriptors is not None
        same = first.descriptors[:, :1] == second.descriptors[:, 0]
        return Matches(torch.nonzero(same), torch.zeros(int(same.sum())))


def world(moved: float = 0.25, noise_px: float = 0.0) -> tuple[CornerMap, KeyframeIndex, np.ndarray]:
    """Three views of 40 points, the last two in one piece with the first; feature n of each keyframe is point n."""
    rng = np.random.default_rng(0)
    X = rng.uniform([-1, -0.8, 2], [1, 0.8, 4], (COUNT, 3))
    sparse, index = CornerMap(K), KeyframeIndex(ById())
    for n in range(3):
        T = rigid.exp(np.array([moved * n, 0.1 * moved * n, 0, 0, 0.02 * n, 0]))[:3]
        none = np.zeros(0)
        sparse.views.append(View(n, T, np.zeros(0, np.int64), np.zeros((0, 2)), none, none.copy()))
        camera = X @ T[:, :3].T + T[:, 3]
        xy = camera[:, :2] / camera[:, 2:] * [K.fx, K.fy] + [K.cx, K.cy] + noise_px * rng.normal(size=(COUNT, 2))
        table = torch.from_numpy(xy.astype(np.float32))
        numbers = torch.arange(COUNT)[:, None].expand(-1, 4).float()
        index.looks[n] = Look(Features((240, 320), table, torch.zeros(COUNT), descriptors=numbers), np.zeros(1200))
        depth = np.ones((240, 320), np.float32)
        index.keyframes[n] = Keyframe(
            n, n, float(n), np.zeros((240, 320, 3), np.uint8), CAMERA, depth, depth, depth,
            np.zeros(depth.shape, np.uint16), rigid.inverse(np.vstack([T, [0, 0, 0, 1]])),
        )  # fmt: skip
    return sparse, index, X


def test_matched_features_become_points() -> None:
    sparse, index, X = world()
    tracks = tracks_of(index, [0, 1, 2])
    points, good = intersections(sparse, tracks, 1.0)
    assert good.all()
    np.testing.assert_allclose(points, X, atol=2e-3)
    sparse.add(tracks, points)
    assert sparse.known.all()
    for view in sparse.views:
        assert view.ids.tolist() == list(range(COUNT))
        np.testing.assert_array_equal(view.pixels, index.looks[view.index].xy)
        assert not view.depth_weight.any()


def test_real_features_are_placed_better_than_they_were_found() -> None:
    room, sparse, index = BoxRoom(0), CornerMap(K), KeyframeIndex()
    for n in range(4):
        keyframe = room.keyframe(n, look(1.6 + 0.15 * n, 1.3, 0.9, -6 + 4 * n, 2), CAMERA)
        index.add(keyframe)
        T, none = rigid.inverse(keyframe.T_world_cam)[:3], np.zeros(0)
        sparse.views.append(View(n, T, np.zeros(0, np.int64), np.zeros((0, 2)), none, none.copy()))

    def errors(view: np.ndarray, pixel: np.ndarray, points: np.ndarray) -> np.ndarray:
        T = np.array([sparse.views[v].T_cam_world for v in view])
        return reprojection_errors(T, points, pixel, K)

    tracks = tracks_of(index, [0, 1, 2, 3])
    points, good = intersections(sparse, tracks, 1.0)
    rough = tracks.only(good)
    assert tie(sparse, index, [0, 1, 2, 3], OdometryConfig()) > 100
    fine = Tracks(
        np.concatenate([v.ids for v in sparse.views]), np.repeat(np.arange(4), [len(v.ids) for v in sparse.views]),
        np.concatenate([v.pixels for v in sparse.views]),
    )  # fmt: skip
    fine = Tracks(*(column[np.argsort(fine.track, kind="stable")] for column in fine))
    again, _ = intersections(sparse, fine, 1.0)
    before = np.median(errors(rough.view, rough.pixel, points[good][rough.track]))
    assert np.median(errors(fine.view, fine.pixel, again[fine.track])) < 0.4 * before
    mine = fine.view == 0
    x, y = np.rint(fine.pixel[mine]).astype(int).T
    true = index.keyframes[0].depth_m[y, x]
    z = again[fine.track[mine]] @ sparse.views[0].T_cam_world[2, :3] + sparse.views[0].T_cam_world[2, 3]
    assert np.median(np.abs(z / true - 1)) < 0.01


def test_pieces_that_are_not_joined_are_not_tied() -> None:
    sparse, index, _ = world()
    index.keyframes[2].segment = 1
    assert set(tracks_of(index, [0, 1, 2]).view.tolist()) == {0, 1}
    index.keyframes[1].segment = 2
    assert tie(sparse, index, [0, 1, 2], OdometryConfig()) == 0
    assert len(sparse.points) == 0


def test_a_track_holds_one_feature_of_a_keyframe() -> None:
    _, index, _ = world()
    numbers = index.looks[1].features.descriptors
    assert numbers is not None
    numbers = numbers.clone()
    numbers[1] = 0  # feature 1 of the second keyframe looks like point 0
    seen = index.looks[1]
    features = Features(seen.features.size, seen.features.xy, seen.features.score, descriptors=numbers)
    index.looks[1] = Look(features, seen.thumbnail)
    tracks = tracks_of(index, [0, 1, 2])
    pairs = list(zip(tracks.track.tolist(), tracks.view.tolist()))
    assert len(set(pairs)) == len(pairs)


def test_rays_that_meet_nowhere_or_at_no_angle_make_no_point() -> None:
    sparse, index, X = world()
    tracks = tracks_of(index, [0, 1, 2])
    pixel = tracks.pixel.copy()
    pixel[tracks.track == 0] += np.array([[0, 0], [0, 40], [0, -40]])
    points, good = intersections(sparse, Tracks(tracks.track, tracks.view, pixel), 1.0)
    assert good.tolist() == [False, *[True] * (COUNT - 1)]
    np.testing.assert_allclose(points[1:], X[1:], atol=2e-3)
    still, index, _ = world(moved=0.005)
    assert not intersections(still, tracks_of(index, [0, 1, 2]), 1.0)[1].any()


def test_few_or_contradicting_matches_tie_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, index, _ = world()
    rng = np.random.default_rng(1)
    monkeypatch.setattr(index.source, "match", lambda a, b: Matches(
        torch.from_numpy(np.stack([np.arange(COUNT), rng.permutation(COUNT)], 1)), torch.zeros(COUNT)
    ))  # fmt: skip
    assert len(tracks_of(index, [0, 1, 2]).track) == 0
    monkeypatch.setattr(
        index.source, "match", lambda a, b: Matches(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0))
    )
    assert len(tracks_of(index, [0, 1, 2]).track) == 0
