"""Foreign networks: graphs built by hand whose answer is known, cards of every kind, and files that are none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenewright.depth.onnx_depth import FARTHEST, OnnxCard, OnnxDepth, card_path, read_onnx_card
from scenewright.depth.task import DepthMethod
from scenewright.engine.onnx import to_onnx
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from tolerances import close

CAMERA = Camera.from_fov(64, 48, 60.0)
CARD = {"name": "toy", "input_size": [32, 32], "gives": "metric depth"}
Build = Callable[..., OnnxDepth]


def graph(shape: list[Any], output_rank: int = 4, kind: int = 1, outputs: tuple[str, ...] = ("map",)) -> bytes:
    """Twice the mean over channels, as `output_rank`-dimensional maps; kind 1 = float, 10 = float16."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=int(output_rank == len(shape)))]
    initial = [helper.make_tensor("axes", TensorProto.INT64, [1], [1])]
    for number, name in enumerate(outputs):
        initial.append(helper.make_tensor(f"two{number}", kind, [], [2.0 + number]))
        nodes.append(helper.make_node("Mul", ["mean", f"two{number}"], [name]))
    made = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info(name, kind, ["n", "c", "h", "w"][-output_rank:]) for name in outputs],
        initial,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def call(data: bytes | None = None, **card: Any) -> OnnxDepth:
        (tmp_path / "toy.onnx").write_bytes(graph([1, 3, 32, 32]) if data is None else data)
        (tmp_path / "toy.json").write_text(json.dumps(CARD | card))
        return OnnxDepth(tmp_path / "toy.onnx")

    return call


def flat(value: float, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, 3, 48, 64), value)


def test_metric_depth_comes_at_the_image_s_size(build: Build) -> None:
    network = build()
    assert isinstance(network, DepthMethod)
    prediction = network.predict(torch.cat([flat(0.25), flat(1.0)]), CAMERA)
    close(prediction.depth_m, torch.cat([flat(0.5), flat(2.0)])[:, :1])
    assert prediction.metric
    assert prediction.sigma_log is None


def test_the_picture_is_normalised_as_the_card_says(build: Build) -> None:
    network = build(mean=[10, 20, 30], std=[1, 2, 4], white=255, channels="BGR")
    image = torch.stack([torch.full((48, 64), v) for v in (0.2, 0.4, 0.6)])[None]
    blue, green, red = (255 * 0.6 - 10) / 1, (255 * 0.4 - 20) / 2, (255 * 0.2 - 30) / 4
    close(network.predict(image, CAMERA).depth_m, torch.full((1, 1, 48, 64), 2 * (blue + green + red) / 3))


def test_depth_of_a_canonical_camera_grows_with_the_focal_length(build: Build) -> None:
    network = build(focal_px=20.0)
    fx = CAMERA.resize(32, 32).numbers
    close(network.predict(flat(0.5), CAMERA).depth_m, torch.full((1, 1, 48, 64), (fx[0] * fx[1]) ** 0.5 / 20))


def test_relative_depth_has_no_metres(build: Build) -> None:
    prediction = build(gives="relative depth").predict(flat(0.5), CAMERA)
    assert not prediction.metric
    close(prediction.depth_m, torch.ones(1, 1, 48, 64))


def test_disparity_is_turned_over_with_a_median_of_one(build: Build) -> None:
    image = flat(0.4)
    image[..., :16] = 0.8
    image[..., 56:] = 0.0  # infinitely far
    network = build(gives="disparity")
    prediction = network.predict(image, CAMERA)
    assert not prediction.metric
    assert float(prediction.depth_m[0, 0, 24, 36]) == pytest.approx(1, rel=1e-4)
    assert float(prediction.depth_m[0, 0, 24, 6]) == pytest.approx(0.5, rel=1e-4)
    assert float(prediction.depth_m[0, 0, 24, 63]) == pytest.approx(FARTHEST, rel=1e-4)
    brighter = network.predict(image * 1.2, CAMERA).depth_m
    close(brighter, prediction.depth_m)
    with pytest.raises(InputError, match="median is not above 0"):
        network.predict(flat(0.0), CAMERA)


def test_a_graph_of_any_size_keeps_the_aspect(build: Build) -> None:
    network = build(graph([1, 3, "h", "w"]), input_size=[40, 40], multiple=8)
    seen: list[tuple[int, ...]] = []
    session = network.session

    class Spy:
        def run(self, names: Any, inputs: dict[str, np.ndarray]) -> Any:
            seen.append(inputs["picture"].shape)
            return session.run(names, inputs)

    network.session = Spy()
    assert network.predict(flat(0.5), CAMERA).depth_m.shape == (1, 1, 48, 64)
    assert seen == [(1, 3, 32, 48)]


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", [1, 10])
def test_maps_without_a_channel_and_half_floats_will_do(build: Build, rank: int, kind: int) -> None:
    network = build(graph([1, 3, 32, 32], rank, kind))
    depth = network.predict(flat(0.5), CAMERA).depth_m
    assert depth.dtype == torch.float32
    close(depth, torch.ones(1, 1, 48, 64))


