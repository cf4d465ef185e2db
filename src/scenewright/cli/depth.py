"""`scenewright depth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from scenewright.cli.options import intrinsics_numbers


def command(
    images: tyro.conf.Positional[tuple[Path, ...]],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    method: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    intrinsics: str | None = None,
    fov: float | None = None,
    size: int = 1280,
    device: str = "cpu",
) -> int:
    """Depth maps, previews and point clouds of images, with one page that shows them all.

    Args:
        images: image files, folders of images, or videos.
        out: the folder to write; images that were finished there are not done again.
        method: a depth method with shipped weights, a folder of weights, or onnx:FILE, a foreign network; fcrn when
            not given. Given several times, each method writes into a folder of its own, and the page compares them.
        intrinsics: fx,fy,cx,cy in pixels of the images.
        fov: horizontal field of view in degrees, instead of intrinsics.
        size: longest side of the maps, pixels.
        device: "cpu" or "cuda".
    """
    given = intrinsics_numbers(intrinsics)

    from scenewright.cli.show import progress_bar
    from scenewright.pipelines.depth import Options, predict_depth
    from scenewright.pipelines.depth_compare import compare_depth

    options = Options(method[0] if method else "fcrn", given, fov, size, device)
    with progress_bar() as progress:
        if len(method) > 1:
            page = compare_depth(list(images), out, options, list(method), progress=progress)
        else:
            page = predict_depth(list(images), out, options, progress=progress)
    print(page.resolve())
    return 0
