"""Nearest neighbours between two images' descriptors: Euclidean for floats, Hamming for bit strings."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.features.task import Features, Matches

_BLOCK = 2048
"""Rows of floats that are compared at a time, so that memory stays bounded."""


def distances(first: Tensor, second: Tensor) -> Tensor:
    """(N, D) and (M, D) -> (N, M) Euclidean distances of float descriptors, Hamming distances of uint8 ones."""
    if first.dtype == torch.uint8:
        a, b = first.numpy(), second.numpy()
        rows = [np.bitwise_count(row ^ b).sum(1, dtype=np.float32) for row in a]
        return torch.from_numpy(np.array(rows, np.float32).reshape(len(a), len(b)))
    return torch.cdist(first, second)


def _hamming(first: Tensor, second: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """OpenCV's distances to the `count` nearest, and their rows."""
    a, b = (np.ascontiguousarray(x.numpy()) for x in (first, second))
    if not len(a) or not count:
        return torch.zeros(len(a), count), torch.zeros(len(a), count, dtype=torch.int64)
    far, rows = cv2.batchDistance(a, b, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=count)
    return torch.from_numpy(far).float(), torch.from_numpy(rows).long()


def nearest(first: Tensor, second: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """Distances (N, K) and rows (N, K) of the K = min(count, M) nearest of `second` (M, D), nearest first."""
    count = min(count, len(second))
    if first.dtype == torch.uint8:
        return _hamming(first, second, count)
    blocks = [torch.cdist(block, second).topk(count, largest=False) for block in first.split(_BLOCK)]
    return torch.cat([b.values for b in blocks]), torch.cat([b.indices for b in blocks])


def match(
    first: Features, second: Features, ratio: float | None = None, mutual: bool = True, farthest: float = np.inf
) -> Matches:
    """Nearest-neighbour matches.

    Args:
        first, second: described features of the same kind.
        ratio: keep a match only where the nearest is closer than `ratio` times the second nearest (Lowe 2004, 7.1).
        mutual: keep a match only where each is the other's nearest.
        farthest: and only where the two are not farther apart than this.

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
    far, rows = nearest(a, b, 2)
    best, rival = far[:, 0], far[:, 1] if far.shape[1] > 1 else torch.full((len(a),), torch.inf)
    keep = best <= farthest
    if ratio is not None:
        keep &= best.double() < ratio * rival.double()
    chosen = keep.nonzero()[:, 0]
    if mutual and len(chosen):
        chosen = chosen[nearest(b[rows[chosen, 0]], a)[1][:, 0] == chosen]
    share = best[chosen] / rival[chosen].clamp(min=1e-9)
    return Matches(torch.stack([chosen, rows[chosen, 0]], 1), 1 - share)


def _descriptors(features: Features, name: str) -> Tensor:
    if features.descriptors is None:
        raise InputError(f"{name} features", "no descriptors", "described keypoints")
    return features.descriptors
