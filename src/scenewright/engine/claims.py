"""Claims about methods, as data, and what stored results say about them: held, not held, or not measured.

Nobody types a figure: a claim names the protocol and the rows, the results have the figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scenewright.engine.scoreboard import Metric, Result, read_all, row_title
from scenewright.errors import InputError

HELD, NOT_HELD, NOT_MEASURED = "held", "not held", "not measured"


@dataclass(frozen=True)
class Claim:
    """One row should be better than another by one figure of one protocol.

    Args:
        text: what is claimed, in a few words.
        source: who claims it: the paper, or "this project" for a bar that it sets itself.
        task, protocol: where the results lie.
        metric: the protocol's figure.
        winner: the row that should be better.
        loser: the row that it should beat; empty where `limit` stands instead of one.
        factor: a winner's lower-is-better figure is at most this times the loser's; higher-is-better at least that.
        limit: the bar where no row is to be beaten.
    """

    text: str
    source: str
    task: str
    protocol: str
    metric: str
    winner: str
    loser: str = ""
    factor: float = 1.0
    limit: float | None = None

    def __post_init__(self) -> None:
        if bool(self.loser) == (self.limit is not None):
            raise InputError(f"claim {self.text!r}", "a row to beat and a limit, or neither", "one of both")


@dataclass(frozen=True)
class Verdict:
    """What the results say: the word, both figures where they are stored, and the metric as its protocol has it."""

    word: str
    figure: float | None = None
    other: float | None = None
    metric: Metric | None = None


def judge(claim: Claim, root: str | Path) -> Verdict:
    """Look a claim up in the results under `root`.

    A tie holds only where a factor or a limit says how good is good enough.

    Raises:
        FormatError: a damaged result.
        InputError: the protocol of the stored results has no such figure.
    """
    rows = {r.method: r for r in read_all(Path(root) / claim.task / claim.protocol)}
    winner, loser = rows.get(claim.winner), rows.get(claim.loser)
    metric = _metric(claim, winner or loser)
    figure = None if winner is None else winner.figures[claim.metric]
    other = claim.limit if loser is None else loser.figures[claim.metric]
    if figure is None or other is None or metric is None:
        return Verdict(NOT_MEASURED, figure, other, metric)
    sign = 1 if metric.better == "lower" else -1
    ahead = sign * (claim.factor * other - figure)
    enough = ahead > 0 or (ahead == 0 and (claim.factor != 1 or claim.limit is not None))
    return Verdict(HELD if enough else NOT_HELD, figure, other, metric)


def _metric(claim: Claim, row: Result | None) -> Metric | None:
    if row is None:
        return None
    found = {m.name: m for m in row.protocol.metrics}
    if claim.metric not in found:
        raise InputError(f"claim {claim.text!r}", repr(claim.metric), f"a figure of {claim.protocol}: {list(found)}")
    return found[claim.metric]


def claims_table(claims: Iterable[Claim], root: str | Path) -> str:
    """A markdown table of claims and verdicts."""
    lines = [["claim", "by", "figure", "should be better", "", "than", "", "verdict"], ["---"] * 8]
    for claim in claims:
        found = judge(claim, root)
        factor = "" if claim.factor == 1 else f"{claim.factor:g} x "
        than = factor + row_title(claim.loser) if claim.loser else "the bar"
        where = f"{claim.metric}, `{claim.protocol}`"
        lines.append(
            [claim.text, claim.source, where, row_title(claim.winner), _shown(found.figure, found.metric), than,
             _shown(found.other, found.metric), f"**{found.word}**"]
        )  # fmt: skip
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: float | None, metric: Metric | None) -> str:
    return "" if value is None else f"{value:.{metric.digits if metric else 3}f}"
