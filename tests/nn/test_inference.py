"""Networks made ready for prediction give the same numbers, by every method of the table."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from scenewright.engine.table import create, list_methods
from scenewright.nn.conv import SameConv2d
from scenewright.nn.inference import prepare
from scenewright.nn.kept import Bound, Halves, KeptConv2d, KeptLinear, KeptUpConv
from scenewright.nn.upprojection import UpProjection
from tolerances import close


def stirred(module: nn.Module) -> nn.Module:
    """Norms with statistics that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(3)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low in ((norm.running_mean, -0.3), (norm.running_var, 0.7)):
                values.copy_(low + 0.6 * torch.rand(values.shape, generator=generator))
    return module.eval()


def bf16_is_fast() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Shared(nn.Module):
    """A convolution whose output goes two ways, one that is used twice, and a norm in front of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.norm, self.before, self.last = (nn.BatchNorm2d(4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(self.before(x))
        y = self.norm(self.two(self.two(y)))
        return self.last(self.three(y))


def test_only_norms_behind_a_convolution_of_their_own_are_folded() -> None:
    torch.manual_seed(0)
    network, x = stirred(Shared()), torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        expected = network(x)
        assert prepare(network, lambda: network(x)) == 1
        close(network(x), expected)
    assert isinstance(network.before, nn.BatchNorm2d)
    assert isinstance(network.norm, nn.BatchNorm2d)
    assert isinstance(network.last, nn.Identity)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True)])
def test_a_relu_between_them_becomes_a_bound(activation: nn.Module) -> None:
    """g relu(z) + c, also where g is negative and where the bound is padding's neighbour."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 1), activation, nn.BatchNorm2d(6), nn.Conv2d(6, 3, 3, padding=1))
    nn.init.uniform_(network[2].weight, -1, 1)
    nn.init.uniform_(network[2].bias, -1, 1)
    stirred(network)
    x = torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        expected = network(x)
        assert (network[2].weight < 0).any()
        assert prepare(network, lambda: network(x)) == 1
        assert [type(module) for module in network] == [KeptConv2d, Bound, KeptConv2d]
        close(network(x), expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (2, 3)])
def test_halves_are_the_pooling(layout: torch.memory_format, size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    expected = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    before = x.clone()
    assert torch.equal(Halves(2, ceil=False, over=False)(x), expected)
    assert torch.equal(x, before)
    assert torch.equal(Halves(2, ceil=False, over=True)(x), expected)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (3, 4), (5, 3), (64, 33)])
def test_so_are_those_of_three(ceil: bool, size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    before = x.clone()
    assert torch.equal(Halves(3, ceil, over=True)(x), nn.functional.max_pool2d(x, 3, 2, ceil_mode=ceil))
    assert torch.equal(x, before)


@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm2d(6)])
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 1, 1)])
@pytest.mark.parametrize("inplace", [False, True])
def test_maxima_go_before_bounds(norm: nn.Module, pool: nn.MaxPool2d, inplace: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(inplace), copy.deepcopy(norm), pool, nn.Conv2d(6, 2, 1))
    if isinstance(network[2], nn.BatchNorm2d):
        nn.init.uniform_(network[2].weight, -1, 1)  # negative gains bound from above
        nn.init.uniform_(network[2].bias, -1, 1)
    stirred(network)
    x = torch.rand(2, 4, 13, 11)
    with torch.no_grad():
        expected = network(x)
        prepare(network, lambda: network(x))
        close(network(x), expected)
    chain = [type(module) for module in network]
    bound = [Bound] if isinstance(norm, nn.BatchNorm2d) else []  # a ReLU alone is the convolution's
    assert all(module.over == (module.kernel == 2) for module in network if isinstance(module, Halves))
    assert chain == [KeptConv2d, Halves if pool.stride == 2 else nn.MaxPool2d, *bound, KeptConv2d]


def test_a_pooling_does_not_write_over_what_another_also_reads() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)).eval(), torch.rand(1, 4, 8, 8)
    before = x.clone()
    with torch.no_grad():
        prepare(network, lambda: network(x))
        network(x)
    assert isinstance(network[0], Halves)
    assert torch.equal(x, before)


@pytest.mark.parametrize("activation", [nn.LeakyReLU(), nn.Sigmoid(), nn.ELU(inplace=True)])
def test_another_activation_between_them_keeps_a_norm(activation: nn.Module) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 4, 1), activation, nn.BatchNorm2d(4))
    stirred(network)
    x = torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        expected = network(x)
        assert prepare(network, lambda: network(x)) == 0
        close(network(x), expected)


def test_a_relu_that_serves_two_convolutions_keeps_the_norm() -> None:
    torch.manual_seed(0)
    relu = nn.ReLU(inplace=True)
    network = stirred(nn.Sequential(nn.Conv2d(4, 4, 1), relu, nn.Conv2d(4, 4, 1), relu, nn.BatchNorm2d(4)))
    x = torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        expected = network(x)
        assert prepare(network, lambda: network(x)) == 0
        close(network(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(inplace=True), nn.Hardtanh(-0.2, 0.3)])
