"""Corner tracks over a sliding window of views, anchored by the learned depth (an addition to the paper).

A *view* is a frame that corners are observed in; every keyframe is one, and there are more views than keyframes. Points
start from the keyframes' depth or by triangulation; local bundle adjustment keeps the newest views and their points
consistent; points met again are recognised, which removes small drift without a loop detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.slam import bundle, corners, densify, patches, rigid
from scenewright.slam.config import DensifyConfig, OdometryConfig
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import NetworkDepth

Array = NDArray[np.float64]
OUTLIER_PX = 3.0
CORRELATED = 7.0
"""Corners err together, with the depth of what they lie on: factor on what their errors say about a pose's."""
FEW = 3
"""A newest view with fewer known corners than so many times what a pose needs is not moved by them: a handful on a far
wall turns a move into a turn, and the wall's relief inside out.
"""
FOCAL_SD = 0.01
"""A log focal length less sure than this is not believed: the camera did not move enough to show it."""


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


class Posed(NamedTuple):
    """A frame posed by its corners.

    Args:
        T_cam_world: (3, 4). ids, pixels: inlying tracks. inliers: known points among them.
        flow_px: median motion of the tracks since the last view. survival: share of the last view's tracks still held.
    """

    T_cam_world: Array
    ids: NDArray[np.int64]
    pixels: NDArray[np.float32]
    inliers: int
    flow_px: float
    survival: float


