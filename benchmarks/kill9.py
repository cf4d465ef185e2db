"""Kill -9 at random moments, resume, compare byte for byte: `python -m benchmarks.kill9 [--runs 20] [--job train]`.

Two jobs: `scenewright reconstruct` of 16 frames of the demo at 160 pixels (`--full`: all of it), and `scenewright
train fcrn` on three tiny rooms for a few steps. Each is run once undisturbed and then `--runs` times, killed at a
moment drawn from its share of that run's time (every fourth run twice) and started again until it ends. All products
must equal the undisturbed run's, and nothing else may lie about. Moments are seconds of processor time, so that other
work on the machine moves none, and jobs are forked off a process that has imported everything, so that none is spent
on imports. So that there is a state to resume from at most moments, the killed runs store theirs every second, not
every 10 (120).
Not compared: times, speeds and memory, and the report, which shows them. Linux only: reads /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scenewright.engine.scoreboard import Metric, Protocol, measured, store
from scenewright.worlds.dataset import RoomFrames, render_shard, shard_path

IMPORTED = [
    "scenewright.cli.main", "scenewright.pipelines.reconstruct", "scenewright.pipelines.train",
    "scenewright.engine.fit", "scenewright.viewer.report", "scenewright.depth.fcrn",
]  # fmt: skip
TIMES = {"train": ("images_per_s",), "validate": ()}
PROTOCOL = Protocol(
    "kill9", "safety",
    "16 frames of the demo clip at 160 pixels; FCRN small trained for some steps on three tiny rooms",
    "kill -9 at moments drawn evenly from a run's processor time, every fourth run twice", "none", "none", "none",
    "none",
    (Metric("differing", "runs", "lower", 0), Metric("kills", "", "higher", 0), Metric("runs", "", "higher", 0)),
    "differing: runs that, resumed until they ended, left other bytes than the undisturbed run, or a file beside its "
    "products. Not compared: times, speeds, memory and the report, which shows them.",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A command that is killed.

    Args:
        name: "reconstruct" or "train".
        arguments: of `scenewright`, for a folder that its products go to.
        products: hashes of what must be repeated, by name.
        reached: in a few words, what a killed run has done.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    products: Callable[[Path], dict[str, str]]
    reached: Callable[[Path], str]


@dataclass(frozen=True)
class Outcome:
    """One disturbed run; `differing` and `strays` are names that must not be."""

    moments: tuple[float, ...]
    reached: tuple[str, ...]
    error: str
    differing: tuple[str, ...]
    strays: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the run came out as the undisturbed one."""
        return not (self.error or self.differing or self.strays)


def digest(data: bytes | str) -> str:
    """A short hash."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:16]


def scene_products(folder: Path) -> dict[str, str]:
    """Hashes of a scene's files; of those that hold times, too, the rest alone."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    out = {name: digest(path.read_bytes()) for name, path in found.items() if name not in _TIMED}
    return out | {name: digest(untimed(found[name])) for name, untimed in _TIMED.items() if name in found}


def _untimed_frames(path: Path) -> str:
    return "\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines())


def _untimed_figures(path: Path) -> str:
    return json.dumps([f for f in json.loads(path.read_text())["figures"] if f["group"] != "speed"])


def _untimed_manifest(path: Path) -> str:
    manifest = json.loads(path.read_text())
    steps = [{k: v for k, v in step.items() if k != "seconds"} for step in manifest["steps"]]
    timed = {*_TIMED, "report.html"}
    products = [{"path": p["path"]} if p["path"] in timed else p for p in manifest["products"]]
    return json.dumps({**manifest, "steps": steps, "products": products})


_TIMED: dict[str, Callable[[Path], str]] = {
    "frames.csv": _untimed_frames,
    "metrics.json": _untimed_figures,
    "scene.json": _untimed_manifest,
    "report.html": lambda path: "a report" if path.read_bytes().rstrip().endswith(b"</html>") else "a torn report",
}


