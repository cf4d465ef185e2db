"""What every task's sample shares: a frozen dataclass of tensors that can be batched, moved and indexed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def _map(value: Any, function: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _map(getattr(value, f.name), function) for f in fields(value)})
    return value


def _stack(values: Sequence[Any], name: str) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values))
    if is_dataclass(first) and not isinstance(first, type):
        parts = {f.name: _stack([getattr(v, f.name) for v in values], f.name) for f in fields(first)}
        return replace(first, **parts)
    if isinstance(first, str):
        return ",".join(values)
    if any(v != first for v in values):
        raise ValueError(f"cannot batch samples whose {name} differ: {values}")
    return first


S = TypeVar("S", bound="Sample")


class Sample:
    """Base of the samples. A subclass is a frozen dataclass whose fields are tensors, cameras, or None.

    A single item carries no batch dimension; `collate` adds one in front of every tensor, cameras included.
    """

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The sample with every tensor moved or cast as `Tensor.to` does; integer tensors keep their type."""

        def move(x: Tensor) -> Tensor:
            return x.to(*args, **kwargs) if x.is_floating_point() else x.to(x.new_empty(0).to(*args, **kwargs).device)

        return _map(self, move)

    def __getitem__(self, index: int) -> Self:
        """One item of a batch, without its batch dimension."""
        return _map(self, lambda x: x[index])


def collate(samples: Sequence[S]) -> S:
    """Batch single items: (...) tensors become (B, ...).

    Raises:
        ValueError: an empty list, or samples whose sizes differ.
    """
    if not samples:
        raise ValueError("cannot batch an empty list of samples")
    return _stack(list(samples), type(samples[0]).__name__)


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
