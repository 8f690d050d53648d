"""What error trackers are told of failing views and tasks, and what they are not."""

import gzip
import http.server
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import pytest
import requests

from tests.project import HOST, PRODUCTION, Project, Server
from tests.services import Process, Redis, black_hole, free_port, mute, running, until
from tests.test_servers import children

SECRET = "s3cr3t-0f-s0me0ne"
EMAIL = "someone@private.example"
KEY = "0123456789abcdef0123456789abcdef"
QUIET = ("/health", "/__heartbeat__", "/__lbheartbeat__", "/metrics")
WORKERS = {
    "database": ["python", "manage.py", "db_worker"],
    "redis": ["celery", "--app", "config", "worker", "--concurrency", "1"],
}
TASKS = {
    "database": "from django.tasks import task\n\n@task()\n",
    "redis": "from config.celery import app\n\n@app.task\n",
}
TASK = """def stumble(secret):
    raise LookupError("The task fails")
"""
VIEWS = """
import logging

from django.contrib.auth import get_user_model, login
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config import urls


def enter(request):
    user, _ = get_user_model().objects.get_or_create(username="EMAIL", email="EMAIL")
    login(request, user)
    return HttpResponse("in")


@csrf_exempt
def fail(request):
    secret = [request.POST["password"], request.user.email, request.headers, request.COOKIES]
    logging.getLogger("trial").info("Nearly there")
    raise RuntimeError("The view fails")


@csrf_exempt
async def collapse(request):
    secret = [request.GET["token"], request.headers, request.COOKIES]
    raise RuntimeError("The view fails")


@csrf_exempt
def queue(request):
    from tasks_trial import stumble

    stumble.METHOD(request.GET["token"])
    return HttpResponse("queued")


urlpatterns = [
    path("trial/enter", enter),
    path("trial/fail", fail),
    path("trial/collapse", collapse),
    path("trial/queue", queue),
    *urls.urlpatterns,
]
"""
SETTINGS = """
from config.settings import *

ROOT_URLCONF = "errors_trial"
CELERY_IMPORTS = ["tasks_trial"]
"""


class Report(NamedTuple):
    """What a tracker is told of one failure."""

    text: str
    request_id: str
    release: str
    environment: str


class Tracker:
    """A server on this machine that takes reports as Sentry and Bugsnag do."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        tracker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                encoding = self.headers.get("Content-Encoding", "")
                decode = {"gzip": gzip.decompress, "br": brotli.decompress}.get(encoding, bytes)
                tracker.bodies.append(decode(body).decode())
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def variables(self, kind: str) -> dict[str, str]:
        """Return what leads a service to this tracker."""
        return variables(kind, self.server.server_port)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return what is in the envelopes, of one kind."""
        found = []
        for body in list(self.bodies):
            rows = body.splitlines()
            pairs = zip(rows[1::2], rows[2::2], strict=False)
            found += [json.loads(row) for head, row in pairs if json.loads(head)["type"] == kind]
        return found

    def reports(self, kind: str) -> list[Report]:
        """Return the reports of failures."""
        if kind == "sentry":
            return [
                Report(
                    json.dumps(event),
                    event["tags"]["request_id"],
                    event["release"],
                    event["environment"],
                )
                for event in self.items("event")
            ]
        events = [event for body in list(self.bodies) for event in json.loads(body)["events"]]
        return [
            Report(
                json.dumps(event),
                event["metaData"]["request"]["id"],
                event["app"]["version"],
                event["releaseStage"],
            )
            for event in events
        ]


def variables(kind: str, port: int) -> dict[str, str]:
    """Return what leads a service to a tracker at a port."""
    return {
        "sentry": {"SENTRY_DSN": f"http://{KEY}@127.0.0.1:{port}/1"},
        "bugsnag": {"BUGSNAG_API_KEY": KEY, "BUGSNAG_ENDPOINT": f"http://127.0.0.1:{port}/"},
    }[kind]


