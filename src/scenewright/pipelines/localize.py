"""Where was this photograph taken? The pose of a new image in a reconstructed scene, or an honest "not known"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.data.images import camera_from_exif, read_header, read_image, write_image
from scenewright.data.sample import image_tensor
from scenewright.errors import InputError
from scenewright.features.extract import Extractor, extractor
from scenewright.features.task import Features
from scenewright.files import write_json
from scenewright.geometry.camera import Camera
from scenewright.pipelines.match import GUESSED_FOV_DEG
from scenewright.scene.scene import Scene
from scenewright.scene.tables import write_trajectory
from scenewright.slam.features import lift, spread

Doubles = NDArray[np.float64]
THRESHOLD_PX = 4.0
"""Reprojection error of an inlier, pixels of an image 320 wide; grows with the width."""
MIN_INLIERS, MIN_SHARE, MIN_CELLS = 20, 0.2, 3
"""What an answer needs: inliers, their share of the matches, and cells of a 4x3 grid that hold one."""


@dataclass(frozen=True)
class Localization:
    """An answer.

    Args:
        T_world_cam: (4, 4), metres of the scene.
        inliers, matches: how many of how many agree.
        covariance: (6, 6) of the pose's error in camera axes: translation in metres, rotation in radians.
        keyframes: ids of the keyframes that gave the matches.
        xy, points: (N, 2) pixels and (N, 3) scene points of the inliers.
    """

    T_world_cam: Doubles
    inliers: int
    matches: int
    covariance: Doubles
    keyframes: tuple[int, ...]
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
        candidates: keyframes tried for each photograph.

    Raises:
        InputError: a scene without keyframes, unknown features.
    """

    def __init__(self, scene: Scene, features: str = "sift", count: int = 1000, candidates: int = 6) -> None:
        self.kind: Extractor = extractor(features)
        self.count, self.candidates = count, candidates
        self.ids: list[int] = []
        self.features: list[Features] = []
        self.points: list[Doubles] = []
        for keyframe in scene.keyframes():
            found = self.kind.features(image_tensor(keyframe.image), count)
            local = lift(found.xy.numpy(), keyframe.depth_m, keyframe.camera)
            T = np.asarray(keyframe.T_world_cam, np.float64)
            self.ids.append(keyframe.id)
            self.features.append(found)
            self.points.append(local @ T[:3, :3].T + T[:3, 3])
        if not self.ids:
            raise InputError("scene", "no keyframes", "a scene that `scenewright reconstruct` has finished")

    def locate(self, image: NDArray[np.uint8], camera: Camera) -> Localization | None:
        """The pose of an (H, W, 3) uint8 image, or None where it is not known.

        Raises:
            InputError: a camera of another size.
        """
        if camera.size != image.shape[:2]:
            raise InputError("camera", f"size {camera.size}", f"the image's {image.shape[:2]}")
        query = self.kind.features(image_tensor(image), self.count)
        tried = sorted(self._matches(query), key=lambda row: -len(row[1]))[: self.candidates]
        xy = np.concatenate([query.xy[a].numpy() for _, a, _ in tried]).astype(np.float64).reshape(-1, 2)
        world = np.concatenate([self.points[k][b] for k, _, b in tried]).reshape(-1, 3)
        pose = solve(world, xy, camera)
        if pose is None:
            return None
        T_cam_world, inlier = pose
        enough = inlier.sum() >= max(MIN_INLIERS, MIN_SHARE * len(xy))
        if not enough or spread(xy[inlier].astype(np.float32), camera) < MIN_CELLS:
            return None
        covariance = pose_covariance(world[inlier], xy[inlier], T_cam_world, camera)
        ids = tuple(self.ids[k] for k, _, _ in tried)
        T_world_cam = np.asarray(np.linalg.inv(T_cam_world), np.float64)
        return Localization(T_world_cam, int(inlier.sum()), len(xy), covariance, ids, xy[inlier], world[inlier])

    def _matches(self, query: Features) -> Iterable[tuple[int, torch.Tensor, NDArray[np.intp]]]:
        """(row of keyframe, rows of the query, rows of the keyframe) of the matches whose depth is known."""
        for k, features in enumerate(self.features):
            pairs = self.kind.match(query, features).pairs
            known = np.isfinite(self.points[k][pairs[:, 1].numpy()]).all(1)
            chosen = pairs[torch.from_numpy(known)]
            yield k, chosen[:, 0], chosen[:, 1].numpy().astype(np.intp)


def solve(points: Doubles, xy: Doubles, camera: Camera) -> tuple[Doubles, NDArray[np.bool_]] | None:
    """PnP with MAGSAC, refined on its inliers: T_cam_world (4, 4) and inliers (N,); None where eight do not agree."""
    if len(points) < 8:
        return None
    K = camera.K.double().numpy()
    threshold = THRESHOLD_PX * camera.width / 320
    cv2.setRNGSeed(0)
    found, rotation, t, chosen = cv2.solvePnPRansac(
        points, xy, K, None, iterationsCount=2000, reprojectionError=threshold, confidence=0.9999,
        flags=cv2.SOLVEPNP_AP3P,
    )  # fmt: skip
    if not found or chosen is None or len(chosen) < 8:
        return None
    inlier = np.zeros(len(points), bool)
    inlier[chosen.ravel()] = True
    for _ in range(3):
        rotation, t = cv2.solvePnPRefineLM(points[inlier], xy[inlier], K, None, rotation, t)
        far = np.linalg.norm(cv2.projectPoints(points, rotation, t, K, None)[0][:, 0] - xy, axis=1)
        ahead = (points @ cv2.Rodrigues(rotation)[0].T + t.ravel())[:, 2] > 0
        inlier = (far < threshold) & ahead
        if inlier.sum() < 8:
            return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotation)[0], t.ravel()
    return (T, inlier) if np.isfinite(T).all() else None


def pose_covariance(points: Doubles, xy: Doubles, T_cam_world: Doubles, camera: Camera) -> Doubles:
    """(6, 6) covariance of a small motion (translation, rotation) of the camera, from the residuals of its inliers.

    sigma^2 (J^T J)^-1 with J the derivative of projection; sigma^2 the residuals' variance.
    """
    fx, fy, cx, cy = camera.numbers
    X = points @ T_cam_world[:3, :3].T + T_cam_world[:3, 3]
    x, y, z = X.T
    du = np.stack([fx / z, 0 * z, -fx * x / z**2], 1)
    dv = np.stack([0 * z, fy / z, -fy * y / z**2], 1)
    cross = np.zeros((len(X), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross -= cross.transpose(0, 2, 1)
    J = np.concatenate([np.concatenate([d, -np.einsum("ni,nij->nj", d, cross)], 1) for d in (du, dv)])
    residual = np.stack([fx * x / z + cx, fy * y / z + cy], 1) - xy
    variance = float((residual**2).sum() / max(2 * len(X) - 6, 1))
    return np.asarray(variance * np.linalg.pinv(J.T @ J), np.float64)


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
        shown, camera = _shrunk(image, camera, opened.camera.width)
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
    own = scene.camera
    if abs(width / height - own.width / own.height) < 0.01:
        return own.resize(width, height)
    return Camera.from_fov(width, height, GUESSED_FOV_DEG)


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
    }
