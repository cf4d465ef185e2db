"""`scenewright view`."""

from __future__ import annotations

from pathlib import Path

import tyro


def command(folder: tyro.conf.Positional[Path], port: int = 0, browser: bool = True) -> int:
    """Serve a reconstructed scene on this machine's own address and open its report.

    Args:
        folder: a Scene folder.
        port: 0 takes any free one.
        browser: open the page in the browser.
    """
    from scenewright.viewer.serve import serve

    serve(folder, port, browser)
    return 0
