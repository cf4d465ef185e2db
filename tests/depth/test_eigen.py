"""Eigen's error against closed forms, the published sizes and counts, the two stages, where the map's pixels lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scenewright.data.sample import collate
from scenewright.depth.augment import Augmentation, augment
from scenewright.depth.eigen import Eigen, EigenConfig, scale_invariant_error
from scenewright.depth.task import DepthSample
from scenewright.engine import schedule
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from tolerances import close

ALL = torch.ones(2, 1, 5, 6, dtype=torch.bool)


def logs(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(2, 1, 5, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    return a, b


@pytest.mark.parametrize("factor", [0.1, 3.0, 50.0])
def test_full_invariance_does_not_see_the_scale(factor: float) -> None:
    predicted, truth = logs()
    scaled = predicted + torch.tensor(factor, dtype=torch.float64).log()
    before, after = (scale_invariant_error(p - truth, ALL, 1.0) for p in (predicted, scaled))
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)  # the sheet's bound


def test_it_is_half_the_mean_over_all_pairs() -> None:
    """Eq. 3's sum over pairs (i, j) of the squared difference of differences, in linear time."""
    predicted, truth = logs(1)
    d = (predicted - truth).flatten(1)
    pairs = (d[:, :, None] - d[:, None, :]).square().mean((1, 2)) / 2
    close(scale_invariant_error(predicted - truth, ALL, 1.0), pairs)


def test_without_invariance_it_is_the_mean_square() -> None:
    predicted, truth = logs(2)
    close(scale_invariant_error(predicted - truth, ALL, 0.0), (predicted - truth).square().mean((1, 2, 3)))


@given(st.floats(-3, 3), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_constant_offset_costs_its_square_times_one_minus_lambda(offset: float, invariance: float) -> None:
    d = torch.full((2, 1, 5, 6), offset, dtype=torch.float64)
    close(
        scale_invariant_error(d, ALL, invariance), torch.full((2,), offset**2 * (1 - invariance), dtype=torch.float64)
    )


def test_unknown_pixels_change_neither_loss_nor_gradient() -> None:
    predicted, truth = logs(3)
    mask = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    results = []
    for junk in (0.0, 1e6):
        p = torch.where(mask, predicted, junk).requires_grad_()
        value = scale_invariant_error(p - truth, mask, 0.5)
        value.sum().backward()
        assert p.grad is not None
        assert float(p.grad[~mask].abs().max()) == 0
        results.append((value.detach(), p.grad))
    close(results[0][0], results[1][0])
    close(results[0][1], results[1][1])


def test_an_image_without_truth_counts_nothing() -> None:
    d = torch.randn(2, 1, 5, 6).requires_grad_()
    mask = torch.stack([torch.zeros(1, 5, 6, dtype=torch.bool), torch.ones(1, 5, 6, dtype=torch.bool)])
    value = scale_invariant_error(d, mask, 0.5)
    value.sum().backward()
    assert value[0].item() == 0
    assert torch.isfinite(d.grad).all()


def test_the_released_batch_form() -> None:
    predicted, truth = logs(4)
    d = predicted - truth
    close(scale_invariant_error(d, ALL, 0.5, "paircount").mean(), scale_invariant_error(d, ALL, 0.5).mean())
    mask = ALL.clone()
    mask[0, :, :3] = False
    n, s1, s2 = (torch.stack([f(d[b][mask[b]]) for b in (0, 1)]) for f in (count, torch.sum, sum_square))
    expected = (n * s2 - 0.5 * s1.square()).sum() / n.square().sum()
    close(scale_invariant_error(d, mask, 0.5, "paircount").mean(), expected)


def count(x: Tensor) -> Tensor:
    return torch.tensor(float(x.numel()), dtype=x.dtype)


def sum_square(x: Tensor) -> Tensor:
    return x.square().sum()


def test_gradcheck() -> None:
    predicted, truth = logs(5)
    mask = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(1)) > 0.3
    for reduction in ("image", "paircount"):
        assert torch.autograd.gradcheck(
            lambda p, r=reduction: scale_invariant_error(p - truth, mask, 0.5, r), predicted.clone().requires_grad_()
        )


@pytest.mark.parametrize(
    ("config", "count", "grid"),
    [
        (EigenConfig.paper(), 70_877_171, (55, 74)),
        (EigenConfig.kitti(), 90_881_799, (27, 142)),
        (replace(EigenConfig.paper(), fine=(63, 64)), 70_877_171, (55, 74)),
    ],
)
def test_published_counts_and_sizes(config: EigenConfig, count: int, grid: tuple[int, int]) -> None:
    with torch.device("meta"):
        model = Eigen(config)
        assert sum(p.numel() for p in model.parameters()) == count
        width, height = config.input_size
        outputs = model(torch.zeros(2, 3, height, width))
    assert outputs["coarse"].shape == outputs["fine"].shape == (2, 1, *grid)


def test_parts_of_the_paper_s_count() -> None:
    with torch.device("meta"):
        model = Eigen(EigenConfig.paper())
    count = {
        "convolutions": sum(p.numel() for p in model.coarse.features.parameters()),
        "full": sum(p.numel() for n, p in model.coarse.named_parameters() if n.startswith("full")),
        "fine": sum(p.numel() for p in model.fine.parameters()),
    }
    assert count == {"convolutions": 3_747_200, "full": 67_010_534, "fine": 119_437}


