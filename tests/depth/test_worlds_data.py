"""Training items from worlds: views of a pair change alike, order follows depth, stacks are sharp where they focus."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from scenewright.data.sample import collate
from scenewright.depth import worlds_data
from scenewright.depth.augment import Augmentation
from scenewright.depth.ordinal import differences
from scenewright.depth.worlds_data import (
    FocalStacks,
    Lens,
    OrdinalPairs,
    PairAugmentation,
    StereoPairs,
    augment_pair,
    focal_samples,
    move_points,
    ordinal_pairs,
    ordinal_samples,
    pair_samples,
    same_colours,
)
from scenewright.geometry.stereo import left_from_right
from scenewright.worlds.dataset import RoomFrame, RoomFrames, render_shard
from scenewright.worlds.dataset import shard_path as room_path
from scenewright.worlds.shards import shard_path
from scenewright.worlds.stereo import PairFrame, PairFrames, render_road_pairs, render_room_pairs

WIDTH, HEIGHT, FOCAL, BASELINE = 96, 48, 60.0, 0.5


def smooth(seed: int, width: int) -> np.ndarray:
    """(HEIGHT, width, 3) smooth picture whose colours tell every column."""
    x, y = np.arange(width)[None], np.arange(HEIGHT)[:, None]
    waves = [np.sin(x / 7 + c + seed) + 0.4 * np.cos(y / 9 + 2 * c) for c in range(3)]
    return (127 + 70 * np.stack(waves, -1)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def pair() -> PairFrame:
    """A wall at 3 m: disparity 10 pixels; the lidar hit every sixth pixel of every fourth row."""
    wide = smooth(0, WIDTH + 10)
    depth = np.full((HEIGHT, WIDTH), FOCAL * BASELINE / 10, np.float32)
    sparse = np.zeros_like(depth)
    sparse[1::4, 2::6] = 3.0
    K = np.array([[FOCAL, 0, 50.0], [0, FOCAL, 20.0], [0, 0, 1]], np.float32)
    return PairFrame(
        wide[:, :WIDTH].copy(), wide[:, 10:].copy(), depth, depth.copy(), np.ones((HEIGHT, WIDTH), np.uint8), sparse,
        sparse.copy(), K, BASELINE, 1, "wall",
    )  # fmt: skip


@pytest.mark.parametrize("mirror", [0.0, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_right_view_still_rebuilds_the_left(pair: PairFrame, mirror: float, seed: int) -> None:
    """Whatever window and mirror: sampled at x - f B / Z, the right picture is the left one."""
    how = PairAugmentation((64, 32), (0.6, 1.0), mirror, colour=0.0)
    item = augment_pair(pair, how, np.random.default_rng(seed))
    assert item.image.shape == item.right.shape == (3, 32, 64)
    assert item.depth_m is not None
    disp = item.camera.parameters[0] * item.baseline_m / item.depth_m
    left, valid = left_from_right(item.right[None], disp[None])
    inside = valid[0, 0]
    assert inside.float().mean() > 0.6
    assert (left[0] - item.image)[:, inside].abs().mean() < 0.02
    wrong, seen = left_from_right(item.right[None], -disp[None])
    assert (wrong[0] - item.image)[:, seen[0, 0]].abs().mean() > 0.1
    assert item.camera.size == (32, 64)


def test_a_mirror_swaps_the_views_and_their_depths(pair: PairFrame) -> None:
    pair = replace(pair, right_depth_m=pair.depth_m + 1)
    how = PairAugmentation((96, 48), (1.0, 1.0), 0.0, 0.0)
    plain = augment_pair(pair, how, np.random.default_rng(0))
    mirrored = augment_pair(pair, replace(how, mirror=1.0), np.random.default_rng(0))
    torch.testing.assert_close(plain.image, torch.from_numpy(pair.image).permute(2, 0, 1) / 255)
    torch.testing.assert_close(mirrored.image, plain.right.flip(-1))
    torch.testing.assert_close(mirrored.right, plain.image.flip(-1))
    assert mirrored.depth_m is not None
    assert plain.right_depth_m is not None
    torch.testing.assert_close(mirrored.depth_m, plain.right_depth_m.flip(-1))
    torch.testing.assert_close(mirrored.camera.K, plain.camera.hflip().K)


def test_colours_change_alike_in_both_views(pair: PairFrame) -> None:
    views = [pair.image.astype(np.float32) / 255, pair.right.astype(np.float32) / 255]
    left, right = same_colours(views, np.random.default_rng(3))
    assert np.abs(left - views[0]).mean() > 0.01
    assert 0 <= left.min() <= left.max() <= 1
    np.testing.assert_allclose(left[:, 10:], right[:, : WIDTH - 10], atol=1e-6)


def test_lidar_returns_move_and_never_multiply(pair: PairFrame) -> None:
    assert pair.sparse_m is not None
    twice = np.array([[2.0, 0, -8.0], [0, 2.0, -6.0]])
    moved = move_points(pair.sparse_m, twice, (WIDTH, HEIGHT))
    rows, columns = np.nonzero(pair.sparse_m)
    inside = (2 * columns - 8 >= 0) & (2 * columns - 8 < WIDTH) & (2 * rows - 6 >= 0) & (2 * rows - 6 < HEIGHT)
    assert (moved > 0).sum() == inside.sum()
    assert (moved[2 * rows[inside] - 6, 2 * columns[inside] - 8] == 3.0).all()
    two = np.zeros((4, 4), np.float32)
    two[0, 0], two[0, 1] = 9.0, 5.0
    half = move_points(two, np.array([[0.4, 0, 0], [0, 0.4, 0]]), (4, 4))
    assert half[0, 0] == 5.0
    assert (half > 0).sum() == 1
    how = PairAugmentation((64, 32), (0.6, 0.7))
    dense, sparse, none = (
        augment_pair(pair, how, np.random.default_rng(1), d).depth_m for d in ("dense", "sparse", "none")
    )
    assert dense is not None
    assert sparse is not None
    assert none is None
    assert 0 < (sparse > 0).float().mean() < 0.06 < (dense > 0).float().mean()


def test_order_follows_depth_and_half_of_it_is_symmetric() -> None:
    rng = np.random.default_rng(0)
    depth = np.linspace(1, 9, 60 * 80, dtype=np.float32).reshape(60, 80)[::-1] * rng.uniform(0.7, 1.3, (60, 80))
    depth = depth.astype(np.float32)
    depth[:5] = 0
    points, relation = ordinal_pairs(depth, 400, np.random.default_rng(1))
    assert points.shape == (400, 2, 2)
    assert (points[..., 0] >= 5).all(), "unknown depth is never asked for"
    rows, columns = points[:200, :, 0], points[:200, :, 1]
    assert (rows[:, 0] == rows[:, 1]).all()
    assert (columns.sum(1) == 79).all()
    assert (points[200:, 0, 0] != points[200:, 1, 0]).mean() > 0.9
    difference = differences(depth, points)
    assert (np.sign(difference)[relation != 0] == -relation[relation != 0]).all(), "+1: the first is nearer"
    values = depth[points[..., 0], points[..., 1]]
    ratio = values.max(1) / values.min(1)
    np.testing.assert_array_equal(relation == 0, ratio <= 1.02)
    assert 0.4 < (relation[:200] == 1).mean() / max((relation[:200] != 0).mean(), 1e-9) < 0.6


def test_pictures_without_depth_have_no_order() -> None:
    points, relation = ordinal_pairs(np.zeros((8, 8), np.float32), 6, np.random.default_rng(0))
    assert not points.any()
    assert not relation.any()
    lone = np.zeros((8, 8), np.float32)
    lone[3, 1], lone[3, 6] = 2.0, 4.0
    points, relation = ordinal_pairs(lone, 600, np.random.default_rng(0))
    assert set(relation[:300].tolist()) == {1, -1}, "the one pair there is repeats"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worlds")
    render_shard(room_path(out, "train", 1), [1], "train", 2, (64, 48))
    render_room_pairs(shard_path(out, "train", 2, ".pairs"), [2], "train", 2, (64, 48))
    render_road_pairs(shard_path(out, "test", 3, ".pairs"), [3], "test", 2, (96, 32))
    return out


def test_items_are_functions_of_the_generator_and_can_be_batched(folder: Path) -> None:
    how, lens = Augmentation((48, 32)), Lens(4, 0.8, 6.0, 0.1)
    sets = [
        StereoPairs(PairFrames(folder), PairAugmentation((48, 32))),
        StereoPairs(PairFrames(folder, "test"), PairAugmentation((64, 24)), "sparse"),
        OrdinalPairs(RoomFrames(folder), how, 12),
        FocalStacks(RoomFrames(folder), how, lens, 40.0),
    ]
    for data in sets:
        assert len(data) == 2
        first, again, other = (data.draw(1, torch.Generator().manual_seed(s)) for s in (7, 7, 8))
        picture = "stack" if isinstance(data, FocalStacks) else "image"
        assert torch.equal(getattr(first, picture), getattr(again, picture))
        assert not torch.equal(getattr(first, picture), getattr(other, picture))
        assert getattr(first, picture).min() >= 0
        assert getattr(first, picture).max() <= 1
        batch = collate([first, other])
        assert len(getattr(batch, picture)) == 2
        assert data.record["views"] == 2
        assert data.record["worlds"] == 1
        assert len(data.record["sha256"]) == 64


def test_samples_for_measuring_are_whole_and_fixed(folder: Path) -> None:
    pair = next(pair_samples(PairFrames(folder, "test")))
    assert pair.image.shape == (1, 3, 32, 96)
    assert pair.depth_m is not None
    assert (pair.depth_m > 0).float().mean() > 0.5, "every pixel, not the lidar's alone"
    assert pair.baseline_m.tolist() == pytest.approx([0.54])
    rooms = RoomFrames(folder)
    a, b = (next(ordinal_samples(rooms, 1)) for _ in range(2))
    assert a.points.shape == (1, 50, 2, 2)
    assert torch.equal(a.points, b.points)
    assert len(list(ordinal_samples(rooms, 1))) == 1
    assert len(list(focal_samples(rooms, (48, 36), Lens(3, 0.8, 6.0, 0.1)))) == 2


class Wall:
    """One view of a wall of noise at a distance; the camera's focal length is 60 px."""

    def __init__(self, metres: float) -> None:
        self.metres = metres

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> RoomFrame:
        image = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
        depth = np.full((48, 64), self.metres, np.float32)
        K = np.array([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]], np.float32)
        return RoomFrame(image, depth, np.ones((48, 64), np.uint8), K, 0, "wall")


