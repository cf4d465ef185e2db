"""The surface of the map: marching cubes (Lewiner 2003) over the blocks, and what is done to triangle meshes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from scenewright.errors import InputError
from scenewright.slam.tsdf import BLOCK, Volume

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


def extract(volume: Volume, min_weight: float = 0.01, min_area_m2: float = 0.05) -> SurfaceMesh:
    """The zero level set of the map, grey; see `paint` for colours and labels.

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
    vertices, faces = _weld([p for p in pieces if p is not None], volume.voxel_m)
    mesh = SurfaceMesh(vertices, faces, np.full((len(vertices), 3), 128, np.uint8))
    return without_small_pieces(mesh, min_area_m2)


def smooth(mesh: SurfaceMesh, rounds: int, shrink: float = 0.5, grow: float = 0.53) -> SurfaceMesh:
    """Taubin's filter (SIGGRAPH 1995): each round moves vertices towards their neighbours' mean and back a bit more,
    which takes noise and leaves size; `shrink` < `grow`. The rim stays where it is.
    """
    if not len(mesh.faces):
        return mesh
    vertices = mesh.vertices.astype(np.float64)
    inner = ~on_rim(mesh)[:, None]
    step = _averaging(mesh)
    for _ in range(rounds):
        for factor in (shrink, -grow):
            vertices = vertices + factor * inner * (step @ vertices - vertices)
    return replace(mesh, vertices=vertices.astype(np.float32))


def diffuse(mesh: SurfaceMesh, values: NDArray[np.float32], rounds: int) -> NDArray[np.float32]:
    """(V, C): each round, half of a vertex's `values` gives way to the mean over those it shares an edge with."""
    if rounds and len(mesh.faces):
        step = _averaging(mesh)
        for _ in range(rounds):
            values = np.asarray(0.5 * (values + step @ values), np.float32)
    return values


def on_rim(mesh: SurfaceMesh) -> NDArray[np.bool_]:
    """(V,) whether a vertex lies on an edge that only one face has."""
    edges = np.sort(_edges(mesh.faces), axis=1).astype(np.int64)
    key, count = np.unique(edges[:, 0] * len(mesh.vertices) + edges[:, 1], return_counts=True)
    single = key[count == 1]
    rim = np.zeros(len(mesh.vertices), bool)
    rim[single // len(mesh.vertices)] = rim[single % len(mesh.vertices)] = True
    return rim


def vertex_normals(mesh: SurfaceMesh) -> NDArray[np.float32]:
    """(V, 3) unit normals towards free space, means over faces by area; 0 where a vertex has no face."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(mesh.faces.ravel(), np.repeat(face[:, k], 3), len(mesh.vertices)) for k in range(3)], 1
    )
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _edges(faces: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _averaging(mesh: SurfaceMesh) -> csr_array:
    """(V, V): row by row the mean over a vertex's neighbours."""
    edges, count = _edges(mesh.faces), len(mesh.vertices)
    both = np.concatenate([edges, edges[:, ::-1]])
    graph = csr_array((np.ones(len(both), np.float32), (both[:, 0], both[:, 1])), shape=(count, count))
    graph.data[:] = 1  # an edge of two faces counts once
    degree = np.maximum(np.diff(graph.indptr), 1)
    graph.data /= np.repeat(degree, np.diff(graph.indptr)).astype(np.float32)
    return graph


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


Piece = tuple[NDArray[np.float64], NDArray[np.int32]]


def _mesh_chunk(
    volume: Volume, chunk: tuple[int, int, int], slots: NDArray[np.int64], min_weight: float
) -> Piece | None:
    """Vertices in voxels of the world grid, and faces, of one chunk."""
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
    return vertices + offset, faces.astype(np.int32)


def _dense(array: NDArray, slots: NDArray[np.int64], where: NDArray[np.int32], blocks: NDArray[np.int32]) -> NDArray:
    """Scatter (N, 512, ...) blocks into one dense (X, Y, Z, ...) array, zero where there is no block."""
    tail = array.shape[2:]
    x, y, z = (int(n) for n in blocks)
    out = np.zeros((x, BLOCK, y, BLOCK, z, BLOCK, *tail), array.dtype)
    out[where[:, 0], :, where[:, 1], :, where[:, 2], :] = array[slots].reshape(-1, BLOCK, BLOCK, BLOCK, *tail)
    return out.reshape(x * BLOCK, y * BLOCK, z * BLOCK, *tail)


def _weld(pieces: list[Piece], voxel_m: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Join the chunks: vertices on their common planes are the same to a thousandth of a voxel."""
    if not pieces:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    starts = np.cumsum([0, *(len(p[0]) for p in pieces)])
    vertices = np.concatenate([p[0] for p in pieces])
    faces = np.concatenate([p[1] + s for p, s in zip(pieces, starts)])
    _, first, number = np.unique(
        np.rint(vertices * 1000).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    faces = number.ravel()[faces].astype(np.int32)
    proper = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return (vertices[first] * voxel_m).astype(np.float32), faces[proper]
