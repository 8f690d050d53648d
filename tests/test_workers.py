"""Workers run tasks, and start only with what they need."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import PRODUCTION, Project
from tests.services import Postgres, Process, RabbitMQ, Redis, free_port, running, until

CELERY = ["celery", "--app", "config", "worker", "--concurrency", "1"]
COMMANDS = {"database": ["python", "manage.py", "db_worker"], "rabbitmq": CELERY, "redis": CELERY}
BROKERS = {"rabbitmq": RabbitMQ, "redis": Redis}

EXPIRED_SESSION = """
from datetime import UTC, datetime
from django.contrib.sessions.models import Session
Session.objects.create(session_key="old", expire_date=datetime(2020, 1, 1, tzinfo=UTC))
"""
ENQUEUE = {
    "database": "from apps.users.tasks import *; remove_expired_sessions.enqueue()",
    "rabbitmq": "from apps.users.tasks import *; remove_expired_sessions.delay()",
    "redis": "from apps.users.tasks import *; remove_expired_sessions.delay()",
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL."""
    with running(Postgres) as server:
        yield server


@pytest.fixture(scope="module", params=COMMANDS)
def queue(request: pytest.FixtureRequest) -> str:
    """Return each way to run tasks."""
    return str(request.param)


@pytest.fixture(scope="module")
def project(queue: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Render a service that runs tasks."""
    return Project({"task_queue": queue, "use_redis": False}, tmp_path_factory.mktemp(queue))


@pytest.mark.slow
def test_a_worker_runs_a_task_and_stops_when_told(
    project: Project, queue: str, postgres: Postgres, tmp_path: Path
) -> None:
    """A queued task is run by a worker with real services, which SIGTERM ends (H3)."""
    url = postgres.database()
    variables = {**PRODUCTION, "DATABASE_URL": url}
    kind = BROKERS.get(queue)
    with running(kind) if kind else running(Redis) as broker:
        variables["CELERY_BROKER_URL"] = broker.url()
        project.manage("migrate", "--verbosity", "0", variables=variables)
        project.manage("shell", "--command", EXPIRED_SESSION, variables=variables)
        project.manage("shell", "--command", ENQUEUE[queue], variables=variables)
        environment = project.environment(variables)
        process = Process(COMMANDS[queue], project.folder, environment, tmp_path / "log")

        try:
            until(
                lambda: (
                    not postgres.query(
                        "SELECT 1 FROM django_session", database=url.rpartition("/")[2]
                    )
                ),
                40,
                f"the task of {queue}",
            )
        finally:
            process.stop(signal.SIGTERM, seconds=30)

        assert process.popen.returncode == 0, process.output[-2000:]


def test_a_worker_ends_without_what_it_needs(project: Project, queue: str, tmp_path: Path) -> None:
    """Without broker and database a worker ends in time, the table last, no traceback (H3)."""
    variables = {
        **PRODUCTION,
        "DATABASE_URL": f"postgres://app:secret@127.0.0.1:{free_port()}/app",
        "CELERY_BROKER_URL": {
            "database": "",
            "rabbitmq": f"amqp://app:secret@127.0.0.1:{free_port()}/",
            "redis": f"redis://127.0.0.1:{free_port()}/0",
        }[queue],
        "STARTUP_TIMEOUT": "2",
    }
    environment = project.environment(variables)
    process = Process(COMMANDS[queue], project.folder, environment, tmp_path / "log")

    try:
        status = process.wait(30)
    finally:
        process.stop(signal.SIGKILL)

    assert status == 3
    assert "Traceback" not in process.output
    assert "secret" not in process.output
    last = process.output.strip().splitlines()[-1]
    assert "DOWN" in last
    names = {"database": "database", "rabbitmq": "rabbitmq", "redis": "redis-broker"}
    assert last.split()[0] == names[queue]
