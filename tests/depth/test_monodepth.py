"""Monodepth: sizes and counts of the published networks, its losses on rendered pairs, metres, and its use."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from scenewright.depth.monodepth import Monodepth, MonodepthConfig, post_process
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.stereo import depth_to_disparity, left_from_right
from stereo_pairs import BASELINE, mirrored, rendered
from tolerances import close

RESNET = {"encoder": "resnet50", "widths": (512, 256, 128, 64, 32, 16)}


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 31_600_072), (RESNET, 58_452_008), (RESNET | {"project_all": False}, 49_466_152)],
    ids=["vgg", "resnet50 as released", "resnet50 without needless projections"],
)
def test_published_counts_and_sizes(options: dict, count: int) -> None:
    with torch.device("meta"):
        model = Monodepth.from_preset("paper", **options)
        assert sum(p.numel() for p in model.parameters()) == count
        maps = model(torch.zeros(1, 3, 256, 512))
        assert [tuple(m.shape) for m in maps] == [(1, 2, 256 // n, 512 // n) for n in (1, 2, 4, 8)]


def test_vgg_maps_halve_seven_times() -> None:
    with torch.device("meta"):
        maps = Monodepth.from_preset("paper").trunk(torch.zeros(1, 3, 256, 512))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (32, 128, 256), (64, 64, 128), (128, 32, 64), (256, 16, 32), (512, 8, 16), (512, 4, 8), (512, 2, 4)
    ]  # fmt: skip


def test_small_ends_at_half_the_size_for_odd_sizes_too() -> None:
    with torch.device("meta"):
        maps = Monodepth.from_preset("small")(torch.zeros(1, 3, 75, 101))
    assert [tuple(m.shape[-2:]) for m in maps] == [(38, 51), (19, 26), (10, 13), (5, 7)]


def test_a_fresh_network_predicts_about_its_initial_disparity() -> None:
    torch.manual_seed(0)
    for preset, initial in (("paper", 0.15), ("small", 0.05)):
        model = Monodepth.from_preset(preset).eval()
        with torch.no_grad():
            maps = model(torch.rand(1, 3, 128, 128))
        assert all(float(m.min()) > 0 and float(m.max()) < 0.3 for m in maps)
        assert abs(float(maps[-1].median()) / initial - 1) < 0.3


def truth(sample, scales: int = 4) -> list[Tensor]:
    """The exact disparities of a rendered pair as the network would predict them."""
    width, height = sample.camera.width, sample.camera.height
    maps = []
    for scale in range(scales):
        size = height // 2**scale, width // 2**scale
        both = torch.cat([sample.depth_m, sample.right_depth_m], 1)
        depth = torch.nn.functional.interpolate(both, size, mode="area")
        maps.append(sample.camera.parameters[0].reshape(-1, 1, 1, 1) * BASELINE / depth / width)
    return maps


def loss_of(sample, maps: list[Tensor], **options: object) -> dict[str, float]:
    """The loss of the `small` network if it predicted these maps."""
    model = Monodepth.from_preset("small", baseline_m=BASELINE, **options)
    model.forward = lambda image: maps  # type: ignore[method-assign, assignment]
    return {name: float(value) for name, value in model.loss(sample, model.stages("small")[0]).items()}


def test_true_disparities_explain_the_pair_and_wrong_ones_do_not() -> None:
    sample = rendered()
    right = loss_of(sample, truth(sample))
    still = loss_of(sample, [0 * d for d in truth(sample)])
    mirrored_sign = loss_of(sample, [-d for d in truth(sample)])
    assert right["appearance"] < 0.5 * still["appearance"] < 0.5 * mirrored_sign["appearance"]
    assert (
        right["left_right"]
        < 0.25 * loss_of(sample, [d * d.new_tensor([1, 1.5]).view(1, 2, 1, 1) for d in truth(sample)])["left_right"]
    )


def test_the_true_disparity_rebuilds_what_both_views_see() -> None:
    """Less than a fifth of the identity's error where nothing is hidden; the wrong sign is worse than the identity."""
    sample = rendered()
    disparity = depth_to_disparity(sample.depth_m, sample.camera, BASELINE)

    def error(disp: Tensor) -> float:
        made, valid = left_from_right(sample.right, disp)
        return float((made - sample.image).abs()[valid.expand_as(made)].mean())

    assert error(disparity) < 0.2 * error(0 * disparity)
    assert error(-disparity) > error(0 * disparity)


def test_a_pair_of_another_baseline_asks_for_the_same_prediction() -> None:
    """The network predicts the canonical rig's disparity: half of it explains a pair of half the baseline."""
    sample = rendered()
    model = Monodepth.from_preset("small", baseline_m=2 * BASELINE)
    maps = [2 * d for d in truth(sample)]
    model.forward = lambda image: maps  # type: ignore[method-assign, assignment]
    stage = model.stages("small")[0]
    expected = loss_of(sample, truth(sample))
    for name, value in model.loss(sample, stage).items():
        assert float(value) == pytest.approx(expected[name], rel=1e-4)


