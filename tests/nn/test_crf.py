"""The CRF against brute force over all labellings of tiny pictures, and its fast kernels against the exact matrix."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.nn.crf import (
    CRFConfig,
    DenseKernel,
    LatticeKernel,
    SpatialKernel,
    Sum,
    Symmetric,
    compatibility,
    free_energy,
    mean_field,
    picture_kernel,
    pixel_features,
    refine,
    sequential_mean_field,
)
from tolerances import close

PLAIN = CRFConfig(0.6, 2.0, 60.0, 0.3, 1.0, normalize="none")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 255 * torch.rand(3, height, width, generator=generator, dtype=torch.float64)


def smooth_picture(height: int, width: int) -> Tensor:
    """Shading with two edges and a little grain, as pictures have."""
    v, u = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    base = torch.stack([90 + 60 * u, 120 + 40 * v, 60 + 50 * u * v])
    base[:, v + 0.3 * u > 0.8] -= 50
    base[:, :, : width // 4] += 60
    return base + 3 * torch.randn(3, height, width, generator=torch.Generator().manual_seed(0))


def tiny(seed: int = 0, labels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """U (6, 3), k (6, 6), Delta (3, 3) of a picture of 2x3 pixels."""
    unary = 1.5 * torch.rand(6, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    matrix = picture_kernel(picture(2, 3, seed), PLAIN, "dense")(torch.eye(6, dtype=torch.float64))
    return unary, matrix, compatibility(labels, PLAIN, unary)


def energies(unary: Tensor, matrix: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Every labelling (L^N, N) and its energy, pairs counted once."""
    n, labels = unary.shape
    states = torch.tensor(list(itertools.product(range(labels), repeat=n)))
    own = unary[torch.arange(n), states].sum(1)
    pairs = (delta[states[:, :, None], states[:, None, :]] * matrix).sum((1, 2)) / 2
    return states, own + pairs


def as_kernel(matrix: Tensor) -> DenseKernel:
    kernel = DenseKernel(torch.zeros(len(matrix), 1, dtype=matrix.dtype))
    kernel.matrix = matrix
    return kernel


def test_kernel_is_the_stated_one() -> None:
    image = picture(2, 3)
    matrix = picture_kernel(image, PLAIN, "dense")(torch.eye(6, dtype=torch.float64))
    colours, places = image.reshape(3, -1).T, torch.tensor([(u, v) for v in range(2) for u in range(3)]).double()
    for i, j in itertools.product(range(6), repeat=2):
        p, c = (places[i] - places[j]).square().sum(), (colours[i] - colours[j]).square().sum()
        expected = 0.6 * torch.exp(-p / (2 * 2.0**2) - c / (2 * 60.0**2)) + 0.3 * torch.exp(-p / 2)
        close(matrix[i, j], expected if i != j else torch.zeros((), dtype=torch.float64))


@pytest.mark.parametrize("seed", range(5))
def test_sequential_updates_never_raise_the_free_energy_above_minus_log_z(seed: int) -> None:
    unary, matrix, delta = tiny(seed)
    kernel = as_kernel(matrix)
    log_z = (-energies(unary, matrix, delta)[1]).logsumexp(0)
    values = [free_energy(torch.softmax(-unary, 1), unary, kernel, delta)]
    values += [free_energy(q, unary, kernel, delta) for q in sequential_mean_field(unary, matrix, delta, 6)]
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(values))
    assert float(values[0] - values[-1]) > 1e-3
    assert float(values[-1]) >= float(-log_z)


def test_free_energy_of_independent_pixels_is_minus_log_z() -> None:
    unary, matrix, delta = tiny()
    q = torch.softmax(-unary, 1)
    close(free_energy(q, unary, as_kernel(0 * matrix), delta), unary.neg().logsumexp(1).sum().neg())


