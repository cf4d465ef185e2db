"""Pairs of frames of any RGB-D sequence with poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenewright.data.posed_pairs import PosedPair
from scenewright.data.sequences import FileSequence, open_sequence
from scenewright.errors import FormatError, InputError

_STEPS = 25


class RgbdPairs:
    """Frames `gap` apart among those with depth and pose, read when asked for.

    Args:
        path: a folder that `open_sequence` knows.
        gap: how many frames lie from one to the other; None: a 25th of the sequence.

    Raises:
        FormatError: a film, or fewer than `gap` + 1 frames with depth and pose.
        InputError: a gap below 1.
    """

    unit = "metres, z-depth, and the pose from frame to frame"

    def __init__(self, path: str | Path, gap: int | None = None) -> None:
        sequence = open_sequence(path)
        if not isinstance(sequence, FileSequence):
            raise FormatError(path, "a film", "a folder of frames with depth and poses")
        self._sequence, self._posed = sequence, sequence.posed()
        self.gap = max(1, len(self._posed) // _STEPS) if gap is None else gap
        if self.gap < 1:
            raise InputError("gap", self.gap, "1 or more")
        if len(self) < 1:
            raise FormatError(path, f"{len(self._posed)} frames with depth and pose", f"more than {self.gap}")

    def __len__(self) -> int:
        return max(0, len(self._posed) - self.gap)

    def files(self, index: int) -> tuple[Path, ...]:
        """The pictures and depth maps behind one pair."""
        a, b = self._posed[index], self._posed[index + self.gap]
        return *self._sequence.files(a), *self._sequence.files(b)

    def __getitem__(self, index: int) -> PosedPair:
        """One pair.

        Raises:
            FormatError: a damaged file.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        a, b = (next(self._sequence.frames_from(self._posed[k])) for k in (index, index + self.gap))
        assert a.depth_m is not None
        assert b.depth_m is not None
        assert a.T_world_cam is not None
        assert b.T_world_cam is not None
        T = np.asarray(np.linalg.inv(b.T_world_cam) @ a.T_world_cam, np.float64)
        return PosedPair(a.image, b.image, a.depth_m, b.depth_m, np.asarray(self._sequence.camera.K), T)
