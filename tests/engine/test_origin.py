"""Where weights come from: the chain of trainings and the licences that a card keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from scenewright.engine import table, weights
from scenewright.engine.fit import fit
from scenewright.engine.origin import licences_of, origin_of, with_origin
from scenewright.errors import InputError
from toy import Squares, Toy


@pytest.fixture(autouse=True)
def _toy_in_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.METHODS, "toy", "toy:Toy")


class Others(Squares):
    record: ClassVar[dict[str, object]] = {"description": "other squares", "licences": ["MIT", "CC0-1.0"]}


def trained(folder: Path, start: Path | None, seed: int, data: Squares, **options: Any) -> Path:
    """A run of one step per stage; the folder of its weights."""
    method = Toy.from_preset("small") if start is None else weights.load(start)
    settings: dict[str, Any] = {"preset": "small", "max_steps": 1, "quiet": True, "start": start, **options}
    return fit(method, {"squares": data}, folder, seed=seed, **settings)


def training_of(folder: Path) -> dict[str, Any]:
    training: dict[str, Any] = weights.read_card(folder)["training"]
    return training


def test_every_training_before_is_in_the_card_with_the_hash_of_its_weights(tmp_path: Path) -> None:
    first = trained(tmp_path / "1", None, 1, Squares(4))
    second = trained(tmp_path / "2", first, 2, Others(4))
    third = trained(tmp_path / "3", second, 3, Squares(4))
    assert "start" not in training_of(first)
    found = training_of(third)
    assert found["start"] == {**training_of(second), "weights_sha256": weights.digest(second)}
    assert found["start"]["start"] == {**training_of(first), "weights_sha256": weights.digest(first)}
    assert [found["seed"], found["start"]["seed"], found["start"]["start"]["seed"]] == [3, 2, 1]
    assert weights.load(third).card.name == "toy"


def test_licences_of_all_data_are_carried_over_once(tmp_path: Path) -> None:
    first = trained(tmp_path / "1", None, 1, Squares(4))
    second = trained(tmp_path / "2", first, 2, Others(4))
    assert training_of(first)["licences"] == ["CC0-1.0"]
    assert training_of(second)["licences"] == ["CC0-1.0", "MIT"]
    assert training_of(second)["start"]["licences"] == ["CC0-1.0"]


def test_the_trunk_that_was_loaded_is_on_record_with_its_terms(tmp_path: Path) -> None:
    trunk = {"file": "trunk.safetensors", "sha256": "0" * 64, "licences": ["Apache-2.0"]}
    found = training_of(trained(tmp_path, None, 1, Squares(4), trunk=trunk))
    assert found["trunk"] == trunk
    assert found["licences"] == ["CC0-1.0", "Apache-2.0"]


def test_a_licence_that_only_an_early_record_names_is_found() -> None:
    start = {"data": {}, "start": {"data": {"a": {"licences": ["A"]}}, "start": {"licences": ["B"]}}}
    assert licences_of(with_origin({"data": {"c": {"licences": ["C", "A"]}}}, start)) == ["B", "A", "C"]
    assert with_origin({"seed": 1}, None) == {"seed": 1}


def test_what_shipped_weights_came_from_is_kept_whole() -> None:
    """FCRN's own chain of five trainings, put together before training did it."""
    found, depth = with_origin({"data": {}}, origin_of("fcrn")), 0
    assert found["licences"] == weights.read_card(weights.find("fcrn"))["training"]["licences"]
    assert found["start"]["weights_sha256"] == weights.digest("fcrn")
    while "start" in found:
        found, depth = found["start"], depth + 1
    assert depth == 5


def test_a_run_is_not_resumed_from_another_start(tmp_path: Path) -> None:
    first, other = (trained(tmp_path / str(seed), None, seed, Squares(4)) for seed in (1, 2))
    trained(tmp_path / "run", first, 3, Squares(4))
    trained(tmp_path / "run", first, 3, Squares(4))  # the same command again
    for start in (other, None):
        with pytest.raises(InputError, match="start: found"):
            trained(tmp_path / "run", start, 3, Squares(4))


def test_no_such_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no method and no folder"):
        fit(Toy.from_preset("small"), {"squares": Squares(4)}, tmp_path, preset="small", seed=0, start="nowhere")
