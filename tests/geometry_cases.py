"""Cameras, motions and a small exact world for the geometry tests: a textured slanted plane, rendered exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from scenewright.geometry.camera import Camera
from scenewright.geometry.lie import se3_exp, se3_inverse, transform
from scenewright.geometry.projection import rays

F64 = torch.float64


def rand(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Uniform float64 numbers from a seed."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=F64)


def make_camera(width: int = 40, height: int = 30, batch: int | None = None, lens: tuple[float, ...] = ()) -> Camera:
    """An off-centre camera; a batch holds different focal lengths."""
    K = torch.tensor([[0.9 * width, 0, 0.47 * width], [0, 1.1 * width, 0.55 * height], [0, 0, 1]], dtype=F64)
    if batch is not None:
        K = K.expand(batch, 3, 3).clone()
        K[:, 0, 0] *= torch.linspace(1, 1.2, batch, dtype=F64)
    return Camera(width, height, K, torch.tensor(lens, dtype=F64) if lens else None)


def make_motion(batch: int | None = None, seed: int = 1, translation: float = 0.15, rotation: float = 0.06) -> Tensor:
    """A small random motion (4, 4) or (B, 4, 4)."""
    twist = rand(batch or 1, 6, seed=seed) * torch.tensor([translation] * 3 + [rotation] * 3, dtype=F64)
    return se3_exp(twist if batch else twist[0])


def texture(points: Tensor) -> Tensor:
    """A smooth three-channel colour (..., 3) in [0, 1] at every point (..., 3) of space."""
    x, y, z = points.unbind(-1)
    waves = [torch.sin(3 * x + y + 0.3), torch.sin(2.3 * y - x + z), torch.sin(2 * x + 2.7 * y - 0.5 * z)]
    return 0.5 + 0.5 * torch.stack(waves, dim=-1)


NORMAL, DISTANCE = torch.tensor([0.2, -0.3, 1.0], dtype=F64), 3.0
"""The plane NORMAL . X = DISTANCE, in the axes of the first camera."""


def render_plane(camera: Camera, T_world_cam: Tensor) -> tuple[Tensor, Tensor]:
    """Picture (B, 3, H, W) and exact depth (B, 1, H, W) of the plane seen by cameras standing in the world."""
    ray = rays(camera).movedim(1, -1)
    R, t = T_world_cam[..., :3, :3], T_world_cam[..., :3, 3]
    along = (ray @ R.mT.reshape(-1, 1, 3, 3)) @ NORMAL
    depth = (DISTANCE - t @ NORMAL).reshape(-1, 1, 1) / along
    points = transform(T_world_cam, ray * depth[..., None])
    return texture(points).movedim(-1, 1), depth[:, None]


def render_pair(camera: Camera, T_source_target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target picture and depth, source picture and depth; the target camera stands in the world's origin."""
    batch = len(T_source_target) if T_source_target.ndim == 3 else 1
    target = render_plane(camera, torch.eye(4, dtype=F64).expand(batch, 4, 4))
    source = render_plane(camera, se3_inverse(T_source_target).reshape(-1, 4, 4))
    return *target, *source
