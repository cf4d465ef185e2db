"""Video files, streamed: upright frames, counted by decoding, never more than one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from scenewright.data.safe import MAX_VIDEO_SIDE, file_size
from scenewright.data.sequence import Frame
from scenewright.errors import FormatError

MAX_VIDEO_BYTES = 1 << 40
MAX_VIDEO_FRAMES = 1_000_000
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def is_video(path: Path) -> bool:
    """Whether a file begins like MP4/MOV, AVI, Matroska/WebM or MPEG; playlists and other text never do."""
    with path.open("rb") as file:
        head = file.read(16)
    still = head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif")
    return not still and (
        head[4:8] in _BOXES
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or head[:4] in (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
    )


class Video:
    """A video file.

    Args:
        path: MP4, MOV, AVI, Matroska/WebM or MPEG.

    Attributes:
        width, height: of the upright frames (the rotation flag of the file is applied).

    Raises:
        FormatError: a file that cannot be opened, frames above 8192 pixels, or no frame at all.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        file_size(self.path, MAX_VIDEO_BYTES)
        first = next(self.frames(0, 1), None)
        if first is None:
            raise FormatError(self.path, "no frame that can be decoded", "a complete video file")
        self.height, self.width = first.image.shape[:2]

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path.resolve()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise FormatError(self.path, "a video that cannot be opened", "a complete MP4, MOV, AVI, MKV or MPEG file")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not (0 < width <= MAX_VIDEO_SIDE and 0 < height <= MAX_VIDEO_SIDE):
            raise FormatError(self.path, f"frames of {width}x{height}", f"sides of 1 to {MAX_VIDEO_SIDE} pixels")
        return capture

    def frames(self, start: int, step: int) -> Iterator[Frame]:
        """Every `step`-th frame from the frame `start` on; a damaged tail ends the iteration."""
        capture = self._open()
        try:
            rate = capture.get(cv2.CAP_PROP_FPS)
            period, time, shape = 1 / (rate if 1 <= rate <= 1000 else 30.0), None, None
            for index in range(MAX_VIDEO_FRAMES):
                if not capture.grab():
                    return
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                time = stamp if time is None or stamp > time else time + period
                if index < start or (index - start) % step:
                    continue
                done, image = capture.retrieve()
                if not done or (shape is not None and image.shape != shape):
                    return
                shape = image.shape
                yield Frame(index, time, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        finally:
            capture.release()

    def count(self, limit: int | None = None) -> int:
        """The number of frames that can be decoded, at most `limit`."""
        capture, found = self._open(), 0
        try:
            while found < (MAX_VIDEO_FRAMES if limit is None else limit) and capture.grab():
                found += 1
            return found
        finally:
            capture.release()
