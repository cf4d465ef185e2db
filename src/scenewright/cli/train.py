"""`scenewright train`."""

from __future__ import annotations

from pathlib import Path

import tyro


def command(
    method: tyro.conf.Positional[str],
    data: Path | None = None,
    run: Path | None = None,
    preset: str = "small",
    seed: int = 0,
    steps: int | None = None,
    trunk: Path | None = None,
    start: str | None = None,
    rate: float = 1.0,
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    threads: int | None = None,
    precision: str = "bf16",
    resume: bool = True,
) -> int:
    """Train a method; a run that was stopped goes on when the same command is given again.

    Args:
        method: name of the method ("fcrn").
        data: folder of the rendered world it learns from (`scenewright worlds generate KIND`); not needed where the
            method's data are drawn when asked for (magicwarp).
        run: folder of the run; runs/METHOD when not given.
        preset: "small" or "paper".
        seed: of order and augmentation.
        steps: shorten every stage to at most so many steps.
        trunk: safetensors of an ImageNet trunk (`scenewright convert`).
        start: begin from these weights, a name or a folder.
        rate: factor on the learning rates, below 1 to go on from trained weights.
        option: NAME=VALUE of the method's Config in place of the preset's, e.g. left_right=false; may be repeated.
        threads: of torch.
        precision: "bf16" or "32".
        resume: --no-resume starts over.
    """
    from scenewright.pipelines.train import train

    folder = train(
        method, data, run or Path("runs") / method, preset=preset, seed=seed, steps=steps, trunk=trunk, start=start,
        rate=rate, options=option, threads=threads, precision=precision, resume=resume,
    )  # fmt: skip
    print(f"weights: {folder.resolve()}")
    return 0
