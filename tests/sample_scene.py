"""A small scene with everything in it, for the tests of the scene and of those that read it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from scenewright.geometry.camera import Camera
from scenewright.scene.manifest import Manifest
from scenewright.scene.pictures import intrinsics_of
from scenewright.scene.records import SceneFigure, SceneFrame, SceneKeyframe
from scenewright.scene.scene import Scene

CAMERA = Camera.from_fov(24, 16, 60.0)


def make_manifest(**changes: object) -> Manifest:
    facts = {
        "name": "kitchen",
        "source": "clip.mp4",
        "scale": "metric",
        "intrinsics_source": "file",
        "camera": intrinsics_of(CAMERA),
        "labels": ("unknown", "floor", "wall"),
        "options": {"voxel": 0.02, "seed": 3},
        "versions": {"scenewright": "0.1.0"},
        "weights": {"fcrn": "ab" * 32},
    }
    return Manifest(**(facts | changes))  # type: ignore[arg-type]


def make_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    T[:3, 3] = rng.normal(size=3)
    return T


def make_keyframe(number: int, **changes: object) -> SceneKeyframe:
    rng = np.random.default_rng(number)
    depth_m = rng.uniform(0.5, 6.0, CAMERA.size).astype(np.float32)
    depth_m[0, :5] = 0
    facts = {
        "id": number,
        "index": 10 * number,
        "time_s": number / 3,
        "image": rng.integers(0, 256, (*CAMERA.size, 3), dtype=np.uint8),
        "camera": CAMERA,
        "T_world_cam": make_pose(number),
        "depth_m": depth_m,
        "sigma_m": (depth_m * 0.05).astype(np.float32),
        "labels": rng.integers(0, 3, CAMERA.size, dtype=np.uint8),
    }
    return SceneKeyframe(**(facts | changes))  # type: ignore[arg-type]


def make_frames(count: int) -> list[SceneFrame]:
    lost = {2}
    return [
        SceneFrame(i, i / 30, "lost" if i in lost else "ok", None if i in lost else make_pose(i), 0, 4.5, 0.8, 33.3)
        for i in range(count)
    ]


def fill(scene: Scene) -> None:
    with scene.step("track"):
        scene.write_frames(make_frames(5))
        for number in (0, 1):
            scene.write_keyframe(make_keyframe(number))
    with scene.step("fuse"), scene.writing("mesh.ply") as path:
        path.write_bytes(b"ply\n")
    with scene.step("measure"):
        scene.write_figures([SceneFigure("ATE RMSE", 0.031, "m", "SE(3) alignment", "trajectory")])
