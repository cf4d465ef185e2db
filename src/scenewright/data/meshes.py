"""Triangle meshes as files: PLY (binary, colours, labels) and GLB (opens anywhere); PLY is read with limits.

PLY: Turk, "The PLY Polygon File Format", 1994. GLB: Khronos glTF 2.0, section 3.4: metres, right-handed, y up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.safe import file_size
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes

MAX_VERTICES = 50_000_000
MAX_FACES = 100_000_000
MAX_MESH_BYTES = 1 << 33
_MAX_ASCII_BYTES = 1 << 29
_MAX_HEADER_BYTES = 1 << 16
_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_COLOURS = ("red", "green", "blue")
_CORNERS, _INDICES = "corners of a face", "indices of a face"  # no property can have a name with spaces


@dataclass(frozen=True)
class TriangleMesh:
    """A mesh, or a point cloud where it has no faces.

    Args:
        vertices: (V, 3) float32, metres.
        faces: (F, 3) int32 into `vertices`, counter-clockwise seen from outside.
        colours: (V, 3) uint8 sRGB, or None.
        labels: (V,) uint8 class indices of `scenewright.labels.LABELS`, or None.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.uint8] | None = None
    labels: NDArray[np.uint8] | None = None

    def check(self, subject: object) -> None:
        """Refuse arrays that contradict each other.

        Raises:
            InputError: wrong shapes, a non-finite vertex, or a face that names no vertex.
        """
        count = len(self.vertices)
        if self.vertices.shape != (count, 3) or not np.isfinite(self.vertices).all():
            raise InputError(subject, f"vertices {self.vertices.shape} or non-finite ones", "(V, 3) finite metres")
        faces = self.faces
        if faces.shape != (len(faces), 3) or (faces.size and not (faces.min() >= 0 and faces.max() < count)):
            raise InputError(subject, f"faces {faces.shape} for {count} vertices", "(F, 3) indices below the number")
        if self.colours is not None and (self.colours.shape != (count, 3) or self.colours.dtype != np.uint8):
            raise InputError(subject, f"colours {self.colours.shape} of {self.colours.dtype}", f"({count}, 3) of uint8")
        if self.labels is not None and self.labels.shape != (count,):
            raise InputError(subject, f"labels {self.labels.shape}", f"({count},)")


def write_ply(path: str | Path, mesh: TriangleMesh) -> None:
    """Write a mesh as binary little-endian PLY, in one atomic step; labels are the vertex property `label`.

    Raises:
        InputError: as `TriangleMesh.check`.
    """
    mesh.check(path)
    columns: list[tuple[str, str, str, NDArray[Any]]] = [
        (name, "float", "<f4", mesh.vertices[:, axis]) for axis, name in enumerate("xyz")
    ]
    if mesh.colours is not None:
        columns += [(name, "uchar", "u1", mesh.colours[:, axis]) for axis, name in enumerate(_COLOURS)]
    if mesh.labels is not None:
        columns.append(("label", "uchar", "u1", mesh.labels))
    vertices = np.empty(len(mesh.vertices), [(name, code) for name, _, code, _ in columns])
    for name, _, _, values in columns:
        vertices[name] = values
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("indices", "<i4", 3)])
    faces["count"], faces["indices"] = 3, mesh.faces
    header = ["ply", "format binary_little_endian 1.0", "comment metres", f"element vertex {len(vertices)}"]
    header += [f"property {kind} {name}" for name, kind, _, _ in columns]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    write_bytes(path, "\n".join(header).encode() + vertices.tobytes() + faces.tobytes())


def write_glb(path: str | Path, mesh: TriangleMesh, *, up: str = "-y") -> None:
    """Write a mesh as binary glTF with vertex colours, in one atomic step.

    Args:
        path: the file.
        mesh: in world axes; labels are not part of the format.
        up: the world's upward axis: "-y" where the world is a camera's frame (y down), "z" for generated worlds, "y".

    Raises:
        InputError: another `up`, a mesh without faces, or as `TriangleMesh.check`.
    """
    import trimesh

    turns = {"y": (0, 1, 2, 1, 1, 1), "-y": (0, 1, 2, 1, -1, -1), "z": (0, 2, 1, 1, 1, -1)}
    if up not in turns:
        raise InputError("up", up, "one of " + ", ".join(turns))
    mesh.check(path)
    if not len(mesh.faces):
        raise InputError(path, "a mesh without faces", "at least one face (write_ply holds point clouds)")
    x, y, z, *signs = turns[up]
    vertices = mesh.vertices[:, [x, y, z]] * np.array(signs, np.float32)
    made = trimesh.Trimesh(vertices, mesh.faces, vertex_colors=mesh.colours, process=False)
    write_bytes(path, made.export(file_type="glb"))


