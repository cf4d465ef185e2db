"""Bins, gains and loss against closed forms, the published counts and sizes, confidence, and the CRF's place."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scenewright.depth.depth_classification import (
    DepthBins,
    DepthClassification,
    DepthClassificationConfig,
    gains,
    information_gain_loss,
)
from scenewright.depth.task import DepthSample
from scenewright.engine import schedule
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.crf import CRFConfig
from tolerances import close

NYU = DepthBins(100, 0.7, 10.0)
CAMERA = Camera.from_parameters(96, 64, 90, 90, 48, 32)


@given(st.floats(0.7, 10.0, exclude_max=True))
@settings(max_examples=200, deadline=None)
def test_a_depth_comes_back_within_half_a_bin(depth: float) -> None:
    """The sheet's bound: half a bin in log depth, 1.34 % for 100 bins from 0.7 to 10 m."""
    d = torch.tensor([[[[depth]]]], dtype=torch.float64)
    probability = F.one_hot(NYU.index(d)[:, 0], NYU.count).movedim(-1, 1).double()
    for how in ("argmax", "soft"):
        back = NYU.decode(probability, how).exp()
        assert abs(float(back) / depth - 1) <= math.exp(NYU.width / 2) - 1 + 1e-9
    assert math.exp(NYU.width / 2) - 1 == pytest.approx(0.0134, abs=1e-4)


def test_ends_are_clipped_and_the_unknown_is_minus_one() -> None:
    depth = torch.tensor([0.0, 1e-6, 0.7, 9.999, 10.0, 1e6, float("nan")])
    assert NYU.index(depth).tolist() == [-1, 0, 0, 99, 99, 99, -1]


def test_bins_are_equal_in_log_depth() -> None:
    centres = NYU.log_centres(torch.zeros((), dtype=torch.float64))
    close(centres.diff(), torch.full((99,), NYU.width, dtype=torch.float64))
    assert NYU.index(centres.exp()).tolist() == list(range(100))


