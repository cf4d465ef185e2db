from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenewright.errors import InputError
from scenewright.viewer import serve as module
from scenewright.viewer.serve import make_server, serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    (out / "keyframes").mkdir(parents=True)
    (out / "report.html").write_text("<p>report")
    (out / "mesh.glb").write_bytes(b"glTF")
    (out / "keyframes" / "a b.png").write_bytes(b"png")
    (out / ".lock").write_text("1")
    (out / ".hidden").mkdir()
    (out / ".hidden" / "x").write_text("x")
    (tmp_path / "secret").write_text("secret")
    (out / "link").symlink_to(tmp_path / "secret")
    return out


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with make_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    response = connection.getresponse()
    body, headers = response.read(), {key.title(): value for key, value in response.getheaders()}
    connection.close()
    return response.status, body, headers


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/", b"<p>report", "text/html; charset=utf-8"),
        ("/report.html?x=1", b"<p>report", "text/html; charset=utf-8"),
        ("/mesh.glb", b"glTF", "model/gltf-binary"),
        ("/keyframes/a%20b.png", b"png", "image/png"),
    ],
)
def test_files_of_the_folder(port: int, path: str, body: bytes, kind: str) -> None:
    status, content, headers = ask(port, path)
    assert (status, content, headers["Content-Type"]) == (200, body, kind)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Python" not in headers["Server"]


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/keyframes/../../secret", "//etc/passwd", "/etc/passwd"]
    + ["/link", "/.lock", "/.hidden/x", "/keyframes", "/keyframes/", "/none", "/a%00b", "/" + "a" * 5000],
)
def test_nothing_else_is_given(port: int, path: str) -> None:
    status, content, _ = ask(port, path)
    assert status == 404
    assert b"secret" not in content
    assert b"root:" not in content


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1.evil:80"]
)
def test_foreign_names_are_refused(port: int, host: str) -> None:
    assert ask(port, "/", host=host)[0] == 403


def test_localhost_is_ours(port: int) -> None:
    assert ask(port, "/", host=f"localhost:{port}")[0] == 200


def test_only_reading(port: int) -> None:
    status, content, headers = ask(port, "/", method="HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", "9")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(port, "/", method=method)[0] == 501


def test_only_this_machine_is_answered(folder: Path) -> None:
    with make_server(folder) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_bad_arguments(folder: Path, tmp_path: Path, port: int) -> None:
    with pytest.raises(InputError, match=r"no report\.html"):
        make_server(tmp_path)
    with pytest.raises(InputError, match="65535"):
        make_server(folder, 70000)
    with pytest.raises(InputError, match="a free port"):
        make_server(folder, port)


@pytest.mark.parametrize("browser", [True, False])
def test_serve_announces_its_address_and_ends_on_interrupt(
    folder: Path, monkeypatch: pytest.MonkeyPatch, browser: bool
) -> None:
    said: list[str] = []
    opened: list[str] = []

    def interrupted(self: object, poll_interval: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    monkeypatch.setattr(module.ThreadingHTTPServer, "serve_forever", interrupted)
    serve(folder, open_browser=browser, announce=said.append)
    assert said[0].startswith("http://127.0.0.1:")
    assert opened == (said if browser else [])
