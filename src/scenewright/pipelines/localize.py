"""Where was this photograph taken? The pose of a new image in a reconstructed scene, or an honest "not known"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.images import camera_from_exif, read_header, read_image, write_image
from scenewright.errors import InputError
from scenewright.features.extract import extractor
from scenewright.features.robust import PnpOptions, absolute_pose
from scenewright.files import write_json
from scenewright.geometry.camera import Camera
from scenewright.geometry.warp import undistort_image
from scenewright.pipelines.match import GUESSED_FOV_DEG
from scenewright.scene.records import SceneKeyframe
from scenewright.scene.scene import Scene
from scenewright.scene.tables import write_trajectory
from scenewright.slam.features import KeyframeIndex, Look, agreement, spread, to_grey
from scenewright.slam.placing import Placed, RayPoints, place
from scenewright.slam.types import Keyframe

Doubles = NDArray[np.float64]
PNP = PnpOptions(threshold_px=4.0, iterations=2000, confidence=0.9999, rounds=3)
"""Its threshold is in pixels of an image 320 wide, and grows with the width."""
MIN_INLIERS, MIN_SHARE, MIN_CELLS, MIN_AGREEMENT, MAX_SD = 20, 0.2, 5, 0.6, 0.1
"""What an answer needs: inliers, their share of the matches, cells of a 4x3 grid that hold one, correlation of the best
keyframe, as the pose would show it, with the photo; and at most this standard deviation, as a share of the distance."""
LEAST_SD_LOG, SD_KEYFRAME = 0.03, 0.05
"""A keyframe's depth is never believed better than this where its own standard deviation says so, nor its scale."""


@dataclass(frozen=True)
class Localization:
    """An answer.

    Args:
        T_world_cam: (4, 4), metres of the scene.
        inliers, matches: how many of how many agree.
        covariance: (6, 6) of the pose's error in camera axes, against the scene as it is (its own error comes on
            top): translation in metres, rotation in radians.
        keyframes: ids of the keyframes that gave the matches.
        agreement: correlation (-1..1) of the photograph with the best keyframe as the pose shows it.
        xy, points: (N, 2) pixels and (N, 3) scene points of the inliers.
    """

    T_world_cam: Doubles
    inliers: int
    matches: int
    covariance: Doubles
    keyframes: tuple[int, ...]
    agreement: float
    xy: Doubles
    points: Doubles

    @property
    def position_sd_m(self) -> float:
        """Standard deviation of the position, the root of the trace."""
        return float(np.sqrt(np.trace(self.covariance[:3, :3])))


