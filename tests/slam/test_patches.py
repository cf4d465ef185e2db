"""Patches found again where a known warp of the picture put them, and forgotten where they look otherwise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenewright.slam import patches, rigid
from scenewright.slam.bundle import LEAST_SD_PX, pose_information
from scenewright.slam.corner_map import CORRELATED, CornerMap, View
from scenewright.slam.image import Intrinsics

K = Intrinsics(260.0, 250.0, 79.5, 59.5)


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(3)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (120, 160)).astype(np.float32), (0, 0), 2.0)
    return cv2.normalize(smooth, None, 20, 200, cv2.NORM_MINMAX).astype(np.uint8)


PIXELS = np.array([[40.0, 30.0], [80.5, 60.25], [110.0, 80.0], [60.0, 90.0]])


def warped(picture: np.ndarray, A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The picture whose pixel A p + b shows what pixel p of the first shows."""
    return cv2.warpAffine(picture, np.column_stack([A, b]), (160, 120), flags=cv2.INTER_CUBIC)


class TestFind:
    @pytest.mark.parametrize("gain", [1.0, 0.6])
    def test_a_turned_and_scaled_picture_gives_every_place_back(self, picture: np.ndarray, gain: float) -> None:
        A = 1.2 * cv2.getRotationMatrix2D((0, 0), 10, 1.0)[:, :2]
        b = np.array([80.0, 60.0]) - A @ [80.0, 60.0]
        now = np.clip(gain * warped(picture, A, b) + 25, 0, 255).astype(np.uint8)
        truth = PIXELS @ A.T + b
        guess = truth + np.array([[1.0, -0.8], [-1.2, 0.3], [0.0, 1.0], [0.7, 0.7]])
        found, likeness = patches.find(patches.cut(picture, PIXELS), now, guess, np.tile(A, (4, 1, 1)))
        assert np.abs(found - truth).max() < 0.1
        assert likeness.min() > 0.97

    def test_another_place_does_not_look_alike(self, picture: np.ndarray) -> None:
        eye = np.tile(np.eye(2), (4, 1, 1))
        _, likeness = patches.find(patches.cut(picture, PIXELS), picture, PIXELS[::-1] + 7.0, eye)
        assert likeness.max() < 0.8

    def test_a_patch_without_texture_stays_where_it_is(self) -> None:
        flat = np.full((120, 160), 90, np.uint8)
        eye = np.tile(np.eye(2), (4, 1, 1))
        found, likeness = patches.find(patches.cut(flat, PIXELS), flat, PIXELS, eye)
        assert np.array_equal(found, PIXELS)
        assert np.abs(likeness).max() < 1e-3


class TestWarps:
    def test_they_are_the_derivative_of_where_a_plane_facing_the_first_view_goes(self) -> None:
        T_first = np.tile(rigid.exp(np.array([0.1, -0.2, 0.05, 0.1, 0.2, -0.1])), (4, 1, 1))[:, :3]
        T_now = rigid.exp(np.array([-0.2, 0.1, 0.3, -0.1, 0.15, 0.4]))[:3]
        z = np.array([1.0, 2.0, 3.0, 1.5])

        def project(pixels: np.ndarray) -> np.ndarray:
            X = np.stack([(pixels[:, 0] - K.cx) / K.fx * z, (pixels[:, 1] - K.cy) / K.fy * z, z], 1)
            world = np.einsum("nji,nj->ni", T_first[:, :, :3], X - T_first[:, :, 3])
            Y = world @ T_now[:, :3].T + T_now[:, 3]
            return np.stack([K.fx * Y[:, 0] / Y[:, 2] + K.cx, K.fy * Y[:, 1] / Y[:, 2] + K.cy], 1)

        h = 1e-5
        numeric = np.stack([(project(PIXELS + e) - project(PIXELS - e)) / (2 * h) for e in h * np.eye(2)], -1)
        np.testing.assert_allclose(patches.warps(T_first, T_now, PIXELS, z, K), numeric, atol=1e-7)

    def test_an_unknown_depth_is_far_away(self) -> None:
        T_first = np.tile(np.eye(4)[:3], (4, 1, 1))
        moved = np.eye(4)[:3].copy()
        moved[:, 3] = 0.5
        np.testing.assert_allclose(
            patches.warps(T_first, moved, PIXELS, np.zeros(4), K), np.tile(np.eye(2), (4, 1, 1)), atol=1e-5
        )


