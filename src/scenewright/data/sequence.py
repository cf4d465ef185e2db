"""A video of any origin as a stream of frames, never more than one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence.

    Args:
        index: position in the source, counted before `every` skips any.
        time_s: timestamp in seconds; index / rate where the source has none.
        image: (H, W, 3) uint8 RGB, upright.
        depth_m: (H, W) float32 z-depth in metres aligned to `image`, 0 = unknown; None where the source has none.
        T_world_cam: (4, 4) float64; None where the source gives no pose for this frame.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None = None
    T_world_cam: NDArray[np.float64] | None = None


class Sequence(Protocol):
    """A video source. Iterating twice gives the same frames; a frame that cannot be read is an error naming it."""

    @property
    def name(self) -> str:
        """A short name for reports."""

    @property
    def camera(self) -> Camera:
        """The single camera of all frames, bound to the size of the frames that iteration yields (undistorted)."""

    @property
    def intrinsics_source(self) -> str:
        """Where the intrinsics come from: "file", "option", "exif", or "guess"."""

    @property
    def timed(self) -> bool:
        """Whether times are the source's own; False: frame numbers at a nominal rate, which say nothing of seconds."""

    def __len__(self) -> int:
        """The number of frames that iteration will yield (after every / max_frames), counted, never trusted."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames in time order, streamed."""

    def frames_from(self, position: int) -> Iterator[Frame]:
        """The same frames from the `position`-th on, without decoding what resuming does not need where possible."""

    def fingerprint(self) -> str:
        """SHA-256 of what the frames are made of, for records of what was measured; the same on every machine."""
