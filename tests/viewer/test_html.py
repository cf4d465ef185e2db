from __future__ import annotations

import base64
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.viewer.html import bytes_block, code, content_hash, data_block, data_uri, join, tag


class Seen(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"])))
def test_any_text_stays_text(text: str) -> None:
    seen = Seen(tag("p", text, title=text))
    assert seen.tags == [("p", {"title": text})]
    assert seen.text == text


def test_markup_goes_in_and_text_does_not_become_it() -> None:
    assert tag("p", tag("b", "<i>"), "<i>", 3, None, ["<u>"]) == "<p><b>&lt;i&gt;</b>&lt;i&gt;3&lt;u&gt;</p>"
    assert join(["<", tag("b")]) == "&lt;<b></b>"
    # joining escapes again what Python's own operators turned back into plain text
    assert join([tag("b", "x") + ""]) == "&lt;b&gt;x&lt;/b&gt;"


def test_attributes() -> None:
    assert tag("input", type="checkbox", checked=True, hidden=False, id=None) == '<input type="checkbox" checked>'
    assert (
        tag("rect", class_="a", data_key=1, viewBox="0 0 1 1")
        == '<rect class="a" data-key="1" viewBox="0 0 1 1"></rect>'
    )
    assert tag("meta", name="x") == '<meta name="x">'


@given(st.recursive(st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_data_survives_and_cannot_end_its_block(value: object) -> None:
    block = data_block("d", value)
    inner = block[block.index(">") + 1 : -len("</script>")]
    assert json.loads(inner) == value
    assert not set("<>&\u2028\u2029") & set(inner)


def test_data_must_be_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        data_block("d", float("nan"))


@given(st.binary())
def test_bytes_survive(value: bytes) -> None:
    block = bytes_block("b", value)
    assert base64.b64decode(block[block.index(">") + 1 : -len("</script>")]) == value
    assert base64.b64decode(data_uri("image/png", value).split(",")[1]) == value


@pytest.mark.parametrize("text", ["x = '</script>'", "</SCRIPT >", "<!-- x"])
def test_our_own_code_may_not_end_its_element(text: str) -> None:
    with pytest.raises(ValueError, match="its own end"):
        code("script", text)


def test_hash_is_that_of_the_standard() -> None:
    """The example of Content Security Policy Level 2, section 7.17.2: alert('Hello, world.');"""
    assert content_hash("alert('Hello, world.');") == "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
