"""A short clip becomes a scene: what is made, again the same, given up half way, refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from clips import short_clip
from scenewright.data.meshes import read_ply
from scenewright.engine import weights
from scenewright.engine.table import create
from scenewright.errors import FormatError, InputError
from scenewright.files import sha256
from scenewright.labels import LABELS
from scenewright.pipelines.reconstruct import WORK, Options, figures_by_name, reconstruct
from scenewright.scene.scene import Scene

FRAMES = 12
SENSOR = Options(depth="sensor", size=160)
TIMED = ("frames.csv", "metrics.json", "report.html")
"""Products that state how long things took."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(tmp_path_factory.mktemp("input") / "clip", FRAMES)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A depth network with labels that has learnt nothing: it says 2 m, more or less."""
    import torch

    torch.manual_seed(0)
    return weights.save(create("fcrn"), tmp_path_factory.mktemp("weights") / "net", training={})


@pytest.fixture(scope="module")
def scene(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return reconstruct(clip, tmp_path_factory.mktemp("output") / "clip.scene", SENSOR)


def products(scene: Scene) -> dict[str, str]:
    return {product.path: product.sha256 for product in scene.manifest.products if product.path not in TIMED}


def test_everything_is_made_and_verifies(scene: Scene) -> None:
    opened = Scene.open(scene.folder)
    opened.verify()
    for step in ("track", "mesh", "measure", "report"):
        assert opened.is_done(step)
    for product in ("trajectory.txt", "frames.csv", "groundtruth.txt", "mesh.ply", "mesh.glb", *TIMED):
        assert opened.has(product), product
    assert opened.keyframe_ids
    assert not (scene.folder / WORK).exists(), "the state of the work is gone"
    on_disk = {p.relative_to(scene.folder).as_posix() for p in scene.folder.rglob("*") if p.is_file()}
    assert on_disk == {product.path for product in opened.manifest.products} | {"scene.json"}


def test_the_manifest_says_how_it_was_made(scene: Scene, clip: Path) -> None:
    manifest = scene.manifest
    assert (manifest.name, manifest.source) == ("clip", str(clip))
    assert (manifest.scale, manifest.intrinsics_source, manifest.units) == ("metric", "file", "metres")
    assert manifest.options["depth"] == "sensor"
    assert manifest.options["size"] == 160
    assert {"scenewright", "torch", "numpy"} <= manifest.versions.keys()
    assert manifest.camera is not None
    assert max(manifest.camera.width, manifest.camera.height) == 160
    assert np.dot(manifest.up, (0, -1, 0)) > 0.5, "the first camera is held upright"


def test_figures(scene: Scene) -> None:
    found = figures_by_name(scene)
    expected = {
        "frames", "posed", "lost", "segments", "keyframes", "path_m", "ate_sim3_m", "ate_se3_m", "scale_ratio",
        "pcd10_raw", "pcd10_scaled", "pcd10_raw_constant", "fps", "fps_median", "seconds", "compile_s",
        "peak_memory_mb",
    }  # fmt: skip
    assert expected <= found.keys()
    assert found["frames"] == FRAMES == found["posed"] + found["lost"]
    assert found["keyframes"] == len(scene.keyframe_ids)


def test_sensor_depth_gives_a_metric_map_and_path(scene: Scene) -> None:
    """The sensor's own depth on an easy piece of film: the figures must be those of a working system."""
    found = figures_by_name(scene)
    assert found["posed"] == FRAMES
    assert found["segments"] == 1
    assert found["ate_se3_m"] < 0.1
    assert abs(found["scale_ratio"] - 1) < 0.15
    assert found["pcd10_raw"] > 50
    assert found["pcd10_raw"] > 2 * found["pcd10_raw_constant"]


def test_frames_and_trajectory_agree(scene: Scene) -> None:
    frames = scene.frames()
    times, poses = scene.trajectory()
    posed = [f for f in frames if f.T_world_cam is not None]
    assert [f.index for f in frames] == list(range(FRAMES))
    np.testing.assert_allclose([f.time_s for f in posed], times, atol=1e-6)
    np.testing.assert_allclose([f.T_world_cam for f in posed], poses)


def test_meshes_open_again_and_show_the_same_surface(scene: Scene) -> None:
    ply = read_ply(scene.path("mesh.ply"))
    glb = trimesh.load(scene.path("mesh.glb"), force="mesh")
    assert len(ply.faces) == len(glb.faces) > 1000
    assert ply.colours is not None
    assert ply.colours.std() > 5, "it has the film's colours"
    np.testing.assert_allclose(np.ptp(ply.vertices, 0), np.ptp(glb.vertices, 0), rtol=1e-3)
    assert np.ptp(ply.vertices, 0).max() < 15, "a room, not a galaxy"
    again = trimesh.load(scene.path("mesh.ply"))
    assert len(again.faces) == len(ply.faces)


def test_keyframes_hold_what_the_camera_saw(scene: Scene, clip: Path) -> None:
    first = next(scene.keyframes())
    photo = cv2.imread(str(sorted((clip / "color").iterdir())[first.index]))[..., ::-1]
    small = cv2.resize(photo, (first.camera.width, first.camera.height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - first.image).mean() < 2
    assert (first.depth_m > 0).mean() > 0.3
    assert first.sigma_m is not None


def test_running_again_does_nothing_and_says_the_same(scene: Scene, clip: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in scene.folder.rglob("*") if p.name != "scene.json" and p.is_file()}
    said: list[str] = []
    again = reconstruct(clip, scene.folder, SENSOR, progress=lambda done, total, what: said.append(what))
    assert said == []
    assert figures_by_name(again) == figures_by_name(scene)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_two_runs_give_the_same_bytes(scene: Scene, clip: Path, tmp_path: Path) -> None:
    said: dict[str, int] = {}

    def progress(done: int, total: int, what: str) -> None:
        said[what] = done
        assert 0 <= done <= total

    other = reconstruct(clip, tmp_path / "clip.scene", SENSOR, progress=progress)
    assert products(other) == products(scene)
    assert said["tracking"] == FRAMES
    drop = {"fps", "fps_median", "seconds", "compile_s", "peak_memory_mb"}
    first, second = ({k: v for k, v in figures_by_name(s).items() if k not in drop} for s in (scene, other))
    assert first == second


def test_starting_over_makes_it_all_again(clip: Path, scene: Scene, tmp_path: Path) -> None:
    few = Options(depth="sensor", size=96, max_frames=4, voxel_m=0.05)
    reconstruct(clip, tmp_path / "s", few)
    again = reconstruct(clip, tmp_path / "s", SENSOR, resume=False)
    again.verify()
    assert products(again) == products(scene)


def test_given_poses_are_taken(clip: Path, tmp_path: Path) -> None:
    scene = reconstruct(clip, tmp_path / "s", Options(depth="sensor", size=160, poses="given"))
    found = figures_by_name(scene)
    assert found["posed"] == FRAMES
    assert found["ate_se3_m"] < 1e-3
    assert found["scale_ratio"] == pytest.approx(1, abs=1e-3)


def test_a_film_without_truth_has_no_comparisons(tmp_path: Path, net: Path) -> None:
    clip = short_clip(tmp_path / "clip", 4, depth=False, poses=False)
    scene = reconstruct(clip, tmp_path / "s", Options(depth=str(net), size=96))
    found = figures_by_name(scene)
    assert not any(name.startswith(("ate", "pcd", "scale")) for name in found)
    assert not scene.has("groundtruth.txt")
    assert scene.has("report.html")


def test_a_network_drives_the_map_and_labels_it(clip: Path, tmp_path: Path, net: Path) -> None:
    scene = reconstruct(clip, tmp_path / "s", Options(depth=str(net), size=96, max_frames=5))
    assert scene.labels == LABELS
    assert set(scene.manifest.weights) == {"fcrn"}
    assert next(scene.keyframes()).labels is not None
    assert scene.has("labels.ply")
    assert {"pcd10_raw_network", "pcd10_scaled_network"} <= figures_by_name(scene).keys()


def test_no_labels_leaves_labels_out(clip: Path, tmp_path: Path, net: Path) -> None:
    scene = reconstruct(clip, tmp_path / "s", Options(depth=str(net), size=96, max_frames=5, labels=False))
    assert scene.labels == ()
    assert all(keyframe.labels is None for keyframe in scene.keyframes())
    assert not scene.has("labels.ply")


def as_video(clip: Path, path: Path) -> Path:
    frames = [cv2.imread(str(p)) for p in sorted((clip / "color").iterdir())]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize(("fov", "told"), [(None, "guess"), (64.0, "option")])
def test_a_video_file(fov: float | None, told: str, clip: Path, tmp_path: Path, net: Path) -> None:
    film = as_video(clip, tmp_path / "kitchen.avi")
    options = Options(depth=str(net), size=96, fov_deg=fov, every=2, max_frames=4)
    scene = reconstruct(film, tmp_path / "s", options)
    assert (scene.manifest.name, scene.manifest.intrinsics_source) == ("kitchen", told)
    frames = scene.frames()
    assert [frame.index for frame in frames] == [0, 2, 4, 6]
    np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.4, 0.8, 1.2], atol=1e-3)
    scene.verify()


