from __future__ import annotations

from pathlib import Path

import pytest

from scenewright.errors import FormatError
from scenewright.scene.strict import Fields, read_json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "valid JSON"),
        (b"{", "valid JSON"),
        (b'{"a": 1, "a": 2}', "key given twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b"[" * 100_000, "nested too deep"),
        (b"\xff\xfe{}", "UTF-8"),
    ],
)
def test_bad_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scene.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_huge_json_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scene.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room; reading it would exhaust the memory
    with pytest.raises(FormatError, match="1099511627776 bytes"):
        read_json(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("value", "call"),
    [
        ({"x": True}, lambda f: f.integer("x")),
        ({"x": 1.5}, lambda f: f.integer("x")),
        ({"x": -1}, lambda f: f.integer("x")),
        ({"x": "1"}, lambda f: f.number("x")),
        ({"x": False}, lambda f: f.number("x")),
        ({"x": 1e999}, lambda f: f.number("x")),
        ({"x": -0.1}, lambda f: f.number("x", 0.0)),
        ({"x": 3}, lambda f: f.text("x")),
        ({"x": "c"}, lambda f: f.text("x", ("a", "b"))),
        ({"x": {}}, lambda f: f.items("x")),
        ({"x": [1, 2]}, lambda f: f.numbers("x", 3)),
        ({"x": [1, 2, "3"]}, lambda f: f.numbers("x", 3)),
        ({"x": ["a", 1]}, lambda f: f.texts("x")),
        ({"x": []}, lambda f: f.table("x")),
        ({"x": {"a": 1}}, lambda f: f.text_table("x")),
        ({"x": 1}, lambda f: f.optional_text("x")),
        ({"x": "1"}, lambda f: f.optional_number("x")),
        ({"x": 1}, lambda f: f.optional_fields("x")),
        ({"x": None}, lambda f: f.fields("x")),
        ({"y": 1}, lambda f: f.integer("x")),
        ({"x": 1}, lambda f: f.done()),
    ],
)
def test_wrong_fields_are_refused_by_name(value: dict, call) -> None:
    with pytest.raises(FormatError, match="here") as caught:
        call(Fields("here", value))
    assert "x" in str(caught.value)


def test_good_fields() -> None:
    f = Fields("here", {"i": 3, "n": 2, "t": "a", "o": None, "s": {"k": "v"}, "l": [1, 2.5], "z": None, "q": None})
    assert (f.integer("i", 3), f.number("n"), f.text("t", ("a",)), f.optional_number("o")) == (3, 2.0, "a", None)
    assert (f.text_table("s"), f.numbers("l", 2), f.optional_text("z")) == ({"k": "v"}, (1.0, 2.5), None)
    assert f.optional_fields("q") is None
    f.done()
    with pytest.raises(FormatError, match="an object"):
        Fields("here", [1])
