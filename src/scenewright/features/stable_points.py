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
from scenewright.features.task import KeypointPatchSample, LiftSample

STABLE_SIDES = tuple(12 + 8 * k for k in range(1, 8))
"""Sides, in pixels, of the patches of the scales that are told apart."""
_TRIALS, _SURVIVES = 8, 0.7
_REGION = 6.0  # a SIFT keypoint's patch is 12 standard deviations wide, 6 of OpenCV's sizes
_OTHERS = 4
_SHEAR = 0.1
_SLIP, _SLIP_ANGLE = 0.04, float(np.radians(12.5))
"""What descriptors learn to forgive: 2.5 of 64 pixels, and degrees."""


class KeypointPatches:
    """Keypoints that survive changes of view, at their scale; places and scales that are none; pairs of patches.

    A keypoint is a difference-of-Gaussian point of the picture found again, at its place and scale, in 70 % of random
    homographies of it.

    Args:
        pictures: what is looked at; keypoints are found once per picture and kept.
        length: how many an epoch has.
        most: use only so many pictures, for they take a while.
    """

    def __init__(self, pictures: Pictures, length: int = 200_000, most: int = 400) -> None:
        self.pictures, self.length, self.most = pictures, length, min(most, pictures.count)
        self._known: dict[tuple[int, ...], tuple[Picture, NDArray[np.float64], NDArray[np.float64]]] = {}

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {"description": f"stable DoG points of {self.pictures.description}", "pictures": self.most}

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, generator: torch.Generator) -> KeypointPatchSample:
        """One item, by the generator alone; half are keypoints, the scales take turns."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        level, positive = index // 2 % len(STABLE_SIDES) + 1, index % 2 == 0
        grey, stable, _ = self.with_keypoints(rng, level if positive else 0)
        patch, label = self._question(rng, level, positive)
        chosen = rng.choice(len(stable), _OTHERS + 1, replace=len(stable) <= _OTHERS)
        apart = [i for i in chosen[1:] if np.linalg.norm(stable[i, :2] - stable[chosen[0], :2]) > APART_PX / 2]
        apart = (apart or [int(np.linalg.norm(stable[:, :2] - stable[chosen[0], :2], axis=1).argmax())]) * _OTHERS
        anchor, again = (_described(grey, stable[chosen[0]], rng) for _ in range(2))
        others = torch.stack([_described(grey, stable[i], rng) for i in apart[:_OTHERS]])
        return KeypointPatchSample(patch, torch.tensor(level), torch.tensor(label), anchor, again, others)

    def _question(self, rng: np.random.Generator, level: int, positive: bool) -> tuple[torch.Tensor, float]:
        """The surroundings of a keypoint of this scale, or of what is none: another place, or a scale two steps off."""
        if not positive and rng.random() < 0.5:
            grey, _, every = self.with_keypoints(rng, 0)
            return _surroundings(grey, _empty_place(grey, every, STABLE_SIDES[level - 1], rng), rng), 0.0
        shown = level
        if not positive:
            shown = level + (2 if level <= 2 or (level < len(STABLE_SIDES) - 1 and rng.random() < 0.5) else -2)
        grey, stable, _ = self.with_keypoints(rng, shown)
        of_level = stable[np.isclose(stable[:, 2], shown)]
        place = of_level[int(rng.integers(len(of_level)))][:2]
        return _surroundings(grey, place, rng), float(positive)

    def with_keypoints(
        self, rng: np.random.Generator, level: int = 0
    ) -> tuple[Picture, NDArray[np.float64], NDArray[np.float64]]:
        """A grey picture with stable keypoints, some of this level (any for 0): rows x, y, level; and all DoG points:
        x, y, side."""
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
        (N, 3) x, y, level (1 ...) of those found, within 3 pixels and a factor 1.3 in scale, in 70 % of 8 homographies;
        (M, 3) x, y, side in pixels of all DoG points.
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
    return np.column_stack([every[:, :2], level])[good], every


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


def _surroundings(grey: Picture, place: NDArray[np.float64], rng: np.random.Generator) -> torch.Tensor:
    """(1, 72, 72) in [0, 1] around a place, turned, within 2 pixels and 5 % of its scale, its contrast varied."""
    spin = _spin(rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(-0.05, 0.05))))
    return _varied(_window(grey, place + rng.uniform(-2, 2, 2), 72, spin), rng)


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

    def __init__(self, pictures: Pictures, length: int = 200_000, turn_deg: float = 180.0, most: int = 400) -> None:
        self.keypoints = KeypointPatches(pictures, length, most)
        self.turn_deg = turn_deg

    @property
    def record(self) -> dict[str, Any]:
        """Where the data come from, for the card of the weights."""
        return {**self.keypoints.record, "turn_deg": self.turn_deg}

    def __len__(self) -> int:
        return len(self.keypoints)

    def draw(self, index: int, generator: torch.Generator) -> LiftSample:
        """One quadruple, by the generator alone."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        grey, stable, every = self.keypoints.with_keypoints(rng)
        first = stable[int(rng.integers(len(stable)))]
        second = stable[int(np.linalg.norm(stable[:, :2] - first[:2], axis=1).argmax())]
        apart = stable[np.linalg.norm(stable[:, :2] - first[:2], axis=1) > APART_PX]
        second = apart[int(rng.integers(len(apart)))] if len(apart) else second
        views = [self._seen(grey, k, rng, 0.2) for k in (first, first, second)]
        side = STABLE_SIDES[int(first[2]) - 1]
        bare = np.append(_empty_place(grey, every, side, rng), first[2])
        views.append(self._seen(grey, bare, rng, 0.0))
        patches, xy, angle = zip(*views)
        slip = rng.uniform(-1, 1, (3, 3)) * [_SLIP, _SLIP, _SLIP_ANGLE]
        return LiftSample(
            torch.stack(patches),
            torch.from_numpy(np.stack(xy[:3]).astype(np.float32)),
            torch.tensor(angle[:3], dtype=torch.float32),
            torch.from_numpy(slip.astype(np.float32)),
        )

    def _seen(
        self, grey: Picture, keypoint: NDArray[np.float64], rng: np.random.Generator, shift: float
    ) -> tuple[torch.Tensor, NDArray[np.float64], float]:
        """A view, where in it the keypoint lies, and by how much it is turned."""
        turn = float(np.radians(rng.uniform(-self.turn_deg, self.turn_deg)))
        place = rng.uniform(-shift, shift, 2)  # of the patch's half width
        zoom = 2 * STABLE_SIDES[int(keypoint[2]) - 1] / 128 * float(np.exp(rng.uniform(-0.15, 0.15)))
        # the picture turns by +turn when the window reads it along -turn
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        A = zoom * spin @ (np.eye(2) + rng.uniform(-_SHEAR, _SHEAR, (2, 2)))
        offset = -A @ (place * (128 - 1) / 2)
        view = _window(grey, keypoint[:2] + offset, 128, A)
        return _varied(view, rng), place, turn
