"""The contract of a method: what a published system must offer to be trained, measured, loaded and composed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from torch import Tensor, nn

from scenewright.data.sample import Sample
from scenewright.engine.card import Card
from scenewright.errors import InputError

S = TypeVar("S", bound=Sample)


@dataclass(frozen=True)
class Stage:
    """One leg of a method's training, as data.

    Args:
        name: unique within the method.
        steps: optimiser steps at the preset's batch size.
        batch_size: samples per step.
        data: name of the data set this stage reads, resolved by the caller (`"rooms"`).
        optimizer: `"sgd"`, `"adam"`, `"adamw"` or `"rmsprop"`.
        lr: peak learning rate.
        schedule: `"constant"`, `"cosine"` (warm-up over `warmup` steps, then half a cosine to zero) or `"plateau"`.
        warmup: steps of linear warm-up.
        lr_scale: (parameter-name prefix, factor) pairs; the longest matching prefix wins, factor 0 freezes
            (parameters get no gradient, batch norms under the prefix stay in eval mode).
        weight_decay, momentum, gradient_clip: as the names say; 0 turns clipping off.
        average: decay of the exponential moving average of the weights, 0 = none. The average is what ships.
        terms: (loss term, weight) pairs that override the method's own weights.
    """

    name: str
    steps: int
    batch_size: int
    data: str
    optimizer: str = "adamw"
    lr: float = 1e-3
    schedule: str = "cosine"
    warmup: int = 0
    lr_scale: tuple[tuple[str, float], ...] = ()
    weight_decay: float = 0.0
    momentum: float = 0.9
    gradient_clip: float = 0.0
    average: float = 0.0
    terms: tuple[tuple[str, float], ...] = field(default=())


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards every submodule has its own mode back, frozen batch norms included."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


class Method(nn.Module, ABC, Generic[S]):
    """One published system: its networks, its objective, its way of being used.

    A subclass is one file, wiring only, in the order of the paper. It sets `card`, nests a frozen dataclass
    `Config` whose classmethods `paper()` and `small()` are the presets, and takes one as its only argument.
    """

    card: ClassVar[Card]
    Config: ClassVar[type[Any]]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> Self:
        """Build the method at a preset (`"paper"` or `"small"`), with fields of its Config overridden by name.

        Raises:
            InputError: no such preset, or no such field.
        """
        from dataclasses import fields, replace

        build = getattr(cls.Config, preset, None)
        if preset.startswith("_") or build is None:
            raise InputError("preset", repr(preset), "one of paper, small")
        names = {f.name for f in fields(cls.Config)}
        if unknown := set(overrides) - names:
            raise InputError(f"{cls.card.name} option", ", ".join(sorted(unknown)), f"one of {sorted(names)}")
        return cls(replace(build(), **overrides))

    @classmethod
    @abstractmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """The training of a preset, in order."""

    def own_stages(self, preset: str) -> tuple[Stage, ...]:
        """The training of this method as it is configured; differs from the preset's where an option changes stages."""
        return self.stages(preset)

    @abstractmethod
    def loss(self, sample: S, stage: Stage) -> dict[str, Tensor]:
        """The named terms of the objective on a batch, each of shape (B,), already weighted; training adds them up."""

    @abstractmethod
    def example(self, batch: int, seed: int) -> S:
        """A random batch of the smallest legal input, for contract tests; made from `seed` alone."""

    def prepare_stage(self, stage: Stage) -> None:
        """Called once before a stage's first step, e.g. to set dropout rates or thaw layers beyond `lr_scale`."""
