"""Worker processes die or hang while clients ask."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.faults.clients import Clients, Outcome, Record, endure, getting
from tests.faults.table import find
from tests.project import HOST, PRODUCTION, Project, Server
from tests.services import Postgres, until
from tests.test_servers import children

pytestmark = [pytest.mark.slow, pytest.mark.timed]

SERVERS = ("gunicorn", "uvicorn")
WHO = "/trial/remember?value=1"


@pytest.fixture
def variables(postgres: Postgres) -> dict[str, str]:
    """Return what a service needs in production."""
    return {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
    }


@contextmanager
def killing(server: Server) -> Iterator[None]:
    """Kill the worker that answers."""
    os.kill(server.get(WHO).json()["worker"], signal.SIGKILL)
    yield


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_worker_takes_only_its_requests_along(
    name: str, tmp_path: Path, variables: dict[str, str], record: Record
) -> None:
    """While a worker is replaced that was killed with -9 the other one answers (H9)."""
    fault = find("A worker is killed with -9")
    project = Project({"server": name, "use_redis": False}, tmp_path)

    with project.serve(variables) as server:
        breaking = partial(killing, server)
        request = getting(server, "/trial/scheme")
        outcome = endure(fault, server, request, breaking, lasting=1, untouched=0)

    # Each client may have had one request there, and the kernel another that nobody had taken.
    assert outcome.statuses[0] <= 6
    record(fault, outcome)


def impatient(project: Project) -> None:
    """Let a service give up on a request after eight seconds, and on itself after two more."""
    configuration = project.folder / "config/gunicorn.conf.py"
    text = configuration.read_text()
    for old, new in {
        "\ntimeout = 30": "\ntimeout = 8",
        "\ngraceful_timeout = 25": "\ngraceful_timeout = 2",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    configuration.write_text(text)


def test_clients_that_do_not_read_replace_no_worker(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """More of them than there are threads are cut off, and others are answered (H9)."""
    project = Project({"use_redis": False}, tmp_path)
    impatient(project)
    large = "/trial/statement?sql=SELECT repeat('a', 9000000)"
    request = f"GET {quote(large, safe='/?=')} HTTP/1.1\r\nHost: {HOST}\r\n"
    request += "X-Forwarded-Proto: https\r\n\r\n"

    with project.serve(variables) as server, ExitStack() as stack:
        workers = until(lambda: len(children(server.pid)) == 2 and children(server.pid), 60, "both")
        for _ in range(12):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(request.encode())
        time.sleep(14)
        others = [server.get("/trial/scheme").status_code for _ in range(10)]
        same = children(server.pid) == workers
        output = server.output

    assert others == [200] * 10
    assert same, output
    assert "was cut off" in output
    assert "A request hangs" not in output


@pytest.mark.parametrize("name", SERVERS)
def test_a_request_that_hangs_is_cut_off(
    name: str, tmp_path: Path, variables: dict[str, str], record: Record
) -> None:
    """Its worker is replaced, and others are answered meanwhile (H9)."""
    fault = find("A request hangs")
    project = Project({"server": name, "use_redis": False}, tmp_path)
    impatient(project)
    shorter = 30 + 25 - 8 - 2
    path = "/trial/block?seconds=600" if name == "uvicorn" else "/trial/slow?seconds=600"

    with project.serve(variables) as server, ThreadPoolExecutor(1) as hanging:
        with Clients(getting(server, "/trial/scheme"), 3).asking() as answers:
            began = time.monotonic()
            with pytest.raises(requests.RequestException):
                hanging.submit(server.get, path).result()
            seconds = time.monotonic() - began
            until(lambda: server.output.count("Booting worker") >= 3, 20, "the next worker")
            time.sleep(1)
        output = server.output

    statuses = Counter(answer.status for answer in answers)
    assert fault.is_logged(output)
    assert seconds < fault.slowest - shorter
    assert statuses[200] > 20
    # An event loop that is blocked takes along what else it was given.
    assert statuses[0] == 0 if name == "gunicorn" else statuses[0] < 10
    record(fault, Outcome(Counter([0]), seconds, 0))
