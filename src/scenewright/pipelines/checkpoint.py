"""The state of long work as plain arrays on disk, so that a job killed at any moment goes on where it was.

Each array is stored once, under the hash of its content: what has not changed since the last checkpoint costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import FormatError
from scenewright.files import atomic_path, write_json

INDEX = "state.json"


class Checkpoint:
    """A folder that holds one state: named arrays, and JSON facts beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Replace the stored state; a crash in between leaves the earlier one."""
        index = {name: self._store(array) for name, array in arrays.items()}
        write_json(self.folder / INDEX, {"arrays": index, "facts": dict(facts)})
        kept = set(index.values())
        for path in self.folder.glob("*.npy"):
            if path.stem not in kept:
                path.unlink()

    def _store(self, array: NDArray[Any]) -> str:
        name = _digest(array)
        path = self.folder / f"{name}.npy"
        if not path.exists():
            with atomic_path(path) as temporary:
                np.save(temporary, array, allow_pickle=False)
        return name

    def load(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """The stored state, None where there is none.

        Raises:
            FormatError: a damaged state; removing the folder starts over.
        """
        path = self.folder / INDEX
        if not path.is_file():
            return None
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            arrays = {str(name): self._fetch(str(stem)) for name, stem in index["arrays"].items()}
            return arrays, dict(index["facts"])
        except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError) as error:
            raise FormatError(
                path, f"a damaged state ({error})", "a complete one; remove its folder to start over"
            ) from error

    def _fetch(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.folder / f"{Path(name).name}.npy", allow_pickle=False)
        if _digest(array) != name:
            raise ValueError(f"changed content of {name}.npy")
        return array

    def remove(self) -> None:
        """Delete the stored state."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _digest(array: NDArray[Any]) -> str:
    """A name made of type, shape and content."""
    digest = hashlib.blake2b(repr((array.dtype.str, array.shape)).encode(), digest_size=16)
    digest.update(array.tobytes())
    return digest.hexdigest()