def run_products(folder: Path) -> dict[str, str]:
    """Hashes of a training run's weights and of its log without speeds."""
    out = {f"weights/{p.name}": digest(p.read_bytes()) for p in sorted((folder / "weights").iterdir())}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in line.items() if k not in TIMES[line["kind"]]} for line in lines]
    others = (p.name for p in folder.iterdir() if p.name not in ("weights", "metrics.jsonl", "tensorboard"))
    return out | {"metrics.jsonl": digest(json.dumps(kept))} | dict.fromkeys(others, "is there")


def scene_reached(folder: Path) -> str:
    """The steps that are done, or the frame that the stored state stands at."""
    state, manifest = folder / ".work" / "state.json", folder / "scene.json"
    steps = json.loads(manifest.read_text())["steps"] if manifest.exists() else []
    done = [step["name"] for step in steps if step["status"] == "done"]
    frame = json.loads(state.read_text())["facts"]["position"] if state.exists() else 0
    return ", ".join(done) or (f"frame {frame}" if frame else "nothing")


def run_reached(folder: Path) -> str:
    """The step that the stored state stands at."""
    from safetensors import safe_open

    path = folder / "resume.safetensors"
    if not path.exists():
        return "nothing"
    with safe_open(path, framework="pt") as file:
        position = json.loads(file.metadata()["state"])["position"]
    return "all steps" if position["stage"] else f"step {position['step']}"


def jobs(rooms: Path, steps: int, full: bool) -> dict[str, Job]:
    """The two jobs by name."""

    def reconstruct(out: Path) -> list[str]:
        small = ["--max-frames", "16", "--every", "2", "--size", "160", "--voxel", "0.06"]
        return ["reconstruct", "demo", "-o", str(out), *([] if full else small)]

    def train(out: Path) -> list[str]:
        return ["train", "fcrn", "--data", str(rooms), "--run", str(out), "--steps", str(steps), "--threads", "1"]

    return {
        "reconstruct": Job("reconstruct", reconstruct, scene_products, scene_reached),
        "train": Job("train", train, run_products, run_reached),
    }


def work(name: str, arguments: list[str], log: Path, often: bool) -> None:
    """The command, in a process group of its own; `often` makes it store its state every second."""
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import torch

    from scenewright.cli.main import main
    from scenewright.engine import fit
    from scenewright.pipelines import reconstruct

    torch.set_num_threads(1)
    if often and name == "reconstruct":
        reconstruct.CHECKPOINT_SECONDS = 1.0
    if often and name == "train":
        fit.fit = partial(fit.fit, save_every=1)
    sys.exit(main(arguments))


def start(job: Job, out: Path, log: Path, often: bool) -> BaseProcess:
    """The job's command, forked off a server that has imported what it needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=work, args=(job.name, job.arguments(out), log, often))
    process.start()
    return process


def processor_seconds(pid: int | None) -> float:
    """Of a living process, all its threads; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(process: BaseProcess, moment: float = float("inf")) -> tuple[bool, float]:
    """Wait for the end, or kill the process group at so many seconds of its time; whether it was, and that time."""
    spent = 0.0
    while process.is_alive():
        spent = max(spent, processor_seconds(process.pid))
        if spent >= moment and process.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            return True, spent
        time.sleep(0.01)
    process.join()
    return False, spent


def disturb(job: Job, folder: Path, moments: list[float], expected: dict[str, str]) -> Outcome:
    """Kill at each of the moments in turn, resume, and compare."""
    out, log = folder / "out", folder / "log.txt"
    reached = []
    for moment in moments:
        if watch(start(job, out, log, often=True), moment)[0]:
            reached.append(job.reached(out))
    last = start(job, out, log, often=True)
    watch(last)
    if last.exitcode:
        said = f"exit {last.exitcode}: {log.read_text().splitlines()[-1:]}"
        return Outcome(tuple(moments), tuple(reached), said, (), ())
    found = job.products(out)
    differing = tuple(name for name, value in expected.items() if found.get(name) != value)
    return Outcome(tuple(moments), tuple(reached), "", differing, tuple(sorted(set(found) - set(expected))))


