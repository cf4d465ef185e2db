"""DDFFNet against the counts of its sheet, and what its answer means for other stacks."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from scenewright.depth.ddff import DDFF, DDFFConfig, squared_error
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from tolerances import close

COUNTS = {
    (3,): 39_790_348,
    (): 39_200_524,
    (1,): 39_237_388,
    (2,): 39_347_980,
    (4,): 41_559_820,
    (5,): 41_559_820,
    (1, 2, 3, 4, 5): 44_693_260,
}
CAMERA = Camera.from_fov(80, 64, 60.0)


def on_meta(**changes: object) -> DDFF:
    with torch.device("meta"):
        return DDFF.from_preset("paper", **changes)


@pytest.fixture(scope="module")
def small() -> DDFF:
    torch.manual_seed(0)
    return DDFF(DDFFConfig.small()).eval()


@pytest.mark.parametrize("cc", COUNTS, ids=str)
def test_parameters_of_every_connection(cc: tuple[int, ...]) -> None:
    assert sum(p.numel() for p in on_meta(cc=cc).parameters()) == COUNTS[cc]


def test_only_up_convolutions_have_parameters_of_their_own() -> None:
    ups = sum(p.numel() for p in on_meta().up.parameters())
    assert ups == 16 * sum(c**2 for c in (64, 128, 256, 512, 512))
    for how in ("bilinear", "unpool"):
        assert sum(p.numel() for p in on_meta(upsampling=how).parameters()) == COUNTS[(3,)] - ups


@pytest.mark.parametrize("how", ["upconv", "bilinear", "unpool"])
def test_output_is_one_map_of_the_stack_s_size(how: str) -> None:
    if how != "unpool":  # which has no shapes without values
        with torch.device("meta"):
            assert on_meta(upsampling=how)(torch.zeros(2, 10, 3, 224, 224)).shape == (2, 1, 224, 224)
    model = DDFF.from_preset("small", upsampling=how, widths=(4, 8), convs=(1, 2), cc=(2,))
    assert model(torch.rand(2, 10, 3, 16, 24)).shape == (2, 1, 16, 24)


def test_unpooling_returns_values_to_where_they_came_from() -> None:
    model = DDFF.from_preset("small", upsampling="unpool", widths=(4,), convs=(1,), cc=())
    seen: list[torch.Tensor] = []
    model.decoder[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.encoder[0].register_forward_hook(lambda _, __, output: seen.append(output))
    model(torch.rand(1, 10, 3, 8, 8))
    encoded, unpooled = seen
    kept = unpooled != 0
    assert torch.equal(unpooled[kept], encoded[kept])
    assert (kept.view(10, 4, 4, 2, 4, 2).sum((3, 5)) <= 1).all()
    close(nn.functional.max_pool2d(unpooled, 2), nn.functional.max_pool2d(encoded, 2))


def test_focus_of_the_slices() -> None:
    config = DDFFConfig.paper()
    spacing = -config.disparities.diff()
    close(config.disparities, 0.2825 - torch.arange(10) * (0.2825 - 0.0202) / 9)
    close(spacing, torch.full((9,), 0.029144))
    close(config.focus_m[[0, -1]], torch.tensor([0.5, 0.14125 / 0.0202]))
    assert (config.focus_m.diff() > 0).all()


def test_equal_weights_on_equal_slices_return_the_map_of_one(small: DDFF) -> None:
    model = DDFF(small.config).eval()
    model.load_state_dict(small.state_dict())
    nn.init.constant_(model.score.weight, 0.1)
    picture = torch.rand(1, 1, 3, 16, 24)
    with torch.no_grad():
        one = model._per_slice((picture[:, 0] - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
                               / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))  # fmt: skip
        close(model(picture.expand(-1, 10, -1, -1, -1)), one)


def test_the_last_channel_is_alive_at_the_start(small: DDFF) -> None:
    model = DDFF(small.config)
    disparity = model.train()(torch.rand(2, 10, 3, 32, 32)).detach()
    low, high = model.config.disparities[[-1, 0]]
    assert low < disparity.mean() < high
    assert float(disparity.std()) > 0


def test_squared_error_by_hand() -> None:
    """The first pixel has no truth: (0.2 - 0.1)^2 + (0.4 - 0.2)^2 = 0.05."""
    truth, said = (torch.tensor(v).view(1, 1, 1, 3) for v in ([0.0, 0.1, 0.2], [9.0, 0.2, 0.4]))
    close(squared_error(said, truth, truth > 0.02, "sum"), torch.tensor([0.05]))
    close(squared_error(said, truth, truth > 0.02, "mean"), torch.tensor([0.025]))
    close(squared_error(said, truth, truth > 1, "mean"), torch.tensor([0.0]))


def test_depth_out_of_the_range_that_is_learnt_does_not_count(small: DDFF) -> None:
    sample = small.example(2, 0)
    stage = small.stages("small")[0]
    holes = sample.depth_m.clone()
    holes[:, :, :8], holes[:, :, 8:12], holes[:, :, 12:16] = 0, 0.3, 40
    with torch.no_grad():
        inner = small.loss(replace(sample, depth_m=holes), stage)["disparity"]
        cropped = small(sample.stack)[:, :, 16:]
    truth = (small.config.metre_pixels / sample.depth_m)[:, :, 16:]
    close(inner, (cropped - truth).square().mean((1, 2, 3)))


def test_blur_of_every_slice_is_its_distance_from_the_truth(small: DDFF, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighed by the stage; a pixel out of the range that is learnt does not count."""
    sample = small.example(2, 0)
    holes = sample.depth_m.clone()
    holes[:, :, :8] = 40
    sample = replace(sample, depth_m=holes)
    stage = replace(small.stages("small")[0], terms=(("blur", 0.5),))
    disparity = small.config.metre_pixels / sample.depth_m
    distance = (disparity - small.config.disparities.view(1, 10, 1, 1)).abs()
    distance[:, :, :8] = 7
    monkeypatch.setattr(small, "of_each_slice", lambda stack: distance)
    close(small.loss(sample, stage)["blur"], torch.zeros(2))
    monkeypatch.setattr(small, "of_each_slice", lambda stack: distance + 0.1)
    close(small.loss(sample, stage)["blur"], torch.full((2,), 0.5 * 10 * 0.01))


