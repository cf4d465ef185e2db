"""Training a method: its stages in order, by Lightning's Trainer. The only file that knows Lightning.

Importing it takes seconds, so import it where training starts. What a step sees (batch, augmentation, dropout, learning
rate) is a pure function of the seed, the stage and the step's number, so that a run that was killed at any moment and
started again ends with the same bytes.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from scenewright.engine import resume as resuming
from scenewright.engine import schedule
from scenewright.engine.config import to_data
from scenewright.engine.log import Display, MetricsLog
from scenewright.engine.method import Method, Stage, evaluating
from scenewright.engine.origin import origin_of, with_origin
from scenewright.engine.resume import Position, State
from scenewright.engine.sampling import Batches, Plan, derive
from scenewright.engine.schedule import Average, Plateau
from scenewright.engine.stopping import Stopper
from scenewright.engine.weights import save
from scenewright.errors import InputError, ScenewrightError

Validate = Callable[[Method[Any]], Mapping[str, float]]
PRECISIONS = {"bf16": "bf16-mixed", "32": "32-true"}


class TrainingInterrupted(ScenewrightError):
    """A run that a signal stopped after a finished, stored step; `exit_code` is 128 plus the signal's number."""

    def __init__(self, folder: Path, where: str, signum: int) -> None:
        super().__init__(f"stopped at {where}; its state is in {folder}: run the same command again to continue")
        self.exit_code = 128 + signum


class Diverged(ScenewrightError):
    """A loss that is no longer a number; the last stored state is from before it."""


def fit(
    method: Method[Any], datasets: Mapping[str, Any], run_dir: str | Path, *, preset: str, seed: int,
    workers: int = 0, devices: int = 1, precision: str = "bf16", validate: Validate | None = None,
    validate_every: int = 1000, max_steps: int | None = None, rate: float = 1.0, start: str | Path | None = None,
    trunk: Mapping[str, Any] | None = None, resume: bool = True, save_every: float = 120.0, log_every: int = 10,
    quiet: bool = False,
) -> Path:  # fmt: skip
    """Train a method through the stages of a preset and write its weights; `run_dir` then also holds metrics.jsonl,
    and what each stage but the last ended with as `weights-STAGE`.

    Args:
        method: with fresh or loaded weights, on the CPU; trained in place, left in eval mode.
        datasets: data sets by the names that stages use, each with `__len__` and `draw(index, generator)` or
            `__getitem__`; an attribute `record` (JSON: description, hash, seed, licences) goes into the card.
        preset, seed: whose stages to run; the seed of order, augmentation and dropout.
        workers, devices: processes that load data; processes that train together (DDP, the script starts again).
        precision: `"bf16"` (autocast) or `"32"`.
        validate: takes the method in eval mode, averaged where there is an average, and returns figures; called
            every `validate_every` steps and at the end of each stage.
        max_steps: shortens every stage to at most so many steps.
        rate: factor on every stage's learning rate, below 1 to go on from trained weights.
        start: the stored weights that the method was loaded with, a name or a folder; their record goes into the card.
        trunk: what the method's trunk was loaded from (JSON: file, hash, licences), for the card.
        resume: go on where an earlier run in `run_dir` stopped; False starts over.
        save_every, log_every: seconds between stored states; steps whose means make a line of the log.

    Returns:
        The folder of the weights, `run_dir/weights`.

    Raises:
        InputError: settings, stages or data sets that do not fit together, or a run folder of another run.
        TrainingInterrupted: SIGINT or SIGTERM arrived; the step was finished and stored.
        Diverged: a loss term became infinite or NaN.
    """
    _check_arguments(precision, devices, workers, max_steps, validate_every, log_every)
    if not 0 < rate <= 100:
        raise InputError("rate", rate, "above 0, at most 100")
    stages = tuple(replace(s, lr=s.lr * rate) for s in _stages(method, datasets, preset, max_steps, devices))
    record = _record(preset, seed, precision, stages, datasets)
    if trunk is not None:
        record["trunk"] = dict(trunk)
    origin = None if start is None else origin_of(start)
    fingerprint = _fingerprint(method, record, origin)
    cadence = _Cadence(validate_every, save_every, log_every)
    run = _Run(
        method, stages, Path(run_dir), seed, workers, devices, precision, validate, cadence, quiet, fingerprint,
        record, origin,
    )  # fmt: skip
    with _alone(run), Stopper() as stopper, _generators_kept(), _quiet_lightning():
        figures = _train(run, datasets, stopper, resume)
        if run.rank == 0:
            save(method, run.folder / "weights", training=run.training(len(stages), figures))
    return run.folder / "weights"


