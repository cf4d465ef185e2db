"""The open air: the light of the sky by direction, haze in front of what is far, light bounced off sunlit surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenewright.worlds.flatten import Floats
from scenewright.worlds.indirect import LightGrid
from scenewright.worlds.model import Lamp, Sky
from scenewright.worlds.textures import Colour
from scenewright.worlds.tracing import Hits

SUN_DISTANCE_M = 2000.0
_SIDES = np.concatenate([[-e, e] for e in np.eye(3)]).astype(np.float32)
_SUNLIT = 0.6  # share of the surfaces facing the sun that nothing shades


def sky_radiance(sky: Sky, directions: NDArray[np.floating]) -> Floats:
    """(N, 3) linear radiance of the sky in directions (N, 3) of any length; below the horizon it is the horizon's."""
    d = np.asarray(directions, np.float32)
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    up = d[:, 2:].clip(0, 1)
    zenith, horizon = (np.asarray(c, np.float32) for c in (sky.zenith, sky.horizon))
    light = zenith + (1 - up) ** 4 * (horizon - zenith)
    cover = _cover(sky.cover, d) * np.minimum(up[:, 0] * 6, 1)
    light = light + cover[:, None] * (np.asarray(sky.cloud, np.float32) - light)
    toward = (d @ np.asarray(sky.sun, np.float32)).clip(0, 1)[:, None]
    shine = sky.glow * (0.25 * toward**8 + toward**64 + 30 * (toward > 0.9999))
    return (light + (1 - 0.7 * cover[:, None]) * shine * np.array([1.0, 0.95, 0.85], np.float32)).astype(np.float32)


def _cover(field: Floats, d: Floats) -> Floats:
    """(N,) cloud cover where rays pass a level layer; bilinear, repeating."""
    size = field.shape[0]
    at = d[:, :2] / (d[:, 2:].clip(0, 1) + 0.2) * (0.2 * size)
    low = np.floor(at).astype(np.int64)
    (ax, ay), (x, y) = (at - low).T.astype(np.float32), low.T % size
    x1, y1 = (x + 1) % size, (y + 1) % size
    top = field[y, x] * (1 - ax) + field[y, x1] * ax
    return np.asarray(top * (1 - ay) + (field[y1, x] * (1 - ax) + field[y1, x1] * ax) * ay, np.float32)


def ambient_of(sky: Sky) -> Colour:
    """The radiance that, from everywhere, gives a level surface the irradiance that the sky without its sun gives."""
    golden, n = np.pi * (3 - np.sqrt(5)), 512
    i = np.arange(n) + 0.5
    ring, phi = np.sqrt(i / n), golden * i  # cosine-distributed
    d = np.stack([ring * np.cos(phi), ring * np.sin(phi), np.sqrt(1 - i / n)], 1)
    seen = sky_radiance(sky, d)
    r, g, b = np.minimum(seen, np.percentile(seen, 95, axis=0)).mean(0).tolist()
    return r, g, b


def sun_lamp(sky: Sky, irradiance: Colour) -> Lamp:
    """The sun as a lamp so far away that its light is parallel; irradiance (3,) on a surface that faces it."""
    x, y, z = (SUN_DISTANCE_M * c for c in sky.sun)
    r, g, b = (SUN_DISTANCE_M**2 * c for c in irradiance)
    return Lamp((x, y, z), (r, g, b), radius=0.012 * SUN_DISTANCE_M)


def through_air(sky: Sky, radiance: Floats, hits: Hits) -> Floats:
    """(N, 3): the radiance of what rays met behind the haze of their way, the sky's where they met nothing.

    Haze takes 1 - exp(-distance / haze_m) of the light and puts the horizon's in its place (Koschmieder 1924).
    """
    out, met = np.array(radiance), hits.prim >= 0
    length = np.linalg.norm(hits.ray[met], axis=1) * hits.t[met]
    clear = np.exp(-length / np.float32(sky.haze_m))[:, None].astype(np.float32)
    out[met] = clear * radiance[met] + (1 - clear) * np.asarray(sky.horizon, np.float32)
    out[~met] = sky_radiance(sky, hits.ray[~met])
    return out


def open_air_grid(sky: Sky, lamps: tuple[Lamp, ...]) -> LightGrid:
    """One cell for the whole world: what a surface of each side gets from the sun, where nothing shades it."""
    light = np.zeros((6, 3), np.float32)
    for lamp in lamps:
        place = np.asarray(lamp.position, np.float32)
        square = float(place @ place)
        facing = (_SIDES @ (place / np.sqrt(square))).clip(0, 1)
        light += facing[:, None] * np.asarray(lamp.power, np.float32) / square
    return LightGrid((_SUNLIT / np.pi * light).reshape(1, 1, 1, 6, 3).astype(np.float32), np.zeros(3, np.float32))
