"""Options that several commands read in the same way."""

from __future__ import annotations

from scenewright.errors import InputError


def intrinsics_numbers(text: str | None) -> tuple[float, float, float, float] | None:
    """The four numbers of `--intrinsics fx,fy,cx,cy`; None where the option was not given.

    Raises:
        InputError: anything but four numbers.
    """
    if text is None:
        return None
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("--intrinsics", repr(text), "four numbers fx,fy,cx,cy") from None
    return fx, fy, cx, cy


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """The numbers of an option, separated by commas; None where it was not given.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(option, repr(text), "numbers separated by commas") from None
