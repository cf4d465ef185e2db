"""A handheld walk through a synthetic room, rendered as a clip folder with exact depth and poses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scenewright.data.images import write_depth_png, write_image
from scenewright.data.layout import NOMINAL_RATE_HZ
from scenewright.data.safe import read_text
from scenewright.errors import FormatError, InputError
from scenewright.files import write_json, write_text
from scenewright.geometry.camera import Camera
from scenewright.pipelines.worlds import parse_size
from scenewright.worlds.library import Library
from scenewright.worlds.plan import KINDS
from scenewright.worlds.render import FAST, Renderer
from scenewright.worlds.rooms import SPLITS, build_room
from scenewright.worlds.sensor import sensor_walk
from scenewright.worlds.walks import Walk, handheld_walk, random_camera

Progress = Callable[[int, int, str], None]
RECORD = "walk.json"


@dataclass(frozen=True)
class WalkOptions:
    """What is walked through, and how it is filmed. A walk is a pure function of these.

    Args:
        kind: of room, `plan.KINDS` with hyphens for spaces.
        seed: of room, walk and camera.
        split: "train", "validation" or "test".
        frames: 3 to 5000.
        rate_hz: frames per second; divides the clip layout's 30.
        size: WxH of a frame, pixels.
        library: mix in the furniture models that are installed.
        sensor: film with a random real camera (noise, blur, drifting exposure); False is a clean one.
    """

    kind: str
    seed: int = 0
    split: str = "test"
    frames: int = 300
    rate_hz: int = 15
    size: str = "320x240"
    library: bool = True
    sensor: bool = True

    def __post_init__(self) -> None:
        if self.kind.replace("-", " ") not in KINDS:
            raise InputError("kind of room", repr(self.kind), f"one of {', '.join(k.replace(' ', '-') for k in KINDS)}")
        if self.split not in SPLITS:
            raise InputError("--split", repr(self.split), f"one of {', '.join(SPLITS)}")
        if self.seed < 0 or not 3 <= self.frames <= 5000:
            raise InputError("--seed, --frames", f"{self.seed}, {self.frames}", "a seed from 0 on, 3 to 5000 frames")
        if self.rate_hz < 1 or NOMINAL_RATE_HZ % self.rate_hz:
            raise InputError("--rate", self.rate_hz, f"a divisor of {NOMINAL_RATE_HZ:g}")
        parse_size(self.size)


def walk(folder: str | Path, options: WalkOptions, *, progress: Progress = lambda done, total, what: None) -> Path:
    """Film a walk into a clip folder (see `data.clip`); frames that are there already are kept.

    Args:
        folder: gets color/, depth/, poses.txt, intrinsics.txt, and walk.json with the options.

    Raises:
        InputError: a folder that holds another walk, or a room without free floor.
    """
    folder = Path(folder)
    _claim(folder / RECORD, options)
    library = Library.installed() if options.library else None
    room = build_room(options.seed, options.split, options.kind.replace("-", " "), library)
    renderer, rng = Renderer(room), np.random.default_rng([options.seed, SPLITS.index(options.split), 42])
    camera = random_camera(rng, *parse_size(options.size))
    way = handheld_walk(renderer, rng, options.frames, options.rate_hz)
    sensors = sensor_walk(rng, options.frames, camera.width)
    names = frame_names(options.frames, options.rate_hz)
    _write_lists(folder, camera, way, names)
    for n, (name, T, sensor) in enumerate(zip(names, way.T_world_cam, sensors)):
        image = folder / "color" / f"{name}.jpg"
        if not image.exists():
            shot = renderer.render(camera, T, seed=n, sensor=sensor if options.sensor else None, quality=FAST)
            write_depth_png(folder / "depth" / f"{name}.png", shot.depth_m, camera)
            write_image(image, shot.image)  # last: a frame whose picture is there is complete
        progress(n + 1, options.frames, "rendering frames")
    return folder


def frame_names(frames: int, rate_hz: int) -> list[str]:
    """The clip layout reads times from names: number / 30 s."""
    step = round(NOMINAL_RATE_HZ / rate_hz)
    return [f"{n * step:05d}" for n in range(frames)]


def _claim(record: Path, options: WalkOptions) -> None:
    """Leave the options in a new folder; refuse one of other options."""
    wanted: dict[str, Any] = dict(vars(options))
    if record.exists():
        try:
            found = json.loads(read_text(record, 1 << 16))
        except (ValueError, RecursionError) as error:
            raise FormatError(record, repr(error), "the record that `worlds walk` wrote") from None
        if found != wanted:
            raise InputError(record, found, f"{wanted}, or another folder")
    elif record.parent.exists() and any(record.parent.iterdir()):
        raise InputError(record.parent, "files of something else", "a new or empty folder")
    write_json(record, wanted)


def _write_lists(folder: Path, camera: Camera, way: Walk, names: list[str]) -> None:
    fx, fy, cx, cy = camera.numbers
    write_text(
        folder / "intrinsics.txt",
        "# width height fx fy cx cy (pinhole; pixel centres at integers)\n"
        f"{camera.width} {camera.height} {fx:.6f} {fy:.6f} {cx:.6f} {cy:.6f}\n",
    )
    quaternions_xyzw: NDArray[np.float64] = Rotation.from_matrix(way.T_world_cam[:, :3, :3]).as_quat()
    rows = np.concatenate([way.T_world_cam[:, :3, 3], quaternions_xyzw], 1)
    lines = [f"{name} " + " ".join(f"{x:.9f}" for x in row) for name, row in zip(names, rows)]
    head = "# frame tx ty tz qx qy qz qw   (camera-to-world, metres, camera axes x right, y down, z forward)"
    write_text(folder / "poses.txt", "\n".join([head, *lines]) + "\n")


def fingerprint(walks: Sequence[Path]) -> str:
    """SHA-256 of the records of walks, from which rooms, paths and pictures follow."""
    digest = hashlib.sha256()
    for walk in walks:
        digest.update((walk / RECORD).read_bytes())
    return digest.hexdigest()
