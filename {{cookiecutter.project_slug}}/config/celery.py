"""The Celery application: ``celery --app config worker`` runs it."""

import os
from typing import Any

from celery import Celery, Task, bootsteps
from celery.beat import PersistentScheduler
from celery.signals import (
    beat_init,
    before_task_publish,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
)
from django.db import InterfaceError, OperationalError

from config import logs, process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class RetriedTask(Task):
    """A task that is tried again, ever later, while something that it needs is away."""

    abstract = True
    autoretry_for = (ConnectionError, InterfaceError, OperationalError, TimeoutError)
    max_retries = 10
    retry_backoff = True
    retry_backoff_max = 256

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Queue the task; raise OperationalError if the broker does not take it in time."""
        return super().apply_async(*args, **{"confirm_timeout": 1.5, **options})


class Alive(bootsteps.StartStopStep):
    """Touches a file every ten seconds for as long as the loop of a worker turns."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        """Begin to touch it."""
        worker.timer.call_repeatedly(10, process.show_life)


class Scheduler(PersistentScheduler):
    """Touches the file whenever it looks what is due."""

    def tick(self, *args: Any, **options: Any) -> Any:
        """Queue what is due, and return how long to sleep, in seconds."""
        process.show_life()
        return super().tick(*args, **options)


app = Celery("{{ cookiecutter.project_slug }}", task_cls=RetriedTask)
app.steps["worker"].add(Alive)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**options: Any) -> None:
    """Leave logging as settings.LOGGING has it, by answering Celery's signal."""


@celeryd_init.connect
def leave_out_banner(instance: Any, **options: Any) -> None:
    """Print log lines only."""
    instance.quiet = True


@before_task_publish.connect
def pass_request_id(headers: dict[str, Any], **options: Any) -> None:
    """Send the id of the request along with the tasks that it queues."""
    headers["request_id"] = logs.request_id()


@task_prerun.connect
def bind_request_id(task: Any, task_id: str, **options: Any) -> None:
    """Give the lines of a task the id of the request that queued it, or the task's own."""
    if not task.request.is_eager:
        logs.bind(getattr(task.request, "request_id", None) or task_id)


@task_postrun.connect
def unbind_request_id(task: Any, **options: Any) -> None:
    """Forget the id."""
    if not task.request.is_eager:
        logs.unbind()


@worker_init.connect
@beat_init.connect
def check_dependencies(**options: Any) -> None:
    """Check every dependency before the first task."""
    from apps.common import startup

    process.become_worker()
    startup.check()
