"""Folders of rectified pairs: Middlebury 2014 (im0, im1, disp0.pfm, calib.txt), pairs named left and right, KITTI 2015.

Depth = f B / (d + doffs), doffs being how far the right principal point lies to the right of the left one. Items come
with the offset taken out: the right picture is moved by it, and the disparity holds it, so that z = f B / d.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from scenewright.data.images import read_depth_png, read_image
from scenewright.data.items import Floats, Image, View, check_same_size
from scenewright.data.kitti_calibration import camera_of, matrix_of, read_calibration
from scenewright.data.layout import natural_key
from scenewright.data.pfm import read_pfm
from scenewright.data.safe import read_text
from scenewright.data.tables import number
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

DISPARITY_UNIT_PX = 1 / 256
_LEFT, _RIGHT = ("im0", "view1", "left"), ("im1", "view5", "right")
_SUFFIXES = (".png", ".jpg", ".jpeg")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
# scikit-image's copy of Middlebury 2014 "Motorcycle" comes without its calib.txt; its documentation gives the numbers
_KNOWN = {("motorcycle", 741, 500): (994.978, 311.193, 254.877, 31.086, 0.193001)}


@dataclass(frozen=True)
class Rig:
    """The left camera, how far the right one stands from it, and the offset of its disparities."""

    camera: Camera
    baseline_m: float
    doffs_px: float


class StereoPairs:
    """Pairs as items: the left picture with its right one and, where they are known, disparity, camera and depth.

    Args:
        root: one pair, a folder of pairs, or KITTI 2015's `training` (or the folder above it).

    Raises:
        FormatError: no pair.
    """

    unit = "pixels, disparity of the left picture (PFM, or 16-bit PNG of value / 256)"

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        kitti = next((f for f in (root, root / "training") if is_kitti_stereo(f)), None)
        if kitti is not None:
            files = sorted((kitti / "image_2").glob("*_10.png"), key=natural_key)
            self._pairs = [(file, kitti / "image_3" / file.name) for file in files]
        else:
            self._pairs = [pair for folder in (root, *sorted(f for f in root.iterdir() if f.is_dir()))
                           if (pair := _pair(folder)) is not None]  # fmt: skip
        self._kitti = kitti
        if not self._pairs:
            raise FormatError(root, "no pair", "left and right, im0 and im1, or image_2 and image_3")

    def __len__(self) -> int:
        return len(self._pairs)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        left, right = self._pairs[index]
        if self._kitti is not None:
            return left, right, *(f for f in _kitti_maps(self._kitti, left.name) if f.is_file())
        beside = (left.parent / name for name in ("disp0.pfm", "disp.png", "calib.txt"))
        return left, right, *(f for f in beside if f.is_file())

    def __getitem__(self, index: int) -> View:
        """One pair.

        Raises:
            FormatError: a damaged file, sizes that differ, or a calibration that does not fit.
        """
        left, right = self._pairs[index]
        image, other = read_image(left), read_image(right)
        check_same_size(right, image, other, "the left picture")
        if self._kitti is not None:
            disp, rig = _kitti_truth(self._kitti, left.name), _kitti_rig(self._kitti, left.stem[:6], image)
        else:
            disp, rig = _disparity(left.parent), _rig(left.parent, image)
        if disp is not None:
            check_same_size(f"{left.parent} disparity", image, disp, "the left picture")
        name = left.stem if self._kitti is not None else left.parent.name
        if rig is None:
            return View(name, image, None, None, other, None, disp)
        disp = None if disp is None else np.where(disp > 0, np.maximum(disp + rig.doffs_px, 0), 0).astype(np.float32)
        depth_m = None if disp is None else depth_of(disp, rig)
        return View(name, image, rig.camera, depth_m, _aligned(other, rig), rig.baseline_m, disp)


def depth_of(disp_px: Floats, rig: Rig) -> Floats:
    """z-depth f B / d in metres, 0 where the disparity (offset included) is 0, unknown."""
    known = disp_px > 0
    return np.where(known, rig.camera.numbers[0] * rig.baseline_m / np.where(known, disp_px, 1), 0).astype(np.float32)


def _aligned(right: Image, rig: Rig) -> Image:
    """The right picture moved left by the offset, as if both cameras had one principal point: then d = f B / z."""
    if rig.doffs_px == 0:
        return right
    move = np.array([[1, 0, -rig.doffs_px], [0, 1, 0]], np.float64)
    return np.asarray(cv2.warpAffine(right, move, right.shape[1::-1], flags=cv2.INTER_LINEAR), np.uint8)


def _pair(folder: Path) -> tuple[Path, Path] | None:
    for left, right in zip(_LEFT, _RIGHT):
        found = [next((f for s in _SUFFIXES if (f := folder / f"{n}{s}").is_file()), None) for n in (left, right)]
        if found[0] is not None and found[1] is not None:
            return found[0], found[1]
    return None


def _disparity(folder: Path) -> Floats | None:
    pfm, png = folder / "disp0.pfm", folder / "disp.png"
    if pfm.is_file():
        values = read_pfm(pfm)
        if values.ndim != 2 or values.min() < 0:
            raise FormatError(pfm, f"{values.shape} from {values.min():g}", "one channel of disparities >= 0")
        return values
    return read_depth_png(png, unit_m=DISPARITY_UNIT_PX) if png.is_file() else None


def _rig(folder: Path, image: np.ndarray) -> Rig | None:
    file, (height, width) = folder / "calib.txt", image.shape[:2]
    if file.is_file():
        return _middlebury(file, width, height)
    known = _KNOWN.get((folder.name, width, height))
    if known is None:
        return None
    f, cx, cy, doffs, baseline_m = known
    return Rig(Camera.from_parameters(width, height, f, f, cx, cy), baseline_m, doffs)


def _middlebury(path: Path, width: int, height: int) -> Rig:
    """calib.txt of Middlebury 2014: cam0=[f 0 cx; 0 f cy; 0 0 1], doffs and baseline (millimetres)."""
    values = dict(line.partition("=")[::2] for line in read_text(path, 1 << 16).splitlines() if "=" in line)
    try:
        inner = _BRACKETS.search(values["cam0"])
        K = [number(t, f"{path} cam0") for t in (inner[1] if inner else "").replace(";", " ").split()]
        doffs, baseline = (number(values[key].strip(), f"{path} {key}") for key in ("doffs", "baseline"))
        size = tuple(int(number(values[key].strip(), f"{path} {key}")) for key in ("width", "height"))
        fx, _, cx, _, fy, cy, *_ = K
    except (KeyError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"nothing usable ({error})", "cam0=[...], doffs, baseline, width and height") from None
    if size != (width, height) or not 0 < baseline < 1e5:
        raise FormatError(
            path, f"{size[0]}x{size[1]}, baseline {baseline:g} mm", f"{width}x{height}, a positive baseline"
        )
    try:
        camera = Camera.from_parameters(width, height, fx, fy, cx, cy)
    except InputError as error:
        raise FormatError(path, error.found, error.expected) from None
    return Rig(camera, baseline / 1000, doffs)


def is_kitti_stereo(folder: Path) -> bool:
    """Whether a folder is KITTI 2015's training or testing part."""
    return (folder / "image_2").is_dir() and (folder / "image_3").is_dir() and not (folder / "times.txt").exists()


