"""Solids: closed forms of area, volume and orientation, true-size texture coordinates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.worlds.model import Material, Mesh
from scenewright.worlds.solids import Finish, MeshBuilder, placement, plain, rotation

GREY = plain((0.5, 0.5, 0.5))
TEXTURED = Finish(Material((1, 1, 1), np.zeros((4, 4, 3), np.uint8)), (0.5, 0.25), grained=True)
length = st.floats(0.01, 3.0)


def volume(mesh: Mesh) -> float:
    """Signed volume by the divergence theorem: positive where faces are counter-clockwise from outside."""
    p = mesh.vertices.astype(np.float64)[mesh.faces]
    return float(np.einsum("ij,ij->i", p[:, 0], np.cross(p[:, 1], p[:, 2])).sum() / 6)


def outward(mesh: Mesh) -> np.ndarray:
    """Cosine between the winding's normal and the shading normals, per face corner."""
    p = mesh.vertices.astype(np.float64)[mesh.faces]
    n = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    solid = np.linalg.norm(n, axis=1) > 1e-12
    n = n[solid] / np.linalg.norm(n[solid], axis=1, keepdims=True)
    return np.einsum("ij,ikj->ik", n, mesh.normals[solid])


@given(length, length, length)
def test_box_has_the_volume_of_its_sides(w: float, d: float, h: float) -> None:
    b = MeshBuilder()
    b.block((0.3, -0.2, 0.1), (w, d, h), GREY)
    mesh = b.mesh()
    assert volume(mesh) == pytest.approx(w * d * h, rel=1e-3, abs=1e-6)
    assert outward(mesh).min() > 0.999


def test_many_boxes_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    lo = rng.uniform(-1, 1, (5, 3))
    hi = lo + rng.uniform(0.1, 1, (5, 3))
    together, single = MeshBuilder(), MeshBuilder()
    together.boxes(lo, hi, GREY)
    for a, c in zip(lo, hi, strict=True):
        single.box(a, c, GREY)
    np.testing.assert_allclose(together.mesh().vertices, single.mesh().vertices, atol=1e-6)
    np.testing.assert_array_equal(together.mesh().faces, single.mesh().faces)


@given(st.floats(0.02, 0.5), st.floats(0.05, 2.0))
def test_upright_tube_approaches_a_cylinder(radius: float, height: float) -> None:
    b = MeshBuilder()
    b.cylinder((1, 2, 0), radius, height, GREY, sides=64)
    prism = 0.5 * 64 * math.sin(2 * math.pi / 64) * radius**2 * height
    assert abs(volume(b.mesh())) == pytest.approx(prism, rel=1e-2)


def test_turned_shapes_and_cushions_face_outwards() -> None:
    turned = MeshBuilder()
    turned.revolve([(0.1, 0), (0.2, 0.3), (0.15, 0.5)], (0, 0, 0), GREY, 24)
    assert outward(turned.mesh()).min() > 0.9
    cushion = MeshBuilder()
    cushion.cushion((-0.4, -0.3, 0), (0.4, 0.3, 0.2), GREY, 0.05)
    mesh = cushion.mesh()
    assert outward(mesh).min() > 0.5
    assert volume(mesh) == pytest.approx(0.8 * 0.6 * 0.2, rel=0.1)
    np.testing.assert_allclose(mesh.vertices.min(0), [-0.4, -0.3, 0], atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.max(0), [0.4, 0.3, 0.2], atol=1e-6)


def test_texture_coordinates_keep_true_size() -> None:
    b = MeshBuilder()
    b.box((0, 0, 0), (2.0, 0.1, 0.5), TEXTURED)
    mesh = b.mesh()
    front = np.abs(mesh.normals[:, 0, 1]) > 0.9
    spans = np.ptp(mesh.uv[front].reshape(-1, 2), axis=0)
    np.testing.assert_allclose(spans, [2.0 / 0.5, 0.5 / 0.25], rtol=1e-5)  # u along the longer side: the grain


def test_a_fitted_panel_shows_its_picture_once() -> None:
    b = MeshBuilder()
    b.panel([(0, 0, 0), (0.2, 0, 0), (0.2, 0, 0.3), (0, 0, 0.3)], TEXTURED)
    mesh = b.mesh()
    assert 0 <= mesh.uv.min() < 0.01
    assert 0.99 < mesh.uv.max() <= 1
    lower_left = np.argmin(np.abs(mesh.vertices[mesh.faces]).sum(-1).ravel())
    np.testing.assert_allclose(mesh.uv.reshape(-1, 2)[lower_left], [0.001, 0.001], atol=1e-6)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_rotations_are_rigid(yaw: float, pitch: float, roll: float) -> None:
    R = rotation(yaw, pitch, roll)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


def test_frames_nest_and_end() -> None:
    b = MeshBuilder()
    with b.at((1, 0, 0), yaw=math.pi / 2):
        with b.at((0.5, 0, 0)):
            b.box((0, 0, 0), (0.1, 0.1, 0.1), GREY)
        b.box((0, 0, 0), (0.1, 0.1, 0.1), GREY)
    b.box((0, 0, 0), (0.1, 0.1, 0.1), GREY)
    v = b.mesh().vertices.reshape(3, 8, 3)
    np.testing.assert_allclose(v[0].min(0), [0.9, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(v[1].min(0), [0.9, 0.0, 0], atol=1e-6)
    np.testing.assert_allclose(v[2].min(0), [0, 0, 0], atol=1e-6)


def test_an_empty_mesh_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        MeshBuilder().mesh()


def test_placement_moves_and_turns() -> None:
    T = placement((1, 2, 3), math.pi / 2)
    np.testing.assert_allclose(T @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
