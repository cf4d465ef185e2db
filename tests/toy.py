"""A tiny method and its data, for tests of what carries every method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from scenewright.data.sample import Sample, collate
from scenewright.engine.card import Card
from scenewright.engine.method import Method, Stage
from scenewright.engine.sampling import generator
from scenewright.errors import InputError


@dataclass(frozen=True)
class ToySample(Sample):
    """image (3, 8, 8) in [0, 1] and its mean brightness, (1,)."""

    image: Tensor
    brightness: Tensor


class Squares:
    """Random pictures, drawn with the generator that training hands in."""

    record: ClassVar[dict[str, object]] = {"description": "noise squares", "seed": 0, "licences": ["CC0-1.0"]}

    def __init__(self, items: int) -> None:
        self.items = items

    def __len__(self) -> int:
        return self.items

    def draw(self, index: int, random: torch.Generator) -> ToySample:
        image = torch.rand(3, 8, 8, generator=generator("item", index)) * torch.rand(1, generator=random)
        return ToySample(image, image.mean().reshape(1))


class Toy(Method[ToySample]):
    """Predicts the mean brightness of a picture; two stages, the second with a frozen trunk and an average."""

    card = Card(
        name="toy",
        title="Toy",
        authors="nobody",
        venue="tests",
        year=2020,
        paper="none",
        task="depth",
        inputs="a picture",
        outputs="its brightness",
        paper_parameters=657,
        deviations=(),
        published=(),
        limits=(),
        original_code="none",
    )

    @dataclass(frozen=True)
    class Config:
        width: int = 8
        norm: bool = True
        dropout: float = 0.1

        @classmethod
        def paper(cls) -> Toy.Config:
            return cls(width=16)

        @classmethod
        def small(cls) -> Toy.Config:
            return cls()

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        norm = nn.BatchNorm2d(config.width) if config.norm else nn.Identity()
        self.trunk = nn.Sequential(nn.Conv2d(3, config.width, 3, padding=1), norm, nn.ReLU())
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, 1)

    def forward(self, image: Tensor) -> Tensor:
        if image.ndim != 4 or image.shape[1] != 3:
            raise InputError("image", tuple(image.shape), "(B, 3, H, W)")
        return self.head(self.drop(self.trunk(image).mean((2, 3))))

    def predict(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            return self.forward(image)

    def loss(self, sample: ToySample, stage: Stage) -> dict[str, Tensor]:
        error = (self(sample.image).float() - sample.brightness).squeeze(1)
        return {"square": error.square(), "absolute": 0.1 * error.abs()}

    @classmethod
    def stages(cls, preset: str) -> tuple[Stage, ...]:
        whole = Stage("whole", 12, 4, "squares", lr=1e-2, warmup=2, weight_decay=0.01, gradient_clip=1.0)
        head = Stage(
            "head",
            12,
            4,
            "squares",
            "sgd",
            1e-2,
            "plateau",
            lr_scale=(("trunk.", 0.0), ("head.bias", 2.0)),
            average=0.9,
        )
        return (whole, head)

    def example(self, batch: int, seed: int) -> ToySample:
        data = Squares(batch)
        return collate([data.draw(i, generator(seed, i)) for i in range(batch)])
