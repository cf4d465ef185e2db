"""The generated parts of documents: tables of results, claims and what they came to, one figure across protocols."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from scenewright.engine.across import across
from scenewright.engine.claims import Claim, claims_table
from scenewright.engine.scoreboard import filled
from scenewright.errors import InputError
from scenewright.files import write_text

CLAIMS = {"depth": "scenewright.depth.claims"}
"""Where a task's claims stand, by the task's name."""
_NAME = r"[a-z0-9][a-z0-9._-]*"


def claims_of(task: str) -> dict[str, tuple[Claim, ...]]:
    """A task's claims by the name of their block; none where the task makes none."""
    found: dict[str, tuple[Claim, ...]] = import_module(CLAIMS[task]).CLAIMS if task in CLAIMS else {}
    return found


def generated(text: str, root: str | Path) -> str:
    """A document with all its generated blocks filled from the results under `root`.

    Beside the blocks of `engine.scoreboard.filled` there are `<!-- claims:TASK/NAME -->` ... `<!-- /claims -->` and
    `<!-- across:TASK/PROTOCOL,PROTOCOL:FIGURE -->` ... `<!-- /across -->`.

    Raises:
        InputError: a block that is not closed, or that names claims, results or figures which do not exist.
    """

    def claims(block: re.Match[str]) -> str:
        known = claims_of(block[2])
        if block[3] not in known:
            raise InputError(f"claims block {block[2]}/{block[3]}", "no such claims", f"one of {', '.join(known)}")
        return block[1] + claims_table(known[block[3]], root) + block[4]

    def side_by_side(block: re.Match[str]) -> str:
        return block[1] + across(root, block[2], block[3].split(","), block[4]) + block[5]

    text = _replaced(text, "claims", rf"({_NAME})/({_NAME})", claims)
    text = _replaced(text, "across", rf"({_NAME})/({_NAME}(?:,{_NAME})*):([^>\n]+?)", side_by_side)
    return filled(text, root)


def _replaced(text: str, kind: str, place: str, fill: Callable[[re.Match[str]], str]) -> str:
    pattern = re.compile(rf"(<!-- {kind}:{place} -->\n).*?(<!-- /{kind} -->)", re.DOTALL)
    opened, closed = text.count(f"<!-- {kind}:"), text.count(f"<!-- /{kind} -->")
    if opened != closed or opened != len(pattern.findall(text)):
        raise InputError(f"{kind} blocks", f"{opened} opened, {closed} closed", "blocks that are each closed")
    return pattern.sub(fill, text)


def rewrite(page: str | Path, root: str | Path) -> bool:
    """`generated` on a file; returns whether it changed."""
    path = Path(page)
    before = path.read_text("utf-8")
    after = generated(before, root)
    if after != before:
        write_text(path, after)
    return after != before
