"""Matching two photographs and locating one in a scene, on a made world whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scenewright.cli.main import main
from scenewright.data.images import write_image
from scenewright.errors import InputError
from scenewright.features.metrics import corner_error
from scenewright.geometry.camera import Camera
from scenewright.geometry.projection import project, rays
from scenewright.pipelines.localize import Localizer, straightened
from scenewright.pipelines.match import MatchOptions, match_images

CAMERA = Camera.from_fov(320, 240, 62)


def textured(seed: int = 0, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.uniform(0, 255, (size[1], size[0], 3)).astype(np.float32), (0, 0), 4)
    image = np.clip((image - image.mean()) * 5 + 120, 0, 255).astype(np.uint8)
    for _ in range(60):
        x, y, s = rng.integers(0, size[0] - 40), rng.integers(0, size[1] - 40), rng.integers(8, 40)
        image[y : y + s, x : x + s] = rng.integers(0, 256, 3)
    return image


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    """Two views of a plane and the homography between them."""
    image = textured()
    H = np.array([[0.92, -0.12, 40], [0.1, 0.95, -10], [1e-4, -5e-5, 1]])
    paths = tmp_path / "a.png", tmp_path / "b.png"
    write_image(paths[0], image)
    write_image(paths[1], cv2.warpPerspective(image, H, (640, 480)))
    return *paths, H


@pytest.mark.parametrize("size", [1024, 320])
def test_matches_are_in_pixels_of_the_originals(pair: tuple[Path, Path, np.ndarray], tmp_path: Path, size: int) -> None:
    out = tmp_path / "out"
    match_images(pair[0], pair[1], out, MatchOptions(size=size, model="homography"))
    found = np.load(out / "matches.npz")
    assert corner_error(found["H"], pair[2], (480, 640)) < 2.5
    assert found["inlier"].sum() > 50
    record = json.loads((out / "matches.json").read_text())
    assert record["model"] == "homography"
    assert record["inliers"] == found["inlier"].sum()
    assert record["camera"][0]["source"].startswith("a guess")
    picture = cv2.imread(str(out / "matches.preview.jpg"))
    assert picture.shape == (480, 1280, 3)


def test_colmap_s_text(pair: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    match_images(pair[0], pair[1], tmp_path / "out", MatchOptions(count=200))
    lines = (tmp_path / "out/colmap/a.png.txt").read_text().splitlines()
    count, length = map(int, lines[0].split())
    assert (len(lines) - 1, length) == (count, 128)
    assert all(len(line.split()) == 4 + 128 for line in lines[1:])
    found = np.load(tmp_path / "out/matches.npz")
    rows = (tmp_path / "out/colmap/matches.txt").read_text().splitlines()
    assert rows[0] == "a.png b.png"
    assert rows[-1] == ""
    assert len(rows) == len(found["xy0"]) + 2
    first = int(rows[1].split()[0])
    np.testing.assert_allclose([float(v) - 0.5 for v in lines[1 + first].split()[:2]], found["xy0"][0], atol=1e-3)


def test_the_command_and_its_errors(pair: tuple[Path, Path, np.ndarray], tmp_path: Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert main(["match", str(pair[0]), str(pair[1]), "-o", str(tmp_path / "out"), "--method", "orb"]) == 0
    assert "matches.preview.jpg" in capsys.readouterr().out
    for extra in (["--method", "surf"], ["--model", "affine"], ["--count", "3"], ["--intrinsics", "1,2"]):
        assert main(["match", str(pair[0]), str(pair[1]), "-o", str(tmp_path / "no"), *extra]) == 2
        assert "expected" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    assert main(["match", str(pair[0]), str(tmp_path / "nothing.png"), "-o", str(tmp_path / "no")]) == 2


class Box:
    """A textured box room seen from inside: keyframes with exact depth."""

    def __init__(self) -> None:
        self.walls = [textured(k, (512, 512)) for k in range(4)]
        self.camera = CAMERA

    def view(self, T_world_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(image, depth_m): rays against four walls 4 m apart, textures of 128 pixels a metre."""
        h, w = CAMERA.size
        fx, fy, cx, cy = CAMERA.numbers
        u, v = np.meshgrid(np.arange(w), np.arange(h))
        rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((h, w))], -1) @ T_world_cam[:3, :3].T
        eye = T_world_cam[:3, 3]
        best, image = np.full((h, w), np.inf), np.zeros((h, w, 3), np.uint8)
        for k, (axis, at) in enumerate([(0, 2.0), (0, -2.0), (2, 2.0), (2, -2.0)]):
            with np.errstate(divide="ignore", invalid="ignore"):
                t = (at - eye[axis]) / rays[..., axis]
            P = eye + t[..., None] * rays
            inside = (t > 0) & (t < best) & (np.abs(P[..., 1]) < 2) & (np.abs(P[..., 2 - axis]) < 2.001)
            a = np.clip((P[..., 2 - axis] + 2) * 128, 0, 511).astype(np.float32)
            b = np.clip((P[..., 1] + 2) * 128, 0, 511).astype(np.float32)
            seen = cv2.remap(self.walls[k], a, b, cv2.INTER_LINEAR)
            image[inside], best[inside] = seen[inside], t[inside]
        return image, np.where(np.isfinite(best), best, 0).astype(np.float32)

    @staticmethod
    def pose(yaw: float, x: float, z: float) -> np.ndarray:
        T, c, s = np.eye(4), np.cos(yaw), np.sin(yaw)
        T[:3, :3], T[:3, 3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]], [x, 0, z]
        return T

    def keyframes(self) -> list[object]:
        from scenewright.scene.records import SceneKeyframe

        frames = []
        for k, yaw in enumerate(np.arange(12) * np.pi / 6):
            image, depth = self.view(T := self.pose(yaw, 0.3 * np.sin(yaw), 0.3 * np.cos(yaw)))
            frames.append(SceneKeyframe(k, k, float(k), image, CAMERA, T, depth))
        return frames


