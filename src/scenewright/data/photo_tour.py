"""Patches of Brown, Winder and Hua (PAMI 2011), also called PhotoTour: sheets of 64x64 patches and lists of pairs.

A sheet `patchesNNNN.bmp` has 1024x1024 pixels, 16x16 patches row by row. Line n of `info.txt` begins with the 3-D point
that patch n shows. A line of `m50_A_B_0.txt` is `patch point 0 patch point 0`: a match where the points agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_image
from scenewright.data.items import PatchPair
from scenewright.data.safe import inside, read_text
from scenewright.errors import FormatError

PATCH, SHEET = 64, 1024
USUAL_LIST = "m50_100000_100000_0.txt"
"""The test list that published figures use."""
_ACROSS = SHEET // PATCH
_PER_SHEET = _ACROSS**2
_MAX_PATCHES = 4_000_000
_CACHED_SHEETS = 64


class PhotoTour:
    """The pairs of one list as items; sheets are decoded when asked for.

    Args:
        path: folder of the sheets, info.txt and the lists.
        matches: name of the list; None: `USUAL_LIST`, else the first by name.

    Raises:
        FormatError: a list or sheet that is absent, lists that contradict each other, or patches that no sheet has.
    """

    unit = "whether two patches show one point"

    def __init__(self, path: str | Path, matches: str | None = None) -> None:
        self.root = Path(path)
        self.info = self.root / "info.txt"
        self.points = _points(self.info)
        count = -(-len(self.points) // _PER_SHEET)
        self._sheets = [self.root / f"patches{k:04d}.bmp" for k in range(count)]
        found = len(list(self.root.glob("patches*.bmp")))
        if found != count:
            raise FormatError(self.info, f"{len(self.points)} patches and {found} sheets", f"{count} sheets of 256")
        self.list = _list(self.root, matches)
        self._pairs = _pairs(self.list, self.points)
        self._sheet = lru_cache(_CACHED_SHEETS)(_read_sheet)

    def __len__(self) -> int:
        return len(self._pairs)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one pair."""
        return self.info, self.list, *(self._sheets[p // _PER_SHEET] for p in self._pairs[index])

    def __getitem__(self, index: int) -> PatchPair:
        """One pair.

        Raises:
            FormatError: a sheet that is absent, damaged or of another size.
        """
        first, second = (int(p) for p in self._pairs[index])
        same = bool(self.points[first] == self.points[second])
        return PatchPair(f"{self.list.name} {index}", self.patch(first), self.patch(second), same)

    def patch(self, number: int) -> NDArray[np.uint8]:
        """(64, 64) uint8 of a patch by its number."""
        sheet, place = divmod(number, _PER_SHEET)
        y, x = (PATCH * k for k in divmod(place, _ACROSS))
        return self._sheet(self._sheets[sheet])[y : y + PATCH, x : x + PATCH]


def _read_sheet(path: Path) -> NDArray[np.uint8]:
    image = read_image(path)
    if image.shape[:2] != (SHEET, SHEET):
        raise FormatError(path, f"{image.shape[1]}x{image.shape[0]} pixels", f"{SHEET}x{SHEET}, 16x16 patches")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _whole(tokens: Sequence[str], where: str, expected: str) -> list[int]:
    if not all(t.isascii() and t.isdecimal() and len(t) < 10 for t in tokens):
        raise FormatError(where, repr(" ".join(tokens)[:60]), expected)
    return [int(t) for t in tokens]


def _lines(path: Path) -> list[list[str]]:
    lines = read_text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not 1 <= len(lines) <= _MAX_PATCHES:
        raise FormatError(path, f"{len(lines)} lines", f"1 to {_MAX_PATCHES}")
    return [line.split() for line in lines]


def _points(path: Path) -> NDArray[np.int64]:
    """(N,) the 3-D point of every patch."""
    rows = _lines(path)
    expected = "a line of whole numbers, the first of them the 3-D point"
    return np.array([_whole(row[:1] or ["-"], f"{path} line {n}", expected)[0] for n, row in enumerate(rows, 1)])


def _list(root: Path, name: str | None) -> Path:
    if name is not None:
        return inside(root, name, "--matches")
    names = sorted(p.name for p in root.glob("m50_*.txt"))
    if not names:
        raise FormatError(root, "no list of pairs", f"{USUAL_LIST} or another m50_*.txt")
    return root / (USUAL_LIST if USUAL_LIST in names else names[0])


def _pairs(path: Path, points: NDArray[np.int64]) -> NDArray[np.int32]:
    """(P, 2) numbers of patches."""
    rows = _lines(path)
    pairs = np.empty((len(rows), 2), np.int32)
    for n, row in enumerate(rows, 1):
        where = f"{path} line {n}"
        if len(row) != 6:
            raise FormatError(where, f"{len(row)} columns", "patch point 0 patch point 0")
        numbers = _whole(row, where, "six whole numbers")
        for patch, point in (numbers[:2], numbers[3:5]):
            if patch >= len(points) or points[patch] != point:
                found = "no such patch" if patch >= len(points) else f"point {points[patch]}"
                raise FormatError(where, f"patch {patch} of point {point}; info.txt has {found}", "lists that agree")
        pairs[n - 1] = numbers[0], numbers[3]
    return pairs


def is_photo_tour(path: Path) -> bool:
    """Whether a folder holds such sheets."""
    return (path / "info.txt").is_file() and (path / "patches0000.bmp").is_file()
