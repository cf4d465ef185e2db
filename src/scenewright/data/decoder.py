"""The child process that decodes a video: `python -m scenewright.data.decoder FILE START STEP`.

A codec is the largest attack surface of the package and may crash or hang on a crafted file; here it takes down
nothing but this process, whose memory is limited. The parent, `scenewright.data.video`, reads a stream of records from
standard output: a fixed head, then for a frame its pixels, for an error its text.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

import cv2

from scenewright.data.safe import MAX_VIDEO_SIDE

HEAD = struct.Struct("<cqdII")  # kind, index, time in seconds, width, height
START, FRAME, SKIPPED, ERROR, END = b"S", b"F", b"K", b"E", b"."
MAX_FRAMES = 1_000_000
MEMORY_BYTES = 12 << 30


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # no such module outside POSIX
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _open(path: str) -> cv2.VideoCapture | str:
    """The opened video, or what is wrong with it."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file"
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        return "a video that cannot be opened"
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if not (0 < width <= MAX_VIDEO_SIDE and 0 < height <= MAX_VIDEO_SIDE):
        return f"frames of {width:.0f}x{height:.0f}"
    return capture


def stream(path: str, start: int, step: int, out: BinaryIO) -> None:
    """Write the records of a video: every frame from `start` on that `step` selects, a bare head for each other."""
    capture = _open(path)
    if isinstance(capture, str):
        _error(out, capture)
        return
    promised = max(0, min(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), MAX_FRAMES))
    out.write(HEAD.pack(START, promised, 0.0, 0, 0))
    rate = capture.get(cv2.CAP_PROP_FPS)
    period, time, index = 1 / (rate if 1 <= rate <= 1000 else 30.0), 0.0, 0
    while capture.grab():
        if index == MAX_FRAMES:
            _error(out, f"more than {MAX_FRAMES} frames")
            return
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        time = stamp if index == 0 or stamp > time else time + period
        if index < start or (index - start) % step:
            out.write(HEAD.pack(SKIPPED, index, time, 0, 0))
        elif not _frame(capture, index, time, out):
            break
        out.flush()
        index += 1
    out.write(HEAD.pack(END, index, time, 0, 0))


def _frame(capture: cv2.VideoCapture, index: int, time: float, out: BinaryIO) -> bool:
    done, image = capture.retrieve()
    if not done:
        return False
    out.write(HEAD.pack(FRAME, index, time, image.shape[1], image.shape[0]))
    out.write(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).data)
    return True


def _error(out: BinaryIO, text: str) -> None:
    data = text.encode()
    out.write(HEAD.pack(ERROR, len(data), 0.0, 0, 0) + data)


if __name__ == "__main__":
    _limit_memory()
    try:
        stream(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:  # the parent has seen enough
        os._exit(0)
