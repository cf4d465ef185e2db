"""What a real camera does to light: exposure, white balance, tone curve, blur, noise, sharpening, JPEG."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sensor:
    """One camera's settings for one picture. The defaults are a clean, well exposed camera.

    Args:
        exposure_ev: stops on top of the automatic exposure (or of `gain`).
        gain: fixed multiplier of radiance; None = automatic.
        white_balance: linear RGB multipliers.
        black: linear light that is clipped to black, as a share of white.
        shoulder: how softly highlights roll off; 0 = hard clipping at white, 1 = filmic.
        contrast: slope of the S-curve at mid grey, 1 = none.
        saturation: 1 = as is.
        motion_px: blur along `motion_deg`, length in pixels of the picture.
        defocus_px: radius of the blur disc.
        read_noise, shot_noise: standard deviations in display units at black, and per root of linear light at white.
        noise_grain_px: correlation length of the noise (0 = white), as demosaicing and denoising leave it.
        sharpen: strength of the unsharp mask (halos).
        vignette: light lost in the corners.
        jpeg: quality 1-100; 0 = no compression.
    """

    exposure_ev: float = 0.0
    gain: float | None = None
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    black: float = 0.0
    shoulder: float = 0.6
    contrast: float = 1.15
    saturation: float = 1.1
    motion_px: float = 0.0
    motion_deg: float = 0.0
    defocus_px: float = 0.0
    read_noise: float = 0.0
    shot_noise: float = 0.0
    noise_grain_px: float = 0.0
    sharpen: float = 0.0
    vignette: float = 0.0
    jpeg: int = 0


def auto_gain(radiance: Floats) -> float:
    """The multiplier that puts the middle of a picture at middle grey without burning more than it must."""
    luma = radiance[..., 1].astype(np.float64)
    middle = np.exp(np.log(luma + 1e-3 * luma.mean() + 1e-9).mean())
    bright = np.percentile(luma, 90)
    return float(min(0.17 / middle, 1.25 / max(bright, 1e-9), 1e6))


def sample_sensor(generator: np.random.Generator, width: int = 320) -> Sensor:
    """A camera and a moment: from clean phone pictures to dark, noisy, compressed ones; blur scales with `width`."""
    g, scale = generator, width / 320
    warm, tint = g.normal(0, 0.09), g.normal(0, 0.025)
    blurred = g.random()
    return Sensor(
        exposure_ev=float(np.clip(g.normal(-0.2, 0.5), -1.5, 1.1)),
        white_balance=(float(np.exp(warm)), float(np.exp(tint)), float(np.exp(-1.2 * warm))),
        black=float(max(g.normal(0.008, 0.014), 0)),
        shoulder=float(g.uniform(0.1, 0.8)),
        contrast=float(g.uniform(0.9, 1.45)),
        saturation=float(g.uniform(0.7, 1.25)),
        motion_px=float(min(g.exponential(2.2), 7.0) * scale) if blurred < 0.2 else 0.0,
        motion_deg=float(g.uniform(0, 180)),
        defocus_px=float(min(g.exponential(0.8), 2.0) * scale) if blurred > 0.88 else 0.0,
        read_noise=float(g.exponential(0.006)),
        shot_noise=float(g.exponential(0.012)),
        noise_grain_px=float(g.uniform(0, 0.9)),
        sharpen=float(g.uniform(0, 1.3) if g.random() < 0.75 else 0.0),
        vignette=float(g.exponential(0.08)),
        jpeg=int(g.integers(55, 96)) if g.random() < 0.7 else 0,
    )


def sensor_walk(generator: np.random.Generator, frames: int, width: int = 320) -> list[Sensor]:
    """One camera over a walk: the same device, with exposure, white balance and motion blur that drift from frame to
    frame."""
    base = replace(sample_sensor(generator, width), motion_px=0.0, defocus_px=0.0)
    knots = max(frames // 25, 2)
    at = np.linspace(0, knots - 1, frames)
    drift = np.interp(at, np.arange(knots), generator.normal(0, 0.2, knots))
    cast = np.interp(at, np.arange(knots), generator.normal(0, 0.02, knots))
    blur = np.maximum(np.interp(at, np.arange(knots), generator.normal(-0.3, 0.8, knots)), 0) * width / 320
    angle = np.interp(at, np.arange(knots), generator.uniform(0, 180, knots))
    r, g, b = base.white_balance
    return [
        replace(
            base,
            exposure_ev=base.exposure_ev + float(drift[i]),
            white_balance=(r * float(np.exp(cast[i])), g, b * float(np.exp(-cast[i]))),
            motion_px=float(blur[i]),
            motion_deg=float(angle[i]),
        )
        for i in range(frames)
    ]


def _motion_kernel(length: float, angle_deg: float) -> Floats:
    size = int(np.ceil(length)) // 2 * 2 + 3
    kernel = np.zeros((size, size), np.float32)
    s = np.linspace(-length / 2, length / 2, 8 * size)
    x = size // 2 + s * np.cos(np.deg2rad(angle_deg))
    y = size // 2 + s * np.sin(np.deg2rad(angle_deg))
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - (x - x0)) * np.abs(1 - dy - (y - y0))
            inside = (y0 + dy < size) & (x0 + dx < size)
            np.add.at(kernel, ((y0 + dy)[inside], (x0 + dx)[inside]), weight[inside])
    return kernel / kernel.sum()


def _disc_kernel(radius: float) -> Floats:
    size = int(np.ceil(radius)) * 2 + 1
    y, x = np.mgrid[:size, :size] - size // 2
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def _blur(light: Floats, sensor: Sensor) -> Floats:
    if sensor.motion_px > 0.3:
        light = cv2.filter2D(light, -1, _motion_kernel(sensor.motion_px, sensor.motion_deg))
    if sensor.defocus_px > 0.3:
        light = cv2.filter2D(light, -1, _disc_kernel(sensor.defocus_px))
    return light


def _vignette(light: Floats, amount: float) -> Floats:
    h, w = light.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    r2 = ((x - (w - 1) / 2) ** 2 + (y - (h - 1) / 2) ** 2) / ((w / 2) ** 2 + (h / 2) ** 2)
    return light * (1 - amount * r2)[..., None]


def _tone(light: Floats, sensor: Sensor) -> Floats:
    """Display values in [0, 1] of linear light whose white is 1."""
    light = (light - sensor.black) / (1 - sensor.black)
    light = np.maximum(light, 0)
    film: Floats = 1 - np.exp(-light * (1 + 0.3 * light))  # linear near 0, bends over towards 1
    light = (1 - sensor.shoulder) * light + sensor.shoulder * film
    shown = np.minimum(light, 1) ** (1 / 2.2)
    curve = 0.45 + (shown - 0.45) * sensor.contrast
    knee = shown * (1 - shown) * 4  # the S-curve bends the middle and leaves both ends
    return np.clip(shown + (curve - shown) * np.sqrt(knee), 0, 1).astype(np.float32)


def _noise(shown: Floats, sensor: Sensor, generator: np.random.Generator) -> Floats:
    if sensor.read_noise == 0 and sensor.shot_noise == 0:
        return shown
    grain = generator.standard_normal(shown.shape, np.float32)
    if sensor.noise_grain_px > 0.2:
        grain = cv2.GaussianBlur(grain, (0, 0), sensor.noise_grain_px)
        grain /= max(float(grain.std()), 1e-6)
    grain = 0.6 * grain + 0.4 * grain.mean(-1, keepdims=True) * 1.7
    return shown + grain * np.sqrt(sensor.read_noise**2 + sensor.shot_noise**2 * np.maximum(shown, 0))


def _sharpen(shown: Floats, strength: float) -> Floats:
    return shown + strength * (shown - cv2.GaussianBlur(shown, (0, 0), 0.9)) if strength > 0 else shown


def _saturate(shown: Floats, saturation: float) -> Floats:
    grey = shown @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey[..., None] + saturation * (shown - grey[..., None])


def _jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def develop(radiance: Floats, sensor: Sensor | None = None, *, seed: int = 0) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 sRGB that a camera makes of linear light (H, W, 3); None = the default `Sensor`.

    Same light, sensor and seed give the same bytes.
    """
    sensor = sensor or Sensor()
    gain = auto_gain(radiance) if sensor.gain is None else sensor.gain
    balance = np.asarray(sensor.white_balance, np.float32)
    light = np.minimum(radiance * np.float32(gain * 2**sensor.exposure_ev) * balance, 8.0).astype(np.float32)
    light = _blur(light, sensor)
    light = _vignette(light, sensor.vignette) if sensor.vignette > 0 else light
    shown = _saturate(_tone(light, sensor), sensor.saturation)
    shown = _sharpen(_noise(shown, sensor, np.random.default_rng([seed, 77])), sensor.sharpen)
    image = (np.clip(shown, 0, 1) * 255 + 0.5).astype(np.uint8)
    if sensor.jpeg > 0:
        image = _jpeg(image, sensor.jpeg)
    return image
