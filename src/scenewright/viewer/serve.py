"""`scenewright view`: one folder over HTTP, to this machine alone."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from scenewright.errors import InputError

HOST = "127.0.0.1"
_PAGE = "report.html"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of visible files inside the folder; nothing is listed, no link leads out."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".glb": "model/gltf-binary",
        ".ply": "application/octet-stream",
        ".csv": "text/plain; charset=utf-8",
        ".html": "text/html; charset=utf-8",
    }
    timeout = 30

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]
        """Answer the head of GET and HEAD; None where an error was sent."""
        if not self._is_ours():  # a foreign page may have its own name resolved to this address (DNS rebinding)
            self.send_error(HTTPStatus.FORBIDDEN, "This server answers to its own address only")
            return None
        path = self._file()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self.path = "/" + path
        return super().send_head()

    def _is_ours(self) -> bool:
        host, _, port = self.headers.get("Host", "").rpartition(":")
        return host in (HOST, "localhost") and port == str(self.connection.getsockname()[1])

    def _file(self) -> str | None:
        """The quoted relative path of the file that is asked for, None where there is none to give."""
        asked = urlsplit(self.path).path
        name = unquote(asked).lstrip("/") or _PAGE
        folder = Path(self.directory).resolve()
        if "\x00" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            file = (folder / name).resolve()
            inside = file.is_relative_to(folder) and file.is_file()
        except OSError:  # a name longer than the file system allows, a loop of links
            return None
        return (asked.lstrip("/") or _PAGE) if inside else None

    def end_headers(self) -> None:
        """Add the headers that keep other pages out."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """The server's name, without versions."""
        return "Scenewright"

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


def make_server(folder: str | Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of one folder on the loopback address; `server_address[1]` is its port, `serve_forever` runs it.

    Args:
        folder: a Scene folder with its report.
        port: 0 takes any free one.

    Raises:
        InputError: no report in the folder, or the port is taken.
    """
    folder = Path(folder)
    if not (folder / _PAGE).is_file():
        raise InputError(folder, f"no {_PAGE}", "a Scene folder, as `scenewright reconstruct` writes one")
    if not 0 <= port <= 65535:
        raise InputError("--port", port, "0 to 65535")
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise InputError("--port", f"{port} ({error.strerror})", "a free port, or 0 for any") from error


def serve(
    folder: str | Path, port: int = 0, open_browser: bool = True, announce: Callable[[str], object] = print
) -> None:
    """Serve a Scene folder until interrupted (Ctrl-C).

    Args:
        folder, port: see `make_server`.
        open_browser: show the page in the user's browser.
        announce: receives the address once the server listens.
    """
    with make_server(folder, port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        announce(address)
        if open_browser:
            webbrowser.open(address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
