"""What log lines look like: one JSON object each, or readable while developing."""

import logging
from typing import Any
{% if cookiecutter.logging == "structlog" %}

import structlog
from structlog.tracebacks import ExceptionDictTransformer


def tidy(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Drop what is of no use in a line, and name Dockerflow's summaries, which have no text."""
    for name in ("request", "response", "server_time"):
        event.pop(name, None)
    if event.get("rid") is None:
        event.pop("rid", None)
    event["event"] = event["event"] or event["logger"]
    return event


PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    tidy,
    structlog.processors.StackInfoRenderer(),
]
{% endif %}


def configuration(level: str, *, readable: bool = False) -> dict[str, Any]:
    """Return the logging configuration of this service; an unknown level counts as INFO."""
    level = level.upper() if level.upper() in logging.getLevelNamesMapping() else "INFO"
{% if cookiecutter.logging == "structlog" %}
    structlog.configure(
        processors=[*PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if readable
        else [
            # Values of variables may be secret.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    formatter: dict[str, Any] = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": PROCESSORS,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    }
{% else %}
    formatter: dict[str, Any] = {
        "()": "dockerflow.logging.MozlogFormatter",
        "logger_name": "{{ cookiecutter.project_slug }}",
    }
    if readable:
        formatter = {"format": "%(asctime)s %(levelname)-8s %(name)s %(message)s"}
{% endif %}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"request_id": {"()": "dockerflow.logging.RequestIdLogFilter"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
                "filters": ["request_id"],
            },
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django would print these a second time, with handlers of its own.
            "django": {"handlers": [], "level": level, "propagate": True},
            # While developing, the server's own lines are enough.
            "request.summary": {"level": "WARNING" if readable else level},
            "django.server": {"handlers": [], "level": level, "propagate": True},
{% if cookiecutter.__gunicorn %}
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
{% endif %}
        },
    }
