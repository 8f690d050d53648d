"""The service behind Caddy, which ends TLS with certificates of an authority of its own."""

import json
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPException, HTTPResponse
from typing import Any

import pytest

from tests.containers import docker, require_docker, unique
from tests.services import free_port, until
from tests.test_compose import Project
from tools.render import render

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HOST = "service.example.com"
SERVICES: dict[str, dict[str, Any]] = {
    "whitenoise": {"api": "none", "use_redis": False},
    "nginx": {"api": "none", "use_redis": False, "static_files": "nginx", "server": "uwsgi"},
}


class Site(Project):
    """A service that Compose runs with its override for TLS."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.http = free_port()
        self.https = free_port()
        # A slow machine takes longer to replace a container than Caddy keeps a request waiting.
        caddyfile = self.folder / "deploy/caddy/Caddyfile"
        text = caddyfile.read_text()
        assert "lb_try_duration 10s" in text
        caddyfile.write_text(text.replace("lb_try_duration 10s", "lb_try_duration 25s"))
        self.variables |= {
            "COMPOSE_FILE": "compose.yaml:compose.tls.yaml",
            "HTTP_PORT": str(self.http),
            "HTTPS_PORT": str(self.https),
            "TLS": "internal",
        }

    def trust(self) -> None:
        """Trust the authority that has made the certificates, and no other."""
        root = self.compose("exec", "caddy", "cat", "/data/caddy/pki/authorities/local/root.crt")
        self.authority = ssl.create_default_context(cadata=root)

    def connect(self, name: str = HOST) -> ssl.SSLSocket:
        """Return a connection to a host of that name."""
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=60)
        return self.authority.wrap_socket(plain, server_hostname=name)

    def ask(
        self, path: str, *, host: str = HOST, body: bytes = b"", plain: bool = False, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        """Return the answer to a request, and its body."""
        lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        request = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        address = ("127.0.0.1", self.http)
        with socket.create_connection(address, timeout=60) if plain else self.connect() as to:
            to.sendall(request)
            # Who is refused need not have said everything.
            with suppress(ConnectionError):
                to.sendall(body)
            answer = HTTPResponse(to)
            answer.begin()
            return answer, answer.read()


@pytest.fixture(scope="module", params=SERVICES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Return a freshly rendered service that Compose has brought up with TLS."""
    require_docker()
    answers = {
        **SERVICES[request.param],
        "project_slug": unique("tls").replace("-", "_"),
        "domain_name": HOST,
    }
    site = Site(answers, tmp_path_factory.mktemp("tls"))
    try:
        assert f"Serving at https://{HOST}: " in site.run("make", "up-tls")
        site.trust()
        yield site
    finally:
        site.compose("down", "--volumes", "--rmi=local", "--remove-orphans")
        docker("image", "rm", "--force", answers["project_slug"].replace("_", "-"))


def test_plain_http_is_sent_to_https(site: Site) -> None:
    """The proxy redirects for good, and asks nobody (D5)."""
    answer, _ = site.ask("/admin/login/?next=/", plain=True)

    assert answer.status == 308
    assert answer.headers["Location"] == f"https://{HOST}/admin/login/?next=/"


def test_https_keeps_every_protection(site: Site) -> None:
    """Pages come over a trusted connection with HSTS and secure cookies (D5, S2)."""
    answer, page = site.ask("/admin/login/")

    assert (answer.status, b"csrfmiddlewaretoken" in page) == (200, True)
    assert (
        answer.headers["Strict-Transport-Security"]
        == "max-age=31536000; includeSubDomains; preload"
    )
    assert "Secure" in answer.headers["Set-Cookie"]
    assert site.connect().version() == "TLSv1.3"


def test_unknown_hosts_end_at_the_proxy(site: Site) -> None:
    """Without a certificate there is no connection, and with another Host no answer (D5)."""
    plain, _ = site.ask("/", plain=True, host="other.example")
    secure, _ = site.ask("/health", host="other.example")
    with pytest.raises(ssl.SSLError):
        site.connect("other.example")

    assert (plain.status, secure.status) == (421, 421)
    behind = [line for line in site.logs().splitlines() if not line.startswith("caddy")]
    assert behind
    assert not any("other.example" in line for line in behind)


def test_static_files_are_compressed(site: Site) -> None:
    """A browser gets files as small as it can read them, and for ever (S7, D5)."""
    _, page = site.ask("/admin/login/")
    (path, *_) = re.findall(rb"/static/[^\"]+\.css", page)

    found = {
        coding: site.ask(path.decode(), Accept_Encoding=coding)[0].headers
        for coding in ("br", "gzip", "zstd")
    }

    codings = {coding: headers["Content-Encoding"] for coding, headers in found.items()}
    brotli = "br" if "static_files" not in site.answers else None
    assert codings == {"br": brotli, "gzip": "gzip", "zstd": "zstd"}
    assert all("immutable" in headers["Cache-Control"] for headers in found.values())


def test_pages_are_compressed_by_the_service(site: Site) -> None:
    """Pages keep Django's compression, whose padding hides the size of secrets (S7)."""
    headers = {"Accept_Encoding": "gzip, deflate, br, zstd"}

    answers = [site.ask("/admin/login/", **headers) for _ in range(8)]

    assert {answer.headers["Content-Encoding"] for answer, _ in answers} == {"gzip"}
    assert len({len(body) for _, body in answers}) > 1


CLIENT = """
import json, socket, ssl, sys
host = sys.argv[1]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
plain = socket.create_connection((sys.argv[2], 443), timeout=30)
address = plain.getsockname()[0]
secure = context.wrap_socket(plain, server_hostname=host)
secure.sendall(
    f"GET /health?seen HTTP/1.1\\r\\nHost: {host}\\r\\nX-Forwarded-For: 203.0.113.9\\r\\n"
    "Connection: close\\r\\n\\r\\n".encode()
)
print(json.dumps([address, secure.recv(100).decode().splitlines()[0]]))
"""


