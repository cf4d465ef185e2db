"""What other cameras, lights and codecs make of a picture's colours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


def vary_colours(image: NDArray[np.uint8], strength: float, generator: Generator) -> FloatImage:
    """What other cameras, lights and codecs might have made of the picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        strength: 0 returns the picture as it is, 1 varies it fully.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].
    """
    values: FloatImage = image.astype(np.float32) / np.float32(255)
    if strength <= 0:
        return values
    for chance, step in _STEPS:
        if generator.random() < chance * strength:
            values = step(values, generator).astype(np.float32)
    return np.clip(values, 0, 1)


def _exposure(x: FloatImage, generator: Generator) -> FloatImage:
    gain, black = np.exp(generator.normal(0, 0.25)), generator.uniform(-0.08, 0.03)
    return np.clip(x * gain + black, 0, 1)


def _contrast(x: FloatImage, generator: Generator) -> FloatImage:
    return np.clip((x - x.mean()) * np.exp(generator.normal(0.08, 0.25)) + x.mean(), 0, 1)


def _gamma(x: FloatImage, generator: Generator) -> FloatImage:
    return np.power(np.clip(x, 0, 1), np.exp(generator.normal(0, 0.25)))


def _white_balance(x: FloatImage, generator: Generator) -> FloatImage:
    return x * np.exp(generator.normal(0, 0.1, 3)).astype(np.float32)


def _saturation(x: FloatImage, generator: Generator) -> FloatImage:
    grey = x.mean(2, keepdims=True)
    return np.clip(grey + (x - grey) * np.exp(generator.normal(0.15, 0.4)), 0, 1)


def _hue(x: FloatImage, generator: Generator) -> FloatImage:
    hsv = cv2.cvtColor(np.clip(x, 0, 1).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + generator.normal(0, 12)) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _grey(x: FloatImage, generator: Generator) -> FloatImage:
    return np.repeat(x.mean(2, keepdims=True), 3, 2)


def _local_contrast(x: FloatImage, generator: Generator) -> FloatImage:
    lab = cv2.cvtColor((255 * np.clip(x, 0, 1)).astype(np.uint8), cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(float(generator.uniform(1.5, 4)), (4, 4)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.float32) / 255


def _sharpen(x: FloatImage, generator: Generator) -> FloatImage:
    return np.clip(x + generator.uniform(0.3, 1.5) * (x - cv2.GaussianBlur(x, (0, 0), 1.0)), 0, 1)


def _defocus(x: FloatImage, generator: Generator) -> FloatImage:
    return cv2.GaussianBlur(x, (0, 0), float(generator.uniform(0.4, 1.6)))


def _motion_blur(x: FloatImage, generator: Generator) -> FloatImage:
    length, angle = int(generator.integers(3, 8)), generator.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    for t in np.linspace(-length / 2, length / 2, 33):
        kernel[round(4 + t * np.sin(angle)), round(4 + t * np.cos(angle))] = 1
    return cv2.filter2D(x, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def _low_resolution(x: FloatImage, generator: Generator) -> FloatImage:
    height, width = x.shape[:2]
    share = generator.uniform(0.4, 0.9)
    small = cv2.resize(x, (int(width * share), int(height * share)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _vignette(x: FloatImage, generator: Generator) -> FloatImage:
    height, width = x.shape[:2]
    yy, xx = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return x * (1 - generator.uniform(0, 0.35) * (xx**2 + yy**2) / 2)[..., None].astype(np.float32)


def _noise(x: FloatImage, generator: Generator) -> FloatImage:
    sigma = generator.uniform(0.003, 0.035)
    grain = generator.standard_normal(x.shape, np.float32)
    return x + sigma * grain * np.sqrt(0.3 + np.clip(x, 0, 1))


def _jpeg(x: FloatImage, generator: Generator) -> FloatImage:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(25, 92))]
    data = cv2.imencode(".jpg", (255 * np.clip(x, 0, 1)).astype(np.uint8), quality)[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32) / np.float32(255)


_STEPS: tuple[tuple[float, Callable[[FloatImage, Generator], FloatImage]], ...] = (
    (0.2, _low_resolution),
    (0.15, _defocus),
    (0.12, _motion_blur),
    (0.6, _exposure),
    (0.5, _contrast),
    (0.5, _gamma),
    (0.6, _white_balance),
    (0.6, _saturation),
    (0.25, _hue),
    (0.04, _grey),
    (0.2, _local_contrast),
    (0.2, _sharpen),
    (0.25, _vignette),
    (0.5, _noise),
    (0.3, _jpeg),
)
"""(chance, step) in the order of light, lens, sensor and codec."""
