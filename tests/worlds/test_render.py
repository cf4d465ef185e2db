"""The renderer against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.worlds import flow, render
from scenewright.worlds.flatten import LINEAR
from scenewright.worlds.model import Lamp, Material
from scenewright.worlds.render import Renderer
from scenewright.worlds.tracing import Hits, Sampling
from worlds import handmade

CAMERA = Camera.from_fov(64, 48, 60.0)
WHITE = Material((1.0, 1.0, 1.0))
EXACT = render.Quality(soft_step=1, reflections=False)


def pixel_rays(camera: Camera, T: np.ndarray) -> np.ndarray:
    """(H, W, 3) world directions with z-depth 1, in float64."""
    fx, fy, cx, cy = camera.numbers
    y, x = np.mgrid[: camera.height, : camera.width]
    return np.stack([(x - cx) / fx, (y - cy) / fy, np.ones(camera.size)], -1) @ T[:3, :3].T


def spread(hits: Hits, rays: int = 1) -> Sampling:
    """Every point looks at the same `rays` places of each light."""
    return Sampling(np.zeros(len(hits.prim), np.int32), 1, rays, 0)


def floor(material: Material = WHITE, half: float = 50.0, z: float = 0.0):
    """A large floor."""
    corners = [(-half, -half, z), (half, -half, z), (half, half, z), (-half, half, z)]
    return handmade.placed(handmade.quad(*corners, material), "floor", "floor")


def test_depth_of_a_plane_is_the_closed_form():
    T = handmade.look((0, 0, 1.7), (2.0, 0.7, 0.0))
    got = Renderer(handmade.world(floor())).truth(CAMERA, T)
    rays = pixel_rays(CAMERA, T)
    with np.errstate(divide="ignore"):
        expected = np.where(rays[..., 2] < 0, -1.7 / rays[..., 2], 0)
    near = (expected > 0) & (expected < 20)
    assert near.mean() > 0.5
    np.testing.assert_allclose(got.depth_m[near], expected[near], rtol=1e-4)
    assert (got.depth_m[rays[..., 2] > 0] == 0).all()
    np.testing.assert_allclose(
        got.normal_cam[near], np.broadcast_to(T[:3, :3].T @ [0, 0, 1], got.normal_cam[near].shape), atol=1e-5
    )


def test_sphere_depth_and_normals():
    ball = handmade.placed(handmade.sphere(0.5, WHITE, rings=160), "ball", at=(2, 0, 1))
    T = handmade.look((0, 0, 1), (2, 0.02, 1))
    got = Renderer(handmade.world(ball)).truth(CAMERA, T)
    rays = pixel_rays(CAMERA, T)
    offset = T[:3, 3] - np.array([2.0, 0, 1])
    a, b, c = (rays**2).sum(-1), rays @ offset, (offset**2).sum() - 0.25
    root = b * b - a * c
    inside = root > 0.02
    t = (-b - np.sqrt(np.maximum(root, 0))) / a
    normal = (T[:3, 3] + t[..., None] * rays - [2, 0, 1]) / 0.5 @ T[:3, :3]
    assert inside.sum() > 100
    np.testing.assert_allclose(got.depth_m[inside], t[inside], atol=2e-3)
    assert ((got.normal_cam * normal).sum(-1)[inside] > math.cos(math.radians(1.0))).all()
    assert (got.instances[inside] == 0).all()
    assert (got.instances[root < -0.02] == -1).all()


def test_normals_of_a_box_are_its_faces_and_face_the_camera():
    box = handmade.placed(handmade.box((1, 1, 1), WHITE), "box", at=(2, 0.3, 0), yaw=0.5)
    T = handmade.look((0, 0, 1.4), (2, 0.3, 0.5))
    got = Renderer(handmade.world(floor(), box)).truth(CAMERA, T)
    normals = (got.normal_cam[got.instances == 1] @ T[:3, :3].T).astype(np.float64)
    faces = np.stack([box.T_world_object[:3, 0], box.T_world_object[:3, 1], box.T_world_object[:3, 2]])
    best = np.abs(normals @ faces.T).max(1)
    np.testing.assert_allclose(best, 1, atol=1e-5)
    toward = (got.normal_cam * (pixel_rays(CAMERA, T) @ T[:3, :3])).sum(-1)
    assert (toward[got.instances >= 0] < 0).all()


@pytest.mark.parametrize("back", [False, True])
def test_lamp_obeys_inverse_square_and_cosine(back):
    lamp = Lamp((0.3, 0.2, 1.5), (6.0, 3.0, 1.0), radius=0.0)
    world = handmade.world(floor(Material((0.5, 0.5, 1.0))), lamps=(lamp,), ambient=(0, 0, 0))
    T = handmade.look((1.0, 0.4, 4.0), (0.0, 0.0, 0.0)) if back else handmade.look((0.1, 0, 3.0), (0.0, 0.0, 0.0))
    light = Renderer(world).radiance(CAMERA, T, quality=EXACT)
    rays = pixel_rays(CAMERA, T)
    points = T[:3, 3] - rays * (T[2, 3] / rays[..., 2:])
    to = np.asarray(lamp.position) - points
    d2 = (to**2).sum(-1)
    irradiance = np.asarray(lamp.power) * (to[..., 2] / d2**1.5)[..., None]
    expected = np.array([0.5, 0.5, 1.0]) / math.pi * irradiance
    # the light of a pixel is the mean over its 3 x 3 neighbours on the same plane; it bends little here
    np.testing.assert_allclose(light[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=8e-3)


def test_irradiance_at_a_point_is_exact():
    lamp = Lamp((0, 0, 2.0), (4.0, 4.0, 4.0), radius=0.0)
    renderer = Renderer(handmade.world(floor(), lamps=(lamp,), ambient=(0, 0, 0)))
    hits = renderer.centre_hits(CAMERA, handmade.look((0.3, 0, 3.0), (0, 0, 0)))
    d2 = ((hits.pos - [0, 0, 2.0]) ** 2).sum(1)
    np.testing.assert_allclose(renderer.tracer.lamplight(hits, spread(hits))[:, 0], 4.0 * 2.0 / d2**1.5, rtol=1e-4)


def test_spot_lights_its_cone_only():
    spot = Lamp((0, 0, 2.0), (4.0, 4.0, 4.0), 0.0, (0.0, 0.0, -1.0), math.cos(math.radians(20)))
    T = handmade.look((0.001, 0, 4.0), (0, 0, 0))
    light = Renderer(handmade.world(floor(), lamps=(spot,), ambient=(0, 0, 0))).radiance(CAMERA, T, quality=EXACT)
    rays = pixel_rays(CAMERA, T)
    radius = np.linalg.norm((T[:3, 3] - rays * (T[2, 3] / rays[..., 2:]))[..., :2], axis=-1)
    edge = 2.0 * math.tan(math.radians(20))
    assert (light[radius > edge + 0.25] == 0).all()
    assert (light[radius < edge * 0.6] > 0.1).all()


def test_shadow_of_a_box_lies_where_the_rays_say():
    lamp = Lamp((-1.0, 0, 2.0), (9.0, 9.0, 9.0), radius=0.0)
    box = handmade.placed(handmade.box((0.5, 0.5, 0.5), WHITE), "box")
    T = handmade.look((1.0, 0.01, 3.0), (0.8, 0, 0))
    renderer = Renderer(handmade.world(floor(), box, lamps=(lamp,), ambient=(0, 0, 0)))
    got = renderer.truth(CAMERA, T)
    hits = renderer.centre_hits(CAMERA, T)
    lit = renderer.tracer.lamplight(hits, spread(hits))[:, 0].reshape(CAMERA.size) > 0
    points = flow.world_points(got.depth_m, CAMERA, T)
    # slab test of the segment point -> lamp against the box, in float64
    step = np.asarray(lamp.position) - points
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = ((np.array(c) - points) / step for c in ((-0.25, -0.25, 0), (0.25, 0.25, 0.5)))
    near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    clear_cut = (got.instances == 0) & (np.abs(far - near) > 0.02)
    shadow = (near < far) & (far > 0) & (near < 1)
    assert shadow[clear_cut].any()
    assert (lit[clear_cut] == ~shadow[clear_cut]).all()


def test_soft_shadows_are_wider_for_larger_lamps():
    def penumbra(radius: float) -> int:
        lamp = Lamp((-1.0, 0, 2.0), (9.0, 9.0, 9.0), radius=radius)
        shade = handmade.placed(handmade.box((0.5, 0.5, 0.5), WHITE), "box")
        renderer = Renderer(handmade.world(floor(), shade, lamps=(lamp,), ambient=(0, 0, 0)))
        T = handmade.look((1.0, 0.01, 3.0), (0.8, 0, 0))
        hits = renderer.centre_hits(CAMERA, T)
        light = renderer.tracer.lamplight(hits, spread(hits, 32))[:, 0]
        full = 9.0 * 2.0 / ((hits.pos - lamp.position) ** 2).sum(1) ** 1.5
        share = light / full
        return int(((share > 0.05) & (share < 0.95) & (hits.pos[:, 2] < 1e-3)).sum())

    assert penumbra(0.0) == 0
    assert 0 < penumbra(0.1) < penumbra(0.3)


def test_ambient_light_is_uniform_in_the_open_and_dim_in_corners():
    T = handmade.look((0.02, 0, 2.0), (0, 0, 0))
    light = Renderer(handmade.world(floor())).radiance(CAMERA, T, quality=EXACT)
    np.testing.assert_allclose(light, 0.3, rtol=1e-4)
    box = handmade.placed(handmade.box((0.5, 0.5, 0.5), Material((0, 0, 0))), "box")
    renderer = Renderer(handmade.world(floor(), box))
    fine = render.Quality(soft_step=1, bounce_rays=32)
    got, light = renderer.truth(CAMERA, T), renderer.radiance(CAMERA, T, quality=fine)
    points = flow.world_points(got.depth_m, CAMERA, T)
    gap = np.abs(points[..., :2]).max(-1) - 0.25
    on_floor = got.instances == 0
    assert light[on_floor & (gap < 0.13)].mean() < 0.92 * light[on_floor & (gap > 0.6)].mean()


def test_labels_and_instances_are_exact():
    renderer = Renderer(handmade.room())
    T = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))
    got = renderer.render(CAMERA, T)
    assert {1, 2, 3, 10, 11} >= set(np.unique(got.labels)) >= {2, 3, 10, 11}
    for index, placed in enumerate(renderer.room.placed):
        assert (got.labels[got.instances == index] == placed.label).all()
    points = flow.world_points(got.depth_m, CAMERA, T)
    assert LABELS[int(got.labels[np.abs(points[..., 2]) < 1e-4][0])] == "floor"
    crate = (np.abs(points - [3.0, 2.3, 0.25]) < 0.2501).all(-1)
    assert crate.any()
    assert (got.instances[crate] == 7).all()


def test_same_seed_same_bytes_and_other_seed_other_noise():
    T = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))
    a, b = (Renderer(handmade.room()).render(CAMERA, T, seed=5) for _ in range(2))
    other = Renderer(handmade.room()).render(CAMERA, T, seed=6)
    assert all(getattr(a, k).tobytes() == getattr(b, k).tobytes() for k in a.__dataclass_fields__)
    assert a.image.tobytes() != other.image.tobytes()
    assert a.depth_m.tobytes() == other.depth_m.tobytes()


def test_texture_has_its_place_size_and_mean():
    y, x = np.mgrid[:64, :64]
    ramp = np.stack([4 * x, 4 * (63 - y), np.full_like(x, 128)], -1).astype(np.uint8)  # red = u, green = v
    world = handmade.world(floor(Material((1, 1, 1), ramp)), ambient=(1, 1, 1))
    T = handmade.look((0.5, 0.499, 0.5), (0.5, 0.5, 0.0))
    camera = Camera.from_fov(48, 48, 50.0)
    renderer = Renderer(world)
    hits = renderer.centre_hits(camera, T)
    u, v = hits.pos[:, 0] % 1, hits.pos[:, 1] % 1
    shown = hits.alb[:, :2]
    expected = LINEAR[np.stack([4 * (u * 64 - 0.5).clip(0, 63), 4 * (v * 64 - 0.5).clip(0, 63)], -1).astype(int)]
    np.testing.assert_allclose(shown, expected, atol=0.03)
    far = renderer.centre_hits(Camera.from_fov(8, 8, 10.0), handmade.look((0, 0.01, 400.0), (0, 0, 0)))
    hit = far.prim >= 0
    np.testing.assert_allclose(far.alb[hit].mean(0), LINEAR[ramp].mean((0, 1)), atol=0.02)


def test_texture_seen_from_afar_does_not_alias():
    world = handmade.world(floor(Material((1, 1, 1), handmade.checker(2, 64))), ambient=(1, 1, 1))
    near_mean = LINEAR[handmade.checker(2, 64)].mean()
    hits = Renderer(world).centre_hits(Camera.from_fov(64, 48, 20), handmade.look((0, 0, 5), (0, 40, 0)))
    far = (hits.t > 35) & (hits.prim >= 0)
    assert far.any()
    assert hits.alb[far].mean(1).std() < 0.15 * near_mean


def test_edges_are_antialiased_only_where_surfaces_meet():
    T = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))
    renderer = Renderer(handmade.room())
    jagged, fine = (renderer.radiance(CAMERA, T, samples=s) for s in (1, 4))
    edges = renderer._edges(renderer.centre_hits(CAMERA, T), CAMERA.size)
    assert 0.02 < edges.mean() < 0.4
    np.testing.assert_array_equal(jagged[~edges], fine[~edges])
    assert (jagged[edges] != fine[edges]).any()


def test_glossy_floor_mirrors_a_bright_wall():
    wall = handmade.quad((-3, 3, 0), (3, 3, 0), (3, 3, 3), (-3, 3, 3), Material((1, 0, 0), emission=1.0))
    T = handmade.look((0, 0, 1), (0, 2.2, 0))

    def red(gloss: float) -> float:
        things = (floor(Material((0.0, 0.0, 0.0), gloss=gloss)), handmade.placed(wall, "wall"))
        got = Renderer(handmade.world(*things))
        return float(got.radiance(CAMERA, T)[got.truth(CAMERA, T).instances == 0][:, 0].mean())

    assert red(0.0) < 1e-6
    assert red(0.9) > 0.03


def test_emitting_window_lights_the_floor_like_its_area():
    pane = handmade.quad((0, 0.1, 2), (0.1, 0.1, 2), (0.1, 0, 2), (0, 0, 2), Material((1, 1, 1), emission=50.0))
    renderer = Renderer(handmade.world(floor(), handmade.placed(pane, "window"), ambient=(0, 0, 0)))
    hits = renderer.centre_hits(CAMERA, handmade.look((0.5, 0.05, 1.0), (0.4, 0.05, 0)))
    light = renderer.tracer.facelight(hits, spread(hits, 16))[:, 0]
    d2 = ((hits.pos - [0.05, 0.05, 2.0]) ** 2).sum(1)
    np.testing.assert_allclose(light, 50 * 0.01 * 4.0 / d2**2, rtol=0.03)


@pytest.mark.parametrize("bad", [np.eye(3), np.full((4, 4), np.nan), np.diag([2.0, 1, 1, 1])])
def test_bad_poses_are_refused(bad):
    with pytest.raises(InputError, match="T_world_cam"):
        Renderer(handmade.room()).render(CAMERA, bad)


def test_bad_meshes_are_refused():
    import dataclasses

    good = handmade.box((1, 1, 1), WHITE)
    for change in (
        {"faces": good.faces + 8},
        {"material": good.material + 1},
        {"uv": good.uv[:3]},
    ):
        broken = handmade.placed(dataclasses.replace(good, **change), "broken box")
        with pytest.raises(InputError, match="broken box"):
            Renderer(handmade.world(broken))
    with pytest.raises(InputError, match="no surface"):
        Renderer(handmade.world())


def test_lens_distortion_is_refused():
    import torch

    camera = Camera(CAMERA.width, CAMERA.height, CAMERA.K, torch.zeros(4))
    with pytest.raises(InputError, match="distortion"):
        Renderer(handmade.room()).render(camera, np.eye(4))
