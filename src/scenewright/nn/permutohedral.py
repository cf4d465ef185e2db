"""Gaussian filtering of points in a space of many dimensions, on the permutohedral lattice.

(Adams, Baek & Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.) Values are
spread to the corners of the simplex around each point, blurred along the lattice's directions, and read back: the cost
is linear in the number of points. Everything is gathers and sparse products; nothing loops over points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.errors import InputError


class PermutohedralLattice:
    """The lattice around a set of points.

    Args:
        points: (N, D) float, D from 1 to 8, in units of the Gaussian's standard deviation.
        rings: neighbours of the points' corners that the lattice holds, too, in steps: without them what a blur
            carries over an empty place is lost.

    Raises:
        InputError: another shape, values that are not finite, or points spread too far for the lattice's integers.
    """

    def __init__(self, points: Tensor, rings: int = 1) -> None:
        if points.ndim != 2 or not 1 <= points.shape[1] <= 8 or len(points) == 0 or not points.is_floating_point():
            raise InputError("points", f"{tuple(points.shape)} of {points.dtype}", "(N, 1..8) float")
        if not bool(torch.isfinite(points).all()):
            raise InputError("points", "values that are not finite", "finite points")
        keys, self.weights = _simplices(points.double())
        corners, radix = _codes(keys, rings)
        dimensions = points.shape[1]
        self.steps = [_step(radix, dimensions, axis) for axis in range(dimensions + 1)]
        self.codes = self._grown(torch.unique(corners), rings)
        self.corner = torch.searchsorted(self.codes, corners).reshape(len(points), -1)
        self.neighbours = [(self._find(self.codes + step), self._find(self.codes - step)) for step in self.steps]
        self.weights = self.weights.to(points.dtype)
        self._splat, self._slice = self._sparse(len(points))

    def _grown(self, codes: Tensor, rings: int) -> Tensor:
        for _ in range(rings):
            codes = torch.unique(
                torch.cat([codes, *(codes + step for step in self.steps), *(codes - step for step in self.steps)])
            )
        return codes

    def _find(self, wanted: Tensor) -> Tensor:
        place = torch.searchsorted(self.codes, wanted).clamp(max=len(self.codes) - 1)
        return torch.where(self.codes[place] == wanted, place, len(self.codes))

    def _sparse(self, points: int) -> tuple[Tensor, Tensor]:
        corners = self.corner.shape[1]
        rows = torch.arange(points, device=self.corner.device).repeat_interleave(corners)
        index, values = torch.stack([rows, self.corner.flatten()]), self.weights.flatten()
        size = (points, len(self.codes))
        read = torch.sparse_coo_tensor(index, values, size, check_invariants=False).coalesce()
        return read.t().coalesce(), read

    def filter(self, values: Tensor) -> Tensor:
        """sum_j k(i, j) values_j with k close to exp(-|x_i - x_j|^2 / 2), the point itself included.

        Args:
            values: (N, C).

        Returns:
            (N, C); k is symmetric up to corners that the lattice does not hold.
        """
        spread = torch.sparse.mm(self._splat, values)
        zero = spread.new_zeros(1, spread.shape[1])
        for before, behind in self.neighbours:
            padded = torch.cat([spread, zero])
            spread = spread + 0.5 * (padded[before] + padded[behind])
        return self.scale * torch.sparse.mm(self._slice, spread)

    @property
    def scale(self) -> float:
        """What makes a field of evenly dense points sum up as the Gaussian does.

        A lattice vertex takes (3/2)^(D/2) / sqrt(D + 1) of the space, and the D + 1 blurs double a field each; the
        Gaussian's integral is (2 pi)^(D/2).
        """
        d = self.weights.shape[1] - 1
        return float((4 * torch.pi / 3) ** (d / 2) * (d + 1) ** 0.5 / 2 ** (d + 1))

    def own_share(self) -> Tensor:
        """k(i, i) of every point, (N,): what of a point's filtered value is its own.

        The blurs carry 0.5^m + 0.5^(D+1-m) between corners that are m steps apart, and 1 + 2 * 0.5^(D+1) to itself.
        """
        corners = self.weights.shape[1]
        apart = torch.arange(corners, dtype=self.weights.dtype, device=self.weights.device)
        table = 0.5**apart + 0.5 ** (corners - apart)
        table[0] += 0.5**corners
        steps = torch.arange(corners, device=self.weights.device)
        between = table[(steps[:, None] - steps).abs()]
        return self.scale * torch.einsum("nk,kl,nl->n", self.weights, between, self.weights)


def _simplices(x: Tensor) -> tuple[Tensor, Tensor]:
    """The D + 1 corners around each point and their barycentric weights (section 3.1).

    Returns:
        keys: (N, D + 1, D) int64, the first D coordinates of the corners (all D + 1 sum to 0).
        weights: (N, D + 1), sum 1.
    """
    n, d = x.shape
    lifted = _elevate(x)
    low = (lifted / (d + 1)).round() * (d + 1)  # the nearest point whose coordinates are multiples of D + 1
    excess = (low.sum(1) / (d + 1)).round().long()
    # rank: how many coordinates leave `low` by more; ties go to the first
    rank = torch.argsort(torch.argsort(lifted - low, dim=1, descending=True, stable=True), dim=1, stable=True)
    rank = rank + excess[:, None]  # bring the sum back to 0: the coordinates that strayed least give way
    wrap = (rank < 0).long() - (rank > d).long()
    low, rank = low + (d + 1) * wrap, rank + (d + 1) * wrap
    remainder = (lifted - low) / (d + 1)
    sorted_down = torch.zeros_like(remainder).scatter_(1, rank, remainder)
    weights = x.new_zeros(n, d + 1)
    weights[:, 1:] = (sorted_down[:, :-1] - sorted_down[:, 1:]).flip(1)
    weights[:, 0] = 1 + sorted_down[:, -1] - sorted_down[:, 0]
    corner = torch.arange(d + 1, device=x.device)
    # the k-th corner: `low` plus k, except that the k coordinates of the lowest remainders get k - (D + 1)
    shift = corner[None, :, None] - (d + 1) * (rank[:, None, :] > d - corner[None, :, None]).long()
    return (low.long()[:, None, :] + shift)[..., :d], weights


def _elevate(x: Tensor) -> Tensor:
    """Points (N, D) in the plane of D + 1 coordinates that sum to 0, enlarged so that the blur has deviation 1."""
    d = x.shape[1]
    i = torch.arange(1, d + 1, dtype=x.dtype, device=x.device)
    scaled = x * (2 / 3) ** 0.5 * (d + 1) / (i * (i + 1)).sqrt()
    after = scaled.flip(1).cumsum(1).flip(1)  # sum over j >= i
    first = after[:, :1]
    rest = torch.cat([after[:, 1:], torch.zeros_like(first)], 1) - i * scaled
    return torch.cat([first, rest], 1)


def _codes(keys: Tensor, rings: int) -> tuple[Tensor, Tensor]:
    """Corners as one integer each, and the radix of every coordinate: neighbours, too, keep to their own digits."""
    d = keys.shape[-1]
    flat = keys.reshape(-1, d)
    reach = (d + 1) * (rings + 1)  # a step adds 1 to every coordinate but one, which loses D
    low, high = flat.amin(0) - reach, flat.amax(0) + reach
    span = (high - low + 1).tolist()
    radix, product = [], 1
    for size in span:
        radix.append(product)
        product *= size
    if product >= 2**62:
        raise InputError("points", "a spread too large for the lattice's 62-bit corners", "a larger deviation")
    weight = torch.tensor(radix, device=keys.device)
    return ((flat - low) * weight).sum(1), weight


def _step(radix: Tensor, dimensions: int, axis: int) -> Tensor:
    step = torch.ones(dimensions, dtype=torch.int64, device=radix.device)
    if axis < dimensions:
        step[axis] -= dimensions + 1
    return (step * radix).sum()
