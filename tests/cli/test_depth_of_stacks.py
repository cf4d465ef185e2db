"""`scenewright depth` on focal stacks: distances, order and register decide what the depth is called and is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenewright.cli import main as cli
from scenewright.data.images import write_image
from scenewright.worlds.focus import focal_stack, focus_distances

DISTANCES = focus_distances(0.9, 4.0, 6)
TEXT = ",".join(f"{d:.6f}" for d in DISTANCES)
Run = Callable[..., tuple[np.ndarray, dict]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card at 1.2 m before a ground at 3 m."""
    rng = np.random.default_rng(0)
    image = sum(cv2.resize(rng.uniform(0, 1, (90 // k, 120 // k, 3)), (120, 90)) for k in (1, 3)) / 2
    depth = np.full((90, 120), 3.0, np.float32)
    depth[20:70, 30:90] = 1.2
    path = tmp_path_factory.mktemp("stacks") / "card"
    for number, slice_ in enumerate(focal_stack(image.astype(np.float32), depth, 150.0, DISTANCES, 0.05)):
        write_image(path / f"{number}.png", (255 * slice_ + 0.5).astype(np.uint8))
    return path


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Run:
    def call(*options: str) -> tuple[np.ndarray, dict]:
        arguments = ["depth", str(folder), "-o", str(tmp_path / "out"), "--method", "variance-of-laplacian", *options]
        assert cli.main(arguments) == 0
        depth = cv2.imread(str(tmp_path / "out/card.depth.tiff"), cv2.IMREAD_UNCHANGED)
        return depth, json.loads((tmp_path / "out/card.depth.json").read_text())

    return call


def test_with_distances_depth_is_in_metres(run: Run) -> None:
    depth, record = run("--focus", TEXT)
    assert (record["scale"], record["method"]) == ("metric", "variance-of-laplacian")
    np.testing.assert_allclose(record["focus_m"], DISTANCES, rtol=1e-5)
    assert np.median(depth[30:60, 45:75]) == pytest.approx(1.2, rel=0.1)
    assert np.median(depth[:10]) == pytest.approx(3.0, rel=0.1)


def test_without_them_the_scale_is_unknown_and_the_order_counts(run: Run) -> None:
    depth, record = run("--no-align")
    assert (record["scale"], record["focus_m"]) == ("unknown", None)
    assert np.median(depth[30:60, 45:75]) < np.median(depth[:10])
    turned, _ = run("--no-align", "--far-first")
    assert np.median(turned[30:60, 45:75]) > np.median(turned[:10])


def test_descending_distances_turn_the_stack_round(run: Run) -> None:
    depth, record = run("--focus", ",".join(TEXT.split(",")[::-1]))
    assert record["focus_m"] == sorted(record["focus_m"])
    assert np.median(depth[30:60, 45:75]) > np.median(depth[:10])


def test_a_file_beside_the_pictures_says_the_distances(run: Run, folder: Path) -> None:
    (folder / "focus.txt").write_text(TEXT.replace(",", "\n"))
    try:
        assert run()[1]["scale"] == "metric"
    finally:
        (folder / "focus.txt").unlink()


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (["--focus", "1,2"], "--focus"),
        (["--focus", "1,2,x"], "--focus"),
        (["--focus", "1,2,3,4,6,5"], "--focus"),
        (["--method", "matchnet"], "matchnet"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], culprit: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [] if "--method" in options else ["--method", "variance-of-laplacian"]
    assert cli.main(["depth", str(folder), "-o", str(tmp_path / "out"), *chosen, *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert culprit in error
    assert not (tmp_path / "out").exists()
