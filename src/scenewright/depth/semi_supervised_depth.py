"""Kuznietsov et al.: "Semi-Supervised Deep Learning for Monocular Depth Map Prediction" (CVPR 2017).

A residual trunk and up-projections with links predict the disparity of each view of a stereo pair; sparse laser depth
supervises it in metres, and the views, warped onto each other by it, everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from scenewright.depth.inputs import check_camera, check_image, network_size, resize, shrink
from scenewright.depth.losses import berhu, edge_aware_smoothness, masked_mean
from scenewright.depth.rig import (
    baseline_ratio,
    check_pair,
    depth_from_fraction,
    example_pair,
    known_depths,
    prediction,
)
from scenewright.depth.task import DepthPrediction, StereoSample
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.geometry import stereo
from scenewright.geometry.camera import Camera
from scenewright.nn.trunks import build_trunk, load_trunk, normalise
from scenewright.nn.upprojection import UpProjection

Objective = Literal["semi", "supervised", "unsupervised"]

FARTHEST_M = 100.0
"""Beyond this depth the supervised term's slope fades: 1 / disparity would explode."""
FADE_IN = "fade-in"
"""The stage in which the supervised term grows by exp(-10 / t)."""


@dataclass(frozen=True)
class SemiSupervisedDepthConfig:
    """Size, objective and rig.

    Args:
        trunk: "resnet50-tensorflow" (the paper's) or another of `nn.trunks`.
        widths: channels after the 1x1 convolution and after each of the four up-projections.
        output: "linear" (the paper's) or "softplus", which keeps the disparity positive.
        initial_px: disparity that a fresh network predicts, in pixels of its input's width.
        objective: "semi", or the ablations: "supervised" leaves the alignment out, "unsupervised" the laser.
        alignment: weight of the alignment against metres of depth.
        baseline_m: of the canonical rig in metres, see `scenewright.depth.rig`.
        input_size: (width, height) the network is trained at; `predict` keeps the aspect and this many pixels.
    """

    trunk: str
    widths: tuple[int, ...]
    output: Literal["linear", "softplus"]
    initial_px: float
    objective: Objective
    alignment: float
    baseline_m: float
    input_size: tuple[int, int]

    @classmethod
    def paper(cls) -> SemiSupervisedDepthConfig:
        """The published network, on KITTI's rig."""
        widths = (1024, 512, 256, 128, 64)
        return cls("resnet50-tensorflow", widths, "linear", 10.0, "semi", 50.0, 0.54, (621, 188))

    @classmethod
    def small(cls) -> SemiSupervisedDepthConfig:
        """The same decoder, thinner, on an ImageNet-trained mobile trunk."""
        return cls("efficientnet-lite0", (128, 64, 48, 32, 24), "softplus", 4.0, "semi", 50.0, 0.54, (256, 96))