def test_a_stack_is_sharpest_where_it_focuses() -> None:
    lens = Lens(5, 0.8, 8.0, 0.2, noise=0.0)
    focus = next(focal_samples(Wall(1.0), (64, 48), lens)).focus_m[0]  # type: ignore[arg-type]
    assert focus[0] == pytest.approx(0.8)
    assert focus[-1] == pytest.approx(8.0)
    for slice_, metres in enumerate(focus.tolist()):
        item = next(focal_samples(Wall(metres), (64, 48), lens))  # type: ignore[arg-type]
        detail = item.stack[0].diff(dim=-1).abs().mean((1, 2, 3))
        assert int(detail.argmax()) == slice_
        torch.testing.assert_close(item.depth_m, torch.full((1, 1, 48, 64), metres))


def test_training_stacks_have_one_focal_length() -> None:
    """Of 60 px and less only a part is seen; a longer one than wanted stays what it is."""
    how, lens = Augmentation((40, 32), roll_deg=0.0), Lens(3, 0.8, 8.0, 0.1)
    for wanted, had in ((60.0, 60.0), (50.0, 50.0), (20.0, 40.0)):
        stacks = FocalStacks(Wall(2.0), how, lens, wanted)  # type: ignore[arg-type]
        for seed in range(5):
            item = stacks.draw(0, torch.Generator().manual_seed(seed))
            assert item.stack.shape == (3, 3, 32, 40)
            assert item.depth_m.shape == (1, 32, 40)
            assert item.camera.numbers[0] == pytest.approx(had, rel=0.03)  # sides are whole pixels


