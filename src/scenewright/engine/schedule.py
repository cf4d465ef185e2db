"""Optimisers and learning rates of a stage."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from scenewright.engine.method import Stage
from scenewright.errors import InputError

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "cosine", "plateau")


def check(stage: Stage) -> None:
    """Raise InputError where a stage cannot be run."""
    rules = {
        "steps": stage.steps >= 1,
        "batch_size": stage.batch_size >= 1,
        "optimizer": stage.optimizer in OPTIMIZERS,
        "schedule": stage.schedule in SCHEDULES,
        "lr": stage.lr > 0 and math.isfinite(stage.lr),
        "warmup": 0 <= stage.warmup <= stage.steps,
        "momentum": 0 <= stage.momentum < 1,
        "weight_decay": stage.weight_decay >= 0,
        "gradient_clip": stage.gradient_clip >= 0,
        "average": 0 <= stage.average < 1,
        "lr_scale": all(factor >= 0 for _, factor in stage.lr_scale),
    }
    for name, right in rules.items():
        if not right:
            found, expected = repr(getattr(stage, name)), "a value that the docstring of Stage allows"
            raise InputError(f"stage {stage.name!r} {name}", found, expected)


def lr_factor(name: str, scales: Iterable[tuple[str, float]]) -> float:
    """The learning-rate factor of a parameter's name: the longest matching prefix wins, 1 where none does."""
    matching = [(len(prefix), factor) for prefix, factor in scales if name.startswith(prefix)]
    return max(matching)[1] if matching else 1.0


def freeze(method: nn.Module, stage: Stage) -> None:
    """Give gradients to exactly the parameters whose factor is not 0.

    Raises:
        InputError: a prefix of `lr_scale` matches no parameter, or nothing is left to train.
    """
    parameters = dict(method.named_parameters())
    for prefix, _ in stage.lr_scale:
        if not any(name.startswith(prefix) for name in parameters):
            raise InputError(f"stage {stage.name!r} lr_scale", repr(prefix), "the prefix of a parameter's name")
    for name, parameter in parameters.items():
        parameter.requires_grad_(lr_factor(name, stage.lr_scale) > 0)
    if not any(p.requires_grad for p in parameters.values()):
        raise InputError(f"stage {stage.name!r} lr_scale", "every parameter frozen", "something to train")


def train_mode(method: nn.Module, stage: Stage) -> None:
    """Train mode, except for batch norms that lie under a frozen prefix: these keep their statistics."""
    method.train()
    for name, module in method.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and lr_factor(f"{name}.", stage.lr_scale) == 0:
            module.eval()


def optimizer(method: nn.Module, stage: Stage) -> Optimizer:
    """The stage's optimiser: one group per learning-rate factor, which `set_lr` reads from the group."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(lr_factor(name, stage.lr_scale), []).append(parameter)
    options: list[dict[str, Any]] = [{"params": ps, "factor": factor} for factor, ps in groups.items()]
    if stage.optimizer == "sgd":
        return SGD(options, lr=stage.lr, momentum=stage.momentum, weight_decay=stage.weight_decay)
    if stage.optimizer == "rmsprop":
        return RMSprop(options, lr=stage.lr, momentum=stage.momentum, weight_decay=stage.weight_decay)
    adam = Adam if stage.optimizer == "adam" else AdamW
    return adam(options, lr=stage.lr, betas=(stage.momentum, 0.999), weight_decay=stage.weight_decay)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of every group, times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]


def learning_rate(stage: Stage, step: int) -> float:
    """The learning rate of a step: linear warm-up to the peak, then constant or half a cosine to zero.

    A plateau schedule is constant here; `Plateau.scale` multiplies it.
    """
    if step < stage.warmup:
        return stage.lr * (step + 1) / (stage.warmup + 1)
    if stage.schedule != "cosine":
        return stage.lr
    progress = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.lr * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass
class Plateau:
    """Halves the learning rate when the mean loss of a window stops falling.

    A window is a fortieth of the stage. After `patience` windows in a row that do not improve on the best by 1 %, the
    rate halves. The state is plain numbers, so that a checkpoint can hold it.
    """

    scale: float = 1.0
    best: float | None = None
    bad: int = 0
    patience: int = 3
    total: float = 0.0
    count: int = 0

    @staticmethod
    def window(stage: Stage) -> int:
        """Steps over which losses are averaged."""
        return max(1, stage.steps // 40)

    def add(self, loss: float, window: int) -> None:
        """Take the loss of one step; the step that fills the window judges it."""
        self.total, self.count = self.total + loss, self.count + 1
        if self.count == window:
            self._judge(self.total / self.count)
            self.total, self.count = 0.0, 0

    def _judge(self, mean: float) -> None:
        if self.best is None or mean < 0.99 * self.best:
            self.best, self.bad = mean, 0
            return
        self.bad += 1
        if self.bad >= self.patience:
            self.scale, self.bad = self.scale / 2, 0


class Average:
    """An exponential moving average of the parameters; buffers (batch-norm statistics) are copied, not averaged.

    The decay rises with the steps, d_t = min(d, (1 + t) / (10 + t)), so that the random start is forgotten.
    """

    def __init__(self, method: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in method.named_parameters()}

    @torch.no_grad()
    def update(self, method: nn.Module, step: int) -> None:
        """Move the average towards the parameters after optimiser step `step` (0 is the first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.shadow.values()), [p.detach() for p in method.parameters()], 1.0 - decay)

    @torch.no_grad()
    def swap(self, method: nn.Module) -> None:
        """Exchange the average with the method's parameters; a second call undoes the first."""
        for name, p in method.named_parameters():
            held = p.detach().clone()
            p.copy_(self.shadow[name])
            self.shadow[name].copy_(held)
