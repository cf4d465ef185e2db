"""Video files, streamed from a child process: upright frames, counted by decoding, never more than one in memory."""

from __future__ import annotations

import logging
import select
import subprocess
import sys
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from typing import IO

import numpy as np

from scenewright.data.decoder import END, ERROR, FRAME, HEAD, START
from scenewright.data.safe import MAX_VIDEO_SIDE, file_size
from scenewright.data.sequence import Frame
from scenewright.errors import FormatError

MAX_VIDEO_BYTES = 1 << 40
FRAME_TIMEOUT_S = 60.0
NEVER = 1 << 40
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_STILLS = (b"heic", b"heix", b"mif1", b"avif")
_EXPECTED = f"a complete MP4, MOV, AVI, MKV, WebM or MPEG video of at most {MAX_VIDEO_SIDE} pixels a side"
_log = logging.getLogger(__name__)


def is_video(path: Path) -> bool:
    """Whether a file begins like MP4/MOV, AVI, Matroska/WebM or MPEG; playlists and other text never do."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in _BOXES:
        return head[8:12] not in _STILLS
    riff_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return riff_avi or head[:4] in (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")


class Video:
    """A video file.

    Args:
        path: MP4, MOV, AVI, Matroska/WebM or MPEG.
        timeout_s: how long one frame may take to decode.

    Attributes:
        width, height: of the upright frames (the rotation flag of the file is applied).

    Raises:
        FormatError: no video, a video that cannot be opened, frames above 8192 pixels, or no frame at all.
    """

    def __init__(self, path: str | Path, timeout_s: float = FRAME_TIMEOUT_S) -> None:
        self.path, self.timeout_s = Path(path), timeout_s
        file_size(self.path, MAX_VIDEO_BYTES)
        if not is_video(self.path):
            raise FormatError(self.path, "a file that does not begin like a video", _EXPECTED)
        first = next(self.frames(), None)
        if first is None:
            raise FormatError(self.path, "no frame that can be decoded", _EXPECTED)
        self.height, self.width = first.image.shape[:2]

    def frames(self, start: int = 0, step: int = 1) -> Iterator[Frame]:
        """Every `step`-th frame from the frame `start` on; a damaged tail ends the iteration and is logged.

        Raises:
            FormatError: a frame of another size, one that takes longer than `timeout_s`, or an endless video.
        """
        shape: tuple[int, ...] | None = None
        for index, frame in self._records(start, step):
            if frame is None:
                continue
            if shape is not None and frame.image.shape != shape:
                found = f"frame {index} of {frame.image.shape[1]}x{frame.image.shape[0]}"
                raise FormatError(self.path, found, f"{shape[1]}x{shape[0]} like the first frame")
            shape = frame.image.shape
            yield frame

    def count(self, limit: int | None = None) -> int:
        """The number of frames that can be decoded, at most `limit`."""
        found = 0
        records = self._records(NEVER, 1)
        while found != limit and next(records, None) is not None:
            found += 1
        records.close()
        return found

    def _records(self, start: int, step: int) -> Generator[tuple[int, Frame | None], None, None]:
        """(index, frame or None where it was passed over) of everything that the child decodes."""
        command = [
            sys.executable,
            "-P",
            "-m",
            "scenewright.data.decoder",
            str(self.path.resolve()),
            str(start),
            str(step),
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        assert process.stdout is not None
        try:
            yield from self._parse(process.stdout)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()

    def _parse(self, pipe: IO[bytes]) -> Generator[tuple[int, Frame | None], None, None]:
        promised = 0
        for decoded in count():
            head = bytearray(HEAD.size)
            if not self._fill(pipe, memoryview(head)):
                _log.warning("%s: the decoder crashed after %d frames", self.path, max(0, decoded - 1))
                return
            kind, index, time, width, height = HEAD.unpack(head)
            if kind == ERROR:
                text = bytearray(index)
                self._fill(pipe, memoryview(text))
                raise FormatError(self.path, text.decode(), _EXPECTED)
            if kind == END:
                if index < promised:
                    _log.warning("%s: %d of the %d frames in its header can be decoded", self.path, index, promised)
                return
            if kind == START:
                promised = index
            elif kind == FRAME:
                image = np.empty((height, width, 3), np.uint8)
                if not self._fill(pipe, image.data.cast("B")):
                    return
                yield index, Frame(index, time, image)
            else:
                yield index, None

    def _fill(self, pipe: IO[bytes], target: memoryview) -> bool:
        """Fill a buffer from the child; False where the child ended first."""
        done = 0
        while done < len(target):
            ready, _, _ = select.select([pipe], [], [], self.timeout_s)
            if not ready:
                raise FormatError(self.path, f"a frame that takes more than {self.timeout_s:g} s", _EXPECTED)
            received = pipe.readinto(target[done:])  # type: ignore[attr-defined]
            if not received:
                return False
            done += received
        return True
