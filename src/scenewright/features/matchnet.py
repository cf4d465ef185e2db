"""MatchNet: "Unifying Feature and Metric Learning for Patch-Based Matching" (Han et al., CVPR 2015).

A tower turns each patch into a feature, once; a small fully connected network says of two features whether they show
the same point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenewright.engine.card import Card, Figure
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.errors import InputError
from scenewright.features.patches import cut
from scenewright.features.task import Features, Matches, PatchPairSample, check_image

SIDE = 64
_BLOCK = 4096  # pairs scored at a time


@dataclass(frozen=True)
class MatchNetConfig:
    """Size.

    Args:
        widths: channels of the five convolutions.
        shrink: average the 64x64 patch down by this factor first.
        bottleneck: length of the feature, 0 = the flattened map (4096 at full size).
        hidden: width of the two hidden layers of the metric network.
    """

    widths: tuple[int, int, int, int, int]
    shrink: int
    bottleneck: int
    hidden: int

    @classmethod
    def paper(cls) -> MatchNetConfig:
        """The released model: no bottleneck, F = 1024."""
        return cls((24, 64, 96, 96, 64), 1, 0, 1024)

    @classmethod
    def small(cls) -> MatchNetConfig:
        """Half as wide on 32x32, bottleneck 64, F = 128."""
        return cls((12, 32, 48, 48, 32), 2, 64, 128)


class MatchNet(Method[PatchPairSample]):
    """See the module's docstring. Its features have no metric: only `match` and `scores` may compare them."""

    Config = MatchNetConfig
    card: ClassVar[Card] = Card(
        name="matchnet",
        title="MatchNet: Unifying Feature and Metric Learning for Patch-Based Matching",
        authors="X. Han, T. Leung, Y. Jia, R. Sukthankar, A. C. Berg",
        venue="CVPR",
        year=2015,
        paper="doi:10.1109/CVPR.2015.7298948",
        task="features",
        inputs="two grey patches of 64x64 pixels",
        outputs="probability that both show the same point",
        paper_parameters=9_674_738,
        deviations=(
            "small: half as wide on patches averaged to 32x32, bottleneck 64",
            "small: AdamW with He initialisation; the paper's SGD 0.01 without momentum is the paper preset's",
            "fresh balanced pairs at every step instead of the paper's reservoir of earlier patches",
            "matching averages both orders of a pair, so it does not matter which image comes first",
        ),
        published=(
            Figure("FDR at 95 % recall", 0.0448, "Liberty -> Notredame, no bottleneck, authors' script",
                   "authors' README"),
        ),
        limits=(
            "small: describes other detectors' corners; whole pairs of photographs are placed better by SIFT's "
            "own descriptor",
        ),
        original_code="Caffe, evaluation only, BSD",
        scale="unknown",
    )  # fmt: skip

    def __init__(self, config: MatchNetConfig) -> None:
        super().__init__(config)
        kernels, layers = (7, 5, 3, 3, 3), []
        for index, (channels, out) in enumerate(pairwise((1, *config.widths))):
            layers += [nn.Conv2d(channels, out, kernels[index], padding=kernels[index] // 2), nn.ReLU(inplace=True)]
            if index in (0, 1, 4):
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        self.tower = nn.Sequential(*layers)
        flat = config.widths[-1] * (SIDE // config.shrink // 8) ** 2
        self.bottleneck = nn.Linear(flat, config.bottleneck) if config.bottleneck else None
        length = config.bottleneck or flat
        self.metric1 = nn.Linear(2 * length, config.hidden)
        self.metric2 = nn.Linear(config.hidden, config.hidden)
        self.metric3 = nn.Linear(config.hidden, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def features(self, patches: Tensor) -> Tensor:
        """(N, 1, 64, 64) grey in [0, 1] -> (N, D) float32, not negative; one pass per patch."""
        x = F.avg_pool2d(patches, self.config.shrink) if self.config.shrink > 1 else patches
        flat = self.tower((255 * x - 128) / 160).flatten(1)
        return (flat if self.bottleneck is None else F.relu(self.bottleneck(flat))).float()

    def logits(self, first: Tensor, second: Tensor) -> Tensor:
        """Features (N, D) of both patches -> (N, 2) float32; index 1 is "the same point"."""
        x = F.relu(self.metric1(torch.cat([first, second], 1)))
        return self.metric3(F.relu(self.metric2(x))).float()

    def loss(self, sample: PatchPairSample, stage: Stage) -> dict[str, Tensor]:
        """Term "pairs" (B,): cross-entropy (section 3.2)."""
        self._check(sample.first, sample.second)
        both = self.features(torch.cat([sample.first, sample.second]))
        values = F.cross_entropy(self.logits(*both.chunk(2)), sample.same.long(), reduction="none")
        return {"pairs": dict(stage.terms).get("pairs", 1.0) * values}

    @torch.inference_mode()
    def predict(self, first: Tensor, second: Tensor) -> Tensor:
        """(B,) probabilities that patches (B, 1, 64, 64) show the same points.

        Raises:
            InputError: wrong shape, type or range, or batches of different length.
        """
        self._check(first, second)
        with evaluating(self):
            return self.logits(self.features(first), self.features(second)).softmax(1)[:, 1]

    @torch.inference_mode()
    def describe(self, image: Tensor, features: Features) -> Features:
        """Keypoints of one image (1, 3, H, W) with the tower's features of the regions twice their radius."""
        patches = cut(check_image(image), features, SIDE, context=2.0)
        with evaluating(self):
            found = [self.features(block) for block in patches.split(256)]
        length = self.metric1.in_features // 2
        return replace(features, descriptors=torch.cat(found) if found else image.new_zeros(0, length))

    @torch.inference_mode()
    def scores(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, M) log odds of features (N, D) and (M, D), the mean over both orders.

        The first layer falls apart, W [a; b] = Wa a + Wb b: each half is computed once per patch (N + M, not N x M).
        """
        with evaluating(self):
            return (self._one_order(first, second) + self._one_order(second, first).T) / 2

    def _one_order(self, first: Tensor, second: Tensor) -> Tensor:
        Wa, Wb = self.metric1.weight.chunk(2, 1)
        a, b = first @ Wa.T, second @ Wb.T + self.metric1.bias
        rows = []
        for block in a.split(max(1, _BLOCK // max(len(b), 1))):
            hidden = F.relu(block[:, None] + b[None])
            logits = self.metric3(F.relu(self.metric2(hidden)))
            rows.append(logits[..., 1] - logits[..., 0])
        return torch.cat(rows) if rows else a.new_zeros(0, len(b))

    def match(self, first: Features, second: Features) -> Matches:
        """Pairs that prefer each other and are more likely the same point than not.

        Raises:
            InputError: features that this method did not describe.
        """
        length = self.metric1.in_features // 2
        for features in (first, second):
            if features.descriptors is None or features.descriptors.shape[1] != length:
                raise InputError("features", "descriptors of another method, or none", f"{length} numbers by MatchNet")
        assert first.descriptors is not None
        assert second.descriptors is not None
        table = self.scores(first.descriptors, second.descriptors)
        if table.numel() == 0:
            return Matches(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0))
        best, back = table.argmax(1), table.argmax(0)
        rows = torch.arange(len(table))
        value = table[rows, best]
        keep = (back[best] == rows) & (value > 0)
        return Matches(torch.stack([rows[keep], best[keep]], 1), value[keep].sigmoid())

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        """Pairs of patches, half of them matches."""
        if preset == "paper":
            return (Stage("pairs", 500_000, 32, "patch-pairs", "sgd", 0.01, "constant", momentum=0.0),)
        return (Stage("pairs", 18_000, 64, "patch-pairs", "adamw", 1e-3, "cosine", 200, weight_decay=1e-4,
                      average=0.999),)  # fmt: skip

    def example(self, batch: int, seed: int) -> PatchPairSample:
        """Noise; every other pair is the same noise twice."""
        g = torch.Generator().manual_seed(seed)
        first, other = (torch.rand(batch, 1, SIDE, SIDE, generator=g) for _ in range(2))
        same = torch.arange(batch) % 2 == 0
        second = torch.where(same[:, None, None, None], first, other)
        return PatchPairSample(first, second, same.float())

    def _check(self, first: Tensor, second: Tensor) -> None:
        for patch in (first, second):
            if patch.ndim != 4 or patch.shape[1:] != (1, SIDE, SIDE) or not patch.is_floating_point():
                raise InputError("patches", f"{tuple(patch.shape)} of {patch.dtype}", f"(B, 1, {SIDE}, {SIDE}) float")
            low, high = (float(v) for v in patch.detach().aminmax())
            if not (low >= -1e-3 and high <= 1 + 1e-3):
                raise InputError("patches", f"values from {low:.3g} to {high:.3g}", "grey in [0, 1]")
        if len(first) != len(second):
            raise InputError("patches", f"{len(first)} and {len(second)}", "as many first as second ones")
