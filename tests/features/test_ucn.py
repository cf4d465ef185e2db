"""UCN: shapes and counts of the sheet, the transformer against plain convolutions, the loss by hand, positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scenewright.features.data import HomographicPairs, Pictures, homographic_pair
from scenewright.features.task import CorrespondenceSample, Features
from scenewright.features.ucn import UCN, TransformerConv, _corners, _gathered, read
from scenewright.geometry.sampling import sample_at
from tolerances import close


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_counts_with_and_without_transformers() -> None:
    assert parameters(UCN.from_preset("paper")) == 1_124_712
    assert parameters(UCN.from_preset("paper", transform=False)) == 1_118_688
    assert parameters(UCN.from_preset("small", transform=False)) == 141_552
    assert parameters(TransformerConv(96, 208, 3).localise) == 4_292
    assert parameters(TransformerConv(16, 48, 5).localise) == 1_732


@pytest.mark.parametrize(("preset", "channels"), [("paper", 128), ("small", 64)])
@torch.no_grad()
def test_maps_are_of_stride_4_and_unit_length(preset: str, channels: int) -> None:
    maps = UCN.from_preset(preset).eval()(torch.rand(1, 3, 64, 96))
    assert maps.shape[:2] == (1, channels)
    assert abs(maps.shape[2] - 16) <= 1
    assert abs(maps.shape[3] - 24) <= 1
    close(maps.norm(dim=1), torch.ones_like(maps[:, 0]))


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_identity_transformer_is_a_padded_convolution(kernel: int) -> None:
    torch.manual_seed(0)
    layer, x = TransformerConv(5, 7, kernel), torch.randn(2, 5, 9, 11)
    close(layer(x), layer.conv(x))


def test_a_quarter_turn_permutes_the_samples() -> None:
    """A = rotation by 90 degrees at every place: the kernel turned the other way, applied plainly."""
    torch.manual_seed(1)
    layer, x = TransformerConv(4, 6, 3), torch.randn(1, 4, 12, 12)
    with torch.no_grad():  # delta = R - 1, R = [[0, -1], [1, 0]]
        layer.localise[-1].bias.copy_(torch.tensor([-1.0, -1.0, 1.0, -1.0]))
    # sample o = (x, y) is read at R o = (-y, x): the weight of o belongs to the place R o
    turned = torch.rot90(layer.conv.weight, -1, (2, 3))
    expected = F.conv2d(x, turned, layer.conv.bias, padding=1)
    close(layer(x)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_samples_gathered_are_samples_read() -> None:
    """`sample_at` reads the same, in float64 and where much lies outside, and both have the same gradients."""
    g = torch.Generator().manual_seed(4)
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, generator=g, requires_grad=True)
    where = (12 * torch.rand(2, 5, 4, 9, 2, dtype=torch.float64, generator=g) - 3).requires_grad_()
    found = _gathered(*_corners(x, *where.unbind(-1)))
    expected = sample_at(x, where.flatten(2, 3))[0].unflatten(3, (4, 9)).permute(0, 2, 3, 4, 1)
    close(found, expected)
    weight = torch.randn(found.shape, dtype=torch.float64, generator=g)
    gradients = [torch.autograd.grad((y * weight).sum(), (x, where)) for y in (found, expected)]
    for a, b in zip(*gradients):
        close(a, b)


def test_samples_gathered_in_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    layer, x = TransformerConv(3, 4, 3), torch.randn(2, 3, 7, 6, requires_grad=True)
    nn.init.normal_(layer.localise[-1].weight)
    whole = layer(x)
    (expected,) = torch.autograd.grad(whole.square().sum(), x)
    for piece in (1, 5 * 9 * 3):
        monkeypatch.setattr("scenewright.features.ucn.PIECE", piece)
        close(layer(x), whole)
        close(torch.autograd.grad(layer(x).square().sum(), x)[0], expected)


def test_gradients_of_the_transformer() -> None:
    torch.manual_seed(2)
    layer = TransformerConv(2, 2, 3).double()
    with torch.no_grad():
        layer.localise[-1].bias.copy_(torch.tensor([0.13, 0.07, -0.11, 0.21]))
    layer.matrices = lambda x: (  # type: ignore[method-assign]  # in float64, which the layer itself does not keep
        layer.localise(x).unflatten(1, (2, 2)).permute(1, 0, 3, 4, 2) + torch.eye(2, dtype=x.dtype)[:, None, None, None]
    )
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    weight = layer.conv.weight.detach().clone().requires_grad_()

    def run(w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer.conv, {"weight": w}, (x,))

    assert torch.autograd.gradcheck(run, (weight,))


def test_the_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sheet's example: a match at distance .5, wrong pairs at .5 and 2, margin 1."""
    model = UCN.from_preset("small", hard=False)
    sample = CorrespondenceSample(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), *[
        torch.tensor([[[0.0, 0.0], [40.0, 0.0]]])] * 2)  # fmt: skip
    far = iter([torch.tensor([[0.5, 0.5]]), torch.tensor([[0.5, 2.0]])])
    monkeypatch.setattr("scenewright.features.ucn._distance", lambda a, b: next(far))
    terms = model.loss(sample, model.stages("small")[0])
    assert terms["positive"].item() == pytest.approx(0.125)
    assert terms["negative"].item() == pytest.approx(0.0625)


