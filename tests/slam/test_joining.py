"""Pieces of map seen from opposite sides: plans that look alike, votes that agree, and no join without proof."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenewright.features.extract import extractor
from scenewright.features.task import Features, Matches
from scenewright.geometry.camera import Camera
from scenewright.slam import rigid
from scenewright.slam.features import FeatureSource, NoFeatures, SmallOrb
from scenewright.slam.joining import (
    Common,
    JoinOptions,
    Joint,
    Piece,
    agreement,
    carried,
    elect,
    join,
    proposals,
    propose,
    similarity,
    survey,
)
from scenewright.slam.plans import PlanOptions, draw, landmarks, median_depth, surfaces, upright
from scenewright.slam.types import Keyframe
from slam_room import SIZE, BoxRoom, look

CAMERA = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)
SIFT = extractor("sift")
SCALE, WORLD = 1.2, rigid.exp(np.array([1.0, -2.0, 0.5, 0.1, 0.7, -0.2]))
"""The second piece's world: its points are those of the room, moved by WORLD and stretched by SCALE."""


def piece(room: BoxRoom, poses: list[np.ndarray], moved: bool = False, first_id: int = 0) -> list[Keyframe]:
    keyframes = [room.keyframe(first_id + n, T, CAMERA) for n, T in enumerate(poses)]
    return [carried(k, SCALE, WORLD) for k in keyframes] if moved else keyframes


def from_front() -> list[np.ndarray]:
    return [look(x, 1.2, 0.5, 4 * x, -35) for x in (1.0, 1.6, 2.2, 2.8)]


def from_behind() -> list[np.ndarray]:
    return [look(x, 1.1, 3.6, 180 + 5 * x, -38) for x in (1.1, 1.7, 2.3, 2.9)]


@pytest.fixture(scope="module")
def front() -> list[Keyframe]:
    return piece(BoxRoom(0), from_front())


@pytest.fixture(scope="module")
def behind() -> list[Keyframe]:
    return piece(BoxRoom(0), from_behind(), moved=True, first_id=10)


@pytest.fixture(scope="module")
def pieces(front: list[Keyframe], behind: list[Keyframe]) -> tuple[Piece, Piece]:
    return survey(front, SIFT), survey(behind, SIFT)


def test_up_is_found_in_any_world(front: list[Keyframe], behind: list[Keyframe]) -> None:
    for keyframes, R in ((front, np.eye(3)), (behind, WORLD[:3, :3])):
        axes = upright(keyframes)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) > 0
        np.testing.assert_allclose(axes[2], R @ [0, -1, 0], atol=0.01)


def test_a_plan_shows_the_floor_as_it_is_and_says_where(front: list[Keyframe]) -> None:
    """The floor's height, its pixels' places, and the same picture from two cameras."""
    up, depth, options = np.array([0, -1.0, 0]), median_depth(front), PlanOptions()
    assert -SIZE[1] == pytest.approx(surfaces(front[0], up, depth, options)[0], abs=options.bin * depth)
    plans = [draw(k, up, -SIZE[1], depth, options) for k in front[:2]]
    for plan in plans:
        assert plan.on.sum() > 3000
        v, u = np.argwhere(plan.on)[::97].T
        places = np.column_stack([u, v, np.ones(len(u))]) @ plan.M.T
        np.testing.assert_allclose(places[:, 1], SIZE[1], atol=1e-9)
        assert (places[:, [0, 2]] > -0.3).all()  # the foot of a wall still counts as floor
        assert (places[:, [0, 2]] < SIZE[[0, 2]] + 0.3).all()
    first, second = plans
    v, u = np.argwhere(first.on).T
    there = np.linalg.solve(second.M, first.M @ np.stack([u, v, np.ones(len(u))]))
    x, y = np.rint(there[:2] / there[2]).astype(int)
    both = (x >= 0) & (y >= 0) & (x < options.pixels) & (y < options.pixels)
    both[both] = second.on[y[both], x[both]]
    grey = [plan.image.mean(2) for plan in plans]
    assert both.sum() > 1000
    assert np.corrcoef(grey[0][v[both], u[both]], grey[1][y[both], x[both]])[0, 1] > 0.8


def test_landmarks_know_their_places_and_directions(front: list[Keyframe]) -> None:
    """Features of the picture and of its plan lie on the surfaces of the room; a third of a region is their axis."""
    seen = landmarks(front[0], np.array([[1, 0, 0], [0, 0, 1], [0, -1.0, 0]]), median_depth(front), SIFT)
    assert [s.from_above for s in seen][:2] == [False, True]
    floor = next(s for s in seen if s.from_above)
    np.testing.assert_allclose(floor.axes[:, 2], 0, atol=1e-9)
    ratio = np.linalg.norm(floor.axes, axis=1) / (floor.features.radius_px.numpy() / 3)
    np.testing.assert_allclose(ratio, PlanOptions().reach * median_depth(front) / PlanOptions().pixels, rtol=1e-4)


