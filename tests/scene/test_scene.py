from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sample_scene import fill, make_frames, make_keyframe, make_manifest
from scenewright.errors import FormatError, InputError
from scenewright.files import sha256
from scenewright.scene.manifest import Manifest
from scenewright.scene.records import SceneFigure
from scenewright.scene.scene import Scene


def test_later_jobs_read_what_was_written(made: Path) -> None:
    scene = Scene.open(made)
    scene.verify()
    assert scene.keyframe_ids == [0, 1]
    np.testing.assert_array_equal(scene.keyframe(1).image, make_keyframe(1).image)
    assert [keyframe.id for keyframe in scene.keyframes()] == [0, 1]
    assert (scene.camera.width, scene.camera.height) == (24, 16)
    assert scene.labels == ("unknown", "floor", "wall")
    times, poses = scene.trajectory()
    assert (times.shape, poses.shape) == ((4,), (4, 4, 4))
    assert [frame.status for frame in scene.frames()] == ["ok", "ok", "lost", "ok", "ok"]
    assert scene.figures()[0] == SceneFigure("ATE RMSE", 0.031, "m", "SE(3) alignment", "trajectory")
    assert scene.path("mesh.ply").read_bytes() == b"ply\n"
    assert scene.has("mesh.ply")
    with pytest.raises(InputError, match=r"mesh\.glb"):
        scene.path("mesh.glb")
    with pytest.raises(InputError, match="000007"):
        scene.keyframe(7)


def test_the_folder_holds_nothing_but_products(made: Path) -> None:
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == {product.path for product in Scene.open(made).manifest.products} | {"scene.json"}
    for product in Scene.open(made).manifest.products:
        assert product.sha256 == sha256(made / product.path)


def test_the_lens_that_took_the_frames_is_remembered(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", make_manifest()) as scene:
        assert scene.lens.distortion is None
        scene.describe(distortion=-0.04)
        assert scene.lens.distortion is not None
        assert scene.lens.distortion.tolist() == pytest.approx([-0.04, 0, 0, 0])
        assert scene.camera.distortion is None
        assert scene.lens.numbers == scene.camera.numbers


def test_scenes_without_a_common_camera(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", make_manifest(camera=None)) as scene, pytest.raises(InputError, match="camera"):
        _ = scene.camera


# Damage


def test_missing_and_resized_products_are_found_at_opening(made: Path) -> None:
    mesh = made / "mesh.ply"
    mesh.write_bytes(b"ply")
    with pytest.raises(FormatError, match=r"mesh\.ply: found 3 bytes; expected 4 bytes"):
        Scene.open(made)
    mesh.unlink()
    with pytest.raises(FormatError, match="no file"):
        Scene.open(made)


def test_changed_products_are_found_by_their_hash(made: Path) -> None:
    (made / "mesh.ply").write_bytes(b"plz\n")
    scene = Scene.open(made)
    with pytest.raises(FormatError, match=r"mesh\.ply.*changed"):
        scene.verify()


def test_a_product_that_is_a_link_out_of_the_folder(made: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"ply\n")
    (made / "mesh.ply").unlink()
    (made / "mesh.ply").symlink_to(secret)
    with pytest.raises(FormatError, match="link out"):
        Scene.open(made)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "keyframes/../../secret"])
def test_a_manifest_that_points_out_of_the_folder(made: Path, path: str) -> None:
    (made.parent / "secret").write_bytes(b"ply\n")
    value = json.loads((made / "scene.json").read_text())
    value["products"][-1]["path"] = path
    (made / "scene.json").write_text(json.dumps(value))
    with pytest.raises(FormatError, match="inside the Scene folder"):
        Scene.open(made)


