"""Nearest-neighbour matching against brute force, and the classical features behind the common roles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.features import metrics
from scenewright.features.baselines import Corners, Orb, Patches, Sift
from scenewright.features.matching import distances, match, nearest
from scenewright.features.task import Describer, Detector, Features


def described(descriptors: torch.Tensor) -> Features:
    n = len(descriptors)
    return Features((64, 64), torch.zeros(n, 2), torch.zeros(n), descriptors=descriptors)


def test_hamming_distance_counts_bits() -> None:
    a = torch.tensor([[0b1011, 0]], dtype=torch.uint8)
    b = torch.tensor([[0b0010, 255], [0b1011, 0]], dtype=torch.uint8)
    assert distances(a, b).tolist() == [[10, 0]]


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_mutual_matches_equal_brute_force(seed: int, n: int, m: int, bits: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    make = (lambda k: torch.randint(0, 256, (k, 4), generator=g, dtype=torch.uint8)) if bits else (
        lambda k: torch.randn(k, 3, generator=g))  # fmt: skip
    a, b = make(n), make(m)
    far = distances(a, b)
    expected = [
        (i, j) for i in range(n) for j in range(m) if far[i].argmin() == j and far[:, j].argmin() == i
    ]  # fmt: skip
    unique = all(len(far[i].unique()) == m for i in range(n)) and all(len(far[:, j].unique()) == n for j in range(m))
    if unique:  # equal distances may be broken either way
        assert [tuple(p) for p in match(described(a), described(b)).pairs.tolist()] == expected


def test_the_ratio_test_drops_what_has_a_rival() -> None:
    a = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    b = torch.tensor([[0.1, 0.0], [10.0, 1.0], [10.0, -1.05]])
    assert match(described(a), described(b), ratio=0.8).pairs.tolist() == [[0, 0]]
    assert match(described(a), described(b)).pairs.tolist() == [[0, 0], [1, 1]]


def test_a_single_candidate_passes_the_ratio_test() -> None:
    assert len(match(described(torch.zeros(1, 2)), described(torch.ones(1, 2)), ratio=0.8)) == 1


def test_nothing_matches_nothing() -> None:
    assert len(match(described(torch.zeros(0, 2)), described(torch.ones(3, 2)))) == 0


def test_descriptors_must_be_there_and_alike() -> None:
    bare = Features((64, 64), torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(InputError, match="no descriptors"):
        match(bare, described(torch.zeros(1, 2)))
    with pytest.raises(InputError, match="two of one kind"):
        match(described(torch.zeros(1, 2)), described(torch.zeros(1, 3)))
    with pytest.raises(InputError, match="2 rows"):
        Features((64, 64), torch.zeros(1, 2), torch.zeros(2))


def picture(seed: int = 0) -> torch.Tensor:
    """Blurred noise with squares: corners at many scales."""
    import cv2

    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.uniform(0, 1, (128, 160, 3)).astype(np.float32), (0, 0), 2)
    image = (image - image.min()) / (image.max() - image.min())
    for _ in range(12):
        x, y, s = rng.integers(5, 130), rng.integers(5, 100), rng.integers(8, 28)
        image[y : y + s, x : x + s] = rng.uniform(0, 1, 3)
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize("detector", [Sift(), Orb(), Corners("harris"), Corners("shi-tomasi"), Corners("fast")])
def test_detectors_find_strongest_first_and_repeat_under_a_shift(detector: Detector) -> None:
    image = picture()
    found = detector.detect(image, 60)
    assert 20 <= len(found) <= 60
    assert (found.score[1:] <= found.score[:-1]).all()
    moved = torch.roll(image, (6, 10), (2, 3))
    H = np.array([[1, 0, 10], [0, 1, 6], [0, 0, 1.0]])
    again = detector.detect(moved, 60)
    assert metrics.repeatability(found.xy, again.xy, H, (128, 160), 2.0) > 0.6


@pytest.mark.parametrize("describer", [Sift(), Sift(root=False), Orb(), Patches()])
def test_descriptors_match_a_shifted_picture(describer: Describer) -> None:
    image = picture(1)
    moved = torch.roll(image, (4, 8), (2, 3))
    a = describer.describe(image, Sift().detect(image, 80))
    b = describer.describe(moved, Sift().detect(moved, 80))
    pairs = match(a, b, ratio=0.9).pairs
    H = np.array([[1, 0, 8], [0, 1, 4], [0, 0, 1.0]])
    errors = metrics.match_errors(a.xy[pairs[:, 0]], b.xy[pairs[:, 1]], H)
    assert len(pairs) >= 15
    assert metrics.pck(errors, 2.0) > 0.8


def test_patches_follow_the_keypoints_angle() -> None:
    """The picture turned by 90 degrees about its centre: patches cut along the turned angle are the same."""
    image = picture(2)[..., :128]
    turned = torch.rot90(image, -1, (2, 3))  # clockwise: x' = 127 - y, y' = x
    xy = torch.tensor([[60.0, 50.0], [70.0, 80.0]])
    there = torch.stack([127 - xy[:, 1], xy[:, 0]], 1)
    radius = torch.full((2,), 12.0)
    first = Features((128, 128), xy, torch.ones(2), radius, torch.zeros(2))
    second = Features((128, 128), there, torch.ones(2), radius, torch.full((2,), 90.0))
    a, b = Patches().describe(image, first).descriptors, Patches().describe(turned, second).descriptors
    assert a is not None
    assert b is not None
    assert (a * b).sum(1).min() > 0.98


@pytest.mark.parametrize("image", [torch.zeros(3, 64, 64), torch.zeros(1, 1, 64, 64), torch.full((1, 3, 64, 64), 2.0)])
def test_what_is_no_image_is_refused(image: torch.Tensor) -> None:
    with pytest.raises(InputError, match="image"):
        Sift().detect(image, 10)


@given(st.integers(0, 2**31), st.integers(0, 9), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_nearest_are_the_smallest_distances(seed: int, n: int, m: int, count: int, bits: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    make = (lambda k: torch.randint(0, 256, (k, 6), generator=g, dtype=torch.uint8)) if bits else (
        lambda k: torch.randn(k, 3, generator=g))  # fmt: skip
    a, b = make(n), make(m)
    far, rows = nearest(a, b, count)
    every = distances(a, b)
    assert far.shape == rows.shape == (n, min(count, m))
    torch.testing.assert_close(far, every.sort(1).values[:, :count])
    torch.testing.assert_close(every.gather(1, rows), far)


def test_far_pairs_and_equal_rivals_are_dropped() -> None:
    a = torch.tensor([[0, 0], [255, 255]], dtype=torch.uint8)
    b = torch.tensor([[1, 0], [15, 15]], dtype=torch.uint8)
    assert match(described(a), described(b), farthest=4).pairs.tolist() == [[0, 0]]
    twins = torch.zeros(2, 2)
    assert len(match(described(twins[:1]), described(twins), ratio=0.9)) == 0, "two equal ones are no decision"
