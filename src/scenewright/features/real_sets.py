"""Real photographs whose cameras, or whose plane, are known: what features are compared on in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scenewright.data.posed_photos import PosedPhoto, open_posed_photos
from scenewright.data.readers import open_reader
from scenewright.data.sample import image_tensor
from scenewright.data.sequences import FileSequence, open_sequence
from scenewright.errors import FormatError, InputError
from scenewright.features import metrics
from scenewright.features.evaluate import resized_plane
from scenewright.features.extract import Extractor
from scenewright.features.robust import homography, relative_pose
from scenewright.features.task import Features, HomographySample

LONGEST_PX = 640
KEYPOINTS = 1000
SETS = {
    "fountain": "mvs_strecha_fountain",
    "castle": "mvs_strecha_castle",
    "door": "sfm_lund_door",
    "kitchen": "rgbd_7scenes_redkitchen",
}
"""Sets with cameras, by their columns' names: a folder of photographs with cameras, or of RGB-D frames with poses."""
PLANE = "homography_graf"
PAIRS = 16
"""At most so many of each set, evenly spread."""
_NEIGHBOURS = 2
_APART_M, _TURN_DEG = 0.3, 40.0
_LOST_PX = 200.0


@dataclass(frozen=True)
class PosedViews:
    """Views with cameras, and which of them are matched.

    Args:
        views: photographs, at most 640 pixels on the longer side.
        pairs: rows of two views.
    """

    views: list[PosedPhoto]
    pairs: list[tuple[int, int]]


@dataclass(frozen=True)
class RealSets:
    """All sets, read. views: by the sets' names. plane: two photographs of one plane."""

    views: dict[str, PosedViews]
    plane: HomographySample

    def pictures(self) -> Iterable[Any]:
        """Everything that features are looked for in, for a fingerprint."""
        for posed in self.views.values():
            yield from (np.asarray(v.image) for v in posed.views)
        yield from (self.plane.first, self.plane.second)


def open_real_sets(folder: str | Path) -> RealSets:
    """The sets of `SETS` and the plane, each in a folder of its own.

    Raises:
        FormatError: one that is missing or damaged.
    """
    root = Path(folder)
    for name in (*SETS.values(), PLANE):
        if not (root / name).is_dir():
            raise FormatError(root, f"no folder {name}", f"{', '.join((*SETS.values(), PLANE))}")
    views = {name: open_views(root / place) for name, place in SETS.items()}
    _, reader = open_reader(f"homographies:{root / PLANE}")
    return RealSets(views, resized_plane(reader[0], LONGEST_PX))


def open_views(folder: str | Path) -> PosedViews:
    """16 pairs: photographs with known cameras, each with the next two by name; or frames of an RGB-D sequence with
    poses, each with the next that is 0.3 m away and turned by at most 40 degrees.

    Raises:
        FormatError: neither of both, or damaged.
        InputError: frames that never move so far.
    """
    path = Path(folder)
    if (path / "images").is_dir() or (path / "sparse").is_dir():
        photos = open_posed_photos(path)
        pairs = [(i, j) for i in range(len(photos)) for j in range(i + 1, min(i + 1 + _NEIGHBOURS, len(photos)))]
        return _views(photos.__getitem__, _spread(pairs))
    return _frames(path)


def _resized(photo: PosedPhoto) -> PosedPhoto:
    height, width = photo.image.shape[:2]
    share = LONGEST_PX / max(height, width)
    if share >= 1:
        return photo
    size = (round(share * width), round(share * height))
    small = np.asarray(cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return PosedPhoto(photo.name, small, photo.camera.resize(*size), photo.T_cam_world)


def _frames(path: Path) -> PosedViews:
    sequence = open_sequence(path)
    if not isinstance(sequence, FileSequence):
        raise FormatError(path, "a film", "photographs with cameras, or frames with poses")
    posed = sequence.posed()
    poses = [np.asarray(sequence.pose(k)) for k in posed]
    chosen = frame_pairs(poses, PAIRS + 4)  # of the last frames there is no later one
    if not chosen:
        raise InputError(str(path), f"no two of {len(poses)} frames {_APART_M} m apart", "a camera that moves")

    def view(k: int) -> PosedPhoto:
        image = next(sequence.frames_from(posed[k])).image
        return PosedPhoto(str(posed[k]), image, sequence.camera, np.linalg.inv(poses[k]))

    return _views(view, _spread(chosen))


def _spread(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).astype(int)).tolist()]