def test_local_response_normalisation_is_the_released_one() -> None:
    """y = x (2 + 1e-4 * sum over five channels of x^2)^-0.75; alpha is not divided by the window."""
    from scenewright.depth.eigen import Convolutions

    layer = Convolutions((8, 8, 8, 8, 8), (304, 228)).normalise
    x = 30 * torch.randn(1, 9, 2, 2)
    squares = torch.nn.functional.pad(x.square(), (0, 0, 0, 0, 2, 2))
    window = sum(squares[:, k : k + 9] for k in range(5))
    close(layer(x), x * (2 + 1e-4 * window) ** -0.75)


@pytest.fixture(scope="module")
def small() -> Eigen:
    torch.manual_seed(0)
    return Eigen(EigenConfig.small()).eval()


def test_stage_two_leaves_the_coarse_network_alone(small: Eigen) -> None:
    sample, (coarse, fine) = small.example(2, 0), Eigen.stages("small")
    model = Eigen(EigenConfig.small())
    for stage, moves in ((coarse, "coarse."), (fine, "fine.")):
        schedule.freeze(model, stage)
        model.zero_grad(set_to_none=True)
        model.loss(sample, stage)["depth"].sum().backward()
        assert {n.split(".")[0] + "." for n, p in model.named_parameters() if p.grad is not None} == {moves}


def test_small_trains_the_fine_network_on_the_map_of_test_time(small: Eigen) -> None:
    model, sample = Eigen(EigenConfig.small()).train(), small.example(1, 0)
    first, second = (model._kept_coarse(sample.image)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert model.coarse.training
    dropping = Eigen(replace(EigenConfig.small(), dropout_in_fine=True)).train()
    first, second = (dropping._kept_coarse(sample.image)[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("config", [EigenConfig.paper(), EigenConfig.kitti(), EigenConfig.small()])
def test_map_and_target_lie_on_each_other(config: EigenConfig) -> None:
    """A truth that is linear in the position is its own prediction, where the map reaches."""
    with torch.device("meta"):
        model = Eigen(config)
    width, height = config.input_size
    v, u = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    depth = (2 + 0.01 * u + 0.005 * v)[None, None]
    f = config.canonical_focal_px
    camera = Camera.from_parameters(width, height, f, f, width / 2, height / 2)
    target = model._target(DepthSample(torch.zeros(1, 3, height, width), depth, camera))
    assert target.shape[-2:] == config.grid
    seen = (slice(None), slice(None), slice(config.first[0], -8), slice(config.first[1], -8))
    close(model.enlarge(target, (height, width))[seen], depth[seen])


@pytest.mark.parametrize("seed", range(6))
def test_scale_augmentation_divides_depth_by_the_scale(seed: int) -> None:
    """Section 3.4: depth is divided by a picture's enlargement s. Here its camera tells, and metres stay."""
    with torch.device("meta"):
        model = Eigen(EigenConfig.small())
    source = Camera.from_parameters(192, 144, 150, 150, 95.5, 71.5)
    share = np.random.default_rng(seed).uniform(1 / 1.5, 1)  # the paper's s from 1 to 1.5
    how = Augmentation((192, 144), zoom=(share, share), roll_deg=0, photometric=0)
    picture, depth = np.zeros((144, 192, 3), np.uint8), np.full((144, 192), 3.0, np.float32)
    item = collate([augment(picture, depth, None, source, how, np.random.default_rng(seed))])
    expected = 3.0 / (150 / 172.8) * share
    close(model._target(item), torch.full((1, 1, 36, 48), expected))


def test_prediction_has_the_images_size_and_follows_the_focal_length(small: Eigen) -> None:
    image = torch.rand(2, 3, 50, 81)
    near = small.predict(image, Camera.from_parameters(81, 50, 60, 60, 40, 25)).depth_m
    far = small.predict(image, Camera.from_parameters(81, 50, 120, 120, 40, 25)).depth_m
    assert near.shape == (2, 1, 50, 81)
    assert float(near.min()) > 0
    close(far, 2 * near)


def test_the_untrained_network_says_the_mean_depth(small: Eigen) -> None:
    """The output starts at the mean log depth of the canonical camera."""
    camera = Camera.from_parameters(192, 144, 172.8, 172.8, 96, 72)
    depth = small.predict(torch.rand(1, 3, 144, 192), camera).depth_m
    assert float(depth.log().mean()) == pytest.approx(0.44, abs=0.1)


def test_another_size_is_refused_by_the_raw_network(small: Eigen) -> None:
    with pytest.raises(InputError, match="192x144: fully connected"):
        small(torch.rand(1, 3, 144, 208))


def test_only_a_trunk_can_be_loaded(small: Eigen) -> None:
    with pytest.raises(InputError, match="trunk"):
        small.load_trunk({})
    with torch.device("meta"):
        paper = Eigen(EigenConfig.paper())
    with pytest.raises(InputError, match="the paper's own convolutions"):
        paper.load_trunk({})
    features = Eigen(EigenConfig.small()).coarse.features
    small.load_trunk(features.trunk.state_dict())
    close(small.coarse.features.trunk._conv_stem.weight, features.trunk._conv_stem.weight)
