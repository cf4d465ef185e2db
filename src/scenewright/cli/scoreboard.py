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

    A document's table stands between `<!-- scoreboard:TASK/PROTOCOL -->` and `<!-- /scoreboard -->`; likewise
    `<!-- claims:TASK/papers -->` and `<!-- across:TASK/PROTOCOL,PROTOCOL:FIGURE -->`.

    Args:
        task: "depth", "slam" ...
        results: root folder of stored results.
        write: documents whose tables are filled (README.md docs/depth.md ...); nothing is printed then.
    """
    from scenewright.engine.claims import claims_table
    from scenewright.engine.scoreboard import tables_of
    from scenewright.pipelines.tables import claims_of, rewrite

    if write:
        for page in write:
            print(f"{page}: {'rewritten' if rewrite(page, results) else 'up to date'}")
        return 0
    for protocol, text in tables_of(results, task).items():
        print(f"### {protocol}\n\n{text}")
    for name, claims in claims_of(task).items():
        print(f"### claims: {name}\n\n{claims_table(claims, results)}")
    return 0
