"""The map: zero crossings where the surfaces are, order independence, carving, bad pixels; the mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.slam.evaluate import sample_surface, surface_figures
from scenewright.slam.mesh import (
    SurfaceMesh,
    diffuse,
    extract,
    on_rim,
    smooth,
    vertex_normals,
    without_small_pieces,
)
from scenewright.slam.tsdf import TsdfOptions, Volume, depth_edges, fuse, integrate, touched_blocks, view_of
from scenewright.slam.types import Keyframe
from slam_room import BOXES, CAMERA, SIZE, BoxRoom, look, walk

VOXEL = 0.025
SMALL = TsdfOptions(border_px=0)


def keyframe(
    depth: np.ndarray, T: np.ndarray | None = None, sd: float = 0.005, colour: tuple[int, int, int] = (200, 100, 50)
) -> Keyframe:
    """A keyframe of one colour whose depths have one relative standard deviation."""
    depth = depth.astype(np.float32)
    image = np.full((*depth.shape, 3), colour, np.uint8)
    variance = ((sd * depth) ** 2).astype(np.float32)
    seen = np.zeros(depth.shape, np.uint16)
    return Keyframe(0, 0, 0.0, image, CAMERA, depth, variance, depth, seen, np.eye(4) if T is None else T)


def rays() -> np.ndarray:
    fx, fy, cx, cy = CAMERA.numbers
    y, x = np.mgrid[:120, :160].astype(np.float64)
    return np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1)


def plane_depth(normal: np.ndarray, offset: float) -> np.ndarray:
    """z-depth of the plane n . X = offset."""
    return offset / (rays() @ normal)


def normals(mesh: SurfaceMesh) -> np.ndarray:
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(float) for k in range(3))
    n = np.cross(b - a, c - a)
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-12)


@settings(max_examples=8, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(1.2, 2.5))
def test_plane_lies_within_a_tenth_of_a_voxel(a: float, b: float, offset: float) -> None:
    normal = np.array([a, b, 1.0]) / np.linalg.norm([a, b, 1.0])
    mesh = extract(fuse([keyframe(plane_depth(normal, offset))], SMALL))
    assert len(mesh.vertices) > 500
    assert np.abs(mesh.vertices @ normal - offset).max() < 0.1 * VOXEL
    facing = normals(mesh) @ normal
    assert np.median(facing) < -0.99  # counter-clockwise seen from the camera


def test_sphere_has_its_radius() -> None:
    """A ball of 0.4 m seen from four sides at 1.5 m."""
    d = rays()
    views = []
    for yaw in (0, 90, 180, 270):
        b = d @ np.array([0, 0, 1.5])
        aa = (d**2).sum(-1)
        root = b**2 - aa * (1.5**2 - 0.4**2)
        depth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / aa, 0)
        views.append(keyframe(depth, look(0, 0, 0, yaw) @ look(0, 0, -1.5, 0)))
    mesh = extract(fuse(views, SMALL))
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(radius - 0.4).mean() < 0.1 * VOXEL
    assert np.abs(radius - 0.4).max() < VOXEL
    outward = (normals(mesh) * mesh.vertices[mesh.faces[:, 0]]).sum(1)
    assert (outward > 0).mean() > 0.99


def test_order_does_not_matter() -> None:
    room = BoxRoom(0)
    views = [room.keyframe(k, T) for k, T in enumerate(walk(6))]
    a, b = fuse(views), fuse(views[::-1])
    assert a.slots.keys() == b.slots.keys()
    order = [b.slots[k] for k in a.slots]
    np.testing.assert_allclose(a.distance, b.distance[order], atol=1e-5)
    np.testing.assert_allclose(a.weight, b.weight[order], rtol=1e-4, atol=1e-7)


@pytest.fixture(scope="module")
def room_mesh() -> SurfaceMesh:
    room = BoxRoom(0)
    return extract(fuse([room.keyframe(k, T) for k, T in enumerate(walk(30))]))


def test_room_has_a_high_f_score(room_mesh: SurfaceMesh) -> None:
    """Accuracy against the whole room; completeness against what the views saw."""
    room, generator = BoxRoom(0), np.random.default_rng(0)
    seen = []
    for T in walk(30):
        depth = room.render(T)[1]
        points = (rays() * depth[..., None])[12:-12:3, 12:-12:3].reshape(-1, 3)
        seen.append(points @ T[:3, :3].T + T[:3, 3])
    truth = np.unique(np.rint(np.concatenate(seen) / 0.02), axis=0) * 0.02
    points = sample_surface(room_mesh.vertices, room_mesh.faces, 40_000, generator)
    figures = surface_figures(points, truth, threshold_m=2 * VOXEL)
    assert figures.f_score > 0.95
    assert to_room(points).mean() < 0.2 * VOXEL


def to_room(points: np.ndarray) -> np.ndarray:
    """Distance of (N, 3) points to the nearest surface of the box room."""
    distance = np.minimum(np.abs(points), np.abs(SIZE - points)).min(1)
    for b in BOXES:
        outside = np.maximum(np.maximum(b[:3] - points, points - b[3:]), 0)
        inside = np.minimum(points - b[:3], b[3:] - points).min(1)
        distance = np.minimum(distance, np.where(inside > 0, inside, np.linalg.norm(outside, axis=1)))
    return distance


def test_ghost_wall_is_carved_away() -> None:
    """One view sees a wall at 1.2 m that is not there; four see through it to the wall at 2 m."""
    true, ghost = plane_depth(np.array([0, 0, 1.0]), 2.0), plane_depth(np.array([0, 0, 1.0]), 1.2)
    honest = [keyframe(true, look(0.05 * k, 0, 0, 0)) for k in range(4)]
    mesh = extract(fuse([keyframe(ghost, sd=0.08), *honest], SMALL))
    assert (np.abs(mesh.vertices[:, 2] - 2.0) < 0.1).all()
    assert np.abs(extract(fuse([keyframe(ghost)], SMALL)).vertices[:, 2] - 1.2).max() < 0.01


def test_weight_follows_the_variance() -> None:
    """Two walls 6 cm apart: the mean is where the inverse variances put it."""
    near, far = (plane_depth(np.array([0, 0, 1.0]), z) for z in (2.0, 2.06))
    options = replace(SMALL, floor_sd=0.0)
    mesh = extract(fuse([keyframe(near, sd=0.03), keyframe(far, sd=0.015)], options))
    middle = np.abs(mesh.vertices[:, :2]).max(1) < 0.3
    w = np.array([(0.03 * 2.0) ** -2, (0.015 * 2.06) ** -2])
    expected = (w * [2.0, 2.06]).sum() / w.sum()
    assert np.median(mesh.vertices[middle, 2]) == pytest.approx(expected, abs=0.1 * VOXEL)


def test_bad_pixels_are_left_out() -> None:
    depth = np.full((120, 160), 2.0)
    depth[:, 80:] = 3.0
    depth[0:20] = 0.0
    k = keyframe(depth)
    k.variance[100:] = (0.4 * k.depth_m[100:]) ** 2
    k.depth_m[50, 50], k.variance[60, 60] = np.nan, np.inf
    view = view_of(k, TsdfOptions(border_px=8))
    kept = view.depth_m > 0
    assert not kept[:, 79:81].any()
    assert not kept[:20].any()
    assert not kept[100:].any()
    assert not kept[:, :8].any()
    assert not kept[:, -8:].any()
    assert not kept[50, 50]
    assert not kept[60, 60]
    assert kept[30:49, 20:49].all()
    assert not depth_edges(np.full((9, 9), 2.0, np.float32), 0.05).any()


def test_touched_blocks_hold_the_truncation() -> None:
    """Brute force: every voxel within the truncation of a surface point lies in a touched block."""
    view = view_of(keyframe(plane_depth(np.array([0.3, -0.2, 1.0]), 1.5)), SMALL)
    keys = set(touched_blocks(view, VOXEL).tolist())
    points = rays()[5:-5:7, 5:-5:7].reshape(-1, 3) * view.depth_m[5:-5:7, 5:-5:7].reshape(-1, 1)
    for share in np.linspace(-1, 1, 9):
        along = points * (1 + share * 0.1 / np.linalg.norm(points, axis=1, keepdims=True))
        block = np.floor((along + VOXEL / 2) / (8 * VOXEL)).astype(np.int64) + (1 << 20)
        packed = (block[:, 0] << 42) | (block[:, 1] << 21) | block[:, 2]
        assert set(packed.tolist()) <= keys


def test_live_map_equals_the_final_one_for_one_view() -> None:
    k = keyframe(plane_depth(np.array([0, 0.2, 1.0]), 1.5))
    live = Volume(VOXEL)
    integrate(live, view_of(k, SMALL), SMALL)
    whole = fuse([k], SMALL)
    np.testing.assert_array_equal(live.distance, whole.distance)
    integrate(live, view_of(replace(k, T_world_cam=look(0.5, 0, 0, 30)), SMALL), SMALL)
    assert len(live.slots) > len(whole.slots)
    assert live.distance.shape == (len(live.slots), 512)


def test_mesh_is_closed_across_pieces() -> None:
    """A wall 3 m wide spans several pieces of 2.4 m; its only open edges are its rim."""
    d = plane_depth(np.array([0, 0, 1.0]), 2.6)
    mesh = extract(fuse([keyframe(d, look(1.0, 1.0, 0, 0))], SMALL))
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    rim = mesh.vertices[unique[count == 1].ravel(), :2]
    low, high = mesh.vertices[:, :2].min(0), mesh.vertices[:, :2].max(0)
    assert (np.minimum(rim - low, high - rim).min(1) < 3 * VOXEL).all()


def test_small_pieces_go() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    vertices = np.concatenate([square, 0.05 * square + 5]).astype(np.float32)
    faces = np.array([[4, 5, 6], [4, 6, 7], [0, 1, 2], [0, 2, 3]], np.int32)
    mesh = SurfaceMesh(vertices, faces, np.arange(24, dtype=np.uint8).reshape(8, 3))
    kept = without_small_pieces(mesh, 0.01)
    np.testing.assert_array_equal(kept.vertices, square.astype(np.float32))
    np.testing.assert_array_equal(kept.faces, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(kept.colours, mesh.colours[:4])
    assert len(without_small_pieces(mesh, 10.0).faces) == 0


def test_nothing_to_see_gives_an_empty_mesh() -> None:
    mesh = extract(fuse([keyframe(np.zeros((120, 160)))], SMALL))
    assert mesh.vertices.shape == (0, 3)
    assert mesh.faces.shape == (0, 3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InputError, match="keyframes"):
        fuse([])
    with pytest.raises(InputError, match="voxel"):
        TsdfOptions(voxel_m=0.0)
    with pytest.raises(InputError, match="truncation"):
        TsdfOptions(truncation_voxels=(3.0, 2.0))
    with pytest.raises(InputError, match="larger voxel"):
        fuse([keyframe(plane_depth(np.array([0, 0, 1.0]), 2.0))], replace(SMALL, max_blocks=5))
    with pytest.raises(InputError, match="min_weight"):
        extract(Volume(VOXEL), min_weight=-1)


def test_work_can_be_stopped() -> None:
    k = keyframe(plane_depth(np.array([0, 0, 1.0]), 2.0))
    assert not fuse([k, k], SMALL, stop=lambda: True).weight.any()


def test_a_room_of_many_keyframes_stays_small_in_memory() -> None:
    room = BoxRoom(0)
    views = [room.keyframe(k, T) for k, T in enumerate(walk(15))]
    volume = fuse(views)
    assert volume.nbytes < 100e6


def ball(noise: float = 0.0) -> SurfaceMesh:
    sphere = trimesh.creation.icosphere(4, 0.5)
    bumps = np.random.default_rng(0).normal(0, noise, len(sphere.vertices)) if noise else 0
    vertices = sphere.vertices * (1 + np.asarray(bumps).reshape(-1, 1))
    grey = np.full((len(vertices), 3), 128, np.uint8)
    return SurfaceMesh(vertices.astype(np.float32), sphere.faces.astype(np.int32), grey)


def test_smoothing_takes_noise_and_leaves_size() -> None:
    before, after = (np.linalg.norm(m.vertices, axis=1) for m in (ball(0.02), smooth(ball(0.02), 10)))
    assert after.std() < 0.4 * before.std()
    assert after.mean() == pytest.approx(0.5, rel=0.01)
    clean = np.linalg.norm(smooth(ball(), 10).vertices, axis=1)
    np.testing.assert_allclose(clean, 0.5, rtol=0.002)
    np.testing.assert_array_equal(smooth(ball(0.02), 0).vertices, ball(0.02).vertices)


def test_smoothing_leaves_the_rim() -> None:
    mesh = extract(fuse([keyframe(plane_depth(np.array([0, 0, 1.0]), 1.5))], SMALL))
    rough = replace(mesh, vertices=mesh.vertices + np.random.default_rng(0).normal(0, 0.003, mesh.vertices.shape))
    rim = on_rim(rough)
    assert 0.005 < rim.mean() < 0.2
    after = smooth(rough, 5)
    np.testing.assert_allclose(after.vertices[rim], rough.vertices[rim], atol=1e-6)
    assert after.vertices[~rim, 2].std() < 0.6 * rough.vertices[~rim, 2].std()
    assert not on_rim(ball()).any()


def test_normals_point_out_of_a_ball() -> None:
    mesh = ball()
    np.testing.assert_allclose(vertex_normals(mesh), mesh.vertices / 0.5, atol=0.02)


def test_diffusion_equals_a_loop() -> None:
    mesh = ball()
    values = np.random.default_rng(1).normal(size=(len(mesh.vertices), 2)).astype(np.float32)
    found = diffuse(mesh, values, 1)
    for vertex in (0, 17, 400):
        rows = mesh.faces[(mesh.faces == vertex).any(1)]
        others = np.setdiff1d(rows, [vertex])
        np.testing.assert_allclose(found[vertex], 0.5 * (values[vertex] + values[others].mean(0)), atol=1e-6)
    assert diffuse(mesh, values, 0) is values
    assert diffuse(mesh, values, 200).std() < 0.1 * values.std()