def test_logs_name_the_client(site: Site) -> None:
    """Whoever calls stands in the log of each proxy, and not whom he pretends to be (D5)."""
    image = site.answers["project_slug"].replace("_", "-")
    place = ("--rm", f"--network={site.name}_default", "--entrypoint=python")

    address, status = json.loads(docker("run", *place, image, "-c", CLIENT, HOST, "caddy"))

    def seen() -> set[str]:
        return {
            line["request"]["client_ip"]
            for line in lines(site.logs("caddy"))
            if "request" in line and line["request"]["uri"] == "/health"
        }

    def behind() -> set[str]:
        return {
            line["client"] for line in lines(site.logs("nginx")) if line.get("path") == "/health"
        }

    assert status == "HTTP/1.1 200 OK"
    # A line is written after the answer.
    until(lambda: address in seen(), 20, "the client's address in the log of Caddy")
    if site.answers.get("static_files") == "nginx":
        until(lambda: address in behind(), 20, "the client's address in the log of nginx")
    assert "203.0.113.9" not in site.logs()
    assert "?seen" not in site.logs("caddy")


def test_errors_hide_what_may_be_secret(site: Site) -> None:
    """The proxy tells what it could not deliver without query and headers (D5)."""
    behind = "nginx" if site.answers.get("static_files") == "nginx" else "web"
    site.compose("stop", behind)

    answer, _ = site.ask("/health?hidden", X_Secret="hidden")

    site.compose("start", behind)
    until(lambda: site.ask("/health")[0].status == 200, 60, "an answer")
    errors = [line for line in lines(site.logs("caddy")) if line["level"] == "error"]
    assert answer.status == 502
    assert "/health" in {line["request"]["uri"] for line in errors if "request" in line}
    assert "hidden" not in site.logs("caddy")


def lines(log: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log that are JSON objects."""
    for line in log.splitlines():
        _, _, text = line.partition(" | ")
        if text.startswith("{"):
            yield json.loads(text)


def test_strangers_choose_no_request_id(site: Site) -> None:
    """The id in log and answer is the service's own, whatever a client sends (O1)."""
    answer, _ = site.ask("/admin/login/", X_Request_ID="forged")

    assert answer.getheader("X-Request-ID") not in {None, "forged"}


def test_metrics_are_not_for_the_public(site: Site) -> None:
    """What Prometheus reads is not at the public address, whoever asks (O3)."""
    assert site.ask("/metrics")[0].status == 404


def test_large_and_slow_requests_are_cut_off(site: Site) -> None:
    """A body has at most 10 MB, and who dawdles over a request is hung up on (D5)."""
    form = {
        "Content_Type": "multipart/form-data; boundary=line",
        "Cookie": f"csrftoken={'a' * 32}",
        "Referer": f"https://{HOST}/",
    }
    file = b'--line\r\nContent-Disposition: form-data; name="file"; filename="it"\r\n\r\n'

    large, _ = site.ask("/admin/login/", body=file + b"x" * 10_600_000, **form)
    with site.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        rest = slow.recv(1000)
        seconds = time.monotonic() - began

    assert large.status == 413
    assert b"200" not in rest
    assert 5 < seconds < 20


def test_slow_bodies_keep_nobody_waiting(site: Site) -> None:
    """Whoever sends a form slowly takes no thread of the service (H9, D5)."""
    # A form that the service would read, to find the token in it.
    lines = [
        "POST /admin/login/ HTTP/1.1",
        f"Host: {HOST}",
        f"Referer: https://{HOST}/",
        f"Cookie: csrftoken={'a' * 32}",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 100",
    ]
    head = "\r\n".join([*lines, "", "username="])

    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(site.connect()).sendall(head.encode())
        time.sleep(2)
        # A busy machine may be late for another reason, but not three times.
        for _ in range(3):
            began = time.monotonic()
            answer, _ = site.ask("/admin/login/")
            seconds = time.monotonic() - began
            if seconds < 5:
                break

    assert answer.status == 200
    assert seconds < 5


def test_a_replaced_service_keeps_requests_waiting(site: Site) -> None:
    """While a new container takes the place of the service, who asks it waits (H9, D5)."""
    if "static_files" in site.answers:
        pytest.skip("nginx answers for a service that is away")
    # A busy machine may need longer than Caddy waits, but not three times.
    for _ in range(3):
        statuses = statuses_while_replaced(site)
        if statuses.keys() == {200}:
            break

    assert statuses.keys() == {200}
    assert statuses[200] >= 4


def statuses_while_replaced(site: Site) -> Counter[int]:
    """Return what clients see while a new container takes the place of the service."""
    done = threading.Event()
    statuses: Counter[int] = Counter()

    def ask() -> None:
        while not done.wait(0.1):
            try:
                statuses[site.ask("/__lbheartbeat__")[0].status] += 1
            except (OSError, HTTPException):
                statuses[0] += 1

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    site.compose("up", "--wait", "--force-recreate", "--no-deps", "web")
    done.set()
    for client in clients:
        client.join()
    return statuses


def test_every_way_of_serving_static_files_has_its_override() -> None:
    """Caddy hands requests to nginx where that serves the static files, or to the service (D5)."""
    behind = {
        answer: re.findall(
            r"SERVICE: (\S+)",
            render({"static_files": answer}, only="compose.tls.yaml")["compose.tls.yaml"][
                1
            ].decode(),
        )
        for answer in ("whitenoise", "nginx", "s3")
    }

    assert behind == {"whitenoise": ["web:8000"], "nginx": ["nginx:8080"], "s3": ["web:8000"]}
