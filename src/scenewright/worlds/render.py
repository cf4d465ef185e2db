"""Pictures of rooms with exact ground truth: embree finds what each ray meets, kernels decide how it looks.

One pass of centre rays gives depth, normals, labels and instances, and the light at every pixel. Pixels that see more
than one surface are then sampled again on a finer grid; the light of those samples comes from the pixels around them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds import lighting, screen
from scenewright.worlds.flatten import Floats, Ints
from scenewright.worlds.indirect import LightGrid, build_grid, incoming
from scenewright.worlds.model import Rendered, Room
from scenewright.worlds.sensor import Sensor, develop
from scenewright.worlds.sky import open_air_grid, through_air
from scenewright.worlds.tracing import Hits, Sampling, Tracer

_LAMP_WINDOW, _SOFT_WINDOW = 3, 5
_REFLECTED_WORTH = 0.012


@dataclass(frozen=True)
class Quality:
    """What the light of a picture may cost; ground truth is exact at every quality.

    Args:
        lamp_step: lamps are looked up at every lamp_step-th pixel, with `lamp_rays` rays a lamp; 3 x 3 of these
            pixels share their rays.
        soft_step: the same for bounced light (`bounce_rays`) and emitting faces (`face_rays`), shared by 5 x 5.
        reflections: one bounce off glossy surfaces.
    """

    lamp_step: int = 1
    lamp_rays: int = 1
    soft_step: int = 2
    face_rays: int = 1
    bounce_rays: int = 6
    reflections: bool = True


BEST = Quality()
FAST = Quality(lamp_step=2, soft_step=4, bounce_rays=4, reflections=False)


class Renderer:
    """Renders one room; build it once and take many pictures.

    Args:
        room: any world in the terms of `worlds.model`.

    Raises:
        InputError: the room has no surfaces, or a mesh whose arrays do not fit each other.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.tracer = Tracer(room)
        self._grid: LightGrid | None = None

    @property
    def grid(self) -> LightGrid:
        """The room's bounced light, found when first needed."""
        if self._grid is None:
            sky, lamps = self.room.sky, self.room.lamps
            grid = (
                build_grid(self.tracer, self.room.extent, self.room.seed) if sky is None else open_air_grid(sky, lamps)
            )
            self._grid = grid
        return self._grid

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
            seed: of shadows, bounced light and the sensor's noise.
            sensor: what the camera does to the light; None = a clean, well exposed picture.
            quality: what the light may cost.

        Raises:
            InputError: a distorted or batched camera, or a pose that is not a rigid transform.
        """
        radiance, truth = self.seen(camera, T_world_cam, samples=samples, seed=seed, quality=quality)
        return replace(truth, image=develop(radiance, sensor, seed=seed))

    def seen(
        self,
        camera: Camera,
        T_world_cam: NDArray[np.float64],
        *,
        samples: int = 2,
        seed: int = 0,
        quality: Quality = BEST,
    ) -> tuple[Floats, Rendered]:
        """As `radiance`, and what `truth` knows of the same view, for one price."""
        radiance, hits = self._radiance(camera, T_world_cam, samples, seed, quality)
        return radiance, self._rendered(np.zeros((*camera.size, 3), np.uint8), hits, camera, T_world_cam)

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
        hits = self.centre_hits(camera, T_world_cam)
        return self._rendered(np.zeros((*camera.size, 3), np.uint8), hits, camera, T_world_cam)

    def distance(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Floats:
        """(N,) how far rays (N, 3) run before they meet something, in units of the direction's length; inf if never."""
        hit = self.tracer.cast(np.asarray(origins, np.float32), np.asarray(directions, np.float32))
        return np.where(hit["primID"] >= 0, hit["tfar"], np.float32(np.inf)).astype(np.float32)

    def instance_at(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Ints:
        """(N,) which placed object each ray meets first, -1 if none."""
        prim = self.tracer.cast(np.asarray(origins, np.float32), np.asarray(directions, np.float32))["primID"]
        return np.where(prim >= 0, self.tracer.flat.triangles.instance[prim], -1).astype(np.int32)

    def centre_hits(self, camera: Camera, T_world_cam: NDArray[np.float64]) -> Hits:
        """What the rays through all pixel centres meet, row by row."""
        x, y = np.arange(camera.width, dtype=np.float32)[None], np.arange(camera.height, dtype=np.float32)[:, None]
        return self._pixel_hits(camera, T_world_cam, x, y, 1.0)

    def _pixel_hits(self, camera: Camera, T_world_cam: NDArray[np.float64], x: Floats, y: Floats, size: float) -> Hits:
        """What the rays through pixel coordinates x, y (of one shape together) meet; a ray advances by z = 1, so t is
        z-depth."""
        R, origin = _pose(T_world_cam)
        fx, fy, cx, cy = _intrinsics(camera)
        right, down, ahead = (R[:, 0] / fx).astype(np.float32), (R[:, 1] / fy).astype(np.float32), R[:, 2]
        corner = (ahead - cx * R[:, 0] / fx - cy * R[:, 1] / fy).astype(np.float32)
        rays = (corner + x[..., None] * right + y[..., None] * down).reshape(-1, 3)
        size32 = np.float32(size)
        return self.tracer.surfaces(origin[None].astype(np.float32), rays, size32 * right[None], size32 * down[None])

    def _rendered(
        self, image: NDArray[np.uint8], hits: Hits, camera: Camera, T_world_cam: NDArray[np.float64]
    ) -> Rendered:
        size, flat = camera.size, self.tracer.flat
        hit = hits.prim >= 0
        instances = np.where(hit, flat.triangles.instance[hits.prim], -1).astype(np.int32)
        labels = np.where(hit, flat.labels[instances], 0).astype(np.uint8)
        depth = np.where(hit, hits.t, 0).astype(np.float32)
        normal = hits.nrm @ T_world_cam[:3, :3].astype(np.float32)
        return Rendered(
            image, depth.reshape(size), normal.reshape(*size, 3), labels.reshape(size), instances.reshape(size)
        )

    def _radiance(
        self, camera: Camera, T_world_cam: NDArray[np.float64], samples: int, seed: int, quality: Quality
    ) -> tuple[Floats, Hits]:
        centre = self.centre_hits(camera, T_world_cam)
        light = _Light(self, centre, camera, seed, quality)
        y, x = np.divmod(np.arange(len(centre.prim), dtype=np.int32), np.int32(camera.width))
        total = light.shade(centre, x.astype(np.float32), y.astype(np.float32))
        rows = np.flatnonzero(self._edges(centre, camera.size)) if samples > 1 else np.zeros(0, np.intp)
        if len(rows):
            inner = (np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5
            xs = (x[rows, None] + np.tile(inner, samples)).astype(np.float32).ravel()
            ys = (y[rows, None] + np.repeat(inner, samples)).astype(np.float32).ravel()
            hits = self._pixel_hits(camera, T_world_cam, xs, ys, 1.0 / samples)
            colours = light.shade(hits, xs, ys).reshape(len(rows), samples * samples, 3)
            white = 4.0 * float(np.percentile(total, 95))  # brighter samples would eat the smoothness of their edge
            total[rows] = np.minimum(colours, max(white, 1e-6)).mean(1)
        return total.reshape(*camera.size, 3), centre

    def _edges(self, hits: Hits, size: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) pixels whose square covers more than one surface."""
        out, grid = np.empty(size, np.bool_), (*size, 3)
        key = np.where(hits.prim >= 0, self.tracer.flat.triangles.material[hits.prim], -1).astype(np.int32)
        depth = np.where(hits.prim >= 0, hits.t, 0).astype(np.float32)
        screen.find_edges(depth.reshape(size), hits.nrm.reshape(grid), key.reshape(size), hits.pos.reshape(grid), out)
        return out


@dataclass(frozen=True)
class _Grid:
    """Light (h, w, 3) at every step-th pixel, and where: positions and normals (h, w, 3)."""

    pos: Floats
    nrm: Floats
    light: Floats
    step: int


class _Light:
    """The light of one view: looked up once at the pixels' centres, then handed to every sample."""

    def __init__(self, renderer: Renderer, centre: Hits, camera: Camera, seed: int, quality: Quality) -> None:
        self._tracer, self._grid, self._sky = renderer.tracer, renderer.grid, renderer.room.sky
        self._camera, self._seed, self._quality = camera, seed, quality
        lamp = self._look(centre, quality.lamp_step, _LAMP_WINDOW, quality.lamp_rays, self._lamps)
        soft = self._look(centre, quality.soft_step, _SOFT_WINDOW, 1, self._soft)
        self._sources = ((lamp, _LAMP_WINDOW // 2), (soft, _SOFT_WINDOW // 2))
        self._gloss = self._gloss_light(centre)

    def _look(
        self, centre: Hits, step: int, window: int, rays: int, function: Callable[[Hits, Sampling], Floats]
    ) -> _Grid:
        """Light at every step-th pixel; window x window of these share their rays."""
        picked = np.arange(len(centre.prim), dtype=np.int32).reshape(self._camera.size)[::step, ::step]
        y, x = np.indices(picked.shape, np.int32)
        phase = (x % window + window * (y % window)).ravel().astype(np.int32)
        hits, shape = centre.take(picked.ravel()) if step > 1 else centre, (*picked.shape, 3)
        light = function(hits, Sampling(phase, window * window, rays, self._seed))
        return _Grid(hits.pos.reshape(shape), hits.nrm.reshape(shape), light.reshape(shape), step)

    def _lamps(self, hits: Hits, sampling: Sampling) -> Floats:
        return self._tracer.lamplight(hits, sampling) / np.float32(np.pi)

    def _soft(self, hits: Hits, sampling: Sampling) -> Floats:
        """Bounced light and that of emitting faces."""
        faces = Sampling(sampling.phase, sampling.strata, self._quality.face_rays, self._seed)
        bounce = Sampling(sampling.phase, sampling.strata, self._quality.bounce_rays, self._seed)
        bounced = incoming(self._tracer, self._grid, hits, bounce, self._tracer.flat.ambient)
        return bounced + self._tracer.facelight(hits, faces) / np.float32(np.pi)

    def _gloss_light(self, centre: Hits) -> Floats | None:
        """(H, W, 3) radiance of highlights and of the mirrored room; None where nothing is glossy."""
        flat = self._tracer.flat
        gloss = np.where(centre.prim >= 0, flat.surfaces.gloss[flat.triangles.material[centre.prim]], np.float32(0))
        glossy = np.flatnonzero(gloss > 0.03).astype(np.int32)
        if len(glossy) == 0:
            return None
        out = np.zeros((len(centre.prim), 3), np.float32)
        lighting.highlights(glossy, centre.pos, centre.nrm, centre.ray, gloss, flat.lights, out)
        if self._quality.reflections:
            self._add_reflections(centre, glossy, gloss[glossy], out)
        return out.reshape(*self._camera.size, 3)

    def _add_reflections(self, centre: Hits, glossy: Ints, gloss: Floats, out: Floats) -> None:
        ray, nrm = centre.ray[glossy], centre.nrm[glossy]
        length = np.linalg.norm(ray, axis=1)
        cosine = -(ray * nrm).sum(1) / length
        share = gloss * (0.05 + 0.95 * (1 - cosine.clip(0, 1)) ** 5)  # Schlick (1994)
        keep = share > _REFLECTED_WORTH
        rows = glossy[keep]
        if len(rows) == 0:
            return
        ray, nrm = ray[keep] / length[keep, None], nrm[keep]
        mirrored = (ray + 2 * cosine[keep, None] * nrm).astype(np.float32)
        origins = (centre.pos[rows] + 1e-3 * centre.geo[rows]).astype(np.float32)
        blur = (0.02 + 0.1 * (1 - gloss[keep]))[:, None].astype(np.float32)  # of the lobe, in radians
        across = blur * nrm[:, [1, 2, 0]]
        hits = self._tracer.surfaces(origins, mirrored, across, across[:, [1, 2, 0]])
        phase = np.zeros(len(rows), np.int32)
        light = incoming(self._tracer, self._grid, hits, Sampling(phase, 1, 1, self._seed), self._tracer.flat.ambient)
        seen = self._tracer.emitted(hits) + hits.alb * light
        seen = seen if self._sky is None else through_air(self._sky, seen, hits)
        out[rows] += share[keep, None].astype(np.float32) * seen

    def shade(self, hits: Hits, x: Floats, y: Floats) -> Floats:
        """(N, 3) radiance of what rays through pixel coordinates x, y (N,) met."""
        depth = np.where(hits.prim >= 0, hits.t, 0).astype(np.float32)
        light = np.zeros_like(hits.pos)
        for grid, radius in self._sources:
            screen.gather(x, y, hits.pos, hits.nrm, depth, grid.pos, grid.nrm, grid.light, grid.step, radius, light)
        light *= hits.alb
        light += self._tracer.emitted(hits)
        if self._gloss is not None:
            yy = (y + np.float32(0.5)).astype(np.int32).clip(0, self._camera.height - 1)
            xx = (x + np.float32(0.5)).astype(np.int32).clip(0, self._camera.width - 1)
            light += self._gloss[yy, xx]
        return light if self._sky is None else through_air(self._sky, light, hits)


def _pose(T_world_cam: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    T = np.asarray(T_world_cam, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all() or abs(np.linalg.det(T[:3, :3]) - 1) > 1e-3:
        raise InputError("T_world_cam", f"{T.tolist()}", "a (4, 4) rigid transform")
    return T[:3, :3], T[:3, 3]


def _intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    if camera.distortion is not None:
        raise InputError("camera", "lens distortion", "an undistorted pinhole camera")
    return camera.numbers
