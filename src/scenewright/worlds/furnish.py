"""Furnishing rules: what belongs in each kind of room and how it is arranged there."""

from __future__ import annotations

import math
from collections.abc import Callable

from scenewright.worlds import fixtures, gadgets, kitchen, parts, shell, soft, storage
from scenewright.worlds.cooking import fit_kitchen
from scenewright.worlds.decor import curtains, decorate, framed_picture, odds_and_ends, radiators, strips
from scenewright.worlds.layout import Area, Layout
from scenewright.worlds.parts import Part, chance
from scenewright.worlds.shell import Wall


def furnish(lay: Layout, area: Area) -> None:
    """Fill an area according to its kind; heavy things first, wall decoration and odds and ends last."""
    strips(lay, area)
    if area.kind in ("kitchen", "hall"):  # units along the walls come first there
        _RULES[area.kind](lay, area)
        radiators(lay, area)
    else:
        radiators(lay, area)
        _RULES[area.kind](lay, area)
    curtains(lay, area)
    decorate(lay, area)
    odds_and_ends(lay, area)


def table_group(lay: Layout, area: Area, seats: int, round_: bool = False, variant: int | None = None) -> bool:
    """A table with chairs pushed in or pulled out a little; all chairs of one kind."""
    rng = lay.rng
    variant = int(rng.integers(4)) if variant is None else variant
    per_side = max(1, math.ceil(seats / 2))
    if round_:
        table = parts.round_table(rng, lay.style, float(rng.uniform(0.8, 1.25)))
    else:
        w = max(0.8, 0.62 * per_side + float(rng.uniform(0.0, 0.35)))
        table = lay.make("table", lambda: parts.table(rng, lay.style, w, float(rng.uniform(0.75, 0.98))), 0.3)
    per_side = min(per_side, max(1, int(table.size[0] / 0.55)))
    w, d = table.size[:2]
    x0, y0, x1, y1 = area.rect
    for _ in range(14):
        yaw = float(rng.choice([0.0, math.pi / 2])) + (float(rng.normal(0, 0.25)) if chance(rng, 0.15) else 0.0)
        rw, rd = (v / 2 for v in _turned(w, d + 0.8, yaw))
        if x1 - x0 < 2 * rw or y1 - y0 < 2 * rd:
            continue
        x, y = float(rng.uniform(x0 + rw, x1 - rw)), float(rng.uniform(y0 + rd, y1 - rd))
        if lay.is_free((x - rw, y - rd, x + rw, y + rd), 0.0, 0.9) and lay.put(table, x, y, yaw):
            _seat(lay, area, table, x, y, yaw, per_side, seats, round_, variant)
            return True
    return False


def _turned(w: float, d: float, yaw: float) -> tuple[float, float]:
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    return w * c + d * s, w * s + d * c


def _seat(
    lay: Layout, area: Area, table: Part, x: float, y: float, yaw: float, per_side: int, seats: int,
    round_: bool, variant: int,
) -> None:  # fmt: skip
    """Chairs around a placed table, whose claim they may enter."""
    rng, own = lay.rng, lay.last
    w, d = table.size[:2]
    template = lay.make("chair", lambda: parts.chair(rng, lay.style, variant), 0.45)
    spots = []
    if round_:
        turn = float(rng.uniform(0, 6.28))
        spots = [(turn + i * 2 * math.pi / seats, w / 2) for i in range(seats)]
    else:
        for side in (0.0, math.pi):
            for i in range(per_side):
                along = (i + 0.5) * w / per_side - w / 2
                spots.append((side, along))
    for a, b in spots:
        if chance(rng, 0.08):
            continue
        pushed = float(rng.choice([rng.uniform(0.12, 0.24), rng.uniform(-0.2, 0.1)], p=[0.7, 0.3]))
        off = (w / 2 if round_ else d / 2) + template.size[1] / 2 - pushed
        if round_:
            lx, ly, face = off * math.cos(a), off * math.sin(a), a - math.pi / 2
        else:
            sign = 1.0 if a == 0.0 else -1.0
            lx, ly, face = b, sign * off, a
        c, s = math.cos(yaw), math.sin(yaw)
        cx, cy = x + c * lx - s * ly, y + s * lx + c * ly
        lay.put(
            template,
            cx,
            cy,
            yaw + face + float(rng.normal(0, 0.09)),
            area=area.rect,
            ignore=own,
            dress=chance(rng, 0.06),
        )


