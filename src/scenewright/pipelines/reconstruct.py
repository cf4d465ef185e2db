"""A video becomes a Scene folder: track and map, mesh, measure, report. Each step is done once and survives a kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.assets import demo_clip_path
from scenewright.data.meshes import TriangleMesh, read_ply, write_glb, write_ply
from scenewright.data.sequence import Sequence
from scenewright.data.sequences import open_sequence
from scenewright.errors import InputError
from scenewright.labels import COLOURS, LABELS
from scenewright.pipelines import measure
from scenewright.pipelines.checkpoint import Checkpoint
from scenewright.pipelines.sources import (
    OWN_FEATURES,
    ChosenDepth,
    ChosenFeatures,
    choose_depth,
    choose_features,
    frame_indices,
)
from scenewright.scene.manifest import Manifest
from scenewright.scene.pictures import intrinsics_of
from scenewright.scene.records import SceneFigure, SceneFrame, SceneKeyframe
from scenewright.scene.scene import Scene
from scenewright.scene.tables import write_trajectory
from scenewright.slam.config import SlamConfig
from scenewright.slam.sources import GivenPoses
from scenewright.slam.surface import surface_of
from scenewright.slam.system import CnnSlam
from scenewright.slam.tsdf import TsdfOptions
from scenewright.slam.types import FrameResult, Keyframe, Reconstruction
from scenewright.slam.warmup import Compilation

Progress = Callable[[int, int, str], None]
Array = NDArray[np.float64]
WORK = ".work"
CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True)
class Options:
    """How a scene is reconstructed; stored in its manifest.

    Args:
        intrinsics: fx, fy, cx, cy in pixels of the source's frames; None takes the source's own, EXIF, or a guess.
        fov_deg: horizontal field of view instead.
        depth: "sensor", a depth method with shipped weights, or a folder of weights.
        poses: "track", or "given" to take the source's poses.
        size: longest side of the working images, pixels.
        every: use each `every`-th frame.
        max_frames: stop after so many frames.
        labels: fuse semantic labels where the network offers them.
        voxel_m: edge of the map's voxels, metres.
        device: where networks run, "cpu" or "cuda".
        features: by which loops are closed, lost cameras placed and large motions begun; see
            `scenewright.features.extract.extractor`.
    """

    intrinsics: tuple[float, float, float, float] | None = None
    fov_deg: float | None = None
    depth: str = "fcrn"
    poses: str = "track"
    size: int = 320
    every: int = 1
    max_frames: int | None = None
    labels: bool = True
    voxel_m: float = 0.025
    device: str = "cpu"
    features: str = OWN_FEATURES

    def __post_init__(self) -> None:
        if self.poses not in ("track", "given"):
            raise InputError("--poses", repr(self.poses), "track or given")
        if not 96 <= self.size <= 1280:
            raise InputError("--size", self.size, "between 96 and 1280 pixels")
        TsdfOptions(voxel_m=self.voxel_m)


def reconstruct(
    source: str | Path,
    out: str | Path | None = None,
    options: Options | None = None,
    *,
    resume: bool = True,
    progress: Progress = lambda done, total, what: None,
) -> Scene:
    """Reconstruct a scene from a video, a folder of images, a TUM or 7-Scenes folder, a clip folder, or "demo".

    Args:
        source: the input; depth and poses it may hold are used for measuring only, unless `options` ask for them.
        out: the Scene folder; None puts it beside the working directory as NAME.scene.
        resume: go on with what an earlier run of the same job left; False starts over.
        progress: called with (done, total, what) as the work goes on.

    Returns:
        The finished scene, opened for reading.

    Raises:
        InputError, FormatError: bad input, by name; nothing is left behind under a final name.
    """
    options = options or Options()
    path = demo_clip_path() if str(source) == "demo" else Path(source)
    sequence = open_sequence(
        path, intrinsics=options.intrinsics, fov_deg=options.fov_deg, every=options.every, max_frames=options.max_frames
    )
    folder = Path(out) if out is not None else Path(f"{sequence.name}.scene")
    with Compilation() as kernels:
        chosen, features = choose_depth(options.depth, sequence, options.device), choose_features(options.features)
        poses = _given_poses(sequence) if options.poses == "given" else None
        manifest = _manifest(str(source), sequence, chosen, features, options)
        with Scene.create(folder, manifest, overwrite=not resume) as scene:
            _Job(scene, sequence, chosen, features, options, poses, kernels, resume, progress).run()
    return Scene.open(folder)


def _given_poses(sequence: Sequence) -> GivenPoses:
    poses = {f.index: f.T_world_cam for f in sequence if f.T_world_cam is not None}
    if not poses:
        raise InputError("--poses given", f"{sequence.name} without poses", "a source that holds poses")
    return GivenPoses(poses)


def _manifest(
    source: str, sequence: Sequence, chosen: ChosenDepth, features: ChosenFeatures, options: Options
) -> Manifest:
    packages = ("scenewright", "torch", "numpy", "opencv-python-headless", "numba", "gtsam")
    return Manifest(
        name=sequence.name,
        source=source,
        scale=chosen.source.scale,
        intrinsics_source=sequence.intrinsics_source,
        times="source" if sequence.timed else "nominal",
        labels=LABELS if chosen.labels and options.labels else (),
        options={k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()},
        versions={name: version(name) for name in packages},
        weights=chosen.weights | features.weights,
    )


class _Job:
    """One reconstruction; `run` does what is not done yet."""

    def __init__(
        self, scene: Scene, sequence: Sequence, chosen: ChosenDepth, features: ChosenFeatures, options: Options,
        poses: GivenPoses | None, kernels: Compilation, resume: bool, progress: Progress,
    ) -> None:  # fmt: skip
        self.scene, self.sequence, self.chosen, self.options, self.progress = scene, sequence, chosen, options, progress
        self.features, self.poses, self.kernels = features, poses, kernels
        self.checkpoint = Checkpoint(scene.folder / WORK)
        if not resume:
            self.checkpoint.remove()

    def run(self) -> None:
        steps = ("track", "mesh", "measure")
        if not all(self.scene.is_done(step) for step in steps):
            reconstruction, truth, seconds = self._track()
            self._write_track(reconstruction, truth)
            self._write_mesh(reconstruction)
            self._write_figures(reconstruction, truth, seconds)
        self._write_report()
        self.checkpoint.remove()

    def _track(self) -> tuple[Reconstruction, dict[int, Array], float]:
        config = SlamConfig()
        config = replace(config, image=replace(config.image, longest=self.options.size))
        if self.sequence.intrinsics_source == "guess":
            config = replace(config, odometry=replace(config.odometry, lens_tolerance=0.0))
        camera, features = self.sequence.camera, self.features.source
        slam = CnnSlam(camera, self.chosen.source, config, pose_source=self.poses, features=features)
        truth, start, spent = self._restore(slam)
        self.progress(0, 1, "preparing kernels")
        self.kernels.finish()
        began = saved = time.perf_counter()
        total = len(self.sequence)
        for position, frame in enumerate(self.sequence.frames_from(start), start):
            slam.push(frame)
            if frame.T_world_cam is not None:
                truth[frame.index] = frame.T_world_cam
            self.progress(position + 1, total, "tracking")
            now = time.perf_counter()
            if now - saved > CHECKPOINT_SECONDS or position + 1 == total:
                self._save(slam, truth, position + 1, spent + now - began)
                saved = time.perf_counter()
        reconstruction = slam.finish()
        return reconstruction, truth, spent + time.perf_counter() - began

    def _save(self, slam: CnnSlam, truth: dict[int, Array], position: int, seconds: float) -> None:
        arrays = {f"slam/{name}": array for name, array in slam.state_arrays().items()}
        arrays["truth/index"] = np.array(sorted(truth), np.int64)
        arrays["truth/T_world_cam"] = np.array([truth[i] for i in sorted(truth)], np.float64).reshape(-1, 4, 4)
        self.checkpoint.save(arrays, {"position": position, "seconds": seconds})

    def _restore(self, slam: CnnSlam) -> tuple[dict[int, Array], int, float]:
        state = self.checkpoint.load()
        if state is None:
            return {}, 0, 0.0
        arrays, facts = state
        slam.restore({name[5:]: array for name, array in arrays.items() if name.startswith("slam/")})
        truth = dict(zip(arrays["truth/index"].tolist(), arrays["truth/T_world_cam"]))
        return truth, int(facts["position"]), float(facts["seconds"])

    def _write_track(self, reconstruction: Reconstruction, truth: dict[int, Array]) -> None:
        if self.scene.is_done("track"):
            return
        self.progress(0, 1, "writing keyframes")
        camera = reconstruction.keyframes[0].camera if reconstruction.keyframes else self.sequence.camera
        self.scene.describe(
            camera=intrinsics_of(camera), distortion=reconstruction.distortion, up=_up(reconstruction.frames)
        )
        with self.scene.step("track"):
            self.scene.write_frames([_scene_frame(f) for f in reconstruction.frames])
            for keyframe in reconstruction.keyframes:
                self.scene.write_keyframe(_scene_keyframe(keyframe, self.options.labels))
            if (aligned := measure.aligned_truth(reconstruction.frames, truth)) is not None:
                with self.scene.writing("groundtruth.txt") as path:
                    write_trajectory(path, list(aligned[0]), aligned[1])

    def _write_mesh(self, reconstruction: Reconstruction) -> None:
        if self.scene.is_done("mesh"):
            return
        self.progress(0, 1, "fusing the map")
        keyframes = reconstruction.keyframes
        if not self.options.labels:
            keyframes = [replace(k, label_log_probabilities=None) for k in keyframes]
        surface = surface_of(keyframes, TsdfOptions(voxel_m=self.options.voxel_m))
        mesh = TriangleMesh(surface.vertices, surface.faces, surface.colours, surface.labels)
        with self.scene.step("mesh"):
            with self.scene.writing("mesh.ply") as path:
                write_ply(path, mesh)
            if len(mesh.faces):
                with self.scene.writing("mesh.glb") as path:
                    write_glb(path, mesh)
            if mesh.labels is not None:
                painted = replace(mesh, colours=np.array(COLOURS, np.uint8)[mesh.labels])
                with self.scene.writing("labels.ply") as path:
                    write_ply(path, painted)

    def _write_figures(self, reconstruction: Reconstruction, truth: dict[int, Array], seconds: float) -> None:
        if self.scene.is_done("measure"):
            return
        self.progress(0, 1, "measuring")
        positions = {index: at for at, index in enumerate(frame_indices(self.sequence))}
        rows: list[SceneFigure] = measure.run_figures(reconstruction, seconds, self.kernels.seconds)
        rows += measure.trajectory_rows(reconstruction.frames, truth)
        rows += measure.depth_rows(reconstruction.keyframes, self.sequence, positions, reconstruction.distortion)
        mesh = read_ply(self.scene.folder / "mesh.ply")
        rows += measure.mesh_rows(mesh, reconstruction, self.sequence, positions, truth)
        with self.scene.step("measure"):
            self.scene.write_figures(rows)

    def _write_report(self) -> None:
        from scenewright.viewer.records import input_of_scene
        from scenewright.viewer.report import REPORT_NAME, write_report

        if self.scene.is_done("report"):
            return
        self.progress(0, 1, "writing the report")
        content = input_of_scene(self.scene)
        with self.scene.step("report"), self.scene.writing(REPORT_NAME) as path:
            write_report(path, content)


def _up(frames: list[FrameResult]) -> tuple[float, ...]:
    """Against gravity as people hold cameras: the mean of the images' upward axes."""
    axes = np.array([-f.T_world_cam[:3, 1] for f in frames if f.T_world_cam is not None]).reshape(-1, 3)
    mean = axes.sum(0) if len(axes) else np.array([0.0, -1.0, 0.0])
    length = float(np.linalg.norm(mean))
    return tuple(float(x) for x in (mean / length if length > 1e-6 else np.array([0.0, -1.0, 0.0])))


def _scene_frame(frame: FrameResult) -> SceneFrame:
    return SceneFrame(
        frame.index, frame.time_s, frame.status.value, frame.T_world_cam, frame.keyframe,
        float(frame.residual), float(frame.usage), float(frame.milliseconds),
    )  # fmt: skip


def _scene_keyframe(keyframe: Keyframe, labels: bool) -> SceneKeyframe:
    known = keyframe.depth_m > 0
    sigma = np.where(known, np.sqrt(np.maximum(keyframe.variance, 0)), 0).astype(np.float32)
    logs = keyframe.label_log_probabilities if labels else None
    return SceneKeyframe(
        keyframe.id, keyframe.index, keyframe.time_s, keyframe.image, keyframe.camera, keyframe.T_world_cam,
        np.where(known, keyframe.depth_m, 0).astype(np.float32), sigma,
        None if logs is None else logs.argmax(0).astype(np.uint8),
    )  # fmt: skip


def figures_by_name(scene: Scene) -> dict[str, Any]:
    """The figures of a scene as a plain dict."""
    return {figure.name: figure.value for figure in scene.figures()}
