"""Votes of other views, local planes and viewing angles against closed forms; what is believed in the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.slam.consistency import ConsistencyOptions, consistent, cosine, local_plane, nearest, planar, votes
from scenewright.slam.types import Keyframe
from slam_room import CAMERA, BoxRoom, look

OPTIONS = ConsistencyOptions()


def rays() -> np.ndarray:
    fx, fy, cx, cy = CAMERA.numbers
    y, x = np.mgrid[:120, :160].astype(np.float64)
    return np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1)


def view(depth: np.ndarray, T: np.ndarray | None = None) -> Keyframe:
    depth = np.broadcast_to(depth, (120, 160)).astype(np.float32)
    image, seen = np.zeros((120, 160, 3), np.uint8), np.zeros((120, 160), np.uint16)
    return Keyframe(
        0, 0, 0.0, image, CAMERA, depth, np.square(0.01 * depth), depth, seen, np.eye(4) if T is None else T
    )


def test_votes_of_views_at_one_place() -> None:
    """log ratios of 0.05 agree; 0.3 farther looks through; 0.3 nearer is in the way; unknown does not see."""
    other = np.full((120, 160), 2.0)
    other[:, :40], other[:, 40:80], other[:, 80:120] = 2 * np.exp(0.05), 2 * np.exp(0.3), 2 * np.exp(-0.3)
    other[:, 120:] = 0
    agree, through, seen, square = votes(view(np.full((120, 160), 2.0)), [view(other)], 0.1)
    for part, expected in zip((0, 40, 80, 120), ((1, 0, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0))):
        columns = slice(part, part + 40)
        assert {(a, t, s) for a, t, s in zip(*(m[:, columns].ravel() for m in (agree, through, seen)))} == {expected}
    np.testing.assert_allclose(square[:, :40], 0.05**2, rtol=1e-3)
    assert not square[:, 40:].any()


def test_votes_equal_a_loop_for_moved_views() -> None:
    room = BoxRoom(0)
    a, b = room.keyframe(0, look(2, 1.3, 0.8, 0)), room.keyframe(1, look(2.2, 1.2, 0.9, 12, -5))
    agree, through, seen, _ = votes(a, [b, b], 0.05)
    T = np.linalg.inv(b.T_world_cam) @ a.T_world_cam
    fx, fy, cx, cy = CAMERA.numbers
    for v, u in np.random.default_rng(0).integers(0, (120, 160), (300, 2)):
        X = T[:3, :3] @ (rays()[v, u] * a.depth_m[v, u]) + T[:3, 3]
        i, j = int(np.floor(fx * X[0] / X[2] + cx + 0.5)), int(np.floor(fy * X[1] / X[2] + cy + 0.5))
        sees = X[2] > 0.05 and 0 <= i < 160 and 0 <= j < 120
        difference = np.log(b.depth_m[j, i] / X[2]) if sees else 0.0
        expected = (2 * (sees and abs(difference) < 0.05), 2 * (sees and difference >= 0.05), 2 * sees)
        assert (agree[v, u], through[v, u], seen[v, u]) == expected


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(1.0, 4.0))
def test_a_plane_is_its_own_local_plane(a: float, b: float, offset: float) -> None:
    normal = np.array([a, b, 1.0]) / np.linalg.norm([a, b, 1.0])
    depth = (offset / (rays() @ normal)).astype(np.float64)
    x, y, rest = local_plane(depth, 3)
    inner = (slice(5, -5), slice(5, -5))
    assert rest[inner].max() < 1e-6
    np.testing.assert_allclose(x[inner], (normal[0] / CAMERA.numbers[0] / offset * depth)[inner], atol=1e-7)
    expected = (rays() @ normal) / np.linalg.norm(rays(), axis=-1)
    np.testing.assert_allclose(cosine((x, y, rest), CAMERA)[inner], expected[inner], atol=1e-5)


def test_edges_and_glancing_surfaces_are_not_planar() -> None:
    step = np.full((120, 160), 2.0, np.float32)
    step[:, 80:] = 3.0
    good = planar(step, CAMERA, OPTIONS)
    assert not good[5:-5, 78:82].any()
    assert good[5:-5, 10:70].all()
    assert good[5:-5, 90:150].all()
    ramp = np.full((120, 160), 1.5, np.float32)  # what a network makes of an edge: a slope over ten pixels
    ramp[:, 75:85] = np.linspace(1.5, 3.5, 10)
    ramp[:, 85:] = 3.5
    assert not planar(ramp, CAMERA, OPTIONS)[5:-5, 76:83].any()
    tilt = np.radians(86)
    plane = 0.2 / np.maximum(rays() @ [0, np.sin(tilt), np.cos(tilt)], 1e-3)
    assert not planar(np.where(plane < 5, plane, 0).astype(np.float32), CAMERA, OPTIONS)[40:50].any()
    assert not planar(np.zeros((120, 160), np.float32), CAMERA, OPTIONS).any()


def test_a_view_alone_is_believed_and_a_lone_liar_is_not() -> None:
    honest = [view(np.full((120, 160), 2.0), look(0.05 * k, 0, 0, 0)) for k in range(4)]
    alone = consistent([honest[0]])[0]
    np.testing.assert_array_equal(alone.depth_m, honest[0].depth_m)
    np.testing.assert_allclose(alone.variance, honest[0].variance)
    liar = view(np.full((120, 160), 1.4), look(0.1, 0, 0, 0))
    *kept, lie = consistent([*honest, liar])
    assert not lie.depth_m[20:-20, 30:-30].any()  # others look through it
    for k in kept:
        assert (k.depth_m[20:-20, 30:-30] > 0).all()
        assert np.sqrt(k.variance[60, 80]) < 0.05


def test_what_nobody_confirms_goes() -> None:
    """Behind what the others see, nobody looks through it, but nobody agrees either."""
    honest = [view(np.full((120, 160), 2.0), look(0.05 * k, 0, 0, 0)) for k in range(4)]
    *kept, behind = consistent([*honest, view(np.full((120, 160), 3.0), look(0.1, 0, 0, 0))])
    assert not behind.depth_m[20:-20, 30:-30].any()
    assert all((k.depth_m[20:-20, 30:-30] > 0).all() for k in kept)


def test_spread_becomes_variance() -> None:
    a = view(np.full((120, 160), 2.0))
    b = replace(a, depth_m=a.depth_m * np.float32(np.exp(0.08)))
    assert np.sqrt(consistent([a, b])[0].variance[60, 80]) == pytest.approx(0.08 * 2.0, rel=1e-3)


def test_nearest_in_place_and_direction() -> None:
    poses = [look(0, 0, 0, 0), look(0.5, 0, 0, 0), look(0.1, 0, 0, 0), look(0, 0, 0, 90)]
    assert nearest([view(np.ones((1, 1)), T) for T in poses], 2)[0] == [2, 1]
    assert nearest([view(np.ones((1, 1)))], 5) == [[]]


@pytest.mark.parametrize("bad", [{"views": -1}, {"agreeing": -1}, {"tolerance": 0.0}, {"cosine": 1.0}])
def test_bad_options_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="consistency"):
        ConsistencyOptions(**bad)  # type: ignore[arg-type]