@dataclass(frozen=True)
class _Cadence:
    """How often: steps between validations, seconds between stored states, steps per line of the log."""

    validate: int
    save: float
    log: int


@dataclass(frozen=True)
class _Run:
    """The settings of a run, checked."""

    method: Method[Any]
    stages: tuple[Stage, ...]
    folder: Path
    seed: int
    workers: int
    devices: int
    precision: str
    validate: Validate | None
    every: _Cadence
    quiet: bool
    fingerprint: Mapping[str, Any]
    record: Mapping[str, Any]
    origin: Mapping[str, Any] | None

    def training(self, stages: int, figures: Mapping[str, float]) -> dict[str, Any]:
        """What the card says of weights after so many stages."""
        done = self.record["stages"][:stages]
        steps = sum(stage["steps"] for stage in done)
        return with_origin({**self.record, "stages": done, "steps": steps, "figures": dict(figures)}, self.origin)

    @property
    def rank(self) -> int:
        """Which of the processes of a DDP run this is; 0 is the one that writes."""
        return int(os.environ.get("LOCAL_RANK", "0")) if self.devices > 1 else 0


def _check_arguments(
    precision: str, devices: int, workers: int, max_steps: int | None, validate_every: int, log_every: int
) -> None:
    if precision not in PRECISIONS:
        raise InputError("precision", repr(precision), f"one of {', '.join(PRECISIONS)}")
    positive = {"devices": devices, "validate_every": validate_every, "log_every": log_every}
    if max_steps is not None:
        positive["max_steps"] = max_steps
    for name, value in positive.items():
        if value < 1:
            raise InputError(name, value, "at least 1")
    if workers < 0:
        raise InputError("workers", workers, "at least 0")


def _stages(
    method: Method[Any], datasets: Mapping[str, Any], preset: str, max_steps: int | None, devices: int
) -> tuple[Stage, ...]:
    stages = tuple(_shortened(stage, max_steps) for stage in method.own_stages(preset))
    for stage in stages:
        schedule.check(stage)
        if stage.data not in datasets:
            raise InputError("datasets", sorted(datasets), f"{stage.data!r}, which stage {stage.name!r} reads")
        if len(datasets[stage.data]) < 1:
            raise InputError(f"dataset {stage.data!r}", "no items", "at least one")
        if stage.batch_size % devices:
            raise InputError("devices", devices, f"a divisor of the batch size {stage.batch_size} of {stage.name!r}")
    return stages


def _shortened(stage: Stage, max_steps: int | None) -> Stage:
    steps = stage.steps if max_steps is None else min(stage.steps, max_steps)
    return replace(stage, steps=steps, warmup=min(stage.warmup, steps))


def _record(
    preset: str, seed: int, precision: str, stages: tuple[Stage, ...], datasets: Mapping[str, Any]
) -> dict[str, Any]:
    used = {stage.data: datasets[stage.data] for stage in stages}
    return {
        "preset": preset,
        "seed": seed,
        "precision": precision,
        "stages": [asdict(stage) for stage in stages],
        "steps": sum(stage.steps for stage in stages),
        "data": {name: {"items": len(d), **dict(getattr(d, "record", {}))} for name, d in used.items()},
    }


def _fingerprint(method: Method[Any], record: Mapping[str, Any], origin: Mapping[str, Any] | None) -> dict[str, Any]:
    """What two runs must have in common to be one."""
    start = {} if origin is None else {"start": origin["weights_sha256"]}
    return {"method": method.card.name, "config": to_data(method.config), **record, **start}


