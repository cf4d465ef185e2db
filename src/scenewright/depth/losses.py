"""Objectives on depth maps. Every function takes a mask and returns one value per item, (B,)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_RAREST = 5.0
"""The most a rare class is weighted up."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (B, ...) where `mask` (B, ...) holds, per item: (B,); 0 for an item with no valid pixel."""
    weight = mask.to(values.dtype)
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)


def berhu(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Reverse Huber loss (Laina et al. 2016, eq. 2): |x| up to c, (x^2 + c^2) / 2c beyond.

    c is a fifth of the largest valid error of the whole batch, a constant for the gradient.

    Args:
        prediction, target, mask: (B, 1, H, W); mask is bool.

    Returns:
        (B,)
    """
    error = (prediction - target).abs()
    c = 0.2 * torch.where(mask, error, 0).max().detach()
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


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over known pixels, rare classes of the batch weighted up by the root of how rare they are.

    (Eigen & Fergus, ICCV 2015, section 5.2, balance by frequency itself; the root keeps a handful of pixels of one
    class from ruling the step.)

    Args:
        logits: (B, C, H, W).
        labels: (B, H, W) int64, 0 = unknown, which never counts.

    Returns:
        (B,)
    """
    counts = labels.flatten().bincount(minlength=logits.shape[1]).to(logits.dtype)
    counts[0] = 0
    present = counts > 0
    mean_count = counts.sum() / present.sum().clamp(min=1)
    weight = torch.where(present, (mean_count / counts.clamp(min=1)).sqrt().clamp(max=_RAREST), 0)
    weight = weight * counts.sum() / (weight * counts).sum().clamp(min=1)  # a mean of 1 over the known pixels
    values = F.cross_entropy(logits, labels, reduction="none", ignore_index=0)
    return masked_mean(values * weight[labels], labels > 0)
