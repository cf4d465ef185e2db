"""The data sets that methods' stages ask for by name: how each is made from a folder, and what watches its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from scenewright.data.assets import photos_path
from scenewright.data.sample import collate
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
from scenewright.features.data import (
    HomographicPairs,
    PatchPairs,
    Pictures,
    PointSets,
    ShapePoints,
    joined,
    photo_pictures,
    room_pictures,
)
from scenewright.features.room_pairs import RoomPairs
from scenewright.features.stable_points import KeypointPatches, LiftPatches
from scenewright.features.surviving_corners import SurvivingCorners
from scenewright.pipelines.data_sources import FOCUS_SIZE
from scenewright.worlds.dataset import RoomFrames
from scenewright.worlds.stereo import PairFrames
from scenewright.worlds.wide import WideFrames

Figures = Mapping[str, float]
Validate = Callable[[Any], Figures]
WATCHED = 96
"""Views or pairs of the validation split that are measured while a method trains."""
ROAD_CAP_M = 80.0
WATCHED_ITEMS = 128
"""Items of features data on which a method's own objective is watched."""


@dataclass(frozen=True)
class Source:
    """How the data of a name are made.

    Args:
        build: (folder, the method's config) -> a data set with `__len__`, `draw` and `record`.
        watch: the same -> what measures the method on the folder's validation split.
        drawn: the data are drawn when asked for, and the folder is not read.
    """

    build: Callable[[Path, Any], Any]
    watch: Callable[[Path, Any], Validate]
    drawn: bool = False


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
    samples = list(focal_samples(RoomFrames(folder, "validation"), FOCUS_SIZE, _lens(config), WATCHED // 2))

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
    return FocalStacks(RoomFrames(folder, "train"), how, _lens(config), config.focal_px)


def _pictures(folder: Path, split: str) -> Pictures:
    """Rendered rooms of a split; for training, each fourth is a photograph of those that come with the project."""
    rooms = room_pictures(folder, split)
    return joined([photo_pictures(photos_path()), rooms], (0, 1, 1, 1)) if split == "train" else rooms


def _of_pictures(make: Callable[[Pictures], Any]) -> Source:
    """A features data set cut from pictures of rooms and photographs."""
    return _watched_by_objective(lambda folder, config, split: make(_pictures(folder, split)))


def _watched_by_objective(make: Callable[[Path, Any, str], Any]) -> Source:
    """A data set on whose validation items the objectives of the method's stages are watched."""

    def watch(folder: Path, config: Any) -> Validate:
        items = make(folder, config, "validation")
        drawn = [items.draw(k, torch.Generator().manual_seed(_WATCH_SEED + k)) for k in range(WATCHED_ITEMS)]
        batches = [collate(drawn[k : k + 16]) for k in range(0, WATCHED_ITEMS, 16)]
        return lambda model: _objectives(model, batches)

    return Source(lambda folder, config: make(folder, config, "train"), watch)


_WATCH_SEED = 1 << 40  # training's seeds stay far below


def _objectives(model: Any, batches: list[Any]) -> Figures:
    figures = {}
    with torch.inference_mode():
        for stage in model.own_stages("small"):
            terms = [sum(model.loss(batch, stage).values()) for batch in batches]
            figures[f"objective_{stage.name}"] = float(torch.stack([t.mean() for t in terms]).mean())
    return figures


SOURCES: dict[str, Source] = {
    "rooms": Source(_rooms, _watch_rooms),
    "stereo-rooms": Source(_room_pairs, _watch_pairs(CAP_M)),
    "roads": Source(_road_pairs, _watch_pairs(ROAD_CAP_M)),
    "ordinal-rooms": Source(_ordinal, _watch_order),
    "focal-rooms": Source(_focal, _watch_focus),
    "shapes": replace(_watched_by_objective(lambda folder, config, split: ShapePoints()), drawn=True),
    "point-sets": replace(_watched_by_objective(lambda folder, config, split: PointSets()), drawn=True),
    "patch-pairs": _of_pictures(PatchPairs),
    "photo-homographies": replace(
        _watched_by_objective(lambda folder, config, split: HomographicPairs(photo_pictures(photos_path()))), drawn=True
    ),
    "wide-correspondences": _watched_by_objective(lambda f, config, split: RoomPairs(WideFrames(f, split))),
    "keypoint-patches": _of_pictures(KeypointPatches),
    "lift-patches": _of_pictures(LiftPatches),
    "surviving-corners": _of_pictures(SurvivingCorners),
}
"""By the names that stages use. Stereo, wide and road pairs have worlds of their own; shapes and point sets are drawn
when asked for and read no folder; all others read the shards of `generate rooms`."""


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
