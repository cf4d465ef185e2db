"""Kuznietsov et al.: sizes and counts of the published network, its three terms, their ablations, and metres."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from scenewright.depth.losses import berhu, edge_aware_smoothness
from scenewright.depth.semi_supervised_depth import FADE_IN, SemiSupervisedDepth, alignment, fade_in
from scenewright.engine.method import Stage
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.conv import SameConv2d
from scenewright.nn.upprojection import UpConv
from stereo_pairs import BASELINE, mirrored, rendered
from tolerances import close


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_counts_part_by_part() -> None:
    with torch.device("meta"):
        model = SemiSupervisedDepth.from_preset("paper")
    assert count(model.trunk) == 23_508_032
    assert count(model.project) + count(model.project_bn) == 2_099_200
    assert [count(up) for up in model.up] == [28_580_864, 20_254_208, 5_064_448, 1_266_560]
    assert count(model.head) == 577
    assert count(model) == 80_773_889


def test_published_sizes_row_by_row() -> None:
    with torch.device("meta"):
        model = SemiSupervisedDepth.from_preset("paper")
        image = torch.zeros(1, 3, 188, 621)
        maps = model.trunk(image)
        assert [tuple(m.shape[1:]) for m in maps] == [
            (64, 94, 311), (256, 47, 156), (512, 24, 78), (1024, 12, 39), (2048, 6, 20)
        ]  # fmt: skip
        assert model(image).shape == (1, 1, 96, 320)
        assert model._disparity(image).shape == (1, 1, 94, 311)


def test_the_trunk_strides_in_the_first_convolution_of_a_block_and_pads_like_tensorflow() -> None:
    with torch.device("meta"):
        trunk = SemiSupervisedDepth.from_preset("paper").trunk
    first = trunk.layer2[0]
    assert (first.conv1.stride, first.conv2.stride, first.bn1.eps) == ((2, 2), (1, 1), 1e-8)
    assert isinstance(trunk.conv1, SameConv2d)
    x = torch.zeros(1, 1, 188, 94)  # 2 rows above, 3 below, for an even size: a spike tells
    x[..., 0, 0] = 1
    conv = SameConv2d(1, 1, 7, 2, bias=False)
    conv.weight.data = torch.arange(49.0).view(1, 1, 7, 7)
    assert float(conv(x)[0, 0, 0, 0].detach()) == 2 * 7 + 2  # the kernel's entry (2, 2)


@pytest.mark.parametrize(("size", "before"), [(94, 0), (311, 1)])
def test_pooling_pads_evenly_only_for_odd_sizes(size: int, before: int) -> None:
    model = SemiSupervisedDepth.from_preset("paper", trunk="resnet50-tensorflow", widths=(8, 8, 8, 8, 8))
    x = torch.arange(float(size)).expand(1, 1, size, size)
    pooled = model.trunk._pool(x)[0, 0, 0]
    assert pooled.shape == (-(-size // 2),)
    assert float(pooled[0]) == 2 - before
    assert float(pooled[-1]) == size - 1


def test_up_convolution_equals_a_transposed_5x5() -> None:
    torch.manual_seed(0)
    layer = UpConv(3, 2).double()
    for conv in (layer.conv_a, layer.conv_b, layer.conv_c, layer.conv_d):
        conv.bias.data.zero_()  # type: ignore[union-attr]
    kernel = torch.zeros(2, 3, 5, 5, dtype=torch.float64)
    kernel[..., ::2, ::2], kernel[..., 1::2, ::2] = layer.conv_a.weight.data, layer.conv_b.weight.data
    kernel[..., ::2, 1::2], kernel[..., 1::2, 1::2] = layer.conv_c.weight.data, layer.conv_d.weight.data
    transposed = nn.ConvTranspose2d(3, 2, 5, stride=2, padding=2, output_padding=1, bias=False).double()
    transposed.weight.data = kernel.flip(-1, -2).transpose(0, 1).contiguous()
    x = torch.randn(1, 3, 4, 7, dtype=torch.float64)
    assert float((layer(x) - transposed(x)).detach().abs().max()) < 1e-12


def test_berhu_with_a_threshold_of_a_fifth() -> None:
    """c = 0.2 where the largest error is 1: errors 0.1, 0.2, 0.4, 1.0 cost 0.1, 0.2, 0.5, 2.6."""
    for error, cost in ((0.1, 0.1), (0.2, 0.2), (0.4, 0.5), (1.0, 2.6)):
        pair = torch.tensor([error, 1.0], dtype=torch.float64).view(1, 1, 1, 2)
        value = berhu(pair, torch.zeros_like(pair), torch.ones_like(pair, dtype=torch.bool))
        assert float(value) == pytest.approx((cost + 2.6) / 2, rel=1e-9)


def test_berhu_per_item_judges_each_by_its_own_largest_error() -> None:
    errors = torch.tensor([[1.0, 0.1], [10.0, 0.1]], dtype=torch.float64).view(2, 1, 1, 2)
    zero, mask = torch.zeros_like(errors), torch.ones_like(errors, dtype=torch.bool)
    alone = torch.cat([berhu(errors[i : i + 1], zero[:1], mask[:1]) for i in range(2)])
    close(berhu(errors, zero, mask, per_item=True), alone)
    assert float(berhu(errors, zero, mask)[0]) < float(alone[0])


def test_alignment_of_a_shift_by_whole_pixels() -> None:
    """I_r(x) = I_l(x + 7): 0 at a disparity of 7 px away from the border, not at 6 or -7."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.rand(1, 3, 20, 71, generator=generator, dtype=torch.float64)
    left, right = wide[..., :64], wide[..., 7:]

    def cost(pixels: float) -> float:
        disparity = torch.full((1, 1, 20, 64), pixels, dtype=torch.float64)
        return float(alignment(left, right, disparity, disparity))

    border = 2 * 2 / 57 * 0.2  # the blur reaches two columns beyond either border
    assert cost(7.0) < border
    assert min(cost(6.0), cost(-7.0), cost(0.0)) > 5 * cost(7.0)


