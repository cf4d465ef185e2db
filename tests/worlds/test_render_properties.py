"""The renderer against brute force in float64, and symmetries that must hold for any room."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.geometry.camera import Camera
from scenewright.worlds import flow, render, shading
from scenewright.worlds.flatten import LINEAR, srgb_to_linear
from scenewright.worlds.model import Lamp, Material, Mesh, Room
from scenewright.worlds.render import Quality, Renderer
from worlds import handmade

CAMERA = Camera.from_parameters(40, 30, 34.0, 36.0, 17.2, 15.9)
POSE = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))


def rays_of(camera: Camera, T: np.ndarray) -> np.ndarray:
    """(H * W, 3) world directions with z-depth 1, float64."""
    fx, fy, cx, cy = camera.numbers
    y, x = np.mgrid[: camera.height, : camera.width]
    return (np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(camera.size)], -1) @ T[:3, :3].T).reshape(-1, 3)


def brute_force(room: Room, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest t (inf if none) and instance (-1) of every ray against every triangle (Moeller and Trumbore 1997)."""
    best, which = np.full(len(rays), np.inf), np.full(len(rays), -1)
    for i, placed in enumerate(room.placed):
        T = placed.T_world_object
        for a, b, c in (placed.mesh.vertices.astype(float) @ T[:3, :3].T + T[:3, 3])[placed.mesh.faces]:
            e1, e2 = b - a, c - a
            p = np.cross(rays, e2)
            det = p @ e1
            det = np.where(np.abs(det) < 1e-12, np.nan, det)
            s = origin - a
            u = p @ s / det
            q = np.cross(s, e1)
            v, t = rays @ q / det, (e2 @ q) / det
            with np.errstate(invalid="ignore"):
                hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6) & (t < best)
            best, which = np.where(hit, t, best), np.where(hit, i, which)
    return best, which


def test_depth_and_instances_are_those_of_brute_force():
    room = handmade.room()
    got = Renderer(room).truth(CAMERA, POSE)
    t, which = brute_force(room, POSE[:3, 3], rays_of(CAMERA, POSE))
    sure = np.abs(t - np.roll(t, 1)) < 10  # every ray meets something in a closed room
    assert sure.all()
    agree = got.instances.ravel() == which
    assert agree.mean() > 0.998  # a ray along an edge may take either side
    np.testing.assert_allclose(got.depth_m.ravel()[agree], t[agree], rtol=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(-40, 40), st.floats(-20, 20), st.floats(-0.9, 0.9))
