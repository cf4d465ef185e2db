"""`scenewright depth`: what is written says what it is, reads back exactly, and is not done twice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scenewright.cli import main as cli
from scenewright.data.images import read_depth_png, read_image, write_image
from scenewright.data.meshes import read_ply
from scenewright.depth.fcrn import FCRN, FCRNConfig
from scenewright.engine.weights import read_card, save
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS
from scenewright.pipelines import depth
from scenewright.pipelines.depth import flying_pixels, point_cloud

Run = Callable[..., int]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = FCRN(replace(FCRNConfig.small(), widths=(16, 8, 8, 8, 8), input_size=(64, 48)))
        torch.nn.init.normal_(model.predict_depth.weight, 0, 0.2)
    return save(model, tmp_path_factory.mktemp("w") / "net", training={})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, (height, width) in {"a": (48, 64), "b": (80, 60)}.items():
        write_image(tmp_path / f"photos/{name}.png", rng.integers(0, 255, (height, width, 3), np.uint8))
    return tmp_path / "photos"


@pytest.fixture
def run(weights: Path, tmp_path: Path) -> Run:
    def call(*arguments: str | Path) -> int:
        return cli.main(["depth", *map(str, arguments), "-o", str(tmp_path / "out"), "--method", str(weights)])

    return call


def test_every_file_says_what_it_is(run: Run, photos: Path, tmp_path: Path, weights: Path) -> None:
    assert run(photos, "--fov", "70") == 0
    out = tmp_path / "out"
    kinds = ["depth.json", "depth.png", "depth.preview.png", "depth.tiff", "labels.png", "labels.preview.png", "ply"]
    kinds += ["sigma.json", "sigma.png", "sigma.tiff"]
    assert {p.name for p in out.iterdir()} == {f"{n}.{k}" for n in "ab" for k in kinds} | {"index.html"}
    record = json.loads((out / "b.depth.json").read_text())
    assert record["unit_m"] == 0.001
    assert (record["method"], record["scale"], record["intrinsics_source"]) == ("fcrn", "metric", "option")
    assert record["weights_sha256"] == read_card(weights)["tensors"]["sha256"]
    assert record["camera"]["fx"] == pytest.approx(30 / math.tan(math.radians(35)))
    assert record["labels"] == list(LABELS)
    assert "deviation" in json.loads((out / "b.sigma.json").read_text())["kind"]


def test_the_three_forms_of_a_map_agree(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run(photos / "b.png") == 0
    stem = tmp_path / "out/b"
    exact = cv2.imread(f"{stem}.depth.tiff", cv2.IMREAD_UNCHANGED)
    assert (exact.dtype, exact.shape) == (np.float32, (80, 60))
    assert np.ptp(exact) > 1e-3
    assert np.abs(read_depth_png(f"{stem}.depth.png") - exact).max() <= 0.000501
    sigma = cv2.imread(f"{stem}.sigma.tiff", cv2.IMREAD_UNCHANGED)
    assert np.abs(read_depth_png(f"{stem}.sigma.png") - sigma).max() <= 0.000501
    cloud, camera = read_ply(f"{stem}.ply"), json.loads(Path(f"{stem}.depth.json").read_text())["camera"]
    x, y, z = cloud.vertices.T
    u, v = np.rint(x / z * camera["fx"] + camera["cx"]).astype(int), np.rint(y / z * camera["fy"] + camera["cy"])
    v = v.astype(int)
    np.testing.assert_allclose(z, exact[v, u], rtol=1e-6)
    assert (cloud.colours == read_image(tmp_path / "photos/b.png")[v, u]).all()
    labels = cv2.imread(f"{stem}.labels.png", cv2.IMREAD_UNCHANGED)
    assert (cloud.labels == labels[v, u]).all()


def test_the_page_needs_no_other_file_and_links_what_is_there(run: Run, photos: Path, tmp_path: Path) -> None:
    write_image(photos / "<b>&.png", np.full((40, 50, 3), 90, np.uint8))
    assert run(photos) == 0
    text = (tmp_path / "out/index.html").read_text()
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 9
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?://", text)
    assert "<h2>&lt;b&gt;&amp;</h2>" in text
    links = re.findall(r'href="\./([^"]*)"', text)
    from urllib.parse import unquote

    assert len(links) == 24
    assert all((tmp_path / "out" / unquote(link)).is_file() for link in links)


def test_finished_images_are_not_done_again(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    write = depth.write_prediction
    monkeypatch.setattr(
        depth, "write_prediction", lambda out, name, *rest: done.append(name) or write(out, name, *rest)
    )
    assert run(photos) == 0
    page = (tmp_path / "out/index.html").read_bytes()
    assert run(photos) == 0
    assert (done, (tmp_path / "out/index.html").read_bytes()) == (["a", "b"], page)
    (tmp_path / "out/a.ply").write_bytes(b"torn")
    (tmp_path / "out/b.depth.json").write_text("{}")
    assert run(photos) == 0
    assert done == ["a", "b"] * 2
    write_image(photos / "a.png", np.full((48, 64, 3), 10, np.uint8))
    assert run(photos) == 0
    assert done == ["a", "b", "a", "b", "a"], "another picture under the same name"
    assert run(photos, "--fov", "50") == 0
    assert done[-2:] == ["a", "b"], "another camera"


def test_names_that_clash_are_told_apart(run: Run, photos: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "more/a.png", np.full((48, 64, 3), 200, np.uint8))
    assert run(photos / "a.png", tmp_path / "more/a.png") == 0
    assert {p.name for p in (tmp_path / "out").glob("*.ply")} == {"a.ply", "a-2.ply"}


def test_frames_of_a_video_are_numbered(run: Run, tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in (50, 120, 200):
        video.write(np.full((48, 64, 3), level, np.uint8))
    video.release()
    assert run(tmp_path / "v.avi") == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("*.ply")) == [f"v_00000{i}.ply" for i in range(3)]


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["no/such.png"], "no/such.png"),
        (["notes.txt"], "notes.txt"),
        (["tiny.png"], "image tiny"),
        (["ok.png", "--fov", "200"], "field of view"),
        (["ok.png", "--intrinsics", "1,2,3"], "--intrinsics"),
        (["ok.png", "--size", "3"], "--size"),
        (["ok.png", "--device", "tpu"], "--device"),
        (["ok.png", "--method", "no/such/net"], "no/such/net"),
        (["empty"], "empty"),
        ([], "IMAGES"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], culprit: str, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    write_image(tmp_path / "ok.png", np.zeros((48, 64, 3), np.uint8))
    write_image(tmp_path / "tiny.png", np.zeros((8, 8, 3), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    chosen = [] if "--method" in arguments else ["--method", str(weights)]
    assert cli.main(["depth", *arguments, *chosen, "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert culprit in error
    assert sorted(tmp_path.rglob("*")) == before


class TestFlyingPixels:
    camera = Camera.from_fov(64, 48, 60.0)

    def plane(self, degrees: float) -> np.ndarray:
        """Depth of a plane through (0, 0, 2) that is turned about the vertical axis: n . X = n . P."""
        fx, _, cx, _ = self.camera.numbers
        a = math.radians(degrees)
        row = 2 * math.cos(a) / (math.cos(a) - math.sin(a) * (np.arange(64) - cx) / fx)
        return np.broadcast_to(row, (48, 64)).astype(np.float32)

    def test_slanted_planes_stay_whole(self) -> None:
        for degrees in (0, 30, 55):
            assert not flying_pixels(self.plane(degrees), self.camera).any()

    def test_only_the_edge_between_two_surfaces_goes(self) -> None:
        depth_m = np.full((48, 64), 1.0, np.float32)
        depth_m[:, 32:] = 3.0
        flying = flying_pixels(depth_m, self.camera)
        assert flying[:, 31:33].all()
        assert flying.sum() == 2 * 48
        cloud, step = point_cloud(np.zeros((48, 64, 3), np.uint8), depth_m, self.camera)
        assert (len(cloud.vertices), step) == (62 * 48, 1)
        assert set(np.unique(cloud.vertices[:, 2])) == {1.0, 3.0}

    def test_large_clouds_are_thinned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(depth, "MAX_POINTS", 800)
        cloud, step = point_cloud(np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32), self.camera)
        assert step == 2
        assert len(cloud.vertices) == 24 * 32
