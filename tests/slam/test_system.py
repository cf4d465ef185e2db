"""CnnSlam end to end on a ray-cast room: accuracy, determinism, saving, failure, and both sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from scenewright.data.sequence import Frame
from scenewright.depth.task import DepthPrediction
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.pipelines.sources import choose_features
from scenewright.slam import adjusting, state
from scenewright.slam.config import KeyframeConfig, OdometryConfig, RecoveryConfig, SlamConfig
from scenewright.slam.corner_map import CornerMap
from scenewright.slam.evaluate import trajectory_figures
from scenewright.slam.lens import Lens
from scenewright.slam.odometry import Odometry
from scenewright.slam.relocalise import Relocaliser
from scenewright.slam.sources import GivenPoses, MethodDepth, SensorDepth, Worker
from scenewright.slam.system import CnnSlam
from scenewright.slam.types import NetworkDepth, Reconstruction, Status
from slam_room import CAMERA, BoxRoom, look

COUNT = 44


class NoisyDepth:
    """True depth times a smooth log-normal error that belongs to the frame, as a network's would."""

    scale = "metric"

    def __init__(self, depths: dict[int, np.ndarray], shape: float = 0.1, scale: float = 0.05) -> None:
        self._depths, self._shape, self._scale = depths, shape, scale

    def __call__(self, index: int, image: np.ndarray, camera: Camera) -> NetworkDepth:
        rng = np.random.default_rng(index)
        coarse = rng.standard_normal((4, 5)).astype(np.float32)
        error = cv2.resize(coarse, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC) * self._shape
        error += np.float32(rng.standard_normal() * self._scale)
        return NetworkDepth((self._depths[index] * np.exp(error)).astype(np.float32))


def path(count: int) -> list[np.ndarray]:
    """A sideways sweep through the room that turns: 2.5 cm and 0.6 degrees a frame."""
    t = np.arange(count)
    return [look(1.6 + 0.025 * n, 1.3 - 0.003 * n, 0.9 + 0.01 * np.sin(n / 6), -8 + 0.6 * n, 2) for n in t]


@pytest.fixture(scope="module")
def clip() -> tuple[list[Frame], dict[int, np.ndarray]]:
    room, frames, depths = BoxRoom(0), [], {}
    for n, T in enumerate(path(COUNT)):
        picture, depth, _ = room.render(T)
        frames.append(Frame(n, n / 15, picture, depth, T))
        depths[n] = depth
    return frames, depths


def run(frames: list[Frame], slam: CnnSlam) -> Reconstruction:
    for frame in frames:
        slam.push(frame)
    return slam.finish()


def trajectories(result: Reconstruction, frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(r.T_world_cam, f.T_world_cam) for r, f in zip(result.frames, frames) if r.T_world_cam is not None]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def latency(frames: int) -> SlamConfig:
    return SlamConfig(keyframes=KeyframeConfig(latency=frames))


def same(a: Reconstruction, b: Reconstruction) -> None:
    """Byte for byte, but for the milliseconds."""
    assert [replace(f, T_world_cam=None, milliseconds=0) for f in a.frames] == [
        replace(f, T_world_cam=None, milliseconds=0) for f in b.frames
    ]
    for x, y in zip(a.frames, b.frames):
        assert (x.T_world_cam is None) == (y.T_world_cam is None)
        if x.T_world_cam is not None:
            assert x.T_world_cam.tobytes() == y.T_world_cam.tobytes()
    assert len(a.keyframes) == len(b.keyframes)
    for j, k in zip(a.keyframes, b.keyframes):
        assert all(
            getattr(j, n).tobytes() == getattr(k, n).tobytes()
            for n in ("depth_m", "variance", "observed", "T_world_cam")
        )
    assert a.scale_factor == b.scale_factor


@pytest.fixture(scope="module")
def plain(clip: tuple[list[Frame], dict[int, np.ndarray]]) -> Reconstruction:
    frames, depths = clip
    return run(frames, CnnSlam(CAMERA, NoisyDepth(depths)))


