"""`scenewright scoreboard`."""

from __future__ import annotations

from pathlib import Path

import tyro


def command(
    task: tyro.conf.Positional[str],
    results: Path = Path("results"),
    write: tuple[Path, ...] = (),
) -> int:
    """Print the tables of a task from stored results, or write them into documents.

    A document's table stands between `<!-- scoreboard:TASK/PROTOCOL -->` and `<!-- /scoreboard -->`.

    Args:
        task: "depth", "slam" ...
        results: root folder of stored results.
        write: documents whose tables are filled (README.md docs/depth.md ...); nothing is printed then.
    """
    from scenewright.engine.scoreboard import rewrite_tables, tables_of

    if write:
        for page in write:
            print(f"{page}: {'rewritten' if rewrite_tables(page, results) else 'up to date'}")
        return 0
    for protocol, text in tables_of(results, task).items():
        print(f"### {protocol}\n\n{text}")
    return 0
