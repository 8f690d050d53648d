"""Workers run tasks, and start only with what they need."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Projects
from tests.project import PRODUCTION, Project
from tests.services import Postgres, Process, RabbitMQ, Redis, find, free_port, running, until

CELERY = ["celery", "--app", "config", "worker", "--concurrency", "1"]
COMMANDS = {"database": ["python", "manage.py", "db_worker"], "rabbitmq": CELERY, "redis": CELERY}
BROKERS = {"rabbitmq": RabbitMQ, "redis": Redis}

EXPIRED_SESSION = """
from datetime import UTC, datetime
from django.contrib.sessions.models import Session
Session.objects.create(session_key="old", expire_date=datetime(2020, 1, 1, tzinfo=UTC))
"""
# Tasks that leave a line in a file each time that they begin.
BODY = """
def linger(path):
    from pathlib import Path
    from time import sleep
    with Path(path).open("a") as file:
        file.write("begun\\n")
    while not Path(path + ".go").exists():
        sleep(0.1)


{decorator}
def falter(path):
    from pathlib import Path
    with Path(path).open("a") as file:
        file.write("begun\\n")
    if Path(path).read_text().count("begun") < 3:
        raise ConnectionError("away")
"""
TRIAL = {
    queue: f"\n\n{decorator}{BODY.format(decorator=decorator)}"
    for queue, decorator in {
        "database": "@task()",
        "rabbitmq": "@app.task",
        "redis": "@app.task",
    }.items()
}
# Redis itself does not notice that a worker is gone: the time after which it counts as gone
# is too long for a test.
OFTEN = "\nCELERY_BEAT_MAX_LOOP_INTERVAL = 5\n"
SETTINGS = {
    "database": "",
    "rabbitmq": OFTEN,
    "redis": f"{OFTEN}CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout'] = 1\n",
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
    project = Project({"task_queue": queue, "use_redis": False}, tmp_path_factory.mktemp(queue))
    with (project.folder / "apps/users/tasks.py").open("a") as tasks:
        tasks.write(TRIAL[queue])
    with (project.folder / "trial_settings.py").open("a") as settings:
        settings.write(SETTINGS[queue])
    return project


@pytest.fixture(scope="module")
def broker(queue: str) -> Iterator[str]:
    """Run what keeps the tasks, and yield its URL."""
    if kind := BROKERS.get(queue):
        with running(kind) as service:
            yield service.url()
    else:
        yield ""


@pytest.fixture
def variables(project: Project, postgres: Postgres, broker: str) -> dict[str, str]:
    """Return the environment of a service with a new database."""
    variables = {
        **PRODUCTION,
        "CELERY_BROKER_URL": broker,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
    }
    project.manage("migrate", "--verbosity", "0", variables=variables)
    return variables


@contextmanager
def working(
    project: Project, queue: str, variables: dict[str, str], log: Path, command: str = ""
) -> Iterator[Process]:
    """Yield a worker that runs, and end it with all its processes."""
    environment = project.environment({**variables, "TMPDIR": str(log.parent)})
    words = command.split() or COMMANDS[queue]
    worker = Process(words, project.folder, environment, log)
    try:
        yield worker
    finally:
        worker.stop(signal.SIGTERM, seconds=30)


WAITING = """
    SELECT 1 FROM pg_stat_activity
    WHERE application_name = 'example_service-worker' AND wait_event_type = 'Lock'
