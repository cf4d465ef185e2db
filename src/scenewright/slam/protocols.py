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
    Metric("mesh_f10", "%", "higher", 1),
    Metric("mesh_precision10", "%", "higher", 1),
    Metric("mesh_recall10", "%", "higher", 1),
)
_NOTES = (
    "scale_error: how far estimated size over true size is from 1, before any alignment. "
    "ATE: root mean square of camera positions. pcd10: share of all keyframe pixels with true depth whose depth lies "
    "within 10 % of it, 'scaled' after one factor for the clip; 'constant' is the clip's median depth, or 2 m for raw. "
    "mesh: 60,000 points of the mesh against the depth camera's at the keyframes, one each 2.5 cm and up to 6 m, at "
    "10 cm, after similarity alignment of positions and then of the surfaces; only where the depth camera measured."
)


def _protocol(name: str, dataset: str) -> Protocol:
    return Protocol(
        name, "slam", dataset, "all frames", "none", "none", "none; 'scaled' after one factor per clip",
        "rigid (se3) and similarity (sim3)", METRICS, _NOTES,
    )  # fmt: skip


WALKS = {"kitchen": 0, "office": 1, "living-room": 2, "bedroom": 3, "hall": 4}
"""Kinds and seeds of the rooms of the test split that `rooms-walks` walks through."""

ROOMS_WALKS = Protocol(
    "rooms-walks",
    "slam",
    "five synthetic rooms (kitchen 0, office 1, living-room 2, bedroom 3, hall 4), a handheld walk of 300 frames at "
    "15 Hz through each that ends where it began, 320x240, furniture models of Debian's sweethome3d-furniture, a "
    "random real camera's noise, blur, exposure and JPEG",
    "test",
    "none",
    "none",
    "none; 'scaled' after one factor per clip",
    "similarity for ate; for meshes rigid, by positions and turns of the cameras",
    (
        Metric("ate_percent", "% of path", digits=2),
        Metric("ate_worst", "% of path", digits=2),
        Metric("posed_share", "%", "higher", 1),
        Metric("scale_error", "%", digits=1),
        Metric("f_score_5cm", "%", "higher", 1),
        Metric("f_score_worst", "%", "higher", 1),
        Metric("pcd10_scaled", "%", "higher", 1),
        Metric("pcd10_scaled_network", "%", "higher", 1),
        Metric("revisit_open_cm", "cm", digits=1),
        Metric("revisit_cm", "cm", digits=1),
    ),
    "Means over the rooms; 'worst' is the worst room. ate: root mean square of camera positions. f_score_5cm: of "
    "200,000 points on each of two meshes, this one and the one that the same volume makes of every tenth frame's true "
    "depth and pose (what was seen, no more). pcd10: see demo-clip. revisit: how wrong the last pose is as seen from "
    "the first, where the walk is back, in true size; 'open' is the same run without the pose graph's edges beyond "
    "odometry and without features that tie keyframes far apart. 'sensor' takes the true depth for the network's; "
    "'as-printed' is Tateno 2017 without corner odometry, so that drift is the pose graph's alone to take back.",
)

ROOMS_LABELS = Protocol(
    "rooms-labels",
    "slam",
    "the five walks of rooms-walks",
    "test",
    "pixels of keyframes whose true class is known and whose ray meets the map",
    "none",
    "none",
    "none",
    (Metric("mIoU", "", "higher"), Metric("accuracy", "", "higher")),
    "Truth: the room's own classes in the keyframe's true pose, counts pooled over all walks; mIoU: mean over the "
    "classes that occur. Fused: the map's labels seen from the keyframe's estimated pose. Row 'single-frame': the "
    "network's labels of that keyframe alone, the same pixels.",
)

SPLIT_AT, PHOTOS = 500, 200
"""`localize-split`: the scene is made of so many frames, and the next ones are photographs."""

LOCALIZE_SPLIT = Protocol(
    "localize-split",
    "slam",
    "an RGB-D sequence with poses, 7-Scenes RedKitchen at 320x240 with its own intrinsics: a scene of frames 0-499 by "
    "`reconstruct` with its defaults, frames 500-699 as photographs",
    "frames 500-699",
    "none",
    "none",
    "'raw' none; else one factor for the scene",
    "of the scene's own path to its truth by where and how turned its cameras are, never of the photographs: "
    "similarity (sim3), raw rigid (se3)",
    (
        Metric("median_cm", "cm", digits=1),
        Metric("median_deg", "deg", digits=2),
        Metric("answered", "%", "higher", 1),
        Metric("within_5cm_5deg", "%", "higher", 1),
        Metric("wrong", "%", digits=1),
        Metric("raw_median_cm", "cm", digits=1),
        Metric("scene_cm", "cm", digits=1),
        Metric("scene_deg", "deg", digits=2),
    ),
    "Medians over the answered photographs. within: share of all. wrong: share of all that are answered more than "
    "50 cm off. scene: median error of the scene's own frames after the same alignment, about the least that its "
    "photographs can have. 'NAME-sensor': the scene was made with the sensor's depth.",
)

CUT = (50, 80)
"""`loops`: frames that are cut out of the middle of the clip."""

LOOPS = Protocol(
    "loops",
    "slam",
    "the embedded demo clip, 130 frames at 5 Hz; 'cut': without its frames 50-79",
    "all frames",
    "none",
    "none",
    "one factor per clip",
    "similarity (sim3)",
    (
        Metric("ate_sim3_m", "m"),
        Metric("edges", "", "higher", 0),
        Metric("cut_ate_sim3_m", "m"),
        Metric("cut_segments", "", digits=0),
        Metric("cut_posed", "%", "higher", 1),
    ),
    "Rows: the features that close loops and place lost cameras. edges: of the pose graph beyond odometry. "
    "cut_segments: pieces of map that stay unjoined; their ATE is that of all frames together, aligned at once.",
)

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        _protocol("demo-clip", "the embedded demo clip, 130 frames at 5 Hz"),
        _protocol("redkitchen", "7-Scenes RedKitchen, 700 frames at 30 Hz, 320x240, its own intrinsics"),
    )
}
