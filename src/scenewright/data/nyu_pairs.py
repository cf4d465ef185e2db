"""Relative depth of NYU Depth v2 (Chen et al., NIPS 2016): photographs with many pairs of points each, as one list.

A line per image holds its path, a field that says nothing here and the number of its pairs; that many lines follow:
y_A, x_A, y_B, x_B, relation. Coordinates count from 1, row first; ">" says that A is farther than B, "<" that it is
nearer, "=" that both are equally far. A title may stand in front of all that: the official code skips the first line.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_image
from scenewright.data.items import OrdinalView
from scenewright.data.safe import MAX_SIDE, first_lines, inside, read_text
from scenewright.errors import FormatError

MAX_LINES = 4_000_000
MAX_PAIRS = 100_000
"""Of one image; the published lists have 800 or a little more."""
OFFICIAL_ROOT = "../../data/"
"""How names of the official lists begin: the folder of the lists, seen from that of the official scripts."""
_NEARER = {"<": 1, "=": 0, ">": -1}  # +1: the first point is nearer


class NyuPairs:
    """One list as items.

    Args:
        path: 654_NYU_MITpaper_test_imgs_orig_size_points.csv, or another list of that form.
        images: the folder that the list's names are relative to; None: the list's own.

    Raises:
        FormatError: a line that is no image or no pair, fewer pairs than announced, or names that leave the folder.
    """

    unit = "ordinal: which of two points is nearer, or neither"

    def __init__(self, path: str | Path, images: str | Path | None = None) -> None:
        self.path = Path(path)
        root = self.path.parent if images is None else Path(images)
        lines = read_text(self.path).rstrip().splitlines()
        if len(lines) > MAX_LINES:
            raise FormatError(self.path, f"{len(lines)} lines", f"at most {MAX_LINES}")
        blocks = list(_blocks(self.path, lines))
        if not blocks:
            raise FormatError(self.path, "no image", "a line path,...,pairs for each, and one line per pair")
        self._files = [inside(root, name, where) for where, name, _ in blocks]
        self._pairs = [pairs for _, _, pairs in blocks]

    def __len__(self) -> int:
        return len(self._files)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        return self.path, self._files[index]

    def __getitem__(self, index: int) -> OrdinalView:
        """One photograph with its pairs.

        Raises:
            FormatError: an absent or damaged image, or a point outside of it.
        """
        file = self._files[index]
        image = read_image(file)
        points = self._pairs[index][:, :4].astype(np.int64).reshape(-1, 2, 2)
        height, width = image.shape[:2]
        if (points >= (height, width)).any():
            found = f"a point outside the {width}x{height} of {file.name}"
            raise FormatError(self.path, found, "pairs inside their image, row first")
        return OrdinalView(file.name, image, points, self._pairs[index][:, 4].astype(np.int64))


def _blocks(path: Path, lines: list[str]) -> Iterator[tuple[str, str, NDArray[np.int32]]]:
    """Where each image's line stands, the image's name and its pairs (P, 5)."""
    at = 0 if lines and _is_heading(lines[0]) else 1
    while at < len(lines):
        where = f"{path} line {at + 1}"
        name, count = parse_heading(lines[at], where)
        left = len(lines) - at - 1
        if count > left:
            raise FormatError(where, f"{count} pairs announced, {left} lines left", "a line for each pair")
        pairs = [parse_pair(lines[i], f"{path} line {i + 1}") for i in range(at + 1, at + 1 + count)]
        yield where, name, np.array(pairs, np.int32)
        at += 1 + count


def parse_heading(line: str, where: str) -> tuple[str, int]:
    """An image's name, relative to the list's folder, and the number of its pairs.

    Raises:
        FormatError: no such line, or a number that is none or too large.
    """
    fields = _fields(line)
    if len(fields) < 3 or not Path(fields[0]).suffix or not _is_number(fields[2]):
        raise FormatError(where, repr(line[:60]), "an image: path,...,number of pairs")
    count = int(fields[2])
    if not 1 <= count <= MAX_PAIRS:
        raise FormatError(where, f"{count} pairs", f"1 to {MAX_PAIRS}")
    return fields[0].removeprefix(OFFICIAL_ROOT), count


def parse_pair(line: str, where: str) -> tuple[int, ...]:
    """Row and column of both points from 0 on, and the relation (+1: the first is nearer, 0: equally far).

    Raises:
        FormatError: no such line.
    """
    fields = _fields(line.rstrip(", \t"))
    if len(fields) != 5 or fields[4] not in _NEARER or not all(_is_number(t) for t in fields[:4]):
        raise FormatError(where, repr(line[:60]), "y_A,x_A,y_B,x_B,relation with relation <, = or >")
    points = [int(t) for t in fields[:4]]
    if not all(1 <= n <= MAX_SIDE for n in points):
        raise FormatError(where, f"points {points}", f"1 to {MAX_SIDE}")
    return (*(n - 1 for n in points), _NEARER[fields[4]])


def _fields(line: str) -> list[str]:
    return [field.strip().strip("\"'") for field in line.split(",")]


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 7


def _is_heading(line: str) -> bool:
    try:
        return bool(parse_heading(line, ""))
    except FormatError:
        return False


def _is_pair(line: str) -> bool:
    try:
        return bool(parse_pair(line, ""))
    except FormatError:
        return False


def is_nyu_pairs(path: Path) -> bool:
    """Whether a file is such a list, by its first image and that image's first pair."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    return any(_is_heading(image) and _is_pair(pair) for image, pair in pairwise(first_lines(path)[:3]))
