"""The page in a real browser."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sample_report import room_keyframe, room_manifest, room_report
from scenewright.data.meshes import TriangleMesh
from scenewright.labels import COLOURS, LABELS
from scenewright.scene.records import SceneFigure
from scenewright.viewer.report import write_report
from scenewright.viewer.serve import make_server

STAGE = np.s_[190:560, 40:860]  # inside the canvas of a 900 x 700 window, below the toolbar
HOSTILE = '</script><img src=x onerror="document.title=1"><svg onload=alert(1)>\'"&<!--'


def page(folder: Path, *, fragment: str = "", **changes: object) -> str:
    path = folder / "report.html"
    write_report(path, room_report(**changes))
    return f"file://{path}#{fragment}"


def covered(picture: np.ndarray) -> float:
    """Share of the stage that is not the background, whose colour is the one of the stage's corner."""
    stage = picture[STAGE].astype(int)
    return float((np.abs(stage - stage[0, 0]).max(-1) > 12).mean())


def near_colour(picture: np.ndarray, rgb: tuple[int, int, int], tolerance: float = 0.08) -> int:
    """Pixels of the stage whose hue is that of a colour, whatever its brightness."""
    stage = picture[STAGE].reshape(-1, 3).astype(float)
    chroma = stage / np.maximum(stage.sum(1, keepdims=True), 1)
    return int((np.abs(chroma - np.array(rgb) / sum(rgb)).max(1) < tolerance * 0.25).sum())


def test_the_mesh_is_seen_and_nothing_is_asked_of_the_network(tmp_path: Path, browse) -> None:
    shot = browse(page(tmp_path))
    assert covered(shot.picture) > 0.2
    assert shot.console == ""  # no script error, nothing that the security policy had to stop
    assert shot.requests == []


def test_a_page_that_asks_the_network_would_be_noticed(tmp_path: Path, browse) -> None:
    address = page(tmp_path)
    path = tmp_path / "report.html"
    spoilt = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text())
    picture = '<body><img src="http://somewhere.example/x.png">'
    path.write_text(spoilt.replace("<body>", picture))
    assert browse(address).requests == ["http://somewhere.example/x.png"]
    path.write_text(
        path.read_text().replace("<head>", '<head><meta http-equiv="Content-Security-Policy" content="img-src data:">')
    )
    guarded = browse(address)
    assert guarded.requests == []
    assert "Content Security Policy" in guarded.console


def test_labels_change_the_colours_of_the_surface(tmp_path: Path, browse) -> None:
    floor, table = (COLOURS[LABELS.index(name)] for name in ("floor", "table"))
    plain = browse(page(tmp_path, fragment="path=0&frusta=0&truth=0")).picture
    labelled = browse(page(tmp_path, fragment="labels=1&path=0&frusta=0&truth=0")).picture
    changed = np.abs(plain[STAGE].astype(int) - labelled[STAGE]).max(-1) > 20
    assert changed.mean() > 0.05
    for colour in (floor, table):
        assert near_colour(labelled, colour) > 1000
    sofa = COLOURS[LABELS.index("sofa")]
    assert near_colour(labelled, sofa) > 1000
    assert near_colour(plain, sofa) < 50


def test_the_path_can_be_hidden(tmp_path: Path, browse) -> None:
    blue = (56, 152, 236)
    with_path = browse(page(tmp_path, fragment="frusta=0")).picture
    without = browse(page(tmp_path, fragment="frusta=0&path=0")).picture
    assert near_colour(with_path, blue) > near_colour(without, blue) + 300


def test_back_faces_hide_the_room_only_when_asked(tmp_path: Path, browse) -> None:
    wood = (150, 110, 70)
    open_box = browse(page(tmp_path, fragment="path=0&frusta=0&truth=0")).picture
    closed = browse(page(tmp_path, fragment="path=0&frusta=0&truth=0&cull=0")).picture
    assert near_colour(open_box, wood) > 3000
    assert near_colour(closed, wood) < near_colour(open_box, wood) / 4


