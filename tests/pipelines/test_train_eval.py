"""Train, then eval, as a user does: a few steps on a handful of rooms, figures stored under a protocol."""

import json
from pathlib import Path

import numpy as np
import pytest

from scenewright.cli.main import main
from scenewright.data.images import read_image
from scenewright.engine import scoreboard
from scenewright.errors import InputError
from scenewright.pipelines.evaluate import evaluate, samples_of, source_fingerprint
from scenewright.pipelines.score_scene import store_scene
from scenewright.pipelines.train import train
from scenewright.worlds.dataset import render_shard, shard_path


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rooms")
    for split, seed in (("train", 1), ("train", 2), ("validation", 3), ("test", 4)):
        render_shard(shard_path(folder, split, seed), [seed], split, 2, (96, 72))
    return folder


@pytest.fixture(scope="module")
def weights(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    return train("fcrn", rooms, run, steps=2, threads=1, quiet=True)


def test_training_leaves_a_log_with_validation_and_loadable_weights(weights: Path) -> None:
    lines = [json.loads(line) for line in (weights.parent / "metrics.jsonl").read_text().splitlines()]
    checks = [line for line in lines if line["kind"] == "validate"]
    assert checks
    assert {"AbsRel", "AbsRel_scaled", "scale_spread"} <= set(checks[-1])
    card = json.loads((weights / "card.json").read_text())
    assert card["training"]["data"]["rooms"]["rooms"] == 2
    assert card["training"]["seed"] == 0


def test_the_command_goes_on_with_a_finished_run(rooms: Path, weights: Path, capsys: pytest.CaptureFixture) -> None:
    before = (weights / "model.safetensors").read_bytes()
    arguments = ["train", "fcrn", "--data", str(rooms), "--run", str(weights.parent), "--steps", "2", "--threads", "1"]
    assert main(arguments) == 0
    assert str(weights) in capsys.readouterr().out
    assert (weights / "model.safetensors").read_bytes() == before


def test_eval_stores_results_and_draws_a_sheet(
    rooms: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sheet = tmp_path / "sheet.jpg"
    arguments = [
        "eval",
        str(weights),
        "--data",
        f"rooms:{rooms}",
        "--protocol",
        "rooms-test",
        "--mean-from",
        str(rooms),
    ]
    assert main([*arguments, "--results", str(tmp_path / "results"), "--sheet", str(sheet), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["scores"]) == {str(weights), "constant", "mean-map", "image-height"}
    assert 0 <= printed["labels"]["mIoU"] <= 1
    stored = {r.method: r for r in scoreboard.read_all(tmp_path / "results" / "depth" / "rooms-test")}
    assert set(stored) == {"fcrn", "constant", "mean-map", "image-height"}
    assert stored["constant"].baseline
    assert stored["fcrn"].weights_sha256
    assert stored["fcrn"].figures["AbsRel"] == pytest.approx(printed["scores"][str(weights)]["raw"]["AbsRel"])
    assert stored["fcrn"].data == stored["constant"].data
    assert stored["fcrn"].data["items"] == 2
    assert stored["fcrn"].data_sha256 == source_fingerprint(f"rooms:{rooms}", 1)
    assert read_image(sheet).std() > 20


def test_figures_without_a_protocol_cannot_be_stored(rooms: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be stored"):
        evaluate(str(weights), f"rooms:{rooms}", results=tmp_path)
    with pytest.raises(InputError, match="--protocol"):
        evaluate(str(weights), f"rooms:{rooms}", protocol="nyu")
    assert not list(tmp_path.iterdir())


def test_rooms_are_known_by_what_they_are_rendered_from(rooms: Path, tmp_path: Path) -> None:
    for seed, name in ((1, "same"), (6, "other")):
        render_shard(shard_path(tmp_path / name, "train", seed), [seed, 2], "train", 2, (96, 72))
    whole = source_fingerprint(f"rooms:{rooms}:train", 1)
    assert source_fingerprint(f"rooms:{tmp_path / 'same'}:train", 1) == whole
    assert source_fingerprint(f"rooms:{tmp_path / 'other'}:train", 1) != whole
    assert source_fingerprint(f"rooms:{rooms}:train", 2) != whole
    assert source_fingerprint(f"rooms:{rooms}:test", 1) != whole


def test_every_skips_items(rooms: Path) -> None:
    assert len(list(samples_of(f"rooms:{rooms}:train", 1))) == 4
    assert len(list(samples_of(f"rooms:{rooms}:train", 3))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "fcrn", "--data", "nowhere"], "no views"),
        (["train", "pixels", "--data", "nowhere"], "method"),
        (["eval", "fcrn", "--data", "nowhere", "--protocol", "nyu"], "--protocol"),
        (["eval", "reconstruct", "--data", "nowhere"], "no protocol"),
        (["eval", "reconstruct", "--data", "nowhere", "--protocol", "demo-clip", "--results", "r"], "nowhere"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_trunk_weights_must_be_tensors(rooms: Path, tmp_path: Path) -> None:
    torn = tmp_path / "trunk.safetensors"
    torn.write_bytes(np.arange(3).tobytes())
    with pytest.raises(InputError, match=r"trunk\.safetensors"):
        train("fcrn", rooms, tmp_path / "run", steps=1, trunk=torn, quiet=True)


def test_a_scene_is_scored_only_by_a_known_protocol(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--protocol"):
        store_scene(tmp_path, "office", tmp_path)
