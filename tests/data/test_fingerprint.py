"""The hash of what was measured: it moves with everything that a figure depends on, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenewright.data.fingerprint import file_row, fingerprint
from scenewright.data.sequences import open_sequence
from scenewright.files import sha256


def test_rows_count_in_order_and_floats_exactly() -> None:
    assert fingerprint([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint([[1, 2]]) != fingerprint([1, 2])
    assert fingerprint([0.1]) != fingerprint([np.nextafter(0.1, 1)])
    assert fingerprint([{"a": 1, "b": 2}]) == fingerprint([{"b": 2, "a": 1}])
    with pytest.raises(ValueError, match="JSON"):
        fingerprint([float("nan")])


def test_a_file_is_known_by_name_size_and_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert file_row(path) == ["a.bin", 3, sha256(path)]
    assert file_row(None) is None


@pytest.mark.parametrize("kind", ["clip", "tum", "seven_scenes", "folder", "video"])
class TestSequences:
    def test_a_copy_elsewhere_is_the_same(self, make, tmp_path: Path, kind: str) -> None:
        made = make.layouts[kind](tmp_path / "first")
        (tmp_path / "copy").mkdir()
        copy = tmp_path / "copy" / made.name
        shutil.copytree(made, copy) if made.is_dir() else shutil.copy(made, copy)
        assert open_sequence(made).fingerprint() == open_sequence(copy).fingerprint()

    @pytest.mark.parametrize("options", [{"every": 2}, {"max_frames": 1}, {"fov_deg": 71.0}, {"size": 32}])
    def test_options_that_change_the_frames_change_it(self, make, tmp_path: Path, kind: str, options: dict) -> None:
        made = make.layouts[kind](tmp_path / "first")
        assert open_sequence(made).fingerprint() != open_sequence(made, **options).fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        lambda clip: (clip / "color" / "00008.png").write_bytes((clip / "color" / "00009.png").read_bytes()),
        lambda clip: (clip / "depth" / "00008.png").unlink(),
        lambda clip: (clip / "intrinsics.txt").write_text("64 48 61 61 31 23\n"),
        lambda clip: (clip / "poses.txt").write_text("00008 1 0 0.001 0 0 0 1\n"),
    ],
)
def test_a_changed_clip_is_another(make, tmp_path: Path, change: Callable[[Path], object]) -> None:
    clip = make.layouts["clip"](tmp_path / "clip")
    before = open_sequence(clip).fingerprint()
    change(clip)
    assert open_sequence(clip).fingerprint() != before


def test_files_that_are_not_measured_do_not_count(make, tmp_path: Path) -> None:
    clip = make.layouts["clip"](tmp_path / "clip")
    before = open_sequence(clip, every=2).fingerprint()
    (clip / "NOTES.md").write_text("hello")
    (clip / "depth" / "00008.png").unlink()
    assert open_sequence(clip, every=2).fingerprint() == before
