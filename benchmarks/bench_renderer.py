"""Frames a second of the room renderer: `python benchmarks/bench_renderer.py [--seconds 6] [--profile]`.

A room of 36 textured objects, four lamps and a window. Prints the rate of one process and of two side by side, at
the FAST quality in 256 x 192 and the BEST in 240 x 180: colour, depth, normals, labels and instances of each frame.
Beside frames a second stand frames per second of processor time, which two cores that do other work, too, do not move.
The yardstick is Embree alone: the very rays of these frames, cast again in the same run with nothing done about them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.worlds.model import Lamp, Material, Mesh, Placed, Room
from scenewright.worlds.render import BEST, FAST, Quality, Renderer
from scenewright.worlds.sensor import sample_sensor
from scenewright.worlds.textures import palette, texture
from scenewright.worlds.walks import sample_view

EXTENT = (6.0, 5.0, 2.7)


def ball(radius: tuple[float, float, float], material: Material, rings: int = 26) -> Mesh:
    """An ellipsoid standing on z = 0."""
    t, p = np.meshgrid(np.linspace(0.01, np.pi - 0.01, rings), np.linspace(0, 2 * np.pi, 2 * rings), indexing="ij")
    unit = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3).astype(np.float32)
    i = np.arange(len(unit)).reshape(rings, 2 * rings)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    uv = (np.stack([p, -t], -1).reshape(-1, 2) * radius[0]).astype(np.float32)[faces]
    vertices = unit * np.asarray(radius, np.float32) + np.asarray([0, 0, radius[2]], np.float32)
    return Mesh(vertices, faces, uv, np.zeros(len(faces), np.int16), unit[faces], (material,))


def slab(lo: tuple[float, ...], hi: tuple[float, ...], material: Material, inside: bool = False) -> Mesh:
    """A box, uv in metres; `inside` turns its normals inwards."""
    corner = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = quads[:, [0, 1, 2, 0, 2, 3]].reshape(12, 3).astype(np.int32)
    vertices = np.asarray(lo, np.float32) + corner * np.subtract(hi, lo).astype(np.float32)
    c = vertices[faces]
    normal = np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    axes = np.array([[1, 2], [0, 2], [0, 1]])[np.abs(normal).argmax(1)]
    uv = np.take_along_axis(c, np.broadcast_to(axes[:, None], (12, 3, 2)), axis=2)
    normals = np.repeat(normal[:, None] * (-1 if inside else 1), 3, axis=1).astype(np.float32)
    return Mesh(vertices, faces, uv, np.zeros(12, np.int16), normals, (material,))


def at(mesh: Mesh, position: tuple[float, float, float], label: int, name: str) -> Placed:
    """The mesh moved to a position."""
    T = np.eye(4)
    T[:3, 3] = position
    return Placed(mesh, T, label, name)


def bench_room(seed: int = 0, objects: int = 36) -> Room:
    """Textured boxes and ellipsoids on a wooden floor between plastered walls."""
    g, (x, y, z) = np.random.default_rng(seed), EXTENT
    colours = palette(g)

    def finish(kind: str, colour: tuple[float, float, float]) -> Material:
        made = texture(kind, int(g.integers(3)), colour)
        return Material((1, 1, 1), made.image, made.gloss)

    wall = finish("plaster", colours.wall)
    things = [
        at(slab((0, 0, -0.1), (x, y, 0), finish("planks", colours.wood)), (0, 0, 0), 2, "floor"),
        at(slab((0, 0, z), (x, y, z + 0.1), wall), (0, 0, 0), 1, "ceiling"),
        at(slab((-0.1, 0, 0), (0, y, z), wall), (0, 0, 0), 3, "wall"),
        at(slab((x, 0, 0), (x + 0.1, y, z), wall), (0, 0, 0), 3, "wall"),
        at(slab((0, -0.1, 0), (x, 0, z), wall), (0, 0, 0), 3, "wall"),
        at(slab((0, y, 0), (x, y + 0.1, z), wall), (0, 0, 0), 3, "wall"),
        at(
            slab((2, y - 0.02, 0.9), (3.5, y - 0.01, 2.1), Material((0.9, 0.95, 1), emission=3.0)), (0, 0, 0), 4, "pane"
        ),
    ]
    kinds = ("wood", "fabric", "granite", "tiles", "cloth", "carpet", "brick")
    for i in range(objects):
        material = finish(str(g.choice(kinds)), colours.accents[i % 2] if i % 3 else colours.wood)
        size = g.uniform(0.12, 0.4, 3)
        mesh = ball(tuple(size), material) if i % 2 else slab((0, 0, 0), tuple(1.6 * size), material)
        things.append(at(mesh, (g.uniform(0.4, x - 0.8), g.uniform(1.6, y - 0.8), 0), 11, f"object {i}"))
    lamps = tuple(Lamp((a, b, 2.6), (4.0, 3.6, 3.0), 0.08) for a in (1.5, 4.5) for b in (1.3, 3.7))
    free = np.array([[0.4, 0.3, x - 0.4, 1.4]], np.float32)
    focus = np.array([p.T_world_object[:3, 3] + [0.2, 0.2, 0.2] for p in things[7:]], np.float32)
    return Room("living room", seed, "train", EXTENT, tuple(things), lamps, (0.25, 0.25, 0.26), free, focus)


class Recorder:
    """An Embree scene that remembers what it was asked for."""

    def __init__(self, scene: Any) -> None:
        self.scene, self.calls = scene, list[tuple[Any, ...]]()

    def run(self, origins: NDArray[Any], directions: NDArray[Any], **options: Any) -> Any:
        """As the scene's own."""
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in options.items()}
        self.calls.append((origins.copy(), directions.copy(), copies))
        return self.scene.run(origins, directions, **options)

    def replay(self) -> tuple[int, float]:
        """Cast the same rays again: how many, and the fewest seconds of processor time of three goes."""
        seconds = []
        for _ in range(3):
            start = time.process_time()
            for origins, directions, options in self.calls:
                self.scene.run(origins, directions, **options)
            seconds.append(time.process_time() - start)
        return sum(len(origins) for origins, _, _ in self.calls), min(seconds)


