"""What a user names as depth, and what the SLAM gets."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import short_clip
from scenewright.data.sequences import open_sequence
from scenewright.engine import weights
from scenewright.engine.table import create, list_methods
from scenewright.engine.weights import list_weights, load, read_card
from scenewright.errors import InputError
from scenewright.features.magicpoint import MagicPoint
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.nn.kept import KeptConv2d
from scenewright.pipelines.sources import choose_depth, choose_features, depth_method, frame_indices


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(tmp_path_factory.mktemp("sources") / "clip", 7)


@pytest.mark.parametrize(("every", "max_frames"), [(1, None), (2, None), (3, 2), (5, None), (9, None), (1, 1)])
def test_indices_are_those_of_the_frames(clip: Path, every: int, max_frames: int | None) -> None:
    sequence = open_sequence(clip, every=every, max_frames=max_frames)
    assert frame_indices(sequence) == [frame.index for frame in sequence]


def test_the_sensor_is_read_at_the_frame_that_is_asked_for(clip: Path) -> None:
    sequence = open_sequence(clip, every=3)
    chosen = choose_depth("sensor", sequence)
    assert (chosen.name, chosen.weights, chosen.labels, chosen.source.scale) == ("sensor", {}, False, "metric")
    for frame in sequence:
        answer = chosen.source(frame.index, frame.image, sequence.camera)
        np.testing.assert_array_equal(answer.depth_m, frame.depth_m)
        np.testing.assert_array_equal(answer.sigma_log, np.full_like(frame.depth_m, 0.02))  # what a sensor states
        assert answer.independent
        assert answer.label_probabilities is None


def test_the_sensor_answers_at_the_size_of_the_image(clip: Path) -> None:
    sequence = open_sequence(clip)
    frame = next(iter(sequence))
    camera = sequence.camera.resize(120, 80)
    answer = choose_depth("sensor", sequence).source(frame.index, frame.image[::3, ::3], camera)
    assert answer.depth_m.shape == camera.size
    assert set(np.unique(answer.depth_m)) <= set(np.unique(frame.depth_m)), "samples are read, never mixed"


def test_a_frame_whose_depth_is_missing_is_all_unknown(tmp_path: Path) -> None:
    clip = short_clip(tmp_path / "clip", 3)
    sorted((clip / "depth").iterdir())[1].unlink()
    sequence = open_sequence(clip)
    answer = choose_depth("sensor", sequence).source(1, next(iter(sequence)).image, sequence.camera)
    assert not answer.depth_m.any()


def test_sensor_depth_needs_a_sensor(tmp_path: Path) -> None:
    sequence = open_sequence(short_clip(tmp_path / "clip", 2, depth=False))
    with pytest.raises(InputError, match=r"--depth sensor: found clip without depth") as caught:
        choose_depth("sensor", sequence)
    assert caught.value.exit_code == 2


def test_a_folder_of_weights_becomes_a_source_with_its_hash(clip: Path, tmp_path: Path) -> None:
    folder = weights.save(create("fcrn"), tmp_path / "net", training={})
    sequence = open_sequence(clip)
    chosen = choose_depth(str(folder), sequence)
    assert chosen.name == "fcrn"
    assert chosen.weights == {"fcrn": read_card(folder)["tensors"]["sha256"]}
    assert chosen.labels
    camera = Camera.from_fov(64, 48, 60.0)
    answer = chosen.source(0, np.full((48, 64, 3), 120, np.uint8), camera)
    assert answer.depth_m.shape == (48, 64)
    assert (answer.depth_m > 0).all()
    assert answer.label_probabilities is not None
    assert answer.label_probabilities.shape == (len(LABELS), 48, 64)


def test_a_network_without_classes_promises_no_labels(clip: Path, tmp_path: Path) -> None:
    folder = weights.save(create("fcrn", classes=0), tmp_path / "net", training={})
    assert not choose_depth(str(folder), open_sequence(clip)).labels


@pytest.mark.parametrize("name", ["no-such-method", "no/such/folder", ""])
def test_unknown_depth_is_named_with_what_there_is(clip: Path, name: str) -> None:
    with pytest.raises(InputError, match="fcrn"):
        choose_depth(name or "''", open_sequence(clip))


@pytest.mark.parametrize("device", ["tpu", "", "cuda:9"])
def test_an_unknown_device_is_refused(clip: Path, device: str) -> None:
    with pytest.raises(InputError, match="--device"):
        choose_depth("sensor", open_sequence(clip), device)


def test_a_method_for_something_else_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    method = create("fcrn")
    monkeypatch.setattr(type(method), "card", replace(method.card, name="posenet", task="pose"))
    monkeypatch.setattr("scenewright.pipelines.sources.load", lambda name: method)
    with pytest.raises(InputError, match="posenet, a method for pose"):
        choose_depth("posenet", open_sequence(clip))


def test_features_by_name() -> None:
    assert choose_features("orb").source is None, "the map's own"
    nothing = choose_features("none").source
    assert nothing is not None
    assert len(nothing.features(torch.zeros(1, 3, 40, 48), 10)) == 0
    sift = choose_features("harris+sift")
    assert sift.source is not None
    assert sift.weights == {}
    for name in ("surf", "", "sift+harris"):
        with pytest.raises(InputError, match="features"):
            choose_features(name)


def test_weights_of_learned_features_are_named(tmp_path: Path) -> None:
    folder = weights.save(MagicPoint.from_preset("small"), tmp_path / "point", training={})
    chosen = choose_features(f"{folder}+sift")
    assert chosen.source is not None
    assert list(chosen.weights) == [str(folder)]
    assert len(chosen.weights[str(folder)]) == 64


@pytest.mark.parametrize("name", [name for name in list_methods("depth") if name in list_weights()])
def test_a_network_made_ready_says_what_the_trained_one_says(name: str) -> None:
    rng = torch.Generator().manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 16, generator=rng), (96, 128), mode="bilinear")
    camera = Camera.from_parameters(128, 96, 110.0, 110.0, 63.5, 47.5)
    plain, named = load(name), depth_method("--method", name)
    assert any(isinstance(module, KeptConv2d) for module in named.method.modules())
    with torch.no_grad():
        expected, found = (m.predict(image, camera) for m in (plain, named.method))
    for field in fields(expected):
        one, other = getattr(expected, field.name), getattr(found, field.name)
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(other, one, rtol=2e-3, atol=2e-4)