class Localizer:
    """A scene whose keyframes are described once and asked many times.

    Args:
        scene: a reconstructed scene with keyframes.
        features: by name, see `scenewright.features.extract.extractor`.
        count: most features of each image.
        alike: keyframes matched with each photograph, those that look most like it.
        candidates: of these, how many that match best make the pose.

    Raises:
        InputError: a scene without keyframes, unknown features.
    """

    def __init__(
        self, scene: Scene, features: str = "sift", count: int = 1000, alike: int = 16, candidates: int = 6
    ) -> None:
        self.index = KeyframeIndex(extractor(features), count)
        self.alike, self.candidates = alike, candidates
        for keyframe in scene.keyframes():
            self.index.add(_keyframe(keyframe))
        if not self.index.keyframes:
            raise InputError("scene", "no keyframes", "a scene that `scenewright reconstruct` has finished")
        self.points = {id: self._measured(id) for id in self.index.keyframes}

    def _measured(self, id: int) -> tuple[Doubles, Doubles]:
        """World points (N, 3) of a keyframe's features, NaN where unknown, and sd of their log distance (N,)."""
        keyframe, local = self.index.keyframes[id], self.index.points(id)
        x, y = np.rint(self.index.looks[id].xy).astype(int).T
        h, w = keyframe.depth_m.shape
        sd = np.sqrt(keyframe.variance[y.clip(0, h - 1), x.clip(0, w - 1)]) / np.maximum(local[:, 2], 1e-3)
        T = keyframe.T_world_cam
        return local @ T[:3, :3].T + T[:3, 3], np.maximum(sd, LEAST_SD_LOG).astype(np.float64)

    def locate(self, image: NDArray[np.uint8], camera: Camera) -> Localization | None:
        """The pose of an (H, W, 3) uint8 image, or None where it is not known; pixels are those of it `straightened`.

        Raises:
            InputError: a camera of another size.
        """
        if camera.size != image.shape[:2]:
            raise InputError("camera", f"size {camera.size}", f"the image's {image.shape[:2]}")
        image, camera = straightened(image, camera)
        query = self.index.look_at(image)
        ids = self.index.similar(query, self.alike)
        tried = sorted(((id, self._pairs(query, id)) for id in ids), key=lambda row: -len(row[1]))[: self.candidates]
        xy, points = self._joined(query, tried)
        options = replace(PNP, threshold_px=PNP.threshold_px * camera.width / 320)
        found = absolute_pose(points.xyz, xy, camera, options)
        if found is None or found.inliers.sum() < max(MIN_INLIERS, MIN_SHARE * len(xy)):
            return None
        placed = place(found.T_cam_world, points, xy, camera, camera.width / 320, SD_KEYFRAME)
        return self._believed(placed, points, xy, tuple(id for id, _ in tried), image, camera)

    def _pairs(self, query: Look, id: int) -> NDArray[np.int64]:
        """(M, 2) rows of the query and of the keyframe that match and have depth."""
        pairs = self.index.source.match(query.features, self.index.looks[id].features).pairs.numpy()
        return np.asarray(pairs[np.isfinite(self.points[id][0][pairs[:, 1]]).all(1)], np.int64)

    def _joined(self, query: Look, tried: list[tuple[int, NDArray[np.int64]]]) -> tuple[Doubles, RayPoints]:
        counts = [len(pairs) for _, pairs in tried]
        xy = query.xy[np.concatenate([pairs[:, 0] for _, pairs in tried])].astype(np.float64)
        xyz, sd = (np.concatenate([self.points[id][k][pairs[:, 1]] for id, pairs in tried]) for k in (0, 1))
        origins = np.array([self.index.keyframes[id].T_world_cam[:3, 3] for id, _ in tried])
        group = np.repeat(np.arange(len(tried)), counts)
        return xy, RayPoints(xyz, origins[group], sd, group)

    def _believed(
        self, placed: Placed, points: RayPoints, xy: Doubles, ids: tuple[int, ...], image: NDArray[np.uint8],
        camera: Camera,
    ) -> Localization | None:  # fmt: skip
        """The answer, where enough speaks for it from all sides, it shows what a keyframe shows, and it is certain."""
        fits, T = placed.fits, placed.T_cam_world
        if fits.sum() < max(MIN_INLIERS, MIN_SHARE * len(xy)) or not np.isfinite(T).all():
            return None
        best = self.index.keyframes[ids[int(np.bincount(points.group[fits]).argmax())]]
        likeness = agreement(best, to_grey(image), camera, T @ best.T_world_cam)
        answer = Localization(
            np.asarray(np.linalg.inv(T), np.float64), int(fits.sum()), len(xy), placed.covariance, ids, likeness,
            xy[fits], points.xyz[fits],
        )  # fmt: skip
        distance = float(np.median(np.linalg.norm(answer.points - answer.T_world_cam[:3, 3], axis=1)))
        spread_out = spread(xy[fits].astype(np.float32), camera) >= MIN_CELLS
        certain = answer.position_sd_m < MAX_SD * distance
        return answer if spread_out and certain and likeness >= MIN_AGREEMENT else None


def _keyframe(k: SceneKeyframe) -> Keyframe:
    """A scene's keyframe as the map holds it; where nobody estimated its depth's error it is 10 %."""
    sigma = 0.1 * k.depth_m if k.sigma_m is None else k.sigma_m
    T = np.asarray(k.T_world_cam, np.float64)
    seen = np.zeros(k.depth_m.shape, np.uint16)
    return Keyframe(
        k.id, k.index, k.time_s, k.image, k.camera, k.depth_m, np.square(sigma).astype(np.float32), k.depth_m, seen, T
    )


