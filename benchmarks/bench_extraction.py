"""How many pictures of 640x480 every features method gets through: `python benchmarks/bench_extraction.py`.

One run times the classical methods (OpenCV) and the learned ones on the same photograph: from RGB to described
keypoints. Beside that stand the time inside each method's networks and that of their bare convolutions and matrix
products: the calls that one extraction makes, made again on random numbers with nothing around them. All are medians
of one run. `--clock processor` counts processor time over the number of threads, for a machine that does other work,
too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from bare import Recorder
from scenewright.data.assets import photos_path
from scenewright.data.sample import image_tensor
from scenewright.engine.method import Method
from scenewright.engine.table import create, list_methods
from scenewright.engine.weights import list_weights, load
from scenewright.features.extract import CLASSICAL
from scenewright.features.task import Describer, Detector
from scenewright.nn.inference import prepare

SIZE = (640, 480)
CLASSICAL_ROWS = ("sift", "orb", "harris+brief", "fast+brief")


class Stopwatch:
    """Seconds: of the wall, or of the processor over the number of threads."""

    def __init__(self, kind: str, count: int) -> None:
        self._read, self._share = (time.perf_counter, 1) if kind == "wall" else (time.process_time, count)

    def __call__(self) -> float:
        """Now."""
        return self._read() / self._share


class Inside:
    """Adds up the seconds spent inside a method's own networks: its children, as it calls them."""

    def __init__(self, model: nn.Module, watch: Stopwatch) -> None:
        self.seconds, self._depth, self._start, self._watch = 0.0, 0, 0.0, watch
        for child in model.children():
            child.register_forward_pre_hook(self._enter)
            child.register_forward_hook(self._leave)

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        if self._depth == 0:
            self._start = self._watch()
        self._depth += 1

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += self._watch() - self._start


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Both libraries on so many threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def photograph() -> Tensor:
    """(1, 3, 480, 640): the first photograph that comes with the project."""
    path = sorted(photos_path().glob("*.jpg"))[0]
    bgr = cv2.resize(np.asarray(cv2.imread(str(path)), np.uint8), SIZE, interpolation=cv2.INTER_AREA)
    return image_tensor(np.ascontiguousarray(bgr[..., ::-1]))


def learned(name: str) -> Method[Any]:
    """A method as commands use it, with the weights that ship, else untrained: both cost the same per keypoint."""
    torch.manual_seed(0)
    method = (load(name) if name in list_weights() else create(name, "small")).eval()
    if isinstance(method, Detector | Describer):
        prepare(method, extraction([method], photograph(), 16))
    return method


def extraction(parts: list[Any], image: Tensor, count: int) -> Callable[[], int]:
    """From picture to described keypoints; SIFT's keypoints, found beforehand, for what only describes."""
    detector = next((p for p in parts if isinstance(p, Detector)), None)
    describer = next((p for p in parts if isinstance(p, Describer)), None)
    given = None if detector is not None else CLASSICAL["sift"]().detect(image, count)

    def extract() -> int:
        found = given if detector is None else detector.detect(image, count)
        assert found is not None
        return len(found if describer is None else describer.describe(image, found))

    return extract


def once(function: Callable[[], Any], watch: Stopwatch) -> float:
    """Time of one call."""
    start = watch()
    function()
    return watch() - start


def seconds(function: Callable[[], Any], repeats: int, watch: Stopwatch) -> float:
    """Median time of one call, after one that warms up."""
    function()
    return statistics.median(once(function, watch) for _ in range(repeats))


@torch.inference_mode()
def networks(model: nn.Module, extract: Callable[[], Any], repeats: int, watch: Stopwatch) -> tuple[float, float]:
    """Seconds of one extraction inside the networks, and of their bare convolutions and matrix products, which take
    turns, so that both see the same machine."""
    with Recorder() as recorder:
        extract()
    clock, inside, bare = Inside(model, watch), [], []
    for _ in range(repeats + 1):
        bare.append(once(recorder.again, watch))
        clock.seconds = 0.0
        extract()
        inside.append(clock.seconds)
    return statistics.median(inside[1:]), statistics.median(bare[1:])


def main() -> None:
    """Print one row per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="calls per figure; the median counts")
    parser.add_argument("--threads", type=int, default=2, help="of torch and OpenCV")
    parser.add_argument("--keypoints", type=int, default=1000, help="at most, per picture")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="what is read")
    parser.add_argument("--only", nargs="*", default=None, help="learned methods to time; all when not given")
    options = parser.parse_args()
    image, watch = photograph(), Stopwatch(options.clock, options.threads)
    with threads(options.threads):
        print(f"{'method':<20}{'keypoints':>10}{'ms':>9}{'frames/s':>10}{'network ms':>12}{'bare ms':>9}{'ratio':>7}")
        for name in CLASSICAL_ROWS:
            extract = extraction([CLASSICAL[part]() for part in name.split("+")], image, options.keypoints)
            print(line(name, extract(), seconds(extract, options.repeats, watch)), flush=True)
        for name in list_methods("features"):
            model = learned(name)
            if isinstance(model, Detector | Describer) and (options.only is None or name in options.only):
                extract = extraction([model], image, options.keypoints)
                whole = seconds(extract, options.repeats, watch)
                inside, bare = networks(model, extract, options.repeats, watch)
                ratio = f"{1e3 * inside:>12.1f}{1e3 * bare:>9.1f}{inside / bare:>7.2f}"
                print(line(name, extract(), whole) + ratio, flush=True)


def line(name: str, keypoints: int, whole: float) -> str:
    """One row: how many keypoints, milliseconds, pictures in a second."""
    return f"{name:<20}{keypoints:>10}{1e3 * whole:>9.1f}{1 / whole:>10.2f}"


if __name__ == "__main__":
    main()
