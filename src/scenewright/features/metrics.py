"""How keypoints, descriptors and matches are measured. Each figure under the name the field gives it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenewright.errors import InputError

Doubles = NDArray[np.float64]


def _ranked(score: ArrayLike, same: ArrayLike) -> tuple[Doubles, NDArray[np.bool_]]:
    """Scores, best first, and whether each is a true match; equal scores stay in order."""
    s, y = np.asarray(score, np.float64), np.asarray(same, bool)
    if s.shape != y.shape or s.ndim != 1 or not y.any() or y.all():
        raise InputError("pairs", f"{s.shape} scores, {int(y.sum())} of {y.size} same", "both kinds of pairs")
    order = np.argsort(-s, kind="stable")
    return s[order], y[order]


def _at_recall(score: ArrayLike, same: ArrayLike, recall: float) -> tuple[int, int, int]:
    """(true positives, false positives, negatives) at the first threshold whose recall reaches `recall`.

    A threshold accepts every pair of its score, so equal scores enter together.
    """
    s, y = _ranked(score, same)
    hits = np.cumsum(y)
    first = int(np.argmax(hits >= np.ceil(recall * hits[-1] - 1e-9)))
    last = int(np.searchsorted(-s, -s[first], "right"))
    return int(hits[last - 1]), last - int(hits[last - 1]), int((~y).sum())


def fpr95(score: ArrayLike, same: ArrayLike) -> float:
    """Share of the false pairs that pass where 95 % of the true ones do (Brown et al. 2011). Higher score = match."""
    _, false, negatives = _at_recall(score, same, 0.95)
    return false / negatives


def fdr95(score: ArrayLike, same: ArrayLike) -> float:
    """Share of the accepted pairs that are false there: what MatchNet's code calls the error at 95 % recall."""
    true, false, _ = _at_recall(score, same, 0.95)
    return false / (true + false)


def average_precision(score: ArrayLike, correct: ArrayLike, truths: int) -> float:
    """Area under interpolated precision (the best to the right) over recall.

    Args:
        score: (N,) of all detections, pooled over images.
        correct: (N,) whether each claims a truth nothing before it has claimed.
        truths: how many there are to find.
    """
    if truths < 1:
        raise InputError("truths", str(truths), "1 or more")
    s, y = np.asarray(score, np.float64), np.asarray(correct, bool)
    hits = np.cumsum(y[np.argsort(-s, kind="stable")])
    if len(hits) == 0:
        return 0.0
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float((np.diff(hits, prepend=0) / truths * precision).sum())


def claims(xy: ArrayLike, score: ArrayLike, truth_xy: ArrayLike, radius_px: float) -> NDArray[np.bool_]:
    """Which detections (N, 2), taken in the order of their score, lie within `radius_px` of an unclaimed truth (T, 2).

    Each claims the nearest it can.
    """
    points, truths = np.asarray(xy, np.float64).reshape(-1, 2), np.asarray(truth_xy, np.float64).reshape(-1, 2)
    correct, free = np.zeros(len(points), bool), np.ones(len(truths), bool)
    for row in np.argsort(-np.asarray(score, np.float64), kind="stable"):
        far = np.where(free, np.linalg.norm(truths - points[row], axis=1), np.inf)
        if len(far) and far.min() <= radius_px:
            free[int(far.argmin())] = False
            correct[row] = True
    return correct


def transform(H: ArrayLike, xy: ArrayLike) -> Doubles:
    """(N, 2) pixels through a (3, 3) homography; points at infinity become infinite."""
    points = np.asarray(xy, np.float64).reshape(-1, 2)
    mapped = np.column_stack([points, np.ones(len(points))]) @ np.asarray(H, np.float64).T
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Doubles = np.where(np.abs(mapped[:, 2:]) > 1e-12, mapped[:, :2] / mapped[:, 2:], np.inf)
    return result


def inside(xy: ArrayLike, size: tuple[int, int], border: float = 0.0) -> NDArray[np.bool_]:
    """Which pixels (N, 2) lie in an image of (height, width), `border` pixels away from its edge."""
    p = np.asarray(xy, np.float64).reshape(-1, 2)
    high = np.array([size[1] - 1, size[0] - 1]) - border
    return np.asarray(((p >= border) & (p <= high)).all(1), bool)


def repeatability(
    first: ArrayLike, second: ArrayLike, H: ArrayLike, size: tuple[int, int], radius_px: float,
    second_size: tuple[int, int] | None = None,
) -> float:  # fmt: skip
    """Share of the points of both images, in the view both share, that the other image has within `radius_px`.

    (SuperPoint's definition; distances in the second image for the first's points and the other way round.)

    Args:
        first, second: (N, 2), (M, 2) points; give every method as many, thinned with the same radius.
        H: maps first to second.
        size, second_size: (height, width) of the first picture, and of the second where it differs.
    """
    a, b = np.asarray(first, np.float64).reshape(-1, 2), np.asarray(second, np.float64).reshape(-1, 2)
    back = np.linalg.inv(np.asarray(H, np.float64))
    hits, count = 0, 0
    for own, other, there, frame in ((a, b, np.asarray(H, np.float64), second_size or size), (b, a, back, size)):
        mapped = transform(there, own)
        mapped = mapped[inside(mapped, frame)]
        near = np.full(len(mapped), np.inf)
        if len(other) and len(mapped):
            near = np.linalg.norm(mapped[:, None] - other[None], axis=2).min(1)
        hits, count = hits + int((near <= radius_px).sum()), count + len(mapped)
    return hits / count if count else 0.0


