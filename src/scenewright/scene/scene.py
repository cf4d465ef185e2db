"""The Scene folder: opened to be read by later jobs, or created and filled step by step by the job that makes it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scenewright.errors import FormatError, InputError
from scenewright.files import atomic_path, sha256
from scenewright.geometry.camera import Camera
from scenewright.scene import pictures, tables
from scenewright.scene.lock import FolderLock
from scenewright.scene.manifest import MANIFEST_NAME, Manifest, Product, Step, check_relative
from scenewright.scene.records import SceneFigure, SceneFrame, SceneKeyframe

_KEYFRAME_JSON = re.compile(rf"{pictures.KEYFRAMES}/(\d{{6,}})\.json")
_KEYFRAME_FILE = re.compile(r"\d{6,}\.(json|(colour|depth|sigma|labels)\.png)")
_TORN = re.compile(r"\..+\.\w{8}(\.\w+)?")  # what `files.atomic_path` leaves when the machine stops


class Scene:
    """A Scene folder.

    Reading: `Scene.open(folder)`. Making, in a `with` block that holds the folder's lock::

        with Scene.create(folder, manifest) as scene:
            if not scene.is_done("track"):
                with scene.step("track"):
                    scene.write_frames(frames)
                    for keyframe in keyframes:
                        scene.write_keyframe(keyframe)

    A step's files enter the manifest when the step ends, in one atomic write; files of a step that never ended are no
    products, and the next run makes them again.
    """

    def __init__(self, folder: Path, manifest: Manifest, lock: FolderLock | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock = lock
        self._step: str | None = None
        self._made: list[str] = []

    @classmethod
    def open(cls, folder: str | Path) -> Scene:
        """Open a folder for reading. Every product must be there with its size; `verify` checks the hashes.

        Raises:
            FormatError: no Scene folder, a damaged manifest, a product missing, resized or leading out of the folder.
        """
        folder = Path(folder)
        scene = cls(folder, Manifest.load(folder))
        for product in scene.manifest.products:
            scene._check(product)
        return scene

    @classmethod
    def edit(cls, folder: str | Path) -> Scene:
        """Open a finished folder to add steps to it, under its lock. Raises as `open` and `create` do."""
        folder = Path(folder)
        if not folder.is_dir():
            raise FormatError(folder, "no folder", "a Scene folder")
        return _locked(folder, lambda lock: cls._with_lock(cls.open(folder), lock))

    @classmethod
    def create(cls, folder: str | Path, manifest: Manifest, overwrite: bool = False) -> Scene:
        """Create a folder under its lock, or go on with one that a killed run of the same job left.

        Args:
            folder: new, empty, or a Scene folder of the same fingerprint (source, options, versions, weights).
            manifest: the job's facts, without steps.
            overwrite: start afresh, removing the products of whatever scene the folder holds.

        Raises:
            InputError: the folder holds something else, or another run is writing it.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise InputError(folder, "a file", "a folder")
        _check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return _locked(folder, lambda lock: cls._with_lock(cls._begin(folder, manifest, overwrite), lock))

    @staticmethod
    def _with_lock(scene: Scene, lock: FolderLock) -> Scene:
        scene._lock = lock
        return scene

    @classmethod
    def _begin(cls, folder: Path, manifest: Manifest, overwrite: bool) -> Scene:
        if (folder / MANIFEST_NAME).exists():
            found = Manifest.load(folder)
            if overwrite:
                cls(folder, found)._remove_products()
            elif found.fingerprint == manifest.fingerprint:
                manifest = replace(found, steps=tuple(step for step in found.steps if step.status == "done"))
            else:
                raise InputError(
                    folder,
                    f"a scene of {found.source!r} with other options, versions or weights",
                    "a new folder, or leave to overwrite this one",
                )
        scene = cls(folder, manifest)
        broken = {product.step for product in manifest.products if not scene._is_intact(product)}
        scene.manifest = manifest.without_steps(broken)
        scene.manifest.save(folder)
        scene._sweep()
        return scene

    def _remove_products(self) -> None:
        for product in self.manifest.products:
            if self._is_intact(product):  # what was changed or leads elsewhere is not ours to delete
                (self.folder / product.path).unlink()

    def _sweep(self) -> None:
        """Remove what killed runs left: torn temporary files, and keyframes that no manifest lists."""
        listed = {product.path for product in self.manifest.products}
        for path in [*self.folder.glob(".*"), *(self.folder / pictures.KEYFRAMES).glob("*")]:
            if path.is_symlink() or not path.is_file():
                continue
            stray = path.parent != self.folder and _KEYFRAME_FILE.fullmatch(path.name)
            if _TORN.fullmatch(path.name) or (stray and path.relative_to(self.folder).as_posix() not in listed):
                path.unlink()

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def is_done(self, step: str) -> bool:
        """Whether the named step ran to its end, in this run or an earlier one."""
        return self.manifest.is_done(step)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Run one step: what it writes is listed when the block ends, and not at all when it raises."""
        if self._step is not None:
            raise InputError("Scene.step", f"{name!r} inside {self._step!r}", "one step at a time")
        self._update(self.manifest.with_step(Step(name, "started")))
        self._step, self._made, began = name, [], time.perf_counter()
        try:
            yield
            products = tuple(self._describe(path, name) for path in dict.fromkeys(self._made))
            done = Step(name, "done", round(time.perf_counter() - began, 3))
            self._update(self.manifest.with_step(done, products))
        finally:
            self._step, self._made = None, []

    def _describe(self, path: str, step: str) -> Product:
        file = self.folder / path
        return Product(path, file.stat().st_size, sha256(file), step)

    def _update(self, manifest: Manifest) -> None:
        if self._lock is None:
            raise InputError(self.folder, "a scene opened for reading", "`Scene.create` or `Scene.edit` to write")
        manifest.save(self.folder)
        self.manifest = manifest

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """Yield a temporary path whose content becomes the product `path` when the block ends; inside a step only."""
        self._register(path)
        with atomic_path(self.folder / path) as temporary:
            yield temporary

    def _register(self, *paths: str) -> None:
        if self._step is None:
            raise InputError(self.folder, f"{paths[0]!r} written outside a step", "`with scene.step(name):` around it")
        for path in paths:
            check_relative(path)
        self._made.extend(paths)

    def write_frames(self, frames: Sequence[SceneFrame]) -> None:
        """Write trajectory.txt and frames.csv."""
        self._register("trajectory.txt", "frames.csv")
        tables.write_frames(self.folder, frames)

    def write_keyframe(self, keyframe: SceneKeyframe) -> None:
        """Write one keyframe's pictures and JSON.

        Raises:
            InputError: a label outside the manifest's classes, or lengths that are no lengths.
        """
        known = len(self.manifest.labels)
        if keyframe.labels is not None and int(keyframe.labels.max()) >= known:
            raise InputError(
                f"keyframe {keyframe.id} labels", int(keyframe.labels.max()), f"indices of the scene's {known} labels"
            )
        self._register(*pictures.keyframe_files(keyframe).values())
        pictures.write_keyframe(self.folder, keyframe)

    def write_figures(self, figures: Sequence[SceneFigure]) -> None:
        """Write metrics.json."""
        self._register("metrics.json")
        tables.write_figures(self.folder / "metrics.json", figures)

    def describe(self, **facts: Any) -> None:
        """Change facts of the manifest (`scale`, `up`, `labels`, `camera` ...) that turned out later."""
        self._update(replace(self.manifest, **facts))

    # Reading

    def path(self, product: str) -> Path:
        """The path of a listed product.

        Raises:
            InputError: the scene has no such product.
        """
        if self.manifest.product(product) is None:
            raise InputError(self.folder, f"no product {product!r}", "a scene that holds it; was it made to the end?")
        return self.folder / product

    def has(self, product: str) -> bool:
        """Whether the product is listed."""
        return self.manifest.product(product) is not None

    @property
    def camera(self) -> Camera:
        """The camera of all keyframes.

        Raises:
            InputError: they differ; each keyframe knows its own.
        """
        if self.manifest.camera is None:
            raise InputError(self.folder, "no common camera", "the camera of each keyframe")
        return pictures.camera_of(self.manifest.camera)

    @property
    def lens(self) -> Camera:
        """The camera that took the frames: that of the keyframes, with the distortion taken out of these.

        Raises:
            InputError: keyframes of different cameras.
        """
        k1 = self.manifest.distortion
        return replace(self.camera, distortion=torch.tensor([k1, 0.0, 0.0, 0.0])) if k1 else self.camera

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index, empty where nothing is labelled."""
        return self.manifest.labels

    def trajectory(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times (N,) in seconds and T_world_cam (N, 4, 4) of all frames that were tracked."""
        return tables.read_trajectory(self.path("trajectory.txt"))

    def frames(self) -> list[SceneFrame]:
        """All frames, lost ones included."""
        self.path("frames.csv"), self.path("trajectory.txt")
        return tables.read_frames(self.folder)

    def figures(self) -> list[SceneFigure]:
        """The figures of metrics.json."""
        return tables.read_figures(self.path("metrics.json"))

    @property
    def keyframe_ids(self) -> list[int]:
        """Ids of all keyframes, ascending."""
        matches = (_KEYFRAME_JSON.fullmatch(product.path) for product in self.manifest.products)
        return sorted(int(match[1]) for match in matches if match)

    def keyframe(self, number: int) -> SceneKeyframe:
        """Read one keyframe.

        Raises:
            InputError: no such keyframe.
            FormatError: its files are damaged or contradict each other.
        """
        path = f"{pictures.KEYFRAMES}/{number:06d}.json"
        self.path(path)
        keyframe = pictures.read_keyframe(self.folder, path, {product.path for product in self.manifest.products})
        if keyframe.labels is not None and int(keyframe.labels.max()) >= len(self.labels):
            raise FormatError(path, f"label {int(keyframe.labels.max())}", f"less than {len(self.labels)}")
        return keyframe

    def keyframes(self) -> Iterator[SceneKeyframe]:
        """Read all keyframes in order, one at a time."""
        return map(self.keyframe, self.keyframe_ids)

    def verify(self) -> None:
        """Compare every product with its hash.

        Raises:
            FormatError: naming the first that differs.
        """
        for product in self.manifest.products:
            self._check(product)
            if sha256(self.folder / product.path) != product.sha256:
                raise FormatError(
                    self.folder / product.path, "content that was changed", "the content it was made with"
                )

    def _check(self, product: Product) -> None:
        path = self.folder / product.path
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise FormatError(path, "a link out of the folder", "files inside the Scene folder")
        if not path.is_file():
            raise FormatError(path, "no file", f"the product of {product.size} bytes that {MANIFEST_NAME} lists")
        if path.stat().st_size != product.size:
            raise FormatError(path, f"{path.stat().st_size} bytes", f"{product.size} bytes")

    def _is_intact(self, product: Product) -> bool:
        try:
            self._check(product)
        except FormatError:
            return False
        return True


def _locked(folder: Path, build: Callable[[FolderLock], Scene]) -> Scene:
    lock = FolderLock(folder)
    lock.acquire()
    try:
        return build(lock)
    except BaseException:
        lock.release()
        raise


def _check_free(folder: Path) -> None:
    """Refuse a folder of other things: nobody's files are mixed with a scene, or swept away with one."""
    if folder.is_dir() and not (folder / MANIFEST_NAME).exists():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise InputError(
                folder, f"a folder with {sorted(others)[0]!r} and no {MANIFEST_NAME}", "a new or empty folder"
            )
