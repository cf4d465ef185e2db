"""Photographs placed in a scene that was made of earlier frames of the same film (protocol `localize-split`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequence import Sequence
from scenewright.data.sequences import open_sequence
from scenewright.engine.scoreboard import measured, store
from scenewright.errors import InputError
from scenewright.pipelines.localize import Localizer
from scenewright.pipelines.reconstruct import Options, reconstruct
from scenewright.pipelines.sources import features_weights
from scenewright.scene.scene import Scene
from scenewright.slam.evaluate import Alignment, align_poses
from scenewright.slam.protocols import LOCALIZE_SPLIT, PHOTOS, SPLIT_AT

Array = NDArray[np.float64]
Figures = dict[str, float]
Progress = Callable[[int, int, str], None]
WRONG_CM = 50.0


@dataclass(frozen=True)
class Split:
    """A film of which the first frames make the scene and the next ones are photographs."""

    scene: int = SPLIT_AT
    photos: int = PHOTOS


def score_localize(
    source: str, names: list[str], *, depth: str = "fcrn", scene: Path | None = None, results: Path | None = None,
    split: Split | None = None, progress: Progress = lambda done, total, what: None,
) -> dict[str, Figures]:  # fmt: skip
    """Measure features by the photographs they place.

    Args:
        source: a sequence with poses.
        names: features, as `scenewright localize` has them.
        depth: what the scene is made with, as `scenewright reconstruct` has it.
        scene: the Scene folder, which is kept; one that is there already is used, if it is of the same job.
        results: root folder to store the figures under.
        split: the protocol's, unless given; results of another cannot be stored.

    Raises:
        InputError: too short a sequence, or one without poses; unknown features.
    """
    split = split or Split()
    sequence = open_sequence(source)
    if len(sequence) < split.scene + split.photos:
        raise InputError(
            source, f"{len(sequence)} frames", f"{split.scene + split.photos} or more, as the protocol has"
        )
    if results is not None and split != Split():
        raise InputError("--results", f"a split of {split}", "the protocol's")
    truth = {f.index: f.T_world_cam for f in islice(sequence, split.scene + split.photos) if f.T_world_cam is not None}
    if not truth:
        raise InputError(source, "no poses", "a sequence with true poses")
    with TemporaryDirectory() as spare:
        folder = scene or Path(spare) / "split.scene"
        made = reconstruct(
            source, folder, Options(max_frames=split.scene, labels=False, depth=depth), progress=progress
        )
        rows = {name: _row(made, sequence, truth, name, split, progress) for name in names}
    if results is not None:
        for name, figures in rows.items():
            _store(name, depth, figures, sequence, results)
    return rows


def _row(
    scene: Scene, sequence: Sequence, truth: dict[int, Array], name: str, split: Split, progress: Progress
) -> Figures:
    localizer, height, width = Localizer(scene, name), *sequence.camera.size
    camera = scene.lens.resize(width, height)  # the one that took the scene, as the scene knows it
    answers: dict[int, Array | None] = {}
    for frame in islice(sequence.frames_from(split.scene), split.photos):
        found = localizer.locate(frame.image, camera)
        answers[frame.index] = None if found is None else found.T_world_cam
        progress(len(answers), split.photos, f"placing photographs by {name}")
    return figures_of(answers, scene_poses(scene), truth)


def scene_poses(scene: Scene) -> dict[int, Array]:
    """T_world_cam of a scene's posed frames, by index."""
    return {f.index: f.T_world_cam for f in scene.frames() if f.T_world_cam is not None}


def figures_of(answers: dict[int, Array | None], path: dict[int, Array], truth: dict[int, Array]) -> Figures:
    """The protocol's figures.

    Args:
        answers: T_world_cam by frame, None where refused. path: of the scene's own frames. truth: of all frames.
    """
    shared = [index for index in path if index in truth]
    estimated, true = (np.array([poses[index] for index in shared]).reshape(-1, 4, 4) for poses in (path, truth))
    similar, rigid = (align_poses(estimated, true, with_scale=s) for s in (True, False))
    scene_cm, scene_deg = pose_errors(similar, estimated, true)
    known = {index: T for index, T in answers.items() if T is not None and index in truth}
    asked = sum(index in truth for index in answers)
    found = np.array(list(known.values())).reshape(-1, 4, 4)
    wanted = np.array([truth[index] for index in known]).reshape(-1, 4, 4)
    cm, deg = pose_errors(similar, found, wanted)
    raw_cm, _ = pose_errors(rigid, found, wanted)
    nothing = not len(known)  # without an answer the medians are what a refusal is worth: as wrong as wrong can be
    return {
        "median_cm": 1e3 if nothing else float(np.median(cm)),
        "median_deg": 180.0 if nothing else float(np.median(deg)),
        "answered": 100 * len(known) / asked,
        "within_5cm_5deg": 100 * float(((cm < 5) & (deg < 5)).sum()) / asked,
        "wrong": 100 * float((cm > WRONG_CM).sum()) / asked,
        "raw_median_cm": 1e3 if nothing else float(np.median(raw_cm)),
        "scene_cm": float(np.median(scene_cm)),
        "scene_deg": float(np.median(scene_deg)),
    }


def pose_errors(alignment: Alignment, estimated: Array, true: Array) -> tuple[Array, Array]:
    """Errors in centimetres and degrees (N,) of aligned poses (N, 4, 4)."""
    cm = 100 * np.linalg.norm(alignment(estimated[:, :3, 3]) - true[:, :3, 3], axis=1)
    turn = np.einsum("nji,jk,nkl->nil", true[:, :3, :3], alignment.rotation, estimated[:, :3, :3])
    cosine = (np.trace(turn, axis1=1, axis2=2) - 1) / 2
    return cm, np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _store(name: str, depth: str, figures: Figures, sequence: Sequence, root: Path) -> None:
    weights = next(iter(features_weights(name).values()), "")
    method = (name.replace("+", "-") if depth == "fcrn" else f"{name.replace('+', '-')}-{Path(depth).name}").lower()
    data = {"items": PHOTOS, "sha256": sequence.fingerprint()}
    store(measured(LOCALIZE_SPLIT, method, figures, weights_sha256=weights, data=data, baseline=not weights), root)
