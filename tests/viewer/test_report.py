"""The page as text, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sample_report import room_frames, room_keyframe, room_manifest, room_mesh, room_report, room_scene
from scenewright.errors import InputError
from scenewright.scene.records import SceneFigure
from scenewright.scene.scene import Scene
from scenewright.viewer.gallery import collect, depth_colours, depth_range
from scenewright.viewer.health import health_of, page_data
from scenewright.viewer.records import input_of_scene
from scenewright.viewer.report import MAX_PAGE_BYTES, build_page, write_report, write_scene_report

HOSTILE = '</script><img src=x onerror="alert(1)">\u2028\'"&<!--'


class Elements(HTMLParser):
    """All elements with their attributes, and the text of each script by its id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str | None, str] = {}
        self.text: list[str] = []
        self.inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = (dict(attrs).get("id") or tag) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data[self.inside] = self.data.get(self.inside, "") + data
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def room() -> Elements:
    return Elements(build_page(room_report()))


def test_nothing_points_out_of_the_page(room: Elements) -> None:
    for _, attributes in room.found:
        for name in ("src", "href", "action", "poster", "data", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    ours = [room.data["script"], room.data["style"]]
    assert not any(
        re.search(r"https?:|fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(|@import|url\(", x) for x in ours
    )


def test_the_policy_names_exactly_our_script_and_style(room: Elements) -> None:
    policy = next(a["content"] for t, a in room.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(room.data[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_text_says_what_was_made(room: Elements) -> None:
    text = " ".join(room.text)
    for words in (
        "Scale: metric",
        "121 frames over 4.0 s became 12 keyframes and 10\u2009368 triangles",
        "4.00 × 3.00 × 2.50 m",
        "93.4%",
        "0.0352 m",
        "SE(3) alignment, no scale, 113 poses",
        "not measured",
        "lost: 8 frames",
        "ab" * 32,
        "T_world_cam maps camera points to world points",
    ):
        assert words in text


def test_unknown_scale_and_guessed_camera_are_said_aloud() -> None:
    manifest = room_manifest(scale="unknown", intrinsics_source="guess")
    page = Elements(build_page(room_report(manifest=manifest)))
    text = " ".join(page.text)
    assert "Scale: unknown" in text
    assert "Camera: guessed" in text
    assert "2.50 units" in text
    assert "2.50 m" not in text
    assert json.loads(page.data["scene-data"])["symbol"] == "units"


def test_hostile_text_is_only_text() -> None:
    manifest = room_manifest(name=HOSTILE, source=HOSTILE, options={HOSTILE: HOSTILE}, labels=(HOSTILE,) * 12)
    figures = [SceneFigure(HOSTILE, 1.0, HOSTILE, HOSTILE, HOSTILE)]
    plain = Elements(build_page(room_report()))
    page = Elements(build_page(room_report(manifest=manifest, figures=figures)))
    assert {tag for tag, _ in page.found} <= {tag for tag, _ in plain.found}
    assert sum(tag == "script" for tag, _ in page.found) == 4
    assert all("onerror" not in attributes for _, attributes in page.found)
    assert sum(HOSTILE in text for text in page.text) >= 5
    json.loads(page.data["scene-data"])


def test_the_mesh_is_in_the_page(room: Elements) -> None:
    mesh = room_mesh()
    facts = json.loads(room.data["scene-data"])
    codes = np.frombuffer(base64.b64decode(room.data["mesh-vertices"]), "<u2").reshape(-1, 8)
    positions = np.array(facts["mesh"]["origin"]) + codes[:, :3] / 65535 * np.array(facts["mesh"]["extent"])
    np.testing.assert_allclose(positions, mesh.vertices, rtol=0, atol=4.0 / 65535)  # one step of 16 bits
    np.testing.assert_array_equal(codes[:, 3], mesh.labels)
    indices = np.frombuffer(base64.b64decode(room.data["mesh-indices"]), "<u4").reshape(-1, 3)
    np.testing.assert_array_equal(indices, mesh.faces)


def test_the_path_has_a_gap_where_tracking_was_lost(room: Elements) -> None:
    facts = json.loads(room.data["scene-data"])
    assert [i for i, p in enumerate(facts["path"]) if p is None] == list(range(50, 58))
    np.testing.assert_allclose(facts["path"][0], room_frames()[0].T_world_cam[:3, 3], atol=1e-5)
    lengths = {len(facts["frames"][key]) for key in ("time", "status", "pose")} | {
        len(column) for column in facts["frames"]["values"].values()
    }
    assert lengths == {121}


def test_a_long_video_still_makes_a_page_of_bounded_size() -> None:
    frames = [replace(frame, time_s=i / 30) for i, frame in enumerate(room_frames() * 300)]
    page = build_page(room_report(frames=frames, cells=200))
    assert len(page) < MAX_PAGE_BYTES
    text = " ".join(Elements(page).text)
    assert "Every 7th frame is shown" in text
    assert "this page shows a simplified" in text


def test_errors_need_a_true_pose_at_the_same_time() -> None:
    report = room_report()
    assert report.truth is not None
    times, positions = report.truth
    health = health_of(report)
    tracked = [i for i, frame in enumerate(report.frames) if frame.T_world_cam is not None]
    expected = [np.linalg.norm(report.frames[i].T_world_cam[:3, 3] - positions[k]) for k, i in enumerate(tracked)]
    np.testing.assert_allclose(health.error[tracked], expected)
    assert np.isnan(health.error[50:58]).all()
    shifted = health_of(replace(report, truth=(times + 0.5, positions)))
    assert np.isnan(shifted.error[:15]).all()
    assert np.isnan(health_of(replace(report, truth=None)).error).all()
    assert page_data(health)["values"]["residual"][52] is None


def test_disagreeing_records_are_refused() -> None:
    report = room_report()
    with pytest.raises(InputError, match="order of time"):
        replace(report, frames=report.frames[::-1])
    with pytest.raises(InputError, match="positions"):
        replace(report, truth=(np.zeros(3), np.zeros((2, 3))))
    with pytest.raises(InputError, match="indices"):
        replace(report, mesh=replace(report.mesh, faces=report.mesh.faces + 1_000_000))


def test_pages_are_deterministic_and_whole(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", room_report(cells=4))
    assert (tmp_path / "a.html").read_text() == build_page(room_report(cells=4))
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


@pytest.mark.parametrize(
    ("name", "unit", "title"),
    [
        ("ate_se3_m", "m", "ATE SE3"),
        ("peak_memory_mb", "MB", "Peak memory"),
        ("m", "m", "M"),
        ("Depth within 10 %", "%", "Depth within 10 %"),
        ("", "", ""),
    ],
)
def test_figures_have_names_for_people(name: str, unit: str, title: str) -> None:
    page = build_page(room_report(cells=2, figures=[SceneFigure(name, 1.0, unit)]))
    assert f'<th scope="row">{title}</th>' in page


# From a folder


def test_a_scene_folder_becomes_the_same_report(tmp_path: Path) -> None:
    folder = room_scene(tmp_path / "out")
    report, expected = input_of_scene(Scene.open(folder)), room_report(cells=8)
    np.testing.assert_array_equal(report.mesh.labels, expected.mesh.labels)  # of labels.ply
    np.testing.assert_array_equal(report.mesh.colours, expected.mesh.colours)
    np.testing.assert_allclose(report.truth[1], expected.truth[1], atol=1e-6)
    assert write_scene_report(folder) == folder / "report.html"
    scene = Scene.open(folder)
    scene.verify()
    assert scene.has("report.html")
    assert scene.manifest.is_done("report")
    text = " ".join(Elements((folder / "report.html").read_text()).text)
    assert "12 keyframes" in text
    assert "Path against truth" in text


def test_a_bare_scene_folder_still_has_a_report(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", room_manifest(steps=())):
        pass
    page = Elements(write_scene_report(tmp_path / "out").read_text())
    assert "no surface" in " ".join(page.text)


# Keyframes


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_the_gallery_is_bounded_and_evenly_spread(count: int) -> None:
    one = room_keyframe(0, 0.0)
    pictures, total = collect((replace(one, id=i, time_s=i / 3) for i in range(count)), limit=8)
    assert total == count
    assert min(count, 4) <= len(pictures) <= 8
    steps = set(np.diff([picture.id for picture in pictures]).tolist())
    assert len(steps) <= 1
    if count <= 8:
        assert [picture.id for picture in pictures] == list(range(count))


def test_depth_is_bright_when_near_and_grey_when_unknown() -> None:
    depth = np.array([[0.5, 1.0, 2.0, 4.0, 0.0]], np.float32)
    brightness = depth_colours(depth, 0.5, 4.0).astype(int).sum(-1)[0]
    assert (np.diff(brightness[:4]) < 0).all()
    assert depth_colours(depth, 0.5, 4.0)[0, 4].tolist() == [46, 42, 40]
    assert depth_range([]) == (0.0, 1.0)


def test_a_source_without_times_claims_no_duration() -> None:
    timed = build_page(room_report())
    untimed = build_page(room_report(manifest=room_manifest(times="nominal")))
    assert " over 4.0 s" in timed
    assert " over 4.0 s" not in untimed
    assert ">frame 120<" in untimed
    assert " s</text>" in timed
    assert " s</text>" not in untimed
    assert "frames are numbered" in untimed
    assert "frames are numbered" not in timed
    assert "frame 10 " in untimed, "keyframes bear their frame's number"


def test_another_focal_length_is_said_aloud() -> None:
    for factor, said in ((0.944, True), (1.0, False)):
        page = build_page(room_report(figures=[SceneFigure("focal_factor", factor, "", "", "tracking")]))
        assert ("focal lengths times 0.944" in page) is said
        assert "distortion of" not in page
    page = build_page(room_report(figures=[SceneFigure("distortion", -0.0461, "", "", "tracking")]))
    assert "a radial distortion of -0.046 taken out" in page


def test_speeds_are_apart_from_the_time_to_compile() -> None:
    figures = [SceneFigure("compile_s", 9.25, "s", "before the first frame", "speed")]
    page = build_page(room_report(figures=figures))
    assert "took 9.2 s before the first frame" in page
    assert "Speed, median frame" in page
    assert "Speed, frames over time" in page
    assert "before the first frame" not in build_page(room_report(figures=[]))
