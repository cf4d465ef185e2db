"""The pose graph: exact closure under Sim(3), refusal of false loops, drift halved, pieces joined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenewright.errors import InputError
from scenewright.slam.pose_graph import GraphOptions, PoseGraph, edge_information
from scenewright.slam.types import Edge

EXACT = GraphOptions(scale_sd=1e3, translation_floor=0.0, rotation_floor=1e-4, scale_floor=1e-4)


def transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, translation
    return T


def ring(count: int, radius: float = 3.0) -> list[np.ndarray]:
    """Cameras on a circle that look along it."""
    angles = 2 * np.pi * np.arange(count) / count
    return [
        transform(
            Rotation.from_euler("y", -a).as_matrix(), radius * np.array([np.cos(a), 0.1 * np.sin(3 * a), np.sin(a)])
        )
        for a in angles
    ]


def measure(truth: list[np.ndarray], scales: np.ndarray, i: int, j: int, kind: str = "odometry", **sd: float) -> Edge:
    """The noiseless edge between keyframes whose own units are `scales` metres."""
    T = np.linalg.inv(truth[i]) @ truth[j]
    T[:3, 3] /= scales[i]
    information = edge_information(sd.get("translation", 0.01), sd.get("rotation", 0.005), sd.get("scale", 0.02))
    return Edge(i, j, T, float(np.log(scales[j] / scales[i])), information, kind)


def noisy(edge: Edge, generator: np.random.Generator, translation: float, rotation: float) -> Edge:
    turn = Rotation.from_rotvec(generator.normal(0, rotation, 3)).as_matrix()
    T = edge.T_first_second @ transform(turn, generator.normal(0, translation, 3))
    return Edge(edge.first, edge.second, T, edge.log_scale, edge.information, edge.kind)


def chain(graph: PoseGraph, edges: list[Edge], start: np.ndarray) -> list[np.ndarray]:
    """Dead reckoning along consecutive edges; fills the graph and returns the guesses."""
    poses = [start]
    graph.add_keyframe(0, start)
    for edge in edges:
        poses.append(poses[-1] @ edge.T_first_second)
        graph.add_keyframe(edge.second, poses[-1])
        graph.add_edge(edge)
    return poses


def drifting_square(similarity: bool) -> float:
    """Close a square of four keyframes whose scale drifts by 5 % per side; the largest position error in units of the
    first keyframe (the common scale is the priors' affair)."""
    truth = [
        transform(Rotation.from_euler("y", -90 * k, degrees=True).as_matrix(), p)
        for k, p in enumerate(np.array([[0, 0, 0], [2, 0, 0], [2, 0, 2], [0, 0, 2.0]]))
    ]
    scales = 1.05 ** np.arange(4)
    options = EXACT if similarity else GraphOptions(False, translation_floor=0.0, rotation_floor=1e-4)
    graph = PoseGraph(options)
    chain(graph, [measure(truth, scales, k, k + 1) for k in range(3)], truth[0])
    graph.add_edge(measure(truth, scales, 3, 0, "loop"), trusted=True)
    found = graph.optimise()
    unit = np.exp(found[0][1])
    return max(float(np.linalg.norm(found[k][0][:3, 3] / unit - truth[k][:3, 3])) for k in range(4))


def test_square_with_scale_drift_closes_under_sim3_only() -> None:
    assert drifting_square(similarity=True) < 1e-6
    assert drifting_square(similarity=False) > 0.02


def test_scales_are_recovered() -> None:
    truth, scales = ring(8), np.exp(np.linspace(0.0, 0.3, 8))
    graph = PoseGraph(EXACT)
    chain(graph, [measure(truth, scales, k, k + 1) for k in range(7)], truth[0])
    graph.add_edge(measure(truth, scales, 7, 0, "loop"), trusted=True)
    found = graph.optimise()
    logs = np.array([found[k][1] for k in range(8)])
    np.testing.assert_allclose(logs - logs[0], np.log(scales / scales[0]), atol=1e-6)


def test_scale_prior_of_many_keyframes_beats_a_bad_first_one() -> None:
    """One keyframe 10 % off among ten: the graph puts the common scale near the others' (sheet J3)."""
    truth, scales = ring(10), np.full(10, 1.0)
    scales[0] = np.exp(-0.1)  # the edges know that keyframe 0's unit is smaller than everybody else's
    graph = PoseGraph(GraphOptions(scale_floor=1e-4, translation_floor=0.0))
    chain(graph, [measure(truth, scales, k, k + 1, scale=1e-3) for k in range(9)], truth[0])
    found = graph.optimise()
    assert found[0][1] == pytest.approx(-0.09, abs=0.005)  # the mean of ten zero priors: (9 * 0 + -0.1) / 10 above
    assert found[5][1] == pytest.approx(0.01, abs=0.005)


def test_drifted_loop_is_at_least_halved() -> None:
    generator = np.random.default_rng(3)
    truth, ones = ring(60), np.ones(60)
    edges = [noisy(measure(truth, ones, k, k + 1), generator, 0.01, 0.005) for k in range(59)]
    graph = PoseGraph()
    guesses = chain(graph, edges, truth[0])
    before = np.mean([np.linalg.norm(g[:3, 3] - t[:3, 3]) for g, t in zip(guesses, truth)])
    revisit_before = np.linalg.norm(guesses[-1][:3, 3] - truth[-1][:3, 3])
    graph.add_edge(noisy(measure(truth, ones, 59, 0, "loop"), generator, 0.005, 0.002))
    found = graph.optimise()
    after = np.mean([np.linalg.norm(found[k][0][:3, 3] - truth[k][:3, 3]) for k in range(60)])
    assert not graph.rejected
    assert np.linalg.norm(found[59][0][:3, 3] - truth[-1][:3, 3]) < revisit_before / 2
    assert after < 0.7 * before


@pytest.mark.parametrize("similarity", [True, False])
def test_false_loop_is_refused_and_true_one_kept(similarity: bool) -> None:
    generator = np.random.default_rng(5)
    truth, ones = ring(40), np.ones(40)
    graph = PoseGraph(GraphOptions(similarity))
    chain(graph, [noisy(measure(truth, ones, k, k + 1), generator, 0.01, 0.005) for k in range(39)], truth[0])
    honest = graph.optimise()
    lie = Edge(5, 25, np.eye(4), 0.0, edge_information(0.02, 0.01, 0.05), "loop")  # "the far side is the same place"
    graph.add_edge(lie)
    after = graph.optimise()
    assert graph.rejected == [lie]
    for k in range(40):
        np.testing.assert_allclose(after[k][0], honest[k][0], atol=1e-4)
    graph.add_edge(noisy(measure(truth, ones, 39, 0, "loop"), generator, 0.01, 0.005))
    graph.optimise()
    assert graph.rejected == [lie]
    assert [e.kind for e in graph.edges].count("loop") == 1


def test_true_loops_are_rarely_refused() -> None:
    """Over 40 seeds of honest noise the chi2 gate at 99.9 % refuses at most one true loop."""
    refused = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        truth, ones = ring(20), np.ones(20)
        graph = PoseGraph(GraphOptions(translation_floor=0.0, rotation_floor=1e-5, scale_floor=1e-5))
        edges = [measure(truth, ones, k, k + 1, translation=0.02, rotation=0.01) for k in range(19)]
        chain(graph, [noisy(e, generator, 0.02, 0.01) for e in edges], truth[0])
        loop = measure(truth, ones, 19, 0, "loop", translation=0.02, rotation=0.01)
        graph.add_edge(noisy(loop, generator, 0.02, 0.01))
        graph.optimise()
        refused += len(graph.rejected)
    assert refused <= 1


def test_relocalisation_joins_two_pieces() -> None:
    truth, ones = ring(12), np.ones(12)
    graph = PoseGraph(EXACT)
    elsewhere = transform(Rotation.from_euler("xyz", [0.5, -1.0, 2.0]).as_matrix(), np.array([9.0, -4.0, 7.0]))
    for k in range(12):
        graph.add_keyframe(k, truth[k] if k < 6 else elsewhere @ truth[k])
    for k in [*range(5), *range(6, 11)]:
        graph.add_edge(measure(truth, ones, k, k + 1))
    apart = graph.optimise()
    np.testing.assert_allclose(apart[9][0], elsewhere @ truth[9], atol=1e-6)  # each piece keeps its own anchor
    graph.add_edge(measure(truth, ones, 8, 2, "relocalisation"))
    joined = graph.optimise()
    for k in range(12):
        np.testing.assert_allclose(joined[k][0], truth[k], atol=1e-5)


def test_a_loop_over_two_hundred_keyframes_lowers_the_drift() -> None:
    generator = np.random.default_rng(0)
    truth, ones = ring(200), np.ones(200)
    graph = PoseGraph()
    chain(graph, [noisy(measure(truth, ones, k, k + 1), generator, 0.005, 0.002) for k in range(199)], truth[0])

    def error() -> float:
        found = graph.optimise()
        return float(np.linalg.norm([found[k][0][:3, 3] - truth[k][:3, 3] for k in range(200)]))

    before = error()
    graph.add_edge(noisy(measure(truth, ones, 199, 0, "loop"), generator, 0.005, 0.002))
    assert error() < before / 2


def test_empty_graph_and_anchor() -> None:
    graph = PoseGraph()
    assert graph.optimise() == {}
    start = ring(3)[1]
    graph.add_keyframe(7, start)
    np.testing.assert_allclose(graph.optimise()[7][0], start, atol=1e-9)


def test_bad_input_is_named() -> None:
    graph = PoseGraph()
    graph.add_keyframe(0, np.eye(4))
    with pytest.raises(InputError, match="keyframe id"):
        graph.add_keyframe(0, np.eye(4))
    with pytest.raises(InputError, match="rigid"):
        graph.add_keyframe(1, np.diag([2.0, 1, 1, 1]))
    graph.add_keyframe(1, np.eye(4))
    good = edge_information(0.1, 0.1, 0.1)
    with pytest.raises(InputError, match="different keyframes"):
        graph.add_edge(Edge(0, 9, np.eye(4), 0.0, good, "odometry"))
    with pytest.raises(InputError, match="different keyframes"):
        graph.add_edge(Edge(1, 1, np.eye(4), 0.0, good, "odometry"))
    with pytest.raises(InputError, match="eigenvalue"):
        graph.add_edge(Edge(0, 1, np.eye(4), 0.0, -good, "odometry"))
    with pytest.raises(InputError, match="finite"):
        graph.add_edge(Edge(0, 1, np.full((4, 4), np.nan), 0.0, good, "odometry"))
    with pytest.raises(InputError, match="information"):
        graph.add_edge(Edge(0, 1, np.eye(4), 0.0, np.eye(6), "odometry"))
    with pytest.raises(InputError, match="positive"):
        edge_information(0.0, 1.0, 1.0)


def test_singular_information_is_accepted() -> None:
    """An edge that knows nothing of scale leaves scale to the priors."""
    graph = PoseGraph()
    graph.add_keyframe(0, np.eye(4))
    graph.add_keyframe(1, np.eye(4))
    information = edge_information(0.01, 0.01, 1.0)
    information[6, 6] = 0.0
    graph.add_edge(Edge(0, 1, transform(np.eye(3), np.array([0.0, 0, 1])), 0.5, information, "odometry"))
    found = graph.optimise()
    assert found[1][1] == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_allclose(found[1][0][:3, 3], [0, 0, 1], atol=1e-3)
