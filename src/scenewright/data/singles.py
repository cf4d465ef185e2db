"""Single RGB-D photographs in one folder: NAME_rgb.jpg, and NAME_depth_mm.png beside those that have depth.

Photographs of SUN RGB-D (Song et al., CVPR 2015) and NYU Depth v2 can be laid out so, with depth in millimetres.
"""

from __future__ import annotations

from pathlib import Path

from scenewright.data.images import read_header
from scenewright.data.layout import NOMINAL_RATE_HZ, Entry, Layout, images_in, read_intrinsics
from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera

_COLOUR, _DEPTH = "_rgb", "_depth_mm.png"
_PRIMESENSE = (525.0, 525.0, 319.5, 239.5)
"""What the sensors' driver assumes for 640x480; each unit differs by a few percent."""


def is_singles(folder: Path) -> bool:
    """Whether a folder holds at least one photograph with depth by these names."""
    return any(depth.name.endswith(_DEPTH) and _colours(folder, depth) for depth in folder.glob(f"*{_DEPTH}"))


def _colours(folder: Path, depth: Path) -> list[Path]:
    stem = depth.name.removesuffix(_DEPTH) + _COLOUR
    return [image for image in images_in(folder) if image.stem == stem]


def read_singles(folder: Path) -> Layout:
    """Read the photographs in order of their names, those without depth, too; times are position / 30 Hz.

    The camera is `intrinsics.txt` where there is one, else the PrimeSense sensors' default at 640x480, else unknown.

    Raises:
        FormatError: a depth map whose photograph is not there, or damaged intrinsics.
    """
    images = [image for image in images_in(folder) if image.stem.endswith(_COLOUR)]
    stems = {image.stem.removesuffix(_COLOUR) for image in images}
    for depth in sorted(folder.glob(f"*{_DEPTH}")):
        if depth.name.removesuffix(_DEPTH) not in stems:
            raise FormatError(
                depth, "depth alone", f"{depth.name.removesuffix(_DEPTH)}{_COLOUR}.jpg (or .png) beside it"
            )
    entries = tuple(Entry(i / NOMINAL_RATE_HZ, image, _depth(image)) for i, image in enumerate(images))
    intrinsics = folder / "intrinsics.txt"
    if intrinsics.exists():
        return Layout(entries, read_intrinsics(intrinsics), camera_file=str(intrinsics), timed=False)
    usual = read_header(images[0]).upright_size == (640, 480)
    camera = Camera.from_parameters(640, 480, *_PRIMESENSE) if usual else None
    return Layout(entries, camera, "guess", str(images[0]), timed=False)


def _depth(image: Path) -> Path | None:
    path = image.with_name(image.stem.removesuffix(_COLOUR) + _DEPTH)
    return path if path.exists() else None
