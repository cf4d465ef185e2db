"""The mesh as the page carries it: small enough, facing the cameras, quantised."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from scenewright.data.meshes import TriangleMesh

MAX_FACES = 400_000
MAX_VERTICES = 300_000
_GREY = 190
_ASPECT = 1.8  # of the page's 3-D view, at least, where there is room for it
_VERTEX = np.dtype([("place", "<u2", 4), ("colour", "u1", 4), ("normal", "i1", 4)])  # mesh.js reads 16 bytes


@dataclass(frozen=True)
class PackedMesh:
    """A mesh in the bytes that the page's renderer takes.

    Args:
        vertices: 16 bytes each: position in 16 bits of the box, label, colour, normal.
        indices: uint32, three a face.
        origin, extent: (3,) the box, world units.
    """

    vertices: bytes
    indices: bytes
    origin: list[float]
    extent: list[float]


def simplify(mesh: TriangleMesh, max_faces: int = MAX_FACES, max_vertices: int = MAX_VERTICES) -> TriangleMesh:
    """The mesh itself where it is small enough, else clustered into the finest cells that fit both bounds.

    Vertices of one cell become their mean (Rossignac and Borrel 1993), so the error is below a cell's diagonal.
    """
    if len(mesh.faces) <= max_faces and len(mesh.vertices) <= max_vertices:
        return mesh
    area = float(_face_normals(mesh)[1].sum())
    diagonal = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    # a surface crosses about area / cell^2 cells and gets two faces in each
    cell = max(math.sqrt(2 * area / max_faces), math.sqrt(area / max_vertices), diagonal / 2**20) * 0.8
    while True:
        smaller = cluster(mesh, cell)
        if len(smaller.faces) <= max_faces and len(smaller.vertices) <= max_vertices:
            return smaller
        cell = max(cell * 1.15, diagonal * 1e-3 if area == 0 else 0)


def cluster(mesh: TriangleMesh, cell: float) -> TriangleMesh:
    """Merge the vertices of each cubic cell of side `cell`; faces that collapse or coincide vanish."""
    steps = np.floor((mesh.vertices - mesh.vertices.min(0)) / cell).astype(np.int64)
    _, y, z = steps.max(0) + 1
    _, inverse = np.unique((steps[:, 0] * y + steps[:, 1]) * z + steps[:, 2], return_inverse=True)
    count = np.bincount(inverse)
    merged = replace(
        mesh,
        vertices=_means(inverse, mesh.vertices, count).astype(np.float32),
        faces=_distinct(inverse[mesh.faces].astype(np.int64), len(count)),
        colours=None if mesh.colours is None else np.rint(_means(inverse, mesh.colours, count)).astype(np.uint8),
        labels=None if mesh.labels is None else _majority(inverse, mesh.labels, len(count)),
    )
    return _without_unused(merged) if len(mesh.faces) else merged


def _means(inverse: NDArray[np.int64], values: NDArray[np.generic], count: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([np.bincount(inverse, values[:, axis]) / count for axis in range(values.shape[1])], 1)


def _majority(inverse: NDArray[np.int64], labels: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    kinds = int(labels.max()) + 1
    votes = np.bincount(inverse * kinds + labels, minlength=cells * kinds).reshape(cells, kinds)
    return votes.argmax(1).astype(np.uint8)


def _distinct(faces: NDArray[np.int64], vertices: int) -> NDArray[np.int32]:
    """Faces with three corners, each once; rotated so that the smallest index leads, which keeps the winding."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    turn = (faces.argmin(1)[:, None] + np.arange(3)) % 3
    faces = np.take_along_axis(faces, turn, 1)
    _, first = np.unique((faces[:, 0] * vertices + faces[:, 1]) * vertices + faces[:, 2], return_index=True)
    return faces[np.sort(first)].astype(np.int32)


def _without_unused(mesh: TriangleMesh) -> TriangleMesh:
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return TriangleMesh(
        mesh.vertices[used],
        faces.reshape(-1, 3).astype(np.int32),
        None if mesh.colours is None else mesh.colours[used],
        None if mesh.labels is None else mesh.labels[used],
    )


def _face_normals(mesh: TriangleMesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normals (F, 3) of the length of twice the area, and areas (F,)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    normals = np.cross(b - a, c - a)
    return normals, np.linalg.norm(normals, axis=1) / 2


def facing(mesh: TriangleMesh, centres: NDArray[np.float64]) -> TriangleMesh:
    """The mesh with its faces turned over if most of its area shows its back to the nearest camera.

    Args:
        centres: (N, 3) camera centres.
    """
    if not len(mesh.faces) or not len(centres):
        return mesh
    normals, _ = _face_normals(mesh)
    middle = mesh.vertices[mesh.faces].mean(1)
    _, nearest = cKDTree(centres).query(middle)
    towards = centres[nearest] - middle
    towards /= np.linalg.norm(towards, axis=1, keepdims=True) + 1e-12
    backwards = float((normals * towards).sum()) < 0
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, ::-1])) if backwards else mesh


