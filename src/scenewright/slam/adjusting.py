"""Bundle adjustment of the corner map: of its newest views, and of everything at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenewright.slam import bundle
from scenewright.slam.config import OdometryConfig
from scenewright.slam.corner_map import OUTLIER_PX, CornerMap

FEW = 3
"""A newest view with fewer known corners than so many times what a pose needs is not moved by them: a handful on a far
wall turns a move into a turn, and the wall's relief inside out.
"""
LENS_SD = 0.01
"""A log focal length, or a share by which the corner of the picture is bent, less sure than this is not believed: the
camera did not move enough to show it.
"""


def adjust_window(sparse: CornerMap, config: OdometryConfig, hold: bool = False) -> None:
    """Bundle adjustment over the newest views; with `hold`, or few corners, they stay and only points move."""
    first = max(0, len(sparse.views) - config.window)
    free = np.arange(first, len(sparse.views))
    hold = hold or int(sparse.known[sparse.views[-1].ids].sum()) < FEW * config.minimum_inliers
    seen = np.unique(np.concatenate([sparse.views[v].ids for v in free]))
    fixed = _sharing(sparse, np.arange(first), seen, config.fixed)
    if hold:
        fixed, free = np.concatenate([fixed, free]), free[:0]
    elif not len(fixed):
        fixed, free = free[:1], free[1:]
    if len(free) or hold:
        _adjust(sparse, config, np.concatenate([fixed, free]), len(fixed), seen, 6, 1.0)


def adjust_all(sparse: CornerMap, config: OdometryConfig) -> float:
    """Bundle adjustment over the whole map; returns the factor on the focal lengths, 1 where the stated ones hold. The
    map's `distortion` is then what its pixels show of the lens, 0 where it may as well be straight.

    More views than `global_views` are adjusted piece by piece, each piece held by the views that share its points,
    twice over: the dense reduced system grows with the square of the views.
    """
    count, size = len(sparse.views), config.global_views
    lens = count <= size and np.isfinite(config.lens_tolerance)
    for _ in range(2):
        free_scales(sparse, config)
        for first in range(0, count, size):
            free = np.arange(first, min(first + size, count))
            ids = np.unique(np.concatenate([sparse.views[v].ids for v in free]))
            others = np.setdiff1d(np.arange(count), free)
            fixed = _sharing(sparse, others, ids, size) if count > size else free[:0]
            if first == 0:
                fixed, free = np.append(fixed, free[0]), free[1:]
            views = np.concatenate([fixed, free])
            lens = _adjust(
                sparse, config, views, len(fixed), ids, config.global_iterations, config.global_prior, lens, 1e-6
            )
            if not lens:
                sparse.intrinsics, sparse.distortion = sparse.stated, 0.0
    return sparse.intrinsics.fx / sparse.stated.fx


def free_scales(sparse: CornerMap, config: OdometryConfig) -> None:
    """Bring every network's depth to the map's scale as it is now, which leaves each picture's shape: held to the
    scale at the time when it was added, a map that drifted could not shrink back.
    """
    for view in sparse.views:
        z = sparse.depths_in(view)
        anchored = (view.depth_weight > 0) & sparse.known[view.ids] & (z > 0.05)
        if not view.independent and anchored.sum() >= config.minimum_inliers:
            view.log_depth = view.log_depth + np.median(np.log(z[anchored]) - view.log_depth[anchored])


def _sharing(sparse: CornerMap, views: NDArray[np.int64], ids: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Those of some views that see at least ten of the points, at most so many, those that see most."""
    mask = np.zeros(len(sparse.points), bool)
    mask[ids] = True
    shared = np.array([int(mask[sparse.views[v].ids].sum()) for v in views], np.int64)
    order = np.argsort(-shared, kind="stable")[:most]
    return np.sort(views[order[shared[order] >= 10]]).astype(np.int64)


def _adjust(
    sparse: CornerMap, config: OdometryConfig, views: NDArray[np.int64], fixed: int, ids: NDArray[np.int64],
    iterations: int, prior: float, lens: bool = False, tolerance: float = 1e-5,
) -> bool:  # fmt: skip
    """Bundle adjustment of some views; whether it found another lens, sure and far from the stated one."""
    problem, used = problem_of(sparse, views, fixed, ids, prior)
    if not len(used):
        return False
    solution = bundle.solve(problem, iterations, lens=lens, tolerance=tolerance)
    sparse.points[used] = solution.points
    for n, v in enumerate(views):
        sparse.views[v].T_cam_world = solution.T_cam_world[n]
    if lens:
        K, sparse.distortion = sparse.intrinsics, solution.distortion
        sparse.intrinsics = K._replace(fx=K.fx * solution.focal_factor, fy=K.fy * solution.focal_factor)
    _drop_outliers(sparse, views)
    return lens and _believed(sparse, solution, config)


def _believed(sparse: CornerMap, solution: bundle.Solution, config: OdometryConfig) -> bool:
    """Whether a lens is sure, and its focal length or its distortion at the corner of the picture is news."""
    K = sparse.intrinsics
    corner = (K.cx / K.fx) ** 2 + (K.cy / K.fy) ** 2  # a squared radius: k1 times it is the share
    focal, bent = abs(np.log(K.fx / sparse.stated.fx)), abs(solution.distortion) * corner
    sure = solution.focal_sd < LENS_SD and solution.distortion_sd * corner < LENS_SD
    return bool(sure and (focal > config.lens_tolerance or bent > config.bend_tolerance))


def problem_of(
    sparse: CornerMap, views: NDArray[np.int64], fixed: int, ids: NDArray[np.int64], prior: float
) -> tuple[bundle.Problem, NDArray[np.int64]]:
    """The adjustment of some views, of which the first `fixed` stay, over the points of `ids` that two of them see.

    Args:
        prior: factor on the weight of a network's depth.

    Returns:
        the problem, and its points' numbers in the map.
    """
    parts = [sparse.views[v] for v in views]
    view = np.repeat(np.arange(len(views)), [len(p.ids) for p in parts])
    point = np.concatenate([p.ids for p in parts])
    pixel = np.concatenate([p.pixels for p in parts])
    log_depth, weight = (
        np.concatenate([p.log_depth for p in parts]),
        np.concatenate([p.depth_weight * (1.0 if p.independent else prior) for p in parts]),
    )
    wanted = np.zeros(len(sparse.points), bool)
    wanted[ids] = True
    count = np.bincount(point, minlength=len(sparse.points))
    keep = (wanted & sparse.known & (count >= 2))[point]
    used = np.unique(point[keep])
    order = np.argsort(point[keep], kind="stable")
    observations = bundle.Observations(
        view[keep][order], np.searchsorted(used, point[keep][order]), np.ascontiguousarray(pixel[keep][order]),
        log_depth[keep][order], weight[keep][order],
    )  # fmt: skip
    T = np.array([p.T_cam_world for p in parts])
    free = np.arange(len(views)) >= fixed
    return bundle.Problem(T, free, sparse.points[used], observations, sparse.intrinsics, sparse.distortion), used


def _drop_outliers(sparse: CornerMap, views: NDArray[np.int64]) -> None:
    """Forget observations that no longer fit."""
    for v in views:
        view = sparse.views[v]
        errors = bundle.reprojection_errors(
            view.T_cam_world, sparse.points[view.ids], view.pixels, sparse.intrinsics, sparse.distortion
        )
        keep = ~sparse.known[view.ids] | (errors < OUTLIER_PX)
        if not keep.all():
            view.forget_but(keep)
