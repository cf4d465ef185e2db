"""Wavefront OBJ with materials and pictures, as furniture libraries use it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import FormatError
from scenewright.worlds.model import Material, Mesh

_MAX_PICTURE_SIDE = 512
_MAX_PICTURE_PIXELS = 40_000_000
_CLEAR = 0.35
Reader = Callable[[str], bytes]


@dataclass(eq=False)
class _Look:
    """A material as read: linear colour, opacity, gloss, picture."""

    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    opacity: float = 1.0
    gloss: float = 0.0
    picture: str = ""


def read_model(read: Reader, names: set[str], path: str, max_triangles: int) -> Mesh | None:
    """A model in its own axes and units; faces of clear glass are left out.

    Args:
        read: the bytes of a file of the library.
        names: all files of the library.
        path: the OBJ.
        max_triangles: more give None, and so do pictures with cut-outs, and models of which nothing is left.

    Raises:
        FormatError: numbers or indices that cannot be.
    """
    text = read(path).decode("latin-1")
    if text.count("\nf ") > max_triangles:
        return None
    v, vt, vn, corners, uses, libraries = _parse(text, path)
    if len(corners) == 0 or len(corners) > max_triangles:
        return None
    looks: dict[str, _Look] = {}
    folder = posixpath.dirname(path)
    for library in libraries:
        name = posixpath.normpath(posixpath.join(folder, library))
        if name in names:
            looks.update(_materials(read(name).decode("latin-1")))
    order, index = _material_rows(uses, len(corners))
    seen = np.array([looks.get(u, _Look()).opacity >= _CLEAR for u in order])
    keep = seen[index]
    if not keep.any():
        return None
    materials = [_material(read, names, folder, looks.get(u, _Look())) for u in order]
    if any(m is None for m, s in zip(materials, seen, strict=True) if s):
        return None
    solid = tuple(m if m is not None else Material((0.5, 0.5, 0.5)) for m in materials)
    return _mesh(v, vt, vn, corners[keep], index[keep], solid)


def _mesh(
    v: NDArray, vt: NDArray, vn: NDArray, corners: NDArray, index: NDArray, materials: tuple[Material, ...]
) -> Mesh:
    faces = corners[..., 0]
    used, packed = np.unique(faces, return_inverse=True)
    p = v[faces]
    flat = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-20)
    normals = np.repeat(flat[:, None], 3, axis=1)
    given = np.all(corners[..., 2] >= 0, axis=1)
    if len(vn):
        n = vn[np.maximum(corners[..., 2], 0)]
        n = n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-20)
        normals = np.where(given[:, None, None], n, normals)
    uv = np.zeros((len(faces), 3, 2))
    if len(vt):
        uv = np.where((corners[..., 1] >= 0)[..., None], vt[np.maximum(corners[..., 1], 0)], 0.0)
    return Mesh(
        v[used].astype(np.float32), packed.reshape(-1, 3).astype(np.int32), uv.astype(np.float32),
        index.astype(np.int16), normals.astype(np.float32), materials,
    )  # fmt: skip


def _parse(text: str, path: str) -> tuple[NDArray, NDArray, NDArray, NDArray, list[tuple[str, int]], list[str]]:
    """Vertices (V, 3), texture (T, 2), normals (N, 3), corners (F, 3, 3) of indices or -1, where each material begins,
    and the names of the material files."""
    rows: dict[str, list[list[str]]] = {"v": [], "vt": [], "vn": []}
    corners: list[tuple[tuple[int, int, int], ...]] = []
    uses: list[tuple[str, int]] = [("", 0)]
    libraries: list[str] = []
    try:
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word in rows:
                rows[word].append(rest.split()[: 2 if word == "vt" else 3])
            elif word == "f":
                count = (len(rows["v"]), len(rows["vt"]), len(rows["vn"]))
                ring = [_corner(c, count) for c in rest.split()]
                corners += [(ring[0], ring[i], ring[i + 1]) for i in range(1, len(ring) - 1)]
            elif word == "usemtl":
                uses.append((rest.strip(), len(corners)))
            elif word == "mtllib":
                libraries.append(rest.strip())
        arrays = [np.array(rows[k], np.float64).reshape(-1, n) for k, n in (("v", 3), ("vt", 2), ("vn", 3))]
    except (ValueError, IndexError) as error:
        raise FormatError(f"model {path!r}", f"a line that cannot be read ({error})", "Wavefront OBJ") from None
    v, vt, vn = arrays
    found = np.array(corners, np.int64).reshape(-1, 3, 3)
    for k, a in enumerate(arrays):
        if len(found) and (found[..., k].max() >= len(a) or found[..., k].min() < (0 if k == 0 else -1)):
            raise FormatError(f"model {path!r}", "a face that names a missing vertex", f"indices up to {len(a)}")
    if not all(np.isfinite(a).all() for a in arrays):
        raise FormatError(f"model {path!r}", "coordinates that are not finite", "numbers")
    return v, vt, vn, found, uses, libraries


def _corner(word: str, count: tuple[int, int, int]) -> tuple[int, int, int]:
    """Zero-based indices of "v/vt/vn"; -1 where left out; negative numbers count from the end."""
    numbers = [int(x) if x else 0 for x in word.split("/")[:3]] + [0, 0]
    a, b, c = (n - 1 if n > 0 else count[i] + n if n < 0 else -1 for i, n in enumerate(numbers[:3]))
    return a, b, c


def _material_rows(uses: list[tuple[str, int]], faces: int) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the materials that some face has, and the row of each face in that list."""
    names = sorted({u for u, _ in uses})
    index = np.zeros(faces, np.int64)
    for name, begin in uses:
        index[begin:] = names.index(name)
    kept, rows = np.unique(index, return_inverse=True)
    return [names[int(k)] for k in kept], rows


