"""scene.json: what a Scene folder holds, how it was made, in which units, and how far the making has come.

This module needs neither torch nor NumPy, so that a folder can be looked at in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from scenewright.errors import FormatError, InputError
from scenewright.files import write_json
from scenewright.scene.strict import Fields, read_json

MANIFEST_NAME = "scene.json"
SCHEMA = 1
SCALES = ("metric", "unknown")
INTRINSICS_SOURCES = ("file", "option", "exif", "guess")
TIMES = ("source", "nominal")
STATUSES = ("started", "done")
MAX_PIXELS = 1 << 26
"""No keyframe is larger; a file that claims to be is refused before it is decoded."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

CONVENTIONS: dict[str, str] = {
    "camera axes": "x right, y down, z forward (OpenCV)",
    "pixels": "the centre of the first pixel is (0, 0); intrinsics are bound to the stated image size",
    "poses": "T_world_cam maps camera points to world points; trajectory.txt is TUM: t tx ty tz qx qy qz qw, seconds "
    "(frame number / 30 where times are nominal)",
    "depth": "z-depth; a 16-bit PNG divided by units_per_metre of the keyframe's JSON gives depth_m; 0 = unknown",
    "sigma": "standard deviation of depth_m, coded like depth; 0 = unknown",
    "labels": "8-bit PNG of indices into `labels`",
    "meshes": "mesh.ply and labels.ply are in world axes, counter-clockwise seen from free space; "
    "mesh.glb is turned y-up as glTF demands",
    "colour": "8-bit sRGB",
}
"""The project's conventions, in words, stored in every manifest."""


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera as plain numbers: image size and focal lengths and principal point in its pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def parse(cls, fields: Fields) -> Intrinsics:
        """Read from JSON; raises FormatError for a camera that fits no image."""
        result = cls(
            fields.integer("width", 1),
            fields.integer("height", 1),
            *(fields.number(key) for key in ("fx", "fy", "cx", "cy")),
        )
        fields.done()
        inside = -0.5 < result.cx < result.width and -0.5 < result.cy < result.height
        if result.width * result.height > MAX_PIXELS:
            raise FormatError(fields.where, f"{result.width}x{result.height}", f"at most {MAX_PIXELS} pixels")
        if min(result.fx, result.fy) <= 0 or not inside:
            raise FormatError(fields.where, result, "positive focal lengths and a principal point inside the image")
        return result


@dataclass(frozen=True)
class Product:
    """A finished file of the folder.

    Args:
        path: relative to the folder, with forward slashes, never leaving it.
        size: bytes.
        sha256: of the content, hexadecimal.
        step: the step that made it.
    """

    path: str
    size: int
    sha256: str
    step: str

    def __post_init__(self) -> None:
        check_relative(self.path)
        if not _SHA256.fullmatch(self.sha256):
            raise FormatError(f"product {self.path!r} sha256", repr(self.sha256[:70]), "64 hexadecimal digits")


