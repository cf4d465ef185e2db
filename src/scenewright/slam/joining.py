"""Joining two pieces of map that no pair of views joins: many weak matches vote for one motion between the pieces.

Pictures taken from opposite sides of a room share few features, and no pair of them proves anything; but all pairs
speak of one and the same motion. Up is known, so that it is a similarity of the ground plan and a rise. Two matches
propose one, and every match whose place, direction and size it explains votes. The winner must have clearly more votes
than any other, and the surfaces of the two pieces must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise, product

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.align import umeyama
from scenewright.slam import rigid
from scenewright.slam.consistency import votes
from scenewright.slam.features import FeatureSource
from scenewright.slam.plans import Landmarks, landmarks, median_depth, upright
from scenewright.slam.pose_graph import edge_information
from scenewright.slam.types import Edge, Keyframe

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Mask = NDArray[np.bool_]
_PROPOSED, _CANDIDATES = 500, 100
"""Motions that are put to the vote, and those that are looked at closely."""
_SAME = 0.3
"""A motion is another one if a smaller share of its voters vote for the winner, too."""


@dataclass(frozen=True)
class JoinOptions:
    """When two pieces are joined. Lengths are shares of the older piece's median depth.

    Args:
        keyframes: of a piece that are compared, evenly spread.
        tolerance: distance of two places that are one, in the plan and in height.
        turn_deg, size: largest differences of two features' directions, and of their sizes in logs.
        apart: least distance of two matches that propose a motion. proposals: so many of a pair of pictures are tried.
        scale: largest log scale between two pieces; networks err by less.
        votes, lead: fewest votes of a motion, and how many times as many as the next one's. Wrong motions of rooms
            that have nothing in common got up to 46 with SIFT, 125 with ORB, and led by 1.85 at most.
        agree: least share of the surface points seen by both pieces that lie where the other has them. True joints
            had 0.85 or more, wrong ones up to 0.79: floor lies on floor.
    """

    keyframes: int = 40
    tolerance: float = 0.1
    turn_deg: float = 30.0
    size: float = 0.45
    apart: float = 0.12
    proposals: int = 1500
    scale: float = 0.35
    votes: int = 40
    lead: float = 2.0
    agree: float = 0.8


@dataclass(frozen=True)
class Common:
    """What two pieces may have in common.

    Args:
        first, second: (N, 3) places, each in its own upright world. first_axes, second_axes: (N, 3), see `Landmarks`.
        pair: (N,) from 1, in order: which two pictures were matched. keyframes: (N, 2) ids of those.
    """

    first: Array
    second: Array
    first_axes: Array
    second_axes: Array
    pair: NDArray[np.int64]
    keyframes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pair)

    def of(self, rows: NDArray[np.int64] | Mask) -> Common:
        """Some of it."""
        return Common(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True)
class Motion:
    """Similarities of the plan and rises, H of them: a place (p, z) goes to (turn p + shift, |turn| z + rise), where p
    is complex. turn, shift: (H,) complex. rise: (H,).
    """

    turn: Complex
    shift: Complex
    rise: Array

    def of(self, rows: NDArray[np.int64] | Mask) -> Motion:
        """Some of them."""
        return Motion(self.turn[rows], self.shift[rows], self.rise[rows])


@dataclass(frozen=True)
class Piece:
    """A piece of map ready to be compared.

    Args:
        keyframes: evenly spread ones. upright: (3, 3), see `plans.upright`. depth: median, metres.
        seen: what they show.
    """

    keyframes: Sequence[Keyframe]
    upright: Array
    depth: float
    seen: Sequence[Landmarks]


@dataclass(frozen=True)
class Joint:
    """How a piece of map lies in another's world.

    Args:
        scale, T: X_first = scale R X_second + t, T (4, 4) of (R, t).
        votes, rival: matches that say so, and those for the next best that is something else.
        agree: see `JoinOptions`.
        keyframes: ids of the two, one of either piece, that share most votes.
    """

    scale: float
    T: Array
    votes: int
    rival: int
    agree: float
    keyframes: tuple[int, int]


def survey(keyframes: Sequence[Keyframe], source: FeatureSource, options: JoinOptions | None = None) -> Piece:
    """Find what a piece of map shows; about 0.1 s per keyframe at 320x240."""
    count = min((options or JoinOptions()).keyframes, len(keyframes))
    some = [keyframes[n] for n in np.linspace(0, len(keyframes) - 1, count).round().astype(int)]
    R, depth = upright(some), median_depth(some)
    return Piece(some, R, depth, [view for k in some for view in landmarks(k, R, depth, source)])


def join(first: Piece, second: Piece, source: FeatureSource, options: JoinOptions | None = None) -> Joint | None:
    """How the second piece lies in the first one's world, None where that is not beyond doubt."""
    o = options or JoinOptions()
    joint = propose(first, second, source, o)
    return joint if joint is not None and joint.votes >= o.lead * joint.rival and joint.agree >= o.agree else None


