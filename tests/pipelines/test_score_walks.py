"""The protocol `rooms-walks` on a small walk: true depth scores well, no mesh scores nothing, results are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scenewright.cli import main as cli
from scenewright.data.sequence import Frame
from scenewright.engine.scoreboard import read
from scenewright.errors import InputError
from scenewright.pipelines import score_walks
from scenewright.pipelines.sources import choose_depth
from scenewright.pipelines.walk import WalkOptions
from scenewright.slam.config import SlamConfig
from scenewright.slam.protocols import ROOMS_WALKS, WALKS
from scenewright.slam.system import CnnSlam
from scenewright.slam.types import Keyframe, Reconstruction
from slam_room import CAMERA, BoxRoom, look


class Film:
    """A sideways sweep through the ray-cast room as a sequence."""

    name, camera, intrinsics_source = "film", CAMERA, "file"

    def __init__(self, count: int = 31) -> None:
        self.frames, room = [], BoxRoom(0)
        for n in range(count):
            T = look(1.6 + 0.03 * n, 1.3, 0.9, -8 + 0.6 * n, 2)
            image, depth, _ = room.render(T)
            self.frames.append(Frame(n, n / 15, image, depth, T))

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def frames_from(self, position: int) -> Iterator[Frame]:
        return iter(self.frames[position:])


@pytest.fixture(scope="module")
def film() -> Film:
    return Film()


def systems(film: Film) -> tuple[CnnSlam, CnnSlam]:
    source, config = choose_depth("sensor", film).source, SlamConfig()
    return CnnSlam(film.camera, source, config), CnnSlam(film.camera, source, score_walks.without_loops(config))


def test_true_depth_scores_well(film: Film) -> None:
    figures = score_walks.score_walk(*systems(film), film, lambda done, total, what: None)
    assert figures["posed_share"] == 100
    assert figures["pcd10_scaled"] > 99
    assert figures["pcd10_scaled_network"] == 100
    assert figures["f_score_5cm"] > 70  # 160 pixels wide: a pixel is 2 cm
    assert figures["revisit_cm"] < 3
    assert set(score_walks.summary({"a": figures})) >= {m.name for m in ROOMS_WALKS.metrics}


def test_only_the_closed_run_ties_keyframes(monkeypatch: pytest.MonkeyPatch) -> None:
    tied: list[object] = []
    monkeypatch.setattr("scenewright.slam.keyframe_map.ties.tie", lambda *given: tied.append(given))
    score_walks.score_walk(*systems(Film(12)), Film(12), lambda done, total, what: None)
    assert len(tied) == 1


def test_true_keyframes_match_themselves_and_nothing_matches_nothing(film: Film) -> None:
    truth = score_walks.true_keyframes(film)
    assert [k.index for k in truth] == [0, 10, 20, 30]
    poses = np.array([f.T_world_cam for f in film])
    assert score_walks.f_score(with_keyframes(truth), film, poses, poses) > 0.99
    assert 0.3 < score_walks.f_score(with_keyframes(truth[:1]), film, poses, poses) < 0.99
    assert score_walks.f_score(with_keyframes([]), film, poses, poses) == 0


def with_keyframes(keyframes: list[Keyframe]) -> Reconstruction:
    return Reconstruction([], keyframes, [], "metric", 1.0, 1)


def test_a_walk_that_cannot_be_tracked_is_named(film: Film) -> None:
    dark = Film(3)
    dark.frames = [replace(f, image=np.zeros_like(f.image)) for f in dark.frames]
    with pytest.raises(InputError, match="posed frames"):
        score_walks.score_walk(*systems(dark), dark, lambda done, total, what: None)


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
        folder.mkdir(parents=True)
        (folder / "walk.json").write_text(folder.name)
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
    assert result.data_sha256 == hashlib.sha256("".join(WALKS).encode()).hexdigest()
    assert result.figures["f_score_worst"] == 1.5
    assert set(result.data["rooms"]) == set(WALKS)
    assert "ate_percent" in capsys.readouterr().out
