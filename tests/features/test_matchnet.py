"""MatchNet: the sheet's shapes and exact checks; patches; the pairs it learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from scenewright.errors import InputError
from scenewright.features.baselines import Sift
from scenewright.features.data import PatchPairs, Pictures, joined, patch_pair
from scenewright.features.matchnet import MatchNet
from scenewright.features.patches import cut
from scenewright.features.task import Features
from tolerances import close


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 9_674_738),
        ({"bottleneck": 512, "hidden": 512}, 3_119_602),
        ({"bottleneck": 128, "hidden": 512}, 1_153_138),
        ({"bottleneck": 64, "hidden": 1024}, 1_679_410),
    ],
)
def test_published_sizes(options: dict[str, int], count: int) -> None:
    model = MatchNet.from_preset("paper", **options)
    assert parameters(model.tower) == 233_456
    assert parameters(model) == count


def test_the_small_one_has_the_sheet_s_size() -> None:
    assert parameters(MatchNet.from_preset("small")) == 124_858


def test_pooling_windows_hang_over_the_far_edge() -> None:
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    pool = next(m for m in MatchNet.from_preset("paper").tower if isinstance(m, nn.MaxPool2d))
    assert pool(ramp)[0, 0].tolist() == [[10, 11], [14, 15]]


def test_features_of_the_paper_have_4096_numbers() -> None:
    assert MatchNet.from_preset("paper").features(torch.rand(2, 1, 64, 64)).shape == (2, 4096)


def test_zero_logits_lose_ln_2() -> None:
    model = MatchNet.from_preset("small")
    nn.init.zeros_(model.metric3.weight)
    term = model.loss(model.example(4, 0), model.stages("small")[0])["pairs"]
    torch.testing.assert_close(term, torch.full((4,), math.log(2)))


def test_the_order_of_a_pair_counts_in_the_network_but_not_in_matching() -> None:
    model = MatchNet.from_preset("small")
    a, b = (model.features(torch.rand(5, 1, 64, 64)) for _ in range(2))
    assert not torch.allclose(model.logits(a, b), model.logits(b, a))
    close(model.scores(a, b), model.scores(b, a).T)


@torch.no_grad()
def test_the_split_first_layer_scores_like_the_whole_one() -> None:
    model = MatchNet.from_preset("small")
    a, b = model.features(torch.rand(3, 1, 64, 64)), model.features(torch.rand(4, 1, 64, 64))
    table = model.scores(a, b)
    for i in range(3):
        for j in range(4):
            one, two = model.logits(a[i : i + 1], b[j : j + 1]), model.logits(b[j : j + 1], a[i : i + 1])
            direct = (one[0, 1] - one[0, 0] + two[0, 1] - two[0, 0]) / 2
            close(table[i, j], direct)


def test_matching_takes_pairs_that_prefer_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MatchNet.from_preset("small")
    table = torch.tensor([[3.0, 1.0, -1.0], [2.0, 0.5, -2.0], [-3.0, -1.0, -0.5]])
    monkeypatch.setattr(model, "scores", lambda a, b: table)
    some = Features((64, 64), torch.zeros(3, 2), torch.zeros(3), descriptors=torch.zeros(3, 64))
    found = model.match(some, some)
    assert found.pairs.tolist() == [[0, 0]]  # row 2 prefers column 2 and is preferred, but says "not the same"
    assert found.score.item() == pytest.approx(1 / (1 + math.exp(-3)))


def test_it_refuses_another_method_s_descriptors() -> None:
    some = Features((64, 64), torch.zeros(3, 2), torch.zeros(3), descriptors=torch.zeros(3, 128))
    with pytest.raises(InputError, match="another method"):
        MatchNet.from_preset("small").match(some, some)


def test_describing_fills_the_descriptors_and_keeps_the_rows() -> None:
    image = torch.rand(1, 3, 96, 96)
    model = MatchNet.from_preset("small")
    found = Sift().detect(image, 20)
    described = model.describe(image, found)
    assert described.descriptors is not None
    assert described.descriptors.shape == (len(found), 64)
    assert torch.equal(described.xy, found.xy)
    assert len(model.describe(image, found[:0])) == 0


def test_a_patch_is_the_picture_around_its_point() -> None:
    image = torch.rand(1, 1, 64, 64).expand(-1, 3, -1, -1)
    features = Features((64, 64), torch.tensor([[31.5, 31.5]]), torch.ones(1), torch.tensor([16.0]))
    close(cut(image, features, 32)[0, 0], image[0, 0, 16:48, 16:48])


def blocks(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.full((180, 240, 3), 128, np.uint8)
    for _ in range(60):
        x, y, s = rng.integers(0, 220), rng.integers(0, 160), rng.integers(6, 30)
        image[y : y + s, x : x + s] = rng.integers(0, 256, 3)
    return image


def test_matching_patches_look_more_alike_than_others() -> None:
    pictures = Pictures(20, blocks, "blocks")

    def alike(same: bool) -> float:
        values = []
        for seed in range(40):
            pair = patch_pair(pictures, np.random.default_rng(seed), same)
            a, b = (torch.nn.functional.avg_pool2d(p, 8).flatten() for p in (pair.first, pair.second))
            values.append(torch.corrcoef(torch.stack([a, b]))[0, 1].item())
        return float(np.mean(values))

    assert alike(True) > alike(False) + 0.4


def test_draws_follow_the_generator_and_alternate() -> None:
    data = PatchPairs(Pictures(20, blocks, "blocks"), 100)
    first, again = (data.draw(2, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first.second, again.second)
    assert first.same == 1
    assert data.draw(3, torch.Generator().manual_seed(1)).same == 0
    assert first.first.shape == (1, 64, 64)
    assert "blocks" in data.record["description"]


def test_a_picture_without_corners_is_passed_over() -> None:
    pictures = Pictures(2, lambda i: blocks(0) if i else np.zeros((180, 240, 3), np.uint8), "half empty")
    for seed in range(5):
        assert patch_pair(pictures, np.random.default_rng(seed), True).first.std() > 0


def test_joined_sources_come_up_equally_often() -> None:
    def plain(value: int) -> np.ndarray:
        return np.full((1, 1, 3), value, np.uint8)

    both = joined([Pictures(1, lambda i: plain(7), "a"), Pictures(9, plain, "b")])
    values = [int(both.get(i)[0, 0, 0]) for i in range(both.count)]
    assert values[::2] == [7] * 9
    assert sorted(values[1::2]) == list(range(9))
