"""Short clips for the tests of pipelines."""

from __future__ import annotations

import shutil
from pathlib import Path

from scenewright.data.assets import demo_clip_path


def short_clip(folder: Path, frames: int = 12, *, depth: bool = True, poses: bool = True) -> Path:
    """The first frames of the demo clip, with or without what a user's own film would not have."""
    source = demo_clip_path()
    for name in ("color", "depth")[: 2 if depth else 1]:
        (folder / name).mkdir(parents=True)
        for path in sorted((source / name).iterdir())[:frames]:
            shutil.copy(path, folder / name)
    for name in ("intrinsics.txt", "poses.txt")[: 2 if poses else 1]:
        shutil.copy(source / name, folder)
    return folder
