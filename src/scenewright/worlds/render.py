"""Pictures of rooms with exact ground truth: embree finds what each ray meets, kernels decide how it looks.

One pass of centre rays gives depth, normals, labels and instances, and the light at every pixel. Pixels that see more
than one surface are then sampled again on a finer grid; the light of those samples comes from the pixels around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds import shading
from scenewright.worlds.flatten import LINEAR, FlatRoom, Floats, Ints, flatten
from scenewright.worlds.model import Rendered, Room
from scenewright.worlds.sensor import Sensor, develop

_WEAK_LIGHT = 2e-3
_AMBIENT_FADE_M = 0.5
_AMBIENT_BOUNCE = 0.55
_REFLECTED_WORTH = 0.012


@dataclass(frozen=True)
class Quality:
    """What a picture may cost; ground truth is exact at every quality.

    Args:
        samples: an edge pixel is the mean of samples x samples rays.
        light_step: lamps are looked up at every light_step-th pixel, with `shadow_rays` rays a lamp.
        ambient_step, ambient_rays: the same for light from everywhere.
        reflections: one bounce off glossy surfaces.
    """

    samples: int = 2
    light_step: int = 1
    shadow_rays: int = 1
    ambient_step: int = 2
    ambient_rays: int = 4
    reflections: bool = True


BEST = Quality()
FAST = Quality(samples=2, light_step=2, shadow_rays=1, ambient_step=4, ambient_rays=4, reflections=False)


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


class Renderer:
    """Renders one room; build it once and take many pictures.

    Args:
        room: any world in the terms of `worlds.model`.

    Raises:
        InputError: the room has no surfaces, or a mesh whose arrays do not fit each other.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.flat: FlatRoom = flatten(room)
        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, self.flat.triangles.corners)

    def render(
        self,
        camera: Camera,
        T_world_cam: NDArray[np.float64],
        *,
        samples: int = 2,
        seed: int = 0,
        sensor: Sensor | None = None,
        quality: Quality = BEST,
    ) -> Rendered:
        """One view.

        Args:
            camera: an undistorted pinhole camera.
            T_world_cam: (4, 4), camera points to world points.
            samples: edge pixels are sampled samples x samples times (1 = jagged edges).
            seed: of shadows, ambient light and the sensor's noise.
            sensor: what the camera does to the light; None = a clean, well exposed picture.
            quality: what the light may cost.

        Raises:
            InputError: a distorted or batched camera, or a pose that is not a rigid transform.
        """
        radiance, hits = self._radiance(camera, T_world_cam, samples, seed, quality)
        image = develop(radiance, sensor, seed=seed)
        return self._rendered(image, hits, camera, T_world_cam)

    def radiance(
        self,
        camera: Camera,
        T_world_cam: NDArray[np.float64],
        *,
        samples: int = 1,
        seed: int = 0,
        quality: Quality = BEST,
    ) -> Floats:
        """(H, W, 3) float32 linear light that reaches the camera, before any sensor."""
        return self._radiance(camera, T_world_cam, samples, seed, quality)[0]

    def truth(self, camera: Camera, T_world_cam: NDArray[np.float64]) -> Rendered:
        """Depth, normals, labels and instances only; the picture is black."""
        hits = self._centre_hits(camera, T_world_cam)
        return self._rendered(np.zeros((*camera.size, 3), np.uint8), hits, camera, T_world_cam)

    def distance(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Floats:
        """(N,) how far rays (N, 3) run before they meet something, in units of the direction's length; inf if never."""
        hit = self._cast(np.asarray(origins, np.float32), np.asarray(directions, np.float32))
        return np.where(hit["primID"] >= 0, hit["tfar"], np.float32(np.inf)).astype(np.float32)

    def instance_at(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Ints:
        """(N,) which placed object each ray meets first, -1 if none."""
        prim = self._cast(np.asarray(origins, np.float32), np.asarray(directions, np.float32))["primID"]
        return np.where(prim >= 0, self.flat.triangles.instance[prim], -1).astype(np.int32)

    def _cast(self, origins: Floats, directions: Floats, reach: Floats | None = None) -> dict[str, Any]:
        dists = {} if reach is None else {"dists": reach}
        return self._scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=1, **dists)

    def _hits(
        self, origins: Floats, rays: Floats, ddx: Floats, ddy: Floats, spread_per_t: Floats | None = None
    ) -> Hits:
        """Cast rays from origins (1 or N, 3) and look up the surfaces they meet."""
        n = len(rays)
        found = self._cast(np.broadcast_to(origins, (n, 3)), rays)
        pos, nrm, geo, alb = (np.empty((n, 3), np.float32) for _ in range(4))
        prim, t = found["primID"], found["tfar"]
        spread = np.zeros(1, np.float32) if spread_per_t is None else spread_per_t
        flat = self.flat
        shading.hit_surface(
            prim, found["u"], found["v"], t, origins, rays, ddx, ddy, spread, flat.triangles, flat.surfaces, LINEAR,
            pos, nrm, geo, alb,
        )  # fmt: skip
        return Hits(prim, t, rays, pos, nrm, geo, alb)

    def _centre_hits(self, camera: Camera, T_world_cam: NDArray[np.float64]) -> Hits:
        y, x = np.mgrid[: camera.height, : camera.width].reshape(2, -1).astype(np.float32)
        return self._pixel_hits(camera, T_world_cam, x, y, 1.0)

    def _pixel_hits(self, camera: Camera, T_world_cam: NDArray[np.float64], x: Floats, y: Floats, size: float) -> Hits:
        """What the rays through pixel coordinates (N,), (N,) meet; a ray advances by z = 1, so t is z-depth."""
        R, origin = _pose(T_world_cam)
        fx, fy, cx, cy = _intrinsics(camera)
        in_cam = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1).astype(np.float64)
        rays = (in_cam @ R.T).astype(np.float32)
        ddx, ddy = (size * R[:, 0] / fx).astype(np.float32), (size * R[:, 1] / fy).astype(np.float32)
        return self._hits(origin[None].astype(np.float32), rays, ddx, ddy)

    def _rendered(
        self, image: NDArray[np.uint8], hits: Hits, camera: Camera, T_world_cam: NDArray[np.float64]
    ) -> Rendered:
        size = camera.size
        hit = hits.prim >= 0
        instances = np.where(hit, self.flat.triangles.instance[hits.prim], -1).astype(np.int32)
        labels = np.where(hit, self.flat.labels[instances], 0).astype(np.uint8)
        depth = np.where(hit, hits.t, 0).astype(np.float32)
        normal = (hits.nrm @ T_world_cam[:3, :3].astype(np.float32)).astype(np.float32)
        return Rendered(
            image, depth.reshape(size), normal.reshape(*size, 3), labels.reshape(size), instances.reshape(size)
        )

    def _radiance(
        self, camera: Camera, T_world_cam: NDArray[np.float64], samples: int, seed: int, quality: Quality
    ) -> tuple[Floats, Hits]:
        centre = self._centre_hits(camera, T_world_cam)
        edges = self._edges(centre, camera.size) if samples > 1 else np.zeros(camera.size, bool)
        smooth = np.flatnonzero(~edges.ravel())
        ys, xs = np.divmod(smooth, camera.width)
        total = np.zeros((camera.height * camera.width, 3), np.float32)
        light = _Light(self, centre, camera, seed, quality)
        total[smooth] = light.shade(_take(centre, smooth), xs.astype(np.float32), ys.astype(np.float32))
        if edges.any():
            ey, ex = np.nonzero(edges)
            offsets = (np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5
            x = (ex[:, None] + np.tile(offsets, samples)).astype(np.float32)
            y = (ey[:, None] + np.repeat(offsets, samples)).astype(np.float32)
            hits = self._pixel_hits(camera, T_world_cam, x.ravel(), y.ravel(), 1.0 / samples)
            colours = light.shade(hits, x.ravel(), y.ravel()).reshape(-1, samples * samples, 3)
            white = 4.0 * np.percentile(total[smooth], 95) if len(smooth) else np.inf
            total[edges.ravel()] = np.minimum(colours, max(white, 1e-6)).mean(1)
        return total.reshape(*camera.size, 3), centre

    def _edges(self, hits: Hits, size: tuple[int, int]) -> NDArray[np.bool_]:
        flat, out = self.flat, np.empty(size, np.bool_)
        key = np.where(hits.prim >= 0, flat.triangles.material[hits.prim], -1).astype(np.int32)
        grid = (*size, 3)
        depth = np.where(hits.prim >= 0, hits.t, 0).astype(np.float32)
        shading.find_edges(depth.reshape(size), hits.nrm.reshape(grid), key.reshape(size), hits.pos.reshape(grid), out)
        return out


class _Light:
    """The light of one view: looked up once at the pixels' centres, then handed to every sample."""

    def __init__(self, renderer: Renderer, centre: Hits, camera: Camera, seed: int, quality: Quality) -> None:
        self._renderer, self._flat, self._quality, self._seed = renderer, renderer.flat, quality, seed
        self._camera = camera
        rows = np.arange(len(centre.prim), dtype=np.int32).reshape(camera.size)
        self._direct = self._grid(centre, rows, quality.light_step, self._lamplight)
        self._ambient = self._grid(centre, rows, quality.ambient_step, self._ambient_light)
        self._gloss = self._gloss_light(centre)

    def _grid(self, centre: Hits, rows: Ints, step: int, function: Any) -> tuple[Floats, Floats, Floats, int]:
        """Positions, normals and light (h, w, 3) at every step-th pixel, and the step."""
        picked = rows[::step, ::step]
        hits = _take(centre, picked.ravel())
        shape = (*picked.shape, 3)
        return hits.pos.reshape(shape), hits.nrm.reshape(shape), function(hits).reshape(shape), step

    def _lamplight(self, hits: Hits) -> Floats:
        """(N, 3) irradiance by lamps and emitting faces, shadows included."""
        out = np.zeros_like(hits.pos)
        index = np.flatnonzero(hits.prim >= 0).astype(np.int32)
        lights = self._flat.lights
        for count, kernel in ((len(lights.position), shading.lamp_rays), (len(lights.area), shading.area_rays)):
            if count == 0 or len(index) == 0:
                continue
            room = len(index) * count * self._quality.shadow_rays
            o, d, value = (np.empty((room, 3), np.float32) for _ in range(3))
            reach, target = np.empty(room, np.float32), np.empty(room, np.int32)
            n = kernel(
                index, hits.pos, hits.nrm, hits.geo, lights, self._quality.shadow_rays, self._seed, _WEAK_LIGHT,
                o, d, reach, target, value,
            )  # fmt: skip
            if n:
                hidden = self._renderer._scene.run(o[:n], d[:n], dists=reach[:n], query="OCCLUDED")
                shading.add_visible(n, hidden, target, value, out)
        return out

    def _ambient_light(self, hits: Hits) -> Floats:
        """(N, 3) mean radiance of the hemisphere: `Room.ambient`, dimmed and coloured by near surfaces."""
        flat, rays, out = self._flat, self._quality.ambient_rays, np.zeros_like(hits.pos)
        index = np.flatnonzero(hits.prim >= 0).astype(np.int32)
        if len(index) == 0:
            return out
        o, d = (np.empty((len(index) * rays, 3), np.float32) for _ in range(2))
        shading.hemisphere_rays(index, hits.pos, hits.nrm, hits.geo, rays, self._seed, o, d)
        found = self._renderer._cast(o, d, np.full(len(o), 4 * _AMBIENT_FADE_M, np.float32))
        shading.gather_ambient(
            index, rays, found["primID"], found["tfar"], flat.triangles.material, flat.surfaces.mean, flat.ambient,
            _AMBIENT_FADE_M, _AMBIENT_BOUNCE, out,
        )  # fmt: skip
        return out

    def _gloss_light(self, centre: Hits) -> Floats | None:
        """(H, W, 3) radiance of highlights and of the mirrored room; None where nothing is glossy."""
        flat, n = self._flat, len(centre.prim)
        gloss = np.where(centre.prim >= 0, flat.surfaces.gloss[flat.triangles.material[centre.prim]], 0)
        glossy = np.flatnonzero(gloss > 0.03).astype(np.int32)
        if len(glossy) == 0:
            return None
        out = np.zeros((n, 3), np.float32)
        shading.highlights(glossy, centre.pos, centre.nrm, centre.ray, gloss.astype(np.float32), flat.lights, out)
        if self._quality.reflections:
            self._add_reflections(centre, gloss, out)
        return out.reshape(*self._camera.size, 3)

    def _add_reflections(self, centre: Hits, gloss: Floats, out: Floats) -> None:
        length = np.linalg.norm(centre.ray, axis=1)
        cosine = -(centre.ray * centre.nrm).sum(1) / length
        share = gloss * (0.05 + 0.95 * (1 - cosine.clip(0, 1)) ** 5)  # Schlick (1994)
        rows = np.flatnonzero(share > _REFLECTED_WORTH)
        if len(rows) == 0:
            return
        nrm, ray, zero = centre.nrm[rows], centre.ray[rows] / length[rows, None], np.zeros(3, np.float32)
        mirrored = (ray + 2 * cosine[rows, None] * nrm).astype(np.float32)
        origins = centre.pos[rows] + 1e-3 * centre.geo[rows]
        width = (length * centre.t)[rows] / self._camera.numbers[0] * 3
        hits = self._renderer._hits(origins, mirrored, zero, zero, width.astype(np.float32))
        seen = self._emitted(hits) + hits.alb * (self._flat.ambient + self._lamplight(hits) / np.pi)
        out[rows] += share[rows, None].astype(np.float32) * seen

    def _emitted(self, hits: Hits) -> Floats:
        emission = self._flat.surfaces.emission[self._flat.triangles.material[hits.prim]]
        return hits.alb * np.where(hits.prim >= 0, emission, 0)[:, None].astype(np.float32)

    def shade(self, hits: Hits, x: Floats, y: Floats) -> Floats:
        """(N, 3) radiance of what rays through pixel coordinates x, y (N,) met."""
        depth = np.where(hits.prim >= 0, hits.t, 0).astype(np.float32)
        direct, ambient, gloss = (np.zeros_like(hits.pos) for _ in range(3))
        for (pos, nrm, light, step), out, radius in ((self._direct, direct, 1), (self._ambient, ambient, 2)):
            shading.gather(x, y, hits.pos, hits.nrm, depth, pos, nrm, light, step, radius, out)
        if self._gloss is not None:
            pos, nrm, _, _ = self._direct
            yy = np.rint(y).astype(int).clip(0, self._camera.height - 1)
            xx = np.rint(x).astype(int).clip(0, self._camera.width - 1)
            gloss = self._gloss[yy, xx]
        return self._emitted(hits) + hits.alb * (ambient + direct / np.float32(np.pi)) + gloss


def _take(hits: Hits, rows: NDArray[np.integer]) -> Hits:
    return Hits(
        hits.prim[rows], hits.t[rows], hits.ray[rows], hits.pos[rows], hits.nrm[rows], hits.geo[rows], hits.alb[rows]
    )


def _pose(T_world_cam: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    T = np.asarray(T_world_cam, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all() or abs(np.linalg.det(T[:3, :3]) - 1) > 1e-3:
        raise InputError("T_world_cam", f"{T.tolist()}", "a (4, 4) rigid transform")
    return T[:3, :3], T[:3, 3]


def _intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    if camera.distortion is not None:
        raise InputError("camera", "lens distortion", "an undistorted pinhole camera")
    return camera.numbers
