"""MagicPoint: "Toward Geometric Deep SLAM" (DeTone, Malisiewicz, Rabinovich, 2017), section 3.

A plain convolutional network classifies each 8x8 cell of the image: which of its 64 pixels is a corner, or none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.features.task import FeatureMaps, Features, PointSample, check_image, check_images, luma
from scenewright.nn.conv import conv_relu

CELL = 8
NONE = CELL * CELL
"""The 65th class: no point in this cell."""
GATHERED_PX, REACH_PX = 1.5, 3
"""Standard deviation, and half the width, of the bell that gathers heat."""


@dataclass(frozen=True)
class MagicPointConfig:
    """Size.

    Args:
        widths: channels of the four blocks of two convolutions each.
        head: channels before the last 1x1 convolution.
        batch_norm: normalise after each ReLU, as the public re-implementation does; the paper does not say.
        point_weight: weight of a cell with a point against an empty one in training.
        threshold: gathered heat below which nothing is a keypoint.
    """

    widths: tuple[int, int, int, int]
    head: int
    batch_norm: bool
    point_weight: float
    threshold: float

    @classmethod
    def paper(cls) -> MagicPointConfig:
        """VGG-like, 128 channels in the end."""
        return cls((64, 64, 128, 128), 256, False, 1.0, 0.4)

    @classmethod
    def small(cls) -> MagicPointConfig:
        """A quarter of the width: trains in minutes, runs on a laptop."""
        return cls((16, 16, 32, 32), 64, True, 3.0, 0.05)


class MagicPoint(Method[PointSample]):
    """See the module's docstring. `predict` gives the heat map, `detect` keypoints."""

    Config = MagicPointConfig
    card: ClassVar[Card] = Card(
        name="magicpoint",
        title="Toward Geometric Deep SLAM (MagicPoint)",
        authors="D. DeTone, T. Malisiewicz, A. Rabinovich",
        venue="arXiv",
        year=2017,
        paper="arXiv:1707.07410",
        task="features",
        inputs="one image",
        outputs="heat of being a corner, keypoints with scores",
        paper_parameters=939_905,
        deviations=(
            "small: a quarter of the width, batch norm after each ReLU, cells with a point weighted three times",
            "the paper's own drawings of shapes were never published: ours follow its figures",
            "small: learns from pictures beside its shapes, where corners are as probable as random views let them be "
            "found again (a second lesson as SuperPoint has, DeTone et al. 2018); the shipped one began with shapes",
            "keypoints are peaks of the heat gathered over a few pixels",
            "paper preset without batch norm: the text does not mention any",
        ),
        published=(),
        limits=(
            "small: on photographs Harris places its corners more exactly, where a pixel or less counts; it is at its "
            "best on noisy line drawings",
        ),
        original_code="never released",
        scale="unknown",
    )

    def __init__(self, config: MagicPointConfig) -> None:
        super().__init__(config)
        blocks: list[nn.Module] = []
        for index, (channels, out) in enumerate(pairwise((1, *config.widths))):
            blocks += [nn.MaxPool2d(2)] if index else []
            blocks += [*conv_relu(channels, out, config.batch_norm), *conv_relu(out, out, config.batch_norm)]
        self.trunk = nn.Sequential(*blocks)
        self.head = nn.Sequential(*conv_relu(config.widths[-1], config.head, config.batch_norm))
        self.classify = nn.Conv2d(config.head, NONE + 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.classify.weight, 0, 0.01)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1], sides multiples of 8 -> (B, 65, H / 8, W / 8) float32 logits."""
        return self.classify(self.head(self.trunk(luma(image)))).float()

    def loss(self, sample: PointSample, stage: Stage) -> dict[str, Tensor]:
        """Term "cells" (B,): softmax cross-entropy over cells all of whose pixels are valid."""
        logits = self(check_images(sample.image))
        target, known = encode(sample.points, sample.valid)
        weight = (1 + (self.config.point_weight - 1) * (1 - target[:, NONE])) * known
        values = F.cross_entropy(logits, target, reduction="none") * weight
        term = values.flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
        return {"cells": dict(stage.terms).get("cells", 1.0) * term}

    @torch.inference_mode()
    def predict(self, image: Tensor) -> FeatureMaps:
        """Heat of the size of the image (B, 3, H, W), any sides of 32 pixels or more.

        Raises:
            InputError: wrong shape, type or range.
        """
        height, width = check_images(image).shape[-2:]
        padded = F.pad(image, (0, -width % CELL, 0, -height % CELL), mode="replicate")
        with evaluating(self):
            return FeatureMaps(heat(self(padded))[..., :height, :width])

    def detect(self, image: Tensor, count: int = 1000, radius_px: int = 4) -> Features:
        """Keypoints of one image (1, 3, H, W): peaks of the gathered heat, strongest first, 4 pixels off the border."""
        found = self.predict(check_image(image)).heat
        assert found is not None
        return peaks(gathered(found[0, 0]), count, radius_px, self.config.threshold)

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Synthetic shapes (section 3.2); in the small preset a third, the rest is pictures."""
        if preset == "paper":
            return (Stage("shapes", 50_000, 64, "shapes", "adam", 1e-3, "constant"),)
        return (Stage("pictures", 12_000, 8, "surviving-corners", "adamw", 5e-3, "cosine", 200, weight_decay=1e-4,
                      average=0.998),)  # fmt: skip

    def example(self, batch: int, seed: int) -> PointSample:
        """White dots on noise."""
        g = torch.Generator().manual_seed(seed)
        points = torch.rand(batch, 1, 64, 64, generator=g) < 0.01
        image = (0.2 * torch.rand(batch, 3, 64, 64, generator=g) + 0.8 * points).clamp(0, 1)
        return PointSample(image, points, torch.ones_like(points))