@pytest.mark.parametrize("wrong", [(1, 0.7, 10.0), (10, 0.0, 10.0), (10, 3.0, 2.0), (10, 1.0, math.inf)])
def test_impossible_bins_are_refused(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(InputError, match="bins"):
        DepthBins(*wrong)


def case(seed: int = 0, labels: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, labels, 4, 5, generator=generator, dtype=torch.float64)
    return logits, torch.randint(-1, labels, (2, 4, 5), generator=generator)


def test_gain_by_definition() -> None:
    logits, target = case()
    gain, log_p = gains(7, 0.2), logits.log_softmax(1)
    for b in range(2):
        terms = [
            -sum(math.exp(-0.2 * (int(target[b, y, x]) - q) ** 2) * log_p[b, q, y, x] for q in range(7))
            for y in range(4)
            for x in range(5)
            if target[b, y, x] >= 0
        ]
        close(information_gain_loss(logits, target, gain)[b], torch.stack(terms).mean())


def test_a_sharp_gain_is_the_log_loss() -> None:
    logits, target = case(1)
    found = information_gain_loss(logits, target, gains(7, 1e6))
    for b in range(2):
        close(found[b], F.nll_loss(logits[b : b + 1].log_softmax(1), target[b : b + 1], ignore_index=-1))


def test_the_best_distribution_is_the_gain_s_row_and_normalising_makes_it_a_cross_entropy() -> None:
    target = torch.tensor([[[3]]])
    for rows in ("paper", "normalised"):
        gain = gains(7, 0.2, rows)
        best = (gain[3] / gain[3].sum()).log()[None, :, None, None]
        for seed in range(5):
            other = best + 0.3 * torch.randn(1, 7, 1, 1, generator=torch.Generator().manual_seed(seed)).double()
            assert information_gain_loss(other, target, gain) > information_gain_loss(best, target, gain)
    close(gains(7, 0.2, "normalised").sum(1), torch.ones(7, dtype=torch.float64))
    assert float(gains(100, 0.2).sum(1)[50]) == pytest.approx(math.sqrt(math.pi / 0.2), rel=1e-6)


def test_the_threshold_keeps_the_hard_pixels() -> None:
    logits, target = case(2)
    gain = gains(7, 0.2)
    close(information_gain_loss(logits, target, gain, 1.01), information_gain_loss(logits, target, gain))
    true_p = logits.softmax(1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    hard = torch.where(true_p < 0.2, target, -1)
    close(information_gain_loss(logits, target, gain, 0.2), information_gain_loss(logits, hard, gain))


def test_nothing_to_learn_is_zero_without_nan() -> None:
    logits, target = case(3)
    logits.requires_grad_()
    for labels, threshold in ((torch.full_like(target, -1), None), (target, 0.0)):
        loss = information_gain_loss(logits, labels, gains(7, 0.2), threshold)
        loss.sum().backward()
        assert loss.tolist() == [0, 0]
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


def test_gradcheck() -> None:
    logits, target = case(4)
    gain = gains(7, 0.2)
    assert torch.autograd.gradcheck(lambda x: information_gain_loss(x, target, gain), logits.requires_grad_())


@pytest.mark.parametrize(
    ("trunk", "count"),
    [
        ("resnet50-torchvision", 23_712_932),
        ("resnet101-torchvision", 42_705_060),
        ("resnet152-torchvision", 58_348_708),
    ],
)
def test_published_counts(trunk: str, count: int) -> None:
    with torch.device("meta"):
        model = DepthClassification(replace(DepthClassificationConfig.paper(), trunk=trunk))
    assert sum(p.numel() for p in model.parameters()) == count


def test_published_sizes_and_dilations() -> None:
    with torch.device("meta"):
        model = DepthClassification(DepthClassificationConfig.paper())
        maps = model.trunk(torch.zeros(1, 3, 240, 320))
        assert model(torch.zeros(1, 3, 240, 320)).shape == (1, 100, 30, 40)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 120, 160),
        (256, 60, 80),
        (512, 30, 40),
        (1024, 30, 40),
        (2048, 30, 40),
    ]
    dilations = [[block.conv2.dilation[0] for block in layer][:3] for layer in (model.trunk.layer3, model.trunk.layer4)]
    assert dilations == [[1, 2, 2], [2, 4, 4]]  # the first block keeps the dilation of the group before


def test_a_dilated_trunk_says_what_the_strided_one_says_at_its_pixels() -> None:
    """Dilation only fills in: every fourth pixel of the last map is the strided trunk's, away from the border."""
    from scenewright.nn.resnet import ResNet

    torch.manual_seed(0)
    strided, dilated = ResNet(50, "torchvision").eval(), ResNet(50, "torchvision", 8).eval()
    dilated.load_state_dict(strided.state_dict())
    with torch.no_grad():
        x = torch.randn(1, 3, 64, 64)
        close(dilated(x)[-1][..., ::4, ::4], strided(x)[-1])


@pytest.fixture(scope="module")
def small() -> DepthClassification:
    torch.manual_seed(0)
    return DepthClassification(DepthClassificationConfig.small()).eval()


def test_prediction_follows_the_focal_length_and_has_confidence(small: DepthClassification) -> None:
    image = torch.rand(1, 3, 64, 96)
    near = small.predict(image, CAMERA)
    far = small.predict(image, Camera.from_parameters(96, 64, 180, 180, 48, 32))
    close(far.depth_m, 2 * near.depth_m)
    assert near.confidence is not None
    assert near.confidence.shape == near.depth_m.shape == (1, 1, 64, 96)
    assert 1 / 80 <= float(near.confidence.min()) <= float(near.confidence.max()) <= 1


def sure_of(model: DepthClassification, label: int) -> None:
    model.head.weight.data.zero_()
    model.head.bias.data = -(torch.arange(80.0) - label).square()


@pytest.mark.parametrize("decode", ["argmax", "soft"])
def test_a_sure_network_says_its_bin(decode: str) -> None:
    model = DepthClassification.from_preset("small", decode=decode)
    sure_of(model, 30)
    camera = Camera.from_parameters(192, 144, 172.8, 172.8, 96, 72)
    depth = model.predict(torch.rand(1, 3, 144, 192), camera).depth_m
    centre = model.config.bins.log_centres(torch.zeros(()))[30].exp()
    close(depth, centre.expand_as(depth))


