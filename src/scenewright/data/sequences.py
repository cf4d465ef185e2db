"""One door to every video source: `open_sequence` recognises a source by its content and yields its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Numbers
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.clip import is_clip, read_clip
from scenewright.data.fingerprint import file_row, fingerprint
from scenewright.data.folder import read_folder
from scenewright.data.images import read_depth_png, read_header, read_image
from scenewright.data.kitti_sequences import is_kitti_clip, is_kitti_odometry, read_kitti_clip, read_kitti_odometry
from scenewright.data.layout import Entry, Layout, read_intrinsics
from scenewright.data.registration import register_depth
from scenewright.data.resample import Resampler
from scenewright.data.sequence import Frame, Sequence
from scenewright.data.seven_scenes import is_seven_scenes, read_seven_scenes
from scenewright.data.singles import is_singles, read_singles
from scenewright.data.tum import is_tum, read_tum
from scenewright.data.video import Video, is_video
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

GUESSED_FOV_DEG = 60.0
Intrinsics = Camera | Numbers[float] | str | Path
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Layout]]] = {
    "clip": (is_clip, read_clip),
    "TUM RGB-D": (is_tum, read_tum),
    "7-Scenes": (is_seven_scenes, read_seven_scenes),
    "KITTI odometry": (is_kitti_odometry, read_kitti_odometry),
    "KITTI clip with laser depth": (is_kitti_clip, read_kitti_clip),
    "RGB-D photographs": (is_singles, read_singles),
}
"""The folders of frames that are known: what recognises each, and what reads it."""


def layout_name(path: Path) -> str | None:
    """Which of `LAYOUTS` a folder follows; None: none, so that it can only be a folder of plain images."""
    return next((name for name, (recognises, _) in LAYOUTS.items() if path.is_dir() and recognises(path)), None)


def open_sequence(
    path: str | Path,
    *,
    intrinsics: Intrinsics | None = None,
    fov_deg: float | None = None,
    size: int | None = None,
    every: int = 1,
    max_frames: int | None = None,
) -> Sequence:
    """Open a video file, an image, or a folder: TUM RGB-D, 7-Scenes, a clip (color/ ...), RGB-D photos, plain images.

    Intrinsics come from the option, else the source's files, else EXIF, else a guess of 60 degrees along the longest
    side; `intrinsics_source` of the result says which.

    Args:
        path: the source; its kind is found by what it contains.
        intrinsics: a camera, the numbers fx fy cx cy, or a file `width height fx fy cx cy`; in pixels of the source's
            own upright frames.
        fov_deg: horizontal field of view in degrees, instead of `intrinsics`.
        size: longest side of the frames that are yielded, at most; None keeps the source's.
        every: yield each `every`-th frame, beginning with the first.
        max_frames: yield at most so many.

    Raises:
        InputError: an option out of range, or intrinsics that do not fit the frames.
        FormatError: nothing there, nothing recognised, or a damaged file, by name.
    """
    path = Path(path)
    _check_options(intrinsics, fov_deg, every, max_frames)
    if not path.exists():
        raise FormatError(path, "nothing", "a video file or a folder of images")
    if path.is_file() and is_video(path):
        video = Video(path)
        camera, source = _camera(video.width, video.height, intrinsics, fov_deg, None)
        return VideoSequence(video, Resampler(camera, size), source, every, max_frames)
    layout = _read_layout(path)
    width, height = read_header(layout.entries[0].image).upright_size
    camera, source = _camera(width, height, intrinsics, fov_deg, layout)
    return FileSequence(
        path.resolve().name, layout, Resampler(camera, size), (width, height), source, every, max_frames
    )


def _check_options(intrinsics: object, fov_deg: object, every: int, max_frames: int | None) -> None:
    if every < 1 or (max_frames is not None and max_frames < 1):
        raise InputError("every, max_frames", f"{every}, {max_frames}", "whole numbers from 1 on")
    if intrinsics is not None and fov_deg is not None:
        raise InputError("intrinsics, fov_deg", "both", "one of the two")


def _read_layout(path: Path) -> Layout:
    if path.is_dir():
        for recognises, read in LAYOUTS.values():
            if recognises(path):
                return read(path)
    return read_folder(path)


def _camera(
    width: int, height: int, intrinsics: Intrinsics | None, fov_deg: float | None, layout: Layout | None
) -> tuple[Camera, str]:
    """The camera of the source's frames and where it comes from, in the order option, file, EXIF, guess."""
    if fov_deg is not None:
        return Camera.from_fov(width, height, fov_deg), "option"
    if intrinsics is not None:
        return _fit(_given(intrinsics, width, height), width, height, "intrinsics"), "option"
    if layout is not None and layout.camera is not None:
        return _fit(layout.camera, width, height, layout.camera_file), layout.camera_source
    return guessed_camera(width, height), "guess"


