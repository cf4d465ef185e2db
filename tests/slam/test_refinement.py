"""Epipolar stereo on planes with closed-form answers, and the Kalman update of a whole keyframe."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenewright.slam import refinement, rigid
from scenewright.slam.config import StereoConfig
from scenewright.slam.exposure import Exposure
from scenewright.slam.image import Intrinsics
from scenewright.slam.refinement import FAILED, MATCHED, SKIPPED, DepthMap

K = Intrinsics(200.0, 200.0, 79.5, 59.5)
H, W = 120, 160
DISTANCE = 2.0


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(400, 500))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(125 + 50 * smooth / smooth.std(), 0, 255).astype(np.float32)


def view(texture: np.ndarray, T_cam_world: np.ndarray) -> np.ndarray:
    """The plane z = DISTANCE, 100 texels a metre, seen by a camera."""
    y, x = np.mgrid[:H, :W].astype(float)
    R, t = T_cam_world[:3, :3], T_cam_world[:3, 3]
    rays = np.stack([(x - K.cx) / K.fx, (y - K.cy) / K.fy, np.ones_like(x)], -1) @ R
    centre = -R.T @ t
    points = centre + rays * ((DISTANCE - centre[2]) / rays[..., 2])[..., None]
    u, v = (points[..., 0] * 100 + 250).astype(np.float32), (points[..., 1] * 100 + 200).astype(np.float32)
    return cv2.remap(texture, u, v, cv2.INTER_CUBIC)


def shifted(baseline: float, rotation: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """T_frame_keyframe of a camera that moved right by a baseline and turned."""
    return rigid.exp(np.array([0, 0, 0, *rotation])) @ rigid.exp(np.array([-baseline, 0, 0, 0, 0, 0]))


def matches(texture: np.ndarray, T: np.ndarray, prior: float = 0.55, sd: float = 0.05) -> list[refinement.Match]:
    key, frame = view(texture, np.eye(4)), view(texture, T)
    pixels = [(x, y) for y in range(20, 100, 7) for x in range(25, 135, 7)]
    found = [refinement.search(key, frame, p, prior, sd**2, K, T) for p in pixels]
    return [m for m in found if m.outcome == MATCHED]


def test_plane_gives_its_inverse_depth(texture: np.ndarray) -> None:
    baseline = 0.1
    found = matches(texture, shifted(baseline))
    assert len(found) > 30
    per_pixel = 1 / (K.fx * baseline)  # alpha: one pixel of disparity in inverse depth
    errors = np.array([m.inverse_depth - 1 / DISTANCE for m in found]) / per_pixel
    assert np.median(np.abs(errors)) < 0.05
    assert np.abs(np.median(errors)) < 0.02


def test_rotation_changes_nothing(texture: np.ndarray) -> None:
    turned = matches(texture, shifted(0.1, (0.02, -0.03, 0.04)))
    assert len(turned) > 30
    assert np.median([abs(m.inverse_depth - 1 / DISTANCE) for m in turned]) < 0.1 / (K.fx * 0.1)


def test_variance_falls_with_the_square_of_the_baseline(texture: np.ndarray) -> None:
    near = {round(m.length): m for m in matches(texture, shifted(0.05))}
    key = view(texture, np.eye(4))
    pairs = []
    for x in range(25, 135, 5):
        ms = [
            refinement.search(key, view(texture, shifted(b)), (x, 60), 0.5, 0.03**2, K, shifted(b)) for b in (0.05, 0.1)
        ]
        if all(m.outcome == MATCHED for m in ms):
            pairs.append(ms[0].variance / ms[1].variance)
    assert near
    assert len(pairs) > 5
    assert np.median(pairs) == pytest.approx(4.0, rel=0.02)


def test_swapped_exposure_is_undone(texture: np.ndarray) -> None:
    T = shifted(0.1)
    key, frame = view(texture, np.eye(4)), view(texture, T)
    plain = refinement.search(key, frame, (60, 60), 0.55, 0.05**2, K, T)
    lit = refinement.search(key, 1.2 * frame + 7, (60, 60), 0.55, 0.05**2, K, T, Exposure(1.2, 7.0))
    assert lit.outcome == plain.outcome
    assert lit.inverse_depth == pytest.approx(plain.inverse_depth, abs=1e-5)


def test_subpixel_zero_of_a_linear_gradient() -> None:
    """Residuals linear in the shift: e(s) = e0 + s d has its least SSD at -e0.d / d.d, which must be returned."""
    rng = np.random.default_rng(1)
    d = rng.normal(size=5)
    for truth in (-0.6, -0.2, 0.3, 0.45):
        rows = np.array([(s - truth) * d for s in (-1.0, 0.0, 1.0)])
        shift, ssd, interpolated = refinement._subpixel(rows, 1)
        assert interpolated
        assert shift == pytest.approx(truth, abs=1e-12)
        assert ssd == pytest.approx(0, abs=1e-12)


def test_the_end_of_the_segment_is_not_interpolated(texture: np.ndarray) -> None:
    """With the truth outside the searched range the best step lies at an end: full-pixel variance or no match."""
    baseline = 0.1
    found = matches(texture, shifted(baseline), prior=0.40, sd=0.02)
    alpha2 = (1 / (K.fx * baseline)) ** 2
    assert all(m.variance > 0.5 * alpha2 for m in found if abs(m.inverse_depth - 0.5) > 0.03)


@pytest.mark.parametrize(
    ("T", "prior"),
    [
        (shifted(0.001), 0.5),  # the epipolar line is too short
        (rigid.exp(np.array([0, 0, 1.5, 0, 0, 0])), 0.5),  # twice nearer
        (shifted(3.0), 0.5),  # out of the frame
    ],
)
def test_hopeless_searches_are_skipped(texture: np.ndarray, T: np.ndarray, prior: float) -> None:
    key = view(texture, np.eye(4))
    assert refinement.search(key, key, (80, 60), prior, 0.01**2, K, T).outcome == SKIPPED


def test_flat_pixels_are_skipped_and_noise_fails() -> None:
    flat = np.full((H, W), 90, np.float32)
    T = shifted(0.1)
    assert refinement.search(flat, flat, (80, 60), 0.5, 0.05**2, K, T).outcome == SKIPPED
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0, 255, (H, W)).astype(np.float32) for _ in range(2))
    outcomes = [refinement.search(a, b, (x, 60), 0.5, 0.1**2, K, T).outcome for x in range(30, 130)]
    assert outcomes.count(FAILED) > 60
    assert outcomes.count(MATCHED) < 8


def _keyframe(texture: np.ndarray, relative: float) -> tuple[DepthMap, np.ndarray, np.ndarray]:
    depth = np.full((H, W), DISTANCE * (1 + relative), np.float32)
    maps = DepthMap.from_depth(depth, np.square(0.15 * depth))
    return maps, view(texture, np.eye(4)), np.ones((H, W), bool)


def test_refinement_converges_to_the_plane(texture: np.ndarray) -> None:
    maps, key, mask = _keyframe(texture, 0.1)
    before = maps.variance.copy()
    counts = []
    for baseline in (0.12, 0.14, 0.16, 0.18, 0.2):
        T = shifted(baseline)
        frame = view(texture, T)
        counts.append(refinement.refine(maps, key, mask, frame, K, T, Exposure(), 0.0, StereoConfig()))
    assert counts[0] > 3000
    depth, variance = maps.depth()
    seen = maps.observed >= 3
    assert seen.mean() > 0.05
    assert np.median(np.abs(depth[seen] / DISTANCE - 1)) < 0.01
    assert (maps.variance[seen] < before[seen]).all()
    assert (np.sqrt(variance[seen]) >= 0.0049 * depth[seen]).all()  # the floor: frames are not independent
    untouched = maps.observed == 0
    assert (maps.inverse_depth[untouched] == maps.prior[untouched]).all()


def test_failures_widen_and_then_start_again(texture: np.ndarray) -> None:
    maps, key, mask = _keyframe(texture, 0.0)
    noise = np.random.default_rng(0).uniform(0, 255, (H, W)).astype(np.float32)
    config = StereoConfig(failures=3)
    maps.inverse_depth += np.float32(0.05)
    refinement.refine(maps, key, mask, noise, K, shifted(0.1), Exposure(), 0.0, config)
    failed = maps.failures == 1
    assert failed.mean() > 0.2
    np.testing.assert_allclose(maps.variance[failed], 1.1 * maps.prior_variance[failed], rtol=1e-5)
    for _ in range(2):
        refinement.refine(maps, key, mask, noise, K, shifted(0.1), Exposure(), 0.0, config)
    reset = failed & (maps.failures == 0) & (maps.observed == 0) & (maps.wait == 0)
    assert reset.any()
    np.testing.assert_allclose(maps.inverse_depth[reset], maps.prior[reset])


def test_masked_and_unknown_pixels_stay(texture: np.ndarray) -> None:
    maps, key, mask = _keyframe(texture, 0.05)
    mask[:, :80] = False
    maps.inverse_depth[:, 120:] = 0
    before = maps.inverse_depth.copy()
    refinement.refine(maps, key, mask, view(texture, shifted(0.1)), K, shifted(0.1), Exposure(), 0.0, StereoConfig())
    assert (maps.inverse_depth[:, :80] == before[:, :80]).all()
    assert (maps.inverse_depth[:, 120:] == 0).all()
    assert (maps.inverse_depth[:, 80:120] != before[:, 80:120]).any()


def test_depth_map_round_trip() -> None:
    depth = np.array([[0.0, 2.0]], np.float32)
    maps = DepthMap.from_depth(depth, np.array([[0.3, 0.16]], np.float32))
    assert maps.variance[0, 1] == pytest.approx(0.16 / 16)
    back, variance = maps.depth()
    np.testing.assert_allclose(back, depth)
    np.testing.assert_allclose(variance, [[0.0, 0.16]], rtol=1e-6)
