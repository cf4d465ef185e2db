"""The table of methods: one dict, read lazily, open to other packages by an entry-point group."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from scenewright.errors import InputError

if TYPE_CHECKING:
    from scenewright.engine.method import Method

METHODS: dict[str, str] = {
    "ddff": "scenewright.depth.ddff:DDFF",
    "depth_classification": "scenewright.depth.depth_classification:DepthClassification",
    "depth_in_the_wild": "scenewright.depth.depth_in_the_wild:DepthInTheWild",
    "eigen": "scenewright.depth.eigen:Eigen",
    "fcrn": "scenewright.depth.fcrn:FCRN",
    "garg": "scenewright.depth.garg:Garg",
    "monodepth": "scenewright.depth.monodepth:Monodepth",
    "semi_supervised_depth": "scenewright.depth.semi_supervised_depth:SemiSupervisedDepth",
    "keypoint_pyramid": "scenewright.features.keypoint_pyramid:KeypointPyramid",
    "lift": "scenewright.features.lift:LIFT",
    "magicpoint": "scenewright.features.magicpoint:MagicPoint",
    "matchnet": "scenewright.features.matchnet:MatchNet",
    "magicwarp": "scenewright.features.magicwarp:MagicWarp",
    "ucn": "scenewright.features.ucn:UCN",
}
"""name -> "module:Class". The only list of methods; nothing registers itself on import."""

GROUP = "scenewright.methods"


def table() -> dict[str, str]:
    """All methods by name, those of other packages included; a name of ours cannot be taken over."""
    foreign = {point.name: point.value for point in entry_points(group=GROUP)}
    return {**foreign, **METHODS}


def method_class(name: str) -> type[Method[Any]]:
    """The class behind a name.

    Raises:
        InputError: no method of that name.
    """
    rows = table()
    if name not in rows:
        raise InputError("method", repr(name), f"one of {', '.join(sorted(rows))}")
    module, _, attribute = rows[name].partition(":")
    found: type[Method[Any]] = getattr(import_module(module), attribute)
    return found


def list_methods(task: str | None = None) -> list[str]:
    """Names in the table, sorted; with `task`, those whose card names it."""
    names = sorted(table())
    return names if task is None else [n for n in names if method_class(n).card.task == task]


def create(name: str, preset: str = "small", **overrides: Any) -> Method[Any]:
    """Build a method with fresh weights at a preset, fields of its Config overridden by name."""
    return method_class(name).from_preset(preset, **overrides)
