"""One figure of several protocols side by side: what each method does on one set after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scenewright.engine.scoreboard import Metric, Result, read_all, row_title
from scenewright.errors import InputError


def across(root: str | Path, task: str, protocols: Sequence[str], metric: str) -> str:
    """A markdown table: a row per method, a column per protocol, the best of each column bold.

    Columns are never averaged or ranked against each other: each is its own protocol. A row that was not measured by
    one has a dash there. Rows stand in the order of the first column, then of the next.

    Raises:
        InputError: a protocol without results, or without that figure.
    """
    columns = {name: {r.method: r for r in read_all(Path(root) / task / name)} for name in protocols}
    for name, rows in columns.items():
        if not rows or metric not in {m.name for r in rows.values() for m in r.protocol.metrics}:
            raise InputError(f"{task}/{name}", f"no stored {metric}", f"results in {root}")
    kinds = {name: _metric(next(iter(rows.values())), metric) for name, rows in columns.items()}
    baseline = {method: r.baseline for rows in columns.values() for method, r in rows.items()}
    order = sorted(baseline, key=lambda m: (*(_rank(columns[p].get(m), kinds[p]) for p in protocols), m))
    first = kinds[protocols[0]]
    lines = [["method", *(f"{p} {'↓' if first.better == 'lower' else '↑'}" for p in protocols)]]
    lines.append(["---", *("---:" for _ in protocols)])
    for method in order:
        cells = [_cell(columns[p].get(method), kinds[p], list(columns[p].values())) for p in protocols]
        lines.append([row_title(method, baseline[method]), *cells])
    hashes = ", ".join(f"`{p}` {next(iter(rows.values())).protocol_hash}" for p, rows in columns.items())
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{text}\n{metric}, one protocol per column, a dash where not measured: {hashes}; baselines in italics.\n"


def _metric(row: Result, name: str) -> Metric:
    return next(m for m in row.protocol.metrics if m.name == name)


def _rank(row: Result | None, metric: Metric) -> float:
    if row is None:
        return float("inf")
    return row.figures[metric.name] * (1 if metric.better == "lower" else -1)


def _cell(row: Result | None, metric: Metric, rows: list[Result]) -> str:
    if row is None:
        return "–"
    text, best = (
        f"{r.figures[metric.name]:.{metric.digits}f}" for r in (row, min(rows, key=lambda r: _rank(r, metric)))
    )
    return f"**{text}**" if text == best else text