class Odometry:
    """The map of corners and the views that see them."""

    def __init__(self, intrinsics: Intrinsics, config: OdometryConfig, densify: DensifyConfig | None = None) -> None:
        self.stated = self.intrinsics = intrinsics
        self.config, self.densify = config, densify or DensifyConfig()
        self.views: list[View] = []
        self.points = np.zeros((0, 3))
        self.known = np.zeros(0, bool)
        self.descriptors = np.zeros((0, 32), np.uint8)
        self.sights = patches.Sights.none()
        self.template: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    # ---- every frame ------------------------------------------------------------------------------------------------
    def pose(self, image: NDArray[np.uint8], T_prediction: Array, sd: Array | None = None) -> Posed | None:
        """Pose an (H, W) uint8 grey image near a predicted T_cam_world; None where too few corners agree.

        Args:
            sd: (6,) standard deviation of the prediction as a twist, metres and radians; None leaves it to the corners.
        """
        view = self.views[-1]
        guess = self._guess(view, T_prediction)
        for attempt in range(3):
            if attempt == 1:
                guess = view.pixels.astype(np.float32)
            if attempt == 2:
                T = self._recognise(image)
                if T is None:
                    return None
                guess = self._guess(view, T)
                T_prediction, sd = T, None
            found = self._try(image, view, guess, T_prediction, sd)
            if found is not None:
                return found
        return None

    def _try(
        self, image: NDArray[np.uint8], view: View, guess: NDArray[np.float32], T: Array, sd: Array | None
    ) -> Posed | None:
        pixels, ok = self._follow(image, view, guess)
        known = ok & self.known[view.ids]
        least = self.config.minimum_inliers if sd is None else self.config.predicted_inliers
        if known.sum() < least:
            return None
        X, seen = self.points[view.ids[known]], pixels[known].astype(np.float64)
        T_new, errors, H = bundle.pose_only(T, X, seen, self.intrinsics)
        inlying = errors < OUTLIER_PX
        if inlying.sum() < max(least, 0.5 * known.sum()):
            ransac = self._ransac(X, seen)
            if ransac is None:
                return None
            T_new, errors, H = bundle.pose_only(ransac, X, seen, self.intrinsics)
            inlying = errors < OUTLIER_PX
            if inlying.sum() < max(least, 0.3 * known.sum()):
                return None
        if sd is not None:
            T_new = steadied(T_new, H / _variance(errors[inlying]), T, sd)
        keep = ok.copy()
        keep[np.flatnonzero(known)[~inlying]] = False
        flow = np.linalg.norm(pixels[keep] - view.pixels[keep], axis=1)
        return Posed(
            T_new, view.ids[keep], pixels[keep], int(inlying.sum()), float(np.median(flow)),
            float(keep.sum() / max(len(view.ids), 1)),
        )  # fmt: skip

    def carry(self, image: NDArray[np.uint8], T_cam_world: Array) -> Posed | None:
        """The tracks in an image whose pose is known from elsewhere."""
        view = self.views[-1]
        pixels, ok = self._follow(image, view, self._guess(view, T_cam_world))
        errors = bundle.reprojection_errors(
            T_cam_world, self.points[view.ids], pixels.astype(np.float64), self.intrinsics
        )
        ok &= ~self.known[view.ids] | (errors < 2 * OUTLIER_PX)
        if not ok.any():
            return None
        flow = np.linalg.norm(pixels[ok] - view.pixels[ok], axis=1)
        return Posed(
            T_cam_world, view.ids[ok], pixels[ok], int((ok & self.known[view.ids]).sum()), float(np.median(flow)),
            float(ok.mean()),
        )  # fmt: skip

    def _follow(
        self, image: NDArray[np.uint8], view: View, guess: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        c, pixels = self.config, view.pixels.astype(np.float32)
        return corners.follow(self.template, image, pixels, guess, c.window_px, 3, 0 if self._brisk() else c.fine_px)

    def _brisk(self) -> bool:
        """Whether the camera moves so far between frames that nearly every frame becomes a view."""
        recent = [view.index for view in self.views[-6:]]
        return len(recent) == 6 and float(np.median(np.diff(recent))) <= 1

    def _guess(self, view: View, T: Array) -> NDArray[np.float32]:
        """Where the tracks should be: projected where known, else moved with the others."""
        X = self.points[view.ids] @ T[:, :3].T + T[:, 3]
        K = self.intrinsics
        good = self.known[view.ids] & (X[:, 2] > 1e-2)
        z = np.where(good, X[:, 2], 1)
        projected = np.stack([K.fx * X[:, 0] / z + K.cx, K.fy * X[:, 1] / z + K.cy], 1)
        shift = np.median((projected - view.pixels)[good], axis=0) if good.any() else np.zeros(2)
        return np.where(good[:, None], projected, view.pixels + shift).astype(np.float32)

    def _ransac(self, X: Array, pixels: Array) -> Array | None:
        ok, rotation, translation, inliers = cv2.solvePnPRansac(
            X, pixels, self.intrinsics.matrix(), None, iterationsCount=1000, reprojectionError=4.0,
            flags=cv2.SOLVEPNP_AP3P,
        )  # fmt: skip
        if not ok or inliers is None or len(inliers) < 0.75 * self.config.minimum_inliers:
            return None
        return np.hstack([cv2.Rodrigues(rotation)[0], translation.reshape(3, 1)])

    def _recognise(self, image: NDArray[np.uint8]) -> Array | None:
        """Pose from descriptors alone, over the points of the newest views."""
        recent = np.unique(np.concatenate([v.ids for v in self.views[-self.config.window :]]))
        recent = recent[self.known[recent]]
        found = corners.detect(image, 2 * self.config.corners, self.config.spacing_px // 2)
        if len(recent) < self.config.minimum_inliers or not len(found.pixels):
            return None
        pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(self.descriptors[recent], found.descriptors)
        pairs = [m for m in pairs if m.distance < 64]
        if len(pairs) < self.config.minimum_inliers:
            return None
        X = self.points[recent[[m.queryIdx for m in pairs]]]
        return self._ransac(X, found.pixels[[m.trainIdx for m in pairs]].astype(np.float64))

    def wants_view(self, posed: Posed, frames: int = 1) -> bool:
        """Whether the tracks moved or thinned out enough for a new view, or would have one frame later.

        Args:
            frames: since the last view.
        """
        next_flow = posed.flow_px * (1 + 1 / max(frames, 1))
        return next_flow > self.config.flow_px or posed.survival < self.config.survival

    # ---- every view -------------------------------------------------------------------------------------------------
    def add_view(self, index: int, image: NDArray[np.uint8], T_cam_world: Array, posed: Posed | None) -> int:
        """Make a frame a view: keep its tracks, triangulate, recognise known points, detect new corners; its number."""
        ids, pixels = (np.zeros(0, np.int64), np.zeros((0, 2))) if posed is None else self._looked_up(image, posed)
        self._triangulate(T_cam_world, ids, pixels)
        wanted = self.config.corners - len(ids)
        fresh = corners.detect(image, max(wanted, 0) + 60, self.config.spacing_px, pixels.astype(np.float32))
        met, which = self._met_again(T_cam_world, ids, fresh)
        new = np.setdiff1d(np.arange(len(fresh.pixels)), which)[: max(wanted, 0)]
        first = len(self.points)
        self.points = np.concatenate([self.points, np.zeros((len(new), 3))])
        self.known = np.concatenate([self.known, np.zeros(len(new), bool)])
        self.descriptors = np.concatenate([self.descriptors, fresh.descriptors[new]])
        self.sights = self.sights.more(len(self.views), image, fresh.pixels[new].astype(np.float64))
        all_ids = np.concatenate([ids, met, np.arange(first, first + len(new))])
        all_pixels = np.concatenate([pixels, fresh.pixels[which], fresh.pixels[new]]).astype(np.float64)
        order = np.argsort(all_ids, kind="stable")
        none = np.zeros(len(order))
        self.views.append(
            View(index, rigid.orthonormalise(T_cam_world)[:3], all_ids[order], all_pixels[order], none, none.copy())
        )
        self.template = image
        return len(self.views) - 1

    def _looked_up(self, image: NDArray[np.uint8], posed: Posed) -> tuple[NDArray[np.int64], Array]:
        """Tracks where their first looks lie in an image, without those that look otherwise now: ids and pixels."""
        ids, pixels = posed.ids, posed.pixels.astype(np.float64)
        first = self.sights.view[ids]
        T = np.array([self.views[number].T_cam_world for number in first]).reshape(-1, 3, 4)
        z = np.einsum("nj,nj->n", T[:, 2, :3], self.points[ids]) + T[:, 2, 3]
        warp = patches.warps(
            T, posed.T_cam_world[:3], self.sights.pixel[ids], np.where(self.known[ids], z, 0), self.intrinsics
        )
        found, likeness = patches.find(self.sights.patch[ids], image, pixels, warp)
        keep = (likeness > self.config.likeness) & (np.linalg.norm(found - pixels, axis=1) < self.config.slide_px)
        if keep.sum() < self.config.minimum_inliers:
            return ids, pixels
        return ids[keep], found[keep]

    def _triangulate(self, T: Array, ids: NDArray[np.int64], pixels: Array) -> None:
        pending = {int(i): p for i, p in zip(ids, pixels) if not self.known[i]}
        for view in self.views[-self.config.window :]:  # oldest first: the widest baseline
            if not pending:
                return
            both = [n for n, i in enumerate(view.ids) if int(i) in pending]
            if not both:
                continue
            chosen = view.ids[both]
            now = np.array([pending[int(i)] for i in chosen])
            X, good = corners.triangulate(
                view.T_cam_world, T, view.pixels[both], now, self.intrinsics, self.config.parallax_deg
            )
            good &= bundle.reprojection_errors(T, X, now, self.intrinsics) < 2
            good &= bundle.reprojection_errors(view.T_cam_world, X, view.pixels[both], self.intrinsics) < 2
            self.points[chosen[good]], self.known[chosen[good]] = X[good], True
            for i in chosen[good]:
                pending.pop(int(i))

    def _met_again(
        self, T: Array, tracked: NDArray[np.int64], fresh: corners.Corners
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Known points that are not tracked but project onto a like-looking corner: ids, and which corner."""
        candidates = np.setdiff1d(np.flatnonzero(self.known), tracked)
        X = self.points[candidates] @ T[:, :3].T + T[:, 3]
        candidates, X = candidates[X[:, 2] > 0.05], X[X[:, 2] > 0.05]
        K = self.intrinsics
        uv = np.stack([K.fx * X[:, 0] / X[:, 2] + K.cx, K.fy * X[:, 1] / X[:, 2] + K.cy], 1)
        rows, which = corners.alike(
            uv, self.descriptors[candidates], fresh, self.config.reuse_px, self.config.reuse_distance
        )
        return self._agreed(T, candidates[rows], which, fresh)

    def _agreed(
        self, T: Array, ids: NDArray[np.int64], which: NDArray[np.int64], fresh: corners.Corners
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of the points met again those that one pose near T explains; none unless most do."""
        if len(ids) < 8:
            return ids[:0], which[:0]
        pixels = fresh.pixels[which].astype(np.float64)
        _, errors, _ = bundle.pose_only(T, self.points[ids], pixels, self.intrinsics, (4.0, 2.0))
        keep = errors < 2.0
        if keep.sum() < max(8, 0.5 * len(ids)):
            return ids[:0], which[:0]
        return ids[keep], which[keep]

    def add_depth(self, number: int, answer: NetworkDepth) -> float:
        """Give a view's corners a network's depth: prior for all, position for those that have none.

        Args:
            answer: the source's, at the view's size.

        Returns:
            log of the factor that aligned the depth with the points already known, 0 where too few were.
        """
        view, sigma_log = self.views[number], answer.sigma_log
        x, y = np.rint(view.pixels).astype(int).T
        depth = answer.depth_m[y, x].astype(np.float64)
        valid = depth > 0
        T, z = view.T_cam_world, self._depths_in(view)
        anchored = valid & self.known[view.ids] & (z > 0.05)
        shift = 0.0
        if anchored.sum() >= self.config.minimum_inliers:
            ratio = float(np.median(np.log(z[anchored] / depth[anchored])))
            shift = densify.believed(ratio, sigma_log, self.densify)
        depth = np.where(valid, depth, 1) * np.exp(shift)
        view.log_depth = np.log(depth)
        view.independent = answer.independent and sigma_log is not None
        share = max(valid.sum(), 1) / self.config.corners  # a picture says as much by few corners as by many
        sd = np.full(len(depth), self.config.prior_sd * np.sqrt(share))
        if sigma_log is not None and view.independent:
            sd = densify.corner_sd(answer.depth_m, sigma_log)[y, x]
        view.depth_weight = np.where(valid, 1 / sd, 0)
        new = valid & ~self.known[view.ids]
        fx, fy, cx, cy = self.intrinsics
        rays = np.stack([(view.pixels[:, 0] - cx) / fx, (view.pixels[:, 1] - cy) / fy, np.ones(len(depth))], 1)
        world = (rays * depth[:, None] - T[:, 3]) @ T[:, :3]
        self.points[view.ids[new]], self.known[view.ids[new]] = world[new], True
        return shift

    def _depths_in(self, view: View) -> Array:
        """(N,) z of a view's points in metres, known or not."""
        return np.asarray(self.points[view.ids] @ view.T_cam_world[2, :3] + view.T_cam_world[2, 3])

    def depths(self, number: int, least_views: int = 3) -> tuple[Array, Array]:
        """Pixels (N, 2) and depths (N,) in metres of a view's points that at least so many views agree on."""
        view = self.views[number]
        seen = np.bincount(np.concatenate([v.ids for v in self.views]), minlength=len(self.points))
        z = self._depths_in(view)
        keep = self.known[view.ids] & (seen[view.ids] >= least_views) & (z > 0.05)
        return view.pixels[keep], z[keep]

    def motion_covariance(self, first: int, last: int) -> Array:
        """(6, 6) of the motion between two views, in the axes of the last: translation in metres, rotation in radians.

        Every view between adds what its corners leave open about it, e.g. sliding against turning before one wall.
        """
        total = np.zeros((6, 6))
        for view in self.views[first + 1 : last + 1]:
            seen = self.known[view.ids]
            T, X, pixels = view.T_cam_world, self.points[view.ids[seen]], view.pixels[seen]
            errors = np.minimum(bundle.reprojection_errors(T, X, pixels, self.intrinsics), OUTLIER_PX)
            information = bundle.pose_information(T, X, pixels, self.intrinsics) / _variance(errors)
            total += np.linalg.inv(information + 1e-3 * np.eye(6))
        return total

    def rejoin(self, number: int, image: NDArray[np.uint8]) -> int:
        """Look again, in a view's own (H, W) uint8 image, for known points it does not see yet; how many it found."""
        view = self.views[number]
        fresh = corners.detect(image, self.config.corners, self.config.spacing_px, view.pixels.astype(np.float32))
        met, which = self._met_again(view.T_cam_world, view.ids, fresh)
        order = np.argsort(np.concatenate([view.ids, met]), kind="stable")
        none = np.zeros(len(met))
        view.ids = np.concatenate([view.ids, met])[order]
        view.pixels = np.concatenate([view.pixels, fresh.pixels[which].astype(np.float64)])[order]
        view.log_depth = np.concatenate([view.log_depth, none])[order]
        view.depth_weight = np.concatenate([view.depth_weight, none])[order]
        return len(met)

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

    # ---- bundle adjustment ------------------------------------------------------------------------------------------
    def adjust_window(self, hold: bool = False) -> None:
        """Bundle adjustment over the newest views; with `hold`, or few corners, they stay and only points move."""
        first = max(0, len(self.views) - self.config.window)
        free = np.arange(first, len(self.views))
        hold = hold or int(self.known[self.views[-1].ids].sum()) < FEW * self.config.minimum_inliers
        seen = np.unique(np.concatenate([self.views[v].ids for v in free]))
        mask = np.zeros(len(self.points), bool)
        mask[seen] = True
        shared = [int(mask[view.ids].sum()) for view in self.views[:first]]
        order = (
            np.argsort(-np.array(shared, np.int64), kind="stable")[: self.config.fixed] if first else np.zeros(0, int)
        )
        fixed = np.sort([v for v in order if shared[v] >= 10]).astype(np.int64)
        if hold:
            fixed, free = np.concatenate([fixed, free]), free[:0]
        elif not len(fixed):
            fixed, free = free[:1], free[1:]
        if len(free) or hold:
            self._adjust(np.concatenate([fixed, free]), len(fixed), seen, 6, 1.0)

    def adjust_all(self) -> float:
        """Bundle adjustment over the whole map; returns the factor on the focal lengths, 1 where the stated ones hold.

        More views than `global_views` are adjusted piece by piece, each piece held by the views that share its points,
        twice over: the dense reduced system grows with the square of the views.
        """
        count, size = len(self.views), self.config.global_views
        focal = count <= size and np.isfinite(self.config.focal_tolerance)
        for _ in range(2):
            self._free_scales()
            for first in range(0, count, size):
                free = np.arange(first, min(first + size, count))
                ids = np.unique(np.concatenate([self.views[v].ids for v in free]))
                fixed = self._neighbours(free, ids) if count > size else free[:0]
                if first == 0:
                    fixed, free = np.append(fixed, free[0]), free[1:]
                views = np.concatenate([fixed, free])
                focal = self._adjust(
                    views, len(fixed), ids, self.config.global_iterations, self.config.global_prior, focal, 1e-6
                )
                if not focal:
                    self.intrinsics = self.stated
        return self.intrinsics.fx / self.stated.fx

    def _free_scales(self) -> None:
        """Bring every network's depth to the map's scale as it is now, which leaves each picture's shape: held to the
        scale at the time when it was added, a map that drifted could not shrink back.
        """
        for view in self.views:
            z = self._depths_in(view)
            anchored = (view.depth_weight > 0) & self.known[view.ids] & (z > 0.05)
            if not view.independent and anchored.sum() >= self.config.minimum_inliers:
                view.log_depth = view.log_depth + np.median(np.log(z[anchored]) - view.log_depth[anchored])

    def _neighbours(self, free: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Views outside `free` that see at least ten of the points, at most `global_views`, best first."""
        mask = np.zeros(len(self.points), bool)
        mask[ids] = True
        others = np.setdiff1d(np.arange(len(self.views)), free)
        shared = np.array([int(mask[self.views[v].ids].sum()) for v in others], np.int64)
        order = np.argsort(-shared, kind="stable")[: self.config.global_views]
        return np.sort(others[order[shared[order] >= 10]]).astype(np.int64)

    def _adjust(
        self, views: NDArray[np.int64], fixed: int, ids: NDArray[np.int64], iterations: int, prior: float,
        focal: bool = False, tolerance: float = 1e-5,
    ) -> bool:  # fmt: skip
        """Bundle adjustment of some views; whether it found another focal length, sure and far from the stated one."""
        problem, used = self._problem(views, fixed, ids, prior)
        if not len(used):
            return False
        solution = bundle.solve(problem, iterations, focal=focal, tolerance=tolerance)
        self.points[used] = solution.points
        for n, v in enumerate(views):
            self.views[v].T_cam_world = solution.T_cam_world[n]
        if focal:
            K = self.intrinsics
            self.intrinsics = K._replace(fx=K.fx * solution.focal_factor, fy=K.fy * solution.focal_factor)
        self._drop_outliers(views)
        change = abs(np.log(self.intrinsics.fx / self.stated.fx))
        return bool(focal and change > self.config.focal_tolerance and solution.focal_sd < FOCAL_SD)

    def _problem(
        self, views: NDArray[np.int64], fixed: int, ids: NDArray[np.int64], prior: float
    ) -> tuple[bundle.Problem, NDArray[np.int64]]:
        parts = [self.views[v] for v in views]
        view = np.repeat(np.arange(len(views)), [len(p.ids) for p in parts])
        point = np.concatenate([p.ids for p in parts])
        pixel = np.concatenate([p.pixels for p in parts])
        log_depth, weight = (
            np.concatenate([p.log_depth for p in parts]),
            np.concatenate([p.depth_weight * (1.0 if p.independent else prior) for p in parts]),
        )
        wanted = np.zeros(len(self.points), bool)
        wanted[ids] = True
        count = np.bincount(point, minlength=len(self.points))
        keep = (wanted & self.known & (count >= 2))[point]
        used = np.unique(point[keep])
        order = np.argsort(point[keep], kind="stable")
        observations = bundle.Observations(
            view[keep][order], np.searchsorted(used, point[keep][order]), np.ascontiguousarray(pixel[keep][order]),
            log_depth[keep][order], weight[keep][order],
        )  # fmt: skip
        T = np.array([p.T_cam_world for p in parts])
        free = np.arange(len(views)) >= fixed
        return bundle.Problem(T, free, self.points[used], observations, self.intrinsics), used

    def _drop_outliers(self, views: NDArray[np.int64]) -> None:
        """Forget observations that no longer fit."""
        for v in views:
            view = self.views[v]
            errors = bundle.reprojection_errors(view.T_cam_world, self.points[view.ids], view.pixels, self.intrinsics)
            keep = ~self.known[view.ids] | (errors < OUTLIER_PX)
            if not keep.all():
                view.ids, view.pixels = view.ids[keep], view.pixels[keep]
                view.log_depth, view.depth_weight = view.log_depth[keep], view.depth_weight[keep]


def steadied(T: Array, information: Array, T_prediction: Array, sd: Array) -> Array:
    """A pose drawn towards its prediction as far as corners leave it open: the mean of both by their information.

    Args:
        T, T_prediction: (3, 4) T_cam_world. information: (6, 6) on the left twist of T. sd: (6,) of the prediction's.
    """
    bottom = np.array([[0, 0, 0, 1.0]])
    away = rigid.log(np.vstack([T_prediction[:3], bottom]) @ rigid.inverse(np.vstack([T, bottom])))
    prior = np.diag(1 / np.square(sd))
    step = np.asarray(np.linalg.solve(information + prior, prior @ away), np.float64)
    return (rigid.exp(step) @ np.vstack([T, bottom]))[:3]


def _variance(errors_px: Array) -> float:
    """Of a corner's place in what corners say together, pixels squared; see `CORRELATED`."""
    return CORRELATED**2 * max(float(np.mean(errors_px**2)), bundle.LEAST_SD_PX**2) if len(errors_px) else 1.0
