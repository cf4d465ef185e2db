"""Features of keyframes that survive a walk around the room: those of its level surfaces as they look from above.

A descriptor stands some 30 degrees between two views. Floors and tables, drawn as from above with the keyframe's own
depth, look alike from all sides (viewpoint-invariant patches, Wu et al., CVPR 2008, here of level planes only).
Lengths are shares of the map's own median depth, so that the map's unit does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.sample import image_tensor
from scenewright.features.task import Features
from scenewright.slam import rigid
from scenewright.slam.features import FeatureSource, lift
from scenewright.slam.types import Keyframe

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PlanOptions:
    """What is drawn as from above. Lengths are shares of the map's median depth.

    Args:
        pixels, reach: side of the square picture in pixels, and its length.
        levels: surfaces per keyframe at most. least_share: of the pixels that one must hold.
        bin: height of the slices that are counted to find them. lowest, highest: how far below the camera.
        thickness: distance of a pixel's point from its surface, as a share of its own depth.
        tilt_deg: how far from upright cameras are held.
        features: at most, of one picture.
    """

    pixels: int = 320
    reach: float = 1.7
    levels: int = 2
    least_share: float = 0.08
    bin: float = 0.02
    lowest: float = 1.5
    highest: float = 0.12
    thickness: float = 0.07
    tilt_deg: float = 40.0
    features: int = 1000


@dataclass(frozen=True)
class Landmarks:
    """Features of one picture, placed in an upright world.

    Args:
        keyframe: id. from_above: whether the picture is a plan.
        points: (N, 3) world, z up. axes: (N, 3) from a point along its feature's direction, as long as a third of its
            region; NaN where the features have no direction or the depth breaks off.
    """

    keyframe: int
    from_above: bool
    features: Features
    points: Array
    axes: Array


@dataclass(frozen=True)
class Plan:
    """A level surface from above.

    Args:
        image: (S, S, 3) uint8. on: (S, S) which pixels lie on the surface.
        M: (3, 3); the world's point of pixel (u, v) is M (u, v, 1).
    """

    image: NDArray[np.uint8]
    on: Mask
    M: Array


def median_depth(keyframes: Sequence[Keyframe]) -> float:
    """Of all known pixels, in metres."""
    known = np.concatenate([k.depth_m[::8, ::8].ravel() for k in keyframes])
    return float(np.median(known[known > 0])) if (known > 0).any() else 1.0


def upright(keyframes: Sequence[Keyframe], options: PlanOptions | None = None) -> Array:
    """(3, 3) rotation of a world to axes with z against gravity: the commonest normal near the cameras' own up."""
    within = (options or PlanOptions()).tilt_deg
    normals = np.concatenate([_normals(_world_points(k, 4)) for k in keyframes])
    up = -np.mean([k.T_world_cam[:3, 1] for k in keyframes], 0)
    for angle_deg in (within, within / 2, within / 4, within / 4):
        cosine = normals @ up / np.linalg.norm(up)
        near = np.abs(cosine) > np.cos(np.radians(angle_deg))
        if near.sum() >= 10:
            up = (normals[near] * np.sign(cosine[near])[:, None]).sum(0)
    up = up / np.linalg.norm(up)
    across = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(up, across), up])


def landmarks(
    keyframe: Keyframe, R: Array, depth: float, source: FeatureSource, options: PlanOptions | None = None
) -> list[Landmarks]:
    """What a keyframe shows: its picture's features and those of its plans.

    Args:
        R: `upright` of its map. depth: median of its map, metres.
    """
    o, up = options or PlanOptions(), R[2]
    T = keyframe.T_world_cam

    def in_picture(xy: NDArray[np.float32]) -> Array:
        X = lift(xy, keyframe.depth_m, keyframe.camera)
        X[(xy < 0).any(1) | (xy > np.array(keyframe.depth_m.shape[::-1]) - 1).any(1)] = np.nan
        return np.asarray((X @ T[:3, :3].T + T[:3, 3]) @ R.T)

    features = source.features(image_tensor(keyframe.image), o.features)
    out = [_placed(keyframe.id, False, features, in_picture)]
    for height in surfaces(keyframe, up, depth, o):
        plan = draw(keyframe, up, height, depth, o)
        out.append(_of_plan(keyframe.id, plan, R, source, o))
    return [seen for seen in out if len(seen.points)]


