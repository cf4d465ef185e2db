"""Every named data set trains the method that asks for it for two steps and is watched by its own figure."""

import json
from pathlib import Path

import pytest

from scenewright.engine.table import create
from scenewright.errors import InputError
from scenewright.pipelines.train import train
from scenewright.pipelines.training_data import SOURCES, source_of
from scenewright.pipelines.worlds import generate
from scenewright.worlds.credits import DRAWN_LICENCES, WORLD_LICENCES

METHODS = {
    "ordinal-rooms": ("depth_in_the_wild", "WHDR"),
    "focal-rooms": ("ddff", "MSE"),
    "stereo-rooms": ("monodepth", "AbsRel"),
    "roads": ("semi_supervised_depth", "AbsRel"),
    "point-sets": ("magicwarp", "objective_points"),
    "patch-pairs": ("matchnet", "objective_pairs"),
    "keypoint-patches": ("keypoint_pyramid", "objective_descriptor"),
    "lift-patches": ("lift", "objective_descriptor"),
    "surviving-corners": ("magicpoint", "objective_pictures"),
}
WORLD = {
    "point-sets": None,
    "stereo-rooms": "stereo-rooms",
    "roads": "roads",
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("worlds")
    for kind, size in (("rooms", "192x176"), ("stereo-rooms", "128x96"), ("roads", "128x64")):
        for split in ("train", "validation"):
            generate(kind, root / kind, count=1, views=2, split=split, size=size, library=False)
    return {kind: root / kind for kind in ("rooms", "stereo-rooms", "roads")}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_trains_on_the_world_that_its_stages_name(name: str, worlds: dict[str, Path], tmp_path: Path) -> None:
    method, figure = METHODS[name]
    assert {stage.data for stage in create(method).own_stages("small")} == {name}
    world = WORLD.get(name, "rooms")
    weights = train(method, world and worlds[world], tmp_path, steps=1, threads=1, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    checks = [line for line in lines if line["kind"] == "validate"]
    assert figure in checks[-1]
    assert all(0 <= v < 1e6 for k, v in checks[-1].items() if k == figure)
    card = json.loads((weights / "card.json").read_text())
    assert card["training"]["data"][name].get("views", 2) == 2
    assert card["training"]["data"][name]["description"]
    assert sorted(card["training"]["licences"]) == sorted(WORLD_LICENCES if world else DRAWN_LICENCES)


def test_data_that_no_world_has_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nyu"):
        train("fcrn", tmp_path, tmp_path / "run", preset="paper")
    with pytest.raises(InputError, match="'kitti'"):
        source_of("kitti", "monodepth")
    for name in ("magicwarp", "fcrn"):
        assert SOURCES[create(name).own_stages("small")[0].data].drawn == (name == "magicwarp")
    with pytest.raises(InputError, match="--data: found nothing; expected a folder"):
        train("fcrn", None, tmp_path / "run")
    for source in (s for s in SOURCES.values() if not s.drawn):
        with pytest.raises(InputError, match="no views"):
            source.build(tmp_path, create("ddff").config)
        with pytest.raises(InputError, match="no views"):
            source.watch(tmp_path, create("ddff").config)


def test_ucn_learns_from_photographs_and_then_from_wide_rooms(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        generate("wide-rooms", tmp_path, count=1, views=2, split=split, size="192x144", library=False)
    weights = train("ucn", tmp_path, tmp_path / "run", steps=1, threads=1, quiet=True)
    card = json.loads((weights / "card.json").read_text())
    assert card["training"]["data"]["wide-correspondences"]["views"] == 2
    assert "astronaut" in card["training"]["data"]["photo-homographies"]["description"]
    assert sorted(card["training"]["licences"]) == sorted(WORLD_LICENCES)
    assert 0 < card["training"]["figures"]["objective_rooms"] < 10
    source, model = SOURCES["wide-correspondences"], create("ucn", "small").eval()
    watch = source.watch(tmp_path, model.config)
    assert watch(model) == watch(model)
