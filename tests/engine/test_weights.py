"""Weights on disk: exact round trips, and a refusal with a name for every way a folder can be wrong."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import scenewright
from scenewright.engine import table, weights
from scenewright.engine.config import from_data, to_data
from scenewright.errors import FormatError, InputError
from scenewright.files import sha256
from toy import Toy

TRAINING = {"seed": 3, "data": {"squares": {"licences": ["CC0-1.0"]}}, "figures": {"AbsRel": 0.1}}


@pytest.fixture(autouse=True)
def _toy_in_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.METHODS, "toy", "toy:Toy")


@pytest.fixture
def model() -> Toy:
    torch.manual_seed(0)
    return Toy.from_preset("small")


@pytest.fixture
def folder(model: Toy, tmp_path: Path) -> Path:
    return weights.save(model, tmp_path / "toy weights", training=TRAINING)


class TestRoundTrip:
    def test_every_tensor_and_the_mode(self, model: Toy, folder: Path) -> None:
        loaded = weights.load(folder)
        assert not loaded.training
        assert isinstance(loaded, Toy)
        assert loaded.config == model.config
        for name, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value), name

    def test_same_weights_same_bytes(self, model: Toy, folder: Path, tmp_path: Path) -> None:
        again = weights.save(weights.load(folder), tmp_path / "again", training=TRAINING)
        for name in (weights.TENSORS, weights.CARD):
            assert (again / name).read_bytes() == (folder / name).read_bytes()

    def test_loading_draws_nothing_from_the_caller_s_generator(self, folder: Path) -> None:
        torch.manual_seed(4)
        expected = torch.rand(2)
        torch.manual_seed(4)
        weights.load(folder)
        assert torch.equal(torch.rand(2), expected)

    def test_half_keeps_vectors_and_rounds_kernels(self, model: Toy, tmp_path: Path) -> None:
        model.trunk[1].running_var.fill_(1e-9)  # type: ignore[union-attr, operator]
        loaded = weights.load(weights.save(model, tmp_path / "half", training={}, half=True)).state_dict()
        for name, value in model.state_dict().items():
            expected = value.half().float() if value.ndim >= 2 else value
            assert loaded[name].dtype == value.dtype
            assert torch.equal(loaded[name], expected), name

    def test_the_card(self, model: Toy, folder: Path) -> None:
        card = weights.read_card(folder)
        assert card["training"] == TRAINING
        assert (card["method"], card["task"], card["preset"], card["parameters"]) == ("toy", "depth", "small", 249)
        assert card["config"] == {"width": 8, "norm": True, "dropout": 0.1}
        assert card["tensors"]["sha256"] == sha256(folder / weights.TENSORS)
        assert card["tensors"]["bytes"] == (folder / weights.TENSORS).stat().st_size

    @pytest.mark.parametrize(("width", "preset"), [(16, "paper"), (8, "small"), (9, "custom")])
    def test_the_preset_is_what_the_config_is(self, width: int, preset: str) -> None:
        assert weights.preset_of(Toy.from_preset("small", width=width)) == preset

    def test_saving_over_weights_replaces_both_files(self, folder: Path) -> None:
        wide = Toy.from_preset("paper")
        weights.save(wide, folder, training={})
        assert weights.load(folder).config.width == 16
        assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name]


class TestNames:
    def test_a_name_loads_what_ships(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copytree(folder, tmp_path / "shipped" / "toy")
        monkeypatch.setattr(weights, "_shipped_root", lambda: tmp_path / "shipped")
        assert weights.list_weights() == ["toy"]
        assert scenewright.load("toy").config == Toy.Config.small()

    def test_a_folder_that_has_a_method_s_name_needs_its_path(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(folder, "toy")
        monkeypatch.setattr(weights, "_shipped_root", lambda: tmp_path / "nothing")
        with pytest.raises(InputError, match=r"weights of 'toy': found none in this package"):
            weights.load("toy")
        assert weights.load("./toy").config == weights.load(Path("toy")).config

    def test_neither(self) -> None:
        with pytest.raises(InputError, match="no method and no folder 'nowhere'"):
            weights.load("nowhere")

    @pytest.mark.parametrize("name", weights.list_weights())
    def test_what_ships_names_the_licences_of_what_it_learned_from(self, name: str) -> None:
        licences = weights.read_card(weights.find(name))["training"]["licences"]
        assert licences
        assert all(isinstance(line, str) for line in licences)

    def test_everything_that_ships_loads(self) -> None:
        for name in weights.list_weights():
            assert scenewright.load(name).card.name == name


class TestRefusedToSave:
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_no_numbers(self, model: Toy, tmp_path: Path, value: float) -> None:
        model.head.bias.data.fill_(value)
        with pytest.raises(InputError, match=r"weight head\.bias: found values that are not finite"):
            weights.save(model, tmp_path / "w", training={})
        assert not (tmp_path / "w").exists()

    def test_weights_beyond_half_s_range(self, model: Toy, tmp_path: Path) -> None:
        model.head.weight.data[0, 0] = 1e5
        weights.save(model, tmp_path / "full", training={})
        with pytest.raises(InputError, match=r"weight head\.weight: .*float16"):
            weights.save(model, tmp_path / "half", training={}, half=True)

    @pytest.mark.parametrize("training", [{"loss": float("nan")}, {"model": object()}])
    def test_a_record_that_is_no_json(self, model: Toy, tmp_path: Path, training: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="training record"):
            weights.save(model, tmp_path / "w", training=training)
        assert list(tmp_path.iterdir()) == []

    def test_somebody_s_folder(self, model: Toy, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="something other than a weights folder"):
            weights.save(model, tmp_path, training={})
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_a_failing_disk_leaves_the_old_weights(
        self, model: Toy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = {p.name: p.read_bytes() for p in folder.iterdir()}

        def full(path: Path, value: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(weights, "write_json", full)
        with pytest.raises(OSError, match="No space"):
            weights.save(model, folder, training={"other": 1})
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
        assert list(folder.parent.iterdir()) == [folder]


def edit_card(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        card = json.loads((folder / weights.CARD).read_text())
        (folder / weights.CARD).write_text(json.dumps({**card, **changes}))

    return edit


def edit_tensors(change: Callable[[bytes], bytes], rehash: bool = True) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / weights.TENSORS
        path.write_bytes(change(path.read_bytes()))
        if rehash:
            edit_card(tensors={"file": weights.TENSORS, "bytes": 0, "sha256": sha256(path)})(folder)

    return edit


def flip_last_bit(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def rename(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old.encode(), new.encode())


CONFIG = {"width": 8, "norm": True, "dropout": 0.1}
DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (lambda f: (f / weights.CARD).unlink(), "no such file"),
    (lambda f: (f / weights.TENSORS).unlink(), "no such file"),
    (lambda f: (f / weights.CARD).write_text("{"), "no JSON"),
    (lambda f: (f / weights.CARD).write_text("[" * 100_000), "no JSON"),
    (lambda f: (f / weights.CARD).write_text("[]"), "fields list"),
    (lambda f: (f / weights.CARD).write_text("{}"), "fields"),
    (lambda f: (f / weights.CARD).write_text(" " * (2 << 20)), "2097152 bytes"),
    (edit_card(extra=1), "fields"),
    (edit_card(config=[]), "config: found list; expected dict"),
    (edit_card(method="os:system"), "method: found 'os:system'; expected one of"),
    (edit_card(storage="bfloat16"), "float32 or float16"),
    (edit_card(config={**CONFIG, "width": "8"}), r"config\.width: found '8'; expected int"),
    (edit_card(config={**CONFIG, "width": True}), r"config\.width: found True; expected int"),
    (edit_card(config={"width": 8}), "config: found fields"),
    (edit_card(config={**CONFIG, "shell": "rm"}), "config: found fields"),
    (edit_card(config={**CONFIG, "width": 1 << 40}), "trunk"),
    (edit_card(config={**CONFIG, "norm": False}), "found tensor trunk.1.bias"),
    (edit_card(tensors={}), "found sha256"),
    (edit_tensors(flip_last_bit, rehash=False), "found sha256"),
    (edit_tensors(lambda d: d[:-4]), "no safetensors"),
    (edit_tensors(lambda d: d + b"\0" * 8), "no safetensors"),
    (edit_tensors(lambda d: d + b"\0" * (1 << 25)), "expected at most"),
    (edit_tensors(lambda d: struct.pack("<Q", 1 << 40) + d[8:]), "no safetensors"),
    (edit_tensors(lambda _: b""), "no safetensors"),
    (edit_tensors(rename("head.bias", "head.beer")), "found no tensor head.bias"),
    (edit_tensors(rename('"shape":[1,8]', '"shape":[8,1]')), r"head.weight: found \(8, 1\)"),
    (edit_tensors(rename('"F32","shape":[1,8]', '"I32","shape":[1,8]')), r"head.weight: found .*int32"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[m for _, m in DAMAGE])
def test_damaged_folders(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(FormatError, match=message):
        weights.load(folder)


def test_a_pickle_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.write_text, (tmp_path / "owned", "yes"))

    torch.save(Payload(), folder / weights.TENSORS)
    edit_tensors(lambda d: d)(folder)
    with pytest.raises(FormatError):
        weights.load(folder)
    assert not (tmp_path / "owned").exists()


@dataclass(frozen=True)
class Inner:
    sizes: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    kind: Literal["a", "b"]
    pair: tuple[int, str]
    maybe: float | None
    flag: bool


class TestConfig:
    @given(
        st.builds(
            Outer,
            inner=st.builds(Inner, st.lists(st.tuples(st.integers(), st.floats(allow_nan=False))).map(tuple)),
            kind=st.sampled_from(["a", "b"]),
            pair=st.tuples(st.integers(), st.text()),
            maybe=st.none() | st.floats(allow_nan=False),
            flag=st.booleans(),
        )
    )
    def test_data_and_back(self, config: Outer) -> None:
        assert from_data(Outer, json.loads(json.dumps(to_data(config))), "c") == config

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("inner", 3, r"c\.inner: found 3; expected an object"),
            ("inner", {"sizes": [[1]]}, r"c\.inner\.sizes\[0\]: found 1 entries; expected 2"),
            ("inner", {"sizes": [[1, "x"]]}, r"c\.inner\.sizes\[0\]\[1\]: found 'x'; expected float"),
            ("kind", "c", r"c\.kind: found 'c'"),
            ("pair", "ab", r"c\.pair: found 'ab'; expected a list"),
            ("maybe", "x", r"c\.maybe: found 'x'; expected float or NoneType"),
            ("flag", 1, r"c\.flag: found 1; expected bool"),
        ],
    )
    def test_wrong_fields(self, field: str, value: Any, message: str) -> None:
        good = {"inner": {"sizes": []}, "kind": "a", "pair": [1, "x"], "maybe": None, "flag": True}
        from_data(Outer, good, "c")
        with pytest.raises(FormatError, match=message):
            from_data(Outer, {**good, field: value}, "c")
