"""The stored state of long work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenewright.errors import FormatError
from scenewright.pipelines import checkpoint as module
from scenewright.pipelines.checkpoint import INDEX, Checkpoint

DTYPES = st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<u2", "|u1", "|b1", ">f4", "<U5"])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
STATE = {"poses": np.arange(12.0).reshape(3, 4), "depth": np.ones((2, 5), np.float32)}


@pytest.fixture
def stored(tmp_path: Path) -> Checkpoint:
    """A checkpoint that holds `STATE`."""
    checkpoint = Checkpoint(tmp_path / "work")
    checkpoint.save(STATE, {"position": 7})
    return checkpoint


def files(checkpoint: Checkpoint) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in checkpoint.folder.glob("*.npy")}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


@settings(max_examples=25, deadline=None)
@given(state=st.dictionaries(st.text("abc/_", min_size=1, max_size=8), ARRAYS, max_size=4))
def test_round_trip_keeps_types_shapes_and_bytes(
    state: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkpoint = Checkpoint(tmp_path_factory.mktemp("state"))
    checkpoint.save(state, {"position": 3, "seconds": 0.5})
    loaded = Checkpoint(checkpoint.folder).load()
    assert loaded is not None
    assert_same(loaded[0], state)
    assert loaded[1] == {"position": 3, "seconds": 0.5}


def test_views_are_stored_by_value(tmp_path: Path) -> None:
    grid = np.arange(24.0).reshape(4, 6)
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save({"every other": grid[::2, ::3], "turned": grid.T}, {})
    arrays, _ = checkpoint.load() or ({}, {})
    np.testing.assert_array_equal(arrays["every other"], grid[::2, ::3])
    np.testing.assert_array_equal(arrays["turned"], grid.T)


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "never").load() is None


def test_arrays_that_did_not_change_are_not_written_again(stored: Checkpoint) -> None:
    before = files(stored)
    stored.save({**STATE, "depth": STATE["depth"] * 2}, {"position": 8})
    after = files(stored)
    assert len(before) == len(after) == 2
    shared = before.keys() & after.keys()
    assert len(shared) == 1
    assert all(before[name] == after[name] for name in shared), "same inode: the file was not replaced"


def test_equal_content_under_two_names_is_stored_once_and_types_keep_apart(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    zeros = np.zeros(8, np.uint8)
    state = {"a": zeros, "b": zeros.copy(), "c": zeros.view(np.int8), "d": zeros.reshape(2, 4)}
    checkpoint.save(state, {})
    assert len(files(checkpoint)) == 3
    assert_same((checkpoint.load() or ({}, {}))[0], state)


def test_arrays_of_an_earlier_state_are_removed(stored: Checkpoint) -> None:
    stored.save({}, {"position": 9})
    assert files(stored) == {}
    assert stored.load() == ({}, {"position": 9})


@pytest.mark.parametrize("moment", ["before an array is published", "before the index is published"])
def test_a_crash_between_writes_keeps_the_old_state(
    stored: Checkpoint, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.np if "array" in moment else module, "save" if "array" in moment else "write_json", crash)
        with pytest.raises(KeyboardInterrupt):
            stored.save({"poses": np.zeros(3), "more": np.ones(4)}, {"position": 8})
    arrays, facts = Checkpoint(stored.folder).load() or ({}, {})
    assert_same(arrays, STATE)
    assert facts == {"position": 7}
    stored.save({"poses": np.zeros(3)}, {"position": 9})
    assert len(files(stored)) == 1, "what the crash left over is gone with the next state"


def _remove_an_array(folder: Path) -> None:
    next(folder.glob("*.npy")).unlink()


def _change_a_byte(folder: Path) -> None:
    path = next(folder.glob("*.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _cut_an_array(folder: Path) -> None:
    path = next(folder.glob("*.npy"))
    path.write_bytes(path.read_bytes()[:-3])


def _empty_an_array(folder: Path) -> None:
    next(folder.glob("*.npy")).write_bytes(b"")


def _index(text: str) -> object:
    return lambda folder: (folder / INDEX).write_text(text)


DAMAGE = {
    "no JSON": _index("{"),
    "empty": _index(""),
    "a list": _index("[]"),
    "no arrays": _index('{"facts": {}}'),
    "no facts": _index('{"arrays": {}}'),
    "arrays in a list": _index('{"arrays": ["a"], "facts": {}}'),
    "facts that are none": _index('{"arrays": {}, "facts": 3}'),
    "an unknown array": _index(json.dumps({"arrays": {"a": "00" * 16}, "facts": {}})),
    "a number for a name": _index('{"arrays": {"a": 3}, "facts": {}}'),
    "a missing array": _remove_an_array,
    "a changed byte": _change_a_byte,
    "a cut array": _cut_an_array,
    "an empty array": _empty_an_array,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_reported_with_the_way_out(stored: Checkpoint, how: str) -> None:
    DAMAGE[how](stored.folder)  # type: ignore[operator]
    with pytest.raises(FormatError, match="remove its folder to start over") as caught:
        stored.load()
    assert caught.value.subject == str(stored.folder / INDEX)
    stored.remove()
    assert stored.load() is None


def test_the_index_cannot_point_out_of_its_folder(stored: Checkpoint) -> None:
    outside = stored.folder.parent / "secret.npy"
    np.save(outside, np.ones(3))
    (stored.folder / INDEX).write_text(json.dumps({"arrays": {"a": "../secret"}, "facts": {}}))
    with pytest.raises(FormatError):
        stored.load()


def test_object_arrays_are_neither_written_nor_read(stored: Checkpoint) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        stored.save({"a": np.array([{}, None], object)}, {})
    assert (stored.load() or ({}, {}))[1] == {"position": 7}
    path = next(stored.folder.glob("*.npy"))
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(FormatError, match="Object arrays"):
        stored.load()


def test_removing_twice_is_harmless(stored: Checkpoint) -> None:
    stored.remove()
    stored.remove()
    assert not stored.folder.exists()
