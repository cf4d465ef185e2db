"""The data sets that methods' stages ask for by name: how each is made from a folder, and what watches its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenewright.depth.augment import Augmentation
from scenewright.depth.data import RoomDepths, room_samples
from scenewright.depth.evaluate import method_predictor, score, score_focus, score_order
from scenewright.depth.protocols import CAP_M
from scenewright.depth.worlds_data import (
    FocalStacks,
    Lens,
    OrdinalPairs,
    PairAugmentation,
    StereoPairs,
    focal_samples,
    ordinal_samples,
    pair_samples,
)
from scenewright.errors import InputError
from scenewright.worlds.dataset import RoomFrames
from scenewright.worlds.stereo import PairFrames

Figures = Mapping[str, float]
Validate = Callable[[Any], Figures]
WATCHED = 96
"""Views or pairs of the validation split that are measured while a method trains."""
ROAD_CAP_M = 80.0


@dataclass(frozen=True)
class Source:
    """How the data of a name are made.

    Args:
        build: (folder, the method's config) -> a data set with `__len__`, `draw` and `record`.
        watch: the same -> what measures the method on the folder's validation split.
    """

    build: Callable[[Path, Any], Any]
    watch: Callable[[Path, Any], Validate]


def _depth_figures(samples: list[Any], cap_m: float) -> Validate:
    def validate(model: Any) -> Figures:
        scores = score({"": method_predictor(model)}, samples, cap_m)[""]
        return {
            "AbsRel": scores.raw["AbsRel"],
            "AbsRel_scaled": scores.scaled["AbsRel"],
            "delta1_scaled": scores.scaled["delta1"],
            "scale_spread": scores.scale_spread,
        }

    return validate


def _watch_rooms(folder: Path, config: Any) -> Validate:
    return _depth_figures(list(room_samples(RoomFrames(folder, "validation")))[:WATCHED], CAP_M)


def _watch_pairs(cap_m: float) -> Callable[[Path, Any], Validate]:
    return lambda folder, config: _depth_figures(list(pair_samples(PairFrames(folder, "validation"), WATCHED)), cap_m)


def _watch_order(folder: Path, config: Any) -> Validate:
    samples = list(ordinal_samples(RoomFrames(folder, "validation"), WATCHED))

    def validate(model: Any) -> Figures:
        found = score_order({"": method_predictor(model)}, samples)[""]
        return {name.replace(" ", "_"): value for name, value in found.items()}

    return validate


def _watch_focus(folder: Path, config: Any) -> Validate:
    samples = list(focal_samples(RoomFrames(folder, "validation"), config.input_size, _lens(config), WATCHED // 2))

    def validate(model: Any) -> Figures:
        found = score_focus({"": method_predictor(model)}, samples)[""]
        return {name: found[name] for name in ("MSE", "AbsRel", "badpix")}

    return validate


def _lens(config: Any) -> Lens:
    return Lens(config.slices, config.near_m, config.far_m, config.aperture_m)


def _rooms(folder: Path, config: Any) -> RoomDepths:
    return RoomDepths(RoomFrames(folder, "train"), Augmentation(config.input_size))


def _room_pairs(folder: Path, config: Any) -> StereoPairs:
    return StereoPairs(PairFrames(folder, "train"), PairAugmentation(config.input_size))


def _road_pairs(folder: Path, config: Any) -> StereoPairs:
    return StereoPairs(PairFrames(folder, "train"), PairAugmentation(config.input_size), "sparse")


def _ordinal(folder: Path, config: Any) -> OrdinalPairs:
    return OrdinalPairs(RoomFrames(folder, "train"), Augmentation(config.input_size))


def _focal(folder: Path, config: Any) -> FocalStacks:
    how = Augmentation(config.input_size, roll_deg=1.0, photometric=0.3)
    return FocalStacks(RoomFrames(folder, "train"), how, _lens(config))


SOURCES: dict[str, Source] = {
    "rooms": Source(_rooms, _watch_rooms),
    "stereo-rooms": Source(_room_pairs, _watch_pairs(CAP_M)),
    "roads": Source(_road_pairs, _watch_pairs(ROAD_CAP_M)),
    "ordinal-rooms": Source(_ordinal, _watch_order),
    "focal-rooms": Source(_focal, _watch_focus),
}
"""By the names that stages use. "rooms", "ordinal-rooms" and "focal-rooms" read the shards of `generate rooms`."""


def source_of(name: str, method: str) -> Source:
    """The source of a stage's data.

    Raises:
        InputError: a name that no world has: data that only their owners can give.
    """
    if name not in SOURCES:
        raise InputError(
            f"method {method}", f"a stage that reads {name!r}", f"a preset whose stages read {sorted(SOURCES)}"
        )
    return SOURCES[name]
