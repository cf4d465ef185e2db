"""Features by name: one that detects, one that describes, and how their descriptors are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scenewright.errors import InputError
from scenewright.features.baselines import Brief, Corners, Orb, Patches, Sift
from scenewright.features.matching import match
from scenewright.features.task import Describer, Detector, Features, Matcher, Matches
from scenewright.nn.inference import prepare

CLASSICAL: dict[str, Callable[[], Any]] = {
    "sift": Sift,
    "orb": Orb,
    "harris": lambda: Corners("harris"),
    "shi-tomasi": lambda: Corners("shi-tomasi"),
    "fast": lambda: Corners("fast"),
    "patches": Patches,
    "brief": Brief,
}
RATIO = {"orb": 0.9, "brief": 0.9, "lift": 0.9}
"""Lowe's ratio by describer; 0.85 otherwise."""
_PARTNER = "sift"
"""Detects for what only describes, and describes for what only detects."""


@dataclass(frozen=True)
class Extractor:
    """A detector, a describer and a way of matching.

    Args:
        name: as asked for.
        detector, describer: may be the same object.
        matcher: compares descriptors in its own way; None = nearest neighbours with ratio and mutual test.
        ratio: of the nearest to the second nearest.
    """

    name: str
    detector: Detector
    describer: Describer
    matcher: Matcher | None
    ratio: float

    def features(self, image: Tensor, count: int = 1000) -> Features:
        """At most `count` described keypoints of one image (1, 3, H, W) RGB in [0, 1]."""
        return self.describer.describe(image, self.detector.detect(image, count))

    def match(self, first: Features, second: Features) -> Matches:
        """Matches of two images' features."""
        if self.matcher is not None:
            return self.matcher.match(first, second)
        return match(first, second, self.ratio)


def extractor(name: str) -> Extractor:
    """Features by name.

    Args:
        name: "sift", "orb", "lift", ...; a detector and a describer as "magicpoint+ucn"; learned ones by the name, or
            the folder, of their weights. What only detects is described by SIFT, and the other way round.

    Raises:
        InputError: an unknown name, no weights, or a part that cannot play its role.
    """
    first, _, second = name.partition("+")
    a = _part(first)
    b = _part(second) if second else (a if isinstance(a, Describer) else _part(_PARTNER))
    detector = a if isinstance(a, Detector) else (_part(_PARTNER) if not second else None)
    if detector is None or not isinstance(b, Describer):
        raise InputError("features", repr(name), "DETECTOR+DESCRIBER, such as magicpoint+sift")
    describer_name = second or (first if isinstance(a, Describer) else _PARTNER)
    matcher = b if isinstance(b, Matcher) else None
    return Extractor(name, detector, b, matcher, RATIO.get(describer_name, 0.85))


def _part(name: str) -> Any:
    if name in CLASSICAL:
        return CLASSICAL[name]()
    from scenewright.engine.table import list_methods
    from scenewright.engine.weights import load

    try:
        method = load(name)
    except InputError as error:
        known = ", ".join([*CLASSICAL, *list_methods("features")])
        raise InputError("features", f"{name!r} ({error.found})", f"one of {known}, or a folder of weights") from None
    if not isinstance(method, Detector | Describer):
        raise InputError("features", f"{name!r}, a method for {method.card.task}", "one that detects or describes")
    prepare(method.eval(), lambda: _use(method))
    return method


def _use(method: Any) -> None:
    """Let it do all it can on a picture of noise, which has points everywhere."""
    image = torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    found = method.detect(image, 16) if isinstance(method, Detector) else CLASSICAL["fast"]().detect(image, 16)
    if isinstance(method, Describer):
        method.describe(image, found)
