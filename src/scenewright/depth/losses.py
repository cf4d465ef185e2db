"""Objectives on depth maps. Every function takes a mask and returns one value per item, (B,)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (B, ...) where `mask` (B, ...) holds, per item: (B,); 0 for an item with no valid pixel."""
    weight = mask.to(values.dtype)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)


def berhu(prediction: Tensor, target: Tensor, mask: Tensor, *, per_item: bool = False) -> Tensor:
    """Reverse Huber loss (Laina et al. 2016, eq. 2): |x| up to c, (x^2 + c^2) / 2c beyond.

    c is a fifth of the largest valid error, a constant for the gradient.

    Args:
        prediction, target, mask: (B, 1, H, W); mask is bool.
        per_item: the largest error of each item instead of the whole batch's (the papers').

    Returns:
        (B,)
    """
    error = (prediction - target).abs()
    valid = torch.where(mask, error, 0).detach()
    c = 0.2 * (valid.amax((1, 2, 3), keepdim=True) if per_item else valid.max())
    safe = c.clamp(min=torch.finfo(error.dtype).tiny)
    values = torch.where(error <= c, error, (error.square() + c.square()) / (2 * safe))
    return masked_mean(torch.where(c > 0, values, error), mask)


def multi_scale_gradient(error: Tensor, mask: Tensor, scales: int = 4) -> Tensor:
    """Mean |difference| of neighbouring log errors at strides 1, 2, 4 ...: sharp where the truth is, smooth elsewhere.

    (Li & Snavely, "MegaDepth", CVPR 2018, eq. 4.)

    Args:
        error, mask: (B, 1, H, W).

    Returns:
        (B,), the mean over the scales.
    """
    total = error.new_zeros(error.shape[0])
    for scale in range(scales):
        e, m = error[..., :: 2**scale, :: 2**scale], mask[..., :: 2**scale, :: 2**scale]
        total = total + masked_mean((e[..., 1:] - e[..., :-1]).abs(), m[..., 1:] & m[..., :-1])
        total = total + masked_mean((e[..., 1:, :] - e[..., :-1, :]).abs(), m[..., 1:, :] & m[..., :-1, :])
    return total / scales


def laplace_nll(error: Tensor, log_scale: Tensor, mask: Tensor) -> Tensor:
    """Negative log likelihood of `error` under a Laplace density of scale exp(log_scale), without its constant.

    (Kendall & Gal, NeurIPS 2017, section 3, with L1.) All (B, 1, H, W) -> (B,).
    """
    return masked_mean(error.abs() * torch.exp(-log_scale) + log_scale, mask)


def label_cross_entropy(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy over the known pixels of each sample, each class weighted.

    Args:
        logits: (B, C, H, W).
        labels: (B, H, W) int64, 0 = unknown, which never counts.
        weight: (C,) of each class, the same for every batch, so that a sample's term never depends on its neighbours.

    Returns:
        (B,)
    """
    values = F.cross_entropy(logits, labels, reduction="none", ignore_index=0)
    return masked_mean(values * weight.to(values)[labels], labels > 0)


def ssim_dissimilarity(first: Tensor, second: Tensor) -> Tensor:
    """(1 - SSIM) / 2 in [0, 1] of every 3x3 neighbourhood, box-weighted (Godard et al. 2017, section 3.3).

    Not kornia's loss, whose window is Gaussian.

    Args:
        first, second: (B, C, H, W) in [0, 1].

    Returns:
        (B, C, H - 2, W - 2)
    """
    moments = torch.cat([first, second, first * first, second * second, first * second], 1)
    mean_a, mean_b, aa, bb, ab = F.avg_pool2d(moments, 3, 1).chunk(5, 1)
    squares, product = mean_a * mean_a + mean_b * mean_b, mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * product + c1) * (2 * (ab - product) + c2) / ((squares + c1) * (aa + bb - squares + c2))
    return ((1 - ssim) / 2).clamp(0, 1)


def photometric(image: Tensor, rebuilt: Tensor, alpha: float = 0.85) -> Tensor:
    """How unlike the picture its reconstruction is: alpha SSIM term + (1 - alpha) L1 (Godard et al., eq. 2).

    The two means run over different pixels: the SSIM term has no border. Both (B, C, H, W) in [0, 1] -> (B,).
    """
    structure = ssim_dissimilarity(image, rebuilt).flatten(1).mean(1)
    return alpha * structure + (1 - alpha) * (image - rebuilt).abs().flatten(1).mean(1)


def edge_aware_smoothness(values: Tensor, image: Tensor, axes: Literal["xy", "x_only"] = "xy") -> Tensor:
    """Mean |gradient of a map|, weighted down by exp(-mean_c |gradient of the picture|) (Godard et al., eq. 3).

    Args:
        values: (B, 1, H, W) disparity or inverse depth.
        image: (B, C, H, W) in [0, 1].
        axes: "xy", or "x_only": what the released code of Monodepth computes.

    Returns:
        (B,), the sum of the means along x and along y.
    """
    total = values.new_zeros(len(values))
    for axis in (-1, -2) if axes == "xy" else (-1,):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (values.diff(dim=axis).abs() * torch.exp(-edge)).flatten(1).mean(1)
    return total
