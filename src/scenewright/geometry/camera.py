"""Cameras: intrinsics that are bound to an image size and never travel without it.

Axes are x right, y down, z forward; the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scenewright.errors import InputError


@dataclass(frozen=True)
class Camera:
    """One pinhole camera, or a batch of them that share an image size.

    Args:
        width, height: image size in pixels.
        K: intrinsics in pixels of that size, (..., 3, 3).
        distortion: radial-tangential coefficients k1 k2 p1 p2 [k3] as OpenCV orders them, (..., 4) or (..., 5);
            None for an undistorted image.

    Raises:
        InputError: K is no intrinsics matrix, or its principal point lies outside the image.
    """

    width: int
    height: int
    K: Tensor
    distortion: Tensor | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InputError("Camera", f"an image of {self.width}x{self.height}", "a positive size")
        if self.K.shape[-2:] != (3, 3) or not self.K.is_floating_point():
            raise InputError("Camera.K", f"{tuple(self.K.shape)} of {self.K.dtype}", "(..., 3, 3) of a float type")
        if self.distortion is not None and self.distortion.shape[-1] not in (4, 5):
            raise InputError("Camera.distortion", f"{self.distortion.shape[-1]} numbers", "k1 k2 p1 p2 [k3]")
        self._check_fit()

    def _check_fit(self) -> None:
        fx, fy, cx, cy = (x.detach() for x in self.parameters)
        K = self.K.detach()
        rest = K - torch.diag_embed(K.diagonal(dim1=-2, dim2=-1))
        rest = torch.cat([rest[..., :2, :2].flatten(-2), K[..., 2, :] - K.new_tensor([0.0, 0.0, 1.0])], dim=-1)
        if not bool((rest == 0).all()):
            raise InputError("Camera.K", K.tolist(), "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]], without skew")
        usable = torch.isfinite(K).all() and (fx > 0).all() and (fy > 0).all()
        inside = (cx > -0.5).all() and (cx < self.width).all() and (cy > -0.5).all() and (cy < self.height).all()
        if not bool(usable and inside):
            numbers = [[round(float(x), 2) for x in row] for row in self.K.reshape(-1, 9)[:1, [0, 4, 2, 5]]]
            raise InputError(
                "Camera.K",
                f"fx, fy, cx, cy = {numbers} for an image of {self.width}x{self.height}",
                "positive focal lengths and a principal point inside the image",
            )

    @classmethod
    def from_parameters(
        cls, width: int, height: int, fx: float, fy: float, cx: float, cy: float, dtype: torch.dtype = torch.float32
    ) -> Camera:
        """A single camera from its four numbers, in pixels."""
        K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=dtype)
        return cls(width, height, K)

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_fov_deg: float) -> Camera:
        """A camera with square pixels and a centred principal point from its horizontal field of view in degrees."""
        if not 1.0 < horizontal_fov_deg < 175.0:
            raise InputError("field of view", f"{horizontal_fov_deg} degrees", "between 1 and 175 degrees")
        f = width / 2 / math.tan(math.radians(horizontal_fov_deg) / 2)
        return cls.from_parameters(width, height, f, f, (width - 1) / 2, (height - 1) / 2)

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """fx, fy, cx, cy, each of shape (...)."""
        K = self.K
        return K[..., 0, 0], K[..., 1, 1], K[..., 0, 2], K[..., 1, 2]

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy of a single camera as Python numbers."""
        if self.K.ndim != 2:
            raise InputError("Camera.numbers", f"a batch {tuple(self.K.shape[:-2])}", "a single camera")
        fx, fy, cx, cy = (float(x) for x in self.parameters)
        return fx, fy, cx, cy

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), the order of tensor shapes."""
        return self.height, self.width

    def resize(self, width: int, height: int) -> Camera:
        """The camera of the picture resampled to another size (pixel centres at integers: c' = (c + .5) s - .5)."""
        sx, sy = width / self.width, height / self.height
        S = self.K.new_tensor([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(self, width=width, height=height, K=S @ self.K)

    def zoom(self, factor: float) -> Camera:
        """The same picture taken through a lens of `factor` times the focal lengths; principal point and size stay."""
        if not (math.isfinite(factor) and factor > 0):
            raise InputError("zoom factor", factor, "a positive number")
        scale = self.K.new_tensor([[factor, factor, 1], [factor, factor, 1], [1, 1, 1]])
        return replace(self, K=self.K * scale)

    def crop(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of a window of the picture.

        Raises:
            InputError: the window leaves the picture, or its principal point would leave the window.
        """
        if left < 0 or top < 0 or left + width > self.width or top + height > self.height:
            raise InputError(
                "crop", f"{width}x{height} at ({left}, {top})", f"a window inside {self.width}x{self.height}"
            )
        S = self.K.new_tensor([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
        return replace(self, width=width, height=height, K=S @ self.K)

    def hflip(self) -> Camera:
        """The camera of the picture mirrored left to right: cx' = W - 1 - cx (and p2 changes sign)."""
        K = self.K.clone()
        K[..., 0, 2] = self.width - 1 - K[..., 0, 2]
        distortion = self.distortion
        if distortion is not None:
            distortion = distortion * distortion.new_tensor([1, 1, 1, -1, 1][: distortion.shape[-1]])
        return replace(self, K=K, distortion=distortion)

    def vflip(self) -> Camera:
        """The camera of the picture mirrored top to bottom: cy' = H - 1 - cy (and p1 changes sign)."""
        K = self.K.clone()
        K[..., 1, 2] = self.height - 1 - K[..., 1, 2]
        distortion = self.distortion
        if distortion is not None:
            distortion = distortion * distortion.new_tensor([1, 1, -1, 1, 1][: distortion.shape[-1]])
        return replace(self, K=K, distortion=distortion)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Camera:
        """The camera of the picture with that many pixels added on each side; `crop` with the old size undoes it."""
        if min(left, top, right, bottom) < 0:
            raise InputError("pad", (left, top, right, bottom), "numbers of pixels, none negative")
        S = self.K.new_tensor([[1, 0, left], [0, 1, top], [0, 0, 1]])
        return replace(self, width=self.width + left + right, height=self.height + top + bottom, K=S @ self.K)

    def to(self, *args: object, **kwargs: object) -> Camera:
        """The camera with its tensors moved or cast as `Tensor.to` does."""
        distortion = None if self.distortion is None else self.distortion.to(*args, **kwargs)  # type: ignore[call-overload]
        return replace(self, K=self.K.to(*args, **kwargs), distortion=distortion)  # type: ignore[call-overload]
