"""The page on data names every format and every protocol, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from scenewright.data.readers import KINDS
from scenewright.data.sequences import LAYOUTS
from scenewright.depth.protocols import MEASURES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
SETS, PROTOCOLS = PAGE.split("## Protocols")


def names(table: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_formats() -> None:
    assert names(SETS) == set(KINDS)
    assert all(layout.lower() in SETS.replace("\n", " ").lower() for layout in LAYOUTS)


def test_protocols() -> None:
    assert names(PROTOCOLS) == set(MEASURES)
    assert "`-median`" in PROTOCOLS
