"""The contact page of `scenewright depth`: one file that needs no other to be looked at."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.data.images import read_image

WIDTH = 320
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1060px;padding:0 1rem;color:#222;"
    "background:#fafafa}section{margin:0 0 2rem}h1{font-size:1.5rem}h2{font-size:1.05rem;margin:0 0 .4rem}"
    "img{width:320px;max-width:100%;border-radius:4px;vertical-align:top;margin:0 6px 6px 0}"
    "p{margin:.2rem 0;color:#444}a{color:#0a58ca;margin-right:.7em}"
    "@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}p{color:#bbb}a{color:#7ab0ff}}"
)


@dataclass
class Entry:
    """One image on the page; the picture is kept as a thumbnail only.

    Args:
        folder: where the files lie, which is where the page will lie.
        name: of the image.
        image: (H, W, 3) uint8 RGB.
        record: content of NAME.depth.json.
    """

    folder: Path
    name: str
    image: NDArray[np.uint8]
    record: dict[str, Any]

    def __post_init__(self) -> None:
        self.image = thumbnail(self.image)


def contact_page(entries: list[Entry]) -> str:
    """The page as HTML text; pictures are inside, data files are linked by their names."""
    from scenewright.viewer.html import code, join, tag

    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Depth"), code("style", STYLE))
    method = ", ".join(sorted({str(e.record["method"]) for e in entries}))
    named = (file for e in entries for file in e.record["files"])
    sure = "In maps of confidence, white is sure." if any("confidence" in file for file in named) else ""
    body = tag(
        "body",
        tag("h1", f"Depth of {len(entries)} image{'s' if len(entries) != 1 else ''}"),
        tag("p", f"Method: {method}. Red is near, blue is far; every preview has a colour scale of its own. {sure}"),
        join(_section(entry) for entry in entries),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _section(entry: Entry) -> Any:
    from scenewright.viewer.html import join, tag

    record, names = entry.record, sorted(entry.record["files"])
    low, middle, high = record["depth_m"]
    unit = "m" if record["scale"] == "metric" else "(unknown scale)"
    camera = f"focal length {record['camera']['fx']:.0f} px ({record['intrinsics_source']})"
    pictures = [("colour", entry.image)]
    for what in ("depth", "confidence", "labels"):
        if f"{entry.name}.{what}.preview.png" in names:
            pictures.append((what, thumbnail(read_image(entry.folder / f"{entry.name}.{what}.preview.png"))))
    return tag(
        "section",
        tag("h2", entry.name),
        join(tag("img", src=data_uri(p), alt=f"{what} of {entry.name}", title=what) for what, p in pictures),
        tag("p", f"{record['width']} x {record['height']}, {camera}; depth {low:.2f} to {high:.2f} {unit}, half below "
            f"{middle:.2f}; {record['points']['number']} points"),
        tag("p", join(tag("a", n.removeprefix(entry.name + "."), href=_link(n)) for n in names)),
    )  # fmt: skip


def _link(name: str) -> str:
    from urllib.parse import quote

    return "./" + quote(name)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture at most `WIDTH` wide."""
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def data_uri(image: NDArray[np.uint8]) -> str:
    """An RGB picture as a JPEG inside a URI."""
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return "data:image/jpeg;base64," + base64.b64encode(bytes(coded)).decode("ascii")
