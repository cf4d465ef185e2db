"""Every network's inference against its bare convolutions and matrix products: `python benchmarks/bench_inference.py`.

One forward pass is watched, and every convolution and matrix product in it written down: its shapes, types and memory
layout. Then these alone are run, on random numbers, and timed in turn with the whole network. A ratio of 1 would mean
that activations, norms, resizing and copies cost nothing; it can be less, since a prepared network has its kernels
packed, as torch's convolutions alone have not. Times are the thread's own, so that other work on the machine counts
little; batch 1, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bare import Recorder
from scenewright.engine.table import create, list_methods
from scenewright.engine.weights import list_weights, load
from scenewright.files import write_json
from scenewright.nn.inference import prepare

BAR = 1.3
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": None}


def picture_of(method: Any) -> tuple[Tensor, ...]:
    """The input of `forward` at the size that the method is trained at, batch 1."""
    width, height = method.config.input_size
    generator = torch.Generator().manual_seed(0)
    slices = (method.config.slices,) if method.card.task == "focus" else ()
    return (torch.rand(1, *slices, 3, height, width, generator=generator),)


def compare(method: Any, autocast: torch.dtype | None, repeats: int, ready: bool) -> dict[str, float]:
    """Milliseconds of the network and of its bare operations (medians of turns), how many these are, and the ratio.

    Args:
        ready: prepare the network first.
    """
    given = picture_of(method.eval())
    casting = torch.autocast("cpu", autocast) if autocast else nullcontext()
    with torch.inference_mode(), casting:
        if ready:
            prepare(method, lambda: method(*given))
        method(*given)
        with Recorder() as recorder:
            method(*given)
        whole, alone = interleaved((lambda: method(*given), recorder.again), repeats)
    ratios = [w / a for w, a in zip(whole, alone, strict=True)]
    return {
        "network_ms": statistics.median(whole),
        "bare_ms": statistics.median(alone),
        "operations": len(recorder.calls),
        "ratio": statistics.median(ratios),
    }


def interleaved(ways: Sequence[Callable[[], Any]], repeats: int) -> list[list[float]]:
    """Milliseconds of the thread for each way, taken in turn after one turn that warms up."""
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, found in zip(ways, times, strict=True):
            start = time.thread_time()
            way()
            if turn:
                found.append(1e3 * (time.thread_time() - start))
    return times


def markdown(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table: a row per method, ratio and both times per precision."""
    head = ["method", *(f"{p}: {what}" for p in PRECISIONS for what in ("network ms", "bare ms", "ratio"))]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, found in rows.items():
        cells = [f"{found[p][key]:.{digits}f}" for p in PRECISIONS
                 for key, digits in (("network_ms", 1), ("bare_ms", 1), ("ratio", 2))]  # fmt: skip
        lines.append([name, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("methods", nargs="*", help="names of the table; none: all of depth and focus")
    parser.add_argument("--preset", default="small", help="of methods without shipped weights")
    parser.add_argument("--repeats", type=int, default=15, help="turns; medians count")
    parser.add_argument("--as-trained", action="store_true", help="without `nn.inference.prepare`, as no command does")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shipped = set(list_weights()) if options.preset == "small" else set()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name in options.methods or [*list_methods("depth"), *list_methods("focus")]:
        rows[name] = {}
        for precision, dtype in PRECISIONS.items():
            method = load(name) if name in shipped else create(name, options.preset)
            rows[name][precision] = compare(method, dtype, options.repeats, not options.as_trained)
    print(markdown(rows))
    over = [f"{n} {p} {f['ratio']:.2f}" for n, found in rows.items() for p, f in found.items() if f["ratio"] > BAR]
    print(f"above {BAR}: {', '.join(over) or 'none'}")
    if options.json:
        write_json(options.json, {"preset": options.preset, "threads": 1, "batch": 1, "bar": BAR, "methods": rows})


if __name__ == "__main__":
    main()
