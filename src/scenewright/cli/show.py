"""How commands show progress and results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenewright.scene.scene import Scene


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function of (done, total, what) that draws one bar per kind of work on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}

    def finish() -> None:
        for task in bar.tasks:  # what comes next shows that what went before is done
            bar.update(task.id, completed=task.total)
            bar.stop_task(task.id)

    def update(done: int, total: int, what: str) -> None:
        bar.start()  # at the first news, so that bad input is answered by its one line alone
        if what not in tasks:
            finish()
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    try:
        yield update
        finish()
    finally:
        if tasks:
            bar.stop()


def figures_of(scene: Scene, as_json: bool) -> None:
    """Print a scene's figures as a table or as JSON, and where its report lies."""
    figures = scene.figures()
    if as_json:
        print(json.dumps({"folder": str(scene.folder), **{f.name: f.value for f in figures}}, indent=2))
        return
    for figure in figures:
        value = "-" if figure.value is None else f"{figure.value:.4g}"
        print(f"  {figure.name:<24}{value:>10} {figure.unit}")
    print(f"report: {scene.path('report.html').resolve()}")