@dataclass(frozen=True)
class Step:
    """One step of a job. Its products count only when it is done: a killed run repeats the steps that are not.

    Args:
        name: `"track"`, `"fuse"` ...
        status: "started" or "done".
        seconds: wall time it took, 0 while started.
    """

    name: str
    status: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """The content of scene.json.

    Args:
        name: what the scene is called in reports.
        source: the input, as the user named it.
        scale: "metric" (lengths are metres) or "unknown" (lengths are true up to one factor).
        intrinsics_source: "file", "option", "exif" or "guess".
        times: "source", or "nominal" where the source knows none and frames are numbered at 30 Hz.
        camera: of the keyframes, None where they differ.
        distortion: radial, k1 of Brown 1971, of the lens that took the frames; the keyframes are straightened.
        up: unit vector of the world that points away from the floor.
        labels: class names by index, empty where nothing is labelled.
        options: the resolved options of the job.
        versions: of the packages that matter, by name.
        weights: SHA-256 of each network's weights, by name.
        conventions: see `CONVENTIONS`.
        steps, products: in order of making.
    """

    name: str
    source: str
    scale: str
    intrinsics_source: str
    times: str = "source"
    camera: Intrinsics | None = None
    distortion: float = 0.0
    up: tuple[float, ...] = (0.0, -1.0, 0.0)
    labels: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    conventions: dict[str, str] = field(default_factory=lambda: dict(CONVENTIONS))
    steps: tuple[Step, ...] = ()
    products: tuple[Product, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for subject, value, allowed in (
            ("scale", self.scale, SCALES),
            ("intrinsics_source", self.intrinsics_source, INTRINSICS_SOURCES),
            ("times", self.times, TIMES),
        ):
            if value not in allowed:
                raise InputError(f"Manifest.{subject}", repr(value), " or ".join(map(repr, allowed)))
        for name, digest in self.weights.items():
            if not _SHA256.fullmatch(digest):
                raise InputError(f"Manifest.weights[{name!r}]", repr(digest[:70]), "a SHA-256 in hexadecimal")
        if len(self.up) != 3 or abs(sum(x * x for x in self.up) - 1) > 1e-3:
            raise InputError("Manifest.up", self.up, "a unit vector of three numbers")

    @property
    def units(self) -> str:
        """The unit of every length in the folder."""
        return "metres" if self.scale == "metric" else "scene units (true size unknown)"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the products; a run resumes only a folder of its own fingerprint."""
        decisive = [self.schema, self.source, self.options, self.versions, self.weights]
        text = json.dumps(decisive, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def product(self, path: str) -> Product | None:
        """The product at `path`, None where the manifest lists none."""
        return next((product for product in self.products if product.path == path), None)

    def is_done(self, step: str) -> bool:
        """Whether the named step ran to its end."""
        return any(entry.name == step and entry.status == "done" for entry in self.steps)

    def with_step(self, step: Step, products: tuple[Product, ...] = ()) -> Manifest:
        """The manifest with `step` and its products in place of what the step of that name had made before."""
        paths = {product.path for product in products}
        kept = tuple(entry for entry in self.products if entry.step != step.name and entry.path not in paths)
        steps = tuple(entry for entry in self.steps if entry.name != step.name)
        return replace(self, steps=(*steps, step), products=(*kept, *products))

    def without_steps(self, names: set[str]) -> Manifest:
        """The manifest as if the named steps had never run."""
        return replace(
            self,
            steps=tuple(entry for entry in self.steps if entry.name not in names),
            products=tuple(entry for entry in self.products if entry.step not in names),
        )

    def save(self, folder: Path) -> None:
        """Write scene.json in one atomic step."""
        write_json(folder / MANIFEST_NAME, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `parse` is the inverse."""
        plain = {key: getattr(self, key) for key in _PLAIN}
        return plain | {
            "units": self.units,
            "distortion": self.distortion,
            "up": list(self.up),
            "labels": list(self.labels),
            "camera": None if self.camera is None else vars(self.camera),
            "steps": [vars(entry) for entry in self.steps],
            "products": [vars(entry) for entry in self.products],
        }

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read scene.json of a folder.

        Raises:
            FormatError: no such file, or a manifest that breaks its own rules.
        """
        path = folder / MANIFEST_NAME
        if not path.is_file():
            raise FormatError(folder, f"no {MANIFEST_NAME}", "a Scene folder, as `scenewright reconstruct` writes one")
        return cls.parse(read_json(path), str(path))

    @classmethod
    def parse(cls, value: Any, where: str) -> Manifest:
        """Build from JSON values, strictly; `where` names the file in errors."""
        fields = Fields(where, {**_OLDER, **value} if isinstance(value, dict) else value)
        schema = fields.integer("schema", 1)
        if schema != SCHEMA:
            raise fields.fail("schema", schema, f"{SCHEMA}; this version of Scenewright reads no other")
        camera = fields.optional_fields("camera")
        scale = fields.text("scale", SCALES)
        units = fields.text("units")
        result = cls(
            name=fields.text("name"),
            source=fields.text("source"),
            scale=scale,
            intrinsics_source=fields.text("intrinsics_source", INTRINSICS_SOURCES),
            times=fields.text("times", TIMES),
            camera=None if camera is None else Intrinsics.parse(camera),
            distortion=fields.number("distortion"),
            up=fields.numbers("up", 3),
            labels=fields.texts("labels"),
            options=fields.table("options"),
            versions=fields.text_table("versions"),
            weights=fields.text_table("weights"),
            conventions=fields.text_table("conventions"),
            steps=tuple(_parse_step(f"{where} steps[{i}]", x) for i, x in enumerate(fields.items("steps"))),
            products=tuple(_parse_product(f"{where} products[{i}]", x) for i, x in enumerate(fields.items("products"))),
        )
        fields.done()
        if units != result.units:
            raise fields.fail("units", repr(units), f"{result.units!r} for scale {scale!r}")
        _check_links(result, where)
        return result


_OLDER = {"times": "source", "distortion": 0.0}
"""What manifests of before these were told do not say."""
_PLAIN = (
    "schema",
    "name",
    "source",
    "scale",
    "intrinsics_source",
    "times",
    "options",
    "versions",
    "weights",
    "conventions",
)


def _parse_step(where: str, value: Any) -> Step:
    fields = Fields(where, value)
    step = Step(fields.text("name"), fields.text("status", STATUSES), fields.number("seconds", 0.0))
    fields.done()
    return step


def _parse_product(where: str, value: Any) -> Product:
    fields = Fields(where, value)
    product = Product(fields.text("path"), fields.integer("size"), fields.text("sha256"), fields.text("step"))
    fields.done()
    return product


def _check_links(manifest: Manifest, where: str) -> None:
    """Names are unique and every product belongs to a step that is done."""
    names = [step.name for step in manifest.steps]
    paths = [product.path for product in manifest.products]
    for kind, values in (("step", names), ("product", paths)):
        if len(set(values)) != len(values):
            raise FormatError(where, f"a {kind} listed twice", f"every {kind} once")
    done = {step.name for step in manifest.steps if step.status == "done"}
    orphans = [product.path for product in manifest.products if product.step not in done]
    if orphans:
        raise FormatError(where, f"product {orphans[0]!r} of no finished step", "products of steps that are done")


def check_relative(path: str) -> None:
    """Refuse a product path that could leave its folder or hide in it.

    Raises:
        FormatError: absolute, with "..", a backslash, a colon or a control character, hidden, empty, or not normal.
    """
    pure = PurePosixPath(path)
    plain = not re.search(r"[\\:\x00-\x1f]", path) and len(path) <= 240
    visible = bool(pure.parts) and not any(part.startswith(".") for part in pure.parts)
    if pure.is_absolute() or not plain or not visible or str(pure) != path or path == MANIFEST_NAME:
        raise FormatError("product path", repr(path[:80]), "a visible relative path inside the Scene folder")
