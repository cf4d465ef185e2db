"""Building triangle meshes out of a few solids, in true size: boxes, tubes, turned shapes, cushions, panels, leaves.

Texture coordinates are in metres divided by the finish's repeat, so that planks, tiles and weaves keep their real size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenewright.worlds.model import Material, Mesh

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], np.int32
)  # faces -x, +x, -y, +y, -z, +z, counter-clockwise from outside
_AXES = np.array([[1, 2], [1, 2], [0, 2], [0, 2], [0, 1], [0, 1]])
_BOX_FACES = _QUADS[:, [0, 1, 2, 0, 2, 3]].reshape(12, 3)
_BOX_AXES = np.repeat(_AXES, 2, axis=0)
_BOX_NORMALS = np.zeros((12, 3, 3), np.float32)
for _i in range(6):
    _BOX_NORMALS[2 * _i : 2 * _i + 2, :, _i // 2] = 1.0 if _i % 2 else -1.0


@dataclass(frozen=True, eq=False)
class Finish:
    """A material and the size of one repeat of its texture.

    Args:
        material: how it looks.
        repeat: metres that one repeat spans along u and v.
        grained: u follows the longer side of each face (wood).
    """

    material: Material
    repeat: tuple[float, float] = (1.0, 1.0)
    grained: bool = False

    def tinted(self, factor: float) -> Finish:
        """The same finish with its reflectance multiplied by `factor`, kept within [0, 1]."""
        r, g, b = (min(1.0, c * factor) for c in self.material.albedo)
        return replace(self, material=replace(self.material, albedo=(r, g, b)))


def plain(colour: Sequence[float], gloss: float = 0.0, emission: float = 0.0) -> Finish:
    """A finish of one colour: linear RGB in [0, 1]."""
    r, g, b = (float(min(1.0, max(0.0, c))) for c in colour)
    return Finish(Material((r, g, b), None, gloss, emission))


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float64]:
    """(3, 3) rotation: `roll` about y, then `pitch` about x, then `yaw` about z, radians."""
    cz, sz, cx, sx, cy, sy = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1.0]])
    x = np.array([[1.0, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1.0, 0], [-sy, 0, cy]])
    return z @ x @ y


def placement(position: Sequence[float], yaw: float = 0.0) -> NDArray[np.float64]:
    """(4, 4) rigid transform: turn by `yaw` about z, then move to `position`."""
    out = np.eye(4)
    out[:3, :3] = rotation(yaw)
    out[:3, 3] = position
    return out


class MeshBuilder:
    """Collects solids and turns them into one `Mesh`. Every method takes metres in the current frame."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray, NDArray, NDArray, NDArray, int]] = []
        self._finishes: list[Finish] = []
        self._index: dict[int, int] = {}
        self._frame: NDArray[np.float64] | None = None
        self._count = 0

    @contextmanager
    def at(
        self, position: Sequence[float] = (0, 0, 0), yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
    ) -> Iterator[None]:
        """Within the block, coordinates are in a frame moved and turned by this much from the current one."""
        before = self._frame
        step = np.eye(4)
        step[:3, :3] = rotation(yaw, pitch, roll)
        step[:3, 3] = position
        self._frame = step if before is None else before @ step
        try:
            yield
        finally:
            self._frame = before

    def add(
        self,
        vertices: ArrayLike,
        faces: NDArray,
        uv: NDArray,
        normals: NDArray,
        finish: Finish,
        fit: bool = False,
    ) -> None:
        """Add raw triangles: (V, 3) vertices, (F, 3) faces, (F, 3, 2) uv in metres (with `fit`: in repeats), (F, 3, 3)
        normals."""
        v = np.asarray(vertices, np.float32)
        if self._frame is not None:
            turn = self._frame[:3, :3].astype(np.float32)
            v = v @ turn.T + self._frame[:3, 3].astype(np.float32)
            normals = normals @ turn.T
        key = id(finish)
        if key not in self._index:
            self._index[key] = len(self._finishes)
            self._finishes.append(finish)
        if finish.material.texture is not None and not fit:
            shift = np.array([0.618 * len(self._parts) % 1.0, 0.382 * len(self._parts) % 1.0], np.float32)
            uv = uv / np.asarray(finish.repeat, np.float32) + shift
        self._parts.append((v, faces + self._count, uv, normals, self._index[key]))
        self._count += len(v)

    def box(self, lo: ArrayLike, hi: ArrayLike, finish: Finish) -> None:
        """A box from corner `lo` to corner `hi`."""
        lo, hi = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
        axes = _BOX_AXES
        if finish.grained:
            size = hi - lo
            swap = size[axes[:, 0]] < size[axes[:, 1]]
            axes = np.where(swap[:, None], axes[:, ::-1], axes)
        v = lo + _CORNERS * (hi - lo)
        uv = np.take_along_axis(v[_BOX_FACES], np.broadcast_to(axes[:, None, :], (12, 3, 2)), axis=2)
        self.add(v, _BOX_FACES, uv, _BOX_NORMALS, finish)

    def boxes(self, lo: NDArray, hi: NDArray, finish: Finish) -> None:
        """Many boxes of one finish: (N, 3) corners."""
        lo, hi = np.asarray(lo, np.float32)[:, None], np.asarray(hi, np.float32)[:, None]
        count = len(lo)
        v = (lo + _CORNERS * (hi - lo)).reshape(-1, 3)
        faces = (_BOX_FACES[None] + 8 * np.arange(count, dtype=np.int32)[:, None, None]).reshape(-1, 3)
        axes = np.broadcast_to(np.tile(_BOX_AXES, (count, 1))[:, None, :], (12 * count, 3, 2))
        uv = np.take_along_axis(v[faces], axes, axis=2)
        self.add(v, faces, uv, np.tile(_BOX_NORMALS, (count, 1, 1)), finish)

    def block(self, centre: Sequence[float], size: Sequence[float], finish: Finish) -> None:
        """A box of a size whose bottom face is centred at `centre`."""
        (x, y, z), (w, d, h) = centre, size
        self.box((x - w / 2, y - d / 2, z), (x + w / 2, y + d / 2, z + h), finish)

    def panel(self, corners: ArrayLike, finish: Finish, fit: bool = True) -> None:
        """A flat quadrilateral: (4, 3) corners counter-clockwise from its front, the first at the picture's lower left.

        With `fit` the texture fills it once; else it repeats at true size.
        """
        c = np.asarray(corners, np.float32)
        u, w = c[1] - c[0], c[3] - c[0]
        normal = np.cross(u, w)
        normal = normal / max(float(np.linalg.norm(normal)), 1e-12)
        faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        if not fit:
            uv = uv * np.array([np.linalg.norm(u), np.linalg.norm(w)], np.float32)
            self.add(c, faces, uv[faces], np.broadcast_to(normal, (2, 3, 3)), finish)
            return
        self.add(c, faces, uv[faces] * 0.998 + 0.001, np.broadcast_to(normal, (2, 3, 3)), finish, fit=True)

    def tube(
        self, path: ArrayLike, radius: float | Sequence[float], finish: Finish, sides: int = 8, caps: bool = True
    ) -> None:
        """A round bar along a polyline (N, 3) with one radius, or one per point."""
        p = np.asarray(path, np.float32)
        r = np.broadcast_to(np.asarray(radius, np.float32), (len(p),))
        tangent = np.gradient(p, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
        helper = np.array([1.0, 0.0, 0.0] if abs(tangent[:, 0]).max() < 0.9 else [0.0, 0.31, 0.95], np.float32)
        a = np.cross(tangent, helper)
        a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-9)
        b = np.cross(tangent, a)
        angle = np.arange(sides, dtype=np.float32) * (2 * math.pi / sides)
        ring = np.cos(angle)[None, :, None] * a[:, None] + np.sin(angle)[None, :, None] * b[:, None]
        grid = p[:, None] + ring * r[:, None, None]
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
        self._grid(grid, ring, length.astype(np.float32), float(r.mean()) * 2 * math.pi, finish)
        if caps:
            for end, sign in ((0, -1.0), (len(p) - 1, 1.0)):
                self._fan(grid[end], tangent[end] * sign, finish)

    def loft(self, rings: ArrayLike, finish: Finish) -> None:
        """A skin over rings of points (N, M, 3), smooth along and around, closed by flat ends."""
        grid = np.asarray(rings, np.float32)
        around = np.roll(grid, -1, 1) - np.roll(grid, 1, 1)
        normals = np.cross(around, np.gradient(grid, axis=0))
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
        middle = grid.mean(1)
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
        girth = float(np.linalg.norm(np.diff(grid[len(grid) // 2], axis=0), axis=1).sum())
        self._grid(grid, normals, length.astype(np.float32), girth, finish)
        for end, inner in ((0, 1), (-1, -2)):
            out = middle[end] - middle[inner]
            self._fan(grid[end], out / max(float(np.linalg.norm(out)), 1e-9), finish)

    def revolve(self, profile: ArrayLike, centre: Sequence[float], finish: Finish, sides: int = 16) -> None:
        """A turned shape about the vertical through `centre`: profile (N, 2) of radius and height, from the outside
        bottom upwards (for a vessel: up outside, down inside)."""
        profile = np.asarray(profile, np.float32)
        angle = np.arange(sides, dtype=np.float32) * (2 * math.pi / sides)
        around = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], 1)
        step = np.gradient(profile, axis=0)
        step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
        normals = step[:, 1, None, None] * around[None] - step[:, 0, None, None] * np.array([0, 0, 1], np.float32)
        grid = profile[:, 0, None, None] * around[None] + profile[:, 1, None, None] * np.array([0, 0, 1], np.float32)
        grid = grid + np.asarray(centre, np.float32)
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
        self._grid(grid, normals, length.astype(np.float32), float(profile[:, 0].max()) * 2 * math.pi, finish)

    def _grid(self, grid: NDArray, normals: NDArray, length: NDArray, around: float, finish: Finish) -> None:
        """A surface of (N, sides) rings, closed around, with smooth normals."""
        rings, sides = grid.shape[:2]
        faces, column = _ring_faces(rings, sides)
        row = faces // sides
        uv = np.stack([column * (around / sides), length[row]], -1).astype(np.float32)
        n = np.broadcast_to(normals, grid.shape).reshape(-1, 3)[faces]
        self.add(grid.reshape(-1, 3), faces, uv, n.astype(np.float32), finish)

    def _fan(self, ring: NDArray, normal: NDArray, finish: Finish) -> None:
        count = len(ring)
        faces = np.stack([np.zeros(count - 2), np.arange(1, count - 1), np.arange(2, count)], 1).astype(np.int32)
        uv = (ring - ring.mean(0))[faces][..., :2]
        self.add(ring, faces, uv, np.broadcast_to(normal, (count - 2, 3, 3)).astype(np.float32), finish)

    def disc(self, centre: Sequence[float], radius: float, finish: Finish, sides: int = 20, up: float = 1.0) -> None:
        """A horizontal disc facing up (or down with `up` = -1)."""
        angle = np.arange(sides) * (2 * math.pi / sides)
        ring = np.stack([np.cos(angle) * radius, np.sin(angle) * radius, np.zeros(sides)], 1) + np.asarray(centre)
        self._fan(ring.astype(np.float32), np.array([0, 0, up], np.float32), finish)

    def cylinder(self, centre: Sequence[float], radius: float, height: float, finish: Finish, sides: int = 16) -> None:
        """An upright cylinder with its bottom at `centre`."""
        x, y, z = centre
        self.tube([(x, y, z), (x, y, z + height)], radius, finish, sides)

    def cushion(self, lo: ArrayLike, hi: ArrayLike, finish: Finish, rounding: float = 0.04) -> None:
        """A box with round edges of radius `rounding` (at most half its smallest side)."""
        lo, hi = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
        radius = min(rounding, 0.49 * float((hi - lo).min()))
        unit, faces, axes = _cushion_template()
        outward = np.where(np.abs(unit) > 0.9, unit, 0.0)
        direction = outward / np.linalg.norm(outward, axis=1, keepdims=True)
        v = np.where(unit > 0, hi - radius, lo + radius) + radius * direction
        uv = np.take_along_axis(v[faces], np.broadcast_to(axes[:, None, :], (len(faces), 3, 2)), axis=2)
        self.add(v, faces, uv, direction[faces].astype(np.float32), finish)

    def blades(self, base: ArrayLike, tip: ArrayLike, width: ArrayLike, sag: float, finish: Finish) -> None:
        """Leaves: (N, 3) from base to tip, (N,) widths, drooping by `sag` of their length."""
        base, tip = np.asarray(base, np.float32), np.asarray(tip, np.float32)
        count, width = len(base), np.broadcast_to(np.asarray(width, np.float32), (len(base),))
        along = tip - base
        side = np.cross(along, np.array([0, 0, 1], np.float32)) + np.array([1e-4, 0, 0], np.float32)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        t = np.array([0.0, 0.35, 0.7, 1.0], np.float32)
        shape = np.array([0.35, 1.0, 0.8, 0.05], np.float32)
        drop = (sag * np.linalg.norm(along, axis=1))[:, None] * (t**2)[None]
        mid = base[:, None] + along[:, None] * t[None, :, None]
        mid[..., 2] -= drop
        half = side[:, None] * (width[:, None] * shape[None] / 2)[..., None]
        v = np.stack([mid - half, mid + half], 2).reshape(-1, 3)
        strip = np.array([[0, 1, 3], [0, 3, 2], [2, 3, 5], [2, 5, 4], [4, 5, 7], [4, 7, 6]], np.int32)
        faces = (strip[None] + 8 * np.arange(count, dtype=np.int32)[:, None, None]).reshape(-1, 3)
        edges = np.cross(v[faces[:, 1]] - v[faces[:, 0]], v[faces[:, 2]] - v[faces[:, 0]])
        n = edges / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-12)
        uv = np.zeros((len(faces), 3, 2), np.float32)
        self.add(v, faces, uv, np.repeat(n[:, None], 3, 1).astype(np.float32), finish)

    def mesh(self) -> Mesh:
        """Everything added so far as one mesh; raises ValueError when nothing was added."""
        if not self._parts:
            raise ValueError("an empty mesh cannot be built")
        counts = [len(p[1]) for p in self._parts]
        return Mesh(
            vertices=np.concatenate([p[0] for p in self._parts]).astype(np.float32),
            faces=np.concatenate([p[1] for p in self._parts]).astype(np.int32),
            uv=np.concatenate([p[2] for p in self._parts]).astype(np.float32),
            material=np.repeat(np.array([p[4] for p in self._parts], np.int16), counts),
            normals=np.concatenate([p[3] for p in self._parts]).astype(np.float32),
            materials=tuple(f.material for f in self._finishes),
        )


@cache
def _ring_faces(rings: int, sides: int) -> tuple[NDArray, NDArray]:
    """Faces of a closed tube of (rings, sides) vertices, and the column of each corner unwrapped to 0..sides."""
    i, j = (a.ravel() for a in np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij"))
    k = (j + 1) % sides
    a, b, c, d = i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    column = np.concatenate([np.stack([j, j + 1, j + 1], 1), np.stack([j, j + 1, j], 1)]).astype(np.float32)
    return faces, column


@cache
def _cushion_template() -> tuple[NDArray, NDArray, NDArray]:
    """A cube's surface on a 4 x 4 grid of vertices a side: unit vertices in [-1, 1], faces, texture axes."""
    line = np.array([-1.0, -0.8, 0.8, 1.0])
    vertices: list[NDArray] = []
    faces: list[NDArray] = []
    axes: list[NDArray] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = [a for a in range(3) if a != axis]
            grid = np.zeros((4, 4, 3))
            grid[..., axis], grid[..., u], grid[..., v] = sign, line[:, None], line[None, :]
            start = 16 * len(vertices)
            vertices.append(grid.reshape(-1, 3))
            i, j = (a.ravel() for a in np.meshgrid(np.arange(3), np.arange(3), indexing="ij"))
            a, b, c, d = start + i * 4 + j, start + (i + 1) * 4 + j, start + (i + 1) * 4 + j + 1, start + i * 4 + j + 1
            flip = (sign > 0) == (axis == 1)
            quads = np.stack([a, d, c, b] if flip else [a, b, c, d], 1)
            faces.append(np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
            axes.append(np.tile([u, v], (18, 1)))
    return (
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(axes),
    )
