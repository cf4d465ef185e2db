"""Pairs from places well apart: as far as asked, seeing each other's surfaces, kept whole in shards."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from scenewright.errors import FormatError, InputError
from scenewright.geometry.covisible import pixels
from scenewright.pipelines import worlds
from scenewright.worlds import wide
from scenewright.worlds.render import Renderer
from scenewright.worlds.rooms import build_room
from scenewright.worlds.shards import MAGIC
from scenewright.worlds.wide import WideFrames, render_wide_rooms

SIZE = (96, 72)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(build_room(1, "train", "office"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    assert render_wide_rooms(folder / "train-00000003.wide", [3, 4], "train", 2, SIZE) == 4
    return folder


def test_pairs_lie_as_far_apart_as_they_should(renderer: Renderer) -> None:
    rng = np.random.default_rng(0)
    steps, turns = [], []
    for _ in range(6):
        view, T_world_second = wide.sample_wide_pair(renderer, rng, SIZE)
        steps.append(np.linalg.norm(T_world_second[:3, 3] - view.T_world_cam[:3, 3]))
        turns.append(wide.turn_deg(np.linalg.inv(T_world_second) @ view.T_world_cam))
        assert 0.6 <= T_world_second[2, 3] <= 2.0
    assert 0.3 <= min(steps) < max(steps) <= 1.5
    assert 5 <= min(turns) < max(turns) <= 35


def test_turns_are_measured() -> None:
    T = np.eye(4)
    T[:2, :2] = [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]]
    assert wide.turn_deg(T) == pytest.approx(np.degrees(0.4))
    assert wide.turn_deg(np.eye(4)) == 0


def test_a_place_seen_in_both_is_where_a_ray_of_the_second_ends(renderer: Renderer) -> None:
    """Brute force: rays from the second eye towards the places, by the tracer alone."""
    view, T_world_second = wide.sample_wide_pair(renderer, np.random.default_rng(1), SIZE)
    T = np.linalg.inv(T_world_second) @ view.T_world_cam
    depth, other = (renderer.truth(view.camera, P).depth_m for P in (view.T_world_cam, T_world_second))
    pair = wide.WideFrame(
        *2 * (np.zeros((*depth.shape, 3), np.uint8),), depth, other, np.asarray(view.camera.K), T, 1, "office"
    )
    uv, there = pair.seen(pixels(view.camera.size, 3), wide.SAME_DEPTH)
    assert len(uv) > 100
    K = np.asarray(view.camera.K, np.float64)
    rays = np.column_stack([there, np.ones(len(there))]) @ np.linalg.inv(K).T @ T_world_second[:3, :3].T
    reach = renderer.distance(np.broadcast_to(T_world_second[:3, 3], rays.shape), rays)
    first = np.column_stack([uv, np.ones(len(uv))]) @ np.linalg.inv(K).T * depth[uv[:, 1], uv[:, 0], None]
    world = first @ view.T_world_cam[:3, :3].T + view.T_world_cam[:3, 3]
    missed = np.linalg.norm(T_world_second[:3, 3] + reach[:, None] * rays - world, axis=1)
    assert np.median(missed) < 1e-3
    assert (missed < 0.05).mean() > 0.9, "the others lie beside an edge"


def test_shards_hold_pairs_that_see_each_other(folder: Path, tmp_path: Path) -> None:
    frames = WideFrames(folder)
    assert frames.seeds() == [3, 3, 4, 4]
    for frame in (frames[k] for k in range(4)):
        assert frame.image.shape == frame.second.shape == (72, 96, 3)
        assert min(wide.shared(frame.depth_m, frame.second_depth_m, frame.K, frame.T_second_first)) >= 0.29
        assert 0.3 <= np.linalg.norm(frame.T_second_first[:3, 3]) <= 1.5
        assert 5 <= wide.turn_deg(frame.T_second_first) <= 35
        there = frame.swapped()
        np.testing.assert_allclose(there.T_second_first @ frame.T_second_first, np.eye(4), atol=1e-12)
        assert there.image is frame.second
        assert there.second_depth_m is frame.depth_m
    again = tmp_path / "again.wide"
    render_wide_rooms(again, [3, 4], "train", 2, SIZE)
    assert again.read_bytes() == (folder / "train-00000003.wide").read_bytes()
    with pytest.raises(InputError, match="positive"):
        render_wide_rooms(tmp_path / "x.wide", [0], "train", 0)
    with pytest.raises(InputError, match="test"):
        WideFrames(folder, "test")


def test_each_view_has_a_sensor_of_its_own(folder: Path) -> None:
    """Same places differ in brightness by more than light alone would make them."""
    differences = []
    for frame in (WideFrames(folder)[k] for k in range(4)):
        uv, there = frame.seen(pixels((72, 96), 2), wide.SAME_DEPTH)
        at = np.rint(there).astype(int)
        a, b = frame.image[uv[:, 1], uv[:, 0]].astype(float), frame.second[at[:, 1], at[:, 0]].astype(float)
        differences.append(abs(np.median(a - b)))
    assert max(differences) > 5


@pytest.mark.parametrize(
    "pose", [None, "abc", [[1, 0, 0, 0]] * 2, [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], [["x"] * 4] * 3, [1, 2],
             [[1, 0, 0, 1e999], [0, 1, 0, 0], [0, 0, 1, 0]]],
)  # fmt: skip
def test_a_pose_that_is_none_is_named(pose: object, folder: Path, tmp_path: Path) -> None:
    data = (folder / "train-00000003.wide").read_bytes()
    length = struct.unpack("<I", data[8:12])[0]
    header = json.loads(data[12 : 12 + length])
    header["frames"][1]["T_second_first"] = pose
    coded = json.dumps(header).encode()
    (tmp_path / "bad.wide").write_bytes(b"".join([MAGIC, struct.pack("<I", len(coded)), coded, data[12 + length :]]))
    frames = WideFrames(tmp_path)
    assert frames[0].seed == 3
    with pytest.raises(FormatError, match="frame 1"):
        frames[1]


def test_a_sheet_shows_both_views_and_what_they_share(tmp_path: Path) -> None:
    out = worlds.preview("wide-rooms", tmp_path / "sheet.png", count=1, seed=1, size="64x48", library=False)
    assert out.is_file()
    worlds.generate("wide-rooms", tmp_path / "f", count=1, views=1, split="test", size="64x48", library=False)
    assert len(WideFrames(tmp_path / "f", "test")) == 1