def _of_plan(id: int, plan: Plan, R: Array, source: FeatureSource, options: PlanOptions) -> Landmarks:
    features = source.features(image_tensor(plan.image), options.features)
    u, v = np.rint(features.xy.numpy()).astype(int).T
    return _placed(
        id,
        True,
        features[torch.from_numpy(plan.on[v, u])],
        lambda xy: np.column_stack([xy, np.ones(len(xy))]) @ plan.M.T @ R.T,
    )


def _placed(id: int, from_above: bool, features: Features, place: Callable[[NDArray[np.float32]], Array]) -> Landmarks:
    """Features with their places, without those that have none."""
    points = place(features.xy.numpy())
    known = np.isfinite(points).all(1)
    features, points = features[torch.from_numpy(known)], points[known]
    if features.angle_deg is None or features.radius_px is None:
        return Landmarks(id, from_above, features, points, np.full_like(points, np.nan))
    angle, xy = np.radians(features.angle_deg.numpy()), features.xy.numpy()
    along = features.radius_px.numpy()[:, None] / 3 * np.stack([np.cos(angle), np.sin(angle)], 1)
    axes = (place((xy + along).astype(np.float32)) - place((xy - along).astype(np.float32))) / 2
    return Landmarks(id, from_above, features, points, axes)


def surfaces(keyframe: Keyframe, up: Array, depth: float, options: PlanOptions) -> list[float]:
    """Heights (world, along `up`) of the largest level surfaces below a camera, largest first."""
    o, eye = options, float(keyframe.T_world_cam[:3, 3] @ up)
    below = eye - _world_points(keyframe, 2).reshape(-1, 3) @ up
    edges = depth * np.arange(o.highest, o.lowest, o.bin)
    counts = np.convolve(np.histogram(below[np.isfinite(below)], edges)[0], [0.5, 1, 0.5], "same")
    found: list[float] = []
    while len(found) < o.levels and counts.max() >= o.least_share * len(below):
        n = int(counts.argmax())
        found.append(eye - (edges[n] + edges[n + 1]) / 2)
        counts[max(n - 4, 0) : n + 5] = 0
    return found


def draw(keyframe: Keyframe, up: Array, height: float, depth: float, options: PlanOptions) -> Plan:
    """A level surface from above, the camera's foot at the middle of the lower edge."""
    T, size, reach = keyframe.T_world_cam, options.pixels, options.reach * depth
    ahead = T[:3, 2] - T[:3, 1]  # between what is before the camera and its up: never steep for a camera held upright
    ahead = ahead - up * (up @ ahead)
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, up)
    foot = T[:3, 3] + up * (height - up @ T[:3, 3])
    M = np.stack([right * reach / size, -ahead * reach / size, foot + reach * (ahead - right / 2)], 1)
    back = rigid.inverse(T)
    H = keyframe.camera.K.double().numpy() @ (back[:3, :3] @ M + np.outer(back[:3, 3], [0, 0, 1]))
    v, u = np.mgrid[:size, :size]
    before = H[2, 0] * u + H[2, 1] * v + H[2, 2] > 0.05 * depth
    image = cv2.warpPerspective(keyframe.image, H, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    on = _on_surface(keyframe, up, height, options)
    on = cv2.warpPerspective(on, H, (size, size), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    on = cv2.erode(on, np.ones((7, 7), np.uint8))
    return Plan(np.asarray(image, np.uint8), (np.asarray(on) > 0) & before, M)


def _on_surface(keyframe: Keyframe, up: Array, height: float, options: PlanOptions) -> NDArray[np.uint8]:
    off = np.abs(_world_points(keyframe) @ up - height)
    on = (off < options.thickness * keyframe.depth_m).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(on, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)


def _world_points(keyframe: Keyframe, step: int = 1) -> Array:
    """(h, w, 3) of every `step`-th pixel; NaN where unknown."""
    h, w = keyframe.depth_m.shape
    v, u = np.mgrid[:h:step, :w:step]
    X = lift(np.stack([u, v], -1).reshape(-1, 2).astype(np.float32), keyframe.depth_m, keyframe.camera)
    T = keyframe.T_world_cam
    return np.asarray(X @ T[:3, :3].T + T[:3, 3]).reshape(*u.shape, 3)


def _normals(points: Array) -> Array:
    """(N, 3) unit normals of a grid of points, where they are known."""
    n = np.cross(points[2:, 1:-1] - points[:-2, 1:-1], points[1:-1, 2:] - points[1:-1, :-2]).reshape(-1, 3)
    length = np.linalg.norm(n, axis=1)
    known = length > 0  # NaN is not
    return np.asarray(n[known] / length[known, None])
