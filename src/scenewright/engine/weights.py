"""Weights on disk: a folder with `model.safetensors` and `card.json`. Nothing in it is ever executed or unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from scenewright import __version__
from scenewright.engine.config import from_data, to_data
from scenewright.engine.method import Method
from scenewright.engine.table import method_class, table
from scenewright.errors import FormatError, InputError
from scenewright.files import write_bytes, write_json

TENSORS = "model.safetensors"
CARD = "card.json"
_CARD_FIELDS = {
    "method": str,
    "preset": str,
    "task": str,
    "config": dict,
    "parameters": int,
    "storage": str,
    "tensors": dict,
    "training": dict,
    "scenewright": str,
}
_MAX_CARD_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 24


def save(method: Method[Any], folder: str | Path, *, training: Mapping[str, Any], half: bool = False) -> Path:
    """Write a method's weights and their record; an existing folder is replaced as a whole.

    Args:
        method: what to store; its training state is left as it is.
        folder: where to.
        training: how the weights came about, as JSON data without dates: the data (description, hash, seed,
            licences), seed, stages, steps and figures, and the training before it as "start" (`origin.with_origin`).
        half: store kernels and matrices as float16 (half the bytes, three digits); vectors, i.e. biases, norms and
            running statistics, stay float32, since small variances would underflow.

    Returns:
        The folder.

    Raises:
        InputError: a weight is not finite or leaves float16's range, `training` is no JSON data, or `folder` holds
            anything else than weights.
    """
    tensors = {name: _stored(name, t, half) for name, t in method.state_dict().items()}
    data = safetensors.save(tensors)
    card = {
        "method": method.card.name,
        "preset": preset_of(method),
        "task": method.card.task,
        "config": to_data(method.config),
        "parameters": sum(p.numel() for p in method.parameters()),
        "storage": "float16" if half else "float32",
        "tensors": {"file": TENSORS, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "training": _json_data(training),
        "scenewright": __version__,
    }
    with _replaced_folder(Path(folder)) as fresh:
        write_bytes(fresh / TENSORS, data)
        write_json(fresh / CARD, card)
    return Path(folder)


def preset_of(method: Method[Any]) -> str:
    """`"paper"` or `"small"` where the method's config equals that preset, else `"custom"`."""
    for preset in ("paper", "small"):
        if method.config == getattr(method.Config, preset)():
            return preset
    return "custom"


def load(name_or_folder: str | Path) -> Method[Any]:
    """Load a method with trained weights, in eval mode, on the CPU.

    Args:
        name_or_folder: a name of the table (`"fcrn"`) loads the weights that ship with the package; anything else is
            a folder that `save` or a training run wrote. Write `"./fcrn"` for a folder that has a method's name.

    Raises:
        InputError: no such name or folder, or nothing ships under that name.
        FormatError: the folder's files are damaged, do not belong together, or do not fit the method.
    """
    return load_folder(find(name_or_folder))


def find(name_or_folder: str | Path) -> Path:
    """The folder that `load` would read."""
    if isinstance(name_or_folder, str) and name_or_folder in table():
        folder = _shipped_root() / name_or_folder
        if not (folder / CARD).is_file():
            shipped = ", ".join(list_weights()) or "none"
            raise InputError(
                f"weights of {name_or_folder!r}", "none in this package", f"one that ships ({shipped}) or a folder"
            )
        return folder
    folder = Path(name_or_folder)
    if not folder.is_dir():
        names = ", ".join(sorted(table()))
        raise InputError("weights", f"no method and no folder {str(name_or_folder)!r}", f"one of {names}, or a folder")
    return folder


def list_weights() -> list[str]:
    """Names of the methods whose weights ship with the package, sorted."""
    return sorted(name for name in table() if (_shipped_root() / name / CARD).is_file())


def _shipped_root() -> Path:
    return Path(str(resources.files("scenewright").joinpath("assets", "weights")))


def load_folder(folder: Path) -> Method[Any]:
    """Load one folder: card, sizes and hash are checked before any weight is used."""
    card = read_card(folder)
    if card["method"] not in table():
        raise FormatError(f"{folder / CARD} method", repr(card["method"]), f"one of {', '.join(sorted(table()))}")
    cls = method_class(card["method"])
    config = from_data(cls.Config, card["config"], f"{folder / CARD} config")
    with torch.device("meta"):
        shapes = cls(config).state_dict()
    data = _read_tensors(folder, card, shapes)
    method = _build(cls, config)
    method.load_state_dict(data, strict=True)
    return method.eval()


