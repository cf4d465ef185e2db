"""A finished scene's figures become a stored result."""

from __future__ import annotations

from pathlib import Path

from scenewright.data.assets import demo_clip_path
from scenewright.data.sequences import open_sequence
from scenewright.engine.scoreboard import measured, store
from scenewright.errors import InputError
from scenewright.scene.scene import Scene
from scenewright.slam.protocols import PROTOCOLS


def store_scene(folder: Path, protocol: str, results: Path) -> dict[str, float]:
    """Store the figures of a scene with ground truth under a protocol; returns them.

    Raises:
        InputError: no such protocol, or a scene whose figures the protocol asks for are missing.
        FormatError: the film that the scene was made of is no longer where it was.
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
    data = {"items": int(figures["frames"]), "keyframes": int(figures["keyframes"]), "sha256": _data_hash(scene)}
    store(measured(PROTOCOLS[protocol], method, figures, weights_sha256=weights, data=data), results)
    return figures


def _data_hash(scene: Scene) -> str:
    """Of the film that the scene was made of, opened as it was then."""
    source, options = scene.manifest.source, scene.manifest.options
    names = ("intrinsics", "fov_deg", "every", "max_frames")
    given = {name: options[name] for name in names if name in options}
    return open_sequence(demo_clip_path() if source == "demo" else source, **given).fingerprint()
