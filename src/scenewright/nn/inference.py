"""A trained network made ready for prediction alone: the same map, computed with less besides its convolutions.

A batch norm in eval mode is a factor and an offset per channel: both go into the convolution in front of it; a ReLU
between them becomes a bound, and goes behind a max pooling. And under autocast a convolution's kernels are cast at
every call: here they are cast once. Channels come last in memory, which convolutions keep from their kernels, and
poolings are several times faster so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

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


class Bound(nn.Module):
    """A ReLU and the batch norm behind it once the norm's factor g and offset c are in the convolution in front:
    g relu(z) + c is g z + c, held above c where g is positive and below c where it is negative.

    Args:
        gain, offset: (C,) g and c.
    """

    low: Tensor
    high: Tensor | None

    def __init__(self, gain: Tensor, offset: Tensor) -> None:
        super().__init__()
        c, up = offset[:, None, None], gain[:, None, None] >= 0
        self.register_buffer("low", torch.where(up, c, -torch.inf))
        self.register_buffer("high", None if bool(up.all()) else torch.where(up, torch.inf, c))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), in place."""
        return x.clamp_(self.low.to(x.dtype), None if self.high is None else self.high.to(x.dtype))


class Halves(nn.Module):
    """Max pooling of 2x2 by rows, then columns, in whole vectors; writes over what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        height, width = (n - n % 2 for n in x.shape[-2:])
        rows = x[..., 0:height:2, :]
        torch.maximum(rows, x[..., 1:height:2, :], out=rows)
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


@torch.no_grad()
def prepare(network: nn.Module, run: Callable[[], Any]) -> int:
    """Fold every batch norm of `network` that follows a convolution, directly or behind a ReLU, into it, in place; it
    cannot be trained afterwards, and its state has other names.

    Args:
        network: in eval mode.
        run: any use of it that reaches all its parts; it shows which convolution feeds which norm.

    Returns:
        How many batch norms are gone.
    """
    pairs = _pairs(network, run)
    places = {module: (parent, name) for parent in network.modules() for name, module in parent.named_children()}
    for producer, relu, norm in pairs:
        gain, offset = _factors(norm)
        for conv in _convolutions(producer):
            _fold(conv, gain, offset)
        dtype = cast(Tensor, norm.running_mean).dtype
        bound = nn.Identity() if relu is None else Bound(gain.to(dtype), offset.to(dtype))
        for old, new in ((norm, bound), (relu, nn.Identity())):
            if old is not None:
                parent, name = places[old]
                parent.register_module(name, new)
    for module, (parent, name) in places.items():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(parent, UpConv):
            parent.register_module(name, KeptConv2d(module))
        elif type(module) is nn.Linear:
            parent.register_module(name, KeptLinear(module))
    for parent in network.modules():
        if type(parent) is nn.Sequential:
            _pool(parent)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return len(pairs)


def _pool(chain: nn.Sequential) -> None:
    """Maxima before bounds, of which there are fewer then: both grow with their argument, so that the order is free."""
    used = [i for i, module in enumerate(chain) if not isinstance(module, nn.Identity)]
    for before, after in pairwise(used):
        bound, pool = chain[before], chain[after]
        if isinstance(bound, Bound | nn.ReLU) and isinstance(pool, nn.MaxPool2d):
            overwritten = isinstance(bound, Bound) or bound.inplace  # what the bound was given, so the pool may, too
            chain[before], chain[after] = Halves() if overwritten and _halves(pool) else pool, bound


def _halves(pool: nn.MaxPool2d) -> bool:
    given = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    sides = [n if isinstance(n, tuple) else (n, n) for n in given]
    return sides == [(2, 2), (2, 2), (0, 0), (1, 1)] and not (pool.ceil_mode or pool.return_indices)


@runtime_checkable
class EndsInConvolutions(Protocol):
    """A module whose output is that of convolutions of its own, which it calls in its own way."""

    def last_convolutions(self) -> list[nn.Conv2d]:
        """These; together they give each channel."""


def _convolutions(producer: nn.Module) -> list[nn.Conv2d]:
    return producer.last_convolutions() if isinstance(producer, EndsInConvolutions) else [cast(nn.Conv2d, producer)]


Triple = tuple[nn.Module, nn.ReLU | None, nn.BatchNorm2d]


def _pairs(network: nn.Module, run: Callable[[], Any]) -> list[Triple]:
    """Convolutions, ReLUs behind them if any, and the norms that alone are given their output, at every call of any of
    them in the pass."""
    made: dict[int, tuple[nn.Module, nn.ReLU | None, Tensor, Tensor]] = {}  # kept, so that none gets another's address
    calls: Counter[nn.Module] = Counter()
    found: Counter[Triple] = Counter()
    rectified: dict[nn.ReLU, nn.Module | None] = {}

    def source(given: tuple[Any, ...]) -> tuple[nn.Module, nn.ReLU | None] | None:
        before = made.get(id(given[0]))
        if before is None or before[2] is not given[0] or not torch.equal(given[0], before[3]):
            return None  # an activation in place would have changed it
        return before[:2]

    def about_to(module: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(module, nn.ReLU):
            producer = source(given)
            plain = producer is not None and producer[1] is None and type(producer[0]) is nn.Conv2d
            rectified[module] = producer[0] if plain and producer is not None else None

    def watch(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        calls[module] += 1
        if isinstance(module, nn.BatchNorm2d):
            producer = source(given)
            if producer is not None:
                found[(*producer, module)] += 1
        elif not isinstance(module, nn.ReLU):
            made[id(output)] = module, None, output, output.clone()
        elif (conv := rectified.pop(module)) is not None:
            made[id(output)] = conv, module, output, output.clone()

    kinds = (nn.BatchNorm2d, nn.Conv2d, nn.ReLU, EndsInConvolutions)
    watched = [m for m in network.modules() if isinstance(m, kinds)]
    hooks = [hook for m in watched for hook in (m.register_forward_pre_hook(about_to), m.register_forward_hook(watch))]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [
        (p, r, n) for (p, r, n), count in found.items()
        if all(calls[m] == count for m in (p, r, n) if m is not None) and n.track_running_stats and not n.training
    ]  # fmt: skip


def _factors(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(C,) g / sqrt(v + eps) and beta - m g / sqrt(v + eps), in float64."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    gain = torch.rsqrt(variance + norm.eps) * (1.0 if norm.weight is None else norm.weight.double())
    return gain, (0.0 if norm.bias is None else norm.bias.double()) - mean * gain


def _fold(conv: nn.Conv2d, gain: Tensor, offset: Tensor) -> None:
    """w' = w g, b' = b g + c, taken in float64."""
    bias = offset if conv.bias is None else conv.bias.double() * gain + offset
    conv.weight = nn.Parameter((conv.weight.double() * gain[:, None, None, None]).to(conv.weight.dtype), False)
    conv.bias = nn.Parameter(bias.to(conv.weight.dtype), False)