def test_path_depth_and_scale(clip: tuple, plain: Reconstruction) -> None:
    frames, depths = clip
    assert all(f.status is Status.OK for f in plain.frames)
    assert plain.segments == 1
    assert plain.scale == "metric"
    estimated, truth = trajectories(plain, frames)
    figures = trajectory_figures(estimated, truth)
    assert figures.ate_sim3 < 0.01 * figures.path_m
    assert abs(np.log(figures.scale_ratio)) < 0.1
    inside = {"network": [], "fused": []}
    for k in plain.keyframes:
        for name, depth in (("network", k.depth_network_m), ("fused", k.depth_m)):
            inside[name].append(np.abs(depth / figures.scale_ratio / depths[k.index] - 1) < 0.1)
    assert np.mean(inside["fused"]) > np.mean(inside["network"])


def test_the_graph_that_has_the_last_word_measures_its_edges_anew(clip: tuple) -> None:
    """Edges of before the adjustment may say anything: poses and loops of after it count."""
    frames, depths = clip
    slam = CnnSlam(CAMERA, NoisyDepth(depths))
    for frame in frames:
        slam.push(frame)
    before = [k.T_world_cam.copy() for k in slam.map.keyframes]
    assert any(edge.kind == "near" for edge in slam.map.edges)
    wild = np.eye(4)
    wild[0, 3] = 1.0
    slam.map.edges = [replace(edge, T_first_second=wild) for edge in slam.map.edges]
    slam.map.settle()
    moved = [np.linalg.norm(k.T_world_cam[:3, 3] - T[:3, 3]) for k, T in zip(slam.map.keyframes, before)]
    assert 0 < max(moved) < 0.1


