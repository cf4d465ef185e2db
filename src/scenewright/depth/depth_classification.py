"""Cao: "Estimating Depth from Monocular Images as Classification Using Deep Fully Convolutional Residual Networks".

(Cao, Wu, Shen, T-CSVT 2017.) Depth is cut into bins of equal width in log depth; a dilated residual network says how
likely each is; a fully connected CRF lets pixels of one colour agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
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
from scenewright.depth.losses import masked_mean
from scenewright.depth.task import DepthPrediction, DepthSample
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.crf import CRFConfig, refine
from scenewright.nn.trunks import build_trunk, frozen_early, load_trunk, normalise


@dataclass(frozen=True)
class DepthBins:
    """Bins of equal width in log depth.

    Args:
        count: how many.
        nearest_m, farthest_m: the range they cover, metres.
    """

    count: int
    nearest_m: float
    farthest_m: float

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 < self.nearest_m < self.farthest_m < math.inf:
            raise InputError(
                "bins", f"{self.count} from {self.nearest_m} to {self.farthest_m} m", "two or more, 0 < near < far"
            )

    @property
    def width(self) -> float:
        """Of a bin, in natural logarithm."""
        return math.log(self.farthest_m / self.nearest_m) / self.count

    def index(self, depth_m: Tensor) -> Tensor:
        """The bin of each depth, int64; what lies outside the range counts to its ends, unknown depth (0) is -1."""
        known = depth_m > 0
        place = (torch.where(known, depth_m, self.nearest_m) / self.nearest_m).log() / self.width
        return torch.where(known, place.floor().long().clamp(0, self.count - 1), -1)

    def log_centres(self, like: Tensor) -> Tensor:
        """(count,) logarithms of the depths in the middle of the bins."""
        steps = torch.arange(self.count, dtype=like.dtype, device=like.device)
        return math.log(self.nearest_m) + (steps + 0.5) * self.width

    def decode(self, probability: Tensor, how: Literal["argmax", "soft"]) -> Tensor:
        """Log depth (B, 1, H, W) of a distribution (B, count, H, W).

        "argmax" is the centre of the likeliest bin (the paper), "soft" the mean of log depth (Li et al. 2017).
        """
        centres = self.log_centres(probability)
        if how == "argmax":
            return centres[probability.argmax(1, keepdim=True)]
        return (probability * centres[:, None, None]).sum(
            1, keepdim=True
        )  # no product of matrices: exact under autocast


def gains(count: int, alpha: float, rows: Literal["paper", "normalised"] = "paper") -> Tensor:
    """The information gain H(p, q) = exp(-alpha (p - q)^2) of saying bin q where p is true: (count, count).

    Rows do not sum to 1, least so at the ends; "normalised" divides by the sum, which makes the loss a cross-entropy.
    """
    steps = torch.arange(count, dtype=torch.float64)
    table = torch.exp(-alpha * (steps[:, None] - steps).square())
    return table / table.sum(1, keepdim=True) if rows == "normalised" else table


def information_gain_loss(logits: Tensor, target: Tensor, gain: Tensor, threshold: float | None = None) -> Tensor:
    """-sum_D H(D*, D) log P(D), the mean over the pixels whose true bin is less likely than the threshold (section 3).

    Args:
        logits: (B, K, H, W).
        target: (B, H, W) int64 true bins, -1 where unknown.
        gain: (K, K).
        threshold: pixels that give their true bin this probability or more are left out; None keeps all.

    Returns:
        (B,); 0 for an image without such a pixel.
    """
    log_p = logits.log_softmax(1)
    known, safe = target >= 0, target.clamp(min=0)
    value = -(gain.to(log_p)[safe].movedim(-1, 1) * log_p).sum(1)
    if threshold is not None:
        known = known & (log_p.detach().gather(1, safe[:, None])[:, 0].exp() < threshold)
    return masked_mean(value, known)


@dataclass(frozen=True)
class DepthClassificationConfig:
    """Size, bins and objective.

    Args:
        trunk: name in `nn.trunks`.
        output_stride: of the trunk; 8 = dilated as published.
        neck: 0 = the published head on the trunk's last map; else channels of maps at strides 8, 16 and 32, added up.
        bins: of the canonical camera's depth.
        alpha, rows, threshold: of the information gain, see `gains` and `information_gain_loss`.
        label_stride: input pixels per pixel at which logits and truth are compared; 1 = all.
        decode: how a distribution becomes a depth, see `DepthBins.decode`.
        calibrate: learn, in a last stage, one temperature that makes probabilities frequencies (Guo et al. 2017).
        crf: the CRF behind the network, None = without; it runs at a `crf_stride`-th of the network's input.
        input_size: (width, height) the network is trained at; `predict` keeps the aspect and this many pixels.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera whose depth it predicts.
    """

    trunk: str
    output_stride: int
    neck: int
    bins: DepthBins
    alpha: float
    rows: Literal["paper", "normalised"]
    threshold: float | None
    label_stride: int
    decode: Literal["argmax", "soft"]
    calibrate: bool
    crf: CRFConfig | None
    crf_stride: int
    input_size: tuple[int, int]
    canonical_focal_px: float

    @classmethod
    def paper(cls) -> DepthClassificationConfig:
        """The published network for NYU Depth v2 on 101 layers."""
        return cls("resnet101-torchvision", 8, 0, DepthBins(100, 0.7, 10.0), 0.2, "paper", None, 1, "argmax", False,
                   CRFConfig(), 2, (304, 228), 259.4)  # fmt: skip

    @classmethod
    def kitti(cls) -> DepthClassificationConfig:
        """The published network for KITTI on 101 layers."""
        return cls("resnet101-torchvision", 8, 0, DepthBins(50, 1.0, 80.0), 0.2, "paper", None, 1, "argmax", False,
                   CRFConfig(), 2, (576, 172), 360.8)  # fmt: skip

    @classmethod
    def small(cls) -> DepthClassificationConfig:
        """The same classification on an ImageNet-trained mobile trunk, its confidence calibrated."""
        return cls("efficientnet-lite0", 32, 128, DepthBins(80, 0.25, 12.0), 0.2, "paper", None, 4, "soft", True,
                   CRFConfig(iterations=3, rings=0), 2, (192, 144), 172.8)  # fmt: skip


class Neck(nn.Module):
    """Maps at strides 8, 16 and 32 in one at stride 8, where a trunk is not dilated."""

    def __init__(self, channels: tuple[int, ...], out: int) -> None:
        super().__init__()
        self.thin = nn.ModuleList(nn.Conv2d(c, out, 1, bias=False) for c in channels)
        self.bn1 = nn.BatchNorm2d(out)
        self.mix = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps, fine to coarse -> (B, out, H, W) of the finest's size."""
        x = sum(resize(conv(m), maps[0].shape[-2:]) for conv, m in zip(self.thin, maps, strict=True))
        return F.relu(self.bn2(self.mix(F.relu(self.bn1(x)))))


