"""Focal stacks from a picture with depth: what a lens of wide aperture would see at each focus distance.

A thin lens of aperture A focused at z_f spreads a point at depth z over a disc. In pictures that are aligned, so that
all have one focal length f in pixels, its diameter is A f |1/z_f - 1/z|: linear in inverse depth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError

Floats = NDArray[np.float32]
HIDDEN = np.float32(1e-4)
"""Weight of what is guessed behind nearer surfaces, beside 1 for what is seen: it counts only where nothing is seen."""


def focus_distances(near_m: float, far_m: float, count: int) -> Floats:
    """Distances evenly spaced in inverse depth, ascending from near to far, metres; (count,).

    Raises:
        InputError: fewer than two, or not 0 < near < far.
    """
    if count < 2 or not 0 < near_m < far_m < np.inf:
        raise InputError("focus distances", f"{count} from {near_m} to {far_m} m", "two or more, 0 < near < far")
    return (1 / np.linspace(1 / near_m, 1 / far_m, count)).astype(np.float32)


def blur_diameter_px(depth_m: Any, focus_m: Any, aperture_m: float, focal_px: float) -> Any:
    """Diameter of the circle of confusion in pixels of an aligned picture.

    Args:
        depth_m, focus_m: metres, arrays or numbers.
        aperture_m: diameter of the lens opening, metres.
        focal_px: focal length of the picture in pixels (image distance over pixel pitch).
    """
    return aperture_m * focal_px * np.abs(1 / focus_m - 1 / depth_m)


def disc(diameter_px: float) -> Floats:
    """The blur kernel: a disc with soft rim, summing to 1; up to a diameter of one pixel nothing is blurred.

    A pixel at distance d from the centre gets min(max(r + 1/2 - d, 0), 1), about the share of it that a disc of
    radius r covers.
    """
    radius = diameter_px / 2
    reach = int(np.ceil(radius - 0.5)) if radius > 0.5 else 0
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1) if reach else np.ones((1, 1))
    return (kernel / kernel.sum()).astype(np.float32)


class Layer(NamedTuple):
    """Surfaces of nearly one depth, with what hides them taken away.

    Args:
        inverse_depth: mean of 1 / z over its pixels, 1/m.
        content: (H, W, 5) colour times weight (3), weight, and the weight of this layer and all farther ones.
    """

    inverse_depth: float
    content: Floats


def focal_stack(
    image: NDArray[Any],
    depth_m: Floats,
    focal_px: float,
    focus_m: Floats,
    aperture_m: float,
    *,
    step_px: float = 1.0,
    gamma: float = 2.2,
) -> Floats:
    """Pictures of one scene focused at several distances.

    The scene is cut into layers within which blur differs by `step_px` at most. From back to front each is blurred
    with its own disc and laid over the others. What a nearer layer hides is unknown: near its rim, what is seen of the
    layer behind counts in its stead, and where nothing is seen, the nearest pixel that is not hidden. So a flat scene
    and an edge in front of an even ground are exact, and a slanted surface stays whole.

    Args:
        image: (H, W, 3) RGB, all in focus: uint8, or float in [0, 1].
        depth_m: (H, W) metres; 0 = unknown, which is taken for the farthest.
        focal_px: focal length in pixels of this image.
        focus_m: (S,) metres.
        aperture_m: diameter of the lens opening, metres.
        step_px: blur's error from cutting into layers is at most half of this.
        gamma: of the picture's values; light is blurred linearly.

    Returns:
        (S, H, W, 3) float32 RGB in [0, 1].

    Raises:
        InputError: shapes that do not fit, no depth, or numbers out of range.
    """
    _check(image, depth_m, focal_px, np.asarray(focus_m), aperture_m)
    values = np.asarray(image, np.float32) / np.float32(255) if image.dtype == np.uint8 else image.astype(np.float32)
    layers = cut(np.clip(values, 0, 1) ** np.float32(gamma), depth_m, step_px / (aperture_m * focal_px))
    stack = [_picture(layers, float(z), aperture_m * focal_px) for z in focus_m]
    return np.clip(np.stack(stack), 0, 1) ** np.float32(1 / gamma)


def cut(light: Floats, depth_m: Floats, step: float) -> list[Layer]:
    """The layers from back to front; `step` is the thickness in inverse depth, 1/m; light (H, W, 3)."""
    known = depth_m > 0
    inverse = np.where(known, 1 / np.where(known, depth_m, 1), 1 / depth_m.max())
    index = ((inverse - inverse.min()) / step).astype(np.int64)
    layers = []
    for number in np.unique(index):
        own, hidden = index == number, index > number
        weight, source = own.astype(np.float32), light
        if hidden.any():
            nearest = _nearest_visible(hidden)
            source = light.reshape(-1, 3)[nearest]
            weight += HIDDEN * (hidden & own.reshape(-1)[nearest])
        total = np.where(hidden, HIDDEN, np.float32(1))
        content = np.dstack([source * weight[..., None], weight, total]).astype(np.float32)
        layers.append(Layer(float(inverse[own].mean()), content))
    return layers


def _nearest_visible(hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every pixel the flat index of the nearest one that is not hidden; its own where it is not."""
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(labels.max() + 1, np.int64)
    visible = np.nonzero(~hidden.reshape(-1))[0]
    index[labels.reshape(-1)[visible]] = visible
    return index[labels]


def _picture(layers: list[Layer], focus_m: float, strength: float) -> Floats:
    """(H, W, 3); planes, not pixels, lie together in between: arrays then work on whole rows."""
    picture = np.zeros((3, *layers[0].content.shape[:2]), np.float32)
    for layer in layers:
        kernel = disc(strength * abs(1 / focus_m - layer.inverse_depth))
        blurred = layer.content
        if kernel.size > 1:
            blurred = cv2.filter2D(blurred, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        *colour, weight, total = cv2.split(blurred)
        picture = np.stack(colour) / total + (1 - weight / total) * picture
    return picture.transpose(1, 2, 0)


def _check(image: NDArray[Any], depth_m: Floats, focal_px: float, focus_m: NDArray[Any], aperture_m: float) -> None:
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError("image", f"shape {image.shape}", "(H, W, 3)")
    if depth_m.shape != image.shape[:2]:
        raise InputError("depth", f"shape {depth_m.shape}", f"the image's {image.shape[:2]}")
    if not np.isfinite(depth_m).all() or depth_m.min() < 0 or depth_m.max() <= 0:
        raise InputError("depth", "no depth, or negative or non-finite ones", "metres, 0 = unknown")
    if focus_m.ndim != 1 or not len(focus_m) or not (np.isfinite(focus_m).all() and (focus_m > 0).all()):
        raise InputError("focus distances", focus_m.tolist(), "metres > 0")
    if not (0 < aperture_m < np.inf and 0 < focal_px < np.inf):
        raise InputError("lens", f"aperture {aperture_m} m, focal length {focal_px} px", "positive numbers")
