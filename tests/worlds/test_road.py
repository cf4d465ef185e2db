"""Streets: whole, drivable, the same for the same seed; sky, haze and sun by their equations."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.labels import LABELS
from scenewright.worlds import road_parts
from scenewright.worlds.drive import FIRST_M, LAST_M, drive, pose_at, road_camera, sample_drive
from scenewright.worlds.model import Sky
from scenewright.worlds.render import Renderer
from scenewright.worlds.road import KINDS, LENGTH_M, Road, Street, build_road
from scenewright.worlds.road_houses import house
from scenewright.worlds.road_style import make_road_style, make_weather
from scenewright.worlds.road_textures import KINDS as TEXTURES
from scenewright.worlds.road_textures import cloud_cover, road_texture
from scenewright.worlds.sky import ambient_of, open_air_grid, sky_radiance, sun_lamp, through_air
from scenewright.worlds.tracing import Hits

STYLE = make_road_style(np.random.default_rng(0), "train")


@pytest.fixture(scope="module")
def roads() -> list[Road]:
    return [build_road(seed, "train", kind) for seed, kind in enumerate(KINDS)]


def test_a_street_has_what_makes_it_one(roads: list[Road]) -> None:
    for road in roads:
        names = {p.name for p in road.world.placed}
        assert {"land", "road"} <= names
        if road.world.kind != "rural":
            assert {"pavement", "house"} <= names
        assert names & {"lamp", "pole"}
        assert road.world.sky is not None
        assert len(road.world.lamps) == 1
        assert {LABELS[p.label] for p in road.world.placed} <= {"floor", "wall", "window", "objects"}
        for p in road.world.placed:
            R = p.T_world_object[:3, :3]
            np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
            assert np.isfinite(p.mesh.vertices).all()
            assert np.isfinite(p.mesh.normals).all()


def test_a_street_is_a_function_of_its_seed() -> None:
    a, b, other = build_road(5, "train"), build_road(5, "train"), build_road(5, "test")
    assert a.street == b.street
    assert [p.name for p in a.world.placed] == [p.name for p in b.world.placed]
    for p, q in zip(a.world.placed, b.world.placed, strict=True):
        np.testing.assert_array_equal(p.mesh.vertices, q.mesh.vertices)
        np.testing.assert_array_equal(p.T_world_object, q.T_world_object)
    assert a.street != other.street


@pytest.mark.parametrize(
    ("arguments", "subject"), [((1, "training"), "split"), ((-1, "train"), "seed"), ((1, "train", "canal"), "kind")]
)
def test_bad_arguments_are_named(arguments: tuple, subject: str) -> None:
    with pytest.raises(InputError, match=subject):
        build_road(*arguments)


@pytest.mark.parametrize("curvature", [0.0, 1 / 150, -1 / 300])
def test_places_along_a_bend_keep_their_distances(curvature: float) -> None:
    """Arc length along the middle, straight distance across, and axes that follow the course."""
    street = Street(curvature, 3.0, 2.0, 0.1, 2.0, 3.0)
    s = np.linspace(0, 100, 4001)
    steps = np.linalg.norm(np.diff(street.point(s, 0.0), axis=0), axis=1)
    assert steps.sum() == pytest.approx(100, rel=1e-6)
    across = street.point(s, 4.0) - street.point(s, 0.0)
    np.testing.assert_allclose(np.linalg.norm(across, axis=1), 4.0, rtol=1e-9)
    frame = street.frame(60.0, 1.0)
    ahead = street.point(60.001, 1.0) - street.point(60.0, 1.0)
    np.testing.assert_allclose(frame[:2, 1], ahead / np.linalg.norm(ahead), atol=1e-5)
    np.testing.assert_allclose(frame[:2, 0], (street.point(60.0, 2.0) - street.point(60.0, 1.0)), atol=1e-7)
    if curvature:
        assert np.sign(street.point(100.0, 0.0)[0]) == np.sign(curvature), "positive bends to the right"


def test_the_road_lies_at_zero_between_kerbs_and_marks_its_lanes(roads: list[Road]) -> None:
    for road in roads:
        street = road.street
        bare = replace(road.world, placed=tuple(p for p in road.world.placed if p.name in ("land", "road", "pavement")))
        lateral = np.array([0.5, street.edge - 0.2, street.edge + 0.1, street.edge + 0.9])
        xy = street.point(50.3, lateral)
        origins = np.column_stack([xy, np.full(4, 5.0)])
        height = 5.0 - Renderer(bare).distance(origins, np.tile([0, 0, -1.0], (4, 1)))
        np.testing.assert_allclose(height[:2], 0, atol=4e-3)
        np.testing.assert_allclose(height[2:], street.kerb, atol=3e-3)


def test_nothing_but_cars_stands_on_the_lanes(roads: list[Road]) -> None:
    for road in roads:
        for p in road.world.placed:
            if p.name in ("land", "road", "pavement", "car", "parked car", "tree"):
                continue
            v = p.mesh.vertices @ p.T_world_object[:3, :3].T + p.T_world_object[:3, 3]
            low = v[v[:, 2] < 2.5]
            k = road.street.curvature if abs(road.street.curvature) > 1e-9 else 1e-9
            lateral = 1 / k - np.sign(k) * np.hypot(1 / k - low[:, 0], low[:, 1])
            assert np.abs(lateral).min() > road.street.lane - 0.3, (road.world.kind, p.name)


def test_cars_and_people_have_human_size() -> None:
    rng = np.random.default_rng(3)
    for kind, (longest, tallest) in {"hatchback": (4.5, 1.7), "saloon": (5.1, 1.7), "van": (5.7, 2.5)}.items():
        size = np.ptp(road_parts.car(rng, STYLE, kind).vertices, axis=0)
        assert 1.6 < size[0] < 2.6
        assert 3.6 < size[1] < longest
        assert 1.3 < size[2] < tallest
    walker = np.ptp(road_parts.person(rng, STYLE).vertices, axis=0)
    assert 1.5 < walker[2] < 1.95
    for make in (road_parts.tree, road_parts.bush, road_parts.sign, road_parts.lamp_post, road_parts.billboard):
        mesh = make(rng, STYLE)
        assert -0.3 < mesh.vertices[:, 2].min() < 0.35
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=2), 1, atol=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_windows_stand_in_their_walls(seed: int) -> None:
    made = house(np.random.default_rng(seed), STYLE, 9.0, 8.0, 1 + seed % 4, seed % 2 == 1)
    width, depth, height = made.size
    panes = made.meshes["window"].vertices
    assert (np.abs(panes[:, 0]) < width / 2 + 0.06).all()
    assert (panes[:, 1] > -0.1).all()
    assert (panes[:, 1] < depth).all()
    assert (panes[:, 2] < height).all()
    assert np.ptp(made.meshes["wall"].vertices[:, 2]) > height


def test_views_are_from_the_right_lane_at_car_height(roads: list[Road]) -> None:
    for road in roads:
        renderer, rng = Renderer(road.world), np.random.default_rng(1)
        view = sample_drive(road, renderer, rng, (104, 32))
        eye, ahead = view.T_world_cam[:3, 3], view.T_world_cam[:3, 2]
        assert 1.1 < eye[2] < 2.1
        assert abs(ahead[2]) < 0.1
        assert view.camera.numbers[0] == pytest.approx(0.58 * 104, rel=0.2)
        shot = renderer.render(view.camera, view.T_world_cam)
        assert shot.image.std() > 12
        lower, upper = shot.depth_m[-6:], shot.depth_m[:8]
        assert 2 < np.median(lower) < 15, "the road in front of the car"
        assert (upper == 0).any() or np.median(upper) > np.median(lower)
        assert shot.depth_m.max() > 40


def test_a_drive_moves_evenly_and_ends_before_the_street_does(roads: list[Road]) -> None:
    poses = drive(roads[1], np.random.default_rng(2), 20, 10.0, 8.0)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.8, atol=0.05)
    ahead = (poses[1:, :3, 3] - poses[:-1, :3, 3]) / steps[:, None]
    assert ((ahead * poses[:-1, :3, 2]).sum(1) > 0.99).all(), "it looks where it goes"
    far = drive(roads[1], np.random.default_rng(2), 400, 10.0)
    reached = np.linalg.norm(np.diff(far[:, :3, 3], axis=0), axis=1).sum()
    assert reached < LAST_M - FIRST_M + 2 < LENGTH_M
    for bad in ({"frames": 1}, {"frames": 9, "rate_hz": 0.0}, {"frames": 9, "speed_m_s": -1.0}):
        with pytest.raises(InputError, match="drive"):
            drive(roads[1], np.random.default_rng(2), **bad)


def sky(**values: object) -> Sky:
    base = Sky(
        (0.2, 0.3, 0.8), (1.0, 0.9, 0.8), (0.0, 0.6, 0.8), 0.0, np.zeros((8, 8), np.float32), (1.0, 1.0, 1.0), 300.0
    )
    return replace(base, **values)


def test_sky_by_direction() -> None:
    up, level, below = [0, 0, 3.0], [1.0, 0, 0], [0, 1.0, -1.0]
    light = sky_radiance(sky(), np.array([up, level, below]))
    np.testing.assert_allclose(light, [[0.2, 0.3, 0.8], [1, 0.9, 0.8], [1, 0.9, 0.8]], rtol=1e-6)
    glowing = sky_radiance(sky(glow=1.0), np.array([[0, 0.6, 0.8], [0, -0.6, 0.8]]))
    assert glowing[0].min() > 20 > glowing[1].max(), "the sun itself is far brighter"
    covered = sky_radiance(sky(cover=np.ones((8, 8), np.float32)), np.array([up]))
    np.testing.assert_allclose(covered, 1.0, rtol=1e-6)


def test_ambient_is_the_cosine_mean_of_the_sky() -> None:
    """For L = z + (1 - sin)^4 (h - z): 2 * int_0^1 u (z + (1 - u)^4 (h - z)) du = z + (h - z) / 15."""
    zenith, horizon = np.array([0.2, 0.3, 0.8]), np.array([1.0, 0.9, 0.8])
    np.testing.assert_allclose(ambient_of(sky()), zenith + (horizon - zenith) / 15, rtol=0.03)


def test_haze_follows_koschmieder() -> None:
    ray = np.array([[0, 3.0, 4.0], [0, 0, 1.0], [0, 1.0, 1.0]], np.float32)
    zero = np.zeros((3, 3), np.float32)
    hits = Hits(np.array([0, 0, -1], np.int32), np.array([60.0, 0.0, np.inf], np.float32), ray, zero, zero, zero, zero)
    seen = through_air(sky(), np.full((3, 3), 0.1, np.float32), hits)
    clear = math.exp(-1.0)
    np.testing.assert_allclose(seen[0], clear * 0.1 + (1 - clear) * np.array([1.0, 0.9, 0.8]), rtol=1e-5)
    np.testing.assert_allclose(seen[1], 0.1, rtol=1e-6)
    np.testing.assert_allclose(seen[2], sky_radiance(sky(), ray[2:])[0], rtol=1e-6)


def test_the_sun_lights_a_plane_as_much_as_it_should() -> None:
    """Irradiance E at an angle gives radiance albedo (E cos / pi + ambient) on open ground."""
    road = build_road(0, "train", "rural")
    ground = replace(road.world, placed=tuple(p for p in road.world.placed if p.name == "land")[:1])
    light = sky(sun=(0.0, 0.6, 0.8), haze_m=1e9)
    lit = replace(ground, sky=light, lamps=(sun_lamp(light, (3.0, 3.0, 3.0)),), ambient=(0.0, 0.0, 0.0))
    double = replace(lit, lamps=(sun_lamp(light, (6.0, 6.0, 6.0)),))
    T = pose_at(road, 50.0, 12.0, 3.0, (0.0, -1.3, 0.0))
    camera = road_camera(np.random.default_rng(0), 32, 16)
    single, twice = (Renderer(world).radiance(camera, T)[8:].mean() for world in (lit, double))
    assert twice == pytest.approx(2 * single, rel=1e-3)
    grid = open_air_grid(light, lit.lamps).radiance[0, 0, 0]
    np.testing.assert_allclose(grid[5], 0.6 * 3.0 * 0.8 / math.pi, rtol=1e-4)
    np.testing.assert_allclose(grid[4], 0, atol=1e-7)


@pytest.mark.parametrize("kind", sorted(TEXTURES))
def test_outdoor_textures_repeat_without_a_seam_and_differ_by_variant(kind: str) -> None:
    made = road_texture(kind, 1, (0.5, 0.45, 0.4))
    assert made.image.dtype == np.uint8
    assert made.image.std() > 3
    assert not np.array_equal(made.image, road_texture(kind, 2, (0.5, 0.45, 0.4)).image)
    image = made.image.astype(float)
    inside = np.abs(np.diff(image, axis=0)).mean((1, 2))
    seam = np.abs(image[0] - image[-1]).mean()
    assert seam < 1.5 * inside.max() + 2, "rows"
    with pytest.raises(InputError, match="texture kind"):
        road_texture("lava", 1, (0.5, 0.5, 0.5))


def test_weather_varies_and_clouds_cover_their_share() -> None:
    seen = [make_weather(np.random.default_rng(seed)) for seed in range(12)]
    assert len({s.glow for s, _, _ in seen}) == 2
    for s, (sun,), ambient in seen:
        assert np.linalg.norm(s.sun) == pytest.approx(1)
        assert s.sun[2] > 0.3
        assert min(sun.power) > 0
        assert min(ambient) > 0.05
    cover = cloud_cover(np.random.default_rng(0), 0.5)
    assert 0.35 < (cover > 0.1).mean() < 0.65
    assert cloud_cover(np.random.default_rng(0), 0.0).max() == 0
