"""Fusing the label distributions of several views: Bayes, mean, and the confidence counter of the paper's map.

All functions take and return arrays with the classes in front, (C, ...): an image, a voxel list, a single point.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Probabilities = NDArray[np.float32]
FLOOR = 1e-3  # no single view may rule a class out
CLIP = -10.0  # least log probability kept, so that a map can still change its mind


def soften(probabilities: Probabilities, temperature: float = 2.0, floor: float = FLOOR) -> Probabilities:
    """A network's over-confident softmax (C, ...) made honest: p^(1/temperature), at least `floor`, normalised.

    Raises:
        InputError: see `_checked`; a temperature below 1 or a floor outside [0, 1/C).
    """
    p = _checked(probabilities)
    if not temperature >= 1 or not 0 <= floor < 1 / len(p):
        raise InputError("soften", f"temperature {temperature}, floor {floor}", "at least 1, and in [0, 1/C)")
    p = p ** (1 / temperature)
    p /= p.sum(0)
    return np.asarray(floor + (1 - floor * len(p)) * p, np.float32)


class LabelFusion(Protocol):
    """A running estimate of the label of every element from the views that saw it."""

    def add(self, probabilities: Probabilities, weight: float | NDArray[np.float32] = 1.0) -> None:
        """Take in one view: (C, ...) probabilities; `weight` >= 0 (...), 0 where the view saw nothing."""

    def probabilities(self) -> Probabilities:
        """(C, ...) present estimate; uniform where nothing was seen."""


class BayesFusion:
    """log p_c += weight * log p_c(view), normalised and clipped to [-10, 0] (views taken as independent)."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        self.log_probabilities = np.full((classes, *shape), -np.log(classes), np.float32)

    def add(self, probabilities: Probabilities, weight: float | NDArray[np.float32] = 1.0) -> None:
        """Take in one view."""
        p = _checked(probabilities, self.log_probabilities.shape)
        total = self.log_probabilities + _weights(weight) * np.log(np.maximum(p, np.exp(CLIP)))
        self.log_probabilities = normalise_log(total)

    def probabilities(self) -> Probabilities:
        """(C, ...) present estimate."""
        p = np.exp(self.log_probabilities)
        return np.asarray(p / p.sum(0), np.float32)


class MeanFusion:
    """The weighted mean of the views' probabilities: slower to believe, slower to be fooled."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        self.sums = np.zeros((classes, *shape), np.float32)

    def add(self, probabilities: Probabilities, weight: float | NDArray[np.float32] = 1.0) -> None:
        """Take in one view."""
        self.sums += _weights(weight) * _checked(probabilities, self.sums.shape)

    def probabilities(self) -> Probabilities:
        """(C, ...) present estimate."""
        total = self.sums.sum(0)
        return np.where(total > 0, self.sums / np.maximum(total, 1e-12), np.float32(1 / len(self.sums)))


class CounterFusion:
    """One label and one confidence per element (the Global Segmentation Model of Tateno 2015, as CNN-SLAM uses it):
    a view that agrees adds one, one that differs takes one away, and at zero the label is replaced.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], cap: int = 10) -> None:
        self.classes, self.cap = classes, cap
        self.label = np.zeros(shape, np.int64)
        self.confidence = np.zeros(shape, np.int64)

    def add(self, probabilities: Probabilities, weight: float | NDArray[np.float32] = 1.0) -> None:
        """Take in one view's likeliest labels; where `weight` is 0 nothing changes."""
        new = _checked(probabilities, (self.classes, *self.label.shape)).argmax(0)
        seen = np.broadcast_to(np.asarray(weight) > 0, self.label.shape)
        replace = seen & (self.confidence == 0)
        step = np.where(new == self.label, 1, -1)
        self.confidence = np.where(
            replace, 1, np.where(seen, np.clip(self.confidence + step, 0, self.cap), self.confidence)
        )
        self.label = np.where(replace, new, self.label)

    def probabilities(self) -> Probabilities:
        """(C, ...): the label's share grows from uniform (confidence 0) towards 1 - FLOOR at the cap."""
        share = self.confidence / self.cap
        uniform = 1 / self.classes
        one_hot = self.label[None] == np.arange(self.classes).reshape(-1, *[1] * self.label.ndim)
        peak = uniform + share * (1 - FLOOR - uniform)
        rest = (1 - peak) / (self.classes - 1)
        return np.where(one_hot, peak, rest).astype(np.float32)


def normalise_log(log_probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, ...) log probabilities that sum to one, clipped to [-10, 0]."""
    top = log_probabilities.max(0)
    total = top + np.log(np.exp(log_probabilities - top).sum(0))
    return np.clip(log_probabilities - total, CLIP, 0.0).astype(np.float32)


def _weights(weight: float | NDArray[np.float32]) -> NDArray[np.float32]:
    w = np.asarray(weight, np.float32)
    if not np.isfinite(w).all() or (w < 0).any():
        raise InputError("label weight", f"{w.min()} .. {w.max()}", "finite and not negative")
    return w


def _checked(probabilities: Probabilities, shape: tuple[int, ...] | None = None) -> Probabilities:
    """Raises InputError unless the columns of (C >= 2, ...) are distributions to within 1 % (and of the shape)."""
    p = np.asarray(probabilities, np.float32)
    if p.ndim < 1 or p.shape[0] < 2 or (shape is not None and p.shape != shape):
        raise InputError(
            "label probabilities", p.shape, "(C, ...) with two or more classes" if shape is None else shape
        )
    if not np.isfinite(p).all() or (p < 0).any() or np.abs(p.sum(0) - 1).max(initial=0) > 0.01:
        raise InputError("label probabilities", "columns that do not sum to one", "a softmax over the first axis")
    return p
