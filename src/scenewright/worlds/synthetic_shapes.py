"""Pictures of simple shapes whose corner points are known exactly: what MagicPoint learns from.

(DeTone et al., "Toward Geometric Deep SLAM", 2017, section 3.) Drawn at four times the size and averaged down, so edges
are smooth and points lie between pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Doubles = NDArray[np.float64]
Generator = np.random.Generator
Canvas = NDArray[np.uint8]

_OVER = 4  # drawn so many times larger
_SHIFT = 3  # bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class ShapePicture:
    """A picture and its corner points.

    Args:
        image: (H, W) uint8 grey.
        points: (N, 2) float32 x, y in pixels, centres at integers, all inside the picture.
        kind: which shape.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    kind: str


def draw_shapes(generator: Generator, size: tuple[int, int] = (160, 120), kind: str | None = None) -> ShapePicture:
    """One picture, clean: no noise yet.

    Args:
        generator: the only source of randomness.
        size: (width, height), pixels.
        kind: one of `KINDS`; drawn by chance when None.

    Raises:
        InputError: an unknown kind, or a side below 32 pixels.
    """
    if min(size) < 32 or (kind is not None and kind not in KINDS):
        raise InputError("draw_shapes", f"kind {kind!r}, size {size}", f"one of {sorted(KINDS)}, 32 pixels or more")
    kind = kind or str(generator.choice(sorted(KINDS)))
    canvas = _background(generator, size[0] * _OVER, size[1] * _OVER)
    points = KINDS[kind](canvas, generator)
    sigma = float(generator.uniform(0.5, 1.2)) * _OVER / 2
    image = cv2.resize(cv2.GaussianBlur(canvas, (0, 0), sigma), size, interpolation=cv2.INTER_AREA)
    small = (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) / _OVER - 0.5
    keep = ((small >= 0) & (small <= np.array(size) - 1)).all(1)
    return ShapePicture(np.asarray(image, np.uint8), small[keep].astype(np.float32), kind)


