"""PostgreSQL and Redis break in every way while a service runs that needs them."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial

import psycopg
import pytest
import redis

from tests.conftest import Projects
from tests.faults.clients import Record, endure, getting
from tests.faults.table import find as find_fault
from tests.project import PRODUCTION, Server
from tests.services import Postgres, Redis, find, missing, running, until
from tests.test_api import token

pytestmark = [pytest.mark.slow, pytest.mark.timed]

READ = "/trial/backend"
WRITE = "/trial/statement?sql=UPDATE users_user SET last_name = 'x' RETURNING id"
WORK = "/trial/statement?sql=SELECT work(), 1"
CACHE = "/trial/remember?value=1"
OURS = "FROM pg_stat_activity WHERE application_name LIKE '%-server'"


class World:
    """A service, its database and its cache."""

    def __init__(self, stack: ExitStack, name: str, projects: Projects) -> None:
        self.postgres = stack.enter_context(running(Postgres))
        self.redis = stack.enter_context(running(Redis))
        url = self.postgres.database()
        self.database = url.rpartition("/")[2]
        variables = {
            **PRODUCTION,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "trial_settings",
            "REDIS_URL": self.redis.url(),
        }
        project = projects(server=name)
        project.manage("migrate", "--verbosity", "0", variables=variables)
        self.work("NULL")
        self.token = token(project, variables)
        self.server: Server = stack.enter_context(project.serve(variables))

    def execute(self, *statements: str) -> None:
        """Execute statements as an administrator."""
        with self.postgres.connect(self.database) as connection:
            connection.execute("SET default_transaction_read_only = off")
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def work(self, what: str) -> None:
        """Let the database do something else when it is asked to work."""
        self.execute(
            "CREATE OR REPLACE FUNCTION work() RETURNS void LANGUAGE plpgsql"
            f" AS 'BEGIN PERFORM {what}; END'"
        )

    @property
    def client(self) -> redis.Redis:
        """Return a client of Redis."""
        return redis.Redis.from_url(self.redis.url())


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def world(request: pytest.FixtureRequest, projects: Projects) -> Iterator[World]:
    """Run it all."""
    with ExitStack() as stack:
        yield World(stack, request.param, projects)


@contextmanager
def used_up(world: World) -> Iterator[None]:
    """Take every connection that PostgreSQL has, also those of the service."""
    with ExitStack() as stack:
        owner = stack.enter_context(closing(world.postgres.connect()))

        def take() -> None:
            with suppress(psycopg.OperationalError):
                while True:
                    stack.enter_context(closing(world.postgres.connect()))

        def all_taken() -> bool:
            take()
            return not owner.execute(f"SELECT pg_terminate_backend(pid) {OURS}").fetchall()

        take()
        # Meanwhile the service must not take what it has just lost.
        with world.server.frozen():
            until(all_taken, 20, "taking all connections")
            take()
        # Who has waited since before that is answered.
        time.sleep(3)
        yield


@contextmanager
def unreachable(port: int) -> Iterator[None]:
    """Lose all packets to and from a port, as if the machine behind it had lost its power."""
    if os.geteuid() != 0:
        missing("the right to lose packets: run as root")
    iptables = [find("iptables", "iptables", folders=("/usr/sbin",)), "--wait"]
    with ExitStack() as stack:
        for end in ("--dport", "--sport"):
            rule = ["INPUT", "--protocol", "tcp", end, str(port), "--jump", "DROP"]
            subprocess.run([*iptables, "--insert", *rule], check=True)
            stack.callback(subprocess.run, [*iptables, "--delete", *rule], check=True)
        yield


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """Let PostgreSQL refuse to write, as a standby does."""

    def reload(state: str) -> None:
        # A new connection has it once the others were told.
        world.execute("SELECT pg_reload_conf()")
        show = "SHOW default_transaction_read_only"
        until(lambda: world.postgres.query(show) == [(state,)], 20, "reading the configuration")
        time.sleep(0.1)

    world.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    try:
        reload("on")
        yield
    finally:
        world.execute("ALTER SYSTEM RESET default_transaction_read_only")
        reload("off")


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Hold a lock that keeps everybody else out of a table."""
    with world.postgres.connect(world.database) as owner, owner.transaction():
        owner.execute("LOCK TABLE users_user")
        yield


