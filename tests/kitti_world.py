"""Miniatures of KITTI's layouts, with a calibration that the tests can compute by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, FOCAL, BASELINE = 124, 37, 72.0, 0.54
CX, CY = 61.0, 17.0


def save(path: Path, image: np.ndarray) -> Path:
    """Store an array as it is (RGB or 16-bit grey)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def picture(level: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A flat picture of one level."""
    return np.full((height, width, 3), level, np.uint8)


def calibration(day: Path) -> None:
    """Laser axes x forward, y left, z up become the camera's; camera 2 stands at the origin, 3 at +BASELINE."""
    day.mkdir(parents=True, exist_ok=True)
    rows = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02", "R_rect_00: 1 0 0 0 1 0 0 0 1"]
    rows.append(f"S_rect_02: {WIDTH:.6e} {HEIGHT:.6e}")
    for camera, x in ((2, 0.0), (3, BASELINE)):
        rows.append(f"P_rect_0{camera}: {FOCAL} 0 {CX} {-FOCAL * x} 0 {FOCAL} {CY} 0 0 0 1 0")
    (day / "calib_cam_to_cam.txt").write_text("\n".join(rows) + "\n")
    (day / "calib_velo_to_cam.txt").write_text("calib_time: x\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 -0.25\n")


def scan(path: Path, points: np.ndarray) -> None:
    """(N, 3) laser points as a .bin file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.concatenate([points, np.full((len(points), 1), 0.5)], 1).astype("<f4").tofile(path)


def raw(root: Path, frames: int = 2) -> Path:
    """A day with one drive; frame i sees one point straight ahead at 10 + i metres."""
    day = root / "2011_09_26"
    calibration(day)
    drive = day / "2011_09_26_drive_0001_sync"
    for i in range(frames):
        for camera, level in ((2, 50 + i), (3, 90 + i)):
            save(drive / f"image_0{camera}" / "data" / f"{i:010d}.png", picture(level))
        scan(drive / "velodyne_points" / "data" / f"{i:010d}.bin", np.array([[10.0 + i, 0, 0], [-5, 0, 0]]))
    return root
