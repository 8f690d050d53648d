"""Reports exceptions to Bugsnag."""

{% if cookiecutter.task_queue == "database" %}
import sys
{% endif %}
import threading
from typing import Any
from urllib.request import Request, urlopen

import bugsnag
from bugsnag import delivery
{% if cookiecutter.__celery %}
from celery.signals import task_failure
{% endif %}
from django.core.signals import got_request_exception
from django.http import HttpRequest
{% if cookiecutter.task_queue == "database" %}
from django.tasks.signals import task_finished
{% endif %}

from config import logs

# From its import on, the library reports what ends the process, even without a key.
bugsnag.configuration.auto_notify = False
# How many reports may be on their way at the same time.
senders = threading.BoundedSemaphore(4)
# How long one may take, in seconds.
TIMEOUT = 5


class Delivery(delivery.Delivery):
    """Sends reports in threads, and drops those for which too many are busy already."""

    def deliver(self, config: Any, payload: str, options: dict[str, Any] | None = None) -> None:
        """Send a report."""
        headers = delivery.default_headers(config.api_key)
        # Settings take no other addresses than those of HTTP.
        report = Request(config.endpoint, payload.encode(), headers)  # noqa: S310

        def send() -> None:
            try:
                urlopen(report, timeout=TIMEOUT).close()  # noqa: S310  # nosec B310
            finally:
                senders.release()

        if senders.acquire(blocking=False):
            self.queue_request(send, config, options or {})


def configure(api_key: str, *, endpoint: str, environment: str, release: str) -> None:
    """Start reporting, without data about people."""
    bugsnag.configure(
        api_key=api_key,
        app_version=release or None,
        auto_capture_sessions=False,
        auto_notify=True,
        delivery=Delivery(),
        endpoint=endpoint or None,
        max_breadcrumbs=0,
        release_stage=environment,
    )
    bugsnag.before_notify(add_request_id)
    got_request_exception.connect(report_request)
{% if cookiecutter.__celery %}
    task_failure.connect(report_task)
{% endif %}
{% if cookiecutter.task_queue == "database" %}
    task_finished.connect(report_task)
{% endif %}


def add_request_id(event: Any) -> None:
    """Add the id by which the lines of the request are found in the log."""
    event.add_tab("request", {"id": logs.request_id()})


def report_request(request: HttpRequest | None = None, **options: Any) -> None:
    """Report why a view failed."""
    if request:
        what = {"method": request.method, "path": request.path}
        bugsnag.auto_notify_exc_info(context=request.path, metadata={"request": what})
{% if cookiecutter.__celery %}


def report_task(sender: Any, exception: Exception, traceback: Any, **options: Any) -> None:
    """Report why a task failed."""
    bugsnag.auto_notify(exception, traceback=traceback, context=sender.name)
{% endif %}
{% if cookiecutter.task_queue == "database" %}


def report_task(task_result: Any, **options: Any) -> None:
    """Report why a task failed, which its backend says while it handles the exception."""
    if sys.exc_info()[0]:
        bugsnag.auto_notify_exc_info(context=task_result.task.module_path)
{% endif %}
