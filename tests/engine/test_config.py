"""Options of a Config as words of a command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pytest

from scenewright.engine.config import from_text
from scenewright.errors import FormatError, InputError


@dataclass(frozen=True)
class Config:
    """Fields of every kind."""

    flag: bool = True
    count: int = 1
    share: float = 0.5
    word: str = "a"
    kind: Literal["l1", "l2"] = "l2"
    widths: tuple[int, ...] = (1, 2)
    baseline_m: float | None = 0.2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("flag=false", False),
        ("count=-3", -3),
        ("share=2", 2.0),
        ("share=1e-3", 1e-3),
        ("word=false", "false"),
        ("word=7", "7"),
        ("word=a=b", "a=b"),
        ("word=", ""),
        ("kind=l1", "l1"),
        ("widths=[3, 4, 5]", (3, 4, 5)),
        ("baseline_m=null", None),
        ("baseline_m=0.54", 0.54),
    ],
)
def test_words_become_values_of_the_field_s_type(option: str, value: object) -> None:
    name = option.partition("=")[0]
    found = from_text(Config, [option], "--option")
    assert found == {name: value}
    assert type(found[name]) is type(value)
    assert getattr(replace(Config(), **found), name) == value


@pytest.mark.parametrize(
    "option", ["flag=no", "flag=1", "count=1.5", "count=", "share=much", "kind=l3", "widths=3", "widths=[1.5]"]
)
def test_values_of_another_type_are_refused_by_name(option: str) -> None:
    with pytest.raises(FormatError, match=rf"--option {option.partition('=')[0]}.*: found .*; expected"):
        from_text(Config, [option], "--option")


@pytest.mark.parametrize("options", [["flag"], ["no_such=1"], ["=1"], ["count=1", "count=2"]])
def test_names_are_checked(options: list[str]) -> None:
    with pytest.raises(InputError, match=r"--option: found .*expected NAME=VALUE.*flag, count"):
        from_text(Config, options, "--option")


def test_no_options_change_nothing() -> None:
    assert from_text(Config, [], "--option") == {}
