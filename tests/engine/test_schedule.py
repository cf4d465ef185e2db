"""Learning rates, freezing, averages, and the stateless order of items."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from scenewright.data.sample import collate
from scenewright.engine import log, sampling, schedule
from scenewright.engine.log import MetricsLog
from scenewright.engine.method import Stage, evaluating
from scenewright.engine.sampling import Batches, Plan, derive, generator, item_at
from scenewright.engine.schedule import Average, Plateau
from scenewright.errors import InputError
from toy import Squares, Toy

STAGE = Stage("s", 100, 4, "squares", lr=0.1, warmup=10)


class TestLearningRate:
    def test_closed_form(self) -> None:
        rates = [schedule.learning_rate(STAGE, step) for step in range(100)]
        assert rates[:10] == pytest.approx([0.1 * (i + 1) / 11 for i in range(10)])
        assert rates[10] == 0.1
        assert rates[55] == pytest.approx(0.05)
        assert rates[99] == pytest.approx(0.05 * (1 + math.cos(math.pi * 89 / 90)))

    @given(st.integers(1, 500), st.integers(0, 500), st.sampled_from(schedule.SCHEDULES))
    def test_it_rises_then_never_rises_again(self, steps: int, warmup: int, kind: str) -> None:
        stage = replace(STAGE, steps=steps, warmup=min(warmup, steps), schedule=kind)
        rates = [schedule.learning_rate(stage, step) for step in range(steps)]
        top = rates.index(max(rates))
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert min(rates) > 0
        assert max(rates) <= stage.lr

    def test_plateau_halves_after_three_windows_without_gain(self) -> None:
        plateau = Plateau()
        for mean in (1.0, 0.9, 0.895, 0.894, 0.892):
            plateau.add(mean - 0.1, 2)
            plateau.add(mean + 0.1, 2)
        assert plateau == Plateau(scale=0.5, best=pytest.approx(0.9), bad=0)
        for _ in range(3):
            plateau.add(0.9, 1)
        assert plateau.scale == 0.25
        plateau.add(0.5, 1)
        assert (plateau.scale, plateau.best) == (0.25, 0.5)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"steps": 0},
            {"batch_size": 0},
            {"optimizer": "lion"},
            {"schedule": "linear"},
            {"lr": 0.0},
            {"lr": math.inf},
            {"warmup": 101},
            {"momentum": 1.0},
            {"weight_decay": -1.0},
            {"gradient_clip": -1.0},
            {"average": 1.0},
            {"lr_scale": (("trunk", -1.0),)},
        ],
    )
    def test_impossible_stages(self, wrong: dict[str, object]) -> None:
        with pytest.raises(InputError, match=f"stage 's' {next(iter(wrong))}: found"):
            schedule.check(replace(STAGE, **wrong))


class TestOptimizer:
    def test_the_longest_prefix_wins(self) -> None:
        scales = (("trunk.", 0.1), ("trunk.0.", 0.0), ("trunk.0.bias", 2.0))
        names = ["head.weight", "trunk.1.weight", "trunk.0.weight", "trunk.0.bias"]
        assert [schedule.lr_factor(name, scales) for name in names] == [1.0, 0.1, 0.0, 2.0]

    def test_groups_carry_their_factor_through_the_schedule(self) -> None:
        model = Toy.from_preset("small")
        stage = replace(STAGE, lr_scale=(("trunk.", 0.5), ("head.bias", 2.0)))
        schedule.freeze(model, stage)
        optimizer = schedule.optimizer(model, stage)
        schedule.set_lr(optimizer, 0.3)
        assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.15, 0.3, 0.6])
        assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("sgd", torch.optim.SGD),
            ("adam", torch.optim.Adam),
            ("adamw", torch.optim.AdamW),
            ("rmsprop", torch.optim.RMSprop),
        ],
    )
    def test_kinds(self, name: str, kind: type[torch.optim.Optimizer]) -> None:
        found = schedule.optimizer(Toy.from_preset("small"), replace(STAGE, optimizer=name, weight_decay=0.3))
        assert type(found) is kind
        assert found.param_groups[0]["weight_decay"] == 0.3

    def test_freezing(self) -> None:
        model = Toy.from_preset("small")
        stage = replace(STAGE, lr_scale=(("trunk.", 0.0),))
        schedule.freeze(model, stage)
        schedule.train_mode(model, stage)
        assert {name for name, p in model.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
        assert [model.training, model.trunk[1].training, model.drop.training] == [True, False, True]
        schedule.freeze(model, STAGE)
        schedule.train_mode(model, STAGE)
        assert all(p.requires_grad for p in model.parameters())
        assert model.trunk[1].training

    @pytest.mark.parametrize(("prefix", "message"), [("tronk.", "found 'tronk.'"), ("", "every parameter frozen")])
    def test_freezing_nothing_or_everything(self, prefix: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            schedule.freeze(Toy.from_preset("small"), replace(STAGE, lr_scale=((prefix, 0.0),)))

    def test_evaluating_gives_every_module_its_mode_back(self) -> None:
        model = Toy.from_preset("small").train()
        model.trunk[1].eval()
        before = [m.training for m in model.modules()]
        with evaluating(model):
            assert not any(m.training for m in model.modules())
        assert [m.training for m in model.modules()] == before


class TestAverage:
    def test_closed_form_with_a_decay_that_rises(self) -> None:
        model = nn.Linear(1, 1, bias=False)
        model.weight.data.fill_(0.0)
        average, expected = Average(model, 0.3), 0.0
        for step in range(6):
            model.weight.data.fill_(float(step + 1))
            average.update(model, step)
            decay = min(0.3, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * (step + 1)
        assert average.shadow["weight"].item() == pytest.approx(expected)

    def test_swapping_twice_changes_nothing(self) -> None:
        model = nn.Linear(2, 2)
        average = Average(model, 0.9)
        before = model.weight.detach().clone()
        model.weight.data.add_(1.0)
        average.swap(model)
        assert torch.equal(model.weight, before)
        average.swap(model)
        assert torch.equal(model.weight, before + 1.0)


class TestOrder:
    @given(st.integers(1, 40), st.integers(0, 3), st.integers(0, 2**31))
    def test_every_epoch_has_every_item_once(self, items: int, epoch: int, seed: int) -> None:
        seen = [item_at(seed, "s", epoch * items + place, items) for place in range(items)]
        assert sorted(seen) == list(range(items))

    def test_epochs_seeds_and_stages_differ(self) -> None:
        def order(seed: int, stage: str, epoch: int) -> tuple[int, ...]:
            return tuple(item_at(seed, stage, epoch * 50 + i, 50) for i in range(50))

        orders = {order(0, "a", 0), order(0, "a", 1), order(1, "a", 0), order(0, "b", 0)}
        assert len(orders) == 4

    @given(st.integers(1, 9), st.sampled_from([1, 2, 3, 6]), st.integers(0, 20))
    def test_processes_share_the_batch_of_one(self, items: int, world: int, step: int) -> None:
        one = Plan(3, "s", items, 6, 0, 30)
        parts = [Plan(3, "s", items, 6, 0, 30, rank, world).batch(step) for rank in range(world)]
        assert [slot for part in parts for slot in part] == one.batch(step)

    def test_a_plan_that_starts_later_is_the_tail_of_the_whole(self) -> None:
        assert list(Plan(3, "s", 7, 4, 5, 9)) == list(Plan(3, "s", 7, 4, 0, 9))[5:]
        assert len(Plan(3, "s", 7, 4, 5, 9)) == 4
        assert len(Plan(3, "s", 7, 4, 9, 9)) == 0

    def test_seeds_do_not_collide_over_neighbouring_parts(self) -> None:
        seeds = Counter(derive(seed, "s", step, slot) for seed in range(10) for step in range(30) for slot in range(10))
        assert max(seeds.values()) == 1
        assert derive("1", 2) != derive(1, 2)
        assert derive(1, 23) != derive(12, 3)
        assert derive(0) == 2631537505891389924  # on every machine

    def test_each_item_draws_with_a_generator_of_its_own(self) -> None:
        data, plan = Squares(5), Plan(1, "s", 5, 3, 2, 4)
        batches = list(Batches(data, plan, workers=0))
        expected = [
            collate([data.draw(slot.index, generator(1, "s", slot.step, slot.slot)) for slot in batch])
            for batch in plan
        ]
        for found, wanted in zip(batches, expected, strict=True):
            assert torch.equal(found.image, wanted.image)

    def test_plain_data_sets_are_indexed(self) -> None:
        items = collate([Squares(4).draw(i, generator(i)) for i in range(4)])

        class Plain:
            def __len__(self) -> int:
                return 4

            def __getitem__(self, index: int) -> object:
                return items[index]

        assert not isinstance(Plain(), sampling.Drawable)
        (batch,) = Batches(Plain(), Plan(0, "s", 4, 4, 0, 1), workers=0)
        assert sorted(batch.brightness[:, 0].tolist()) == sorted(items.brightness[:, 0].tolist())


class TestLog:
    def test_resuming_cuts_what_was_not_stored_and_what_was_torn(self, tmp_path: Path) -> None:
        whole = MetricsLog(tmp_path, 0, 0)
        for stage, step in [(0, 5), (0, 10), (1, 5), (1, 10)]:
            whole.write("train", stage, "s", step, {"loss": 1.0})
        whole.close()
        with (tmp_path / log.FILE).open("a") as file:
            file.write('{"kind": "train", "stage": 0, "st')
        MetricsLog(tmp_path, 1, 7).close()
        assert [(x["stage"], x["step"]) for x in log.read(tmp_path)] == [(0, 5), (0, 10), (1, 5)]

    def test_curves_go_to_tensorboard_where_it_is_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = MetricsLog(tmp_path / "with", 0, 0)
        lines.write("train", 0, "s", 1, {"loss": 1.0})
        lines.close()
        assert list((tmp_path / "with" / "tensorboard").glob("events*"))
        monkeypatch.setattr(log, "find_spec", lambda name: None)
        (tmp_path / "without").mkdir()
        MetricsLog(tmp_path / "without", 0, 0).close()
        assert not (tmp_path / "without" / "tensorboard").exists()

    def test_without_a_terminal_a_line_comes_every_half_minute(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
        display = log.Display(quiet=False)
        display.start("rooms", 100, 0, 16)
        for step in range(1, 8):
            now[0] += 10
            display.step(step, {"loss": 0.5})
        display.stop()
        lines = capsys.readouterr().err.split("\n")
        assert [line.split("  ")[0] for line in lines if line] == ["rooms 4/100"]
        assert "loss 0.5" in lines[0]
        assert "images/s" in lines[0]
