"""The only place that reads other frameworks' pickles, and what it allows them: arrays, dictionaries, text.

A pickle is a program. Here it may build NumPy arrays of numbers (or nested in a dictionary) and nothing else; any other
name in it is refused before it is looked up. Torch files go through torch's own reader of weights alone.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenewright.data.safe import file_size, read_bytes
from scenewright.errors import FormatError

MAX_BYTES = 1 << 30
"""The published FCRN weights are 255 MB, a ResNet-50 is 102 MB."""

_ARRAY = "numpy.ndarray"
_CODES = {"f2", "f4", "f8", "i4", "i8", "u1", "O8"}


class _Maker:
    """A function that a pickle may call, and whose state it may not touch."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a pickle that changes a function")


def _empty_array(kind: object, shape: object, code: object) -> np.ndarray[Any, Any]:
    """What NumPy's pickles begin an array with; its size and content follow as state, which NumPy checks."""
    if kind != _ARRAY or shape != (0,) or code not in (b"b", "b"):
        raise pickle.UnpicklingError(f"an array begun as {kind!r} of shape {shape!r}")
    return np.ndarray((0,), np.int8)


def _array_from_buffer(data: object, dtype: object, shape: object, order: object) -> np.ndarray[Any, Any]:
    """Protocol 5's arrays."""
    if not isinstance(data, bytes | bytearray) or not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise pickle.UnpicklingError(f"an array of {type(data).__name__}")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _dtype(code: object, *flags: object) -> np.dtype[Any]:
    if code not in _CODES:
        raise pickle.UnpicklingError(f"an array of type {code!r}")
    return np.dtype(code, copy=True)  # a copy, since its byte order follows as state


def _latin1(text: object, encoding: object) -> bytes:
    """How old protocols spell bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Maker(_dtype),
    ("numpy.core.multiarray", "_reconstruct"): _Maker(_empty_array),
    ("numpy._core.multiarray", "_reconstruct"): _Maker(_empty_array),
    ("numpy.core.numeric", "_frombuffer"): _Maker(_array_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _Maker(_array_from_buffer),
    ("_codecs", "encode"): _Maker(_latin1),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The maker of an allowed name; nothing is ever imported."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}, which is no array")
        return _ALLOWED[module, name]


def read_npy_dict(path: str | Path) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Read a dictionary layer -> parameter -> array that `numpy.save` pickled into an .npy file.

    Raises:
        FormatError: no such file, one above 1 GiB, no .npy file, damaged, or one that holds anything but arrays.
    """
    data = io.BytesIO(read_bytes(path, MAX_BYTES))
    expected = "an .npy file of a dictionary layer -> parameter -> array"
    try:
        version = np.lib.format.read_magic(data)
        if version != (1, 0):
            raise ValueError(f"version {version} of .npy")
        shape, _, dtype = np.lib.format.read_array_header_1_0(data)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"an array {shape} of {dtype}")
        content = _ArraysOnly(data, encoding="latin1").load()  # the allow-list above; Python 2's text
    except Exception as error:  # a damaged pickle may fail in any way
        raise FormatError(path, f"what cannot be read ({error or type(error).__name__})", expected) from None
    if isinstance(content, np.ndarray) and content.shape == () and content.dtype.hasobject:
        content = content.item()
    return _checked_layers(path, content, expected)


def _checked_layers(path: str | Path, content: Any, expected: str) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    if not isinstance(content, dict):
        raise FormatError(path, f"a {type(content).__name__}", expected)
    for layer, parameters in content.items():
        if not isinstance(layer, str) or not isinstance(parameters, dict):
            raise FormatError(path, f"{str(layer)[:60]!r} with a {type(parameters).__name__}", expected)
        for name, array in parameters.items():
            if not isinstance(name, str) or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                raise FormatError(f"{path} {layer}/{str(name)[:60]}", f"a {type(array).__name__}", "an array of floats")
    return content


def read_torch_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a state dictionary that `torch.save` wrote, or the one under "state_dict" or "model" in it.

    Raises:
        FormatError: no such file, one above 1 GiB packed or unpacked, damaged, or anything but named tensors.
    """
    file_size(path, MAX_BYTES)
    expected = "a file of named tensors that torch.save wrote"
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > MAX_BYTES:
                raise ValueError(f"{size} bytes unpacked")
        content = torch.load(path, map_location="cpu", weights_only=True)  # torch's own allow-list; see the docstring
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FormatError(path, f"what cannot be read as weights alone ({reason})", expected) from None
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise FormatError(path, f"a {type(content).__name__} of other things", expected)
    return {name.removeprefix("module."): tensor for name, tensor in content.items()}
