"""Photographs of planes with the homographies between them: HPatches' full sequences, Oxford's affine regions.

A sequence is a folder: HPatches has 1.ppm ... 6.ppm and H_1_2 ... H_1_6, Oxford img1.ppm ... and H1to2p ...; JPEG, PNG,
PGM and the names img1.jpg, H_1_3.txt are read as well. A homography maps pixels of its first picture into its second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_image
from scenewright.data.items import HomographyPair
from scenewright.data.layout import natural_key
from scenewright.data.tables import read_table
from scenewright.errors import FormatError

_PICTURE = re.compile(r"(?:img)?(\d{1,4})\.(?:ppm|pgm|png|jpe?g|bmp)", re.IGNORECASE)
_HOMOGRAPHY = re.compile(r"H_?(\d{1,4})(?:_|to)(\d{1,4})p?(?:\.txt)?", re.IGNORECASE)
_MAX_SEQUENCES = 10_000
_LEAST_SHARED = 0.01


@dataclass(frozen=True)
class _Entry:
    name: str
    first: Path
    second: Path
    homography: Path


class HomographyPairs:
    """All pairs of one sequence, or of all sequences of a folder, as items.

    Args:
        path: a sequence, or the folder of sequences.

    Raises:
        FormatError: no sequence, two pictures of one number, or a homography without its pictures.
    """

    unit = "homographies, pixels of the first picture to the second"

    def __init__(self, path: str | Path) -> None:
        root = Path(path)
        folders = _sequences(root)
        if not folders:
            raise FormatError(root, "no homographies", "H_1_2 ... beside 1.ppm ..., or H1to2p ... beside img1.ppm ...")
        self._entries: list[_Entry] = []
        self.unpaired = 0
        for folder in folders:
            entries, alone = _read_folder(folder)
            self._entries += entries
            self.unpaired += alone

    def __len__(self) -> int:
        return len(self._entries)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files behind one pair."""
        entry = self._entries[index]
        return entry.homography, entry.first, entry.second

    def __getitem__(self, index: int) -> HomographyPair:
        """One pair.

        Raises:
            FormatError: a damaged file, or a homography under which the pictures share nothing.
        """
        entry = self._entries[index]
        first, second, H = read_image(entry.first), read_image(entry.second), read_homography(entry.homography)
        if not _share(H, first.shape, second.shape):
            expected = f"one that takes some of {entry.first.name} into {entry.second.name}"
            raise FormatError(entry.homography, "a homography under which the pictures share nothing", expected)
        return HomographyPair(entry.name, first, second, H)


def read_homography(path: str | Path) -> NDArray[np.float64]:
    """(3, 3) of three lines of three numbers.

    Raises:
        FormatError: anything else, or a matrix that cannot be inverted.
    """
    H = read_table(path, 3, max_rows=3).values
    if H.shape != (3, 3):
        raise FormatError(path, f"{len(H)} lines", "three lines of three numbers")
    if not np.linalg.cond(H) < 1e14:
        raise FormatError(path, "a matrix that cannot be inverted", "a homography")
    return H


def _share(H: NDArray[np.float64], first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether more than a hundredth of 33 x 33 places of the first picture lie in the second, seen from the front."""
    v, u = np.meshgrid(*(np.linspace(0, n - 1, 33) for n in first[:2]), indexing="ij")
    x, y, w = H @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])
    front = w * w[len(w) // 2] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / w, y / w
        inside = (x >= 0) & (x <= second[1] - 1) & (y >= 0) & (y <= second[0] - 1)
    return bool((front & inside).mean() > _LEAST_SHARED)


def _sequences(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    if _named(root, _HOMOGRAPHY):
        return [root]
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=natural_key)[:_MAX_SEQUENCES]
    return [f for f in folders if _named(f, _HOMOGRAPHY)]


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    found = [(f, pattern.fullmatch(f.name)) for f in sorted(folder.iterdir(), key=natural_key) if f.is_file()]
    return [(f, match) for f, match in found if match is not None]


def _read_folder(folder: Path) -> tuple[list[_Entry], int]:
    """The pairs of a sequence, and how many of its pictures no homography names."""
    pictures: dict[int, Path] = {}
    for file, match in _named(folder, _PICTURE):
        number = int(match[1])
        if number in pictures:
            raise FormatError(file, f"another picture {number}, {pictures[number].name}", "one picture of each number")
        pictures[number] = file
    entries, used = [], set[int]()
    for file, match in _named(folder, _HOMOGRAPHY):
        a, b = int(match[1]), int(match[2])
        if a not in pictures or b not in pictures or a == b:
            raise FormatError(file, f"pictures {', '.join(map(str, pictures)) or 'none'}", f"pictures {a} and {b}")
        entries.append(_Entry(f"{folder.name} {a}-{b}", pictures[a], pictures[b], file))
        used |= {a, b}
    return entries, len(pictures.keys() - used)


def is_homographies(path: Path) -> bool:
    """Whether a folder is a sequence with homographies, or holds such sequences."""
    return any(_named(folder, _PICTURE) for folder in _sequences(path))
