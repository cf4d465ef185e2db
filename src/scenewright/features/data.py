"""Training and test items of the features methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.colours import vary_colours
from scenewright.errors import FormatError, InputError
from scenewright.features.task import (
    CorrespondenceSample,
    PatchPairSample,
    PointSample,
    PointSetPairSample,
)
from scenewright.worlds.credits import DRAWN_LICENCES, PHOTOGRAPHS, WORLD_LICENCES
from scenewright.worlds.synthetic_shapes import KINDS, draw_shapes, roughen

SIZE = (160, 120)


class ShapePoints:
    """Synthetic shapes, drawn when asked for: no two draws are alike.

    Args:
        length: how many an epoch has.
        roughness: 0 draws them clean, 1 as noisy as the paper trains.
        warp: strength of the random homography each picture is seen through, 0 = none.
    """

    def __init__(self, length: int = 100_000, roughness: float = 1.0, warp: float = 1.0) -> None:
        self.length, self.roughness, self.warp = length, roughness, warp

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": "synthetic shapes, drawn on the fly",
            "kinds": sorted(KINDS),
            "size": SIZE,
            "roughness": self.roughness,
            "warp": self.warp,
            "licences": list(DRAWN_LICENCES),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> PointSample:
        """One picture by the generator alone; the kinds take turns."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        return shape_sample(rng, sorted(KINDS)[index % len(KINDS)], self.roughness, self.warp)


def shape_sample(rng: np.random.Generator, kind: str, roughness: float, warp: float) -> PointSample:
    """A picture of shapes seen through a random homography, then roughened."""
    picture = draw_shapes(rng, SIZE, kind)
    image, points, valid = picture.image, picture.points, np.ones(SIZE[::-1], bool)
    if warp > 0:
        H = random_homography(rng, SIZE, warp)
        image = np.asarray(cv2.warpPerspective(image, H, SIZE, flags=cv2.INTER_LINEAR), np.uint8)
        valid = cv2.erode(cv2.warpPerspective(np.ones(SIZE[::-1], np.uint8), H, SIZE), np.ones((5, 5))) > 0
        points = cv2.perspectiveTransform(points[None].astype(np.float64), H)[0] if len(points) else points
    image = roughen(image, rng, roughness) if roughness > 0 else image
    rgb = torch.from_numpy(image).float().div(255).expand(3, -1, -1).contiguous()
    return PointSample(rgb, torch.from_numpy(mark(points, SIZE))[None], torch.from_numpy(valid)[None])