def test_outputs_are_known_by_name_and_others_left_alone(build: Build) -> None:
    network = build(graph([1, 3, 32, 32], outputs=("features", "depth_m", "sigma_log", "confidence")))
    prediction = network.predict(flat(0.2), CAMERA)
    assert prediction.sigma_log is not None
    assert prediction.confidence is not None
    found = (prediction.depth_m, prediction.sigma_log, prediction.confidence)
    for value, expected in zip(found, (0.6, 0.8, 1.0), strict=True):
        close(value, torch.full((1, 1, 48, 64), expected))
    first = build(graph([1, 3, 32, 32], outputs=("map", "sigma_log")))
    assert first.predict(flat(0.2), CAMERA).sigma_log is None, "only beside depth_m do names mean anything"


def test_who_changes_the_card_gets_another_hash(build: Build) -> None:
    one, same, other = build().sha256, build().sha256, build(gives="relative depth").sha256
    assert one == same != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gives": "depth"}, "gives: found 'depth'"),
        ({"input_size": [32]}, "input_size"),
        ({"input_size": [0, 32]}, "above 0"),
        ({"std": [1, 0, 1]}, "above 0"),
        ({"mean": "none"}, "mean"),
        ({"size": 3}, "fields"),
        ({"focal_px": -1.0}, "above 0"),
        ({"task": "focus"}, "a network for focus"),
    ],
)
def test_cards_that_make_no_sense(build: Build, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"name": "toy"}', "\x00", "[" * 100_000])
def test_files_that_are_no_card(tmp_path: Path, text: str) -> None:
    path = tmp_path / "toy.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"toy\.json"):
        read_onnx_card(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"net\.json: found no such file"):
        OnnxDepth(tmp_path / "net.onnx")
    (tmp_path / "net.json").write_text(json.dumps(CARD))
    with pytest.raises(FormatError, match=r"net\.onnx: found no such file"):
        OnnxDepth(tmp_path / "net.onnx")


@pytest.mark.parametrize("data", [b"", b"no graph", graph([1, 3, 32, 32])[:-40]])
def test_files_that_are_no_graph(build: Build, data: bytes) -> None:
    with pytest.raises(FormatError, match=r"toy\.onnx: found no usable ONNX graph"):
        build(data)


def test_graphs_that_want_something_else(build: Build) -> None:
    with pytest.raises(FormatError, match="inputs picture"):
        build(graph([1, 3, 32], 3))
    with pytest.raises(InputError, match=r"a graph that takes \(1, 3, 24, 32\)"):
        build(input_size=[32, 24]).predict(flat(0.5), CAMERA)


def test_wrong_images_and_cameras_are_refused(build: Build) -> None:
    network = build()
    with pytest.raises(InputError, match="camera"):
        network.predict(flat(0.5), Camera.from_fov(32, 32, 60.0))
    with pytest.raises(InputError, match="RGB in"):
        network.predict(flat(2.0), CAMERA)


def test_without_the_extra_it_says_what_to_install(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name.startswith("onnx") else real(name))
    with pytest.raises(
        InputError, match=r"onnxruntime: found not installed; expected pip install 'scenewright\[onnx\]'"
    ):
        build()
    with pytest.raises(InputError, match="onnxscript: found not installed"):
        to_onnx(lambda x: (x,), (torch.ones(1),), ["x"], ["y"])


def test_a_card_goes_to_json_and_back(tmp_path: Path) -> None:
    card = OnnxCard("a", (64, 48), "disparity", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 255.0, "BGR", 14, 300.5)
    path = card_path(tmp_path / "a.onnx")
    path.write_text(json.dumps(asdict(card)))
    assert read_onnx_card(path) == card


def test_a_traced_function_keeps_its_checks_out_of_the_graph(tmp_path: Path) -> None:
    def function(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if float(x.max()) > 100:
            raise ValueError
        return (x * 2 if bool((x > 0).all()) else x,)

    (tmp_path / "f.onnx").write_bytes(to_onnx(function, (torch.ones(2, 3),), ["x"], ["y"]))
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "f.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.full((2, 3), 500, np.float32)})
    np.testing.assert_array_equal(found, 1000)