def _kitti_maps(root: Path, name: str) -> list[Path]:
    return [root / folder / name for folder in ("disp_occ_0", "disp_noc_0")]


def _kitti_truth(root: Path, name: str) -> Floats | None:
    found = next((f for f in _kitti_maps(root, name) if f.is_file()), None)
    return None if found is None else read_depth_png(found, unit_m=DISPARITY_UNIT_PX)


def _kitti_rig(root: Path, scene: str, image: np.ndarray) -> Rig | None:
    path = root / "calib_cam_to_cam" / f"{scene}.txt"
    if not path.is_file():
        return None
    values = read_calibration(path)
    left, right = (matrix_of(values, f"P_rect_0{i}", (3, 4), path) for i in (2, 3))
    camera = camera_of(left, image.shape[1], image.shape[0], path)
    baseline_m = float(left[0, 3] / left[0, 0] - right[0, 3] / right[0, 0])
    if not 0 < baseline_m < 10:
        raise FormatError(path, f"a baseline of {baseline_m:g} m", "camera 3 to the right of camera 2")
    return Rig(camera, baseline_m, 0.0)


def is_stereo(path: Path) -> bool:
    """Whether a folder is a pair, holds pairs, or is KITTI 2015."""
    if not path.is_dir():
        return False
    if is_kitti_stereo(path) or is_kitti_stereo(path / "training"):
        return True
    return any(_pair(folder) is not None for folder in (path, *(f for f in path.iterdir() if f.is_dir())))