def test_alignment_gradcheck() -> None:
    torch.manual_seed(0)
    left, right = (torch.rand(1, 1, 4, 9, dtype=torch.float64) for _ in range(2))
    disparity = (0.3 + 0.4 * torch.rand(1, 1, 4, 9, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: alignment(left, right, d, d), disparity)


def test_smoothness_is_zero_for_constants_and_discounted_at_edges() -> None:
    image = torch.zeros(1, 3, 4, 8)
    image[..., 4:] = 1  # 255 of 255
    rho = torch.zeros(1, 1, 4, 8)
    assert float(edge_aware_smoothness(rho + 0.3, image)) == 0
    rho[..., 4:] = 1
    assert 7 * float(edge_aware_smoothness(rho, image)) == pytest.approx(math.exp(-1), rel=1e-5)


def test_the_fade_in_at_steps_1_10_100() -> None:
    assert [fade_in(t) for t in (1, 10, 100)] == pytest.approx([4.54e-5, 0.3679, 0.9048], rel=1e-3)


STAGE = Stage("roads", 1, 1, "roads")


def model_saying(disparity: Tensor, **options: object) -> SemiSupervisedDepth:
    """The `small` network, eval mode, as if it predicted this disparity (2B, 1, H, W) of the left and right views."""
    model = SemiSupervisedDepth.from_preset("small", **({"baseline_m": BASELINE} | options)).eval()
    model._disparity = lambda image: disparity  # type: ignore[method-assign]
    return model


def true_disparity(sample) -> Tensor:
    depth = torch.cat([sample.depth_m, sample.right_depth_m])
    return sample.camera.parameters[0].reshape(-1, 1, 1, 1) * BASELINE / depth


def test_the_truth_costs_next_to_nothing_and_the_wrong_sign_a_lot() -> None:
    sample = rendered()
    disparity = true_disparity(sample)
    right, far = model_saying(disparity).loss(sample, STAGE), model_saying(0.7 * disparity).loss(sample, STAGE)
    assert float(right["supervised"]) < 1e-4 < float(far["supervised"])
    assert float(right["alignment"]) < 0.2 * float(far["alignment"])


def test_supervision_reads_only_what_the_laser_measured() -> None:
    sample = rendered()
    disparity = true_disparity(sample)
    disparity[..., :40] *= 2
    sparse = [depth.clone() for depth in (sample.depth_m, sample.right_depth_m)]
    for depth in sparse:
        depth[..., :40] = 0
    seen = replace(sample, depth_m=sparse[0], right_depth_m=sparse[1])
    assert float(model_saying(disparity).loss(seen, STAGE)["supervised"]) < 1e-4
    one = replace(seen, right_depth_m=None)
    assert float(model_saying(disparity).loss(one, STAGE)["supervised"]) < 1e-4
    nothing = replace(seen, depth_m=0 * sparse[0], right_depth_m=None)
    assert float(model_saying(disparity).loss(nothing, STAGE)["supervised"]) == 0


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ("semi", {"supervised", "alignment", "smoothness"}),
        ("supervised", {"supervised", "smoothness"}),
        ("unsupervised", {"alignment", "smoothness"}),
    ],
)
def test_the_ablations_drop_terms_and_leave_the_rest(objective: str, names: set[str]) -> None:
    sample = rendered()
    whole = model_saying(true_disparity(sample) + 0.5).loss(sample, STAGE)
    part = model_saying(true_disparity(sample) + 0.5, objective=objective).loss(sample, STAGE)
    assert set(part) == names
    for name, value in part.items():
        close(value, whole[name])


