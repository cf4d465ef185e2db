"""`scenewright localize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from scenewright.cli.options import intrinsics_numbers


def command(
    scene: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[tuple[Path, ...]],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    features: str = "sift",
    intrinsics: str | None = None,
) -> int:
    """Where in a reconstructed scene were photographs taken? Ends with 1 where none of them could be placed.

    Args:
        scene: a folder that `scenewright reconstruct` wrote.
        images: image files.
        out: the folder to write.
        features: sift, orb, a learned method, or DETECTOR+DESCRIBER.
        intrinsics: fx,fy,cx,cy of the photographs in their own pixels.
    """
    given = intrinsics_numbers(intrinsics)

    from scenewright.pipelines.localize import LocalizeOptions, localize_images

    answers = localize_images(scene, list(images), out, LocalizeOptions(features, given))
    for path, found in zip(images, answers):
        if found is None:
            print(f"{path.name}: not known")
        else:
            x, y, z = found.T_world_cam[:3, 3]
            print(f"{path.name}: {x:.3f} {y:.3f} {z:.3f} m, {found.inliers} inliers, +-{found.position_sd_m:.3f} m")
    return 0 if any(a is not None for a in answers) else 1
