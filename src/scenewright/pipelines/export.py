"""A trained network as an ONNX file with its card, for other programs and for `--depth onnx:FILE`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from scenewright.depth.onnx_depth import card_path, export_depth
from scenewright.engine.weights import load
from scenewright.errors import InputError
from scenewright.files import write_bytes, write_json


def export(method: str, out: str | Path) -> Path:
    """Write a depth method as FILE.onnx and FILE.json.

    Args:
        method: a depth method with shipped weights, or a folder of weights.
        out: the file, ending in .onnx.

    Returns:
        The ONNX file.

    Raises:
        InputError: another suffix, a method that cannot be exported, or the extra `onnx` is not installed.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise InputError("--out", str(out), "a file that ends in .onnx")
    data, card = export_depth(load(method))
    write_json(card_path(out), asdict(card))
    write_bytes(out, data)
    return out
