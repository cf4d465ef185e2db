"""FCRN's special layers against the paper's own definition, its sizes and counts, and its use."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from scenewright.depth.fcrn import FCRN, FCRNConfig
from scenewright.depth.inputs import focal_factor
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.upprojection import UpConv, UpProjection, unpool_conv5x5
from tolerances import close


def kernel_5x5(layer: UpConv) -> Tensor:
    a = layer.conv_a.weight
    weight = a.new_zeros(*a.shape[:2], 5, 5)
    weight[..., 0::2, 0::2] = a
    weight[..., 1::2, 0::2] = layer.conv_b.weight
    weight[..., 0::2, 1::2] = layer.conv_c.weight
    weight[..., 1::2, 1::2] = layer.conv_d.weight
    return weight


def share_bias(layer: UpConv) -> Tensor:
    bias = torch.linspace(-1, 1, layer.conv_a.out_channels, dtype=torch.float64)
    for conv in (layer.conv_a, layer.conv_b, layer.conv_c, layer.conv_d):
        conv.bias.data = bias.clone()
    return bias


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 10)])
def test_fast_up_convolution_equals_unpooling_and_5x5(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = UpConv(6, 4).double()
    bias = share_bias(layer)
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    assert (layer(x) - unpool_conv5x5(x, kernel_5x5(layer), bias)).abs().max() < 1e-12


def test_released_padding_is_another_function() -> None:
    torch.manual_seed(0)
    layer = UpConv(6, 4, pad="topleft").double()
    bias = share_bias(layer)
    x = torch.randn(1, 6, 5, 7, dtype=torch.float64)
    assert (layer(x) - unpool_conv5x5(x, kernel_5x5(layer), bias)).abs().max() > 0.1


def test_released_padding_shifts_the_odd_outputs_by_one_pixel() -> None:
    """The odd outputs of "topleft" are those of "bottomright" one pixel later, the even ones are the same."""
    torch.manual_seed(1)
    right, left = UpConv(3, 2).double(), UpConv(3, 2, pad="topleft").double()
    left.load_state_dict(right.state_dict())
    x = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    close(left(x)[..., 3::2, 3::2], right(x)[..., 1:-2:2, 1:-2:2])
    close(left(x)[..., ::2, ::2], right(x)[..., ::2, ::2])


def test_both_forms_have_the_same_gradients() -> None:
    torch.manual_seed(0)
    layer = UpConv(3, 2).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = kernel_5x5(layer).detach().requires_grad_()
    layer(x).square().sum().backward()
    fast, x.grad = x.grad, None
    zero = torch.zeros(2, dtype=torch.float64)
    for conv in (layer.conv_a, layer.conv_b, layer.conv_c, layer.conv_d):
        conv.bias.data = zero.clone()
    layer(x).square().sum().backward()
    fast, x.grad = x.grad, None
    unpool_conv5x5(x, weight, None).square().sum().backward()
    close(fast, x.grad)


class TestKeptKernels:
    """Eval mode keeps packed kernels; whatever may happen to a layer, it computes what packing at every call does."""

    @staticmethod
    def fresh(layer: UpConv, x: Tensor) -> Tensor:
        return torch.nn.functional.pixel_shuffle(torch.nn.functional.conv2d(x, *layer.packed(), padding=1), 2)

    @pytest.fixture
    def layer(self) -> UpConv:
        torch.manual_seed(0)
        return UpConv(6, 4).eval()

    @pytest.fixture
    def x(self) -> Tensor:
        return torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))

    def test_they_are_packed_once(self, layer: UpConv, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        packed = layer.packed
        monkeypatch.setattr(layer, "packed", lambda: calls.append(1) or packed())
        with torch.inference_mode():
            first, second = layer(x), layer(x)
        assert len(calls) == 1
        assert torch.equal(first, second)
        layer(x)
        assert len(calls) == 2, "gradients may be wanted: nothing is kept"

    @pytest.mark.parametrize(
        "change",
        [
            lambda layer: layer.conv_b.weight.mul_(2),
            lambda layer: layer.conv_c.bias.add_(1),
            lambda layer: layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()}),
            lambda layer: layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()}, assign=True),
            lambda layer: layer.half().float(),
            lambda layer: layer.to(torch.bfloat16).to(torch.float32, memory_format=torch.channels_last),
            lambda layer: setattr(layer.conv_a, "weight", torch.nn.Parameter(3 * layer.conv_a.weight)),
            lambda layer: torch.optim.SGD(layer.parameters(), 0.5).step(
                lambda: [setattr(p, "grad", torch.ones_like(p)) for p in layer.parameters()] and 0.0
            ),
        ],
        ids=["in place", "bias", "load", "assign", "half", "bfloat16", "replaced", "optimiser"],
    )
    def test_no_change_is_missed(self, layer: UpConv, x: Tensor, change: Callable[[UpConv], object]) -> None:
        with torch.no_grad():
            before = layer(x)
            change(layer)
            after = layer(x)
            assert torch.equal(after, self.fresh(layer, x))
            assert not torch.equal(after, before)

    def test_autocast_and_full_precision_are_kept_apart(self, layer: UpConv, x: Tensor) -> None:
        with torch.inference_mode():
            full = layer(x)
            with torch.autocast("cpu", torch.bfloat16):
                half = layer(x)
                assert torch.equal(half, self.fresh(layer, x))
            assert half.dtype == torch.bfloat16
            assert torch.equal(layer(x), full)

    def test_training_gives_the_memory_back_and_copies_have_their_own(self, layer: UpConv, x: Tensor) -> None:
        with torch.inference_mode():
            layer(x)
            assert layer._kept is not None
            assert set(layer.state_dict()) == {f"conv_{k}.{n}" for k in "abcd" for n in ("weight", "bias")}
            copied = copy.deepcopy(layer)
            copied.conv_a.bias += 1
            assert torch.equal(copied(x), self.fresh(copied, x))
        assert layer.train()._kept is None

    def test_a_method_predicts_the_same_from_fresh_and_from_kept_kernels(self, small: FCRN) -> None:
        image, camera = torch.rand(1, 3, 48, 64), Camera.from_fov(64, 48, 60.0)
        first = small.predict(image, camera).depth_m
        assert torch.equal(first, small.predict(image, camera).depth_m)
        assert all(m._kept is not None for m in small.modules() if isinstance(m, UpConv))


def test_up_projection_doubles_and_is_rectified() -> None:
    out = UpProjection(8, 4)(torch.randn(2, 8, 3, 5))
    assert out.shape == (2, 4, 6, 10)
    assert float(out.detach().min()) == 0


def test_paper_counts_and_sizes() -> None:
    with torch.device("meta"):
        model = FCRN(FCRNConfig.paper())
        assert sum(p.numel() for p in model.trunk.parameters()) == 23_508_032 + 64
        assert sum(p.numel() for p in model.parameters()) == 63_572_737
        maps = model.trunk(torch.zeros(1, 3, 228, 304))
        assert [tuple(m.shape[-2:]) for m in maps] == [(114, 152), (57, 76), (29, 38), (15, 19), (8, 10)]
        assert model(torch.zeros(1, 3, 228, 304))["depth"].shape == (1, 1, 128, 160)


def test_torchvision_trunk_differs_only_in_the_first_bias() -> None:
    with torch.device("meta"):
        model = FCRN.from_preset("paper", trunk="resnet50-torchvision")
    assert sum(p.numel() for p in model.parameters()) == 63_572_737 - 64


@pytest.fixture(scope="module")
def small() -> FCRN:
    torch.manual_seed(0)
    return FCRN(FCRNConfig.small()).eval()


def test_prediction_has_the_images_size_and_is_positive(small: FCRN) -> None:
    camera = Camera.from_fov(75, 51, 60.0)
    prediction = small.predict(torch.rand(2, 3, 51, 75), camera)
    assert prediction.depth_m.shape == (2, 1, 51, 75)
    assert float(prediction.depth_m.min()) > 0
    assert prediction.sigma_log is not None
    assert float(prediction.sigma_log.min()) > 0
    assert prediction.label_probabilities is not None
    close(prediction.label_probabilities.sum(1), torch.ones(2, 51, 75))
    assert float(prediction.label_probabilities[:, 0].max()) == 0


def test_doubling_the_focal_length_doubles_the_depth(small: FCRN) -> None:
    image = torch.rand(1, 3, 48, 64)
    near = small.predict(image, Camera.from_parameters(64, 48, 50, 50, 31.5, 23.5))
    far = small.predict(image, Camera.from_parameters(64, 48, 100, 100, 31.5, 23.5))
    close(far.depth_m, 2 * near.depth_m)


@torch.no_grad()
def test_a_mirrored_picture_has_the_mirrored_depth(small: FCRN) -> None:
    image, camera = torch.rand(1, 3, 96, 128), Camera.from_fov(128, 96, 60.0)
    straight, mirrored = small.predict(image, camera), small.predict(image.flip(-1), camera)
    torch.testing.assert_close(mirrored.depth_m.flip(-1), straight.depth_m, rtol=1e-4, atol=1e-4)
    assert straight.label_probabilities is not None
    assert mirrored.label_probabilities is not None
    torch.testing.assert_close(
        mirrored.label_probabilities.flip(-1), straight.label_probabilities, rtol=1e-3, atol=1e-4
    )
    one_way = FCRN(replace(small.config, mirror=False)).eval()
    one_way.load_state_dict(small.state_dict())
    assert not torch.allclose(one_way.predict(image, camera).depth_m, straight.depth_m, rtol=1e-4)


def test_the_same_view_at_two_resolutions_has_the_same_depth(small: FCRN) -> None:
    """The camera travels with the image, so resizing both must not change the scale."""
    image = torch.rand(1, 3, 12, 16).repeat_interleave(24, 2).repeat_interleave(24, 3)
    camera = Camera.from_fov(384, 288, 60.0)
    large = small.predict(image, camera).depth_m
    half = torch.nn.functional.interpolate(image, (144, 192), mode="area")
    ratio = small.predict(half, camera.resize(192, 144)).depth_m.median() / large.median()
    assert abs(float(ratio) - 1) < 0.03  # resampling alone may move it a little


def test_a_constant_truth_is_learnt_through_the_focal_factor() -> None:
    sample = FCRN(FCRNConfig.small()).example(1, 0)
    factor = focal_factor(sample.camera, FCRNConfig.small().canonical_focal_px)
    fx, fy, _, _ = sample.camera.parameters
    close(factor.flatten(), (fx * fy).sqrt() / 172.8)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 64, 64), r"image: found \(3, 64, 64\)"),
        (torch.rand(1, 1, 64, 64), r"image: found \(1, 1, 64, 64\)"),
        (torch.rand(1, 3, 16, 64), "32 pixels or more"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "uint8"),
        (2 * torch.ones(1, 3, 64, 64), r"values from 2 to 2; expected RGB in \[0, 1\]"),
        (torch.full((1, 3, 64, 64), float("nan")), "values from nan"),
    ],
)
def test_bad_images_are_refused(small: FCRN, image: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small.predict(image, Camera.from_fov(64, 64, 60.0))


def test_a_camera_of_another_size_is_refused(small: FCRN) -> None:
    with pytest.raises(InputError, match=r"camera: found size \(64, 128\)"):
        small.predict(torch.rand(1, 3, 64, 64), Camera.from_fov(128, 64, 60.0))


def test_trunk_weights_must_be_complete(small: FCRN) -> None:
    tensors = {k: v for k, v in small.trunk.state_dict().items() if k != "_conv_stem.weight"}
    with pytest.raises(InputError, match=r"1 tensors missing or misshapen \(_conv_stem.weight"):
        FCRN(FCRNConfig.small()).load_trunk(tensors)


def test_unknown_trunk_is_refused() -> None:
    with pytest.raises(InputError, match="trunk"):
        FCRN.from_preset("small", trunk="vgg")
