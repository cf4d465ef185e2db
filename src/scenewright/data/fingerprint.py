"""What data a figure was measured on, as one hash that anybody with the same files can make again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scenewright.files import sha256


def fingerprint(rows: Iterable[Any]) -> str:
    """SHA-256 over rows of JSON data, in their order: the same on every machine.

    Raises:
        ValueError: a number that is not finite.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, allow_nan=False).encode() + b"\n")
    return digest.hexdigest()


def file_row(path: Path | None) -> list[Any] | None:
    """Name, size in bytes and SHA-256 of a file: the folder that it lies in does not count."""
    return None if path is None else [path.name, path.stat().st_size, sha256(path)]
