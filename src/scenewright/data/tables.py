"""Strict text tables: whitespace-separated columns, `#` comments, errors that name the line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.safe import read_text
from scenewright.errors import FormatError

MAX_ROWS = 1_000_000


@dataclass(frozen=True)
class Table:
    """A numeric table.

    Args:
        path: the file.
        values: (N, columns) float64, all finite.
        lines: (N,) the line of each row, counted from 1.
    """

    path: Path
    values: NDArray[np.float64]
    lines: NDArray[np.int64]

    def where(self, row: int) -> str:
        """ "file line n" of a row, the subject of an error."""
        return f"{self.path} line {self.lines[row]}"


def read_rows(path: str | Path, columns: int, *, max_rows: int = MAX_ROWS) -> Iterator[tuple[str, list[str]]]:
    """Yield ("file line n", tokens) for every line that is neither empty nor a comment.

    Raises:
        FormatError: no text file, a line whose number of columns differs, or more than `max_rows` rows.
    """
    rows = 0
    for number, line in enumerate(read_text(path).splitlines(), 1):
        tokens = line.split("#", 1)[0].split()
        if not tokens:
            continue
        rows += 1
        if len(tokens) != columns:
            raise FormatError(f"{path} line {number}", f"{len(tokens)} columns", f"{columns} columns")
        if rows > max_rows:
            raise FormatError(f"{path} line {number}", f"more than {max_rows} rows", f"at most {max_rows}")
        yield f"{path} line {number}", tokens


def number(token: str, where: str) -> float:
    """A finite decimal number.

    Raises:
        FormatError: anything else, NaN and infinity included.
    """
    try:
        value = float(token) if token.isascii() and "_" not in token else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(where, repr(token[:40]), "a finite number")
    return value


def read_table(path: str | Path, columns: int, *, max_rows: int = MAX_ROWS) -> Table:
    """Read a numeric table.

    Returns:
        The table with (N, columns) values; N may be 0 where the file holds only comments.

    Raises:
        FormatError: as `read_rows` and `number`.
    """
    values, lines = [], []
    for where, tokens in read_rows(path, columns, max_rows=max_rows):
        values.append([number(token, where) for token in tokens])
        lines.append(int(where.rsplit(" ", 1)[1]))
    return Table(Path(path), np.array(values, np.float64).reshape(-1, columns), np.array(lines, np.int64))