"""


def enqueue(project: Project, queue: str, variables: dict[str, str], task: str, *args: Any) -> None:
    """Queue a task."""
    method = "enqueue" if queue == "database" else "delay"
    values = ", ".join(map(repr, args))
    code = f"from apps.users.tasks import {task}; {task}.{method}({values})"
    project.manage("shell", "--command", code, variables=variables)


@pytest.mark.slow
def test_a_worker_runs_a_task_and_stops_when_told(
    project: Project, queue: str, variables: dict[str, str], postgres: Postgres, tmp_path: Path
) -> None:
    """A queued task is run by a worker with real services, which SIGTERM ends (H3)."""
    database = variables["DATABASE_URL"].rpartition("/")[2]
    project.manage("shell", "--command", EXPIRED_SESSION, variables=variables)
    enqueue(project, queue, variables, "remove_expired_sessions")

    with working(project, queue, variables, tmp_path / "log") as worker:
        with postgres.connect(database) as owner, owner.transaction():
            owner.execute("LOCK TABLE django_session")
            until(lambda: postgres.query(WAITING), 40, "a worker that says what it is")
        until(
            lambda: not postgres.query("SELECT 1 FROM django_session", database=database),
            40,
            f"the task of {queue}",
        )
        worker.stop(signal.SIGTERM, seconds=30)

        assert worker.popen.returncode == 0, worker.output[-2000:]


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


@contextmanager
def broker_of_another_name(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the port of a server with a trusted certificate of another name, and that."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *(find("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=other.example", "-addext", "subjectAltName=DNS:other.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(client, server_side=True):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], certificate
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_broker_has_to_be_who_it_says(projects: Projects, tmp_path: Path) -> None:
    """Over TLS a certificate of another name is refused, however well it is signed (S2, H1)."""
    with broker_of_another_name(tmp_path) as (port, certificate):
        variables = {
            **PRODUCTION,
            "CELERY_BROKER_URL": f"amqps://app:secret@127.0.0.1:{port}/",
            "DATABASE_URL": f"postgres://app:secret@127.0.0.1:{free_port()}/app",
            "SSL_CERT_FILE": str(certificate),
        }
        done = projects(task_queue="rabbitmq", use_redis=False).manage(
            "check_dependencies", variables=variables, check=False
        )

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("rabbitmq "))
    assert "mismatch" in line


@pytest.mark.slow
def test_a_task_survives_a_killed_worker(
    project: Project, queue: str, variables: dict[str, str], tmp_path: Path
) -> None:
    """A task whose worker is killed with -9 is run again by the next one (T3)."""
    trace = tmp_path / "trace"
    enqueue(project, queue, variables, "linger", str(trace))

    def begun(times: int) -> bool:
        return trace.exists() and trace.read_text().count("begun") == times

    with working(project, queue, variables, tmp_path / "first") as worker:
        until(lambda: begun(1), 40, "the first attempt")
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)
    with working(project, queue, variables, tmp_path / "second") as worker:
        until(lambda: begun(2), 60, "the second attempt")
        (tmp_path / "trace.go").touch()
        worker.stop(signal.SIGTERM, seconds=30)

        assert worker.popen.returncode == 0, worker.output[-2000:]
    assert trace.read_text() == "begun\nbegun\n"


@pytest.mark.slow
def test_a_task_is_not_run_twice_because_of_a_lost_connection(
    project: Project,
    queue: str,
    variables: dict[str, str],
    tmp_path: Path,
    postgres: Postgres,
) -> None:
    """A worker that PostgreSQL has lost sight of is known again, and keeps its task (T3)."""
    if queue != "database":
        pytest.skip("Brokers know their workers by their connections")
    trace = tmp_path / "trace"
    locks = "pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'"

    def holders() -> list[tuple[int]]:
        return postgres.query(f"SELECT pid FROM {locks} AND granted")

    with working(project, queue, variables, tmp_path / "first"):
        until(lambda: len(holders()) == 1, 40, "the lock of the worker")
        ((lost,),) = holders()
        postgres.query(f"SELECT pg_terminate_backend({lost})")
        until(lambda: holders() not in ([], [(lost,)]), 20, "the lock again")
        enqueue(project, queue, variables, "linger", str(trace))
        until(trace.exists, 20, "the task")
        with working(project, queue, variables, tmp_path / "second") as second:
            until(lambda: len(holders()) == 2, 40, "the lock of the second worker")
            enqueue(project, queue, variables, "linger", str(tmp_path / "other"))
            until((tmp_path / "other").exists, 20, "another task")
            assert "queued again" not in second.output
            for name in ("trace.go", "other.go"):
                (tmp_path / name).touch()

    assert trace.read_text() == "begun\n"


@pytest.mark.slow
def test_a_task_is_tried_again_while_something_is_away(
    project: Project, queue: str, variables: dict[str, str], tmp_path: Path
) -> None:
    """Celery retries a task whose dependency does not answer, later each time (T3)."""
    if queue == "database":
        pytest.skip("Django's tasks are not tried again: README of the service says so")
    trace = tmp_path / "trace"
    enqueue(project, queue, variables, "falter", str(trace))

    with working(project, queue, variables, tmp_path / "log") as worker:
        until(lambda: trace.exists() and trace.read_text().count("begun") == 3, 60, "3 attempts")

        until(lambda: "succeeded" in worker.output, 20, "the end of the task")
        assert worker.output.count("Retry in") == 2


@pytest.mark.slow
def test_a_probe_sees_whether_a_worker_lives(
    project: Project, queue: str, variables: dict[str, str], tmp_path: Path
) -> None:
    """The health check of Compose tells a worker that runs from one that hangs (D4, H3)."""
    compose = (project.folder / "compose.yaml").read_text()
    check = re.search(r"\[CMD-SHELL, '(.*/alive.*)'\]", compose)
    assert check
    command = check[1].replace("$$", "$").replace("/tmp/", f"{tmp_path}/")
    alive = tmp_path / "alive"

    def healthy() -> bool:
        return subprocess.run(["sh", "-c", command], check=False).returncode == 0

    assert not healthy()
    scheduler = ["celery --app config beat --schedule " + str(tmp_path / "schedule")]
    for number, words in enumerate(["", *(scheduler if queue != "database" else [])]):
        with working(project, queue, variables, tmp_path / f"log-{number}", words) as worker:
            until(alive.exists, 40, "a sign of life")
            assert healthy()
            worker.send(signal.SIGSTOP)
            os.utime(alive, (0, 0))
            assert not healthy()
            worker.send(signal.SIGCONT)
            until(healthy, 40, "another sign of life")
        alive.unlink()