def test_moving_world_and_camera_together_changes_nothing(yaw, x, y, z):
    room = handmade.room()
    move = np.eye(4)
    move[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    move[:3, 3] = x, y, z
    moved = [dataclasses.replace(p, T_world_object=move @ p.T_world_object) for p in room.placed]
    a = Renderer(room).truth(CAMERA, POSE)
    b = Renderer(dataclasses.replace(room, placed=tuple(moved))).truth(CAMERA, move @ POSE)
    same = a.instances == b.instances
    assert same.mean() > 0.99
    close = np.isclose(a.depth_m, b.depth_m, rtol=1e-4)
    assert close[same].mean() > 0.999
    assert ((a.normal_cam * b.normal_cam).sum(-1)[same] > 0.999).mean() > 0.99


def test_a_cropped_camera_sees_the_cropped_picture():
    renderer = Renderer(handmade.room())
    whole, part = renderer.truth(CAMERA, POSE), renderer.truth(CAMERA.crop(6, 4, 25, 20), POSE)
    for name in ("labels", "instances"):
        np.testing.assert_array_equal(getattr(whole, name)[4:24, 6:31], getattr(part, name))
    np.testing.assert_allclose(whole.depth_m[4:24, 6:31], part.depth_m, rtol=1e-5)


def test_odd_sizes_and_single_pixels():
    renderer = Renderer(handmade.room())
    for width, height in ((1, 1), (7, 3), (2, 9)):
        camera = Camera.from_fov(width, height, 50.0)
        got = renderer.render(camera, POSE, samples=3)
        assert got.image.shape == (height, width, 3)
        assert got.depth_m.shape == got.labels.shape == got.instances.shape == (height, width)
        assert got.normal_cam.shape == (height, width, 3)
        types = (got.image.dtype, got.depth_m.dtype, got.normal_cam.dtype, got.labels.dtype, got.instances.dtype)
        assert types == (np.uint8, np.float32, np.float32, np.uint8, np.int32)


def test_looking_into_the_void():
    away = handmade.look((0.5, 0.5, 1.5), (-2, 0.5, 1.6))
    box = handmade.placed(handmade.box((0.5, 0.5, 0.5), Material((1, 1, 1))), "box", at=(3, 0, 0))
    got = Renderer(handmade.world(box)).render(CAMERA, away)
    assert (got.depth_m == 0).all()
    assert (got.instances == -1).all()
    assert (got.labels == 0).all()
    assert (got.normal_cam == 0).all()
    assert (got.image <= 1).all()


@pytest.mark.parametrize("pitch", [20.0, 55.0, 80.0])
def test_anisotropic_filter_is_the_mean_over_the_pixel(pitch):
    """A floor seen at several slants: the filtered colour against the mean of 20 x 20 point samples of each pixel."""
    rng = np.random.default_rng(1)
    blocks = rng.integers(30, 230, (16, 16, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    corners = [(-30, -30, 0), (30, -30, 0), (30, 30, 0), (-30, 30, 0)]
    world = handmade.world(handmade.placed(handmade.quad(*corners, Material((1, 1, 1), blocks)), "floor"))
    camera = Camera.from_fov(24, 18, 24.0)
    down = math.radians(pitch)
    T = handmade.look((0.13, 0.21, 2.0), (0.13, 0.21 + math.cos(down), 2.0 - math.sin(down)))
    got = Renderer(world).centre_hits(camera, T).alb.reshape(18, 24, 3)
    fx, fy, cx, cy = camera.numbers
    inner = (np.arange(20) + 0.5) / 20 - 0.5
    y, x = np.mgrid[:18, :24]
    xs, ys = x[..., None, None] + inner[None, :], y[..., None, None] + inner[:, None]
    xs, ys = np.broadcast_arrays(xs, ys)
    ray = np.stack([(xs - cx) / fx, (ys - cy) / fy, np.ones(xs.shape)], -1) @ T[:3, :3].T
    p = T[:3, 3] - ray * (T[2, 3] / ray[..., 2:])
    column = np.floor(p[..., 0] * 256).astype(int) % 256
    row = np.floor((1 - p[..., 1]) * 256).astype(int) % 256
    expected = LINEAR[blocks[row, column]].mean((2, 3))
    assert np.abs(got - expected).mean() < 0.05 * expected.mean() + 0.01
    assert got.std() > 0.5 * expected.std()  # it does not hide behind blur


def test_bilinear_lookup_is_exact_between_texels():
    texture = np.array([[[10, 0, 0], [200, 0, 0]], [[60, 0, 0], [120, 0, 0]]], np.uint8)
    texels, out = texture.reshape(-1, 3), np.zeros(3, np.float32)

    @shading.njit
    def sample(u, v, linear, out):
        out[:] = 0
        shading.bilinear(texels_, 0, 2, 2, u, v, linear, out)

    texels_ = texels
    sample(0.25, 0.75, LINEAR, out)  # the centre of the upper left texel
    assert out[0] == pytest.approx(LINEAR[10], rel=1e-5)
    sample(0.5, 0.5, LINEAR, out)
    assert out[0] == pytest.approx(LINEAR[[10, 200, 60, 120]].mean(), rel=1e-5)
    sample(0.0, 0.75, LINEAR, out)  # the border between the last and the first column
    assert out[0] == pytest.approx(LINEAR[[10, 200]].mean(), rel=1e-5)
    sample(3.25, -1.25, LINEAR, out)
    assert out[0] == pytest.approx(LINEAR[10], rel=1e-5)


def test_linear_table_is_the_standard():
    value = np.arange(256) / 255
    np.testing.assert_allclose(LINEAR, srgb_to_linear(value), rtol=1e-6)
    assert srgb_to_linear(np.array([0.5]))[0] == pytest.approx(0.21404114, rel=1e-6)


def test_edge_pixels_approach_dense_supersampling():
    renderer = Renderer(handmade.room())
    quality = Quality(reflections=False)
    big = CAMERA.resize(CAMERA.width * 8, CAMERA.height * 8)
    dense = renderer.radiance(big, POSE, quality=quality).reshape(30, 8, 40, 8, 3).mean((1, 3))
    one, two = (renderer.radiance(CAMERA, POSE, samples=s, quality=quality) for s in (1, 3))
    edges = renderer._edges(renderer.centre_hits(CAMERA, POSE), CAMERA.size)
    error = [np.abs(x - dense)[edges].mean() for x in (one, two)]
    assert error[1] < 0.65 * error[0]  # what is left is light, which pixels share


def test_glowing_surfaces_show_their_emission():
    pane = handmade.quad((-1, 2, -1), (1, 2, -1), (1, 2, 1), (-1, 2, 1), Material((0.5, 0.25, 1.0), emission=3.0))
    renderer = Renderer(handmade.world(handmade.placed(pane, "pane"), ambient=(0, 0, 0)))
    light = renderer.radiance(CAMERA, handmade.look((0, 0, 0), (0, 1, 0)))
    np.testing.assert_allclose(light[15, 17], [1.5, 0.75, 3.0], rtol=1e-4)


def test_highlight_lies_where_the_mirror_direction_meets_the_lamp():
    lamp = Lamp((0.0, 2.0, 1.0), (4, 4, 4), 0.01)
    corners = [(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)]
    black = Material((0.0, 0.0, 0.0), gloss=0.8)
    world = handmade.world(handmade.placed(handmade.quad(*corners, black), "floor"), lamps=(lamp,), ambient=(0, 0, 0))
    camera, T = Camera.from_fov(81, 61, 50.0), handmade.look((0, 0, 1.0), (0, 1, 0.0))
    light = Renderer(world).radiance(camera, T, quality=Quality(reflections=False))[..., 1]
    y, x = np.unravel_index(int(light.argmax()), light.shape)
    pixel, _ = flow.project(np.array([0.0, 1.0, 0.0]), camera, T)  # half way: angle of incidence = of reflection
    assert abs(x - pixel[0]) <= 1
    assert abs(y - pixel[1]) <= 2


def test_smooth_normals_never_look_away_from_the_camera():
    ball = handmade.placed(handmade.sphere(0.5, Material((1, 1, 1)), rings=7), "ball", at=(2, 0, 1))
    T = handmade.look((0, 0, 1), (2, 0.01, 1))
    hits = Renderer(handmade.world(ball)).centre_hits(CAMERA, T)
    met = hits.prim >= 0
    assert ((hits.nrm * hits.ray).sum(1)[met] < 0).all()
    assert ((hits.geo * hits.ray).sum(1)[met] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(hits.nrm[met], axis=1), 1, atol=1e-5)


def test_surfaces_seen_from_behind_turn_their_normals():
    wall = handmade.quad((-1, 1, -1), (1, 1, -1), (1, 1, 1), (-1, 1, 1), Material((1, 1, 1)))
    flipped = Mesh(wall.vertices, wall.faces[:, ::-1].copy(), wall.uv, wall.material, -wall.normals, wall.materials)
    for mesh in (wall, flipped):
        got = Renderer(handmade.world(handmade.placed(mesh, "wall"))).truth(CAMERA, handmade.look((0, 0, 0), (0, 1, 0)))
        np.testing.assert_allclose(got.normal_cam[15, 17], [0, 0, -1], atol=1e-5)


def test_flow_there_and_back_returns():
    renderer = Renderer(handmade.room())
    other = handmade.look((0.9, 0.4, 1.4), (2.8, 1.6, 0.5))
    a, b = renderer.truth(CAMERA, POSE), renderer.truth(CAMERA, other)
    same = flow.same_surface(a, b, CAMERA, POSE, CAMERA, other)
    there, _ = flow.rigid_flow(a.depth_m, CAMERA, POSE, CAMERA, other)
    back, _ = flow.rigid_flow(b.depth_m, CAMERA, other, CAMERA, POSE)
    y, x = np.nonzero(same)
    at = np.stack([x, y], 1) + there[same]
    x0, y0 = np.floor(at).astype(int).T
    ax, ay = (at - np.floor(at)).T
    flat = np.ones(len(x), bool)
    blended = np.zeros((len(x), 2))
    for dx, dy, w in ((0, 0, (1 - ax) * (1 - ay)), (1, 0, ax * (1 - ay)), (0, 1, (1 - ax) * ay), (1, 1, ax * ay)):
        u, v = (x0 + dx).clip(0, 39), (y0 + dy).clip(0, 29)
        turned = (b.normal_cam[v, u] * b.normal_cam[y0, x0]).sum(-1) > 0.999
        flat &= turned & (b.instances[v, u] == a.instances[y, x])
        blended += w[:, None] * back[v, u]
    assert flat.sum() > 300
    assert np.abs(blended + there[same])[flat].max() < 0.2


def test_distance_and_instance_queries():
    renderer = Renderer(handmade.room())
    eye = np.array([[1.0, 1.5, 1.0]])
    for direction, expected, name in (
        ((0, 0, -1), 1.0, "floor"),
        ((0, 0, 2), 0.75, "ceiling"),
        ((-1, 0, 0), 1.0, "wall west"),
    ):
        d = np.array([direction], float)
        assert renderer.distance(eye, d)[0] == pytest.approx(expected, rel=1e-5)
        assert renderer.room.placed[renderer.instance_at(eye, d)[0]].name == name
    outside = np.array([[10.0, 1.5, 1.0]])
    assert renderer.distance(outside, np.array([[1.0, 0, 0]]))[0] == np.inf
    assert renderer.instance_at(outside, np.array([[1.0, 0, 0]]))[0] == -1


def test_qualities_share_their_ground_truth():
    renderer = Renderer(handmade.room())
    a, b = (renderer.render(CAMERA, POSE, quality=q) for q in (render.BEST, render.FAST))
    assert a.depth_m.tobytes() == b.depth_m.tobytes()
    assert a.normal_cam.tobytes() == b.normal_cam.tobytes()
    assert np.abs(a.image.astype(int) - b.image).mean() < 12
