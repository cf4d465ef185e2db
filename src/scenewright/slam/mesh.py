"""The surface of the map: marching cubes (Lewiner 2003) over the blocks, with colours and labels at the vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from scenewright.errors import InputError
from scenewright.slam.tsdf import _FIXED, BLOCK, Volume

CHUNK = 12  # blocks per side of the dense piece that is meshed at a time
_SIDE = (CHUNK + 1) * BLOCK  # with the first block of the next pieces, so that the cells between pieces are meshed too


@dataclass(frozen=True)
class SurfaceMesh:
    """A triangle mesh in world axes, faces counter-clockwise seen from free space.

    Args:
        vertices: (V, 3) float32 metres. faces: (F, 3) int32. colours: (V, 3) uint8 RGB.
        labels: (V,) uint8 indices of `scenewright.labels.LABELS`, 0 where no view says; None without labels.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None = None


def extract(volume: Volume, min_weight: float = 0.02, min_area_m2: float = 0.02) -> SurfaceMesh:
    """The zero level set of the map.

    Args:
        min_weight: cells are meshed where all eight corners carry this weight (1 = one view with a sd of one voxel).
        min_area_m2: connected pieces smaller than this are removed.

    Raises:
        InputError: negative arguments.
    """
    if min_weight < 0 or min_area_m2 < 0:
        raise InputError("mesh", f"min_weight {min_weight}, min_area_m2 {min_area_m2}", "no negative number")
    slots_of = _chunks(volume.coordinates)
    pieces = [_mesh_chunk(volume, chunk, slots, min_weight) for chunk, slots in sorted(slots_of.items())]
    vertices, faces, colours, labels = _weld([p for p in pieces if p is not None], volume)
    mesh = SurfaceMesh(vertices, faces, colours, labels)
    return without_small_pieces(mesh, min_area_m2)


def without_small_pieces(mesh: SurfaceMesh, min_area_m2: float) -> SurfaceMesh:
    """The mesh without its connected pieces of less than this area, and without unused vertices."""
    faces, count = mesh.faces, len(mesh.vertices)
    if not len(faces):
        return mesh
    pairs = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    a, b, c = (mesh.vertices[faces[:, k]] for k in range(3))
    area = np.bincount(piece, np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)
    kept = faces[area[piece] >= min_area_m2]
    used = np.unique(kept)
    number = np.zeros(count, np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    labels = None if mesh.labels is None else mesh.labels[used]
    return SurfaceMesh(mesh.vertices[used], number[kept], mesh.colours[used], labels)


def _chunks(coordinates: NDArray[np.int32]) -> dict[tuple[int, int, int], NDArray[np.int64]]:
    """Chunk -> the slots of its own blocks and of the neighbours' first layer."""
    found: dict[tuple[int, int, int], list[NDArray[np.int64]]] = {}
    for step in np.ndindex(2, 2, 2):
        shift = np.array(step)
        own = np.flatnonzero(((coordinates % CHUNK == 0) | (shift == 0)).all(1))
        chunk = coordinates[own] // CHUNK - shift
        order = np.lexsort(chunk.T)
        starts = np.flatnonzero(np.any(np.diff(chunk[order], axis=0, prepend=np.iinfo(np.int32).min), axis=1))
        for part in np.split(order, starts[1:]) if len(order) else []:
            key = (int(chunk[part[0], 0]), int(chunk[part[0], 1]), int(chunk[part[0], 2]))
            found.setdefault(key, []).append(own[part])
    return {key: np.concatenate(parts) for key, parts in found.items()}


Piece = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64], NDArray[np.float32] | None]


