"""Crops to the pixel, as the field's code cuts them."""

from __future__ import annotations

import pytest
import torch

from scenewright.depth.crops import CROPS, crop_window, restricted
from scenewright.depth.task import DepthSample, StereoSample
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("garg", (370, 1224), (151, 366, 43, 1180)),
        ("kitti-eigen", (370, 1224), (122, 337, 43, 1180)),
        ("garg", (375, 1242), (153, 371, 44, 1197)),
        ("kitti-eigen", (375, 1242), (124, 342, 44, 1197)),
        ("nyu-eigen", (480, 640), (45, 471, 41, 601)),
        ("none", (5, 7), (0, 5, 0, 7)),
        ("centre-2x1", (460, 345), (144, 316, 0, 345)),
    ],
)
def test_windows(name: str, size: tuple[int, int], expected: tuple[int, int, int, int]) -> None:
    rows, columns = crop_window(name, *size)
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


def test_windows_lie_inside_any_picture() -> None:
    for name in CROPS.keys() - {"nyu-eigen"}:
        for height in range(2, 40, 3):
            for width in range(2, 40, 7):
                rows, columns = crop_window(name, height, width)
                assert 0 <= rows.start <= rows.stop <= height
                assert 0 <= columns.start <= columns.stop <= width


def test_what_is_not_defined_is_refused() -> None:
    with pytest.raises(InputError, match="one of none, garg"):
        crop_window("middle", 4, 4)
    with pytest.raises(InputError, match="640x480"):
        crop_window("nyu-eigen", 240, 320)


def test_truth_outside_crop_and_cap_is_forgotten() -> None:
    depth = torch.arange(370.0).reshape(1, 1, 370, 1).expand(1, 1, 370, 1224).contiguous()
    camera = Camera.from_fov(1224, 370, 80)
    image = torch.zeros(1, 3, 370, 1224)
    pair = StereoSample(image, image, camera, torch.ones(1))
    found = list(
        restricted([DepthSample(image, depth, camera), pair, DepthSample(image, depth * 0, camera)], "garg", 200.0)
    )
    assert len(found) == 1
    assert found[0].depth_m is not None
    known = found[0].depth_m[0, 0].nonzero()
    assert known.min(0).values.tolist() == [151, 43]
    assert known.max(0).values.tolist() == [199, 1179]  # the cap comes before the crop's last row
    assert bool((depth[0, 0, :, 0] == torch.arange(370.0)).all())  # the sample itself is untouched
