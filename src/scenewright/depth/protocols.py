"""The frozen ways in which depth methods are measured here. A changed word changes the hash: then measure again.

A `Measure` is a protocol with the numbers that carry it out; the protocol's words are made from these, so that what is
written and what is done cannot part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scenewright.engine.scoreboard import Metric, Protocol

METRICS = (
    Metric("AbsRel scaled"),
    Metric("delta1 scaled", better="higher"),
    Metric("within10 scaled", better="higher"),
    Metric("AbsRel"),
    Metric("delta1", better="higher"),
    Metric("RMSE", "m"),
)
SEVEN = (
    Metric("AbsRel"),
    Metric("SqRel", "m"),
    Metric("RMSE", "m"),
    Metric("RMSElog"),
    Metric("delta1", better="higher"),
    Metric("delta2", better="higher"),
    Metric("delta3", better="higher"),
    Metric("SILog"),
)
"""The seven standard figures of the field, and the scale-invariant one."""
SAXENA = (Metric("AbsRel"), Metric("log10"), Metric("RMSE", "m"))
FOCUS = (
    Metric("MSE", "px^2", digits=5),
    Metric("RMS", "px", digits=4),
    Metric("logRMS"),
    Metric("AbsRel"),
    Metric("SqRel", "px", digits=4),
    Metric("delta1", better="higher"),
    Metric("delta2", better="higher"),
    Metric("delta3", better="higher"),
    Metric("badpix"),
    Metric("bumpiness", digits=2),
)
BORDERS = (
    Metric("AbsRel at borders scaled"),
    Metric("AbsRel at borders"),
    Metric("AbsRel scaled"),
    Metric("AbsRel"),
)
CONFIDENCE = (
    Metric("ECE"),
    Metric("AbsRel surest quarter"),
    Metric("AbsRel least sure quarter"),
    Metric("surest / least sure"),
)
RELATIONS = (Metric("WKDR"), Metric("WKDR_eq"), Metric("WKDR_neq"))
ORDINAL = (Metric("WHDR"), Metric("WHDR same row"), Metric("WHDR other rows"))
CAP_M = 10.0
_NOTES = "Means over images of per-image figures; 'scaled' columns after one factor per image."
_SCALING = {"none": "none", "median": "median per image", "both": "none, and median per image"}


@dataclass(frozen=True)
class Measure:
    """A protocol and how it is carried out.

    Args:
        protocol: what the results are stored with.
        kind: "depth", "borders" (depth where objects end), "confidence", "ordinal", "relations" (ordinal, where pairs
            may be equally far) or "focus".
        crop: a name in `crops.CROPS`.
        cap_m: truth from there on does not count, predictions are clamped to it.
        scaling: "none", "median", or "both": then figures after it are called "... scaled".
        pooled: over all pixels of all images, instead of the mean over images of each image's figure.
        every: use each n-th item of the source.
        items: how many items the protocol has; None where its words say so by what they name.
        options: of the reader.
        constant_m: the depth that the baseline "constant" says everywhere.
    """

    protocol: Protocol
    kind: str = "depth"
    crop: str = "none"
    cap_m: float = CAP_M
    scaling: str = "both"
    pooled: bool = False
    every: int = 1
    items: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    constant_m: float = 2.2


def _measure(
    name: str,
    dataset: str,
    split: str,
    metrics: tuple[Metric, ...] = METRICS,
    notes: str = _NOTES,
    *,
    kind: str = "depth",
    crop: str = "none",
    cap_m: float = CAP_M,
    scaling: str = "both",
    **how: Any,
) -> Measure:
    cap = f"{cap_m:g} m" if math.isfinite(cap_m) else "none"
    protocol = Protocol(name, "depth", dataset, split, crop, cap, _SCALING[scaling], "none", metrics, notes)
    return Measure(protocol, kind, crop, cap_m, scaling, **how)


_AT_BORDERS = (
    "Means over images. At borders: pixels within 3 px of a jump of true depth by 15 % or more between neighbours, by "
    "the image's one factor where scaled; an image without such a jump does not count there."
)
_MEAN = "Means over images of per-image figures."
_POOLED = "Pooled over all pixels of all images, one root in the end."
_STANDARD = {"none": ("", "no scaling"), "median": ("-median", "after median scaling")}


def _nyu(scaling: str) -> Measure:
    return _measure(
        "nyu-eigen" + _STANDARD[scaling][0], "NYU Depth v2, labelled, filled depth", "the official 654 of testing",
        SEVEN + (Metric("log10"),), _MEAN, crop="nyu-eigen", cap_m=10.0, scaling=scaling, items=654,
        options={"split": "test"},
    )  # fmt: skip


def _kitti(crop: str, cap_m: float, scaling: str) -> Measure:
    name = f"kitti-eigen-{crop.removeprefix('kitti-')}-{cap_m:g}{_STANDARD[scaling][0]}"
    notes = f"{_MEAN} Truth: the laser's forward coordinate, projected with the day's calibration, nearest point."
    return _measure(
        name, "KITTI raw", "Eigen's 697 of testing", SEVEN, notes, crop=crop, cap_m=cap_m, scaling=scaling, items=697,
        options={"depth": "lidar-x"}, constant_m=10.0,
    )  # fmt: skip


def _make3d(name: str, cap_m: float, crop: str = "none") -> Measure:
    notes = f"{_MEAN} Laser grid 55 x 305 by nearest, photograph and prediction at 460 x 345."
    return _measure(
        name, "Make3D", "the official 134 of testing", SAXENA, notes, crop=crop, cap_m=cap_m, scaling="none",
        items=134, options={"split": "test"}, constant_m=10.0,
    )  # fmt: skip


_HERE = (
    _measure("rooms-test", "synthetic rooms", "64 rooms of unseen seeds, furniture and textures, 4 views each"),
    _measure("stereo-rooms-test", "stereo rigs in synthetic rooms", "13 rooms of unseen seeds, 8 pairs each"),
    _measure(
        "roads-test", "synthetic streets", "13 streets of unseen seeds, 8 pairs each", cap_m=80.0, constant_m=12.0
    ),
    _measure(
        "ordinal-rooms-test",
        "pairs of points in synthetic rooms",
        "as rooms-test, 50 pairs in each view",
        ORDINAL,
        "Share of pairs in the wrong order, a tie being wrong. Half of the pairs lie on one row, symmetric about the "
        "middle; depths whose ratio is at most 1.02 do not count.",
        kind="ordinal",
        cap_m=math.inf,
        scaling="none",
    ),
    _measure(
        "focal-rooms-test",
        "focal stacks of synthetic rooms",
        "as rooms-test, 10 slices of 96x72 from 0.8 to 8 m through a lens of 10 cm",
        FOCUS,
        "Means over stacks; on disparity = 0.14125 / depth where the truth lies in 0.5 to 7 m; shares, not percent.",
        kind="focus",
        cap_m=math.inf,
        scaling="none",
    ),
    _measure(
        "rooms-borders", "synthetic rooms, at the borders of objects", "as rooms-test", BORDERS, _AT_BORDERS,
        kind="borders",
    ),
    _measure(
        "stereo-rooms-borders", "stereo rigs in synthetic rooms, at the borders of objects", "as stereo-rooms-test",
        BORDERS, _AT_BORDERS, kind="borders",
    ),
    _measure(
        "rooms-confidence", "synthetic rooms", "as rooms-test", CONFIDENCE,
        "ECE: expected calibration error over 15 bins of what the network claims of its likeliest depth, pooled over "
        "the pixels of all images at the network's size. Quarters: of all pixels, by the confidence of the prediction.",
        kind="confidence", scaling="none",
    ),
    _measure(
        "redkitchen", "7-Scenes RedKitchen, 700 frames at 320x240, its own intrinsics", "every 20th frame", every=20
    ),
    _measure("demo-clip", "the embedded demo clip, 130 frames at 360x240", "every 5th frame", every=5),
    _measure("tum-desk", "TUM RGB-D fr1/desk, 9 frames, undistorted", "all frames"),
    _measure("rgbd-singles", "SUN RGB-D, single photos at 640x480, 525 pixels assumed", "all photos with depth"),
    _measure(
        "kitti-highway",
        "KITTI raw 2011_09_26, motorway, 50 frames at 621x187, single laser scans",
        "every 5th frame",
        crop="garg",
        cap_m=80.0,
        every=5,
        constant_m=10.0,
    ),
    _measure("stereo-middlebury", "Middlebury 2014 Motorcycle at 741x500", "the left picture", items=1),
    _measure(
        "stereo-middlebury-order",
        "Middlebury: Aloe at 641x555, Motorcycle at 741x500",
        "both left pictures",
        ORDINAL,
        "Share of pairs in the wrong order, a tie being wrong. 2000 random pairs per picture whose disparities differ "
        "by 5 % or more, half of them on one row, drawn with seed 0.",
        kind="ordinal",
        cap_m=math.inf,
        scaling="none",
        items=2,
    ),
)  # fmt: skip
_FIELD = (
    *(_nyu(scaling) for scaling in _STANDARD),
    _measure(
        "nyu-fcrn-official", "NYU Depth v2, labelled, filled depth", "the official 654 of testing",
        (Metric("AbsRel"), Metric("RMSE", "m"), Metric("log10"), *SEVEN[4:7]),
        f"{_POOLED} Prediction stretched to the whole 640x480.",
        cap_m=math.inf, scaling="none", pooled=True, items=654, options={"split": "test"},
    ),
    *(_kitti(crop, cap, scaling) for crop in ("garg", "kitti-eigen") for cap in (80.0, 50.0) for scaling in _STANDARD),
    _make3d("make3d-c1", 70.0),
    _make3d("make3d-c2", math.inf),
    _make3d("make3d-c1-centre", 70.0, "centre-2x1"),
    _measure(
        "diw-wkdr", "Depth in the Wild", "its test list", ORDINAL,
        "Share of pairs in the wrong order, a tie being wrong (WKDR at threshold 0); read at the original size.",
        kind="ordinal", cap_m=math.inf, scaling="none",
    ),
    _measure(
        "nyu-wkdr", "NYU Depth v2, pairs of points of Chen et al.", "the official 654 of testing", RELATIONS,
        "Wrong share of an image's pairs, of its equal (eq) and its other pairs (neq), then means over images. With z "
        "the map before any scale is given to it, larger being farther, A is said to be farther where z_A - z_B > t, "
        "nearer where it is < -t, else equal. t of 0.11, 0.12 ... 1.50 makes the larger of WKDR_eq and WKDR_neq least "
        "on validation images, which are shown whole, and is then kept. Test pictures lose rows and columns 1 to 9 and "
        "the last 10, are stretched to the network's size, the map is stretched back, its border repeated outwards "
        "and read at the original size.",
        kind="relations", cap_m=math.inf, scaling="none", items=654,
    ),
    _measure(
        "ddff-12scene", "DDFF 12-Scene", "validation stacks, whole", FOCUS,
        "Means over stacks; on disparity = 0.14125 / depth where the truth lies in 0.0202 to 0.2825 px; shares, not "
        "percent.",
        kind="focus", cap_m=math.inf, scaling="none", options={"split": "val"},
    ),
)  # fmt: skip
MEASURES: dict[str, Measure] = {m.protocol.name: m for m in (*_HERE, *_FIELD)}
"""By name. Those of `_FIELD` are the field's own; their data are brought by the user."""

PROTOCOLS: dict[str, Protocol] = {name: m.protocol for name, m in MEASURES.items()}
"""By name. Real sets were never trained on; only rooms of the validation split and tum-desk may choose checkpoints."""

STRIDE = {name: m.every for name, m in MEASURES.items()}
"""Each protocol uses every n-th item of its source."""


def unnamed(kind: str, every: int) -> Measure:
    """How data are measured that no protocol is named for: the whole picture up to 80 m. Cannot be stored."""
    return _measure("unnamed", "any", f"every {every}", kind=kind, cap_m=80.0 if kind == "depth" else math.inf)
