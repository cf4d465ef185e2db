"""What changes from frame to frame, and its round trip through plain arrays."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import FormatError
from scenewright.geometry.camera import Camera
from scenewright.slam import hypotheses, refinement, rigid, tracking
from scenewright.slam import image as pictures
from scenewright.slam.config import SlamConfig
from scenewright.slam.corner_map import View
from scenewright.slam.exposure import Exposure
from scenewright.slam.odometry import Odometry
from scenewright.slam.patches import Sights
from scenewright.slam.types import Edge, Keyframe, NetworkDepth, Status

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
_KEYFRAME_ARRAYS = ("image", "depth_m", "variance", "depth_network_m", "observed", "T_world_cam")


class Picture:
    """One frame at the working size, with what the stages need of it."""

    def __init__(self, index: int, time_s: float, image: NDArray[np.uint8], camera: Camera, levels: int) -> None:
        self.index, self.time_s = index, time_s
        self.image = pictures.resize(image, camera)
        self.grey = pictures.grey(self.image)
        self.grey8 = self.grey.astype(np.uint8)
        self.levels = pictures.pyramid(self.grey, pictures.Intrinsics(*camera.numbers), levels)
        self._features: hypotheses.Features | None = None

    def features(self, config: SlamConfig) -> hypotheses.Features:
        """ORB corners, found when first asked for."""
        if self._features is None:
            self._features = hypotheses.detect(self.grey, config.hypotheses)
        return self._features


@dataclass
class Active:
    """The keyframe that frames are tracked against, with its working state."""

    keyframe: Keyframe
    picture: Picture
    depth: refinement.DepthMap
    points: list[tracking.TrackingPoints]
    levels: list[int]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, keyframe: Keyframe, picture: Picture, config: SlamConfig) -> Active:
        """The working state of a keyframe as its record stands."""
        depth = refinement.DepthMap.from_depth(keyframe.depth_m, keyframe.variance)
        depth.observed[:] = keyframe.observed
        levels = tracking.usable_levels(picture.levels, config.tracking)
        points = tracking.select_points(picture.levels, config.tracking, keyframe.id)
        mask = pictures.max_gradient(picture.levels[0]) > config.stereo.gradient_min
        active = cls(keyframe, picture, depth, points, levels, mask)
        active.refresh()
        return active

    def refresh(self) -> None:
        """Give the tracking points the depth as refined so far."""
        self.points = tracking.set_depth(self.points, self.levels, self.depth.inverse_depth, self.depth.variance)

    def publish(self) -> None:
        """Write the refined depth into the keyframe's record."""
        self.keyframe.depth_m, self.keyframe.variance = self.depth.depth()
        self.keyframe.observed = self.depth.observed.copy()

    def mean_inverse_depth(self) -> float:
        """Of the known pixels, 1/m."""
        known = self.depth.inverse_depth[self.depth.inverse_depth > 0]
        return float(known.mean()) if len(known) else 1.0


@dataclass
class Entry:
    """A frame as the system remembers it: its pose hangs on a view, and moves with it."""

    index: int
    time_s: float
    status: Status
    keyframe: int = -1
    view: int = -1
    T_view_cam: Array | None = None
    residual: float = 0.0
    usage: float = 0.0
    milliseconds: float = 0.0


@dataclass
class Pending:
    """A keyframe that waits for its depth.

    Args:
        position: in the stream, of its frame. view: of that frame. exposure: of it relative to the active keyframe.
    """

    picture: Picture
    position: int
    view: int
    T_picture_keyframe: Array
    exposure: Exposure
    answer: Future[NetworkDepth]


@dataclass
class Motion:
    """The tracker's memory.

    Args:
        position: frames pushed so far. T_frame_keyframe, exposure: of the last posed frame against the active keyframe.
        velocity: T_frame_previous of the last two; the identity where it is not known.
        energies, sharpness: of recent frames.
        since_keyframe, since_pose: frames. lost_since_s: time of the first lost frame in a row, or None.
        segment: of the map piece being built.
    """

    position: int = 0
    T_frame_keyframe: Array = field(default_factory=lambda: np.eye(4))
    velocity: Array = field(default_factory=lambda: np.eye(4))
    exposure: Exposure = field(default_factory=Exposure)
    energies: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    since_keyframe: int = 0
    lost_since_s: float | None = None
    segment: int = 0

    def prediction_sd(self) -> Array | None:
        """(6,) by how much the next motion's twist may differ from the last one's, metres and radians: half of it and a
        little, for hands are unsteady. None at the start and after a loss.
        """
        if np.array_equal(self.velocity, np.eye(4)):
            return None
        twist = rigid.log(rigid.orthonormalise(self.velocity))
        return np.repeat([0.01 + 0.5 * np.linalg.norm(twist[:3]), 0.03 + 0.5 * np.linalg.norm(twist[3:])], 3)


