"""Thin-lens stacks against the lens equation, exact scenes of flat surfaces, and what must never happen at an edge."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.errors import InputError
from scenewright.worlds.focus import blur_diameter_px, cut, disc, focal_stack, focus_distances

FOCAL, APERTURE = 100.0, 0.05  # 5 px of blur for each 1/m


def texture(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (height, width, 3)).astype(np.float32)


def stack_of(image: np.ndarray, depth: np.ndarray, *focus: float, aperture: float = APERTURE) -> np.ndarray:
    return focal_stack(image, depth.astype(np.float32), FOCAL, np.array(focus, np.float32), aperture, gamma=1.0)


def blurred(image: np.ndarray, diameter: float) -> np.ndarray:
    return cv2.filter2D(image, -1, disc(diameter), borderType=cv2.BORDER_REPLICATE)


def test_the_lens_equation() -> None:
    """f = 50 mm, N = 2, focused at 2 m: a point at 4 m has c = A f |z - z_f| / (z (z_f - f)) = 0.3205 mm."""
    f, aperture, focus = 0.05, 0.025, 2.0
    image_distance_px = f * focus / (focus - f) / 1e-5  # 1/f = 1/z_f + 1/v, pixels of 0.01 mm
    assert blur_diameter_px(4.0, focus, aperture, image_distance_px) == pytest.approx(32.05, abs=0.01)
    assert blur_diameter_px(focus, focus, aperture, image_distance_px) == 0
    assert blur_diameter_px(np.inf, focus, aperture, image_distance_px) == pytest.approx(64.10, abs=0.01)


def test_the_aperture_of_a_light_field() -> None:
    """Nine views spread a point at disparity d0, refocused at d, over 8 |d0 - d| pixels (DDFF 12-Scene)."""
    focal, baseline = 521.4052, 2.709e-4
    d0, d = focal * baseline / 0.9, focal * baseline / 3.0
    assert blur_diameter_px(0.9, 3.0, 8 * baseline, focal) == pytest.approx(8 * (d0 - d))


@given(st.floats(0.5, 7), st.floats(0.01, 0.5))
def test_blur_is_linear_in_inverse_depth(focus: float, step: float) -> None:
    near, far = 1 / (1 / focus + step), 1 / (1 / focus - step) if 1 / focus > step else None
    expected = pytest.approx(APERTURE * FOCAL * step, rel=1e-6)
    assert blur_diameter_px(near, focus, APERTURE, FOCAL) == expected
    if far is not None:
        assert blur_diameter_px(far, focus, APERTURE, FOCAL) == expected


def test_distances_are_even_in_inverse_depth() -> None:
    distances = focus_distances(0.5, 7.0, 10)
    assert distances[0] == pytest.approx(0.5)
    assert distances[-1] == pytest.approx(7.0)
    np.testing.assert_allclose(np.diff(0.14125 / distances), -0.0291468, atol=2e-6)  # (0.2825 - 0.0201786) / 9
    for wrong in ((2.0, 1.0, 5), (0.0, 1.0, 5), (1.0, 2.0, 1), (1.0, np.inf, 3)):
        with pytest.raises(InputError, match="focus distances"):
            focus_distances(*wrong)


@given(st.floats(0, 24))
def test_a_disc_is_even_and_sums_to_one(diameter: float) -> None:
    kernel = disc(diameter)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    np.testing.assert_array_equal(kernel, kernel.T)
    assert kernel.shape[0] == (1 if diameter <= 1 else 2 * int(np.ceil(diameter / 2 - 0.5)) + 1)


def test_a_disc_s_second_moment_is_that_of_the_ideal_one() -> None:
    """Mean of x^2 over a disc of diameter c is c^2 / 16 (a Gaussian's of sigma c / 4), and a pixel adds 1/12."""
    for diameter in (6.0, 9.5, 16.0, 21.3):
        kernel = disc(diameter).astype(np.float64)
        x = np.arange(len(kernel)) - len(kernel) // 2
        assert (kernel.sum(0) * x**2).sum() == pytest.approx(diameter**2 / 16 + 1 / 12, rel=0.02)


@pytest.mark.parametrize("depth", [0.5, 1.0, 2.5, 7.0])
def test_a_flat_scene_is_one_exact_convolution(depth: float) -> None:
    image = texture(0)
    stack = stack_of(image, np.full((48, 64), depth), 0.5, 1.0, 4.0)
    for picture, focus in zip(stack, (0.5, 1.0, 4.0), strict=True):
        np.testing.assert_allclose(picture, blurred(image, 5 * abs(1 / focus - 1 / depth)), atol=1e-6)


class TestAnEdge:
    """A textured card at 1 m covers the left of a ground at 4 m whose rows are even: what is behind it is known."""

    mask = np.zeros((48, 64), bool)
    mask[:, :30] = True
    depth = np.where(mask, 1.0, 4.0)
    rows = np.repeat(np.random.default_rng(1).uniform(0.2, 0.8, (48, 1, 3)), 64, 1).astype(np.float32)

    def truth(self, card: np.ndarray, ground: np.ndarray, focus: float) -> np.ndarray:
        """The card's light and its cover are spread by its disc, and lie over the blurred ground."""
        near, far = (12 * abs(1 / focus - 1 / z) for z in (1.0, 4.0))
        alpha = blurred(self.mask.astype(np.float32), near)[..., None]
        return blurred(card * self.mask[..., None], near) + (1 - alpha) * blurred(ground, far)

    def seen(self, card: np.ndarray, ground: np.ndarray, focus: float) -> np.ndarray:
        image = np.where(self.mask[..., None], card, ground)
        return stack_of(image, self.depth, focus, aperture=0.12)[0]

    @pytest.mark.parametrize("focus", [0.7, 1.0, 2.0, 4.0, 9.0])
    def test_before_an_even_ground_it_is_exact(self, focus: float) -> None:
        card, ground = texture(2), np.full((48, 64, 3), 0.35, np.float32)
        np.testing.assert_allclose(self.seen(card, ground, focus), self.truth(card, ground, focus), atol=2e-4)

    def test_a_ground_in_focus_goes_on_behind_the_blurred_card(self) -> None:
        card = texture(2)
        np.testing.assert_allclose(self.seen(card, self.rows, 4.0), self.truth(card, self.rows, 4.0), atol=2e-4)

    def test_a_card_in_focus_does_not_bleed_into_the_ground(self) -> None:
        card, ground = np.ones((48, 64, 3), np.float32), np.full((48, 64, 3), 0.1, np.float32)
        np.testing.assert_allclose(self.seen(card, ground, 1.0)[:, 30:], 0.1, atol=2e-4)
        naive = blurred(np.where(self.mask[..., None], card, ground), 9.0)  # gathering by the pixel's own blur
        assert naive[:, 31].mean() > 0.3

    def test_three_depths_in_order_of_depth_not_of_the_picture(self) -> None:
        depth = np.full((48, 64), 4.0)
        depth[:, 20:44], depth[:, 28:36] = 2.0, 1.0
        image = np.where(depth[..., None] == 4, 0.2, np.where(depth[..., None] == 2, 0.5, 0.9)).astype(np.float32)
        picture = stack_of(np.repeat(image, 3, 2) if image.shape[2] == 1 else image, depth, 1.0, aperture=0.12)[0]
        np.testing.assert_allclose(picture[:, 28:36], 0.9, atol=2e-4)
        assert (picture[:, 24:28] <= 0.5 + 1e-3).all()  # blurred by 6 px, and the nearest adds nothing


def test_a_slanted_surface_of_one_colour_stays_so() -> None:
    """Cutting into layers must not open cracks, whatever the slant and the blur."""
    depth = np.repeat(1 / np.linspace(1 / 0.6, 1 / 8, 64)[None], 48, 0)
    stack = stack_of(np.full((48, 64, 3), 0.6, np.float32), depth, *focus_distances(0.6, 8, 6), aperture=0.12)
    np.testing.assert_allclose(stack, 0.6, atol=1e-5)


def test_a_slanted_surface_is_what_spreading_each_pixel_gives() -> None:
    """Brute force: every pixel spreads its light by its own disc; layers err by half a pixel of blur."""
    image = texture(3)
    depth = np.repeat(1 / np.linspace(1.2, 0.3, 64)[None], 48, 0)
    focus = 2.0
    light, cover = np.zeros((88, 104, 3)), np.zeros((88, 104, 1))
    for y in range(48):
        for x in range(64):
            kernel = disc(12 * abs(1 / focus - 1 / depth[y, x]))[..., None].astype(np.float64)
            reach = len(kernel) // 2
            where = np.s_[y + 20 - reach : y + 21 + reach, x + 20 - reach : x + 21 + reach]
            light[where] += kernel * image[y, x]
            cover[where] += kernel
    truth = (light / np.maximum(cover, 1e-9))[20:68, 20:84]
    picture = focal_stack(image, depth.astype(np.float32), FOCAL, np.array([focus]), 0.12, gamma=1.0, step_px=0.25)[0]
    inside = np.s_[8:-8, 8:-8]
    error = np.abs(picture - truth)[inside].mean()
    assert error < 0.01
    assert error < 0.1 * np.abs(image - truth)[inside].mean()


def test_each_surface_is_sharpest_where_it_is_focused() -> None:
    depth = np.full((48, 64), 3.375)
    depth[:, 32:] = 1.0
    stack = stack_of(texture(4), depth, 1.0, 1.5, 3.375, aperture=0.2)
    sharpness = [[picture[:, half].std() for picture in stack] for half in (np.s_[:24], np.s_[40:])]
    assert [int(np.argmax(row)) for row in sharpness] == [2, 0]


def test_unknown_depth_counts_as_the_farthest_and_bytes_as_values() -> None:
    image = (255 * texture(5)).astype(np.uint8)
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, 40:] = 5.0
    holes = np.where(depth == 5, 0, depth).astype(np.float32)
    holes[0, 63] = 5.0
    focus = np.array([1.0], np.float32)
    of_bytes = focal_stack(image, depth, FOCAL, focus, APERTURE)
    np.testing.assert_array_equal(of_bytes, focal_stack(image, holes, FOCAL, focus, APERTURE))
    of_values = focal_stack(image.astype(np.float32) / np.float32(255), depth, FOCAL, focus, APERTURE)
    np.testing.assert_allclose(of_bytes, of_values, atol=1e-6)
    assert of_bytes.shape == (1, 48, 64, 3)
    assert of_bytes.dtype == np.float32


