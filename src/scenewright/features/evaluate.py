"""Measuring detectors, describers and matchers, always on the same items for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scenewright.data.colours import vary_colours
from scenewright.data.items import HomographyPair, PatchPair, Reader
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
from scenewright.features.task import Detector, Features, HomographySample, PatchPairSample
from scenewright.geometry.covisible import pixels
from scenewright.worlds.synthetic_shapes import KINDS

Figures = dict[str, float]
PairScore = Callable[[Tensor, Tensor], NDArray[np.float64]]
"""(N, 1, 64, 64) patches twice -> (N,) scores, higher = the same point."""


def patch_pairs(pictures: Pictures, count: int, seed: int) -> PatchPairSample:
    """`count` pairs, half of them matches, by the seed alone."""
    rng = np.random.default_rng(seed)
    return collate([patch_pair(pictures, rng, same=k % 2 == 0) for k in range(count)])


def patch_figures(pairs: PatchPairSample, score: PairScore) -> Figures:
    """FPR95, FDR95 and average precision of one way of comparing patches."""
    return score_figures(score(pairs.first, pairs.second), pairs.same.numpy() > 0.5)


def score_figures(values: NDArray[np.float64], same: NDArray[np.bool_]) -> Figures:
    """The same figures of scores (N,) that are there already."""
    precision = metrics.average_precision(values, same, int(same.sum()))
    return {"FPR95": metrics.fpr95(values, same), "FDR95": metrics.fdr95(values, same), "AP": precision}


def patch_table(blocks: Iterable[PatchPairSample], scores: Mapping[str, PairScore]) -> dict[str, Figures]:
    """Figures of several ways of comparing patches, over pairs that come in blocks."""
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scores}
    same: list[NDArray[np.bool_]] = []
    for block in blocks:
        same.append(block.same.numpy() > 0.5)
        for name, score in scores.items():
            values[name].append(score(block.first, block.second))
    truth = np.concatenate(same)
    return {name: score_figures(np.concatenate(parts), truth) for name, parts in values.items()}


def patch_blocks(reader: Reader[Any], size: int = 1000) -> Iterator[PatchPairSample]:
    """All pairs of a reader of patches, `size` at a time."""
    for start in range(0, len(reader), size):
        yield collate([patch_sample(reader[k]) for k in range(start, min(start + size, len(reader)))])


def patch_sample(pair: PatchPair) -> PatchPairSample:
    """Two patches of a data set as a sample."""
    first, second = (torch.from_numpy(p)[None].float() / 255 for p in (pair.image, pair.second))
    return PatchPairSample(first, second, torch.tensor(float(pair.same)))


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


def homography_sample(first: NDArray[np.uint8], second: NDArray[np.uint8], H: NDArray[np.float64]) -> HomographySample:
    """Two photographs (H, W, 3) of a plane as a sample; they may differ in size."""
    ones = np.ones(first.shape[:2], np.uint8)
    seen = cv2.warpPerspective(ones, H, second.shape[1::-1], flags=cv2.INTER_NEAREST) > 0
    a, b = (image_tensor(picture)[0] for picture in (first, second))
    return HomographySample(a, b, torch.from_numpy(np.asarray(H, np.float64)), torch.from_numpy(seen)[None])


def homography_pairs(
    pictures: Pictures, count: int, seed: int, size: tuple[int, int] = (320, 240)
) -> list[HomographySample]:
    """Pictures seen twice, colours varied."""
    pairs = []
    for k in range(count):
        rng = np.random.default_rng([seed, 13, k])
        image = cv2.resize(pictures.get(k % pictures.count), size, interpolation=cv2.INTER_AREA)
        H = random_homography(rng, size)
        warped = cv2.warpPerspective(image, H, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        varied = np.rint(255 * vary_colours(np.asarray(warped, np.uint8), 0.6, rng)).astype(np.uint8)
        pairs.append(homography_sample(np.asarray(image, np.uint8), varied, H))
    return pairs


def resized_plane(pair: HomographyPair, longest: int) -> HomographySample:
    """Both photographs at most `longest` pixels on the longer side, and the homography between these.

    A resize maps pixel centres by x' = (x + 1/2) s - 1/2, so H' = S_second H S_first^-1.
    """
    pictures, scales = [], []
    for image in (pair.image, pair.second):
        height, width = image.shape[:2]
        share = min(1.0, longest / max(height, width))
        size = (round(share * width), round(share * height))
        small = image if share == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(small, np.uint8))
        sx, sy = size[0] / width, size[1] / height
        scales.append(np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]]))
    H = scales[1] @ pair.H_second_first @ np.linalg.inv(scales[0])
    return homography_sample(pictures[0], pictures[1], H)


def homography_figures(
    kind: Extractor, samples: Iterable[HomographySample], count: int = 300, thresholds: Sequence[int] = (3,)
) -> Figures:
    """Matching score, repeatability@3, MMA and accuracy of the estimated homography at each threshold (pixels), the
    share of points found again at a scale right within a factor 1.41; means over pairs of at most `count` keypoints in
    each picture."""
    rows: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in _homography_row(kind, sample, count, thresholds).items():
            rows.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _homography_row(kind: Extractor, sample: HomographySample, count: int, thresholds: Sequence[int]) -> Figures:
    images, H = (sample.first[None], sample.second[None]), sample.H_second_first.numpy()
    sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    found = [kind.features(image, count) for image in images]
    matches = kind.match(*found)
    xy = [f.xy[matches.pairs[:, k]].numpy() for k, f in enumerate(found)]
    errors = metrics.match_errors(xy[0], xy[1], H)
    shared = [
        int(metrics.inside(metrics.transform(M, f.xy.numpy()), size).sum())
        for M, f, size in zip((H, np.linalg.inv(H)), found, sizes[::-1])
    ]
    points = [f.xy.numpy() for f in found]
    model = homography(xy[0], xy[1])
    corners = metrics.corner_error(None if model is None else model.H, H, sizes[0])
    row = {
        "matching score": metrics.matching_score(int((errors <= 3).sum()), shared[0], shared[1]),
        "repeatability@3": metrics.repeatability(points[0], points[1], H, sizes[0], 3, sizes[1]),
        "scale within 1.41": _scale_share(found[0], found[1], H),
    }
    row |= {f"MMA@{t}": float(metrics.matching_accuracy(errors, [t])[0]) for t in thresholds}
    return row | {f"H accuracy@{t}": float(corners <= t) for t in thresholds}


def _scale_share(first: Features, second: Features, H: NDArray[np.float64]) -> float:
    """Points without a scale count as of one size in both pictures."""
    radii = [torch.ones(len(f)) if f.radius_px is None else f.radius_px for f in (first, second)]
    sizes = (radii[0].numpy(), radii[1].numpy())
    right, again = metrics.scale_agreement(first.xy.numpy(), second.xy.numpy(), sizes, H, 3, 2**0.5)
    return right / again if again else 0.0


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


class _Pairs(Protocol):
    """Posed pairs by number."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> PosedPair: ...


def place_pairs(pairs: _Pairs, count: int, seed: int, tolerance: float, places: int = 200) -> list[PlacePair]:
    """At most `count` of the pairs, evenly spread, with places seen in both.

    Args:
        tolerance: relative difference of depth up to which both see the same surface.
        places: of each pair; pairs that share fewer are left out.
    """
    rows = np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int)).tolist()
    found = (_with_places(pairs[k], tolerance, np.random.default_rng([seed, k]), places) for k in rows)
    return [pair for pair in found if pair is not None]


def _with_places(posed: PosedPair, tolerance: float, rng: np.random.Generator, count: int) -> PlacePair | None:
    """`count` places seen in both views, 12 pixels away from the edges; None where there are fewer."""
    size = (posed.depth_m.shape[0], posed.depth_m.shape[1])
    xy, there = posed.seen(pixels(size, 3, _MARGIN), tolerance, _MARGIN)
    if len(xy) < count:
        return None
    rows = rng.choice(len(xy), count, replace=False)
    return posed.image, posed.second, xy[rows].astype(np.float64), there[rows]


_MARGIN = 12
