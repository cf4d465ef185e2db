"""A room as a report shows it: a box with furniture, and a camera that walks a circle in it, looking outwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scenewright.data.meshes import TriangleMesh, write_ply
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.scene.manifest import Manifest, Step
from scenewright.scene.records import SceneFigure, SceneFrame, SceneKeyframe
from scenewright.scene.scene import Scene
from scenewright.scene.tables import write_trajectory
from scenewright.viewer.records import ReportInput

CAMERA = Camera.from_fov(160, 120, 60.0)
SIZE = (4.0, 3.0, 2.5)


def _quad(origin, u, v, cells: int, colour, label: int, rng) -> TriangleMesh:
    """A grid of cells x cells squares whose front is where u x v points."""
    origin, u, v = (np.array(x, float) for x in (origin, u, v))
    s, t = np.meshgrid(np.linspace(0, 1, cells + 1), np.linspace(0, 1, cells + 1), indexing="ij")
    vertices = (origin + s[..., None] * u + t[..., None] * v).reshape(-1, 3).astype(np.float32)
    corner = np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)
    a, b, c, d = (corner.ravel() + k for k in (0, cells + 1, cells + 2, 1))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    checks = ((s * 8).astype(int) + (t * 8).astype(int)).reshape(-1, 1) % 2
    shade = np.array(colour) * (0.85 + 0.15 * checks) + rng.normal(0, 4, (len(vertices), 1))
    labels = np.full(len(vertices), label, np.uint8)
    return TriangleMesh(vertices, faces, np.clip(shade, 0, 255).astype(np.uint8), labels)


def _box(low, high, cells: int, colour, label: int, rng, inward: bool) -> list[TriangleMesh]:
    low, size = np.array(low, float), np.array(high, float) - np.array(low, float)
    x, y, z = np.diag(size)
    sides = [(low, y, x), (low + z, x, y), (low, x, z), (low + y, z, x), (low, z, y), (low + x, y, z)]
    return [_quad(o, *((v, u) if inward else (u, v)), cells, colour, label, rng) for o, u, v in sides]


def room_mesh(cells: int = 24) -> TriangleMesh:
    """Floor, ceiling, four walls, a table and a sofa; z is up, faces look into the room."""
    rng = np.random.default_rng(0)
    parts = _box((0, 0, 0), SIZE, cells, (205, 200, 190), LABELS.index("wall"), rng, inward=True)
    look = {0: ((150, 110, 70), "floor"), 1: ((240, 240, 240), "ceiling")}
    for i, (colour, name) in look.items():
        label = np.full_like(parts[i].labels, LABELS.index(name))
        tint = parts[i].colours / np.array((205, 200, 190)) * colour
        parts[i] = TriangleMesh(parts[i].vertices, parts[i].faces, np.clip(tint, 0, 255).astype(np.uint8), label)
    parts += _box((1.4, 1.0, 0.0), (2.4, 1.7, 0.72), cells // 2, (196, 142, 60), LABELS.index("table"), rng, False)
    parts += _box((3.1, 0.3, 0.0), (3.9, 2.4, 0.7), cells // 2, (60, 90, 150), LABELS.index("sofa"), rng, False)
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts])
    return TriangleMesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + offset for part, offset in zip(parts, offsets)]).astype(np.int32),
        np.concatenate([part.colours for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def pose_at(angle: float) -> np.ndarray:
    """A camera on a circle of 0.9 m at 1.5 m height that looks outwards and a little down."""
    forward = np.array([np.cos(angle), np.sin(angle), -0.25])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    T[:3, 3] = (SIZE[0] / 2 + 0.9 * np.cos(angle), SIZE[1] / 2 + 0.9 * np.sin(angle), 1.5)
    return T


def room_keyframe(number: int, angle: float) -> SceneKeyframe:
    """A keyframe that sees the inside of the box exactly, without the furniture."""
    T = pose_at(angle)
    fx, fy, cx, cy = CAMERA.numbers
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    ray = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u, float)], -1) @ T[:3, :3].T
    with np.errstate(divide="ignore"):
        steps = np.where(ray > 0, (np.array(SIZE) - T[:3, 3]) / ray, -T[:3, 3] / ray)
    axis = steps.argmin(-1)
    depth_m = steps.min(-1).astype(np.float32)
    depth_m[:, :4] = 0
    tint = np.array([(205, 200, 190), (190, 185, 180), (150, 110, 70)], float)[axis]
    point = T[:3, 3] + ray * steps.min(-1)[..., None]
    check = (np.floor(point * 2 + 1e-3).sum(-1) % 2)[..., None]
    image = np.clip(tint * (0.8 + 0.2 * check), 0, 255).astype(np.uint8)
    return SceneKeyframe(number, 10 * number, number / 3, image, CAMERA, T, depth_m)


def room_frames(count: int = 121) -> list[SceneFrame]:
    rng = np.random.default_rng(1)
    frames = []
    for i in range(count):
        status = "lost" if 50 <= i < 58 else "relocalised" if i == 58 else "ok"
        pose = None if status == "lost" else pose_at(2 * np.pi * i / count)
        usage = 0.95 - 0.4 * (i % 10) / 10
        residual = 5 + 3 * (i % 10) / 10 + rng.random()
        frames.append(SceneFrame(i, i / 30, status, pose, i // 10, residual, usage, 40 + 20 * rng.random()))
    return frames


def room_manifest(**changes: object) -> Manifest:
    facts = {
        "name": "Room with a table",
        "source": "room.mp4",
        "scale": "metric",
        "intrinsics_source": "file",
        "up": (0.0, 0.0, 1.0),
        "labels": LABELS,
        "options": {"voxel": 0.02, "depth": "fcrn/small"},
        "versions": {"scenewright": "0.1.0"},
        "weights": {"fcrn/small": "ab" * 32},
        "steps": (Step("track", "done", 6.2), Step("fuse", "done", 3.1)),
    }
    return Manifest(**(facts | changes))  # type: ignore[arg-type]


def room_report(cells: int = 24, **changes: object) -> ReportInput:
    frames = room_frames()
    keyframes = [room_keyframe(i, 2 * np.pi * i / 12) for i in range(12)]
    posed = [frame for frame in frames if frame.T_world_cam is not None]
    wobble = np.random.default_rng(2).normal(0, 0.02, (len(posed), 3))
    truth = (np.array([f.time_s for f in posed]), np.array([f.T_world_cam[:3, 3] for f in posed]) + wobble)
    figures = [
        SceneFigure("ATE RMSE", 0.0352, "m", "SE(3) alignment, no scale, 113 poses", "trajectory"),
        SceneFigure("Depth within 10 %", 81.3, "%", "all pixels with ground truth", "depth"),
        SceneFigure("Labels mIoU", None, "%", "no labels in the ground truth", "labels"),
    ]
    facts = {"mesh": room_mesh(cells), "keyframes": keyframes, "frames": frames, "figures": figures, "truth": truth}
    return ReportInput(**({"manifest": room_manifest()} | facts | changes))  # type: ignore[arg-type]


def room_scene(folder: Path) -> Path:
    """The same room as a finished Scene folder, its labels in a mesh of their own."""
    report = room_report(cells=8)
    mesh = report.mesh
    with Scene.create(folder, room_manifest(steps=())) as scene, scene.step("all"):
        scene.write_frames(report.frames)
        for keyframe in report.keyframes:
            scene.write_keyframe(keyframe)
        scene.write_figures(report.figures)
        with scene.writing("mesh.ply") as path:
            write_ply(path, TriangleMesh(mesh.vertices, mesh.faces, mesh.colours))
        with scene.writing("labels.ply") as path:
            write_ply(path, mesh)
        with scene.writing("groundtruth.txt") as path:
            poses = [np.eye(4) for _ in report.truth[0]]
            for T, position in zip(poses, report.truth[1]):
                T[:3, 3] = position
            write_trajectory(path, report.truth[0], poses)
    return folder