def vertex_normals(mesh: TriangleMesh) -> NDArray[np.float64]:
    """(V, 3) unit normals, weighted by area; 0 where a vertex has no face."""
    faces, count = mesh.faces, len(mesh.vertices)
    corner = csr_array(
        (np.ones(faces.size), (faces.reshape(-1), np.repeat(np.arange(len(faces)), 3))), shape=(count, len(faces))
    )
    sums = corner @ _face_normals(mesh)[0]
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-20)


def label_shares(mesh: TriangleMesh, kinds: int) -> NDArray[np.float64]:
    """(kinds,) share of the mesh's area that carries each label; 0 everywhere where there is none."""
    if mesh.labels is None or not len(mesh.faces):
        return np.zeros(kinds)
    labels = np.minimum(mesh.labels[mesh.faces[:, 0]], kinds - 1)
    areas = np.bincount(labels, _face_normals(mesh)[1], minlength=kinds)
    return areas / max(float(areas.sum()), 1e-20)


def pack(mesh: TriangleMesh) -> PackedMesh:
    """Quantise: a position is off by at most half of 1/65535 of the box, 0.04 mm in a room of five metres."""
    count = len(mesh.vertices)
    origin = mesh.vertices.min(0).astype(np.float64) if count else np.zeros(3)
    extent = np.maximum(np.ptp(mesh.vertices, axis=0).astype(np.float64) if count else np.zeros(3), 1e-9)
    packed = np.zeros(count, _VERTEX)
    packed["place"][:, :3] = np.rint((mesh.vertices - origin) / extent * 65535)
    packed["place"][:, 3] = 0 if mesh.labels is None else mesh.labels
    packed["colour"][:, :3] = _GREY if mesh.colours is None else mesh.colours
    packed["normal"][:, :3] = np.rint(vertex_normals(mesh) * 127)
    indices = mesh.faces.astype("<u4").tobytes()
    return PackedMesh(packed.tobytes(), indices, origin.tolist(), extent.tolist())


def size_along(points: NDArray[np.floating], up: NDArray[np.float64]) -> tuple[float, float, float]:
    """Length, width and height of the points, without the outermost 1 %: the tightest upright box."""
    if len(points) < 3:
        return 0.0, 0.0, 0.0
    basis = _horizontal(up)
    flat, height = points @ basis.T, points @ up
    low, high = np.quantile(flat, (0.005, 0.995), axis=0)
    inside = flat[((flat >= low) & (flat <= high)).all(1)]
    (_, sides, _) = cv2.minAreaRect(inside.astype(np.float32))
    return max(sides), min(sides), float(np.ptp(np.quantile(height, (0.005, 0.995))))


def upright(mesh: TriangleMesh, up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction that floors and table tops face, near to `up` (3,), the cameras' own: people tilt cameras.

    The mean normal of the faces within 30, then 20, then 10 degrees of the last estimate, by area; `up` itself where
    these are less than a twentieth of the surface.
    """
    if not len(mesh.faces):
        return up
    normals, areas = _face_normals(mesh)
    found = up
    for degrees in (30, 20, 10):
        level = normals @ found > 2 * areas * math.cos(math.radians(degrees))
        if areas[level].sum() < 0.05 * areas.sum():
            return up
        found = normals[level].sum(0)
        found = found / np.linalg.norm(found)
    return found


def home_view(
    points: NDArray[np.floating], forward: NDArray[np.float64], up: NDArray[np.float64]
) -> dict[str, list[float] | float]:
    """Where the page looks from at first: over the cameras' shoulders, or across the corner when they look around.

    Args:
        points: (N, 3) what is to be seen.
        forward: (K, 3) viewing directions of the keyframes.
        up: (3,) unit vector.

    Returns:
        `centre`, `radius` of what is seen and `direction` from the centre to the eye.
    """
    basis = _horizontal(up)
    mean = basis @ forward.mean(0) if len(forward) else np.zeros(2)
    ahead = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > 0.3 else np.array([-0.8, -0.6])
    turn = math.radians(25)
    ahead = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]) @ ahead
    direction = -(ahead @ basis) * math.cos(math.radians(35)) + up * math.sin(math.radians(35))
    across = np.cross(up, direction)
    across /= np.linalg.norm(across)
    picture = np.stack([across, np.cross(direction, across), direction])  # axes right, up and towards the eye
    low, high = -np.ones(3), np.ones(3)
    if len(points):  # stray pieces far off do not shrink the rest
        low, high = np.quantile(points @ picture.T, (0.02, 0.98), axis=0)
    width, height, _ = (high - low) / 2
    radius = max(1.06 * max(float(width) / _ASPECT, float(height)), 1e-6)  # what is nearer looks larger
    return {"centre": ((low + high) / 2 @ picture).tolist(), "radius": radius, "direction": direction.tolist()}


def _horizontal(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) two unit vectors that span the floor."""
    side = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0, 1.0, 0])
    first = np.cross(side, up)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first)])
