"""What goes onto walls, windows and free floor: radiators, curtains, carpet strips, pictures, sockets, plants, bins."""

from __future__ import annotations

from functools import partial

from scenewright.worlds import clutter, fixtures, gadgets, parts, soft, storage
from scenewright.worlds.layout import Area, Layout
from scenewright.worlds.parts import Part, chance


def strips(lay: Layout, area: Area) -> None:
    """Sometimes a strip of carpet along one side of the floor."""
    w, d = area.size
    if area.kind not in ("office", "hall", "living room", "corridor") or not chance(lay.rng, 0.25):
        return
    x0, y0, x1, y1 = area.rect
    if chance(lay.rng, 0.5):
        part = soft.rug(lay.rng, lay.style, w, min(d, float(lay.rng.uniform(1.2, 2.5))), "carpet")
        y = y0 + part.size[1] / 2 if chance(lay.rng, 0.5) else y1 - part.size[1] / 2
        lay.put(part, (x0 + x1) / 2, y, check=False)
    else:
        part = soft.rug(lay.rng, lay.style, min(w, float(lay.rng.uniform(1.2, 2.5))), d, "carpet")
        lay.put(
            part, x0 + part.size[0] / 2 if chance(lay.rng, 0.5) else x1 - part.size[0] / 2, (y0 + y1) / 2, check=False
        )


def radiators(lay: Layout, area: Area) -> None:
    """Radiators below windows that leave room for one."""
    for wall in area.walls:
        for o in wall.openings:
            if o.kind == "window" and o.z0 > 0.6 and chance(lay.rng, 0.6):
                w, h = (
                    (o.b - o.a) * float(lay.rng.uniform(0.6, 0.95)),
                    min(o.z0 - 0.1, float(lay.rng.uniform(0.5, 0.75))),
                )
                part = fixtures.radiator(lay.rng, lay.style, w, h)
                lay.at_wall(part, wall, (o.a + o.b) / 2, gap=0.03)


def curtains(lay: Layout, area: Area) -> None:
    """Curtains beside windows of rooms that people live in."""
    share = {"living room": 0.6, "bedroom": 0.75, "office": 0.15, "hall": 0.25}.get(area.kind, 0.1)
    for wall in area.walls:
        for o in wall.openings:
            if o.kind != "window" or not chance(lay.rng, share):
                continue
            h = min(lay.height - 0.05, o.z1 + 0.15)
            for end in (o.a - 0.08, o.b + 0.08):
                w = float(lay.rng.uniform(0.25, 0.5))
                part = soft.curtain(lay.rng, lay.style, w, h)
                half = part.size[0] / 2
                along = min(max(end, half + 0.01), wall.length - half - 0.01)
                x, y = wall.point(along, 0.1)
                part_free = lay.is_free((x - 0.1, y - 0.1, x + 0.1, y + 0.1), 0.3, h - 0.3)
                if part_free:
                    lay.at_wall(part, wall, along, gap=0.045)


def framed_picture(lay: Layout) -> Part:
    w, h = [(0.3, 0.4), (0.5, 0.7), (0.42, 0.594), (0.594, 0.84), (0.9, 0.6), (1.2, 0.8), (0.25, 0.25)][
        int(lay.rng.integers(7))
    ]
    return fixtures.picture(lay.rng, lay.style, w, h)


def decorate(lay: Layout, area: Area) -> None:
    """Pictures, notices, shelves, clocks, sockets, switches, cables on the walls."""
    rng, style = lay.rng, lay.style
    around = sum(w.length for w in area.walls)
    busy = {"kitchen": 0.8, "office": 1.2, "bathroom": 0.2, "corridor": 0.8}.get(area.kind, 1.0)
    for _ in range(int(rng.poisson(0.22 * around * busy))):
        lay.somewhere_at_wall(framed_picture(lay), area, float(rng.uniform(1.2, 1.6)), flush=True, tries=5)
    if area.kind in ("kitchen", "office", "corridor", "hall") and chance(rng, 0.6):
        for _ in range(int(rng.integers(1, 4))):
            part = fixtures.notices(rng, style, float(rng.uniform(0.3, 1.4)))
            lay.somewhere_at_wall(part, area, float(rng.uniform(1.0, 1.5)), flush=True, tries=5)
    if area.kind != "corridor" and chance(rng, 0.5):
        part = storage.wall_shelf(rng, style, float(rng.uniform(0.5, 1.4)))
        lay.somewhere_at_wall(part, area, float(rng.uniform(1.15, 1.7)), gap=0.0, tries=6)
    if chance(rng, 0.3):
        lay.somewhere_at_wall(fixtures.clock(rng, style), area, 1.95, flush=True, tries=5)
    if chance(rng, 0.25):
        lay.somewhere_at_wall(fixtures.television(rng, style, True), area, 1.3, flush=True, tries=4)
    for _ in range(int(rng.poisson(0.25 * around))):
        part = fixtures.socket(rng, style, int(rng.integers(1, 4)), chance(rng, 0.4))
        lay.somewhere_at_wall(part, area, 0.34 if chance(rng, 0.7) else 1.12, flush=True, gap=0.0, tries=3)
    for wall in area.walls:
        for o in wall.openings:
            if o.z0 == 0.0 and o.kind != "passage":
                side = o.b + 0.2 if chance(rng, 0.5) else o.a - 0.2
                lay.at_wall(fixtures.socket(rng, style), wall, side, 1.1, 0.0, flush=True)


def odds_and_ends(lay: Layout, area: Area) -> None:
    """Plants, bins, bags and boxes on the floor."""
    rng, style, (w, d) = lay.rng, lay.style, area.size
    for _ in range(int(rng.poisson(0.9 if area.kind in ("bathroom", "corridor") else 1.5))):
        h = float(rng.uniform(0.4, 1.9))
        part = lay.make("plant", partial(gadgets.potted_plant, rng, style, h), 0.4)
        lay.somewhere_at_wall(part, area, gap=0.03, corner=0.6, tries=6)
    makers = (fixtures.bin_, clutter.cardboard_box, clutter.handbag, fixtures.bin_, parts.stool, clutter.cardboard_box)
    for _ in range(int(rng.poisson(0.12 * w * d * lay.density))):
        maker = makers[int(rng.integers(len(makers)))]
        part = lay.make(maker.__name__, partial(maker, rng, style), 0.3)
        lay.somewhere_at_wall(part, area, gap=0.03, tries=6) if chance(rng, 0.75) else lay.somewhere(
            part, area.rect, tries=5
        )
    if chance(rng, 0.04):
        person = lay.supply("person", rng)
        if person is not None:
            lay.somewhere(person, area.rect, margin=0.05)
