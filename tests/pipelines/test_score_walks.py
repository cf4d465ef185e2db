"""The protocol `rooms-walks` on a small walk: true depth scores well, no mesh scores nothing, results are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scenewright.cli import main as cli
from scenewright.data.sequences import open_sequence
from scenewright.engine.scoreboard import read
from scenewright.errors import InputError
from scenewright.pipelines import score_walks
from scenewright.pipelines.sources import choose_depth
from scenewright.pipelines.walk import WalkOptions, walk
from scenewright.slam.protocols import ROOMS_WALKS, WALKS
from scenewright.slam.system import CnnSlam

OPTIONS = WalkOptions("office", seed=1, frames=30, rate_hz=10, size="160x120", library=False, sensor=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walk(tmp_path_factory.mktemp("walks") / "office", OPTIONS)


def systems(clip: Path) -> tuple[CnnSlam, CnnSlam]:
    sequence = open_sequence(clip)
    source = choose_depth("sensor", sequence).source
    return CnnSlam(sequence.camera, source), CnnSlam(sequence.camera, source)


def test_true_depth_scores_well(clip: Path) -> None:
    figures = score_walks.score_walk(*systems(clip), open_sequence(clip), lambda done, total, what: None)
    assert figures["posed_share"] == 100
    assert figures["pcd10_scaled"] > 99
    assert figures["pcd10_scaled_network"] == 100
    assert figures["f_score_5cm"] > 80
    assert figures["revisit_cm"] < 3
    assert set(score_walks.summary({"a": figures})) >= {m.name for m in ROOMS_WALKS.metrics}


def test_true_keyframes_match_themselves_and_nothing_matches_nothing(clip: Path) -> None:
    sequence = open_sequence(clip)
    truth = score_walks.true_keyframes(sequence)
    assert [k.index for k in truth] == [0, 10, 20]
    poses = np.array([f.T_world_cam for f in sequence])
    whole = SimpleNamespace(keyframes=truth)
    assert score_walks.f_score(whole, sequence, poses, poses) > 0.99  # type: ignore[arg-type]
    one = SimpleNamespace(keyframes=truth[:1])
    assert 0.3 < score_walks.f_score(one, sequence, poses, poses) < 0.99  # type: ignore[arg-type]
    assert score_walks.f_score(SimpleNamespace(keyframes=[]), sequence, poses, poses) == 0  # type: ignore[arg-type]


def test_a_walk_that_cannot_be_tracked_is_named(clip: Path) -> None:
    slam, twin = systems(clip)
    slam.push = lambda frame: None  # type: ignore[assignment,method-assign]
    with pytest.raises(InputError, match="posed frames"):
        score_walks.score_walk(slam, twin, open_sequence(clip), lambda done, total, what: None)


def test_means_and_worst_rooms() -> None:
    rooms = {"a": {"ate_percent": 1.0, "f_score_5cm": 90.0}, "b": {"ate_percent": 3.0, "f_score_5cm": 80.0}}
    found = score_walks.summary(rooms)
    assert found == {"ate_percent": 2.0, "f_score_5cm": 85.0, "ate_worst": 3.0, "f_score_worst": 80.0}


def test_the_command_films_scores_and_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filmed: dict[str, WalkOptions] = {}

    def film(folder: Path, options: WalkOptions, progress: object) -> Path:
        filmed[folder.name] = options
        return folder

    figures = {m.name: 1.5 for m in ROOMS_WALKS.metrics if not m.name.endswith("worst")}
    monkeypatch.setattr(score_walks, "walk", film)
    monkeypatch.setattr(score_walks, "open_sequence", lambda clip: SimpleNamespace(camera=None))
    monkeypatch.setattr(score_walks, "choose_depth", lambda name, s: SimpleNamespace(source=None, weights={"n": "ab"}))
    monkeypatch.setattr(score_walks, "CnnSlam", lambda *arguments: None)
    monkeypatch.setattr(score_walks, "score_walk", lambda *arguments: dict(figures))
    line = f"eval reconstruct --data {tmp_path / 'walks'} --protocol rooms-walks --depth sensor --results {tmp_path}"
    assert cli.main(line.split()) == 0
    assert {name: o.seed for name, o in filmed.items()} == WALKS
    assert all(o.split == "test" and o.frames == 300 and o.sensor and o.library for o in filmed.values())
    result = read(tmp_path / "slam" / "rooms-walks" / "cnn-slam-sensor.json")
    assert result.figures["f_score_worst"] == 1.5
    assert set(result.data["rooms"]) == set(WALKS)
    assert "ate_percent" in capsys.readouterr().out
