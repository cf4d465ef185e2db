"""Losses against closed forms and finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.depth.losses import (
    berhu,
    edge_aware_smoothness,
    label_cross_entropy,
    laplace_nll,
    masked_mean,
    multi_scale_gradient,
    photometric,
    ssim_dissimilarity,
)
from tolerances import close

ALL = torch.ones(1, 1, 1, 5, dtype=torch.bool)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def test_berhu_by_hand() -> None:
    """c = 0.2 * 10 = 2: errors 0.5, 1, 2 are L1, 4 and 10 are (x^2 + 4) / 4."""
    loss = berhu(row(0.5, 1, 2, 4, 10), torch.zeros(1, 1, 1, 5, dtype=torch.float64), ALL)
    close(loss, torch.tensor([(0.5 + 1 + 2 + 5 + 26) / 5], dtype=torch.float64))


@given(st.lists(st.floats(-20, 20), min_size=5, max_size=5))
@settings(max_examples=50, deadline=None)
def test_berhu_is_at_least_l1(errors: list[float]) -> None:
    prediction = row(*errors)
    assert float(berhu(prediction, torch.zeros_like(prediction), ALL)) >= float(prediction.abs().mean()) - 1e-12


def test_berhu_is_continuous_with_slope_one_at_c() -> None:
    step = 1e-6
    base = row(2, 10, 0, 0, 0)  # c = 2
    zero = torch.zeros_like(base)
    values = [float(berhu(base + d * row(1, 0, 0, 0, 0), zero, ALL)) * 5 for d in (-step, 0.0, step)]
    assert values[1] - values[0] == pytest.approx(step, rel=1e-4)
    assert values[2] - values[1] == pytest.approx(step, rel=1e-4)


def test_berhu_threshold_is_the_batchs_and_ignores_invalid_pixels() -> None:
    prediction = torch.cat([row(1, 1, 1, 1, 1), row(10, 0, 0, 0, 0)])
    zero = torch.zeros_like(prediction)
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    assert float(berhu(prediction, zero, mask)[0]) == pytest.approx(1.0)  # c = 2: L1
    mask[1, ..., 0] = False
    assert float(berhu(prediction, zero, mask)[0]) == pytest.approx((1 + 0.04) / 0.4)  # c = 0.2


def test_berhu_of_a_perfect_batch_has_finite_gradient() -> None:
    prediction = row(1, 2, 3, 4, 5).requires_grad_()
    berhu(prediction, prediction.detach().clone(), ALL).sum().backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_berhu_gradient_matches_differences_with_c_held() -> None:
    target = row(0, 0, 0, 0, 0)
    prediction = row(0.3, 1.5, 3.0, -6.0, 10.0).requires_grad_()
    berhu(prediction, target, ALL).sum().backward()
    expected = row(1, 1, 3.0 / 2, -6.0 / 2, 10.0 / 2) / 5  # d/dx (x^2 + c^2) / 2c = x / c
    close(prediction.grad, expected)


def test_multi_scale_gradient_of_a_constant_error_is_zero_and_of_a_ramp_is_its_slope() -> None:
    mask = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    assert float(multi_scale_gradient(torch.full((1, 1, 32, 32), 3.0), mask)) == 0
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    close(multi_scale_gradient(ramp, mask), torch.tensor([(1 + 2 + 4 + 8) / 4.0]))


def test_gradient_never_crosses_a_hole() -> None:
    error = torch.zeros(1, 1, 1, 8)
    error[..., 4:] = 100
    mask = torch.ones(1, 1, 1, 8, dtype=torch.bool)
    mask[..., 4] = False
    assert float(multi_scale_gradient(error, mask, scales=1)) == 0


def test_laplace_likelihood_is_least_at_the_mean_absolute_error() -> None:
    error = row(1, -2, 3, -4, 5)
    best = math.log(3.0)
    values = [float(laplace_nll(error, torch.full_like(error, best + d), ALL)) for d in (-0.1, 0.0, 0.1)]
    assert values[1] < values[0]
    assert values[1] < values[2]
    assert values[1] == pytest.approx(1 + best)


def test_losses_gradcheck() -> None:
    torch.manual_seed(0)
    mask = torch.rand(2, 1, 9, 9) > 0.3
    x = torch.randn(2, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    s = torch.randn(2, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: multi_scale_gradient(a, mask, 3), x)
    assert torch.autograd.gradcheck(lambda a, b: laplace_nll(a, b, mask), (x, s))


def test_unknown_labels_do_not_count() -> None:
    logits = torch.randn(1, 12, 2, 2)
    labels = torch.tensor([[[3, 0], [0, 0]]])
    expected = -logits[0, :, 0, 0].log_softmax(0)[3]
    close(label_cross_entropy(logits, labels, torch.ones(12)), expected[None])
    assert float(label_cross_entropy(logits, torch.zeros_like(labels), torch.ones(12))) == 0


def test_label_weights_are_of_the_class_and_not_of_the_batch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 12, 2, 3), torch.randint(1, 12, (2, 2, 3))
    weight = torch.rand(12) + 0.5
    plain = -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    expected = (weight[labels] * plain).mean((1, 2))
    close(label_cross_entropy(logits, labels, weight), expected)
    close(label_cross_entropy(logits[:1], labels[:1], weight), expected[:1])


def test_masked_mean_of_nothing_is_zero() -> None:
    close(
        masked_mean(torch.ones(2, 3), torch.tensor([[True, True, False], [False, False, False]])),
        torch.tensor([1.0, 0.0]),
    )


def test_ssim_against_the_definition_in_one_window() -> None:
    a, b = torch.rand(1, 1, 3, 3, dtype=torch.float64), torch.rand(1, 1, 3, 3, dtype=torch.float64)
    va, vb = a.var(unbiased=False), b.var(unbiased=False)
    cov = ((a - a.mean()) * (b - b.mean())).mean()
    c1, c2 = 1e-4, 9e-4
    ssim = (2 * a.mean() * b.mean() + c1) * (2 * cov + c2) / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (va + vb + c2))
    close(ssim_dissimilarity(a, b).flatten(), ((1 - ssim) / 2).reshape(1))


def test_photometric_of_equal_pictures_is_zero_and_of_flat_ones_by_hand() -> None:
    a = torch.rand(2, 3, 8, 9, dtype=torch.float64)
    close(photometric(a, a), torch.zeros(2, dtype=torch.float64))
    black, white = torch.zeros(1, 3, 5, 5, dtype=torch.float64), torch.ones(1, 3, 5, 5, dtype=torch.float64)
    ssim = 1e-4 / (1 + 1e-4)  # no variance: only the means' factor is left
    close(photometric(black, white), torch.tensor([0.85 * (1 - ssim) / 2 + 0.15], dtype=torch.float64))


def test_smoothness_equals_kornia_s_and_knows_its_axes() -> None:
    from kornia.losses import inverse_depth_smoothness_loss

    disparity, image = torch.rand(1, 1, 7, 9, dtype=torch.float64), torch.rand(1, 3, 7, 9, dtype=torch.float64)
    close(edge_aware_smoothness(disparity, image)[0], inverse_depth_smoothness_loss(disparity, image))
    ramp = torch.arange(7.0).view(1, 1, 7, 1).expand(1, 1, 7, 9)
    assert float(edge_aware_smoothness(ramp, image.float(), "x_only")) == 0
    assert float(edge_aware_smoothness(ramp, image.float(), "xy")) > 0.3
    assert float(edge_aware_smoothness(torch.full((1, 1, 7, 9), 3.0), image.float())) == 0


def test_a_step_at_a_full_edge_costs_exp_minus_one() -> None:
    step = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    close(edge_aware_smoothness(step, step.expand(1, 3, 1, 2), "x_only"), torch.tensor([math.exp(-1)]))


def test_photometric_losses_gradcheck() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(1, 2, 5, 6, dtype=torch.float64), torch.rand(1, 2, 5, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: photometric(a, x), b.requires_grad_())
    disparity = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: edge_aware_smoothness(d, a), disparity)
