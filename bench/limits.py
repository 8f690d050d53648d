"""Which limits a result has to keep, as the requirements say."""

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, NamedTuple

from bench.projects import ASGI, most_connections

# The default service has the limits of P1 and P2 under its own server; for others ratios are shown.
SERVER = "gunicorn"
TIMES = " times the bare project"


class Limit(NamedTuple):
    """What was measured, and how much it may be or, with ``least``, has to be.

    What is ``steady`` hardly changes with what else the machine does meanwhile.
    """

    requirement: str
    what: str
    measured: float
    limit: float
    unit: str = ""
    least: bool = False
    steady: bool = True

    @property
    def holds(self) -> bool:
        """Return whether the limit is kept."""
        if self.least:
            return self.measured >= self.limit
        return self.measured <= self.limit

    @property
    def bound(self) -> str:
        """Return the limit in words."""
        return f"at {'least' if self.least else 'most'} {self.limit:g}{self.unit}"

    def __str__(self) -> str:
        """Return what is kept or missed, and by how much."""
        verb = "kept" if self.holds else "MISSED"
        return f"{verb}: {self.what}: {self.measured:.2f}{self.unit}, {self.bound}"


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Return the median of the ratios of measurements that were made one after the other."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def quarter(times: Iterable[float]) -> float:
    """Return what a quarter of measurements is below."""
    ordered = sorted(times)
    return ordered[len(ordered) // 4]


def at_80_percent(found: dict[str, Any]) -> list[float]:
    """Return what 99 of 100 queries took under loads that were as great, or for ever if none was.

    A load that turns out to be a smaller share of what the server bears proves nothing.
    """
    loads = zip(found["share"], found["p99"], strict=True)
    return [p99 for share, p99 in loads if share >= 75] or [float("inf")]


def judge(result: dict[str, Any]) -> list[Limit]:
    """Return every limit that a result can be held to."""
    return [
        *against_the_bare_project(result["servers"][SERVER]),
        *for_the_database(result["database"]),
        *for_every_server(result["servers"]),
    ]


def against_the_bare_project(subjects: dict[str, Any]) -> Iterator[Limit]:
    """Yield the limits of P1 and P2."""
    bare, default = subjects["bare"], subjects["default"]
    usual, light, heartbeat = (
        project["loads"][f"{view} 8"]["cpu"]
        for project, view in ((bare, "light"), (default, "light"), (default, "lbheartbeat"))
    )
    # Whatever else the machine does adds to processor time, and a moment in which it is faster
    # than ever proves nothing: what a quarter of the rounds keeps below is judged.
    for what, times, most in (
        ("the lightest call", light, 1.4),
        ("/__lbheartbeat__", heartbeat, 1),
    ):
        yield Limit("P1", f"processor time of {what}", quarter(times) / quarter(usual), most, TIMES)
    start = ratio(default["start"], bare["start"])
    yield Limit("P2", "start to first answer", start, 1.6, TIMES, steady=False)
    for key, what in (("worker", "memory of a worker"), ("whole", "memory of all processes")):
        yield Limit("P2", what, ratio(default[key], bare[key]), 1.3, TIMES)


def for_the_database(servers: dict[str, Any]) -> Iterator[Limit]:
    """Yield the limits of P3, for each server."""
    for server, found in servers.items():
        what = f"99 of 100 queries at 80 % of what it bears, {server}"
        yield Limit("P3", what, median(at_80_percent(found)), 150, " ms", steady=False)
        what = f"queries that failed at 80 % of what it bears, {server}"
        yield Limit("P3", what, sum(found["failed"]), 0)
        # Under the others a request takes so long by itself that a connection adds less.
        if server not in ASGI:
            what = f"queries over kept connections, {server}"
            times = ratio(found["kept"], found["one a request"])
            yield Limit("P3", what, times, 3, " times those with one a request", least=True)


def for_every_server(servers: dict[str, Any]) -> Iterator[Limit]:
    """Yield that connections are bounded, and that every request was answered."""
    for server, subjects in servers.items():
        for name, found in subjects.items():
            if name != "bare":
                what = f"connections of 64 clients, {server}, {name}"
                yield Limit("P3", what, found["connections"], most_connections(server))
                failed = sum(sum(load["failed"]) for load in found["loads"].values())
                yield Limit("P3", f"requests that failed, {server}, {name}", failed, 0)
