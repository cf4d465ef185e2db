"""Measuring detectors, describers and matchers, always on the same items for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scenewright.data.colours import vary_colours
from scenewright.data.posed_pairs import PosedPair
from scenewright.data.sample import collate, image_tensor
from scenewright.features import metrics
from scenewright.features.data import (
    Pictures,
    patch_pair,
    point_set_pair,
    random_homography,
    shape_sample,
)
from scenewright.features.extract import Extractor
from scenewright.features.robust import homography
from scenewright.features.task import Detector, Features, PatchPairSample
from scenewright.geometry.covisible import pixels
from scenewright.worlds.synthetic_shapes import KINDS
from scenewright.worlds.wide import SAME_DEPTH, WideFrames

Figures = dict[str, float]
PairScore = Callable[[Tensor, Tensor], NDArray[np.float64]]
"""(N, 1, 64, 64) patches twice -> (N,) scores, higher = the same point."""


def patch_pairs(pictures: Pictures, count: int, seed: int) -> PatchPairSample:
    """`count` pairs, half of them matches, by the seed alone."""
    rng = np.random.default_rng(seed)
    return collate([patch_pair(pictures, rng, same=k % 2 == 0) for k in range(count)])


def patch_figures(pairs: PatchPairSample, score: PairScore) -> Figures:
    """FPR95, FDR95 and average precision of one way of comparing patches."""
    values, same = score(pairs.first, pairs.second), pairs.same.numpy() > 0.5
    precision = metrics.average_precision(values, same, int(same.sum()))
    return {"FPR95": metrics.fpr95(values, same), "FDR95": metrics.fdr95(values, same), "AP": precision}


def raw_patches(side: int) -> PairScore:
    """Correlation of patches averaged down to side x side."""

    def score(first: Tensor, second: Tensor) -> NDArray[np.float64]:
        a, b = (F.adaptive_avg_pool2d(p, side).flatten(1) for p in (first, second))
        a, b = (F.normalize(x - x.mean(1, keepdim=True), dim=1) for x in (a, b))
        return np.asarray((a * b).sum(1).double())

    return score


def sift_patches(side: int, root: bool) -> PairScore:
    """Distance of SIFT descriptors of patches averaged down to side x side (kornia's SIFT, upright)."""

    def score(first: Tensor, second: Tensor) -> NDArray[np.float64]:
        import kornia.feature as kf

        sift = kf.SIFTDescriptor(side, rootsift=root)
        with torch.inference_mode():
            a, b = (sift(F.adaptive_avg_pool2d(p, side)) for p in (first, second))
        return np.asarray(-(a - b).norm(dim=1).double())

    return score


def learned_patches(describe: Callable[[Tensor], Tensor]) -> PairScore:
    """Distance of a network's descriptors of patches."""

    def score(first: Tensor, second: Tensor) -> NDArray[np.float64]:
        with torch.inference_mode():
            a, b = (torch.cat([describe(x) for x in p.split(256)]) for p in (first, second))
        return np.asarray(-(a - b).norm(dim=1).double())

    return score


def shape_figures(detector: Detector, count: int, seed: int) -> Figures:
    """Average precision on clean and rough shapes, and how far right detections on clean ones lie from the corners."""
    clean, error = _shape_precision(detector, count, seed, 0.0)
    rough, _ = _shape_precision(detector, count, seed, 1.0)
    return {"AP clean": clean, "AP rough": rough, "error": error}


def _shape_precision(detector: Detector, count: int, seed: int, roughness: float) -> tuple[float, float]:
    scores, correct, truths, errors = list[float](), list[bool](), 0, list[float]()
    for k in range(count):
        rng = np.random.default_rng([seed, 7, k])
        sample = shape_sample(rng, sorted(KINDS)[k % len(KINDS)], roughness, 1.0)
        truth = (sample.points & sample.valid)[0].nonzero().flip(1).double().numpy()
        found = thinned(detector.detect(sample.image[None], 200), 4.0, 40)
        xy = found.xy.double().numpy()
        known = sample.valid[0][found.xy[:, 1].round().long(), found.xy[:, 0].round().long()].numpy()
        hit = metrics.claims(xy[known], found.score.numpy()[known], truth, 2.0)
        scores += found.score.numpy()[known].tolist()
        correct += hit.tolist()
        truths += len(truth)
        if hit.any():
            far = np.linalg.norm(xy[known][hit][:, None] - truth[None], axis=2).min(1)
            errors += far.tolist()
    return metrics.average_precision(scores, correct, truths), float(np.mean(errors)) if errors else 2.0


def thinned(features: Features, radius_px: float, count: int) -> Features:
    """Strongest first, none within `radius_px` of a stronger one."""
    ordered = features.strongest(len(features))
    xy = ordered.xy.numpy()
    free, kept = np.ones(len(xy), bool), list[int]()
    for k in range(len(xy)):
        if free[k] and len(kept) < count:
            kept.append(k)
            free &= np.linalg.norm(xy - xy[k], axis=1) > radius_px
    return ordered[torch.tensor(kept, dtype=torch.int64)]


Warp = Callable[[Tensor, Tensor], NDArray[np.float64] | None]
"""Point images (1, 1, H, W) twice -> (3, 3) homography of pixels, None where there is no answer."""


def warp_figures(warp: Warp, count: int, seed: int) -> Figures:
    """Mean corner error with half the points false, and with none; no answer counts as the identity."""
    figures = {}
    for name, false in (("corner error", 0.5), ("corner error without noise", 0.0)):
        errors = []
        for k in range(count):
            rng = np.random.default_rng([seed, 11, k])
            pair = point_set_pair(rng, 0.1, false, 1.0 if false else 0.0, 0.3)
            found = warp(pair.first[None], pair.second[None])
            truth, size = pair.H_second_first.double().numpy(), (pair.first.shape[-2], pair.first.shape[-1])
            errors.append(min(metrics.corner_error(np.eye(3) if found is None else found, truth, size), 200.0))
        figures[name] = float(np.mean(errors))
    return figures


def nearest_ransac(first: Tensor, second: Tensor, reach_px: float = 20.0) -> NDArray[np.float64] | None:
    """The classical answer: each point's nearest neighbours within reach are matches, MAGSAC finds what agrees."""
    a, b = (image[0, 0].nonzero().flip(1).double().numpy() for image in (first, second))
    far = np.linalg.norm(a[:, None] - b[None], axis=2)
    pairs = np.argwhere(far <= reach_px)
    found = homography(a[pairs[:, 0]], b[pairs[:, 1]], 3.0)
    return None if found is None else found.H


def homography_pairs(
    pictures: Pictures, count: int, seed: int, size: tuple[int, int] = (320, 240)
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]]:
    """(first, second, H) of pictures seen twice, colours varied."""
    pairs = []
    for k in range(count):
        rng = np.random.default_rng([seed, 13, k])
        image = cv2.resize(pictures.get(k % pictures.count), size, interpolation=cv2.INTER_AREA)
        H = random_homography(rng, size)
        warped = cv2.warpPerspective(image, H, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        varied = np.rint(255 * vary_colours(np.asarray(warped, np.uint8), 0.6, rng)).astype(np.uint8)
        pairs.append((np.asarray(image, np.uint8), varied, H))
    return pairs


def homography_figures(kind: Extractor, pairs: list[Any], count: int = 300) -> Figures:
    """Matching score, MMA@3, repeatability@3 and accuracy of the estimated homography, means over pairs."""
    rows: dict[str, list[float]] = {n: [] for n in ("matching score", "MMA@3", "repeatability@3", "H accuracy@3")}
    for first, second, H in pairs:
        found = [kind.features(image_tensor(image), count) for image in (first, second)]
        matches = kind.match(*found)
        xy = [f.xy[matches.pairs[:, k]].numpy() for k, f in enumerate(found)]
        errors = metrics.match_errors(xy[0], xy[1], H)
        size = (first.shape[0], first.shape[1])
        shared = [
            int(metrics.inside(metrics.transform(M, f.xy.numpy()), size).sum())
            for M, f in zip((H, np.linalg.inv(H)), found)
        ]
        right = int((errors <= 3).sum())
        rows["matching score"].append(metrics.matching_score(right, shared[0], shared[1]))
        rows["MMA@3"].append(float(metrics.matching_accuracy(errors, [3])[0]))
        rows["repeatability@3"].append(metrics.repeatability(found[0].xy.numpy(), found[1].xy.numpy(), H, size, 3))
        model = homography(xy[0], xy[1])
        rows["H accuracy@3"].append(float(metrics.corner_error(None if model is None else model.H, H, size) <= 3))
    return {name: float(np.mean(values)) for name, values in rows.items()}


Dense = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(first, second (1, 3, H, W), xy (N, 2) of the first) -> (N, 2) answers in the second."""


def dense_neighbours(describe: Callable[[Tensor, Features], Features], stride: int = 4) -> Dense:
    """Answers by the nearest descriptor over a grid of the second image."""

    def correspond(first: Tensor, second: Tensor, xy: Tensor) -> Tensor:
        size = (first.shape[-2], first.shape[-1])
        v, u = torch.meshgrid(*(torch.arange(0, n, stride) for n in size), indexing="ij")
        grid = torch.stack([u.flatten(), v.flatten()], 1).float()
        a = describe(first, Features(size, xy, torch.ones(len(xy))))
        b = describe(second, Features(size, grid, torch.ones(len(grid))))
        assert a.descriptors is not None
        assert b.descriptors is not None
        answer = torch.full_like(xy, torch.inf)
        kept = (a.xy[:, None] == xy[None]).all(2).float().argmax(1)  # a describer may leave points out
        answer[kept] = b.xy[torch.cdist(a.descriptors, b.descriptors).argmin(1)]
        return answer

    return correspond


def pck_figures(dense: Mapping[str, Dense], pairs: list[Any]) -> dict[str, Figures]:
    """PCK of each method on pairs (first, second, xy_first, xy_second), all places and the less textured half."""
    errors: dict[str, list[NDArray[np.float64]]] = {name: [] for name in dense}
    weak: list[NDArray[np.bool_]] = []
    for first, second, xy, there in pairs:
        texture = cv2.cornerMinEigenVal(cv2.cvtColor(first, cv2.COLOR_RGB2GRAY), 9, 3)
        at = np.rint(xy).astype(int)
        strength = texture[at[:, 1], at[:, 0]]
        weak.append(strength <= np.median(strength))
        for name, answer in dense.items():
            found = answer(image_tensor(first), image_tensor(second), torch.from_numpy(xy.astype(np.float32))).numpy()
            errors[name].append(np.linalg.norm(found - there, axis=1))
    chosen = np.concatenate(weak)
    figures = {}
    for name, rows in errors.items():
        far = np.concatenate(rows)
        figures[name] = {
            "PCK@8": metrics.pck(far, 8), "PCK@16": metrics.pck(far, 16), "PCK@8 weak": metrics.pck(far[chosen], 8)
        }  # fmt: skip
    return figures


PlacePair = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]
"""Two pictures, and where the same places lie in each, (N, 2)."""


def sequence_pairs(frames: list[Any], gap: int, count: int, seed: int, places: int = 200) -> list[PlacePair]:
    """Pairs of frames `gap` apart with places seen in both.

    Args:
        frames: objects with image (H, W, 3) uint8, depth_m (H, W), T_world_cam (4, 4) and camera, the same for all.
        count: at most so many pairs, evenly spread.
        places: of each pair.
    """
    pairs = []
    for k in np.linspace(0, len(frames) - gap - 1, count if len(frames) > gap else 0).astype(int).tolist():
        a, b = frames[k], frames[k + gap]
        T = np.linalg.inv(b.T_world_cam) @ a.T_world_cam
        posed = PosedPair(a.image, b.image, a.depth_m, b.depth_m, np.asarray(a.camera.K), T)
        pairs.append(_with_places(posed, 0.05, np.random.default_rng([seed, k]), places))
    return [pair for pair in pairs if pair is not None]


def wide_pairs(frames: WideFrames, count: int, seed: int, places: int = 200) -> list[PlacePair]:
    """At most `count` of the wide-baseline pairs of rooms, evenly spread, with places seen in both."""
    rows = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int)).tolist()
    pairs = (_with_places(frames[k], SAME_DEPTH, np.random.default_rng([seed, k]), places) for k in rows)
    return [pair for pair in pairs if pair is not None]


def _with_places(posed: PosedPair, tolerance: float, rng: np.random.Generator, count: int) -> PlacePair | None:
    """`count` places seen in both views, 12 pixels away from the edges; None where there are fewer."""
    size = (posed.depth_m.shape[0], posed.depth_m.shape[1])
    xy, there = posed.seen(pixels(size, 3, _MARGIN), tolerance, _MARGIN)
    if len(xy) < count:
        return None
    rows = rng.choice(len(xy), count, replace=False)
    return posed.image, posed.second, xy[rows].astype(np.float64), there[rows]


_MARGIN = 12
