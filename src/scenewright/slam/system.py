"""CNN-SLAM: frames in, a metric map of keyframes out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequence import Frame
from scenewright.geometry.camera import Camera
from scenewright.slam import fusion, hypotheses, keyframes, refinement, rigid, tracking, uncertainty
from scenewright.slam import image as pictures
from scenewright.slam.config import SlamConfig
from scenewright.slam.exposure import Exposure
from scenewright.slam.odometry import Odometry
from scenewright.slam.sources import PoseSource, Worker
from scenewright.slam.types import (
    DepthSource,
    Edge,
    FloatImage,
    FrameResult,
    Keyframe,
    NetworkDepth,
    Reconstruction,
    Status,
)

Array = NDArray[np.float64]


class Picture:
    """One frame at the working size, with what the stages need of it."""

    def __init__(self, frame: Frame, camera: Camera, levels: int) -> None:
        self.index, self.time_s = frame.index, frame.time_s
        self.image = pictures.resize(frame.image, camera)
        self.grey = pictures.grey(self.image)
        self.levels = pictures.pyramid(self.grey, pictures.Intrinsics(*camera.numbers), levels)
        self.features: hypotheses.Features | None = None


@dataclass
class Active:
    """The keyframe that frames are tracked against, with its working state."""

    keyframe: Keyframe
    picture: Picture
    depth: refinement.DepthMap
    points: list[tracking.TrackingPoints]
    levels: list[int]
    mask: NDArray[np.bool_]
    mean_inverse_depth: float


@dataclass
class Entry:
    """A frame as the system remembers it: its pose hangs on a keyframe."""

    index: int
    time_s: float
    status: Status
    keyframe: int = -1
    view: int = -1
    T_view_cam: Array | None = None
    residual: float = 0.0
    usage: float = 0.0
    milliseconds: float = 0.0


@dataclass
class Pending:
    """A keyframe that waits for its depth."""

    picture: Picture
    position: int
    T_picture_keyframe: Array
    exposure: Exposure
    answer: object = None
    view: int = -1


@dataclass
class State:
    """All that changes from frame to frame."""

    position: int = 0
    T_frame_keyframe: Array = field(default_factory=lambda: np.eye(4))
    velocity: Array = field(default_factory=lambda: np.eye(4))
    exposure: Exposure = field(default_factory=Exposure)
    energies: list[float] = field(default_factory=list)
    since_keyframe: int = 0


class CnnSlam:
    """Dense monocular SLAM whose keyframes start from a learned depth (Tateno et al., CVPR 2017)."""

    def __init__(
        self, camera: Camera, depth_source: DepthSource, config: SlamConfig | None = None, *,
        pose_source: PoseSource | None = None,
    ) -> None:  # fmt: skip
        self.config = config or SlamConfig()
        self.camera = pictures.working_camera(camera, self.config.image.longest)
        self.intrinsics = pictures.Intrinsics(*self.camera.numbers)
        self._source, self._worker = depth_source, Worker(depth_source)
        self._pose_source = pose_source
        self.keyframes: list[Keyframe] = []
        self.edges: list[Edge] = []
        self._entries: list[Entry] = []
        self._active: Active | None = None
        self._pending: Pending | None = None
        self._state = State()
        self.odometry = Odometry(self.intrinsics, self.config.odometry) if self.config.odometry.enabled else None
        self._view_of: list[int] = []

    def push(self, frame: Frame) -> FrameResult:
        start = time.perf_counter()
        picture = Picture(frame, self.camera, self.config.image.levels)
        if self._active is None:
            answer = self._worker.submit(picture.index, picture.image, self.camera).result()
            view = self._add_view(picture, np.eye(4), None)
            self._insert(picture, answer, np.eye(4), None, view)
            entry = Entry(frame.index, frame.time_s, Status.OK, 0, view, np.eye(4), 0.0, 1.0)
        else:
            entry = self._follow(picture)
        entry.milliseconds = (time.perf_counter() - start) * 1e3
        self._entries.append(entry)
        self._state.position += 1
        return self._result(entry)

    def _add_view(self, picture, T_world_cam, posed) -> int:
        if self.odometry is None:
            return len(self.keyframes)
        return self.odometry.add_view(picture.index, picture.grey.astype(np.uint8), rigid.inverse(T_world_cam)[:3], posed)

    def _view_pose(self, view: int) -> Array:
        if self.odometry is None:
            return self.keyframes[view].T_world_cam
        return rigid.inverse(np.vstack([self.odometry.views[view].T_cam_world, [0, 0, 0, 1.0]]))

    def _follow(self, picture: Picture) -> Entry:
        active, state, odo = self._active, self._state, self.odometry
        posed = None
        T_wk = active.keyframe.T_world_cam
        if odo is not None:
            prediction = state.velocity @ state.T_frame_keyframe @ rigid.inverse(T_wk)
            posed = odo.pose(picture.grey.astype(np.uint8), prediction[:3])
        if posed is not None:
            T = np.vstack([posed.T_cam_world, [0, 0, 0, 1.0]]) @ T_wk
            tracked = tracking.track(active.points, picture.levels, active.levels, T, state.exposure, self.config.tracking)
            tracked = tracked._replace(T_frame_keyframe=T, ok=True)
        else:
            tracked = self._track(picture)
        if not tracked.ok:
            state.velocity = np.eye(4)
            return Entry(picture.index, picture.time_s, Status.LOST, -1, -1, None, tracked.residual, tracked.usage)
        state.velocity = tracked.T_frame_keyframe @ rigid.inverse(state.T_frame_keyframe)
        state.T_frame_keyframe, state.exposure = tracked.T_frame_keyframe, tracked.exposure
        state.energies = (state.energies + [tracked.energy])[-15:]
        state.since_keyframe += 1
        refinement.refine(
            active.depth, active.picture.grey, active.mask, picture.grey, self.intrinsics, tracked.T_frame_keyframe,
            tracked.exposure, tracked.energy, self.config.stereo,
        )  # fmt: skip
        if state.since_keyframe % self.config.tracking.refresh == 0:
            self._refresh(active)
        wants = self._wants_keyframe(picture, tracked)
        if odo is None:
            view, T_view = active.keyframe.id, rigid.inverse(tracked.T_frame_keyframe)
        else:
            T_w = T_wk @ rigid.inverse(tracked.T_frame_keyframe)
            posed = posed or odo.carry(picture.grey.astype(np.uint8), rigid.inverse(T_w)[:3])
            if wants or posed is None or odo.wants_view(posed):
                view, T_view = self._add_view(picture, T_w, posed), np.eye(4)
                odo.adjust_window()
                for k, v in zip(self.keyframes, self._view_of):
                    k.T_world_cam = self._view_pose(v)
                state.T_frame_keyframe = rigid.inverse(self._view_pose(view)) @ active.keyframe.T_world_cam
            else:
                view = len(odo.views) - 1
                T_view = rigid.inverse(self._view_pose(view)) @ T_w
        if wants:
            answer = self._worker.submit(picture.index, picture.image, self.camera)
            self._pending = Pending(picture, state.position, state.T_frame_keyframe, tracked.exposure, answer, view)
        entry = Entry(
            picture.index, picture.time_s, Status.OK, active.keyframe.id, view, T_view,
            tracked.residual, tracked.usage,
        )  # fmt: skip
        if self._pending is not None and state.position - self._pending.position >= self.config.keyframes.latency:
            self._arrive()
        return entry

    def _track(self, picture: Picture) -> tracking.Tracked:
        active, state, config = self._active, self._state, self.config
        def run(T, exposure=state.exposure):
            return tracking.track(active.points, picture.levels, active.levels, T, exposure, config.tracking)
        best = run(state.velocity @ state.T_frame_keyframe)
        usual = float(np.median(state.energies)) if state.energies else best.energy
        if best.ok and best.energy / best.usage < config.hypotheses.energy_ratio * usual / .8:
            return best
        for p in (active.picture, picture):
            p.features = p.features or hypotheses.detect(p.grey, config.hypotheses)
        found = hypotheses.pnp_start(active.picture.features, active.depth.depth()[0], picture.features, self.intrinsics, config.hypotheses)
        if found is not None:
            second = run(found[0])
            if second.ok and (not best.ok or second.energy / max(second.usage, .05) < best.energy / max(best.usage, .05)):
                best = second
        return best

    def _refresh(self, active: Active) -> None:
        active.points = tracking.set_depth(active.points, active.levels, active.depth.inverse_depth, active.depth.variance)

    def _wants_keyframe(self, picture: Picture, tracked: tracking.Tracked) -> bool:
        active, state, config = self._active, self._state, self.config.keyframes
        if self._pending is not None:
            return False
        distance = float(np.linalg.norm(tracked.T_frame_keyframe[:3, 3]))
        return keyframes.need_keyframe(
            distance, active.mean_inverse_depth, tracked.usage, tracked.exposure.gain, state.since_keyframe,
            picture.time_s - active.keyframe.time_s, len(self.keyframes), config,
        )

    def _arrive(self) -> None:
        pending, state, active = self._pending, self._state, self._active
        self._pending = None
        T_world_frame = active.keyframe.T_world_cam @ rigid.inverse(state.T_frame_keyframe)
        if self.odometry is None:
            T = rigid.orthonormalise(active.keyframe.T_world_cam @ rigid.inverse(pending.T_picture_keyframe))
        else:
            T = self._view_pose(pending.view)
        self._insert(pending.picture, pending.answer.result(), T, rigid.inverse(T) @ active.keyframe.T_world_cam, pending.view)
        state.T_frame_keyframe = rigid.inverse(T_world_frame) @ T
        gain = state.exposure.gain / pending.exposure.gain
        state.exposure = Exposure(gain, state.exposure.offset - gain * pending.exposure.offset)
        state.since_keyframe = 0
        state.energies = []

    def _insert(self, picture: Picture, answer: NetworkDepth, T_world_cam: Array, T_new_old: Array | None, view: int) -> None:
        config = self.config
        depth = answer.depth_m
        if self.odometry is not None:
            depth = depth * np.float32(np.exp(self.odometry.add_depth(view, depth)))
        self._view_of.append(view)
        variance = uncertainty.first_uncertainty(depth, config.fusion)
        if T_new_old is not None:
            self._publish()
            old = self._active.keyframe
            seen = uncertainty.look_up(depth, old.depth_m, old.variance, self.intrinsics, rigid.inverse(T_new_old))
            variance, comparable = uncertainty.uncertainty(depth, seen, config.fusion)
            depth, variance = fusion.fuse(depth, variance, seen, comparable, config.fusion)
        keyframe = Keyframe(
            len(self.keyframes), picture.index, picture.time_s, picture.image, self.camera, depth, variance,
            answer.depth_m, np.zeros(depth.shape, np.uint16), T_world_cam,
        )
        self.keyframes.append(keyframe)
        maps = refinement.DepthMap.from_depth(depth, variance)
        levels = tracking.usable_levels(picture.levels, config.tracking)
        points = tracking.select_points(picture.levels, config.tracking, keyframe.id)
        mask = pictures.max_gradient(picture.levels[0]) > config.stereo.gradient_min
        known = maps.inverse_depth[maps.inverse_depth > 0]
        self._active = Active(keyframe, picture, maps, points, levels, mask, float(known.mean()))
        self._refresh(self._active)

    def _publish(self) -> None:
        active = self._active
        active.keyframe.depth_m, active.keyframe.variance = active.depth.depth()
        active.keyframe.observed = active.depth.observed.copy()

    def _pose(self, entry: Entry) -> Array | None:
        if entry.T_view_cam is None:
            return None
        return self._view_pose(entry.view) @ entry.T_view_cam

    def _result(self, entry: Entry) -> FrameResult:
        return FrameResult(
            entry.index, entry.time_s, entry.status, self._pose(entry), entry.keyframe, entry.residual, entry.usage,
            entry.milliseconds,
        )

    def _bend(self, k, v):
        from scenewright.slam import densify
        c = self.config.densify
        pixels, z = self.odometry.depths(v)
        x, y = np.rint(pixels).astype(int).T
        if len(z) >= 20:
            f = np.float32(np.exp(densify.robust_log_ratio(z, k.depth_m[y, x])))
            k.depth_m = k.depth_m * f
            k.variance = k.variance * f * f
        if not c.enabled:
            return
        good = (k.observed >= 2) & (np.sqrt(k.variance) < 0.05 * k.depth_m)
        anchors = np.where(good, k.depth_m, 0).astype(np.float32)
        weight = np.where(good, np.float32(c.stereo_weight), 0).astype(np.float32)
        anchors[y, x] = z
        weight[y, x] = c.point_weight
        factor, near = densify.correction(k.depth_network_m, anchors, weight, c)
        bent = k.depth_network_m * factor
        variance = np.square(bent * (0.05 + 0.10 * (1 - near))).astype(np.float32)
        k.depth_m = np.where(good, fusion.combine(bent, variance, k.depth_m, k.variance)[0], bent)
        k.variance = np.where(good, fusion.combine(bent, variance, k.depth_m, k.variance)[1], variance)

    def finish(self) -> Reconstruction:
        if self._pending is not None:
            self._arrive()
        self._publish()
        if self.odometry is not None and self.config.odometry.global_iterations:
            self.focal_factor = self.odometry.adjust_all()
            for k, v in zip(self.keyframes, self._view_of):
                k.T_world_cam = self._view_pose(v)
        if self.odometry is not None:
            for k, v in zip(self.keyframes, self._view_of):
                self._bend(k, v)
        logs = []
        for k in self.keyframes:
            m = (k.observed > 0) & (k.depth_network_m > 0)
            if m.any():
                logs.append(float(np.median(np.log(k.depth_network_m[m] / k.depth_m[m]))))
        s = float(np.exp(np.mean(logs))) if logs else 1.0
        for k in self.keyframes:
            k.depth_m = k.depth_m * np.float32(s)
            k.variance = k.variance * np.float32(s * s)
            k.T_world_cam = k.T_world_cam.copy()
            k.T_world_cam[:3, 3] *= s
        for e in self._entries:
            if e.T_view_cam is not None:
                e.T_view_cam = e.T_view_cam.copy(); e.T_view_cam[:3, 3] *= s
        if self.odometry is not None:
            for v in self.odometry.views:
                v.T_cam_world = v.T_cam_world.copy(); v.T_cam_world[:, 3] *= s
        self._worker.close()
        return Reconstruction([self._result(e) for e in self._entries], self.keyframes, self.edges, self._source.scale, s, 1)
