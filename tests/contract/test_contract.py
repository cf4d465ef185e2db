"""The contract of a method, checked for every row of the table: who adds a row is tested."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import scenewright
from scenewright.engine import schedule, weights
from scenewright.engine.card import Card
from scenewright.engine.config import from_data, to_data
from scenewright.engine.method import Method
from scenewright.engine.table import list_methods, method_class
from scenewright.errors import InputError

NAMES = list_methods()
PRESETS = ("paper", "small")
SOURCE = Path(scenewright.__file__).parent


@dataclass(frozen=True)
class Call:
    """How a task's `predict` is called.

    Args:
        inputs: the arguments of `predict`, from a sample.
        image: which of them is checked against wrong types and ranges, by position.
        coupled: wrong inputs that only this task has: inputs -> inputs.
    """

    inputs: Callable[[Any], tuple[Any, ...]]
    image: int = 0
    coupled: tuple[Callable[[tuple[Any, ...]], tuple[Any, ...]], ...] = ()


CALLS: dict[str, Call] = {
    "depth": Call(
        lambda sample: (sample.image, sample.camera),
        coupled=(lambda inputs: (inputs[0][..., 1:], inputs[1]),),  # a camera of another size
    ),
    "focus": Call(
        lambda sample: (sample.stack, sample.camera, sample.focus_m),
        coupled=(
            lambda inputs: (inputs[0][..., 1:], *inputs[1:]),  # a camera of another size
            lambda inputs: (*inputs[:2], inputs[2][:, 1:]),  # fewer distances than slices
            lambda inputs: (*inputs[:2], inputs[2].flip(1)),  # from far to near
        ),
    ),
    "features": Call(lambda sample: (sample.image,)),
    "magicwarp": Call(
        lambda sample: (sample.first, sample.second),
        coupled=(lambda inputs: (inputs[0], inputs[1][..., 8:]),),  # point images of another size
    ),
    "keypoint_pyramid": Call(lambda sample: (sample.patch.expand(-1, 3, -1, -1),)),
    "lift": Call(lambda sample: (sample.patches[:, 0].expand(-1, 3, -1, -1),)),
    "ucn": Call(lambda sample: (sample.first,)),
    "matchnet": Call(
        lambda sample: (sample.first, sample.second),
        coupled=(lambda inputs: (inputs[0], inputs[1][1:]),),  # another number of patches
    ),
}
"""By task, or by name where a method is called unlike its task."""


def call_of(method: Method[Any]) -> Call:
    """How this method's `predict` is called."""
    return CALLS.get(method.card.name) or CALLS[method.card.task]


@pytest.fixture(params=NAMES, scope="module")
def method(request: pytest.FixtureRequest) -> Method[Any]:
    """The method at its small preset, freshly initialised; tests that change it take a copy."""
    torch.manual_seed(0)
    return scenewright.create(request.param, "small")


def on_meta(cls: type[Method[Any]], preset: str) -> Method[Any]:
    with torch.device("meta"):
        return cls.from_preset(preset)


def predict(
    method: Method[Any], sample: Any, change: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
) -> Any:
    inputs = call_of(method).inputs(sample)
    return method.predict(*(change(inputs) if change else inputs))  # type: ignore[operator]


