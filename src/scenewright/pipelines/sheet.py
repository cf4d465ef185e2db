"""A page of pictures of a measurement: the best and the worst items, with what was predicted, what is true, and how far
the two are apart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import write_image
from scenewright.depth.evaluate import Predictor, Scores, measurable
from scenewright.depth.protocols import CAP_M
from scenewright.depth.task import DepthSample
from scenewright.errors import InputError

ROWS = 4
COLUMNS = ("picture", "predicted", "true", "relative error")
LARGEST_ERROR = 0.5
_CELL_IN, _FOOT_IN, _HEAD_IN = 1.5, 0.24, 0.62
_CHARACTERS_PER_IN = 14

FloatImage = NDArray[np.float32]


def write_sheet(
    path: Path, title: str, predict: Predictor, samples: Iterable[Any], scores: Scores, cap_m: float = CAP_M
) -> None:
    """Draw the items with the smallest and the largest scaled AbsRel, four of each or fewer: no item is shown twice.

    Args:
        path: .png or .jpg.
        title: what was measured.
        predict: the predictor that `scores` belongs to.
        samples: the items again, in the order of `scores.per_image`.
        scores: of `score`.
        cap_m: as it was given to `score`.

    Raises:
        InputError: no item, or items other than those that were scored.
    """
    best, worst = chosen(scores)
    shown = {i: (s, predict(s)) for i, s in enumerate(measurable(samples, cap_m)) if i in {*best, *worst}}
    if len(shown) < len({*best, *worst}):
        raise InputError("sheet", f"{len(shown)} items", "the items that were scored")
    write_image(path, _page(title, [("best", best), ("worst", worst)], shown, scores, cap_m))


def chosen(scores: Scores) -> tuple[list[int], list[int]]:
    """Indices of the best items, best first, and of the worst, worst first.

    Raises:
        InputError: nothing was scored.
    """
    if not scores.per_image:
        raise InputError("sheet", "no item with true depth", "at least one")
    order = np.argsort([scaled["AbsRel"] for _, scaled in scores.per_image], kind="stable").tolist()
    best = order[:ROWS]
    return best, order[len(best) :][::-1][:ROWS]


def median_scaled(predicted: FloatImage, truth: FloatImage, cap_m: float = CAP_M) -> FloatImage:
    """The prediction times the factor of the 'scaled' figures: the ratio of both medians where the truth counts."""
    valid = (truth > 1e-3) & (truth < cap_m)
    return predicted * np.float32(np.median(truth[valid]) / np.median(predicted[valid]))


def relative_error(predicted: FloatImage, truth: FloatImage, cap_m: float = CAP_M) -> FloatImage:
    """(p - g) / g, NaN where the truth is unknown or beyond the cap."""
    valid = (truth > 1e-3) & (truth < cap_m)
    return np.where(valid, (predicted - truth) / np.where(valid, truth, 1), np.nan).astype(np.float32)


def _page(
    title: str,
    blocks: list[tuple[str, list[int]]],
    shown: dict[int, tuple[DepthSample, FloatImage]],
    scores: Scores,
    cap_m: float,
) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blocks = [(name, items) for name, items in blocks if items]
    height, width = next(iter(shown.values()))[0].depth_m.shape[-2:]
    cell = (_CELL_IN * width / height, _CELL_IN + _FOOT_IN)
    rows = max(len(items) for _, items in blocks)
    size = (4 * cell[0] * len(blocks) + 0.3 * (len(blocks) + 1), rows * cell[1] + _HEAD_IN + 0.5)
    figure = Figure(figsize=size, dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.3 / size[0], 1 - 0.22 / size[1], title, fontsize=11, weight="bold", va="center")
    for b, (name, items) in enumerate(blocks):
        left = 0.3 + b * (4 * cell[0] + 0.3)
        for r, item in enumerate(items):
            top = _HEAD_IN + r * cell[1]
            _row(figure, size, (left, top, cell[0]), name, shown[item], scores.per_image[item], cap_m, first=r == 0)
            text = _caption(item, *scores.per_image[item])
            figure.text(left / size[0], 1 - (top + _CELL_IN + 0.1) / size[1], text, fontsize=8, va="center")
    _legend(figure, size)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _row(
    figure: Any,
    size: tuple[float, float],
    place: tuple[float, float, float],
    block: str,
    item: tuple[DepthSample, FloatImage],
    figures: tuple[dict[str, float], dict[str, float]],
    cap_m: float,
    first: bool,
) -> None:
    """Four pictures side by side; depth in the same colours on the predicted and the true one."""
    sample, predicted = item
    truth = sample.depth_m[0, 0].numpy()
    scaled = median_scaled(predicted, truth, cap_m)
    known = np.where(truth > 0, truth, np.nan)
    near, far = np.nanpercentile(known, (2, 98))
    left, top, width = place
    depth = {"cmap": "turbo_r", "vmin": near, "vmax": far}
    error = {"cmap": "RdBu", "vmin": -LARGEST_ERROR, "vmax": LARGEST_ERROR}
    image = sample.image[0].permute(1, 2, 0).numpy()
    pictures: list[tuple[FloatImage, dict[str, Any]]] = [
        (image, {}), (scaled, depth), (known, depth), (relative_error(scaled, truth, cap_m), error)
    ]  # fmt: skip
    for c, (picture, style) in enumerate(pictures):
        box = (
            (left + c * width) / size[0],
            1 - (top + _CELL_IN) / size[1],
            0.985 * width / size[0],
            _CELL_IN / size[1],
        )
        axes = figure.add_axes(box)
        axes.set_facecolor("0.75")
        axes.imshow(picture, aspect="auto", interpolation="nearest" if c else "antialiased", **style)
        axes.set_xticks([])
        axes.set_yticks([])
        if first:
            axes.set_title(f"{block}: {COLUMNS[c]}" if c == 0 else COLUMNS[c], fontsize=9, pad=3)


def _caption(item: int, raw: dict[str, float], scaled: dict[str, float]) -> str:
    return (
        f"item {item}   scaled: AbsRel {scaled['AbsRel']:.3f}, delta1 {scaled['delta1']:.2f}, within 10 % "
        f"{scaled['within10']:.2f}   as predicted: AbsRel {raw['AbsRel']:.3f}, RMSE {raw['RMSE']:.2f} m"
    )


def _legend(figure: Any, size: tuple[float, float]) -> None:
    text = (
        "Depth: red near, blue far, by each item's true depth, predictions scaled by one factor per item.   "
        f"Error: red too near, blue too far, full colour at {LARGEST_ERROR:.0%}.   Grey: truth unknown."
    )
    lines = "\n".join(textwrap.wrap(text, int(_CHARACTERS_PER_IN * (size[0] - 0.6))))
    figure.text(0.3 / size[0], 0.4 / size[1], lines, fontsize=8, va="top", color="0.25")
