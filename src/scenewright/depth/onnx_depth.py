"""Depth networks of others, as ONNX files with a small JSON card beside them; and our own, written in that form.

FILE.onnx takes one picture (1, 3, H, W) and gives one map. FILE.json says what it wants and what the map means.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenewright.depth.inputs import check_camera, check_image, focal_factor, network_size, resize, shrink
from scenewright.depth.task import DepthPrediction
from scenewright.engine.config import from_data
from scenewright.engine.method import Method
from scenewright.engine.onnx import require, to_onnx
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera

Gives = Literal["metric depth", "relative depth", "disparity"]
FIELDS = ("depth_m", "sigma_log", "label_probabilities", "confidence")
"""Graph outputs of these names fill the fields of `DepthPrediction`; a graph without "depth_m" has one output."""
FARTHEST = 50.0
"""A disparity's farthest depth, in multiples of its median depth: sky and horizon have an inverse depth of 0."""
_MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True)
class OnnxCard:
    """What the JSON file beside an ONNX file says. Only the first three fields must be there.

    Args:
        name: how results call the network.
        input_size: (width, height) in pixels that pictures are resampled to.
        gives: "metric depth" (metres along the optical axis), "relative depth" (the same in an unknown scale), or
            "disparity" (inverse depth in an unknown scale).
        mean, std: (picture - mean) / std is what the network sees, per channel, on values in [0, 1] times `white`.
        white: the largest value of the pictures it was trained on, 1 or 255.
        channels: their order.
        multiple: pictures keep their aspect at the pixel count of `input_size`, sides in multiples of this; null: they
            are stretched to `input_size`.
        focal_px: the depth is that of a camera of this focal length, in pixels of the network's input; another
            camera's depth is larger in proportion. null: the depth is what it is.
        task: "depth", or "focus" for a graph that takes a focal stack; only the first can be used as depth.
    """

    name: str
    input_size: tuple[int, int]
    gives: Gives
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    white: float = 1.0
    channels: Literal["RGB", "BGR"] = "RGB"
    multiple: int | None = None
    focal_px: float | None = None
    task: Literal["depth", "focus"] = "depth"

    @property
    def scale(self) -> str:
        """ "metric" or "unknown", as in `engine.card.Card`."""
        return "metric" if self.gives == "metric depth" else "unknown"


def card_path(file: Path) -> Path:
    """Where the card of an ONNX file lies."""
    return file.with_suffix(".json")


def read_onnx_card(path: Path) -> OnnxCard:
    """Read the card of an ONNX network.

    Raises:
        FormatError: missing, too large, no JSON, unknown or missing fields, or values that make no sense.
    """
    if not path.is_file():
        raise FormatError(path, "no such file", "a card beside the ONNX file: name, input_size, gives")
    if path.stat().st_size > _MAX_CARD_BYTES:
        raise FormatError(path, f"{path.stat().st_size} bytes", f"at most {_MAX_CARD_BYTES}")
    try:
        data = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"no JSON ({error})", "a card: name, input_size, gives") from None
    defaults = {f.name: f.default for f in fields(OnnxCard) if f.default is not MISSING}
    given = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
    card = from_data(OnnxCard, {**given, **data} if isinstance(data, dict) else data, str(path))
    numbers = (*card.std, card.white, card.focal_px or 1.0, *card.input_size, card.multiple or 1)
    if not all(0 < number < 1e6 for number in numbers):
        raise FormatError(path, f"{asdict(card)}", "sizes, std, white and focal_px above 0")
    return card


class OnnxDepth:
    """A foreign network as a depth method.

    Args:
        file: the ONNX file; its card lies beside it with the suffix .json.

    Raises:
        InputError: onnxruntime is not installed, or the network's task is another.
        FormatError: a file that is missing or damaged, or a graph that takes anything but one picture.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        self.card = read_onnx_card(card_path(self.file))
        if self.card.task != "depth":
            raise InputError(self.file, f"a network for {self.card.task}", "one that gives depth from one picture")
        self.session = open_session(self.file)
        inputs = self.session.get_inputs()
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in kinds:
            found = ", ".join(f"{i.name} {i.shape} of {i.type}" for i in inputs)
            raise FormatError(self.file, f"inputs {found}", "one, (1, 3, H, W) of float or float16")
        self._input, self._kind = inputs[0].name, kinds[inputs[0].type]
        names = [output.name for output in self.session.get_outputs()]
        self.outputs = {f: f for f in FIELDS if f in names} if "depth_m" in names else {"depth_m": names[0]}

    @property
    def sha256(self) -> str:
        """Of the network and its card together: who changes either gets other results."""
        return hashlib.sha256(self.file.read_bytes() + card_path(self.file).read_bytes()).hexdigest()

    @torch.inference_mode()
    def predict(self, image: Tensor, camera: Camera) -> DepthPrediction:
        """Depth as the card says, for any image size and camera.

        Args:
            image: (B, 3, H, W) float32 RGB in [0, 1].
            camera: of that size.

        Raises:
            InputError: a wrong image or camera, or an answer that is no depth.
        """
        check_image(image)
        check_camera(camera, image)
        card = self.card
        width, height = card.input_size if card.multiple is None else network_size(
            camera, card.input_size, card.multiple
        )  # fmt: skip
        seen = self._normalised(shrink(image.float(), (height, width)))
        maps = [self._run(picture) for picture in seen]
        found = {f: torch.stack([m[f] for m in maps]).to(image.device) for f in self.outputs}
        depth = _depth(found.pop("depth_m"), card, self.file)
        if card.focal_px is not None:
            depth = depth * focal_factor(camera.resize(width, height), card.focal_px).to(depth.device)
        rest = {f: resize(x, image.shape[-2:]) for f, x in found.items()}
        return DepthPrediction(resize(depth, image.shape[-2:]), **rest, metric=card.scale == "metric")

    def _normalised(self, image: Tensor) -> NDArray[Any]:
        card = self.card
        image = card.white * (image if card.channels == "RGB" else image.flip(1))
        mean, std = (image.new_tensor(v)[:, None, None] for v in (card.mean, card.std))
        return np.asarray(((image - mean) / std).cpu().numpy(), self._kind)

    def _run(self, picture: NDArray[Any]) -> dict[str, Tensor]:
        """The graph's outputs for one picture (3, H, W), each (C, h, w) float32."""
        try:
            values = self.session.run(list(self.outputs.values()), {self._input: picture[None]})
        except Exception as error:
            raise InputError(self.file, _first_line(error), f"a graph that takes {(1, *picture.shape)}") from None
        return {f: _planes(value, self.file) for f, value in zip(self.outputs, values, strict=True)}


