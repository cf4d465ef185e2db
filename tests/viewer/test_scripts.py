"""The page's own script: its geometry against NumPy and trimesh, its controls by pointer events in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from sample_report import CAMERA, pose_at, room_mesh, room_report
from scenewright.viewer.report import build_page
from scenewright.viewer.surface import pack

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=900,900",
)


def run_page(folder: Path, page: str) -> Any:
    """Open a page whose script writes JSON into <pre id=answer>, and read it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium to run the page's script")
    path = folder / "run.html"
    path.write_text(page)
    command = [program, *_FLAGS, "--virtual-time-budget=30000", f"--user-data-dir={folder}/profile", "--dump-dom"]
    done = subprocess.run([*command, f"file://{path}"], capture_output=True, text=True, timeout=120, check=False)
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert answer is not None, done.stdout[-500:] + done.stderr[-500:]
    return json.loads(html.unescape(answer[1]))


def evaluate(folder: Path, data: object, body: str) -> Any:
    """Run `body`, a function of `data`, with the page's geometry at hand."""
    scripts = "\n".join(
        (files("scenewright.viewer") / "page" / name).read_text() for name in ("math.js", "mesh.js", "controls.js")
    )
    run = f"(() => {{ {scripts}\nconst data = {json.dumps(data)};\nreturn (() => {{ {body} }})(); }})()"
    return run_page(
        folder,
        f"<pre id=answer></pre><script>let answer; try {{ answer = {run}; }} catch (e) {{ answer = String(e); }}"
        "document.getElementById('answer').textContent = JSON.stringify(answer);</script>",
    )


def test_a_camera_looks_where_its_pose_says(tmp_path: Path) -> None:
    """`Orbit.view` of a keyframe's pose projects points as K [R | t] does, up to the picture's aspect."""
    T = pose_at(0.7)
    rng = np.random.default_rng(0)
    points_cam = rng.uniform((-0.5, -0.4, 1.0), (0.5, 0.4, 3.0), (20, 3))
    points = points_cam @ T[:3, :3].T + T[:3, 3]
    fov = 2 * np.arctan(CAMERA.height / 2 / CAMERA.numbers[1])
    home = {"centre": [2, 1.5, 1.2], "radius": 2.8, "direction": [0.5, 0.5, 0.7]}
    data = {"pose": T[:3].ravel().tolist(), "points": points.tolist(), "home": home, "fov": fov}
    got = np.array(
        evaluate(
            tmp_path,
            data,
            """
            const orbit = new Orbit([0, 0, 1], data.home);
            orbit.set(orbit.poseState(data.pose, 1.5, data.fov));
            const m = orbit.view(4 / 3).matrix;
            return data.points.map(([x, y, z]) => {
              const row = (i) => m[i] * x + m[4 + i] * y + m[8 + i] * z + m[12 + i];
              return [row(0) / row(3), row(1) / row(3), row(2) / row(3), ...poseApply(data.pose, [0, 0, 0])];
            });""",
        )
    )
    tangent = np.tan(fov / 2)
    np.testing.assert_allclose(got[:, 0], points_cam[:, 0] / points_cam[:, 2] / (tangent * 4 / 3), atol=1e-6)
    np.testing.assert_allclose(got[:, 1], -points_cam[:, 1] / points_cam[:, 2] / tangent, atol=1e-6)
    assert (np.diff(got[np.argsort(points_cam[:, 2]), 2]) > 0).all()  # farther is deeper
    assert (np.abs(got[:, 2]) < 1).all()
    np.testing.assert_allclose(got[0, 3:], T[:3, 3], atol=1e-9)