def test_a_folder_of_images_named_by_the_working_directory(
    clip: Path, tmp_path: Path, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = Options(depth=str(net), size=96, intrinsics=(283.0, 283.0, 179.5, 119.5), max_frames=3)
    scene = reconstruct(clip / "color", options=options)
    assert scene.folder == Path("color.scene")
    assert scene.manifest.intrinsics_source == "option"
    assert figures_by_name(scene)["frames"] == 3


def test_one_frame_is_a_scene_too(clip: Path, tmp_path: Path) -> None:
    scene = reconstruct(clip, tmp_path / "s", Options(depth="sensor", size=96, max_frames=1))
    assert figures_by_name(scene)["posed"] == 1
    assert scene.keyframe_ids == [0]
    scene.verify()


# Refusals


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"poses": "guess"}, "--poses"),
        ({"size": 95}, "--size"),
        ({"size": 1281}, "--size"),
        ({"voxel_m": 0.0}, "voxel"),
        ({"voxel_m": float("nan")}, "voxel"),
    ],
)
def test_unusable_options_cannot_be_built(change: dict[str, object], culprit: str) -> None:
    with pytest.raises(InputError, match=culprit):
        Options(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (Options(every=0), "every"),
        (Options(max_frames=0), "max_frames"),
        (Options(fov_deg=60.0, intrinsics=(100, 100, 80, 60)), "fov"),
        (Options(fov_deg=190.0), "field of view"),
        (Options(intrinsics=(300, 300, 5000, 120)), "principal point"),
        (Options(depth="no/such/net"), "no/such/net"),
        (Options(depth="sensor", device="tpu"), "--device"),
    ],
)
def test_unusable_options_leave_nothing_behind(options: Options, culprit: str, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=culprit):
        reconstruct(clip, tmp_path / "s", options)
    assert list(tmp_path.iterdir()) == []


