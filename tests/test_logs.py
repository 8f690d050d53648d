"""What a service logs: an object a line, each request once and by its id, and no secret."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.project import HOST, PRODUCTION, Project, Server
from tests.services import Process, RabbitMQ, Redis, running, until

type Run = tuple[str, str, dict[str, requests.Response]]

SECRET = "s3cr3t-0f-s0me0ne"
CELERY = ["celery", "--app", "config", "worker", "--concurrency", "1"]
COMMANDS = {"database": ["python", "manage.py", "db_worker"], "rabbitmq": CELERY, "redis": CELERY}
BROKERS = {"rabbitmq": RabbitMQ, "redis": Redis}
ENDS = {"database": "state=SUCCESSFUL", "rabbitmq": "succeeded in", "redis": "succeeded in"}

# Answers from the service behind all that guards it; what they are asked with may be secret.
VIEWS = """
import asyncio
import logging

from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config import urls

logger = logging.getLogger("trial")


@csrf_exempt
def speak(request):
    secret = [request.POST.get("password"), request.headers, request.COOKIES]
    logger.info("The view speaks", extra={"request": request, "answer": len(secret)})
    return HttpResponse("spoken")


@csrf_exempt
async def whisper(request):
    secret = request.GET.get("token")
    await asyncio.sleep(0)
    logger.info("The view speaks")
    return HttpResponse("whispered")


@csrf_exempt
def fail(request):
    secret = [request.POST.get("password"), request.headers, request.COOKIES]
    raise RuntimeError("The view fails")


@csrf_exempt
async def collapse(request):
    secret = [request.GET.get("token"), request.headers, request.COOKIES]
    raise RuntimeError("The view fails")


def guarded(request):
    return HttpResponse("never")


urlpatterns = [
    path("trial/speak", speak),
    path("trial/whisper", whisper),
    path("trial/fail", fail),
    path("trial/collapse", collapse),
    path("trial/guarded", guarded),
    *urls.urlpatterns,
]
"""
STATUSES = {
    "/trial/speak": 200,
    "/trial/whisper": 200,
    "/trial/fail": 500,
    "/trial/collapse": 500,
    "/trial/guarded": 403,
    "/trial/missing": 404,
}

# A task, and a view that queues it.
TASKS = {
    "database": "from django.tasks import task\n\n@task()",
    "rabbitmq": "from config.celery import app\n\n@app.task",
    "redis": "from config.celery import app\n\n@app.task",
}
TASK = """

def speak(secret):
    import logging
    logging.getLogger("trial").info("The task speaks")
"""
QUEUE = """
from django.http import HttpResponse
from django.urls import path

from tasks_trial import speak


def queue(request):
    speak.METHOD("SECRET")
    return HttpResponse("queued")


urlpatterns = [path("trial/queue", queue)]
"""
SETTINGS = """
from config.settings import *

ROOT_URLCONF = "logs_trial"
CELERY_IMPORTS = ["tasks_trial"]
"""


def lines(output: str) -> list[dict[str, Any]]:
    """Return the lines that are objects, their fields at the top."""
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line | line.get("Fields", {}) for line in found]


def identity(line: dict[str, Any]) -> str | None:
    """Return the id of the request that a line belongs to."""
    found = line.get("request_id") or line.get("rid")
    return str(found) if found else None


def is_summary(line: dict[str, Any]) -> bool:
    """Return whether a line sums up a request."""
    return "request.summary" in (line.get("event"), line.get("Type"))


def ask(server: Server, path: str) -> requests.Response:
    """Ask with a secret in header, cookie, query and body."""
    return requests.post(
        f"http://127.0.0.1:{server.port}{path}?token={SECRET}",
        data={"password": SECRET},
        headers={
            "Authorization": f"Bearer {SECRET}",
            "Cookie": f"sessionid={SECRET}",
            "Host": HOST,
            "Referer": f"https://{HOST}/?token={SECRET}",
            "X-Api-Key": SECRET,
            "X-Forwarded-Proto": "https",
        },
        timeout=30,
    )


@pytest.fixture(
    scope="module",
    params=[
        ("gunicorn", "structlog"),
        pytest.param(("uvicorn", "mozlog"), marks=pytest.mark.slow),
        pytest.param(("daphne", "structlog"), marks=pytest.mark.slow),
        pytest.param(("uwsgi", "mozlog"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield what a server that says all it can has printed, and what it has answered."""
    name, logging = request.param
    folder = tmp_path_factory.mktemp(name)
    project = Project({"server": name, "logging": logging, "use_redis": False}, folder)
    (project.folder / "logs_trial.py").write_text(VIEWS)
    (project.folder / "logs_settings.py").write_text(SETTINGS)
    variables = {
        **PRODUCTION,
        "DATABASE_URL": f"sqlite:///{folder / 'db'}",
        "DJANGO_SETTINGS_MODULE": "logs_settings",
        "LOG_LEVEL": "debug",
    }
    project.manage("migrate", "--verbosity", "0", variables=variables)
    with project.serve(variables) as server:
        answers = {path: ask(server, path) for path in STATUSES}
        until(lambda: "/trial/missing" in server.output, 20, "the last line")
        yield name, server.output, answers


