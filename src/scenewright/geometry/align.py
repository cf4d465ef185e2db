"""Bringing an estimate of free scale or frame onto the truth before it is measured."""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.checks import check_shape
from scenewright.geometry.lie import motion, nearest_rotation

STRAIGHT = 1e-10
"""Ratio of the two largest spreads (squared) below which points count as lying on one line."""


def umeyama(source: Tensor, target: Tensor, with_scale: bool = True, weights: Tensor | None = None) -> Tensor:
    """The similarity, or motion, that brings points onto their partners with least squared error.

    R = nearest rotation to the cross-covariance, s = <R, Sigma> / var(source), t = mean_target - s R mean_source
    (Umeyama, PAMI 1991, eqs. 40-42). Computed in float64, returned in the type of `source`.

    Args:
        source, target: (..., N, 3), N >= 3.
        with_scale: True for Sim(3), False for SE(3).
        weights: (..., N) >= 0.

    Returns:
        S_target_source: (..., 4, 4).

    Raises:
        InputError: fewer than three pairs, values that are not finite, or points on a line (a straight path fixes no
            rotation: align its first pose instead).
    """
    check_shape("target", target, *source.shape)
    if source.ndim < 2 or source.shape[-1] != 3 or source.shape[-2] < 3:
        raise InputError("points", f"shape {tuple(source.shape)}", "(..., N, 3) with at least three points")
    x, y = source.double(), target.double()
    w = torch.ones_like(x[..., 0]) if weights is None else weights.double()
    w = (w / w.sum(-1, keepdim=True))[..., None]
    if not bool((torch.isfinite(x) & torch.isfinite(y) & torch.isfinite(w)).all()):
        raise InputError("points", "values that are not finite", "finite points, and weights that do not all vanish")
    mean_x, mean_y = (w * x).sum(-2), (w * y).sum(-2)
    x, y = x - mean_x[..., None, :], y - mean_y[..., None, :]
    covariance = (w * y).mT @ x
    spread = torch.linalg.svdvals(covariance.detach())
    if not bool((spread[..., 1] > STRAIGHT * spread[..., 0]).all()):
        raise InputError(
            "points", "points on one line", "points that fix a rotation; align a straight path by its start"
        )
    R = nearest_rotation(covariance)
    scale = (R * covariance).sum((-2, -1)) / (w * x * x).sum((-2, -1)) if with_scale else torch.ones_like(R[..., 0, 0])
    sR = scale[..., None, None] * R
    return motion(sR, mean_y - (sR @ mean_x[..., None])[..., 0]).to(source.dtype)


def median_scale(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """(B,): median(truth) / median(prediction) over each item's valid pixels (SfMLearner's per-image scaling).

    Args:
        prediction, truth: (B, ...).
        valid: (B, ...) bool.

    Raises:
        InputError: an item without a valid pixel.
    """
    _check_valid(prediction, truth, valid)
    nan = torch.tensor(torch.nan, dtype=truth.dtype, device=truth.device)
    middle = [torch.nanquantile(torch.where(valid, x, nan).flatten(1), 0.5, dim=1) for x in (truth, prediction)]
    return middle[0] / middle[1]


def least_squares_scale(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """(B,): the s of least sum (s prediction - truth)^2, sum(p g) / sum(p p), over each item's valid pixels."""
    _check_valid(prediction, truth, valid)
    p, g = (torch.where(valid, x, 0).flatten(1) for x in (prediction, truth))
    return (p * g).sum(1) / (p * p).sum(1)


def _check_valid(prediction: Tensor, truth: Tensor, valid: Tensor) -> None:
    check_shape("prediction", prediction, *truth.shape)
    check_shape("valid", valid, *truth.shape)
    if not bool(valid.flatten(1).any(1).all()):
        raise InputError("valid", "an item without any valid pixel", "at least one per item")