def desk_place(lay: Layout, area: Area, wall: Wall | None = None, at: tuple[float, float, float] | None = None) -> bool:
    """A desk at a wall (or anywhere, at = x, y, yaw) with its chair, screens, keyboard and papers."""
    rng = lay.rng
    desk = parts.desk(rng, lay.style)
    x, y, yaw = at or (0.0, 0.0, 0.0)
    if wall is not None:
        half = desk.size[0] / 2 + 0.01
        if wall.length < 2 * half + 0.1:
            return False
        along = float(rng.uniform(half, wall.length - half))
        x, y = wall.point(along, desk.size[1] / 2 + 0.02)
        yaw = wall.angle + math.pi
    c, s = math.cos(yaw), math.sin(yaw)
    seat = (x + 0.75 * s, y - 0.75 * c)
    if not lay.is_free((seat[0] - 0.25, seat[1] - 0.25, seat[0] + 0.25, seat[1] + 0.25), 0.1, 0.9):
        return False
    if not lay.put(desk, x, y, yaw, area=area.rect, dress=False):
        return False
    own = lay.last
    _desk_top(lay, desk, x, y, yaw)
    chair = lay.make("office chair", lambda: parts.office_chair(rng, lay.style), 0.35)
    for _ in range(3):
        off = desk.size[1] / 2 + chair.size[1] / 2 - float(rng.uniform(-0.35, 0.2))
        lx, ly = float(rng.normal(0, 0.15)), -off
        cx, cy = x + c * lx - s * ly, y + s * lx + c * ly
        if lay.put(chair, cx, cy, yaw + math.pi + float(rng.normal(0, 0.5)), area=area.rect, ignore=own):
            break
    return True


def _desk_top(lay: Layout, desk: Part, x: float, y: float, yaw: float) -> None:
    """Screens at the back, keyboard in front of them, clutter around."""
    rng, s = lay.rng, desk.surfaces[0]
    used = []
    count = int(rng.choice([0, 1, 2], p=[0.25, 0.45, 0.3]))
    screens = [gadgets.monitor(rng, lay.style) for _ in range(count)]
    total = sum(m.size[0] for m in screens) + 0.03 * count
    px = float(rng.normal(0, 0.1)) - total / 2
    px = min(max(px, s.x0), s.x1 - total)
    if total > s.x1 - s.x0:
        screens = []
    for m in screens:
        w = m.size[0]
        lay.on(m, x, y, yaw, 0.0, px + w / 2, s.y1 - 0.16, s.z, float(rng.normal(0, 0.08)))
        used.append((px, s.y1 - 0.32, px + w, s.y1))
        px += w + 0.03
    if screens or chance(rng, 0.3):
        kx, ky = (used[0][0] + used[0][2]) / 2 if used else 0.0, s.y0 + 0.17
        kx = min(max(kx, s.x0 + 0.33), s.x1 - 0.33)
        lay.on(gadgets.keyboard(rng, lay.style), x, y, yaw, 0.0, kx, ky, s.z, float(rng.normal(0, 0.06)))
        used.append((kx - 0.33, ky - 0.1, kx + 0.33, ky + 0.1))
    lay.dress(s, x, y, yaw, 0.0, used)


def _kitchen(lay: Layout, area: Area) -> None:
    fit_kitchen(lay, area)
    w, d = area.size
    room = w * d
    if room > 9:
        table_group(lay, area, int(lay.rng.choice([2, 4, 6, 8])) if room > 14 else 4, chance(lay.rng, 0.2))
    if room > 22:
        table_group(lay, area, 4, chance(lay.rng, 0.6))
    if chance(lay.rng, 0.3):
        lay.somewhere_at_wall(storage.shelf(lay.rng, lay.style), area)
    if chance(lay.rng, 0.3):
        lay.somewhere_at_wall(storage.sideboard(lay.rng, lay.style), area)


