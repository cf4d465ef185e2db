"""Nearest neighbours between two images' descriptors, in blocks so that memory stays bounded."""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.features.task import Features, Matches

_BLOCK = 2048
_BITS = torch.tensor([bin(i).count("1") for i in range(256)], dtype=torch.uint8)


def distances(first: Tensor, second: Tensor) -> Tensor:
    """(N, D) and (M, D) -> (N, M) Euclidean distances of float descriptors, Hamming distances of uint8 ones."""
    if first.dtype == torch.uint8:
        return torch.stack([_BITS[(row ^ second).long()].sum(1) for row in first]).float()
    return torch.cdist(first, second)


def nearest_two(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (N, 2) and rows (N, 2) of the two nearest neighbours in `second`; with a single row there, the second
    distance is infinite."""
    found, rows = [], []
    for start in range(0, len(first), _BLOCK):
        block = distances(first[start : start + _BLOCK], second)
        if block.shape[1] < 2:
            block = torch.nn.functional.pad(block, (0, 2 - block.shape[1]), value=torch.inf)
        values, indices = block.topk(2, largest=False)
        found.append(values)
        rows.append(indices)
    return torch.cat(found), torch.cat(rows)


def match(first: Features, second: Features, ratio: float | None = None, mutual: bool = True) -> Matches:
    """Nearest-neighbour matches.

    Args:
        first, second: described features of the same kind.
        ratio: keep a match only where the nearest is closer than `ratio` times the second nearest (Lowe 2004, 7.1).
        mutual: keep a match only where each is the other's nearest.

    Returns:
        Matches in the order of the first image; score = 1 - nearest / second nearest.

    Raises:
        InputError: features without descriptors, or of different kinds.
    """
    a, b = _descriptors(first, "first"), _descriptors(second, "second")
    if a.dtype != b.dtype or a.shape[1] != b.shape[1]:
        raise InputError("descriptors", f"{a.dtype} x {a.shape[1]} and {b.dtype} x {b.shape[1]}", "two of one kind")
    if len(a) == 0 or len(b) == 0:
        return Matches(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0))
    two, rows = nearest_two(a, b)
    share = two[:, 0] / two[:, 1].clamp(min=1e-9)
    keep = torch.ones(len(a), dtype=torch.bool) if ratio is None else share < ratio
    if mutual:
        back = nearest_two(b, a)[1][:, 0]
        keep &= back[rows[:, 0]] == torch.arange(len(a))
    chosen = keep.nonzero()[:, 0]
    return Matches(torch.stack([chosen, rows[chosen, 0]], 1), 1 - share[chosen])


def _descriptors(features: Features, name: str) -> Tensor:
    if features.descriptors is None:
        raise InputError(f"{name} features", "no descriptors", "described keypoints")
    return features.descriptors
