"""When a frame becomes a keyframe, the exposure between two frames, and the tracker's second starts."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.slam import hypotheses, rigid
from scenewright.slam.config import HypothesesConfig, KeyframeConfig
from scenewright.slam.exposure import from_moments
from scenewright.slam.image import Intrinsics
from scenewright.slam.keyframes import need_keyframe, score, threshold

CONFIG = KeyframeConfig()
CAMERA = Intrinsics(200.0, 200.0, 159.5, 119.5)
shares = st.floats(0, 1)
metres = st.floats(0, 3)
gains = st.floats(0.25, 4)


class TestScore:
    def test_a_quarter_of_the_depth_or_two_thirds_of_the_points_fill_it(self) -> None:
        """Engel's weights: (4 d / D)^2 + (3 (1 - usage))^2."""
        assert score(0.5, 1 / 2, 1.0, 1.0, CONFIG) == pytest.approx((CONFIG.distance_weight * 0.25) ** 2)
        assert score(0.0, 1 / 2, 1 / 3, 1.0, CONFIG) == pytest.approx((CONFIG.usage_weight * 2 / 3) ** 2)
        assert score(0.0, 1 / 2, 1.0, 1.0, CONFIG) == 0

    @given(metres, metres, shares, shares, gains)
    def test_more_motion_fewer_points_and_another_exposure_raise_it(
        self, near: float, far: float, few: float, many: float, gain: float
    ) -> None:
        near, far = sorted((near, far))
        few, many = sorted((few, many))
        base = score(near, 0.5, many, 1.0, CONFIG)
        assert score(far, 0.5, many, 1.0, CONFIG) >= base
        assert score(near, 0.5, few, 1.0, CONFIG) >= base
        assert score(near, 0.5, many, gain, CONFIG) >= base

    @given(metres, st.floats(0.1, 10), shares)
    def test_it_does_not_depend_on_the_scale_of_the_world(self, distance: float, factor: float, usage: float) -> None:
        small = score(distance, 0.5, usage, 1.0, CONFIG)
        assert score(factor * distance, 0.5 / factor, usage, 1.0, CONFIG) == pytest.approx(small)

    def test_brighter_and_darker_count_alike(self) -> None:
        assert score(0, 1, 1, 2.0, CONFIG) == pytest.approx(score(0, 1, 1, 0.5, CONFIG))

    def test_a_young_map_asks_sooner(self) -> None:
        levels = [threshold(n) for n in range(8)]
        assert levels == sorted(levels)
        assert levels[0] == pytest.approx(0.14)
        assert levels[5:] == [1, 1, 1]

    def test_nothing_becomes_one_before_its_time(self) -> None:
        early = CONFIG.minimum_frames - 1
        assert not need_keyframe(9.0, 1.0, 0.0, 1.0, early, 99.0, 9, CONFIG)
        assert need_keyframe(9.0, 1.0, 0.0, 1.0, CONFIG.minimum_frames, 0.0, 9, CONFIG)

    def test_old_age_counts_only_for_a_camera_that_moves(self) -> None:
        old = CONFIG.maximum_age_s + 1
        assert need_keyframe(0.03, 1.0, 1.0, 1.0, 100, old, 9, CONFIG)
        assert not need_keyframe(0.01, 1.0, 1.0, 1.0, 100, old, 9, CONFIG)
        assert not need_keyframe(0.03, 1.0, 1.0, 1.0, 100, 0.0, 9, CONFIG)


