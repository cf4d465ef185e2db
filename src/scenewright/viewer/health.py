"""How tracking went, over time: the page's data per frame and its charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.scene.records import SceneFrame
from scenewright.viewer.charts import chart, status_key
from scenewright.viewer.html import Html, join, tag
from scenewright.viewer.records import ReportInput

MAX_FRAMES = 6000
_MATCH_S = 0.02  # TUM's own tolerance between a pose and its true one


@dataclass(frozen=True)
class Health:
    """The frames that the page knows, as columns of equal length.

    Args:
        frames: at most `MAX_FRAMES`, evenly spread.
        time_s: (N,) seconds from the first frame on; frame numbers where the source knows no times.
        axis: "s" or "frame": which of the two.
        error: (N,) distance from the true position, NaN where unknown.
        count: how many frames there were.
    """

    frames: Sequence[SceneFrame]
    time_s: NDArray[np.float64]
    error: NDArray[np.float64]
    count: int
    axis: str

    def column(self, name: str) -> NDArray[np.float64]:
        """A number of every frame; NaN where a lost frame has none."""
        values = np.array([getattr(frame, name) for frame in self.frames], np.float64)
        lost = np.array([frame.status == "lost" for frame in self.frames], bool)
        return values if name == "milliseconds" else np.where(lost, np.nan, values)


def health_of(report: ReportInput) -> Health:
    """Select the frames and match them with the true path."""
    frames = report.frames[:: max(1, -(-len(report.frames) // MAX_FRAMES))]
    absolute = np.array([frame.time_s for frame in frames], np.float64)
    axis = "s" if report.manifest.times == "source" else "frame"
    numbers = np.array([frame.index for frame in frames], np.float64)
    place = numbers if axis == "frame" else absolute - absolute[:1]
    return Health(frames, place, _errors(frames, absolute, report.truth), len(report.frames), axis)


def _errors(
    frames: Sequence[SceneFrame],
    time_s: NDArray[np.float64],
    truth: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> NDArray[np.float64]:
    errors = np.full(len(frames), np.nan)
    if truth is None or not len(truth[0]):
        return errors
    true_times, positions = truth
    for i, frame in enumerate(frames):
        match = int(np.abs(true_times - time_s[i]).argmin())
        if frame.T_world_cam is not None and abs(true_times[match] - time_s[i]) <= _MATCH_S:
            errors[i] = np.linalg.norm(frame.T_world_cam[:3, 3] - positions[match])
    return errors


def page_data(health: Health) -> dict[str, Any]:
    """The frames for the page's cursor."""
    return {
        "time": np.round(health.time_s, 4).tolist(),
        "axis": health.axis,
        "status": [frame.status for frame in health.frames],
        "pose": [_pose(frame) for frame in health.frames],
        "values": {
            "residual": _numbers(health.column("residual")),
            "usage": _numbers(health.column("usage") * 100),
            "milliseconds": _numbers(health.column("milliseconds")),
            "error": _numbers(health.error),
        },
    }


def _pose(frame: SceneFrame) -> list[float] | None:
    if frame.T_world_cam is None:
        return None
    return [float(f"{x:.6g}") for x in frame.T_world_cam[:3].reshape(-1)]


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{x:.4g}") if np.isfinite(x) else None for x in values]


def charts(health: Health, symbol: str) -> Html:
    """The charts with their key; a sentence where there is no frame."""
    if not len(health.frames):
        return tag("p", "No frame was recorded.", class_="note")
    statuses = [frame.status for frame in health.frames]
    common = (health, statuses)
    figures = [
        _chart("residual", "Photometric residual", "grey levels", health.column("residual"), common),
        _chart("usage", "Keyframe seen by the frame", "%", health.column("usage") * 100, common, "low"),
        _chart("milliseconds", "Time per frame", "ms", health.column("milliseconds"), common),
    ]
    if np.isfinite(health.error).any():
        figures.append(_chart("error", "Distance from the true path", symbol, health.error, common))
    return join([status_key(statuses), tag("div", join(figures), class_="charts")])


def _chart(
    key: str,
    title: str,
    unit: str,
    values: NDArray[np.float64],
    common: tuple[Health, list[str]],
    worst: str = "high",
) -> Html:
    health, statuses = common
    return chart(key, title, unit, health.time_s, values, statuses, worst, axis=health.axis)
