from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from sample_report import SIZE, room_mesh
from scenewright.data.meshes import TriangleMesh
from scenewright.viewer.surface import (
    cluster,
    facing,
    home_view,
    label_shares,
    pack,
    simplify,
    size_along,
    upright,
    vertex_normals,
)

UP = np.array([0.0, 0.0, 1.0])


def sphere(levels: int = 4) -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=levels)
    labels = (made.vertices[:, 2] > 0).astype(np.uint8)
    colours = np.rint((made.vertices + 1) * 127).astype(np.uint8)
    return TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32), colours, labels)


def test_small_meshes_are_left_alone() -> None:
    mesh = sphere()
    assert simplify(mesh) is mesh


@pytest.mark.parametrize("limit", [4000, 1000, 200])
def test_simplified_meshes_keep_bound_shape_and_winding(limit: int) -> None:
    mesh = sphere(5)
    small = simplify(mesh, max_faces=limit)
    assert limit / 4 < len(small.faces) <= limit
    made = trimesh.Trimesh(small.vertices, small.faces, process=False)
    assert made.volume == pytest.approx(4 / 3 * np.pi, rel=0.15)  # positive: faces still look outwards
    cell = np.sqrt(2 * 4 * np.pi / limit) * 1.3
    assert np.abs(np.linalg.norm(small.vertices, axis=1) - 1).max() < cell * np.sqrt(3)
    assert set(np.unique(small.faces)) == set(range(len(small.vertices)))
    away = np.abs(small.vertices[:, 2]) > cell * 2
    np.testing.assert_array_equal(small.labels[away], small.vertices[away, 2] > 0)
    np.testing.assert_allclose(small.colours[away], (small.vertices[away] + 1) * 127, atol=1.0)


def test_clustering_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    vertices = rng.uniform(0, 1, (300, 3)).astype(np.float32)
    labels = rng.integers(0, 4, 300, dtype=np.uint8)
    colours = rng.integers(0, 256, (300, 3), dtype=np.uint8)
    small = cluster(TriangleMesh(vertices, np.zeros((0, 3), np.int32), colours, labels), 0.25)
    cells: dict[tuple[int, ...], list[int]] = {}
    for i, step in enumerate(np.floor((vertices - vertices.min(0)) / 0.25).astype(int)):
        cells.setdefault(tuple(step), []).append(i)
    members = [cells[key] for key in sorted(cells)]
    np.testing.assert_allclose(small.vertices, [vertices[m].mean(0) for m in members], rtol=1e-5)
    np.testing.assert_allclose(small.colours, [colours[m].mean(0) for m in members], atol=0.51)
    np.testing.assert_array_equal(small.labels, [np.bincount(labels[m]).argmax() for m in members])


def test_coinciding_faces_are_kept_once_but_both_sides_stay() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.01, 0.01, 0]], np.float32)
    faces = np.array([[0, 1, 2], [1, 2, 3], [2, 1, 0], [0, 3, 1]], np.int32)
    small = cluster(TriangleMesh(vertices, faces), 0.5)
    assert sorted(map(tuple, small.faces.tolist())) == [(0, 1, 2), (0, 2, 1)]


def test_points_are_thinned_too() -> None:
    rng = np.random.default_rng(0)
    points = TriangleMesh(rng.uniform(0, 1, (5000, 3)).astype(np.float32), np.zeros((0, 3), np.int32))
    small = simplify(points, max_vertices=500)
    assert 100 < len(small.vertices) <= 500


def test_faces_turn_to_the_cameras() -> None:
    room = room_mesh(6)
    inside = np.array([[2.0, 1.5, 1.8]])
    assert facing(room, inside) is room
    flipped = replace(room, faces=room.faces[:, ::-1])
    np.testing.assert_array_equal(facing(flipped, inside).faces, room.faces)
    assert facing(flipped, np.zeros((0, 3))) is flipped


def test_normals_of_a_sphere() -> None:
    mesh = sphere()
    np.testing.assert_allclose(vertex_normals(mesh), mesh.vertices, atol=0.01)
    lonely = TriangleMesh(np.zeros((2, 3), np.float32), np.zeros((0, 3), np.int32))
    assert (vertex_normals(lonely) == 0).all()


