"""Depth of single images: maps with their units, previews, point clouds, and one page that shows them all."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.clip import is_clip
from scenewright.data.images import write_depth_png, write_depth_preview, write_image
from scenewright.data.layout import images_in
from scenewright.data.meshes import TriangleMesh, write_ply
from scenewright.data.sequence import Sequence
from scenewright.data.sequences import open_sequence
from scenewright.data.seven_scenes import is_seven_scenes
from scenewright.data.tum import is_tum
from scenewright.depth.task import DepthPrediction
from scenewright.engine.weights import find, load, read_card
from scenewright.errors import InputError
from scenewright.files import sha256, write_bytes, write_json, write_text
from scenewright.geometry.camera import Camera
from scenewright.labels import COLOURS, LABELS
from scenewright.pipelines.depth_page import Entry, contact_page

Progress = Callable[[int, int, str], None]
Floats = NDArray[np.float32]
FLYING_DEG = 84.0
"""A surface seen flatter than this does not occur; pixels there float between two surfaces."""
MAX_POINTS = 500_000


@dataclass(frozen=True)
class Options:
    """How depth is predicted.

    Args:
        method: a depth method with shipped weights, or a folder of weights.
        intrinsics: fx, fy, cx, cy in pixels of the images as they are; None takes the files' own, EXIF, or a guess.
        fov_deg: horizontal field of view instead.
        size: longest side of the maps that are written, pixels; smaller images keep theirs.
        device: "cpu" or "cuda".
    """

    method: str = "fcrn"
    intrinsics: tuple[float, float, float, float] | None = None
    fov_deg: float | None = None
    size: int = 1280
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 8192:
            raise InputError("--size", self.size, "between 32 and 8192 pixels")
        if self.device != "cpu" and not (self.device == "cuda" and torch.cuda.is_available()):
            raise InputError("--device", repr(self.device), "cpu, or cuda where there is such a device")


def predict_depth(
    sources: list[str | Path],
    out: str | Path,
    options: Options | None = None,
    *,
    progress: Progress = lambda done, total, what: None,
) -> Path:
    """Predict the depth of images, folders of images, or videos.

    Writes for every image NAME.depth.png (16-bit millimetres) and NAME.depth.json (unit, camera, scale, method, hash
    of the weights), NAME.depth.tiff (float32 metres), the same three of NAME.sigma where the method knows its
    uncertainty, NAME.depth.preview.png, NAME.labels.png and .preview.png where it has labels, NAME.ply; and one
    index.html. Images that an earlier run finished with the same weights and camera are not done again.

    Returns:
        The path of the page.

    Raises:
        InputError, FormatError: no image, an image or weights that cannot be used, by name.
    """
    options, out = options or Options(), Path(out)
    named = _named([sequence for source in sources for sequence in _open(Path(source), options)])
    predictor = _Predictor(options)
    total, done, entries = sum(len(sequence) for _, sequence in named), 0, list[Entry]()
    for name, sequence in named:
        for frame in sequence:
            title = name if len(sequence) == 1 else f"{name}_{frame.index:06d}"
            record = predictor.write(out, title, frame.image, sequence)
            entries.append(Entry(out, title, frame.image, record))
            done += 1
            progress(done, total, "predicting depth")
    page = out / "index.html"
    write_text(page, contact_page(entries))
    return page


def _open(path: Path, options: Options) -> Iterator[Sequence]:
    """A folder of plain images is as many sources, since sizes and cameras may differ."""
    plain = path.is_dir() and not (is_clip(path) or is_tum(path) or is_seven_scenes(path))
    for source in (images_in(path) or [path]) if plain else [path]:
        yield open_sequence(source, intrinsics=options.intrinsics, fov_deg=options.fov_deg, size=options.size)


def _named(sequences: list[Sequence]) -> list[tuple[str, Sequence]]:
    if not sequences:
        raise InputError("IMAGES", "none", "images, folders of images, or videos")
    named: dict[str, Sequence] = {}
    for sequence in sequences:
        name = stem = Path(sequence.name).stem or sequence.name
        number = 1
        while name in named:  # a/0.png and b/0.png, or 0.png and 0.jpg
            number += 1
            name = f"{stem}-{number}"
        named[name] = sequence
    return list(named.items())


class _Predictor:
    """A depth method that writes what it predicts."""

    def __init__(self, options: Options) -> None:
        self.method: Any = load(options.method)
        if self.method.card.task != "depth":
            raise InputError(
                "--method", f"{self.method.card.name}, a method for {self.method.card.task}", "a depth method"
            )
        self.device = options.device
        self.method.to(self.device)
        self.weights = str(read_card(find(options.method))["tensors"]["sha256"])

    def write(self, out: Path, name: str, image: NDArray[np.uint8], sequence: Sequence) -> dict[str, Any]:
        """Predict one image unless that was done; returns what its JSON says."""
        camera = sequence.camera
        job = {
            "method": self.method.card.name,
            "weights_sha256": self.weights,
            "scale": self.method.card.scale,
            "intrinsics_source": sequence.intrinsics_source,
            "camera": dict(zip(("fx", "fy", "cx", "cy"), camera.numbers)),
            "image_crc32": _crc(image),
        }
        record = _finished(out, name, job)
        if record is None:
            x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
            moved = camera.to(self.device)
            try:
                prediction = self.method.predict(x.to(self.device), moved)
            except InputError as error:
                raise InputError(f"image {name}", error.found, error.expected) from None
            record = write_prediction(out, name, image, camera, prediction, job)
        return record


def _crc(image: NDArray[np.uint8]) -> int:
    return zlib.crc32(image.tobytes())


def _finished(out: Path, name: str, job: dict[str, Any]) -> dict[str, Any] | None:
    """The record of an image that was finished with the same weights, camera and pixels."""
    try:
        record: dict[str, Any] = json.loads((out / f"{name}.depth.json").read_text("utf-8"))
        same = all(record[key] == value for key, value in job.items())
        whole = same and all(sha256(out / file) == digest for file, digest in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def write_prediction(
    out: Path, name: str, image: NDArray[np.uint8], camera: Camera, prediction: DepthPrediction, job: dict[str, Any]
) -> dict[str, Any]:
    """Write all files of one image, NAME.depth.json last, which says that the others are whole; returns its content."""
    depth = prediction.depth_m[0, 0].cpu().float().numpy()
    files = _write_length(out / f"{name}.depth", depth, camera, {"kind": "z-depth", **job})
    if prediction.sigma_log is not None:
        sigma = depth * prediction.sigma_log[0, 0].cpu().float().numpy()  # first order: d z = z d log z
        kind = "standard deviation of z-depth"
        files += _write_length(out / f"{name}.sigma", sigma, camera, {"kind": kind, **job})
    write_depth_preview(out / f"{name}.depth.preview.png", depth)
    files.append(out / f"{name}.depth.preview.png")
    labels = None
    if prediction.label_probabilities is not None:
        labels = prediction.label_probabilities[0].argmax(0).cpu().numpy().astype(np.uint8)
        write_image(out / f"{name}.labels.png", labels)
        write_image(out / f"{name}.labels.preview.png", np.array(COLOURS, np.uint8)[labels])
        files += [out / f"{name}.labels.png", out / f"{name}.labels.preview.png"]
    cloud, step = point_cloud(image, depth, camera, labels)
    write_ply(out / f"{name}.ply", cloud)
    files.append(out / f"{name}.ply")
    path = out / f"{name}.depth.json"
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) | {
        "labels": list(LABELS) if labels is not None else None,
        "points": {"number": len(cloud.vertices), "every": step, "flying_pixels": "left out"},
        "depth_m": [round(float(x), 4) for x in np.percentile(depth, [0, 50, 100])],
        "files": {file.name: sha256(file) for file in files},
    }
    write_json(path, record)
    return record


def _write_length(stem: Path, metres: Floats, camera: Camera, job: dict[str, Any]) -> list[Path]:
    """The 16-bit PNG, its JSON, and the same numbers as float32 TIFF."""
    png, tiff, sidecar = (stem.with_name(stem.name + suffix) for suffix in (".png", ".tiff", ".json"))
    sidecar.unlink(missing_ok=True)  # until everything is new, nothing says that it is whole
    write_depth_png(png, metres, camera)
    write_bytes(tiff, bytes(cv2.imencode(".tiff", metres)[1]))
    record = json.loads(sidecar.read_text("utf-8")) | job
    write_json(sidecar, record | {"float": {"file": tiff.name, "format": "TIFF, float32, metres"}})
    return [png, tiff]


def point_cloud(
    image: NDArray[np.uint8], depth_m: Floats, camera: Camera, labels: NDArray[np.uint8] | None = None
) -> tuple[TriangleMesh, int]:
    """The surface points of a depth map in camera axes, without flying pixels; thinned to about 500 000.

    Returns:
        The cloud with colours and labels, and the step in pixels between its points.
    """
    step = max(1, math.ceil(math.sqrt(depth_m.size / MAX_POINTS)))
    keep = np.zeros(depth_m.shape, bool)
    keep[::step, ::step] = True
    keep &= (depth_m > 0) & ~flying_pixels(depth_m, camera)
    v, u = np.nonzero(keep)
    fx, fy, cx, cy = camera.numbers
    z = depth_m[v, u]
    points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], 1).astype(np.float32)
    faces = np.zeros((0, 3), np.int32)
    return TriangleMesh(points, faces, image[v, u], None if labels is None else labels[v, u]), step


def flying_pixels(depth_m: Floats, camera: Camera) -> NDArray[np.bool_]:
    """Pixels on the edge between two surfaces, which hang in the air as points; (H, W).

    On a surface that is seen under the angle a to its normal, log z changes by about tan(a) / f per pixel. Where it
    changes faster than at `FLYING_DEG` across the 3 x 3 neighbours, there are two surfaces.
    """
    log = np.log(np.maximum(depth_m, 1e-6)).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    change = (cv2.dilate(log, kernel) - cv2.erode(log, kernel)) / 2
    fx, fy, _, _ = camera.numbers
    return np.asarray(change > math.tan(math.radians(FLYING_DEG)) / math.sqrt(fx * fy))
