"""Plain convolutional blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def conv_relu(channels: int, out: int, batch_norm: bool = False) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size, ReLU, and batch norm behind it where asked for."""
    layers: list[nn.Module] = [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
    return [*layers, nn.BatchNorm2d(out)] if batch_norm else layers


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: an odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        if self.stride == (1, 1):
            return F.conv2d(x, self.weight, self.bias, 1, self.kernel_size[0] // 2, 1, self.groups)
        padding, (rows, columns) = same_window(x.shape[-2:], self.kernel_size[0], self.stride[0])
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)[..., rows, columns]


def same_window(size: Sequence[int], kernel: int, stride: int) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """(Rows, columns) of padding alike on both sides, and the ranges of the output to keep, that give TensorFlow's
    uneven "same" for an input of (height, width).

    Cutting the small output is cheaper than padding the large input.
    """
    (top, rows), (left, columns) = (_same(n, kernel, stride) for n in size)
    return (top, left), (rows, columns)


def _same(size: int, kernel: int, stride: int) -> tuple[int, slice]:
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + kernel - size)
    first = total % 2  # uneven: begin one stride earlier, and drop that output
    return total // 2 + first * stride, slice(first, first + out)
