"""Real sets: which views are matched, a made-up scene whose answer is known, and what is said of missing folders."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scenewright.errors import FormatError
from scenewright.features import real_sets as rs
from scenewright.features.extract import extractor
from scenewright.features.task import HomographySample


def moved(x: float, turn_deg: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0, np.radians(turn_deg), 0]))[0]
    T[0, 3] = x
    return T


def test_frames_are_paired_with_the_next_far_enough() -> None:
    poses = [moved(0.1 * k) for k in range(11)]
    assert rs.frame_pairs(poses, 3) == [(0, 3), (5, 8)]  # of the last frame there is none
    assert rs.frame_pairs([moved(0.1 * k, 20.0 * k) for k in range(4)], 1) == []  # 60 degrees: too far turned
    assert rs.frame_pairs([np.eye(4)] * 5, 5) == []


def photographs(folder: Path, count: int) -> Path:
    """A wall seen from the side by side; the wall is one plane but for a second in front of it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    wall = cv2.GaussianBlur(cv2.resize(coarse, (720, 480), interpolation=cv2.INTER_NEAREST), (0, 0), 1.0)
    near = cv2.GaussianBlur(cv2.resize(coarse[::-1, ::-1], (720, 480), interpolation=cv2.INTER_NEAREST), (0, 0), 1.0)
    (folder / "images").mkdir(parents=True)
    table = {}
    for k in range(count):
        image = wall[100:340, 100 + 12 * k : 420 + 12 * k].copy()
        image[60:180, 90 : 230 - 4 * k] = near[160:280, 150 + 24 * k : 290 + 20 * k]
        cv2.imwrite(str(folder / "images" / f"{k}.png"), image)
        table[f"{k}.png"] = {
            "fx": 240, "fy": 240, "cx": 160, "cy": 120, "width": 320, "height": 240,
            "R_cam_to_world": np.eye(3).tolist(), "centre": [0.1 * k, 0, 0],
        }  # fmt: skip
    (folder / "cameras.json").write_text(json.dumps(table))
    return folder


def test_photographs_are_paired_with_the_next_two_and_their_poses_found(tmp_path: Path) -> None:
    views = rs.open_views(photographs(tmp_path / "set", 4))
    assert views.pairs == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    errors, counts = rs.pose_errors(extractor("sift"), views)
    assert np.median(errors) < 3
    assert min(counts) > 30


def test_large_photographs_are_made_smaller_with_their_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rs, "LONGEST_PX", 160)
    view = rs.open_views(photographs(tmp_path / "set", 2)).views[0]
    assert view.image.shape == (120, 160, 3)
    assert view.camera.size == (120, 160)
    assert view.camera.numbers == pytest.approx((120, 120, 79.75, 59.75))


def test_a_plane_s_error_is_that_of_its_corners() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_NEAREST), (0, 0), 1.0)
    picture = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    seen = torch.ones(1, 240, 320, dtype=torch.bool)
    same = HomographySample(picture, picture, torch.eye(3, dtype=torch.float64), seen)
    assert rs.plane_error(extractor("sift"), same) < 0.1
    shifted = torch.tensor([[1, 0, 5.0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    assert rs.plane_error(extractor("sift"), HomographySample(picture, picture, shifted, seen)) == pytest.approx(
        5, abs=0.1
    )
    blank = HomographySample(torch.full_like(picture, 0.5), picture, torch.eye(3, dtype=torch.float64), seen)
    assert rs.plane_error(extractor("sift"), blank) == 200


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="mvs_strecha_fountain"):
        rs.open_real_sets(tmp_path)


def test_what_is_neither_photographs_nor_frames(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        rs.open_views(tmp_path)


def test_redkitchen(real_data: object) -> None:
    views = rs.open_views(real_data("rgbd_7scenes_redkitchen"))  # type: ignore[operator]
    assert len(views.pairs) >= 12
    errors, _ = rs.pose_errors(extractor("sift"), rs.PosedViews(views.views, views.pairs[:6]))
    assert np.median(errors) < 10
