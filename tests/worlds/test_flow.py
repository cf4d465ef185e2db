"""Flow, occlusion and same-surface flags against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.worlds import flow
from scenewright.worlds.model import Material
from scenewright.worlds.render import Renderer
from worlds import handmade

CAMERA = Camera.from_parameters(64, 48, 60.0, 60.0, 31.5, 23.5)
GREY = Material((0.5, 0.5, 0.5))


def facing(distance: float, half: float, material: Material = GREY):
    """A square that faces a camera at the origin looking along +z."""
    corners = [(-half, -half, distance), (half, -half, distance), (half, half, distance), (-half, half, distance)]
    return handmade.placed(handmade.quad(*corners, material), f"plane at {distance}")


def shifted(x: float, z: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[0, 3], T[2, 3] = x, z
    return T


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(1.0, 4.0))
def test_flow_of_a_facing_plane(x, z, distance):
    depth = Renderer(handmade.world(facing(distance, 40))).truth(CAMERA, np.eye(4)).depth_m
    got, valid = flow.rigid_flow(depth, CAMERA, np.eye(4), CAMERA, shifted(x, z))
    v, u = np.mgrid[:48, :64]
    scale = distance / (distance - z)
    expected_x = (u - 31.5) * scale - 60.0 * x / (distance - z) + 31.5 - u
    assert valid.all()
    np.testing.assert_allclose(got[..., 0], expected_x, atol=2e-3)
    np.testing.assert_allclose(got[..., 1], (v - 23.5) * (scale - 1), atol=2e-3)


def test_flow_of_a_pure_rotation_is_its_homography():
    T = handmade.look((0, 0, 1), (1, 0, 1))
    turned = handmade.look((0, 0, 1), (1, 0.1, 0.95))
    depth = Renderer(handmade.room()).truth(CAMERA, T).depth_m
    got, valid = flow.rigid_flow(depth, CAMERA, T, CAMERA, turned)
    K = CAMERA.K.numpy().astype(float)
    H = K @ turned[:3, :3].T @ T[:3, :3] @ np.linalg.inv(K)
    v, u = np.mgrid[:48, :64]
    p = np.stack([u, v, np.ones_like(u)], -1) @ H.T
    expected = p[..., :2] / p[..., 2:] - np.stack([u, v], -1)
    np.testing.assert_allclose(got[valid], expected[valid], atol=2e-3)


def test_occlusion_of_two_planes():
    near_half, near_z, far_z, shift = 0.5, 2.0, 4.0, 0.3
    renderer = Renderer(handmade.world(facing(far_z, 40), facing(near_z, near_half)))
    a, b = renderer.truth(CAMERA, np.eye(4)), renderer.truth(CAMERA, shifted(shift))
    got = flow.occluded(a.depth_m, b.depth_m, CAMERA, np.eye(4), CAMERA, shifted(shift))
    points = flow.world_points(a.depth_m, CAMERA, np.eye(4))
    # the segment from camera b to a far point crosses the near plane at the middle of both (z = 2 of 4)
    crossing = (points[..., :2] + [shift, 0]) / 2
    hidden = (a.instances == 0) & (np.abs(crossing) < near_half).all(-1)
    column = (points[..., 0] - shift) / a.depth_m * 60.0 + 31.5
    outside = (column < 0) | (column > 63)
    assert hidden.sum() > 50
    sure = (np.abs(np.abs(crossing) - near_half) > 0.04).all(-1) | (a.instances == 1)
    np.testing.assert_array_equal(got[sure], (hidden | outside)[sure])


def test_flow_lands_on_the_same_surface_in_the_other_view():
    renderer = Renderer(handmade.room())
    T_a, T_b = handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5)), handmade.look((0.9, 0.4, 1.4), (2.8, 1.6, 0.5))
    a, b = renderer.truth(CAMERA, T_a), renderer.truth(CAMERA, T_b)
    same = flow.same_surface(a, b, CAMERA, T_a, CAMERA, T_b)
    assert 0.6 < same.mean() < 1
    shift, _ = flow.rigid_flow(a.depth_m, CAMERA, T_a, CAMERA, T_b)
    v, u = np.nonzero(same)
    x, y = np.rint(u + shift[same][:, 0]).astype(int), np.rint(v + shift[same][:, 1]).astype(int)
    assert (a.instances[v, u] == b.instances[y, x]).all()
    points = flow.world_points(a.depth_m, CAMERA, T_a)[same]
    rays = points - T_b[:3, 3]
    reached = renderer.distance(np.broadcast_to(T_b[:3, 3], rays.shape), rays)
    assert (reached > 0.98).mean() > 0.99  # cast anew: nothing stands between camera b and what it is said to see


def test_a_view_sees_itself():
    renderer, T = Renderer(handmade.room()), handmade.look((0.5, 0.5, 1.5), (2.8, 1.6, 0.5))
    view = renderer.truth(CAMERA, T)
    assert flow.same_surface(view, view, CAMERA, T, CAMERA, T).all()
    assert not flow.occluded(view.depth_m, view.depth_m, CAMERA, T, CAMERA, T).any()


def test_points_behind_the_other_camera_are_not_valid():
    depth = np.full((48, 64), 2.0, np.float32)
    got, valid = flow.rigid_flow(depth, CAMERA, np.eye(4), CAMERA, shifted(0, 3.0))
    assert not valid.any()
    assert (got == 0).all()


def test_depth_of_another_size_is_refused():
    with pytest.raises(InputError, match="depth_m"):
        flow.rigid_flow(np.zeros((10, 10), np.float32), CAMERA, np.eye(4), CAMERA, np.eye(4))
