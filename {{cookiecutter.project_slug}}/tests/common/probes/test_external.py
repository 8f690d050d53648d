"""Other APIs are asked for their own health."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from apps.common.probes import external


class Api(BaseHTTPRequestHandler):
    """An API that is up at two paths and down at every other."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.path in {"/up?full=1", "/?full=1"} else 503)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def api() -> Iterator[str]:
    """Serve the API and return its address."""
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_api_that_is_up_passes(api: str) -> None:
    external.check(f"{api}/up?full=1")
    external.check(f"{api}?full=1")


def test_an_api_that_is_down_fails(api: str) -> None:
    with pytest.raises(ConnectionError, match="status 503"):
        external.check(f"{api}/down")
