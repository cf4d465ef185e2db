"""`scenewright export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def command(method: tyro.conf.Positional[str], out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]) -> int:
    """Write a trained depth network as ONNX, with the JSON card that says what it wants and gives.

    Args:
        method: a depth method with shipped weights, or a folder of weights.
        out: the file to write, NAME.onnx; NAME.json is written beside it.
    """
    from scenewright.pipelines.export import export

    print(export(method, out).resolve())
    return 0