def text_array(value: Any) -> NDArray[np.uint8]:
    """JSON as bytes."""
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), np.uint8).copy()


def read_text(array: NDArray[Any], subject: str) -> Any:
    """The value behind `text_array`.

    Raises:
        FormatError: bytes that are no JSON.
    """
    try:
        return json.loads(np.asarray(array, np.uint8).tobytes().decode())
    except ValueError:
        raise FormatError(f"saved state, {subject}", "bytes that are no JSON", "what state_arrays wrote") from None


def pack_motion(motion: Motion) -> Arrays:
    """The tracker's memory as arrays."""
    facts = {k: v for k, v in asdict(motion).items() if k not in ("T_frame_keyframe", "velocity", "exposure")}
    facts["exposure"] = list(motion.exposure)
    return {
        "motion/facts": text_array(facts), "motion/T": motion.T_frame_keyframe.copy(),
        "motion/velocity": motion.velocity.copy(),
    }  # fmt: skip


def unpack_motion(arrays: Arrays) -> Motion:
    """The inverse of `pack_motion`."""
    facts = read_text(arrays["motion/facts"], "motion")
    exposure = Exposure(*facts.pop("exposure"))
    return Motion(
        T_frame_keyframe=np.array(arrays["motion/T"]), velocity=np.array(arrays["motion/velocity"]), exposure=exposure,
        **facts,
    )  # fmt: skip


def pack_entries(entries: list[Entry]) -> Arrays:
    """Frames as columns."""
    T = [np.zeros((4, 4)) if e.T_view_cam is None else e.T_view_cam for e in entries]
    numbers = [[e.index, e.keyframe, e.view, e.T_view_cam is not None] for e in entries]
    return {
        "entries/integers": np.array(numbers, np.int64).reshape(-1, 4),
        "entries/status": text_array([e.status.value for e in entries]),
        "entries/floats": np.array(
            [[e.time_s, e.residual, e.usage, e.milliseconds] for e in entries], np.float64
        ).reshape(-1, 4),
        "entries/T_view_cam": np.array(T, np.float64).reshape(-1, 4, 4),
    }


def unpack_entries(arrays: Arrays) -> list[Entry]:
    """The inverse of `pack_entries`."""
    statuses = read_text(arrays["entries/status"], "entries")
    rows = zip(arrays["entries/integers"], statuses, arrays["entries/floats"], arrays["entries/T_view_cam"])
    return [
        Entry(
            int(i[0]), float(f[0]), Status(s), int(i[1]), int(i[2]), np.array(T) if i[3] else None, *map(float, f[1:])
        )
        for i, s, f, T in rows
    ]


def pack_keyframes(keyframes: list[Keyframe]) -> Arrays:
    """Keyframes, one group of arrays each, so that what did not change is stored once."""
    out: Arrays = {
        "keyframes/facts": text_array([[k.index, k.time_s, k.segment] for k in keyframes]),
    }
    for k in keyframes:
        for name in _KEYFRAME_ARRAYS:
            out[f"keyframes/{k.id}/{name}"] = np.array(getattr(k, name))
        for name, optional in (("labels", k.label_log_probabilities), ("sigma_log", k.sigma_log)):
            if optional is not None:
                out[f"keyframes/{k.id}/{name}"] = optional.copy()
    return out


def unpack_keyframes(arrays: Arrays, camera: Camera) -> list[Keyframe]:
    """The inverse of `pack_keyframes`."""
    out = []
    for id, (index, time_s, segment) in enumerate(read_text(arrays["keyframes/facts"], "keyframes")):
        parts = {name: np.array(arrays[f"keyframes/{id}/{name}"]) for name in _KEYFRAME_ARRAYS}
        labels, sigma_log = (arrays.get(f"keyframes/{id}/{name}") for name in ("labels", "sigma_log"))
        out.append(
            Keyframe(
                id=id, index=index, time_s=time_s, camera=camera, segment=segment,
                label_log_probabilities=None if labels is None else np.array(labels),
                sigma_log=None if sigma_log is None else np.array(sigma_log), **parts,
            )
        )  # fmt: skip
    return out


def pack_edges(edges: list[Edge]) -> Arrays:
    """Edges as columns."""
    return {
        "edges/facts": text_array([[e.first, e.second, e.log_scale, e.kind] for e in edges]),
        "edges/T": np.array([e.T_first_second for e in edges], np.float64).reshape(-1, 4, 4),
        "edges/information": np.array([e.information for e in edges], np.float64).reshape(-1, 7, 7),
    }