def right(joint: Joint) -> None:
    """The joint undoes WORLD and SCALE."""
    assert joint.scale == pytest.approx(1 / SCALE, rel=0.02)
    undone = joint.scale * SCALE * joint.T[:3, :3] @ WORLD[:3, 3] / SCALE + joint.T[:3, 3]
    turn = Rotation.from_matrix(joint.T[:3, :3] @ WORLD[:3, :3]).magnitude()
    assert np.degrees(turn) < 1
    assert np.linalg.norm(undone) < 0.08


def test_opposite_sides_of_a_room_are_joined(pieces: tuple[Piece, Piece]) -> None:
    joint = join(*pieces, SIFT)
    assert joint is not None
    right(joint)
    assert joint.votes >= 2 * joint.rival
    assert joint.keyframes[0] < 10 <= joint.keyframes[1]


def test_different_rooms_are_not_joined(pieces: tuple[Piece, Piece]) -> None:
    """Neither another texture in the same shape, nor parts of one room that do not overlap."""
    other = survey(piece(BoxRoom(5), from_behind(), moved=True), SIFT)
    assert join(pieces[0], other, SIFT) is None
    up_wall = survey(piece(BoxRoom(0), [look(2.0 + n / 3, 1.3, 2.0, 180, 20) for n in range(4)], moved=True), SIFT)
    assert join(pieces[0], up_wall, SIFT) is None


def test_votes_alone_are_not_believed(front: list[Keyframe], behind: list[Keyframe], pieces: tuple) -> None:
    """A surface that floats in what the other piece saw as empty space speaks against a join."""
    joint = propose(*pieces, SIFT, JoinOptions())
    assert joint is not None
    assert joint.agree > 0.9
    near = [replace(k, depth_m=k.depth_m * np.float32(0.6)) for k in behind]
    assert agreement(front, [carried(k, joint.scale, joint.T) for k in near]) < 0.3
    assert join(*pieces, SIFT, JoinOptions(agree=1.01)) is None
    assert join(*pieces, SIFT, JoinOptions(lead=1e6)) is None or joint.rival == 0
    assert join(*pieces, SIFT, JoinOptions(votes=10**6)) is None


@pytest.mark.parametrize("source", [NoFeatures(), SmallOrb()])
def test_poor_features_join_nothing_wrong(source: FeatureSource, front: list[Keyframe], behind: list[Keyframe]) -> None:
    joint = join(survey(front, source), survey(behind, source), source)
    if joint is not None:
        right(joint)


class Blind:
    """Features without places, directions or matches."""

    def features(self, image: object, count: int) -> Features:
        return NoFeatures().features(image, count)

    def match(self, first: Features, second: Features) -> Matches:
        raise AssertionError("nothing to match")


def test_a_piece_without_depth_is_no_error(front: list[Keyframe]) -> None:
    empty = [replace(k, depth_m=np.zeros_like(k.depth_m)) for k in front]
    assert join(survey(empty, Blind()), survey(front, Blind()), Blind()) is None
    assert join(survey(empty[:1], SIFT), survey(front, SIFT), SIFT) is None


def common(true: int, wrong: int, seed: int = 0) -> Common:
    """`true` matches under one similarity of the plan, `wrong` ones under none."""
    rng = np.random.default_rng(seed)
    second = rng.uniform([-2, -2, 0], [2, 2, 1], (true + wrong, 3))
    R = Rotation.from_euler("z", 2.5).as_matrix()
    first = 1.1 * second @ R.T + [3, -1, 0.2]
    first[true:] = rng.uniform([1, -3, 0], [5, 1, 1], (wrong, 3))
    axes = rng.normal(size=(true + wrong, 3))
    pair = np.sort(rng.integers(1, 9, true + wrong))
    order = rng.permutation(true + wrong)
    ids = np.zeros((true + wrong, 2), np.int64)
    return Common(first[order], second[order], (1.1 * axes @ R.T)[order], axes[order], pair, ids)


def test_many_weak_pairs_elect_one_motion() -> None:
    """Five true matches in a pair among fifty wrong ones prove nothing; forty in eight pairs do."""
    matches = common(40, 400)
    options = JoinOptions()
    voters, rival = elect(matches, proposals(matches, 2.0, options), 2.0, options)
    assert 38 <= len(voters) <= 48
    assert rival <= 10
    scale, T = similarity(voters, 0.1)
    assert scale == pytest.approx(1.1, rel=0.01)
    np.testing.assert_allclose(T[:3, 3], [3, -1, 0.2], atol=0.03)


def test_voters_at_one_place_fix_nothing(pieces: tuple[Piece, Piece]) -> None:
    """One thing seen again and again, which could be anywhere."""
    seen = [replace(s, points=np.tile(s.points[:1], (len(s.points), 1))) for s in pieces[0].seen]
    assert join(replace(pieces[0], seen=seen), pieces[1], SIFT) is None


def test_wrong_matches_elect_nothing() -> None:
    matches = common(0, 440)
    options = JoinOptions()
    voters, rival = elect(matches, proposals(matches, 2.0, options), 2.0, options)
    assert len(voters) < max(options.votes, options.lead * rival)