def test_the_crf_can_be_left_out_and_does_not_touch_confidence(small: DepthClassification) -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    plain, refined = small.predict(image, CAMERA, crf=False), small.predict(image, CAMERA, crf=True)
    assert not torch.equal(plain.depth_m, refined.depth_m)
    assert torch.equal(plain.confidence, refined.confidence)
    assert torch.equal(small.predict(image, CAMERA).depth_m, refined.depth_m)
    without = DepthClassification.from_preset("small", crf=None)
    without.load_state_dict(small.state_dict())
    assert torch.equal(without.predict(image, CAMERA).depth_m, plain.depth_m)
    with pytest.raises(InputError, match="crf: found none"):
        without.predict(image, CAMERA, crf=True)


def test_a_crf_without_weight_changes_nothing_but_the_resolution(small: DepthClassification) -> None:
    model = DepthClassification.from_preset("small", crf=CRFConfig(0.0, smooth_weight=0.0), crf_stride=1)
    model.load_state_dict(small.state_dict())
    image = torch.rand(1, 3, 64, 96)
    close(model.predict(image, CAMERA).depth_m, small.predict(image, CAMERA, crf=False).depth_m)


def test_temperature_alone_is_learnt_last_and_tempers(small: DepthClassification) -> None:
    rooms, calibrate = DepthClassification.stages("small")
    model = DepthClassification(DepthClassificationConfig.small())
    schedule.freeze(model, rooms)
    assert not model.log_temperature.requires_grad
    schedule.freeze(model, calibrate)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["log_temperature"]
    sure_of(model, 30)
    image, before = torch.rand(1, 3, 64, 96), None
    for value in (-1.0, 0.0, 1.0):
        model.log_temperature.data.fill_(value)
        confidence = float(model.predict(image, CAMERA).confidence.mean())
        assert before is None or confidence < before
        before = confidence


def test_claims_are_right_where_the_truth_lies_in_the_likeliest_bin() -> None:
    model = DepthClassification(DepthClassificationConfig.small())
    sure_of(model, 30)
    camera = Camera.from_parameters(192, 144, 172.8, 172.8, 96, 72)
    depth = model.config.bins.log_centres(torch.zeros(()))[30].exp().expand(1, 1, 144, 192).clone()
    depth[..., :48] *= 2
    depth[..., 48:96] = 0
    confidence, right = model.claims(DepthSample(torch.rand(1, 3, 144, 192), depth, camera))
    assert right.float().mean() == pytest.approx(2 / 3)
    close(confidence, torch.full((144 * 144,), 1 / (1 + 2 * math.exp(-1) + 2 * math.exp(-4) + 2 * math.exp(-9))))


def test_decoding_keeps_its_precision_under_autocast() -> None:
    probability = torch.rand(1, 100, 4, 4).softmax(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = NYU.decode(probability, "soft")
    close(found, NYU.decode(probability, "soft"))


def test_calibration_finds_the_temperature_of_boastful_logits() -> None:
    """Logits three times too large: the likelihood is best at log 3."""
    model = DepthClassification.from_preset("small", crf=None)
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(1, 80, 60, 60, generator=generator)
    draws = torch.multinomial(honest.softmax(1)[0].flatten(1).T, 1, generator=generator).reshape(1, 60, 60)
    optimizer = torch.optim.Adam([model.log_temperature], 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model._calibrated(3 * honest), draws).backward()
        optimizer.step()
    assert model.log_temperature.item() == pytest.approx(math.log(3), abs=0.03)


def test_only_resnets_dilate() -> None:
    with pytest.raises(InputError, match="trunk: found 'efficientnet-lite0' at stride 8"):
        DepthClassification.from_preset("small", output_stride=8)
    with pytest.raises(InputError, match="output stride"):
        DepthClassification.from_preset("paper", output_stride=4)