@pytest.mark.parametrize("cull", [True, False])
def test_rays_hit_what_they_meet_first(tmp_path: Path, cull: bool) -> None:
    mesh = room_mesh(6)
    packed = pack(mesh)
    rng = np.random.default_rng(0)
    eyes = np.concatenate([rng.uniform(0.3, 1.2, (60, 3)), rng.uniform(-3, -1, (40, 3))])
    targets = rng.uniform((0.2, 0.2, 0.2), (3.8, 2.8, 2.3), (100, 3))
    directions = targets - eyes
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    data = {
        "codes": list(packed.vertices),
        "indices": mesh.faces.ravel().tolist(),
        "origin": packed.origin,
        "extent": packed.extent,
        "rays": [[*eye, *direction] for eye, direction in zip(eyes.tolist(), directions.tolist())],
    }
    got = evaluate(
        tmp_path,
        data,
        f"""
        const mesh = {{ ...data, vertices: new Uint8Array(data.codes), indices: new Uint32Array(data.indices) }};
        return data.rays.map((r) => castRay(mesh, r.slice(0, 3), r.slice(3), {str(cull).lower()}));""",
    )
    made = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    for eye, direction, hit in zip(eyes, directions, got):
        where, _, face = made.ray.intersects_location(eye[None], direction[None])
        front = made.face_normals[face] @ direction < 0
        if cull:
            where = where[front]
        distance = np.linalg.norm(where - eye, axis=1)
        assert (hit is None) == (len(distance) == 0)
        if hit is not None:
            assert np.linalg.norm(np.array(hit) - eye) == pytest.approx(distance.min(), abs=1e-3)


def test_controls_move_the_camera_as_a_hand_expects(tmp_path: Path) -> None:
    got = evaluate(
        tmp_path,
        None,
        """
        const home = { centre: [0, 0, 0], radius: 1, direction: [0, -1, 0.5] };
        const fresh = () => new Orbit([0, 0, 1], home);
        const [start, right, down, far, over, moved, back] = Array.from({ length: 7 }, fresh);
        right.rotate(0.1, 0); down.rotate(0, 0.1); far.zoom(1.5); over.rotate(0, 99); moved.pan(0.2, 0.1);
        back.blend({ ...start.state, azimuth: 3.1 }, { ...start.state, azimuth: -3.1 }, 0.5);
        const ray = start.ray(0, 0, 1.5);
        return { start: start.eye, right: right.eye, down: down.eye, far: length(far.eye), near: length(start.eye),
                 over: over.elevation, target: moved.target, half: Math.abs(back.azimuth), ray,
                 nice: [0.03, 1, 7, 450].map(niceBelow),
                 perPixel: start.unitsPerPixel(100, 1) * 100 / 2 / start.distance, fov: start.fov };""",
    )
    assert got["right"][0] < got["start"][0]  # dragged to the right, the scene turns right: the eye goes left
    assert got["down"][2] > got["start"][2]
    assert got["far"] == pytest.approx(1.5 * got["near"])
    assert got["over"] < np.pi / 2
    assert got["target"][0] == pytest.approx(-0.2)  # the scene follows the hand
    assert got["half"] == pytest.approx(np.pi)  # the short way round
    np.testing.assert_allclose(got["ray"], -np.array(got["start"]) / np.linalg.norm(got["start"]), atol=1e-9)
    assert got["nice"] == pytest.approx([0.02, 1, 5, 200])
    assert got["perPixel"] == pytest.approx(np.tan(got["fov"] / 2))


ACTIONS = """
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const click = (selector) => document.querySelector(selector).click();
const canvas = document.getElementById("canvas");
canvas.setPointerCapture = () => {};
const pointer = (type, x, y) => {
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: box.x + x, clientY: box.y + y }));
};
const tap = (x, y) => { pointer("pointerdown", x, y); pointer("pointerup", x, y); };
const text = (id) => document.getElementById(id).hidden ? null : document.getElementById(id).textContent;
const seen = {};
(async () => {
  await wait(100);
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  click('[data-mode="labels"]');
  seen.labels = [location.hash, document.getElementById("legend").hidden];
  click("#toggle-path");
  seen.path = location.hash;
  click('[data-mode="colour"]'); click("#toggle-path");
  seen.plain = location.hash;
  seen.bar = text("scale-bar-text");
  click("#measure"); tap(w / 2 - 30, h * 0.75); seen.one = text("measure-text"); tap(w / 2 + 30, h * 0.75);
  await wait(100);
  seen.two = text("measure-text");
  click("#measure"); await wait(400);
  seen.none = text("measure-text");
  click('[data-keyframe="4"]'); await wait(900);
  seen.keyframe = [location.hash, document.getElementById("inset").hidden, text("scale-bar-text")];
  click("#reset"); await wait(900);
  seen.reset = [location.hash, document.getElementById("inset").hidden, text("scale-bar-text")];
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -2000, cancelable: true }));
  for (let i = 0; i < 6; i++) canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -500, cancelable: true }));
  await wait(100);
  seen.zoomed = text("scale-bar-text");
  const svg = document.querySelector('svg[data-chart="residual"]');
  const box = svg.getBoundingClientRect();
  svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.x + box.width * 0.52, clientY: box.y + 20 }));
  seen.readout = ["residual", "usage", "error"].map((key) => text("readout-" + key));
  svg.dispatchEvent(new PointerEvent("pointerleave"));
  seen.left = text("readout-residual");
  location.hash = "#shape=1&keyframe=7&frusta=0"; await wait(900);
  const attribute = (selector, name) => document.querySelector(selector).getAttribute(name);
  seen.address = [attribute('[data-mode="shape"]', "aria-pressed"), attribute('[data-keyframe="7"]', "aria-current"),
    document.getElementById("toggle-frusta").checked];
  const answer = document.createElement("pre");
  answer.id = "answer";
  answer.textContent = JSON.stringify(seen);
  document.body.append(answer);
})();
"""


