"""The page of the best and the worst items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenewright.data.images import read_image
from scenewright.depth.evaluate import Scores, score
from scenewright.depth.task import DepthSample
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.pipelines.sheet import chosen, median_scaled, relative_error, write_sheet

CAMERA = Camera.from_fov(40, 30, 60.0)


def items(count: int) -> list[DepthSample]:
    depth = torch.linspace(1, 3, 1200).reshape(1, 1, 30, 40)
    image = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    return [DepthSample(image, depth * (1 + k), CAMERA) for k in range(count)]


def bent(sample: DepthSample) -> np.ndarray:
    """The truth, bent the more the farther the item is."""
    truth = sample.depth_m[0, 0].numpy()
    return truth ** np.float32(1 + 0.1 * truth.min())


def scored(errors: list[float]) -> Scores:
    return Scores({}, {}, [({}, {"AbsRel": e}) for e in errors], np.ones(len(errors)), np.ones(len(errors)))


@pytest.mark.parametrize(
    ("errors", "best", "worst"),
    [
        ([0.3], [0], []),
        ([0.3, 0.1], [1, 0], []),
        ([0.5, 0.1, 0.4, 0.2, 0.3], [1, 3, 4, 2], [0]),
        ([0.1 * k for k in range(10)], [0, 1, 2, 3], [9, 8, 7, 6]),
        ([0.2] * 6, [0, 1, 2, 3], [5, 4]),
    ],
)
def test_the_best_and_the_worst_are_disjoint(errors: list[float], best: list[int], worst: list[int]) -> None:
    assert chosen(scored(errors)) == (best, worst)


def test_nothing_measured_is_no_page() -> None:
    with pytest.raises(InputError, match="no item"):
        chosen(scored([]))


def test_error_is_signed_relative_and_unknown_where_truth_is() -> None:
    truth = np.array([[2.0, 4.0, 0.0, 11.0]], np.float32)
    found = relative_error(np.array([[1.0, 5.0, 3.0, 3.0]], np.float32), truth)
    np.testing.assert_allclose(found, [[-0.5, 0.25, np.nan, np.nan]])


def test_scaling_is_that_of_the_figures() -> None:
    """Medians over pixels with truth within the cap alone."""
    truth = np.array([[1.0, 2.0, 3.0, 0.0, 50.0]], np.float32)
    predicted = np.array([[2.0, 4.0, 6.0, 90.0, 90.0]], np.float32)
    np.testing.assert_allclose(median_scaled(predicted, truth)[0, :3], [1, 2, 3])


@pytest.mark.parametrize(("count", "blocks"), [(1, 1), (4, 1), (9, 2)])
def test_page_by_number_of_items(tmp_path: Path, count: int, blocks: int) -> None:
    samples = items(count)
    scores = score({"bent": bent}, samples, 10.0)["bent"]
    write_sheet(tmp_path / "page.png", "bent", bent, samples, scores)
    page = read_image(tmp_path / "page.png")
    assert page.shape[1] == pytest.approx(100 * (8.0 * blocks + 0.3 * (blocks + 1)), abs=2)
    assert (page.reshape(-1, 3).max(1) - page.reshape(-1, 3).min(1)).max() > 100  # colours, not only a white page


def test_other_items_than_those_scored_are_refused(tmp_path: Path) -> None:
    samples = items(5)
    scores = score({"bent": bent}, samples, 10.0)["bent"]
    with pytest.raises(InputError, match="items that were scored"):
        write_sheet(tmp_path / "page.png", "bent", bent, samples[:2], scores)
    assert not list(tmp_path.iterdir())
