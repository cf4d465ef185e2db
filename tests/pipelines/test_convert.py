"""Foreign weights: what fits is converted exactly, what does not is refused, and nothing in a file ever runs."""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scenewright.cli import main as cli
from scenewright.depth.fcrn import FCRN, FCRNConfig
from scenewright.engine.weights import load, read_card
from scenewright.errors import FormatError, InputError
from scenewright.geometry.camera import Camera
from scenewright.nn.efficientnet import EfficientNetLite0
from scenewright.nn.resnet import ResNet
from scenewright.pipelines import foreign
from scenewright.pipelines.convert import convert, fcrn_names
from tolerances import close

CONFIG = replace(FCRNConfig.paper(), pad="topleft", widths=(16, 8, 8, 4, 4), input_size=(64, 48))
Layers = dict[str, dict[str, np.ndarray]]
_FIELDS = {"weight": ("weights", "scale"), "bias": ("biases", "offset")} | {
    "running_mean": ("", "mean"), "running_var": ("", "variance")
}  # fmt: skip


def network() -> FCRN:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = FCRN(CONFIG)
        for name, t in model.state_dict().items():
            if "running_var" in name:
                t.uniform_(0.5, 2)
            elif t.is_floating_point():
                t.add_(0.02 * torch.randn(t.shape))
    return model.eval()


def as_released(model: FCRN) -> Layers:
    """The dictionary that TensorFlow's side would have saved: kernels as (H, W, in, out)."""
    layers: Layers = {}
    state = model.state_dict()
    for layer, module, is_norm in fcrn_names():
        layers[layer] = {}
        for ours, names in _FIELDS.items():
            if f"{module}.{ours}" in state:
                array = state[f"{module}.{ours}"].numpy()
                array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
                layers[layer][names[is_norm]] = np.ascontiguousarray(array)
    return layers


@pytest.fixture(scope="module")
def model() -> FCRN:
    return network()


@pytest.fixture(scope="module")
def layers(model: FCRN) -> Layers:
    return as_released(model)


def save_npy(path: Path, content: Any) -> Path:
    with path.open("wb") as file:
        np.save(file, content, allow_pickle=True)
    return path


def npy(path: Path, payload: bytes) -> Path:
    """An .npy file of an object whose pickle is `payload`."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(head.getvalue() + payload)
    return path


class TestFcrn:
    def test_predictions_are_equal(self, model: FCRN, layers: Layers, tmp_path: Path) -> None:
        line = convert(save_npy(tmp_path / "nyu.npy", layers), tmp_path / "out", config=CONFIG)
        assert str(tmp_path / "out") in line
        image = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
        camera = Camera.from_fov(64, 48, 60.0)
        close(load(tmp_path / "out").predict(image, camera).depth_m, model.predict(image, camera).depth_m)
        card = read_card(tmp_path / "out")
        assert card["config"]["pad"] == "topleft"
        assert card["training"]["file"] == "nyu.npy"

    @pytest.mark.parametrize("protocol", [0, 2, 4, 5])
    def test_every_protocol_is_read(self, protocol: int, tmp_path: Path) -> None:
        content = {"a": {"weights": np.arange(6, dtype="<f4").reshape(2, 3), "biases": np.ones(2, ">f4")}}
        read = foreign.read_npy_dict(npy(tmp_path / "x.npy", pickle.dumps(content, protocol)))
        for name, array in content["a"].items():
            np.testing.assert_array_equal(read["a"][name], array)
            assert read["a"][name].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")

    def test_pickles_of_python_2_and_old_numpy_are_read(self, tmp_path: Path) -> None:
        text = pickle.dumps({"a": {"weights": np.ones(3, "<f4")}}, 2).replace(b"numpy._core", b"numpy.core")
        assert b"numpy.core" in text
        read = foreign.read_npy_dict(npy(tmp_path / "x.npy", text))
        np.testing.assert_array_equal(read["a"]["weights"], np.ones(3))

    def test_the_table_names_every_tensor_once(self, layers: Layers) -> None:
        rows = list(fcrn_names())
        assert len({layer for layer, _, _ in rows}) == len(rows) == len({module for _, module, _ in rows})
        counted = sum(len(parameters) for parameters in layers.values())
        own = [k for k in network().state_dict() if not k.endswith("num_batches_tracked")]
        assert counted == len(own)
        assert {"conv1", "res2a_branch1", "bn4f_branch2c", "layer2x_br1_ConvA", "layer16x_BN"} <= set(layers)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda d: d.pop("res3b_branch2a"), r"1 missing \(res3b_branch2a/weights\)"),
            (lambda d: d["layer4x_BN"].pop("mean"), r"1 missing \(layer4x_BN/mean\)"),
            (lambda d: d.update(extra={"weights": np.ones(2, "f4")}), r"1 unexpected \(extra/weights\)"),
            (lambda d: d["ConvPred"].update(weights=np.ones((3, 3, 5, 1), "f4")), r"ConvPred/weights: found shape"),
            (lambda d: d["conv1"].update(biases=np.full(64, np.nan, "f4")), r"conv1/biases: found values that are not"),
            (lambda d: d["conv1"].update(biases=np.ones(64, "i4")), r"conv1/biases: found a ndarray"),
            (lambda d: d["conv1"].update(biases="text"), r"conv1/biases: found a str"),
            (lambda d: d.update(conv1=3), r"'conv1' with a int"),
        ],
    )
    def test_what_does_not_fit_is_named(self, change: Any, said: str, layers: Layers, tmp_path: Path) -> None:
        damaged = {layer: dict(parameters) for layer, parameters in layers.items()}
        change(damaged)
        with pytest.raises(FormatError, match=said):
            convert(save_npy(tmp_path / "x.npy", damaged), tmp_path / "out", config=CONFIG)
        assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


class Attack:
    """Unpickled by an ordinary reader, it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