def _mesh_chunk(
    volume: Volume, chunk: tuple[int, int, int], slots: NDArray[np.int64], min_weight: float
) -> Piece | None:
    """Vertices in voxels of the world grid, faces, colours (0..255) and label sums of one chunk."""
    where = volume.coordinates[slots] - np.array(chunk) * CHUNK
    low, high = where.min(0), where.max(0) + 1
    weight = _dense(volume.weight, slots, where - low, high - low)
    known = weight > max(min_weight, 1e-12)
    cells = known.copy()  # skimage asks the mask at the cell's far corner
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        cells[tuple(ahead)] &= cells[tuple(behind)].copy()
    distance = _dense(volume.distance, slots, where - low, high - low)
    end = np.minimum(CHUNK * BLOCK + 1 - low * BLOCK, distance.shape)  # cells beyond belong to the next chunk
    inside = tuple(slice(0, int(e)) for e in end)
    distance, cells = np.where(known, distance, 1.0)[inside], cells[inside]
    if min(distance.shape) < 2 or not (distance[cells] < 0).any() or not cells.any():
        return None
    try:
        vertices, faces, _, _ = marching_cubes(distance, 0.0, mask=cells, gradient_direction="descent")
    except (RuntimeError, ValueError):  # no zero crossing in the cells that are asked
        return None
    offset = (np.array(chunk) * CHUNK + low) * BLOCK
    colours, labels = _attributes(volume, slots, where - low, high - low, vertices)
    return vertices + offset, faces.astype(np.int32), colours, labels


def _dense(array: NDArray, slots: NDArray[np.int64], where: NDArray[np.int32], blocks: NDArray[np.int32]) -> NDArray:
    """Scatter (N, 512, ...) blocks into one dense (X, Y, Z, ...) array, zero where there is no block."""
    tail = array.shape[2:]
    x, y, z = (int(n) for n in blocks)
    out = np.zeros((x, BLOCK, y, BLOCK, z, BLOCK, *tail), array.dtype)
    out[where[:, 0], :, where[:, 1], :, where[:, 2], :] = array[slots].reshape(-1, BLOCK, BLOCK, BLOCK, *tail)
    return out.reshape(x * BLOCK, y * BLOCK, z * BLOCK, *tail)


def _attributes(
    volume: Volume, slots: NDArray[np.int64], where: NDArray[np.int32], blocks: NDArray[np.int32], vertices: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Colour and label sums at vertices, which lie on grid edges: the mean of the edge's two ends, by their weight."""
    row = np.full(tuple(int(n) for n in blocks), -1, np.int64)
    row[where[:, 0], where[:, 1], where[:, 2]] = slots
    share = np.abs(vertices - np.rint(vertices)).max(1)
    near = np.rint(vertices).astype(np.int64)
    far = np.floor(vertices).astype(np.int64) + np.ceil(vertices).astype(np.int64) - near
    colours = np.zeros((len(vertices), 3))
    total = np.zeros(len(vertices))
    labels = None if volume.labels is None else np.zeros((len(vertices), volume.labels.shape[2]), np.float32)
    for corner, part in ((near, 1 - share), (far, share)):
        slot = row[tuple((corner // BLOCK).T)]
        inner = corner % BLOCK
        voxel = (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
        w = np.where(slot >= 0, part * volume.colour_weight[slot, voxel], 0.0)
        colours += w[:, None] * volume.colour[slot, voxel] / _FIXED
        total += w
        if labels is not None and volume.labels is not None:
            labels += np.where(slot >= 0, part, 0.0).astype(np.float32)[:, None] * volume.labels[slot, voxel]
    return colours / np.maximum(total, 1e-12)[:, None], labels


def _weld(
    pieces: list[Piece], volume: Volume
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Join the chunks: vertices on their common planes are the same to a thousandth of a voxel."""
    if not pieces:
        none = None if volume.labels is None else np.zeros(0, np.uint8)
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.uint8), none
    starts = np.cumsum([0, *(len(p[0]) for p in pieces)])
    vertices = np.concatenate([p[0] for p in pieces])
    faces = np.concatenate([p[1] + s for p, s in zip(pieces, starts)])
    _, first, number = np.unique(
        np.rint(vertices * 1000).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    faces = number.ravel()[faces].astype(np.int32)
    proper = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    colours = np.rint(np.concatenate([p[2] for p in pieces])[first]).clip(0, 255).astype(np.uint8)
    labels = None
    if volume.labels is not None:
        sums = np.concatenate([p[3] for p in pieces if p[3] is not None])[first]
        labels = np.where((sums != 0).any(1), sums.argmax(1), 0).astype(np.uint8)
    return (vertices[first] * volume.voxel_m).astype(np.float32), faces[proper], colours, labels
