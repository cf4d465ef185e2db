"""Compiles the kernels before the first frame, so that no frame waits for them and no speed counts them.

Numba compiles each kernel once on a machine and keeps the result beside the source. Where there is none yet, a second
process takes half of the kernels, while this one loads the network and takes the rest.
"""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from scenewright.data.sequence import Frame
from scenewright.geometry.camera import Camera
from scenewright.slam import bundle, refinement, rigid, sweep
from scenewright.slam.config import SlamConfig, StereoConfig
from scenewright.slam.exposure import Exposure
from scenewright.slam.image import Intrinsics, grey
from scenewright.slam.refinement import DepthMap
from scenewright.slam.sources import SensorDepth
from scenewright.slam.surface import surface_of
from scenewright.slam.system import CnnSlam
from scenewright.slam.tsdf import TsdfOptions
from scenewright.slam.types import Keyframe

CAMERA = Camera.from_parameters(160, 120, 140.0, 140.0, 79.5, 59.5)
_WALL_M, _STEP_PX, _FRAMES = 2.0, 5, 14


class Compilation:
    """Compiles while the caller does something else: `with Compilation() as c: load(); c.finish()`.

    Attributes:
        seconds: wall time that the caller waited for kernels, in `__enter__` and `finish`; known after the latter.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._other: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Compilation:
        began = time.perf_counter()
        if not is_compiled():
            code = f"from {__name__} import compile_mapping; compile_mapping()"
            quiet = subprocess.DEVNULL
            self._other = subprocess.Popen([sys.executable, "-c", code], stdin=quiet, stdout=quiet, stderr=quiet)
        self.seconds = time.perf_counter() - began
        return self

    def finish(self) -> None:
        """Compile or load what tracks and maps, then load what the other process has compiled."""
        began = time.perf_counter()
        compile_tracking()
        if self._other is not None:
            self._other.wait()  # whatever became of it: what is missing is compiled here
        compile_mapping()
        self.seconds += time.perf_counter() - began

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._other is not None:
            self._other.kill()
            self._other.wait()


def is_compiled() -> bool:
    """Whether a small kernel was found ready, which says so of all: they are compiled together."""
    bundle._solve_symmetric(np.eye(2), np.ones(2))
    return not bundle._solve_symmetric.stats.cache_misses


def compile_tracking() -> None:
    """Bundle adjustment on a problem of two views, then a short film of a wall."""
    at = np.zeros(2, np.int64)
    observations = bundle.Observations(np.arange(2), at, np.full((2, 2), 50.0), np.zeros(2), np.ones(2))
    T = np.tile(np.eye(4)[:3], (2, 1, 1))
    bundle.solve(bundle.Problem(T, np.array([False, True]), np.array([[0, 0, 2.0]]), observations, _intrinsics()), 1)
    track_wall()


def track_wall() -> list[Keyframe]:
    """The keyframes of a camera that passes a wall with a pattern."""
    pictures = wall(_FRAMES)
    depth = np.full(CAMERA.size, _WALL_M, np.float32)
    slam = CnnSlam(CAMERA, SensorDepth(lambda index: depth, sigma_log=0.2), SlamConfig())
    for n, picture in enumerate(pictures):
        slam.push(Frame(n, n / 5, picture))
    return slam.finish().keyframes


def compile_mapping() -> None:
    """Stereo, the sweep and the mesh, on two pictures of a wall."""
    first, second = wall(2)
    depth = np.full(CAMERA.size, _WALL_M, np.float32)
    variance = np.full(CAMERA.size, 0.04, np.float32)
    T = np.eye(4)
    T[0, 3] = _STEP_PX * _WALL_M / CAMERA.numbers[0]
    both = [
        Keyframe(n, n, n / 5, picture, CAMERA, depth, variance, depth, np.zeros(CAMERA.size, np.uint16), pose)
        for n, (picture, pose) in enumerate(((first, np.eye(4)), (second, T)))
    ]
    known = DepthMap.from_depth(depth, variance)
    refinement.refine(
        known, grey(first), np.ones(CAMERA.size, np.bool_), grey(second), _intrinsics(), rigid.inverse(T), Exposure(),
        1.0, StereoConfig(),
    )  # fmt: skip
    sweep.sweep(both, SlamConfig().sweep)
    surface_of(both, TsdfOptions(voxel_m=0.1))


def _intrinsics() -> Intrinsics:
    return Intrinsics(*CAMERA.numbers)


def wall(frames: int) -> list[NDArray[np.uint8]]:
    """Pictures (120, 160, 3) of a wall of random blocks, each `_STEP_PX` pixels further."""
    blocks = np.random.default_rng(0).integers(30, 226, (30, 40 + frames * _STEP_PX // 4 + 1), np.uint8)
    pattern = np.repeat(np.repeat(blocks, 4, 0), 4, 1)
    shown = (pattern[:, n * _STEP_PX : n * _STEP_PX + CAMERA.width] for n in range(frames))
    return [np.ascontiguousarray(np.broadcast_to(picture[..., None], (*CAMERA.size, 3))) for picture in shown]
