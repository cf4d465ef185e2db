"""Up-projections: residual blocks that double a map's size, without multiplying the zeros between its pixels.

(FCRN: Laina et al., 3DV 2016; also Kuznietsov et al., CVPR 2017.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pad = Literal["bottomright", "topleft"]


class UpConv(nn.Module):
    """2x unpooling followed by a 5x5 convolution, without multiplying the zeros (FCRN, section 3.2, figure 3).

    The 5x5 kernel falls apart into a 3x3, a 2x3, a 3x2 and a 2x2 that each see only real pixels; their outputs
    interleave. `pad="bottomright"` equals the 5x5 exactly; `"topleft"` is how the released NYU weights were trained.

    In eval mode and without gradients the packed kernels are kept between calls: 1.44 times the parameters' memory.
    They are packed again when a kernel was replaced, moved, loaded or changed in place (not through `.data`).
    """

    def __init__(self, channels: int, out: int, pad: Pad = "bottomright") -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(channels, out, (3, 3))  # even rows, even columns
        self.conv_b = nn.Conv2d(channels, out, (2, 3))  # odd rows, even columns
        self.conv_c = nn.Conv2d(channels, out, (3, 2))  # even rows, odd columns
        self.conv_d = nn.Conv2d(channels, out, (2, 2))  # odd rows, odd columns
        self.zeros = (0, 1) if pad == "topleft" else (1, 0)
        self._kept: tuple[object, tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        weight, bias = self.packed() if self.training or torch.is_grad_enabled() else self._packed_once(x.device.type)
        return F.pixel_shuffle(F.conv2d(x, weight, bias, padding=1), 2)

    def _packed_once(self, device: str) -> tuple[Tensor, Tensor]:
        """`packed` in the type that the convolution computes in, made anew only when a parameter has changed."""
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.conv_a.weight.dtype
        state = (dtype, *((p.data_ptr(), -1 if p.is_inference() else p._version) for p in self.parameters()))
        if self._kept is None or self._kept[0] != state:
            weight, bias = self.packed()
            self._kept = state, (weight.to(dtype), bias.to(dtype))
        return self._kept[1]

    def last_convolutions(self) -> list[nn.Conv2d]:
        """What a batch norm behind goes into."""
        return [self.conv_a, self.conv_b, self.conv_c, self.conv_d]

    def train(self, mode: bool = True) -> UpConv:
        """As every module's; training gives the packed kernels' memory back."""
        self._kept = None if mode else self._kept
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> UpConv:
        self._kept = None  # moved or converted: an address may come again with other values
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._kept = None
        super()._load_from_state_dict(*arguments)

    def packed(self) -> tuple[Tensor, Tensor]:
        """The four kernels filled up with zeros to 3x3, in pixel shuffle's order: one call is faster than four."""
        z = self.zeros
        a, b = self.conv_a.weight, F.pad(self.conv_b.weight, (0, 0, *z))
        c, d = F.pad(self.conv_c.weight, (*z, 0, 0)), F.pad(self.conv_d.weight, (*z, *z))
        biases = [conv.bias for conv in (self.conv_a, self.conv_c, self.conv_b, self.conv_d)]
        return torch.stack([a, c, b, d], 1).flatten(0, 1), torch.stack(biases, 1).flatten()  # type: ignore[arg-type]


def unpool_conv5x5(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The up-convolution as the paper states it: zeros between the pixels, then a 5x5 convolution.

    (B, C, H, W) with weight (C', C, 5, 5) -> (B, C', 2H, 2W). The yardstick that `UpConv` must equal.
    """
    unpooled = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    unpooled[..., ::2, ::2] = x
    return F.conv2d(unpooled, weight, bias, padding=2)


class UpProjection(nn.Module):
    """Two up-convolutions, the first refined by a 3x3, added as a residual (FCRN, figure 2c).

    Args:
        eps: of the batch norms.
        bias: whether the 3x3 has one.
    """

    def __init__(
        self, channels: int, out: int, pad: Pad = "bottomright", *, eps: float = 1e-4, bias: bool = True
    ) -> None:
        super().__init__()
        self.up1 = UpConv(channels, out, pad)
        self.bn1 = nn.BatchNorm2d(out, eps=eps)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(out, out, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(out, eps=eps)
        self.up2 = UpConv(channels, out, pad)
        self.bn3 = nn.BatchNorm2d(out, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        branch1 = self.bn2(self.conv(self.relu1(self.bn1(self.up1(x)))))
        return F.relu(branch1 + self.bn3(self.up2(x)), inplace=True)
