from __future__ import annotations

from pathlib import Path

import pytest

from sample_scene import fill, make_manifest
from scenewright.scene.scene import Scene


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A finished Scene folder."""
    folder = tmp_path / "out"
    with Scene.create(folder, make_manifest()) as scene:
        fill(scene)
    return folder
