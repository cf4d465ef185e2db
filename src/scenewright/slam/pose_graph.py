"""The pose graph over keyframes: every keyframe a similarity whose scale the depth network knows to some ten per cent.

A node is S_world_cam = (R, t, s), x_world = s R x_cam + t, so `s` is the factor by which the keyframe's depths must be
multiplied to be metres of the world. CNN-SLAM (Tateno 2017, section 3.5) keeps s = 1, which is the SE(3) mode here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from scenewright.errors import InputError
from scenewright.slam.types import Edge

Matrix = NDArray[np.float64]
_TO_GTSAM = [3, 4, 5, 0, 1, 2, 6]  # ours: translation, rotation, log scale; gtsam's: rotation, translation, log scale
_FREE, _FIXED = 1e4, 1e-7  # standard deviations of what a prior leaves alone and of what it nails down


@dataclass(frozen=True)
class GraphOptions:
    """How the graph is solved.

    Args:
        similarity: Sim(3) nodes; False is the paper's SE(3).
        scale_sd: standard deviation of a keyframe's log scale about 0 (the network's own error).
        huber: kernel width in standard deviations, for every edge.
        confidence: probability under which a true loop stays; a loop that raises chi2 by more than the quantile of
            one edge's degrees of freedom goes.
        translation_floor, rotation_floor, scale_floor: standard deviations (metres per metre moved plus 5 mm, radians,
            log) added to every edge, since the J'WJ of dense tracking claims tenths of a millimetre.
    """

    similarity: bool = True
    scale_sd: float = 0.1
    huber: float = 3.0
    confidence: float = 0.999
    translation_floor: float = 0.03
    rotation_floor: float = 0.005
    scale_floor: float = 0.02


def edge_information(translation_sd: float, rotation_sd: float, scale_sd: float) -> Matrix:
    """A diagonal (7, 7) information from standard deviations in metres, radians and log scale."""
    sd = np.array([translation_sd] * 3 + [rotation_sd] * 3 + [scale_sd])
    if not (np.isfinite(sd).all() and (sd > 0).all()):
        raise InputError("edge_information", sd.tolist(), "positive standard deviations")
    return np.diag(sd**-2.0)


class PoseGraph:
    """Keyframe poses and scales from relative measurements; loops that contradict the odometry are refused.

    A loop is judged when it is first optimised: the chi2 of the whole graph with it, minus that without it, follows
    for a true loop the chi2 law of one edge (its Mahalanobis distance under the odometry's own uncertainty).
    The lowest keyframe of every connected piece is the anchor of that piece.
    """

    def __init__(self, options: GraphOptions | None = None) -> None:
        self.options = options or GraphOptions()
        self.rejected: list[Edge] = []
        self._poses: dict[int, Matrix] = {}
        self._log_scales: dict[int, float] = {}
        self._accepted: list[Edge] = []
        self._pending: list[Edge] = []

    @property
    def edges(self) -> list[Edge]:
        """The edges in force: all odometry, and the loops not refused."""
        return [*self._accepted, *self._pending]

    def add_keyframe(self, id: int, T_world_cam: Matrix, log_scale: float = 0.0) -> None:
        """A new node with its first guess.

        Raises:
            InputError: the id is taken, or the matrix is no rigid transform.
        """
        if id in self._poses:
            raise InputError("keyframe id", id, "a new id")
        self._poses[id] = _rigid(T_world_cam, f"keyframe {id}")
        self._log_scales[id] = float(log_scale)

    def add_edge(self, edge: Edge, trusted: bool = False) -> None:
        """A measurement between two keyframes. Odometry is always believed; other kinds unless `trusted` are judged.

        Raises:
            InputError: an unknown keyframe, a self-loop, or numbers that are no rigid transform or information.
        """
        unknown = {edge.first, edge.second} - self._poses.keys()
        if unknown or edge.first == edge.second:
            raise InputError("edge", f"{edge.first} -> {edge.second}", "two different keyframes of the graph")
        _rigid(edge.T_first_second, f"edge {edge.first} -> {edge.second}")
        information = np.asarray(edge.information)
        if information.shape != (7, 7) or not np.isfinite(information).all() or not np.isfinite(edge.log_scale):
            raise InputError("edge.information", information.shape, "a finite (7, 7) matrix and log scale")
        if np.linalg.eigvalsh((information + information.T) / 2)[0] < -1e-6 * max(np.abs(information).max(), 1e-12):
            raise InputError("edge.information", "a negative eigenvalue", "a positive semi-definite matrix")
        (self._accepted if trusted or edge.kind == "odometry" else self._pending).append(edge)

    def optimise(self) -> dict[int, tuple[Matrix, float]]:
        """Judge the new loops, solve, and return id -> (T_world_cam (4, 4), log_scale). Later calls start from here."""
        if not self._poses:
            return {}
        values, error = self._solve(self._accepted)
        pending, self._pending = self._pending, []
        gate = float(chi2.ppf(self.options.confidence, 7 if self.options.similarity else 6))
        for edge in pending:
            self._carry_over(edge)
            trial, grown = self._solve([*self._accepted, edge])
            if grown - error > gate:
                self.rejected.append(edge)
            else:
                self._accepted.append(edge)
                values, error = trial, grown
                self._store(values)
        self._store(values)
        return {id: (self._poses[id].copy(), self._log_scales[id]) for id in self._poses}

    def _carry_over(self, edge: Edge) -> None:
        """Where an edge is the first between two pieces, move the younger piece to where the edge puts it."""
        root = _pieces(self._poses, self._accepted)
        if root[edge.first] == root[edge.second]:
            return
        moving, held = edge.second, edge.first
        T_held_moving = edge.T_first_second
        if root[edge.second] < root[edge.first]:
            moving, held, T_held_moving = held, moving, np.asarray(np.linalg.inv(T_held_moving), np.float64)
        T = self._poses[held] @ T_held_moving @ np.linalg.inv(self._poses[moving])
        for id in self._poses:
            if root[id] == root[moving]:
                self._poses[id] = T @ self._poses[id]

    def chi2(self) -> float:
        """Twice the negative log likelihood (up to a constant) of the accepted edges at the current estimate."""
        return 2.0 * float(self._factors(self._accepted).error(self._values()))

    def _solve(self, edges: list[Edge]) -> tuple[gtsam.Values, float]:
        factors = self._factors(edges)
        parameters = gtsam.LevenbergMarquardtParams()
        parameters.setRelativeErrorTol(1e-10)
        parameters.setAbsoluteErrorTol(1e-12)
        values = gtsam.LevenbergMarquardtOptimizer(factors, self._values(), parameters).optimize()
        return values, 2.0 * float(factors.error(values))

    def _values(self) -> gtsam.Values:
        values = gtsam.Values()
        for id, T in self._poses.items():
            values.insert(id, self._node(T, self._log_scales[id]))
        return values

    def _node(self, T: Matrix, log_scale: float) -> Any:
        """gtsam's similarity is x -> s (R x + t'), so t' = t / s."""
        if not self.options.similarity:
            return gtsam.Pose3(T)
        s = float(np.exp(log_scale))
        return gtsam.Similarity3(gtsam.Rot3(T[:3, :3]), T[:3, 3] / s, s)

    def _factors(self, edges: list[Edge]) -> gtsam.NonlinearFactorGraph:
        graph = gtsam.NonlinearFactorGraph()
        between: Any
        prior: Any
        between, prior = (
            (gtsam.BetweenFactorSimilarity3, gtsam.PriorFactorSimilarity3)
            if self.options.similarity
            else (gtsam.BetweenFactorPose3, gtsam.PriorFactorPose3)
        )
        anchors = set(_pieces(self._poses, edges).values())
        for id, T in self._poses.items():
            if id in anchors:
                graph.add(prior(id, self._node(T, 0.0), self._prior_noise(_FIXED)))
            elif self.options.similarity:
                graph.add(prior(id, self._node(T, 0.0), self._prior_noise(_FREE)))
        for edge in edges:
            measured = self._node(edge.T_first_second, edge.log_scale)
            graph.add(between(edge.first, edge.second, measured, self._edge_noise(edge)))
        return graph

    def _prior_noise(self, pose_sd: float) -> gtsam.noiseModel.Base:
        sd = [pose_sd] * 6 + ([self.options.scale_sd] if self.options.similarity else [])
        return gtsam.noiseModel.Diagonal.Sigmas(np.array(sd))

    def _edge_noise(self, edge: Edge) -> gtsam.noiseModel.Base:
        size = 7 if self.options.similarity else 6
        information = self._with_floor(edge)[np.ix_(_TO_GTSAM[:size], _TO_GTSAM[:size])]
        gaussian = gtsam.noiseModel.Gaussian.Information(information)
        return gtsam.noiseModel.Robust.Create(gtsam.noiseModel.mEstimator.Huber(self.options.huber), gaussian)

    def _with_floor(self, edge: Edge) -> Matrix:
        """(I^-1 + floor)^-1 = I (1 + floor I)^-1, which also holds for a singular I."""
        o = self.options
        moved = 0.005 + o.translation_floor * float(np.linalg.norm(edge.T_first_second[:3, 3]))
        floor = np.diag(np.array([moved] * 3 + [o.rotation_floor] * 3 + [o.scale_floor]) ** 2)
        information = np.linalg.solve((np.eye(7) + floor @ edge.information).T, edge.information.T).T
        return (information + information.T) / 2 + 1e-9 * np.eye(7)

    def _store(self, values: gtsam.Values) -> None:
        for id in self._poses:
            T = np.eye(4)
            if self.options.similarity:
                node = values.atSimilarity3(id)
                T[:3, :3], T[:3, 3] = node.rotation().matrix(), node.scale() * node.translation()
                self._log_scales[id] = float(np.log(node.scale()))
            else:
                T = values.atPose3(id).matrix()
            self._poses[id] = T


def _rigid(T: Matrix, subject: str) -> Matrix:
    T = np.asarray(T, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all() or np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-4:
        raise InputError(subject, f"{T.shape} matrix {np.round(T, 3).tolist()}", "a finite (4, 4) rigid transform")
    return T.copy()


def _pieces(ids: Iterable[int], edges: list[Edge]) -> dict[int, int]:
    """id -> the smallest id of its connected component (union-find with the smaller root winning)."""
    root = {id: id for id in ids}

    def find(id: int) -> int:
        while root[id] != id:
            root[id] = id = root[root[id]]
        return id

    for edge in edges:
        low, high = sorted((find(edge.first), find(edge.second)))
        root[high] = low
    return {id: find(id) for id in root}