def said(model: DDFF, disparity: torch.Tensor, focus_m: torch.Tensor) -> torch.Tensor:
    return model._depth(disparity.view(1, 1, 1, -1), 1 / focus_m[None]).flatten()


def test_with_the_trained_distances_depth_is_the_inverse_of_disparity(small: DDFF) -> None:
    disparity = torch.linspace(0.1, 1.0, 23)
    close(said(small, disparity, small.config.focus_m), small.config.metre_pixels / disparity)
    nearer = torch.linspace(1.0, 1.6, 7)  # than the first slice: blur goes on, down to the nearest depth learnt
    close(said(small, nearer, small.config.focus_m), small.config.metre_pixels / nearer)
    beyond = said(small, torch.tensor([-1.0, 0.0, 5.0]), small.config.focus_m)
    close(beyond, torch.tensor([8.0, 8.0, 0.5]))


def test_with_other_distances_it_is_a_place_between_slices(small: DDFF) -> None:
    macro = torch.tensor([0.100, 0.101, 0.102, 0.104, 0.106, 0.108, 0.110, 0.113, 0.116, 0.120])
    close(said(small, small.config.disparities, macro), macro)
    between = said(small, (small.config.disparities[3:4] + small.config.disparities[4:5]) / 2, macro)
    close(between, 2 / (1 / macro[3:4] + 1 / macro[4:5]))


