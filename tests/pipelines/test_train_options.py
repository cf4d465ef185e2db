"""Ablations by name: fields of a method's Config from the command line, kept in the weights' record."""

import json
from pathlib import Path

import numpy as np
import pytest

from scenewright.cli.main import main
from scenewright.engine import weights
from scenewright.errors import InputError
from scenewright.pipelines.train import train
from scenewright.worlds.credits import WORLD_LICENCES
from scenewright.worlds.shards import code_view, shard_path, write_shard
from scenewright.worlds.stereo import ROOM_PAIR, SUFFIX


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of noise, moved by 4 pixels: a world that costs nothing to render."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    entry = {"seed": 1, "kind": "noise", "mode": "stand", "camera": [60.0, 60.0, 31.5, 31.5], "baseline_m": 0.15}
    views = []
    for _ in range(2):
        wide = rng.integers(0, 256, (64, 68, 3), np.uint8)
        depth = np.full((64, 64), 60 * 0.15 / 4, np.float32)
        pictures = {"colour": wide[:, :64], "right": wide[:, 4:], "depth": depth, "right_depth": depth}
        views.append(code_view(ROOM_PAIR, pictures | {"labels": np.zeros((64, 64), np.uint8)}, entry))
    write_shard(shard_path(folder, "train", 1, SUFFIX), "train", (64, 64), views, ROOM_PAIR)
    return folder


def test_an_ablation_is_trained_by_name_and_recorded(pairs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--option", "coarse_to_fine=false", "--option", "input_size=[64, 64]"]
    assert (
        main(["train", "garg", "--data", str(pairs), "--run", str(run), "--steps", "1", "--threads", "1", *words]) == 0
    )
    card = json.loads((run / "weights" / "card.json").read_text())
    assert card["config"]["coarse_to_fine"] is False
    assert card["preset"] == "custom"
    assert [stage["name"] for stage in card["training"]["stages"]] == ["stride-1"]
    assert weights.load(run / "weights").config.input_size == (64, 64)


def test_weights_that_were_started_from_stay_on_record(pairs: Path, tmp_path: Path) -> None:
    given = {"steps": 1, "threads": 1, "quiet": True}
    first = train("garg", pairs, tmp_path / "1", options=["coarse_to_fine=false", "input_size=[64, 64]"], **given)
    card = weights.read_card(first)
    card["training"]["licences"] = ["of the furniture"]  # as added by hand to what ships
    (first / "card.json").write_text(json.dumps(card))
    words = ["--data", str(pairs), "--run", str(tmp_path / "2"), "--steps", "1", "--threads", "1", "--seed", "1"]
    assert main(["train", "garg", *words, "--start", str(first)]) == 0
    training = weights.read_card(tmp_path / "2" / "weights")["training"]
    assert training["start"] == {**card["training"], "weights_sha256": weights.digest(first)}
    assert training["licences"] == ["of the furniture", *WORLD_LICENCES]


def test_weights_of_another_method_are_no_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--start: found weights of magicpoint"):
        train("magicwarp", None, tmp_path / "run", start="magicpoint")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("left_right", "NAME=VALUE"),
        ("rightleft=true", "NAME=VALUE"),
        ("left_right=perhaps", "left_right: found 'perhaps'; expected bool"),
        ("smooth=y", "smooth: found 'y'"),
    ],
)
def test_options_that_do_not_fit_are_one_line(option: str, message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["train", "monodepth", "--data", "nowhere", "--option", option]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_stored_weights_keep_their_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--start"):
        train("monodepth", tmp_path, tmp_path / "run", start="somewhere", options=["left_right=false"])
