"""Colours and labels of a mesh, taken from the keyframes that see its vertices.

Each vertex asks the pictures themselves, so it is as sharp as they are; a voxel would average over its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from scenewright.slam import rigid
from scenewright.slam.mesh import SurfaceMesh, diffuse, vertex_normals
from scenewright.slam.types import Keyframe

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PaintOptions:
    """How views share a vertex.

    Args:
        tolerance: difference in log depth between vertex and picture at which a view counts a quarter; it fades beyond
            and ends at ten times that, so that what no view sees well is still painted.
        gain: largest exposure correction of a keyframe, as a factor.
        smoothing: rounds in which a vertex's label evidence is averaged with its neighbours'.
        product: sum log probabilities, views as independent; False takes the mean of the probabilities, which a network
            that errs alike in neighbouring views cannot fool as fast.
    """

    tolerance: float = 0.04
    gain: float = 1.5
    smoothing: int = 16
    product: bool = False


@dataclass(frozen=True)
class Sighting:
    """The vertices that a keyframe sees: their numbers (N,), flat pixels (N,) and weights (N,)."""

    vertex: NDArray[np.int64]
    pixel: NDArray[np.int64]
    weight: Floats


def paint(mesh: SurfaceMesh, keyframes: Sequence[Keyframe], options: PaintOptions | None = None) -> SurfaceMesh:
    """The mesh with colours, and with labels where keyframes have them (0 where no view says)."""
    options = options or PaintOptions()
    normals = vertex_normals(mesh)
    sightings = [sight(mesh.vertices, normals, k, options.tolerance) for k in keyframes]
    colours = blend(mesh, keyframes, sightings, options.gain)
    labels = None
    if any(k.label_log_probabilities is not None for k in keyframes):
        evidence = label_evidence(len(mesh.vertices), keyframes, sightings, options.product)
        evidence = diffuse(mesh, evidence, options.smoothing)
        labels = np.where((evidence != 0).any(1), evidence.argmax(1), 0).astype(np.uint8)
    return replace(mesh, colours=colours, labels=labels)


def sight(vertices: Floats, normals: Floats, keyframe: Keyframe, tolerance: float) -> Sighting:
    """What a keyframe sees of (V, 3) vertices with (V, 3) normals; weights are cos / z^2, its pixels per area."""
    T = rigid.inverse(keyframe.T_world_cam)
    K = np.array(keyframe.camera.numbers, np.float64)
    pixel, weight = _sight(vertices, normals, keyframe.depth_m, K, T, tolerance)
    seen = np.flatnonzero(pixel >= 0)
    return Sighting(seen, pixel[seen], weight[seen])


@numba.njit(cache=True, nogil=True)
def _sight(vertices: Any, normals: Any, depth: Any, K: Any, T: Any, tolerance: float) -> Any:
    h, w = depth.shape
    pixel = np.full(len(vertices), -1, np.int64)
    weight = np.zeros(len(vertices), np.float32)
    for n in range(len(vertices)):
        p, q = vertices[n], normals[n]
        z = T[2, 0] * p[0] + T[2, 1] * p[1] + T[2, 2] * p[2] + T[2, 3]
        if z < 0.05:
            continue
        x = T[0, 0] * p[0] + T[0, 1] * p[1] + T[0, 2] * p[2] + T[0, 3]
        y = T[1, 0] * p[0] + T[1, 1] * p[1] + T[1, 2] * p[2] + T[1, 3]
        u, v = int(np.floor(K[0] * x / z + K[2] + 0.5)), int(np.floor(K[1] * y / z + K[3] + 0.5))
        if u < 0 or v < 0 or u >= w or v >= h or not depth[v, u] > 0:
            continue
        off = abs(np.log(z / depth[v, u])) / tolerance
        if off > 10:
            continue
        facing = 0.0
        for a in range(3):
            facing -= q[a] * (T[0, a] * x + T[1, a] * y + T[2, a] * z)
        facing = max(facing / np.sqrt(x * x + y * y + z * z), 0.05)
        pixel[n] = v * w + u
        weight[n] = facing / (z * z) / (1 + off * off) ** 2
    return pixel, weight


def blend(
    mesh: SurfaceMesh, keyframes: Sequence[Keyframe], sightings: Sequence[Sighting], most_gain: float
) -> NDArray[np.uint8]:
    """(V, 3) colours: the mean over views by squared weight, so that the best rule, once their exposures are alike."""
    gains = np.ones((len(keyframes), 3), np.float32)
    mean = _mean_colours(mesh, keyframes, sightings, gains)
    for n, (keyframe, s) in enumerate(zip(keyframes, sightings)):
        own = keyframe.image.reshape(-1, 3)[s.pixel].astype(np.float32)
        clear = (own > 20).all(1) & (own < 235).all(1) & (mean[s.vertex] > 5).all(1)
        if clear.sum() >= 100:
            gains[n] = np.median(mean[s.vertex][clear] / own[clear], axis=0)
    mean = _mean_colours(mesh, keyframes, sightings, np.clip(gains, 1 / most_gain, most_gain))
    return np.rint(mean).clip(0, 255).astype(np.uint8)


def _mean_colours(
    mesh: SurfaceMesh, keyframes: Sequence[Keyframe], sightings: Sequence[Sighting], gains: Floats
) -> Floats:
    total = np.zeros((len(mesh.vertices), 3), np.float32)
    weight = np.zeros(len(mesh.vertices), np.float32)
    for keyframe, s, gain in zip(keyframes, sightings, gains):
        w = np.square(s.weight)
        total[s.vertex] += w[:, None] * gain * keyframe.image.reshape(-1, 3)[s.pixel]
        weight[s.vertex] += w
    seen = weight > 0
    return np.where(seen[:, None], total / np.where(seen, weight, 1)[:, None], np.float32(128))


def label_evidence(count: int, keyframes: Sequence[Keyframe], sightings: Sequence[Sighting], product: bool) -> Floats:
    """(V, C) label evidence of every vertex, summed over its views by weight; zeros where no view says."""
    first = next(k.label_log_probabilities for k in keyframes if k.label_log_probabilities is not None)
    evidence = np.zeros((count, len(first)), np.float32)
    for keyframe, s in zip(keyframes, sightings):
        if keyframe.label_log_probabilities is None:
            continue
        logs = keyframe.label_log_probabilities.reshape(len(first), -1)[:, s.pixel].T.astype(np.float32)
        evidence[s.vertex] += s.weight[:, None] * (logs if product else np.exp(logs))
    return evidence
