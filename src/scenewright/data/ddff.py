"""DDFF 12-Scene (Hazirbas et al., ACCV 2018): focal stacks refocused from light fields, in one HDF5 file.

Stacks are (n, 10, h, w, 3) uint8, focused at disparities that fall linearly from 0.2825 px (0.5 m) to 0.0202 px (7 m);
truth is (n, h, w) disparity in pixels, of which only that range is known. Depth is 0.14125 / disparity.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenewright.data import h5
from scenewright.data.items import FocalStack
from scenewright.data.safe import check_pixels
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

NEAR_DISP_PX, FAR_DISP_PX = 0.2825, 0.0202
METRE_PIXELS = 0.14125
"""Focal length times baseline of neighbouring sub-apertures: depth_m = METRE_PIXELS / disparity_px."""
_FOCAL_PX = 521.4052
SPLITS = ("train", "val", "test")


def focus_disparities(slices: int) -> np.ndarray:
    """(S,) disparities in pixels at which the slices are focused, nearest first."""
    return np.linspace(NEAR_DISP_PX, FAR_DISP_PX, slices)


class Ddff:
    """One split of the set as focal stacks.

    Args:
        path: ddff-dataset-trainval.h5 or -test.h5.
        split: "train", "val" or "test"; None takes the first that the file holds.

    Raises:
        FormatError: another file.
        InputError: no such split.
    """

    unit = "pixels, disparity, float32; depth = 0.14125 / disparity metres"

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        self.path = Path(path)
        if split is not None and split not in SPLITS:
            raise InputError("split", repr(split), f"one of {', '.join(SPLITS)}")
        with h5.opened(self.path) as file:
            held = [s for s in SPLITS if _stack_names(s)[0] in file or _stack_names(s)[1] in file]
            self.split = split or (held[0] if held else "train")
            stacks = h5.array(file, _stack_names(self.split), 5)
            shape = stacks.shape
            if shape[4] != 3 or stacks.dtype != np.uint8 or not 2 <= shape[1] <= 100:
                raise FormatError(f"{self.path} {stacks.name}", f"{shape} of {stacks.dtype}", "(n, S, h, w, 3) uint8")
            check_pixels(self.path, shape[3], shape[2])
            self.has_truth = f"disp_{self.split}" in file
            if self.has_truth and (truth := h5.array(file, f"disp_{self.split}", 3)).shape != (shape[0], *shape[2:4]):
                raise FormatError(f"{self.path} {truth.name}", f"{truth.shape}", f"{(shape[0], *shape[2:4])}")
            self._count = int(shape[0])

    def __len__(self) -> int:
        return self._count

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        return (self.path,)

    def __getitem__(self, index: int) -> FocalStack:
        """One stack with its depth; disparities outside the known range are unknown.

        Raises:
            FormatError: damage, or disparities that are not finite.
        """
        if not 0 <= index < self._count:
            raise IndexError(index)
        with h5.opened(self.path) as file:
            stack = h5.item(h5.array(file, _stack_names(self.split), 5), index)
            disp = h5.item(h5.array(file, f"disp_{self.split}", 3), index) if self.has_truth else None
        height, width = stack.shape[1:3]
        camera = Camera.from_parameters(width, height, _FOCAL_PX, _FOCAL_PX, (width - 1) / 2, (height - 1) / 2)
        focus_m = (METRE_PIXELS / focus_disparities(len(stack))).astype(np.float32)
        depth_m = None
        if disp is not None:
            known = (disp >= FAR_DISP_PX - 1e-6) & (disp <= NEAR_DISP_PX + 1e-6)
            depth_m = np.where(known, METRE_PIXELS / np.where(known, disp, 1), 0).astype(np.float32)
        return FocalStack(f"{self.split}-{index:04d}", stack, focus_m, camera, depth_m)


def _stack_names(split: str) -> tuple[str, str]:
    """The loader of the authors opens the first; their documentation spells the second."""
    return f"stack_{split}", f"stacks_{split}"


def is_ddff(path: Path) -> bool:
    """Whether a file is DDFF's: HDF5 with stacks of a known split."""
    if not h5.is_h5(path):
        return False
    with h5.opened(path) as file:
        return any(name in file for split in SPLITS for name in _stack_names(split))