class TestExposure:
    @staticmethod
    def moments(k: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.array([len(k), k.sum(), t.sum(), (k * k).sum(), (t * t).sum()], np.float64)

    @given(st.floats(0.25, 4), st.floats(-50, 50), st.integers(0, 1000))
    def test_an_affine_change_is_found_exactly(self, gain: float, offset: float, seed: int) -> None:
        k = np.random.default_rng(seed).uniform(20, 200, 400)
        found = from_moments(self.moments(k, gain * k + offset))
        assert found is not None
        assert found.gain == pytest.approx(gain, rel=1e-6)
        assert found.offset == pytest.approx(offset, abs=1e-3)

    @pytest.mark.parametrize("gain", [0.1, 8.0])
    def test_changes_beyond_belief_are_none(self, gain: float) -> None:
        k = np.linspace(20, 200, 50)
        assert from_moments(self.moments(k, gain * k)) is None

    def test_without_contrast_or_points_there_is_none(self) -> None:
        assert from_moments(np.zeros(5)) is None
        assert from_moments(self.moments(np.full(9, 50.0), np.linspace(0, 90, 9))) is None
        assert from_moments(self.moments(np.linspace(0, 90, 9), np.full(9, 50.0))) is None


def scene(seed: int = 0, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A picture with corners everywhere."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (size[0] // 8, size[1] // 8)).astype(np.float32)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_NEAREST)


def seen_from(image: np.ndarray, depth_m: float, T_frame_keyframe: np.ndarray) -> np.ndarray:
    """The picture of a plane at a depth, facing the first camera, from another: H = K (R + t n'/d) K^-1."""
    K = CAMERA.matrix()
    normal = np.array([[0.0, 0.0, 1.0]])
    H = K @ (T_frame_keyframe[:3, :3] + T_frame_keyframe[:3, 3:] @ normal / depth_m) @ np.linalg.inv(K)
    return cv2.warpPerspective(image, H, image.shape[::-1], flags=cv2.INTER_LINEAR)


def motion(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, t: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    R = cv2.Rodrigues(np.array([pitch, yaw, roll]))[0]
    return rigid.from_rotation(R, np.array(t, np.float64))


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    return math.degrees(float(np.linalg.norm(cv2.Rodrigues(a[:3, :3] @ b[:3, :3].T)[0])))


class TestSecondStarts:
    config = HypothesesConfig()

    def start(self, T: np.ndarray, depth_m: float = 2.0) -> tuple[np.ndarray, int] | None:
        image = scene()
        features = [hypotheses.detect(picture, self.config) for picture in (image, seen_from(image, depth_m, T))]
        depth = np.full(image.shape, depth_m, np.float32)
        return hypotheses.pnp_start(features[0], depth, features[1], CAMERA, self.config)

    @pytest.mark.parametrize(
        "T", [motion(t=(0.1, 0, 0)), motion(yaw=0.08, t=(0, 0.05, 0.1)), motion(roll=0.3), motion(pitch=-0.1)]
    )
    def test_corners_and_depth_give_the_metric_motion(self, T: np.ndarray) -> None:
        found = self.start(T)
        assert found is not None
        assert found[1] >= self.config.minimum_inliers
        assert angle_between(found[0], T) < 0.3
        np.testing.assert_allclose(found[0][:3, 3], T[:3, 3], atol=0.02)  # a hundredth of the depth

    def test_without_depth_or_likeness_there_is_no_start(self) -> None:
        a, b = (hypotheses.detect(scene(seed), self.config) for seed in (0, 1))
        flat = np.full((240, 320), 2.0, np.float32)
        assert hypotheses.pnp_start(a, 0 * flat, a, CAMERA, self.config) is None
        assert hypotheses.pnp_start(a, flat, b, CAMERA, self.config) is None

    def test_a_blank_picture_has_no_corners_and_no_matches(self) -> None:
        blank = hypotheses.detect(np.full((240, 320), 90.0, np.float32), self.config)
        assert blank.pixels.shape == (0, 2)
        i, j = hypotheses.match(blank, hypotheses.detect(scene(), self.config))
        assert (len(i), len(j)) == (0, 0)

    def test_matches_are_mutual(self) -> None:
        features = hypotheses.detect(scene(), self.config)
        i, j = hypotheses.match(features, features)
        same = np.all(features.descriptors[i] == features.descriptors[j], axis=1)
        assert same.all()
        assert len(np.unique(i)) == len(i)
        assert len(np.unique(j)) == len(j)

    @pytest.mark.parametrize("T", [motion(yaw=0.12), motion(pitch=0.1), motion(roll=0.15), motion(yaw=-0.06, roll=0.1)])
    def test_thumbnails_give_the_rotation(self, T: np.ndarray) -> None:
        """Smooth pictures, as rooms are at forty pixels; the sign of every axis matters."""
        image = cv2.GaussianBlur(scene(3), (0, 0), 12)
        image = 255 * (image - image.min()) / np.ptp(image)
        found = hypotheses.rotation_start(image, seen_from(image, 1e9, T), CAMERA)
        assert angle_between(found, T) < 0.5 * angle_between(np.eye(4), T)
        assert not found[:3, 3].any()

    def test_pictures_without_likeness_give_no_rotation_or_a_rotation(self) -> None:
        found = hypotheses.rotation_start(np.zeros((240, 320), np.float32), scene(), CAMERA)
        np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-6)

    def test_thumbnails_keep_the_aspect(self) -> None:
        assert hypotheses.thumbnail(scene()).shape == (30, 40)
        assert hypotheses.thumbnail(scene(size=(16, 320))).shape == (8, 40)
