"""Trunks by name: the backbone, what its input must look like, and how ImageNet weights are loaded into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from torch import Tensor, nn

from scenewright.errors import InputError
from scenewright.nn.efficientnet import EfficientNetLite0
from scenewright.nn.resnet import BLOCKS, ResNet, Variant

RESNETS = {f"resnet{depth}-{variant}": (depth, variant) for depth in BLOCKS for variant in get_args(Variant)}


def build_trunk(name: str, output_stride: int = 32) -> tuple[nn.Module, tuple[int, ...]]:
    """A backbone with fresh weights, and the channels of its five maps.

    Args:
        name: "efficientnet-lite0", or "resnet50-caffe", "resnet101-torchvision" and so on.
        output_stride: 32; ResNets also 16 or 8, by dilation.

    Raises:
        InputError: no trunk of that name, or a stride that it does not have.
    """
    if name == "efficientnet-lite0" and output_stride == 32:
        return EfficientNetLite0(), trunk_channels(name)
    if name in RESNETS:
        return ResNet(*RESNETS[name], output_stride), trunk_channels(name)
    raise InputError(
        "trunk", f"{name!r} at stride {output_stride}", f"efficientnet-lite0 at 32, or {', '.join(RESNETS)}"
    )


def trunk_channels(name: str) -> tuple[int, ...]:
    """Channels of a trunk's five maps, from fine to coarse."""
    return EfficientNetLite0.CHANNELS if name == "efficientnet-lite0" else ResNet.CHANNELS


def normalise(image: Tensor, trunk: str) -> Tensor:
    """RGB in [0, 1] -> what the trunk's weights were trained on."""
    if trunk == "efficientnet-lite0":
        return (255 * image - 127) / 128
    if trunk.endswith(("-caffe", "-tensorflow")):
        return 255 * image  # the weights that FCRN and Kuznietsov et al. released take raw RGB, no mean subtracted
    mean, std = image.new_tensor([0.485, 0.456, 0.406]), image.new_tensor([0.229, 0.224, 0.225])
    return (image - mean[:, None, None]) / std[:, None, None]


def load_trunk(trunk: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load ImageNet weights by name; classifier layers are left out.

    Raises:
        InputError: tensors are missing or of another shape.
    """
    own = trunk.state_dict()
    missing = [k for k, v in own.items() if k not in tensors or tensors[k].shape != v.shape]
    if missing := [k for k in missing if "num_batches_tracked" not in k]:
        raise InputError("trunk weights", f"{len(missing)} tensors missing or misshapen ({missing[0]} ...)", "all")
    trunk.load_state_dict({k: tensors.get(k, v) for k, v in own.items()})


def frozen_early(prefix: str) -> tuple[tuple[str, float], ...]:
    """Learning-rate factors 0 for EfficientNet-Lite0's stem and first three blocks, whose edges need no retraining.

    Args:
        prefix: of the trunk's parameter names, with its dot ("trunk.").
    """
    return tuple((f"{prefix}{n}", 0.0) for n in ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1.", "_blocks.2."))