def test_unknown_distances_leave_the_scale_unknown(small: DDFF) -> None:
    stack = torch.rand(1, 10, 3, 64, 80)
    known, unknown = small.predict(stack, CAMERA, small.config.focus_m), small.predict(stack, CAMERA)
    assert (known.metric, unknown.metric) == (True, False)
    close(known.depth_m, unknown.depth_m)
    assert known.depth_m.shape == (1, 1, 64, 80)


def test_other_numbers_of_slices_are_brought_to_the_trained_ones(small: DDFF) -> None:
    stack = torch.rand(1, 10, 3, 64, 80)
    twice, distances = stack.repeat_interleave(2, 1), small.config.focus_m
    close_by = torch.stack([distances, distances * (1 + 1e-4)], 1).flatten()
    doubled = small.predict(twice, CAMERA, close_by).depth_m
    assert (doubled / small.predict(stack, CAMERA, distances).depth_m - 1).abs().max() < 1e-3
    assert torch.isfinite(small.predict(stack[:, ::4], CAMERA, distances[::4]).depth_m).all()


def test_the_order_of_slices_matters(small: DDFF) -> None:
    stack = small.example(1, 0).stack
    camera = Camera.from_fov(32, 32, 60.0)
    forth, back = small.predict(stack, camera).depth_m, small.predict(stack.flip(1), camera).depth_m
    assert not torch.allclose(forth, back, rtol=1e-3)


def test_pictures_are_brought_to_the_focal_length_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """And sides that do not fit are filled up by reflection."""
    model = on_meta()
    seen: list[tuple[int, ...]] = []

    def network(stack: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(stack.shape))
        return stack[:, 0, :1]

    monkeypatch.setattr(model, "forward", network)
    picture = torch.rand(1, 10, 3, 383, 552)
    close(model._disparity(picture, 1.0), picture[:, 0, :1])
    assert seen == [(1, 10, 3, 384, 576)]
    focal = torch.tensor([521.4052, 2 * 521.4052, 0.5 * 521.4052])
    camera = Camera(552, 383, torch.stack([Camera.from_parameters(552, 383, f, f, 275.0, 191.0).K for f in focal]))
    own, tele, wide = model._ratio(camera).tolist()
    assert (own, tele, wide) == pytest.approx((1, 0.5, 2))
    assert model._disparity(torch.rand(1, 10, 3, 766, 1104), tele).shape == (1, 1, 766, 1104)
    assert seen[1] == (1, 10, 3, 384, 576)


@pytest.mark.parametrize(
    ("stack", "focus", "message"),
    [
        (torch.rand(1, 1, 3, 64, 80), None, "stack: found shape"),
        (torch.rand(1, 10, 3, 64, 79), None, "camera: found size"),
        (torch.rand(1, 10, 3, 64, 80), torch.ones(10), "focus_m: found .*ascend"),
        (torch.rand(1, 10, 3, 64, 80), torch.arange(10.0), "focus_m: found .*ascend"),
        (torch.rand(1, 10, 3, 64, 80), torch.arange(1, 10.0), "focus_m: found shape"),
        (torch.rand(1, 10, 3, 64, 80), torch.arange(1, 11), "focus_m: found shape"),
    ],
)
def test_bad_stacks_are_refused(small: DDFF, stack: torch.Tensor, focus: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small.predict(stack, CAMERA, focus)


def test_the_raw_network_wants_its_own_number_of_slices(small: DDFF) -> None:
    for shape in ((1, 9, 3, 32, 32), (1, 10, 3, 30, 32)):
        with pytest.raises(InputError, match="stack: found"):
            small(torch.rand(*shape))


@pytest.mark.parametrize(
    "changes", [{"cc": (4,)}, {"widths": (8, 8)}, {"slices": 1}, {"near_m": 9.0}, {"nearest_m": 0.9}]
)
def test_impossible_configs(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="ddff config"):
        replace(DDFFConfig.small(), **changes)
