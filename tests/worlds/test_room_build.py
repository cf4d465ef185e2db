"""Rooms: nothing overlaps, floats or sinks; free floor is free; labels, sizes, determinism, splits."""

import math
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from scenewright.errors import InputError
from scenewright.labels import LABELS
from scenewright.worlds.model import Placed, Room
from scenewright.worlds.plan import KINDS, make_plan
from scenewright.worlds.render import Renderer
from scenewright.worlds.rooms import build_room, furnished

HUNG = {
    "picture", "notices", "mirror", "socket", "clock", "towel", "coats", "whiteboard", "pendant lamp", "ceiling light",
    "track lights", "fire extinguisher", "radiator", "television", "curtain", "hood", "wall cupboard", "open wall unit",
    "wall shelf", "worktop", "splashback", "door", "door frame", "window", "window pane", "skirting", "floor",
    "ceiling", "wall",
}  # fmt: skip
LIFT = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.01], [0, 0, 0, 1.0]])
SEEDS = [(seed, KINDS[seed % len(KINDS)]) for seed in range(50)]


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    return [build_room(seed, "train", kind) for seed, kind in SEEDS]


def world(placed: Placed) -> np.ndarray:
    T = placed.T_world_object
    return placed.mesh.vertices @ T[:3, :3].T + T[:3, 3]


def test_rooms_of_every_kind_are_whole(rooms: list[Room]) -> None:
    for room in rooms:
        names = {p.name for p in room.placed}
        assert {"wall", "floor", "ceiling"} <= names
        assert any("door" in n for n in names) or "window" in names, room.seed
        assert len(room.free) > 0, room.seed
        assert 1 <= len(room.lamps) <= 5
        assert len(room.focus) > 5
    counts = [furnished(r) for r in rooms]
    assert np.median(counts) >= 30
    assert min(counts) >= 10


def test_everything_lies_within_the_building(rooms: list[Room]) -> None:
    for room in rooms:
        w, d, h = room.extent
        assert 2.3 <= h <= 4.5
        for p in room.placed:
            v = world(p)
            assert np.isfinite(v).all()
            edge = (
                0.3 if p.name in ("wall", "floor", "ceiling", "door", "door frame", "window", "window pane") else 0.06
            )
            assert v.min(0)[0] > -edge, (room.seed, p.name)
            assert v.min(0)[1] > -edge, (room.seed, p.name)
            assert v.max(0)[0] < w + edge, (room.seed, p.name)
            assert v.max(0)[1] < d + edge, (room.seed, p.name)
            assert v.max(0)[2] < h + 0.11, (room.seed, p.name)
            assert v.min(0)[2] > -0.11, (room.seed, p.name)


def _hull(v: np.ndarray) -> np.ndarray:
    return cv2.convexHull(v[:, :2].astype(np.float32))


def test_no_two_things_on_the_floor_overlap(rooms: list[Room]) -> None:
    """Convex footprints of whatever stands on the floor; chairs may reach under tables and worktops."""
    worst = 0.0
    for room in rooms:
        things = []
        for p in room.placed:
            v = world(p)
            if p.name in HUNG - {"door"} or v[:, 2].min() > 0.05 or np.ptp(v[:, 2]) < 0.03:
                continue
            things.append((p, _hull(v), v[:, 2].max()))
        for i, (p, a, _) in enumerate(things):
            for q, b, _ in things[:i]:
                pair = {LABELS[p.label], LABELS[q.label]}
                if "chair" in pair and ("table" in pair or "unit" in p.name + q.name):
                    continue
                area, _ = cv2.intersectConvexConvex(a, b)
                worst = max(worst, area)
                assert area < 0.004, (room.seed, p.name, q.name, area)


