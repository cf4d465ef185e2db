"""UCN: "Universal Correspondence Network" (Choy, Gwak, Savarese, Chandraker, NIPS 2016).

One pass gives every place of an image a feature of unit length; the nearest neighbour in another image is the match.
Convolutional spatial transformers turn and stretch each place's surroundings by what the network sees there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.features.task import CorrespondenceSample, FeatureMaps, Features, check_image, check_images, luma
from scenewright.geometry.sampling import pixel_grid, sample_at

STRIDE = 4
NEAR_PX = 16.0
"""A place this close to the true match is no negative (section 3.2; 4 cells)."""
PIECE = 1 << 20
"""So many samples are gathered at a time: these stay in the cache, and no new memory is asked for."""


class TransformerConv(nn.Module):
    """Convolutional spatial transformer and the convolution behind it (section 3.4).

    At every place u a small network gives a 2x2 matrix A(u); the k x k samples that the convolution weighs are read at
    u + A(u) o instead of u + o. A = 1 + delta and delta begins at 0, so it begins as a plain convolution.
    """

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
        self.localise = nn.Sequential(
            nn.Conv2d(channels, 32, 1), nn.ReLU(inplace=True), nn.Conv2d(32, 32, 1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 4, 1),
        )  # fmt: skip
        last = self.localise[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def matrices(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (2, B, H, W, 2), float32; rows, x and y, come first."""
        delta = self.localise(x).float().unflatten(1, (2, 2)).permute(1, 0, 3, 4, 2)
        return delta + torch.eye(2, device=x.device)[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W); places outside read as zeros, as a padded convolution's do."""
        size, A = self.conv.kernel_size[0], self.matrices(x)
        offsets = pixel_grid((size, size), A).flatten(0, 1) - size // 2  # (k k, 2), row by row
        columns, lines = F.linear(A, offsets)
        columns = columns + torch.arange(x.shape[3], dtype=A.dtype, device=x.device)[:, None]
        lines = lines + torch.arange(x.shape[2], dtype=A.dtype, device=x.device)[:, None, None]
        table, *corners = _corners(x, columns, lines)
        kernel = self.conv.weight.permute(0, 2, 3, 1).flatten(1).to(x.dtype)
        several = max(PIECE // kernel.shape[1], 1)
        pieces = [
            F.linear(_gathered(table, index, weight).flatten(1).to(x.dtype), kernel, self.conv.bias)
            for index, weight in zip(*(c.flatten(0, 2).split(several) for c in corners), strict=True)
        ]
        return torch.cat(pieces).unflatten(0, (len(x), *x.shape[2:])).permute(0, 3, 1, 2)

    def last_convolutions(self) -> list[nn.Conv2d]:
        """What a batch norm behind goes into."""
        return [self.conv]


def _corners(x: Tensor, columns: Tensor, lines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The four pixels around each of the places at these columns and lines, (B, h, w, N) both.

    Returns:
        (P, C): the table of all pixels of (B, C, H, W), with a frame of zeros around each map.
        (B, h, w, N, 4): which of the table's rows, int32, and their bilinear weights.
    """
    height, width = x.shape[2:]
    table = F.pad(x.to(columns.dtype), (1, 2, 1, 2)).permute(0, 2, 3, 1)
    columns, lines = columns.clamp(-1, width), lines.clamp(-1, height)  # farther out reads zeros alike
    left, top = columns.detach().floor(), lines.detach().floor()
    u, v = columns - left, lines - top
    both = u * v
    right, below = u - both, v - both
    weight = torch.stack([1 - u - below, right, below, both], -1)
    step = table.shape[2]
    first = torch.arange(step + 1, table[..., 0].numel(), table[0, ..., 0].numel(), dtype=torch.int32, device=x.device)
    corners = first[:, None] + torch.tensor([0, 1, step, step + 1], dtype=torch.int32, device=x.device)
    index = torch.add(left.int(), top.int(), alpha=step)[..., None] + corners[:, None, None, None]
    return table.flatten(0, 2), index, weight


def _gathered(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of rows of a table (P, C): (..., 4), (..., 4) -> (..., C)."""
    read = F.embedding_bag(index.reshape(-1, 4), table, per_sample_weights=weight.reshape(-1, 4), mode="sum")
    return read.unflatten(0, index.shape[:-1])


class Inception(nn.Module):
    """GoogLeNet's module (Szegedy et al., CVPR 2015): 1x1, 3x3, 5x5 and pooled branches side by side."""

    def __init__(
        self, channels: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int, transform: bool = False
    ) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, one, 1)
        self.reduce3, self.reduce5 = nn.Conv2d(channels, three[0], 1), nn.Conv2d(channels, five[0], 1)
        self.three: nn.Module = TransformerConv(*three, 3) if transform else nn.Conv2d(*three, 3, padding=1)
        self.five: nn.Module = TransformerConv(*five, 5) if transform else nn.Conv2d(*five, 5, padding=2)
        self.pool = nn.Conv2d(channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        pooled = self.pool(F.max_pool2d(x, 3, 1, 1))
        parts = (self.one(x), self.three(F.relu(self.reduce3(x))), self.five(F.relu(self.reduce5(x))), pooled)
        return F.relu(torch.cat(parts, 1))


@dataclass(frozen=True)
class UCNConfig:
    """Size.

    Args:
        network: "googlenet" up to its inception 4a with the stride cut to 4 (the paper's) or "plain".
        transform: with convolutional spatial transformers.
        hard: negatives are the nearest wrong places (half) as well as random ones; otherwise random alone.
        margin: of the contrastive loss.
    """

    network: str
    transform: bool
    hard: bool = True
    margin: float = 1.0

    @classmethod
    def paper(cls) -> UCNConfig:
        """GoogLeNet with spatial transformers."""
        return cls("googlenet", True)

    @classmethod
    def small(cls) -> UCNConfig:
        """Six convolutions with batch norm, on grey; the fifth with a spatial transformer."""
        return cls("plain", True)


class UCN(Method[CorrespondenceSample]):
    """See the module's docstring."""

    Config = UCNConfig
    card: ClassVar[Card] = Card(
        name="ucn",
        title="Universal Correspondence Network",
        authors="C. B. Choy, J. Gwak, S. Savarese, M. Chandraker",
        venue="NIPS",
        year=2016,
        paper="arXiv:1606.03558",
        task="features",
        inputs="one image",
        outputs="a feature of unit length for every fourth pixel",
        paper_parameters=1_124_712,
        deviations=(
            "small: six convolutions with batch norm on grey pictures instead of GoogLeNet's ImageNet-trained stem",
            "transformers begin as the identity; whether the original's did is not known",
            "the last pooling is padded, so that cell j lies at pixel 4 j",
            "trained on pictures under random homographies; the paper trains on KITTI and PASCAL",
        ),
        published=(),
        limits=("small: upright pictures only; where there is texture SIFT matches better",),
        original_code="Caffe; licence not verified, not read",
        scale="unknown",
    )

    def __init__(self, config: UCNConfig) -> None:
        super().__init__(config)
        self.network = _googlenet(config.transform) if config.network == "googlenet" else _plain(config.transform)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and ".localise.4" not in name:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, D, ceil(H / 4), ceil(W / 4)) float32, unit length; cell j at pixel 4 j."""
        x = image - image.new_tensor([0.4810, 0.4545, 0.4039])[:, None, None]  # the means the Caffe layers subtract
        x = 255 * x if self.config.network == "googlenet" else 4 * luma(x)
        return F.normalize(self.network(x).float(), dim=1, eps=1e-6)

    def loss(self, sample: CorrespondenceSample, stage: Stage) -> dict[str, Tensor]:
        """Terms (B,): "positive" mean d^2 / 2 of matches, "negative" mean max(0, m - d)^2 / 2 of others (eq. 1)."""
        check_images(sample.first)
        check_images(sample.second)
        first, second = self(torch.cat([sample.first, sample.second])).chunk(2)
        a, b = read(first, sample.xy_first), read(second, sample.xy_second)
        terms = {"positive": _distance(a, b).square().mean(1) / 2}
        wrong, counts = [], []
        for other, count in self._negatives(a, second, sample.xy_second):
            far = (self.config.margin - _distance(a, other)).clamp(min=0).square() * count
            wrong.append(far.sum(1))
            counts.append(count.sum(1))
        terms["negative"] = torch.stack(wrong).sum(0) / torch.stack(counts).sum(0).clamp(min=1) / 2
        return {name: dict(stage.terms).get(name, 1.0) * value for name, value in terms.items()}

    def _negatives(self, a: Tensor, second: Tensor, xy: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, P, D) of wrong places and whether each counts, (B, P)."""
        shifted = xy.roll(1, 1)
        chosen = [shifted]
        if self.config.hard:
            with torch.no_grad():
                cells = (a @ second.flatten(2)).argmax(2)  # nearest = largest cosine
                width = second.shape[3]
                nearest = STRIDE * torch.stack([cells % width, cells.div(width, rounding_mode="floor")], 2)
            chosen.append(nearest.to(xy))
        return [(read(second, place), ((place - xy).norm(dim=2) > NEAR_PX).float()) for place in chosen]

    @torch.inference_mode()
    def predict(self, image: Tensor) -> FeatureMaps:
        """Descriptors of images (B, 3, H, W).

        Raises:
            InputError: wrong shape, type or range.
        """
        check_images(image)
        with evaluating(self):
            return FeatureMaps(descriptors=self(image))

    @torch.inference_mode()
    def describe(self, image: Tensor, features: Features) -> Features:
        """Any keypoints of one image (1, 3, H, W), read from its map of descriptors."""
        maps = self.predict(check_image(image)).descriptors
        assert maps is not None
        return replace(features, descriptors=read(maps, features.xy[None].to(image))[0])

    @torch.inference_mode()
    def correspond(self, first: Tensor, xy: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Where points of one image lie in another: the nearest neighbour over the whole map.

        Args:
            first, second: (1, 3, H, W) images. xy: (N, 2) pixels of the first.

        Returns:
            (N, 2) pixels of the second, (N,) cosines.
        """
        maps = [self.predict(check_image(image)).descriptors for image in (first, second)]
        assert maps[0] is not None
        assert maps[1] is not None
        asked = read(maps[0], xy[None].to(first))[0]
        found = [(block @ maps[1][0].flatten(1)).max(1) for block in asked.split(1024)]
        cosine, cells = torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
        width = maps[1].shape[3]
        place = STRIDE * torch.stack([cells % width, cells.div(width, rounding_mode="floor")], 1).float()
        return place, cosine

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Pairs of views with true correspondences; small: warped photographs, then rooms."""
        if preset == "paper":
            return (Stage("pairs", 100_000, 12, "correspondences", "adam", 9e-5, "constant", weight_decay=1e-4,
                          lr_scale=()),)  # fmt: skip
        legs = (("photographs", 900, "photo-homographies"), ("rooms", 7_000, "wide-correspondences"))
        return tuple(
            Stage(name, steps, 4, data, "adamw", 1e-3, "cosine", 200, weight_decay=1e-4, average=0.999)
            for name, steps, data in legs
        )

    def example(self, batch: int, seed: int) -> CorrespondenceSample:
        """Noise, moved by 8 pixels."""
        g = torch.Generator().manual_seed(seed)
        wide = torch.rand(batch, 3, 64, 72, generator=g)
        xy = torch.rand(batch, 24, 2, generator=g) * 40 + 16
        return CorrespondenceSample(wide[..., :64], wide[..., 8:], xy, xy - torch.tensor([8.0, 0.0]))


def read(maps: Tensor, xy: Tensor) -> Tensor:
    """Descriptors (B, P, D) of unit length at pixels (B, P, 2), between the cells of (B, D, h, w) maps of stride 4."""
    values, _ = sample_at(maps, (xy / STRIDE)[:, :, None], padding="border")
    return F.normalize(values[..., 0].transpose(1, 2), dim=2, eps=1e-6)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b).square().sum(2) + 1e-8).sqrt()  # the root's slope at 0 is infinite


