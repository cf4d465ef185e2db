"""Where weights come from: the trainings before theirs, and the licences of all that they learned from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenewright.engine.weights import find, read_card


def origin_of(name_or_folder: str | Path) -> dict[str, Any]:
    """What a training that starts from stored weights keeps of them: their training record, with the hash of their
    tensors as "weights_sha256". It holds their own `start` in turn, where they have one.

    Raises:
        InputError, FormatError: as `weights.find` and `weights.read_card`.
    """
    card = read_card(find(name_or_folder))
    return {**card["training"], "weights_sha256": card["tensors"]["sha256"]}


def with_origin(training: Mapping[str, Any], start: Mapping[str, Any] | None) -> dict[str, Any]:
    """A training record with the record it started from (None: fresh weights) and the licences of both."""
    found = dict(training) if start is None else {**training, "start": dict(start)}
    licences = licences_of(found)
    return {**found, "licences": licences} if licences else found


def licences_of(training: Mapping[str, Any]) -> list[str]:
    """Every licence of a training record, each once: its start's, recursively, its own, its data's and its trunk's."""
    start, sources = training.get("start"), [*training.get("data", {}).values(), training.get("trunk", {})]
    inherited = [] if start is None else licences_of(start)
    own = training.get("licences", [])
    return list(dict.fromkeys([*inherited, *own, *(x for source in sources for x in source.get("licences", []))]))
