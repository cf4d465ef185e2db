"""Plain convolutional blocks."""

from __future__ import annotations

from torch import nn


def conv_relu(channels: int, out: int, batch_norm: bool = False) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size, ReLU, and batch norm behind it where asked for."""
    layers: list[nn.Module] = [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
    return [*layers, nn.BatchNorm2d(out)] if batch_norm else layers