def guessed_camera(width: int, height: int) -> Camera:
    """The camera of pictures that nothing is known of: 60 degrees along the longest side."""
    longest = max(width, height)
    focal = Camera.from_fov(longest, longest, GUESSED_FOV_DEG).numbers[0]
    return Camera.from_parameters(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _given(intrinsics: Intrinsics, width: int, height: int) -> Camera:
    if isinstance(intrinsics, Camera):
        return intrinsics
    if isinstance(intrinsics, str | Path):
        return read_intrinsics(intrinsics)
    if len(intrinsics) != 4:
        raise InputError("intrinsics", f"{len(intrinsics)} numbers", "fx fy cx cy in pixels")
    fx, fy, cx, cy = (float(x) for x in intrinsics)
    return Camera.from_parameters(width, height, fx, fy, cx, cy)


def _fit(camera: Camera, width: int, height: int, subject: str) -> Camera:
    if (camera.width, camera.height) != (width, height):
        raise FormatError(
            subject, f"intrinsics for {camera.width}x{camera.height}", f"{width}x{height}, the frames' size"
        )
    return camera


class FileSequence:
    """Frames that lie in files of their own. Satisfies `Sequence`; made by `open_sequence`."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        resampler: Resampler,
        source_size: tuple[int, int],
        intrinsics_source: str,
        every: int,
        max_frames: int | None,
    ) -> None:
        self.name, self.intrinsics_source, self.camera = name, intrinsics_source, resampler.camera
        self.timed = layout.timed
        self._layout, self._resampler, self._source_size = layout, resampler, source_size
        self._indices = range(0, len(layout.entries), every)[:max_frames]

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames_from(0)

    def frames_from(self, position: int) -> Iterator[Frame]:
        """The frames from the `position`-th on; earlier files are not touched."""
        _check_position(position)
        return (self._read(index) for index in self._indices[position:])

    def posed(self) -> list[int]:
        """Positions of the frames that have a depth map and a pose."""
        entries = [self._layout.entries[index] for index in self._indices]
        return [k for k, e in enumerate(entries) if e.depth is not None and e.T_world_cam is not None]

    def pose(self, position: int) -> NDArray[np.float64] | None:
        """Camera to world of a frame, None where it has none; its files are not read."""
        return self._layout.entries[self._indices[position]].T_world_cam

    def files(self, position: int) -> tuple[Path, ...]:
        """The picture and, where there is one, the depth map of a frame."""
        entry = self._layout.entries[self._indices[position]]
        return (entry.image,) if entry.depth is None else (entry.image, entry.depth)

    def fingerprint(self) -> str:
        """SHA-256 of what the frames are made of: camera, times, poses, and the files' names, sizes and contents."""
        return fingerprint([_camera_row(self.camera), *(self._row(i) for i in self._indices)])

    def _row(self, index: int) -> list[object]:
        entry = self._layout.entries[index]
        # to a micrometre, and without the sign of zero: poses that were made rigid differ by machine below that
        pose = None if entry.T_world_cam is None else (np.round(entry.T_world_cam, 6) + 0.0).tolist()
        return [index, entry.time_s, file_row(entry.image), file_row(entry.depth), pose]

    def _read(self, index: int) -> Frame:
        entry = self._layout.entries[index]
        image = read_image(entry.image)
        self._check_size(entry.image, image)
        return Frame(index, entry.time_s, self._resampler.image(image), self._read_depth(entry), entry.T_world_cam)

    def _read_depth(self, entry: Entry) -> NDArray[np.float32] | None:
        if entry.depth is None:
            return None
        depth_m = read_depth_png(entry.depth, unit_m=self._layout.unit_m, invalid=self._layout.invalid)
        rig = self._layout.depth_rig
        if rig is not None:
            _fit(rig.camera, depth_m.shape[1], depth_m.shape[0], str(entry.depth))
            depth_m = register_depth(depth_m, rig.camera, self._resampler.source, rig.T_cam_depth)
        self._check_size(entry.depth, depth_m)
        return self._resampler.depth(depth_m)

    def _check_size(self, path: Path, image: NDArray[np.generic]) -> None:
        height, width = image.shape[:2]
        if (width, height) != self._source_size:
            expected = f"{self._source_size[0]}x{self._source_size[1]} like the first frame"
            raise FormatError(path, f"an image of {width}x{height}", expected)


class VideoSequence:
    """Frames of a video file. Satisfies `Sequence`; made by `open_sequence`."""

    def __init__(
        self, video: Video, resampler: Resampler, intrinsics_source: str, every: int, max_frames: int | None
    ) -> None:
        self.name, self.intrinsics_source, self.camera = video.path.stem, intrinsics_source, resampler.camera
        self.timed = True
        self._video, self._resampler, self._every, self._max_frames = video, resampler, every, max_frames
        self._length: int | None = None

    def __len__(self) -> int:
        if self._length is None:
            last = None if self._max_frames is None else (self._max_frames - 1) * self._every + 1
            self._length = -(-self._video.count(last) // self._every)
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        return self.frames_from(0)

    def frames_from(self, position: int) -> Iterator[Frame]:
        """The frames from the `position`-th on; those before and between are passed over without conversion."""
        _check_position(position)
        wanted = None if self._max_frames is None else max(0, self._max_frames - position)
        for frame in islice(self._video.frames(position * self._every, self._every), wanted):
            yield replace(frame, image=self._resampler.image(frame.image))

    def fingerprint(self) -> str:
        """SHA-256 of what the frames are made of: camera, which frames, and the film's name, size and content."""
        return fingerprint([_camera_row(self.camera), self._every, self._max_frames, file_row(self._video.path)])


def _camera_row(camera: Camera) -> list[float]:
    return [camera.width, camera.height, *(round(number, 4) for number in camera.numbers)]


def _check_position(position: int) -> None:
    if position < 0:
        raise InputError("position", position, "0 or more")
