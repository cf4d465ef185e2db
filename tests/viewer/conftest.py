"""A headless browser that opens a page and takes its picture."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--virtual-time-budget=8000",
    "--enable-logging=stderr",
    "--v=0",
)


@dataclass(frozen=True)
class Shot:
    """What the browser saw: the picture (H, W, 3) RGB, its console, and the addresses it asked the network for."""

    picture: np.ndarray
    console: str
    requests: list[str]


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Shot]:
    """A function that opens an address and returns a `Shot`; skips where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium to open the page with")

    def shoot(address: str, width: int = 900, height: int = 700, *extra: str) -> Shot:
        picture, log, profile = tmp_path / "shot.png", tmp_path / "net.json", tmp_path / "profile"
        command = [program, *_FLAGS, *extra, f"--user-data-dir={profile}", f"--log-net-log={log}"]
        command += [f"--window-size={width},{height}", f"--screenshot={picture}", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if not picture.exists():
            pytest.fail(f"Chromium took no picture: {done.stderr[-2000:]}")
        console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
        pixels = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
        picture.unlink()
        return Shot(pixels, console, _requests(log))

    return shoot


def _requests(log: Path) -> list[str]:
    """What the page itself asked the network for; the browser's own requests have no page as their initiator."""
    text = log.read_text(errors="replace")
    try:
        events = json.loads(text)["events"]
    except ValueError:  # the browser was stopped before it closed the list
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    started = [event["params"] for event in events if "initiator" in event.get("params", {})]
    ours = [str(entry["url"]) for entry in started if entry["initiator"] != "not an origin" and "url" in entry]
    return sorted({url for url in ours if not url.startswith(("data:", "file:"))})
