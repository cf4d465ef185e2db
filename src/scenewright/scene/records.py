"""What a Scene folder holds, as records. Pipelines convert their own records into these and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera

FRAME_STATUSES = ("ok", "relocalised", "lost", "interpolated")


@dataclass(frozen=True)
class SceneFrame:
    """What became of one frame of the video.

    Args:
        index, time_s: of the frame in its source.
        status: one of `FRAME_STATUSES`.
        T_world_cam: (4, 4) float64, None while lost.
        keyframe: id of the keyframe it was tracked against, -1 while lost.
        residual: mean photometric residual, grey levels.
        usage: share of the keyframe's points seen, 0..1.
        milliseconds: time spent on it.
    """

    index: int
    time_s: float
    status: str
    T_world_cam: NDArray[np.float64] | None
    keyframe: int
    residual: float
    usage: float
    milliseconds: float

    def __post_init__(self) -> None:
        if self.status not in FRAME_STATUSES:
            raise InputError("SceneFrame.status", repr(self.status), " or ".join(FRAME_STATUSES))
        numbers = (self.time_s, self.residual, self.usage, self.milliseconds)
        if not np.isfinite(numbers).all():
            raise InputError(f"SceneFrame {self.index}", numbers, "finite numbers")
        if self.T_world_cam is not None:
            check_pose(f"SceneFrame {self.index}", self.T_world_cam)


@dataclass(frozen=True)
class SceneKeyframe:
    """A keyframe with its maps, all of one size.

    Args:
        id: 0, 1, 2 ...
        index, time_s: of its frame in the source.
        image: (H, W, 3) uint8 RGB.
        camera: of the image.
        T_world_cam: (4, 4) float64.
        depth_m: (H, W) float32 z-depth, 0 = unknown.
        sigma_m: (H, W) float32 standard deviation of depth_m, 0 = unknown; None where nobody estimated it.
        labels: (H, W) uint8 class indices, None where nothing is labelled.

    Raises:
        InputError: shapes, types or values that break the above.
    """

    id: int
    index: int
    time_s: float
    image: NDArray[np.uint8]
    camera: Camera
    T_world_cam: NDArray[np.float64]
    depth_m: NDArray[np.float32]
    sigma_m: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        size = self.camera.size
        subject = f"SceneKeyframe {self.id}"
        check_pose(subject, self.T_world_cam)
        _check_map(f"{subject} image", self.image, (*size, 3), np.uint8)
        _check_map(f"{subject} depth_m", self.depth_m, size, np.float32)
        if self.sigma_m is not None:
            _check_map(f"{subject} sigma_m", self.sigma_m, size, np.float32)
        if self.labels is not None:
            _check_map(f"{subject} labels", self.labels, size, np.uint8)


@dataclass(frozen=True)
class SceneFigure:
    """One figure of metrics.json.

    Args:
        name: `"ATE RMSE"`.
        value: None where it could not be measured.
        unit: `"m"`, `"%"`, `"fps"`, or "".
        protocol: how it was measured, in one line; "" for what the job says about itself.
        group: `"trajectory"`, `"depth"`, `"speed"` ... heads of the report's table.
    """

    name: str
    value: float | None
    unit: str = ""
    protocol: str = ""
    group: str = "scene"

    def __post_init__(self) -> None:
        if self.value is not None and not np.isfinite(self.value):
            raise InputError(f"SceneFigure {self.name!r}", self.value, "a finite number, or None")


def frames_per_second(milliseconds: Iterable[float]) -> tuple[float, float] | None:
    """The one definition of speed: frames / summed time of the frames, and 1 / median time of a frame.

    The first is what a whole film waits for; the second is what most frames take, which a few slow ones (the first,
    which waits for its network) do not move. Kernels are compiled before the first frame. None without a frame, or
    where no time was measured.
    """
    times = np.fromiter(milliseconds, np.float64)
    if not times.sum() > 0:
        return None
    return 1e3 * len(times) / float(times.sum()), 1e3 / max(float(np.median(times)), 1e-3)


def check_pose(subject: str, T: NDArray[np.float64]) -> None:
    """Refuse what is no rigid transform.

    Raises:
        InputError: not (4, 4), not finite, or its rotation is not orthonormal within 1e-4.
    """
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise InputError(f"{subject} T_world_cam", f"shape {T.shape}", "a finite (4, 4) matrix")
    R = T[:3, :3]
    rigid = np.allclose(R @ R.T, np.eye(3), atol=1e-4) and np.linalg.det(R) > 0
    if not rigid or not np.allclose(T[3], (0, 0, 0, 1)):
        raise InputError(f"{subject} T_world_cam", np.round(T, 3).tolist(), "a rigid transform")


def _check_map(subject: str, value: NDArray[np.generic], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if value.shape != shape or value.dtype != dtype:
        raise InputError(subject, f"{value.shape} of {value.dtype}", f"{shape} of {np.dtype(dtype)}")
