"""Ordinal depth: of two points, which lies nearer. The ranking loss, and how often a depth map gets the order wrong.

A relation is +1 where the first point of a pair is nearer, -1 where it is farther, 0 where both are equally far. (The
code of Chen et al. has the opposite sign: +1 means that its first point is farther.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scenewright.errors import InputError

Vector = NDArray[np.floating]
Pairs = tuple[Vector, NDArray[np.integer]]
"""Of one image: first minus second value of each pair (P,), and its relation (P,)."""
THRESHOLDS = np.arange(0.11, 1.505, 0.01)
"""Among these the official code chooses the difference below which two points count as equally far."""


def read_pairs(values: Tensor, points: Tensor) -> Tensor:
    """A map's values at both points of each pair.

    Args:
        values: (B, 1, H, W).
        points: (B, P, 2, 2) int64, (row, column) of both points.

    Returns:
        (B, P, 2)

    Raises:
        InputError: other shapes, or a point outside the map.
    """
    height, width = values.shape[-2:]
    if points.ndim != 4 or points.shape[0] != values.shape[0] or points.shape[2:] != (2, 2):
        raise InputError("points", f"shape {tuple(points.shape)}", f"({values.shape[0]}, P, 2, 2)")
    limit = points.new_tensor([height, width])
    if bool(((points < 0) | (points >= limit)).any()):
        raise InputError("points", "a pair outside the image", f"rows below {height} and columns below {width}")
    index = points[..., 0] * width + points[..., 1]
    return values.flatten(1).gather(1, index.flatten(1)).view_as(index)


def ranking_loss(pairs: Tensor, relation: Tensor) -> Tensor:
    """Loss of every pair (Chen et al. 2016, section 4): log(1 + exp(r (z1 - z2))), and (z1 - z2)^2 for r = 0.

    Args:
        pairs: (..., 2) predicted values, larger = farther.
        relation: (...) +1 the first is nearer, -1 farther, 0 equal.

    Returns:
        (...)
    """
    difference = pairs[..., 0] - pairs[..., 1]
    ranked = F.softplus(relation.to(pairs.dtype) * difference)
    return torch.where(relation == 0, difference.square(), ranked)


def differences(depth: Vector, points: NDArray[np.integer]) -> NDArray[np.float64]:
    """First minus second value of each pair; depth (H, W), points (P, 2, 2) -> (P,)."""
    values = depth.astype(np.float64)[points[..., 0], points[..., 1]]
    return np.asarray(values[:, 0] - values[:, 1])


def whdr(difference: Vector, relation: NDArray[np.integer]) -> float:
    """Share of ordered pairs (relation not 0) that are in the wrong order; a tie is wrong (DIW's measure).

    Raises:
        InputError: no ordered pair.
    """
    ordered = relation != 0
    if not ordered.any():
        raise InputError("relations", "no ordered pair", "some +1 or -1")
    return float(np.mean(np.sign(difference[ordered]) != -relation[ordered]))


def wkdr(difference: Vector, relation: NDArray[np.integer], threshold: float) -> dict[str, float]:
    """Disagreement of one image's pairs (Zoran et al. 2015; Chen et al. 2016, section 5.1).

    Args:
        difference: (P,) first minus second.
        relation: (P,) +1, -1 or 0.
        threshold: differences up to this much count as equal.

    Returns:
        "WKDR" over all pairs, "WKDR_eq" over the equal ones, "WKDR_neq" over the rest; a kind without
        pairs is left out.
    """
    said = np.where(np.abs(difference) > threshold, -np.sign(difference), 0)
    wrong = said != relation
    kinds = {"WKDR": np.ones(len(wrong), bool), "WKDR_eq": relation == 0, "WKDR_neq": relation != 0}
    return {name: float(wrong[kind].mean()) for name, kind in kinds.items() if kind.any()}


def mean_wkdr(images: Iterable[Pairs], threshold: float) -> dict[str, float]:
    """`wkdr` of each image, then the mean over the images; one without pairs of a kind does not count for that kind."""
    scores = [wkdr(difference, relation, threshold) for difference, relation in images]
    kinds = [k for k in ("WKDR", "WKDR_eq", "WKDR_neq") if any(k in s for s in scores)]
    return {k: float(np.mean([s[k] for s in scores if k in s])) for k in kinds}


def choose_threshold(images: Iterable[Pairs]) -> float:
    """The threshold that makes the larger of the mean WKDR_eq and WKDR_neq least; on validation images only.

    Args:
        images: (difference, relation) of each image.

    Raises:
        InputError: there is no equal pair, or no other.
    """
    pairs = list(images)
    for name, kind in (("equal", lambda r: r == 0), ("ordered", lambda r: r != 0)):
        if not any(kind(relation).any() for _, relation in pairs):
            raise InputError("relations", f"no {name} pair", "pairs of both kinds")
    return float(min(THRESHOLDS, key=lambda threshold: _worst(pairs, float(threshold))))


def _worst(pairs: list[Pairs], threshold: float) -> float:
    means = mean_wkdr(pairs, threshold)
    return max(means["WKDR_eq"], means["WKDR_neq"])


def ordinal_figures(depth: Vector, points: NDArray[np.integer], relation: NDArray[np.integer]) -> dict[str, float]:
    """WHDR of one image over all its ordered pairs, over those on one row, and over the others.

    "Lower is nearer" guesses well on random pairs and is chance on one row: there the picture must be looked at.

    Args:
        depth: (H, W), larger = farther, in any scale.
        points: (P, 2, 2) (row, column) of both points; relation: (P,).

    Returns:
        "WHDR", "WHDR same row", "WHDR other rows"; a kind without ordered pairs is left out.
    """
    difference, same = differences(depth, points), points[:, 0, 0] == points[:, 1, 0]
    kinds = {"WHDR": np.ones(len(same), bool), "WHDR same row": same, "WHDR other rows": ~same}
    kinds = {name: kind & (relation != 0) for name, kind in kinds.items()}
    return {name: whdr(difference[kind], relation[kind]) for name, kind in kinds.items() if kind.any()}
