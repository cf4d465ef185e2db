"""The frozen protocols: words that agree with numbers, hashes that are kept, figures that nobody can mix up."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from scenewright.depth.crops import CROPS
from scenewright.depth.evaluate import Scores
from scenewright.depth.metrics import TERMS
from scenewright.depth.protocols import MEASURES, PROTOCOLS, STRIDE, unnamed
from scenewright.engine import scoreboard
from scenewright.errors import InputError

FROZEN = {
    "rooms-test": "AbsRel scaled",
    "nyu-eigen": "AbsRel",
    "nyu-fcrn-official": "AbsRel",
    "kitti-eigen-garg-80": "AbsRel",
    "kitti-eigen-garg-50-median": "AbsRel",
    "kitti-eigen-eigen-80": "AbsRel",
    "make3d-c1": "AbsRel",
    "make3d-c2": "AbsRel",
    "diw-wkdr": "WHDR",
    "nyu-wkdr": "WKDR",
    "ddff-12scene": "MSE",
    "stereo-middlebury": "AbsRel scaled",
    "kitti-highway": "AbsRel scaled",
}


def test_those_of_the_field_are_there_and_rank_by_their_own_figure() -> None:
    assert {name: PROTOCOLS[name].metrics[0].name for name in FROZEN} == FROZEN


def test_words_and_numbers_agree() -> None:
    for name, how in MEASURES.items():
        assert name == how.protocol.name
        assert how.crop in CROPS
        assert how.protocol.crop == how.crop
        assert how.protocol.cap == (f"{how.cap_m:g} m" if math.isfinite(how.cap_m) else "none")
        assert ("median" in how.protocol.scaling) == (how.scaling != "none")
        assert how.pooled == ("Pooled" in how.protocol.notes)
        assert how.every == STRIDE[name]


def test_every_difference_that_matters_is_in_the_hash() -> None:
    assert len({how.protocol.hash for how in MEASURES.values()}) == len(MEASURES)


def test_every_figure_of_a_depth_protocol_is_one_that_is_computed() -> None:
    computed = {*TERMS, "SILog"}
    for how in MEASURES.values():
        if how.kind == "depth":
            names = {m.name for m in how.protocol.metrics}
            assert {n.removesuffix(" scaled") for n in names} <= computed
            assert how.scaling == "both" or not any(n.endswith("scaled") for n in names)


def test_stored_results_still_follow_their_protocol() -> None:
    """A changed word would make every stored figure one of another protocol."""
    for path in (Path(__file__).parents[2] / "results" / "depth").glob("*/*.json"):
        stored = scoreboard.read(path)
        assert stored.protocol_hash == PROTOCOLS[stored.protocol.name].hash


def result(method: str, protocol: str, value: float) -> scoreboard.Result:
    p = PROTOCOLS[protocol]
    return scoreboard.measured(p, method, {m.name: value for m in p.metrics})


def test_results_of_two_crops_or_caps_cannot_be_compared(tmp_path: Path) -> None:
    first = result("a", "kitti-eigen-garg-80", 0.1)
    for other in ("kitti-eigen-garg-50", "kitti-eigen-eigen-80", "kitti-eigen-garg-80-median"):
        with pytest.raises(InputError, match="protocol"):
            scoreboard.better(first, result("b", other, 0.2))
        with pytest.raises(InputError, match="protocol"):
            scoreboard.table([first, result("b", other, 0.2)])
    changed = dataclasses.replace(PROTOCOLS["kitti-eigen-garg-80"], cap="79 m")
    scoreboard.store(first, tmp_path)
    with pytest.raises(InputError, match="protocol"):
        scoreboard.store(scoreboard.measured(changed, "b", {m.name: 0.1 for m in changed.metrics}), tmp_path)


def test_a_result_without_its_protocols_hash_cannot_be(tmp_path: Path) -> None:
    good = result("a", "make3d-c1", 0.1)
    for wrong in ("", "0" * 12):
        with pytest.raises(InputError, match="hash"):
            dataclasses.replace(good, protocol_hash=wrong)


def test_what_has_no_protocol_says_so() -> None:
    assert unnamed("depth", 3).protocol.name not in PROTOCOLS
    assert unnamed("focus", 1).kind == "focus"


def test_scale_spread_is_that_of_the_logs() -> None:
    import numpy as np

    scores = Scores({}, {}, [], np.array([1.0, 1.0]), np.array([np.e, 1 / np.e]))
    assert scores.scale_spread == pytest.approx(1)


def test_depth_and_disparity_of_focal_stacks_are_converted_alike() -> None:
    from scenewright.data import ddff
    from scenewright.depth import focus

    assert focus.METRE_PIXELS == ddff.METRE_PIXELS
    assert pytest.approx(0.5) == ddff.METRE_PIXELS / ddff.NEAR_DISP_PX
