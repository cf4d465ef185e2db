"""Features measured by protocol, as a user does it: rows, stored results, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import feature_sets as sets
from scenewright.cli.main import main
from scenewright.engine.scoreboard import read
from scenewright.engine.weights import save
from scenewright.errors import InputError
from scenewright.features import real_sets
from scenewright.features.keypoint_pyramid import KeypointPyramid
from scenewright.features.lift import LIFT
from scenewright.features.magicpoint import MagicPoint
from scenewright.features.magicwarp import MagicWarp
from scenewright.features.matchnet import MatchNet
from scenewright.features.turned_pairs import turned_pairs
from scenewright.pipelines import score_features as sf
from scenewright.worlds.wide import render_wide_rooms


@pytest.fixture
def untrained(tmp_path: Path) -> dict[str, str]:
    torch.manual_seed(0)
    classes = {"magicpoint": MagicPoint, "magicwarp": MagicWarp, "matchnet": MatchNet, "lift": LIFT,
               "keypoint_pyramid": KeypointPyramid}  # fmt: skip
    return {name: str(save(c.from_preset("small"), tmp_path / name, training={})) for name, c in classes.items()}


def test_point_sets_and_their_stored_result(
    untrained: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sf.ev.warp_figures
    monkeypatch.setattr(sf.ev, "warp_figures", lambda warp, count, seed: original(warp, 12, seed))
    folder = tmp_path / "results"
    assert main(["eval", untrained["magicwarp"], "--data", "none", "--protocol", "point-sets",
                 "--results", str(folder)]) == 0  # fmt: skip
    table = capsys.readouterr().out
    assert "identity" in table
    own = read(folder / "features/point-sets/magicwarp.json")
    still = read(folder / "features/point-sets/identity.json")
    assert own.figures == pytest.approx(dict(still.figures), abs=1e-3)  # an untrained one answers "nothing moved"
    assert still.baseline
    assert not own.baseline
    assert len(own.weights_sha256) == 64


def test_patches_of_every_method_that_describes_them(
    untrained: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sf.ev.patch_pairs
    monkeypatch.setattr(sf.ev, "patch_pairs", lambda pictures, count, seed: original(pictures, 60, seed))
    photos = sf.held_out(None)
    monkeypatch.setattr(sf, "held_out", lambda rooms: photos)
    names = [untrained[n] for n in ("matchnet", "lift", "keypoint_pyramid")]
    rows = sf.score_features("patches", names, "rooms")
    assert set(rows) == {*names, "raw-patches", "sift"}
    assert all(0 <= figures["FPR95"] <= 1 for figures in rows.values())


def test_shapes_of_detectors(untrained: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = sf.ev.shape_figures
    monkeypatch.setattr(sf.ev, "shape_figures", lambda d, count, seed: original(d, 9, seed))
    rows = sf.score_features("shapes", [untrained["magicpoint"]])
    assert {"harris", "shi-tomasi", "fast", "sift"} < set(rows)
    assert rows["harris"]["AP clean"] > 0.05


def test_real_pairs(real_data: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = real_data("mvs_strecha_fountain").parent  # type: ignore[operator]
    monkeypatch.setattr(sf, "_REAL_ROWS", ("harris+brief",))
    monkeypatch.setattr(real_sets, "PAIRS", 3)
    monkeypatch.setattr(real_sets, "SETS", dict.fromkeys(real_sets.SETS, "mvs_strecha_fountain"))
    rows = sf.score_features("real-pairs", ["sift"], str(root), tmp_path)
    assert rows["sift"]["AUC@10"] > 0.7
    assert rows["sift"]["graf error"] < 10
    assert 0 <= rows["harris+brief"]["AUC@10"] <= 1
    assert read(tmp_path / "features/real-pairs/harris-brief.json").baseline


def test_rows_may_have_names_of_their_own(
    untrained: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = sf.held_out(None)
    monkeypatch.setattr(sf, "held_out", lambda rooms: photos)
    monkeypatch.setattr(sf, "turned_pairs", lambda pictures, count, seed: turned_pairs(pictures, 2, seed))
    point, warp = untrained["magicpoint"], untrained["keypoint_pyramid"]
    names = [f"other-point={point}", f"{point}+{warp}"]
    rows = sf.score_features("turned-photographs", names, "rooms", tmp_path)
    assert set(rows) == {"other-point", f"{point}+{warp}", "sift", "orb", "harris", "fast"}
    both = read(tmp_path / "features/turned-photographs/magicpoint-keypoint_pyramid.json")
    one = read(tmp_path / "features/turned-photographs/other-point.json")
    assert not both.baseline
    assert not one.baseline
    assert len({both.weights_sha256, one.weights_sha256}) == 2
    assert rows["sift"]["scale within 1.41"] > 0.5


@pytest.mark.parametrize(
    ("method", "protocol", "data"),
    [("magicwarp", "patches", "rooms-that-are-not-there"), ("magicpoint", "point-sets", "none"),
     ("magicwarp", "shapes", "none"), ("matchnet", "patches", "none")],
)  # fmt: skip
def test_what_cannot_be_measured_is_one_clear_error(
    untrained: dict[str, str], method: str, protocol: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", untrained[method], "--data", data, "--protocol", protocol]) == 2
    assert "expected" in capsys.readouterr().err


PCK = {"PCK@8", "PCK@16", "PCK@8 weak"}


def test_places_of_wide_rooms(tmp_path: Path) -> None:
    render_wide_rooms(tmp_path / "test-00000004.wide", [4], "test", 2, (160, 120))
    rows = sf.score_features("room-pairs-pck", [], str(tmp_path))
    assert set(rows) == {"sift", "patches", "same-place"}
    assert all(set(figures) == PCK for figures in rows.values())
    assert rows["sift"]["PCK@8"] > rows["same-place"]["PCK@8"]
    with pytest.raises(InputError, match="no views of split 'test'"):
        sf.score_features("room-pairs-pck", [], str(tmp_path / "nothing"))


def test_places_of_a_sequence(tmp_path: Path) -> None:
    rows = sf.score_features("sequence-pck", [], str(sets.sliding_clip(tmp_path, 4)))
    assert rows["same-place"] == {"PCK@8": 1.0, "PCK@16": 1.0, "PCK@8 weak": 1.0}  # one frame moves by 8 pixels
    assert rows["sift"]["PCK@8"] > 0.8


@pytest.mark.parametrize("prefix", ["", "phototour:", "reader:"])
def test_patches_of_photo_tour(untrained: dict[str, str], prefix: str, tmp_path: Path) -> None:
    sets.photo_tour(tmp_path / "liberty", 60, 40)
    names = [untrained["matchnet"]] if prefix else []
    rows = sf.score_features("phototour", names, f"{prefix}{tmp_path / 'liberty'}", tmp_path / "results")
    assert set(rows) == {*names, "raw-patches", "sift"}
    assert rows["raw-patches"]["FPR95"] == 0  # the second view is the first with noise
    stored = read(tmp_path / "results/features/phototour/sift.json")
    assert stored.data["items"] == 40


def test_planes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets.hpatches(tmp_path)
    assert main(["eval", "sift", "--data", f"reader:{tmp_path}", "--protocol", "hpatches"]) == 0
    table = capsys.readouterr().out
    assert table.split()[:2] == ["matching", "score"]
    rows = sf.score_features("hpatches", ["sift"], str(tmp_path))
    assert set(rows) == {"sift", "orb", "harris", "fast"}
    assert {f"{name}@{t}" for name in ("MMA", "H accuracy") for t in (1, 3, 5)} < set(rows["sift"])
    assert rows["sift"]["H accuracy@3"] == 1
    sets.photo_tour(tmp_path / "patches")
    with pytest.raises(InputError, match="HPatches"):
        sf.score_features("hpatches", [], f"reader:{tmp_path / 'patches'}")
    with pytest.raises(InputError, match="nothing"):
        sf.score_features("hpatches", [])