def _materials(text: str) -> dict[str, _Look]:
    """Materials of an MTL file; values that cannot be read keep their defaults."""
    looks: dict[str, _Look] = {}
    now = _Look()
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if word == "newmtl":
            now = looks.setdefault(rest, _Look())
        elif word == "map_Kd":
            now.picture = rest
        elif word in ("Kd", "Ks", "d", "Tr"):
            try:
                numbers = [min(max(float(x), 0.0), 1.0) for x in rest.split()[:3]]
            except ValueError:
                continue
            if word == "Kd" and len(numbers) == 3:
                now.colour = (numbers[0] ** 2.2, numbers[1] ** 2.2, numbers[2] ** 2.2)
            elif word == "Ks" and numbers:
                now.gloss = 0.6 * sum(numbers) / len(numbers)
            elif word == "d" and numbers:
                now.opacity = numbers[0]
            elif word == "Tr" and numbers:
                now.opacity = 1.0 - numbers[0]
    return looks


def _material(read: Reader, names: set[str], folder: str, look: _Look) -> Material | None:
    """None for a picture with cut-outs."""
    if not look.picture:
        colour = tuple(min(0.9, max(0.015, c)) for c in look.colour)
        return Material((colour[0], colour[1], colour[2]), None, look.gloss)
    name = posixpath.normpath(posixpath.join(folder, look.picture.split(" -")[0].strip()))
    if name not in names:
        return Material((0.5, 0.5, 0.5), None, look.gloss)
    data = np.frombuffer(read(name), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None or image.dtype != np.uint8 or image.size > _MAX_PICTURE_PIXELS:
        raise FormatError(f"picture {name!r}", "bytes that are no picture of usable size", "a JPEG or PNG")
    if image.ndim == 3 and image.shape[2] == 4 and (image[..., 3] < 128).mean() > 0.03:
        return None
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])
    scale = _MAX_PICTURE_SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Material((0.95, 0.95, 0.95), np.ascontiguousarray(image), look.gloss)
