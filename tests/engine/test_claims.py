"""Claims: the verdict is what the stored figures say, and nothing is said where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenewright.engine.across import across
from scenewright.engine.claims import HELD, NOT_HELD, NOT_MEASURED, Claim, claims_table, judge
from scenewright.engine.scoreboard import Metric, Protocol, measured, row_title, store
from scenewright.errors import InputError


def put(root: Path, protocol: str, method: str, error: float, share: float, baseline: bool = False) -> None:
    how = Protocol(
        protocol, "depth", "rooms", "test", "none", "10 m", "none", "none",
        (Metric("AbsRel"), Metric("delta1", better="higher", digits=2)),
    )  # fmt: skip
    store(measured(how, method, {"AbsRel": error, "delta1": share}, baseline=baseline), root)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    put(tmp_path, "a", "garg", 0.2, 0.8)
    put(tmp_path, "a", "garg.one-level", 0.4, 0.5)
    put(tmp_path, "a", "mean-map", 0.25, 0.85, baseline=True)
    put(tmp_path, "b", "garg", 0.3, 0.7)
    put(tmp_path, "b", "eigen", 0.1, 0.9)
    return tmp_path


def claim(metric: str = "AbsRel", loser: str = "garg.one-level", **others: object) -> Claim:
    return Claim("coarse to fine", "Garg", "depth", "a", metric, "garg", loser, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (claim(), HELD),
        (claim(factor=0.5), HELD),  # exactly half is good enough
        (claim(factor=0.49), NOT_HELD),
        (claim("delta1"), HELD),
        (claim("delta1", "mean-map"), NOT_HELD),
        (claim(loser="garg"), NOT_HELD),  # nothing is better than itself
        (claim(loser="", limit=0.2), HELD),
        (claim(loser="", limit=0.19), NOT_HELD),
        (claim("delta1", "", limit=0.81), NOT_HELD),
        (claim(loser="garg.taylor"), NOT_MEASURED),
    ],
)
def test_the_verdict_is_what_the_figures_say(results: Path, made: Claim, word: str) -> None:
    assert judge(made, results).word == word


def test_a_table_has_no_figure_that_is_not_stored(results: Path) -> None:
    absent = Claim("x", "y", "depth", "never", "AbsRel", "garg", limit=0.5)
    lines = claims_table([claim(factor=0.5), absent], results).splitlines()
    assert lines[2] == (
        "| coarse to fine | Garg | AbsRel, `a` | garg | 0.200 | 0.5 x garg (one-level) | 0.400 | **held** |"
    )
    assert lines[3] == "| x | y | AbsRel, `never` | garg |  | the bar | 0.500 | **not measured** |"


def test_claims_that_cannot_be_judged_are_refused(results: Path) -> None:
    with pytest.raises(InputError, match="one of both"):
        claim(limit=0.1)
    with pytest.raises(InputError, match="one of both"):
        claim(loser="")
    with pytest.raises(InputError, match="SqRel"):
        judge(claim("SqRel"), results)


def test_side_by_side(results: Path) -> None:
    text = across(results, "depth", ["b", "a"], "AbsRel").splitlines()
    assert text[0] == "| method | b ↓ | a ↓ |"
    assert text[2:6] == [
        "| eigen | **0.100** | – |",
        "| garg | 0.300 | **0.200** |",
        "| *mean-map* | – | 0.250 |",
        "| garg (one-level) | – | 0.400 |",
    ]
    assert "| eigen | **0.90** | – |" in across(results, "depth", ["b", "a"], "delta1")
    for protocols, metric in ((["b", "c"], "AbsRel"), (["a"], "SqRel")):
        with pytest.raises(InputError, match="no stored"):
            across(results, "depth", protocols, metric)


def test_titles_of_rows() -> None:
    assert row_title("garg.one-level") == "garg (one-level)"
    assert row_title("mean-map", baseline=True) == "*mean-map*"
    assert row_title("net.") == "net."
