"""Clients that are malformed, oversized, slow, idle or many."""

import json
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.conftest import Projects
from tests.faults.clients import Record, endure, getting
from tests.faults.table import find
from tests.project import HOST, Server
from tests.services import Postgres, Redis, folder, missing, running, until
from tests.test_api import token, variables
from tests.test_nginx import Nginx
from tests.test_servers import children

pytestmark = [pytest.mark.slow, pytest.mark.timed]

SERVERS = ("gunicorn", "uvicorn")
IDLE = 10_000
SLOW = 200
HEAD = "Host: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"


class World:
    """A service, and a token for its API."""

    def __init__(self, stack: ExitStack, answers: dict[str, str], projects: Projects) -> None:
        postgres = stack.enter_context(running(Postgres))
        redis = stack.enter_context(running(Redis))
        environment = {
            **variables(postgres, redis),
            "ALLOWED_HOSTS": f"127.0.0.1,{HOST}",
            "DJANGO_SETTINGS_MODULE": "trial_settings",
        }
        project = projects(**answers)
        project.manage("migrate", "--verbosity", "0", variables=environment)
        self.token = token(project, environment)
        self.server: Server = stack.enter_context(project.serve(environment))
        until(lambda: len(children(self.server.pid)) == 2, 60, "the second worker")


@pytest.fixture(scope="module", params=[("gunicorn", "ninja"), ("uvicorn", "drf")], ids="-".join)
def world(request: pytest.FixtureRequest, projects: Projects) -> Iterator[World]:
    """Run a service under each server, with each API."""
    server, api = request.param
    with ExitStack() as stack:
        yield World(stack, {"server": server, "api": api}, projects)


def ask(server: Server, request: bytes) -> int:
    """Send bytes and return the status of the answer, or 0 if there is none."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        # Who is refused need not have said everything.
        with suppress(OSError):
            client.sendall(request)
        with suppress(OSError):
            while b"\r\n" not in answer and (data := client.recv(65536)):
                answer += data
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0


def get(path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    """Return a request for a path."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a request that sends a body."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


