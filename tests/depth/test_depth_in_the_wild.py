"""The inception hourglass against the published counts, and what its map means."""

import pytest
import torch
from torch import nn

from scenewright.depth.depth_in_the_wild import (
    DepthInTheWild,
    DepthInTheWildConfig,
    Inception,
    hourglass,
    standardise,
)
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from tolerances import close

COUNTS = {  # block -> (in, out, inner, kernels), parameters
    "A": ((128, 64, 64, (3, 7, 11)), 210_176),
    "A of the decoder": ((128, 64, 32, (3, 7, 11)), 106_144),
    "B": ((128, 128, 32, (3, 5, 7)), 101_600),
    "C": ((128, 128, 64, (3, 7, 11)), 395_584),
    "D": ((128, 256, 32, (3, 5, 7)), 190_816),
    "E": ((256, 256, 32, (3, 5, 7)), 211_296),
    "F": ((256, 256, 64, (3, 7, 11)), 799_168),
    "G": ((256, 128, 32, (3, 5, 7)), 117_984),
}


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_of_a_block(name: str) -> None:
    arguments, expected = COUNTS[name]
    with torch.device("meta"):
        assert parameters(Inception(*arguments)) == expected


def test_parameters_of_the_whole() -> None:
    with torch.device("meta"):
        model = DepthInTheWild(DepthInTheWildConfig.paper())
        assert parameters(model.hourglass) == 5_533_984
        assert parameters(model.stem) == 19_200
        assert parameters(model.head) == 577
        assert parameters(model) == 5_553_761
        assert model(torch.zeros(1, 3, 240, 320)).shape == (1, 1, 240, 320)
        assert model(torch.zeros(1, 3, 272, 320)).shape == (1, 1, 272, 320)
        with pytest.raises(InputError, match="multiples of 16"):
            model(torch.zeros(1, 3, 250, 320))


def test_instances_of_every_block_and_of_every_pooling() -> None:
    with torch.device("meta"):
        net = hourglass()
    counts = sorted(parameters(m) for m in net.modules() if isinstance(m, Inception))
    wanted = {"A": 1, "A of the decoder": 1, "B": 4, "C": 2, "D": 1, "E": 10, "F": 2, "G": 1}
    assert counts == sorted(COUNTS[name][1] for name, times in wanted.items() for _ in range(times))
    pools = [type(m).__name__ for m in net.modules() if isinstance(m, nn.MaxPool2d | nn.AvgPool2d)]
    assert pools == ["MaxPool2d", "MaxPool2d", "AvgPool2d", "AvgPool2d"]  # from the outside in


def test_norms_inside_blocks_have_no_parameters_the_stem_s_has() -> None:
    block = Inception(16, 16, 4, (3, 5, 7))
    assert all(m.weight is None for m in block.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(m.bias is not None for m in block.modules() if isinstance(m, nn.Conv2d))
    assert "1.weight" in DepthInTheWild(DepthInTheWildConfig.small()).stem.state_dict()


def test_a_block_equals_its_four_branches_run_apart() -> None:
    torch.manual_seed(0)
    block = Inception(8, 16, 3, (3, 5, 7)).double().train()
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)

    def unit(y: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(nn.functional.batch_norm(y, None, None, training=True))

    reduce = block.reduce[0]
    weights, biases = reduce.weight.split(block.splits), reduce.bias.split(block.splits)
    branches = [unit(nn.functional.conv2d(x, w, b)) for w, b in zip(weights, biases, strict=True)]
    for at, branch in enumerate(block.branches, 1):
        branches[at] = unit(branch[0](branches[at]))
    close(block(x), torch.cat(branches, 1))


def test_depth_is_relative_and_standardised() -> None:
    torch.manual_seed(0)
    model = DepthInTheWild(DepthInTheWildConfig.small()).eval()
    prediction = model.predict(torch.rand(2, 3, 60, 90), Camera.from_fov(90, 60, 60.0))
    assert prediction.depth_m.shape == (2, 1, 60, 90)
    assert not prediction.metric
    assert model.card.scale == "unknown"
    assert float(prediction.depth_m.min()) > 0


def test_a_standardised_map_has_the_mean_and_deviation_asked_for() -> None:
    torch.manual_seed(0)
    depth = standardise(torch.rand(3, 1, 20, 30, dtype=torch.float64), 2.84, 0.61)  # no value 3 deviations below
    close(depth.mean((1, 2, 3)), torch.full((3,), 2.84, dtype=torch.float64))
    close(depth.std((1, 2, 3), correction=0), torch.full((3,), 0.61, dtype=torch.float64))


def test_standardising_keeps_the_order_and_knows_no_scale() -> None:
    torch.manual_seed(0)
    z = torch.randn(2, 1, 20, 30, dtype=torch.float64)
    depth = standardise(z, 2.84, 0.61)
    close(depth, standardise(7 * z - 3, 2.84, 0.61))
    assert torch.equal(depth[0].flatten().argsort(), z[0].flatten().argsort())
    z[0, 0, 0, 0] = -1e4
    outlier = standardise(z, 2.84, 0.61)
    assert float(outlier.min()) > 0
    assert float(outlier[0, 0, 0, 0] - outlier[0, 0].flatten()[1:].min()) == pytest.approx(1e-5)
    close(standardise(torch.ones(1, 1, 4, 4), 2.84, 0.61), torch.full((1, 1, 4, 4), 2.84))


def test_the_ordinal_map_is_the_network_s_own_at_the_picture_s_size() -> None:
    torch.manual_seed(0)
    method = DepthInTheWild(DepthInTheWildConfig.small()).eval()
    image = torch.rand(2, 3, 96, 128)  # the network's own size
    with torch.no_grad():
        close(method.ordinal_map(image), method(image))
    assert method.ordinal_map(torch.rand(1, 3, 50, 70)).shape == (1, 1, 50, 70)
    predicted = method.predict(image, Camera.from_fov(128, 96, 60.0)).depth_m
    close(predicted, standardise(method.ordinal_map(image), method.config.mean_m, method.config.deviation_m))
    with pytest.raises(InputError, match="image"):
        method.ordinal_map(image[0])
