"""Layers of a network that will not be trained any more: what `nn.inference.prepare` puts in the place of trained ones.

Under autocast a convolution's kernels are cast, and laid out for the processor, at every call: here this is done once.
An activation behind a convolution is computed while the output is still in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.nn.conv import SameConv2d, same_window
from scenewright.nn.upprojection import UpConv

_FUSED: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
"""What torch's own compiler calls on processors: a convolution by packed kernels and what follows it."""


class _Kept(nn.Module):
    """Parameters that change no more, in each of the types that the layer was called in."""

    weight: Tensor
    bias: Any
    _kept: dict[torch.dtype, tuple[Tensor, Tensor | None]]

    def _keep(self, trained: nn.Conv2d | nn.Linear) -> None:
        self.weight, self.bias, self._kept = trained.weight.requires_grad_(False), trained.bias, {}

    def _cast(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Input, kernels and bias in autocast's type where that is on, else in the kernels'."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        if x.dtype != dtype:
            x = x.to(dtype)
        if dtype not in self._kept:
            self._kept[dtype] = (
                self._laid_out(self.weight.to(dtype), x),
                None if self.bias is None else self.bias.to(dtype),
            )
        return x, *self._kept[dtype]

    def _laid_out(self, weight: Tensor, x: Tensor) -> Tensor:
        return weight

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._kept = {}
        return super()._apply(fn, recurse)


class KeptLinear(_Kept, nn.Linear):
    """A fully connected layer as it was trained."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        self._keep(linear)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        return F.linear(*self._cast(x))


class KeptConv2d(_Kept, nn.Conv2d):
    """A convolution as it was trained, and the activation that follows it. No gradient reaches its input.

    Args:
        conv: plain, or with TensorFlow's "same" padding.
        after: the activation, one that `has_post_operation`; None where none follows.
    """

    def __init__(self, conv: nn.Conv2d, after: nn.Module | None = None) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, cast(Any, conv.kernel_size), cast(Any, conv.stride),
            cast(Any, conv.padding), cast(Any, conv.dilation), conv.groups, conv.bias is not None, device="meta",
        )  # fmt: skip
        self._keep(conv)
        self.after, self._post_operation = after, _post_operation(after)
        self.same = isinstance(conv, SameConv2d) and conv.stride != (1, 1)
        if isinstance(conv, SameConv2d) and not self.same:
            self.padding = (conv.kernel_size[0] // 2,) * 2

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution and the activation."""
        if not self.same:
            return self._convolve(x, self.padding)
        padding, (rows, columns) = same_window(x.shape[-2:], self.kernel_size[0], self.stride[0])
        return self._convolve(x, padding)[..., rows, columns]

    def _convolve(self, x: Tensor, padding: Any) -> Tensor:
        x, weight, bias = self._cast(x)
        if not weight.is_mkldnn:
            y = F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)
            return y if self.after is None else cast(Tensor, self.after(y))
        made: Tensor = _FUSED(
            x, weight, bias, padding, self.stride, self.dilation, self.groups, *self._post_operation, ""
        )
        return made

    def _laid_out(self, weight: Tensor, x: Tensor) -> Tensor:
        """In the processor's own layout: the best for the first input's size, right for all."""
        if isinstance(self.padding, str) or not _takes_packed(x):
            return weight
        stride, padding, dilation = list(self.stride), list(self.padding), list(self.dilation)
        reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
        packed: Tensor = reorder(weight.to_mkldnn(), padding, stride, dilation, self.groups, list(x.shape))  # type: ignore[call-arg]
        return packed


def _post_operation(after: nn.Module | None) -> tuple[str, list[float]]:
    """An activation in oneDNN's terms, its name and numbers."""
    if isinstance(after, nn.Hardtanh):  # also ReLU6
        return "hardtanh", [after.min_val, after.max_val]
    return "none" if after is None else "relu", []


def has_post_operation(after: nn.Module | None) -> bool:
    """Whether a kept convolution can compute the activation itself."""
    return isinstance(after, nn.Hardtanh) or type(after) is nn.ReLU


def _takes_packed(x: Tensor) -> bool:
    """Whether oneDNN convolves such tensors by packed kernels."""
    if x.device.type != "cpu" or _FUSED is None or not torch.backends.mkldnn.is_available():
        return False
    bf16 = x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return bool(bf16) or x.dtype == torch.float32


class KeptUpConv(nn.Sequential):
    """An up-convolution and the activation that follows it: its packed kernels, then pixels in their places."""

    def __init__(self, up: UpConv, after: nn.Module | None = None) -> None:
        weight, bias = up.packed()
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, device="meta")
        conv.weight, conv.bias = (nn.Parameter(values.detach(), False) for values in (weight, bias))
        super().__init__(KeptConv2d(conv, after), nn.PixelShuffle(2))


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
    """Max pooling at stride 2 without padding, by rows, then columns, in whole vectors.

    Args:
        kernel: 2, or 3.
        ceil: whether a last window may reach beyond the map (`ceil_mode`); always false for 2.
        over: whether it may write over what it is given; a kernel of 3, whose windows overlap, never does.
    """

    def __init__(self, kernel: int, ceil: bool, over: bool) -> None:
        super().__init__()
        self.kernel, self.ceil, self.over = kernel, ceil, over and kernel == 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2) for a kernel of 2, else as `nn.MaxPool2d` has it."""
        return self._along(self._along(x, -2), -1)

    def _along(self, x: Tensor, dim: int) -> Tensor:
        size = (x.shape[dim] - self.kernel + self.ceil) // 2 + 1
        first, second, *third = (_every_second(x, dim, start, size) for start in range(self.kernel))
        maxima = torch.maximum(first, second, out=first if self.over else None)
        for values in third:
            part = maxima.narrow(dim, 0, values.shape[dim])  # what the last window lacks
            torch.maximum(part, values, out=part)
        return maxima


def _every_second(x: Tensor, dim: int, start: int, most: int) -> Tensor:
    """At most so many of start, start + 2 ... along a dimension."""
    indices = slice(start, start + 2 * most, 2)
    return x[..., indices, :] if dim == -2 else x[..., indices]
