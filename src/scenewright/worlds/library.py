"""The free Sweet Home 3D furniture libraries: models with true sizes, read safely and lazily.

A library is a zip file (`.sh3f`) with a Latin-1 catalogue of properties (`key#N=value`, sizes in centimetres) and one
Wavefront OBJ per model with its materials and pictures. Nothing is unpacked to disk; names and sizes are checked
before anything is read. Models are split by a hash of their identity, so no model is seen in two splits.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenewright.errors import FormatError, InputError
from scenewright.labels import LABELS
from scenewright.worlds.layout import Supply
from scenewright.worlds.model import Mesh
from scenewright.worlds.obj import read_model
from scenewright.worlds.parts import Part, Surface
from scenewright.worlds.roles import ROLES, USES_BY_ROLE, label_of

CATALOGUE = "PluginFurnitureCatalog.properties"
DEBIAN_FOLDER = Path("/usr/share/sweethome3d/furniture")
MAX_TRIANGLES = 45_000
MAX_MEMBER_BYTES = 48 << 20
_MAX_CATALOGUE_BYTES = 4 << 20
_MAX_MODELS = 5000


@dataclass(frozen=True)
class Entry:
    """One model of a catalogue.

    Args:
        library: file it lies in.
        key: identity within all libraries, the same on every machine.
        name, category: as the catalogue says.
        model: path of the OBJ inside the library.
        size: width, depth, height in metres.
        elevation: metres above the floor where it usually hangs.
        top: height of the surface that things can stand on, as metres above its base; None for none.
        rotation: (3, 3) turn of the model before it is scaled.
        door_or_window: part of a wall.
        creator, licence: for attribution.
    """

    library: Path
    key: str
    name: str
    category: str
    model: str
    size: tuple[float, float, float]
    elevation: float
    top: float | None
    rotation: tuple[float, ...]
    door_or_window: bool
    creator: str
    licence: str

    @property
    def split(self) -> str:
        """ "train" for 80 % of the models, "validation" and "test" for 10 % each, by hash of the key."""
        digit = hashlib.sha256(self.key.encode()).digest()[0] * 10 // 256
        return {8: "validation", 9: "test"}.get(digit, "train")

    @property
    def source(self) -> str:
        """Attribution line."""
        return f"{self.name} by {self.creator}, {self.library.stem}, {self.licence}"


class Library:
    """All models of some library files; meshes are read when first asked for and kept.

    Args:
        paths: `.sh3f` files.

    Raises:
        FormatError: a file that is no furniture library.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise InputError("furniture libraries", "no file", "one or more .sh3f files")
        self.entries: tuple[Entry, ...] = tuple(e for p in paths for e in read_catalogue(Path(p)))
        self._parts: dict[tuple[str, str], Part | None] = {}
        self._by_role: dict[tuple[str, str], list[Entry]] = {}
        for e in self.entries:
            for role, rule in ROLES.items():
                if rule.matches(e.category, e.name, e.size, e.elevation) and not e.door_or_window:
                    self._by_role.setdefault((role, e.split), []).append(e)

    @staticmethod
    def installed(folder: Path = DEBIAN_FOLDER) -> Library | None:
        """The libraries of Debian's `sweethome3d-furniture`; None where they are not installed."""
        paths = sorted(folder.glob("*.sh3f")) if folder.is_dir() else []
        return Library(paths) if paths else None

    def candidates(self, role: str, split: str) -> list[Entry]:
        """Models of a split that can play a role."""
        return self._by_role.get((role, split), [])

    def part(self, entry: Entry, role: str) -> Part | None:
        """The model as a part; None where it has too many triangles or cut-out pictures.

        Raises:
            FormatError: its files are damaged.
        """
        key = (entry.key, role)
        if key not in self._parts:
            self._parts[key] = load_part(entry, role)
        return self._parts[key]

    def supply(self, split: str, rng: np.random.Generator) -> Supply:
        """A function that hands out parts by role, of this split only. Within a room a role keeps to a few models."""
        chosen: dict[str, list[Entry]] = {}

        def give(role: str, generator: np.random.Generator) -> Part | None:
            if role not in chosen:
                found = self.candidates(role, split)
                chosen[role] = [found[int(i)] for i in generator.permutation(len(found))[:3]]
            if not chosen[role]:
                return None
            part = self.part(chosen[role][int(generator.integers(len(chosen[role])))], role)
            return part if part is not None and len(part.mesh.faces) <= _budget(part) else None

        return give


def _budget(part: Part) -> int:
    """Triangles that a model of this size may have: small and repeated things must be light."""
    return 6_000 if max(part.size) < 0.6 else 14_000 if LABELS[part.label] == "chair" else MAX_TRIANGLES


