"""Training runs of the toy method in processes of their own: `python toy_runs.py killed|ddp|ddp_stopped FOLDER`."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from pathlib import Path

from scenewright.engine.fit import TrainingInterrupted, fit
from toy import Squares, Toy


def toy(**overrides: object) -> Toy:
    import torch

    torch.manual_seed(0)
    return Toy.from_preset("small", **overrides)


def train(folder: Path, **options: object) -> bytes:
    """One run of the toy from fixed fresh weights; the bytes of its weights."""
    settings = {"preset": "small", "seed": 5, "precision": "32", "quiet": True, "save_every": 0.0, "log_every": 5}
    weights = fit(toy(), {"squares": Squares(10)}, folder, **(settings | options))  # type: ignore[arg-type]
    return (weights / "model.safetensors").read_bytes()


def killed(folder: Path) -> None:
    """Start the run again and again, killed four times at a random moment before what is left of it can be done."""
    whole, _ = _child(folder.with_name("undisturbed"))
    moments = random.Random(0)
    kills = sum(_child(folder, moments.uniform(0.02, 0.22) * whole)[1] == signal.SIGPROF for _ in range(4))
    assert _child(folder)[1] == 0
    print("kills", kills)


def _child(folder: Path, moment: float = 0.0) -> tuple[float, int]:
    """Processor seconds of a run in a process of its own, and how it ended.

    The kernel ends it after `moment` seconds of its own processor time, 0 = never: a busy machine changes nothing.
    """
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_PROF, moment)
        train(folder)
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    return used.ru_utime + used.ru_stime, status


class Stopping(Squares):
    """Its first process is told to stop, the other is not."""

    def draw(self, index: int, random: object) -> object:
        self.drawn = getattr(self, "drawn", 0) + 1
        if self.drawn == 9 and os.environ["LOCAL_RANK"] == "0":
            os.kill(os.getpid(), signal.SIGTERM)
        return super().draw(index, random)  # type: ignore[arg-type]


def ddp(folder: Path, data: Squares | None = None) -> None:
    """Two processes; without batch norm and dropout their mathematics is that of one."""
    model = toy(norm=False, dropout=0.0)
    fit(
        model, {"squares": data or Squares(10)}, folder, preset="small", seed=5, precision="32", quiet=True, devices=2,
        log_every=1, validate=lambda m: {"bias": float(m.head.bias)},
    )  # fmt: skip


def ddp_stopped(folder: Path) -> None:
    """The same, stopped after a few steps."""
    try:
        ddp(folder, Stopping(10))
    except TrainingInterrupted as stopped:
        print("exit code", stopped.exit_code)


if __name__ == "__main__":
    warnings.simplefilter("error")
    {"killed": killed, "ddp": ddp, "ddp_stopped": ddp_stopped}[sys.argv[1]](Path(sys.argv[2]))
