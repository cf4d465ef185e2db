"""A trained network made ready for prediction alone: the same map, computed with less besides its convolutions.

A batch norm in eval mode is a factor and an offset per channel: both go into the convolution in front of it; a ReLU
between them becomes a bound, and goes behind a max pooling. An activation behind a convolution or its norm is computed
with it. Channels come last in memory, which convolutions keep from their kernels, and poolings are several times
faster so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from scenewright.nn.conv import SameConv2d
from scenewright.nn.kept import Bound, Halves, KeptConv2d, KeptLinear, KeptUpConv, has_post_operation
from scenewright.nn.upprojection import UpConv


@torch.no_grad()
def prepare(network: nn.Module, run: Callable[[], Any]) -> int:
    """Put every batch norm of `network` that follows a convolution, directly or behind a ReLU, and every activation
    behind those, into the convolution, in place; it cannot be trained afterwards, and its state has other names.

    Args:
        network: in eval mode.
        run: any use of it that reaches all its parts; it shows what feeds what.

    Returns:
        How many batch norms are gone.
    """
    chains = _chains(network, run)
    places = _places(network)

    def put(old: nn.Module, new: nn.Module) -> None:
        parent, name = places[old]
        parent.register_module(name, new)

    for chain in chains:
        if chain.norm is not None:
            _absorb(chain, put)
        if chain.after is not None:
            put(chain.after, nn.Identity())
    after = {chain.conv: chain.after for chain in chains}
    for module in places:
        if isinstance(module, UpConv):
            put(module, KeptUpConv(module, after.get(module)))
        elif _plain(module) and not isinstance(places[module][0], UpConv):
            put(module, KeptConv2d(cast(nn.Conv2d, module), after.get(module)))
        elif type(module) is nn.Linear:
            put(module, KeptLinear(module))
    for parent in list(network.modules()):
        if type(parent) is nn.Sequential:
            _shorten(parent)
            _pool(parent)
    for module, (parent, name) in _places(network).items():
        if type(module) is nn.Sequential and len(module) == 1:
            parent.register_module(name, module[0])
        elif _halves(module):
            parent.register_module(name, _quick(module, over=False))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return sum(chain.norm is not None for chain in chains)


def _places(network: nn.Module) -> dict[nn.Module, tuple[nn.Module, str]]:
    """Parent and name of every module in it."""
    return {module: (parent, name) for parent in network.modules() for name, module in parent.named_children()}


@dataclass(frozen=True)
class _Chain:
    """A convolution and what alone reads its output, then the output of that: ReLU and norm, or norm and activation."""

    conv: nn.Module
    before: nn.ReLU | None = None
    norm: nn.BatchNorm2d | None = None
    after: nn.Module | None = None


def _absorb(chain: _Chain, put: Callable[[nn.Module, nn.Module], None]) -> None:
    """The norm's factor and offset go into the convolution; a ReLU between them becomes a bound."""
    norm = cast(nn.BatchNorm2d, chain.norm)
    gain, offset = _factors(norm)
    for conv in _convolutions(chain.conv):
        _fold(conv, gain, offset)
    if chain.before is None:
        put(norm, nn.Identity())
    else:
        dtype = cast(Tensor, norm.running_mean).dtype
        put(norm, Bound(gain.to(dtype), offset.to(dtype)))
        put(chain.before, nn.Identity())


def _shorten(chain: nn.Sequential) -> None:
    """Leave out what went into its neighbours."""
    for index in reversed(range(len(chain))):
        if isinstance(chain[index], nn.Identity):
            del chain[index]


def _pool(chain: nn.Sequential) -> None:
    """Maxima before bounds, of which there are fewer then: both grow with their argument, so that the order is free.

    A pooling may write over what a convolution made, and over what the bound would have written over.
    """
    for before, after in pairwise(range(len(chain))):
        first, pool = chain[before], chain[after]
        if not isinstance(pool, nn.MaxPool2d):
            continue
        made = isinstance(first, KeptConv2d | Bound) or bool(getattr(first, "inplace", False))
        quick = _quick(pool, over=made) if _halves(pool) else pool
        if isinstance(first, KeptConv2d):
            chain[after] = quick
        elif isinstance(first, Bound | nn.ReLU):
            chain[before], chain[after] = quick, first