class SemiSupervisedDepth(Method[StereoSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = SemiSupervisedDepthConfig
    card: ClassVar[Card] = Card(
        name="semi_supervised_depth",
        title="Semi-Supervised Deep Learning for Monocular Depth Map Prediction",
        authors="Y. Kuznietsov, J. Stückler, B. Leibe",
        venue="CVPR",
        year=2017,
        paper="arXiv:1702.02706",
        task="depth",
        inputs="one RGB image and its camera; rectified stereo pairs with sparse depth to train on",
        outputs="z-depth in metres",
        paper_parameters=80_773_889,
        deviations=(
            "the terms are means over pixels, and weighted so that the two data terms are about equal at first",
            "the canvas is cut to the picture's half before it is resized; the released code stretches it, up to 3 % "
            "beside the picture",
            "beyond 100 m the depth that the supervised term sees grows ten times more slowly",
            "a fresh network predicts a disparity of 10 px (paper) or 4 px (small), not 0, whose depth is infinite",
            "predicts the disparity of one canonical baseline, so that pairs of several rigs can be mixed",
            "small: ImageNet-trained EfficientNet-Lite0 trunk, thinner decoder, softplus output, AdamW",
        ),
        published=(),
        limits=(
            "small: has seen synthetic streets alone; poor indoors, and on real streets right only after one "
            "factor per picture",
        ),
        original_code="TensorFlow 1 (inference only), GPLv3: written from the equations and the table of layers",
    )

    def __init__(self, config: SemiSupervisedDepthConfig) -> None:
        super().__init__(config)
        self.trunk, channels = build_trunk(config.trunk)
        widths, links = config.widths, (0, *channels[-2:0:-1])
        self.project = nn.Conv2d(channels[-1], widths[0], 1, bias=False)
        self.project_bn = nn.BatchNorm2d(widths[0], eps=_eps(config))
        self.up = nn.ModuleList(
            UpProjection(below + link, out, eps=_eps(config), bias=False)
            for (below, out), link in zip(pairwise(widths), links)
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.iteration: Tensor
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))
        self._initialise()

    def _initialise(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("trunk."):
                if self.config.output == "linear":
                    nn.init.trunc_normal_(module.weight, 0, 0.01, -0.02, 0.02)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.head.weight, 0, 0.01, -0.02, 0.02)
        start = self.config.initial_px
        start = start if self.config.output == "linear" else math.log(math.expm1(start))
        nn.init.constant_(self.head.bias, start)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """The raw network.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            (B, 1, h, w) disparity of the view in pixels of the input's width, on a canvas whose upper left
            (ceil(H / 2), ceil(W / 2)) is the picture; paper: linear, so it may be negative.
        """
        maps = self.trunk(normalise(image, self.config.trunk))
        x = self.project_bn(self.project(maps[-1]))
        for index, up in enumerate(self.up):
            x = up(x)
            if index < len(self.up) - 1:
                x = torch.cat([x, _padded(maps[-2 - index], x)], 1)
        disparity: Tensor = self.head(x).float()
        return disparity if self.config.output == "linear" else F.softplus(disparity)

    def _disparity(self, image: Tensor) -> Tensor:
        """(B, 1, ceil(H / 2), ceil(W / 2)): the canvas without what lies beside the picture."""
        height, width = (-(-n // 2) for n in image.shape[-2:])
        return self(image)[..., :height, :width]

    def loss(self, sample: StereoSample, stage: Stage) -> dict[str, Tensor]:
        """Terms (B,), both views together: "supervised", "alignment" and "smoothness", as the objective has them."""
        check_pair(sample)
        views = torch.cat([sample.image, sample.right])
        both = resize(self._disparity(views), sample.image.shape[-2:]).chunk(2)
        weights = {"supervised": 1.0, "alignment": self.config.alignment, "smoothness": 1.0} | dict(stage.terms)
        terms = {"smoothness": self._smoothness(sample, both)}
        if self.config.objective != "unsupervised":
            terms["supervised"] = self._fade(stage) * self._supervised(sample, both)
        if self.config.objective != "supervised":
            ratio = baseline_ratio(sample, self.config.baseline_m)
            terms["alignment"] = alignment(sample.image, sample.right, ratio * both[0], ratio * both[1])
        return {name: weights[name] * value for name, value in terms.items()}

    def _fade(self, stage: Stage) -> float:
        """lambda_t / beta = exp(-10 / t) at training step t of the stage `FADE_IN`, 1 elsewhere."""
        if not self.training or stage.name != FADE_IN:
            return 1.0
        self.iteration += 1
        return fade_in(int(self.iteration))

    def _focal_baseline(self, sample: StereoSample) -> Tensor:
        """f B of the canonical rig in metres times pixels, (B|1, 1, 1, 1)."""
        return (sample.camera.parameters[0] * self.config.baseline_m).reshape(-1, 1, 1, 1)

    def _supervised(self, sample: StereoSample, both: tuple[Tensor, ...]) -> Tensor:
        """berHu on metres where the laser measured, summed over the views."""
        focal_baseline = self._focal_baseline(sample)
        least = focal_baseline / FARTHEST_M
        total = both[0].new_zeros(len(both[0]))
        for disparity, truth in zip(both, known_depths(sample)):
            leaky = torch.where(disparity > least, disparity, least + 0.1 * (disparity - least)).maximum(least / 2)
            total = total + berhu(focal_baseline / leaky, truth, truth > 0, per_item=not self.training)
        return total

    def _smoothness(self, sample: StereoSample, both: tuple[Tensor, ...]) -> Tensor:
        """|phi(gradient of I)^T gradient of rho| of inverse depth rho, summed over the views."""
        inverse = [disparity / self._focal_baseline(sample) for disparity in both]
        return edge_aware_smoothness(inverse[0], sample.image) + edge_aware_smoothness(inverse[1], sample.right)

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Depth in metres for any image size and camera: f B / disparity, with B the training rig's baseline.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size; its focal length sets the scale.

        Raises:
            InputError: wrong shape, type or range, or a camera of another size.
        """
        check_image(image)
        check_camera(camera, image)
        width, height = network_size(camera, self.config.input_size, 1)
        with evaluating(self):
            fraction = self._disparity(shrink(image, (height, width))) / width
        depth = depth_from_fraction(fraction, camera, self.config.baseline_m)  # inverted first, then resized
        return prediction(resize(depth, image.shape[-2:]), image, self.config.baseline_m)

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """The supervised term fades in, then everything is trained together."""
        if preset == "paper":
            whole = {"batch_size": 5, "data": "kitti-stereo", "optimizer": "sgd", "lr": 0.01, "weight_decay": 4e-5}
            return (
                Stage(FADE_IN, 1_000, schedule="constant", gradient_clip=10.0, **whole),  # type: ignore[arg-type]
                Stage("kitti", 100_000, schedule="plateau", gradient_clip=10.0, **whole),  # type: ignore[arg-type]
            )
        frozen = tuple((f"trunk.{name}", 0.0) for name in ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1."))
        both = {"batch_size": 8, "data": "roads", "lr_scale": (*frozen, ("trunk.", 0.4)), "weight_decay": 1e-2}
        return (
            Stage(FADE_IN, 200, schedule="constant", warmup=200, gradient_clip=1.0, **both),  # type: ignore[arg-type]
            Stage("roads", 1_400, gradient_clip=1.0, average=0.998, **both),  # type: ignore[arg-type]
        )

    def example(self, batch: int, seed: int) -> StereoSample:
        """Smooth random pairs of 64x64 with one disparity and one depth, known at a tenth of the pixels."""
        sample = example_pair(batch, seed, baseline_m=self.config.baseline_m)
        generator = torch.Generator().manual_seed(seed + 1)
        for depth in known_depths(sample):
            depth[torch.rand(depth.shape, generator=generator) > 0.1] = 0
        return sample

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights into the trunk; errors as `nn.trunks.load_trunk`."""
        load_trunk(self.trunk, tensors)


def _eps(config: SemiSupervisedDepthConfig) -> float:
    """The paper's batch norms divide by the root of the variance plus 1e-8."""
    return 1e-8 if config.trunk.endswith("-tensorflow") else 1e-5


def _padded(link: Tensor, like: Tensor) -> Tensor:
    """A trunk map with zeros below and to the right, up to the size of the map it is put beside."""
    return F.pad(link, (0, like.shape[-1] - link.shape[-1], 0, like.shape[-2] - link.shape[-2]))


def fade_in(t: int) -> float:
    """exp(-10 / t) of training step t = 1, 2 ..."""
    return math.exp(-10 / t)


def alignment(left: Tensor, right: Tensor, disp_left: Tensor, disp_right: Tensor) -> Tensor:
    """Mean |difference| of each blurred view and the other one, warped by the disparity, where the warp lands inside.

    Args:
        left, right: (B, 3, H, W) in [0, 1].
        disp_left, disp_right: (B, 1, H, W) pixels.

    Returns:
        (B,), the sum over the two views.
    """
    left, right = (gaussian_blur2d(view, (5, 5), (1.0, 1.0)) for view in (left, right))
    made_left, in_right = stereo.left_from_right(right, disp_left)
    made_right, in_left = stereo.right_from_left(left, disp_right)
    error_left, error_right = ((a - b).abs().mean(1, keepdim=True) for a, b in ((left, made_left), (right, made_right)))
    return masked_mean(error_left, in_right) + masked_mean(error_right, in_left)
