"""Speed and memory of CNN-SLAM beside ORB + PnP odometry on the same frames: `python benchmarks/bench_slam.py CLIP`.

CLIP is any source of `scenewright reconstruct`; with sensor depth by default. Every row runs in a process of its own,
reading frames from disk outside the clock; frames/s are frames / summed time. The film is played once, then forth and
back `--passes` times: memory that grows with the length of a film, and not with what it shows, would be seen in the
last row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.assets import demo_clip_path
from scenewright.data.sequence import Frame, Sequence
from scenewright.data.sequences import open_sequence
from scenewright.geometry.camera import Camera
from scenewright.pipelines.measure import pairs_with_truth
from scenewright.pipelines.sources import choose_depth, frame_indices
from scenewright.slam.config import SlamConfig
from scenewright.slam.evaluate import trajectory_figures
from scenewright.slam.image import working_camera
from scenewright.slam.system import CnnSlam
from scenewright.slam.types import DepthSource, FrameResult, NetworkDepth, Status

WARM_UP = 8
"""Frames that compile the kernels; they count in no figure of time."""


@dataclass(frozen=True)
class Row:
    """What one run cost and gave; times in milliseconds per frame, the first two on the clock: mean and median."""

    name: str
    frames: int
    wall_ms: float
    median_ms: float
    processor_ms: float
    peak_mb: float
    posed: int
    ate_sim3_m: float


class Film:
    """A sequence played forth and back; frames are numbered in the order of play."""

    def __init__(self, sequence: Sequence, passes: int) -> None:
        forth = list(range(len(sequence)))
        order = forth + [at for k in range(1, passes) for at in (forth[-2::-1] if k % 2 else forth[1:])]
        self.sequence, self.order, self.indices = sequence, order, frame_indices(sequence)

    def __iter__(self) -> Iterator[Frame]:
        for number, at in enumerate(self.order):
            yield replace(next(self.sequence.frames_from(at)), index=number, time_s=number / 30)


class Played:
    """A depth source that is asked for frames by their number in the film."""

    def __init__(self, source: DepthSource, film: Film) -> None:
        self.source, self.film, self.scale = source, film, source.scale

    def __call__(self, index: int, image: NDArray[np.uint8], camera: Camera) -> NetworkDepth:
        """The depth of the frame that is shown at this number."""
        return self.source(self.film.indices[self.film.order[index]], image, camera)


class OrbOdometry:
    """The yardstick: ORB matches to a keyframe with depth, pose by PnP-RANSAC; a new keyframe when few remain."""

    def __init__(self, camera: Camera, source: DepthSource, longest: int) -> None:
        self.camera, self.source = working_camera(camera, longest), source
        fx, fy, cx, cy = self.camera.numbers
        self.K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        self.orb, self.matcher = cv2.ORB.create(1000), cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        self.T_world_cam, self.points, self.descriptors = np.eye(4), np.zeros((0, 3)), None

    def push(self, frame: Frame) -> FrameResult:
        """Follow one frame."""
        size = (self.camera.width, self.camera.height)
        image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        keys, descriptors = self.orb.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        pixels = np.array([key.pt for key in keys], np.float32).reshape(-1, 2)
        inliers = self._locate(pixels, descriptors)
        ok = self.descriptors is None or inliers >= 12
        if self.descriptors is None or inliers < 120:
            self._begin_keyframe(frame.index, image, pixels, descriptors)
        pose = self.T_world_cam.copy() if ok else None
        return FrameResult(frame.index, frame.time_s, Status.OK if ok else Status.LOST, pose, 0, 0.0, 0.0, 0.0)

    def _locate(self, pixels: NDArray[np.float32], descriptors: NDArray[np.uint8] | None) -> int:
        if self.descriptors is None or descriptors is None or len(self.points) < 12:
            return 0
        pairs = [(m.queryIdx, m.trainIdx) for m in self.matcher.match(self.descriptors, descriptors)]
        if len(pairs) < 12:
            return 0
        old, new = np.array(pairs).T
        found, rotation, translation, inliers = cv2.solvePnPRansac(
            self.points[old], pixels[new].astype(np.float64), self.K, None, reprojectionError=3.0, iterationsCount=200
        )
        if not found or inliers is None or len(inliers) < 12:
            return 0
        R = cv2.Rodrigues(rotation)[0]
        self.T_world_cam[:3, :3], self.T_world_cam[:3, 3] = R.T, -R.T @ translation.ravel()
        return len(inliers)

    def _begin_keyframe(
        self, index: int, image: NDArray[np.uint8], pixels: NDArray[np.float32], descriptors: NDArray[np.uint8] | None
    ) -> None:
        if descriptors is None:
            return
        depth = self.source(index, image, self.camera).depth_m
        u, v = np.rint(pixels).astype(int).T.clip(0, np.array([[self.camera.width - 1], [self.camera.height - 1]]))
        z, (fx, fy, cx, cy) = depth[v, u].astype(np.float64), self.camera.numbers
        local = np.stack([(pixels[:, 0] - cx) / fx * z, (pixels[:, 1] - cy) / fy * z, z], 1)
        self.points = (local @ self.T_world_cam[:3, :3].T + self.T_world_cam[:3, 3])[z > 0]
        self.descriptors = descriptors[z > 0]


def run(name: str, passes: int, options: argparse.Namespace) -> Row:
    """One row of the table; called in a fresh process."""
    cv2.setNumThreads(1)
    sequence = open_sequence(options.clip, every=options.every, max_frames=options.max_frames)
    film = Film(sequence, passes)
    source = Played(choose_depth(options.depth, sequence).source, film)
    if name == "CNN-SLAM":
        config = SlamConfig()
        config = replace(config, image=replace(config.image, longest=options.size))
        system: CnnSlam | OrbOdometry = CnnSlam(sequence.camera, source, config)
    else:
        system = OrbOdometry(sequence.camera, source, options.size)
    walls, processor, truth, results = [], 0.0, {}, []
    for frame in film:
        start, spent = time.perf_counter(), time.process_time()
        results.append(system.push(frame))
        if frame.index >= WARM_UP:
            walls.append(1e3 * (time.perf_counter() - start))
            processor += 1e3 * (time.process_time() - spent)
        if frame.T_world_cam is not None:
            truth[frame.index] = frame.T_world_cam
    if isinstance(system, CnnSlam):
        results = system.finish().frames
    _, estimated, true = pairs_with_truth(results, truth)
    ate = trajectory_figures(estimated, true).ate_sim3 if len(true) >= 3 else float("nan")
    posed = sum(result.T_world_cam is not None for result in results)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mean, median = statistics.fmean(walls), statistics.median(walls)
    return Row(name, len(results), mean, median, processor / len(walls), peak_mb, posed, ate)


def main() -> None:
    """Print the table and the ratio of speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("clip", nargs="?", default=str(demo_clip_path()), help="a source with depth")
    parser.add_argument("--depth", default="sensor", help="as `scenewright reconstruct --depth`")
    parser.add_argument("--size", type=int, default=320, help="longest side of the working images")
    parser.add_argument("--every", type=int, default=1, help="use each n-th frame")
    parser.add_argument("--max-frames", type=int, default=None, help="stop after so many frames")
    parser.add_argument("--passes", type=int, default=3, help="of the film in the last row, forth and back")
    options = parser.parse_args()
    rows = []
    for name, passes in (("ORB + PnP", 1), ("CNN-SLAM", 1), ("CNN-SLAM", options.passes)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(run, (name, passes, options)))
    head = (
        f"{'':<12}{'frames':>8}{'frames/s':>10}{'median':>8}{'CPU ms':>9}{'peak MB':>9}{'posed':>7}{'ATE Sim(3) m':>14}"
    )
    print(head)
    for r in rows:
        print(
            f"{r.name:<12}{r.frames:>8}{1e3 / r.wall_ms:>10.1f}{1e3 / r.median_ms:>8.1f}{r.processor_ms:>9.1f}"
            f"{r.peak_mb:>9.0f}{r.posed:>7}{r.ate_sim3_m:>14.3f}"
        )
    orb, once, often = rows
    by_time, by_cpu = orb.wall_ms / once.wall_ms, orb.processor_ms / once.processor_ms
    print(f"speed, CNN-SLAM / ORB + PnP: {by_time:.2f} ({by_cpu:.2f} by processor time)")
    print(f"peak memory, {often.frames} / {once.frames} frames: {often.peak_mb / once.peak_mb:.2f}")


if __name__ == "__main__":
    main()
