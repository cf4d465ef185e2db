from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_scene import make_manifest
from scenewright.errors import FormatError, InputError
from scenewright.scene.manifest import Manifest, Product, Step, check_relative


def full() -> Manifest:
    step = Step("fuse", "done", 1.5)
    return make_manifest().with_step(
        step, (Product("mesh.ply", 4, "0" * 64, "fuse"), Product("a/b.png", 0, "1" * 64, "fuse"))
    )


def test_round_trip(tmp_path: Path) -> None:
    manifest = full()
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


def test_units_follow_the_scale() -> None:
    assert make_manifest().units == "metres"
    assert "unknown" in make_manifest(scale="unknown").units
    assert make_manifest(scale="unknown").to_json()["units"] == make_manifest(scale="unknown").units


def test_manifest_states_its_conventions() -> None:
    words = " ".join(make_manifest().to_json()["conventions"].values())
    assert all(term in words for term in ("y down", "T_world_cam", "0 = unknown", "y-up", "(0, 0)", "TUM"))


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("name"), "name"),
        (lambda m: m.update(extra=1), "extra"),
        (lambda m: m.update(schema=2), "reads no other"),
        (lambda m: m.update(schema="1"), "schema"),
        (lambda m: m.update(scale="feet"), "metric"),
        (lambda m: m.update(units="feet"), "metres"),
        (lambda m: m.update(scale="unknown"), "units"),
        (lambda m: m.update(intrinsics_source="hearsay"), "exif"),
        (lambda m: m.update(up=[0, 0, 0]), "unit vector"),
        (lambda m: m.update(up=[0, 0]), "2 numbers"),
        (lambda m: m.update(weights={"fcrn": "xyz"}), "SHA-256"),
        (lambda m: m.update(products={}), "a list"),
        (lambda m: m["camera"].update(fx=0), "positive focal"),
        (lambda m: m["camera"].update(cx=999), "inside the image"),
        (lambda m: m["camera"].update(width=1 << 20, height=1 << 20), "pixels"),
        (lambda m: m["camera"].update(k1=0.1), "k1"),
        (lambda m: m["products"][0].update(size=-1), r"products\[0\] size"),
        (lambda m: m["products"][1].update(sha256="A" * 64), "64 hexadecimal"),
        (lambda m: m["products"][1].update(step="dream"), "no finished step"),
        (lambda m: m["products"][1].update(path="mesh.ply"), "listed twice"),
        (lambda m: m["products"].append(7), r"products\[2\]"),
        (lambda m: m["steps"][0].update(status="started"), "no finished step"),
        (lambda m: m["steps"][0].update(status="maybe"), "started"),
        (lambda m: m["steps"][0].update(seconds=-1), "seconds"),
        (lambda m: m["steps"].append(dict(m["steps"][0])), "step listed twice"),
        (lambda m: m.update(labels=["floor", 3]), "labels"),
    ],
)
def test_malformed_manifests(edit: Edit, message: str) -> None:
    value = json.loads(json.dumps(full().to_json()))
    Manifest.parse(copy.deepcopy(value), "scene.json")
    edit(value)
    with pytest.raises(InputError, match=message):
        Manifest.parse(value, "scene.json")


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "C:\\x", "c:x", "a\\b", "a\x00b", "a\nb"]
    + [".lock", "a/.hidden", "scene.json", "x" * 300],
)
def test_paths_that_could_leave_the_folder(path: str) -> None:
    with pytest.raises(FormatError, match="inside the Scene folder"):
        check_relative(path)


@given(st.text(max_size=30))
def test_accepted_paths_stay_inside(path: str) -> None:
    root = Path("/somewhere/scene")
    try:
        check_relative(path)
    except FormatError:
        return
    joined = (root / path).resolve()
    assert joined.is_relative_to(root)
    assert joined != root


def test_a_step_replaces_its_own_products() -> None:
    manifest = full()
    again = manifest.with_step(Step("fuse", "started"))
    assert (again.products, again.is_done("fuse")) == ((), False)
    other = manifest.with_step(Step("texture", "done"), (Product("mesh.ply", 9, "2" * 64, "texture"),))
    assert other.product("mesh.ply") == Product("mesh.ply", 9, "2" * 64, "texture")
    assert other.product("a/b.png") is not None
    assert other.without_steps({"fuse"}).product("a/b.png") is None
    Manifest.parse(json.loads(json.dumps(other.to_json())), "scene.json")


def test_fingerprint_covers_what_decides_the_products() -> None:
    base = make_manifest().fingerprint
    assert make_manifest(name="other").fingerprint == base
    assert replace(make_manifest(), steps=(Step("x", "done"),)).fingerprint == base
    for change in (
        {"source": "b.mp4"},
        {"options": {"voxel": 0.03}},
        {"versions": {"scenewright": "0.2.0"}},
        {"weights": {"fcrn": "cd" * 32}},
    ):
        assert make_manifest(**change).fingerprint != base
    assert make_manifest(options={"seed": 3, "voxel": 0.02}).fingerprint == base  # the order of keys decides nothing


def test_reading_a_manifest_needs_no_torch() -> None:
    code = "import sys, scenewright.scene.manifest; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_manifests_of_before_times_were_told_apart_are_read() -> None:
    value = make_manifest().to_json()
    assert value.pop("times") == "source"
    assert value.pop("distortion") == 0
    bent = make_manifest(distortion=-0.04)
    assert Manifest.parse(bent.to_json(), "bent") == bent
    assert Manifest.parse(value, "old").times == "source"
    nominal = make_manifest(times="nominal")
    assert Manifest.parse(nominal.to_json(), "new") == nominal
    with pytest.raises(InputError, match="times"):
        make_manifest(times="guess")
    with pytest.raises(FormatError, match="times"):
        Manifest.parse(value | {"times": "guess"}, "odd")
