"""Features measured by protocol, as a user does it: rows, stored results, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenewright.cli.main import main
from scenewright.engine.scoreboard import read
from scenewright.engine.weights import save
from scenewright.features.keypoint_pyramid import KeypointPyramid
from scenewright.features.lift import LIFT
from scenewright.features.magicpoint import MagicPoint
from scenewright.features.magicwarp import MagicWarp
from scenewright.features.matchnet import MatchNet
from scenewright.pipelines import score_features as sf


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


def test_real_pairs(real_data: object) -> None:
    rows = sf.score_features("real-pairs", [], str(real_data("mvs_strecha_fountain")))  # type: ignore[operator]
    assert rows["sift"]["AUC@5"] > 0.7
    assert rows["sift"]["matches"] > 100


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
