"""Whole reconstructions of walks through synthetic rooms against exact truth (protocol `rooms-walks`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequence import Sequence
from scenewright.data.sequences import open_sequence
from scenewright.engine.scoreboard import measured, store
from scenewright.errors import InputError
from scenewright.pipelines import measure
from scenewright.pipelines.sources import choose_depth, frame_indices
from scenewright.pipelines.walk import WalkOptions, fingerprint, walk
from scenewright.slam.config import SlamConfig
from scenewright.slam.evaluate import (
    align_poses,
    revisit_error,
    sample_surface,
    surface_figures,
    trajectory_figures,
)
from scenewright.slam.mesh import SurfaceMesh, extract
from scenewright.slam.protocols import ROOMS_WALKS, WALKS
from scenewright.slam.system import CnnSlam
from scenewright.slam.tsdf import TsdfOptions, fuse
from scenewright.slam.types import Keyframe, Reconstruction

Array = NDArray[np.float64]
Figures = dict[str, float]
Progress = Callable[[int, int, str], None]
POINTS, TRUTH_EVERY, THRESHOLD_M = 200_000, 10, 0.05
TRUE_SD = 0.005
"""Share of the depth; only how thick the true surfaces' truncation is depends on it."""


def score_walks(
    folder: Path, *, depth: str = "fcrn", as_printed: bool = False, results: Path | None = None,
    progress: Progress = lambda done, total, what: None,
) -> tuple[Figures, dict[str, Figures]]:  # fmt: skip
    """Reconstruct the protocol's walks and compare; walks that the folder lacks are filmed first.

    Args:
        folder: of the walks, one folder a room.
        depth: as `reconstruct` has it.
        as_printed: the paper's tracker instead of the corner odometry.
        results: root folder to store the figures under.

    Returns:
        the protocol's figures, and those of every room.

    Raises:
        InputError: a folder of other walks, or a depth method that cannot be used.
    """
    config = SlamConfig.as_printed() if as_printed else SlamConfig()
    rooms, weights = {}, ""
    for kind, seed in WALKS.items():
        clip = walk(folder / kind, WalkOptions(kind, seed), progress=progress)
        sequence = open_sequence(clip)
        chosen = choose_depth(depth, sequence)
        weights = next(iter(chosen.weights.values()), "")
        slam = CnnSlam(sequence.camera, chosen.source, config)
        twin = CnnSlam(sequence.camera, chosen.source, without_loops(config))
        rooms[kind] = score_walk(slam, twin, sequence, progress)
    figures = summary(rooms)
    if results is not None:
        name = f"cnn-slam-{Path(depth).name}" + ("-as-printed" if as_printed else "")
        data = {"items": len(rooms), "rooms": rooms, "sha256": fingerprint([folder / kind for kind in WALKS])}
        store(measured(ROOMS_WALKS, name, figures, weights_sha256=weights, data=data), results)
    return figures, rooms


def summary(rooms: dict[str, Figures]) -> Figures:
    """Means over the rooms, and the worst of some."""
    names = next(iter(rooms.values()))
    means = {name: float(np.mean([room[name] for room in rooms.values()])) for name in names}
    means["ate_worst"] = max(room["ate_percent"] for room in rooms.values())
    means["f_score_worst"] = min(room["f_score_5cm"] for room in rooms.values())
    return means


def without_loops(config: SlamConfig) -> SlamConfig:
    """The same, but keyframes far apart are not tied together."""
    return replace(config, recovery=replace(config.recovery, loops=False))


def score_walk(slam: CnnSlam, twin: CnnSlam, sequence: Sequence, progress: Progress) -> Figures:
    """One walk's figures.

    Args:
        slam, twin: two fresh systems alike, but that the second, `without_loops`, ends the same run.
    """
    truth: dict[int, Array] = {}
    for position, frame in enumerate(sequence, 1):
        slam.push(frame)
        if frame.T_world_cam is not None:
            truth[frame.index] = frame.T_world_cam
        progress(position, len(sequence), f"tracking {sequence.name}")
    twin.restore(slam.state_arrays())
    twin.map.edges = [edge for edge in twin.map.edges if edge.kind == "odometry"]
    closed, opened = slam.finish(), twin.finish()
    _, estimated, true = measure.pairs_with_truth(closed.frames, truth)
    if len(true) < 3:
        raise InputError(f"walk {sequence.name}", f"{len(true)} posed frames with truth", "at least 3")
    t = trajectory_figures(estimated, true)
    figures = {
        "ate_percent": 100 * t.ate_sim3 / t.path_m,
        "posed_share": 100 * t.frames / len(sequence),
        "scale_error": 100 * abs(t.scale_ratio - 1),
        "f_score_5cm": 100 * f_score(closed, sequence, estimated, true),
        "revisit_open_cm": 100 * _revisit(opened, truth),
        "revisit_cm": 100 * _revisit(closed, truth),
        "path_m": t.path_m,
    }
    positions = {index: at for at, index in enumerate(frame_indices(sequence))}
    rows = measure.depth_rows(closed.keyframes, sequence, positions, closed.distortion)
    wanted = ("pcd10_scaled", "pcd10_scaled_network")
    return figures | {row.name: float(row.value) for row in rows if row.name in wanted and row.value is not None}


def _revisit(reconstruction: Reconstruction, truth: dict[int, Array]) -> float:
    _, estimated, true = measure.pairs_with_truth(reconstruction.frames, truth)
    return revisit_error(estimated, true, 1 / trajectory_figures(estimated, true).scale_ratio)[0]


def f_score(reconstruction: Reconstruction, sequence: Sequence, estimated: Array, true: Array) -> float:
    """Of the reconstruction's mesh, moved rigidly by the cameras' alignment, against that of true depths and poses.

    A reconstruction without a surface scores 0.
    """
    if not reconstruction.keyframes:
        return 0.0
    made, wanted = _mesh(reconstruction.keyframes), _mesh(true_keyframes(sequence))
    if not len(made.faces):
        return 0.0
    generator = np.random.default_rng(0)
    points, target = (sample_surface(m.vertices.astype(float), m.faces, POINTS, generator) for m in (made, wanted))
    return surface_figures(align_poses(estimated, true, with_scale=False)(points), target, THRESHOLD_M).f_score


def _mesh(keyframes: list[Keyframe]) -> SurfaceMesh:
    return extract(fuse(keyframes, TsdfOptions()))


def true_keyframes(sequence: Sequence, every: int = TRUTH_EVERY) -> list[Keyframe]:
    """Every n-th frame as a keyframe with its true depth and pose."""
    out: list[Keyframe] = []
    for position, frame in enumerate(sequence):
        if position % every or frame.depth_m is None or frame.T_world_cam is None:
            continue
        depth = np.ascontiguousarray(frame.depth_m, np.float32)
        variance = np.square(TRUE_SD * depth).astype(np.float32)
        seen = np.zeros(depth.shape, np.uint16)
        out.append(
            Keyframe(
                len(out), frame.index, frame.time_s, frame.image, sequence.camera, depth, variance, depth, seen,
                frame.T_world_cam,
            )
        )  # fmt: skip
    return out
