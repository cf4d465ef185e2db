"""Loop closure: earlier keyframes that see what a new one sees, found by place and by looks, verified from both sides.

Candidates after Engel 2014 (section 3.5: near in space, or alike; both directions must agree); verification is PnP
against each keyframe's own depth in place of direct Sim(3) alignment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scenewright.slam.features import KeyframeIndex, Sighting, agreement, inverse, spread, to_grey
from scenewright.slam.pose_graph import edge_information
from scenewright.slam.types import Edge, Keyframe

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LoopOptions:
    """Which keyframes are tried, and what makes an edge.

    Args:
        near, alike: at most this many candidates by place and by looks.
        far_in_graph: an edge between keyframes at least this many edges apart is a "loop", below (but > 1) "near".
        distance_share: a near candidate's distance at most, as a share of the mean depth.
        angle_rad: and the angle between the viewing directions.
        min_inliers, min_share, min_cells: per direction, see `relocalise.RelocaliseOptions`.
        min_agreement: correlation of the warped older keyframe with the new image.
        rotation_gap_rad, translation_gap, scale_gap: largest disagreement of the two directions; translation as a
            share of the median depth, scale in logs.
        shape_gap: largest median deviation of the log ratio of the two depths from its median.
    """

    near: int = 3
    alike: int = 2
    far_in_graph: int = 4
    distance_share: float = 0.6
    angle_rad: float = 0.7
    min_inliers: int = 20
    min_share: float = 0.25
    min_cells: int = 4
    min_agreement: float = 0.5
    rotation_gap_rad: float = 0.09
    translation_gap: float = 0.12
    scale_gap: float = 0.3
    shape_gap: float = 0.2


class LoopCloser:
    """Finds the edges that a new keyframe closes. Its state is a pure function of the keyframes added."""

    def __init__(self, index: KeyframeIndex | None = None, options: LoopOptions | None = None) -> None:
        self.index = KeyframeIndex() if index is None else index
        self.options = options or LoopOptions()

    def add(self, keyframe: Keyframe) -> None:
        """Make a keyframe findable."""
        self.index.add(keyframe)

    def close(self, keyframe: Keyframe, edges: Iterable[Edge]) -> list[Edge]:
        """Verified edges from earlier keyframes (first) to this one (second); 10 to 40 ms at 320x240.

        Args:
            keyframe: added or not; it is added. edges: the graph so far, which says who is a neighbour already.
        """
        self.index.add(keyframe)
        hops = graph_distances(keyframe.id, edges)
        found = (self.verify(id, keyframe.id, hops.get(id)) for id in self.candidates(keyframe, hops))
        return [edge for edge in found if edge is not None]

    def candidates(self, keyframe: Keyframe, hops: Mapping[int, int]) -> list[int]:
        """Ids of earlier keyframes worth a try: near in space first, then alike; direct neighbours are left out."""
        o = self.options
        earlier = [id for id in self.index.keyframes if id < keyframe.id and hops.get(id, o.far_in_graph) > 1]
        same_piece = [id for id in earlier if self.index.keyframes[id].segment == keyframe.segment]
        reach = o.distance_share * _mean_depth(keyframe)
        scores = {id: self._apart(keyframe, self.index.keyframes[id], reach) for id in same_piece}
        near = sorted(
            (id for id in same_piece if scores[id] < 1), key=lambda id: (-min(hops.get(id, 99), 99), scores[id])
        )
        far = [id for id in earlier if hops.get(id, o.far_in_graph) >= o.far_in_graph]
        alike = self.index.similar(self.index.looks[keyframe.id], o.alike + o.near, far)
        alike = [id for id in alike if id not in near[: o.near]]
        return [*near[: o.near], *alike[: o.alike]]

    def _apart(self, a: Keyframe, b: Keyframe, reach: float) -> float:
        """0 = same place and direction, 1 = just too far or too much turned."""
        moved = float(np.linalg.norm(a.T_world_cam[:3, 3] - b.T_world_cam[:3, 3]))
        cosine = float(np.clip(a.T_world_cam[:3, 2] @ b.T_world_cam[:3, 2], -1, 1))
        return float(np.hypot(moved / max(reach, 1e-6), np.arccos(cosine) / self.options.angle_rad))

    def verify(self, first: int, second: int, hops: int | None = None) -> Edge | None:
        """The edge between two keyframes of the index if PnP says the same from both sides, else None."""
        there, back = self._pose(second, first), None
        if there is not None:
            back = self._pose(first, second)
        if there is None or back is None:
            return None
        a, b = self.index.keyframes[first], self.index.keyframes[second]
        if agreement(a, to_grey(b.image), b.camera, there.T_query_keyframe) < self.options.min_agreement:
            return None
        return self._combine(a, b, there, back, hops)

    def _pose(self, query: int, keyframe: int) -> Sighting | None:
        o, index = self.options, self.index
        camera = index.keyframes[query].camera
        found = index.pose(index.looks[query], camera, keyframe)
        if found is None or found.inliers < max(o.min_inliers, o.min_share * found.matches):
            return None
        return found if spread(found.query_pixels, camera) >= o.min_cells else None

    def _combine(
        self, first: Keyframe, second: Keyframe, there: Sighting, back: Sighting, hops: int | None
    ) -> Edge | None:
        """Mean of the two directions in first's units; their gap is the least uncertainty."""
        o = self.options
        ratio_there, ratio_back = _log_ratios(there, second), _log_ratios(back, first)
        if min(len(ratio_there), len(ratio_back)) < 8:
            return None
        scale_a, scale_b = float(np.median(ratio_there)), -float(np.median(ratio_back))
        scatter = float(np.median(np.abs(ratio_there - scale_a)))  # depths that disagree in shape, not in scale
        log_scale = (scale_a + scale_b) / 2
        T_a, T_b = inverse(there.T_query_keyframe), back.T_query_keyframe.copy()
        T_b[:3, 3] *= np.exp(log_scale)
        turn = Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).as_rotvec()
        rotation_gap, translation_gap = float(np.linalg.norm(turn)), float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]))
        depth = float(np.median(there.points[:, 2]))
        if rotation_gap > o.rotation_gap_rad or abs(scale_a - scale_b) > o.scale_gap or scatter > o.shape_gap:
            return None
        if translation_gap > o.translation_gap * depth:
            return None
        T = np.eye(4)
        T[:3, :3] = T_a[:3, :3] @ Rotation.from_rotvec(turn / 2).as_matrix()
        T[:3, 3] = (T_a[:3, 3] + T_b[:3, 3]) / 2
        information = edge_information(
            max(0.01 + 0.01 * depth, translation_gap),
            max(0.01, rotation_gap),
            max(0.03, abs(scale_a - scale_b) / 2, scatter / 3),
        )
        far = hops is None or hops >= o.far_in_graph
        return Edge(first.id, second.id, T, log_scale, information, "loop" if far else "near")


