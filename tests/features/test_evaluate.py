"""The measures themselves: perfect answers score perfectly, chance scores like chance, places correspond."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

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
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(pairs, again))
    figures = ev.homography_figures(extractor("sift"), pairs)
    assert figures["H accuracy@3"] >= 0.75
    assert figures["MMA@3"] > 0.6
    assert 0 < figures["matching score"] < 1
    assert 0.2 < figures["repeatability@3"] <= 1


@dataclass
class Frame:
    image: np.ndarray
    depth_m: np.ndarray
    T_world_cam: np.ndarray
    camera: Camera


def wall_frames(count: int) -> list[Frame]:
    """A camera sliding along a textured wall two metres away, 8 pixels a frame."""
    camera = Camera.from_fov(320, 240, 60)
    fx = camera.numbers[0]
    wide = np.concatenate([picture(k) for k in range(3)], 1)
    frames = []
    for k in range(count):
        T = np.eye(4)
        T[0, 3] = 8 * k * 2.0 / fx
        frames.append(Frame(wide[:, 8 * k : 8 * k + 320], np.full((240, 320), 2.0, np.float32), T, camera))
    return frames


def test_places_correspond_and_perfect_answers_score_one() -> None:
    pairs = ev.sequence_pairs(wall_frames(12), 4, 3, 0)
    assert len(pairs) == 3
    for _, _, xy, there in pairs:
        np.testing.assert_allclose(xy - there, np.broadcast_to([32.0, 0.0], xy.shape), atol=1e-3)

    def shifted(first: torch.Tensor, second: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
        return xy - torch.tensor([32.0, 0.0])

    sift = ev.dense_neighbours(extractor("sift").describer.describe, 8)
    found = ev.pck_figures({"true": shifted, "still": lambda a, b, xy: xy, "sift": sift}, pairs)
    assert found["true"] == {"PCK@8": 1.0, "PCK@16": 1.0, "PCK@8 weak": 1.0}
    assert found["still"]["PCK@16"] == 0
    assert found["sift"]["PCK@8"] > 0.6
    assert ev.sequence_pairs(wall_frames(3), 4, 3, 0) == []
