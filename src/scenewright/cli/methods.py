"""`scenewright methods`."""

from __future__ import annotations

import json
from typing import Annotated

import tyro


def command(task: str | None = None, as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> int:
    """List the methods of the table: name, task, paper, parameters, shipped weights.

    Args:
        task: only methods of this task ("depth", ...).
        as_json: print every card in full, as JSON.
    """
    from scenewright.pipelines.catalogue import catalogue

    rows = catalogue(task)
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "task", "paper", "paper parameters", "shipped weights", box=None)
    for row in rows:
        paper = f"{row['title']} ({row['venue']} {row['year']})"
        table.add_row(row["name"], row["task"], paper, f"{row['paper_parameters']:,}", row["weights"] or "-")
    Console().print(table)
    return 0
