"""A finished scene's figures become a stored result."""

from __future__ import annotations

from pathlib import Path

from scenewright.engine.scoreboard import measured, store
from scenewright.errors import InputError
from scenewright.scene.scene import Scene
from scenewright.slam.protocols import PROTOCOLS


def store_scene(folder: Path, protocol: str, results: Path) -> dict[str, float]:
    """Store the figures of a scene with ground truth under a protocol; returns them.

    Raises:
        InputError: no such protocol, or a scene whose figures the protocol asks for are missing.
    """
    if protocol not in PROTOCOLS:
        raise InputError("--protocol", repr(protocol), f"one of {', '.join(PROTOCOLS)}")
    scene = Scene.open(folder)
    figures = {f.name: float(f.value) for f in scene.figures() if f.value is not None}
    figures["posed_share"] = 100 * figures["posed"] / figures["frames"]
    if "scale_ratio" in figures:
        figures["scale_error"] = 100 * abs(figures["scale_ratio"] - 1)
    weights = next(iter(scene.manifest.weights.values()), "")
    depth = str(scene.manifest.options["depth"])
    method = f"cnn-slam-{Path(depth).name}"
    data = {"frames": figures["frames"], "keyframes": figures["keyframes"]}
    store(measured(PROTOCOLS[protocol], method, figures, weights_sha256=weights, data=data), results)
    return figures