def test_a_training_stack_is_rendered_once_and_its_room_may_have_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first item renders; later ones are other windows of the same stack, some mirrored, with other noise."""
    rendered: list[int] = []
    original = worlds_data.focal_stack
    monkeypatch.setattr(worlds_data, "focal_stack", lambda *a: rendered.append(1) or original(*a))
    stacks = FocalStacks(Wall(2.0), Augmentation((40, 32), roll_deg=0.0), Lens(3, 0.8, 8.0, 0.1, 0.0), 60.0)  # type: ignore[arg-type]
    items = [stacks.draw(0, torch.Generator().manual_seed(seed)) for seed in range(6)]
    assert rendered == [1]
    assert len({item.stack.sum().item() for item in items}) == 6
    metres = items[0].depth_m[0, 0, 0]
    assert 2.0 * worlds_data.SIZES[0] <= metres <= 2.0 * worlds_data.SIZES[1]
    assert metres != pytest.approx(2.0)
    for item in items:
        torch.testing.assert_close(item.depth_m, metres.expand(1, 32, 40))


def test_of_too_many_views_an_even_choice_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Views(Wall):
        seen: ClassVar[list[int]] = []

        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: int) -> RoomFrame:
            self.seen.append(index)
            return super().__getitem__(0)

    monkeypatch.setattr(worlds_data, "MOST_STACKS", 4)
    stacks = FocalStacks(Views(2.0), Augmentation((40, 32)), Lens(2, 0.8, 8.0, 0.1), 60.0)  # type: ignore[arg-type]
    for index in range(len(stacks)):
        stacks.draw(index, torch.Generator())
    assert Views.seen == [0, 2, 5, 7]
