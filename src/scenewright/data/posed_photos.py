"""Photographs with known cameras: a COLMAP text model, or a folder with images/ and cameras.json.

Pixels of `Camera` have their centres at integers; COLMAP's lie at halves, so half a pixel is taken off its principal
point. Images are undistorted on reading.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scenewright.data.images import read_image
from scenewright.data.safe import inside, read_text
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

Doubles = NDArray[np.float64]
_MAX_IMAGES = 10_000
_MODELS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}
"""COLMAP's camera models that can be read, and how many parameters each has."""


@dataclass(frozen=True)
class PosedPhoto:
    """One photograph.

    Args:
        name: of its file.
        image: (H, W, 3) uint8 RGB, undistorted.
        camera: of it, without distortion.
        T_cam_world: (4, 4) world to camera, in the set's unit.
    """

    name: str
    image: NDArray[np.uint8]
    camera: Camera
    T_cam_world: Doubles


@dataclass(frozen=True)
class _Entry:
    name: str
    size: tuple[int, int]
    K: tuple[float, float, float, float]
    distortion: tuple[float, ...]
    T: Doubles


def open_posed_photos(folder: str | Path) -> list[PosedPhoto]:
    """Read all photographs, by name.

    Args:
        folder: holds images/ and either cameras.txt and images.txt (COLMAP, also below sparse/0 or sparse) or
            cameras.json.

    Raises:
        FormatError: none of these, or one that is damaged or names images that are not there.
    """
    folder = Path(folder)
    for model in (folder, folder / "sparse", folder / "sparse" / "0"):
        if (model / "images.txt").is_file():
            entries = _colmap(model)
            break
    else:
        if not (folder / "cameras.json").is_file():
            raise FormatError(folder, "neither images.txt nor cameras.json", "photographs with known cameras")
        entries = _json(folder / "cameras.json")
    return [_photo(folder, e) for e in sorted(entries, key=lambda e: e.name)]


def _photo(folder: Path, entry: _Entry) -> PosedPhoto:
    path = inside(folder / "images", entry.name, str(folder))
    image = read_image(path)
    if image.shape[:2] != entry.size[::-1]:
        raise FormatError(path, f"{image.shape[1]}x{image.shape[0]} pixels", f"{entry.size[0]}x{entry.size[1]}")
    fx, fy, cx, cy = entry.K
    if any(entry.distortion):
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        image = np.asarray(cv2.undistort(image, K, np.array(entry.distortion)), np.uint8)
    return PosedPhoto(entry.name, image, Camera.from_parameters(*entry.size, *entry.K), entry.T)


def _numbers(where: str, words: Sequence[Any], count: int) -> list[float]:
    """Finite numbers.

    Raises:
        FormatError: another count, or what is no finite number.
    """
    try:
        values = [float(w) for w in words]
    except (TypeError, ValueError):
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise FormatError(where, f"{list(words)[:9]!r}", f"{count} finite numbers")
    return values


def _rigid(where: str, R: Doubles, t: Doubles) -> Doubles:
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0:
        raise FormatError(where, "a matrix that is no rotation", "an orthonormal right-handed one")
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def _quaternion(where: str, wxyz: Sequence[float]) -> Doubles:
    q = np.array(wxyz)
    if not 0.5 < np.linalg.norm(q) < 2:
        raise FormatError(where, f"a quaternion of length {np.linalg.norm(q):.3g}", "unit length")
    return np.asarray(Rotation.from_quat(q[[1, 2, 3, 0]]).as_matrix(), np.float64)


def _intrinsics(where: str, model: str, numbers: Sequence[Any]) -> tuple[Any, tuple[float, ...]]:
    """((fx, fy, cx, cy), distortion k1 k2 p1 p2) with centres of pixels at integers."""
    if model not in _MODELS:
        raise FormatError(where, f"camera model {model}", f"one of {', '.join(_MODELS)}")
    p = _numbers(where, numbers, _MODELS[model])
    single = model.startswith("SIMPLE") or model == "RADIAL"
    fx, fy, cx, cy = (p[0], p[0], p[1], p[2]) if single else p[:4]
    bend = p[3:] if single else p[4:]
    if min(fx, fy) <= 0:
        raise FormatError(where, f"focal length {min(fx, fy):g}", "a positive one")
    return (fx, fy, cx - 0.5, cy - 0.5), tuple([*bend, 0, 0, 0, 0][:4])