def undisturbed(job: Job, folder: Path) -> tuple[float, dict[str, str]]:
    """Seconds of processor time and products of the command as a user gives it."""
    log = folder / "log.txt"
    process = start(job, folder / "out", log, often=False)
    _, seconds = watch(process)
    if process.exitcode:
        raise SystemExit(f"{job.name} fails undisturbed:\n{log.read_text()[-2000:]}")
    return seconds, job.products(folder / "out")


def measure(job: Job, runs: int, seed: int, keep: Path) -> list[Outcome]:
    """All disturbed runs of a job, printed as they end; the folders of bad ones stay."""
    first = keep / f"{job.name}-undisturbed"
    first.mkdir(parents=True)
    seconds, expected = undisturbed(job, first)
    print(f"{job.name}: {seconds:.1f} s of processor time undisturbed, {len(expected)} products", flush=True)
    print(f"{'run':>5}  {'killed after s':<16}{'had done':<34}outcome")
    rng, outcomes = random.Random(seed), []
    for k in range(runs):
        moments = [0.95 * seconds * (k + rng.random()) / runs] + ([0.5 * seconds * rng.random()] if k % 4 == 3 else [])
        folder = keep / f"{job.name}-{k:02d}"
        folder.mkdir()
        outcome = disturb(job, folder, moments, expected)
        outcomes.append(outcome)
        print(row(k, outcome), flush=True)
        if outcome.ok:
            shutil.rmtree(folder)
    return outcomes


def row(k: int, outcome: Outcome) -> str:
    """One line of the table."""
    said = outcome.error or ", ".join(
        [f"differs: {name}" for name in outcome.differing[:3]] + [f"stray: {name}" for name in outcome.strays[:3]]
    )
    moments = " ".join(f"{m:.1f}" for m in outcome.moments)
    return f"{k:>5}  {moments:<16}{'; '.join(outcome.reached) or 'ended before':<34}{said or 'the same bytes'}"


def main() -> None:
    """Run, print, and fail where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="disturbed runs of each job (20)")
    parser.add_argument("--job", choices=("reconstruct", "train"), default=None, help="one job only")
    parser.add_argument("--steps", type=int, default=6, help="of training (6)")
    parser.add_argument("--full", action="store_true", help="reconstruct the whole demo as a user would")
    parser.add_argument("--results", type=Path, default=None, help="root folder to store the figures under")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    options = parser.parse_args()
    keep = Path(tempfile.mkdtemp(prefix="kill9-"))
    table: dict[str, Any] = jobs(keep / "rooms", options.steps, options.full)
    for seed, split in enumerate(("train", "train", "validation")):
        render_shard(shard_path(keep / "rooms", split, seed), [seed], split, 4, (96, 72))
    chosen = [options.job] if options.job else list(table)
    results = {name: measure(table[name], options.runs, options.seed, keep) for name in chosen}
    for name, outcomes in results.items():
        kills = sum(len(outcome.reached) for outcome in outcomes)
        good = sum(outcome.ok for outcome in outcomes)
        print(f"{name}: {len(outcomes)} runs, {kills} kills, {good} with the same bytes and nothing left over")
        if options.results is not None and not options.full:
            figures = {"differing": len(outcomes) - good, "kills": kills, "runs": len(outcomes)}
            reached = [list(outcome.reached) for outcome in outcomes]
            data = {"reached": reached, "sha256": RoomFrames(keep / "rooms", "train").fingerprint()}
            store(measured(PROTOCOL, name, figures, seed=options.seed, data=data), options.results)
    if bad := [name for name, outcomes in results.items() if not all(outcome.ok for outcome in outcomes)]:
        raise SystemExit(f"{', '.join(bad)}: look into {keep}")
    shutil.rmtree(keep)


if __name__ == "__main__":
    main()
