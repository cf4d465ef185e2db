"""A fully connected CRF over the pixels of a picture, with Gaussian pairwise potentials, solved by mean field.

(Kraehenbuehl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.) It
serves any labelling: bins of depth, where far labels cost more than near ones, and semantic classes.

    E(x) = sum_i U_i(x_i) + sum_{i<j} Delta(x_i, x_j) k(i, j)
    k(i, j) = w1 exp(-|p_i - p_j|^2 / 2 s_a^2 - |I_i - I_j|^2 / 2 s_b^2) + w2 exp(-|p_i - p_j|^2 / 2 s_g^2)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.errors import InputError
from scenewright.nn.permutohedral import PermutohedralLattice

DENSE_PIXELS = 4096
"""Up to so many pixels the exact kernel matrix (64 MiB in float32) is faster than the lattice."""


@dataclass(frozen=True)
class CRFConfig:
    """Potentials and inference.

    Args:
        bilateral_weight, bilateral_px, bilateral_colour: w1, s_a in pixels, s_b in 0..255 RGB.
        smooth_weight, smooth_px: w2, s_g in pixels.
        compatibility: Delta: "linear" |l - l'|, cut at `cut`, or "potts" (1 for different labels).
        cut: the largest linear cost in labels; 0 = none.
        normalize: "none" = the kernels as they stand, "symmetric" = D^-1/2 K D^-1/2: weights then do not depend on how
            many pixels lie within a deviation.
        iterations, damping: of the mean field; damping 0 takes each update as it is, 0.5 half of it.
        rings: of the lattice (see `PermutohedralLattice`): 0 is three times faster, 1 three times closer.
    """

    bilateral_weight: float = 0.5
    bilateral_px: float = 6.0
    bilateral_colour: float = 10.0
    smooth_weight: float = 0.05
    smooth_px: float = 1.5
    compatibility: Literal["linear", "potts"] = "linear"
    cut: float = 0.0
    normalize: Literal["none", "symmetric"] = "symmetric"
    iterations: int = 5
    damping: float = 0.0
    rings: int = 1

    def __post_init__(self) -> None:
        positive = (self.bilateral_px, self.bilateral_colour, self.smooth_px)
        weights = (self.bilateral_weight, self.smooth_weight, self.cut)
        if min(positive) <= 0 or min(*weights, self.iterations, self.rings) < 0 or not 0 <= self.damping < 1:
            raise InputError("CRF", repr(self), "deviations > 0, weights >= 0, iterations >= 0, damping in [0, 1)")


class Kernel(Protocol):
    """k(i, j) between different pixels, as a linear map."""

    def __call__(self, values: Tensor) -> Tensor:
        """values (N, L) -> sum over j != i of k(i, j) values_j, (N, L)."""


class DenseKernel:
    """The exact kernel as a matrix, for few pixels: the reference.

    Args:
        features: (N, D) in units of the deviation.
    """

    def __init__(self, features: Tensor) -> None:
        f = features.double()
        square = f.square().sum(1)
        distance = (square[:, None] + square - 2 * f @ f.T).clamp(min=0)  # float64: the difference of large numbers
        self.matrix = torch.exp(-distance / 2).fill_diagonal_(0).to(features.dtype)

    def __call__(self, values: Tensor) -> Tensor:
        return self.matrix @ values


class LatticeKernel:
    """The kernel on the permutohedral lattice, for many pixels.

    The lattice's own shape is not quite Gaussian: one factor makes the row sums of up to 256 evenly spread pixels
    exact on average.

    Args:
        features: (N, D) in units of the deviation.
        rings: see `PermutohedralLattice`.
    """

    def __init__(self, features: Tensor, rings: int = 1) -> None:
        self.lattice = PermutohedralLattice(features, rings)
        self.own = self.lattice.own_share()[:, None]
        ones = features.new_ones(len(features), 1)
        chosen = torch.linspace(0, len(features) - 1, min(256, len(features)), device=features.device).long()
        exact = torch.exp(-torch.cdist(features[chosen], features).square() / 2).sum() - len(chosen)
        found = (self.lattice.filter(ones) - self.own)[chosen].sum()
        self.factor = float((exact / found).clamp(0.25, 4)) if float(found) > 1e-6 else 1.0

    def __call__(self, values: Tensor) -> Tensor:
        return self.factor * (self.lattice.filter(values) - self.own * values)


class SpatialKernel:
    """The kernel of positions alone: a separable Gaussian blur, cut at four deviations.

    Args:
        size: (H, W) of the picture whose pixels, row by row, are the N values.
        sigma_px: the deviation.
    """

    def __init__(self, size: tuple[int, int], sigma_px: float, like: Tensor) -> None:
        self.size = size
        radius = min(int(4 * sigma_px) + 1, max(size) - 1)
        steps = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
        self.taps = torch.exp(-steps.square() / (2 * sigma_px**2))

    def __call__(self, values: Tensor) -> Tensor:
        x, radius = values.T.reshape(-1, 1, *self.size), len(self.taps) // 2
        x = F.conv2d(x, self.taps.view(1, 1, -1, 1), padding=(radius, 0))
        x = F.conv2d(x, self.taps.view(1, 1, 1, -1), padding=(0, radius))
        return x.reshape(values.shape[1], -1).T - values


class Symmetric:
    """D^-1/2 K D^-1/2 with D the row sums of K, the pixel itself (k = 1) included."""

    def __init__(self, kernel: Kernel, like: Tensor) -> None:
        self.kernel = kernel
        sums = kernel(like.new_ones(len(like), 1))
        self.root = (1 + sums.clamp(min=0)).rsqrt()

    def __call__(self, values: Tensor) -> Tensor:
        return self.root * self.kernel(self.root * values)


class Sum:
    """The weighted sum of kernels."""

    def __init__(self, parts: list[tuple[float, Kernel]]) -> None:
        self.parts = [(weight, kernel) for weight, kernel in parts if weight > 0]

    def __call__(self, values: Tensor) -> Tensor:
        return sum((weight * kernel(values) for weight, kernel in self.parts), torch.zeros_like(values))


def pixel_features(image: Tensor, px: float, colour: float | None) -> Tensor:
    """(H W, 2 or 5): position / px and, with `colour`, RGB / colour, of an image (3, H, W) in 0..255."""
    _, height, width = image.shape
    v, u = torch.meshgrid(
        torch.arange(height, dtype=image.dtype, device=image.device),
        torch.arange(width, dtype=image.dtype, device=image.device),
        indexing="ij",
    )
    parts = [u / px, v / px] + ([] if colour is None else list(image / colour))
    return torch.stack([p.flatten() for p in parts], 1)


def picture_kernel(image: Tensor, config: CRFConfig, method: Literal["auto", "dense", "lattice"] = "auto") -> Kernel:
    """The pairwise kernel of a picture (3, H, W) in 0..255; "auto" is exact where that is affordable."""
    height, width = image.shape[-2:]
    dense = method == "dense" or (method == "auto" and height * width <= DENSE_PIXELS)
    features = pixel_features(image, config.bilateral_px, config.bilateral_colour)
    bilateral: Kernel = DenseKernel(features) if dense else LatticeKernel(features, config.rings)
    smooth: Kernel = SpatialKernel((height, width), config.smooth_px, image)
    if config.normalize == "symmetric":
        bilateral, smooth = Symmetric(bilateral, features), Symmetric(smooth, features)
    return Sum([(config.bilateral_weight, bilateral), (config.smooth_weight, smooth)])


def compatibility(labels: int, config: CRFConfig, like: Tensor) -> Tensor:
    """Delta (L, L), the cost of two labels side by side."""
    steps = torch.arange(labels, dtype=like.dtype, device=like.device)
    apart = (steps[:, None] - steps).abs()
    if config.compatibility == "potts":
        return (apart > 0).to(like.dtype)
    return apart.clamp(max=config.cut) if config.cut else apart


def mean_field(unary: Tensor, kernel: Kernel, delta: Tensor, iterations: int, damping: float = 0.0) -> Tensor:
    """Q after parallel updates Q_i(l) = softmax_l(-U_i(l) - sum_l' Delta(l, l') sum_{j != i} k(i, j) Q_j(l')).

    These usually settle in a few iterations, but may oscillate where weights are large: then damp.

    Args:
        unary: U (N, L).
        kernel: between the N pixels.
        delta: (L, L).

    Returns:
        (N, L), rows sum to 1.
    """
    q = torch.softmax(-unary, 1)
    for _ in range(iterations):
        update = torch.softmax(-unary - kernel(q) @ delta, 1)
        q = damping * q + (1 - damping) * update
    return q


def sequential_mean_field(unary: Tensor, matrix: Tensor, delta: Tensor, sweeps: int) -> Iterator[Tensor]:
    """Q after each update of one pixel, in turn: the free energy then never rises. For tests and tiny pictures.

    Args:
        unary: (N, L); matrix: k (N, N) with a zero diagonal; delta: (L, L).
    """
    q = torch.softmax(-unary, 1)
    for _ in range(sweeps):
        for i in range(len(q)):
            q = q.clone()
            q[i] = torch.softmax(-unary[i] - matrix[i] @ q @ delta, 0)
            yield q


def free_energy(q: Tensor, unary: Tensor, kernel: Kernel, delta: Tensor) -> Tensor:
    """F = sum_i sum_l Q_i(l) (U_i(l) + log Q_i(l)) + sum_{i<j} sum_{l,l'} Q_i(l) Q_j(l') Delta k(i, j); >= -log Z."""
    own = (q * unary + torch.special.xlogy(q, q)).sum()
    return own + 0.5 * (q * (kernel(q) @ delta)).sum()


def refine(
    unary: Tensor, image: Tensor, config: CRFConfig, method: Literal["auto", "dense", "lattice"] = "auto"
) -> Tensor:
    """Marginals of the CRF of every picture of a batch.

    Args:
        unary: (B, L, H, W), -log of the probability of each label.
        image: (B, 3, H, W) RGB in 0..255.
        method: how the bilateral kernel is applied.

    Returns:
        (B, L, H, W) probabilities.

    Raises:
        InputError: shapes that do not fit.
    """
    if unary.ndim != 4 or image.shape != (unary.shape[0], 3, *unary.shape[2:]):
        found = f"unary {tuple(unary.shape)}, image {tuple(image.shape)}"
        raise InputError("CRF", found, "(B, L, H, W) and (B, 3, H, W)")
    _, labels, height, width = unary.shape
    delta = compatibility(labels, config, unary)
    marginals = []
    with torch.autocast(unary.device.type, enabled=False):
        for u, picture in zip(unary.float(), image.float(), strict=True):
            kernel = picture_kernel(picture, config, method)
            flat = u.reshape(labels, -1).T.contiguous()
            q = mean_field(flat, kernel, delta.float(), config.iterations, config.damping)
            marginals.append(q.T.reshape(labels, height, width))
    return torch.stack(marginals)
