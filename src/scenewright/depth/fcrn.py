"""FCRN: "Deeper Depth Prediction with Fully Convolutional Residual Networks" (Laina et al., 3DV 2016).

A residual trunk, a 1x1 convolution, four up-projections, one 3x3 convolution; trained with the reverse Huber loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.depth.inputs import (
    check_camera,
    check_image,
    focal_factor,
    network_size,
    resize,
    shrink,
    slanted_plane,
)
from scenewright.depth.losses import berhu, label_cross_entropy, laplace_nll, masked_mean, multi_scale_gradient
from scenewright.depth.task import DepthPrediction, DepthSample
from scenewright.engine.card import Card, Figure
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.nn.trunks import build_trunk, frozen_early, load_trunk, normalise
from scenewright.nn.upprojection import Pad, UpProjection

LABEL_WEIGHTS = (0.0, 2.9, 0.74, 0.61, 1.62, 1.52, 2.65, 2.44, 1.44, 3.83, 0.87, 1.17)
"""Of each of LABELS in the objective: the root of how rare it is in the pixels of the training rooms, with a mean of 1
over them. (Eigen & Fergus, ICCV 2015, section 5.2, balance by frequency itself; the root keeps the handful of pixels of
one class from ruling a step.)"""


@dataclass(frozen=True)
class FCRNConfig:
    """Size and heads.

    Args:
        trunk: "resnet50-caffe" (the paper's), "resnet50-torchvision" or "efficientnet-lite0".
        widths: channels after the 1x1 convolution and after each of the four up-projections.
        lateral: add trunk maps of the same stride, through 1x1 convolutions, to the first three up-projections' output.
        objective: "berhu" on metres (the paper's) or "log": L1 and gradients of the log depth.
        uncertainty: predict the scale of the error, too.
        classes: number of label logits; 0 = no semantic head.
        input_size: (width, height) the network is trained at; `predict` keeps the aspect and this many pixels.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera whose depth it predicts.
        mirror: `predict` looks at the mirrored picture, too, and takes the mean of what both say: less error, twice the
            time.
        pad: see `nn.upprojection.UpConv`.
    """

    trunk: str
    widths: tuple[int, ...]
    lateral: bool
    objective: Literal["berhu", "log"]
    uncertainty: bool
    classes: int
    input_size: tuple[int, int]
    canonical_focal_px: float
    mirror: bool = False
    pad: Pad = "bottomright"

    @classmethod
    def paper(cls) -> FCRNConfig:
        """The published network. NYU's focal length at 320 pixels width, of which 304 are cropped."""
        return cls("resnet50-caffe", (1024, 512, 256, 128, 64), False, "berhu", False, 0, (304, 228), 259.4)

    @classmethod
    def small(cls) -> FCRNConfig:
        """The same decoder, thinner, on an ImageNet-trained mobile trunk, with uncertainty and labels."""
        return cls(
            "efficientnet-lite0", (256, 128, 96, 64, 40), True, "log", True, len(LABELS), (192, 144), 172.8, mirror=True
        )


class FCRN(Method[DepthSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = FCRNConfig
    card: ClassVar[Card] = Card(
        name="fcrn",
        title="Deeper Depth Prediction with Fully Convolutional Residual Networks",
        authors="I. Laina, C. Rupprecht, V. Belagiannis, F. Tombari, N. Navab",
        venue="3DV",
        year=2016,
        paper="arXiv:1606.00373",
        task="depth",
        inputs="one RGB image and its camera",
        outputs="z-depth in metres, its uncertainty, label probabilities (small preset)",
        paper_parameters=63_572_737,
        deviations=(
            "small: ImageNet-trained EfficientNet-Lite0 trunk instead of ResNet-50, decoder four times thinner, "
            "lateral 1x1 links: a network that runs on two CPU cores beside a SLAM system",
            "small: predicts log depth for a canonical focal length and is trained with L1 on it and on its gradients; "
            "berHu on metres is the paper preset's objective",
            "small: the mean of what it says of the picture and of its mirror image",
            "small: further heads for the error's scale and for twelve semantic classes share the decoder "
            "(CNN-SLAM trains a second network for labels)",
            "trained on synthetic rooms only; the paper trains on NYU Depth v2",
            "final ReLU of the released TensorFlow graph left out: it can die in training; predictions are clamped",
        ),
        published=(
            Figure("AbsRel", 0.127, "NYU Depth v2, 654 test images, official script", "authors' README"),
            Figure("RMSE", 0.573, "NYU Depth v2, 654 test images, official script", "authors' README"),
            Figure("log10", 0.055, "NYU Depth v2, 654 test images, official script", "authors' README"),
        ),
        limits=(
            "small: has seen rooms alone; on streets a constant depth has less raw error, and indoors mirrors, "
            "glass and screens get a depth of their own",
        ),
        original_code="MatConvNet and TensorFlow 1 (inference only), BSD-2-Clause",
    )

    def __init__(self, config: FCRNConfig) -> None:
        super().__init__(config)
        self.trunk, channels = build_trunk(config.trunk)
        widths = config.widths
        self.project = nn.Conv2d(channels[-1], widths[0], 1)
        self.project_bn = nn.BatchNorm2d(widths[0], eps=1e-4)
        self.up = nn.ModuleList(UpProjection(i, o, config.pad) for i, o in pairwise(widths))
        strides = zip(channels[-2::-1], widths[1:4]) if config.lateral else ()
        self.lateral = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in strides)
        self.predict_depth = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.predict_scale = nn.Conv2d(widths[-1], 1, 3, padding=1) if config.uncertainty else None
        self.predict_labels = nn.Conv2d(widths[-1], config.classes, 3, padding=1) if config.classes else None
        self._initialise()

    def _initialise(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("trunk."):
                nn.init.normal_(module.weight, 0, 0.01) if self.config.objective == "berhu" else (
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.config.objective == "log":
            nn.init.normal_(self.predict_depth.weight, 0, 0.01)
            nn.init.constant_(self.predict_depth.bias, 0.7)  # type: ignore[arg-type]  # log of 2 m, the middle of a room

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The raw network.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "depth": (B, 1, h, w), metres of the canonical camera (paper) or their natural logarithm (small);
            where configured, "log_scale" (B, 1, h, w) of the Laplace error of log depth and "labels" (B, C, h, w)
            logits. (h, w) is about half of (H, W).
        """
        maps = self.trunk(normalise(image, self.config.trunk))
        x = self.project_bn(self.project(maps[-1]))
        for level, up in enumerate(self.up):
            x = up(x)
            if level < len(self.lateral):
                side = self.lateral[level](maps[-2 - level])
                x = x[..., : side.shape[-2], : side.shape[-1]] + side
        x = F.dropout2d(x, 0.1, self.training) if self.config.objective == "berhu" else x
        heads = {"depth": self.predict_depth, "log_scale": self.predict_scale, "labels": self.predict_labels}
        return _side_by_side(x, {name: head for name, head in heads.items() if head is not None})

    def loss(self, sample: DepthSample, stage: Stage) -> dict[str, Tensor]:
        """Terms (B,): "depth" (berHu on metres, or L1 on log depth) and, for small, "gradient", "scale", "labels"."""
        check_image(sample.image)
        outputs = self(sample.image)
        logits = outputs.pop("labels", None)
        outputs = {k: resize(v, sample.image.shape[-2:]) for k, v in outputs.items()}
        truth, mask = sample.depth_m / focal_factor(sample.camera, self.config.canonical_focal_px), sample.depth_m > 0
        if self.config.objective == "berhu":
            return {"depth": berhu(outputs["depth"], truth, mask)}
        error = outputs["depth"] - truth.clamp(min=1e-3).log()
        weights = {"depth": 1.0, "gradient": 1.0, "scale": 0.1, "labels": 0.2} | dict(stage.terms)
        terms = {"depth": masked_mean(error.abs(), mask), "gradient": multi_scale_gradient(error, mask)}
        if "log_scale" in outputs:
            terms["scale"] = laplace_nll(error.detach(), outputs["log_scale"], mask)
        if logits is not None and sample.labels is not None:
            labels = F.interpolate(sample.labels[:, None].float(), logits.shape[-2:], mode="nearest-exact")[:, 0].long()
            terms["labels"] = label_cross_entropy(logits, labels, logits.new_tensor(LABEL_WEIGHTS))
        return {name: weights[name] * value for name, value in terms.items()}

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Depth in metres for any image size and camera.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size; its focal length sets the scale, as CNN-SLAM's eq. 5 does.

        Raises:
            InputError: wrong shape, type or range, or a camera of another size.
        """
        check_image(image)
        check_camera(camera, image)
        with evaluating(self):
            return self._predict(image, camera)

    def _predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        width, height = network_size(camera, self.config.input_size)
        small = shrink(image, (height, width))
        outputs = self._both_ways(small) if self.config.mirror else self(small)
        outputs = {k: resize(v, image.shape[-2:]) for k, v in outputs.items()}
        depth = outputs["depth"]
        depth = depth.exp() if self.config.objective == "log" else depth.clamp(min=1e-3)
        scale, labels = outputs.get("log_scale"), outputs.get("labels")
        return DepthPrediction(
            depth_m=depth * focal_factor(camera.resize(width, height), self.config.canonical_focal_px),
            sigma_log=None if scale is None else 2**0.5 * scale.exp(),  # a Laplace density's deviation
            label_probabilities=None if labels is None else _known_softmax(labels),
        )

    def _both_ways(self, image: Tensor) -> dict[str, Tensor]:
        """The mean of `forward` on images and on their mirror images, mirrored back."""
        halves = {k: v.chunk(2) for k, v in self(torch.cat([image, image.flip(-1)])).items()}
        return {k: (straight + mirrored.flip(-1)) / 2 for k, (straight, mirrored) in halves.items()}

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """paper: SGD as published; small: one stage on rooms, the trunk's early blocks frozen."""
        if preset == "paper":
            return (Stage("nyu", 120_000, 16, "nyu", "sgd", 0.01, "plateau", gradient_clip=10.0),)
        frozen = frozen_early("trunk.")
        return (
            Stage("rooms", 9_000, 16, "rooms", "adamw", 1e-3, "cosine", 200, (*frozen, ("trunk.", 0.4)),
                  weight_decay=1e-2, gradient_clip=1.0, average=0.999),
        )  # fmt: skip

    def example(self, batch: int, seed: int) -> DepthSample:
        """Random images of 64x64 with a slanted plane as truth."""
        return slanted_plane(batch, seed)

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights into the trunk by name; classifier layers are left out.

        Raises:
            InputError: tensors are missing or of another shape.
        """
        load_trunk(self.trunk, tensors)


def _side_by_side(x: Tensor, heads: Mapping[str, nn.Conv2d]) -> dict[str, Tensor]:
    """The heads' outputs in float32. One convolution for all: each reads the same large map."""
    weight = torch.cat([head.weight for head in heads.values()])
    bias = torch.cat([head.bias for head in heads.values()])  # type: ignore[misc]
    maps = F.conv2d(x, weight, bias, padding=1).float().split([head.out_channels for head in heads.values()], 1)
    return dict(zip(heads, maps, strict=True))


def _known_softmax(logits: Tensor) -> Tensor:
    """Softmax over classes 1 ...; class 0 (unknown) gets probability 0."""
    return torch.cat([torch.zeros_like(logits[:, :1]), logits[:, 1:].softmax(1)], 1)