def local_scale(H: ArrayLike, xy: ArrayLike) -> Doubles:
    """(N,) by how much H enlarges the surroundings of pixels (N, 2): the root of its Jacobian's determinant.

    For a homography with w = h3 . (x, y, 1) that is (|det H| / |w|^3)^(1/2).
    """
    M, p = np.asarray(H, np.float64), np.asarray(xy, np.float64).reshape(-1, 2)
    w = np.column_stack([p, np.ones(len(p))]) @ M[2]
    result: Doubles = np.sqrt(abs(np.linalg.det(M)) / np.maximum(np.abs(w), 1e-9) ** 3)
    return result


def scale_agreement(
    first: ArrayLike, second: ArrayLike, radii: tuple[ArrayLike, ArrayLike], H: ArrayLike, radius_px: float,
    factor: float,
) -> tuple[int, int]:  # fmt: skip
    """How many points found again within `radius_px` have, mapped, the other's scale up to a factor, and how many there
    are.

    Args:
        first, second: (N, 2), (M, 2) points.
        radii: (N,), (M,) their sizes.
        H: maps first to second.
    """
    a, b = np.asarray(first, np.float64).reshape(-1, 2), np.asarray(second, np.float64).reshape(-1, 2)
    if len(a) == 0 or len(b) == 0:
        return 0, 0
    far = np.linalg.norm(transform(H, a)[:, None] - b[None], axis=2)
    partner, again = far.argmin(1), far.min(1) <= radius_px
    expected = np.asarray(radii[0], np.float64) * local_scale(H, a)
    off = np.abs(np.log(np.asarray(radii[1], np.float64)[partner] / expected))[again]
    return int((off <= np.log(factor)).sum()), int(again.sum())


def match_errors(xy_first: ArrayLike, xy_second: ArrayLike, H: ArrayLike) -> Doubles:
    """(M,) pixels between where a match says a point lies in the second image and where it does."""
    result: Doubles = np.linalg.norm(transform(H, xy_first) - np.asarray(xy_second, np.float64).reshape(-1, 2), axis=1)
    return result


def matching_accuracy(errors: ArrayLike, thresholds: ArrayLike = range(1, 11)) -> Doubles:
    """Share of one pair's matches within each threshold (MMA before the mean over pairs); 0 without a match."""
    e, t = np.asarray(errors, np.float64), np.asarray(thresholds, np.float64)
    result: Doubles = (e[:, None] <= t).mean(0) if len(e) else np.zeros(len(t))
    return result


def matching_score(correct: int, shared_first: int, shared_second: int) -> float:
    """Correct matches over the points in the shared view, the mean of both sides."""
    shares = [correct / n for n in (shared_first, shared_second) if n]
    return float(np.mean(shares)) if shares else 0.0


def corner_error(estimated: ArrayLike | None, H: ArrayLike, size: tuple[int, int]) -> float:
    """Mean distance in pixels of the image's four corners under both homographies; infinite without an estimate."""
    if estimated is None:
        return float("inf")
    h, w = size
    corners = np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float64)
    return float(np.linalg.norm(transform(estimated, corners) - transform(H, corners), axis=1).mean())


def pck(errors: ArrayLike, threshold_px: float) -> float:
    """Percentage of correct keypoints, as a share: queries whose answer lies at most `threshold_px` off."""
    e = np.asarray(errors, np.float64)
    return float((e <= threshold_px).mean()) if len(e) else 0.0


def pose_error_deg(R: ArrayLike, t: ArrayLike, true_R: ArrayLike, true_t: ArrayLike) -> float:
    """The larger of the angles of rotation and of direction of translation, degrees; t up to scale and sign kept."""
    turn = np.asarray(R, np.float64).T @ np.asarray(true_R, np.float64)
    angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    a, b = (np.asarray(v, np.float64).ravel() for v in (t, true_t))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    drift = np.degrees(np.arccos(np.clip(a @ b / scale, -1, 1))) if scale > 0 else 180.0
    return float(max(angle, drift))


def error_auc(errors: ArrayLike, thresholds: ArrayLike) -> Doubles:
    """Area under the share of pairs solved within an error, up to each threshold, over that threshold.

    Failed pairs count with an infinite error. The curve runs straight between errors, from (0, 0).
    """
    e = np.sort(np.asarray(errors, np.float64))
    if len(e) == 0:
        raise InputError("errors", "none", "one per pair")
    share = np.arange(1, len(e) + 1) / len(e)
    result = []
    for limit in np.atleast_1d(np.asarray(thresholds, np.float64)):
        n = int(np.searchsorted(e, limit, "right"))
        x = np.concatenate([[0], e[:n], [limit]])
        y = np.concatenate([[0], share[:n], [share[n - 1] if n else 0]])
        result.append(np.trapezoid(y, x) / limit)
    return np.array(result)
