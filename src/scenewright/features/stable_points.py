"""Keypoints that survive changes of view, and the patches around them that detectors and descriptors learn from."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.errors import InputError
from scenewright.features.data import APART_PX, Picture, Pictures, random_homography
from scenewright.features.scale_space import DEVIATIONS, blobs, survival
from scenewright.features.task import KeypointPatchSample, LiftSample

STABLE_SIDES = tuple(12 + 8 * k for k in range(1, 8))
"""Sides, in pixels, of the patches of the scales that are told apart."""
_TRIALS, _SURVIVES = 8, 0.7
_REGION = 6.0  # a SIFT keypoint's patch is 12 standard deviations wide, 6 of OpenCV's sizes
_OTHERS = 4
WINDOW = 116
"""Side, in pixels, of the windows in which keypoints are learned."""
_SIZES = (0.45, 0.75, 1.25, 2.0)
"""A picture is looked at so many times larger."""
_SHEAR = 0.1
_SLIP, _SLIP_ANGLE, _SLIP_ZOOM = 0.04, float(np.radians(16)), 0.2
"""What descriptors learn to forgive: 2.5 of 64 pixels, degrees, and a log scale."""


class KeypointPatches:
    """Windows in which blobs are keypoints as far as changes of view let them be found again; pairs of patches.

    The patches are cut around stable difference-of-Gaussian points, see `stable_keypoints`.

    Args:
        pictures: what is looked at; keypoints are found once per picture and size and kept.
        length: how many an epoch has.
        most: use only so many pictures, for they take a while.
    """

    def __init__(self, pictures: Pictures, length: int = 200_000, most: int = 400) -> None:
        self.pictures, self.length, self.most = pictures, length, min(most, pictures.count)
        self._known: dict[tuple[int, ...], tuple[Picture, NDArray[np.float64], NDArray[np.float64]]] = {}
        self._blobs: dict[tuple[int, ...], tuple[Picture, NDArray[np.float64]]] = {}

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {
            "description": f"blobs and DoG points of {self.pictures.description}",
            "pictures": self.most,
            "licences": list(self.pictures.licences),
        }

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> KeypointPatchSample:
        """One item, by the generator alone."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        patch, keypoint, known = self._window(rng)
        grey, stable, _ = self.with_keypoints(rng)
        chosen = rng.choice(len(stable), _OTHERS + 1, replace=len(stable) <= _OTHERS)
        apart = [i for i in chosen[1:] if np.linalg.norm(stable[i, :2] - stable[chosen[0], :2]) > APART_PX / 2]
        apart = (apart or [int(np.linalg.norm(stable[:, :2] - stable[chosen[0], :2], axis=1).argmax())]) * _OTHERS
        anchor, again = (_described(grey, stable[chosen[0]], rng) for _ in range(2))
        others = torch.stack([_described(grey, stable[i], rng) for i in apart[:_OTHERS]])
        return KeypointPatchSample(patch, keypoint, known, anchor, again, others)

    def _window(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, 116, 116) of a picture of some size, turned by any angle, varied; how much each cell of the grid of
        stride 4 is a keypoint of each scale, and where that is known."""
        grey, found = self._with_blobs(int(rng.integers(self.most)), int(rng.integers(len(_SIZES))))
        extent = np.array(grey.shape[::-1], np.float64)
        centre = rng.uniform(np.minimum(50, extent / 2), np.maximum(extent - 50, extent / 2))
        A = _spin(rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(-0.05, 0.05))))
        view = _varied(_window(grey, centre, WINDOW, A), rng)
        xy = (found[:, :2] - centre) @ np.linalg.inv(A).T + (WINDOW - 1) / 2
        cells = 4 * np.arange((WINDOW - STABLE_SIDES[0]) // 4 + 1, dtype=np.float64) + (STABLE_SIDES[0] - 1) / 2
        there = np.stack(np.meshgrid(cells, cells), -1) - (WINDOW - 1) / 2
        source = there @ A.T + centre
        known = ((source >= 2) & (source <= extent - 3)).all(2)
        keypoint = _bumps(np.column_stack([xy, found[:, 2:]]), cells)
        return view, torch.from_numpy(keypoint), torch.from_numpy(known)[None]

    def _with_blobs(self, index: int, size: int) -> tuple[Picture, NDArray[np.float64]]:
        """A grey picture resized, and its blobs: rows x, y, side, share of views in which it is found again."""
        key = (*self.pictures.key(index), size)
        if key not in self._blobs:
            image = cv2.cvtColor(self.pictures.get(index), cv2.COLOR_RGB2GRAY)
            how = cv2.INTER_AREA if _SIZES[size] < 1 else cv2.INTER_LINEAR
            grey = np.asarray(cv2.resize(image, None, fx=_SIZES[size], fy=_SIZES[size], interpolation=how), np.uint8)
            found = blobs(grey, STABLE_SIDES)
            share = survival(grey, found, STABLE_SIDES, np.random.default_rng([*key, 23]))
            seen = np.isfinite(share)
            self._blobs[key] = grey, np.column_stack([found, share])[seen]
        return self._blobs[key]

    def with_keypoints(
        self, rng: np.random.Generator, level: int = 0
    ) -> tuple[Picture, NDArray[np.float64], NDArray[np.float64]]:
        """A grey picture with stable keypoints, some of this level (any for 0): rows x, y, level, side; and all DoG
        points: x, y, side."""
        for _ in range(2000):
            index = int(rng.integers(self.most))
            key = self.pictures.key(index)
            if key not in self._known:
                grey = np.asarray(cv2.cvtColor(self.pictures.get(index), cv2.COLOR_RGB2GRAY), np.uint8)
                self._known[key] = (grey, *stable_keypoints(grey, np.random.default_rng([*key, 17])))
            grey, stable, every = self._known[key]
            if len(stable) >= 2 and (level == 0 or np.isclose(stable[:, 2], level).any()):
                return grey, stable, every
        raise InputError("pictures", f"no stable keypoint of scale {level} in {self.most} of them", "textured pictures")


def stable_keypoints(grey: Picture, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """DoG points that come back.

    Returns:
        (N, 4) x, y, level (1 ...), side in pixels of those found, within 3 pixels and a factor 1.3 in scale, in 70 % of
        8 homographies; (M, 3) x, y, side of all DoG points.
    """
    sift = cv2.SIFT.create(contrastThreshold=0.02)
    every = _dog(sift, grey)
    hits, size = np.zeros(len(every)), (grey.shape[1], grey.shape[0])
    for _ in range(_TRIALS):
        H = random_homography(rng, size, 0.5)
        found = _dog(sift, np.asarray(cv2.warpPerspective(grey, H, size, borderMode=cv2.BORDER_REFLECT), np.uint8))
        if len(every) and len(found):
            hits += _found_again(every, found, H)
    low, high = STABLE_SIDES[0] - 4, STABLE_SIDES[-1] + 4
    good = (hits >= _SURVIVES * _TRIALS) & (every[:, 2] >= low) & (every[:, 2] < high)
    level = np.clip(np.rint((every[:, 2] - 12) / 8), 1, len(STABLE_SIDES))
    return np.column_stack([every[:, :2], level, every[:, 2]])[good], every


def _dog(sift: Any, grey: Picture) -> NDArray[np.float64]:
    rows = [(*k.pt, _REGION * k.size) for k in sift.detect(grey, None)]
    return np.unique(np.array(rows, np.float64).reshape(-1, 3), axis=0)  # one row per place, not per orientation


def _found_again(every: NDArray[np.float64], found: NDArray[np.float64], H: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie, mapped, by a found point of the mapped size."""
    there = cv2.perspectiveTransform(every[None, :, :2], H)[0]
    step = cv2.perspectiveTransform(np.stack([every[:, :2] + d for d in ([1, 0], [0, 1])]).reshape(1, -1, 2), H)[0]
    a, b = step.reshape(2, -1, 2) - there
    zoom = np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]))
    near = cKDTree(there).sparse_distance_matrix(cKDTree(found[:, :2]), 3.0, output_type="ndarray")
    alike = np.abs(np.log(found[near["j"], 2] / (every[:, 2] * zoom)[near["i"]].clip(1e-6))) < np.log(1.3)
    again = np.zeros(len(every), bool)
    again[near["i"][alike]] = True
    return again


