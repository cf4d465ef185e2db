"""Published weights of other frameworks in Scenewright's format: FCRN's NYU weights, and ImageNet trunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from scenewright.data.safe import file_size
from scenewright.depth.fcrn import FCRN, FCRNConfig
from scenewright.engine.weights import save
from scenewright.errors import FormatError, InputError
from scenewright.files import sha256, write_bytes
from scenewright.nn.efficientnet import EfficientNetLite0
from scenewright.nn.resnet import BLOCKS, ResNet
from scenewright.pipelines.foreign import MAX_BYTES, read_npy_dict, read_torch_tensors

Arrays = Mapping[str, Mapping[str, np.ndarray[Any, Any]]]
UP_SCALES = ("2x", "4x", "8x", "16x")
_NORM = {"scale": "weight", "offset": "bias", "mean": "running_mean", "variance": "running_var"}
_CONV = {"weights": "weight", "biases": "bias"}
TRUNKS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "efficientnet-lite0": ("_conv_stem.weight", EfficientNetLite0),
    "resnet50": ("layer1.0.conv1.weight", lambda: ResNet(50, "torchvision")),
}
"""Name of a trunk -> a tensor that gives it away, and the network that its tensors must fill."""


def convert(source: str | Path, out: str | Path, *, half: bool = False, config: FCRNConfig | None = None) -> str:
    """Convert one file of published weights; what it holds is found by its suffix and the names in it.

    Args:
        source: FCRN's NYU weights as `.npy`, or an ImageNet trunk as `.pth`, `.pt` or `.safetensors` with
            torchvision's names (ResNet-50) or EfficientNet-PyTorch's (EfficientNet-Lite0).
        out: a folder of weights for FCRN; a `.safetensors` file, for `scenewright train --trunk`, for a trunk.
        half: store FCRN's kernels as float16.
        config: of the FCRN network, where it is not the published one.

    Returns:
        A line that says what was written.

    Raises:
        InputError, FormatError: unusable files, or tensors that are missing, unexpected, misshapen or not finite;
            nothing is written then.
    """
    source, out = Path(source), Path(out)
    if source.suffix == ".npy":
        return _convert_fcrn(source, out, half, config or replace(FCRNConfig.paper(), pad="topleft"))
    readers = {".pth": read_torch_tensors, ".pt": read_torch_tensors, ".safetensors": _read_safetensors}
    if source.suffix not in readers:
        raise InputError(source, f"the suffix {source.suffix!r}", "one of .npy .pth .pt .safetensors")
    return _convert_trunk(source, readers[source.suffix](source), out)


def fcrn_names(blocks: tuple[int, ...] = BLOCKS[50]) -> Iterator[tuple[str, str, bool]]:
    """The table (layer of the released .npy, module of `FCRN`, is it a batch norm).

    Trunk names are those of the Caffe ResNet (res3b_branch2a, bn3b_branch2a); an up-projection "2x" has layer2x_br1_*
    and layer2x_br2_* for its two up-convolutions and layer2x_Conv, layer2x_BN behind the first.
    """
    yield from (("conv1", "trunk.conv1", False), ("bn_conv1", "trunk.bn1", True))
    for stage, repeats in enumerate(blocks, 1):
        for repeat in range(repeats):
            name, module = f"{stage + 1}{'abcdef'[repeat]}_branch", f"trunk.layer{stage}.{repeat}"
            if repeat == 0:
                yield from (
                    (f"res{name}1", f"{module}.downsample.0", False),
                    (f"bn{name}1", f"{module}.downsample.1", True),
                )
            for number, letter in enumerate("abc", 1):
                yield f"res{name}2{letter}", f"{module}.conv{number}", False
                yield f"bn{name}2{letter}", f"{module}.bn{number}", True
    yield from (("layer1", "project", False), ("layer1_BN", "project_bn", True))
    for index, scale in enumerate(UP_SCALES):
        for branch, norm in ((1, "bn1"), (2, "bn3")):
            for letter in "ABCD":
                yield f"layer{scale}_br{branch}_Conv{letter}", f"up.{index}.up{branch}.conv_{letter.lower()}", False
            yield f"layer{scale}_br{branch}_BN", f"up.{index}.{norm}", True
        yield from ((f"layer{scale}_Conv", f"up.{index}.conv", False), (f"layer{scale}_BN", f"up.{index}.bn2", True))
    yield "ConvPred", "predict_depth", False


def _convert_fcrn(source: Path, out: Path, half: bool, config: FCRNConfig) -> str:
    arrays = read_npy_dict(source)
    with torch.random.fork_rng(devices=[]):
        model = FCRN(config)
    model.load_state_dict(_fcrn_state(source, arrays, model.state_dict()))
    training = {
        "origin": "published weights, converted",
        "file": source.name,
        "sha256": sha256(source),
        "data": "NYU Depth v2",
        "licence": "simplified BSD, I. Laina et al.",
    }
    save(model.eval(), out, training=training, half=half)
    return f"FCRN, {sum(p.numel() for p in model.parameters())} parameters: {out}"


def _fcrn_state(source: Path, arrays: Arrays, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dictionary; TensorFlow's kernels (H, W, in, out) become (out, in, H, W)."""
    state = {name: t for name, t in own.items() if name.endswith("num_batches_tracked")}
    expected: dict[tuple[str, str], str] = {}
    for layer, module, is_norm in fcrn_names():
        for theirs, ours in (_NORM if is_norm else _CONV).items():
            if f"{module}.{ours}" in own:
                expected[layer, theirs] = f"{module}.{ours}"
    found = {(layer, name) for layer, parameters in arrays.items() for name in parameters}
    _check_names(source, {"/".join(k) for k in expected}, {"/".join(k) for k in found})
    for (layer, theirs), name in expected.items():
        array = np.asarray(arrays[layer][theirs], np.float32)
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        state[name] = _fitting(f"{source} {layer}/{theirs}", torch.from_numpy(array.copy()), own[name])
    return state


