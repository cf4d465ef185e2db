"""MagicWarp: identity at the start, exact coordinates, and that it can learn a shift."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenewright.errors import InputError
from scenewright.features.data import PointSets, point_set_pair
from scenewright.features.magicwarp import MagicWarp, cells, normaliser
from scenewright.features.metrics import transform
from tolerances import close


@pytest.mark.parametrize("preset", ["paper", "small"])
def test_it_begins_at_the_identity(preset: str) -> None:
    model = MagicWarp.from_preset(preset)
    sample = model.example(2, 0)
    H = model.predict(sample.first, sample.second)
    close(H, torch.eye(3).repeat(2, 1, 1))


def test_normalised_coordinates_end_at_the_outer_pixels() -> None:
    N = normaliser((160, 120)).numpy()
    np.testing.assert_allclose(transform(N, [[0, 0], [159, 119], [79.5, 59.5]]), [[-1, -1], [1, 1], [0, 0]], atol=1e-6)


def test_pixels_of_a_normalised_homography() -> None:
    """A head that answers a known normalised H gives the pixel homography that does the same."""
    model = MagicWarp.from_preset("small")
    Hn = torch.tensor([[0.9, 0.1, 0.05], [-0.08, 1.1, -0.02], [0.03, -0.02, 1.0]])
    with torch.no_grad():
        model.numbers.bias.copy_(2 * Hn.flatten())  # the scale of a homography does not count
    sample = model.example(1, 0)
    H = model.predict(sample.first, sample.second)[0].double().numpy()
    N = normaliser((160, 120)).double().numpy()
    corners = np.array([[0, 0], [159, 0], [159, 119], [0, 119.0]])
    expected = transform(np.linalg.inv(N), transform(Hn.double().numpy(), transform(N, corners)))
    assert np.abs(transform(H, corners) - expected).max() < 1e-3


def test_the_loss_of_the_truth_is_nothing() -> None:
    model = MagicWarp.from_preset("small")
    sample = model.example(1, 3)
    N = normaliser((160, 120))
    with torch.no_grad():
        model.numbers.bias.copy_((N @ sample.H_second_first[0] @ N.inverse()).flatten())
    assert model.loss(sample, model.stages("small")[0])["points"].item() < 1e-5


def test_cells_say_that_they_are_empty() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 3, 9] = 1
    found = cells(image)
    assert found.shape == (1, 65, 2, 2)
    assert found[0, 64].tolist() == [[1, 0], [1, 1]]
    assert found[0, 8 * 3 + 1, 0, 1] == 1


def test_point_sets_correspond() -> None:
    """Without noise every point of the first picture lands on one of the second, or outside."""
    sample = point_set_pair(np.random.default_rng(1), 0.0, 0.0, 0.0, 0.3)
    used = sample.weight > 0
    there = transform(sample.H_second_first.numpy(), sample.xy[used].numpy()).round().astype(int)
    assert used.sum() >= 5
    assert (sample.second[0].numpy()[there[:, 1], there[:, 0]] == 1).all()


def test_false_points_are_half_where_asked_for() -> None:
    rng = np.random.default_rng(0)
    clean = [point_set_pair(rng, 0.0, 0.0, 0.0, 0.0).first.sum().item() for _ in range(60)]
    noisy = [point_set_pair(rng, 0.0, 0.5, 0.0, 0.0).first.sum().item() for _ in range(60)]
    assert np.mean(noisy) / np.mean(clean) == pytest.approx(2, rel=0.15)


def test_draws_follow_the_generator_alone() -> None:
    data = PointSets(10)
    first, again = (data.draw(0, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.first, again.first)
    assert torch.equal(first.H_second_first, again.H_second_first)
    assert data.record["false"] == 0.5


def test_a_wrong_size_is_refused() -> None:
    model = MagicWarp.from_preset("small")
    with pytest.raises(InputError, match="point image"):
        model.predict(torch.zeros(1, 1, 120, 152), torch.zeros(1, 1, 120, 160))
