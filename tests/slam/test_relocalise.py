"""Features, appearance and relocalisation: exact geometry, and no false positives."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from scenewright.errors import InputError
from scenewright.features.extract import extractor
from scenewright.features.task import Features
from scenewright.geometry.camera import Camera
from scenewright.slam.features import KeyframeIndex, SmallOrb, agreement, lift, look_at, pose_against, spread, to_grey
from scenewright.slam.relocalise import Relocaliser
from slam_room import CAMERA, BoxRoom, look, walk

ORB = SmallOrb()
BIG = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)


@pytest.fixture(scope="module")
def room() -> BoxRoom:
    return BoxRoom(0)


@pytest.fixture(scope="module")
def relocaliser(room: BoxRoom) -> Relocaliser:
    found = Relocaliser()
    for k, T in enumerate(walk(12)):
        found.add(room.keyframe(k, T, BIG))
    return found


def test_lift_inverts_projection_and_refuses_edges() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    depth[:, 80:] = 3.0
    depth[50, 20] = 0.0
    pixels = np.array([[10.0, 5.0], [79.0, 30.0], [100.4, 60.0], [20.0, 50.0]], np.float32)
    points = lift(pixels, depth, CAMERA)
    np.testing.assert_allclose(points[0], [(10 - 79.5) / 130 * 2, (5 - 59.5) / 130 * 2, 2.0])
    np.testing.assert_allclose(points[2], [(100.4 - 79.5) / 130 * 3, 0.5 / 130 * 3, 3.0], atol=1e-6)
    assert np.isnan(points[[1, 3]]).all()  # on the step, and in the hole


def test_match_is_mutual_and_the_identity_on_itself(room: BoxRoom) -> None:
    seen = look_at(room.render(look(2.2, 1.3, 1.2, 0), BIG)[0], ORB)
    pairs = ORB.match(seen.features, seen.features).pairs
    assert len(pairs) > 0.5 * len(seen.features)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert (seen.features.score.diff() <= 0).all(), "strongest first"
    assert np.linalg.norm(seen.thumbnail) == pytest.approx(1.0, rel=1e-5)


def test_pose_of_a_known_motion(room: BoxRoom) -> None:
    first, second = look(2.2, 1.3, 1.2, 0), look(2.4, 1.25, 1.3, 8, 3)
    keyframe = room.keyframe(0, first, BIG)
    a, b = (look_at(image, ORB) for image in (keyframe.image, room.render(second, BIG)[0]))
    found = pose_against(ORB, b.features, BIG, a.features, lift(a.xy, keyframe.depth_m, BIG))
    assert found is not None
    expected = np.linalg.inv(second) @ first
    np.testing.assert_allclose(found.T_query_keyframe, expected, atol=0.015)
    assert found.inliers > 50
    assert found.rms_px < 2.0
    assert spread(found.query_pixels, BIG) >= 9
    grey = to_grey(room.render(second, BIG)[0])
    assert agreement(keyframe, grey, BIG, expected) > 0.9
    gained = np.clip(0.6 * grey.astype(float) + 20, 0, 255).astype(np.uint8)
    assert agreement(keyframe, gained, BIG, expected) > 0.9  # exposure does not matter
    assert agreement(keyframe, grey, BIG, np.linalg.inv(look(0.5, 0, 0, 10))) < 0.6
    assert agreement(keyframe, grey, BIG, look(0, 0, 0, 180)) == 0.0


def test_new_places_are_located(room: BoxRoom, relocaliser: Relocaliser) -> None:
    hits = 0
    for k, T in enumerate(walk(12)):
        offset = look(0.1, -0.05, 0.1, 6.0, 2.0)
        image = to_grey(room.render(T @ offset, BIG)[0])
        found = relocaliser.locate(image, BIG)
        if found is None:
            continue
        id, T_keyframe_frame, inliers = found
        T_found = relocaliser.index.keyframes[id].T_world_cam @ T_keyframe_frame
        assert np.linalg.norm(T_found[:3, 3] - (T @ offset)[:3, 3]) < 0.05, k
        assert inliers >= 25
        hits += 1
    assert hits >= 11


def test_another_room_is_not_recognised(relocaliser: Relocaliser) -> None:
    other = BoxRoom(7)
    for T in walk(12):
        assert relocaliser.locate(to_grey(other.render(T, BIG)[0]), BIG) is None


def test_noise_dark_and_blank_images_are_nowhere(relocaliser: Relocaliser) -> None:
    generator = np.random.default_rng(0)
    for image in (
        np.zeros((240, 320), np.uint8),
        np.full((240, 320), 255, np.uint8),
        generator.integers(0, 255, (240, 320)).astype(np.uint8),
    ):
        assert relocaliser.locate(image, BIG) is None


def test_moved_poster_does_not_move_the_camera(room: BoxRoom, relocaliser: Relocaliser) -> None:
    """A picture of the room that hangs in one corner of a foreign image gives PnP inliers but no pose."""
    small = cv2.resize(room.render(walk(12)[3], BIG)[0], (150, 112))
    image = np.random.default_rng(1).integers(90, 110, (240, 320, 3)).astype(np.uint8)
    image[10:122, 10:160] = small
    assert relocaliser.locate(to_grey(image), BIG) is None


def test_state_is_a_function_of_the_keyframes(room: BoxRoom, relocaliser: Relocaliser) -> None:
    again = Relocaliser()
    for k in sorted(relocaliser.index.keyframes, reverse=True):
        again.add(relocaliser.index.keyframes[k])
    image = to_grey(room.render(look(2.4, 1.3, 1.2, 20), BIG)[0])
    first, second = relocaliser.locate(image, BIG), again.locate(image, BIG)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])


def test_similar_ranks_the_neighbour_first(room: BoxRoom, relocaliser: Relocaliser) -> None:
    query = look_at(room.render(walk(12)[5] @ look(0.02, 0, 0.02, 1.0), BIG)[0], ORB)
    assert relocaliser.index.similar(query, 3)[0] == 5
    assert set(relocaliser.index.similar(query, 2, among=[1, 2])) == {1, 2}
    assert KeyframeIndex().similar(query, 3) == []


def test_wrong_images_are_named(relocaliser: Relocaliser) -> None:
    with pytest.raises(InputError, match="camera's size"):
        relocaliser.locate(np.zeros((100, 100), np.uint8), BIG)
    with pytest.raises(InputError, match="uint8"):
        relocaliser.locate(np.zeros((240, 320), np.float32), BIG)


@pytest.mark.parametrize("name", ["sift", "shi-tomasi+orb"])
def test_any_features_place_a_lost_camera(room: BoxRoom, relocaliser: Relocaliser, name: str) -> None:
    """A view near a keyframe is placed, another room is not, whatever finds and describes the points."""
    other = Relocaliser(KeyframeIndex(extractor(name)))
    for id in (4, 5, 6):
        other.add(relocaliser.index.keyframes[id])
    T = walk(12)[5] @ look(0.08, -0.03, 0.05, 4.0, 2.0)
    found = other.locate(room.render(T, BIG)[0], BIG)
    assert found is not None
    T_found = other.index.keyframes[found[0]].T_world_cam @ found[1]
    assert np.linalg.norm(T_found[:3, 3] - T[:3, 3]) < 0.05
    assert other.index.similar(other.index.look_at(room.render(T, BIG)[0]), 1) == [5]
    assert other.locate(BoxRoom(7).render(T, BIG)[0], BIG) is None


def test_a_source_that_does_not_describe_is_refused(room: BoxRoom) -> None:
    class Bare(SmallOrb):
        def features(self, image: torch.Tensor, count: int) -> Features:
            return replace(super().features(image, count), descriptors=None)

    index = KeyframeIndex(Bare())
    look_of_it = index.add(room.keyframe(0, walk(12)[0], BIG))
    with pytest.raises(InputError, match="describes"):
        index.similar(look_of_it, 1)
