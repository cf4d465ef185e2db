"""HDF5 files of others, read strictly: only plain arrays of numbers inside the file, one bounded slice at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from scenewright.data.safe import file_size
from scenewright.errors import FormatError

MAX_FILE_BYTES = 1 << 41
MAX_ITEM_BYTES = 1 << 28
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}


def is_h5(path: Path) -> bool:
    """Whether a file is HDF5: the signature lies at byte 0, or at 512 behind MATLAB's own header."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(520)
    return head[:8] == SIGNATURE or head[512:] == SIGNATURE


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file, open for reading; whatever its library fails on inside becomes one FormatError.

    Raises:
        FormatError: no HDF5 file, a cut-off one, or damage met while reading.
    """
    file_size(path, MAX_FILE_BYTES)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError, OverflowError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"damaged HDF5 ({str(error)[:120]})", "a complete HDF5 file") from None


def array(file: h5py.File, names: str | tuple[str, ...], dimensions: int) -> h5py.Dataset:
    """The first of several names that is there: an array of numbers whose items, along the first axis, are bounded.

    Links to other files, external storage, virtual arrays and filters that load code are refused: they would let a
    file reach beyond itself.

    Raises:
        FormatError: none of them, or something else under that name.
    """
    path = file.filename
    names = (names,) if isinstance(names, str) else names
    name = next((n for n in names if n in file), None)
    if name is None:
        found = ", ".join(sorted(map(str, file.keys()))[:8]) or "nothing"
        raise FormatError(path, found, f"an array {' or '.join(names)}")
    where = f"{path} {name}"
    dataset = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "uif":
        raise FormatError(where, "no plain array of numbers", "integers or floating-point numbers")
    if dataset.external or dataset.is_virtual or not _filters(dataset) <= _FILTERS:
        raise FormatError(where, "external, virtual or specially packed storage", "numbers inside the file")
    if dataset.ndim != dimensions or 0 in dataset.shape:
        raise FormatError(where, f"shape {dataset.shape}", f"{dimensions} dimensions, none of them 0")
    largest = max(np.prod(shape, dtype=np.float64) for shape in (dataset.shape[1:], dataset.chunks or (1,)))
    if largest * dataset.dtype.itemsize > MAX_ITEM_BYTES:
        raise FormatError(where, f"items of shape {dataset.shape[1:]}", f"at most {MAX_ITEM_BYTES} bytes each")
    return dataset


def _filters(dataset: h5py.Dataset) -> set[int]:
    plist = dataset.id.get_create_plist()
    return {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}


def item(dataset: h5py.Dataset, index: int) -> NDArray[Any]:
    """The `index`-th item along the first axis; finite where it is of a float type.

    Raises:
        FormatError: values that are not finite.
    """
    values = np.asarray(dataset[index])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise FormatError(f"{dataset.file.filename} {dataset.name}[{index}]", "NaN or infinity", "finite numbers")
    return values
