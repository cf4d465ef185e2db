"""Training: stages, averages, freezing, logs, and above all that nothing is lost when a run dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scenewright.engine import fit as fitting
from scenewright.engine import log, resume, weights
from scenewright.engine.fit import Diverged, TrainingInterrupted, fit
from scenewright.engine.method import Stage
from scenewright.errors import FormatError, InputError
from scenewright.files import atomic_path
from toy import Squares, Toy
from toy_runs import toy, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A run that nothing interrupted: its folder and the bytes of its weights."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder)


def elsewhere(arguments: list[object]) -> str:
    """Run tests/toy_runs.py; its output."""
    script = Path(__file__).parents[1] / "toy_runs.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestRun:
    def test_same_seed_same_bytes_and_another_seed_other_bytes(self, whole: tuple[Path, bytes], tmp_path: Path) -> None:
        assert train(tmp_path / "again") == whole[1]
        assert train(tmp_path / "other", seed=6) != whole[1]

    def test_workers_do_not_change_the_result(self, whole: tuple[Path, bytes], tmp_path: Path) -> None:
        assert train(tmp_path, workers=2) == whole[1]

    def test_the_caller_s_generators_are_left_alone(self, tmp_path: Path) -> None:
        model = toy()
        torch.manual_seed(1)
        expected = torch.rand(3)
        torch.manual_seed(1)
        fit(model, {"squares": Squares(4)}, tmp_path, preset="small", seed=0, max_steps=1, quiet=True)
        assert torch.equal(torch.rand(3), expected)

    def test_the_log_covers_every_step_once(self, whole: tuple[Path, bytes]) -> None:
        lines = log.read(whole[0])
        assert [(x["stage"], x["step"]) for x in lines] == [(0, 5), (0, 10), (0, 12), (1, 5), (1, 10), (1, 12)]
        for line in lines:
            assert line["loss"] == pytest.approx(line["square"] + line["absolute"])
            assert line["images_per_s"] > 0

    def test_training_lowers_the_loss(self, tmp_path: Path) -> None:
        fit(toy(), {"squares": Squares(10)}, tmp_path, preset="small", seed=5, quiet=True, log_every=4)
        lines = log.read(tmp_path)
        assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]

    def test_the_card_says_how_the_weights_came_about(self, whole: tuple[Path, bytes]) -> None:
        training = weights.read_card(whole[0] / "weights")["training"]
        assert training["data"] == {"squares": {"items": 10, **Squares.record}}
        assert (training["seed"], training["steps"], training["precision"]) == (5, 24, "32")

    def test_what_a_stage_ended_with_is_kept(self, whole: tuple[Path, bytes]) -> None:
        first, last = (resume_weights(whole[0], name) for name in ("weights-whole", "weights"))
        moved = {name for name, value in last.items() if not torch.equal(value, first[name])}
        assert moved
        assert not any(name.startswith("trunk") for name in moved)  # the second stage freezes it
        training = weights.read_card(whole[0] / "weights-whole")["training"]
        assert ([stage["name"] for stage in training["stages"]], training["steps"]) == (["whole"], 12)

    def test_a_frozen_trunk_keeps_weights_and_statistics(self, whole: tuple[Path, bytes], tmp_path: Path) -> None:
        class First(Toy):
            @classmethod
            def stages(cls, preset: str) -> tuple[Stage, ...]:
                return super().stages(preset)[:1]

        model = First(toy().config)
        model.load_state_dict(toy().state_dict())
        fit(model, {"squares": Squares(10)}, tmp_path, preset="small", seed=5, precision="32", quiet=True)
        ended = resume_weights(whole[0])
        for name, value in model.state_dict().items():
            assert torch.equal(value, ended[name]) == name.startswith("trunk"), name

    def test_bf16_trains_in_float32_weights(self, tmp_path: Path) -> None:
        model = toy()
        fit(model, {"squares": Squares(4)}, tmp_path, preset="small", seed=0, max_steps=2, quiet=True)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert not model.training
        assert all(p.requires_grad for p in model.parameters())

    def test_validation_sees_the_averaged_weights_in_eval_mode(self, tmp_path: Path) -> None:
        seen: list[tuple[str, float]] = []

        def validate(model: Toy) -> dict[str, float]:
            assert not model.training
            assert not torch.is_grad_enabled()
            torch.rand(1)  # must not disturb the run's dropout
            seen.append(("bias", float(model.head.bias.detach())))
            return {"bias": seen[-1][1]}

        data = train(tmp_path / "v", validate=validate, validate_every=6)
        assert len(seen) == 4
        assert data == train(tmp_path / "plain")
        shipped = resume_weights(tmp_path / "v")["head.bias"].item()
        assert seen[-1][1] == shipped
        assert weights.read_card(tmp_path / "v" / "weights")["training"]["figures"] == {"bias": shipped}


def resume_weights(folder: Path, name: str = "weights") -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / name / "model.safetensors")


class Failing(Squares):
    """Raises, or calls a function, when item draws reach a number."""

    def __init__(self, items: int, after: int, act: object) -> None:
        super().__init__(items)
        self.left, self.act = after, act

    def draw(self, index: int, random: torch.Generator) -> object:
        self.left -= 1
        if self.left == 0:
            self.act()  # type: ignore[operator]
        return super().draw(index, random)


def broken_by(folder: Path, after: int, act: object) -> None:
    data = Failing(10, after, act)
    fit(toy(), {"squares": data}, folder, preset="small", seed=5, precision="32", quiet=True, save_every=0, log_every=5)


class TestInterruption:
    @pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    @pytest.mark.parametrize("draw", [2, 30, 70])
    def test_a_signal_finishes_the_step_and_resuming_changes_nothing(
        self, whole: tuple[Path, bytes], tmp_path: Path, signum: int, code: int, draw: int
    ) -> None:
        before = signal.getsignal(signum)
        with pytest.raises(TrainingInterrupted, match="same command again") as caught:
            broken_by(tmp_path, draw, lambda: os.kill(os.getpid(), signum))
        assert caught.value.exit_code == code
        assert signal.getsignal(signum) is before
        assert train(tmp_path) == whole[1]

    @pytest.mark.parametrize("draw", [1, 21, 49, 77, 96])
    def test_a_crash_in_the_data_loses_nothing(self, whole: tuple[Path, bytes], tmp_path: Path, draw: int) -> None:
        def crash() -> None:
            raise OSError("disk gone")

        with pytest.raises(OSError, match="disk gone"):
            broken_by(tmp_path, draw, crash)
        assert train(tmp_path) == whole[1]
        assert [strip(x) for x in log.read(tmp_path)] == [strip(x) for x in log.read(whole[0])]

    def test_a_full_disk_leaves_the_last_state_whole(
        self, whole: tuple[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, calls = resume.write_bytes, [0]

        def torn(path: Path, data: bytes) -> None:
            calls[0] += 1
            if calls[0] == 7:
                with atomic_path(path) as beside:
                    beside.write_bytes(b"half")
                    raise OSError(28, "No space left on device")
            real(path, data)

        monkeypatch.setattr(resume, "write_bytes", torn)
        with pytest.raises(OSError, match="No space"):
            train(tmp_path)
        assert not list(tmp_path.glob(".resume*"))
        assert train(tmp_path) == whole[1]

    def test_killed_at_random_moments(self, whole: tuple[Path, bytes], tmp_path: Path) -> None:
        kills = int(re.findall(r"kills (\d+)", elsewhere(["killed", tmp_path]))[0])
        assert kills == 4
        assert (tmp_path / "weights" / "model.safetensors").read_bytes() == whole[1]
        assert (tmp_path / "weights" / "card.json").read_bytes() == (whole[0] / "weights" / "card.json").read_bytes()
        assert [strip(x) for x in log.read(tmp_path)] == [strip(x) for x in log.read(whole[0])]

    def test_a_finished_run_ends_at_once_with_the_same_weights(self, tmp_path: Path) -> None:
        first = train(tmp_path)
        lines = log.read(tmp_path)
        broken_by(tmp_path, 1, lambda: pytest.fail("a finished run drew data"))
        assert (tmp_path / "weights" / "model.safetensors").read_bytes() == first
        assert log.read(tmp_path) == lines

    def test_starting_over(self, whole: tuple[Path, bytes], tmp_path: Path) -> None:
        train(tmp_path, seed=6)
        assert train(tmp_path, resume=False) == whole[1]
        assert len(log.read(tmp_path)) == 6


def strip(line: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in line.items() if k != "images_per_s"}


class TestTwoProcesses:
    def test_ddp_stopped_and_resumed_follows_one_process_on_the_same_global_batch(self, tmp_path: Path) -> None:
        assert "exit code 143" in elsewhere(["ddp_stopped", tmp_path / "two"])
        assert [x["step"] for x in log.read(tmp_path / "two")] == [1, 2, 3, 4, 5]
        elsewhere(["ddp", tmp_path / "two"])
        model = toy(norm=False, dropout=0.0)
        fit(
            model, {"squares": Squares(10)}, tmp_path / "one", preset="small", seed=5, precision="32", quiet=True,
            log_every=1,
        )  # fmt: skip
        one, two = log.read(tmp_path / "one"), [x for x in log.read(tmp_path / "two") if x["kind"] == "train"]
        assert len(one) == len(two) == 24
        for a, b in zip(one, two, strict=True):
            assert b["loss"] == pytest.approx(a["loss"], rel=1e-4, abs=1e-7), (a, b)
        together = resume_weights(tmp_path / "two")
        for name, value in resume_weights(tmp_path / "one").items():
            torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-6)


class Exploding(Toy):
    def loss(self, sample: object, stage: Stage) -> dict[str, torch.Tensor]:
        terms = super().loss(sample, stage)  # type: ignore[arg-type]
        return {**terms, "square": terms["square"] / 0.0}


class Summed(Toy):
    def loss(self, sample: object, stage: Stage) -> dict[str, torch.Tensor]:
        return {k: v.sum() for k, v in super().loss(sample, stage).items()}  # type: ignore[arg-type]


class TestRefusals:
    def run(self, folder: Path, model: Toy | None = None, **options: object) -> None:
        settings = {"preset": "small", "seed": 0, "quiet": True, "max_steps": 2}
        fit(model or toy(), {"squares": Squares(10)}, folder, **(settings | options))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"precision": "16"}, r"precision: found '16'; expected one of bf16, 32"),
            ({"devices": 3}, r"devices: found 3; expected a divisor of the batch size 4"),
            ({"devices": 0}, r"devices: found 0; expected at least 1"),
            ({"workers": -1}, r"workers: found -1"),
            ({"max_steps": 0}, r"max_steps: found 0"),
            ({"rate": 0.0}, r"rate: found 0.0"),
            ({"log_every": 0}, r"log_every: found 0"),
            ({"validate_every": 0}, r"validate_every: found 0"),
        ],
    )
    def test_settings(self, tmp_path: Path, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.run(tmp_path, **options)

    @pytest.mark.parametrize(
        ("data", "message"),
        [({}, r"found \[\]; expected 'squares'"), ({"squares": Squares(0)}, r"dataset 'squares': found no items")],
    )
    def test_data(self, tmp_path: Path, data: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            fit(toy(), data, tmp_path, preset="small", seed=0)

    def test_another_run_s_folder(self, tmp_path: Path) -> None:
        self.run(tmp_path)
        with pytest.raises(InputError, match=r"seed: found 0; expected 1; use another run folder"):
            self.run(tmp_path, seed=1)
        with pytest.raises(InputError, match="config"):
            self.run(tmp_path, toy(width=4))

    def test_a_folder_in_use(self, tmp_path: Path) -> None:
        holder = (
            "import sys,time; from pathlib import Path; from scenewright.engine.resume import exclusive\n"
            f"with exclusive(Path({str(tmp_path)!r})): print('held', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(InputError, match="a run in progress"):
                self.run(tmp_path)
            process.communicate("")
        self.run(tmp_path)

    def test_a_damaged_state(self, tmp_path: Path) -> None:
        self.run(tmp_path)
        state = tmp_path / resume.FILE
        state.write_bytes(state.read_bytes()[:-5])
        with pytest.raises(FormatError, match="no training state"):
            self.run(tmp_path)

    def test_divergence_names_the_term_and_keeps_the_state(self, tmp_path: Path) -> None:
        with pytest.raises(Diverged, match="stage 'whole' step 0: loss term 'square' is inf"):
            self.run(tmp_path, Exploding(toy().config))
        assert not (tmp_path / resume.FILE).exists()

    def test_loss_terms_must_be_per_sample(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"loss term 'square': found shape \(\); expected \(B,\)"):
            self.run(tmp_path, Summed(toy().config))

    def test_it_is_said_what_the_bar_shows(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.run(tmp_path / "loud", quiet=False, validate=lambda _: {"error": 0.25})
        assert "whole 2: error 0.25" in capsys.readouterr().err
        self.run(tmp_path / "quiet", validate=lambda _: {"error": 0.25})
        assert capsys.readouterr().err == ""


def test_only_fit_knows_lightning() -> None:
    source = Path(fitting.__file__).parents[1]
    knowing = [p.name for p in source.rglob("*.py") if re.search(r"^\s*(import|from) lightning", p.read_text(), re.M)]
    assert knowing == ["fit.py"]


def test_a_rate_scales_every_stage_and_is_recorded(tmp_path: Path) -> None:
    model = Toy.from_preset("small")
    folder = fit(model, {"squares": Squares(4)}, tmp_path, preset="small", seed=0, max_steps=2, rate=0.25, quiet=True)
    recorded = [stage["lr"] for stage in weights.read_card(folder)["training"]["stages"]]
    assert recorded == pytest.approx([0.25 * stage.lr for stage in model.stages("small")])


def test_a_stored_position_keeps_the_order_of_its_sums(tmp_path: Path) -> None:
    """Lines of the log list the terms in this order: a resumed run's are then those of one that was never stopped."""
    position = resume.Position(step=3, sums={"loss": 1.0, "depth": 0.5, "a": 0.25})
    resume.write(tmp_path, {"seed": 1}, position, toy())
    state = resume.read(tmp_path, {"seed": 1})
    assert state is not None
    assert state.position == position
    assert list(state.position.sums) == ["loss", "depth", "a"]
