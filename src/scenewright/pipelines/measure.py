"""What a reconstruction is worth: figures against ground truth where the source has any, each with its protocol."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from collections.abc import Sequence as Series

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.meshes import TriangleMesh
from scenewright.data.sequence import Sequence
from scenewright.scene.records import SceneFigure, frames_per_second
from scenewright.slam.evaluate import (
    MeasuredDepth,
    depth_figures,
    mesh_figures,
    sample_surface,
    trajectory_figures,
    umeyama,
)
from scenewright.slam.lens import Lens
from scenewright.slam.types import FrameResult, Keyframe, Reconstruction, Status

Array = NDArray[np.float64]
COMPILE = (
    "wall time until the kernels were compiled (once on a machine) or loaded, before the first frame; not in the above"
)
FOCAL = "by which the map put the stated focal lengths right; 1 where they hold or cannot be told"
DISTORTION = "radial (k1) of the lens, as the map shows it, taken out of the keyframes; 0 where it cannot be told"
ATE = "root mean square of camera positions over all posed frames with truth"
PCD = "share of all keyframe pixels with true depth whose depth is within 10 % of it; no depth counts as wrong"


def run_figures(reconstruction: Reconstruction, seconds: float, compile_s: float) -> list[SceneFigure]:
    """What every run says about itself; the two times are apart, in seconds."""
    frames = reconstruction.frames
    posed = [f for f in frames if f.T_world_cam is not None]
    mean, median = frames_per_second(f.milliseconds for f in frames) or (None, None)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lost = [f for f in frames if f.status is Status.LOST]
    return [
        SceneFigure("frames", len(frames), "", "frames read", "tracking"),
        SceneFigure("posed", len(posed), "", "frames with a pose", "tracking"),
        SceneFigure("lost", len(lost), "", "frames without", "tracking"),
        SceneFigure("segments", reconstruction.segments, "", "map pieces that could not be joined", "tracking"),
        SceneFigure("keyframes", len(reconstruction.keyframes), "", "", "tracking"),
        SceneFigure("focal_factor", reconstruction.focal_factor, "", FOCAL, "tracking"),
        SceneFigure("distortion", reconstruction.distortion, "", DISTORTION, "tracking"),
        SceneFigure("path_m", _path(posed), "m", "length of the estimated camera path", "tracking"),
        SceneFigure("fps", mean, "frames/s", "frames / summed time of the frames", "speed"),
        SceneFigure("fps_median", median, "frames/s", "1 / median time of a frame", "speed"),
        SceneFigure("seconds", seconds, "s", "wall time of tracking, networks and mapping included", "speed"),
        SceneFigure("compile_s", compile_s, "s", COMPILE, "speed"),
        SceneFigure("peak_memory_mb", peak_mb, "MB", "largest resident size of the process", "speed"),
    ]


def _path(frames: Series[FrameResult]) -> float:
    positions = np.array([f.T_world_cam[:3, 3] for f in frames if f.T_world_cam is not None]).reshape(-1, 3)
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def pairs_with_truth(frames: Iterable[FrameResult], truth: dict[int, Array]) -> tuple[Array, Array, Array]:
    """Times (N,), estimated and true T_world_cam (N, 4, 4) of the frames that have both."""
    rows = [(f.time_s, f.T_world_cam, truth[f.index]) for f in frames if f.T_world_cam is not None and f.index in truth]
    times = np.array([row[0] for row in rows])
    estimated, true = (np.array([row[k] for row in rows]).reshape(-1, 4, 4) for k in (1, 2))
    return times, estimated, true


def trajectory_rows(frames: Iterable[FrameResult], truth: dict[int, Array]) -> list[SceneFigure]:
    """ATE after both alignments, and the scale; nothing where fewer than three frames have truth."""
    _, estimated, true = pairs_with_truth(frames, truth)
    if len(true) < 3:
        return []
    t = trajectory_figures(estimated, true)
    group = "trajectory against ground truth"
    return [
        SceneFigure("ate_sim3_m", t.ate_sim3, "m", f"{ATE}, after similarity alignment", group),
        SceneFigure("ate_se3_m", t.ate_se3, "m", f"{ATE}, after rigid alignment (scale untouched)", group),
        SceneFigure("scale_ratio", t.scale_ratio, "", "estimated size / true size, 1 = metric scale is right", group),
        SceneFigure("true_path_m", t.path_m, "m", "length of the true path", group),
    ]


def aligned_truth(frames: Iterable[FrameResult], truth: dict[int, Array]) -> tuple[Array, list[Array]] | None:
    """The true path in the reconstruction's world, rigidly aligned; None with fewer than three frames."""
    times, estimated, true = pairs_with_truth(frames, truth)
    if len(true) < 3:
        return None
    fit = umeyama(true[:, :3, 3], estimated[:, :3, 3], with_scale=False)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = fit.rotation, fit.translation
    return times, [motion @ T for T in true]