@dataclass(frozen=True)
class _Element:
    """An element of a PLY header.

    Args:
        name, count: as in the header.
        fields: NumPy record fields without byte order; the list of a face is its count and three indices.
    """

    name: str
    count: int
    fields: list[tuple[str, str, int]]

    def record(self, order: str) -> np.dtype[Any]:
        """The fixed layout of one row."""
        return np.dtype(
            [(name, order + code, length) if length > 1 else (name, order + code) for name, code, length in self.fields]
        )

    @property
    def numbers(self) -> int:
        """Numbers per row."""
        return sum(length for _, _, length in self.fields)


def read_ply(path: str | Path) -> TriangleMesh:
    """Read a PLY mesh or point cloud of at most 50 million vertices, ASCII or binary of either byte order.

    Colours are taken from `red green blue` (bytes, or floats from 0 to 1), labels from a scalar `label`. Elements
    other than vertices and the faces behind them, and other scalar properties, are ignored.

    Raises:
        FormatError: no PLY, a header that promises more than the file holds, polygons of more than three corners,
            a face that names no vertex, or a non-finite vertex; with the byte offset where there is one.
    """
    size = file_size(path, MAX_MESH_BYTES)
    with Path(path).open("rb") as file:
        order, elements, start = _parse_header(file.read(_MAX_HEADER_BYTES), path)
        _check_promise(path, order, elements, size, start)
        file.seek(start)
        tables = {e.name: (_binary if order else _ascii)(path, file, order, e) for e in elements}
    return _assemble(path, tables)


def _parse_header(head: bytes, path: object) -> tuple[str, list[_Element], int]:
    """Byte order ("" for ASCII), the elements that are read, and where the data begins."""
    end = re.search(rb"\nend_header[ \t]*\r?\n", head)
    if not re.match(rb"ply[ \t]*\r?\n", head) or end is None:
        raise FormatError(path, f"a file that begins with {head[:12]!r}", "a PLY header of at most 64 KiB")
    order, elements = None, list[_Element]()
    for number, line in enumerate(head[: end.start()].decode("ascii", "replace").splitlines(), 1):
        words, where = line.split(), f"{path} line {number}"
        keyword = words[0] if words else "comment"
        if keyword == "format" and len(words) == 3 and words[1] in _ORDERS:
            order = _ORDERS[words[1]]
        elif keyword == "element":
            elements.append(_element(words, where))
        elif keyword == "property" and elements:
            elements[-1].fields.extend(_fields(elements[-1], words, where))
        elif keyword not in ("ply", "comment", "obj_info"):
            raise FormatError(where, repr(line[:60]), "format, element, property or comment")
    wanted = [e for e, name in zip(elements, ("vertex", "face")) if e.name == name]
    if order is None or not wanted or not {"x", "y", "z"} <= {name for name, _, _ in wanted[0].fields}:
        raise FormatError(path, "a header without a format or without vertices x, y, z in front", "both")
    if not wanted[-1].fields:
        raise FormatError(path, f"element {wanted[-1].name} without properties", "its properties")
    return order, wanted, end.end()


def _element(words: list[str], where: str) -> _Element:
    limit = MAX_VERTICES if words[1:2] == ["vertex"] else MAX_FACES
    if len(words) != 3 or not re.fullmatch("[0-9]{1,18}", words[2]) or int(words[2]) > limit:
        raise FormatError(where, " ".join(words)[:80], f"element, name and a number up to {limit}")
    return _Element(words[1], int(words[2]), [])


