"""CNN-SLAM: frames in, a metric map of keyframes out (Tateno et al., CVPR 2017), with a corner odometry beside it.

One frame, in order: picture -> pose (corners, then the direct tracker; or the tracker alone, as printed) -> stereo on
the active keyframe -> does it become a view, a keyframe? -> the network's answer, once its frame count has come.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequence import Frame
from scenewright.errors import InputError
from scenewright.features.robust import PnpOptions
from scenewright.geometry.camera import Camera
from scenewright.slam import (
    adjusting,
    finishing,
    fusion,
    hypotheses,
    keyframes,
    refinement,
    rigid,
    state,
    tracking,
    uncertainty,
)
from scenewright.slam import image as pictures
from scenewright.slam.config import SlamConfig
from scenewright.slam.exposure import Exposure
from scenewright.slam.features import FeatureSource, lift, pose_against
from scenewright.slam.keyframe_map import KeyframeMap
from scenewright.slam.labels import soften
from scenewright.slam.odometry import Posed
from scenewright.slam.sources import PoseSource, Worker
from scenewright.slam.state import Active, Entry, Motion, Pending, Picture
from scenewright.slam.types import (
    DepthSource,
    FloatImage,
    FrameResult,
    Keyframe,
    NetworkDepth,
    Reconstruction,
    Status,
)

Array = NDArray[np.float64]
_BOTTOM = np.array([[0, 0, 0, 1.0]])


class CnnSlam:
    """Dense monocular SLAM whose keyframes start from a learned depth.

    Args:
        camera: of the frames, undistorted; frames are shrunk to `config.image.longest`.
        depth_source: asked once per keyframe, on a thread of its own.
        config: defaults unless given; `SlamConfig.as_printed()` is the paper alone.
        pose_source: poses from elsewhere that take the tracker's place; the map then keeps their scale.
        features: by which loops are closed, lost cameras placed and large motions begun; None = ORB.

    A frame that cannot be tracked is reported `LOST`, never raised; what the depth source raises comes through.
    """

    def __init__(
        self, camera: Camera, depth_source: DepthSource, config: SlamConfig | None = None, *,
        pose_source: PoseSource | None = None, features: FeatureSource | None = None,
    ) -> None:  # fmt: skip
        self.config = config or SlamConfig()
        self.camera = pictures.working_camera(camera, self.config.image.longest)
        self.intrinsics = pictures.Intrinsics(*self.camera.numbers)
        self.map = KeyframeMap(self.intrinsics, self.config, features)
        self._features = features
        self._source, self._worker, self._given = depth_source, Worker(depth_source), pose_source
        self._input_size = camera.size
        self._odometry = self.map.odometry
        self._active: Active | None = None
        self._pending: Pending | None = None
        self._missed: list[Picture] = []
        self._motion = Motion()

    # ---- frames -----------------------------------------------------------------------------------------------------
    def push(self, frame: Frame) -> FrameResult:
        """Take the next frame.

        Raises:
            InputError: the frame is not (H, W, 3) uint8 of the camera's size, or the depth source's answer is unusable.
        """
        if frame.image.shape != (*self._input_size, 3) or frame.image.dtype != np.uint8:
            found = f"{frame.image.dtype} {frame.image.shape}"
            raise InputError(f"frame {frame.index}", found, f"uint8 {(*self._input_size, 3)}")
        self._take(Picture(frame.index, frame.time_s, frame.image, self.camera, self.config.image.levels))
        if self._given is None and self._lost_too_long():
            self._begin_anew()
        return self._result(self.map.entries[-1])

    def _take(self, picture: Picture) -> None:
        start = time.perf_counter()
        entry = self._first(picture) if self._active is None else self._follow(self._active, picture)
        entry.milliseconds = (time.perf_counter() - start) * 1e3
        self._append(entry)
        lost = entry.status is Status.LOST and self._active is not None
        self._missed = [*self._missed, picture][-max(self.config.recovery.new_segment_frames) :] if lost else []

    def _append(self, entry: Entry) -> None:
        self.map.entries.append(entry)
        self._motion.position += 1

    def _first(self, picture: Picture) -> Entry:
        """Begin the map at the first picture that shows something (and has a pose, where poses are given)."""
        T = np.eye(4) if self._given is None else self._given(picture.index)
        if T is None or pictures.sharpness(picture.levels[0]) < self.config.recovery.blank:
            return _lost(picture)
        return self._begin_segment(picture, rigid.orthonormalise(T), Status.OK)

    def _begin_segment(self, picture: Picture, T_world_cam: Array, status: Status) -> Entry:
        view = self.map.add_view(picture, T_world_cam, None)
        answer = self._worker.submit(picture.index, picture.image, self.camera).result()
        self._insert(picture, answer, T_world_cam, view, fused=False)
        self._motion = replace(
            Motion(), position=self._motion.position, segment=self._motion.segment, sharpness=self._motion.sharpness
        )
        return Entry(picture.index, picture.time_s, status, self.map.keyframes[-1].id, view, np.eye(4), 0.0, 1.0)

    def _follow(self, active: Active, picture: Picture) -> Entry:
        tracked, posed = self._pose(active, picture)
        if not tracked.ok:
            return self._recover(picture, tracked)
        motion = self._motion
        motion.velocity = rigid.orthonormalise(tracked.T_frame_keyframe @ rigid.inverse(motion.T_frame_keyframe))
        motion.T_frame_keyframe, motion.exposure = tracked.T_frame_keyframe, tracked.exposure
        motion.energies = [*motion.energies, tracked.energy][-15:]
        motion.since_keyframe += 1
        status = Status.OK if motion.lost_since_s is None else Status.RELOCALISED
        motion.lost_since_s = None
        sharp = self._is_sharp(picture)
        if sharp:
            self._refine(active, picture, tracked)
        wants = sharp and self._pending is None and self._wants_keyframe(active, picture, tracked)
        view, T_view_cam = self._place(active, picture, posed, wants)
        if wants:
            answer = self._worker.submit(picture.index, picture.image, self.camera)
            self._pending = Pending(
                picture, motion.position, view, motion.T_frame_keyframe, tracked.exposure, answer
            )  # fmt: skip
        entry = Entry(
            picture.index, picture.time_s, status, active.keyframe.id, view, T_view_cam, tracked.residual, tracked.usage
        )
        if self._pending is not None and motion.position - self._pending.position >= self.config.keyframes.latency:
            self._arrive(active, self._pending)
        return entry

    # ---- pose -------------------------------------------------------------------------------------------------------
    def _pose(self, active: Active, picture: Picture) -> tuple[tracking.Tracked, Posed | None]:
        """The frame against the active keyframe, and its corner tracks where there are any."""
        T_wk, motion = active.keyframe.T_world_cam, self._motion
        if self._given is not None:
            return self._given_pose(active, picture, self._given)
        posed = None
        if self._odometry is not None:
            prediction = motion.velocity @ motion.T_frame_keyframe @ rigid.inverse(T_wk)
            posed = self._odometry.pose(picture.grey8, rigid.orthonormalise(prediction)[:3], motion.prediction_sd())
        if posed is not None:
            T = rigid.orthonormalise(np.vstack([posed.T_cam_world, _BOTTOM]) @ T_wk)
            return self._run(active, picture, T)._replace(T_frame_keyframe=T, ok=True), posed
        tracked = self._track(active, picture)
        if self._odometry is not None and tracked.ok:
            usual = float(np.median(motion.energies)) if motion.energies else tracked.energy
            alike = tracked.energy < self.config.recovery.energy_ratio * usual
            tracked = tracked._replace(ok=alike and motion.lost_since_s is None)
            posed = self._odometry.carry(picture.grey8, (tracked.T_frame_keyframe @ rigid.inverse(T_wk))[:3])
        return tracked, posed

    def _given_pose(self, active: Active, picture: Picture, given: PoseSource) -> tuple[tracking.Tracked, Posed | None]:
        T_world_cam = given(picture.index)
        if T_world_cam is None:
            return self._run(active, picture, self._motion.T_frame_keyframe)._replace(ok=False), None
        T_cam_world = rigid.inverse(rigid.orthonormalise(T_world_cam))
        T = rigid.orthonormalise(T_cam_world @ active.keyframe.T_world_cam)
        posed = None if self._odometry is None else self._odometry.carry(picture.grey8, T_cam_world[:3])
        return self._run(active, picture, T)._replace(T_frame_keyframe=T, ok=True), posed

    def _run(self, active: Active, picture: Picture, T: Array) -> tracking.Tracked:
        return tracking.track(
            active.points, picture.levels, active.levels, T, self._motion.exposure, self.config.tracking
        )

    def _track(self, active: Active, picture: Picture) -> tracking.Tracked:
        """The direct tracker from constant velocity and, where that looks bad, from a second start."""
        motion, config = self._motion, self.config.hypotheses

        def cost(t: tracking.Tracked) -> float:
            return t.energy / max(t.usage, 0.05) if t.ok else np.inf

        best = self._run(active, picture, motion.velocity @ motion.T_frame_keyframe)
        usual = float(np.median(motion.energies)) if motion.energies else np.inf
        if cost(best) < config.energy_ratio * usual:
            return best
        found = self._second_start(active, picture)
        starts = [motion.T_frame_keyframe] if found is None else [found]
        if found is None and not best.ok:
            starts.append(hypotheses.rotation_start(active.picture.grey, picture.grey, self.intrinsics))
        return min([best, *(self._run(active, picture, T) for T in starts)], key=cost)

    def _second_start(self, active: Active, picture: Picture) -> Array | None:
        """T_frame_keyframe from matched features and the keyframe's depth, None where too few agree."""
        depth, _ = active.depth.depth()
        if self._features is None:
            a, b = (p.features(self.config) for p in (active.picture, picture))
            found = hypotheses.pnp_start(a, depth, b, self.intrinsics, self.config.hypotheses)
            return None if found is None else found[0]
        query = self.map.relocaliser.index.look_at(picture.image).features
        keyframe = self.map.relocaliser.index.looks[active.keyframe.id].features
        points = lift(keyframe.xy.numpy(), depth, self.camera)
        options = PnpOptions(self.config.hypotheses.reprojection_px, least=self.config.hypotheses.minimum_inliers)
        posed = pose_against(self._features, query, self.camera, keyframe, points, options)
        return None if posed is None else posed.T_query_keyframe

    def _recover(self, picture: Picture, tracked: tracking.Tracked) -> Entry:
        """Relocalise or stay lost."""
        motion = self._motion
        motion.velocity = np.eye(4)
        if motion.lost_since_s is None:
            motion.lost_since_s = picture.time_s
        self._drop_pending()
        if self._given is None and (found := self.map.relocaliser.locate(picture.image, self.camera)) is not None:
            return self._resume(picture, found[0], found[1])
        return _lost(picture, tracked)

    def _lost_too_long(self) -> bool:
        lost_for, since_s = len(_trailing_lost(self.map.entries)), self._motion.lost_since_s
        if since_s is None:
            return False
        config, seconds = self.config.recovery, self.map.entries[-1].time_s - since_s
        return lost_for >= config.new_segment_frames[0 if seconds >= config.new_segment_s else 1]

    def _begin_anew(self) -> None:
        """A new piece of map, from the first sharp one of the missed pictures: where a camera gets lost it often sees
        what the rest of the piece does not.
        """
        sharpness = [pictures.sharpness(p.levels[0]) for p in self._missed]
        least = max(self.config.recovery.blank, self.config.recovery.blur * float(np.median(sharpness)))
        first = next((n for n, s in enumerate(sharpness) if s >= least), None)
        if first is None:
            return
        again, self._missed = self._missed[first:], []
        del self.map.entries[-len(again) :]
        self._motion.position -= len(again)
        self._motion.segment += 1
        last = self.map.view_pose(next(e.view for e in reversed(self.map.entries) if e.view >= 0))
        self._append(self._begin_segment(again[0], last, Status.RELOCALISED))
        for picture in again[1:]:
            self._take(picture)

    def _resume(self, picture: Picture, id: int, T_keyframe_frame: Array) -> Entry:
        """Go on from a keyframe of the map."""
        if self._active is not None:
            self._active.publish()
        keyframe = self.map.keyframes[id]
        levels = self.config.image.levels
        shown = Picture(keyframe.index, keyframe.time_s, keyframe.image, self.camera, levels)
        active = self._active = Active.of(keyframe, shown, self.config)
        motion = self._motion
        motion.T_frame_keyframe, motion.exposure, motion.energies = rigid.inverse(T_keyframe_frame), Exposure(), []
        motion.since_keyframe, motion.lost_since_s, motion.segment = 0, None, keyframe.segment
        tracked = self._run(active, picture, motion.T_frame_keyframe)
        motion.exposure = tracked.exposure
        view, T_view_cam = self._place(active, picture, None, True)
        return Entry(
            picture.index, picture.time_s, Status.RELOCALISED, id, view, T_view_cam, tracked.residual, tracked.usage
        )

    # ---- map --------------------------------------------------------------------------------------------------------
    def _is_sharp(self, picture: Picture) -> bool:
        """Whether a frame is sharp enough to be mapped, by the running median of the sharpness."""
        sharpness, motion = pictures.sharpness(picture.levels[0]), self._motion
        motion.sharpness = [*motion.sharpness, sharpness][-30:]
        return sharpness >= self.config.recovery.blur * float(np.median(motion.sharpness))

    def _refine(self, active: Active, picture: Picture, tracked: tracking.Tracked) -> None:
        refinement.refine(
            active.depth, active.picture.grey, active.mask, picture.grey, self.intrinsics, tracked.T_frame_keyframe,
            tracked.exposure, tracked.energy, self.config.stereo,
        )  # fmt: skip
        if self._motion.since_keyframe % self.config.tracking.refresh == 0:
            active.refresh()

    def _wants_keyframe(self, active: Active, picture: Picture, tracked: tracking.Tracked) -> bool:
        return keyframes.need_keyframe(
            float(np.linalg.norm(tracked.T_frame_keyframe[:3, 3])), active.mean_inverse_depth(), tracked.usage,
            tracked.exposure.gain, self._motion.since_keyframe, picture.time_s - active.keyframe.time_s,
            len(self.map.keyframes), self.config.keyframes,
        )  # fmt: skip

    def _place(self, active: Active, picture: Picture, posed: Posed | None, force: bool) -> tuple[int, Array]:
        """Hang the frame on a view, a new one where the odometry asks for it; the view and T_view_cam (4, 4)."""
        motion, odometry = self._motion, self._odometry
        if odometry is None:
            return active.keyframe.id, rigid.inverse(motion.T_frame_keyframe)
        T_world_cam = active.keyframe.T_world_cam @ rigid.inverse(motion.T_frame_keyframe)
        view = len(odometry.map.views) - 1
        if not (force or posed is None or odometry.wants_view(posed, self._frames_since(view))):
            return view, rigid.orthonormalise(rigid.inverse(self.map.view_pose(view)) @ T_world_cam)
        view = self.map.add_view(picture, T_world_cam, posed)
        adjusting.adjust_window(odometry.map, self.config.odometry, hold=self._given is not None)
        self.map.follow_views()
        T = rigid.inverse(self.map.view_pose(view)) @ active.keyframe.T_world_cam
        motion.T_frame_keyframe = rigid.orthonormalise(T)
        return view, np.eye(4)

    def _frames_since(self, view: int) -> int:
        """Frames from a view to the one being placed."""
        count = 1
        for entry in reversed(self.map.entries):
            if entry.view != view or entry.T_view_cam is None or np.array_equal(entry.T_view_cam, np.eye(4)):
                break
            count += 1
        return count

    def _arrive(self, active: Active, pending: Pending) -> None:
        """The network's answer is due: its frame becomes the active keyframe."""
        self._pending = None
        motion = self._motion
        T_world_frame = active.keyframe.T_world_cam @ rigid.inverse(motion.T_frame_keyframe)
        if self._odometry is None:
            T = rigid.orthonormalise(active.keyframe.T_world_cam @ rigid.inverse(pending.T_picture_keyframe))
        else:
            T = self.map.view_pose(pending.view)
        view = pending.view if self._odometry is not None else len(self.map.keyframes)
        self._insert(pending.picture, pending.answer.result(), T, view, fused=True)
        motion.T_frame_keyframe = rigid.orthonormalise(rigid.inverse(T_world_frame) @ T)
        gain = motion.exposure.gain / pending.exposure.gain
        motion.exposure = Exposure(gain, motion.exposure.offset - gain * pending.exposure.offset)
        motion.since_keyframe, motion.energies = 0, []

    def _drop_pending(self) -> None:
        """A keyframe that waits while tracking fails still enters the map: what was seen is not lost."""
        if self._pending is not None and self._active is not None:
            self._arrive(self._active, self._pending)

    def _insert(self, picture: Picture, answer: NetworkDepth, T_world_cam: Array, view: int, fused: bool) -> None:
        """Eq. 5-9: depth at the map's scale, its uncertainty, fusion with the keyframe before."""
        depth = answer.depth_m
        if self._odometry is not None:
            depth = depth * np.float32(np.exp(self._odometry.add_depth(view, answer)))
        variance = uncertainty.source_variance(depth, answer.sigma_log, self.config.fusion)
        if fused and self._active is not None:
            self._active.publish()
            known = answer.sigma_log is not None
            depth, variance = self._fused(depth, variance, self._active.keyframe, T_world_cam, known)
        keyframe = Keyframe(
            len(self.map.keyframes), picture.index, picture.time_s, picture.image, self.camera, depth, variance,
            answer.depth_m, np.zeros(depth.shape, np.uint16), T_world_cam, self._motion.segment,
            _log_labels(answer), answer.sigma_log,
        )  # fmt: skip
        stretched = self.map.add_keyframe(keyframe, view, self.config.recovery.loops and self._given is None)
        if stretched is not None:
            self._motion.segment = keyframe.segment
            T = self._motion.T_frame_keyframe
            self._motion.T_frame_keyframe = rigid.from_rotation(T[:3, :3], stretched * T[:3, 3])
        self._active = Active.of(keyframe, picture, self.config)

    def _fused(
        self, depth: FloatImage, variance: FloatImage, old: Keyframe, T_world_cam: Array, known: bool
    ) -> tuple[FloatImage, FloatImage]:
        """Eq. 6-9; where the source's own variance is `known` it takes the place of eq. 6."""
        config = self.config.fusion
        T_old_new = rigid.inverse(old.T_world_cam) @ T_world_cam
        seen = uncertainty.look_up(depth, old.depth_m, old.variance, self.intrinsics, T_old_new)
        if known:
            comparable = uncertainty.consistent(depth, variance, seen, config)
            return fusion.fuse(depth, variance, seen, comparable, config)
        U, comparable = uncertainty.uncertainty(depth, seen, config)
        return fusion.fuse(depth, np.where(comparable, U, variance), seen, comparable, config)

    # ---- the end ----------------------------------------------------------------------------------------------------
    def finish(self) -> Reconstruction:
        """Close loops, adjust the whole map, close again, bend the depths, join pieces, apply one scale, bridge short
        gaps.
        """
        self._drop_pending()
        if self._active is not None:
            self._active.publish()
        focal_factor = 1.0
        if self._given is None:
            self.map.close_loops()
            focal_factor = self.map.adjust()
            self.map.settle()
        self.map.bend()
        self.map.sweep()
        if self._given is None and self.config.recovery.loops:
            self.map.join_pieces()
        factor = 1.0 if self._given is not None else finishing.scale_factor(self.map.keyframes)
        self.map.rescale(factor)
        self._worker.close()
        results = [self._result(entry) for entry in self.map.entries]
        segments = len({k.segment for k in self.map.keyframes})
        return Reconstruction(
            self._bridged(results), self.map.keyframes, self.map.edges, self._source.scale, factor, segments,
            focal_factor, self.map.distortion,
        )  # fmt: skip

    def _bridged(self, results: list[FrameResult]) -> list[FrameResult]:
        """Lost frames between two posed ones of the same piece, few in a row, take poses in between."""
        posed = [n for n, r in enumerate(results) if r.T_world_cam is not None]
        out = list(results)
        for a, b in pairwise(posed):
            first, last = results[a], results[b]
            same = self.map.keyframes[first.keyframe].segment == self.map.keyframes[last.keyframe].segment
            if not (1 < b - a <= self.config.recovery.bridge_frames + 1 and same):
                continue
            if first.T_world_cam is None or last.T_world_cam is None:
                continue
            for n in range(a + 1, b):
                share = (results[n].time_s - first.time_s) / max(last.time_s - first.time_s, 1e-9)
                T = finishing.between(first.T_world_cam, last.T_world_cam, share)
                out[n] = replace(results[n], status=Status.INTERPOLATED, T_world_cam=T, keyframe=first.keyframe)
        return out

    def _result(self, entry: Entry) -> FrameResult:
        T = self.map.frame_pose(entry)
        return FrameResult(
            entry.index, entry.time_s, entry.status, T, entry.keyframe, entry.residual, entry.usage, entry.milliseconds
        )

    # ---- saving -----------------------------------------------------------------------------------------------------
    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that the rest of the stream depends on, as plain arrays; see `restore`."""
        out = {
            **state.pack_motion(self._motion), **state.pack_entries(self.map.entries),
            **state.pack_edges(self.map.edges), **state.pack_missed(self._missed),
            **state.pack_keyframes(self.map.keyframes), "view_of": np.array(self.map.view_of, np.int64),
        }  # fmt: skip
        if self._odometry is not None:
            out |= state.pack_odometry(self._odometry)
        if self._active is not None:
            out |= state.pack_active(self._active)
        if (p := self._pending) is not None:
            facts = [p.picture.index, p.picture.time_s, p.position, p.view, list(p.exposure)]
            out |= {"pending/facts": state.text_array(facts), "pending/image": p.picture.image}
            out["pending/T"] = p.T_picture_keyframe
        return out

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state_arrays` gave, in a fresh object of the same camera, source and config.

        Raises:
            InputError: frames were pushed already. FormatError: arrays of something else.
        """
        if self.map.entries:
            raise InputError("restore", f"{len(self.map.entries)} frames in the map", "a fresh CnnSlam")
        self._motion, self.map.entries = state.unpack_motion(arrays), state.unpack_entries(arrays)
        self.map.edges, self.map.keyframes = state.unpack_edges(arrays), state.unpack_keyframes(arrays, self.camera)
        self.map.view_of = [int(v) for v in arrays["view_of"]]
        for keyframe in self.map.keyframes:
            self.map.relocaliser.add(keyframe)
        if "missed/facts" in arrays:  # saved by a version that had them
            self._missed = state.unpack_missed(arrays, self.camera, self.config)
        if self._odometry is not None:
            state.unpack_odometry(arrays, self._odometry)
        if "active/keyframe" in arrays:
            self._active = state.unpack_active(arrays, self.map.keyframes, self.config)
        if "pending/facts" in arrays:
            index, time_s, position, view, exposure = state.read_text(arrays["pending/facts"], "pending keyframe")
            picture = Picture(index, time_s, np.array(arrays["pending/image"]), self.camera, self.config.image.levels)
            answer = self._worker.submit(index, picture.image, self.camera)
            T = np.array(arrays["pending/T"])
            self._pending = Pending(picture, position, view, T, Exposure(*exposure), answer)


def _lost(picture: Picture, tracked: tracking.Tracked | None = None) -> Entry:
    residual, usage = (0.0, 0.0) if tracked is None else (tracked.residual, tracked.usage)
    return Entry(picture.index, picture.time_s, Status.LOST, residual=residual, usage=usage)


def _trailing_lost(entries: list[Entry]) -> list[Entry]:
    """The lost frames at the end."""
    n = len(entries)
    while n and entries[n - 1].status is Status.LOST:
        n -= 1
    return entries[n:]


def _log_labels(answer: NetworkDepth) -> NDArray[np.float16] | None:
    if answer.label_probabilities is None:
        return None
    return np.log(soften(answer.label_probabilities)).astype(np.float16)
