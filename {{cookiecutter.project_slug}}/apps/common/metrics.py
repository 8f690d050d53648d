"""What Prometheus reads at /metrics: requests, queries, and the state of each dependency."""

import asyncio
{% if cookiecutter.server != "daphne" %}
import atexit
import os
import shutil
{% endif %}
{% if cookiecutter.server == "uwsgi" %}
import sys
{% endif %}
{% if cookiecutter.server != "daphne" %}
import tempfile
{% endif %}
import time
from collections.abc import Awaitable, Callable, Iterator
{% if cookiecutter.server != "daphne" %}
from pathlib import Path
{% endif %}
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotFound
{% if cookiecutter.server == "daphne" %}
from prometheus_client import REGISTRY, Histogram, generate_latest
{% else %}
from prometheus_client import CollectorRegistry, Histogram, generate_latest, multiprocess, values
{% endif %}
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.common import health
from apps.common.middleware import is_in, is_trusted
{% if cookiecutter.__gunicorn %}
from config import process
{% endif %}

type GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
{% if cookiecutter.server != "daphne" %}


def share() -> str:
    """Return a new folder in which the server's processes add up their metrics."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
    folder = tempfile.mkdtemp(prefix="metrics-", dir=memory if memory.is_dir() else None)
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


def slot() -> int:
    """Return which of the server's processes this is; one that replaces another is the same."""
{% if cookiecutter.server == "uwsgi" %}
    uwsgi = sys.modules.get("uwsgi")
    return int(uwsgi.worker_id()) if uwsgi else 0
{% else %}
    return process.slot
{% endif %}


# prometheus_client asks for these before the first metric is made.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = share()
values.ValueClass = values.MultiProcessValue(slot)
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
{% else %}

registry = REGISTRY
{% endif %}

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Time that requests took.",
    ["method", "view", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
QUERIES = Histogram(
    "database_query_duration_seconds",
    "Time that queries took.",
    ["database"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


class State(Collector):
    """Tells what runs, and asks every dependency how it is, when Prometheus asks."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the release, and 1 for each dependency that answers, 0 for each that does not."""
        info = GaugeMetricFamily(
            "service_info", "What runs here, and where.", labels=["environment", "release"]
        )
        info.add_metric([settings.ENVIRONMENT, settings.RELEASE], 1)
        yield info
        up = GaugeMetricFamily(
            "dependency_up", "Whether a dependency answers.", labels=["dependency", "required"]
        )
        for result in health.current().results:
            required = str(result.probe.required).lower()
            up.add_metric([result.probe.name, required], not result.error)
        yield up

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield nothing, so that registering this asks nobody."""
        yield from ()


registry.register(State())


class MetricsMiddleware:
    """Times requests, and shows the metrics to whoever calls from METRICS_NETWORKS."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response: Any = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the metrics, or what the rest of the chain returns."""
        if self.is_async:
            return self.respond(request)
        if request.path_info == "/metrics":
            return answer(request)
        began = time.perf_counter()
        response: HttpResponseBase = self.get_response(request)
        observe(request, response, time.perf_counter() - began)
        return response

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same without blocking the event loop."""
        if request.path_info == "/metrics":
            return await asyncio.to_thread(answer, request)
        began = time.perf_counter()
        response: HttpResponseBase = await self.get_response(request)
        observe(request, response, time.perf_counter() - began)
        return response


def answer(request: HttpRequest) -> HttpResponseBase:
    """Return the metrics to a caller in a network that may see them."""
    address = request.META["REMOTE_ADDR"]
    # Where proxies hide who calls, everybody seems to be inside: Prometheus needs no proxy.
    hidden = "HTTP_X_FORWARDED_FOR" in request.META and is_trusted(address)
    if hidden or not is_in(address or "127.0.0.1", settings.METRICS_NETWORKS):
        return HttpResponseNotFound()
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4")


def observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Count a request under the name of its view, of which there are few."""
    match = request.resolver_match
    REQUESTS.labels(
        request.method if request.method in METHODS else "other",
        (match.view_name or match.route) if match else "none",
        response.status_code,
    ).observe(seconds)


def time_queries(connection: BaseDatabaseWrapper, **options: Any) -> None:
    """Time the queries of a connection, as a receiver of Django's signal."""
    if timed not in connection.execute_wrappers:
        # Whoever adds another one for a while takes away the last.
        connection.execute_wrappers.insert(0, timed)


def timed(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Execute a query and time it."""
    with QUERIES.labels(context["connection"].alias).time():
        return execute(sql, params, many, context)
