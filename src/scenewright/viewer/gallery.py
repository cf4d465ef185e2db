"""The keyframes of the page: small pictures of colour and depth, and what the 3-D view needs to know of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenewright.scene.pictures import intrinsics_of
from scenewright.scene.records import SceneKeyframe
from scenewright.viewer.charts import moment
from scenewright.viewer.html import Html, data_uri, join, tag

MAX_PICTURES = 100
_WIDTH = 320
_UNKNOWN = (46, 42, 40)  # BGR


@dataclass(frozen=True)
class Picture:
    """A keyframe as the page shows it.

    Args:
        id, index, time_s: of the keyframe.
        colour: JPEG.
        depth: (h, w) float32, 0 = unknown, at the size of the JPEG.
        pose: the first three rows of T_world_cam.
        lens: image size, focal lengths and principal point.
        known: share of pixels with depth.
    """

    id: int
    index: int
    time_s: float
    colour: bytes
    depth: NDArray[np.float32]
    pose: list[float]
    lens: dict[str, float]
    known: float


def collect(keyframes: Iterable[SceneKeyframe], limit: int = MAX_PICTURES) -> tuple[list[Picture], int]:
    """Read the keyframes once, keeping at most `limit` evenly spread ones; also returns how many there were.

    The memory stays that of 2 * `limit` small pictures however many come: when too many are held, every other goes.
    """
    kept: list[Picture] = []
    stride = 1
    count = 0
    for count, keyframe in enumerate(keyframes, 1):
        if (count - 1) % stride == 0:
            kept.append(_picture(keyframe))
        if len(kept) >= 2 * limit:
            kept, stride = kept[::2], stride * 2
    if len(kept) > limit:
        kept = kept[::2]
    return kept, count


def _picture(keyframe: SceneKeyframe) -> Picture:
    height, width = keyframe.camera.size
    factor = min(1.0, _WIDTH / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(keyframe.image, size, interpolation=cv2.INTER_AREA)
    return Picture(
        id=keyframe.id,
        index=keyframe.index,
        time_s=keyframe.time_s,
        colour=_jpeg(cv2.cvtColor(small, cv2.COLOR_RGB2BGR)),
        depth=cv2.resize(keyframe.depth_m, size, interpolation=cv2.INTER_NEAREST),  # a mean would invent depths
        pose=[round(float(x), 6) for x in keyframe.T_world_cam[:3].reshape(-1)],
        lens={key: round(float(value), 3) for key, value in vars(intrinsics_of(keyframe.camera)).items()},
        known=float((keyframe.depth_m > 0).mean()),
    )


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def depth_range(pictures: list[Picture]) -> tuple[float, float]:
    """The depths between which all pictures' colours run: the middle 96 % of what is known."""
    known = [picture.depth[picture.depth > 0][::7] for picture in pictures]
    values = np.concatenate(known) if known else np.zeros(0)
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, (0.02, 0.98))
    return float(low), float(max(high, low + 1e-6))


def depth_colours(depth: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: near is bright, far is dark, unknown is grey."""
    level = np.clip((high - depth) / (high - low), 0, 1)
    colours = cv2.applyColorMap(np.rint(20 + level * 225).astype(np.uint8), cv2.COLORMAP_MAGMA)
    colours[depth <= 0] = _UNKNOWN
    return colours


def scene_facts(pictures: list[Picture]) -> list[dict[str, Any]]:
    """What the 3-D view knows of each keyframe; `depth` is where it looks."""
    facts = []
    for picture in pictures:
        known = picture.depth[picture.depth > 0]
        depth = float(np.median(known)) if len(known) else 1.0
        facts.append({"id": picture.id, "pose": picture.pose, "lens": picture.lens, "depth": round(depth, 5)})
    return facts


def strip(pictures: list[Picture], count: int, symbol: str, timed: bool = True) -> Html:
    """The row of keyframes with its key; they bear their frames' numbers where times are not known."""
    low, high = depth_range(pictures)
    ramp = depth_colours(np.linspace(low, high, 256, dtype=np.float32)[None].repeat(8, 0) + 1e-9, low, high)
    key = tag(
        "div",
        f"{low:.3g} {symbol}",
        tag("img", src=data_uri("image/jpeg", _jpeg(ramp)), alt="colours of depth, near to far"),
        f"{high:.3g} {symbol} and beyond; grey is unknown",
        class_="ramp",
    )
    shown = "" if count == len(pictures) else f" {len(pictures)} of {count} are shown, evenly spread."
    note = f"Photograph and estimated depth, side by side. Choose one to look from where it was taken.{shown}"
    buttons = [_button(i, picture, low, high, timed) for i, picture in enumerate(pictures)]
    return join([tag("p", note, class_="note"), key, tag("div", join(buttons), class_="strip")])


def _button(position: int, picture: Picture, low: float, high: float, timed: bool) -> Html:
    depth = data_uri("image/jpeg", _jpeg(depth_colours(picture.depth, low, high)))
    size = {"width": picture.depth.shape[1], "height": picture.depth.shape[0], "decoding": "async"}
    pair = tag(
        "span",
        tag("img", src=data_uri("image/jpeg", picture.colour), alt=f"keyframe {picture.id}", **size),
        tag("img", src=depth, alt=f"depth of keyframe {picture.id}", **size),
        class_="pair",
    )
    when = moment(picture.time_s, "s") if timed else moment(picture.index, "frame")
    caption = f"{picture.id}  ·  {when}  ·  depth in {picture.known:.0%}"
    return tag("button", pair, tag("span", caption, class_="caption"), type="button", data_keyframe=position)