def tensors(value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a prediction, by field."""
    if isinstance(value, Tensor):
        yield "", value
    elif is_dataclass(value):
        for f in fields(value):
            for name, tensor in tensors(getattr(value, f.name)):
                yield f"{f.name}{name}", tensor


def same(first: Any, second: Any) -> None:
    a, b = dict(tensors(first)), dict(tensors(second))
    assert a.keys() == b.keys()
    assert a
    for name in a:
        assert torch.equal(a[name], b[name]), name


class TestRow:
    def test_the_row_is_the_method(self, method: Method[Any]) -> None:
        card = method.card
        assert isinstance(card, Card)
        assert type(method) is method_class(card.name)
        assert card.name in NAMES
        folder = SOURCE / {"focus": "depth"}.get(card.task, card.task)  # depth from focus lives beside depth
        assert folder.is_dir() or card.name not in scenewright.engine.table.METHODS
        assert call_of(method), "say in this file how the task's predict is called"
        assert card.scale in ("metric", "unknown")
        assert 1990 <= card.year <= 2030
        assert card.limits or card.name not in weights.list_weights(), "a card says where its weights do badly"
        for text in (card.title, card.authors, card.venue, card.paper, card.inputs, card.outputs, card.original_code):
            assert text.strip()

    def test_the_paper_s_parameter_count(self, method: Method[Any]) -> None:
        paper = on_meta(type(method), "paper")
        assert sum(p.numel() for p in paper.parameters()) == method.card.paper_parameters

    @pytest.mark.parametrize("preset", PRESETS)
    def test_its_config_is_data(self, method: Method[Any], preset: str) -> None:
        config = getattr(method.Config, preset)()
        assert from_data(method.Config, _json(to_data(config)), "config") == config
        assert weights.preset_of(on_meta(type(method), preset)) == preset

    def test_wrong_options_are_named(self, method: Method[Any]) -> None:
        with pytest.raises(InputError, match="preset: found 'huge'"):
            scenewright.create(method.card.name, "huge")
        with pytest.raises(InputError, match=r"option: found no_such_field; expected one of"):
            scenewright.create(method.card.name, "small", no_such_field=1)

    def test_building_is_seeded_by_torch_alone(self, method: Method[Any]) -> None:
        torch.manual_seed(0)
        again = type(method).from_preset("small")
        for (name, a), b in zip(method.state_dict().items(), again.state_dict().values(), strict=True):
            assert torch.equal(a, b), name


def _json(data: Any) -> Any:
    import json

    return json.loads(json.dumps(data))


class TestStages:
    @pytest.mark.parametrize("preset", PRESETS)
    def test_they_can_be_run(self, method: Method[Any], preset: str) -> None:
        stages = type(method).stages(preset)
        assert stages
        assert len({stage.name for stage in stages}) == len(stages)
        model = on_meta(type(method), preset)
        for stage in stages:
            schedule.check(stage)
            assert stage.data
            model.prepare_stage(stage)
            schedule.freeze(model, stage)
            assert schedule.optimizer(model, stage).param_groups

    def test_they_weigh_terms_that_exist(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method), method.example(2, 0)
        for stage in model.stages("small"):
            model.prepare_stage(stage)
            assert dict(stage.terms).keys() <= model.loss(sample, stage).keys()

    def test_a_term_s_weight_can_be_set_by_the_stage(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).eval(), method.example(2, 0)
        stage = model.stages("small")[0]
        terms = model.loss(sample, replace(stage, terms=()))
        if len(terms) > 1:
            for name in terms:
                unweighted = model.loss(sample, replace(stage, terms=((name, 1.0),)))[name]
                doubled = model.loss(sample, replace(stage, terms=((name, 2.0),)))[name]
                torch.testing.assert_close(doubled, 2 * unweighted)


class TestLoss:
    def test_terms_are_finite_and_per_sample(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(3, 1)
        for stage in model.stages("small"):
            model.prepare_stage(stage)
            for name, term in model.loss(sample, stage).items():
                assert term.shape == (3,), name
                assert torch.isfinite(term).all(), name

    def test_also_under_autocast(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(2, 1)
        stage = model.stages("small")[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            terms = model.loss(sample, stage)
        for name, term in terms.items():
            assert term.dtype == torch.float32, name
            assert torch.isfinite(term).all(), name

    def test_in_eval_mode_a_sample_s_terms_do_not_depend_on_its_batch(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).eval(), method.example(3, 2)
        stage = model.stages("small")[0]
        with torch.no_grad():
            whole = model.loss(sample, stage)
            alone = model.loss(_item(sample, 1), stage)
        for name, term in whole.items():
            torch.testing.assert_close(alone[name][0], term[1], rtol=1e-3, atol=1e-5)

    def test_every_trained_parameter_gets_a_gradient(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(2, 0)
        reached: set[str] = set()
        for stage in model.stages("small"):
            model.prepare_stage(stage)
            schedule.freeze(model, stage)
            trained = {name for name, p in model.named_parameters() if p.requires_grad}
            missing = trained - _reached(model, sample, stage)
            assert not missing, f"stage {stage.name} trains what its loss does not reach: {sorted(missing)[:5]}"
            model.requires_grad_(True)
            reached |= _reached(model, sample, stage)
        assert reached == {name for name, _ in model.named_parameters()}

    def test_it_falls(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(4, 0)
        stage = model.stages("small")[-1]
        model.prepare_stage(stage)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        totals = []
        for _ in range(12):
            torch.manual_seed(1)
            total = torch.stack(list(model.loss(sample, stage).values())).sum(0).mean()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            totals.append(total.item())
        assert min(totals[-3:]) < totals[0] - 0.1 * abs(totals[0]), totals

    def test_the_example_is_a_function_of_its_seed(self, method: Method[Any]) -> None:
        same(method.example(2, 7), method.example(2, 7))
        first, second = dict(tensors(method.example(2, 7))), dict(tensors(method.example(2, 8)))
        assert any(not torch.equal(first[name], second[name]) for name in first)


def _item(sample: Any, index: int) -> Any:
    from scenewright.data.sample import collate

    return collate([sample[index]])


def _reached(model: Method[Any], sample: Any, stage: Any) -> set[str]:
    model.zero_grad(set_to_none=True)
    torch.stack(list(model.loss(sample, stage).values())).sum().backward()
    gradients: Mapping[str, Tensor | None] = {name: p.grad for name, p in model.named_parameters()}
    for name, gradient in gradients.items():
        assert gradient is None or torch.isfinite(gradient).all(), name
    return {name for name, gradient in gradients.items() if gradient is not None}


class TestPredict:
    def test_twice_the_same_and_finite(self, method: Method[Any]) -> None:
        sample = method.example(2, 3)
        first = predict(method, sample)
        same(first, predict(method, sample))
        for name, tensor in tensors(first):
            assert not tensor.requires_grad, name
            assert not tensor.is_floating_point() or torch.isfinite(tensor).all(), name

    def test_it_leaves_no_trace(self, method: Method[Any]) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(2, 3)
        modules = list(model.modules())
        modules[len(modules) // 2].eval()  # such as a frozen batch norm
        modes = [m.training for m in modules]
        before = {name: t.clone() for name, t in model.state_dict().items()}
        torch.manual_seed(2)
        generator = torch.random.get_rng_state()
        in_training = predict(model, sample)
        assert [m.training for m in modules] == modes
        assert torch.equal(torch.random.get_rng_state(), generator)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        same(in_training, predict(model.eval(), sample))

    def test_an_item_s_prediction_does_not_depend_on_its_batch(self, method: Method[Any]) -> None:
        sample = method.example(3, 4)
        whole, alone = dict(tensors(predict(method, sample))), dict(tensors(predict(method, _item(sample, 1))))
        for name, tensor in whole.items():
            torch.testing.assert_close(alone[name][0], tensor[1], rtol=1e-3, atol=1e-4)

    def test_saved_weights_predict_the_same_to_the_last_bit(self, method: Method[Any], tmp_path: Path) -> None:
        model, sample = copy.deepcopy(method).train(), method.example(2, 5)
        stage = model.stages("small")[0]
        torch.stack(list(model.loss(sample, stage).values())).sum()  # moves running statistics
        loaded = weights.load(weights.save(model, tmp_path / "weights", training={}))
        same(predict(model, sample), predict(loaded, sample))
        loss = model.eval().loss(sample, stage)
        for name, term in loaded.loss(sample, stage).items():
            assert torch.equal(term, loss[name]), name

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda image: (image * 255).to(torch.uint8),
            lambda image: (image * 255).long(),
            lambda image: image * 255,
            lambda image: image - 0.5,
            lambda image: image * float("nan"),
            lambda image: image[:, :1],
            lambda image: image[0],
            lambda image: image[..., :2, :2],
        ],
        ids=["uint8", "int64", "0-255", "negative", "nan", "one channel", "no batch", "tiny"],
    )
    def test_wrong_images_are_refused(
        self, method: Method[Any], wrong: Callable[[Tensor], Tensor], request: pytest.FixtureRequest
    ) -> None:
        place = call_of(method).image
        if (
            "one channel" in request.node.callspec.id
            and call_of(method).inputs(method.example(2, 0))[place].shape[1] == 1
        ):
            pytest.skip("its images have one channel")

        def change(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (*inputs[:place], wrong(inputs[place]), *inputs[place + 1 :])

        with pytest.raises(InputError, match=r"found .*expected"):
            predict(method, method.example(2, 0), change)

    def test_inputs_that_do_not_belong_together_are_refused(self, method: Method[Any]) -> None:
        for change in call_of(method).coupled:
            with pytest.raises(InputError, match=r"found .*expected"):
                predict(method, method.example(2, 0), change)
