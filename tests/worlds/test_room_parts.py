"""Furniture: every maker gives a sound mesh on the floor, in human size, with surfaces on it."""

from collections.abc import Callable

import numpy as np
import pytest

from scenewright.labels import LABELS
from scenewright.worlds import clutter, fixtures, gadgets, kitchen, parts, soft, storage
from scenewright.worlds.parts import Part
from scenewright.worlds.style import ROLES, Style, make_style

Make = Callable[[np.random.Generator, Style], Part]
STANDING: dict[str, Make] = {
    **{m.__name__: m for makers in clutter.USES.values() for m, _ in makers},
    "chair": parts.chair, "office chair": parts.office_chair, "stool": parts.stool, "desk": parts.desk,
    "table": lambda r, s: parts.table(r, s, 1.6, 0.9), "round": lambda r, s: parts.round_table(r, s, 1.1),
    "sofa": soft.sofa, "bed": soft.bed, "shelf": storage.shelf, "wardrobe": storage.wardrobe,
    "sideboard": storage.sideboard, "filing": storage.filing_cabinet, "nightstand": storage.nightstand,
    "fridge": kitchen.fridge, "tall": lambda r, s: kitchen.tall_unit(r, s, 0.6, 2.1, "oven"),
    "base": lambda r, s: kitchen.base_unit(r, s, 0.6, 0.88, "drawers"),
    "toilet": fixtures.toilet, "basin": fixtures.washbasin, "bath": fixtures.bathtub, "shower": fixtures.shower,
    "bin": fixtures.bin_, "floor lamp": fixtures.floor_lamp, "curtain": lambda r, s: soft.curtain(r, s, 0.5, 2.3),
}  # fmt: skip


@pytest.fixture(scope="module")
def style() -> Style:
    return make_style(np.random.default_rng(1), "kitchen", "train")


def check_mesh(part: Part) -> None:
    """Indices, shapes, unit normals, and a size that holds the mesh."""
    m = part.mesh
    n = len(m.faces)
    assert m.uv.shape == (n, 3, 2)
    assert m.normals.shape == (n, 3, 3)
    assert m.material.shape == (n,)
    assert 0 <= m.faces.min() <= m.faces.max() < len(m.vertices)
    assert 0 <= m.material.min() <= m.material.max() < len(m.materials)
    assert np.isfinite(m.vertices).all()
    assert np.isfinite(m.uv).all()
    np.testing.assert_allclose(np.linalg.norm(m.normals, axis=-1), 1, atol=1e-3)
    reach = np.abs(m.vertices).max(0)
    assert 2 * reach[0] <= part.size[0] + 1e-4
    assert 2 * reach[1] <= part.size[1] + 1e-4
    assert m.vertices[:, 2].max() <= part.size[2] + 1e-4
    assert 0 <= part.label < len(LABELS)


@pytest.mark.parametrize("name", sorted(STANDING))
def test_standing_things_rest_on_the_floor(name: str, style: Style) -> None:
    for seed in range(6):
        part = STANDING[name](np.random.default_rng(seed), style)
        check_mesh(part)
        low = float(part.mesh.vertices[:, 2].min())
        assert -0.013 <= low <= 0.035, name  # a plant's leaf, a lid's rim, a hanging hem may miss by a finger
        for s in part.surfaces:
            assert s.x0 < s.x1
            assert s.y0 < s.y1
            assert 0 < s.z <= part.size[2] + 1e-6
            assert max(abs(s.x0), abs(s.x1)) <= part.size[0] / 2 + 1e-3


def test_human_sizes(style: Style) -> None:
    """Sizes that a network learns scale from: within five per cent or so of the usual."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = parts.table(rng, style, 1.6, 0.9)
        assert 0.71 < table.size[2] < 0.77
        assert 0.70 < parts.desk(rng, style).size[2] < 0.77
        assert 0.74 < parts.chair(rng, style).size[2] < 1.02
        assert 0.35 < parts.chair(rng, style).size[0] < 0.6
        assert 0.08 < clutter.mug(rng, style).size[2] < 0.105
        assert 0.42 < gadgets.keyboard(rng, style).size[0] < 0.66
        assert 0.84 < fixtures.washbasin(rng, style).size[2] < 1.0


def test_chair_seats_are_at_knee_height(style: Style) -> None:
    for seed in range(12):
        m = parts.chair(np.random.default_rng(seed), style).mesh
        p = m.vertices[m.faces]
        flat = (np.abs(m.normals[:, :, 2]).min(1) > 0.9) & (np.abs(p[..., :2]).max((1, 2)) < 0.3)
        heights = p[flat][..., 2]
        assert ((heights > 0.42) & (heights < 0.49)).any()


def test_worktops_lie_at_their_height_with_sink_and_hob(style: Style) -> None:
    top = kitchen.worktop(np.random.default_rng(0), style, 2.4, 0.9, -0.6, 0.6)
    check_mesh(top)
    free = [s for s in top.surfaces if s.use == "worktop"]
    assert all(s.z == pytest.approx(0.9) for s in free)
    for s in free:
        assert not s.x0 < -0.6 < s.x1
        assert not s.x0 < 0.6 < s.x1
    assert any(s.use == "hob" for s in top.surfaces)


def test_books_fit_between_the_boards(style: Style) -> None:
    for seed in range(10):
        part = storage.shelf(np.random.default_rng(seed), style)
        inside = np.abs(part.mesh.vertices[:, 0]) <= part.size[0] / 2 + 1e-5
        assert inside.all()
        assert len(part.mesh.faces) > 50


def test_every_role_of_a_style_is_there() -> None:
    for seed, kind in enumerate(("kitchen", "office", "bathroom", "corridor")):
        made = make_style(np.random.default_rng(seed), kind, "test")
        for role in ROLES:
            assert min(made[role].material.albedo) >= 0
            assert max(made[role].material.albedo) <= 1


def test_styles_of_different_splits_share_no_print() -> None:
    def prints(split: str) -> set[int]:
        found = set()
        for seed in range(8):
            s = make_style(np.random.default_rng(seed), "office", split)
            found |= {id(f.material.texture) for f in (*s.pages, *s.pictures, *s.labels)}
        return found

    assert not prints("train") & prints("test")
    assert not prints("train") & prints("validation")