def test_light_and_not_its_code_is_blurred() -> None:
    """A bright dot on black keeps its light: the sum of value^gamma, not of the values."""
    image = np.zeros((48, 64, 3), np.float32)
    image[24, 32] = 1
    picture = focal_stack(image, np.full((48, 64), 1.0, np.float32), FOCAL, np.array([5.0]), APERTURE)[0]
    assert (picture.astype(np.float64) ** 2.2).sum(axis=(0, 1)) == pytest.approx(1, abs=1e-4)


def test_layers_cover_the_picture_once() -> None:
    rng = np.random.default_rng(0)
    layers = cut(texture(6), rng.uniform(0.5, 8, (48, 64)).astype(np.float32), 0.2)
    own = sum((layer.content[..., 3] > 0.5).astype(int) for layer in layers)
    assert (own == 1).all()
    inverse = [layer.inverse_depth for layer in layers]
    assert inverse == sorted(inverse)


IMAGE, DEPTH, FOCUS = np.zeros((4, 5, 3), np.float32), np.ones((4, 5), np.float32), np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ((IMAGE[..., 0], DEPTH, 50.0, FOCUS, 0.1), "image"),
        ((IMAGE, DEPTH[1:], 50.0, FOCUS, 0.1), "depth"),
        ((IMAGE, 0 * DEPTH, 50.0, FOCUS, 0.1), "depth"),
        ((IMAGE, -DEPTH, 50.0, FOCUS, 0.1), "depth"),
        ((IMAGE, np.nan * DEPTH, 50.0, FOCUS, 0.1), "depth"),
        ((IMAGE, DEPTH, 50.0, np.array([0.0]), 0.1), "focus distances"),
        ((IMAGE, DEPTH, 50.0, np.array([]), 0.1), "focus distances"),
        ((IMAGE, DEPTH, 0.0, FOCUS, 0.1), "lens"),
        ((IMAGE, DEPTH, 50.0, FOCUS, -0.1), "lens"),
    ],
)
def test_bad_input(arguments: tuple, subject: str) -> None:
    with pytest.raises(InputError, match=f"^{subject}: found"):
        focal_stack(*arguments)
