"""Reports exceptions to Sentry, or to a server that speaks its protocol."""

from typing import Any

import sentry_sdk
{% if cookiecutter.__celery %}
from sentry_sdk.integrations.celery import CeleryIntegration
{% endif %}
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.types import Event, Hint

from config import logs


def configure(dsn: str, *, environment: str, release: str, traces_sample_rate: float) -> None:
    """Start reporting, without data about people."""

    def sample(context: dict[str, Any]) -> float:
        request = context.get("wsgi_environ") or context.get("asgi_scope") or {}
        path = str(request.get("PATH_INFO") or request.get("path") or "")
        return 0.0 if logs.is_quiet(path) else traces_sample_rate

{% if cookiecutter.logging == "mozlog" %}
    # The failure that it sums up is reported already.
    ignore_logger("request.summary")
{% endif %}
    # An outage is in the log, at /health and in the alerts.
    ignore_logger("apps.common.health")
{% if cookiecutter.__celery %}
    ignore_logger("celery.worker.consumer.consumer")
{% endif %}
    sentry_sdk.init(
        dsn,
        environment=environment,
        release=release or None,
        before_send=send_once,
        before_send_transaction=add_request_id,
        traces_sampler=sample if traces_sample_rate else None,
        integrations=[
{% if cookiecutter.__celery %}
            CeleryIntegration(),
{% endif %}
            # To time each receiver of a signal takes longer than most of them do.
            DjangoIntegration(signals_spans=False),
        ],
        # It keeps the last exception, and with it the thread that an async view has failed in
        # (issue 6094 of sentry-python).
        disabled_integrations=[DedupeIntegration()],
        # Otherwise Sentry tries to import some forty libraries, to see what is installed.
        auto_enabling_integrations=False,
        data_collection={
            "cookies": {"mode": "off"},
            "database_query_data": False,
            "http_bodies": [],
            "http_headers": {"request": {"mode": "off"}},
            "queues": False,
            "stack_frame_variables": False,
            "url_query_params": {"mode": "off"},
            "user_info": False,
        },
    )


def check_rate(value: str) -> None:
    """Raise ValueError unless the value is a share of all."""
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ValueError("is not a number from 0 to 1")


def send_once(event: Event, hint: Hint) -> Event | None:
    """Return an event to send, or nothing if its exception was reported before."""
    _, exception, _ = hint.get("exc_info") or (None, None, None)
    if exception:
        notes = vars(exception)
        if "is_reported" in notes:
            return None
        notes["is_reported"] = True
    return add_request_id(event, hint)


def add_request_id(event: Event, hint: Hint) -> Event:
    """Add the id by which the lines of the request are found in the log."""
    event.setdefault("tags", {})["request_id"] = logs.request_id()
    return event
