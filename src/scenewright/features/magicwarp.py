"""MagicWarp: "Toward Geometric Deep SLAM" (DeTone, Malisiewicz, Rabinovich, 2017), section 4.

Two images of points, no descriptors; a network says which homography carries the one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.features.magicpoint import CELL
from scenewright.features.task import PointSetPairSample
from scenewright.nn.conv import conv_relu


@dataclass(frozen=True)
class MagicWarpConfig:
    """Size.

    Args:
        widths: channels of the two pairs of convolutions; hidden: of the fully connected layer.
        batch_norm: normalise after each ReLU.
        input_size: (width, height) of the point images, multiples of 32.
    """

    widths: tuple[int, int]
    hidden: int
    batch_norm: bool
    input_size: tuple[int, int] = (160, 120)

    @classmethod
    def paper(cls) -> MagicWarpConfig:
        """The reconstruction: the paper names the parts, not their sizes."""
        return cls((128, 128), 256, False)

    @classmethod
    def small(cls) -> MagicWarpConfig:
        """Half as wide, with batch norm."""
        return cls((64, 64), 256, True)


class MagicWarp(Method[PointSetPairSample]):
    """See the module's docstring."""

    Config = MagicWarpConfig
    card: ClassVar[Card] = Card(
        name="magicwarp",
        title="Toward Geometric Deep SLAM (MagicWarp)",
        authors="D. DeTone, T. Malisiewicz, A. Rabinovich",
        venue="arXiv",
        year=2017,
        paper="arXiv:1707.07410",
        task="features",
        inputs="two point images",
        outputs="the homography that maps pixels of the first to the second",
        paper_parameters=1_086_729,
        deviations=(
            "a reconstruction: the paper gives no layer sizes and no code was released",
            "trained on planar point sets under random homographies; the paper projects simple 3-D sets",
            "small: half as wide, batch norm after each ReLU",
        ),
        published=(),
        limits=("small: takes two sets of points from one plane, nothing else, and moderate motions only",),
        original_code="never released",
        scale="unknown",
    )

    def __init__(self, config: MagicWarpConfig) -> None:
        super().__init__(config)
        first, second = config.widths
        norm = config.batch_norm
        self.encoder = nn.Sequential(
            *conv_relu(2 * (CELL * CELL + 1), first, norm), *conv_relu(first, first, norm), nn.MaxPool2d(2),
            *conv_relu(first, second, norm), *conv_relu(second, second, norm), nn.MaxPool2d(2),
        )  # fmt: skip
        width, height = (side // CELL // 2 // 2 for side in config.input_size)
        self.hidden = nn.Linear(second * width * height, config.hidden)
        self.numbers = nn.Linear(config.hidden, 9)
        nn.init.zeros_(self.numbers.weight)  # begins at "nothing has moved"
        with torch.no_grad():
            self.numbers.bias.copy_(torch.eye(3).flatten())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, 1, H, W) twice -> (B, 3, 3) float32 homography of coordinates normalised to [-1, 1], H[2, 2] = 1."""
        maps = self.encoder(torch.cat([cells(first), cells(second)], 1))
        numbers = self.numbers(F.relu(self.hidden(maps.flatten(1)))).float()
        last = numbers[:, 8:]
        last = torch.where(last.abs() < 1e-3, torch.where(last < 0, -1e-3, 1e-3), last)
        return (numbers / last).reshape(-1, 3, 3)

    def loss(self, sample: PointSetPairSample, stage: Stage) -> dict[str, Tensor]:
        """Term "points" (B,): mean distance, in normalised coordinates, of the true points from where they belong."""
        self._check(sample.first, sample.second)
        N = normaliser(self.config.input_size).to(sample.xy)
        true = N @ sample.H_second_first @ N.inverse()
        xy = _transform(N, sample.xy)
        far = (_transform(self(sample.first, sample.second), xy) - _transform(true, xy)).norm(dim=2)
        far = far.clamp(max=4.0)  # a point thrown to infinity says nothing more than that it is wrong
        term = (far * sample.weight).sum(1) / sample.weight.sum(1).clamp(min=1)
        return {"points": dict(stage.terms).get("points", 1.0) * term}

    @torch.inference_mode()
    def predict(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, 3, 3) homographies of pixels, from point images (B, 1, H, W) in [0, 1] of the configured size.

        Raises:
            InputError: wrong shape, type or range.
        """
        self._check(first, second)
        with evaluating(self):
            H = self(first, second)
        N = normaliser(self.config.input_size).to(H)
        pixels = N.inverse() @ H @ N
        return pixels / pixels[:, 2:, 2:]

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Point sets only, apart from MagicPoint (section 4.2)."""
        if preset == "paper":
            return (Stage("points", 50_000, 64, "point-sets", "adam", 1e-3, "constant"),)
        return (Stage("points", 6_500, 64, "point-sets", "adamw", 1e-3, "cosine", 300, weight_decay=1e-4,
                      gradient_clip=1.0, average=0.999),)  # fmt: skip

    def example(self, batch: int, seed: int) -> PointSetPairSample:
        """Random points shifted by a few pixels."""
        g = torch.Generator().manual_seed(seed)
        width, height = self.config.input_size
        xy = torch.rand(batch, 20, 2, generator=g) * torch.tensor([width - 40.0, height - 40.0]) + 20
        H = torch.eye(3).repeat(batch, 1, 1)
        H[:, :2, 2] = torch.randint(-10, 11, (batch, 2), generator=g).float()
        images = [torch.zeros(batch, 1, height, width) for _ in range(2)]
        for image, points in zip(images, (xy, _transform(H, xy))):
            at = points.round().long()
            image[torch.arange(batch)[:, None], 0, at[..., 1], at[..., 0]] = 1
        return PointSetPairSample(images[0], images[1], H, xy, torch.ones(batch, 20))

    def _check(self, *images: Tensor) -> None:
        expected = (1, *self.config.input_size[::-1])
        for image in images:
            if image.ndim != 4 or image.shape[1:] != expected or not image.is_floating_point():
                raise InputError("point image", f"{tuple(image.shape)} of {image.dtype}", f"(B, {expected}) float")
            low, high = (float(v) for v in image.detach().aminmax())
            if not (low >= -1e-3 and high <= 1 + 1e-3):
                raise InputError("point image", f"values from {low:.3g} to {high:.3g}", "[0, 1]")


def cells(points: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, 65, H / 8, W / 8): each cell's pixels, and 1 where the cell is empty."""
    pixels = F.pixel_unshuffle(points, CELL)
    return torch.cat([pixels, 1 - pixels.amax(1, keepdim=True)], 1)


def normaliser(size: tuple[int, int]) -> Tensor:
    """(3, 3) float32 from pixels of (width, height) to [-1, 1], centres of the outer pixels at the ends."""
    sx, sy = (2 / (side - 1) for side in size)
    return torch.tensor([[sx, 0, -1], [0, sy, -1], [0, 0, 1.0]])


def _transform(H: Tensor, xy: Tensor) -> Tensor:
    """(B|1, 3, 3) and (B, P, 2) -> (B, P, 2); the denominator is kept away from 0."""
    mapped = F.pad(xy, (0, 1), value=1.0) @ H.transpose(-1, -2)
    w = mapped[..., 2:]
    return mapped[..., :2] / torch.where(w.abs() < 1e-4, torch.where(w < 0, -1e-4, 1e-4), w)