def test_the_loss_is_the_mirror_s_loss() -> None:
    """Mirror and swap the pair, mirror and swap the disparities: nothing changes."""
    sample = rendered(dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    maps = [0.02 + 0.1 * torch.rand(1, 2, 64 >> s, 96 >> s, generator=generator, dtype=torch.float64) for s in range(4)]
    swapped = [m.flip(-1).flip(1) for m in maps]
    first, second = loss_of(sample, maps), loss_of(mirrored(sample), swapped)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name] == pytest.approx(second[name], rel=1e-9), name


def test_weights_of_the_terms_by_hand() -> None:
    """A ramp of slope g in every map costs 0.1 (g + g/2 + g/4 + g/8) per view where pictures are flat."""
    sample = replace(rendered(64, 64), image=torch.full((1, 3, 64, 64), 0.5), right=torch.full((1, 3, 64, 64), 0.5))
    maps = [0.001 * torch.arange(64 >> s).float().expand(1, 2, 64 >> s, 64 >> s) for s in range(4)]
    assert loss_of(sample, maps)["smoothness"] == pytest.approx(2 * 0.1 * 0.001 * (1 + 1 / 2 + 1 / 4 + 1 / 8), rel=1e-4)
    assert loss_of(sample, [m.mT for m in maps], smooth="x_only")["smoothness"] == pytest.approx(0, abs=1e-9)


def test_constant_equal_maps_agree_up_to_the_border() -> None:
    sample = rendered(64, 64)
    flat = [torch.full((1, 2, 64 >> s, 64 >> s), 0.0) for s in range(4)]
    assert loss_of(sample, flat)["left_right"] == 0


def test_the_ablation_drops_the_term_and_leaves_the_rest() -> None:
    sample = rendered()
    whole, without = loss_of(sample, truth(sample)), loss_of(sample, truth(sample), left_right=False)
    assert without == {name: value for name, value in whole.items() if name != "left_right"}


def test_post_processing_blends_by_column() -> None:
    first, second = torch.full((1, 1, 2, 201), 1.0), torch.full((1, 1, 2, 201), 3.0)
    blended = post_process(first, second)[0, 0, 0]
    close(blended[:11], torch.full((11,), 3.0))  # the left twentieth
    close(blended[-11:], torch.full((11,), 1.0))
    close(blended[20:181], torch.full((161,), 2.0))
    close(blended[15], torch.tensor(2.5))  # half way down the ramp
    close(post_process(first, first), first)


@pytest.fixture(scope="module")
def small() -> Monodepth:
    torch.manual_seed(0)
    return Monodepth(MonodepthConfig.small()).eval()


def test_depth_is_focal_times_baseline_over_disparity(small: Monodepth) -> None:
    image, camera = torch.rand(1, 3, 64, 96), Camera.from_fov(96, 64, 60.0)
    prediction = small.predict(image, camera)
    assert prediction.metric
    assert prediction.depth_m.shape == (1, 1, 64, 96)
    far = small.predict(image, Camera.from_parameters(96, 64, 2 * float(camera.K[0, 0]), 100, 47.5, 31.5)).depth_m
    close(far, 2 * prediction.depth_m)
    with torch.no_grad():
        fraction = small._fraction(image, camera).mean()
    assert float(prediction.depth_m.median()) == pytest.approx(
        0.2 * float(camera.K[0, 0]) / 96 / float(fraction), rel=0.2
    )


def test_without_a_baseline_there_is_no_scale(small: Monodepth) -> None:
    torch.manual_seed(0)
    unknown = Monodepth.from_preset("small", baseline_m=None).eval()
    image, camera = torch.rand(1, 3, 64, 96), Camera.from_fov(96, 64, 60.0)
    prediction = unknown.predict(image, camera)
    assert not prediction.metric
    close(0.2 * prediction.depth_m, small.predict(image, camera).depth_m)


def test_predicting_a_mirrored_picture_mirrors_the_middle(small: Monodepth) -> None:
    """With the blend of both directions the middle of the map is symmetric; only the borders differ."""
    image, camera = torch.rand(1, 3, 64, 96), Camera.from_fov(96, 64, 60.0)
    there, back = small.predict(image, camera).depth_m, small.predict(image.flip(-1), camera).depth_m.flip(-1)
    close(there[..., 16:80], back[..., 16:80])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": torch.rand(1, 3, 64, 95)}, "right: found shape"),
        ({"right": 2 * torch.ones(1, 3, 64, 96)}, r"RGB in \[0, 1\]"),
        ({"baseline_m": torch.tensor([-0.1])}, "baseline_m"),
        ({"camera": Camera.from_fov(64, 64, 60.0)}, r"camera: found size \(64, 64\)"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(small: Monodepth, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small.loss(replace(rendered(), **change), small.stages("small")[0])


@pytest.mark.parametrize(("field", "value"), [("widths", (8, 8, 8)), ("initial", 0.3), ("initial", 0.0)])
def test_configs_that_cannot_be_built_are_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=field):
        Monodepth.from_preset("small", **{field: value})
