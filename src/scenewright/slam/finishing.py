"""What is done once, at the end of a stream: graph, depth, one scale, gaps. Pure functions over keyframes and edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from scenewright.slam import densify, fusion, rigid
from scenewright.slam.config import DensifyConfig
from scenewright.slam.pose_graph import GraphOptions, PoseGraph, edge_information
from scenewright.slam.types import Edge, Keyframe

Array = NDArray[np.float64]


ADJUSTED = GraphOptions(translation_floor=0.009, rotation_floor=0.0015, scale_floor=0.006)
"""For edges between keyframes that bundle adjustment has placed: a third of what tracking's deserve."""


def odometry_edge(first: Keyframe, second: Keyframe, open_covariance: Array) -> Edge:
    """The edge between neighbouring keyframes of one map piece as tracking left their poses; see `_neighbours`."""
    return _neighbours(first, second, 0.01, 0.01, open_covariance)


def adjusted_edge(first: Keyframe, second: Keyframe, open_covariance: Array) -> Edge:
    """The same as bundle adjustment left them: surer in place, more so in turn, and with a third of what was open."""
    return _neighbours(first, second, 0.005, 0.003, open_covariance / 9)


def _neighbours(first: Keyframe, second: Keyframe, place_sd: float, turn_sd: float, open_covariance: Array) -> Edge:
    """Standard deviations: `place_sd` metres, and thrice that for each metre moved and for the log scale; to them comes
    the (6, 6) covariance of what corners leave open, see `CornerMap.motion_covariance`.
    """
    T = rigid.inverse(first.T_world_cam) @ second.T_world_cam
    moved = place_sd * (1 + 3 * float(np.linalg.norm(T[:3, 3])))
    information = edge_information(moved, turn_sd, 3 * place_sd)
    information[:6, :6] = np.linalg.inv(np.linalg.inv(information[:6, :6]) + open_covariance)
    return Edge(first.id, second.id, T, 0.0, information, "odometry")


def solve_graph(
    keyframes: Sequence[Keyframe], edges: Sequence[Edge], options: GraphOptions | None = None
) -> dict[int, tuple[Array, float]]:
    """Keyframe id -> T_world_cam (4, 4) and log scale after closing the loops."""
    graph = PoseGraph(options)
    for keyframe in keyframes:
        graph.add_keyframe(keyframe.id, rigid.orthonormalise(keyframe.T_world_cam))
    for edge in edges:
        graph.add_edge(edge)
    return graph.optimise()


def similarity_between(old: Array, new: Array, log_scale: float) -> tuple[float, Array]:
    """Scale s and motion T with X_new = s R X + t that takes a keyframe from one T_world_cam (4, 4) to another."""
    s = float(np.exp(log_scale))
    R = new[:3, :3] @ old[:3, :3].T
    return s, rigid.from_rotation(R, new[:3, 3] - s * R @ old[:3, 3])


def bend(keyframe: Keyframe, pixels: Array, depths_m: Array, config: DensifyConfig) -> None:
    """Bring a keyframe's depth to the map's scale and, unless switched off, bend the network's depth to the map.

    Args:
        pixels, depths_m: (N, 2) and (N,) map points in the keyframe.
    """
    k, c = keyframe, config
    x, y = np.rint(pixels).astype(int).T if len(pixels) else (np.zeros(0, int), np.zeros(0, int))
    if len(depths_m) >= c.minimum_anchors:
        ratio = densify.robust_log_ratio(depths_m, k.depth_m[y, x])
        factor = np.float32(np.exp(densify.believed(ratio, k.sigma_log, c)))
        k.depth_m, k.variance = k.depth_m * factor, k.variance * factor * factor
    if not c.enabled:
        return
    good = (k.observed >= 2) & (np.sqrt(k.variance) < 0.05 * k.depth_m)
    anchors = np.where(good, k.depth_m, 0).astype(np.float32)
    weight = np.where(good, np.float32(c.stereo_weight), 0).astype(np.float32)
    anchors[y, x], weight[y, x] = depths_m, c.point_weight
    if (weight > 0).sum() < c.minimum_anchors:
        return
    factors, near = densify.correction(k.depth_network_m, anchors, weight, c, k.sigma_log)
    bent = k.depth_network_m * factors
    sd = c.prior_sd if k.sigma_log is None else np.minimum(k.sigma_log, c.prior_sd)
    variance = np.square(bent * sd * (1 - 2 / 3 * near)).astype(np.float32)
    known = bent > 0
    both = good & known
    safe = [np.where(both, a, 1).astype(np.float32) for a in (bent, variance, k.depth_m, k.variance)]
    fused, fused_variance = fusion.combine(*safe)
    k.variance = np.where(both, fused_variance, np.where(known, variance, k.variance)).astype(np.float32)
    k.depth_m = np.where(both, fused, np.where(known, bent, k.depth_m)).astype(np.float32)


def scale_factor(keyframes: Sequence[Keyframe]) -> float:
    """The one global factor: exp of the mean over keyframes of the median of log(network depth / refined depth)."""
    logs = [densify.robust_log_ratio(k.depth_network_m, k.depth_m) for k in keyframes]
    return float(np.exp(np.mean(logs))) if logs else 1.0


def between(T_first: Array, T_last: Array, share: float) -> Array:
    """The motion a share of the way from one pose to another: slerp and straight line."""
    rotations = Rotation.from_matrix(np.stack([T_first[:3, :3], T_last[:3, :3]]))
    R = Slerp([0.0, 1.0], rotations)(share).as_matrix()
    return rigid.from_rotation(R, (1 - share) * T_first[:3, 3] + share * T_last[:3, 3])
