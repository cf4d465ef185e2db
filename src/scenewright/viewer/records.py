"""What a report is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.data.meshes import TriangleMesh, read_ply
from scenewright.errors import InputError
from scenewright.scene.manifest import Manifest
from scenewright.scene.records import SceneFigure, SceneFrame, SceneKeyframe
from scenewright.scene.scene import Scene
from scenewright.scene.tables import read_trajectory

TRUTH_NAME = "groundtruth.txt"


@dataclass(frozen=True)
class ReportInput:
    """A scene as plain records, in world axes.

    Args:
        manifest: name, source, scale, up, class names, options, versions, weights, steps.
        mesh: coloured surface with labels where there are any; no faces makes a point cloud, no vertices nothing.
        keyframes: read once, in order.
        frames: one per frame of the video, in order of time.
        figures: of metrics.json.
        truth: times (N,) in seconds and positions (N, 3) of the true camera path, aligned to the world; None without.
    """

    manifest: Manifest
    mesh: TriangleMesh
    keyframes: Iterable[SceneKeyframe]
    frames: Sequence[SceneFrame]
    figures: Sequence[SceneFigure] = ()
    truth: tuple[NDArray[np.float64], NDArray[np.float64]] | None = field(default=None)

    def __post_init__(self) -> None:
        self.mesh.check("report mesh")
        times = [frame.time_s for frame in self.frames]
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise InputError("report frames", "times that do not increase", "frames in order of time")
        if self.truth is not None and self.truth[1].shape != (len(self.truth[0]), 3):
            found = f"{len(self.truth[0])} times and positions {self.truth[1].shape}"
            raise InputError("report truth", found, "times (N,) and positions (N, 3)")


def input_of_scene(scene: Scene) -> ReportInput:
    """Everything a report shows, read from a Scene folder; what the folder lacks is left out of the page."""
    return ReportInput(
        manifest=scene.manifest,
        mesh=_mesh(scene),
        keyframes=scene.keyframes(),
        frames=scene.frames() if scene.has("frames.csv") else [],
        figures=scene.figures() if scene.has("metrics.json") else [],
        truth=_truth(scene.path(TRUTH_NAME)) if scene.has(TRUTH_NAME) else None,
    )


def _mesh(scene: Scene) -> TriangleMesh:
    """mesh.ply, with the labels of labels.ply where it has none of its own."""
    if not scene.has("mesh.ply"):
        return TriangleMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    mesh = read_ply(scene.path("mesh.ply"))
    if mesh.labels is not None or not scene.has("labels.ply"):
        return mesh
    labelled = read_ply(scene.path("labels.ply"))
    if labelled.labels is None or not len(labelled.vertices):
        return mesh
    if labelled.vertices.shape == mesh.vertices.shape and np.array_equal(labelled.vertices, mesh.vertices):
        return replace(mesh, labels=labelled.labels)
    return replace(mesh, labels=labelled.labels[cKDTree(labelled.vertices).query(mesh.vertices)[1]])


def _truth(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times, poses = read_trajectory(path)
    return times, poses[:, :3, 3]
