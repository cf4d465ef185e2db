"""Real focal stacks: a folder of pictures of one scene, focused from near to far, brought into register.

Focusing moves the lens, and that changes the magnification; a camera in the hand moves, too. Each picture is matched
to the one before it, whose blur is nearly its own, by an affine map (Evangelidis & Psarakis, PAMI 2008).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_image
from scenewright.data.layout import images_in
from scenewright.data.safe import read_text
from scenewright.errors import FormatError, InputError

Image = NDArray[np.uint8]
Affine = NDArray[np.float64]
DISTANCES = "focus.txt"
"""Beside the pictures, where distances are known: one number of metres a line, in the order of the pictures."""
MAX_SLICES = 100
_MATCH_SIDE = 480
_CRITERIA = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 100, 1e-6)


def read_focal_folder(
    folder: str | Path, *, align: bool = True, far_first: bool = False
) -> tuple[Image, NDArray[np.float32] | None]:
    """Read a stack, its pictures in natural order of their names.

    Args:
        folder: of 2 to 100 pictures of one size, focused from near to far.
        align: bring them into register.
        far_first: they are focused from far to near.

    Returns:
        (S, H, W, 3) uint8 RGB from near to far, and (S,) metres, or None where no `focus.txt` says them.

    Raises:
        FormatError: too few or too many pictures, sizes that differ, or distances that are not theirs.
        InputError: pictures that cannot be matched.
    """
    files = images_in(Path(folder))
    if not 2 <= len(files) <= MAX_SLICES:
        raise FormatError(folder, f"{len(files)} images", f"a focal stack of 2 to {MAX_SLICES}")
    images = [read_image(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            found, expected = (f"{i.shape[1]}x{i.shape[0]}" for i in (image, images[0]))
            raise FormatError(file, found, f"{expected}, the size of {files[0].name}")
    distances = read_distances(Path(folder) / DISTANCES, len(files))
    stack = np.stack(align_stack(images) if align else images)
    if distances is not None:
        return in_order(stack, distances)
    return stack[::-1] if far_first else stack, None


def read_distances(path: Path, count: int) -> NDArray[np.float32] | None:
    """The focus distances of a stack in the order of its pictures, (count,) metres; None where there is no such file.

    Raises:
        FormatError: anything but `count` numbers, or as `check_distances`.
    """
    if not path.is_file():
        return None
    try:
        metres = np.array([float(word) for word in read_text(path).split()], np.float32)
    except ValueError as error:
        raise FormatError(path, str(error), f"{count} numbers, metres") from None
    check_distances(path, metres, count)
    return metres


def check_distances(subject: object, metres: NDArray[np.float32], count: int) -> None:
    """Refuse focus distances that are not those of a stack of `count` pictures.

    Raises:
        FormatError: another number of them, or anything but metres above 0 that all ascend or all descend.
    """
    steps = np.diff(metres)
    ordered = len(metres) == count and ((steps > 0).all() or (steps < 0).all())
    if not (ordered and np.isfinite(metres).all() and (metres > 0).all()):
        expected = f"{count} metres above 0, one for each picture, that all ascend or all descend"
        raise FormatError(subject, metres.tolist()[:20], expected)


def in_order(stack: Image, metres: NDArray[np.float32]) -> tuple[Image, NDArray[np.float32]]:
    """A stack and its distances from near to far, whichever way they came."""
    return (stack, metres) if metres[0] < metres[-1] else (stack[::-1], metres[::-1].copy())


def align_stack(images: list[Image]) -> list[Image]:
    """Resample every picture onto the one that sees least, so that none has an empty rim from a change of size.

    Raises:
        InputError: neighbours that cannot be matched.
    """
    maps = chain_of(images)
    height, width = images[0].shape[:2]
    magnification = [abs(np.linalg.det(A[:, :2])) for A in maps]
    to_first = _inverse(maps[int(np.argmax(magnification))])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return [
        np.asarray(
            cv2.warpAffine(image, _after(A, to_first), (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        for image, A in zip(images, maps, strict=True)
    ]


def chain_of(images: list[Image]) -> list[Affine]:
    """For each picture the (2, 3) matrix that takes pixels of the first picture to its own.

    Raises:
        InputError: neighbours that cannot be matched.
    """
    scale = min(1.0, _MATCH_SIDE / max(images[0].shape[:2]))
    greys = [_grey(image, scale) for image in images]
    maps = [np.eye(2, 3)]
    for number, (before, after) in enumerate(pairwise(greys), 1):
        try:
            _, step = cv2.findTransformECC(before, after, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, _CRITERIA)
        except cv2.error:
            pair = f"pictures {number - 1} and {number}"
            raise InputError(
                "focal stack", f"{pair} that do not match", "pictures of one scene from one place"
            ) from None
        maps.append(_after(_unscaled(np.asarray(step, np.float64), scale), maps[-1]))
    return maps


def _grey(image: Image, scale: float) -> NDArray[np.float32]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.5), np.float32)


def _unscaled(A: Affine, scale: float) -> Affine:
    """The map between full-size pictures from that between shrunk ones; pixel centres lie at integers."""
    middle = np.full(2, (scale - 1) / 2)  # c' = (c + 1/2) s - 1/2
    shift = (A[:, :2] @ middle + A[:, 2] - middle) / scale
    return np.column_stack([A[:, :2], shift])


def _after(second: Affine, first: Affine) -> Affine:
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def _inverse(A: Affine) -> Affine:
    inverse = np.linalg.inv(A[:, :2])
    return np.column_stack([inverse, -inverse @ A[:, 2]])
