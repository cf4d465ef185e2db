"""Garg et al.: sizes and counts, the doubling layer, the objective's closed forms, and why it goes coarse to fine."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.depth.garg import COARSE_TO_FINE, Doubling, Garg, GargConfig
from scenewright.engine import schedule
from scenewright.engine.method import Stage
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.stereo import linearised_left_from_right
from stereo_pairs import BASELINE, rendered
from tolerances import close

ALEXNET = {"encoder": "alexnet", "objective": "l2", "coarse_to_fine": True, "smoothness": 0.01}


def test_the_released_network_s_count_and_sizes() -> None:
    with torch.device("meta"):
        model = Garg.from_preset("paper")
        scales = sum(p.numel() for p in model.link_scales.parameters())
        assert scales == 512 + 256 + 128 + 128
        assert sum(p.numel() for p in model.parameters()) - scales == 6_002_245
        maps = model._maps(torch.zeros(1, 3, 160, 608))
        assert {s: tuple(m.shape[1:]) for s, m in maps.items()} == {
            2: (128, 80, 304), 4: (128, 40, 152), 8: (256, 20, 76), 16: (512, 10, 38), 32: (1024, 5, 19)
        }  # fmt: skip
        assert model(torch.zeros(1, 3, 160, 608))[1].shape == (1, 1, 160, 608)


def test_the_paper_s_network_grows_from_22x76_to_176x608() -> None:
    with torch.device("meta"):
        levels = Garg.from_preset("alexnet")(torch.zeros(1, 3, 176, 608))
    assert [tuple(levels[s].shape[-2:]) for s in COARSE_TO_FINE] == [(22, 76), (44, 152), (88, 304), (176, 608)]


@pytest.mark.parametrize("learn", [True, False])
def test_doubling_is_bilinear_and_doubles_the_pixels(learn: bool) -> None:
    layer = Doubling(learn).double()
    x = torch.randn(2, 1, 5, 7, dtype=torch.float64)
    close(layer(x).detach(), 2 * F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
    assert len(list(layer.parameters())) == learn


def test_a_fresh_network_sees_no_motion_and_a_biased_one_doubles_it_down() -> None:
    torch.manual_seed(0)
    model = Garg.from_preset("small").eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert all(float(d.abs().max()) == 0 for d in model(image).values())
        model.heads["32"][-1].bias.fill_(0.25)  # type: ignore[index, union-attr]
        for stride, disparity in model(image).items():
            close(disparity, torch.full_like(disparity, 0.25 * 32 / stride))


def test_levels_stop_where_asked() -> None:
    model = Garg.from_preset("small").eval()
    assert list(model(torch.rand(1, 3, 64, 64), 8)) == [32, 16, 8]


def stage(stride: int = 1) -> Stage:
    return Stage(f"stride-{stride}", 1, 1, "stereo-rooms")


def terms(sample, disparity: Tensor, stride: int = 1, **options: object) -> dict[str, Tensor]:
    """The loss of the `small` network if it predicted this disparity."""
    model = Garg.from_preset("small", baseline_m=BASELINE, **options)
    model.forward = lambda image, finest: {finest: disparity}  # type: ignore[method-assign, assignment]
    return model.loss(sample, stage(stride))


def true_disparity(sample, stride: int = 1) -> Tensor:
    focal = sample.camera.parameters[0].reshape(-1, 1, 1, 1) / stride
    return focal * BASELINE / F.avg_pool2d(sample.depth_m, stride)


@pytest.mark.parametrize("objective", ["l2", "l1"])
@pytest.mark.parametrize("stride", COARSE_TO_FINE)
def test_at_every_level_the_true_disparity_explains_the_pair(objective: str, stride: int) -> None:
    sample = rendered()
    disparity = true_disparity(sample, stride)
    right, still, wrong = (
        float(terms(sample, d, stride, objective=objective)["reconstruction"])
        for d in (disparity, 0 * disparity, -disparity)
    )
    assert right < 0.3 * still < 0.3 * wrong


def test_smoothness_terms_by_hand() -> None:
    """A ramp of slope 2 along x costs gamma 4; where the picture steps by 1 in all colours, L1 is weighted by 1/e."""
    sample = rendered(64, 64)
    ramp = 2 * torch.arange(64.0).expand(1, 1, 64, 64)
    close(terms(sample, ramp, objective="l2", smoothness=0.01)["smoothness"], torch.tensor([0.01 * 4]))
    sample.image[:] = torch.arange(64.0).remainder(2).expand(64, 64)
    close(terms(sample, ramp, objective="l1", smoothness=0.05)["smoothness"], torch.tensor([0.05 * 2 / torch.e]))


def test_the_gradient_is_the_linearised_residual_s() -> None:
    """dE/dD = 2 (I_w + (D - D0) g - I_1) g at D = D0; so D0 + (I_1 - I_w) / g is the quadratic model's minimum."""
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.rand(1, 1, 4, 12, generator=generator, dtype=torch.float64) for _ in range(2))
    disparity = (0.3 + torch.rand(1, 1, 4, 12, generator=generator, dtype=torch.float64)).requires_grad_()
    rebuilt, _ = linearised_left_from_right(right, disparity)
    residual = rebuilt - left
    residual.square().sum().backward()
    slope = torch.zeros_like(left)
    slope[..., 1:-1] = -(rebuilt[..., 2:] - rebuilt[..., :-2]).detach() / 2
    assert disparity.grad is not None
    close(disparity.grad, (2 * residual * slope).detach())
    inner = slope.abs() > 1e-6
    step = torch.where(inner, -residual.detach() / slope, 0)
    close((residual.detach() + step * slope)[inner], torch.zeros(int(inner.sum()), dtype=torch.float64))