@pytest.mark.parametrize("seed", range(5))
def test_marginals_are_near_those_of_all_labellings(seed: int) -> None:
    unary, matrix, delta = tiny(seed)
    weak = 0.3 * matrix
    states, energy = energies(unary, weak, delta)
    p = (-energy).softmax(0)
    exact = torch.stack([torch.stack([p[states[:, i] == label].sum() for label in range(3)]) for i in range(6)])
    q = mean_field(unary, as_kernel(weak), delta, 30)
    assert float((q - exact).abs().max()) < 0.05
    assert torch.equal(q.argmax(1), exact.argmax(1))
    independent = torch.softmax(-unary, 1)
    assert float((q - exact).abs().sum()) < 0.5 * float((independent - exact).abs().sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_best_labelling_is_found_where_the_pairs_are_weak(seed: int) -> None:
    unary, matrix, delta = tiny(seed)
    states, energy = energies(unary, 0.02 * matrix, delta)
    assert torch.equal(mean_field(unary, as_kernel(0.02 * matrix), delta, 20).argmax(1), states[energy.argmin()])


def test_parallel_and_sequential_settle_on_the_same_marginals() -> None:
    unary, matrix, delta = tiny(1)
    *_, last = sequential_mean_field(unary, 0.5 * matrix, delta, 60)
    close(mean_field(unary, as_kernel(0.5 * matrix), delta, 200, damping=0.5), last)


def test_damping_tames_what_oscillates() -> None:
    """Two pixels of opposite opinion that should agree: each takes over the other's, again and again."""
    unary = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    delta = compatibility(2, replace(PLAIN, compatibility="potts"), unary)
    pair = as_kernel(8 * (1 - torch.eye(2, dtype=torch.float64)))
    wild = [mean_field(unary, pair, delta, n) for n in (40, 41)]
    tame = [mean_field(unary, pair, delta, n, damping=0.8) for n in (200, 201)]
    assert float((wild[0] - wild[1]).abs().max()) > 0.5
    close(tame[0], tame[1])


def test_without_weights_the_unary_stays() -> None:
    unary = torch.rand(2, 5, 6, 8)
    off = replace(PLAIN, bilateral_weight=0.0, smooth_weight=0.0)
    close(refine(unary, torch.rand(2, 3, 6, 8) * 255, off), (-unary).softmax(1))


@pytest.mark.parametrize(("normalize", "error"), [("none", 0.05), ("symmetric", 0.03)])
def test_lattice_is_close_to_the_exact_kernel(normalize: str, error: float) -> None:
    image = smooth_picture(48, 64)
    features = pixel_features(image, 8.0, 20.0)
    exact, fast = DenseKernel(features), LatticeKernel(features)
    if normalize == "symmetric":
        exact, fast = Symmetric(exact, features), Symmetric(fast, features)
    place = torch.arange(20.0) - image[0].reshape(-1, 1) / 15
    q = torch.softmax(-place.square(), 1)
    expected = exact(q)
    assert float((fast(q) - expected).norm() / expected.norm()) < error


def test_separable_blur_is_the_exact_kernel_of_positions() -> None:
    image = picture(9, 12)
    values = torch.rand(108, 4, dtype=torch.float64)
    exact = DenseKernel(pixel_features(image, 2.0, None))(values)
    # cut at four deviations: exp(-8) of a tap is missing
    torch.testing.assert_close(SpatialKernel((9, 12), 2.0, image)(values), exact, rtol=2e-3, atol=1e-3)


def test_symmetric_rows_sum_to_about_one() -> None:
    features = pixel_features(smooth_picture(24, 32), 8.0, 20.0)
    sums = Symmetric(DenseKernel(features), features)(torch.ones(768, 1))
    assert 0.7 < float(sums.median()) < 1.05


def test_sum_leaves_out_what_has_no_weight() -> None:
    matrix = torch.rand(4, 4)
    total = Sum([(2.0, as_kernel(matrix)), (0.0, as_kernel(matrix * float("nan")))])
    close(total(torch.eye(4)), 2 * matrix)


def test_compatibilities() -> None:
    like = torch.zeros(())
    assert compatibility(4, PLAIN, like)[0].tolist() == [0, 1, 2, 3]
    assert compatibility(4, replace(PLAIN, cut=2.0), like)[0].tolist() == [0, 1, 2, 2]
    assert compatibility(3, replace(PLAIN, compatibility="potts"), like).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("method", ["dense", "lattice"])
def test_noise_goes_and_the_edge_of_the_picture_becomes_the_edge_of_the_labels(method: str) -> None:
    """A fifth of the pixels say anything, and the labels' border is blurred: the colours know where it is."""
    generator = torch.Generator().manual_seed(0)
    height, width, labels = 30, 40, 12
    image = 60 + 2 * torch.randn(1, 3, height, width, generator=generator)
    image[..., 17:] += 80
    truth = torch.full((height, width), 2)
    truth[:, 17:] = 8
    blurred = 2 + 6 * torch.sigmoid((torch.arange(width) - 16.5) / 1.5).expand(height, width)
    salt = torch.rand(height, width, generator=generator) < 0.2
    seen = torch.where(salt, torch.randint(0, labels, (height, width), generator=generator), blurred)
    steps = torch.arange(labels, dtype=torch.float32)[:, None, None]
    unary = ((steps - seen).square() / 4)[None]
    config = CRFConfig(3.0, 12.0, 12.0, 0.5, 1.5, cut=5.0)
    found = refine(unary, image, config, method)[0].argmax(0)
    before, after = ((x - truth).abs().float().mean() for x in (unary[0].argmin(0), found))
    assert float(after) < 0.7 * float(before)  # the sheet's bound
    edge = (found[:, 1:] - found[:, :-1]).abs().argmax(1)
    assert float((edge - 16).abs().float().quantile(0.9)) <= 1


def test_marginals_are_distributions_and_batches_do_not_mix() -> None:
    unary, image = 3 * torch.rand(2, 4, 10, 12), 255 * torch.rand(2, 3, 10, 12)
    both = refine(unary, image, PLAIN)
    close(both.sum(1), torch.ones(2, 10, 12))
    close(refine(unary[1:], image[1:], PLAIN), both[1:])


def test_shapes_and_settings_are_checked() -> None:
    with pytest.raises(InputError, match=r"unary \(1, 4, 10, 12\), image \(1, 3, 10, 11\)"):
        refine(torch.rand(1, 4, 10, 12), torch.rand(1, 3, 10, 11), PLAIN)
    for wrong in ({"smooth_px": 0.0}, {"bilateral_weight": -1.0}, {"damping": 1.0}, {"iterations": -1}):
        with pytest.raises(InputError, match="CRF"):
            replace(PLAIN, **wrong)
