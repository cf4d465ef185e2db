"""Points that keyframes far apart share: features matched all over the map before its last adjustment (an addition to
the paper).

Corners are followed from view to view and met again only where the map already says they are. Features (as in
structure from motion: Schoenberger and Frahm, CVPR 2016) tie views that the camera took at other times and from
elsewhere, which holds the map's shape, and shows what the lens does to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scenewright.features.robust import epipolar_inliers
from scenewright.slam import bundle, patches
from scenewright.slam.config import OdometryConfig
from scenewright.slam.corner_map import CornerMap, Tracks
from scenewright.slam.features import KeyframeIndex, to_grey

Array = NDArray[np.float64]
ALIKE = 12
"""Earlier keyframes that each is matched with, those that look most like it."""
LEAST, LEAST_SHARE = 20, 0.4
"""Fewest matches of a pair, and their share of all, that one epipolar geometry explains."""
EPIPOLAR_PX = 1.5
REACH_PX = 12.0
"""How far a track may lie from its point before the map is adjusted: a drifted map is off by many pixels."""


def tie(sparse: CornerMap, index: KeyframeIndex, view_of: Sequence[int], config: OdometryConfig) -> int:
    """Add the tracks of features through keyframes to a map; how many.

    Args:
        index: of the keyframes, of which those of one piece of map are matched. view_of: the view of each, by id.
        config: how alike the looks of a point must be, and how great the least angle between its rays.
    """
    tracks = tracks_of(index, view_of)
    points, good = intersections(sparse, tracks, config.parallax_deg)
    tracks, points = tracks.only(good), points[good]
    pictures = {view_of[id]: to_grey(keyframe.image) for id, keyframe in index.keyframes.items()}
    tracks = placed(sparse, tracks, points, pictures, config)
    again = np.bincount(tracks.track, minlength=len(points)) > 1
    sparse.add(tracks.only(again), points[again])
    return int(again.sum())


def tracks_of(index: KeyframeIndex, view_of: Sequence[int]) -> Tracks:
    """Features of two keyframes or more that are matched with each other and no two of one keyframe."""
    ids = sorted(index.keyframes)
    first = dict(zip(ids, np.cumsum([0, *(len(index.looks[id].xy) for id in ids)])))
    count = sum(len(index.looks[id].xy) for id in ids)
    edges = [np.column_stack([first[a] + rows[:, 0], first[b] + rows[:, 1]]) for a, b, rows in _pairs(index, ids)]
    a, b = np.concatenate([np.zeros((0, 2), np.int64), *edges]).T
    _, track = connected_components(coo_array((np.ones(len(a), np.int8), (a, b)), (count, count)), directed=False)
    view = np.concatenate([np.full(len(index.looks[id].xy), view_of[id]) for id in ids])
    pixel = np.concatenate([index.looks[id].xy for id in ids]).astype(np.float64)
    seen, twice = np.bincount(track), np.zeros(count, bool)
    order = np.lexsort((view, track))
    same = (track[order][1:] == track[order][:-1]) & (view[order][1:] == view[order][:-1])
    twice[track[order][1:][same]] = True
    order = order[(seen[track[order]] > 1) & ~twice[track[order]]]
    return Tracks(np.unique(track[order], return_inverse=True)[1], view[order], pixel[order])


def _pairs(index: KeyframeIndex, ids: list[int]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Keyframes a < b of one piece, and rows (M, 2) of their features that match and fit one epipolar geometry."""
    for b in ids:
        piece = [id for id in ids if id < b and index.keyframes[id].segment == index.keyframes[b].segment]
        for a in index.similar(index.looks[b], ALIKE, piece):
            rows = index.source.match(index.looks[a].features, index.looks[b].features).pairs.numpy()
            fits = epipolar_inliers(index.looks[a].xy[rows[:, 0]], index.looks[b].xy[rows[:, 1]], EPIPOLAR_PX)
            if fits.sum() >= max(LEAST, LEAST_SHARE * len(rows)):
                yield a, b, rows[fits]


def intersections(sparse: CornerMap, tracks: Tracks, parallax_deg: float) -> tuple[Array, NDArray[np.bool_]]:
    """The world points (N, 3) nearest to the rays of each track, and which are seen near enough, under enough parallax.

    X minimises sum |(I - d d') (X - C)|^2 over the rays from C along d; of two that meet at an angle t the least
    eigenvalue of sum I - d d' is 1 - cos t.
    """
    K, T = sparse.intrinsics, np.array([sparse.views[v].T_cam_world for v in tracks.view]).reshape(-1, 3, 4)
    local = (tracks.pixel - [K.cx, K.cy]) / [K.fx, K.fy]
    ray = np.einsum("nji,nj->ni", T[:, :, :3], np.column_stack([local, np.ones(len(local))]))
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    across = np.eye(3) - ray[:, :, None] * ray[:, None]
    centre = -np.einsum("nji,nj->ni", T[:, :, :3], T[:, :, 3])
    count = int(tracks.track.max(initial=-1)) + 1
    A, b = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(A, tracks.track, across)
    np.add.at(b, tracks.track, np.einsum("nij,nj->ni", across, centre))
    points = np.asarray(np.linalg.solve(A + 1e-9 * np.eye(3), b[..., None])[..., 0], np.float64)
    errors = bundle.reprojection_errors(T, points[tracks.track], tracks.pixel, K)
    worst = np.zeros(count)
    np.maximum.at(worst, tracks.track, errors)
    wide = np.linalg.eigvalsh(A)[:, 0] > 1 - np.cos(np.radians(parallax_deg))
    return points, np.asarray((worst < REACH_PX) & wide)


def placed(
    sparse: CornerMap, tracks: Tracks, points: Array, pictures: Mapping[int, NDArray[np.uint8]], config: OdometryConfig
) -> Tracks:
    """Tracks with every point where its first look lies in the other views, without the sights that look otherwise.

    A feature is found to half a pixel, or two where it is large; corners to a tenth, and features may be many more.

    Args:
        points: (N, 3). pictures: (H, W) grey, by view.
    """
    begin = np.flatnonzero(np.diff(tracks.track, prepend=-1))
    view, first, pixel = tracks.view, tracks.view[begin], tracks.pixel.copy()
    T = np.array([sparse.views[v].T_cam_world for v in first]).reshape(-1, 3, 4)
    z = np.einsum("nj,nj->n", T[:, 2, :3], points) + T[:, 2, 3]
    looks = np.zeros((len(begin), patches.SIDE, patches.SIDE), np.uint8)
    for v in np.unique(first):
        looks[first == v] = patches.cut(pictures[v], pixel[begin[first == v]])
    keep = np.zeros(len(view), bool)
    keep[begin] = True
    for v in np.unique(np.delete(view, begin)):
        rows = np.flatnonzero((view == v) & ~keep)
        n = tracks.track[rows]
        warp = patches.warps(T[n], sparse.views[v].T_cam_world, pixel[begin[n]], z[n], sparse.intrinsics)
        found, likeness = patches.find(looks[n], pictures[v], pixel[rows], warp)
        near = np.linalg.norm(found - pixel[rows], axis=1) < config.slide_px
        pixel[rows], keep[rows] = found, near & (likeness > config.likeness)
    return Tracks(tracks.track[keep], view[keep], pixel[keep])
