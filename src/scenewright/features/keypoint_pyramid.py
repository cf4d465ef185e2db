"""Keypoint pyramid, after Altwaijry, Veit, Belongie, "Learning to Detect and Match Keypoints with Deep Architectures",
BMVC 2016.

One convolution is applied again and again: each time the map shrinks and sees further, and each time two fully
connected layers say whether a keypoint of that size lies there. A triplet network describes what was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.features.patches import cut
from scenewright.features.task import FeatureMaps, Features, KeypointPatchSample, check_image, check_images, luma

STRIDE = 4
"""Pixels between the cells of a map, as the network is made and trained."""
FINE = 2
"""And as keypoints are read from it."""
_APART_PX, _BEYOND_PX = 4, 28
PATCH = 32
"""Side of a described patch."""
_CONTEXT = 1.5


def side_px(level: int) -> int:
    """Side of the patch that `level` (1 ...) recursions reduce to one cell: 12 + 8 level."""
    return 12 + 8 * level


class SlidingPool(nn.Module):
    """Maximum of 2x2 and ReLU, of every second place or, with a step of 2, of every place."""

    def forward(self, x: Tensor, step: int = 1) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        return F.relu(F.max_pool2d(x, 2, 2 // step))


class Recursion(nn.Conv2d):
    """The convolution that is applied again and again; reads every `step`-th cell."""

    def forward(self, x: Tensor, step: int = 1) -> Tensor:
        """(B, C, H, W) -> (B, C, H - 2 step, W - 2 step)."""
        return F.conv2d(x, self.weight, self.bias, dilation=step)


@dataclass(frozen=True)
class KeypointPyramidConfig:
    """Size.

    Args:
        levels: recursions, and so scales.
        widths: channels of the trunk's two convolutions; the recursion keeps the last.
        threshold: score below which nothing is a keypoint.
        margin: of the triplets.
    """

    levels: int
    widths: tuple[int, int]
    threshold: float = 0.1
    margin: float = 1.0

    @classmethod
    def paper(cls) -> KeypointPyramidConfig:
        """Seven scales, 20 to 68 pixels."""
        return cls(7, (32, 64))

    @classmethod
    def small(cls) -> KeypointPyramidConfig:
        """The same: it is small."""
        return cls(7, (32, 64), 0.02)


class KeypointPyramid(Method[KeypointPatchSample]):
    """See the module's docstring."""

    Config = KeypointPyramidConfig
    card: ClassVar[Card] = Card(
        name="keypoint_pyramid",
        title="Learning to Detect and Match Keypoints with Deep Architectures",
        authors="H. Altwaijry, A. Veit, S. Belongie",
        venue="BMVC",
        year=2016,
        paper="BMVC 2016, paper 49",
        task="features",
        inputs="one image",
        outputs="keypoints with scale and score, descriptors of 128 numbers",
        paper_parameters=660_481,
        deviations=(
            "after Altwaijry et al., not a reproduction: layer sizes are ours, the paper's could not be had",
            "labels: peaks of the Hessian's determinant over place and scale, as far as random views show them again; "
            "the paper's patches were not published",
            "the detector learns from all windows of a picture at once, and the answer falls off beside a keypoint and "
            "its scale, so that maps peak there; the paper learns from single patches, keypoint or not",
            "scores are probabilities over the side of the patch, for the place of what is large is less exact",
            "keypoints are read at every second pixel of slightly smoothed maps, where training asks at every fourth, "
            "and pictures go on mirrored beyond their borders",
        ),
        published=(),
        limits=("small: it describes upright patches, so where pictures are turned few of its points match",),
        original_code="none found",
        scale="unknown",
    )

    def __init__(self, config: KeypointPyramidConfig) -> None:
        super().__init__(config)
        first, second = config.widths
        self.trunk = nn.Sequential(  # the ReLU of a maximum is the maximum of ReLUs, and a quarter of the work
            nn.Conv2d(1, first, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3),
        )  # fmt: skip
        self.pool = SlidingPool()
        self.recursion = Recursion(second, second, 3)
        self.head = nn.Sequential(nn.Conv2d(second, 64, 1), nn.ReLU(inplace=True), nn.Conv2d(64, 1, 1))
        self.descriptor = nn.Sequential(
            nn.Conv2d(1, 32, 7), nn.BatchNorm2d(32), nn.MaxPool2d(2), nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 6), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4096, 128),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.orthogonal_(self.recursion.weight, nn.init.calculate_gain("relu"))

    def forward(self, grey: Tensor, levels: int | None = None, stride: int = STRIDE) -> list[Tensor]:
        """Maps of logits after each recursion.

        Args:
            grey: (B, 1, H, W) in [0, 1].
            levels: how many; all when None. Recursions whose map would be empty are left out.
            stride: pixels between cells: 4, or 2, where the second pooling slides and the recursion reads every second
                of its cells.

        Returns:
            [(B, 1, h_k, w_k) float32] with h_k = floor((H - side_k) / stride) + 1; cell (i, j) of map k looks at the
            pixels from stride i to stride i + side_k - 1.
        """
        step = STRIDE // stride
        x, maps = self.pool(self.trunk((grey - 0.45) / 0.25), step), []
        for _ in range(levels or self.config.levels):
            if min(x.shape[-2:]) <= 2 * step:
                break
            x = F.relu(self.recursion(x, step))
            maps.append(self.head(x).float())
        return maps

    def loss(self, sample: KeypointPatchSample, stage: Stage) -> dict[str, Tensor]:
        """Stage "detector": term "keypoint" (B,), binary cross-entropy of every window of every scale. Stage
        "descriptor": term "triplet" (B,)."""
        if stage.name == "descriptor":
            return {"triplet": dict(stage.terms).get("triplet", 1.0) * self._triplet(sample)}
        total, count = sample.patch.new_zeros(2, len(sample.patch))
        for level, logits in enumerate(self(sample.patch)):
            rows, columns = (slice(level, level + n) for n in logits.shape[-2:])
            asked, known = sample.keypoint[:, level, rows, columns], sample.known[:, 0, rows, columns].float()
            value = F.binary_cross_entropy_with_logits(logits[:, 0], asked, reduction="none") * known
            total, count = total + value.flatten(1).sum(1), count + known.flatten(1).sum(1)
        return {"keypoint": dict(stage.terms).get("keypoint", 1.0) * total / count.clamp(min=1)}

    def _triplet(self, sample: KeypointPatchSample) -> Tensor:
        """max(0, m + d(a, p) - d(a, n)), n the hardest of the item's own strangers against anchor and positive."""
        count = sample.others.shape[1]
        stacked = torch.cat([sample.anchor, sample.positive, sample.others.flatten(0, 1)])
        found = self.embed(stacked)
        a, p, n = found.split([len(sample.anchor), len(sample.anchor), len(stacked) - 2 * len(sample.anchor)])
        n = n.unflatten(0, (-1, count))
        far = torch.stack([(x[:, None] - n).square().sum(2) for x in (a, p)]).amin((0, 2))
        near = (a - p).square().sum(1)
        return (self.config.margin + (near + 1e-8).sqrt() - (far + 1e-8).sqrt()).clamp(min=0)

    def embed(self, patches: Tensor) -> Tensor:
        """(N, 1, 32, 32) grey patches -> (N, 128) float32 of unit length; contrast and brightness do not count."""
        mean, deviation = patches.mean((2, 3), keepdim=True), patches.std((2, 3), keepdim=True)
        return F.normalize(self.descriptor((patches - mean) / (deviation + 1e-3)).float(), dim=1, eps=1e-6)

    @torch.inference_mode()
    def predict(self, image: Tensor) -> FeatureMaps:
        """Heat of the size of the image (B, 3, H, W): the largest score over all scales, cells repeated.

        Raises:
            InputError: wrong shape, type or range.
        """
        check_images(image)
        with evaluating(self):
            volume = self._volume(luma(image))
        heat = volume.amax(1, keepdim=True).repeat_interleave(FINE, 2).repeat_interleave(FINE, 3)
        bottom, right = (n - m - 1 for n, m in zip(image.shape[-2:], heat.shape[-2:]))
        return FeatureMaps(F.pad(heat, (1, right, 1, bottom)))

    def _volume(self, grey: Tensor) -> Tensor:
        """(B, K, h, w) scores on one grid, cell (i, j) at pixel (2 i + 1.5, 2 j + 1.5); 0 where a patch reaches more
        than 28 pixels beyond the border, which is mirrored.

        A score is a probability over the side of the patch, in sides of the smallest: what is larger has its place
        known less exactly, in pixels, and so is found again less often.
        """
        maps = self(F.pad(grey, (_BEYOND_PX,) * 4, mode="reflect"), stride=FINE)
        height, width = maps[0].shape[-2:]
        rows = []
        for level, logits in enumerate(maps):  # the middle of cell i of map k is that of cell i + 4 k / 2 of the first
            inset, (h, w) = level * STRIDE // FINE, logits.shape[-2:]
            score = side_px(1) / side_px(level + 1) * logits.sigmoid()
            rows.append(F.pad(score, (inset, width - w - inset, inset, height - h - inset)))
        volume = _smoothed(torch.cat(rows, 1))
        outside = (_BEYOND_PX - side_px(1) // 2) // FINE + 1
        down, across = ((n - 1) // FINE for n in grey.shape[-2:])
        return volume[..., outside : outside + down, outside : outside + across]

    @torch.inference_mode()
    def detect(self, image: Tensor, count: int = 1000) -> Features:
        """Keypoints of one image (1, 3, H, W): peaks over place and scale, refined by a quadratic, strongest first.

        `radius_px` is half the side of the patch of that scale.
        """
        check_image(image)
        with evaluating(self):
            volume = self._volume(luma(image))[0]
        size, near = (image.shape[-2], image.shape[-1]), 2 * (_APART_PX // FINE) + 1
        top = F.max_pool3d(volume[None, None], (3, near, near), 1, (1, near // 2, near // 2))[0, 0]
        level, row, column = ((volume == top) & (volume > self.config.threshold)).nonzero(as_tuple=True)
        offset = _refine(volume, level, row, column)
        xy = FINE * (torch.stack([column, row], 1) + offset[:, :2]) + 1.5
        radius = (side_px(1) + 8 * (level + offset[:, 2])) / 2
        return Features(size, xy, volume[level, row, column], radius).strongest(count)

    @torch.inference_mode()
    def describe(self, image: Tensor, features: Features) -> Features:
        """Any keypoints of one image with 128 numbers of unit length, compared by Euclidean distance."""
        patches = cut(check_image(image), features, PATCH, _CONTEXT)
        with evaluating(self):
            found = [self.embed(block) for block in patches.split(512) if len(block)]
        return replace(features, descriptors=torch.cat(found) if found else image.new_zeros(0, 128))

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """The detector, then the descriptor; each leaves the other alone."""
        (steps, batch), patches = ((100_000, 64), 100_000) if preset == "paper" else ((4_000, 16), 1_500)
        detector, descriptor = (("descriptor.", 0.0),), (("trunk.", 0.0), ("recursion.", 0.0), ("head.", 0.0))
        return (
            Stage("detector", steps, batch, "keypoint-patches", "adam", 2e-3, "cosine", 200, detector,
                  gradient_clip=5.0, average=0.998),
            Stage("descriptor", patches, 64, "keypoint-patches", "adam", 1e-3, "cosine", 200, descriptor),
        )  # fmt: skip

    def example(self, batch: int, seed: int) -> KeypointPatchSample:
        """A bright disc on noise is a keypoint, noise is not."""
        g = torch.Generator().manual_seed(seed)
        levels, cells = self.config.levels, torch.arange(14)
        place = torch.randint(28, 44, (batch, 2), generator=g).float()
        away = torch.stack([torch.arange(72) - p[:, None] for p in place.unbind(1)]).square()  # (2, B, 72)
        disc = (away[1, :, :, None] + away[0, :, None]) < (side_px(2) / 6.0) ** 2
        patch = 0.3 * torch.rand(batch, 1, 72, 72, generator=g) + 0.6 * disc[:, None]
        off = [(STRIDE * cells + (side_px(1) - 1) / 2 - p[:, None]).square() for p in place.unbind(1)]
        keypoint = torch.zeros(batch, levels, 14, 14)
        keypoint[:, 1] = torch.exp(-(off[1][:, :, None] + off[0][:, None]) / 18)
        known = torch.ones(batch, 1, 14, 14, dtype=torch.bool)
        anchor, others = (
            torch.rand(batch, 1, PATCH, PATCH, generator=g),
            torch.rand(batch, 3, 1, PATCH, PATCH, generator=g),
        )
        positive = (anchor + 0.1 * torch.rand(anchor.shape, generator=g)).clamp(max=1)
        return KeypointPatchSample(patch, keypoint, known, anchor, positive, others)


def _smoothed(maps: Tensor) -> Tensor:
    """(B, K, h, w) weighed 1 2 1 along both axes: a pooling lets scores depend on which pixels it pairs."""
    kernel = maps.new_tensor([1.0, 2.0, 1.0]) / 4
    return F.conv2d(maps.flatten(0, 1)[:, None], (kernel[:, None] * kernel)[None, None], padding=1)[:, 0].view_as(maps)


def _refine(volume: Tensor, level: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(N, 3) offsets (column, row, level) within half a cell of the peak of a parabola along each axis."""
    padded = F.pad(volume, (1, 1, 1, 1, 1, 1))
    at = [level + 1, row + 1, column + 1]
    here = padded[at[0], at[1], at[2]]
    offsets = []
    for axis in (2, 1, 0):
        before, after = (
            padded[tuple(a + step if i == axis else a for i, a in enumerate(at))] for step in (-1, 1)
        )  # fmt: skip
        bend = (2 * here - before - after).clamp(min=1e-6)
        offsets.append(((after - before) / (2 * bend)).clamp(-0.5, 0.5))
    return torch.stack(offsets, 1) if len(level) else volume.new_zeros(0, 3)