def _empty_place(grey: Picture, every: NDArray[np.float64], side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place at least side / 4 away from every DoG point of about this size."""
    like = every[np.abs(np.log(every[:, 2] / side)) < np.log(1.5)]
    place = np.zeros(2)
    for _ in range(30):
        place = rng.uniform(10, np.array(grey.shape[::-1]) - 10.0)
        if len(like) == 0 or np.linalg.norm(like[:, :2] - place, axis=1).min() >= side / 4:
            break
    return place


def _bumps(found: NDArray[np.float64], cells: NDArray[np.float64]) -> NDArray[np.float32]:
    """How much a keypoint of each scale k lies at each place of a square grid, (K, h, h): the largest of
    share exp(-(d^2 / s^2 + log^2(side_k / side) / t^2) / 2) over all keypoints, rows x, y, side, share.

    s is the keypoint's own deviation, side / 12, at least 2 pixels, and t a fifth: as wide as its peak in scale space.
    """
    reach = 2 * found[:, 2:3] / DEVIATIONS
    near = ((found[:, :2] > cells[0] - reach) & (found[:, :2] < cells[-1] + reach)).all(1)
    x, y, side, share = found[near].astype(np.float32).T
    spread, places = np.maximum(side / np.float32(DEVIATIONS), 2), cells.astype(np.float32)
    across, down = (np.exp(-(((places - p[:, None]) / spread[:, None]) ** 2) / 2) for p in (x, y))
    sides = np.array(STABLE_SIDES, np.float32)[:, None]
    scale = share * np.exp(-((np.log(sides / side) / np.float32(0.2)) ** 2) / 2)
    bumps = np.zeros((len(STABLE_SIDES), len(cells), len(cells)), np.float32)
    for k, height in enumerate(scale):
        near = height > 0.02
        if near.any():
            bumps[k] = ((height[near, None] * down[near])[:, :, None] * across[near, None]).max(0)
    return bumps


def _described(grey: Picture, keypoint: NDArray[np.float64], rng: np.random.Generator) -> torch.Tensor:
    """(1, 32, 32) in [0, 1]: 1.5 times a keypoint's patch, slightly turned, moved, stretched and scaled."""
    side = 1.5 * STABLE_SIDES[int(keypoint[2]) - 1]
    spin = _spin(np.radians(rng.uniform(-15, 15)), side / 32 * float(np.exp(rng.uniform(-0.175, 0.175))))
    A = spin @ (np.eye(2) + rng.uniform(-_SHEAR, _SHEAR, (2, 2)))
    return _varied(_window(grey, keypoint[:2] + rng.uniform(-0.05, 0.05, 2) * side, 32, A), rng)


def _spin(turn: float, zoom: float) -> NDArray[np.float64]:
    return zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def _window(grey: Picture, centre: NDArray[np.float64], side: int, A: NDArray[np.float64]) -> Picture:
    """(side, side): the picture read at centre + A (pixel - middle); where A shrinks, every sample is the mean of
    2x2 or 3x3, so that nothing aliases."""
    finer = int(np.clip(round(float(np.sqrt(abs(np.linalg.det(A))))), 1, 3))
    size = (finer * side, finer * side)
    M = np.column_stack([A / finer, centre - A / finer @ np.full(2, (finer * side - 1) / 2)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(grey, M, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(view if finer == 1 else cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _varied(view: Picture, rng: np.random.Generator) -> torch.Tensor:
    """(1, side, side) in [0, 1] with contrast, brightness, gamma, sharpness and noise of another camera."""
    levels = 255 * np.power(np.arange(256) / 255, rng.uniform(0.6, 1.6))
    mean = float(levels[view].mean())
    levels = (levels - mean) * rng.uniform(0.6, 1.4) + mean + rng.uniform(-40, 40)
    x = levels.astype(np.float32)[view]
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 2.0) * len(view) / 64))
    x = x + np.float32(rng.uniform(0, 10)) * rng.standard_normal(x.shape, np.float32)
    return torch.from_numpy(np.clip(x / 255, 0, 1))[None]


class LiftPatches:
    """LIFT's quadruples, cut around stable keypoints (see `KeypointPatches`).

    Args:
        pictures: what is looked at.
        length: how many an epoch has.
        turn_deg: largest rotation of each view.
        most: use only so many pictures.
    """

    def __init__(self, pictures: Pictures, length: int = 200_000, turn_deg: float = 180.0, most: int = 800) -> None:
        self.keypoints = KeypointPatches(pictures, length, most)
        self.turn_deg = turn_deg

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        where = f"stable DoG points of {self.keypoints.pictures.description}"
        return {**self.keypoints.record, "description": where, "turn_deg": self.turn_deg}

    def __len__(self) -> int:
        return len(self.keypoints)

    def draw(self, index: int, generator: torch.Generator) -> LiftSample:
        """One quadruple, by the generator alone."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        grey, stable, every = self.keypoints.with_keypoints(rng)
        like = stable[stable[:, 2] == rng.choice(np.unique(stable[:, 2]))]  # small keypoints are far more frequent
        first = like[int(rng.integers(len(like)))]
        second = stable[int(np.linalg.norm(stable[:, :2] - first[:2], axis=1).argmax())]
        apart = stable[np.linalg.norm(stable[:, :2] - first[:2], axis=1) > APART_PX]
        second = apart[int(rng.integers(len(apart)))] if len(apart) else second
        views = [self._seen(grey, k, rng, 0.2) for k in (first, first, second)]
        bare = np.array([*_empty_place(grey, every, round(first[3]), rng), *first[2:]])
        views.append(self._seen(grey, bare, rng, 0.0))
        patches, xy, angle, zoom = zip(*views)
        slip = rng.uniform(-1, 1, (3, 3)) * [_SLIP, _SLIP, _SLIP_ANGLE]
        return LiftSample(
            torch.stack(patches),
            torch.from_numpy(np.stack(xy[:3]).astype(np.float32)),
            torch.tensor(angle[:3], dtype=torch.float32),
            torch.tensor(zoom[:3], dtype=torch.float32),
            torch.from_numpy(slip.astype(np.float32)),
        )

    def _seen(
        self, grey: Picture, keypoint: NDArray[np.float64], rng: np.random.Generator, shift: float
    ) -> tuple[torch.Tensor, NDArray[np.float64], float, float]:
        """A view, where in it the keypoint lies, by how much it is turned, and log2 of how much larger it is."""
        turn = float(np.radians(rng.uniform(-self.turn_deg, self.turn_deg)))
        place = rng.uniform(-shift, shift, 2)  # of the patch's half width
        larger = rng.uniform(-_SLIP_ZOOM, _SLIP_ZOOM)
        step = 2 * keypoint[3] / 128 * float(np.exp(-larger))
        # the picture turns by +turn when the window reads it along -turn
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        A = step * spin @ (np.eye(2) + rng.uniform(-_SHEAR, _SHEAR, (2, 2)))
        offset = -A @ (place * (128 - 1) / 2)
        view = _window(grey, keypoint[:2] + offset, 128, A)
        return _varied(view, rng), place, turn, larger / np.log(2)
