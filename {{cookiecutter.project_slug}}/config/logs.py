"""What log lines look like: one JSON object each, or readable while developing."""

{% if cookiecutter.logging == "structlog" %}
import json
{% endif %}
import logging
import re
{% if cookiecutter.logging == "structlog" %}
import sys
from datetime import UTC, datetime
{% endif %}
from typing import Any
{% if cookiecutter.logging == "structlog" %}

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
{% else %}

from dockerflow.logging import MozlogFormatter, request_id_context
{% endif %}

# What load balancers and monitoring call over and over.
HEALTH_PATHS = {"/health", "/health/", "/common/health", "/common/health/"}
{% if cookiecutter.use_prometheus %}
QUIET = re.compile(r"/(__\w+__/?|metrics)")
{% else %}
QUIET = re.compile(r"/__\w+__/?")
{% endif %}
# What others attach to a record may show secrets: a query string, arguments of a task.
ATTACHED = ("data", "request", "response", "server_time")


def is_quiet(path: str) -> bool:
{% if cookiecutter.error_tracking == "sentry" %}
    """Return whether requests for a path are worth neither a line nor a trace."""
{% else %}
    """Return whether requests for a path are worth no line."""
{% endif %}
    return path in HEALTH_PATHS or QUIET.fullmatch(path) is not None
{% if cookiecutter.logging == "structlog" %}


def bind(request_id: str) -> None:
    """Give the lines of this thread or coroutine an id, and forget all that was bound before."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def unbind(**options: Any) -> None:
    """Forget the id, as a receiver of any signal."""
    structlog.contextvars.clear_contextvars()


def request_id() -> str:
    """Return the id that lines have now, or nothing."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def now() -> str:
    """Return the time as every line shows it: in UTC, with six digits after the seconds."""
    return f"{datetime.now(UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


def stamp(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Add the time."""
    event["timestamp"] = now()
    return event


def tidy(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Drop what others attach to a record."""
    for name in ATTACHED:
        event.pop(name, None)
    return event


PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    stamp,
    structlog.stdlib.ExtraAdder(),
    tidy,
    structlog.processors.StackInfoRenderer(),
]
encode = json.JSONEncoder(default=str).encode


def print_summary(level: int, summary: dict[str, Any]) -> None:
    """Print the line of a request, which on its way through a logger would take thrice the time."""
    line = {
        "event": "request.summary",
        "level": logging.getLevelName(level).lower(),
        "timestamp": now(),
    }
    line |= structlog.contextvars.get_contextvars() | summary
    sys.stdout.write(f"{encode(line)}\n")
    sys.stdout.flush()
{% else %}


def bind(request_id: str) -> None:
    """Give the lines of this thread or coroutine an id."""
    request_id_context.set(request_id)


def unbind(**options: Any) -> None:
    """Forget the id, as a receiver of any signal."""
    request_id_context.set(None)


def request_id() -> str:
    """Return the id that lines have now, or nothing."""
    return request_id_context.get() or ""


class Formatter(MozlogFormatter):
    """Renders a line without what others attach to a record."""

    EXCLUDED_LOGRECORD_ATTRS = MozlogFormatter.EXCLUDED_LOGRECORD_ATTRS.union(ATTACHED)
{% endif %}


def configuration(level: str, *, readable: bool = False) -> dict[str, Any]:
    """Return the logging configuration of this service; an unknown level counts as INFO."""
    level = level.upper() if level.upper() in logging.getLevelNamesMapping() else "INFO"
    logging.captureWarnings(not readable)
{% if cookiecutter.logging == "structlog" %}
    structlog.configure(
        processors=[*PROCESSORS, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
        if readable
        else [
            # Values of variables may be secret.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    formatter: dict[str, Any] = {
        "()": ProcessorFormatter,
        "foreign_pre_chain": PROCESSORS,
        "processors": [ProcessorFormatter.remove_processors_meta, *renderers],
    }
{% else %}
    formatter: dict[str, Any] = {
        "()": Formatter,
        "logger_name": "{{ cookiecutter.project_slug }}",
    }
    if readable:
        formatter = {"format": "%(asctime)s %(levelname)-8s %(name)s %(message)s"}
{% endif %}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
{% if cookiecutter.logging == "mozlog" %}
        "filters": {"request_id": {"()": "dockerflow.logging.RequestIdLogFilter"}},
{% endif %}
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
{% if cookiecutter.logging == "mozlog" %}
                "filters": ["request_id"],
{% endif %}
            },
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django would print these a second time, with handlers of its own.
            "django": {"handlers": [], "level": level, "propagate": True},
            # While developing, the server's own lines are enough.
            "request.summary": {"level": "CRITICAL" if readable else level},
            "django.server": {"handlers": [], "level": level, "propagate": True},
{% if cookiecutter.error_tracking == "bugsnag" %}
            # It would print its own as text, too.
            "bugsnag": {"handlers": [], "level": level, "propagate": True},
{% endif %}
{% if cookiecutter.use_elasticsearch %}
            # It would print a line for each call.
            "elastic_transport.transport": {"level": "WARNING"},
{% endif %}
{% if cookiecutter.__celery %}
            # It would print what tasks are called with, which may be secret.
            "celery.pool": {"level": "INFO"},
{% endif %}
{% if cookiecutter.__gunicorn %}
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
{% endif %}
        },
    }
