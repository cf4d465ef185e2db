"""Light kernels and bounced light against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from scenewright.geometry.camera import Camera
from scenewright.worlds import indirect, lighting, screen
from scenewright.worlds.flatten import flatten, pyramid
from scenewright.worlds.model import Lamp, Material
from scenewright.worlds.render import Quality, Renderer
from scenewright.worlds.tracing import Sampling, Tracer
from worlds import handmade

CAMERA = Camera.from_fov(48, 36, 60.0)


def closed(albedo: tuple[float, float, float], lamps: tuple[Lamp, ...] = (), ambient: tuple = (0.0, 0.0, 0.0)):
    """The empty shell, all of one reflectance."""
    material = Material(albedo)
    return handmade.world(*handmade.shell(material, material), lamps=lamps, ambient=ambient)


def test_hashes_are_uniform_and_independent():
    table = np.array([[lighting.random_unit(a, b, 3) for b in range(60)] for a in range(60)])
    assert (table >= 0).all()
    assert (table < 1).all()
    assert table.mean() == pytest.approx(0.5, abs=0.02)
    assert table.var() == pytest.approx(1 / 12, abs=0.005)
    assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.06
    assert abs(np.corrcoef(table[:, :-1].ravel(), table[:, 1:].ravel())[0, 1]) < 0.06


def test_hemisphere_rays_are_cosine_distributed():
    normals = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [0.6, -0.48, 0.64]], np.float32)
    origin = np.zeros((4, 3), np.float32)
    rays = 400
    o, d = (np.empty((4 * rays, 3), np.float32) for _ in range(2))
    index, phase = np.arange(4, dtype=np.int32), np.zeros(4, np.int32)
    lighting.hemisphere_rays(index, phase, 1, origin, normals, normals, rays, 5, o, d)
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1, atol=1e-5)
    for n, mine in zip(normals, d.reshape(4, rays, 3)):
        cosine = mine @ n
        assert (cosine >= 0).all()
        np.testing.assert_allclose(mine.mean(0), n * 2 / 3, atol=0.01)  # integral of cos * direction / pi
        assert (cosine**2).mean() == pytest.approx(0.5, abs=0.01)


def test_places_on_lamps_lie_on_their_spheres_and_average_to_the_centre():
    room = handmade.world(*handmade.shell(*[Material((1, 1, 1))] * 2), lamps=(Lamp((1, 1, 1), (1, 1, 1), 0.3),))
    places = lighting.lamp_places(flatten(room).lights, 64, 0)[0]
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 0.3, atol=1e-6)
    np.testing.assert_allclose(places.mean(0), 0, atol=0.01)


def test_phases_of_a_window_share_a_lamp_evenly():
    """Half of a lamp behind a screen: each phase sees yes or no, nine phases together about half."""
    lamp = Lamp((0, 0, 2.0), (4, 4, 4), radius=0.2)
    screen_ = handmade.placed(
        handmade.quad((0, -5, 1), (5, -5, 1), (5, 5, 1), (0, 5, 1), Material((1, 1, 1))), "screen"
    )
    floor = handmade.quad((-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0), Material((1, 1, 1)))
    tracer = Tracer(handmade.world(handmade.placed(floor, "floor"), screen_, lamps=(lamp,)))
    down = np.array([[0.0, 0.0, -1.0]] * 9, np.float32)
    zero = np.zeros((1, 3), np.float32)
    hits = tracer.surfaces(np.array([[-1e-4, 0, 0.5]], np.float32), down, zero, zero)
    light = tracer.lamplight(hits, Sampling(np.arange(9, dtype=np.int32), 9, 1, 0))[:, 0]
    assert set(np.round(light, 4)) == {0.0, 1.0}
    assert light.mean() == pytest.approx(0.5, abs=0.12)


def test_ambient_light_in_a_closed_room_is_reflected_once():
    """No lamp: every direction meets a wall of reflectance a under ambient L, so the picture shows a * (a * L)."""
    renderer = Renderer(closed((0.5, 0.4, 0.8), ambient=(1.0, 1.0, 1.0)))
    light = renderer.radiance(CAMERA, handmade.look((1, 1, 1.2), (3, 2, 1)))
    np.testing.assert_allclose(light, np.broadcast_to(np.square([0.5, 0.4, 0.8]), light.shape), rtol=2e-3)


def test_bounced_light_agrees_with_brute_force():
    lamp = Lamp((2.0, 1.5, 1.3), (3.0, 3.0, 3.0), radius=0.01)
    albedo = 0.6
    tracer = Tracer(closed((albedo,) * 3, (lamp,)))
    grid = indirect.build_grid(tracer, handmade.EXTENT, 0)
    down = np.array([[0.0, 0.0, -1.0]], np.float32)
    zero = np.zeros((1, 3), np.float32)
    for x, y in ((1.0, 1.0), (3.2, 2.0), (2.0, 0.4)):
        point = tracer.surfaces(np.array([[x, y, 1.0]], np.float32), down, zero, zero)
        one = Sampling(np.zeros(1, np.int32), 1, 4000, 1)
        got = indirect.incoming(tracer, grid, point, one, np.zeros(3, np.float32))[0, 0]
        # brute force, two bounces: at each hit of the hemisphere its direct light, and that of its own hemisphere
        o, d, _ = tracer.hemisphere(point, np.zeros(1, np.int32), one)
        first = tracer.surfaces(o, d, zero, zero)
        phase = np.arange(len(o), dtype=np.int32) % 64
        few = Sampling(phase, 64, 8, 2)
        direct = tracer.lamplight(first, few)[:, 0]
        o2, d2, _ = tracer.hemisphere(first, np.arange(len(o), dtype=np.int32), few)
        second = tracer.surfaces(o2, d2, zero, zero)
        again = (
            tracer.lamplight(second, Sampling(np.zeros(len(o2), np.int32), 1, 1, 3))[:, 0].reshape(len(o), 8).mean(1)
        )
        expected = (albedo * (direct + albedo * again) / np.pi).mean()
        assert got == pytest.approx(expected, rel=0.12)


def test_a_red_wall_colours_the_floor_beside_it():
    white, red = Material((0.8, 0.8, 0.8)), Material((0.8, 0.05, 0.05))
    things = handmade.shell(white, white)
    things[4] = handmade.placed(handmade.quad((0, 0, 0), (0, 3, 0), (0, 3, 2.5), (0, 0, 2.5), red), "wall west", "wall")
    renderer = Renderer(handmade.world(*things, lamps=(Lamp((2, 1.5, 2.2), (6, 6, 6)),), ambient=(0, 0, 0)))
    T = handmade.look((2.0, 1.5, 2.4), (2.0, 1.51, 0.0))
    view = renderer.truth(CAMERA, T)
    light = renderer.radiance(CAMERA, T)
    floor = view.labels == 2
    rays = np.stack(np.meshgrid(np.arange(48) - 23.5, np.arange(36) - 17.5), -1) / CAMERA.numbers[0]
    x = 2.0 + (np.append(rays, np.ones((36, 48, 1)), -1) * view.depth_m[..., None]) @ T[:3, :3].T[:, 0]
    tint = light[..., 0] / light[..., 1]
    assert tint[floor & (x < 1.3)].mean() > tint[floor & (x > 2.7)].mean() + 0.02


def test_plain_walls_stay_plain():
    """What noise and steps are left on an evenly painted wall: half a per cent from pixel to pixel, four at most."""
    lamp = Lamp((2.0, 1.5, 2.3), (5.0, 5.0, 5.0), radius=0.1)
    renderer = Renderer(closed((0.8, 0.8, 0.8), (lamp,), (0.2, 0.2, 0.2)))
    light = renderer.radiance(Camera.from_fov(96, 72, 35), handmade.look((0.6, 1.5, 1.3), (4.0, 1.6, 1.25)))[..., 1]
    assert np.abs(np.diff(light, axis=1)).max() < 0.04 * light.mean()
    assert np.abs(np.diff(light, axis=1)).mean() < 0.005 * light.mean()


def test_gather_does_not_mix_surfaces():
    """Two planes meet at x = 8: light of one must not reach the other, on the same plane it is the mean."""
    pos = np.zeros((9, 16, 3), np.float32)
    pos[..., 0], pos[..., 1] = np.arange(16), np.arange(9)[:, None]
    pos[:, 8:, 2] = 1.0
    nrm = np.broadcast_to(np.float32([0, 0, 1]), pos.shape).copy()
    light = np.where(pos[..., 2:] > 0, 5.0, 1.0).astype(np.float32).repeat(3, -1)
    flat = pos.reshape(-1, 3)
    out = np.zeros_like(flat)
    depth = np.ones(len(flat), np.float32)
    screen.gather(flat[:, 0].copy(), flat[:, 1].copy(), flat, nrm.reshape(-1, 3), depth, pos, nrm, light, 1, 2, out)
    np.testing.assert_allclose(out.reshape(light.shape), light, rtol=1e-3)


def test_pyramid_keeps_the_mean_of_the_light():
    texture = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    levels = pyramid(texture)
    assert [x.shape[:2] for x in levels[:3]] == [(64, 128), (32, 64), (16, 32)]
    assert levels[-1].shape[:2] == (1, 1)
    expected = np.sqrt((texture.astype(float) ** 2).mean((0, 1)))
    np.testing.assert_allclose(levels[-1][0, 0], expected, atol=3)
    assert pyramid(texture) is levels


def test_lamp_inside_its_own_glowing_shade_still_lights_the_room():
    shade = handmade.placed(handmade.sphere(0.2, Material((1, 1, 1), emission=1.0), 12), "shade", at=(2, 1.5, 2.0))
    lamp = Lamp((2.0, 1.5, 2.0), (4, 4, 4), radius=0.02)
    material = Material((0.5, 0.5, 0.5))
    renderer = Renderer(handmade.world(*handmade.shell(material, material), shade, lamps=(lamp,), ambient=(0, 0, 0)))
    down = np.array([[0.0, 0.0, -1.0]], np.float32)
    zero = np.zeros((1, 3), np.float32)
    hit = renderer.tracer.surfaces(np.array([[2.0, 1.5, 1.0]], np.float32), down, zero, zero)
    light = renderer.tracer.lamplight(hit, Sampling(np.zeros(1, np.int32), 1, 4, 0))
    np.testing.assert_allclose(light, 1.0, rtol=1e-3)


@pytest.mark.parametrize("quality", [Quality(), Quality(lamp_step=2, soft_step=4, reflections=False)])
def test_coarser_light_agrees_with_fine_light(quality):
    T = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))
    renderer = Renderer(handmade.room())
    fine = renderer.radiance(CAMERA, T, quality=Quality(1, 4, 1, 4, 24, False))
    coarse = renderer.radiance(CAMERA, T, quality=quality)
    assert np.abs(coarse - fine).mean() < 0.06 * fine.mean()
