"""Up-projection without multiplying zeros against the paper's own wording: `python benchmarks/bench_upprojection.py`.

Both compute the same map (2x unpooling, then a 5x5 convolution) at the four sizes of an FCRN. The
fast way packs its kernels at every call, which a larger batch pays back.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from scenewright.depth.fcrn import UpConv, unpool_conv5x5

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
    sums = [0.0, 0.0]
    print(f"{'level':<22}{'naive ms':>10}{'fast ms':>10}{'ratio':>8}{'largest difference':>20}")
    for channels, out, height, width in LEVELS[options.preset]:
        x = torch.randn(options.batch, channels, height, width, generator=generator)
        weight = torch.randn(out, channels, 5, 5, generator=generator) / (5 * channels**0.5)
        bias = torch.randn(out, generator=generator)
        up = with_kernel(weight, bias)
        difference = float((up(x) - unpool_conv5x5(x, weight, bias)).abs().max())
        naive = milliseconds(lambda x=x, w=weight, b=bias: unpool_conv5x5(x, w, b), options.repeats)  # type: ignore[misc]
        fast = milliseconds(lambda x=x, up=up: up(x), options.repeats)  # type: ignore[misc]
        sums = [sums[0] + naive, sums[1] + fast]
        name = f"{channels}x{height}x{width} -> {out}"
        print(f"{name:<22}{naive:>10.2f}{fast:>10.2f}{naive / fast:>8.2f}{difference:>20.1e}")
    print(f"{'sum':<22}{sums[0]:>10.2f}{sums[1]:>10.2f}{sums[0] / sums[1]:>8.2f}")


if __name__ == "__main__":
    main()
