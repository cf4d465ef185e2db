"""Wavefront OBJ: what is read is what the file says, and what cannot be is one error."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.errors import FormatError
from scenewright.worlds.model import Mesh
from scenewright.worlds.obj import read_model

SQUARE = "v 0 0 0\nv 2 0 0\nv 2 0 3\nv 0 0 3\n"


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def read(obj: str, most: int = 1000, **others: str | bytes) -> Mesh | None:
    """The model of a library that holds `m/a.obj` and other files in the same folder (`mtl__x` is mtl.x)."""
    files = {f"m/{name.replace('__', '.')}": v.encode() if isinstance(v, str) else v for name, v in others.items()}
    files["m/a.obj"] = obj.encode()
    return read_model(files.__getitem__, set(files), "m/a.obj", most)


def solid(obj: str, **others: str | bytes) -> Mesh:
    mesh = read(obj, **others)
    assert mesh is not None
    return mesh


class TestGeometry:
    def test_polygons_become_fans(self) -> None:
        mesh = solid(f"{SQUARE}f 1 2 3 4\n")
        assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
        assert mesh.vertices.tolist() == [[0, 0, 0], [2, 0, 0], [2, 0, 3], [0, 0, 3]]
        assert mesh.vertices.dtype == np.float32

    def test_negative_indices_count_from_the_end(self) -> None:
        """They refer to the vertices read so far."""
        mesh = solid(f"{SQUARE}f -4 -3 -2\nv 9 9 9\nf -5 -3 -2\n")
        np.testing.assert_array_equal(mesh.vertices[mesh.faces[0]], [[0, 0, 0], [2, 0, 0], [2, 0, 3]])
        np.testing.assert_array_equal(mesh.vertices[mesh.faces[1]], [[0, 0, 0], [2, 0, 3], [0, 0, 3]])

    def test_vertices_of_no_face_are_dropped(self) -> None:
        assert len(solid(f"v 7 7 7\n{SQUARE}f 2 3 4\n").vertices) == 3

    def test_normals_are_those_given_or_the_faces_own(self) -> None:
        """Right-handed: x then z turns towards -y."""
        own = solid(f"{SQUARE}f 1 2 3\n")
        np.testing.assert_allclose(own.normals, np.broadcast_to([0, -1, 0], (1, 3, 3)))
        given_ = solid(f"{SQUARE}vn 0 0 5\nf 1//1 2//1 3//1\nf 1 3 4\n")
        np.testing.assert_allclose(given_.normals[0], np.broadcast_to([0, 0, 1], (3, 3)), atol=1e-6)
        np.testing.assert_allclose(given_.normals[1], np.broadcast_to([0, -1, 0], (3, 3)), atol=1e-6)

    def test_texture_coordinates_go_with_their_corners(self) -> None:
        mesh = solid(f"{SQUARE}vt 0 0\nvt 0.5 0 1\nvt 0.5 1\nf 1/1 2/2 3/3\nf 1 3 4\n")
        np.testing.assert_allclose(mesh.uv[0], [[0, 0], [0.5, 0], [0.5, 1]])
        assert not mesh.uv[1].any()

    @given(st.integers(3, 12), st.integers(0, 2**32 - 1))
    def test_a_fan_keeps_a_convex_polygon_s_area(self, corners: int, seed: int) -> None:
        angle = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, corners))
        x, y = np.cos(angle), np.sin(angle)
        rows = "".join(f"v {a:.9f} {b:.9f} 0\n" for a, b in zip(x, y))
        mesh = solid(rows + "f " + " ".join(map(str, range(1, corners + 1))) + "\n")
        a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
        area = 0.5 * np.cross(b - a, c - a)[:, 2].sum()
        assert area == pytest.approx(0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum(), abs=1e-5)


class TestMaterials:
    def test_each_face_has_the_material_named_last(self) -> None:
        mtl = "newmtl red\nKd 1 0 0\nnewmtl grey\nKd 0.5 0.5 0.5\nKs 1 1 1\n"
        obj = f"mtllib x.mtl\n{SQUARE}usemtl red\nf 1 2 3\nusemtl grey\nf 1 3 4\nusemtl red\nf 2 3 4\n"
        mesh = solid(obj, x__mtl=mtl)
        first, second, third = (mesh.materials[int(i)] for i in mesh.material)
        assert first is third
        assert first.albedo == pytest.approx((0.9, 0.015, 0.015))  # no surface reflects all light, or none
        assert second.albedo == pytest.approx((0.5**2.2,) * 3)
        assert (first.gloss, second.gloss) == (0, pytest.approx(0.6))

    @pytest.mark.parametrize("line", ["d 0.1", "Tr 0.9"])
    def test_clear_glass_is_left_out(self, line: str) -> None:
        obj = f"mtllib x.mtl\n{SQUARE}usemtl glass\nf 1 2 3\nusemtl wood\nf 1 3 4\n"
        mesh = solid(obj, x__mtl=f"newmtl glass\n{line}\nnewmtl wood\nKd 1 1 1\n")
        assert len(mesh.faces) == 1
        assert read(f"mtllib x.mtl\n{SQUARE}usemtl glass\nf 1 2 3\n", x__mtl=f"newmtl glass\n{line}\n") is None

    def test_pictures_are_rgb_and_bounded(self) -> None:
        pixels = np.zeros((40, 700, 3), np.uint8)
        pixels[..., 2] = 200  # red, in OpenCV's order
        mesh = solid(
            f"mtllib x.mtl\n{SQUARE}usemtl a\nf 1 2 3\n", x__mtl="newmtl a\nmap_Kd p.png\n", p__png=png(pixels)
        )
        texture = mesh.materials[0].texture
        assert texture is not None
        assert max(texture.shape) == 512
        assert texture[3, 5].tolist() == [200, 0, 0]

    @pytest.mark.parametrize(("share", "usable"), [(0.0, True), (0.01, True), (0.2, False)])
    def test_pictures_with_cut_outs_are_refused(self, share: float, usable: bool) -> None:
        pixels = np.full((20, 100, 4), 255, np.uint8)
        pixels[:, : int(100 * share), 3] = 0
        obj = f"mtllib x.mtl\n{SQUARE}usemtl a\nf 1 2 3\n"
        assert (read(obj, x__mtl="newmtl a\nmap_Kd p.png\n", p__png=png(pixels)) is not None) == usable

    @pytest.mark.parametrize("mtl", ["", "newmtl b\n", "newmtl a\nKd x y z\nKs\nd\n", "newmtl a\nmap_Kd ../../x\n"])
    def test_what_an_mtl_leaves_open_has_defaults(self, mtl: str) -> None:
        assert len(solid(f"mtllib x.mtl\n{SQUARE}usemtl a\nf 1 2 3\n", x__mtl=mtl).materials) == 1


class TestDamage:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (f"{SQUARE}f 1 2 9\n", "missing vertex"),
            (f"{SQUARE}f 1 2 -9\n", "missing vertex"),
            (f"{SQUARE}f 0 1 2\n", "missing vertex"),
            (f"{SQUARE}f 1/7 2/7 3/7\n", "missing vertex"),
            (f"{SQUARE}f 1//7 2//7 3//7\n", "missing vertex"),
            (f"{SQUARE}f 1 2 x\n", "cannot be read"),
            ("v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "cannot be read"),
            ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
            ("v 0 0 1e999\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ],
    )
    def test_is_named(self, text: str, message: str) -> None:
        with pytest.raises(FormatError, match=rf"m/a\.obj.*{message}"):
            read(text)

    @pytest.mark.parametrize("data", [b"", b"not a picture", png(np.zeros((4, 4), np.uint16))])
    def test_of_a_picture_is_named(self, data: bytes) -> None:
        with pytest.raises(FormatError, match=r"p\.png"):
            read(f"mtllib x.mtl\n{SQUARE}usemtl a\nf 1 2 3\n", x__mtl="newmtl a\nmap_Kd p.png\n", p__png=data)

    @pytest.mark.parametrize("text", ["", "# nothing\n", SQUARE, f"{SQUARE}f 1 2\n"])
    def test_no_face_is_no_model(self, text: str) -> None:
        assert read(text) is None

    def test_models_of_too_many_triangles_are_passed_over(self) -> None:
        assert read(SQUARE + "f 1 2 3\n" * 11, most=10) is None
        assert read(SQUARE + "f 1 2 3 4\n" * 6, most=10) is None, "fans count"
        assert read(SQUARE + "f 1 2 3\n" * 10, most=10) is not None

    @given(st.text("vfn/ -.1234\n", max_size=120))
    def test_any_text_is_a_model_none_or_one_error(self, text: str) -> None:
        try:
            mesh = read(text)
        except FormatError:
            return
        if mesh is not None:
            assert mesh.faces.max() < len(mesh.vertices)
            assert np.isfinite(mesh.vertices).all()
