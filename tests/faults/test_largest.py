"""The largest service with all that it needs, and with each of it stopped in turn."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.elasticsearch import Elasticsearch, elasticsearch
from tests.faults.clients import Record, endure
from tests.faults.table import find
from tests.project import HOST, Project, Server
from tests.services import Postgres, Process, RabbitMQ, Redis, Service, running, until
from tests.test_api import token, variables
from tools.render import largest

pytestmark = [pytest.mark.slow, pytest.mark.timed]

NOTES = "/api/v1/notes"


class World:
    """A service, its worker, and all that they need."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.postgres = stack.enter_context(running(Postgres))
        self.redis = stack.enter_context(running(Redis))
        self.rabbitmq = stack.enter_context(running(RabbitMQ))
        self.elasticsearch = stack.enter_context(elasticsearch())
        answers = {**largest(), "static_files": "whitenoise", "task_queue": "rabbitmq"}
        self.project = Project(answers, folder / "service")
        self.variables = {
            **variables(self.postgres, self.redis),
            "CELERY_BROKER_URL": self.rabbitmq.url(),
            "ELASTICSEARCH_URL": self.elasticsearch.url,
            "ALLOWED_HOSTS": f"127.0.0.1,{HOST}",
            "DJANGO_SETTINGS_MODULE": "trial_settings",
            "TMPDIR": str(folder),
        }
        self.project.manage("migrate", "--verbosity", "0", variables=self.variables)
        self.headers = {"Authorization": f"Bearer {token(self.project, self.variables)}"}
        self.server: Server = stack.enter_context(self.project.serve(self.variables))
        self.worker = Process(
            ["celery", "--app", "config", "worker", "--concurrency", "1"],
            self.project.folder,
            self.project.environment(self.variables),
            folder / "worker",
        )
        stack.callback(self.worker.stop, signal.SIGTERM, 30)

    def call(
        self, method: str, path: str = "", *, timeout: float = 8, **options: Any
    ) -> requests.Response:
        """Call the API of notes, which answers within the bounds of what it depends on."""
        address = f"http://127.0.0.1:{self.server.port}{NOTES}{path}"
        return requests.request(method, address, headers=self.headers, timeout=timeout, **options)

    def write(self, title: str, **options: Any) -> requests.Response:
        """Write a note."""
        note = {"title": title, "text": f"{title} has four words"}
        return self.call("POST", json=note, **options)

    def counts(self, title: str) -> bool:
        """Return whether the words of a new note are counted; a busy broker may take none."""
        address = f"/{self.write(title).json()['id']}"
        deadline = time.monotonic() + 30
        while (words := self.words(address)) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert words in {None, 4}
        return words == 4

    def words(self, address: str) -> int | None:
        """Return how many words a note has, if they are counted."""
        found = self.call("GET", address).json()["words"]
        assert found is None or isinstance(found, int)
        return found

    def health(self) -> tuple[int, str, set[str]]:
        """Return status code, status, and the dependencies that are down."""
        response = requests.get(f"http://127.0.0.1:{self.server.port}/health", timeout=30)
        body = response.json()
        states = body["dependencies"].items()
        down = {name for name, dependency in states if dependency["status"] != "ok"}
        return response.status_code, body["status"], down

    def healthy(self) -> bool:
        """Return whether everything is up."""
        return self.health() == (200, "ok", set())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Run it all."""
    with ExitStack() as stack:
        yield World(stack, tmp_path_factory.mktemp("largest"))


@contextmanager
def without(world: World, service: Service | Elasticsearch) -> Iterator[None]:
    """Stop a service for a while."""
    until(world.healthy, 40, "health")
    service.stop()
    # A report may be a second old.
    time.sleep(1.1)
    try:
        yield
    finally:
        service.start()
        until(world.healthy, 40, "health")


def test_everything_works_together(world: World) -> None:
    """A note is written, counted by the worker, found by search, and cached (H5, O1)."""
    written = world.write("Alpha")
    address = f"/{written.json()['id']}"

    assert written.status_code == 201
    assert until(lambda: world.words(address), 40, "the count of words") == 4
    assert [note["title"] for note in world.call("GET", "/search?q=alpha").json()] == ["Alpha"]
    assert world.call("GET", "/statistics").json()["notes"] >= 1
    assert until(world.healthy, 40, "health")


def test_an_index_is_made_anew(world: World) -> None:
    """The management command fills an index that was lost (T3)."""
    world.write("Beta")
    world.elasticsearch.indexes.clear()

    assert world.call("GET", "/search?q=beta").json() == []
    printed = world.project.manage("index_notes", variables=world.variables).stdout

    assert "Indexed" in printed
    assert [note["title"] for note in world.call("GET", "/search?q=beta").json()] == ["Beta"]


def test_without_redis_it_is_degraded(world: World) -> None:
    """Without the cache every call is answered as before (S6, H5)."""
    with without(world, world.redis):
        until(lambda: world.health() == (200, "degraded", {"redis"}), 20, "the report")
        assert world.write("Gamma").status_code == 201
        assert world.call("GET", "/statistics").status_code == 200
        assert world.call("GET").status_code == 200


def test_without_search_notes_are_kept(world: World) -> None:
    """Without search a note is saved all the same, and only search says that it cannot (H5)."""
    with without(world, world.elasticsearch):
        until(lambda: world.health() == (503, "error", {"elasticsearch"}), 20, "the report")
        assert world.write("Delta").status_code == 201
        assert world.call("GET").status_code == 200
        refused = world.call("GET", "/search?q=delta")

    assert refused.status_code == 503
    assert refused.json()["detail"] == "Search is not available now."
    assert "run index_notes" in world.server.output


def test_without_a_broker_notes_are_kept(world: World) -> None:
    """Without the broker a note is saved, only its words are not counted (H5)."""
    with without(world, world.rabbitmq):
        until(lambda: world.health() == (503, "error", {"rabbitmq"}), 20, "the report")
        written = world.write("Epsilon")

        assert written.status_code == 201
        assert world.call("GET", f"/{written.json()['id']}").status_code == 200

    assert world.counts("Zeta") or world.counts("Eta")


@pytest.mark.parametrize(
    ("name", "breaking"),
    [
        ("RabbitMQ is stopped, and started again", lambda world: world.rabbitmq.stopped()),
        ("RabbitMQ hangs", lambda world: world.rabbitmq.frozen()),
        ("RabbitMQ is full", lambda world: world.rabbitmq.full()),
    ],
    ids=["stopped", "hanging", "full"],
)
def test_with_a_broken_broker_notes_are_kept(
    world: World,
    name: str,
    breaking: Callable[[World], AbstractContextManager[None]],
    record: Record,
) -> None:
    """A broker that is away, silent or full delays a note, and no more (H5)."""
    until(world.healthy, 40, "health")
    fault = find(name)

    def write() -> int:
        # How long that takes is held to the table.
        return world.write("Eta", timeout=20).status_code

    outcome = endure(fault, world.server, write, partial(breaking, world), lasting=9)

    assert world.counts("Theta") or world.counts("Iota")
    record(fault, outcome)


def test_without_a_database_the_api_says_so(world: World) -> None:
    """Without the database calls fail with a problem, soon, and work again by themselves (S5)."""
    with without(world, world.postgres):
        until(lambda: world.health() == (503, "error", {"database"}), 20, "the report")
        failed = world.call("GET")

    assert failed.status_code == 503
    assert failed.headers["Content-Type"] == "application/problem+json"
    until(lambda: world.call("GET").status_code == 200, 10, "the return of the database")
