"""`scenewright export`, and what it writes as the depth of `depth` and `reconstruct`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from clips import short_clip
from scenewright.cli import main as cli
from scenewright.data.images import write_image
from scenewright.data.sequences import open_sequence
from scenewright.depth.fcrn import FCRN, FCRNConfig
from scenewright.engine.weights import save
from scenewright.labels import LABELS
from scenewright.pipelines.sources import choose_depth


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = FCRN(replace(FCRNConfig.small(), widths=(16, 8, 8, 8, 8), input_size=(64, 48)))
        torch.nn.init.normal_(model.predict_depth.weight, 0, 0.2)
    return save(model, tmp_path_factory.mktemp("w") / "net", training={})


@pytest.fixture(scope="module")
def network(weights: Path) -> Path:
    out = weights.parent / "exported" / "net.onnx"
    assert cli.main(["export", str(weights), "-o", str(out)]) == 0
    return out


def test_the_card_says_what_the_graph_wants(network: Path) -> None:
    card = json.loads(network.with_suffix(".json").read_text())
    assert (card["name"], card["gives"], card["input_size"]) == ("fcrn", "metric depth", [64, 48])
    assert card["focal_px"] == pytest.approx(32 / np.tan(np.radians(30)), rel=1e-5)


def test_depth_of_the_graph_is_that_of_the_method(network: Path, weights: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    write_image(tmp_path / "a.png", cv2.GaussianBlur(image, (0, 0), 2))
    found = {}
    for name, method in (("graph", f"onnx:{network}"), ("method", str(weights))):
        out = tmp_path / name
        assert cli.main(["depth", str(tmp_path / "a.png"), "-o", str(out), "--method", method, "--fov", "80"]) == 0
        found[name] = cv2.imread(str(out / "a.depth.tiff"), cv2.IMREAD_UNCHANGED)
        record = json.loads((out / "a.depth.json").read_text())
        assert (record["method"], record["scale"]) == ("fcrn", "metric")
        assert (out / "a.sigma.tiff").is_file()
    np.testing.assert_allclose(found["graph"], found["method"], rtol=1e-4)
    assert np.ptp(found["method"]) > 1e-3


def test_changed_cards_are_noticed(network: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((48, 64, 3), 120, np.uint8))
    graph = tmp_path / "net.onnx"
    graph.write_bytes(network.read_bytes())
    card = json.loads(network.with_suffix(".json").read_text())
    scales = []
    for gives in ("metric depth", "relative depth"):
        graph.with_suffix(".json").write_text(json.dumps(card | {"gives": gives}))
        arguments = ["depth", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--method", f"onnx:{graph}"]
        assert cli.main(arguments) == 0
        scales.append(json.loads((tmp_path / "out/a.depth.json").read_text())["scale"])
    assert scales == ["metric", "unknown"]


def test_it_drives_a_reconstruction(network: Path, tmp_path: Path) -> None:
    sequence = open_sequence(short_clip(tmp_path / "clip", 2))
    chosen = choose_depth(f"onnx:{network}", sequence)
    assert (chosen.name, chosen.source.scale, chosen.labels) == ("fcrn", "metric", True)
    assert [len(digest) for digest in chosen.weights.values()] == [64]
    frame = next(iter(sequence))
    answer = chosen.source(frame.index, frame.image, sequence.camera)
    assert answer.depth_m.shape == sequence.camera.size
    assert (answer.depth_m > 0).all()
    assert answer.label_probabilities is not None
    assert answer.label_probabilities.shape == (len(LABELS), *sequence.camera.size)


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["export", "WEIGHTS", "-o", "net.pt"], "--out"),
        (["export", "no/such/net", "-o", "net.onnx"], "no/such/net"),
        (["depth", "a.png", "-o", "out", "--method", "onnx:gone.onnx"], "gone.json"),
        (["reconstruct", "demo", "-o", "out", "--depth", "onnx:gone.onnx"], "gone.json"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], culprit: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    assert cli.main([str(weights) if word == "WEIGHTS" else word for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert culprit in error
    assert sorted(tmp_path.rglob("*")) == before
