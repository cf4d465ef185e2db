"""`scenewright convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def command(
    source: tyro.conf.Positional[Path],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    half: bool = False,
) -> int:
    """Bring published weights of other frameworks into Scenewright's format. Nothing in them is ever executed.

    Args:
        source: FCRN's NYU weights (.npy), or an ImageNet trunk (.pth, .pt, .safetensors): ResNet-50 with torchvision's
            names or EfficientNet-Lite0.
        out: a folder of weights (FCRN), or a .safetensors file (a trunk, for `scenewright train --trunk`).
        half: store FCRN's kernels as float16.
    """
    from scenewright.pipelines.convert import convert

    print(convert(source, out, half=half))
    return 0
