"""Redis is a cache only: what a service does while it is down, slow or gone."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Projects
from tests.project import PRODUCTION, Server
from tests.services import Postgres, Redis, free_port, mute, running, until
from tests.services import black_hole as hole
from tools.render import options

pytestmark = pytest.mark.timed

DEFAULT, *OTHERS = options()["server"]
EACH = [DEFAULT, *(pytest.param(server, marks=pytest.mark.slow) for server in OTHERS)]
# What a call may cost while Redis is down, in seconds, and its time-out.
REFUSED = 0.005
ONE_TIMEOUT = 0.25

# Makes each call in turn; prints what it returned or raised, and how long it took.
CALLS = """
import json, time
from django.core.cache import cache

def iterate(name, *arguments):
    return list(getattr(cache, name)(*arguments) or [])

def locked():
    lock = cache.lock("lock", timeout=5, blocking_timeout=2)
    held = lock.acquire()
    if held:
        lock.release()
    return held

def enter():
    try:
        with cache.lock("lock", timeout=5, blocking_timeout=2):
            return "entered"
    except Exception as error:
        return type(error).__name__

calls = {
    "get": lambda: cache.get("key", "default"),
    "set": lambda: cache.set("key", 1),
    "add": lambda: cache.add("key", 1),
    "get_many": lambda: cache.get_many(["key"]),
    "set_many": lambda: cache.set_many({"key": 1}),
    "get_or_set": lambda: cache.get_or_set("key", 1),
    "incr": lambda: cache.incr("key"),
    "touch": lambda: cache.touch("key", 5),
    "ttl": lambda: cache.ttl("key"),
    "expire": lambda: cache.expire("key", 5),
    "has_key": lambda: cache.has_key("key"),
    "in": lambda: "key" in cache,
    "keys": lambda: cache.keys("*"),
    "iter_keys": lambda: iterate("iter_keys", "*"),
    "hset": lambda: cache.hset("hash", "key", 1),
    "sadd": lambda: cache.sadd("set", 1),
    "sscan_iter": lambda: iterate("sscan_iter", "set"),
    "zadd": lambda: cache.zadd("sorted", {"key": 1}),
    "lock": locked,
    "with lock": enter,
    "delete": lambda: cache.delete("key"),
    "delete_many": lambda: cache.delete_many(["key"]),
    "delete_pattern": lambda: cache.delete_pattern("*"),
    "clear": lambda: cache.clear(),
}
found = {}
cache.client  # is loaded before the clock runs
for name, call in calls.items():
    began = time.perf_counter()
    try:
        result = call()
    except Exception as error:
        result = "raised " + repr(error)
    found[name] = [repr(result), time.perf_counter() - began]
