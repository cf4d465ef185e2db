"""How good a trajectory, a depth map and a mesh are, as pure functions. Sources: Sturm et al., IROS 2012 (ATE);
Umeyama, PAMI 1991; Tateno et al., CVPR 2017, section 4 (share of depths within 10 %); Knapitsch et al., 2017 (F-score).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scenewright.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """A similarity x -> scale * rotation @ x + translation.

    Args:
        rotation: (3, 3). translation: (3,). scale: > 0, 1 for a rigid one.
    """

    rotation: Array
    translation: Array
    scale: float

    def __call__(self, points: Array) -> Array:
        """Map (N, 3) points."""
        return self.scale * points @ self.rotation.T + self.translation


def umeyama(source: Array, target: Array, with_scale: bool) -> Alignment:
    """The least-squares similarity (or rigid motion) from `source` to `target`, both (N, 3) (Umeyama 1991, eq 40-42).

    Raises:
        InputError: fewer than three points, unequal shapes, non-finite numbers, or points that are all the same
            (a straight line leaves the rotation about it free; the solution of least change is returned).
    """
    source, target = _points(source, "source"), _points(target, "target")
    if source.shape != target.shape or len(source) < 3:
        raise InputError("umeyama", f"{source.shape} and {target.shape}", "two equal sets of at least three points")
    centre_s, centre_t = source.mean(0), target.mean(0)
    x, y = source - centre_s, target - centre_t
    spread = (x**2).sum()
    if spread < 1e-18 or (y**2).sum() < 1e-18:
        raise InputError("umeyama", "points that all coincide", "a trajectory that moves")
    U, singular, Vt = np.linalg.svd(y.T @ x)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    rotation = (U * sign) @ Vt
    scale = float((singular * sign).sum() / spread) if with_scale else 1.0
    return Alignment(rotation, centre_t - scale * rotation @ centre_s, scale)


def path_length(positions: Array) -> float:
    """The length in metres of the polyline through (N, 3) positions."""
    return float(np.linalg.norm(np.diff(_points(positions, "positions"), axis=0), axis=1).sum())


@dataclass(frozen=True)
class TrajectoryFigures:
    """Errors of a trajectory, root mean square over positions, in metres.

    Args:
        ate_first: after aligning the first pose only. ate_se3, ate_sim3: after rigid and similarity alignment.
        scale_ratio: estimated size over true size (1 = the metric scale is right; the inverse of Sim(3)'s factor).
        path_m: length of the true path. frames: number of poses compared.
    """

    ate_first: float
    ate_se3: float
    ate_sim3: float
    scale_ratio: float
    path_m: float
    frames: int


def trajectory_figures(estimated: Array, truth: Array) -> TrajectoryFigures:
    """Compare two (N, 4, 4) stacks of T_world_cam, frame by frame; leave lost frames out of both.

    Raises:
        InputError: unequal or wrong shapes, fewer than three poses, or a trajectory that does not move.
    """
    estimated, truth = np.asarray(estimated, np.float64), np.asarray(truth, np.float64)
    if estimated.shape != truth.shape or estimated.ndim != 3 or estimated.shape[1:] != (4, 4):
        raise InputError("trajectories", f"{estimated.shape} and {truth.shape}", "two (N, 4, 4) stacks of equal length")
    p, q = estimated[:, :3, 3], truth[:, :3, 3]
    rigid, similar = umeyama(p, q, with_scale=False), umeyama(p, q, with_scale=True)
    first = truth[0] @ np.linalg.inv(estimated[0])
    return TrajectoryFigures(
        ate_first=_rms(p @ first[:3, :3].T + first[:3, 3] - q),
        ate_se3=_rms(rigid(p) - q),
        ate_sim3=_rms(similar(p) - q),
        scale_ratio=1.0 / similar.scale if similar.scale > 0 else float("inf"),
        path_m=path_length(q),
        frames=len(p),
    )


def align_poses(estimated: Array, truth: Array, with_scale: bool) -> Alignment:
    """The motion or similarity between two (N, 4, 4) stacks of T_world_cam, by where and how turned the cameras are.

    The rotation is the chordal mean of R_true R_estimated^T (Hartley et al., IJCV 2013, section 5.3), which, unlike
    that of positions alone, is certain for short and straight paths too; scale and translation are then those of least
    squares over the positions.

    Raises:
        InputError: as `trajectory_figures`.
    """
    scale = umeyama(estimated[:, :3, 3], truth[:, :3, 3], with_scale).scale
    U, _, Vt = np.linalg.svd(np.einsum("nij,nkj->ik", truth[:, :3, :3], estimated[:, :3, :3]))
    rotation = (U * np.array([1.0, 1.0, np.linalg.det(U @ Vt)])) @ Vt
    centre_e, centre_t = estimated[:, :3, 3].mean(0), truth[:, :3, 3].mean(0)
    return Alignment(rotation, centre_t - scale * rotation @ centre_e, scale)


def revisit_error(estimated: Array, truth: Array, scale: float = 1.0) -> tuple[float, float]:
    """How wrong the last pose is as seen from the first, in metres and radians: what drift a loop must take back.

    Args:
        estimated, truth: (N, 4, 4) T_world_cam of the same frames; only the first and the last count.
        scale: true size over estimated size.
    """
    a = np.linalg.inv(estimated[0]) @ estimated[-1]
    b = np.linalg.inv(truth[0]) @ truth[-1]
    turn = a[:3, :3].T @ b[:3, :3]
    angle = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    return float(np.linalg.norm(scale * a[:3, 3] - b[:3, 3])), angle


@dataclass(frozen=True)
class DepthFigures:
    """Shares (0..1) of the pixels with truth whose depth is within 10 % of it; a pixel without an estimate is wrong.

    Args:
        pcd10_raw: as estimated. pcd10_scaled: after one global factor for the whole clip.
        scale: that factor, the median of truth / estimate over all pixels with both.
        constant_raw, constant_scaled: the same two figures for the trivial map that is 2 m everywhere, and for the
            best single number (the median true depth).
        density: share of the pixels with truth that have an estimate. pixels: how many have truth.
    """

    pcd10_raw: float
    pcd10_scaled: float
    scale: float
    constant_raw: float
    constant_scaled: float
    density: float
    pixels: int


def depth_figures(
    estimated: Sequence[NDArray[np.float32]], truth: Sequence[NDArray[np.float32]], constant_m: float = 2.0
) -> DepthFigures:
    """Compare lists of (H, W) depth maps in metres, 0 = unknown, pooled over all pixels of the clip.

    Raises:
        InputError: no maps, unequal numbers or sizes, no pixel with truth, or no pixel with both.
    """
    if not estimated or len(estimated) != len(truth):
        raise InputError(
            "depth maps", f"{len(estimated)} and {len(truth)}", "as many estimates as truths, at least one"
        )
    for e, t in zip(estimated, truth):
        if e.shape != t.shape:
            raise InputError("depth maps", f"{e.shape} and {t.shape}", "equal sizes")
    known = [(e[t > 0].astype(np.float64), t[t > 0].astype(np.float64)) for e, t in zip(estimated, truth)]
    e, t = (np.concatenate(part) for part in zip(*known))
    valid = np.isfinite(e) & (e > 0)
    if not valid.any():
        raise InputError("depth maps", f"{valid.sum()} pixels with an estimate and truth", "at least one")
    e = np.where(valid, e, 0.0)
    scale = float(np.median(t[valid] / e[valid]))
    return DepthFigures(
        pcd10_raw=_within(e, t),
        pcd10_scaled=_within(scale * e, t),
        scale=scale,
        constant_raw=_within(np.full_like(t, constant_m), t),
        constant_scaled=_within(np.full_like(t, np.median(t)), t),
        density=float(valid.mean()),
        pixels=len(t),
    )


@dataclass(frozen=True)
class SurfaceFigures:
    """How well points of a surface match true ones.

    Args:
        accuracy_m: mean distance from the estimate to the truth. completeness_m: mean distance from truth to estimate.
        precision, recall: shares within the threshold. f_score: their harmonic mean.
    """

    accuracy_m: float
    completeness_m: float
    precision: float
    recall: float
    f_score: float


def surface_figures(estimated: Array, truth: Array, threshold_m: float = 0.05) -> SurfaceFigures:
    """Compare (N, 3) with (M, 3) points sampled evenly over two surfaces, in metres.

    Raises:
        InputError: an empty set, non-finite points, or a threshold that is not positive.
    """
    estimated, truth = _points(estimated, "estimated"), _points(truth, "truth")
    if not len(estimated) or not len(truth) or not threshold_m > 0:
        raise InputError(
            "surfaces", f"{len(estimated)} and {len(truth)} points at {threshold_m} m", "two non-empty sets"
        )
    there = cKDTree(truth).query(estimated)[0]
    back = cKDTree(estimated).query(truth)[0]
    precision, recall = float((there <= threshold_m).mean()), float((back <= threshold_m).mean())
    f_score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return SurfaceFigures(float(there.mean()), float(back.mean()), precision, recall, f_score)


def refined(alignment: Alignment, points: Array, truth: Array, reach_m: float = 0.3, rounds: int = 20) -> Alignment:
    """An alignment made better on the surfaces themselves: iterated closest points with scale (Besl and McKay 1992;
    Knapitsch et al. 2017, section 3.2), over the pairs that are nearer than `reach_m`.

    Args:
        points: (N, 3) of the estimate, before `alignment`. truth: (M, 3).
    """
    tree, moved = cKDTree(_points(truth, "truth")), alignment(_points(points, "points"))
    for _ in range(rounds):
        distance, index = tree.query(moved, distance_upper_bound=reach_m)
        near = np.isfinite(distance)
        if near.sum() < 100:
            return alignment
        alignment = umeyama(points[near], truth[index[near]], with_scale=True)
        moved = alignment(points)
    return alignment


@dataclass(frozen=True)
class MeasuredDepth:
    """A depth camera's picture: depth_m (H, W) float32 metres, 0 = unknown; K fx, fy, cx, cy; T_world_cam (4, 4)."""

    depth_m: NDArray[np.float32]
    K: tuple[float, float, float, float]
    T_world_cam: Array


def surface_points(views: Sequence[MeasuredDepth], cell_m: float = 0.025, reach_m: float = 6.0) -> Array:
    """(M, 3) points of what depth cameras saw, one for each cell of a grid, so that they lie evenly."""
    clouds = []
    for view in views:
        v, u = np.nonzero((view.depth_m > 0) & (view.depth_m <= reach_m))
        z = view.depth_m[v, u].astype(np.float64)
        fx, fy, cx, cy = view.K
        points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], 1) @ view.T_world_cam[:3, :3].T
        clouds.append(_thinned(points + view.T_world_cam[:3, 3], cell_m))
    return _thinned(np.concatenate([np.zeros((0, 3)), *clouds]), cell_m)