def _size(where: str, words: Sequence[Any]) -> tuple[int, int]:
    width, height = (int(v) for v in _numbers(where, words, 2))
    if not (1 <= width <= 65_535 and 1 <= height <= 65_535):
        raise FormatError(where, f"{width}x{height} pixels", "a size from 1 to 65535")
    return width, height


def _rows(path: Path) -> list[tuple[str, list[str]]]:
    """(place, words) of the lines that are no comments; empty ones are kept, for images.txt counts them."""
    lines = read_text(path).splitlines()
    return [(f"{path} line {n}", line.split()) for n, line in enumerate(lines, 1) if not line.startswith("#")]


def _colmap(model: Path) -> list[_Entry]:
    cameras: dict[str, tuple[tuple[int, int], Any, tuple[float, ...]]] = {}
    for where, words in _rows(model / "cameras.txt"):
        if words:
            if len(words) < 5:
                raise FormatError(where, f"{len(words)} words", "CAMERA_ID MODEL WIDTH HEIGHT PARAMS")
            cameras[words[0]] = (_size(where, words[2:4]), *_intrinsics(where, words[1], words[4:]))
    rows = _rows(model / "images.txt")[::2]  # every second line lists points
    if len(rows) > _MAX_IMAGES:
        raise FormatError(model / "images.txt", f"{len(rows)} images", f"at most {_MAX_IMAGES}")
    entries = []
    for where, words in rows:
        if len(words) != 10 or words[8] not in cameras:
            expected = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME of a camera in cameras.txt"
            raise FormatError(where, " ".join(words[:10]), expected)
        values = _numbers(where, words[1:8], 7)
        size, K, bend = cameras[words[8]]
        T = _rigid(where, _quaternion(where, values[:4]), np.array(values[4:]))
        entries.append(_Entry(words[9], size, K, bend, T))
    return entries


def _json(path: Path) -> list[_Entry]:
    """One camera for all with poses as world-to-camera quaternions, or a camera and a camera-to-world pose for each."""
    try:
        table: Any = json.loads(read_text(path))
        shared = "images" in table
        images = table["images"] if shared else table
        if not isinstance(images, dict) or not 1 <= len(images) <= _MAX_IMAGES:
            raise FormatError(path, f"{len(images)} images", f"1 to {_MAX_IMAGES}")
        return [_shared(f"{path} {n}", n, table, v) if shared else _own(f"{path} {n}", n, v) for n, v in images.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"what cannot be read ({error!r})", "cameras.json of posed photographs") from None


def _shared(where: str, name: str, table: Any, value: Any) -> _Entry:
    K, bend = _intrinsics(where, "SIMPLE_RADIAL", [table[k] for k in ("f", "cx", "cy", "k1")])
    R = _quaternion(where, _numbers(where, value["q_world_to_cam_wxyz"], 4))
    T = _rigid(where, R, np.array(_numbers(where, value["t_world_to_cam"], 3)))
    return _Entry(name, _size(where, [table["width"], table["height"]]), K, bend, T)


def _own(where: str, name: str, value: Any) -> _Entry:
    fx, fy, cx, cy = _numbers(where, [value[k] for k in ("fx", "fy", "cx", "cy")], 4)
    rows = [_numbers(where, row, 3) for row in value["R_cam_to_world"]]
    R = np.array(rows).reshape(3, 3).T
    t = -R @ np.array(_numbers(where, value["centre"], 3))
    return _Entry(name, _size(where, [value["width"], value["height"]]), (fx, fy, cx, cy), (), _rigid(where, R, t))
