"""The lattice against the definition: it is the plane it says it is, and its filter is nearly the Gaussian's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scenewright.errors import InputError
from scenewright.nn.permutohedral import PermutohedralLattice, _elevate, _simplices
from tolerances import close


def points(count: int, dimensions: int, spread: float = 1.5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(count, dimensions, generator=generator, dtype=torch.float64)


def gaussian(x: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(x, x).square() / 2)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_elevation_is_an_enlargement_into_the_plane(d: int) -> None:
    x = points(40, d)
    lifted = _elevate(x)
    close(lifted.sum(1), torch.zeros(40, dtype=torch.float64))
    close((lifted[1:] - lifted[0]).norm(dim=1), (x[1:] - x[0]).norm(dim=1) * (d + 1) * (2 / 3) ** 0.5)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_corners_enclose_the_point(d: int) -> None:
    """Barycentric weights are shares, and bring the corners back to the point."""
    x = points(200, d, seed=1)
    keys, weights = _simplices(x)
    assert float(weights.min()) >= -1e-12
    close(weights.sum(1), torch.ones(200, dtype=torch.float64))
    close((weights[..., None] * keys).sum(1), _elevate(x)[:, :d])


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_corners_are_lattice_points(d: int) -> None:
    """All coordinates of a corner, the left-out last one included, leave the same remainder by D + 1: 0 to D."""
    keys, _ = _simplices(points(100, d, seed=2))
    whole = torch.cat([keys, -keys.sum(-1, keepdim=True)], -1)
    remainder = whole % (d + 1)
    assert (remainder == torch.arange(d + 1)[None, :, None]).all()


@pytest.mark.parametrize(("d", "error"), [(1, 0.02), (2, 0.03), (3, 0.04), (5, 0.09)])
def test_filter_is_nearly_gaussian(d: int, error: float) -> None:
    x = points(400, d)
    values = torch.rand(400, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = gaussian(x) @ values
    assert float((PermutohedralLattice(x).filter(values) - exact).norm() / exact.norm()) < error


@pytest.mark.parametrize(("d", "slack"), [(1, 1e-9), (2, 1e-9), (3, 0.06), (5, 0.06)])
def test_own_share_is_the_diagonal(d: int, slack: float) -> None:
    """Exact where one ring holds every way of the blur from a corner to another of the same simplex."""
    x = points(60, d, seed=4)
    lattice = PermutohedralLattice(x)
    matrix = lattice.filter(torch.eye(60, dtype=torch.float64))
    assert float((matrix.diagonal() - lattice.own_share()).abs().max()) < slack


def test_rings_keep_what_the_blur_carries_over_gaps() -> None:
    x = points(200, 5)
    values = torch.ones(200, 1, dtype=torch.float64)
    exact = gaussian(x) @ values
    errors = [float((PermutohedralLattice(x, rings).filter(values) - exact).norm() / exact.norm()) for rings in (0, 1)]
    assert errors[1] < errors[0] / 3


def test_far_clusters_do_not_see_each_other() -> None:
    x = points(50, 3, 0.5)
    x[25:] += 40
    matrix = PermutohedralLattice(x).filter(torch.eye(50, dtype=torch.float64))
    assert float(matrix[:25, 25:].abs().max()) == 0


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_it_is_linear_and_positive(seed: int) -> None:
    lattice = PermutohedralLattice(points(30, 3, seed=seed))
    a, b = torch.rand(2, 30, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    close(lattice.filter(a + 2 * b), lattice.filter(a) + 2 * lattice.filter(b))
    assert float(lattice.filter(a).min()) >= 0


def test_moving_all_points_by_whole_cells_changes_nothing() -> None:
    """A lattice vector is D + 1 steps of an axis in the plane: (D + 1) e_i - e_j ... here found by elevating back."""
    x = points(30, 2)
    basis = _elevate(torch.eye(2, dtype=torch.float64))[:, :2]
    step = torch.linalg.solve(basis.T, torch.tensor([3.0, 0.0], dtype=torch.float64))  # 3 = D + 1
    values = torch.rand(30, 1, dtype=torch.float64)
    close(PermutohedralLattice(x + step).filter(values), PermutohedralLattice(x).filter(values))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3), r"found \(3,\)"),
        (torch.zeros(0, 2), r"found \(0, 2\)"),
        (torch.zeros(4, 9), r"found \(4, 9\)"),
        (torch.zeros(4, 2, dtype=torch.int64), "int64"),
        (torch.full((4, 2), float("nan")), "not finite"),
        (1e12 * torch.rand(4, 5, dtype=torch.float64), "too large"),
    ],
)
def test_unusable_points_are_refused(bad: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PermutohedralLattice(bad)
