"""What one item of a data set holds, before a task makes a sample of it; and what every reader of such a set offers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from scenewright.data.posed_pairs import PosedPair
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """A photograph, alone or the left one of a rectified pair, with what is known of its depth.

    Args:
        name: of the item, as its set calls it.
        image: (H, W, 3) uint8 RGB.
        camera: bound to (H, W); None where the set says nothing.
        depth_m: (H, W) float32 z-depth in metres, 0 = unknown; None without truth.
        right: (H, W, 3), seen from `baseline_m` along +x; None for a single picture.
        baseline_m: metres, > 0; None where unknown.
        disp_px: (H, W) float32 disparity at this width, 0 = unknown; None where the truth is no disparity.
    """

    name: str
    image: Image
    camera: Camera | None = None
    depth_m: Floats | None = None
    right: Image | None = None
    baseline_m: float | None = None
    disp_px: Floats | None = None


@dataclass(frozen=True)
class OrdinalView:
    """A photograph with pairs of points of which it is known which lies nearer.

    Args:
        name, image: as in `View`.
        points: (P, 2, 2) int64, (row, column) of both points of each pair, from 0 on.
        relation: (P,) int64: +1 the first point is nearer, -1 it is farther, 0 they are equally far.
    """

    name: str
    image: Image
    points: NDArray[np.int64]
    relation: NDArray[np.int64]


@dataclass(frozen=True)
class FocalStack:
    """Aligned pictures of one scene, focused from near to far.

    Args:
        name: of the item.
        stack: (S, H, W, 3) uint8 RGB.
        focus_m: (S,) metres, ascending.
        camera: bound to (H, W).
        depth_m: (H, W) metres, 0 = unknown; None without truth.
    """

    name: str
    stack: Image
    focus_m: Floats
    camera: Camera
    depth_m: Floats | None = None

    @property
    def image(self) -> Image:
        """The picture focused in the middle, to look at."""
        return np.asarray(self.stack[len(self.stack) // 2])


@dataclass(frozen=True)
class PatchPair:
    """Two patches of photographs.

    Args:
        name: of the item.
        image, second: (64, 64) uint8 grey.
        same: whether both show the same point of the scene.
    """

    name: str
    image: Image
    second: Image
    same: bool


@dataclass(frozen=True)
class HomographyPair:
    """Two photographs of one plane.

    Args:
        name: of the item.
        image: (H, W, 3) uint8 RGB.
        second: (H', W', 3) uint8 RGB.
        H_second_first: (3, 3) float64 maps homogeneous pixels of the first into the second.
    """

    name: str
    image: Image
    second: Image
    H_second_first: NDArray[np.float64]


Item = View | OrdinalView | FocalStack | PatchPair | HomographyPair | PosedPair
T_co = TypeVar("T_co", bound=Item, covariant=True)


class Reader(Protocol[T_co]):
    """A data set as items that are read one at a time, when asked for."""

    @property
    def unit(self) -> str:
        """The unit of the truth as it is stored, and what it measures."""

    def __len__(self) -> int:
        """The number of items, counted."""

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item, the first of which may be shared by all."""

    def __getitem__(self, index: int) -> T_co:
        """One item, read from disk; IndexError beyond the last."""


def check_same_size(subject: object, image: NDArray[np.generic], other: NDArray[np.generic], what: str) -> None:
    """Refuse a map that does not cover its picture pixel by pixel.

    Raises:
        FormatError: (H, W) differ.
    """
    if image.shape[:2] != other.shape[:2]:
        found = f"{other.shape[1]}x{other.shape[0]}"
        raise FormatError(subject, found, f"{image.shape[1]}x{image.shape[0]}, the size of {what}")
