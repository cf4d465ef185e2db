"""Windows of wide pairs: what corresponds is exact, what is hidden is left out, the generator decides alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from scenewright.data.posed_pairs import PosedPair
from scenewright.errors import InputError
from scenewright.features import evaluate as ev
from scenewright.features.room_pairs import RoomPairs, room_pair
from scenewright.worlds.wide import WideFrames, render_wide_rooms

K = np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]], np.float32)
WALL_M, BOX_M, STEP_M = 2.0, 1.0, 0.4


def wall(box: bool = False) -> PosedPair:
    """A checked wall before a camera that steps 0.4 m to the right: 20 px; a box before it moves by 40 px."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 256, (12, 18, 3)).astype(np.uint8), (180, 120), interpolation=cv2.INTER_NEAREST)
    images = [np.ascontiguousarray(wide[:, :160]), np.ascontiguousarray(wide[:, 20:])]
    depths = [np.full((120, 160), WALL_M, np.float32) for _ in images]
    if box:
        for image, depth, left in zip(images, depths, (90, 50)):
            image[40:80, left : left + 30], depth[40:80, left : left + 30] = 255, BOX_M
    T = np.eye(4)
    T[0, 3] = -STEP_M
    return PosedPair(images[0], images[1], depths[0], depths[1], K, T)


class Frames:
    """Pairs in memory, as `WideFrames` gives them."""

    def __init__(self, *pairs: PosedPair) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> PosedPair:
        return self.pairs[index]


def drawn(pair: PosedPair, seed: int, side: int = 64, points: int = 60) -> Any:
    return room_pair(pair, np.random.default_rng(seed), side, points)


def test_places_of_a_wall_move_by_its_disparity_whatever_the_windows() -> None:
    shifts = set()
    for seed in range(12):
        sample = drawn(wall(), seed)
        assert sample.first.shape == sample.second.shape == (3, 64, 64)
        assert sample.first.min() >= 0
        assert sample.first.max() <= 1
        moved = (sample.xy_second - sample.xy_first).numpy()
        np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-4)
        assert (sample.xy_first == sample.xy_first.round()).all()
        for xy in (sample.xy_first, sample.xy_second):
            assert xy.min() >= 2
            assert xy.max() <= 61
        shifts.add(tuple(moved[0].round(3).tolist()))
    assert len(shifts) > 8, "the windows move against each other"


def test_the_windows_show_the_same_texture_at_corresponding_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenewright.features.room_pairs.vary_colours", lambda w, s, r: w.astype(np.float32) / 255)
    for seed in range(6):
        s = drawn(wall(), seed)
        a, b = (xy.round().long() for xy in (s.xy_first, s.xy_second))
        np.testing.assert_allclose(s.first[:, a[:, 1], a[:, 0]], s.second[:, b[:, 1], b[:, 0]])


def test_hidden_places_are_left_out() -> None:
    """The box hides wall at columns 70 to 99 of the first view's wall from the second, but for what it hides itself."""
    pair = wall(box=True)
    depth_of = {40.0: BOX_M, 20.0: WALL_M}
    for seed in range(12):
        s = drawn(pair, seed, 100, 200)
        shift = (s.xy_first - s.xy_second)[:, 0]
        assert len(shift.round().unique()) <= 2
        assert len(shift) == 200
    everything = np.stack(np.meshgrid(np.arange(160), np.arange(120)), 2).reshape(-1, 2)
    uv, there = pair.seen(everything, 0.02)
    moved = (uv - there)[:, 0].round(3)
    assert set(moved.tolist()) == set(depth_of)
    behind = (uv[:, 1] >= 40) & (uv[:, 1] < 80) & (uv[:, 0] >= 70) & (uv[:, 0] < 90)
    assert not behind.any(), "wall that the second view sees the box before"
    assert ((uv[:, 0] >= 90) & (uv[:, 0] < 120) & (uv[:, 1] >= 40) & (uv[:, 1] < 80)).sum() == 30 * 40


def test_half_of_the_points_are_corners() -> None:
    """Nothing but one bright square: half of the points sit at its four corners."""
    pair = wall()
    for image, left in zip((pair.image, pair.second), (80, 60)):
        image[:] = 60
        image[50:70, left : left + 20] = 250
    s = room_pair(pair, np.random.default_rng(3), 100, 200)
    assert s is not None
    box = s.xy_first.numpy()
    near = [np.linalg.norm(box[k] - np.median(box[:100], 0)) for k in range(100)]
    assert max(near) < 32, "all corners lie around the square"
    assert len(np.unique(box[:100], axis=0)) <= 8
    assert len(np.unique(box[100:], axis=0)) > 80


def test_the_generator_decides_alone() -> None:
    data = RoomPairs(Frames(wall(), wall(box=True)), length=7, side=64, points=30)  # type: ignore[arg-type]
    assert len(data) == 7
    a, b, c = (data.draw(0, torch.Generator().manual_seed(s)) for s in (5, 5, 6))
    assert torch.equal(a.first, b.first)
    assert torch.equal(a.xy_second, b.xy_second)
    assert not torch.equal(a.first, c.first)


def test_what_cannot_be_drawn_is_said() -> None:
    blind = wall()
    apart = PosedPair(blind.image, blind.second, blind.depth_m, np.zeros_like(blind.depth_m), K, blind.T_second_first)
    with pytest.raises(InputError, match="overlap"):
        RoomPairs(Frames(apart), side=64).draw(0, torch.Generator())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="160x120"):
        RoomPairs(Frames(wall()), side=128).draw(0, torch.Generator())  # type: ignore[arg-type]


def test_rendered_rooms_train_and_test(tmp_path: Path) -> None:
    render_wide_rooms(tmp_path / "test-00000002.wide", [2], "test", 2, (160, 136))
    frames = WideFrames(tmp_path, "test")
    data = RoomPairs(frames, points=50)
    sample = data.draw(0, torch.Generator().manual_seed(0))
    assert sample.first.shape == (3, 128, 128)
    assert sample.xy_first.shape == sample.xy_second.shape == (50, 2)
    assert data.record["views"] == 2
    assert data.record["worlds"] == 1
    pairs = ev.place_pairs(frames, 5, 1, 0.02, places=80)
    assert 1 <= len(pairs) <= 2
    again = ev.place_pairs(frames, 5, 1, 0.02, places=80)
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(pairs, again))
    dense = {
        "true": lambda a, b, xy: torch.cat([torch.from_numpy(p[3]) for p in pairs if len(p[2]) == len(xy)])[: len(xy)],
        "same-place": lambda a, b, xy: xy,
    }
    found = ev.pck_figures(dense, pairs[:1])
    assert found["true"]["PCK@8"] == 1
    assert found["same-place"]["PCK@8"] < 0.6
