"""What the table of methods offers, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scenewright.engine.table import list_methods, method_class
from scenewright.engine.weights import digest, list_weights


def catalogue(task: str | None = None) -> list[dict[str, Any]]:
    """One record per method: its card, and the hash of its shipped weights ("" where none ship)."""
    shipped = set(list_weights())
    rows = []
    for name in list_methods(task):
        weights = digest(name)[:12] if name in shipped else ""
        rows.append({**asdict(method_class(name).card), "weights": weights})
    return rows
