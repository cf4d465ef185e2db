"""`scenewright match`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from scenewright.cli.options import intrinsics_numbers


def command(
    first: tyro.conf.Positional[Path],
    second: tyro.conf.Positional[Path],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    method: str = "sift",
    count: int = 2000,
    size: int = 1024,
    model: str = "auto",
    intrinsics: str | None = None,
) -> int:
    """Match two photographs: matches, the geometry between them, COLMAP text, and a picture.

    Args:
        first: an image file.
        second: another.
        out: the folder to write.
        method: features: sift, orb, a learned method, or DETECTOR+DESCRIBER.
        count: most keypoints of each image.
        size: longest side at which features are looked for, pixels.
        model: "pose", "homography", or "auto": what more matches agree with.
        intrinsics: fx,fy,cx,cy of both images in pixels.
    """
    given = intrinsics_numbers(intrinsics)

    from scenewright.pipelines.match import MatchOptions, match_images

    print(match_images(first, second, out, MatchOptions(method, count, size, model, given)).resolve())
    return 0
