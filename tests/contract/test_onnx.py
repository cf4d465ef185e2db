"""Every method whose task is depth, or depth from focus, becomes an ONNX graph that gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import scenewright
from scenewright.depth.onnx_depth import FIELDS, card_path, export_depth, open_session
from scenewright.engine.method import Method
from scenewright.engine.table import list_methods, method_class
from scenewright.files import write_bytes
from scenewright.geometry.camera import Camera

REASON = "no ONNX export"
"""A card that says why not has a line of deviations that begins with these words."""
NAMES = [
    name
    for name in (*list_methods("depth"), *list_methods("focus"))
    if not any(line.startswith(REASON) for line in method_class(name).card.deviations)
]


def predicted(model: Method[Any], given: torch.Tensor) -> dict[str, torch.Tensor]:
    width, height = model.config.input_size
    camera, rest = Camera.from_fov(width, height, 60.0), ()
    if model.card.task == "focus":
        focal = model.config.focal_px
        camera = Camera.from_parameters(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        rest = (model.config.focus_m,)
    prediction = model.predict(given, camera, *rest)  # type: ignore[operator]
    return {name: value for name in FIELDS if (value := getattr(prediction, name)) is not None}


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = scenewright.create(name, "small").eval()
    data, card = export_depth(model)
    write_bytes(tmp_path / "net.onnx", data)
    session = open_session(tmp_path / "net.onnx")
    (taken,) = session.get_inputs()
    given = torch.rand(taken.shape, generator=torch.Generator().manual_seed(1))
    expected = predicted(model, given)
    names = [output.name for output in session.get_outputs()]
    assert names == list(expected)
    for key, value in zip(names, session.run(names, {taken.name: given.numpy()}), strict=True):
        # 1e-4 of the largest value: the figure; sums are taken in another order
        limit = 1e-4 * float(expected[key].abs().max())
        assert float((torch.from_numpy(value) - expected[key]).abs().max()) <= limit, key
    assert card.scale == ("metric" if expected and model.card.scale == "metric" else "unknown")
    assert card_path(tmp_path / "net.onnx").name == "net.json"


def test_most_methods_need_no_excuse() -> None:
    assert {"fcrn", "ddff", "depth_in_the_wild"} <= set(NAMES)
    assert len(NAMES) >= len(list_methods("depth"))
