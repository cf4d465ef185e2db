"""Functions on tensors as ONNX graphs. Needs the extra `onnx`; imports it only when called."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from scenewright.errors import InputError

OPSET = 18
"""The first with antialiased resizing."""


class _Concrete(TorchDispatchMode):
    """While a function is traced, a tensor that Python asks for its value gives the one it has.

    So the checks with which functions greet their arguments pass as they would in use, and leave nothing in the graph.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten._local_scalar_dense.default:
            with disable_proxy_modes_tracing():
                return function(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def to_onnx(
    function: Callable[..., tuple[Tensor, ...]],
    inputs: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> bytes:
    """The graph of what a function does to inputs of these shapes, weights included.

    Args:
        function: of the inputs alone; what it closes over becomes constant.
        inputs: legal inputs; the graph takes these shapes and no others.

    Returns:
        An ONNX file's content.

    Raises:
        InputError: the packages are not installed, or an operation has no counterpart in ONNX.
    """
    require("onnx", "onnxscript")

    def concrete(*given: Tensor) -> tuple[Tensor, ...]:
        with _Concrete():
            return function(*given)

    try:
        with torch.no_grad(), _quiet():
            graph = make_fx(concrete)(*inputs)
            program = torch.export.export(graph, inputs)
            found: Any = torch.onnx.export(
                program, inputs, dynamo=True, opset_version=OPSET, verbose=False,
                input_names=list(input_names), output_names=list(output_names),
            )  # fmt: skip
            data: bytes = found.model_proto.SerializeToString()
    except Exception as error:  # the exporter passes on whatever an operation that it cannot express raises
        reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError("ONNX export", reason, "operations that ONNX has") from error
    return data


def require(*packages: str) -> None:
    """Raise InputError unless packages of the extra `onnx` are installed."""
    from importlib.util import find_spec

    if missing := [name for name in packages if find_spec(name) is None]:
        raise InputError(", ".join(missing), "not installed", "pip install 'scenewright[onnx]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells its users at length about itself, and any log handler of theirs about every node."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.onnx._internal.exporter._registration",
                                                    "torch.__trace")]  # fmt: skip
    states = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, state in zip(loggers, states, strict=True):
            logger.disabled = state
