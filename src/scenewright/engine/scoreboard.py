"""Results that can be compared: every figure is stored with the protocol it was measured by; tables are made of these.

A result lies under `results/<task>/<protocol>/<method>.json`. Files are read strictly, so a table never shows a figure
whose protocol has changed since.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scenewright.engine.config import from_data, to_data
from scenewright.errors import FormatError, InputError
from scenewright.files import write_json

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_BLOCK = re.compile(
    r"(<!-- scoreboard:([a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*) -->\n).*?(<!-- /scoreboard -->)", re.DOTALL
)
_COMPARED = re.compile(
    r"(<!-- compared:([a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*)/([a-z0-9][a-z0-9._-]*) -->\n).*?(<!-- /compared -->)",
    re.DOTALL,
)
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Metric:
    """A figure of a protocol.

    Args:
        name: as in the table's head (`"AbsRel"`).
        unit: `""` for ratios.
        better: `"lower"` or `"higher"`.
        digits: decimals shown.
    """

    name: str
    unit: str = ""
    better: str = "lower"
    digits: int = 3


@dataclass(frozen=True)
class Protocol:
    """A frozen way of measuring. Whatever changes a figure is a field, and every field is in the hash.

    Args:
        name: short and unique (`"rooms-val"`).
        task: the task's folder.
        dataset, split: what is measured on.
        crop: which pixels count.
        cap: largest value that counts, with its unit.
        scaling: what is done to predictions' scale (`"none"`, `"median per image"`).
        alignment: what is done to trajectories or shapes before comparing; `"none"`.
        metrics: the figures, in the table's order; the first ranks.
        notes: anything else that changes figures.
    """

    name: str
    task: str
    dataset: str
    split: str
    crop: str
    cap: str
    scaling: str
    alignment: str
    metrics: tuple[Metric, ...]
    notes: str = ""

    def __post_init__(self) -> None:
        for what in (self.name, self.task):
            if not _NAME.fullmatch(what):
                raise InputError("protocol name and task", repr(what), "lower-case letters, digits, '.', '_' and '-'")
        if not self.metrics or len({m.name for m in self.metrics}) < len(self.metrics):
            raise InputError(f"protocol {self.name} metrics", [m.name for m in self.metrics], "different names")

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change whenever any field does; the same on every machine."""
        text = json.dumps(to_data(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Result:
    """One method's figures under one protocol.

    Args:
        method: name in the table of methods, or of a baseline (`"mean-map"`).
        weights_sha256: of the weights' tensors; empty for what has none.
        protocol: whole, so that a reader of the file knows what was measured.
        protocol_hash: its hash when the figures were measured.
        seed: of whatever was random in measuring.
        figures: by metric name; all metrics of the protocol, finite.
        data: what was measured on: "items", how many, and "sha256", the hash of the files or seeds; more is welcome.
        machine: where, for figures of time.
        baseline: something trivial or classical that a method must beat.
    """

    method: str
    weights_sha256: str
    protocol: Protocol
    protocol_hash: str
    seed: int
    figures: Mapping[str, float]
    data: Mapping[str, Any]
    machine: str = ""
    baseline: bool = False

    def __post_init__(self) -> None:
        subject = f"result of {self.method}"
        if not _NAME.fullmatch(self.method):
            raise InputError(f"{subject}: method", repr(self.method), "lower-case letters, digits, '.', '_' and '-'")
        if self.protocol_hash != self.protocol.hash:
            expected = f"{self.protocol.hash}, the hash of protocol {self.protocol.name}; measure again"
            raise InputError(f"{subject}: protocol hash", repr(self.protocol_hash), expected)
        names = [m.name for m in self.protocol.metrics]
        if sorted(self.figures) != sorted(names):
            raise InputError(f"{subject}: figures", sorted(self.figures), sorted(names))
        if bad := [k for k, v in self.figures.items() if type(v) is not float or not math.isfinite(v)]:
            raise InputError(f"{subject}: {bad[0]}", self.figures[bad[0]], "a finite float")
        if not isinstance(self.data_sha256, str) or not _SHA256.fullmatch(self.data_sha256):
            raise InputError(f"{subject}: data sha256", repr(self.data_sha256), "64 hexadecimal digits")

    @property
    def data_sha256(self) -> str:
        """Of what was measured on; empty in results that were stored before data had a hash."""
        value: str = self.data.get("sha256", "")
        return value


def measured(
    protocol: Protocol,
    method: str,
    figures: Mapping[str, float],
    *,
    weights_sha256: str = "",
    seed: int = 0,
    data: Mapping[str, Any] | None = None,
    machine: str = "",
    baseline: bool = False,
) -> Result:
    """A result of this moment: figures beyond the protocol's are left out, its hash is put in."""
    kept = {m.name: float(figures[m.name]) for m in protocol.metrics if m.name in figures}
    return Result(method, weights_sha256, protocol, protocol.hash, seed, kept, dict(data or {}), machine, baseline)


def store(result: Result, root: str | Path) -> Path:
    """Write a result to `root/<task>/<protocol>/<method>.json` (`root` is the repository's `results`).

    Raises:
        InputError: results of another protocol of that name, or measured on other data, lie there.
    """
    folder = Path(root) / result.protocol.task / result.protocol.name
    for other in read_all(folder):
        if other.method != result.method:
            _comparable(result, other)
    path = folder / f"{result.method}.json"
    write_json(path, asdict(result))
    return path


def read(path: str | Path) -> Result:
    """Read one result.

    Raises:
        FormatError: no result, or its figures were measured by another protocol than the file states.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FormatError(path, f"{path.stat().st_size} bytes", f"at most {_MAX_BYTES}")
        raw = json.loads(path.read_bytes())
        protocol = from_data(Protocol, raw["protocol"], f"{path} protocol")
        return Result(**{**raw, "protocol": protocol})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, str(error), "a result as `store` writes it") from None


def read_all(folder: str | Path) -> list[Result]:
    """The results of one protocol's folder, by file name; none where the folder is absent."""
    return [read(path) for path in sorted(Path(folder).glob("*.json"))]


def _comparable(first: Result, other: Result) -> None:
    if first.protocol_hash != other.protocol_hash:
        found = f"{other.protocol.name} ({other.protocol_hash}) of {other.method}"
        raise InputError("protocol", found, f"{first.protocol.name} ({first.protocol_hash}) of {first.method}")
    if first.data_sha256 and other.data_sha256 and first.data_sha256 != other.data_sha256:
        found = f"{other.data_sha256[:12]} of {other.method}"
        expected = f"{first.data_sha256[:12]} of {first.method}: measure all methods of {first.protocol.name} again"
        raise InputError("data sha256", found, expected)


def better(first: Result, second: Result, metric: str | None = None) -> bool:
    """Whether `first` is strictly better, by the protocol's first metric or a named one.

    Raises:
        InputError: different protocols or data, or no such metric.
    """
    _comparable(first, second)
    metrics = {m.name: m for m in first.protocol.metrics}
    name = metric or first.protocol.metrics[0].name
    if name not in metrics:
        raise InputError("metric", repr(name), f"one of {', '.join(metrics)}")
    a, b = first.figures[name], second.figures[name]
    return a < b if metrics[name].better == "lower" else a > b


def table(results: Iterable[Result]) -> str:
    """A markdown table of results of one protocol, best first; the best figure of each column is bold.

    Raises:
        InputError: no results, or results of different protocols or data.
    """
    rows = list(results)
    if not rows:
        raise InputError("scoreboard", "no results", "at least one")
    for row in rows[1:]:
        _comparable(rows[0], row)
    protocol = rows[0].protocol
    metrics = protocol.metrics
    rows.sort(key=lambda r: (_rank(metrics[0], r.figures[metrics[0].name]), r.method))
    head = ["method", *(_title(m) for m in metrics)]
    best = {m.name: min(_rank(m, r.figures[m.name]) for r in rows) for m in metrics}
    lines = [[_label(r), *(_cell(m, r.figures[m.name], best[m.name]) for m in metrics)] for r in rows]
    rule = ["---", *("---:" for _ in metrics)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *lines]) + f"\n{_caption(protocol)}\n"


def _rank(metric: Metric, value: float) -> float:
    return value if metric.better == "lower" else -value


def _title(metric: Metric) -> str:
    unit = f" [{metric.unit}]" if metric.unit else ""
    return f"{metric.name}{unit} {'↓' if metric.better == 'lower' else '↑'}"


def row_title(name: str, baseline: bool = False) -> str:
    """A row's name for people: "garg.one-level" is the ablation "garg (one-level)"; baselines are in italics."""
    method, dot, ablation = name.partition(".")
    title = f"{method} ({ablation})" if dot and method and ablation else name
    return f"*{title}*" if baseline else title


def _label(result: Result) -> str:
    return row_title(result.method, result.baseline)


def _cell(metric: Metric, value: float, best: float) -> str:
    text = f"{value:.{metric.digits}f}"
    return f"**{text}**" if f"{_rank(metric, value):.{metric.digits}f}" == f"{best:.{metric.digits}f}" else text


def _caption(p: Protocol) -> str:
    parts = [f"{p.dataset}, {p.split}", f"crop: {p.crop}", f"cap: {p.cap}", f"scaling: {p.scaling}"]
    if p.alignment != "none":
        parts.append(f"alignment: {p.alignment}")
    notes = f" {p.notes}" if p.notes else ""
    return f"{'; '.join(parts)}.{notes} Protocol `{p.name}` {p.hash}; baselines in italics."


def compared(results: Iterable[Result], name: str) -> str:
    """One sentence: by which figures a baseline beats every learned method, and by which the best of these beats it.

    Raises:
        InputError: no such row, or results of different protocols or data.
    """
    rows = list(results)
    row = next((r for r in rows if r.method == name), None)
    learned = [r for r in rows if not r.baseline and r.method != name]
    if row is None or not learned:
        raise InputError(f"comparison with {name}", [r.method for r in rows], f"{name} and a learned method")
    wins, losses = list[str](), list[str]()
    for metric in row.protocol.metrics:
        best = min(learned, key=lambda r: _rank(metric, r.figures[metric.name]))
        ahead = not better(best, row, metric.name)
        own, other = (f"{r.figures[metric.name]:.{metric.digits}f}" for r in (row, best))
        (wins if ahead else losses).append(f"{metric.name} ({own}; {best.method} {other})")
    parts = [f"{word} {', '.join(found)}" for word, found in (("wins", wins), ("loses", losses)) if found]
    return f"Against the best learned method in each column, `{name}` {'; it '.join(parts)}.\n"


def tables_of(root: str | Path, task: str) -> dict[str, str]:
    """The markdown table of every protocol of a task that has results, by the protocol's name.

    Raises:
        InputError: no results of such a task.
    """
    folder = Path(root) / task
    found = {p.name: read_all(p) for p in sorted(folder.iterdir()) if p.is_dir()} if folder.is_dir() else {}
    tables = {name: table(results) for name, results in found.items() if results}
    if not tables:
        raise InputError(f"scoreboard {task}", "no stored results", f"results in {folder}")
    return tables


def filled(text: str, root: str | Path) -> str:
    """A text whose blocks `<!-- scoreboard:TASK/PROTOCOL -->` ... `<!-- /scoreboard -->` are filled from results,
    and the sentences between `<!-- compared:TASK/PROTOCOL/ROW -->` and `<!-- /compared -->` (see `compared`).

    Raises:
        InputError: a block names no stored results, or is not closed.
    """
    for kind, pattern, named in (("scoreboard", _BLOCK, "TASK/PROTOCOL"), ("compared", _COMPARED, "TASK/PROTOCOL/ROW")):
        opened, closed = text.count(f"<!-- {kind}:"), text.count(f"<!-- /{kind} -->")
        if opened != closed or opened != len(pattern.findall(text)):
            raise InputError(f"{kind} blocks", f"{opened} opened, {closed} closed", f"{named} blocks, each closed")

    def stored(place: str) -> list[Result]:
        results = read_all(Path(root) / place)
        if not results:
            raise InputError(f"scoreboard block {place!r}", "no stored results", f"results in {root}")
        return results

    text = _BLOCK.sub(lambda b: f"{b[1]}{table(stored(b[2]))}{b[3]}", text)
    return _COMPARED.sub(lambda b: f"{b[1]}{compared(stored(b[2]), b[3])}{b[4]}", text)
