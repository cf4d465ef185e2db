"""Two photographs matched: who is who, the geometry between them, files that other programs read, and a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenewright.data.images import camera_from_exif, read_header, read_image, write_image
from scenewright.data.sample import image_tensor
from scenewright.errors import InputError
from scenewright.features.extract import Extractor, extractor
from scenewright.features.robust import homography, relative_pose
from scenewright.features.task import Features, Matches
from scenewright.files import write_bytes, write_json, write_text
from scenewright.geometry.camera import Camera

GUESSED_FOV_DEG = 60.0
SHOWN = 150
"""About so many lines are drawn of the matches that agree, and of those that do not."""


@dataclass(frozen=True)
class MatchOptions:
    """How two images are matched.

    Args:
        method: features by name, see `scenewright.features.extract.extractor`.
        count: most keypoints of each image.
        size: images are shrunk to this longest side first; results are in pixels of the originals.
        model: "pose", "homography", or "auto", which takes what more matches agree with.
        intrinsics: fx, fy, cx, cy of both images; None takes EXIF, or a guess of 60 degrees.
    """

    method: str = "sift"
    count: int = 2000
    size: int = 1024
    model: str = "auto"
    intrinsics: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.model not in ("auto", "pose", "homography"):
            raise InputError("--model", repr(self.model), "auto, pose or homography")
        if not 64 <= self.size <= 8192:
            raise InputError("--size", self.size, "between 64 and 8192 pixels")
        if self.count < 8:
            raise InputError("--count", self.count, "8 or more")


@dataclass(frozen=True)
class View:
    """An image, its camera, and its features in its own pixels."""

    path: Path
    image: NDArray[np.uint8]
    camera: Camera
    camera_source: str
    features: Features


def match_images(first: str | Path, second: str | Path, out: str | Path, options: MatchOptions | None = None) -> Path:
    """Match two images and write what was found.

    Writes matches.npz (xy0, xy1, score, inlier; H, or R and t of unit length), matches.json (counts, camera, model,
    conventions), colmap/ (features of both and raw matches as COLMAP imports them) and matches.preview.jpg.

    Returns:
        The path of the picture.

    Raises:
        InputError, FormatError: an image that cannot be read, unknown features.
    """
    options, out = options or MatchOptions(), Path(out)
    kind = extractor(options.method)
    views = [look(Path(path), kind, options) for path in (first, second)]
    matches = kind.match(views[0].features, views[1].features)
    ends = [v.features.xy[matches.pairs[:, k]].numpy() for k, v in enumerate(views)]
    model = geometry(ends, views, options.model)
    _write(out, views, matches, ends, model, options)
    picture = out / "matches.preview.jpg"
    write_image(picture, draw(views, ends, model["inlier"]))
    return picture


def look(path: Path, kind: Extractor, options: MatchOptions) -> View:
    """Read an image and find its features at the working size."""
    image = read_image(path)
    height, width = image.shape[:2]
    scale = min(1.0, options.size / max(height, width))
    small = image
    if scale < 1:
        small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    found = kind.features(image_tensor(small), options.count)
    zoom = torch.tensor([width / small.shape[1], height / small.shape[0]])
    camera, source = _camera(path, width, height, options.intrinsics)
    return View(path, image, camera, source, _zoomed(found, zoom, (height, width)))


def _zoomed(features: Features, zoom: Tensor, size: tuple[int, int]) -> Features:
    from dataclasses import replace

    radius = None if features.radius_px is None else features.radius_px * zoom.mean()
    return replace(features, size=size, xy=(features.xy + 0.5) * zoom - 0.5, radius_px=radius)


def _camera(path: Path, width: int, height: int, given: tuple[float, float, float, float] | None) -> tuple[Camera, str]:
    if given is not None:
        return Camera.from_parameters(width, height, *given), "given"
    known = camera_from_exif(read_header(path))
    if known is not None and known.size == (height, width):
        return known, "EXIF"
    return Camera.from_fov(width, height, GUESSED_FOV_DEG), f"a guess of {GUESSED_FOV_DEG:g} degrees"


def geometry(ends: list[NDArray[Any]], views: list[View], model: str) -> dict[str, Any]:
    """What relates the views: "kind" ("homography", "pose" or "none"), its matrices, "inlier" (M,) bool."""
    flat = homography(ends[0], ends[1]) if model != "pose" else None
    solid = relative_pose(ends[0], ends[1], (views[0].camera, views[1].camera)) if model != "homography" else None
    votes = [0 if m is None else int(m.inliers.sum()) for m in (flat, solid)]
    if flat is not None and (solid is None or votes[0] >= votes[1]):
        return {"kind": "homography", "H": flat.H, "inlier": flat.inliers}
    if solid is not None:
        return {"kind": "pose", "R": solid.R, "t": solid.t, "inlier": solid.inliers}
    return {"kind": "none", "inlier": np.zeros(len(ends[0]), bool)}


def _write(
    out: Path,
    views: list[View],
    matches: Matches,
    ends: list[NDArray[Any]],
    model: dict[str, Any],
    options: MatchOptions,
) -> None:
    arrays = {name: value for name, value in model.items() if name in ("H", "R", "t")}
    buffer = io.BytesIO()
    np.savez(buffer, xy0=ends[0], xy1=ends[1], score=matches.score.numpy(), inlier=model["inlier"], **arrays)
    write_bytes(out / "matches.npz", buffer.getvalue())
    for view in views:
        write_text(out / "colmap" / f"{view.path.name}.txt", colmap_features(view.features))
    pairs = matches.pairs.tolist()
    rows = "".join(f"{a} {b}\n" for a, b in pairs)
    write_text(out / "colmap" / "matches.txt", f"{views[0].path.name} {views[1].path.name}\n{rows}\n")
    record = {
        "features": options.method,
        "images": [v.path.name for v in views],
        "sizes": [list(v.features.size) for v in views],
        "keypoints": [len(v.features) for v in views],
        "matches": len(pairs),
        "inliers": int(model["inlier"].sum()),
        "model": model["kind"],
        "estimator": "OpenCV USAC_MAGSAC",
        "camera": [{"fx_fy_cx_cy": list(v.camera.numbers), "source": v.camera_source} for v in views],
        "units": "pixels of the images as they are, x right, y down, centres of pixels at integers",
        "meaning": "H maps image 0 to image 1; x1 = R x0 + t in camera axes (x right, y down, z ahead), |t| = 1",
        **{name: np.asarray(value).tolist() for name, value in arrays.items()},
    }
    write_json(out / "matches.json", record)


def colmap_features(features: Features) -> str:
    """COLMAP's text of keypoints: x and y (its pixel centres at .5), scale, angle in radians, 128 unused zeros."""
    scale = features.radius_px if features.radius_px is not None else torch.full((len(features),), 6.0)
    angle = features.angle_deg if features.angle_deg is not None else torch.zeros(len(features))
    table = torch.cat([features.xy + 0.5, scale[:, None] / 6, torch.deg2rad(angle)[:, None]], 1).tolist()
    zeros = " 0" * 128
    return f"{len(table)} 128\n" + "".join(f"{x:.4f} {y:.4f} {s:.4f} {a:.5f}{zeros}\n" for x, y, s, a in table)