@dataclass(frozen=True)
class LocalizeOptions:
    """How photographs are located.

    Args:
        features: by name.
        intrinsics: fx, fy, cx, cy of the photographs in their own pixels; None takes the scene's camera for images of
            its aspect, else EXIF, else a guess.
    """

    features: str = "sift"
    intrinsics: tuple[float, float, float, float] | None = None


def localize_images(
    scene: str | Path, images: list[Path], out: str | Path, options: LocalizeOptions | None = None
) -> list[Localization | None]:
    """Locate photographs; writes NAME.pose.json and NAME.preview.jpg of each, and poses.txt (TUM, camera to world, the
    number of the image instead of a time) of those that are known.

    Raises:
        InputError, FormatError: a scene or an image that cannot be used.
    """
    options, out = options or LocalizeOptions(), Path(out)
    opened = Scene.open(scene)
    localizer = Localizer(opened, options.features)
    answers: list[Localization | None] = []
    for path in images:
        image = read_image(path)
        camera = _camera_for(opened, path, image, options)
        shown, camera = straightened(*_shrunk(image, camera, opened.camera.width))
        found = localizer.locate(shown, camera)
        write_json(out / f"{path.stem}.pose.json", record(path, found, options.features))
        write_image(out / f"{path.stem}.preview.jpg", draw(shown, found))
        answers.append(found)
    known = [(float(i), a.T_world_cam) for i, a in enumerate(answers) if a is not None]
    write_trajectory(out / "poses.txt", [t for t, _ in known], [T for _, T in known])
    return answers


def _camera_for(scene: Scene, path: Path, image: NDArray[np.uint8], options: LocalizeOptions) -> Camera:
    height, width = image.shape[:2]
    if options.intrinsics is not None:
        return Camera.from_parameters(width, height, *options.intrinsics)
    known = camera_from_exif(read_header(path))
    if known is not None and known.size == (height, width):
        return known
    own = scene.lens
    if abs(width / height - own.width / own.height) < 0.01:
        return own.resize(width, height)
    return Camera.from_fov(width, height, GUESSED_FOV_DEG)


def straightened(image: NDArray[np.uint8], camera: Camera) -> tuple[NDArray[np.uint8], Camera]:
    """The (H, W, 3) image as a pinhole would have taken it, and that."""
    if camera.distortion is None:
        return image, camera
    picture, _, pinhole = undistort_image(torch.from_numpy(image).permute(2, 0, 1)[None].float(), camera)
    return picture[0].permute(1, 2, 0).round().byte().numpy(), pinhole


def _shrunk(image: NDArray[np.uint8], camera: Camera, width: int) -> tuple[NDArray[np.uint8], Camera]:
    """The image at twice the scene's width at most: keyframes hold no finer detail."""
    if image.shape[1] <= 2 * width:
        return image, camera
    size = 2 * width, round(image.shape[0] * 2 * width / image.shape[1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), camera.resize(*size)


def draw(image: NDArray[np.uint8], found: Localization | None) -> NDArray[np.uint8]:
    """The photograph with the scene points that located it, near ones bright; greyed where it is not known."""
    if found is None:
        return np.asarray(image // 3 + 60, np.uint8)
    canvas = np.ascontiguousarray(image.copy())
    far = np.linalg.norm(found.points - found.T_world_cam[:3, 3], axis=1)
    shade = np.clip(255 - 200 * far / max(float(far.max()), 1e-6), 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(shade[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1].tolist()
    for (x, y), colour in zip(np.rint(found.xy).astype(int).tolist(), colours):
        cv2.circle(canvas, (x, y), 3, colour, -1, cv2.LINE_AA)
    return canvas


def record(image: Path, found: Localization | None, features: str) -> dict[str, Any]:
    """What is written about one photograph."""
    if found is None:
        return {"image": image.name, "features": features, "answer": "not known"}
    return {
        "image": image.name,
        "features": features,
        "answer": "pose",
        "T_world_cam": found.T_world_cam.tolist(),
        "units": "metres of the scene; camera axes x right, y down, z ahead",
        "inliers": found.inliers,
        "matches": found.matches,
        "position_sd_m": found.position_sd_m,
        "covariance": found.covariance.tolist(),
        "keyframes": list(found.keyframes),
        "agreement": found.agreement,
    }