def test_keyframes_see_through_the_lens_that_the_map_found(
    clip: tuple, plain: Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, depths = clip
    monkeypatch.setattr(adjusting, "adjust_all", lambda sparse, config: 0.9)
    result = run(frames, CnnSlam(CAMERA, NoisyDepth(depths)))
    assert (result.focal_factor, plain.focal_factor) == (0.9, 1.0)
    for k, other in zip(result.keyframes, plain.keyframes, strict=True):
        assert k.camera.numbers == pytest.approx(CAMERA.zoom(0.9).numbers)
        np.testing.assert_allclose(k.depth_network_m, 0.9 * other.depth_network_m, rtol=1e-5)
    sensed = run(frames, CnnSlam(CAMERA, SensorDepth(depths.__getitem__)))
    np.testing.assert_allclose(sensed.keyframes[0].depth_network_m, depths[0], rtol=1e-5)  # which knows no lens


def test_keyframes_are_straightened_where_the_map_shows_that_the_lens_bends(
    clip: tuple, plain: Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, depths = clip

    def found(sparse: CornerMap, config: OdometryConfig) -> float:
        sparse.distortion = -0.1
        return 1.0

    monkeypatch.setattr(adjusting, "adjust_all", found)
    slam = CnnSlam(CAMERA, NoisyDepth(depths))
    result = run(frames, slam)
    assert (result.distortion, plain.distortion) == (-0.1, 0.0)
    lens = Lens(CAMERA, -0.1)
    for k, other in zip(result.keyframes, plain.keyframes, strict=True):
        np.testing.assert_array_equal(k.image, lens.picture(other.image))
        assert k.depth_m.shape == CAMERA.size
    assert slam.map.relocaliser.index.keyframes[0] is result.keyframes[0], "and described again"


def test_a_lost_camera_does_not_go_on_by_looks_alone(clip: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without corners and without a place found again, a picture that the direct tracker would take stays lost."""
    frames, depths = clip
    slam = CnnSlam(CAMERA, NoisyDepth(depths))
    for frame in frames[:15]:
        slam.push(frame)
    monkeypatch.setattr(Odometry, "pose", lambda self, image, T, sd: None)
    monkeypatch.setattr(Relocaliser, "locate", lambda self, image, camera: None)
    assert slam.push(frames[15]).status is Status.OK  # at most for as long as nothing was missed
    blank = replace(frames[16], image=np.zeros_like(frames[16].image))
    assert [slam.push(f).status for f in (blank, frames[17], frames[18])] == [Status.LOST] * 3


def test_as_printed_also_tracks(clip: tuple) -> None:
    frames, depths = clip
    result = run(frames, CnnSlam(CAMERA, NoisyDepth(depths, 0.02, 0.01), SlamConfig.as_printed()))
    assert all(f.T_world_cam is not None for f in result.frames)
    figures = trajectory_figures(*trajectories(result, frames))
    assert figures.ate_sim3 < 0.03


@pytest.mark.parametrize("frames_late", [0, 2])
def test_saved_and_restored_ends_with_the_same_bytes(clip: tuple, plain: Reconstruction, frames_late: int) -> None:
    """Also: twice the same run is the same run, whichever way the network is awaited."""
    frames, depths = clip
    config = latency(frames_late)
    whole = plain if frames_late == 0 else run(frames, CnnSlam(CAMERA, NoisyDepth(depths), config))
    first = CnnSlam(CAMERA, NoisyDepth(depths), config)
    cut = 0
    for cut, frame in enumerate(frames, 1):
        first.push(frame)
        if cut >= 12 and (frames_late == 0 or "pending/facts" in first.state_arrays()):
            break
    arrays = {name: array.copy() for name, array in first.state_arrays().items()}
    assert all(isinstance(a, np.ndarray) and a.dtype != object for a in arrays.values())
    second = CnnSlam(CAMERA, NoisyDepth(depths), config)
    second.restore(arrays)
    same(whole, run(frames[cut:], second))


def test_restoring_into_a_used_map_or_from_rubbish_is_refused(clip: tuple) -> None:
    frames, depths = clip
    slam = CnnSlam(CAMERA, NoisyDepth(depths))
    slam.push(frames[0])
    with pytest.raises(InputError, match="fresh"):
        slam.restore(slam.state_arrays())
    with pytest.raises(FormatError, match="JSON"):
        state.read_text(np.array([1, 2, 255], np.uint8), "entries")


def test_wrong_frames_are_named(clip: tuple) -> None:
    frames, depths = clip
    slam = CnnSlam(CAMERA, NoisyDepth(depths))
    for bad in (frames[0].image[:50], frames[0].image.astype(np.float32)):
        with pytest.raises(InputError, match="frame 7"):
            slam.push(replace(frames[0], index=7, image=bad))


def test_black_frames_first_and_between(clip: tuple) -> None:
    """Nothing begins in the dark; a short gap is bridged; the track resumes."""
    frames, depths = clip
    dark = [replace(f, image=np.zeros_like(f.image)) if f.index in (0, 1, 20, 21) else f for f in frames[:32]]
    result = run(dark, CnnSlam(CAMERA, NoisyDepth(depths)))
    statuses = [f.status for f in result.frames]
    assert statuses[:3] == [Status.LOST, Status.LOST, Status.OK]
    assert statuses[20:22] == [Status.INTERPOLATED] * 2
    assert statuses[22] is Status.RELOCALISED
    assert result.segments == 1
    figures = trajectory_figures(*trajectories(result, dark))
    assert figures.ate_sim3 < 0.02


@pytest.mark.parametrize("enough", [{"new_segment_s": 0.2}, {"new_segment_s": 1e9}])
def test_a_jump_begins_a_new_piece_and_keeps_the_old(clip: tuple, enough: dict) -> None:
    """Lost in another room for some time, or for some frames at any speed: a second piece of map from the first picture
    that was missed, both there at the end.
    """
    frames, depths = clip
    other = BoxRoom(5)
    late, late_depths = [], dict(depths)
    for n, T in enumerate(path(16), 100):
        picture, depth, _ = other.render(T)
        late.append(Frame(n, 10 + n / 15, picture))
        late_depths[n] = depth
    frames_lost = (3, 99) if enough["new_segment_s"] < 1 else (99, 5)
    config = SlamConfig(recovery=RecoveryConfig(new_segment_frames=frames_lost, **enough))
    result = run([*frames[:14], *late], CnnSlam(CAMERA, NoisyDepth(late_depths), config))
    statuses = [f.status for f in result.frames]
    assert statuses[:14] == [Status.OK] * 14
    assert statuses[14] is Status.RELOCALISED
    assert statuses[15:] == [Status.OK] * 15
    assert result.segments == 2
    assert {k.segment for k in result.keyframes} == {0, 1}


@pytest.fixture(scope="module")
def both_sides() -> tuple[list[Frame], dict[int, np.ndarray]]:
    """A room filmed from its front, then from its back, looking down; nothing between."""
    room, frames, depths = BoxRoom(0), [], {}
    camera = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)
    front = [look(1.0 + 0.06 * n, 1.2, 0.5, 4 + 0.3 * n, -35) for n in range(24)]
    behind = [look(2.6 - 0.06 * n, 1.1, 3.6, 190 - 0.3 * n, -38) for n in range(24)]
    for n, T in enumerate([*front, *behind]):
        picture, depth, _ = room.render(T, camera)
        frames.append(Frame(n, n / 15, picture, depth, T))
        depths[n] = depth
    return frames, depths


def both_sides_slam(depths: dict[int, np.ndarray], features: str) -> CnnSlam:
    camera = Camera.from_parameters(320, 240, 260.0, 260.0, 159.5, 119.5)
    config = SlamConfig(recovery=RecoveryConfig(new_segment_frames=(5, 5)))
    return CnnSlam(camera, NoisyDepth(depths, 0.05), config, features=choose_features(features).source)


def test_a_film_with_a_hole_becomes_one_map(both_sides: tuple) -> None:
    """No pair of views across the hole is alike, but all together say how the two pieces lie to each other."""
    frames, depths = both_sides
    result = run(frames, both_sides_slam(depths, "sift"))
    assert all(f.T_world_cam is not None for f in result.frames)
    assert result.segments == 1
    assert result.edges[-1].kind == "relocalisation"
    assert trajectory_figures(*trajectories(result, frames)).ate_sim3 < 0.08


def test_saved_while_lost_ends_with_the_same_bytes(both_sides: tuple) -> None:
    """The pictures that wait to become a new piece of map are saved, too."""
    frames, depths = both_sides
    some = frames[16:32]
    first, second = (both_sides_slam(depths, "none") for _ in range(2))
    for frame in some[:11]:
        first.push(frame)
    second.restore({name: array.copy() for name, array in first.state_arrays().items()})
    whole = run(some, both_sides_slam(depths, "none"))
    assert {k.segment for k in whole.keyframes} == {0, 1}
    same(whole, run(some[11:], second))


def test_given_poses_take_the_trackers_place(clip: tuple) -> None:
    frames, depths = clip
    poses = {f.index: f.T_world_cam for f in frames if f.index not in (9, 10)}
    result = run(frames[:24], CnnSlam(CAMERA, NoisyDepth(depths, scale=0.3), pose_source=GivenPoses(poses)))
    for r, f in zip(result.frames, frames):
        if f.index in poses:
            np.testing.assert_allclose(r.T_world_cam, f.T_world_cam, atol=1e-9)
    assert [r.status for r in result.frames[8:12]][1:3] == [Status.INTERPOLATED] * 2
    assert result.scale_factor == 1.0
    last = result.keyframes[-1]
    assert abs(np.median(np.log(last.depth_m / depths[last.index]))) < 0.05  # the poses' scale, not the network's


def test_what_the_source_raises_comes_through(clip: tuple) -> None:
    frames, _ = clip

    class Broken:
        scale = "metric"

        def __call__(self, index: int, image: np.ndarray, camera: Camera) -> NetworkDepth:
            raise InputError("weights", "none", "some")

    with pytest.raises(InputError, match="weights"):
        CnnSlam(CAMERA, Broken()).push(frames[0])


def test_nothing_pushed_is_an_empty_map(clip: tuple) -> None:
    result = CnnSlam(CAMERA, NoisyDepth({})).finish()
    assert result.frames == result.keyframes == []


def test_frames_of_any_size_are_shrunk(clip: tuple) -> None:
    frames, _ = clip
    camera = CAMERA.resize(500, 375)
    image = cv2.resize(frames[0].image, (500, 375))
    seen = []

    def read(index: int) -> np.ndarray:
        seen.append(index)
        return np.full((375, 500), 2.0, np.float32)

    slam = CnnSlam(camera, SensorDepth(read))
    slam.push(replace(frames[0], image=image))
    keyframe = slam.finish().keyframes[0]
    assert keyframe.image.shape == (240, 320, 3)
    assert keyframe.depth_m.shape == (240, 320)
    assert seen == [0]


def test_labels_are_kept(clip: tuple) -> None:
    frames, depths = clip

    class Labelled(NoisyDepth):
        def __call__(self, index: int, image: np.ndarray, camera: Camera) -> NetworkDepth:
            probabilities = np.full((3, *camera.size), 0.1, np.float32)
            probabilities[1] = 0.8
            return replace(super().__call__(index, image, camera), label_probabilities=probabilities)

    slam = CnnSlam(CAMERA, Labelled(depths))
    slam.push(frames[0])
    fresh = CnnSlam(CAMERA, Labelled(depths))
    fresh.restore(slam.state_arrays())
    labels = fresh.finish().keyframes[0].label_log_probabilities
    assert labels is not None
    assert labels.dtype == np.float16
    assert (labels.argmax(0) == 1).all()


# ---- sources --------------------------------------------------------------------------------------------------------
class ConstantMethod:
    """Two metres everywhere, half a unit of doubt."""

    def predict(self, image: torch.Tensor, camera: Camera) -> DepthPrediction:
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
        depth = image.new_full((1, 1, *image.shape[-2:]), 2.0)
        return DepthPrediction(depth, depth / 4, image.new_full((1, 4, *image.shape[-2:]), 0.25))


def test_method_depth_adjusts_the_focal_length() -> None:
    image = np.random.default_rng(0).integers(0, 256, (*CAMERA.size, 3), np.uint8)
    plain = MethodDepth(ConstantMethod())(0, image, CAMERA)
    assert (plain.depth_m == 2).all()
    assert plain.sigma_log is not None
    assert plain.sigma_log[0, 0] == 0.5
    assert plain.label_probabilities is not None
    assert plain.label_probabilities.shape == (4, *CAMERA.size)
    adjusted = MethodDepth(ConstantMethod(), training_focal=0.8)(0, image, CAMERA)
    np.testing.assert_allclose(adjusted.depth_m, 2 * 130 / (0.8 * 160), rtol=1e-6)


def test_sensor_depth_keeps_holes_and_never_mixes() -> None:
    depth = np.array([[1.0, 3.0], [np.nan, 0.0]], np.float32)
    camera = Camera.from_parameters(4, 4, 4.0, 4.0, 1.5, 1.5)
    found = SensorDepth(lambda _: depth)(0, np.zeros((4, 4, 3), np.uint8), camera)
    assert set(np.unique(found.depth_m)) == {0.0, 1.0, 3.0}
    with pytest.raises(InputError, match="frame 3"):
        SensorDepth(lambda _: depth[None])(3, np.zeros((4, 4, 3), np.uint8), camera)


def test_a_depth_camera_says_how_far_it_is_to_be_believed() -> None:
    camera = Camera.from_parameters(4, 4, 4.0, 4.0, 1.5, 1.5)
    found = SensorDepth(lambda _: np.ones((4, 4), np.float32))(0, np.zeros((4, 4, 3), np.uint8), camera)
    assert found.independent
    assert found.sigma_log is not None
    np.testing.assert_allclose(found.sigma_log, 0.02)


def test_true_depth_stays_true(clip: tuple) -> None:
    """Tracking, stereo, fusion, bundle adjustment and bending leave an accurate source as accurate as it came."""
    frames, depths = clip
    first = CnnSlam(CAMERA, SensorDepth(lambda index: depths[index]))
    for frame in frames[:20]:
        first.push(frame)
    slam = CnnSlam(CAMERA, SensorDepth(lambda index: depths[index]))
    slam.restore(first.state_arrays())
    result = run(frames[20:], slam)
    assert slam.map.odometry is not None
    assert slam.map.odometry.map.views[0].independent, "what is known of a source outlives a save"
    assert all(k.sigma_log is not None for k in result.keyframes)
    errors = np.concatenate([np.abs(np.log(k.depth_m / depths[k.index])).ravel() for k in result.keyframes])
    assert (errors < 0.1).mean() > 0.998
    assert np.quantile(errors, 0.9) < 0.02
    t = trajectory_figures(*trajectories(result, frames))
    assert t.ate_sim3 < 0.015
    assert t.scale_ratio == pytest.approx(1, abs=0.08)


@pytest.fixture
def worker() -> Iterator[Worker]:
    out = Worker(SensorDepth(lambda _: np.ones((2, 2), np.float32)))
    yield out
    out.close()


def test_worker_answers_and_checks_the_size(worker: Worker) -> None:
    image = np.zeros((*CAMERA.size, 3), np.uint8)
    assert worker.submit(0, image, CAMERA).result().depth_m.shape == CAMERA.size

    class Small:
        scale = "metric"

        def __call__(self, index: int, image: np.ndarray, camera: Camera) -> NetworkDepth:
            return NetworkDepth(np.ones((2, 2), np.float32))

    other = Worker(Small())
    with pytest.raises(InputError, match="frame 5"):
        other.submit(5, image, CAMERA).result()
    other.close()
