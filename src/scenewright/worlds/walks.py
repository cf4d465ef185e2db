"""Where a person holds the camera: single views for training, and smooth handheld walks that end where they began."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.graph import route_through_array

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.worlds.model import Room
from scenewright.worlds.render import Renderer

Doubles = NDArray[np.float64]
Generator = np.random.Generator

MIN_HEIGHT_M, MAX_HEIGHT_M = 0.6, 2.0
_CELL_M = 0.05
_MODES = {"focus": 0.34, "close": 0.30, "steep": 0.11, "long": 0.15, "free": 0.10}
_SHELL = [LABELS.index(n) for n in ("wall", "ceiling", "unknown")]


@dataclass(frozen=True)
class View:
    """A camera somewhere in a room; mode: why it was put there ("focus", "close", "steep", "long" or "free")."""

    camera: Camera
    T_world_cam: Doubles
    mode: str


@dataclass(frozen=True)
class Walk:
    """T_world_cam (N, 4, 4) float64 and time_s (N,) of a handheld camera."""

    T_world_cam: Doubles
    time_s: Doubles


def look_at(eye: Doubles, target: Doubles, roll: float = 0.0) -> Doubles:
    """(4, 4) T_world_cam at `eye` (3,) looking at `target` (3,), upright but for `roll` radians."""
    z = np.asarray(target, np.float64) - eye
    z /= max(float(np.linalg.norm(z)), 1e-9)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x = x / np.linalg.norm(x) if np.linalg.norm(x) > 1e-6 else np.array([1.0, 0.0, 0.0])
    y = np.cross(z, x)
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2], T[:3, 3] = (
        math.cos(roll) * x + math.sin(roll) * y, math.cos(roll) * y - math.sin(roll) * x, z, eye,
    )  # fmt: skip
    return T


def random_camera(generator: Generator, width: int, height: int) -> Camera:
    """A pinhole camera of 45 to 85 degrees horizontal field of view, most near 60, its principal point a little off."""
    fov = float(np.clip(generator.normal(61, 6.5), 45, 85)) if generator.random() < 0.8 else generator.uniform(45, 85)
    f = width / 2 / math.tan(math.radians(fov) / 2)
    cx, cy = (float((n - 1) / 2 + n * generator.normal(0, 0.006)) for n in (width, height))
    return Camera.from_parameters(width, height, f, f, cx, cy)


def _standing(room: Room, g: Generator) -> Doubles:
    """A floor point (2,) where a person can stand, uniform over the free area."""
    x0, y0, x1, y1 = room.free.astype(np.float64).T
    area = np.maximum((x1 - x0) * (y1 - y0), 1e-6)
    i = int(g.choice(len(area), p=area / area.sum()))
    return np.array([g.uniform(x0[i], x1[i]), g.uniform(y0[i], y1[i])])


def _height(g: Generator) -> float:
    return float(np.clip(g.normal(1.45, 0.22), 0.9, MAX_HEIGHT_M) if g.random() < 0.8 else g.uniform(0.6, 1.3))


def _roll(g: Generator) -> float:
    return math.radians(float(g.normal(0, 3.0) if g.random() < 0.9 else g.uniform(-25, 25)))


def _toward(eye: Doubles, yaw: float, pitch: float) -> Doubles:
    return eye + [math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch)]


def _focus(room: Room, g: Generator) -> Doubles:
    if len(room.focus) == 0:
        return np.append(_standing(room, g), 0.5)
    return room.focus[int(g.integers(len(room.focus)))].astype(np.float64)


def _propose(renderer: Renderer, g: Generator, mode: str) -> Doubles:
    """One candidate pose; it may stand in a cupboard."""
    room, roll = renderer.room, _roll(g)
    eye = np.append(_standing(room, g), min(_height(g), room.extent[2] - 0.3))
    if mode == "focus":
        return look_at(eye, _focus(room, g) + g.normal(0, 0.25, 3), roll)
    if mode == "close":
        target, elevation = _focus(room, g), math.radians(float(g.uniform(-2, 60)))
        home = math.atan2(eye[1] - target[1], eye[0] - target[0]) + g.normal(0, 0.35)
        distance = float(g.uniform(0.5, 1.5))
        eye = target - distance * (target - _toward(target, home, elevation))
        eye[2] = np.clip(eye[2], MIN_HEIGHT_M, min(MAX_HEIGHT_M, room.extent[2] - 0.2))
        return look_at(eye, target + g.normal(0, 0.12, 3), roll)
    yaw = float(g.uniform(-math.pi, math.pi))
    if mode == "steep":
        return look_at(eye, _toward(eye, yaw, -math.radians(float(g.uniform(30, 68)))), roll)
    if mode == "long":
        yaws = yaw + np.arange(16) * math.pi / 8
        level = np.stack([np.cos(yaws), np.sin(yaws), np.zeros(16)], 1)
        run = renderer.distance(np.broadcast_to(eye, (16, 3)), level)
        yaw = float(yaws[int(np.argmax(np.where(np.isfinite(run), run, 0)))] + g.normal(0, 0.15))
    return look_at(eye, _toward(eye, yaw, math.radians(float(g.normal(-9, 9)))), roll)


def _directions(count: int = 42) -> Doubles:
    """(count, 3) unit vectors spread over the sphere (Fibonacci)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    phi = math.pi * (1 + 5**0.5) * np.arange(count)
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(phi), ring * np.sin(phi), z], 1)