@contextmanager
def tracking() -> Iterator[Tracker]:
    """Yield a tracker."""
    tracker = Tracker()
    thread = threading.Thread(target=tracker.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield tracker
    finally:
        tracker.server.shutdown()
        tracker.server.server_close()
        thread.join()


def make(kind: str, queue: str, server: str, folder: Path) -> Project:
    """Return a service with views and tasks that fail."""
    answers = {"error_tracking": kind, "task_queue": queue, "server": server, "use_redis": False}
    project = Project(answers, folder)
    method = "enqueue" if queue == "database" else "delay"
    views = VIEWS.replace("EMAIL", EMAIL).replace("METHOD", method)
    (folder / "tasks_trial.py").write_text(TASKS.get(queue, "") + TASK)
    (folder / "errors_trial.py").write_text(views)
    (folder / "errors_settings.py").write_text(SETTINGS)
    return project


def settings(folder: Path) -> dict[str, str]:
    """Return the variables of a service that has a database of its own."""
    return {
        **PRODUCTION,
        "DATABASE_URL": f"sqlite:///{folder / 'db'}",
        "DJANGO_SETTINGS_MODULE": "errors_settings",
        "ENVIRONMENT": "trial",
        "RELEASE": "1.2.3",
    }


def ask(server: Server, path: str, session: str = "") -> requests.Response:
    """Ask as a person with secrets does."""
    return requests.post(
        f"http://127.0.0.1:{server.port}{path}?token={SECRET}",
        data={"password": SECRET},
        headers={
            "Authorization": f"Bearer {SECRET}",
            "Cookie": f"sessionid={session}; other={SECRET}",
            "Host": HOST,
            "User-Agent": SECRET,
            "X-Api-Key": SECRET,
            "X-Forwarded-For": "203.0.113.77",
            "X-Forwarded-Proto": "https",
        },
        timeout=30,
    )


class Run(NamedTuple):
    """What a tracker was told by a service, and what the service answered."""

    kind: str
    tracker: Tracker
    answers: dict[str, requests.Response]


@pytest.fixture(
    scope="module",
    params=[
        ("sentry", "redis", "gunicorn"),
        ("sentry", "database", "uvicorn"),
        ("bugsnag", "redis", "uvicorn"),
        ("bugsnag", "database", "gunicorn"),
    ],
    ids="-".join,
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield what came of two failing views and a failing task."""
    kind, queue, name = request.param
    folder = tmp_path_factory.mktemp(kind)
    project = make(kind, queue, name, folder)
    with tracking() as tracker, running(Redis) as broker:
        environment = {
            **settings(folder),
            **tracker.variables(kind),
            "CELERY_BROKER_URL": broker.url(),
            "SENTRY_TRACES_SAMPLE_RATE": "1",
        }
        project.manage("migrate", "--verbosity", "0", variables=environment)
        with project.serve(environment) as server:
            session = server.get("/trial/enter").cookies["sessionid"]
            answers = {
                path: ask(server, path, session) for path in ("/trial/fail", "/trial/collapse")
            }
            answers["/trial/queue"] = ask(server, "/trial/queue")
            for path in QUIET:
                assert server.get(path).status_code == 200
        until(lambda: len(tracker.reports(kind)) >= 2, 20, "the reports of the views")
        worker = Process(WORKERS[queue], folder, project.environment(environment), folder / "log")
        try:
            until(lambda: len(tracker.reports(kind)) >= 3, 40, "the report of the task")
        finally:
            worker.stop(signal.SIGTERM, seconds=30)
        yield Run(kind, tracker, answers)


@pytest.mark.slow
def test_each_failure_is_reported_once(run: Run) -> None:
    """A failing view and a failing task send one event each, with release and request (O2)."""
    reports = run.tracker.reports(run.kind)

    assert [answer.status_code for answer in run.answers.values()] == [500, 500, 200]
    assert len(reports) == 3
    for path, text in {
        "/trial/fail": "The view fails",
        "/trial/collapse": "The view fails",
        "/trial/queue": "The task fails",
    }.items():
        request_id = run.answers[path].headers["X-Request-ID"]
        (report,) = (report for report in reports if report.request_id == request_id)
        assert text in report.text
        assert (report.release, report.environment) == ("1.2.3", "trial")


@pytest.mark.slow
def test_nothing_about_people_is_reported(run: Run) -> None:
    """No cookie, header, query, body, argument, e-mail or address is sent (O2)."""
    everything = "".join(run.tracker.bodies)

    assert "/trial/fail" in everything
    for private in (SECRET, EMAIL, "203.0.113.77", "sessionid"):
        assert private not in everything


@pytest.mark.slow
def test_health_paths_are_left_out_of_traces(run: Run) -> None:
    """Other requests are traced at the rate that is asked for, those for health never (O2)."""
    if run.kind != "sentry":
        pytest.skip("Bugsnag is told of failures only")
    traced = run.tracker.items("transaction")
    told = "".join(run.tracker.bodies)

    assert any("/trial/enter" in json.dumps(item) for item in traced)
    assert not [path for path in QUIET if path in told]


@pytest.mark.slow
def test_sentry_is_off_without_its_address(tmp_path: Path) -> None:
    """Without a DSN nothing is set up that could report (O2)."""
    project = make("sentry", "none", "gunicorn", tmp_path)
    code = "import sentry_sdk; print('on:', sentry_sdk.is_initialized())"

    def shell(variables: dict[str, str]) -> str:
        return project.manage("shell", "--command", code, variables=variables).stdout

    with tracking() as tracker:
        assert "on: True" in shell({**settings(tmp_path), **tracker.variables("sentry")})
        assert "on: False" in shell(settings(tmp_path))


@pytest.mark.slow
def test_nothing_is_reported_without_a_key(tmp_path: Path) -> None:
    """Without a key a failing view is logged only, wherever reports would go (O2)."""
    project = make("bugsnag", "none", "gunicorn", tmp_path)
    with tracking() as tracker:
        keyless = {**settings(tmp_path), **tracker.variables("bugsnag"), "BUGSNAG_API_KEY": ""}
        with project.serve(keyless) as server:
            answer = ask(server, "/trial/collapse")
            until(lambda: "The view fails" in server.output, 20, "the line of the failure")

    assert answer.status_code == 500
    assert tracker.bodies == []


@pytest.mark.slow
def test_a_crash_is_told_in_the_lines_of_the_service(tmp_path: Path) -> None:
    """A command that crashes logs nothing without a key, and with one each failure once (O1)."""
    project = make("bugsnag", "none", "gunicorn", tmp_path)
    crash = ("shell", "--command", "raise RuntimeError('The command fails')")
    nowhere = variables("bugsnag", free_port())

    def run(**changed: str) -> list[str]:
        environment = {**settings(tmp_path), **nowhere, **changed}
        done = project.manage(*crash, variables=environment, check=False)
        assert done.returncode == 1
        assert "\nRuntimeError: The command fails\n" in done.stdout
        return [line for line in done.stdout.splitlines() if "bugsnag" in line.lower()]

    assert run(BUGSNAG_API_KEY="") == []
    (line,) = run()
    told = json.loads(line)
    assert told["event"].startswith("Notifying Bugsnag failed")
    assert not {"asctime", "message"} & set(told)


@pytest.mark.slow
@pytest.mark.parametrize("away", [black_hole, mute])
@pytest.mark.parametrize("kind", ["sentry", "bugsnag"])
def test_a_tracker_that_vanished_slows_nothing(
    kind: str, away: Callable[[], AbstractContextManager[int]], tmp_path: Path
) -> None:
    """Where the tracker does not answer, answers are as fast and the service stops (O2)."""
    project = make(kind, "none", "gunicorn", tmp_path)
    with away() as port:
        server = project.start(
            {**settings(tmp_path), **variables(kind, port), "WEB_CONCURRENCY": "1"}
        )
        try:
            until(server.serves, 120, "the start of the service")
            began = time.monotonic()
            answers = [ask(server, "/trial/collapse").status_code for _ in range(20)]
            seconds = time.monotonic() - began
            (worker,) = children(server.pid)
            threads = len(list(Path(f"/proc/{worker}/task").iterdir()))
            if kind == "bugsnag":
                # As many as are sent at a time: more may follow.
                failed = "Notifying Bugsnag failed"
                until(lambda: server.output.count(failed) >= 4, 30, "the end of the reports")
        finally:
            server.stop(signal.SIGTERM, seconds=30)

    assert answers == [500] * 20
    assert seconds < 15
    assert threads < 20
    assert server.popen.returncode == 0
