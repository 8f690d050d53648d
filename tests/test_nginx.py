"""The nginx that stands beside a service, with its own configuration in front of an echo."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from tests.services import Service, find, folder, until
from tools.render import render

CONFIGURATION = "deploy/nginx/nginx.conf"
STYLE = "base.0123456789ab.css"


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers of the request."""

    protocol_version = "HTTP/1.1"
    # How long each connection stayed open after its last answer, in seconds.
    idle: ClassVar[list[float]] = []

    def do_GET(self) -> None:
        """Answer a request."""
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.answered = time.monotonic()

    def finish(self) -> None:
        """Remember how long the connection was idle before nginx has closed it."""
        self.idle.append(time.monotonic() - self.answered)
        super().finish()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Nginx(Service):
    """An nginx with the configuration of a service, at other addresses."""

    def __init__(self, folder: Path, service: int) -> None:
        super().__init__(folder)
        _, content = render({"static_files": "nginx"})[CONFIGURATION]
        text = content.decode()
        for old, new in {
            " /tmp/": f" {folder}/",
            "web:8000": f"127.0.0.1:{service}",
            "listen 8080": f"listen 127.0.0.1:{self.port}",
            "include mime.types": "include /etc/nginx/mime.types",
            "alias /static/": f"alias {folder}/static/",
            "/dev/stdout": f"{folder}/access",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(text)
        (folder / "static").mkdir()
        (folder / "static" / STYLE).write_text("body {}")
        (folder / "static" / f"{STYLE}.gz").write_bytes(b"compressed")

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = find("nginx", "nginx-light", folders=("/usr/sbin",))
        return [program, "-c", f"{self.folder}/nginx.conf", "-g", "daemon off;", "-e", "stderr"]

    def answers(self) -> bool:
        """Return whether it serves."""
        try:
            return self.get("/").ok
        except requests.RequestException:
            return False

    def get(self, path: str, **headers: str) -> requests.Response:
        """Return the answer to a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=named, timeout=30)

    def told(self, **headers: str) -> Any:
        """Return what the service is told of a request."""
        return self.get("/", **headers).json()

    def logged(self) -> list[str]:
        """Return whom its log names, once after the other."""
        lines = (self.folder / "access").read_text().splitlines()
        return [json.loads(line)["client"] for line in lines]


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    """Run nginx in front of a service that echoes."""
    echo = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    with folder("nobody") as path:
        service = Nginx(path, echo.server_port)
        service.start()
        yield service
        service.stop()
    echo.shutdown()
    echo.server_close()


def test_a_proxy_says_who_the_client_is(nginx: Nginx) -> None:
    """Behind a proxy on a private address the client and its scheme are those it names (D5, S8)."""
    told = nginx.told(X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https")

    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("203.0.113.7", "https")
    until(lambda: nginx.logged()[-1] == "203.0.113.7", 20, "the line in the log")


def test_what_a_client_claims_is_dropped(nginx: Nginx) -> None:
    """Of a chain, only what proxies have added counts, and a scheme has to be one (D5, S8)."""
    told = nginx.told(X_Forwarded_For="198.51.100.1, 203.0.113.7", X_Forwarded_Proto="javascript")

    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("203.0.113.7", "http")
    until(lambda: nginx.logged()[-1] == "203.0.113.7", 20, "the line in the log")


def test_without_a_proxy_the_client_is_who_calls(nginx: Nginx) -> None:
    """Nothing but the connection says who calls and how (D5)."""
    told = nginx.told(Host="example.com:8080")

    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert told["host"] == "example.com:8080"


def test_an_idle_connection_ends_before_the_service_ends_it(nginx: Nginx) -> None:
    """Nginx keeps one for a moment, but for less than the 5 seconds of a server (H9)."""
    # A busy machine may notice late, but not three times.
    for _ in range(3):
        Echo.idle.clear()
        nginx.told()
        until(lambda: Echo.idle, 20, "the end of a connection")
        if Echo.idle[0] < 5:
            break

    assert 3 < Echo.idle[0] < 5


def test_static_files_come_compressed_and_for_ever(nginx: Nginx) -> None:
    """A file whose name holds its hash may be kept, and is sent as it was compressed (S7)."""
    plain = nginx.get(f"/static/{STYLE}", Accept_Encoding="identity")
    compressed = requests.get(
        f"http://127.0.0.1:{nginx.port}/static/{STYLE}",
        headers={"Accept-Encoding": "gzip"},
        stream=True,
        timeout=30,
    )

    assert plain.text == "body {}"
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.headers["Content-Type"] == "text/css"
    assert compressed.raw.read(decode_content=False) == b"compressed"
    assert nginx.get("/static/missing.css").status_code == 404