def test_without_any_depth_only_the_unsupervised_objective_trains() -> None:
    sample = replace(rendered(), depth_m=None, right_depth_m=None)
    disparity = torch.ones(2, 1, 64, 96)
    assert set(model_saying(disparity, objective="unsupervised").loss(sample, STAGE)) == {"alignment", "smoothness"}
    with pytest.raises(InputError, match="depth_m"):
        model_saying(disparity).loss(sample, STAGE)


def test_the_mirrored_pair_costs_the_same() -> None:
    sample = rendered(dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    disparity = true_disparity(sample) * (
        0.8 + 0.4 * torch.rand(2, 1, 64, 96, generator=generator, dtype=torch.float64)
    )
    there = model_saying(disparity).loss(sample, STAGE)
    back = model_saying(disparity.flip(0).flip(-1)).loss(mirrored(sample), STAGE)
    for name in there:
        close(there[name], back[name])


def test_another_rig_s_pair_asks_for_the_same_prediction() -> None:
    sample = rendered()
    expected = model_saying(true_disparity(sample)).loss(sample, STAGE)
    canonical = model_saying(2 * true_disparity(sample), baseline_m=2 * BASELINE).loss(sample, STAGE)
    for name in ("supervised", "alignment", "smoothness"):
        torch.testing.assert_close(canonical[name], expected[name], rtol=1e-3, atol=1e-5)  # 1 / x of float32 metres


def test_far_and_negative_disparities_have_finite_losses_and_the_far_ones_a_slope() -> None:
    sample = rendered()
    least = float(sample.camera.parameters[0]) * BASELINE / 100
    for disparity, slopes in ((0.9 * least, True), (-3.0, False)):
        maps = torch.full((2, 1, 64, 96), disparity, requires_grad=True)
        supervised = model_saying(maps).loss(sample, STAGE)["supervised"]
        supervised.backward()
        assert math.isfinite(float(supervised.detach()))
        assert maps.grad is not None
        assert torch.isfinite(maps.grad).all()
        assert bool((maps.grad != 0).any()) == slopes


def test_the_fade_counts_training_steps_of_its_stage_alone() -> None:
    model = SemiSupervisedDepth.from_preset("small")
    sample = model.example(2, 0)
    first, last = model.stages("small")
    assert first.name == FADE_IN
    with torch.no_grad():
        model.eval().loss(sample, first)
        assert int(model.iteration) == 0
        model.train().loss(sample, last)
        assert int(model.iteration) == 0
        faded = model.loss(sample, first)["supervised"]
        assert int(model.iteration) == 1
        whole = model.loss(sample, last)["supervised"]
    assert float(faded.sum()) < 1e-3 * float(whole.sum())


def test_ten_pixels_on_kitti_s_rig_are_19_metres() -> None:
    model = SemiSupervisedDepth.from_preset("small", input_size=(640, 192)).eval()
    camera = Camera.from_parameters(640, 192, 359.7176277, 359.7, 319.5, 95.5)
    model._disparity = lambda image: torch.full((1, 1, 96, 320), 10.0)  # type: ignore[method-assign]
    prediction = model.predict(torch.rand(1, 3, 192, 640), camera)
    assert prediction.metric
    close(prediction.depth_m, torch.full((1, 1, 192, 640), 19.42475))


def test_a_fresh_network_predicts_its_initial_disparity_and_stays_positive() -> None:
    torch.manual_seed(0)
    for output in ("linear", "softplus"):
        model = SemiSupervisedDepth.from_preset("small", output=output).eval()
        with torch.no_grad():
            disparity = model(torch.rand(1, 3, 64, 96))
        assert abs(float(disparity.median()) - 4.0) < 1.0
    assert float(disparity.min()) > 0
