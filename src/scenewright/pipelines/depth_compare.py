"""Several depth methods on the same pictures, side by side on one page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import depth_preview
from scenewright.depth.metrics import within
from scenewright.errors import FormatError, InputError
from scenewright.files import write_text
from scenewright.pipelines.depth import Options, Progress, predict_all
from scenewright.pipelines.depth_page import STYLE, Entry, contact_page, data_uri, thumbnail

Floats = NDArray[np.float32]
_FIGURES = (
    "figure{display:inline-block;width:250px;max-width:100%;margin:0 8px 8px 0;vertical-align:top}"
    "figure img{margin:0;width:100%}figcaption{font-size:.85rem;line-height:1.35}"
)


def compare_depth(
    sources: list[str | Path],
    out: str | Path,
    options: Options,
    methods: list[str],
    *,
    progress: Progress = lambda done, total, what: None,
) -> Path:
    """Predict with every method into OUT/METHOD, each with its own page, and write OUT/index.html, which compares them.

    Args:
        sources, options: as in `predict_depth`; the options' own method is not used.
        methods: two or more, all for pictures or all for focal stacks.

    Returns:
        The path of the page.

    Raises:
        InputError: fewer than two methods, or methods that see different things in the same sources.
    """
    if len(methods) < 2:
        raise InputError("--method", f"{len(methods)} methods", "two or more to compare")
    out, found = Path(out), dict[str, list[Entry]]()
    for label, method in zip(_labels(methods), methods):
        entries = predict_all(sources, out / label, replace(options, method=method), progress)
        write_text(out / label / "index.html", contact_page(entries))
        found[label] = entries
    names = {tuple(entry.name for entry in entries) for entries in found.values()}
    if len(names) > 1:
        raise InputError("--method", "methods of pictures and of focal stacks", "one of the two kinds at a time")
    page = out / "index.html"
    write_text(page, _page(found))
    return page


def _labels(methods: list[str]) -> list[str]:
    """A folder name for each: its own name or that of its folder or file, numbered where two are the same."""
    labels: list[str] = []
    for method in methods:
        stem = Path(method.removeprefix("onnx:")).resolve().stem if "/" in method or ":" in method else method
        label, number = stem, 1
        while label in labels:
            number += 1
            label = f"{stem}-{number}"
        labels.append(label)
    return labels


def read_map(entry: Entry) -> Floats:
    """The float map that was written for an entry, (H, W).

    Raises:
        FormatError: it is gone or damaged.
    """
    path = entry.folder / f"{entry.name}.depth.tiff"
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.dtype != np.float32 or depth.ndim != 2:
        raise FormatError(path, "no float32 map", "the map that was just written")
    return np.asarray(depth, np.float32)


def agreement(depth: Floats, first: Floats) -> tuple[float, float]:
    """The factor that brings a map's median to the first one's, and the share of pixels then within 25 % of it."""
    factor = float(np.median(first) / np.median(depth))
    return factor, within(depth.astype(np.float64) * factor, first.astype(np.float64), 1.25)


def _page(found: dict[str, list[Entry]]) -> str:
    from scenewright.viewer.html import code, join, tag

    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Depth, compared"), code("style", STYLE + _FIGURES))
    first = next(iter(found))
    note = (
        f"Each picture's maps share one colour scale, that of {first}; red is near, blue is far. The others are "
        "multiplied by the factor stated below them, so that shapes can be compared; agreement with the first is no "
        "measure of truth."
    )
    links = join(tag("a", label, href=f"./{label}/index.html") for label in found)
    rows = zip(*found.values())
    body = tag("body", tag("h1", f"Depth by {len(found)} methods"), tag("p", note), tag("p", links),
               join(_section(dict(zip(found, row))) for row in rows))  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _section(row: dict[str, Entry]) -> Any:
    from scenewright.viewer.html import join, tag

    first = next(iter(row.values()))
    base = read_map(first)
    near, far = (float(x) for x in np.percentile(base, (2, 98)))
    figures = [tag("figure", tag("img", src=data_uri(first.image), alt=f"picture {first.name}"),
                   tag("figcaption", "picture"))]  # fmt: skip
    for label, entry in row.items():
        depth = read_map(entry)
        factor, share = agreement(depth, base)
        unit = "m" if entry.record["scale"] == "metric" else "(scale unknown)"
        text = f"{label}: median {np.median(depth):.2f} {unit}"
        if entry is not first:
            text += f"; x {factor:.2f}, then {100 * share:.0f} % within 25 % of the first"
        preview = thumbnail(depth_preview(depth * np.float32(factor), near, far))
        picture = tag("img", src=data_uri(preview), alt=f"{label} of {entry.name}")
        figures.append(tag("figure", picture, tag("figcaption", text)))
    return tag("section", tag("h2", first.name), join(figures))