def test_folders_that_are_no_scenes(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FormatError, match=r"no scene\.json"):
            Scene.open(folder)
    with pytest.raises(FormatError, match="no folder"):
        Scene.edit(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_keyframe_labels_must_be_known(made: Path) -> None:
    value = json.loads((made / "scene.json").read_text())
    value["labels"] = ["unknown"]
    (made / "scene.json").write_text(json.dumps(value))
    with pytest.raises(FormatError, match="label 2"):
        Scene.open(made).keyframe(0)
    with Scene.edit(made) as scene, scene.step("more"), pytest.raises(InputError, match="scene's 1 labels"):
        scene.write_keyframe(make_keyframe(5))


# Making, and making again


def test_a_scene_opened_for_reading_is_not_written(made: Path) -> None:
    scene = Scene.open(made)
    with pytest.raises(InputError, match="opened for reading"), scene.step("more"):
        pass
    with pytest.raises(InputError, match="opened for reading"):
        scene.describe(scale="unknown")


def test_one_writer(made: Path) -> None:
    with Scene.edit(made):
        with pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
            Scene.edit(made)
        with pytest.raises(InputError, match="in use"):
            Scene.create(made, make_manifest())
        Scene.open(made)  # readers need no lock: every write is atomic
    with Scene.edit(made) as scene:
        scene.describe(scale="unknown")
    assert Scene.open(made).manifest.scale == "unknown"


def test_a_failed_open_gives_the_lock_back(made: Path) -> None:
    (made / "mesh.ply").unlink()
    with pytest.raises(FormatError):
        Scene.edit(made)
    assert not (made / ".lock").exists()


def _write_and_fail(scene: Scene) -> None:
    with scene.writing("other.ply") as path:
        path.write_bytes(b"ply\n")
    raise InputError("clip", "a broken clip", "a whole one")


def test_a_step_that_raises_leaves_no_product(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", make_manifest()) as scene:
        with pytest.raises(InputError, match="broken clip"), scene.step("fuse"):
            _write_and_fail(scene)
        assert not scene.is_done("fuse")
        with scene.step("fuse"), scene.writing("mesh.ply") as path:  # the same scene can go on
            path.write_bytes(b"ply2\n")
    assert Scene.open(tmp_path / "out").path("mesh.ply").read_bytes() == b"ply2\n"


def test_a_torn_product_is_never_seen(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", make_manifest()) as scene:
        with pytest.raises(InputError, match="broken clip"), scene.step("fuse"), scene.writing("mesh.ply"):
            _write_and_fail(scene)
        assert (scene.folder / "other.ply").exists()  # whole, but of no finished step: not listed
        assert sorted(path.name for path in scene.folder.iterdir()) == [".lock", "other.ply", "scene.json"]
        assert scene.manifest.products == ()


def test_writing_belongs_into_a_step(tmp_path: Path) -> None:
    with Scene.create(tmp_path / "out", make_manifest()) as scene:
        with pytest.raises(InputError, match="outside a step"):
            scene.write_frames(make_frames(2))
        with scene.step("a"):
            with pytest.raises(InputError, match="one step at a time"), scene.step("b"):
                pass
            with pytest.raises(FormatError, match="inside"), scene.writing("../mesh.ply"):
                pass


def test_the_same_job_goes_on_and_another_is_refused(made: Path) -> None:
    with Scene.create(made, make_manifest()) as scene:
        assert all(scene.is_done(step) for step in ("track", "fuse", "measure"))
        assert scene.keyframe_ids == [0, 1]
    other = make_manifest(options={"voxel": 0.5})
    with pytest.raises(InputError, match="other options"):
        Scene.create(made, other)
    assert Scene.open(made).is_done("track")
    with Scene.create(made, other, overwrite=True) as scene:
        assert not scene.is_done("track")
    assert sorted(path.name for path in made.rglob("*") if path.is_file()) == ["scene.json"]


def test_starting_over_forgets_the_same_job_too(made: Path) -> None:
    with Scene.create(made, make_manifest(), overwrite=True) as scene:
        assert scene.manifest.steps == ()
    assert sorted(path.name for path in made.rglob("*") if path.is_file()) == ["scene.json"]


def test_steps_whose_products_were_damaged_run_again(made: Path) -> None:
    (made / "mesh.ply").unlink()
    (made / "keyframes/000000.depth.png").write_bytes(b"")
    with Scene.create(made, make_manifest()) as scene:
        assert [step.name for step in scene.manifest.steps] == ["measure"]
        assert not (made / "keyframes/000001.json").exists()  # no keyframe of the broken step mixes with new ones
        fill(scene)
    Scene.open(made).verify()


@pytest.mark.parametrize("content", ["mine.txt", "keyframes"])
def test_other_peoples_folders_are_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / content).write_text("keep")
    with pytest.raises(InputError, match="new or empty folder"):
        Scene.create(tmp_path, make_manifest())
    assert [path.name for path in tmp_path.iterdir()] == [content]
    with pytest.raises(InputError, match="a file"):
        Scene.create(tmp_path / content, make_manifest())


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from sample_scene import make_frames, make_keyframe, make_manifest
from scenewright.scene.scene import Scene
scene = Scene.create(Path(sys.argv[1]), make_manifest())
with scene.step("track"):
    scene.write_frames(make_frames(5))
    scene.write_keyframe(make_keyframe(0))
with scene.step("fuse"):
    scene.write_keyframe(make_keyframe(9))
    with scene.writing("mesh.ply") as path:
        path.write_bytes(b"pl")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_goes_on_where_it_stood(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parents[1])], check=False)
    assert process.returncode == -signal.SIGKILL
    assert Manifest.load(folder).is_done("track")
    assert Scene.open(folder).keyframe_ids == [0]  # readable at any moment
    assert any(path.name.startswith(".mesh.") for path in folder.iterdir())
    with Scene.create(folder, make_manifest()) as scene:
        assert scene.is_done("track")
        assert not scene.is_done("fuse")
        left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        assert left == sorted([".lock", "scene.json", *(product.path for product in scene.manifest.products)])


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with Scene.create(tmp_path / name, make_manifest()) as scene:
            fill(scene)
    a, b = (Scene.open(tmp_path / name).manifest.products for name in ("a", "b"))
    assert a == b
