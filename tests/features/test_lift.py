"""LIFT: the sheet's table and exact checks, gradients through its crops, the patches it learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from scenewright.features import stable_points
from scenewright.features.data import Pictures
from scenewright.features.lift import (
    GHH,
    LIFT,
    _highest_near,
    _quadratic,
    _vertex,
    class_loss,
    crop,
    distinct,
    nearest_stranger,
    overlap_loss,
    smooth_,
    soft_argmax,
    soft_maximum,
    unit,
)
from scenewright.features.stable_points import LiftPatches
from scenewright.features.task import Features
from tolerances import close


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def model() -> LIFT:
    torch.manual_seed(0)
    return LIFT.from_preset("small").eval()


def test_counts(model: LIFT) -> None:
    assert parameters(model.detector) == 10_016
    assert parameters(model.orientation) == 2_019_162
    assert parameters(model.descriptor) == 280_320


@torch.no_grad()
def test_shapes(model: LIFT) -> None:
    patches = torch.rand(2, 1, 128, 128)
    assert model.detector(torch.rand(2, 1, 48, 48)).shape == (2, 1, 24, 24)
    assert model.score_map(patches).shape == (2, 14, 14)
    xy, angle, descriptor = model(patches)
    assert (xy.shape, angle.shape, descriptor.shape) == ((2, 2), (2,), (2, 128))
    assert xy.abs().max() <= 0.2767


def test_hinging_hyperplanes_of_a_ramp() -> None:
    assert GHH()(torch.arange(16.0)[None])[0].item() == -8
    assert GHH()(torch.arange(32.0).reshape(1, 32, 1, 1)).shape == (1, 2, 1, 1)


def test_soft_argmax_of_a_single_peak() -> None:
    """The sheet's 5x5 one-hot at column 3, row 1, beta 10: (2.99887, 1.00113)."""
    peak = torch.zeros(1, 5, 5)
    peak[0, 1, 3] = 1
    column, row = ((soft_argmax(peak)[0] + 1) * 23.5 - 17).tolist()
    assert column == pytest.approx(2.99887, abs=2e-5)
    assert row == pytest.approx(1.00113, abs=2e-5)


def test_soft_maximum() -> None:
    peak = torch.zeros(1, 14, 14)
    peak[0, 4, 9] = 1
    assert soft_maximum(peak).item() == pytest.approx(0.47307, abs=1e-5)
    assert soft_maximum(torch.full((1, 14, 14), 0.37)).item() == pytest.approx(0.37)


@pytest.mark.parametrize(
    ("dx", "dz", "expected"),
    [(0.0, 0.0, 0.0), (0.5, 0.0, 2 / 3), (2.0, 0.0, 1 + 1 / math.sqrt(2)), (0.0, 1.0, 3 / 4), (0.25, -1.0, 3 / 4)],
)
def test_overlap(dx: float, dz: float, expected: float) -> None:
    """Two squares of half width 0.5; the last pairs: one of twice the width around the other, one of half inside."""
    first, second = torch.tensor([[0.1 + dx, 0.2, dz]]), torch.tensor([[0.1, 0.2, 0.0]])
    assert overlap_loss(first, second).item() == pytest.approx(expected)


def test_the_volume_s_middle_scale_is_the_score_map(model: LIFT) -> None:
    """24x24 scores of a patch shrunk to 48x48, five cells lost on each side; places from -0.2766 to 0.2766."""
    patches = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        scores, places = model.score_volume(patches)
        small = nn.functional.interpolate(patches, (48, 48), mode="bilinear", align_corners=True, antialias=True)
        whole = model.detector((255 * small - 128) / 128)[:, 0, 5:-5, 5:-5]
    middle = places[:, 2] == 0
    assert middle.sum() == 14 * 14
    close(scores[:, middle].unflatten(1, (14, 14)), whole)
    assert places[:, :2].abs().max() == pytest.approx(13 / 47)
    assert places[0, 2] == pytest.approx(math.log2(48 / 38))
    assert places[0, 0] < 0 < places[9, 0]


def test_a_stranger_is_never_a_view_of_the_same_item() -> None:
    """By hand: item 0's views lie at 0 and 1, item 1's at 5 and 9, the items' third descriptors at 0.5 and 2."""
    every = torch.tensor([[[0.0], [5.0]], [[1.0], [9.0]], [[0.5], [2.0]]])
    close(nearest_stranger(every[:2], every), torch.tensor([1.0, 4.0]))


def test_a_parabola_s_vertex() -> None:
    value = [torch.tensor([-((x - 0.3) ** 2)]) for x in (-1.0, 0.0, 1.0)]
    close(_vertex(*value), torch.tensor([0.3]))