def test_the_page_answers_its_buttons(tmp_path: Path) -> None:
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", build_page(room_report()))
    # a browser that shows no window draws no frames by itself
    clock = "<script>window.requestAnimationFrame = (f) => setTimeout(() => f(performance.now()), 16);</script>"
    page = page.replace("<body>", f"<body>{clock}")
    seen = run_page(tmp_path, page.replace("</body>", f"<script>{ACTIONS}</script></body>"))
    assert seen["labels"] == ["#labels=1", False]
    assert seen["path"] == "#labels=1&path=0"
    assert seen["plain"] == ""
    assert seen["one"] is None
    assert 0.1 < float(seen["two"].removesuffix(" m")) < 3
    assert seen["none"] is None
    assert seen["keyframe"][:2] == ["#keyframe=4", False]
    assert seen["reset"] == ["", True, seen["bar"]]
    assert seen["keyframe"][2] != seen["bar"]
    assert float(seen["zoomed"].removesuffix(" m")) < float(seen["bar"].removesuffix(" m"))
    for readout in seen["readout"]:
        assert re.fullmatch(r"\d\.\d\d s: .*, (ok|lost|relocalised)", readout)
    assert seen["left"] == ""
    assert seen["address"] == ["true", "true", False]


def test_two_fingers_and_keys(tmp_path: Path) -> None:
    got = evaluate(
        tmp_path,
        None,
        """
        const canvas = document.body.appendChild(document.createElement("div"));
        Object.assign(canvas.style, { width: "400px", height: "400px", position: "fixed", left: 0, top: 0 });
        canvas.setPointerCapture = () => {};
        const orbit = new Orbit([0, 0, 1], { centre: [0, 0, 0], radius: 1, direction: [0, -1, 0] });
        let taps = 0, changes = 0;
        attachControls(canvas, orbit, { change: () => changes++, tap: () => taps++ });
        const send = (type, id, x, y, more) => canvas.dispatchEvent(
          new PointerEvent(type, { pointerId: id, clientX: x, clientY: y, ...more }));
        const start = orbit.state;
        send("pointerdown", 1, 150, 200); send("pointerdown", 2, 250, 200);
        send("pointermove", 1, 100, 200); send("pointermove", 2, 300, 200);
        const pinched = orbit.state;
        send("pointermove", 1, 120, 200); send("pointermove", 2, 320, 200);
        const slid = orbit.state;
        send("pointerup", 1, 120, 200); send("pointerup", 2, 320, 200);
        send("pointerdown", 3, 200, 200, { buttons: 1 }); send("pointermove", 3, 210, 200, { buttons: 1 });
        send("pointerup", 3, 210, 200);
        const turned = orbit.state;
        send("pointerdown", 4, 200, 200); send("pointerup", 4, 201, 200);
        for (const key of ["ArrowLeft", "+", "x"]) canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
        return { start, pinched, slid, turned, keyed: orbit.state, taps, changes };""",
    )
    assert got["pinched"]["distance"] == pytest.approx(got["start"]["distance"] / 2)
    assert got["pinched"]["azimuth"] == got["start"]["azimuth"]
    assert got["slid"]["target"][0] < got["pinched"]["target"][0]  # the scene follows the fingers
    assert got["slid"]["distance"] == pytest.approx(got["pinched"]["distance"])
    assert got["turned"]["azimuth"] < got["slid"]["azimuth"]
    assert got["keyed"]["azimuth"] == pytest.approx(got["turned"]["azimuth"] + 0.08)
    assert got["keyed"]["distance"] == pytest.approx(0.9 * got["turned"]["distance"])
    assert got["taps"] == 1
    assert got["changes"] == 7
