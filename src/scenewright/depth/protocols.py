"""The frozen ways in which depth methods are measured here. A changed word changes the hash: then measure again."""

from __future__ import annotations

from scenewright.engine.scoreboard import Metric, Protocol

METRICS = (
    Metric("AbsRel scaled"),
    Metric("delta1 scaled", better="higher"),
    Metric("within10 scaled", better="higher"),
    Metric("AbsRel"),
    Metric("delta1", better="higher"),
    Metric("RMSE", "m"),
)
CAP_M = 10.0
_NOTES = "Means over images of per-image figures; 'scaled' columns after one factor per image."


def _protocol(name: str, dataset: str, split: str) -> Protocol:
    return Protocol(
        name, "depth", dataset, split, "none", f"{CAP_M:g} m", "none, and median per image", "none", METRICS, _NOTES
    )


PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        _protocol("rooms-test", "synthetic rooms", "20 rooms of unseen seeds, furniture and textures, 4 views each"),
        _protocol("redkitchen", "7-Scenes RedKitchen, 700 frames at 320x240, its own intrinsics", "every 20th frame"),
        _protocol("demo-clip", "the embedded demo clip, 130 frames at 360x240", "every 5th frame"),
        _protocol("tum-desk", "TUM RGB-D fr1/desk, 9 frames, undistorted", "all frames"),
        _protocol("rgbd-singles", "SUN RGB-D, single photos at 640x480, 525 pixels assumed", "all photos with depth"),
    )
}
"""By name. Real sets were never trained on; only rooms of the validation split and tum-desk may choose checkpoints."""

STRIDE = {"rooms-test": 1, "redkitchen": 20, "demo-clip": 5, "tum-desk": 1, "rgbd-singles": 1}
"""Each protocol uses every n-th item of its source."""
