"""Cards: a method's record as data, from which tables, docs and tests are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One published figure, quoted only from a verified source.

    Args:
        measure: name of the figure (`"AbsRel"`).
        value: as printed.
        protocol: what it was measured on (`"NYU Depth v2, 654 test images, official script"`).
        source: where it is printed (`"authors' README"`, `"Table 1"`).
    """

    measure: str
    value: float
    protocol: str
    source: str


@dataclass(frozen=True)
class Card:
    """A method's record.

    Args:
        name: short name, the key in the table of methods.
        title, authors, venue, year, paper: the publication; `paper` is an arXiv or DOI identifier.
        task: the task's folder (`"depth"`).
        inputs, outputs: what goes in and comes out, with units.
        paper_parameters: exact parameter count of the `paper` preset.
        deviations: one line per departure from the paper, with the reason.
        published: the paper's own figures.
        limits: one line per way in which the shipped weights do badly, where results say so.
        original_code: the original's framework and licence; whether it may be read.
        scale: `"metric"` when predictions are in metres, else `"unknown"`.
    """

    name: str
    title: str
    authors: str
    venue: str
    year: int
    paper: str
    task: str
    inputs: str
    outputs: str
    paper_parameters: int
    deviations: tuple[str, ...]
    published: tuple[Figure, ...]
    limits: tuple[str, ...]
    original_code: str
    scale: str = "metric"
