"""Charts over time as inline SVG, drawn without a library so that the page stays one file without foreign script."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenewright.viewer.html import Html, join, tag

_WIDTH, _HEIGHT = 520.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 512.0, 10.0, 146.0
_COLUMNS = 600  # more points than pixels show nothing
MARKED = ("lost", "relocalised", "interpolated")


def chart(
    key: str,
    title: str,
    unit: str,
    time_s: NDArray[np.float64],
    values: NDArray[np.float64],
    statuses: Sequence[str],
    worst: str = "high",
    reference: float | None = None,
    axis: str = "s",
) -> Html:
    """One series over time, with the frames that were not simply tracked marked behind it.

    Args:
        key: name of the series in the page's data, for the cursor.
        title, unit: of the values.
        time_s: (N,) increasing seconds, or frame numbers.
        values: (N,), NaN where a frame has none.
        statuses: N of the scene's frame statuses.
        worst: "high" or "low": where several frames share a pixel, that one is drawn.
        reference: a value to draw as a dashed line.
        axis: "s", or "frame" where `time_s` are frame numbers.
    """
    start, end = float(time_s[0]), float(time_s[-1])
    known = values[np.isfinite(values)]
    top = nice_above(max([float(known.max()) if len(known) else 1.0, reference or 0.0, 1e-9]))
    x = _LEFT + (time_s - start) / max(end - start, 1e-9) * (_RIGHT - _LEFT)
    parts = [
        *_bands(x, statuses),
        *_grid(top, start, end, axis),
        *([] if reference is None else [_level(reference / top, "reference")]),
        _series(*_thin(x, values, worst), top),
        tag("line", class_="cursor", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=_BOTTOM),
    ]
    svg = tag(
        "svg",
        tag("title", f"{title} over {'time' if axis == 's' else 'the frames'}"),
        *parts,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        data_chart=key,
        data_unit=unit,
        data_left=_LEFT,
        data_right=_RIGHT,
        data_start=start,
        data_end=end,
    )
    readout = tag("span", class_="readout", id=f"readout-{key}")
    return tag("figure", tag("figcaption", f"{title}, {unit}" if unit else title, readout), svg)


def nice_above(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not below `value`."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(decade * step for step in (1, 2, 2.5, 5, 10) if decade * step >= value * (1 - 1e-9))


def _bands(x: NDArray[np.float64], statuses: Sequence[str]) -> list[Html]:
    """A rectangle behind each run of frames of one marked status, as wide as its frames."""
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    bands: list[Html] = []
    first = 0
    for last in range(1, len(statuses) + 1):
        if last < len(statuses) and statuses[last] == statuses[first]:
            continue
        if statuses[first] in MARKED:
            left, width = edges[first], max(edges[last] - edges[first], 1.5)
            place = {"x": f"{left:.1f}", "width": f"{width:.1f}", "y": f"{_TOP:g}", "height": f"{_BOTTOM - _TOP:g}"}
            bands.append(tag("rect", class_=statuses[first], **place))
        first = last
    return bands


def _grid(top: float, start: float, end: float, axis: str) -> list[Html]:
    lines: list[Html] = []
    for share in (0.0, 0.5, 1.0):
        y = _BOTTOM - share * (_BOTTOM - _TOP)
        lines.append(_level(share, "grid"))
        lines.append(tag("text", f"{share * top:g}", x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = _LEFT + share * (_RIGHT - _LEFT)
        lines.append(tag("text", moment(start + share * (end - start), axis), x=x, y=_BOTTOM + 17, text_anchor=anchor))
    return lines


def moment(value: float, axis: str) -> str:
    """A place on the axis in words: "2.5 s", or "frame 12"."""
    return f"{value:.4g} s" if axis == "s" else f"frame {value:.0f}"


def _level(share: float, kind: str) -> Html:
    y = f"{_BOTTOM - share * (_BOTTOM - _TOP):.1f}"
    return tag("line", class_=kind, x1=_LEFT, x2=_RIGHT, y1=y, y2=y)


def _thin(
    x: NDArray[np.float64], values: NDArray[np.float64], worst: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most one value per column: the worst of its frames, unknown where none has a value."""
    if len(x) <= _COLUMNS:
        return x, values
    column = np.minimum(((x - x[0]) / max(x[-1] - x[0], 1e-9) * _COLUMNS).astype(int), _COLUMNS - 1)
    sign = 1.0 if worst == "high" else -1.0
    best = np.full(_COLUMNS, -np.inf)
    np.maximum.at(best, column, np.where(np.isfinite(values), sign * values, -np.inf))
    used = np.unique(column)
    thinned = np.where(np.isfinite(best[used]), sign * best[used], np.nan)
    return x[0] + (used + 0.5) / _COLUMNS * (x[-1] - x[0]), thinned


def _series(x: NDArray[np.float64], values: NDArray[np.float64], top: float) -> Html:
    """The polyline, broken where values are unknown; a lone value becomes a dot."""
    pieces: list[str] = []
    pen_down = False
    for column, value in zip(x, values):
        if not np.isfinite(value):
            pen_down = False
            continue
        y = _BOTTOM - min(max(value / top, 0.0), 1.0) * (_BOTTOM - _TOP)
        pieces.append(f"{'L' if pen_down else 'M'}{column:.1f} {y:.1f}" + ("" if pen_down else "h0.1"))
        pen_down = True
    return tag("path", class_="series", d="".join(pieces))


def status_key(statuses: Sequence[str]) -> Html | None:
    """The key of the marked statuses that occur, with their counts; None where every frame was tracked."""
    words = {"lost": "lost", "relocalised": "found again", "interpolated": "interpolated"}
    entries = [
        tag("li", _swatch(status), f"{words[status]}: {statuses.count(status)} frames")
        for status in MARKED
        if status in statuses
    ]
    return tag("ul", join(entries), class_="key") if entries else None


def _swatch(kind: str) -> Html:
    return tag("svg", tag("rect", class_=kind, width=12, height=12, rx=3), viewBox="0 0 12 12", aria_hidden="true")


def colour_swatch(colour: tuple[int, int, int]) -> Html:
    """A small square of one RGB colour."""
    fill = "#{:02x}{:02x}{:02x}".format(*colour)
    return tag("svg", tag("rect", fill=fill, width=12, height=12, rx=3), viewBox="0 0 12 12", aria_hidden="true")
