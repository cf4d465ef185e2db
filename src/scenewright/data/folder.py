"""A plain folder of photographs, or a single one; intrinsics.txt beside them is honoured, else EXIF."""

from __future__ import annotations

from pathlib import Path

from scenewright.data.images import camera_from_exif, read_header
from scenewright.data.layout import NOMINAL_RATE_HZ, Entry, Layout, images_in, read_intrinsics
from scenewright.errors import FormatError


def read_folder(path: Path) -> Layout:
    """Read a folder of images in natural order of their names, or one image file; times are position / 30 Hz.

    Raises:
        FormatError: a folder without an image, naming the subfolders that hold some.
    """
    images = [path] if path.is_file() else images_in(path)
    if not images:
        inner = sorted(p.name for p in path.iterdir() if p.is_dir() and images_in(p))
        hint = (
            f"images (perhaps in its subfolder {', '.join(inner[:5])})" if inner else "JPEG, PNG, TIFF or WebP images"
        )
        raise FormatError(path, "no image", hint)
    entries = tuple(Entry(i / NOMINAL_RATE_HZ, image) for i, image in enumerate(images))
    intrinsics = images[0].parent / "intrinsics.txt"
    if intrinsics.exists():
        return Layout(entries, read_intrinsics(intrinsics), camera_file=str(intrinsics), timed=False)
    return Layout(entries, camera_from_exif(read_header(images[0])), "exif", str(images[0]), timed=False)
