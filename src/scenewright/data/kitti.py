"""KITTI's depth sets as items: raw drives with their laser scans, and the annotated maps of the depth benchmark.

Raw: DATE/calib_*.txt and DATE/DRIVE/{image_02,image_03}/data/N.png with velodyne_points/data/N.bin. A list of frames
(Eigen's 697, say) is given by the user, in Monodepth's form (`LEFT RIGHT`, paths) or Monodepth2's (`DRIVE N l|r`).
Annotated (Uhrig et al., 3DV 2017): 16-bit PNG, metres = value / 256.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from scenewright.data.images import read_depth_png, read_image
from scenewright.data.items import View, check_same_size
from scenewright.data.kitti_calibration import (
    DEPTH_KINDS,
    DayCalibration,
    camera_of,
    project_scan,
    read_day,
    read_scan,
)
from scenewright.data.layout import natural_key
from scenewright.data.safe import inside, read_text
from scenewright.data.tables import MAX_ROWS, read_table
from scenewright.errors import FormatError, InputError

UNIT_M = 1 / 256
_DAYS = "[0-9][0-9][0-9][0-9]_[0-9][0-9]_[0-9][0-9]"
_SUFFIXES = (".png", ".jpg")
_day = lru_cache(maxsize=16)(read_day)


class KittiRaw:
    """Frames of raw drives with projected laser depth and, where it is there, the right picture.

    Args:
        root: the folder of the days, or one day.
        files: a list of frames; None takes every left frame that has a scan.
        depth: "lidar-x" or "z", see `project_scan`.

    Raises:
        FormatError: no day, no frame, or a list with a line that names none or leaves the folder.
        InputError: another kind of depth.
    """

    unit = "metres, sparse laser depth"

    def __init__(self, root: str | Path, files: str | Path | None = None, depth: str = "lidar-x") -> None:
        root = Path(root)
        if depth not in DEPTH_KINDS:
            raise InputError("depth", repr(depth), f"one of {', '.join(DEPTH_KINDS)}")
        self.root, self.depth = (root.parent if (root / "calib_cam_to_cam.txt").is_file() else root), depth
        days = [root] if self.root != root else sorted(root.glob(_DAYS))
        if not days:
            raise FormatError(root, "no day", "folders like 2011_09_26 with calib_cam_to_cam.txt")
        self._frames = read_frame_list(self.root, files) if files is not None else _all_frames(days)
        if not self._frames:
            raise FormatError(root, "no frame with a scan", "DRIVE/image_02/data and DRIVE/velodyne_points/data")

    def __len__(self) -> int:
        return len(self._frames)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        stem = self._frames[index]
        scan = stem.parents[2] / "velodyne_points" / "data" / f"{stem.name}.bin"
        calibration = (stem.parents[3] / name for name in ("calib_cam_to_cam.txt", "calib_velo_to_cam.txt"))
        return _existing(stem), scan, *calibration

    def __getitem__(self, index: int) -> View:
        """One frame; the truth is that of the picture's own camera.

        Raises:
            FormatError: an absent or damaged file, or a picture of another size than the calibration says.
        """
        stem = self._frames[index]
        drive, camera, number = stem.parents[2], int(stem.parent.parent.name[-1]), stem.name
        day: DayCalibration = _day(drive.parent)
        image = read_image(_existing(stem))
        if image.shape[1::-1] != day.size:
            found = f"{image.shape[1]}x{image.shape[0]}"
            raise FormatError(stem, found, f"{day.size[0]}x{day.size[1]}, as {drive.parent.name}'s calibration says")
        scan = drive / "velodyne_points" / "data" / f"{number}.bin"
        depth_m = project_scan(read_scan(scan), day.P[camera], day.T_cam_velo, day.size, self.depth)
        other = drive / "image_03" / "data" / number
        right = _find(other) if camera == 2 else None
        pair = None if right is None else read_image(right)
        if pair is not None:
            check_same_size(right, image, pair, "the left picture")
        name = f"{drive.name}_{number}" + ("" if camera == 2 else "_right")
        return View(name, image, day.camera(camera), depth_m, pair, None if pair is None else day.baseline_m)


def _all_frames(days: list[Path]) -> list[Path]:
    scans = [scan for day in days for scan in day.glob("*/velodyne_points/data/*.bin")]
    stems = (scan.parents[2] / "image_02" / "data" / scan.stem for scan in sorted(scans))
    return [stem for stem in stems if _find(stem) is not None]


def _find(stem: Path) -> Path | None:
    return next((f for s in _SUFFIXES if (f := stem.with_name(stem.name + s)).is_file()), None)


def _existing(stem: Path) -> Path:
    found = _find(stem)
    if found is None:
        raise FormatError(stem, "no such image", " or ".join(_SUFFIXES))
    return found


def read_frame_list(root: Path, path: str | Path) -> list[Path]:
    """The frames of a list as paths without suffix; whether they are there is found when they are read.

    Raises:
        FormatError: a line of another form, or a name that leaves the folder.
    """
    stems: list[Path] = []
    for at, line in enumerate(read_text(path).splitlines(), 1):
        tokens, where = line.split(), f"{path} line {at}"
        if not tokens:
            continue
        if len(tokens) == 3 and tokens[1].isdecimal() and tokens[2] in ("l", "r"):
            camera = "image_02" if tokens[2] == "l" else "image_03"
            tokens = [f"{tokens[0]}/{camera}/data/{int(tokens[1]):010d}.png"]
        stem = inside(root, tokens[0], where).with_suffix("")
        parts = stem.relative_to(root).parts
        if len(parts) != 5 or parts[2] not in ("image_02", "image_03") or len(stems) >= MAX_ROWS:
            raise FormatError(where, repr(line[:80]), "DAY/DRIVE/image_02/data/N.png, or DAY/DRIVE N l")
        stems.append(stem)
    return stems


class KittiDepth:
    """Annotated maps with their pictures.

    Args:
        root: `val_selection_cropped` (image, groundtruth_depth, intrinsics), or a tree of
            DRIVE/proj_depth/groundtruth/image_02/N.png, as `data_depth_annotated` unpacks.
        raw: the folder of the raw days, where the pictures of such a tree lie; None looks for the drive beside the
            maps (DRIVE/image_02/data).

    Raises:
        FormatError: neither of the two, or no map.
    """

    unit = "metres = value / 256, z-depth, 16-bit PNG"

    def __init__(self, root: str | Path, raw: str | Path | None = None) -> None:
        self.root, self.raw = Path(root), None if raw is None else Path(raw)
        self._selection = (self.root / "groundtruth_depth").is_dir()
        pattern = "groundtruth_depth/*.png" if self._selection else "**/proj_depth/groundtruth/image_0[23]/*.png"
        self._maps = sorted(self.root.glob(pattern), key=lambda p: (p.parent, natural_key(p)))
        if not self._maps:
            raise FormatError(root, "no map", "groundtruth_depth/*.png or DRIVE/proj_depth/groundtruth/image_02/*.png")

    def __len__(self) -> int:
        return len(self._maps)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        path = self._maps[index]
        return self._picture(path), path

    def _picture(self, path: Path) -> Path:
        if self._selection:
            return self.root / "image" / path.name.replace("groundtruth_depth", "image")
        return _existing(self._home(path) / path.parent.name / "data" / path.stem)

    def _home(self, path: Path) -> Path:
        drive = path.parents[3]
        return drive if self.raw is None else self.raw / drive.name[:10] / drive.name

    def __getitem__(self, index: int) -> View:
        """One picture with its map.

        Raises:
            FormatError: an absent or damaged picture, map or intrinsics, or sizes that differ.
        """
        path = self._maps[index]
        return self._selected(path) if self._selection else self._annotated(path)

    def _selected(self, path: Path) -> View:
        picture = self._picture(path)
        image, depth_m = read_image(picture), read_depth_png(path, unit_m=UNIT_M)
        check_same_size(path, image, depth_m, "its picture")
        file = (self.root / "intrinsics" / picture.name).with_suffix(".txt")
        K = read_table(file, 9, max_rows=1).values
        if K.shape != (1, 9):
            raise FormatError(file, f"{len(K)} lines", "one line of 9 numbers")
        camera = camera_of(K.reshape(3, 3), image.shape[1], image.shape[0], file)
        return View(path.stem, image, camera, depth_m)

    def _annotated(self, path: Path) -> View:
        home, camera = self._home(path), path.parent.name
        image, depth_m = read_image(self._picture(path)), read_depth_png(path, unit_m=UNIT_M)
        check_same_size(path, image, depth_m, "its picture")
        known = (home.parent / "calib_cam_to_cam.txt").is_file()
        found = camera_of(_day(home.parent).P[int(camera[-1])], image.shape[1], image.shape[0], path) if known else None
        return View(f"{home.name}_{path.stem}", image, found, depth_m)


def is_kitti_raw(path: Path) -> bool:
    """Whether a folder holds raw days, or is one."""
    inner = path.is_dir() and next(path.glob(f"{_DAYS}/calib_cam_to_cam.txt"), None) is not None
    return inner or (path / "calib_cam_to_cam.txt").is_file()


def is_kitti_depth(path: Path) -> bool:
    """Whether a folder holds annotated maps."""
    if (path / "groundtruth_depth").is_dir() and (path / "image").is_dir():
        return True
    tree = "proj_depth/groundtruth/image_0[23]"
    return path.is_dir() and any(next(path.glob(f"{up}{tree}"), None) for up in ("", "*/", "*/*/", "*/*/*/"))
