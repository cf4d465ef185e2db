"""A small room made by hand: floor, ceiling, four walls, two boxes, one lamp. Needs no builder of the product."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenewright.labels import LABELS
from scenewright.worlds.model import Lamp, Material, Mesh, Placed, Room

EXTENT = (4.0, 3.0, 2.5)


def mesh(vertices: NDArray, faces: NDArray, material: Material, normals: NDArray | None = None) -> Mesh:
    """A mesh of one material with uv = metres along the two axes that each face spans most."""
    vertices, faces = np.asarray(vertices, np.float32), np.asarray(faces, np.int32)
    c = vertices[faces]
    flat = np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    drop = np.abs(flat).argmax(1)
    axes = np.array([[1, 2], [0, 2], [0, 1]])[drop]
    uv = np.take_along_axis(c, np.broadcast_to(axes[:, None, :], (len(faces), 3, 2)), axis=2)
    normals = np.repeat(flat[:, None], 3, axis=1) if normals is None else normals
    return Mesh(vertices, faces, uv, np.zeros(len(faces), np.int16), normals.astype(np.float32), (material,))


def quad(a: tuple, b: tuple, c: tuple, d: tuple, material: Material) -> Mesh:
    """Two triangles."""
    return mesh(np.array([a, b, c, d]), np.array([[0, 1, 2], [0, 2, 3]]), material)


def box(size: tuple[float, float, float], material: Material) -> Mesh:
    """A box that stands on z = 0, centred at x = y = 0."""
    w, d, h = size
    corner = np.array([[x, y, z] for x in (-w / 2, w / 2) for y in (-d / 2, d / 2) for z in (0, h)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return mesh(corner, quads[:, [0, 1, 2, 0, 2, 3]].reshape(12, 3), material)


def sphere(radius: float, material: Material, rings: int = 48) -> Mesh:
    """A sphere about the origin with exact smooth normals."""
    theta, phi = np.linspace(1e-3, math.pi - 1e-3, rings), np.linspace(0, 2 * math.pi, 2 * rings)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    v = radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    i = np.arange(rings * 2 * rings).reshape(rings, 2 * rings)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return mesh(v, faces, material, (v / radius)[faces])


def placed(m: Mesh, name: str, label: str = "objects", at: tuple = (0, 0, 0), yaw: float = 0.0) -> Placed:
    """The mesh at a position, turned about z."""
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:3, 3] = at
    return Placed(m, T, LABELS.index(label), name)


def world(
    *things: Placed, lamps: tuple[Lamp, ...] = (), ambient: tuple = (0.3, 0.3, 0.3), extent: tuple = EXTENT
) -> Room:
    """A room record around any placed things."""
    free = np.array([[0.3, 0.3, 1.4, 2.7]], np.float32)
    focus = np.array([[2.6, 1.0, 0.5], [3.0, 2.3, 0.4]], np.float32)
    return Room("office", 0, "train", extent, tuple(things), lamps, ambient, free, focus)


def checker(cells: int = 8, size: int = 256) -> NDArray[np.uint8]:
    """A black and white chessboard texture with coloured corners."""
    y, x = np.mgrid[:size, :size] * cells // size
    image = np.where(((x + y) % 2)[..., None], 230, 30).astype(np.uint8).repeat(3, -1)
    image[: size // 4, : size // 4] = (200, 40, 40)
    return image


def shell(floor: Material, wall: Material) -> list[Placed]:
    """Floor, ceiling and four walls of `EXTENT`."""
    x, y, z = EXTENT
    return [
        placed(quad((0, 0, 0), (x, 0, 0), (x, y, 0), (0, y, 0), floor), "floor", "floor"),
        placed(quad((0, 0, z), (0, y, z), (x, y, z), (x, 0, z), wall), "ceiling", "ceiling"),
        placed(quad((0, 0, 0), (0, 0, z), (x, 0, z), (x, 0, 0), wall), "wall south", "wall"),
        placed(quad((0, y, 0), (x, y, 0), (x, y, z), (0, y, z), wall), "wall north", "wall"),
        placed(quad((0, 0, 0), (0, y, 0), (0, y, z), (0, 0, z), wall), "wall west", "wall"),
        placed(quad((x, 0, 0), (x, 0, z), (x, y, z), (x, y, 0), wall), "wall east", "wall"),
    ]


def room() -> Room:
    """The shell with two boxes and a lamp under the ceiling."""
    things = shell(Material((0.8, 0.8, 0.8), checker(), gloss=0.3), Material((0.75, 0.72, 0.65)))
    things.append(
        placed(box((0.8, 0.6, 0.9), Material((0.6, 0.1, 0.1), gloss=0.5)), "cupboard", "furniture", (2.6, 1.0, 0), 0.4)
    )
    things.append(placed(box((0.5, 0.5, 0.5), Material((0.1, 0.3, 0.6))), "crate", "objects", (3.0, 2.3, 0)))
    lamp = Lamp((1.8, 1.5, 2.3), (5.0, 4.6, 4.0), radius=0.08)
    return world(*things, lamps=(lamp,))


def look(eye: tuple, target: tuple) -> NDArray[np.float64]:
    """T_world_cam of an upright camera at `eye` that looks at `target`."""
    z = np.subtract(target, eye).astype(np.float64)
    z /= np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z], 1)
    T[:3, 3] = eye
    return T
