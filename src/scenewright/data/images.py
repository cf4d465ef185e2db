"""Photographs and depth maps as files.

Photographs come out upright (the EXIF orientation is applied to the pixels); depth maps carry their unit beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.headers import ImageHeader, parse_header
from scenewright.data.safe import read_bytes, read_text
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes, write_json
from scenewright.geometry.camera import Camera

MILLIMETRE = 0.001
_FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
_QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 4],
}


def read_header(path: str | Path) -> ImageHeader:
    """The header of an image file; nothing is decoded.

    Raises:
        FormatError: a missing, empty or oversized file, or as `headers.parse_header`.
    """
    return parse_header(read_bytes(path), path)


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a photograph.

    Returns:
        (H, W, 3) uint8 RGB, upright; grey images are repeated over the channels, transparency is dropped.

    Raises:
        FormatError: no JPEG, PNG, TIFF, WebP, BMP, PGM or PPM; above 64 million pixels by its header; damaged or cut
            off; or a 16-bit single-channel image, which is a depth map and no photograph.
    """
    data = read_bytes(path)
    header = parse_header(data, path)
    if header.channels == 1 and header.bits == 16:
        raise FormatError(path, "a 16-bit single-channel image", "a photograph (read_depth_png reads depth maps)")
    if header.orientation_at is not None:
        data = _without_orientation(data, header.orientation_at)
    image = _decode(data, header, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, path)
    return np.ascontiguousarray(upright(image[..., ::-1], header.orientation))


def _without_orientation(data: bytes, place: tuple[int, str]) -> bytes:
    """A TIFF whose orientation value is 1: OpenCV would apply some of the eight itself and fail on the others."""
    at, order = place
    return data[:at] + (b"\x01\x00" if order == "<" else b"\x00\x01") + data[at + 2 :]


