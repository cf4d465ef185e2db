"""Floor plans and the placing of things: every plan is a building, and no two things are given the same space."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.labels import LABELS
from scenewright.worlds import cooking, looks
from scenewright.worlds.layout import Area, Layout, footprint, rotated
from scenewright.worlds.parts import Part, part
from scenewright.worlds.plan import KINDS, Plan, make_plan
from scenewright.worlds.roles import ROLES, label_of
from scenewright.worlds.shell import Opening, Wall, floor_and_ceiling, pillar, wall_parts
from scenewright.worlds.solids import MeshBuilder, plain
from scenewright.worlds.style import Style, make_style

GREY = plain((0.5, 0.5, 0.5))
SEEDS = range(12)
kinds = pytest.mark.parametrize("kind", KINDS)
numbers = st.floats(0, 5)


@pytest.fixture(scope="module")
def style() -> Style:
    return make_style(np.random.default_rng(0), "office", "train")


@pytest.fixture
def layout(style: Style) -> Layout:
    return Layout(np.random.default_rng(3), style, 2.5, lambda role, rng: None)


def plans(kind: str) -> list[Plan]:
    return [make_plan(np.random.default_rng([seed, 5]), kind) for seed in SEEDS]


def block(w: float, d: float, h: float) -> Part:
    builder = MeshBuilder()
    builder.box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), GREY)
    return part(builder, "block", "objects")


class TestPlans:
    @kinds
    def test_openings_lie_in_their_wall_and_apart(self, kind: str) -> None:
        for plan in plans(kind):
            for wall in plan.walls:
                for o in wall.openings:
                    assert 0 <= o.a < o.b <= wall.length + 1e-9
                    assert 0 <= o.z0 < o.z1 <= plan.extent[2] + 1e-9
                for first, second in pairwise(wall.openings):
                    assert first.b < second.a

    @kinds
    def test_people_can_pass_doors_and_light_comes_in_or_a_door_leads_out(self, kind: str) -> None:
        for plan in plans(kind):
            openings = [o for wall in plan.walls for o in wall.openings]
            for o in openings:
                if o.kind != "window":
                    assert o.z0 == 0
                    assert o.b - o.a >= 0.7
                    assert o.z1 >= 1.95
            assert openings

    @kinds
    def test_areas_lie_apart_and_in_the_building(self, kind: str) -> None:
        for plan in plans(kind):
            assert plan.areas[0].kind == kind
            for x0, y0, x1, y1 in (area.rect for area in plan.areas):
                assert 0 <= x0 < x1 <= plan.extent[0] + 1e-9
                assert 0 <= y0 < y1 <= plan.extent[1] + 1e-9
            for a, b in combinations([area.rect for area in plan.areas], 2):
                assert a[3] <= b[1] + 1e-9 or b[3] <= a[1] + 1e-9

    @kinds
    def test_every_area_lies_on_the_left_of_its_walls(self, kind: str) -> None:
        for plan in plans(kind):
            for area in plan.areas:
                middle = ((area.rect[0] + area.rect[2]) / 2, (area.rect[1] + area.rect[3]) / 2)
                for wall in area.walls:
                    along = np.subtract(wall.end, wall.start)
                    to = np.subtract(middle, wall.start)
                    assert along[0] * to[1] - along[1] * to[0] > 0

    @kinds
    def test_walls_close_a_single_room(self, kind: str) -> None:
        for plan in plans(kind):
            if len(plan.areas) == 1:
                for wall, following in zip(plan.walls, [*plan.walls[1:], plan.walls[0]]):
                    assert wall.end == pytest.approx(following.start)

    def test_the_same_seed_gives_the_same_plan(self) -> None:
        assert plans("kitchen") == plans("kitchen")
        assert len({plan.extent for plan in plans("kitchen")}) == len(SEEDS)


class TestWalls:
    @given(numbers, numbers, st.floats(0.5, 5), st.floats(-3.1, 3.1), numbers, st.floats(-2, 2))
    def test_points_along_a_wall(
        self, x: float, y: float, length: float, angle: float, along: float, off: float
    ) -> None:
        wall = Wall((x, y), (x + length * math.cos(angle), y + length * math.sin(angle)), 0.2)
        assert wall.length == pytest.approx(length)
        assert wall.point(0) == pytest.approx(wall.start)
        assert wall.point(wall.length) == pytest.approx(wall.end, abs=1e-9)
        p = np.subtract(wall.point(along, off), wall.start)
        direction = np.array([math.cos(angle), math.sin(angle)])
        assert p @ direction == pytest.approx(along, abs=1e-9)
        assert p @ [-direction[1], direction[0]] == pytest.approx(off, abs=1e-9)  # left is into the room

    @pytest.mark.parametrize(
        ("openings", "open_m2"),
        [
            ((), 0.0),
            ((Opening(1, 2, 0, 2, "passage"),), 2.0),
            ((Opening(0.5, 1.5, 0.9, 2.1, "window"),), 1.2),
            ((Opening(0.5, 1.5, 0.9, 2.1, "window"), Opening(2, 3, 0, 2, "door")), 3.2),
            ((Opening(1, 2, 0, 2.5, "passage"),), 2.5),
        ],
    )
    def test_a_wall_is_as_large_as_its_rectangle_less_its_holes(
        self, style: Style, openings: tuple[Opening, ...], open_m2: float
    ) -> None:
        """Volume by the divergence theorem; a partition (both) ends with its length, outer walls go round corners."""
        wall = Wall((0, 0), (4, 0), 0.2, openings, both=True)
        made = wall_parts(np.random.default_rng(0), style, wall, 2.5, "wall", skirting=False)
        assert volume(made[0].mesh) == pytest.approx(0.2 * (4 * 2.5 - open_m2), rel=1e-5)

    def test_windows_have_glass_and_doors_have_leaves(self, style: Style) -> None:
        openings = (Opening(0.4, 1.2, 0, 2, "door"), Opening(1.6, 2.4, 0, 2, "passage"), Opening(3, 4, 1, 2, "window"))
        made = wall_parts(np.random.default_rng(1), style, Wall((0, 0), (5, 0), 0.2, openings), 2.5, "wall", True)
        names = [p.name for p in made]
        assert names.count("door frame") == 2
        assert names.count("door") == 1
        assert names.count("window pane") == 1
        assert names.count("skirting") == 1
        pane = next(p for p in made if p.name == "window pane")
        assert pane.label == LABELS.index("window")
        assert max(m.emission for m in pane.mesh.materials) > 0

    def test_things_in_openings_stand_in_them(self, style: Style) -> None:
        wall = Wall((1, 7), (1, 2), 0.2, (Opening(1, 2.2, 0.9, 2.1, "window"),))
        made = wall_parts(np.random.default_rng(1), style, wall, 2.5, "wall", False)
        pane = next(p for p in made if p.name == "window pane")
        v = pane.mesh.vertices @ pane.T_world_object[:3, :3].T + pane.T_world_object[:3, 3]
        assert v[:, 1].min() == pytest.approx(4.8, abs=1e-5)
        assert v[:, 1].max() == pytest.approx(6.0, abs=1e-5)
        assert (v[:, 0] < 1).all(), "glass lies within the wall, which extends to the right of its direction"

    def test_slabs_and_pillars(self, style: Style) -> None:
        floor, ceiling = floor_and_ceiling(style, 0, 0, 3, 2, 2.4)
        assert floor.mesh.vertices[:, 2].max() == 0
        assert ceiling.mesh.vertices[:, 2].min() == pytest.approx(2.4)
        assert (floor.label, ceiling.label) == (LABELS.index("floor"), LABELS.index("ceiling"))
        for seed in range(4):
            assert pillar(np.random.default_rng(seed), style, 2.4).size[2] == pytest.approx(2.4, abs=1e-5)


def volume(mesh) -> float:
    """Of a closed mesh: sum of the tetrahedra from the origin."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