def test_the_highest_value_near_a_place() -> None:
    maps = torch.zeros(2, 12, 12)
    maps[0, 3, 8], maps[1, 9, 5], maps[1, 0, 0] = 2, 3, 9
    near = _highest_near(maps, torch.tensor([5, 6, 8]), torch.tensor([6, 8, 3]))
    close(near, torch.tensor([2.0, 3.0, 3.0]))
    assert _highest_near(maps, torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_contrast_and_brightness_do_not_change_a_description(model: LIFT) -> None:
    crops = 0.2 + 0.5 * torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        a, b = model.describe_patches(crops), model.describe_patches(0.9 * crops + 0.1)
    assert (a - b).norm() < 0.02 * a.norm()


def test_class_loss_of_no_opinion_is_one() -> None:
    assert class_loss(torch.zeros(1, 4)).item() == 1
    assert class_loss(torch.tensor([[2.0, 1.0, 1.5, -1.0]])).item() == 0


def test_directions_always_exist() -> None:
    found = unit(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, -5.0], [1e-20, 0.0]]))
    close(found.norm(dim=1), torch.ones(4))
    assert found[1, 0] > 0.999
    assert found[2, 1] < -0.999


def test_a_crop_is_the_middle_of_its_patch() -> None:
    ramp = torch.arange(128.0).expand(1, 1, 128, 128)
    still = torch.zeros(1)
    close(crop(ramp, torch.zeros(1, 2), still)[0, 0, 10], torch.linspace(31.75, 95.25, 64))
    moved = crop(ramp, torch.tensor([[0.25, 0.0]]), still)
    close(moved[0, 0, 10], torch.linspace(31.75, 95.25, 64) + 0.25 * 63.5)
    turned = crop(ramp, torch.zeros(1, 2), torch.tensor([math.pi / 2]))  # its x axis runs down the patch
    close(turned[0, 0, :, 10], torch.linspace(95.25, 31.75, 64))


def test_gradients_reach_the_detector_through_both_crops() -> None:
    torch.manual_seed(0)
    model = LIFT.from_preset("small")
    sample = model.example(2, 0)
    for p in model.descriptor.parameters():
        p.requires_grad_(False)
    _, _, found = model(sample.patches[:, :2].flatten(0, 1))
    d1, d2 = found.unflatten(0, (-1, 2)).unbind(1)
    (d1 - d2).square().sum().backward()
    gradient = model.detector[0].weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    assert all(p.grad is None for p in model.descriptor.parameters())