def draw(
    views: list[View], ends: list[NDArray[Any]], inlier: NDArray[np.bool_], height: int = 480
) -> NDArray[np.uint8]:
    """Both images side by side; matches that agree with the model in green over the others in faint red, thinned."""
    zooms = [height / v.image.shape[0] for v in views]
    shown = [
        cv2.resize(v.image, None, fx=z, fy=z, interpolation=cv2.INTER_AREA if z < 1 else cv2.INTER_LINEAR)
        for v, z in zip(views, zooms)
    ]
    canvas = np.ascontiguousarray(np.hstack([s[: min(len(t) for t in shown)] for s in shown]))
    ghost = canvas.copy()
    offset = np.array([shown[0].shape[1], 0])
    a = np.rint((ends[0] + 0.5) * zooms[0] - 0.5).astype(int)
    b = np.rint((ends[1] + 0.5) * zooms[1] - 0.5).astype(int) + offset
    wrong, right = (np.flatnonzero(m)[:: max(1, int(m.sum()) // SHOWN)] for m in (~inlier, inlier))
    for p, q in zip(a[wrong].tolist(), b[wrong].tolist()):
        cv2.line(ghost, p, q, (230, 60, 60), 1, cv2.LINE_AA)
    canvas = cv2.addWeighted(ghost, 0.35, canvas, 0.65, 0)
    for p, q in zip(a[right].tolist(), b[right].tolist()):
        cv2.line(canvas, p, q, (40, 220, 90), 1, cv2.LINE_AA)
        cv2.circle(canvas, p, 2, (40, 220, 90), -1, cv2.LINE_AA)
        cv2.circle(canvas, q, 2, (40, 220, 90), -1, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)
