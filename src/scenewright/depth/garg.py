"""Garg et al.: "Unsupervised CNN for Single View Depth Estimation: Geometry to the Rescue" (ECCV 2016).

One picture in, one disparity map out, doubled in size level by level; trained by rebuilding the left view from the
right, coarse levels first, through a warp that is linearised around the present estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.depth.inputs import check_camera, check_image, network_size, resize, shrink
from scenewright.depth.losses import edge_aware_smoothness, masked_mean
from scenewright.depth.rig import baseline_ratio, check_pair, depth_from_fraction, example_pair, prediction
from scenewright.depth.task import DepthPrediction, StereoSample
from scenewright.engine.card import Card, Figure
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry import stereo
from scenewright.geometry.camera import Camera
from scenewright.nn.efficientnet import EfficientNetLite0
from scenewright.nn.trunks import load_trunk, normalise

Encoder = Literal["resnet50by2", "alexnet", "efficientnet-lite0"]


class Residual(nn.Module):
    """1x1, 3x3, 1x1, each with bias and batch norm, and a shortcut; nothing strides."""

    def __init__(self, channels: int, middle: int, out: int, project: bool) -> None:
        super().__init__()
        sizes = ((channels, middle, 1), (middle, middle, 3), (middle, out, 1))
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _ in sizes)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        y = F.relu(self.norms[0](self.convs[0](x)))
        y = F.relu(self.norms[1](self.convs[1](y)))
        return F.relu(self.norms[2](self.convs[2](y)) + self.shortcut(x))


class ResNet50by2(nn.Module):
    """The authors' released encoder: ResNet-50 of half the width, whose pooling, not its convolutions, halves."""

    CHANNELS: ClassVar = {2: 128, 4: 128, 8: 256, 16: 512, 32: 1024}
    """Channels of the maps by stride."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_0 = nn.Sequential(nn.Conv2d(3, 64, 7, padding=3), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
        self.conv_1 = nn.Sequential(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(inplace=True))
        stages, channels = [], 128
        for middle, out, blocks in ((32, 128, 3), (64, 256, 4), (128, 512, 6), (256, 1024, 3)):
            rest = (Residual(out, middle, out, False) for _ in range(blocks - 1))
            stages.append(nn.Sequential(Residual(channels, middle, out, True), *rest))
            channels = out
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, 3, H, W) -> maps by stride, sizes rounded up."""
        x = self.conv_1(_pool(self.conv_0(x)))
        maps = {2: x}
        for stride, stage in zip((4, 8, 16, 32), self.stages):
            x = maps[stride] = stage(_pool(x))
        return maps


class AlexNet(nn.Module):
    """The paper's encoder (figure 2): five convolutions, three poolings, and two convolutions for the dense layers.

    Every convolution keeps the size (the paper's own borders are not published).
    """

    CHANNELS: ClassVar = {8: 256, 16: 256, 32: 2048}
    """Channels of the maps by stride: what the second and the third pooling read, and the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4, 5)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2)
        sizes = ((256, 384), (384, 384), (384, 256))
        self.middle = nn.Sequential(
            *(layer for i, o in sizes for layer in (nn.Conv2d(i, o, 3, padding=1), nn.ReLU(inplace=True)))
        )
        self.dense = nn.Sequential(
            nn.Conv2d(256, 2048, 5, padding=2), nn.ReLU(inplace=True), nn.Conv2d(2048, 2048, 1), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, 3, H, W) -> maps by stride, sizes rounded up."""
        x = F.local_response_norm(_pool(F.relu(self.conv1(x)), 3), 5)
        second = F.relu(self.conv2(x))
        third = self.middle(F.local_response_norm(_pool(second, 3), 5))
        return {8: second, 16: third, 32: self.dense(_pool(third, 3))}


LITE0_CHANNELS = dict(zip((2, 4, 8, 16, 32), EfficientNetLite0.CHANNELS))


def _pool(x: Tensor, kernel: int = 2) -> Tensor:
    return F.max_pool2d(x, 3, 2, 1) if kernel == 3 else F.max_pool2d(x, 2, ceil_mode=True)