MESH = (
    "against the depth camera's points at the keyframes' true poses, one each 2.5 cm, up to 6 m; similarity alignment "
    "by camera positions, then by the surfaces (closest points); only where the depth camera measured"
)


def mesh_rows(
    mesh: TriangleMesh, reconstruction: Reconstruction, sequence: Sequence, positions: dict[int, int],
    truth: dict[int, Array],
) -> list[SceneFigure]:  # fmt: skip
    """Precision, recall and F-score at 10 cm, and mean distances; nothing without depth and poses to compare with."""
    _, estimated, true = pairs_with_truth(reconstruction.frames, truth)
    views = []
    for keyframe in reconstruction.keyframes:
        depth = next(sequence.frames_from(positions[keyframe.index])).depth_m
        if depth is not None and (depth > 0).any() and keyframe.index in truth:
            views.append(MeasuredDepth(depth, sequence.camera.numbers, truth[keyframe.index]))
    if len(true) < 3 or not views or not len(mesh.faces):
        return []
    points = sample_surface(mesh.vertices.astype(np.float64), mesh.faces, 60_000, np.random.default_rng(0))
    alignment = umeyama(estimated[:, :3, 3], true[:, :3, 3], with_scale=True)
    f = mesh_figures(points, alignment, views)
    group = "mesh against ground truth"
    return [
        SceneFigure("mesh_f10", 100 * f.f_score, "%", f"harmonic mean of precision and recall, {MESH}", group),
        SceneFigure("mesh_precision10", 100 * f.precision, "%", f"share of the mesh within 10 cm, {MESH}", group),
        SceneFigure(
            "mesh_recall10", 100 * f.recall, "%", f"share of the truth within 10 cm of the mesh, {MESH}", group
        ),
        SceneFigure("mesh_accuracy_m", f.accuracy_m, "m", f"mean distance from mesh to truth, {MESH}", group),
        SceneFigure("mesh_completeness_m", f.completeness_m, "m", f"mean distance from truth to mesh, {MESH}", group),
    ]


def depth_rows(
    keyframes: Series[Keyframe], sequence: Sequence, positions: dict[int, int], distortion: float = 0.0
) -> list[SceneFigure]:
    """The paper's ablation: network alone, stereo alone, fused; and the trivial maps beside them.

    Args:
        distortion: what was taken out of the keyframes, and is out of the true depth here.
    """
    kept, truths = [], []
    for keyframe in keyframes:
        depth = next(sequence.frames_from(positions[keyframe.index])).depth_m
        if depth is not None and (depth > 0).any():
            size = (keyframe.camera.width, keyframe.camera.height)
            resized = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
            truths.append(Lens(keyframe.camera, distortion).values(resized) if distortion else resized)
            kept.append(keyframe)
    if not kept:
        return []
    variants = {
        "": [k.depth_m for k in kept],
        "_network": [k.depth_network_m for k in kept],
        "_stereo": [np.where(k.observed > 0, k.depth_m, 0).astype(np.float32) for k in kept],
    }
    rows = []
    for suffix, maps in variants.items():
        if any((m > 0).any() for m in maps):
            rows += _depth_rows(suffix, depth_figures(maps, truths))
    trivial = depth_figures([np.full_like(t, 2.0) for t in truths], truths)
    return [
        *rows,
        _row("pcd10_raw_constant", trivial.constant_raw, "2 m everywhere"),
        _row("pcd10_scaled_constant", trivial.constant_scaled, "the clip's median depth everywhere"),
    ]


_KINDS = {"": "refined and fused", "_network": "network alone", "_stereo": "stereo alone"}


def _depth_rows(suffix: str, figures: object) -> list[SceneFigure]:
    raw, scaled = figures.pcd10_raw, figures.pcd10_scaled  # type: ignore[attr-defined]
    return [
        _row(f"pcd10_raw{suffix}", raw, _KINDS[suffix]),
        _row(f"pcd10_scaled{suffix}", scaled, f"{_KINDS[suffix]}, after one factor for the clip"),
    ]


def _row(name: str, share: float, what: str) -> SceneFigure:
    return SceneFigure(name, 100 * share, "%", f"{PCD}; {what}", "depth against ground truth")
