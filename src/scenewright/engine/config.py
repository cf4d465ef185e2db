"""A method's Config as plain data and back: the only way a stored configuration becomes an object."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from scenewright.errors import FormatError, InputError

C = TypeVar("C")


def to_data(config: Any) -> dict[str, Any]:
    """The fields of a Config as JSON data; tuples become lists, nested dataclasses become objects."""
    data: dict[str, Any] = _plain(asdict(config))
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def from_data(cls: type[C], data: Any, subject: str) -> C:
    """Rebuild a Config from JSON data, every field checked against its annotation; nothing is evaluated or imported.

    Annotations may be bool, int, float, str, None, Literal, unions, tuples and nested dataclasses of these.

    Args:
        cls: the dataclass.
        data: what JSON gave.
        subject: how errors name the file and field (`"card.json config"`).

    Raises:
        FormatError: no object, unknown or missing fields, or a value of another type.
    """
    if not isinstance(data, Mapping):
        raise FormatError(subject, _shown(data), "an object")
    names = [f.name for f in fields(cls) if f.init]  # type: ignore[arg-type]
    if set(names) != set(data):
        raise FormatError(subject, f"fields {sorted(data)}", f"exactly {sorted(names)}")
    hints = get_type_hints(cls)
    return cls(**{name: _value(hints[name], data[name], f"{subject}.{name}") for name in names})


def from_text(cls: type[Any], options: Iterable[str], subject: str) -> dict[str, Any]:
    """Fields of a Config from texts `name=value`, as a command line gives them; values are JSON or bare words.

    Raises:
        InputError: no "=", no such field, or a name twice.
        FormatError: a value of another type than the field's.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or name not in hints or name in values:
            raise InputError(subject, repr(option), f"NAME=VALUE, each NAME once, of {', '.join(hints)}")
        values[name] = _from_word(hints[name], text, f"{subject} {name}")
    return values


def _from_word(hint: Any, text: str, subject: str) -> Any:
    try:
        return _value(hint, json.loads(text), subject)
    except ValueError:  # no JSON, or JSON of another type: a bare word
        return _value(hint, text, subject)


def _value(hint: Any, value: Any, subject: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint), value, subject)
    if origin is Literal:
        if not any(type(value) is type(option) and value == option for option in get_args(hint)):
            raise FormatError(subject, _shown(value), f"one of {list(get_args(hint))}")
        return value
    if origin is tuple:
        return _tuple(get_args(hint), value, subject)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_data(hint, value, subject)
    return _scalar(hint, value, subject)


def _scalar(hint: Any, value: Any, subject: str) -> Any:
    kind = type(None) if hint is None else hint
    if kind is float and type(value) is int:
        return float(value)
    if kind not in (bool, int, float, str, type(None)) or type(value) is not kind:
        raise FormatError(subject, _shown(value), getattr(kind, "__name__", str(kind)))
    return value


def _tuple(hints: tuple[Any, ...], value: Any, subject: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise FormatError(subject, _shown(value), "a list")
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise FormatError(subject, f"{len(value)} entries", f"{len(hints)} entries")
    return tuple(_value(h, v, f"{subject}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True)))


def _union(hints: tuple[Any, ...], value: Any, subject: str) -> Any:
    for hint in hints:
        try:
            return _value(hint, value, subject)
        except FormatError:
            continue
    raise FormatError(subject, _shown(value), " or ".join(getattr(h, "__name__", str(h)) for h in hints))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