NOTES = "/api/v1/notes"
JSON = ("Content-Type: application/json", "Authorization: Bearer TOKEN")
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
# What is sent, and what is answered; 0: the connection ends.
MALFORMED = {
    "no HTTP": (b"HELLO\r\n\r\n", {400}),
    "nothing but zeros": (bytes(1000) + b"\r\n\r\n", {400}),
    "a version that is none": (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", {400}),
    "a header without a colon": (get("/", "Nonsense"), {400}),
    "a space before the colon": (get("/", "X-Header : a"), {400}),
    "two lengths": (get("/", "Content-Length: 1", "Content-Length: 2"), {400}),
    "length and chunks": (get("/", "Content-Length: 1", "Transfer-Encoding: chunked"), {400}),
    "an unknown encoding": (get("/", "Transfer-Encoding: nonsense"), {400, 501}),
    "a header of 100 kB": (get("/", f"X-Header: {'a' * 100_000}"), {302, 431}),
    "1,000 headers": (get("/", *(f"X-{n}: a" for n in range(1000))), {302, 431}),
    "an address of 100 kB": (get(f"/{'a' * 100_000}"), {400, 414}),
    "NUL in the path": (get("/%00"), {404}),
    "no UTF-8 in the path": (get("/%ff%fe"), {404}),
    "a way out of the static files": (get("/static/../../../etc/passwd"), {404}),
    "an encoded way out": (get("/static/%2e%2e/%2e%2e/config/settings.py"), {404}),
    "another host in the path": (get("//other.example/%2e%2e/admin"), {404}),
    "a host with spaces": (get("/", host="a b"), {400}),
    "another host": (get("/", host="other.example"), {400}),
    "broken cookies": (get("/admin/", "Cookie: sessionid=\x01;;=;csrftoken"), {302, 400}),
    "a token that is none": (get("/api/v1/users/me", "Authorization: Bearer \xff:"), {401}),
    "no JSON": (post(NOTES, b"{", *JSON), {400, 422}),
    "no UTF-8 in JSON": (post(NOTES, b'{"title": "\xff"}', *JSON), {400, 422}),
    "NUL in JSON": (post(NOTES, b'{"title": "a\\u0000"}', *JSON), {400, 422}),
    "half a character in JSON": (post(NOTES, b'{"title": "\\ud800"}', *JSON), {400, 422}),
    "deep JSON": (post(NOTES, b"[" * 100_000, *JSON), {400, 422}),
    "a long number in JSON": (post(NOTES, b"1" * 10_000, *JSON), {400, 422}),
    "no number in JSON": (post(NOTES, b'{"title": NaN}', *JSON), {400, 422}),
    "JSON of 3 MB": (post(NOTES, json.dumps({"title": "a" * 3_000_000}).encode(), *JSON), {400}),
    "1,001 fields": (post("/admin/login/", b"&".join([b"a=1"] * 1001), FORM), {400, 403}),
    "a form without its end": (post("/trial/upload", b"--b\r\n", MULTIPART), {200, 400}),
    "a form without a boundary": (
        post("/trial/upload", b"--b", "Content-Type: multipart/form-data"),
        {400},
    ),
    "a chunk that is none": (
        b"POST /trial/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\nnonsense\r\n",
        {200, 400},
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_is_refused(world: World, what: str) -> None:
    """What no client should send is refused, with neither a failure nor a traceback (H9)."""
    request, statuses = MALFORMED[what]
    printed = len(world.server.output)
    workers = children(world.server.pid)

    status = ask(world.server, request.replace(b"TOKEN", world.token.encode()))

    output = world.server.output[printed:]
    assert status in statuses, output
    assert "Traceback" not in output
    # What looks like an attack is an error to Django.
    errors = [line for line in output.splitlines() if '"level": "error"' in line]
    assert all("django.security" in line for line in errors), output
    assert children(world.server.pid) == workers


@contextmanager
def sending(world: World) -> Iterator[None]:
    """Send all of that again and again."""
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            for request, _ in MALFORMED.values():
                ask(world.server, request.replace(b"TOKEN", world.token.encode()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_malformed_requests_keep_nobody_waiting(world: World, record: Record) -> None:
    """Whoever sends what is malformed or too large takes nothing from others (H9)."""
    fault = find("Clients send what is malformed or too large")

    request = getting(world.server, "/trial/scheme")
    outcome = endure(fault, world.server, request, partial(sending, world))

    record(fault, outcome)


@contextmanager
def connected(address: tuple[str, int], number: int) -> Iterator[list[socket.socket]]:
    """Yield so many connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, 30)) for _ in range(number)]


@contextmanager
def trickling(address: tuple[str, int], number: int, begin: bytes) -> Iterator[list[socket.socket]]:
    """Send the same beginning over many connections, and then a byte each second."""
    done = threading.Event()
    with connected(address, number) as clients:

        def trickle() -> None:
            while not done.wait(1):
                for client in clients:
                    with suppress(OSError):
                        client.send(b"a")

        for client in clients:
            client.sendall(begin)
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield clients
        finally:
            done.set()
            thread.join()


HEADERS = b"GET /trial/scheme HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Header: a"
BODY = (
    b"POST /trial/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
)


def files(server: Server) -> int:
    """Return how many files the processes of a server have open."""
    processes = [server.pid, *children(server.pid)]
    return sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in processes)


def established(server: Server) -> int:
    """Return how many connections clients have to a server, which has not ended them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = f":{server.port:04X}"
    return sum(line[1].endswith(local) and line[3] == "01" for line in lines)


def test_slow_clients_keep_nobody_waiting(world: World, record: Record) -> None:
    """Whoever sends headers byte by byte takes nothing from others (H9)."""
    fault = find("200 clients send headers slowly")
    address = ("127.0.0.1", world.server.port)

    request = getting(world.server, "/trial/scheme")
    breaking = partial(trickling, address, SLOW, HEADERS)
    outcome = endure(fault, world.server, request, breaking)

    record(fault, outcome)


class Proxy(Nginx):
    """The nginx of a service in front of it."""

    def answers(self) -> bool:
        """Return whether it serves."""
        try:
            return self.get("/__lbheartbeat__").ok
        except requests.RequestException:
            return False


def test_slow_bodies_end_at_the_proxy(world: World, record: Record) -> None:
    """A proxy hands on requests that are complete, so that slow ones take no thread (H9)."""
    fault = find("200 clients send bodies slowly, behind nginx")
    with folder("nobody") as path:
        proxy = Proxy(path, world.server.port)
        proxy.start()
        try:
            breaking = partial(trickling, ("127.0.0.1", proxy.port), SLOW, BODY)
            outcome = endure(fault, world.server, getting(proxy, "/trial/scheme"), breaking)
        finally:
            proxy.stop()

    record(fault, outcome)


@pytest.mark.parametrize("sent", [b"", HEADERS], ids=["nothing", "headers"])
def test_a_client_that_sends_no_headers_is_cut_off(world: World, sent: bytes) -> None:
    """Whoever sends nothing, or headers byte by byte, has ten seconds for it (H9)."""
    address = ("127.0.0.1", world.server.port)
    clients = trickling(address, 4, sent) if sent else connected(address, 4)

    with clients as waiting:
        until(lambda: len(select.select(waiting, [], [], 0)[0]) == 4, 18, "the end of them all")

    assert world.server.get("/trial/scheme").status_code == 200


def test_a_slow_body_is_cut_off(world: World) -> None:
    """Without a proxy a slow body may hold a thread, but neither for long nor its process (H9)."""
    workers = children(world.server.pid)
    printed = len(world.server.output)
    address = ("127.0.0.1", world.server.port)

    with trickling(address, 4, BODY) as clients:
        until(lambda: len(select.select(clients, [], [], 0)[0]) == 4, 28, "the end of them all")
        status = world.server.get("/trial/scheme").status_code

    assert status == 200
    assert children(world.server.pid) == workers
    assert "A request hangs" not in world.server.output[printed:]


def test_a_client_that_reads_nothing_is_cut_off(world: World) -> None:
    """Whoever asks and does not read the answer has half a minute for it (H9)."""
    until(lambda: established(world.server) == 0, 30, "calm")

    with ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            # The rest of the answer has to wait at the server.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", world.server.port))
            # Another request behind it changes nothing.
            client.sendall(get("/trial/long").replace(b"close", b"keep-alive"))
            client.sendall(get("/trial/scheme"))
        time.sleep(10)
        assert established(world.server) == 4
        until(lambda: established(world.server) == 0, 30, "the end of them all")

    assert world.server.get("/trial/scheme").status_code == 200


def test_a_body_that_ends_early_is_refused(world: World) -> None:
    """Nothing is made of the part of a file that a client has sent before it went (H9)."""
    if not (world.server.folder / "config/worker.py").exists():
        pytest.skip("Event loops hand on no part of a body")
    printed = len(world.server.output)
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="it"\r\n\r\n'
    whole = post("/trial/upload", part + b"a" * 1000 + b"\r\n--b--\r\n", MULTIPART)

    answers = []
    # One view reads the body; nobody reads that of the other.
    for path in (b"/trial/upload", b"/nowhere"):
        request = whole.replace(b"/trial/upload", path).replace(b"Connection: close\r\n", b"")
        with socket.create_connection(("127.0.0.1", world.server.port), 30) as client:
            client.sendall(request[:-500])
            client.shutdown(socket.SHUT_WR)
            answers.append(b"".join(iter(lambda client=client: client.recv(65536), b"")))

    assert [answer.split()[1] for answer in answers] == [b"400", b"404"]
    assert [answer.count(b"HTTP/1.1 ") for answer in answers] == [1, 1]
    assert "Error handling request" not in world.server.output[printed:]


def test_a_client_that_is_gone_is_no_failure(world: World) -> None:
    """Whoever resets a connection while sending is a line in the log at most, and no error (H9)."""
    printed = len(world.server.output)
    request = post("/trial/upload", b"--b\r\n" + b"a" * 1000, MULTIPART)

    for _ in range(10):
        with socket.create_connection(("127.0.0.1", world.server.port), 30) as client:
            client.sendall(request[:-500])
            time.sleep(0.1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    if (world.server.folder / "config/worker.py").exists():
        until(lambda: world.server.output[printed:].count('"/trial/upload"') >= 10, 20, "ten lines")
    output = world.server.output[printed:]
    assert '"status": 500' not in output
    assert "Traceback" not in output


def test_idle_connections_keep_nobody_waiting(world: World, record: Record) -> None:
    """Thousands of connections that say nothing take nothing from others, and go (H9)."""
    fault = find("10,000 connections are idle")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 1000:
        missing(f"{IDLE + 1000} open files: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Nothing is left of other tests, and the server has as few files as machines usually give.
    until(lambda: files(world.server) < 100, 30, "calm")
    for process in (world.server.pid, *children(world.server.pid)):
        resource.prlimit(process, resource.RLIMIT_NOFILE, (1024, 1024))
    before = files(world.server)

    idle = partial(connected, ("127.0.0.1", world.server.port), IDLE)
    outcome = endure(fault, world.server, getting(world.server, "/trial/scheme"), idle)
    until(lambda: files(world.server) <= before + 10, 20, "closing what is idle")

    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    record(fault, outcome)
