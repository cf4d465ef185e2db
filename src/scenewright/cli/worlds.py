"""`scenewright worlds preview`, `scenewright worlds generate` and `scenewright worlds walk`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def preview(
    kind: tyro.conf.Positional[str],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    seed: int = 0,
    count: int = 4,
    split: str = "train",
    size: str | None = None,
    library: bool = True,
) -> int:
    """A contact sheet of worlds, one row each: colour and what is known of every pixel; of pairs also the other view.

    Args:
        kind: of world: rooms, stereo-rooms, wide-rooms or roads.
        out: the picture, .png, .jpg or .webp.
        seed: of the first world.
        count: rows.
        split: train, validation or test.
        size: WIDTHxHEIGHT of one view, pixels; when not given 240x180, stereo-rooms 192x144, roads
            256x96.
        library: mix in the furniture models that are installed.
    """
    from scenewright.cli.show import progress_bar
    from scenewright.pipelines import worlds

    with progress_bar() as progress:
        path = worlds.preview(
            kind, out, seed=seed, count=count, split=split, size=size, library=library, progress=progress
        )
    print(path.resolve())
    return 0


def generate(
    kind: tyro.conf.Positional[str],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    count: int = 1000,
    views: int = 4,
    split: str = "train",
    workers: int = 1,
    size: str | None = None,
    library: bool = True,
) -> int:
    """Worlds rendered for training, as a folder of shards; a run that was stopped goes on.

    Args:
        kind: of world: rooms, stereo-rooms (rectified pairs), wide-rooms (pairs from places well apart) or roads
            (pairs with lidar).
        out: the folder.
        count: how many worlds, in all.
        views: of each world.
        split: train, validation or test.
        workers: processes.
        size: WIDTHxHEIGHT of one view, pixels; when not given 240x180, stereo-rooms 192x144, roads
            256x96.
        library: mix in the furniture models that are installed.
    """
    from scenewright.cli.show import progress_bar
    from scenewright.pipelines import worlds

    with progress_bar() as progress:
        folder = worlds.generate(
            kind, out, count=count, views=views, split=split, workers=workers, size=size, library=library,
            progress=progress,
        )  # fmt: skip
    print(folder.resolve())
    return 0


def walk(
    kind: tyro.conf.Positional[str],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    seed: int = 0,
    frames: int = 300,
    rate: int = 15,
    split: str = "test",
    size: str = "320x240",
    library: bool = True,
    sensor: bool = True,
) -> int:
    """A handheld walk through a room, filmed as a clip folder with true depth and poses; a stopped run goes on.

    Args:
        kind: of room: kitchen, office, living-room, bedroom, bathroom, corridor or hall.
        out: the folder.
        seed: of room, walk and camera.
        frames: how many.
        rate: frames per second, a divisor of 30.
        split: train, validation or test.
        size: WIDTHxHEIGHT of a frame, pixels.
        library: mix in the furniture models that are installed.
        sensor: film with a random real camera; --no-sensor is a clean one.
    """
    from scenewright.cli.show import progress_bar
    from scenewright.pipelines import walk as walks

    options = walks.WalkOptions(kind, seed, split, frames, rate, size, library, sensor)
    with progress_bar() as progress:
        folder = walks.walk(out, options, progress=progress)
    print(folder.resolve())
    return 0


command = {"preview": preview, "generate": generate, "walk": walk}