def propose(first: Piece, second: Piece, source: FeatureSource, options: JoinOptions) -> Joint | None:
    """The motion with most votes, None where these are too few or fix none."""
    common = matched(first.seen, second.seen, source)
    voters, rival = elect(common, proposals(common, first.depth, options), first.depth, options)
    if len(voters) < options.votes:
        return None
    try:
        scale, T = similarity(voters, 0.4 * options.tolerance * first.depth)
    except InputError:  # all on one line, or at one place
        return None
    turn = rigid.from_rotation(first.upright.T, np.zeros(3)), rigid.from_rotation(second.upright, np.zeros(3))
    T = rigid.orthonormalise(turn[0] @ T @ turn[1])
    agree = agreement(first.keyframes, [carried(k, scale, T) for k in second.keyframes])
    pairs, count = np.unique(voters.keyframes, axis=0, return_counts=True)
    one, other = (int(id) for id in pairs[count.argmax()])
    return Joint(scale, T, len(voters), rival, agree, (one, other))


def matched(first: Sequence[Landmarks], second: Sequence[Landmarks], source: FeatureSource) -> Common:
    """Matches of all pictures of one piece with all of another: pictures with pictures, plans with plans."""
    none, nobody = np.zeros((0, 3)), np.zeros(0, np.int64)
    parts = [Common(none, none, none, none, nobody, np.zeros((0, 2), np.int64))]
    for a, b in product(first, second):
        if a.from_above == b.from_above:
            i, j = source.match(a.features, b.features).pairs.numpy().T
            ids = np.tile([a.keyframe, b.keyframe], (len(i), 1))
            parts.append(Common(a.points[i], b.points[j], a.axes[i], b.axes[j], np.full(len(i), len(parts)), ids))
    return Common(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Common)))


def proposals(common: Common, unit: float, options: JoinOptions) -> Motion:
    """The motions that most matches of one pair of pictures agree on: two of a pair, of three matches at least."""
    ends = np.flatnonzero(np.diff(common.pair, append=-1)) + 1
    found = [(Motion(np.zeros(0, complex), np.zeros(0, complex), np.zeros(0)), np.zeros(0, np.int64))]
    for start, end in pairwise([0, *ends]):
        if end - start >= 3:
            found.append(_proposals_of_pair(common.of(np.arange(start, end)), unit, options))
    motions = Motion(*(np.concatenate([getattr(m, f.name) for m, _ in found]) for f in fields(Motion)))
    support = np.concatenate([votes for _, votes in found])
    return motions.of(np.argsort(-support, kind="stable")[:_PROPOSED])


def _proposals_of_pair(common: Common, unit: float, options: JoinOptions) -> tuple[Motion, NDArray[np.int64]]:
    """Motions, and how many matches of the pair agree on each."""
    i, j = np.triu_indices(len(common), 1)
    if len(i) > options.proposals:
        chosen = np.random.default_rng(0).choice(len(i), options.proposals, replace=False)
        i, j = i[chosen], j[chosen]
    motions = _through(common.of(i), common.of(j), unit, options)
    support = fits(common, motions, unit, options).sum(1)
    best = np.argsort(-support, kind="stable")[:2]
    best = best[support[best] >= 3]
    return motions.of(best), support[best]


def _through(one: Common, other: Common, unit: float, options: JoinOptions) -> Motion:
    """The motions that take two matches' second places to their first."""
    step, step_second = other.first - one.first, other.second - one.second
    far = np.abs(_plan(step_second)) > options.apart * unit
    turn = _plan(step) / np.where(far, _plan(step_second), 1)
    level = np.abs(step[:, 2] - np.abs(turn) * step_second[:, 2]) < options.tolerance * unit
    good = far & level & (np.abs(np.log(np.maximum(np.abs(turn), 1e-9))) < options.scale)
    middle, middle_second = (one.first + other.first) / 2, (one.second + other.second) / 2
    shift = _plan(middle) - turn * _plan(middle_second)
    return Motion(turn, shift, middle[:, 2] - np.abs(turn) * middle_second[:, 2]).of(good)


def fits(common: Common, motions: Motion, unit: float, options: JoinOptions) -> Mask:
    """(H, N) which matches each motion explains. Features without a direction only by their places."""
    turn, shift, rise = motions.turn[:, None], motions.shift[:, None], motions.rise[:, None]
    scale, reach = np.abs(turn), options.tolerance * unit
    near = np.abs(_plan(common.first) - (turn * _plan(common.second) + shift)) < reach
    near &= np.abs(common.first[:, 2] - (scale * common.second[:, 2] + rise)) < reach
    a, b = common.first_axes, common.second_axes
    length, length_second = (np.maximum(np.linalg.norm(x, axis=1), 1e-9) for x in (a, b))
    along = (np.conj(_plan(a)) * _plan(b) * turn / scale).real + a[:, 2] * b[:, 2]
    against = along < np.cos(np.radians(options.turn_deg)) * length * length_second
    against |= np.abs(np.log(length / (scale * length_second))) > options.size
    return near & ~against


