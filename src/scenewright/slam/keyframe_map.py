"""The map: keyframes, the views and points between them, graph edges, and what finds places again in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scenewright.slam import adjusting, finishing, joining, rigid, sweep, ties
from scenewright.slam import image as pictures
from scenewright.slam.config import SlamConfig
from scenewright.slam.corner_map import CornerMap
from scenewright.slam.features import FeatureSource, KeyframeIndex
from scenewright.slam.lens import Lens
from scenewright.slam.loops import LoopCloser
from scenewright.slam.odometry import Odometry, Posed
from scenewright.slam.pose_graph import GraphOptions
from scenewright.slam.relocalise import Relocaliser
from scenewright.slam.state import Entry, Picture
from scenewright.slam.types import Edge, Keyframe

Array = NDArray[np.float64]
_BOTTOM = np.array([[0, 0, 0, 1.0]])


class KeyframeMap:
    """Keyframes and frames hang on *views*; without odometry the views are the keyframes.

    Args:
        keyframes, edges, entries: see `slam.types` and `slam.state`.
        view_of: the view of every keyframe.
        odometry: None where corners are switched off.
        distortion: of the lens, which has been taken out of the keyframes; 0 before the end.
        features: by which places are found again; None = `features.SmallOrb`.
    """

    def __init__(
        self, intrinsics: pictures.Intrinsics, config: SlamConfig, features: FeatureSource | None = None
    ) -> None:
        self.config = config
        self.keyframes: list[Keyframe] = []
        self.edges: list[Edge] = []
        self.entries: list[Entry] = []
        self.view_of: list[int] = []
        self.odometry = Odometry(intrinsics, config.odometry, config.densify) if config.odometry.enabled else None
        self.distortion = 0.0
        self.relocaliser = Relocaliser(KeyframeIndex(features))
        self._closer = LoopCloser(self.relocaliser.index)

    def add_view(self, picture: Picture, T_world_cam: Array, posed: Posed | None) -> int:
        """Make a frame a view; its number. Without odometry, the number that the next keyframe will have."""
        if self.odometry is None:
            return len(self.keyframes)
        return self.odometry.add_view(picture.index, picture.grey8, rigid.inverse(T_world_cam)[:3], posed)

    def view_pose(self, view: int) -> Array:
        """T_world_cam (4, 4) of a view."""
        if self.odometry is None:
            return self.keyframes[view].T_world_cam
        return rigid.inverse(np.vstack([self.odometry.map.views[view].T_cam_world, _BOTTOM]))

    def follow_views(self) -> None:
        """Keyframes are views: they go where bundle adjustment puts them."""
        if self.odometry is not None:
            for keyframe, view in zip(self.keyframes, self.view_of):
                keyframe.T_world_cam = self.view_pose(view)

    def frame_pose(self, entry: Entry) -> Array | None:
        """T_world_cam (4, 4) of a frame, None while lost."""
        return None if entry.T_view_cam is None else self.view_pose(entry.view) @ entry.T_view_cam

    def add_keyframe(self, keyframe: Keyframe, view: int, loops: bool) -> float | None:
        """Take in a keyframe and its graph edges.

        Returns:
            where its piece of map met an older one and was carried over to it, the factor by which it was stretched.
        """
        self.keyframes.append(keyframe)
        self.view_of.append(view)
        self.relocaliser.add(keyframe)
        if keyframe.id and self.keyframes[-2].segment == keyframe.segment:
            self.edges.append(finishing.odometry_edge(self.keyframes[-2], keyframe, self._left_open(keyframe.id)))
        found = self._closer.close(keyframe, self.edges) if loops else []
        self.edges.extend(found)
        stretched = None
        for edge in found:
            other = self.keyframes[edge.first]
            if other.segment != keyframe.segment:
                stretched = self._join(edge, other.segment)
        return stretched

    def _left_open(self, id: int) -> Array:
        """(6, 6) covariance of the motion to a keyframe from the one before, by the corners of the views between."""
        if self.odometry is None:
            return np.zeros((6, 6))
        return self.odometry.map.motion_covariance(self.view_of[id - 1], self.view_of[id])

    def _join(self, edge: Edge, segment: int) -> float:
        """Carry the newest piece of map to where a loop edge puts it."""
        newest = self.keyframes[edge.second]
        T_new = self.keyframes[edge.first].T_world_cam @ edge.T_first_second
        s, T = finishing.similarity_between(newest.T_world_cam, T_new, edge.log_scale)
        first_view = next(view for k, view in zip(self.keyframes, self.view_of) if k.segment == newest.segment)
        self._carry_piece(newest.segment, segment, s, T, lambda view: view >= first_view)
        return s

    def _carry_piece(self, segment: int, into: int, s: float, T: Array, owns: Callable[[int], bool]) -> None:
        """Make a piece of map part of another one, in whose world it lies at X -> s R X + t.

        Args:
            owns: whether a view is of the piece.
        """
        for k in self.keyframes:
            if k.segment == segment:
                joining.carry(k, s, T)
                k.segment = into
        for entry in self.entries:
            if entry.T_view_cam is not None and owns(entry.view):
                entry.T_view_cam = stretched(entry.T_view_cam, s)
        if self.odometry is not None:
            mine = np.array([owns(view) for view in range(len(self.odometry.map.views))])
            self.odometry.map.move(np.where(mine, s, 1.0), np.where(mine[:, None, None], T, np.eye(4)))
            self.follow_views()

    def join_pieces(self) -> None:
        """Join pieces of map that no loop joined, each to an older one, where all their keyframes together say how."""
        source, pieces = self.relocaliser.index.source, self._pieces()
        surveyed = {n: joining.survey(piece, source) for n, piece in pieces.items()} if len(pieces) > 1 else {}
        pairs = list(combinations(sorted(surveyed), 2))
        while pairs:
            first, second = pairs.pop(0)
            joint = joining.join(surveyed[first], surveyed[second], source)
            if joint is not None:
                self._accept(joint, first, second)
                del surveyed[second]
                surveyed[first] = joining.survey(self._pieces()[first], source)
                pairs = list(combinations(sorted(surveyed), 2))

    def _pieces(self) -> dict[int, list[Keyframe]]:
        return {n: [k for k in self.keyframes if k.segment == n] for n in {k.segment for k in self.keyframes}}

    def _accept(self, joint: joining.Joint, first: int, second: int) -> None:
        mine = {e.view for e in self.entries if e.view >= 0 and self.keyframes[e.keyframe].segment == second}
        self._carry_piece(second, first, joint.scale, joint.T, mine.__contains__)
        self.edges.append(joining.edge_between(*(self.keyframes[id] for id in joint.keyframes)))

    def close_loops(self) -> None:
        """Solve the pose graph where there are loops, carry the map along, and look again for points across them."""
        if not any(edge.kind in ("loop", "relocalisation") for edge in self.edges):
            return
        self._solve_graph()
        if self.odometry is None:
            return
        for id in sorted({e.second for e in self.edges if e.kind == "loop"}):
            self.odometry.rejoin(self.view_of[id], pictures.grey(self.keyframes[id].image).astype(np.uint8))

    def settle(self) -> None:
        """Solve the graph again with every edge as the adjusted map has it: its points seldom reach across a loop, and
        corners where one thing hides another bend long chains of views, which depth does not. Edges between near
        keyframes say by their depth what neighbours' scales are, so one edge of either kind is enough.
        """
        if self.odometry is None:
            return
        self.edges = [e for edge in self.edges if (e := self._measured_again(edge)) is not None]
        if any(edge.kind != "odometry" for edge in self.edges):
            self._solve_graph(finishing.ADJUSTED)

    def _measured_again(self, edge: Edge) -> Edge | None:
        """An edge by the poses, cameras and depths as they are now, None where a loop does not hold any more."""
        if edge.kind == "odometry":
            first, second = self.keyframes[edge.first], self.keyframes[edge.second]
            return finishing.adjusted_edge(first, second, self._left_open(edge.second))
        found = self._closer.verify(edge.first, edge.second)
        return None if found is None else replace(found, kind=edge.kind)

    def _solve_graph(self, options: GraphOptions | None = None) -> None:
        """Every keyframe goes where the graph puts it, and every view with the keyframe before it."""
        solved = finishing.solve_graph(self.keyframes, self.edges, options)
        changes = [finishing.similarity_between(k.T_world_cam, *solved[k.id]) for k in self.keyframes]
        for keyframe, (s, T) in zip(self.keyframes, changes):
            joining.carry(keyframe, s, T)
        if self.odometry is None:
            return
        views = np.arange(len(self.odometry.map.views))
        of_view = np.clip(np.searchsorted(self.view_of, views, "right") - 1, 0, None)
        self.odometry.map.move(np.array([changes[k][0] for k in of_view]), np.array([changes[k][1] for k in of_view]))

    def adjust(self) -> float:
        """Bundle adjustment over everything, keyframes far apart tied together; the factor by which it put the focal
        lengths right, mostly 1. Where it found the lens to bend the pictures, it straightens them.
        """
        if self.odometry is None or not self.config.odometry.global_iterations or len(self.odometry.map.views) < 2:
            return 1.0
        sparse = self.odometry.map
        if self.config.recovery.loops:
            ties.tie(sparse, self.relocaliser.index, self.view_of, self.config.odometry)
        factor = adjusting.adjust_all(sparse, self.config.odometry)
        self.follow_views()
        if factor != 1.0:
            self._refocus(factor)
        if sparse.distortion:
            self._straighten(sparse)
        return factor

    def _straighten(self, sparse: CornerMap) -> None:
        """Every keyframe as a pinhole would have taken it, and described again."""
        self.distortion = sparse.distortion
        lens = Lens(self.keyframes[0].camera, self.distortion)
        sparse.straighten(lens)
        self.keyframes[:] = [lens.keyframe(keyframe) for keyframe in self.keyframes]
        for keyframe in self.keyframes:
            self.relocaliser.add(keyframe)

    def _refocus(self, factor: float) -> None:
        """Every keyframe seen through another lens: a network's depth grows with the focal length (eq. 5)."""
        for keyframe, view in zip(self.keyframes, self.view_of):
            keyframe.camera = keyframe.camera.zoom(factor)
            if self.odometry is not None and not self.odometry.map.views[view].independent:
                keyframe.depth_network_m = keyframe.depth_network_m * np.float32(factor)

    def bend(self) -> None:
        """Bring every keyframe's depth to the map; see `finishing.bend`."""
        if self.odometry is not None:
            for keyframe, view in zip(self.keyframes, self.view_of):
                finishing.bend(keyframe, *self.odometry.map.depths(view), self.config.densify)

    def sweep(self) -> None:
        """Let the neighbours' pictures judge every keyframe's depth, unless it comes from a source that knows it."""
        c = self.config.sweep
        if not c.enabled:
            return
        for keyframe, log_factor in zip(self.keyframes, sweep.sweep(self.keyframes, c)):
            if keyframe.sigma_log is not None and np.median(keyframe.sigma_log) < c.reach / c.steps:
                continue
            factor = np.exp(log_factor)
            keyframe.depth_m, keyframe.variance = keyframe.depth_m * factor, keyframe.variance * factor * factor

    def rescale(self, factor: float) -> None:
        """Stretch the whole map."""
        if self.odometry is not None:
            views = len(self.odometry.map.views)
            self.odometry.map.move(np.full(views, factor), np.tile(np.eye(4), (views, 1, 1)))
        for keyframe in self.keyframes:
            joining.carry(keyframe, factor, np.eye(4))
        for entry in self.entries:
            entry.T_view_cam = None if entry.T_view_cam is None else stretched(entry.T_view_cam, factor)


def stretched(T: Array, factor: float) -> Array:
    """A motion whose translation is multiplied by a factor."""
    out = T.copy()
    out[:3, 3] *= factor
    return out
