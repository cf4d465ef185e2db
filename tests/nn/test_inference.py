"""Networks made ready for prediction give the same numbers, by every method of the table."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from scenewright.engine.table import create, list_methods
from scenewright.nn.inference import Bound, KeptConv2d, KeptLinear, prepare
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
        assert isinstance(network[1], nn.Identity)
        assert isinstance(network[2], Bound)
        close(network(x), expected)


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
