"""Depth in the wild: "Single-Image Depth Perception in the Wild" (Chen, Fu, Yang, Deng; NIPS 2016).

An hourglass of inception blocks gives a map at full resolution; it learns from pairs of points alone, by ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from scenewright.depth.inputs import check_camera, check_image, resize, shrink
from scenewright.depth.ordinal import ranking_loss, read_pairs
from scenewright.depth.task import DepthPrediction, OrdinalSample
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera

STRIDE = 16
"""Sides of the network's input are multiples of this."""
_NARROW, _WIDE = (3, 5, 7), (3, 7, 11)


class Inception(nn.Module):
    """Four branches of equal width side by side: a 1x1 convolution, and three of 1x1 then k x k (figure 3, table 1).

    Every convolution has a bias and is followed by a batch norm without parameters and a ReLU. The four 1x1
    convolutions read the same map, so they are one convolution here; likewise their norms.
    """

    def __init__(self, channels: int, out: int, inner: int, kernels: tuple[int, int, int]) -> None:
        super().__init__()
        branch = out // 4
        self.splits = [branch, inner, inner, inner]
        self.reduce = _conv_norm_relu(channels, sum(self.splits), 1)
        self.branches = nn.ModuleList(_conv_norm_relu(inner, branch, k) for k in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        first, *inner = self.reduce(x).split(self.splits, 1)
        return torch.cat([first, *(branch(part) for branch, part in zip(self.branches, inner, strict=True))], 1)


def _conv_norm_relu(channels: int, out: int, kernel: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(out, affine=False)
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2), norm, nn.ReLU(inplace=True))


class Sum(nn.Module):
    """Two paths from the same map, added; nothing follows the sum."""

    def __init__(self, skip: nn.Sequential, deep: nn.Sequential) -> None:
        super().__init__()
        self.skip, self.deep = skip, deep

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W); H and W can be halved."""
        return self.skip(x) + self.deep(x)


def hourglass(divide: int = 1) -> Sum:
    """The four nested levels, from the bottom up; every width is divided by `divide`. 128 -> 64 channels."""

    def block(channels: int, out: int, inner: int, kernels: tuple[int, int, int]) -> Inception:
        return Inception(channels // divide, out // divide, inner // divide, kernels)

    def b() -> Inception:
        return block(128, 128, 32, _NARROW)

    def c() -> Inception:
        return block(128, 128, 64, _WIDE)

    def e() -> Inception:
        return block(256, 256, 32, _NARROW)

    def f() -> Inception:
        return block(256, 256, 64, _WIDE)

    def up() -> nn.Upsample:
        return nn.Upsample(scale_factor=2, mode="nearest")

    def chain(*parts: nn.Module) -> nn.Sequential:
        return nn.Sequential(*parts)

    d, g = block(128, 256, 32, _NARROW), block(256, 128, 32, _NARROW)
    a, a_decoder = block(128, 64, 64, _WIDE), block(128, 64, 32, _WIDE)
    level1 = Sum(chain(e(), e()), chain(nn.AvgPool2d(2), e(), e(), e(), up()))
    level2 = Sum(chain(e(), f()), chain(nn.AvgPool2d(2), e(), e(), level1, e(), f(), up()))
    level3 = Sum(chain(b(), c()), chain(nn.MaxPool2d(2), b(), d, level2, e(), g, up()))
    return Sum(chain(a), chain(nn.MaxPool2d(2), b(), b(), level3, c(), a_decoder, up()))


@dataclass(frozen=True)
class DepthInTheWildConfig:
    """Size, and the statistics that give the map a depth's numbers.

    Args:
        divide: every width of the published network is divided by this.
        input_size: (width, height) to which every picture is stretched.
        mean_m, deviation_m: mean and standard deviation that the map of each image is given, those of the training
            set's depth: the paper's way of turning an ordinal map into metres (section 5.1).
    """

    divide: int
    input_size: tuple[int, int]
    mean_m: float
    deviation_m: float

    @classmethod
    def paper(cls) -> DepthInTheWildConfig:
        """The published network, with NYU's statistics."""
        return cls(1, (320, 240), 2.8424594402, 0.6148231626)

    @classmethod
    def small(cls) -> DepthInTheWildConfig:
        """All widths a quarter, with the statistics of synthetic rooms."""
        return cls(4, (128, 96), 2.18, 0.89)