def encode(points: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of each class of each cell, and whether the cell is wholly valid.

    Args:
        points: (B, 1, H, W) bool, or how probable a keypoint is there; sides multiples of 8.
        valid: (B, 1, H, W) bool.

    Returns:
        (B, 65, H/8, W/8) float32, class 8 * row + column of the point within its cell, 64 if none; several points in a
        cell are equally probable; (B, H/8, W/8) bool.
    """
    cells = F.pixel_unshuffle(points.float(), CELL)  # channel 8 * row + column
    cells = cells / cells.sum(1, keepdim=True).clamp(min=1)
    none = (1 - cells.sum(1, keepdim=True)).clamp(min=0)
    return torch.cat([cells, none], 1), F.pixel_unshuffle(valid.float(), CELL).amin(1) > 0.5


def heat(logits: Tensor) -> Tensor:
    """(B, 65, h, w) -> (B, 1, 8h, 8w): softmax, the class "none" dropped, cells laid out."""
    return F.pixel_shuffle(logits.softmax(1)[:, :NONE], CELL)


def gathered(values: Tensor) -> Tensor:
    """(H, W) -> (H, W): the heat within a few pixels, weighed by a bell of height 1.

    A corner whose heat two pixels, or two cells, share counts whole.
    """
    bell = [math.exp(-((k / GATHERED_PX) ** 2) / 2) for k in range(-REACH_PX, REACH_PX + 1)]
    for axis in (0, 1):  # sums of shifted maps are faster than a convolution of one channel
        around = (0, 0, REACH_PX, REACH_PX) if axis == 0 else (REACH_PX, REACH_PX, 0, 0)
        padded, count = F.pad(values, around), values.shape[axis]
        values = torch.stack([weight * padded.narrow(axis, k, count) for k, weight in enumerate(bell)]).sum(0)
    return values


def peaks(values: Tensor, count: int, radius_px: int, threshold: float, border_px: int = 4) -> Features:
    """Local maxima of an (H, W) map, strongest first; of equals within the radius the first in reading order stays."""
    height, width = values.shape
    rank = values.double() - torch.arange(values.numel(), device=values.device).reshape(height, width).double() * 1e-12
    side = 2 * radius_px + 1  # the largest of a square is that of its columns' largest
    top = F.max_pool2d(F.max_pool2d(rank[None], (side, 1), 1, (radius_px, 0)), (1, side), 1, (0, radius_px))[0]
    keep = (rank == top) & (values > threshold)
    inner = torch.zeros_like(keep)
    inner[border_px : height - border_px, border_px : width - border_px] = True
    rows, columns = (keep & inner).nonzero(as_tuple=True)
    xy = torch.stack([columns, rows], 1).float()
    return Features((height, width), xy, values[rows, columns].float()).strongest(count)