def open_session(file: Path) -> Any:
    """An onnxruntime session on the CPU, with torch's number of threads.

    Raises:
        InputError: onnxruntime is not installed.
        FormatError: no such file, or no ONNX graph.
    """
    require("onnxruntime")
    import onnxruntime

    if not file.is_file():
        raise FormatError(file, "no such file", "an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has one class for each status, all private
        raise FormatError(file, f"no usable ONNX graph ({_first_line(error)})", "an ONNX file") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _planes(value: Any, file: Path) -> Tensor:
    """(1, h, w), (h, w), (1, C, h, w) ... -> (C, h, w)."""
    tensor = torch.from_numpy(np.asarray(value, np.float32))
    while tensor.ndim > 3 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3:
        raise InputError(file, f"an output of shape {np.shape(value)}", "one map, (1, 1, h, w)")
    return tensor


def _depth(value: Tensor, card: OnnxCard, file: Path) -> Tensor:
    """What the card says the network gives, as depth > 0; (B, 1, h, w)."""
    if value.shape[1] != 1 or not bool(torch.isfinite(value).all()):
        raise InputError(file, f"an output {tuple(value.shape)} or values that are not finite", "one finite map")
    if card.gives != "disparity":
        return value.clamp(min=1e-3)
    median = value.flatten(1).median(1).values.view(-1, 1, 1, 1)
    if not bool((median > 0).all()):
        raise InputError(file, "disparity whose median is not above 0", "inverse depth, larger = nearer")
    return 1 / (value / median).clamp(min=1 / FARTHEST)


def export_depth(method: Method[Any]) -> tuple[bytes, OnnxCard]:
    """A depth method as an ONNX graph at its own input size, with its card.

    The graph holds everything from the picture in [0, 1] to the depth. How depth depends on the focal length is found
    by predicting with two cameras. A graph for focal stacks takes pictures of the focal length of training.

    Raises:
        InputError: another task, no input size, or a method that ONNX cannot express.
    """
    if method.card.task not in ("depth", "focus"):
        raise InputError("method", f"{method.card.name}, a method for {method.card.task}", "a depth method")
    model: Any = copy.deepcopy(method).eval().requires_grad_(False)
    width, height = model.config.input_size
    predict = inspect.unwrap(type(model).predict)  # without inference mode, in which nothing can be traced
    focus = model.card.task == "focus"
    cameras = _cameras(model.config, focus)
    shape = (1, model.config.slices, 3, height, width) if focus else (1, 3, height, width)
    given = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    rest = (model.config.focus_m,) if focus else ()
    with torch.no_grad():
        near, far = (predict(model, given, camera, *rest) for camera in cameras)
    names = [f for f in FIELDS if getattr(near, f) is not None]

    def network(picture: Tensor) -> tuple[Tensor, ...]:
        prediction = predict(model, picture, cameras[0], *rest)
        return tuple(getattr(prediction, f) for f in names)

    data = to_onnx(network, (given,), ["stack" if focus else "image"], names)
    card = OnnxCard(
        name=model.card.name,
        input_size=(width, height),
        gives="metric depth" if near.metric and model.card.scale == "metric" else "relative depth",
        focal_px=_focal(near.depth_m, far.depth_m, cameras),
        task=model.card.task,
    )
    return data, card


def _cameras(config: Any, focus: bool) -> list[Camera]:
    """Two of different focal lengths; for focal stacks, whose blur depends on it, twice the one of training."""
    width, height = config.input_size
    if not focus:
        return [Camera.from_fov(width, height, fov) for fov in (60.0, 30.0)]
    focal = config.focal_px
    return 2 * [Camera.from_parameters(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)]


def _focal(near: Tensor, far: Tensor, cameras: list[Camera]) -> float | None:
    """The first camera's focal length where depth is in proportion to it; None where it does not matter."""
    fx, longer = (camera.numbers[0] for camera in cameras)
    if torch.allclose(far, near, rtol=1e-3):
        return None
    if torch.allclose(far, near * (longer / fx), rtol=1e-3):
        return fx
    raise InputError("ONNX export", "depth that depends on the focal length in another way", "in proportion or not")
