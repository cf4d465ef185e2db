"""Loop closure: true loops found with pose and scale, false ones refused, in time; and the drift they remove."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenewright.features.extract import extractor
from scenewright.geometry.camera import Camera
from scenewright.slam.features import KeyframeIndex, inverse
from scenewright.slam.loops import LoopCloser, LoopOptions, graph_distances
from scenewright.slam.pose_graph import PoseGraph, edge_information
from scenewright.slam.types import Edge, Keyframe
from slam_room import BoxRoom, look, walk

BIG = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)
COUNT = 24


def odometry(first: int, second: int, T: np.ndarray | None = None) -> Edge:
    return Edge(first, second, np.eye(4) if T is None else T, 0.0, edge_information(0.02, 0.01, 0.05), "odometry")


@pytest.fixture(scope="module")
def keyframes() -> list[Keyframe]:
    """A closed walk and a return to its start, a little beside it."""
    room = BoxRoom(0)
    path = [*walk(COUNT), walk(COUNT)[0] @ look(0.1, 0.03, 0.08, 5, 2)]
    return [room.keyframe(k, T, BIG) for k, T in enumerate(path)]


@pytest.fixture(scope="module")
def closer(keyframes: list[Keyframe]) -> LoopCloser:
    closer = LoopCloser()
    for keyframe in keyframes:
        closer.add(keyframe)
    return closer


CHAIN = [odometry(k, k + 1) for k in range(COUNT)]


def test_graph_distances() -> None:
    edges = [odometry(0, 1), odometry(1, 2), odometry(2, 3), odometry(3, 0), odometry(7, 8)]
    assert graph_distances(0, edges) == {0: 0, 1: 1, 3: 1, 2: 2}
    assert graph_distances(5, edges) == {5: 0}


def test_return_to_the_start_is_a_loop_with_the_true_pose(keyframes: list[Keyframe], closer: LoopCloser) -> None:
    edges = closer.close(keyframes[-1], CHAIN)
    loops = [e for e in edges if e.kind == "loop"]
    assert 0 in {e.first for e in loops}
    for e in edges:
        expected = inverse(keyframes[e.first].T_world_cam) @ keyframes[e.second].T_world_cam
        assert np.linalg.norm(e.T_first_second[:3, 3] - expected[:3, 3]) < 0.03
        assert Rotation.from_matrix(e.T_first_second[:3, :3].T @ expected[:3, :3]).magnitude() < 0.015
        assert abs(e.log_scale) < 0.03
        assert np.linalg.eigvalsh(e.information)[0] > 0


def test_scale_of_the_second_keyframe_is_measured(keyframes: list[Keyframe]) -> None:
    """Its depths are 20 % too small: they must be multiplied by 1.25 to agree, and the pose is in first's units."""
    small = (0.8 * keyframes[-1].depth_m).astype(np.float32)
    closer = LoopCloser()
    closer.add(keyframes[0])
    closer.add(replace(keyframes[-1], depth_m=small))
    edge = closer.verify(0, COUNT)
    assert edge is not None
    assert edge.log_scale == pytest.approx(np.log(1.25), abs=0.02)
    expected = inverse(keyframes[0].T_world_cam) @ keyframes[-1].T_world_cam
    np.testing.assert_allclose(edge.T_first_second[:3, 3], expected[:3, 3], atol=0.03)


def test_drifted_poses_still_find_it_by_looks(keyframes: list[Keyframe], closer: LoopCloser) -> None:
    drifted = replace(keyframes[-1], T_world_cam=look(3, 0, 3, 120) @ keyframes[-1].T_world_cam)
    fresh = LoopCloser(KeyframeIndex())
    for keyframe in keyframes[:-1]:
        fresh.add(keyframe)
    assert 0 in {e.first for e in fresh.close(drifted, CHAIN)}


def test_direct_neighbours_and_later_keyframes_are_left_out(keyframes: list[Keyframe], closer: LoopCloser) -> None:
    hops = graph_distances(10, CHAIN)
    candidates = closer.candidates(keyframes[10], hops)
    assert not {9, 10, 11} & set(candidates)
    assert all(id < 10 for id in candidates)
    assert len(candidates) <= LoopOptions().near + LoopOptions().alike
    near = closer.verify(8, 10, hops=2)
    assert near is None or near.kind == "near"


def test_another_room_closes_nothing(closer: LoopCloser) -> None:
    other = BoxRoom(3)
    for k, T in enumerate(walk(6)):
        stranger = other.keyframe(100 + k, T, BIG)
        fresh = LoopCloser(KeyframeIndex())
        for keyframe in closer.index.keyframes.values():
            fresh.add(keyframe)
        assert fresh.close(stranger, CHAIN) == []


def test_wrong_depth_of_one_side_is_refused(keyframes: list[Keyframe]) -> None:
    """Depth that is a mirrored ramp poses the other view elsewhere than it poses itself."""
    ramp = np.linspace(0.5, 6.0, 320, dtype=np.float32)[None].repeat(240, 0)
    closer = LoopCloser()
    closer.add(keyframes[0])
    closer.add(replace(keyframes[-1], depth_m=ramp))
    assert closer.verify(0, COUNT) is None


def test_loops_remove_drift(keyframes: list[Keyframe]) -> None:
    """Odometry with noise, loops measured from the pictures: the revisit error falls to less than half."""
    generator = np.random.default_rng(2)
    graph, closer = PoseGraph(), LoopCloser()
    T = keyframes[0].T_world_cam
    graph.add_keyframe(0, T)
    closer.add(keyframes[0])
    for k in range(1, len(keyframes)):
        true = inverse(keyframes[k - 1].T_world_cam) @ keyframes[k].T_world_cam
        noise = np.eye(4)
        noise[:3, :3] = Rotation.from_rotvec(generator.normal(0, 0.012, 3)).as_matrix()
        noise[:3, 3] = generator.normal(0, 0.02, 3)
        T = T @ true @ noise
        graph.add_keyframe(k, T)
        graph.add_edge(odometry(k - 1, k, true @ noise))
        edges = closer.close(replace(keyframes[k], T_world_cam=T), graph.edges)
        for edge in edges:
            graph.add_edge(edge)
    before = np.linalg.norm(T[:3, 3] - keyframes[-1].T_world_cam[:3, 3])
    found = graph.optimise()
    after = np.linalg.norm(found[len(keyframes) - 1][0][:3, 3] - keyframes[-1].T_world_cam[:3, 3])
    assert after < before / 2
    assert any(e.kind == "loop" for e in graph.edges)


def test_sift_closes_the_loop_too(keyframes: list[Keyframe]) -> None:
    closer = LoopCloser(KeyframeIndex(extractor("sift")))
    for k in (0, 6, 12, 18):
        closer.add(keyframes[k])
    edges = {e.first: e for e in closer.close(keyframes[-1], CHAIN)}
    assert 0 in edges
    expected = inverse(keyframes[0].T_world_cam) @ keyframes[-1].T_world_cam
    np.testing.assert_allclose(edges[0].T_first_second[:3, 3], expected[:3, 3], atol=0.03)