@pytest.fixture(scope="module")
def box() -> Box:
    return Box()


@pytest.fixture(scope="module")
def localizer(box: Box) -> Localizer:
    return Localizer(box)  # type: ignore[arg-type]  # all that is asked of a scene is its keyframes


@pytest.mark.parametrize(("yaw", "x", "z"), [(0.2, 0.4, -0.3), (1.9, -0.5, 0.2), (4.0, 0.1, 0.6)])
def test_a_new_view_is_placed(box: Box, localizer: Localizer, yaw: float, x: float, z: float) -> None:
    T = box.pose(yaw, x, z)
    found = localizer.locate(box.view(T)[0], CAMERA)
    assert found is not None
    assert np.linalg.norm(found.T_world_cam[:3, 3] - T[:3, 3]) < 0.03
    turn = found.T_world_cam[:3, :3].T @ T[:3, :3]
    assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 0.6
    assert 1e-5 < found.position_sd_m < 0.05
    assert found.agreement > 0.9
    assert set(found.keyframes) <= set(range(12))
    assert len(found.xy) == len(found.points) == found.inliers


def test_a_photograph_through_the_scene_s_lens_is_straightened_first(box: Box, localizer: Localizer) -> None:
    """A lens of k1 = -0.2 bends the corner by 12 %: unknown, it turns or moves the answer, or forbids it."""
    T, lens = box.pose(0.2, 0.4, -0.3), replace(CAMERA, distortion=torch.tensor([-0.2, 0, 0, 0]))
    uv, _ = project(rays(lens), CAMERA)  # where the pinhole saw what the lens shows in each pixel
    x, y = uv.squeeze().movedim(int(np.argmin(uv.squeeze().shape)), 0).numpy()
    bent = cv2.remap(box.view(T)[0], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def off(camera: Camera) -> float:
        found = localizer.locate(bent, camera)
        return np.inf if found is None else float(np.linalg.norm(found.T_world_cam[:3, 3] - T[:3, 3]))

    assert off(lens) < 0.03
    assert off(CAMERA) > 2 * off(lens)
    same, camera = straightened(bent, CAMERA)
    assert same is bent
    assert camera is CAMERA


def test_what_the_scene_does_not_show_is_not_known(localizer: Localizer) -> None:
    assert localizer.locate(textured(77, (320, 240)), CAMERA) is None
    assert localizer.locate(np.full((240, 320, 3), 120, np.uint8), CAMERA) is None


def test_a_camera_of_another_size_is_refused(localizer: Localizer) -> None:
    with pytest.raises(InputError, match="size"):
        localizer.locate(np.zeros((100, 320, 3), np.uint8), CAMERA)


def test_a_scene_without_keyframes_is_refused() -> None:
    class Empty:
        def keyframes(self) -> list[object]:
            return []

    with pytest.raises(InputError, match="no keyframes"):
        Localizer(Empty())  # type: ignore[arg-type]


@pytest.mark.parametrize("features", ["orb", "shi-tomasi+sift"])
def test_other_features_place_it_too(box: Box, features: str) -> None:
    class Corner:
        def keyframes(self) -> list[object]:
            return box.keyframes()[:3]

    T = box.pose(0.3, 0.2, 0.1)
    found = Localizer(Corner(), features).locate(box.view(T)[0], CAMERA)  # type: ignore[arg-type]
    assert found is not None
    assert np.linalg.norm(found.T_world_cam[:3, 3] - T[:3, 3]) < 0.05


def test_a_picture_of_the_scene_in_a_strange_room_is_not_known(box: Box, localizer: Localizer) -> None:
    """A poster that shows the scene matches well, in one corner; the rest of the photograph is elsewhere."""
    strange = np.ascontiguousarray(textured(78, (320, 240)))
    strange[20:110, 20:140] = cv2.resize(box.view(box.pose(0.2, 0.1, 0.1))[0], (120, 90))
    assert localizer.locate(strange, CAMERA) is None
