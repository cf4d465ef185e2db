"""The semantic classes of every labelled picture, map and voxel grid: the twelve of SSCNet (Song et al., CVPR 2017)."""

from __future__ import annotations

LABELS: tuple[str, ...] = (
    "unknown",
    "ceiling",
    "floor",
    "wall",
    "window",
    "chair",
    "bed",
    "sofa",
    "table",
    "tv",
    "furniture",
    "objects",
)
"""Class names by index. 0 means empty in a voxel grid and unknown in a picture; networks never predict it."""

COLOURS: tuple[tuple[int, int, int], ...] = (
    (40, 40, 40),
    (214, 234, 248),
    (176, 132, 92),
    (190, 190, 200),
    (120, 200, 255),
    (230, 90, 60),
    (155, 89, 182),
    (241, 148, 190),
    (244, 190, 60),
    (33, 97, 200),
    (88, 160, 90),
    (20, 180, 170),
)
"""RGB, 0-255, one per class, for pictures."""