def test_given_poses_and_sensor_depth_must_be_there(tmp_path: Path) -> None:
    bare = short_clip(tmp_path / "clip", 2, depth=False, poses=False)
    for options in (Options(depth="sensor"), Options(depth="sensor", poses="given")):
        with pytest.raises(InputError, match="--depth sensor"):
            reconstruct(bare, tmp_path / "s", options)
    posed = short_clip(tmp_path / "posed", 2, poses=False)
    with pytest.raises(InputError, match="--poses given"):
        reconstruct(posed, tmp_path / "s", Options(depth="sensor", poses="given"))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("source", ["gone", "text.mp4", "empty"])
def test_sources_that_are_none_are_named(source: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=source):
        reconstruct(tmp_path / source, tmp_path / "s", SENSOR)
    assert not (tmp_path / "s").exists()


def test_a_damaged_frame_is_named_and_can_be_mended(clip: Path, scene: Scene, tmp_path: Path) -> None:
    mine = short_clip(tmp_path / "clip", FRAMES)
    frame = sorted((mine / "color").iterdir())[6]
    good = frame.read_bytes()
    frame.write_bytes(good[:100])
    with pytest.raises(FormatError, match=frame.name):
        reconstruct(mine, tmp_path / "s", SENSOR)
    frame.write_bytes(good)
    assert products(reconstruct(mine, tmp_path / "s", SENSOR)) == products(scene)


