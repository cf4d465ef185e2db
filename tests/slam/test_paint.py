"""Colours and labels at vertices: the right pixels, the best views, alike exposures, nothing through walls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenewright.slam.mesh import SurfaceMesh, extract, vertex_normals
from scenewright.slam.paint import PaintOptions, blend, label_evidence, paint, sight
from scenewright.slam.surface import surface_of
from scenewright.slam.tsdf import TsdfOptions, fuse
from scenewright.slam.types import Keyframe
from slam_room import CAMERA, BoxRoom, look, walk


def wall(z: float = 2.0, x: float = 0.0, image: np.ndarray | None = None) -> Keyframe:
    """A view from (x, 0, 0) of a wall at depth z."""
    depth = np.full((120, 160), z, np.float32)
    picture = np.full((120, 160, 3), (200, 100, 50), np.uint8) if image is None else image
    seen = np.zeros((120, 160), np.uint16)
    return Keyframe(0, 0, 0.0, picture, CAMERA, depth, np.square(0.005 * depth), depth, seen, look(x, 0, 0, 0))


def patch(z: float = 2.0, side: int = 30) -> SurfaceMesh:
    """A square of 1 m that faces the camera."""
    y, x = np.meshgrid(*[np.linspace(-0.5, 0.5, side)] * 2, indexing="ij")
    vertices = np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3).astype(np.float32)
    n = np.arange(side * side).reshape(side, side)
    a, b, c, d = (m.ravel() for m in (n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]))
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    mesh = SurfaceMesh(vertices, faces, np.full((len(vertices), 3), 128, np.uint8))
    np.testing.assert_allclose(vertex_normals(mesh)[:, 2], -1, atol=1e-6)
    return mesh


def test_room_colours_are_the_images() -> None:
    """Projected into a view, vertices have the colour of the pixel they fall on."""
    room = BoxRoom(0)
    keyframes = [room.keyframe(k, T) for k, T in enumerate(walk(30))]
    mesh = surface_of(keyframes, smoothing=0)
    T = walk(30)[4]
    image, depth, _ = room.render(T)
    X = (mesh.vertices - T[:3, 3]) @ T[:3, :3]
    front = X[:, 2] > 0.3
    X, colours = X[front], mesh.colours[front].astype(float)
    u, v = np.rint(130 * X[:, 0] / X[:, 2] + 79.5).astype(int), np.rint(130 * X[:, 1] / X[:, 2] + 59.5).astype(int)
    inside = (u > 5) & (v > 5) & (u < 155) & (v < 115)
    inside[inside] = np.abs(depth[v[inside], u[inside]] - X[inside, 2]) < 0.03
    assert inside.sum() > 3000
    assert np.median(np.abs(colours[inside] - image[v[inside], u[inside]])) < 12


def test_each_vertex_takes_its_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    mesh = patch()
    painted = paint(mesh, [wall(image=image)])
    fx, fy, cx, cy = CAMERA.numbers
    u = np.floor(fx * mesh.vertices[:, 0] / 2 + cx + 0.5).astype(int)
    v = np.floor(fy * mesh.vertices[:, 1] / 2 + cy + 0.5).astype(int)
    np.testing.assert_array_equal(painted.colours, image[v, u])
    assert painted.labels is None


def test_the_near_view_rules() -> None:
    """At half the distance a view has four times the weight, and its square counts: 16 to 1."""
    mesh, far, near = patch(), wall(), replace(wall(1.0), T_world_cam=look(0, 0, 1.0, 0))
    near.image[:] = (20, 40, 60)
    seen = sight(mesh.vertices, vertex_normals(mesh), near, 0.04)
    centre = np.flatnonzero(np.abs(mesh.vertices[seen.vertex, :2]).max(1) < 0.05)
    assert seen.weight[centre] == pytest.approx(1.0, abs=0.02)
    colours = blend(mesh, [far, near], [sight(mesh.vertices, vertex_normals(mesh), k, 0.04) for k in (far, near)], 1.0)
    middle = colours[np.abs(mesh.vertices[:, :2]).max(1) < 0.05].mean(0)
    np.testing.assert_allclose(middle, (np.array([200, 100, 50]) + 16 * np.array([20, 40, 60])) / 17, atol=2)


def test_nothing_shines_through_a_wall() -> None:
    """A view that sees something nearer does not paint what lies behind it."""
    hidden = wall(1.2)
    hidden.image[:] = (0, 255, 0)
    painted = paint(patch(), [wall(), hidden])
    assert np.abs(painted.colours.astype(int) - [200, 100, 50]).max() <= 1
    nobody = paint(patch(), [replace(wall(), T_world_cam=look(0, 0, 5.0, 0))])
    assert (nobody.colours == 128).all()


def test_exposures_are_made_alike() -> None:
    """Two views of a texture, one 20 % darker, that share it half: the seam between them all but vanishes."""
    generator = np.random.default_rng(0)
    image = generator.integers(60, 200, (120, 160, 3)).astype(np.uint8)
    dark = (0.8 * image).astype(np.uint8)
    depth = wall().depth_m.copy()
    depth[:, :60] = 0
    views = [wall(image=image), replace(wall(image=dark), depth_m=depth)]
    mesh = patch()
    left, right = mesh.vertices[:, 0] < -0.35, mesh.vertices[:, 0] > -0.25
    true = paint(mesh, [views[0]]).colours.astype(float)
    for gain, seam in ((1.0, 0.1), (1.5, 0.03)):
        ratio = paint(mesh, views, PaintOptions(gain=gain)).colours / true
        found = np.median(ratio[left]) / np.median(ratio[right]) - 1
        assert (found > seam) if gain == 1.0 else (abs(found) < 0.07)


def labelled(p: np.ndarray) -> Keyframe:
    """A wall whose left and right half have label probabilities p (2, 12)."""
    maps = np.repeat(p.T[:, None, :], 80, 2).reshape(12, 1, 160).repeat(120, 1)
    return replace(wall(), label_log_probabilities=np.log(maps).astype(np.float16))


def halves(left: int, right: int, peak: float) -> np.ndarray:
    p = np.full((2, 12), (1 - peak) / 11)
    p[0, left] = p[1, right] = peak
    return p


def test_labels_reach_the_vertices() -> None:
    mesh = patch()
    painted = paint(mesh, [labelled(halves(3, 8, 0.78)), wall()])  # a view without labels does no harm
    assert painted.labels is not None
    assert (painted.labels[mesh.vertices[:, 0] < -0.1] == 3).all()
    assert (painted.labels[mesh.vertices[:, 0] > 0.1] == 8).all()
    nobody = paint(mesh, [replace(labelled(halves(3, 8, 0.78)), T_world_cam=look(0, 0, 5.0, 0))])
    assert nobody.labels is not None
    assert not nobody.labels.any()


def test_evidence_is_the_product_or_the_mean() -> None:
    """0.9 against twice 0.6: the mean of probabilities says 3 (0.9 + 2 x 0.03 ..), the product says 8."""
    sure, doubtful = halves(3, 3, 0.6), halves(8, 8, 0.5)
    views = [labelled(sure), labelled(doubtful), labelled(doubtful)]
    mesh = patch()
    sightings = [sight(mesh.vertices, vertex_normals(mesh), k, 0.04) for k in views]
    for product in (True, False):
        evidence = label_evidence(len(mesh.vertices), views, sightings, product)
        weights = np.stack([s.weight for s in sightings])
        part = [np.log(p[0]) if product else p[0] for p in (sure, doubtful, doubtful)]
        np.testing.assert_allclose(evidence, np.einsum("nv,nc->vc", weights, np.stack(part)), rtol=5e-3)


def test_a_lone_label_gives_way_to_its_neighbours() -> None:
    k = labelled(halves(3, 3, 0.5))
    assert k.label_log_probabilities is not None
    k.label_log_probabilities[:, 60, 80] = np.log(halves(8, 8, 0.7)[0])
    assert (paint(patch(side=90), [k], PaintOptions(smoothing=0)).labels == 8).any()  # type: ignore[union-attr]
    assert (paint(patch(), [k], PaintOptions(smoothing=4)).labels == 3).all()  # type: ignore[union-attr]


def test_one_view_is_painted_where_it_was_fused() -> None:
    flat = paint(extract(fuse([wall()] * 3, TsdfOptions(border_px=0))), [wall()])
    assert np.abs(flat.colours.astype(int) - [200, 100, 50]).max() <= 1
