"""Training a method on a rendered world: the data that its stages name are made from one folder, then fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scenewright.engine.config import from_text
from scenewright.engine.table import create, method_class
from scenewright.engine.weights import load
from scenewright.errors import InputError
from scenewright.files import sha256
from scenewright.pipelines.training_data import Source, Validate, source_of


def train(
    method: str,
    data: Path | None,
    run_dir: Path,
    *,
    preset: str = "small",
    seed: int = 0,
    steps: int | None = None,
    trunk: Path | None = None,
    start: str | None = None,
    rate: float = 1.0,
    options: Sequence[str] = (),
    threads: int | None = None,
    precision: str = "bf16",
    resume: bool = True,
    quiet: bool = False,
) -> Path:
    """Train a method on a rendered world; returns the folder of its weights.

    Args:
        method: name in the table.
        data: folder of shards as the method's stages need them (`training_data.SOURCES`), with a "train" split, and a
            "validation" split to watch where there is one; None for data that are drawn when asked for.
        run_dir: holds the log, the resumable state and, in the end, `weights/`.
        preset, seed: of the method; of order and augmentation.
        steps: shorten every stage to at most so many steps.
        trunk: safetensors of an ImageNet trunk, as `scenewright convert` writes them.
        start: begin from these weights (a name or folder) instead of fresh ones; their record and licences go into
            the new card.
        rate: factor on the learning rates, below 1 to go on from trained weights.
        options: fields of the method's Config that differ from the preset, as `name=value`: its ablations.
        threads: of torch; None leaves its choice.

    Raises:
        InputError: options that the Config does not have, or beside `start`, whose Config is stored; a `start` of
            another method; a method whose stages read what no world has, or shards that are not there.
    """
    from scenewright.engine.fit import fit

    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = _model(method, preset, start, options)
    names = [stage.data for stage in model.own_stages(preset)]
    sources = {name: source_of(name, method) for name in names}
    folder = _folder_for(sources, data)
    if trunk is not None:
        model.load_trunk(_tensors(trunk))
    datasets = {name: source.build(folder, model.config) for name, source in sources.items()}
    return fit(
        model, datasets, run_dir, preset=preset, seed=seed, precision=precision, max_steps=steps, rate=rate,
        start=start, trunk=None if trunk is None else _origin(trunk), resume=resume,
        validate=_validation(folder, names[-1], model), validate_every=500, quiet=quiet,
    )  # fmt: skip


def _folder_for(sources: Mapping[str, Source], data: Path | None) -> Path:
    reading = [name for name, source in sources.items() if not source.drawn]
    if data is None and reading:
        raise InputError("--data", "nothing", f"a folder of shards: the method's stages read {', '.join(reading)}")
    return data or Path()


def _model(method: str, preset: str, start: str | None, options: Sequence[str]) -> Any:
    if start is None:
        return create(method, preset, **from_text(method_class(method).Config, options, "--option"))
    if options:
        raise InputError("--option", ", ".join(options), "none beside --start: stored weights have their own Config")
    model = load(start)
    if model.card.name != method:
        raise InputError("--start", f"weights of {model.card.name} ({start})", f"weights of {method}")
    return model


def _validation(data: Path, name: str, model: Any) -> Validate | None:
    """What measures the method on the validation split of its last stage's data; None where there is no such split."""
    try:
        return source_of(name, model.card.name).watch(data, model.config)
    except InputError:
        return None


def _origin(trunk: Path) -> dict[str, Any]:
    """What the card says of a trunk's weights; whose they are, the file does not tell."""
    terms = f"trunk initialised from {trunk.name}: the terms of its source"
    return {"file": trunk.name, "sha256": sha256(trunk), "licences": [terms]}


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"no readable tensors ({error})", "a safetensors file") from None
