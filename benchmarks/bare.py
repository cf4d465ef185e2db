"""The bare convolutions and matrix products of a network, to time alone: the yardstick of its inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
_BARE = {
    aten.convolution.default, aten.conv2d.default, aten.conv2d.padding, aten.conv_transpose2d.input,
    aten.linear.default, aten.matmul.default, aten.mm.default, aten.addmm.default, aten.bmm.default,
    aten.baddbmm.default, aten.mv.default, aten.addmv.default,
}  # fmt: skip
_FUSED = torch.ops.mkldnn._convolution_pointwise.default


class Recorder(TorchDispatchMode):
    """Writes down every convolution and matrix product made inside, as the dispatcher sees it below autocast: its
    shapes, types and memory layout. One that a prepared network makes by packed kernels, with an activation behind it,
    is written down as the plain convolution that it is."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is _FUSED:
            x, weight, bias, padding, stride, dilation, groups = args[:7]
            self._add(aten.conv2d.default, (x, weight, bias, stride, padding, dilation, groups), {})
        elif function in _BARE:
            self._add(function, args, kwargs or {})
        return function(*args, **(kwargs or {}))

    def _add(self, function: Any, args: Any, kwargs: Any) -> None:
        args, kwargs = tree_map(_stand_in, (args, kwargs))
        self.calls.append(lambda: function(*args, **kwargs))

    def again(self) -> None:
        """Make all of them, on random numbers."""
        for call in self.calls:
            call()


def _stand_in(value: Any) -> Any:
    """A tensor of the same shape, type and layout with small random numbers; channels last for packed kernels."""
    if not isinstance(value, Tensor):
        return value
    if value.is_mkldnn:
        found = torch.empty(value.shape, dtype=value.dtype).contiguous(memory_format=torch.channels_last)
    else:
        found = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
    return found.normal_(0, 0.05)
