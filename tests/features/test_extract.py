"""Features by name, and the robust geometry behind their matches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenewright.engine.table import list_methods
from scenewright.engine.weights import list_weights, load, save
from scenewright.errors import InputError
from scenewright.features.baselines import Corners, Orb, Sift
from scenewright.features.extract import extractor
from scenewright.features.magicpoint import MagicPoint
from scenewright.features.magicwarp import MagicWarp
from scenewright.features.metrics import corner_error, pose_error_deg
from scenewright.features.robust import PnpOptions, absolute_pose, homography, relative_pose
from scenewright.features.task import Describer, Detector
from scenewright.geometry.camera import Camera
from scenewright.nn.kept import KeptConv2d


def picture() -> torch.Tensor:
    """Blurred noise, (1, 3, 128, 160)."""
    noise = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(noise, (128, 160), mode="bilinear")


@pytest.mark.parametrize("name", [n for n in list_methods("features") if n in list_weights() and n != "magicwarp"])
def test_what_commands_use_says_the_same_as_the_trained_network(name: str) -> None:
    plain, found = load(name), extractor(name)
    learned = found.detector if isinstance(plain, Detector) else found.describer
    assert any(isinstance(module, KeptConv2d) for module in learned.modules())
    points = found.detector.detect(picture(), 40)
    if isinstance(plain, Detector):
        torch.testing.assert_close(points.xy, plain.detect(picture(), 40).xy, rtol=1e-4, atol=0.05)
    assert len(points) > 5
    if isinstance(plain, Describer):
        expected, given = (m.describe(picture(), points).descriptors for m in (plain, found.describer))
        torch.testing.assert_close(given, expected, rtol=2e-3, atol=2e-3)


def test_names_make_detectors_and_describers() -> None:
    both = extractor("sift")
    assert isinstance(both.detector, Sift)
    assert both.detector is both.describer
    mixed = extractor("harris+orb")
    assert isinstance(mixed.detector, Corners)
    assert isinstance(mixed.describer, Orb)
    assert mixed.ratio == 0.9
    assert isinstance(extractor("fast").describer, Sift)  # what only detects is described by SIFT
    assert isinstance(extractor("patches").detector, Sift)


@pytest.mark.parametrize("name", ["surf", "patches+sift", "sift+harris", ""])
def test_what_cannot_play_its_role_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="features"):
        extractor(name)


def test_weights_in_a_folder_become_features(tmp_path: object) -> None:
    torch.manual_seed(0)
    point = save(MagicPoint.from_preset("small"), f"{tmp_path}/point", training={})
    assert isinstance(extractor(str(point)).detector, MagicPoint)
    warp = save(MagicWarp.from_preset("small"), f"{tmp_path}/warp", training={})
    with pytest.raises(InputError, match="detects or describes"):
        extractor(str(warp))


def test_a_homography_is_found_among_wrong_matches() -> None:
    rng = np.random.default_rng(0)
    H = np.array([[0.9, -0.1, 20], [0.12, 1.1, -5], [2e-4, -1e-4, 1]])
    xy = rng.uniform(0, [639, 479], (200, 2))
    mapped = np.column_stack([xy, np.ones(200)]) @ H.T
    there = mapped[:, :2] / mapped[:, 2:] + rng.normal(0, 0.3, (200, 2))
    there[120:] = rng.uniform(0, [639, 479], (80, 2))
    found = homography(xy, there)
    assert found is not None
    assert corner_error(found.H, H, (480, 640)) < 1.0
    assert found.inliers[:120].mean() > 0.95
    assert found.inliers[120:].mean() < 0.1
    again = homography(xy, there)
    assert again is not None
    assert np.array_equal(found.H, again.H)
    assert homography(xy[:3], there[:3]) is None


def test_a_relative_pose_is_found_among_wrong_matches() -> None:
    rng = np.random.default_rng(1)
    camera = Camera.from_fov(640, 480, 60)
    K = camera.K.double().numpy()
    X = rng.uniform([-2, -1.5, 3], [2, 1.5, 7], (300, 3))
    c, s = np.cos(0.15), np.sin(0.15)
    R, t = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([-0.5, 0.1, 0.05])

    def project(P: np.ndarray) -> np.ndarray:
        uv = P @ K.T
        return uv[:, :2] / uv[:, 2:] + rng.normal(0, 0.2, (len(P), 2))

    first, second = project(X), project(X @ R.T + t)
    second[200:] = rng.uniform(0, [639, 479], (100, 2))
    found = relative_pose(first, second, (camera, camera))
    assert found is not None
    assert pose_error_deg(found.R, found.t, R, t) < 1.0
    assert found.inliers[:200].mean() > 0.9
    assert relative_pose(first[:7], second[:7], (camera, camera)) is None


def test_a_pose_against_points_is_found_among_wrong_matches() -> None:
    rng = np.random.default_rng(2)
    camera = Camera.from_fov(640, 480, 60)
    K = camera.K.double().numpy()
    X = rng.uniform([-2, -1.5, 3], [2, 1.5, 7], (150, 3))
    c, s = np.cos(0.3), np.sin(0.3)
    T = np.array([[c, 0, s, 0.4], [0, 1, 0, -0.2], [-s, 0, c, 0.3], [0, 0, 0, 1]])
    uv = (X @ T[:3, :3].T + T[:3, 3]) @ K.T
    uv = uv[:, :2] / uv[:, 2:] + rng.normal(0, 0.3, (150, 2))
    uv[90:] = rng.uniform(0, [639, 479], (60, 2))
    found = absolute_pose(X, uv, camera)
    assert found is not None
    np.testing.assert_allclose(found.T_cam_world, T, atol=0.02)
    assert found.inliers[:90].mean() > 0.95
    assert found.inliers[90:].mean() < 0.1
    assert found.rms_px == pytest.approx(0.3 * np.sqrt(2), rel=0.2)
    again = absolute_pose(X, uv, camera)
    assert again is not None
    assert again.T_cam_world.tobytes() == found.T_cam_world.tobytes()
    assert absolute_pose(X[:7], uv[:7], camera) is None
    assert absolute_pose(X, uv, camera, PnpOptions(least=120)) is None
