"""The protocols `localize-split` and `loops`: figures by hand, a small film end to end, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from clips import short_clip
from scenewright.cli.main import main
from scenewright.data.sequence import Frame
from scenewright.engine.scoreboard import read
from scenewright.errors import InputError
from scenewright.pipelines import score_localize, score_loops
from scenewright.pipelines.score_localize import Split, figures_of
from scenewright.slam.protocols import LOCALIZE_SPLIT, LOOPS
from scenewright.slam.types import Edge, FrameResult, Reconstruction, Status


def path(count: int) -> dict[int, np.ndarray]:
    poses = {}
    for n in range(count):
        T = np.eye(4)
        T[:3, :3] = Rotation.from_rotvec([0.01 * n, 0.05 * n, 0]).as_matrix()
        T[:3, 3] = np.cos(0.3 * n), np.sin(0.3 * n), 0.1 * n
        poses[n] = T
    return poses


def in_world(poses: dict[int, np.ndarray], factor: float) -> dict[int, np.ndarray]:
    """The same poses in another world, turned, moved and stretched."""
    W = np.eye(4)
    W[:3, :3], W[:3, 3] = Rotation.from_rotvec([0.2, 1.0, -0.4]).as_matrix(), [3, 2, 1]
    out = {}
    for n, T in poses.items():
        stretched = T.copy()
        stretched[:3, 3] *= factor
        out[n] = W @ stretched
    return out


def test_figures_do_not_depend_on_the_scene_s_own_world() -> None:
    truth = path(30)
    scene = in_world({n: truth[n] for n in range(20)}, 1.3)
    answers: dict[int, np.ndarray | None] = dict(in_world({n: truth[n] for n in range(20, 30)}, 1.3))
    found = figures_of(answers, scene, truth)
    assert found["median_cm"] < 1e-6
    assert found["median_deg"] < 1e-4
    assert (found["answered"], found["within_5cm_5deg"], found["wrong"]) == (100, 100, 0)
    assert found["raw_median_cm"] > 20, "the raw figure keeps the wrong size"
    assert found["scene_cm"] < 1e-6
    assert sorted(found) == sorted(m.name for m in LOCALIZE_SPLIT.metrics)


def test_refusals_wrong_answers_and_turns_are_counted() -> None:
    truth = path(30)
    scene = {n: truth[n] for n in range(20)}
    answers: dict[int, np.ndarray | None] = {n: truth[n].copy() for n in range(20, 30)}
    answers[20] = None
    answers[21][:3, 3] += [0.6, 0, 0]  # type: ignore[index]
    for n in range(22, 28):
        answers[n][:3, :3] = answers[n][:3, :3] @ Rotation.from_rotvec([0, np.radians(3), 0]).as_matrix()  # type: ignore[index]
    found = figures_of(answers, scene, truth)
    assert found["answered"] == pytest.approx(90)
    assert found["wrong"] == pytest.approx(10)
    assert found["within_5cm_5deg"] == pytest.approx(80)
    assert found["median_deg"] == pytest.approx(3, abs=1e-4)
    nothing = figures_of(dict.fromkeys(range(20, 30)), scene, truth)
    assert (nothing["answered"], nothing["median_cm"], nothing["median_deg"]) == (0, 1e3, 180)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(tmp_path_factory.mktemp("film") / "clip", 14)


def test_photographs_of_a_small_film_are_placed_and_stored(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(score_localize, "Split", lambda: Split(11, 3))
    command = ["eval", "localize", "--data", str(clip), "--protocol", "localize-split", "--features", "sift"]
    command += ["--depth", "sensor", "--scene", str(tmp_path / "s.scene"), "--results", str(tmp_path / "results")]
    assert main(command) == 0
    assert "median_cm" in capsys.readouterr().out
    stored = read(tmp_path / "results/slam/localize-split/sift-sensor.json")
    assert stored.figures["answered"] > 60
    assert stored.figures["median_cm"] < 10
    assert stored.baseline
    assert (tmp_path / "s.scene/scene.json").exists()


def test_films_that_are_too_short_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="700 or more"):
        score_localize.score_localize(str(clip), ["sift"])
    with pytest.raises(InputError, match="the protocol's"):
        score_localize.score_localize(str(clip), ["sift"], split=Split(9, 3), results=tmp_path)
    with pytest.raises(InputError, match="more than 90"):
        score_loops.score_loops(str(clip), ["orb"])


class Film:
    def __init__(self, count: int) -> None:
        self.frames = [Frame(n, float(n), np.zeros((1, 1, 3), np.uint8)) for n in range(count)]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> object:
        return iter(self.frames)

    def frames_from(self, position: int) -> object:
        return iter(self.frames[position:])


@pytest.mark.parametrize(("count", "kept"), [(10, [0, 1, 2, 7, 8, 9]), (5, [0, 1, 2])])
def test_a_hole_keeps_the_numbers_of_the_others(count: int, kept: list[int]) -> None:
    film = score_loops.Without(Film(count), 3, 7)  # type: ignore[arg-type]
    assert [f.index for f in film] == kept
    assert len(film) == len(kept)


def test_figures_of_a_map() -> None:
    truth = path(12)
    frames = [FrameResult(n, n / 5, Status.OK, T, 0, 0.0, 1.0, 1.0) for n, T in in_world(truth, 0.7).items()]
    frames[5] = replace(frames[5], T_world_cam=None, status=Status.LOST)
    edges = [Edge(0, k, np.eye(4), 0.0, np.eye(7), kind) for k, kind in enumerate(("odometry", "loop", "near"), 1)]
    found = score_loops.figures_of(Reconstruction(frames, [], edges, "metric", 1.0, 2), truth)
    assert found["ate_sim3_m"] < 1e-9
    assert (found["edges"], found["segments"]) == (2, 2)
    assert found["posed"] == pytest.approx(100 * 11 / 12)
    assert {m.name.removeprefix("cut_") for m in LOOPS.metrics} == set(found)


def test_loops_are_measured_by_features(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_loops, "CUT", (2, 3))
    rows = score_loops.score_loops(str(clip), ["none"], depth="sensor")
    assert rows["none"]["edges"] == 0
    assert rows["none"]["cut_posed"] > 90
    with pytest.raises(InputError, match="demo"):
        score_loops.score_loops(str(clip), ["none"], results=Path("nowhere"))