def _views(get: Callable[[int], PosedPhoto], pairs: list[tuple[int, int]]) -> PosedViews:
    """Only the views that some pair needs."""
    needed = sorted({k for pair in pairs for k in pair})
    row = {k: n for n, k in enumerate(needed)}
    return PosedViews([_resized(get(k)) for k in needed], [(row[i], row[j]) for i, j in pairs])


def frame_pairs(poses: list[Any], count: int) -> list[tuple[int, int]]:
    """`count` frames evenly spread, each with the first later one 0.3 m away, unless that is turned by over 40 degrees.

    Args:
        poses: (4, 4) camera to world, metres.
        count: frames that are asked for a partner.
    """
    pairs = []
    for i in np.unique(np.linspace(0, len(poses) - 1, count).astype(int)).tolist():
        for j in range(i + 1, len(poses)):
            T = np.linalg.inv(poses[j]) @ poses[i]
            if np.linalg.norm(T[:3, 3]) >= _APART_M:
                if (np.trace(T[:3, :3]) - 1) / 2 >= np.cos(np.radians(_TURN_DEG)):
                    pairs.append((i, j))
                break
    return pairs


def real_figures(kind: Extractor, sets: RealSets) -> dict[str, float]:
    """AUC of the pose error at 5, 10 and 20 degrees, the mean over the sets, and at 10 of each set; the error of
    the plane's corners, at most 200 pixels; and the mean number of matches."""
    aucs, counts = {}, list[int]()
    for name, posed in sets.views.items():
        errors, matched = pose_errors(kind, posed)
        aucs[name] = metrics.error_auc(errors, [5, 10, 20])
        counts += matched
    mean = np.mean(list(aucs.values()), 0)
    figures = {f"AUC@{t}": float(v) for t, v in zip((5, 10, 20), mean)}
    figures |= {f"{name} AUC@10": float(values[1]) for name, values in aucs.items()}
    return figures | {"graf error": plane_error(kind, sets.plane), "matches": float(np.mean(counts))}


def pose_errors(kind: Extractor, posed: PosedViews) -> tuple[list[float], list[int]]:
    """Degrees of each pair, 180 without an answer, and numbers of matches."""
    found = [kind.features(image_tensor(v.image), KEYPOINTS) for v in posed.views]
    errors, counts = [], []
    for i, j in posed.pairs:
        first, second = _matched(kind, found[i], found[j])
        a, b = posed.views[i], posed.views[j]
        pose = relative_pose(first, second, (a.camera, b.camera))
        T = b.T_cam_world @ np.linalg.inv(a.T_cam_world)
        errors.append(180.0 if pose is None else metrics.pose_error_deg(pose.R, pose.t, T[:3, :3], T[:3, 3]))
        counts.append(len(first))
    return errors, counts


def plane_error(kind: Extractor, plane: HomographySample) -> float:
    """Mean distance of the corners under the estimated and the true homography, pixels, at most 200."""
    found = [kind.features(image[None], KEYPOINTS) for image in (plane.first, plane.second)]
    model = homography(*_matched(kind, *found))
    size = (int(plane.first.shape[-2]), int(plane.first.shape[-1]))
    return min(metrics.corner_error(None if model is None else model.H, plane.H_second_first.numpy(), size), _LOST_PX)


def _matched(kind: Extractor, first: Features, second: Features) -> tuple[Any, Any]:
    """(M, 2) pixels of the matches in either view."""
    rows = kind.match(first, second).pairs
    return first.xy[rows[:, 0]].numpy(), second.xy[rows[:, 1]].numpy()