def _office(lay: Layout, area: Area) -> None:
    rng, (w, d) = lay.rng, area.size
    if w * d > 14 and chance(rng, 0.5):
        table_group(lay, area, int(rng.choice([4, 6, 8])), chance(rng, 0.2))
    if w > 4.5 and d > 4.5 and chance(rng, 0.6):
        _desk_island(lay, area)
    for _ in range(max(1, round(w * d / 8))):
        desk_place(lay, area, area.walls[int(rng.integers(len(area.walls)))])
    for _ in range(int(rng.integers(1, 4))):
        part = (
            storage.shelf(rng, lay.style, office=True) if chance(rng, 0.6) else storage.filing_cabinet(rng, lay.style)
        )
        lay.somewhere_at_wall(part, area, corner=0.4)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(fixtures.whiteboard(rng, lay.style), area, 0.95, flush=True)
    if chance(rng, 0.25):
        lay.somewhere_at_wall(lay.make("sofa", lambda: soft.sofa(rng, lay.style)), area)


def _desk_island(lay: Layout, area: Area) -> None:
    """Two or four desks face to face."""
    x0, y0, x1, y1 = area.rect
    cx, cy = float(lay.rng.uniform(x0 + 1.8, x1 - 1.8)), float(lay.rng.uniform(y0 + 1.8, y1 - 1.8))
    turn = float(lay.rng.choice([0.0, math.pi / 2]))
    for k in (0,) if chance(lay.rng, 0.5) else (-0.84, 0.84):
        for side in (0.0, math.pi):
            lx, ly = (k, -0.425) if side == 0.0 else (k, 0.425)
            c, s = math.cos(turn), math.sin(turn)
            desk_place(lay, area, at=(cx + c * lx - s * ly, cy + s * lx + c * ly, turn + side))


def _living(lay: Layout, area: Area) -> None:
    rng, style = lay.rng, lay.style
    sofa = lay.make("sofa", lambda: soft.sofa(rng, style, int(rng.integers(2, 5))))
    wall = lay.somewhere_at_wall(sofa, area, gap=float(rng.choice([0.02, 0.3])))
    if wall is not None:
        sx, sy = lay.placed[-1].T_world_object[:2, 3] if lay.placed[-1].label == sofa.label else _where(lay, sofa)
        nx, ny = -math.sin(wall.angle), math.cos(wall.angle)
        yaw = wall.angle + math.pi
        rug = soft.rug(rng, style, float(rng.uniform(1.6, 2.6)), float(rng.uniform(1.2, 1.8)))
        if chance(rng, 0.6):
            lay.put(rug, sx + 1.0 * nx, sy + 1.0 * ny, yaw, area=area.rect)
        if chance(rng, 0.8):
            far = sofa.size[1] / 2 + 0.3 + 0.3
            low = lay.make("coffee table", lambda: _coffee_table(lay), 0.4)
            far = sofa.size[1] / 2 + 0.35 + low.size[1] / 2
            lay.put(low, sx + far * nx, sy + far * ny, yaw, area=area.rect)
        across = _opposite(area, wall)
        if across is not None:
            _television(lay, area, across)
    for _ in range(int(rng.integers(0, 3))):
        seat = lay.make("armchair", lambda: soft.sofa(rng, style, 1))
        lay.somewhere(seat, area.rect) if chance(rng, 0.5) else lay.somewhere_at_wall(seat, area, gap=0.15)
    for _ in range(int(rng.integers(1, 4))):
        lay.somewhere_at_wall(lay.make("bookcase", lambda: storage.shelf(rng, style), 0.3), area, corner=0.4)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(lay.make("sideboard", lambda: storage.sideboard(rng, style), 0.4), area)
    if area.size[0] * area.size[1] > 15 and chance(rng, 0.6):
        table_group(lay, area, int(rng.choice([2, 4, 6])), chance(rng, 0.3))
    if chance(rng, 0.6):
        lay.somewhere_at_wall(lay.make("floor lamp", lambda: fixtures.floor_lamp(rng, style), 0.4), area, corner=0.7)


