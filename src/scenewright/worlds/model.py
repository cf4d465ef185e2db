"""What a synthetic world is made of. Builders fill these records, the renderer reads them; nothing else is shared.

World axes: x and y along the floor, z up, metres; the floor lies at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Args:
        albedo: linear RGB reflectance in [0, 1]; multiplies the texture where there is one.
        texture: (h, w, 3) uint8 sRGB, repeats over uv in [0, 1); None for a plain colour.
        gloss: 0 = matt ... 1 = polished: strength of highlights and of the mirror-like reflection.
        emission: linear radiance it sends out by itself (lit windows, screens, lamp shades), 0 for most.
    """

    albedo: tuple[float, float, float]
    texture: NDArray[np.uint8] | None = None
    gloss: float = 0.0
    emission: float = 0.0


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh with materials.

    Args:
        vertices: (V, 3) float32, metres.
        faces: (F, 3) int32 into `vertices`.
        uv: (F, 3, 2) float32 texture coordinates per face corner; one unit is one repeat of the texture.
        material: (F,) int16 into `materials`.
        normals: (F, 3, 3) float32 unit shading normals per face corner (smooth or flat, the builder's choice).
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    material: NDArray[np.int16]
    normals: NDArray[np.float32]
    materials: tuple[Material, ...]


@dataclass(frozen=True)
class Placed:
    """A mesh standing in a world.

    Args:
        mesh: in its own frame.
        T_world_object: (4, 4) float64 rigid transform (sizes are already in the mesh).
        label: class index of `scenewright.labels.LABELS`.
        name: what it is ("chair", "wall", the library's model name).
        source: who made it and under which licence; "" for built-in parametric parts.
    """

    mesh: Mesh
    T_world_object: NDArray[np.float64]
    label: int
    name: str
    source: str = ""


@dataclass(frozen=True)
class Lamp:
    """A spherical light.

    Args:
        position: (3,) metres.
        power: (3,) linear RGB; irradiance at distance d facing it is power / d^2.
        radius: metres; larger = softer shadows.
        direction, cone_cos: where it is a spot, its unit axis and the cosine of its half angle; else None and -1.
    """

    position: tuple[float, float, float]
    power: tuple[float, float, float]
    radius: float = 0.1
    direction: tuple[float, float, float] | None = None
    cone_cos: float = -1.0


@dataclass(frozen=True, eq=False)
class Sky:
    """The open air above a world without a ceiling.

    Args:
        zenith, horizon: linear RGB radiance straight up and at eye level.
        sun: (3,) unit vector towards the sun.
        glow: radiance of the bright sky around the sun; 0 where it is hidden.
        cover: (n, n) float32 clouds in [0, 1], repeats; cloud: their linear RGB radiance.
        haze_m: distance at which haze has taken all but 1/e of the light.
    """

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    sun: tuple[float, float, float]
    glow: float
    cover: NDArray[np.float32]
    cloud: tuple[float, float, float]
    haze_m: float


@dataclass(frozen=True)
class Room:
    """A furnished room, or another world in its terms: everything a renderer and a camera walk need.

    Args:
        kind: "kitchen", "office", "living room", "bedroom", "bathroom", "corridor" or "hall".
        seed: the room is a pure function of (seed, split, version of the generator).
        split: "train", "validation" or "test"; rooms, furniture models and textures are disjoint between them.
        extent: (3,) metres: the bounding box of the interior is [0, extent].
        placed: walls, floor and ceiling included; the index in this tuple is the instance number.
        lamps: lights.
        ambient: linear RGB light from everywhere.
        free: (N, 4) float32 rectangles x0 y0 x1 y1 of floor where a person can stand, clear from 0 to 2 m height.
        focus: (M, 3) float32 points worth looking at (centres of furniture, clutter, worktops).
        sky: what rays see that leave the world; None = nothing, a closed room.
    """

    kind: str
    seed: int
    split: str
    extent: tuple[float, float, float]
    placed: tuple[Placed, ...]
    lamps: tuple[Lamp, ...]
    ambient: tuple[float, float, float]
    free: NDArray[np.float32]
    focus: NDArray[np.float32]
    notes: dict[str, str] = field(default_factory=dict)
    sky: Sky | None = None


@dataclass(frozen=True)
class Rendered:
    """Exact ground truth of one view, and its picture.

    Args:
        image: (H, W, 3) uint8 sRGB, as a real camera would give it (exposure, tone curve, noise, blur when asked).
        depth_m: (H, W) float32 z-depth of the pixel's centre ray, 0 where it leaves the world.
        normal_cam: (H, W, 3) float32 unit normals in camera axes, facing the camera; 0 where there is no surface.
        labels: (H, W) uint8 class indices, 0 outside.
        instances: (H, W) int32 index into `Room.placed`, -1 outside.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    normal_cam: NDArray[np.float32]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32]