def _googlenet(transform: bool) -> nn.Sequential:
    """GoogLeNet's stem to inception 4a; the second and third pooling keep the size."""
    norm = nn.LocalResponseNorm(5, 1e-4, 0.75)
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1, ceil_mode=True), norm,
        nn.Conv2d(64, 64, 1), nn.ReLU(inplace=True), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(inplace=True), norm,
        nn.MaxPool2d(3, 1, 1),
        Inception(192, 64, (96, 128), (16, 32), 32), Inception(256, 128, (128, 192), (32, 96), 64),
        nn.MaxPool2d(3, 1, 1),
        Inception(480, 192, (96, 208), (16, 48), 64, transform),
        nn.Conv2d(512, 128, 1),
    )  # fmt: skip


def _plain(transform: bool) -> nn.Sequential:
    """Six convolutions, stride 4."""
    layers: list[nn.Module] = []
    for channels, out, kernel, stride in ((1, 32, 5, 2), (32, 48, 3, 1), (48, 64, 3, 2), (64, 64, 3, 1)):
        layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    last = TransformerConv(64, 96, 3) if transform else nn.Conv2d(64, 96, 3, padding=1)
    return nn.Sequential(*layers, last, nn.BatchNorm2d(96), nn.ReLU(inplace=True), nn.Conv2d(96, 64, 1))