class Doubling(nn.Module):
    """A disparity map of twice the size: interpolated, and its pixels counted twice.

    A transposed convolution with a bilinear kernel; the border repeats the edge.

    Args:
        learn: whether the kernel is trained (the paper) or stays bilinear (the released code).
    """

    def __init__(self, learn: bool) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = 2 * torch.outer(taps, taps)[None, None]
        self.kernel: Tensor
        if learn:
            self.kernel = nn.Parameter(kernel)
        else:
            self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, 2H, 2W)."""
        y = F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.kernel, stride=2, padding=1)
        return y[..., 2:-2, 2:-2]


@dataclass(frozen=True)
class GargConfig:
    """Network, objective and rig.

    Args:
        encoder: "resnet50by2" (what the authors released), "alexnet" (the paper's figure) or "efficientnet-lite0".
        head_width: hidden channels between an encoder map and its one-channel score; 0 = none (all published forms).
        objective: "l2", squared differences and squared gradients (the paper, eq. 1 to 3), or "l1", absolute
            differences and edge-aware absolute gradients (the released code).
        smoothness: weight of the smoothness term; the paper's gamma is 0.01, the released code's 0.05.
        warp: "taylor", linearised by the central difference of the rebuilt picture (the paper), or "bilinear", the
            derivative of the sampling itself, as libraries compute it today.
        coarse_to_fine: train the levels one after the other, coarsest first (the paper), or the finest alone.
        baseline_m: of the canonical rig, see `scenewright.depth.rig`; None: unknown, depth without scale.
        input_size: (width, height) the network is trained at; `predict` keeps the aspect and this many pixels.
    """

    encoder: Encoder
    head_width: int
    objective: Literal["l2", "l1"]
    smoothness: float
    warp: Literal["taylor", "bilinear"]
    coarse_to_fine: bool
    baseline_m: float | None
    input_size: tuple[int, int]

    @classmethod
    def paper(cls) -> GargConfig:
        """The network and the objective that the authors released, on KITTI's rig."""
        return cls("resnet50by2", 0, "l1", 0.05, "taylor", False, 0.54, (608, 160))

    @classmethod
    def alexnet(cls) -> GargConfig:
        """The network and the objective that the paper describes."""
        return cls("alexnet", 0, "l2", 0.01, "taylor", True, 0.54, (608, 176))

    @classmethod
    def small(cls) -> GargConfig:
        """An ImageNet-trained mobile trunk, trained coarse to fine (the paper) with the released objective."""
        return cls("efficientnet-lite0", 64, "l1", 0.05, "taylor", True, 0.2, (192, 144))


COARSE_TO_FINE = {8: 4, 4: 3, 2: 2, 1: 1}
"""Strides of the levels that are trained in turn, and their shares of the steps: the coarser, the farther off a match
may be that the objective still finds. The paper's first prediction that is scored is at stride 8."""


_PUBLISHED = {
    "AbsRel": 0.1378,
    "SqRel": 0.8249,
    "RMSE": 4.4009,
    "RMSElog": 0.2335,
    "delta1": 0.8098,
    "delta2": 0.9351,
    "delta3": 0.9747,
}


class Garg(Method[StereoSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = GargConfig
    card: ClassVar[Card] = Card(
        name="garg",
        title="Unsupervised CNN for Single View Depth Estimation: Geometry to the Rescue",
        authors="R. Garg, V. Kumar BG, G. Carneiro, I. Reid",
        venue="ECCV",
        year=2016,
        paper="arXiv:1603.04992",
        task="depth",
        inputs="one RGB image and its camera; rectified stereo pairs to train on",
        outputs="z-depth in metres where the training rig's baseline is known, else without scale",
        paper_parameters=6_003_269,
        deviations=(
            "paper: the network that the authors released (ResNet-50 of half the width, L1 objective, all levels at "
            "once), 6,002,245 parameters and the 1,024 scales of its links; that of the paper, whose borders are not "
            "published, is preset alexnet",
            "smoothness weights take forward differences of the picture in both directions; the released code takes "
            "central ones and sums the colours along y before the absolute value",
            "pixels that the right camera does not see are left out of the objective, which is a mean instead of a sum",
            "doublings repeat the edge, where the released layer lets a border of one pixel fade",
            "small: ImageNet-trained EfficientNet-Lite0 encoder, a hidden layer before each score, AdamW; the released "
            "code's objective, the paper's coarse levels first, the coarsest for most of the steps",
            "predicts the disparity of one canonical baseline, so that pairs of several rigs can be mixed",
        ),
        published=tuple(
            Figure(name, value, "KITTI, 697 Eigen test images, Garg crop, cap 50 m", "authors' README, ResNet50by2")
            for name, value in _PUBLISHED.items()
        ),
        limits=(
            "small: the coarse shape of a room only, without sharp borders and streaked along edges in real pictures; "
            "has seen synthetic rooms alone, so streets come out far too near, and in one real kitchen the mean depth "
            "of each image row has less error after one factor per picture",
        ),
        original_code="Caffe, BSD for academic use",
    )

    def __init__(self, config: GargConfig) -> None:
        super().__init__(config)
        self.trunk, channels = _encoder(config.encoder)
        self.heads = nn.ModuleDict({str(s): _head(channels[s], config.head_width) for s in sorted(channels)})
        scaled = [s for s in channels if s < 32] if config.encoder == "resnet50by2" else []
        self.link_scales = nn.ParameterDict(
            {str(s): nn.Parameter(torch.full((channels[s], 1, 1), 0.01)) for s in scaled}
        )
        self.doubling = nn.ModuleList(Doubling(learn=config.encoder == "alexnet") for _ in range(5))

    def forward(self, image: Tensor, finest: int = 1) -> dict[int, Tensor]:
        """The raw network.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            finest: stop at this stride.

        Returns:
            Disparities (B, 1, H / s, W / s) by stride s = 32, 16 ... `finest`, in pixels of that level's own width; may
            be negative. A fresh network predicts 0: the search starts without motion.
        """
        maps = self._maps(image)
        disparity = self.heads["32"](maps[32]).float()
        levels = {32: disparity}
        for doubling, stride in zip(self.doubling, (16, 8, 4, 2, 1)):
            if stride < finest:
                break
            height, width = (-(-n // stride) for n in image.shape[-2:])
            disparity = doubling(disparity)[..., :height, :width]
            if stride in maps:
                disparity = disparity + self._score(stride, maps[stride])
            levels[stride] = disparity
        return levels

    def _maps(self, image: Tensor) -> dict[int, Tensor]:
        if self.config.encoder == "efficientnet-lite0":
            return dict(zip((2, 4, 8, 16, 32), self.trunk(normalise(image, "efficientnet-lite0"))))
        maps: dict[int, Tensor] = self.trunk(image - 0.45)  # about the mean of natural pictures
        return maps

    def _score(self, stride: int, x: Tensor) -> Tensor:
        key = str(stride)
        scaled = self.link_scales[key] * x if key in self.link_scales else x
        score: Tensor = self.heads[key](scaled).float()
        return score

    def loss(self, sample: StereoSample, stage: Stage) -> dict[str, Tensor]:
        """Terms (B,) of the level that the stage trains: "reconstruction" and "smoothness" (eq. 1 to 3)."""
        check_pair(sample)
        stride = _stride(stage)
        disparity = self(sample.image, stride)[stride] * baseline_ratio(sample, self.config.baseline_m)
        left, right = (F.interpolate(v, disparity.shape[-2:], mode="area") for v in (sample.image, sample.right))
        warp = stereo.linearised_left_from_right if self.config.warp == "taylor" else stereo.left_from_right
        rebuilt, valid = warp(right, disparity)
        weights = {"reconstruction": 1.0, "smoothness": self.config.smoothness} | dict(stage.terms)
        if self.config.objective == "l2":
            error, smoothness = (rebuilt - left).square(), _squared_gradient(disparity)
        else:
            error, smoothness = (rebuilt - left).abs(), edge_aware_smoothness(disparity, left)
        terms = {"reconstruction": masked_mean(error.sum(1, keepdim=True), _inner(valid)), "smoothness": smoothness}
        return {name: weights[name] * value for name, value in terms.items()}

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
        width, height = network_size(camera, self.config.input_size, 16)
        with evaluating(self):
            disparity = self(shrink(image, (height, width)))[1]
        fraction = resize(disparity / width, image.shape[-2:])
        return prediction(depth_from_fraction(fraction, camera, self.config.baseline_m), image, self.config.baseline_m)

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """One stage per level where the preset is trained coarse to fine; the level's stride ends a stage's name."""
        return _plan(preset, cls.Config.paper() if preset == "paper" else cls.Config.small())

    def own_stages(self, preset: str) -> tuple[Stage, ...]:
        """As `stages`, with `coarse_to_fine` as this network has it: the same steps, all levels or the finest alone."""
        return _plan(preset, self.config)

    def example(self, batch: int, seed: int) -> StereoSample:
        """Smooth random pairs of 64x64 with one disparity."""
        return example_pair(batch, seed, disparity_px=4)

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights into the EfficientNet-Lite0 encoder; errors as `nn.trunks.load_trunk`."""
        load_trunk(self.trunk, tensors)


def _encoder(name: Encoder) -> tuple[nn.Module, dict[int, int]]:
    if name == "efficientnet-lite0":
        return EfficientNetLite0(), LITE0_CHANNELS
    encoder = ResNet50by2() if name == "resnet50by2" else AlexNet()
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return encoder, encoder.CHANNELS


def _head(channels: int, hidden: int) -> nn.Module:
    """The one-channel score of a map, 0 at first."""
    layers: list[nn.Module] = []
    if hidden:
        layers = [nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(inplace=True)]
    score = nn.Conv2d(hidden or channels, 1, 1)
    nn.init.zeros_(score.weight)
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, score)


def _inner(valid: Tensor) -> Tensor:
    """Valid pixels whose neighbours along the row are valid, too: the linearised warp's slope reads both."""
    return F.max_pool2d((~valid).float(), (1, 3), 1, (0, 1)) == 0


def _squared_gradient(disparity: Tensor) -> Tensor:
    """Mean of the squared gradient, (B, 1, H, W) -> (B,) (Horn and Schunck's prior)."""
    dx, dy = disparity.diff(dim=-1), disparity.diff(dim=-2)
    return dx.square().flatten(1).mean(1) + dy.square().flatten(1).mean(1)


def _stride(stage: Stage) -> int:
    last = stage.name.rpartition("-")[2]
    if last not in ("32", "16", "8", "4", "2", "1"):
        raise InputError("stage", repr(stage.name), 'a name that ends with the stride it trains, as "stride-8"')
    return int(last)


def _plan(preset: str, config: GargConfig) -> tuple[Stage, ...]:
    if preset == "paper":
        whole = Stage("stride-1", 40_000, 56, "kitti-stereo", "adam", 1e-3, "constant", weight_decay=1e-4)
        if config.objective == "l2":
            whole = replace(whole, batch_size=14, optimizer="sgd", lr=0.01, weight_decay=5e-4)
    else:
        whole = Stage("stride-1", 3_000, 8, "stereo-rooms", "adamw", 1e-3, "cosine", 100, weight_decay=1e-2,
                      gradient_clip=1.0, average=0.998)  # fmt: skip
    scales = _scales(config)
    if not config.coarse_to_fine:
        return (replace(whole, lr_scale=scales),)
    return tuple(
        replace(whole, name=f"stride-{stride}", steps=share * whole.steps // sum(COARSE_TO_FINE.values()),
                schedule=whole.schedule if stride == 1 else "constant",
                lr_scale=(*scales, *_waiting(config.encoder, stride)))
        for stride, share in COARSE_TO_FINE.items()
    )  # fmt: skip


def _scales(config: GargConfig) -> tuple[tuple[str, float], ...]:
    if config.encoder == "efficientnet-lite0":
        return (
            ("trunk.", 0.4),
            *((f"trunk.{name}", 0.0) for name in ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1.")),
        )
    return (("link_scales.", 0.01),) if config.encoder == "resnet50by2" else ()


def _waiting(encoder: Encoder, stride: int) -> tuple[tuple[str, float], ...]:
    """What is finer than the level being trained: it has no gradient yet."""
    channels = {"resnet50by2": ResNet50by2.CHANNELS, "alexnet": AlexNet.CHANNELS}.get(encoder, LITE0_CHANNELS)
    waiting = [f"heads.{s}." for s in channels if s < stride]
    if encoder == "resnet50by2":
        waiting += [f"link_scales.{s}" for s in channels if s < stride]
    if encoder == "alexnet":
        waiting += [f"doubling.{index}." for index, s in enumerate((16, 8, 4, 2, 1)) if s < stride]
    return tuple((prefix, 0.0) for prefix in waiting)
