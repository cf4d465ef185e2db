"""`scenewright depth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from scenewright.cli.options import intrinsics_numbers, numbers


def command(
    images: tyro.conf.Positional[tuple[Path, ...]],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    method: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    intrinsics: str | None = None,
    fov: float | None = None,
    size: int = 1280,
    device: str = "cpu",
    focus: str | None = None,
    far_first: bool = False,
    align: bool = True,
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
        focus: with a method of focal stacks (ddff, or variance-of-laplacian, which needs no weights): the distances in
            metres at which a folder's pictures are focused, separated by commas; else the folder's focus.txt says
            them, or the scale is unknown.
        far_first: focal stacks without distances go from far to near.
        align: bring the pictures of a focal stack into register first; --no-align takes them as they are.
    """
    given = intrinsics_numbers(intrinsics)

    from scenewright.cli.show import progress_bar
    from scenewright.pipelines.depth import Options, predict_depth
    from scenewright.pipelines.depth_compare import compare_depth

    distances = numbers("--focus", focus)
    options = Options(method[0] if method else "fcrn", given, fov, size, device, distances, far_first, align)
    with progress_bar() as progress:
        if len(method) > 1:
            page = compare_depth(list(images), out, options, list(method), progress=progress)
        else:
            page = predict_depth(list(images), out, options, progress=progress)
    print(page.resolve())
    return 0
