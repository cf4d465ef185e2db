"""Corner tracks over a sliding window of views, anchored by the learned depth (an addition to the paper).

A *view* is a frame that corners are observed in; every keyframe is one, and there are more views than keyframes. Points
start from the keyframes' depth or by triangulation; local bundle adjustment keeps the newest views and their points
consistent; points met again are recognised, which removes small drift without a loop detector.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.slam import bundle, corners, densify, patches, rigid
from scenewright.slam.config import DensifyConfig, OdometryConfig
from scenewright.slam.corner_map import OUTLIER_PX, CornerMap, View, variance_px2
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import NetworkDepth

Array = NDArray[np.float64]


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
    """Follows corners from frame to frame, which poses the frames, and lets the map of corners grow.

    Args:
        map: points and views. descriptors: (P, 32) uint8 of all points. sights: their first looks.
        template: (H, W) uint8 grey picture of the newest view.
    """

    def __init__(self, intrinsics: Intrinsics, config: OdometryConfig, densify: DensifyConfig | None = None) -> None:
        self.map = CornerMap(intrinsics)
        self.config, self.densify = config, densify or DensifyConfig()
        self.descriptors = np.zeros((0, 32), np.uint8)
        self.sights = patches.Sights.none()
        self.template: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    # ---- every frame ------------------------------------------------------------------------------------------------
    def pose(self, image: NDArray[np.uint8], T_prediction: Array, sd: Array | None = None) -> Posed | None:
        """Pose an (H, W) uint8 grey image near a predicted T_cam_world; None where too few corners agree.

        Args:
            sd: (6,) standard deviation of the prediction as a twist, metres and radians; None leaves it to the corners.
        """
        view = self.map.views[-1]
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
        known = ok & self.map.known[view.ids]
        least = self.config.minimum_inliers if sd is None else self.config.predicted_inliers
        if known.sum() < least:
            return None
        X, seen = self.map.points[view.ids[known]], pixels[known].astype(np.float64)
        T_new, errors, H = bundle.pose_only(T, X, seen, self.map.intrinsics)
        inlying = errors < OUTLIER_PX
        if inlying.sum() < max(least, 0.5 * known.sum()):
            ransac = self._ransac(X, seen)
            if ransac is None:
                return None
            T_new, errors, H = bundle.pose_only(ransac, X, seen, self.map.intrinsics)
            inlying = errors < OUTLIER_PX
            if inlying.sum() < max(least, 0.3 * known.sum()):
                return None
        if sd is not None:
            T_new = steadied(T_new, H / variance_px2(errors[inlying]), T, sd)
        keep = ok.copy()
        keep[np.flatnonzero(known)[~inlying]] = False
        flow = np.linalg.norm(pixels[keep] - view.pixels[keep], axis=1)
        return Posed(
            T_new, view.ids[keep], pixels[keep], int(inlying.sum()), float(np.median(flow)),
            float(keep.sum() / max(len(view.ids), 1)),
        )  # fmt: skip

    def carry(self, image: NDArray[np.uint8], T_cam_world: Array) -> Posed | None:
        """The tracks in an image whose pose is known from elsewhere."""
        view = self.map.views[-1]
        pixels, ok = self._follow(image, view, self._guess(view, T_cam_world))
        errors = bundle.reprojection_errors(
            T_cam_world, self.map.points[view.ids], pixels.astype(np.float64), self.map.intrinsics
        )
        ok &= ~self.map.known[view.ids] | (errors < 2 * OUTLIER_PX)
        if not ok.any():
            return None
        flow = np.linalg.norm(pixels[ok] - view.pixels[ok], axis=1)
        return Posed(
            T_cam_world, view.ids[ok], pixels[ok], int((ok & self.map.known[view.ids]).sum()), float(np.median(flow)),
            float(ok.mean()),
        )  # fmt: skip

    def _follow(
        self, image: NDArray[np.uint8], view: View, guess: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        c, pixels = self.config, view.pixels.astype(np.float32)
        return corners.follow(self.template, image, pixels, guess, c.window_px, 3, 0 if self._brisk() else c.fine_px)

    def _brisk(self) -> bool:
        """Whether the camera moves so far between frames that nearly every frame becomes a view."""
        recent = [view.index for view in self.map.views[-6:]]
        return len(recent) == 6 and float(np.median(np.diff(recent))) <= 1

    def _guess(self, view: View, T: Array) -> NDArray[np.float32]:
        """Where the tracks should be: projected where known, else moved with the others."""
        X = self.map.points[view.ids] @ T[:, :3].T + T[:, 3]
        K = self.map.intrinsics
        good = self.map.known[view.ids] & (X[:, 2] > 1e-2)
        z = np.where(good, X[:, 2], 1)
        projected = np.stack([K.fx * X[:, 0] / z + K.cx, K.fy * X[:, 1] / z + K.cy], 1)
        shift = np.median((projected - view.pixels)[good], axis=0) if good.any() else np.zeros(2)
        return np.where(good[:, None], projected, view.pixels + shift).astype(np.float32)

    def _ransac(self, X: Array, pixels: Array) -> Array | None:
        ok, rotation, translation, inliers = cv2.solvePnPRansac(
            X, pixels, self.map.intrinsics.matrix(), None, iterationsCount=1000, reprojectionError=4.0,
            flags=cv2.SOLVEPNP_AP3P,
        )  # fmt: skip
        if not ok or inliers is None or len(inliers) < 0.75 * self.config.minimum_inliers:
            return None
        return np.hstack([cv2.Rodrigues(rotation)[0], translation.reshape(3, 1)])

    def _recognise(self, image: NDArray[np.uint8]) -> Array | None:
        """Pose from descriptors alone, over the points of the newest views."""
        recent = np.unique(np.concatenate([v.ids for v in self.map.views[-self.config.window :]]))
        recent = recent[self.map.known[recent]]
        found = corners.detect(image, 2 * self.config.corners, self.config.spacing_px // 2)
        if len(recent) < self.config.minimum_inliers or not len(found.pixels):
            return None
        pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(self.descriptors[recent], found.descriptors)
        pairs = [m for m in pairs if m.distance < 64]
        if len(pairs) < self.config.minimum_inliers:
            return None
        X = self.map.points[recent[[m.queryIdx for m in pairs]]]
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
        first = len(self.map.points)
        self.map.points = np.concatenate([self.map.points, np.zeros((len(new), 3))])
        self.map.known = np.concatenate([self.map.known, np.zeros(len(new), bool)])
        self.descriptors = np.concatenate([self.descriptors, fresh.descriptors[new]])
        self.sights = self.sights.more(len(self.map.views), image, fresh.pixels[new].astype(np.float64))
        all_ids = np.concatenate([ids, met, np.arange(first, first + len(new))])
        all_pixels = np.concatenate([pixels, fresh.pixels[which], fresh.pixels[new]]).astype(np.float64)
        order = np.argsort(all_ids, kind="stable")
        none = np.zeros(len(order))
        self.map.views.append(
            View(index, rigid.orthonormalise(T_cam_world)[:3], all_ids[order], all_pixels[order], none, none.copy())
        )
        self.template = image
        return len(self.map.views) - 1

    def _looked_up(self, image: NDArray[np.uint8], posed: Posed) -> tuple[NDArray[np.int64], Array]:
        """Tracks where their first looks lie in an image, without those that look otherwise now: ids and pixels."""
        ids, pixels = posed.ids, posed.pixels.astype(np.float64)
        first = self.sights.view[ids]
        T = np.array([self.map.views[number].T_cam_world for number in first]).reshape(-1, 3, 4)
        z = np.einsum("nj,nj->n", T[:, 2, :3], self.map.points[ids]) + T[:, 2, 3]
        warp = patches.warps(
            T, posed.T_cam_world[:3], self.sights.pixel[ids], np.where(self.map.known[ids], z, 0), self.map.intrinsics
        )
        found, likeness = patches.find(self.sights.patch[ids], image, pixels, warp)
        keep = (likeness > self.config.likeness) & (np.linalg.norm(found - pixels, axis=1) < self.config.slide_px)
        if keep.sum() < self.config.minimum_inliers:
            return ids, pixels
        return ids[keep], found[keep]

    def _triangulate(self, T: Array, ids: NDArray[np.int64], pixels: Array) -> None:
        pending = {int(i): p for i, p in zip(ids, pixels) if not self.map.known[i]}
        for view in self.map.views[-self.config.window :]:  # oldest first: the widest baseline
            if not pending:
                return
            both = [n for n, i in enumerate(view.ids) if int(i) in pending]
            if not both:
                continue
            chosen = view.ids[both]
            now = np.array([pending[int(i)] for i in chosen])
            X, good = corners.triangulate(
                view.T_cam_world, T, view.pixels[both], now, self.map.intrinsics, self.config.parallax_deg
            )
            good &= bundle.reprojection_errors(T, X, now, self.map.intrinsics) < 2
            good &= bundle.reprojection_errors(view.T_cam_world, X, view.pixels[both], self.map.intrinsics) < 2
            self.map.points[chosen[good]], self.map.known[chosen[good]] = X[good], True
            for i in chosen[good]:
                pending.pop(int(i))

    def _met_again(
        self, T: Array, tracked: NDArray[np.int64], fresh: corners.Corners
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Known points that are not tracked but project onto a like-looking corner: ids, and which corner."""
        candidates = np.setdiff1d(np.flatnonzero(self.map.known), tracked)
        X = self.map.points[candidates] @ T[:, :3].T + T[:, 3]
        candidates, X = candidates[X[:, 2] > 0.05], X[X[:, 2] > 0.05]
        K = self.map.intrinsics
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
        _, errors, _ = bundle.pose_only(T, self.map.points[ids], pixels, self.map.intrinsics, (4.0, 2.0))
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
        view, sigma_log = self.map.views[number], answer.sigma_log
        x, y = np.rint(view.pixels).astype(int).T
        depth = answer.depth_m[y, x].astype(np.float64)
        valid = depth > 0
        T, z = view.T_cam_world, self.map.depths_in(view)
        anchored = valid & self.map.known[view.ids] & (z > 0.05)
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
        new = valid & ~self.map.known[view.ids]
        fx, fy, cx, cy = self.map.intrinsics
        rays = np.stack([(view.pixels[:, 0] - cx) / fx, (view.pixels[:, 1] - cy) / fy, np.ones(len(depth))], 1)
        world = (rays * depth[:, None] - T[:, 3]) @ T[:, :3]
        self.map.points[view.ids[new]], self.map.known[view.ids[new]] = world[new], True
        return shift

    def rejoin(self, number: int, image: NDArray[np.uint8]) -> int:
        """Look again, in a view's own (H, W) uint8 image, for known points it does not see yet; how many it found."""
        view = self.map.views[number]
        fresh = corners.detect(image, self.config.corners, self.config.spacing_px, view.pixels.astype(np.float32))
        met, which = self._met_again(view.T_cam_world, view.ids, fresh)
        order = np.argsort(np.concatenate([view.ids, met]), kind="stable")
        none = np.zeros(len(met))
        view.ids = np.concatenate([view.ids, met])[order]
        view.pixels = np.concatenate([view.pixels, fresh.pixels[which].astype(np.float64)])[order]
        view.log_depth = np.concatenate([view.log_depth, none])[order]
        view.depth_weight = np.concatenate([view.depth_weight, none])[order]
        return len(met)


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
