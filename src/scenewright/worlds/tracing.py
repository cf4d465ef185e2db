"""Rays through a room: what they meet, how that looks, and how much light of lamps and glowing faces arrives there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray

from scenewright.worlds import lighting, shading
from scenewright.worlds.flatten import LINEAR, Floats, Ints, flatten
from scenewright.worlds.model import Room

_WEAK_LIGHT = 2e-3


@dataclass(frozen=True)
class Hits:
    """What N rays met: prim (N,) row of `Triangles` or -1, t (N,) in units of the ray, the rest (N, 3)."""

    prim: Ints
    t: Floats
    ray: Floats
    pos: Floats
    nrm: Floats
    geo: Floats
    alb: Floats

    def take(self, rows: NDArray[np.integer]) -> Hits:
        """Some of them."""
        return Hits(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Sampling:
    """How points share the work of looking at large lights.

    Args:
        phase: (N,) int32 below `strata`; points of unlike phase look at unlike places of a light.
        strata: how many phases together see all of it.
        rays: each point's rays.
        seed: turns the pattern.
    """

    phase: Ints
    strata: int
    rays: int
    seed: int


class Tracer:
    """A room as a ray caster sees it.

    Raises:
        InputError: the room has no surfaces, or a mesh whose arrays do not fit each other.
    """

    def __init__(self, room: Room) -> None:
        self.flat = flatten(room)
        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, self.flat.triangles.corners)

    def cast(self, origins: Floats, directions: Floats) -> dict[str, Any]:
        """First hits of rays (N, 3), (N, 3): primID (-1 = none), u, v, tfar, each (N,)."""
        return self._scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=1)

    def surfaces(self, origins: Floats, rays: Floats, ddx: Floats, ddy: Floats) -> Hits:
        """Cast rays (N, 3) from origins (1 or N, 3) and look up the surfaces they meet; ddx, ddy (1 or N, 3): how the
        ray changes from pixel to pixel."""
        n = len(rays)
        found = self.cast(np.broadcast_to(origins, (n, 3)), rays)
        pos, nrm, geo, alb = (np.empty((n, 3), np.float32) for _ in range(4))
        shading.hit_surface(
            found["primID"], found["u"], found["v"], found["tfar"], origins, rays, ddx, ddy,
            self.flat.triangles, self.flat.surfaces, LINEAR, pos, nrm, geo, alb,
        )  # fmt: skip
        return Hits(found["primID"], found["tfar"], rays, pos, nrm, geo, alb)

    def emitted(self, hits: Hits) -> Floats:
        """(N, 3) radiance that the surfaces send out by themselves."""
        emission = self.flat.surfaces.emission[self.flat.triangles.material[hits.prim]]
        return hits.alb * np.where(hits.prim >= 0, emission, 0)[:, None].astype(np.float32)

    def lamplight(self, hits: Hits, sampling: Sampling) -> Floats:
        """(N, 3) irradiance by the lamps, shadows included."""
        return self._lit(hits, sampling, len(self.flat.lights.position), lighting.lamp_rays)

    def facelight(self, hits: Hits, sampling: Sampling) -> Floats:
        """(N, 3) irradiance by the emitting faces, shadows included."""
        return self._lit(hits, sampling, len(self.flat.lights.area), lighting.area_rays)

    def _lit(self, hits: Hits, sampling: Sampling, lights: int, kernel: Callable[..., int]) -> Floats:
        out = np.zeros_like(hits.pos)
        index = np.flatnonzero(hits.prim >= 0).astype(np.int32)
        room = len(index) * lights * sampling.rays
        if room == 0:
            return out
        o, d, value = (np.empty((room, 3), np.float32) for _ in range(3))
        reach, target = np.empty(room, np.float32), np.empty(room, np.int32)
        n = kernel(
            index, sampling.phase, sampling.strata, hits.pos, hits.nrm, hits.geo, self.flat.lights, sampling.rays,
            sampling.seed, _WEAK_LIGHT, o, d, reach, target, value,
        )  # fmt: skip
        if n:
            hidden = self._scene.run(o[:n], d[:n], dists=reach[:n], query="OCCLUDED")
            lighting.add_visible(n, hidden, target, value, out)
        return out

    def hemisphere(self, hits: Hits, index: Ints, sampling: Sampling) -> tuple[Floats, Floats, dict[str, Any]]:
        """Origins, directions and first hits of cosine-distributed rays from the points `index` (P,): P * rays each."""
        o, d = (np.empty((len(index) * sampling.rays, 3), np.float32) for _ in range(2))
        lighting.hemisphere_rays(
            index, sampling.phase, sampling.strata, hits.pos, hits.nrm, hits.geo, sampling.rays, sampling.seed, o, d
        )
        return o, d, self.cast(o, d)