def test_packing_loses_half_a_step_of_sixteen_bits() -> None:
    mesh = sphere()
    packed = pack(mesh)
    codes = np.frombuffer(packed.vertices, "<u2").reshape(-1, 8)
    back = np.array(packed.origin) + codes[:, :3] / 65535 * np.array(packed.extent)
    assert np.abs(back - mesh.vertices).max() <= 2.0 / 65535 / 2 * 1.01
    octets = np.frombuffer(packed.vertices, "u1").reshape(-1, 16)
    np.testing.assert_array_equal(octets[:, 8:11], mesh.colours)
    normals = octets[:, 12:15].view("i1") / 127
    np.testing.assert_allclose(normals, mesh.vertices, atol=0.02)
    empty = pack(TriangleMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)))
    assert (empty.vertices, empty.indices) == (b"", b"")


def test_shares_are_areas() -> None:
    mesh = room_mesh(4)
    shares = label_shares(mesh, 12)
    w, d, h = SIZE
    walls, floor = 2 * (w + d) * h, w * d
    assert shares.sum() == pytest.approx(1)
    assert shares[3] / shares[2] == pytest.approx(walls / floor, rel=1e-5)
    assert (label_shares(replace(mesh, labels=None), 12) == 0).all()


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_size_is_that_of_the_turned_room(angle: float) -> None:
    points = np.random.default_rng(0).uniform(0, 1, (200_000, 3)) * SIZE
    c, s = np.cos(angle), np.sin(angle)
    turned = points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    np.testing.assert_allclose(size_along(turned, UP), (4.0, 3.0, 2.5), rtol=0.05)
    np.testing.assert_allclose(size_along(turned[:, [0, 2, 1]], np.array([0.0, 1, 0])), (4.0, 3.0, 2.5), rtol=0.05)
    assert size_along(points[:2], UP) == (0, 0, 0)


def test_home_is_behind_and_above_the_cameras() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (1000, 3))
    home = home_view(points, np.array([[1.0, 0, 0], [1, 0.2, 0]]), UP)
    direction = np.array(home["direction"])
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert direction[0] < -0.5
    assert direction[2] == pytest.approx(np.sin(np.radians(35)))
    around = home_view(points, np.array([[1.0, 0, 0], [-1, 0, 0]]), UP)
    assert np.linalg.norm(around["direction"]) == pytest.approx(1)
    assert home_view(points[:0], points[:0], UP)["radius"] > 0


def test_home_shows_the_bulk_from_edge_to_edge() -> None:
    generator = np.random.default_rng(1)
    points = generator.uniform((-3, -1, 0), (3, 1, 2), (4000, 3))
    stray = np.concatenate([points, generator.normal((0, 0, 90), 1, (20, 3))])
    home = home_view(points, np.array([[0.0, 1, 0]]), UP)
    direction, centre = np.array(home["direction"]), np.array(home["centre"])
    across = np.cross(UP, direction) / np.linalg.norm(np.cross(UP, direction))
    reach = np.abs((points - centre) @ np.stack([across, np.cross(direction, across)]).T) / (1.8, 1)
    assert np.quantile(reach.max(1), 0.9) < home["radius"] < 1.3 * reach.max()
    assert home_view(stray, np.array([[0.0, 1, 0]]), UP)["radius"] == pytest.approx(home["radius"], rel=0.1)


def slope(degrees: float) -> TriangleMesh:
    """A floor of 4 x 4 m with a wall on it, turned by some degrees about x."""
    floor = trimesh.creation.box((4, 4, 0.01))
    wall = trimesh.creation.box((4, 0.01, 2))
    both = trimesh.util.concatenate([floor, wall])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = both.vertices @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    return TriangleMesh(turned.astype(np.float32), both.faces.astype(np.int32))


@pytest.mark.parametrize("degrees", [0.0, 7.0, -20.0])
def test_the_floor_says_what_is_up(degrees: float) -> None:
    expected = (0, -np.sin(np.radians(degrees)), np.cos(np.radians(degrees)))
    np.testing.assert_allclose(upright(slope(degrees), UP), expected, atol=1e-5)


def test_where_nothing_is_level_the_cameras_say_what_is_up() -> None:
    np.testing.assert_array_equal(upright(slope(45), UP), UP)
    empty = TriangleMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    np.testing.assert_array_equal(upright(empty, UP), UP)
