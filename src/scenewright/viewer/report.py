"""report.html: one self-contained page that shows a scene. It asks the network for nothing and runs only our script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenewright.data.meshes import TriangleMesh
from scenewright.files import write_text
from scenewright.labels import COLOURS
from scenewright.scene.records import SceneFigure, frames_per_second
from scenewright.scene.scene import Scene
from scenewright.viewer import gallery, health
from scenewright.viewer.charts import colour_swatch
from scenewright.viewer.html import Html, bytes_block, code, content_hash, data_block, join, tag
from scenewright.viewer.records import ReportInput, input_of_scene
from scenewright.viewer.surface import PackedMesh, facing, home_view, label_shares, pack, simplify, size_along, upright

REPORT_NAME = "report.html"
MAX_PAGE_BYTES = 30 << 20
_SCRIPTS = ("math.js", "mesh.js", "renderer.js", "controls.js", "page.js")
_UNKNOWN_LABEL = (128, 132, 138)  # the table's near-black would read as a hole in the surface
_ACRONYMS = {"ate", "rpe", "pcd", "fps", "rmse", "miou", "se3", "sim3"}
_LINES = {"path": (56, 152, 236), "frusta": (96, 178, 255), "truth": (140, 200, 90)}
_HINT = "Drag to turn, right-drag to move, wheel to zoom, double-click to centre"


def write_scene_report(folder: str | Path) -> Path:
    """Write report.html into a Scene folder, as the product of its step "report"; returns its path."""
    with Scene.edit(folder) as scene:
        report = input_of_scene(scene)
        with scene.step("report"), scene.writing(REPORT_NAME) as path:
            write_report(path, report)
        return scene.path(REPORT_NAME)


def write_report(path: str | Path, report: ReportInput) -> None:
    """Write the page, in one atomic step.

    Raises:
        InputError: records that contradict each other.
    """
    write_text(path, build_page(report))


@dataclass(frozen=True)
class _Content:
    """What several sections of the page share."""

    report: ReportInput
    mesh: TriangleMesh
    packed: PackedMesh
    pictures: list[gallery.Picture]
    keyframes: int
    health: health.Health
    up: NDArray[np.float64]
    size: tuple[float, float, float]
    symbol: str


def build_page(report: ReportInput) -> str:
    """The page as text."""
    content = _prepare(report)
    style, script = _asset("style.css"), "\n".join(["(() => {", '"use strict";', *map(_asset, _SCRIPTS), "})();"])
    body = [
        _header(content),
        tag(
            "main",
            _stage(content),
            _tiles(content),
            *_section(
                "Keyframes",
                gallery.strip(content.pictures, content.keyframes, content.symbol, report.manifest.times == "source"),
            ),
            *_section(
                "Tracking",
                tag("p", _tracking_note(content), class_="note"),
                health.charts(content.health, content.symbol),
            ),
            *_section("Figures", _figures(report.figures)),
            _making(content),
            tag(
                "footer", "Made by Scenewright. This page is complete in itself: it needs no network and asks for none."
            ),
        ),
        data_block("scene-data", _page_data(content)),
        bytes_block("mesh-vertices", content.packed.vertices),
        bytes_block("mesh-indices", content.packed.indices),
        code("script", script),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script, style)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),  # else browsers ask the server for one
        tag("title", f"{report.manifest.name} · Scenewright"),
        code("style", style),
    ]
    return "<!doctype html>\n" + tag("html", tag("head", *head), tag("body", *body), lang="en") + "\n"


def _policy(script: str, style: str) -> str:
    """Nothing but this page's own script, style and pictures; no connection to anywhere."""
    rules = ("default-src 'none'", f"script-src {content_hash(script)}", f"style-src {content_hash(style)}")
    return "; ".join([*rules, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _asset(name: str) -> str:
    return (files("scenewright.viewer") / "page" / name).read_text(encoding="utf-8")


def _prepare(report: ReportInput) -> _Content:
    pictures, keyframes = gallery.collect(report.keyframes)
    centres = np.array([picture.pose[3::4] for picture in pictures]).reshape(-1, 3)
    mesh = facing(simplify(report.mesh), centres)
    symbol = "m" if report.manifest.scale == "metric" else "units"
    up = upright(mesh, np.array(report.manifest.up) / np.linalg.norm(report.manifest.up))
    size = size_along(mesh.vertices, up)
    return _Content(report, mesh, pack(mesh), pictures, keyframes, health.health_of(report), up, size, symbol)


def _palette(count: int) -> list[tuple[int, int, int]]:
    return [_UNKNOWN_LABEL, *(COLOURS[1 + (i % (len(COLOURS) - 1))] for i in range(max(count - 1, 0)))]


def _page_data(content: _Content) -> dict[str, Any]:
    report, packed = content.report, content.packed
    centres = [None if f.T_world_cam is None else f.T_world_cam[:3, 3] for f in content.health.frames]
    known = np.array([c for c in centres if c is not None]).reshape(-1, 3)
    forward = np.array([picture.pose[2::4] for picture in content.pictures]).reshape(-1, 3)
    seen = content.mesh.vertices if len(content.mesh.vertices) else known
    truth = np.zeros((0, 3)) if report.truth is None else report.truth[1]
    return {
        "symbol": content.symbol,
        "up": content.up.tolist(),
        "home": home_view(seen, forward, content.up),
        "labelled": content.mesh.labels is not None,
        "lines": _LINES,
        "mesh": {
            "origin": packed.origin,
            "extent": packed.extent,
            "palette": _palette(len(report.manifest.labels)),
        },
        "keyframes": gallery.scene_facts(content.pictures),
        "frames": health.page_data(content.health),
        "path": [None if c is None else np.round(c, 5).tolist() for c in centres],
        "truth": np.round(truth[:: max(1, len(truth) // health.MAX_FRAMES)], 5).tolist(),
    }


# Sections


def _section(title: str, *children: Html) -> tuple[Html, ...]:
    return tag("h2", title), *children


def _header(content: _Content) -> Html:
    manifest = content.report.manifest
    metric = manifest.scale == "metric"
    hint = "lengths are metres" if metric else "lengths are true up to one common factor"
    badges = [tag("span", f"Scale: {manifest.scale}", class_=f"badge {manifest.scale}", title=hint)]
    if manifest.intrinsics_source == "guess":
        reason = "no calibration was given: a wrong field of view bends the geometry"
        badges.append(tag("span", "Camera: guessed", class_="badge care", title=reason))
    return tag("header", tag("h1", manifest.name), *badges, tag("p", _summary(content), class_="lead"), class_="top")


def _summary(content: _Content) -> str:
    """One sentence that says what was reconstructed."""
    frames = content.health
    span = f" over {frames.time_s[-1]:.1f} s" if len(frames.time_s) > 1 and frames.axis == "s" else ""
    surface = f"{_number(len(content.report.mesh.faces))} triangles"
    if not len(content.report.mesh.faces):
        surface = f"{_number(len(content.report.mesh.vertices))} points" if len(content.mesh.vertices) else "no surface"
    box = " × ".join(f"{x:.2f}" for x in content.size)
    size = f", {box} {content.symbol} in size" if max(content.size) > 0 else ""
    return f"{_number(frames.count)} frames{span} became {_number(content.keyframes)} keyframes and {surface}{size}."


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\u2009")


def _stage(content: _Content) -> Html:
    labelled, truth = content.mesh.labels is not None, content.report.truth is not None
    modes = [("colour", "Colour"), *([("labels", "Labels")] if labelled else []), ("shape", "Shape")]
    layers = [("path", "Path"), ("frusta", "Cameras"), *([("truth", "True path")] if truth else [])]
    toggles = [_toggle(name, text, colour_swatch(_LINES[name])) for name, text in layers]
    bar = tag(
        "div",
        tag("div", *(tag("button", text, type="button", data_mode=mode) for mode, text in modes), class_="group"),
        tag("div", *toggles, _toggle("cull", "See through walls"), class_="group"),
        tag("div", class_="space"),
        tag(
            "div",
            tag("button", "Measure", type="button", id="measure"),
            tag("button", "Reset view", type="button", id="reset"),
            tag("button", "Full screen", type="button", id="full"),
            class_="group",
        ),
        class_="bar",
    )
    return tag(
        "section",
        tag("canvas", id="canvas", tabindex=0, role="img", aria_label="3-D view; arrow keys turn, + and - zoom"),
        bar,
        _legend(content),
        tag("div", tag("div", id="scale-bar-text"), tag("div", id="scale-bar-line"), id="scale-bar"),
        tag("div", id="hint", data_text=_HINT),
        tag("div", id="measure-text", hidden=True),
        tag(
            "div",
            tag("img", id="inset-picture", alt="photograph of the chosen keyframe"),
            tag("button", "×", type="button", class_="close", id="inset-close", aria_label="close the photograph"),
            id="inset",
            hidden=True,
        ),
        tag(
            "div",
            tag("p", "The 3-D view needs WebGL 2 and could not start: ", tag("span", id="no-3d-reason")),
            tag("p", "Pictures and figures below need none; mesh.ply and mesh.glb open in any 3-D program."),
            id="no-3d",
            hidden=True,
        ),
        tag("noscript", tag("p", "The 3-D view needs JavaScript. Pictures and figures below need none.")),
        id="stage",
    )


def _toggle(name: str, text: str, key: Html | None = None) -> Html:
    return tag("label", tag("input", type="checkbox", id=f"toggle-{name}", checked=True), key, text)


def _legend(content: _Content) -> Html:
    names = content.report.manifest.labels
    shares = label_shares(content.mesh, max(len(names), 1))
    palette = _palette(len(names))
    order = sorted((i for i in range(len(names)) if shares[i] > 0), key=lambda i: -shares[i])
    rows = [tag("li", colour_swatch(palette[i]), tag("span", names[i]), tag("span", f"{shares[i]:.0%}")) for i in order]
    return tag("div", tag("ul", join(rows)), id="legend", hidden=True, title="share of the surface")


def _tiles(content: _Content) -> Html:
    frames = content.report.frames
    length, width, height = content.size
    unit = content.symbol
    tracked = sum(frame.status != "lost" for frame in frames)
    speed = frames_per_second(frame.milliseconds for frame in frames)
    rows = [
        ("Floor plan", f"{length:.2f} × {width:.2f} {unit}" if length else "none"),
        ("Height", f"{height:.2f} {unit}" if height else "none"),
        ("Frames tracked", f"{tracked / len(frames):.1%}" if frames else "none"),
        ("Camera path", f"{_path_length(content):.2f} {unit}"),
        ("Keyframes", _number(content.keyframes)),
        ("Speed, median frame", f"{speed[1]:.1f} frames/s" if speed else "not measured"),
        ("Speed, frames over time", f"{speed[0]:.1f} frames/s" if speed else "not measured"),
    ]
    errors = content.health.error[np.isfinite(content.health.error)]
    if len(errors):
        rows.append(("Path against truth, rigid", f"{float(np.sqrt((errors**2).mean())):.3f} {unit}"))
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v), class_="tile") for k, v in rows), class_="tiles")


def _path_length(content: _Content) -> float:
    centres = [frame.T_world_cam[:3, 3] for frame in content.report.frames if frame.T_world_cam is not None]
    return float(np.linalg.norm(np.diff(np.array(centres).reshape(-1, 3), axis=0), axis=1).sum())


def _tracking_note(content: _Content) -> str:
    health_ = content.health
    part = (
        ""
        if health_.count == len(health_.frames)
        else f" Every {-(-health_.count // len(health_.frames))}th frame is shown."
    )
    times = "" if health_.axis == "s" else " The source knows no times: frames are numbered."
    compiled = next((f.value for f in content.report.figures if f.name == "compile_s"), None)
    waited = "" if compiled is None else f" Preparing kernels took {compiled:.1f} s before the first frame."
    return f"Point at a chart to see the frame's camera in the 3-D view.{part}{times}{waited}"


def _figures(figures: Sequence[SceneFigure]) -> Html:
    if not figures:
        return tag("p", "No figure was measured for this scene.", class_="note")
    rows: list[Html] = []
    for group in dict.fromkeys(figure.group for figure in figures):
        rows.append(tag("tr", tag("th", group.capitalize(), class_="head", colspan=3, scope="rowgroup")))
        rows.extend(_figure(figure) for figure in figures if figure.group == group)
    heads = [tag("th", word, scope="col") for word in ("Figure", "Value", "How it was measured")]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", join(rows)))
    return tag("div", table, class_="scroll")


def _figure(figure: SceneFigure) -> Html:
    value = "not measured" if figure.value is None else f"{figure.value:.4g} {figure.unit}".strip()
    cells = [tag("td", value, class_="number"), tag("td", figure.protocol, class_="protocol")]
    return tag("tr", tag("th", _readable(figure), scope="row"), *cells)


def _readable(figure: SceneFigure) -> str:
    """A figure's name for people: `ate_se3_m` in m becomes "ATE SE3"."""
    words = figure.name.split("_")
    if len(words) > 1 and words[-1].lower() == figure.unit.lower():
        words = words[:-1]
    words = [word.upper() if word in _ACRONYMS else word for word in words]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _refocused(content: _Content) -> str:
    found = {f.name: f.value for f in content.report.figures if f.value is not None}
    factor, distortion = found.get("focal_factor", 1), found.get("distortion", 0)
    said = "" if factor == 1 else f"; focal lengths times {factor:.3f}, as the whole map asks for"
    return said + (f"; a radial distortion of {distortion:.3f} taken out of the keyframes" if distortion else "")


def _making(content: _Content) -> Html:
    """The facts that make the scene repeatable, folded away."""
    manifest = content.report.manifest
    shown, full = len(content.mesh.faces), len(content.report.mesh.faces)
    facts = {
        "Source": manifest.source,
        "Units": manifest.units,
        "Intrinsics": {
            "file": "from a file",
            "option": "given as an option",
            "exif": "from the picture's EXIF data",
        }.get(manifest.intrinsics_source, "guessed: expect bent geometry if the field of view is wrong")
        + _refocused(content),
        "Times": "the source's own" if manifest.times == "source" else "none: frames are numbered",
        "Mesh": f"{_number(full)} triangles"
        + ("" if shown == full else f"; this page shows a simplified {_number(shown)}, mesh.ply has all"),
    }
    parts = [("", facts)]
    parts += [
        (title, table)
        for title, table in (("Options", manifest.options), ("Conventions", manifest.conventions))
        if table
    ]
    parts.append(("Versions", dict(manifest.versions)))
    parts.append(("Weights, SHA-256", dict(manifest.weights)))
    parts.append(("Steps", {step.name: f"{step.seconds:.1f} s" for step in manifest.steps if step.status == "done"}))
    blocks = [block for title, table in parts if table for block in _facts(title, table)]
    return tag("details", tag("summary", "How it was made"), *blocks)


def _facts(title: str, table: dict[str, Any]) -> list[Html]:
    rows = [tag("tr", tag("th", key, scope="row"), tag("td", tag("code", str(value)))) for key, value in table.items()]
    return [*([tag("h3", title)] if title else []), tag("div", tag("table", tag("tbody", *rows)), class_="scroll")]