def against_embree(size: tuple[int, int], quality: Quality, views: int = 6) -> str:
    """How much longer frames take than their rays alone, in processor time."""
    g, renderer = np.random.default_rng(0), Renderer(bench_room())
    shots = [(sample_view(renderer, g, size), sample_sensor(g, size[0])) for _ in range(views)]

    def render() -> float:
        start = time.process_time()
        for i, (v, sensor) in enumerate(shots):
            renderer.render(v.camera, v.T_world_cam, seed=i, sensor=sensor, quality=quality)
        return time.process_time() - start

    render()
    spent = min(render() for _ in range(3))
    recorder = renderer.tracer._scene = Recorder(renderer.tracer._scene)
    render()
    rays, alone = recorder.replay()
    return (
        f"{rays / views / 1e3:.0f} thousand rays a frame; time / Embree's alone for the same rays: {spent / alone:.2f}"
    )


def rate(task: tuple[tuple[int, int], Quality, float, int]) -> tuple[int, float, float]:
    """Frames rendered, seconds taken, seconds of processor time taken."""
    size, quality, seconds, seed = task
    g, renderer = np.random.default_rng(seed), Renderer(bench_room())
    views = [sample_view(renderer, g, size) for _ in range(12)]
    sensors = [sample_sensor(g, size[0]) for _ in views]

    def frame(i: int) -> NDArray[np.uint8]:
        v = views[i % len(views)]
        return renderer.render(v.camera, v.T_world_cam, seed=i, sensor=sensors[i % len(views)], quality=quality).image

    frame(0)
    start, busy, n = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        frame(n)
        n += 1
    return n, time.perf_counter() - start, time.process_time() - busy


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--profile", action="store_true", help="where the time of one core goes")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    start = time.perf_counter()
    renderer = Renderer(bench_room())
    triangles, seconds = len(renderer.tracer.flat.triangles.material), time.perf_counter() - start
    print(f"room with textures built in {seconds:.2f} s, {triangles} triangles, {len(renderer.room.placed)} objects")
    for name, size, quality in (("FAST", (256, 192), FAST), ("BEST", (240, 180), BEST)):
        n, spent, busy = rate((size, quality, options.seconds, 0))
        with context.Pool(2) as pool:
            both = pool.map(rate, [(size, quality, options.seconds, s) for s in (0, 1)])
        total, free = sum(k / t for k, t, _ in both), sum(k / b for k, _, b in both)
        print(f"{name} {size[0]}x{size[1]}")
        print(f"  one process:   {n / spent:5.1f} frames/s, {n / busy:5.1f} per second of processor time")
        print(f"  two processes: {total:5.1f} frames/s, {free:5.1f} per second of two processors' time")
        print(f"  {against_embree(size, quality)}")
        if options.profile:
            import cProfile

            cProfile.runctx("rate((size, quality, 3.0, 0))", globals(), locals(), sort="tottime")


if __name__ == "__main__":
    main()
