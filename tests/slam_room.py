"""A textured box room with furniture, ray cast exactly in NumPy: the world of the SLAM tests."""

from __future__ import annotations

import cv2
import numpy as np

from scenewright.geometry.camera import Camera
from scenewright.slam.types import Keyframe

SIZE = np.array([5.0, 2.6, 4.0])  # metres; y points down as in a camera, so the floor is y = 2.6
BOXES = np.array(
    [  # x0 y0 z0 x1 y1 z1
        [0.6, 1.8, 2.6, 2.0, 2.6, 3.4],
        [3.2, 1.2, 2.9, 3.9, 2.6, 3.7],
        [2.3, 2.1, 1.9, 2.8, 2.6, 2.4],
        [4.2, 1.6, 0.8, 4.8, 2.6, 1.6],
    ]
)
CAMERA = Camera.from_parameters(160, 120, 130.0, 130.0, 79.5, 59.5)


class BoxRoom:
    """Views of the room. `image` is (H, W, 3) uint8, `depth` is z-depth in metres, `label` 2 floor, 3 wall, 10 box."""

    def __init__(self, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        blobs = [cv2.GaussianBlur(generator.normal(size=(512, 512)), (0, 0), s) for s in (1.2, 3.0, 10.0)]
        grey = sum(b / b.std() for b in blobs)
        tint = np.stack([cv2.GaussianBlur(generator.normal(size=(512, 512)), (0, 0), 30.0) for _ in range(3)], -1)
        self.texture = np.clip(125 + 32 * grey[..., None] + 25 * tint / tint.std(), 5, 250).astype(np.float32)
        self.offsets = generator.integers(0, 512, (len(BOXES) + 1, 3, 2, 2))

    def render(self, T_world_cam: np.ndarray, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(image, depth_m, label) of one view."""
        fx, fy, cx, cy = camera.numbers
        y, x = np.mgrid[: camera.height, : camera.width].astype(np.float64)
        rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1).reshape(-1, 3) @ T_world_cam[:3, :3].T
        rays[np.abs(rays) < 1e-12] = 1e-12
        origin = T_world_cam[:3, 3]
        far = np.maximum((0 - origin) / rays, (SIZE - origin) / rays)
        axis = far.argmin(1)
        depth, box = far.min(1), np.full(len(rays), len(BOXES))
        for k, b in enumerate(BOXES):
            a, c = (b[:3] - origin) / rays, (b[3:] - origin) / rays
            enter, leave = np.minimum(a, c), np.maximum(a, c)
            hit = (enter.max(1) < leave.min(1)) & (enter.max(1) > 0) & (enter.max(1) < depth)
            depth[hit], axis[hit], box[hit] = enter.max(1)[hit], enter.argmax(1)[hit], k
        points = origin + depth[:, None] * rays
        label = np.where(box < len(BOXES), 10, np.where((axis == 1) & (rays[:, 1] > 0), 2, 3))
        shape = (camera.height, camera.width)
        image = self._colour(points, axis, box, rays, shape)
        return np.rint(image).astype(np.uint8), depth.reshape(shape).astype(np.float32), label.reshape(shape)

    def _colour(
        self, points: np.ndarray, axis: np.ndarray, box: np.ndarray, rays: np.ndarray, shape: tuple[int, int]
    ) -> np.ndarray:
        side = (rays[np.arange(len(rays)), axis] > 0).astype(int)
        plane = np.array([[1, 2], [0, 2], [0, 1]])[axis]
        uv = points[np.arange(len(points))[:, None], plane] * 70 + self.offsets[box, axis, side]
        u, v = ((uv[:, k] % 511).astype(np.float32) for k in (0, 1))
        return cv2.remap(self.texture, u.reshape(shape), v.reshape(shape), cv2.INTER_LINEAR)

    def keyframe(self, id: int, T_world_cam: np.ndarray, camera: Camera = CAMERA, factor: float = 1.0) -> Keyframe:
        """A keyframe with true depth times `factor`."""
        image, depth, _ = self.render(T_world_cam, camera)
        depth = (factor * depth).astype(np.float32)
        variance = np.float32((0.02 * depth) ** 2)
        return Keyframe(
            id, id, float(id), image, camera, depth, variance, depth, np.zeros(depth.shape, np.uint16), T_world_cam
        )


def look(x: float, y: float, z: float, yaw_deg: float, pitch_deg: float = 0.0) -> np.ndarray:
    """T_world_cam at a place, turned right by yaw and up by pitch."""
    a, b = np.radians([yaw_deg, pitch_deg])
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = yaw @ pitch, (x, y, z)
    return T


def walk(count: int) -> list[np.ndarray]:
    """A closed walk around the middle of the room that looks about."""
    turns = np.arange(count) / count
    return [
        look(
            2.2 + 0.9 * np.sin(2 * np.pi * t),
            1.3,
            1.3 + 0.5 * np.cos(2 * np.pi * t),
            360 * t,
            -10 + 8 * np.sin(6 * np.pi * t),
        )
        for t in turns
    ]