POSITIONS = {
    "whole": lambda a: a,
    "layer": lambda a: {"conv1": a},
    "array": lambda a: {"conv1": {"weights": a}},
    "behind an array": lambda a: {"conv1": {"weights": np.ones(2, "f4"), "biases": a}},
}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("suffix", [".npy", ".pth"])
def test_nothing_in_a_file_runs(suffix: str, position: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker, source = tmp_path / "marker", tmp_path / f"weights{suffix}"
    content = POSITIONS[position](Attack(marker))
    if suffix == ".npy":
        save_npy(source, np.array(content, dtype=object))
        np.load(source, allow_pickle=True)
        assert marker.exists(), "the attack works on an ordinary reader"
        marker.rmdir()
    else:
        torch.save(content, source)
    assert cli.main(["convert", str(source), "-o", str(tmp_path / "out.safetensors")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(source) in error
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


@pytest.mark.parametrize(
    "payload",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n}S'a'\nI1\nsb.",  # sets the attributes of an allowed function
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",  # a terabyte
        b"cnumpy\ndtype\n(S'V999999999'\nI0\nI1\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
        b"(" * 100 + b".",
        b"",
    ],
)
def test_crooked_pickles(payload: bytes, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"x\.npy: found what cannot be read"):
        foreign.read_npy_dict(npy(tmp_path / "x.npy", payload))


def resnet() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        return dict(ResNet(50, "torchvision").state_dict()) | {
            "fc.weight": torch.ones(4, 2048),
            "fc.bias": torch.ones(4),
        }


def lite() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        head = {"_conv_head.weight": torch.ones(8, 320, 1, 1), "_bn1.weight": torch.ones(8), "_fc.bias": torch.ones(4)}
        return dict(EfficientNetLite0().state_dict()) | head


class TestTrunks:
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    @pytest.mark.parametrize("kind", ["resnet50", "efficientnet-lite0"])
    def test_round_trip_into_the_network(self, kind: str, suffix: str, tmp_path: Path) -> None:
        tensors = resnet() if kind == "resnet50" else lite()
        source, out = tmp_path / f"trunk{suffix}", tmp_path / "out.safetensors"
        if suffix == ".pth":
            torch.save({"state_dict": {f"module.{k}": v for k, v in tensors.items()}}, source)
        else:
            save_file(tensors, source)
        assert convert(source, out).startswith(kind)
        trunk = "resnet50-torchvision" if kind == "resnet50" else kind
        model = FCRN(replace(FCRNConfig.small(), trunk=trunk, widths=(8, 8, 8, 8, 8)))
        model.load_trunk(load_file(out))
        for name, t in model.trunk.state_dict().items():
            assert torch.equal(t, tensors[name]), name
        assert not any(name.startswith(("fc.", "_fc.")) for name in load_file(out))

    def test_misfits_are_named(self, tmp_path: Path) -> None:
        tensors = lite()
        bad = {k: v for k, v in tensors.items() if k != "_bn0.bias"}
        for content, said in (
            (bad, r"1 missing \(_bn0\.bias\)"),
            (tensors | {"_blocks.99.x": torch.ones(1)}, r"1 unexpected \(_blocks\.99\.x\)"),
            (tensors | {"_bn0.bias": torch.ones(5)}, r"_bn0\.bias: found shape \(5,\)"),
            ({"a": torch.ones(1)}, "found tensors a; expected the names of one of"),
            ([1, 2], "a list of other things"),
        ):
            torch.save(content, tmp_path / "x.pth")
            with pytest.raises(FormatError, match=said):
                convert(tmp_path / "x.pth", tmp_path / "out.safetensors")
        assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]

    def test_a_trunk_is_a_file(self, tmp_path: Path) -> None:
        torch.save(lite(), tmp_path / "x.pth")
        with pytest.raises(InputError, match=r"ends in \.safetensors"):
            convert(tmp_path / "x.pth", tmp_path / "out")

    def test_unpacked_size_is_capped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import zipfile

        with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", bytes(1 << 20))
        monkeypatch.setattr(foreign, "MAX_BYTES", 1 << 16)
        with pytest.raises(FormatError, match="1048576 bytes unpacked"):
            foreign.read_torch_tensors(tmp_path / "x.pth")


@pytest.mark.parametrize("suffix", [".npy", ".pth", ".safetensors", ".bin"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "noise"])
def test_unreadable_files_are_one_line(
    damage: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / f"weights{suffix}"
    whole = tmp_path / f"whole{suffix}"
    tensors = {"a": torch.ones(300)}
    if suffix == ".npy":
        save_npy(whole, {"a": {"weights": np.ones(300)}})
    elif suffix == ".pth":
        torch.save(tensors, whole)
    else:
        save_file(tensors, whole)
    data = whole.read_bytes()
    whole.unlink()
    if damage != "missing":
        source.write_bytes({"empty": b"", "cut off": data[: len(data) // 2], "noise": os.urandom(400)}[damage])
    before = sorted(tmp_path.iterdir())
    assert cli.main(["convert", str(source), "-o", str(tmp_path / "out.safetensors")]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), error.startswith(f"scenewright convert: {source}")) == (1, True)
    assert sorted(tmp_path.iterdir()) == before


def test_files_above_the_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        file.truncate(foreign.MAX_BYTES + 1)
    with pytest.raises(FormatError, match="1073741825 bytes"):
        foreign.read_npy_dict(path)
