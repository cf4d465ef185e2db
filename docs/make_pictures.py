"""Makes the pictures of README.md and docs/worlds.md: `python docs/make_pictures.py [--scene out/demo]`.

rooms.jpg: a sheet of synthetic rooms. truth.jpg: what is known of every pixel. roads.jpg: pairs of streets. report.jpg:
the report of a scene, as Chromium shows it; left as it is where there is no such scene or no Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.files import write_bytes
from scenewright.labels import COLOURS
from scenewright.pipelines.worlds import preview
from scenewright.worlds.library import Library
from scenewright.worlds.model import Rendered
from scenewright.worlds.plan import KINDS
from scenewright.worlds.render import BEST, Renderer
from scenewright.worlds.rooms import build_room
from scenewright.worlds.sensor import Sensor
from scenewright.worlds.walks import sample_view

Image = NDArray[np.uint8]
IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 300_000
COLUMNS, ROWS = 4, 3
FLAGS = ("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars")


def view(seed: int, kind: str, size: tuple[int, int], library: Library | None) -> Rendered:
    """One view of one room."""
    renderer = Renderer(build_room(seed, "test", kind, library))
    found = sample_view(renderer, np.random.default_rng([seed, 7]), size)
    return renderer.render(found.camera, found.T_world_cam, seed=seed, sensor=Sensor(), quality=BEST)


def sheet(pictures: list[Image], columns: int, gap: int = 4) -> Image:
    """Pictures of one size side by side, white between them."""
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = divmod(number, columns)
        top, left = y * (height + gap), x * (width + gap)
        whole[top : top + height, left : left + width] = picture
    return whole


def truth(shot: Rendered) -> list[Image]:
    """Colour, depth, normals and labels of a view as pictures."""
    logs = np.log(np.maximum(shot.depth_m, 0.1))
    near = 1 - (logs - logs.min()) / np.ptp(logs)
    depth = cv2.applyColorMap((255 * near).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]
    normals = np.rint(127.5 * (1 + np.clip(shot.normal_cam, -1, 1))).astype(np.uint8)
    return [shot.image, np.ascontiguousarray(depth), normals, np.array(COLOURS, np.uint8)[shot.labels]]


def save(name: str, picture: Image) -> None:
    """Write a JPEG at the best quality that stays below the limit."""
    for quality in (90, 85, 80, 72, 64, 55, 45):
        coded = bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
        if len(coded) < MOST_BYTES:
            break
    write_bytes(IMAGES / name, coded)
    print(f"{IMAGES / name}: {picture.shape[1]}x{picture.shape[0]}, {len(coded) // 1000} kB, quality {quality}")


def roads(seed: int) -> Image:
    """A sheet of streets: left, right, depth, lidar."""
    with tempfile.TemporaryDirectory() as folder:
        path = preview("roads", Path(folder) / "roads.png", seed=seed, split="test", size="320x112")
        return np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]


def report(scene: Path, size: tuple[int, int] = (1280, 800)) -> None:
    """Let Chromium open a scene's report and take its picture."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    page = scene / "report.html"
    if program is None or not page.is_file():
        print(f"report.jpg left as it is: {'no Chromium' if program is None else f'no {page}'}")
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "shot.png"
        command = [program, *FLAGS, f"--user-data-dir={folder}/profile", "--virtual-time-budget=8000"]
        command += [f"--window-size={size[0]},{size[1]}", f"--screenshot={picture}", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        save("report.jpg", np.asarray(cv2.imread(str(picture)), np.uint8)[..., ::-1])


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--scene", type=Path, default=Path("out/demo"), help="a Scene folder with a report")
    parser.add_argument("--seed", type=int, default=100, help="of the first room")
    parser.add_argument("--skip-rooms", action="store_true", help="only the report's picture")
    options = parser.parse_args()
    if not options.skip_rooms:
        library = Library.installed()
        kinds = [KINDS[number % len(KINDS)] for number in range(COLUMNS * ROWS)]
        shots = [view(options.seed + n, kind, (300, 225), library) for n, kind in enumerate(kinds)]
        save("rooms.jpg", sheet([shot.image for shot in shots], COLUMNS))
        save("truth.jpg", sheet(truth(shots[6]), 4))
        save("roads.jpg", roads(options.seed))
    report(options.scene)


if __name__ == "__main__":
    main()