@contextmanager
def slow(world: World) -> Iterator[None]:
    """Let a statement take long."""
    world.work("pg_sleep(60)")
    try:
        yield
    finally:
        world.work("NULL")


@contextmanager
def full(world: World) -> Iterator[None]:
    """Leave Redis no memory."""
    with world.client as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def another_password(world: World) -> Iterator[None]:
    """Let Redis ask for a password that the service does not have."""
    with world.client as client:
        client.config_set("requirepass", "another")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        try:
            yield
        finally:
            client.config_set("requirepass", "")


# What a request needs that meets the fault, how it is made, and for how long, in seconds.
FAULTS: list[tuple[str, str, Callable[[World], AbstractContextManager[object]], float]] = [
    ("PostgreSQL is stopped", READ, lambda world: world.postgres.stopped(), 4),
    # Longer than a request waits for a connection of the pool.
    ("PostgreSQL is restarted", READ, lambda world: world.postgres.stopped(), 3),
    ("PostgreSQL hangs for five seconds", READ, lambda world: world.postgres.frozen(), 5),
    ("Packets to PostgreSQL are lost", READ, lambda world: unreachable(world.postgres.port), 16),
    ("PostgreSQL has no connection left", READ, used_up, 4),
    ("PostgreSQL is read-only, for writing", WRITE, read_only, 2),
    ("A table is locked", WRITE, locked, 6),
    ("A statement is slow", WORK, slow, 9),
    ("Redis is stopped", CACHE, lambda world: world.redis.stopped(), 2),
    ("Redis hangs", CACHE, lambda world: world.redis.frozen(), 2),
    ("Packets to Redis are lost", CACHE, lambda world: unreachable(world.redis.port), 4),
    ("Redis is full", CACHE, full, 1),
    ("Redis has another password", CACHE, another_password, 2),
]


@pytest.mark.parametrize(
    ("name", "path", "breaking", "lasting"),
    FAULTS,
    ids=[name for name, *_ in FAULTS],
)
def test_a_fault_does_what_the_table_says(
    world: World,
    name: str,
    path: str,
    breaking: Callable[[World], AbstractContextManager[object]],
    lasting: float,
    record: Record,
) -> None:
    """Clients, log and recovery are as README says, and nobody else notices (S5, S6, P4)."""
    fault = find_fault(name)
    request = getting(world.server, path)

    outcome = endure(fault, world.server, request, partial(breaking, world), lasting=lasting)

    record(fault, outcome)


def test_reading_goes_on_while_nobody_can_write(world: World) -> None:
    """Only what writes fails while PostgreSQL is read-only (S5)."""
    with read_only(world):
        assert world.server.get(READ).status_code == 200
        assert world.server.get(WRITE).status_code == 503


def test_an_outage_is_worth_another_try(world: World) -> None:
    """People get a page and programs a problem, with when to try again, and no traceback (S5)."""
    printed = len(world.server.output)
    with world.postgres.stopped():
        page = world.server.get(READ)
        call = world.server.get("/api/v1/users/me", Authorization=f"Bearer {world.token}")
        lines = world.server.output[printed:]
    until(lambda: world.server.get(READ).status_code == 200, 20, "the return of the database")

    assert (page.status_code, call.status_code) == (503, 503)
    assert page.headers["Retry-After"] == call.headers["Retry-After"] == "5"
    assert "Back in a moment" in page.text
    assert call.headers["Content-Type"] == "application/problem+json"
    assert lines.count("The database does not serve") == 2
    assert "Traceback" not in lines
    assert world.postgres.password not in lines