def test_no_secret_is_logged(run: Run) -> None:
    """Nothing that a header, a cookie, a query or a body holds is in any line (O1)."""
    _, output, answers = run

    assert {path: answer.status_code for path, answer in answers.items()} == STATUSES
    assert output.count("The view speaks") == 2
    assert output.count("The view fails") >= 2
    assert SECRET not in output


def test_each_line_is_an_object(run: Run) -> None:
    """Whatever is printed is JSON, but for what uWSGI itself says as it starts (O1)."""
    name, output, _ = run

    plain = [line for line in output.splitlines() if not line.startswith("{")]
    assert lines(output)
    assert name == "uwsgi" or plain == []


def test_each_request_is_summed_up_once(run: Run) -> None:
    """One line has method, path, status, duration and the id that the answer carries (O1)."""
    _, output, answers = run

    summaries = [line for line in lines(output) if is_summary(line)]
    for path, answer in answers.items():
        (line,) = (line for line in summaries if line["path"] == path)
        assert identity(line) == answer.headers["X-Request-ID"]
        assert line["method"] == "POST"
        assert line.get("status", line.get("code")) == answer.status_code
        assert 0 <= line.get("duration_ms", line.get("t")) < 5000


def test_times_have_one_form(run: Run) -> None:
    """A line that sums up a request shows its time as all others do (O1)."""
    _, output, _ = run

    times = [line.get("Timestamp") or line["timestamp"] for line in lines(output)]
    assert times
    # Mozlog has nanoseconds since 1970.
    assert {re.sub(r"\d", "0", str(time)) for time in times} <= {
        "0000-00-00T00:00:00.000000Z",
        "0000000000000000000",
    }


def test_lines_carry_the_id_of_their_request(
    run: Run,
) -> None:
    """What views log, and that they fail, has the id of the request; other lines none (O1)."""
    _, output, answers = run

    for path, text in {
        "/trial/speak": "The view speaks",
        "/trial/whisper": "The view speaks",
        "/trial/fail": "Internal Server Error",
        "/trial/collapse": "Internal Server Error",
        "/trial/guarded": "Forbidden",
        "/trial/missing": "Not Found",
    }.items():
        request_id = answers[path].headers["X-Request-ID"]
        found = [line for line in lines(output) if identity(line) == request_id]
        assert any(is_summary(line) for line in found)
        assert any(text in json.dumps(line) for line in found)
    summed_up = {identity(line): line["path"] for line in lines(output) if is_summary(line)}
    assert set(summed_up.values()) == {*STATUSES, "/__lbheartbeat__"}
    assert {identity(line) for line in lines(output)} == {None, *summed_up}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("queue", "logging"),
    [("database", "structlog"), ("rabbitmq", "mozlog"), ("redis", "structlog")],
)
def test_lines_of_a_task_carry_the_id_of_the_request_that_queued_it(
    queue: str, logging: str, tmp_path: Path
) -> None:
    """What a task logs, and its end, has the request's id; no line has an argument (O1)."""
    project = Project({"task_queue": queue, "logging": logging, "use_redis": False}, tmp_path)
    method = {"database": "enqueue"}.get(queue, "delay")
    (tmp_path / "tasks_trial.py").write_text(TASKS[queue] + TASK)
    views = QUEUE.replace("METHOD", method).replace("SECRET", SECRET)
    (tmp_path / "logs_trial.py").write_text(views)
    (tmp_path / "logs_settings.py").write_text(SETTINGS)
    variables = {
        **PRODUCTION,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db'}",
        "DJANGO_SETTINGS_MODULE": "logs_settings",
        "LOG_LEVEL": "debug",
    }
    with running(BROKERS.get(queue, Redis)) as broker:
        variables["CELERY_BROKER_URL"] = broker.url()
        project.manage("migrate", "--verbosity", "0", variables=variables)
        with project.serve(variables) as server:
            mine = server.get("/trial/queue", X_Request_ID="request-of-mine")
            other = server.get("/trial/queue", X_Request_ID="request-of-others")
        worker = Process(
            COMMANDS[queue], project.folder, project.environment(variables), tmp_path / "log"
        )
        try:
            until(lambda: worker.output.count(ENDS[queue]) == 2, 40, "the end of the tasks")
        finally:
            worker.stop(signal.SIGTERM, seconds=30)

    assert mine.headers["X-Request-ID"] == "request-of-mine"
    assert other.headers["X-Request-ID"] == "request-of-others"
    for request_id in ("request-of-mine", "request-of-others"):
        found = [json.dumps(line) for line in lines(worker.output) if identity(line) == request_id]
        assert sum("The task speaks" in line for line in found) == 1
        assert sum(ENDS[queue] in line for line in found) == 1
    assert SECRET not in worker.output
    assert SECRET not in server.output
