"""Eigen: "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network" (Eigen et al., NIPS 2014).

A coarse network sees the whole picture and ends in fully connected layers; a fine network of three convolutions
sharpens its map. Trained one after the other with the scale-invariant error of log depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.depth.inputs import check_camera, check_image, focal_factor, resize, shrink, slanted_plane
from scenewright.depth.task import DepthPrediction, DepthSample
from scenewright.engine.card import Card, Figure
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.sampling import pixel_grid, sample_at
from scenewright.nn.trunks import build_trunk, frozen_early, load_trunk, normalise, trunk_channels

STRIDE = 4
"""Input pixels per pixel of the predicted map."""


def scale_invariant_error(
    difference: Tensor, mask: Tensor, invariance: float, reduction: Literal["image", "paircount"] = "image"
) -> Tensor:
    """Mean of d^2 minus `invariance` times the squared mean of d (eq. 4), over the valid pixels of each image.

    0 is the squared error of log depth, 1 the fully scale-invariant error of eq. 3.

    Args:
        difference: (B, 1, H, W), predicted minus true log depth; `mask` is bool, false where the truth is unknown.
        reduction: "image" counts every image alike, as the paper states it; "paircount" weighs an image of n valid
            pixels by n^2 (as the authors' code does), so that the mean over the batch is
            sum_b (n_b sum d^2 - invariance (sum d)^2) / sum_b n_b^2.

    Returns:
        (B,); 0 for an image without a valid pixel.
    """
    d = torch.where(mask, difference, 0).flatten(1)
    n = mask.flatten(1).sum(1).to(d.dtype)
    sum1, sum2 = d.sum(1), d.square().sum(1)
    pairs = n * sum2 - invariance * sum1.square()
    if reduction == "paircount":
        return pairs * len(n) / n.square().sum().clamp(min=1)
    return pairs / n.square().clamp(min=1)


@dataclass(frozen=True)
class EigenConfig:
    """Size and form.

    Args:
        trunk: "alexnet-like" (the paper's five convolutions) or a trunk of `nn.trunks`.
        widths: channels of the five convolutions; for a trunk, of the 1x1 convolutions on its last two strides.
        hidden, dropout: units of the first fully connected layer, and what of them training drops.
        fine: channels of the fine network's first and second convolution.
        side: with a trunk, channels that the fine network takes of its maps at strides 4, 8 and 16; () = none.
        residual: the fine network adds to the coarse map instead of replacing it.
        dropout_in_fine: whether the fine network is trained on the coarse network's map under dropout.
        input_size: (width, height) of the network's input; fully connected layers fix it.
        cut_rows: rows at the top of the map that are not predicted (KITTI's lidar sees only the lower part).
        invariance: lambda of the training loss (eq. 4).
        reduction: see `scale_invariant_error`.
        mean_log_depth: initial output, natural logarithm of metres.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera whose depth it predicts.
    """

    trunk: str
    widths: tuple[int, ...]
    hidden: int
    dropout: float
    fine: tuple[int, int]
    side: tuple[int, ...]
    residual: bool
    dropout_in_fine: bool
    input_size: tuple[int, int]
    cut_rows: int
    invariance: float
    reduction: Literal["image", "paircount"]
    mean_log_depth: float
    canonical_focal_px: float

    @classmethod
    def paper(cls) -> EigenConfig:
        """The published network for NYU Depth v2; focal length of its camera at half the resolution."""
        return cls("alexnet-like", (96, 256, 384, 384, 256), 4096, 0.5, (63, 64), (), False, True, (304, 228), 0, 0.5,
                   "image", 0.82473954, 259.4)  # fmt: skip

    @classmethod
    def kitti(cls) -> EigenConfig:
        """The published network for KITTI: wider input, of whose map the upper third is not predicted."""
        return cls("alexnet-like", (96, 256, 384, 384, 256), 4096, 0.5, (63, 64), (), False, True, (576, 172), 14, 0.5,
                   "image", 2.5, 360.8)  # fmt: skip

    @classmethod
    def small(cls) -> EigenConfig:
        """Fully connected layers on an ImageNet-trained mobile trunk; the fine network corrects the coarse map."""
        return cls("efficientnet-lite0", (48, 64), 512, 0.3, (31, 48), (16, 16, 32), True, False, (192, 144), 0, 0.5,
                   "image", 0.44, 172.8)  # fmt: skip

    @property
    def first(self) -> tuple[int, int]:
        """(row, column) of the input pixel that the first pixel of the map looks at.

        The centre of the first 11x11 window is pixel 5; a trunk's map divides the input into blocks of four.
        """
        middle = 5 if self.trunk == "alexnet-like" else 2
        return middle + STRIDE * self.cut_rows, middle

    @property
    def grid(self) -> tuple[int, int]:
        """(height, width) of the predicted map."""
        width, height = self.input_size
        if self.trunk == "alexnet-like":
            return (height - 11) // STRIDE + 1 - self.cut_rows, (width - 11) // STRIDE + 1
        return -(-height // STRIDE) - self.cut_rows, -(-width // STRIDE)


class Convolutions(nn.Module):
    """Coarse layers 1 to 5 (figure 1), with AlexNet's local response normalisation behind the first two."""

    def __init__(self, widths: tuple[int, ...], input_size: tuple[int, int]) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.conv1 = nn.Conv2d(3, a, 11, 4)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1)
        # y = x (2 + 1e-4 sum x^2)^-0.75 over five channels; torch divides alpha by the window's size
        self.normalise = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        width, height = (_pooled(_pooled(((n - 11) // 4 + 1) // 2)) for n in input_size)
        self.outputs = e * width * height

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """image (B, 3, H, W) in [0, 1] -> features (B, outputs), and no maps for the fine network."""
        x = 255 * image - 128
        x = self.normalise(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.normalise(F.relu(F.max_pool2d(self.conv2(x), 3, 2)))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = F.max_pool2d(F.relu(self.conv5(x)), 3, 2)
        return 0.01 * x.flatten(1), []  # 0.01: as released, for the learning rate of the layers behind


def _pooled(size: int) -> int:
    return (size - 3) // 2 + 1


class TrunkFeatures(nn.Module):
    """A trunk in place of the five convolutions: its maps at strides 16 and 32, thinned."""

    def __init__(self, name: str, widths: tuple[int, ...], input_size: tuple[int, int]) -> None:
        super().__init__()
        self.name = name
        self.trunk, self.channels = build_trunk(name)
        self.thin = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(self.channels[3:], widths, strict=True))
        width, height = input_size
        cells = [-(-height // stride) * -(-width // stride) for stride in (16, 32)]
        self.outputs = sum(w * n for w, n in zip(widths, cells, strict=True))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """image (B, 3, H, W) in [0, 1] -> features (B, outputs), and the trunk's maps at strides 4, 8 and 16."""
        maps = self.trunk(normalise(image, self.name))
        thin = [F.relu(conv(x)).flatten(1) for conv, x in zip(self.thin, maps[3:], strict=True)]
        return torch.cat(thin, 1), maps[1:4]


class Coarse(nn.Module):
    """The global network: features of the whole picture, two fully connected layers, one map."""

    def __init__(self, config: EigenConfig) -> None:
        super().__init__()
        self.grid = config.grid
        own = config.trunk == "alexnet-like"
        self.features = (
            Convolutions(config.widths, config.input_size)
            if own
            else TrunkFeatures(config.trunk, config.widths, config.input_size)
        )
        self.full1 = nn.Linear(self.features.outputs, config.hidden)
        self.full2 = nn.Linear(config.hidden, self.grid[0] * self.grid[1])
        self.dropout = nn.Dropout(config.dropout)
        if own:
            nn.init.normal_(self.full1.weight, 0, 0.01)
        else:
            nn.init.kaiming_normal_(self.full1.weight, nonlinearity="relu")
        nn.init.zeros_(self.full1.bias)
        nn.init.uniform_(self.full2.weight, -0.005, 0.005)
        nn.init.constant_(self.full2.bias, config.mean_log_depth)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """image (B, 3, H, W) -> log depth (B, 1, h, w) in float32, and what the fine network may see beside it."""
        features, maps = self.features(image)
        flat = self.full2(self.dropout(F.relu(self.full1(features))))
        return flat.float().unflatten(1, (1, *self.grid)), maps


class Fine(nn.Module):
    """The local network: edges of the picture beside the coarse map, three convolutions."""

    def __init__(self, config: EigenConfig) -> None:
        super().__init__()
        own = config.trunk == "alexnet-like"
        first, second = config.fine
        self.grid, self.residual, self.own = config.grid, config.residual, own
        self.conv1 = nn.Conv2d(3, first, 9, 2, padding=0 if own else 4)
        channels = () if own else trunk_channels(config.trunk)[1:4]
        self.side = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(channels, config.side))
        self.conv2 = nn.Conv2d(1 + first + sum(config.side), second, 5, padding=2)
        self.conv3 = nn.Conv2d(second, 1, 5, padding=2)
        self._initialise(0.0 if config.residual else config.mean_log_depth)

    def _initialise(self, output: float) -> None:
        for conv in (self.conv1, self.conv2):
            if self.own:
                nn.init.normal_(conv.weight, 0, 0.001 if conv is self.conv1 else 0.01)
            else:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.conv3.weight, 0, 0.01 if self.own else 0.001)
        nn.init.constant_(self.conv3.bias, output)  # type: ignore[arg-type]

    def forward(self, image: Tensor, coarse: Tensor, maps: list[Tensor]) -> Tensor:
        """image (B, 3, H, W), coarse (B, 1, h, w) -> log depth (B, 1, h, w) in float32."""
        x = (255 * image - 109.314) / 76.183
        edges = F.max_pool2d(F.relu(self.conv1(x)), 2)[..., -self.grid[0] :, :]
        sides = [resize(F.relu(conv(m)), self.grid) for conv, m in zip(self.side, maps)]
        x = F.relu(self.conv2(torch.cat([coarse.to(edges.dtype), edges, *sides], 1)))
        out = self.conv3(x).float()
        return coarse + out if self.residual else out


class Eigen(Method[DepthSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = EigenConfig
    card: ClassVar[Card] = Card(
        name="eigen",
        title="Depth Map Prediction from a Single Image using a Multi-Scale Deep Network",
        authors="D. Eigen, C. Puhrsch, R. Fergus",
        venue="NIPS",
        year=2014,
        paper="arXiv:1406.2283",
        task="depth",
        inputs="one RGB image and its camera",
        outputs="z-depth in metres",
        paper_parameters=70_877_171,
        deviations=(
            "the second and third pooling of the coarse network are 3x3 with stride 2: only they give the sizes of the "
            "paper's table for both of its data sets",
            "predicts the depth of a canonical focal length, so that any camera can be used: with one camera that is "
            "the paper's training, and its division of depth by the scale of a zoomed picture",
            "an image of another aspect is stretched to the network's fixed input; the map is enlarged bilinearly",
            "no ImageNet weights of the paper's first five layers exist in a form that loads here: paper starts fresh",
            "small: ImageNet-trained EfficientNet-Lite0 trunk instead of the five convolutions, thinner layers, one "
            "pixel of depth per 4x4 pixels as in the paper",
            "small: the fine network also sees thinned trunk maps and adds to the coarse map: so it need not first "
            "relearn to copy that map",
            "trained on synthetic rooms only; the paper trains on NYU Depth v2 and KITTI",
        ),
        published=(
            Figure("AbsRel", 0.215, "NYU Depth v2, 654 test images, coarse + fine", "the paper's table for NYU Depth"),
            Figure("RMSE", 0.907, "NYU Depth v2, 654 test images, coarse + fine", "the paper's table for NYU Depth"),
            Figure("RMSElog", 0.285, "NYU Depth v2, 654 test images, coarse + fine", "the paper's table for NYU Depth"),
            Figure("delta1", 0.611, "NYU Depth v2, 654 test images, coarse + fine", "the paper's table for NYU Depth"),
            Figure("AbsRel", 0.190, "KITTI, 697 test images, coarse + fine", "the paper's table for KITTI"),
        ),
        limits=(
            "small: a coarse map: chairs, lamps and cables vanish; has seen rooms alone, so depths on streets "
            "are wrong in scale",
        ),
        original_code="Theano, inference only, GPL-style header; not read for this",
    )

    def __init__(self, config: EigenConfig) -> None:
        super().__init__(config)
        self.coarse = Coarse(config)
        self.fine = Fine(config)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The raw network.

        Args:
            image: (B, 3, H, W) RGB in [0, 1] of `input_size`.

        Returns:
            "coarse" and "fine": (B, 1, h, w) natural logarithms of the canonical camera's depth in metres; (h, w) is
            about a quarter of (H, W).

        Raises:
            InputError: another size.
        """
        self._check_size(image)
        coarse, maps = self.coarse(image)
        return {"coarse": coarse, "fine": self.fine(image, coarse, maps)}

    def loss(self, sample: DepthSample, stage: Stage) -> dict[str, Tensor]:
        """One term (B,): "depth", the scale-invariant error of the stage's map; stage "fine" keeps the coarse net."""
        check_image(sample.image)
        self._check_size(sample.image)
        if stage.name == "coarse":
            predicted = self.coarse(sample.image)[0]
        else:
            predicted = self.fine(sample.image, *self._kept_coarse(sample.image))
        truth = self._target(sample)
        difference = predicted - truth.clamp(min=1e-3).log()
        term = scale_invariant_error(difference, truth > 0, self.config.invariance, self.config.reduction)
        return {"depth": dict(stage.terms).get("depth", 1.0) * term}

    @torch.no_grad()
    def _kept_coarse(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the coarse network says, without gradient; as at test time unless `dropout_in_fine`."""
        if self.config.dropout_in_fine:
            return self.coarse(image)
        with evaluating(self.coarse):
            return self.coarse(image)

    def _target(self, sample: DepthSample) -> Tensor:
        """The canonical camera's depth at the pixels that the map looks at, without averaging: (B, 1, h, w)."""
        (row, column), (height, width) = self.config.first, self.config.grid
        depth = sample.depth_m / focal_factor(sample.camera, self.config.canonical_focal_px)
        return depth[..., row::STRIDE, column::STRIDE][..., :height, :width]

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Depth in metres for any image size and camera.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size; its focal length sets the scale.

        Raises:
            InputError: wrong shape, type or range, or a camera of another size.
        """
        check_image(image)
        check_camera(camera, image)
        width, height = self.config.input_size
        with evaluating(self):
            log_depth = self(shrink(image, (height, width)))["fine"]
        factor = focal_factor(camera.resize(width, height), self.config.canonical_focal_px)
        return DepthPrediction(self.enlarge(log_depth, camera.size).exp() * factor)

    def enlarge(self, grid_map: Tensor, size: tuple[int, int]) -> Tensor:
        """A map (B, C, h, w) on the network's grid at an image's (height, width); its border goes on outside."""
        (row, column), (width, height) = self.config.first, self.config.input_size
        pixels = pixel_grid(size, grid_map)
        scale = pixels.new_tensor([width / size[1], height / size[0]])
        uv = ((pixels + 0.5) * scale - 0.5 - pixels.new_tensor([column, row])) / STRIDE
        return sample_at(grid_map, uv[None], padding="border")[0]

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """The coarse network alone, then the fine one on its frozen map (section 3.4); paper: SGD as published."""
        if preset == "paper":
            return (
                Stage("coarse", 62_500, 32, "nyu", "sgd", 0.1, "constant", 0,
                      (("coarse.features.", 0.01), ("fine.", 0.0)), weight_decay=1e-4),
                Stage("fine", 46_875, 32, "nyu", "sgd", 0.01, "constant", 0,
                      (("coarse.", 0.0), ("fine.conv1.", 0.1), ("fine.conv3.", 0.1)), weight_decay=1e-4),
            )  # fmt: skip
        trunk = "coarse.features.trunk."
        frozen = frozen_early(trunk)
        return (
            Stage("coarse", 1_800, 16, "rooms", "adamw", 1e-3, "cosine", 100, (*frozen, (trunk, 0.4), ("fine.", 0.0)),
                  weight_decay=1e-2, gradient_clip=1.0, average=0.998),
            Stage("fine", 900, 16, "rooms", "adamw", 1e-3, "cosine", 50, (("coarse.", 0.0),),
                  weight_decay=1e-2, gradient_clip=1.0, average=0.998),
        )  # fmt: skip

    def example(self, batch: int, seed: int) -> DepthSample:
        """Random images of the network's size with a slanted plane as truth."""
        return slanted_plane(batch, seed, self.config.input_size)

    def _check_size(self, image: Tensor) -> None:
        width, height = self.config.input_size
        if tuple(image.shape[-2:]) != (height, width):
            found = f"{image.shape[-1]}x{image.shape[-2]}"
            raise InputError("image", found, f"{width}x{height}: fully connected layers fix the input's size")

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights into the trunk by name; classifier layers are left out.

        Raises:
            InputError: tensors are missing or of another shape, or the network has convolutions of its own.
        """
        if not isinstance(self.coarse.features, TrunkFeatures):
            raise InputError("trunk", "the paper's own convolutions", "a configuration with a trunk, such as small")
        load_trunk(self.coarse.features.trunk, tensors)
