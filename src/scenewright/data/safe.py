"""Checks that every reader of somebody else's bytes shares: sizes before memory, names before files."""

from __future__ import annotations

from pathlib import Path

from scenewright.errors import FormatError

MAX_PIXELS = 64_000_000
MAX_SIDE = 65_535
MAX_IMAGE_BYTES = 1 << 29
MAX_TEXT_BYTES = 1 << 26
MAX_VIDEO_SIDE = 8192


def file_size(path: str | Path, limit: int) -> int:
    """The size of a regular, non-empty file in bytes.

    Raises:
        FormatError: no such file, a folder or device, an empty file, or one above `limit` bytes.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "a folder" if path.is_dir() else "no such file", "a file")
    size = path.stat().st_size
    if not 0 < size <= limit:
        raise FormatError(path, "an empty file" if size == 0 else f"{size} bytes", f"1 to {limit} bytes")
    return size


def read_bytes(path: str | Path, limit: int = MAX_IMAGE_BYTES) -> bytes:
    """The bytes of a file whose size was checked first.

    Raises:
        FormatError: as `file_size`, or a file that may not be read.
    """
    file_size(path, limit)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FormatError(path, error.strerror, "a readable file") from error


def read_text(path: str | Path, limit: int = MAX_TEXT_BYTES) -> str:
    """The text of a UTF-8 file whose size was checked first.

    Raises:
        FormatError: as `read_bytes`, or bytes that are no UTF-8 text.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"a byte that is no UTF-8 text at offset {error.start}", "a text file") from error


def first_lines(path: str | Path, limit: int = 4096) -> list[str]:
    """The lines within a file's first `limit` bytes, to recognise it by; what is no UTF-8 is replaced."""
    with Path(path).open("rb") as file:
        return file.read(limit).decode("utf-8", "replace").splitlines()


def inside(folder: Path, name: str, where: str) -> Path:
    """The file `name` of a list, which must lie below the list's folder.

    Args:
        folder: the folder that the list's names are relative to.
        name: a relative name as the list spells it.
        where: the list and line, for the error.

    Raises:
        FormatError: an absolute name, or one that climbs out with "..".
    """
    relative = Path(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise FormatError(where, f"the name {name!r}", "a relative name below the list's own folder")
    return folder / relative


def check_pixels(subject: object, width: int, height: int) -> None:
    """Refuse an image that its header makes too large, before anything is decoded.

    Raises:
        FormatError: a side of zero or above 65535, or more than 64 million pixels.
    """
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise FormatError(subject, f"an image of {width}x{height}", f"1 to {MAX_PIXELS // 10**6} million pixels")