def test_crops_are_differentiable_in_place_and_angle() -> None:
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij")
    smooth = torch.sin(3 * xx + 2 * yy).double()[None, None]
    xy = torch.tensor([[0.0313, -0.0527]], dtype=torch.float64, requires_grad=True)
    angle = torch.tensor([0.3127], dtype=torch.float64, requires_grad=True)

    def mean(xy: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        seen = crop(smooth, xy, angle)
        return torch.stack([seen[..., :32].mean(), seen[..., :32, :].square().mean()])

    assert torch.autograd.gradcheck(mean, (xy, angle), atol=1e-3, rtol=1e-3)  # piecewise linear between pixels


def test_a_quadratic_s_peak() -> None:
    yy, xx = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    scores = -(xx - 4.3).square() - 0.5 * (yy - 3.8).square() + 0.2 * (xx - 4.3) * (yy - 3.8)
    offset, good = _quadratic(scores, torch.tensor([4]), torch.tensor([4]))
    close(offset, torch.tensor([[0.3, -0.2]]))
    assert good.all()
    ridge = -(xx - 4).square()
    assert not _quadratic(ridge, torch.tensor([4]), torch.tensor([4]))[1].any()


@torch.no_grad()
def test_detecting_and_describing(model: LIFT) -> None:
    torch.manual_seed(1)
    image = nn.functional.interpolate(torch.rand(1, 3, 20, 24), (120, 144), mode="bicubic").clamp(0, 1)
    found = model.detect(image, 40)
    assert 5 <= len(found) <= 40
    assert found.radius_px is not None
    assert found.angle_deg is not None
    assert (found.score[1:] <= found.score[:-1]).all()
    described = model.describe(image, found).descriptors
    assert described is not None
    assert described.shape == (len(found), 128)
    assert len(model.describe(image, found[:0])) == 0


@torch.no_grad()
def test_a_description_does_not_change_when_picture_and_keypoint_turn(model: LIFT) -> None:
    torch.manual_seed(2)
    image = nn.functional.interpolate(torch.rand(1, 3, 16, 16), (128, 128), mode="bicubic").clamp(0, 1)
    turned = torch.rot90(image, -1, (2, 3))  # x' = 127 - y, y' = x
    xy = torch.tensor([[60.0, 70.0]])
    there = torch.stack([127 - xy[:, 1], xy[:, 0]], 1)
    radius = torch.tensor([20.0])
    a = model.describe(image, Features((128, 128), xy, torch.ones(1), radius, torch.zeros(1))).descriptors
    b = model.describe(turned, Features((128, 128), there, torch.ones(1), radius, torch.tensor([90.0]))).descriptors
    assert a is not None
    assert b is not None
    assert (a - b).norm() < 0.05 * a.norm()


@torch.no_grad()
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_crop_turned_by_right_angles_points_as_much_another_way(model: LIFT, quarters: int) -> None:
    torch.manual_seed(3)
    crops = torch.rand(4, 1, 64, 64)
    apart = model.angles(crops.rot90(-quarters, (2, 3))) - model.angles(crops)  # from +x towards +y
    close((apart - quarters * math.pi / 2).cos(), torch.ones(4))


def test_a_place_is_a_keypoint_at_one_scale() -> None:
    """By hand, 3 cells of a region of radius r being 12 r / 47: the second lies within them of the first and is gone,
    whatever its scale; the third is apart from the first, and what hides it is hidden itself; the fourth is so fine
    that it is apart from the first, which is large."""
    xy = torch.tensor([[50.0, 50.0], [52.0, 50.0], [54.0, 50.0], [50.0, 53.0]])
    score, radius = torch.tensor([4.0, 3.0, 2.0, 1.0]), torch.tensor([12.0, 48.0, 12.0, 6.0])
    found = Features((100, 100), xy, score, radius)
    close(distinct(found, 10).score, torch.tensor([4.0, 2.0, 1.0]))
    close(distinct(found[[3, 1, 0, 2]], 2).score, torch.tensor([4.0, 2.0]))
    assert len(distinct(found[:0], 5)) == 0


def test_filters_start_smooth_without_a_mean_and_weak() -> None:
    torch.manual_seed(4)
    filters = torch.randn(16, 1, 25, 25)
    before = filters.std()
    smooth_(filters)
    close(filters.mean((2, 3)), torch.zeros(16, 1))
    close(filters.std(), 0.1 * before)
    assert (filters[..., 1:] - filters[..., :-1]).std() < 0.5 * filters.std()


def speckles(seed: int) -> np.ndarray:
    import cv2

    rng = np.random.default_rng(seed)
    image = np.full((180, 240, 3), 110, np.uint8)
    for _ in range(40):
        centre = (int(rng.integers(20, 220)), int(rng.integers(20, 160)))
        axes = (int(rng.integers(3, 9)), int(rng.integers(3, 9)))
        cv2.ellipse(
            image, centre, axes, float(rng.uniform(0, 180)), 0, 360, tuple(rng.integers(0, 256, 3).tolist()), -1
        )
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def test_both_views_agree_once_moved_and_turned_back() -> None:
    data = LiftPatches(Pictures(8, speckles, "speckles"), 10)
    alike, other = [], []
    for seed in range(12):
        item = data.draw(0, torch.Generator().manual_seed(seed))
        assert item.patches.shape == (4, 1, 128, 128)
        upright = crop(item.patches[:3], item.xy, item.angle)
        flat = nn.functional.avg_pool2d(upright, 4).flatten(1)
        alike.append(torch.corrcoef(flat[:2])[0, 1].item())
        other.append(torch.corrcoef(flat[1:])[0, 1].item())
    assert np.median(alike) > 0.85
    assert np.mean(alike) > np.mean(other) + 0.4


def test_a_view_s_zoom_is_how_much_larger_it_shows_its_keypoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob's area at half its height grows by 4^zoom; shear changes it by up to a fifth."""
    monkeypatch.setattr(stable_points, "_varied", lambda view, rng: torch.from_numpy(view)[None] / 255)
    yy, xx = np.mgrid[:200, :200]
    blob = np.rint(255 * np.exp(-((xx - 100) ** 2 + (yy - 100) ** 2) / (2 * 6.0**2))).astype(np.uint8)
    data = LiftPatches(Pictures(1, lambda i: blob, "blob"), 10)
    areas, zooms = [], []
    for seed in range(40):
        view, xy, _, zoom = data._seen(blob, np.array([100.0, 100.0, 1.0, 72.0]), np.random.default_rng(seed), 0.0)
        areas.append(float((view > 0.5).sum().log2()))
        zooms.append(2 * zoom)
        assert (xy == 0).all()
    slope = np.polyfit(zooms, areas, 1)[0]
    assert slope == pytest.approx(1, abs=0.15)
    assert max(zooms) - min(zooms) > 0.8


def test_draws_follow_the_generator_alone() -> None:
    data = LiftPatches(Pictures(8, speckles, "speckles"), 10, turn_deg=0)
    first, again = (data.draw(0, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first.patches, again.patches)
    assert (first.angle == 0).all()
    assert data.record["turn_deg"] == 0
