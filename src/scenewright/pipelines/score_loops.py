"""What loops and relocalisation do for a map, by the features that find them (protocol `loops`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.data.assets import demo_clip_path
from scenewright.data.sequence import Frame, Sequence
from scenewright.data.sequences import open_sequence
from scenewright.engine.scoreboard import measured, store
from scenewright.errors import InputError
from scenewright.pipelines import measure
from scenewright.pipelines.sources import choose_depth, choose_features
from scenewright.slam.evaluate import trajectory_figures
from scenewright.slam.features import FeatureSource
from scenewright.slam.protocols import CUT, LOOPS
from scenewright.slam.system import CnnSlam
from scenewright.slam.types import DepthSource, Reconstruction

Figures = dict[str, float]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Without:
    """A sequence without the frames at positions `first` to `last` - 1; the others keep their times and numbers."""

    sequence: Sequence
    first: int
    last: int

    def __len__(self) -> int:
        return len(self.sequence) - (min(self.last, len(self.sequence)) - self.first)

    def __iter__(self) -> Iterator[Frame]:
        yield from islice(self.sequence, self.first)
        yield from self.sequence.frames_from(self.last)


def score_loops(
    source: str, names: list[str], *, depth: str = "fcrn", results: Path | None = None,
    progress: Progress = lambda done, total, what: None,
) -> dict[str, Figures]:  # fmt: skip
    """Reconstruct the clip, and the clip with a hole, once with every kind of features.

    Args:
        source: "demo", or a sequence with poses; results of another than the demo cannot be stored.
        names: as `scenewright reconstruct --features` has them; "none" leaves loops open and lost cameras lost.
        depth: as `scenewright reconstruct` has it.
        results: root folder to store the figures under.

    Raises:
        InputError: unknown features, a sequence too short for the hole or without poses.
    """
    sequence = open_sequence(demo_clip_path() if source == "demo" else source)
    if len(sequence) <= CUT[1] + 10:
        raise InputError(source, f"{len(sequence)} frames", f"more than {CUT[1] + 10}")
    if results is not None and source != "demo":
        raise InputError("--results", f"of {source}", "the demo clip, as the protocol has it")
    chosen = choose_depth(depth, sequence)
    features = {name: choose_features(name) for name in names}
    rows = {}
    for name, kind in features.items():
        told = partial(_told, progress, name)
        films = sequence, Without(sequence, *CUT)
        whole, cut = (_run(film, sequence, chosen.source, kind.source, told) for film in films)
        rows[name] = {**whole, **{f"cut_{key}": value for key, value in cut.items()}}
    if results is not None:
        for name, figures in rows.items():
            weights = next(iter(features[name].weights.values()), "")
            data = {"items": len(sequence), "sha256": sequence.fingerprint()}
            method = name.replace("+", "-").lower()
            store(measured(LOOPS, method, figures, weights_sha256=weights, data=data, baseline=not weights), results)
    return rows


def _told(progress: Progress, name: str, done: int, total: int) -> None:
    progress(done, total, f"mapping with {name}")


def _run(
    film: Sequence | Without, sequence: Sequence, depth: DepthSource, features: FeatureSource | None,
    progress: Callable[[int, int], None],
) -> Figures:  # fmt: skip
    slam = CnnSlam(sequence.camera, depth, features=features)
    truth: dict[int, NDArray[np.float64]] = {}
    for done, frame in enumerate(film, 1):
        slam.push(frame)
        if frame.T_world_cam is not None:
            truth[frame.index] = frame.T_world_cam
        progress(done, len(film))
    return figures_of(slam.finish(), truth)


def figures_of(map: Reconstruction, truth: dict[int, NDArray[np.float64]]) -> Figures:
    """Of one run."""
    _, estimated, true = measure.pairs_with_truth(map.frames, truth)
    if len(true) < 3:
        raise InputError("loops", f"{len(true)} posed frames with truth", "3 or more")
    return {
        "ate_sim3_m": trajectory_figures(estimated, true).ate_sim3,
        "edges": float(sum(edge.kind != "odometry" for edge in map.edges)),
        "segments": float(map.segments),
        "posed": 100 * sum(f.T_world_cam is not None for f in map.frames) / len(map.frames),
    }
