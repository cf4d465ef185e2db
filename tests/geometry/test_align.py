"""Alignment recovers what was done to the points, and refuses what fixes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from geometry_cases import F64, rand
from scenewright.errors import InputError
from scenewright.geometry.align import least_squares_scale, median_scale, umeyama
from scenewright.geometry.lie import se3_exp, sim3_exp, sim3_scale, transform
from tolerances import close


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(3, 30), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_what_was_done_is_found(batch, count, seed):
    points = rand(*batch, count, 3, seed=seed)
    for exp, size, with_scale in ((sim3_exp, 7, True), (se3_exp, 6, False)):
        S = exp(rand(*batch, size, seed=seed + 1))
        moved = points @ S[..., :3, :3].mT + S[..., None, :3, 3]
        close(umeyama(points, moved, with_scale), S)
    close(umeyama(points, points * -1, False)[..., 3, :], umeyama(points, points)[..., 3, :])


def test_noisy_points_agree_with_scipy_and_no_neighbour_is_better():
    x, y = rand(40, 3), 1.7 * rand(40, 3) + 0.1 * rand(40, 3, seed=2)
    S = umeyama(x, y)
    rotation, _ = Rotation.align_vectors((y - y.mean(0)).numpy(), (x - x.mean(0)).numpy())
    close(S[:3, :3] / sim3_scale(S), torch.from_numpy(rotation.as_matrix()))
    best = (transform(S, x) - y).square().sum()
    for seed in range(20):
        other = sim3_exp(0.02 * rand(7, seed=seed)) @ S
        assert float((transform(other, x) - y).square().sum()) > float(best)


def test_a_mirror_image_still_gets_a_rotation():
    x = rand(20, 3)
    S = umeyama(x, x * torch.tensor([-1.0, 1, 1], dtype=F64))
    assert float(torch.linalg.det(S[:3, :3])) > 0


def test_weights_silence_outliers():
    x, S = rand(30, 3), sim3_exp(rand(7, seed=4))
    y, weights = transform(S, x), torch.ones(30, dtype=F64)
    y[:5] += 9
    weights[:5] = 0
    close(umeyama(x, y, weights=weights), S)
    close(umeyama(x.float(), transform(S, x).float()), S.float())


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_degenerate_points_are_refused(dtype):
    line = (torch.arange(9, dtype=F64)[:, None] * torch.tensor([1.0, 2, 3], dtype=F64) + 5).to(dtype)
    cloud = rand(9, 3).to(dtype)
    for x, y in ((line, cloud), (cloud, line), (line * 0, cloud)):
        with pytest.raises(InputError, match="one line"):
            umeyama(x, y)
    with pytest.raises(InputError, match="three points"):
        umeyama(cloud[:2], cloud[:2])
    with pytest.raises(InputError, match="not finite"):
        umeyama(cloud, cloud * torch.nan)
    with pytest.raises(InputError, match="target"):
        umeyama(cloud, cloud[:5])
    with pytest.raises(InputError, match="not finite"):
        umeyama(cloud, cloud, weights=torch.zeros(9, dtype=dtype))


def test_scales_by_median_and_by_least_squares():
    truth, valid = rand(2, 1, 6, 7, low=1, high=9), rand(2, 1, 6, 7, seed=1) > -0.5
    prediction = truth * torch.tensor([0.5, 4.0], dtype=F64).reshape(2, 1, 1, 1)
    spoilt = torch.where(valid, prediction, torch.nan)
    for scale in (median_scale, least_squares_scale):
        close(scale(spoilt, truth, valid), torch.tensor([2.0, 0.25], dtype=F64))
    noisy = rand(2, 1, 6, 7, seed=2, low=1, high=9)
    for b in range(2):
        g, p = truth[b][valid[b]].numpy(), noisy[b][valid[b]].numpy()
        assert float(median_scale(noisy, truth, valid)[b]) == pytest.approx(np.median(g) / np.median(p))
        assert float(least_squares_scale(noisy, truth, valid)[b]) == pytest.approx(np.linalg.lstsq(p[:, None], g)[0][0])
    valid[1] = False
    with pytest.raises(InputError, match="without any valid"):
        median_scale(noisy, truth, valid)


def test_gradients():
    x, y = rand(6, 3).requires_grad_(), (1.5 * rand(6, 3) + 0.2 * rand(6, 3, seed=3)).detach().requires_grad_()
    assert gradcheck(umeyama, (x, y))
    assert gradcheck(lambda a, b: umeyama(a, b, False), (x, y))
    p, g = rand(2, 5, low=1, high=2).requires_grad_(), rand(2, 5, seed=5, low=1, high=2).requires_grad_()
    valid = torch.ones(2, 5, dtype=torch.bool)
    assert gradcheck(lambda a, b: median_scale(a, b, valid), (p, g))
    assert gradcheck(lambda a, b: least_squares_scale(a, b, valid), (p, g))
