"""How gunicorn runs this service; GUNICORN_CMD_ARGS overrides what stands here.

https://gunicorn.org/reference/settings/
"""

{% if cookiecutter.server == "uvicorn" %}
import faulthandler
{% endif %}
import gc
import importlib
{% if cookiecutter.use_prometheus %}
import itertools
{% endif %}
{% if cookiecutter.server == "uvicorn" %}
import logging
{% endif %}
import os
import signal
import sys
from pathlib import Path
{% if cookiecutter.server == "uvicorn" %}
from types import FrameType
{% endif %}
from typing import Any
{% if cookiecutter.server == "gunicorn" %}

from config import logs, process
from config.worker import QuietLogger, Worker

wsgi_app = "config.wsgi:application"
worker_class = Worker
logger_class = QuietLogger
threads = 4
# A process may have 1,024 files open, if nobody says otherwise.
worker_connections = 800
{% else %}

from uvicorn_worker import UvicornWorker

from config import logs, process
from config.protocol import Protocol


class Worker(UvicornWorker):
    """uvicorn inside gunicorn; the service itself decides which proxies it trusts."""

    CONFIG_KWARGS = {"http": Protocol, "lifespan": "off", "proxy_headers": False}  # noqa: RUF012

    def init_process(self) -> None:
        """Serve, with log lines in the shape that all others have."""
        logging.getLogger("uvicorn.error").propagate = True
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at once, as SIGINT to gunicorn means: uvicorn would go on until it is killed."""
        os._exit(0)


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
# What is being loaded is no garbage: not to look for any makes the start a sixth shorter.
gc.disable()
# Signals end the start quietly, until gunicorn has its own handlers. The first process of a
# container would not even receive them otherwise.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
        signal.signal(number, process.leave)


def pre_fork(server: Any, worker: Any) -> None:
    """Prepare what a worker inherits."""
    gc.enable()
{% if cookiecutter.use_prometheus %}
    # The lowest number that is free: its metrics add up with those of its predecessors.
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(number for number in itertools.count(1) if number not in taken)
{% endif %}


def post_fork(server: Any, worker: Any) -> None:
    """Give a worker what it inherits: its signals, until it has handlers of its own, go there."""
    worker.inherited = server.SIG_QUEUE
{% if cookiecutter.use_prometheus %}
    process.slot = worker.slot
{% endif %}


def post_worker_init(worker: Any) -> None:
    """End a worker that was told to before it could hear it."""
    while not worker.inherited.empty():
        if worker.inherited.get_nowait() in {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}:
            sys.exit()
{% if cookiecutter.server == "uvicorn" %}
    # A process that stands still is ended by SIGABRT, and then prints where it did.
    faulthandler.enable()
{% endif %}


def on_starting(server: Any) -> None:
    """Check the dependencies once, should the workers not be preloaded from this process."""
    if not server.cfg.preload_app:
        importlib.import_module("config.preflight")


def when_ready(server: Any) -> None:
    """Keep what is loaded out of garbage collection, so that workers go on sharing it."""
    gc.freeze()