def test_things_stand_on_their_support(rooms: list[Room]) -> None:
    """All small things lifted by a centimetre: a ray down from each one's foot meets something a centimetre below."""
    for room in rooms[:24]:
        origins, names, raised = [], [], []
        for p in room.placed:
            v = world(p)
            low = v[:, 2].min()
            small = p.name not in HUNG and low > 0.02
            raised.append(replace(p, T_world_object=LIFT @ p.T_world_object) if small else p)
            if small:
                foot = v[v[:, 2] < low + 0.004][:, :2]
                feet = np.concatenate(
                    [foot.mean(0, keepdims=True), 0.7 * foot.mean(0) + 0.3 * foot[:: len(foot) // 4 + 1]]
                )
                origins += [[x, y, low + 0.0095] for x, y in feet]
                names += [(p.name, len(raised))] * len(feet)
        if not origins:
            continue
        down = np.tile([0.0, 0.0, -1.0], (len(origins), 1))
        gap = Renderer(replace(room, placed=tuple(raised))).distance(np.array(origins), down) - 0.0095
        for thing in set(names):
            below = gap[[n == thing for n in names]]
            assert -0.002 < below.min() < 0.02, (room.seed, thing, below)


def test_things_that_are_not_hung_stand_on_the_floor_or_on_something(rooms: list[Room]) -> None:
    for room in rooms:
        lows = [world(p)[:, 2].min() for p in room.placed if p.name not in HUNG]
        assert min(lows) > -0.014


def test_free_rectangles_are_free_up_to_two_metres(rooms: list[Room]) -> None:
    for room in rooms[::2]:
        renderer = Renderer(room)
        points = []
        for x0, y0, x1, y1 in room.free:
            assert 0 <= x0 < x1 <= room.extent[0]
            assert 0 <= y0 < y1 <= room.extent[1]
            x, y = np.meshgrid(np.linspace(x0, x1, 7), np.linspace(y0, y1, 7))
            points.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.04)], 1))
        origins = np.concatenate(points)
        up = np.tile([0.0, 0.0, 1.0], (len(origins), 1))
        assert renderer.distance(origins, up).min() > 1.9, room.seed


def test_labels_that_a_kind_must_have(rooms: list[Room]) -> None:
    expected = {
        "kitchen": ("furniture",), "office": ("table", "chair"), "living room": ("sofa",), "bedroom": ("bed",),
        "bathroom": ("objects",), "corridor": ("furniture", "objects"), "hall": ("chair", "table"),
    }  # fmt: skip
    misses = 0
    for room in rooms:
        found = {LABELS[p.label] for p in room.placed}
        assert "unknown" not in found
        misses += not set(expected[room.kind]) <= found
    assert misses <= 3, misses  # a small room may have no wall left for its bed


def test_a_room_is_a_function_of_its_seed() -> None:
    a, b, other = build_room(7, "train"), build_room(7, "train"), build_room(7, "validation")
    assert a.kind == b.kind
    assert a.extent == b.extent
    assert len(a.placed) == len(b.placed)
    for p, q in zip(a.placed, b.placed, strict=True):
        assert p.name == q.name
        np.testing.assert_array_equal(p.mesh.vertices, q.mesh.vertices)
        np.testing.assert_array_equal(p.T_world_object, q.T_world_object)
    np.testing.assert_array_equal(a.free, b.free)
    assert a.lamps == b.lamps
    assert a.extent != other.extent


def test_transforms_are_rigid(rooms: list[Room]) -> None:
    for p in (p for room in rooms for p in room.placed):
        R = p.T_world_object[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_plans_keep_openings_apart_and_doors_human(kind: str) -> None:
    for seed in range(60):
        plan = make_plan(np.random.default_rng(seed), kind)
        for wall in plan.walls:
            cut = sorted(wall.openings, key=lambda o: o.a)
            for o in cut:
                assert 0 < o.a < o.b < wall.length + 1e-9
                assert 0 <= o.z0 < o.z1 <= plan.extent[2]
                if "door" in o.kind:
                    assert 1.99 <= o.z1 <= 2.13
                    assert 0.35 <= o.b - o.a <= 1.75
            for o, q in pairwise(cut):
                assert o.b < q.a
        for area in plan.areas:
            for wall in area.walls:
                middle = wall.point(wall.length / 2, 0.1)
                assert area.rect[0] < middle[0] < area.rect[2]
                assert area.rect[1] < middle[1] < area.rect[3]


def test_long_views_exist() -> None:
    """Open plans and doorways: a good share of rooms is longer than eight metres."""
    lengths = [max(make_plan(np.random.default_rng(s), KINDS[s % 7]).extent[:2]) for s in range(140)]
    assert np.mean(np.array(lengths) > 8) > 0.3


@pytest.mark.parametrize(
    ("arguments", "subject"), [((1, "training"), "split"), ((-1, "train"), "seed"), ((1, "train", "cellar"), "kind")]
)
def test_bad_arguments_are_named(arguments: tuple, subject: str) -> None:
    with pytest.raises(InputError, match=subject):
        build_room(*arguments)


def test_walls_know_their_points() -> None:
    plan = make_plan(np.random.default_rng(0), "office")
    south, east = plan.walls[0], plan.walls[1]
    assert south.point(1.0, 0.2) == pytest.approx((1.0, 0.2))
    assert east.point(1.0, 0.2) == pytest.approx((plan.extent[0] - 0.2, 1.0))
    assert east.angle == pytest.approx(math.pi / 2)