def _background(g: Generator, width: int, height: int) -> Canvas:
    """Soft blotches: noise, blobs and a wide blur."""
    coarse = g.integers(0, 256, (6, 8)).astype(np.uint8)
    field = cv2.resize(coarse, (width // 4, height // 4), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for _ in range(int(g.integers(5, 30))):
        centre = (int(g.integers(width // 4)), int(g.integers(height // 4)))
        cv2.circle(field, centre, int(g.integers(3, 25)), float(g.uniform(0, 255)), -1)
    field = cv2.GaussianBlur(field, (0, 0), float(g.uniform(4, 16)))
    contrast, level = g.uniform(0.1, 0.6), g.uniform(60, 195)
    field = np.clip((field - field.mean()) * contrast + level, 0, 255)
    return np.asarray(cv2.resize(field, (width, height)), np.float32).astype(np.uint8)


def _colour(g: Generator, against: float) -> int:
    """A grey at least 30 levels away from another."""
    choices = np.concatenate([np.arange(0, max(int(against) - 30, 0)), np.arange(min(int(against) + 30, 255), 256)])
    return int(g.choice(choices))


def _fixed(points: Doubles) -> NDArray[np.int32]:
    return np.rint(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)


def _fill(canvas: Canvas, polygon: Doubles, colour: int) -> None:
    cv2.fillPoly(canvas, [_fixed(polygon)], colour, cv2.LINE_AA, _SHIFT)


def _line(canvas: Canvas, a: Doubles, b: Doubles, colour: int, thickness: int) -> None:
    p, q = _fixed(a).tolist(), _fixed(b).tolist()
    cv2.line(canvas, p, q, colour, thickness, cv2.LINE_AA, _SHIFT)


def _extent(canvas: Canvas) -> Doubles:
    return np.array([canvas.shape[1], canvas.shape[0]], np.float64)


def _somewhere(canvas: Canvas, g: Generator, margin: float = 0.05) -> Doubles:
    return g.uniform(margin, 1 - margin, 2) * _extent(canvas)


def _crosses(a: Doubles, b: Doubles, c: Doubles, d: Doubles) -> bool:
    """Whether two segments cut each other."""

    def side(p: Doubles, q: Doubles, r: Doubles) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _lines(canvas: Canvas, g: Generator) -> Doubles:
    """Up to nine lines that do not cross; their ends."""
    drawn: list[tuple[Doubles, Doubles]] = []
    against = float(canvas.mean())
    for _ in range(int(g.integers(1, 10))):
        a, b = _somewhere(canvas, g), _somewhere(canvas, g)
        near = any(min(_apart(p, c, d) for p in (a, b)) < 40 or _apart(c, a, b) < 40 or _apart(d, a, b) < 40
                   for c, d in drawn)  # fmt: skip
        if np.linalg.norm(b - a) < 80 or near or any(_crosses(a, b, c, d) for c, d in drawn):
            continue
        _line(canvas, a, b, _colour(g, against), int(g.integers(6, 14)))
        drawn.append((a, b))
    return np.array(drawn).reshape(-1, 2)


def _apart(p: Doubles, a: Doubles, b: Doubles) -> float:
    """Distance of a point from a segment."""
    d = b - a
    t = np.clip((p - a) @ d / max(float(d @ d), 1e-9), 0, 1)
    return float(np.linalg.norm(a + t * d - p))


def _ring(g: Generator, centre: Doubles, radius: float, corners: int) -> Doubles:
    """Corners of a star-shaped polygon about a centre."""
    step = 2 * np.pi / corners
    angles = np.arange(corners) * step + g.uniform(-0.3, 0.3, corners) * step + g.uniform(0, 2 * np.pi)
    reach = radius * g.uniform(0.55, 1.0, corners)
    return centre + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _sharp(polygon: Doubles) -> NDArray[np.bool_]:
    """Corners whose inner angle is below 150 degrees: flatter ones cannot be told from an edge."""
    before, after = np.roll(polygon, 1, 0) - polygon, np.roll(polygon, -1, 0) - polygon
    cosine = (before * after).sum(1) / np.maximum(np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1), 1e-9)
    return np.asarray(cosine > np.cos(np.radians(150)))


def _polygon(canvas: Canvas, g: Generator) -> Doubles:
    """One polygon of three to six corners."""
    ring = _ring(g, _somewhere(canvas, g, 0.25), float(g.uniform(0.2, 0.55)) * canvas.shape[0], int(g.integers(3, 7)))
    ring = ring[_sharp(ring)] if _sharp(ring).sum() >= 3 else ring[:3]
    _fill(canvas, ring, _colour(g, float(canvas.mean())))
    return ring


def _polygons(canvas: Canvas, g: Generator) -> Doubles:
    """Several polygons that do not touch, each its own grey."""
    taken: list[tuple[Doubles, float]] = []
    points: list[Doubles] = []
    for _ in range(int(g.integers(4, 30))):
        centre, radius = _somewhere(canvas, g, 0.08), float(g.uniform(0.07, 0.2)) * canvas.shape[0]
        if any(np.linalg.norm(centre - c) < radius + r + 8 for c, r in taken):
            continue
        ring = _ring(g, centre, radius, int(g.integers(3, 6)))
        _fill(canvas, ring, _colour(g, float(canvas.mean())))
        taken.append((centre, radius))
        points.append(ring[_sharp(ring)])
    return np.concatenate(points) if points else np.zeros((0, 2))


def _star(canvas: Canvas, g: Generator) -> Doubles:
    """Rays from one point; the point and the tips."""
    centre = _somewhere(canvas, g, 0.3)
    ring = _ring(g, centre, float(g.uniform(0.3, 0.6)) * canvas.shape[0], int(g.integers(3, 7)))
    against = float(canvas.mean())
    thickness = int(g.integers(6, 14))
    for tip in ring:
        _line(canvas, centre, tip, _colour(g, against), thickness)
    return np.vstack([centre, ring])


def _grid_homography(canvas: Canvas, g: Generator) -> Doubles:
    """(3, 3): the unit square onto a tilted quadrangle of the canvas."""
    extent = _extent(canvas)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    corners = (square - 0.5) * g.uniform(0.6, 1.1) + 0.5 + g.uniform(-0.14, 0.14, (4, 2))
    turn = g.uniform(-0.6, 0.6)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = ((corners - 0.5) * extent) @ spin.T + extent / 2
    return np.asarray(cv2.getPerspectiveTransform(square, target.astype(np.float32)), np.float64)


def _mapped(H: Doubles, points: Doubles) -> Doubles:
    return np.asarray(cv2.perspectiveTransform(np.asarray(points, np.float64)[None], H)[0], np.float64)


def _checkerboard(canvas: Canvas, g: Generator) -> Doubles:
    """A tilted board; all its junctions."""
    rows, columns = int(g.integers(3, 7)), int(g.integers(3, 7))
    return _board(canvas, g, np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1), checker=True)


def _stripes(canvas: Canvas, g: Generator) -> Doubles:
    """Tilted stripes of uneven width; the ends of every border."""
    inner = np.sort(g.uniform(0.1, 0.9, int(g.integers(2, 7))))
    steps = np.concatenate([[0], inner[np.diff(inner, prepend=0) > 0.08], [1]])
    return _board(canvas, g, steps, np.array([0.0, 1.0]), checker=False)


def _board(canvas: Canvas, g: Generator, xs: Doubles, ys: Doubles, checker: bool) -> Doubles:
    H, against = _grid_homography(canvas, g), float(canvas.mean())
    first = _colour(g, against)
    second = _colour(g, first)
    for i in range(len(ys) - 1):
        for j in range(len(xs) - 1):
            cell = np.array([[xs[j], ys[i]], [xs[j + 1], ys[i]], [xs[j + 1], ys[i + 1]], [xs[j], ys[i + 1]]])
            jitter = int(g.integers(-12, 13)) if checker else 0
            _fill(canvas, _mapped(H, cell), int(np.clip((first, second)[(i + j) % 2] + jitter, 0, 255)))
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    return _mapped(H, grid)


def _cube(canvas: Canvas, g: Generator) -> Doubles:
    """A box seen from a corner: three faces, seven corners."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("ZYX", [g.uniform(-0.3, 0.3), g.uniform(0.4, 1.1), g.uniform(0.4, 0.9)]).as_matrix()
    sides = g.uniform(0.2, 0.5, 3) * canvas.shape[0]
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * sides
    seen = corners @ turn.T
    flat = seen[:, :2] + _somewhere(canvas, g, 0.3)
    hidden = int(seen[:, 2].argmax())  # the camera looks along +z
    against = float(canvas.mean())
    for axis in range(3):
        bit = 4 >> axis
        near = [k for k in range(8) if (k & bit) != (hidden & bit)]
        a, b, c, d = near
        against = float(_colour(g, against))
        _fill(canvas, flat[[a, b, d, c]], int(against))
    return np.delete(flat, hidden, 0)


def _ellipses(canvas: Canvas, g: Generator) -> Doubles:
    """Round shapes: no points at all."""
    taken: list[tuple[Doubles, float]] = []
    for _ in range(int(g.integers(3, 20))):
        centre, axes = _somewhere(canvas, g), g.uniform(0.05, 0.18, 2) * canvas.shape[0]
        if any(np.linalg.norm(centre - c) < axes.max() + r + 4 for c, r in taken):
            continue
        colour = _colour(g, float(canvas.mean()))
        box = (centre.tolist(), (2 * axes).tolist(), float(g.uniform(0, 180)))
        cv2.ellipse(canvas, box, colour, -1, cv2.LINE_AA)
        taken.append((centre, float(axes.max())))
    return np.zeros((0, 2))


def _noise(canvas: Canvas, g: Generator) -> Doubles:
    """Nothing but noise."""
    grain = g.normal(0, g.uniform(10, 60), canvas.shape)
    canvas[:] = np.clip(canvas + grain, 0, 255).astype(np.uint8)
    return np.zeros((0, 2))


KINDS: dict[str, Callable[[Canvas, Generator], Doubles]] = {
    "lines": _lines,
    "polygon": _polygon,
    "polygons": _polygons,
    "star": _star,
    "checkerboard": _checkerboard,
    "stripes": _stripes,
    "cube": _cube,
    "ellipses": _ellipses,
    "noise": _noise,
}
"""name -> draws onto a canvas and says where its points are, in pixels of the canvas."""


def roughen(image: NDArray[np.uint8], generator: Generator, strength: float = 1.0) -> NDArray[np.uint8]:
    """Brightness, contrast, shade, motion blur, noise and speckle of the paper's kind, in random strengths.

    Args:
        image: (H, W) uint8. strength: 0 leaves it alone.
    """
    g, x = generator, image.astype(np.float32)
    x = (x - x.mean()) * g.uniform(1 - 0.7 * strength, 1 + 0.8 * strength) + x.mean()
    x = x + g.uniform(-50, 50) * strength
    if g.random() < 0.4 * strength:
        x = x * (1 - g.uniform(0.1, 0.5) * _shade(g, image.shape[1], image.shape[0]))
    if g.random() < 0.3 * strength:
        x = _motion(x, g, int(g.integers(2, 8)))
    x = x + (g.normal(0, 1, x.shape) * g.uniform(0, 15) * strength).astype(np.float32)
    flecks = g.random(x.shape)
    share = 0.0035 * g.random() * strength
    speckled: NDArray[np.float32] = np.where(flecks < share, 0, np.where(flecks > 1 - share, 255, x))
    return np.clip(speckled, 0, 255).astype(np.uint8)


def _shade(g: Generator, width: int, height: int) -> NDArray[np.float32]:
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(g.integers(1, 6))):
        centre, axes = (g.uniform(0, [width, height])).tolist(), g.uniform(width / 8, width / 2, 2).tolist()
        cv2.ellipse(mask, (centre, axes, float(g.uniform(0, 180))), 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), float(g.uniform(4, 15))), np.float32)


def _motion(x: NDArray[np.float32], g: Generator, length: int) -> NDArray[np.float32]:
    kernel = np.zeros((9, 9), np.float32)
    angle = g.uniform(0, np.pi)
    for t in np.linspace(-length / 2, length / 2, 33):
        kernel[round(4 + t * np.sin(angle)), round(4 + t * np.cos(angle))] = 1
    return np.asarray(cv2.filter2D(x, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), np.float32)