@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm2d(6)])
def test_an_activation_goes_into_the_convolution(dtype: torch.dtype, activation: nn.Module, norm: nn.Module) -> None:
    """Packed for the first size, right for others; where oneDNN has no such type, as torch computes it."""
    torch.manual_seed(0)
    chain = stirred(nn.Sequential(SameConv2d(4, 6, 3, 2), copy.deepcopy(norm), activation, nn.Conv2d(6, 2, 1)))
    sizes = [(9, 12), (8, 7), (3, 4), (31, 30)]
    pictures = [torch.randn(2, 4, *size, dtype=torch.float64).to(dtype).double() for size in sizes]
    with torch.no_grad():
        expected = [chain.double()(x) for x in pictures]
        prepare(chain.to(dtype), lambda: [chain(x.to(dtype)) for x in pictures])
        assert [type(module) for module in chain] == [KeptConv2d, KeptConv2d]
        for x, y in zip(pictures, expected, strict=True):
            if dtype == torch.bfloat16:
                torch.testing.assert_close(chain(x.to(dtype)).double(), y, rtol=0.05, atol=0.05)
            else:
                close(chain(x.to(dtype)), y.to(dtype))
        packed = chain[0]._kept[dtype][0].is_mkldnn
        assert packed == (dtype == torch.float32 or (dtype == torch.bfloat16 and bf16_is_fast()))


@pytest.mark.parametrize("activation", [nn.ELU(), nn.Sigmoid(), nn.GELU()])
def test_an_activation_that_it_does_not_know_stays(activation: nn.Module) -> None:
    torch.manual_seed(0)
    chain, x = nn.Sequential(nn.Conv2d(4, 6, 3), activation), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        expected = chain(x)
        prepare(chain, lambda: chain(x))
        close(chain(x), expected)
    assert chain[1] is activation


def test_a_convolution_that_pads_otherwise_is_left_alone() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect")
    chain, x = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(6, 2, 1)), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        expected = chain(x)
        prepare(chain, lambda: chain(x))
        close(chain(x), expected)
    assert chain[0] is conv


class Twice(nn.Module):
    """A ReLU of its own behind each of two convolutions, one of which another convolution reads, too."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x)
        return self.two(y) + self.relu1(y) + self.relu2(self.three(x))


def test_an_activation_of_what_another_convolution_also_reads_stays() -> None:
    torch.manual_seed(0)
    network, x = Twice(), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        expected = network(x)
        prepare(network, lambda: network(x))
        close(network(x), expected)
    assert isinstance(network.relu1, nn.ReLU)
    assert isinstance(network.relu2, nn.Identity)


def test_an_up_convolution_takes_its_activation_along() -> None:
    torch.manual_seed(0)
    block, x = stirred(UpProjection(6, 4)), torch.rand(1, 6, 5, 7)
    with torch.no_grad():
        expected = block(x)
        prepare(block, lambda: block(x))
        close(block(x), expected)
    assert isinstance(block.up1, KeptUpConv)
    assert isinstance(block.relu1, nn.Identity)


def test_a_pair_that_is_used_at_several_sizes_is_folded_once() -> None:
    torch.manual_seed(0)
    network = stirred(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)))
    sizes = [torch.rand(1, 4, n, n) for n in (8, 6, 3)]
    with torch.no_grad():
        expected = [network(x) for x in sizes]
        assert prepare(network, lambda: [network(x) for x in sizes]) == 1
        for x, y in zip(sizes, expected, strict=True):
            close(network(x), y)


def test_an_up_projection_in_float64() -> None:
    torch.manual_seed(0)
    block, x = stirred(UpProjection(6, 4).double()), torch.rand(1, 6, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        expected = block(x)
        assert prepare(block, lambda: block(x)) == 3
        close(block(x), expected)


@pytest.mark.parametrize(
    ("kept", "trained", "shape"),
    [(KeptConv2d, nn.Conv2d(3, 5, 3, stride=2, padding=1), (1, 3, 9, 9)), (KeptLinear, nn.Linear(7, 4), (2, 7))],
)
def test_kernels_are_cast_once_and_again_after_a_move(
    kept: type[KeptConv2d | KeptLinear], trained: nn.Module, shape: tuple[int, ...]
) -> None:
    conv = copy.deepcopy(trained)
    kept, x = kept(conv), torch.rand(shape)
    with torch.inference_mode():
        close(kept(x), conv(x))
        with torch.autocast("cpu", torch.bfloat16):
            assert kept(x).dtype == torch.bfloat16
            first = kept._kept[torch.bfloat16][0]
            close(kept(x), conv(x))
            assert kept._kept[torch.bfloat16][0] is first
    kept.double()
    assert kept._kept == {}
    assert kept(x.double()).dtype == torch.float64


@pytest.mark.parametrize("name", [*list_methods("depth"), *list_methods("focus")])
def test_every_depth_method_says_the_same(name: str) -> None:
    torch.manual_seed(0)
    method: Any = stirred(create(name, "small"))
    sample = method.example(1, 0)
    given = [getattr(sample, "stack", None)] if method.card.task == "focus" else [sample.image]
    rest = [sample.focus_m] if method.card.task == "focus" else []
    expected = method.predict(*given, sample.camera, *rest).depth_m
    prepare(method, lambda: method(*given))
    found = method.predict(*given, sample.camera, *rest).depth_m
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)  # sums are taken in another order, then exp


@pytest.mark.parametrize(("name", "norms"), [("magicpoint", 9), ("ucn", 5)])
def test_maps_of_features_are_the_same(name: str, norms: int) -> None:
    torch.manual_seed(0)
    method: Any = stirred(create(name, "small"))
    image = torch.rand(1, 3, 77, 99)
    expected = method.predict(image)
    assert prepare(method, lambda: method.predict(image)) == norms
    found = method.predict(image)
    for field in ("heat", "descriptors"):
        if getattr(expected, field) is not None:
            close(getattr(found, field), getattr(expected, field))
