from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.viewer.charts import chart, colour_swatch, nice_above, status_key


def points(svg: str) -> list[list[tuple[float, float]]]:
    """The pieces of the drawn line."""
    path = re.search(r'class="series" d="([^"]*)"', svg)
    assert path is not None
    pieces = [piece for piece in path[1].replace("h0.1", "").split("M") if piece]
    return [[(float(a), float(b)) for a, b in (p.split() for p in piece.split("L"))] for piece in pieces]


def draw(values, statuses=None, **options) -> str:
    values = np.array(values, float)
    return chart(
        "k", "Residual", "grey", np.arange(len(values)) / 30, values, statuses or ["ok"] * len(values), **options
    )


def test_values_are_where_they_belong() -> None:
    (line,) = points(draw([0.0, 5.0, 10.0]))
    np.testing.assert_allclose(line, [(44, 146), (278, 78), (512, 10)], atol=0.06)


def test_unknown_values_break_the_line() -> None:
    pieces = points(draw([1, 2, np.nan, 3, np.nan, np.nan, 4, 5]))
    assert [len(piece) for piece in pieces] == [2, 1, 2]
    assert 'd=""' in draw([np.nan] * 4)


def test_a_peak_is_never_thinned_away() -> None:
    values = np.ones(20_000)
    values[12_345] = 8
    (line,) = points(draw(values))
    assert len(line) <= 600
    assert min(y for _, y in line) == pytest.approx(146 - 0.8 * 136, abs=0.1)
    (low,) = points(draw(2 - values / 8, worst="low"))
    assert max(y for _, y in low) == pytest.approx(146 - 0.5 * 136, abs=0.1)


def test_bands_stand_behind_their_frames() -> None:
    statuses = ["ok"] * 4 + ["lost"] * 3 + ["relocalised"] + ["ok"] * 3
    svg = draw(range(11), statuses)
    bands = re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)"', svg)
    assert [band[0] for band in bands] == ["lost", "relocalised"]
    step = 468 / 10
    assert float(bands[0][1]) == pytest.approx(44 + 3.5 * step, abs=0.1)
    assert float(bands[0][2]) == pytest.approx(3 * step, abs=0.1)
    key = status_key(statuses)
    assert key is not None
    assert "lost: 3 frames" in key
    assert status_key(["ok"]) is None


def test_a_single_frame_and_a_reference() -> None:
    svg = draw([7.0], reference=33.0)
    assert 'class="reference"' in svg
    assert len(points(svg)) == 1


@given(st.floats(1e-9, 1e9))
def test_nice_numbers(value: float) -> None:
    nice = nice_above(value)
    assert value * (1 - 1e-8) <= nice <= value * 2.5 * (1 + 1e-8)


def test_swatch() -> None:
    assert 'fill="#0a1bff"' in colour_swatch((10, 27, 255))
