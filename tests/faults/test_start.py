"""Signals that reach a service at every phase of its start."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Projects
from tests.project import PRODUCTION, Server
from tests.services import Postgres, free_port, until
from tests.test_servers import children, namespace
from tools.render import options

pytestmark = [pytest.mark.slow, pytest.mark.timed]

SERVERS = options()["server"]
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
SETTINGS = """
import time

print("IMPORTING", flush=True)
time.sleep(2)

from trial_settings import *
"""


@pytest.fixture
def variables(postgres: Postgres) -> dict[str, str]:
    """Return what a service needs in production."""
    return {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "STARTUP_TIMEOUT": "60",
    }


def tell(server: Server, number: int, *, first: bool) -> int:
    """Send a signal to a service, and return the status with which it ends, soon."""
    os.kill(children(server.pid)[0] if first else server.pid, number)
    return server.wait(15)


def left(server: Server) -> list[str]:
    """Return what still runs in the session of a service that has ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, session, *_ = rest.split()
        if int(session) == server.pid and state != "Z":
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("name", "first"),
    [("gunicorn", False), *((name, True) for name in SERVERS)],
    ids=["gunicorn-child", *(f"{name}-pid-1" for name in SERVERS)],
)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_loads_ends_when_told(
    number: int, name: str, first: bool, projects: Projects, variables: dict[str, str]
) -> None:
    """A signal ends the process while it is importing, also a container's first one (H9)."""
    project = projects(server=name, use_redis=False)
    (project.folder / "loading_settings.py").write_text(SETTINGS)
    environment = {**variables, "DJANGO_SETTINGS_MODULE": "loading_settings"}

    server = project.start(environment, prefix=namespace() if first else ())
    try:
        until(lambda: "IMPORTING" in server.output, 60, "importing")
        status = tell(server, number, first=first)
        running = left(server)
    finally:
        server.stop()

    assert status == 128 + number
    assert "Traceback" not in server.output
    assert not running


@pytest.mark.parametrize("first", [False, True], ids=["child", "pid-1"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_start_that_waits_ends_at_hang_up(
    name: str, first: bool, projects: Projects, variables: dict[str, str]
) -> None:
    """SIGHUP ends the process while it waits for the database, as other signals do (H3, H9)."""
    lost = {**variables, "DATABASE_URL": f"postgres://127.0.0.1:{free_port()}/it"}

    project = projects(server=name, use_redis=False)
    server = project.start(lost, prefix=namespace() if first else ())
    try:
        until(lambda: "Waiting up to" in server.output, 60, "waiting for the database")
        status = tell(server, signal.SIGHUP, first=first)
        running = left(server)
    finally:
        server.stop()

    assert status == 128 + signal.SIGHUP
    assert "Traceback" not in server.output
    assert not running


@pytest.mark.parametrize("number", SIGNALS)
def test_a_migration_that_waits_ends_when_told(
    number: int, projects: Projects, postgres: Postgres, variables: dict[str, str]
) -> None:
    """A signal ends a container whose entry point waits for its turn to migrate (D3, H9)."""
    project = projects(server="gunicorn", use_redis=False)
    environment = {**variables, "DJANGO_MANAGEPY_MIGRATE": "on"}
    command = ["./docker-entrypoint.sh", *project.command]
    database = variables["DATABASE_URL"].rpartition("/")[2]
    # It asks for the lock again and again, each time in a transaction of its own.
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND query = 'ROLLBACK'"

    with postgres.connect(database) as owner, owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(x'6D696772617465'::bigint)")
        server = project.start(environment, command=command, prefix=namespace())
        try:
            until(lambda: postgres.query(waiting, database), 60, "waiting for the lock")
            status = tell(server, number, first=True)
            running = left(server)
        finally:
            server.stop()

    assert status == 128 + number
    assert "Traceback" not in server.output
    assert not running


@pytest.mark.parametrize("first", [False, True], ids=["child", "pid-1"])
@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name in SERVERS for number in (signal.SIGINT, signal.SIGTERM)],
)
def test_a_service_that_listens_ends_when_told(
    name: str, number: int, first: bool, projects: Projects, variables: dict[str, str]
) -> None:
    """A signal ends the service at once when it has only just begun to listen (H9)."""
    prefix = namespace() if first else ()
    server = projects(server=name, use_redis=False).start(variables, prefix=prefix)
    try:
        until(server.serves, 60, "the first answer")
        status = tell(server, number, first=first)
        until(lambda: not left(server), 20, "the end of its processes")
    finally:
        server.stop()

    # The first worker of uWSGI answers before its master is ready to end in order.
    assert status in ({0, number} if name == "uwsgi" else {0})
    assert "Traceback" not in server.output


@pytest.mark.parametrize("name", ["gunicorn", "uvicorn"])
def test_sighup_replaces_the_workers(
    name: str, projects: Projects, variables: dict[str, str]
) -> None:
    """A service that serves takes SIGHUP for a wish to start its workers anew (H9)."""
    with projects(server=name, use_redis=False).serve(variables) as server:
        before = set(children(server.pid))
        server.send(signal.SIGHUP)
        until(lambda: not before & set(children(server.pid)), 20, "replacing the workers")
        until(server.serves, 20, "an answer")
        status = tell(server, signal.SIGTERM, first=False)

    assert status == 0
    assert "Traceback" not in server.output