def _fields(element: _Element, words: list[str], where: str) -> list[tuple[str, str, int]]:
    if words[-1] not in (name for name, _, _ in element.fields):
        if len(words) == 3 and words[1] in _TYPES:
            return [(words[2], _TYPES[words[1]], 1)]
        indices = words[-1] in ("vertex_indices", "vertex_index") and words[1] == "list" and len(words) == 5
        first = element.name == "face" and _INDICES not in {name for name, _, _ in element.fields}
        if indices and first and words[2] in _TYPES and words[3] in _TYPES:
            return [(_CORNERS, _TYPES[words[2]], 1), (_INDICES, _TYPES[words[3]], 3)]
        if element.name not in ("vertex", "face"):
            return []
    raise FormatError(where, " ".join(words)[:80], "scalar properties, and no list but the vertex_indices of faces")


def _check_promise(path: object, order: str, elements: list[_Element], size: int, start: int) -> None:
    """Compare the header's promise with the file's size before anything is allocated."""
    if not order and size > _MAX_ASCII_BYTES:
        raise FormatError(path, f"ASCII PLY of {size} bytes", f"at most {_MAX_ASCII_BYTES} (or binary PLY)")
    least = (e.count * (e.record(order).itemsize if order else 2 * e.numbers) for e in elements)
    if (needed := sum(least) - (not order)) > size - start:  # an ASCII number is a digit and a separator, but the last
        found = f"a header that needs {needed} bytes with {size - start} behind it, from offset {start}"
        raise FormatError(path, found, "a complete file of triangles")


def _binary(path: object, file: IO[bytes], order: str, element: _Element) -> NDArray[Any]:
    record, start = element.record(order), file.tell()
    table = np.frombuffer(file.read(element.count * record.itemsize), record)
    if _CORNERS in (record.names or ()):
        for row in np.flatnonzero(table[_CORNERS] != 3)[:1]:
            found = f"a face of {table[_CORNERS][row]} corners at byte {start + int(row) * record.itemsize}"
            raise FormatError(path, found, "triangles")
    return table


def _ascii(path: object, file: IO[bytes], order: str, element: _Element) -> NDArray[Any]:
    start, table = file.tell(), np.empty(element.count, element.record("<"))
    if not element.count:
        return table
    try:
        values = np.loadtxt(islice(file, element.count), np.float64, comments=None, ndmin=2)
    except (ValueError, UserWarning) as error:
        raise FormatError(path, f"{element.name} rows from byte {start}: {error}", "numbers, in triangles") from error
    if values.shape != (element.count, element.numbers):
        found = f"{element.name} rows {values.shape} from byte {start}"
        raise FormatError(path, found, f"({element.count}, {element.numbers})")
    column = 0
    for name, code, length in element.fields:
        part = values[:, column : column + length]
        if name == _CORNERS and (part != 3).any():
            raise FormatError(path, f"a face of {part[part != 3][0]:g} corners", "triangles")
        table[name] = _cast(path, part if length > 1 else part[:, 0], code)
        column += length
    return table


def _cast(path: object, values: NDArray[Any], code: str) -> NDArray[Any]:
    if code[0] in "iu":
        bounds = np.iinfo(code)
        if not ((values >= bounds.min) & (values <= bounds.max)).all():
            raise FormatError(path, f"a number outside {bounds.min}..{bounds.max}", "numbers that fit their property")
    with np.errstate(over="ignore"):
        return values.astype(code)


def _assemble(path: object, tables: dict[str, NDArray[Any]]) -> TriangleMesh:
    vertex = tables["vertex"]
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
    for row in np.flatnonzero(~np.isfinite(vertices).all(axis=1))[:1]:
        raise FormatError(path, f"the non-finite vertex {row}", "finite metres")
    faces = np.zeros((0, 3), np.int32)
    if _INDICES in (tables.get("face", vertex).dtype.names or ()):
        indices = tables["face"][_INDICES]
        for row in np.flatnonzero(~((indices >= 0) & (indices < len(vertices))).all(axis=1))[:1]:
            raise FormatError(path, f"face {row} of {indices[row].tolist()}", f"indices below {len(vertices)}")
        faces = indices.astype(np.int32)
    labels = _cast(path, vertex["label"], "u1") if "label" in (vertex.dtype.names or ()) else None
    return TriangleMesh(vertices, faces, _colours(path, vertex), labels)


def _colours(path: object, vertex: NDArray[Any]) -> NDArray[np.uint8] | None:
    if not set(_COLOURS) <= set(vertex.dtype.names or ()):
        return None
    colours = np.stack([vertex[name] for name in _COLOURS], axis=1)
    return _cast(path, np.rint(colours * 255.0) if colours.dtype.kind == "f" else colours, "u1")
