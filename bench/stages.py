"""What is measured, in which order, and how often."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench import instruments
from bench.projects import WORKERS, Bare, Service
from tests.elasticsearch import elasticsearch
from tests.project import Server
from tests.services import Postgres, RabbitMQ, Redis, free_port, running
from tools.render import APART, complete, largest, options

PATHS = {
    "light": "/api/v1/light",
    "query": "/api/v1/query",
    "token": "/api/v1/users/me",
    "health": "/health",
    "lbheartbeat": "/__lbheartbeat__",
}
# A bare project has only these.
BARE = ("light", "query")
# What things take, in seconds, for the estimate.
PREPARING = 6.0
STARTING = 2.5
LOADING = 1.1
MOST = 1
STEADY = 4
TRYING = MOST + STEADY + MOST
# Which part of a load of 80 % may be off, or lost to others.
CALM = 0.05
# How long others are given to end, in seconds, before it is tried again.
PAUSE = 20
TIMING = 20.0
FEATURE_STARTS = 3
MIDDLEWARE = Path(__file__).with_name("middleware.py")

type Report = Callable[[float, str], None]


class Started(NamedTuple):
    """A server that has answered, with the seconds that it took until then."""

    project: Bare | Service
    server: Server
    seconds: float
    cpu: float


class Attempt(NamedTuple):
    """A load: its share of what was borne afterwards, the part of time others had, and its times.

    ``rate`` is in requests a second, ``took`` in milliseconds, in ascending order.
    """

    rate: float
    share: float
    stolen: float
    took: list[float]

    @property
    def disturbed(self) -> float:
        """Return how far it was from 80 % of a machine of its own."""
        return max(abs(self.share - 0.8), self.stolen)

    @property
    def figures(self) -> dict[str, float]:
        """Return requests a second, percentages, milliseconds, and how many requests failed."""
        return {
            "rate": self.rate,
            "share": 100 * self.share,
            "stolen": 100 * self.stolen,
            "p50": self.took[len(self.took) // 2],
            "p99": self.took[int(len(self.took) * 0.99)],
            "failed": self.took.count(float("inf")),
        }


@dataclass
class Feature:
    """What an answer adds to the default service: microseconds a request, megabytes a worker."""

    option: str
    answer: Any
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """Return what is chosen."""
        return f"{self.option}={self.answer}"


@dataclass(frozen=True)
class Plan:
    """How much is measured: views with so many clients, starts and rounds of each project.

    The first server's starts are held to a limit: ``judged`` of them make it a steady figure.
    A load of 80 % that was disturbed is tried again, up to ``retries`` times with each server.
    """

    servers: tuple[str, ...]
    subjects: tuple[str, ...]
    starts: int
    judged: int
    rounds: int
    loads: tuple[tuple[str, int], ...]
    retries: int
    features: bool

    @property
    def alternatives(self) -> list[tuple[str, Any]]:
        """Return each answer that Python reads and that is no default, with its option."""
        return [
            (option, answer)
            for option, answers in options().items()
            for answer in answers[1:]
            if self.features and option not in (*APART, "server")
        ]

    @property
    def seconds(self) -> float:
        """Return how long it takes, roughly."""
        bare = sum(view in BARE for view, _ in self.loads)
        loads = bare + len(self.loads) * (len(self.subjects) - 1)
        start = len(self.subjects) * (STARTING + LOADING)
        each = len(self.subjects) * (PREPARING + STARTING) + self.starts * start
        each += self.rounds * (loads + 2) * LOADING + 2 * STARTING
        each += (self.rounds + self.retries) * TRYING
        feature = PREPARING + STARTING + 2 * FEATURE_STARTS * (STARTING + LOADING)
        feature += 2 * self.rounds * LOADING
        features = len(self.alternatives) * feature + TIMING * self.features
        return len(self.servers) * each + (self.judged - self.starts) * start + features


DEFAULT, *OTHERS = options()["server"]
FULL = Plan(
    servers=(DEFAULT, *OTHERS),
    subjects=("bare", "default", "largest"),
    starts=3,
    judged=31,
    rounds=4,
    loads=(("light", 8), *product(PATHS, (8, 64)), ("light", 8)),
    retries=4,
    features=True,
)
QUICK = Plan(
    servers=(DEFAULT,),
    subjects=("bare", "default"),
    starts=2,
    judged=3,
    rounds=3,
    loads=(("light", 8), ("query", 64), ("light", 8), ("lbheartbeat", 8), ("light", 8)),
    retries=0,
    features=False,
)


class Bench:
    """Real servers, and the projects that are measured with them."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack, report: Report) -> None:
        self.plan = plan
        self.folder = folder
        self.report = report
        self.postgres = stack.enter_context(running(Postgres))
        self.redis = stack.enter_context(running(Redis))
        self.variables = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "REDIS_URL": self.redis.url(),
        }
        if "largest" in plan.subjects or plan.features:
            self.rabbitmq = stack.enter_context(running(RabbitMQ))
            search = stack.enter_context(elasticsearch())
            nowhere = f"http://127.0.0.1:{free_port()}"
            self.variables |= {
                "AWS_S3_ENDPOINT_URL": nowhere,
                "AWS_STORAGE_BUCKET_NAME": "static",
                "BACKUP_DIRECTORY": str(folder),
                "BUGSNAG_API_KEY": "0123456789abcdef0123456789abcdef",
                "BUGSNAG_ENDPOINT": nowhere,
                "ELASTICSEARCH_URL": search.url,
                "SENTRY_DSN": nowhere.replace("//", "//key@") + "/1",
            }
        self.made: dict[str, Bare | Service] = {}

    def run(self, result: dict[str, Any]) -> None:
        """Add all that is measured to a result, server by server."""
        result |= {"servers": {}, "database": {}}
        for server in self.plan.servers:
            costs, queries = self.compare(server), self.ask_the_database(server)
            result["servers"][server] = costs
            result["database"][server] = queries
        if self.plan.features:
            result["features"] = self.features()
            result["middleware"] = self.middleware()

    def subject(self, name: str, server: str) -> Bare | Service:
        """Return a bare project, the default service or the largest one, for a server."""
        key = f"{name}-{server}"
        if key not in self.made:
            self.report(0, f"{server}: {name} is prepared")
            if name == "bare":
                self.made[key] = Bare(server, self.folder / key, self.postgres)
            else:
                answers = largest() if name == "largest" else {}
                self.made[key] = self.service({**answers, "server": server}, key)
            self.report(PREPARING, "")
        return self.made[key]

    def service(self, answers: dict[str, Any], name: str) -> Service:
        """Return a service with these answers, and with the broker that it needs."""
        full = complete(answers)
        brokers = {"redis": lambda: self.redis.url(1), "rabbitmq": lambda: self.rabbitmq.url()}
        variables = dict(self.variables)
        if full["task_queue"] in brokers:
            variables["CELERY_BROKER_URL"] = brokers[full["task_queue"]]()
        return Service(full, self.folder / name, self.postgres, variables)

    def start(self, project: Bare | Service, stack: ExitStack, **variables: str) -> Started:
        """Return a server that has answered, with what that took."""
        server = project.start({**self.variables, **project.variables, **variables})
        stack.callback(server.stop)
        seconds, cpu = instruments.first_answer(server, PATHS["light"])
        self.report(STARTING, "")
        return Started(project, server, seconds, cpu)

    def load(self, started: Started, view: str, clients: int) -> instruments.Load:
        """Return what clients see of a view."""
        http, headers = http_of(started.project), headers_for(started, view)
        found = instruments.load(started.server, PATHS[view], clients, http, headers)
        self.report(LOADING, "")
        return found

    def compare(self, server: str) -> dict[str, Any]:
        """Return what each project costs under a server, measured in turn."""
        projects = {name: self.subject(name, server) for name in self.plan.subjects}
        found: dict[str, Any] = {name: measured() for name in projects}
        with ExitStack() as stack:
            running = {name: self.start(project, stack) for name, project in projects.items()}
            for name, started in running.items():
                warm(started, self.views(name))
            for number in range(self.plan.rounds):
                for view, clients in self.plan.loads:
                    for name in rotated(running, number):
                        if view in self.views(name):
                            self.report(0, f"{server}: {name}, {view}, {clients} clients")
                            self.count(found[name], running[name], view, clients)
        starts = self.plan.judged if server == self.plan.servers[0] else self.plan.starts
        for number in range(starts):
            for name in rotated(projects, number):
                self.report(0, f"{server}: {name} starts")
                with ExitStack() as stack:
                    started = self.start(projects[name], stack)
                    self.load(started, "query", 8)
                    worker, whole = instruments.memory(started.server.pid)
                found[name]["start"].append(round(started.seconds, 3))
                found[name]["start_cpu"].append(round(started.cpu, 3))
                found[name]["worker"].append(round(worker, 1))
                found[name]["whole"].append(round(whole, 1))
        return found

    def views(self, name: str) -> list[str]:
        """Return the views that a project has."""
        views = dict.fromkeys(view for view, _ in self.plan.loads)
        return [view for view in views if name != "bare" or view in BARE]

    def count(self, found: dict[str, Any], started: Started, view: str, clients: int) -> None:
        """Add what clients see of a view, and how many connections their queries take."""
        with instruments.connections(self.postgres, started.project.database) as seen:
            load = self.load(started, view, clients)
        if view == "query":
            found["connections"] = max(found["connections"], *seen)
        loads = found["loads"].setdefault(f"{view} {clients}", {key: [] for key in load._fields})
        for key, value in load._asdict().items():
            loads[key].append(round(value, 1))

    def ask_the_database(self, server: str) -> dict[str, Any]:
        """Return how fast the default service answers with what it reads from the database."""
        names = ("kept", "one a request", "rate", "share", "stolen", "p50", "p99", "failed")
        found: dict[str, list[float]] = {name: [] for name in names}
        project = self.subject("default", server)
        with ExitStack() as stack:
            kept = self.start(project, stack)
            single = self.start(project, stack, BENCH_CONNECTIONS="one a request")
            for started in (kept, single):
                warm(started, ["query"])
            for _ in range(self.plan.rounds):
                self.report(0, f"{server}: connections that are kept, and one a request")
                for name, started in (("kept", kept), ("one a request", single)):
                    load = self.load(started, "query", 8)
                    if load.failed:
                        raise RuntimeError(f"{server}, connections {name}: {load.failed} failed")
                    found[name].append(round(load.rate, 1))
            port, http = kept.server.port, http_of(project)
            for attempt in self.loads_in_part(server, port, round(median(found["kept"])), http):
                for key, value in attempt.figures.items():
                    found[key].append(round(value, 1))
        return found

    def loads_in_part(self, server: str, port: int, count: int, http: str) -> list[Attempt]:
        """Return what loads of 80 % of what a server bears take, as many as there are rounds.

        A machine that slows down or speeds up meanwhile makes that another share. So what the
        server bears is measured again afterwards, and a load tried again if it was off, or if
        others had the processors for too long. The attempts count that were least disturbed.
        """
        path = PATHS["query"]
        attempts: list[Attempt] = []
        for number in range(self.plan.rounds + self.plan.retries):
            if sum(attempt.disturbed < CALM for attempt in attempts) == self.plan.rounds:
                self.report((self.plan.rounds + self.plan.retries - number) * TRYING, "")
                break
            if attempts and attempts[-1].stolen >= CALM:
                time.sleep(PAUSE)
            rate = 0.8 * instruments.most(port, path, count * MOST, http)
            self.report(MOST, f"{server}: {rate:.0f} queries a second")
            stolen, passed = instruments.stolen()
            took = sorted(instruments.steady(port, path, rate, round(rate * STEADY), http))
            lost, total = instruments.stolen()
            after = instruments.most(port, path, count * MOST, http)
            self.report(STEADY + MOST, "")
            attempts.append(Attempt(rate, rate / after, (lost - stolen) / (total - passed), took))
        return sorted(attempts, key=lambda attempt: attempt.disturbed)[: self.plan.rounds]

    def features(self) -> list[dict[str, Any]]:
        """Return what each answer adds to the default service, measured in turn with that."""
        projects: dict[tuple[str, Any], Bare | Service] = {}
        for option, answer in self.plan.alternatives:
            self.report(0, f"{option}={answer} is prepared")
            projects[option, answer] = self.service({option: answer}, f"{option}-{answer}")
            self.report(PREPARING, "")
        default = self.subject("default", DEFAULT)
        found = {key: Feature(*key) for key in projects}
        for number in range(FEATURE_STARTS):
            for key in rotated(projects, number):
                self.report(0, f"{found[key]} starts")
                usual, size = self.size(default), self.size(projects[key])
                found[key].memory.append(round(size - usual, 1))
        with ExitStack() as stack:
            reference = self.start(default, stack)
            running = {key: self.start(project, stack) for key, project in projects.items()}
            for started in (reference, *running.values()):
                warm(started, ["light"])
            for number in range(self.plan.rounds):
                for key in rotated(running, number):
                    self.report(0, f"{found[key]}, light, 8 clients")
                    usual, cpu = (
                        self.load(each, "light", 8).cpu for each in (reference, running[key])
                    )
                    found[key].cpu.append(round(cpu - usual, 1))
        return [asdict(feature) for feature in found.values()]

    def size(self, project: Bare | Service) -> float:
        """Return what a server takes for each worker when it has just started, in megabytes."""
        with ExitStack() as stack:
            started = self.start(project, stack)
            self.load(started, "query", 8)
            _, whole = instruments.memory(started.server.pid)
        return whole / WORKERS

    def middleware(self) -> list[dict[str, Any]]:
        """Return what each middleware adds to a request in one process, in microseconds."""
        self.report(0, "middleware")
        project = self.subject("default", DEFAULT)
        variables = {**self.variables, **project.variables, "STARTUP_CHECKS": "off"}
        done = subprocess.run(
            [sys.executable, "-c", MIDDLEWARE.read_text()],
            cwd=project.folder,
            env=project.environment(variables),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.report(TIMING, "")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def measured() -> dict[str, Any]:
    """Return where the measurements of a project go."""
    names = ("start", "start_cpu", "worker", "whole")
    return {**{name: [] for name in names}, "loads": {}, "connections": 0}


def rotated[T](names: Iterable[T], number: int) -> list[T]:
    """Return names, of which each comes first in its turn."""
    listed = list(names)
    first = number % len(listed)
    return listed[first:] + listed[:first]


def headers_for(started: Started, view: str) -> dict[str, str]:
    """Return what a client sends with a request for a view."""
    return started.project.headers if view == "token" else {}


def http_of(project: Bare | Service) -> str:
    """Return the version of HTTP to ask in: uWSGI ends each connection, and in 1.1 unannounced."""
    return "1.0" if project.server == "uwsgi" else "1.1"


def warm(started: Started, views: Iterable[str]) -> None:
    """Ask for views, over one connection after the other, so that every worker sees them."""
    for view in views:
        for _ in range(200):
            client = instruments.Client(started.server.port, PATHS[view], started.project.headers)
            status = client.get()
            client.close()
            assert status == 200, f"{view}: {status}\n{started.server.output[-3000:]}"
