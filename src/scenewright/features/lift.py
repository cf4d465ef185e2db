"""LIFT: "Learned Invariant Feature Transform" (Yi, Trulls, Lepetit, Fua, ECCV 2016).

A detector says where in a patch the keypoint lies, an orientation estimator how it is turned, a descriptor what it
looks like; crops between them are differentiable, so each can be trained through the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.features.patches import cut
from scenewright.features.task import FeatureMaps, Features, LiftSample, check_image, check_images, luma
from scenewright.geometry.sampling import patch_grid, sample_at

BETA = 10.0
"""Sharpness of soft maxima (section 3.3)."""
PATCH, CROP, SMALL = 128, 64, 48
_BORDER = 5  # cells of the 24x24 score map that no keypoint may lie in
_KERNEL = 25


class GHH(nn.Module):
    """Generalised hinging hyperplanes (eq. 2): channels in n groups of m; y = sum_i (-1)^i max_j x_ij."""

    def __init__(self, groups: int = 4, members: int = 4) -> None:
        super().__init__()
        self.groups, self.members = groups, members

    def forward(self, x: Tensor) -> Tensor:
        """(B, C n m, ...) -> (B, C, ...)."""
        grouped = x.unflatten(1, (-1, self.groups, self.members)).amax(3)
        sign = torch.tensor([(-1.0) ** i for i in range(self.groups)], device=x.device, dtype=x.dtype)
        return (grouped * sign.reshape(1, 1, -1, *[1] * (x.ndim - 2))).sum(2)


@dataclass(frozen=True)
class LIFTConfig:
    """How images are searched; the networks have one size.

    Args:
        octaves: log2 of the smallest and largest scale looked for, in pixels of deviation.
        per_octave: scales in each octave.
        margin: of the descriptor's triplets.
        threshold: score below which nothing is a keypoint.
    """

    octaves: tuple[float, float]
    per_octave: int
    margin: float = 5.0
    threshold: float = -1e9

    @classmethod
    def paper(cls) -> LIFTConfig:
        """21 scales from 1 to 16 pixels."""
        return cls((0.0, 4.0), 5)

    @classmethod
    def small(cls) -> LIFTConfig:
        """Fewer scales, from 1.4 to 8 pixels: the same networks at a tenth of the work."""
        return cls((0.5, 3.0), 3)


class LIFT(Method[LiftSample]):
    """See the module's docstring."""

    Config = LIFTConfig
    card: ClassVar[Card] = Card(
        name="lift",
        title="LIFT: Learned Invariant Feature Transform",
        authors="K. M. Yi, E. Trulls, V. Lepetit, P. Fua",
        venue="ECCV",
        year=2016,
        paper="arXiv:1603.09114",
        task="features",
        inputs="one image",
        outputs="keypoints with scale, orientation and score; descriptors of 128 numbers, not of unit length",
        paper_parameters=2_309_498,
        deviations=(
            "ReLU and average pooling in the descriptor, no subtractive normalisation",
            "He initialisation: without batch norm the original's vanishes",
            "trained on views of DoG points that survive random homographies; the paper reconstructs photo collections",
            "offsets of the two views are compared in the keypoint's own, unturned frame",
            "hard mining happens within a batch: the harder half of its triplets counts, twice",
            "small: fewer scales are searched; orientations first learn the known turn between two views, whose slope "
            "points home from anywhere, then the paper's distance; a last stage trains the score with a larger weight",
        ),
        published=(),
        limits=("small: far behind SIFT in matches on turned and scaled pictures, and slow",),
        original_code="Theano and TensorFlow 1; patented, academic use only: not read by us",
        scale="unknown",
    )

    def __init__(self, config: LIFTConfig) -> None:
        super().__init__(config)
        self.detector = nn.Sequential(nn.Conv2d(1, 16, _KERNEL), GHH())
        self.orientation = nn.Sequential(
            nn.Conv2d(1, 10, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(10, 20, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(1250, 1600), GHH(), nn.Linear(100, 32), GHH(),
        )  # fmt: skip
        self.descriptor = nn.Sequential(
            nn.Conv2d(1, 32, 7), nn.ReLU(inplace=True), nn.AvgPool2d(2),
            nn.Conv2d(32, 64, 6), nn.ReLU(inplace=True), nn.AvgPool2d(3),
            nn.Conv2d(64, 128, 5), nn.ReLU(inplace=True), nn.AvgPool2d(4), nn.Flatten(),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def score_map(self, patches: Tensor) -> Tensor:
        """(N, 1, 128, 128) patches -> (N, 14, 14) scores of the inner places."""
        small = F.interpolate(patches, (SMALL, SMALL), mode="bilinear", align_corners=True)
        return self.detector(_centred(small))[:, 0, _BORDER:-_BORDER, _BORDER:-_BORDER].float()

    def describe_patches(self, crops: Tensor) -> Tensor:
        """(N, 1, 64, 64) upright crops -> (N, 128) float32."""
        return self.descriptor(_centred(crops)).float()

    def angles(self, crops: Tensor) -> Tensor:
        """(N, 1, 64, 64) -> (N,) radians from +x towards +y (section 3.4)."""
        pair = unit(self.orientation(_centred(crops)).float())
        return torch.atan2(pair[:, 1], pair[:, 0])

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Patches (N, 1, 128, 128) -> places (N, 2) in [-1, 1], angles (N,), descriptors (N, 128)."""
        xy = soft_argmax(self.score_map(patches))
        angle = self.angles(crop(patches, xy, torch.zeros_like(xy[:, 0])))
        return xy, angle, self.describe_patches(crop(patches, xy, angle))

    def loss(self, sample: LiftSample, stage: Stage) -> dict[str, Tensor]:
        """By stage, in the paper's order.

        "descriptor": "triplet" (B,); in training the harder half of the batch counts, twice (section 3.5's mining).
        "turn": "turn" (B,), 1 - cos of the error of the turn between two views. "orientation": "distance" (B,) of the
        two views' descriptors. "detector" and "score": "overlap" and "class" (B,) (eq. 3 to 8).
        """
        weights = {"triplet": 1.0, "turn": 1.0, "distance": 1.0, "overlap": 1.0, "class": 1e-5} | dict(stage.terms)
        terms = {
            "descriptor": self._descriptor_terms,
            "turn": self._turn_terms,
            "orientation": self._orientation_terms,
        }
        found = terms.get(stage.name, self._detector_terms)(sample)
        return {name: weights[name] * value for name, value in found.items()}

    def _descriptor_terms(self, sample: LiftSample) -> dict[str, Tensor]:
        xy, angle = sample.xy + sample.slip[..., :2], sample.angle + sample.slip[..., 2]
        known = crop(sample.patches[:, :3].flatten(0, 1), xy.flatten(0, 1), angle.flatten())
        d1, d2, d3 = self.describe_patches(known).unflatten(0, (-1, 3)).unbind(1)
        near, far = _distance(d1, d2), torch.minimum(_distance(d1, d3), _distance(d2, d3))
        value = (near - far + self.config.margin).clamp(min=0)
        return {"triplet": 2 * value * (value >= value.detach().median()) if self.training else value}

    def _turn_terms(self, sample: LiftSample) -> dict[str, Tensor]:
        xy = sample.xy + sample.slip[..., :2]
        seen = crop(
            sample.patches[:, :2].flatten(0, 1), xy[:, :2].flatten(0, 1), torch.zeros_like(xy[:, :2, 0].flatten())
        )
        first, second = self.angles(seen).unflatten(0, (-1, 2)).unbind(1)
        return {"turn": 1 - torch.cos(second - first - (sample.angle[:, 1] - sample.angle[:, 0]))}

    def _orientation_terms(self, sample: LiftSample) -> dict[str, Tensor]:
        pair, xy = sample.patches[:, :2].flatten(0, 1), sample.xy[:, :2].flatten(0, 1)
        angle = self.angles(crop(pair, xy, torch.zeros_like(xy[:, 0])))
        d1, d2 = self.describe_patches(crop(pair, xy, angle)).unflatten(0, (-1, 2)).unbind(1)
        return {"distance": _distance(d1, d2)}

    def _detector_terms(self, sample: LiftSample) -> dict[str, Tensor]:
        maps = self.score_map(sample.patches.flatten(0, 1))
        score = soft_maximum(maps).unflatten(0, (-1, 4))
        found = soft_argmax(maps).unflatten(0, (-1, 4))[:, :2]
        offset = _turn(found - sample.xy[:, :2], -sample.angle[:, :2])
        return {"overlap": overlap_loss(offset[:, 0], offset[:, 1]), "class": class_loss(score)}

    @torch.inference_mode()
    def predict(self, image: Tensor) -> FeatureMaps:
        """Heat of images (B, 3, H, W): the logistic of the detector's score at the finest scale, on the image's pixels.

        Raises:
            InputError: wrong shape, type or range.
        """
        check_images(image)
        with evaluating(self):
            return FeatureMaps(self._scores(luma(image))[:, None].sigmoid())

    def _scores(self, grey: Tensor) -> Tensor:
        """(B, H, W) scores of every pixel; the picture's edge is repeated."""
        return self.detector(_centred(F.pad(grey, [_KERNEL // 2] * 4, mode="replicate")))[:, 0].float()

    @torch.inference_mode()
    def detect(self, image: Tensor, count: int = 1000) -> Features:
        """Keypoints of one image (1, 3, H, W) with scale and orientation: peaks of the score over place and scale."""
        grey = luma(check_image(image))
        with evaluating(self):
            found = self._peaks(grey).strongest(count)
            angle = [self.angles(p) for p in cut(image, found, CROP).split(128) if len(p)]
        degrees = torch.rad2deg(torch.cat(angle)) if angle else image.new_zeros(0)
        return replace(found, angle_deg=degrees)

    def _peaks(self, grey: Tensor) -> Features:
        size, maps = (grey.shape[-2], grey.shape[-1]), []
        low, high = self.config.octaves
        sigmas = [2 ** float(e) for e in torch.linspace(low, high, round((high - low) * self.config.per_octave) + 1)]
        for sigma in sigmas:
            scale = (SMALL - 1) / 2 / (12 * sigma)
            shape = [max(1, round(side * scale)) for side in size]
            if min(shape) > _KERNEL + 1:
                resized = F.interpolate(grey, shape, mode="bilinear", align_corners=False, antialias=True)
                maps.append((sigma, self._scores(resized)[0]))
        rows = [_peaks_of(maps, k, size, self.config.threshold) for k in range(1, len(maps) - 1)]
        table = torch.cat(rows) if rows else grey.new_zeros(0, 4)
        return Features(size, table[:, :2], table[:, 3], 6 * table[:, 2])

    @torch.inference_mode()
    def describe(self, image: Tensor, features: Features) -> Features:
        """Any keypoints of one image with LIFT's 128 numbers, compared by Euclidean distance."""
        patches = cut(check_image(image), features, CROP)
        with evaluating(self):
            found = [self.describe_patches(block) for block in patches.split(128) if len(block)]
        return replace(features, descriptors=torch.cat(found) if found else image.new_zeros(0, 128))

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Descriptor, orientation, detector (section 3.5); each leaves the others alone."""
        parts = ("detector", "orientation", "descriptor")

        def stage(
            name: str, part: str, steps: int, rate: float = 1e-3, terms: tuple[tuple[str, float], ...] = ()
        ) -> Stage:
            frozen = tuple((f"{p}.", 0.0) for p in parts if p != part)
            if preset == "paper":
                return Stage(name, steps, 128, "lift-patches", "adam", rate, "constant", lr_scale=frozen)
            return Stage(name, steps, 32, "lift-patches", "adam", rate, "cosine", 50, frozen, average=0.99, terms=terms)

        if preset == "paper":
            return tuple(stage(p, p, 100_000) for p in ("descriptor", "orientation", "detector"))
        return (
            stage("descriptor", "descriptor", 1_500),
            stage("turn", "orientation", 1_600),
            stage("orientation", "orientation", 200, 2e-4),
            stage("detector", "detector", 1_000),
            stage("score", "detector", 500, terms=(("class", 0.1),)),
        )

    def example(self, batch: int, seed: int) -> LiftSample:
        """Smooth noise; the second view is the first with a little noise."""
        g = torch.Generator().manual_seed(seed)
        coarse = torch.rand(batch * 4, 1, 20, 20, generator=g)
        patches = F.interpolate(coarse, (PATCH, PATCH), mode="bilinear", align_corners=True).unflatten(0, (batch, 4))
        patches = patches.clone()
        patches[:, 1] = (0.9 * patches[:, 0] + 0.1 * torch.rand(patches[:, 0].shape, generator=g)).clamp(0, 1)
        xy = torch.rand(batch, 3, 2, generator=g) * 0.3 - 0.15
        return LiftSample(patches, xy, torch.rand(batch, 3, generator=g) - 0.5, torch.zeros(batch, 3, 3))


def _centred(grey: Tensor) -> Tensor:
    return (255 * grey - 128) / 128


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b).square().sum(1) + 1e-8).sqrt()  # the root's slope at 0 is infinite


def _turn(xy: Tensor, angle: Tensor) -> Tensor:
    """(..., 2) vectors turned by (...) radians from +x towards +y."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([c * xy[..., 0] - s * xy[..., 1], s * xy[..., 0] + c * xy[..., 1]], -1)


def crop(patches: Tensor, xy: Tensor, angle: Tensor) -> Tensor:
    """The spatial transformer: upright 64x64 crops of half the width of patches, differentiable in all arguments.

    Args:
        patches: (N, 1, 128, 128). xy: (N, 2) middles in [-1, 1]. angle: (N,) radians.
    """
    centre = (xy + 1) * (PATCH - 1) / 2
    half = torch.full_like(angle, (PATCH - 1) / 4)
    return sample_at(patches, patch_grid(centre, half, angle, CROP), padding="border")[0]


def soft_argmax(maps: Tensor) -> Tensor:
    """(N, 14, 14) scores -> (N, 2) place in the patch, -1 and 1 at the centres of its outer pixels (eq. 9)."""
    weight = (BETA * maps.flatten(1)).softmax(1).unflatten(1, maps.shape[1:])
    steps = torch.arange(maps.shape[-1], device=maps.device, dtype=maps.dtype)
    column, row = (weight.sum(1) * steps).sum(1), (weight.sum(2) * steps).sum(1)
    return (torch.stack([column, row], 1) + _BORDER + _KERNEL // 2) / ((SMALL - 1) / 2) - 1


def soft_maximum(maps: Tensor) -> Tensor:
    """(N, h, w) -> (N,): 1 / beta log mean exp(beta s), the score of a patch."""
    flat = BETA * maps.flatten(1)
    return (flat.logsumexp(1) - math.log(flat.shape[1])) / BETA


def unit(pair: Tensor) -> Tensor:
    """(N, 2) of any length -> unit length, kept away from 0 so that the direction always exists."""
    scaled = pair / pair.abs().amax(1, keepdim=True).clamp(min=1e-12)
    away = scaled + torch.where(scaled < 0, -1e-3, 1e-3)
    return F.normalize(away, dim=1)


def overlap_loss(first: Tensor, second: Tensor, half: float = 0.5) -> Tensor:
    """1 - intersection over union of two squares, plus their gap over the root of the union: (N, 2) twice -> (N,)."""
    apart = (first - second).abs()
    inter = (2 * half - apart).clamp(min=0).prod(1)
    union = 2 * (2 * half) ** 2 - inter
    gap = (apart - 2 * half).clamp(min=0).sum(1)
    return 1 - inter / union + gap / union.sqrt()


def class_loss(score: Tensor) -> Tensor:
    """(N, 4) scores of two views, another keypoint and none -> (N,) hinge loss, keypoints and none weighing alike."""
    return (1 - score[:, :3]).clamp(min=0).sum(1) / 6 + (1 + score[:, 3]).clamp(min=0) / 2


def _peaks_of(maps: list[tuple[float, Tensor]], k: int, size: tuple[int, int], threshold: float) -> Tensor:
    """(N, 4) x, y, sigma, score of the peaks of one scale: highest within 3 pixels and over the neighbouring scales."""
    sigma, scores = maps[k]
    height, width = scores.shape
    top = F.max_pool2d(F.max_pool2d(scores[None], (7, 1), 1, (3, 0)), (1, 7), 1, (0, 3))[0]
    for _, other in (maps[k - 1], maps[k + 1]):
        beside = F.interpolate(other[None, None], (height, width), mode="bilinear", align_corners=False)
        top = torch.maximum(top, F.max_pool2d(beside, 3, 1, 1)[0, 0])
    inner = torch.zeros_like(scores, dtype=torch.bool)
    inner[3:-3, 3:-3] = True
    row, column = ((scores == top) & (scores > threshold) & inner).nonzero(as_tuple=True)
    offset, good = _quadratic(scores, row, column)
    row, column, offset = row[good], column[good], offset[good]
    zoom = torch.tensor([size[1] / width, size[0] / height])
    xy = (torch.stack([column, row], 1) + offset + 0.5) * zoom - 0.5
    return torch.cat([xy, torch.full((len(xy), 1), sigma), scores[row, column][:, None]], 1)


def _quadratic(scores: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (N, 2) of the peaks of fitted quadratics, and which are round enough: tr^2 / det below 11^2 / 10."""
    near = torch.stack([torch.stack([scores[row + i, column + j] for j in (-1, 0, 1)], 1) for i in (-1, 0, 1)], 1)
    dx, dy = (near[:, 1, 2] - near[:, 1, 0]) / 2, (near[:, 2, 1] - near[:, 0, 1]) / 2
    dxx = near[:, 1, 2] + near[:, 1, 0] - 2 * near[:, 1, 1]
    dyy = near[:, 2, 1] + near[:, 0, 1] - 2 * near[:, 1, 1]
    dxy = (near[:, 2, 2] - near[:, 2, 0] - near[:, 0, 2] + near[:, 0, 0]) / 4
    det = dxx * dyy - dxy.square()
    safe = torch.where(det.abs() < 1e-12, 1e-12, det)
    offset = -torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], 1) / safe[:, None]
    good = (det > 0) & ((dxx + dyy).square() < det * 11**2 / 10) & (offset.abs() < 1.5).all(1)
    return offset.clamp(-0.5, 0.5), good