def _build(cls: type[Method[Any]], config: Any) -> Method[Any]:
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn and overwritten; the caller's generator stays
        return cls(config)


def digest(name_or_folder: str | Path) -> str:
    """SHA-256 of the tensors behind a name or in a folder; raises as `find` and `read_card` do."""
    return str(read_card(find(name_or_folder))["tensors"]["sha256"])


def read_card(folder: str | Path) -> dict[str, Any]:
    """The record of a weights folder.

    Raises:
        FormatError: missing, too large, no JSON, or fields missing or of another type.
    """
    path = Path(folder) / CARD
    card = _parsed(path, _read_capped(path, _MAX_CARD_BYTES))
    if not isinstance(card, dict) or set(card) != set(_CARD_FIELDS):
        found = sorted(card) if isinstance(card, dict) else type(card).__name__
        raise FormatError(path, f"fields {found}", f"exactly {sorted(_CARD_FIELDS)}")
    for name, kind in _CARD_FIELDS.items():
        if type(card[name]) is not kind:
            raise FormatError(f"{path} {name}", type(card[name]).__name__, kind.__name__)
    if card["storage"] not in ("float32", "float16"):
        raise FormatError(f"{path} storage", repr(card["storage"]), "float32 or float16")
    return card


def _parsed(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"no JSON ({error})", "a card as `save` writes it") from None


def _read_capped(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise FormatError(path, "no such file", "a weights folder with model.safetensors and card.json")
    if (size := path.stat().st_size) > limit:
        raise FormatError(path, f"{size} bytes", f"at most {limit}")
    return path.read_bytes()


def _read_tensors(folder: Path, card: Mapping[str, Any], shapes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    path = folder / TENSORS
    stored = {name: _stored_dtype(t, card["storage"] == "float16") for name, t in shapes.items()}
    expected = sum(t.numel() * stored[name].itemsize for name, t in shapes.items())
    data = _read_capped(path, expected + _MAX_HEADER_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card["tensors"].get("sha256"):
        raise FormatError(path, f"sha256 {digest}", f"{card['tensors'].get('sha256')}, as card.json says")
    try:
        tensors = safetensors.load(data)
    except SafetensorError as error:
        raise FormatError(path, f"no safetensors ({error})", "tensors as `save` writes them") from None
    _check_fit(path, tensors, shapes, stored)
    return {name: t.to(shapes[name].dtype) for name, t in tensors.items()}


def _check_fit(
    path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, Tensor], stored: Mapping[str, torch.dtype]
) -> None:
    if missing := sorted(set(shapes) - set(tensors)):
        raise FormatError(path, f"no tensor {', '.join(missing[:3])}", f"the {len(shapes)} tensors of the method")
    if extra := sorted(set(tensors) - set(shapes)):
        raise FormatError(path, f"tensor {', '.join(extra[:3])}", "only tensors that the method has")
    for name, t in tensors.items():
        if t.shape != shapes[name].shape or t.dtype != stored[name]:
            found = f"{tuple(t.shape)} of {t.dtype}"
            raise FormatError(f"{path} {name}", found, f"{tuple(shapes[name].shape)} of {stored[name]}")


def _stored_dtype(t: Tensor, half: bool) -> torch.dtype:
    return torch.float16 if half and t.dtype == torch.float32 and t.ndim >= 2 else t.dtype


def _stored(name: str, t: Tensor, half: bool) -> Tensor:
    copy = t.detach().to(device="cpu", dtype=_stored_dtype(t, half), memory_format=torch.contiguous_format, copy=True)
    if copy.is_floating_point() and not bool(torch.isfinite(copy).all()):
        raise InputError(f"weight {name}", f"values that are not finite in {copy.dtype}", "finite weights")
    return copy


def _json_data(value: Mapping[str, Any]) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError("training record", str(error), "JSON data with finite numbers") from None
    return data


@contextmanager
def _replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a fresh folder beside `folder`; on success it takes its place (and name), on failure it goes."""
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {TENSORS, CARD}):
        raise InputError(folder, "something other than a weights folder", "a new folder, or weights to replace")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    old = fresh.with_name(fresh.name + ".old")
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            os.rename(folder, old)
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