def unpack_edges(arrays: Arrays) -> list[Edge]:
    """The inverse of `pack_edges`."""
    rows = zip(read_text(arrays["edges/facts"], "edges"), arrays["edges/T"], arrays["edges/information"])
    return [Edge(f[0], f[1], np.array(T), f[2], np.array(I), f[3]) for f, T, I in rows]


def pack_missed(missed: list[Picture]) -> Arrays:
    """Pictures that wait to become a new piece of map."""
    out: Arrays = {"missed/facts": text_array([[p.index, p.time_s] for p in missed])}
    return out | {f"missed/{n}/image": p.image.copy() for n, p in enumerate(missed)}


def unpack_missed(arrays: Arrays, camera: Camera, config: SlamConfig) -> list[Picture]:
    """The inverse of `pack_missed`."""
    facts = read_text(arrays["missed/facts"], "missed pictures")
    return [
        Picture(index, time_s, np.array(arrays[f"missed/{n}/image"]), camera, config.image.levels)
        for n, (index, time_s) in enumerate(facts)
    ]


def pack_active(active: Active) -> Arrays:
    """The active keyframe's working state; its picture and the choice of points follow from its record."""
    out: Arrays = {"active/keyframe": np.array(active.keyframe.id)}
    for name, array in vars(active.depth).items():
        out[f"active/depth/{name}"] = array.copy()
    for n, points in enumerate(active.points):
        out[f"active/points/{n}/inverse_depth"] = points.inverse_depth.copy()
        out[f"active/points/{n}/variance"] = points.variance.copy()
    return out


def unpack_active(arrays: Arrays, keyframes: list[Keyframe], config: SlamConfig) -> Active:
    """The inverse of `pack_active`."""
    keyframe = keyframes[int(arrays["active/keyframe"])]
    picture = Picture(keyframe.index, keyframe.time_s, keyframe.image, keyframe.camera, config.image.levels)
    active = Active.of(keyframe, picture, config)
    names = vars(active.depth)
    active.depth = refinement.DepthMap(**{name: np.array(arrays[f"active/depth/{name}"]) for name in names})
    active.points = [
        p._replace(
            inverse_depth=np.array(arrays[f"active/points/{n}/inverse_depth"]),
            variance=np.array(arrays[f"active/points/{n}/variance"]),
        )
        for n, p in enumerate(active.points)
    ]
    return active


def pack_odometry(odometry: Odometry) -> Arrays:
    """Points, and views as one long list of observations."""
    views = odometry.map.views
    return {
        "odometry/points": odometry.map.points.copy(),
        "odometry/known": odometry.map.known.copy(),
        "odometry/descriptors": odometry.descriptors.copy(),
        **{f"odometry/sights/{k}": v.copy() for k, v in odometry.sights._asdict().items()},
        "odometry/template": odometry.template.copy(),
        "odometry/views": np.array([[v.index, len(v.ids), v.independent] for v in views], np.int64).reshape(-1, 3),
        "odometry/T_cam_world": np.array([v.T_cam_world for v in views], np.float64).reshape(-1, 3, 4),
        "odometry/ids": np.concatenate([np.zeros(0, np.int64), *(v.ids for v in views)]),
        "odometry/observations": np.concatenate(
            [np.zeros((0, 4)), *(np.column_stack([v.pixels, v.log_depth, v.depth_weight]) for v in views)]
        ),
    }


def unpack_odometry(arrays: Arrays, odometry: Odometry) -> None:
    """The inverse of `pack_odometry`, into a fresh odometry."""
    odometry.map.points = np.array(arrays["odometry/points"])
    odometry.map.known = np.array(arrays["odometry/known"])
    odometry.descriptors = np.array(arrays["odometry/descriptors"])
    odometry.sights = Sights(*(np.array(arrays[f"odometry/sights/{k}"]) for k in Sights._fields))
    odometry.template = np.array(arrays["odometry/template"])
    ends = np.cumsum(arrays["odometry/views"][:, 1])
    odometry.map.views = []
    for (index, count, independent), end, T in zip(arrays["odometry/views"], ends, arrays["odometry/T_cam_world"]):
        rows = slice(int(end - count), int(end))
        o = np.array(arrays["odometry/observations"][rows])
        ids = np.array(arrays["odometry/ids"][rows])
        odometry.map.views.append(
            View(
                int(index),
                np.array(T),
                ids,
                np.ascontiguousarray(o[:, :2]),
                o[:, 2].copy(),
                o[:, 3].copy(),
                bool(independent),
            )
        )
