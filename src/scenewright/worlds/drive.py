"""How a car with cameras and a lidar sees a street: single views, drives, and sparse depth by scan lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds.render import Renderer
from scenewright.worlds.road import Road
from scenewright.worlds.walks import View, look_at

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Generator = np.random.Generator

FIRST_M, LAST_M = 8.0, 85.0
"""Where along the street a camera may stand: with at least a hundred metres of it ahead."""
_FOCAL = 0.58  # KITTI: 721 pixels at a width of 1242


@dataclass(frozen=True)
class Lidar:
    """A spinning laser scanner on the roof, much like a thinned-out Velodyne HDL-64E.

    Args:
        beams: scan lines, evenly between `top_deg` and `bottom_deg` of elevation.
        step_deg: of the turn between shots.
        noise_m: standard deviation of a range; dropout: share of shots without return.
        reach_m: farthest return.
        mount: (3,) metres from the left camera, in its axes (x right, y down, z ahead).
    """

    beams: int = 40
    top_deg: float = 2.0
    bottom_deg: float = -24.8
    step_deg: float = 1.1
    noise_m: float = 0.02
    dropout: float = 0.12
    reach_m: float = 80.0
    mount: tuple[float, float, float] = (0.0, -0.08, -0.27)


def road_camera(generator: Generator, width: int, height: int) -> Camera:
    """A wide pinhole camera like KITTI's, about 81 degrees across, its focal length a few per cent off."""
    f = _FOCAL * width * float(np.exp(generator.normal(0, 0.04)))
    cx, cy = (float((n - 1) / 2 + n * generator.normal(0, 0.01)) for n in (width, height))
    return Camera.from_parameters(width, height, f, f, cx, cy)


def pose_at(road: Road, s: float, lateral: float, height_m: float, turn: tuple[float, float, float]) -> Doubles:
    """(4, 4) T_world_cam of a camera that looks along the street at s; turn = yaw to the left, pitch up, roll, rad."""
    frame = road.street.frame(s, lateral, turn[0], height_m)
    eye, ahead = frame[:3, 3], frame[:3, 1]
    return look_at(eye, eye + ahead * math.cos(turn[1]) + np.array([0, 0, math.sin(turn[1])]), turn[2])


def sample_drive(
    road: Road, renderer: Renderer, generator: Generator, size: tuple[int, int], attempts: int = 40
) -> View:
    """One view from a car in the right lane, for training; no car within arm's length of the lens.

    Raises:
        InputError: the lane is blocked wherever one looks.
    """
    g = generator
    for _ in range(attempts):
        camera = road_camera(g, *size)
        lateral = road.street.lane / 2 - 0.27 + float(g.normal(0, 0.25))
        yaw, pitch, roll = (math.radians(float(x)) for x in g.normal(0, (2.5, 1.0, 0.6)))
        s, height = float(g.uniform(FIRST_M, LAST_M)), float(g.normal(1.62, 0.12))
        T = pose_at(road, s, lateral, height, (yaw, pitch, roll))
        if _is_clear(renderer, camera, T):
            return View(camera, T, "drive")
    raise InputError(f"road {road.world.seed}", f"no clear view in {attempts} attempts", "a lane that can be driven")


def _is_clear(renderer: Renderer, camera: Camera, T_world_cam: Doubles) -> bool:
    """Whether nothing stands right at the car, its own lane is free for a few metres, and no near thing fills the
    picture."""
    depth = renderer.truth(camera.resize(40, 16), T_world_cam).depth_m
    depth = np.where(depth > 0, depth, np.inf)
    ahead = depth[:10, 14:26]
    return bool(depth.min() > 1.6 and ahead.min() > 6.0 and (depth < 4).mean() < 0.2)


def drive(
    road: Road, generator: Generator, frames: int, rate_hz: float = 10.0, speed_m_s: float | None = None
) -> Doubles:
    """(N, 4, 4) T_world_cam of a car that keeps to the right lane; it bobs and sways a little and ends with the street.

    Raises:
        InputError: fewer than 2 frames, or a rate or speed that is not positive.
    """
    if frames < 2 or not rate_hz > 0 or (speed_m_s is not None and not speed_m_s > 0):
        raise InputError("drive", f"{frames} frames at {rate_hz} Hz", "2 or more frames at a positive rate and speed")
    longest = (LAST_M - FIRST_M) / frames * rate_hz
    speed = min(float(generator.uniform(4, 14)) if speed_m_s is None else speed_m_s, longest)
    s = FIRST_M + speed / rate_hz * np.arange(frames)
    wave, phase = 2 * math.pi * s / 35.0, generator.uniform(0, 2 * math.pi, 3)
    lateral = road.street.lane / 2 - 0.27 + 0.12 * np.sin(wave + phase[0])
    yaw, pitch = 0.01 * np.sin(wave + phase[1]), 0.006 * np.sin(3 * wave + phase[2])
    height = 1.62 + 0.01 * np.sin(5 * wave)
    rows = zip(s, lateral, height, yaw, pitch, strict=True)
    return np.stack([pose_at(road, at, out, up, (turn, rise, 0.0)) for at, out, up, turn, rise in rows])


def scan(renderer: Renderer, T_world_cam: Doubles, lidar: Lidar, generator: Generator) -> Floats:
    """(N, 3) returns of one turn ahead of the car, in the axes of the left camera, metres, with noise along the ray."""
    up = np.radians(np.linspace(lidar.top_deg, lidar.bottom_deg, lidar.beams))[:, None]
    turn = np.radians(np.arange(-60, 60, lidar.step_deg) + lidar.step_deg * generator.random())[None]
    way = np.stack(np.broadcast_arrays(np.sin(turn) * np.cos(up), -np.sin(up), np.cos(turn) * np.cos(up)), -1)
    way = way.reshape(-1, 3)
    R, t = T_world_cam[:3, :3], T_world_cam[:3, 3]
    origin = R @ np.asarray(lidar.mount) + t
    found = renderer.distance(np.broadcast_to(origin, way.shape), way @ R.T)
    kept = np.isfinite(found) & (found < lidar.reach_m) & (generator.random(len(found)) >= lidar.dropout)
    measured = found[kept] + lidar.noise_m * generator.standard_normal(int(kept.sum()))
    return (np.asarray(lidar.mount) + measured[:, None] * way[kept]).astype(np.float32)


def sparse_depth(points: Floats, camera: Camera, right_m: float = 0.0) -> Floats:
    """(H, W) z-depth in metres of points (N, 3) in the left camera's axes, 0 where none falls; the nearest one wins.

    Args:
        right_m: how far to its right the camera that sees them stands; for the right view of a rig, its baseline.
    """
    fx, fy, cx, cy = camera.numbers
    ahead = points[points[:, 2] > 0.1] - np.array([right_m, 0, 0], np.float32)
    z = ahead[:, 2]
    column = np.rint(fx * ahead[:, 0] / z + cx).astype(np.int64)
    row = np.rint(fy * ahead[:, 1] / z + cy).astype(np.int64)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    order = np.argsort(-z[inside], kind="stable")
    out = np.zeros(camera.size, np.float32)
    out[row[inside][order], column[inside][order]] = z[inside][order]
    return out
