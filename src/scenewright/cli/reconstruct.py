"""`scenewright reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from scenewright.cli.options import intrinsics_numbers


def command(
    source: tyro.conf.Positional[str],
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    intrinsics: str | None = None,
    fov: float | None = None,
    depth: str = "fcrn",
    poses: str = "track",
    size: int = 320,
    every: int = 1,
    max_frames: int | None = None,
    device: str = "cpu",
    labels: bool = True,
    voxel: float = 0.025,
    features: str = "orb",
    resume: bool = True,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Turn a video into a metric, coloured, labelled 3-D scene with a report.

    Args:
        source: a video file, a folder of images, a TUM RGB-D, 7-Scenes or clip folder, or the word "demo".
        out: the Scene folder to write; NAME.scene when not given.
        intrinsics: fx,fy,cx,cy in pixels of the source's frames.
        fov: horizontal field of view in degrees, instead of intrinsics.
        depth: "sensor", a depth method with shipped weights, a folder of weights, or onnx:FILE, a foreign network.
        poses: "track", or "given" to take the source's own.
        size: longest side of the working images, pixels.
        every: use each n-th frame.
        max_frames: stop after so many frames.
        device: where networks run, "cpu" or "cuda".
        labels: fuse semantic labels into the map.
        voxel: edge of the map's voxels, metres.
        features: what finds places again, for loops and lost cameras: orb, sift, none, a learned method, or
            DETECTOR+DESCRIBER.
        resume: go on where a killed run of the same job stopped; --no-resume starts over.
        as_json: print the figures as JSON.
    """
    from scenewright.cli.show import figures_of, progress_bar
    from scenewright.pipelines.reconstruct import Options, reconstruct

    options = Options(
        intrinsics_numbers(intrinsics), fov, depth, poses, size, every, max_frames, labels, voxel, device, features
    )
    with progress_bar() as progress:
        scene = reconstruct(source, out, options, resume=resume, progress=progress)
    figures_of(scene, as_json)
    return 0
