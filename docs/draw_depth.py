"""Makes the pictures of docs/depth.md: `python docs/draw_depth.py --data FOLDER`.

depth.jpg: one picture of each real set, its true depth, and what every depth method with shipped weights says.
focus.jpg: a real focal stack, what the variance of the Laplacian says, and what the learned method does.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.focal_folder import read_focal_folder
from scenewright.data.sample import image_tensor
from scenewright.data.sequences import guessed_camera
from scenewright.depth.evaluate import method_predictor
from scenewright.depth.focus import VarianceOfLaplacian
from scenewright.depth.task import DepthSample
from scenewright.engine.table import list_methods
from scenewright.engine.weights import list_weights, load
from scenewright.files import write_bytes
from scenewright.pipelines.data_sources import samples_of

Image = NDArray[np.uint8]
IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 300_000
SETS = (
    ("rgbd_7scenes_redkitchen", 200),
    ("demo_clip", 40),
    ("rgbd_singles", 0),
    ("stereo_middlebury", 0),
    ("mono_kitti_highway", 20),
)
"""Folder of each set, and which of its items with true depth is shown."""
HEIGHT, HEAD = 108, 16


def coloured(depth: NDArray[np.float32], truth: NDArray[np.float32]) -> Image:
    """Log depth, red near and blue far by the truth's range; scaled to its median; unknown depth is grey."""
    known = truth > 0
    near, far = np.log(np.percentile(truth[known], (2, 98)))
    seen = depth > 0
    scale = np.median(truth[known]) / np.median(depth[known & seen])
    place = (np.log(np.where(seen, depth * scale, 1)) - near) / max(far - near, 1e-6)
    bgr = cv2.applyColorMap((255 * (1 - np.clip(place, 0, 1))).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(seen[..., None], bgr[..., ::-1], 190).astype(np.uint8)


def thick(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sparse depth with each point made 5 pixels wide, so that it can be seen."""
    sparse = (depth > 0).mean() < 0.3
    return cv2.dilate(depth, np.ones((5, 5), np.uint8)) if sparse else depth


def cell(picture: Image, title: str, width: int) -> Image:
    """A picture of one size with its title above it."""
    body = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    head = np.full((HEAD, width, 3), 255, np.uint8)
    cv2.putText(head, title, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, body])


def row(cells: list[tuple[str, Image]]) -> Image:
    """Cells side by side."""
    height, width = cells[0][1].shape[:2]
    return np.concatenate([cell(p, t, min(176, round(HEIGHT * width / height))) for t, p in cells], 1)


def stacked(rows: list[Image]) -> Image:
    """Rows under each other, white to the right of short ones."""
    width = max(r.shape[1] for r in rows)
    return np.concatenate([np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows])


def picture(sample: DepthSample, methods: dict[str, Any]) -> Image:
    """One sample's row."""
    truth = sample.depth_m[0, 0].numpy()
    image = np.rint(255 * sample.image[0].permute(1, 2, 0).numpy()).astype(np.uint8)
    cells = [("picture", image), ("true depth", coloured(thick(truth), truth))]
    return row(cells + [(n, coloured(method_predictor(m, False)(sample), truth)) for n, m in methods.items()])


def focus(folder: Path, methods: dict[str, Any]) -> Image:
    """The first, middle and last slice of a real stack, and depth by each method, coloured by its own range."""
    stack, focus_m = read_focal_folder(folder)
    count, height, width = stack.shape[:3]
    small = (320, round(320 * height / width))
    tensor = torch.cat([image_tensor(cv2.resize(p, small, interpolation=cv2.INTER_AREA)) for p in stack])[None]
    given = None if focus_m is None else torch.from_numpy(focus_m)[None]
    camera = guessed_camera(*small)
    cells = [(f"slice {k + 1} of {count}", stack[k]) for k in (0, count // 2, count - 1)]
    for name, method in methods.items():
        found = method.predict(tensor, camera, given).depth_m[0, 0].numpy()
        cells.append((name, coloured(found, found)))
    return row(cells)


def save(name: str, whole: Image) -> None:
    """Write a JPEG at the best quality that stays below the limit."""
    for quality in (90, 82, 74, 64, 52, 40):
        coded = bytes(cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
        if len(coded) < MOST_BYTES:
            break
    write_bytes(IMAGES / name, coded)
    print(f"{IMAGES / name}: {whole.shape[1]}x{whole.shape[0]}, {len(coded) // 1000} kB, quality {quality}")


def main() -> None:
    """Make both pictures from what weights there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real sets")
    options = parser.parse_args()
    shipped = set(list_weights())
    methods = {name: load(name).eval() for name in list_methods("depth") if name in shipped}
    rows = []
    for name, index in SETS:
        items = (s for s in samples_of(str(options.data / name), 1) if bool((s.depth_m > 0).any()))
        sample = next(islice(items, index, None), None)
        rows += [] if sample is None else [picture(sample, methods)]
    save("depth.jpg", stacked(rows))
    by_focus = {"variance of Laplacian": VarianceOfLaplacian()}
    by_focus |= {name: load(name).eval() for name in list_methods("focus") if name in shipped}
    save("focus.jpg", focus(options.data / "dff_switch", by_focus))


if __name__ == "__main__":
    main()
