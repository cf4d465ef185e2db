"""The measures themselves: perfect answers score perfectly, chance scores like chance, places correspond."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from scenewright.data.items import HomographyPair, PatchPair
from scenewright.data.posed_pairs import PosedPair
from scenewright.features import evaluate as ev
from scenewright.features.data import Pictures
from scenewright.features.extract import extractor
from scenewright.features.protocols import PROTOCOLS
from scenewright.features.task import Features
from scenewright.geometry.camera import Camera


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.full((240, 320, 3), 128, np.uint8)
    for _ in range(80):
        x, y, s = rng.integers(0, 300), rng.integers(0, 220), rng.integers(6, 40)
        image[y : y + s, x : x + s] = rng.integers(0, 256, 3)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


PICTURES = Pictures(6, picture, "squares")


def test_protocols_have_different_hashes() -> None:
    assert len({p.hash for p in PROTOCOLS.values()}) == len(PROTOCOLS)
    assert all(p.task == "features" for p in PROTOCOLS.values())


def test_classical_patches_beat_chance_and_an_oracle_is_perfect() -> None:
    pairs = ev.patch_pairs(PICTURES, 200, 1)
    assert pairs.same.sum() == 100
    assert ev.patch_figures(pairs, ev.raw_patches(8))["FPR95"] < 0.7
    assert ev.patch_figures(pairs, ev.sift_patches(32, root=True))["AP"] > 0.75
    perfect = ev.patch_figures(pairs, lambda a, b: pairs.same.double().numpy())
    assert perfect == pytest.approx({"FPR95": 0.0, "FDR95": 0.0, "AP": 1.0})
    same = ev.learned_patches(lambda p: torch.nn.functional.adaptive_avg_pool2d(p, 8).flatten(1))
    assert ev.patch_figures(pairs, same)["FPR95"] < 1


def test_an_oracle_finds_all_shapes_and_none_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    original = ev.shape_sample

    def remember(*args: object) -> object:
        sample = original(*args)  # type: ignore[arg-type]
        seen.append(sample.points & sample.valid)
        return sample

    monkeypatch.setattr(ev, "shape_sample", remember)

    class Oracle:
        def detect(self, image: torch.Tensor, count: int) -> Features:
            xy = seen[-1][0].nonzero().flip(1).float()
            return Features((120, 160), xy, torch.linspace(1, 0.5, len(xy)))

    class Blind:
        def detect(self, image: torch.Tensor, count: int) -> Features:
            return Features((120, 160), torch.zeros(0, 2), torch.zeros(0))

    figures = ev.shape_figures(Oracle(), 9, 0)
    assert figures["AP clean"] > 0.9  # corners within 4 px of each other count as one detection
    assert figures["error"] == 0
    assert ev.shape_figures(Blind(), 9, 0)["AP rough"] == 0


def test_thinning_keeps_the_stronger_of_neighbours() -> None:
    f = Features((64, 64), torch.tensor([[10.0, 10], [12, 10], [30, 30]]), torch.tensor([0.5, 0.9, 0.1]))
    assert ev.thinned(f, 4, 9).xy.tolist() == [[12, 10], [30, 30]]
    assert len(ev.thinned(f, 4, 1)) == 1


def test_warps_are_measured_at_the_corners() -> None:
    figures = ev.warp_figures(lambda a, b: np.eye(3), 10, 0)
    still = ev.warp_figures(lambda a, b: None, 10, 0)
    assert figures == still
    assert figures["corner error"] == figures["corner error without noise"] > 3
    assert ev.warp_figures(ev.nearest_ransac, 20, 0)["corner error without noise"] < 0.8 * figures["corner error"]


def test_homographies_of_photographs() -> None:
    pairs = ev.homography_pairs(PICTURES, 4, 0)
    again = ev.homography_pairs(PICTURES, 4, 0)
    assert all(torch.equal(a.second, b.second) for a, b in zip(pairs, again))
    figures = ev.homography_figures(extractor("sift"), pairs)
    assert figures["H accuracy@3"] >= 0.75
    assert figures["MMA@3"] > 0.6
    assert 0 < figures["matching score"] < 1
    assert 0.2 < figures["repeatability@3"] <= 1


def wall_pairs(count: int) -> list[PosedPair]:
    """A camera before a textured wall two metres away that steps to the right by 32 pixels of it."""
    camera = Camera.from_fov(320, 240, 60)
    T = np.eye(4)
    T[0, 3] = -32 * 2.0 / camera.numbers[0]
    wide, depth = np.concatenate([picture(k) for k in range(3)], 1), np.full((240, 320), 2.0, np.float32)
    starts = range(0, 8 * count, 8)
    return [
        PosedPair(wide[:, x : x + 320], wide[:, x + 32 : x + 352], depth, depth, camera.K.numpy(), T) for x in starts
    ]


def test_places_correspond_and_perfect_answers_score_one() -> None:
    pairs = ev.place_pairs(wall_pairs(12), 3, 0, 0.05)
    assert len(pairs) == 3
    assert np.array_equal(pairs[2][0], wall_pairs(12)[-1].image)
    for _, _, xy, there in pairs:
        np.testing.assert_allclose(xy - there, np.broadcast_to([32.0, 0.0], xy.shape), atol=1e-3)

    def shifted(first: torch.Tensor, second: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
        return xy - torch.tensor([32.0, 0.0])

    sift = ev.dense_neighbours(extractor("sift").describer.describe, 8)
    found = ev.pck_figures({"true": shifted, "still": lambda a, b, xy: xy, "sift": sift}, pairs)
    assert found["true"] == {"PCK@8": 1.0, "PCK@16": 1.0, "PCK@8 weak": 1.0}
    assert found["still"]["PCK@16"] == 0
    assert found["sift"]["PCK@8"] > 0.6
    assert len(ev.place_pairs(wall_pairs(2), 30, 0, 0.05)) == 2
    assert ev.place_pairs(wall_pairs(2), 30, 0, 0.05, places=10**6) == []


def test_planes_of_any_size_are_measured_at_one_size() -> None:
    """A resize about the pixels' corners: a copy of twice the size is the same picture afterwards."""
    small, large = picture(0), cv2.resize(picture(0), (640, 480), interpolation=cv2.INTER_CUBIC)
    double = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    sample = ev.resized_plane(HomographyPair("x", small, large, double), 320)
    np.testing.assert_allclose(sample.H_second_first.numpy(), np.eye(3), atol=1e-12)
    assert sample.first.shape == sample.second.shape == (3, 240, 320)
    assert (sample.first - sample.second).abs().mean() < 0.02
    assert sample.seen.all()
    moved = np.array([[1, 0, 40.0], [0, 1, 0], [0, 0, 1]])
    half = ev.resized_plane(HomographyPair("x", large, np.roll(large, 40, 1), moved), 320)
    np.testing.assert_allclose(half.H_second_first.numpy(), [[1, 0, 20], [0, 1, 0], [0, 0, 1]], atol=1e-12)
    assert half.seen[0, 5].tolist() == [False] * 20 + [True] * 300
    whole = ev.resized_plane(HomographyPair("x", small, large, double), 640)
    assert whole.second.shape == (3, 480, 640)
    figures = ev.homography_figures(extractor("sift"), [half, whole], 400, (1, 5))
    kinds = {"matching score", "repeatability@3", "scale within 1.41"}
    assert set(figures) == kinds | {f"{name}@{t}" for name in ("MMA", "H accuracy") for t in (1, 5)}
    assert figures["scale within 1.41"] > 0.9
    assert figures["H accuracy@5"] == 1
    assert figures["MMA@5"] > 0.8


def test_patches_of_a_data_set_come_in_blocks() -> None:
    items = [PatchPair(str(k), np.full((64, 64), k, np.uint8), np.full((64, 64), 3, np.uint8), k % 2 == 0)
             for k in range(5)]  # fmt: skip
    blocks = list(ev.patch_blocks(items, 2))  # type: ignore[arg-type]
    assert [len(b.same) for b in blocks] == [2, 2, 1]
    assert blocks[1].first[1].unique().tolist() == pytest.approx([3 / 255])
    table = ev.patch_table(blocks, {"right": lambda a, b: -(a[:, 0, 0, 0] * 255 % 2).round().double().numpy()})
    assert table["right"] == pytest.approx({"FPR95": 0.0, "FDR95": 0.0, "AP": 1.0})
