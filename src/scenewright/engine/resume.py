"""What a killed training run needs to go on: one safetensors file, tensors and JSON in it, replaced as a whole."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.optim import Optimizer

from scenewright.engine.schedule import Average, Plateau
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes

FILE = "resume.safetensors"


@dataclass
class Position:
    """Where a run stands.

    Args:
        stage: index of the current stage; the number of stages once all are done.
        step: optimiser steps finished in that stage.
        plateau: state of a plateau schedule.
        sums: sums of the loss terms since the last line of the log, and their count under `"steps"`.
        figures: what the last validation gave.
    """

    stage: int = 0
    step: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    sums: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


def write(
    folder: Path,
    fingerprint: Mapping[str, Any],
    position: Position,
    method: nn.Module,
    optimizer: Optimizer | None = None,
    average: Average | None = None,
) -> None:
    """Store a run's state atomically: parameters, buffers, optimiser moments, average and position."""
    tensors = {f"method/{name}": t for name, t in method.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": t for name, t in average.shadow.items()}
    if optimizer is not None:
        tensors |= _moments(method, optimizer)
    plain = {
        name: t.detach().to("cpu", memory_format=torch.contiguous_format, copy=True) for name, t in tensors.items()
    }
    state = json.dumps({"fingerprint": fingerprint, "position": asdict(position)})  # in their order: lines repeat it
    # not save_file: it writes to a temporary name of its own, which a kill would leave behind
    write_bytes(folder / FILE, safetensors.save(plain, metadata={"state": state}))


def _moments(method: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {p: name for name, p in method.named_parameters()}
    return {
        f"optimizer/{names[p]}/{key}": value
        for p, entries in optimizer.state.items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    }


@dataclass(frozen=True)
class State:
    """A stored state, not yet applied."""

    position: Position
    tensors: Mapping[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a prefix, named without it."""
        return {k.removeprefix(prefix): t for k, t in self.tensors.items() if k.startswith(prefix)}

    def restore_method(self, method: nn.Module) -> None:
        """Copy parameters and buffers in place."""
        method.load_state_dict(self.part("method/"), strict=True)

    @torch.no_grad()
    def restore_optimizer(self, method: nn.Module, optimizer: Optimizer) -> None:
        """Put the moments back; each takes the device and memory layout of its parameter."""
        parameters = dict(method.named_parameters())
        for name, value in self.part("optimizer/").items():
            parameter, _, key = name.rpartition("/")
            p = parameters[parameter]
            held = torch.empty_like(p, dtype=value.dtype).copy_(value) if value.shape == p.shape and p.ndim else value
            optimizer.state[p][key] = held.clone()

    @torch.no_grad()
    def restore_average(self, average: Average) -> None:
        """Copy the average in place."""
        for name, value in self.part("average/").items():
            average.shadow[name].copy_(value)


def read(folder: Path, fingerprint: Mapping[str, Any]) -> State | None:
    """The state that `write` left in a run's folder, or None in a fresh one.

    Raises:
        InputError: the folder holds a run with other settings.
        FormatError: the file is no state.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        held = state["position"]
        position = Position(**{**held, "plateau": Plateau(**held["plateau"])})
        stored = state["fingerprint"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FormatError(path, f"no training state ({error})", "a file that `fit` wrote; remove it to start") from None
    _check_same_run(path, stored, fingerprint)
    return State(position, tensors)


def _check_same_run(path: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(asked))
    for key in sorted(set(stored) | set(now)):
        if stored.get(key) != now.get(key):
            expected = f"{now.get(key)!r}; use another run folder, or do not resume"
            raise InputError(f"{path} {key}", repr(stored.get(key)), expected)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the lock vanishes with the process, however it ends.

    A record lock, which processes that load data do not inherit: one that outlives a killed run for a moment would
    otherwise keep the folder.

    Raises:
        InputError: another process trains in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(folder, "a run in progress", "a folder that no other process trains in") from None
        for torn in folder.glob(f".{Path(FILE).stem}.*"):
            torn.unlink()
        yield
