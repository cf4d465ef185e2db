"""Monodepth: "Unsupervised Monocular Depth Estimation with Left-Right Consistency" (Godard et al., CVPR 2017).

One picture in, the disparity maps of both views out, at four scales; trained by rebuilding either view from the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.depth.inputs import check_camera, check_image, network_size, resize, shrink
from scenewright.depth.losses import edge_aware_smoothness, photometric
from scenewright.depth.rig import baseline_ratio, check_pair, depth_from_fraction, example_pair, prediction
from scenewright.depth.task import DepthPrediction, StereoSample
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry import stereo
from scenewright.geometry.camera import Camera
from scenewright.nn.efficientnet import EfficientNetLite0
from scenewright.nn.trunks import load_trunk, normalise

LARGEST = 0.3
"""The largest disparity that can be predicted, as a fraction of the width (section 3.2)."""


def conv_elu(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution padded by (kernel - 1) / 2 and an ELU; no batch norm anywhere."""
    return nn.Sequential(nn.Conv2d(channels, out, kernel, stride, (kernel - 1) // 2), nn.ELU(inplace=True))


class VGGEncoder(nn.Module):
    """Seven pairs of convolutions, the second of which halves the picture."""

    CHANNELS = (32, 64, 128, 256, 512, 512, 512)
    """Channels of the maps at strides 2, 4 ... 128."""

    def __init__(self) -> None:
        super().__init__()
        blocks, channels = [], 3
        for out, kernel in zip(self.CHANNELS, (7, 5, 3, 3, 3, 3, 3)):
            blocks.append(nn.Sequential(conv_elu(channels, out, kernel), conv_elu(out, out, kernel, 2)))
            channels = out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> seven maps, finest first."""
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps


class ResidualUnit(nn.Module):
    """1x1, 3x3, 1x1 with ELUs and a shortcut; the output has four times `width` channels."""

    def __init__(self, channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.reduce = conv_elu(channels, width, 1)
        self.conv = conv_elu(width, width, 3, stride)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        project = project or stride > 1 or channels != 4 * width
        self.shortcut = nn.Conv2d(channels, 4 * width, 1, stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 width, ceil(H / stride), ceil(W / stride))."""
        return F.elu(self.expand(self.conv(self.reduce(x))) + self.shortcut(x))


class ResNetEncoder(nn.Module):
    """ResNet-50 without batch norm; the last unit of each group strides.

    Args:
        project_all: a 1x1 convolution on every shortcut, as the released code has it (its test whether one is needed
            is always true), or only where the shapes differ.
    """

    CHANNELS = (64, 64, 256, 512, 1024, 2048)
    """Channels of the maps at strides 2, 4 ... 64."""

    def __init__(self, project_all: bool) -> None:
        super().__init__()
        self.stem = conv_elu(3, 64, 7, 2)
        groups, channels = [], 64
        for width, units in ((64, 3), (128, 4), (256, 6), (512, 3)):
            group = []
            for unit in range(units):
                group.append(ResidualUnit(channels, width, 2 if unit == units - 1 else 1, project_all))
                channels = 4 * width
            groups.append(nn.Sequential(*group))
        self.groups = nn.ModuleList(groups)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> six maps, finest first."""
        maps = [self.stem(x)]
        maps.append(F.max_pool2d(maps[0], 3, 2, 1))
        for group in self.groups:
            maps.append(group(maps[-1]))
        return maps


class Decoder(nn.Module):
    """Doubling, convolution, links to the encoder; the four finest levels predict, each fed to the next.

    Args:
        channels: of the encoder's maps, finest first.
        widths: of the levels, coarsest first; as many as maps, or fewer to stop before the picture's size.
        initial: the disparity that a fresh network predicts, as a fraction of the width.
        quiet: heads with weights near 0, since the maps of a trained encoder are large enough to drown `initial`.
    """

    SCALES = 4

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...], initial: float, quiet: bool) -> None:
        super().__init__()
        self.up, self.fuse, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = channels[-1]
        self.levels = range(len(channels) - 1, len(channels) - 1 - len(widths), -1)  # level 0 has the picture's size
        for index, (level, width) in enumerate(zip(self.levels, widths), self.SCALES - len(widths)):
            side = channels[level - 1] if level else 0
            self.up.append(conv_elu(below, width, 3))
            self.fuse.append(conv_elu(width + side + (2 if index > 0 else 0), width, 3))
            if index >= 0:
                self.heads.append(nn.Conv2d(width, 2, 3, padding=1))
            below = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialise(module)
        for head in self.heads:
            nn.init.constant_(head.bias, log(initial / (LARGEST - initial)))  # type: ignore[arg-type]
            if quiet:
                nn.init.normal_(head.weight, 0, 0.01)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Encoder maps and the picture's (H, W) -> four disparities (B, 2, h, w), finest first, in float32."""
        x, disparities = maps[-1], list[Tensor]()
        heads = [None] * (len(self.up) - self.SCALES) + list(self.heads)
        for level, up, fuse, head in zip(self.levels, self.up, self.fuse, heads):
            sides = [maps[level - 1]] if level else []
            height, width = sides[0].shape[-2:] if sides else size
            if disparities:
                sides.append(_double(disparities[-1])[..., :height, :width])
            x = fuse(torch.cat([up(_double(x)[..., :height, :width]), *sides], 1))
            if head is not None:
                disparities.append(LARGEST * head(x).float().sigmoid())
        return disparities[::-1]


def initialise(layer: nn.Conv2d) -> None:
    """Xavier's uniform weights, no bias."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


@dataclass(frozen=True)
class MonodepthConfig:
    """Size, objective and rig.

    Args:
        encoder: "vgg" (the paper's), "resnet50" or "efficientnet-lite0" (ImageNet-trained).
        widths: of the decoder's levels, coarsest first: 7, 6 or 5 of them for these encoders, or fewer, to end at a
            half or a quarter of the picture's resolution.
        project_all: see `ResNetEncoder`.
        smooth: smoothness along both axes (the paper) or along x alone (the released code, by mistake).
        left_right: whether the two disparity maps must agree; False is the paper's ablation.
        padding: what lies beyond the other picture: "zeros" (the released code: black, and infinitely far) or "border".
        post_process: predict the mirrored picture, too, and blend: better at the left edge, twice the time.
        initial: disparity of a fresh network as a fraction of the width; 0.15 is the sigmoid's middle.
        baseline_m: of the canonical rig, see `scenewright.depth.rig`; None: unknown, depth without scale.
        input_size: (width, height) the network is trained at; `predict` keeps the aspect and this many pixels.
    """

    encoder: Literal["vgg", "resnet50", "efficientnet-lite0"]
    widths: tuple[int, ...]
    project_all: bool
    smooth: Literal["xy", "x_only"]
    left_right: bool
    padding: Literal["zeros", "border"]
    post_process: bool
    initial: float
    baseline_m: float | None
    input_size: tuple[int, int]

    @classmethod
    def paper(cls) -> MonodepthConfig:
        """The published network with the VGG encoder, on KITTI's rig."""
        return cls("vgg", (512, 512, 256, 128, 64, 32, 16), True, "xy", True, "zeros", False, 0.15, 0.54, (512, 256))

    @classmethod
    def small(cls) -> MonodepthConfig:
        """A thin decoder on an ImageNet-trained mobile trunk."""
        return cls("efficientnet-lite0", (128, 64, 48, 32), True, "xy", True, "border", True, 0.05, 0.2, (192, 144))


class Monodepth(Method[StereoSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = MonodepthConfig
    card: ClassVar[Card] = Card(
        name="monodepth",
        title="Unsupervised Monocular Depth Estimation with Left-Right Consistency",
        authors="C. Godard, O. Mac Aodha, G. J. Brostow",
        venue="CVPR",
        year=2017,
        paper="arXiv:1609.03677",
        task="depth",
        inputs="one RGB image and its camera; rectified stereo pairs to train on",
        outputs="z-depth in metres where the training rig's baseline is known, else without scale",
        paper_parameters=31_600_072,
        deviations=(
            "small: ImageNet-trained EfficientNet-Lite0 encoder and a thin decoder that ends at half the resolution",
            "small: a fresh network predicts a disparity of 5 % of the width instead of 15 %, from where short "
            "trainings do not find the way down",
            "small: beyond the other picture its border goes on; black, as released, teaches the border columns of "
            "rooms, whose disparities are a tenth of the width and more, to be far",
            "predicts the disparity of one canonical baseline, so that pairs of several rigs can be mixed",
            "the smoothness term runs along both axes, as in the paper; the released code computes it along x only "
            "(option smooth=x_only)",
            "no transposed convolutions and no stereo input, which the released code offers as options",
        ),
        published=(),
        limits=(
            "small: wrong where walls have no texture to match, and blurred at borders; has seen synthetic rooms "
            "alone, so streets come out far too near",
        ),
        original_code="TensorFlow 1, non-commercial licence: written from the equations alone",
    )

    def __init__(self, config: MonodepthConfig) -> None:
        super().__init__(config)
        self.trunk, channels = _encoder(config)
        if not Decoder.SCALES <= len(config.widths) <= len(channels):
            expected = f"{Decoder.SCALES} to {len(channels)}, as {config.encoder} has maps"
            raise InputError("widths", f"{len(config.widths)} numbers", expected)
        if not 0 < config.initial < LARGEST:
            raise InputError("initial", config.initial, f"a fraction between 0 and {LARGEST}")
        self.multiple = 16 if config.encoder == "efficientnet-lite0" else 2 ** len(channels)
        self.decoder = Decoder(channels, config.widths, config.initial, config.encoder == "efficientnet-lite0")

    def forward(self, image: Tensor) -> list[Tensor]:
        """The raw network.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            Four maps (B, 2, h, w), finest first, each half the size of the one before; the first has the image's size
            (paper) or half of it (small). Channel 0 is the disparity of the left view, which the image is, channel 1
            that of the right view, both as fractions of the width, in (0, 0.3).
        """
        lite = self.config.encoder == "efficientnet-lite0"
        maps = self.trunk(normalise(image, self.config.encoder) if lite else image)
        return self.decoder(maps, (image.shape[-2], image.shape[-1]))

    def loss(self, sample: StereoSample, stage: Stage) -> dict[str, Tensor]:
        """Terms (B,), sums over four scales and both views: "appearance", "smoothness", "left_right" (eq. 1)."""
        check_pair(sample)
        ratio = baseline_ratio(sample, self.config.baseline_m)
        weights = {"appearance": 1.0, "smoothness": 0.1, "left_right": 1.0} | dict(stage.terms)
        terms = dict[str, Tensor]()
        for scale, disparity in enumerate(self(sample.image)):
            for name, value in self._terms(sample, disparity * ratio).items():
                factor = weights[name] * (0.5**scale if name == "smoothness" else 1.0)
                terms[name] = terms.get(name, 0.0) + factor * value
        return terms

    def _terms(self, sample: StereoSample, disparity: Tensor) -> dict[str, Tensor]:
        """The three terms of one scale, unweighted; disparity (B, 2, h, w) in fractions of the width."""
        size, width, padding = disparity.shape[-2:], disparity.shape[-1], self.config.padding
        left, right = (F.interpolate(view, size, mode="area") for view in (sample.image, sample.right))
        disp_left, disp_right = (width * disparity).split(1, 1)
        made_left, _ = stereo.left_from_right(right, disp_left, padding)
        made_right, _ = stereo.right_from_left(left, disp_right, padding)
        smooth = [
            edge_aware_smoothness(disp / width, view, self.config.smooth)
            for disp, view in ((disp_left, left), (disp_right, right))
        ]
        terms = {
            "appearance": photometric(left, made_left) + photometric(right, made_right),
            "smoothness": smooth[0] + smooth[1],
        }
        if self.config.left_right:
            first, _ = stereo.left_right_difference(disp_left, disp_right, padding)
            second, _ = stereo.right_left_difference(disp_right, disp_left, padding)
            terms["left_right"] = (first + second).flatten(1).mean(1) / width
        return terms

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Depth for any image size and camera: f B / disparity, with B the training rig's baseline.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size; its focal length sets the scale. Metres if the Config knows the baseline.

        Raises:
            InputError: wrong shape, type or range, or a camera of another size.
        """
        check_image(image)
        check_camera(camera, image)
        with evaluating(self):
            fraction = self._fraction(image, camera)
        depth = depth_from_fraction(resize(fraction, image.shape[-2:]), camera, self.config.baseline_m)
        return prediction(depth, image, self.config.baseline_m)

    def _fraction(self, image: Tensor, camera: Camera) -> Tensor:
        width, height = network_size(camera, self.config.input_size, self.multiple)
        small = shrink(image, (height, width))
        disparity = self(small)[0][:, :1]
        if not self.config.post_process:
            return disparity
        return post_process(disparity, self(small.flip(-1))[0][:, :1].flip(-1))

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """paper: Adam at 1e-4 for 60 % of 50 epochs, half of it to 80 %, a quarter to the end; small: one stage."""
        if preset == "paper":
            legs = ((108_750, 1e-4), (36_250, 5e-5), (36_250, 2.5e-5))
            return tuple(
                Stage(f"kitti-{index}", steps, 8, "kitti-stereo", "adam", lr, "constant")
                for index, (steps, lr) in enumerate(legs, 1)
            )
        frozen = tuple((f"trunk.{name}", 0.0) for name in ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1."))
        return (
            Stage("stereo-rooms", 1_600, 8, "stereo-rooms", "adamw", 1e-3, "cosine", 200, (*frozen, ("trunk.", 0.4)),
                  weight_decay=1e-2, gradient_clip=1.0, average=0.998),
        )  # fmt: skip

    def example(self, batch: int, seed: int) -> StereoSample:
        """Smooth random pairs of 64x64 with one disparity."""
        return example_pair(batch, seed)

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights into the EfficientNet-Lite0 encoder; errors as `nn.trunks.load_trunk`."""
        load_trunk(self.trunk, tensors)


def _encoder(config: MonodepthConfig) -> tuple[nn.Module, tuple[int, ...]]:
    if config.encoder == "efficientnet-lite0":
        return EfficientNetLite0(), EfficientNetLite0.CHANNELS
    encoder = VGGEncoder() if config.encoder == "vgg" else ResNetEncoder(config.project_all)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            initialise(module)
    return encoder, encoder.CHANNELS


def post_process(disparity: Tensor, mirrored: Tensor) -> Tensor:
    """Blend a prediction with that of the mirrored picture, mirrored back (section 4.3).

    The left twentieth comes from `mirrored`, the right one from `disparity`, the middle is their mean, with linear
    ramps between. Both (B, 1, H, W) -> (B, 1, H, W).
    """
    column = torch.linspace(0, 1, disparity.shape[-1], dtype=disparity.dtype, device=disparity.device)
    left = 1 - (20 * (column - 0.05)).clamp(0, 1)
    right = left.flip(0)
    return right * disparity + left * mirrored + (1 - left - right) * (disparity + mirrored) / 2
