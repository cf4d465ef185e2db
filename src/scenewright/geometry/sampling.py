"""Reading images and volumes between their samples: the only caller of `grid_sample` in the project.

Coordinates are pixels (or voxels) with sample centres at integers, so the first sample of an axis sits at 0.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.checks import check_shape

Mode = Literal["bilinear", "nearest"]
Padding = Literal["zeros", "border"]

BORDER_SLACK_PX = 1e-3
"""How far outside the outermost centres a coordinate still counts as inside: more than rounding, less than sight."""


def pixel_grid(size: tuple[int, int], like: Tensor) -> Tensor:
    """The (u, v) coordinates of all pixels of a picture of size (H, W): (H, W, 2), typed and placed as `like`."""
    height, width = size
    v, u = torch.meshgrid(
        torch.arange(height, dtype=like.dtype, device=like.device),
        torch.arange(width, dtype=like.dtype, device=like.device),
        indexing="ij",
    )
    return torch.stack([u, v], dim=-1)


def sample_at(image: Tensor, uv: Tensor, mode: Mode = "bilinear", padding: Padding = "zeros") -> tuple[Tensor, Tensor]:
    """Read an image at given pixel coordinates; differentiable in both (bilinear).

    With `padding="zeros"` values fade to 0 within one pixel outside the outermost centres, with "border" the nearest
    edge pixel is repeated. Infinite or NaN coordinates read as far outside.

    Args:
        image: (B, C, H, W) float.
        uv: (B, H', W', 2) pixels, x first; B may be 1 on either side.

    Returns:
        values: (B, C, H', W').
        valid: (B, 1, H', W') bool, True where uv lies on the image, up to `BORDER_SLACK_PX`.

    Raises:
        InputError: wrong shapes, integer images (use `sample_nearest`), unknown mode or padding.
    """
    check_shape("image", image, None, None, None, None)
    check_shape("uv", uv, None, None, None, 2)
    values, valid = _sample(image, uv, mode, padding)
    return values, valid


def sample_nearest(image: Tensor, uv: Tensor) -> Tensor:
    """Read the nearest pixel of a map that must not be mixed (depth, labels, masks); 0 outside, any type.

    Args:
        image: (B, C, H, W) of any type; integers up to 2^53 keep their exact value.
        uv: (B, H', W', 2) pixels.

    Returns:
        (B, C, H', W') of the image's type.
    """
    check_shape("image", image, None, None, None, None)
    check_shape("uv", uv, None, None, None, 2)
    exact = image if image.is_floating_point() else image.to(torch.float64)
    values, valid = _sample(exact, uv, "nearest", "zeros")
    return torch.where(valid, values, 0).to(image.dtype)


def sample_volume(
    volume: Tensor, index: Tensor, mode: Mode = "bilinear", padding: Padding = "zeros"
) -> tuple[Tensor, Tensor]:
    """Read a volume at given voxel coordinates (trilinear), as `sample_at` reads an image.

    Args:
        volume: (B, C, N0, N1, N2) float.
        index: (B, M0, M1, M2, 3): position along array axes 0, 1, 2, voxel centres at integers; B may be 1 on
            either side.

    Returns:
        values: (B, C, M0, M1, M2).
        valid: (B, 1, M0, M1, M2) bool.

    Raises:
        InputError: as `sample_at`.
    """
    check_shape("volume", volume, None, None, None, None, None)
    check_shape("index", index, None, None, None, None, 3)
    return _sample(volume, index.flip(-1), mode, padding)


def patch_grid(centre: Tensor, half_size: Tensor, angle: Tensor, size: int) -> Tensor:
    """Pixel coordinates of square, turned patches, to be read by `sample_at` (spatial transformer).

    Args:
        centre: (B, 2) pixels.
        half_size: (B,) pixels from the centre to the outermost samples.
        angle: (B,) radians; the patch's x axis points to (cos, sin) in the image.
        size: samples per side; one sample sits on the centre.

    Returns:
        (B, size, size, 2).
    """
    check_shape("centre", centre, None, 2)
    steps = torch.linspace(-1, 1, size, dtype=centre.dtype, device=centre.device) if size > 1 else centre.new_zeros(1)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    cos, sin, r = (a[:, None, None] for a in (torch.cos(angle), torch.sin(angle), half_size))
    offset = torch.stack([r * (cos * x - sin * y), r * (sin * x + cos * y)], dim=-1)
    return centre[:, None, None] + offset


def _sample(data: Tensor, xyz: Tensor, mode: str, padding: str) -> tuple[Tensor, Tensor]:
    """`sample_at` in two or three dimensions; the first coordinate runs along the last axis."""
    if mode not in ("bilinear", "nearest") or padding not in ("zeros", "border"):
        raise InputError("sampling", f"mode {mode!r}, padding {padding!r}", "bilinear or nearest, zeros or border")
    if not data.is_floating_point():
        raise InputError("sampled values", str(data.dtype), "a float type, or sample_nearest for labels")
    size = xyz.new_tensor(data.shape[:1:-1])
    valid = ((xyz >= -BORDER_SLACK_PX) & (xyz <= size - 1 + BORDER_SLACK_PX)).all(-1)[:, None]
    batch = max(len(data), len(xyz))
    if {len(data), len(xyz)} - {1, batch}:
        raise InputError("coordinates", f"a batch of {len(xyz)}", f"a batch of {len(data)}, or of 1")
    # Two samples outside reads the same as infinitely far, and keeps the sampler's integers from overflowing.
    near = torch.minimum(torch.nan_to_num(xyz, nan=-2.0).clamp(min=-2.0), size + 1)
    # align_corners=False maps -1..1 to the outer edges: n = (2 x + 1) / size - 1, right for an axis of one sample too.
    grid = ((2 * near + 1) / size - 1).to(data.dtype)
    values = F.grid_sample(
        data.expand(batch, *data.shape[1:]),
        grid.expand(batch, *grid.shape[1:]),
        mode=mode,
        padding_mode=padding,
        align_corners=False,
    )
    return values, valid.expand(batch, *valid.shape[1:])
