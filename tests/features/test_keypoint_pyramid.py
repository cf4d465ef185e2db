"""Keypoint pyramid: the dense maps are the patch scores; sizes; refinement; the stable points it learns from."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scenewright.features.data import Pictures
from scenewright.features.keypoint_pyramid import KeypointPyramid, _refine, side_px
from scenewright.features.scale_space import blobs
from scenewright.features.stable_points import STABLE_SIDES, KeypointPatches, _bumps, stable_keypoints
from scenewright.features.task import Features
from tolerances import close


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


@pytest.fixture(scope="module")
def model() -> KeypointPyramid:
    torch.manual_seed(0)
    return KeypointPyramid.from_preset("paper").eval()


def test_counts(model: KeypointPyramid) -> None:
    assert parameters(model.trunk, model.recursion, model.head) == 60_481
    assert parameters(model.descriptor) == 600_000


@torch.no_grad()
def test_map_sizes(model: KeypointPyramid) -> None:
    maps = model(torch.rand(1, 1, 128, 160), 6)
    assert [tuple(m.shape[-2:]) for m in maps] == [(28, 36), (26, 34), (24, 32), (22, 30), (20, 28), (18, 26)]


@pytest.mark.parametrize("level", range(1, 8))
@torch.no_grad()
def test_a_patch_of_a_scale_becomes_one_cell(model: KeypointPyramid, level: int) -> None:
    maps = model(torch.rand(1, 1, side_px(level), side_px(level)), level)
    assert maps[-1].shape == (1, 1, 1, 1)
    assert len(maps) == level


@pytest.mark.parametrize("stride", [4, 2])
@pytest.mark.parametrize("level", range(1, 8))
@torch.no_grad()
def test_dense_maps_are_the_scores_of_patches(model: KeypointPyramid, level: int, stride: int) -> None:
    """The idea of the paper: one pass over the image equals scoring every window."""
    image = torch.rand(1, 1, 88, 97, generator=torch.Generator().manual_seed(level))
    dense = model(image, stride=stride)[level - 1]
    side = side_px(level)
    assert dense.shape[-2:] == ((88 - side) // stride + 1, (97 - side) // stride + 1)
    for i, j in ((0, 0), (2, 3), (dense.shape[2] - 1, dense.shape[3] - 1)):
        patch = image[..., stride * i : stride * i + side, stride * j : stride * j + side]
        close(model(patch, level)[-1][0, 0, 0, 0], dense[0, 0, i, j])


@torch.no_grad()
def test_the_loss_asks_every_window_of_every_scale(model: KeypointPyramid) -> None:
    """Windows scored one by one, as the paper trains, lose as much as the dense maps."""
    sample = model.example(1, 3)
    known = sample.known.clone()
    known[..., :5] = False
    values = []
    for level in range(1, 8):
        side = side_px(level)
        for i, j in np.ndindex((72 - side) // 4 + 1, (72 - side) // 4 + 1):
            row, column = i + level - 1, j + level - 1
            if known[0, 0, row, column]:
                patch = sample.patch[..., 4 * i : 4 * i + side, 4 * j : 4 * j + side]
                logit, asked = model(patch, level)[-1].flatten(), sample.keypoint[0, level - 1, row, column]
                values.append(F.binary_cross_entropy_with_logits(logit, asked[None]))
    term = model.loss(replace(sample, known=known), model.stages("paper")[0])["keypoint"]
    close(term, torch.stack(values).mean()[None])


def test_the_shared_kernel_s_gradient_is_the_sum_over_its_uses() -> None:
    torch.manual_seed(1)
    model = KeypointPyramid.from_preset("paper").double()
    image = torch.rand(1, 1, side_px(3), side_px(3), dtype=torch.float64)
    trunk = model.pool(model.trunk((image - 0.45) / 0.25))
    copies = [model.recursion.weight.detach().clone().requires_grad_() for _ in range(3)]
    x = trunk
    for weight in copies:
        x = F.relu(F.conv2d(x, weight, model.recursion.bias))
    model.head(x).sum().backward()
    total = torch.stack([c.grad for c in copies if c.grad is not None]).sum(0)
    x = trunk.detach()
    for _ in range(3):
        x = F.relu(model.recursion(x))
    shared = torch.autograd.grad(model.head(x).sum(), model.recursion.weight)[0]
    close(shared, total)


def test_triplets_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = KeypointPyramid.from_preset("small")
    sample = model.example(1, 0)
    far = {0.2: 1.3, 1.6: 0.0}
    for distance, expected in far.items():
        points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-distance, 0.0], [0.0, 5.0], [0.0, -5.0]])
        monkeypatch.setattr(model, "embed", lambda patches, points=points: points)
        assert model.loss(sample, model.stages("small")[1])["triplet"].item() == pytest.approx(expected, abs=1e-4)


def test_a_parabola_s_peak_is_found_between_cells() -> None:
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (5, 7, 9)), indexing="ij")
    volume = 5 - 0.1 * (x - 4.3).square() - 0.2 * (y - 2.8).square() - 0.3 * (z - 2.1).square()
    offset = _refine(volume, torch.tensor([2]), torch.tensor([3]), torch.tensor([4]))
    close(offset, torch.tensor([[0.3, -0.2, 0.1]]))


@torch.no_grad()
def test_a_peak_lies_in_the_middle_of_its_patch(model: KeypointPyramid, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = [torch.full((1, 1, side, side), -10.0) for side in (67, 63, 59)]  # of 96 + 2 x 28 pixels
    logits[2][0, 0, 30:33, 24:27] = 3.0
    monkeypatch.setattr(model, "forward", lambda grey, stride: logits)
    image = torch.rand(1, 3, 96, 96)
    found = model.detect(image)
    assert found.radius_px is not None
    assert len(found) == 1
    middle = torch.tensor([2 * 25 + (36 - 1) / 2, 2 * 31 + (36 - 1) / 2]) - 28
    close(found.xy[0], middle)
    close(found.radius_px[0], torch.tensor(18.0))
    close(found.score[0], 20 / 36 * torch.sigmoid(torch.tensor(3.0)))
    heat = model.predict(image).heat
    assert heat is not None
    assert heat.shape == (1, 1, 96, 96)
    close((heat[0, 0] > 0.5).nonzero().float().mean(0), middle.flip(0))


def test_it_describes_what_anything_found(model: KeypointPyramid) -> None:
    image = torch.rand(1, 3, 64, 64)
    features = Features((64, 64), torch.tensor([[20.0, 30.0], [40.0, 20.0]]), torch.ones(2), torch.tensor([10.0, 16.0]))
    found = model.describe(image, features).descriptors
    assert found is not None
    close(found.norm(dim=1), torch.ones(2))
    assert len(model.describe(image, features[:0])) == 0


@torch.no_grad()
def test_contrast_and_brightness_do_not_change_a_description(model: KeypointPyramid) -> None:
    patch = 0.2 + 0.5 * torch.rand(4, 1, 32, 32)
    assert (model.embed(patch) - model.embed(0.8 * patch + 0.1)).norm(dim=1).max() < 0.02


def discs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.full((180, 240, 3), 110, np.uint8)
    for _ in range(30):
        centre = (int(rng.integers(20, 220)), int(rng.integers(20, 160)))
        cv2.circle(image, centre, int(rng.integers(2, 10)), tuple(rng.integers(0, 256, 3).tolist()), -1)
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def test_a_blob_has_one_keypoint_of_its_size() -> None:
    """A Gaussian blob of deviation 4 has its extremum at that scale: a patch of 12 deviations, 48 pixels."""
    yy, xx = np.mgrid[:120, :160]
    grey = (90 + 120 * np.exp(-((xx - 80) ** 2 + (yy - 60) ** 2) / (2 * 4.0**2))).astype(np.uint8)
    _, every = stable_keypoints(grey, np.random.default_rng(0))
    assert len(every) == 1
    np.testing.assert_allclose(every[0], [80, 60, 48], rtol=0.15)


def test_stable_keypoints_lie_on_discs() -> None:
    picture = np.asarray(cv2.cvtColor(discs(3), cv2.COLOR_RGB2GRAY), np.uint8)
    stable, every = stable_keypoints(picture, np.random.default_rng(0))
    assert 3 <= len(stable) < len(every)
    assert set(stable[:, 2]) <= set(range(1, 8))
    plain = np.full_like(picture, 110)
    plain[60:120, 80:160] = picture[60:120, 80:160]  # nothing but the window can have keypoints
    window, _ = stable_keypoints(plain, np.random.default_rng(0))
    assert ((window[:, :2] > [60, 40]) & (window[:, :2] < [180, 140])).all()


def test_draws_follow_the_generator() -> None:
    data = KeypointPatches(Pictures(12, discs, "discs"), 100)
    first, again = (data.draw(4, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first.patch, again.patch)
    assert torch.equal(first.keypoint, again.keypoint)
    assert torch.equal(first.others, again.others)
    assert first.patch.shape == (1, 116, 116)
    assert first.keypoint.shape == (7, 25, 25)
    assert "discs" in data.record["description"]


def test_an_answer_is_one_bump_as_high_as_its_share() -> None:
    cells = 4 * np.arange(25, dtype=np.float64) + 9.5
    answer = _bumps(np.array([[49.5, 29.5, 36.0, 0.8]]), cells)
    assert np.unravel_index(answer.argmax(), answer.shape) == (2, 5, 10)
    assert answer[2, 5, 10] == pytest.approx(0.8)
    assert answer[2, 5, 11] == pytest.approx(0.8 * np.exp(-(4**2) / 3**2 / 2))
    assert answer[3, 5, 10] == pytest.approx(0.8 * np.exp(-(np.log(44 / 36) ** 2) / 0.04 / 2))
    assert _bumps(np.zeros((0, 4)), cells).max() == 0


def test_answers_lie_on_the_blobs_of_a_window() -> None:
    """Turned, zoomed and varied, a window's own blobs are where it was told that keypoints are."""
    data = KeypointPatches(Pictures(12, discs, "discs"), 100)
    at_blobs, anywhere = [], []
    for seed in range(10):
        patch, answer, known = (x.numpy() for x in data._window(np.random.default_rng(seed)))
        assert ((answer >= 0) & (answer <= 1)).all()
        wide = np.pad(answer, ((1, 1), (1, 1), (1, 1)))
        for x, y, side in blobs((255 * patch[0]).astype(np.uint8), STABLE_SIDES)[:6]:
            row, column = (int(np.rint((v - 9.5) / 4)) for v in (y, x))
            if 0 <= row < 25 and 0 <= column < 25 and known[0, row, column]:
                level = STABLE_SIDES.index(int(side))
                at_blobs.append(wide[level : level + 3, row : row + 3, column : column + 3].max())
        anywhere.append(answer[:, known[0]].mean())
    assert np.mean(at_blobs) > 0.4 > 3 * np.mean(anywhere)


def test_two_views_of_a_keypoint_are_alike() -> None:
    data = KeypointPatches(Pictures(12, discs, "discs"), 100)
    same, other = [], []
    for seed in range(60):
        item = data.draw(0, torch.Generator().manual_seed(seed))
        a, p, n = (x.flatten() for x in (item.anchor, item.positive, item.others[0]))
        same.append(torch.corrcoef(torch.stack([a, p]))[0, 1].item())
        other.append(torch.corrcoef(torch.stack([a, n]))[0, 1].item())
    assert np.mean(same) > np.mean(other) + 0.3
