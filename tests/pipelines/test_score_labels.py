"""Labels of a map seen from a camera, and the counts that compare them with a room's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenewright.data.meshes import TriangleMesh
from scenewright.errors import FormatError, InputError
from scenewright.files import write_text
from scenewright.geometry.camera import Camera
from scenewright.pipelines.score_labels import count_pairs, look_at_labels, room_of, score_labels

CAMERA = Camera.from_parameters(40, 30, 30.0, 30.0, 19.5, 14.5)


def wall(z: float, labels: list[int], reach: float) -> TriangleMesh:
    """Two triangles at depth z from x = -1 to `reach`, each of one label."""
    corners = np.array([[-1, -2, z], [reach, -2, z], [reach, 2, z], [-1, -2, z], [reach, 2, z], [-1, 2, z]], np.float32)
    return TriangleMesh(
        corners, np.array([[0, 1, 2], [3, 4, 5]], np.int32), None, np.repeat(labels, 3).astype(np.uint8)
    )


def test_rays_meet_the_nearest_triangle() -> None:
    far, near = wall(3.0, [3, 3], 9.0), wall(1.5, [8, 8], 0.0)
    both = TriangleMesh(
        np.concatenate([far.vertices, near.vertices]), np.concatenate([far.faces, near.faces + 6]), None,
        np.array([3] * 6 + [8] * 6, np.uint8),
    )  # fmt: skip
    seen = look_at_labels(both, CAMERA, np.eye(4))
    assert (seen[:, 2:19] == 8).all()
    assert (seen[:, 21:38] == 3).all()
    moved = np.eye(4)
    moved[2, 3] = 2.0  # past the near one
    assert (look_at_labels(both, CAMERA, moved)[:, 5:35] == 3).all()
    moved[2, 3] = 4.0
    assert not look_at_labels(both, CAMERA, moved).any()


def test_a_mesh_without_labels_says_nothing() -> None:
    bare = TriangleMesh(wall(2.0, [3, 3], 2.0).vertices, np.zeros((0, 3), np.int32), None, None)
    assert not look_at_labels(bare, CAMERA, np.eye(4)).any()


def test_counts_are_of_pairs() -> None:
    counts = count_pairs(np.array([2, 2, 3], np.uint8), np.array([2, 3, 3], np.uint8))
    assert (counts[2, 2], counts[2, 3], counts[3, 3], counts.sum()) == (1, 1, 1, 3)


def test_folders_without_walks_and_damaged_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="walk"):
        score_labels(tmp_path)
    for text in ("{", '{"colour": 3}', "[]"):
        write_text(tmp_path / "walk.json", text)
        with pytest.raises(FormatError, match=r"walk\.json"):
            room_of(tmp_path / "walk.json")
