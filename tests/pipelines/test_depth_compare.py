"""Several methods on the same pictures; focal stacks; confidence: what is written and what the page says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from scenewright.cli.main import main
from scenewright.data.images import read_image, write_image
from scenewright.depth.task import DepthPrediction
from scenewright.engine.table import create
from scenewright.engine.weights import save
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.pipelines.depth import Options, write_prediction
from scenewright.pipelines.depth_compare import agreement, compare_depth, read_map
from scenewright.pipelines.depth_page import Entry


def fresh(name: str, folder: Path, seed: int = 0) -> str:
    torch.manual_seed(seed)
    return str(save(create(name, "small"), folder, training={}))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, size in enumerate([(64, 96), (80, 64)]):
        write_image(folder / f"{i}.png", np.random.default_rng(i).integers(0, 255, (*size, 3)).astype(np.uint8))
    return folder


def test_two_methods_write_beside_each_other_and_share_a_page(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    first, second = fresh("fcrn", tmp_path / "a" / "net"), fresh("fcrn", tmp_path / "b" / "net", seed=1)
    out = tmp_path / "out"
    assert main(["depth", str(photos), "-o", str(out), "--method", first, "--method", second]) == 0
    assert capsys.readouterr().out.strip() == str(out / "index.html")
    assert {p.name for p in out.iterdir()} == {"net", "net-2", "index.html"}
    for folder in ("net", "net-2"):
        assert (out / folder / "index.html").is_file()
        assert (out / folder / "0.depth.tiff").is_file()
    page = (out / "index.html").read_text()
    assert page.count("<figure>") == 6
    assert page.count("of the first") == 2
    assert 'href="./net-2/index.html"' in page


def test_agreement_is_after_one_factor() -> None:
    first = np.array([[1, 2, 4]], np.float32)
    assert agreement(3 * first, first) == pytest.approx((1 / 3, 1))
    assert agreement(np.array([[1, 2, 8]], np.float32), first) == pytest.approx((1, 2 / 3))


def test_what_cannot_be_compared(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two or more"):
        compare_depth([photos], tmp_path, Options(), ["fcrn"])
    entry = Entry(tmp_path, "x", np.zeros((4, 4, 3), np.uint8), {})
    (tmp_path / "x.depth.tiff").write_bytes(b"II*\0")
    with pytest.raises(FormatError, match="no float32 map"):
        read_map(entry)


def test_methods_of_pictures_and_of_stacks_do_not_mix(photos: Path, tmp_path: Path) -> None:
    small = np.random.default_rng(0).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    for i in range(3):
        write_image(tmp_path / "stack" / f"{i}.png", cv2.resize(small, (96, 96)))
    methods = [fresh("fcrn", tmp_path / "a" / "net"), "variance-of-laplacian"]
    with pytest.raises(InputError, match="one of the two kinds"):
        compare_depth([tmp_path / "stack"], tmp_path / "out", Options(), methods)
    assert not (tmp_path / "out" / "index.html").exists()


def test_confidence_is_written_as_float_and_as_a_picture(tmp_path: Path) -> None:
    confidence = torch.linspace(0, 1, 48).reshape(1, 1, 6, 8)
    prediction = DepthPrediction(torch.ones(1, 1, 6, 8), confidence=confidence)
    image = np.zeros((6, 8, 3), np.uint8)
    record = write_prediction(tmp_path, "a", image, Camera.from_fov(8, 6, 60), prediction, {"method": "x"})
    assert {"a.confidence.tiff", "a.confidence.preview.png"} <= set(record["files"])
    exact = cv2.imread(str(tmp_path / "a.confidence.tiff"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(exact, confidence[0, 0].numpy())
    assert read_image(tmp_path / "a.confidence.preview.png")[-1, -1].tolist() == [255, 255, 255]
