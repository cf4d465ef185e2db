"""Which pixels of a picture count, as the protocols of the field have it; bounds are cut off to whole pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch

from scenewright.depth.task import DepthSample, StereoSample
from scenewright.errors import InputError

Window = tuple[slice, slice]


def _fractions(top: float, bottom: float, left: float, right: float) -> Callable[[int, int], Window]:
    def window(height: int, width: int) -> Window:
        return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))

    return window


def _all(height: int, width: int) -> Window:
    return slice(0, height), slice(0, width)


def _nyu(height: int, width: int) -> Window:
    """The rectangle of Eigen et al. on the 640 x 480 of the labelled set."""
    if (height, width) != (480, 640):
        raise InputError("crop nyu-eigen", f"a picture of {width}x{height}", "640x480, for which it is defined")
    return slice(45, 471), slice(41, 601)


def _centre(height: int, width: int) -> Window:
    """The middle band twice as wide as high, as Monodepth scores Make3D."""
    rows = min(height, width // 2)
    top = (height - rows) // 2
    return slice(top, top + rows), slice(0, width)


CROPS: dict[str, Callable[[int, int], Window]] = {
    "none": _all,
    "garg": _fractions(0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "kitti-eigen": _fractions(0.3324324, 0.91351351, 0.03594771, 0.96405229),
    "nyu-eigen": _nyu,
    "centre-2x1": _centre,
}
"""By name: (height, width) -> the rows and columns that count. KITTI's fractions are those of Monodepth's code."""


def crop_window(name: str, height: int, width: int) -> Window:
    """The window of a named crop.

    Raises:
        InputError: no such crop, or one that is not defined for this size.
    """
    if name not in CROPS:
        raise InputError("crop", repr(name), f"one of {', '.join(CROPS)}")
    return CROPS[name](height, width)


def restricted(
    samples: Iterable[DepthSample | StereoSample], crop: str, cap_m: float
) -> Iterator[DepthSample | StereoSample]:
    """The samples whose truth is forgotten outside the crop and from the cap on; those left without any are dropped."""
    for sample in samples:
        if sample.depth_m is None:
            continue
        rows, columns = crop_window(crop, *sample.depth_m.shape[-2:])
        counted = torch.zeros_like(sample.depth_m)
        counted[..., rows, columns] = sample.depth_m[..., rows, columns]
        counted[(counted <= 1e-3) | (counted >= cap_m)] = 0
        if bool(counted.any()):
            yield replace(sample, depth_m=counted)
