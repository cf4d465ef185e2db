"""Make3D (Saxena et al., PAMI 2009): photographs with a laser grid of 55 x 305 depths in MATLAB 5 files.

`img-NAME.jpg` lies with `depth_sph_corr-NAME.mat`, whose Position3DGrid (55, 305, 4) holds the depth in its fourth
channel. As in FCRN's evaluation, grid and photograph come out at 460 x 345 (height x width), the grid by nearest.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scenewright.data.images import read_image
from scenewright.data.items import View
from scenewright.data.layout import natural_key
from scenewright.data.matlab import read_mat
from scenewright.errors import FormatError, InputError

_DEPTH, _IMAGE = "depth_sph_corr-", "img-"
_GRID = (55, 305, 4)
_FOLDERS = {"train": "train400", "test": "test134"}


class Make3d:
    """The set as items without camera.

    Args:
        root: a folder that holds the depths and images, in subfolders of any name.
        split: "all", or only what lies below folders named Train400... or Test134....
        size: (width, height) of the items.

    Raises:
        FormatError: no pair of a depth and an image.
        InputError: no such split.
    """

    unit = "metres, laser range, 55 x 305 grid"

    def __init__(self, root: str | Path, split: str = "all", size: tuple[int, int] = (345, 460)) -> None:
        root = Path(root)
        if split != "all" and split not in _FOLDERS:
            raise InputError("split", repr(split), "all, train or test")
        self.size = size
        images, depths = (_files(root, prefix, split) for prefix in (_IMAGE, _DEPTH))
        names = sorted(set(images) & set(depths), key=lambda name: natural_key(Path(name)))
        if not names:
            raise FormatError(
                root, f"{len(images)} images and {len(depths)} depths", "img-*.jpg with depth_sph_corr-*.mat"
            )
        self.unpaired = len(set(images) ^ set(depths))
        self._pairs = [(name, images[name], depths[name]) for name in names]

    def __len__(self) -> int:
        return len(self._pairs)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        return self._pairs[index][1:]

    def __getitem__(self, index: int) -> View:
        """One photograph with its depth.

        Raises:
            FormatError: a damaged file, another grid, or a negative depth.
        """
        name, image, depth = self._pairs[index]
        grid = read_mat(depth, ("Position3DGrid",))["Position3DGrid"]
        if grid.shape != _GRID or grid[..., 3].min() < 0:
            raise FormatError(f"{depth} Position3DGrid", f"{grid.shape}, depth from {grid.min():g}", f"{_GRID}, >= 0")
        depth_m = cv2.resize(grid[..., 3].astype(np.float32), self.size, interpolation=cv2.INTER_NEAREST)
        picture = cv2.resize(read_image(image), self.size, interpolation=cv2.INTER_AREA)
        return View(name, np.asarray(picture, np.uint8), None, np.asarray(depth_m, np.float32))


def _files(root: Path, prefix: str, split: str) -> dict[str, Path]:
    files = (f for f in root.rglob(f"{prefix}*") if f.is_file())
    return {f.stem.removeprefix(prefix): f for f in files if split == "all" or _below(f.relative_to(root), split)}


def _below(file: Path, split: str) -> bool:
    return any(part.lower().startswith(_FOLDERS[split]) for part in file.parts[:-1])


def is_make3d(path: Path) -> bool:
    """Whether a folder holds Make3D's depths, at most two levels down."""
    return path.is_dir() and any(next(path.glob(f"{level}{_DEPTH}*.mat"), None) for level in ("", "*/", "*/*/"))
