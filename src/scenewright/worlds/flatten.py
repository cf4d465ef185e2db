"""A room as the flat arrays that ray casting and kernels read: triangles, materials, texture pyramids, lights."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.worlds.model import Lamp, Material, Placed, Room

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_FIXTURE_RADIUS_M = 0.4
_MIN_LIGHT_POWER = 0.02
_MAX_AREA_LIGHTS = 6


class Triangles(NamedTuple):
    """All triangles of a room in world axes.

    corners (F, 3, 3), normals (F, 3, 3), uv (F, 3, 2), material (F,) into `Surfaces`, instance (F,) into `Room.placed`.
    """

    corners: Floats
    normals: Floats
    uv: Floats
    material: Ints
    instance: Ints


class Surfaces(NamedTuple):
    """All materials of a room and their texture pyramids in one flat array.

    albedo (M, 3), mean (M, 3) albedo times mean texture, gloss (M,), emission (M,), texture (M,) row of `levels` or -1;
    levels (T, 16, 3): offset, height, width of each level of a pyramid; texels (N, 3) uint8 sRGB.
    """

    albedo: Floats
    mean: Floats
    gloss: Floats
    emission: Floats
    texture: Ints
    levels: NDArray[np.int64]
    texels: NDArray[np.uint8]


class Lights(NamedTuple):
    """Lamps, and emitting faces grouped into area lights.

    position (L, 3), power (L, 3), radius (L,), clear (L,): within this distance nothing casts a shadow (the lamp's own
    shade), axis (L, 3), cone_cos (L,); area (A, 3) radiance times area; corners (S, 3, 3) emitting triangles, normal
    (S, 3) theirs, cumulative (S,) share of area within the group, first (A + 1,) rows of each group.
    """

    position: Floats
    power: Floats
    radius: Floats
    clear: Floats
    axis: Floats
    cone_cos: Floats
    area: Floats
    corners: Floats
    normal: Floats
    cumulative: Floats
    first: Ints


@dataclass(frozen=True)
class FlatRoom:
    """Everything the kernels need to know of a room; labels (I,) uint8 by instance, ambient (3,)."""

    triangles: Triangles
    surfaces: Surfaces
    lights: Lights
    labels: NDArray[np.uint8]
    ambient: Floats


def srgb_to_linear(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


LINEAR: Floats = srgb_to_linear(np.arange(256) / 255).astype(np.float32)
"""(256,) linear light of each 8-bit sRGB value."""

_SQUARE = (np.arange(256, dtype=np.uint32) ** 2).astype(np.uint16)
_ROOT = np.sqrt(np.arange(65536)).round().astype(np.uint8)
_pyramids: dict[int, tuple[weakref.ref[NDArray[np.uint8]], list[NDArray[np.uint8]]]] = {}


def _forget(table: dict[int, Any], key: int, _: object) -> None:
    table.pop(key, None)


def pyramid(texture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The texture and its halvings down to one texel, averaged in light (gamma 2), kept while the texture lives."""
    key = id(texture)
    if key in _pyramids and _pyramids[key][0]() is texture:
        return _pyramids[key][1]
    levels, light = [texture], _SQUARE[texture]
    while max(light.shape[:2]) > 1 and len(levels) < 16:
        size = (max(light.shape[1] // 2, 1), max(light.shape[0] // 2, 1))
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
        levels.append(_ROOT[light])
    _pyramids[key] = (weakref.ref(texture, partial(_forget, _pyramids, key)), levels)
    return levels


def _check(placed: Placed, index: int) -> None:
    mesh, subject = placed.mesh, f"Room.placed[{index}] ({placed.name})"
    faces = len(mesh.faces)
    shapes = (mesh.uv.shape, mesh.normals.shape, mesh.material.shape)
    if shapes != ((faces, 3, 2), (faces, 3, 3), (faces,)):
        raise InputError(subject, f"uv, normals, material of shapes {shapes}", f"one row for each of {faces} faces")
    if faces and (mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices)):
        raise InputError(subject, "faces that name missing vertices", f"indices below {len(mesh.vertices)}")
    if faces and (mesh.material.min() < 0 or mesh.material.max() >= len(mesh.materials)):
        raise InputError(subject, "faces that name missing materials", f"indices below {len(mesh.materials)}")


def _triangles(room: Room, first_material: list[int]) -> Triangles:
    parts: list[tuple[NDArray, ...]] = []
    for i, placed in enumerate(room.placed):
        _check(placed, i)
        mesh, T = placed.mesh, placed.T_world_object
        world = (mesh.vertices @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
        normals = (mesh.normals @ T[:3, :3].T.astype(np.float32)).astype(np.float32)
        material = mesh.material.astype(np.int32) + first_material[i]
        instance = np.full(len(mesh.faces), i, np.int32)
        parts.append((world[mesh.faces], normals, mesh.uv.astype(np.float32), material, instance))
    return Triangles(*(np.ascontiguousarray(np.concatenate(p)) for p in zip(*parts)))


def _surfaces(materials: list[Material]) -> Surfaces:
    row_of: dict[int, int] = {}
    chunks: list[NDArray[np.uint8]] = []
    table: list[list[tuple[int, int, int]]] = []
    texture, mean, offset = [], [], 0
    for m in materials:
        tint = np.ones(3, np.float32)
        if m.texture is not None:
            levels = pyramid(m.texture)
            if id(m.texture) not in row_of:
                row_of[id(m.texture)] = len(table)
                rows = []
                for level in levels:
                    rows.append((offset, level.shape[0], level.shape[1]))
                    offset += level.shape[0] * level.shape[1]
                    chunks.append(level.reshape(-1, 3))
                table.append(rows + [rows[-1]] * (16 - len(rows)))
            tint = LINEAR[levels[-1].reshape(-1, 3)[0]]
        texture.append(row_of[id(m.texture)] if m.texture is not None else -1)
        mean.append(np.asarray(m.albedo, np.float32) * tint)
    texels = np.concatenate(chunks) if chunks else np.zeros((1, 3), np.uint8)
    return Surfaces(
        np.array([m.albedo for m in materials], np.float32),
        np.array(mean, np.float32),
        np.array([m.gloss for m in materials], np.float32),
        np.array([m.emission for m in materials], np.float32),
        np.array(texture, np.int32),
        np.array(table, np.int64).reshape(-1, 16, 3),
        texels,
    )


def _area_lights(triangles: Triangles, surfaces: Surfaces) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """Radiance times area, corners, normals, cumulative shares, first rows of the strongest emitting groups."""
    lit = np.flatnonzero(surfaces.emission[triangles.material] > 0)
    corners = triangles.corners[lit]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1) / 2
    normal = (normal / np.maximum(2 * area, 1e-12)[:, None]).astype(np.float32)
    radiance = surfaces.mean * surfaces.emission[:, None]
    groups: list[tuple[float, Floats, NDArray[np.intp]]] = []
    for key in np.unique(triangles.instance[lit]):
        rows = np.flatnonzero(triangles.instance[lit] == key)
        power = (radiance[triangles.material[lit[rows]]] * area[rows, None]).sum(0)
        if power.max() > _MIN_LIGHT_POWER:
            groups.append((float(power.max()), power.astype(np.float32), rows))
    groups = sorted(groups, key=lambda g: -g[0])[:_MAX_AREA_LIGHTS]
    rows_of = [g[2] for g in groups]
    shares = [np.cumsum(area[r]) / area[r].sum() for r in rows_of]
    first = np.cumsum([0] + [len(r) for r in rows_of]).astype(np.int32)
    order = np.concatenate(rows_of) if rows_of else np.zeros(0, np.intp)
    cumulative = np.concatenate(shares).astype(np.float32) if shares else np.zeros(0, np.float32)
    power = np.array([g[1] for g in groups], np.float32).reshape(-1, 3)
    return power, np.ascontiguousarray(corners[order]), np.ascontiguousarray(normal[order]), cumulative, first


def _fixture_radius(lamp: Lamp, emitting: Floats) -> float:
    """How far the lamp's own glowing shade reaches: shadow rays end before it."""
    distance = np.linalg.norm(emitting.reshape(-1, 3) - np.asarray(lamp.position, np.float32), axis=1)
    near = distance[distance < _FIXTURE_RADIUS_M]
    return lamp.radius + (float(near.max()) + 0.01 if len(near) else 0.0)


def _lights(lamps: tuple[Lamp, ...], triangles: Triangles, surfaces: Surfaces) -> Lights:
    emitting = triangles.corners[surfaces.emission[triangles.material] > 0]
    return Lights(
        np.array([x.position for x in lamps], np.float32).reshape(-1, 3),
        np.array([x.power for x in lamps], np.float32).reshape(-1, 3),
        np.array([x.radius for x in lamps], np.float32),
        np.array([_fixture_radius(x, emitting) for x in lamps], np.float32),
        np.array([x.direction or (0.0, 0.0, -1.0) for x in lamps], np.float32).reshape(-1, 3),
        np.array([x.cone_cos for x in lamps], np.float32),
        *_area_lights(triangles, surfaces),
    )


def flatten(room: Room) -> FlatRoom:
    """The flat arrays of a room.

    Raises:
        InputError: a room without surfaces, or a mesh whose arrays do not fit each other.
    """
    if not any(len(p.mesh.faces) for p in room.placed):
        raise InputError("Room.placed", "no surface at all", "at least one mesh with faces")
    materials: list[Material] = []
    first_material = []
    for placed in room.placed:
        first_material.append(len(materials))
        materials.extend(placed.mesh.materials)
    triangles, surfaces = _triangles(room, first_material), _surfaces(materials)
    labels = np.array([p.label for p in room.placed], np.uint8)
    lights = _lights(room.lamps, triangles, surfaces)
    return FlatRoom(triangles, surfaces, lights, labels, np.asarray(room.ambient, np.float32))
