"""Depth of pictures and focal stacks: maps with units, previews, point clouds, and one page that shows them all."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.focal_folder import DISTANCES, MAX_SLICES, align_stack, check_distances, in_order, read_distances
from scenewright.data.images import write_depth_png, write_depth_preview, write_image
from scenewright.data.layout import images_in
from scenewright.data.meshes import TriangleMesh, write_ply
from scenewright.data.sequence import Sequence
from scenewright.data.sequences import layout_name, open_sequence
from scenewright.depth.task import DepthPrediction
from scenewright.errors import InputError
from scenewright.files import sha256, write_bytes, write_json, write_text
from scenewright.geometry.camera import Camera
from scenewright.labels import COLOURS, LABELS
from scenewright.pipelines.depth_page import Entry, contact_page
from scenewright.pipelines.sources import depth_method

Progress = Callable[[int, int, str], None]
Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
FLYING_DEG = 84.0
"""A surface seen flatter than this does not occur; pixels there float between two surfaces."""
MAX_POINTS = 500_000


@dataclass(frozen=True)
class Options:
    """How depth is predicted.

    Args:
        method: a depth method with shipped weights, a folder of weights, or onnx:FILE.
        intrinsics: fx, fy, cx, cy in pixels of the images as they are; None takes the files' own, EXIF, or a guess.
        fov_deg: horizontal field of view instead.
        size: longest side of the maps that are written, pixels; smaller images keep theirs.
        device: "cpu" or "cuda".
        focus_m: focus distances of the pictures of focal stacks, metres, in their order; None: those of the file
            focus.txt beside them, or unknown, and then so is the scale.
        far_first: focal stacks without distances go from far to near.
        align: bring the pictures of focal stacks into register.
    """

    method: str = "fcrn"
    intrinsics: tuple[float, float, float, float] | None = None
    fov_deg: float | None = None
    size: int = 1280
    device: str = "cpu"
    focus_m: tuple[float, ...] | None = None
    far_first: bool = False
    align: bool = True

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
    uncertainty, NAME.confidence.tiff (float32 in [0, 1]) and .preview.png where it has a confidence,
    NAME.depth.preview.png, NAME.labels.png and .preview.png where it has labels, NAME.ply; and one index.html. Images
    that an earlier run finished with the same weights and camera are not done again. To a method that takes focal
    stacks, every folder is one stack, its images in natural order from near to far (see `Options`).

    Returns:
        The path of the page.

    Raises:
        InputError, FormatError: no image, an image or weights that cannot be used, by name.
    """
    options, out = options or Options(), Path(out)
    page = out / "index.html"
    write_text(page, contact_page(predict_all(sources, out, options, progress)))
    return page


def predict_all(sources: list[str | Path], out: Path, options: Options, progress: Progress) -> list[Entry]:
    """Write all files of all images but the page; returns what the page needs. Arguments as in `predict_depth`."""
    predictor = _Predictor(options)
    stacks = predictor.takes_stacks
    named = _named([sequence for source in sources for sequence in _open(Path(source), options, stacks)])
    total, done, entries = sum(1 if stacks else len(sequence) for _, sequence in named), 0, list[Entry]()
    folders = map(Path, sources) if stacks else repeat(Path())  # to methods of stacks each source is one sequence
    for (name, sequence), folder in zip(named, folders):
        for title, images, focus_m in _stack(name, sequence, folder, options) if stacks else _pictures(name, sequence):
            record = predictor.write(out, title, images, sequence, focus_m)
            entries.append(Entry(out, title, images[len(images) // 2], record))
            done += 1
            progress(done, total, f"predicting depth ({predictor.named.name})")
    return entries


def _pictures(name: str, sequence: Sequence) -> Iterator[tuple[str, list[Image], None]]:
    for frame in sequence:
        yield name if len(sequence) == 1 else f"{name}_{frame.index:06d}", [frame.image], None


def _stack(
    name: str, sequence: Sequence, folder: Path, options: Options
) -> Iterator[tuple[str, list[Image], Floats | None]]:
    """The one stack of a folder or video, from near to far."""
    if not 2 <= len(sequence) <= MAX_SLICES:
        raise InputError(name, f"{len(sequence)} images", f"a focal stack of 2 to {MAX_SLICES}")
    images = [frame.image for frame in sequence]
    stack = np.stack(align_stack(images) if options.align else images)
    distances = read_distances(folder / DISTANCES, len(images))
    if options.focus_m is not None:
        distances = np.array(options.focus_m, np.float32)
        check_distances("--focus", distances, len(images))
    if distances is not None:
        stack, distances = in_order(stack, distances)
    elif options.far_first:
        stack = stack[::-1]
    yield name, list(stack), distances


def _open(path: Path, options: Options, stacks: bool) -> Iterator[Sequence]:
    """A folder of plain images is as many sources, since sizes and cameras may differ; or one focal stack."""
    plain = not stacks and path.is_dir() and layout_name(path) in (None, "RGB-D photographs")
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
        self.named = depth_method("--method", options.method, options.device, ("depth", "focus"))
        self.device = options.device
        self.takes_stacks = self.named.task == "focus"

    def write(
        self, out: Path, name: str, images: list[Image], sequence: Sequence, focus_m: Floats | None
    ) -> dict[str, Any]:
        """Predict one image, or the stack that several are, unless that was done; returns what its JSON says."""
        camera = sequence.camera
        job = {
            "method": self.named.name,
            "weights_sha256": self.named.sha256,
            "scale": self.named.scale,
            "intrinsics_source": sequence.intrinsics_source,
            "camera": dict(zip(("fx", "fy", "cx", "cy"), camera.numbers)),
            "image_crc32": _crc(images),
        }
        if self.takes_stacks:
            job["focus_m"] = None if focus_m is None else [round(float(x), 6) for x in focus_m]
            job["scale"] = "unknown" if focus_m is None else "metric"
        record = _finished(out, name, job)
        if record is None:
            x = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255).to(self.device)
            moved = camera.to(self.device)
            distances = None if focus_m is None else torch.from_numpy(focus_m).to(self.device)
            try:
                prediction = (
                    self.named.method.predict(x[None], moved, distances)
                    if self.takes_stacks
                    else self.named.method.predict(x, moved)
                )
            except InputError as error:
                raise InputError(f"image {name}", error.found, error.expected) from None
            record = write_prediction(out, name, images[len(images) // 2], camera, prediction, job)
        return record


def _crc(images: list[Image]) -> int:
    crc = 0
    for image in images:
        crc = zlib.crc32(image.tobytes(), crc)
    return crc


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
    if prediction.confidence is not None:
        files += _write_confidence(out / f"{name}.confidence", prediction.confidence[0, 0].cpu().float().numpy())
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


def _write_confidence(stem: Path, confidence: Floats) -> list[Path]:
    tiff, preview = (stem.with_name(stem.name + suffix) for suffix in (".tiff", ".preview.png"))
    write_bytes(tiff, bytes(cv2.imencode(".tiff", confidence)[1]))
    write_image(preview, np.rint(255 * np.clip(confidence, 0, 1)).astype(np.uint8))
    return [tiff, preview]


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