def _convert_trunk(source: Path, tensors: Mapping[str, Tensor], out: Path) -> str:
    if out.suffix != ".safetensors":
        raise InputError(out, f"the suffix {out.suffix!r} for a trunk", "a file that ends in .safetensors")
    name = next((n for n, (sign, _) in TRUNKS.items() if sign in tensors), None)
    if name is None:
        raise FormatError(source, f"tensors {_some(set(tensors))}", f"the names of one of {', '.join(TRUNKS)}")
    with torch.device("meta"):
        own = TRUNKS[name][1]().state_dict()
    needed = {k for k in own if not k.endswith("num_batches_tracked")}
    rest = {k for k in tensors if k not in own and not k.startswith(("fc.", "_fc.", "_conv_head.", "_bn1."))}
    _check_names(source, needed, (set(tensors) & needed) | rest)
    kept = {k: _fitting(f"{source} {k}", tensors[k], own[k]) for k in sorted(needed)}
    write_bytes(out, safetensors.save(kept, {"trunk": name, "source": source.name, "sha256": sha256(source)}))
    return f"{name} trunk, {len(kept)} tensors: {out}"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    file_size(path, MAX_BYTES)
    try:
        return safetensors.load_file(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(path, f"no readable tensors ({error})", "a safetensors file") from None


def _check_names(source: Path, expected: set[str], found: set[str]) -> None:
    missing, extra = expected - found, found - expected
    if missing or extra:
        parts = [f"{len(s)} {word} ({_some(s)})" for s, word in ((missing, "missing"), (extra, "unexpected")) if s]
        raise FormatError(source, " and ".join(parts), f"exactly the {len(expected)} tensors of the network")


def _some(names: set[str]) -> str:
    return ", ".join(islice(sorted(names), 6)) + (", ..." if len(names) > 6 else "") or "none"


def _fitting(subject: str, tensor: Tensor, own: Tensor) -> Tensor:
    if tensor.shape != own.shape:
        raise FormatError(subject, f"shape {tuple(tensor.shape)}", f"{tuple(own.shape)} (out, in, height, width)")
    tensor = tensor.detach().to(torch.float32).contiguous()
    if not bool(torch.isfinite(tensor).all()):
        raise FormatError(subject, "values that are not finite", "finite weights")
    return tensor