print("FOUND", json.dumps(found))
"""


def calls(projects: Projects, redis_url: str) -> dict[str, tuple[str, float]]:
    """Make every kind of call in a new process; return its results and times."""
    variables = {**PRODUCTION, "DATABASE_URL": "postgres://127.0.0.1:1/none"}
    done = projects(server=DEFAULT).manage(
        *("shell", "--no-imports", "--command", CALLS),
        variables={**variables, "REDIS_URL": redis_url},
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found: dict[str, tuple[str, float]] = json.loads(line.removeprefix("FOUND "))
    return found


@pytest.fixture(
    scope="module",
    params=["refused", "black-holed", "mute", pytest.param("unknown", marks=pytest.mark.slow)],
)
def found(
    request: pytest.FixtureRequest, projects: Projects
) -> Iterator[dict[str, tuple[str, float]]]:
    """Yield what calls return while Redis is not there, in each way that it may be."""
    with ExitStack() as stack:
        address = {
            "refused": lambda: f"127.0.0.1:{free_port()}",
            "black-holed": lambda: f"127.0.0.1:{stack.enter_context(hole())}",
            "mute": lambda: f"127.0.0.1:{stack.enter_context(mute())}",
            "unknown": lambda: "redis.invalid:6379",
        }[request.param]()
        # A busy machine may be late for another reason, but not three times.
        for _ in range(3):
            found = calls(projects, f"redis://{address}/0")
            if in_time(found):
                break
        yield found


def in_time(found: dict[str, tuple[str, float]]) -> bool:
    """Return whether the first call alone waited, and no longer than it may."""
    (_, first), *others = found.values()
    return first < 2 * ONE_TIMEOUT and refused([seconds for _, seconds in others])


def refused(seconds: list[float]) -> bool:
    """Return whether no call waited, and each but a few that the machine held up was quick."""
    return statistics.median(seconds) < REFUSED and max(seconds) < ONE_TIMEOUT / 2


def test_no_call_raises_while_redis_is_down(found: dict[str, tuple[str, float]]) -> None:
    """Each call of the cache returns as for a missing key, and a lock is not got (S6)."""
    raised = {name: result for name, (result, _) in found.items() if "raised" in result}
    assert raised == {}
    assert found["get"][0] == "'default'"
    assert found["get_many"][0] == "{}"
    assert found["iter_keys"][0] == found["sscan_iter"][0] == "[]"
    assert found["lock"][0] == "False"
    assert found["with lock"][0] == "'LockError'"


def test_only_the_first_call_waits_for_redis(found: dict[str, tuple[str, float]]) -> None:
    """One time-out at most, then each call returns at once (P4)."""
    assert in_time(found), found


def test_every_call_works_while_redis_is_there(projects: Projects, redis: Redis) -> None:
    """What the calls return above is not what they always return (S6)."""
    # A busy machine may keep Redis from answering in time, but not three times.
    for _ in range(3):
        found = calls(projects, redis.url(3))
        if max(seconds for _, seconds in found.values()) < ONE_TIMEOUT:
            break

    raised = {name: result for name, (result, _) in found.items() if "raised" in result}
    assert raised == {}
    assert found["get_many"][0] == "{'key': 1}"
    assert found["incr"][0] == "2"
    assert found["lock"][0] == "True"
    assert found["with lock"][0] == "'entered'"
    assert len(json.loads(found["iter_keys"][0].replace("'", '"'))) == 1


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """Run a Redis that a test may stop."""
    with running(Redis) as service:
        yield service


@pytest.fixture(scope="module")
def database(postgres: Postgres, projects: Projects) -> str:
    """Return the URL of a database with a schema."""
    url = postgres.database()
    variables = {**PRODUCTION, "DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    projects(server=DEFAULT).manage("migrate", "--verbosity", "0", variables=variables)
    return url


@pytest.mark.parametrize("name", EACH)
def test_a_service_lives_through_an_outage_of_redis(
    name: str, projects: Projects, database: str, own_redis: Redis
) -> None:
    """It serves, degraded, and logs people in; afterwards the cache works again (S6, P4)."""
    variables = {
        **PRODUCTION,
        "DATABASE_URL": database,
        "REDIS_URL": own_redis.url(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "WEB_CONCURRENCY": "1",
    }
    with projects(server=name).serve(variables) as server:
        until(lambda: remembered(server, "before")[0] == "before", 20, "the cache")
        # A busy machine may be late for another reason, but not three times.
        outages = 0
        for _ in range(3):
            outages += 2
            with own_redis.frozen():
                vanished = [remembered(server, "frozen") for _ in range(10)]
                health = until(lambda: degraded(server), 20, "degrading")
            until(lambda: remembered(server, "thawed")[0] == "thawed", 20, "the cache")
            with own_redis.stopped():
                down = [remembered(server, "stopped") for _ in range(10)]
                session = server.get("/trial/enter").cookies["sessionid"]
                who = server.get("/trial/who", Cookie=f"sessionid={session}").text
            until(lambda: remembered(server, "back")[0] == "back", 20, "the cache")
            still = server.get("/trial/who", Cookie=f"sessionid={session}").text

            assert health["dependencies"]["redis"]["status"] == "error"
            assert {value for value, _ in [*vanished, *down]} == {None}
            assert (who, still) == ("someone", "someone")
            slowest = max(seconds for _, seconds in vanished)
            quick = [refused([seconds for _, seconds in each]) for each in (vanished[1:], down)]
            if slowest < 2 * ONE_TIMEOUT and all(quick):
                break

    assert slowest < 2 * ONE_TIMEOUT
    assert all(quick)
    # A line for each outage, not for each call; an answer that comes late may look like one.
    assert outages <= server.output.count("The cache is off") <= 2 * outages
    assert server.output.count("The cache is on again") == server.output.count("The cache is off")


def remembered(server: Server, value: str) -> tuple[str | None, float]:
    """Return what the cache gives back for a value, and how long setting and getting took."""
    answer = server.get(f"/trial/remember?value={value}").json()
    return answer["value"], answer["seconds"]


def degraded(server: Server) -> dict[str, dict[str, dict[str, str]]] | None:
    """Return the health of a service if that is degraded."""
    answer = server.get("/health")
    found: dict[str, dict[str, dict[str, str]]] = answer.json()
    return found if (answer.status_code, answer.json()["status"]) == (200, "degraded") else None


@pytest.mark.parametrize("name", EACH)
def test_a_service_starts_without_redis(name: str, projects: Projects, database: str) -> None:
    """A start without the cache is a warning (H3)."""
    with hole() as port:
        variables = {
            **PRODUCTION,
            "DATABASE_URL": database,
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        }
        began = time.monotonic()

        with projects(server=name).serve(variables) as server:
            seconds = time.monotonic() - began
            health = server.get("/health")

    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert "Starting without redis" in server.output
    # It would wait for 30 seconds for what it cannot do without.
    assert seconds < 25
