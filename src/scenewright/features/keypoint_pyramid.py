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
"""Pixels between the cells of a map."""
PATCH = 32
"""Side of a described patch."""
_CONTEXT = 1.5


def side_px(level: int) -> int:
    """Side of the patch that `level` (1 ...) recursions reduce to one cell: 12 + 8 level."""
    return 12 + 8 * level


@dataclass(frozen=True)
class KeypointPyramidConfig:
    """Size.

    Args:
        levels: recursions, and so scales.
        widths: channels of the trunk's two convolutions; the recursion keeps the last.
        threshold: probability below which nothing is a keypoint.
        margin: of the triplets.
    """

    levels: int
    widths: tuple[int, int]
    threshold: float = 0.5
    margin: float = 1.0

    @classmethod
    def paper(cls) -> KeypointPyramidConfig:
        """Seven scales, 20 to 68 pixels."""
        return cls(7, (32, 64))

    @classmethod
    def small(cls) -> KeypointPyramidConfig:
        """The same: it is small."""
        return cls(7, (32, 64), 0.4)


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
            "labels: DoG points that survive random homographies; the paper's patches were not published",
            "a keypoint cut two scales too large or too small counts as background",
        ),
        published=(),
        limits=("small: FAST finds its corners again more often",),
        original_code="none found",
        scale="unknown",
    )

    def __init__(self, config: KeypointPyramidConfig) -> None:
        super().__init__(config)
        first, second = config.widths
        self.trunk = nn.Sequential(  # the ReLU of a maximum is the maximum of ReLUs, and a quarter of the work
            nn.Conv2d(1, first, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3), nn.MaxPool2d(2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.recursion = nn.Conv2d(second, second, 3)
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

    def forward(self, grey: Tensor, levels: int | None = None) -> list[Tensor]:
        """Maps of logits after each recursion.

        Args:
            grey: (B, 1, H, W) in [0, 1].
            levels: how many; all when None. Recursions whose map would be empty are left out.

        Returns:
            [(B, 1, h_k, w_k) float32] with h_k = floor((H - side_k) / 4) + 1; cell (i, j) of map k looks at the pixels
            from 4 i to 4 i + side_k - 1.
        """
        x, maps = self.trunk((grey - 0.45) / 0.25), []
        for _ in range(levels or self.config.levels):
            if min(x.shape[-2:]) < 3:
                break
            x = F.relu(self.recursion(x))
            maps.append(self.head(x).float())
        return maps

    def loss(self, sample: KeypointPatchSample, stage: Stage) -> dict[str, Tensor]:
        """Stage "detector": term "keypoint" (B,), binary cross-entropy. Stage "descriptor": term "triplet" (B,)."""
        if stage.name == "descriptor":
            return {"triplet": dict(stage.terms).get("triplet", 1.0) * self._triplet(sample)}
        logits = sample.patch.new_zeros(len(sample.patch))
        for level in sample.level.unique().tolist():  # patches of one size at a time, never padded to a common one
            rows = (sample.level == level).nonzero()[:, 0]
            inset = (sample.patch.shape[-1] - side_px(level)) // 2
            patch = sample.patch[rows][..., inset : inset + side_px(level), inset : inset + side_px(level)]
            logits = logits.index_copy(0, rows, self(patch, level)[-1].flatten())
        value = F.binary_cross_entropy_with_logits(logits, sample.keypoint, reduction="none")
        return {"keypoint": dict(stage.terms).get("keypoint", 1.0) * value}

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
        """Heat of the size of the image (B, 3, H, W): the largest probability over all scales, cells repeated.

        Raises:
            InputError: wrong shape, type or range.
        """
        check_images(image)
        with evaluating(self):
            volume = self._volume(self(luma(image)))
        heat = volume.amax(1, keepdim=True).repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
        inset = (side_px(1) - 1) // 2 - STRIDE // 2
        bottom, right = (n - m - inset for n, m in zip(image.shape[-2:], heat.shape[-2:]))
        return FeatureMaps(F.pad(heat, (inset, right, inset, bottom)))

    def _volume(self, maps: list[Tensor]) -> Tensor:
        """(B, K, h_1, w_1) probabilities of all maps on the grid of the first; 0 where a larger patch does not fit."""
        height, width = maps[0].shape[-2:]
        rows = []
        for level, logits in enumerate(maps):  # the middle of cell i of map k is that of cell i + k of the first
            h, w = logits.shape[-2:]
            rows.append(F.pad(logits.sigmoid(), (level, width - w - level, level, height - h - level)))
        return torch.cat(rows, 1)

    @torch.inference_mode()
    def detect(self, image: Tensor, count: int = 1000) -> Features:
        """Keypoints of one image (1, 3, H, W): peaks over place and scale, refined by a quadratic, strongest first.

        `radius_px` is half the side of the patch of that scale.
        """
        check_image(image)
        with evaluating(self):
            volume = self._volume(self(luma(image)))[0]
        size = (image.shape[-2], image.shape[-1])
        top = F.max_pool3d(volume[None, None], 3, 1, 1)[0, 0]
        level, row, column = ((volume == top) & (volume > self.config.threshold)).nonzero(as_tuple=True)
        offset = _refine(volume, level, row, column)
        xy = STRIDE * (torch.stack([column, row], 1) + offset[:, :2]) + (side_px(1) - 1) / 2
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
        (steps, batch), patches = ((100_000, 224), 100_000) if preset == "paper" else ((2_600, 56), 1_500)
        detector, descriptor = (("descriptor.", 0.0),), (("trunk.", 0.0), ("recursion.", 0.0), ("head.", 0.0))
        return (
            Stage("detector", steps, batch, "keypoint-patches", "adam", 1e-3, "cosine", 200, detector,
                  gradient_clip=5.0),
            Stage("descriptor", patches, 64, "keypoint-patches", "adam", 1e-3, "cosine", 200, descriptor),
        )  # fmt: skip

    def example(self, batch: int, seed: int) -> KeypointPatchSample:
        """Bright discs on noise are keypoints, noise is not."""
        g = torch.Generator().manual_seed(seed)
        patch = 0.3 * torch.rand(batch, 1, 72, 72, generator=g)
        keypoint = (torch.arange(batch) % 2 == 0).float()
        level = torch.arange(batch) % 3 + 1
        away = (torch.arange(72) - 35.5).square()
        disc = (away[:, None] + away[None]) < (side_px(1) * level / 6.0).square()[:, None, None]
        patch = patch + 0.6 * (disc * keypoint[:, None, None])[:, None]
        anchor, others = (
            torch.rand(batch, 1, PATCH, PATCH, generator=g),
            torch.rand(batch, 3, 1, PATCH, PATCH, generator=g),
        )
        positive = (anchor + 0.1 * torch.rand(anchor.shape, generator=g)).clamp(max=1)
        return KeypointPatchSample(patch, level, keypoint, anchor, positive, others)


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
