"""Depth in the Wild (Chen et al., NIPS 2016): photographs with one pair of points each, two lines per image.

Line 1 is the image's path; line 2 is y_A, x_A, y_B, x_B, relation, width, height. Coordinates count from 1, row first;
">" says that A is farther than B, "<" that it is nearer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenewright.data.images import read_image
from scenewright.data.items import OrdinalView
from scenewright.data.safe import MAX_SIDE, first_lines, inside, read_text
from scenewright.errors import FormatError

MAX_BYTES = 1 << 28
MAX_PAIRS = 2_000_000
_NEARER = {"<": 1, ">": -1}  # +1: the first point is nearer


class Diw:
    """One list as items.

    Args:
        path: DIW_train.csv, DIW_val.csv or DIW_test.csv.
        images: the folder that the list's names are relative to; None: the list's own.

    Raises:
        FormatError: a line that is no pair, points outside their image, or names that leave the folder.
    """

    unit = "ordinal: which of two points is nearer"

    def __init__(self, path: str | Path, images: str | Path | None = None) -> None:
        self.path = Path(path)
        root = self.path.parent if images is None else Path(images)
        lines = read_text(self.path, MAX_BYTES).splitlines()
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines or len(lines) % 2 or len(lines) > 2 * MAX_PAIRS:
            raise FormatError(self.path, f"{len(lines)} lines", f"two for each of 1 to {MAX_PAIRS} images")
        self._files = [inside(root, _name(lines[i]), f"{self.path} line {i + 1}") for i in range(0, len(lines), 2)]
        self._pairs = np.array(
            [parse_pair(lines[i], f"{self.path} line {i + 1}") for i in range(1, len(lines), 2)], np.int32
        )

    def __len__(self) -> int:
        return len(self._files)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one item."""
        return self.path, self._files[index]

    def __getitem__(self, index: int) -> OrdinalView:
        """One photograph with its pair.

        Raises:
            FormatError: an absent or damaged image, or one of another size than the list says.
        """
        file = self._files[index]
        image = read_image(file)
        *points, relation, width, height = (int(x) for x in self._pairs[index])
        if image.shape[:2] != (height, width):
            raise FormatError(file, f"{image.shape[1]}x{image.shape[0]}", f"{width}x{height}, as {self.path.name} says")
        return OrdinalView(
            file.name, image, np.array(points, np.int64).reshape(1, 2, 2), np.array([relation], np.int64)
        )


def _name(line: str) -> str:
    return line.strip().strip(",").strip('"')


def parse_pair(line: str, where: str) -> tuple[int, ...]:
    """Row and column of both points from 0 on, the relation (+1: the first is nearer), width and height.

    Raises:
        FormatError: no such line, or points outside the image.
    """
    tokens = [token.strip().strip("\"'") for token in line.split(",")]
    if len(tokens) == 8 and not tokens[7]:
        tokens.pop()
    numbers = tokens[:4] + tokens[5:]
    if len(tokens) != 7 or tokens[4] not in _NEARER or not all(t.isdecimal() and len(t) < 6 for t in numbers):
        raise FormatError(where, repr(line[:60]), "y_A,x_A,y_B,x_B,relation,width,height with relation < or >")
    y_a, x_a, y_b, x_b, width, height = map(int, numbers)
    if not (
        1 <= y_a <= height <= MAX_SIDE and 1 <= y_b <= height and 1 <= x_a <= width <= MAX_SIDE and 1 <= x_b <= width
    ):
        raise FormatError(
            where, f"points ({y_a}, {x_a}), ({y_b}, {x_b})", f"inside the {width}x{height} image, from 1 on"
        )
    return y_a - 1, x_a - 1, y_b - 1, x_b - 1, _NEARER[tokens[4]], width, height


def is_diw(path: Path) -> bool:
    """Whether a file is such a list, by its first two lines."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    lines = first_lines(path)
    try:
        return len(lines) >= 2 and bool(parse_pair(lines[1], str(path)))
    except FormatError:
        return False