def _halves(pool: nn.Module) -> bool:
    """Whether it pools 2x2, or 3x3 at stride 2, without padding."""
    if not isinstance(pool, nn.MaxPool2d) or pool.return_indices:
        return False
    given = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    kernel, *rest = (n if isinstance(n, tuple) else (n, n) for n in given)
    odd = kernel == (3, 3)
    return rest == [(2, 2), (0, 0), (1, 1)] and (odd or (kernel == (2, 2) and not pool.ceil_mode))


def _quick(pool: nn.Module, over: bool) -> Halves:
    kernel, ceil = cast(nn.MaxPool2d, pool).kernel_size, cast(nn.MaxPool2d, pool).ceil_mode
    return Halves(kernel[0] if isinstance(kernel, tuple) else kernel, ceil, over)


@runtime_checkable
class EndsInConvolutions(Protocol):
    """A module whose output is that of convolutions of its own, which it calls in its own way."""

    def last_convolutions(self) -> list[nn.Conv2d]:
        """These; together they give each channel."""


_PRODUCERS = (nn.Conv2d, EndsInConvolutions)
_WATCHED = (*_PRODUCERS, nn.BatchNorm2d, nn.ReLU, nn.Hardtanh)


def _convolutions(producer: nn.Module) -> list[nn.Conv2d]:
    return producer.last_convolutions() if isinstance(producer, EndsInConvolutions) else [cast(nn.Conv2d, producer)]


def _chains(network: nn.Module, run: Callable[[], Any]) -> list[_Chain]:
    """What follows each convolution in the pass."""
    follows = _followers(network, run)
    return [_chain(m, follows) for m in network.modules() if m in follows and isinstance(m, _PRODUCERS)]


def _chain(conv: nn.Module, follows: Mapping[nn.Module, nn.Module]) -> _Chain:
    first = follows[conv]
    second = follows.get(first)
    if type(conv) is nn.Conv2d and type(first) is nn.ReLU and _fixed(second):
        return _Chain(conv, before=first, norm=cast(nn.BatchNorm2d, second))
    if _fixed(first):
        return _Chain(conv, norm=cast(nn.BatchNorm2d, first), after=second if _fuses(conv, second) else None)
    return _Chain(conv, after=first if _fuses(conv, first) else None)


def _fixed(norm: nn.Module | None) -> bool:
    return isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats and not norm.training


def _fuses(conv: nn.Module, activation: nn.Module | None) -> bool:
    return has_post_operation(activation) and (_plain(conv) or isinstance(conv, UpConv))


def _plain(module: nn.Module) -> bool:
    return type(module) in (nn.Conv2d, SameConv2d) and cast(nn.Conv2d, module).padding_mode == "zeros"


def _followers(network: nn.Module, run: Callable[[], Any]) -> dict[nn.Module, nn.Module]:
    """For each convolution, norm and activation the one of them that reads its output, at every call of either."""
    made: dict[int, tuple[nn.Module, Tensor, Tensor]] = {}  # kept, so that none gets another's address
    calls: Counter[nn.Module] = Counter()
    edges: Counter[tuple[nn.Module, nn.Module]] = Counter()

    def about_to(module: nn.Module, given: tuple[Any, ...]) -> None:
        if id(given[0]) not in made:
            return
        producer, output, then = made[id(given[0])]
        if output is given[0] and torch.equal(output, then):  # else an operation in place has changed it
            edges[producer, module] += 1

    def watch(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        calls[module] += 1
        made[id(output)] = module, output, output.clone()

    watched = [m for m in network.modules() if isinstance(m, _WATCHED)]
    hooks = [hook for m in watched for hook in (m.register_forward_pre_hook(about_to), m.register_forward_hook(watch))]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    readers = Counter(producer for producer, _ in edges)
    return {p: m for (p, m), n in edges.items() if n == calls[p] == calls[m] and readers[p] == 1}


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