def mark(points: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool, true at the pixel nearest each point (N, 2) inside (width, height)."""
    width, height = size
    at = np.rint(np.asarray(points, np.float64).reshape(-1, 2)).astype(np.int64)
    at = at[(at[:, 0] >= 0) & (at[:, 0] < width) & (at[:, 1] >= 0) & (at[:, 1] < height)]
    marked = np.zeros((height, width), bool)
    marked[at[:, 1], at[:, 0]] = True
    return marked


def random_homography(rng: np.random.Generator, size: tuple[int, int], strength: float = 1.0) -> NDArray[np.float64]:
    """(3, 3) mapping pixels of a picture into its warped copy of the same (width, height).

    A rotation of up to 90 degrees, a scale of a fifth, corners moved by up to a fifth (SuperPoint's configuration), all
    times `strength`; drawn again until the copy's middle shows the picture and it is not mirrored.
    """
    extent = np.array(size, np.float64)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    while True:
        corners = square * (1 + strength * rng.uniform(-0.2, 0.2)) + strength * rng.uniform(-0.1, 0.1, (4, 2))
        turn = strength * rng.uniform(-np.pi / 2, np.pi / 2) * (rng.random() < 0.6)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        target = (corners * extent) @ spin.T + extent / 2 + strength * rng.uniform(-0.05, 0.05, 2) * extent
        source = (square * extent + extent / 2).astype(np.float32)
        H = np.asarray(cv2.getPerspectiveTransform(source, target.astype(np.float32)), np.float64)
        edge = np.roll(target, -1, 0) - target
        area = edge[:, 0] * np.roll(edge[:, 1], -1) - edge[:, 1] * np.roll(edge[:, 0], -1)
        if (area > 0).all():  # convex and not mirrored
            return H


_MOST = 64
"""Points in one set."""


class PointSets:
    """Pairs of planar point sets under random homographies, some points missing, some false, all a little off.

    Args:
        length: how many an epoch has.
        missing, false: the largest shares of points lost, and of false ones added, in each picture.
        jitter_px: standard deviation of every point's place.
        strength: largest strength of the homography, see `random_homography`.
    """

    def __init__(
        self, length: int = 100_000, missing: float = 0.4, false: float = 0.5, jitter_px: float = 1.0,
        strength: float = 0.35,
    ) -> None:  # fmt: skip
        self.length, self.missing, self.false, self.jitter_px, self.strength = (
            length, missing, false, jitter_px, strength,
        )  # fmt: skip

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": "planar point sets, drawn on the fly",
            "missing": self.missing,
            "false": self.false,
            "jitter_px": self.jitter_px,
            "strength": self.strength,
            "licences": list(DRAWN_LICENCES),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> PointSetPairSample:
        """One pair, by the generator alone."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        missing, false = rng.uniform(0, self.missing), rng.uniform(0, self.false)
        return point_set_pair(rng, missing, false, self.jitter_px, rng.uniform(0, self.strength))


def point_set_pair(
    rng: np.random.Generator, missing: float, false: float, jitter_px: float, strength: float
) -> PointSetPairSample:
    """Two point images of one planar set; a share `false` of the points in each is noise."""
    H = random_homography(rng, SIZE, strength)
    xy = rng.uniform(0, np.array(SIZE) - 1.0, (int(rng.integers(10, _MOST + 1)), 2))
    there = cv2.perspectiveTransform(xy[None], H)[0]
    images = [_point_image(rng, points, missing, false, jitter_px) for points in (xy, there)]
    weight = ((there >= 0) & (there <= np.array(SIZE) - 1)).all(1)
    filled = np.zeros((_MOST, 2), np.float32)
    filled[: len(xy)] = xy
    weights = np.zeros(_MOST, np.float32)
    weights[: len(xy)] = weight
    first, second = (torch.from_numpy(i.astype(np.float32))[None] for i in images)
    return PointSetPairSample(
        first, second, torch.from_numpy(H.astype(np.float32)), torch.from_numpy(filled), torch.from_numpy(weights)
    )


def _point_image(
    rng: np.random.Generator, points: NDArray[Any], missing: float, false: float, jitter_px: float
) -> NDArray[np.bool_]:
    kept = points[rng.random(len(points)) >= missing]
    kept = kept + jitter_px * rng.standard_normal(kept.shape)
    count = round(len(kept) * false / max(1 - false, 0.1))
    noise = rng.uniform(0, np.array(SIZE) - 1.0, (count, 2))
    return mark(np.concatenate([kept, noise]), SIZE)


Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Where views are cut from: any pictures that can be had by number.

    Args:
        count: how many.
        get: number -> (H, W, 3) uint8 RGB, at least 160 pixels a side.
        description: for the card of the weights.
        key: number -> what tells two pictures apart; numbers of one picture share it.
        licences: of the pictures, for the card of the weights.
    """

    count: int
    get: Callable[[int], Picture]
    description: str
    key: Callable[[int], tuple[int, ...]] = lambda index: (index,)
    licences: tuple[str, ...] = ()


def joined(sources: Sequence[Pictures], turns: Sequence[int] | None = None) -> Pictures:
    """Several sources as one, whose pictures take turns; a small source starts again when it is through.

    Args:
        sources: what is joined.
        turns: one round of them by their places in `sources`, (0, 1, 1) for twice as many of the second; each once when
            not given.
    """
    order = tuple(turns) if turns is not None else tuple(range(len(sources)))
    rounds = max(-(-source.count // order.count(k)) for k, source in enumerate(sources))

    def place(index: int) -> tuple[int, int]:
        past, turn = divmod(index, len(order))
        which = order[turn]
        number = past * order.count(which) + order[:turn].count(which)
        return which, number % sources[which].count

    def get(index: int) -> Picture:
        which, number = place(index)
        return sources[which].get(number)

    licences = tuple(dict.fromkeys(line for s in sources for line in s.licences))
    return Pictures(rounds * len(order), get, "; ".join(s.description for s in sources), place, licences)


PATCH = 64
_MARGIN = 30  # a point stays this far from the border, so that its views show picture, not padding
APART_PX = 16.0  # two points this close may show the same thing


class PatchPairs:
    """Pairs of patches, by turns of one point seen twice and of two points.

    Args:
        pictures: what the patches are cut from.
        length: how many an epoch has.
        most: use only so many pictures; their corners are found once and kept.
    """

    def __init__(self, pictures: Pictures, length: int = 200_000, most: int = 8_000) -> None:
        self.pictures, self.length = replace(pictures, count=min(most, pictures.count)), length
        self._known: Corners = {}

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": f"patches of {self.pictures.description}",
            "pictures": self.pictures.count,
            "licences": list(self.pictures.licences),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> PatchPairSample:
        """One pair, by the generator alone; even indices match."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        return patch_pair(self.pictures, rng, index % 2 == 0, self._known)


Corners = dict[tuple[int, ...], tuple[Picture, NDArray[np.float64]]]
"""Grey pictures and their corners (N, 2), by the pictures' keys."""


def patch_pair(
    pictures: Pictures, rng: np.random.Generator, same: bool, known: Corners | None = None
) -> PatchPairSample:
    """Two independent views of one point, or of two points of the same picture more than 16 pixels apart.

    Args:
        pictures: what the patches are cut from.
        rng: the only source of randomness.
        same: whether both show the same point.
        known: keeps what was found in each picture for the next call.
    """
    grey, points = _corners(pictures, rng, {} if known is None else known)
    first = points[int(rng.integers(len(points)))]
    second = first
    if not same:
        second = points[int(np.linalg.norm(points - first, axis=1).argmax())]
        apart = points[np.linalg.norm(points - first, axis=1) > APART_PX]
        second = apart[int(rng.integers(len(apart)))] if len(apart) else second
    views = [torch.from_numpy(_view(grey, p, rng))[None].float() / 255 for p in (first, second)]
    return PatchPairSample(views[0], views[1], torch.tensor(float(same)))


def _corners(pictures: Pictures, rng: np.random.Generator, known: Corners) -> tuple[Picture, NDArray[np.float64]]:
    """A grey picture and at least two of its Shi-Tomasi corners."""
    while True:
        index = int(rng.integers(pictures.count))
        key = pictures.key(index)
        if key not in known:
            known[key] = _with_corners(pictures.get(index))
        grey, points = known[key]
        if len(points) >= 2 and np.linalg.norm(points - points[0], axis=1).max() > APART_PX:
            return grey, points


def _with_corners(image: Picture) -> tuple[Picture, NDArray[np.float64]]:
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    mask = np.zeros_like(grey)
    mask[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = 1
    found = cv2.goodFeaturesToTrack(grey, 60, 0.01, 6, mask=mask)
    return grey, np.zeros((0, 2)) if found is None else found[:, 0].astype(np.float64)


def _view(grey: Picture, centre: NDArray[np.float64], rng: np.random.Generator) -> Picture:
    """(64, 64) uint8: what another camera might have made of the surroundings of a point.

    Rotation within 12.5 degrees, log scale within .175, shear within .1, shift within 2.5 pixels, contrast, brightness,
    gamma, blur and noise: the strengths on which the classical baselines were measured.
    """
    turn, zoom = np.radians(rng.uniform(-12.5, 12.5)), np.exp(rng.uniform(-0.175, 0.175))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    A = zoom * spin @ (np.eye(2) + rng.uniform(-0.1, 0.1, (2, 2)))
    middle = np.full(2, (PATCH - 1) / 2)
    M = np.column_stack([A, centre + rng.uniform(-2.5, 2.5, 2) - A @ middle])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    x = cv2.warpAffine(grey, M, (PATCH, PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    x = 255 * np.power(np.clip(x / 255, 0, 1), rng.uniform(0.6, 1.6))
    x = (x - x.mean()) * rng.uniform(0.6, 1.4) + x.mean() + rng.uniform(-40, 40)
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 2.0)))
    x = x + rng.normal(0, 1, x.shape) * rng.uniform(0, 10)
    return np.clip(x, 0, 255).astype(np.uint8)


def photo_pictures(folder: Any, names: Sequence[str] | None = None) -> Pictures:
    """The photographs of a folder, at most 480 pixels on the longer side, by name."""
    from pathlib import Path

    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [p for p in paths if names is None or p.stem in names]
    if not chosen:
        raise InputError("photo folder", f"no picture in {folder}", "JPEG or PNG files")
    images = [_fitted(p) for p in chosen]
    description = "photographs " + ", ".join(p.stem for p in chosen)
    return Pictures(len(images), images.__getitem__, description, licences=(PHOTOGRAPHS,))


def _fitted(path: Any) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FormatError(path, "a picture that cannot be decoded", "JPEG or PNG")
    scale = min(1.0, 480 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.asarray(small, np.uint8)[..., ::-1])


def room_pictures(folder: Any, split: str) -> Pictures:
    """The rendered views of rooms of one split."""
    from scenewright.worlds.dataset import RoomFrames

    frames = RoomFrames(folder, split)
    return Pictures(len(frames), lambda i: frames[i].image, f"synthetic rooms ({split})", licences=WORLD_LICENCES)


class HomographicPairs:
    """Two views of one picture with points that correspond.

    Args:
        pictures: what is seen.
        length: how many an epoch has.
        side: of both square views, pixels.
        turn_deg: largest rotation between them.
        points: correspondences of each pair.
    """

    def __init__(
        self, pictures: Pictures, length: int = 100_000, side: int = 128, turn_deg: float = 20.0, points: int = 200
    ) -> None:
        self.pictures, self.length, self.side, self.turn_deg, self.points = pictures, length, side, turn_deg, points

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": f"homographic views of {self.pictures.description}",
            "pictures": self.pictures.count,
            "turn_deg": self.turn_deg,
            "licences": list(self.pictures.licences),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> CorrespondenceSample:
        """One pair, by the generator alone."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        return homographic_pair(self.pictures, rng, self.side, self.turn_deg, self.points)


def homographic_pair(
    pictures: Pictures, rng: np.random.Generator, side: int, turn_deg: float, points: int
) -> CorrespondenceSample:
    """A window of a picture and the same under a homography: rotation, scale e^+-.2, corners +-11 and shift +-8 of 128
    pixels; colours of both vary apart. Points are Shi-Tomasi corners and places by chance, drawn with replacement."""
    while True:
        image = pictures.get(int(rng.integers(pictures.count)))
        height, width = image.shape[:2]
        corner = np.array([rng.integers(0, max(width - side, 0) + 1), rng.integers(0, max(height - side, 0) + 1)])
        shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1.0]])
        H = _between(rng, side, turn_deg)
        views = [
            cv2.warpPerspective(image, M, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            for M in (shift, H @ shift)
        ]
        xy = _points_to_see(np.asarray(views[0], np.uint8), rng, points)
        there = cv2.perspectiveTransform(xy[None], H)[0]
        source = cv2.perspectiveTransform(xy[None], np.linalg.inv(shift))[0]
        seen = ((there >= 2) & (there <= side - 3)).all(1)
        seen &= ((source >= 0) & (source <= [width - 1, height - 1])).all(1)
        if seen.sum() >= 20:
            break
    chosen = rng.choice(np.flatnonzero(seen), points, replace=True)
    first, second = (
        torch.from_numpy(np.ascontiguousarray(vary_colours(v, 0.7, rng).transpose(2, 0, 1))) for v in views
    )
    return CorrespondenceSample(
        first,
        second,
        torch.from_numpy(xy[chosen].astype(np.float32)),
        torch.from_numpy(there[chosen].astype(np.float32)),
    )


def _between(rng: np.random.Generator, side: int, turn_deg: float) -> NDArray[np.float64]:
    """(3, 3) from pixels of one square view to the other."""
    middle, unit = (side - 1) / 2, side / 128
    square = np.array([[0, 0], [side - 1, 0], [side - 1, side - 1], [0, side - 1]], np.float32)
    turn, zoom = np.radians(rng.uniform(-turn_deg, turn_deg)), np.exp(rng.uniform(-0.2, 0.2))
    spin = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = (square - middle) @ spin.T + middle + unit * (rng.uniform(-11, 11, (4, 2)) + rng.uniform(-8, 8, 2))
    return np.asarray(cv2.getPerspectiveTransform(square, target.astype(np.float32)), np.float64)


def _points_to_see(view: Picture, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(N, 2): corners, and as many places by chance."""
    found = cv2.goodFeaturesToTrack(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), count, 0.01, 4)
    corners = np.zeros((0, 2)) if found is None else found[:, 0].astype(np.float64)
    return np.concatenate([corners, rng.uniform(2, view.shape[0] - 3, (count // 2, 2))])