def _where(lay: Layout, part: Part) -> tuple[float, float]:
    """Position of the last placed copy of a part."""
    found = next(p for p in reversed(lay.placed) if p.mesh is part.mesh)
    return float(found.T_world_object[0, 3]), float(found.T_world_object[1, 3])


def _coffee_table(lay: Layout) -> Part:
    rng = lay.rng
    if chance(rng, 0.25):
        return parts.round_table(rng, lay.style, float(rng.uniform(0.6, 0.9)), 0.43)
    return parts.table(rng, lay.style, float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.5, 0.65)), 0.43, "coffee")


def _opposite(area: Area, wall: Wall) -> Wall | None:
    """The wall across the area, if it has one."""
    for other in area.walls:
        if math.cos(other.angle - wall.angle) < -0.9:
            return other
    return None


def _television(lay: Layout, area: Area, wall: Wall) -> None:
    """A low cupboard with a television on or above it."""
    rng = lay.rng
    tv = lay.make("tv", lambda: fixtures.television(rng, lay.style, False), 0.2)
    low = storage.sideboard(rng, lay.style, float(rng.uniform(1.3, 1.9)), float(rng.uniform(0.42, 0.58)))
    for _ in range(6):
        if wall.length < low.size[0] + 0.1:
            return
        along = float(rng.uniform(low.size[0] / 2, wall.length - low.size[0] / 2))
        x, y = wall.point(along, low.size[1] / 2 + 0.02)
        yaw, h = wall.angle + math.pi, low.size[2]
        if lay.at_wall(low, wall, along, gap=0.02, dress=False, area=area.rect):
            if lay.put(tv, x, y, yaw, h):
                s = low.surfaces[0]
                taken = [(-tv.size[0] / 2, -tv.size[1] / 2, tv.size[0] / 2, tv.size[1] / 2)]
                lay.dress(s, x, y, yaw, 0.0, taken)
            return


def _bedroom(lay: Layout, area: Area) -> None:
    rng, style = lay.rng, lay.style
    bed = lay.make("bed", lambda: soft.bed(rng, style))
    wall = lay.somewhere_at_wall(bed, area, gap=0.03, tries=30)
    if wall is not None:
        bx, by = _where(lay, bed)
        c, s = math.cos(wall.angle), math.sin(wall.angle)
        stand = lay.make("nightstand", lambda: storage.nightstand(rng, style), 0.4)
        for sign in (-1, 1):
            along = (bx - wall.start[0]) * c + (by - wall.start[1]) * s
            along += sign * (bed.size[0] / 2 + stand.size[0] / 2 + 0.06)
            lay.at_wall(stand, wall, along, gap=0.03, area=area.rect)
        if chance(rng, 0.4):
            lay.somewhere(soft.rug(rng, style, 1.6, 1.1), area.rect, turn=False)
    lay.somewhere_at_wall(lay.make("wardrobe", lambda: storage.wardrobe(rng, style), 0.4), area, corner=0.8, tries=20)
    if chance(rng, 0.5):
        desk_place(lay, area, area.walls[int(rng.integers(len(area.walls)))])
    for maker in (storage.sideboard, storage.shelf):
        if chance(rng, 0.5):
            lay.somewhere_at_wall(maker(rng, style), area)
    if chance(rng, 0.4):
        lay.somewhere_at_wall(parts.chair(rng, style), area, gap=0.1)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(fixtures.mirror(rng, style, float(rng.uniform(0.4, 0.8)), 1.5), area, 0.2, flush=True)


