"""Up-projection without multiplying zeros against the paper's own wording: `python benchmarks/bench_upprojection.py`.

All compute the same map (2x unpooling, then a 5x5 convolution) at the four sizes of an FCRN: the yardstick as the paper
words it, with its zeros multiplied; the fast way, its kernels packed at every call as in training; and with the packed
kernels kept, as in prediction. The ratios are against the yardstick, from the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from scenewright.nn.upprojection import UpConv, unpool_conv5x5

LEVELS = {
    "paper": ((1024, 512, 8, 10), (512, 256, 16, 20), (256, 128, 32, 40), (128, 64, 64, 80)),
    "small": ((256, 128, 5, 6), (128, 96, 9, 12), (96, 64, 18, 24), (64, 40, 36, 48)),
}
"""Channels in, channels out, height, width of the four up-projections of each preset."""


def with_kernel(weight: torch.Tensor, bias: torch.Tensor) -> UpConv:
    """The up-convolution whose four small kernels are those of a 5x5 one."""
    up = UpConv(weight.shape[1], weight.shape[0])
    for conv, rows, columns in ((up.conv_a, 0, 0), (up.conv_b, 1, 0), (up.conv_c, 0, 1), (up.conv_d, 1, 1)):
        conv.weight.data = weight[..., rows::2, columns::2].clone()
        conv.bias = torch.nn.Parameter(bias.clone())
    return up


def milliseconds(function: Callable[[], torch.Tensor], repeats: int) -> float:
    """Median time of one call, after one that warms up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


@torch.inference_mode()
def main() -> None:
    """Print one row per level, and the ratio of the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="calls per figure; the median counts")
    parser.add_argument("--batch", type=int, default=4, help="images per call")
    parser.add_argument("--preset", choices=sorted(LEVELS), default="paper", help="of FCRN")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    rows = []
    print(f"{'level':<22}{'naive ms':>10}{'packing ms':>12}{'kept ms':>9}{'ratios':>14}{'largest difference':>20}")
    for channels, out, height, width in LEVELS[options.preset]:
        x = torch.randn(options.batch, channels, height, width, generator=generator)
        weight = torch.randn(out, channels, 5, 5, generator=generator) / (5 * channels**0.5)
        bias = torch.randn(out, generator=generator)
        up = with_kernel(weight, bias).eval()
        ways = (partial(unpool_conv5x5, x, weight, bias), partial(packing_each_time, up, x), partial(up, x))
        rows.append([milliseconds(way, options.repeats) for way in ways])
        difference = max(float((way() - ways[0]()).abs().max()) for way in ways)
        print(f"{line(f'{channels}x{height}x{width} -> {out}', rows[-1])}{difference:>20.1e}")
    print(line("sum", [sum(column) for column in zip(*rows, strict=True)]))


def packing_each_time(up: UpConv, x: torch.Tensor) -> torch.Tensor:
    """The up-convolution as it is computed in training."""
    return F.pixel_shuffle(F.conv2d(x, *up.packed(), padding=1), 2)


def line(name: str, times: list[float]) -> str:
    """One row: milliseconds of the three ways, and how many times faster the two than the first."""
    naive, packing, kept = times
    return f"{name:<22}{naive:>10.2f}{packing:>12.2f}{kept:>9.2f}{naive / packing:>7.2f}{naive / kept:>7.2f}"


if __name__ == "__main__":
    main()
