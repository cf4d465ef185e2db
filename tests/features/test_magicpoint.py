"""MagicPoint: the sheet's exact checks, and the data it learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from scenewright.features.data import ShapePoints, mark, random_homography, shape_sample
from scenewright.features.magicpoint import MagicPoint, encode, gathered, heat, peaks
from scenewright.features.metrics import transform


def test_a_point_s_cell_and_class() -> None:
    points = torch.zeros(1, 1, 16, 24, dtype=torch.bool)
    points[0, 0, 6, 13] = True
    target, known = encode(points, torch.ones_like(points))
    assert target.argmax(1).tolist() == [[[64, 53, 64], [64, 64, 64]]]
    torch.testing.assert_close(target.amax(1), torch.ones(1, 2, 3))
    assert known.all()


def test_points_of_one_cell_share_it_and_probable_ones_leave_room_for_none() -> None:
    points = torch.zeros(1, 1, 8, 24)
    points[0, 0, 1, 2] = points[0, 0, 7, 0] = 1.0
    points[0, 0, 0, 8] = 0.3
    target, _ = encode(points, torch.ones(1, 1, 8, 24, dtype=torch.bool))
    assert target[0, :, 0, 0].nonzero().flatten().tolist() == [10, 56]
    assert target[0, [10, 56], 0, 0].tolist() == [0.5, 0.5]
    assert target[0, [0, 64], 0, 1].tolist() == pytest.approx([0.3, 0.7])
    torch.testing.assert_close(target.sum(1), torch.ones(1, 1, 3))


def test_a_cell_with_an_unknown_pixel_does_not_count() -> None:
    valid = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    valid[0, 0, 15, 0] = False
    assert encode(~valid, valid)[1].tolist() == [[[True, True], [False, True]]]


def test_heat_puts_a_class_where_its_pixel_is() -> None:
    logits = torch.zeros(1, 65, 15, 20)
    logits[0, 53, 0, 1] = 50.0
    spread = heat(logits)
    assert spread.shape == (1, 1, 120, 160)
    assert spread[0, 0, 6, 13] == pytest.approx(1)
    assert spread[0, 0, 60, 60] == pytest.approx(1 / 65)


def test_uniform_logits_lose_the_logarithm_of_the_number_of_classes() -> None:
    model = MagicPoint.from_preset("paper")
    torch.nn.init.zeros_(model.classify.weight)
    term = model.loss(model.example(2, 0), model.stages("paper")[0])["cells"]
    torch.testing.assert_close(term, torch.full((2,), math.log(65)))


def test_the_network_is_fully_convolutional() -> None:
    model = MagicPoint.from_preset("paper").eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 120, 160)).shape == (1, 65, 15, 20)
        assert model(torch.rand(1, 3, 240, 320)).shape == (1, 65, 30, 40)


def test_odd_sizes_keep_their_size() -> None:
    model = MagicPoint.from_preset("small")
    found = model.predict(torch.rand(2, 3, 67, 41)).heat
    assert found is not None
    assert found.shape == (2, 1, 67, 41)


def test_gathering_adds_up_what_neighbours_share_and_keeps_what_stands_alone() -> None:
    values = torch.zeros(40, 60)
    values[10, 10] = 0.5
    values[20, 31], values[20, 32] = 0.3, 0.3
    found = gathered(values)
    assert found[10, 10] == pytest.approx(0.5)
    assert found[20, 31] == pytest.approx(0.3 * (1 + math.exp(-1 / 4.5)))
    assert found[13, 13] == pytest.approx(0.5 * math.exp(-18 / 4.5))
    assert found[10, 14] == 0
    torch.testing.assert_close(gathered(values.T), found.T)


def test_peaks_suppress_and_keep_one_of_equals() -> None:
    values = torch.zeros(40, 40)
    values[10, 10], values[10, 12], values[30, 30], values[30, 31], values[2, 20] = 0.9, 0.8, 0.5, 0.5, 1.0
    found = peaks(values, 10, 4, 0.1)
    assert found.xy.tolist() == [[10, 10], [30, 30]]
    assert found.score.tolist() == pytest.approx([0.9, 0.5])
    assert len(peaks(values, 1, 4, 0.1)) == 1
    assert len(peaks(values, 10, 4, 0.95)) == 0


def test_it_learns_white_dots() -> None:
    torch.manual_seed(0)
    model = MagicPoint.from_preset("small")
    stage = model.stages("small")[0]
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(200):
        loss = model.loss(model.example(8, step), stage)["cells"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sample = model.example(1, 1000)
    found = model.detect(sample.image, 10, radius_px=2)
    points = sample.points[0, 0].nonzero().flip(1).float()
    assert len(found) >= 5
    assert (torch.cdist(found.xy[:5], points).amin(1) <= 1).float().mean() >= 0.8


def test_draws_follow_the_generator_alone() -> None:
    data = ShapePoints(100)
    first, again = (data.draw(3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.points, again.points)
    assert first.image.shape == (3, 120, 160)
    assert not torch.equal(first.image, data.draw(3, torch.Generator().manual_seed(5)).image)
    assert data.record["kinds"]


def test_warped_points_stay_on_the_corners() -> None:
    """A board seen through a homography has its junctions where the homography takes them: heat of Harris there."""
    import cv2

    hits = []
    for seed in range(8):
        sample = shape_sample(np.random.default_rng(seed), "checkerboard", 0.0, 1.0)
        corner = cv2.cornerMinEigenVal(sample.image[0].numpy(), 5, 3)
        best, typical = cv2.dilate(corner, np.ones((5, 5))), np.median(corner) + 1e-4
        seen = (sample.points & sample.valid)[0].numpy()
        hits += (best[seen] > 10 * typical).tolist()
    assert np.mean(hits) > 0.85


def test_homographies_neither_mirror_nor_fold() -> None:
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [159, 0], [159, 119], [0, 119.0]])
    for _ in range(200):
        mapped = transform(random_homography(rng, (160, 120)), corners)
        edge = np.roll(mapped, -1, 0) - mapped
        turn = edge[:, 0] * np.roll(edge[:, 1], -1) - edge[:, 1] * np.roll(edge[:, 0], -1)
        assert (turn > 0).all()
    np.testing.assert_allclose(random_homography(rng, (160, 120), 0.0), np.eye(3), atol=1e-5)


def test_marking_rounds_and_leaves_out_what_lies_outside() -> None:
    marked = mark(np.array([[1.4, 2.6], [-0.6, 0], [9.6, 0]]), (10, 5))
    assert np.argwhere(marked).tolist() == [[3, 1]]
