"""Classical depth from focus on stacks whose depth is known, and DDFF's figures by hand."""

import numpy as np
import pytest

from scenewright.depth.focus import bumpiness, focus_figures, variance_of_laplacian
from scenewright.errors import InputError
from scenewright.worlds.focus import focal_stack, focus_distances

FOCUS = focus_distances(0.6, 6.0, 9)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A textured card at the fourth focus distance before a textured wall at the seventh."""
    image = np.random.default_rng(0).uniform(0, 1, (60, 80, 3)).astype(np.float32)
    depth = np.full((60, 80), FOCUS[6], np.float32)
    depth[15:45, 20:50] = FOCUS[3]
    return image, depth


@pytest.mark.parametrize("as_bytes", [False, True])
def test_textured_planes_are_found_at_their_distance(as_bytes: bool) -> None:
    image, depth = scene()
    stack = focal_stack(image, depth, 100.0, FOCUS, 0.15)
    given = (255 * stack + 0.5).astype(np.uint8) if as_bytes else stack
    found = variance_of_laplacian(given, FOCUS, window=7)
    inner = np.zeros_like(depth, bool)
    inner[20:40, 25:45] = inner[:10] = True
    assert np.abs(1 / found - 1 / depth)[inner].max() < 0.5 * (1 / FOCUS[0] - 1 / FOCUS[-1]) / 8


def test_the_parabola_finds_depths_between_the_slices() -> None:
    inverse = np.linspace(1 / FOCUS[1], 1 / FOCUS[-2], 12)
    errors = {True: [], False: []}
    image = np.random.default_rng(1).uniform(0, 1, (40, 40, 3)).astype(np.float32)
    for value in inverse:
        stack = focal_stack(image, np.full((40, 40), 1 / value, np.float32), 100.0, FOCUS, 0.3)
        for refine in errors:
            found = variance_of_laplacian(stack, FOCUS, 15, refine)
            errors[refine].append(abs(float(np.median(1 / found)) - value))
    assert np.mean(errors[True]) < 0.6 * np.mean(errors[False])
    assert max(errors[False]) <= (1 / FOCUS[0] - 1 / FOCUS[-1]) / 8 * 0.51 + 1e-6


def test_no_answer_leaves_the_range_of_focus() -> None:
    stack = np.random.default_rng(2).uniform(0, 1, (9, 20, 30, 3)).astype(np.float32)
    found = variance_of_laplacian(stack, FOCUS)
    assert found.shape == (20, 30)
    assert found.min() >= FOCUS[0] * (1 - 1e-6)
    assert found.max() <= FOCUS[-1] * (1 + 1e-6)
    flat = variance_of_laplacian(np.full((9, 20, 30, 3), 90, np.uint8), FOCUS)
    assert np.isfinite(flat).all()


STACK = np.zeros((3, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ((STACK[0], FOCUS[:3]), "stack"),
        ((STACK[:1], FOCUS[:1]), "stack"),
        ((STACK, FOCUS[:2]), "focus distances"),
        ((STACK, FOCUS[2::-1]), "focus distances"),
        ((STACK, FOCUS[:3], 4), "window"),
    ],
)
def test_bad_stacks(arguments: tuple, subject: str) -> None:
    with pytest.raises(InputError, match=f"^{subject}: found"):
        variance_of_laplacian(*arguments)


def test_figures_by_hand() -> None:
    """Disparities 0.2 and 0.1 px predicted as 0.1 and 0.11; what is nearer than 0.5 m or unknown does not count."""
    truth = (0.14125 / np.array([[0.2, 0.1, 0.4, 1.0]])).astype(np.float32)
    truth[0, 3] = 0
    prediction = (0.14125 / np.array([[0.1, 0.11, 0.3, 1.0]])).astype(np.float32)
    figures = focus_figures(prediction, truth)
    assert figures["MSE"] == pytest.approx((0.01 + 0.0001) / 2, rel=1e-4)
    assert figures["RMS"] == pytest.approx(figures["MSE"] ** 0.5)
    assert figures["AbsRel"] == pytest.approx((0.5 + 0.1) / 2, rel=1e-4)
    assert figures["SqRel"] == pytest.approx((0.01 / 0.2 + 0.0001 / 0.1) / 2, rel=1e-4)
    assert figures["logRMS"] == pytest.approx(np.sqrt((np.log(2) ** 2 + np.log(1.1) ** 2) / 2), rel=1e-4)
    assert (figures["delta1"], figures["delta3"], figures["badpix"]) == (0.5, 0.5, 0.5)


def test_a_perfect_answer_and_a_shifted_one_are_smooth() -> None:
    truth = np.random.default_rng(0).uniform(0.6, 6, (20, 20)).astype(np.float32)
    perfect = focus_figures(truth, truth)
    assert (perfect["MSE"], perfect["badpix"], perfect["bumpiness"], perfect["delta1"]) == (0, 0, 0, 1)
    shifted = focus_figures((0.14125 / (0.14125 / truth + 0.01)).astype(np.float32), truth)
    assert shifted["MSE"] == pytest.approx(1e-4, rel=1e-3)
    assert shifted["bumpiness"] == pytest.approx(0, abs=1e-3)


def test_bumpiness_is_capped_and_of_second_order() -> None:
    valid = np.ones((32, 32), bool)
    ramp = np.repeat(np.arange(32.0)[None], 32, 0)
    assert bumpiness(ramp, valid * (np.abs(ramp - 16) < 10)) == pytest.approx(0, abs=1e-9)
    assert bumpiness(100 * np.random.default_rng(0).normal(size=(32, 32)), valid) > 4.5
    bowl = 0.001 * (ramp - 16) ** 2  # second derivative 0.002; scikit-image's Scharr returns twice the slope
    assert bumpiness(bowl, valid * (np.abs(ramp - 16) < 10)) == pytest.approx(4 * 0.2)


@pytest.mark.parametrize(
    ("prediction", "truth", "subject"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), "prediction"),
        (np.ones((2, 2)), np.full((2, 2), 9.0), "truth"),
        (np.zeros((2, 2)), np.ones((2, 2)), "prediction"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "prediction"),
    ],
)
def test_figures_need_something_to_measure(prediction: np.ndarray, truth: np.ndarray, subject: str) -> None:
    with pytest.raises(InputError, match=f"^{subject}: found"):
        focus_figures(prediction.astype(np.float32), truth.astype(np.float32))