class TestLayout:
    @given(st.lists(st.tuples(numbers, numbers, numbers, st.floats(0.01, 2), st.floats(0.01, 2), st.floats(0.01, 2)),
                    min_size=1, max_size=6))  # fmt: skip
    def test_space_is_free_exactly_where_no_claim_is(self, boxes: list[tuple[float, ...]]) -> None:
        lay = Layout(np.random.default_rng(0), None, 9.0, lambda role, rng: None)  # type: ignore[arg-type]
        *taken, asked = [((x, y, x + w, y + d), z, z + h) for x, y, z, w, d, h in boxes]
        for rect, z0, z1 in taken:
            lay.claim(rect, z0, z1)

        def overlap(a: tuple, b: tuple) -> bool:
            (r, r0, r1), (q, q0, q1) = a, b
            sides = [(r[0], r[2], q[0], q[2]), (r[1], r[3], q[1], q[3]), (r0, r1, q0, q1)]
            return all(lo < other_hi and hi > other_lo for lo, hi, other_lo, other_hi in sides)

        assert lay.is_free(*asked, tolerance=0.0) == (not any(overlap(asked, t) for t in taken))

    def test_a_claim_can_be_ignored_and_forgotten(self, layout: Layout) -> None:
        layout.claim((0, 0, 1, 1), 0, 1)
        assert not layout.is_free((0, 0, 1, 1), 0, 1)
        assert layout.is_free((0, 0, 1, 1), 0, 1, ignore=layout.last)
        assert layout.is_free((0, 0, 1, 1), 1, 2)
        assert layout.is_free((1, 0, 2, 1), 0, 1)
        layout.forget()
        assert layout.is_free((0, 0, 1, 1), 0, 1)

    def test_only_what_stands_there_is_solid(self, layout: Layout) -> None:
        layout.reserve((0, 0, 1, 1), 0, 2)
        assert layout.solid().shape == (0, 6)
        layout.claim((2, 0, 3, 1), 0, 2)
        assert layout.solid().tolist() == [[2, 0, 3, 1, 0, 2]]

    def test_nothing_is_put_where_something_is_or_out_of_the_area(self, layout: Layout) -> None:
        area = (0.0, 0.0, 4.0, 3.0)
        assert layout.put(block(1, 1, 1), 1, 1, area=area)
        assert not layout.put(block(1, 1, 1), 1.5, 1, area=area)
        assert not layout.put(block(1, 1, 1), 3.8, 1, area=area)
        assert not layout.put(block(0.1, 0.1, 2.6), 3, 2), "higher than the room"
        assert layout.put(block(1, 1, 1), 1, 1, z=1.0, area=area), "on top of it"
        assert layout.put(block(1, 1, 1), 1.5, 1, check=False)
        assert len(layout.placed) == 3
        assert len(layout.focus) == 3

    def test_margins_keep_things_apart(self, layout: Layout) -> None:
        assert layout.put(block(1, 1, 1), 1, 1)
        assert not layout.put(block(1, 1, 1), 2.1, 1, margin=0.2)
        assert layout.put(block(1, 1, 1), 2.3, 1, margin=0.2)

    @pytest.mark.parametrize("wall", [Wall((0, 0), (4, 0), 0.2), Wall((4, 0), (4, 3), 0.2), Wall((4, 3), (0, 3), 0.2)])
    def test_at_a_wall_the_back_is_at_the_wall(self, layout: Layout, wall: Wall) -> None:
        thing = block(0.8, 0.4, 1)
        assert layout.at_wall(thing, wall, 1.5, gap=0.01)
        placed = layout.placed[-1]
        back = placed.T_world_object @ [0, 0.2, 0, 1]  # +y is a part's back
        assert back[:2] == pytest.approx(wall.point(1.5, 0.01), abs=1e-6)  # sizes are those of float32 vertices

    def test_a_wall_must_be_long_enough(self, layout: Layout) -> None:
        wall = Wall((0, 0), (2, 0), 0.2)
        assert not layout.at_wall(block(0.8, 0.4, 1), wall, 0.2)
        assert not layout.at_wall(block(0.8, 0.4, 1), wall, 1.8)
        area = Area((0, 0, 2, 2), (wall,), "office")
        assert layout.somewhere_at_wall(block(2.5, 0.4, 1), area) is None
        assert layout.somewhere_at_wall(block(1.0, 0.4, 1), area) is wall

    def test_a_full_area_takes_nothing_more(self, layout: Layout) -> None:
        rect = (0.0, 0.0, 3.0, 2.0)
        while layout.somewhere(block(0.5, 0.5, 0.5), rect, tries=20):
            assert len(layout.placed) <= 24, "no more than fit side by side"
        assert len(layout.placed) >= 3

    @given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(-7, 7), numbers, numbers)
    def test_footprints_against_the_rotated_box(self, w: float, d: float, yaw: float, x: float, y: float) -> None:
        rect = footprint(block(w, d, 1), x, y, yaw)
        width, depth = rotated((w, d), yaw)
        expected = (x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)
        assert rect == pytest.approx(expected, abs=1e-5)

    def test_the_library_is_asked_by_role(self, style: Style) -> None:
        asked = []
        lay = Layout(np.random.default_rng(0), style, 2.5, lambda role, rng: asked.append(role))
        made = lay.make("chair", lambda: block(1, 1, 1), share=1.0)
        assert made.name == "block"
        assert asked == ["chair"]
        lay.make("chair", lambda: block(1, 1, 1), share=0.0)
        assert asked == ["chair"]


