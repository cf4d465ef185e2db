"""Figures of a reconstruction against closed forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from scenewright.data.meshes import TriangleMesh
from scenewright.data.sequence import Frame
from scenewright.geometry.camera import Camera
from scenewright.pipelines import measure
from scenewright.scene.records import SceneFigure
from scenewright.slam.lens import Lens
from scenewright.slam.types import FrameResult, Keyframe, Reconstruction, Status

CAMERA = Camera.from_fov(8, 6, 60.0)


def pose(x: float, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def frame(index: int, T: np.ndarray | None, milliseconds: float = 10.0) -> FrameResult:
    status = Status.OK if T is not None else Status.LOST
    return FrameResult(index, index / 10, status, T, 0 if T is not None else -1, 1.0, 0.9, milliseconds)


def keyframe(index: int, depth_m: np.ndarray, network_m: np.ndarray, observed: np.ndarray) -> Keyframe:
    image = np.zeros((*CAMERA.size, 3), np.uint8)
    return Keyframe(0, index, 0.0, image, CAMERA, depth_m, depth_m * 0.01, network_m, observed, np.eye(4))


class Truths:
    """A sequence of depth maps."""

    def __init__(self, depths: list[np.ndarray | None]) -> None:
        self.depths = depths

    def frames_from(self, position: int) -> Iterator[Frame]:
        for index, depth in enumerate(self.depths[position:], position):
            yield Frame(index, 0.0, np.zeros((*CAMERA.size, 3), np.uint8), depth)


def by_name(rows: list[SceneFigure]) -> dict[str, float]:
    found = {row.name: row.value for row in rows}
    assert len(found) == len(rows), "every name once"
    return found  # type: ignore[return-value]


def test_what_a_run_says_about_itself() -> None:
    frames = [frame(0, pose(0), 5), frame(1, pose(3), 20), frame(2, None, 50), frame(3, pose(3, 4), 20)]
    found = by_name(measure.run_figures(Reconstruction(frames, [], [], "metric", 1.0, 2), 12.5, 9.0))
    assert (found["frames"], found["posed"], found["lost"], found["segments"], found["keyframes"]) == (4, 3, 1, 2, 0)
    assert found["path_m"] == pytest.approx(7.0)
    assert found["fps"] == pytest.approx(4 / 0.095)
    assert found["fps_median"] == pytest.approx(1000 / 20)
    assert (found["seconds"], found["compile_s"]) == (12.5, 9.0)
    assert 10 < found["peak_memory_mb"] < 100_000


def test_a_run_without_a_pose_has_figures_too() -> None:
    found = by_name(measure.run_figures(Reconstruction([frame(0, None)], [], [], "unknown", 1.0, 1), 1.0, 0.0))
    assert (found["posed"], found["lost"], found["path_m"]) == (0, 1, 0)


SQUARE = [pose(0), pose(2), pose(2, 2), pose(0, 2)]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_a_path_of_wrong_size_is_right_up_to_scale(factor: float) -> None:
    """The best rigid fit leaves |factor - 1| times the distance from the centre, sqrt 2 for a square of side 2."""
    frames = [frame(i, pose(*(factor * T[:3, 3]))) for i, T in enumerate(SQUARE)]
    found = by_name(measure.trajectory_rows(frames, dict(enumerate(SQUARE))))
    assert found["ate_sim3_m"] == pytest.approx(0, abs=1e-9)
    assert found["ate_se3_m"] == pytest.approx(abs(factor - 1) * 2**0.5, abs=1e-9)
    assert found["scale_ratio"] == pytest.approx(factor)
    assert found["true_path_m"] == pytest.approx(6.0)


def test_only_frames_with_both_poses_count() -> None:
    frames = [*(frame(i, T) for i, T in enumerate(SQUARE)), frame(4, None), frame(5, pose(99))]
    truth = {**dict(enumerate(SQUARE)), 4: pose(7), 6: pose(8)}
    times, estimated, true = measure.pairs_with_truth(frames, truth)
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(estimated, true)
    assert by_name(measure.trajectory_rows(frames, truth))["ate_se3_m"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_poses_are_too_few_to_compare(count: int) -> None:
    frames = [frame(i, T) for i, T in enumerate(SQUARE)]
    truth = dict(list(enumerate(SQUARE))[:count])
    assert measure.trajectory_rows(frames, truth) == []
    assert measure.aligned_truth(frames, truth) is None


def test_truth_is_brought_into_the_reconstructions_world() -> None:
    turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 2], [0, 0, 0, 1]])
    frames = [frame(i, T) for i, T in enumerate(SQUARE)]
    times, poses = measure.aligned_truth(frames, {i: turn @ T for i, T in enumerate(SQUARE)}) or ([], [])
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(poses, SQUARE, atol=1e-9)


def test_shares_of_depth_within_ten_percent() -> None:
    truth = np.full(CAMERA.size, 4.0, np.float32)
    truth[0] = 0  # a sixth of the pixels has no truth and counts nowhere
    depth = truth * np.float32(1.05)
    depth[1] = 0  # a fifth of the rest has no estimate and counts as wrong
    observed = np.zeros(CAMERA.size, np.uint16)
    observed[2:4] = 3
    found = by_name(
        measure.depth_rows([keyframe(7, depth, truth * np.float32(1.2), observed)], Truths([None, truth]), {7: 1})
    )
    assert found["pcd10_raw"] == pytest.approx(80)
    assert found["pcd10_scaled"] == pytest.approx(80)
    assert found["pcd10_raw_network"] == pytest.approx(0)
    assert found["pcd10_scaled_network"] == pytest.approx(100)
    assert found["pcd10_raw_stereo"] == pytest.approx(40)
    assert found["pcd10_raw_constant"] == pytest.approx(0)
    assert found["pcd10_scaled_constant"] == pytest.approx(100)


def test_one_factor_serves_the_whole_clip() -> None:
    """Two keyframes whose scales differ by 1.5 cannot both be right after one factor."""
    truth = np.full(CAMERA.size, 2.0, np.float32)
    observed = np.ones(CAMERA.size, np.uint16)
    frames = [keyframe(i, truth * np.float32(f), truth, observed) for i, f in ((0, 1.0), (1, 1.5), (2, 1.5))]
    found = by_name(measure.depth_rows(frames, Truths([truth] * 3), {0: 0, 1: 1, 2: 2}))
    assert found["pcd10_raw"] == pytest.approx(100 / 3)
    assert found["pcd10_scaled"] == pytest.approx(200 / 3)


def test_truth_of_another_size_is_read_at_the_nearest_pixel() -> None:
    truth = np.full((12, 16), 2.0, np.float32)
    truth[:6] = 0
    depth = np.full(CAMERA.size, 2.0, np.float32)
    depth[:3] = 9  # would be wrong, but has no truth
    rows = measure.depth_rows([keyframe(0, depth, depth, np.ones(CAMERA.size, np.uint16))], Truths([truth]), {0: 0})
    assert by_name(rows)["pcd10_raw"] == pytest.approx(100)


def test_truth_is_straightened_as_the_keyframes_were() -> None:
    truth = np.full(CAMERA.size, 2.0, np.float32)
    truth[:, : CAMERA.width // 6] = 9.0
    straight = Lens(CAMERA, 0.6).values(truth)
    frame = keyframe(0, straight, straight, np.ones(CAMERA.size, np.uint16))
    bent, lost = (measure.depth_rows([frame], Truths([truth]), {0: 0}, k1) for k1 in (0.6, 0.0))
    assert by_name(bent)["pcd10_raw"] == pytest.approx(100)
    assert by_name(lost)["pcd10_raw"] < 100


def test_stereo_that_saw_nothing_has_no_row() -> None:
    truth = np.full(CAMERA.size, 2.0, np.float32)
    blind = keyframe(0, truth, truth, np.zeros(CAMERA.size, np.uint16))
    names = by_name(measure.depth_rows([blind], Truths([truth]), {0: 0}))
    assert not any("stereo" in name for name in names)
    assert "pcd10_raw_network" in names


def test_sources_without_true_depth_have_no_depth_rows() -> None:
    depth = np.ones(CAMERA.size, np.float32)
    frames = [keyframe(0, depth, depth, np.ones(CAMERA.size, np.uint16))]
    assert measure.depth_rows(frames, Truths([None]), {0: 0}) == []
    assert measure.depth_rows(frames, Truths([np.zeros(CAMERA.size, np.float32)]), {0: 0}) == []
    assert measure.depth_rows([], Truths([]), {}) == []


def test_every_comparison_states_its_protocol() -> None:
    truth = np.full(CAMERA.size, 2.0, np.float32)
    frames = [keyframe(0, truth, truth, np.ones(CAMERA.size, np.uint16))]
    rows = measure.depth_rows(frames, Truths([truth]), {0: 0})
    rows += measure.trajectory_rows([frame(i, T) for i, T in enumerate(SQUARE)], dict(enumerate(SQUARE)))
    assert all(row.protocol and row.group for row in rows)
    assert replace(rows[0]) == rows[0]


def test_the_mesh_against_a_depth_camera() -> None:
    """A wall at 2 m, reconstructed half as large by cameras half as far apart, is right after alignment."""
    camera = Camera.from_fov(80, 60, 60.0)
    depth = np.full(camera.size, 2.0, np.float32)

    class Walls(Truths):
        @property
        def camera(self) -> Camera:
            return camera

    truth = {n: pose(x, y) for n, (x, y) in enumerate([(0, 0), (0.4, 0), (0.4, 0.3), (0, 0.3)])}
    frames = [frame(n, pose(*(0.5 * T[:3, 3]))) for n, T in truth.items()]
    image, seen = np.zeros((*camera.size, 3), np.uint8), np.zeros(camera.size, np.uint16)
    keyframes = [
        Keyframe(n, n, 0.0, image, camera, depth / 2, depth, depth, seen, pose(*(0.5 * T[:3, 3])))
        for n, T in truth.items()
    ]
    corners = 0.5 * np.array([[-0.9, -0.6, 2], [1.3, -0.6, 2], [1.3, 0.9, 2], [-0.9, 0.9, 2]], np.float32)
    mesh = TriangleMesh(corners.astype(np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32), None, None)
    run = Reconstruction(frames, keyframes, [], "metric", 1.0, 1)
    positions = {n: n for n in truth}
    rows = by_name(measure.mesh_rows(mesh, run, Walls([depth] * 4), positions, truth))  # type: ignore[arg-type]
    assert rows["mesh_precision10"] == 100
    assert rows["mesh_recall10"] > 75
    assert rows["mesh_accuracy_m"] < 0.02
    assert not measure.mesh_rows(mesh, run, Walls([None] * 4), positions, truth)  # type: ignore[arg-type]
    assert not measure.mesh_rows(mesh, run, Walls([depth] * 4), positions, {})  # type: ignore[arg-type]
