"""Rendered worlds as sources of `eval`: each name gives its kind of sample, its split, its fingerprint."""

from pathlib import Path

import numpy as np
import pytest

from scenewright.depth.task import DepthSample, FocalStackSample, OrdinalSample, StereoSample
from scenewright.engine.table import create, list_methods
from scenewright.errors import InputError
from scenewright.pipelines.data_sources import FOCUS_SIZE, WORLDS, samples_of, source_fingerprint, training_maps
from scenewright.pipelines.training_data import SOURCES
from scenewright.pipelines.worlds import generate

KINDS = {
    "rooms": DepthSample,
    "stereo-rooms": StereoSample,
    "roads": StereoSample,
    "ordinal-rooms": OrdinalSample,
    "focal-rooms": FocalStackSample,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("worlds")
    for split in ("train", "test"):
        generate("rooms", root / "rooms", count=1, views=2, split=split, size="48x36", library=False)
        generate("roads", root / "roads", count=1, views=2, split=split, size="96x32")
    pairs, rooms = root / "roads", root / "rooms"
    return {"rooms": rooms, "ordinal-rooms": rooms, "focal-rooms": rooms, "roads": pairs, "stereo-rooms": pairs}


def test_what_trains_can_be_measured() -> None:
    asked = {
        stage.data
        for task in ("depth", "focus")
        for name in list_methods(task)
        for stage in create(name).own_stages("small")
    }
    assert set(WORLDS) == asked == set(KINDS)
    assert asked <= set(SOURCES)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_world_is_a_source_of_its_samples(name: str, folders: dict[str, Path]) -> None:
    source = f"{name}:{folders[name]}"
    items = list(samples_of(source, 1))
    assert [type(item) for item in items] == [KINDS[name]] * 2
    assert len(list(samples_of(source, 2))) == 1
    if name == "focal-rooms":
        assert items[0].stack.shape[-2:] == FOCUS_SIZE[::-1]
    assert source_fingerprint(source, 1) == source_fingerprint(f"{source}:test", 1)
    assert source_fingerprint(source, 1) != source_fingerprint(f"{source}:train", 1)
    maps = list(training_maps(source))
    assert len(maps) == 2
    assert all(np.median(m[m > 0]) > 0.2 for m in maps)
    with pytest.raises(InputError, match="no views"):
        samples_of(f"{source}:validation", 1)