def test_a_keyframe_is_looked_at_from_where_it_was_taken(tmp_path: Path, browse) -> None:
    """From inside the room its walls fill the view, and what the camera saw in the middle lies in the middle."""
    mesh = room_report().mesh
    centre = room_keyframe(3, 2 * np.pi * 3 / 12)
    forward = centre.T_world_cam[:3, 2]
    target = centre.T_world_cam[:3, 3] + forward * np.median(centre.depth_m)
    close = np.linalg.norm(mesh.vertices - target, axis=1) < 0.2
    assert close.any()
    colours = np.where(close[:, None], np.array([255, 0, 255], np.uint8), np.array([90, 90, 90], np.uint8))
    marked = replace(mesh, colours=colours)
    shot = browse(page(tmp_path, mesh=marked, fragment="keyframe=3&path=0&frusta=0&truth=0"))
    rows, columns = np.nonzero(np.abs(shot.picture.astype(int) - [255, 0, 255]).max(-1) < 90)
    assert len(rows) > 200
    assert covered(shot.picture) > 0.9 or (shot.picture[STAGE] == shot.picture[STAGE][0, 0]).all(-1).mean() < 0.5
    middle_x = 450
    assert abs(columns.mean() - middle_x) < 20


def test_hostile_text_stays_text(tmp_path: Path, browse) -> None:
    labels = tuple(f"{name}{HOSTILE}" for name in LABELS)
    manifest = room_manifest(
        name=HOSTILE, source=HOSTILE, labels=labels, options={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}
    )
    figures = [SceneFigure(HOSTILE, 1.0, HOSTILE, HOSTILE, HOSTILE)]
    address = page(tmp_path, manifest=manifest, figures=figures, fragment="labels=1")
    shot = browse(address)
    assert covered(shot.picture) > 0.2
    assert shot.console == ""
    assert shot.requests == []


def test_a_scene_with_nothing_in_it_still_opens(tmp_path: Path, browse) -> None:
    nothing = TriangleMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    shot = browse(page(tmp_path, mesh=nothing, keyframes=[], frames=[], figures=[], truth=None))
    assert shot.console == ""
    assert covered(shot.picture) < 0.05


def test_a_point_cloud_is_drawn_as_points(tmp_path: Path, browse) -> None:
    mesh = room_report().mesh
    points = TriangleMesh(mesh.vertices, np.zeros((0, 3), np.int32), mesh.colours, mesh.labels)
    shot = browse(page(tmp_path, mesh=points))
    assert shot.console == ""
    assert covered(shot.picture) > 0.02


def test_without_webgl_the_page_says_so(tmp_path: Path, browse) -> None:
    shot = browse(page(tmp_path), 900, 700, "--disable-gpu", "--disable-3d-apis")
    assert "Uncaught" not in shot.console
    assert covered(shot.picture) < 0.1


@pytest.mark.parametrize("size", [(390, 800)])
def test_a_narrow_screen_is_not_scrolled_sideways(tmp_path: Path, browse, size: tuple[int, int]) -> None:
    """Chromium lets no window be narrower than 500 pixels, so the page stands in a frame of a phone's width."""
    page(tmp_path)
    frame = tmp_path / "frame.html"
    script = (
        "onload = () => { const d = document.querySelector('iframe').contentDocument.documentElement;"
        "document.body.style.background = d.scrollWidth > d.clientWidth ? 'rgb(255,0,0)' : 'rgb(0,255,0)'; }"
    )
    width, height = size
    frame.write_text(
        f'<body><iframe src="report.html" width="{width}" height="{height - 100}"></iframe><script>{script}</script>'
    )
    shot = browse(f"file://{frame}", 600, height, "--allow-file-access-from-files")
    assert shot.picture[-5, -5].tolist() == [0, 255, 0]


def test_the_served_page_asks_only_its_own_server(tmp_path: Path, browse) -> None:
    page(tmp_path)
    with make_server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        origin = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            shot = browse(origin)
        finally:
            server.shutdown()
            thread.join()
    assert covered(shot.picture) > 0.2
    assert shot.requests == []
