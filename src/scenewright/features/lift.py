"""LIFT: "Learned Invariant Feature Transform" (Yi, Trulls, Lepetit, Fua, ECCV 2016).

A detector says where in a patch the keypoint lies, an orientation estimator how it is turned, a descriptor what it
looks like; crops between them are differentiable, so each can be trained through the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
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
_REACH = 3  # cells around a peak that it is the highest of
SCALES = ((38, 10), (SMALL, 14), (60, 16))
"""Sides to which a patch is shrunk, so that the detector looks for keypoints a third of an octave larger than the
patch's, as large, and a third smaller; and how many cells a side of each map lie inside that border."""


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
        context: widens the described regions, 12 deviations wide, by this factor.
    """

    octaves: tuple[float, float]
    per_octave: int
    margin: float = 5.0
    threshold: float = -1e9
    context: float = 1.0

    @classmethod
    def paper(cls) -> LIFTConfig:
        """21 scales from 1 to 16 pixels."""
        return cls((0.0, 4.0), 5)

    @classmethod
    def small(cls) -> LIFTConfig:
        """Keypoints of 10 scales from 1 to 8 pixels (the first and last scale have none); the same networks."""
        return cls((-1 / 3, 10 / 3), 3, context=1.5)


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
            "He initialisation: without batch norm the original's vanishes; the detector's filters start smooth, weak",
            "trained on views of DoG points that survive random homographies; the paper reconstructs photo collections",
            "offsets of the two views are compared in the keypoint's own, unturned frame, and with the keypoint itself",
            "the detector's soft maximum runs over three scales as well, so that it learns to choose one",
            "descriptor and orientation see patches of zero mean and unit deviation, not of the training set's",
            "an orientation is the mean of what the network says of a crop turned by each of the four right angles",
            "of peaks that lie within each other's window the strongest stays, whatever their scales: a place found at "
            "several of them would fill the table, and its descriptors would be each other's rivals in matching",
            "hard mining happens within a batch: a pair is held against the nearest descriptor of all other points",
            "small: fewer scales are searched; described regions are 1.5 times as wide; orientations first learn the "
            "known turn between two views, whose slope points home from anywhere, then the paper's distance",
        ),
        published=(),
        limits=(
            "small: on turned and scaled pictures more of its matches are wrong than of SIFT's; one orientation in "
            "eight is off by more than 20 degrees",
            "slow: seconds for the thousand keypoints of a picture, where SIFT takes hundredths",
        ),
        original_code="Theano and TensorFlow 1; patented, academic use only: not read by us",
        scale="unknown",
    )

    def __init__(self, config: LIFTConfig) -> None:
        super().__init__(config)
        filters = nn.Conv2d(1, 16, _KERNEL)
        self.detector = nn.Sequential(filters, GHH())
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
        smooth_(filters.weight)

    def score_map(self, patches: Tensor) -> Tensor:
        """(N, 1, 128, 128) patches -> (N, 14, 14) scores of the inner places."""
        return self._inner_scores(patches, *SCALES[1])

    def _inner_scores(self, patches: Tensor, side: int, cells: int) -> Tensor:
        """(N, cells, cells) scores of the inner places of patches shrunk to `side`."""
        small = F.interpolate(patches, (side, side), mode="bilinear", align_corners=True, antialias=True)
        inset = (side - cells - _KERNEL + 1) // 2
        inner = small[..., inset : side - inset, inset : side - inset]
        with torch.autocast(patches.device.type, enabled=False):  # a tenfold sharpened maximum needs all digits
            return self.detector(_centred(inner).float())[:, 0]

    def score_volume(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, 128, 128) patches -> (N, K) scores at three scales; (K, 3) where: x, y in [-1, 1], log2 scale."""
        maps = [self._inner_scores(patches, side, cells).flatten(1) for side, cells in SCALES]
        return torch.cat(maps, 1), torch.cat([_places(side, cells) for side, cells in SCALES]).to(patches)

    def describe_patches(self, crops: Tensor) -> Tensor:
        """(N, 1, 64, 64) upright crops -> (N, 128) float32; contrast and brightness do not count."""
        return self.descriptor(_levelled(crops)).float()

    def angles(self, crops: Tensor) -> Tensor:
        """(N, 1, 64, 64) -> (N,) radians from +x towards +y (section 3.4).

        A crop turned by a right angle must get a direction turned by as much: the answer is the mean of what all four
        say.
        """
        level = _levelled(crops)
        ways = unit(self.orientation(torch.cat([level.rot90(k, (2, 3)) for k in range(4)])).float()).chunk(4)
        quarter = _turn(ways[1] - ways[3], crops.new_tensor(math.pi / 2))  # rot90 turns +x towards -y
        return torch.atan2(*(ways[0] - ways[2] + quarter).unbind(1)[::-1])

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Patches (N, 1, 128, 128) -> places (N, 2) in [-1, 1], angles (N,), descriptors (N, 128)."""
        xy = soft_argmax(self.score_map(patches))
        angle = self.angles(crop(patches, xy, torch.zeros_like(xy[:, 0])))
        return xy, angle, self.describe_patches(crop(patches, xy, angle))

    def loss(self, sample: LiftSample, stage: Stage) -> dict[str, Tensor]:
        """By stage, in the paper's order.

        "descriptor": "triplet" (B,); in training against the nearest descriptor of all items (section 3.5's mining).
        "turn": "turn" (B,), 1 - cos of the error of the turn between two views. "orientation": "distance" (B,) of the
        two views' descriptors. "detector": "overlap" and "class" (B,) (eq. 3 to 8).
        """
        weights = {"triplet": 1.0, "turn": 1.0, "distance": 1.0, "overlap": 1.0, "class": 1e-5} | dict(stage.terms)
        terms = {
            "descriptor": self._descriptor_terms,
            "turn": self._turn_terms,
            "orientation": self._orientation_terms,
            "detector": self._detector_terms,
        }
        found = terms[stage.name](sample)
        return {name: weights[name] * value for name, value in found.items()}

    def _descriptor_terms(self, sample: LiftSample) -> dict[str, Tensor]:
        xy, angle = sample.xy + sample.slip[..., :2], sample.angle + sample.slip[..., 2]
        known = crop(sample.patches[:, :3].flatten(0, 1), xy.flatten(0, 1), angle.flatten())
        d1, d2, d3 = self.describe_patches(known).unflatten(0, (-1, 3)).unbind(1)
        far = torch.minimum(_distance(d1, d3), _distance(d2, d3))
        if self.training:
            far = torch.minimum(far, nearest_stranger(torch.stack([d1, d2]), torch.stack([d1, d2, d3])))
        return {"triplet": (_distance(d1, d2) - far + self.config.margin).clamp(min=0)}

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
        scores, places = self.score_volume(sample.patches.flatten(0, 1))
        weight = (BETA * scores).softmax(1)  # eq. 9, over scales too
        found = (weight[..., None] * places).sum(1).unflatten(0, (-1, 4))[:, :2]
        apart = _turn(found[..., :2] - sample.xy[:, :2], -sample.angle[:, :2]) * (-sample.zoom[:, :2, None]).exp2()
        offset = torch.cat([apart, found[..., 2:] - sample.zoom[:, :2, None]], 2)
        score = soft_maximum(scores).unflatten(0, (-1, 4))
        overlap = overlap_loss(offset[:, 0], offset[:, 1])
        for moved in offset.unbind(1):  # where neither view moves the keypoint, not only where both move it alike
            overlap = overlap + overlap_loss(moved, torch.zeros_like(moved)) / 4
        return {"overlap": overlap, "class": class_loss(score)}

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
            found = distinct(self._peaks(grey), count)
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
        patches = cut(check_image(image), features, CROP, self.config.context)
        with evaluating(self):
            found = [self.describe_patches(block) for block in patches.split(128) if len(block)]
        return replace(features, descriptors=torch.cat(found) if found else image.new_zeros(0, 128))

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Descriptor, orientation, detector (section 3.5); each leaves the others alone."""
        parts = ("detector", "orientation", "descriptor")

        def stage(name: str, part: str, steps: int, batch: int = 128, rate: float = 1e-3) -> Stage:
            frozen = tuple((f"{p}.", 0.0) for p in parts if p != part)
            if preset == "paper":
                return Stage(name, steps, batch, "lift-patches", "adam", rate, "constant", lr_scale=frozen)
            return Stage(name, steps, batch, "lift-patches", "adam", rate, "cosine", 50, frozen, average=0.99)

        if preset == "paper":
            return tuple(stage(p, p, 100_000) for p in ("descriptor", "orientation", "detector"))
        return (
            stage("descriptor", "descriptor", 1_200, 64),
            stage("turn", "orientation", 800, 64),
            stage("orientation", "orientation", 100, 32, 2e-4),
            stage("detector", "detector", 3_000, 32),
        )

    def example(self, batch: int, seed: int) -> LiftSample:
        """Smooth noise; the second view is the first with a little noise."""
        g = torch.Generator().manual_seed(seed)
        coarse = torch.rand(batch * 4, 1, 20, 20, generator=g)
        patches = F.interpolate(coarse, (PATCH, PATCH), mode="bilinear", align_corners=True).unflatten(0, (batch, 4))
        patches = patches.clone()
        patches[:, 1] = (0.9 * patches[:, 0] + 0.1 * torch.rand(patches[:, 0].shape, generator=g)).clamp(0, 1)
        xy = torch.rand(batch, 3, 2, generator=g) * 0.3 - 0.15
        return LiftSample(
            patches, xy, torch.rand(batch, 3, generator=g) - 0.5, torch.zeros(batch, 3), torch.zeros(batch, 3, 3)
        )


@torch.no_grad()
def smooth_(filters: Tensor, sigma: float = 2.0, gain: float = 0.1) -> None:
    """Blur random filters (N, 1, K, K) in place, without a mean and `gain` times as strong as they were.

    A picture has little of the fine noise of fresh filters, and with scores far apart the soft maximum has no slope.
    """
    reach = torch.arange(-3 * sigma, 3 * sigma + 1, device=filters.device)
    bell = (-reach.square() / (2 * sigma**2)).exp()
    kernel = (bell[:, None] * bell)[None, None]
    strength = gain * filters.std()
    blurred = F.conv2d(filters, kernel, padding=kernel.shape[-1] // 2)
    blurred = blurred - blurred.mean((2, 3), keepdim=True)
    filters.copy_(strength / blurred.std() * blurred)


def _centred(grey: Tensor) -> Tensor:
    return (255 * grey - 128) / 128


def _levelled(grey: Tensor) -> Tensor:
    """(N, 1, h, w) patches, each of zero mean and unit deviation."""
    deviation, mean = torch.std_mean(grey, (2, 3), keepdim=True)
    return (grey - mean) / (deviation + 1e-2)


def nearest_stranger(pair: Tensor, every: Tensor) -> Tensor:
    """(B,) distance of either view to the nearest descriptor of another item.

    Args:
        pair: (2, B, D) descriptors of both views.
        every: (V, B, D) all that the items hold.
    """
    table = torch.cdist(pair.flatten(0, 1), every.flatten(0, 1), compute_mode="donot_use_mm_for_euclid_dist")
    own = torch.eye(pair.shape[1], dtype=torch.bool, device=pair.device).repeat(2, len(every))
    return table.masked_fill(own, torch.inf).amin(1).unflatten(0, (2, -1)).amin(0)


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


def _places(side: int, cells: int) -> Tensor:
    """(cells^2, 3) x, y in the patch and log2 scale of a map's cells, row by row."""
    step = (torch.arange(cells) - (cells - 1) / 2) / ((side - 1) / 2)
    y, x = torch.meshgrid(step, step, indexing="ij")
    return torch.stack([x, y, torch.full_like(x, math.log2(SMALL / side))], 2).flatten(0, 1)


def soft_maximum(maps: Tensor) -> Tensor:
    """(N, ...) -> (N,): 1 / beta log mean exp(beta s), the score of a patch."""
    flat = BETA * maps.flatten(1)
    return (flat.logsumexp(1) - math.log(flat.shape[1])) / BETA


def unit(pair: Tensor) -> Tensor:
    """(N, 2) of any length -> unit length, kept away from 0 so that the direction always exists."""
    scaled = pair / pair.abs().amax(1, keepdim=True).clamp(min=1e-12)
    away = scaled + torch.where(scaled < 0, -1e-3, 1e-3)
    return F.normalize(away, dim=1)


def overlap_loss(first: Tensor, second: Tensor) -> Tensor:
    """1 - intersection over union of two squares, plus their gap over the root of the union.

    Args:
        first, second: (N, 3) middles x, y and log2 of the sides.
    """
    a, b = first[:, 2:].exp2() / 2, second[:, 2:].exp2() / 2
    apart = (first[:, :2] - second[:, :2]).abs()
    inter = torch.minimum(a + b - apart, 2 * torch.minimum(a, b)).clamp(min=0).prod(1)
    union = (4 * (a.square() + b.square()))[:, 0] - inter
    gap = (apart - a - b).clamp(min=0).sum(1)
    return 1 - inter / union + gap / union.sqrt()


def class_loss(score: Tensor) -> Tensor:
    """(N, 4) scores of two views, another keypoint and none -> (N,) hinge loss, keypoints and none weighing alike."""
    return (1 - score[:, :3]).clamp(min=0).sum(1) / 6 + (1 + score[:, 3]).clamp(min=0) / 2


def distinct(found: Features, count: int) -> Features:
    """At most `count` of the strongest keypoints, none within 3 cells of a stronger one, in cells of the finer of both.

    A cell is as wide as a pixel of the picture in which the keypoint's patch, twice its region, is 48 pixels wide.
    """
    ranked = found.strongest(len(found))
    assert ranked.radius_px is not None
    xy, reach = ranked.xy.cpu().numpy(), _REACH * 4 / (SMALL - 1) * ranked.radius_px.cpu().numpy()
    free, kept = np.ones(len(xy), bool), list[int]()
    for k in range(len(xy)):
        if free[k] and len(kept) < count:
            kept.append(k)
            free &= np.hypot(*(xy - xy[k]).T) > np.minimum(reach, reach[k])
    return ranked[torch.tensor(kept, dtype=torch.int64, device=ranked.xy.device)]


def _peaks_of(maps: list[tuple[float, Tensor]], k: int, size: tuple[int, int], threshold: float) -> Tensor:
    """(N, 4) x, y, sigma, score of the peaks of one scale: highest within 3 cells, there and at the scales beside."""
    (below, smaller), (sigma, scores), (above, larger) = maps[k - 1 : k + 2]
    shape = (scores.shape[0], scores.shape[1])
    beside = torch.cat([F.interpolate(m[None, None], shape, mode="bilinear")[0] for m in (smaller, larger)])
    side = 2 * _REACH + 1
    top = F.max_pool2d(F.max_pool2d(scores[None], (side, 1), 1, (_REACH, 0)), (1, side), 1, (0, _REACH))[0]
    inner = torch.zeros_like(scores, dtype=torch.bool)
    inner[_REACH:-_REACH, _REACH:-_REACH] = True
    row, column = ((scores == top) & (scores > threshold) & inner).nonzero(as_tuple=True)
    offset, good = _quadratic(scores, row, column)
    good &= _highest_near(beside, row, column) <= scores[row, column]
    row, column, offset = row[good], column[good], offset[good]
    zoom = torch.tensor([size[1] / shape[1], size[0] / shape[0]])
    xy = (torch.stack([column, row], 1) + offset + 0.5) * zoom - 0.5
    level = _vertex(beside[0, row, column], scores[row, column], beside[1, row, column])
    return torch.cat([xy, (sigma * (above / below) ** (level / 2))[:, None], scores[row, column][:, None]], 1)


def _highest_near(maps: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(N,) the largest value within 3 cells of each place, which lie in the maps (M, h, w), over all of them."""
    steps = torch.arange(-_REACH, _REACH + 1, device=maps.device)
    return maps[:, row[:, None, None] + steps[:, None], column[:, None, None] + steps].amax((0, 2, 3))


def _vertex(before: Tensor, here: Tensor, after: Tensor) -> Tensor:
    """Where parabolas through three values a step apart have their peaks, within half a step."""
    return ((after - before) / (2 * (2 * here - before - after).clamp(min=1e-6))).clamp(-0.5, 0.5)


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
