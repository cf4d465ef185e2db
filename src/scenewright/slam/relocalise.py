"""Where a lost camera is: the keyframe an image resembles, and its pose against it, or an honest "I do not know"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.slam.features import KeyframeIndex, Look, Sighting, agreement, inverse, spread, to_grey
from scenewright.slam.types import Keyframe

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RelocaliseOptions:
    """What a pose must show before it is believed.

    Args:
        candidates: keyframes tried per image.
        min_inliers: matches that agree with the pose. min_share: of the matches that have depth.
        min_cells: cells of a 4 x 3 grid of the image that hold inliers.
        min_agreement: correlation of the keyframe, warped by the pose, with the image.
    """

    candidates: int = 8
    min_inliers: int = 25
    min_share: float = 0.25
    min_cells: int = 5
    min_agreement: float = 0.5


class Relocaliser:
    """PnP against the keyframes that look alike. Its state is a pure function of the keyframes added."""

    def __init__(self, index: KeyframeIndex | None = None, options: RelocaliseOptions | None = None) -> None:
        self.index = KeyframeIndex() if index is None else index
        self.options = options or RelocaliseOptions()

    def add(self, keyframe: Keyframe) -> None:
        """Make a keyframe findable; its depth is read when it is needed, so later refinement counts."""
        self.index.add(keyframe)

    def locate(
        self, image: NDArray[np.uint8], camera: Camera, among: list[int] | None = None
    ) -> tuple[int, Matrix, int] | None:
        """(keyframe id, T_keyframe_frame (4, 4), number of inliers), or None where no keyframe convinces.

        Args:
            image: (H, W, 3) RGB or (H, W) grey, uint8. camera: of that image. among: try these keyframes only.

        Raises:
            InputError: the image is not uint8 or not of the camera's size.
        """
        if image.shape[:2] != camera.size:
            raise InputError("image", image.shape, f"the camera's size {camera.size}")
        grey, query = to_grey(image), self.index.look_at(image)
        best: tuple[int, Matrix, int] | None = None
        for id in self.index.similar(query, self.options.candidates, among):
            found = self._convincing(id, query, grey, camera)
            if found is not None and (best is None or found.inliers > best[2]):
                best = id, inverse(found.T_query_keyframe), found.inliers
            if best is not None and best[2] >= 4 * self.options.min_inliers:
                break
        return best

    def _convincing(self, id: int, query: Look, grey: NDArray[np.uint8], camera: Camera) -> Sighting | None:
        o = self.options
        found = self.index.pose(query, camera, id)
        if found is None or found.inliers < max(o.min_inliers, o.min_share * found.matches):
            return None
        if spread(found.query_pixels, camera) < o.min_cells:
            return None
        likeness = agreement(self.index.keyframes[id], grey, camera, found.T_query_keyframe)
        return found if likeness >= o.min_agreement else None
