"""The camera model: each effect does what it says and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenewright.worlds import sensor
from scenewright.worlds.sensor import Sensor, develop

LINEAR = Sensor(gain=1.0, shoulder=0.0, contrast=1.0, saturation=1.0)


def light(seed: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Random linear light with values from dark to twice white."""
    return np.random.default_rng(seed).random((*size, 3), np.float32) ** 2 * 2


def flat(value: float) -> np.ndarray:
    return np.full((32, 32, 3), value, np.float32)


@pytest.mark.parametrize("value", [0.0, 0.01, 0.18, 0.5, 1.0])
def test_plain_camera_is_a_gamma(value):
    assert np.abs(develop(flat(value), LINEAR).astype(float) - 255 * value ** (1 / 2.2)).max() <= 1


def test_white_and_black_clip():
    assert (develop(flat(1.3), LINEAR) == 255).all()
    assert (develop(flat(0.02), replace(LINEAR, black=0.03)) == 0).all()


def test_exposure_is_in_stops():
    two = develop(flat(0.1), replace(LINEAR, exposure_ev=1.0))
    np.testing.assert_array_equal(two, develop(flat(0.2), LINEAR))


def test_tone_curve_rises_everywhere():
    ramp = np.repeat(np.linspace(0, 1.5, 256, dtype=np.float32)[None, :, None], 3, axis=2)
    for shoulder in (0.0, 0.5, 1.0):
        for contrast in (0.8, 1.2, 1.6):
            row = develop(ramp, replace(LINEAR, shoulder=shoulder, contrast=contrast))[0, :, 0].astype(int)
            assert (np.diff(row) >= 0).all()


def test_automatic_exposure_does_not_care_how_strong_the_light_is():
    base = develop(light())
    for factor in (0.01, 7.0):
        assert np.abs(develop(light() * np.float32(factor)).astype(int) - base).max() <= 4


def test_black_pictures_stay_finite():
    assert (develop(flat(0.0), Sensor()) <= 1).all()


def test_white_balance_and_saturation():
    warm = develop(flat(0.3), replace(LINEAR, white_balance=(1.3, 1.0, 0.7)))[0, 0].astype(int)
    assert warm[0] > warm[1] > warm[2]
    grey = develop(light(), replace(LINEAR, saturation=0.0)).astype(int)
    assert (np.ptp(grey, axis=-1) <= 1).all()


def test_motion_blur_keeps_light_and_smears_along_its_direction():
    point = np.zeros((33, 33, 3), np.float32)
    point[16, 16] = 0.9
    for angle, axis in ((0.0, 1), (90.0, 0)):
        kernel = sensor._motion_kernel(7.0, angle)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        spread = develop(point, replace(LINEAR, motion_px=7.0, motion_deg=angle))[..., 0] > 10
        assert np.ptp(np.nonzero(spread)[axis]) >= 5
        assert np.ptp(np.nonzero(spread)[1 - axis]) <= 2


def test_defocus_is_a_disc():
    kernel = sensor._disc_kernel(3.0)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel.T)
    assert kernel[3, 3] == kernel.max()
    assert kernel[0, 0] == 0


def test_noise_has_the_deviation_asked_for():
    noisy = develop(np.full((200, 200, 3), 0.2, np.float32), replace(LINEAR, read_noise=0.03)).astype(float) / 255
    assert noisy.std() == pytest.approx(0.03, rel=0.25)
    assert noisy.mean() == pytest.approx(0.2 ** (1 / 2.2), abs=0.01)


def test_sharpening_makes_halos():
    step = np.full((20, 40, 3), 0.1, np.float32)
    step[:, 20:] = 0.4
    plain, sharp = develop(step, LINEAR), develop(step, replace(LINEAR, sharpen=1.0))
    assert sharp[10, 20, 0] > plain[10, 20, 0] + 5
    assert sharp[10, 19, 0] < plain[10, 19, 0] - 5
    assert sharp[10, 2, 0] == plain[10, 2, 0]


def test_vignette_darkens_corners_only():
    got = develop(flat(0.4), replace(LINEAR, vignette=0.4)).astype(int)
    assert got[16, 16, 0] - got[0, 0, 0] > 20
    assert abs(got[16, 16, 0] - develop(flat(0.4), LINEAR)[0, 0, 0]) <= 1


def test_jpeg_changes_little_and_keeps_channels():
    smooth = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (48, 64, 3)).copy()
    smooth[..., 2] *= 0.3
    a, b = develop(smooth, LINEAR), develop(smooth, replace(LINEAR, jpeg=85))
    assert a.shape == b.shape
    assert 0 < np.abs(a.astype(int) - b).mean() < 6


def test_sampled_cameras_are_deterministic_and_diverse():
    picks = [sensor.sample_sensor(np.random.default_rng(i)) for i in range(60)]
    assert picks[7] == sensor.sample_sensor(np.random.default_rng(7))
    pictures = np.stack([develop(light(), s, seed=1) for s in picks])
    means = pictures.mean((1, 2, 3))
    assert means.std() > 12
    assert (pictures == 255).any()
    assert (pictures < 3).any()
    np.testing.assert_array_equal(develop(light(), picks[0], seed=4), develop(light(), picks[0], seed=4))


def test_a_walk_is_one_camera_that_drifts():
    walk = sensor.sensor_walk(np.random.default_rng(2), 100)
    assert len(walk) == 100
    assert len({s.contrast for s in walk}) == 1
    ev = np.array([s.exposure_ev for s in walk])
    assert 0 < np.abs(np.diff(ev)).max() < 0.15
    assert np.ptp(ev) > 0.02


@pytest.mark.parametrize("shape", [(1, 1), (7, 5)])
def test_tiny_pictures_work(shape):
    got = develop(light(size=shape), sensor.sample_sensor(np.random.default_rng(0)))
    assert got.shape == (*shape, 3)
