"""What the single-image methods share at their border: checks, sizes, and the canonical camera.

A picture alone cannot tell a near small room from a far large one seen through a longer lens. So networks here predict
the depth that a camera of one canonical focal length would see, and every prediction is multiplied by f / f_canonical
of the camera that took the picture (CNN-SLAM, Tateno et al. 2017, eq. 5).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.depth.task import DepthSample
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS


def check_image(image: Tensor, smallest: int = 32) -> None:
    """Raise InputError unless `image` is (B, 3, H, W) float RGB in [0, 1] with sides of `smallest` pixels or more."""
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[-2:]) < smallest or not image.is_floating_point():
        expected = f"(B, 3, H, W) float, {smallest} pixels or more"
        raise InputError("image", f"{tuple(image.shape)} of {image.dtype}", expected)
    low, high = image.detach().aminmax()
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise InputError("image", f"values from {float(low):.3g} to {float(high):.3g}", "RGB in [0, 1]")


def check_camera(camera: Camera, image: Tensor) -> None:
    """Raise InputError unless `camera` is bound to the image's size."""
    if camera.size != tuple(image.shape[-2:]):
        raise InputError("camera", f"size {camera.size}", f"the image's {tuple(image.shape[-2:])} (height, width)")


def focal_factor(camera: Camera, canonical_focal_px: float) -> Tensor:
    """f / canonical f at the network's input: the factor on the canonical camera's depth, (B|1, 1, 1, 1)."""
    fx, fy, _, _ = camera.parameters
    return ((fx * fy).sqrt() / canonical_focal_px).reshape(-1, 1, 1, 1)


def network_size(camera: Camera, input_size: tuple[int, int], multiple: int = 16) -> tuple[int, int]:
    """The image's aspect at the pixel count that a network was trained at, in multiples of 16: (width, height)."""
    width, height = input_size
    ratio = (width * height / (camera.width * camera.height)) ** 0.5
    w, h = (max(32, multiple * round(n * ratio / multiple)) for n in (camera.width, camera.height))
    return w, h


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """A map at another (height, width), bilinear; for predictions."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def shrink(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture at another (height, width), bilinear and without aliasing; for inputs."""
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)


def slanted_plane(batch: int, seed: int, size: tuple[int, int] = (64, 64)) -> DepthSample:
    """Random pictures of (width, height) with a slanted plane as truth: the example of the contract tests."""
    width, height = size
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, height, width, generator=generator)
    depth = 1.0 + torch.linspace(0, 2, width).expand(batch, 1, height, width) + 0.2 * image.mean(1, keepdim=True)
    camera = Camera.from_fov(width, height, 60.0)
    camera = Camera(width, height, camera.K.expand(batch, 3, 3))
    labels = torch.randint(0, len(LABELS), (batch, height, width), generator=generator)
    return DepthSample(image, depth, camera, labels)
