"""Reading JSON that strangers may have written: bounded, without surprises, with errors that name the field."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from scenewright.errors import FormatError

MAX_JSON_BYTES = 32 << 20
"""No JSON file of a scene comes near it; a larger one is refused before it is read."""


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> Any:
    """Parse one JSON file of at most `limit` bytes.

    Raises:
        FormatError: missing, too large, not UTF-8, not JSON, nested too deep, a key given twice, NaN or infinity.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise FormatError(path, f"{size} bytes", f"at most {limit} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FormatError(path, error.strerror or error, "a readable JSON file") from error
    except UnicodeDecodeError as error:
        raise FormatError(path, f"bytes that are no UTF-8 at {error.start}", "JSON in UTF-8") from error
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_int)
    except RecursionError as error:
        raise FormatError(path, "values nested too deep", "a flat JSON file") from error
    except ValueError as error:
        raise FormatError(path, error, "valid JSON") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key given twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"the number {name}")


def _short_int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


class Fields:
    """The fields of one JSON object, taken one by one; each must be there, of its type, and none may be left over.

    Args:
        where: the object's place, for messages (`"out/scene.json products[3]"`).
        value: what the JSON holds there.
    """

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise FormatError(where, _kind(value), "an object")
        self.where = where
        self._left: dict[str, Any] = dict(value)

    def _take(self, key: str) -> Any:
        if key not in self._left:
            raise FormatError(self.where, f"no {key!r}", f"an object with {key!r}")
        return self._left.pop(key)

    def fail(self, key: str, found: object, expected: object) -> FormatError:
        """The error for a field whose value cannot be used."""
        return FormatError(f"{self.where} {key}", found, expected)

    def text(self, key: str, choices: tuple[str, ...] = ()) -> str:
        """A string, one of `choices` where they are given."""
        value = self._take(key)
        if not isinstance(value, str):
            raise self.fail(key, _kind(value), "a string")
        if choices and value not in choices:
            raise self.fail(key, repr(value[:60]), " or ".join(map(repr, choices)))
        return value

    def integer(self, key: str, low: int = 0) -> int:
        """A whole number >= low."""
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.fail(key, _kind(value), f"a whole number >= {low}")
        return value

    def number(self, key: str, low: float = -math.inf) -> float:
        """A finite number >= low."""
        return self._number(key, self._take(key), low)

    def optional_number(self, key: str) -> float | None:
        """A finite number or null."""
        value = self._take(key)
        return None if value is None else self._number(key, value, -math.inf)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """A list of exactly `count` finite numbers."""
        values = self.items(key)
        if len(values) != count:
            raise self.fail(key, f"{len(values)} numbers", f"{count} numbers")
        return tuple(self._number(key, value, -math.inf) for value in values)

    def _number(self, key: str, value: Any, low: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(key, _kind(value), "a number")
        if not math.isfinite(value) or value < low:  # 1e999 parses to infinity without being a JSON constant
            raise self.fail(key, value, f"a finite number >= {low}")
        return float(value)

    def items(self, key: str) -> list[Any]:
        """A list, unchecked inside."""
        value = self._take(key)
        if not isinstance(value, list):
            raise self.fail(key, _kind(value), "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.fail(key, "a list of other things", "a list of strings")
        return tuple(values)

    def table(self, key: str) -> dict[str, Any]:
        """An object with any values."""
        value = self._take(key)
        if not isinstance(value, dict):
            raise self.fail(key, _kind(value), "an object")
        return value

    def text_table(self, key: str) -> dict[str, str]:
        """An object of strings."""
        value = self.table(key)
        if not all(isinstance(entry, str) for entry in value.values()):
            raise self.fail(key, "an object of other things", "an object of strings")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string or null."""
        value = self._take(key)
        if value is not None and not isinstance(value, str):
            raise self.fail(key, _kind(value), "a string or null")
        return value

    def fields(self, key: str) -> Fields:
        """A nested object."""
        return Fields(f"{self.where} {key}", self._take(key))

    def optional_fields(self, key: str) -> Fields | None:
        """A nested object, or None for null."""
        value = self._take(key)
        return None if value is None else Fields(f"{self.where} {key}", value)

    def done(self) -> None:
        """Refuse fields that nobody took: a misspelt one must not be ignored."""
        if self._left:
            raise FormatError(self.where, f"unknown fields {sorted(self._left)[:5]}", "only fields of this version")


def _kind(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value!r:.40}"
    return "null" if value is None else type(value).__name__
