"""Portable float maps (PFM), as Middlebury and SceneFlow store disparities: a header, then rows from the bottom up.

The format is "PF" (three channels) or "Pf" (one), the size, and a scale whose sign is the byte order: negative means
little endian (http://www.pauldebevec.com/Research/HDR/PFM/).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.safe import check_pixels, read_bytes
from scenewright.data.tables import number
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes

_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,6})\s+(\d{1,6})\s+([-+.\deE]{1,32})\s")


def read_pfm(path: str | Path) -> NDArray[np.float32]:
    """Read a PFM.

    Returns:
        (H, W) or (H, W, 3) float32, top row first; infinite values, which mean "unknown", become 0.

    Raises:
        FormatError: no PFM, NaN, or a number of bytes other than its size asks for.
    """
    data = read_bytes(path)
    header = _HEADER.match(data)
    if header is None:
        raise FormatError(path, f"a file that begins with {data[:8]!r}", "a PFM: PF or Pf, width height, scale")
    width, height, channels = int(header[2]), int(header[3]), 3 if header[1] == b"PF" else 1
    check_pixels(path, width, height)
    wanted = 4 * width * height * channels
    if len(data) - header.end() != wanted:
        raise FormatError(path, f"{len(data) - header.end()} bytes of pixels", f"{wanted} for {width}x{height}")
    order = "<" if number(header[4].decode("ascii"), f"{path} scale") < 0 else ">"
    values = np.frombuffer(data, order + "f4", offset=header.end()).astype(np.float32)
    if np.isnan(values).any():
        raise FormatError(path, "values that are no numbers", "finite values, or infinity for unknown")
    shape = (height, width) if channels == 1 else (height, width, 3)
    return np.ascontiguousarray(np.where(np.isinf(values), np.float32(0), values).reshape(shape)[::-1])


def write_pfm(path: str | Path, values: NDArray[np.floating]) -> None:
    """Write an (H, W) or (H, W, 3) map as a little-endian PFM, in one atomic step.

    Raises:
        InputError: another shape.
    """
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or not values.size:
        raise InputError(path, f"an array {values.shape}", "(H, W) or (H, W, 3)")
    kind = "Pf" if values.ndim == 2 else "PF"
    header = f"{kind}\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
    write_bytes(path, header + values[::-1].astype("<f4").tobytes())
