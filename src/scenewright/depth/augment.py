"""Random views and looks of a training picture: zoom crops, rolls, flips, and what cameras do to colours.

Zooming leaves depth alone and changes the camera: every method that reads `DepthSample.camera` sees the true focal.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from scenewright.data.colours import FloatImage, vary_colours
from scenewright.depth.task import DepthSample
from scenewright.geometry.camera import Camera


@dataclass(frozen=True)
class Augmentation:
    """How strongly a picture is varied.

    Args:
        size: (width, height) of the result in pixels.
        zoom: (smallest, largest) window as a share of the largest window of the result's aspect.
        roll_deg: standard deviation of the in-plane rotation, degrees.
        photometric: 0 = none, 1 = full strength.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.6, 1.0)
    roll_deg: float = 2.0
    photometric: float = 1.0


def augment(
    image: NDArray[np.uint8],
    depth_m: FloatImage,
    labels: NDArray[np.uint8] | None,
    camera: Camera,
    how: Augmentation,
    generator: Generator,
) -> DepthSample:
    """One random view of a picture.

    Args:
        image: (H, W, 3) uint8 RGB; depth_m: (H, W) metres; labels: (H, W) or None; camera: of that size.
        generator: the only source of randomness.

    Returns:
        A single item of `how.size`.
    """
    affine = random_window(camera, how, generator)
    view = cv2.warpAffine(image, affine, how.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    depth = cv2.warpAffine(depth_m, affine, how.size, flags=cv2.INTER_NEAREST, borderValue=0)
    known = None if labels is None else cv2.warpAffine(labels, affine, how.size, flags=cv2.INTER_NEAREST)
    seen = window_camera(affine, camera, how.size)
    if generator.random() < 0.5:
        view, depth = view[:, ::-1], depth[:, ::-1]
        known, seen = None if known is None else known[:, ::-1], seen.hflip()
    colours = vary_colours(view, how.photometric, generator)
    return DepthSample(
        image=torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1))),
        depth_m=torch.from_numpy(np.ascontiguousarray(depth[None])),
        camera=seen,
        labels=None if known is None else torch.from_numpy(np.ascontiguousarray(known).astype(np.int64)),
    )


def random_window(camera: Camera, how: Augmentation, generator: Generator) -> NDArray[np.float64]:
    """The 2x3 matrix from source to result pixels: a roll, a zoom, a shift that keeps the window inside the picture."""
    width, height = how.size
    largest = min(camera.width / width, camera.height / height)
    scale = largest * generator.uniform(*how.zoom)
    slack = np.array([camera.width - scale * width, camera.height - scale * height]) / 2
    middle = np.array([camera.width - 1, camera.height - 1]) / 2 + slack * generator.uniform(-1, 1, 2)
    angle = np.deg2rad(how.roll_deg * generator.normal())
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    target = np.array([width - 1, height - 1]) / 2
    return np.column_stack([rotation, target - rotation @ middle])


def window_camera(affine: NDArray[np.float64], camera: Camera, size: tuple[int, int]) -> Camera:
    """The camera of the window. A roll about the optical axis turns the camera, not K: only zoom and shift enter."""
    fx, fy, cx, cy = camera.numbers
    zoom = float(np.hypot(affine[0, 0], affine[1, 0]))
    centre = affine @ np.array([cx, cy, 1.0])
    centre = np.clip(centre, 0, np.array(size) - 1.0)
    return Camera.from_parameters(*size, fx * zoom, fy * zoom, *centre)
