"""How gunicorn runs this service; it reads WEB_CONCURRENCY and GUNICORN_CMD_ARGS by itself.

https://gunicorn.org/reference/settings/
"""

import gc
import importlib
{% if cookiecutter.use_prometheus %}
import itertools
{% endif %}
import os
{% if cookiecutter.server == "gunicorn" %}
import time
{% endif %}
from pathlib import Path
from typing import Any
{% if cookiecutter.server == "gunicorn" %}

from gunicorn.workers.gthread import ThreadWorker

{% if cookiecutter.use_prometheus %}
from config import logs, process
{% else %}
from config import logs
{% endif %}


class Worker(ThreadWorker):
    """Threads that serve requests; when one hangs, the process stops and is replaced."""

    def init_process(self) -> None:
        """Start serving; until then no request can have begun."""
        self.began: dict[int, float] = {}
        super().init_process()

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request and remember since when."""
        self.began[id(req)] = time.monotonic()
        try:
            return super().handle_request(req, conn)
        finally:
            del self.began[id(req)]

    def notify(self) -> None:
        """Tell gunicorn that this process is alive, and drain it if a request hangs."""
        super().notify()
        oldest = min(list(self.began.values()), default=float("inf"))
        if self.alive and time.monotonic() - oldest > self.cfg.timeout:
            self.log.critical("A request hangs for over %s s: replacing worker", self.cfg.timeout)
            self.alive: bool = False

    def run(self) -> None:
        """Serve until told to stop, and leave without waiting for a request that hangs."""
        super().run()
        if self.began:
            os._exit(1)


wsgi_app = "config.wsgi:application"
worker_class = Worker
threads = 4
{% else %}

from uvicorn_worker import UvicornWorker

{% if cookiecutter.use_prometheus %}
from config import logs, process
{% else %}
from config import logs
{% endif %}


class Worker(UvicornWorker):
    """uvicorn inside gunicorn; the service itself decides which proxies it trusts."""

    CONFIG_KWARGS = {"lifespan": "off", "proxy_headers": False}  # noqa: RUF012


wsgi_app = "config.asgi:application"
worker_class = Worker
{% endif %}
bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
preload_app = True
timeout = 30
graceful_timeout = 25
keepalive = 5
max_requests = 10_000
max_requests_jitter = 1_000
# The heartbeat file must not wait for a disk; the control socket would need a writable home.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files without names
control_socket_disable = True
# The service itself decides which proxies it believes, by TRUSTED_PROXIES.
forwarded_allow_ips = ""
logconfig_dict = logs.configuration(os.environ.get("LOG_LEVEL", ""))


{% if cookiecutter.use_prometheus %}
def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the lowest number that is free, under which its metrics add up."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(number for number in itertools.count(1) if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Tell the worker its number."""
    process.slot = worker.slot


{% endif %}
def on_starting(server: Any) -> None:
    """Check the dependencies once, should the workers not be preloaded from this process."""
    if not server.cfg.preload_app:
        importlib.import_module("config.preflight")


def when_ready(server: Any) -> None:
    """Keep what is loaded out of garbage collection, so that workers go on sharing it."""
    gc.freeze()
