"""MATLAB level-5 files, read strictly: only named arrays of plain numbers, inflated no further than a cap.

SciPy decodes them, but trusts the sizes that structures and cells promise and inflates without end; so the file's
elements are walked first (MAT-File Format, 5: tags, array flags), and only numeric matrices are handed on.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from scenewright.data.safe import read_bytes
from scenewright.errors import FormatError

MAX_BYTES = 1 << 26
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC = range(6, 16)  # mxDOUBLE_CLASS .. mxUINT64_CLASS


def read_mat(path: str | Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read arrays of a level-5 .mat file.

    Args:
        names: the arrays wanted; others are passed over.

    Returns:
        Every wanted array, finite, of a real numeric type, at least two-dimensional as MATLAB has them.

    Raises:
        FormatError: no level-5 file, damage, more than 64 MB of contents, an absent array, or one that is no array of
            finite numbers.
    """
    data = read_bytes(path, MAX_BYTES)
    if len(data) < 136 or data[126:128] not in (b"IM", b"MI") or data[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise FormatError(path, f"a file that begins with {data[:19]!r}", "a MATLAB 5.0 MAT-file")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        clean = data[:128] + b"".join(_numeric(data, order))
        found = scipy.io.loadmat(io.BytesIO(clean), variable_names=list(names))
    except FormatError:
        raise
    except Exception as error:  # SciPy fails on damaged files in every way that Python knows
        raise FormatError(path, f"damaged contents ({str(error)[:120]})", "a complete MAT-file") from None
    for name in names:
        values = found.get(name)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "uif" or not values.size:
            raise FormatError(f"{path} {name}", "no array of numbers" if name in found else "nothing", "an array")
        if not np.isfinite(values).all():
            raise FormatError(f"{path} {name}", "NaN or infinity", "finite numbers")
    return {name: found[name] for name in names}


def _numeric(data: bytes, order: str) -> Iterator[bytes]:
    """The top-level elements that are numeric matrices, inflated."""
    at, budget = 128, MAX_BYTES
    while at < len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) < length:
            raise ValueError(f"an element at byte {at} runs beyond the end of the file")
        element = _inflate(body, budget) if kind == _COMPRESSED else data[at : at + 8 + length]
        budget -= len(element)
        if _is_numeric(element, order):
            yield element
        at += 8 + length


def _inflate(body: bytes, budget: int) -> bytes:
    stream = zlib.decompressobj()
    element = stream.decompress(body, max(1, budget))
    if not stream.eof:
        raise ValueError(f"compressed contents that are cut off, or above {MAX_BYTES} bytes")
    return element


def _is_numeric(element: bytes, order: str) -> bool:
    kind, length, _, _, flags = struct.unpack_from(order + "IIIII", element, 0)
    if kind != _MATRIX or length + 8 > len(element):
        raise ValueError("an element that is no whole matrix")
    return (flags & 0xFF) in _NUMERIC
