"""Miniatures of every layout, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """An RGB picture that tells its number (blue), its columns (red) and its rows (green)."""
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 3, v * 4, np.full_like(u, number * 10)], axis=2).astype(np.uint8)


def save(path: Path, image: NDArray[np.generic]) -> Path:
    """Store an array as it is (RGB or 16-bit grey)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def clip(folder: Path, frames: int = 4) -> Path:
    for i in range(frames):
        save(folder / "color" / f"{i + 7:05d}.png", picture(i))
        save(folder / "depth" / f"{i + 7:05d}.png", np.full((HEIGHT, WIDTH), 1000 + i, np.uint16))
    poses = [f"{i + 7:05d} {i} 0 0 0 0 0 1" for i in range(frames)]
    (folder / "poses.txt").write_text("# frame tx ty tz qx qy qz qw\n" + "\n".join(poses) + "\n")
    (folder / "intrinsics.txt").write_text(f"{WIDTH} {HEIGHT} 60 61 31 23\n")
    return folder


def tum(folder: Path, frames: int = 4) -> Path:
    """Colour at 0.00, 0.10 ... s, depth 0.01 s later; the truth moves 1 m per second along x."""
    rgb, depth = ["# color images"], ["# depth maps"]
    for i in range(frames):
        save(folder / "rgb" / f"{i}.png", picture(i, 640, 480))
        save(folder / "depth" / f"{i}.png", np.full((480, 640), 5000 + 5 * i, np.uint16))
        rgb.append(f"{i / 10:.2f} rgb/{i}.png")
        depth.append(f"{i / 10 + 0.01:.2f} depth/{i}.png")
    (folder / "rgb.txt").write_text("\n".join([*rgb, "9.0 rgb/absent.png"]) + "\n")
    (folder / "depth.txt").write_text("\n".join([*depth, "9.0 depth/absent.png"]) + "\n")
    truth = [f"{t:.3f} {t:.3f} 0 0 0 0 0 1" for t in np.arange(-0.005, 1, 0.01)]
    (folder / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    return folder


def seven_scenes(folder: Path, frames: int = 3) -> Path:
    for i in range(frames):
        save(folder / f"frame-{i:06d}.color.png", picture(i, 640, 480))
        depth = np.full((480, 640), 2000, np.uint16)
        depth[:40] = 65535
        save(folder / f"frame-{i:06d}.depth.png", depth)
        rows = np.eye(4)
        rows[0, 3] = i
        np.savetxt(folder / f"frame-{i:06d}.pose.txt", rows)
    return folder


def images(folder: Path, frames: int = 4) -> Path:
    for i in range(frames):
        save(folder / f"frame{i + 8}.png", picture(i))  # 8, 9, 10, 11: natural order is not that of the letters
    return folder


def video(path: Path, frames: int = 12, codec: str = "mp4v", width: int = WIDTH, height: int = HEIGHT) -> Path:
    """A film whose upper left corner is bright and whose brightness elsewhere tells the frame's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 20, (width, height))
    assert writer.isOpened()
    for i in range(frames):
        frame = np.full((height, width, 3), 10 * i % 250, np.uint8)
        frame[: height // 2, : width // 2] = (0, 0, 255)  # red, in OpenCV's order
        writer.write(frame)
    writer.release()
    return path


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "clip": clip,
    "tum": tum,
    "seven_scenes": seven_scenes,
    "folder": images,
    "video": lambda folder: video(folder / "film.mp4"),
}


class Make:
    """The builders, for tests."""

    picture = staticmethod(picture)
    save = staticmethod(save)
    clip = staticmethod(clip)
    tum = staticmethod(tum)
    seven_scenes = staticmethod(seven_scenes)
    images = staticmethod(images)
    video = staticmethod(video)
    layouts = LAYOUTS


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """Builders of miniature layouts."""
    return Make
