"""DDFFNet: "Deep Depth From Focus" (Hazirbas, Soyer, Staab, Leal-Taixe, Cremers; ACCV 2018).

One auto-encoder, VGG-16 and its mirror, sees every slice of a focal stack; a 1x1 convolution over the slices weighs
what it says of each. The output is a disparity, that is, inverse depth times a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.depth.focus import METRE_PIXELS
from scenewright.depth.inputs import check_image, resize, shrink
from scenewright.depth.task import DepthPrediction, FocalStackSample
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.trunks import normalise

Upsampling = Literal["upconv", "bilinear", "unpool"]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class DDFFConfig:
    """Size, and the focal stacks that the network is made for.

    Args:
        widths, convs: channels and 3x3 convolutions of each encoder stage; the decoder mirrors them.
        slices: pictures in a stack; the network's last layer has one weight for each.
        cc: stages (from 1) whose encoder map is concatenated to the decoder's: (3,) is the paper's CC3.
        upsampling: how the decoder doubles a map.
        dropout: of encoder and decoder maps from stage 3 on.
        reduction: of the squared error over an item's pixels.
        near_m, far_m: first and last focus distance; the others lie evenly between, in inverse depth.
        nearest_m: nearest depth that is learnt and answered; nearer than near_m blur alone tells it.
        metre_pixels: disparity = metre_pixels / depth.
        aperture_m: diameter of the lens opening of the stacks it is trained on, metres.
        focal_px: focal length of the pictures it is trained on, pixels; `predict` brings others to it.
        input_size: (width, height) of the pictures it is trained on.
    """

    widths: tuple[int, ...]
    convs: tuple[int, ...]
    slices: int
    cc: tuple[int, ...]
    upsampling: Upsampling
    dropout: float
    reduction: Reduction
    near_m: float
    far_m: float
    nearest_m: float
    metre_pixels: float
    aperture_m: float
    focal_px: float
    input_size: tuple[int, int]

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.convs) or not set(self.cc) <= set(range(1, len(self.widths) + 1)):
            found = f"{len(self.widths)} widths, {len(self.convs)} numbers of convolutions, CC at {self.cc}"
            raise InputError("ddff config", found, "as many of both, and connections at stages that exist")
        if self.slices < 2 or not 0 < self.nearest_m <= self.near_m < self.far_m:
            found = f"{self.slices} slices from {self.near_m} to {self.far_m} m, depth from {self.nearest_m} m"
            raise InputError("ddff config", found, "2 slices or more, and distances that ascend")

    @classmethod
    def paper(cls) -> DDFFConfig:
        """DDFFNet-CC3 for DDFF 12-Scene: its light fields have nine views in a row, 0.27 mm apart."""
        return cls(
            (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), 10, (3,), "upconv", 0.5, "sum", 0.5, METRE_PIXELS / 0.0202,
            0.5, METRE_PIXELS, 8 * 2.709e-4, 521.4052, (552, 383),
        )  # fmt: skip

    @classmethod
    def small(cls) -> DDFFConfig:
        """Three thin stages, for rooms seen through a lens so wide that pictures of 96 pixels show the blur."""
        return cls((16, 32, 64), (2, 2, 2), 10, (3,), "upconv", 0.0, "mean", 0.8, 8.0, 0.5, 0.8, 0.1, 80.0, (64, 48))

    @property
    def disparities(self) -> Tensor:
        """(S,) disparity of each slice's focus, descending."""
        return torch.linspace(self.metre_pixels / self.near_m, self.metre_pixels / self.far_m, self.slices)

    @property
    def focus_m(self) -> Tensor:
        """(S,) focus distance of each slice, metres, ascending."""
        return self.metre_pixels / self.disparities


