"""Asks every dependency how it is, at once and within a fixed time."""

import importlib
import logging
import os
import pkgutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core import checks

from apps.common import probes

# All probes together, in seconds: /health has to answer within 2.5 s.
DEADLINE = 2.0
# How long one report is given to all who ask, in seconds.
FRESH = 1.0
# How long it may still be given while a new one is being made, in seconds.
STALE = 30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """A way to check a dependency: ``check`` returns, or raises if it is down."""

    name: str
    address: str
    check: Callable[[], None]
    required: bool = True
    hint: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Result:
    """What a probe found; ``error`` is for the operator's eyes only."""

    probe: Probe
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Report:
    """What all probes found."""

    results: tuple[Result, ...]

    @property
    def failures(self) -> list[Result]:
        """Return the results of dependencies that are down."""
        return [result for result in self.results if result.error]

    @property
    def status(self) -> Literal["ok", "degraded", "error"]:
        """Return ``degraded`` if only optional dependencies are down, ``error`` if others."""
        if any(result.probe.required for result in self.failures):
            return "error"
        return "degraded" if self.failures else "ok"

    def table(self) -> str:
        """Return a line for each dependency, for the operator."""
        rows = [("DEPENDENCY", "STATE", "ADDRESS", "REASON")]
        for result in self.results:
            state = "ok"
            if result.error:
                state = "DOWN" if result.probe.required else "down, optional"
            reason = f"{result.error} {result.probe.hint}" if result.error else ""
            rows.append((result.probe.name, state, result.probe.address, reason))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def mask(address: str) -> str:
    """Return a URL without user name, password and query."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def find() -> Iterator[Probe]:
    """Yield the probes of every module in ``apps.common.probes``, importing one at a time."""
    for name in sorted(module.name for module in pkgutil.iter_modules(probes.__path__)):
        yield from importlib.import_module(f"{probes.__name__}.{name}").probes()


def run(found: Iterable[Probe] | None = None, deadline: float = DEADLINE) -> Report:
    """Run all probes side by side; one that misses the deadline, in seconds, has failed."""
    todo: list[Probe] = []
    answers: SimpleQueue[tuple[int, Result]] = SimpleQueue()
    for probe in find() if found is None else found:
        threading.Thread(
            target=_probe, args=(len(todo), probe, answers), name=f"probe-{probe.name}", daemon=True
        ).start()
        todo.append(probe)
    # Time runs from here: importing the clients may take a cold process longer than the probes.
    started = time.monotonic()
    results: dict[int, Result] = {}
    while len(results) < len(todo):
        try:
            index, result = answers.get(timeout=max(0, started + deadline - time.monotonic()))
        except Empty:
            break
        results[index] = result
    late = f"No answer within {deadline:g} s."
    return Report(
        tuple(
            results.get(index) or Result(probe, time.monotonic() - started, late)
            for index, probe in enumerate(todo)
        )
    )


# Probes that run, by process: one that never ends is not joined by others.
_running: set[tuple[int, str, str]] = set()


def _probe(index: int, probe: Probe, answers: SimpleQueue[tuple[int, Result]]) -> None:
    started = time.monotonic()
    error = ""
    this = os.getpid(), probe.name, probe.address
    if this in _running:
        error = "The last check still waits for its answer."
    else:
        _running.add(this)
        try:
            probe.check()
        except Exception as exception:  # noqa: BLE001 - whatever a client raises means "down"
            error = _describe(exception, probe.secrets)
        finally:
            _running.discard(this)
    answers.put((index, Result(probe, time.monotonic() - started, error)))


def _describe(exception: Exception, secrets: Iterable[str]) -> str:
    text = " ".join(str(exception).split()) or type(exception).__name__
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = text if len(text) <= 200 else f"{text[:199]}…"
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


_lock = threading.Lock()
_report: Report | None = None
_reported = 0.0
_pending: Future[Report] | None = None


def current() -> Report:
    """Return a report that is at most a second old, shared by all who ask meanwhile.

    One caller runs the probes. While it does, others are given the last report if that
    is recent, and wait for the new one otherwise.
    """
    global _pending
    with _lock:
        age = time.monotonic() - _reported
        if _report and (age < FRESH or (_pending and age < STALE)):
            return _report
        leader = _pending is None
        pending = _pending = _pending or Future()
    if not leader:
        return pending.result()
    try:
        report = run()
    except BaseException as exception:
        with _lock:
            _pending = None
        pending.set_exception(exception)
        raise
    changed = _states(report) != _states(_report)
    keep(report)
    with _lock:
        _pending = None
    pending.set_result(report)
    if changed:
        _log(report)
    return report


def keep(report: Report) -> None:
    """Make a report the current one, for those who ask while the next is being made."""
    global _report, _reported
    with _lock:
        _report, _reported = report, time.monotonic()


def _states(report: Report | None) -> set[str]:
    return {result.probe.name for result in report.failures} if report else set()


def _log(report: Report) -> None:
    for result in report.failures:
        level = logging.ERROR if result.probe.required else logging.WARNING
        probe = result.probe
        logger.log(
            level, "%s is down at %s: %s %s", probe.name, probe.address, result.error, probe.hint
        )
    if not report.failures:
        logger.info("All dependencies are up again")


def heartbeat_check(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Report dependencies to Dockerflow's heartbeat, which runs Django's system checks."""
    return [
        (checks.Error if result.probe.required else checks.Warning)(
            f"{result.probe.name} is down: {result.error}",
            hint=result.probe.hint,
            id=f"common.{result.probe.name}",
        )
        for result in current().failures
    ]
