"""Scenewright turns pictures into 3-D scenes with deep networks.

`create`, `load`, `list_methods` and `reconstruct` are imported on first use, so that importing the package is fast.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "create": "scenewright.engine.table",
    "list_methods": "scenewright.engine.table",
    "load": "scenewright.engine.weights",
    "reconstruct": "scenewright.pipelines.reconstruct",
}

__all__ = ["__version__", "create", "list_methods", "load", "reconstruct"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'scenewright' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
