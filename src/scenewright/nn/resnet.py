"""Bottleneck ResNet trunks (He et al., CVPR 2016), in Caffe's, in torchvision's and in TensorFlow's form.

They differ where a block strides (on its first 1x1 or on its 3x3), in the padding of the first convolution and
pooling, in a bias of the first convolution and in the epsilon of batch norm. Parameter names are torchvision's.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.errors import InputError
from scenewright.nn.conv import SameConv2d

Variant = Literal["caffe", "torchvision", "tensorflow"]
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; the output has four times `width` channels."""

    def __init__(self, channels: int, width: int, stride: int, variant: Variant, dilation: int = 1) -> None:
        super().__init__()
        first, second = (1, stride) if variant == "torchvision" else (stride, 1)
        eps = _eps(variant)
        self.conv1 = nn.Conv2d(channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width, eps=eps)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, second, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=eps)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width, eps=eps)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width, eps=eps)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 width, ceil(H / stride), ceil(W / stride))."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A trunk without its classifier.

    Args:
        depth: 50, 101 or 152.
        variant: "caffe", "torchvision" or "tensorflow" (Kuznietsov et al. 2017).
        output_stride: 32, 16 or 8. Below 32 the last groups keep their resolution and dilate their 3x3 convolutions
            instead, so that the weights stay valid; the first block of a group keeps the dilation of the group
            before (torchvision's `replace_stride_with_dilation`).
    """

    CHANNELS = (64, 256, 512, 1024, 2048)
    """Channels of the maps that `forward` returns, at strides 2, 4, 8, 16, 32."""

    def __init__(self, depth: int = 50, variant: Variant = "torchvision", output_stride: int = 32) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise InputError("output stride", output_stride, "8, 16 or 32")
        self.variant = variant
        same = variant == "tensorflow"
        self.conv1 = SameConv2d(3, 64, 7, 2, bias=False) if same else nn.Conv2d(3, 64, 7, 2, 3, bias=variant == "caffe")
        self.bn1 = nn.BatchNorm2d(64, eps=_eps(variant))
        self.relu1 = nn.ReLU(inplace=True)
        channels, layers = 64, []
        for index, repeats in enumerate(BLOCKS[depth]):
            width, blocks = 64 * 2**index, []
            before, dilation = (max(1, 4 * 2**i // output_stride) for i in (index - 1, index))
            stride = 2 if index > 0 and dilation == 1 else 1
            for repeat in range(repeats):
                blocks.append(
                    Bottleneck(channels, width, stride, variant, before)
                    if repeat == 0
                    else Bottleneck(channels, width, 1, variant, dilation)
                )
                channels = 4 * width
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W), normalised as the weights ask -> five maps at strides 2, 4, 8, 16, 32.

        No stride is larger than the output stride.
        """
        maps = [self.relu1(self.bn1(self.conv1(x)))]
        x = self._pool(maps[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps

    def _pool(self, x: Tensor) -> Tensor:
        if self.variant == "torchvision":
            return F.max_pool2d(x, 3, 2, 1)
        if self.variant == "caffe":
            return F.max_pool2d(x, 3, 2, 0, ceil_mode=True)  # the odd row and column at the bottom and right
        height, width = (n % 2 for n in x.shape[-2:])  # "same": two more for odd sizes, one for even ones
        return F.max_pool2d(F.pad(x, (width, 1, height, 1)), 3, 2)  # of rectified maps, so that zeros change nothing


def _eps(variant: Variant) -> float:
    return {"caffe": 1e-4, "torchvision": 1e-5, "tensorflow": 1e-8}[variant]
