"""What this process is for, as the module that starts it declares.

{% if cookiecutter.task_queue == "none" %}
A server's entry point sets the role before it builds the application; every other process is
a management command. Start-up checks and settings read it.
{% else %}
A server's entry point sets the role before it builds the application, a worker when it
starts; every other process is a management command. Start-up checks read it, and so do
settings, which a worker loads before it says what it is.
{% endif %}
"""

{% if cookiecutter.task_queue != "none" %}
import os
{% endif %}
import signal
import sys
{% if cookiecutter.task_queue != "none" %}
import tempfile
{% endif %}
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
{% if cookiecutter.task_queue != "none" %}
from pathlib import Path
{% endif %}
from types import FrameType
from typing import Any, Literal, NoReturn

{% if cookiecutter.task_queue == "none" %}
role: Literal["command", "server"] = "command"
{% else %}
role: Literal["command", "server", "worker"] = "command"
{% endif %}
# When it began, on the clock that never jumps: at least as long ago as it has been busy.
started = time.monotonic() - time.process_time()
{% if cookiecutter.server != "daphne" %}
# Whether the dependencies were checked already, by the process that this one was forked from.
checked = False
{% endif %}
{% if cookiecutter.__gunicorn_metrics %}
# Which of the server's processes this is.
slot = 0
{% endif %}
{% if cookiecutter.task_queue != "none" %}


def become_worker() -> None:
    """Say that this process is a worker, to PostgreSQL as well, which shows it in its lists."""
    global role
    role = "worker"
    os.environ.setdefault("PGAPPNAME", "{{ cookiecutter.project_slug }}-worker")


def show_life() -> None:
    """Touch a file, as a worker does while it is at work: a probe looks how old it is."""
    Path(tempfile.gettempdir(), "alive").touch()
{% endif %}


def stop(message: str) -> NoReturn:
    """Print a message for the operator and end the process with status 3.

    Status 3 is the one on which servers give up instead of starting the worker again.
    """
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(3)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let a signal end the process quietly while its server does not listen yet.

    As the first process of a container it would not even receive it otherwise.
    """
    handlers: dict[int, Any] = {}
{% if cookiecutter.server == "daphne" %}
    if threading.current_thread() is threading.main_thread():
{% else %}
    # Workers that load the application by themselves have the handlers of their server.
    if threading.current_thread() is threading.main_thread() and not checked:
{% endif %}
        numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
        found = {number: signal.getsignal(number) for number in numbers}
        # A handler that is not Python's own cannot be put back, and is the server's already.
        handlers = {number: handler for number, handler in found.items() if handler is not None}
    for number in handlers:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process with the status that a shell gives to one that a signal has ended."""
    raise SystemExit(128 + number)