def elect(common: Common, motions: Motion, unit: float, options: JoinOptions) -> tuple[Common, int]:
    """The voters of the best motion, and the votes of the best one that is another: mostly by other voters."""
    one_by_one = [motions.of(np.array([n])) for n in range(len(motions.turn))]
    votes = np.array([fits(common, motion, unit, options).sum() for motion in one_by_one])
    best = [one_by_one[n] for n in np.argsort(-votes, kind="stable")[:_CANDIDATES]]
    nobody = np.zeros((1, len(common)), bool)
    ballots = np.concatenate([nobody, *(_settled(common, motion, unit, options) for motion in best)])
    votes = ballots.sum(1)
    winner = ballots[votes.argmax()]
    other = (ballots & winner).sum(1) < _SAME * votes
    return common.of(winner), int(votes[other].max(initial=0))


def _settled(common: Common, motion: Motion, unit: float, options: JoinOptions) -> Mask:
    """(1, N) who votes for a motion after it went to where its voters want it."""
    voters = fits(common, motion, unit, options)
    for _ in range(3):
        own = common.of(voters[0])
        p, q = _plan(own.first), _plan(own.second)
        turn = np.vdot(q - q.mean(), p - p.mean()) / max(float(np.vdot(q - q.mean(), q - q.mean()).real), 1e-9)
        rise = np.median(own.first[:, 2] - np.abs(turn) * own.second[:, 2])
        moved = Motion(np.array([turn]), np.array([p.mean() - turn * q.mean()]), np.array([rise]))
        if abs(np.log(max(abs(turn), 1e-9))) > options.scale:
            break
        again = fits(common, moved, unit, options)
        if again.sum() < 3:
            break
        voters = again
    return voters


def similarity(common: Common, sd: float, iterations: int = 10) -> tuple[float, Array]:
    """Scale and T (4, 4) with first = scale R second + t, by least squares with Cauchy weights of width `sd`."""
    weights = np.ones(len(common))
    a, b = (torch.from_numpy(np.ascontiguousarray(x)) for x in (common.first, common.second))
    for _ in range(iterations):
        S = umeyama(b, a, weights=torch.from_numpy(weights)).numpy()
        error = np.linalg.norm(common.second @ S[:3, :3].T + S[:3, 3] - common.first, axis=1)
        weights = 1 / (1 + (error / sd) ** 2)
    scale = float(np.cbrt(np.linalg.det(S[:3, :3])))
    return scale, rigid.orthonormalise(rigid.from_rotation(S[:3, :3] / scale, S[:3, 3]))


def carry(keyframe: Keyframe, s: float, T: Array) -> None:
    """Move a keyframe with a world that was turned, stretched and moved: X -> s R X + t."""
    R, old = T[:3, :3], keyframe.T_world_cam
    keyframe.T_world_cam = rigid.orthonormalise(rigid.from_rotation(R @ old[:3, :3], s * R @ old[:3, 3] + T[:3, 3]))
    keyframe.depth_m = keyframe.depth_m * np.float32(s)
    keyframe.variance = keyframe.variance * np.float32(s * s)


def carried(keyframe: Keyframe, s: float, T: Array) -> Keyframe:
    """A copy of a keyframe, moved; see `carry`."""
    copy = replace(keyframe)
    carry(copy, s, T)
    return copy


def edge_between(first: Keyframe, second: Keyframe) -> Edge:
    """The edge between keyframes of two pieces that were joined: good for 5 cm a metre away, and 3 degrees."""
    T = rigid.inverse(first.T_world_cam) @ second.T_world_cam
    information = edge_information(0.05 * (1 + float(np.linalg.norm(T[:3, 3]))), 0.05, 0.05)
    return Edge(first.id, second.id, T, 0.0, information, "relocalisation")


def agreement(first: Sequence[Keyframe], second: Sequence[Keyframe], tolerance: float = 0.15) -> float:
    """How well two pieces' depths agree: of the points that a keyframe of the other piece sees or looks through, the
    share that lie where it has them. A surface in what another camera saw as empty space cannot be there.
    """
    agree = through = 0
    for one, other in ((first, second), (second, first)):
        for keyframe in one:
            found = votes(keyframe, other, tolerance)
            agree, through = agree + int(found[0].sum()), through + int(found[1].sum())
    return agree / max(agree + through, 1)


def _plan(points: Array) -> Complex:
    return np.asarray(points[:, 0] + 1j * points[:, 1])