class TestKitchens:
    @given(st.floats(0.45, 9), st.integers(0, 2**32 - 1))
    def test_units_fill_a_run_exactly(self, length: float, seed: int) -> None:
        widths = cooking._modules(np.random.default_rng(seed), length)
        assert sum(widths) == pytest.approx(length)
        assert max(widths) < 0.95
        assert min(widths) > 0.15

    @pytest.mark.parametrize("seed", range(3))
    def test_worktops_have_one_height_and_units_stand_below(self, style: Style, seed: int) -> None:
        walls = tuple(Wall(a, b, 0.2) for a, b in pairwise([(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]))
        lay = Layout(np.random.default_rng(seed), style, 2.6, lambda role, rng: None)
        cooking.fit_kitchen(lay, Area((0, 0, 4, 4), walls, "kitchen"))
        tops = [p for p in lay.placed if p.name == "worktop"]
        assert tops
        heights = {round(float(p.mesh.vertices[:, 2].max() + p.T_world_object[2, 3]), 2) for p in tops}
        assert all(0.85 < h < 1.4 for h in heights)  # the tap stands above
        for p in lay.placed:
            v = p.mesh.vertices @ p.T_world_object[:3, :3].T + p.T_world_object[:3, 3]
            assert v[:, :2].min() > -0.05, p.name
            assert v[:, :2].max() < 4.05, p.name

    def test_a_room_without_a_wall_long_enough_has_no_kitchen(self, style: Style) -> None:
        wall = Wall((0, 0), (1.0, 0), 0.2)
        lay = Layout(np.random.default_rng(0), style, 2.6, lambda role, rng: None)
        cooking.fit_kitchen(lay, Area((0, 0, 1, 1), (wall,), "kitchen"))
        assert lay.placed == []


class TestLooks:
    def test_splits_never_share_a_picture(self) -> None:
        """Views, prints: many draws of each split, compared by content."""
        seen: dict[str, set[bytes]] = {}
        for split in ("train", "validation", "test"):
            rng = np.random.default_rng(1)
            finishes = [looks.outside(rng, split) for _ in range(12)]
            finishes += [looks.print_finish(rng, split, "label") for _ in range(4)]
            seen[split] = {f.material.texture.tobytes() for f in finishes if f.material.texture is not None}
            assert len(seen[split]) > 5
        for a, b in combinations(seen.values(), 2):
            assert not a & b

    def test_shades_reflect_no_more_than_all_light(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            finish = looks.surface(rng, "train", "plaster", [(0.9, 0.9, 0.9)], variants=1, spread=0.5)
            assert max(finish.material.albedo) <= 1
            assert min(finish.material.albedo) > 0

    def test_windows_glow_from_night_to_glare(self) -> None:
        levels = [looks.outside(np.random.default_rng(seed), "train").material.emission for seed in range(60)]
        assert min(levels) < 0.1
        assert 2.5 < max(levels) <= 8

    def test_prints_can_be_asked_for_in_a_format(self) -> None:
        for wide, landscape in ((0, True), (1, False)):
            image = looks.print_finish(np.random.default_rng(2), "train", "picture", wide=wide).material.texture
            assert image is not None
            assert (image.shape[1] > image.shape[0]) == landscape


class TestRoles:
    @pytest.mark.parametrize(
        ("category", "name", "label"),
        [
            ("Living room", "Armchair", "chair"),
            ("Living room", "Sofa 3 seats", "sofa"),
            ("Living room", "Coffee table", "table"),
            ("Bedroom", "Bedside table", "furniture"),
            ("Bedroom", "Iron bed", "bed"),
            ("Living room", "TV 16:9", "tv"),
            ("Living room", "TV stand", "furniture"),
            ("Living room", "TV remote control", "objects"),
            ("Doors and windows", "French window", "window"),
            ("Doors and windows", "Garage door", "wall"),
            ("Kitchen", "Large fridge", "furniture"),
            ("Miscellaneous", "Tennis table", "objects"),
            ("Lights", "Floor lamp", "objects"),
            ("Vehicles", "Car seat", "objects"),
            ("Office", "Office CHAIR", "chair"),
            ("Bathroom", "Bathmat", "floor"),
        ],
    )
    def test_labels_by_name(self, category: str, name: str, label: str) -> None:
        assert label_of(category, name) == label
        assert label in LABELS

    def test_rules_ask_for_name_size_and_place(self) -> None:
        rule = ROLES["chair"]
        size = (0.45, 0.5, 0.9)
        assert rule.matches("Kitchen", "Oak chair", size, 0.0)
        assert not rule.matches("Exterior", "Oak chair", size, 0.0)
        assert not rule.matches("Kitchen", "Oak chairs", size, 0.0)
        assert not rule.matches("Kitchen", "Oak chair", size, 0.5), "it hangs"
        assert not rule.matches("Kitchen", "Oak chair", (0.45, 0.5, 1.9), 0.0)
        assert ROLES["washbasin"].matches("Bathroom", "washbasin", (0.5, 0.4, 0.4), 0.6)

    @pytest.mark.parametrize("role", ROLES)
    def test_bounds_are_sizes(self, role: str) -> None:
        rule = ROLES[role]
        assert all(0 <= a < b for a, b in zip(rule.smallest, rule.largest))
