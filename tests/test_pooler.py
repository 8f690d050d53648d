"""How a service gets along with PgBouncer, which lends connections for one transaction each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Projects
from tests.documents import commands
from tests.project import PRODUCTION, Project
from tests.services import Postgres, Service, find, folder
from tools.render import options, render

SERVERS = options()["server"]
DEFAULT = SERVERS[0]

pytestmark = pytest.mark.slow

# How many connections PgBouncer opens to a database.
POOL = 2

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users
pool_mode = transaction
default_pool_size = {pool}
"""
INDEX = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("users", "0002_groups")]
    operations = [AddIndexConcurrently("user", models.Index("email", name="email"))]
"""


class PgBouncer(Service):
    """PgBouncer in front of a PostgreSQL."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        super().__init__(folder)
        self.postgres = postgres
        (folder / "users").write_text(f'"{postgres.user}" "{postgres.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(server=postgres.port, port=self.port, pool=POOL)
        )

    def command(self) -> list[str]:
        """Return the command that starts it."""
        return [find("pgbouncer", "pgbouncer", folders=("/usr/sbin",)), "pgbouncer.ini"]

    def answers(self) -> bool:
        """Return whether it serves."""
        return "process up" in (self.folder / "log").read_text()

    def url(self, direct: str) -> str:
        """Return the URL of a database that has another one at PostgreSQL."""
        return direct.replace(f":{self.postgres.port}/", f":{self.port}/")


@pytest.fixture(scope="module")
def pooler(postgres: Postgres) -> Iterator[PgBouncer]:
    """Run PgBouncer."""
    with folder("nobody") as path:
        service = PgBouncer(path, postgres)
        service.start()
        yield service
        service.stop()


@pytest.fixture
def direct(postgres: Postgres) -> str:
    """Return the URL of an empty database at PostgreSQL."""
    return postgres.database()


@pytest.fixture
def variables(pooler: PgBouncer, direct: str) -> dict[str, str]:
    """Return what a service needs that reaches its database through the pooler."""
    return {
        **PRODUCTION,
        # Many share few connections, for which a slow machine takes longer.
        "DATABASE_CONNECT_TIMEOUT": "25",
        "DATABASE_POOLER": "true",
        "DATABASE_URL": pooler.url(direct),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DJANGO_SETTINGS_MODULE": "trial_settings",
    }


@pytest.mark.parametrize("name", SERVERS)
def test_requests_share_the_connections_of_a_pooler(
    name: str, projects: Projects, variables: dict[str, str], postgres: Postgres, direct: str
) -> None:
    """Many clients read and write over a few connections, each for a transaction (D6)."""
    project = projects(server=name)
    project.manage("migrate", variables=variables)
    database = direct.rpartition("/")[2]
    with postgres.connect(database) as owner:
        owner.execute(
            "INSERT INTO users_user (username, password, first_name, last_name, email, is_staff,"
            " is_active, is_superuser, date_joined) SELECT n, '', '', '', '', false, true, false,"
            " now() FROM generate_series(1, 20) AS n"
        )

    with project.serve(variables) as server, ThreadPoolExecutor(16) as clients:
        paths = ["/trial/backend?seconds=0.05", "/trial/users", "/trial/enter"] * 16
        answers = list(clients.map(server.get, paths))
        output = server.output

    backends = {answer.json()["backend"] for answer in answers[::3]}
    users = [answer.json()["users"][:20] for answer in answers[1::3]]
    assert {answer.status_code for answer in answers} == {200}, output[-3000:]
    assert len(backends) <= POOL
    assert users == [list(range(1, 21))] * 16


def test_the_variable_is_needed(projects: Projects, variables: dict[str, str]) -> None:
    """Time-outs that are set for a connection are what a pooler refuses or loses (D6)."""
    environment = {**variables, "DATABASE_POOLER": "false", "STARTUP_TIMEOUT": "0"}

    server = projects(server=DEFAULT).start(environment)
    status = server.wait(40)

    assert status == 3
    assert "unsupported startup parameter" in server.output


@pytest.mark.parametrize("way", ["direct", "pooler"])
def test_replicas_that_migrate_at_once_may_build_indexes_concurrently(
    way: str, tmp_path: Path, variables: dict[str, str], direct: str
) -> None:
    """Those that wait hold nothing that the one that migrates has to wait for (H10, D6)."""
    project = Project({"server": DEFAULT}, tmp_path)
    (project.folder / "apps/users/migrations/0003_index.py").write_text(INDEX)
    if way == "direct":
        variables = {**variables, "DATABASE_POOLER": "false", "DATABASE_URL": direct}

    with ThreadPoolExecutor(3) as replicas:
        runs = [
            replicas.submit(project.manage, "migrate", variables=variables, check=False)
            for _ in range(3)
        ]
        done = [run.result() for run in runs]

    outputs = [run.stdout for run in done]
    assert [run.returncode for run in done] == [0, 0, 0], outputs
    assert sum("Applying users.0003_index... OK" in output for output in outputs) == 1
    assert sum("No migrations to apply" in output for output in outputs) == 2


def test_documented_statements_set_time_outs(postgres: Postgres) -> None:
    """What README tells an administrator to run gives the role its time-outs (S5, U1)."""
    readme = render({}, only="README.md")["README.md"][1].decode()
    statements = [command for command in commands(readme) if command.startswith("ALTER ROLE ")]

    with postgres.connect() as connection:
        connection.execute("CREATE ROLE example_service")
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
        (found,) = postgres.query("SELECT rolconfig FROM pg_roles WHERE rolname='example_service'")
        connection.execute("DROP ROLE example_service")

    assert found == (["statement_timeout=10s", "lock_timeout=5s"],)
