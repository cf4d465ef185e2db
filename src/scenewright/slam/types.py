"""The records that CNN-SLAM's stages hand to each other, and the protocols behind which its sources stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenewright.geometry.camera import Camera

FloatImage = NDArray[np.float32]


class Status(Enum):
    """What became of a frame."""

    OK = "ok"
    RELOCALISED = "relocalised"
    LOST = "lost"
    INTERPOLATED = "interpolated"


@dataclass(frozen=True)
class NetworkDepth:
    """What a depth source says about one keyframe, at the SLAM's own image size.

    Args:
        depth_m: (H, W) float32 metres, 0 = unknown.
        sigma_log: (H, W) float32 standard deviation of a pixel's log depth; None where the source does not know, and
            its error is then found by comparing keyframes (Tateno 2017, eq. 6).
        independent: pixels err each on its own, as a depth camera's do; a network's neighbours are wrong together, so
            that many of them know little more than one.
        label_probabilities: (C, H, W) float32 softmax over `scenewright.labels.LABELS`, or None.
    """

    depth_m: FloatImage
    sigma_log: FloatImage | None = None
    label_probabilities: FloatImage | None = None
    independent: bool = False


class DepthSource(Protocol):
    """Any method of the table, sensor depth, or files of ready depth maps."""

    @property
    def scale(self) -> str:
        """ "metric" or "unknown"."""

    def __call__(self, index: int, image: NDArray[np.uint8], camera: Camera) -> NetworkDepth:
        """index: the frame's index in its sequence; image (H, W, 3) uint8 RGB; camera of that size."""


@dataclass(frozen=True)
class FrameResult:
    """What the SLAM says about one frame.

    Args:
        index, time_s: of the frame.
        status: see `Status`.
        T_world_cam: (4, 4) float64 metres, current best; None while lost.
        keyframe: id of the keyframe it was tracked against, -1 while lost.
        residual: mean weighted photometric residual, grey levels.
        usage: share of the keyframe's points seen in the frame, 0..1.
        milliseconds: time spent on the frame, network included when synchronous.
    """

    index: int
    time_s: float
    status: Status
    T_world_cam: NDArray[np.float64] | None
    keyframe: int
    residual: float
    usage: float
    milliseconds: float


@dataclass
class Keyframe:
    """A keyframe; the only state whose memory grows with the length of a clip.

    Args:
        id: 0, 1, 2 ... in order of creation.
        index, time_s: of its frame.
        image: (H, W, 3) uint8 RGB.
        camera: of the image.
        depth_m, variance: (H, W) float32, refined and fused depth in metres and its variance in m^2.
        depth_network_m: (H, W) float32, the network's depth after focal adjustment, untouched.
        sigma_log: (H, W) float32, what the source said of its error (see `NetworkDepth`), or None.
        observed: (H, W) uint16, how many stereo updates each pixel received.
        label_log_probabilities: (C, H, W) float16 or None.
        T_world_cam: (4, 4) float64; the pose graph writes it.
        segment: number of the map piece it belongs to.
    """

    id: int
    index: int
    time_s: float
    image: NDArray[np.uint8]
    camera: Camera
    depth_m: FloatImage
    variance: FloatImage
    depth_network_m: FloatImage
    observed: NDArray[np.uint16]
    T_world_cam: NDArray[np.float64]
    segment: int = 0
    label_log_probabilities: NDArray[np.float16] | None = None
    sigma_log: FloatImage | None = None


@dataclass(frozen=True)
class Edge:
    """A relative pose between two keyframes.

    Args:
        first, second: keyframe ids.
        T_first_second: (4, 4) float64, maps points of `second` into `first`.
        log_scale: log of the ratio by which second's depths must be multiplied to agree with first's, 0 for odometry.
        information: (7, 7) float64 over (translation, rotation, log scale).
        kind: "odometry", "near", "loop" or "relocalisation".
    """

    first: int
    second: int
    T_first_second: NDArray[np.float64]
    log_scale: float
    information: NDArray[np.float64]
    kind: str


@dataclass(frozen=True)
class Reconstruction:
    """The finished map, before anything is written.

    Args:
        frames: one result per frame of the sequence, poses final.
        keyframes: final depth and poses.
        edges: the pose graph's.
        scale: "metric" or "unknown".
        scale_factor: the one global factor that was applied (sheet J3).
        segments: number of map pieces left after joining.
        focal_factor: by which the whole map put the stated focal lengths right; 1 where they hold.
        distortion: radial, of the lens (see `lens`), taken out of the keyframes; 0 where it was straight.
    """

    frames: list[FrameResult]
    keyframes: list[Keyframe]
    edges: list[Edge]
    scale: str
    scale_factor: float
    segments: int
    focal_factor: float = 1.0
    distortion: float = 0.0