def in_free_space(renderer: Renderer, eye: Doubles, clearance: float = 0.18) -> bool:
    """Whether a hand and a camera fit at `eye` (3,): inside the room, nothing within `clearance` metres, and not
    enclosed by a single object."""
    if not ((eye > 0.05) & (eye < np.asarray(renderer.room.extent) - 0.05)).all():
        return False
    rays = _directions()
    origins = np.broadcast_to(eye, rays.shape)
    near = renderer.distance(origins, rays).min()
    return bool(near > clearance) and len(np.unique(renderer.instance_at(origins, rays))) >= 3


def _worth_seeing(renderer: Renderer, camera: Camera, T: Doubles, g: Generator, mode: str) -> bool:
    """Whether the picture shows more than bare wall, is not blocked by something at the lens, and suits its mode."""
    small = renderer.truth(camera.resize(24, 18), T)
    depth = small.depth_m
    if (depth <= 0).mean() > 0.3 or (depth[depth > 0] < 0.3).mean() > 0.02:
        return False
    shell = float(np.isin(small.labels, _SHELL).mean())
    bare = shell + 0.7 * float((small.labels == LABELS.index("floor")).mean())
    _, counts = np.unique(small.instances, return_counts=True)
    things = int((counts >= 4).sum())
    if bare > 0.64 or shell > 0.55 or things < 5:
        return bool(g.random() < (0.12 if bare < 0.85 and things >= 3 else 0.02)) and things >= 2
    return mode != "close" or float(np.median(depth)) < 2.2


def sample_view(renderer: Renderer, generator: Generator, camera: Camera | tuple[int, int], attempts: int = 60) -> View:
    """One view for training: handheld heights, mostly looking at something, close-ups, steep and long views.

    Args:
        camera: used as it is, or the (width, height) of cameras with random focal lengths.

    Raises:
        InputError: the room has no free floor, or no view of it is worth seeing after many attempts.
    """
    room = renderer.room
    if len(room.free) == 0:
        raise InputError("Room.free", "no rectangle", "some floor where a person can stand")
    mode = str(generator.choice(list(_MODES), p=list(_MODES.values())))
    for attempt in range(attempts):
        mode = mode if attempt < attempts // 2 else "focus"
        chosen = camera if isinstance(camera, Camera) else random_camera(generator, *camera)
        T = _propose(renderer, generator, mode)
        if in_free_space(renderer, T[:3, 3]) and _worth_seeing(renderer, chosen, T, generator, mode):
            return View(chosen, T, mode)
    raise InputError(
        f"room {room.kind} {room.seed}", f"nothing worth seeing in {attempts} attempts", "a furnished room"
    )


