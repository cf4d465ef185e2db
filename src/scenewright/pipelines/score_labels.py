"""What fusing labels over views is worth: the map's labels against each keyframe's own, on walks with known rooms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.meshes import TriangleMesh, read_ply
from scenewright.data.safe import read_text
from scenewright.data.sequences import open_sequence
from scenewright.depth.evaluate import iou_of
from scenewright.engine.scoreboard import measured, store
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.pipelines.reconstruct import Options, reconstruct
from scenewright.pipelines.walk import RECORD, WalkOptions, fingerprint
from scenewright.scene.scene import Scene
from scenewright.slam.protocols import ROOMS_LABELS
from scenewright.worlds.library import Library
from scenewright.worlds.render import Renderer
from scenewright.worlds.rooms import build_room

Counts = NDArray[np.int64]


def score_labels(folder: Path, depth: str = "fcrn", results: Path | None = None) -> dict[str, dict[str, float]]:
    """Reconstruct every walk in a folder and compare labels with the rooms' own.

    Args:
        folder: holds clip folders that `worlds walk` made. Scenes are kept beside them as NAME.scene.
        depth: depth source that also labels.
        results: root folder to store under `rooms-labels`.

    Returns:
        by row, "cnn-slam-DEPTH" (fused) and "single-frame": IoU by class, their mean, and the share of right pixels.

    Raises:
        InputError: no walk, or a source without labels.
    """
    walks = sorted(path.parent for path in folder.glob(f"*/{RECORD}"))
    if not walks:
        raise InputError("folder of walks", folder, f"folders with a {RECORD}, which `scenewright worlds walk` makes")
    single, fused = (np.zeros((len(LABELS), len(LABELS)), np.int64) for _ in range(2))
    weights = ""
    for walk in walks:
        scene = reconstruct(walk, walk.with_suffix(".scene"), Options(depth=depth))
        own, mapped = walk_counts(walk, scene)
        single, fused = single + own, fused + mapped
        weights = next(iter(scene.manifest.weights.values()), "")
    rows = {f"cnn-slam-{Path(depth).name}": _figures(fused), "single-frame": _figures(single)}
    if results is not None:
        for name, figures in rows.items():
            data = {"walks": len(walks), "pixels": int(single.sum()), "sha256": fingerprint(walks)}
            baseline = name == "single-frame"
            store(measured(ROOMS_LABELS, name, figures, weights_sha256=weights, data=data, baseline=baseline), results)
    return rows


def _figures(counts: Counts) -> dict[str, float]:
    return {**iou_of(counts), "accuracy": float(np.trace(counts) / counts.sum())}


def walk_counts(walk: Path, scene: Scene) -> tuple[Counts, Counts]:
    """(true, found) counts of the keyframes' own labels and of the map's, over pixels where a ray meets the map."""
    renderer = room_of(walk / RECORD)
    if not scene.has("labels.ply"):
        raise InputError(scene.folder, "a scene without labels", "one whose depth source also labels")
    mesh = read_ply(scene.folder / "mesh.ply")
    truth = {f.index: f.T_world_cam for f in open_sequence(walk)}
    single, fused = (np.zeros((len(LABELS), len(LABELS)), np.int64) for _ in range(2))
    for keyframe in scene.keyframes():
        T_true = truth.get(keyframe.index)
        if T_true is None or keyframe.labels is None:
            continue
        true = renderer.truth(keyframe.camera, T_true).labels
        seen = look_at_labels(mesh, keyframe.camera, keyframe.T_world_cam)
        known = (true > 0) & (seen > 0) & (keyframe.labels > 0)
        single += count_pairs(true[known], keyframe.labels[known])
        fused += count_pairs(true[known], seen[known])
    return single, fused


def room_of(record: Path) -> Renderer:
    """The room that a walk's record names, ready to be looked at.

    Raises:
        FormatError: the record is damaged.
    """
    try:
        options = WalkOptions(**json.loads(read_text(record, 1 << 16)))
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(record, repr(error), "the record that `worlds walk` wrote") from None
    library = Library.installed() if options.library else None
    return Renderer(build_room(options.seed, options.split, options.kind.replace("-", " "), library))


def look_at_labels(mesh: TriangleMesh, camera: Camera, T_world_cam: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W) label of the first vertex of the triangle that each pixel's ray meets, 0 where it meets none."""
    import trimesh

    fx, fy, cx, cy = camera.numbers
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1).reshape(-1, 3) @ T_world_cam[:3, :3].T
    out = np.zeros(len(rays), np.uint8)
    if mesh.labels is None or not len(mesh.faces):
        return out.reshape(camera.size)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    face = solid.ray.intersects_first(np.broadcast_to(T_world_cam[:3, 3], rays.shape), rays)
    out[face >= 0] = mesh.labels[mesh.faces[face[face >= 0], 0]]
    return out.reshape(camera.size)


def count_pairs(true: NDArray[np.uint8], found: NDArray[np.uint8]) -> Counts:
    """(C, C) how often each (true, found) pair of class indices occurs."""
    pairs = true.astype(np.int64) * len(LABELS) + found
    return np.bincount(pairs, minlength=len(LABELS) ** 2).reshape(len(LABELS), len(LABELS))