def test_the_warps_differ_in_their_gradient_alone() -> None:
    sample = rendered()
    gradients = []
    for warp in ("taylor", "bilinear"):
        disparity = (true_disparity(sample) + 0.3).requires_grad_()
        reconstruction = terms(sample, disparity, warp=warp)["reconstruction"]
        reconstruction.sum().backward()
        gradients.append((reconstruction.detach(), disparity.grad))
    close(gradients[0][0], gradients[1][0])
    assert not torch.equal(gradients[0][1], gradients[1][1])
    cosine = F.cosine_similarity(gradients[0][1].flatten(), gradients[1][1].flatten(), 0)
    assert float(cosine) > 0.9  # a smooth picture: nearly the same direction


def refined(left: Tensor, right: Tensor, disparity: Tensor, gamma: float = 0.004) -> Tensor:
    """The linearised objective minimised without a network: Jacobi steps on the quadratic model, a pixel at most."""
    kernel = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=left.dtype)[None, None] / 4
    for _ in range(25):
        rebuilt, valid = linearised_left_from_right(right, disparity)
        slope = torch.zeros_like(rebuilt)
        slope[..., 1:-1] = -(rebuilt[..., 2:] - rebuilt[..., :-2]) / 2
        slope, start, now = slope * valid, disparity, disparity
        for _ in range(20):
            mean = F.conv2d(F.pad(now, (1, 1, 1, 1), mode="replicate"), kernel)
            pull = (slope * (left - rebuilt + slope * start)).sum(1, keepdim=True)
            now = (pull + 4 * gamma * mean) / (slope.square().sum(1, keepdim=True) + 4 * gamma)
            now = start + (now - start).clamp(-1, 1)
        disparity = now
    return disparity


