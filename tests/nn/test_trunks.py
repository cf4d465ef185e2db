"""Backbones against their definitions: TensorFlow's padding, strides, sizes, counts, ImageNet weights by name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from scenewright.errors import InputError
from scenewright.nn.conv import SameConv2d, conv_relu
from scenewright.nn.efficientnet import EfficientNetLite0, InvertedResidual
from scenewright.nn.resnet import BLOCKS, Bottleneck, ResNet
from scenewright.nn.trunks import RESNETS, build_trunk, load_trunk, normalise, trunk_channels
from tolerances import close

VARIANTS = ("caffe", "torchvision", "tensorflow")


def tensorflow_same(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """As TensorFlow's documentation defines it: pad to (out - 1) stride + kernel, the odd pixel last; then convolve."""
    pads = []
    for size, kernel in zip(x.shape[:1:-1], weight.shape[:1:-1]):  # width first, as F.pad wants it
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, None, stride, 0, 1, groups)


@given(st.integers(1, 13), st.integers(1, 13), st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 2]), st.booleans())
def test_same_padding_is_tensorflow_s(height: int, width: int, kernel: int, stride: int, depthwise: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    groups = 3 if depthwise else 1
    layer = SameConv2d(3, 6, kernel, stride, groups=groups, bias=False).double()
    x = torch.randn(1, 3, height, width, dtype=torch.float64, generator=generator)
    expected = tensorflow_same(x, layer.weight, stride, groups)
    assert layer(x).shape == (1, 6, -(-height // stride), -(-width // stride))
    close(layer(x), expected)


class TestEfficientNet:
    @pytest.mark.parametrize("size", [(64, 96), (65, 97), (33, 40)])
    def test_maps_halve_and_round_up(self, size: tuple[int, int]) -> None:
        with torch.no_grad():
            maps = EfficientNetLite0().eval()(torch.zeros(1, 3, *size))
        for level, (found, channels) in enumerate(zip(maps, EfficientNetLite0.CHANNELS, strict=True), 1):
            assert found.shape == (1, channels, *(-(-n // 2**level) for n in size))

    def test_parameters_by_the_paper_s_table(self) -> None:
        """Table 1 of EfficientNet, B0, without squeeze and excitation: counted from its rows."""
        rows = [
            (16, 1, 3, 1),
            (24, 2, 3, 6),
            (40, 2, 5, 6),
            (80, 3, 3, 6),
            (112, 3, 5, 6),
            (192, 4, 5, 6),
            (320, 1, 3, 6),
        ]
        count, before = 3 * 32 * 9 + 2 * 32, 32
        for channels, repeats, kernel, expand in rows:
            for _ in range(repeats):
                middle = before * expand
                count += (before * middle + 2 * middle) if expand > 1 else 0
                count += middle * kernel**2 + 2 * middle + middle * channels + 2 * channels
                before = channels
        with torch.device("meta"):
            assert sum(p.numel() for p in EfficientNetLite0().parameters()) == count

    def test_a_shortcut_only_where_shapes_stay(self) -> None:
        assert InvertedResidual(8, 8, 3, 1, 6).shortcut
        assert not InvertedResidual(8, 8, 3, 2, 6).shortcut
        assert not InvertedResidual(8, 9, 3, 1, 6).shortcut

    def test_a_block_that_projects_to_nothing_is_its_shortcut(self) -> None:
        block = InvertedResidual(4, 4, 3, 1, 6).eval()
        nn.init.zeros_(block._project_conv.weight)
        x = torch.randn(1, 4, 5, 5)
        assert torch.equal(block(x), x)

    def test_training_in_bf16_computes_depthwise_layers_in_float32(self) -> None:
        """The same gradients to bf16's precision, and float32 kernels in between."""
        torch.manual_seed(0)
        block = InvertedResidual(4, 4, 3, 1, 6)
        seen = []
        block._depthwise_conv.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
        x = torch.randn(2, 4, 6, 6)
        with torch.autocast("cpu", torch.bfloat16):
            block(x).square().mean().backward()
            with torch.no_grad():
                block(x)
        assert seen == [torch.float32, torch.bfloat16]
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in block.parameters())


class TestResNet:
    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("stride", [32, 16, 8])
    def test_maps_keep_the_output_stride(self, variant: str, stride: int) -> None:
        with torch.device("meta"):
            maps = ResNet(50, variant, stride)(torch.zeros(1, 3, 64, 96))  # type: ignore[arg-type]
        for level, (found, channels) in enumerate(zip(maps, ResNet.CHANNELS, strict=True), 1):
            at = min(2**level, stride)
            assert found.shape == (1, channels, 64 // at, 96 // at)

    @pytest.mark.parametrize(("depth", "count"), [(50, 23_508_032), (101, 42_500_160), (152, 58_143_808)])
    def test_parameters_as_published(self, depth: int, count: int) -> None:
        """torchvision's 25,557,032, 44,549,160 and 60,192,808, less the classifier's 2,049,000."""
        with torch.device("meta"):
            assert sum(p.numel() for p in ResNet(depth, "torchvision").parameters()) == count

    def test_dilation_keeps_the_weights_valid(self) -> None:
        with torch.device("meta"):
            names = [{k: v.shape for k, v in ResNet(50, "torchvision", s).state_dict().items()} for s in (32, 16, 8)]
        assert names[0] == names[1] == names[2]

    def test_where_a_block_strides(self) -> None:
        caffe, torchvision = Bottleneck(8, 4, 2, "caffe"), Bottleneck(8, 4, 2, "torchvision")
        assert (caffe.conv1.stride, caffe.conv2.stride) == ((2, 2), (1, 1))
        assert (torchvision.conv1.stride, torchvision.conv2.stride) == ((1, 1), (2, 2))

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_pooling_keeps_a_single_bright_pixel_where_it_is(self, variant: str) -> None:
        """Each form covers it, by windows of three at a stride of two: at most two by two outputs see it."""
        net = ResNet(50, variant)  # type: ignore[arg-type]
        for row in (0, 3, 6):
            x = torch.zeros(1, 1, 7, 7)
            x[0, 0, row, 3] = 1
            assert 1 <= int(net._pool(x).sum()) <= 4

    def test_strides_that_it_does_not_have(self) -> None:
        with pytest.raises(InputError, match="8, 16 or 32"):
            ResNet(50, "caffe", 4)


class TestByName:
    def test_all_names(self) -> None:
        assert len(RESNETS) == len(BLOCKS) * len(VARIANTS)
        with torch.device("meta"):
            for name in ("efficientnet-lite0", "resnet50-caffe", "resnet101-torchvision"):
                trunk, channels = build_trunk(name)
                assert channels == trunk_channels(name)
                assert [m.shape[1] for m in trunk(torch.zeros(1, 3, 64, 64))] == list(channels)

    @pytest.mark.parametrize(("name", "stride"), [("vgg16", 32), ("resnet18-caffe", 32), ("efficientnet-lite0", 16)])
    def test_what_there_is_not(self, name: str, stride: int) -> None:
        with pytest.raises(InputError, match="trunk"):
            build_trunk(name, stride)

    def test_inputs_as_the_weights_were_trained(self) -> None:
        white, black = torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
        close(normalise(white, "efficientnet-lite0"), torch.ones(1, 3, 1, 1))
        close(normalise(black, "efficientnet-lite0"), torch.full((1, 3, 1, 1), -127 / 128))
        close(normalise(white, "resnet50-caffe"), 255 * white)
        means = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
        close(normalise(means, "resnet50-torchvision"), torch.zeros(1, 3, 1, 1))

    def test_weights_load_by_name_and_must_fit(self) -> None:
        torch.manual_seed(0)
        source, target = EfficientNetLite0(), EfficientNetLite0()
        tensors = {**source.state_dict(), "_fc.weight": torch.zeros(3)}
        load_trunk(target, tensors)
        assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values()))
        counters = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
        load_trunk(target, counters)
        for broken in (
            {k: v for k, v in tensors.items() if k != "_bn0.weight"},
            {**tensors, "_bn0.weight": torch.zeros(1)},
        ):
            with pytest.raises(InputError, match=r"1 tensors missing or misshapen \(_bn0\.weight"):
                load_trunk(target, broken)


def test_plain_blocks() -> None:
    layers = conv_relu(2, 3, batch_norm=True)
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "ReLU", "BatchNorm2d"]
    assert nn.Sequential(*conv_relu(2, 3))(torch.randn(1, 2, 5, 7)).shape == (1, 3, 5, 7)