def _free_grid(room: Room) -> NDArray[np.bool_]:
    """(nx, ny) cells of 5 cm: the largest connected part of the free floor."""
    nx, ny = (max(round(e / _CELL_M), 1) for e in room.extent[:2])
    grid = np.zeros((nx, ny), np.uint8)
    for x0, y0, x1, y1 in room.free.astype(float):
        lo, hi = np.ceil(np.array([x0, y0]) / _CELL_M).astype(int), np.floor(np.array([x1, y1]) / _CELL_M).astype(int)
        grid[max(lo[0], 0) : max(hi[0], 0), max(lo[1], 0) : max(hi[1], 0)] = 1
    count, parts = cv2.connectedComponents(grid, connectivity=4)
    if count < 2:
        raise InputError("Room.free", "no rectangle of a size to stand in", "some floor where a person can stand")
    sizes = np.bincount(parts.ravel())[1:]
    return np.asarray(parts == 1 + int(sizes.argmax()))


def _route(grid: NDArray[np.bool_], a: NDArray, b: NDArray) -> Doubles:
    """(M, 2) cells of a way from a to b that keeps off the borders of the free floor."""
    clear = cv2.distanceTransform(np.pad(grid, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    cost = np.where(grid, 1 + 6 / (clear + 1), 1e6)
    return np.asarray(route_through_array(cost, a, b, geometric=True)[0], np.float64)


def _loop(grid: NDArray[np.bool_], g: Generator, budget_m: float) -> Doubles:
    """(M, 2) metres: a closed way no longer than the budget, through free cells; out and back where no round fits."""
    cells = np.argwhere(grid)
    start = cells[int(g.integers(len(cells)))]
    stops = [start]
    for _ in range(3):
        near = cells[np.linalg.norm(cells - start, axis=1) * _CELL_M < budget_m / 2.5]
        stops.append(near[int(g.integers(len(near)))])
    legs = [_route(grid, a, b) for a, b in zip(stops, stops[1:] + [start])]
    way = np.concatenate([leg[:-1] if len(leg) > 1 else leg for leg in legs])
    steps = np.linalg.norm(np.diff(way, axis=0, append=way[:1]), axis=1) * _CELL_M
    if steps.sum() > budget_m:
        half = max(int(np.searchsorted(np.cumsum(steps), budget_m / 2)), 1)
        way = np.concatenate([way[:half], way[:half][::-1]])
    return (way + 0.5) * _CELL_M


def _inside(grid: NDArray[np.bool_], points: Doubles) -> bool:
    cell = np.floor(points / _CELL_M).astype(int)
    fits = ((cell >= 0) & (cell < grid.shape)).all()
    return bool(fits) and bool(grid[cell[:, 0], cell[:, 1]].all())


def _positions(grid: NDArray[np.bool_], way: Doubles, frames: int) -> Doubles:
    """(frames, 2): the closed way at even speed, as smooth as the free floor allows."""
    steps = np.linalg.norm(np.diff(way, axis=0, append=way[:1]), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    closed = np.concatenate([way, way[:1]])
    at = np.linspace(0, along[-1], max(frames, 2))
    even = np.stack([np.interp(at, along, closed[:, k]) for k in range(2)], 1)
    for sigma in (frames / 12, frames / 25, frames / 50, 2.0, 1.0):
        smooth = gaussian_filter1d(even[:-1], sigma, axis=0, mode="wrap")
        smooth = np.concatenate([smooth, smooth[:1]])
        if _inside(grid, smooth):
            return smooth[:frames]
    return even[:frames]


def _gaze(renderer: Renderer, eyes: Doubles, rate_hz: float, g: Generator) -> Doubles:
    """(N, 3) unit directions that wander between things worth seeing, at no more than about 50 degrees a second, and
    end where they began."""
    n = len(eyes)
    knots = max(3, round(n / rate_hz / 2.5))
    at = np.linspace(0, n - 1, knots).astype(int)
    looks: list[Doubles] = []
    for i in at[:-1]:
        options = np.stack([_focus(renderer.room, g) for _ in range(24)]) - eyes[i]
        length = np.linalg.norm(options, axis=1)
        options /= np.maximum(length, 1e-6)[:, None]
        options[:, 2] = options[:, 2].clip(-0.75, 0.3)
        free = renderer.distance(np.broadcast_to(eyes[i], options.shape), options)
        score = np.minimum(free, 4.0) - 2.0 * (length < 0.7)
        if looks:  # turn on to something else, by about 45 degrees
            turn = np.arccos(np.clip(options @ looks[-1] / np.linalg.norm(options, axis=1), -1, 1))
            score = score - 2.5 * np.abs(turn - 0.8)
        looks.append(options[int(score.argmax())])
    table = np.stack([*looks, looks[0]])
    path = np.stack([np.interp(np.arange(n), at, table[:, k]) for k in range(3)], 1)
    for seconds in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        smooth = gaussian_filter1d(path[:-1], seconds * rate_hz, axis=0, mode="wrap")
        smooth = np.concatenate([smooth, smooth[:1]])
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-6)
        turn = np.arccos(np.clip((smooth[1:] * smooth[:-1]).sum(1), -1, 1)) * rate_hz
        if np.degrees(turn.max()) < 50:
            break
    return smooth


def _tremor(g: Generator, n: int, rate_hz: float, columns: int) -> Doubles:
    """(N, columns) hand tremor of deviation 1: noise between about 0.7 and 6 Hz."""
    white = g.standard_normal((n + 64, columns))
    band = gaussian_filter1d(white, rate_hz / 38, axis=0) - gaussian_filter1d(white, rate_hz / 4.4, axis=0)
    return band[32 : 32 + n] / max(float(band.std()), 1e-6)


def handheld_walk(renderer: Renderer, generator: Generator, frames: int, rate_hz: float = 30.0) -> Walk:
    """A person walks a round through the free floor with the camera in the hand and looks about.

    Walking 0.2 to 0.6 m/s, turning at most about 60 degrees a second, hand tremor of some millimetres and tenths of a
    degree, steps that bob the camera by a centimetre. The last pose is the first again but for the tremor.

    Raises:
        InputError: fewer than 3 frames, a rate that is not positive, or no free floor.
    """
    if frames < 3 or not rate_hz > 0:
        raise InputError("handheld_walk", f"{frames} frames at {rate_hz} Hz", "3 or more frames at a positive rate")
    g, room = generator, renderer.room
    time = np.arange(frames) / rate_hz
    grid, speed = _free_grid(room), float(g.uniform(0.25, 0.55))
    floor = _positions(grid, _loop(grid, g, speed * frames / rate_hz), frames)
    phase = 2 * math.pi * np.arange(frames) / max(frames - 1, 1)
    base = min(float(g.uniform(1.3, 1.65)), room.extent[2] - 0.5)
    sway = min(0.12, 0.02 * frames / rate_hz)
    moving = np.linalg.norm(np.gradient(floor, axis=0), axis=1) * rate_hz
    height = base + sway * np.sin(phase + g.uniform(0, 6)) + 0.012 * np.minimum(moving, 1) * np.sin(11.3 * time)
    eyes = np.column_stack([floor, height]) + 0.0022 * _tremor(g, frames, rate_hz, 3)
    gaze = _gaze(renderer, eyes, rate_hz, g)
    shake = math.radians(0.22) * _tremor(g, frames, rate_hz, 3)
    roll = math.radians(float(g.normal(0, 2))) + math.radians(2.5) * np.sin(phase + g.uniform(0, 6)) + shake[:, 2]
    poses = [look_at(e, e + d + 0.7 * s, r) for e, d, s, r in zip(eyes, gaze, shake, roll)]
    return Walk(np.stack(poses), time)