class DepthClassification(Method[DepthSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = DepthClassificationConfig
    card: ClassVar[Card] = Card(
        name="depth_classification",
        title="Estimating Depth from Monocular Images as Classification Using "
        "Deep Fully Convolutional Residual Networks",
        authors="Y. Cao, Z. Wu, C. Shen",
        venue="IEEE T-CSVT",
        year=2017,
        paper="arXiv:1605.02305",
        task="depth",
        inputs="one RGB image and its camera",
        outputs="z-depth in metres and the probability of its bin as confidence",
        paper_parameters=42_705_060,
        deviations=(
            "no ONNX export of the CRF, whose lattice is new for every picture; without it (crf=None) it exports",
            "predicts the depth of a canonical focal length, so that any camera can be used",
            "paper: the number of bins, alpha and the pooling window in front of the last layer are not confirmed from "
            "the paper's text; 100 bins, 0.2 and 3x3 are our reading",
            "the CRF runs at half the network's input, on kernels scaled to row sums of about one, so that its weights "
            "do not depend on the size of the picture",
            "small: ImageNet-trained EfficientNet-Lite0 trunk instead of ResNet-101; instead of dilating, maps at "
            "strides 8, 16 and 32 are added: a network that runs on two CPU cores",
            "small: the mean of the distribution in log depth instead of its likeliest bin (Li et al. 2017)",
            "small: one temperature, learnt last, calibrates the confidence (Guo et al. 2017)",
            "trained on synthetic rooms only; the paper trains on NYU Depth v2 and KITTI",
        ),
        published=(),
        limits=("small: has seen rooms alone; on streets a constant depth has less raw error",),
        original_code="none released",
    )

    def __init__(self, config: DepthClassificationConfig) -> None:
        super().__init__(config)
        self.trunk, channels = build_trunk(config.trunk, config.output_stride)
        self.neck = Neck(channels[2:], config.neck) if config.neck else None
        self.head = nn.Conv2d(config.neck or channels[-1], config.bins.count, 1)
        self.log_temperature = nn.Parameter(torch.zeros(())) if config.calibrate else None
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """The raw network: image (B, 3, H, W) RGB in [0, 1] -> logits (B, K, ceil(H / 8), ceil(W / 8)) in float32."""
        maps = self.trunk(normalise(image, self.config.trunk))
        if self.neck is not None:
            return self.head(self.neck(maps[2:])).float()
        pooled = F.avg_pool2d(maps[-1], 3, 1, 1, count_include_pad=False)
        return self.head(pooled).float()

    def loss(self, sample: DepthSample, stage: Stage) -> dict[str, Tensor]:
        """One term (B,): "gain", or, in stage "calibrate", "likelihood" of the true bins at the temperature."""
        check_image(sample.image)
        truth = sample.depth_m / focal_factor(sample.camera, self.config.canonical_focal_px)
        stride = self.config.label_stride
        target = self.config.bins.index(truth[:, 0, stride // 2 :: stride, stride // 2 :: stride])
        logits = resize(self(sample.image), target.shape[-2:])
        if stage.name == "calibrate":
            values = F.cross_entropy(self._calibrated(logits), target, ignore_index=-1, reduction="none")
            terms = {"likelihood": masked_mean(values, target >= 0)}
        else:
            gain = gains(self.config.bins.count, self.config.alpha, self.config.rows)
            terms = {"gain": information_gain_loss(logits, target, gain, self.config.threshold)}
        return {name: dict(stage.terms).get(name, 1.0) * value for name, value in terms.items()}

    def _calibrated(self, logits: Tensor) -> Tensor:
        return logits if self.log_temperature is None else logits * torch.exp(-self.log_temperature)

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera, crf: bool | None = None) -> DepthPrediction:
        """Depth in metres for any image size and camera, with the probability of the likeliest bin as confidence.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size; its focal length sets the scale.
            crf: whether the CRF refines the distribution; None leaves it to the configuration.

        Raises:
            InputError: wrong shape, type or range, a camera of another size, or a CRF that is not configured.
        """
        check_image(image)
        check_camera(camera, image)
        if crf and self.config.crf is None:
            raise InputError("crf", "none in this configuration", "a configuration with a CRF")
        small, logits = self._seen(image, camera)
        return self._decode(small, logits, camera, crf is not False)

    def _seen(self, image: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
        """The picture at the network's size, and its logits at the learnt temperature."""
        width, height = network_size(camera, self.config.input_size)
        small = shrink(image, (height, width))
        with evaluating(self):
            return small, self._calibrated(self(small))

    @torch.inference_mode()
    def claims(self, sample: DepthSample) -> tuple[Tensor, Tensor]:
        """What `metrics.calibration_error` judges: what the network claims of its likeliest bin, and whether it holds.

        Args:
            sample: a batch with truth.

        Returns:
            confidence: (N,) of the pixels with known depth at the network's resolution.
            right: (N,) bool, whether the true depth lies in that bin.
        """
        small, logits = self._seen(sample.image, sample.camera)
        height, width = small.shape[-2:]
        factor = focal_factor(sample.camera.resize(width, height), self.config.canonical_focal_px)
        truth = F.interpolate(sample.depth_m, (height, width), mode="nearest-exact") / factor
        target = self.config.bins.index(truth[:, 0])
        confidence, found = resize(logits, (height, width)).softmax(1).max(1)
        known = target >= 0
        return confidence[known], (found == target)[known]

    def _decode(self, small: Tensor, logits: Tensor, camera: Camera, with_crf: bool) -> DepthPrediction:
        """Confidence is the classifier's own: a CRF makes pixels agree, which is no evidence that they are right."""
        height, width = small.shape[-2:]
        probability = resize(logits, (height, width)).softmax(1)
        confidence = probability.amax(1, keepdim=True)
        if with_crf and self.config.crf is not None:
            size = (height // self.config.crf_stride, width // self.config.crf_stride)
            unary = -resize(logits, size).log_softmax(1)
            probability = refine(unary, 255 * shrink(small, size), self.config.crf)
        log_depth = self.config.bins.decode(probability, self.config.decode)
        factor = focal_factor(camera.resize(width, height), self.config.canonical_focal_px)
        depth = resize(log_depth, camera.size).exp() * factor
        return DepthPrediction(depth, confidence=resize(confidence, camera.size))

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """paper: SGD from ImageNet weights; small: one stage on rooms, then the temperature alone."""
        if preset == "paper":
            return (
                Stage("nyu", 60_000, 8, "nyu", "sgd", 1e-2, "cosine", 0, (("trunk.", 0.1),), weight_decay=5e-4),
            )  # fmt: skip
        frozen = frozen_early("trunk.")
        return (
            Stage("rooms", 2_200, 16, "rooms", "adamw", 1e-3, "cosine", 100,
                  (*frozen, ("trunk.", 0.4), ("log_temperature", 0.0)),
                  weight_decay=1e-2, gradient_clip=5.0, average=0.998),
            Stage("calibrate", 60, 16, "rooms", "adam", 2e-2, "cosine", 5,
                  (("trunk.", 0.0), ("neck.", 0.0), ("head.", 0.0))),
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
