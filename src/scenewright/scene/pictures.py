"""Keyframes as files: colour, 16-bit depth and uncertainty, labels, and the JSON that says what they mean."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes, write_json
from scenewright.geometry.camera import Camera
from scenewright.scene.manifest import Intrinsics
from scenewright.scene.records import SceneKeyframe
from scenewright.scene.strict import Fields, read_json

KEYFRAMES = "keyframes"
MAX_UNITS_PER_METRE = 1e5
_MAX_CODE = 65535
_MAX_JSON = 64 << 10


def keyframe_files(keyframe: SceneKeyframe) -> dict[str, str]:
    """The files of a keyframe, relative to the Scene folder, by what they hold."""
    kinds = {"json": "json", "colour": "colour.png", "depth": "depth.png"}
    if keyframe.sigma_m is not None:
        kinds["sigma"] = "sigma.png"
    if keyframe.labels is not None:
        kinds["labels"] = "labels.png"
    return {kind: f"{KEYFRAMES}/{keyframe.id:06d}.{suffix}" for kind, suffix in kinds.items()}


def write_keyframe(folder: Path, keyframe: SceneKeyframe) -> list[str]:
    """Write all files of one keyframe; returns their relative paths, the JSON last."""
    files = keyframe_files(keyframe)
    entry: dict[str, Any] = {
        "id": keyframe.id,
        "index": keyframe.index,
        "time_s": keyframe.time_s,
        "camera": vars(intrinsics_of(keyframe.camera)),
        "T_world_cam": keyframe.T_world_cam.reshape(-1).tolist(),
        "colour": _name(files["colour"]),
        "labels": _name(files["labels"]) if "labels" in files else None,
        "sigma": None,
    }
    _write_png(folder / files["colour"], cv2.cvtColor(keyframe.image, cv2.COLOR_RGB2BGR))
    entry["depth"] = _write_length(folder, files["depth"], keyframe.depth_m)
    if keyframe.sigma_m is not None:
        entry["sigma"] = _write_length(folder, files["sigma"], keyframe.sigma_m)
    if keyframe.labels is not None:
        _write_png(folder / files["labels"], keyframe.labels)
    write_json(folder / files["json"], entry)
    return [*(path for kind, path in files.items() if kind != "json"), files["json"]]


def read_keyframe(folder: Path, path: str, allowed: set[str]) -> SceneKeyframe:
    """Read a keyframe by the relative path of its JSON.

    Args:
        folder: the Scene folder.
        path: of the JSON.
        allowed: relative paths that may be read (the manifest's products); a JSON naming another file is refused.

    Raises:
        FormatError: a JSON or picture that is damaged, or that contradicts the other.
    """
    fields = Fields(str(folder / path), read_json(folder / path, _MAX_JSON))
    number, index, time_s = fields.integer("id"), fields.integer("index"), fields.number("time_s")
    if f"{KEYFRAMES}/{number:06d}.json" != path:
        raise fields.fail("id", number, f"the number in the file's name {path!r}")
    camera = camera_of(Intrinsics.parse(fields.fields("camera")))
    pose = np.array(fields.numbers("T_world_cam", 16)).reshape(4, 4)
    colour = _inside(fields, fields.text("colour"), allowed)
    depth, sigma, labels_name = fields.fields("depth"), fields.optional_fields("sigma"), fields.optional_text("labels")
    fields.done()
    size = camera.size
    labels = None if labels_name is None else _inside(fields, labels_name, allowed)
    return SceneKeyframe(
        id=number,
        index=index,
        time_s=time_s,
        image=cv2.cvtColor(_read_png(folder / colour, size, 8, 3), cv2.COLOR_BGR2RGB),
        camera=camera,
        T_world_cam=pose,
        depth_m=_read_length(folder, depth, size, allowed),
        sigma_m=None if sigma is None else _read_length(folder, sigma, size, allowed),
        labels=None if labels is None else _read_png(folder / labels, size, 8, 1),
    )


def intrinsics_of(camera: Camera) -> Intrinsics:
    """The plain numbers of a camera.

    Raises:
        InputError: a camera with distortion; a Scene holds undistorted pictures.
    """
    if camera.distortion is not None:
        raise InputError("camera", "lens distortion", "the camera of an undistorted picture")
    return Intrinsics(camera.width, camera.height, *camera.numbers)


def camera_of(intrinsics: Intrinsics) -> Camera:
    """The camera of plain numbers."""
    return Camera.from_parameters(**vars(intrinsics))


def units_per_metre(largest: float) -> float:
    """The finest 1-2-5 step, in units per metre, in which `largest` metres still fit 16 bits (1e5 at most)."""
    if largest <= _MAX_CODE / MAX_UNITS_PER_METRE:
        return MAX_UNITS_PER_METRE
    bound = _MAX_CODE / largest
    decade = 10.0 ** math.floor(math.log10(bound))
    return max(decade * step for step in (0.5, 1.0, 2.0, 5.0) if decade * step <= bound)


def _write_length(folder: Path, path: str, values: NDArray[np.float32]) -> dict[str, Any]:
    """Write lengths as 16-bit codes; what is known never becomes 0, which means unknown."""
    known = (values > 0) & np.isfinite(values)  # an infinite uncertainty is an unknown one
    if np.isnan(values).any() or (values < 0).any():
        raise InputError(path, "NaN or negative lengths", "lengths >= 0, 0 where unknown")
    units = units_per_metre(float(values[known].max()) if known.any() else 1.0)
    codes = np.clip(np.rint(np.where(known, values, 0).astype(np.float64) * units), 1, _MAX_CODE)
    _write_png(folder / path, np.where(known, codes, 0).astype(np.uint16))
    return {"file": _name(path), "units_per_metre": units}


def _read_length(folder: Path, entry: Fields, size: tuple[int, int], allowed: set[str]) -> NDArray[np.float32]:
    path = _inside(entry, entry.text("file"), allowed)
    units = entry.number("units_per_metre")
    entry.done()
    if units <= 0:
        raise entry.fail("units_per_metre", units, "a positive number")
    return (_read_png(folder / path, size, 16, 1) / units).astype(np.float32)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _inside(fields: Fields, name: str, allowed: set[str]) -> str:
    path = f"{KEYFRAMES}/{name}"
    if path not in allowed:
        raise FormatError(fields.where, f"file {name[:80]!r}", "a file that the manifest lists")
    return path


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise InputError(path, f"pixels {pixels.shape} of {pixels.dtype}", "pixels that PNG can hold")
    write_bytes(path, data.tobytes())


def _read_png(path: Path, size: tuple[int, int], bits: int, channels: int) -> NDArray[Any]:
    """Decode a PNG whose header promises exactly this size and type; nothing larger is ever unpacked."""
    data = path.read_bytes()
    expected = f"a PNG of {size[1]}x{size[0]}, {bits} bits, {channels} channels"
    if len(data) < 26 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise FormatError(path, "no PNG", expected)
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    if (height, width) != size or depth != bits or colour != {1: 0, 3: 2}[channels]:
        raise FormatError(path, f"{width}x{height}, {depth} bits, PNG colour type {colour}", expected)
    flag = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION if channels == 3 else cv2.IMREAD_UNCHANGED
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None or pixels.shape[:2] != size:
        raise FormatError(path, "damaged PNG data", expected)
    return pixels