def _decode(data: bytes, header: ImageHeader, flags: int, subject: object) -> NDArray[Any]:
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FormatError(subject, f"image data that cannot be decoded ({error.err})", "a complete image") from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    if image is None:
        raise FormatError(subject, f"a damaged or incomplete {header.kind} image", "a complete image")
    if image.shape[:2] != (header.height, header.width):
        found = f"{image.shape[1]}x{image.shape[0]} pixels"
        raise FormatError(subject, found, f"the {header.width}x{header.height} of its header")
    return image


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an EXIF orientation 1..8 (EXIF 2.3, 4.6.4 A) to a stored (H, W, ...) image."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def camera_from_exif(header: ImageHeader) -> Camera | None:
    """The camera that the EXIF focal length promises, for the upright image; None where there is no focal length.

    The 35 mm equivalent compares the diagonals of the two pictures (CIPA DCG-001), so f_px = f_35 diagonal_px / 43.27.
    """
    if header.focal_35mm is None:
        return None
    width, height = header.upright_size
    focal = header.focal_35mm * math.hypot(width, height) / _FULL_FRAME_DIAGONAL_MM
    return Camera.from_parameters(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) RGB or (H, W) grey uint8 image as PNG, JPEG or WebP, by the suffix, in one atomic step.

    Raises:
        InputError: another suffix, shape or type.
    """
    path = Path(path)
    if path.suffix.lower() not in _QUALITY:
        raise InputError(path, f"the suffix {path.suffix!r}", "one of " + " ".join(sorted(_QUALITY)))
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or not image.size:
        raise InputError(path, f"an array {image.shape} of {image.dtype}", "(H, W, 3) or (H, W) of uint8")
    stored = image if image.ndim == 2 else image[..., ::-1]
    write_bytes(path, _encode(path.suffix.lower(), np.ascontiguousarray(stored)))


def _encode(suffix: str, image: NDArray[Any]) -> bytes:
    done, buffer = cv2.imencode(suffix, image, _QUALITY[suffix])
    if not done:
        raise InputError(suffix, f"an image of {image.shape}", "one that the format can hold")
    return bytes(buffer)


def read_depth_png(
    path: str | Path, *, unit_m: float | None = None, invalid: Iterable[int] = (0,)
) -> NDArray[np.float32]:
    """Read a 16-bit PNG depth map.

    Args:
        path: the image.
        unit_m: metres per unit (0.001, 1 / 5000, 1 / 256 ...); None: the JSON file beside it says so.
        invalid: values that mean "no measurement"; they become 0.

    Returns:
        (H, W) float32 z-depth in metres, 0 = unknown.

    Raises:
        FormatError: no 16-bit single-channel PNG, a damaged one, or a sidecar that contradicts it.
        InputError: neither `unit_m` nor a sidecar.
    """
    data = read_bytes(path)
    header = parse_header(data, path)
    if (header.kind, header.channels, header.bits) != ("png", 1, 16):
        found = f"a {header.bits}-bit {header.kind} of {header.channels} channels"
        raise FormatError(path, found, "a 16-bit single-channel PNG (a coloured preview is no depth map)")
    if unit_m is None:
        unit_m, invalid = _sidecar(Path(path), header)
    raw = _decode(data, header, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION, path)
    depth_m = raw.astype(np.float32) * np.float32(unit_m)
    depth_m[np.isin(raw, list(invalid))] = 0
    return depth_m


def _sidecar(path: Path, header: ImageHeader) -> tuple[float, tuple[int, ...]]:
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        raise InputError(path, "no unit", f"unit_m, or {sidecar.name} beside the image")
    try:
        record = json.loads(read_text(sidecar))
        unit_m, invalid = float(record["unit_m"]), int(record["invalid"])
        size = (int(record["width"]), int(record["height"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FormatError(sidecar, repr(error), "unit_m, invalid, width and height of the depth map") from error
    if not 0 < unit_m < 100 or size != (header.width, header.height):
        expected = f"a positive unit and the {header.width}x{header.height} of {path.name}"
        raise FormatError(sidecar, f"unit_m {unit_m} and {size[0]}x{size[1]}", expected)
    return unit_m, (invalid,)


def write_depth_png(path: str | Path, depth_m: NDArray[np.floating[Any]], camera: Camera | None = None) -> None:
    """Write a depth map as 16-bit PNG in millimetres, with a JSON file of the same stem that states unit and camera.

    Args:
        path: ends in ".png".
        depth_m: (H, W) metres, 0 = unknown. Depths from 65.5355 m on do not fit: they become unknown, and the JSON
            file counts them as `beyond_range`.
        camera: of this image, or None.

    Raises:
        InputError: another suffix or shape, a negative or non-finite depth, or a camera of another size.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(path, f"the suffix {path.suffix!r}", ".png")
    if depth_m.ndim != 2 or not depth_m.size or not np.isfinite(depth_m).all() or depth_m.min() < 0:
        raise InputError(path, f"depth {depth_m.shape} with a negative or non-finite value", "(H, W) metres >= 0")
    if camera is not None and camera.size != depth_m.shape:
        raise InputError(path, f"a camera of {camera.size} for depth of {depth_m.shape}", "the same size")
    units = np.rint(depth_m.astype(np.float64) / MILLIMETRE)
    units = np.where((depth_m > 0) & (units < 1), 1, units)  # a measured depth must not turn into "unknown"
    beyond = units > np.iinfo(np.uint16).max
    record = {
        "kind": "z-depth",
        "unit_m": MILLIMETRE,
        "invalid": 0,
        "width": depth_m.shape[1],
        "height": depth_m.shape[0],
        "beyond_range": int(beyond.sum()),
        "camera": None if camera is None else dict(zip(("fx", "fy", "cx", "cy"), camera.numbers)),
    }
    write_json(path.with_suffix(".json"), record)
    write_bytes(path, _encode(".png", np.where(beyond, 0, units).astype(np.uint16)))


def depth_preview(
    depth_m: NDArray[np.floating[Any]], near_m: float | None = None, far_m: float | None = None
) -> NDArray[np.uint8]:
    """Colour a depth map for the eye, by inverse depth: near is red, far is blue, unknown is black.

    Args:
        depth_m: (H, W) metres, 0 = unknown.
        near_m, far_m: depths at the ends of the colour scale; None: the 2nd and 98th percentile.

    Returns:
        (H, W, 3) uint8 RGB. To be saved under a name that ends in ".preview.png", so that nobody takes it for data.
    """
    known = np.isfinite(depth_m) & (depth_m > 0)
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    near = near_m if near_m is not None else float(np.percentile(depth_m[known], 2))
    far = far_m if far_m is not None else float(np.percentile(depth_m[known], 98))
    inverse = 1 / np.where(known, depth_m, 1).astype(np.float64)
    span = max(1 / near - 1 / far, 1e-9)
    level = np.clip((inverse - 1 / far) / span * 255, 0, 255).astype(np.uint8)
    colour = cv2.applyColorMap(level, cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colour, 0).astype(np.uint8)


def write_depth_preview(path: str | Path, depth_m: NDArray[np.floating[Any]]) -> None:
    """Write `depth_preview` of a depth map.

    Raises:
        InputError: a name that does not end in ".preview.png".
    """
    if not str(path).endswith(".preview.png"):
        raise InputError(path, "a preview under a data name", "a name that ends in .preview.png")
    write_image(path, depth_preview(depth_m))