def _train(run: _Run, datasets: Mapping[str, Any], stopper: Stopper, resume: bool) -> Mapping[str, float]:
    """Run what is left of the stages; returns the last validation's figures."""
    state = resuming.read(run.folder, run.fingerprint) if resume else None
    position = Position() if state is None else state.position
    log = MetricsLog(run.folder, position.stage, position.step) if run.rank == 0 else None
    display = Display(run.quiet or run.rank > 0)
    try:
        for index, stage in enumerate(run.stages):
            run.method.prepare_stage(stage)  # also for finished stages: what it sets is not in the stored state
            if index >= position.stage:
                leg = _Leg(run, index, position, state, stopper, log, display)
                leg.train_on(datasets[stage.data])
                state = None
        if state is not None:
            state.restore_method(run.method)
    finally:
        display.stop()
        run.method.requires_grad_(True).eval()
        _lay_out(run.method, torch.contiguous_format)  # outputs to the last bit are then those of loaded weights
        if log is not None:
            log.close()
    return position.figures


class _Leg(lightning.LightningModule):
    """One stage of a run in Lightning's terms. Its state is the weights, the moments, the average and `position`."""

    def __init__(
        self,
        run: _Run,
        index: int,
        position: Position,
        state: State | None,
        stopper: Stopper,
        log: MetricsLog | None,
        display: Display,
    ) -> None:
        super().__init__()
        self.run, self.index, self.stage, self.position, self.state = run, index, run.stages[index], position, state
        self.stopper, self.lines, self.display = stopper, log, display
        self.method = run.method
        self.average: Average | None = None
        self.terms: dict[str, Tensor] = {}
        self.saved_at = self.logged_at = time.monotonic()

    def train_on(self, dataset: Any) -> None:
        """Run what is left of the stage."""
        run, stage, first = self.run, self.stage, self.position.step
        if self.state is not None:
            self.state.restore_method(self.method)
        schedule.freeze(self.method, stage)
        self.method.train()
        _lay_out(self.method, torch.channels_last)
        plan = Plan(run.seed, stage.name, len(dataset), stage.batch_size, first, stage.steps, run.rank, run.devices)
        self.display.start(stage.name, stage.steps, first, stage.batch_size)
        trainer = _trainer(run, stage)
        trainer.fit(self, train_dataloaders=Batches(dataset, plan, run.workers))
        self.method.to("cpu")
        if trainer.should_stop and self.position.stage < len(run.stages):
            where = f"stage {run.stages[self.position.stage].name!r} step {self.position.step}"
            raise TrainingInterrupted(run.folder, where, self.stopper.signum or signal.SIGTERM)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return schedule.optimizer(self.method, self.stage)

    def on_train_start(self) -> None:
        self.stopper.take_over()  # Lightning has put a handler of its own in place by now
        schedule.train_mode(self.method, self.stage)
        if self.stage.average:
            self.average = Average(self.method, self.stage.average)
        if self.state is not None:
            self.state.restore_optimizer(self.method, self._optimizer)
            if self.average is not None:
                self.state.restore_average(self.average)
            self.state = None
        self.saved_at = self.logged_at = time.monotonic()

    @property
    def _optimizer(self) -> torch.optim.Optimizer:
        found: torch.optim.Optimizer = self.trainer.optimizers[0]
        return found

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        step = self.position.step
        schedule.set_lr(self._optimizer, schedule.learning_rate(self.stage, step) * self.position.plateau.scale)
        torch.manual_seed(derive(self.run.seed, self.stage.name, step, "network", self.run.rank))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        terms = self.method.loss(batch, self.stage)
        for name, term in terms.items():
            if term.ndim != 1:
                raise InputError(f"loss term {name!r}", f"shape {tuple(term.shape)}", "(B,), one value per sample")
        self.terms = {name: term.detach().float().mean() for name, term in terms.items()}
        return torch.stack([term.float() for term in terms.values()]).sum(0).mean()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        values, stop = self._shared()
        if self.average is not None:
            self.average.update(self.method, self.position.step)
        self.position.step += 1
        self._account(values)
        self._validate_if_due()
        if self.position.step == self.stage.steps:
            self._finish()
        elif stop or time.monotonic() - self.saved_at > self.run.every.save:
            self._store(self._optimizer, self.average)
        if stop:
            self.trainer.should_stop = True

    def _shared(self) -> tuple[dict[str, float], bool]:
        """The loss terms averaged over all processes, and whether any process was told to stop."""
        first = next(iter(self.terms.values()))
        vector = torch.stack([*self.terms.values(), first.new_tensor(float(self.stopper.signum))])
        if self.run.devices > 1:
            vector = self.trainer.strategy.reduce(vector, reduce_op="mean")
        *numbers, asked = vector.tolist()
        values = dict(zip(self.terms, numbers, strict=True))
        for name, value in values.items():
            if not math.isfinite(value):
                raise Diverged(f"stage {self.stage.name!r} step {self.position.step}: loss term {name!r} is {value}")
        return values, asked > 0

    def _account(self, values: Mapping[str, float]) -> None:
        """Add a step's losses to the window of the log and to that of the plateau; write the line that is due."""
        position, stage = self.position, self.stage
        total = {"loss": sum(values.values()), **values}
        for name, value in total.items():
            position.sums[name] = position.sums.get(name, 0.0) + value
        self.display.step(position.step, total)
        if stage.schedule == "plateau":
            position.plateau.add(total["loss"], Plateau.window(stage))
        if position.step % self.run.every.log == 0 or position.step == stage.steps:
            self._write_line()

    def _write_line(self) -> None:
        position, now = self.position, time.monotonic()
        steps = (position.step - 1) % self.run.every.log + 1
        means = {name: value / steps for name, value in position.sums.items()}
        speed = {"lr": max(group["lr"] for group in self._optimizer.param_groups)}
        speed["images_per_s"] = steps * self.stage.batch_size / max(now - self.logged_at, 1e-9)
        position.sums, self.logged_at = {}, now
        if self.lines is not None:
            self.lines.write("train", self.index, self.stage.name, position.step, {**means, **speed})

    def _validate_if_due(self) -> None:
        step, validate = self.position.step, self.run.validate
        if validate is None or (step < self.stage.steps and step % self.run.every.validate):
            return
        if self.run.rank == 0:
            with _at_rest(self.method, self.average):
                figures = {name: float(value) for name, value in validate(self.method).items()}
            self.position.figures = figures
            self.display.say(f"{self.stage.name} {step}: " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
            if self.lines is not None:
                self.lines.write("validate", self.index, self.stage.name, step, figures)
        self.trainer.strategy.barrier()

    def _finish(self) -> None:
        """The stage is done: its average becomes the weights, and the run stands at the start of the next."""
        if self.average is not None:
            self.average.swap(self.method)
        if self.index + 1 < len(self.run.stages) and self.run.rank == 0:
            training = self.run.training(self.index + 1, self.position.figures)
            save(self.method, self.run.folder / f"weights-{self.stage.name}", training=training)
        self.position.stage, self.position.step = self.index + 1, 0
        self.position.plateau = Plateau()
        self._store()

    def _store(self, optimizer: torch.optim.Optimizer | None = None, average: Average | None = None) -> None:
        if self.run.rank == 0:
            resuming.write(self.run.folder, self.run.fingerprint, self.position, self.method, optimizer, average)
        self.saved_at = time.monotonic()


def _trainer(run: _Run, stage: Stage) -> lightning.Trainer:
    """A Trainer that only runs the loop: devices, precision, clipping, backward, step. What it would guess is said."""
    return lightning.Trainer(
        accelerator="auto",
        devices=run.devices,
        strategy="ddp" if run.devices > 1 else "auto",
        precision=PRECISIONS[run.precision],  # type: ignore[arg-type]
        max_epochs=1,
        gradient_clip_val=stage.gradient_clip or None,
        gradient_clip_algorithm="norm",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=run.folder,
    )


def _lay_out(method: nn.Module, layout: torch.memory_format) -> None:
    """Lay 2-D convolution kernels out in memory; channels last convolves faster. Values do not change."""
    for parameter in method.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


@contextmanager
def _at_rest(method: nn.Module, average: Average | None) -> Iterator[None]:
    """Eval mode, with the averaged weights where there are any."""
    if average is not None:
        average.swap(method)
    try:
        with evaluating(method), torch.random.fork_rng(devices=[]), torch.no_grad():
            yield
    finally:
        if average is not None:
            average.swap(method)


@contextmanager
def _alone(run: _Run) -> Iterator[None]:
    """The run's folder belongs to the first process of the run."""
    if run.rank > 0:
        yield
        return
    with resuming.exclusive(run.folder):
        yield


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Leave the caller's global generators as they were; steps reseed them."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's remarks about hardware and tips off the terminal; its warnings stay.

    All but one: Lightning 2.6 itself builds a class of torch's pytree that torch 2.13 deprecates.
    """
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
