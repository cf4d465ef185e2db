"""Building HTML in which text cannot become markup: what is no `Html` is escaped, everywhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from typing import Any

_VOID = {"meta", "link", "img", "input"}


class Html(str):
    """Text that is markup already. Only this module makes it."""

    __slots__ = ()


Child = str | int | Iterable["Html | str"] | None


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """One element.

    Args:
        name: of the element.
        children: `Html` goes in as it is, any other text is escaped; None is left out.
        attributes: `class_="x"` gives class, `data_mode="x"` gives data-mode; True gives the bare name, None and False
            nothing.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Several pieces after each other, escaped where they are no `Html`."""
    return Html("".join(_piece(child) for child in children))


def _piece(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return html.escape(str(child))
    return join(child)


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def data_block(identifier: str, value: Any) -> Html:
    """JSON for the page's script to read; no browser runs it, and nothing inside can end it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _script(identifier, "application/json", text)


def bytes_block(identifier: str, value: bytes) -> Html:
    """Bytes for the page's script to read, in base64."""
    return _script(identifier, "text/plain", base64.b64encode(value).decode("ascii"))


def _script(identifier: str, kind: str, text: str) -> Html:
    return Html(f'<script type="{kind}" id="{html.escape(identifier)}">{text}</script>')


def code(element: str, text: str) -> Html:
    """The project's own script or style sheet, verbatim.

    Raises:
        ValueError: the text would end its element.
    """
    if f"</{element}" in text.lower() or "<!--" in text:
        raise ValueError(f"{element} contains its own end")
    return Html(f"<{element}>{text}</{element}>")


def content_hash(text: str) -> str:
    """How a content security policy names one inline script or style."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def data_uri(kind: str, data: bytes) -> str:
    """A picture as an address that needs no request."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