def test_nobodys_files_are_touched(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/to-mother.txt").write_text("Dear")
    with pytest.raises(InputError, match="to-mother"):
        reconstruct(clip, tmp_path / "letters", SENSOR)
    with pytest.raises(InputError, match="a file"):
        reconstruct(clip, tmp_path / "letters/to-mother.txt", SENSOR)
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["to-mother.txt"]


def test_the_folder_of_another_job_is_refused_and_kept(clip: Path, scene: Scene) -> None:
    before = products(Scene.open(scene.folder))
    with pytest.raises(InputError, match="other options"):
        reconstruct(clip, scene.folder, Options(depth="sensor", size=128))
    opened = Scene.open(scene.folder)
    opened.verify()
    assert products(opened) == before


# Killed at any moment

DRIVER = """
import os, signal, sys
from scenewright import files
from scenewright.pipelines import reconstruct as job

source, out, moment = sys.argv[1], sys.argv[2], int(sys.argv[3])
job.CHECKPOINT_SECONDS = 0.0
publish, count = files._publish, 0

def killing(temporary, path):
    global count
    count += 1
    if count == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(temporary, path)

files._publish = killing
job.reconstruct(source, out, job.Options(depth="sensor", size=160))
print(count)
"""


@pytest.fixture
def drive(clip: Path, tmp_path: Path) -> Callable[[str, int], subprocess.CompletedProcess[str]]:
    """A function that runs the job in a process which kills itself before its n-th file is published; 0 = never."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)

    def run(out: str, moment: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(clip), str(tmp_path / out), str(moment)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_products(
    drive: Callable[[str, int], subprocess.CompletedProcess[str]], scene: Scene, tmp_path: Path
) -> None:
    """Each run goes on for 60 to 150 files (a few a frame, five a keyframe), until one comes to the end."""
    random = np.random.default_rng(7)
    ends = [drive("killed", int(random.integers(60, 150))) for _ in range(3)]
    assert ends[0].returncode == ends[1].returncode == -9, [end.stderr for end in ends]
    last = ends[2] if ends[2].returncode == 0 else drive("killed", 0)
    assert last.returncode == 0, last.stderr
    found = Scene.open(tmp_path / "killed")
    found.verify()
    assert products(found) == products(scene)
    assert sha256(found.path("mesh.ply")) == sha256(scene.path("mesh.ply"))
    assert not (found.folder / WORK).exists()
    assert not [p.name for p in found.folder.rglob(".*")], "no torn file is left"


def test_an_interrupted_folder_of_another_job_is_refused(
    drive: Callable[[str, int], subprocess.CompletedProcess[str]], clip: Path, tmp_path: Path
) -> None:
    assert drive("other", 40).returncode == -9
    state = sorted(p.name for p in (tmp_path / "other" / WORK).iterdir())
    with pytest.raises(InputError, match="other options"):
        reconstruct(clip, tmp_path / "other", Options(depth="sensor", size=128))
    assert sorted(p.name for p in (tmp_path / "other" / WORK).iterdir()) == state, "what it had is kept"


def test_unknown_features_are_refused_before_anything_is_made(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="surf"):
        reconstruct(clip, tmp_path / "no.scene", replace(SENSOR, features="surf"))
    assert not (tmp_path / "no.scene").exists()