def graph_distances(start: int, edges: Iterable[Edge]) -> dict[int, int]:
    """Keyframe -> fewest edges from `start`; those out of reach are absent."""
    neighbours: dict[int, set[int]] = {}
    for edge in edges:
        neighbours.setdefault(edge.first, set()).add(edge.second)
        neighbours.setdefault(edge.second, set()).add(edge.first)
    hops, queue = {start: 0}, deque([start])
    while queue:
        id = queue.popleft()
        for other in neighbours.get(id, ()):
            if other not in hops:
                hops[other] = hops[id] + 1
                queue.append(other)
    return hops


def _log_ratios(pose: Sighting, query: Keyframe) -> NDArray[np.float64]:
    """log(depth by the keyframe's points / the query's own depth) at the inliers where the query knows its depth."""
    z = (pose.points @ pose.T_query_keyframe[:3, :3].T + pose.T_query_keyframe[:3, 3])[:, 2]
    x, y = np.rint(pose.query_pixels).astype(int).T
    own = query.depth_m[y.clip(0, query.depth_m.shape[0] - 1), x.clip(0, query.depth_m.shape[1] - 1)]
    known = (own > 0) & (z > 0)
    return np.log(z[known] / own[known].astype(np.float64))


def _mean_depth(keyframe: Keyframe) -> float:
    known = keyframe.depth_m[::4, ::4]
    known = known[known > 0]
    return float(known.mean()) if len(known) else 0.0
