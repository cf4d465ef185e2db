"""Uncertainty, fusion, keyframe rule and bending: closed forms and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.slam import densify, finishing, fusion, keyframes, rigid, uncertainty
from scenewright.slam.config import DensifyConfig, FusionConfig, KeyframeConfig
from scenewright.slam.image import Intrinsics
from scenewright.slam.types import Keyframe
from slam_room import BoxRoom, look

K = Intrinsics(130.0, 130.0, 79.5, 59.5)
CONFIG = FusionConfig()
positive = st.floats(0.01, 5.0)


def _array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_focal_doubled_doubles_the_depth() -> None:
    depth = np.full((3, 4), 1.5, np.float32)
    np.testing.assert_allclose(uncertainty.adjust_focal(depth, 520.0, 260.0), 2 * depth)
    np.testing.assert_allclose(uncertainty.adjust_focal(depth, 481.2, 518.86), depth * 481.2 / 518.86)


@pytest.mark.parametrize("exact", [True, False])
def test_forward_motion_on_true_depth(exact: bool) -> None:
    """Half a metre forward: depths of one surface differ by the motion, which eq. 6 as printed takes for error."""
    plane_i, plane_j = np.full((120, 160), 3.0, np.float32), np.full((120, 160), 2.5, np.float32)
    T_ji = rigid.from_rotation(np.eye(3), np.array([0, 0, -0.5]))
    seen = uncertainty.look_up(plane_i, plane_j, np.zeros_like(plane_j), K, T_ji)
    config = FusionConfig(floor=0.0, exact_frame=exact)
    U, comparable = uncertainty.uncertainty(plane_i, seen, config)
    assert comparable[30:90, 40:120].all()
    np.testing.assert_allclose(U[comparable], 0.0 if exact else 0.25, atol=1e-6)


def test_true_depth_of_a_room_agrees_and_occlusions_do_not() -> None:
    room = BoxRoom(0)
    first, second = look(2.2, 1.3, 1.2, 0), look(2.5, 1.25, 1.3, 4)
    depth_i, depth_j = room.render(first)[1], room.render(second)[1]
    seen = uncertainty.look_up(depth_i, depth_j, np.zeros_like(depth_j), K, rigid.inverse(second) @ first)
    U, comparable = uncertainty.uncertainty(depth_i, seen, FusionConfig(floor=0.0))
    relative = np.sqrt(U[comparable]) / depth_i[comparable]
    assert np.median(relative) < 0.01
    assert comparable.mean() > 0.6
    np.testing.assert_allclose(U[~comparable], np.square(CONFIG.first * depth_i[~comparable]), rtol=1e-5)


def test_out_of_view_unknown_and_behind_are_not_comparable() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    depth[0, 0] = 0
    hole = np.zeros((120, 160), np.float32)
    assert not uncertainty.look_up(depth, hole, hole, K, np.eye(4)).valid.any()
    away = rigid.from_rotation(np.eye(3), np.array([0, 0, -5.0]))
    assert not uncertainty.look_up(depth, depth, hole, K, away).valid.any()
    same = uncertainty.look_up(depth, depth, hole, K, np.eye(4))
    assert same.valid.sum() == depth.size - 1


def test_uncertainty_has_a_floor() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    seen = uncertainty.look_up(depth, depth, depth, K, np.eye(4))
    U, _ = uncertainty.uncertainty(depth, seen, CONFIG)
    np.testing.assert_allclose(U, (0.05 * 2.0) ** 2, rtol=1e-5)


def _seen(depth_j: float, variance: float, ratio: float) -> uncertainty.Correspondence:
    one = np.ones((1, 1), np.float32)
    return uncertainty.Correspondence(one > 0, depth_j * one, variance * one, ratio * one, depth_j * one)


@pytest.mark.parametrize("inverse", [True, False])
def test_equal_depths_propagate_variance_plus_noise(inverse: bool) -> None:
    depth = np.full((1, 1), 2.0, np.float32)
    out = fusion.propagate(depth, _seen(2.0, 0.09, 1.0), FusionConfig(inverse=inverse))
    np.testing.assert_allclose(out, 0.09 + (0.02 * 2.0) ** 2, rtol=1e-6)


def test_printed_propagation_scales_with_the_ratio() -> None:
    depth = np.full((1, 1), 2.0, np.float32)
    out = fusion.propagate(depth, _seen(3.0, 0.1, 1.5), FusionConfig(inverse=False, process=0.0))
    np.testing.assert_allclose(out, 0.15, rtol=1e-6)


def test_equal_variances_give_the_mean_and_half() -> None:
    depth, variance = fusion.combine(_array(1.0), _array(0.2), _array(2.0), _array(0.2))
    np.testing.assert_allclose([depth[0], variance[0]], [1.5, 0.1], rtol=1e-6)


@given(positive, positive, positive, positive, positive, positive)
def test_fusion_is_symmetric_associative_and_sharpens(
    a: float, va: float, b: float, vb: float, c: float, vc: float
) -> None:
    A, B, C = ((_array(d), _array(v)) for d, v in ((a, va), (b, vb), (c, vc)))
    ab, ba = fusion.combine(*A, *B), fusion.combine(*B, *A)
    np.testing.assert_allclose(ab, ba, rtol=1e-5)
    np.testing.assert_allclose(fusion.combine(*ab, *C), fusion.combine(*A, *fusion.combine(*B, *C)), rtol=1e-4)
    assert ab[1][0] <= min(va, vb) * (1 + 1e-5)
    far = fusion.combine(*A, _array(b), _array(1e12))
    np.testing.assert_allclose(far, A, rtol=1e-4)


def test_fuse_leaves_what_cannot_be_compared() -> None:
    depth, variance = np.full((1, 2), 2.0, np.float32), np.full((1, 2), 0.1, np.float32)
    other = np.full((1, 2), 2.2, np.float32)
    seen = uncertainty.Correspondence(np.ones((1, 2), bool), other, variance, other / depth, other)
    fused, U = fusion.fuse(depth, variance, seen, np.array([[True, False]]), FusionConfig(process=0.0))
    np.testing.assert_allclose(fused, [[2.1, 2.0]], rtol=1e-5)
    np.testing.assert_allclose(U, [[0.05, 0.1]], rtol=1e-5)


def test_keyframe_score_by_hand() -> None:
    config = KeyframeConfig(gain_weight=0.0)
    assert keyframes.score(0.25, 1.0, 1.0, 1.0, config) == pytest.approx(1.0)  # a quarter of the depth
    assert keyframes.score(0.0, 1.0, 2 / 3, 1.0, config) == pytest.approx(1.0)  # a third out of sight
    assert keyframes.score(0.0, 1.0, 1.0, np.e, KeyframeConfig()) == pytest.approx(4.0)
    assert [keyframes.threshold(n) for n in (0, 5, 50)] == [pytest.approx(0.14), 1.0, 1.0]


@pytest.mark.parametrize(
    ("distance", "usage", "frames", "age", "expected"),
    [
        (0.3, 1.0, 9, 0.1, True),
        (0.2, 0.95, 9, 0.1, False),
        (0.3, 1.0, 1, 0.1, False),  # too soon
        (0.05, 1.0, 9, 3.0, True),  # old, and moving
        (0.0, 1.0, 9, 3.0, False),  # old, but standing still
    ],
)
def test_keyframe_rule(distance: float, usage: float, frames: int, age: float, expected: bool) -> None:
    assert keyframes.need_keyframe(distance, 1.0, usage, 1.0, frames, age, 20, KeyframeConfig()) is expected


def test_bending_recovers_a_smooth_error_and_keeps_edges() -> None:
    y, x = np.mgrid[:120, :160].astype(np.float32)
    truth = np.where(x < 80, 2.0, 3.5).astype(np.float32)
    network = truth * np.exp(0.3 + 0.2 * np.sin(x / 40) * np.cos(y / 50)).astype(np.float32)
    anchors = np.zeros_like(truth)
    anchors[5::12, 5::12] = truth[5::12, 5::12]
    factor, near = densify.correction(network, anchors, (anchors > 0).astype(np.float32), DensifyConfig())
    bent = network * factor
    scaled = network * np.exp(-0.3)
    assert np.abs(np.log(bent / truth)).mean() < 0.3 * np.abs(np.log(scaled / truth)).mean()
    np.testing.assert_allclose(bent[:, 80] / bent[:, 79], 3.5 / 2, rtol=0.05)  # the step comes from the network
    assert near.min() >= 0
    assert near.max() <= 1


def test_bending_without_anchors_changes_nothing() -> None:
    depth = np.full((30, 40), 2.0, np.float32)
    factor, near = densify.correction(depth, np.zeros_like(depth), np.ones_like(depth), DensifyConfig())
    assert (factor == 1).all()
    assert (near == 0).all()
    assert densify.robust_log_ratio(np.zeros(3), np.ones(3)) == 0.0


def test_a_source_is_believed_by_what_it_says_of_its_error() -> None:
    depth = np.full((30, 40), 2.0, np.float32)
    unknown = uncertainty.source_variance(depth, None, CONFIG)
    np.testing.assert_allclose(unknown, uncertainty.first_uncertainty(depth, CONFIG))
    own = uncertainty.source_variance(depth, np.full_like(depth, 0.02), CONFIG)
    np.testing.assert_allclose(own, 0.04**2, rtol=1e-5)
    boasted = uncertainty.source_variance(depth, np.zeros_like(depth), CONFIG)
    np.testing.assert_allclose(boasted, (CONFIG.own_floor * 2) ** 2, rtol=1e-5)


def test_depths_are_fused_within_three_standard_deviations_of_their_difference() -> None:
    depth = np.full((9, 9), 2.0, np.float32)
    config = FusionConfig(process=0.0)
    variance = np.full_like(depth, 0.03**2)
    for other, expected in ((2.0 + 2.9 * 0.05, True), (2.0 + 3.1 * 0.05, False)):
        neighbour = np.full_like(depth, other)
        seen = uncertainty.look_up(depth, neighbour, np.full_like(depth, 0.04**2), K, np.eye(4))
        assert (uncertainty.consistent(depth, variance, seen, config) == expected).all()
    holes = uncertainty.look_up(depth, np.zeros_like(depth), variance, K, np.eye(4))
    assert not uncertainty.consistent(depth, variance, holes, config).any()


@given(st.floats(-1, 1), st.floats(0.001, 1.0))
def test_belief_in_a_ratio_is_the_precision_weighted_share(ratio: float, sd: float) -> None:
    config, sigma = DensifyConfig(), np.full((3, 3), sd, np.float32)
    assert densify.believed(ratio, None, config) == ratio
    precise = (ratio * config.map_scale_sd**-2) / (config.map_scale_sd**-2 + float(np.float32(sd)) ** -2)
    assert densify.believed(ratio, sigma, config) == pytest.approx(precise, rel=1e-5, abs=1e-12)


def test_a_corner_at_a_depth_edge_knows_nothing_of_its_depth() -> None:
    depth = np.full((20, 30), 2.0, np.float32)
    depth[:, 15:] = 4.0
    depth[10, 5] = 0
    sd = densify.corner_sd(depth, np.full_like(depth, 0.02))
    np.testing.assert_allclose(sd[:, :4], 0.02, rtol=1e-5)
    np.testing.assert_allclose(sd[:, 14:16], np.hypot(0.02, np.log(2) / 2), rtol=1e-5)
    np.testing.assert_allclose(sd[9:12, 4:7], 0.02, rtol=1e-5)  # a hole is no edge


def test_bending_gives_way_to_a_source_that_knows_better() -> None:
    depth = np.full((60, 80), 2.0, np.float32)
    anchors, weight = np.zeros_like(depth), np.zeros_like(depth)
    anchors[5::10, 5::10] = 2.0 * np.exp(np.where(np.arange(8) % 2, 0.2, -0.2))
    weight[anchors > 0] = 1
    config = DensifyConfig()
    free, _ = densify.correction(depth, anchors, weight, config)
    same, _ = densify.correction(depth, anchors, weight, config, np.full_like(depth, config.prior_sd))
    np.testing.assert_allclose(same, free, rtol=0.02)
    firm, _ = densify.correction(depth, anchors, weight, config, np.full_like(depth, 0.01))
    assert np.abs(np.log(firm)).max() < 0.1 * np.abs(np.log(free)).max()


def _record(depth: np.ndarray, network: np.ndarray) -> Keyframe:
    from slam_room import CAMERA

    return Keyframe(
        0, 0, 0.0, np.zeros((*depth.shape, 3), np.uint8), CAMERA, depth, np.square(0.15 * depth), network,
        np.zeros(depth.shape, np.uint16), np.eye(4),
    )  # fmt: skip


def test_bend_brings_a_keyframe_to_the_map_and_scale_factor_back_to_the_network() -> None:
    depth = np.full((120, 160), 2.0, np.float32)
    keyframe = _record(depth.copy(), depth.copy())
    pixels = np.stack([np.arange(20, 140, 4), np.full(30, 60)], 1).astype(float)
    finishing.bend(keyframe, pixels, np.full(30, 3.0), DensifyConfig())
    np.testing.assert_allclose(keyframe.depth_m, 3.0, rtol=1e-3)
    assert finishing.scale_factor([keyframe]) == pytest.approx(2 / 3, rel=1e-3)
    plain = _record(depth.copy(), depth.copy())
    finishing.bend(plain, pixels[:5], np.full(5, 3.0), DensifyConfig())  # too few points
    np.testing.assert_allclose(plain.depth_m, 2.0)
    assert finishing.scale_factor([]) == 1.0


def test_between_and_similarity_between() -> None:
    a, b = rigid.exp(np.array([1.0, 0, 0, 0, 0.2, 0])), rigid.exp(np.array([0, 1.0, 0, 0, 0.6, 0]))
    middle = finishing.between(a, b, 0.5)
    assert rigid.log(middle)[4] == pytest.approx(0.4)
    np.testing.assert_allclose(middle[:3, 3], (a[:3, 3] + b[:3, 3]) / 2)
    s, T = finishing.similarity_between(a, b, np.log(2.0))
    np.testing.assert_allclose(s * T[:3, :3] @ a[:3, 3] + T[:3, 3], b[:3, 3], atol=1e-12)
    np.testing.assert_allclose(T[:3, :3] @ a[:3, :3], b[:3, :3], atol=1e-12)
