"""What an installation can do, and what would make it do more."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

OPTIONAL = {
    "tensorboard": "curves of a training",
    "onnxscript": "export of networks",
    "onnxruntime": "foreign networks",
}
FURNITURE = Path("/usr/share/sweethome3d/furniture")


@dataclass(frozen=True)
class Finding:
    """One line of the report; `state` is "ok", "optional" or "missing"."""

    state: str
    subject: str
    detail: str


def examine() -> list[Finding]:
    """Look at Python, the machine, the packages, the shipped weights and the optional helpers."""
    return [_machine(), *_packages(), *_optional(), _weights(), _furniture(), _browser()]


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("ok", "machine", f"Python {platform.python_version()}, {platform.system()}, {cores} cores")


def _packages() -> list[Finding]:
    import re

    lines = [line for line in requires("scenewright") or [] if "extra ==" not in line]
    names = [match.group() for line in lines if (match := re.match(r"[A-Za-z0-9_.-]+", line))]
    return [_package(name, line) for name, line in zip(names, lines)]


def _package(name: str, line: str) -> Finding:
    try:
        return Finding("ok", name, version(name))
    except PackageNotFoundError:
        return Finding("missing", name, f"pip install '{line}'")


def _optional() -> list[Finding]:
    findings = []
    for name, use in OPTIONAL.items():
        try:
            findings.append(Finding("ok", name, version(name)))
        except PackageNotFoundError:
            findings.append(Finding("optional", name, f"{use}: pip install {name}"))
    return findings


def _weights() -> Finding:
    from scenewright.engine.weights import list_weights

    names = list_weights()
    return Finding("ok" if names else "missing", "shipped weights", ", ".join(names) or "none in this installation")


def _furniture() -> Finding:
    count = len(list(FURNITURE.glob("*.sh3f"))) if FURNITURE.is_dir() else 0
    if count:
        return Finding("ok", "furniture libraries", f"{count} for the synthetic rooms")
    return Finding("optional", "furniture libraries", "richer synthetic rooms: apt install sweethome3d-furniture")


def _browser() -> Finding:
    found = next((b for b in ("chromium", "chromium-browser", "google-chrome", "firefox") if shutil.which(b)), None)
    if found:
        return Finding("ok", "browser", found)
    return Finding("optional", "browser", "reports are web pages; copy them to any machine that has one")