def _thinned(points: Array, cell_m: float) -> Array:
    cell = np.floor(points / cell_m).astype(np.int64) + (1 << 20)
    key = (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
    return points[np.unique(key, return_index=True)[1]]


def measured_there(points: Array, views: Sequence[MeasuredDepth]) -> NDArray[np.bool_]:
    """(N,) whether any depth camera measured anything along its ray to a point: elsewhere nobody knows the truth."""
    known = np.zeros(len(points), bool)
    for view in views:
        local = (points - view.T_world_cam[:3, 3]) @ view.T_world_cam[:3, :3]
        fx, fy, cx, cy = view.K
        z = np.maximum(local[:, 2], 1e-3)
        u, v = np.rint(fx * local[:, 0] / z + cx), np.rint(fy * local[:, 1] / z + cy)
        height, width = view.depth_m.shape
        seen = np.flatnonzero((local[:, 2] > 0.05) & (u >= 0) & (v >= 0) & (u < width) & (v < height))
        known[seen[view.depth_m[v[seen].astype(int), u[seen].astype(int)] > 0]] = True
    return known


def mesh_figures(
    points: Array, alignment: Alignment, views: Sequence[MeasuredDepth], threshold_m: float = 0.1
) -> SurfaceFigures:
    """How well (N, 3) points of a reconstructed mesh match what depth cameras saw.

    Args:
        alignment: from the reconstruction to the truth, by the cameras' poses; it is `refined` on the surfaces.

    Raises:
        InputError: no surface on one side.
    """
    truth = surface_points(views)
    points = points[measured_there(alignment(_points(points, "points")), views)]
    if len(points) >= 100:
        alignment = refined(alignment, points[:: max(1, len(points) // 10_000)], truth)
    return surface_figures(alignment(points), truth, threshold_m)


def sample_surface(vertices: Array, faces: NDArray[np.int32], count: int, generator: np.random.Generator) -> Array:
    """(count, 3) points drawn evenly over the area of a triangle mesh.

    Raises:
        InputError: a mesh without area.
    """
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not len(faces) or not area.sum() > 0:
        raise InputError("mesh", f"{len(faces)} faces without area", "a surface")
    chosen = generator.choice(len(faces), count, p=area / area.sum())
    u, v = generator.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]


def _within(estimate: NDArray[Any], truth: NDArray[Any]) -> float:
    return float((np.abs(estimate - truth) <= 0.1 * truth).mean())


def _rms(difference: Array) -> float:
    return float(np.sqrt((difference**2).sum(1).mean()))


def _points(points: Array, name: str) -> Array:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(name, f"shape {points.shape}", "finite (N, 3) points")
    return points
