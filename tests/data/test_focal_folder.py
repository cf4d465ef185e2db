"""Focal stacks from folders: a known motion is recovered, order and distances are kept, other folders are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenewright.data.focal_folder import align_stack, chain_of, read_focal_folder
from scenewright.data.images import write_image
from scenewright.depth.focus import variance_of_laplacian
from scenewright.errors import FormatError, InputError
from scenewright.worlds.focus import focal_stack, focus_distances

SIZE = (120, 160)


def still(slices: int = 6) -> np.ndarray:
    """A stack without motion: a card before a ground, both textured at several scales."""
    rng = np.random.default_rng(0)
    image = sum(cv2.resize(rng.uniform(0, 1, (120 // k, 160 // k, 3)), SIZE[::-1]) for k in (1, 4, 12)) / 3
    depth = np.full(SIZE, 3.0, np.float32)
    depth[30:90, 40:110] = 1.0
    stack = focal_stack(image.astype(np.float32), depth, 150.0, focus_distances(0.9, 4.0, slices), 0.03)
    return (255 * stack + 0.5).astype(np.uint8)


def breathing(slices: int) -> list[np.ndarray]:
    """First picture to k-th: 0.8 % larger with each slice, about the centre, and a drift of the hand."""
    centre = np.array([79.5, 59.5])
    maps = []
    for k in range(slices):
        A = np.eye(2) * 1.008**k
        maps.append(np.column_stack([A, centre - A @ centre + np.array([0.5, -0.3]) * k]))
    return maps


def moved(stack: np.ndarray) -> list[np.ndarray]:
    flags = cv2.INTER_CUBIC
    return [
        cv2.warpAffine(image, A, SIZE[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
        for image, A in zip(stack, breathing(len(stack)), strict=True)
    ]


def test_magnification_and_drift_are_recovered() -> None:
    corners = np.array([[0, 0], [159, 0], [0, 119], [159, 119], [80, 60]], float)
    found, true = chain_of(moved(still())), breathing(6)
    for A, B in zip(found, true, strict=True):
        distance = np.linalg.norm(corners @ A[:, :2].T + A[:, 2] - corners @ B[:, :2].T - B[:, 2], axis=1)
        assert distance.max() < 0.5
    assert np.linalg.norm(corners[0] @ true[-1][:, :2].T + true[-1][:, 2]) > 3  # what it was


def test_large_pictures_are_matched_small_and_moved_exactly() -> None:
    big = [cv2.resize(image, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC) for image in moved(still(3))]
    A, B = chain_of(big)[-1], breathing(3)[-1]
    middle = np.array([400.0, 300.0])  # (c + 1/2) * 5 - 1/2 of (79.6, 59.6)
    expected = ((B[:, :2] @ ((middle + 0.5) / 5 - 0.5) + B[:, 2]) + 0.5) * 5 - 0.5
    np.testing.assert_allclose(A[:, :2] @ middle + A[:, 2], expected, atol=0.6)


def test_aligned_pictures_lie_on_the_one_that_sees_least() -> None:
    stack = moved(still())
    aligned = align_stack(stack)
    assert np.abs(aligned[-1].astype(int) - stack[-1])[4:-4, 4:-4].max() <= 1  # the last is the most magnified
    rim = [np.abs(a.astype(int) - b).mean() for a, b in zip(aligned, [stack[-1]] * 6, strict=True)]
    raw = [np.abs(a.astype(int) - b).mean() for a, b in zip(stack, [stack[-1]] * 6, strict=True)]
    assert sum(rim) < 0.85 * sum(raw)


def test_alignment_lets_classical_focus_work() -> None:
    distances = focus_distances(0.9, 4.0, 6)
    stack = moved(still())
    card = np.s_[45:75, 60:90]
    depth = variance_of_laplacian(np.stack(align_stack(stack)), distances)
    assert np.abs(depth[card] - 1.0).mean() < 0.15


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, image in zip((10, 9, 1), still(3)[::-1], strict=True):
        write_image(tmp_path / f"stack/{number}.png", image)
    return tmp_path / "stack"


def test_pictures_come_in_natural_order(folder: Path) -> None:
    stack, distances = read_focal_folder(folder, align=False)
    np.testing.assert_array_equal(stack, still(3))
    assert distances is None
    (folder / "focus.txt").write_text("0.9 1.5\n4.0\n")
    _, distances = read_focal_folder(folder)
    np.testing.assert_allclose(distances, [0.9, 1.5, 4.0])


def test_stacks_from_far_to_near_are_turned_round(folder: Path) -> None:
    turned, _ = read_focal_folder(folder, align=False, far_first=True)
    np.testing.assert_array_equal(turned, still(3)[::-1])
    (folder / "focus.txt").write_text("4.0 1.5 0.9")
    turned, distances = read_focal_folder(folder, align=False)
    np.testing.assert_array_equal(turned, still(3)[::-1])
    np.testing.assert_allclose(distances, [0.9, 1.5, 4.0])


@pytest.mark.parametrize(
    "text", ["1 2", "1 2 3 4", "1 3 2", "1 1 2", "0 1 2", "2 1 0", "1 nan 3", "1 2 inf", "one two three", "", "\x00"]
)
def test_distances_that_are_not_the_stack_s(folder: Path, text: str) -> None:
    (folder / "focus.txt").write_text(text)
    with pytest.raises(FormatError, match=r"focus\.txt"):
        read_focal_folder(folder, align=False)


def test_folders_that_are_no_stack(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="0 images; expected a focal stack"):
        read_focal_folder(tmp_path / "empty")
    write_image(folder / "11.png", np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(FormatError, match=r"11\.png: found 40x30; expected 160x120"):
        read_focal_folder(folder)


def test_pictures_of_nothing_cannot_be_matched() -> None:
    with pytest.raises(InputError, match="pictures 0 and 1 that do not match"):
        align_stack([np.full((60, 80, 3), 90, np.uint8), np.full((60, 80, 3), 90, np.uint8)])


def test_a_real_stack_shows_its_relief(real_data: Callable[[str], Path]) -> None:
    """A push button on a board: neighbours in register, and the top of the button is sharp elsewhere than the board."""
    folder = real_data("dff_switch")
    raw, distances = read_focal_folder(folder, align=False)
    assert raw.shape == (10, 576, 768, 3)
    assert distances is None
    stack, _ = read_focal_folder(folder, far_first=True)  # the board is sharp before the button is
    inside = np.s_[40:-40, 40:-40]

    def mismatch(pictures: np.ndarray) -> float:
        grey = [cv2.GaussianBlur(p.mean(2), (0, 0), 4)[inside] for p in pictures]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(grey)]))

    assert mismatch(stack) < 0.8 * mismatch(raw)
    place = 1 / variance_of_laplacian(stack, 1 / np.linspace(2, 1, 10), 31)  # 2 = nearest
    top, housing, board = (np.median(place[at]) for at in (np.s_[270:340, 350:430], np.s_[170:190, 250:500],
                                                             np.s_[10:60, 500:740]))  # fmt: skip
    assert top > housing + 0.1 > board + 0.2