class DepthInTheWild(Method[OrdinalSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = DepthInTheWildConfig
    card: ClassVar[Card] = Card(
        name="depth_in_the_wild",
        title="Single-Image Depth Perception in the Wild",
        authors="W. Chen, Z. Fu, D. Yang, J. Deng",
        venue="NIPS",
        year=2016,
        paper="arXiv:1604.03901",
        task="depth",
        inputs="one RGB image",
        outputs="relative depth: larger is farther, each image standardised to the training set's mean and deviation",
        paper_parameters=5_553_761,
        deviations=(
            "widths of the first-level decoder follow the released code (inner width 32), not the published table",
            "small: every width a quarter, pictures of 128x96, Adam instead of RMSprop: a network that trains on one "
            "CPU core",
            "trained on pairs drawn from synthetic rooms; the paper trains on NYU Depth v2 and on pairs of internet "
            "photographs",
            "the 1x1 convolutions of a block run as one; the numbers are the same",
        ),
        published=(),
        limits=(
            "small: says which of two points is nearer, not how far; trained on pairs in synthetic rooms, so "
            "streets and open land are guesses",
        ),
        original_code="Torch 7 (Lua), BSD",
        scale="unknown",
    )

    def __init__(self, config: DepthInTheWildConfig) -> None:
        super().__init__(config)
        stem = 128 // config.divide
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 7, padding=3), nn.BatchNorm2d(stem), nn.ReLU())
        self.hourglass = hourglass(config.divide)
        self.head = nn.Conv2d(64 // config.divide, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1], sides multiples of 16 -> (B, 1, H, W), larger = farther, in no unit.

        Raises:
            InputError: a side is no multiple of 16.
        """
        if any(n % STRIDE for n in image.shape[-2:]):
            raise InputError("image", f"{image.shape[-1]}x{image.shape[-2]} pixels", f"sides in multiples of {STRIDE}")
        z: Tensor = self.head(self.hourglass(self.stem(image)))
        return z.float()

    def loss(self, sample: OrdinalSample, stage: Stage) -> dict[str, Tensor]:
        """The one term "ranking" (B,): the mean loss of an item's pairs."""
        check_image(sample.image)
        pairs = read_pairs(self(sample.image), sample.points)
        weight = dict(stage.terms).get("ranking", 1.0)
        return {"ranking": weight * ranking_loss(pairs, sample.relation).mean(1)}

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Relative depth for any image size; `metric` is false.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1]; it is stretched to the network's size, as in the paper.
            camera: of that size; it changes nothing.

        Raises:
            InputError: wrong shape, type or range, or a camera of another size.
        """
        check_image(image)
        check_camera(camera, image)
        z = self._map(image)
        return DepthPrediction(standardise(z, self.config.mean_m, self.config.deviation_m), metric=False)

    @torch.inference_mode()
    def ordinal_map(self, image: Tensor) -> Tensor:
        """The network's own map of any image size, before each image is given a mean and a deviation.

        A threshold on differences means the same in every image here, as in the ranking loss; in `predict` it does not.

        Args:
            image: (B, 3, H, W) as in `predict`.

        Returns:
            (B, 1, H, W), larger = farther, in no unit.

        Raises:
            InputError: as `predict`.
        """
        check_image(image)
        return self._map(image)

    def _map(self, image: Tensor) -> Tensor:
        width, height = self.config.input_size
        with evaluating(self):
            return resize(self(shrink(image, (height, width))), image.shape[-2:])

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """paper: RMSprop on NYU's pairs, as published; small: one stage on pairs from rooms."""
        if preset == "paper":
            return (Stage("nyu", 100_000, 4, "nyu-ordinal", "rmsprop", 1e-3, "constant", momentum=0.0),)
        return (Stage("ordinal", 3_000, 8, "ordinal-rooms", "adam", 2e-3, "cosine", 100, average=0.998),)

    def example(self, batch: int, seed: int) -> OrdinalSample:
        """Random pictures of 32x32 in which darker is farther, with pairs to say so."""
        generator = torch.Generator().manual_seed(seed)
        image = torch.rand(batch, 3, 32, 32, generator=generator)
        points = torch.randint(0, 32, (batch, 24, 2, 2), generator=generator)
        light = read_pairs(image.mean(1, keepdim=True), points)
        relation = (light[..., 0] - light[..., 1]).sign().long()
        camera = Camera.from_fov(32, 32, 60.0)
        return OrdinalSample(image, Camera(32, 32, camera.K.expand(batch, 3, 3)), points, relation)


def standardise(z: Tensor, mean_m: float, deviation_m: float) -> Tensor:
    """Give the map of each image a mean and a standard deviation; what falls below 0 becomes the least that does not.

    Args:
        z: (B, 1, H, W) in no unit.

    Returns:
        (B, 1, H, W), > 0.
    """
    mean, deviation = z.mean((1, 2, 3), keepdim=True), z.std((1, 2, 3), correction=0, keepdim=True)
    depth = (z - mean) / deviation.clamp(min=1e-6) * deviation_m + mean_m
    least = torch.where(depth > 0, depth, torch.inf).amin((1, 2, 3), keepdim=True)
    return torch.where(depth > 0, depth, least + 1e-5)