def test_sights_grow_by_the_new_points(picture: np.ndarray) -> None:
    sights = patches.Sights.none().more(0, picture, PIXELS[:1]).more(4, picture, PIXELS[1:])
    assert sights.view.tolist() == [0, 4, 4, 4]
    assert np.array_equal(sights.pixel, PIXELS)
    assert np.array_equal(sights.patch[0], picture[25:36, 35:46])


def sparse(points: np.ndarray, pixels: np.ndarray, views: int = 2) -> CornerMap:
    out = CornerMap(K)
    out.points, out.known = points, np.ones(len(points), bool)
    none = np.zeros(len(points))
    out.views = [View(n, np.eye(4)[:3], np.arange(len(points)), pixels, none, none) for n in range(views)]
    return out


class TestMotionCovariance:
    def test_one_wall_leaves_sliding_against_turning_open_and_a_room_does_not(self) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.uniform([70, 50], [90, 70], (100, 2))  # a narrow look: perspective says little
        rays = np.column_stack([(pixels[:, 0] - K.cx) / K.fx, (pixels[:, 1] - K.cy) / K.fy, np.ones(100)])
        wall, room = 2.0 * rays, rng.uniform(1.0, 4.0, (100, 1)) * rays
        flat, deep = (sparse(points, pixels).motion_covariance(0, 1) for points in (wall, room))
        assert flat[0, 0] > 20 * deep[0, 0]
        # along x and about y together: what a move does, a turn undoes
        assert abs(flat[0, 4]) / np.sqrt(flat[0, 0] * flat[4, 4]) > 0.99

    @pytest.mark.parametrize(("wrong_px", "sd_px"), [(0.0, LEAST_SD_PX), (0.5, 0.5)])
    def test_it_is_what_the_errors_of_every_view_after_the_first_say(self, wrong_px: float, sd_px: float) -> None:
        rng = np.random.default_rng(1)
        pixels = rng.uniform([10, 10], [150, 110], (60, 2))
        rays = np.column_stack([(pixels[:, 0] - K.cx) / K.fx, (pixels[:, 1] - K.cy) / K.fy, np.ones(60)])
        points = rng.uniform(1.0, 4.0, (60, 1)) * rays
        seen = pixels + [wrong_px, 0.0]
        H = pose_information(np.eye(4)[:3], points, seen, K) / (CORRELATED * sd_px) ** 2
        found = sparse(points, seen, views=4).motion_covariance(0, 3)
        np.testing.assert_allclose(found, 3 * np.linalg.inv(H + 1e-3 * np.eye(6)), rtol=1e-9, atol=1e-15)

    def test_pose_information_is_the_curvature_of_the_squared_errors(self) -> None:
        rng = np.random.default_rng(2)
        pixels = rng.uniform([10, 10], [150, 110], (30, 2))
        rays = np.column_stack([(pixels[:, 0] - K.cx) / K.fx, (pixels[:, 1] - K.cy) / K.fy, np.ones(30)])
        points = rng.uniform(1.0, 4.0, (30, 1)) * rays

        def residuals(twist: np.ndarray) -> np.ndarray:
            X = points @ rigid.exp(twist)[:3, :3].T + rigid.exp(twist)[:3, 3]
            projected = np.stack([K.fx * X[:, 0] / X[:, 2] + K.cx, K.fy * X[:, 1] / X[:, 2] + K.cy], 1)
            return (projected - pixels).ravel()

        J = np.stack([(residuals(e) - residuals(-e)) / 2e-6 for e in 1e-6 * np.eye(6)], 1)
        np.testing.assert_allclose(pose_information(np.eye(4)[:3], points, pixels, K), J.T @ J, rtol=1e-5, atol=1e-2)