def test_negatives_beyond_the_margin_have_no_gradient_and_near_ones_do_not_count() -> None:
    model = UCN.from_preset("small", margin=1e-4)
    sample = model.example(2, 0)
    terms = model.train().loss(sample, model.stages("small")[0])
    gradient = torch.autograd.grad(terms["negative"].sum(), model.network[0].weight, allow_unused=True)[0]
    assert terms["negative"].max() < 1e-8
    assert gradient is None or gradient.abs().max() < 1e-4
    a, b = (xy[:, :1].expand(-1, 24, -1) for xy in (sample.xy_first, sample.xy_second))
    still = CorrespondenceSample(sample.first, sample.second, a, b)
    plain = UCN.from_preset("small", hard=False)
    assert (plain.loss(still, plain.stages("small")[0])["negative"] == 0).all()  # the shifted truth is the truth


def test_a_place_s_feature_lies_at_four_times_its_cell() -> None:
    maps = torch.zeros(1, 2, 8, 8)
    maps[0, 0, 3, 5] = 1
    maps[0, 1] = 1 - maps[0, 0]
    assert read(maps, torch.tensor([[[20.0, 12.0]]]))[0, 0].tolist() == pytest.approx([1, 0])
    assert read(maps, torch.tensor([[[12.0, 20.0]]]))[0, 0].tolist() == pytest.approx([0, 1])


@torch.no_grad()
def test_an_impulse_shows_where_it_lies() -> None:
    """The centre of what a dot changes in the map is the dot's own place."""
    torch.manual_seed(0)
    for preset in ("paper", "small"):
        model = UCN.from_preset(preset, transform=False).eval()
        blank = torch.full((1, 3, 96, 96), 0.5)
        dot = blank.clone()
        dot[..., 48, 40] = 1
        change = (model.network(dot.mean(1, True).expand(-1, 3 if preset == "paper" else 1, -1, -1))
                  - model.network(blank.mean(1, True).expand(-1, 3 if preset == "paper" else 1, -1, -1)))  # fmt: skip
        weight = change.norm(dim=1)[0] > 1e-7
        rows, columns = weight.nonzero(as_tuple=True)
        middle = 4 * torch.stack([columns.float().mean(), rows.float().mean()])
        assert (middle - torch.tensor([40.0, 48.0])).abs().max() <= 2.1, preset


@torch.no_grad()
def test_the_same_picture_corresponds_to_itself() -> None:
    torch.manual_seed(0)
    model, image = UCN.from_preset("small"), torch.rand(1, 3, 64, 64)
    xy = torch.tensor([[8.0, 12.0], [32.0, 40.0], [52.0, 20.0]])
    place, cosine = model.correspond(image, xy, image)
    close(place, xy)
    close(cosine, torch.ones(3))
    described = model.describe(image, Features((64, 64), xy, torch.ones(3)))
    assert described.descriptors is not None
    assert described.descriptors.shape == (3, 64)


def blobs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    import cv2

    image = cv2.GaussianBlur(rng.uniform(0, 255, (180, 240, 3)).astype(np.float32), (0, 0), 3)
    return np.clip((image - image.mean()) * 6 + 128, 0, 255).astype(np.uint8)


def test_homographic_views_show_the_same_at_their_points() -> None:
    pictures = Pictures(10, blobs, "blobs")
    pair = homographic_pair(pictures, np.random.default_rng(0), 128, 20, 200)
    assert pair.first.shape == pair.second.shape == (3, 128, 128)
    views = [F.avg_pool2d(v[None].mean(1, True), 5, 1, 2) for v in (pair.first, pair.second)]
    values = [v[0, 0][xy[:, 1].round().long(), xy[:, 0].round().long()] for v, xy in
              zip(views, (pair.xy_first, pair.xy_second))]  # fmt: skip
    assert torch.corrcoef(torch.stack(values))[0, 1] > 0.9
    data = HomographicPairs(pictures, 10)
    first, again = (data.draw(0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.second, again.second)
    assert torch.equal(first.xy_second, again.xy_second)
