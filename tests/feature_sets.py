"""Miniatures of the data sets of local features, made on the spot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PLANE = np.array([[0.9, 0.12, 8.0], [-0.1, 0.95, 14.0], [2e-4, -1e-4, 1.0]])
"""The homography of every miniature plane from picture 1 to all others."""


def squares(seed: int, width: int = 160, height: int = 120) -> np.ndarray:
    """(H, W, 3) uint8 of random squares, a little blurred."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128, np.uint8)
    for _ in range(width * height // 250):
        x, y, s = rng.integers(0, width), rng.integers(0, height), rng.integers(5, 30)
        image[y : y + s, x : x + s] = rng.integers(0, 256, 3)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def save(path: Path, image: np.ndarray) -> Path:
    """Store RGB or grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def patch(number: int) -> np.ndarray:
    """(64, 64) uint8: patches 2k and 2k + 1 show the same, but for a few grey levels of noise."""
    rng = np.random.default_rng(number)
    grey = cv2.cvtColor(squares(number // 2, 64, 64), cv2.COLOR_RGB2GRAY).astype(int)
    return np.clip(grey + rng.integers(-6, 7, grey.shape), 0, 255).astype(np.uint8)


def photo_tour(folder: Path, patches: int = 20, pairs: int = 12) -> Path:
    """Sheets, points and one list in which every second pair matches."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = np.zeros((-(-patches // 256), 1024, 1024), np.uint8)
    for n in range(patches):
        sheet, place = divmod(n, 256)
        y, x = 64 * (place // 16), 64 * (place % 16)
        sheets[sheet, y : y + 64, x : x + 64] = patch(n)
    for k, pixels in enumerate(sheets):
        save(folder / f"patches{k:04d}.bmp", pixels)
    (folder / "info.txt").write_text("".join(f"{100 + n // 2} 0\n" for n in range(patches)))
    lines = []
    for k in range(pairs):
        a = 2 * (k % (patches // 2))
        b = a + 1 if k % 2 == 0 else (a + 5) % patches
        lines.append(f"{a} {100 + a // 2} 0 {b} {100 + b // 2} 0 \n")
    (folder / f"m50_{pairs}_{pairs}_0.txt").write_text("".join(lines))
    return folder


def plane(folder: Path, pictures: dict[int, str], homography: str, seed: int = 0) -> Path:
    """A sequence: picture 1 and its warped copies.

    Args:
        pictures: number -> file name. homography: name of the file, with {} for the number.
    """
    first = squares(seed)
    for number, name in pictures.items():
        image = first if number == 1 else cv2.warpPerspective(first, PLANE, (160, 120))
        save(folder / name, image)
        if number != 1:
            np.savetxt(folder / homography.format(number), PLANE)
    return folder


def hpatches(folder: Path) -> Path:
    """Two sequences of three pictures."""
    for k, name in enumerate(("i_ajuntament", "v_abstract")):
        plane(folder / name, {n: f"{n}.ppm" for n in (1, 2, 3)}, "H_1_{}", k)
    return folder


def sliding_clip(folder: Path, frames: int = 8) -> Path:
    """A camera that steps 8 pixels to the right, frame by frame, along a wall two metres away."""
    wide = squares(5, 160 + 8 * frames)
    for i in range(frames):
        save(folder / "color" / f"{i:05d}.png", wide[:, 8 * i : 8 * i + 160])
        save(folder / "depth" / f"{i:05d}.png", np.full((120, 160), 2000, np.uint16))
    poses = [f"{i:05d} {8 * i * 2.0 / 100} 0 0 0 0 0 1" for i in range(frames)]
    (folder / "poses.txt").write_text("\n".join(poses) + "\n")
    (folder / "intrinsics.txt").write_text("160 120 100 100 79.5 59.5\n")
    return folder
