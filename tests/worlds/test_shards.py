"""Shards of named pictures: what is coded comes back, old room shards stay readable, damage is named."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenewright.errors import FormatError, InputError
from scenewright.worlds.shards import (
    MAGIC,
    ROOM_CHANNELS,
    Channel,
    Shard,
    Views,
    code_view,
    in_steps,
    intrinsics,
    shard_path,
    write_shard,
)

PAIR = (
    Channel("colour", "colour"),
    Channel("far", "depth", 1 / 256),
    Channel("labels", "labels"),
    Channel("right", "colour"),
)
SIZE = (24, 16)


def pictures(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = np.linspace(0, 255, 24)[None, :, None] * np.ones((16, 1, 3)) * rng.uniform(0.3, 1, 3)
    far = rng.uniform(0, 200, (16, 24)).astype(np.float32)
    labels = rng.integers(0, 12, (16, 24)).astype(np.uint8)
    return {"colour": smooth.astype(np.uint8), "far": far, "labels": labels, "right": (255 - smooth).astype(np.uint8)}


def entry(seed: int, **more: Any) -> dict[str, Any]:
    return {"seed": seed, "kind": "sea", "mode": "swim", "camera": [20.0, 21.0, 11.5, 7.5], **more}


class SeaViews(Views):
    suffix = ".sea"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = shard_path(tmp_path, "train", 3, ".sea")
    views = [code_view(PAIR, pictures(seed), entry(seed, baseline_m=0.5)) for seed in (3, 4)]
    assert write_shard(path, "train", SIZE, views, PAIR) == 2
    return path


def test_every_picture_comes_back_by_its_name(shard: Path) -> None:
    read = Shard(shard)
    assert shard.name == "train-00000003.sea"
    assert read.channels == PAIR
    for row, seed in enumerate((3, 4)):
        truth = pictures(seed)
        assert np.abs(read.picture(row, "colour").astype(int) - truth["colour"]).max() <= 12, "JPEG"
        assert np.abs(read.picture(row, "right").astype(int) - truth["right"]).max() <= 12
        np.testing.assert_allclose(read.picture(row, "far"), truth["far"], atol=0.5001 / 256)
        assert read.picture(row, "far").dtype == np.float32
        np.testing.assert_array_equal(read.picture(row, "labels"), truth["labels"])
    assert read.has("far")
    assert not read.has("near")
    with pytest.raises(InputError, match="near"):
        read.picture(0, "near")


def test_views_of_a_split_are_counted_over_shards(shard: Path) -> None:
    other = shard_path(shard.parent, "test", 9, ".sea")
    write_shard(other, "test", SIZE, [code_view(PAIR, pictures(9), entry(9))], PAIR)
    more = shard_path(shard.parent, "train", 5, ".sea")
    write_shard(more, "train", SIZE, [code_view(PAIR, pictures(5), entry(5))], PAIR)
    views = SeaViews(shard.parent)
    assert views.seeds() == [3, 4, 5]
    assert [(views.locate(i)[0].path.name, views.locate(i)[1]) for i in range(3)] == [
        (shard.name, 0), (shard.name, 1), (more.name, 0),
    ]  # fmt: skip
    with pytest.raises(IndexError):
        views.locate(3)
    assert views.fingerprint() != SeaViews(shard.parent, "test").fingerprint()
    assert views.fingerprint() != views.fingerprint(2)
    with pytest.raises(InputError, match="no views of split 'validation'"):
        SeaViews(shard.parent, "validation")
    np.testing.assert_array_equal(intrinsics(entry(1)), [[20, 0, 11.5], [0, 21, 7.5], [0, 0, 1]])


def test_a_header_of_the_first_version_means_a_room(tmp_path: Path) -> None:
    """Written byte by byte as version 0.1 did: folders of rooms from then must stay readable."""
    parts = {"colour": pictures(1)["colour"], "depth": pictures(1)["far"] / 4, "labels": pictures(1)["labels"]}
    coded = code_view(ROOM_CHANNELS, parts, entry(1))
    header = {"version": 1, "split": "train", "width": 24, "height": 16, "frames": [coded.entry]}
    text = json.dumps(header, separators=(",", ":")).encode()
    old = tmp_path / "old.rooms"
    old.write_bytes(MAGIC + struct.pack("<I", len(text)) + text + b"".join(coded.parts))
    read = Shard(old)
    np.testing.assert_allclose(read.picture(0, "depth"), parts["depth"], atol=5.1e-4)
    new = tmp_path / "new.rooms"
    write_shard(new, "train", SIZE, [coded])
    assert new.read_bytes() == old.read_bytes()


def test_depth_beyond_sixteen_bits_is_unknown() -> None:
    depth = np.array([[0.0, 1.2344, 65.535, 70.0, -1.0]], np.float32)
    np.testing.assert_array_equal(in_steps(depth, 0.001), [[0, 1234, 65535, 0, 0]])


def changed(path: Path, **values: Any) -> None:
    """Rewrite the header with other values; pictures stay."""
    data = path.read_bytes()
    length = struct.unpack("<I", data[8:12])[0]
    header = json.loads(data[12 : 12 + length]) | values
    text = json.dumps(header).encode()
    path.write_bytes(MAGIC + struct.pack("<I", len(text)) + text + data[12 + length :])


@pytest.mark.parametrize(
    "values",
    [
        {"version": 3}, {"split": "all"}, {"width": "24"}, {"channels": []}, {"channels": [["a", "sound", 0.1]] * 4},
        {"channels": [["a", "colour", 0.1]] * 4}, {"channels": [["a", "depth", -1]] * 4}, {"channels": 7},
        {"frames": [{}]}, {"frames": [entry(1, bytes=[1, 2, 3])]}, {"frames": [entry(1, bytes=[1, 2, 3, 0])]},
        {"frames": [entry(1, bytes=[1, 1, 1, 1], baseline_m=0)]},
    ],
)  # fmt: skip
def test_headers_with_wrong_values_are_named(shard: Path, values: dict[str, Any]) -> None:
    changed(shard, **values)
    with pytest.raises(FormatError, match=r"\.sea"):
        Shard(shard)


def test_a_picture_of_another_size_or_type_is_damaged(shard: Path) -> None:
    changed(shard, width=25)
    with pytest.raises(FormatError, match="frame 1"):
        Shard(shard).picture(1, "labels")
    changed(shard, width=24, channels=[[c.name, "labels" if c.kind == "depth" else c.kind, c.step_m] for c in PAIR])
    with pytest.raises(FormatError, match="frame 0"):
        Shard(shard).picture(0, "far")
