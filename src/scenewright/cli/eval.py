"""`scenewright eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from scenewright.errors import InputError

if TYPE_CHECKING:
    from scenewright.pipelines.evaluate import Evaluation


PLACES = (("localize", "localize-split"), ("reconstruct", "loops"))
"""What is measured by the features that find places again."""


def command(
    method: tyro.conf.Positional[str],
    data: str,
    protocol: str | None = None,
    every: int = 1,
    mean_from: str | None = None,
    files: Path | None = None,
    split: str | None = None,
    results: Path | None = None,
    sheet: Path | None = None,
    depth: str = "fcrn",
    as_printed: bool = False,
    features: str = "orb",
    scene: Path | None = None,
    option: tuple[str, ...] = (),
    threshold_from: str | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Measure a depth method on data with truth, raw and after per-image median scaling, trivial rows beside it.

    Args:
        method: a method with shipped weights, a folder of weights, onnx:FILE, "reconstruct", or "localize";
            several features at once as NAME,NAME. LABEL=NAME gives a row a name of its own, an ablation's, say:
            garg.one-level=FOLDER.
        data: rooms:FOLDER[:SPLIT], the folder of a sequence with depth, a data set that `scenewright data check`
            knows (its path, or KIND:PATH), or a Scene folder with "reconstruct"; for features a folder of rooms, a
            sequence or posed photographs, as the protocol has it, or "none".
        protocol: a named protocol; it sets every, crop, cap and scaling. Any wrong name lists them all.
        every: use each n-th item.
        mean_from: folder of rooms, or a data set, whose training depth makes the mean map and image-height prior.
        files: list of frames of a KITTI split, in Monodepth's or Monodepth2's form.
        split: train, val or test, of a data set that has them.
        results: root folder under which to store the figures with their protocol.
        sheet: picture to write: the four best and the four worst items, with their figures.
        depth: with "reconstruct --protocol rooms-walks", which films and reconstructs the walks in the folder `data`,
            and "rooms-labels", which compares their labels: the depth source, as `scenewright reconstruct` has it.
        features: with "localize --protocol localize-split" and "reconstruct --protocol loops": NAME,NAME, what finds
            places again, as `scenewright localize` and `scenewright reconstruct` have it.
        scene: with "localize": the Scene folder to keep the protocol's scene in, or to find it in.
        as_printed: likewise, by the paper's tracker without the corner odometry.
        option: fields of the method's Config with which the same weights predict otherwise, as name=value (crf=null);
            LABEL=NAME must then name the row.
        threshold_from: with `nyu-wkdr`: other pairs, as `data`, on which it is chosen what counts as equally far.
        as_json: print all figures as JSON.
    """
    if (method, protocol) in PLACES:
        return _places(method, data, features.split(","), depth, scene, results)
    if method == "reconstruct":
        return _reconstructions(Path(data), protocol, depth, as_printed, results)
    from scenewright.features.protocols import PROTOCOLS

    if protocol in PROTOCOLS:
        return _features(method, data, protocol, results)
    from scenewright.pipelines.evaluate import evaluate

    found = evaluate(
        method, data, protocol=protocol, every=every, mean_from=mean_from, results=results, sheet=sheet, files=files,
        split=split, changes=option, threshold_from=threshold_from,
    )  # fmt: skip
    return _show(next(iter(found.figures)), protocol, found, as_json)


def _reconstructions(data: Path, protocol: str | None, depth: str, as_printed: bool, results: Path | None) -> int:
    if protocol == "rooms-walks":
        return _walks(data, depth, as_printed, results)
    if protocol == "rooms-labels":
        return _labels(data, depth, results)
    return _scene(data, protocol, results)


def _show(method: str, protocol: str | None, found: Evaluation, as_json: bool) -> int:
    if as_json:
        rows = {name: {"raw": s.raw, "scaled": s.scaled} for name, s in found.scores.items()}
        record = {"figures": found.figures, "scores": rows, "labels": found.labels, "items": found.items}
        print(json.dumps(record, indent=2))
        return 0
    shown = protocol_columns(protocol, found.figures[method])
    print(f"{found.items} items".ljust(28) + "".join(f"{name:>{max(9, len(name) + 2)}}" for name in shown))
    for row, figures in found.figures.items():
        print(f"{row[-27:]:<28}" + "".join(f"{figures[name]:>{max(9, len(name) + 2)}.4g}" for name in shown))
    for row, figures in found.figures.items():
        if "threshold" in figures:
            print(f"  {row}: equally far up to a difference of {figures['threshold']:.2f}, chosen on validation pairs")
    for name, iou in found.labels.items():
        print(f"  IoU {name:<12}{iou:>8.3f}")
    return 0


def protocol_columns(protocol: str | None, figures: dict[str, float]) -> list[str]:
    """The figures to print: the protocol's own, or the first few."""
    from scenewright.depth.protocols import MEASURES, METRICS

    metrics = MEASURES[protocol].protocol.metrics if protocol else METRICS
    return [m.name for m in metrics if m.name in figures] or list(figures)


def _features(names: str, data: str, protocol: str, results: Path | None) -> int:
    from scenewright.pipelines.score_features import score_features

    return _table(score_features(protocol, names.split(","), None if data == "none" else data, results))


def _places(method: str, data: str, names: list[str], depth: str, scene: Path | None, results: Path | None) -> int:
    from scenewright.cli.show import progress_bar
    from scenewright.pipelines.score_localize import score_localize
    from scenewright.pipelines.score_loops import score_loops

    with progress_bar() as progress:
        if method == "localize":
            rows = score_localize(data, names, depth=depth, scene=scene, results=results, progress=progress)
        else:
            rows = score_loops(data, names, depth=depth, results=results, progress=progress)
    return _table(rows)


def _table(rows: dict[str, dict[str, float]]) -> int:
    columns = list(next(iter(rows.values())))
    print(" " * 24 + "".join(f"{name:>{max(9, len(name) + 2)}}" for name in columns))
    for row, figures in rows.items():
        print(f"{row[-23:]:<24}" + "".join(f"{figures[n]:>{max(9, len(n) + 2)}.4g}" for n in columns))
    return 0


def _walks(folder: Path, depth: str, as_printed: bool, results: Path | None) -> int:
    from scenewright.cli.show import progress_bar
    from scenewright.pipelines.score_walks import score_walks

    with progress_bar() as progress:
        figures, rooms = score_walks(folder, depth=depth, as_printed=as_printed, results=results, progress=progress)
    print(f"{'':<24}{'mean':>12}" + "".join(f"{kind:>12}" for kind in rooms))
    for name, value in figures.items():
        row = "".join(f"{room[name]:>12.4g}" for room in rooms.values() if name in room)
        print(f"{name:<24}{value:>12.4g}{row}")
    return 0


def _labels(folder: Path, depth: str, results: Path | None) -> int:
    from scenewright.pipelines.score_labels import score_labels

    rows = score_labels(folder, depth, results)
    print(" " * 16 + "".join(f"{row:>20}" for row in rows))
    for name in next(iter(rows.values())):
        print(f"{name:<16}" + "".join(f"{figures.get(name, float('nan')):>20.3f}" for figures in rows.values()))
    return 0


def _scene(folder: Path, protocol: str | None, results: Path | None) -> int:
    from scenewright.pipelines.score_scene import store_scene

    if protocol is None or results is None:
        raise InputError("eval reconstruct", "no protocol or no results folder", "--protocol NAME --results FOLDER")
    for name, value in store_scene(folder, protocol, results).items():
        print(f"  {name:<24}{value:>10.4g}")
    return 0
