"""Points found again are those that a brute-force search finds; numbers of one picture share its keypoints."""

import numpy as np

from scenewright.features import stable_points
from scenewright.features.data import Pictures, joined


def test_found_again_is_what_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    every = np.column_stack([rng.uniform(0, 100, (200, 2)), rng.uniform(10, 60, 200)])
    found = np.column_stack([rng.uniform(0, 100, (300, 2)), rng.uniform(10, 60, 300)])
    shift = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1.0]])  # lengths stay, so sizes compare as they are
    far = np.linalg.norm((every[:, None, :2] + [5, -3]) - found[None, :, :2], axis=2)
    ratio = np.abs(np.log(found[None, :, 2] / every[:, None, 2]))
    expected = ((far < 3) & (ratio < np.log(1.3))).any(1)
    again = stable_points._found_again(every, found, shift)
    assert 0 < expected.sum() < 200
    np.testing.assert_array_equal(again, expected)


def test_a_zoom_changes_the_size_that_is_looked_for() -> None:
    every = np.array([[10.0, 10.0, 20.0]])
    twice = np.diag([2.0, 2.0, 1.0])
    assert stable_points._found_again(every, np.array([[20.0, 20.0, 40.0]]), twice)[0]
    assert not stable_points._found_again(every, np.array([[20.0, 20.0, 20.0]]), twice)[0]


def test_keypoints_of_a_picture_do_not_depend_on_the_number_it_is_met_by() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (40, 50, 3)).astype(np.uint8).repeat(5, 0).repeat(5, 1) for _ in range(2)]
    one = Pictures(1, lambda i: noise[0], "one")
    many = Pictures(4, lambda i: noise[1], "many")
    both = joined([one, many])
    assert [both.key(i) for i in range(4)] == [(0, 0), (1, 0), (0, 0), (1, 1)]
    patches = stable_points.KeypointPatches(both)
    first = patches.with_keypoints(np.random.default_rng(2))
    for seed in range(3, 20):
        patches.with_keypoints(np.random.default_rng(seed))
    assert (0, 0) in patches._known
    assert len(patches._known) <= 5
    again = stable_points.KeypointPatches(both).with_keypoints(np.random.default_rng(2))
    np.testing.assert_array_equal(first[1], again[1])


def test_one_source_may_have_more_turns_than_another() -> None:
    few, many = (Pictures(n, lambda i: np.zeros((1, 1, 3), np.uint8), "") for n in (2, 9))
    both = joined([few, many], (0, 1, 1, 1))
    assert both.count == 12
    assert [both.key(i) for i in range(8)] == [(0, 0), (1, 0), (1, 1), (1, 2), (0, 1), (1, 3), (1, 4), (1, 5)]
    assert both.key(8) == (0, 0)
    assert {both.key(i) for i in range(both.count)} == {(0, 0), (0, 1), *((1, k) for k in range(9))}
