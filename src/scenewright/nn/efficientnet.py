"""EfficientNet-Lite0: EfficientNet-B0 (Tan & Le, ICML 2019) without squeeze-and-excitation and with ReLU6.

Parameter names follow the published PyTorch files, so that ImageNet weights load by name.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scenewright.nn.conv import SameConv2d


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_EPS = 1e-3  # TensorFlow's, under which the weights were trained


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise, project 1x1, with a shortcut where shapes allow."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = channels * expand
        self._expand_conv = nn.Conv2d(channels, middle, 1, bias=False) if expand > 1 else None
        self._bn0 = nn.BatchNorm2d(middle, eps=_EPS) if expand > 1 else None
        self._relu0 = nn.ReLU6(inplace=True)
        self._depthwise_conv = SameConv2d(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = nn.BatchNorm2d(middle, eps=_EPS)
        self._relu1 = nn.ReLU6(inplace=True)
        self._project_conv = nn.Conv2d(middle, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=_EPS)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = self._relu0(self._bn0(self._expand_conv(y)))
        y = self._relu1(self._bn1(self._depthwise(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y

    def _depthwise(self, x: Tensor) -> Tensor:
        """Depthwise layers stay in float32: their bf16 backward pass is 2.5 to 6 times slower on CPUs."""
        trains = torch.is_grad_enabled() and (x.requires_grad or self._depthwise_conv.weight.requires_grad)
        if not trains or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return self._depthwise_conv(x)
        with torch.autocast("cpu", enabled=False):
            return self._depthwise_conv(x.float())


class EfficientNetLite0(nn.Module):
    """The trunk without its classifier. Input: RGB in [-1, 1] ((x - 127) / 128 of 0..255)."""

    CHANNELS = (16, 24, 40, 112, 320)
    """Channels of the maps that `forward` returns, at strides 2, 4, 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_EPS)
        self._relu0 = nn.ReLU6(inplace=True)
        blocks, channels = [], 32
        self._taps = []
        for index, stage in enumerate(_STAGES):
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(channels, stage.channels, stage.kernel, stride, stage.expand))
                channels = stage.channels
            if index + 1 == len(_STAGES) or _STAGES[index + 1].stride == 2:
                self._taps.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W) -> five maps at strides 2, 4, 8, 16, 32, sizes rounded up."""
        x = self._relu0(self._bn0(self._conv_stem(x)))
        maps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self._taps:
                maps.append(x)
        return maps
