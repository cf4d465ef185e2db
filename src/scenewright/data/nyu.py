"""NYU Depth v2, the labelled part (Silberman et al., ECCV 2012): one MATLAB 7.3 file of 1449 pictures with depth.

The file is HDF5, whose arrays h5py shows transposed: images (N, 3, 640, 480) uint8 and depths (N, 640, 480) metres.
`splits.mat` (MATLAB 5) numbers the 795 pictures of training and the 654 of testing, from 1 on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data import h5
from scenewright.data.items import View
from scenewright.data.matlab import read_mat
from scenewright.data.safe import check_pixels
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

# camera_params.m of the set's toolbox, whose pixels count from 1
_SIZE = (640, 480)
_FX, _FY, _CX, _CY = 518.85790117, 519.46961112, 325.58244941 - 1, 253.73616633 - 1


class NyuLabelled:
    """The labelled pictures as items, each read when asked for.

    Args:
        path: nyu_depth_v2_labeled.mat.
        split: "all", or "train" or "test" of `splits`.
        splits: splits.mat; None looks beside the file.
        raw: the depth as measured, with holes, instead of the filled one.

    Raises:
        FormatError: another file, or splits that do not fit it.
        InputError: no such split, or a split without splits.mat.
    """

    unit = "metres, z-depth, float32"

    def __init__(self, path: str | Path, split: str = "all", splits: str | Path | None = None, raw: bool = False):
        self.path, self._depths = Path(path), "rawDepths" if raw else "depths"
        with h5.opened(self.path) as file:
            images, depths = h5.array(file, "images", 4), h5.array(file, self._depths, 3)
            shape = images.shape
            if shape[1] != 3 or images.dtype != np.uint8 or depths.shape != (shape[0], *shape[2:]):
                found = f"images {shape} of {images.dtype} with depths {depths.shape}"
                raise FormatError(self.path, found, "(N, 3, W, H) uint8 with (N, W, H)")
            check_pixels(self.path, shape[2], shape[3])
            self._count = int(shape[0])
        self._indices = self._chosen(split, splits)

    def _chosen(self, split: str, splits: str | Path | None) -> NDArray[np.int64]:
        if split == "all":
            return np.arange(self._count)
        if split not in ("train", "test"):
            raise InputError("split", repr(split), "all, train or test")
        file = self.path.with_name("splits.mat") if splits is None else Path(splits)
        if not file.is_file():
            raise InputError(file, "no such file", f"splits.mat, which says what the {split} split is")
        name = f"{split}Ndxs"
        numbers = read_mat(file, (name,))[name].ravel()
        whole = bool((numbers == np.rint(numbers)).all()) and len(np.unique(numbers)) == len(numbers)
        if not whole or numbers.min() < 1 or numbers.max() > self._count:
            found = f"{len(numbers)} numbers from {numbers.min()} to {numbers.max()}"
            raise FormatError(f"{file} {name}", found, f"different whole numbers from 1 to {self._count}")
        return numbers.astype(np.int64) - 1

    def __len__(self) -> int:
        return len(self._indices)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        return (self.path,)

    def __getitem__(self, index: int) -> View:
        """One picture with its depth.

        Raises:
            FormatError: damage, or a negative or non-finite depth.
        """
        number = int(self._indices[index])
        with h5.opened(self.path) as file:
            image = h5.item(h5.array(file, "images", 4), number).transpose(2, 1, 0)
            depth_m = h5.item(h5.array(file, self._depths, 3), number).T.astype(np.float32)
        if depth_m.min() < 0:
            raise FormatError(f"{self.path} {self._depths}[{number}]", f"{depth_m.min()} m", "metres >= 0")
        return View(f"{number + 1:04d}", np.ascontiguousarray(image), _camera(image), np.ascontiguousarray(depth_m))


def _camera(image: NDArray[np.uint8]) -> Camera:
    height, width = image.shape[:2]
    return Camera.from_parameters(*_SIZE, _FX, _FY, _CX, _CY).resize(width, height)


def is_nyu_labelled(path: Path) -> bool:
    """Whether a file is the labelled set: HDF5 with `images` and `depths`."""
    if not h5.is_h5(path):
        return False
    with h5.opened(path) as file:
        return "images" in file and "depths" in file
