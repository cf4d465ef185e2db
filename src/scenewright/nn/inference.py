"""A trained network made ready for prediction alone: the same map, computed with less besides its convolutions.

A batch norm in eval mode is a factor and an offset per channel: both go into the convolution in front of it. And under
autocast a convolution's kernels are cast at every call: here they are cast once. Channels come last in memory, which
convolutions keep from their kernels, and poolings are several times faster so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.nn.upprojection import UpConv


class _Kept(nn.Module):
    """What will not be trained any more and keeps its kernels in the types it was called in."""

    weight: Tensor
    bias: Any
    _kept: dict[torch.dtype, tuple[Tensor, Tensor | None]]

    def _keep(self, trained: nn.Conv2d | nn.Linear) -> None:
        self.weight, self.bias, self._kept = trained.weight.requires_grad_(False), trained.bias, {}

    def _cast(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Input, kernels and bias in autocast's type where that is on."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        if dtype not in self._kept:
            self._kept[dtype] = self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype)
        return x.to(dtype), *self._kept[dtype]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._kept = {}
        return super()._apply(fn, recurse)


class KeptConv2d(_Kept, nn.Conv2d):
    """A convolution as it was trained."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, cast(Any, conv.kernel_size), cast(Any, conv.stride),
            cast(Any, conv.padding), cast(Any, conv.dilation), conv.groups, conv.bias is not None, device="meta",
        )  # fmt: skip
        self._keep(conv)

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        x, weight, bias = self._cast(x)
        return F.conv2d(x, weight, bias, self.stride, cast(Any, self.padding), self.dilation, self.groups)


class KeptLinear(_Kept, nn.Linear):
    """A fully connected layer as it was trained."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self._keep(linear)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        return F.linear(*self._cast(x))


@torch.no_grad()
def prepare(network: nn.Module, run: Callable[[], Any]) -> int:
    """Fold every batch norm of `network` that directly follows a convolution into it, in place; it cannot be trained
    afterwards, and its state has other names.

    Args:
        network: in eval mode.
        run: any use of it that reaches all its parts; it shows which convolution feeds which norm.

    Returns:
        How many batch norms are gone.
    """
    pairs = _pairs(network, run)
    places = {module: (parent, name) for parent in network.modules() for name, module in parent.named_children()}
    for producer, norm in pairs:
        for conv in _convolutions(producer):
            _fold(conv, norm)
        parent, name = places[norm]
        parent.register_module(name, nn.Identity())
    for module, (parent, name) in places.items():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(parent, UpConv):
            parent.register_module(name, KeptConv2d(module))
        elif type(module) is nn.Linear:
            parent.register_module(name, KeptLinear(module))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return len(pairs)


def _convolutions(producer: nn.Module) -> list[nn.Conv2d]:
    if isinstance(producer, UpConv):
        return [producer.conv_a, producer.conv_b, producer.conv_c, producer.conv_d]
    return [cast(nn.Conv2d, producer)]


def _pairs(network: nn.Module, run: Callable[[], Any]) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    """Convolutions and the norms that alone are given their output, at every call of either in the pass."""
    made: dict[int, tuple[nn.Module, Tensor, Tensor]] = {}  # outputs are kept, so that none gets another's address
    calls: Counter[nn.Module] = Counter()
    found: Counter[tuple[nn.Module, nn.BatchNorm2d]] = Counter()

    def watch(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        calls[module] += 1
        if isinstance(module, nn.BatchNorm2d):
            before = made.get(id(given[0]))
            if before is not None and before[1] is given[0] and torch.equal(given[0], before[2]):
                found[before[0], module] += 1  # an activation in place would have changed it
        else:
            made[id(output)] = module, output, output.clone()

    kinds = (nn.BatchNorm2d, nn.Conv2d, UpConv)
    hooks = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, kinds)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [
        (p, n) for (p, n), count in found.items()
        if calls[p] == calls[n] == count and n.track_running_stats and not n.training
    ]  # fmt: skip


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """w' = w g / sqrt(v + eps), b' = (b - m) g / sqrt(v + eps) + beta, taken in float64."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    gain = torch.rsqrt(variance + norm.eps) * (1.0 if norm.weight is None else norm.weight.double())
    offset = -mean if conv.bias is None else conv.bias.double() - mean
    bias = offset * gain + (0.0 if norm.bias is None else norm.bias.double())
    conv.weight = nn.Parameter((conv.weight.double() * gain[:, None, None, None]).to(conv.weight.dtype), False)
    conv.bias = nn.Parameter(bias.to(conv.weight.dtype), False)
