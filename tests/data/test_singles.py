"""Folders of single RGB-D photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenewright.data.sequences import open_sequence
from scenewright.data.singles import is_singles
from scenewright.errors import FormatError


@pytest.fixture
def singles(make, tmp_path: Path) -> Path:
    """Two photographs, the second with depth."""
    for number, name in enumerate(("nyu", "sun")):
        make.save(tmp_path / f"{name}_rgb.png", make.picture(number, 640, 480))
    make.save(tmp_path / "sun_depth_mm.png", np.full((480, 640), 1500, np.uint16))
    return tmp_path


def test_depth_is_paired_by_name_and_metric(singles: Path) -> None:
    sequence = open_sequence(singles)
    first, second = sequence
    assert first.depth_m is None
    assert second.depth_m is not None
    np.testing.assert_allclose(second.depth_m, 1.5)
    assert second.image[0, 0].tolist() == [0, 0, 10]
    assert sequence.camera.numbers == (525.0, 525.0, 319.5, 239.5)
    assert sequence.intrinsics_source == "guess"


def test_intrinsics_beside_the_photographs_count(singles: Path) -> None:
    (singles / "intrinsics.txt").write_text("640 480 518.9 519.5 325.6 253.7\n")
    sequence = open_sequence(singles)
    assert sequence.intrinsics_source == "file"
    assert sequence.camera.numbers[0] == pytest.approx(518.9)


def test_another_size_has_no_known_camera(make, tmp_path: Path) -> None:
    make.save(tmp_path / "a_rgb.png", make.picture(0))
    make.save(tmp_path / "a_depth_mm.png", np.full((48, 64), 1500, np.uint16))
    sequence = open_sequence(tmp_path)
    assert sequence.intrinsics_source == "guess"
    assert sequence.camera.numbers[0] == pytest.approx(32 / np.tan(np.pi / 6), rel=1e-6)


def test_a_folder_of_pictures_with_such_names_is_a_plain_folder(make, tmp_path: Path) -> None:
    make.save(tmp_path / "a_rgb.png", make.picture(0))
    make.save(tmp_path / "b.png", make.picture(1))
    assert not is_singles(tmp_path)
    assert len(open_sequence(tmp_path)) == 2


def test_depth_without_its_photograph_is_refused(singles: Path, make) -> None:
    make.save(singles / "lost_depth_mm.png", np.full((480, 640), 1500, np.uint16))
    with pytest.raises(FormatError, match=r"lost_depth_mm\.png.*lost_rgb"):
        open_sequence(singles)


@pytest.mark.parametrize(
    "depth", [b"", b"\x89PNG\r\n\x1a\n", np.zeros((480, 640), np.uint8), np.zeros((48, 64), np.uint16)]
)
def test_malformed_depth_is_named(singles: Path, make, depth: bytes | np.ndarray) -> None:
    path = singles / "sun_depth_mm.png"
    path.write_bytes(depth) if isinstance(depth, bytes) else make.save(path, depth)
    with pytest.raises(FormatError, match=r"sun_depth_mm\.png"):
        list(open_sequence(singles))


def test_real_photographs(real_data) -> None:
    frames = list(open_sequence(real_data("rgbd_singles")))
    depth = next(f.depth_m for f in frames if f.depth_m is not None)
    assert len(frames) == 2
    assert 0.5 < np.median(depth[depth > 0]) < 6