def read_catalogue(path: Path) -> list[Entry]:
    """All entries of one library.

    Raises:
        FormatError: not a zip file, no catalogue, or one with missing or impossible values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = read_member(archive, CATALOGUE, path, _MAX_CATALOGUE_BYTES).decode("latin-1")
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(path, f"no readable zip file ({error})", "a Sweet Home 3D furniture library") from None
    general, rows = _properties(text)
    if len(rows) > _MAX_MODELS:
        raise FormatError(path, f"{len(rows)} models", f"at most {_MAX_MODELS}")
    entries = [_entry(path, number, row, general) for number, row in sorted(rows.items())]
    for e in entries:
        if e.model not in names:
            raise FormatError(f"{path} model {e.name!r}", f"no file {e.model!r} in the library", "the OBJ it names")
    return entries


def read_member(archive: zipfile.ZipFile, name: str, path: Path, limit: int = MAX_MEMBER_BYTES) -> bytes:
    """The bytes of one file of a zip, of at most `limit` bytes whatever its directory claims.

    Raises:
        FormatError: it is missing, damaged or too big.
    """
    try:
        with archive.open(name) as file:
            data = file.read(limit + 1)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:  # or packed otherwise
        raise FormatError(f"{path} file {name!r}", f"not readable ({error})", "a stored or deflated file") from None
    except Exception as error:  # zlib.error has no public base class
        raise FormatError(f"{path} file {name!r}", f"damaged data ({error})", "a deflated file") from None
    if len(data) > limit:
        raise FormatError(f"{path} file {name!r}", "too much data", f"at most {limit} bytes")
    return data


def _properties(text: str) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """Java properties: general ones, and by number those of `key#N=value`; \\uXXXX escapes are resolved."""
    general: dict[str, str] = {}
    rows: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\w+)(?:#(\d{1,6}))?\s*=(.*)$", line)
        if match is None:
            continue
        key, number, value = match.groups()
        value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), value).strip()
        if number is None:
            general[key] = value
        else:
            rows.setdefault(int(number), {})[key] = value
    return general, rows


def _entry(path: Path, number: int, row: dict[str, str], general: dict[str, str]) -> Entry:
    subject = f"{path} model #{number}"
    try:
        size = tuple(float(row[k]) / 100 for k in ("width", "depth", "height"))
        top = float(row["dropOnTopElevation"]) / 100 if row.get("dropOnTopElevation") else size[2]
        elevation = float(row.get("elevation") or 0) / 100
        rotation = tuple(float(x) for x in row.get("modelRotation", "1 0 0 0 1 0 0 0 1").split())
        model = row["model"].lstrip("/")
        name, category = row["name"], row["category"]
    except (KeyError, ValueError) as error:
        raise FormatError(subject, f"a missing or unreadable value ({error})", "name, category, model, sizes") from None
    numbers = np.array([*size, top, elevation, *rotation])
    if len(rotation) != 9 or not np.isfinite(numbers).all() or not 1e-5 < min(size) <= max(size) < 100:
        raise FormatError(subject, f"size {size} m, rotation {rotation}", "positive sizes and nine numbers")
    if ".." in model.split("/"):
        raise FormatError(subject, f"model path {model!r}", "a path inside the library")
    licence = general.get("license", "unknown licence").split("\xa9")[0].strip()
    library = general.get("name", path.stem)
    identity = f"{library}/{model}"
    return Entry(
        path, identity, name, category, model, (size[0], size[1], size[2]), elevation, top if top > 0 else None,
        rotation, row.get("doorOrWindow") == "true", row.get("creator", "unknown"), licence,
    )  # fmt: skip


def load_part(entry: Entry, role: str) -> Part | None:
    """Read a model, turn it upright, scale it to the catalogue's size; None where it is too heavy or has cut-outs."""
    try:
        with zipfile.ZipFile(entry.library) as archive:
            mesh = read_model(
                lambda n: read_member(archive, n, entry.library), set(archive.namelist()), entry.model, MAX_TRIANGLES
            )
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(entry.library, f"no readable zip file ({error})", "a furniture library") from None
    if mesh is None:
        return None
    vertices, normals = _true_size(mesh.vertices, mesh.normals, entry)
    mesh = replace(mesh, vertices=vertices, normals=normals)
    return Part(
        mesh,
        LABELS.index(label_of(entry.category, entry.name)),
        entry.name,
        entry.size,
        _surface(entry, role, mesh),
        entry.source,
    )


def _true_size(
    vertices: NDArray[np.float32], normals: NDArray[np.float32], entry: Entry
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OBJ axes (y up, front towards +z) to ours (z up, front towards -y), bounding box to the catalogue's size."""
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64) @ np.reshape(entry.rotation, (3, 3))
    v, n = vertices @ turn.T, normals @ turn.T
    lo, hi = v.min(0), v.max(0)
    scale = np.asarray(entry.size) / np.maximum(hi - lo, 1e-9)
    v = (v - [(lo[0] + hi[0]) / 2, (lo[1] + hi[1]) / 2, lo[2]]) * scale
    if entry.elevation and label_of(entry.category, entry.name) == "objects":
        v[:, 2] += entry.elevation
    n = n / scale
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-12)
    return v.astype(np.float32), n.astype(np.float32)


def _surface(entry: Entry, role: str, mesh: Mesh) -> tuple[Surface, ...]:
    """The largest centred rectangle that the model's top covers wholly; none where its top has gaps or is not flat."""
    use = USES_BY_ROLE.get(role)
    if use is None or entry.top is None:
        return ()
    p = mesh.vertices[mesh.faces].astype(np.float64)
    top = p[(np.abs(p[..., 2] - entry.top) < 0.012).all(1)]
    for inset in (0.03, 0.08, 0.13, 0.18, 0.24):
        x, y = entry.size[0] * (0.5 - inset), entry.size[1] * (0.5 - inset)
        grid = np.stack(np.meshgrid(np.linspace(-x, x, 7), np.linspace(-y, y, 7)), -1).reshape(-1, 2)
        if len(top) and _covered(grid, top[..., :2]).all():
            return (Surface(-x, -y, x, y, float(top[..., 2].max()), 0.6, use),)
    return ()


def _covered(points: NDArray[np.float64], triangles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether each point (N, 2) lies in one of the triangles (T, 3, 2), by the signs of its three areas."""
    a, b = triangles, np.roll(triangles, -1, axis=1)
    edge = b - a
    to = points[:, None, None] - a[None]
    side = edge[None, ..., 0] * to[..., 1] - edge[None, ..., 1] * to[..., 0]
    flat = np.abs(side.sum(-1)) < 1e-9
    inside = ((side >= -1e-9).all(-1) | (side <= 1e-9).all(-1)) & ~flat
    return np.asarray(inside.any(1))
