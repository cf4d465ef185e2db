"""Eval by protocol on every kind of data: what is measured, what lies beside it, what may be stored."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch

import kitti_world as world
from scenewright.cli.main import main
from scenewright.data.images import read_image
from scenewright.data.pfm import write_pfm
from scenewright.depth.protocols import MEASURES
from scenewright.engine import scoreboard
from scenewright.engine.table import create
from scenewright.engine.weights import load, save
from scenewright.errors import InputError
from scenewright.pipelines.data_sources import samples_of, source_fingerprint
from scenewright.pipelines.evaluate import evaluate


def weights_of(name: str, folder: Path) -> Path:
    """Fresh small weights, as training would leave them."""
    torch.manual_seed(0)
    return save(create(name, "small"), folder / name, training={"seed": 0, "data": {}, "preset": "small"})


@pytest.fixture(scope="module")
def fcrn(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(weights_of("fcrn", tmp_path_factory.mktemp("weights")))


def test_a_pair_without_truth_before_it_hides_nothing(fcrn: str, tmp_path: Path) -> None:
    for name in ("left", "right"):
        world.save(tmp_path / "set" / "a" / f"{name}.png", world.picture(3, 160, 120))
    stereo(tmp_path / "set" / "b")
    found = evaluate(fcrn, str(tmp_path / "set"))
    assert set(found.figures) == {fcrn, "constant", "sgbm"}
    assert found.items == 1


def stereo(folder: Path) -> Path:
    """A plane 1 m away in front of a rig with an offset: f B / (d + doffs) = 120 x 0.2 / (14 + 10)."""
    noise = cv2.resize(np.random.default_rng(0).integers(0, 255, (30, 60, 3)).astype(np.uint8), (240, 120))
    world.save(folder / "im0.png", noise[:, 14:174])
    world.save(folder / "im1.png", noise[:, 28:188])
    disp = np.full((120, 160), 14, np.float32)
    disp[:, 100:] = 9
    write_pfm(folder / "disp0.pfm", disp)
    cam = "[120 0 80; 0 120 60; 0 0 1]"
    (folder / "calib.txt").write_text(f"cam0={cam}\ncam1={cam}\ndoffs=10\nbaseline=200\nwidth=160\nheight=120\n")
    return folder


def test_a_pair_is_measured_beside_semi_global_matching(fcrn: str, tmp_path: Path) -> None:
    found = evaluate(fcrn, str(stereo(tmp_path / "pair")), protocol="stereo-middlebury")
    assert set(found.figures) == {fcrn, "constant", "sgbm"}
    assert found.items == 1
    assert found.figures["sgbm"]["AbsRel"] < 0.12  # right on the left 100 columns; the rest has another truth here


def test_order_of_a_disparity(fcrn: str, tmp_path: Path) -> None:
    found = evaluate(fcrn, str(stereo(tmp_path / "pair")), protocol="stereo-middlebury-order")
    assert set(found.figures) == {fcrn, "lower-is-nearer"}
    assert found.figures["lower-is-nearer"]["WHDR same row"] == 0  # here the left half happens to be nearer
    with pytest.raises(InputError, match="found 1 items; expected the 2 of the protocol"):
        evaluate(fcrn, str(tmp_path / "pair"), protocol="stereo-middlebury-order", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_kitti_protocols_count_what_they_say(fcrn: str, tmp_path: Path) -> None:
    """One laser point per frame, at 10 m and up, inside Garg's crop; without it in Eigen's of so low a picture."""
    root = world.raw(tmp_path / "raw", 3)
    (tmp_path / "list.txt").write_text("".join(f"2011_09_26/2011_09_26_drive_0001_sync {i} l\n" for i in (0, 2)))
    garg = evaluate(fcrn, str(root), protocol="kitti-eigen-garg-80", files=tmp_path / "list.txt", mean_from=str(root))
    assert garg.items == 2
    assert set(garg.figures) == {fcrn, "constant", "mean-map", "image-height", "sgbm"}
    expected = np.mean([abs(10 - z) / z for z in (10, 12)])
    assert garg.figures["constant"]["AbsRel"] == pytest.approx(expected, rel=1e-5)
    assert garg.figures["image-height"]["AbsRel"] == pytest.approx(
        np.mean([abs(11 - z) / z for z in (10, 12)]), rel=1e-5
    )
    median = evaluate(fcrn, str(root), protocol="kitti-eigen-garg-50-median", files=tmp_path / "list.txt")
    assert median.figures["constant"]["AbsRel"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="found 2 items; expected the 697"):
        evaluate(fcrn, str(root), protocol="kitti-eigen-garg-80", files=tmp_path / "list.txt", results=tmp_path / "r")


def test_results_of_a_clip_with_laser_depth_are_stored_and_tabled(
    fcrn: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        world.save(tmp_path / "clip" / "image_02" / f"{i:06d}.png", rng.integers(0, 255, (37, 124, 3)).astype(np.uint8))
        depth = np.zeros((37, 124), np.uint16)
        depth[20:30, ::3] = 256 * 12
        world.save(tmp_path / "clip" / "depth_velodyne" / f"{i:06d}.png", depth)
    (tmp_path / "clip" / "calib.txt").write_text("124 37 72 72 61 17\n")
    results, page = tmp_path / "results", tmp_path / "page.md"
    arguments = ["eval", fcrn, "--data", str(tmp_path / "clip"), "--protocol", "kitti-highway"]
    assert main([*arguments, "--results", str(results), "--sheet", str(tmp_path / "sheet.jpg")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 items")
    assert "within10 scaled" in printed
    assert (tmp_path / "sheet.jpg").stat().st_size > 5000
    stored = scoreboard.read_all(results / "depth" / "kitti-highway")
    assert {r.method for r in stored} == {"fcrn", "constant"}
    assert all(r.data == {"items": 2, "sha256": source_fingerprint(str(tmp_path / "clip"), 5)} for r in stored)
    assert main(["scoreboard", "depth", "--results", str(results)]) == 0
    assert "### kitti-highway\n\n| method | AbsRel scaled" in capsys.readouterr().out
    page.write_text("<!-- scoreboard:depth/kitti-highway -->\n<!-- /scoreboard -->\n")
    for answer in ("rewritten", "up to date"):
        assert main(["scoreboard", "depth", "--results", str(results), "--write", str(page)]) == 0
        assert answer in capsys.readouterr().out
    assert "*constant*" in page.read_text()
    assert main(["scoreboard", "poses", "--results", str(results)]) == 2


def stacks(path: Path) -> Path:
    """Two stacks of stripes that are sharp in slice 3, with truth there."""
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    slices = [sharp if k == 3 else cv2.GaussianBlur(sharp, (0, 0), 1.5 * abs(k - 3)) for k in range(10)]
    with h5py.File(path, "w") as file:
        file["stack_val"] = np.stack([slices, slices])
        file["disp_val"] = np.full((2, 64, 64), np.linspace(0.2825, 0.0202, 10)[3], np.float32)
    return path


def test_focal_stacks_beside_the_variance_of_the_laplacian(tmp_path: Path) -> None:
    weights = weights_of("ddff", tmp_path)
    found = evaluate(str(weights), str(stacks(tmp_path / "a.h5")), protocol="ddff-12scene")
    assert set(found.figures) == {str(weights), "middle-of-focus", "variance-of-laplacian"}
    again = evaluate("variance-of-laplacian", str(tmp_path / "a.h5"), protocol="ddff-12scene", results=tmp_path / "r")
    assert set(again.figures) == {"variance-of-laplacian", "middle-of-focus"}
    assert all(
        r.baseline and not r.weights_sha256 for r in scoreboard.read_all(tmp_path / "r" / "depth" / "ddff-12scene")
    )
    assert found.figures["variance-of-laplacian"]["MSE"] < 0.1 * found.figures["middle-of-focus"]["MSE"]
    assert found.items == 2


def test_a_method_of_pictures_is_refused_stacks(fcrn: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="focal stack"):
        evaluate(fcrn, str(stacks(tmp_path / "a.h5")))


def test_points_of_a_list(fcrn: str, tmp_path: Path) -> None:
    world.save(tmp_path / "1.png", world.picture(4, 60, 40))
    (tmp_path / "DIW_test.csv").write_text("1.png\n40,30,1,31,<,60,40\n1.png\n10,1,10,60,>,60,40\n")
    found = evaluate(fcrn, str(tmp_path / "DIW_test.csv"), protocol="diw-wkdr")
    assert found.figures["lower-is-nearer"] == {"WHDR": 0.5, "WHDR same row": 1, "WHDR other rows": 0}
    assert found.items == 2


def nyu_pairs(folder: Path, seed: int, side: tuple[int, int] = (90, 70)) -> Path:
    """Two pictures of noise in a white border, with pairs of all three relations: NYU's lists in miniature."""
    rng, (width, height) = np.random.default_rng(seed), side
    lines = ["path,number,pairs"]
    for k in range(2):
        pixels = np.full((height, width, 3), 255, np.uint8)
        pixels[9:-10, 9:-10] = rng.integers(0, 255, (height - 19, width - 19, 3))
        world.save(folder / f"{seed}-{k}.png", pixels)
        points = rng.integers(1, (height + 1, width + 1, height + 1, width + 1), (30, 4))
        lines += [f"../../data/{seed}-{k}.png,{k},30,,"]
        lines += [",".join(map(str, pair)) + "," + "<=>"[i % 3] for i, pair in enumerate(points)]
    (folder / f"{seed}_points.csv").write_text("\n".join(lines) + "\n")
    return folder / f"{seed}_points.csv"


