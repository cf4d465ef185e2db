"""The frozen ways in which a whole reconstruction is measured here."""

from __future__ import annotations

from scenewright.engine.scoreboard import Metric, Protocol

METRICS = (
    Metric("ate_sim3_m", "m"),
    Metric("ate_se3_m", "m"),
    Metric("scale_error", "%", digits=1),
    Metric("posed_share", "%", "higher", 1),
    Metric("pcd10_scaled", "%", "higher", 1),
    Metric("pcd10_scaled_network", "%", "higher", 1),
    Metric("pcd10_scaled_stereo", "%", "higher", 1),
    Metric("pcd10_scaled_constant", "%", "higher", 1),
    Metric("pcd10_raw", "%", "higher", 1),
    Metric("pcd10_raw_constant", "%", "higher", 1),
)
_NOTES = (
    "scale_error: how far estimated size over true size is from 1, before any alignment. "
    "ATE: root mean square of camera positions. pcd10: share of all keyframe pixels with true depth whose depth lies "
    "within 10 % of it, 'scaled' after one factor for the clip; 'constant' is the clip's median depth, or 2 m for raw."
)


def _protocol(name: str, dataset: str) -> Protocol:
    return Protocol(
        name, "slam", dataset, "all frames", "none", "none", "none; 'scaled' after one factor per clip",
        "rigid (se3) and similarity (sim3)", METRICS, _NOTES,
    )  # fmt: skip


PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        _protocol("demo-clip", "the embedded demo clip, 130 frames at 5 Hz"),
        _protocol("redkitchen", "7-Scenes RedKitchen, 700 frames at 30 Hz, 320x240, its own intrinsics"),
    )
}
