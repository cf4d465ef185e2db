"""Files that are installed with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from scenewright.errors import InputError


def demo_clip_path() -> Path:
    """The folder of the demo: 130 RGB-D frames of an office kitchen with poses, in the clip layout.

    Raises:
        InputError: a package installed without its assets.
    """
    return _asset("demo_clip")


def photos_path() -> Path:
    """The folder of free photographs that serve as textures.

    Raises:
        InputError: a package installed without its assets.
    """
    return _asset("photos")


def _asset(name: str) -> Path:
    path = Path(str(files("scenewright") / "assets" / name))
    if not path.is_dir():
        raise InputError(name, "no such folder in the installed package", "an installation with its assets")
    return path