def _bathroom(lay: Layout, area: Area) -> None:
    rng, style = lay.rng, lay.style
    if min(area.size) > 1.75 and chance(rng, 0.6):
        lay.somewhere_at_wall(
            lay.make("bathtub", lambda: fixtures.bathtub(rng, style), 0.4), area, corner=1.0, tries=20
        )
    if chance(rng, 0.55):
        lay.somewhere_at_wall(fixtures.shower(rng, style), area, corner=1.0, tries=20, gap=0.0)
    basin = lay.make("washbasin", lambda: fixtures.washbasin(rng, style), 0.25)
    wall = lay.somewhere_at_wall(basin, area, tries=25)
    if wall is not None:
        bx, by = _where(lay, basin)
        along = (bx - wall.start[0]) * math.cos(wall.angle) + (by - wall.start[1]) * math.sin(wall.angle)
        w = min(basin.size[0], float(rng.uniform(0.45, 1.0)))
        lay.at_wall(fixtures.mirror(rng, style, w, float(rng.uniform(0.6, 0.9))), wall, along, 1.15, flush=True)
    lay.somewhere_at_wall(lay.make("toilet", lambda: fixtures.toilet(rng, style), 0.4), area, tries=25)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(lay.make("washing machine", lambda: _washer(lay), 0.6), area, corner=0.6)
    for _ in range(int(rng.integers(1, 4))):
        lay.somewhere_at_wall(fixtures.towel(rng, style), area, float(rng.uniform(0.7, 1.0)), flush=True)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(storage.shelf(rng, style, 0.4, 1.6), area)
    for _ in range(int(rng.integers(1, 3))):
        lay.somewhere_at_wall(storage.wall_shelf(rng, style, 0.45), area, float(rng.uniform(1.2, 1.7)), gap=0.0)


def _washer(lay: Layout) -> Part:
    return kitchen.base_unit(lay.rng, lay.style, 0.6, 0.85, "washer")


def _corridor(lay: Layout, area: Area) -> None:
    rng, style = lay.rng, lay.style
    if chance(rng, 0.7):
        lay.somewhere_at_wall(fixtures.coats(rng, style, float(rng.uniform(0.6, 1.4))), area, 0.55, flush=True)
    for _ in range(int(rng.integers(1, 4))):
        maker = [storage.sideboard, storage.shelf, storage.wardrobe, storage.filing_cabinet][int(rng.integers(4))]
        lay.somewhere_at_wall(maker(rng, style), area)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(parts.chair(rng, style), area, gap=0.05)
    if chance(rng, 0.4):
        lay.somewhere_at_wall(fixtures.mirror(rng, style, 0.5, 1.4), area, 0.4, flush=True)
    for _ in range(int(rng.integers(2, 6))):
        lay.somewhere_at_wall(framed_picture(lay), area, float(rng.uniform(1.2, 1.5)), flush=True)
    if chance(rng, 0.5):
        lay.somewhere_at_wall(fixtures.extinguisher(rng, style), area, 0.4)


def _hall(lay: Layout, area: Area) -> None:
    rng, style = lay.rng, lay.style
    for _ in range(int(rng.integers(0, 4))):
        lay.somewhere(shell.pillar(rng, style, lay.height - 1e-3), area.rect, turn=False, margin=0.5)
    if chance(rng, 0.4):
        fit_kitchen(lay, area)
    variant, room = int(rng.integers(4)), area.size[0] * area.size[1]
    for _ in range(max(2, round(room / 16))):
        table_group(lay, area, int(rng.choice([4, 6, 8, 10])), chance(rng, 0.3), variant)
    for _ in range(int(rng.integers(1, 4))):
        lay.somewhere_at_wall(lay.make("sofa", lambda: soft.sofa(rng, style)), area)
    for _ in range(int(rng.integers(2, 5))):
        maker = [storage.sideboard, storage.shelf, storage.filing_cabinet][int(rng.integers(3))]
        lay.somewhere_at_wall(maker(rng, style), area)
    for _ in range(int(rng.integers(1, 4))):
        lay.somewhere(gadgets.potted_plant(rng, style, float(rng.uniform(0.9, 2.1))), area.rect, margin=0.2)


_RULES: dict[str, Callable[[Layout, Area], None]] = {
    "kitchen": _kitchen, "office": _office, "living room": _living, "bedroom": _bedroom, "bathroom": _bathroom,
    "corridor": _corridor, "hall": _hall,
}  # fmt: skip
