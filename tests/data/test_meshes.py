"""Meshes as files: round trips, other programs' files, and headers that lie."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.data.meshes import TriangleMesh, read_ply, write_glb, write_ply
from scenewright.errors import FormatError, InputError


def _mesh(coloured: bool = True, labelled: bool = True) -> TriangleMesh:
    box = trimesh.creation.box((1, 2, 3))
    count = len(box.vertices)
    colours = np.arange(count * 3).reshape(count, 3).astype(np.uint8) if coloured else None
    labels = np.arange(count).astype(np.uint8) if labelled else None
    return TriangleMesh(box.vertices.astype(np.float32), box.faces.astype(np.int32), colours, labels)


def _same(a: TriangleMesh, b: TriangleMesh) -> None:
    assert np.array_equal(a.vertices, b.vertices)
    assert np.array_equal(a.faces, b.faces)
    for x, y in ((a.colours, b.colours), (a.labels, b.labels)):
        assert (x is None) == (y is None)
        assert x is None or (np.array_equal(x, y) and x.dtype == np.uint8)


@pytest.mark.parametrize("coloured", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
def test_ply_round_trip_and_a_second_opinion(tmp_path, coloured, labelled):
    mesh = _mesh(coloured, labelled)
    write_ply(tmp_path / "a.ply", mesh)
    _same(read_ply(tmp_path / "a.ply"), mesh)
    other = trimesh.load(tmp_path / "a.ply", process=False)
    assert np.array_equal(other.faces, mesh.faces)
    assert np.allclose(other.vertices, mesh.vertices)
    if coloured:
        assert np.array_equal(other.visual.vertex_colors[:, :3], mesh.colours)


def test_point_clouds_and_empty_meshes(tmp_path):
    for count in (5, 0):
        cloud = TriangleMesh(np.ones((count, 3), np.float32), np.zeros((0, 3), np.int32))
        write_ply(tmp_path / "a.ply", cloud)
        _same(read_ply(tmp_path / "a.ply"), cloud)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_plys_of_trimesh(tmp_path, encoding):
    sphere = trimesh.creation.icosphere(1)
    sphere.visual.vertex_colors = np.tile([10, 20, 30, 255], (len(sphere.vertices), 1))
    (tmp_path / "a.ply").write_bytes(sphere.export(file_type="ply", encoding=encoding))
    mesh = read_ply(tmp_path / "a.ply")
    assert np.allclose(mesh.vertices, sphere.vertices, atol=1e-6)
    assert np.array_equal(mesh.faces, sphere.faces)
    assert mesh.colours is not None
    assert mesh.colours[0].tolist() == [10, 20, 30]


def test_big_endian_doubles_float_colours_and_face_scalars(tmp_path):
    head = (
        "ply\r\nformat binary_big_endian 1.0\r\nelement vertex 3\r\nproperty double x\r\nproperty double y\r\n"
        "property double z\r\nproperty float red\r\nproperty float green\r\nproperty float blue\r\n"
        "element face 1\r\nproperty uchar flags\r\nproperty list int uint vertex_index\r\nend_header\r\n"
    )
    vertex = np.zeros(3, [("p", ">f8", 3), ("c", ">f4", 3)])
    vertex["p"], vertex["c"] = np.eye(3), (1, 0.5, 0)
    face = np.array([(9, 3, (0, 1, 2))], [("flags", "u1"), ("n", ">i4"), ("i", ">u4", 3)])
    (tmp_path / "a.ply").write_bytes(head.encode() + vertex.tobytes() + face.tobytes())
    mesh = read_ply(tmp_path / "a.ply")
    assert np.array_equal(mesh.vertices, np.eye(3))
    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert mesh.colours is not None
    assert mesh.colours[0].tolist() == [255, 128, 0]


_XYZ = "property float x\nproperty float y\nproperty float z\n"
_FACES = "property list uchar int vertex_indices\n"


def _ply(
    vertices: object, faces: object = 0, body: bytes = b"", kind: str = "binary_little_endian", xyz: str = _XYZ
) -> bytes:
    head = f"ply\nformat {kind} 1.0\nelement vertex {vertices}\n{xyz}element face {faces}\n{_FACES}end_header\n"
    return head.encode() + body


_POINT = np.zeros(3, "<f4").tobytes()


def _face(*indices: int) -> bytes:
    return bytes([len(indices)]) + np.array(indices, "<i4").tobytes()


MALFORMED = {
    "empty": b"",
    "wrong_type": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
    "no_end_of_header": b"ply\nformat ascii 1.0\n",
    "header_without_end_64k": b"ply\nformat ascii 1.0\n" + b"comment x\n" * 10_000,
    "no_format": b"ply\nelement vertex 1\n" + _XYZ.encode() + b"end_header\n" + _POINT,
    "unknown_format": _ply(1, body=_POINT, kind="binary_middle_endian"),
    "unknown_keyword": b"ply\nformat ascii 1.0\nimport os\nend_header\n",
    "terabytes": _ply(10**12, body=_POINT),
    "fifty_million": _ply(50_000_000, body=_POINT),
    "faces_beyond_file": _ply(1, 90_000_000, _POINT),
    "number_of_1000_digits": _ply("9" * 1000),
    "negative_count": _ply(-1),
    "count_is_text": _ply("many"),
    "truncated": _ply(2, body=_POINT + _POINT[:-1]),
    "truncated_faces": _ply(1, 1, _POINT + _face(0, 0, 0)[:-1]),
    "no_z": _ply(1, body=_POINT, xyz="property float x\nproperty float y\nproperty float w\n"),
    "no_properties": _ply(50_000_000, xyz=""),
    "x_twice": _ply(1, body=_POINT, xyz=_XYZ + "property float x\n"),
    "list_among_vertices": _ply(1, body=_POINT, xyz=_XYZ + _FACES),
    "unknown_property_type": _ply(1, body=_POINT, xyz="property quad x\n"),
    "property_first": b"ply\nproperty float x\nformat ascii 1.0\nend_header\n",
    "nan_vertex": _ply(1, body=np.array([0, np.nan, 0], "<f4").tobytes()),
    "infinite_vertex": _ply(1, body=np.array([0, np.inf, 0], "<f4").tobytes()),
    "double_beyond_float": _ply(1, body=np.array([0, 1e300, 0], "<f8").tobytes(), xyz=_XYZ.replace("float", "double")),
    "quad": _ply(1, 1, _POINT + _face(0, 0, 0, 0)),
    "index_out_of_range": _ply(1, 1, _POINT + _face(0, 0, 1)),
    "negative_index": _ply(1, 1, _POINT + _face(0, 0, -1)),
    "ascii_text": _ply(1, body=b"1 2 x\n", kind="ascii"),
    "ascii_nan": _ply(1, body=b"1 2 nan\n", kind="ascii"),
    "ascii_short": _ply(2, body=b"1 2 3\n1 2\n", kind="ascii"),
    "ascii_promise": _ply(40_000_000, body=b"1 2 3\n", kind="ascii"),
    "ascii_quad": _ply(1, 1, b"1 2 3\n4 0 0 0 0\n", kind="ascii"),
    "ascii_corner_count": _ply(1, 1, b"1 2 3\n2 0 0 0\n", kind="ascii"),
    "ascii_index_overflow": _ply(1, 1, b"1 2 3\n3 0 0 9999999999\n", kind="ascii"),
    "ascii_missing_rows": _ply(3, body=b"1.00000000 2.00000000 3.00000000\n", kind="ascii"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_plys_are_refused_by_name_without_memory(tmp_path, case):
    path = tmp_path / f"{case}.ply"
    path.write_bytes(MALFORMED[case])
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=case):
            read_ply(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match=r"absent\.ply"):
        read_ply(tmp_path / "absent.ply")


def test_errors_tell_the_byte(tmp_path):
    data = MALFORMED["quad"]
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(FormatError, match=f"byte {data.index(b'end_header') + 11 + 12}"):
        read_ply(tmp_path / "a.ply")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5), st.integers(0, 600))
def test_damaged_plys_parse_or_raise_format_error(tmp_path_factory, changes, cut):
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    write_ply(path, _mesh())
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place] = value
    path.write_bytes(bytes(data[: len(data) - cut] if cut < 500 else data))
    with suppress(FormatError):
        read_ply(path).check("a mesh that was read")


@pytest.mark.parametrize(
    "mesh",
    [
        TriangleMesh(np.zeros((2, 2), np.float32), np.zeros((0, 3), np.int32)),
        TriangleMesh(np.full((2, 3), np.nan, np.float32), np.zeros((0, 3), np.int32)),
        TriangleMesh(np.zeros((2, 3), np.float32), np.array([[0, 1, 2]], np.int32)),
        TriangleMesh(np.zeros((2, 3), np.float32), np.array([[0, 1, -1]], np.int32)),
        TriangleMesh(np.zeros((2, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((2, 3), np.float32)),
        TriangleMesh(np.zeros((2, 3), np.float32), np.zeros((0, 3), np.int32), None, np.zeros(3, np.uint8)),
    ],
)
def test_meshes_that_cannot_be_written(tmp_path, mesh):
    for write in (write_ply, write_glb):
        with pytest.raises(InputError):
            write(tmp_path / "a.mesh", mesh)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("up", "top"), [("y", [0, 1, 0]), ("-y", [0, -1, 0]), ("z", [0, 0, 1])])
def test_glb_is_y_up_keeps_handedness_colours_and_metres(tmp_path, up, top):
    mesh = _mesh()
    write_glb(tmp_path / "a.glb", mesh, up=up)
    back = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    highest = mesh.vertices @ np.array(top, np.float32)
    assert np.allclose(back.vertices[:, 1], highest)
    assert back.volume == pytest.approx(6, rel=1e-6)  # negative if the axes were mirrored
    assert np.array_equal(back.visual.vertex_colors[:, :3], mesh.colours)


def test_glb_refuses_unknown_axes_and_point_clouds(tmp_path):
    with pytest.raises(InputError, match="up"):
        write_glb(tmp_path / "a.glb", _mesh(), up="x")
    with pytest.raises(InputError, match="without faces"):
        write_glb(tmp_path / "a.glb", TriangleMesh(np.zeros((1, 3), np.float32), np.zeros((0, 3), np.int32)))
