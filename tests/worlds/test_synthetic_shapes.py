"""Shapes with known corners: the points must lie on corners, inside the picture, and follow the seed alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.worlds.synthetic_shapes import KINDS, draw_shapes, roughen


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_pictures_follow_the_seed_and_points_lie_inside(kind: str) -> None:
    for seed in range(4):
        first, again = (draw_shapes(np.random.default_rng(seed), kind=kind) for _ in range(2))
        assert first.image.shape == (120, 160)
        assert np.array_equal(first.image, again.image)
        assert np.array_equal(first.points, again.points)
        assert (first.points >= 0).all()
        assert (first.points <= [159, 119]).all()
    other = draw_shapes(np.random.default_rng(99), kind=kind)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("kind", ["ellipses", "noise"])
def test_round_things_and_noise_have_no_points(kind: str) -> None:
    assert len(draw_shapes(np.random.default_rng(1), kind=kind).points) == 0


@pytest.mark.parametrize("kind", ["polygon", "polygons", "star", "checkerboard", "cube", "lines"])
def test_points_lie_where_the_picture_has_corners(kind: str) -> None:
    """The smaller eigenvalue of the structure tensor near a point exceeds what the picture has elsewhere."""
    near, far = [], []
    for seed in range(12):
        picture = draw_shapes(np.random.default_rng(seed), kind=kind)
        corner = cv2.cornerMinEigenVal(picture.image.astype(np.float32) / 255, 5, 3)
        best = cv2.dilate(corner, np.ones((7, 7)))
        inner = picture.points[((picture.points > 4) & (picture.points < [155, 115])).all(1)]
        at = np.rint(inner).astype(int)
        near += best[at[:, 1], at[:, 0]].tolist()
        far.append(float(np.median(best)))
    assert np.median(near) > 8 * np.median(far)


def test_a_checkerboard_has_all_its_junctions() -> None:
    """Every junction is a saddle: opposite quarters agree, neighbours differ."""
    picture = draw_shapes(np.random.default_rng(5), kind="checkerboard")
    assert len(picture.points) >= 16


def test_points_are_right_to_a_fraction_of_a_pixel() -> None:
    """Sub-pixel corner search, begun at the drawn junctions, stays there."""
    picture = draw_shapes(np.random.default_rng(3), kind="checkerboard")
    inner = picture.points[((picture.points > 12) & (picture.points < [147, 107])).all(1)]
    start = inner.reshape(-1, 1, 2).astype(np.float32).copy()
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
    refined = cv2.cornerSubPix(picture.image, start, (3, 3), (-1, -1), stop)[:, 0]
    assert np.median(np.linalg.norm(refined - inner, axis=1)) < 0.35


def test_roughening_changes_the_picture_and_none_leaves_it() -> None:
    picture = draw_shapes(np.random.default_rng(0), kind="star")
    rough = roughen(picture.image, np.random.default_rng(0))
    assert rough.dtype == np.uint8
    assert not np.array_equal(rough, picture.image)
    still = roughen(picture.image, np.random.default_rng(0), 0.0)
    assert np.abs(still.astype(int) - picture.image).max() <= 1


@pytest.mark.parametrize(("kind", "size"), [("spiral", (160, 120)), ("star", (160, 16))])
def test_what_cannot_be_drawn_is_refused(kind: str, size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="draw_shapes"):
        draw_shapes(np.random.default_rng(0), size, kind)
