"""Corners in space and the views that see them: the sparse map under the keyframes (an addition to the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenewright.slam import bundle, rigid
from scenewright.slam.image import Intrinsics
from scenewright.slam.lens import Lens

Array = NDArray[np.float64]
OUTLIER_PX = 3.0
CORRELATED = 7.0
"""Corners err together, with the depth of what they lie on: factor on what their errors say about a pose's."""


@dataclass
class View:
    """A frame with its observations.

    Args:
        index: of the frame. T_cam_world: (3, 4).
        ids: (N,) int64 points. pixels: (N, 2) float64. log_depth, depth_weight: (N,), see `bundle.Observations`.
        independent: see `NetworkDepth`.
    """

    index: int
    T_cam_world: Array
    ids: NDArray[np.int64]
    pixels: Array
    log_depth: Array
    depth_weight: Array
    independent: bool = False

    def forget_but(self, keep: NDArray[np.bool_], pixels: Array | None = None) -> None:
        """Keep some of the observations (N,), at other pixels (N, 2) where given."""
        self.ids, self.pixels = self.ids[keep], (self.pixels if pixels is None else pixels)[keep]
        self.log_depth, self.depth_weight = self.log_depth[keep], self.depth_weight[keep]


class Tracks(NamedTuple):
    """M observations of new points, sorted by point: track (M,) int64 from 0 on, view (M,), pixel (M, 2) float64."""

    track: NDArray[np.int64]
    view: NDArray[np.int64]
    pixel: Array

    def only(self, chosen: NDArray[np.bool_]) -> Tracks:
        """Those of some of the points (N,), numbered anew."""
        keep = chosen[self.track]
        return Tracks((np.cumsum(chosen) - 1)[self.track[keep]], self.view[keep], self.pixel[keep])


class CornerMap:
    """Points, and the views that see them.

    Args:
        stated: intrinsics as they were given; `intrinsics` is what the whole map made of them, and `distortion` the
            radial one that it found in the pixels, see `bundle.Problem`.
        views: in order of time.
        points: (P, 3) float64, world. known: (P,) bool, which have a place.
    """

    def __init__(self, stated: Intrinsics) -> None:
        self.stated = self.intrinsics = stated
        self.distortion = 0.0
        self.views: list[View] = []
        self.points = np.zeros((0, 3))
        self.known = np.zeros(0, bool)

    def depths_in(self, view: View) -> Array:
        """(N,) z of a view's points in metres, known or not."""
        return np.asarray(self.points[view.ids] @ view.T_cam_world[2, :3] + view.T_cam_world[2, 3])

    def depths(self, number: int, least_views: int = 3) -> tuple[Array, Array]:
        """Pixels (N, 2) and depths (N,) in metres of a view's points that at least so many views agree on."""
        view = self.views[number]
        seen = np.bincount(np.concatenate([v.ids for v in self.views]), minlength=len(self.points))
        z = self.depths_in(view)
        keep = self.known[view.ids] & (seen[view.ids] >= least_views) & (z > 0.05)
        return view.pixels[keep], z[keep]

    def add(self, tracks: Tracks, points: Array) -> None:
        """Take in points (N, 3) and where views see them. They have no looks: the odometry does not meet them again."""
        first = len(self.points)
        self.points = np.concatenate([self.points, points])
        self.known = np.concatenate([self.known, np.ones(len(points), bool)])
        for number in np.unique(tracks.view):
            view, mine = self.views[number], tracks.view == number
            none = np.zeros(int(mine.sum()))
            view.ids = np.concatenate([view.ids, first + tracks.track[mine]])
            view.pixels = np.concatenate([view.pixels, tracks.pixel[mine]])
            view.log_depth = np.concatenate([view.log_depth, none])
            view.depth_weight = np.concatenate([view.depth_weight, none])

    def straighten(self, lens: Lens) -> None:
        """Take the distortion out of all pixels; what then lies outside the picture is forgotten."""
        last = np.array([lens.camera.width - 1, lens.camera.height - 1])
        for view in self.views:
            pixels = lens.pixels(view.pixels)
            view.forget_but(np.asarray(((pixels >= 0) & (pixels <= last)).all(1)), pixels)
        self.distortion = 0.0

    def motion_covariance(self, first: int, last: int) -> Array:
        """(6, 6) of the motion between two views, in the axes of the last: translation in metres, rotation in radians.

        Every view between adds what its corners leave open about it, e.g. sliding against turning before one wall.
        """
        total = np.zeros((6, 6))
        for view in self.views[first + 1 : last + 1]:
            seen = self.known[view.ids]
            T, X, pixels = view.T_cam_world, self.points[view.ids[seen]], view.pixels[seen]
            errors = np.minimum(bundle.reprojection_errors(T, X, pixels, self.intrinsics), OUTLIER_PX)
            information = bundle.pose_information(T, X, pixels, self.intrinsics) / variance_px2(errors)
            total += np.linalg.inv(information + 1e-3 * np.eye(6))
        return total

    def move(self, scale: NDArray[np.float64], T_new_old: Array) -> None:
        """Move every view by its own similarity, and every point by that of the first view that sees it.

        Args:
            scale: (V,) factors. T_new_old: (V, 4, 4); a world point X of view v goes to scale_v R_v X + t_v.
        """
        moved = np.zeros(len(self.points), bool)
        points = self.points.copy()
        for view, s, T in zip(self.views, scale, T_new_old):
            mine = view.ids[~moved[view.ids]]
            points[mine], moved[mine] = s * self.points[mine] @ T[:3, :3].T + T[:3, 3], True
            R, t = view.T_cam_world[:, :3], view.T_cam_world[:, 3]
            R_new = R @ T[:3, :3].T
            centre = s * T[:3, :3] @ (-R.T @ t) + T[:3, 3]
            view.T_cam_world = rigid.orthonormalise(np.column_stack([R_new, -R_new @ centre]))[:3]
        self.points = points


def variance_px2(errors_px: Array) -> float:
    """Of a corner's place in what corners say together, pixels squared; see `CORRELATED`."""
    return CORRELATED**2 * max(float(np.mean(errors_px**2)), bundle.LEAST_SD_PX**2) if len(errors_px) else 1.0