def test_coarse_to_fine_finds_what_the_finest_level_alone_does_not() -> None:
    """The paper's reason for its levels, without a network: large disparities, textures of few pixels."""
    generator = torch.Generator().manual_seed(0)
    noise = sum(
        F.interpolate(torch.rand(1, 3, 64 // n, 192 // n, generator=generator), (64, 192), mode="bicubic")
        / (16 / n) ** 0.5
        for n in (16, 8, 4)
    )
    truth = torch.full((1, 1, 64, 128), 14.0)
    left, right = noise[..., :128], noise[..., 14:142]
    fine = refined(left, right, torch.full_like(truth, 1.0))
    estimate = torch.full((1, 1, 8, 16), 1.0 / 8)
    for stride in (8, 4, 2, 1):
        views = (F.avg_pool2d(view, stride) for view in (left, right))
        estimate = refined(*views, estimate)
        if stride > 1:
            estimate = Doubling(learn=False)(estimate)
    inner = (..., slice(8, -8), slice(24, -8))  # what the right camera sees
    coarse_error, fine_error = ((d - truth)[inner].abs().median() for d in (estimate, fine))
    assert float(coarse_error) < 0.2
    assert float(fine_error) > 5 * float(coarse_error)


class TestStages:
    def test_small_trains_its_levels_in_turn_and_freezes_what_is_finer(self) -> None:
        model = Garg.from_preset("small")
        stages = model.own_stages("small")
        assert [s.name for s in stages] == ["stride-8", "stride-4", "stride-2", "stride-1"]
        trained = []
        for each in stages:
            schedule.freeze(model, each)
            trained.append(
                {n.split(".")[1] for n, p in model.named_parameters() if n.startswith("heads.") and p.requires_grad}
            )
        assert trained == [{"32", "16", "8"}, {"32", "16", "8", "4"}, *[{"32", "16", "8", "4", "2"}] * 2]
        assert [s.steps for s in stages] == [1200, 900, 600, 300]
        assert [s.schedule for s in stages] == ["constant"] * 3 + ["cosine"]

    def test_the_ablation_takes_the_same_steps_at_the_finest_level(self) -> None:
        model = Garg.from_preset("small", coarse_to_fine=False)
        (only,) = model.own_stages("small")
        assert only.name == "stride-1"
        assert only.steps == sum(s.steps for s in Garg.stages("small"))

    @pytest.mark.parametrize("options", [ALEXNET, {"coarse_to_fine": True}])
    def test_the_published_networks_can_be_trained_coarse_to_fine(self, options: dict) -> None:
        with torch.device("meta"):
            model = Garg.from_preset("paper", **options)
        for each in model.own_stages("paper"):
            schedule.check(each)
            schedule.freeze(model, each)
            frozen = {n.split(".")[1] for n, p in model.named_parameters() if not p.requires_grad}
            heads = {n.split(".")[1] for n, _ in model.named_parameters() if n.startswith("heads.")}
            finer = {s for s in heads if int(s) < int(each.name.removeprefix("stride-"))}
            assert finer <= frozen
            assert each.name != "stride-1" or not frozen

    def test_a_stage_says_its_stride(self) -> None:
        with pytest.raises(InputError, match="stride"):
            Garg.from_preset("small").loss(rendered(), Stage("warm-up", 1, 1, "stereo-rooms"))


def test_the_alexnet_preset_is_the_paper_s() -> None:
    config = GargConfig.alexnet()
    assert (config.encoder, config.objective, config.warp, config.coarse_to_fine) == ("alexnet", "l2", "taylor", True)


def test_depth_is_focal_times_baseline_over_pixels() -> None:
    """5 px of 96 at a focal length of 80 px and 0.2 m of baseline are 3.2 m; no disparity is far away, not infinite."""
    torch.manual_seed(0)
    model = Garg.from_preset("small", input_size=(96, 64)).eval()
    image, camera = torch.rand(1, 3, 64, 96), Camera.from_parameters(96, 64, 80, 80, 47.5, 31.5)
    far = model.predict(image, camera).depth_m
    close(far, torch.full_like(far, 80 / 96 * 0.2 / 1e-3))
    with torch.no_grad():
        model.heads["32"][-1].bias.fill_(5 / 32)  # type: ignore[index, union-attr]
    close(model.predict(image, camera).depth_m, torch.full((1, 1, 64, 96), 80 * 0.2 / 5))
    twice = F.interpolate(image, scale_factor=2.0, mode="nearest")
    close(model.predict(twice, camera.resize(192, 128)).depth_m, torch.full((1, 1, 128, 192), 80 * 0.2 / 5))
