"""What a training run tells: lines in metrics.jsonl, curves in TensorBoard where installed, a bar on a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenewright.files import write_text

FILE = "metrics.jsonl"


class MetricsLog:
    """An append-only log of JSON lines, each with its stage's index and step.

    Opening it for a run that resumes drops the lines after the position, and a line that a crash tore, so that the
    file reads as if nothing had happened.

    Args:
        folder: the run's folder.
        stage, step: the position from which the run goes on.
    """

    def __init__(self, folder: Path, stage: int, step: int) -> None:
        self.path = folder / FILE
        self._cut(stage, step)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = _board(folder / "tensorboard")

    def _cut(self, stage: int, step: int) -> None:
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if _before(line, stage, step)]
        write_text(self.path, "".join(f"{line}\n" for line in kept))

    def write(self, kind: str, stage: int, name: str, step: int, values: Mapping[str, float]) -> None:
        """Append one line; `kind` is `"train"` or `"validate"`, `name` the stage's."""
        line = {"kind": kind, "stage": stage, "name": name, "step": step, **values}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if self.board is not None:
            for key, value in values.items():
                self.board.add_scalar(f"{name}/{kind}/{key}", value, step)

    def close(self) -> None:
        """Close the files."""
        self.file.close()
        if self.board is not None:
            self.board.close()


def read(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (Path(folder) / FILE).read_text("utf-8").splitlines()]


def _before(line: str, stage: int, step: int) -> bool:
    try:
        entry = json.loads(line)
        return bool((entry["stage"], entry["step"]) <= (stage, step))
    except (ValueError, KeyError, TypeError):
        return False


def _board(folder: Path) -> Any:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


class Display:
    """A progress bar on a terminal; elsewhere one plain line every half minute. Both go to standard error."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.live = self.console.is_terminal and not quiet
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.live)
        self.last_line = time.monotonic()
        self.task: Any = None

    def start(self, stage: str, steps: int, done: int, batch_size: int) -> None:
        """A stage begins at step `done` of `steps`."""
        self.stage, self.steps, self.batch_size = stage, steps, batch_size
        self.task = self.progress.add_task(stage, total=steps, completed=done, text="")
        self.progress.start()

    def step(self, done: int, values: Mapping[str, float]) -> None:
        """Step `done` is finished."""
        speed = self.progress.tasks[self.task].speed or 0.0  # steps per second over the last half minute
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items()) + f"  {speed * self.batch_size:.3g} images/s"
        self.progress.update(self.task, completed=done, text=text)
        if not self.live and time.monotonic() - self.last_line > 30:
            self.last_line = time.monotonic()
            self.console.print(f"{self.stage} {done}/{self.steps}  {text}", highlight=False)

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        self.console.print(text, highlight=False)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()
