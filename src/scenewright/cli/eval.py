"""`scenewright eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import tyro

from scenewright.errors import InputError


def command(
    method: tyro.conf.Positional[str],
    data: str,
    protocol: str | None = None,
    every: int = 1,
    mean_from: Path | None = None,
    results: Path | None = None,
    sheet: Path | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Measure a depth method on data with truth, raw and after per-image median scaling, trivial rows beside it.

    Args:
        method: a method with shipped weights, a folder of weights, or "reconstruct" for a finished scene.
        data: rooms:FOLDER[:SPLIT], the folder of a sequence with depth, or a Scene folder with "reconstruct".
        protocol: a named protocol (rooms-test, redkitchen, demo-clip, tum-desk, rgbd-singles); sets `every`.
        every: use each n-th item.
        mean_from: folder of rooms whose training split makes the mean map.
        results: root folder under which to store the figures with their protocol.
        sheet: picture to write: the four best and the four worst items, with their figures.
        as_json: print all figures as JSON.
    """
    if method == "reconstruct":
        return _scene(Path(data), protocol, results)
    from scenewright.pipelines.evaluate import evaluate

    found = evaluate(method, data, protocol=protocol, every=every, mean_from=mean_from, results=results, sheet=sheet)
    if as_json:
        rows = {name: {"raw": s.raw, "scaled": s.scaled} for name, s in found.scores.items()}
        print(json.dumps({"scores": rows, "labels": found.labels}, indent=2))
        return 0
    print(f"{'':<28}{'AbsRel':>8}{'delta1':>8}  scaled: {'AbsRel':>8}{'delta1':>8}{'within10':>10}")
    for name, s in found.scores.items():
        raw, scaled = s.raw, s.scaled
        head = f"{name[-27:]:<28}{raw['AbsRel']:>8.3f}{raw['delta1']:>8.3f}"
        print(f"{head}          {scaled['AbsRel']:>8.3f}{scaled['delta1']:>8.3f}{scaled['within10']:>10.3f}")
    for name, iou in found.labels.items():
        print(f"  IoU {name:<12}{iou:>8.3f}")
    return 0


def _scene(folder: Path, protocol: str | None, results: Path | None) -> int:
    from scenewright.pipelines.score_scene import store_scene

    if protocol is None or results is None:
        raise InputError("eval reconstruct", "no protocol or no results folder", "--protocol NAME --results FOLDER")
    for name, value in store_scene(folder, protocol, results).items():
        print(f"  {name:<24}{value:>10.4g}")
    return 0
