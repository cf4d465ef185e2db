"""Which items a training step sees and which randomness they get: a pure function of seed, stage, step and slot.

Because nothing here has state, a run that was killed continues with exactly the batches it would have had.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from scenewright.data.sample import Sample, collate

S_co = TypeVar("S_co", bound=Sample, covariant=True)


@runtime_checkable
class Drawable(Protocol[S_co]):
    """A data set whose items are drawn at random (augmented, cropped, rendered): the generator is its only chance."""

    def __len__(self) -> int:
        """Number of items."""

    def draw(self, index: int, generator: torch.Generator) -> S_co:
        """One item; equal index and generator state, equal bytes."""


def derive(*parts: object) -> int:
    """A seed in [0, 2^63) that depends on every part; unrelated for parts that differ anywhere."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded by `derive(*parts)`."""
    return torch.Generator().manual_seed(derive(*parts))


@lru_cache(maxsize=4)
def _permutation(seed: int, stage: str, epoch: int, items: int) -> list[int]:
    order: list[int] = torch.randperm(items, generator=generator(seed, stage, "epoch", epoch)).tolist()
    return order


def item_at(seed: int, stage: str, position: int, items: int) -> int:
    """The item at a position of the endless stream: every epoch of `items` positions is a fresh permutation."""
    epoch, place = divmod(position, items)
    return _permutation(seed, stage, epoch, items)[place]


@dataclass(frozen=True)
class Slot:
    """One place in one step's batch."""

    step: int
    slot: int
    index: int


@dataclass(frozen=True)
class Plan(Sampler[list[Slot]]):
    """The batches of a stage from step `start` on, for one of `world` processes; together they make the whole batch.

    Args:
        seed, stage: what the order depends on.
        items: size of the data set.
        batch_size: samples per step over all processes, a multiple of `world`.
        start, stop: the half-open range of steps.
        rank, world: which contiguous part of each batch this process takes.
    """

    seed: int
    stage: str
    items: int
    batch_size: int
    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __iter__(self) -> Iterator[list[Slot]]:
        return (self.batch(step) for step in range(self.start, self.stop))

    def batch(self, step: int) -> list[Slot]:
        """This process's part of a step's batch."""
        share = self.batch_size // self.world
        slots = range(self.rank * share, (self.rank + 1) * share)
        first = step * self.batch_size
        return [Slot(step, s, item_at(self.seed, self.stage, first + s, self.items)) for s in slots]


class _Drawn(Dataset[Any]):
    """The data set behind a plan, addressed by slots."""

    def __init__(self, dataset: Any, seed: int, stage: str) -> None:
        self.dataset, self.seed, self.stage = dataset, seed, stage

    def __getitem__(self, slot: Slot) -> Any:
        if isinstance(self.dataset, Drawable):
            return self.dataset.draw(slot.index, generator(self.seed, self.stage, slot.step, slot.slot))
        return self.dataset[slot.index]


def _ignore_interrupt(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; loaders go on until the step in progress is finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Batches:
    """The collated batches of a plan, loaded by `workers` processes (0 = this one); the order never depends on them."""

    def __init__(self, dataset: Any, plan: Plan, workers: int) -> None:
        self.plan = plan
        drawn = _Drawn(dataset, plan.seed, plan.stage)
        self.loader: DataLoader[Any] = DataLoader(
            drawn,
            batch_sampler=plan,
            num_workers=workers,
            collate_fn=collate,
            generator=generator(plan.seed),
            worker_init_fn=_ignore_interrupt,
        )

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)