class DDFF(Method[FocalStackSample]):
    """See the module's docstring. `forward` is the raw network; `predict` is what users and pipelines call."""

    Config = DDFFConfig
    card: ClassVar[Card] = Card(
        name="ddff",
        title="Deep Depth From Focus",
        authors="C. Hazirbas, S. G. Soyer, M. C. Staab, L. Leal-Taixe, D. Cremers",
        venue="ACCV",
        year=2018,
        paper="arXiv:1704.01085",
        task="focus",
        inputs="an aligned stack of RGB images focused from near to far, their camera and focus distances",
        outputs="z-depth in metres; in an unknown scale where the focus distances are not given",
        paper_parameters=39_790_348,
        deviations=(
            "one normalisation, ImageNet's mean and deviation on RGB in [0, 1], in training and in use; the released "
            "scripts use two different ones",
            "the last per-slice batch norm starts with bias 1, so that its one channel cannot die at the start, and "
            "the farther a slice is focused, the larger is its weight: there, blur grows with disparity",
            "unpooling returns values to where the encoder's pooling took them from",
            "small: three stages of 16 to 64 channels and a mean squared error: a network that trains on one CPU core",
            "small: a first stage also teaches what each slice says to be the disparity between its focus and the "
            "truth, since there is no ImageNet-trained encoder to start from",
            "pictures are brought to the focal length of training, where one blur means one step of disparity",
            "small: depth is learnt and answered from 0.5 m on, nearer than the first slice's focus",
            "stacks with other numbers of slices or other focus distances are mapped to the trained ones: the slices "
            "nearest to even steps of inverse depth are taken, and the answer is read as a place between slices",
            "trained on stacks synthesised from synthetic rooms, which are given other sizes so that near depth is not "
            "rare; the paper trains on its light fields",
        ),
        published=(),
        limits=(
            "small: coarse and blurred; within the range of focus and on texture, which the variance of the Laplacian "
            "needs, that has less relative error (docs/depth.md)",
            "small: knows the blur of a lens of 10 cm; stacks of other lenses are read as if that had taken them",
        ),
        original_code="TFLearn; PyTorch port, GPL-3.0, not read for this file",
    )

    def __init__(self, config: DDFFConfig) -> None:
        super().__init__(config)
        widths, convs = config.widths, config.convs
        inputs = (3, *widths[:-1])
        outputs = (1, *widths[:-1])
        self.encoder = nn.ModuleList(_chain(i, [o] * n) for i, o, n in zip(inputs, widths, convs, strict=True))
        self.pool = nn.MaxPool2d(2, return_indices=config.upsampling == "unpool")
        self.up = nn.ModuleList(_up(width, config.upsampling) for width in widths)
        self.decoder = nn.ModuleList(
            _chain(width * (2 if stage in config.cc else 1), [width] * (n - 1) + [out])
            for stage, (width, n, out) in enumerate(zip(widths, convs, outputs, strict=True), 1)
        )
        self.score = nn.Conv2d(config.slices, 1, 1, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        last_norm = self.decoder[0][-2]  # type: ignore[index]
        nn.init.ones_(last_norm.bias)
        with torch.no_grad():
            self.score.weight.copy_((self.config.disparities.flip(0) / self.config.slices)[None, :, None, None])

    def forward(self, stack: Tensor) -> Tensor:
        """(B, S, 3, H, W) RGB in [0, 1], sides multiples of 2 to the number of stages -> (B, 1, H, W) disparity.

        Raises:
            InputError: another number of slices, or sides that cannot be halved so often.
        """
        score: Tensor = self.score(self.of_each_slice(stack))
        return score.float()

    def of_each_slice(self, stack: Tensor) -> Tensor:
        """What the auto-encoder says of every slice, >= 0: shapes and errors as in `forward`, but (B, S, H, W)."""
        batch, slices, _, height, width = stack.shape
        stride = 2 ** len(self.config.widths)
        if slices != self.config.slices or height % stride or width % stride:
            found = f"{slices} slices of {width}x{height}"
            raise InputError("stack", found, f"{self.config.slices} slices with sides in multiples of {stride}")
        maps = self._per_slice(normalise(stack.flatten(0, 1), "vgg16-torchvision"))
        return maps.view(batch, slices, height, width)

    def _per_slice(self, x: Tensor) -> Tensor:
        """The auto-encoder: (N, 3, H, W) -> (N, 1, H, W)."""
        sides, places = [], []
        for stage, encode in enumerate(self.encoder, 1):
            x = encode(x)
            sides.append(x)
            pooled = self.pool(x)
            x, place = pooled if isinstance(pooled, tuple) else (pooled, None)
            places.append(place)
            x = self._drop(x, stage)
        for stage, decode, up in self._decoder():
            place = places[stage - 1]
            x = up(x) if place is None else F.max_unpool2d(x, place, (2, 2))
            if stage in self.config.cc:
                x = torch.cat([x, sides[stage - 1]], 1)
            x = self._drop(decode(x), stage)
        return x

    def _decoder(self) -> Iterator[tuple[int, nn.Module, nn.Module]]:
        stages = range(1, len(self.decoder) + 1)
        return reversed(list(zip(stages, self.decoder, self.up, strict=True)))

    def _drop(self, x: Tensor, stage: int) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training) if stage >= 3 and self.config.dropout else x

    def loss(self, sample: FocalStackSample, stage: Stage) -> dict[str, Tensor]:
        """Squared errors (B,) where the truth lies within the range that is learnt.

        "disparity": of the answer, the paper's only term. "blur", where the stage has it: of what is said of each
        slice, which then is to be the disparity between its focus and the truth, summed over slices.
        """
        truth = self.config.metre_pixels / sample.depth_m.clamp(min=1e-3)
        valid = (sample.depth_m >= self.config.nearest_m) & (sample.depth_m <= self.config.far_m)
        weights = {"disparity": 1.0} | dict(stage.terms)
        maps = self.of_each_slice(sample.stack)
        pairs = {"disparity": (self.score(maps), truth)}
        if "blur" in weights:
            pairs["blur"] = (maps, (truth - self.config.disparities.to(truth).view(1, -1, 1, 1)).abs())
        return {
            name: weights[name] * squared_error(said.float(), wanted, valid, self.config.reduction)
            for name, (said, wanted) in pairs.items()
        }

    @torch.inference_mode()
    def predict(self, stack: Tensor, camera: Camera, focus_m: Tensor | None = None) -> DepthPrediction:
        """Depth of a stack of any size.

        Args:
            stack: (B, S, 3, H, W) float32 RGB in [0, 1], aligned, focused from near to far, S >= 2.
            camera: of that size.
            focus_m: (B, S) or (S,) focus distances in metres, ascending. None: unknown; they are taken for those of
                training, and the scale of the answer for unknown.

        Raises:
            InputError: wrong shape, type or range, a camera of another size, or distances that do not ascend.
        """
        inverse = self._check(stack, camera, focus_m)
        even = torch.lerp(inverse[:, :1], inverse[:, -1:], torch.linspace(0, 1, self.config.slices).to(inverse))
        chosen = (inverse[:, None] - even[:, :, None]).abs().argmin(2)
        rows = torch.arange(len(stack), device=stack.device)[:, None]
        with evaluating(self):
            ratio = self._ratio(camera).expand(len(stack))
            disparity = torch.cat([self._disparity(s[None], r) for s, r in zip(stack[rows, chosen], ratio.tolist())])
        return DepthPrediction(self._depth(disparity, inverse.gather(1, chosen)), metric=focus_m is not None)

    def _check(self, stack: Tensor, camera: Camera, focus_m: Tensor | None) -> Tensor:
        """The inverse focus distances (B, S), 1/m, descending."""
        if stack.ndim != 5 or stack.shape[1] < 2:
            raise InputError("stack", f"shape {tuple(stack.shape)}", "(B, S, 3, H, W) with two slices or more")
        check_image(stack.flatten(0, 1), 2 ** len(self.config.widths))
        if camera.size != tuple(stack.shape[-2:]):
            raise InputError("camera", f"size {camera.size}", f"the stack's {tuple(stack.shape[-2:])} (height, width)")
        if focus_m is None:
            near, far = 1 / self.config.near_m, 1 / self.config.far_m
            return torch.linspace(near, far, stack.shape[1], device=stack.device).expand(stack.shape[:2])
        if focus_m.shape[-1] != stack.shape[1] or focus_m.ndim > 2 or not focus_m.is_floating_point():
            raise InputError("focus_m", f"shape {tuple(focus_m.shape)}", f"{tuple(stack.shape[:2])} distances")
        if not bool((focus_m > 0).all() and (focus_m.diff(dim=-1) > 0).all() and torch.isfinite(focus_m).all()):
            raise InputError("focus_m", focus_m.tolist(), "metres that ascend from above 0")
        return 1 / focus_m.expand(stack.shape[:2])

    def _ratio(self, camera: Camera) -> Tensor:
        """(1,) or (B,) by how much a picture is enlarged for the network: then one blur is one step of disparity."""
        fx, fy, _, _ = camera.parameters
        return (self.config.focal_px / (fx * fy).sqrt()).reshape(-1)

    def _disparity(self, stack: Tensor, ratio: float) -> Tensor:
        """The network on enlarged pictures (1, S, 3, H, W), sides filled up by reflection at the bottom and right."""
        size, stride = stack.shape[-2:], 2 ** len(self.config.widths)
        height, width = size if abs(ratio - 1) < 0.01 else (max(stride, round(n * ratio)) for n in size)
        pictures = stack.flatten(0, 1)
        if (height, width) != size:
            pictures = shrink(pictures, (height, width))
        padded = F.pad(pictures, (0, -width % stride, 0, -height % stride), mode="reflect")
        disparity = self(padded[None])[..., :height, :width]
        return disparity if (height, width) == size else resize(disparity, size)

    def _depth(self, disparity: Tensor, inverse: Tensor) -> Tensor:
        """A disparity says between which slices a pixel is sharpest; their focus distances say how far that is.

        Nearer than the first slice, down to `nearest_m` of training, the first two slices' steps go on.

        Args:
            disparity: (B, 1, H, W) as trained.
            inverse: (B, S) inverse focus distances of the slices, 1/m.
        """
        near, far = self.config.disparities[0], self.config.disparities[-1]
        reached = disparity.clamp(float(far), self.config.metre_pixels / self.config.nearest_m)
        place = (near - reached) / (near - far) * (self.config.slices - 1)
        before = place.floor().clamp(0, self.config.slices - 2)
        index = before.long().flatten(1)
        first, second = (inverse.gather(1, index + step).view_as(place) for step in (0, 1))
        return 1 / torch.lerp(first, second, place - before)

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """paper: SGD for 200 epochs of about 8,370 stacks; small: on stacks from rooms, first with the slices' blur."""
        if preset == "paper":
            return (
                Stage("ddff", 837_000, 2, "ddff", "sgd", 1e-3, "plateau", weight_decay=5e-4, gradient_clip=5.0),
            )  # fmt: skip
        return (
            Stage("blur", 1_500, 8, "focal-rooms", "adam", 4e-3, "constant", 50, average=0.998, terms=(("blur", 0.1),)),
            Stage("focus", 6_500, 8, "focal-rooms", "adam", 4e-3, "cosine", 50, average=0.998),
        )

    def example(self, batch: int, seed: int) -> FocalStackSample:
        """Random stacks of 32x32 whose slices are smoothed the more, the farther they are from the focus."""
        generator = torch.Generator().manual_seed(seed)
        picture = torch.rand(batch, 1, 3, 32, 32, generator=generator)
        sharp = torch.linspace(0, 1, self.config.slices).view(1, -1, 1, 1, 1)
        at = torch.rand(batch, 1, 1, 1, 1, generator=generator)
        blur = 1 - (sharp - at).abs()
        stack = blur * picture + (1 - blur) * picture.mean((3, 4), keepdim=True)
        inverse = torch.lerp(torch.tensor(1 / self.config.near_m), torch.tensor(1 / self.config.far_m), 0.5 * at + 0.4)
        camera = Camera.from_fov(32, 32, 60.0)
        return FocalStackSample(
            stack,
            self.config.focus_m.expand(batch, -1),
            Camera(32, 32, camera.K.expand(batch, 3, 3)),
            (1 / inverse[:, 0]).expand(batch, 1, 32, 32),
        )


def squared_error(prediction: Tensor, truth: Tensor, valid: Tensor, reduction: Reduction) -> Tensor:
    """Squared error over valid pixels, summed (as published) or averaged per item: (B, 1, H, W) -> (B,)."""
    error = torch.where(valid, prediction - truth, 0).square().flatten(1).sum(1)
    return error if reduction == "sum" else error / valid.flatten(1).sum(1).clamp(min=1)


def _chain(channels: int, widths: list[int]) -> nn.Sequential:
    """3x3 convolutions without bias, each with batch norm and ReLU."""
    parts: list[nn.Module] = []
    for width in widths:
        parts += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, eps=1e-3), nn.ReLU(True)]
        channels = width
    return nn.Sequential(*parts)


def _up(channels: int, how: Upsampling) -> nn.Module:
    """Twice the size, as many channels; nothing follows the up-convolution. Unpooling has no layer of its own."""
    if how == "upconv":
        return nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False)
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False) if how == "bilinear" else nn.Identity()
