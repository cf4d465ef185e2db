"""The shape checks with which public functions of this floor greet their arguments."""

from __future__ import annotations

from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera


def check_shape(subject: str, tensor: Tensor, *expected: int | None) -> None:
    """Refuse a tensor whose shape is not `expected`; None stands for any size.

    Raises:
        InputError: another number of dimensions, or another size.
    """
    shape = tuple(tensor.shape)
    if len(shape) != len(expected) or any(e is not None and s != e for s, e in zip(shape, expected)):
        wanted = ", ".join("*" if e is None else str(e) for e in expected)
        raise InputError(subject, f"shape {shape}", f"({wanted})")


def check_last(subject: str, tensor: Tensor, *expected: int) -> None:
    """Refuse a tensor whose last dimensions are not `expected`.

    Raises:
        InputError: the trailing sizes differ.
    """
    if tuple(tensor.shape[-len(expected) :]) != expected:
        raise InputError(subject, f"shape {tuple(tensor.shape)}", f"(..., {', '.join(map(str, expected))})")


def check_fits(subject: str, image: Tensor, camera: Camera) -> None:
    """Refuse a (B, C, H, W) tensor whose size is not that of its camera.

    Raises:
        InputError: not four dimensions, or (H, W) differs from the camera's size.
    """
    check_shape(subject, image, None, None, *camera.size)


def check_undistorted(subject: str, camera: Camera) -> None:
    """Refuse a distorted camera where only straight lines make sense (homographies, rectified stereo).

    Raises:
        InputError: the camera has distortion coefficients.
    """
    if camera.distortion is not None:
        raise InputError(subject, "a camera with lens distortion", "an undistorted one (see warp.undistort_image)")
