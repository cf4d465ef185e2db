"""What the program says about its methods and its installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import short_clip
from scenewright.data.sequences import open_sequence
from scenewright.engine import weights
from scenewright.engine.table import create, list_methods
from scenewright.pipelines import doctor
from scenewright.pipelines.catalogue import catalogue
from scenewright.pipelines.sources import choose_depth


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installation that ships (untrained) weights of fcrn and nothing else; their hash."""
    folder = weights.save(create("fcrn"), tmp_path / "weights" / "fcrn", training={})
    monkeypatch.setattr(weights, "_shipped_root", lambda: tmp_path / "weights")
    return str(weights.read_card(folder)["tensors"]["sha256"])


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without weights, furniture or browser."""
    monkeypatch.setattr(weights, "_shipped_root", lambda: tmp_path / "none")
    monkeypatch.setattr(doctor, "FURNITURE", tmp_path / "no-furniture")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)


def by_subject() -> dict[str, doctor.Finding]:
    return {finding.subject: finding for finding in doctor.examine()}


def test_rows_carry_card_and_weights(shipped: str) -> None:
    rows = {row["name"]: row for row in catalogue()}
    assert sorted(rows) == list_methods()
    assert rows["fcrn"]["weights"] == shipped[:12]
    assert rows["fcrn"]["year"] == 2016
    assert rows["fcrn"]["published"][0]["source"]


def test_rows_without_weights_say_so(bare: None) -> None:
    assert {row["weights"] for row in catalogue("depth")} == {""}


def test_an_unknown_task_has_no_rows() -> None:
    assert catalogue("no such task") == []


def test_shipped_weights_are_found_by_name(shipped: str, tmp_path: Path) -> None:
    chosen = choose_depth("fcrn", open_sequence(short_clip(tmp_path / "clip", 2)))
    assert chosen.weights == {"fcrn": shipped}


def test_the_doctor_sees_weights(shipped: str) -> None:
    assert by_subject()["shipped weights"] == doctor.Finding("ok", "shipped weights", "fcrn")


def test_the_doctor_tells_what_is_missing_from_what_would_be_nice(bare: None) -> None:
    found = by_subject()
    assert found["shipped weights"].state == "missing"
    assert found["furniture libraries"].state == "optional"
    assert "apt install" in found["furniture libraries"].detail
    assert found["browser"].state == "optional"


def test_the_doctor_checks_what_pyproject_requires() -> None:
    found = by_subject()
    assert {"torch", "numpy", "kornia", "opencv-python-headless", "gtsam"} <= found.keys()
    assert all(found[name].state == "ok" for name in ("torch", "numpy", "kornia"))


def test_the_doctor_counts_furniture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.sh3f", "b.sh3f", "readme.txt"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(doctor, "FURNITURE", tmp_path)
    assert by_subject()["furniture libraries"].detail.startswith("2 ")