def relations_by_hand(weights: str, test: Path, validation: Path) -> dict[str, float]:
    """The published measure in plain loops; relations as the lists write them, +1 for ">"."""

    def pairs(path: Path) -> list[tuple[Path, list[tuple[list[int], int]]]]:
        found: list[tuple[Path, list[tuple[list[int], int]]]] = []
        for line in path.read_text().splitlines()[1:]:
            fields = line.split(",")
            if ".png" in line:
                found.append((path.parent / Path(fields[0]).name, []))
            else:
                found[-1][1].append(([int(x) - 1 for x in fields[:4]], "<=>".index(fields[4]) - 1))
        return found

    method = load(weights)

    def means(path: Path, t: float, border: bool) -> list[float]:
        rows = []
        for file, listed in pairs(path):
            z = np.asarray(maps[file, border])
            wrong: dict[int, list[bool]] = {-1: [], 0: [], 1: []}
            for (y_a, x_a, y_b, x_b), relation in listed:
                d = float(z[y_a, x_a]) - float(z[y_b, x_b])
                wrong[relation].append((1 if d > t else -1 if d < -t else 0) != relation)
            neq = wrong[-1] + wrong[1]
            rows.append([np.mean(neq + wrong[0]), np.mean(wrong[0]), np.mean(neq)])
        return np.mean(rows, 0).tolist()

    maps = {}
    for path, border in ((validation, False), (test, True)):
        for file, _ in pairs(path):
            image = torch.from_numpy(read_image(file)).permute(2, 0, 1)[None].float() / 255
            inner = image[..., 9:-10, 9:-10] if border else image
            z = method.ordinal_map(inner)[0, 0].numpy()
            maps[file, border] = np.pad(z, (9, 10), mode="edge") if border else z
    t = min((0.1 + i * 0.01 for i in range(1, 141)), key=lambda t: max(means(validation, t, False)[1:]))
    return dict(zip(("WKDR", "WKDR_eq", "WKDR_neq", "threshold"), [*means(test, t, True), t], strict=True))


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fresh weights whose map differs by about as much as thresholds do."""
    torch.manual_seed(0)
    method: Any = create("depth_in_the_wild", "small")
    with torch.no_grad():
        method.head.weight *= 80
    return str(save(method, tmp_path_factory.mktemp("weights") / "wild", training={}))


@pytest.mark.parametrize("prefix", ["reader:", "nyu-pairs:", ""])
def test_relations_of_a_list_by_the_published_measure(wild: str, tmp_path: Path, prefix: str, capsys) -> None:
    test, validation = nyu_pairs(tmp_path, 1), nyu_pairs(tmp_path, 2, (64, 48))
    arguments = ["--data", f"{prefix}{test}", "--protocol", "nyu-wkdr", "--threshold-from", f"{prefix}{validation}"]
    assert main(["eval", wild, *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["items"] == 2
    assert set(found["figures"]) == {wild, "lower-is-nearer"}
    expected = relations_by_hand(wild, test, validation)
    assert found["figures"][wild] == pytest.approx(expected, abs=1e-6)
    assert all(0.1 < expected[k] < 0.9 for k in ("WKDR", "WKDR_eq", "WKDR_neq"))  # none is right or wrong for nothing
    assert 0.11 < expected["threshold"] < 1.5
    assert main(["eval", wild, *arguments]) == 0
    assert f"equally far up to a difference of {expected['threshold']:.2f}" in capsys.readouterr().out


def test_a_threshold_is_never_chosen_on_what_is_measured(wild: str, tmp_path: Path) -> None:
    test, validation = nyu_pairs(tmp_path, 1), nyu_pairs(tmp_path / "other", 2)
    with pytest.raises(InputError, match="--threshold-from: found nothing"):
        evaluate(wild, str(test), protocol="nyu-wkdr")
    with pytest.raises(InputError, match="no threshold is chosen"):
        evaluate(wild, str(test), protocol="diw-wkdr", threshold_from=str(validation))
    with pytest.raises(InputError, match="3 files that"):
        evaluate(wild, str(test), protocol="nyu-wkdr", threshold_from=str(test))
    copied = shutil.copy(tmp_path / "1-0.png", tmp_path / "other" / "2-1.png")  # by another name and in another place
    with pytest.raises(InputError, match="1 files that"):
        evaluate(wild, str(test), protocol="nyu-wkdr", threshold_from=str(validation))
    assert Path(copied).is_file()


def test_stored_relations_keep_their_threshold_and_what_chose_it(
    wild: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, results = nyu_pairs(tmp_path, 1), tmp_path / "results"
    first, second = (str(nyu_pairs(tmp_path / str(seed), seed)) for seed in (2, 3))
    given = {"protocol": "nyu-wkdr", "results": results}
    with pytest.raises(InputError, match="found 2 items; expected the 654"):
        evaluate(wild, str(test), threshold_from=first, **given)
    monkeypatch.setitem(MEASURES, "nyu-wkdr", replace(MEASURES["nyu-wkdr"], items=2))
    found = evaluate(wild, str(test), threshold_from=first, **given)
    stored = {r.method: r for r in scoreboard.read_all(results / "depth" / "nyu-wkdr")}
    assert set(stored) == {"depth_in_the_wild", "lower-is-nearer"}
    assert stored["depth_in_the_wild"].data["threshold"] == found.figures[wild]["threshold"]
    assert stored["depth_in_the_wild"].figures == {m: found.figures[wild][m] for m in ("WKDR", "WKDR_eq", "WKDR_neq")}
    again = evaluate(wild, str(test), threshold_from=first, **given)  # with the trivial row that lies there
    assert again.figures[wild] == found.figures[wild]
    with pytest.raises(InputError, match="data sha256"):
        evaluate(wild, str(test), threshold_from=second, **given)


def test_empty_sources_and_readers_by_name(fcrn: str, tmp_path: Path) -> None:
    world.save(tmp_path / "photos" / "1.png", world.picture(3))
    with pytest.raises(InputError, match="no item with truth"):
        evaluate(fcrn, str(tmp_path / "photos"))
    root = world.raw(tmp_path / "raw", 3)
    for source in (str(root), f"kitti-raw:{root}", f"reader:{root}"):
        assert len(list(samples_of(source, 2))) == 2
        assert source_fingerprint(source, 2) == source_fingerprint(str(root), 2)


def test_ablations_have_rows_of_their_own(tmp_path: Path) -> None:
    weights = weights_of("depth_classification", tmp_path)
    data, results = str(stereo(tmp_path / "pair")), tmp_path / "results"
    label = "depth_classification.without-crf"
    arguments = ["--data", data, "--protocol", "stereo-middlebury", "--results", str(results)]
    assert main(["eval", f"{label}={weights}", *arguments, "--option", "crf=null"]) == 0
    stored = {r.method: r for r in scoreboard.read_all(results / "depth" / "stereo-middlebury")}
    assert set(stored) == {label, "constant", "sgbm"}
    assert stored[label].weights_sha256
    assert not stored[label].baseline
    with pytest.raises(InputError, match="a name of their own"):
        evaluate(str(weights), data, changes=["crf=null"])
    with pytest.raises(InputError, match="--option"):
        evaluate(f"{label}={weights}", data, changes=["colour=red"])


def test_borders_and_trivial_rows_of_an_order(fcrn: str, tmp_path: Path) -> None:
    pair = str(stereo(tmp_path / "pair"))
    borders = evaluate(fcrn, pair, protocol="stereo-rooms-borders")
    assert set(borders.figures) == {fcrn, "constant", "sgbm"}
    assert borders.items == 1
    order = evaluate(fcrn, pair, protocol="stereo-middlebury-order", mean_from=pair)
    assert set(order.figures) == {fcrn, "lower-is-nearer", "mean-map", "image-height"}
    with pytest.raises(InputError, match="says how sure"):
        evaluate(fcrn, pair, protocol="rooms-confidence")


def test_real_pairs_beside_semi_global_matching(fcrn: str, real_data) -> None:
    found = evaluate(fcrn, str(real_data("stereo_middlebury")), protocol="stereo-middlebury")
    assert found.items == 1
    assert found.figures["sgbm"]["AbsRel"] < 0.1
    assert found.figures["sgbm"]["delta1"] > 0.9
